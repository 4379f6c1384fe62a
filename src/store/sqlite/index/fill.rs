//! The thread that fills the index behind the log's writer.

use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::file::{self, Reached};
use super::terms;
use crate::store::sqlite::connection;
use crate::store::{LogIdentity, Position};

/// Events read at once: some megabytes of memory, and one transaction of the index.
const PAGE: usize = 10_000;

/// Events gather for so long, so that one write of a page of the index serves many of them. A query
/// looks through as many as come in this time.
const GATHER: Duration = Duration::from_millis(100);

/// Pause after a failure (a full disk).
const PAUSE: Duration = Duration::from_secs(5);

/// What the thread is made of.
pub(super) struct Setup {
    pub log: PathBuf,
    pub index: PathBuf,
    pub identity: LogIdentity,
    pub head: watch::Receiver<Position>,
}

/// Owns the thread. Dropping it ends the thread after the page that it has in hand.
pub(super) struct Filler {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Filler {
    pub(super) fn start(setup: Setup) -> std::io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let thread = std::thread::Builder::new()
            .name("log-index".to_owned())
            .spawn(move || runtime.block_on(serve(setup, stopped)))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that fills the log's index panicked");
        }
    }
}

async fn serve(setup: Setup, mut stopped: oneshot::Receiver<()>) {
    let mut head = setup.head.clone();
    let (mut files, mut failing) = (None, false);
    loop {
        let pause = match turn(&setup, &mut files) {
            Ok(Turn::Full) => Duration::ZERO,
            Ok(Turn::End(done)) => {
                failing = false;
                tokio::select! {
                    biased;
                    _ = &mut stopped => return,
                    more = head.wait_for(|head| *head > done) => if more.is_err() { return },
                }
                GATHER
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(cause = %error, index = %setup.index.display(), "the log's \
                        index cannot be written; queries look through the log itself");
                }
                (files, failing) = (None, true);
                PAUSE
            }
        };
        if timeout(pause, &mut stopped).await.is_ok() {
            return;
        }
    }
}

/// The log, to read, and its index, to write.
struct Files {
    log: Connection,
    index: Connection,
    done: Reached,
}

enum Turn {
    /// There may be more at once.
    Full,
    End(Position),
}

fn turn(setup: &Setup, files: &mut Option<Files>) -> rusqlite::Result<Turn> {
    let files = match files {
        Some(files) => files,
        None => files.insert(Files::open(setup)?),
    };
    let n = files.fill()?;
    Ok(if n == PAGE { Turn::Full } else { Turn::End(Position(files.done.position)) })
}

impl Files {
    fn open(setup: &Setup) -> rusqlite::Result<Self> {
        let log = connection::open_reader(&setup.log)?;
        let index = file::open(&setup.index, setup.identity, &log)?;
        let done = file::reached(&index, setup.identity)?.unwrap_or_default();
        Ok(Self { log, index, done })
    }

    /// Adds the next page, and says how many events it had.
    fn fill(&mut self) -> rusqlite::Result<usize> {
        let sql = format!(
            "SELECT {}, hash FROM events WHERE position > ?1 ORDER BY position LIMIT ?2",
            terms::COLUMNS
        );
        let mut statement = self.log.prepare_cached(&sql)?;
        let mut found = statement.query((self.done.position, PAGE))?;
        let (mut n, mut postings, mut reached) = (0, Vec::new(), self.done.clone());
        while let Some(row) = found.next()? {
            let position = terms::of_row(row, &mut postings)?;
            n += 1;
            reached.position = u64::try_from(position).unwrap_or(0);
            reached.hash = row.get_ref(5)?.as_blob().ok().map(<[u8]>::to_vec);
        }
        if n > 0 {
            postings.sort_unstable();
            file::add(&self.index, &postings, &reached)?;
            self.done = reached;
        }
        Ok(n)
    }
}
