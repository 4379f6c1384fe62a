//! Where a spec's files go: `specs/<slug>`, or with `-2`, `-3` … when that is another's.

use std::path::Path;

use specline_aggregates::SpecId;
use specline_aggregates::spec::{Spec, slug};

use super::document::Documents;
use super::repository;
use crate::engine::{Engine, EngineError};

/// Folders of one name that are tried.
const MAX_SUFFIX: u32 = 1_000;

/// The folder of the spec's files, relative to the repository. A spec keeps the one it has.
pub(super) async fn choose(
    engine: &Engine,
    spec: &Spec,
    documents: &Documents,
) -> Result<String, EngineError> {
    if let Some(folder) = kept(spec) {
        return Ok(folder);
    }
    let root = repository(spec)?;
    let slug = slug(&documents.brief.title);
    let Some(id) = spec.id() else { return Ok(format!("specs/{slug}")) };
    for n in 1..=MAX_SUFFIX {
        let folder = if n == 1 { format!("specs/{slug}") } else { format!("specs/{slug}-{n}") };
        let path = root.join(&folder);
        let free = tokio::task::spawn_blocking(move || is_free(&path, id)).await.unwrap_or(false);
        // Two specs that are synced at the same time must not meet in one folder.
        let mark = format!("folder/{}/{folder}", root.display());
        if free && engine.reserve(&mark, id).await? {
            return Ok(folder);
        }
    }
    Err(EngineError::Internal {
        what: "no free folder for the spec's files",
        cause: format!("specs/{slug} and {MAX_SUFFIX} more are taken"),
    })
}

/// The folder of an earlier plan or of files that were written.
fn kept(spec: &Spec) -> Option<String> {
    if let Some(plan) = spec.plan() {
        return Some(plan.folder.clone());
    }
    let exported = spec.exported().first()?;
    exported.path.rsplit_once('/').map(|(folder, _)| folder.to_owned())
}

/// Whether the folder is not there, is empty, or is this spec's.
fn is_free(path: &Path, spec: SpecId) -> bool {
    let Ok(mut entries) = std::fs::read_dir(path) else { return !path.exists() };
    if entries.next().is_none() {
        return true;
    }
    let trace = std::fs::read_to_string(path.join("trace.json")).unwrap_or_default();
    let trace: serde_json::Value = serde_json::from_str(&trace).unwrap_or_default();
    trace.get("spec").and_then(|id| id.as_str()) == Some(&spec.to_string())
}
