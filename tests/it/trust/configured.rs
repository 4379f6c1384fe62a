//! What a repository's own `.specline/config.toml` may say, and what stops every command.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::Project;

fn write(project: &Project, text: &str) {
    let folder = project.repo().join(".specline");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), text).unwrap();
}

#[test]
fn a_repository_does_not_configure_the_engine() {
    for (text, key, instead) in [
        ("[server]\ninsecure_no_auth = true\n", "server.insecure_no_auth", "--insecure-no-auth"),
        (
            "[server]\ncors_origins = [\"https://a.example\"]\n",
            "server.cors_origins",
            "--cors-origin",
        ),
        ("[server]\nlisten = \"0.0.0.0:1\"\n", "server.listen", "--listen"),
        ("[store]\nurl = \"postgres://a.example/db\"\n", "store.url", "--store"),
        ("[store]\nstate_dir = \"/tmp/x\"\n", "store.state_dir", "SPECLINE_STATE_DIR"),
        ("[sandbox]\nisolation = \"none\"\n", "sandbox.isolation", "SPECLINE_ISOLATION"),
        ("[ready]\nmax_lag_events = 7\n", "ready.max_lag_events", "--ready-max-lag-events"),
        ("[agents.a]\ncommand = \"/bin/true\"\n", "agents.a.command", "config.toml"),
        ("[evaluators.a]\ncommand = \"/bin/true\"\n", "evaluators.a.command", "config.toml"),
    ] {
        let project = Project::new();
        write(&project, text);
        for args in [&["list"][..], &["serve"], &["run", "Limit links"], &["config", "show"]] {
            let said = project.specline(args);
            assert_eq!(said.code(), 78, "{text} {args:?}: {said:?}");
            assert!(said.stderr.contains(&format!("`{key}`")), "{text}: {said:?}");
            assert!(said.stderr.contains(".specline/config.toml:2"), "{text}: {said:?}");
            assert!(said.stderr.contains(instead), "{text}: {said:?}");
            assert!(said.stderr.contains(".config/specline/config.toml"), "{text}: {said:?}");
        }
        assert!(!project.repo().join(".specline/log.db").exists(), "nothing was begun");
    }
}

#[test]
fn how_log_lines_look_may_be_said_and_the_users_own_word_goes_first() {
    let project = Project::new();
    write(&project, "[log]\nlevel = \"warn\"\nformat = \"json\"\n");
    let said = project.ok(&["config", "show", "--json"]).json().to_string();
    assert!(said.contains("\"warn\""), "{said}");
    let own = project.path("home/.config/specline");
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("config.toml"), "[log]\nlevel = \"error\"\n[server]\nrate_limit = 9\n")
        .unwrap();
    let said = project.ok(&["config", "show", "--json"]).json();
    let of = |key: &str| {
        let entry = said.as_array().unwrap().iter().find(|entry| entry["key"] == key).unwrap();
        entry["value"].as_str().unwrap().to_owned()
    };
    assert_eq!((of("log.level"), of("log.format")), ("error".into(), "json".into()));
    assert_eq!(of("server.rate_limit"), "9");
    let mut command = project.command(&["config", "show", "--json"]);
    let other = project.path("xdg");
    fs::create_dir_all(other.join("specline")).unwrap();
    fs::write(other.join("specline/config.toml"), "server.rate_limit = 11\n").unwrap();
    command.env("XDG_CONFIG_HOME", &other);
    assert!(project.start(command).wait().stdout.contains("\"11\""));
}

/// Puts something in the place of a file.
type Make = dyn Fn(&std::path::Path);

/// What is there instead of a file costs nobody their memory or their time.
#[test]
fn what_is_no_plain_file_is_refused_at_once() {
    let make: [(&str, &Make); 4] = [
        ("a link to a device", &|path| symlink("/dev/zero", path).unwrap()),
        ("a link", &|path| {
            fs::write(path.with_extension("other"), "").unwrap();
            symlink(path.with_extension("other"), path).unwrap();
        }),
        ("a FIFO", &|path| {
            let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
            assert!(made.success());
        }),
        ("a large file", &|path| {
            fs::File::create(path).unwrap().set_len(1 << 40).unwrap();
        }),
    ];
    for (what, make) in make {
        let project = Project::new();
        let folder = project.repo().join(".specline");
        fs::create_dir_all(&folder).unwrap();
        make(&folder.join("config.toml"));
        let said = project.specline(&["list"]);
        assert_eq!(said.code(), 78, "{what}: {said:?}");
        assert!(said.stderr.contains("config.toml"), "{what}: {said:?}");
        let named = folder.join("config.toml").display().to_string();
        if what != "a link" {
            let said = project.specline(&["list", "--config", &named]);
            assert_eq!(said.code(), 78, "{what}, named: {said:?}");
        }
    }
}
