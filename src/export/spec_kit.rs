//! The folder of GitHub's Spec Kit: `specs/NNN-name/` with `spec.md`, `plan.md` and `tasks.md`,
//! under the headings of its templates.

use std::collections::BTreeMap;
use std::fmt::Write;

use specline_aggregates::output::{
    Category, Design, Pattern, PlannedTask, Requirement, Requirements,
};

use super::text::{list, one_line, p, scenario, section};
use super::{Files, Material, Story};

pub(super) fn files(material: &Material) -> Files {
    let name = format!("{:03}-{}", material.number, material.slug());
    let mut files = Files::new();
    files.insert(format!("specs/{name}/spec.md"), spec(material, &name));
    if let Some(design) = &material.design {
        files.insert(format!("specs/{name}/plan.md"), plan(material, design, &name));
    }
    if material.tasks.is_some() {
        files.insert(format!("specs/{name}/tasks.md"), tasks(material, &name));
    }
    files
}

fn spec(material: &Material, name: &str) -> String {
    let mut text = format!("# Feature Specification: {}\n\n", one_line(material.title()));
    let _ = writeln!(text, "**Feature Branch**: `{name}`  ");
    let _ = writeln!(text, "**Created**: {}  ", material.day());
    let _ = writeln!(text, "**Status**: {}  ", material.view.status);
    let _ = writeln!(text, "**Input**: User description: \"{}\"", one_line(&material.description));
    let Some(output) = &material.requirements else { return text };
    text.push_str("\n## User Scenarios & Testing *(mandatory)*\n");
    for (n, story) in material.stories().iter().enumerate() {
        user_story(&mut text, n + 1, (story, output));
    }
    edge_cases(&mut text, output);
    text.push_str("\n## Requirements *(mandatory)*\n\n### Functional Requirements\n\n");
    for (n, requirement) in output.requirements.iter().enumerate() {
        let (text_of, id) = (one_line(&requirement.text), &requirement.id);
        let _ = writeln!(text, "- **FR-{:03}**: {text_of} ({id})", n + 1);
    }
    entities(&mut text, material.design.as_ref());
    success(&mut text, output);
    list(&mut text, "Assumptions", &output.assumptions);
    list(&mut text, "Out of Scope", &output.out_of_scope);
    let unclear = |question: &String| format!("[NEEDS CLARIFICATION: {}]", one_line(question));
    let unclear: Vec<_> = output.open_questions.iter().map(unclear).collect();
    list(&mut text, "Open Questions", &unclear);
    text
}

fn of_story<'a>(story: &Story<'_>, output: &'a Requirements) -> Vec<&'a Requirement> {
    let named = |one: &&Requirement| story.requirements.contains(&one.id.as_str());
    output.requirements.iter().filter(named).collect()
}

