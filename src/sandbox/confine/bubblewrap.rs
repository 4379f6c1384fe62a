//! A view as bubblewrap's arguments.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::View;

/// A user namespace of its own, where the kernel lets one be made: root inside is not root outside.
pub(in crate::sandbox) const USER_NAMESPACE: &str = "--unshare-user-try";

/// Processes, IPC and terminal of its own; no capability; an end when its starter ends; the
/// machine's files read-only, with devices that hold nothing.
const BASE: [&str; 16] = [
    USER_NAMESPACE,
    "--unshare-pid",
    "--unshare-ipc",
    "--new-session",
    "--die-with-parent",
    "--cap-drop",
    "ALL",
    "--ro-bind",
    "/",
    "/",
    "--dev",
    "/dev",
    "--proc",
    "/proc",
    "--tmpfs",
    "/run",
];

/// What of `/run` programs need: names of hosts, and where one distribution keeps its programs.
/// Control sockets (of containers, of the user's session manager) are ways out, and not among them.
const FROM_RUN: [&str; 7] = [
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager/resolv.conf",
    "/run/nscd",
    "/run/current-system",
    "/run/booted-system",
    "/run/opengl-driver",
];

/// What stands later lies above what stands earlier.
pub(super) fn arguments(view: &View) -> Vec<OsString> {
    let mut args: Vec<OsString> = BASE.iter().map(OsString::from).collect();
    for path in FROM_RUN {
        push(&mut args, &["--ro-bind-try", path, path]);
    }
    push(&mut args, &["--remount-ro", "/run"]);
    for path in there(&view.shared) {
        bind(&mut args, "--bind", &path);
    }
    for path in there(&view.protected) {
        bind(&mut args, "--ro-bind", &path);
    }
    let covers = hide(&mut args, &there(&view.hidden));
    for path in there(&view.readable) {
        bind(&mut args, "--ro-bind", &path);
    }
    for path in there(&view.writable) {
        bind(&mut args, "--bind", &path);
    }
    for path in covers {
        args.extend(["--remount-ro".into(), path.into_os_string()]);
    }
    args
}

/// Covers each: a folder by an empty one, a file by nothing. Returns the covers over folders.
fn hide(args: &mut Vec<OsString>, hidden: &[PathBuf]) -> Vec<PathBuf> {
    let mut covers: Vec<PathBuf> = Vec::new();
    for path in hidden {
        if covers.iter().any(|cover| path.starts_with(cover)) {
            continue;
        }
        if path.is_dir() {
            args.extend(["--tmpfs".into(), path.clone().into_os_string()]);
            covers.push(path.clone());
        } else {
            args.extend(["--ro-bind".into(), "/dev/null".into(), path.clone().into_os_string()]);
        }
    }
    covers
}

/// Those that exist, under their real names, the outer ones first.
fn there(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut there: Vec<PathBuf> =
        paths.iter().filter_map(|path| path.canonicalize().ok()).collect();
    there.sort();
    there.dedup();
    there
}

fn bind(args: &mut Vec<OsString>, how: &str, path: &Path) {
    args.extend([how.into(), path.into(), path.into()]);
}

fn push(args: &mut Vec<OsString>, words: &[&str]) {
    args.extend(words.iter().map(OsString::from));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_lies_above_what_may_be_written_to_and_below_what_is_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let path = |name: &str| root.join(name);
        for folder in ["repo/.specline", "state/sandbox"] {
            std::fs::create_dir_all(path(folder)).unwrap();
        }
        std::fs::write(path("log.db"), "").unwrap();
        let view = View {
            shared: vec![root.clone()],
            protected: vec![path("repo")],
            hidden: vec![path("log.db"), path("state"), path("repo/.specline"), path("gone")],
            writable: vec![path("state/sandbox")],
            readable: Vec::new(),
        };
        let args = arguments(&view);
        let at = |how: &str, name: &str| {
            let wanted = if name.is_empty() { root.clone() } else { path(name) };
            let found = args.windows(2).position(|pair| {
                pair[0] == how && (pair[1] == wanted.as_os_str() || pair[1] == "/dev/null")
            });
            found.unwrap_or_else(|| panic!("{how} {name}: {args:?}"))
        };
        let order = [
            at("--bind", ""),
            at("--ro-bind", "repo"),
            at("--tmpfs", "repo/.specline"),
            at("--tmpfs", "state"),
            at("--bind", "state/sandbox"),
            at("--remount-ro", "state"),
        ];
        assert!(order.is_sorted(), "{args:?}");
        assert!(!args.contains(&path("gone").into_os_string()));
    }
}
