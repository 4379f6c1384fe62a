//! The rules of SYNC, over what the engine really did. (The struct `SyncEvidence` and the names
//! `judge_sync` and `coverage` are used by `spec/command/sync.rs`.)

use crate::output::{Coverage, Design, ExportedFile, IdMap, Requirements, Tasks};
use crate::{Digest, Finding, Judgement, Severity};

/// What SYNC made, as it was found afterwards.
pub struct SyncEvidence<'a> {
    pub requirements: &'a Requirements,
    pub tasks: &'a Tasks,
    pub ids: &'a IdMap,
    pub coverage: &'a [Coverage],
    /// Each planned file, with the digest that was read back; none = it is not there.
    pub files: &'a [(ExportedFile, Option<Digest>)],
}

/// Which components and tasks meet each requirement, in the requirements' order.
#[must_use]
pub fn coverage(requirements: &Requirements, design: &Design, tasks: &Tasks) -> Vec<Coverage> {
    let covers = |ids: &[String], id: &String| ids.contains(id);
    requirements
        .requirements
        .iter()
        .map(|requirement| Coverage {
            requirement: requirement.id.clone(),
            components: design
                .components
                .iter()
                .filter(|component| covers(&component.requirements, &requirement.id))
                .map(|component| component.name.clone())
                .collect(),
            tasks: tasks
                .tasks
                .iter()
                .filter(|task| covers(&task.requirements, &requirement.id))
                .map(|task| task.id.clone())
                .collect(),
        })
        .collect()
}

/// Judges what SYNC made.
#[must_use]
pub fn judge_sync(evidence: &SyncEvidence<'_>) -> Judgement {
    let findings = vec![
        finding("sync.ids", unmapped(evidence), "every local id has a stored id"),
        finding("sync.coverage", holes(evidence), "every requirement has a component and a task"),
        finding("sync.files", changed(evidence), "every exported file is as it was written"),
    ];
    let passed = findings.iter().all(|finding| finding.passed);
    let score = if passed { 1000 } else { 0 };
    Judgement { passed, score, findings, malformed: false }
}

fn finding(rule: &str, faults: Vec<String>, good: &str) -> Finding {
    let passed = faults.is_empty();
    Finding {
        rule: rule.to_owned(),
        severity: Severity::Hard,
        passed,
        skipped: false,
        message: if passed { good.to_owned() } else { faults.join("; ") },
        place: String::new(),
        mend: if passed { String::new() } else { "run sync again".to_owned() },
    }
}

fn unmapped(evidence: &SyncEvidence<'_>) -> Vec<String> {
    let SyncEvidence { requirements, tasks, ids, .. } = evidence;
    let requirements = requirements.requirements.iter().map(|r| &r.id);
    let missing = requirements.filter(|id| !ids.requirements.contains_key(*id));
    let tickets = tasks.tickets.iter().map(|t| &t.id).filter(|id| !ids.tickets.contains_key(*id));
    let tasks = tasks.tasks.iter().map(|t| &t.id).filter(|id| !ids.tasks.contains_key(*id));
    missing.chain(tickets).chain(tasks).map(|id| format!("{id} has no stored id")).collect()
}

fn holes(evidence: &SyncEvidence<'_>) -> Vec<String> {
    let row = |id: &str| evidence.coverage.iter().find(|row| row.requirement == id);
    let requirements = evidence.requirements.requirements.iter();
    requirements
        .filter(|r| row(&r.id).is_none_or(|c| c.components.is_empty() || c.tasks.is_empty()))
        .map(|r| format!("{} is not covered", r.id))
        .collect()
}

fn changed(evidence: &SyncEvidence<'_>) -> Vec<String> {
    let files = evidence.files.iter();
    files
        .filter(|(file, read)| *read != Some(file.digest))
        .map(|(file, _)| format!("{} is not what was written", file.path))
        .collect()
}
