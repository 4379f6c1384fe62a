//! The provider `process` as the engine sees it.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Signal, pidfd_send_signal};
use specline_aggregates::SandboxId;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::environment::SANDBOX_ID;
use super::folder::Folder;
use super::orders::{Ending, Record};
use super::start::{Started, start};
use super::tree::{self, Process};
use super::{environment, reap};
use crate::sandbox::files::{private_folder, remove_tree, write_whole};
use crate::sandbox::isolation::Isolation;
use crate::sandbox::provider::{
    Adopted, Cause, EXITS, Exit, Exited, Handle, Life, Listed, OrderError, Provider, SpawnError,
    SpawnRequest,
};
use crate::sandbox::snapshot::{SnapshotError, Snapshots};
