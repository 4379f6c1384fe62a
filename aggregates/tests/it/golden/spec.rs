//! One sample of every event of a spec, and of every variant inside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use specline_aggregates::output::{Coverage, IdMap};
use specline_aggregates::spec::{
    Event, FailureKind, Inherited, LossCause, Payload, ReleaseReason, SandboxReason,
};
use specline_aggregates::{
    Backoff, Budget, Digest, Epoch, Evaluator, Finding, GatePolicy, Limits, Phase, Policy, RawJson,
    SandboxId, Severity, TicketId, Usage,
};

use super::Sample;
use crate::kit::{BEGIN, brief, instance, manifest_ref, planned_files, spec_id};

pub(super) const USAGE: Usage =
    Usage { input_tokens: 1_200, output_tokens: 340, cost_micro_usd: 5_600, duration_ms: 7_800 };

const REASONS: [(&str, SandboxReason); 10] = [
    ("start", SandboxReason::Start),
    ("crash", SandboxReason::Crash),
    ("timeout", SandboxReason::Timeout),
    ("resume", SandboxReason::Resume),
    ("approval", SandboxReason::Approval),
    ("rejection", SandboxReason::Rejection),
    ("retry", SandboxReason::Retry),
    ("revision", SandboxReason::Revision),
    ("edit", SandboxReason::Edit),
    ("shutdown", SandboxReason::Shutdown),
];

const RELEASES: [(&str, ReleaseReason); 4] = [
    ("approval", ReleaseReason::Approval),
    ("paused", ReleaseReason::Paused),
    ("reopened", ReleaseReason::Reopened),
    ("ended", ReleaseReason::Ended),
];

const KINDS: [(&str, FailureKind); 9] = [
    ("agent_error", FailureKind::AgentError),
    ("timeout", FailureKind::Timeout),
    ("invalid_output", FailureKind::InvalidOutput),
    ("gate", FailureKind::Gate),
    ("budget", FailureKind::Budget),
    ("rejected", FailureKind::Rejected),
    ("configuration", FailureKind::Configuration),
    ("sync", FailureKind::Sync),
    ("sandbox_lost", FailureKind::SandboxLost),
];

pub(super) fn samples() -> Vec<Sample<Event>> {
    let mut all = lifecycle();
    all.extend(attempts());
    all.extend(approvals());
    all.extend(notes());
    all.extend(ends());
    all.extend(REASONS.map(|(name, reason)| (name, requested(reason))));
    all.extend(RELEASES.map(|(name, reason)| (name, released(reason))));
    all.extend(KINDS.map(|(name, kind)| (name, failed(kind))));
    all.extend(causes().map(|(name, cause)| (name, lost(cause))));
    all
}

/// The sample of a variant stands in the lists above: a new one fails to compile here.
#[test]
fn every_variant_has_a_sample() {
    for (name, kind) in KINDS {
        assert_eq!(kind.as_str(), name);
    }
    for (name, cause) in causes() {
        let expected = match cause {
            LossCause::Exit { .. } => "exit",
            LossCause::Signal { .. } => "signal",
            LossCause::LeaseExpired => "lease_expired",
            LossCause::Spawn { .. } => "spawn",
            LossCause::Provider { .. } => "provider",
            LossCause::Detached { .. } => "detached",
            LossCause::Shutdown => "shutdown",
        };
        assert_eq!(name, expected);
    }
    for (name, reason) in REASONS {
        let expected = match reason {
            SandboxReason::Start => "start",
            SandboxReason::Crash => "crash",
            SandboxReason::Timeout => "timeout",
            SandboxReason::Resume => "resume",
            SandboxReason::Approval => "approval",
            SandboxReason::Rejection => "rejection",
            SandboxReason::Retry => "retry",
            SandboxReason::Revision => "revision",
            SandboxReason::Edit => "edit",
            SandboxReason::Shutdown => "shutdown",
        };
        assert_eq!(name, expected);
    }
    for (name, reason) in RELEASES {
        let expected = match reason {
            ReleaseReason::Approval => "approval",
            ReleaseReason::Paused => "paused",
            ReleaseReason::Reopened => "reopened",
            ReleaseReason::Ended => "ended",
        };
        assert_eq!(name, expected);
    }
}

