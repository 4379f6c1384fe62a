//! Texts come back as they were sent, on both stores, and a wildcard of SQL is a character.

use serde_json::{Value, json};

use super::{Target, encoded};

const TITLES: [&str; 9] = [
    "100 % of it",
    "snake_case",
    "snakeXcase",
    "a ! mark",
    "'; DROP TABLE events; --",
    "back\\slash and \"quotes\"",
    "\u{202e}right to left, \u{200b}nothing, \u{1}control, \u{FFFD}",
    "emoji 🦀 and é and e\u{301}",
    "line\nbreak\ttab",
];

fn titles(page: &Value) -> Vec<String> {
    let specs = page["specs"].as_array().unwrap();
    let mut titles: Vec<_> =
        specs.iter().map(|spec| spec["title"].as_str().unwrap().to_owned()).collect();
    titles.sort();
    titles
}

fn texts_come_back(mut target: Target) {
    let mut position = 0;
    for title in TITLES {
        let mut draft = target.draft(title);
        draft["description"] = json!(format!("{title}\n{title}"));
        let drafted = target.post_json("/api/v1/specs", &draft);
        assert_eq!(drafted.status, 201, "{title}: {drafted:?}");
        let drafted = drafted.json();
        let id = drafted["id"].as_str().unwrap();
        let comment = json!({ "text": title });
        let noted = target.post_json(&format!("/api/v1/specs/{id}/comments"), &comment);
        position = noted.json()["position"].as_u64().unwrap();
        let spec = target.get(&format!("/api/v1/specs/{id}")).json();
        assert_eq!(spec["title"], title, "{spec}");
        let timeline = format!("/api/v1/specs/{id}/timeline?at_least={position}");
        let timeline = target.get(&timeline);
        assert_eq!(timeline.status, 200, "{timeline:?}");
        let events = target.get(&format!("/api/v1/specs/{id}/events")).json();
        assert!(events.to_string().contains(&json!(title).to_string()), "{events}");
    }
    let found = |q: &str| {
        let path = format!("/api/v1/specs?at_least={position}&q={}", encoded(q));
        let page = target.get(&path);
        assert_eq!(page.status, 200, "{page:?}");
        titles(&page.json())
    };
    assert_eq!(found("").len(), TITLES.len());
    for title in TITLES {
        assert_eq!(found(title), [title], "{title}");
    }
    assert_eq!(found("%"), ["100 % of it"]);
    assert_eq!(found("_"), ["snake_case"]);
    assert_eq!(found("e_c"), ["snake_case"]);
    assert_eq!(found("!"), ["a ! mark"]);
    assert_eq!(found("\\"), ["back\\slash and \"quotes\""]);
    assert_eq!(found("%%"), [""; 0]);
    assert_eq!(found("' OR '1'='1"), [""; 0]);
    for name in ["type", "actor", "correlation", "project", "aggregate_type"] {
        for text in ["%", "_", "*", "' OR '1'='1"] {
            let path = format!("/api/v1/audit/events?{name}={}", encoded(text));
            let page = target.get(&path);
            // A project has to be one; the others are texts that no event has.
            let none = page.status == 200 && page.json()["events"] == json!([]);
            assert!(none || (name == "project" && page.status == 400), "{name}: {page:?}");
        }
    }
    let status = target.get("/api/v1/tasks?status=%25").json();
    assert_eq!(status["tasks"], json!([]));
    target.still_serves();
}

#[test]
fn texts_come_back_as_they_were_sent_on_sqlite() {
    texts_come_back(Target::sqlite(&[]));
}

#[test]
fn texts_come_back_as_they_were_sent_on_postgres() {
    texts_come_back(Target::postgres(&[]));
}
