//! The read models against the aggregates: what they show is what a replay says, however the events
//! are paged and whenever the process dies.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod crash;
mod due_work;
mod failure;
mod files;
mod models;
mod paging;
#[path = "../../../tests/it/support/postgres.rs"]
mod postgres;
mod rebuild;
mod server;
mod shared;
mod tables;
mod walk;
mod work;
mod world;
