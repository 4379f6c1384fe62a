//! The accepted outputs as Markdown for people. Pure: the same outputs give the same text.

use std::fmt::Write;

use specline_aggregates::output::{
    Component, Design, PlannedTask, Requirement, Requirements, Tasks,
};

/// `requirements.md`.
pub(crate) fn requirements(title: &str, output: &Requirements) -> String {
    let mut text = format!("# Requirements: {title}\n\nFeature: {}\n", output.feature_name);
    for requirement in &output.requirements {
        text.push_str(&one_requirement(requirement));
    }
    list(&mut text, "Assumptions", &output.assumptions);
    list(&mut text, "Out of scope", &output.out_of_scope);
    list(&mut text, "Open questions", &output.open_questions);
    text
}

fn one_requirement(requirement: &Requirement) -> String {
    let mut text = format!("\n## {}: {}\n\n", requirement.id, requirement.title);
    let _ = writeln!(text, "> {}\n", requirement.text);
    let _ = writeln!(
        text,
        "- Pattern: {} · Priority: {} · Category: {}",
        requirement.pattern.as_str(),
        requirement.priority.as_str(),
        requirement.category.as_str()
    );
    if !requirement.depends_on.is_empty() {
        let _ = writeln!(text, "- Depends on: {}", requirement.depends_on.join(", "));
    }
    text.push_str("\nAcceptance criteria:\n\n");
    for (n, criterion) in requirement.criteria.iter().enumerate() {
        let _ = writeln!(
            text,
            "{}. **Given** {} **when** {} **then** {}",
            n + 1,
            criterion.given,
            criterion.when,
            criterion.then
        );
    }
    text
}

/// `design.md`.
pub(crate) fn design(title: &str, output: &Design) -> String {
    let mut text = format!("# Design: {title}\n\n{}\n", output.overview);
    if let Some(diagram) = &output.diagram {
        let _ = write!(text, "\n```mermaid\n{}\n```\n", diagram.trim_end());
    }
    text.push_str("\n## Components\n");
    for component in &output.components {
        text.push_str(&one_component(component));
    }
    if !output.data_models.is_empty() {
        text.push_str("\n## Data models\n");
        for model in &output.data_models {
            let _ = write!(text, "\n### {}\n\n", model.name);
            if let Some(path) = &model.path {
                let _ = write!(text, "In `{path}`.\n\n");
            }
            for field in &model.fields {
                let _ = writeln!(text, "- `{}`: {}", field.name, field.kind);
            }
        }
    }
    if !output.api_endpoints.is_empty() {
        text.push_str("\n## API\n\n");
        for endpoint in &output.api_endpoints {
            let (method, path) = (&endpoint.method, &endpoint.path);
            let _ = writeln!(text, "- `{method} {path}`: {}", endpoint.description);
        }
    }
    section(&mut text, "Error handling", &output.error_handling);
    section(&mut text, "Security", &output.security);
    section(&mut text, "Testing strategy", &output.testing_strategy);
    decisions(&mut text, output);
    text
}

fn one_component(component: &Component) -> String {
    let mut text = format!("\n### {} ({})\n\n", component.name, component.kind);
    if let Some(path) = &component.path {
        let _ = write!(text, "In `{path}`.\n\n");
    }
    let _ = writeln!(text, "{}\n", component.responsibility);
    let _ = writeln!(text, "- Meets: {}", component.requirements.join(", "));
    if !component.depends_on.is_empty() {
        let _ = writeln!(text, "- Uses: {}", component.depends_on.join(", "));
    }
    text
}

fn decisions(text: &mut String, output: &Design) {
    if output.decisions.is_empty() {
        return;
    }
    text.push_str("\n## Decisions\n");
    for decision in &output.decisions {
        let _ = write!(text, "\n- **{}**: {}", decision.choice, decision.why);
        if !decision.alternatives.is_empty() {
            let _ = write!(text, " Instead of: {}.", decision.alternatives.join("; "));
        }
    }
    text.push('\n');
}

/// `tasks.md`.
pub(crate) fn tasks(title: &str, output: &Tasks, requirements: &Requirements) -> String {
    let mut text = format!("# Tasks: {title}\n");
    for ticket in &output.tickets {
        let _ = write!(text, "\n## {}: {}\n\n", ticket.id, ticket.title);
        if let Some(description) = &ticket.description {
            let _ = write!(text, "{description}\n\n");
        }
        if !ticket.requirements.is_empty() {
            let _ = writeln!(text, "Serves: {}", ticket.requirements.join(", "));
        }
        for task in output.tasks.iter().filter(|task| task.ticket == ticket.id) {
            text.push_str(&one_task(task));
        }
    }
    text.push_str("\n## Coverage\n\n| requirement | tasks |\n|---|---|\n");
    for requirement in &requirements.requirements {
        let covering = output.tasks.iter().filter(|t| t.requirements.contains(&requirement.id));
        let covering: Vec<_> = covering.map(|task| task.id.as_str()).collect();
        let _ = writeln!(text, "| {} | {} |", requirement.id, covering.join(", "));
    }
    text
}

fn one_task(task: &PlannedTask) -> String {
    let mut text = format!("\n- [ ] **{}: {}**\n", task.id, task.title);
    let _ = writeln!(text, "  {}", task.description);
    let _ = writeln!(
        text,
        "  - {} · {} · {} h",
        task.kind.as_str(),
        task.priority.as_str(),
        task.estimated_hours
    );
    let mut line = |name: &str, items: Vec<String>| {
        if !items.is_empty() {
            let _ = writeln!(text, "  - {name}: {}", items.join(", "));
        }
    };
    let code = |paths: &[String]| paths.iter().map(|path| format!("`{path}`")).collect();
    line("creates", code(&task.files_create));
    line("changes", code(&task.files_modify));
    line("after", task.depends_on.clone());
    line("requirements", task.requirements.clone());
    line("components", task.components.clone());
    for criterion in &task.criteria {
        let _ = writeln!(text, "  - done when: {criterion}");
    }
    text
}

fn list(text: &mut String, title: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    let _ = write!(text, "\n## {title}\n\n");
    for item in items {
        let _ = writeln!(text, "- {item}");
    }
}

fn section(text: &mut String, title: &str, body: &str) {
    if !body.trim().is_empty() {
        let _ = write!(text, "\n## {title}\n\n{body}\n");
    }
}
