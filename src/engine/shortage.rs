//! Starting a sandbox on a machine that is short of something for a while: of open files, processes
//! or memory. That is no fault of the sandbox's, and no loss: it is tried again for as long as the
//! sandbox is wanted.

use std::time::Duration;

use super::lease_plan::is_wanted;
use super::spawner::chain;
use super::{Engine, EngineError};
use crate::sandbox::{Handle, SpawnRequest};
use crate::store::{Heartbeat, Lease};

/// First pause; each next one is twice as long.
const FIRST: Duration = Duration::from_millis(50);

/// Longest pause: what is short may be free again at any moment.
const LONGEST: Duration = Duration::from_secs(2);

/// EAGAIN, ENOMEM, ENFILE, EMFILE, as an I/O error shows its number. Some reach the engine as text
/// only: they come from another process.
const NUMBERS: [&str; 4] = ["(os error 11)", "(os error 12)", "(os error 23)", "(os error 24)"];

/// What became of a start.
pub(super) enum Started {
    Runs(Handle),
    /// Nobody wants it any more, or this engine stops: the next one takes the claim over.
    CalledOff,
    /// It cannot be started; why, in words.
    Failed(String),
}

/// Whether an error says that the machine is short of something.
fn is_shortage(error: &str) -> bool {
    NUMBERS.iter().any(|number| error.contains(number))
}

impl Engine {
    /// Starts the sandbox of `lease`, which this node has claimed.
    pub(super) async fn start_sandbox(
        &self,
        request: &SpawnRequest,
        lease: &Lease,
    ) -> Result<Started, EngineError> {
        let mut pause = FIRST;
        loop {
            let cause = match self.inner.provider.spawn(request.clone()).await {
                Ok(handle) => return Ok(Started::Runs(handle)),
                Err(error) => chain(&error),
            };
            if !is_shortage(&cause) {
                return Ok(Started::Failed(cause));
            }
            let (owner, sandbox) = (lease.owner, lease.sandbox);
            tracing::warn!(
                spec.id = %owner, sandbox.id = %sandbox, cause,
                "this machine is short of something; the sandbox is started again in a moment"
            );
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.inner.stop.cancelled() => return Ok(Started::CalledOff),
            }
            pause = (pause * 2).min(LONGEST);
            if !is_wanted(&*self.spec(owner.into()).await?, sandbox) {
                return Ok(Started::CalledOff);
            }
            // Its lease would run out otherwise, and that would be a loss.
            let beat = Heartbeat { sandbox, usage: lease.usage, progressed: false };
            self.inner.side.heartbeat(vec![beat]).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NUMBERS, is_shortage};

    #[test]
    fn only_what_passes_is_a_shortage() {
        for number in [11, 12, 23, 24] {
            let error = std::io::Error::from_raw_os_error(number).to_string();
            assert!(is_shortage(&format!("could not start: {error}")), "{error}");
        }
        for number in [1, 2, 13, 28] {
            let error = std::io::Error::from_raw_os_error(number).to_string();
            assert!(!is_shortage(&error), "{error}");
        }
        assert_eq!(NUMBERS.len(), 4);
    }
}
