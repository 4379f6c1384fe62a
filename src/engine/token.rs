//! The bearer token of a sandbox: a keyed BLAKE3 of its id and epoch under the store's secret, so
//! that a restarted engine knows it. It is good for that sandbox's own calls and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use specline_aggregates::{Epoch, SandboxId};

/// A sandbox's bearer token. Never logged: it has no `Debug`.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    #[must_use]
    pub fn of(secret: &[u8; 32], sandbox: SandboxId, epoch: Epoch) -> Self {
        let mut mac = blake3::Hasher::new_keyed(secret);
        mac.update(b"specline sandbox token v1");
        mac.update(sandbox.uuid().as_bytes());
        mac.update(&epoch.0.to_be_bytes());
        Self(URL_SAFE_NO_PAD.encode(mac.finalize().as_bytes()))
    }

    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, given: &str) -> bool {
        let digest = |text: &str| blake3::hash(text.as_bytes());
        // blake3::Hash compares in constant time.
        digest(&self.0) == digest(given)
    }
}
