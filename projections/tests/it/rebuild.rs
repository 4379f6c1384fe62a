//! Rebuilding beside the live table.

use specline_aggregates::{Digest, Policy, task};
use specline_projections::spec_board::Filter;
use specline_projections::{DomainEvent, Error, State};

use crate::files::{Files, On, catch_up, dump, on_both};
use crate::paging::eventful;
use crate::work::busy;
use crate::world::World;

on_both!(
    a_rebuild_swaps_in_the_same_bytes_while_events_go_on,
    an_unfinished_rebuild_is_dropped_at_the_next_open,
    a_rebuild_that_cannot_fold_leaves_the_live_table
);

async fn a_rebuild_swaps_in_the_same_bytes_while_events_go_on(on: On) {
    let mut world = eventful();
    let files = Files::new(on);
    let models = files.open(world.head()).await;
    catch_up(&models, &world, 100).await;
    let names: Vec<_> = models.names().collect();
    for round in 0..2 {
        for (n, name) in (0_u64..).zip(&names) {
            models.begin_rebuild(name).await.unwrap();
            let mut caught_up = false;
            let mut turns = 0;
            while !caught_up {
                let after = models.rebuild_position(name).unwrap();
                let rest = world.after(after);
                let page = &rest[..rest.len().min(150)];
                caught_up = models.apply_rebuild(name, after, page).await.unwrap().caught_up;
                if turns < 2 {
                    // The live one moves on, and is read, meanwhile.
                    let head = world.head();
                    world.draft(1_000 + round * 100 + n * 2 + turns, Policy::default());
                    models.apply(head, world.after(head)).await.unwrap();
                    let newest = models.specs(&Filter::default(), None, 1).await.unwrap();
                    assert_eq!(newest.rows[0].position, world.head());
                    caught_up = false;
                    let early = models.swap(name).await;
                    assert!(matches!(early, Err(Error::Behind { .. })), "{early:?}");
                }
                turns += 1;
            }
            let live = models.dump(name).await.unwrap();
            models.swap(name).await.unwrap();
            assert_eq!(models.dump(name).await.unwrap(), live, "{name}");
            assert_eq!(models.position(name).unwrap(), world.head());
        }
    }
    // The swapped tables are as good as any: events go on, and a restart finds them.
    let head = world.head();
    world.draft(5_000, Policy::default());
    models.apply(head, world.after(head)).await.unwrap();
    let bytes = dump(&models).await;
    models.close().await;
    let models = files.open(world.head()).await;
    assert_eq!(models.resume_position(), Some(world.head()));
    assert_eq!(dump(&models).await, bytes);
}

async fn an_unfinished_rebuild_is_dropped_at_the_next_open(on: On) {
    let world = eventful();
    let files = Files::new(on);
    let models = files.open(world.head()).await;
    catch_up(&models, &world, 100).await;
    let bytes = dump(&models).await;
    models.begin_rebuild("spec_board").await.unwrap();
    models.apply_rebuild("spec_board", 0, &world.log[..20]).await.unwrap();
    let rebuilding = |models: &specline_projections::ReadModels| {
        models.status().iter().any(|status| status.rebuilding.is_some())
    };
    assert!(rebuilding(&models));
    models.close().await;
    let models = files.open(world.head()).await;
    assert!(!rebuilding(&models));
    if on == On::Postgres {
        // It may be another node's, and is: this one cannot know.
        models.refresh().await.unwrap();
        assert!(rebuilding(&models));
    }
    assert_eq!(dump(&models).await, bytes);
    let refused = models.swap("spec_board").await;
    assert!(matches!(refused, Err(Error::NoRebuild("spec_board"))), "{refused:?}");
    assert!(matches!(models.begin_rebuild("nobody").await, Err(Error::UnknownModel(_))));
}

async fn a_rebuild_that_cannot_fold_leaves_the_live_table(on: On) {
    let mut world = World::new();
    let (_, task) = busy(&mut world);
    let sequence = world.tasks[&task].version() + 1;
    let completed = task::Event::TaskCompleted { result: Digest::of(b"never submitted") };
    world.write(task.uuid(), sequence, DomainEvent::Task(completed));
    let files = Files::new(on);
    let models = files.open(world.head()).await;
    catch_up(&models, &world, 1_000).await;
    let bytes = models.dump("task_queue").await.unwrap();
    models.begin_rebuild("task_queue").await.unwrap();
    let failed = models.apply_rebuild("task_queue", 0, &world.log).await;
    assert!(
        matches!(&failed, Err(Error::RebuildFailed { failure, .. })
            if failure.position == world.head()),
        "{failed:?}"
    );
    assert_eq!(models.dump("task_queue").await.unwrap(), bytes);

    // Once the log can be folded (here: without that event), a rebuild heals it.
    models.begin_rebuild("task_queue").await.unwrap();
    let good = &world.log[..world.log.len() - 1];
    models.apply_rebuild("task_queue", 0, good).await.unwrap();
    models.swap("task_queue").await.unwrap();
    let status = models.status().into_iter().find(|s| s.model == "task_queue").unwrap();
    assert_eq!(status.state, State::Running);
    assert_eq!(models.dump("task_queue").await.unwrap(), bytes);
}
