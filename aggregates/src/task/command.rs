//! The commands of a task.

use super::event::{Event, Outcome, Work};
use super::state::{Status, Task};
use crate::output::Priority;
use crate::spec::{FailureKind, LossCause, Payload};
use crate::{Backoff, Digest, Epoch, Finding, InstanceId, RawJson, SandboxId, TaskId, Timestamp};
use crate::{Usage, spec::Wait};

/// Sandboxes that one task may lose before it fails.
const MAX_SANDBOX_LOSSES: u32 = 5;

/// What can be asked of a task.
#[derive(Debug, Clone)]
pub enum Command {
    /// Makes it, or brings it to what the plan says now.
    Queue {
        task: TaskId,
        work: Box<Work>,
        held_by_spec: bool,
    },
    Release {
        run: u32,
    },
    NoteDependency {
        task: TaskId,
        outcome: Outcome,
    },
    Claim {
        sandbox: SandboxId,
        lease_ms: u64,
        now: Timestamp,
    },
    Start {
        epoch: Epoch,
        instance: InstanceId,
        now: Timestamp,
    },
    RecordStep {
        epoch: Epoch,
        step: u32,
        name: String,
        result: Payload,
        usage: Usage,
    },
    SubmitResult {
        epoch: Epoch,
        summary: String,
        result: String,
        usage: Usage,
    },
    RecordVerdict {
        result: Digest,
        verdict: Verdict,
        wait: Wait,
    },
    ReportFailure {
        epoch: Epoch,
        kind: FailureKind,
        message: String,
        usage: Usage,
        wait: Wait,
    },
    ReportLost {
        epoch: Epoch,
        cause: LossCause,
        usage: Usage,
        wait: Wait,
    },
    Reprioritise {
        priority: Priority,
        by: String,
    },
    Retry {
        by: String,
    },
    Cancel {
        by: String,
        reason: String,
    },
}

/// What an evaluator said of a result.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub evaluator: String,
    pub passed: bool,
    pub score: u16,
    pub findings: Vec<Finding>,
}

/// A refused command. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such task; `specline tasks` shows those that are")]
    NotFound,
    #[error("epoch {given} is over: epoch {current} is the one that may write; stop")]
    StaleEpoch { given: Epoch, current: Epoch },
    #[error("the task is {status}, and {command} needs it to be {needs}")]
    WrongStatus { status: &'static str, command: &'static str, needs: &'static str },
    #[error("the task is {status} and takes no more work; `retry` it to go on")]
    Ended { status: &'static str },
    #[error("the result that waits is {current}, not {given}")]
    DigestMismatch { given: Digest, current: Digest },
    #[error("the replayed state is broken: {0}")]
    Broken(String),
}

impl Rejection {
    /// Stable code, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::StaleEpoch { .. } => "stale_epoch",
            Self::WrongStatus { .. } => "wrong_status",
            Self::Ended { .. } => "task_ended",
            Self::DigestMismatch { .. } => "digest_mismatch",
            Self::Broken(_) => "corrupt",
        }
    }
}

type Decision = Result<Vec<Event>, Rejection>;

impl Work {
    /// Digest of the whole plan of a task.
    #[must_use]
    pub fn digest(&self) -> Digest {
        RawJson::of(self).expect("strings, numbers and lists are always valid JSON").digest()
    }
}

impl Task {
    /// Decides `command` on this state.
    pub fn decide(&self, command: &Command) -> Decision {
        if let Some(broken) = &self.broken {
            return Err(Rejection::Broken(broken.clone()));
        }
        if self.status == Status::Unknown && !matches!(command, Command::Queue { .. }) {
            return Err(Rejection::NotFound);
        }
        match command {
            Command::Queue { task, work, held_by_spec } => {
                Ok(self.queue(*task, work, *held_by_spec))
            }
            Command::Release { run } => Ok(self.release(*run)),
            Command::NoteDependency { task, outcome } => Ok(self.note(*task, *outcome)),
            Command::Claim { sandbox, lease_ms, now } => self.claim(*sandbox, *lease_ms, *now),
            Command::Start { epoch, instance, now } => self.start(*epoch, *instance, *now),
            Command::RecordStep { epoch, step, name, result, usage } => {
                self.running(*epoch)?;
                Ok(self.step(*step, name, result, *usage))
            }
            Command::SubmitResult { epoch, summary, result, usage } => {
                self.submit(*epoch, (summary, result), *usage)
            }
            Command::RecordVerdict { result, verdict, wait } => {
                self.verdict(*result, verdict, *wait)
            }
            Command::ReportFailure { epoch, kind, message, usage, wait } => {
                self.at_work(*epoch)?;
                Ok(self.failed((*kind, message), *usage, *wait))
            }
            Command::ReportLost { epoch, cause, usage, wait } => {
                Ok(self.lost(*epoch, cause, *usage, *wait))
            }
            Command::Reprioritise { priority, by } => self.reprioritise(*priority, by),
            Command::Retry { by } => self.retry(by),
            Command::Cancel { by, reason } => self.cancel(by, reason),
        }
    }

