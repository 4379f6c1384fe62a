//! A read model that stops, and cursors that do not fit the log.

use specline_aggregates::{Digest, Policy, task};
use specline_projections::{DomainEvent, LogId, ReadModels, State};
use uuid::Uuid;

use crate::files::{Files, LOG, On, catch_up, dump, on_both};
use crate::paging::eventful;
use crate::work::busy;
use crate::world::World;

on_both!(
    one_that_cannot_fold_stops_alone_and_says_why,
    an_event_that_cannot_be_read_stops_those_that_need_it,
    apply_tells_who_failed_once,
    a_cursor_of_another_log_or_beyond_the_head_begins_again,
    another_form_of_row_is_rebuilt
);

/// A log with an event in its middle that cannot follow; and that event's position.
fn broken() -> (World, u64) {
    let mut world = World::new();
    let (_, task) = busy(&mut world);
    let sequence = world.tasks[&task].version() + 1;
    let completed = task::Event::TaskCompleted { result: Digest::of(b"never submitted") };
    world.write(task.uuid(), sequence, DomainEvent::Task(completed));
    let position = world.head();
    world.draft(77, Policy::default());
    (world, position)
}

async fn one_that_cannot_fold_stops_alone_and_says_why(on: On) {
    for size in [1, 13, 1_000] {
        let (world, position) = broken();
        let files = Files::new(on);
        let models = files.open(world.head()).await;
        catch_up(&models, &world, size).await;
        check_stopped(&models, &world, position);
        let before = dump(&models).await;
        models.close().await;

        // It is still known after a restart, and what it has is still there.
        let models = files.open(world.head()).await;
        check_stopped(&models, &world, position);
        assert_eq!(dump(&models).await, before);
        assert_eq!(models.resume_position(), Some(world.head()));
    }
}

fn check_stopped(models: &ReadModels, world: &World, position: u64) {
    for status in models.status() {
        if status.model == "task_queue" {
            let State::Failed(failure) = &status.state else { panic!("it failed: {status:?}") };
            assert_eq!(failure.position, position);
            assert_eq!(failure.cause, "event TaskCompleted cannot follow state completed");
            assert!(status.position < position, "it stands before the event: {status:?}");
            let between = world.after(status.position);
            assert_eq!(between[0].position, position, "and right before it");
        } else {
            assert_eq!((&status.state, status.position), (&State::Running, world.head()));
        }
    }
}

async fn an_event_that_cannot_be_read_stops_those_that_need_it(on: On) {
    let mut world = World::new();
    let (_, task) = busy(&mut world);
    let unreadable = DomainEvent::Unreadable { cause: "it is no JSON".to_owned() };
    world.write(task.uuid(), world.tasks[&task].version() + 1, unreadable);
    let position = world.head();
    world.draft(77, Policy::default());
    let files = Files::new(on);
    let models = files.open(world.head()).await;
    catch_up(&models, &world, 13).await;
    for status in models.status() {
        if ["task_queue", "spec_board", "sandboxes"].contains(&status.model) {
            let State::Failed(failure) = &status.state else {
                panic!("it reads tasks: {status:?}")
            };
            assert_eq!((failure.position, failure.cause.as_str()), (position, "it is no JSON"));
        } else {
            assert_eq!((&status.state, status.position), (&State::Running, world.head()));
        }
    }
}

async fn apply_tells_who_failed_once(on: On) {
    let (world, position) = broken();
    let files = Files::new(on);
    let models = files.open(world.head()).await;
    let applied = models.apply(0, &world.log).await.unwrap();
    assert_eq!(applied.failed.len(), 1);
    assert_eq!((applied.failed[0].0, applied.failed[0].1.position), ("task_queue", position));
    assert_eq!(applied.positions["spec_board"], world.head());
    let head = world.head();
    let mut world = world;
    world.draft(78, Policy::default());
    let applied = models.apply(head, world.after(head)).await.unwrap();
    assert_eq!(applied.failed, []);
    assert_eq!(applied.positions["spec_board"], world.head());
}

async fn a_cursor_of_another_log_or_beyond_the_head_begins_again(on: On) {
    let world = eventful();
    let files = Files::new(on);
    let models = files.open(world.head()).await;
    catch_up(&models, &world, 100).await;
    let reference = dump(&models).await;
    models.close().await;

    let restored = LogId { incarnation: 2, ..LOG };
    let other = LogId { log_id: Uuid::from_u128(8), ..LOG };
    let mut cases = vec![(restored, world.head()), (other, world.head())];
    // In a shared database another node has just gone further than the head that was read.
    cases.extend((on == On::Sqlite).then_some((other, 3)));
    for (log, head) in cases {
        let models = ReadModels::open(files.place(), log, head).await.unwrap();
        assert_eq!(models.resume_position(), Some(0));
        assert!(dump(&models).await.iter().all(|(_, bytes)| bytes.is_empty()));
        catch_up(&models, &world, 100).await;
        assert_eq!(dump(&models).await, reference);
        models.close().await;
    }
    let models = ReadModels::open(files.place(), other, world.head()).await.unwrap();
    assert_eq!(models.resume_position(), Some(world.head()), "the same log goes on");
    if on == On::Postgres {
        let models = ReadModels::open(files.place(), other, 3).await.unwrap();
        assert_eq!(models.resume_position(), Some(world.head()));
    }
}

async fn another_form_of_row_is_rebuilt(on: On) {
    let world = eventful();
    let files = Files::new(on);
    let models = files.open(world.head()).await;
    catch_up(&models, &world, 100).await;
    let reference = dump(&models).await;
    models.close().await;

    let older = "UPDATE read_model_cursors SET schema_version = 0 WHERE model = 'tickets'";
    files.execute(older).await;

    let models = files.open(world.head()).await;
    assert_eq!(models.position("tickets").unwrap(), 0);
    assert_eq!(models.position("spec_board").unwrap(), world.head());
    catch_up(&models, &world, 100).await;
    assert_eq!(dump(&models).await, reference);
}
