//! Duty: follow-up commands between aggregates. It reads the log behind a durable cursor of its
//! own, and issues each command under a key made of the rule and the event's position, so that
//! doing it again changes nothing. The aggregate that is told decides what follows.

mod rules;

use std::time::Duration;

use specline_aggregates::{task, ticket};
use specline_projections::{DomainEvent, Envelope};

use self::rules::{AfterTask, FollowUp};
use super::projector::{PAGE, decode_page};
use super::{Engine, EngineError};
use crate::commands::{Actor, CommandError, Keyed, Order, Origin};
use crate::store::Position;

/// Name of its cursor.
const CURSOR: &str = "reactor";

/// What a node must hold to be the one that reacts.
pub(super) const DUTY: &str = "duty/reactor";

/// Events after which the cursor is made durable even while more come.
const SAVE_EVERY: u64 = 1_000;

/// Quiet time after which the cursor is made durable.
const QUIET: Duration = Duration::from_secs(1);

/// The same where other nodes wait for the cursor to know that everything has been followed up.
const QUIET_SHARED: Duration = Duration::from_millis(200);

pub(super) async fn run(engine: Engine) {
    let mut head = engine.inner.log.watch_head();
    let stop = engine.inner.stop.clone();
    let Some(mut cursor) = first_cursor(&engine).await else { return };
    let mut retried = false;
    loop {
        if !engine.holds(DUTY) {
            // Another node reacts. What it has done shows in the cursor it saves.
            if !engine.until_held(DUTY).await {
                return;
            }
            let Some(saved) = first_cursor(&engine).await else { return };
            cursor = saved;
        }
        head.borrow_and_update();
        let busy = engine.busy("reactor");
        if !std::mem::replace(&mut retried, true)
            && let Err(error) = engine.retry_parked().await
        {
            tracing::warn!(cause = %error, "what was put aside is tried at the next start");
        }
        let failed = engine.react(&mut cursor).await.map_err(|error| engine.heed(error)).err();
        if let Some(error) = &failed {
            tracing::warn!(cause = %error, "a follow-up failed");
        }
        drop(busy);
        let unsaved = failed.is_some() || cursor.saved < cursor.at;
        let quiet = async {
            let pause = if engine.is_shared() { QUIET_SHARED } else { QUIET };
            if unsaved { tokio::time::sleep(pause).await } else { std::future::pending().await }
        };
        tokio::select! {
            changed = head.changed() => if changed.is_err() { return },
            () = quiet => engine.save_cursor(&mut cursor).await,
            () = stop.cancelled() => return engine.save_cursor(&mut cursor).await,
        }
    }
}

/// How far the reactor has come, and how much of that is durable. What lies between is done again
/// after a crash, under the same keys.
struct Cursor {
    at: Position,
    saved: Position,
}

async fn first_cursor(engine: &Engine) -> Option<Cursor> {
    loop {
        match engine.inner.side.cursor(CURSOR).await {
            Ok(at) => return Some(Cursor { at, saved: at }),
            Err(error) => tracing::warn!(cause = %error, "the reactor's cursor cannot be read"),
        }
        tokio::select! {
            () = tokio::time::sleep(QUIET) => {}
            () = engine.inner.stop.cancelled() => return None,
        }
    }
}

impl Engine {
    /// Whether everything that follows from the events up to `head` is recorded.
    pub(super) async fn reacted_to(&self, head: Position) -> bool {
        if self.holds(DUTY) {
            return *self.inner.reacted.borrow() >= head.0;
        }
        self.inner.side.cursor(CURSOR).await.is_ok_and(|at| at >= head)
    }

    async fn react(&self, cursor: &mut Cursor) -> Result<(), EngineError> {
        loop {
            self.inner.health.goes_on("reactor");
            let rows = self.inner.log.read_all(cursor.at, PAGE).await?;
            if rows.is_empty() {
                self.inner.reacted.send_replace(cursor.at.0);
                return Ok(());
            }
            for event in decode_page(rows)? {
                self.react_or_park(&event).await?;
                cursor.at = Position(event.position);
            }
            if cursor.at.0 - cursor.saved.0 >= SAVE_EVERY {
                self.save_cursor(cursor).await;
            }
        }
    }

    async fn save_cursor(&self, cursor: &mut Cursor) {
        match self.inner.side.set_cursor(CURSOR, cursor.at).await {
            Ok(()) => cursor.saved = cursor.at,
            Err(error) => tracing::warn!(cause = %error, "the reactor's cursor was not saved"),
        }
    }

    /// An event that cannot be acted on is put aside, so that it holds up none behind it. While the
    /// store is away, nothing can be acted on, and that is no event's fault.
    async fn react_or_park(&self, event: &Envelope) -> Result<(), EngineError> {
        let error = match self.react_to(event).await {
            Err(error) if !error.is_transient() && !error.is_newer() => error,
            result => return result,
        };
        let (position, cause) = (Position(event.position), error.to_string());
        tracing::error!(%position, cause, "an event is put aside: what follows from it is missing");
        self.metrics().parked(CURSOR);
        Ok(self.inner.side.park(CURSOR, position, &cause).await?)
    }

    /// What was put aside is tried again at a start: this program may know better.
    async fn retry_parked(&self) -> Result<(), EngineError> {
        for (position, _) in self.inner.side.parked(CURSOR).await? {
            let before = Position(position.0.saturating_sub(1));
            for event in decode_page(self.inner.log.read_all(before, 1).await?)? {
                match self.react_to(&event).await {
                    Ok(()) => self.inner.side.unpark(CURSOR, position).await?,
                    Err(error) => {
                        tracing::warn!(%position, cause = %error, "an event stays put aside");
                    }
                }
            }
        }
        Ok(())
    }

    async fn react_to(&self, event: &Envelope) -> Result<(), EngineError> {
        let (follow_ups, project) = match &event.event {
            DomainEvent::Spec(spec_event) => {
                let follow = rules::after_spec(spec_event);
                if follow.is_empty() {
                    return Ok(());
                }
                let spec = self.spec(event.aggregate_id.into()).await?;
                (rules::on_spec(follow, &spec), spec.brief().map(|brief| brief.project))
            }
            DomainEvent::Task(task_event) => {
                let after = rules::after_task(task_event);
                if after == AfterTask::Nothing {
                    return Ok(());
                }
                let task = self.commands().tasks.load_fresh(event.aggregate_id).await?;
                let mates = self.tasks_of_same_spec(&task.state).await?;
                let project = task.state.work().map(|work| work.project);
                (rules::on_task_outcome(&task.state, after, &mates), project)
            }
            DomainEvent::Ticket(_) | DomainEvent::Project(_) | DomainEvent::AccessKey(_) => {
                return Ok(());
            }
            DomainEvent::Unreadable { cause } => return Err(EngineError::Corrupt(cause.clone())),
        };
        let origin = Origin::of(Actor::Duty("reactor"), event.aggregate_id).because(event.position);
        let origin = match project {
            Some(project) => origin.within(project),
            None => origin,
        };
        for (n, follow_up) in follow_ups.iter().enumerate() {
            let keyed = Keyed::of_engine(format!("react/{n}/{}", event.position));
            self.follow_up(follow_up, Order::from(&origin).keyed(Some(&keyed))).await?;
        }
        Ok(())
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
            let loaded = self.commands().tasks.load_fresh(id.uuid()).await?;
            if loaded.head.is_some() {
                tasks.push(loaded.state);
            }
        }
        Ok(tasks)
    }
}
