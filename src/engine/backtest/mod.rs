//! Back-testing of gates: judges recorded outputs again, first by the gate that judged them, then
//! by a changed one, and says which verdicts would have been others. It only reads.

mod change;
mod replay;
mod report;

pub use change::{Change, InvalidChange, RuleChange};
pub use report::{BySpec, Difference, Outcome, Report, Underivable};

use std::collections::BTreeSet;

use cqrs_es::Aggregate;
use specline_aggregates::SpecId;
use specline_aggregates::spec::Spec;

use self::replay::Replay;
use super::{Engine, EngineError};
use crate::store::audit::{Filter, Query};
use crate::store::{EventLog, Position};

/// Verdicts looked up at a time.
const PAGE: usize = 500;

/// The event that a gate's judgement leaves.
const VERDICT: &str = "VerdictRecorded";

/// What a running back-test holds, so that there is one at a time.
const KEY: &str = "backtest";

/// Judges again what `change` asks for. `progress` hears of each spec that is done, and of how many
/// there are.
pub async fn backtest(
    log: &dyn EventLog,
    change: &Change,
    mut progress: impl FnMut(usize, usize) + Send,
) -> Result<Report, EngineError> {
    let specs = judged_specs(log, change).await?;
    let mut replay = Replay::new(log, change);
    for (n, spec) in specs.iter().enumerate() {
        replay.spec(*spec).await?;
        progress(n + 1, specs.len());
    }
    Ok(replay.finish())
}

/// The specs with verdicts that are asked for.
async fn judged_specs(
    log: &dyn EventLog,
    change: &Change,
) -> Result<BTreeSet<SpecId>, EngineError> {
    let mut specs = BTreeSet::new();
    let mut note = |events: &[crate::store::Recorded]| {
        let verdicts = events.iter().filter(|event| {
            event.stream.aggregate_type == Spec::TYPE && event.event_type == VERDICT
        });
        specs.extend(verdicts.map(|event| SpecId::from(event.stream.aggregate_id)));
    };
    let Some(audit) = log.audit() else {
        let mut after = Position(0);
        loop {
            let events = log.read_all(after, PAGE).await?;
            let Some(last) = events.last() else { return Ok(specs) };
            after = last.position;
            note(&events);
        }
    };
    let filter =
        Filter { event_type: Some(VERDICT.to_owned()), from: change.since, ..Filter::default() };
    let mut query = Query { filter, limit: PAGE, ..Query::default() };
    loop {
        let page = audit.find(&query).await?;
        note(&page.events);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(specs),
        }
    }
}

impl Engine {
    /// The same on this engine's log; one at a time, as it may take long.
    pub async fn backtest(&self, change: &Change) -> Result<Report, EngineError> {
        let another = || EngineError::Transient("another back-test runs".to_owned());
        let _under_way = self.begin(KEY).ok_or_else(another)?;
        backtest(&*self.inner.log, change, |_, _| ()).await
    }
}
