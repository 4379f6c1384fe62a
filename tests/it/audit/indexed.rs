//! The index beside a SQLite log: filled behind the writer, right before it is, and made anew when
//! it is lost, damaged or another log's.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use specline::store::audit::{Filter, Order, Query};
use specline::store::{Clock, EventLog, Position, SqliteLog};

use super::world::{Place, audit, event, fill, stream};
use crate::support::DEADLINE;

/// Waits until an index has every event.
pub async fn indexed(log: &dyn EventLog) {
    let end = tokio::time::Instant::now() + DEADLINE;
    let head = log.read_all(Position(0), usize::MAX).await.unwrap().len() as u64;
    while audit(log).indexed().await.unwrap().0 < head {
        assert!(tokio::time::Instant::now() < end, "the index lags behind");
        tokio::time::sleep(crate::support::LOOK).await;
    }
}

fn file(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".audit");
    name.into()
}

fn of_ann(n: u64) -> Query {
    let actor = Some(format!("ann{n}"));
    Query { filter: Filter { actor, ..Filter::default() }, limit: 10, ..Query::default() }
}

/// The position of the one event of each of the first `n` actors.
async fn found(log: &dyn EventLog, n: u64) -> Vec<u64> {
    let mut positions = Vec::new();
    for number in 0..n {
        let page = audit(log).find(&of_ann(number)).await.unwrap();
        assert_eq!((page.events.len(), page.next), (1, None));
        positions.push(page.events[0].position.0);
    }
    positions
}

fn open(path: &Path) -> Arc<dyn EventLog> {
    Arc::new(SqliteLog::open(path, Clock::system()).unwrap())
}

#[tokio::test]
async fn it_goes_on_where_it_was_and_is_made_anew_when_it_is_lost_or_damaged() {
    let place = Place::sqlite();
    let index = file(&place.path());
    let all: Vec<u64> = (1..=40).collect();
    let log = place.open().await;
    fill(&*log, 40).await;
    assert_eq!(found(&*log, 40).await, all);
    indexed(&*log).await;
    assert_eq!(found(&*log, 40).await, all);
    drop(log);
    for damage in ["none", "lost", "garbage", "emptied", "another form"] {
        match damage {
            "none" => {}
            "lost" => fs::remove_file(&index).unwrap(),
            "garbage" => fs::write(&index, [7; 9_000]).unwrap(),
            "emptied" => fs::write(&index, []).unwrap(),
            _ => {
                let connection = rusqlite::Connection::open(&index).unwrap();
                connection.execute("UPDATE reached SET form = 0", []).unwrap();
            }
        }
        let log = open(&place.path());
        assert_eq!(found(&*log, 40).await, all, "{damage}");
        indexed(&*log).await;
        assert_eq!(found(&*log, 40).await, all, "{damage}");
        drop(log);
        // A log that is only read finds its way through the index that the writer left.
        let read = place.read().await;
        assert_eq!(audit(&*read).indexed().await.unwrap(), Position(40), "{damage}");
        assert_eq!(found(&*read, 40).await, all, "{damage}");
    }
}

/// The file of an earlier copy of the log is put back under the log's name: the same log and
/// incarnation, but other events from some position on.
#[tokio::test]
async fn it_is_made_anew_when_the_log_went_back() {
    let place = Place::sqlite();
    let log = place.open().await;
    fill(&*log, 20).await;
    drop(log);
    let early = fs::read(place.path()).unwrap();
    let log = place.open().await;
    fill(&*log, 30).await;
    indexed(&*log).await;
    drop(log);
    fs::write(place.path(), early).unwrap();
    let log = open(&place.path());
    assert!(audit(&*log).indexed().await.unwrap().0 <= 20, "it still has what the log lost");
    fill(&*log, 60).await;
    indexed(&*log).await;
    let page = audit(&*log).find(&of_ann(59)).await.unwrap();
    assert_eq!(page.events.iter().map(|e| e.position.0).collect::<Vec<_>>(), [80]);
    let page = audit(&*log).find(&of_ann(5)).await.unwrap();
    assert_eq!(page.events.iter().map(|e| e.position.0).collect::<Vec<_>>(), [6, 26]);
}

#[tokio::test]
async fn without_an_index_queries_are_right_all_the_same() {
    let place = Place::sqlite();
    fs::create_dir(file(&place.path())).unwrap();
    let log = place.open().await;
    fill(&*log, 40).await;
    assert_eq!(found(&*log, 40).await, (1..=40).collect::<Vec<u64>>());
    assert_eq!(audit(&*log).indexed().await.unwrap(), Position(0));
}

/// Three terms that each stand for much of the log, and meet rarely.
#[tokio::test]
async fn terms_that_rarely_meet_are_found_in_few_looks() {
    let place = Place::sqlite();
    let log = place.open().await;
    let stream = stream("Spec");
    let mut wanted = Vec::new();
    for part in 0..14_u64 {
        let events = (0..5_000).map(|n| {
            let meet = n == 4_999 && part % 5 == 0;
            let project = if meet || n % 2 == 0 { "one" } else { "two" };
            let kind = if meet || n % 2 == 1 { "Done" } else { "Noted" };
            event(kind, "ann", &[("project_id", project.to_owned())])
        });
        super::world::append(&*log, &stream, events.collect()).await;
        if part % 5 == 0 {
            wanted.push((part + 1) * 5_000);
        }
    }
    indexed(&*log).await;
    let filter = Filter {
        event_type: Some("Done".to_owned()),
        project: Some("one".to_owned()),
        actor: Some("ann".to_owned()),
        ..Filter::default()
    };
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let (mut query, mut found, mut pages) =
            (Query { filter: filter.clone(), order, after: None, limit: 2 }, Vec::new(), 0);
        loop {
            let page = audit(&*log).find(&query).await.unwrap();
            pages += 1;
            found.extend(page.events.iter().map(|event| event.position.0));
            query.after = page.next;
            if page.next.is_none() {
                break;
            }
        }
        if order == Order::NewestFirst {
            found.reverse();
        }
        assert_eq!(found, wanted);
        assert!(pages > 2, "more looks in one call than are promised");
    }
}
