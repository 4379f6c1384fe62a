//! What callers may take of a server's time and memory, and how often a key may call: a bucket of
//! tokens a key, on this node.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use specline_aggregates::AccessKeyId;
use tokio::time::Instant;

/// What callers may take of a server's time and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; the next ones wait in the kernel.
    pub connections: NonZeroU32,
    /// Longest that a connection may take to say what it wants, to be encrypted, to send a body
    /// that does not come, or to take an answer. Also how long an idle one is kept: longer than
    /// the workers' pause between two signs of life.
    pub patience: Duration,
    /// Bytes of all bodies that are being read and answered.
    pub body_room_bytes: usize,
}

impl Limits {
    pub const CONNECTIONS: NonZeroU32 = NonZeroU32::new(12_000).expect("it is more than zero");
    pub const PATIENCE_SECONDS: NonZeroU32 = NonZeroU32::new(30).expect("it is more than zero");
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: Self::CONNECTIONS,
            patience: Duration::from_secs(Self::PATIENCE_SECONDS.get().into()),
            body_room_bytes: 256 * 1024 * 1024,
        }
    }
}

/// Calls that a key may make in a second; for a moment, twice as many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit(pub u32);

impl Default for RateLimit {
    /// Far above what people and dashboards do, and a small part of what an engine can answer.
    fn default() -> Self {
        Self(200)
    }
}

/// The buckets of the keys that have called. Only keys that are good get one, so there are at most
/// as many as there are keys.
pub(super) struct Buckets {
    limit: Option<RateLimit>,
    buckets: Mutex<BTreeMap<AccessKeyId, Bucket>>,
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Buckets {
    pub(super) fn new(limit: Option<RateLimit>) -> Self {
        Self { limit, buckets: Mutex::default() }
    }

    /// Takes a token; else how long until there is one.
    pub(super) fn take(&self, key: AccessKeyId) -> Result<(), Duration> {
        self.take_at(key, Instant::now())
    }

    fn take_at(&self, key: AccessKeyId, now: Instant) -> Result<(), Duration> {
        let Some(RateLimit(per_second)) = self.limit else { return Ok(()) };
        let rate = f64::from(per_second.max(1));
        let full = rate * 2.0;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(key).or_insert(Bucket { tokens: full, at: now });
        let gained = now.saturating_duration_since(bucket.at).as_secs_f64() * rate;
        bucket.tokens = (bucket.tokens + gained).min(full);
        bucket.at = now;
        if bucket.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.tokens) / rate));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use specline_aggregates::derive_id;
    use tokio::time::Instant;

    use super::{Buckets, RateLimit};

    #[test]
    fn a_bucket_empties_and_fills_by_itself() {
        let buckets = Buckets::new(Some(RateLimit(10)));
        let [one, other] = ["one", "other"].map(|name| derive_id(&[name]).into());
        let start = Instant::now();
        for _ in 0..20 {
            assert_eq!(buckets.take_at(one, start), Ok(()));
        }
        let wait = buckets.take_at(one, start).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(100), "{wait:?}");
        assert_eq!(buckets.take_at(other, start), Ok(()), "another key has a bucket of its own");
        let later = start + wait + Duration::from_millis(1);
        assert_eq!(buckets.take_at(one, later), Ok(()));
        assert!(buckets.take_at(one, later).is_err(), "one token had come");
        let day = start + Duration::from_hours(24);
        let n = (0..100).filter(|_| buckets.take_at(one, day).is_ok()).count();
        assert_eq!(n, 20, "no more than a full bucket is kept");
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let buckets = Buckets::new(None);
        let key = derive_id(&["one"]).into();
        assert!((0..10_000).all(|_| buckets.take(key).is_ok()));
    }
}
