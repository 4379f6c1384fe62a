//! A change of OpenSpec: `openspec/changes/name/` with `proposal.md`, `design.md`, `tasks.md`, and
//! the delta that it makes to one capability.

use std::fmt::Write;

use specline_aggregates::output::{Design, Requirements};
use specline_aggregates::spec::slug;

use super::text::{list, one_line, section};
use super::{Files, Material};

pub(super) fn files(material: &Material) -> Files {
    let folder = format!("openspec/changes/{}", material.slug());
    let mut files = Files::new();
    files.insert(format!("{folder}/proposal.md"), proposal(material));
    if let Some(requirements) = &material.requirements {
        let path = format!("{folder}/specs/{}/spec.md", slug(&requirements.feature_name));
        files.insert(path, delta(requirements));
    }
    if let Some(output) = &material.design {
        files.insert(format!("{folder}/design.md"), design(material, output));
    }
    if material.tasks.is_some() {
        files.insert(format!("{folder}/tasks.md"), tasks(material));
    }
    files
}

fn proposal(material: &Material) -> String {
    let mut text = format!("# Change: {}\n", one_line(material.title()));
    section(&mut text, "Why", &material.description);
    let Some(output) = &material.requirements else { return text };
    let titles: Vec<_> = output.requirements.iter().map(|one| one_line(&one.title)).collect();
    list(&mut text, "What Changes", &titles);
    let mut impact = vec![format!("Affected specs: {}", slug(&output.feature_name))];
    let paths: Vec<_> = material
        .design
        .iter()
        .flat_map(|design| &design.components)
        .filter_map(|component| component.path.as_ref())
        .map(|path| format!("`{path}`"))
        .collect();
    if !paths.is_empty() {
        impact.push(format!("Affected code: {}", paths.join(", ")));
    }
    list(&mut text, "Impact", &impact);
    text
}

/// Every requirement is added: what the capability said before is not known here. The id keeps two
/// requirements of one title apart, which OpenSpec tells by their headings.
fn delta(output: &Requirements) -> String {
    let mut text = String::from("## ADDED Requirements\n");
    for one in &output.requirements {
        let _ = write!(text, "\n### Requirement: {} ({})\n\n", one_line(&one.title), one.id);
        let _ = writeln!(text, "{}", one_line(&one.text));
        for (n, criterion) in one.criteria.iter().enumerate() {
            let title = one_line(&one.title);
            let _ = write!(text, "\n#### Scenario: {title}, {}\n\n", n + 1);
            let _ = writeln!(text, "- **GIVEN** {}", one_line(&criterion.given));
            let _ = writeln!(text, "- **WHEN** {}", one_line(&criterion.when));
            let _ = writeln!(text, "- **THEN** {}", one_line(&criterion.then));
        }
    }
    text
}

fn design(material: &Material, output: &Design) -> String {
    let mut text = String::from("# Design\n");
    section(&mut text, "Context", &output.overview);
    let requirements = material.requirements.as_ref();
    text.push_str("\n## Goals / Non-Goals\n\n");
    let _ = writeln!(text, "- Goals: {}", one_line(material.title()));
    for none in requirements.iter().flat_map(|one| &one.out_of_scope) {
        let _ = writeln!(text, "- Non-Goal: {}", one_line(none));
    }
    let decision = |one: &specline_aggregates::output::Decision| {
        format!("{}: {} (not: {})", one.choice, one.why, one.alternatives.join("; "))
    };
    let decisions: Vec<_> = output.decisions.iter().map(decision).collect();
    list(&mut text, "Decisions", &decisions);
    let component = |one: &specline_aggregates::output::Component| {
        format!("{} ({}): {}", one.name, one.kind, one.responsibility)
    };
    let components: Vec<_> = output.components.iter().map(component).collect();
    list(&mut text, "Components", &components);
    section(&mut text, "Error Handling", &output.error_handling);
    section(&mut text, "Security", &output.security);
    section(&mut text, "Testing", &output.testing_strategy);
    let questions = requirements.map(|one| one.open_questions.as_slice()).unwrap_or_default();
    list(&mut text, "Open Questions", questions);
    text
}

fn tasks(material: &Material) -> String {
    let mut text = String::new();
    for (n, story) in material.stories().iter().enumerate() {
        let n = n + 1;
        let _ = write!(text, "{}## {n}. ", if n > 1 { "\n" } else { "" });
        let _ = writeln!(text, "{}\n", one_line(story.title));
        for (m, task) in story.tasks.iter().enumerate() {
            let _ = writeln!(text, "- [ ] {n}.{} {}", m + 1, one_line(&task.title));
        }
    }
    text
}
