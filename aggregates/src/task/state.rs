//! The state of a task, and its transition.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{Event, Outcome, Work};
use crate::{
    Digest, Epoch, Finding, IllegalTransition, InstanceId, SandboxId, TaskId, Timestamp, Usage,
};

/// Who acts when no person does.
pub(super) const ENGINE: &str = "engine";

/// Where a task stands. Each variant holds what is true only there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// No event yet: there is no such task.
    #[default]
    Unknown,
    Blocked,
    Queued {
        not_before: Option<Timestamp>,
    },
    Claimed {
        sandbox: SandboxId,
        at: Timestamp,
    },
    Running {
        sandbox: SandboxId,
        instance: InstanceId,
        deadline: Timestamp,
    },
    Verifying {
        sandbox: SandboxId,
        result: Digest,
    },
    Completed {
        result: Digest,
    },
    Failed {
        reason: String,
    },
    Cancelled {
        reason: String,
    },
}

impl Status {
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Blocked => "blocked",
            Self::Queued { .. } => "queued",
            Self::Claimed { .. } => "claimed",
            Self::Running { .. } => "running",
            Self::Verifying { .. } => "verifying",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    #[must_use]
    pub const fn is_ended(&self) -> bool {
        matches!(self, Self::Completed { .. } | Self::Failed { .. } | Self::Cancelled { .. })
    }

