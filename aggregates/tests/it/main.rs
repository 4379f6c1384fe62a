//! Tests of the domain from outside: golden events, given/when/then for every command, the lessons
//! that the domain owns, and properties of any accepted sequence of commands.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod access_key;
mod golden;
mod kit;
mod lessons;
mod project;
mod properties;
mod spec;
mod task;
mod ticket;
