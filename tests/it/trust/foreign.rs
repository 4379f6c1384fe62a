//! Rows that another program wrote into PostgreSQL's table of events become events where that is
//! meant, and are refused where they stand elsewhere.

use super::log_world::{World, forge_key};

#[test]
fn a_foreign_row_mints_no_key() {
    let world = World::postgres();
    world.admin("ops");
    let forged = forge_key();
    world.tamper(&forged.foreign());
    let serving = world.serve();
    for _ in 0..3 {
        let (status, body) = world.get(&serving, "/keys", &forged.key);
        assert_eq!(status, 401, "{body}");
    }
    drop(serving.stop());
    assert_eq!(world.number("SELECT count(*) FROM events WHERE position IS NULL"), 1);
    world.is_found(&["AccessKey", &forged.id.to_string()]);
}

#[test]
fn a_foreign_row_that_is_no_event_of_ours_is_refused_and_named() {
    let world = World::postgres();
    let key = world.admin("ops");
    let serving = world.serve();
    let spec = world.draft(&serving, &key);
    world.tamper(&format!(
        "INSERT INTO events VALUES ('Spec', '{spec}', 2, 'SpecTwisted', '1', '{{}}', '{{}}')"
    ));
    let (status, body) = world.get(&serving, &format!("/specs/{spec}"), &key);
    assert_eq!(status, 200, "it is no event: {body}");
    let path = format!("/specs/{spec}/comments");
    let (status, body) = world.post(&serving, &path, &key, &serde_json::json!({ "text": "on" }));
    assert_eq!(status, 500, "its place is taken: {body}");
    assert!(body["detail"].as_str().unwrap().contains("another program"), "{body}");
    drop(serving.stop());
    assert_eq!(world.number("SELECT count(*) FROM events WHERE position IS NULL"), 1);
    world.is_found(&["SpecTwisted", &spec]);
}

/// Rows of aggregates that are no business of ours stand beside the log and are only counted.
#[test]
fn rows_of_other_programs_aggregates_are_no_fault() {
    let world = World::postgres();
    world.admin("ops");
    world.tamper("INSERT INTO events VALUES ('Basket', 'b-1', 1, 'Filled', '1', '{}', '{}')");
    let (code, text) = world.verify();
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("1 row"), "{text}");
}
