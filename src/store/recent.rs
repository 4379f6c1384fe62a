//! A bounded cache of what was used last, in two generations: what was used since the younger one
//! began is kept for sure, the rest until the younger one is full. That is nearly LRU at the price
//! of a hash lookup, without a list to keep in order.

use std::collections::HashMap;
use std::hash::Hash;

/// Holds at most `max_entries` entries of at most `max_weight` in sum.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    young: Generation<K, V>,
    old: Generation<K, V>,
    max_entries: usize,
    max_weight: usize,
}

#[derive(Debug)]
struct Generation<K, V> {
    entries: HashMap<K, (V, usize)>,
    weight: usize,
}

impl<K: Hash + Eq, V> Generation<K, V> {
    fn new() -> Self {
        Self { entries: HashMap::new(), weight: 0 }
    }

    fn remove(&mut self, key: &K) -> Option<(V, usize)> {
        let entry = self.entries.remove(key)?;
        self.weight -= entry.1;
        Some(entry)
    }

    fn insert(&mut self, key: K, value: V, weight: usize) {
        if let Some((_, replaced)) = self.entries.insert(key, (value, weight)) {
            self.weight -= replaced;
        }
        self.weight += weight;
    }
}

impl<K: Hash + Eq + Clone, V> Recent<K, V> {
    pub(crate) fn new(max_entries: usize, max_weight: usize) -> Self {
        let (young, old) = (Generation::new(), Generation::new());
        Self { young, old, max_entries, max_weight }
    }

    /// The value under `key`, which counts as used now.
    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        self.get_mut(key).map(|value| &*value)
    }

    /// The same, to be changed to one of the same weight.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        if let Some((value, weight)) = self.old.remove(key) {
            self.insert(key.clone(), value, weight);
        }
        self.young.entries.get_mut(key).map(|(value, _)| value)
    }

    pub(crate) fn insert(&mut self, key: K, value: V, weight: usize) {
        self.old.remove(&key);
        if weight > self.max_weight / 2 {
            self.young.remove(&key);
            return;
        }
        let full = self.young.entries.len() >= self.max_entries / 2
            || self.young.weight + weight > self.max_weight / 2;
        if full {
            self.old = std::mem::replace(&mut self.young, Generation::new());
            self.old.remove(&key);
        }
        self.young.insert(key, value, weight);
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.young.remove(key).or_else(|| self.old.remove(key))?;
        Some(entry.0)
    }

    pub(crate) fn clear(&mut self) {
        self.young = Generation::new();
        self.old = Generation::new();
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.entries.len() + self.old.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut cache = Recent::new(10, usize::MAX);
        for n in 0..100 {
            cache.insert(n, n, 1);
            assert_eq!(cache.get(&0), Some(&0), "after {n}");
            assert!(cache.len() <= 10, "{} entries", cache.len());
        }
        assert_eq!(cache.get(&1), None);
    }

    #[test]
    fn the_weight_is_bounded() {
        let mut cache = Recent::new(100, 100);
        for n in 0..50 {
            cache.insert(n, n, 20);
            assert!(cache.young.weight + cache.old.weight <= 100);
        }
        cache.insert(7, 7, 51);
        assert_eq!(cache.get(&7), None, "heavier than half of the cache is not kept");
    }

    #[test]
    fn a_replaced_entry_counts_once() {
        let mut cache = Recent::new(100, 100);
        for _ in 0..50 {
            cache.insert(1, 1, 20);
        }
        assert_eq!((cache.len(), cache.young.weight + cache.old.weight), (1, 20));
        assert_eq!(cache.remove(&1), Some(1));
        assert_eq!((cache.len(), cache.young.weight + cache.old.weight), (0, 0));
    }
}
