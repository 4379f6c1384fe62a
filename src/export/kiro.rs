//! The folder of Kiro: `.kiro/specs/name/` with `requirements.md`, `design.md` and `tasks.md`.

use std::collections::BTreeMap;
use std::fmt::Write;

use specline_aggregates::output::{Design, PlannedTask, Requirement, Requirements};

use super::text::{list, one_line, section};
use super::{Files, Material};

pub(super) fn files(material: &Material) -> Files {
    let folder = format!(".kiro/specs/{}", material.slug());
    let mut files = Files::new();
    let text = requirements(material);
    files.insert(format!("{folder}/requirements.md"), text);
    if let Some(output) = &material.design {
        files.insert(format!("{folder}/design.md"), design(output));
    }
    if material.tasks.is_some() {
        files.insert(format!("{folder}/tasks.md"), tasks(material));
    }
    files
}

fn requirements(material: &Material) -> String {
    let mut text = String::from("# Requirements Document\n");
    section(&mut text, "Introduction", &material.description);
    let Some(output) = &material.requirements else { return text };
    text.push_str("\n## Requirements\n");
    for (n, requirement) in output.requirements.iter().enumerate() {
        one_requirement(&mut text, n + 1, (requirement, material));
    }
    list(&mut text, "Assumptions", &output.assumptions);
    list(&mut text, "Out of Scope", &output.out_of_scope);
    list(&mut text, "Open Questions", &output.open_questions);
    text
}

/// The EARS sentence is the first criterion; what was agreed on to check it follows.
fn one_requirement(text: &mut String, n: usize, (one, material): (&Requirement, &Material)) {
    let _ = write!(text, "\n### Requirement {n}: {}\n\n", one_line(&one.title));
    let stories = material.stories();
    let story = stories.iter().find(|story| story.requirements.contains(&one.id.as_str()));
    let story = story.map_or_else(|| material.title().to_owned(), |story| story.title.to_owned());
    let _ = writeln!(text, "**User Story:** {}\n", one_line(&story));
    text.push_str("#### Acceptance Criteria\n\n");
    let _ = writeln!(text, "1. {}", one_line(&one.text));
    for (n, criterion) in one.criteria.iter().enumerate() {
        let _ = writeln!(
            text,
            "{}. GIVEN {} WHEN {} THEN {}",
            n + 2,
            one_line(&criterion.given),
            one_line(&criterion.when),
            one_line(&criterion.then)
        );
    }
}

fn design(output: &Design) -> String {
    let mut text = String::from("# Design Document\n");
    section(&mut text, "Overview", &output.overview);
    if let Some(diagram) = &output.diagram {
        let _ = write!(text, "\n## Architecture\n\n```mermaid\n{}\n```\n", diagram.trim());
    }
    text.push_str("\n## Components and Interfaces\n");
    for component in &output.components {
        let _ = write!(text, "\n### {}\n\n", component.name);
        let path = component.path.as_ref().map(|path| format!(" in `{path}`"));
        let _ = writeln!(text, "- {}{}", component.kind, path.unwrap_or_default());
        let _ = writeln!(text, "- {}", one_line(&component.responsibility));
        let _ = writeln!(text, "- Meets: {}", component.requirements.join(", "));
    }
    for endpoint in &output.api_endpoints {
        let what = one_line(&endpoint.description);
        let _ = write!(text, "\n- `{} {}`: {what}", endpoint.method, endpoint.path);
    }
    if !output.api_endpoints.is_empty() {
        text.push('\n');
    }
    text.push_str("\n## Data Models\n");
    for model in &output.data_models {
        let _ = write!(text, "\n### {}\n\n", model.name);
        for field in &model.fields {
            let _ = writeln!(text, "- `{}`: {}", field.name, field.kind);
        }
    }
    section(&mut text, "Error Handling", &output.error_handling);
    section(&mut text, "Security", &output.security);
    section(&mut text, "Testing Strategy", &output.testing_strategy);
    text
}

/// Numbers of the requirements, as `requirements.md` has them.
fn numbers(output: Option<&Requirements>) -> BTreeMap<&str, usize> {
    let all = output.map(|output| output.requirements.as_slice()).unwrap_or_default();
    all.iter().enumerate().map(|(n, one)| (one.id.as_str(), n + 1)).collect()
}

fn tasks(material: &Material) -> String {
    let numbers = numbers(material.requirements.as_ref());
    let mut text = String::from("# Implementation Plan\n\n");
    for (n, story) in material.stories().iter().enumerate() {
        let n = n + 1;
        let _ = writeln!(text, "- [ ] {n}. {}", one_line(story.title));
        for (m, task) in story.tasks.iter().enumerate() {
            one_task(&mut text, &format!("{n}.{}", m + 1), (task, &numbers));
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn one_task(text: &mut String, n: &str, (task, numbers): (&PlannedTask, &BTreeMap<&str, usize>)) {
    let _ = writeln!(text, "\n- [ ] {n} {}", one_line(&task.title));
    let _ = writeln!(text, "  - {}", one_line(&task.description));
    for path in task.files_create.iter().chain(&task.files_modify) {
        let _ = writeln!(text, "  - `{path}`");
    }
    for criterion in &task.criteria {
        let _ = writeln!(text, "  - {}", one_line(criterion));
    }
    let met: Vec<_> = task
        .requirements
        .iter()
        .filter_map(|id| numbers.get(id.as_str()))
        .map(|number| format!("{number}.1"))
        .collect();
    if !met.is_empty() {
        let _ = writeln!(text, "  - _Requirements: {}_", met.join(", "));
    }
}
