//! Duty: this node among the others. It beats, so that they know that it lives, learns who else
//! does, and which of the duties that one node does at a time are its own. A log that is not shared
//! has one node, which does everything and never beats.

use std::time::Duration;

use crate::store::{Beat, Node, Peer};

use super::{Engine, EngineError, reactor, sealer};

/// Four beats a node's life, so that a slow one or two do no harm.
const BEAT: Duration = Duration::from_secs(1);

/// Longest that a beat may take, and the pause before it is tried again: one whose connection is
/// dead is made up for within a node's life.
const BEAT_TAKES: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(100);

/// The duties that one node does at a time. Two at once would do no harm, only double work.
const SINGLE: [&str; 2] = [reactor::DUTY, sealer::DUTY];

/// Who looks after a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeper {
    /// This very process.
    Me,
    /// Another node, which lives.
    Living,
    /// A dead node of this place: its sandboxes can be taken over.
    DeadHere,
    /// A dead node of another place, or one that nobody knows any more.
    DeadElsewhere,
}

pub(super) async fn run(engine: Engine) {
    let stop = engine.inner.stop.clone();
    let mut pause = BEAT;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        let busy = engine.busy("membership");
        let beaten = engine.beat().await;
        drop(busy);
        let heard = pause == BEAT;
        pause = if beaten.is_ok() { BEAT } else { AGAIN };
        match beaten {
            Ok(()) if !heard => tracing::info!("the other nodes hear of this one again"),
            Err(error) if heard => {
                tracing::warn!(cause = %error, "the other nodes do not hear of this one");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

impl Engine {
    /// Whether other nodes may work on this log.
    pub(super) fn is_shared(&self) -> bool {
        self.inner.log.capabilities().shared_claims
    }

    /// Says that this node lives, and notes what it is told.
    pub(super) async fn beat(&self) -> Result<(), EngineError> {
        let node = Node {
            id: self.inner.id,
            place: self.inner.provider.place(),
            api_url: self.inner.api_url.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let sent = tokio::time::Instant::now();
        let beat = tokio::time::timeout(BEAT_TAKES, self.inner.side.beat(&node, &SINGLE)).await;
        let late = |_| EngineError::Transient("the store does not answer".to_owned());
        let beat = beat.map_err(late)??;
        self.inner.health.beaten(sent);
        if beat.leased {
            self.inner.leases_changed.notify_one();
        }
        self.inner.peers.send_if_modified(|known| {
            let changed = *known != beat;
            *known = beat;
            changed
        });
        Ok(())
    }

    /// Whether this node does `duty` now.
    pub(super) fn holds(&self, duty: &str) -> bool {
        self.inner.peers.borrow().held.iter().any(|held| held == duty)
    }

    /// Waits until this node does `duty`; false when the engine stops.
    pub(super) async fn until_held(&self, duty: &str) -> bool {
        let mut peers = self.inner.peers.subscribe();
        let holds = |beat: &Beat| beat.held.iter().any(|held| held == duty);
        tokio::select! {
            held = peers.wait_for(holds) => held.is_ok(),
            () = self.inner.stop.cancelled() => false,
        }
    }

    /// Who looks after what `engine` has claimed.
    pub(super) fn keeper(&self, engine: uuid::Uuid) -> Keeper {
        if engine == self.inner.id || !self.is_shared() {
            return Keeper::Me;
        }
        let peers = self.inner.peers.borrow();
        let place = self.inner.provider.place();
        match peers.peers.iter().find(|peer| peer.node.id == engine) {
            Some(Peer { alive: true, .. }) => Keeper::Living,
            Some(Peer { node, .. }) if node.place == place => Keeper::DeadHere,
            Some(_) | None => Keeper::DeadElsewhere,
        }
    }

    /// Whether no other node lives.
    pub(super) fn is_alone(&self) -> bool {
        let peers = self.inner.peers.borrow();
        !peers.peers.iter().any(|peer| peer.alive && peer.node.id != self.inner.id)
    }

    /// Where workers reach an engine: this node first, then the others.
    pub(super) fn api_urls(&self) -> Vec<String> {
        let mut urls = vec![self.inner.api_url.clone()];
        for peer in &self.inner.peers.borrow().peers {
            if peer.alive && !urls.contains(&peer.node.api_url) {
                urls.push(peer.node.api_url.clone());
            }
        }
        urls
    }
}
