//! Where a store that has no clock of its own gets the time from.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use specline_aggregates::Timestamp;

/// Two clocks, read at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What people call the time; it may be set.
    pub wall: Timestamp,
    /// Microseconds since some moment; it only goes forward.
    pub monotonic: i64,
}

/// A source of the current time. Tests give their own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Reading + Send + Sync>);

impl Clock {
    /// A clock that is read once for both: what it goes forward is what has passed, and where it
    /// goes back it was set.
    #[must_use]
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let passed = Mutex::new(None::<(i64, i64)>);
        Self::of(move || {
            let wall = now();
            let mut passed = passed.lock().unwrap_or_else(PoisonError::into_inner);
            let (last, sum) = passed.unwrap_or((wall.micros(), 0));
            let monotonic = sum.saturating_add(wall.micros().saturating_sub(last).max(0));
            *passed = Some((wall.micros(), monotonic));
            Reading { wall, monotonic }
        })
    }

    /// Two clocks that go their own ways.
    #[must_use]
    pub fn of(read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The machine's clocks; a time before 1970 counts as 1970.
    #[must_use]
    pub fn system() -> Self {
        let begun = Instant::now();
        let micros =
            |passed: std::time::Duration| i64::try_from(passed.as_micros()).unwrap_or(i64::MAX);
        Self::of(move || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Reading {
                wall: Timestamp::from_micros(micros(since)),
                monotonic: micros(begun.elapsed()),
            }
        })
    }

    #[must_use]
    pub fn read(&self) -> Reading {
        (self.0)()
    }

    /// What people call the time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.read().wall
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}
