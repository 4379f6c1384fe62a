//! Nodes on one database, the check of a whole log, and writers that remember what they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use specline::store::chain::{Content, GENESIS, chain_hash};
use specline::store::{
    Append, Appended, EventLog, LogError, PgLog, Position, Recorded, StreamHead, StreamId, postgres,
};
use specline_aggregates::Timestamp;
use sqlx::postgres::{PgPool, PgPoolOptions};

use crate::store_conformance::backend::{append, key, stream};
use crate::support::Random;

/// One node more on the log at `url`.
pub async fn node(url: &str) -> Arc<PgLog> {
    Arc::new(PgLog::open(postgres::Settings::new(url)).await.unwrap())
}

/// A way to the database that is not a log's.
pub fn admin(url: &str) -> PgPool {
    PgPoolOptions::new().max_connections(16).connect_lazy(url).unwrap()
}

/// Every event of the log.
pub async fn read(log: &dyn EventLog) -> Vec<Recorded> {
    let mut events: Vec<Recorded> = Vec::new();
    loop {
        let after = events.last().map_or(Position(0), |event| event.position);
        let page = log.read_all(after, 5_000).await.unwrap();
        if page.is_empty() {
            return events;
        }
        events.extend(page);
    }
}

/// Looks at the log event by event, as it is read in pages: dense positions, sequences without
/// gaps, times that do not fall, and each stream's chain.
pub struct Check {
    last: (u64, Timestamp),
    heads: BTreeMap<StreamId, StreamHead>,
}

impl Check {
    pub fn new() -> Self {
        Self { last: (0, Timestamp::default()), heads: BTreeMap::new() }
    }

    pub fn event(&mut self, event: &Recorded) {
        assert_eq!(event.position.0, self.last.0 + 1, "positions are dense");
        assert!(event.recorded_at >= self.last.1, "the time falls at {}", event.position);
        self.last = (event.position.0, event.recorded_at);
        let start = StreamHead { version: 0, hash: GENESIS };
        let head = self.heads.entry(event.stream.clone()).or_insert(start);
        assert_eq!(event.sequence, head.version + 1, "{} at {}", event.stream, event.position);
        let content = Content {
            event_type: &event.event_type,
            event_version: &event.event_version,
            payload: &event.payload,
            metadata: &event.metadata,
        };
        let hash = chain_hash(&head.hash, &event.stream, event.sequence, content);
        assert_eq!(hash, event.hash, "the chain breaks at {}", event.position);
        *head = StreamHead { version: event.sequence, hash };
    }

    pub fn all(events: &[Recorded]) {
        let mut check = Self::new();
        for event in events {
            check.event(event);
        }
    }
}

/// What an append was told to have done.
struct Told {
    append: Append,
    answer: Appended,
}

/// A writer of streams that nobody else writes to, and what it knows of its appends. Each event's
/// payload is a number that no other event of the test has.
pub struct Scribe {
    log: Arc<PgLog>,
    random: Random,
    streams: Vec<(StreamId, Option<StreamHead>)>,
    next: u64,
    told: Vec<Told>,
    /// Payloads of appends that may have been done, or not.
    unknown: BTreeSet<u64>,
}

impl Scribe {
    /// The scribe of a number that no other has.
    pub fn new(log: Arc<PgLog>, number: u64, seed: u64) -> Self {
        let random = Random::seeded(seed.wrapping_mul(31).wrapping_add(number + 1));
        let streams = (0..3).map(|_| (stream(), None)).collect();
        let next = (number + 1) * 100_000_000;
        Self { log, random, streams, next, told: Vec::new(), unknown: BTreeSet::new() }
    }

    pub fn n_told(&self) -> usize {
        self.told.len()
    }

    pub fn n_unknown(&self) -> usize {
        self.unknown.len()
    }

