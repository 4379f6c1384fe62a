//! What the end-to-end tests stand on: a temporary project with the real binary, a scripted agent,
//! the log as the program prints it, the processes that belong to a project, and an engine in this
//! process whose provider withholds the kill.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails is a test that fails")]
#![expect(clippy::print_stdout, reason = "a seed is told")]

mod agent;
mod engine;
mod log;
mod nodes;
pub mod postgres;
pub mod process;
mod project;
mod random;

pub use agent::Agent;
pub use engine::{Lab, Start};
pub use log::{Event, Log};
pub use nodes::{Cluster, Http, Node, Served};
pub use project::{Project, Running, Said};
pub use random::{Random, times};

use std::time::{Duration, Instant};

/// Longest that any one thing may take on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// Pause between two looks at a condition.
pub const LOOK: Duration = Duration::from_millis(5);

/// Looks until `look` brings something; fails with `what` after the deadline.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited too long for: {what}");
        std::thread::sleep(LOOK);
    }
}

/// Looks until `look` is true.
pub fn wait_until(what: &str, mut look: impl FnMut() -> bool) {
    wait_for(what, || look().then_some(()));
}

/// The phases that need an agent, in their order.
pub const AGENT_PHASES: [&str; 4] = ["explore", "requirements", "design", "tasks"];
