//! Sealing the log, proofs against a seal, and checking a log against its seals and against those
//! that were kept elsewhere. docs/audit.md says what each can show and what it cannot.

mod check;
mod subtrees;

pub use check::{Cause, Fault, Given, Report, check};
pub use subtrees::{Subtree, Subtrees};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::{Digest, Timestamp};

use super::audit::{Audit, Leaf, Run, Seal};
use super::merkle::{self, Frontier};
use super::{LogError, Position};
use subtrees::{Source, roots};

/// Leaves of one seal at most: what is sealed in one transaction.
const MAX_LEAVES: u64 = 100_000;

/// Leaves of one row.
const RUN: usize = 4_096;

/// Rows of leaves that are read at a time: first a few, then more as long as they are short.
const RUNS: std::ops::Range<usize> = 2..1_024;

/// Leaves that are read at a time, if the rows to come are no longer than those before.
const AT_ONCE: usize = 65_536;

/// Seals everything up to `head`; the last seal, if any was made.
pub async fn seal(log: &dyn Audit, head: Position) -> Result<Option<Seal>, LogError> {
    let last = log.seal_up_to(u64::MAX).await?;
    let damaged = |n: u64| LogError::Corrupt {
        place: format!("seal {n}"),
        cause: "it is not as it was written; see `specline audit verify`".to_owned(),
    };
    let mut tree = match &last {
        Some(seal) => seal.tree().ok_or_else(|| damaged(seal.n))?,
        None => Frontier::default(),
    };
    let mut made = None;
    while tree.size() < head.0 {
        made = Some(seal_some(log, &mut tree, head.0).await?);
    }
    subtrees::fill(log, tree.size()).await?;
    Ok(made)
}

async fn seal_some(log: &dyn Audit, tree: &mut Frontier, head: u64) -> Result<Seal, LogError> {
    let (end, mut runs) = (head.min(tree.size() + MAX_LEAVES), Vec::new());
    while tree.size() < end {
        let limit = usize::try_from(end - tree.size()).unwrap_or(RUN).min(RUN);
        let leaves = log.leaves(Position(tree.size() + 1), limit).await?;
        let mut run = Run { first: tree.size() + 1, leaves: Vec::with_capacity(leaves.len()) };
        for leaf in &leaves {
            missing(tree, leaf)?;
            tree.push(leaf.digest());
            run.leaves.push(leaf.digest());
        }
        if run.leaves.is_empty() {
            return Err(gone(tree.size() + 1));
        }
        runs.push(run);
    }
    let seal = Seal {
        n: tree.size(),
        root: tree.root(),
        last_position: Position(tree.size()),
        // The store puts its own.
        at: Timestamp::default(),
        frontier: tree.roots().to_vec(),
    };
    log.put_seal(seal.clone(), runs).await?;
    Ok(seal)
}

fn missing(tree: &Frontier, leaf: &Leaf) -> Result<(), LogError> {
    if leaf.position.0 == tree.size() + 1 { Ok(()) } else { Err(gone(tree.size() + 1)) }
}

fn gone(position: u64) -> LogError {
    LogError::Corrupt {
        place: format!("position {position}"),
        cause: "the event there is missing, and cannot be sealed".to_owned(),
    }
}

/// That an event is in the log that was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    pub position: u64,
    /// Microseconds since 1970, as the leaf has them.
    pub recorded_at_us: i64,
    pub hash: Digest,
    pub leaf: Digest,
    /// RFC 6962's m: the leaf's number, from 0.
    pub leaf_index: u64,
    /// RFC 6962's n.
    pub tree_size: u64,
    pub root: Digest,
    pub path: Vec<Digest>,
}

