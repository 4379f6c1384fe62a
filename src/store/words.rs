//! What an event's metadata says of where the event comes from.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Recorded;

/// The words that audit queries ask for. Metadata of another form says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Words {
    #[serde(deserialize_with = "text")]
    pub actor: Option<String>,
    #[serde(deserialize_with = "text")]
    pub project_id: Option<String>,
    #[serde(deserialize_with = "text")]
    pub correlation_id: Option<String>,
    /// Position of the event that caused this one, as text.
    #[serde(deserialize_with = "text")]
    pub causation_id: Option<String>,
}

impl Words {
    #[must_use]
    pub fn of(event: &Recorded) -> Self {
        Self::parse(&event.metadata)
    }

    #[must_use]
    pub fn parse(metadata: &str) -> Self {
        serde_json::from_str(metadata).unwrap_or_default()
    }

    /// Position of the event that caused this one.
    #[must_use]
    pub fn cause(&self) -> Option<u64> {
        self.causation_id.as_ref()?.parse().ok()
    }
}

/// A word of another kind than text is left out, and leaves the others readable.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    })
}
