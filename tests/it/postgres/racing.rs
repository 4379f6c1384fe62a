//! postgres-es writes to the streams that we write to, at the same time: one of two wins each
//! place, and nobody beside them is harmed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cqrs_es::AggregateError;
use specline::store::{EventLog, LogError, Position, StoreError};
use tokio::task::JoinSet;

use super::interop::{Both, comment, stream as spec_stream};
use super::world::{Check, read};
use crate::store_conformance::backend::{append, fill, stream, until};
use crate::support::times;

/// Who was told what: the text of a comment, and whether it was written; none is not known.
type Outcome = (String, Option<bool>);

async fn ours(both: Arc<Both>, id: specline_aggregates::SpecId, text: String) -> Outcome {
    let told = match both.command(id, &comment(&text)).await {
        Ok(_) => Some(true),
        Err(StoreError::Log(LogError::Conflict { .. })) => Some(false),
        Err(StoreError::Log(LogError::Transient { .. })) => None,
        Err(error) => panic!("{error}"),
    };
    (text, told)
}

async fn theirs(both: Arc<Both>, id: specline_aggregates::SpecId, text: String) -> Outcome {
    let told = match both.theirs.execute(&id.to_string(), comment(&text)).await {
        Ok(()) => Some(true),
        Err(AggregateError::AggregateConflict) => Some(false),
        Err(error) => panic!("{error}"),
    };
    (text, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_racing_writers_wins_and_no_neighbour_is_harmed() {
    const SPECS: u64 = 6;
    let both = Arc::new(Both::new().await);
    let mut specs = Vec::new();
    for _ in 0..SPECS {
        specs.push(both.spec().await);
    }
    let neighbours: Vec<_> = (0..SPECS).map(|_| stream()).collect();
    let mut outcomes: Vec<Outcome> = Vec::new();
    let rounds = u64::from(times(100, 2_000));
    for round in 0..rounds {
        let (mut racers, mut beside) = (JoinSet::new(), JoinSet::new());
        for (number, &id) in specs.iter().enumerate() {
            racers.spawn(ours(Arc::clone(&both), id, format!("ours {round} {number}")));
            racers.spawn(theirs(Arc::clone(&both), id, format!("theirs {round} {number}")));
        }
        for stream in neighbours.clone() {
            let log = Arc::clone(&both.log);
            beside.spawn(async move { fill(&*log, &stream, 1).await });
        }
        outcomes.extend(racers.join_all().await);
        beside.join_all().await;
    }
    for stream in &neighbours {
        assert_eq!(both.log.stream_head(stream).await.unwrap().unwrap().version, rounds);
    }
    let mut there = Vec::new();
    for &id in &specs {
        there.extend(both.stream(id).await.into_iter().map(|event| event.payload));
    }
    assert_eq!(both.n_foreign().await, 0, "a load adopts what is left");
    for (text, told) in &outcomes {
        let quoted = format!("\"{text}\"");
        let found = there.iter().filter(|payload| payload.contains(&quoted)).count();
        match told {
            Some(told) => assert_eq!(found, usize::from(*told), "{text}"),
            None => assert!(found <= 1, "{text}"),
        }
    }
    let won = |who: &str| {
        outcomes.iter().filter(|(text, told)| text.starts_with(who) && *told == Some(true)).count()
    };
    let unknown = outcomes.iter().filter(|(_, told)| told.is_none()).count();
    println!("ours won {}, theirs {}; not known {unknown}", won("ours"), won("theirs"));
    assert!(won("ours") > 0 && won("theirs") > 0);
    let all = read(&*both.log).await;
    Check::all(&all);
    let verified = both.log.verify(Position(1), Position(u64::MAX), |_| {}).await.unwrap();
    assert_eq!((verified.events, verified.first_difference), (all.len() as u64, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_transaction_that_stays_open_holds_up_its_stream_alone() {
    let both = Arc::new(Both::new().await);
    let (id, others) = (both.spec().await, (0..40).map(|_| stream()).collect::<Vec<_>>());
    let mut open = both.pool.begin().await.unwrap();
    sqlx::query(
        r#"INSERT INTO events VALUES ('Spec', $1, 4, 'CommentAdded', '1',
           '{"CommentAdded":{"by":"ann","text":"open"}}', '{}')"#,
    )
    .bind(id.to_string())
    .execute(&mut *open)
    .await
    .unwrap();
    let began = Instant::now();
    let head = both.log.stream_head(&spec_stream(id)).await.unwrap();
    let blocked = {
        let (log, append) = (Arc::clone(&both.log), append(&spec_stream(id), head, &[1]));
        tokio::spawn(async move { log.append(append).await })
    };
    let mut beside = JoinSet::new();
    for stream in others {
        let log = Arc::clone(&both.log);
        beside.spawn(async move {
            fill(&*log, &stream, 5).await;
            Instant::now()
        });
    }
    let told = blocked.await.unwrap();
    let refused = began.elapsed();
    let last = beside.join_all().await.into_iter().max().unwrap();
    println!("held up for {refused:.1?}, the others {:.1?}", last - began);
    let LogError::Transient { cause } = told.unwrap_err() else { panic!("not transient") };
    assert!(cause.contains("another program is writing to this stream"), "{cause}");
    assert!(refused < Duration::from_secs(3), "{refused:?}");
    assert!(last - began < Duration::from_secs(3), "{:?}", last - began);

    // Committed, it is adopted; the append that comes next decides behind it.
    open.commit().await.unwrap();
    let met = both.log.append(append(&spec_stream(id), head, &[1])).await;
    assert!(matches!(met, Err(LogError::Conflict { actual: 4, .. })), "{met:?}");
    both.command(id, &comment("ours")).await.unwrap_err();
    both.command(id, &comment("ours")).await.unwrap();
    Check::all(&read(&*both.log).await);
}

/// All appends wait for the head's lock: while it is taken, none is refused for it alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_outlives_a_lock_on_the_logs_end() {
    let both = Arc::new(Both::new().await);
    let mut lock = both.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM log_head FOR UPDATE").execute(&mut *lock).await.unwrap();
    let mut waiting = JoinSet::new();
    for _ in 0..20 {
        let (log, append) = (Arc::clone(&both.log), append(&stream(), None, &[1]));
        waiting.spawn(async move { log.append(append).await });
    }
    let began = Instant::now();
    // Longer than one wait for the lock.
    until("five seconds are over", || async { began.elapsed() > Duration::from_secs(5) }).await;
    lock.rollback().await.unwrap();
    for told in waiting.join_all().await {
        told.unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_never_changed_or_deleted() {
    let both = Both::new().await;
    let id = both.spec().await;
    both.theirs.execute(&id.to_string(), comment("theirs")).await.unwrap();
    let before = read(&*both.log).await;
    for refused in [
        "UPDATE events SET payload = '{}'",
        "UPDATE events SET position = position + 100 WHERE position IS NOT NULL",
        "UPDATE events SET recorded_at = 1 WHERE sequence = 1",
        "UPDATE events SET metadata = '{}' WHERE sequence = 2",
        "UPDATE events SET payload = '{}' WHERE position IS NULL",
        "UPDATE events SET payload = '{}', position = 9, recorded_at = 9, \
         hash = decode(repeat('00', 32), 'hex') WHERE position IS NULL",
        "UPDATE events SET position = NULL, recorded_at = NULL, hash = NULL",
        "DELETE FROM events WHERE sequence = 1",
        "DELETE FROM events WHERE position IS NULL",
        "TRUNCATE events",
    ] {
        let error = sqlx::query(refused).execute(&both.pool).await.unwrap_err().to_string();
        assert!(error.contains("the event log is append-only"), "{refused}: {error}");
    }
    assert_eq!(read(&*both.log).await, before);
    assert_eq!(both.n_foreign().await, 1);
}
