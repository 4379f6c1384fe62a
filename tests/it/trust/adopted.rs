//! A log that this user did not make on this machine is read, and not obeyed.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{AGENT_PHASES, Project, Said};

/// What a program of the attacker's leaves when it runs.
const TRAP: &str = "pwned";

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
}

fn refused(said: &Said, words: &[&str]) {
    assert_eq!(said.code(), 78, "{said:?}");
    for word in words {
        assert!(said.stderr.contains(word), "{word:?}: {said:?}");
    }
}

/// A project with a spec that waits for an evaluator of `script`, as an attacker leaves it in a
/// repository.
fn waiting_for_an_evaluator(script: &str) -> Project {
    let project = Project::new();
    let judge = project.agent.path("judge.sh");
    fs::write(&judge, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&judge, fs::Permissions::from_mode(0o755)).unwrap();
    let policy = project.policy(&json!({
        "evaluators": [{ "name": "house", "command": judge, "phases": ["design"] }],
    }));
    let run = project.start_run(&["--policy", &policy]);
    project.log_when("an evaluation", |log| log.count("EvaluationRequested") == 1);
    run.kill();
    for pid in crate::support::process::all(project.root()) {
        crate::support::process::signal(pid, rustix::process::Signal::KILL);
    }
    project
}

#[test]
fn a_cloned_log_s_evaluator_is_not_run() {
    let attacker = waiting_for_an_evaluator("sleep 31536000");
    let victim = Project::new();
    let trap = victim.agent.path(TRAP);
    let script = format!("#!/bin/sh\ntouch {}\n", trap.display());
    fs::write(attacker.agent.path("judge.sh"), script).unwrap();
    copy(&attacker.repo().join(".specline"), &victim.repo().join(".specline"));
    fs::remove_file(victim.repo().join(".specline/engine.json")).unwrap();
    for args in [
        vec!["run", "Fix the typo"],
        vec!["resume"],
        vec!["serve"],
        vec!["keys", "create", "ci"],
        vec!["log", "copy", "--from", "sqlite:repo/.specline/log.db", "--to", "sqlite:x.db"],
    ] {
        let said = if args[0] == "log" {
            let mut command = Command::new(env!("CARGO_BIN_EXE_specline"));
            command.args(&args).current_dir(victim.root()).env("HOME", victim.path("home"));
            command.env("SPECLINE_STATE_DIR", victim.path("state"));
            victim.start(command).wait()
        } else {
            victim.specline(&args)
        };
        refused(&said, &["was not made by you", "specline log adopt"]);
    }
    assert!(!trap.exists());
    // It can be looked at.
    assert_eq!(victim.log().count("EvaluationRequested"), 1);
    assert_eq!(victim.specline(&["list"]).code(), 78, "which needs an engine");
}

#[test]
fn a_log_that_was_moved_is_obeyed_and_a_copy_of_it_becomes_its_own() {
    let project = Project::new();
    assert_eq!(project.run(&[]).code(), 0);
    let other = Project::new();
    copy(&project.repo().join(".specline"), &other.repo().join(".specline"));
    // Both on one machine of one user, whose state folder is shared.
    let on_copy = |args: &[&str]| {
        let mut command = other.command(args);
        command.env("SPECLINE_STATE_DIR", project.path("state"));
        other.start(command).wait()
    };
    let said = on_copy(&["resume"]);
    refused(&said, &["is a copy of", "specline log adopt --as-copy"]);
    let said = on_copy(&["log", "adopt"]);
    assert_eq!(said.code(), 2, "the original is still there: {said:?}");
    let identity = |said: &Said| said.json()["log_id"].as_str().unwrap().to_owned();
    let adopted = on_copy(&["log", "adopt", "--as-copy", "--json"]);
    assert_eq!(adopted.code(), 0, "{adopted:?}");
    assert_eq!(on_copy(&["resume"]).code(), 0);
    let secret =
        |log_id: &str| fs::read(project.path("state").join(log_id).join("secret")).unwrap();
    let copied = identity(&adopted);
    let folders = fs::read_dir(project.path("state")).unwrap().flatten();
    let logs: Vec<String> = folders
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| name.contains('-'))
        .collect();
    assert_eq!(logs.len(), 2, "{logs:?}");
    let original = logs.iter().find(|name| **name != copied).unwrap();
    assert_ne!(secret(original), secret(&copied), "the operator's token is not the same");
    // The original goes on as ever, also where its folder has another name.
    fs::rename(project.repo(), project.path("moved")).unwrap();
    fs::rename(project.path("moved"), project.repo()).unwrap();
    assert_eq!(project.ok(&["resume"]).code(), 0);
}

/// The place in which the fixture was made: its events name it.
const OLD: &str = "/tmp/specline-it-0.1";

