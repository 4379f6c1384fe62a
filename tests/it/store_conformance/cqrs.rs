//! The stock `CqrsFramework` on the log.

use std::sync::{Arc, Mutex};

use cqrs_es::{AggregateError, CqrsFramework, EventEnvelope, EventStore, Query};
use specline::store::{AggregateStore, EventLog};
use uuid::Uuid;

use super::backend::{Backend, on_every_backend};
use super::counter::{Command, Counter};

on_every_backend!(the_stock_framework_works, its_errors_are_ours);

/// Notes the sequences that it is told of.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<usize>>>);

#[async_trait::async_trait]
impl Query<Counter> for Seen {
    async fn dispatch(&self, _: &str, events: &[EventEnvelope<Counter>]) {
        self.0.lock().unwrap().extend(events.iter().map(|event| event.sequence));
    }
}

async fn the_stock_framework_works<B: Backend>() {
    let backend = B::new();
    let log: Arc<dyn EventLog> = backend.store();
    let seen = Seen::default();
    let store = AggregateStore::<Counter>::new(Arc::clone(&log));
    let framework = CqrsFramework::new(store, vec![Box::new(seen.clone())], ());
    let id = Uuid::now_v7().to_string();
    framework.execute(&id, Command::Add(1)).await.unwrap();
    let metadata = [("actor".to_owned(), "ann".to_owned())].into();
    framework.execute_with_metadata(&id, Command::AddTwice(2), metadata).await.unwrap();
    framework.execute(&id, Command::Nothing).await.unwrap();
    let error = framework.execute(&id, Command::Add(0)).await.unwrap_err();
    assert!(matches!(error, AggregateError::UserError(_)), "{error}");
    framework.execute(&id, Command::Add(4)).await.unwrap();
    assert_eq!(*seen.0.lock().unwrap(), [1, 2, 3, 4]);
    let store = AggregateStore::<Counter>::new(log);
    let loaded = store.load(id.parse().unwrap()).await.unwrap();
    assert_eq!(*loaded.state, Counter { total: 9, events: 4 });
    let envelopes = store.load_events(&id).await.unwrap();
    let sequences: Vec<_> = envelopes.iter().map(|envelope| envelope.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4]);
    assert_eq!(envelopes[2].metadata["actor"], "ann");
    assert_eq!(envelopes[0].aggregate_id, id);
}

async fn its_errors_are_ours<B: Backend>() {
    let backend = B::new();
    let store = AggregateStore::<Counter>::new(backend.store());
    let id = Uuid::now_v7().to_string();
    let (one, two) =
        (store.load_aggregate(&id).await.unwrap(), store.load_aggregate(&id).await.unwrap());
    let added = || vec![super::counter::Event::Added { by: 1 }];
    let metadata = std::collections::HashMap::new;
    EventStore::commit(&store, added(), one, metadata()).await.unwrap();
    let error = EventStore::commit(&store, added(), two, metadata()).await.unwrap_err();
    assert!(matches!(error, AggregateError::AggregateConflict), "{error}");
    let error = store.load_aggregate("no uuid").await.unwrap_err();
    assert!(matches!(error, AggregateError::UnexpectedError(_)), "{error}");
}
