//! The OpenAPI document as a judge: whether an answer is one that it describes.

use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::{Map, Value, json};
use specline::http::openapi;

use crate::access::Told;

/// The document, with every object closed: a member that it does not name is no answer.
pub struct Document(Value);

impl Document {
    pub fn new() -> Self {
        let mut document = openapi();
        let mut extended = BTreeSet::new();
        extensions(&document["components"]["schemas"], &mut extended);
        let schemas = document["components"]["schemas"].as_object_mut().unwrap();
        for (name, schema) in schemas {
            let plain = schema["type"] == "object" && schema["properties"].is_object();
            if plain && !extended.contains(name) && !OPEN.contains(&name.as_str()) {
                schema["unevaluatedProperties"] = json!(false);
            }
        }
        Self(document)
    }

    fn answers(&self, (method, route): (&str, &str)) -> &Map<String, Value> {
        let operation = &self.0["paths"][route][method.to_lowercase()];
        let answers = operation["responses"].as_object();
        answers.unwrap_or_else(|| panic!("{method} {route} is not documented"))
    }

    /// Whether a route takes a parameter of this name.
    pub fn takes(&self, (method, route): (&str, &str), name: &str) -> bool {
        let operation = &self.0["paths"][route][method.to_lowercase()];
        let mut parameters = operation["parameters"].as_array().unwrap().iter();
        parameters.any(|parameter| parameter["name"] == name)
    }

    /// The schema with all that it may refer to.
    pub fn validator(&self, schema: &Value) -> Validator {
        let mut whole = schema.clone();
        whole["components"] = self.0["components"].clone();
        jsonschema::options().should_validate_formats(true).build(&whole).unwrap()
    }

    /// Holds an answer against what the document says of the route.
    pub fn judge(&self, route: (&str, &str), told: &Told) {
        let answers = self.answers(route);
        let answer = answers.get(&told.status.to_string()).unwrap_or(&answers["default"]);
        let answer = match answer["$ref"].as_str() {
            Some(place) => self.0.pointer(place.trim_start_matches('#')).unwrap(),
            None => answer,
        };
        let kind = told.header("content-type");
        let kind = kind.split(';').next().unwrap_or_default();
        let content = &answer["content"][kind];
        assert!(content.is_object(), "{route:?}: {kind:?} is not documented: {told:?}");
        // A stream is not read here.
        if kind == "text/event-stream" {
            return;
        }
        self.fits(&content["schema"], &told.body, &format!("{route:?} {}", told.status));
        if kind == "application/x-ndjson" {
            for line in told.body.as_str().unwrap().lines() {
                self.fits(&content["schema"]["x-line"], &serde_json::from_str(line).unwrap(), kind);
            }
        }
    }

