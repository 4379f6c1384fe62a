//! Rules for what EXPLORE found. An empty repository is a legal one to explore.

use crate::Phase;
use crate::output::Explore;

use super::path::{Placed, unsafe_paths};
use super::rule::{self, Fault, OutputRule, hard, soft};
use super::text::{excerpt, is_blank, length};

type Case<'a> = rule::Case<'a, Explore>;

const PHASE: Phase = Phase::Explore;
const MIN_SUMMARY_CHARS: usize = 50;
const MIN_KEY_FILES: usize = 3;

pub(super) const RULES: &[OutputRule<Explore>] = &[
    hard(
        PHASE,
        "explore.paths_safe",
        "Every path is relative to the repository root, with \"/\", and has no \"..\"",
        paths_safe,
    ),
    hard(
        PHASE,
        "explore.paths_exist",
        "Every path is a file or folder of the repository",
        paths_exist,
    ),
    hard(
        PHASE,
        "explore.explored",
        "explored_files names the files that were read (none only in an empty repository)",
        explored,
    ),
    soft(
        PHASE,
        ("explore.key_files", 3),
        "At least 3 key files (or all, if there are fewer), each with its purpose",
        key_files,
    ),
    soft(
        PHASE,
        ("explore.summary", 2),
        "The summary says something: at least 50 characters",
        summary,
    ),
    soft(PHASE, ("explore.tech_stack", 2), "tech_stack names at least one technology", tech_stack),
    soft(
        PHASE,
        ("explore.conventions", 1),
        "conventions says something of naming, testing or patterns",
        conventions,
    ),
    soft(
        PHASE,
        ("explore.related", 2),
        "related_to_feature names the files that matter to the request, each with why",
        related,
    ),
];

/// Every path of the output, with its place.
fn paths(explore: &Explore) -> Vec<Placed<'_>> {
    let mut paths: Vec<Placed<'_>> = Vec::new();
    let mut add = |list: &str, field: &str, n: usize, path| {
        paths.push((format!("/{list}/{n}{field}"), path));
    };
    for (n, file) in explore.key_files.iter().enumerate() {
        add("key_files", "/path", n, file.path.as_str());
    }
    for (n, model) in explore.existing_models.iter().enumerate() {
        add("existing_models", "/path", n, &model.path);
    }
    for (n, path) in explore.entry_points.iter().enumerate() {
        add("entry_points", "", n, path);
    }
    for (n, path) in explore.tests.paths.iter().enumerate() {
        add("tests/paths", "", n, path);
    }
    for (n, related) in explore.related_to_feature.iter().enumerate() {
        add("related_to_feature", "/path", n, &related.path);
    }
    for (n, path) in explore.explored_files.iter().enumerate() {
        add("explored_files", "", n, path);
    }
    paths
}

fn paths_safe(case: &Case<'_>) -> Vec<Fault> {
    unsafe_paths(paths(case.output), case.manifest)
}

fn paths_exist(case: &Case<'_>) -> Vec<Fault> {
    let absent = paths(case.output).into_iter().filter(|(_, path)| !case.manifest.has_path(path));
    absent
        .map(|(place, path)| {
            let message = format!("the repository has no {:?}", excerpt(path));
            Fault::new(place, message, "Name only files and folders that are there, or drop it.")
        })
        .collect()
}

fn explored(case: &Case<'_>) -> Vec<Fault> {
    if case.manifest.is_empty() || !case.output.explored_files.is_empty() {
        return Vec::new();
    }
    let mend = "Read the files that matter to the request and list them.";
    vec![Fault::new("/explored_files", "nothing was explored", mend)]
}

fn key_files(case: &Case<'_>) -> Vec<Fault> {
    let wanted = MIN_KEY_FILES.min(case.manifest.files().len());
    let purposeful = case.output.key_files.iter().filter(|file| !is_blank(&file.purpose));
    let mut named: Vec<&str> = purposeful.map(|file| file.path.as_str()).collect();
    named.sort_unstable();
    named.dedup();
    if named.len() >= wanted {
        return Vec::new();
    }
    let message = format!("{} key files have a purpose; {wanted} are wanted", named.len());
    vec![Fault::new("/key_files", message, "Name more key files, each with what it is for.")]
}

