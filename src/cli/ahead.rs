//! Says loudly that a log's time is far ahead of the clock, and what to do about it.

use super::print;
use crate::engine::Engine;

/// A log whose time is this far ahead was written while a clock was wrong.
const FAR_AHEAD_MS: u64 = 3_600_000;

pub(super) fn warn(engine: &Engine) {
    let ahead_ms = engine.log().ahead_ms();
    if ahead_ms < FAR_AHEAD_MS {
        return;
    }
    let hours = ahead_ms / FAR_AHEAD_MS;
    print::talk(&format!(
        "warning: the last event of this log is {hours} h ahead of this machine's clock. If the \
         clock is wrong, stop, set it right, and start again. If an event was written while a \
         clock was ahead, nothing is held up: timers and retries go on from that time at normal \
         speed, and new events are dated from there until the clock has come so far; to be rid of \
         that, restore a backup from before (`specline restore`)."
    ));
}
