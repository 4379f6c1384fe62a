//! SQL, shell, markup and numbers in every place where the API takes something, as its own OpenAPI
//! document tells the places, on both stores.

use reqwest::Method;
use serde_json::{Map, Value, json};
use specline::http::{IDEMPOTENCY_KEY, openapi};

use super::{Target, encoded};
use crate::support::Project;

const TEXTS: [&str; 12] = [
    "' OR '1'='1",
    "'; DROP TABLE events; --",
    "\"; DELETE FROM spec_board; --",
    "x') UNION SELECT sql FROM sqlite_master --",
    "1; SELECT pg_sleep(30) --",
    "\\'; TRUNCATE events; --",
    "$1",
    "?1",
    "%",
    "_",
    "$(reboot)`reboot`",
    "<script>alert(1)</script>\u{202e}{{7*7}}",
];

const NUMBERS: [&str; 8] = [
    "-1",
    "0",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "0x10",
];

/// Takes the same body as a draft, and would start what it launches.
const LEFT_OUT: &str = "/api/v1/specs/launch";

/// A place in a request that takes a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Path(String),
    Query(String),
    Member(String),
    Key,
    Actor,
}

struct Walk<'a> {
    target: &'a Target,
    http: reqwest::Client,
    document: Value,
    n: usize,
}

impl<'a> Walk<'a> {
    fn new(target: &'a Target) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { target, http, document: openapi(), n: 0 }
    }

    /// A schema, with its reference followed.
    fn schema<'b>(&'b self, schema: &'b Value) -> &'b Value {
        match schema["$ref"].as_str().and_then(|place| place.strip_prefix('#')) {
            Some(place) => self.document.pointer(place).unwrap(),
            None => schema,
        }
    }

    /// The body's members, each with something of its kind.
    fn body(&self, operation: &Value) -> Map<String, Value> {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let Some(members) = self.schema(schema)["properties"].as_object() else {
            return Map::new();
        };
        let good = |(name, schema): (&String, &Value)| (name.clone(), self.good(name, schema));
        members.iter().map(good).collect()
    }

    fn good(&self, name: &str, schema: &Value) -> Value {
        let schema = self.schema(schema);
        let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
        match (name, kind) {
            ("repository", _) => json!(self.target.project.repo()),
            ("phase", _) => json!("explore"),
            ("scopes", _) => json!(["reader"]),
            ("policy" | "budget" | "source_ticket" | "project" | "expires_at", _) => Value::Null,
            (_, Some("integer" | "number")) => json!(1),
            (_, Some("boolean")) => json!(true),
            (_, Some("array")) => json!([]),
            (_, Some("object")) => json!({}),
            _ => json!("word"),
        }
    }

    async fn call(&mut self, method: &str, path: &str, place: &Place, text: &str) {
        let operation = &self.document["paths"][path][method.to_lowercase()];
        let mut body = self.body(operation);
        let has_body = !operation["requestBody"].is_null();
        let mut route = path.to_owned();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            let good = match name {
                "phase" => "explore".to_owned(),
                "n" | "position" => "1".to_owned(),
                "name" => "tickets".to_owned(),
                _ => "0198c5a0-0000-7000-8000-000000000001".to_owned(),
            };
            let hit = *place == Place::Path(name.to_owned());
            let value = if hit { encoded(text) } else { good };
            route = route.replace(&format!("{{{name}}}"), &value);
        }
        let mut url = format!("http://{}{route}", self.target.address);
        if let Place::Query(name) = place {
            url = format!("{url}?{name}={}", encoded(text));
        }
        if let Place::Member(name) = place {
            body.insert(name.clone(), json!(text));
        }
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, &url).bearer_auth(&self.target.token);
        match place {
            Place::Key => request = request.header(IDEMPOTENCY_KEY, text.replace(' ', "/**/")),
            Place::Actor => request = request.header("x-specline-actor", text),
            Place::Path(_) | Place::Query(_) | Place::Member(_) => {}
        }
        if has_body {
            let text = Value::Object(body).to_string();
            request = request.header("content-type", "application/json").body(text);
        }
        let response = request.send().await.unwrap_or_else(|error| panic!("{place:?}: {error}"));
        let (status, shown) = (response.status(), format!("{path} {place:?} {text:?}"));
        let stream = response.headers()["content-type"] == "text/event-stream";
        let text = if stream { String::new() } else { response.text().await.unwrap() };
        assert!(!status.is_server_error(), "{shown}: {status} {text}");
        if status.is_client_error() {
            let problem: Value = serde_json::from_str(&text).unwrap_or_default();
            assert!(problem["code"].is_string(), "{shown}: {status} {text}");
        }
        for leak in ["sqlite", "SqliteError", "sqlx", "syntax error at", "near \""] {
            assert!(status.is_success() || !text.contains(leak) || shown.contains(leak), "{text}");
        }
        self.n += 1;
    }

    async fn operation(&mut self, method: &str, path: &str) {
        let operation = &self.document["paths"][path][method.to_lowercase()];
        let mut places = Vec::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap().to_owned();
            match parameter["in"].as_str() {
                Some("path") => places.push(Place::Path(name)),
                Some("query") => places.push(Place::Query(name)),
                _ => {}
            }
        }
        if !operation["requestBody"].is_null() {
            places.extend(self.body(operation).into_iter().map(|(name, _)| Place::Member(name)));
        }
        if method != "GET" {
            places.push(Place::Key);
        }
        for place in &places {
            // A good number of seconds would be waited for.
            let waits = *place == Place::Query("wait".to_owned());
            let numbers: &[&str] = if waits { &["-1", "1e308"] } else { &NUMBERS };
            for text in TEXTS.iter().chain(numbers) {
                if *place != Place::Key || text.is_ascii() {
                    self.call(method, path, place, text).await;
                }
            }
        }
    }
}

/// What is there, by the programs that check it.
fn whole(project: &Project) -> usize {
    let said = project.ok(&["log", "verify"]);
    assert_eq!(said.code(), 0, "{said:?}");
    project.log().0.len()
}

fn walked(mut target: Target) {
    let drafted = target.post_json("/api/v1/specs", &target.draft("There before"));
    assert_eq!(drafted.status, 201, "{drafted:?}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut walk = Walk::new(&target);
        let paths = walk.document["paths"].as_object().unwrap().clone();
        for (path, operations) in paths.iter().filter(|(path, _)| *path != LEFT_OUT) {
            for method in operations.as_object().unwrap().keys() {
                walk.operation(&method.to_uppercase(), path).await;
            }
        }
        for text in TEXTS.iter().filter(|text| text.is_ascii()) {
            walk.call("POST", "/api/v1/specs", &Place::Actor, text).await;
        }
        println!("{} calls on {} routes", walk.n, paths.len());
        assert!(walk.n > 1_000, "only {} calls", walk.n);
    });
    let models = target.get("/api/v1/projections").json();
    assert!(!models.to_string().contains("failed"), "{models}");
    let spec = drafted.json()["id"].as_str().unwrap().to_owned();
    let there = target.get(&format!("/api/v1/specs/{spec}")).json();
    assert_eq!(there["title"], "There before");
    target.still_serves();
    assert!(whole(&target.project) > 0);
}

#[test]
fn no_text_reaches_a_statement_on_sqlite() {
    walked(Target::sqlite(&[]));
}

#[test]
fn no_text_reaches_a_statement_on_postgres() {
    walked(Target::postgres(&[]));
}
