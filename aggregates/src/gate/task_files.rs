//! Rules for the files that tasks create and modify.

use std::collections::BTreeMap;

use crate::output::PlannedTask;

use super::path::Placed;
use super::rule::Fault;
use super::tasks::{Case, dependencies, each};
use super::text::excerpt;

/// Tasks of one output at most; the rules that look at pairs of tasks don't run beyond it.
pub(super) const MAX_TASKS: usize = 1000;

/// Every path of the output, with its place.
pub(super) fn placed<'a>(case: &Case<'a>) -> Vec<Placed<'a>> {
    let mut placed = Vec::new();
    for (n, task) in case.output.tasks.iter().enumerate() {
        let lists = [("files_create", &task.files_create), ("files_modify", &task.files_modify)];
        for (field, paths) in lists {
            let paths = paths.iter().enumerate();
            placed
                .extend(paths.map(|(i, path)| (format!("/tasks/{n}/{field}/{i}"), path.as_str())));
        }
    }
    placed
}

pub(super) fn modified_exist(case: &Case<'_>) -> Vec<Fault> {
    if case.output.tasks.len() > MAX_TASKS {
        return Vec::new();
    }
    let dependencies = dependencies(case);
    let mut creators: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for task in &case.output.tasks {
        for path in &task.files_create {
            creators.entry(path).or_default().push(&task.id);
        }
    }
    each(case, |place, task| {
        let before = dependencies.ancestors(&task.id);
        let absent = task.files_modify.iter().enumerate().filter(|(_, path)| {
            let creators = creators.get(path.as_str());
            let created = creators.is_some_and(|all| all.iter().any(|one| before.contains(one)));
            !created && !case.manifest.has_file(path)
        });
        let faults = absent.map(|(n, path)| {
            let creator = creators.get(path.as_str()).and_then(|creators| creators.first());
            let (why, mend) = explain(case, task, path, creator.copied());
            let message = format!("{} modifies {:?}, {why}", excerpt(&task.id), excerpt(path));
            Fault::new(format!("{place}/files_modify/{n}"), message, mend)
        });
        faults.collect::<Vec<_>>()
    })
}

fn explain(
    case: &Case<'_>,
    task: &PlannedTask,
    path: &str,
    creator: Option<&str>,
) -> (String, String) {
    match creator {
        Some(creator) if creator == task.id => {
            ("which it creates itself".into(), "Name it in files_create only.".into())
        }
        Some(creator) => (
            format!("which {creator} creates, but does not wait for it"),
            format!("Add {creator:?} to depends_on."),
        ),
        None if case.manifest.has_path(path) => {
            ("which is a folder".into(), "Name the files in it.".into())
        }
        None => (
            "which the repository does not have".into(),
            "Name an existing file, or put it in files_create of this task or one before.".into(),
        ),
    }
}

pub(super) fn named(case: &Case<'_>) -> Vec<Fault> {
    each(case, |place, task| {
        (task.files_create.is_empty() && task.files_modify.is_empty()).then(|| {
            let message = format!("{} names no file", excerpt(&task.id));
            let mend = "Name the files that it creates or modifies.";
            Fault::new(place, message, mend)
        })
    })
}

pub(super) fn conflicts(case: &Case<'_>) -> Vec<Fault> {
    let tasks = &case.output.tasks;
    if tasks.len() > MAX_TASKS {
        return Vec::new();
    }
    let dependencies = dependencies(case);
    let mut touched: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for task in tasks {
        for path in task.files_create.iter().chain(&task.files_modify) {
            let by = touched.entry(path).or_default();
            if by.last() != Some(&task.id.as_str()) {
                by.push(&task.id);
            }
        }
    }
    let ids = tasks.iter().map(|task| task.id.as_str());
    let before: BTreeMap<_, _> = ids.map(|id| (id, dependencies.ancestors(id))).collect();
    let mut faults = Vec::new();
    for (path, by) in touched.iter().filter(|(_, by)| by.len() > 1) {
        let pairs = (1..by.len()).flat_map(|second| (0..second).map(move |first| (first, second)));
        let parallel = pairs.into_iter().find(|(first, second)| {
            !before[by[*first]].contains(by[*second]) && !before[by[*second]].contains(by[*first])
        });
        if let Some((first, second)) = parallel {
            let (first, second) = (excerpt(by[first]), excerpt(by[second]));
            let message = format!("{first} and {second} may run at once, and both touch {path:?}");
            let mend = format!("Let {second} depend on {first}, or give each its own files.");
            faults.push(Fault::new("/tasks", message, mend));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sample;
    use crate::Phase;

    /// Messages of what fails when a fourth task, with these fields, joins the sample.
    fn failed_with(fields: &serde_json::Value) -> Vec<String> {
        let judged = sample::judge_changed(Phase::Tasks, |v| {
            let mut task = v["tasks"][0].clone();
            task["id"] = json!("TSK-900");
            task["files_create"] = json!([]);
            task["files_modify"] = json!([]);
            for (field, value) in fields.as_object().expect("an object") {
                task[field] = value.clone();
            }
            v["tasks"].as_array_mut().expect("a list").push(task);
        });
        judged.failed().map(|finding| finding.message.clone()).collect()
    }

    #[test]
    fn a_created_file_may_be_modified_by_tasks_that_wait_for_it_even_indirectly() {
        let later = json!({ "files_modify": ["src/limiter.ts"], "depends_on": ["TSK-002"] });
        assert_eq!(failed_with(&later), Vec::<String>::new());
    }

    #[test]
    fn a_created_file_may_not_be_modified_without_waiting() {
        let failed = failed_with(&json!({ "files_modify": ["src/limiter.ts"], "depends_on": [] }));
        assert!(failed[0].contains("which TSK-001 creates, but does not wait"), "{failed:?}");
        assert!(failed[1].contains("may run at once"), "{failed:?}");
    }

    #[test]
    fn a_folder_is_no_file_to_modify() {
        let failed = failed_with(&json!({ "files_modify": ["src"] }));
        assert!(failed[0].contains("which is a folder"), "{failed:?}");
        let own = json!({ "files_modify": ["new.ts"], "files_create": ["new.ts"] });
        assert!(failed_with(&own)[0].contains("which it creates itself"));
    }
}
