//! RecordStep: a durable step inside an attempt. A name that is there already is a repeat.

use super::{Decision, check_text};
use crate::spec::event::{Event, MAX_OUTPUT_BYTES, Payload};
use crate::spec::rejection::Rejection;
use crate::spec::state::Spec;
use crate::{Epoch, Phase, Usage};

/// Longest name of a step, in bytes.
const MAX_STEP_NAME_BYTES: usize = 200;

#[derive(Debug, Clone)]
pub struct RecordStep {
    pub epoch: Epoch,
    pub phase: Phase,
    pub attempt: u32,
    pub number: u32,
    pub name: String,
    pub result: Payload,
    pub usage: Usage,
}

impl RecordStep {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        spec.fence(self.epoch)?;
        check_text("name", &self.name, MAX_STEP_NAME_BYTES)?;
        if let Payload::Blob { bytes, .. } = self.result
            && bytes > MAX_OUTPUT_BYTES as u64
        {
            let problem = format!("is {bytes} bytes; at most {MAX_OUTPUT_BYTES} are kept");
            return Err(Rejection::InvalidInput { field: "result", problem });
        }
        let attempt = spec.running(self.phase, self.attempt)?;
        let steps = spec.phase_state(self.phase).map(|state| &state.steps);
        if steps.is_some_and(|steps| steps.by_name.contains_key(&self.name)) {
            return Ok(Vec::new());
        }
        Ok(vec![Event::StepRecorded {
            phase: self.phase,
            attempt: self.attempt,
            step: self.number,
            name: self.name.clone(),
            context: attempt.context,
            result: self.result.clone(),
            usage: self.usage,
        }])
    }
}
