//! The Merkle tree of RFC 6962 (section 2.1) with BLAKE3 as its hash: leaves, roots, and what a
//! proof consists of. It knows no log; docs/audit.md says the same for those who check proofs.

use specline_aggregates::Digest;

/// The hash of a leaf: BLAKE3 of the byte 0, the position (64 bits, big-endian), the time in
/// microseconds since 1970 (64 bits, signed, big-endian), and the event's own hash.
#[must_use]
pub fn leaf(position: u64, recorded_at: i64, hash: &Digest) -> Digest {
    let mut bytes = [0; 49];
    bytes[1..9].copy_from_slice(&position.to_be_bytes());
    bytes[9..17].copy_from_slice(&recorded_at.to_be_bytes());
    bytes[17..].copy_from_slice(hash.as_bytes());
    Digest::of(&bytes)
}

/// The hash of a node: BLAKE3 of the byte 1, the left and the right hash.
#[must_use]
pub fn node(left: &Digest, right: &Digest) -> Digest {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left.as_bytes());
    bytes[33..].copy_from_slice(right.as_bytes());
    Digest::of(&bytes)
}

/// A tree that only grows, by its roots of full subtrees: one for each bit that is set in its size,
/// the largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Digest>,
}

impl Frontier {
    /// None where there are not as many roots as a tree of this size has.
    #[must_use]
    pub fn of(size: u64, roots: Vec<Digest>) -> Option<Self> {
        (roots.len() == size.count_ones() as usize).then_some(Self { size, roots })
    }

    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    #[must_use]
    pub fn roots(&self) -> &[Digest] {
        &self.roots
    }

    pub fn push(&mut self, leaf: Digest) {
        self.push_seen(leaf, |_, _, _| {});
    }

    /// The same, and shows each subtree that is full now, also the leaf: its height, its number
    /// among those of that height, and its root.
    pub fn push_seen(&mut self, leaf: Digest, mut seen: impl FnMut(u32, u64, Digest)) {
        let mut right = leaf;
        seen(0, self.size, right);
        for height in 1..=self.size.trailing_ones() {
            let left = self.roots.pop().expect("there is a root for each bit that is set");
            right = node(&left, &right);
            seen(height, self.size >> height, right);
        }
        self.roots.push(right);
        self.size += 1;
    }

    /// The root of the whole tree; that of no leaves is the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else { return Digest::of(b"") };
        roots.fold(*last, |right, left| node(left, &right))
    }
}

/// Leaves from one index (counted from 0) up to another, which is not among them.
pub type Range = std::ops::Range<u64>;

/// Whose roots prove that leaf `index` is in the tree of the first `size` leaves: RFC 6962's PATH.
#[must_use]
pub fn inclusion(index: u64, size: u64) -> Vec<Range> {
    let (mut range, mut path) = (0..size, Vec::new());
    while range.end - range.start > 1 {
        let middle = split(&range);
        if index < middle {
            path.push(middle..range.end);
            range.end = middle;
        } else {
            path.push(range.start..middle);
            range.start = middle;
        }
    }
    path.reverse();
    path
}

/// Whose roots prove that the tree of `first` leaves is the beginning of that of `second`: RFC
/// 6962's PROOF, for 0 < first <= second.
#[must_use]
pub fn consistency(first: u64, second: u64) -> Vec<Range> {
    let (mut range, mut path) = (0..second, Vec::new());
    while range.end > first {
        let middle = split(&range);
        if first <= middle {
            path.push(middle..range.end);
            range.end = middle;
        } else {
            path.push(range.start..middle);
            range.start = middle;
        }
    }
    // The old tree itself is known to whoever asks.
    if range.start > 0 {
        path.push(range);
    }
    path.reverse();
    path
}

