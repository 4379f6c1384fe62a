//! Masks what a sandbox tells: its worker does so too, but whatever runs inside may call by itself.

use specline_aggregates::RawJson;

use super::{Engine, EngineError, Token};
use crate::agent::Mask;
use crate::store::Lease;

/// The secrets that one sandbox was given.
pub(super) struct Masking(Mask);

impl Engine {
    pub(super) async fn mask(&self, lease: &Lease) -> Result<Masking, EngineError> {
        let token = Token::of(&self.inner.secret, lease.sandbox, lease.epoch);
        let mask = Mask::new([token.text().to_owned()]);
        let spec = self.spec(lease.owner.into()).await?;
        mask.learn_variables(&spec.policy().agent_env);
        // What the host gives to an agent of that name.
        let named = spec.policy().named_agent();
        if let Some(program) = named.and_then(|name| self.inner.programs.agents.get(name)) {
            mask.learn_variables(&program.env);
        }
        Ok(Masking(mask))
    }
}

impl Masking {
    pub(super) fn text(&self, text: &str) -> String {
        self.0.apply(text)
    }

    pub(super) fn json(&self, json: &str) -> String {
        self.0.apply_json(json)
    }

    pub(super) fn raw(&self, json: &RawJson) -> Result<RawJson, EngineError> {
        RawJson::parse(self.json(json.text())).map_err(|error| EngineError::Internal {
            what: "what was masked is no JSON any more",
            cause: error.to_string(),
        })
    }
}
