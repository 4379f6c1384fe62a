//! Moves of people, sandboxes and the engine, sensible and not. A move becomes a command on the
//! state that it finds.

use std::collections::BTreeSet;

use proptest::prelude::*;
use specline_aggregates::spec::command::{ExpireApproval, RecordStep, ReportSyncFailed};
use specline_aggregates::spec::{Command, FailureKind, LossCause, Payload, Status};
use specline_aggregates::{Budget, Digest, Epoch, Phase, Policy, RawJson};

use crate::kit::{Run, failing, malformed, passing, tokens};
use crate::spec::evaluators::evaluator;
use crate::spec::steering::{revise, start};
use crate::spec::{cancel, comment, link, pause, resume, retry};

#[derive(Debug, Clone, Copy)]
pub enum Move {
    /// What would come next if all went well.
    Advance,
    PassTime(u64),
    Start,
    Attach(u8),
    StartAttempt,
    Step(u8),
    /// Which output, and how much it used.
    Submit(u8, u64),
    /// What is wrong with it.
    SubmitStale(u8),
    Fail(u8, u64),
    TimeOut(u64),
    Lose(u8, u64),
    LoseOld,
    Approve,
    ApproveOther,
    Reject,
    Pause,
    Expire,
    Judge(bool),
    Resume,
    Retry(Phase, Option<u64>),
    Edit(Phase, u8),
    PlanSync,
    CompleteSync(u8),
    SyncFailed,
    Cancel,
    Link,
    Comment,
    Revise(u8),
}

pub fn policy() -> impl Strategy<Value = Policy> {
    let phases = [Phase::Explore, Phase::Requirements, Phase::Design, Phase::Tasks];
    let approvals = prop::sample::subsequence(phases.to_vec(), 0..=2);
    let budget = prop::option::weighted(0.3, 20_u64..200);
    let deadline = prop::option::of(1_u64..100_000);
    let judged = prop::bool::weighted(0.3);
    let parts = (approvals, budget, deadline, judged);
    parts.prop_map(|(approvals, tokens, approval_deadline_ms, judged)| Policy {
        evaluators: if judged { vec![evaluator("style")] } else { Vec::new() },
        approvals: approvals.into_iter().collect::<BTreeSet<_>>(),
        budget: Budget { tokens, cost_micro_usd: None },
        approval_deadline_ms,
        max_sandbox_losses: 2,
        ..Policy::default()
    })
}

pub fn sequence() -> impl Strategy<Value = Vec<Move>> {
    prop::collection::vec(one(), 1..60)
}

fn one() -> impl Strategy<Value = Move> {
    let phase = || prop::sample::select(Phase::ALL.to_vec());
    let used = || 0_u64..20;
    prop_oneof![
        36 => Just(Move::Advance),
        4 => prop_oneof![1_u64..5_000, 60_000_u64..400_000].prop_map(Move::PassTime),
        1 => Just(Move::Start),
        2 => (1_u8..3).prop_map(Move::Attach),
        2 => Just(Move::StartAttempt),
        3 => (0_u8..3).prop_map(Move::Step),
        5 => (0_u8..3, used()).prop_map(|(which, used)| Move::Submit(which, used)),
        2 => (0_u8..3).prop_map(Move::SubmitStale),
        3 => (0_u8..9, used()).prop_map(|(kind, used)| Move::Fail(kind, used)),
        2 => used().prop_map(Move::TimeOut),
        4 => (0_u8..7, used()).prop_map(|(cause, used)| Move::Lose(cause, used)),
        1 => Just(Move::LoseOld),
        2 => Just(Move::Approve),
        1 => Just(Move::ApproveOther),
        2 => Just(Move::Reject),
        2 => Just(Move::Pause),
        1 => Just(Move::Expire),
        2 => prop::bool::weighted(0.7).prop_map(Move::Judge),
        3 => Just(Move::Resume),
        1 => (phase(), prop::option::of(100_u64..1_000)).prop_map(|(p, b)| Move::Retry(p, b)),
        1 => (phase(), 0_u8..3).prop_map(|(phase, which)| Move::Edit(phase, which)),
        1 => Just(Move::PlanSync),
        1 => (0_u8..3).prop_map(Move::CompleteSync),
        1 => Just(Move::SyncFailed),
        1 => prop::bool::weighted(0.3).prop_map(|go| if go { Move::Cancel } else { Move::Link }),
        1 => Just(Move::Comment),
        1 => (0_u8..3).prop_map(Move::Revise),
    ]
}

impl Move {
    /// Asked again at once, it gives no events and no error.
    pub fn is_idempotent(self) -> bool {
        let only_sometimes =
            matches!(self, Self::Advance | Self::StartAttempt | Self::CompleteSync(_));
        let each_time = matches!(self, Self::Comment | Self::Retry(..) | Self::SyncFailed);
        !only_sometimes && !each_time
    }

    /// Asked again at once, it gives no events.
    pub fn changes_nothing_twice(self) -> bool {
        !matches!(self, Self::Comment | Self::Retry(..))
    }

