//! Counts and digests of everything in a log, by which two houses are compared.

use specline_aggregates::Digest;

use super::{CopySource, Table};
use crate::store::audit::Leaf;
use crate::store::verify::{Verification, verify_each};
use crate::store::{LogError, Position};

/// Rows of a table read at a time.
pub(super) const ROWS: usize = 1_000;

/// What a house holds. Equal tallies: equal logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    pub head: Position,
    pub n_events: u64,
    /// Over position, `recorded_at` and hash of each event, in order. The hash covers the rest.
    pub events: Digest,
    /// Rows and their digest, in the order of [`Table::ALL`].
    pub tables: Vec<(u64, Digest)>,
}

impl Tally {
    /// Takes stock of a whole house, and verifies every event on the way.
    pub async fn take(
        house: &dyn CopySource,
        mut progress: impl FnMut(Position) + Send,
    ) -> Result<(Self, Verification), LogError> {
        let mut hasher = blake3::Hasher::new();
        let verified = verify_each(house, Position(1), Position(u64::MAX), |leaves| {
            for leaf in leaves {
                add(&mut hasher, leaf);
            }
            if let Some(last) = leaves.last() {
                progress(last.position);
            }
        })
        .await?;
        let mut tables = Vec::with_capacity(Table::ALL.len());
        for table in Table::ALL {
            tables.push(rows(house, table).await?);
        }
        let tally = Self {
            head: verified.checked_to,
            n_events: verified.events,
            events: Digest::from_bytes(*hasher.finalize().as_bytes()),
            tables,
        };
        Ok((tally, verified))
    }

    /// The first thing in which another house differs.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        if (self.head, self.n_events) != (other.head, other.n_events) {
            return Some(format!(
                "{} events up to position {} on one side, {} up to {} on the other",
                self.n_events, self.head, other.n_events, other.head
            ));
        }
        if self.events != other.events {
            return Some("places, times or hashes of the events".to_owned());
        }
        let mut pairs = Table::ALL.into_iter().zip(self.tables.iter().zip(&other.tables));
        pairs.find_map(|(table, (one, two))| {
            (one != two).then(|| format!("{} ({} rows, {} rows)", table.name(), one.0, two.0))
        })
    }
}

fn add(hasher: &mut blake3::Hasher, leaf: &Leaf) {
    hasher.update(&leaf.position.0.to_be_bytes());
    hasher.update(&leaf.recorded_at.micros().to_be_bytes());
    hasher.update(leaf.hash.as_bytes());
}

async fn rows(house: &dyn CopySource, table: Table) -> Result<(u64, Digest), LogError> {
    let mut hasher = blake3::Hasher::new();
    let (mut n_rows, mut last) = (0, None);
    loop {
        let page = house.rows(table, last.as_ref(), ROWS).await?;
        for row in &page {
            row.check(&house.name())?;
            let content = row.content();
            hasher.update(&(content.len() as u64).to_be_bytes());
            hasher.update(&content);
            n_rows += 1;
        }
        match page.into_iter().last() {
            Some(row) => last = Some(row),
            None => return Ok((n_rows, Digest::from_bytes(*hasher.finalize().as_bytes()))),
        }
    }
}
