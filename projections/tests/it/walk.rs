//! Random walks through the commands of many specs: half the steps are the natural next one, the
//! others are anything at all.

use specline_aggregates::spec::command as spec_command;
use specline_aggregates::spec::command::Command;
use specline_aggregates::spec::{FailureKind, LossCause, Sandbox, Status};
use specline_aggregates::{Evaluator, Phase, Policy, RawJson, SpecId, TicketId, Usage, derive_id};

use crate::world::{USAGE, World, output};

/// xorshift64*: enough to draw steps from a printed seed.
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }
}

/// A policy with an approval for every other spec, and little patience.
pub fn policy(n: u64) -> Policy {
    let mut policy = Policy { approval_deadline_ms: Some(40_000), ..Policy::default() };
    if n.is_multiple_of(2) {
        policy.approvals.extend([Phase::Requirements, Phase::Tasks]);
    }
    if n.is_multiple_of(3) {
        let names = ["style", "licence"].map(str::to_owned);
        policy.evaluators.extend(names.map(|name| Evaluator {
            name,
            command: "./judge".to_owned(),
            phases: [Phase::Explore, Phase::Requirements].into(),
            time_ms: 1_000,
        }));
    }
    policy
}

/// One step of one spec.
pub fn step(world: &mut World, id: SpecId, draw: &mut Draw) {
    world.later(draw.below(20_000));
    if draw.below(10) < 6 {
        natural(world, id, draw);
    } else {
        anything(world, id, draw);
    }
}

fn natural(world: &mut World, id: SpecId, draw: &mut Draw) {
    let spec = &world.specs[&id];
    let running = spec.current().is_some_and(|state| state.running.is_some());
    let phase = spec.phase().unwrap_or(Phase::Explore);
    match spec.status() {
        Status::Draft => world.start(id),
        Status::AwaitingApproval if draw.below(4) == 0 => reject(world, id),
        Status::AwaitingApproval => approve(world, id),
        Status::Paused => resume(world, id),
        Status::Completed | Status::Failed | Status::Cancelled => {
            draw.below(4) == 0 && retry(world, id, draw)
        }
        Status::Executing if phase == Phase::Sync && running => world.complete_sync(id, true),
        Status::Executing if phase == Phase::Sync => world.plan_sync(id),
        Status::Executing if matches!(spec.sandbox(), Sandbox::Requested { .. }) => {
            world.attach(id)
        }
        Status::Executing if spec.current().is_some_and(|state| !state.evaluating.is_empty()) => {
            judge(world, id, draw)
        }
        Status::Executing if running => world.submit(id, output(phase, draw.below(3))),
        Status::Executing => world.start_attempt(id),
        Status::Unknown => false,
    };
}

fn anything(world: &mut World, id: SpecId, draw: &mut Draw) {
    let by = "someone".to_owned();
    let reason = "for the test".to_owned();
    match draw.below(19) {
        0 => lose(world, id, draw),
        1 => fail(world, id, draw),
        2 => time_out(world, id),
        3 => world.spec(id, &Command::Pause(spec_command::PauseExecution { by, reason })),
        4 => resume(world, id),
        5 => retry(world, id, draw),
        6 => edit(world, id, draw),
        7 => reject(world, id),
        8 => world.submit(id, RawJson::parse("{\"no\": \"shape\"}".into()).unwrap()),
        9 => world.step(id, u32::try_from(draw.below(9)).unwrap()),
        10 => {
            let now = world.now;
            world.spec(id, &Command::ExpireApproval(spec_command::ExpireApproval { now }))
        }
        11 => world.complete_sync(id, false),
        12 => {
            let (message, wait) = ("the disk is full".to_owned(), world.wait());
            let failed = spec_command::ReportSyncFailed { message, wait };
            world.spec(id, &Command::ReportSyncFailed(failed))
        }
        13 => revise(world, id, draw),
        14 if draw.below(4) == 0 => {
            world.spec(id, &Command::Cancel(spec_command::CancelSpec { by, reason }))
        }
        15 => fork(world, id),
        16 => world.spec(id, &Command::Comment(spec_command::Comment { by, text: reason })),
        17 => {
            let ticket = TicketId::new(derive_id(&["test", "ticket"]));
            world.spec(id, &Command::LinkTicket(spec_command::LinkTicket { ticket }))
        }
        _ => world.attach(id),
    };
}

fn approve(world: &mut World, id: SpecId) -> bool {
    let spec = &world.specs[&id];
    let pending = spec.current().and_then(|state| state.pending.as_ref());
    let (Some(phase), Some(pending)) = (spec.phase(), pending) else { return false };
    let (digest, by) = (pending.digest, "someone".to_owned());
    let approve = spec_command::ApprovePhase { phase, digest, by, comment: None };
    world.spec(id, &Command::Approve(approve))
}

