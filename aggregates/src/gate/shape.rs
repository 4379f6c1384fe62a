//! The rule before all others: an output must have its phase's shape. What has not is malformed,
//! and each place where the shape breaks is named.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Judgement, Phase, RawJson, Severity, output};

use super::rule::{Fault, RuleInfo, report};
use super::text::excerpt;

/// The rule of `phase` that the output has its shape. It cannot be switched off.
pub(super) const fn rule(phase: Phase) -> RuleInfo {
    let name = match phase {
        Phase::Explore => "explore.schema",
        Phase::Requirements => "requirements.schema",
        Phase::Design => "design.schema",
        Phase::Tasks => "tasks.schema",
        Phase::Sync => "sync.schema",
    };
    let about = "The output is one JSON object that fits the schema";
    RuleInfo { name, phase, severity: Severity::Hard, weight: 0, about }
}

/// Reads `output`, or judges it malformed.
pub(super) fn read<T: DeserializeOwned>(phase: Phase, output: &RawJson) -> Result<T, Judgement> {
    let faults = faults(phase, output);
    if !faults.is_empty() {
        return Err(malformed(phase, faults));
    }
    // The schema is generated from the type, but a repeated field, say, only shows here.
    output.decode().map_err(|error| {
        let message = format!("the output cannot be read: {error}");
        malformed(phase, vec![Fault::new("", message, "Fit the output to the schema.")])
    })
}

pub(super) fn malformed(phase: Phase, faults: Vec<Fault>) -> Judgement {
    let findings = report(&rule(phase), faults);
    Judgement { passed: false, score: 0, findings, malformed: true }
}

fn faults(phase: Phase, output: &RawJson) -> Vec<Fault> {
    let value: Value = match output.decode() {
        Ok(value) => value,
        Err(error) => {
            let message = format!("the output is no JSON that can be read: {error}");
            return vec![Fault::new("", message, "Answer with one JSON object and nothing else.")];
        }
    };
    let schema = validator(phase);
    schema.iter_errors(&value).map(|error| fault(&error)).collect()
}

fn validator(phase: Phase) -> Validator {
    let schema = output::schema(phase);
    jsonschema::draft202012::new(&schema).expect("a schema generated from a type is valid")
}

fn fault(error: &ValidationError<'_>) -> Fault {
    let place = error.instance_path().as_str();
    let found = kind_of(error.instance());
    if place.split('/').rev().take(2).any(|part| part == "depends_on") && is_type(error) {
        return depends_on(place, found);
    }
    let (message, mend) = describe(error, found);
    Fault::new(place, message, mend)
}

/// A model is tempted to write dependencies as an object; that must never be read as none.
fn depends_on(place: &str, found: &str) -> Fault {
    let message = format!("`depends_on` must be a list of ids or names, as strings; found {found}");
    let mend = "Write a list such as [\"TSK-001\"], or [] when it depends on nothing.";
    Fault::new(place, message, mend)
}

fn is_type(error: &ValidationError<'_>) -> bool {
    error.kind().keyword() == "type"
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum; the rest speak for themselves")]
fn describe(error: &ValidationError<'_>, found: &str) -> (String, String) {
    match error.kind() {
        ValidationErrorKind::Type { kind } => {
            let expected = expected(kind);
            (format!("expected {expected}, found {found}"), format!("Put {expected} here."))
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            (format!("the field `{name}` is missing"), format!("Add `{name}`."))
        }
        ValidationErrorKind::Enum { options } => {
            let value = excerpt(&error.instance().to_string());
            (format!("{value} is none of {options}"), format!("Use one of {options}."))
        }
        _ => (error.masked().to_string(), "Fit this place to the schema.".to_owned()),
    }
}

fn expected(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => named(one.as_str()).to_owned(),
        TypeKind::Multiple(several) => {
            let names: Vec<&str> = several.iter().map(|one| named(one.as_str())).collect();
            names.join(" or ")
        }
    }
}

fn named(kind: &str) -> &str {
    match kind {
        "array" => "a list",
        "object" => "an object",
        "string" => "a string",
        "number" => "a number",
        "integer" => "an integer",
        "boolean" => "a boolean",
        other => other,
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