    pub fn command(self, run: &mut Run) -> Option<Command> {
        if let Self::PassTime(ms) = self {
            run.pass_time(ms);
            return None;
        }
        // Only before the start is there no phase.
        if run.spec.phase().is_none() {
            return self.before_the_start();
        }
        Some(match self {
            Self::PassTime(_) => return None,
            Self::Advance => return advance(run),
            Self::Start => start(),
            Self::Attach(n) => run.attach(n),
            Self::StartAttempt => run.start_attempt(),
            Self::Step(n) => step(run, n),
            Self::Submit(which, used) => run.submit_using(output(run.phase(), which), tokens(used)),
            Self::SubmitStale(what) => stale(run, what),
            Self::Fail(kind, used) => run.report(KINDS[usize::from(kind)], tokens(used)),
            Self::TimeOut(used) => run.time_out(tokens(used)),
            Self::Lose(cause, used) => run.lose(loss(cause), tokens(used)),
            Self::LoseOld => old_loss(run),
            Self::Approve => run.approve(run.phase(), pending(run)),
            Self::ApproveOther => run.approve(run.phase(), Digest::of(b"another")),
            Self::Reject => run.reject(run.phase(), pending(run)),
            Self::Pause => pause(),
            Self::Judge(passed) => run.judge("style", passed),
            Self::Expire => Command::ExpireApproval(ExpireApproval { now: run.now }),
            Self::Resume => resume(run),
            Self::Retry(phase, tokens) => {
                retry(phase, tokens.map(|n| Budget { tokens: Some(n), cost_micro_usd: None }))
            }
            Self::Edit(phase, which) => run.edit(phase, output(phase, which)),
            Self::PlanSync => run.plan_sync(),
            Self::CompleteSync(0) => run.complete_sync_with(Vec::new()),
            Self::CompleteSync(_) => run.complete_sync(),
            Self::SyncFailed => {
                let message = "the disk is full".to_owned();
                Command::ReportSyncFailed(ReportSyncFailed { message, wait: run.wait() })
            }
            Self::Cancel => cancel(),
            Self::Link => link(),
            Self::Comment => comment(),
            Self::Revise(0) => revise(Some("Limit"), None),
            Self::Revise(n) => revise(None, Some(&format!("Limit each key, {n}"))),
        })
    }

    fn before_the_start(self) -> Option<Command> {
        if let Self::Revise(n) = self {
            Some(revise(None, Some(&format!("Limit, {n}"))))
        } else if let Self::Retry(phase, _) = self {
            Some(retry(phase, None))
        } else if matches!(self, Self::Advance | Self::Start) {
            Some(start())
        } else {
            matches!(self, Self::Link).then(link)
        }
    }
}

const KINDS: [FailureKind; 9] = [
    FailureKind::AgentError,
    FailureKind::Timeout,
    FailureKind::InvalidOutput,
    FailureKind::Configuration,
    FailureKind::Gate,
    FailureKind::Budget,
    FailureKind::Rejected,
    FailureKind::Sync,
    FailureKind::SandboxLost,
];

fn advance(run: &mut Run) -> Option<Command> {
    match run.spec.status() {
        Status::AwaitingApproval => return Some(run.approve(run.phase(), pending(run))),
        Status::Paused => return Some(resume(run)),
        Status::Executing => {}
        Status::Unknown
        | Status::Draft
        | Status::Completed
        | Status::Failed
        | Status::Cancelled => return None,
    }
    let running = run.spec.current().is_some_and(|state| state.running.is_some());
    if !run.phase().needs_agent() {
        run.pass_time(60_000);
        return Some(if running { run.complete_sync() } else { run.plan_sync() });
    }
    if run.spec.current().is_some_and(|state| !state.evaluating.is_empty()) {
        return Some(run.judge("style", true));
    }
    if running {
        return Some(run.submit_using(passing(run.phase()), tokens(1)));
    }
    if matches!(run.spec.sandbox(), specline_aggregates::spec::Sandbox::Requested { .. }) {
        return Some(run.attach(1));
    }
    run.pass_time(60_000);
    Some(run.start_attempt())
}

fn output(phase: Phase, which: u8) -> RawJson {
    match which {
        0 => failing(phase),
        1 => malformed(),
        _ => passing(phase),
    }
}

fn step(run: &Run, n: u8) -> Command {
    let result = Payload::Inline(RawJson::parse(n.to_string()).unwrap().into());
    Command::RecordStep(RecordStep {
        epoch: run.spec.epoch(),
        phase: run.phase(),
        attempt: run.attempt(),
        number: u32::from(n),
        name: format!("step {n}"),
        result,
        usage: tokens(2),
    })
}

fn stale(run: &Run, what: u8) -> Command {
    let Command::SubmitOutput(mut output) = run.submit(passing(run.phase())) else {
        unreachable!("submit builds it")
    };
    match what {
        0 => output.epoch = Epoch(run.spec.epoch().0.saturating_sub(1)),
        1 => output.attempt += 1,
        _ => output.context = Digest::of(b"another"),
    }
    Command::SubmitOutput(output)
}

fn loss(cause: u8) -> LossCause {
    match cause {
        0 => LossCause::Exit { code: 1 },
        1 => LossCause::LeaseExpired,
        2 => LossCause::Spawn { message: "no such program".to_owned() },
        3 => LossCause::Shutdown,
        _ => LossCause::Signal { signal: 9 },
    }
}

fn old_loss(run: &Run) -> Command {
    let Command::ReportLost(mut lost) = run.kill() else { unreachable!("kill builds it") };
    lost.epoch = Epoch(lost.epoch.0.saturating_sub(1));
    Command::ReportLost(lost)
}

fn pending(run: &Run) -> Digest {
    let pending = run.spec.current().and_then(|state| state.pending.as_ref());
    pending.map_or(Digest::of(b"none"), |pending| pending.digest)
}
