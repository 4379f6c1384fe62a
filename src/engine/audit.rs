//! What auditors ask: queries over the log, what led to what, and the proofs of the seals.

use schemars::JsonSchema;
use serde::Serialize;
use specline_aggregates::Digest;
use tokio::sync::Semaphore;

use super::{Engine, EngineError};
use crate::store::Recorded;
use crate::store::audit::Audit;
pub use crate::store::audit::{Filter, Order, Page, Query, Seal, Words};
use crate::store::seals::{self, NoProof};
pub use crate::store::seals::{Consistency, Proof, Report};
pub use crate::store::{LogIdentity, Position};
use crate::view::EventView;

/// Longest chain of causes that is followed.
const MAX_CAUSES: usize = 100;

/// Most events that one is shown to have led to.
const MAX_EFFECTS: usize = 200;

/// Events that one call checks: some seconds' work.
pub const MAX_CHECKED: u64 = 500_000;

/// Work that reads much of the log: one call at a time.
static HEAVY: Semaphore = Semaphore::const_new(1);

/// What led to an event, and what it led to.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EventTrace")]
pub struct Trace {
    pub event: EventView,
    /// The first cause first.
    pub causes: Vec<EventView>,
    /// In the order of the log.
    pub effects: Vec<EventView>,
    pub correlation_id: Option<String>,
    /// There is more than is shown here.
    pub truncated: bool,
}

impl Engine {
    fn audited(&self) -> Result<&dyn Audit, EngineError> {
        let none = || EngineError::Internal {
            what: "this log answers no queries",
            cause: "it is in memory".to_owned(),
        };
        self.inner.log.audit().ok_or_else(none)
    }

    #[must_use]
    pub fn log_identity(&self) -> LogIdentity {
        self.inner.log.identity()
    }

    pub async fn find_events(&self, query: &Query) -> Result<Page, EngineError> {
        Ok(self.audited()?.find(query).await?)
    }

    /// What led to the event at `position`, and what it led to.
    pub async fn trace(&self, position: u64) -> Result<Trace, EngineError> {
        let unknown = || EngineError::NotFound { what: "event", id: position.to_string() };
        let event = self.event_at(position).await?.ok_or_else(unknown)?;
        let words = Words::of(&event);
        let (mut truncated, mut causes) = (false, Vec::new());
        let mut cause = words.cause();
        while let Some(at) = cause {
            if causes.len() == MAX_CAUSES {
                truncated = true;
                break;
            }
            // A cause is earlier: what says otherwise would lead in a circle.
            let last = causes.last().map_or(position, |event: &Recorded| event.position.0);
            let Some(found) = self.event_at(at).await?.filter(|found| found.position.0 < last)
            else {
                break;
            };
            cause = Words::of(&found).cause();
            causes.push(found);
        }
        causes.reverse();
        let (effects, more) = self.effects(position).await?;
        Ok(Trace {
            event: view(event)?,
            causes: causes.into_iter().map(view).collect::<Result<_, _>>()?,
            effects: effects.into_iter().map(view).collect::<Result<_, _>>()?,
            correlation_id: words.correlation_id,
            truncated: truncated || more,
        })
    }

    async fn event_at(&self, position: u64) -> Result<Option<Recorded>, EngineError> {
        let Some(before) = position.checked_sub(1) else { return Ok(None) };
        let found = self.inner.log.read_all(Position(before), 1).await?;
        Ok(found.into_iter().next())
    }

    /// What an event led to, and what that led to; whether there is more.
    async fn effects(&self, position: u64) -> Result<(Vec<Recorded>, bool), EngineError> {
        let (mut found, mut next) = (Vec::<Recorded>::new(), 0);
        let mut cause = position;
        loop {
            let left = MAX_EFFECTS - found.len();
            let filter = Filter { cause: Some(cause), ..Filter::default() };
            let query = Query { filter, limit: left + 1, ..Query::default() };
            let page = self.audited()?.find(&query).await?.events;
            let more = page.len() > left;
            found.extend(page.into_iter().filter(|event| event.position.0 > cause).take(left));
            if more || next == found.len() {
                found.sort_by_key(|event| event.position);
                return Ok((found, more));
            }
            cause = found[next].position.0;
            next += 1;
        }
    }

