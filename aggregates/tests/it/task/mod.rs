//! Given, when, then for every command of a task.

use std::collections::BTreeSet;

use cqrs_es::test::TestFramework;
use specline_aggregates::output::Priority;
use specline_aggregates::spec::command::Wait;
use specline_aggregates::spec::{FailureKind, LossCause, Payload};
use specline_aggregates::task::{
    Command, Event, ExecutionConfig, Kind, Outcome, Rejection, Status, Task, Verdict, Work,
};
use specline_aggregates::{
    Digest, Epoch, ProjectId, RawJson, SandboxId, TaskId, Timestamp, Usage, derive_id,
};

use crate::kit::{BEGIN, instance, tokens};

pub fn task_id(n: u8) -> TaskId {
    derive_id(&["task", &n.to_string()]).into()
}

pub fn sandbox(n: u8) -> SandboxId {
    derive_id(&["sandbox", &n.to_string()]).into()
}

pub fn work(depends_on: &[u8]) -> Work {
    Work {
        project: ProjectId::of_repository("/home/ada/links"),
        ticket: None,
        spec: None,
        local_id: None,
        kind: Kind::Implement,
        title: "Limit".to_owned(),
        description: "Limit the calls of each key".to_owned(),
        priority: Priority::High,
        depends_on: depends_on.iter().map(|n| task_id(*n)).collect::<BTreeSet<_>>(),
        files_create: vec!["src/limit.ts".to_owned()],
        files_modify: Vec::new(),
        criteria: vec!["the 61st call is refused".to_owned()],
        requirements: Vec::new(),
        components: Vec::new(),
        estimated_minutes: 90,
        execution: ExecutionConfig::default(),
        replaces: None,
    }
}

/// A task with all its events.
#[derive(Debug, Clone, Default)]
pub struct Run {
    pub task: Task,
    pub events: Vec<Event>,
    pub now: Timestamp,
}

impl Run {
    pub fn queued() -> Self {
        let mut run = Self { now: BEGIN, ..Self::default() };
        assert_eq!(run.expect(&queue(work(&[]), false)), ["TaskQueued", "TaskUnblocked"]);
        run
    }

    pub fn claimed() -> Self {
        let mut run = Self::queued();
        run.expect(&run.claim(1));
        run
    }

    pub fn running() -> Self {
        let mut run = Self::claimed();
        run.expect(&run.start(1));
        run
    }

    pub fn ask(&mut self, command: &Command) -> Result<Vec<Event>, Rejection> {
        let events = self.task.decide(command)?;
        for event in &events {
            self.task.evolve(event).unwrap();
        }
        self.events.extend(events.iter().cloned());
        Ok(events)
    }

    pub fn expect(&mut self, command: &Command) -> Vec<&'static str> {
        self.ask(command).unwrap().iter().map(Event::name).collect()
    }

    pub fn once(&mut self, command: &Command) -> Vec<&'static str> {
        let events = self.expect(command);
        assert!(!events.is_empty(), "{command:?} did nothing");
        assert_eq!(self.expect(command), Vec::<&str>::new(), "{command:?} was not idempotent");
        events
    }

    pub fn code(&mut self, command: &Command) -> &'static str {
        self.ask(command).unwrap_err().code()
    }

    pub fn status(&self) -> &'static str {
        self.task.status().as_str()
    }

    pub fn wait(&self) -> Wait {
        Wait { now: self.now, jitter: 0 }
    }

    pub fn claim(&self, n: u8) -> Command {
        Command::Claim { sandbox: sandbox(n), lease_ms: 30_000, now: self.now }
    }

    pub fn start(&self, n: u8) -> Command {
        Command::Start { epoch: self.task.epoch(), instance: instance(n), now: self.now }
    }

    pub fn submit(&self, result: &str) -> Command {
        Command::SubmitResult {
            epoch: self.task.epoch(),
            summary: "done".to_owned(),
            result: result.to_owned(),
            usage: tokens(10),
        }
    }

    pub fn verdict(&self, result: &str, evaluator: &str) -> Command {
        let verdict = Verdict {
            evaluator: evaluator.to_owned(),
            passed: evaluator == "pass",
            score: 1_000,
            findings: Vec::new(),
        };
        Command::RecordVerdict { result: Digest::of(result.as_bytes()), verdict, wait: self.wait() }
    }

    pub fn fail(&self) -> Command {
        Command::ReportFailure {
            epoch: self.task.epoch(),
            kind: FailureKind::AgentError,
            message: "no".to_owned(),
            usage: tokens(5),
            wait: self.wait(),
        }
    }

    pub fn lose(&self) -> Command {
        Command::ReportLost {
            epoch: self.task.epoch(),
            cause: LossCause::LeaseExpired,
            usage: tokens(3),
            wait: self.wait(),
        }
    }

    pub fn step(&self) -> Command {
        let result = Payload::Inline(RawJson::parse("1".to_owned()).unwrap().into());
        Command::RecordStep {
            epoch: self.task.epoch(),
            step: 1,
            name: "edit".to_owned(),
            result,
            usage: tokens(2),
        }
    }

    /// Runs once more after the backoff.
    pub fn again(&mut self) {
        self.now = self.now.plus_ms(60_000);
        self.expect(&self.claim(1));
        self.expect(&self.start(1));
    }
}

