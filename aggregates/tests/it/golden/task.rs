//! One sample of every event of a task, and of every variant inside.

use std::collections::BTreeSet;

use specline_aggregates::output::Priority;
use specline_aggregates::spec::FailureKind;
use specline_aggregates::task::{Event, Outcome};
use specline_aggregates::{Digest, Epoch, Usage, derive_id};

use super::Sample;
use super::spec::{USAGE, blob, causes, findings, inline};
use crate::kit::{BEGIN, instance};
use crate::task::{sandbox, task_id, work};

pub(super) fn samples() -> Vec<Sample<Event>> {
    let mut all = queueing();
    all.extend(running());
    all.extend(ends());
    all
}

fn queueing() -> Vec<Sample<Event>> {
    let plain = work(&[]);
    let mut full = work(&[2]);
    full.replaces = Some(task_id(3));
    full.execution.require_spec_skill = true;
    full.execution.selected_skill = Some("spec-driven-dev".to_owned());
    full.execution.verify = Some("cargo test".to_owned());
    full.files_modify = vec!["src/app.ts".to_owned()];
    full.requirements = vec!["REQ-001".to_owned()];
    full.ticket = Some(derive_id(&["ticket"]).into());
    full.spec = Some(derive_id(&["spec"]).into());
    full.local_id = Some("TSK-001".to_owned());
    full.depends_on = BTreeSet::from([task_id(2)]);
    let noted = |outcome| Event::DependencyNoted { task: task_id(2), outcome };
    let (digest, revised) = (full.digest(), Box::new(full.clone()));
    let queued = |work: specline_aggregates::task::Work, held_by_spec| Event::TaskQueued {
        task: task_id(1),
        digest: work.digest(),
        work: Box::new(work),
        held_by_spec,
    };
    vec![
        ("", queued(plain, false)),
        ("full", queued(full, true)),
        ("", Event::TaskRevised { work: revised, digest }),
        ("", Event::TaskReleased { run: 2 }),
        ("completed", noted(Outcome::Completed)),
        ("failed", noted(Outcome::Failed)),
        ("cancelled", noted(Outcome::Cancelled)),
        ("", Event::TaskUnblocked {}),
        ("", Event::TaskReprioritised { priority: Priority::Critical, by: "ada".to_owned() }),
    ]
}

fn running() -> Vec<Sample<Event>> {
    let (epoch, sandbox) = (Epoch(1), sandbox(1));
    let claimed = Event::TaskClaimed { epoch, sandbox, lease_ms: 30_000, at: BEGIN };
    let deadline = BEGIN.plus_ms(1_800_000);
    let started = Event::TaskStarted { epoch, attempt: 1, instance: instance(1), deadline };
    let step = |result, usage| Event::TaskStepRecorded {
        attempt: 1,
        step: 1,
        name: "edit".to_owned(),
        result,
        usage,
    };
    let result = "c0ffee".to_owned();
    let submitted = Event::TaskResultSubmitted {
        attempt: 1,
        summary: "Limits each key".to_owned(),
        digest: Digest::of(result.as_bytes()),
        result,
        usage: USAGE,
    };
    let verdict = Event::TaskVerdictRecorded {
        attempt: 1,
        result: Digest::of(b"c0ffee"),
        evaluator: "command".to_owned(),
        passed: true,
        score: 1_000,
        findings: findings(),
    };
    vec![
        ("", claimed),
        ("", started),
        ("", step(inline(), Usage::default())),
        ("blob", step(blob(), USAGE)),
        ("", submitted),
        ("", verdict),
    ]
}

fn ends() -> Vec<Sample<Event>> {
    let failed = |kind: FailureKind, usage| Event::TaskAttemptFailed {
        attempt: 1,
        kind,
        message: "the agent ended with code 1".to_owned(),
        usage,
    };
    let requeued = |not_before| Event::TaskRequeued { not_before, reason: "again".to_owned() };
    let (kind, reason) = (FailureKind::AgentError, "attempt 3: no".to_owned());
    let mut all = vec![
        ("", Event::TaskCompleted { result: Digest::of(b"c0ffee") }),
        ("", failed(FailureKind::AgentError, USAGE)),
        ("gate", failed(FailureKind::Gate, Usage::default())),
        ("", requeued(None)),
        ("later", requeued(Some(BEGIN))),
        ("", Event::TaskCancelled { by: "ada".to_owned(), reason: "no need".to_owned() }),
        ("", Event::TaskFailed { kind, reason }),
    ];
    all.extend(causes().map(|(name, cause)| {
        (name, Event::TaskSandboxLost { epoch: Epoch(1), cause, usage: USAGE })
    }));
    all
}
