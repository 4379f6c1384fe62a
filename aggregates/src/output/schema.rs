//! The JSON Schema of each phase's output, generated from its Rust type: what the prompt shows,
//! what the gate checks and what the API documents are one and the same.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::{Design, Explore, Requirements, Tasks};
use crate::Phase;

/// The schema of `phase`'s output (draft 2020-12). The same at every call, and it refers to nothing
/// outside itself.
#[must_use]
pub fn schema(phase: Phase) -> Value {
    let mut schema = match phase {
        Phase::Explore => of::<Explore>(),
        Phase::Requirements => of::<Requirements>(),
        Phase::Design => of::<Design>(),
        Phase::Tasks => of::<Tasks>(),
        Phase::Sync => sync(),
    };
    // Whether a map keeps its insertion order hangs on the features of the whole build.
    schema.sort_all_objects();
    schema
}

fn of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value()
}

/// What sync computes is no agent's business, so that its types carry no schema of their own.
fn sync() -> Value {
    let ids = json!({
        "type": "object",
        "additionalProperties": { "type": "string", "format": "uuid" },
    });
    let names = json!({ "type": "array", "items": { "type": "string" } });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Sync",
        "type": "object",
        "required": ["requirements", "tickets", "tasks", "coverage", "files"],
        "properties": {
            "requirements": ids,
            "tickets": ids,
            "tasks": ids,
            "coverage": { "type": "array", "items": {
                "type": "object",
                "required": ["requirement", "components", "tasks"],
                "properties": {
                    "requirement": { "type": "string" }, "components": names, "tasks": names,
                },
            }},
            "files": { "type": "array", "items": {
                "type": "object",
                "required": ["path", "digest"],
                "properties": {
                    "path": { "type": "string" },
                    "digest": { "type": "string", "pattern": "^[0-9a-f]{64}$" },
                },
            }},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refs(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|inner| refs(inner, found));
            }
            Value::Array(items) => items.iter().for_each(|inner| refs(inner, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn a_schema_is_the_same_each_time_and_refers_to_nothing_outside_itself() {
        for phase in Phase::ALL {
            let once = schema(phase);
            assert_eq!(once.to_string(), schema(phase).to_string());
            let mut found = Vec::new();
            refs(&once, &mut found);
            assert!(found.iter().all(|r| r.starts_with("#/")), "{phase}: {found:?}");
            assert!(jsonschema::meta::is_valid(&once), "{phase}");
        }
    }

    #[test]
    fn optional_fields_may_be_left_out_and_lists_may_not() {
        let component = &schema(Phase::Design)["$defs"]["Component"];
        let required = component["required"].as_array().expect("a list");
        assert!(required.contains(&json!("depends_on")) && !required.contains(&json!("path")));
    }

    #[test]
    fn unknown_fields_are_allowed() {
        for phase in Phase::ALL {
            assert!(schema(phase).get("additionalProperties").is_none(), "{phase}");
        }
    }
}
