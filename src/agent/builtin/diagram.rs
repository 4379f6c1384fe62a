//! The Mermaid diagram of a design.

use std::fmt::Write;

use specline_aggregates::output::Component;

/// A flow chart: one box a component, one arrow a dependency.
pub(super) fn of(components: &[Component]) -> String {
    let mut chart = String::from("flowchart LR\n");
    for (index, component) in components.iter().enumerate() {
        let path = component.path.as_deref().unwrap_or("no file yet");
        let label = format!("{}<br/>{path}", component.name).replace('"', "'");
        writeln!(chart, "    c{index}[\"{label}\"]").expect("writing to a String never fails");
    }
    for (index, component) in components.iter().enumerate() {
        for dependency in &component.depends_on {
            if let Some(to) = components.iter().position(|other| other.name == *dependency) {
                writeln!(chart, "    c{index} --> c{to}").expect("writing to a String never fails");
            }
        }
    }
    chart
}
