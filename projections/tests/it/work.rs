//! Tasks, tickets and their sandboxes.

use specline_aggregates::spec::{FailureKind, LossCause};
use specline_aggregates::task::{self, Command, Outcome, Status};
use specline_aggregates::{
    InstanceId, Policy, SandboxId, SpecId, TaskId, Usage, derive_id, ticket,
};
use specline_projections::sandboxes::{Filter as SandboxFilter, Owner, State};
use specline_projections::spec_board::Work;
use specline_projections::{task_queue, tickets};

use crate::files::{Files, On, catch_up, on_both};
use crate::world::{USAGE, World};

on_both!(
    the_queue_says_why,
    board_and_tickets_count_the_tasks,
    work_follows_its_tasks,
    sandboxes_of_a_task_end_as_they_did
);

fn claim(world: &mut World, id: TaskId) -> SandboxId {
    let epoch = world.tasks[&id].epoch().next();
    let sandbox = SandboxId::new(derive_id(&["box", &id.to_string(), &epoch.to_string()]));
    let now = world.now;
    assert!(world.task(id, &Command::Claim { sandbox, lease_ms: 30_000, now }));
    sandbox
}

fn start(world: &mut World, id: TaskId) {
    let epoch = world.tasks[&id].epoch();
    let instance = InstanceId::new(derive_id(&["instance", &id.to_string()]));
    let now = world.now;
    assert!(world.task(id, &Command::Start { epoch, instance, now }));
}

fn finish(world: &mut World, id: TaskId) {
    let epoch = world.tasks[&id].epoch();
    let (summary, result) = ("done".to_owned(), format!("commit {id}"));
    assert!(world.task(id, &Command::SubmitResult { epoch, summary, result, usage: USAGE }));
    let Status::Verifying { result, .. } = *world.tasks[&id].status() else {
        panic!("a result is judged: {:?}", world.tasks[&id].status())
    };
    let verdict = task::Verdict {
        evaluator: "person".into(),
        passed: true,
        score: 1000,
        findings: Vec::new(),
    };
    let wait = world.wait();
    assert!(world.task(id, &Command::RecordVerdict { result, verdict, wait }));
}

/// The tasks of a spec, those first that nothing holds up.
fn ordered(world: &World, spec: SpecId) -> Vec<TaskId> {
    let mut ids: Vec<_> = world.specs[&spec].synced().unwrap().tasks.values().copied().collect();
    ids.sort_by_key(|id| world.tasks[id].work().unwrap().depends_on.len());
    ids
}

/// A spec that ran, and whose first task is lost once, fails once, and then is done.
pub fn busy(world: &mut World) -> (SpecId, TaskId) {
    let spec = world.draft(500, Policy::default());
    world.run(spec);
    let first = ordered(world, spec)[0];
    world.later(10_000);
    claim(world, first);
    start(world, first);
    let (epoch, usage, wait) = (world.tasks[&first].epoch(), Usage::default(), world.wait());
    let cause = LossCause::Signal { signal: 9 };
    assert!(world.task(first, &Command::ReportLost { epoch, cause, usage, wait }));
    world.later(100_000);
    claim(world, first);
    start(world, first);
    let (epoch, wait) = (world.tasks[&first].epoch(), world.wait());
    let (kind, message) = (FailureKind::AgentError, "it does not build".to_owned());
    assert!(world.task(first, &Command::ReportFailure { epoch, kind, message, usage, wait }));
    world.later(100_000);
    claim(world, first);
    start(world, first);
    world.later(5_000);
    finish(world, first);
    let others: Vec<_> = ordered(world, spec);
    for id in others {
        let outcome = Outcome::Completed;
        if world.tasks[&id].work().unwrap().depends_on.contains(&first) {
            world.task(id, &Command::NoteDependency { task: first, outcome });
        }
    }
    let ticket = world.tasks[&first].work().unwrap().ticket.unwrap();
    let outcome = Some(Outcome::Completed);
    world.ticket(ticket, &ticket::Command::NoteOutcome { task: first, outcome });
    (spec, first)
}

