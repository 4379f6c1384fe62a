//! What Prometheus is told: what this node counted, and what there is at this moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use specline_projections::State;

use super::{Engine, EngineError};
use crate::metrics::{Labels, Metrics, Text};
use crate::store::LeaseState;

impl Engine {
    /// What this node counts of itself.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        self.inner.commands.metrics()
    }

    /// All metrics of this node, as text.
    pub async fn measure(&self) -> Result<String, EngineError> {
        let mut text = Text::default();
        let version: Labels<'_> = &[("version", env!("CARGO_PKG_VERSION"))];
        text.gauge(("specline_build_info", "The version of this node."), [(version, 1)]);
        self.measure_log(&mut text);
        self.measure_read_models(&mut text);
        self.measure_sandboxes(&mut text).await?;
        self.metrics().write(&mut text);
        Ok(text.into_string())
    }

    fn measure_log(&self, text: &mut Text) {
        let none: Labels<'_> = &[];
        text.gauge(
            ("specline_log_head_position", "Position of the log's last event."),
            [(none, self.head())],
        );
        if let Some(batches) = self.inner.log.batches() {
            let help = "Writes that shared one transaction of this node.";
            text.histogram(("specline_log_batch_writes", help), batches);
        }
        let peers = self.inner.peers.borrow().peers.iter().filter(|peer| peer.alive).count();
        text.gauge(
            ("specline_nodes", "Engines that live on this log, as this one knows."),
            [(none, peers.max(1))],
        );
    }

    fn measure_read_models(&self, text: &mut Text) {
        let head = self.head();
        let all = self.inner.models.status();
        let labels: Vec<_> = all.iter().map(|model| [("model", model.model)]).collect();
        let lags = all.iter().map(|model| head.saturating_sub(model.position));
        text.gauge(
            ("specline_projection_lag_events", "Events that a read model is behind the log."),
            labels.iter().map(|labels| &labels[..]).zip(lags),
        );
        let up = all.iter().map(|model| u8::from(matches!(model.state, State::Running)));
        text.gauge(
            ("specline_projection_up", "Whether a read model follows the log."),
            labels.iter().map(|labels| &labels[..]).zip(up),
        );
        let none: Labels<'_> = &[];
        let behind = head.saturating_sub(*self.inner.reacted.borrow());
        text.gauge(
            ("specline_reactor_lag_events", "Events whose follow-ups are not known to be done."),
            [(none, behind)],
        );
    }

    /// Those of this node, so that nodes add up.
    async fn measure_sandboxes(&self, text: &mut Text) -> Result<(), EngineError> {
        let mut by_state = BTreeMap::from([("spawning", 0_u32), ("running", 0), ("ending", 0)]);
        for lease in self.inner.side.live_leases().await? {
            let state = match lease.state {
                LeaseState::Spawning => "spawning",
                LeaseState::Running => "running",
                LeaseState::Ending | LeaseState::Ended => "ending",
            };
            if lease.engine == self.inner.id {
                *by_state.entry(state).or_default() += 1;
            }
        }
        let labels: Vec<_> = by_state.keys().map(|state| [("state", *state)]).collect();
        text.gauge(
            ("specline_sandboxes", "Sandboxes that this node looks after."),
            labels.iter().map(|labels| &labels[..]).zip(by_state.values()),
        );
        Ok(())
    }
}
