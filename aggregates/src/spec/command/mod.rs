//! The commands of a spec, one file each. `decide` is a function from a state and a command to the
//! events that follow, or to the reason why none does. No events means: already so.

mod approval;
mod attach;
mod attempt;
mod cancel;
mod draft;
mod edit;
mod failure;
mod fork;
mod lost;
mod notes;
mod output;
mod pause;
mod resume;
mod retry;
mod revise;
mod start;
mod step;
mod sync;
mod timeout;
mod verdict;

pub use approval::{ApprovePhase, RejectPhase};
pub use attach::AttachSandbox;
pub use attempt::StartAttempt;
pub use cancel::CancelSpec;
pub use draft::DraftSpec;
pub(crate) use draft::check_policy;
pub use edit::EditOutput;
pub use failure::ReportAttemptFailed;
pub use fork::ForkSpec;
pub use lost::ReportSandboxLost;
pub use notes::{Comment, LinkTicket};
pub use output::{Judging, SubmitOutput};
pub use pause::{ExpireApproval, PauseExecution};
pub use resume::ResumeExecution;
pub use retry::RetryFromPhase;
pub use revise::ReviseSpec;
pub use start::StartExecution;
pub use step::RecordStep;
pub use sync::{CompleteSync, PlanSync, ReportSyncFailed};
pub use timeout::TimeOutAttempt;
pub use verdict::RecordVerdict;

use super::event::{Event, FailureKind, ReleaseReason, SandboxReason};
use super::rejection::Rejection;
use super::state::{Sandbox, Spec, Status};
use crate::{Epoch, Phase, Timestamp, Usage};

/// What can be asked of a spec.
#[derive(Debug, Clone)]
pub enum Command {
    Draft(Box<DraftSpec>),
    Revise(ReviseSpec),
    Start(StartExecution),
    Attach(AttachSandbox),
    StartAttempt(StartAttempt),
    RecordStep(RecordStep),
    SubmitOutput(Box<SubmitOutput>),
    ReportFailure(ReportAttemptFailed),
    TimeOut(TimeOutAttempt),
    ReportLost(ReportSandboxLost),
    RecordVerdict(RecordVerdict),
    Approve(ApprovePhase),
    Reject(RejectPhase),
    Pause(PauseExecution),
    ExpireApproval(ExpireApproval),
    Resume(ResumeExecution),
    Retry(RetryFromPhase),
    Edit(Box<EditOutput>),
    PlanSync(Box<PlanSync>),
    CompleteSync(Box<CompleteSync>),
    ReportSyncFailed(ReportSyncFailed),
    Cancel(CancelSpec),
    LinkTicket(LinkTicket),
    Comment(Comment),
    Fork(Box<ForkSpec>),
    /// A person's command that may take a sandbox from its work, with the usage that the sandbox
    /// last reported: it is recorded when the sandbox is let go.
    Steer(Box<Command>, Usage),
}

/// What a command leads to.
pub type Decision = Result<Vec<Event>, Rejection>;

impl Spec {
    /// Decides `command` on this state.
    pub fn decide(&self, command: &Command) -> Decision {
        if let Some(broken) = &self.broken {
            return Err(Rejection::Broken(broken.clone()));
        }
        let first = matches!(command, Command::Draft(_) | Command::Fork(_));
        if self.status == Status::Unknown && !first {
            return Err(Rejection::NotFound);
        }
        match command {
            Command::Steer(command, reported) => {
                let mut events = self.decide(command)?;
                self.charge_released(&mut events, reported.since(self.epoch_usage));
                Ok(events)
            }
            Command::Draft(command) => command.decide(self),
            Command::Revise(command) => command.decide(self),
            Command::Start(command) => command.decide(self),
            Command::Attach(command) => command.decide(self),
            Command::StartAttempt(command) => command.decide(self),
            Command::RecordStep(command) => command.decide(self),
            Command::SubmitOutput(command) => command.decide(self),
            Command::ReportFailure(command) => command.decide(self),
            Command::TimeOut(command) => command.decide(self),
            Command::ReportLost(command) => command.decide(self),
            Command::RecordVerdict(command) => command.decide(self),
            Command::Approve(command) => command.decide(self),
            Command::Reject(command) => command.decide(self),
            Command::Pause(command) => command.decide(self),
            Command::ExpireApproval(command) => command.decide(self),
            Command::Resume(command) => command.decide(self),
            Command::Retry(command) => command.decide(self),
            Command::Edit(command) => command.decide(self),
            Command::PlanSync(command) => command.decide(self),
            Command::CompleteSync(command) => command.decide(self),
            Command::ReportSyncFailed(command) => command.decide(self),
            Command::Cancel(command) => command.decide(self),
            Command::LinkTicket(command) => command.decide(self),
            Command::Comment(command) => command.decide(self),
            Command::Fork(command) => command.decide(self),
        }
    }