fn judge(world: &mut World, id: SpecId, draw: &mut Draw) -> bool {
    let spec = &world.specs[&id];
    let (Some(phase), Some(state)) = (spec.phase(), spec.current()) else { return false };
    let (Some(pending), Some(evaluator)) = (&state.pending, state.evaluating.first()) else {
        return false;
    };
    let passed = draw.below(4) > 0;
    let judge = spec_command::RecordVerdict {
        phase,
        digest: pending.digest,
        evaluator: evaluator.clone(),
        passed,
        score: if passed { 900 } else { 0 },
        findings: Vec::new(),
        wait: world.wait(),
    };
    world.spec(id, &Command::RecordVerdict(judge))
}

fn reject(world: &mut World, id: SpecId) -> bool {
    let spec = &world.specs[&id];
    let pending = spec.current().and_then(|state| state.pending.as_ref());
    let (Some(phase), Some(pending)) = (spec.phase(), pending) else { return false };
    let reject = spec_command::RejectPhase {
        phase,
        digest: pending.digest,
        by: "someone".into(),
        feedback: "say more".into(),
        wait: world.wait(),
    };
    world.spec(id, &Command::Reject(reject))
}

fn resume(world: &mut World, id: SpecId) -> bool {
    let resume = spec_command::ResumeExecution { by: "someone".into(), wait: world.wait() };
    world.spec(id, &Command::Resume(resume))
}

fn retry(world: &mut World, id: SpecId, draw: &mut Draw) -> bool {
    let at = usize::try_from(draw.below(5)).unwrap();
    let retry = spec_command::RetryFromPhase {
        phase: Phase::ALL[at],
        by: "someone".into(),
        reason: "again".into(),
        budget: None,
        manifest: None,
    };
    world.spec(id, &Command::Retry(retry))
}

fn edit(world: &mut World, id: SpecId, draw: &mut Draw) -> bool {
    let phase = Phase::ALL[usize::try_from(draw.below(4)).unwrap()];
    let edit = spec_command::EditOutput {
        phase,
        output: output(phase, draw.below(1_000)),
        by: "someone".into(),
        judging: world.judging(),
        wait: world.wait(),
    };
    world.spec(id, &Command::Edit(Box::new(edit)))
}

fn lose(world: &mut World, id: SpecId, draw: &mut Draw) -> bool {
    let cause = match draw.below(4) {
        0 => LossCause::Shutdown,
        1 => LossCause::LeaseExpired,
        2 => LossCause::Spawn { message: "no such program".into() },
        _ => LossCause::Signal { signal: 9 },
    };
    let lost = spec_command::ReportSandboxLost {
        epoch: world.specs[&id].epoch(),
        cause,
        last_heard: None,
        reported: Usage { input_tokens: 500, ..Usage::default() },
        wait: world.wait(),
    };
    world.spec(id, &Command::ReportLost(lost))
}

fn fail(world: &mut World, id: SpecId, draw: &mut Draw) -> bool {
    let spec = &world.specs[&id];
    let (Some(phase), Some(running)) = (spec.phase(), spec.current().and_then(|s| s.running))
    else {
        return false;
    };
    let kind =
        if draw.below(3) == 0 { FailureKind::Configuration } else { FailureKind::AgentError };
    let failure = spec_command::ReportAttemptFailed {
        epoch: spec.epoch(),
        phase,
        attempt: running.number,
        kind,
        message: "the agent gave up".into(),
        usage: USAGE,
        wait: world.wait(),
    };
    world.spec(id, &Command::ReportFailure(failure))
}

fn time_out(world: &mut World, id: SpecId) -> bool {
    let spec = &world.specs[&id];
    let (Some(phase), Some(running)) = (spec.phase(), spec.current().and_then(|s| s.running))
    else {
        return false;
    };
    world.now = world.now.max(running.deadline);
    let timeout = spec_command::TimeOutAttempt {
        phase,
        attempt: running.number,
        reported: Usage::default(),
        wait: world.wait(),
    };
    world.spec(id, &Command::TimeOut(timeout))
}

fn revise(world: &mut World, id: SpecId, draw: &mut Draw) -> bool {
    let n = draw.below(100);
    let description =
        n.is_multiple_of(2).then(|| format!("Limit each client to {n} links a minute."));
    let revise = spec_command::ReviseSpec {
        title: Some(format!("Add rate limiting, take {n}")),
        description,
        by: "someone".into(),
    };
    world.spec(id, &Command::Revise(revise))
}

fn fork(world: &mut World, source: SpecId) -> bool {
    let n = world.specs.len().to_string();
    let spec = SpecId::new(derive_id(&["test", "fork", &n]));
    // Enough forks to meet each event, and not so many that the walk goes nowhere.
    if world.specs.len() > 24 {
        return false;
    }
    let state = world.specs[&source].clone();
    let source_hash = specline_aggregates::Digest::of(b"hash");
    let fork = spec_command::ForkSpec { spec, source: state, source_hash };
    world.spec(spec, &Command::Fork(Box::new(fork)))
}
