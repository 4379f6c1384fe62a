//! The same for tasks and tickets.

use proptest::prelude::*;
use specline_aggregates::output::Priority;
use specline_aggregates::task::{self, Outcome, Task};
use specline_aggregates::ticket::{self, Ticket};
use specline_aggregates::{Epoch, Usage};

use crate::task::{cancel, note, queue, retry, task_id, work};
use crate::{task as tasks, ticket as tickets};

fn outcome(n: u8) -> Outcome {
    match n % 4 {
        0 => Outcome::Failed,
        1 => Outcome::Cancelled,
        _ => Outcome::Completed,
    }
}

fn task_command(run: &mut tasks::Run, (which, n): (u8, u8)) -> task::Command {
    match which {
        0 => queue(work(if n < 4 { &[] } else { &[2] }), n % 2 == 0),
        1 => task::Command::Release { run: 1 },
        2 => note(2, outcome(n)),
        3..=5 => {
            run.now = run.now.plus_ms(u64::from(n) * 10_000);
            run.claim(n % 2)
        }
        6..=8 => run.start(n % 2),
        9 => run.step(),
        10 | 11 => run.submit("c0ffee"),
        12 => run.verdict("c0ffee", if n < 4 { "pass" } else { "fail" }),
        13 => run.fail(),
        14 | 15 => run.lose(),
        16 => {
            let priority = if n < 4 { Priority::Low } else { Priority::High };
            task::Command::Reprioritise { priority, by: "ada".to_owned() }
        }
        17 => retry(),
        18 if n < 2 => cancel("ada"),
        18 => cancel("engine"),
        _ => task::Command::Start {
            epoch: Epoch(u32::from(n)),
            instance: crate::kit::instance(9),
            now: run.now,
        },
    }
}

fn usage(event: &task::Event) -> Usage {
    if let task::Event::TaskStepRecorded { usage, .. }
    | task::Event::TaskResultSubmitted { usage, .. }
    | task::Event::TaskAttemptFailed { usage, .. }
    | task::Event::TaskSandboxLost { usage, .. } = event
    {
        *usage
    } else {
        Usage::default()
    }
}

fn check_task(run: &tasks::Run, before: &Task, events: &[task::Event]) {
    let task = &run.task;
    let limit = task.work().map_or(0, |work| work.execution.max_attempts);
    assert!(task.attempts() <= limit, "{} attempts", task.attempts());
    if let Some(first) = events.first().map(task::Event::name)
        && before.status().is_ended()
    {
        let allowed = ["TaskRequeued", "TaskRevised", "DependencyNoted", "TaskReleased"];
        assert!(allowed.contains(&first), "{first} after {}", before.status());
        let completed = before.status().as_str() == "completed";
        assert!(!completed, "{first} after a completed task");
    }
    let open = matches!(task.status().as_str(), "queued" | "claimed" | "running");
    assert!(!open || task.blocked_by().is_none(), "{} and blocked", task.status());
    for event in events {
        if let task::Event::TaskClaimed { epoch, .. } = event {
            assert_eq!(*epoch, before.epoch().next());
        } else if let task::Event::TaskStarted { attempt, .. } = event {
            assert_eq!(*attempt, before.last_attempt() + 1);
        }
    }
}

fn fold_task(mut task: Task, events: &[task::Event]) -> Task {
    for event in events {
        task.evolve(event).unwrap();
    }
    task
}

fn ticket_command((which, n): (u8, u8)) -> ticket::Command {
    let stages = [
        ticket::Status::Backlog,
        ticket::Status::Analyzing,
        ticket::Status::Building,
        ticket::Status::Testing,
        ticket::Status::Done,
        ticket::Status::Cancelled,
    ];
    match which {
        0 | 1 => tickets::open(if n < 4 { "Limit" } else { "Limit all" }),
        2 => tickets::move_to(stages[usize::from(n) % 6]),
        3 => ticket::Command::LinkSpec { spec: crate::kit::spec_id() },
        4 | 5 => ticket::Command::LinkTask { task: task_id(n % 3) },
        6..=9 => tickets::note(n % 3, (n > 0).then(|| outcome(which + n))),
        10 if n == 0 => tickets::cancel("ada"),
        10 if n == 1 => tickets::cancel("engine"),
        _ => ticket::Command::Comment { by: "ada".to_owned(), text: "Nice.".to_owned() },
    }
}

fn fold_ticket(mut ticket: Ticket, events: &[ticket::Event]) -> Ticket {
    for event in events {
        ticket.evolve(event).unwrap();
    }
    ticket
}

proptest! {
    #![proptest_config(super::config())]

    #[test]
    fn any_accepted_sequence_keeps_a_task_whole(
        moves in prop::collection::vec((0_u8..20, 0_u8..8), 1..80),
        at in any::<prop::sample::Index>(),
    ) {
        let mut run = tasks::Run { now: crate::kit::BEGIN, ..tasks::Run::default() };
        run.ask(&queue(work(&[2]), true)).unwrap();
        for one in moves {
            let command = task_command(&mut run, one);
            let (before, first) = (run.task.clone(), run.events.len());
            if run.ask(&command).is_ok() {
                check_task(&run, &before, &run.events[first..]);
                let again = run.task.decide(&command);
                prop_assert!(again.as_ref().map_or(true, Vec::is_empty), "{command:?}: {again:?}");
            }
        }
        let spent = run.events.iter().map(usage).fold(Usage::default(), Usage::plus);
        prop_assert_eq!(run.task.usage(), spent);
        let (head, tail) = run.events.split_at(at.index(run.events.len() + 1));
        let half = fold_task(Task::default(), head);
        let snapshot: Task = serde_json::from_str(&serde_json::to_string(&half).unwrap()).unwrap();
        prop_assert_eq!(&fold_task(snapshot, tail), &run.task);
        prop_assert_eq!(&fold_task(half, tail), &run.task);
    }

    #[test]
    fn any_accepted_sequence_keeps_a_ticket_whole(
        moves in prop::collection::vec((0_u8..12, 0_u8..8), 1..60),
        at in any::<prop::sample::Index>(),
    ) {
        let mut run = tickets::Run::default();
        for one in moves {
            let command = ticket_command(one);
            if run.ask(&command).is_err() {
                continue;
            }
            let ticket = &run.ticket;
            if ticket.status() == ticket::Status::Done {
                let ended = [Some(Outcome::Completed), Some(Outcome::Cancelled)];
                prop_assert!(ticket.tasks().values().all(|outcome| ended.contains(outcome)));
            }
            let comment = matches!(command, ticket::Command::Comment { .. });
            let again = ticket.decide(&command);
            prop_assert!(comment || again == Ok(Vec::new()), "{command:?}: {again:?}");
        }
        let (head, tail) = run.events.split_at(at.index(run.events.len() + 1));
        let half = fold_ticket(Ticket::default(), head);
        let text = serde_json::to_string(&half).unwrap();
        let snapshot: Ticket = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&fold_ticket(snapshot, tail), &run.ticket);
        prop_assert_eq!(&fold_ticket(half, tail), &run.ticket);
    }
}
