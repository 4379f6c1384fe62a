//! What the event log needs of an aggregate beyond `cqrs_es::Aggregate`: a transition that can say
//! no, and a decoder that knows old versions of events.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde_json::value::RawValue;

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
    /// The form of a snapshot of this state: one of another form is no snapshot, and the state is
    /// replayed.
    fn snapshot_format() -> u32;

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

/// The fields of a stored event. A value that is not touched stays as it was written.
pub type Fields = BTreeMap<String, Box<RawValue>>;

/// How events of one type and version become those of the next. Versions begin at 1; a type's
/// newest version follows from its upcasts, of which there is one for each version before.
#[derive(Debug, Clone, Copy)]
pub struct Upcast {
    pub event: &'static str,
    /// The version that it takes.
    pub from: u32,
    pub change: fn(&mut Fields) -> Result<(), String>,
}

/// The version in which events of a type are written.
pub(crate) fn newest(event_type: &str, upcasts: &[Upcast]) -> u32 {
    let before = upcasts.iter().filter(|upcast| upcast.event == event_type);
    before.map(|upcast| upcast.from + 1).max().unwrap_or(1)
}

/// What this program knows of an aggregate's events.
pub(crate) struct Known<'a, E> {
    pub(crate) names: &'a [&'a str],
    pub(crate) upcasts: &'a [Upcast],
    pub(crate) name: fn(&E) -> &'static str,
}

/// Decodes an event whose name and version this program knows.
pub(crate) fn decode_known<E: serde::de::DeserializeOwned>(
    known: &Known<'_, E>,
    (event_type, event_version): (&str, &str),
    payload: &str,
) -> Result<E, DecodeError> {
    let Known { names, upcasts, name } = known;
    let version = event_version.parse::<u32>().unwrap_or(u32::MAX);
    let newest = newest(event_type, upcasts);
    if !names.contains(&event_type) || version > newest {
        return Err(DecodeError::Newer {
            event_type: event_type.to_owned(),
            event_version: event_version.to_owned(),
        });
    }
    let malformed = |cause| DecodeError::Malformed { event_type: event_type.to_owned(), cause };
    let event = if version == newest {
        serde_json::from_str(payload)
    } else {
        let now = upcasted(upcasts, (event_type, version..newest), payload).map_err(malformed)?;
        serde_json::from_str(&now)
    };
    let event = event.map_err(|error| malformed(error.to_string()))?;
    if name(&event) != event_type {
        return Err(malformed(format!("its payload is that of {}", name(&event))));
    }
    Ok(event)
}

/// The payload in the newest version, by one upcast after the other.
fn upcasted(
    upcasts: &[Upcast],
    (event_type, versions): (&str, std::ops::Range<u32>),
    payload: &str,
) -> Result<String, String> {
    let read = serde_json::from_str::<BTreeMap<String, Fields>>(payload);
    let mut tagged = read.map_err(|error| error.to_string())?;
    let fields = tagged.get_mut(event_type).ok_or("its payload is that of another event")?;
    for version in versions {
        let reads = |upcast: &&Upcast| upcast.event == event_type && upcast.from == version;
        let upcast = upcasts.iter().find(reads);
        let upcast = upcast.ok_or_else(|| format!("nothing reads version {version}"))?;
        (upcast.change)(fields)?;
    }
    serde_json::to_string(&tagged).map_err(|error| error.to_string())
}

/// A number that changes whenever the form of a state does, so that nobody has to remember it:
/// taken from the state's schema without its texts, and from `meaning`, which is raised where a
/// state of the same form means something else.
pub(crate) fn format_of<S: JsonSchema>(meaning: u32) -> u32 {
    let mut schema = schemars::schema_for!(S).to_value();
    drop_texts(&mut schema);
    let digest = crate::Digest::of(format!("{meaning} {schema}").as_bytes());
    let [a, b, c, d, ..] = *digest.as_bytes();
    // Stores keep it as a signed number.
    u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff
}

