//! Aggregates that decide, and the log of what they decided. Times come from a counter.

use std::collections::BTreeMap;
use std::sync::Arc;

use specline_aggregates::manifest::{File, Manifest};
use specline_aggregates::output::{ExportedFile, Priority};
use specline_aggregates::spec::command as spec_command;
use specline_aggregates::spec::command::{Command, Judging, Wait};
use specline_aggregates::spec::{self, Brief, ManifestRef, Repository, Spec};
use specline_aggregates::task::{self, Task};
use specline_aggregates::ticket::{self, Ticket};
use specline_aggregates::{
    Digest, InstanceId, Phase, Policy, ProjectId, RawJson, SpecId, TaskId, TicketId, Timestamp,
    Usage, derive_id,
};
use specline_projections::{DomainEvent, Envelope};
use uuid::Uuid;

const FILES: [&str; 8] = [
    "README.md",
    "package.json",
    "src/app.ts",
    "src/auth.ts",
    "src/config.ts",
    "src/routes/links.ts",
    "src/store.ts",
    "test/links.test.ts",
];

/// What one attempt used.
pub const USAGE: Usage =
    Usage { input_tokens: 100, output_tokens: 20, cost_micro_usd: 7, duration_ms: 5 };

pub struct World {
    pub log: Vec<Envelope>,
    pub now: Timestamp,
    pub specs: BTreeMap<SpecId, Spec>,
    pub tasks: BTreeMap<TaskId, Task>,
    pub tickets: BTreeMap<TicketId, Ticket>,
    manifest: Arc<Manifest>,
}

/// The example output of `phase`, in its `n`th variant. Each passes its gate.
pub fn output(phase: Phase, n: u64) -> RawJson {
    let text = match phase {
        Phase::Explore => include_str!("../../../src/prompts/example/explore.json"),
        Phase::Requirements => include_str!("../../../src/prompts/example/requirements.json"),
        Phase::Design => include_str!("../../../src/prompts/example/design.json"),
        Phase::Tasks => include_str!("../../../src/prompts/example/tasks.json"),
        Phase::Sync => panic!("sync has no example"),
    };
    let mut value: serde_json::Value = serde_json::from_str(text).unwrap();
    value["variant"] = n.into();
    RawJson::of(&value).unwrap()
}

impl World {
    pub fn new() -> Self {
        let file = |path: &&str| File { path: (*path).into(), bytes: 1, oid: "0".into() };
        Self {
            log: Vec::new(),
            now: Timestamp::from_micros(1_767_225_600_000_000),
            specs: BTreeMap::new(),
            tasks: BTreeMap::new(),
            tickets: BTreeMap::new(),
            manifest: Arc::new(Manifest::new("c0ffee".into(), FILES.iter().map(file).collect())),
        }
    }

    pub fn head(&self) -> u64 {
        self.log.last().map_or(0, |event| event.position)
    }

    /// The events after position `after`.
    pub fn after(&self, after: u64) -> &[Envelope] {
        &self.log[self.log.partition_point(|event| event.position <= after)..]
    }

    pub fn later(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
    }

    pub fn wait(&self) -> Wait {
        Wait { now: self.now, jitter: 0 }
    }

    pub fn judging(&self) -> Judging {
        Judging {
            manifest: Arc::clone(&self.manifest),
            manifest_digest: Some(self.manifest.digest()),
            blobs: BTreeMap::new(),
        }
    }

    pub fn manifest_ref(&self) -> ManifestRef {
        ManifestRef {
            digest: self.manifest.digest(),
            commit: "c0ffee".into(),
            files: FILES.len() as u64,
        }
    }

    /// Writes an event into the log without asking an aggregate.
    pub fn write(&mut self, id: Uuid, sequence: u64, event: DomainEvent) {
        let (aggregate_type, event_type) = match &event {
            DomainEvent::Spec(event) => ("spec", event.name()),
            DomainEvent::Task(event) => ("task", event.name()),
            DomainEvent::Ticket(event) => ("ticket", event.name()),
            DomainEvent::Project(event) => ("project", event.name()),
            DomainEvent::AccessKey(event) => ("access_key", event.name()),
            DomainEvent::Unreadable { .. } => ("Task", "TaskQueued"),
        };
        self.log.push(Envelope {
            // Some stores leave gaps.
            position: self.head() + 1 + u64::from(self.log.len() % 5 == 4),
            aggregate_type: aggregate_type.to_owned(),
            aggregate_id: id,
            sequence,
            event_type: event_type.to_owned(),
            recorded_at: self.now,
            actor: "tester".to_owned(),
            correlation: None,
            event,
        });
    }

