//! A view as Landlock rules, which the kernel holds this process to, and all that it starts, for
//! the rest of their lives. Landlock can only allow: what is hidden is what no rule names.
//!
//! What it cannot do, and bubblewrap can: give processes a namespace of their own, keep names of
//! files from being listed, and keep file modes and times from being changed.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::{View, complement};

/// The rights that rules are made for; the kernel's own may be fewer or more.
const RIGHTS: ABI = ABI::V6;

/// What the kernel must be able to hold back, or it is not worth the name: writes, renames and
/// truncation.
const LEAST: ABI = ABI::V3;

/// Devices that hold nothing.
const DEVICES: [&str; 8] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
];

/// Not enforced.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotConfined {
    #[error("the kernel does not enforce Landlock")]
    NotEnforced,
    #[error(transparent)]
    Rules(#[from] RulesetError),
}

/// Confines this thread and everything that it starts from now on.
pub(super) fn restrict(view: &View) -> Result<(), NotConfined> {
    let all = AccessFs::from_all(RIGHTS);
    let read = AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::Execute;
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    let hidden = real(&view.hidden);
    let kept: Vec<PathBuf> = hidden.iter().chain(&real(&view.protected)).cloned().collect();
    let shared = view.shared.iter().filter_map(|path| path.canonicalize().ok());
    let shared: Vec<PathBuf> = shared.flat_map(|path| complement::of(&path, &kept)).collect();
    let rules: [(Vec<PathBuf>, BitFlags<AccessFs>); 7] = [
        (vec![PathBuf::from("/")], AccessFs::ReadDir.into()),
        (complement::of(Path::new("/"), &hidden), read),
        (view.readable.clone(), read),
        (DEVICES.iter().map(PathBuf::from).collect(), device),
        (vec![PathBuf::from("/dev/shm")], all),
        (shared, all),
        (view.writable.clone(), all),
    ];
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(LEAST))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(RIGHTS))?
        .create()?;
    for (paths, access) in rules {
        ruleset = ruleset.add_rules(path_beneath_rules(paths, access))?;
    }
    match ruleset.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        RulesetStatus::NotEnforced => Err(NotConfined::NotEnforced),
    }
}

fn real(paths: &[PathBuf]) -> Vec<PathBuf> {
    paths.iter().filter_map(|path| path.canonicalize().ok()).collect()
}
