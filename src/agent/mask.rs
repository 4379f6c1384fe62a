//! Masks known secrets in whatever leaves a sandbox.

use std::sync::{Arc, PoisonError, RwLock};

/// What stands in a secret's place.
const STARS: &str = "***";

/// A shorter value is not masked: it would stand in innocent text.
const MIN_SECRET_BYTES: usize = 6;

/// The secrets of one sandbox. Clones share what they learn. It has no `Debug`.
#[derive(Clone, Default)]
pub struct Mask {
    secrets: Arc<RwLock<Vec<String>>>,
}

impl Mask {
    /// Masks `secrets`, as they are and as they look inside JSON.
    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mask = Self::default();
        mask.learn(secrets);
        mask
    }

    /// Masks these too from now on.
    pub fn learn(&self, secrets: impl IntoIterator<Item = String>) {
        let mut all = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        for secret in secrets.into_iter().filter(|secret| secret.len() >= MIN_SECRET_BYTES) {
            let quoted = serde_json::Value::String(secret.clone()).to_string();
            all.extend([quoted.trim_matches('"').to_owned(), secret]);
        }
        // Longer ones first: one secret may hold another.
        all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        all.dedup();
    }

    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        for secret in self.secrets.read().unwrap_or_else(PoisonError::into_inner).iter() {
            if masked.contains(secret.as_str()) {
                masked = masked.replace(secret.as_str(), STARS);
            }
        }
        masked
    }
}

#[cfg(test)]
mod tests {
    use super::Mask;

    #[test]
    fn masks_plain_and_escaped() {
        let mask = Mask::new(["se\"cret-key".to_owned(), "abc".to_owned()]);
        assert_eq!(mask.apply("a se\"cret-key b"), "a *** b");
        assert_eq!(mask.apply(r#"{"k":"se\"cret-key"}"#), r#"{"k":"***"}"#);
        assert_eq!(mask.apply("abc"), "abc", "too short to be told from innocent text");
    }
}
