//! `serve` and `keys`, with the real program.

use crate::support::{Project, Running, Said, wait_for};

const EXIT_CONFIGURATION: i32 = 78;

/// A node that answers; its address.
fn served(project: &Project, args: &[&str]) -> (Running, String) {
    let args: Vec<&str> = ["serve"].iter().chain(args).copied().collect();
    let mut running = project.start(project.command(&args));
    let url = wait_for("the address", || {
        assert!(!running.has_ended(), "{}", running.stderr());
        running.stdout().lines().next().map(str::to_owned)
    });
    wait_for("it to serve", || running.stderr().contains("serving").then_some(()));
    (running, url)
}

fn stopped(running: Running) -> Said {
    running.signal(rustix::process::Signal::TERM);
    let said = running.wait();
    assert_eq!(said.code(), 0, "{said:?}");
    said
}

/// The file that the first key was put into, as the node says where.
fn first_key_file(text: &str) -> Option<std::path::PathBuf> {
    let line = text.lines().find(|line| line.contains("first access key"))?;
    line.split_whitespace().find(|word| word.starts_with('/')).map(Into::into)
}

fn keys_in(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("sl_")).collect()
}

#[test]
fn others_are_served_once_there_is_a_key() {
    let project = Project::new();
    let outside = ["serve", "--listen", "0.0.0.0:0"];
    let said = project.specline(&outside);
    assert_eq!(said.code(), EXIT_CONFIGURATION, "{said:?}");
    assert!(said.stderr.contains("specline keys create"), "{said:?}");
    let made = project.ok(&["keys", "create", "ops", "--scope", "admin"]);
    assert_eq!(keys_in(&made.stdout).len(), 1, "{made:?}");
    let (running, url) = served(&project, &["--listen", "0.0.0.0:0"]);
    assert!(url.starts_with("http://0.0.0.0:"), "{url}");
    assert!(running.stderr().contains("in the clear"), "{}", running.stderr());
    assert!(keys_in(&running.stderr()).is_empty(), "there was a key already");
    // The command line still reaches it, on loopback.
    let listed = project.ok(&["keys", "list"]);
    assert!(listed.stdout.contains("ops"), "{listed:?}");
    project.ok(&["keys", "revoke", "ops", "--reason", "lost"]);
    assert!(!project.ok(&["keys", "list"]).stdout.contains("ops"));
    assert!(project.ok(&["keys", "list", "--all"]).stdout.contains("revoked"));
    stopped(running);
    let said = project.specline(&outside);
    assert_eq!(said.code(), EXIT_CONFIGURATION, "a revoked key is none: {said:?}");
}

#[test]
fn on_loopback_the_first_key_is_made_and_shown_once() {
    let project = Project::new();
    let (running, url) = served(&project, &[]);
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    let said = stopped(running);
    let file = first_key_file(&said.stderr).unwrap_or_else(|| panic!("{said:?}"));
    let key = std::fs::read_to_string(file).unwrap();
    assert!(!project.ok(&["events", "--json"]).stdout.contains(&key[40..]));
    let (running, _) = served(&project, &[]);
    assert!(first_key_file(&stopped(running).stderr).is_none(), "shown once");
}

#[test]
fn no_auth_is_for_loopback_only() {
    let project = Project::new();
    let said = project.specline(&["serve", "--listen", "0.0.0.0:0", "--insecure-no-auth"]);
    assert_eq!(said.code(), EXIT_CONFIGURATION, "{said:?}");
    assert!(said.stderr.contains("--insecure-no-auth"), "{said:?}");
    let (running, _) = served(&project, &["--insecure-no-auth"]);
    assert!(running.stderr().contains("warning: --insecure-no-auth"), "{}", running.stderr());
    assert!(keys_in(&stopped(running).stderr).is_empty());
}

/// However it is said, it is refused in the same places and warned of as loudly.
#[test]
fn no_auth_by_environment_or_file_is_the_same() {
    let project = Project::new();
    let mut command = project.command(&["serve", "--listen", "0.0.0.0:0"]);
    command.env("SPECLINE_INSECURE_NO_AUTH", "true");
    let said = project.start(command).wait();
    assert_eq!(said.code(), EXIT_CONFIGURATION, "{said:?}");
    let folder = project.path("home/.config/specline");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), "server.insecure_no_auth = true\n").unwrap();
    let said = project.specline(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(said.code(), EXIT_CONFIGURATION, "{said:?}");
    let (running, _) = served(&project, &[]);
    let said = stopped(running);
    assert!(said.stderr.contains("NOBODY HAS TO SAY WHO THEY ARE"), "{said:?}");
    assert!(keys_in(&said.stderr).is_empty());
}

#[test]
fn what_cannot_be_served_is_told() {
    let project = Project::new();
    for (args, code, word) in [
        (vec!["--listen", "here"], 2, "--listen"),
        (vec!["--cors-origin", "*"], 2, "origin"),
        (vec!["--cors-origin", "https://a.example/path"], 2, "origin"),
        (vec!["--tls-cert", "none.pem"], 2, "--tls-key"),
        (vec!["--tls-cert", "none.pem", "--tls-key", "none.pem"], EXIT_CONFIGURATION, "none.pem"),
    ] {
        let args: Vec<&str> = ["serve"].into_iter().chain(args).collect();
        let said = project.specline(&args);
        assert_eq!(said.code(), code, "{args:?}: {said:?}");
        assert!(said.stderr.contains(word), "{args:?}: {said:?}");
    }
    for (args, word) in [
        (["keys", "create", "ci", "--scope=root"], "root"),
        (["keys", "create", "ci", "--expires=soon"], "90d"),
        (["keys", "revoke", "nobody", "--json"], "nobody"),
    ] {
        let said = project.specline(&args);
        assert_eq!(said.code(), 2, "{args:?}: {said:?}");
        assert!(said.stderr.contains(word), "{args:?}: {said:?}");
    }
}
