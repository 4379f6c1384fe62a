//! Two logs in one database, each in a schema of its own, know nothing of each other.

use specline::store::{EventLog, PgLog, postgres};

use super::world::{Check, node, read};
use crate::store_conformance::backend::{append, fill, key, stream, until};
use crate::support::postgres::server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_in_two_schemas_do_not_meet() {
    let database = server().database();
    let other = format!("{}?options=-csearch_path%3Dother", database.url());
    let said = PgLog::open(postgres::Settings::new(&other)).await.unwrap_err().to_string();
    assert!(said.contains("no schema has been selected to create in"), "{said}");
    server().psql_at(database.url(), "CREATE SCHEMA other");
    let (one, two) = (node(database.url()).await, node(&other).await);
    assert_ne!(one.identity(), two.identity());

    // The same stream, the same key, and a hole in neither's positions.
    let shared = stream();
    fill(&*one, &shared, 3).await;
    let mut first = append(&shared, None, &[9]);
    first.key = Some(key("same", "one"));
    assert_eq!(two.append(first.clone()).await.unwrap().position.0, 1);
    assert!(two.append(first).await.unwrap().repeated);
    assert_eq!(one.find_key(shared.aggregate_id, "same").await.unwrap(), None);
    let last = fill(&*two, &stream(), 5).await;
    fill(&*one, &stream(), 1).await;
    assert_eq!((read(&*one).await.len(), read(&*two).await.len()), (4, 6));
    Check::all(&read(&*one).await);
    Check::all(&read(&*two).await);

    // Notifications of one do not move the other's head.
    let again = node(&other).await;
    until("the head is seen", || async { *again.watch_head().borrow() == last.position }).await;
    assert_eq!(one.watch_head().borrow().0, 4);
    let sql = "SELECT (SELECT count(*) FROM public.events), (SELECT count(*) FROM other.events)";
    assert_eq!(server().psql_at(database.url(), sql), "4|6");
}
