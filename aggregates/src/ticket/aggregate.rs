//! The ticket under `cqrs_es`, and under the log's own `EventSourced`.

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};

use super::command::{Command, Rejection};
use super::event::Event;
use super::state::Ticket;
use crate::event_sourced::decode_known;
use crate::{Decide, DecodeError, EventSourced, IllegalTransition};

/// Version of every event's shape so far.
const VERSION: &str = "1";

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        VERSION.to_owned()
    }
}

impl Aggregate for Ticket {
    const TYPE: &'static str = "Ticket";
    type Command = Command;
    type Event = Event;
    type Error = Rejection;
    type Services = ();

    async fn handle(
        &mut self,
        command: Command,
        (): &(),
        sink: &EventSink<Self>,
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

impl EventSourced for Ticket {
    const SNAPSHOT_VERSION: u32 = 1;

    fn evolve(&mut self, event: &Event) -> Result<(), IllegalTransition> {
        Self::evolve(self, event)
    }

    fn decode(event_type: &str, version: &str, payload: &str) -> Result<Event, DecodeError> {
        decode_known(&Event::NAMES, VERSION, (event_type, version), payload)
    }
}

impl Decide for Ticket {
    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        Self::decide(self, command)
    }

    fn code(error: &Rejection) -> &'static str {
        error.code()
    }
}
