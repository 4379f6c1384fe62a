//! One spec on its way through the command path: drafted, started, attached, its attempt begun, and
//! then step by step. Each command is an append of its own, as it is when a worker sends them. What
//! is left out is what is not the log's: HTTP, the rendered prompt, and the sandbox's process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use specline_aggregates::spec::command::{
    AttachSandbox, CancelSpec, DraftSpec, RecordStep, ReportSandboxLost, StartAttempt,
    StartExecution,
};
use specline_aggregates::spec::{
    Brief, Command, LossCause, ManifestRef, Payload, Repository, Sandbox, Spec, Wait,
};
use specline_aggregates::{
    Digest, Epoch, InstanceId, Phase, Policy, ProjectId, RawJson, SpecId, Usage,
};
use uuid::Uuid;

use crate::cli::Failure;
use crate::commands::{Actor, Commands, Done, Order, Origin};

use super::failed;

/// Bytes of each step's result.
pub const STEP_BYTES: usize = 500;

/// The repository that the specs name; nothing is read from it.
const LOCATION: &str = "/bench";

/// Drives specs on one log.
#[derive(Clone)]
pub struct Driver {
    commands: Arc<Commands>,
    project: ProjectId,
}

impl Driver {
    #[must_use]
    pub fn new(commands: Arc<Commands>) -> Self {
        Self { commands, project: ProjectId::of_repository(LOCATION) }
    }

    pub async fn spec(&self, id: SpecId) -> Result<Arc<Spec>, Failure> {
        let loaded = self.commands.specs.load(id.uuid()).await;
        Ok(loaded.map_err(|error| failed("a spec cannot be loaded", error))?.state)
    }

    async fn order(
        &self,
        id: SpecId,
        actor: Actor,
        command: Command,
    ) -> Result<Done<Spec>, Failure> {
        let origin = Origin::of(actor, id.uuid()).within(self.project);
        let done = self.commands.spec(id, &command, Order::from(&origin)).await;
        done.map_err(|error| failed("a command was not carried out", error))
    }

    /// Everything before the first step: four commands.
    pub async fn begin(&self, id: SpecId) -> Result<Arc<Spec>, Failure> {
        let person = || Actor::Person("bench".to_owned());
        let brief = Brief {
            project: self.project,
            title: "A spec of the load generator".to_owned(),
            description: "Six durable steps, and nothing else.".to_owned(),
            repository: Repository { location: LOCATION.to_owned(), reference: None },
            source_ticket: None,
        };
        let policy = Policy { agent: "noop".to_owned(), ..Policy::default() };
        let draft = Command::Draft(Box::new(DraftSpec { spec: id, brief, policy }));
        self.order(id, person(), draft).await?;
        let manifest =
            ManifestRef { digest: Digest::of(b"bench"), commit: "0".repeat(40), files: 1 };
        let start = Command::Start(StartExecution { manifest });
        let done = self.order(id, person(), start).await?;
        self.attach(id, done.state.epoch()).await
    }

    /// A new process takes the spec up where the dead one left it: its sandbox is lost, a new one
    /// is attached, and the attempt begins again in the same context, so that its steps hold.
    pub async fn take_up(&self, id: SpecId) -> Result<Arc<Spec>, Failure> {
        let spec = self.spec(id).await?;
        let epoch = match spec.sandbox() {
            Sandbox::Attached { .. } => {
                let lost = Command::ReportLost(ReportSandboxLost {
                    epoch: spec.epoch(),
                    cause: LossCause::Signal { signal: 9 },
                    last_heard: None,
                    reported: spec.usage(),
                    wait: Wait { now: self.now().await?, jitter: 0 },
                });
                let done = self.order(id, Actor::Duty("watchdog"), lost).await?;
                done.state.epoch()
            }
            Sandbox::Requested { .. } | Sandbox::None => spec.epoch(),
        };
        self.attach(id, epoch).await
    }

    async fn attach(&self, id: SpecId, epoch: Epoch) -> Result<Arc<Spec>, Failure> {
        let sandbox = || Actor::Sandbox(id.sandbox(epoch), epoch);
        let attach = Command::Attach(AttachSandbox {
            epoch,
            instance: InstanceId::new(Uuid::now_v7()),
            provider: "process".to_owned(),
            isolation: None,
            worker_version: env!("CARGO_PKG_VERSION").to_owned(),
        });
        self.order(id, sandbox(), attach).await?;
        let now = self.now().await?;
        let prompt = Digest::of(b"prompt");
        let attempt = Command::StartAttempt(StartAttempt { epoch, prompt, now });
        Ok(self.order(id, sandbox(), attempt).await?.state)
    }

    async fn now(&self) -> Result<specline_aggregates::Timestamp, Failure> {
        self.commands.log().now().await.map_err(|error| failed("the log has no time", error))
    }

    /// Records one step, durably.
    pub async fn step(
        &self,
        (id, epoch): (SpecId, Epoch),
        number: u32,
    ) -> Result<Done<Spec>, Failure> {
        let result = step_result(number).map_err(|error| failed("a step's result", error))?;
        let step = Command::RecordStep(RecordStep {
            epoch,
            phase: Phase::Explore,
            attempt: self.attempt(id).await?,
            number,
            name: step_name(number),
            result: Payload::of(result),
            usage: Usage { input_tokens: 2_000, output_tokens: 300, ..Usage::default() },
        });
        self.order(id, Actor::Sandbox(id.sandbox(epoch), epoch), step).await
    }

    async fn attempt(&self, id: SpecId) -> Result<u32, Failure> {
        let spec = self.spec(id).await?;
        Ok(spec.current().map_or(0, |state| state.last_attempt))
    }

    /// Ends a spec.
    pub async fn cancel(&self, id: SpecId) -> Result<(), Failure> {
        let by = "bench".to_owned();
        let cancel = Command::Cancel(CancelSpec { by: by.clone(), reason: "measured".to_owned() });
        self.order(id, Actor::Person(by), cancel).await.map(drop)
    }

    /// One whole workflow, and the time of each of its steps.
    pub async fn workflow(
        &self,
        id: SpecId,
        steps: u32,
        times: &mut Vec<Duration>,
    ) -> Result<Duration, Failure> {
        let begun = Instant::now();
        let epoch = self.begin(id).await?.epoch();
        for number in 1..=steps {
            let step_begun = Instant::now();
            let done = self.step((id, epoch), number).await?;
            times.push(step_begun.elapsed());
            if !done.written {
                return Err(Failure::failed("a step was not recorded"));
            }
        }
        Ok(begun.elapsed())
    }
}

#[must_use]
pub fn step_name(number: u32) -> String {
    format!("step-{number}")
}

/// A JSON object of exactly [`STEP_BYTES`] bytes.
pub(super) fn step_result(number: u32) -> Result<RawJson, serde_json::Error> {
    let head = format!(r#"{{"step":{number},"text":""#);
    let room = STEP_BYTES - head.len() - 2;
    let words = "what the agent found, ";
    let mut text = head;
    text.extend(words.chars().cycle().take(room));
    text.push_str(r#""}"#);
    RawJson::parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_has_its_size() {
        for number in [1, 6, 1_000_000] {
            assert_eq!(step_result(number).unwrap().text().len(), STEP_BYTES);
        }
    }
}