    /// Decides a command; whether it was accepted.
    pub fn spec(&mut self, id: SpecId, command: &Command) -> bool {
        let mut spec = self.specs.remove(&id).unwrap_or_default();
        let decided = spec.decide(command);
        for event in decided.iter().flatten() {
            spec.evolve(event).unwrap();
            self.write(id.uuid(), spec.version(), DomainEvent::Spec(event.clone()));
        }
        self.specs.insert(id, spec);
        decided.is_ok()
    }

    pub fn task(&mut self, id: TaskId, command: &task::Command) -> bool {
        let mut task = self.tasks.remove(&id).unwrap_or_default();
        let decided = task.decide(command);
        for event in decided.iter().flatten() {
            task.evolve(event).unwrap();
            self.write(id.uuid(), task.version(), DomainEvent::Task(event.clone()));
        }
        self.tasks.insert(id, task);
        decided.is_ok()
    }

    pub fn ticket(&mut self, id: TicketId, command: &ticket::Command) -> bool {
        let mut ticket = self.tickets.remove(&id).unwrap_or_default();
        let decided = ticket.decide(command);
        for event in decided.iter().flatten() {
            ticket.evolve(event).unwrap();
            self.write(id.uuid(), ticket.version(), DomainEvent::Ticket(event.clone()));
        }
        self.tickets.insert(id, ticket);
        decided.is_ok()
    }

    pub fn draft(&mut self, n: u64, policy: Policy) -> SpecId {
        let spec = SpecId::new(derive_id(&["test", "spec", &n.to_string()]));
        let brief = Brief {
            project: ProjectId::of_repository(&format!("/repo/{}", n % 3)),
            title: format!("Add rate limiting {n}"),
            description: "Limit each client to ten links a minute.".into(),
            repository: Repository { location: "/repo".into(), reference: None },
            source_ticket: None,
        };
        let draft = spec_command::DraftSpec { spec, brief, policy };
        assert!(self.spec(spec, &Command::Draft(Box::new(draft))), "a draft is accepted");
        spec
    }

    pub fn start(&mut self, id: SpecId) -> bool {
        let manifest = self.manifest_ref();
        self.spec(id, &Command::Start(spec_command::StartExecution { manifest }))
    }

    pub fn attach(&mut self, id: SpecId) -> bool {
        let epoch = self.specs[&id].epoch();
        let instance = derive_id(&["instance", &id.to_string(), &epoch.to_string()]);
        let attach = spec_command::AttachSandbox {
            epoch,
            instance: InstanceId::new(instance),
            provider: "process".into(),
            isolation: None,
            worker_version: "0.1.0".into(),
        };
        self.spec(id, &Command::Attach(attach))
    }

    pub fn start_attempt(&mut self, id: SpecId) -> bool {
        let start = spec_command::StartAttempt {
            epoch: self.specs[&id].epoch(),
            prompt: Digest::of(b"prompt"),
            now: self.now,
        };
        self.spec(id, &Command::StartAttempt(start))
    }

    /// Submits `output` for the attempt that runs; false when none does.
    pub fn submit(&mut self, id: SpecId, output: RawJson) -> bool {
        let spec = &self.specs[&id];
        let (Some(phase), Some(running)) = (spec.phase(), spec.current().and_then(|s| s.running))
        else {
            return false;
        };
        let submit = spec_command::SubmitOutput {
            epoch: spec.epoch(),
            phase,
            attempt: running.number,
            context: running.context,
            output,
            usage: USAGE,
            session: None,
            judging: self.judging(),
            wait: self.wait(),
        };
        self.spec(id, &Command::SubmitOutput(Box::new(submit)))
    }