fn user_story(text: &mut String, n: usize, (story, output): (&Story<'_>, &Requirements)) {
    let requirements = of_story(story, output);
    let most_urgent = requirements.iter().map(|one| one.priority).min();
    let priority = most_urgent.map_or("P3", p);
    let _ = write!(text, "\n### User Story {n} - {} ", one_line(story.title));
    let _ = writeln!(text, "(Priority: {priority})\n");
    if !story.description.is_empty() {
        let _ = writeln!(text, "{}\n", story.description.trim());
    }
    if let Some(most_urgent) = most_urgent {
        let named: Vec<_> = requirements
            .iter()
            .filter(|one| one.priority == most_urgent)
            .map(|one| one.id.as_str())
            .collect();
        let urgency = most_urgent.as_str();
        let _ = writeln!(text, "**Why this priority**: {} ({urgency}).\n", named.join(", "));
    }
    text.push_str("**Acceptance Scenarios**:\n\n");
    let criteria = requirements.iter().flat_map(|one| &one.criteria);
    for (n, criterion) in criteria.enumerate() {
        let _ = writeln!(text, "{}. {}", n + 1, scenario(criterion));
    }
}

/// What a system does when something unwanted happens is what Spec Kit calls an edge case.
fn edge_cases(text: &mut String, output: &Requirements) {
    let unwanted = output.requirements.iter().filter(|one| one.pattern == Pattern::Unwanted);
    let unwanted: Vec<_> = unwanted.collect();
    if unwanted.is_empty() {
        return;
    }
    text.push_str("\n### Edge Cases\n\n");
    for one in unwanted {
        let _ = writeln!(text, "- {}", one_line(&one.text));
    }
}

fn entities(text: &mut String, design: Option<&Design>) {
    let models = design.map(|design| design.data_models.as_slice()).unwrap_or_default();
    if models.is_empty() {
        return;
    }
    text.push_str("\n### Key Entities\n\n");
    for model in models {
        let fields: Vec<_> = model.fields.iter().map(|field| field.name.as_str()).collect();
        let _ = writeln!(text, "- **{}**: {}", model.name, fields.join(", "));
    }
}

/// Outcomes that can be measured: those of performance and reliability, else of everything that is
/// most urgent.
fn success(text: &mut String, output: &Requirements) {
    let measured =
        |one: &&Requirement| matches!(one.category, Category::Performance | Category::Reliability);
    let mut chosen: Vec<_> = output.requirements.iter().filter(measured).collect();
    if chosen.is_empty() {
        let most_urgent = output.requirements.iter().map(|one| one.priority).min();
        let urgent = |one: &&Requirement| Some(one.priority) == most_urgent;
        chosen = output.requirements.iter().filter(urgent).collect();
    }
    text.push_str("\n## Success Criteria *(mandatory)*\n\n### Measurable Outcomes\n\n");
    let outcomes = chosen.iter().flat_map(|one| &one.criteria);
    for (n, criterion) in outcomes.enumerate() {
        let _ = writeln!(text, "- **SC-{:03}**: {}", n + 1, one_line(&criterion.then));
    }
}

fn plan(material: &Material, design: &Design, name: &str) -> String {
    let mut text = format!("# Implementation Plan: {}\n\n", one_line(material.title()));
    let day = material.day();
    let _ = writeln!(text, "**Branch**: `{name}` | **Date**: {day} | **Spec**: [spec.md](spec.md)");
    section(&mut text, "Summary", &design.overview);
    technical(&mut text, material);
    if let Some(diagram) = &design.diagram {
        let _ = write!(text, "\n## Architecture\n\n```mermaid\n{}\n```\n", diagram.trim());
    }
    text.push_str("\n## Project Structure\n");
    for component in &design.components {
        let _ = write!(text, "\n### {} ({})\n\n", component.name, component.kind);
        if let Some(path) = &component.path {
            let _ = writeln!(text, "- Path: `{path}`");
        }
        let _ = writeln!(text, "- {}", one_line(&component.responsibility));
        let _ = writeln!(text, "- Meets: {}", component.requirements.join(", "));
        if !component.depends_on.is_empty() {
            let _ = writeln!(text, "- Uses: {}", component.depends_on.join(", "));
        }
    }
    let endpoint = |one: &specline_aggregates::output::Endpoint| {
        format!("`{} {}`: {}", one.method, one.path, one_line(&one.description))
    };
    let endpoints: Vec<_> = design.api_endpoints.iter().map(endpoint).collect();
    list(&mut text, "Contracts", &endpoints);
    section(&mut text, "Error Handling", &design.error_handling);
    section(&mut text, "Security", &design.security);
    section(&mut text, "Testing", &design.testing_strategy);
    let decision = |one: &specline_aggregates::output::Decision| {
        format!("**{}**: {} (not: {})", one.choice, one.why, one.alternatives.join("; "))
    };
    let decisions: Vec<_> = design.decisions.iter().map(decision).collect();
    list(&mut text, "Decisions", &decisions);
    text
}

fn technical(text: &mut String, material: &Material) {
    let Some(explore) = &material.explore else { return };
    text.push_str("\n## Technical Context\n\n");
    let _ = writeln!(text, "**Project Type**: {}  ", one_line(&explore.project_type));
    let _ = writeln!(text, "**Technologies**: {}  ", explore.tech_stack.join(", "));
    let framework = explore.tests.framework.as_deref().unwrap_or("none found");
    let _ = writeln!(text, "**Testing**: {}", one_line(framework));
}

fn tasks(material: &Material, name: &str) -> String {
    let mut text = format!("# Tasks: {}\n\n", one_line(material.title()));
    let _ = writeln!(text, "**Input**: Design documents from `specs/{name}/`  ");
    text.push_str("**Prerequisites**: plan.md, spec.md\n\n");
    text.push_str("## Format: `[ID] [P?] [Story] Description`\n\n");
    text.push_str("- **[P]**: needs no other task first\n- **[Story]**: the user story\n");
    let stories = material.stories();
    let all = stories.iter().flat_map(|story| &story.tasks);
    let ids: BTreeMap<&str, String> =
        all.enumerate().map(|(n, task)| (task.id.as_str(), format!("T{:03}", n + 1))).collect();
    for (n, story) in stories.iter().enumerate() {
        let n = n + 1;
        let _ = write!(text, "\n## Phase {n}: User Story {n} - {}\n\n", one_line(story.title));
        for task in &story.tasks {
            one_task(&mut text, (n, task), &ids);
        }
    }
    text.push_str("\n## Dependencies & Execution Order\n\n");
    for task in stories.iter().flat_map(|story| &story.tasks) {
        if !task.depends_on.is_empty() {
            let _ = writeln!(text, "- {} after {}", ids[task.id.as_str()], named(task, &ids));
        }
    }
    text
}

fn named(task: &PlannedTask, ids: &BTreeMap<&str, String>) -> String {
    let name = |id: &String| ids.get(id.as_str()).cloned().unwrap_or_else(|| id.clone());
    task.depends_on.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn one_task(text: &mut String, (story, task): (usize, &PlannedTask), ids: &BTreeMap<&str, String>) {
    let parallel = if task.depends_on.is_empty() { "[P] " } else { "" };
    let paths: Vec<_> = task.files_create.iter().chain(&task.files_modify).collect();
    let paths: Vec<_> = paths.iter().map(|path| format!("`{path}`")).collect();
    let place = if paths.is_empty() { String::new() } else { format!(" in {}", paths.join(", ")) };
    let id = ids.get(task.id.as_str()).map_or("", String::as_str);
    let title = one_line(&task.title);
    let _ = writeln!(text, "- [ ] {id} {parallel}[US{story}] {title}{place} ({})", task.id);
}