/// Takes out of a schema what is there for people.
fn drop_texts(schema: &mut serde_json::Value) {
    match schema {
        serde_json::Value::Object(fields) => {
            for text in ["description", "title"] {
                if fields.get(text).is_some_and(serde_json::Value::is_string) {
                    fields.remove(text);
                }
            }
            fields.values_mut().for_each(drop_texts);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(drop_texts),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}

/// Puts a state with its own `decide` and `evolve` under `cqrs_es`, `EventSourced` and `Decide`.
/// Expects `Command`, `Event` and `Rejection` in scope.
macro_rules! aggregate {
    ($state:ty, $name:literal) => {
        /// Raised where a state of the same form means something else than before.
        const MEANING: u32 = 1;

        impl cqrs_es::DomainEvent for Event {
            fn event_type(&self) -> String {
                self.name().to_owned()
            }

            fn event_version(&self) -> String {
                $crate::event_sourced::newest(self.name(), &Event::UPCASTS).to_string()
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
            fn snapshot_format() -> u32 {
                static FORMAT: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
                *FORMAT.get_or_init(|| $crate::event_sourced::format_of::<$state>(MEANING))
            }

            fn evolve(&mut self, event: &Event) -> Result<(), $crate::IllegalTransition> {
                Self::evolve(self, event)
            }

            fn decode(
                event_type: &str,
                version: &str,
                payload: &str,
            ) -> Result<Event, $crate::DecodeError> {
                let known = $crate::event_sourced::Known {
                    names: &Event::NAMES,
                    upcasts: &Event::UPCASTS,
                    name: Event::name,
                };
                $crate::event_sourced::decode_known(&known, (event_type, version), payload)
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

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use serde_json::value::to_raw_value;

    use super::*;

    /// Events as they might look after two changes of one of them.
    #[derive(Debug, Deserialize)]
    enum Event {
        Measured { by: String, value: Box<RawValue>, unit: String },
        Ended {},
    }

    const UPCASTS: [Upcast; 2] = [
        // In version 1 the one who measured was called the author.
        Upcast {
            event: "Measured",
            from: 1,
            change: |fields| {
                let by = fields.remove("author").ok_or("it names no author")?;
                fields.insert("by".to_owned(), by);
                Ok(())
            },
        },
        // In version 2 all was in metres.
        Upcast {
            event: "Measured",
            from: 2,
            change: |fields| {
                let metres = to_raw_value("m").map_err(|error| error.to_string())?;
                fields.insert("unit".to_owned(), metres);
                Ok(())
            },
        },
    ];

    fn decode(event_type: &str, version: &str, payload: &str) -> Result<Event, DecodeError> {
        let name = |event: &Event| match event {
            Event::Measured { .. } => "Measured",
            Event::Ended {} => "Ended",
        };
        let known = Known { names: &["Measured", "Ended"], upcasts: &UPCASTS, name };
        decode_known(&known, (event_type, version), payload)
    }

    #[test]
    fn every_version_of_an_event_is_read_and_what_is_not_touched_stays_as_it_was() {
        for (version, payload) in [
            ("1", r#"{"Measured":{"author":"ann","value":1.50}}"#),
            ("2", r#"{"Measured":{"by":"ann","value":1.50}}"#),
            ("3", r#"{"Measured":{"by":"ann","value":1.50,"unit":"m"}}"#),
        ] {
            let Event::Measured { by, value, unit } = decode("Measured", version, payload).unwrap()
            else {
                panic!("version {version} is another event");
            };
            assert_eq!((by.as_str(), value.get(), unit.as_str()), ("ann", "1.50", "m"));
        }
        assert_eq!((newest("Measured", &UPCASTS), newest("Ended", &UPCASTS)), (3, 1));
        decode("Ended", "1", r#"{"Ended":{}}"#).unwrap();
    }

    #[test]
    fn what_no_version_knows_is_an_error_and_never_a_guess() {
        let newer = |result| matches!(result, Err(DecodeError::Newer { .. }));
        assert!(newer(decode("Measured", "4", "{}")));
        assert!(newer(decode("Ended", "2", "{}")));
        assert!(newer(decode("Begun", "1", "{}")));
        for (version, payload) in [
            ("0", r#"{"Measured":{"author":"ann","value":1}}"#),
            ("1", r#"{"Measured":{"value":1}}"#),
            ("1", r#"{"Ended":{}}"#),
            ("3", r#"{"Ended":{}}"#),
        ] {
            let malformed = decode("Measured", version, payload).unwrap_err();
            assert!(matches!(malformed, DecodeError::Malformed { .. }), "{version} {payload}");
        }
    }

    #[derive(Serialize, JsonSchema)]
    struct State {
        /// A text for people.
        _title: String,
    }

    mod reworded {
        #[derive(serde::Serialize, schemars::JsonSchema)]
        #[schemars(rename = "State")]
        pub(super) struct State {
            /// The same in other words.
            _title: String,
        }
    }

    mod changed {
        #[derive(serde::Serialize, schemars::JsonSchema)]
        #[schemars(rename = "State")]
        pub(super) struct State {
            /// A text for people.
            _title: Option<String>,
        }
    }

    #[test]
    fn the_format_of_a_state_changes_with_its_form_and_its_meaning_and_with_nothing_else() {
        let format = format_of::<State>(1);
        assert_eq!(format_of::<reworded::State>(1), format);
        assert_ne!(format_of::<changed::State>(1), format);
        assert_ne!(format_of::<State>(2), format);
    }
}
