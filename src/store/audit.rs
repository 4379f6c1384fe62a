//! Questions about the log, and its seals, as a trait that both databases answer.

use async_trait::async_trait;
use specline_aggregates::{Digest, Timestamp};
use uuid::Uuid;

use super::merkle::{self, Frontier};
use super::seals::Subtrees;
use super::verify::Scan;
pub use super::words::Words;
use super::{LogError, Position, Recorded};

/// Entries of an index, or events, that one call looks at.
pub const MAX_SCANNED: usize = 50_000;

/// Which events are meant; every condition that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub aggregate_type: Option<String>,
    pub aggregate: Option<Uuid>,
    pub event_type: Option<String>,
    pub actor: Option<String>,
    pub project: Option<String>,
    pub correlation: Option<String>,
    /// Position of the event that caused them.
    pub cause: Option<u64>,
    /// Recorded at or after.
    pub from: Option<Timestamp>,
    /// Recorded before.
    pub to: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    OldestFirst,
    NewestFirst,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pub filter: Filter,
    pub order: Order,
    /// Go on behind this one, in the direction of `order`.
    pub after: Option<Position>,
    pub limit: usize,
}

/// Events that were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub events: Vec<Recorded>,
    /// There may be more behind this position; a page with fewer events than asked for, or none,
    /// may have more behind it.
    pub next: Option<Position>,
}

/// The positions that a query looks at: above the first, up to and with the second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub low: u64,
    pub high: u64,
}

impl Query {
    /// `before` and `until` are the last positions that were recorded before `from` and `to`.
    pub(super) fn bounds(&self, before: Option<u64>, until: Option<u64>) -> Bounds {
        let mut bounds =
            Bounds { low: before.unwrap_or(0), high: until.unwrap_or(i64::MAX as u64) };
        match (self.order, self.after) {
            (Order::OldestFirst, Some(after)) => bounds.low = bounds.low.max(after.0),
            (Order::NewestFirst, Some(after)) => {
                bounds.high = bounds.high.min(after.0.saturating_sub(1));
            }
            (_, None) => {}
        }
        bounds
    }

    /// Where to go on after `events`; `scanned_to` where the look ended before the log did.
    pub(super) fn page(&self, events: Vec<Recorded>, scanned_to: Option<u64>) -> Page {
        let full = events.len() >= self.limit;
        let last = events.last().map(|event| event.position);
        Page { next: if full { last } else { scanned_to.map(Position) }, events }
    }
}

/// What an index can be looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Aggregate,
    Cause,
    Correlation,
    Actor,
    Project,
    EventType,
    AggregateType,
}

impl Filter {
    /// Whether an event is meant.
    #[must_use]
    pub fn fits(&self, event: &Recorded) -> bool {
        self.fits_with(event, &Words::of(event))
    }

    /// The same, where its words are known.
    #[must_use]
    pub fn fits_with(&self, event: &Recorded, words: &Words) -> bool {
        fn same<T: PartialEq + ?Sized>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted == found
        }
        same(self.aggregate.as_ref(), Some(&event.stream.aggregate_id))
            && same(self.aggregate_type.as_deref(), Some(&*event.stream.aggregate_type))
            && same(self.event_type.as_deref(), Some(&*event.event_type))
            && same(self.actor.as_deref(), words.actor.as_deref())
            && same(self.project.as_deref(), words.project_id.as_deref())
            && same(self.correlation.as_deref(), words.correlation_id.as_deref())
            && same(self.cause.map(|at| at.to_string()).as_deref(), words.causation_id.as_deref())
            && self.from.is_none_or(|from| event.recorded_at >= from)
            && self.to.is_none_or(|to| event.recorded_at < to)
    }

    /// The conditions by column, the most telling first: a stream has hundreds of events, a type
    /// may have a tenth of the log.
    pub(super) fn conditions(&self) -> Vec<(Column, String)> {
        let all = [
            (Column::Aggregate, self.aggregate.map(|id| id.hyphenated().to_string())),
            (Column::Cause, self.cause.map(|position| position.to_string())),
            (Column::Correlation, self.correlation.clone()),
            (Column::Actor, self.actor.clone()),
            (Column::Project, self.project.clone()),
            (Column::EventType, self.event_type.clone()),
            (Column::AggregateType, self.aggregate_type.clone()),
        ];
        all.into_iter().filter_map(|(column, value)| Some((column, value?))).collect()
    }
}

/// What a leaf of the tree is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    pub position: Position,
    pub recorded_at: Timestamp,
    pub hash: Digest,
}

impl Leaf {
    #[must_use]
    pub fn of(event: &Recorded) -> Self {
        let Recorded { position, recorded_at, hash, .. } = event;
        Self { position: *position, recorded_at: *recorded_at, hash: *hash }
    }

    #[must_use]
    pub fn digest(&self) -> Digest {
        merkle::leaf(self.position.0, self.recorded_at.micros(), &self.hash)
    }
}

/// The root of the tree over the first `n` events. Positions are dense, so `n` is also the position
/// of the last of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    pub n: u64,
    pub root: Digest,
    pub last_position: Position,
    pub at: Timestamp,
    /// Roots of the full subtrees, from which the next seal goes on.
    pub frontier: Vec<Digest>,
}

impl Seal {
    /// The tree that was sealed; none where the row is not as it was written.
    #[must_use]
    pub fn tree(&self) -> Option<Frontier> {
        let tree = Frontier::of(self.n, self.frontier.clone())?;
        (tree.root() == self.root && self.last_position.0 == self.n).then_some(tree)
    }
}

/// Leaves as they were sealed, from position `first` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub first: u64,
    pub leaves: Vec<Digest>,
}

#[async_trait]
pub trait Audit: Scan + Subtrees {
    async fn find(&self, query: &Query) -> Result<Page, LogError>;

    /// Every event up to here is found by an index. Those behind it are looked through, which a
    /// query does not show, but for its time.
    async fn indexed(&self) -> Result<Position, LogError>;

    /// What the leaves at or after `from` are made of, in order.
    async fn leaves(&self, from: Position, limit: usize) -> Result<Vec<Leaf>, LogError>;

    /// Seals of more than `after` events, the smallest first.
    async fn seals(&self, after: u64, limit: usize) -> Result<Vec<Seal>, LogError>;

    /// The largest seal of at most `n` events.
    async fn seal_up_to(&self, n: u64) -> Result<Option<Seal>, LogError>;

    /// At most `limit` runs, beginning with the one that holds the leaf of position `from`.
    async fn runs(&self, from: u64, limit: usize) -> Result<Vec<Run>, LogError>;

    /// Writes a seal and the leaves that are new in it; nothing where `n` is sealed already. The
    /// seal's time is the store's.
    async fn put_seal(&self, seal: Seal, runs: Vec<Run>) -> Result<(), LogError>;
}

/// Digests one behind the other.
pub(super) fn joined(digests: &[Digest]) -> Vec<u8> {
    digests.iter().flat_map(|digest| *digest.as_bytes()).collect()
}

/// The other way round; what is left over of a damaged row is dropped, and no root will fit.
pub(super) fn parted(bytes: &[u8]) -> Vec<Digest> {
    let (digests, _) = bytes.as_chunks::<32>();
    digests.iter().map(|digest| Digest::from_bytes(*digest)).collect()
}
