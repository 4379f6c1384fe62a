//! Counts rows so that two ways to the same rows can be compared: by position, as a verification
//! goes, and by stream, as a load does. The order of the rows does not matter, and nothing grows
//! with their number.

use uuid::Uuid;

/// Of rows that were met on one way. The key is drawn for each verification, so that nobody can
/// make rows that weigh the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    key: [u8; 32],
    rows: u64,
    sum: [u64; 4],
}

impl Census {
    #[must_use]
    pub(super) fn draw() -> Self {
        let mut seed = [0; 32];
        seed[..16].copy_from_slice(Uuid::now_v7().as_bytes());
        seed[16..].copy_from_slice(Uuid::now_v7().as_bytes());
        Self { key: *blake3::hash(&seed).as_bytes(), rows: 0, sum: [0; 4] }
    }

    /// None yet, to be counted under the same key.
    #[must_use]
    pub const fn emptied(&self) -> Self {
        Self { key: self.key, rows: 0, sum: [0; 4] }
    }

    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Counts a row as it lies there: the id as text, for a load looks for that very text.
    pub fn add(&mut self, (kind, id): (&str, &str), sequence: u64, position: u64) {
        let mut whole = Vec::with_capacity(96);
        for part in [kind.as_bytes(), id.as_bytes()] {
            whole.extend_from_slice(&(part.len() as u64).to_be_bytes());
            whole.extend_from_slice(part);
        }
        whole.extend_from_slice(&sequence.to_be_bytes());
        whole.extend_from_slice(&position.to_be_bytes());
        let hash = blake3::keyed_hash(&self.key, &whole);
        let (words, _) = hash.as_bytes().as_chunks::<8>();
        for (sum, word) in self.sum.iter_mut().zip(words) {
            *sum = sum.wrapping_add(u64::from_be_bytes(*word));
        }
        self.rows += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_everything_else_does() {
        let of = |rows: &[(&str, u64, u64)], like: &Census| {
            let mut census = like.emptied();
            for (id, sequence, position) in rows {
                census.add(("Spec", id), *sequence, *position);
            }
            census
        };
        let drawn = Census::draw();
        let rows = of(&[("a", 1, 1), ("a", 2, 2), ("b", 1, 3)], &drawn);
        assert_eq!(rows, of(&[("b", 1, 3), ("a", 1, 1), ("a", 2, 2)], &drawn));
        assert_ne!(rows, of(&[("b", 1, 3), ("a", 1, 1), ("b", 2, 2)], &drawn));
        assert_ne!(rows, of(&[("a", 1, 1), ("a", 2, 2)], &drawn));
        assert_ne!(rows.sum, of(&[("a", 1, 1), ("a", 2, 2), ("b", 1, 3)], &Census::draw()).sum);
    }
}
