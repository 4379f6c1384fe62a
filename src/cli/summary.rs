//! What is said when a run has come to rest.

use std::time::Duration;

use specline_aggregates::spec::Status;

use super::print;
use crate::agent::builtin;
use crate::view::{PhaseStatus, SpecView};

/// The end of `run` and `resume`. `flags` lead a next command to the same log.
pub fn end(view: &SpecView, took: Duration, (flags, json): (&str, bool)) {
    if json {
        print::json(view);
    } else {
        print::data(&text(view, took, flags));
    }
}

fn text(view: &SpecView, took: Duration, flags: &str) -> String {
    let mut lines = vec![String::new(), head(view, took), format!("  spec          {}", view.id)];
    lines.push(format!("  agent         {}", agent(&view.agent)));
    if view.status == Status::Completed {
        lines.push(format!(
            "  made          {}, {}, {}",
            counted(view.requirements, "requirement"),
            counted(view.tickets, "ticket"),
            counted(view.tasks, "task")
        ));
    }
    let usage = view.usage;
    if usage.tokens() > 0 || usage.cost_micro_usd > 0 {
        #[expect(clippy::cast_precision_loss, reason = "shown to four digits")]
        let usd = usage.cost_micro_usd as f64 / 1e6;
        lines.push(format!("  used          {} tokens, ${usd:.4}", usage.tokens()));
    }
    let completed = view.status == Status::Completed;
    for file in view.files.iter().filter(|_| completed) {
        let path = std::path::Path::new(&view.repository).join(&file.path);
        let beside =
            if file.path.contains(".new.") { "   (beside the file that you changed)" } else { "" };
        lines.push(format!("  wrote         {}{beside}", path.display()));
    }
    lines.extend(next(view, flags));
    lines.join("\n")
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn head(view: &SpecView, took: Duration) -> String {
    let seconds = took.as_secs_f64();
    match (&view.error, view.status) {
        (Some(error), _) => {
            format!("Failed in {} ({}): {}", error.phase, error.kind, error.reason)
        }
        (None, Status::Completed) => format!("Completed: {} ({seconds:.1} s)", view.title),
        (None, status) => format!("{}: {}", status.as_str().replace('_', " "), view.title),
    }
}

fn agent(agent: &str) -> String {
    if agent == builtin::NAME {
        "builtin; no model was used: read its output as a first draft".to_owned()
    } else {
        agent.to_owned()
    }
}

/// What a person does next.
fn next(view: &SpecView, flags: &str) -> Vec<String> {
    let id = view.id;
    match view.status {
        Status::Completed => vec![
            format!("  next          specline tasks{flags} --spec {id}"),
            format!("                specline show{flags} {id}"),
        ],
        Status::Failed => {
            let phase = view.error.as_ref().map_or("explore", |error| error.phase.as_str());
            vec![
                format!("  why           specline show{flags} {id}"),
                format!("  again         specline retry{flags} {id} --from {phase}"),
            ]
        }
        Status::AwaitingApproval => {
            let waiting = view.phases.iter().find(|p| p.status == PhaseStatus::AwaitingApproval);
            let phase = waiting.map_or("", |waiting| waiting.phase.as_str());
            vec![
                format!("  look          specline approve{flags} {id} {phase}"),
                format!("  or            specline reject{flags} {id} {phase} --feedback TEXT"),
            ]
        }
        Status::Paused | Status::Draft | Status::Executing => {
            vec![format!("  next          specline resume{flags} {id}")]
        }
        Status::Cancelled | Status::Unknown => Vec::new(),
    }
}
