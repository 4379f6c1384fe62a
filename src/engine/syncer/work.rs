//! Makes the tickets and tasks of a spec, each by its own append under its own key. Tasks are born
//! blocked by their spec, and are released when it has been synced.

use std::collections::BTreeSet;

use specline_aggregates::output::{PlannedTask, PlannedTicket, Priority};
use specline_aggregates::spec::Spec;
use specline_aggregates::task::{self, ExecutionConfig, Work};
use specline_aggregates::ticket::{self, Request, WorkflowMode};
use specline_aggregates::{Digest, TaskId, TicketId};

use super::document::Documents;
use crate::commands::{Keyed, Order};
use crate::engine::lookup::by_duty;
use crate::engine::{Engine, EngineError};

impl Engine {
    pub(super) async fn make_work(
        &self,
        spec: &Spec,
        documents: &Documents,
    ) -> Result<(), EngineError> {
        for planned in &documents.tickets() {
            self.make_ticket(spec, planned).await?;
        }
        for planned in &documents.tasks.tasks {
            self.make_task(spec, documents, planned).await?;
        }
        self.drop_missing(spec, documents).await
    }

    async fn make_ticket(
        &self,
        spec: &Spec,
        (ticket, request): &(TicketId, Request),
    ) -> Result<(), EngineError> {
        let origin = by_duty("syncer", spec);
        let keyed = key(spec, ticket.uuid(), &request.digest());
        let open = ticket::Command::Open { ticket: *ticket, request: Box::new(request.clone()) };
        self.commands().ticket(*ticket, &open, Order::from(&origin).keyed(Some(&keyed))).await?;
        Ok(())
    }

    async fn make_task(
        &self,
        spec: &Spec,
        documents: &Documents,
        planned: &PlannedTask,
    ) -> Result<(), EngineError> {
        let Some(id) = documents.ids.tasks.get(&planned.id).copied() else { return Ok(()) };
        let work = documents.work(spec, planned);
        let origin = by_duty("syncer", spec);
        let keyed = key(spec, id.uuid(), &work.digest());
        let ticket = work.ticket;
        let queue = task::Command::Queue { task: id, work: Box::new(work), held_by_spec: true };
        self.commands().task(id, &queue, Order::from(&origin).keyed(Some(&keyed))).await?;
        if let Some(ticket) = ticket {
            let link = ticket::Command::LinkTask { task: id };
            self.commands().ticket(ticket, &link, Order::from(&origin)).await?;
        }
        Ok(())
    }

    /// Cancels the tasks of an earlier SYNC that the plan does not name any more.
    async fn drop_missing(&self, spec: &Spec, documents: &Documents) -> Result<(), EngineError> {
        let Some(before) = spec.synced() else { return Ok(()) };
        let now: BTreeSet<TaskId> = documents.ids.tasks.values().copied().collect();
        for task in before.tasks.values().filter(|task| !now.contains(task)) {
            self.cancel_task(spec, *task, "the plan does not name it any more").await?;
        }
        Ok(())
    }

    /// Cancels a task that has not ended.
    pub(in crate::engine) async fn cancel_task(
        &self,
        spec: &Spec,
        task: TaskId,
        reason: &str,
    ) -> Result<(), EngineError> {
        let loaded = self.commands().tasks.load(task.uuid()).await?;
        if loaded.head.is_none() || loaded.state.status().is_ended() {
            return Ok(());
        }
        let cancel = task::Command::Cancel { by: "engine".to_owned(), reason: reason.to_owned() };
        let origin = by_duty("syncer", spec);
        self.commands().task(task, &cancel, Order::from(&origin)).await?;
        Ok(())
    }
}

/// `sync/<spec>/<run>/<id>`, standing for this very content.
fn key(spec: &Spec, id: uuid::Uuid, content: &Digest) -> Keyed {
    let spec_id = spec.id().map(|id| id.to_string()).unwrap_or_default();
    Keyed { key: format!("sync/{spec_id}/{}/{id}", spec.run()), request: *content }
}

impl Documents {
    fn tickets(&self) -> Vec<(TicketId, Request)> {
        let request = |planned: &PlannedTicket| {
            let id = *self.ids.tickets.get(&planned.id)?;
            Some((id, self.request(planned)))
        };
        self.tasks.tickets.iter().filter_map(request).collect()
    }

    fn request(&self, planned: &PlannedTicket) -> Request {
        let of_ticket = |task: &&PlannedTask| task.ticket == planned.id;
        let priorities = self.tasks.tasks.iter().filter(of_ticket).map(|task| task.priority);
        Request {
            project: self.brief.project,
            title: planned.title.clone(),
            description: planned.description.clone().unwrap_or_default(),
            priority: priorities.min().unwrap_or(Priority::Medium),
            workflow_mode: WorkflowMode::SpecDriven,
            spec: Some(self.spec),
            local_id: Some(planned.id.clone()),
            requirements: planned.requirements.clone(),
        }
    }

    fn work(&self, spec: &Spec, planned: &PlannedTask) -> Work {
        let depends_on = planned.depends_on.iter();
        Work {
            project: self.brief.project,
            ticket: self.ids.tickets.get(&planned.ticket).copied(),
            spec: spec.id(),
            local_id: Some(planned.id.clone()),
            kind: planned.kind.into(),
            title: planned.title.clone(),
            description: planned.description.clone(),
            priority: planned.priority,
            depends_on: depends_on.filter_map(|id| self.ids.tasks.get(id).copied()).collect(),
            files_create: planned.files_create.clone(),
            files_modify: planned.files_modify.clone(),
            criteria: planned.criteria.clone(),
            requirements: planned.requirements.clone(),
            components: planned.components.clone(),
            estimated_minutes: minutes(planned.estimated_hours),
            execution: ExecutionConfig {
                agent: spec.policy().agent.clone(),
                sandbox: spec.policy().sandbox.clone(),
                ..ExecutionConfig::default()
            },
            replaces: None,
        }
    }
}

/// Hours as whole minutes: events carry no floats.
fn minutes(hours: f64) -> u32 {
    let minutes = (hours * 60.0).round().clamp(0.0, 1_000_000.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 0 … 1,000,000"
    )]
    {
        minutes as u32
    }
}
