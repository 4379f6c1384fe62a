//! A folder of our own for one measurement, removed when it is over.

use std::path::{Path, PathBuf};

use crate::cli::Failure;

use super::failed;

pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    pub(super) fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("specline-bench-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&path)
            .map_err(|error| failed(&format!("{} cannot be made", path.display()), error))?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), cause = %error, "not removed");
        }
    }
}
