//! What is the same for every call of git: the settings, variables and options that keep it from
//! running programs and from the network, whatever any configuration says.

/// The caller's variables that reach git: none of `GIT_*`, and nothing that holds a secret.
/// `SUDO_UID` is what git's own check of owners goes by under `sudo`.
pub(super) const PASSED: [&str; 9] = [
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "TMPDIR",
    "USER",
    "LOGNAME",
    "SUDO_UID",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
];

/// A missing object of a partial clone stays missing: fetching it would run what its remote names.
/// Older gits know only the second of these.
pub(super) const VARIABLES: [(&str, &str); 14] = [
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_ALLOW_PROTOCOL", ""),
    ("GIT_PROTOCOL_FROM_USER", "0"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_PAGER", "cat"),
    ("GIT_EDITOR", "false"),
    ("GIT_SEQUENCE_EDITOR", "false"),
    ("GIT_ASKPASS", "false"),
    ("SSH_ASKPASS", "false"),
    ("GIT_SSH_COMMAND", "false"),
    ("LC_ALL", "C"),
];

pub(super) const OPTIONS: [&str; 1] = ["--no-pager"];

/// For every call, ours or in a person's repository. What stands on the command line wins over
/// every file, also one that is included.
pub(super) const SETTINGS: [&str; 34] = [
    "safe.bareRepository=explicit",
    "protocol.allow=never",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.pager=cat",
    "core.editor=false",
    "core.askPass=false",
    "core.sshCommand=false",
    "core.gitProxy=false",
    "core.alternateRefsCommand=false",
    "core.attributesFile=/dev/null",
    "core.quotePath=false",
    "sequence.editor=false",
    "credential.helper=",
    "diff.external=",
    "interactive.diffFilter=",
    "gpg.program=false",
    "gpg.openpgp.program=false",
    "gpg.x509.program=false",
    "gpg.ssh.program=false",
    "gpg.ssh.defaultKeyCommand=false",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "push.gpgSign=false",
    "log.showSignature=false",
    "log.mailmap=false",
    "uploadpack.packObjectsHook=false",
    "gc.recentObjectsHook=",
    "gc.autoDetach=false",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "init.templateDir=",
    "advice.detachedHead=false",
];

/// For calls on our own repositories: content goes in and out as it is, and is on disk after.
pub(super) const EXACT: [&str; 9] = [
    "core.autocrlf=false",
    "core.symlinks=true",
    "core.fileMode=true",
    "core.protectNTFS=false",
    "core.protectHFS=false",
    "core.splitIndex=false",
    "core.untrackedCache=false",
    "core.fsync=committed",
    "core.fsyncMethod=batch",
];

pub(super) const IDENTITY: [(&str, &str); 4] = [
    ("GIT_AUTHOR_NAME", "Specline"),
    ("GIT_AUTHOR_EMAIL", "specline@localhost"),
    ("GIT_COMMITTER_NAME", "Specline"),
    ("GIT_COMMITTER_EMAIL", "specline@localhost"),
];