    /// Whether a sandbox has it.
    #[must_use]
    pub const fn sandbox(&self) -> Option<SandboxId> {
        match self {
            Self::Claimed { sandbox, .. }
            | Self::Running { sandbox, .. }
            | Self::Verifying { sandbox, .. } => Some(*sandbox),
            Self::Unknown
            | Self::Blocked
            | Self::Queued { .. }
            | Self::Completed { .. }
            | Self::Failed { .. }
            | Self::Cancelled { .. } => None,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A task. Made only by replay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Task {
    pub(super) id: Option<TaskId>,
    pub(super) version: u64,
    pub(super) work: Option<Work>,
    pub(super) digest: Option<Digest>,
    pub(super) status: Status,
    pub(super) held_by_spec: bool,
    /// Outcomes of the tasks it waits for, as it was told.
    pub(super) outcomes: BTreeMap<TaskId, Outcome>,
    pub(super) epoch: Epoch,
    /// Attempts that count against the limit, since it was queued or retried.
    pub(super) attempts: u32,
    /// Number of the last attempt; rises for the life of the task.
    pub(super) last_attempt: u32,
    pub(super) losses: u32,
    /// The engine cancelled it, not a person: planned again, it comes back.
    pub(super) taken_back: bool,
    pub(super) steps: BTreeSet<String>,
    pub(super) findings: Vec<Finding>,
    pub(super) passed: Option<Digest>,
    pub(super) usage: Usage,
    #[serde(default)]
    pub(super) broken: Option<String>,
}

impl Task {
    #[must_use]
    pub const fn id(&self) -> Option<TaskId> {
        self.id
    }

    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    #[must_use]
    pub const fn work(&self) -> Option<&Work> {
        self.work.as_ref()
    }

    /// Digest of the work as it was last planned.
    #[must_use]
    pub const fn digest(&self) -> Option<Digest> {
        self.digest
    }

    #[must_use]
    pub const fn status(&self) -> &Status {
        &self.status
    }

    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Attempts that count against the limit.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Number of the last attempt.
    #[must_use]
    pub const fn last_attempt(&self) -> u32 {
        self.last_attempt
    }

    #[must_use]
    pub const fn usage(&self) -> Usage {
        self.usage
    }

    /// Whether it was ever claimed.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.epoch > Epoch::default()
    }

    /// Why it cannot run yet; none when nothing is in the way.
    #[must_use]
    pub fn blocked_by(&self) -> Option<String> {
        if self.held_by_spec {
            return Some("its spec has not been synced yet".to_owned());
        }
        self.waits_for(self.work.as_ref()?)
    }

    /// Why `work` would have to wait for other tasks.
    fn waits_for(&self, work: &Work) -> Option<String> {
        let ended_badly = work.depends_on.iter().find_map(|task| {
            let outcome = self.outcomes.get(task)?;
            (*outcome != Outcome::Completed)
                .then(|| format!("task {task}, which it needs, is {}", outcome.as_str()))
        });
        ended_badly.or_else(|| {
            let open = work.depends_on.iter().filter(|task| !self.outcomes.contains_key(task));
            let open: Vec<_> = open.map(ToString::to_string).collect();
            (!open.is_empty()).then(|| format!("waits for {}", open.join(", ")))
        })
    }

    /// Applies one event. On an error the state is unchanged.
    pub fn evolve(&mut self, event: &Event) -> Result<(), IllegalTransition> {
        let next = self.transition(event)?;
        self.version += 1;
        self.record(event);
        self.status = next;
        Ok(())
    }

    /// The status after `event`, or why it cannot follow.
    fn transition(&self, event: &Event) -> Result<Status, IllegalTransition> {
        let illegal = || Err(IllegalTransition::new(&self.status, event.name()));
        let begun = self.status.sandbox();
        Ok(match (event, begun) {
            (Event::TaskQueued { .. }, _) if self.status == Status::Unknown => Status::Blocked,
            (Event::TaskQueued { .. }, _) => return illegal(),
            (_, _) if self.status == Status::Unknown => return illegal(),
            (Event::TaskUnblocked {}, _) if self.status == Status::Blocked => {
                Status::Queued { not_before: None }
            }
            (Event::TaskClaimed { epoch, sandbox, at, .. }, _)
                if *epoch == self.epoch.next() && matches!(self.status, Status::Queued { .. }) =>
            {
                Status::Claimed { sandbox: *sandbox, at: *at }
            }
            (Event::TaskStarted { epoch, instance, deadline, .. }, Some(sandbox))
                if *epoch == self.epoch && matches!(self.status, Status::Claimed { .. }) =>
            {
                Status::Running { sandbox, instance: *instance, deadline: *deadline }
            }
            (Event::TaskResultSubmitted { digest, .. }, Some(sandbox))
                if matches!(self.status, Status::Running { .. }) =>
            {
                Status::Verifying { sandbox, result: *digest }
            }
            (Event::TaskCompleted { result }, Some(_)) if self.passed == Some(*result) => {
                Status::Completed { result: *result }
            }
            (Event::TaskRequeued { not_before, .. }, _) if !self.is_completed() => {
                self.queued(*not_before)
            }
            (Event::TaskFailed { reason, .. }, Some(_)) => {
                Status::Failed { reason: reason.clone() }
            }
            (Event::TaskCancelled { reason, .. }, _) if !self.status.is_ended() => {
                Status::Cancelled { reason: reason.clone() }
            }
            (
                Event::TaskUnblocked {}
                | Event::TaskClaimed { .. }
                | Event::TaskStarted { .. }
                | Event::TaskResultSubmitted { .. }
                | Event::TaskCompleted { .. }
                | Event::TaskRequeued { .. }
                | Event::TaskFailed { .. }
                | Event::TaskCancelled { .. },
                _,
            ) => return illegal(),
            (Event::TaskRevised { work, .. }, _)
                if matches!(self.status, Status::Queued { .. })
                    && self.waits_for(work).is_some() =>
            {
                Status::Blocked
            }
            (
                Event::TaskRevised { .. }
                | Event::TaskReleased { .. }
                | Event::DependencyNoted { .. }
                | Event::TaskStepRecorded { .. }
                | Event::TaskVerdictRecorded { .. }
                | Event::TaskAttemptFailed { .. }
                | Event::TaskSandboxLost { .. }
                | Event::TaskReprioritised { .. },
                _,
            ) => self.status.clone(),
        })
    }

    const fn is_completed(&self) -> bool {
        matches!(self.status, Status::Completed { .. })
    }

    /// Back in the queue; blocked while something stands in the way.
    fn queued(&self, not_before: Option<Timestamp>) -> Status {
        if self.blocked_by().is_some() { Status::Blocked } else { Status::Queued { not_before } }
    }

    /// The changes beside the status, which is still the one before the event.
    pub(super) fn record(&mut self, event: &Event) {
        if let Event::TaskQueued { task, work, digest, held_by_spec } = event {
            self.id = Some(*task);
            self.work = Some((**work).clone());
            self.digest = Some(*digest);
            self.held_by_spec = *held_by_spec;
        } else if let Event::TaskRevised { work, digest } = event {
            self.work = Some((**work).clone());
            self.digest = Some(*digest);
        } else if let Event::TaskReleased { .. } = event {
            self.held_by_spec = false;
        } else if let Event::DependencyNoted { task, outcome } = event {
            self.outcomes.insert(*task, *outcome);
        } else if let Event::TaskClaimed { epoch, .. } = event {
            self.epoch = *epoch;
        } else if let Event::TaskStarted { attempt, .. } = event {
            self.last_attempt = *attempt;
            self.attempts += 1;
        } else if let Event::TaskStepRecorded { name, usage, .. } = event {
            self.steps.insert(name.clone());
            self.usage = self.usage.plus(*usage);
        } else if let Event::TaskResultSubmitted { usage, .. } = event {
            self.usage = self.usage.plus(*usage);
        } else if let Event::TaskVerdictRecorded { passed, result, findings, .. } = event {
            self.passed = passed.then_some(*result);
            self.findings.clone_from(findings);
        } else if let Event::TaskAttemptFailed { usage, .. } = event {
            self.usage = self.usage.plus(*usage);
            self.steps.clear();
        } else if let Event::TaskSandboxLost { usage, .. } = event {
            self.usage = self.usage.plus(*usage);
            self.losses += 1;
            if !matches!(self.status, Status::Claimed { .. }) {
                self.attempts = self.attempts.saturating_sub(1);
            }
        } else if let Event::TaskCancelled { by, .. } = event {
            self.taken_back = by == ENGINE;
        } else if let Event::TaskRequeued { .. } = event {
            if self.status.is_ended() {
                self.attempts = 0;
                self.losses = 0;
                self.taken_back = false;
            }
        } else if let (Event::TaskReprioritised { priority, .. }, Some(work)) =
            (event, &mut self.work)
        {
            work.priority = *priority;
        }
    }
}
