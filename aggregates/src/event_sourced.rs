//! What the event log needs of an aggregate beyond `cqrs_es::Aggregate`: a transition that can say
//! no, and a decoder that knows old versions of events.

use std::fmt;

/// An event that cannot follow what came before: the log is corrupt, or newer than this program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {event} cannot follow state {state}")]
pub struct IllegalTransition {
    pub state: String,
    pub event: String,
}

impl IllegalTransition {
    #[must_use]
    pub fn new(state: impl fmt::Display, event: &str) -> Self {
        Self { state: state.to_string(), event: event.to_owned() }
    }
}

/// A stored event that this program cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A newer program wrote it. The node that meets it must stop, not guess.
    #[error("event {event_type} version {event_version} is newer than this program knows")]
    Newer { event_type: String, event_version: String },
    #[error("event {event_type} cannot be read: {cause}")]
    Malformed { event_type: String, cause: String },
}

/// An aggregate whose state is what a replay of its events says.
pub trait EventSourced: cqrs_es::Aggregate + Clone + 'static {
    /// Raised when the state's serialised form changes, so that older snapshots are dropped.
    const SNAPSHOT_VERSION: u32;

    /// The one transition that replay and live use. On an error the state is unchanged.
    fn evolve(&mut self, event: &Self::Event) -> Result<(), IllegalTransition>;

    /// Reads a stored event, upcasting older versions.
    fn decode(
        event_type: &str,
        event_version: &str,
        payload: &str,
    ) -> Result<Self::Event, DecodeError>;
}

/// An aggregate whose commands are decided by a pure function.
pub trait Decide: EventSourced {
    /// The events that follow from `command`; none when it is already so.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Error>;

    /// Stable code of a refusal.
    fn code(error: &Self::Error) -> &'static str;
}

/// Decodes an event whose name and version this program knows.
pub(crate) fn decode_known<E: serde::de::DeserializeOwned>(
    names: &[&str],
    newest: &str,
    (event_type, event_version): (&str, &str),
    payload: &str,
    name: fn(&E) -> &'static str,
) -> Result<E, DecodeError> {
    let number = |version: &str| version.parse::<u32>().unwrap_or(u32::MAX);
    if !names.contains(&event_type) || number(event_version) > number(newest) {
        return Err(DecodeError::Newer {
            event_type: event_type.to_owned(),
            event_version: event_version.to_owned(),
        });
    }
    let malformed = |cause| DecodeError::Malformed { event_type: event_type.to_owned(), cause };
    let event = serde_json::from_str(payload).map_err(|error| malformed(error.to_string()))?;
    if name(&event) != event_type {
        return Err(malformed(format!("its payload is that of {}", name(&event))));
    }
    Ok(event)
}

/// Puts a state with its own `decide` and `evolve` under `cqrs_es`, `EventSourced` and `Decide`.
/// Expects `Command`, `Event` and `Rejection` in scope.
macro_rules! aggregate {
    ($state:ty, $name:literal) => {
        /// Version of every event's shape so far.
        const VERSION: &str = "1";

        impl cqrs_es::DomainEvent for Event {
            fn event_type(&self) -> String {
                self.name().to_owned()
            }

            fn event_version(&self) -> String {
                VERSION.to_owned()
            }
        }

        impl cqrs_es::Aggregate for $state {
            const TYPE: &'static str = $name;
            type Command = Command;
            type Event = Event;
            type Error = Rejection;
            type Services = ();

            async fn handle(
                &mut self,
                command: Command,
                (): &(),
                sink: &cqrs_es::event_sink::EventSink<Self>,
            ) -> Result<(), Rejection> {
                for event in self.decide(&command)? {
                    sink.write(event, self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Event) {
                if let Err(illegal) = self.evolve(&event) {
                    self.broken = Some(illegal.to_string());
                }
            }
        }

        impl $crate::EventSourced for $state {
            const SNAPSHOT_VERSION: u32 = 1;

            fn evolve(&mut self, event: &Event) -> Result<(), $crate::IllegalTransition> {
                Self::evolve(self, event)
            }

            fn decode(
                event_type: &str,
                version: &str,
                payload: &str,
            ) -> Result<Event, $crate::DecodeError> {
                let stored = (event_type, version);
                let names = &Event::NAMES;
                $crate::event_sourced::decode_known(names, VERSION, stored, payload, Event::name)
            }
        }

        impl $crate::Decide for $state {
            fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
                Self::decide(self, command)
            }

            fn code(error: &Rejection) -> &'static str {
                error.code()
            }
        }
    };
}

pub(crate) use aggregate;
