//! The project under `cqrs_es`, and under the log's own `EventSourced`.

use super::command::{Command, Rejection};
use super::event::Event;
use super::state::Project;
use crate::event_sourced::aggregate;

aggregate!(Project, "Project");
