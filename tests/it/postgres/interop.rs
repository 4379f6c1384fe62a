//! postgres-es as it is, on our log: its repository reads what our engine wrote, and what it
//! appends becomes an event like any other.

use std::sync::Arc;

use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{CqrsFramework, EventStore};
use postgres_es::{PostgresEventRepository, postgres_cqrs};
use specline::store::{
    AggregateStore, Commit, EventLog, LogError, PgLog, Position, Recorded, StoreError, StreamId,
    postgres,
};
use specline_aggregates::spec::command::{Comment, DraftSpec, ReviseSpec};
use specline_aggregates::spec::{Brief, Command, Event, Repository, Spec};
use specline_aggregates::{EventSourced, Policy, ProjectId, SpecId};
use specline_projections::{DomainEvent, Envelope, LogId, Place, ReadModels};
use sqlx::PgPool;
use uuid::Uuid;

use super::world::{Check, admin, node, read};
use crate::store_conformance::backend::until;
use crate::support::postgres::{Database, server};

/// Our way to specs, and postgres-es's.
pub struct Both {
    pub database: Database,
    pub log: Arc<PgLog>,
    pub ours: AggregateStore<Spec>,
    pub theirs: CqrsFramework<Spec, PersistedEventStore<PostgresEventRepository, Spec>>,
    pub pool: PgPool,
}

impl Both {
    pub async fn new() -> Self {
        let database = server().database();
        let log = node(database.url()).await;
        let pool = admin(database.url());
        Self {
            ours: AggregateStore::new(Arc::clone(&log) as Arc<dyn EventLog>),
            theirs: postgres_cqrs(pool.clone(), Vec::new(), ()),
            database,
            log,
            pool,
        }
    }

    /// What our engine does with a command.
    pub async fn command(&self, id: SpecId, command: &Command) -> Result<Position, StoreError> {
        let loaded = self.ours.load(id.uuid()).await?;
        let events = loaded.state.decide(command).unwrap();
        let mut commit = Commit::new(events);
        commit.metadata.insert("actor".to_owned(), "ann".to_owned());
        Ok(self.ours.commit(loaded, commit).await?.appended.position)
    }

    /// A spec that our engine wrote three events of.
    pub async fn spec(&self) -> SpecId {
        let id = SpecId::new(Uuid::now_v7());
        self.command(id, &draft(id)).await.unwrap();
        self.command(id, &comment("first")).await.unwrap();
        self.command(id, &revise("Limit all links")).await.unwrap();
        id
    }

    pub async fn stream(&self, id: SpecId) -> Vec<Recorded> {
        self.log.read_stream(&stream(id), 0, 100_000).await.unwrap()
    }

    /// How many rows of postgres-es are not adopted.
    pub async fn n_foreign(&self) -> i64 {
        let sql = "SELECT count(*) FROM events WHERE position IS NULL";
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }
}

pub fn stream(id: SpecId) -> StreamId {
    StreamId { aggregate_type: "Spec".to_owned(), aggregate_id: id.uuid() }
}

pub fn draft(id: SpecId) -> Command {
    let brief = Brief {
        project: ProjectId::new(Uuid::nil()),
        title: "Limit links \u{2013} \u{1f517}".to_owned(),
        description: "Limit how many links an API key may create.".to_owned(),
        repository: Repository { location: "/somewhere".to_owned(), reference: None },
        source_ticket: None,
    };
    Command::Draft(Box::new(DraftSpec { spec: id, brief, policy: Policy::default() }))
}

pub fn comment(text: &str) -> Command {
    Command::Comment(Comment { by: "ann".to_owned(), text: text.to_owned() })
}

fn revise(title: &str) -> Command {
    let (title, by) = (Some(title.to_owned()), "ann".to_owned());
    Command::Revise(ReviseSpec { title, description: None, by })
}

fn actor(event: &Recorded) -> String {
    let metadata: serde_json::Value = serde_json::from_str(&event.metadata).unwrap();
    metadata["actor"].as_str().unwrap_or_default().to_owned()
}

