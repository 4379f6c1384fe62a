//! The spec under `cqrs_es`, and under the log's own `EventSourced`.

use super::command::Command;
use super::event::Event;
use super::rejection::Rejection;
use super::state::Spec;
use crate::event_sourced::aggregate;

aggregate!(Spec, "Spec");
