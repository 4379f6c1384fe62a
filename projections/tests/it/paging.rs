//! The same bytes, however the events are paged.

use specline_aggregates::SpecId;
use specline_projections::Error;

use crate::access::project_and_keys;
use crate::files::{Files, On, catch_up, dump, on_both};
use crate::walk::{Draw, policy, step};
use crate::work::busy;
use crate::world::World;

on_both!(
    page_sizes_give_the_same_bytes,
    pages_are_applied_in_a_task_while_others_read,
    events_that_are_known_are_skipped_and_holes_are_refused
);

/// Some specs that wander, and one whose tasks are worked on.
pub fn eventful() -> World {
    let (mut world, mut draw) = (World::new(), Draw::new(5));
    for n in 0..6 {
        world.draft(n, policy(n));
    }
    for _ in 0..30 {
        let ids: Vec<SpecId> = world.specs.keys().copied().collect();
        for id in ids {
            step(&mut world, id, &mut draw);
        }
    }
    busy(&mut world);
    project_and_keys(&mut world);
    world
}

async fn page_sizes_give_the_same_bytes(on: On) {
    let world = eventful();
    let mut dumps = Vec::new();
    for size in [1, 7, 1_000] {
        let files = Files::new(on);
        let models = files.open(world.head()).await;
        catch_up(&models, &world, size).await;
        dumps.push(dump(&models).await);
    }
    assert!(dumps[0].iter().all(|(_, bytes)| !bytes.is_empty()), "every read model has rows");
    assert_eq!(dumps[0], dumps[1]);
    assert_eq!(dumps[0], dumps[2]);
}

/// The engine applies pages in a task of its own, beside readers.
async fn pages_are_applied_in_a_task_while_others_read(on: On) {
    let (files, world) = (Files::new(on), eventful());
    let models = std::sync::Arc::new(files.open(world.head()).await);
    let writer = std::sync::Arc::clone(&models);
    let log = world.log.clone();
    let task = tokio::spawn(async move {
        let mut after = 0;
        for page in log.chunks(5) {
            writer.apply(after, page).await.unwrap();
            after = page.last().unwrap().position;
        }
    });
    let mut reads = 0;
    while !task.is_finished() || reads == 0 {
        models.specs(&specline_projections::spec_board::Filter::default(), None, 50).await.unwrap();
        models.all_due().await.unwrap();
        reads += 1;
    }
    task.await.unwrap();
    assert_eq!(models.resume_position(), Some(world.head()));
}

async fn events_that_are_known_are_skipped_and_holes_are_refused(on: On) {
    let world = eventful();
    let (files, reference) = (Files::new(on), Files::new(on));
    let models = files.open(world.head()).await;
    let half = &world.log[..world.log.len() / 2];
    models.apply(0, half).await.unwrap();
    models.apply(0, half).await.unwrap();
    let middle = half.last().unwrap().position;
    assert_eq!(models.min_position(&["spec_board", "due_work"]).unwrap(), middle);

    // A page that begins further on would leave a hole: nobody takes it.
    let beyond = world.log[half.len() + 3].position;
    let applied = models.apply(beyond, world.after(beyond)).await.unwrap();
    assert!(applied.positions.values().all(|position| *position == middle), "{applied:?}");

    // A page that overlaps is taken from where each stands.
    models.apply(0, &world.log).await.unwrap();
    let clean = reference.open(world.head()).await;
    catch_up(&clean, &world, 100).await;
    assert_eq!(dump(&models).await, dump(&clean).await);

    let mut twisted = world.log.clone();
    twisted.swap(3, 4);
    let refused = models.apply(0, &twisted).await;
    assert!(matches!(refused, Err(Error::Disorder { .. })), "{refused:?}");
}