pub fn queue(work: Work, held_by_spec: bool) -> Command {
    Command::Queue { task: task_id(1), work: Box::new(work), held_by_spec }
}

pub fn note(n: u8, outcome: Outcome) -> Command {
    Command::NoteDependency { task: task_id(n), outcome }
}

pub fn cancel(by: &str) -> Command {
    Command::Cancel { by: by.to_owned(), reason: "no need".to_owned() }
}

pub fn retry() -> Command {
    Command::Retry { by: "ada".to_owned() }
}

#[test]
fn runs_from_the_queue_to_its_end() {
    let mut run = Run::queued();
    assert_eq!(run.once(&run.claim(1)), ["TaskClaimed"]);
    assert_eq!(run.once(&run.start(1)), ["TaskStarted"]);
    assert_eq!(run.once(&run.step()), ["TaskStepRecorded"]);
    assert_eq!(run.once(&run.submit("c0ffee")), ["TaskResultSubmitted"]);
    assert_eq!(run.code(&run.verdict("other", "pass")), "digest_mismatch");
    let passed = run.verdict("c0ffee", "pass");
    assert_eq!(run.once(&passed), ["TaskVerdictRecorded", "TaskCompleted"]);
    assert_eq!(run.expect(&run.submit("c0ffee")), Vec::<&str>::new());
    assert_eq!(run.task.usage(), tokens(2).plus(tokens(10)));
    for command in [run.fail(), run.start(1), run.step(), run.submit("more"), cancel("ada")] {
        assert_eq!(run.code(&command), "task_ended", "{command:?}");
    }
}

#[test]
fn the_stock_framework_agrees() {
    let mut run = Run::queued();
    let given = run.events.clone();
    let events = run.ask(&run.claim(1)).unwrap();
    let claim = run.claim(1);
    TestFramework::<Task>::with(()).given(given.clone()).when(claim).then_expect_events(events);
    let early = Command::Start { epoch: Epoch(7), instance: instance(1), now: BEGIN };
    let refused = Rejection::StaleEpoch { given: Epoch(7), current: Epoch(0) };
    TestFramework::<Task>::with(()).given(given).when(early).then_expect_error(refused);
    let none = TestFramework::<Task>::with(()).given_no_previous_events();
    none.when(retry()).then_expect_error(Rejection::NotFound);
}

#[test]
fn each_command_needs_its_status() {
    let mut run = Run::queued();
    assert_eq!(run.code(&run.start(1)), "stale_epoch");
    assert_eq!(run.code(&run.verdict("c0ffee", "pass")), "wrong_status");
    let mut run = Run::claimed();
    assert_eq!(run.code(&run.claim(2)), "wrong_status");
    assert_eq!(run.code(&run.step()), "wrong_status");
    assert_eq!(run.code(&run.submit("c0ffee")), "wrong_status");
    assert_eq!(run.code(&retry()), "wrong_status");
    let mut run = Run::running();
    assert_eq!(run.code(&run.start(2)), "stale_epoch");
}

#[test]
fn nothing_of_an_attempt_fails_before_it_began() {
    let mut run = Run::claimed();
    assert_eq!(run.code(&run.fail()), "wrong_status");
}

#[test]
fn waits_for_its_spec_and_for_the_tasks_it_needs() {
    let mut run = Run::default();
    assert_eq!(run.once(&queue(work(&[2, 3]), true)), ["TaskQueued"]);
    assert_eq!(run.once(&note(2, Outcome::Completed)), ["DependencyNoted"]);
    assert_eq!(run.expect(&note(9, Outcome::Completed)), Vec::<&str>::new());
    assert_eq!(run.once(&Command::Release { run: 1 }), ["TaskReleased"]);
    assert_eq!(run.once(&note(3, Outcome::Failed)), ["DependencyNoted"]);
    assert!(run.task.blocked_by().unwrap().contains("is failed"));
    assert_eq!(run.code(&run.claim(1)), "wrong_status");
    assert_eq!(run.once(&note(3, Outcome::Completed)), ["DependencyNoted", "TaskUnblocked"]);
    assert_eq!(run.status(), "queued");
}

#[test]
fn a_changed_plan_revises_it_only_before_it_began() {
    let mut run = Run::queued();
    let mut changed = work(&[]);
    changed.title = "Limit all".to_owned();
    assert_eq!(run.once(&queue(changed, false)), ["TaskRevised"]);
    assert_eq!(run.once(&queue(work(&[2]), false)), ["TaskRevised"]);
    assert_eq!(run.status(), "blocked");
    assert_eq!(run.once(&queue(work(&[]), false)), ["TaskRevised", "TaskUnblocked"]);
    run.expect(&run.claim(1));
    assert_eq!(run.expect(&queue(work(&[2]), false)), Vec::<&str>::new());
}

