//! What a sandbox is to do next. The answer is derived from the spec's state; asking again gives
//! the same work.

use specline_aggregates::spec::command::StartAttempt;
use specline_aggregates::spec::{Attempt, Command, Rejection, Sandbox, Spec, Status};
use specline_aggregates::{Digest, Phase, Timestamp, output};

use super::lookup::within;
use super::programs::ChosenAgent;
use super::{Engine, EngineError};
use crate::commands::{Actor, CommandError, Order, Origin};
use crate::prompts;
use crate::protocol::{Assignment, Work};
use crate::store::{Lease, LeaseState};

/// What the state says of a sandbox, before anything is done.
#[derive(Debug, PartialEq, Eq)]
enum Stand {
    Stale,
    Ended(Status),
    Detach(&'static str),
    Wait { until: Option<Timestamp>, reason: &'static str },
    Ready(Phase),
}

/// Pure: where the sandbox of `lease` stands.
fn stand(spec: &Spec, lease: &Lease, now: Timestamp) -> Stand {
    if spec.status().is_ended() {
        return Stand::Ended(spec.status());
    }
    let attached = matches!(spec.sandbox(), Sandbox::Attached { id, .. } if id == lease.sandbox);
    if lease.epoch != spec.epoch() || !attached {
        return if spec.sandbox().id() == Some(lease.sandbox) {
            Stand::Wait { until: None, reason: "attach first" }
        } else {
            Stand::Stale
        };
    }
    let Some(phase) = spec.phase() else {
        return Stand::Wait { until: None, reason: "not started" };
    };
    let state = spec.current();
    let running = state.and_then(|state| state.running);
    let retry_at = state.and_then(|state| state.retry_at).filter(|at| *at > now);
    match spec.status() {
        Status::Executing if !phase.needs_agent() => {
            Stand::Wait { until: None, reason: "the engine carries out sync" }
        }
        Status::Executing if state.is_some_and(|state| !state.evaluating.is_empty()) => {
            Stand::Wait { until: None, reason: "evaluators judge the output" }
        }
        Status::Executing => match retry_at {
            Some(until) if running.is_none() => {
                Stand::Wait { until: Some(until), reason: "backoff before the next attempt" }
            }
            _ => Stand::Ready(phase),
        },
        Status::Paused if running.is_some() => Stand::Ready(phase),
        Status::Paused => Stand::Detach("the spec is paused"),
        Status::AwaitingApproval => Stand::Detach("a person must approve"),
        Status::Draft | Status::Unknown => Stand::Wait { until: None, reason: "not started" },
        Status::Completed | Status::Failed | Status::Cancelled => Stand::Ended(spec.status()),
    }
}

impl Engine {
    /// The next assignment of the sandbox of `lease`; starts the attempt that it hands out.
    pub(super) async fn assignment(&self, lease: &Lease) -> Result<Assignment, EngineError> {
        let id = lease.owner.into();
        let now = self.now().await?;
        let spec = self.spec(id).await?;
        if lease.state == LeaseState::Ended && !spec.status().is_ended() {
            return Err(super::worker_calls::let_go());
        }
        match stand(&spec, lease, now) {
            Stand::Stale => Err(EngineError::refused(&Rejection::StaleEpoch {
                given: lease.epoch,
                current: spec.epoch(),
            })),
            Stand::Ended(status) => Ok(Assignment::Done { status }),
            Stand::Detach(reason) => Ok(Assignment::Detach { reason: reason.to_owned() }),
            Stand::Wait { until, reason } => {
                Ok(Assignment::Wait { until, reason: reason.to_owned() })
            }
            Stand::Ready(phase) => self.work(&spec, lease, phase, now).await,
        }
    }

    async fn work(
        &self,
        spec: &Spec,
        lease: &Lease,
        phase: Phase,
        now: Timestamp,
    ) -> Result<Assignment, EngineError> {
        let blobs = self.blobs(spec).await?;
        let context = spec.context(phase, &blobs).map_err(|e| EngineError::refused(&e))?;
        let context = serde_json::to_value(&context).map_err(|error| internal(&error))?;
        let prompt = prompts::render(phase, &context).map_err(|error| internal(&error))?;
        let digest = Digest::of(format!("{}\n{}", prompt.system, prompt.user).as_bytes());
        let command =
            Command::StartAttempt(StartAttempt { epoch: lease.epoch, prompt: digest, now });
        let actor = Actor::Sandbox(lease.sandbox, lease.epoch);
        let origin = within(Origin::of(actor, lease.owner), spec);
        let done = self.commands().spec(lease.owner.into(), &command, Order::from(&origin)).await;
        let done = match done {
            Err(CommandError::Rejected(Rejection::TooEarly)) => {
                let until = spec.current().and_then(|state| state.retry_at);
                let reason = "backoff before the next attempt".to_owned();
                return Ok(Assignment::Wait { until, reason });
            }
            Err(CommandError::Rejected(Rejection::BudgetExceeded { used })) => {
                return Ok(Assignment::Detach { reason: format!("the budget is used up: {used}") });
            }
            other => other?,
        };
        let state = done.state.phase_state(phase);
        let Some(attempt) = state.and_then(|state| state.running) else {
            return Ok(Assignment::Wait { until: None, reason: "the phase moved on".to_owned() });
        };
        let session = state.and_then(|state| state.session.clone());
        let chosen = self.agent_of(&done.state).await?;
        let work = work_of(&done.state, (attempt, phase), now, chosen);
        let work = Work { session, ..work };
        let (system_prompt, prompt) = (prompt.system, prompt.user);
        let work = Work { context, system_prompt, prompt, ..work };
        Ok(Assignment::Work(Box::new(work)))
    }
}

fn work_of(
    spec: &Spec,
    (attempt, phase): (Attempt, Phase),
    now: Timestamp,
    chosen: ChosenAgent,
) -> Work {
    let left = attempt.deadline.ms_since(now);
    Work {
        phase,
        attempt: attempt.number,
        context_digest: attempt.context,
        context: serde_json::Value::Null,
        system_prompt: String::new(),
        prompt: String::new(),
        output_schema: output::schema(phase),
        time_limit_ms: chosen.time_ms.map_or(left, |most| left.min(most)),
        turns: spec.policy().limits(phase).turns,
        agent: chosen.agent,
        agent_env: chosen.env,
        session: None,
    }
}

fn internal(cause: &dyn std::fmt::Display) -> EngineError {
    EngineError::Internal { what: "the prompt could not be made", cause: cause.to_string() }
}
