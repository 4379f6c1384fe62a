//! Atomic, dense, chained, verbatim.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use specline::store::chain::{Content, GENESIS, chain_hash};
use specline::store::{Append, Clock, EventLog, Expected, LogError, MAX_EVENT_BYTES, Position};
use specline_aggregates::{Digest, Timestamp};

use super::backend::{Backend, append, blob, event, fill, is_conflict, on_every_backend, stream};

on_every_backend!(
    an_append_is_read_back_byte_for_byte,
    positions_and_sequences_are_dense,
    the_chain_is_the_documented_one,
    a_wrong_expectation_writes_nothing,
    a_head_with_another_hash_is_a_conflict,
    a_failed_append_of_a_batch_harms_no_other,
    time_never_goes_back,
    blobs_come_with_their_append,
    too_large_is_said_clearly,
    the_head_is_watched,
    pages_are_bounded,
);

async fn an_append_is_read_back_byte_for_byte<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    let stream = stream();
    let mut odd = event(&"{ \"b\" : 1.0e2,\n\t\"a\":\"\\u00e4ß🦀\" , \"b\":2}");
    "{ \"actor\" :\"x\" }".clone_into(&mut odd.metadata);
    "2".clone_into(&mut odd.event_version);
    let request = Append { events: vec![odd.clone()], ..append(&stream, None, &[]) };
    let appended = log.append(request).await.unwrap();
    let read = log.read_stream(&stream, 0, 10).await.unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read, log.read_all(Position(0), 10).await.unwrap());
    assert_eq!((&read[0].payload, &read[0].metadata), (&odd.payload, &odd.metadata));
    assert_eq!(
        (&read[0].event_type, &read[0].event_version),
        (&odd.event_type, &odd.event_version)
    );
    assert_eq!((read[0].position, read[0].hash), (appended.position, appended.head.hash));
    assert_eq!((read[0].sequence, read[0].recorded_at), (1, appended.recorded_at));
    assert_eq!(log.stream_head(&stream).await.unwrap(), Some(appended.head));
    assert!(!appended.repeated);
}

async fn positions_and_sequences_are_dense<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    let (one, two) = (stream(), stream());
    let first = log.append(append(&one, None, &[1, 2, 3])).await.unwrap();
    assert!(log.append(append(&one, None, &[9])).await.is_err());
    let second = log.append(append(&two, None, &[4])).await.unwrap();
    let third = log.append(append(&one, Some(first.head), &[5, 6])).await.unwrap();
    assert_eq!(
        (first.position, second.position, third.position),
        (Position(3), Position(4), Position(6))
    );
    let all = log.read_all(Position(0), 100).await.unwrap();
    let places: Vec<_> = all.iter().map(|event| (event.position.0, event.sequence)).collect();
    assert_eq!(places, [(1, 1), (2, 2), (3, 3), (4, 1), (5, 4), (6, 5)]);
}

async fn the_chain_is_the_documented_one<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    let stream = stream();
    fill(&*log, &stream, 3).await;
    let mut previous = GENESIS;
    for event in log.read_stream(&stream, 0, 10).await.unwrap() {
        let content = Content {
            event_type: &event.event_type,
            event_version: &event.event_version,
            payload: &event.payload,
            metadata: &event.metadata,
        };
        previous = chain_hash(&previous, &stream, event.sequence, content);
        assert_eq!(event.hash, previous);
    }
}

async fn a_wrong_expectation_writes_nothing<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    let stream = stream();
    let first = log.append(append(&stream, None, &[1])).await.unwrap();
    let second = log.append(append(&stream, Some(first.head), &[2])).await.unwrap();
    let stale = Append { blobs: vec![blob(b"lost")], ..append(&stream, Some(first.head), &[3]) };
    let LogError::Conflict { stream: named, actual } = log.append(stale).await.unwrap_err() else {
        panic!("a stale append is a conflict");
    };
    assert_eq!((named, actual), (stream.clone(), 2));
    assert!(is_conflict(&log.append(append(&stream, None, &[3])).await.unwrap_err()));
    let absent = super::backend::stream();
    let error = log.append(append(&absent, Some(second.head), &[3])).await.unwrap_err();
    assert!(matches!(error, LogError::Conflict { actual: 0, .. }), "{error}");
    assert_eq!(log.read_all(Position(0), 10).await.unwrap().len(), 2);
    assert_eq!(log.blob(&Digest::of(b"lost")).await.unwrap(), None);
}

async fn a_head_with_another_hash_is_a_conflict<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    let stream = stream();
    let mut head = log.append(append(&stream, None, &[1])).await.unwrap().head;
    head.hash = Digest::of(b"another history");
    let error = log.append(append(&stream, Some(head), &[2])).await.unwrap_err();
    assert!(is_conflict(&error), "{error}");
}

