//! An event that the reactor cannot act on is put aside, and holds up none behind it.

use specline::store::{Append, Expected, NewEvent, Position, StreamId};
use specline_aggregates::Policy;
use uuid::Uuid;

use super::repeats::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_from_later_events_is_done_all_the_same() {
    let world = World::new(Policy::default()).await;
    let engine = &world.lab.engine;
    let unreadable = NewEvent {
        event_type: "TaskCompleted".to_owned(),
        event_version: "1".to_owned(),
        payload: r#"{"TaskCompleted":{"result":"no digest"}}"#.to_owned(),
        metadata: r#"{"actor":"tester"}"#.to_owned(),
    };
    let stream = StreamId { aggregate_type: "Task".to_owned(), aggregate_id: Uuid::now_v7() };
    let (expected, events) = (Expected::NoStream, vec![unreadable]);
    let append = Append { stream, expected, events, key: None, blobs: Vec::new() };
    let position = engine.log().append(append).await.unwrap().position;
    world.complete().await;
    // Its tasks are released by the reactor.
    world
        .lab
        .eventually("the tasks to be released", async || {
            let log = engine.log().read_all(Position(0), 1_000).await.unwrap();
            let released = log.iter().filter(|event| event.event_type == "TaskReleased").count();
            (released == 4).then_some(())
        })
        .await;
    let parked = engine.side().parked("reactor").await.unwrap();
    assert_eq!(parked.len(), 1, "{parked:?}");
    assert_eq!(parked[0].0, position);
    assert!(parked[0].1.contains("TaskCompleted"), "{parked:?}");
    let text = engine.measure().await.unwrap();
    assert!(text.contains("specline_events_parked_total{duty=\"reactor\"} 1"), "{text}");
}