/// Written by version 0.1 before logs were adopted: one spec done, one that waits for approval.
#[test]
fn a_log_and_state_folder_of_the_version_before_are_adopted_by_one_command() {
    let old = Path::new(OLD);
    drop(fs::remove_dir_all(old));
    fs::create_dir(old).unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/trust/old/0.1.tar.gz");
    let unpacked = Command::new("tar").args(["-xzf", fixture, "-C", OLD]).status().unwrap();
    assert!(unpacked.success());
    let project = Project::new();
    let specline = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_specline"));
        command.args(args).args(["--repo", &format!("{OLD}/repo")]).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", project.path("home"));
        command.env("SPECLINE_STATE_DIR", old.join("state")).current_dir(project.root());
        project.start(command).wait()
    };
    let said = specline(&["log", "adopt"]);
    assert_eq!(said.code(), 0, "{said:?}");
    let specs: Value = specline(&["list", "--json"]).json();
    let specs = specs.as_array().cloned().unwrap_or_else(|| vec![specs]);
    let waits = specs.iter().find(|spec| spec["status"] == "awaiting_approval").unwrap();
    let id = waits["id"].as_str().or(waits["spec"].as_str()).unwrap();
    let shown = specline(&["show", id, "--json"]).json();
    let design = shown["phases"].as_array().unwrap().iter().find(|p| p["phase"] == "design");
    let digest = design.unwrap()["digest"].as_str().unwrap();
    let said = specline(&["approve", id, "design", "--digest", digest]);
    assert_eq!(said.code(), 0, "{said:?}");
    let said = specline(&["resume", "--json"]);
    assert_eq!(said.code(), 0, "{said:?}");
    assert_eq!(specline(&["show", id, "--json"]).json()["status"], "completed");
    assert_eq!(specline(&["log", "verify"]).code(), 0);
    for file in ["log.db", "read.db", "engine.json"] {
        let path = old.join("repo/.specline").join(file);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o077, 0, "{file} is mended");
    }
    fs::remove_dir_all(old).unwrap();
}

#[test]
fn a_folder_that_others_can_exchange_is_not_used() {
    // A link.
    let project = Project::new();
    fs::create_dir(project.path("elsewhere")).unwrap();
    symlink(project.path("elsewhere"), project.repo().join(".specline")).unwrap();
    refused(&project.run(&[]), &["is a link"]);
    assert_eq!(fs::read_dir(project.path("elsewhere")).unwrap().count(), 0);
    // A folder that everybody may write to.
    let project = Project::new();
    fs::set_permissions(project.repo(), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(project.run(&[]).code(), 0, "nobody has put anything there yet");
    refused(&project.run(&[]), &["every user of this machine"]);
}

#[test]
fn what_git_tracks_is_not_used() {
    let project = Project::new();
    fs::create_dir(project.repo().join(".specline")).unwrap();
    fs::write(project.repo().join(".specline/note"), "x").unwrap();
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=x", "-c", "user.email=x@example.org"]).args(args);
        assert!(command.current_dir(project.repo()).status().unwrap().success());
    };
    git(&["add", "-f", ".specline/note"]);
    refused(&project.run(&[]), &[".specline/note", "git", "git rm"]);
    git(&["rm", "-q", "--cached", ".specline/note"]);
    assert_eq!(project.run(&[]).code(), 0);
    assert_eq!(project.agent.phases(), AGENT_PHASES);
}

/// Somebody else's folder above is not the person's.
#[test]
fn the_search_upwards_stops_at_a_folder_of_another_owner() {
    if !rustix::process::geteuid().is_root() {
        println!("needs root: skipped");
        return;
    }
    let project = Project::new();
    let above = project.path("shared");
    fs::create_dir_all(above.join(".specline")).unwrap();
    fs::create_dir_all(above.join("mine/inner")).unwrap();
    std::os::unix::fs::chown(&above, Some(65_534), Some(65_534)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_specline"));
    command.args(["list"]).current_dir(above.join("mine/inner")).env_clear();
    command.env("HOME", project.path("home")).env("SPECLINE_STATE_DIR", project.path("state"));
    refused(&project.start(command).wait(), &["there is no .specline/"]);
}

/// The secret of the tokens is in no file that people copy.
#[test]
fn a_rotated_secret_makes_old_tokens_worthless() {
    let project = Project::new();
    assert_eq!(project.run(&[]).code(), 0);
    let token = || -> String {
        let file = fs::read(project.repo().join(".specline/engine.json")).unwrap();
        let json: Value = serde_json::from_slice(&file).unwrap();
        json["operator_token"].as_str().unwrap().to_owned()
    };
    let before = token();
    assert_eq!(project.ok(&["list"]).code(), 0);
    assert_eq!(token(), before, "it is the same for as long as the secret is");
    assert_eq!(project.ok(&["keys", "rotate-secret"]).code(), 0);
    project.ok(&["keys", "list"]);
    assert_ne!(token(), before);
    for file in ["log.db", "log.db-wal", "read.db"] {
        let bytes = fs::read(project.repo().join(".specline").join(file)).unwrap_or_default();
        let secret = project.path("state");
        let log_id =
            fs::read_dir(secret).unwrap().flatten().find(|e| e.path().join("secret").exists());
        let key = fs::read(log_id.unwrap().path().join("secret")).unwrap();
        assert!(!bytes.windows(key.len()).any(|part| part == key), "{file}");
    }
}
