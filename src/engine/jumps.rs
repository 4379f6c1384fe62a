//! Moments at which the log's time leapt: the machine slept, or its clock was set forward. Agents
//! did not have that time; what a leap took is given back to their attempts.

use std::collections::VecDeque;

use specline_aggregates::Timestamp;
use tokio::time::Instant;

/// A leap is more than looks of a busy engine lie apart.
const LEAST_MS: u64 = 5_000;

/// Leaps that are remembered: far more than an attempt meets.
const MAX_LEAPS: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Jumps {
    looked: Option<(Timestamp, Instant)>,
    /// When, and by how many milliseconds.
    leaps: VecDeque<(Timestamp, u64)>,
}

impl Jumps {
    /// Compares the log's time with the time that has passed for this process.
    pub(super) fn look(&mut self, now: Timestamp, at: Instant) {
        if let Some((before, then)) = self.looked {
            let passed = u64::try_from((at - then).as_millis()).unwrap_or(u64::MAX);
            let leap = now.ms_since(before).saturating_sub(passed);
            if leap >= LEAST_MS {
                tracing::warn!(leap_ms = leap, "the time leapt; attempts that run get it back");
                self.leaps.push_back((now, leap));
                if self.leaps.len() > MAX_LEAPS {
                    self.leaps.pop_front();
                }
            }
        }
        self.looked = Some((now, at));
    }

    /// What leaps took from something that began at `begun`, in milliseconds.
    pub(super) fn since(&self, begun: Timestamp) -> u64 {
        self.leaps.iter().filter(|(at, _)| *at > begun).map(|(_, leap)| leap).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_a_leap_took_is_given_back_to_what_had_begun() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let time = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let mut jumps = Jumps::default();
        jumps.look(time(100), after(0));
        jumps.look(time(130), after(30));
        assert_eq!(jumps.since(time(0)), 0, "an engine that was busy is no leap");
        jumps.look(time(831), after(31));
        assert_eq!(jumps.since(time(120)), 700_000);
        assert_eq!(jumps.since(time(831)), 0, "it began after the leap");
        // The clock is set back: the log's time goes on by itself.
        jumps.look(time(832), after(32));
        jumps.look(time(900), after(40));
        assert_eq!(jumps.since(time(120)), 760_000);
        for n in 0..200_u32 {
            jumps.look(time(1_000 + i64::from(n) * 100), after(50 + u64::from(n)));
        }
        assert!(jumps.leaps.len() <= MAX_LEAPS);
    }
}
