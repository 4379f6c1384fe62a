//! A small aggregate to try the aggregate store on.

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};
use specline_aggregates::{DecodeError, EventSourced, IllegalTransition};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    pub total: u64,
    pub events: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Added {
        by: u64,
    },
    /// Legal only after something was added.
    Emptied {},
}

#[derive(Debug, Clone, Copy)]
pub enum Command {
    Add(u64),
    AddTwice(u64),
    Nothing,
}

#[derive(Debug, thiserror::Error)]
#[error("0 cannot be added")]
pub struct Refused;

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        match self {
            Self::Added { .. } => "Added",
            Self::Emptied {} => "Emptied",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for Counter {
    const TYPE: &'static str = "Counter";
    type Command = Command;
    type Event = Event;
    type Error = Refused;
    type Services = ();

    async fn handle(
        &mut self,
        command: Command,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Refused> {
        let (by, times) = match command {
            Command::Add(by) => (by, 1),
            Command::AddTwice(by) => (by, 2),
            Command::Nothing => return Ok(()),
        };
        if by == 0 {
            return Err(Refused);
        }
        for _ in 0..times {
            sink.write(Event::Added { by }, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        self.evolve(&event).unwrap();
    }
}

impl EventSourced for Counter {
    fn snapshot_format() -> u32 {
        1
    }

    fn evolve(&mut self, event: &Event) -> Result<(), IllegalTransition> {
        match event {
            Event::Added { by } => self.total += by,
            Event::Emptied {} if self.total == 0 => {
                return Err(IllegalTransition::new("empty", "Emptied"));
            }
            Event::Emptied {} => self.total = 0,
        }
        self.events += 1;
        Ok(())
    }

    fn decode(event_type: &str, version: &str, payload: &str) -> Result<Event, DecodeError> {
        if version != "1" {
            let (event_type, event_version) = (event_type.to_owned(), version.to_owned());
            return Err(DecodeError::Newer { event_type, event_version });
        }
        serde_json::from_str(payload).map_err(|error| DecodeError::Malformed {
            event_type: event_type.to_owned(),
            cause: error.to_string(),
        })
    }
}
