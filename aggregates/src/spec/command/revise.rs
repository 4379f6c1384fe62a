//! ReviseSpec: changes what is asked for. A new title alone makes nothing stale.

use super::draft::{MAX_DESCRIPTION_BYTES, MAX_TITLE_BYTES};
use super::{Decision, check_text};
use crate::Phase;
use crate::spec::event::{Event, ReleaseReason, SandboxReason};
use crate::spec::rejection::Rejection;
use crate::spec::state::{Spec, Status};

#[derive(Debug, Clone)]
pub struct ReviseSpec {
    pub title: Option<String>,
    pub description: Option<String>,
    pub by: String,
}

impl ReviseSpec {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        let brief = spec.brief.as_ref().ok_or(Rejection::NotFound)?;
        let title = self.title.clone().filter(|title| *title != brief.title);
        let description = self.description.clone().filter(|text| *text != brief.description);
        if let Some(title) = &title {
            check_text("title", title, MAX_TITLE_BYTES)?;
        }
        if spec.status.is_ended() && (title.is_some() || description.is_some()) {
            return Err(Rejection::Ended { status: spec.status });
        }
        let Some(text) = &description else {
            let revised = title.map(|title| Event::SpecRevised {
                title: Some(title),
                description: None,
                stale_from: None,
            });
            return Ok(revised.into_iter().collect());
        };
        check_text("description", text, MAX_DESCRIPTION_BYTES)?;
        let begun = spec.status != Status::Draft;
        let stale_from = begun.then_some(Phase::Explore);
        let mut events = vec![Event::SpecRevised { title, description, stale_from }];
        if begun {
            events.extend(spec.release_sandbox(ReleaseReason::Reopened));
            events.extend(spec.begin_again(Phase::Explore, &self.by, "the description changed"));
            if spec.status == Status::Paused {
                let reason = "revised while paused; resume to go on".to_owned();
                events.push(Event::ExecutionPaused { by: self.by.clone(), reason });
            } else {
                events.extend(spec.go_on(Phase::Explore, SandboxReason::Revision));
            }
        }
        Ok(events)
    }
}

impl Spec {
    /// Reopens `phase` and the later ones, and begins a new run there on the same snapshot.
    pub(super) fn begin_again(&self, phase: Phase, by: &str, reason: &str) -> Vec<Event> {
        let reopened = Event::PhaseReopened {
            phase,
            by: by.to_owned(),
            reason: reason.to_owned(),
            budget: None,
        };
        let started = self.manifest.clone().map(|manifest| Event::ExecutionStarted {
            run: self.run + 1,
            first_phase: phase,
            manifest,
        });
        std::iter::once(reopened).chain(started).collect()
    }
}
