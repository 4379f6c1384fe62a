//! Rules for the task list, and the list of them all.

use crate::Phase;
use crate::output::{PlannedTask, Tasks};

use super::graph::Dependencies;
use super::path::unsafe_paths;
use super::reference::{Names, dangling, repeated};
use super::rule::{self, Fault, OutputRule, hard, soft};
use super::task_files::{self, MAX_TASKS};
use super::text::{excerpt, is_blank, is_id, length};

pub(super) type Case<'a> = rule::Case<'a, Tasks>;

const PHASE: Phase = Phase::Tasks;
const MAX_HOURS: f64 = 4.0;
const MIN_DESCRIPTION_CHARS: usize = 40;

pub(super) const RULES: &[OutputRule<Tasks>] = &[
    hard(PHASE, "tasks.context", "Requirements and design were accepted before", context),
    hard(PHASE, "tasks.some", "There is at least one task, and at most 1000", some),
    hard(
        PHASE,
        "tasks.id_form",
        "Every id is TKT- (tickets) or TSK- (tasks) and letters, digits or dashes",
        id_form,
    ),
    hard(PHASE, "tasks.ids_unique", "No two tickets and no two tasks share an id", ids_unique),
    hard(
        PHASE,
        "tasks.references",
        "depends_on names only tasks, requirements only requirements, components only components \
         of the design",
        references,
    ),
    hard(
        PHASE,
        "tasks.acyclic",
        "Tasks do not wait for each other in a circle, nor for themselves",
        acyclic,
    ),
    hard(PHASE, "tasks.addresses", "At least one task addresses each requirement", addresses),
    hard(PHASE, "tasks.ticket", "Every task belongs to a ticket of this output", ticket),
    hard(
        PHASE,
        "tasks.paths_safe",
        "Every path is relative to the repository root, with \"/\", and has no \"..\"",
        paths_safe,
    ),
    hard(
        PHASE,
        "tasks.files_modify",
        "files_modify names only files of the repository, or files that a task before it creates",
        task_files::modified_exist,
    ),
    hard(PHASE, "tasks.criteria", "Every task has at least one criterion", criteria),
    soft(PHASE, ("tasks.hours", 2), "estimated_hours is more than 0 and at most 4", hours),
    soft(
        PHASE,
        ("tasks.files_named", 2),
        "Every task names a file that it creates or modifies",
        task_files::named,
    ),
    soft(
        PHASE,
        ("tasks.descriptions", 2),
        "Every description has at least 40 characters",
        descriptions,
    ),
    soft(
        PHASE,
        ("tasks.no_conflicts", 2),
        "No two tasks that may run at the same time touch the same file: one depends on the other",
        task_files::conflicts,
    ),
    soft(PHASE, ("tasks.tickets_used", 1), "Every ticket has a task", tickets_used),
];

/// Calls `check` for each task with its place in the output.
pub(super) fn each<I: IntoIterator<Item = Fault>>(
    case: &Case<'_>,
    check: impl Fn(&str, &PlannedTask) -> I,
) -> Vec<Fault> {
    let all = case.output.tasks.iter().enumerate();
    all.flat_map(|(n, task)| check(&format!("/tasks/{n}"), task)).collect()
}

pub(super) fn dependencies<'a>(case: &Case<'a>) -> Dependencies<'a> {
    let tasks = case.output.tasks.iter();
    Dependencies::of(tasks.map(|task| (task.id.as_str(), task.depends_on.as_slice())))
}

fn context(case: &Case<'_>) -> Vec<Fault> {
    let missing = [
        ("requirements", case.earlier.requirements.is_none()),
        ("design", case.earlier.design.is_none()),
    ];
    let missing = missing.into_iter().filter(|(_, missing)| *missing);
    missing
        .map(|(phase, _)| {
            let message = format!("there is no accepted output of the {phase} phase");
            Fault::new("", message, format!("Run the {phase} phase first."))
        })
        .collect()
}

fn some(case: &Case<'_>) -> Vec<Fault> {
    let n_tasks = case.output.tasks.len();
    if (1..=MAX_TASKS).contains(&n_tasks) {
        return Vec::new();
    }
    let mend = "Break the design into tasks of at most 4 hours each.";
    vec![Fault::new("/tasks", format!("there are {n_tasks} tasks"), mend)]
}

