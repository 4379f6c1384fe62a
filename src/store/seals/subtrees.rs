//! Roots of the larger full subtrees, kept so that a proof reads a few rows and not the whole log's
//! leaves. They are a cache: made from the leaves, and where they are missing or wrong a proof is
//! made from the leaves alone.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use async_trait::async_trait;
use specline_aggregates::Digest;

use super::Kept;
use crate::store::LogError;
use crate::store::audit::Audit;
use crate::store::merkle::{Frontier, Range};

/// The smallest subtrees whose roots are kept have 2^12 leaves.
const LOWEST: u32 = 12;

/// Roots that are written at a time.
const MADE: usize = 1_000;

/// The `number`th (from 0) of the subtrees of 2^`height` leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subtree {
    pub height: u32,
    pub number: u64,
}

impl Subtree {
    const fn leaves(self) -> Range {
        self.number << self.height..(self.number + 1) << self.height
    }
}

/// The table of these roots.
#[async_trait]
pub trait Subtrees: Send + Sync {
    /// The roots of those that are kept.
    async fn subtrees(&self, wanted: Vec<Subtree>) -> Result<HashMap<Subtree, Digest>, LogError>;

    /// How many there are of a height: as many as up to the last that is kept.
    async fn count_subtrees(&self, height: u32) -> Result<u64, LogError>;

    /// Keeps roots; those that are kept stay as they are.
    async fn put_subtrees(&self, made: Vec<(Subtree, Digest)>) -> Result<(), LogError>;
}

/// Keeps the roots of all full subtrees under a seal of `size` events: also those of a log that was
/// sealed before there were any.
pub(super) async fn fill(log: &dyn Audit, size: u64) -> Result<(), LogError> {
    let wanted = size >> LOWEST;
    let there = log.count_subtrees(LOWEST).await?;
    if there >= wanted {
        return Ok(());
    }
    // A frontier of subtrees in the place of leaves.
    let pieces: Vec<Subtree> = pieces(&(0..there << LOWEST)).collect();
    let known = log.subtrees(pieces.clone()).await?;
    let roots = pieces.iter().map_while(|piece| known.get(piece).copied()).collect();
    let mut tree = Frontier::of(there, roots).unwrap_or_default();
    let (mut kept, mut made) = (Kept::new(log), Vec::new());
    for number in tree.size()..wanted {
        let lowest = Subtree { height: LOWEST, number };
        let Some(root) = of_leaves(&mut kept, lowest.leaves()).await? else { break };
        tree.push_seen(root, |above, number, root| {
            made.push((Subtree { height: LOWEST + above, number }, root));
        });
        if made.len() >= MADE {
            log.put_subtrees(std::mem::take(&mut made)).await?;
        }
    }
    if made.is_empty() { Ok(()) } else { log.put_subtrees(made).await }
}

/// From which roots a proof is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Subtrees,
    LeavesAlone,
}

/// The root of each range. None: a leaf is missing.
pub(super) async fn roots(
    log: &dyn Audit,
    ranges: &[Range],
    source: Source,
) -> Result<Option<Vec<Digest>>, LogError> {
    let mut all: Vec<Subtree> = ranges.iter().flat_map(pieces).collect();
    let mut known = match source {
        Source::Subtrees => {
            let kept = all.iter().filter(|piece| piece.height >= LOWEST);
            log.subtrees(kept.copied().collect()).await?
        }
        Source::LeavesAlone => HashMap::new(),
    };
    // In the order of the log, as the leaves come in it.
    all.sort_unstable_by_key(|piece| piece.leaves().start);
    let mut kept = Kept::new(log);
    for piece in all {
        if let Entry::Vacant(place) = known.entry(piece) {
            let Some(root) = of_leaves(&mut kept, piece.leaves()).await? else { return Ok(None) };
            place.insert(root);
        }
    }
    let root = |range: &Range| {
        let roots = pieces(range).map(|piece| known[&piece]).collect();
        Frontier::of(range.end - range.start, roots).map(|tree| tree.root())
    };
    Ok(ranges.iter().map(root).collect())
}

async fn of_leaves(kept: &mut Kept<'_>, leaves: Range) -> Result<Option<Digest>, LogError> {
    let mut tree = Frontier::default();
    for index in leaves {
        let Some(leaf) = kept.leaf(index + 1).await? else { return Ok(None) };
        tree.push(leaf);
    }
    Ok(Some(tree.root()))
}

/// The full subtrees that a range of a proof consists of, the largest first.
fn pieces(range: &Range) -> impl Iterator<Item = Subtree> + use<> {
    let (mut start, end) = (range.start, range.end);
    std::iter::from_fn(move || {
        let height = (end - start).checked_ilog2()?;
        let piece = Subtree { height, number: start >> height };
        start += 1 << height;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::merkle::{consistency, inclusion};

    #[test]
    fn the_pieces_of_a_proof_are_full_subtrees() {
        for size in 1..200 {
            let ranges = (0..size).flat_map(|index| inclusion(index, size));
            for range in ranges.chain((1..size).flat_map(|first| consistency(first, size))) {
                let leaves: Vec<u64> = pieces(&range).flat_map(Subtree::leaves).collect();
                assert_eq!(leaves, range.collect::<Vec<_>>());
            }
        }
    }
}
