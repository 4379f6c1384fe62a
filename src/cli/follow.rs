//! Follows a spec to where it ends, or to where a person has to act. If the engine goes away, this
//! program takes the log and goes on itself.

use std::sync::OnceLock;

use specline_aggregates::spec::{Event, Status};
use specline_aggregates::{EventSourced, SpecId, spec::Spec};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::api::ApiError;
use super::display::Display;
use super::host::{Duties, Host};
use super::{Exit, Failure, Location};
use crate::engine::Leave;
use crate::view::SpecView;

/// Seconds that one call waits for events.
const WAIT: u64 = 20;

/// How following ended.
pub enum Followed {
    AtRest,
    /// Ctrl-C.
    Interrupted,
}

/// Follows `spec` on `host`, which may be replaced on the way. What happened before the display's
/// beginning is not shown again.
pub async fn follow(
    place: &Location,
    host: &mut Host,
    spec: SpecId,
    display: &Display,
) -> Result<Followed, Failure> {
    let mut after = display.begins_after();
    let mut interruptions = Interruptions::listen();
    loop {
        let view = host.api.spec(spec).await;
        match view {
            Ok(view) if has_come_to_rest(&view) && after >= view.version => {
                return Ok(Followed::AtRest);
            }
            Ok(_) => {}
            Err(ApiError::Unreachable(_)) => {
                *host = Host::connect(place, Duties::Run).await?;
                continue;
            }
            Err(other) => return Err(other.into()),
        }
        let events = tokio::select! {
            events = host.api.events(spec, after, WAIT) => events,
            failure = host.fatal() => return Err(failure),
            () = interruptions.next() => return Ok(Followed::Interrupted),
        };
        match events {
            Ok(events) => {
                for event in events {
                    after = event.sequence;
                    let (kind, version) = (&event.event_type, &event.event_version);
                    if let Ok(event) = Spec::decode(kind, version, event.payload.text()) {
                        let _: &Event = &event;
                        display.show(&event);
                    }
                }
            }
            Err(ApiError::Unreachable(_)) => *host = Host::connect(place, Duties::Run).await?,
            Err(other) => return Err(other.into()),
        }
    }
}

/// Whether nothing more happens by itself.
fn has_come_to_rest(view: &SpecView) -> bool {
    match view.status {
        Status::Completed | Status::Failed | Status::Cancelled | Status::AwaitingApproval => true,
        // A paused spec's running attempt still finishes.
        Status::Paused => {
            view.phases.iter().all(|phase| phase.status != crate::view::PhaseStatus::Running)
        }
        Status::Executing | Status::Draft | Status::Unknown => false,
    }
}

/// Ctrl-C, a polite request to end, or a terminal that goes away.
pub async fn interrupted() {
    Interruptions::listen().next().await;
}

/// Ctrl-C, polite requests to end and hang-ups, none of which is missed between two looks.
pub struct Interruptions(Option<Heard>);

struct Heard {
    interrupt: Signal,
    terminate: Signal,
    /// None: whoever started this wants it to outlive the terminal.
    hangup: Option<Signal>,
}

/// Whether the end of the terminal is a request to end; under `nohup` it is none. Looked at before
/// the first time that it is listened for, which changes the answer.
fn hangups_count() -> bool {
    static COUNT: OnceLock<bool> = OnceLock::new();
    *COUNT.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_none_or(|mask| mask & 1 == 0)
    })
}

impl Interruptions {
    #[must_use]
    pub fn listen() -> Self {
        let heard = |kind| signal(kind).ok();
        let all = || {
            let interrupt = heard(SignalKind::interrupt())?;
            let hangup = if hangups_count() { Some(heard(SignalKind::hangup())?) } else { None };
            Some(Heard { interrupt, terminate: heard(SignalKind::terminate())?, hangup })
        };
        Self(all())
    }

    /// The next one.
    pub async fn next(&mut self) {
        let Some(Heard { interrupt, terminate, hangup }) = &mut self.0 else {
            return drop(tokio::signal::ctrl_c().await);
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = hung_up(hangup) => {}
        }
    }
}

async fn hung_up(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => drop(hangup.recv().await),
        None => std::future::pending().await,
    }
}

/// The exit code for where a spec stands.
#[must_use]
pub fn exit_of(status: Status) -> Exit {
    match status {
        Status::Completed => Exit::Completed,
        Status::Cancelled => Exit::Cancelled,
        Status::AwaitingApproval | Status::Paused | Status::Draft => Exit::Waiting,
        Status::Failed | Status::Executing | Status::Unknown => Exit::Failed,
    }
}

/// Stops after Ctrl-C: the sandboxes are ended, and the spec stands where `resume` finds it.
pub async fn stop_politely(host: Host, how: &str) -> Exit {
    super::print::talk("\nstopping…");
    host.stop(Leave::Nothing).await;
    super::print::talk(&format!("stopped; nothing is lost. Go on with: {how}"));
    Exit::Interrupted
}
