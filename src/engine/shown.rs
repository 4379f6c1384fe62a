//! What a phase was given and what it brought, as people and scripts get it.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use specline_aggregates::output::{self, Design, Explore, Requirements, Tasks};
use specline_aggregates::spec::Context;
use specline_aggregates::{Phase, RawJson, SpecId};

use super::{Engine, EngineError};
use crate::view::{PhaseView, SpecView};

/// Exactly what the agent of a phase gets.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ContextShown {
    pub context: Context,
    /// None: the phase has no prompt, as the engine carries it out.
    pub prompt: Option<PromptShown>,
}

/// The two texts of a prompt.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PromptShown {
    pub system: String,
    pub user: String,
}

/// A phase, with the output that was accepted or waits for a person.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PhaseShown {
    pub phase: PhaseView,
    #[schemars(with = "Option<AnyOutput>")]
    pub output: Option<Arc<RawJson>>,
}

/// An output that has passed its phase's gate.
pub struct AnyOutput;

impl JsonSchema for AnyOutput {
    fn schema_name() -> Cow<'static, str> {
        "PhaseOutput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut sync = output::schema(Phase::Sync);
        if let Some(members) = sync.as_object_mut() {
            members.remove("$schema");
        }
        json_schema!({
            "description": "The output of a phase; which one, the phase says.",
            "anyOf": [
                generator.subschema_for::<Explore>(),
                generator.subschema_for::<Requirements>(),
                generator.subschema_for::<Design>(),
                generator.subschema_for::<Tasks>(),
                sync,
            ],
        })
    }
}

impl Engine {
    /// Exactly what the agent of `phase` gets, or would get now.
    pub async fn context_of(&self, id: SpecId, phase: Phase) -> Result<ContextShown, EngineError> {
        let spec = self.spec(id).await?;
        let blobs = self.blobs(&spec).await?;
        let context = spec.context(phase, &blobs).map_err(|e| EngineError::refused(&e))?;
        let json = serde_json::to_value(&context).map_err(|error| EngineError::Internal {
            what: "the context cannot be written as JSON",
            cause: error.to_string(),
        })?;
        let prompt = crate::prompts::render(phase, &json).ok();
        let prompt = prompt.map(|p| PromptShown { system: p.system, user: p.user });
        Ok(ContextShown { context, prompt })
    }

    /// A phase as `show` has it, with the output that was accepted or waits for a person.
    pub async fn phase_of(&self, id: SpecId, phase: Phase) -> Result<PhaseShown, EngineError> {
        let spec = self.spec(id).await?;
        let output = self.output_of(&spec, phase).await?;
        let phases = SpecView::of(&spec).map(|view| view.phases).unwrap_or_default();
        let phase = phases.into_iter().find(|view| view.phase == phase);
        let missing = || EngineError::NotFound { what: "spec", id: id.to_string() };
        Ok(PhaseShown { phase: phase.ok_or_else(missing)?, output })
    }
}
