//! CancelSpec: ends a spec for good, unless it has ended. Twice is fine.

use super::Decision;
use crate::spec::event::{Event, ReleaseReason};
use crate::spec::rejection::Rejection;
use crate::spec::state::{Spec, Status};

#[derive(Debug, Clone)]
pub struct CancelSpec {
    pub by: String,
    pub reason: String,
}

impl CancelSpec {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        if spec.status == Status::Cancelled {
            return Ok(Vec::new());
        }
        if spec.status.is_ended() {
            return Err(Rejection::Ended { status: spec.status });
        }
        let released = spec.release_sandbox(ReleaseReason::Ended);
        let cancelled = Event::SpecCancelled { by: self.by.clone(), reason: self.reason.clone() };
        Ok(released.into_iter().chain([cancelled]).collect())
    }
}
