//! What runs inside a sandbox: reads the contract's variables, attaches to the engine, runs the
//! agent on what it is assigned, and hands in what the agent brings. It decides nothing about the
//! run, and throws no finished work away.

mod client;
mod config;
mod heartbeat;
mod notes;
mod outbox;
mod run;

pub use client::{CallError, Client};
pub use config::{Config, InvalidEnvironment, Path};
pub use run::run;

/// Exit code: the environment is missing something, or contradicts itself.
pub const EXIT_CONFIGURATION: u8 = 78;

/// Exit code: another sandbox has taken over.
pub const EXIT_STALE: u8 = 76;
