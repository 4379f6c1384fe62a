//! Duty: keeps the read models at the log's end. It follows the head, and reads in pages.

use specline_aggregates::DecodeError;
use specline_projections::Envelope;

use super::{Engine, EngineError, Fatal, envelope};
use crate::store::{Position, Recorded};

/// Events a page.
pub(super) const PAGE: usize = 1_000;

pub(super) async fn run(engine: Engine) {
    let mut head = engine.inner.log.watch_head();
    let stop = engine.inner.stop.clone();
    loop {
        head.borrow_and_update();
        if let Err(error) = engine.catch_up().await {
            tracing::error!(cause = %error, "the read models stand still");
            if let EngineError::Newer(cause) = error {
                engine.fail(Fatal::NewerPeer(cause));
                return;
            }
            // Most likely the disk: look again in a second rather than spin.
            tokio::select! {
                () = tokio::time::sleep(std::time::Duration::from_secs(1)) => continue,
                () = stop.cancelled() => return,
            }
        }
        tokio::select! {
            changed = head.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
    }
}

impl Engine {
    /// Folds everything that the log has beyond the read models.
    pub async fn catch_up(&self) -> Result<(), EngineError> {
        loop {
            let Some(from) = self.inner.models.resume_position() else {
                return Err(EngineError::Corrupt("every read model has stopped".to_owned()));
            };
            let rows = self.inner.log.read_all(Position(from), PAGE).await?;
            if rows.is_empty() {
                self.inner.projected.send_if_modified(|at| raise(at, from));
                return Ok(());
            }
            let page = decode_page(rows)?;
            let last = page.last().map_or(from, |event| event.position);
            let applied = self.inner.models.apply(from, &page).await?;
            for (model, failure) in applied.failed {
                tracing::error!(model, cause = ?failure, "a read model stopped");
            }
            self.inner.projected.send_if_modified(|at| raise(at, last));
        }
    }
}

impl Engine {
    /// Builds a read model anew beside the live one, and swaps it in.
    pub async fn rebuild(&self, name: &str) -> Result<u64, EngineError> {
        let models = &self.inner.models;
        models.begin_rebuild(name).await?;
        loop {
            let from = models.rebuild_position(name)?;
            let rows = self.inner.log.read_all(Position(from), PAGE).await?;
            let page = decode_page(rows)?;
            let rebuilt = models.apply_rebuild(name, from, &page).await?;
            // The live one may have moved on meanwhile: then there is one page more to do.
            if rebuilt.caught_up && models.swap(name).await.is_ok() {
                return Ok(rebuilt.position);
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
