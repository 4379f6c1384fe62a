//! The OpenAPI document, put together from the table of routes, the operations and the types that
//! the handlers read and write.

use std::sync::OnceLock;

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use specline_aggregates::{Digest, Phase};

use super::operation::{Answer, Operation};
use super::operations;
use crate::http::needs::{Need, ROUTES};
use crate::protocol::Problem;

/// Methods that write.
const WRITES: [&str; 2] = ["POST", "PATCH"];

/// Posts that take no `Idempotency-Key`: what they do is to be done each time.
const UNKEYED: [&str; 2] = ["worker_heartbeat", "worker_events"];

/// Kinds of text whose lines hold JSON.
const LINED: [&str; 2] = ["application/x-ndjson", "text/event-stream"];

/// The document, made once.
pub(super) fn once() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(document)
}

/// The OpenAPI 3.1 document of the API.
#[must_use]
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>();
    let mut paths = Map::new();
    for operation in operations::all() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.to_lowercase()] = described(&operation, &mut generator);
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Specline",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A durable workflow engine for spec-driven development.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "responses": { "Problem": refusal(&problem) },
            "securitySchemes": {
                "key": { "type": "http", "scheme": "bearer" },
                "sandbox": { "type": "http", "scheme": "bearer" },
            },
        },
    });
    bound(&mut document);
    document
}

fn refusal(problem: &Schema) -> Value {
    json!({
        "description": "A problem document (RFC 9457); `code` is stable, `type` is its page.",
        "content": { "application/problem+json": { "schema": problem } },
    })
}

fn described(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut parameters = of_path(operation.path, generator);
    parameters.extend(of_query(operation, generator));
    parameters.extend(of_headers(operation));
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [tag(operation.path)],
        "parameters": parameters,
        "responses": answers(operation, generator),
    });
    let (security, scope) = need(operation);
    described["security"] = security;
    if let Some(scope) = scope {
        described["x-scope"] = json!(scope);
    }
    if let Some(body) = operation.body {
        let schema = body(generator).to_value();
        let required = has_required(generator, &schema);
        let content = json!({ "application/json": { "schema": schema } });
        described["requestBody"] = json!({ "required": required, "content": content });
    }
    described
}

/// Whether a body must have any member: no body at all is read as an empty object.
fn has_required(generator: &SchemaGenerator, schema: &Value) -> bool {
    let name = schema["$ref"].as_str().and_then(|place| place.rsplit('/').next());
    let body = name.and_then(|name| generator.definitions().get(name)).unwrap_or(schema);
    body["required"].as_array().is_none_or(|required| !required.is_empty())
        && !(body["required"].is_null() && body["type"] == "object")
}

/// `/api/v1/specs/…` belongs to `specs`.
fn tag(path: &str) -> &str {
    let path = path.strip_prefix("/api/v1/").unwrap_or(path.trim_start_matches('/'));
    path.split('/').next().unwrap_or("api")
}

fn need(operation: &Operation) -> (Value, Option<&'static str>) {
    let same = |path: &str| path == operation.path;
    let route = ROUTES.iter().find(|one| one.method == operation.method && same(one.path));
    match route.map(|route| route.need) {
        Some(Need::Nothing) => (json!([]), None),
        Some(Need::SandboxToken) => (json!([{ "sandbox": [] }]), None),
        Some(Need::Scope(scope, _)) => (json!([{ "key": [] }]), Some(scope.as_str())),
        None => (json!([{ "key": [] }]), Some("admin")),
    }
}

fn of_path(path: &str, generator: &mut SchemaGenerator) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let schema = match name {
            "id" | "ticket_id" => json!({ "type": "string", "format": "uuid" }),
            "phase" => json!(generator.subschema_for::<Phase>()),
            "digest" => json!(generator.subschema_for::<Digest>()),
            "n" => json!({ "type": "integer", "format": "uint32", "minimum": 1 }),
            "position" => json!({ "type": "integer", "format": "uint64", "minimum": 1 }),
            _ => json!({ "type": "string", "minLength": 1, "pattern": "^[a-z_]+$" }),
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    };
    names.map(parameter).collect()
}

