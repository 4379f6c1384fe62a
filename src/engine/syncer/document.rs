//! The accepted outputs of a spec, decoded, and the files that they become.

use serde_json::json;
use specline_aggregates::output::{Design, ExportedFile, IdMap, Requirements, Tasks};
use specline_aggregates::spec::{Brief, Spec};
use specline_aggregates::{Digest, Phase, SpecId, gate};

use crate::engine::{Engine, EngineError};
use crate::export::markdown;

/// What SYNC works from. The files are a function of it, so that doing it again gives the same.
pub(super) struct Documents {
    pub spec: SpecId,
    pub brief: Brief,
    pub requirements: Requirements,
    pub design: Design,
    pub tasks: Tasks,
    pub ids: IdMap,
    trace: serde_json::Value,
}

impl Engine {
    pub(super) async fn documents(&self, spec: &Spec) -> Result<Documents, EngineError> {
        let blobs = self.blobs(spec).await?;
        let earlier = spec.earlier(Phase::Sync, &blobs).map_err(|e| EngineError::refused(&e))?;
        let missing = || EngineError::Internal {
            what: "sync needs the outputs of all earlier phases",
            cause: format!("the first open phase is {:?}", spec.first_open_phase()),
        };
        let (Some(requirements), Some(design), Some(tasks)) =
            (earlier.requirements, earlier.design, earlier.tasks)
        else {
            return Err(missing());
        };
        let (Some(brief), Some(id)) = (spec.brief().cloned(), spec.id()) else {
            return Err(missing());
        };
        let ids = spec.sync_ids(&requirements, &tasks).ok_or_else(missing)?;
        let trace = trace(spec, &brief, (&requirements, &design, &tasks), &ids);
        Ok(Documents { spec: id, brief, requirements, design, tasks, ids, trace })
    }
}

impl Documents {
    /// The files under `folder`, with their contents.
    pub fn files(&self, folder: &str) -> Vec<(ExportedFile, String)> {
        let title = &self.brief.title;
        let trace = format!("{:#}\n", self.trace);
        let contents = [
            ("requirements.md", markdown::requirements(title, &self.requirements)),
            ("design.md", markdown::design(title, &self.design)),
            ("tasks.md", markdown::tasks(title, &self.tasks, &self.requirements)),
            ("trace.json", trace),
        ];
        let file = |(name, text): (&str, String)| {
            let digest = Digest::of(text.as_bytes());
            (ExportedFile { path: format!("{folder}/{name}"), digest }, text)
        };
        contents.into_iter().map(file).collect()
    }
}

fn trace(
    spec: &Spec,
    brief: &Brief,
    (requirements, design, tasks): (&Requirements, &Design, &Tasks),
    ids: &IdMap,
) -> serde_json::Value {
    let accepted = |phase: Phase| {
        let accepted = spec.accepted(phase);
        accepted.map(|done| json!({ "digest": done.digest, "score": done.score }))
    };
    let phases: serde_json::Map<String, serde_json::Value> = Phase::ALL
        .into_iter()
        .filter(|phase| phase.needs_agent())
        .map(|phase| (phase.to_string(), json!(accepted(phase))))
        .collect();
    json!({
        "spec": spec.id(),
        "title": brief.title,
        "agent": spec.policy().agent,
        "snapshot": spec.manifest().map(|manifest| &manifest.commit),
        "phases": phases,
        "coverage": gate::coverage(requirements, design, tasks),
        "ids": ids,
    })
}
