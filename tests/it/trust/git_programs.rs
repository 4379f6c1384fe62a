//! Git never runs what a repository names. Every setting whose value is a program is a trap that
//! leaves its name in a folder; the folder must stay empty, whatever command is given.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Project, Said};

/// Settings whose value git would run, or that lead to one.
const PROGRAMS: [&str; 50] = [
    "core.fsmonitor",
    "core.pager",
    "core.editor",
    "core.askPass",
    "core.sshCommand",
    "core.gitProxy",
    "core.alternateRefsCommand",
    "sequence.editor",
    "credential.helper",
    "credential.https://example.org.helper",
    "diff.external",
    "diff.trap.command",
    "diff.trap.textconv",
    "interactive.diffFilter",
    "filter.trap.clean",
    "filter.trap.smudge",
    "filter.trap.process",
    "filter.other.clean",
    "filter.other.smudge",
    "merge.trap.driver",
    "mergetool.trap.cmd",
    "difftool.trap.cmd",
    "gpg.program",
    "gpg.openpgp.program",
    "gpg.x509.program",
    "gpg.ssh.program",
    "gpg.ssh.defaultKeyCommand",
    "trailer.trap.command",
    "trailer.trap.cmd",
    "uploadpack.packObjectsHook",
    "gc.recentObjectsHook",
    "remote.origin.uploadpack",
    "remote.origin.receivepack",
    "submodule.trap.update",
    "tar.trap.command",
    "man.trap.cmd",
    "browser.trap.cmd",
    "sendemail.sendmailCmd",
    "sendemail.toCmd",
    "guitool.trap.cmd",
    "pager.log",
    "pager.config",
    "alias.log",
    "alias.ls-files",
    "alias.rev-parse",
    "alias.check-ignore",
    "alias.update-index",
    "alias.checkout",
    "alias.cat-file",
    "alias.init",
];

/// Settings that make git look for one of the above.
const LEADING: [(&str, &str); 16] = [
    ("core.fsmonitorHookVersion", "2"),
    ("core.untrackedCache", "true"),
    ("commit.gpgSign", "true"),
    ("tag.gpgSign", "true"),
    ("log.showSignature", "true"),
    ("diff.tool", "trap"),
    ("filter.trap.required", "true"),
    ("merge.tool", "trap"),
    ("gpg.format", "ssh"),
    ("protocol.allow", "always"),
    ("protocol.ext.allow", "always"),
    ("submodule.recurse", "true"),
    ("fetch.recurseSubmodules", "true"),
    ("extensions.partialClone", "origin"),
    ("remote.origin.promisor", "true"),
    ("remote.origin.partialCloneFilter", "blob:none"),
];

const HOOKS: [&str; 12] = [
    "post-checkout",
    "post-index-change",
    "pre-commit",
    "post-commit",
    "reference-transaction",
    "pre-auto-gc",
    "fsmonitor-watchman",
    "post-rewrite",
    "pre-push",
    "prepare-commit-msg",
    "commit-msg",
    "post-merge",
];

/// A program that leaves a mark, and the folder where it does.
struct Trap {
    script: PathBuf,
    marks: PathBuf,
}

impl Trap {
    fn new(project: &Project) -> Self {
        let (script, marks) = (project.path("trap"), project.path("marks"));
        fs::create_dir(&marks).unwrap();
        let text = format!("#!/bin/sh\n: > '{}/'\"${{1:-called}}\"\nexit 1\n", marks.display());
        executable(&script, &text);
        Self { script, marks }
    }

    /// The text of a configuration in which everything is a trap.
    fn settings(&self) -> String {
        let mut text = "[core]\n\trepositoryformatversion = 1\n\tbare = false\n".to_owned();
        for name in PROGRAMS {
            let bang =
                ["credential", "alias", "submodule"].iter().any(|part| name.starts_with(part));
            let bang = if bang { "!" } else { "" };
            text.push_str(&setting(name, &format!("{bang}{} {name}", self.script.display())));
        }
        for (name, value) in LEADING {
            text.push_str(&setting(name, value));
        }
        let remote = format!("ext::{} remote.origin.url", self.script.display());
        text.push_str(&setting("remote.origin.url", &remote));
        text
    }

    /// Hooks that are traps, in `folder`.
    fn hooks(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        for name in HOOKS {
            let path = folder.join(name);
            drop(fs::remove_file(&path));
            executable(
                &path,
                &format!("#!/bin/sh\nexec '{}' hook.{name}\n", self.script.display()),
            );
        }
    }

    /// The whole of `git_dir` is a trap; its own settings are gone.
    fn lay(&self, git_dir: &Path) {
        fs::write(git_dir.join("config"), self.settings()).unwrap();
        self.hooks(&git_dir.join("hooks"));
        fs::create_dir_all(git_dir.join("info")).unwrap();
        fs::write(git_dir.join("info/attributes"), ATTRIBUTES).unwrap();
    }

    fn sprung(&self) -> Vec<OsString> {
        let marks = fs::read_dir(&self.marks).unwrap();
        let mut sprung: Vec<_> = marks.map(|entry| entry.unwrap().file_name()).collect();
        sprung.sort();
        sprung
    }