/// The members of a query's type are its parameters.
fn of_query(operation: &Operation, generator: &mut SchemaGenerator) -> Vec<Value> {
    let Some(query) = operation.query else { return Vec::new() };
    let schema = query(generator).to_value();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let Some(members) = schema["properties"].as_object() else { return Vec::new() };
    let parameter = |(name, schema): (&String, &Value)| {
        let required = required.contains(&json!(name));
        json!({ "name": name, "in": "query", "required": required, "schema": given(schema) })
    };
    members.iter().map(parameter).collect()
}

/// A parameter that is not given is left out; it is never `null`.
fn given(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(kinds) = schema["type"].as_array() {
        let kinds: Vec<_> = kinds.iter().filter(|kind| **kind != "null").cloned().collect();
        if let [kind] = kinds.as_slice() {
            schema["type"] = kind.clone();
        }
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let choice = choices.iter().find(|choice| choice["type"] != "null").cloned();
        if let (Some(Value::Object(choice)), Some(all)) = (choice, schema.as_object_mut()) {
            all.remove("anyOf");
            all.extend(choice);
        }
    }
    schema
}

fn of_headers(operation: &Operation) -> Vec<Value> {
    let header = |name: &str, what: &str, schema: Value| {
        let header = json!({ "name": name, "in": "header", "schema": schema });
        with(header, "description", what)
    };
    let mut headers = Vec::new();
    if WRITES.contains(&operation.method) && !UNKEYED.contains(&operation.id) {
        let schema = json!({ "type": "string", "pattern": "^[!-~]{1,200}$" });
        let what = "The same request under the same key is carried out once.";
        headers.push(header("Idempotency-Key", what, schema));
    }
    if operation.conditional {
        let schema = json!({ "type": "string", "pattern": "^([0-9]{1,18}|\"[0-9]{1,18}\")$" });
        let what = "The version that the write goes by; another one is refused with 412.";
        headers.push(header("If-Match", what, schema));
    }
    if let Some((name, what, pattern)) = operation.header {
        headers.push(header(name, what, json!({ "type": "string", "pattern": pattern })));
    }
    headers
}

fn with(mut value: Value, name: &str, text: &str) -> Value {
    value[name] = json!(text);
    value
}

fn answers(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let Answer { json, text, line, other } = operation.answer;
    let line = line.map(|line| line(generator));
    let mut content = Map::new();
    if let Some(json) = json {
        content.insert("application/json".to_owned(), json!({ "schema": json(generator) }));
    }
    for kind in text {
        let mut schema = json!({ "type": "string" });
        if let Some(line) = line.as_ref().filter(|_| LINED.contains(kind)) {
            schema["x-line"] = json!(line);
        }
        content.insert((*kind).to_owned(), json!({ "schema": schema }));
    }
    let done = json!({ "description": "It was done, or is shown.", "content": content });
    let problem = json!({ "$ref": "#/components/responses/Problem" });
    let mut answers = json!({ operation.status.to_string(): done, "default": problem });
    if let Some((status, schema)) = other {
        let content = json!({ "application/json": { "schema": schema(generator) } });
        answers[status.to_string()] = json!({ "description": "It is not so.", "content": content });
    }
    answers
}

/// Says of every unsigned number how large it may be: `format` alone binds nobody.
fn bound(value: &mut Value) {
    let largest = match value["format"].as_str() {
        Some("uint8") => Some(u64::from(u8::MAX)),
        Some("uint16") => Some(u64::from(u16::MAX)),
        Some("uint32") => Some(u64::from(u32::MAX)),
        Some("uint64" | "uint") => Some(u64::MAX),
        _ => None,
    };
    match value {
        Value::Object(members) => {
            if let Some(largest) = largest {
                members.entry("maximum").or_insert_with(|| json!(largest));
            }
            members.values_mut().for_each(bound);
        }
        Value::Array(items) => items.iter_mut().for_each(bound),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
