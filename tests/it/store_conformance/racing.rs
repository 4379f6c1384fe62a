//! Writers that race for one stream.

use std::sync::Arc;

use specline::store::{EventLog, Position};

use super::backend::{Backend, append, is_conflict, on_every_backend, stream};

on_every_backend!(exactly_one_of_the_racing_writers_wins, every_event_of_contending_writers_counts);

async fn exactly_one_of_the_racing_writers_wins<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    let stream = stream();
    let mut head = None;
    for round in 0..50_u64 {
        let racers: Vec<_> = (0..8_u64)
            .map(|racer| {
                let log = Arc::clone(&log);
                let append = append(&stream, head, &[round * 8 + racer]);
                tokio::spawn(async move { log.append(append).await })
            })
            .collect();
        let mut winners = Vec::new();
        for racer in racers {
            match racer.await.unwrap() {
                Ok(appended) => winners.push(appended.head),
                Err(error) => assert!(is_conflict(&error), "{error}"),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}");
        head = winners.pop();
        assert_eq!(log.stream_head(&stream).await.unwrap(), head);
    }
    assert_eq!(log.read_all(Position(0), 1_000).await.unwrap().len(), 50);
}

async fn every_event_of_contending_writers_counts<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    let stream = stream();
    let writers: Vec<_> = (0..8_u64)
        .map(|writer| {
            let (log, stream) = (Arc::clone(&log), stream.clone());
            tokio::spawn(async move {
                for number in 0..25 {
                    append_until_it_fits(&*log, &stream, writer * 100 + number).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut seen: Vec<u64> = log
        .read_stream(&stream, 0, 1_000)
        .await
        .unwrap()
        .iter()
        .map(|event| event.payload.parse().unwrap())
        .collect();
    seen.sort_unstable();
    let expected: Vec<u64> =
        (0..8).flat_map(|writer| (0..25).map(move |n| writer * 100 + n)).collect();
    assert_eq!(seen, expected);
}

async fn append_until_it_fits(log: &dyn EventLog, stream: &specline::store::StreamId, number: u64) {
    loop {
        let head = log.stream_head(stream).await.unwrap();
        match log.append(append(stream, head, &[number])).await {
            Ok(_) => return,
            Err(error) => assert!(is_conflict(&error), "{error}"),
        }
    }
}
