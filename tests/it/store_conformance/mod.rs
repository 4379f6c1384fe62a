//! What the store promises, checked. The checks in `append`, `idempotency`, `racing`, `readers`,
//! `snapshots`, `leases` and `side` know the traits only, and run on every backend; the rest is
//! about the SQLite file.

#![allow(
    clippy::unwrap_used,
    clippy::redundant_pub_crate,
    reason = "a test that cannot go on fails, and an unwrap says where"
)]

mod aggregates;
mod append;
mod backend;
mod corruption;
mod counter;
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
