//! No space: a clear error, nothing acknowledged that is not there, and on it goes when there is
//! space again.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use specline::store::{
    Append, Clock, EventLog, LogError, OpenError, Position, SqliteLog, StreamHead,
};

use super::backend::{Backend, Sqlite, append, event, stream};

/// Appends until the log is full, from several callers; gives back how many were acknowledged.
async fn append_until_full(log: &Arc<SqliteLog>) -> usize {
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let log = Arc::clone(log);
            tokio::spawn(async move { caller(&log).await })
        })
        .collect();
    let mut acknowledged = 0;
    for caller in callers {
        acknowledged += caller.await.unwrap();
    }
    acknowledged
}

async fn caller(log: &SqliteLog) -> usize {
    let (stream, mut head): (_, Option<StreamHead>) = (stream(), None);
    for written in 0..10_000 {
        let large = event(&"x".repeat(3_000));
        let request = Append { events: vec![large], ..append(&stream, head, &[]) };
        match log.append(request).await {
            Ok(appended) => head = Some(appended.head),
            Err(error) => {
                assert!(matches!(error, LogError::Transient { .. }), "{error}");
                return written;
            }
        }
    }
    panic!("30 MB fitted where they must not");
}

async fn count(log: &SqliteLog) -> usize {
    log.read_all(Position(0), 100_000).await.unwrap().len()
}

async fn nothing_else_is_there(log: &SqliteLog, acknowledged: usize) {
    assert!(acknowledged > 0);
    assert_eq!(count(log).await, acknowledged);
    let verified = log.verify(Position(1), Position(u64::MAX), |_| {}).await.unwrap();
    assert_eq!(verified.first_difference, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_says_so_and_goes_on_when_there_is_space() {
    let backend = Sqlite::new();
    let log = backend.store();
    log.limit_size(Some(1024 * 1024)).await.unwrap();
    let acknowledged = append_until_full(&log).await;
    let request =
        Append { events: vec![event(&"x".repeat(100_000))], ..append(&stream(), None, &[]) };
    let error = log.append(request.clone()).await.unwrap_err();
    assert!(error.to_string().contains("no space is left"), "{error}");
    nothing_else_is_there(&log, acknowledged).await;
    log.limit_size(None).await.unwrap();
    let appended = log.append(request).await.unwrap();
    assert_eq!(appended.position, Position(acknowledged as u64 + 1));
    nothing_else_is_there(&log, acknowledged + 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_fails_alone() {
    let backend = Sqlite::new();
    let log = backend.store();
    log.limit_size(Some(1024 * 1024)).await.unwrap();
    for _ in 0..10 {
        let callers: Vec<_> = (0..20)
            .map(|caller| {
                let large = caller % 10 == 5;
                let payload = "x".repeat(if large { 2 * 1024 * 1024 } else { 100 });
                let request =
                    Append { events: vec![event(&payload)], ..append(&stream(), None, &[]) };
                let log = Arc::clone(&log);
                tokio::spawn(async move { (large, log.append(request).await.is_err()) })
            })
            .collect();
        for caller in callers {
            let (large, failed) = caller.await.unwrap();
            assert_eq!(failed, large);
        }
    }
    nothing_else_is_there(&log, 180).await;
}

/// A small file system of its own, where the machine lets the test mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=3m", "none"])
            .arg(folder.path())
            .output();
        mounted.is_ok_and(|done| done.status.success()).then(|| Self(folder))
    }

    /// Says whether it worked.
    fn make_read_only(&self) -> bool {
        let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(self.path()).output();
        remounted.is_ok_and(|done| done.status.success())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).output();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_says_so_and_goes_on_when_there_is_space() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("not run: this machine lets no test mount a file system");
        return;
    };
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![0; 1024 * 1024]).unwrap();
    let log = Arc::new(SqliteLog::open(&disk.path().join("log.db"), Clock::system()).unwrap());
    let acknowledged = append_until_full(&log).await;
    nothing_else_is_there(&log, acknowledged).await;
    std::fs::remove_file(ballast).unwrap();
    let appended = log.append(append(&stream(), None, &[1])).await.unwrap();
    assert_eq!(appended.position, Position(acknowledged as u64 + 1));
    nothing_else_is_there(&log, acknowledged + 1).await;
}

#[tokio::test]
async fn a_log_on_a_disk_that_cannot_be_written_can_be_read() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("not run: this machine lets no test mount a file system");
        return;
    };
    let path = disk.path().join("a log? 100%#.db");
    super::backend::fill(&SqliteLog::open(&path, Clock::system()).unwrap(), &stream(), 3).await;
    assert!(disk.make_read_only());
    let error = SqliteLog::open(&path, Clock::system()).unwrap_err();
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error:?}");
    let reader = SqliteLog::open_read_only(&path).unwrap();
    assert_eq!(count(&reader).await, 3);
}
