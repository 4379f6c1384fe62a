//! Given, when, then for every command of an access key.

use cqrs_es::test::TestFramework;
use specline_aggregates::access_key::{AccessKey, Command, Event, Grant, Rejection, Scope};
use specline_aggregates::{AccessKeyId, Digest, Timestamp, derive_id};

const NOW: Timestamp = Timestamp::from_micros(1_767_000_000_000_000);

pub fn key_id() -> AccessKeyId {
    derive_id(&["key"]).into()
}

pub fn grant(name: &str) -> Grant {
    let (name, scopes) = (name.to_owned(), [Scope::Operator].into());
    Grant { name, scopes, project: None, expires_at: None }
}

fn secret_digest() -> Digest {
    Digest::of(b"secret")
}

pub fn created(grant: Grant) -> Event {
    Event::AccessKeyCreated {
        key: key_id(),
        grant: Box::new(grant),
        secret_digest: secret_digest(),
        by: "ada".to_owned(),
    }
}

fn create(grant: Grant) -> Command {
    let (grant, by) = (Box::new(grant), "ada".to_owned());
    Command::Create { key: key_id(), grant, secret_digest: secret_digest(), by, now: NOW }
}

fn revoke(reason: &str) -> Command {
    Command::Revoke { by: "ada".to_owned(), reason: reason.to_owned() }
}

fn replayed(events: &[Event]) -> AccessKey {
    let mut key = AccessKey::default();
    for event in events {
        key.evolve(event).unwrap();
    }
    key
}

#[test]
fn is_created_once() {
    let none = TestFramework::<AccessKey>::with(()).given_no_previous_events();
    none.when(create(grant("ci"))).then_expect_events(vec![created(grant("ci"))]);
    let given = TestFramework::<AccessKey>::with(()).given(vec![created(grant("ci"))]);
    given.when(create(grant("ci"))).then_expect_error(Rejection::AlreadyExists);
}

#[test]
fn is_revoked_once_and_for_ever() {
    let lost = Event::AccessKeyRevoked { by: "ada".to_owned(), reason: "lost".to_owned() };
    let given = TestFramework::<AccessKey>::with(()).given(vec![created(grant("ci"))]);
    given.when(revoke("lost")).then_expect_events(vec![lost.clone()]);
    let mut key = replayed(&[created(grant("ci")), lost.clone()]);
    assert!(key.is_revoked() && !key.is_good(NOW));
    assert_eq!(key.decide(&revoke("again")), Ok(Vec::new()));
    assert!(key.evolve(&lost).is_err(), "nothing follows a revocation");
    assert_eq!(key.version(), 2, "a refused event changes nothing");
    let none = TestFramework::<AccessKey>::with(()).given_no_previous_events();
    none.when(revoke("lost")).then_expect_error(Rejection::NotFound);
}

#[test]
fn ends_at_its_time() {
    let mut short = grant("ci");
    short.expires_at = Some(NOW.plus_ms(1_000));
    let key = replayed(&[created(short.clone())]);
    assert!(key.is_good(NOW.plus_ms(999)) && !key.is_good(NOW.plus_ms(1_000)));
    short.expires_at = Some(NOW);
    let refused = AccessKey::default().decide(&create(short)).unwrap_err();
    assert_eq!(refused.code(), "invalid_input");
}

#[test]
fn a_name_and_a_scope_are_needed() {
    let refused = |grant| AccessKey::default().decide(&create(grant)).unwrap_err().code();
    for name in ["", "  ", "two\nlines", &"x".repeat(101)] {
        assert_eq!(refused(grant(name)), "invalid_input", "{name:?}");
    }
    let none = Grant { scopes: std::collections::BTreeSet::new(), ..grant("ci") };
    assert_eq!(refused(none), "invalid_input");
}

#[test]
fn scopes_allow_what_they_say_and_reading() {
    let allows = |scope: Scope| Scope::ALL.map(|needed| scope.allows(needed));
    assert_eq!(allows(Scope::Admin), [true; 4]);
    assert_eq!(allows(Scope::Operator), [false, true, false, true]);
    assert_eq!(allows(Scope::Approver), [false, false, true, true]);
    assert_eq!(allows(Scope::Reader), [false, false, false, true]);
    let both = Grant { scopes: [Scope::Operator, Scope::Approver].into(), ..grant("ada") };
    let key = replayed(&[created(both)]);
    assert!(key.allows(Scope::Approver) && key.allows(Scope::Operator));
    assert!(!key.allows(Scope::Admin) && !AccessKey::default().allows(Scope::Reader));
    assert!("root".parse::<Scope>().is_err());
}