fn id_form(case: &Case<'_>) -> Vec<Fault> {
    let tickets = case.output.tickets.iter().map(|ticket| ticket.id.as_str());
    let tasks = case.output.tasks.iter().map(|task| task.id.as_str());
    let tickets = tickets.enumerate().map(|(n, id)| (format!("/tickets/{n}/id"), "TKT-", id));
    let tasks = tasks.enumerate().map(|(n, id)| (format!("/tasks/{n}/id"), "TSK-", id));
    let wrong = tickets.chain(tasks).filter(|(_, prefix, id)| !is_id(prefix, id));
    wrong
        .map(|(place, prefix, id)| {
            let message =
                format!("{:?} is not {prefix} and letters, digits or dashes", excerpt(id));
            Fault::new(place, message, format!("Use an id such as {prefix}001."))
        })
        .collect()
}

fn ids_unique(case: &Case<'_>) -> Vec<Fault> {
    let tickets = case.output.tickets.iter().map(|ticket| ticket.id.as_str());
    let tasks = case.output.tasks.iter().map(|task| task.id.as_str());
    let mut faults = repeated(tickets, |n| format!("/tickets/{n}/id"));
    faults.extend(repeated(tasks, |n| format!("/tasks/{n}/id")));
    faults
}

fn references(case: &Case<'_>) -> Vec<Fault> {
    let tasks: Names<'_> = case.output.tasks.iter().map(|task| task.id.as_str()).collect();
    let accepted = case.earlier.requirements.iter().flat_map(|earlier| &earlier.requirements);
    let requirements: Names<'_> = accepted.map(|requirement| requirement.id.as_str()).collect();
    let designed = case.earlier.design.iter().flat_map(|earlier| &earlier.components);
    let components: Names<'_> = designed.map(|component| component.name.as_str()).collect();
    let tickets = case.output.tickets.iter().enumerate().flat_map(|(n, ticket)| {
        let place = format!("/tickets/{n}/requirements");
        dangling(&place, &ticket.requirements, "requirement", &requirements)
    });
    let mut faults: Vec<Fault> = tickets.collect();
    faults.extend(each(case, |place, task| {
        let place = |field: &str| format!("{place}/{field}");
        let on = dangling(&place("depends_on"), &task.depends_on, "task", &tasks);
        let of = (place("requirements"), &task.requirements);
        let of = dangling(&of.0, of.1, "requirement", &requirements);
        let at = dangling(&place("components"), &task.components, "component", &components);
        on.into_iter().chain(of).chain(at)
    }));
    faults
}

fn acyclic(case: &Case<'_>) -> Vec<Fault> {
    let cycles = dependencies(case).cycles();
    cycles
        .iter()
        .map(|cycle| {
            let message = format!("tasks wait for each other: {}", cycle.join(" → "));
            let mend = "Drop one of these dependencies, so that a first task can start.";
            Fault::new("/tasks", message, mend)
        })
        .collect()
}

fn addresses(case: &Case<'_>) -> Vec<Fault> {
    let addressed = case.output.tasks.iter().flat_map(|task| &task.requirements);
    let addressed: Names<'_> = addressed.map(String::as_str).collect();
    let accepted = case.earlier.requirements.iter().flat_map(|earlier| &earlier.requirements);
    let left = accepted.filter(|requirement| !addressed.contains(requirement.id.as_str()));
    left.map(|requirement| {
        let id = &requirement.id;
        let message = format!("no task addresses {id} ({})", excerpt(&requirement.title));
        let mend = format!("Add {id} to the requirements of a task that does it.");
        Fault::new("/tasks", message, mend)
    })
    .collect()
}

fn ticket(case: &Case<'_>) -> Vec<Fault> {
    let tickets: Names<'_> = case.output.tickets.iter().map(|ticket| ticket.id.as_str()).collect();
    each(case, |place, task| {
        (!tickets.contains(task.ticket.as_str())).then(|| {
            let message = format!("there is no ticket {:?}", excerpt(&task.ticket));
            Fault::new(format!("{place}/ticket"), message, "Name a ticket of `tickets`.")
        })
    })
}

fn paths_safe(case: &Case<'_>) -> Vec<Fault> {
    unsafe_paths(task_files::placed(case), case.manifest)
}

fn criteria(case: &Case<'_>) -> Vec<Fault> {
    each(case, |place, task| {
        task.criteria.iter().all(|text| is_blank(text)).then(|| {
            let message = format!("{} has no criterion", excerpt(&task.id));
            Fault::new(format!("{place}/criteria"), message, "Say how to tell that it is done.")
        })
    })
}

