//! Whoever can write the database changes, deletes, inserts, swaps or cuts rows: each is found, and
//! the first bad position is named.

use specline::store::chain::{Content, chain_hash};
use specline::store::seals::{self, Cause, Given};
use specline::store::{Position, Recorded, verify};

use super::world::{Place, TICK, append, audit, chains_hold, checked, event, fill, seal, stream};

/// Events, and how many of them are sealed, in two seals.
const EVENTS: u64 = 40;
const SEALED: [u64; 2] = [15, 30];

/// A filled log, its seals as somebody else keeps them, and the events.
async fn sealed(place: &Place) -> (Vec<Given>, Vec<Recorded>) {
    let log = place.open().await;
    fill(&*log, EVENTS).await;
    let mut given = Vec::new();
    for n in SEALED {
        given.push(seal(&*log, n).await);
    }
    let events = log.read_all(Position(0), 100).await.unwrap();
    (given, events)
}

/// The statements that change one byte of one column of the event at `position`.
fn changes(place: &Place, event: &Recorded) -> Vec<(&'static str, String)> {
    let at = event.position.0;
    let mut hash = *event.hash.as_bytes();
    hash[31] ^= 1;
    let mut id = event.stream.aggregate_id.to_string().into_bytes();
    let last = id.last_mut().unwrap();
    *last = if *last == b'0' { b'1' } else { b'0' };
    let id = String::from_utf8(id).unwrap();
    let cast = if place.is_sqlite() { "" } else { "::text" };
    let replaced = |column: &str| {
        let text = format!("replace({column}{cast}, 'ann', 'bnn')");
        format!("{column} = {}", place.json(&text))
    };
    let set = [
        ("position", "position = 1000 + position".to_owned()),
        ("aggregate_type", "aggregate_type = 'Spek'".to_owned()),
        ("aggregate_id", format!("aggregate_id = '{id}'")),
        ("sequence", "sequence = sequence + 16".to_owned()),
        ("event_type", "event_type = 'Nofed'".to_owned()),
        ("event_version", "event_version = '2'".to_owned()),
        ("payload", replaced("payload")),
        ("metadata", replaced("metadata")),
        ("recorded_at", "recorded_at = recorded_at + 1".to_owned()),
        ("hash", format!("hash = {}", place.bytes(&hash))),
    ];
    set.map(|(column, set)| (column, format!("UPDATE events SET {set} WHERE position = {at}")))
        .into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_untouched_log_fits_its_seals() {
    for place in Place::both() {
        let (given, _) = sealed(&place).await;
        let report = checked(&place, &given).await;
        assert_eq!(report.fault, None);
        assert_eq!((report.events, report.seals, report.given), (EVENTS, 2, 2));
        let log = place.read().await;
        let part = (Position(20), Position(33));
        let report = seals::check(audit(&*log), part, &given, |_| {}).await.unwrap();
        // It begins behind the seal before, so that the next one can be checked.
        assert_eq!((report.fault, report.events, report.seals), (None, 18, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_byte_of_any_column_is_found_where_it_is() {
    for at in [1, 12, 22] {
        for n in 0..10 {
            for place in Place::both() {
                let (_, events) = sealed(&place).await;
                let event = &events[at - 1];
                let (column, sql) = &changes(&place, event)[n];
                place.tamper(sql);
                let fault = checked(&place, &[]).await.fault;
                let fault = fault.unwrap_or_else(|| panic!("{column} of {at} is not found"));
                assert_eq!(fault.position.0, at as u64, "{column}: {fault}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_inserted_and_swapped_rows_are_found() {
    for place in Place::both() {
        sealed(&place).await;
        place.tamper("DELETE FROM events WHERE position = 12");
        assert_eq!(checked(&place, &[]).await.fault.unwrap().position, Position(12));
    }
    for place in Place::both() {
        sealed(&place).await;
        let columns = "aggregate_type, aggregate_id, sequence, event_type, event_version, payload,
             metadata, recorded_at, hash";
        place.tamper(&format!(
            "INSERT INTO events (position, {columns}) SELECT 41, {}
             FROM events WHERE position = 40",
            columns.replace("sequence", "sequence + 1")
        ));
        assert_eq!(checked(&place, &[]).await.fault.unwrap().position, Position(41));
    }
    for place in Place::both() {
        sealed(&place).await;
        // Their times change places too, so that the order of times holds: no chain shows it.
        place.tamper(&format!(
            "UPDATE events SET position = 9999 WHERE position = 20;
             UPDATE events SET position = 20, recorded_at = recorded_at - {TICK}
                 WHERE position = 21;
             UPDATE events SET position = 21, recorded_at = recorded_at + {TICK}
                 WHERE position = 9999;"
        ));
        assert!(chains_hold(&place).await);
        let fault = checked(&place, &[]).await.fault.unwrap();
        assert_eq!((fault.position, fault.cause), (Position(20), Cause::Changed { seal: 30 }));
    }
}

/// Cuts the log behind `position`, and what remembers how long it was.
fn cut(place: &Place, position: u64) {
    let end = if place.is_sqlite() {
        format!("UPDATE sqlite_sequence SET seq = {position} WHERE name = 'events'")
    } else {
        format!("UPDATE log_head SET position = {position}")
    };
    place.tamper(&format!("DELETE FROM events WHERE position > {position}; {end}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_is_found_by_seals_and_by_those_kept_elsewhere() {
    for place in Place::both() {
        let (given, _) = sealed(&place).await;
        cut(&place, 25);
        let fault = checked(&place, &[]).await.fault.unwrap();
        assert_eq!((fault.position, fault.cause), (Position(26), Cause::CutOff { seal: 30 }));
        // Whoever cuts the seals as well leaves nothing inside that could tell.
        place.tamper("DELETE FROM seals WHERE n > 25; DELETE FROM seal_leaves WHERE first > 15");
        assert_eq!(checked(&place, &[]).await.fault, None);
        let fault = checked(&place, &given).await.fault.unwrap();
        assert_eq!(
            (fault.position, fault.cause),
            (Position(26), Cause::CutOffElsewhere { seal: 30 })
        );
    }
}

/// Changes a payload, and makes every hash behind it anew, as one can who knows how.
fn forge(place: &Place, events: &[Recorded], at: usize) {
    let mut events = events.to_vec();
    let stream = events[at - 1].stream.clone();
    r#"{"Noted":{"text":"never said"}}"#.clone_into(&mut events[at - 1].payload);
    let mut previous = None;
    for event in events.iter_mut().filter(|event| event.stream == stream) {
        let content = Content {
            event_type: &event.event_type,
            event_version: &event.event_version,
            payload: &event.payload,
            metadata: &event.metadata,
        };
        let before = previous.unwrap_or(specline::store::chain::GENESIS);
        event.hash = chain_hash(&before, &stream, event.sequence, content);
        previous = Some(event.hash);
        place.tamper(&format!(
            "UPDATE events SET payload = {}, hash = {} WHERE position = {}",
            place.json(&format!("'{}'", event.payload)),
            place.bytes(event.hash.as_bytes()),
            event.position
        ));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recomputed_chains_are_found_by_the_seals() {
    for place in Place::both() {
        let (_, events) = sealed(&place).await;
        forge(&place, &events, 20);
        assert!(chains_hold(&place).await);
        let fault = checked(&place, &[]).await.fault.unwrap();
        assert_eq!((fault.position, fault.cause), (Position(20), Cause::Changed { seal: 30 }));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recomputed_seals_are_found_only_by_those_kept_elsewhere() {
    for place in Place::both() {
        let (given, events) = sealed(&place).await;
        forge(&place, &events, 20);
        place.tamper("DELETE FROM seals; DELETE FROM seal_leaves");
        {
            let log = place.open().await;
            for n in SEALED {
                seal(&*log, n).await;
            }
        }
        assert_eq!(checked(&place, &[]).await.fault, None);
        let report = checked(&place, &given).await;
        let fault = report.fault.unwrap();
        assert_eq!(report.given, 1, "the first seal is of what was not touched");
        assert_eq!((fault.position, fault.cause), (Position(16), Cause::Elsewhere { seal: 30 }));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_seal_is_named() {
    for n in 0..4 {
        for place in Place::both() {
            sealed(&place).await;
            let zeros = place.bytes(&[7; 32]);
            let sql = [
                format!("UPDATE seals SET root = {zeros} WHERE n = 15"),
                format!("UPDATE seals SET frontier = {zeros} WHERE n = 15"),
                "UPDATE seals SET last_position = 14 WHERE n = 15".to_owned(),
                "UPDATE seals SET n = 14 WHERE n = 15".to_owned(),
            ];
            place.tamper(&sql[n]);
            let fault = checked(&place, &[]).await.fault.unwrap();
            let seal = if n == 3 { 14 } else { 15 };
            assert_eq!((fault.position.0, fault.cause), (seal, Cause::Seal { seal }), "{}", sql[n]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tables_of_the_seals_refuse_changes() {
    for place in Place::both() {
        sealed(&place).await;
        let sql = "UPDATE seals SET at = 0";
        let refused = match &place {
            Place::Sqlite(_) => {
                let connection = rusqlite::Connection::open(place.path()).unwrap();
                let others = ["DELETE FROM seals", "UPDATE seal_leaves SET first = first + 100"];
                assert!(others.iter().all(|sql| connection.execute_batch(sql).is_err()));
                connection.execute_batch(sql).is_err()
            }
            Place::Postgres(database) => {
                let sql = format!(
                    "DO $$ BEGIN {sql}; RAISE 'changed'; EXCEPTION WHEN OTHERS THEN
                     IF SQLERRM NOT LIKE '%append-only%' THEN RAISE; END IF; END $$"
                );
                crate::support::postgres::server().psql_at(database.url(), &sql);
                true
            }
        };
        assert!(refused);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incomplete_log_is_not_sealed() {
    let place = Place::sqlite();
    sealed(&place).await;
    place.tamper("DELETE FROM events WHERE position = 35");
    let log = place.open().await;
    let error = seals::seal(audit(&*log), Position(EVENTS)).await.unwrap_err();
    assert!(error.to_string().contains("position 35"), "{error}");
    let found = verify::verify(audit(&*log), Position(1), Position(u64::MAX), |_| {}).await;
    assert!(found.unwrap().first_difference.is_some());
}

/// Of several batches: what is behind a change, and still on its way, is not waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_found_wherever_it_is_in_a_long_log() {
    for place in Place::both() {
        let log = place.open().await;
        let stream = stream("Spec");
        for _ in 0..18 {
            append(&*log, &stream, vec![event("Noted", "ann", &[]); 500]).await;
        }
        seal(&*log, 8_000).await;
        drop(log);
        let report = checked(&place, &[]).await;
        assert_eq!((report.events, report.seals, report.fault), (9_000, 1, None));
        let log = place.read().await;
        let range = (Position(8_100), Position(8_600));
        let report = seals::check(audit(&*log), range, &[], |_| {}).await.unwrap();
        assert_eq!((report.checked_to, report.fault), (Position(8_600), None));
        drop(log);
        for position in [8_500, 4_096, 10] {
            let sql = format!("UPDATE events SET event_version = '2' WHERE position = {position}");
            place.tamper(&sql);
            let fault = checked(&place, &[]).await.fault.unwrap();
            assert_eq!(fault.position, Position(position), "{fault}");
        }
    }
}
