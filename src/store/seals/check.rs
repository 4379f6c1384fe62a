//! Checks the chains of a log and its seals in one pass, and names the first event that is not as
//! it was sealed.

use specline_aggregates::Digest;

use super::Kept;
use crate::store::audit::{Audit, Leaf, Seal};
use crate::store::merkle::Frontier;
use crate::store::verify::{self, verify_each};
use crate::store::{LogError, Position};

/// Seals read at a time.
const PAGE: usize = 10_000;

/// A seal that was kept elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    pub n: u64,
    pub root: Digest,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub events: u64,
    pub checked_to: Position,
    /// Seals of the log that fit.
    pub seals: u64,
    /// Seals kept elsewhere that fit.
    pub given: u64,
    /// Rows of other programs' aggregates in the same table.
    pub beside: u64,
    pub fault: Option<Fault>,
}

/// The first thing that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("position {position}: {cause}")]
pub struct Fault {
    /// The first position that is not as it was, or may not be.
    pub position: Position,
    pub cause: Cause,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    #[error("{0}")]
    Chain(verify::Difference),
    #[error("this event is not as it was when seal {seal} was made")]
    Changed { seal: u64 },
    #[error("this event, or one of those up to position {seal}, is not as it was sealed")]
    Somewhere { seal: u64 },
    #[error("the events are as they were sealed, but seal {seal} itself was changed")]
    Seal { seal: u64 },
    #[error("the log ends before it, but seal {seal} was made of {seal} events: it was cut off")]
    CutOff { seal: u64 },
    #[error(
        "the log is not the one that the seal of {seal} events, kept elsewhere, was made of; it \
         differs at this position or behind it, up to position {seal}"
    )]
    Elsewhere { seal: u64 },
    #[error("the log ends before it, but the seal kept elsewhere was made of {seal} events")]
    CutOffElsewhere { seal: u64 },
}

/// Checks the events from position `from` to `to`, the seals in between, and those `given`. It
/// begins behind the last seal before `from`.
pub async fn check(
    log: &dyn Audit,
    (from, to): (Position, Position),
    given: &[Given],
    mut progress: impl FnMut(Position) + Send,
) -> Result<Report, LogError> {
    let before = match from.0 {
        0 | 1 => None,
        from => log.seal_up_to(from - 1).await?,
    };
    let tree = match &before {
        None => Frontier::default(),
        Some(seal) => match seal.tree() {
            Some(tree) => tree,
            None => return Ok(Report::of_a_changed_seal(seal)),
        },
    };
    let start = tree.size();
    let mut walk = Walk::new(tree, waited_for(log, start, to.0, given).await?);
    let chains = verify_each(log, Position(start + 1), to, |leaves| {
        walk.leaves(leaves);
        if let Some(last) = leaves.last() {
            progress(last.position);
        }
    })
    .await?;
    walk.end(&chains);
    let fault = match walk.broken {
        Some(broken) => Some(broken.fault(log).await?),
        None => None,
    };
    let chain = chains.first_difference.map(of_chain);
    let first = [fault, chain].into_iter().flatten().min_by_key(|fault| fault.position);
    Ok(Report {
        events: chains.events,
        checked_to: chains.checked_to,
        seals: walk.own,
        given: walk.given,
        beside: chains.beside,
        fault: first,
    })
}

fn of_chain(difference: verify::Difference) -> Fault {
    let position = match difference.cause {
        // What is missing is before what was found.
        verify::Cause::PositionGap { expected } => expected.min(difference.position),
        verify::Cause::HashMismatch
        | verify::Cause::SequenceGap { .. }
        | verify::Cause::Truncated { .. }
        | verify::Cause::TimeGoesBack
        | verify::Cause::Unreadable { .. }
        | verify::Cause::Stray { .. }
        | verify::Cause::Store { .. }
        | verify::Cause::Index { .. } => difference.position,
    };
    Fault { position, cause: Cause::Chain(difference) }
}

impl Report {
    fn of_a_changed_seal(seal: &Seal) -> Self {
        let cause = Cause::Seal { seal: seal.n };
        Self {
            events: 0,
            checked_to: Position(0),
            seals: 0,
            given: 0,
            beside: 0,
            fault: Some(Fault { position: Position(seal.n), cause }),
        }
    }
}

/// A seal that the walk will come to. Of two of one size the log's own is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Own,
    Given,
}

#[derive(Debug, Clone, Copy)]
struct Awaited {
    n: u64,
    kind: Kind,
    root: Digest,
    /// An own seal whose other columns do not fit.
    odd: bool,
}

