//! Holds off an address from which one login after the other fails. What was good from there a
//! while ago goes on being let in; only what is new has to wait. Memory is bounded.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Failed logins that an address may have in a minute, all at once or one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailedLogins(pub u32);

impl Default for FailedLogins {
    /// People mistype a key a few times; a program with a wrong one hears of it soon enough.
    fn default() -> Self {
        Self(30)
    }
}

/// Addresses that are counted one by one. All others share one count.
const MAX_ADDRESSES: usize = 10_000;

/// Keys that are remembered as good from an address.
const MAX_GOOD: usize = 4_096;

/// How long they are.
const GOOD_LASTS: Duration = Duration::from_hours(24);

/// Pause between two looks for addresses whose count has run out.
const PRUNE_EVERY: Duration = Duration::from_secs(1);

/// An IPv4 address, or the /64 of an IPv6 address: who has one address of it has them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place(u128);

impl Place {
    fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self(u128::from(ip.to_ipv6_mapped())),
            IpAddr::V6(ip) => Self(u128::from(ip) & !u128::from(u64::MAX)),
        }
    }
}

/// Failures of late: each counts one, and the count runs out evenly.
#[derive(Debug, Clone, Copy)]
struct Count {
    failures: f64,
    at: Instant,
}

#[derive(Default)]
struct Table {
    counts: HashMap<Place, Count>,
    /// Of the addresses that there was no room for.
    others: Option<Count>,
    pruned: Option<Instant>,
    /// Digests of an address with a key that was good from it, and when.
    good: HashMap<blake3::Hash, Instant>,
}

pub(super) struct Logins {
    limit: Option<FailedLogins>,
    table: Mutex<Table>,
}

/// What became of a failure that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    Counted,
    /// It was the last one that the address had.
    Last,
    /// There were too many already.
    TooMany(Duration),
}

impl Logins {
    pub(super) fn new(limit: Option<FailedLogins>) -> Self {
        Self { limit, table: Mutex::default() }
    }

    /// Whether `key` may be tried from there; else how long to wait.
    pub(super) fn may_try(&self, from: Option<IpAddr>, key: &str) -> Result<(), Duration> {
        self.may_try_at(from, key, Instant::now())
    }

    fn may_try_at(&self, from: Option<IpAddr>, key: &str, now: Instant) -> Result<(), Duration> {
        let (Some(from), Some(rate)) = (from, self.rate()) else { return Ok(()) };
        let place = Place::of(from);
        let table = self.table();
        match table.wait(place, rate, now) {
            Some(_) if table.is_good(place, key, now) => Ok(()),
            Some(wait) => Err(wait),
            None => Ok(()),
        }
    }

    /// Something that opens nothing was tried from there.
    pub(super) fn failed(&self, from: Option<IpAddr>, key: &str) -> Failed {
        self.failed_at(from, key, Instant::now())
    }

    fn failed_at(&self, from: Option<IpAddr>, key: &str, now: Instant) -> Failed {
        let (Some(from), Some(rate)) = (from, self.rate()) else { return Failed::Counted };
        let place = Place::of(from);
        let mut table = self.table();
        table.good.remove(&remembered(place, key));
        if let Some(wait) = table.wait(place, rate, now) {
            return Failed::TooMany(wait);
        }
        table.count(place, rate, now);
        let last = table.wait(place, rate, now).is_some();
        if last { Failed::Last } else { Failed::Counted }
    }

    /// `key` was good from there.
    pub(super) fn succeeded(&self, from: Option<IpAddr>, key: &str) {
        let (Some(from), Some(_)) = (from, self.limit) else { return };
        let now = Instant::now();
        let mut table = self.table();
        if table.good.len() >= MAX_GOOD {
            table.good.retain(|_, at| now.saturating_duration_since(*at) < GOOD_LASTS);
            if table.good.len() >= MAX_GOOD {
                table.good.clear();
            }
        }
        table.good.insert(remembered(Place::of(from), key), now);
    }

