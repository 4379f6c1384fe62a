//! ForkSpec: starts a new spec from a past state of another. Finished phases come along as
//! checkpoints; attempts, approvals, usage, tickets and tasks do not.

use super::Decision;
use crate::spec::event::{Event, Inherited};
use crate::spec::rejection::Rejection;
use crate::spec::state::{Spec, Status};
use crate::{Digest, Phase, RawJson, SpecId};

#[derive(Debug, Clone)]
pub struct ForkSpec {
    pub spec: SpecId,
    /// The other spec, as it was after `source.version()` events.
    pub source: Spec,
    /// Hash of the source's last event.
    pub source_hash: Digest,
}

impl ForkSpec {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        if spec.status != Status::Unknown {
            return Err(Rejection::AlreadyExists);
        }
        let source = self.source.id.ok_or(Rejection::NotFound)?;
        let mut brief = self.source.brief.clone().ok_or(Rejection::NotFound)?;
        brief.source_ticket = None;
        let accepted = Phase::ALL
            .into_iter()
            .filter(|phase| phase.needs_agent())
            .map_while(|phase| self.source.accepted(phase).map(|done| (phase, done)))
            .map(|(phase, done)| {
                let inherited = Inherited {
                    output: done.output.clone(),
                    digest: done.digest,
                    score: done.score,
                };
                (phase, inherited)
            })
            .collect();
        let state = RawJson::of(&self.source)
            .map_err(|cause| Rejection::Broken(cause.to_string()))?
            .digest();
        Ok(vec![Event::SpecForked {
            spec: self.spec,
            source,
            sequence: self.source.version,
            source_hash: self.source_hash,
            state,
            brief,
            policy: Box::new(self.source.policy.clone()),
            accepted,
        }])
    }
}