    fn queue(&self, task: TaskId, work: &Work, held_by_spec: bool) -> Vec<Event> {
        let digest = work.digest();
        if self.status == Status::Unknown {
            let queued =
                Event::TaskQueued { task, work: Box::new(work.clone()), digest, held_by_spec };
            let free = !held_by_spec && work.depends_on.is_empty();
            return std::iter::once(queued)
                .chain(free.then_some(Event::TaskUnblocked {}))
                .collect();
        }
        let same = self.digest == Some(digest);
        let revised = || Event::TaskRevised { work: Box::new(work.clone()), digest };
        if self.taken_back && (same || !self.is_begun()) {
            let reason = "planned again".to_owned();
            let requeued = Event::TaskRequeued { not_before: None, reason };
            return (!same).then(revised).into_iter().chain([requeued]).collect();
        }
        if same || self.is_begun() || self.status.is_ended() {
            return Vec::new();
        }
        self.then_unblocked(revised())
    }

    /// TaskUnblocked, if `after` stands in no way any more.
    fn unblocked(after: &Self) -> Option<Event> {
        let free = after.status == Status::Blocked && after.blocked_by().is_none();
        free.then_some(Event::TaskUnblocked {})
    }

    fn then_unblocked(&self, event: Event) -> Vec<Event> {
        let mut after = self.clone();
        after.record(&event);
        let unblocked = Self::unblocked(&after);
        std::iter::once(event).chain(unblocked).collect()
    }

    fn release(&self, run: u32) -> Vec<Event> {
        if !self.held_by_spec || matches!(self.status, Status::Completed { .. }) {
            return Vec::new();
        }
        self.then_unblocked(Event::TaskReleased { run })
    }

    fn note(&self, task: TaskId, outcome: Outcome) -> Vec<Event> {
        let ended = matches!(self.status, Status::Completed { .. });
        let waits = self.work.as_ref().is_some_and(|work| work.depends_on.contains(&task));
        let known = self.outcomes.get(&task).copied();
        // A task that was completed stays so.
        if !waits || ended || known == Some(outcome) || known == Some(Outcome::Completed) {
            return Vec::new();
        }
        self.then_unblocked(Event::DependencyNoted { task, outcome })
    }

    fn claim(&self, sandbox: SandboxId, lease_ms: u64, now: Timestamp) -> Decision {
        if matches!(self.status, Status::Claimed { sandbox: held, .. } if held == sandbox) {
            return Ok(Vec::new());
        }
        if let Status::Queued { not_before } = self.status
            && not_before.is_none_or(|at| at <= now)
        {
            let epoch = self.epoch.next();
            return Ok(vec![Event::TaskClaimed { epoch, sandbox, lease_ms, at: now }]);
        }
        Err(self.wrong("a claim", "queued"))
    }

    fn start(&self, epoch: Epoch, instance: InstanceId, now: Timestamp) -> Decision {
        self.fence(epoch)?;
        if matches!(self.status, Status::Running { instance: held, .. } if held == instance) {
            return Ok(Vec::new());
        }
        if !matches!(self.status, Status::Claimed { .. }) {
            return Err(Rejection::StaleEpoch { given: epoch, current: self.epoch });
        }
        let limit = self.work.as_ref().map_or(0, |work| work.execution.timeout_ms);
        let (attempt, deadline) = (self.last_attempt + 1, now.plus_ms(limit));
        Ok(vec![Event::TaskStarted { epoch, attempt, instance, deadline }])
    }

    fn step(&self, step: u32, name: &str, result: &Payload, usage: Usage) -> Vec<Event> {
        if self.steps.contains(name) {
            return Vec::new();
        }
        vec![Event::TaskStepRecorded {
            attempt: self.last_attempt,
            step,
            name: name.to_owned(),
            result: result.clone(),
            usage,
        }]
    }

    fn submit(&self, epoch: Epoch, (summary, result): (&str, &str), usage: Usage) -> Decision {
        let digest = Digest::of(result.as_bytes());
        if matches!(self.status, Status::Completed { result } if result == digest) {
            return Ok(Vec::new());
        }
        self.fence(epoch)?;
        if matches!(self.status, Status::Verifying { result, .. } if result == digest) {
            return Ok(Vec::new());
        }
        self.running(epoch)?;
        Ok(vec![Event::TaskResultSubmitted {
            attempt: self.last_attempt,
            summary: summary.to_owned(),
            result: result.to_owned(),
            digest,
            usage,
        }])
    }

