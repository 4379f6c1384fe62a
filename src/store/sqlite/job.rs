//! What the writer's thread runs: jobs, and what they see of the log while they run.

use rusqlite::Connection;
use specline_aggregates::Timestamp;
use tokio::sync::oneshot;

use crate::store::recent::Recent;
use crate::store::{LogError, StreamHead, StreamId};

/// Something to write. `run` may be called a second time: after a batch was rolled back because of
/// another job, each is tried alone.
pub(super) trait Job: Send {
    /// Bytes that it writes, roughly.
    fn weight(&self) -> usize;

    fn run(&mut self, batch: &mut Batch<'_>) -> rusqlite::Result<()>;

    /// Tells the caller. `Ok` means that what `run` wrote is durable.
    fn answer(self: Box<Self>, outcome: Result<(), LogError>);
}

/// The last event of the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) position: u64,
    pub(super) recorded_at: Timestamp,
}

/// What jobs of one transaction see of the log, their predecessors' writes included.
pub(super) struct Batch<'a> {
    pub(super) connection: &'a Connection,
    /// The log's time.
    pub(super) now: Timestamp,
    pub(super) end: &'a mut End,
    pub(super) heads: &'a mut Recent<StreamId, StreamHead>,
}

impl Batch<'_> {
    pub(super) fn head(&mut self, stream: &StreamId) -> rusqlite::Result<Option<StreamHead>> {
        if let Some(head) = self.heads.get(stream) {
            return Ok(Some(*head));
        }
        super::events::head(self.connection, stream)
    }

    pub(super) fn set_head(&mut self, stream: &StreamId, head: StreamHead) {
        self.heads.insert(stream.clone(), head, 0);
    }
}

/// A job that is one function.
pub(super) struct Task<T, F> {
    work: F,
    weight: usize,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, LogError>>,
}

impl<T, F> Task<T, F>
where
    F: FnMut(&Batch<'_>) -> rusqlite::Result<T> + Send,
{
    pub(super) fn new(weight: usize, work: F) -> (Self, oneshot::Receiver<Result<T, LogError>>) {
        let (reply, answer) = oneshot::channel();
        (Self { work, weight, result: None, reply }, answer)
    }
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnMut(&Batch<'_>) -> rusqlite::Result<T> + Send,
{
    fn weight(&self) -> usize {
        self.weight
    }

    fn run(&mut self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        self.result = Some((self.work)(batch)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), LogError>) {
        let Self { result, reply, .. } = *self;
        let result = outcome.map(|()| result.expect("a job that was committed has run"));
        // The caller may have gone; what was written stays.
        let _ = reply.send(result);
    }
}