    /// Checks chains and seals of at most [`MAX_CHECKED`] events from `from` on.
    pub async fn check_log(&self, from: u64, to: Option<u64>) -> Result<Report, EngineError> {
        let _one = heavy()?;
        let most = from.saturating_add(MAX_CHECKED - 1);
        let to = to.unwrap_or(most).min(most);
        let range = (Position(from), Position(to.min(self.head().max(from))));
        Ok(seals::check(self.audited()?, range, &[], |_| {}).await?)
    }

    /// Seals of more than `after` events.
    pub async fn seals(&self, after: u64, limit: usize) -> Result<Vec<Seal>, EngineError> {
        Ok(self.audited()?.seals(after, limit).await?)
    }

    pub async fn prove(&self, position: u64, size: Option<u64>) -> Result<Proof, EngineError> {
        let _one = heavy()?;
        Ok(seals::prove(self.audited()?, position, size).await?)
    }

    pub async fn prove_consistency(
        &self,
        first: u64,
        second: Option<u64>,
    ) -> Result<Consistency, EngineError> {
        let _one = heavy()?;
        Ok(seals::prove_consistency(self.audited()?, first, second).await?)
    }

    /// Seals what is not sealed yet.
    pub async fn seal(&self) -> Result<Option<Seal>, EngineError> {
        let head = self.written_up_to().await?;
        Ok(seals::seal(self.audited()?, head).await?)
    }

    /// The last event that is there now. Word of it may still be on its way: an engine that ends
    /// seals what it wrote a moment ago.
    async fn written_up_to(&self) -> Result<Position, EngineError> {
        let mut head = *self.inner.log.watch_head().borrow();
        for _ in 0..MAX_PAGES_AHEAD {
            let page = self.inner.log.read_all(head, PAGE_AHEAD).await?;
            let Some(last) = page.last() else { break };
            head = last.position;
        }
        Ok(head)
    }
}

/// Events that are read at a time behind the head that is known, and how often: others may go on
/// writing meanwhile.
const PAGE_AHEAD: usize = 100;
const MAX_PAGES_AHEAD: usize = 10;

fn heavy() -> Result<tokio::sync::SemaphorePermit<'static>, EngineError> {
    let busy = "another check or proof is under way on this node".to_owned();
    HEAVY.try_acquire().map_err(|_| EngineError::Transient(busy))
}

impl From<NoProof> for EngineError {
    fn from(why: NoProof) -> Self {
        let code = match why {
            NoProof::Log(error) => return error.into(),
            NoProof::NotSealed(_) | NoProof::NoSeal(_) => "not_sealed",
            NoProof::Changed(_) | NoProof::Damaged(_) => "log_changed",
        };
        Self::Refused { code, message: why.to_string(), findings: Vec::new() }
    }
}

/// An event as readers get it.
pub fn view(row: Recorded) -> Result<EventView, EngineError> {
    let place = row.position;
    EventView::try_from(row).map_err(|error| {
        EngineError::Corrupt(format!("the event at position {place} is no JSON: {error}"))
    })
}

/// A seal as it is shown and exported.
#[derive(Debug, Clone, Serialize, serde::Deserialize, JsonSchema)]
#[schemars(rename = "Seal")]
pub struct SealView {
    /// Events that are under it.
    pub n: u64,
    pub root: Digest,
    pub last_position: u64,
    pub at: specline_aggregates::Timestamp,
}

impl From<&Seal> for SealView {
    fn from(seal: &Seal) -> Self {
        Self { n: seal.n, root: seal.root, last_position: seal.last_position.0, at: seal.at }
    }
}
