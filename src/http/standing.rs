//! Whether the caller of a stream may still listen. A request is let in once; a stream is open for
//! days, and is asked again and again.

use std::sync::Arc;
use std::time::Duration;

use specline_aggregates::AccessKeyId;
use specline_aggregates::access_key::{AccessKey, Scope};
use tokio::time::Instant;

use super::auth::Principal;
use crate::engine::Engine;

/// How often. With what a node may know late, a stream ends within two seconds.
const LOOK_EVERY: Duration = Duration::from_millis(750);

/// How the caller stands.
pub(super) struct Standing {
    key: Option<Held>,
    due: Instant,
}

struct Held {
    id: AccessKeyId,
    as_let_in: Arc<AccessKey>,
    /// By this machine's clock.
    expires: Option<Instant>,
}

impl Standing {
    /// As it is now, when it was let in.
    pub fn of(engine: &Engine, principal: &Principal) -> Self {
        let started = Instant::now();
        let mut key = None;
        if let (Some(id), Some(as_let_in)) = (principal.key(), principal.access_key()) {
            let expires = as_let_in.grant().and_then(|grant| grant.expires_at);
            let expires = match expires {
                Some(at) => {
                    let left = at.ms_since(engine.wall_clock());
                    started.checked_add(Duration::from_millis(left))
                }
                None => None,
            };
            key = Some(Held { id, as_let_in, expires });
        }
        Self { key, due: started + LOOK_EVERY }
    }

    /// Resolves when it is time to look.
    pub async fn due(&self) {
        match &self.key {
            Some(_) => tokio::time::sleep_until(self.due).await,
            None => std::future::pending().await,
        }
    }

    pub fn is_due(&self) -> bool {
        self.key.is_some() && Instant::now() >= self.due
    }

    /// Why the caller may not listen any more; none where it may. While the log cannot be read,
    /// nothing comes from it either.
    pub async fn look(&mut self, engine: &Engine) -> Option<&'static str> {
        self.due = Instant::now() + LOOK_EVERY;
        let held = self.key.as_ref()?;
        if held.expires.is_some_and(|at| at <= Instant::now()) {
            return Some("the key has expired");
        }
        let key = match engine.key_as_it_is(held.id).await {
            Ok(key) => key,
            Err(error) => {
                tracing::debug!(cause = %error, "the key of a stream cannot be looked at");
                return None;
            }
        };
        changed(&held.as_let_in, &key)
    }
}

/// What a key lost since it was let in.
fn changed(before: &AccessKey, now: &AccessKey) -> Option<&'static str> {
    let project = |key: &AccessKey| key.grant().and_then(|grant| grant.project);
    if now.is_revoked() {
        Some("the key was revoked")
    } else if !now.allows(Scope::Reader) {
        Some("the key does not allow reading any more")
    } else if project(before) != project(now) {
        Some("the key is bound to another project now")
    } else {
        None
    }
}
