//! What others say never steers a terminal.

use serde_json::json;

use crate::support::{Agent, Project};

/// A window's title, a colour, a bell, a C1 sequence, DEL, and marks that turn text around.
const EVIL: &str =
    "\u{1b}]0;owned\u{7}\u{1b}[31m\u{9b}2J\u{7f}\u{202e}txt.exe\u{2066}\u{200f}\u{61c}\u{8}";

/// The first character of `text` that a terminal would obey.
fn control(text: &str) -> Option<char> {
    let obeyed = |c: &char| {
        (c.is_control() && *c != '\n' && *c != '\t')
            || matches!(*c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            || matches!(*c, '\u{200e}' | '\u{200f}' | '\u{61c}')
    };
    text.chars().find(obeyed)
}

#[test]
fn no_command_prints_what_a_terminal_obeys() {
    let project = Project::new();
    for phase in ["explore", "requirements", "design", "tasks"] {
        let text = Agent::answer(phase).to_string();
        let text = text.replacen(": \"", &format!(": \"{}", escaped()), 1);
        std::fs::write(project.agent.path(&format!("answer.{phase}.json")), text).unwrap();
    }
    let say = format!("printf '%s\\n' \"$(cat {})\" >&2", project.path("evil").display());
    std::fs::write(project.path("evil"), EVIL).unwrap();
    project.agent.on("all", &say);
    let title = format!("Limit {EVIL} links");
    let said = project.run(&["--title", &title]);
    let spec = project.spec();
    let mut all = vec![(vec!["run"], said.stderr)];
    for args in [
        vec!["list"],
        vec!["show", &spec],
        vec!["timeline", &spec],
        vec!["events"],
        vec!["tasks"],
        vec!["requirements", &spec],
        vec!["checkpoints", &spec],
        vec!["events", &spec],
        vec!["replay", &spec],
        vec!["diff", &spec, "--from", "1"],
        vec!["show", EVIL],
        vec!["cancel", &spec, "--reason", EVIL],
        vec!["retry", &spec, "--from", "design"],
    ] {
        let said = project.specline(&args);
        all.push((args.clone(), said.stdout));
        all.push((args, said.stderr));
    }
    for (args, text) in all {
        assert_eq!(control(&text), None, "{args:?}: {text:?}");
    }
    let json = project.ok(&["show", &spec, "--json"]);
    assert!(json.json()["title"].as_str().unwrap().contains(EVIL), "JSON stays as it is");
}

fn escaped() -> String {
    let text = json!(EVIL).to_string();
    text.trim_matches('"').to_owned()
}

/// Lines of the log name what others gave.
#[test]
fn no_log_line_carries_it() {
    let project = Project::new();
    let mut command = project.command(&["run", "Limit links", "--agent", "command:/no/such"]);
    command.env("SPECLINE_LOG", "debug").env("SPECLINE_ACTOR", EVIL);
    let fails = format!("printf '%s\\n' \"$(cat {})\" >&2; exit 1", project.path("evil").display());
    std::fs::write(project.path("evil"), EVIL).unwrap();
    let line = format!("command:/bin/sh -c '{}'", fails.replace('\'', "'\\''"));
    command = {
        let mut again = project.command(&["run", "Limit links", "--agent", &line]);
        again.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        again
    };
    let said = project.start(command).wait();
    assert_eq!(said.code(), 1, "{said:?}");
    assert!(said.stderr.contains("txt.exe"), "it was told: {said:?}");
    assert_eq!(control(&said.stderr), None, "{:?}", said.stderr);
}
