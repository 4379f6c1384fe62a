//! Pieces of Markdown that several shapes share.

use std::fmt::Write;

use specline_aggregates::output::{Criterion, Priority};

use super::Material;

/// What was asked for.
pub(super) fn request(material: &Material) -> String {
    let view = &material.view;
    let mut text = format!("# {}\n\n{}\n\n", view.title, material.description.trim_end());
    let _ = writeln!(text, "- Spec: `{}`", view.id);
    let _ = writeln!(text, "- Status: {}, after {} events", view.status, view.version);
    let _ = writeln!(text, "- Drafted: {}", material.day());
    text
}

/// `## title` and a list; nothing for an empty one.
pub(super) fn list(text: &mut String, title: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    let _ = write!(text, "\n## {title}\n\n");
    for item in items {
        let _ = writeln!(text, "- {}", one_line(item));
    }
}

/// `## title` and a paragraph; nothing for an empty one.
pub(super) fn section(text: &mut String, title: &str, body: &str) {
    if !body.trim().is_empty() {
        let _ = write!(text, "\n## {title}\n\n{}\n", body.trim());
    }
}

/// What stands in a list or a heading must not break out of it.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `**Given** … **When** … **Then** …`.
pub(super) fn scenario(criterion: &Criterion) -> String {
    format!(
        "**Given** {}, **When** {}, **Then** {}",
        one_line(&criterion.given),
        one_line(&criterion.when),
        one_line(&criterion.then)
    )
}

/// Spec Kit's way of saying how urgent something is.
pub(super) const fn p(priority: Priority) -> &'static str {
    match priority {
        Priority::Critical => "P1",
        Priority::High => "P2",
        Priority::Medium => "P3",
        Priority::Low => "P4",
    }
}