    pub fn fits(&self, schema: &Value, value: &Value, place: &str) {
        let validator = self.validator(schema);
        let faults: Vec<_> = validator
            .iter_errors(value)
            .map(|fault| format!("{} at {}", fault, fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{place}: {faults:#?}\n{value:#}");
    }

    /// The form of an event.
    pub fn event() -> Value {
        json!({ "$ref": "#/components/schemas/EventView" })
    }
}

/// What agents bring may say more than its schema.
const OPEN: [&str; 20] = [
    "Explore",
    "KeyFile",
    "ExistingModel",
    "Conventions",
    "Tests",
    "Related",
    "Question",
    "Requirements",
    "Requirement",
    "Criterion",
    "Design",
    "Component",
    "DataModel",
    "Field",
    "Endpoint",
    "Decision",
    "Tasks",
    "PlannedTicket",
    "PlannedTask",
    "PhaseOutput",
];

/// Names of schemas to which others add members.
fn extensions(value: &Value, found: &mut BTreeSet<String>) {
    let name = |schema: &Value| {
        schema["$ref"].as_str().and_then(|place| place.rsplit('/').next()).map(str::to_owned)
    };
    match value {
        Value::Object(members) => {
            if members.contains_key("properties") {
                found.extend(name(value));
            }
            let all = members.get("allOf").and_then(Value::as_array).into_iter().flatten();
            found.extend(all.filter_map(name));
            members.values().for_each(|member| extensions(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| extensions(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Where any JSON may stand, and why.
const ANYTHING: [(&str, &str); 11] = [
    ("EventView.payload", "one form for each type and version of an event"),
    ("PhaseContext.outputs", "what agents brought, verbatim"),
    ("FeedbackContext.previous_output", "what an agent brought, whatever it was"),
    ("StepContext.result", "what an agent keeps for itself"),
    ("Attempt.output", "what an agent brought, whatever it was"),
    ("Endpoint.request", "a description or an example of any JSON"),
    ("Endpoint.response", "a description or an example of any JSON"),
    ("Work.output_schema", "a JSON Schema"),
    ("SpecChange.from", "any value of a spec or an output"),
    ("SpecChange.to", "any value of a spec or an output"),
    ("openapi", "the document itself, which OpenAPI describes"),
];

/// Walks a schema, and notes where anything may stand.
struct Search<'a> {
    document: &'a Value,
    seen: BTreeSet<String>,
    found: BTreeSet<String>,
}

impl Search<'_> {
    fn look(&mut self, schema: &Value, place: &str) {
        let says = ["$ref", "type", "anyOf", "oneOf", "allOf", "const", "enum"];
        let members = schema.as_object();
        if members.is_none_or(|members| !says.iter().any(|word| members.contains_key(*word))) {
            self.found.insert(place.to_owned());
            return;
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap();
            if self.seen.insert(name.to_owned()) {
                let target = self.document.pointer(reference.trim_start_matches('#')).unwrap();
                self.look(target, name);
            }
        }
        for word in ["anyOf", "oneOf", "allOf", "prefixItems"] {
            schema[word].as_array().into_iter().flatten().for_each(|one| self.look(one, place));
        }
        let kind = schema["type"].to_string();
        if kind.contains("\"array\"") && schema["prefixItems"].is_null() {
            self.look(&schema["items"], place);
        }
        let properties = schema["properties"].as_object();
        for (name, member) in properties.into_iter().flatten() {
            let inside =
                if place.contains('.') { place.to_owned() } else { format!("{place}.{name}") };
            self.look(member, &inside);
        }
        let combined = ["$ref", "anyOf", "oneOf", "allOf"];
        let whole = combined.iter().all(|word| schema[*word].is_null());
        if kind.contains("\"object\"") && whole {
            let more = &schema["additionalProperties"];
            let closed = *more == Value::Bool(false) || (more.is_null() && properties.is_some());
            if !closed {
                self.look(more, place);
            }
        }
    }
}

#[test]
fn every_answer_says_what_is_in_it() {
    let document = openapi();
    let (seen, found) = (BTreeSet::new(), BTreeSet::new());
    let mut search = Search { document: &document, seen, found };
    for methods in document["paths"].as_object().unwrap().values() {
        for operation in methods.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let content = answer["content"].as_object();
                assert!(content.is_some_and(|c| !c.is_empty()) || status == "default", "{id}");
                for content in content.into_iter().flatten() {
                    search.look(&content.1["schema"], id);
                }
            }
        }
    }
    let known = |place: &str| {
        ANYTHING.iter().any(|(name, _)| place == *name || place.starts_with(&format!("{name}.")))
    };
    let free: Vec<_> = search.found.iter().filter(|place| !known(place)).collect();
    assert!(free.is_empty(), "anything may stand here, and no reason is given: {free:#?}");
    for (name, why) in ANYTHING {
        let there = search.found.iter().any(|place| place.starts_with(name));
        assert!(there, "{name} says now what is in it, and needs no excuse: {why}");
    }
}

/// Writes that go by no version: they make something new, or are no person's.
const UNCONDITIONAL: [&str; 6] = [
    "draft_spec",
    "launch_spec",
    "create_project",
    "create_key",
    "rebuild_projection",
    "backtest_gates",
];

#[test]
fn every_other_write_of_a_person_is_conditional() {
    let document = Document::new();
    for (path, methods) in document.0["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let other = method == "get" || id.starts_with("worker_");
            if !other && !UNCONDITIONAL.contains(&id) {
                assert!(document.takes((method, path), "If-Match"), "{id} takes no If-Match");
            }
        }
    }
}

#[test]
fn every_parameter_has_a_kind() {
    let document = openapi();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for parameter in operation["parameters"].as_array().unwrap() {
                let schema = &parameter["schema"];
                let said = ["type", "$ref", "enum", "const", "oneOf"];
                let said = said.iter().any(|word| !schema[*word].is_null());
                assert!(said, "{method} {path}: {parameter}");
                if schema["type"] == "integer" {
                    assert!(
                        schema["maximum"].is_u64(),
                        "{method} {path} has no bound: {parameter}"
                    );
                }
            }
        }
    }
}
