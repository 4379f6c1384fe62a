//! Which leases the watchdog need not look at again. Whether a sandbox is wanted depends on its
//! spec alone; so once that was seen, only news of the spec, or the lease's end, can change it.
//! Thousands of quiet sandboxes then cost one read of the leases, not a load of each spec.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use cqrs_es::Aggregate;
use specline_aggregates::SandboxId;
use specline_aggregates::spec::Spec;
use tokio::time::Instant;
use uuid::Uuid;

use crate::store::{EventLog, Lease, LogError, Position};

/// With more news than this, every lease is looked at: that costs no more than to read them.
const MAX_NEWS: u64 = 2_000;

/// Events read at a time.
const PAGE: usize = 250;

#[derive(Default)]
pub(super) struct Quiet {
    /// How far the log was read.
    seen: Position,
    sandboxes: BTreeSet<SandboxId>,
    news: News,
}

/// Specs that something happened to since the last look.
#[derive(Default)]
enum News {
    #[default]
    All,
    Of(BTreeSet<Uuid>),
}

impl News {
    fn tell_of(&self, lease: &Lease) -> bool {
        match self {
            Self::All => true,
            Self::Of(specs) => specs.contains(&lease.owner),
        }
    }
}

impl Quiet {
    /// Reads what happened since the last look. Every spec that is loaded after this has it.
    pub(super) async fn learn(
        &mut self,
        log: &dyn EventLog,
        leases: &[Lease],
    ) -> Result<(), LogError> {
        let head = *log.watch_head().borrow();
        self.news = news(log, self.seen, head).await?;
        self.seen = head;
        let still = |lease: &&Lease| self.has(lease) && !self.news.tell_of(lease);
        self.sandboxes = leases.iter().filter(still).map(|lease| lease.sandbox).collect();
        Ok(())
    }

    pub(super) fn has(&self, lease: &Lease) -> bool {
        self.sandboxes.contains(&lease.sandbox)
    }

    /// The sandbox was seen to be wanted. One whose spec has news is looked at once more, since a
    /// commit that is a moment old may not have reached the cache of states.
    pub(super) fn wanted(&mut self, lease: &Lease) {
        if !self.news.tell_of(lease) {
            self.sandboxes.insert(lease.sandbox);
        }
    }
}

/// How long a look of the watchdog, which looks every second, is believed.
const CALM_LASTS: Duration = Duration::from_secs(2);

/// The quiet leases of the watchdog's last look, for heartbeats: they need not be read again each.
/// What another node does to their specs is seen a look later, and a worker calls more seldom.
#[derive(Default)]
pub(super) struct Calm {
    looked: Option<Instant>,
    leases: HashMap<SandboxId, (Uuid, u64)>,
}

impl Calm {
    /// After a look that began at `looked`.
    pub(super) fn of(quiet: &Quiet, leases: &[Lease], looked: Instant) -> Self {
        let quiet = leases.iter().filter(|lease| quiet.has(lease));
        let leases = quiet.map(|lease| (lease.sandbox, (lease.owner, lease.lease_ms))).collect();
        Self { looked: Some(looked), leases }
    }

    /// The sandbox's spec, and the length of its lease; none when the store has to be asked.
    pub(super) fn get(&self, sandbox: SandboxId) -> Option<(Uuid, u64)> {
        let fresh = self.looked.is_some_and(|looked| looked.elapsed() < CALM_LASTS);
        self.leases.get(&sandbox).copied().filter(|_| fresh)
    }
}

