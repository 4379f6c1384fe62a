//! One append on its way through the writer, and what its caller is told.

use specline_aggregates::{Digest, Timestamp};
use tokio::sync::oneshot;

use super::rows;
use crate::store::chain::{GENESIS, chain_hashes};
use crate::store::{Append, Appended, Expected, LogError, Position, StreamHead};

/// The answer of the writer; the append comes along where the caller has to look further.
pub(super) enum Reply {
    Appended(Appended),
    /// The key is known: the caller looks up what it stands for.
    KeyKnown(Box<Append>),
    /// The stream ends in rows of another writer: the caller adopts them.
    Foreign(Box<Append>),
    Refused(LogError),
}

/// An append that waits for the writer.
pub(super) struct Waiting {
    pub(super) append: Append,
    /// The aggregate's id as it is stored.
    pub(super) id: String,
    /// The chain's hash of each event, should the stream be where the append expects it.
    pub(super) hashes: Vec<Digest>,
    reply: oneshot::Sender<Reply>,
}

impl Waiting {
    pub(super) fn new(append: Append) -> (Self, oneshot::Receiver<Reply>) {
        let (reply, answer) = oneshot::channel();
        let hashes = chain_hashes(&append);
        let id = rows::text(&append.stream.aggregate_id);
        (Self { append, id, hashes, reply }, answer)
    }

    /// The version that it expects.
    pub(super) fn before(&self) -> u64 {
        match self.append.expected {
            Expected::NoStream => 0,
            Expected::Exact(head) => head.version,
        }
    }

    /// The end of the stream once it is written.
    pub(super) fn head(&self) -> StreamHead {
        let start = match self.append.expected {
            Expected::NoStream => StreamHead { version: 0, hash: GENESIS },
            Expected::Exact(head) => head,
        };
        self.hashes.last().map_or(start, |hash| StreamHead {
            version: start.version + self.hashes.len() as u64,
            hash: *hash,
        })
    }

    pub(super) fn written(self, position: u64, at: Timestamp) {
        let appended = Appended {
            position: Position(position),
            head: self.head(),
            recorded_at: at,
            repeated: false,
            answer: self.append.key.as_ref().map(|key| key.answer.clone()).unwrap_or_default(),
        };
        self.answer(Reply::Appended(appended));
    }

    pub(super) fn conflict(self, actual: u64) {
        let stream = self.append.stream.clone();
        self.answer(Reply::Refused(LogError::Conflict { stream, actual }));
    }

    pub(super) fn key_known(self) {
        let Self { append, reply, .. } = self;
        drop(reply.send(Reply::KeyKnown(Box::new(append))));
    }

    pub(super) fn foreign(self) {
        let Self { append, reply, .. } = self;
        drop(reply.send(Reply::Foreign(Box::new(append))));
    }

    pub(super) fn refuse(self, error: LogError) {
        self.answer(Reply::Refused(error));
    }

    fn answer(self, reply: Reply) {
        // The caller may have gone; what was written stays.
        drop(self.reply.send(reply));
    }
}
