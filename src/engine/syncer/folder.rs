//! Where a spec's files go: `specs/<slug>`, or with `-2`, `-3` … when that is another's.

use std::io;
use std::path::Path;

use specline_aggregates::SpecId;
use specline_aggregates::spec::{Spec, slug};

use super::document::Documents;
use super::{repository, unwritten};
use crate::engine::{Engine, EngineError};
use crate::untrusted::Folder;

/// Folders of one name that are tried.
const MAX_SUFFIX: u32 = 1_000;

/// A larger `trace.json` is not ours.
const MAX_TRACE_BYTES: u64 = 16 * 1024 * 1024;

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
        let (root_of, name) = (root.clone(), folder.clone());
        let free = tokio::task::spawn_blocking(move || is_free(&root_of, &name, id)).await;
        let free = free.map_err(io::Error::other).and_then(|free| free);
        let free = free.map_err(|error| unwritten(&error))?;
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

/// Whether the folder is not there, is empty, or is this spec's. One that is a link, or no folder,
/// is another's; `specs` itself must be a folder, for all of them lie in it.
fn is_free(root: &Path, folder: &str, spec: SpecId) -> io::Result<bool> {
    let Some((parent, name)) = folder.rsplit_once('/') else { return Ok(false) };
    let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let found = match Folder::root(root)?.folder(Path::new(parent)) {
        Ok(specs) => specs.folder(Path::new(name)),
        Err(error) if missing(&error) => return Ok(true),
        Err(error) => return Err(error),
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => return Ok(missing(&error)),
    };
    if found.is_empty() {
        return Ok(true);
    }
    let trace = found.read(Path::new("trace.json"), MAX_TRACE_BYTES).unwrap_or_default();
    let trace: serde_json::Value = serde_json::from_slice(&trace).unwrap_or_default();
    Ok(trace.get("spec").and_then(|id| id.as_str()) == Some(&spec.to_string()))
}