    fn verdict(&self, result: Digest, verdict: &Verdict, wait: Wait) -> Decision {
        if matches!(self.status, Status::Completed { result: done } if done == result) {
            return Ok(Vec::new());
        }
        let Status::Verifying { result: current, .. } = self.status else {
            return Err(self.wrong("a verdict", "verifying"));
        };
        if current != result {
            return Err(Rejection::DigestMismatch { given: result, current });
        }
        let mut events = vec![Event::TaskVerdictRecorded {
            attempt: self.last_attempt,
            result,
            evaluator: verdict.evaluator.clone(),
            passed: verdict.passed,
            score: verdict.score,
            findings: verdict.findings.clone(),
        }];
        if verdict.passed {
            events.push(Event::TaskCompleted { result });
        } else {
            let message = format!("{} did not pass it", verdict.evaluator);
            let failure = (FailureKind::Gate, message.as_str());
            events.extend(self.failed(failure, Usage::default(), wait));
        }
        Ok(events)
    }

    fn failed(&self, (kind, message): (FailureKind, &str), usage: Usage, wait: Wait) -> Vec<Event> {
        let limit = self.work.as_ref().map_or(1, |work| work.execution.max_attempts);
        let (attempt, used) = (self.last_attempt, self.attempts);
        let failed = Event::TaskAttemptFailed { attempt, kind, message: message.to_owned(), usage };
        let next = if kind == FailureKind::Configuration || used >= limit {
            Event::TaskFailed { kind, reason: format!("attempt {attempt}: {message}") }
        } else {
            let wait_ms = Backoff::default().wait_ms(used, wait.jitter);
            let not_before = Some(wait.now.plus_ms(wait_ms));
            Event::TaskRequeued { not_before, reason: message.to_owned() }
        };
        vec![failed, next]
    }

    fn lost(&self, epoch: Epoch, cause: &LossCause, usage: Usage, wait: Wait) -> Vec<Event> {
        if epoch != self.epoch || self.status.sandbox().is_none() {
            return Vec::new();
        }
        let lost = Event::TaskSandboxLost { epoch, cause: cause.clone(), usage };
        let losses = self.losses + 1;
        let next = if losses > MAX_SANDBOX_LOSSES {
            let reason = format!("{losses} sandboxes were lost");
            Event::TaskFailed { kind: FailureKind::SandboxLost, reason }
        } else {
            let wait_ms = Backoff::default().wait_ms(self.losses, wait.jitter);
            let not_before = (self.losses > 0).then(|| wait.now.plus_ms(wait_ms));
            Event::TaskRequeued { not_before, reason: "its sandbox was lost".to_owned() }
        };
        vec![lost, next]
    }

    fn reprioritise(&self, priority: Priority, by: &str) -> Decision {
        self.open()?;
        if self.work.as_ref().is_some_and(|work| work.priority == priority) {
            return Ok(Vec::new());
        }
        Ok(vec![Event::TaskReprioritised { priority, by: by.to_owned() }])
    }

    fn retry(&self, by: &str) -> Decision {
        match self.status {
            Status::Failed { .. } | Status::Cancelled { .. } => Ok(vec![Event::TaskRequeued {
                not_before: None,
                reason: format!("retried by {by}"),
            }]),
            Status::Queued { .. } | Status::Blocked => Ok(Vec::new()),
            Status::Unknown
            | Status::Claimed { .. }
            | Status::Running { .. }
            | Status::Verifying { .. }
            | Status::Completed { .. } => Err(self.wrong("a retry", "failed or cancelled")),
        }
    }

    fn cancel(&self, by: &str, reason: &str) -> Decision {
        match self.status {
            Status::Cancelled { .. } => Ok(Vec::new()),
            Status::Completed { .. } | Status::Failed { .. } => {
                Err(Rejection::Ended { status: self.status.as_str() })
            }
            Status::Unknown
            | Status::Blocked
            | Status::Queued { .. }
            | Status::Claimed { .. }
            | Status::Running { .. }
            | Status::Verifying { .. } => {
                Ok(vec![Event::TaskCancelled { by: by.to_owned(), reason: reason.to_owned() }])
            }
        }
    }

    fn open(&self) -> Result<(), Rejection> {
        if self.status.is_ended() {
            return Err(Rejection::Ended { status: self.status.as_str() });
        }
        Ok(())
    }

    fn fence(&self, epoch: Epoch) -> Result<(), Rejection> {
        self.open()?;
        if epoch != self.epoch || self.status.sandbox().is_none() {
            return Err(Rejection::StaleEpoch { given: epoch, current: self.epoch });
        }
        Ok(())
    }

    fn running(&self, epoch: Epoch) -> Result<(), Rejection> {
        self.fence(epoch)?;
        if matches!(self.status, Status::Running { .. }) {
            return Ok(());
        }
        Err(self.wrong("this", "running"))
    }

    /// An attempt has begun: before that, nothing of it can fail.
    fn at_work(&self, epoch: Epoch) -> Result<(), Rejection> {
        self.fence(epoch)?;
        if matches!(self.status, Status::Claimed { .. }) {
            return Err(self.wrong("a failure", "running"));
        }
        Ok(())
    }

    const fn wrong(&self, command: &'static str, needs: &'static str) -> Rejection {
        Rejection::WrongStatus { status: self.status.as_str(), command, needs }
    }
}