#[test]
fn failed_attempts_are_bounded_and_a_retry_starts_afresh() {
    let mut run = Run::running();
    for _ in 0..2 {
        assert_eq!(run.expect(&run.fail()), ["TaskAttemptFailed", "TaskRequeued"]);
        assert_eq!(run.code(&run.claim(1)), "wrong_status", "the backoff holds");
        run.again();
    }
    assert_eq!(run.expect(&run.fail()), ["TaskAttemptFailed", "TaskFailed"]);
    assert_eq!(run.once(&retry()), ["TaskRequeued"]);
    run.again();
    assert_eq!(run.task.last_attempt(), 4);
    assert_eq!(run.expect(&run.fail()), ["TaskAttemptFailed", "TaskRequeued"]);
}

#[test]
fn a_verdict_that_fails_is_a_failed_attempt() {
    let mut run = Run::running();
    run.expect(&run.submit("c0ffee"));
    let events = run.expect(&run.verdict("c0ffee", "fail"));
    assert_eq!(events, ["TaskVerdictRecorded", "TaskAttemptFailed", "TaskRequeued"]);
}

#[test]
fn a_missing_program_is_not_tried_again() {
    let mut run = Run::running();
    let report = Command::ReportFailure {
        epoch: run.task.epoch(),
        kind: FailureKind::Configuration,
        message: "no such program".to_owned(),
        usage: Usage::default(),
        wait: run.wait(),
    };
    assert_eq!(run.expect(&report), ["TaskAttemptFailed", "TaskFailed"]);
}

#[test]
fn lost_sandboxes_use_up_no_attempt_and_are_bounded() {
    let mut run = Run::running();
    for _ in 0..5 {
        assert_eq!(run.once(&run.lose()), ["TaskSandboxLost", "TaskRequeued"]);
        run.again();
    }
    assert_eq!((run.task.attempts(), run.task.last_attempt()), (1, 6));
    assert_eq!(run.expect(&run.lose()), ["TaskSandboxLost", "TaskFailed"]);
    assert_eq!(run.task.usage(), tokens(18));
}

#[test]
fn a_loss_before_the_start_gives_back_no_attempt() {
    let mut run = Run::running();
    run.expect(&run.fail());
    run.now = run.now.plus_ms(60_000);
    run.expect(&run.claim(1));
    run.expect(&run.lose());
    assert_eq!(run.task.attempts(), 1);
}

#[test]
fn a_retry_waits_for_what_it_needs() {
    let mut run = Run::default();
    run.expect(&queue(work(&[2]), false));
    assert_eq!(run.once(&cancel("ada")), ["TaskCancelled"]);
    assert_eq!(run.once(&retry()), ["TaskRequeued"]);
    assert_eq!(run.status(), "blocked");
    run.expect(&cancel("ada"));
    assert_eq!(run.once(&note(2, Outcome::Completed)), ["DependencyNoted"]);
    run.expect(&retry());
    assert_eq!(run.status(), "queued");
}

#[test]
fn what_the_engine_took_back_comes_again_with_the_plan() {
    let mut run = Run::default();
    run.expect(&queue(work(&[]), true));
    run.expect(&cancel("engine"));
    assert_eq!(run.once(&queue(work(&[]), true)), ["TaskRequeued"]);
    assert_eq!(run.status(), "blocked");
    assert_eq!(run.once(&Command::Release { run: 2 }), ["TaskReleased", "TaskUnblocked"]);
    run.expect(&cancel("ada"));
    assert_eq!(run.expect(&queue(work(&[]), true)), Vec::<&str>::new());
}

#[test]
fn priority_changes_while_it_is_open() {
    let mut run = Run::queued();
    let command = Command::Reprioritise { priority: Priority::Low, by: "ada".to_owned() };
    assert_eq!(run.once(&command), ["TaskReprioritised"]);
    run.expect(&cancel("ada"));
    let command = Command::Reprioritise { priority: Priority::High, by: "ada".to_owned() };
    assert_eq!(run.code(&command), "task_ended");
}

#[test]
fn lesson_07_age_of_a_claim_counts_from_the_claim() {
    let mut run = Run::queued();
    run.now = BEGIN.plus_ms(3_600_000);
    run.expect(&run.claim(1));
    let Status::Claimed { at, .. } = run.task.status() else { panic!("{:?}", run.task) };
    assert_eq!(*at, run.now);
}

#[test]
fn lesson_09_a_late_sandbox_changes_nothing() {
    let mut run = Run::running();
    let late = [run.step(), run.submit("c0ffee"), run.fail(), run.start(1)];
    let late_loss = run.lose();
    run.expect(&run.lose());
    run.again();
    for command in late {
        assert_eq!(run.code(&command), "stale_epoch", "{command:?}");
    }
    assert_eq!(run.expect(&late_loss), Vec::<&str>::new());
}

#[test]
fn lesson_23_a_late_start_does_not_revive_a_cancelled_task() {
    let mut run = Run::claimed();
    let start = run.start(1);
    run.expect(&cancel("ada"));
    assert_eq!(run.code(&start), "task_ended");
    assert_eq!(run.status(), "cancelled");
}
