//! The manifest of a repository snapshot: which files it holds. The engine takes it, never a
//! sandbox, and every sandbox of a run gets the snapshot that it describes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// One file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Relative to the repository root, with `/`.
    pub path: String,
    pub bytes: u64,
    /// The git object id of its content.
    pub oid: String,
}

/// The files of one snapshot, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub struct Manifest {
    commit: String,
    files: Vec<File>,
    paths: BTreeSet<String>,
    folders: BTreeSet<String>,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    commit: String,
    files: Vec<File>,
}

impl Manifest {
    /// `commit` is the snapshot's commit id.
    #[must_use]
    pub fn new(commit: String, mut files: Vec<File>) -> Self {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let paths: BTreeSet<String> = files.iter().map(|f| f.path.clone()).collect();
        let mut folders = BTreeSet::new();
        for path in &paths {
            let ends = path.match_indices('/').map(|(i, _)| i);
            folders.extend(ends.map(|end| path[..end].to_owned()));
        }
        Self { commit, files, paths, folders }
    }

    #[must_use]
    pub fn commit(&self) -> &str {
        &self.commit
    }

    #[must_use]
    pub fn files(&self) -> &[File] {
        &self.files
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    #[must_use]
    pub fn has_file(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// Whether `path` is a file, or a folder that holds one (a trailing `/` is allowed).
    #[must_use]
    pub fn has_path(&self, path: &str) -> bool {
        self.has_file(path) || self.folders.contains(path.trim_end_matches('/'))
    }

    /// Digest of the JSON form.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_json().as_bytes())
    }

    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers are always valid JSON")
    }
}

impl From<Wire> for Manifest {
    fn from(wire: Wire) -> Self {
        Self::new(wire.commit, wire.files)
    }
}

impl From<Manifest> for Wire {
    fn from(manifest: Manifest) -> Self {
        Self { commit: manifest.commit, files: manifest.files }
    }
}
