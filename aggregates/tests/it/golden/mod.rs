//! Every event ever written can be read for ever. `SPECLINE_GOLDEN=write` writes the files that are
//! not there yet; one that is there is never changed.

mod access_key;
mod project;
mod spec;
mod task;
mod ticket;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use specline_aggregates::access_key::AccessKey;
use specline_aggregates::project::Project;
use specline_aggregates::spec::Spec;
use specline_aggregates::task::Task;
use specline_aggregates::ticket::Ticket;
use specline_aggregates::{DecodeError, EventSourced};

/// An event, and the variant that its file shows; empty for the plain one.
type Sample<E> = (&'static str, E);

/// The golden files of one aggregate.
struct Golden {
    folder: PathBuf,
    /// Files that stand there, by name.
    there: BTreeSet<String>,
}

impl Golden {
    fn of(aggregate: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(aggregate);
        let entries = fs::read_dir(&folder).unwrap();
        let there = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        Self { folder, there }
    }

    fn read(&self, file: &str) -> String {
        let text = fs::read_to_string(self.folder.join(file)).unwrap();
        text.strip_suffix('\n').unwrap().to_owned()
    }

    /// Every sample has its file, with these very bytes.
    fn holds<E: cqrs_es::DomainEvent + Serialize>(&self, names: &[&str], samples: &[Sample<E>]) {
        let shown: BTreeSet<_> = samples.iter().map(|(_, event)| event.event_type()).collect();
        let known: BTreeSet<_> = names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(shown, known, "each event needs a sample");
        let write = std::env::var_os("SPECLINE_GOLDEN").is_some_and(|value| value == "write");
        for (variant, event) in samples {
            let (name, version) = (event.event_type(), event.event_version());
            let dot = if variant.is_empty() { "" } else { "." };
            let file = format!("{name}.v{version}{dot}{variant}.json");
            let text = serde_json::to_string(event).unwrap();
            if !self.there.contains(&file) {
                assert!(write, "{file} is missing: run the tests once with SPECLINE_GOLDEN=write");
                fs::write(self.folder.join(&file), format!("{text}\n")).unwrap();
            }
            assert_eq!(self.read(&file), text, "{file} is not what is written now");
        }
    }

    /// Every file is read as the log reads it and as stock cqrs-es does, and gives the same bytes.
    fn reads<A>(&self)
    where
        A: EventSourced,
        A::Event: DeserializeOwned + Serialize + PartialEq + Debug,
    {
        assert!(!self.there.is_empty());
        for file in &self.there {
            let text = self.read(file);
            let (name, rest) = file.split_once(".v").unwrap();
            let version = rest.split('.').next().unwrap();
            let event = A::decode(name, version, &text).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert_eq!(cqrs_es::DomainEvent::event_type(&event), name, "{file}");
            if cqrs_es::DomainEvent::event_version(&event) == version {
                assert_eq!(serde_json::to_string(&event).unwrap(), text, "{file}");
            }
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            let stock: A::Event = serde_json::from_value(value).unwrap();
            // On this way the text of a number inside an inline output is not kept, its value is.
            let value = |event: &A::Event| serde_json::to_value(event).unwrap();
            assert_eq!(value(&stock), value(&event), "{file}");
        }
    }
}

/// An event of a newer program, or one that is broken, is an error and never a guess.
fn refuses<A: EventSourced>(name: &str, payload: &str)
where
    A::Event: Debug,
{
    let newer = |result| matches!(result, Err(DecodeError::Newer { .. }));
    assert!(newer(A::decode(name, "2", payload)));
    assert!(newer(A::decode("SomethingElse", "1", payload)));
    assert!(newer(A::decode(name, "one", payload)));
    let malformed = A::decode(name, "1", "{}").unwrap_err();
    assert!(matches!(malformed, DecodeError::Malformed { .. }), "{malformed}");
}

#[test]
fn every_event_of_a_spec_has_a_golden_file() {
    let names = &specline_aggregates::spec::Event::NAMES;
    Golden::of("spec").holds(names, &spec::samples());
}

#[test]
fn every_golden_event_of_a_spec_is_read() {
    Golden::of("spec").reads::<Spec>();
    refuses::<Spec>("SpecCancelled", r#"{"SpecCancelled":{"by":"ada","reason":"no"}}"#);
}

#[test]
fn every_event_of_a_task_has_a_golden_file() {
    let names = &specline_aggregates::task::Event::NAMES;
    Golden::of("task").holds(names, &task::samples());
}

#[test]
fn every_golden_event_of_a_task_is_read() {
    Golden::of("task").reads::<Task>();
    refuses::<Task>("TaskCancelled", r#"{"TaskCancelled":{"by":"ada","reason":"no"}}"#);
}

#[test]
fn every_event_of_a_ticket_has_a_golden_file() {
    let names = &specline_aggregates::ticket::Event::NAMES;
    Golden::of("ticket").holds(names, &ticket::samples());
}

#[test]
fn every_golden_event_of_a_ticket_is_read() {
    Golden::of("ticket").reads::<Ticket>();
    refuses::<Ticket>("TicketDone", r#"{"TicketDone":{}}"#);
}

#[test]
fn every_event_of_a_project_has_a_golden_file() {
    let names = &specline_aggregates::project::Event::NAMES;
    Golden::of("project").holds(names, &project::samples());
}

#[test]
fn every_golden_event_of_a_project_is_read() {
    Golden::of("project").reads::<Project>();
    let revised = r#"{"ProjectRevised":{"settings":{"name":"n","repository":"/r"},"by":"ada"}}"#;
    refuses::<Project>("ProjectRevised", revised);
}

#[test]
fn every_event_of_an_access_key_has_a_golden_file() {
    let names = &specline_aggregates::access_key::Event::NAMES;
    Golden::of("access_key").holds(names, &access_key::samples());
}

#[test]
fn every_golden_event_of_an_access_key_is_read() {
    Golden::of("access_key").reads::<AccessKey>();
    let revoked = r#"{"AccessKeyRevoked":{"by":"ada","reason":"lost"}}"#;
    refuses::<AccessKey>("AccessKeyRevoked", revoked);
}