async fn the_queue_says_why(on: On) {
    let (files, mut world) = (Files::new(on), World::new());
    let (spec, first) = busy(&mut world);
    let models = files.open(world.head()).await;
    catch_up(&models, &world, 50).await;

    let filter = task_queue::Filter { spec: Some(spec), ..task_queue::Filter::default() };
    let tasks = models.tasks(&filter, None, 100).await.unwrap().rows;
    assert_eq!(tasks.len(), world.tasks.len());
    for line in &tasks {
        let task = &world.tasks[&line.id];
        assert_eq!((line.status.as_str(), line.version), (task.status().as_str(), task.version()));
        match task.status() {
            Status::Completed { .. } => assert_eq!(line.reason, "done"),
            Status::Blocked => {
                let why = task.blocked_by().unwrap();
                assert_eq!(line.reason, format!("not chosen: {why}"));
            }
            Status::Queued { .. } => assert_eq!(line.reason, "waits for a free sandbox"),
            Status::Unknown
            | Status::Claimed { .. }
            | Status::Running { .. }
            | Status::Verifying { .. }
            | Status::Failed { .. }
            | Status::Cancelled { .. } => panic!("no task of this course is {}", task.status()),
        }
    }
    let done = models.task(first).await.unwrap().unwrap();
    assert_eq!((done.attempts, done.error, done.epoch.0), (2, None, 3));
    assert_eq!(done.usage, USAGE);
    assert!(done.claimed_at.is_some() && done.local_id.is_some());

    // Keyset pages: each task once, in the order of the log.
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = models.tasks(&filter, after.as_deref(), 2).await.unwrap();
        paged.extend(page.rows);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(paged, tasks);
}

async fn board_and_tickets_count_the_tasks(on: On) {
    let (files, mut world) = (Files::new(on), World::new());
    let (spec, first) = busy(&mut world);
    let models = files.open(world.head()).await;
    catch_up(&models, &world, 3).await;

    let line = models.spec(spec).await.unwrap().unwrap();
    let mut counted = std::collections::BTreeMap::<String, u32>::new();
    for task in world.tasks.values() {
        *counted.entry(task.status().as_str().to_owned()).or_default() += 1;
    }
    assert_eq!(line.tasks, counted);
    assert_eq!(line.work, Work::Queued);

    let filter = tickets::Filter { spec: Some(spec), ..tickets::Filter::default() };
    let listed = models.tickets(&filter, None, 100).await.unwrap().rows;
    assert_eq!(listed.len(), world.tickets.len());
    let ticket = world.tasks[&first].work().unwrap().ticket.unwrap();
    let of_first = models.ticket(ticket).await.unwrap().unwrap();
    assert_eq!(of_first.n_done, 1);
    let n = listed.iter().map(|ticket| ticket.n_tasks).sum::<u32>();
    assert_eq!(usize::try_from(n).unwrap(), world.tasks.len());
    assert_eq!(listed[0].local_id.as_deref(), Some("TKT-001"));
}

async fn work_follows_its_tasks(on: On) {
    let (files, mut world) = (Files::new(on), World::new());
    let spec = world.draft(1, Policy::default());
    let models = files.open(0).await;
    let mut applied = 0;
    let mut seen = Vec::new();
    world.run(spec);
    let queued = |world: &World| {
        let next = |id: &TaskId| matches!(world.tasks[id].status(), Status::Queued { .. });
        ordered(world, spec).into_iter().find(next)
    };
    while let Some(task) = queued(&world) {
        for part in 0..3 {
            match part {
                0 => drop(claim(&mut world, task)),
                1 => start(&mut world, task),
                _ => finish(&mut world, task),
            }
            if part == 2 {
                for other in ordered(&world, spec) {
                    let outcome = Outcome::Completed;
                    world.task(other, &Command::NoteDependency { task, outcome });
                }
            }
            models.apply(applied, world.after(applied)).await.unwrap();
            applied = world.head();
            seen.push(models.spec(spec).await.unwrap().unwrap().work);
        }
    }
    assert_eq!(seen[0], Work::Running);
    assert_eq!(seen[2], Work::Queued);
    assert_eq!(seen.last(), Some(&Work::Done));
}

async fn sandboxes_of_a_task_end_as_they_did(on: On) {
    let (files, mut world) = (Files::new(on), World::new());
    let (spec, first) = busy(&mut world);
    let models = files.open(world.head()).await;
    catch_up(&models, &world, 4).await;

    let filter = SandboxFilter { owner: Some(Owner::Task(first)), state: None };
    let lines = models.sandboxes(filter, None, 10).await.unwrap().rows;
    let states: Vec<_> = lines.iter().map(|line| (line.epoch.0, line.state)).collect();
    assert_eq!(states, [(3, State::Released), (2, State::Released), (1, State::Lost)]);
    assert_eq!(lines[2].cause, Some(LossCause::Signal { signal: 9 }));
    assert!(lines.iter().all(|line| line.instance.is_some() && line.ended_at.is_some()));

    let filter = SandboxFilter { owner: Some(Owner::Spec(spec)), state: Some(State::Released) };
    let of_spec = models.sandboxes(filter, None, 10).await.unwrap().rows;
    assert_eq!(of_spec.len(), 1);
    assert_eq!(of_spec[0].provider.as_deref(), Some("process"));
    assert_eq!(models.sandbox(of_spec[0].id).await.unwrap().as_ref(), of_spec.first());
}
