//! What the store promises, checked. `corruption`, `disk_full`, `files` and `kill` are about the
//! SQLite file; the other checks know the traits only, and run on every backend.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, and an unwrap says where")]

mod aggregates;
mod append;
pub(crate) mod backend;
mod corruption;
pub(crate) mod counter;
mod cqrs;
mod disk_full;
mod files;
mod idempotency;
mod kill;
mod leases;
mod racing;
mod readers;
mod side;
mod snapshots;
