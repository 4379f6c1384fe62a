//! Duty: follow-up commands between aggregates. It reads the log behind a durable cursor of its own,
//! and issues each command under a key made of the rule and the event's position, so that doing it
//! again changes nothing. The aggregate that is told decides what follows.

mod rules;

use specline_aggregates::{task, ticket};
use specline_projections::{DomainEvent, Envelope};

use self::rules::FollowUp;
use super::projector::{PAGE, decode_page};
use super::{Engine, EngineError};
use crate::commands::{Actor, CommandError, Keyed, Order, Origin};

/// Name of its cursor.
const CURSOR: &str = "reactor";

pub(super) async fn run(engine: Engine) {
    let mut head = engine.inner.log.watch_head();
    let stop = engine.inner.stop.clone();
    loop {
        head.borrow_and_update();
        let failed = engine.react().await.err();
        if let Some(error) = &failed {
            tracing::warn!(cause = %error, "a follow-up failed");
        }
        let again = async {
            match failed {
                Some(_) => tokio::time::sleep(std::time::Duration::from_secs(1)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = head.changed() => if changed.is_err() { return },
            () = again => {}
            () = stop.cancelled() => return,
        }
    }
}

impl Engine {
    async fn react(&self) -> Result<(), EngineError> {
        loop {
            let after = self.inner.side.cursor(CURSOR).await?;
            let rows = self.inner.log.read_all(after, PAGE).await?;
            let Some(last) = rows.last().map(|row| row.position) else { return Ok(()) };
            let mut acted = false;
            for event in decode_page(rows)? {
                acted |= self.react_to(&event).await?;
            }
            // Where nothing was to be done, the cursor need not be durable at every event.
            if acted || last.0 >= after.0 + PAGE as u64 || last == *self.log().watch_head().borrow()
            {
                self.inner.side.set_cursor(CURSOR, last).await?;
            }
        }
    }

    async fn react_to(&self, event: &Envelope) -> Result<bool, EngineError> {
        let follow_ups = match &event.event {
            DomainEvent::Spec(spec_event) => {
                let follow = rules::after_spec(spec_event);
                if follow.is_empty() {
                    return Ok(false);
                }
                let spec = self.spec(event.aggregate_id.into()).await?;
                rules::on_spec(follow, &spec)
            }
            DomainEvent::Task(task_event) => {
                let Some(outcome) = rules::outcome(task_event) else { return Ok(false) };
                let task = self.commands().tasks.load(event.aggregate_id).await?;
                let mates = self.tasks_of_same_spec(&task.state).await?;
                rules::on_task_outcome(&task.state, outcome, &mates)
            }
            DomainEvent::Ticket(_) => return Ok(false),
        };
        let origin = Origin::of(Actor::Duty("reactor"), event.aggregate_id).because(event.position);
        for (n, follow_up) in follow_ups.iter().enumerate() {
            let keyed = Keyed::of_engine(format!("react/{n}/{}", event.position));
            self.follow_up(follow_up, Order::from(&origin).keyed(Some(&keyed))).await?;
        }
        Ok(!follow_ups.is_empty())
    }

    async fn follow_up(&self, follow_up: &FollowUp, order: Order<'_>) -> Result<(), EngineError> {
        let commands = self.commands();
        match follow_up {
            FollowUp::Task(id, command) => {
                let result = commands.task(*id, command, order).await;
                if let Err(CommandError::Rejected(
                    task::Rejection::NotFound | task::Rejection::Ended { .. },
                )) = result
                {
                    return Ok(());
                }
                result?;
            }
            FollowUp::Ticket(id, command) => {
                let result = commands.ticket(*id, command, order).await;
                if let Err(CommandError::Rejected(
                    ticket::Rejection::NotFound | ticket::Rejection::Ended { .. },
                )) = result
                {
                    return Ok(());
                }
                result?;
            }
        }
        Ok(())
    }

    /// The other tasks that may wait for this one.
    async fn tasks_of_same_spec(
        &self,
        task: &task::Task,
    ) -> Result<Vec<std::sync::Arc<task::Task>>, EngineError> {
        let Some(spec) = task.work().and_then(|work| work.spec) else { return Ok(Vec::new()) };
        let spec = match self.spec(spec).await {
            Err(EngineError::NotFound { .. }) => return Ok(Vec::new()),
            other => other?,
        };
        let planned = spec.plan().map(|plan| &plan.ids).or(spec.synced());
        let mut tasks = Vec::new();
        for id in planned.into_iter().flat_map(|ids| ids.tasks.values()) {
            let loaded = self.commands().tasks.load(id.uuid()).await?;
            if loaded.head.is_some() {
                tasks.push(loaded.state);
            }
        }
        Ok(tasks)
    }
}