fn hours(case: &Case<'_>) -> Vec<Fault> {
    each(case, |place, task| {
        let hours = task.estimated_hours;
        (!(hours > 0.0 && hours <= MAX_HOURS)).then(|| {
            let message = format!("{} is estimated at {hours} hours", excerpt(&task.id));
            let mend = "Split it into tasks of more than 0 and at most 4 hours.";
            Fault::new(format!("{place}/estimated_hours"), message, mend)
        })
    })
}

fn descriptions(case: &Case<'_>) -> Vec<Fault> {
    each(case, |place, task| {
        let length = length(&task.description);
        (length < MIN_DESCRIPTION_CHARS).then(|| {
            let id = excerpt(&task.id);
            let message = format!("the description of {id} has {length} characters");
            let mend = "Say what to do, where, and how it fits the design.";
            Fault::new(format!("{place}/description"), message, mend)
        })
    })
}

fn tickets_used(case: &Case<'_>) -> Vec<Fault> {
    let used: Names<'_> = case.output.tasks.iter().map(|task| task.ticket.as_str()).collect();
    let tickets = case.output.tickets.iter().enumerate();
    let unused = tickets.filter(|(_, ticket)| !used.contains(ticket.id.as_str()));
    unused
        .map(|(n, ticket)| {
            let message = format!("{} has no task, so it could never be done", excerpt(&ticket.id));
            Fault::new(format!("/tickets/{n}"), message, "Give it a task, or drop it.")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sample;
    use super::*;

    #[test]
    fn each_rule_passes_on_the_sample_and_fails_on_its_own_fault() {
        sample::each_rule_fails_alone(
            PHASE,
            &[
                ("tasks.some", |v| *v = json!({ "tickets": [], "tasks": [] })),
                ("tasks.id_form", |v| v["tasks"][2]["id"] = json!("task 3")),
                ("tasks.ids_unique", |v| {
                    let again = v["tickets"][0].clone();
                    v["tickets"].as_array_mut().expect("a list").push(again);
                }),
                ("tasks.references", |v| v["tasks"][1]["components"] = json!(["Ghost"])),
                ("tasks.acyclic", |v| v["tasks"][0]["depends_on"] = json!(["TSK-001"])),
                ("tasks.addresses", |v| {
                    for task in v["tasks"].as_array_mut().expect("a list") {
                        task["requirements"] = json!([]);
                    }
                }),
                ("tasks.ticket", |v| v["tasks"][0]["ticket"] = json!("TKT-404")),
                ("tasks.paths_safe", |v| v["tasks"][0]["files_create"] = json!(["../outside.ts"])),
                ("tasks.files_modify", |v| v["tasks"][0]["files_modify"] = json!(["src/ghost.ts"])),
                ("tasks.criteria", |v| v["tasks"][0]["criteria"] = json!([])),
                ("tasks.hours", |v| v["tasks"][0]["estimated_hours"] = json!(4.5)),
                ("tasks.files_named", |v| {
                    v["tasks"][2]["files_create"] = json!([]);
                    v["tasks"][2]["files_modify"] = json!([]);
                }),
                ("tasks.descriptions", |v| v["tasks"][0]["description"] = json!("Do it.")),
                ("tasks.no_conflicts", |v| {
                    v["tasks"][2]["files_create"] = json!(["src/limiter.ts"]);
                }),
                ("tasks.tickets_used", |v| {
                    let unused = json!({ "id": "TKT-009", "title": "Unused", "requirements": [] });
                    v["tickets"].as_array_mut().expect("a list").push(unused);
                }),
            ],
        );
    }

    #[test]
    fn tasks_without_the_phases_before_them_do_not_pass() {
        let judged = sample::judge_alone(PHASE);
        let context = judged.failed().filter(|finding| finding.rule == "tasks.context");
        assert_eq!(context.count(), 2);
    }

    #[test]
    fn hours_are_more_than_none() {
        for hours in [0.0, -1.0, 1e300] {
            let judged = sample::judge_changed(PHASE, |v| {
                v["tasks"][0]["estimated_hours"] = json!(hours);
            });
            let failed: Vec<_> = judged.failed().map(|finding| finding.rule.as_str()).collect();
            assert_eq!(failed, ["tasks.hours"], "{hours}");
        }
    }
}
