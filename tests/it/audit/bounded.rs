//! A query of several conditions looks at a bounded part of the log, and says where to go on.

use specline::store::Position;
use specline::store::audit::{Filter, MAX_SCANNED, Order, Query};

use super::world::{Place, append, audit, event, stream};

/// In one append, so that a long log is quickly made.
const AT_ONCE: usize = 5_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_is_bounded_and_goes_on() {
    for place in Place::both() {
        let log = place.open().await;
        let stream = stream("Spec");
        let n = MAX_SCANNED / AT_ONCE + 2;
        for part in 0..n {
            let mut events = vec![event("Noted", "ann", &[]); AT_ONCE];
            if part + 1 == n {
                *events.last_mut().unwrap() = event("Done", "ann", &[]);
            }
            append(&*log, &stream, events).await;
        }
        // Neither condition alone is rare.
        let filter = Filter {
            aggregate_type: Some("Spec".to_owned()),
            aggregate: Some(stream.aggregate_id),
            event_type: Some("Done".to_owned()),
            ..Filter::default()
        };
        let query = Query { filter, limit: 5, ..Query::default() };
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let (mut query, mut found) = (Query { order, ..query.clone() }, 0);
            let mut next = Some(Position(0));
            while next.is_some() {
                let page = audit(&*log).find(&query).await.unwrap();
                found += page.events.len();
                next = page.next;
                query.after = next;
            }
            assert_eq!(found, 1);
        }
        let first = audit(&*log).find(&query).await.unwrap();
        let newest = Query { order: Order::NewestFirst, ..query.clone() };
        let newest = audit(&*log).find(&newest).await.unwrap();
        if place.is_sqlite() {
            // The index goes from the one to the other.
            super::indexed::indexed(&*log).await;
            let first = audit(&*log).find(&query).await.unwrap();
            assert_eq!((first.events.len(), first.next), (1, None));
            continue;
        }
        assert_eq!(first.events.len(), 0);
        assert_eq!(first.next.unwrap().0, MAX_SCANNED as u64);
        assert_eq!(newest.events.len(), 1);
        assert_eq!(newest.next.unwrap().0, (n * AT_ONCE - MAX_SCANNED + 1) as u64);
    }
}