    /// The traps are no dummies: git by itself, in the same place, springs one.
    fn works(&self, folder: &Path, args: &[&str]) {
        let mut git = Command::new("git");
        let _ = git.args(args).current_dir(folder).stdin(Stdio::null()).output().unwrap();
        assert!(!self.sprung().is_empty(), "git {args:?} runs nothing");
    }

    fn is_untouched(&self, when: &str) {
        let sprung = self.sprung();
        assert!(sprung.is_empty(), "{when}: git ran {sprung:?}");
    }
}

const ATTRIBUTES: &str = "* filter=trap diff=trap merge=trap\n*.rs filter=other\n";

fn setting(name: &str, value: &str) -> String {
    let (section, key) = name.rsplit_once('.').unwrap();
    let header = match section.split_once('.') {
        Some((section, part)) => format!("[{section} \"{part}\"]"),
        None => format!("[{section}]"),
    };
    format!("{header}\n\t{key} = \"{value}\"\n")
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn git_dir(project: &Project) -> PathBuf {
    project.repo().join(".git")
}

/// Takes the object of `name` away: a partial clone would ask its remote for it.
fn lose(project: &Project, name: &str) {
    let git =
        Command::new("git").args(["rev-parse", name]).current_dir(project.repo()).output().unwrap();
    let id = String::from_utf8(git.stdout).unwrap().trim().to_owned();
    fs::remove_file(git_dir(project).join("objects").join(&id[..2]).join(&id[2..])).unwrap();
}

/// Every command that may come near the repository, once with a spec that completes.
fn everything(project: &Project) {
    let run = project.run(&[]);
    assert_eq!(run.code(), 0, "{run:?}");
    let spec = project.spec();
    let sure = |args: &[&str]| -> Said {
        let said = project.specline(args);
        assert!(!said.stderr.contains("panicked"), "{args:?}: {said:?}");
        said
    };
    sure(&["doctor"]);
    sure(&["resume"]);
    sure(&["show", &spec]);
    sure(&["export", &spec, "--format", "markdown"]);
    let out = project.path("out").display().to_string();
    sure(&["export", &spec, "--format", "spec-kit", "--to", &out]);
    sure(&["diff", &spec, "--from", "1"]);
    sure(&["log", "verify"]);
    sure(&["config"]);
    sure(&["retry", &spec, "--from", "explore"]);
}

#[test]
fn programs_that_the_repository_names_are_not_run() {
    let project = Project::new();
    let trap = Trap::new(&project);
    fs::write(project.repo().join(".gitattributes"), ATTRIBUTES).unwrap();
    trap.lay(&git_dir(&project));
    everything(&project);
    trap.is_untouched("a repository");
    trap.works(&project.repo(), &["add", "--renormalize", "."]);
}

#[test]
fn a_partial_clone_with_a_missing_object_fetches_nothing() {
    for lost in ["HEAD:src", "HEAD^{tree}", "HEAD"] {
        let project = Project::new();
        let trap = Trap::new(&project);
        lose(&project, lost);
        trap.lay(&git_dir(&project));
        // A remote that is reached without `ext::` runs what it names all the same.
        let url = setting("remote.origin.url", &project.path("nowhere").display().to_string());
        let config = git_dir(&project).join("config");
        fs::write(&config, fs::read_to_string(&config).unwrap() + &url).unwrap();
        everything(&project);
        trap.is_untouched(lost);
        trap.works(&project.repo(), &["cat-file", "-p", lost]);
    }
}

#[test]
fn settings_that_are_included_are_settings() {
    let project = Project::new();
    let trap = Trap::new(&project);
    fs::write(project.repo().join("traps.inc"), trap.settings()).unwrap();
    let git = git_dir(&project);
    let begin = "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tworktreeConfig = true\n\
                 \tpartialClone = origin\n";
    let include = "[include]\n\tpath = ../traps.inc\n[includeIf \"gitdir:**\"]\n\
                   \tpath = ../traps.inc\n";
    fs::write(git.join("config"), format!("{begin}{include}")).unwrap();
    fs::write(git.join("config.worktree"), trap.settings()).unwrap();
    trap.hooks(&git.join("hooks"));
    lose(&project, "HEAD");
    everything(&project);
    trap.is_untouched("included settings");
    trap.works(&project.repo(), &["log", "-1"]);
}

#[test]
fn a_git_folder_elsewhere_is_no_way_around() {
    for by_link in [false, true] {
        let project = Project::new();
        let trap = Trap::new(&project);
        lose(&project, "HEAD");
        let elsewhere = project.repo().join("vendor.git");
        fs::rename(git_dir(&project), &elsewhere).unwrap();
        if by_link {
            symlink("vendor.git", git_dir(&project)).unwrap();
        } else {
            fs::write(git_dir(&project), "gitdir: vendor.git\n").unwrap();
        }
        trap.lay(&elsewhere);
        everything(&project);
        trap.is_untouched("a git folder elsewhere");
        trap.works(&project.repo(), &["log", "-1"]);
    }
}

#[test]
fn a_bare_repository_among_the_files_is_content() {
    let project = Project::new();
    let trap = Trap::new(&project);
    let bare = project.repo().join("fixtures");
    fs::rename(git_dir(&project), &bare).unwrap();
    trap.lay(&bare);
    lose_in(&bare);
    everything(&project);
    // Also where the folder that is asked for is the bare repository itself.
    let args = project.run_args(&[]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_specline"));
    command.args(&args).arg("--repo").arg(&bare).current_dir(&bare);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("HOME", project.path("home")).env("SPECLINE_STATE_DIR", project.path("state"));
    command.env("TMPDIR", project.path("tmp")).env("USER", "tester");
    let said = project.start(command).wait();
    assert_ne!(said.code(), 0, "{said:?}");
    assert!(said.stderr.contains("bare repository"), "{said:?}");
    trap.is_untouched("a bare repository");
    trap.works(&bare, &["log", "-1"]);
}

/// Every object of the bare repository is missing.
fn lose_in(bare: &Path) {
    for entry in fs::read_dir(bare.join("objects")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().len() == 2 {
            fs::remove_dir_all(path).unwrap();
        }
    }
}

#[test]
fn variables_of_the_caller_do_not_reach_git() {
    let project = Project::new();
    let trap = Trap::new(&project);
    let elsewhere = project.path("evil.git");
    fs::rename(git_dir(&project), &elsewhere).unwrap();
    project.git(&["init", "--quiet"]);
    trap.lay(&elsewhere);
    executable(
        &project.path("trap-pager"),
        &format!("#!/bin/sh\nexec '{}' variable\n", trap.script.display()),
    );
    let program = project.path("trap-pager").display().to_string();
    let args = project.run_args(&[]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    for command in [&args[..], &["doctor"], &["resume"]] {
        let mut command = project.command(command);
        command.env("GIT_DIR", &elsewhere).env("GIT_WORK_TREE", project.repo());
        command
            .env("GIT_COMMON_DIR", &elsewhere)
            .env("GIT_CONFIG_GLOBAL", elsewhere.join("config"));
        command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "core.fsmonitor");
        command.env("GIT_CONFIG_VALUE_0", &program).env("GIT_TRACE", project.path("marks/trace"));
        command.env("GIT_CONFIG_PARAMETERS", format!("'core.fsmonitor={program}'"));
        command.env("GIT_TEMPLATE_DIR", &elsewhere).env("GIT_EXTERNAL_DIFF", &program);
        for name in ["GIT_PAGER", "GIT_EDITOR", "GIT_ASKPASS", "GIT_SSH", "GIT_SSH_COMMAND"] {
            command.env(name, &program);
        }
        let said = project.start(command).wait();
        assert!([0, 1].contains(&said.code()), "{said:?}");
    }
    trap.is_untouched("variables");
    assert_eq!(project.log().count("SpecCompleted"), 1);
}

/// Git's own protection holds, and what it asks for is what a person is told.
#[test]
fn a_repository_of_another_owner_is_refused_until_it_is_trusted() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let project = Project::new();
    let trap = Trap::new(&project);
    lose(&project, "HEAD");
    trap.lay(&git_dir(&project));
    for path in [project.repo(), git_dir(&project)] {
        std::os::unix::fs::chown(path, Some(4321), None).unwrap();
    }
    let said = project.run(&[]);
    assert_ne!(said.code(), 0, "{said:?}");
    assert!(said.stderr.contains("belongs to another user"), "{said:?}");
    let repo = project.repo().display().to_string();
    assert!(said.stderr.contains(&format!("safe.directory {repo}")), "{said:?}");
    let trust = format!("[safe]\n\tdirectory = {repo}\n");
    fs::write(project.path("home/.gitconfig"), trust).unwrap();
    assert_eq!(project.run(&[]).code(), 0);
    trap.is_untouched("another's repository");
}

/// An agent that got at the private repository gets nothing run by it.
#[test]
fn the_private_repository_is_what_specline_made_it() {
    let project = Project::new();
    let trap = Trap::new(&project);
    assert_eq!(project.run(&[]).code(), 0);
    fs::write(project.repo().join(".gitattributes"), ATTRIBUTES).unwrap();
    let private = find(&project.path("state"), "snapshots.git").unwrap();
    let other = project.path("other.git");
    fs::create_dir_all(&other).unwrap();
    for redirected in [false, true] {
        if redirected {
            fs::write(private.join("commondir"), other.display().to_string()).unwrap();
            for name in ["objects", "refs"] {
                symlink(private.join(name), other.join(name)).unwrap();
            }
        }
        let at = if redirected { &other } else { &private };
        trap.lay(at);
        fs::write(at.join("config.worktree"), trap.settings()).unwrap();
        let said = project.run(&[]);
        trap.is_untouched("the private repository");
        assert_eq!(said.code(), 0, "{said:?}");
    }
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let folders = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    for path in folders {
        if path.ends_with(name) {
            return Some(path);
        }
        if let Some(found) = find(&path, name) {
            return Some(found);
        }
    }
    None
}
