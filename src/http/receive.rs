//! Bodies on their way in: bounded in size, in time, and in what all of them hold together.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::MAX_BODY_BYTES;
use super::error::Refusal;
use super::limits::Limits;

/// What a body may take on top of the patience: a second for so many bytes that have come.
const SLOWEST_BYTES_PER_SECOND: u64 = 32 * 1024;

/// A body that is too large is still read to here, and thrown away: a caller who is cut off while
/// it sends never sees the answer.
const MAX_THROWN_AWAY: u64 = 2 * MAX_BODY_BYTES as u64;

/// The unit in which room is taken.
const ROOM_UNIT: usize = 1024;

/// Takes in bodies.
#[derive(Clone)]
pub(super) struct Intake {
    patience: Duration,
    room: Arc<Semaphore>,
}

/// A whole body.
#[derive(Default)]
pub(super) struct Received {
    pub bytes: Vec<u8>,
    /// Given back with the body.
    pub room: Option<OwnedSemaphorePermit>,
}

impl Intake {
    pub fn new(limits: &Limits) -> Self {
        let units = limits.body_room_bytes / ROOM_UNIT;
        let room = Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS)));
        Self { patience: limits.patience, room }
    }

    pub async fn receive(&self, body: Body) -> Result<Received, Refusal> {
        if body.size_hint().lower() > MAX_THROWN_AWAY {
            return Err(too_large());
        }
        let begin = Instant::now();
        let mut stream = body.into_data_stream();
        let mut received = Received::default();
        let mut n: u64 = 0;
        loop {
            let earned = Duration::from_secs(n / SLOWEST_BYTES_PER_SECOND);
            let next = timeout_at(begin + self.patience + earned, stream.next()).await;
            let Some(chunk) = next.map_err(|_| too_slow())? else { break };
            let chunk = chunk.map_err(|_| unreadable())?;
            n = n.saturating_add(chunk.len() as u64);
            if n > MAX_THROWN_AWAY {
                return Err(too_large());
            }
            if n > MAX_BODY_BYTES as u64 {
                received = Received::default();
                continue;
            }
            self.take_room(&mut received, chunk.len())?;
            received.bytes.extend_from_slice(&chunk);
        }
        if n > MAX_BODY_BYTES as u64 { Err(too_large()) } else { Ok(received) }
    }

    fn take_room(&self, received: &mut Received, more: usize) -> Result<(), Refusal> {
        let held = received.room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let needed = (received.bytes.len() + more).div_ceil(ROOM_UNIT).saturating_sub(held);
        let needed = u32::try_from(needed).map_err(|_| too_large())?;
        let taken = Arc::clone(&self.room).try_acquire_many_owned(needed);
        let taken = taken.map_err(|_| no_room())?;
        match &mut received.room {
            Some(room) => room.merge(taken),
            None => received.room = Some(taken),
        }
        Ok(())
    }
}

fn too_large() -> Refusal {
    let detail = format!("a body has at most {MAX_BODY_BYTES} bytes");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

fn too_slow() -> Refusal {
    let detail = "the body came too slowly; send it again, in one go";
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail)
}

/// The caller has gone, or what it sends is not framed as it says.
fn unreadable() -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "body_unreadable", "the body ended before its end")
}

fn no_room() -> Refusal {
    let detail = "too many large requests at once; send it again in a moment";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;

    use super::*;

    fn intake(room: usize) -> Intake {
        let patience = Duration::from_millis(500);
        Intake::new(&Limits { patience, body_room_bytes: room, ..Limits::default() })
    }

    /// `n` chunks of a size, one after each pause.
    fn trickle(pause: Duration, chunk: usize, n: usize) -> Body {
        let pace = tokio::time::interval(pause);
        Body::from_stream(futures_util::stream::unfold(
            (pace, 0),
            move |(mut pace, sent)| async move {
                pace.tick().await;
                let chunk = Bytes::from(vec![b' '; chunk]);
                (sent < n).then_some((Ok::<_, std::io::Error>(chunk), (pace, sent + 1)))
            },
        ))
    }

    async fn refused(intake: &Intake, body: Body) -> StatusCode {
        let refusal = intake.receive(body).await.err().expect("it is refused");
        axum::response::IntoResponse::into_response(refusal).status()
    }

    #[tokio::test]
    async fn time_is_earned_by_what_comes() {
        let intake = intake(1 << 30);
        let begin = Instant::now();
        let slow = trickle(Duration::from_millis(100), 64 * 1024, 10);
        assert_eq!(intake.receive(slow).await.map(|got| got.bytes.len()).ok(), Some(10 << 16));
        assert!(begin.elapsed() > intake.patience, "it took its time");
        let drip = trickle(Duration::from_millis(100), 1, 1_000);
        let begin = Instant::now();
        assert_eq!(refused(&intake, drip).await, StatusCode::REQUEST_TIMEOUT);
        assert!(begin.elapsed() >= intake.patience);
        assert!(begin.elapsed() < Duration::from_secs(50), "no byte buys much time");
    }

    #[tokio::test]
    async fn what_is_too_large_is_thrown_away_and_in_the_end_not_even_read() {
        let intake = intake(1 << 30);
        let exact = Body::from(vec![b' '; MAX_BODY_BYTES]);
        assert_eq!(intake.receive(exact).await.map(|got| got.bytes.len()).ok(), {
            Some(MAX_BODY_BYTES)
        });
        let over = Body::from(vec![b' '; MAX_BODY_BYTES + 1]);
        assert_eq!(refused(&intake, over).await, StatusCode::PAYLOAD_TOO_LARGE);
        let endless = trickle(Duration::from_millis(1), 1 << 20, usize::MAX);
        assert_eq!(refused(&intake, endless).await, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(intake.room.available_permits(), (1 << 30) / ROOM_UNIT);
    }

    #[tokio::test]
    async fn all_bodies_together_have_their_room_and_give_it_back() {
        let intake = intake(64 * 1024);
        let held = intake.receive(Body::from(vec![b' '; 60 * 1024])).await.ok();
        let more = || Body::from(vec![b' '; 10 * 1024]);
        assert_eq!(refused(&intake, more()).await, StatusCode::SERVICE_UNAVAILABLE);
        drop(held);
        assert!(intake.receive(more()).await.is_ok());
        assert_eq!(intake.room.available_permits(), 64);
    }
}
