//! A key's second use gives the first answer, or says that it stands for something else.

use std::sync::Arc;

use specline::store::{Append, EventLog, LogError, Position};

use super::backend::{Backend, append, key, on_every_backend, stream};

on_every_backend!(
    a_repeat_gets_the_first_answer_and_writes_nothing,
    another_request_under_the_key_is_refused,
    keys_belong_to_their_stream,
    a_key_without_events_is_recorded,
    repeats_in_one_batch_are_one,
);

async fn a_repeat_gets_the_first_answer_and_writes_nothing<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    let stream = stream();
    let request = Append { key: Some(key("k", "r")), ..append(&stream, None, &[1, 2]) };
    let first = log.append(request.clone()).await.unwrap();
    assert_eq!((first.repeated, first.answer.as_str()), (false, "yes"));
    log.append(append(&stream, Some(first.head), &[3])).await.unwrap();
    let mut again = request;
    "another".clone_into(&mut again.key.as_mut().unwrap().answer);
    let second = log.append(again).await.unwrap();
    assert!(second.repeated);
    assert_eq!(specline::store::Appended { repeated: false, ..second }, first);
    assert_eq!(log.read_all(Position(0), 10).await.unwrap().len(), 3);
    let found = log.find_key(stream.aggregate_id, "k").await.unwrap().unwrap();
    assert_eq!((found.position, found.version), (first.position, 2));
    assert_eq!((found.request, found.answer.as_str()), (key("k", "r").request, "yes"));
}

async fn another_request_under_the_key_is_refused<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    let stream = stream();
    let request = Append { key: Some(key("k", "r")), ..append(&stream, None, &[1]) };
    let first = log.append(request).await.unwrap();
    let other = Append { key: Some(key("k", "other")), ..append(&stream, Some(first.head), &[2]) };
    let error = log.append(other).await.unwrap_err();
    assert!(matches!(&error, LogError::KeyReused { key } if key == "k"), "{error}");
    assert_eq!(log.read_all(Position(0), 10).await.unwrap().len(), 1);
}

async fn keys_belong_to_their_stream<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    for _ in 0..2 {
        let request = Append { key: Some(key("k", "r")), ..append(&stream(), None, &[1]) };
        assert!(!log.append(request).await.unwrap().repeated);
    }
    assert_eq!(log.find_key(stream().aggregate_id, "k").await.unwrap(), None);
}

async fn a_key_without_events_is_recorded<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    let stream = stream();
    let head = log.append(append(&stream, None, &[1])).await.unwrap().head;
    let request = Append { key: Some(key("k", "r")), ..append(&stream, Some(head), &[]) };
    let first = log.append(request.clone()).await.unwrap();
    assert_eq!((first.repeated, first.head, first.position), (false, head, Position(1)));
    assert!(log.append(request).await.unwrap().repeated);
    let stale = Append { key: Some(key("k2", "r")), ..append(&stream, None, &[]) };
    assert!(matches!(log.append(stale).await, Err(LogError::Conflict { .. })));
    assert_eq!(log.find_key(stream.aggregate_id, "k2").await.unwrap(), None);
}

async fn repeats_in_one_batch_are_one<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    let stream = stream();
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let log = Arc::clone(&log);
            let request = Append { key: Some(key("k", "r")), ..append(&stream, None, &[1]) };
            tokio::spawn(async move { log.append(request).await.unwrap() })
        })
        .collect();
    let mut first = 0;
    for call in calls {
        let appended = call.await.unwrap();
        assert_eq!(appended.position, Position(1));
        first += usize::from(!appended.repeated);
    }
    assert_eq!(first, 1);
    assert_eq!(log.read_all(Position(0), 10).await.unwrap().len(), 1);
}
