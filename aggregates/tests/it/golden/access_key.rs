//! One sample of every event of an access key, and of every variant inside.

use specline_aggregates::Timestamp;
use specline_aggregates::access_key::{Event, Scope};

use super::Sample;
use crate::access_key::{created, grant};
use crate::project::project_id;

pub(super) fn samples() -> Vec<Sample<Event>> {
    let mut full = grant("Continuous integration");
    full.scopes = Scope::ALL.into();
    full.project = Some(project_id());
    full.expires_at = Some(Timestamp::from_micros(1_767_225_599_000_042));
    let (by, reason) = ("ada".to_owned(), "lost".to_owned());
    vec![
        ("", created(grant("Continuous integration"))),
        ("full", created(full)),
        ("", Event::AccessKeyRevoked { by, reason }),
    ]
}
