//! The live end of the log, read once for all who listen: each listener has a bounded queue, and
//! one that does not keep up is cut off. It comes back with the last position that it has seen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use uuid::Uuid;

use super::audit::{Filter, Words, view};
use super::{Engine, EngineError};
use crate::store::{Position, Recorded};

/// Listeners of one node, whatever its API allows.
pub const MAX_LISTENERS: usize = 20_000;

/// Events that wait for one listener.
const QUEUE: usize = 256;

/// Events read at a time.
const PAGE: usize = 500;

/// A log that cannot be read is tried again after this.
const AGAIN: Duration = Duration::from_millis(200);

/// An event on its way to listeners.
#[derive(Debug)]
pub struct Live {
    pub position: u64,
    /// The JSON of the event, on one line.
    pub json: String,
}

/// What a listener holds. Dropping it ends its part.
pub struct Listener {
    pub events: mpsc::Receiver<Arc<Live>>,
    /// The queue has everything behind this position.
    pub behind: u64,
    _place: Place,
}

/// Who listens.
#[derive(Default)]
pub(super) struct Tail {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Everything up to here was handed out.
    position: Option<u64>,
    /// By the aggregate that they ask for: most ask for one.
    by_aggregate: HashMap<Uuid, Vec<Entry>>,
    others: Vec<Entry>,
    n: usize,
    last_id: u64,
}

struct Entry {
    id: u64,
    filter: Filter,
    queue: mpsc::Sender<Arc<Live>>,
}

/// A listener's place, given up when it goes.
struct Place {
    state: Arc<Mutex<State>>,
    id: u64,
    aggregate: Option<Uuid>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = locked(&self.state);
        state.n -= 1;
        if let Some(aggregate) = self.aggregate {
            if let Some(entries) = state.by_aggregate.get_mut(&aggregate) {
                entries.retain(|entry| entry.id != self.id);
                if entries.is_empty() {
                    state.by_aggregate.remove(&aggregate);
                }
            }
        } else {
            state.others.retain(|entry| entry.id != self.id);
        }
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// Listens to what comes; none where as many listen as may.
    #[must_use]
    pub fn listen(&self, filter: Filter) -> Option<Listener> {
        let tail = &self.inner.tail;
        let mut state = locked(&tail.state);
        if state.n >= MAX_LISTENERS || self.inner.stop.is_cancelled() {
            return None;
        }
        let behind = if let Some(position) = state.position {
            position
        } else {
            let head = self.head();
            state.position = Some(head);
            self.inner.tracker.spawn(run(self.clone()));
            head
        };
        let (queue, events) = mpsc::channel(QUEUE);
        state.n += 1;
        state.last_id += 1;
        let (id, aggregate) = (state.last_id, filter.aggregate);
        let entry = Entry { id, filter, queue };
        match aggregate {
            Some(aggregate) => state.by_aggregate.entry(aggregate).or_default().push(entry),
            None => state.others.push(entry),
        }
        let place = Place { state: Arc::clone(&tail.state), id, aggregate };
        Some(Listener { events, behind, _place: place })
    }

    /// Resolves when the engine stops.
    pub async fn stopped(&self) {
        self.inner.stop.cancelled().await;
    }
}

async fn run(engine: Engine) {
    let mut head = engine.inner.log.watch_head();
    let mut position = locked(&engine.inner.tail.state).position.unwrap_or(0);
    loop {
        tokio::select! {
            moved = head.wait_for(|head| head.0 > position) => if moved.is_err() { break },
            () = engine.inner.stop.cancelled() => break,
        }
        match hand_out(&engine, position).await {
            Ok(last) => position = last,
            Err(error) => {
                tracing::warn!(cause = %error, "the live end of the log cannot be read");
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    () = engine.inner.stop.cancelled() => break,
                }
            }
        }
    }
    // Whoever still listens sees the end of its queue.
    let mut state = locked(&engine.inner.tail.state);
    state.by_aggregate.clear();
    state.others.clear();
}

/// Hands out one page behind `position`; how far it went.
async fn hand_out(engine: &Engine, position: u64) -> Result<u64, EngineError> {
    let tail = &engine.inner.tail;
    {
        let mut state = locked(&tail.state);
        if state.n == 0 {
            // Nobody listens: whoever comes reads what is missed from the log.
            let head = engine.head().max(position);
            state.position = Some(head);
            return Ok(head);
        }
    }
    let page = engine.inner.log.read_all(Position(position), PAGE).await?;
    let last = page.last().map_or(position, |event| event.position.0);
    let mut state = locked(&tail.state);
    for event in page {
        state.hand_out(event);
    }
    state.position = Some(last);
    Ok(last)
}

impl State {
    fn hand_out(&mut self, event: Recorded) {
        let words = Words::of(&event);
        let aggregate = event.stream.aggregate_id;
        let fits = |entry: &Entry| entry.filter.fits_with(&event, &words);
        let of_one = self.by_aggregate.get(&aggregate).into_iter().flatten();
        let wanted: Vec<(u64, mpsc::Sender<Arc<Live>>)> = of_one
            .chain(&self.others)
            .filter(|entry| fits(entry))
            .map(|entry| (entry.id, entry.queue.clone()))
            .collect();
        if wanted.is_empty() {
            return;
        }
        let Some(live) = live(event).map(Arc::new) else { return };
        let full = |queue: &mpsc::Sender<Arc<Live>>| queue.try_send(Arc::clone(&live)).is_err();
        let slow: Vec<u64> =
            wanted.iter().filter(|(_, queue)| full(queue)).map(|(id, _)| *id).collect();
        if !slow.is_empty() {
            // Its queue ends behind what is in it.
            let keep = |entry: &Entry| !slow.contains(&entry.id);
            self.others.retain(keep);
            if let Some(entries) = self.by_aggregate.get_mut(&aggregate) {
                entries.retain(keep);
            }
        }
    }
}

/// An event as listeners get it; none for a row that is no JSON, which `verify` names.
#[must_use]
pub fn live(event: Recorded) -> Option<Live> {
    let position = event.position.0;
    let json = view(event).ok().and_then(|view| serde_json::to_string(&view).ok())?;
    // What is kept verbatim may hold line breaks; in valid JSON they stand between values only.
    Some(Live { position, json: json.replace(['\n', '\r'], " ") })
}
