//! Finished outputs on the worker's own disk, until the engine has answered for them. What a lost
//! sandbox leaves here is handed to the next one, which submits it instead of running the agent.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use specline_aggregates::spec::MAX_OUTPUT_BYTES;
use specline_aggregates::{Digest, Phase, RawJson, Usage};

use crate::agent::Answer;
use crate::sandbox::files::{private_folder, write_whole};
use crate::untrusted::read_regular;

/// An output of the greatest size, and what stands around it.
const MAX_ENTRY_BYTES: u64 = MAX_OUTPUT_BYTES as u64 * 2 + 64 * 1024;

/// A finished output.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub phase: Phase,
    pub context_digest: Digest,
    pub output: RawJson,
    #[serde(default)]
    pub usage: Usage,
    #[serde(default)]
    pub session: Option<String>,
}

impl Entry {
    pub fn of(phase: Phase, context_digest: Digest, answer: Answer) -> Self {
        Self {
            phase,
            context_digest,
            output: answer.output,
            usage: answer.usage,
            session: answer.session,
        }
    }
}

/// The folder; without one, outputs are kept in memory only.
pub(super) struct Outbox {
    folder: Option<PathBuf>,
}

impl Outbox {
    pub const fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    fn path(&self, phase: Phase, context: Digest) -> Option<PathBuf> {
        let folder = self.folder.as_ref()?;
        Some(folder.join(format!("{phase}-{}.json", context.short())))
    }

    /// Keeps an output, durably.
    pub fn keep(&self, entry: &Entry) -> io::Result<()> {
        let Some(path) = self.path(entry.phase, entry.context_digest) else { return Ok(()) };
        if let Some(folder) = path.parent() {
            private_folder(folder)?;
        }
        write_whole(&path, &serde_json::to_vec(entry)?)
    }

    /// The output of this very phase and context, if one waits here.
    pub fn find(&self, phase: Phase, context: Digest) -> Option<Entry> {
        let bytes = read_regular(&self.path(phase, context)?, MAX_ENTRY_BYTES).ok()?;
        let entry: Entry = serde_json::from_slice(&bytes).ok()?;
        (entry.phase == phase && entry.context_digest == context).then_some(entry)
    }

    /// The engine has answered for it.
    pub fn forget(&self, phase: Phase, context: Digest) {
        if let Some(path) = self.path(phase, context) {
            // A leftover is found again, and its repeat changes nothing.
            drop(fs::remove_file(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_until_forgotten_and_finds_by_context() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::new(Some(folder.path().join("outbox")));
        let context = Digest::of(b"context");
        let output = RawJson::parse(r#"{"a": 1.10}"#.to_owned()).unwrap();
        let entry = Entry {
            phase: Phase::Design,
            context_digest: context,
            output: output.clone(),
            usage: Usage::default(),
            session: None,
        };
        outbox.keep(&entry).unwrap();
        assert_eq!(outbox.find(Phase::Design, context).unwrap().output, output);
        assert!(outbox.find(Phase::Tasks, context).is_none());
        assert!(outbox.find(Phase::Design, Digest::of(b"other")).is_none());
        outbox.forget(Phase::Design, context);
        assert!(outbox.find(Phase::Design, context).is_none());
    }
}
