//! The state of an access key, and its transition.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{Event, Grant, Scope};
use crate::{AccessKeyId, Digest, IllegalTransition, Timestamp};

/// An access key. Made only by replay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccessKey {
    pub(super) id: Option<AccessKeyId>,
    pub(super) version: u64,
    pub(super) grant: Option<Grant>,
    pub(super) secret_digest: Option<Digest>,
    pub(super) created_by: String,
    /// Who took it back, and why.
    pub(super) revoked: Option<(String, String)>,
    #[serde(default)]
    pub(super) broken: Option<String>,
}

impl AccessKey {
    #[must_use]
    pub const fn id(&self) -> Option<AccessKeyId> {
        self.id
    }

    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    #[must_use]
    pub const fn grant(&self) -> Option<&Grant> {
        self.grant.as_ref()
    }

    #[must_use]
    pub const fn secret_digest(&self) -> Option<Digest> {
        self.secret_digest
    }

    #[must_use]
    pub fn created_by(&self) -> &str {
        &self.created_by
    }

    #[must_use]
    pub const fn is_revoked(&self) -> bool {
        self.revoked.is_some()
    }

    /// Who took it back, and why.
    #[must_use]
    pub fn revoked(&self) -> Option<(&str, &str)> {
        self.revoked.as_ref().map(|(by, reason)| (by.as_str(), reason.as_str()))
    }

    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        let expires_at = self.grant.as_ref().and_then(|grant| grant.expires_at);
        expires_at.is_some_and(|at| at <= now)
    }

    /// Whether it opens anything at `now`.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.id.is_some() && !self.is_revoked() && !self.is_expired(now)
    }

    /// Whether one of its scopes allows what needs `needed`.
    #[must_use]
    pub fn allows(&self, needed: Scope) -> bool {
        let scopes = self.grant.iter().flat_map(|grant| &grant.scopes);
        scopes.into_iter().any(|scope| scope.allows(needed))
    }

    /// Applies one event. On an error the state is unchanged.
    pub fn evolve(&mut self, event: &Event) -> Result<(), IllegalTransition> {
        let created = self.id.is_some();
        if created == matches!(event, Event::AccessKeyCreated { .. }) || self.is_revoked() {
            let state = match (created, self.is_revoked()) {
                (_, true) => "revoked",
                (true, false) => "created",
                (false, false) => "unknown",
            };
            return Err(IllegalTransition::new(state, event.name()));
        }
        self.version += 1;
        match event {
            Event::AccessKeyCreated { key, grant, secret_digest, by } => {
                self.id = Some(*key);
                self.grant = Some((**grant).clone());
                self.secret_digest = Some(*secret_digest);
                self.created_by.clone_from(by);
            }
            Event::AccessKeyRevoked { by, reason } => {
                self.revoked = Some((by.clone(), reason.clone()));
            }
        }
        Ok(())
    }
}
