//! The conditions by which audit queries and streams choose events.

use schemars::JsonSchema;
use serde::Deserialize;
use specline_aggregates::Timestamp;
use uuid::Uuid;

use super::auth::Principal;
use super::paging::Limit;
use crate::engine::audit::{Filter, Order};

/// In which direction a query reads the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum Direction {
    /// Oldest first.
    #[default]
    #[serde(rename = "asc", alias = "oldest")]
    Oldest,
    /// Newest first.
    #[serde(rename = "desc", alias = "newest")]
    Newest,
}

impl From<Direction> for Order {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Oldest => Self::OldestFirst,
            Direction::Newest => Self::NewestFirst,
        }
    }
}

// A query string has no types, and serde's flatten loses them: the conditions are written out.
macro_rules! with_conditions {
    ($(#[$doc:meta])* $name:ident { $($more:tt)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            /// Only events of this stream: the id of a spec, task, ticket, project or key.
            #[schemars(with = "Option<specline_aggregates::SpecId>")]
            aggregate: Option<Uuid>,
            /// Only events of streams of this type, such as `Spec`.
            aggregate_type: Option<String>,
            /// Only events of this type, such as `SpecCompleted`.
            #[serde(rename = "type")]
            event_type: Option<String>,
            /// Only what this one did: `person:NAME`, `key:NAME`, `sandbox:ID` or `engine:DUTY`.
            actor: Option<String>,
            /// Only events of this project.
            project: Option<String>,
            /// Only events of this chain of causes.
            correlation: Option<String>,
            /// Only events that were recorded then or later.
            from: Option<Timestamp>,
            /// Only events that were recorded before.
            to: Option<Timestamp>,
            $($more)*
        }

        impl $name {
            /// A key that is bound to a project finds its events only.
            pub fn filter(&self, principal: &Principal) -> Filter {
                let own = principal.project().map(|project| project.to_string());
                Filter {
                    aggregate_type: self.aggregate_type.clone(),
                    aggregate: self.aggregate,
                    event_type: self.event_type.clone(),
                    actor: self.actor.clone(),
                    project: own.or_else(|| self.project.clone()),
                    correlation: self.correlation.clone(),
                    cause: None,
                    from: self.from,
                    to: self.to,
                }
            }
        }
    };
}

with_conditions! {
    /// A query of the log. All conditions that are given must hold.
    EventsQuery {
        /// A position to go on behind, or `next_cursor` of the page before.
        pub after: Option<String>,
        #[serde(default)]
        pub limit: Limit,
        #[serde(default)]
        pub order: Direction,
        /// The position of a write that the answer must have seen.
        pub at_least: Option<u64>,
    }
}

with_conditions! {
    /// What a stream shows. All conditions that are given must hold.
    StreamQuery {
        /// A position to begin behind, or a cursor of an audit query; `Last-Event-ID` goes before
        /// it. Without both, the stream begins with what comes next.
        pub after: Option<String>,
        /// Seconds between the comments where nothing happens; 1 to 60 count.
        pub heartbeat: Option<u64>,
    }
}
