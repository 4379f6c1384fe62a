//! Writes: conditional, repeatable, and told where they stand; reads that must have seen them.

use serde_json::{Value, json};

use crate::access::{Caller, Told};
use crate::support::{Lab, Start};

struct World {
    lab: Lab,
    caller: Caller,
}

impl World {
    async fn new() -> Self {
        let lab = Lab::new(Start::Nothing).await;
        let caller = Caller::of(&lab);
        Self { lab, caller }
    }

    fn draft(&self) -> Value {
        let repository = self.lab.project.repo().display().to_string();
        json!({ "title": "Limit links", "description": "A limit.", "repository": repository })
    }

    async fn with(&self, path: &str, body: &Value, header: (&str, &str)) -> Told {
        let token = self.lab.engine.operator_token();
        let request = self.caller.request("POST", path, Some(&token));
        let request = request.header("content-type", "application/json").body(body.to_string());
        let response = request.header(header.0, header.1).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        Told { status, headers, body }
    }

    async fn drafted(&self) -> String {
        let told = self.caller.operate("POST", "/api/v1/specs", &self.draft()).await;
        assert_eq!(told.status, 201, "{told:?}");
        told.body["id"].as_str().unwrap().to_owned()
    }

    fn head(&self) -> u64 {
        self.lab.engine.head()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_goes_by_an_old_version_is_refused() {
    let world = World::new().await;
    let path = format!("/api/v1/specs/{}/comments", world.drafted().await);
    let body = json!({ "text": "Well." });
    let first = world.with(&path, &body, ("if-match", "\"1\"")).await;
    assert_eq!((first.status, &first.body["version"]), (200, &json!(2)), "{first:?}");
    assert_eq!(first.header("etag"), "\"2\"");
    let late = world.with(&path, &body, ("if-match", "1")).await;
    assert_eq!((late.status, late.code()), (412, "version_conflict"), "{late:?}");
    let again = world.with(&path, &body, ("if-match", first.header("etag"))).await;
    assert_eq!(again.status, 200, "{again:?}");
    let any = world.with(&path, &body, ("if-match", "*")).await;
    assert_eq!(any.body["version"], 4);
    for bad in ["x", "\"\"", "W/\"3\"", "-1", "+3"] {
        let told = world.with(&path, &body, ("if-match", bad)).await;
        assert_eq!((told.status, told.code()), (400, "invalid_header"), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_writes_by_one_version_one_is_done() {
    let world = World::new().await;
    let path = format!("/api/v1/specs/{}/comments", world.drafted().await);
    let body = json!({ "text": "Well." });
    let write = || world.with(&path, &body, ("if-match", "\"1\""));
    let (a, b, c, d) = tokio::join!(write(), write(), write(), write());
    let mut statuses = [a.status, b.status, c.status, d.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_under_a_key_is_carried_out_once() {
    let world = World::new().await;
    let spec = world.drafted().await;
    let of = |verb: &str| format!("/api/v1/specs/{spec}/{verb}");
    let draft = world.draft();
    let cases = [
        ("/api/v1/specs".to_owned(), draft.clone()),
        (of("comments"), json!({ "text": "Well." })),
        (of("execute"), json!({})),
        (of("pause"), json!({ "reason": "later" })),
        (of("resume"), json!({})),
        (of("fork"), json!({ "at_version": 1 })),
        (of("cancel"), json!({})),
        (of("retry"), json!({ "phase": "explore" })),
        ("/api/v1/specs/launch".to_owned(), draft),
    ];
    for (path, body) in cases {
        let key = ("idempotency-key", path.as_str());
        let first = world.with(&path, &body, key).await;
        assert!(first.status < 300, "{path}: {first:?}");
        let before = world.lab.engine.commands().specs.load(id(&first.body)).await.unwrap();
        let again = world.with(&path, &body, key).await;
        assert_eq!(again.status, first.status, "{path}: {again:?}");
        for same in ["id", "position", "version"] {
            assert_eq!(again.body[same], first.body[same], "{same} of {path}");
        }
        let people = |events: Vec<specline::store::Recorded>| {
            let by = events.iter().filter(|event| event.metadata.contains("person:"));
            by.count()
        };
        let n = people(world.lab.events(id(&first.body).into()).await);
        world.with(&path, &body, key).await;
        assert_eq!(people(world.lab.events(id(&first.body).into()).await), n, "{path}");
        drop(before);
        let other = world.with(&path, &json!({ "title": "x", "reason": "y" }), key).await;
        assert_eq!(other.status, 422, "{path}: {other:?}");
    }
}

fn id(body: &Value) -> uuid::Uuid {
    body["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_can_ask_to_have_seen_a_write() {
    let world = World::new().await;
    let told = world.caller.operate("POST", "/api/v1/specs", &world.draft()).await;
    let (id, position) = (told.body["id"].clone(), told.body["position"].as_u64().unwrap());
    let path = format!("/api/v1/specs?at_least={position}");
    let list = world.caller.operate("GET", &path, &Value::Null).await;
    assert_eq!((list.status, &list.body["specs"][0]["id"]), (200, &id), "{list:?}");
    let ahead = world.head() + 1_000_000;
    let path = format!("/api/v1/specs?at_least={ahead}");
    let told = world.caller.operate("GET", &path, &Value::Null).await;
    assert_eq!((told.status, told.code()), (400, "position_ahead"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_follow_one_another_to_the_end() {
    let world = World::new().await;
    let mut drafted = Vec::new();
    for _ in 0..7 {
        drafted.push(world.drafted().await);
    }
    drafted.reverse();
    let head = world.head();
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/specs?limit=3&at_least={head}{cursor}");
        let page = world.caller.operate("GET", &path, &Value::Null).await;
        assert_eq!(page.status, 200, "{page:?}");
        let ids = page.body["specs"].as_array().unwrap().iter();
        listed.extend(ids.map(|spec| spec["id"].as_str().unwrap().to_owned()));
        let Some(next) = page.body["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(listed, drafted);
    for (bad, code) in [
        ("limit=0", "invalid_query"),
        ("limit=1001", "invalid_query"),
        ("cursor=nonsense", "invalid_cursor"),
    ] {
        let told = world.caller.operate("GET", &format!("/api/v1/specs?{bad}"), &Value::Null).await;
        assert_eq!(told.code(), code, "{told:?}");
    }
}