fn summary(case: &Case<'_>) -> Vec<Fault> {
    let length = length(&case.output.summary);
    if length >= MIN_SUMMARY_CHARS {
        return Vec::new();
    }
    let message = format!("the summary has {length} characters; {MIN_SUMMARY_CHARS} are wanted");
    vec![Fault::new("/summary", message, "Say what the project does and how it is built.")]
}

fn tech_stack(case: &Case<'_>) -> Vec<Fault> {
    let named = case.output.tech_stack.iter().any(|name| !is_blank(name));
    if named || case.manifest.is_empty() {
        return Vec::new();
    }
    let mend = "Name the languages, frameworks and stores in use.";
    vec![Fault::new("/tech_stack", "no technology is named", mend)]
}

fn conventions(case: &Case<'_>) -> Vec<Fault> {
    let conventions = &case.output.conventions;
    let mut said =
        conventions.naming.iter().chain(&conventions.testing).chain(&conventions.patterns);
    if said.any(|text| !is_blank(text)) || case.manifest.is_empty() {
        return Vec::new();
    }
    let mend = "Say how the code names things, how it is tested, or which patterns it follows.";
    vec![Fault::new("/conventions", "no convention is named", mend)]
}

fn related(case: &Case<'_>) -> Vec<Fault> {
    let related = &case.output.related_to_feature;
    if related.is_empty() && !case.manifest.is_empty() {
        let mend = "Name the files that the request will touch or depend on, each with why.";
        return vec![Fault::new("/related_to_feature", "no related file is named", mend)];
    }
    let silent = related.iter().enumerate().filter(|(_, related)| is_blank(&related.why));
    silent
        .map(|(n, related)| {
            let message = format!("it is not said why {:?} is related", excerpt(&related.path));
            let place = format!("/related_to_feature/{n}/why");
            Fault::new(place, message, "Say what the file has to do with the request.")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sample;
    use super::*;
    use crate::Manifest;

    #[test]
    fn each_rule_passes_on_the_sample_and_fails_on_its_own_fault() {
        sample::each_rule_fails_alone(
            PHASE,
            &[
                ("explore.paths_safe", |v| v["tests"]["paths"] = json!(["../secrets"])),
                ("explore.paths_exist", |v| v["entry_points"] = json!(["src/ghost.ts"])),
                ("explore.explored", |v| v["explored_files"] = json!([])),
                ("explore.key_files", |v| v["key_files"][0]["purpose"] = json!(" ")),
                ("explore.summary", |v| v["summary"] = json!("A service.")),
                ("explore.tech_stack", |v| v["tech_stack"] = json!([])),
                ("explore.conventions", |v| v["conventions"] = json!({ "patterns": [] })),
                ("explore.related", |v| v["related_to_feature"] = json!([])),
            ],
        );
    }

    #[test]
    fn a_silent_relation_is_found_where_it_stands() {
        let judged = sample::judge_changed(PHASE, |v| {
            v["related_to_feature"][0]["why"] = json!("");
        });
        let failed: Vec<_> = judged.failed().map(|finding| finding.place.as_str()).collect();
        assert_eq!(failed, ["/related_to_feature/0/why"]);
    }

    #[test]
    fn an_empty_repository_can_be_explored() {
        let empty = json!({
            "project_type": "greenfield", "summary": "The repository holds no file yet, so that \
            everything is still to be chosen.", "tech_stack": [], "structure": {}, "key_files": [],
            "existing_models": [], "entry_points": [], "conventions": { "patterns": [] },
            "tests": { "paths": [] }, "related_to_feature": [], "explored_files": [],
            "questions": [],
        });
        let judged = sample::judge_with(PHASE, &empty, &Manifest::new("c".into(), vec![]));
        assert!(judged.passed, "{judged:?}");
        assert_eq!(judged.score, 1000);
    }
}
