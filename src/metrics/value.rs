//! The kinds of numbers that are kept: counters, histograms, and families of either by labels. All
//! only ever rise, and none needs more than a lock that is held for a look-up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Series of one family. A label is bounded by what this program knows; the bound is there for the
/// day that one is not.
const MAX_SERIES: usize = 1_000;

/// What the labels of a series beyond the bound say.
const OTHER: &str = "other";

/// A number that rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often what was seen was at most each bound. Values are whole units of `unit` parts of one,
/// so that sums are exact: microseconds for times, ones for sizes.
#[derive(Debug)]
pub struct Histogram {
    /// Upper bounds, rising, in the smallest unit.
    bounds: &'static [u64],
    /// How many of the smallest unit make one.
    per_one: u32,
    /// One more than bounds: the last holds what is above all of them.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// Bounds for what takes from a fraction of a millisecond to seconds, in microseconds.
const SHORT_US: &[u64] = &[
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];

/// Bounds for what takes from a second to hours, in microseconds.
const LONG_US: &[u64] = &[
    500_000,
    1_000_000,
    5_000_000,
    15_000_000,
    60_000_000,
    180_000_000,
    600_000_000,
    1_800_000_000,
    7_200_000_000,
];

/// Bounds for how many there were.
const SIZES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024];

impl Histogram {
    fn new(bounds: &'static [u64], per_one: u32) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, per_one, counts, sum: AtomicU64::new(0) }
    }

    /// Of times below seconds.
    #[must_use]
    pub fn of_short_times() -> Self {
        Self::new(SHORT_US, 1_000_000)
    }

    /// Of times of minutes.
    #[must_use]
    pub fn of_long_times() -> Self {
        Self::new(LONG_US, 1_000_000)
    }

    /// Of numbers of things.
    #[must_use]
    pub fn of_sizes() -> Self {
        Self::new(SIZES, 1)
    }

    /// Notes one value, in the smallest unit.
    pub fn observe(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    pub fn observe_time(&self, took: Duration) {
        self.observe(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// How many values there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub(super) fn read(&self) -> Read {
        let mut below = 0;
        let counts = self.counts.iter().map(|count| {
            below += count.load(Ordering::Relaxed);
            below
        });
        let counts: Vec<u64> = counts.collect();
        let bounds = self.bounds.iter().map(|bound| self.in_ones(*bound)).collect();
        Read { bounds, counts, sum: self.in_ones(self.sum.load(Ordering::Relaxed)) }
    }

    #[expect(clippy::cast_precision_loss, reason = "a reader of metrics wants a float")]
    fn in_ones(&self, value: u64) -> f64 {
        value as f64 / f64::from(self.per_one)
    }
}

/// A histogram as it is told: rising counts, the last of all values.
pub(super) struct Read {
    pub bounds: Vec<f64>,
    pub counts: Vec<u64>,
    pub sum: f64,
}

/// Numbers of one kind by the values of `N` labels.
#[derive(Debug)]
pub struct Family<T, const N: usize> {
    make: fn() -> T,
    series: Mutex<BTreeMap<[String; N], Arc<T>>>,
}

impl<T, const N: usize> Family<T, N> {
    #[must_use]
    pub fn new(make: fn() -> T) -> Self {
        Self { make, series: Mutex::default() }
    }

    /// The number of these labels.
    pub fn of(&self, labels: [&str; N]) -> Arc<T> {
        let mut labels = labels.map(str::to_owned);
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if series.len() >= MAX_SERIES && !series.contains_key(&labels) {
            labels = [OTHER; N].map(str::to_owned);
        }
        Arc::clone(series.entry(labels).or_insert_with(|| Arc::new((self.make)())))
    }

    /// All there are, by their labels.
    #[must_use]
    pub fn all(&self) -> Vec<([String; N], Arc<T>)> {
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        series.iter().map(|(labels, value)| (labels.clone(), Arc::clone(value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Counter, Family, Histogram, MAX_SERIES};

    #[test]
    fn a_histogram_counts_at_most_each_bound() {
        let sizes = Histogram::of_sizes();
        for value in [1, 2, 3, 4, 5, 5_000] {
            sizes.observe(value);
        }
        let read = sizes.read();
        assert_eq!(read.counts[..4], [1, 2, 4, 5]);
        assert_eq!(read.counts.last(), Some(&6));
        assert!((read.sum - 5_015.0).abs() < f64::EPSILON);
        assert_eq!(sizes.count(), 6);
    }

    #[test]
    fn labels_without_bound_end_in_one_series() {
        let family: Family<Counter, 1> = Family::new(Counter::default);
        for n in 0..2 * MAX_SERIES {
            family.of([&n.to_string()]).add(1);
        }
        assert_eq!(family.all().len(), MAX_SERIES + 1);
        assert_eq!(usize::try_from(family.of(["other"]).value()), Ok(MAX_SERIES));
        assert_eq!(family.of(["7"]).value(), 1, "one that was there stays");
    }
}
