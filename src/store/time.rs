//! The time of a log that one process writes: what its events, leases and timers go by.
//!
//! It is the time of the log's last event and what has passed since that was seen, by a monotonic
//! clock; and at least the machine's own time. So it never goes back, and one event that was
//! written while the machine's clock was ahead delays nothing: from there it goes on as fast as
//! ever. While no process has the log open it stands still, where it is ahead.

use std::sync::{Mutex, MutexGuard, PoisonError};

use specline_aggregates::Timestamp;

use super::clock::{Clock, Reading};

/// Shared by a log's writer and its readers.
#[derive(Debug)]
pub(super) struct LogTime {
    clock: Clock,
    base: Mutex<Base>,
}

/// Where it goes on from.
#[derive(Debug, Clone, Copy)]
struct Base {
    head: Timestamp,
    /// Monotonic, in microseconds.
    seen: i64,
}

/// A time of the log, and when that was by the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    passed: i64,
}

impl LogTime {
    /// Of a log whose last event is of the time `head`.
    pub(super) fn new(clock: Clock, head: Timestamp) -> Self {
        let seen = clock.read().monotonic;
        Self { clock, base: Mutex::new(Base { head, seen }) }
    }

    pub(super) fn read(&self) -> Moment {
        let Reading { wall, monotonic } = self.clock.read();
        Moment { now: wall.max(self.base().at(monotonic)), passed: monotonic }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.read().now
    }

    /// The machine's own time.
    pub(super) fn wall(&self) -> Timestamp {
        self.clock.now()
    }

    /// By how much it is ahead of the machine's own time.
    pub(super) fn ahead_ms(&self) -> u64 {
        let Reading { wall, monotonic } = self.clock.read();
        self.base().at(monotonic).ms_since(wall)
    }

    /// The log has an event of the time `head`, written or met at `moment`.
    pub(super) fn saw(&self, head: Timestamp, moment: Moment) {
        let mut base = self.base();
        if head >= base.at(moment.passed) {
            *base = Base { head, seen: moment.passed };
        }
    }

    fn base(&self) -> MutexGuard<'_, Base> {
        self.base.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Base {
    fn at(&self, monotonic: i64) -> Timestamp {
        let passed = monotonic.saturating_sub(self.seen).max(0);
        Timestamp::from_micros(self.head.micros().saturating_add(passed))
    }
}
