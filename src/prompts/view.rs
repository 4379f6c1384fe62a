//! What the templates see of a context: every field is there, and all JSON is already text.

use serde::Serialize;
use serde_json::Value;
use specline_aggregates::gate::{RuleInfo, rules};
use specline_aggregates::{Phase, Severity, output};

use super::{PromptError, example};

/// Characters of one earlier output, or of the last answer, that a prompt shows at most.
const MAX_SHOWN_CHARS: usize = 200_000;

#[derive(Serialize)]
pub(super) struct View {
    /// What the phase's own template says; it is rendered before the frame around it.
    pub work: String,
    phase: &'static str,
    spec: Spec,
    outputs: Vec<Accepted>,
    rules: Rules,
    schema: String,
    example: &'static str,
    attempt: u64,
    feedback: Option<Feedback>,
    /// Empty when no step is recorded.
    steps: String,
}

#[derive(Serialize)]
struct Spec {
    title: String,
    description: String,
    repository: String,
}

#[derive(Serialize)]
struct Accepted {
    phase: &'static str,
    json: String,
}

#[derive(Serialize)]
struct Rules {
    hard: Vec<Rule>,
    soft: Vec<Rule>,
}

#[derive(Serialize)]
struct Rule {
    name: &'static str,
    about: &'static str,
    weight: u16,
}

#[derive(Serialize)]
struct Feedback {
    message: String,
    /// Why the last answer was no JSON; empty when it was.
    not_json: String,
    findings: Vec<Failed>,
    previous: String,
}

#[derive(Serialize)]
struct Failed {
    rule: String,
    severity: String,
    #[serde(rename = "where")]
    place: String,
    message: String,
    mend: String,
}

impl View {
    pub fn of(phase: Phase, context: &Value) -> Result<Self, PromptError> {
        let steps = &context["steps"];
        let has_steps = steps.as_array().is_some_and(|steps| !steps.is_empty());
        Ok(Self {
            work: String::new(),
            phase: phase.as_str(),
            spec: Spec::of(&context["spec"])?,
            outputs: accepted(phase, &context["outputs"]),
            rules: Rules::of(phase),
            schema: pretty(&output::schema(phase)),
            example: example(phase).ok_or(PromptError::NoAgent(phase))?.trim_end(),
            attempt: context["attempt"].as_u64().unwrap_or(1),
            feedback: Feedback::of(&context["feedback"]),
            steps: if has_steps { shown(pretty(steps)) } else { String::new() },
        })
    }
}

impl Spec {
    fn of(spec: &Value) -> Result<Self, PromptError> {
        let title = text(&spec["title"]);
        let description = text(&spec["description"]);
        if title.trim().is_empty() && description.trim().is_empty() {
            return Err(PromptError::Missing("request: spec.title and spec.description are empty"));
        }
        // One of the two may be all that a person wrote.
        let or = |one: &str, other: &str| {
            if one.trim().is_empty() { other.to_owned() } else { one.to_owned() }
        };
        Ok(Self {
            title: or(&title, &description),
            description: or(&description, &title),
            repository: text(&spec["repository"]["location"]),
        })
    }
}

fn accepted(phase: Phase, outputs: &Value) -> Vec<Accepted> {
    let earlier = Phase::ALL.into_iter().filter(|earlier| *earlier < phase);
    let there = earlier.filter_map(|earlier| {
        let output = outputs.get(earlier.as_str()).filter(|output| !output.is_null())?;
        Some(Accepted { phase: earlier.as_str(), json: shown(pretty(output)) })
    });
    there.collect()
}

impl Rules {
    fn of(phase: Phase) -> Self {
        let of = |severity| {
            let all = rules().into_iter();
            let mine = all.filter(|rule| rule.phase == phase && rule.severity == severity);
            mine.map(|RuleInfo { name, about, weight, .. }| Rule { name, about, weight }).collect()
        };
        Self { hard: of(Severity::Hard), soft: of(Severity::Soft) }
    }
}

impl Feedback {
    fn of(feedback: &Value) -> Option<Self> {
        let feedback = feedback.as_object()?;
        let field = |name: &str| feedback.get(name).unwrap_or(&Value::Null);
        let previous = field("previous_output");
        let findings = field("findings").as_array().map(Vec::as_slice).unwrap_or_default();
        Some(Self {
            message: text(field("message")),
            not_json: previous.as_str().and_then(why_no_json).unwrap_or_default(),
            findings: findings.iter().filter_map(Failed::of).collect(),
            previous: shown(match previous {
                Value::Null | Value::String(_) => text(previous),
                Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    pretty(previous)
                }
            }),
        })
    }
}

/// An answer that stands as a string was no object: either no JSON at all, or a JSON string.
fn why_no_json(raw: &str) -> Option<String> {
    if raw.trim().is_empty() {
        return Some("it was empty".to_owned());
    }
    serde_json::from_str::<Value>(raw).err().map(|error| error.to_string())
}

impl Failed {
    fn of(finding: &Value) -> Option<Self> {
        let is = |name: &str| finding[name].as_bool().unwrap_or_default();
        (!is("passed") && !is("skipped")).then(|| Self {
            rule: text(&finding["rule"]),
            severity: text(&finding["severity"]),
            place: text(&finding["where"]),
            message: text(&finding["message"]),
            mend: text(&finding["mend"]),
        })
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

/// `text`, cut to what a prompt can carry.
fn shown(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_SHOWN_CHARS) {
        text.truncate(end);
        text.push_str("\n… (cut here; the whole stands in the context)");
    }
    text
}
