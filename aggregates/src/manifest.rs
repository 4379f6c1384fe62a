//! The manifest of a repository snapshot: which files it holds. The engine takes it, never a
//! sandbox, and every sandbox of a run gets the snapshot that it describes.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// What the two texts of a file cost beside their bytes.
const ALLOCATIONS: usize = 32;

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
    /// In the order of their paths, which are looked up by it.
    files: Vec<File>,
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
        files.shrink_to_fit();
        Self { commit, files }
    }

    /// What it takes in memory, in bytes, as good as can be said.
    #[must_use]
    pub fn weight(&self) -> usize {
        let texts = self.files.iter().map(|file| file.path.len() + file.oid.len());
        texts.sum::<usize>() + self.files.len() * (size_of::<File>() + ALLOCATIONS)
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
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).is_ok()
    }

    /// Whether `path` is a file, or a folder that holds one (a trailing `/` is allowed).
    #[must_use]
    pub fn has_path(&self, path: &str) -> bool {
        self.has_file(path) || self.has_folder(path.trim_end_matches('/'))
    }

    fn has_folder(&self, path: &str) -> bool {
        let within =
            |file: &File| file.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        // What begins with the same bytes stands together.
        let begin = format!("{path}/");
        let first = self.files.partition_point(|file| file.path < begin);
        !path.is_empty() && self.files.get(first).is_some_and(within)
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
