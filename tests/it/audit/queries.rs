//! Queries by every combination of conditions, in both directions and in pages, against a plain
//! look at all events.

use serde_json::Value;
use specline::store::audit::{Filter, Order, Page, Query};
use specline::store::{EventLog, Position, Recorded};
use specline_aggregates::Timestamp;
use uuid::Uuid;

use super::world::{BEGIN, Place, TICK, append, audit, event, stream};
use crate::support::{Random, times};

const EVENTS: u64 = 300;
const TYPES: [&str; 3] = ["Noted", "Moved", "Done"];
const ACTORS: [&str; 3] = ["person:ann", "engine:timers", "per'son\";--%\\ 💡"];
const WORDS: [&str; 3] = ["one", "two", "three"];

async fn filled(log: &dyn EventLog, random: &mut Random) -> Vec<Recorded> {
    let streams = ["Spec", "Task", "Spec", "Ticket", "Task"].map(stream);
    let mut n = 0;
    while n < EVENTS {
        let stream = &streams[pick(random, 5)];
        let count = 1 + random.below(4);
        let events = (0..count).map(|_| {
            let mut words = Vec::new();
            for name in ["project_id", "correlation_id"] {
                if random.below(4) > 0 {
                    words.push((name, WORDS[pick(random, 3)].to_owned()));
                }
            }
            if n > 0 && random.below(3) == 0 {
                words.push(("causation_id", (1 + random.below(n)).to_string()));
            }
            event(TYPES[pick(random, 3)], ACTORS[pick(random, 3)], &words)
        });
        let events = events.collect();
        append(log, stream, events).await;
        n += count;
    }
    log.read_all(Position(0), 1_000).await.unwrap()
}

fn pick(random: &mut Random, n: u64) -> usize {
    usize::try_from(random.below(n)).unwrap()
}

fn maybe<T>(random: &mut Random, value: impl FnOnce(&mut Random) -> T) -> Option<T> {
    (random.below(4) == 0).then(|| value(random))
}

fn filter(random: &mut Random, all: &[Recorded]) -> Filter {
    let time = |random: &mut Random| {
        let ticks = i64::try_from(random.below(EVENTS)).unwrap();
        Timestamp::from_micros(BEGIN + ticks * TICK)
    };
    Filter {
        aggregate_type: maybe(random, |r| ["Spec", "Task", "Nothing"][pick(r, 3)].to_owned()),
        aggregate: maybe(random, |r| {
            if r.below(9) == 0 {
                Uuid::now_v7()
            } else {
                all[pick(r, all.len() as u64)].stream.aggregate_id
            }
        }),
        event_type: maybe(random, |r| TYPES[pick(r, 3)].to_owned()),
        actor: maybe(random, |r| ACTORS[pick(r, 3)].to_owned()),
        project: maybe(random, |r| WORDS[pick(r, 3)].to_owned()),
        correlation: maybe(random, |r| WORDS[pick(r, 3)].to_owned()),
        cause: maybe(random, |r| 1 + r.below(20)),
        from: maybe(random, time),
        to: maybe(random, time),
    }
}

fn fits(filter: &Filter, event: &Recorded) -> bool {
    let metadata: Value = serde_json::from_str(&event.metadata).unwrap();
    let word = |wanted: &Option<String>, name: &str| {
        wanted.as_deref().is_none_or(|wanted| metadata[name].as_str() == Some(wanted))
    };
    let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|w| w == found);
    is(&filter.aggregate_type, &event.stream.aggregate_type)
        && filter.aggregate.is_none_or(|id| id == event.stream.aggregate_id)
        && is(&filter.event_type, &event.event_type)
        && word(&filter.actor, "actor")
        && word(&filter.project, "project_id")
        && word(&filter.correlation, "correlation_id")
        && word(&filter.cause.map(|cause| cause.to_string()), "causation_id")
        && filter.from.is_none_or(|from| event.recorded_at >= from)
        && filter.to.is_none_or(|to| event.recorded_at < to)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_combination_finds_what_a_plain_look_finds() {
    for place in Place::both() {
        let mut random = Random::new();
        let log = place.open().await;
        let all = filled(&*log, &mut random).await;
        let mut n_found = 0;
        let n = times(300, 5_000);
        for number in 0..n {
            // The first half also while the index lags behind.
            if number == n / 2 {
                super::indexed::indexed(&*log).await;
            }
            let filter = filter(&mut random, &all);
            let newest = random.below(2) == 0;
            let order = if newest { Order::NewestFirst } else { Order::OldestFirst };
            let after = maybe(&mut random, |r| Position(r.below(EVENTS)));
            let limit = 1 + pick(&mut random, 30);
            let query = Query { filter, order, after, limit };
            let mut wanted: Vec<&Recorded> =
                all.iter().filter(|event| fits(&query.filter, event)).collect();
            if newest {
                wanted.reverse();
            }
            wanted.retain(|event| match query.after {
                None => true,
                Some(after) if newest => event.position < after,
                Some(after) => event.position > after,
            });
            let found = in_pages(&*log, &query).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{query:?}");
            n_found += found.len();
        }
        assert!(n_found > 500, "only {n_found} events were found at all");
    }
}

async fn in_pages(log: &dyn EventLog, query: &Query) -> Vec<Recorded> {
    let (mut query, mut all) = (query.clone(), Vec::new());
    loop {
        let Page { events, next } = audit(log).find(&query).await.unwrap();
        assert!(events.len() <= query.limit);
        all.extend(events);
        if next.is_none() {
            return all;
        }
        query.after = next;
    }
}

/// Metadata of other writers, which no index must stumble over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_metadata_is_kept_and_not_found() {
    for place in Place::both() {
        let log = place.open().await;
        let stream = stream("Spec");
        let huge = format!(r#"{{"actor":"{}"}}"#, "x".repeat(10_000));
        let odd = ["{}", "[]", "7", r#""text""#, r#"{"actor":7}"#, r#"{"actor":"a\u0041"}"#, &huge];
        for metadata in odd {
            let mut event = event("Noted", "ann", &[]);
            metadata.clone_into(&mut event.metadata);
            append(&*log, &stream, vec![event]).await;
        }
        let actor = Some("x".repeat(10_000));
        let filter = Filter { actor, ..Filter::default() };
        let query = Query { filter, limit: 10, ..Query::default() };
        assert_eq!(audit(&*log).find(&query).await.unwrap().events.len(), 1);
        let query = Query { limit: 10, ..Query::default() };
        assert_eq!(audit(&*log).find(&query).await.unwrap().events.len(), odd.len());
    }
}
