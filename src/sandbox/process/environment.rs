//! The environment of a worker: a short list of harmless variables, what the policy names, and the
//! contract's; nothing else of the engine's own.

use std::collections::BTreeMap;

use super::folder::Folder;
use crate::agent::is_secret;
use crate::sandbox::provider::{SpawnError, SpawnRequest};

/// Names the sandbox to its worker, and every process of it to the provider.
pub const SANDBOX_ID: &str = "SPECLINE_SANDBOX_ID";
/// The file that says where the engine is: the worker reads it again when it cannot reach it.
pub const API_FILE: &str = "SPECLINE_API_FILE";
/// The file that the worker touches at every heartbeat that the engine answered.
pub const LEASE_FILE: &str = "SPECLINE_LEASE_FILE";
/// The folder for outputs that could not be handed in.
pub const OUTBOX: &str = "SPECLINE_OUTBOX";

const TOKEN: &str = "SPECLINE_TOKEN";

const ALLOWED: [&str; 6] = ["PATH", "LANG", "TZ", "TMPDIR", "TERM", "USER"];

/// `MAX_ARG_STRLEN` of Linux, 32 pages: name, `=`, value and the final NUL.
const MAX_VARIABLE_BYTES: usize = 128 * 1024;

/// The worker's environment. What stands later wins: allowed, passed, contract, the folder's files.
pub(super) fn compose(
    request: &SpawnRequest,
    folder: &Folder,
) -> Result<BTreeMap<String, String>, SpawnError> {
    let mut env = harmless();
    env.insert("HOME".to_owned(), folder.home().display().to_string());
    env.insert("TMPDIR".to_owned(), folder.temporary().display().to_string());
    env.extend(passed(&request.pass_env));
    env.extend(request.env.clone());
    env.insert(SANDBOX_ID.to_owned(), request.sandbox.to_string());
    for (name, path) in
        [(API_FILE, folder.api()), (LEASE_FILE, folder.lease()), (OUTBOX, folder.outbox())]
    {
        env.insert(name.to_owned(), path.display().to_string());
    }
    for (name, value) in &env {
        let bytes = name.len() + value.len() + 2;
        if bytes > MAX_VARIABLE_BYTES {
            let limit = MAX_VARIABLE_BYTES;
            return Err(SpawnError::VariableTooLong { name: name.clone(), bytes, limit });
        }
    }
    Ok(env)
}

/// Those of the named variables that the engine has.
pub(super) fn passed(names: &[String]) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for name in names {
        match std::env::var(name) {
            Ok(value) => drop(env.insert(name.clone(), value)),
            Err(error) => tracing::debug!(name, %error, "a passed variable is not there"),
        }
    }
    env
}

/// What of the engine's environment any program may have.
pub(super) fn harmless() -> BTreeMap<String, String> {
    let all = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut env: BTreeMap<_, _> =
        all.filter(|(name, _)| ALLOWED.contains(&&**name) || name.starts_with("LC_")).collect();
    env.entry("PATH".to_owned()).or_insert_with(|| "/usr/local/bin:/usr/bin:/bin".to_owned());
    env
}

/// Names whose values must not be seen in a log.
pub(super) fn secrets(request: &SpawnRequest, env: &BTreeMap<String, String>) -> Vec<String> {
    let is_secret = |name: &&String| env.get(*name).is_some_and(|value| is_secret(name, value));
    let passed = request.pass_env.iter().filter(is_secret).cloned();
    passed.chain([TOKEN.to_owned()]).collect()
}