/// That what was sealed first is the beginning of what was sealed second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Consistency {
    pub first_size: u64,
    pub first_root: Digest,
    pub second_size: u64,
    pub second_root: Digest,
    pub path: Vec<Digest>,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum NoProof {
    #[error("position {0} is not sealed yet; it will be within a minute")]
    NotSealed(u64),
    #[error("there is no seal of {0} events")]
    NoSeal(u64),
    #[error("position {0} is not as it was sealed; see `specline audit verify`")]
    Changed(u64),
    #[error("the leaves that are kept do not lead to seal {0}; see `specline audit verify`")]
    Damaged(u64),
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Proves that the event at `position` is under the seal of `size` events, or the latest.
pub async fn prove(log: &dyn Audit, position: u64, size: Option<u64>) -> Result<Proof, NoProof> {
    let seal = match size {
        Some(n) => exactly(log, n).await?,
        None => log.seal_up_to(u64::MAX).await?.ok_or(NoProof::NotSealed(position))?,
    };
    if position == 0 || position > seal.n {
        return Err(NoProof::NotSealed(position));
    }
    let found = log.leaves(Position(position), 1).await?;
    let event = found.first().filter(|leaf| leaf.position.0 == position);
    let event = event.ok_or(NoProof::Changed(position))?;
    let index = position - 1;
    let ranges = merkle::inclusion(index, seal.n);
    let mut wanted = ranges.clone();
    wanted.push(index..index + 1);
    let mut found = None;
    for source in [Source::Subtrees, Source::LeavesAlone] {
        let Some(mut path) = roots(log, &wanted, source).await? else { break };
        let leaf = path.pop().expect("there is a root for each range");
        if leaf != event.digest() {
            return Err(NoProof::Changed(position));
        }
        if climb(index, seal.n, leaf, &path) == seal.root {
            found = Some((leaf, path));
            break;
        }
    }
    let (leaf, path) = found.ok_or(NoProof::Damaged(seal.n))?;
    Ok(Proof {
        position,
        recorded_at_us: event.recorded_at.micros(),
        hash: event.hash,
        leaf,
        leaf_index: index,
        tree_size: seal.n,
        root: seal.root,
        path,
    })
}

/// The root that a path leads to.
fn climb(index: u64, size: u64, leaf: Digest, path: &[Digest]) -> Digest {
    let ranges = merkle::inclusion(index, size);
    ranges.iter().zip(path).fold(leaf, |found, (range, other)| {
        if range.start > index { merkle::node(&found, other) } else { merkle::node(other, &found) }
    })
}

/// Proves that the seal of `second` events (or the latest) goes on from that of `first`.
pub async fn prove_consistency(
    log: &dyn Audit,
    first: u64,
    second: Option<u64>,
) -> Result<Consistency, NoProof> {
    let old = exactly(log, first).await?;
    let new = match second {
        Some(n) => exactly(log, n).await?,
        None => log.seal_up_to(u64::MAX).await?.ok_or(NoProof::NoSeal(first))?,
    };
    if old.n > new.n {
        return Err(NoProof::NoSeal(old.n));
    }
    let ranges = merkle::consistency(old.n, new.n);
    let mut found = None;
    for source in [Source::Subtrees, Source::LeavesAlone] {
        let Some(path) = roots(log, &ranges, source).await? else { break };
        if merkle::goes_on((old.n, &old.root), (new.n, &new.root), &path) {
            found = Some(path);
            break;
        }
    }
    let path = found.ok_or(NoProof::Damaged(new.n))?;
    Ok(Consistency {
        first_size: old.n,
        first_root: old.root,
        second_size: new.n,
        second_root: new.root,
        path,
    })
}

async fn exactly(log: &dyn Audit, n: u64) -> Result<Seal, NoProof> {
    let found = log.seal_up_to(n).await?.filter(|seal| seal.n == n);
    found.ok_or(NoProof::NoSeal(n))
}

/// The leaves that are kept, read in order, a few runs at a time.
pub(super) struct Kept<'a> {
    log: &'a dyn Audit,
    runs: std::collections::VecDeque<Run>,
    /// How many are read next.
    limit: usize,
}

impl<'a> Kept<'a> {
    pub(super) fn new(log: &'a dyn Audit) -> Self {
        Self { log, runs: std::collections::VecDeque::new(), limit: RUNS.start }
    }

    /// The leaf of a position; positions must rise from call to call.
    pub(super) async fn leaf(&mut self, position: u64) -> Result<Option<Digest>, LogError> {
        let ends = |run: &Run| run.first + run.leaves.len() as u64;
        while self.runs.front().is_some_and(|run| ends(run) <= position) {
            self.runs.pop_front();
        }
        if self.runs.is_empty() {
            self.runs = self.log.runs(position, self.limit).await?.into();
            let longest = self.runs.iter().map(|run| run.leaves.len()).max().unwrap_or(1);
            let most = (AT_ONCE / longest.max(1)).clamp(RUNS.start, RUNS.end);
            self.limit = (self.limit * 2).min(most);
            while self.runs.front().is_some_and(|run| ends(run) <= position) {
                self.runs.pop_front();
            }
        }
        let run = self.runs.front().filter(|run| run.first <= position);
        let index = run.and_then(|run| usize::try_from(position - run.first).ok());
        Ok(run.zip(index).and_then(|(run, index)| run.leaves.get(index).copied()))
    }
}
