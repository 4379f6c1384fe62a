//! Follows a spec to where it ends, or to where a person has to act. If the engine goes away, this
//! program takes the log and goes on itself.

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
            () = interrupted() => return Ok(Followed::Interrupted),
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

/// Ctrl-C, or a polite request to end.
pub async fn interrupted() {
    Interruptions::listen().next().await;
}

/// Ctrl-C and polite requests to end, none of which is missed between two looks.
pub struct Interruptions(Option<(Signal, Signal)>);

impl Interruptions {
    #[must_use]
    pub fn listen() -> Self {
        let both =
            || Some((signal(SignalKind::interrupt()).ok()?, signal(SignalKind::terminate()).ok()?));
        Self(both())
    }

    /// The next one.
    pub async fn next(&mut self) {
        let Some((interrupt, terminate)) = &mut self.0 else {
            return drop(tokio::signal::ctrl_c().await);
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
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
