//! A query of several conditions looks at a bounded part of the log, and says where to go on.

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
        let first = audit(&*log).find(&query).await.unwrap();
        assert_eq!(first.events.len(), 0);
        assert_eq!(first.next.unwrap().0, MAX_SCANNED as u64);
        let rest = Query { after: first.next, ..query.clone() };
        let rest = audit(&*log).find(&rest).await.unwrap();
        assert_eq!((rest.events.len(), rest.next), (1, None));
        let newest = Query { order: Order::NewestFirst, ..query };
        let newest = audit(&*log).find(&newest).await.unwrap();
        assert_eq!(newest.events.len(), 1);
        assert_eq!(newest.next.unwrap().0, (n * AT_ONCE - MAX_SCANNED + 1) as u64);
    }
}
