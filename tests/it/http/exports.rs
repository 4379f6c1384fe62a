//! Exports: each shape of the prompts' examples as it is kept in the tree, and by API and CLI.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use specline::export::{Format, Material, files};
use specline_aggregates::{Phase, RawJson};

use super::{completed, golden};
use crate::access::Caller;
use crate::support::{Agent, Project};

fn material() -> Material {
    let view = json!({
        "id": "01990000-0000-7000-8000-000000000001", "title": "Limit links", "slug": "limit-links",
        "repository": "/repo", "agent": "builtin", "status": "completed", "phase": null, "run": 1,
        "epoch": 1, "version": 40, "attempts": {}, "phases": [], "checkpoints": [], "usage": {},
        "error": null, "files": [], "requirements": 0, "tickets": 0, "tasks": 0,
    });
    let phases = [Phase::Explore, Phase::Requirements, Phase::Design, Phase::Tasks];
    let outputs = phases.map(|phase| (phase, RawJson::of(&Agent::answer(phase.as_str())).unwrap()));
    let outputs = BTreeMap::from(outputs);
    Material {
        view: serde_json::from_value(view).unwrap(),
        description: "Limit how many links an API key may create.".to_owned(),
        created: "2026-01-31T12:00:00Z".parse().unwrap(),
        number: 7,
        explore: outputs[&Phase::Explore].decode().ok(),
        requirements: outputs[&Phase::Requirements].decode().ok(),
        design: outputs[&Phase::Design].decode().ok(),
        tasks: outputs[&Phase::Tasks].decode().ok(),
        outputs,
    }
}

#[test]
fn each_shape_is_the_one_in_the_tree() {
    let material = material();
    for format in Format::ALL {
        let parts: Vec<_> = files(format, &material)
            .iter()
            .map(|(path, text)| format!("==> {path} <==\n{text}"))
            .collect();
        let text = parts.concat();
        golden(&format!("tests/it/http/golden/{format}.txt"), &text);
    }
}

#[test]
fn each_shape_has_its_folders() {
    let material = material();
    let paths = |format| files(format, &material).into_keys().collect::<Vec<_>>();
    assert_eq!(
        paths(Format::SpecKit),
        [
            "specs/007-limit-links/plan.md",
            "specs/007-limit-links/spec.md",
            "specs/007-limit-links/tasks.md",
        ]
    );
    assert_eq!(
        paths(Format::Kiro),
        [
            ".kiro/specs/limit-links/design.md",
            ".kiro/specs/limit-links/requirements.md",
            ".kiro/specs/limit-links/tasks.md",
        ]
    );
    assert_eq!(
        paths(Format::OpenSpec),
        [
            "openspec/changes/limit-links/design.md",
            "openspec/changes/limit-links/proposal.md",
            "openspec/changes/limit-links/specs/limit-on-creating-links/spec.md",
            "openspec/changes/limit-links/tasks.md",
        ]
    );
}

#[test]
fn every_requirement_and_task_is_in_every_shape() {
    let material = material();
    let requirements = material.requirements.clone().unwrap();
    let tasks = material.tasks.clone().unwrap();
    for format in Format::ALL {
        let whole: String = files(format, &material).into_values().collect();
        for one in &requirements.requirements {
            assert!(whole.contains(&one.text), "{format} lacks {}", one.id);
        }
        for one in &tasks.tasks {
            assert!(whole.contains(&one.title), "{format} lacks {}", one.id);
        }
    }
}

#[test]
fn a_spec_that_has_only_begun_is_exported_too() {
    let mut material = material();
    (material.design, material.tasks) = (None, None);
    let whole: String = files(Format::SpecKit, &material).into_values().collect();
    assert!(whole.contains("REQ-001") && whole.contains("User Story 1"), "{whole}");
    material.requirements = None;
    for format in Format::ALL {
        assert!(!files(format, &material).is_empty(), "{format}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_exports_as_of_a_version() {
    let (lab, spec) = completed().await;
    let caller = Caller::of(&lab);
    let ask = async |more: &str| {
        let path = format!("/api/v1/specs/{spec}/export?format=kiro{more}");
        caller.operate("GET", &path, &Value::Null).await
    };
    let now = ask("").await;
    assert_eq!(now.status, 200, "{now:?}");
    assert_eq!(now.body["files"].as_object().unwrap().len(), 3);
    let then = ask("&as_of_version=1").await;
    assert_eq!(then.body["files"].as_object().unwrap().len(), 1, "{then:?}");
    assert_eq!(then.body["version"], 1);
    let never = ask("&as_of_version=100000").await;
    assert_eq!((never.status, never.code()), (404, "not_found"));
}

#[test]
fn the_command_line_writes_into_a_repository_and_goes_on_counting() {
    let project = Project::new();
    let said = project.run(&[]);
    assert_eq!(said.code(), 0, "{said:?}");
    let spec = project.spec();
    let target = project.path("other");
    std::fs::create_dir_all(target.join("specs/041-before")).unwrap();
    let to = target.display().to_string();
    let said = project.ok(&["export", &spec, "--format", "spec-kit", "--to", &to]);
    assert_eq!(said.stdout.lines().count(), 3, "{said:?}");
    for path in said.stdout.lines() {
        assert!(path.contains("/specs/042-"), "{path}");
        assert!(std::fs::metadata(path).unwrap().len() > 100, "{path}");
    }
    let json = project.ok(&["export", &spec, "--format", "json"]).json();
    assert_eq!(json["format"], "specline/1");
    assert_eq!(json["outputs"]["tasks"], Agent::answer("tasks"));
    let diff = project.ok(&["diff", &spec, "--from", "1", "--json"]).json();
    assert_eq!(diff["outputs"].as_array().unwrap().len(), 5, "{diff}");
}

/// Whoever works from an exported list ticks it off, and writes into it.
#[test]
fn what_a_person_did_with_an_exported_list_is_not_lost() {
    let project = Project::new();
    let said = project.run(&[]);
    assert_eq!(said.code(), 0, "{said:?}");
    let spec = project.spec();
    let to = project.path("other").display().to_string();
    let export = || project.ok(&["export", &spec, "--format", "kiro", "--to", &to]);
    let file =
        project.path("other/.kiro/specs/limit-how-many-links-an-api-key-may-create/tasks.md");
    export();
    let fresh = std::fs::read_to_string(&file).unwrap();
    let ticked = fresh.replacen("- [ ]", "- [x]", 2);
    std::fs::write(&file, &ticked).unwrap();
    export();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), ticked, "ticks alone are no other text");
    let noted = [ticked.as_bytes(), b"A note of mine, in Latin-1: \xfc\n"].concat();
    std::fs::write(&file, &noted).unwrap();
    let said = export();
    assert!(said.stderr.contains("tasks.md.kept-1"), "{said:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), ticked);
    let kept = file.with_file_name("tasks.md.kept-1");
    assert_eq!(std::fs::read(kept).unwrap(), noted, "byte for byte");
}