/// The last event is what postgres-es appended, and stands in the log like any other.
fn adopted(events: &[Recorded], text: &str) {
    let last = events.last().unwrap();
    assert_eq!((last.event_type.as_str(), actor(last).as_str()), ("CommentAdded", "foreign"));
    let said = Event::CommentAdded { by: "ann".to_owned(), text: text.to_owned() };
    assert_eq!(Spec::decode(&last.event_type, &last.event_version, &last.payload).unwrap(), said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stock_repository_reads_our_spec_and_a_load_adopts_what_it_appends() {
    let both = Both::new().await;
    let id = both.spec().await;
    let stock = PersistedEventStore::<_, Spec>::new_event_store(PostgresEventRepository::new(
        both.pool.clone(),
    ));
    let theirs = stock.load_events(&id.to_string()).await.unwrap();
    let ours = both.ours.load_events(&id.to_string()).await.unwrap();
    assert_eq!(theirs.len(), 3);
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!(theirs.aggregate_id, ours.aggregate_id);
        assert_eq!((theirs.sequence, &theirs.payload), (ours.sequence, &ours.payload));
        assert_eq!(theirs.metadata, ours.metadata);
    }
    both.theirs.execute(&id.to_string(), comment("from outside")).await.unwrap();
    assert_eq!(both.n_foreign().await, 1);
    assert_eq!(read(&*both.log).await.len(), 3, "it is no event of the log yet");
    let before = both.log.now().await.unwrap();
    let events = both.stream(id).await;
    assert_eq!(events.len(), 4);
    adopted(&events, "from outside");
    assert_eq!(events[3].position, Position(4));
    assert!(events[3].recorded_at >= events[2].recorded_at);
    assert!(events[3].recorded_at.micros() >= before.micros() - 2_000_000);
    assert_eq!(both.n_foreign().await, 0);
    let all = read(&*both.log).await;
    assert_eq!(all, events);
    Check::all(&all);
    let verified = both.log.verify(Position(1), Position(u64::MAX), |_| {}).await.unwrap();
    assert_eq!((verified.events, verified.first_difference), (4, None));
    // And the stock repository goes on behind it.
    both.theirs.execute(&id.to_string(), comment("again")).await.unwrap();
    adopted(&both.stream(id).await, "again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_meets_foreign_rows_adopts_them_and_decides_again() {
    let both = Both::new().await;
    let id = both.spec().await;
    both.theirs.execute(&id.to_string(), comment("from outside")).await.unwrap();
    both.theirs.execute(&id.to_string(), comment("and more")).await.unwrap();
    // The state is still cached as it was.
    let met = both.command(id, &comment("ours")).await;
    let conflict = matches!(met, Err(StoreError::Log(LogError::Conflict { actual: 5, .. })));
    assert!(conflict, "{met:?}");
    assert_eq!(both.n_foreign().await, 0);
    assert_eq!(both.command(id, &comment("ours")).await.unwrap(), Position(6));
    let events = both.stream(id).await;
    let actors: Vec<String> = events.iter().map(actor).collect();
    assert_eq!(actors, ["ann", "ann", "ann", "foreign", "foreign", "ann"]);
    Check::all(&read(&*both.log).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_loads_is_swept_into_the_log_and_projected() {
    let both = Both::new().await;
    let id = both.spec().await;
    let settings = postgres::Settings::new(both.database.url());
    let sweeper =
        PgLog::open(postgres::Settings { adopts: vec!["Spec"], ..settings }).await.unwrap();
    let mut head = sweeper.watch_head();
    // Rows of streams that cannot be ours do not stand in the way.
    let strange = "INSERT INTO events VALUES
        ('Spec', 'no uuid', 1, 'X', '1', '{}', '{}'),
        ('Spec', '00000000-0000-0000-0000-000000000001', 7, 'X', '1', '{}', '{}'),
        ('Other', '00000000-0000-0000-0000-000000000002', 1, 'X', '1', '{}', '{}')";
    sqlx::query(strange).execute(&both.pool).await.unwrap();
    both.theirs.execute(&id.to_string(), comment("swept")).await.unwrap();
    let moved = head.wait_for(|head| *head == Position(4));
    tokio::time::timeout(std::time::Duration::from_secs(10), moved).await.unwrap().unwrap();
    until("the rest is left", || async { both.n_foreign().await == 3 }).await;
    let all = read(&sweeper).await;
    adopted(&all, "swept");
    Check::all(&all);

    let folder = tempfile::tempdir().unwrap();
    for place in [
        Place::File(folder.path().join("read.db")),
        Place::Postgres(both.database.url().to_owned()),
    ] {
        let identity = sweeper.identity();
        let log = LogId { log_id: identity.log_id, incarnation: identity.incarnation };
        let models = ReadModels::open(&place, log, 4).await.unwrap();
        let page: Vec<Envelope> = all.iter().map(envelope).collect();
        models.apply(0, &page).await.unwrap();
        let timeline = models.timeline(id, None, 10).await.unwrap().rows;
        let last = timeline.last().unwrap();
        assert_eq!((last.sequence, last.position, last.actor.as_str()), (4, 4, "foreign"));
        models.close().await;
    }
}

fn envelope(event: &Recorded) -> Envelope {
    let decoded = Spec::decode(&event.event_type, &event.event_version, &event.payload).unwrap();
    Envelope {
        position: event.position.0,
        aggregate_type: event.stream.aggregate_type.clone(),
        aggregate_id: event.stream.aggregate_id,
        sequence: event.sequence,
        event_type: event.event_type.clone(),
        recorded_at: event.recorded_at,
        actor: actor(event),
        correlation: None,
        event: DomainEvent::Spec(decoded),
    }
}

/// A node that may not write shows what was adopted, and leaves the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_ignores_rows_that_are_not_adopted() {
    let both = Both::new().await;
    let id = both.spec().await;
    both.theirs.execute(&id.to_string(), comment("later")).await.unwrap();
    let reader = PgLog::open_read_only(both.database.url()).await.unwrap();
    assert_eq!(reader.read_stream(&stream(id), 0, 10).await.unwrap().len(), 3);
    assert_eq!(reader.stream_head(&stream(id)).await.unwrap().unwrap().version, 3);
    assert_eq!(reader.read_all(Position(0), 10).await.unwrap().len(), 3);
    assert_eq!(both.n_foreign().await, 1);
    assert_eq!(both.stream(id).await.len(), 4);
    assert_eq!(reader.read_stream(&stream(id), 0, 10).await.unwrap().len(), 4);
}
