//! Work that leaves no event, done once under an idempotency key: its answer is kept beside the
//! log, and a repeat gets it on every node, also after a restart.

use std::future::Future;

use serde::Serialize;
use specline_aggregates::{Digest, RawJson, derive_id};

use super::{Engine, EngineError};
use crate::commands::Keyed;
use crate::store::{Append, Blob, Expected, Key, LogError, StreamId};

/// Stands where a stream's type stands; such a stream has no event.
const REQUEST: &str = "Request";

impl Engine {
    /// Does `work`, or answers what it answered to `who` under this key before.
    pub async fn once<T: Serialize>(
        &self,
        (who, keyed): (&str, Option<&Keyed>),
        work: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<RawJson, EngineError> {
        let Some(keyed) = keyed else { return written(&work.await?) };
        let aggregate_id = derive_id(&["request", who, &keyed.key]);
        let stream = StreamId { aggregate_type: REQUEST.to_owned(), aggregate_id };
        if let Some(known) = self.inner.log.find_key(aggregate_id, &keyed.key).await? {
            if known.request != keyed.request {
                return Err(LogError::KeyReused { key: keyed.key.clone() }.into());
            }
            return self.kept(&known.answer).await;
        }
        let answer = written(&work.await?)?;
        let digest = answer.digest();
        let key =
            Key { key: keyed.key.clone(), request: keyed.request, answer: digest.to_string() };
        let blobs = vec![Blob { digest, bytes: answer.text().as_bytes().to_vec() }];
        let append = Append {
            stream,
            expected: Expected::NoStream,
            events: Vec::new(),
            key: Some(key),
            blobs,
        };
        // Of two at once, the first one's answer is everybody's.
        let appended = self.inner.log.append(append).await?;
        if appended.repeated { self.kept(&appended.answer).await } else { Ok(answer) }
    }

    async fn kept(&self, answer: &str) -> Result<RawJson, EngineError> {
        let digest: Digest = answer
            .parse()
            .map_err(|_| EngineError::Corrupt(format!("{answer:?} is no kept answer")))?;
        self.json_blob(digest).await
    }
}

fn written<T: Serialize>(answer: &T) -> Result<RawJson, EngineError> {
    RawJson::of(answer).map_err(|error| EngineError::Internal {
        what: "an answer cannot be written",
        cause: error.to_string(),
    })
}
