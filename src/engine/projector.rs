//! Duty: keeps the read models at the log's end. It follows the head, and reads in pages. Where
//! several nodes share the read models, whoever folded last goes on, and the others watch it.

use std::time::Duration;

use specline_aggregates::DecodeError;
use specline_projections::{Envelope, Moved};

use super::{Engine, EngineError, Fatal, envelope};
use crate::store::{Position, Recorded};

/// Events a page.
pub(super) const PAGE: usize = 1_000;

/// How long a node leaves a page to the one that folded the last. Then that one is taken for busy,
/// or dead.
const PATIENCE: Duration = Duration::from_millis(100);

/// Pause after a failure. Most likely it is the disk, or the database: look again, do not spin.
const AGAIN: Duration = Duration::from_secs(1);

/// Which node folded the last page. Where several share the read models, one at a time is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Folded {
    ByUs,
    ByAnother,
}

pub(super) async fn run(engine: Engine) {
    let mut end = engine.inner.log.watch_head();
    let mut moved = engine.inner.models.moved();
    let stop = engine.inner.stop.clone();
    let mut last = Folded::ByUs;
    loop {
        end.borrow_and_update();
        let busy = engine.busy("projector");
        let folded = engine.fold_on(last, &mut moved).await;
        drop(busy);
        match folded {
            Ok(folded) => last = folded,
            Err(error) => {
                tracing::error!(cause = %error, "the read models stand still");
                if error.is_newer() {
                    engine.fail(Fatal::NewerPeer(error.to_string()));
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => continue,
                    () = stop.cancelled() => return,
                }
            }
        }
        tokio::select! {
            changed = end.changed() => if changed.is_err() { return },
            heard = moved.next() => engine.note_moved(heard).await,
            () = stop.cancelled() => return,
        }
    }
}

impl Engine {
    /// Folds everything that the log has beyond the read models.
    pub async fn catch_up(&self) -> Result<(), EngineError> {
        self.fold(&mut self.inner.models.moved()).await.map(drop)
    }

    /// Brings the read models to the log's end, or sees that another node does.
    async fn fold_on(&self, last: Folded, moved: &mut Moved) -> Result<Folded, EngineError> {
        if last == Folded::ByAnother && self.others_fold(moved).await {
            return Ok(Folded::ByAnother);
        }
        self.fold(moved).await
    }

    /// Waits, not for long, until another node has brought the read models to the log's end.
    async fn others_fold(&self, moved: &mut Moved) -> bool {
        let end = self.inner.log.watch_head().borrow().0;
        let there = async {
            while self.stand() < Some(end) {
                let heard = moved.next().await;
                self.note_moved(heard).await;
            }
        };
        tokio::time::timeout(PATIENCE, there).await.is_ok()
    }

    async fn fold(&self, moved: &mut Moved) -> Result<Folded, EngineError> {
        let mut folded = Folded::ByUs;
        loop {
            let Some(from) = self.stand() else {
                return Err(EngineError::Corrupt("every read model has stopped".to_owned()));
            };
            self.inner.health.goes_on("projector");
            let rows = self.inner.log.read_all(Position(from), PAGE).await?;
            if rows.is_empty() {
                self.inner.projected.send_if_modified(|at| raise(at, from));
                return Ok(folded);
            }
            let page = decode_page(rows)?;
            let applied = self.inner.models.apply(from, &page).await?;
            for (model, failure) in applied.failed {
                tracing::error!(model, cause = ?failure, "a read model stopped");
            }
            folded = Folded::ByUs;
            if applied.contended {
                // Another node is at it: what it does is seen when it is done.
                folded = Folded::ByAnother;
                if let Ok(heard) = tokio::time::timeout(PATIENCE, moved.next()).await {
                    self.note_moved(heard).await;
                }
                self.inner.models.refresh().await?;
            }
            if let Some(at) = self.stand() {
                self.inner.projected.send_if_modified(|known| raise(known, at));
            }
        }
    }

    /// Where the read models stand, as far as this node knows; none when all have stopped.
    fn stand(&self) -> Option<u64> {
        self.inner.models.resume_position()
    }

    /// Another node has moved the read models.
    async fn note_moved(&self, heard: Result<(), specline_projections::Error>) {
        let refreshed = match heard {
            Ok(()) => self.inner.models.refresh().await,
            Err(error) => Err(error),
        };
        match refreshed {
            Ok(()) => {
                if let Some(at) = self.stand() {
                    self.inner.projected.send_if_modified(|known| raise(known, at));
                }
            }
            Err(error) => {
                tracing::debug!(cause = %error, "the other nodes' read models are not heard");
                tokio::time::sleep(PATIENCE).await;
            }
        }
    }
}

impl Engine {
    /// Builds a read model anew beside the live one, and swaps it in: to its end, whether or not
    /// the caller waits for it.
    pub async fn rebuild(&self, name: &str) -> Result<u64, EngineError> {
        let (engine, name) = (self.clone(), name.to_owned());
        let rebuilt = tokio::spawn(async move { engine.rebuild_here(&name).await });
        rebuilt.await.unwrap_or_else(|_| {
            Err(EngineError::Transient("the rebuild was broken off".to_owned()))
        })
    }

    async fn rebuild_here(&self, name: &str) -> Result<u64, EngineError> {
        let models = &self.inner.models;
        models.begin_rebuild(name).await?;
        loop {
            let from = models.rebuild_position(name)?;
            let rows = self.inner.log.read_all(Position(from), PAGE).await?;
            let page = decode_page(rows)?;
            let rebuilt = models.apply_rebuild(name, from, &page).await?;
            if !rebuilt.caught_up {
                continue;
            }
            match models.swap(name).await {
                Ok(()) => return Ok(rebuilt.position),
                // The live one has moved on meanwhile: there is one page more to do.
                Err(specline_projections::Error::Behind { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn raise(at: &mut u64, to: u64) -> bool {
    let raised = to > *at;
    *at = (*at).max(to);
    raised
}

/// Decodes a page of the log.
pub(super) fn decode_page(rows: Vec<Recorded>) -> Result<Vec<Envelope>, EngineError> {
    rows.into_iter()
        .map(|row| {
            let place =
                format!("{} sequence {}, position {}", row.stream, row.sequence, row.position);
            envelope::of(row).map_err(|error| match error {
                DecodeError::Newer { .. } => EngineError::Newer(format!("{place}: {error}")),
                DecodeError::Malformed { .. } => EngineError::Corrupt(format!("{place}: {error}")),
            })
        })
        .collect()
}
