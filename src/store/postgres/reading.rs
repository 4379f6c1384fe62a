//! Reads that outlive a lost connection. After the server was away, each connection that the pool
//! kept is found to be gone only when it is used.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::store::LogError;

/// A failure within this time is a connection's that was gone already, not an absent server's.
const AT_ONCE: Duration = Duration::from_millis(200);

/// More than the connections that a pool keeps.
const MAX_TRIES: u32 = 10;

/// Does `read`, again where its connection turns out to be gone.
pub(super) async fn patiently<T, F>(read: impl Fn() -> F) -> Result<T, LogError>
where
    F: Future<Output = Result<T, LogError>>,
{
    let mut tries = 1;
    loop {
        let begun = Instant::now();
        let result = read().await;
        let gone = matches!(result, Err(LogError::Transient { .. }));
        if !gone || tries >= MAX_TRIES || begun.elapsed() > AT_ONCE {
            return result;
        }
        tries += 1;
    }
}
