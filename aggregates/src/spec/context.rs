//! What an attempt of a phase goes by: its context, and the digest that names it. Two attempts
//! with one digest are asked the very same thing, so the steps of one serve the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::event::{Payload, Repository};
use super::rejection::Rejection;
use super::state::{Feedback, Spec};
use crate::{Digest, Finding, Phase, RawJson, SpecId};

/// What the agent is given, beside the prompt.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "PhaseContext")]
pub struct Context {
    pub spec: SpecContext,
    pub phase: Phase,
    pub attempt: u32,
    /// Accepted outputs of the earlier phases.
    pub outputs: BTreeMap<Phase, Arc<RawJson>>,
    /// Why the last attempt failed; none on a first one.
    pub feedback: Option<FeedbackContext>,
    /// Results of the steps that were recorded for this very context, in their order.
    pub steps: Vec<StepContext>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SpecContext {
    pub id: Option<SpecId>,
    pub title: String,
    pub description: String,
    /// Its name and ref; where it lies is the person's.
    pub repository: Option<Repository>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FeedbackContext {
    pub attempt: u32,
    pub kind: &'static str,
    pub message: String,
    pub previous_output: Option<Arc<RawJson>>,
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StepContext {
    pub number: u32,
    pub name: String,
    pub result: Option<Arc<RawJson>>,
}

/// What the digest covers: everything but attempt number and steps.
#[derive(Serialize)]
struct Digested<'a> {
    phase: Phase,
    run_snapshot: Option<Digest>,
    title: &'a str,
    description: &'a str,
    outputs: BTreeMap<Phase, Digest>,
    feedback: Option<(u32, &'static str, &'a str, Option<Digest>)>,
}

impl Spec {
    /// Digest of the context that an attempt of `phase` would get now.
    #[must_use]
    pub fn context_digest(&self, phase: Phase) -> Digest {
        let (title, description) = self
            .brief
            .as_ref()
            .map_or(("", ""), |brief| (brief.title.as_str(), brief.description.as_str()));
        let digested = Digested {
            phase,
            run_snapshot: self.manifest.as_ref().map(|manifest| manifest.digest),
            title,
            description,
            outputs: Phase::ALL
                .into_iter()
                .filter(|before| *before < phase)
                .filter_map(|before| Some((before, self.accepted(before)?.digest)))
                .collect(),
            feedback: self.feedback(phase).map(|feedback| {
                let output = feedback.output.as_ref().map(Payload::digest);
                (feedback.attempt, feedback.kind.as_str(), feedback.message.as_str(), output)
            }),
        };
        let json = serde_json::to_vec(&digested)
            .expect("a struct of strings, numbers and digests is always valid JSON");
        Digest::of(&json)
    }

    fn feedback(&self, phase: Phase) -> Option<&Feedback> {
        self.phase_state(phase).and_then(|state| state.feedback.as_ref())
    }

    /// The context of the open attempt of `phase`, or of the one that would start now. `blobs`
    /// holds the outputs and step results that do not stand in the state.
    pub fn context(
        &self,
        phase: Phase,
        blobs: &BTreeMap<Digest, Arc<RawJson>>,
    ) -> Result<Context, Rejection> {
        let state = self.phase_state(phase).cloned().unwrap_or_default();
        let mut outputs = BTreeMap::new();
        for before in Phase::ALL.into_iter().filter(|before| *before < phase) {
            if let Some(text) = self.output_text(before, blobs)? {
                outputs.insert(before, text);
            }
        }
        let text = |payload: &Payload| match payload {
            Payload::Inline(json) => Some(Arc::clone(json)),
            Payload::Blob { digest, .. } => blobs.get(digest).cloned(),
        };
        let mut steps: Vec<StepContext> = Vec::new();
        // The running attempt keeps the context it began with, also when the title changes.
        let digest = state.running.map_or_else(|| self.context_digest(phase), |run| run.context);
        if state.steps.context == Some(digest) {
            steps.extend(state.steps.by_name.iter().map(|(name, step)| StepContext {
                number: step.number,
                name: name.clone(),
                result: text(&step.result),
            }));
            steps.sort_by_key(|step| step.number);
        }
        let brief = self.brief.as_ref().ok_or(Rejection::NotFound)?;
        Ok(Context {
            spec: SpecContext {
                id: self.id,
                title: brief.title.clone(),
                description: brief.description.clone(),
                repository: Some(Repository {
                    location: brief.repository.name().to_owned(),
                    reference: brief.repository.reference.clone(),
                }),
            },
            phase,
            attempt: state.running.map_or(state.last_attempt + 1, |attempt| attempt.number),
            outputs,
            feedback: state.feedback.as_ref().map(|feedback| FeedbackContext {
                attempt: feedback.attempt,
                kind: feedback.kind.as_str(),
                message: feedback.message.clone(),
                previous_output: feedback.output.as_ref().and_then(text),
                findings: feedback.findings.clone(),
            }),
            steps,
        })
    }

    /// Digests of the blobs that `context`, `earlier` and the gate of `phase` need.
    #[must_use]
    pub fn needed_blobs(&self) -> Vec<Digest> {
        let payloads = self.phases.values().flat_map(|state| {
            let accepted = state.accepted.as_ref().map(|accepted| &accepted.output);
            let feedback = state.feedback.as_ref().and_then(|feedback| feedback.output.as_ref());
            let steps = state.steps.by_name.values().map(|step| &step.result);
            accepted.into_iter().chain(feedback).chain(steps)
        });
        payloads
            .filter_map(|payload| match payload {
                Payload::Blob { digest, .. } => Some(*digest),
                Payload::Inline(_) => None,
            })
            .collect()
    }
}
