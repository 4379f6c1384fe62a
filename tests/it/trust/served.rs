//! What was changed behind the log's back is never answered with, nor decided on.

use specline_aggregates::SpecId;

use super::log_world::World;

/// The calls that answer from events, of a spec.
fn reads(spec: &str) -> Vec<String> {
    vec![
        format!("/specs/{spec}"),
        format!("/specs/{spec}/events"),
        format!("/specs/{spec}/phases"),
        format!("/specs/{spec}?as_of_version=1"),
        "/audit/events".to_owned(),
        format!("/audit/events?aggregate={spec}"),
        "/audit/events?type=SpecDrafted&order=desc".to_owned(),
    ]
}

#[test]
fn a_changed_event_is_never_served() {
    for column in ["payload", "metadata"] {
        for world in World::both() {
            let key = world.admin("ops");
            let serving = world.serve();
            let spec = world.draft(&serving, &key);
            for path in reads(&spec) {
                let (status, body) = world.get(&serving, &path, &key);
                assert_eq!(status, 200, "{path}: {body}");
            }
            drop(serving.stop());
            let set = match column {
                "payload" => world.replaced("payload", "Limit links", "Raise links"),
                _ => world.replaced("metadata", "actor", "ector"),
            };
            world.tamper(&format!("UPDATE events SET {set} WHERE event_type = 'SpecDrafted'"));
            let serving = world.serve();
            for path in reads(&spec) {
                let (status, body) = world.get(&serving, &path, &key);
                assert!(status >= 500, "{column}: {path}: {status} {body}");
            }
            let path = format!("/specs/{spec}/cancel");
            let (status, body) = world.post(&serving, &path, &key, &serde_json::json!({}));
            assert!(status >= 500, "{column}: {status} {body}");
            drop(serving.stop());
            let spec: SpecId = spec.parse().unwrap();
            let spec = spec.to_string();
            for args in [
                vec!["show", &spec],
                vec!["replay", &spec, "--to", "1"],
                vec!["events", "--json"],
                vec!["events", &spec, "--json"],
                vec!["timeline", &spec],
            ] {
                let said = world.project.specline(&args);
                assert_eq!(said.code(), 1, "{column}: {args:?}: {said:?}");
            }
            world.is_found(&["position"]);
        }
    }
}

/// Forging the hash as well breaks the chain at the next event of the stream.
#[test]
fn a_chain_that_does_not_go_on_is_corrupt_when_the_stream_is_loaded() {
    for world in World::both() {
        let key = world.admin("ops");
        let serving = world.serve();
        let spec = world.draft(&serving, &key);
        let path = format!("/specs/{spec}/comments");
        let body = serde_json::json!({ "text": "first" });
        let (status, answer) = world.post(&serving, &path, &key, &body);
        assert!(status < 300, "{answer}");
        drop(serving.stop());
        let other = world.bytes(&specline_aggregates::Digest::of(b"other"));
        world.tamper(&format!(
            "UPDATE events SET hash = {other} WHERE aggregate_id = '{spec}' AND sequence = 1"
        ));
        let said = world.project.specline(&["show", &spec]);
        assert_eq!(said.code(), 1, "{said:?}");
        assert!(said.stderr.contains("sequence 1"), "{said:?}");
        assert!(said.stderr.contains(&spec), "{said:?}");
    }
}