/// Whether a path proves that the tree of the first size and root is the beginning of that of the
/// second: RFC 9162, section 2.1.4.2.
#[must_use]
pub fn goes_on(first: (u64, &Digest), second: (u64, &Digest), path: &[Digest]) -> bool {
    if first.0 == 0 || first.0 >= second.0 {
        return first == second && path.is_empty();
    }
    let (mut old, mut new) = (first.0 - 1, second.0 - 1);
    // Where the old tree is a full subtree of the new one, its root is known.
    let begins = first.0.is_power_of_two().then_some(first.1);
    let mut path = begins.into_iter().chain(path);
    let Some(start) = path.next() else { return false };
    let full = old.trailing_ones();
    (old, new) = (old >> full, new >> full);
    let (mut old_root, mut new_root) = (*start, *start);
    for other in path {
        if new == 0 {
            return false;
        }
        if old & 1 == 1 || old == new {
            (old_root, new_root) = (node(other, &old_root), node(other, &new_root));
            while old & 1 == 0 && old != 0 {
                (old, new) = (old >> 1, new >> 1);
            }
        } else {
            new_root = node(&new_root, other);
        }
        (old, new) = (old >> 1, new >> 1);
    }
    new == 0 && old_root == *first.1 && new_root == *second.1
}

/// Where a tree of these leaves parts: the left side is the largest power of two below its size.
const fn split(range: &Range) -> u64 {
    let size = range.end - range.start;
    range.start + (1 << ((size - 1).ilog2()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(n: u64) -> Vec<Digest> {
        (0..n).map(|i| leaf(i + 1, 7, &Digest::of(&i.to_be_bytes()))).collect()
    }

    /// RFC 6962's definition, word by word.
    fn by_definition(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(b""),
            [one] => *one,
            _ => {
                let k = leaves.len().next_power_of_two() / 2;
                node(&by_definition(&leaves[..k]), &by_definition(&leaves[k..]))
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_definition() {
        let mut frontier = Frontier::default();
        for (i, leaf) in leaves(130).iter().enumerate() {
            frontier.push(*leaf);
            assert_eq!(frontier.root(), by_definition(&leaves(i as u64 + 1)), "{i}");
            let again = Frontier::of(frontier.size(), frontier.roots().to_vec());
            assert_eq!(again.as_ref(), Some(&frontier));
        }
    }

    #[test]
    fn a_path_from_one_tree_to_another_is_told_from_a_wrong_one() {
        for second in 1..40 {
            let all = leaves(second);
            for first in 1..=second {
                let part = |range: Range| {
                    let bounds = range.start.try_into().unwrap()..range.end.try_into().unwrap();
                    by_definition(&all[bounds])
                };
                let (old, new) = (part(0..first), part(0..second));
                let mut path: Vec<Digest> =
                    consistency(first, second).into_iter().map(part).collect();
                assert!(goes_on((first, &old), (second, &new), &path), "{first} {second}");
                let other = Digest::of(b"other");
                assert!(!goes_on((first, &other), (second, &new), &path), "{first} {second}");
                assert!(!goes_on((first, &old), (second, &other), &path), "{first} {second}");
                path.push(other);
                assert!(!goes_on((first, &old), (second, &new), &path), "{first} {second}");
            }
        }
    }

    #[test]
    fn full_subtrees_are_seen_once() {
        let (all, mut seen, mut tree) = (leaves(37), Vec::new(), Frontier::default());
        for leaf in &all {
            tree.push_seen(*leaf, |height, number, root| seen.push((height, number, root)));
        }
        seen.sort_unstable_by_key(|(height, number, _)| (*height, *number));
        let mut wanted = Vec::new();
        for height in 0..6 {
            for (number, leaves) in (0..).zip(all.chunks_exact(1 << height)) {
                wanted.push((height, number, by_definition(leaves)));
            }
        }
        assert_eq!(seen, wanted);
    }

    #[test]
    fn a_path_holds_every_other_leaf_once() {
        for size in 1..70 {
            for index in 0..size {
                let mut all: Vec<u64> = inclusion(index, size).into_iter().flatten().collect();
                all.push(index);
                all.sort_unstable();
                assert_eq!(all, (0..size).collect::<Vec<_>>());
            }
        }
    }
}