async fn news(log: &dyn EventLog, seen: Position, head: Position) -> Result<News, LogError> {
    if head.0.saturating_sub(seen.0) > MAX_NEWS {
        return Ok(News::All);
    }
    let (mut after, mut specs) = (seen, BTreeSet::new());
    while after < head {
        let page = log.read_all(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.position;
        let of_specs = page.iter().filter(|event| event.stream.aggregate_type == Spec::TYPE);
        specs.extend(of_specs.map(|event| event.stream.aggregate_id));
    }
    Ok(News::Of(specs))
}

#[cfg(test)]
mod tests {
    use specline_aggregates::{Epoch, SpecId, Timestamp, Usage, derive_id};

    use super::*;
    use crate::store::memory::MemoryLog;
    use crate::store::{Append, Clock, Expected, LeaseState, NewEvent, StreamId};

    fn lease(spec: Uuid) -> Lease {
        Lease {
            sandbox: SpecId::new(spec).sandbox(Epoch(1)),
            owner: spec,
            epoch: Epoch(1),
            state: LeaseState::Running,
            instance: None,
            engine: Uuid::nil(),
            handle: String::new(),
            lease_ms: 30_000,
            expires_at: Timestamp::default(),
            last_heard: Timestamp::default(),
            last_progress: Timestamp::default(),
            usage: Usage::default(),
        }
    }

    async fn happen(log: &MemoryLog, spec: Uuid, events: usize) {
        let event = NewEvent {
            event_type: "SpecPaused".to_owned(),
            event_version: "1.0".to_owned(),
            payload: "{}".to_owned(),
            metadata: "{}".to_owned(),
        };
        let stream = StreamId { aggregate_type: Spec::TYPE.to_owned(), aggregate_id: spec };
        let head = log.stream_head(&stream).await.unwrap();
        let expected = head.map_or(Expected::NoStream, Expected::Exact);
        let events = vec![event; events];
        let append = Append { stream, expected, events, key: None, blobs: Vec::new() };
        log.append(append).await.unwrap();
    }

    #[tokio::test]
    async fn a_lease_is_quiet_until_something_happens_to_its_spec() {
        let log = MemoryLog::new(Clock::system());
        let leases = ["one", "other"].map(|name| lease(derive_id(&[name])));
        let mut quiet = Quiet::default();
        let look = async |quiet: &mut Quiet| {
            quiet.learn(&log, &leases).await.unwrap();
            let looked_at: Vec<bool> = leases.iter().map(|lease| !quiet.has(lease)).collect();
            for lease in &leases {
                quiet.wanted(lease);
            }
            looked_at
        };
        assert_eq!(look(&mut quiet).await, [true, true], "nothing is known yet");
        assert_eq!(look(&mut quiet).await, [false, false], "nothing has happened");
        happen(&log, leases[0].owner, 1).await;
        assert_eq!(look(&mut quiet).await, [true, false], "one spec has news");
        assert_eq!(look(&mut quiet).await, [true, false], "it is looked at once more");
        assert_eq!(look(&mut quiet).await, [false, false]);
        happen(&log, derive_id(&["a third"]), 2_001).await;
        assert_eq!(look(&mut quiet).await, [true, true], "too much to read");
        assert_eq!(look(&mut quiet).await, [true, true], "none was found quiet then");
        assert_eq!(look(&mut quiet).await, [false, false]);
        let calm = Calm::of(&quiet, &leases, Instant::now());
        let known = |lease: &Lease| calm.get(lease.sandbox);
        assert_eq!(known(&leases[0]), Some((leases[0].owner, leases[0].lease_ms)));
        let old = Calm { looked: Instant::now().checked_sub(CALM_LASTS), ..calm };
        assert_eq!(old.get(leases[0].sandbox), None, "nobody looked for too long");
        happen(&log, leases[0].owner, 1).await;
        quiet.learn(&log, &leases).await.unwrap();
        let calm = Calm::of(&quiet, &leases, Instant::now());
        assert_eq!(calm.get(leases[0].sandbox), None, "its spec has news");
        assert!(calm.get(leases[1].sandbox).is_some());
        quiet.learn(&log, &leases[1..]).await.unwrap();
        assert!(!quiet.has(&leases[0]), "a lease that is over is forgotten");
    }
}