    /// Records step `number` of the attempt that runs; false when none does.
    pub fn step(&mut self, id: SpecId, number: u32) -> bool {
        let spec = &self.specs[&id];
        let (Some(phase), Some(running)) = (spec.phase(), spec.current().and_then(|s| s.running))
        else {
            return false;
        };
        let step = spec_command::RecordStep {
            epoch: spec.epoch(),
            phase,
            attempt: running.number,
            number,
            name: format!("step {number}"),
            result: spec::Payload::of(RawJson::parse("{\"read\": 1}".into()).unwrap()),
            usage: USAGE,
        };
        self.spec(id, &Command::RecordStep(step))
    }

    pub fn plan_sync(&mut self, id: SpecId) -> bool {
        let plan = spec_command::PlanSync {
            folder: "specs/add-rate-limiting".into(),
            files: vec![exported("requirements.md"), exported("tasks.md")],
            plan: Digest::of(b"plan"),
            judging: self.judging(),
            wait: self.wait(),
        };
        self.spec(id, &Command::PlanSync(Box::new(plan)))
    }

    pub fn complete_sync(&mut self, id: SpecId, written: bool) -> bool {
        let files = ["requirements.md", "tasks.md"].map(exported);
        let written = files.map(|file| (file.clone(), written.then_some(file.digest)));
        let complete = spec_command::CompleteSync {
            written: written.into(),
            judging: self.judging(),
            wait: self.wait(),
        };
        self.spec(id, &Command::CompleteSync(Box::new(complete)))
    }

    /// What the syncer makes of the plan: tickets and tasks.
    pub fn make_planned(&mut self, id: SpecId) {
        let spec = &self.specs[&id];
        let ids = spec.plan().expect("it was planned").ids.clone();
        let planned = spec.earlier(Phase::Sync, &BTreeMap::new()).unwrap().tasks.unwrap();
        let project = spec.brief().unwrap().project;
        for plan in &planned.tickets {
            let request = ticket::Request {
                project,
                title: plan.title.clone(),
                description: plan.title.clone(),
                priority: Priority::High,
                workflow_mode: ticket::WorkflowMode::SpecDriven,
                spec: Some(id),
                local_id: Some(plan.id.clone()),
                requirements: plan.requirements.clone(),
            };
            let ticket = ids.tickets[&plan.id];
            self.ticket(ticket, &ticket::Command::Open { ticket, request: Box::new(request) });
        }
        for plan in &planned.tasks {
            let (task, ticket) = (ids.tasks[&plan.id], ids.tickets[&plan.ticket]);
            let work = task::Work {
                project,
                ticket: Some(ticket),
                spec: Some(id),
                local_id: Some(plan.id.clone()),
                kind: plan.kind.into(),
                title: plan.title.clone(),
                description: plan.description.clone(),
                priority: plan.priority,
                depends_on: plan.depends_on.iter().map(|local| ids.tasks[local]).collect(),
                files_create: plan.files_create.clone(),
                files_modify: plan.files_modify.clone(),
                criteria: plan.criteria.clone(),
                requirements: plan.requirements.clone(),
                components: plan.components.clone(),
                estimated_minutes: 60,
                execution: task::ExecutionConfig::default(),
                replaces: None,
            };
            let queue = task::Command::Queue { task, work: Box::new(work), held_by_spec: true };
            self.task(task, &queue);
            self.ticket(ticket, &ticket::Command::LinkTask { task });
        }
    }

    /// From the draft to the end, without a hitch.
    pub fn run(&mut self, id: SpecId) {
        assert!(self.start(id) && self.attach(id));
        for phase in Phase::ALL.into_iter().filter(|phase| phase.needs_agent()) {
            self.later(1_000);
            assert!(self.start_attempt(id), "an attempt of {phase} starts");
            self.later(500);
            assert!(self.submit(id, output(phase, 0)), "an output of {phase} is taken");
        }
        assert!(self.plan_sync(id));
        self.make_planned(id);
        assert!(self.complete_sync(id, true));
        assert_eq!(self.specs[&id].status(), spec::Status::Completed);
        let planned = self.specs[&id].synced().unwrap().tasks.clone();
        for task in planned.into_values() {
            self.task(task, &task::Command::Release { run: 1 });
        }
    }
}

fn exported(name: &str) -> ExportedFile {
    ExportedFile {
        path: format!("specs/add-rate-limiting/{name}"),
        digest: Digest::of(name.as_bytes()),
    }
}
