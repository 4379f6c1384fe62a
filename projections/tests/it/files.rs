//! Read models in a folder of their own, and the few things that every test does with them.

use std::path::PathBuf;

use specline_projections::{LogId, ReadModels};
use tempfile::TempDir;
use uuid::Uuid;

use crate::world::World;

pub struct Files {
    pub folder: TempDir,
}

pub const LOG: LogId = LogId { log_id: Uuid::from_u128(7), incarnation: 1 };

impl Files {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("read.db")
    }

    pub async fn open(&self, head: u64) -> ReadModels {
        ReadModels::open(&self.path(), LOG, head).await.unwrap()
    }
}

/// Applies what the read models lack, in pages of `size`.
pub async fn catch_up(models: &ReadModels, world: &World, size: usize) {
    let mut after = models.resume_position().expect("some read model goes on");
    while after < world.head() {
        let rest = world.after(after);
        let page = &rest[..size.min(rest.len())];
        models.apply(after, page).await.unwrap();
        after = page.last().unwrap().position;
    }
}

/// The bytes of every read model.
pub async fn dump(models: &ReadModels) -> Vec<(&'static str, String)> {
    let mut dumps = Vec::new();
    for name in models.names() {
        dumps.push((name, String::from_utf8(models.dump(name).await.unwrap()).unwrap()));
    }
    dumps
}
