//! Configuration by the real program: what goes before what, and what is refused.

use std::fs;

use serde_json::Value;

use crate::support::Project;

fn write(project: &Project, text: &str) {
    let folder = project.path("home/.config/specline");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), text).unwrap();
}

/// The entry of `key` in `config show --json`.
fn entry(said: &Value, key: &str) -> Value {
    let all = said.as_array().unwrap();
    all.iter().find(|entry| entry["key"] == key).unwrap_or_else(|| panic!("{key}: {said}")).clone()
}

#[test]
fn flags_go_before_environment_before_file_before_defaults() {
    let project = Project::new();
    write(&project, "[log]\nlevel = \"warn\"\nformat = \"json\"\n[server]\nrate_limit = 9\n");
    let mut command = project.command(&["config", "show", "--json", "--log-format", "text"]);
    command.env("SPECLINE_LOG", "error");
    let said = project.start(command).wait();
    assert_eq!(said.code(), 0, "{said:?}");
    let said = said.json();
    let of = |key: &str| {
        let entry = entry(&said, key);
        (entry["value"].clone(), entry["source"]["kind"].clone(), entry["source"]["at"].clone())
    };
    assert_eq!(of("log.format"), ("text".into(), "flag".into(), "--log-format".into()));
    assert_eq!(of("log.level"), ("error".into(), "environment".into(), "SPECLINE_LOG".into()));
    let (value, kind, at) = of("server.rate_limit");
    assert_eq!((value, kind), ("9".into(), "file".into()));
    assert!(at.as_str().unwrap().ends_with("specline/config.toml:5"), "{at}");
    assert_eq!(of("server.listen"), ("127.0.0.1:0".into(), "default".into(), Value::Null));
}

#[test]
fn an_unknown_key_stops_every_command_and_says_what_was_meant() {
    let project = Project::new();
    write(&project, "[server]\nlisten = \"127.0.0.1:0\"\nadvertize = \"http://a\"\n");
    for args in [vec!["list"], vec!["serve"], vec!["config", "show"]] {
        let said = project.specline(&args);
        assert_eq!(said.code(), 78, "{args:?}: {said:?}");
        assert!(
            said.stderr.contains("config.toml:3: there is no key `server.advertize`"),
            "{said:?}"
        );
        assert!(said.stderr.contains("did you mean `server.advertise`?"), "{said:?}");
    }
}

#[test]
fn the_file_is_obeyed_and_secrets_are_hidden() {
    let project = Project::new();
    let other = project.path("other.db");
    write(&project, &format!("[store]\nurl = \"sqlite:{}\"\n", other.display()));
    assert_eq!(project.run(&[]).code(), 0);
    assert!(other.exists() && !project.repo().join(".specline/log.db").exists());

    let file = project.path("named.toml");
    fs::write(&file, "store.url = \"postgres://me:hunter2@db.internal/specs\"\n").unwrap();
    let named = file.display().to_string();
    for json in [&[][..], &["--json"]] {
        let said = project.ok(&[&["config", "show", "--config", &named], json].concat());
        assert!(said.stdout.contains("postgres://me:***@db.internal/specs"), "{said:?}");
        assert!(!said.stdout.contains("hunter2") && !said.stderr.contains("hunter2"), "{said:?}");
    }
    let said = project.specline(&["config", "show", "--config", "/nonexistent.toml"]);
    assert_eq!(said.code(), 78, "{said:?}");
}

#[test]
fn a_wrong_flag_is_a_wrong_usage() {
    let project = Project::new();
    let said = project.specline(&["serve", "--listen", "nowhere"]);
    assert_eq!(said.code(), 2, "{said:?}");
    assert!(said.stderr.contains("--listen"), "{said:?}");
    let said = project.specline(&["list", "--log-format", "xml"]);
    assert_eq!(said.code(), 2, "{said:?}");
}

/// The same three ways for what is dangerous, and for what is measured.
#[test]
fn doors_and_readiness_are_set_by_flag_environment_and_file() {
    let project = Project::new();
    write(
        &project,
        "[server]\ninsecure_no_auth = true\nmax_streams = 7\nfailed_logins_per_minute = 3\n\
         [ready]\nmax_lag_events = 11\nmax_duty_silence_seconds = 70\nmax_write_seconds = 2\n",
    );
    let of = |said: &Value, key: &str| {
        let entry = entry(said, key);
        (entry["value"].clone(), entry["source"]["kind"].clone())
    };
    let said = project.ok(&["config", "show", "--json"]).json();
    for (key, value) in [
        ("server.insecure_no_auth", "true"),
        ("server.max_streams", "7"),
        ("server.failed_logins_per_minute", "3"),
        ("ready.max_lag_events", "11"),
        ("ready.max_duty_silence_seconds", "70"),
        ("ready.max_write_seconds", "2"),
    ] {
        assert_eq!(of(&said, key), (value.into(), "file".into()), "{key}");
    }
    let mut command = project.command(&["config", "show", "--json"]);
    command.env("SPECLINE_INSECURE_NO_AUTH", "false").env("SPECLINE_MAX_STREAMS", "8");
    command.env("SPECLINE_READY_MAX_LAG_EVENTS", "12");
    let said = project.start(command).wait().json();
    assert_eq!(of(&said, "server.insecure_no_auth"), ("false".into(), "environment".into()));
    assert_eq!(of(&said, "server.max_streams"), ("8".into(), "environment".into()));
    assert_eq!(of(&said, "ready.max_lag_events"), ("12".into(), "environment".into()));
    for (args, word) in [
        (["--max-streams", "0"], "--max-streams"),
        (["--ready-max-write-seconds", "0"], "--ready-max-write-seconds"),
    ] {
        let said = project.specline(&[&["serve"], &args[..]].concat());
        assert_eq!(said.code(), 2, "{said:?}");
        assert!(said.stderr.contains(word), "{said:?}");
    }
    let mut command = project.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("SPECLINE_INSECURE_NO_AUTH", "maybe");
    let said = project.start(command).wait();
    assert_eq!(said.code(), 78, "{said:?}");
    assert!(said.stderr.contains("server.insecure_no_auth"), "{said:?}");
}
