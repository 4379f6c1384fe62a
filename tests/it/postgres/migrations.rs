//! Making and finding the log's tables: by many nodes at once, beside tables that postgres-es made,
//! and what is said when it cannot be.

use cqrs_es::{CqrsFramework, EventStore};
use postgres_es::postgres_cqrs;
use specline::store::postgres::OpenError;
use specline::store::{AggregateStore, EventLog, PgLog, Position, postgres};
use specline_aggregates::SpecId;
use specline_aggregates::spec::Spec;
use tokio::task::JoinSet;

use super::interop::{comment, draft};
use super::world::{Check, admin, node, read};
use crate::store_conformance::backend::{fill, stream};
use crate::support::postgres::server;

/// As postgres-es 0.5 makes them (`db/init.sql`).
const STOCK: &str = "
CREATE TABLE events
(
    aggregate_type text                         NOT NULL,
    aggregate_id   text                         NOT NULL,
    sequence       bigint CHECK (sequence >= 0) NOT NULL,
    event_type     text                         NOT NULL,
    event_version  text                         NOT NULL,
    payload        json                         NOT NULL,
    metadata       json                         NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
);
CREATE TABLE snapshots
(
    aggregate_type   text                                 NOT NULL,
    aggregate_id     text                                 NOT NULL,
    last_sequence    bigint CHECK (last_sequence >= 0)    NOT NULL,
    current_snapshot bigint CHECK (current_snapshot >= 0) NOT NULL,
    payload          json                                 NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, last_sequence)
);
INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload,
                    metadata)
VALUES ('Customer', 'previous_event_in_need_of_upcast', 1, 'NameAdded', '1.0', '{\"NameAdded\": {}}',
        '{}');
INSERT INTO snapshots VALUES ('Customer', 'previous_event_in_need_of_upcast', 1, 1, '{\"n\": 1}');
";

