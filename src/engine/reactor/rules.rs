//! The rules of the reactor: pure functions from an event, and the state it left, to commands for
//! other aggregates.

use std::sync::Arc;

use specline_aggregates::spec::{self, Spec};
use specline_aggregates::task::{self, Outcome, Task};
use specline_aggregates::{TaskId, TicketId, ticket};

/// A command for another aggregate.
#[derive(Debug)]
pub(super) enum FollowUp {
    Task(TaskId, task::Command),
    Ticket(TicketId, ticket::Command),
}

/// What an event of a spec asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterSpec {
    /// Its tasks may run now.
    Release { run: u32 },
    /// It ended before it was synced: what SYNC made is taken back.
    TakeBack,
    /// Its source ticket learns of it.
    LinkSource,
}

/// Which follow-ups an event of a spec has at all.
pub(super) fn after_spec(event: &spec::Event) -> Vec<AfterSpec> {
    if let spec::Event::SpecSynced { run, .. } = event {
        vec![AfterSpec::Release { run: *run }]
    } else if matches!(event, spec::Event::SpecFailed { .. } | spec::Event::SpecCancelled { .. }) {
        vec![AfterSpec::TakeBack]
    } else if let spec::Event::SpecDrafted { brief, .. } = event {
        let linked = brief.source_ticket.is_some();
        if linked { vec![AfterSpec::LinkSource] } else { Vec::new() }
    } else {
        Vec::new()
    }
}

/// The commands of `follow`, on the spec as it is now.
pub(super) fn on_spec(follow: Vec<AfterSpec>, spec: &Spec) -> Vec<FollowUp> {
    follow.into_iter().flat_map(|follow| one(follow, spec)).collect()
}

fn one(follow: AfterSpec, spec: &Spec) -> Vec<FollowUp> {
    match follow {
        AfterSpec::Release { run } => {
            let tasks = spec.synced().into_iter().flat_map(|ids| ids.tasks.values());
            tasks.map(|id| FollowUp::Task(*id, task::Command::Release { run })).collect()
        }
        AfterSpec::TakeBack => take_back(spec),
        AfterSpec::LinkSource => {
            let source = spec.brief().and_then(|brief| brief.source_ticket);
            let link = |ticket| {
                let spec = spec.id()?;
                Some(FollowUp::Ticket(ticket, ticket::Command::LinkSpec { spec }))
            };
            source.and_then(link).into_iter().collect()
        }
    }
}

/// Cancels what a plan made that was never completed.
fn take_back(spec: &Spec) -> Vec<FollowUp> {
    let Some(plan) = spec.plan().filter(|_| spec.status().is_ended()) else { return Vec::new() };
    let finished = spec.accepted(specline_aggregates::Phase::Sync).is_some();
    if finished {
        return Vec::new();
    }
    let (by, reason) = ("engine".to_owned(), "its spec ended before it was synced".to_owned());
    let tasks = plan.ids.tasks.values().map(|id| {
        let cancel = task::Command::Cancel { by: by.clone(), reason: reason.clone() };
        FollowUp::Task(*id, cancel)
    });
    let tickets = plan.ids.tickets.values().map(|id| {
        let cancel = ticket::Command::Cancel { by: by.clone(), reason: reason.clone() };
        FollowUp::Ticket(*id, cancel)
    });
    tasks.chain(tickets).collect()
}

/// What a task's event means to those that wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterTask {
    Nothing,
    Ended(Outcome),
    /// It had ended, and is taken up again.
    TakenUp,
}

/// Which follow-ups an event of a task has at all.
pub(super) fn after_task(event: &task::Event) -> AfterTask {
    if matches!(event, task::Event::TaskCompleted { .. }) {
        AfterTask::Ended(Outcome::Completed)
    } else if matches!(event, task::Event::TaskFailed { .. }) {
        AfterTask::Ended(Outcome::Failed)
    } else if matches!(event, task::Event::TaskCancelled { .. }) {
        AfterTask::Ended(Outcome::Cancelled)
    } else if matches!(event, task::Event::TaskRequeued { .. }) {
        AfterTask::TakenUp
    } else {
        AfterTask::Nothing
    }
}

/// Tells the ticket, and the tasks that wait for it, how a task ended.
pub(super) fn on_task_outcome(task: &Task, after: AfterTask, mates: &[Arc<Task>]) -> Vec<FollowUp> {
    let outcome = match after {
        AfterTask::Nothing => return Vec::new(),
        AfterTask::Ended(outcome) => Some(outcome),
        AfterTask::TakenUp => None,
    };
    let Some(id) = task.id() else { return Vec::new() };
    let mut follow_ups = Vec::new();
    if let Some(ticket) = task.work().and_then(|work| work.ticket) {
        let note = ticket::Command::NoteOutcome { task: id, outcome };
        follow_ups.push(FollowUp::Ticket(ticket, note));
    }
    let Some(outcome) = outcome else { return follow_ups };
    let waits = |mate: &&Arc<Task>| mate.work().is_some_and(|work| work.depends_on.contains(&id));
    let waiting = mates.iter().filter(waits).filter_map(|mate| mate.id());
    follow_ups.extend(
        waiting
            .map(|mate| FollowUp::Task(mate, task::Command::NoteDependency { task: id, outcome })),
    );
    follow_ups
}