async fn a_failed_append_of_a_batch_harms_no_other<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    let taken = stream();
    fill(&*log, &taken, 1).await;
    let appends = (0..200_u64).map(|number| {
        let log = Arc::clone(&log);
        let bad = number % 3 == 0;
        let stream = if bad { taken.clone() } else { stream() };
        let append = append(&stream, None, &[number, number]);
        tokio::spawn(async move { (bad, log.append(append).await) })
    });
    let appends: Vec<_> = appends.collect();
    let mut written = 1;
    for answer in appends {
        let (bad, result) = answer.await.unwrap();
        assert_eq!(result.is_err(), bad);
        written += if bad { 0 } else { 2 };
    }
    let all = log.read_all(Position(0), 1_000).await.unwrap();
    assert_eq!(all.len(), written);
    assert_eq!(all.last().unwrap().position, Position(written as u64));
}

async fn time_never_goes_back<B: Backend>() {
    let backend = B::new();
    let micros = Arc::new(AtomicI64::new(5_000_000));
    let source = Arc::clone(&micros);
    let clock = Clock::new(move || Timestamp::from_micros(source.load(Ordering::SeqCst)));
    let log = backend.open(clock);
    let stream = stream();
    let first = fill(&*log, &stream, 1).await;
    micros.store(4_000_000, Ordering::SeqCst);
    let second = fill(&*log, &stream, 1).await;
    assert_eq!(log.now().await.unwrap(), Timestamp::from_micros(5_000_000));
    micros.store(6_000_001, Ordering::SeqCst);
    let third = fill(&*log, &stream, 1).await;
    let times = [first, second, third].map(|appended| appended.recorded_at.micros());
    // What has passed since the clock was set back counts, from where the log's time stood.
    assert_eq!(times, [5_000_000, 5_000_000, 7_000_001]);
    assert_eq!(log.now().await.unwrap(), Timestamp::from_micros(7_000_001));
}

async fn blobs_come_with_their_append<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    let bytes = vec![7; 600 * 1024];
    let request = Append { blobs: vec![blob(&bytes)], ..append(&stream(), None, &[1]) };
    log.append(request).await.unwrap();
    assert_eq!(log.blob(&Digest::of(&bytes)).await.unwrap(), Some(bytes.clone()));
    log.put_blob(blob(&bytes)).await.unwrap();
    log.put_blob(blob(b"")).await.unwrap();
    assert_eq!(log.blob(&Digest::of(b"")).await.unwrap(), Some(Vec::new()));
    assert_eq!(log.blob(&Digest::of(b"absent")).await.unwrap(), None);
    let mut forged = blob(b"one");
    forged.bytes = b"two".to_vec();
    assert!(log.put_blob(forged).await.is_err());
}

async fn too_large_is_said_clearly<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    let stream = stream();
    let mut fitting = event(&"");
    fitting.payload = format!("\"{}\"", "x".repeat(MAX_EVENT_BYTES - fitting.metadata.len() - 2));
    let mut request = Append { events: vec![fitting], ..append(&stream, None, &[]) };
    log.append(request.clone()).await.unwrap();
    request.events[0].payload.push(' ');
    request.stream = super::backend::stream();
    let error = log.append(request).await.unwrap_err();
    assert!(matches!(error, LogError::TooLarge { max: MAX_EVENT_BYTES, .. }), "{error}");
    assert_eq!(log.read_all(Position(0), 10).await.unwrap().len(), 1);
}

async fn the_head_is_watched<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    let mut head = log.watch_head();
    assert_eq!(*head.borrow_and_update(), Position(0));
    fill(&*log, &stream(), 2).await;
    head.wait_for(|head| *head == Position(2)).await.unwrap();
}

async fn pages_are_bounded<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    let stream = stream();
    fill(&*log, &stream, 5).await;
    let sequences = |events: Vec<specline::store::Recorded>| {
        events.iter().map(|event| event.sequence).collect::<Vec<_>>()
    };
    assert_eq!(sequences(log.read_stream(&stream, 1, 2).await.unwrap()), [2, 3]);
    assert_eq!(sequences(log.read_stream(&stream, 4, 9).await.unwrap()), [5]);
    assert_eq!(sequences(log.read_stream(&stream, 5, 9).await.unwrap()), [0; 0]);
    assert_eq!(sequences(log.read_all(Position(3), 1).await.unwrap()), [4]);
    assert_eq!(log.read_all(Position(99), 1).await.unwrap(), []);
    assert!(log.append(append(&stream, None, &[])).await.is_err());
    let head = log.stream_head(&stream).await.unwrap().unwrap();
    let nothing = Append { expected: Expected::Exact(head), ..append(&stream, None, &[]) };
    assert_eq!(log.append(nothing).await.unwrap().head, head);
}
