//! Churn: how often each file was changed, from git's own log. Without git, or without a history,
//! there is none.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Commits looked at, at most.
pub(super) const MAX_COMMITS: u32 = 500;

/// Number of commits that touched each path, over the last [`MAX_COMMITS`].
pub(super) fn churn(root: &Path) -> BTreeMap<String, u32> {
    let count = format!("-n{MAX_COMMITS}");
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["-c", "core.quotePath=false", "log", &count, "--no-merges", "--no-renames"])
        .args(["--relative", "--name-only", "--pretty=format:"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_PAGER", "cat")
        .output();
    let mut counts = BTreeMap::new();
    let Ok(output) = output else {
        tracing::debug!("git is not at hand, so there is no churn");
        return counts;
    };
    if output.status.success() {
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            if !line.is_empty() {
                *counts.entry(line.to_owned()).or_insert(0) += 1;
            }
        }
    }
    counts
}
