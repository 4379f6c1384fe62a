//! The log as server-sent events: what was missed is read from the log, what comes is handed out by
//! the one reader of this node. The id of each event is its position.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{FutureExt, stream};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::Api;
use super::audit::position_of;
use super::auth::Principal;
use super::body::single;
use super::conditions::StreamQuery;
use super::error::Refusal;
use super::extract::Query;
use super::standing::Standing;
use crate::engine::audit::{self, Filter, Order};
use crate::engine::tail::{Listener, Live, live};
use crate::engine::{Engine, EngineError};

/// A comment where nothing happens, so that both ends learn of a connection that is gone.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Events read at a time, of those that were missed.
const PAGE: usize = 200;

/// Seconds until a refused client shall come back.
const RETRY_AFTER: u64 = 5;

pub(super) async fn stream(
    State(api): State<Api>,
    principal: Principal,
    headers: HeaderMap,
    Query(query): Query<StreamQuery>,
) -> Result<Response, Refusal> {
    let last = single(&headers, &HeaderName::from_static("last-event-id"))?;
    // What is no position is refused: a stream that began elsewhere would leave events out.
    let last = last.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let after = match last.as_deref().or(query.after.as_deref()) {
        Some(after) => position_of(after.trim(), api.engine.log_identity())?,
        None => api.engine.head(),
    };
    let Ok(open) = Arc::clone(&api.streams).try_acquire_owned() else { return Err(too_many()) };
    let standing = Standing::of(&api.engine, &principal);
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
        standing,
        sent: Instant::now(),
        over: false,
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

fn too_many() -> Refusal {
    let detail = "as many streams are open on this node as may be; come back in a moment";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", detail)
        .retry_after(RETRY_AFTER)
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
    standing: Standing,
    /// When something was sent last.
    sent: Instant,
    /// The end was said.
    over: bool,
    _open: OwnedSemaphorePermit,
}

impl Client {
    /// What to send next; the end when the engine stops, this client is too slow, or it may not
    /// listen any more.
    async fn next(&mut self) -> Option<Result<Bytes, std::io::Error>> {
        if self.over {
            return None;
        }
        let next = self.something().await;
        self.sent = Instant::now();
        Some(Ok(next))
    }

    async fn something(&mut self) -> Bytes {
        loop {
            // Before anything is handed out, also where much is.
            if self.standing.is_due()
                && let Some(why) = self.standing.look(&self.engine).await
            {
                return self.end("unauthorized", why);
            }
            if let Some(ready) = self.ready.pop_front() {
                return ready;
            }
            if self.missed {
                if let Err(error) = self.catch_up().await {
                    tracing::warn!(cause = %error, "a stream ends: the log cannot be read");
                    return self.end("unavailable", "the log cannot be read right now");
                }
                continue;
            }
            let Some(listener) = self.listener.as_mut() else {
                return self.end("unavailable", "this node cannot be listened to right now");
            };
            tokio::select! {
                event = listener.events.recv() => {
                    let Some(event) = event else { return self.cut_off() };
                    // What it has missed and read may also have been queued.
                    if event.position > self.after {
                        self.after = event.position;
                        return frame(&event);
                    }
                }
                () = self.standing.due() => {}
                () = tokio::time::sleep_until(self.sent + self.heartbeat) => {
                    return Bytes::from_static(b": alive\n\n");
                }
                () = self.engine.stopped() => return self.end("stopping", "the engine stops"),
            }
        }
    }

    /// The queue has ended.
    fn cut_off(&mut self) -> Bytes {
        match self.engine.stopped().now_or_never() {
            Some(()) => self.end("stopping", "the engine stops"),
            None => self.end("too_slow", "more came than was taken; come back with the last id"),
        }
    }

    /// The last that is said. It has no id: the client's place in the log stays what it was.
    fn end(&mut self, code: &str, why: &str) -> Bytes {
        self.over = true;
        tracing::debug!(code, why, "a stream ends");
        Bytes::from(format!("event: end\ndata: {}\n\n", json!({ "code": code, "detail": why })))
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
