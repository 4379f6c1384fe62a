//! What was said of an earlier attempt: a gate's findings point into the output, a person's remarks
//! are further wishes.

use std::collections::BTreeSet;

use specline_aggregates::{Finding, Severity};

/// Remarks of people and of evaluators other than the gate of `phase`.
pub(super) fn remarks<'a>(feedback: &'a [Finding], phase: &str) -> Vec<&'a str> {
    let own = format!("{phase}.");
    feedback
        .iter()
        .filter(|f| !f.passed && !f.skipped && !f.rule.starts_with(&own))
        .map(|f| f.message.trim())
        .filter(|message| !message.is_empty())
        .collect()
}

/// Indices below `/list/` that hard findings point at.
pub(super) fn refused(feedback: &[Finding], list: &str) -> BTreeSet<usize> {
    let start = format!("/{list}/");
    feedback
        .iter()
        .filter(|f| !f.passed && !f.skipped && f.severity == Severity::Hard)
        .filter_map(|f| f.place.strip_prefix(&start)?.split('/').next()?.parse().ok())
        .collect()
}
