//! The log as `specline events --json` prints it.

use serde::Deserialize;
use serde_json::Value;
use specline_aggregates::Timestamp;

#[derive(Debug, Clone, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of the output")]
pub struct Event {
    pub position: u64,
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub sequence: u64,
    pub event_type: String,
    pub event_version: String,
    pub payload: Value,
    pub metadata: Value,
    pub recorded_at: Timestamp,
    pub hash: String,
}

impl Event {
    /// The fields of the payload.
    pub fn data(&self) -> &Value {
        &self.payload[self.event_type.as_str()]
    }
}

#[derive(Debug, Clone)]
pub struct Log(pub Vec<Event>);

impl Log {
    pub fn parse(text: &str) -> Self {
        Self(text.lines().map(|line| serde_json::from_str(line).expect(line)).collect())
    }

    /// The events of one type.
    pub fn named(&self, event_type: &str) -> Vec<&Event> {
        self.0.iter().filter(|event| event.event_type == event_type).collect()
    }

    pub fn count(&self, event_type: &str) -> usize {
        self.named(event_type).len()
    }

    /// The events of one type that speak of `phase`.
    pub fn in_phase(&self, event_type: &str, phase: &str) -> Vec<&Event> {
        let mut events = self.named(event_type);
        events.retain(|event| event.data()["phase"] == phase);
        events
    }

    /// Only the events of one aggregate.
    pub fn of(&self, aggregate_id: &str) -> Self {
        Self(self.0.iter().filter(|event| event.aggregate_id == aggregate_id).cloned().collect())
    }

    /// The ids of all specs, in the order of their drafts.
    pub fn specs(&self) -> Vec<String> {
        self.named("SpecDrafted").iter().map(|event| event.aggregate_id.clone()).collect()
    }

    /// Milliseconds from each SandboxLost to the SandboxAttached that made it good.
    pub fn recoveries_ms(&self) -> Vec<u64> {
        let lost = self.named("SandboxLost");
        let attached = self.named("SandboxAttached");
        let next = |lost: &&Event| {
            let after = attached.iter().find(|event| event.position > lost.position)?;
            Some(after.recorded_at.ms_since(lost.recorded_at))
        };
        lost.iter().filter_map(next).collect()
    }
}
