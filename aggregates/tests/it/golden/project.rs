//! One sample of every event of a project, and of every variant inside.

use specline_aggregates::project::Event;
use specline_aggregates::{Budget, Phase, Policy};

use super::Sample;
use crate::project::{created, settings};

pub(super) fn samples() -> Vec<Sample<Event>> {
    let mut full = settings("Links");
    full.policy = Policy {
        agent: "command:claude -p".to_owned(),
        approvals: [Phase::Design].into(),
        budget: Budget { tokens: Some(1_000_000), cost_micro_usd: None },
        ..Policy::default()
    };
    let by = "ada".to_owned();
    vec![
        ("", created(settings("Links"))),
        ("policy", created(full.clone())),
        ("", Event::ProjectRevised { settings: Box::new(full), by }),
    ]
}
