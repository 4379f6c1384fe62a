//! Churn: how often each file was changed, from git's own log. Without git, or without a history,
//! there is none.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::git::Git;

/// Commits looked at, at most.
pub(super) const MAX_COMMITS: u32 = 500;

/// Churn is a help, and not worth waiting for.
const LIMIT: Duration = Duration::from_secs(30);

/// Number of commits that touched each path, over the last [`MAX_COMMITS`].
pub(super) fn churn(root: &Path) -> BTreeMap<String, u32> {
    let count = format!("-n{MAX_COMMITS}");
    let answer = Git::reading(root, "read the history")
        .args(["log", &count, "--no-merges", "--no-renames", "--no-ext-diff", "--no-textconv"])
        .args(["--relative", "--name-only", "--pretty=format:"])
        .within(LIMIT)
        .answer();
    let mut counts = BTreeMap::new();
    match answer {
        Ok(Ok(names)) => {
            for line in String::from_utf8_lossy(&names).lines().filter(|line| !line.is_empty()) {
                *counts.entry(line.to_owned()).or_insert(0) += 1;
            }
        }
        // No repository, or no commit in it.
        Ok(Err(_)) => {}
        Err(error) => tracing::debug!(%error, "git told nothing, so there is no churn"),
    }
    counts
}
