//! What one sandbox, or one evaluator, may use up of the machine.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

/// Bounds of the kernel; 0 = as much as the user has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory that one process may have for its data.
    pub memory_mb: u64,
    /// Processes and threads of the user that sandboxes run as, all together.
    pub processes: u64,
    /// Files that one process may have open.
    pub open_files: u64,
    /// Size of one file.
    pub file_mb: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_mb: 16_384, processes: 16_384, open_files: 16_384, file_mb: 16_384 }
    }
}

const MIB: u64 = 1024 * 1024;

impl Limits {
    /// Holds this process to them, and all that it starts from now on. What is lower already stays.
    pub fn apply(&self) -> std::io::Result<()> {
        let bounds = [
            (Resource::Data, self.memory_mb.saturating_mul(MIB)),
            (Resource::Nproc, self.processes),
            (Resource::Nofile, self.open_files),
            (Resource::Fsize, self.file_mb.saturating_mul(MIB)),
        ];
        for (resource, most) in bounds.into_iter().filter(|(_, most)| *most > 0) {
            let now = getrlimit(resource);
            let lower = |old: Option<u64>| Some(old.map_or(most, |old| old.min(most)));
            setrlimit(
                resource,
                Rlimit { current: lower(now.current), maximum: lower(now.maximum) },
            )?;
        }
        // A core file would hold what the program held: keys among it.
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
        Ok(())
    }

    /// In words, for `doctor`.
    #[must_use]
    pub fn describe(&self) -> String {
        let of = |most: u64, unit: &str| match most {
            0 => format!("any number of {unit}"),
            most => format!("{most} {unit}"),
        };
        format!(
            "{} a process, {}, {} a process, {} a file",
            of(self.memory_mb, "MiB of memory"),
            of(self.processes, "processes of this user"),
            of(self.open_files, "open files"),
            of(self.file_mb, "MiB")
        )
    }
}
