//! The worker's log: both of its output streams, secrets masked, bounded to two files.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::OFlags;

/// A longer line is broken.
const MAX_LINE_BYTES: u64 = 64 * 1024;

const TAIL_LINES: usize = 20;
const TAIL_BYTES: usize = 4096;

/// A shorter value would mask ordinary text, and protect nothing.
const MIN_SECRET_BYTES: usize = 6;

/// One file, and the one before it.
pub(super) struct Log {
    path: PathBuf,
    file: File,
    n_bytes: u64,
    max_bytes: u64,
}

impl Log {
    pub(super) fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let mut options = File::options();
        let options = options.create(true).append(true).mode(0o600).custom_flags(flags);
        let file = options.open(path)?;
        let n_bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, n_bytes, max_bytes })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let n_line = line.len() as u64;
        if self.n_bytes > 0 && self.n_bytes + n_line > self.max_bytes {
            let mut before = self.path.clone().into_os_string();
            before.push(".1");
            fs::rename(&self.path, before)?;
            *self = Self::open(&self.path, self.max_bytes)?;
        }
        self.n_bytes += n_line;
        self.file.write_all(line)
    }
}

/// The values that no log may hold.
pub(super) struct Mask(Vec<String>);

impl Mask {
    pub(super) fn new<'a>(secrets: impl Iterator<Item = &'a String>) -> Self {
        Self(secrets.filter(|value| value.len() >= MIN_SECRET_BYTES).cloned().collect())
    }

    fn apply(&self, line: &[u8]) -> Vec<u8> {
        let mut text = String::from_utf8_lossy(line).into_owned();
        for secret in self.0.iter().filter(|_| !line.is_empty()) {
            text = text.replace(secret.as_str(), "***");
        }
        text.into_bytes()
    }
}

/// The last lines of a stream.
#[derive(Default)]
pub(super) struct Tail {
    lines: VecDeque<Vec<u8>>,
    n_bytes: usize,
}

impl Tail {
    fn push(&mut self, line: &[u8]) {
        let line = line[line.len().saturating_sub(TAIL_BYTES)..].to_vec();
        self.n_bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > TAIL_LINES || self.n_bytes > TAIL_BYTES {
            let Some(first) = self.lines.pop_front() else { break };
            self.n_bytes -= first.len();
        }
    }

    pub(super) fn text(&self) -> String {
        let bytes: Vec<u8> = self.lines.iter().flatten().copied().collect();
        String::from_utf8_lossy(&bytes).trim_end().to_owned()
    }
}

/// Where the streams of one worker end.
#[derive(Clone)]
pub(super) struct Sink {
    pub log: Arc<Mutex<Log>>,
    pub mask: Arc<Mask>,
}

impl Sink {
    /// Reads `stream` to its end. A disk that is full loses lines, and never stops the worker.
    pub(super) fn drain(&self, stream: impl Read, tail: &Mutex<Tail>) {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        loop {
            line.clear();
            match reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let line = self.mask.apply(&line);
            let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = log.write(&line);
            drop(log);
            tail.lock().unwrap_or_else(PoisonError::into_inner).push(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_two_files_within_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("worker.log");
        let log = Arc::new(Mutex::new(Log::open(&path, 100).unwrap()));
        let sink = Sink { log, mask: Arc::new(Mask::new(std::iter::empty())) };
        let lines: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
        let text = lines.join("\n") + "\n";
        sink.drain(text.as_bytes(), &Mutex::default());
        let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().flatten().collect();
        names.sort_by_key(std::fs::DirEntry::file_name);
        assert_eq!(names.len(), 2);
        assert!(names.iter().all(|entry| entry.metadata().unwrap().len() <= 100));
        assert!(fs::read_to_string(&path).unwrap().ends_with("line 99\n"));
    }

    #[test]
    fn a_secret_is_masked_and_the_tail_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("worker.log");
        let log = Arc::new(Mutex::new(Log::open(&path, 1 << 20).unwrap()));
        let secret = "s3cret-value".to_owned();
        let sink = Sink { log, mask: Arc::new(Mask::new([secret].iter())) };
        let tail = Mutex::default();
        let text = format!("{}token s3cret-value\n", "x\n".repeat(500));
        sink.drain(text.as_bytes(), &tail);
        let tail = tail.into_inner().unwrap().text();
        assert!(tail.ends_with("token ***"));
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert!(!fs::read_to_string(&path).unwrap().contains("s3cret"));
    }
}