fn sandbox() -> SandboxId {
    spec_id().sandbox(Epoch(1))
}

fn ticket() -> TicketId {
    spec_id().derive("ticket", "TKT-001").into()
}

pub(super) fn inline() -> Payload {
    // Keys in order, so that a detour over an ordered map gives the same bytes.
    let json = r#"{"a":1.50,"b":["é","\u0001"]}"#.to_owned();
    Payload::Inline(Arc::new(RawJson::parse(json).unwrap()))
}

pub(super) fn blob() -> Payload {
    Payload::Blob { digest: Digest::of(b"large"), bytes: 600_000 }
}

pub(super) fn causes() -> [(&'static str, LossCause); 7] {
    [
        ("exit", LossCause::Exit { code: 137 }),
        ("signal", LossCause::Signal { signal: 9 }),
        ("lease_expired", LossCause::LeaseExpired),
        ("spawn", LossCause::Spawn { message: "no such program".to_owned() }),
        ("provider", LossCause::Provider { message: "no room".to_owned() }),
        ("detached", LossCause::Detached { reason: "told to stop".to_owned() }),
        ("shutdown", LossCause::Shutdown),
    ]
}

pub(super) fn findings() -> Vec<Finding> {
    let finding = |rule: &str, severity| Finding {
        rule: rule.to_owned(),
        severity,
        passed: true,
        skipped: false,
        message: "as it should be".to_owned(),
        place: String::new(),
        mend: String::new(),
    };
    let failed = Finding {
        passed: false,
        message: "REQ-001 has no SHALL".to_owned(),
        place: "/requirements/0/text".to_owned(),
        mend: "Say what the system shall do.".to_owned(),
        ..finding("requirements.ears", Severity::Hard)
    };
    let skipped = Finding {
        passed: false,
        skipped: true,
        ..finding("requirements.vague_words", Severity::Soft)
    };
    vec![finding("requirements.schema", Severity::Hard), failed, skipped]
}

/// A policy with every field set.
fn policy() -> Box<Policy> {
    Box::new(Policy {
        isolation: specline_aggregates::IsolationNeed::Any,
        limits: BTreeMap::from([(
            Phase::Explore,
            Limits { time_ms: 60_000, turns: 5, attempts: 2 },
        )]),
        backoff: Backoff { first_ms: 1_000, cap_ms: 30_000 },
        gate: GatePolicy {
            threshold: 800,
            rules_off: BTreeSet::from(["explore.conventions".to_owned()]),
        },
        agent: "command:./my-agent --flag".to_owned(),
        agent_env: vec!["MY_KEY".to_owned()],
        sandbox: "process".to_owned(),
        approvals: BTreeSet::from([Phase::Requirements, Phase::Tasks]),
        approval_deadline_ms: Some(86_400_000),
        budget: Budget { tokens: Some(100_000), cost_micro_usd: Some(2_000_000) },
        lease_ms: 15_000,
        max_sandbox_losses: 3,
        evaluators: Vec::new(),
    })
}

/// The same with evaluators, which came later.
fn judged_policy() -> Box<Policy> {
    let evaluator = Evaluator {
        name: "style".to_owned(),
        command: "./check --strict".to_owned(),
        phases: BTreeSet::from([Phase::Design]),
        time_ms: 30_000,
    };
    Box::new(Policy { evaluators: vec![evaluator], ..*policy() })
}

fn lifecycle() -> Vec<Sample<Event>> {
    let mut ticketed = brief();
    ticketed.source_ticket = Some(ticket());
    ticketed.repository.reference = Some("main".to_owned());
    let accepted =
        [(Phase::Explore, inline()), (Phase::Requirements, blob())].map(|(p, output)| {
            let digest = output.digest();
            (p, Inherited { output, digest, score: 940 })
        });
    vec![
        ("", Event::SpecDrafted { spec: spec_id(), brief: brief(), policy: Box::default() }),
        ("full", Event::SpecDrafted { spec: spec_id(), brief: ticketed, policy: policy() }),
        ("judged", Event::SpecDrafted { spec: spec_id(), brief: brief(), policy: judged_policy() }),
        (
            "",
            Event::SpecRevised {
                title: Some("Limit".to_owned()),
                description: Some("Limit each key".to_owned()),
                stale_from: Some(Phase::Explore),
            },
        ),
        (
            "title",
            Event::SpecRevised {
                title: Some("Limit".to_owned()),
                description: None,
                stale_from: None,
            },
        ),
        (
            "",
            Event::ExecutionStarted {
                run: 1,
                first_phase: Phase::Explore,
                manifest: manifest_ref(),
            },
        ),
        ("", Event::ExecutionPaused { by: "ada".to_owned(), reason: "lunch".to_owned() }),
        (
            "",
            Event::ExecutionResumed {
                by: "ada".to_owned(),
                run: 1,
                phase: Phase::Design,
                attempt: 2,
            },
        ),
        ("", reopened(None)),
        ("budget", reopened(Some(Budget { tokens: Some(200_000), cost_micro_usd: None }))),
        (
            "",
            Event::SpecForked {
                spec: spec_id(),
                source: specline_aggregates::derive_id(&["source"]).into(),
                sequence: 17,
                source_hash: Digest::of(b"hash"),
                state: Digest::of(b"state"),
                brief: brief(),
                policy: Box::default(),
                accepted: BTreeMap::from(accepted),
            },
        ),
    ]
}

fn reopened(budget: Option<Budget>) -> Event {
    let (by, reason) = ("ada".to_owned(), "ada asked for it".to_owned());
    Event::PhaseReopened { phase: Phase::Requirements, by, reason, budget }
}

fn requested(reason: SandboxReason) -> Event {
    let later = matches!(reason, SandboxReason::Crash | SandboxReason::Timeout);
    Event::SandboxRequested {
        epoch: Epoch(1),
        sandbox: sandbox(),
        phase: Phase::Explore,
        attempt: 1,
        reason,
        not_before: later.then(|| BEGIN.plus_ms(2_000)),
    }
}

fn released(reason: ReleaseReason) -> Event {
    Event::SandboxReleased {
        epoch: Epoch(1),
        sandbox: sandbox(),
        reason,
        phase: None,
        usage: Usage::default(),
    }
}

fn failed(kind: FailureKind) -> Event {
    let again = kind == FailureKind::Gate;
    Event::AttemptFailed {
        phase: Phase::Requirements,
        attempt: 2,
        kind,
        message: "requirements.ears: REQ-001 has no SHALL".to_owned(),
        usage: if again { Usage::default() } else { USAGE },
        retry_at: again.then(|| BEGIN.plus_ms(4_000)),
    }
}

fn lost(cause: LossCause) -> Event {
    let heard = cause != LossCause::Shutdown;
    Event::SandboxLost {
        epoch: Epoch(1),
        sandbox: sandbox(),
        phase: Phase::Explore,
        cause,
        last_heard: heard.then_some(BEGIN),
        usage: if heard { USAGE } else { Usage::default() },
    }
}

fn attempts() -> Vec<Sample<Event>> {
    let step = |result: Payload, usage| Event::StepRecorded {
        phase: Phase::Explore,
        attempt: 1,
        step: 3,
        name: "read src/app.ts".to_owned(),
        context: Digest::of(b"context"),
        result,
        usage,
    };
    let output = |output: Payload, session: Option<&str>, by: &str| Event::OutputSubmitted {
        phase: Phase::Explore,
        attempt: 1,
        digest: output.digest(),
        output,
        usage: if session.is_some() { USAGE } else { Usage::default() },
        session: session.map(str::to_owned),
        by: by.to_owned(),
    };
    vec![
        (
            "",
            Event::SandboxAttached {
                epoch: Epoch(1),
                sandbox: sandbox(),
                instance: instance(1),
                provider: "process".to_owned(),
                isolation: None,
                worker_version: "0.1.0".to_owned(),
                manifest: Digest::of(b"manifest"),
                commit: "c0ffee".to_owned(),
            },
        ),
        (
            "",
            Event::AttemptStarted {
                phase: Phase::Explore,
                attempt: 1,
                epoch: Epoch(1),
                context: Digest::of(b"context"),
                prompt: Digest::of(b"prompt"),
                deadline: BEGIN.plus_ms(180_000),
            },
        ),
        ("", step(inline(), Usage::default())),
        ("blob", step(blob(), USAGE)),
        ("", output(inline(), Some("session-1"), "agent")),
        ("blob", output(blob(), None, "ada")),
        ("", verdict()),
    ]
}

fn verdict() -> Event {
    Event::VerdictRecorded {
        phase: Phase::Requirements,
        attempt: 1,
        output: Digest::of(b"output"),
        evaluator: "gate".to_owned(),
        rules_version: 1,
        threshold: 700,
        manifest: Digest::of(b"manifest"),
        passed: false,
        score: 850,
        findings: findings(),
    }
}

fn evaluation() -> Event {
    Event::EvaluationRequested {
        phase: Phase::Requirements,
        attempt: 1,
        output: Digest::of(b"output"),
        evaluators: vec!["style".to_owned(), "licence".to_owned()],
    }
}

fn approvals() -> Vec<Sample<Event>> {
    let (phase, output, by) = (Phase::Requirements, Digest::of(b"output"), "ada".to_owned());
    let asked = |deadline| Event::ApprovalRequested { phase, attempt: 1, output, deadline };
    let approved = |comment| Event::PhaseApproved { phase, output, by: "ada".to_owned(), comment };
    vec![
        ("", asked(None)),
        ("deadline", asked(Some(BEGIN))),
        ("", approved(None)),
        ("comment", approved(Some("well done".to_owned()))),
        ("", Event::PhaseRejected { phase, output, by, feedback: "Also by key".to_owned() }),
        ("", evaluation()),
        ("", Event::CheckpointSaved { phase, output, run: 1, sequence: 12 }),
        ("", Event::PhaseCompleted { phase, output, next: phase.next() }),
        ("last", Event::PhaseCompleted { phase: Phase::Sync, output, next: None }),
    ]
}

fn notes() -> Vec<Sample<Event>> {
    let comment = Event::CommentAdded { by: "ada".to_owned(), text: "Nice.".to_owned() };
    vec![("", Event::TicketLinked { ticket: ticket() }), ("", comment)]
}

fn ends() -> Vec<Sample<Event>> {
    let id = |kind: &str, local: &str| (local.to_owned(), spec_id().derive(kind, local));
    let one = |(local, id): (String, _)| BTreeMap::from([(local, id)]);
    let ids = IdMap {
        requirements: one(id("requirement", "REQ-001")).into_iter().map(into).collect(),
        tickets: one(id("ticket", "TKT-001")).into_iter().map(into).collect(),
        tasks: one(id("task", "TSK-001")).into_iter().map(into).collect(),
    };
    let coverage = vec![Coverage {
        requirement: "REQ-001".to_owned(),
        components: vec!["Limiter".to_owned()],
        tasks: vec!["TSK-001".to_owned()],
    }];
    let planned = Event::SyncPlanned {
        run: 1,
        attempt: 1,
        folder: "specs/add-rate-limiting".to_owned(),
        ids: ids.clone(),
        coverage: coverage.clone(),
        files: planned_files(),
        plan: Digest::of(b"plan"),
    };
    let completed = Event::SpecCompleted { usage: USAGE, requirements: 3, tickets: 1, tasks: 4 };
    let failed = Event::SpecFailed {
        kind: FailureKind::Gate,
        reason: "all 3 attempts of design failed".to_owned(),
        phase: Phase::Design,
    };
    let cancelled = Event::SpecCancelled { by: "ada".to_owned(), reason: "no need".to_owned() };
    vec![
        ("", planned),
        ("", Event::SpecSynced { run: 1, ids, coverage, files: planned_files() }),
        ("", completed),
        ("", failed),
        ("", cancelled),
    ]
}

fn into<I: From<U>, U>((local, id): (String, U)) -> (String, I) {
    (local, id.into())
}