    /// The attempt number that the next attempt of `phase` gets.
    pub(super) fn next_attempt(&self, phase: Phase) -> u32 {
        self.phase_state(phase).map_or(1, |state| state.last_attempt + 1)
    }

    /// Asks for a sandbox for `phase`; nothing when the phase needs none.
    fn request_sandbox(
        &self,
        phase: Phase,
        reason: SandboxReason,
        not_before: Option<Timestamp>,
    ) -> Option<Event> {
        let id = self.id.filter(|_| phase.needs_agent())?;
        let epoch = self.epoch.next();
        Some(Event::SandboxRequested {
            epoch,
            sandbox: id.sandbox(epoch),
            phase,
            attempt: self.next_attempt(phase),
            reason,
            not_before,
        })
    }

    /// What comes next for `phase`: a sandbox, or the end when the budget is used up.
    fn go_on(&self, phase: Phase, reason: SandboxReason) -> Option<Event> {
        match self.over_budget(Usage::default()).filter(|_| phase.needs_agent()) {
            Some(used) => Some(budget_failure(phase, &used)),
            None => self.request_sandbox(phase, reason, None),
        }
    }

    /// Lets the sandbox go, if there is one.
    fn release_sandbox(&self, reason: ReleaseReason) -> Option<Event> {
        let sandbox = self.sandbox.id()?;
        let usage = Usage::default();
        Some(Event::SandboxReleased { epoch: self.epoch, sandbox, reason, phase: None, usage })
    }

    /// Notes what a sandbox that is let go has used and not said in an event.
    fn charge_released(&self, events: &mut [Event], left: Usage) {
        for event in events {
            if let Event::SandboxReleased { phase, usage, .. } = event
                && !left.is_zero()
            {
                *phase = self.phase;
                *usage = left;
            }
        }
    }

    /// The fence: only the attached sandbox of the current epoch may go on.
    fn fence(&self, epoch: Epoch) -> Result<(), Rejection> {
        if self.status.is_ended() {
            return Err(Rejection::Ended { status: self.status });
        }
        if epoch != self.epoch || !matches!(self.sandbox, Sandbox::Attached { .. }) {
            return Err(Rejection::StaleEpoch { given: epoch, current: self.epoch });
        }
        Ok(())
    }

    /// The events after a failed attempt: another try when there are attempts and budget left,
    /// else the end of the spec. `failed` builds AttemptFailed with its retry time.
    fn after_failure(&self, phase: Phase, failed: FailedAttempt, wait: Wait) -> Vec<Event> {
        let state = self.phase_state(phase);
        let used = state.map_or(0, |state| state.used_attempts);
        let limits = self.limits(phase);
        let over = self.over_budget(failed.usage.plus(failed.submitted));
        let last = failed.kind == FailureKind::Configuration || used >= limits.attempts;
        let retry_at = if last || over.is_some() {
            None
        } else {
            Some(wait.now.plus_ms(self.policy.backoff.wait_ms(used, wait.jitter)))
        };
        let end = match over {
            Some(used) => Some((FailureKind::Budget, format!("the budget is used up: {used}"))),
            None if last => Some((
                failed.kind,
                format!("{} of {phase} failed: {}", attempts(used), failed.message),
            )),
            None => None,
        };
        let mut events = vec![Event::AttemptFailed {
            phase,
            attempt: failed.attempt,
            kind: failed.kind,
            message: failed.message,
            usage: failed.usage,
            retry_at,
        }];
        if let Some((kind, reason)) = end {
            events.extend(self.release_sandbox(ReleaseReason::Ended));
            events.push(Event::SpecFailed { kind, reason, phase });
        } else if self.status == Status::Paused {
            events.extend(self.release_sandbox(ReleaseReason::Paused));
        }
        events
    }
}

fn budget_failure(phase: Phase, used: &str) -> Event {
    let reason = format!("the budget is used up: {used}");
    Event::SpecFailed { kind: FailureKind::Budget, reason, phase }
}

fn attempts(n: u32) -> String {
    if n == 1 { "the one attempt".to_owned() } else { format!("all {n} attempts") }
}

/// What is known of an attempt that failed.
struct FailedAttempt {
    attempt: u32,
    kind: FailureKind,
    message: String,
    /// What AttemptFailed accounts for.
    usage: Usage,
    /// What the OutputSubmitted of the same append accounts for.
    submitted: Usage,
}

/// Now, and the draw that spreads retries (0 to 1000).
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    pub now: Timestamp,
    pub jitter: u16,
}

/// A text that a person gave: not empty, not longer than `max` bytes.
fn check_text(field: &'static str, text: &str, max: usize) -> Result<(), Rejection> {
    if text.trim().is_empty() {
        return Err(Rejection::InvalidInput { field, problem: "must not be empty".into() });
    }
    if text.len() > max {
        let problem = format!("is {} bytes long; at most {max} are allowed", text.len());
        return Err(Rejection::InvalidInput { field, problem });
    }
    Ok(())
}