/// Why the log at `url` is not opened.
async fn refused(url: &str) -> String {
    PgLog::open(postgres::Settings::new(url)).await.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_together_make_the_tables_once() {
    let database = server().database();
    let mut opening = JoinSet::new();
    for _ in 0..8 {
        let url = database.url().to_owned();
        opening.spawn(async move { node(&url).await });
    }
    let nodes = opening.join_all().await;
    let identity = nodes[0].identity();
    assert!(nodes.iter().all(|node| node.identity() == identity), "one identity for all");
    for node in &nodes {
        fill(&**node, &stream(), 2).await;
    }
    Check::all(&read(&*nodes[7]).await);
    let applied = server().psql_at(database.url(), "SELECT version FROM specline_migrations");
    let mut versions: Vec<u32> = applied.lines().map(|line| line.parse().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=u32::try_from(versions.len()).unwrap()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_postgres_es_keeps_its_rows() {
    let database = server().database();
    let pool = admin(database.url());
    sqlx::raw_sql(STOCK).execute(&pool).await.unwrap();
    let id = SpecId::new(uuid::Uuid::now_v7());
    let theirs: CqrsFramework<Spec, _> = postgres_cqrs(pool.clone(), Vec::new(), ());
    theirs.execute(&id.to_string(), draft(id)).await.unwrap();
    let who = [("who".to_owned(), "stock".to_owned())].into();
    theirs.execute_with_metadata(&id.to_string(), comment("stock"), who).await.unwrap();
    let rows = "SELECT aggregate_type, aggregate_id, sequence, event_type, event_version, payload
                FROM events ORDER BY 1, 2, 3";
    let before = server().psql_at(database.url(), rows);
    let log = node(database.url()).await;
    assert_eq!(server().psql_at(database.url(), rows), before);
    assert_eq!(read(&*log).await, [], "they are foreign rows so far");
    let kept = "SELECT count(*) FROM snapshots WHERE payload::text = '{\"n\": 1}'";
    assert_eq!(server().psql_at(database.url(), kept), "1");

    let specs = AggregateStore::<Spec>::new(log.clone());
    assert_eq!(specs.load(id.uuid()).await.unwrap().version(), 2);
    let envelopes = specs.load_events(&id.to_string()).await.unwrap();
    assert_eq!(envelopes[1].metadata["who"], "stock");
    let stream = super::interop::stream(id);
    fill(&*log, &stream, 1).await;
    let all = read(&*log).await;
    assert_eq!(all.last().unwrap().sequence, 3);
    Check::all(&all);
    assert_eq!(server().psql_at(database.url(), rows).lines().count(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_is_refused() {
    let database = server().database();
    let log = node(database.url()).await;
    fill(&*log, &stream(), 1).await;
    let newer = "INSERT INTO specline_migrations (version, name) VALUES (99, 'from tomorrow')";
    server().psql_at(database.url(), newer);
    let said = refused(database.url()).await;
    let known = "and this program knows";
    assert!(said.contains("the log has schema 99") && said.contains(known), "{said}");
    assert!(said.contains("use a newer specline"), "{said}");
    let reader = PgLog::open_read_only(database.url()).await.unwrap_err();
    assert!(matches!(reader, OpenError::Newer { found: 99, .. }), "{reader}");
    assert_eq!(log.read_all(Position(0), 10).await.unwrap().len(), 1, "who has it open goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_makes_nothing() {
    let database = server().database();
    let said = PgLog::open_read_only(database.url()).await.unwrap_err().to_string();
    assert!(said.contains("there is no log in 127.0.0.1:"), "{said}");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(server().psql_at(database.url(), tables), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_database_is_said() {
    let database = server().database();
    let (front, name) = database.url().rsplit_once('/').unwrap();
    let said = refused(&format!("{front}/no_such_database")).await;
    assert!(said.contains("database \"no_such_database\" does not exist"), "{said}");
    assert!(said.contains("does not take this connection"), "{said}");

    let said = refused(&database.url().replace("postgres@", "nobody_of_that_name@")).await;
    assert!(said.contains("role \"nobody_of_that_name\" does not exist"), "{said}");

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let said = refused(&format!("postgres://postgres@127.0.0.1:{free}/{name}")).await;
    assert!(said.contains("refused") && said.contains("check that it runs"), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{free}/{name}")), "{said}");

    // A role of the whole server: its name is this test's own.
    server().psql("CREATE ROLE may_only_look LOGIN");
    server().psql_at(database.url(), "REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let looker = database.url().replace("postgres@", "may_only_look@");
    let said = refused(&looker).await;
    assert!(said.contains("permission denied for schema public"), "{said}");
    assert!(said.contains("the user needs CREATE on the schema"), "{said}");
    node(database.url()).await;
    let said = refused(&looker).await;
    assert!(said.contains("permission denied for table"), "{said}");

    for wrong in ["", "nonsense", "postgres:a@b/c", "mysql://a@b/c", "postgres://u@host:port/db"] {
        let said = refused(wrong).await;
        let about = "this is not the URL of a PostgreSQL database";
        assert!(said.contains(about) && said.contains("use postgres://USER@HOST/DB"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_never_told() {
    const SECRET: &str = "hunter2";
    let database = server().database();
    let with = database.url().replace("postgres@", &format!("postgres:{SECRET}@"));
    let settings = postgres::Settings::new(&with);
    assert!(!format!("{settings:?}").contains(SECRET), "{settings:?}");
    let log = PgLog::open(settings).await.unwrap();
    assert!(!format!("{log:?} {}", log.name()).contains(SECRET));
    let (_, place) = database.url().split_once('@').unwrap();
    for wrong in [
        format!("postgres://nobody:{SECRET}@{place}"),
        format!("postgres://postgres:{SECRET}@{place}_not_there"),
        format!("postgres://postgres:{SECRET}@127.0.0.1:1/db"),
        format!("postgres://postgres:{SECRET}@host.invalid/db"),
        format!("postgres://postgres:{SECRET}@127.0.0.1:port/db"),
        format!("postgres://postgres:{SECRET}@127.0.0.1:99999/db"),
        format!("postgres://postgres@127.0.0.1:1/db?password={SECRET}"),
        format!("postgres://postgres@127.0.0.1:1/db?password={SECRET}&sslmode=nonsense"),
        format!("postgres:{SECRET}@127.0.0.1"),
        format!("postgres//u:{SECRET}@h/db"),
        SECRET.to_owned(),
    ] {
        let error = PgLog::open(postgres::Settings::new(&wrong)).await.unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(!said.contains(SECRET), "{wrong}: {said}");
    }
}
