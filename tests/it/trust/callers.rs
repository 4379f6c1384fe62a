//! Callers: who they are taken for, what they may find out, and what is theirs alone.

use std::net::SocketAddr;

use serde_json::{Value, json};
use specline::http::{Access, Api, FailedLogins, IDEMPOTENCY_KEY, Peer, router};

use crate::access::{Caller, Told, told};
use crate::support::{Lab, Start};

fn draft(repository: &std::path::Path) -> Value {
    json!({
        "title": "Limit links",
        "description": "Limit how many links an API key may create.",
        "repository": repository,
    })
}

/// A project of `folder`; its id.
async fn project(caller: &Caller, folder: &std::path::Path) -> String {
    let new = json!({ "name": "Links", "repository": folder });
    let made = caller.operate("POST", "/api/v1/projects", &new).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.body["id"].as_str().unwrap().to_owned()
}

async fn keyed(caller: &Caller, (path, key): (&str, &str), body: &Value, token: &str) -> Told {
    let request = caller.request("POST", path, Some(token));
    let request = request.header("content-type", "application/json").body(body.to_string());
    let response = request.header(IDEMPOTENCY_KEY, key).send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    Told { status, headers, body }
}

/// Two people's keys have one name, and they happen to choose one idempotency key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_is_one_access_keys_own() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let (here, there) = (lab.project.repo(), lab.project.path("other"));
    std::fs::create_dir_all(&there).unwrap();
    let mut specs = Vec::new();
    for folder in [&here, &there] {
        let id = project(&caller, folder).await;
        let grant = json!({ "name": "ci", "scopes": ["operator"], "project": id });
        let key = caller.key(&grant).await.key;
        let body = draft(folder);
        let made = keyed(&caller, ("/api/v1/specs", "nightly"), &body, &key).await;
        assert_eq!(made.status, 201, "{made:?}");
        let again = keyed(&caller, ("/api/v1/specs", "nightly"), &body, &key).await;
        assert_eq!(again.body["id"], made.body["id"], "a repeat is a repeat");
        specs.push((made.body["id"].clone(), key));
    }
    assert_ne!(specs[0].0, specs[1].0);
    // On one spec, too.
    let (spec, first) = &specs[0];
    let path = format!("/api/v1/specs/{}/comments", spec.as_str().unwrap());
    let second = caller.key(&json!({ "name": "ci", "scopes": ["operator"] })).await.key;
    for (key, text) in [(first, "one"), (&second, "two")] {
        let said = keyed(&caller, (&path, "note"), &json!({ "text": text }), key).await;
        assert!(said.status < 300, "{text}: {said:?}");
    }
    let known = caller.operate("POST", &path, &json!({ "text": "three" })).await;
    assert!(known.status < 300, "{known:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_header_makes_a_person_look_like_a_key_or_a_key_like_another() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let key = caller.key_with("operator").await.key;
    let operator = caller.operator().to_owned();
    for (token, given, recorded) in [
        (&operator, "ann", "person:ann"),
        (&operator, "key:ci", "person:"),
        (&operator, "key:key:ci", "person:"),
        (&operator, " key: key:ci", "person:"),
        (&operator, "KEY:ci", "person:"),
        (&operator, "sandbox:1", "person:"),
        (&operator, "engine:sealer", "person:"),
        (&key, "key:other", "key:operator"),
        (&key, "ann", "key:operator"),
    ] {
        let request = caller.request("POST", "/api/v1/specs", Some(token.as_str()));
        let request = request.header("x-specline-actor", given);
        let request = request.header("content-type", "application/json");
        let made = told(request.body(draft(&lab.project.repo()).to_string())).await;
        assert_eq!(made.status, 201, "{given}: {made:?}");
        let id = made.body["id"].as_str().unwrap().parse().unwrap();
        let event = lab.events(id).await.remove(0);
        let metadata: Value = serde_json::from_str(&event.metadata).unwrap();
        let actor = metadata["actor"].as_str().unwrap();
        assert!(actor.starts_with(recorded), "{given:?} was recorded as {actor:?}");
        let cancel = format!("/api/v1/specs/{id}/cancel");
        let request = caller.request("POST", &cancel, Some(token.as_str()));
        let request = request.header("x-specline-actor", given);
        let request = request.header("content-type", "application/json").body("{}");
        assert_eq!(told(request).await.status, 200);
        let last = lab.events(id).await.pop().unwrap();
        let by: Value = serde_json::from_str(&last.payload).unwrap();
        let by = by["SpecCancelled"]["by"].as_str().unwrap().to_owned();
        let is_key = by.to_lowercase().contains("key:");
        assert_eq!(is_key, *token == key, "{given:?} cancelled as {by:?}");
        assert!(!by.contains("other"), "{by}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_key_on_a_workers_route_is_wrong_there_and_stays_good() {
    let lab = Lab::new(Start::Nothing).await;
    let key = Caller::of(&lab).key_with("reader").await.key;
    let access = Access { failed_logins: Some(FailedLogins(3)), ..Access::default() };
    let api = Api::with(lab.engine.clone(), &lab.engine.operator_token(), access);
    let peer = SocketAddr::new("127.0.0.1".parse().unwrap(), 9);
    let app = router(api).layer(axum::Extension(Peer(peer)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let caller = Caller::at(&lab, base);
    let worker = "/api/v1/sandboxes/01890000-0000-7000-8000-000000000000/heartbeat";
    for token in [key.as_str(), caller.operator()] {
        for _ in 0..10 {
            let there = caller.send("POST", worker, (token, &json!({}))).await;
            assert_eq!(there.status, 403, "{there:?}");
        }
        let here = caller.get("/api/v1/specs", token).await;
        assert_eq!(here.status, 200, "{here:?}");
    }
    let new = Caller::of(&lab).key_with("reader").await.key;
    assert_eq!(caller.get("/api/v1/specs", &new).await.status, 200, "nobody is held off");
    for _ in 0..10 {
        caller.send("POST", worker, ("guess", &json!({}))).await;
    }
    assert_eq!(caller.send("POST", worker, ("guess", &json!({}))).await.status, 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_authorization_whose_schemes_case_does_not_matter() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let token = caller.operator().to_owned();
    let key = caller.key_with("reader").await.key;
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let request = caller.request("GET", "/api/v1/specs", None);
        let told = told(request.header("authorization", format!("{scheme} {key}"))).await;
        assert_eq!(told.status, 200, "{scheme}: {told:?}");
    }
    for second in [&token, &key, "guess"] {
        let request = caller.request("GET", "/api/v1/specs", Some(&token));
        let told = told(request.header("authorization", format!("Bearer {second}"))).await;
        assert_eq!((told.status, told.code()), (400, "invalid_header"), "{told:?}");
    }
    let worker = "/api/v1/sandboxes/01890000-0000-7000-8000-000000000000/assignment";
    let request = caller.request("GET", worker, Some(&token));
    let told = told(request.header("authorization", "Bearer x")).await;
    assert_eq!((told.status, told.code()), (400, "invalid_header"), "{told:?}");
}

/// The status and everything that is said, without the ids that were asked for.
fn alike(told: &Told, names: &[&str]) -> (u16, String) {
    let mut body = told.body.clone();
    body["request_id"] = Value::Null;
    let text = names.iter().fold(body.to_string(), |text, name| text.replace(name, "ID"));
    (told.status, text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_key_may_not_see_is_as_if_it_were_not_there() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let there = lab.project.path("other");
    std::fs::create_dir_all(&there).unwrap();
    let own = project(&caller, &lab.project.repo()).await;
    let foreign = project(&caller, &there).await;
    let made = caller.operate("POST", "/api/v1/specs", &draft(&there)).await;
    let spec = made.body["id"].as_str().unwrap().to_owned();
    let grant = json!({ "name": "ci", "scopes": ["operator"], "project": own });
    let key = caller.key(&grant).await.key;
    let nobody = uuid::Uuid::now_v7().to_string();
    let names = [spec.as_str(), foreign.as_str(), nobody.as_str()];
    for path in [
        "/api/v1/sandboxes?spec=",
        "/api/v1/tasks?spec=",
        "/api/v1/tickets?spec=",
        "/api/v1/audit/events?spec=",
        "/api/v1/specs/",
        "/api/v1/specs?project=",
    ] {
        let other = if path.contains("project") { &foreign } else { &spec };
        let seen = caller.get(&format!("{path}{other}"), &key).await;
        let not_there = caller.get(&format!("{path}{nobody}"), &key).await;
        assert_eq!(alike(&seen, &names), alike(&not_there, &names), "{path}");
        assert!(!seen.body.to_string().contains(&foreign) || path.contains("project"), "{seen:?}");
    }
    // A folder of another project, one that is none, one that is not there, and a file.
    let file = lab.project.path("file");
    std::fs::write(&file, "").unwrap();
    let mut first = None;
    for folder in [there, lab.project.root().to_owned(), "/no/such/folder".into(), file] {
        let told = caller.send("POST", "/api/v1/specs", (&key, &draft(&folder))).await;
        let told = alike(&told, &names);
        let first = first.get_or_insert_with(|| told.clone());
        assert_eq!(told, *first, "{}", folder.display());
        assert_eq!(told.0, 404);
    }
    let mut by_project = draft(std::path::Path::new(""));
    let mut answers = Vec::new();
    for id in [&foreign, &nobody] {
        by_project["project"] = json!(id);
        let told = caller.send("POST", "/api/v1/specs", (&key, &by_project)).await;
        answers.push(alike(&told, &names));
    }
    assert_eq!(answers[0], answers[1]);
    by_project["project"] = json!(own);
    let told = caller.send("POST", "/api/v1/specs", (&key, &by_project)).await;
    assert_eq!(told.status, 201, "its own is: {told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_is_of_its_list() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    for n in 0..2 {
        let mut body = draft(&lab.project.repo());
        body["title"] = json!(format!("Limit {n}"));
        assert_eq!(caller.operate("POST", "/api/v1/specs", &body).await.status, 201);
        caller.key_with("reader").await;
        let folder = lab.project.path(&format!("p{n}"));
        std::fs::create_dir_all(&folder).unwrap();
        project(&caller, &folder).await;
    }
    let head = lab.engine.head();
    let operator = caller.operator().to_owned();
    let mut cursors = Vec::new();
    for list in ["specs", "keys", "projects"] {
        let path = format!("/api/v1/{list}?limit=1&at_least={head}");
        let page = caller.get(&path, &operator).await;
        let cursor = page.body["next_cursor"].as_str().unwrap_or_else(|| panic!("{page:?}"));
        cursors.push((list, cursor.to_owned()));
    }
    for (of, cursor) in &cursors {
        for list in ["specs", "keys", "projects", "tasks", "tickets", "sandboxes"] {
            let path = format!("/api/v1/{list}?limit=1&cursor={cursor}");
            let page = caller.get(&path, &operator).await;
            if list == *of {
                assert_eq!(page.status, 200, "{path}: {page:?}");
            } else {
                assert_eq!((page.status, page.code()), (422, "invalid_cursor"), "{path}: {page:?}");
            }
        }
    }
    // A list under other conditions is another list.
    let path = format!("/api/v1/specs?limit=1&cursor={}&status=completed", cursors[0].1);
    let page = caller.get(&path, &operator).await;
    assert_eq!((page.status, page.code()), (422, "invalid_cursor"), "{page:?}");
    for cursor in ["1", "-1", "x", "9223372036854775807"] {
        let page = caller.get(&format!("/api/v1/specs?cursor={cursor}"), &operator).await;
        assert_eq!((page.status, page.code()), (422, "invalid_cursor"), "{cursor}: {page:?}");
    }
}
