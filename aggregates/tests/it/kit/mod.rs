//! A spec, driven by commands. What `decide` gives is applied through `evolve`, which must take it.

mod outputs;

use std::sync::Arc;

use specline_aggregates::output::ExportedFile;
use specline_aggregates::spec::command::{
    ApprovePhase, AttachSandbox, CompleteSync, DraftSpec, EditOutput, Judging, PlanSync,
    RecordVerdict, RejectPhase, ReportAttemptFailed, ReportSandboxLost, StartAttempt,
    StartExecution, SubmitOutput, TimeOutAttempt, Wait,
};
use specline_aggregates::spec::{
    Brief, Command, Event, FailureKind, LossCause, ManifestRef, Rejection, Repository, Spec,
};
use specline_aggregates::{
    Digest, Epoch, Finding, InstanceId, Phase, Policy, ProjectId, RawJson, Severity, SpecId,
    Timestamp, Usage,
};

pub use outputs::{failing, malformed, manifest, passing};

/// 2026-01-31T12:00:00Z.
pub const BEGIN: Timestamp = Timestamp::from_micros(1_769_860_800_000_000);

pub fn spec_id() -> SpecId {
    "0198c5a0-0000-7000-8000-000000000001".parse().unwrap()
}

pub fn instance(n: u8) -> InstanceId {
    format!("0198c5a0-0000-7000-8000-0000000001{n:02x}").parse().unwrap()
}

pub fn tokens(n: u64) -> Usage {
    Usage { input_tokens: n, output_tokens: 0, cost_micro_usd: 10 * n, duration_ms: n }
}

pub fn brief() -> Brief {
    let location = "/home/ada/links".to_owned();
    Brief {
        project: ProjectId::of_repository(&location),
        title: "Add rate limiting".to_owned(),
        description: "Add rate limiting to the public API".to_owned(),
        repository: Repository { location, reference: None },
        source_ticket: None,
    }
}

pub fn manifest_ref() -> ManifestRef {
    let manifest = manifest();
    let files = manifest.files().len() as u64;
    ManifestRef { digest: manifest.digest(), commit: manifest.commit().to_owned(), files }
}

pub fn judging() -> Judging {
    let manifest = Arc::new(manifest());
    let manifest_digest = Some(manifest.digest());
    Judging { manifest, manifest_digest, ..Judging::default() }
}

/// A spec with all its events, and a clock that only the tests move.
#[derive(Debug, Clone)]
pub struct Run {
    pub spec: Spec,
    pub events: Vec<Event>,
    pub now: Timestamp,
}

pub type Answer = Result<Vec<Event>, Rejection>;

impl Run {
    pub fn empty() -> Self {
        Self { spec: Spec::default(), events: Vec::new(), now: BEGIN }
    }

    pub fn drafted(policy: Policy) -> Self {
        let mut run = Self::empty();
        let draft = DraftSpec { spec: spec_id(), brief: brief(), policy };
        run.expect(&Command::Draft(Box::new(draft)));
        run
    }

    pub fn started(policy: Policy) -> Self {
        let mut run = Self::drafted(policy);
        run.expect(&Command::Start(StartExecution { manifest: manifest_ref() }));
        run
    }

    /// With its first attempt running.
    pub fn working(policy: Policy) -> Self {
        let mut run = Self::started(policy);
        run.begin();
        run
    }

    /// With everything before `phase` accepted; its attempt runs, unless it is sync.
    pub fn at(phase: Phase, policy: Policy) -> Self {
        let mut run = Self::working(policy);
        while run.spec.phase() != Some(phase) {
            run.pass();
            if run.phase().needs_agent() {
                run.begin();
            }
        }
        run
    }

    pub fn completed(policy: Policy) -> Self {
        let mut run = Self::at(Phase::Sync, policy);
        run.expect(&run.plan_sync());
        run.expect(&run.complete_sync());
        run
    }

    pub fn ask(&mut self, command: &Command) -> Answer {
        let events = self.spec.decide(command)?;
        for event in &events {
            self.spec.evolve(event).unwrap();
        }
        self.events.extend(events.iter().cloned());
        Ok(events)
    }