    /// One append, of one to three events, until it is told what became of it, or cannot be.
    pub async fn write(&mut self) {
        let which = usize::try_from(self.random.below(3)).unwrap();
        let (stream, head) = self.streams[which].clone();
        let events = 1 + self.random.below(3);
        let payloads: Vec<u64> = (self.next..self.next + events).collect();
        self.next += events;
        let mut append = append(&stream, head, &payloads);
        if self.random.below(2) == 0 {
            append.key = Some(key(&format!("key/{}", payloads[0]), "request"));
        }
        self.streams[which].1 = self.carry_out(append, head, &payloads).await;
    }

    async fn carry_out(
        &mut self,
        append: Append,
        head: Option<StreamHead>,
        payloads: &[u64],
    ) -> Option<StreamHead> {
        let keyed = append.key.is_some();
        let mut doubt = false;
        loop {
            match self.log.append(append.clone()).await {
                Ok(answer) => {
                    assert!(keyed || !answer.repeated, "an append without a key is no repeat");
                    let head = answer.head;
                    self.told.push(Told { append, answer });
                    return Some(head);
                }
                // Whoever has a key asks again under it.
                Err(LogError::Transient { .. }) if keyed => doubt = true,
                Err(LogError::Transient { .. }) => {
                    self.unknown.extend(payloads);
                    return self.look(&append.stream).await;
                }
                // What was not known to be done is done late.
                Err(LogError::Conflict { .. }) if !doubt && !self.unknown.is_empty() => {
                    let now = self.look(&append.stream).await;
                    assert_ne!(now, head, "a conflict with nothing");
                    return now;
                }
                Err(error) => panic!("{payloads:?}, in doubt {doubt}: {error}"),
            }
        }
    }

    async fn look(&self, stream: &StreamId) -> Option<StreamHead> {
        loop {
            match self.log.stream_head(stream).await {
                Ok(head) => return head,
                Err(LogError::Transient { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Everything that was told stands in the log as it was told, and what is there beside it may
    /// be: `events` is the whole log. Says which payloads it accounted for.
    pub fn account(&self, events: &[Recorded]) -> BTreeSet<u64> {
        let mut known = BTreeSet::new();
        for Told { append, answer } in &self.told {
            let n = append.events.len() as u64;
            for (event, back) in append.events.iter().zip((0..n).rev()) {
                let position = answer.position.0 - back;
                let stands = &events[usize::try_from(position).unwrap() - 1];
                assert_eq!(stands.payload, event.payload, "at position {position}");
                assert_eq!(stands.stream, append.stream, "at position {position}");
                assert_eq!(stands.sequence, answer.head.version - back);
                assert_eq!(stands.recorded_at, answer.recorded_at);
                known.insert(event.payload.parse().unwrap());
            }
            let last = &events[usize::try_from(answer.position.0).unwrap() - 1];
            assert_eq!(last.hash, answer.head.hash);
        }
        known.extend(&self.unknown);
        known
    }

    /// A repeat under each key gives the first answer.
    pub async fn repeat(&self, log: &PgLog) {
        for Told { append, answer } in &self.told {
            if append.key.is_some() {
                let again = log.append(append.clone()).await.unwrap();
                assert_eq!(again, Appended { repeated: true, ..answer.clone() });
            }
        }
    }
}

/// The whole log stands as the scribes were told, and nothing stands there twice or from nowhere.
pub async fn account(url: &str, scribes: &[Scribe]) {
    let log = node(url).await;
    let events = read(&*log).await;
    Check::all(&events);
    let mut payloads = BTreeSet::new();
    for event in &events {
        assert!(payloads.insert(event.payload.parse::<u64>().unwrap()), "twice: {event:?}");
    }
    let known: BTreeSet<u64> = scribes.iter().flat_map(|scribe| scribe.account(&events)).collect();
    let strange: Vec<_> = payloads.difference(&known).collect();
    assert!(strange.is_empty(), "in the log, and nobody knows it: {strange:?}");
    for scribe in scribes {
        scribe.repeat(&log).await;
    }
    assert_eq!(read(&*log).await.len(), events.len(), "a repeat writes nothing");
    let verified = log.verify(Position(1), Position(u64::MAX), |_| {}).await.unwrap();
    assert_eq!((verified.events, verified.first_difference), (events.len() as u64, None));
}
