//! The coverage matrix, and the rules for what SYNC made. No model has a hand in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use crate::output::{Coverage, Design, ExportedFile, IdMap, Requirements, Tasks};
use crate::{Digest, GatePolicy, Judgement, Phase};

use super::rule::{self, Fault, Rule, hard};
use super::shape;

const PHASE: Phase = Phase::Sync;

/// What SYNC made, and what it made it from.
#[derive(Debug, Clone, Copy)]
pub struct SyncEvidence<'a> {
    pub requirements: &'a Requirements,
    pub tasks: &'a Tasks,
    pub ids: &'a IdMap,
    pub coverage: &'a [Coverage],
    /// Each exported file, and the digest of what was read back (none if it is not there).
    pub files: &'a [(ExportedFile, Option<Digest>)],
}

type Check = fn(&SyncEvidence<'_>) -> Vec<Fault>;

pub(super) const RULES: &[Rule<Check>] = &[
    hard(PHASE, "sync.ids_mapped", "Every local id has a stored id of its own", ids_mapped),
    hard(
        PHASE,
        "sync.coverage",
        "Every requirement has a component that meets it and a task that addresses it",
        covered,
    ),
    hard(
        PHASE,
        "sync.files",
        "Every exported file, read back, has the digest of what was written",
        files,
    ),
];

/// Judges what SYNC made. These rules guard the engine's own work, so that no policy switches them
/// off.
#[must_use]
pub fn judge_sync(evidence: &SyncEvidence<'_>) -> Judgement {
    rule::run(&shape::rule(PHASE), RULES, &GatePolicy::default(), |check| check(evidence))
}

/// Which components and tasks meet each requirement, in the order of the requirements.
#[must_use]
pub fn coverage(requirements: &Requirements, design: &Design, tasks: &Tasks) -> Vec<Coverage> {
    let mut components = BTreeMap::new();
    for component in &design.components {
        note(&mut components, &component.requirements, &component.name);
    }
    let mut planned = BTreeMap::new();
    for task in &tasks.tasks {
        note(&mut planned, &task.requirements, &task.id);
    }
    let all = requirements.requirements.iter().map(|requirement| requirement.id.as_str());
    all.map(|id| Coverage {
        requirement: id.to_owned(),
        components: components.remove(id).unwrap_or_default(),
        tasks: planned.remove(id).unwrap_or_default(),
    })
    .collect()
}

/// Notes `by` once under each of `requirements`.
fn note<'a>(met: &mut BTreeMap<&'a str, Vec<String>>, requirements: &'a [String], by: &str) {
    for requirement in requirements {
        let all = met.entry(requirement).or_default();
        if all.last().is_none_or(|last| last != by) {
            all.push(by.to_owned());
        }
    }
}

fn ids_mapped(evidence: &SyncEvidence<'_>) -> Vec<Fault> {
    let requirements = evidence.requirements.requirements.iter().map(|r| r.id.as_str());
    let tickets = evidence.tasks.tickets.iter().map(|ticket| ticket.id.as_str());
    let tasks = evidence.tasks.tasks.iter().map(|task| task.id.as_str());
    let mut faults = unmapped("requirements", requirements, &evidence.ids.requirements);
    faults.extend(unmapped("tickets", tickets, &evidence.ids.tickets));
    faults.extend(unmapped("tasks", tasks, &evidence.ids.tasks));
    faults
}

fn unmapped<'a, I: Display + Ord>(
    kind: &str,
    locals: impl Iterator<Item = &'a str>,
    stored: &BTreeMap<String, I>,
) -> Vec<Fault> {
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for local in locals {
        let message = match stored.get(local) {
            None => format!("{local} has no stored id"),
            Some(id) if !seen.insert(id) => format!("{local} shares the stored id {id}"),
            Some(_) => continue,
        };
        faults.push(Fault::new(format!("/{kind}"), message, "Run sync again."));
    }
    faults
}

fn covered(evidence: &SyncEvidence<'_>) -> Vec<Fault> {
    let rows = evidence.coverage.iter().map(|row| (row.requirement.as_str(), row));
    let rows: BTreeMap<&str, &Coverage> = rows.collect();
    let all = evidence.requirements.requirements.iter().map(|r| r.id.as_str());
    let holes = all.filter_map(|id| {
        let what = match rows.get(id) {
            None => "is not in the matrix",
            Some(row) if row.components.is_empty() => "has no component",
            Some(row) if row.tasks.is_empty() => "has no task",
            Some(_) => return None,
        };
        let mend = "Retry from the design or the tasks phase.";
        Some(Fault::new("/coverage", format!("{id} {what}"), mend))
    });
    holes.collect()
}

