//! A cursor is safe: what a reader has passed, nothing comes behind.

use std::sync::Arc;

use specline::store::{EventLog, Position};

use super::backend::{Backend, append, on_every_backend, stream};

const WRITERS: u64 = 16;
const EVENTS_EACH: u64 = 100;

on_every_backend!(readers_skip_nothing_while_writers_append);

async fn readers_skip_nothing_while_writers_append<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    let readers: Vec<_> = (0..3)
        .map(|reader| {
            let log = Arc::clone(&log);
            tokio::spawn(async move { follow(&*log, 1 + reader * 50).await })
        })
        .collect();
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let (stream, mut head) = (stream(), None);
                for number in 0..EVENTS_EACH {
                    head = Some(log.append(append(&stream, head, &[number])).await.unwrap().head);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let all = log.read_all(Position(0), 10_000).await.unwrap();
    let all: Vec<_> = all.iter().map(|event| (event.position, event.hash)).collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), all, "a reader saw something else than what is there");
    }
}

/// Reads to the end as it moves, `page` events at a time, waiting on the head.
async fn follow(log: &dyn EventLog, page: usize) -> Vec<(Position, specline_aggregates::Digest)> {
    let mut head = log.watch_head();
    let mut seen: Vec<(Position, specline_aggregates::Digest)> = Vec::new();
    while (seen.len() as u64) < WRITERS * EVENTS_EACH {
        let cursor = seen.last().map_or(Position(0), |(position, _)| *position);
        let events = log.read_all(cursor, page).await.unwrap();
        if events.is_empty() {
            head.wait_for(|head| *head > cursor).await.unwrap();
        }
        seen.extend(events.iter().map(|event| (event.position, event.hash)));
    }
    seen
}