async fn waited_for(
    log: &dyn Audit,
    start: u64,
    to: u64,
    given: &[Given],
) -> Result<Vec<Awaited>, LogError> {
    let within = |n: u64| n > start && n <= to;
    let outside = given.iter().filter(|seal| within(seal.n));
    let mut all: Vec<Awaited> = outside
        .map(|seal| Awaited { n: seal.n, kind: Kind::Given, root: seal.root, odd: false })
        .collect();
    let mut after = start;
    loop {
        let page = log.seals(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.n;
        all.extend(page.iter().filter(|seal| within(seal.n)).map(|seal| Awaited {
            n: seal.n,
            kind: Kind::Own,
            root: seal.root,
            odd: seal.tree().is_none(),
        }));
        if after > to {
            break;
        }
    }
    all.sort_unstable_by_key(|seal| (seal.n, seal.kind));
    Ok(all)
}

/// A pass over the events.
struct Walk {
    tree: Frontier,
    awaited: std::collections::VecDeque<Awaited>,
    /// Leaves since the last own seal that fitted: they tell which event was changed.
    since: Vec<Digest>,
    /// How far what was kept elsewhere has vouched for the log.
    vouched: u64,
    own: u64,
    given: u64,
    broken: Option<Broken>,
}

/// A seal that does not fit.
struct Broken {
    seal: Awaited,
    /// Leaves as the events give them, of the positions from here on.
    first: u64,
    leaves: Vec<Digest>,
    cause: Option<Cause>,
}

impl Walk {
    fn new(tree: Frontier, awaited: Vec<Awaited>) -> Self {
        Self {
            vouched: tree.size(),
            tree,
            awaited: awaited.into(),
            since: Vec::new(),
            own: 0,
            given: 0,
            broken: None,
        }
    }

    fn leaves(&mut self, leaves: &[Leaf]) {
        // Behind the last seal there is nothing to compare with.
        if self.broken.is_some() || self.awaited.is_empty() {
            return;
        }
        for leaf in leaves {
            let leaf = leaf.digest();
            self.tree.push(leaf);
            self.since.push(leaf);
            while self.awaited.front().is_some_and(|seal| seal.n == self.tree.size()) {
                let Some(seal) = self.awaited.pop_front() else { break };
                self.meet(seal);
                if self.broken.is_some() {
                    return;
                }
            }
        }
    }

    fn meet(&mut self, seal: Awaited) {
        let fits = self.tree.root() == seal.root;
        match seal.kind {
            Kind::Own if fits && !seal.odd => {
                self.own += 1;
                self.since.clear();
            }
            Kind::Given if fits => {
                self.given += 1;
                self.vouched = seal.n;
            }
            Kind::Own => {
                let first = self.tree.size() + 1 - self.since.len() as u64;
                let leaves = std::mem::take(&mut self.since);
                let cause = fits.then_some(Cause::Seal { seal: seal.n });
                self.broken = Some(Broken { seal, first, leaves, cause });
            }
            Kind::Given => {
                let cause = Some(Cause::Elsewhere { seal: seal.n });
                let (first, leaves) = (self.vouched + 1, Vec::new());
                self.broken = Some(Broken { seal, first, leaves, cause });
            }
        }
    }

    /// Seals that the walk did not come to are of events that are not there.
    fn end(&mut self, chains: &verify::Verification) {
        if self.broken.is_some() || chains.first_difference.is_some() {
            return;
        }
        if let Some(seal) = self.awaited.pop_front() {
            let cause = match seal.kind {
                Kind::Own => Cause::CutOff { seal: seal.n },
                Kind::Given => Cause::CutOffElsewhere { seal: seal.n },
            };
            let first = chains.checked_to.0 + 1;
            self.broken = Some(Broken { seal, first, leaves: Vec::new(), cause: Some(cause) });
        }
    }
}

impl Broken {
    /// Compares with the leaves that were kept when the seal was made.
    async fn fault(self, log: &dyn Audit) -> Result<Fault, LogError> {
        let seal = self.seal.n;
        if let Some(cause) = self.cause {
            let position = if matches!(cause, Cause::Seal { .. }) { seal } else { self.first };
            return Ok(Fault { position: Position(position), cause });
        }
        let mut kept = Kept::new(log);
        for (position, leaf) in (self.first..).zip(&self.leaves) {
            match kept.leaf(position).await? {
                Some(sealed) if sealed == *leaf => {}
                Some(_) => {
                    let cause = Cause::Changed { seal };
                    return Ok(Fault { position: Position(position), cause });
                }
                None => {
                    let cause = Cause::Somewhere { seal };
                    return Ok(Fault { position: Position(self.first), cause });
                }
            }
        }
        Ok(Fault { position: Position(seal), cause: Cause::Seal { seal } })
    }
}
