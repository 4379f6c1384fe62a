//! The log as server-sent events: what was missed is read from the log, what comes is handed out by
//! the one reader of this node. The id of each event is its position.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::Api;
use super::audit::{EventsQuery, position_of};
use super::auth::Operator;
use super::error::Refusal;
use super::extract::Query;
use crate::engine::audit::{self, Filter, Order};
use crate::engine::tail::{Listener, Live, MAX_LISTENERS, live};
use crate::engine::{Engine, EngineError};

/// A comment where nothing happens, so that both ends learn of a connection that is gone.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Events read at a time, of those that were missed.
const PAGE: usize = 200;

/// Seconds until a refused client shall come back.
const RETRY_AFTER: &str = "5";

/// Streams that are open on this node: those that still read what they missed, too.
static OPEN: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(MAX_LISTENERS);

pub(super) async fn stream(
    State(api): State<Api>,
    principal: Operator,
    headers: HeaderMap,
    Query(query): Query<EventsQuery>,
) -> Result<Response, Refusal> {
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let after = match last.or(query.after.as_deref()) {
        Some(after) => position_of(after.trim(), api.engine.log_identity())?,
        None => api.engine.head(),
    };
    let Ok(open) = OPEN.try_acquire() else { return Ok(too_many()) };
    let heartbeat = query.heartbeat.map_or(HEARTBEAT, |s| Duration::from_secs(s.clamp(1, 60)));
    let filter = query.filter(&principal);
    let engine = api.engine.clone();
    let client = Client {
        engine,
        filter,
        heartbeat,
        after,
        listener: None,
        ready: VecDeque::from([Bytes::from_static(b"retry: 1000\n\n")]),
        missed: true,
        _open: open,
    };
    let body = stream::unfold(client, |mut client| async move {
        let next = client.next().await?;
        Some((next, client))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

fn too_many() -> Response {
    let detail = "as many streams are open on this node as may be; come back in a moment";
    let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", detail);
    ([(header::RETRY_AFTER, RETRY_AFTER)], refusal).into_response()
}

/// One stream.
struct Client {
    engine: Engine,
    filter: Filter,
    heartbeat: Duration,
    /// Everything up to here was sent, or does not fit.
    after: u64,
    listener: Option<Listener>,
    ready: VecDeque<Bytes>,
    /// Events may have been missed: they are read from the log.
    missed: bool,
    _open: tokio::sync::SemaphorePermit<'static>,
}

impl Client {
    /// What to send next; the end when the engine stops or this client is too slow.
    async fn next(&mut self) -> Option<Result<Bytes, std::io::Error>> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(Ok(ready));
            }
            if self.missed {
                match self.catch_up().await {
                    Ok(()) => continue,
                    Err(error) => {
                        tracing::warn!(cause = %error, "a stream ends: the log cannot be read");
                        return None;
                    }
                }
            }
            let listener = self.listener.as_mut()?;
            let sent = self.after;
            tokio::select! {
                event = listener.events.recv() => {
                    let event: Arc<Live> = event?;
                    // What it has missed and read may also have been queued.
                    if event.position > sent {
                        self.after = event.position;
                        return Some(Ok(frame(&event)));
                    }
                }
                () = tokio::time::sleep(self.heartbeat) => {
                    return Some(Ok(Bytes::from_static(b": alive\n\n")));
                }
                () = self.engine.stopped() => return None,
            }
        }
    }

    /// Reads a page of what was missed. At the log's end it begins to listen, and reads once more
    /// up to where its queue begins.
    async fn catch_up(&mut self) -> Result<(), EngineError> {
        let head = self.engine.head();
        let query = audit::Query {
            filter: self.filter.clone(),
            order: Order::OldestFirst,
            after: Some(audit::Position(self.after)),
            limit: PAGE,
        };
        let page = self.engine.find_events(&query).await?;
        for event in page.events {
            self.after = self.after.max(event.position.0);
            if let Some(live) = live(event) {
                self.ready.push_back(frame(&live));
            }
        }
        if let Some(next) = page.next {
            self.after = self.after.max(next.0);
            return Ok(());
        }
        self.after = self.after.max(head);
        match &self.listener {
            None => {
                let listener = self.engine.listen(self.filter.clone());
                let full = || EngineError::Transient("no more streams".to_owned());
                self.listener = Some(listener.ok_or_else(full)?);
            }
            Some(listener) => {
                // A node that lags behind the log has not handed out all that was read here.
                self.missed = self.after < listener.behind;
            }
        }
        Ok(())
    }
}

fn frame(event: &Live) -> Bytes {
    Bytes::from(format!("id: {}\ndata: {}\n\n", event.position, event.json))
}