    /// The events' names.
    pub fn expect(&mut self, command: &Command) -> Vec<&'static str> {
        self.ask(command).unwrap().iter().map(Event::name).collect()
    }

    pub fn refused(&mut self, command: &Command) -> Rejection {
        self.ask(command).unwrap_err()
    }

    /// Asked twice, the second time nothing happens.
    pub fn once(&mut self, command: &Command) -> Vec<&'static str> {
        let events = self.expect(command);
        assert!(!events.is_empty(), "{command:?} did nothing");
        assert_eq!(self.expect(command), Vec::<&str>::new(), "{command:?} was not idempotent");
        events
    }

    pub fn phase(&self) -> Phase {
        self.spec.phase().unwrap()
    }

    pub fn wait(&self) -> Wait {
        Wait { now: self.now, jitter: 0 }
    }

    pub fn pass_time(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
    }

    pub fn attempt(&self) -> u32 {
        self.spec.current().map_or(0, |state| state.last_attempt)
    }

    /// Attaches a sandbox and takes up the open phase.
    pub fn begin(&mut self) {
        self.ask(&self.attach(1)).unwrap();
        self.expect(&self.start_attempt());
    }

    pub fn pass(&mut self) -> Vec<&'static str> {
        let command = self.submit(passing(self.phase()));
        self.expect(&command)
    }

    pub fn attach(&self, n: u8) -> Command {
        Command::Attach(AttachSandbox {
            epoch: self.spec.epoch(),
            instance: instance(n),
            provider: "process".to_owned(),
            isolation: None,
            worker_version: "0.1.0".to_owned(),
        })
    }

    pub fn start_attempt(&self) -> Command {
        let (epoch, now) = (self.spec.epoch(), self.now);
        Command::StartAttempt(StartAttempt { epoch, prompt: Digest::of(b"prompt"), now })
    }

    pub fn submit(&self, output: RawJson) -> Command {
        self.submit_using(output, Usage::default())
    }

    pub fn submit_using(&self, output: RawJson, usage: Usage) -> Command {
        let phase = self.phase();
        Command::SubmitOutput(Box::new(SubmitOutput {
            epoch: self.spec.epoch(),
            phase,
            attempt: self.attempt(),
            context: self.context(),
            output,
            usage,
            session: None,
            judging: judging(),
            wait: self.wait(),
        }))
    }

    fn context(&self) -> Digest {
        let running = self.spec.current().and_then(|state| state.running);
        running.map_or(Digest::of(b"none"), |attempt| attempt.context)
    }

    pub fn report(&self, kind: FailureKind, usage: Usage) -> Command {
        Command::ReportFailure(ReportAttemptFailed {
            epoch: self.spec.epoch(),
            phase: self.phase(),
            attempt: self.attempt(),
            kind,
            message: "the agent ended with code 1".to_owned(),
            usage,
            wait: self.wait(),
        })
    }

    pub fn time_out(&self, reported: Usage) -> Command {
        Command::TimeOut(TimeOutAttempt {
            phase: self.phase(),
            attempt: self.attempt(),
            reported,
            wait: self.wait(),
        })
    }

    pub fn lose(&self, cause: LossCause, reported: Usage) -> Command {
        let (epoch, wait) = (self.spec.epoch(), self.wait());
        let last_heard = Some(self.now);
        Command::ReportLost(ReportSandboxLost { epoch, cause, last_heard, reported, wait })
    }

    /// A sandbox killed by signal 9.
    pub fn kill(&self) -> Command {
        self.lose(LossCause::Signal { signal: 9 }, Usage::default())
    }

    /// What an evaluator says of the output that waits.
    pub fn judge(&self, evaluator: &str, passed: bool) -> Command {
        let finding = Finding {
            rule: format!("{evaluator}.finding"),
            severity: Severity::Hard,
            passed,
            skipped: false,
            message: "as it was found".to_owned(),
            place: String::new(),
            mend: String::new(),
        };
        let pending = self.spec.current().and_then(|state| state.pending.as_ref());
        Command::RecordVerdict(RecordVerdict {
            phase: self.phase(),
            digest: pending.map_or(Digest::of(b"nothing"), |pending| pending.digest),
            evaluator: evaluator.to_owned(),
            passed,
            score: if passed { 900 } else { 100 },
            findings: vec![finding],
            wait: self.wait(),
        })
    }

    pub fn awaited(&self) -> Digest {
        self.spec.current().unwrap().pending.as_ref().unwrap().digest
    }

    /// With a comment that says where the run stands.
    pub fn approve(&self, phase: Phase, digest: Digest) -> Command {
        let comment = Some(format!("after {} events", self.events.len()));
        Command::Approve(ApprovePhase { phase, digest, by: "ada".to_owned(), comment })
    }

    pub fn reject(&self, phase: Phase, digest: Digest) -> Command {
        let feedback = "Also limit by key".to_owned();
        let (by, wait) = ("ada".to_owned(), self.wait());
        Command::Reject(RejectPhase { phase, digest, by, feedback, wait })
    }

    pub fn edit(&self, phase: Phase, output: RawJson) -> Command {
        let (by, judging, wait) = ("ada".to_owned(), judging(), self.wait());
        Command::Edit(Box::new(EditOutput { phase, output, by, judging, wait }))
    }

    pub fn plan_sync(&self) -> Command {
        Command::PlanSync(Box::new(PlanSync {
            folder: "specs/add-rate-limiting".to_owned(),
            files: planned_files(),
            plan: Digest::of(b"plan"),
            judging: judging(),
            wait: self.wait(),
        }))
    }

    pub fn complete_sync(&self) -> Command {
        let read = |file: ExportedFile| (file.clone(), Some(file.digest));
        self.complete_sync_with(planned_files().into_iter().map(read).collect())
    }

    pub fn complete_sync_with(&self, written: Vec<(ExportedFile, Option<Digest>)>) -> Command {
        let (judging, wait) = (judging(), self.wait());
        Command::CompleteSync(Box::new(CompleteSync { written, judging, wait }))
    }

    /// Every usage that the events carry.
    pub fn spent(&self) -> Usage {
        self.events.iter().map(usage_of).fold(Usage::default(), Usage::plus)
    }
}

pub fn planned_files() -> Vec<ExportedFile> {
    let file = |name: &str| ExportedFile {
        path: format!("specs/add-rate-limiting/{name}"),
        digest: Digest::of(name.as_bytes()),
    };
    ["requirements.md", "design.md", "tasks.md", "trace.json"].map(file).into()
}

/// What an event accounts for. SpecCompleted repeats the total, and is none.
pub fn usage_of(event: &Event) -> Usage {
    if let Event::StepRecorded { usage, .. }
    | Event::OutputSubmitted { usage, .. }
    | Event::AttemptFailed { usage, .. }
    | Event::SandboxReleased { usage, .. }
    | Event::SandboxLost { usage, .. } = event
    {
        *usage
    } else {
        Usage::default()
    }
}

pub fn epoch(n: u32) -> Epoch {
    Epoch(n)
}
