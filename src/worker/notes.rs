//! Sends what the agent says on the way to the engine's timeline, in batches. Notes may be lost;
//! outputs may not, and go another way.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;
use tokio::sync::mpsc;

use super::Client;
use super::heartbeat::Pulse;
use crate::agent::Mask;
use crate::protocol::{MAX_NOTES, Note, Notes};

/// How long notes are gathered.
const GATHER: std::time::Duration = std::time::Duration::from_millis(200);

pub(super) async fn run(
    client: Arc<Client>,
    mut waiting: mpsc::Receiver<Note>,
    mask: Mask,
    pulse: Arc<Pulse>,
) {
    while let Some(first) = waiting.recv().await {
        pulse.progressed.store(true, Ordering::Relaxed);
        let mut events = vec![masked(first, &mask)];
        tokio::time::sleep(GATHER).await;
        while let Ok(note) = waiting.try_recv() {
            events.push(masked(note, &mask));
            if events.len() >= MAX_NOTES {
                break;
            }
        }
        if let Err(error) = client.post::<Value>("/events", &Notes { events }, None).await {
            if error.is_over() {
                return;
            }
            tracing::warn!(cause = %error, "notes were not kept");
        }
    }
}

fn masked(note: Note, mask: &Mask) -> Note {
    // The engine takes no U+0000, and agents print what they like.
    let body = mask.apply(&note.body.to_string()).replace("\\u0000", "\\ufffd");
    Note { kind: note.kind, body: serde_json::from_str(&body).unwrap_or(Value::Null) }
}