fn files(evidence: &SyncEvidence<'_>) -> Vec<Fault> {
    let all = evidence.files.iter().enumerate();
    all.filter_map(|(n, (file, read))| {
        let what = match read {
            None => "is not there".to_owned(),
            Some(read) if *read != file.digest => {
                format!("has digest {} in place of {}", read.short(), file.digest.short())
            }
            Some(_) => return None,
        };
        let mend = "Look whether another program writes to it, and run sync again.";
        Some(Fault::new(format!("/files/{n}"), format!("{} {what}", file.path), mend))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::{RequirementId, SpecId, TaskId, TicketId};

    struct Made {
        requirements: Requirements,
        tasks: Tasks,
        ids: IdMap,
        coverage: Vec<Coverage>,
        files: Vec<(ExportedFile, Option<Digest>)>,
    }

    fn made() -> Made {
        let earlier = sample::earlier();
        let requirements = earlier.requirements.expect("in the sample");
        let tasks = earlier.tasks.expect("in the sample");
        let spec: SpecId = "0198c5a0-0000-7000-8000-000000000001".parse().expect("an id");
        let id = |kind: &str, local: &String| (local.clone(), spec.derive(kind, local));
        let mut ids = IdMap::default();
        for r in &requirements.requirements {
            let (local, stored) = id("requirement", &r.id);
            ids.requirements.insert(local, RequirementId::new(stored));
        }
        for t in &tasks.tickets {
            let (local, stored) = id("ticket", &t.id);
            ids.tickets.insert(local, TicketId::new(stored));
        }
        for t in &tasks.tasks {
            let (local, stored) = id("task", &t.id);
            ids.tasks.insert(local, TaskId::new(stored));
        }
        let coverage = coverage(&requirements, &earlier.design.expect("in the sample"), &tasks);
        let digest = Digest::of(b"text");
        let file = ExportedFile { path: "specs/limits/tasks.md".into(), digest };
        Made { requirements, tasks, ids, coverage, files: vec![(file, Some(digest))] }
    }

    fn failed(made: &Made) -> Vec<String> {
        let evidence = SyncEvidence {
            requirements: &made.requirements,
            tasks: &made.tasks,
            ids: &made.ids,
            coverage: &made.coverage,
            files: &made.files,
        };
        let judged = judge_sync(&evidence);
        assert_eq!(judged.passed, judged.failed().next().is_none());
        assert_eq!(judged.score, 1000);
        judged.failed().map(|f| format!("{}: {}", f.rule, f.message)).collect()
    }

    #[test]
    fn what_is_whole_passes() {
        assert_eq!(failed(&made()), Vec::<String>::new());
    }

    #[test]
    fn coverage_has_a_row_for_each_requirement_in_order() {
        let made = made();
        let rows: Vec<_> = made.coverage.iter().map(|row| row.requirement.as_str()).collect();
        let ids: Vec<_> = made.requirements.requirements.iter().map(|r| r.id.as_str()).collect();
        assert_eq!(rows, ids);
        assert_eq!(made.coverage[0].tasks, ["TSK-001", "TSK-002"]);
    }

    #[test]
    fn an_id_without_a_stored_id_is_found() {
        let mut made = made();
        made.ids.tasks.remove("TSK-002");
        assert_eq!(failed(&made), ["sync.ids_mapped: TSK-002 has no stored id"]);
    }

    #[test]
    fn two_ids_with_one_stored_id_are_found() {
        let mut made = made();
        let first = made.ids.tasks["TSK-001"];
        made.ids.tasks.insert("TSK-002".into(), first);
        assert!(failed(&made)[0].contains("TSK-002 shares the stored id"));
    }

    #[test]
    fn a_hole_in_the_matrix_is_found() {
        let mut made = made();
        made.coverage[0].tasks.clear();
        made.coverage[1].components.clear();
        made.coverage.pop();
        assert_eq!(
            failed(&made),
            [
                "sync.coverage: REQ-001 has no task",
                "sync.coverage: REQ-002 has no component",
                "sync.coverage: REQ-004 is not in the matrix",
            ]
        );
    }

    #[test]
    fn a_file_that_is_not_what_was_written_is_found() {
        let mut made = made();
        made.files[0].1 = Some(Digest::of(b"other"));
        assert!(failed(&made)[0].contains("sync.files: specs/limits/tasks.md has digest"));
        made.files[0].1 = None;
        assert_eq!(failed(&made), ["sync.files: specs/limits/tasks.md is not there"]);
    }
}
