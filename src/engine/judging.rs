//! Brings together what a command on an output needs beside the state: the run's manifest, and the
//! outputs that are kept as blobs.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use specline_aggregates::spec::command::Judging;
use specline_aggregates::spec::{Payload, Spec};
use specline_aggregates::{Digest, Manifest, RawJson};

use super::{Engine, EngineError};
use crate::store::recent::Recent;
use crate::store::{Blob, LogError};

/// Outputs and step results of a spec that do not stand in its state.
pub(super) type Blobs = BTreeMap<Digest, Arc<RawJson>>;

impl Engine {
    pub(super) async fn judging(&self, spec: &Spec) -> Result<Judging, EngineError> {
        let blobs = self.blobs(spec).await?;
        let Some(reference) = spec.manifest() else {
            return Ok(Judging { blobs, ..Judging::default() });
        };
        let manifest = self.manifest(reference.digest).await?;
        Ok(Judging { manifest, manifest_digest: Some(reference.digest), blobs })
    }

    pub(super) async fn blobs(&self, spec: &Spec) -> Result<Blobs, EngineError> {
        let mut blobs = BTreeMap::new();
        for digest in spec.needed_blobs() {
            blobs.insert(digest, Arc::new(self.json_blob(digest).await?));
        }
        Ok(blobs)
    }

    pub(super) async fn json_blob(&self, digest: Digest) -> Result<RawJson, EngineError> {
        RawJson::parse(self.text_blob(digest).await?).map_err(|error| corrupt(digest, &error))
    }

    async fn manifest(&self, digest: Digest) -> Result<Arc<Manifest>, EngineError> {
        let known = self.manifests().get(&digest).map(Arc::clone);
        if let Some(manifest) = known {
            return Ok(manifest);
        }
        let text = self.text_blob(digest).await?;
        let manifest: Manifest = serde_json::from_str(&text).map_err(|e| corrupt(digest, &e))?;
        let manifest = Arc::new(manifest);
        self.manifests().insert(digest, Arc::clone(&manifest), manifest.weight());
        Ok(manifest)
    }

    fn manifests(&self) -> std::sync::MutexGuard<'_, Recent<Digest, Arc<Manifest>>> {
        self.inner.manifests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn text_blob(&self, digest: Digest) -> Result<String, EngineError> {
        let bytes = self.inner.log.blob(&digest).await?.ok_or_else(|| {
            EngineError::from(LogError::Corrupt {
                place: format!("blob {digest}"),
                cause: "it is named by an event, and is not there".to_owned(),
            })
        })?;
        String::from_utf8(bytes).map_err(|error| corrupt(digest, &error))
    }
}

fn corrupt(digest: Digest, cause: &dyn std::fmt::Display) -> EngineError {
    EngineError::Corrupt(format!("blob {digest} cannot be read: {cause}"))
}

/// The blob that stands behind a payload, when it is too large for its event.
pub(super) fn blob_of(json: &RawJson) -> Vec<Blob> {
    match Payload::of(json.clone()) {
        Payload::Inline(_) => Vec::new(),
        Payload::Blob { digest, .. } => {
            vec![Blob { digest, bytes: json.text().as_bytes().to_vec() }]
        }
    }
}
