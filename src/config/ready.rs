//! When an engine says that it is ready.

use std::num::NonZeroU64;
use std::time::Duration;

use super::{Error, Key, Reader, Secret};
use crate::engine::ReadyBounds;

/// `[ready]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Events that a read model may be behind.
    pub max_lag_events: u64,
    /// Longest that a duty may not have looked around.
    pub max_duty_silence_seconds: NonZeroU64,
    /// Longest that a write to the log's store may take.
    pub max_write_seconds: NonZeroU64,
}

impl Default for Ready {
    fn default() -> Self {
        let bounds = ReadyBounds::default();
        let seconds = |time: Duration| NonZeroU64::new(time.as_secs()).unwrap_or(NonZeroU64::MIN);
        Self {
            max_lag_events: bounds.max_lag_events,
            max_duty_silence_seconds: seconds(bounds.max_duty_silence),
            max_write_seconds: seconds(bounds.max_write),
        }
    }
}

impl Ready {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let key = |name, flag, env| Key { name, flag: Some(flag), env, secret: Secret::No };
        let default = Self::default();
        let (name, env) = ("ready.max_lag_events", &["SPECLINE_READY_MAX_LAG_EVENTS"]);
        let lag = key(name, "--ready-max-lag-events", env);
        let name = "ready.max_duty_silence_seconds";
        let env = &["SPECLINE_READY_MAX_DUTY_SILENCE_SECONDS"];
        let silence = key(name, "--ready-max-duty-silence-seconds", env);
        let (name, env) = ("ready.max_write_seconds", &["SPECLINE_READY_MAX_WRITE_SECONDS"]);
        let write = key(name, "--ready-max-write-seconds", env);
        Ok(Self {
            max_lag_events: reader.value(lag, default.max_lag_events)?,
            max_duty_silence_seconds: reader.value(silence, default.max_duty_silence_seconds)?,
            max_write_seconds: reader.value(write, default.max_write_seconds)?,
        })
    }

    #[must_use]
    pub fn bounds(self) -> ReadyBounds {
        ReadyBounds {
            max_lag_events: self.max_lag_events,
            max_duty_silence: Duration::from_secs(self.max_duty_silence_seconds.get()),
            max_write: Duration::from_secs(self.max_write_seconds.get()),
        }
    }
}
