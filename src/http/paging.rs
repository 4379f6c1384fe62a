//! Pages: how many items, from where, and the answers that hold them.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use specline_projections::{
    requirements::RequirementLine, sandboxes::SandboxLine, spec_board::SpecLine,
    spec_timeline::Entry, task_queue::TaskLine, tickets::TicketLine,
};

/// Most items of a page, and how many there are when nobody says.
const MAX_PAGE: u32 = 1_000;
const PAGE: u32 = 100;

/// How many items a page may have: 1 to 1000.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u32")]
pub(super) struct Limit(u32);

impl TryFrom<u32> for Limit {
    type Error = String;

    fn try_from(n: u32) -> Result<Self, String> {
        if (1..=MAX_PAGE).contains(&n) {
            return Ok(Self(n));
        }
        Err(format!("limit is 1 to {MAX_PAGE}, not {n}"))
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(PAGE)
    }
}

impl Limit {
    pub const MOST: Self = Self(MAX_PAGE);

    pub const fn get(self) -> u32 {
        self.0
    }
}

impl JsonSchema for Limit {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": PAGE })
    }
}

/// Where a list begins, and what it must have seen.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Paging {
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    #[serde(default)]
    pub limit: Limit,
    /// The position of a write that the answer must have seen.
    pub at_least: Option<u64>,
}

macro_rules! pages {
    ($($(#[$doc:meta])* $name:ident { $items:ident: $item:ty }),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Serialize, JsonSchema)]
        pub(super) struct $name {
            pub $items: Vec<$item>,
            /// Give it as `cursor` for the page that follows; none at the end.
            pub next_cursor: Option<String>,
        }
    )+};
}

pages! {
    /// A page of specs.
    SpecPage { specs: SpecLine },
    /// A page of tasks.
    TaskPage { tasks: TaskLine },
    /// A page of tickets.
    TicketPage { tickets: TicketLine },
    /// A page of sandboxes.
    SandboxPage { sandboxes: SandboxLine },
    /// A page of what happened to a spec.
    TimelinePage { timeline: Entry },
}

/// What a spec requires, and what meets it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RequirementList {
    pub requirements: Vec<RequirementLine>,
}