    fn rate(&self) -> Option<Rate> {
        self.limit.map(|FailedLogins(per_minute)| Rate(f64::from(per_minute.max(1))))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Failures a minute.
#[derive(Debug, Clone, Copy)]
struct Rate(f64);

impl Rate {
    /// What is left of `count`.
    fn left(self, count: Count, now: Instant) -> f64 {
        let gone = now.saturating_duration_since(count.at).as_secs_f64() * self.0 / 60.0;
        (count.failures - gone).max(0.0)
    }
}

impl Table {
    /// How long until one more failure fits; none where it does.
    fn wait(&self, place: Place, rate: Rate, now: Instant) -> Option<Duration> {
        let full = self.counts.len() >= MAX_ADDRESSES;
        let count = self.counts.get(&place).or(self.others.as_ref().filter(|_| full))?;
        let over = rate.left(*count, now) - (rate.0 - 1.0);
        // A hair above nothing is nothing: counts are sums of fractions.
        (over > 1e-6).then(|| Duration::from_secs_f64(over * 60.0 / rate.0))
    }

    fn count(&mut self, place: Place, rate: Rate, now: Instant) {
        self.prune(rate, now);
        let new = Count { failures: 0.0, at: now };
        let full = self.counts.len() >= MAX_ADDRESSES && !self.counts.contains_key(&place);
        let count = if full {
            self.others.get_or_insert(new)
        } else {
            self.counts.entry(place).or_insert(new)
        };
        *count = Count { failures: rate.left(*count, now) + 1.0, at: now };
    }

    fn prune(&mut self, rate: Rate, now: Instant) {
        let just = |at: Instant| now.saturating_duration_since(at) < PRUNE_EVERY;
        if self.counts.len() < MAX_ADDRESSES || self.pruned.is_some_and(just) {
            return;
        }
        self.pruned = Some(now);
        self.counts.retain(|_, count| rate.left(*count, now) > 0.0);
    }

    fn is_good(&self, place: Place, key: &str, now: Instant) -> bool {
        let at = self.good.get(&remembered(place, key));
        at.is_some_and(|at| now.saturating_duration_since(*at) < GOOD_LASTS)
    }
}

/// No key stands in memory longer than its request.
fn remembered(place: Place, key: &str) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_derive_key("specline good logins v1");
    hasher.update(&place.0.to_be_bytes());
    hasher.update(key.as_bytes());
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Failed, FailedLogins, Logins, MAX_ADDRESSES, MAX_GOOD};

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn an_address_is_held_off_and_let_in_again() {
        let logins = Logins::new(Some(FailedLogins(6)));
        let (here, now) = (ip("192.0.2.7"), Instant::now());
        for n in 1..=6 {
            assert_eq!(logins.may_try_at(here, "k", now), Ok(()));
            let last = if n == 6 { Failed::Last } else { Failed::Counted };
            assert_eq!(logins.failed_at(here, "k", now), last, "{n}");
        }
        let wait = logins.may_try_at(here, "k", now).unwrap_err();
        assert!(wait > Duration::from_secs(9) && wait <= Duration::from_secs(10), "{wait:?}");
        assert!(matches!(logins.failed_at(here, "k", now), Failed::TooMany(_)));
        assert_eq!(logins.may_try_at(ip("192.0.2.8"), "k", now), Ok(()), "another one is not");
        let later = now + wait + Duration::from_millis(1);
        assert_eq!(logins.may_try_at(here, "k", later), Ok(()));
        assert_eq!(logins.failed_at(here, "k", later), Failed::Last, "one more, and no more");
        assert!(logins.may_try_at(here, "k", later).is_err());
        let hour = now + Duration::from_hours(1);
        assert_eq!(logins.failed_at(here, "k", hour), Failed::Counted);
    }

    #[test]
    fn what_was_good_from_there_is_let_in() {
        let logins = Logins::new(Some(FailedLogins(1)));
        let (here, there) = (ip("192.0.2.7"), ip("198.51.100.1"));
        logins.succeeded(here, "good");
        assert_eq!(logins.failed(here, "bad"), Failed::Last);
        assert_eq!(logins.may_try(here, "good"), Ok(()));
        assert!(logins.may_try(here, "bad").is_err());
        assert_eq!(logins.failed(there, "bad"), Failed::Last);
        assert!(logins.may_try(there, "good").is_err(), "good from elsewhere only");
        assert!(matches!(logins.failed(here, "good"), Failed::TooMany(_)), "it was revoked");
        assert!(logins.may_try(here, "good").is_err());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let logins = Logins::new(Some(FailedLogins(1)));
        assert_eq!(logins.failed(ip("2001:db8:0:1::1"), "bad"), Failed::Last);
        assert!(logins.may_try(ip("2001:db8:0:1:ffff::2"), "bad").is_err());
        assert_eq!(logins.may_try(ip("2001:db8:0:2::1"), "bad"), Ok(()));
        assert_eq!(logins.failed(ip("::ffff:192.0.2.7"), "bad"), Failed::Last);
        assert!(logins.may_try(ip("192.0.2.7"), "bad").is_err(), "the same address");
        assert_eq!(logins.may_try(ip("192.0.2.8"), "bad"), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_newcomers_share_a_count() {
        let logins = Logins::new(Some(FailedLogins(2)));
        let now = Instant::now();
        let of = |n: u32| Some(IpAddr::from((n + 0x0a00_0000).to_be_bytes()));
        for n in 0..u32::try_from(MAX_ADDRESSES).unwrap() + 2 {
            let failed = logins.failed_at(of(n), "bad", now);
            assert!(!matches!(failed, Failed::TooMany(_)), "{n}: {failed:?}");
        }
        assert_eq!(logins.table().counts.len(), MAX_ADDRESSES);
        assert!(logins.may_try_at(ip("192.0.2.7"), "bad", now).is_err(), "the shared count");
        assert_eq!(logins.may_try_at(of(1), "bad", now), Ok(()), "it has its own");
        let later = now + Duration::from_mins(2);
        assert_eq!(logins.failed_at(ip("192.0.2.7"), "bad", later), Failed::Counted);
        assert_eq!(logins.table().counts.len(), 1, "what has run out is dropped");
        for n in 0..2 * MAX_GOOD {
            logins.succeeded(ip("192.0.2.7"), &n.to_string());
        }
        assert!(logins.table().good.len() <= MAX_GOOD);
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let logins = Logins::new(None);
        assert!((0..1_000).all(|_| logins.failed(ip("192.0.2.7"), "bad") == Failed::Counted));
        assert_eq!(logins.may_try(ip("192.0.2.7"), "bad"), Ok(()));
    }
}
