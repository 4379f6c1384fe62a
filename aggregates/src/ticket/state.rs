//! The state of a ticket, and its transition.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{Event, Request, Status};
use crate::task::Outcome;
use crate::{Digest, IllegalTransition, SpecId, TaskId, TicketId};

/// Who acts when no person does.
pub(super) const ENGINE: &str = "engine";

/// A ticket. Made only by replay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ticket {
    pub(super) id: Option<TicketId>,
    pub(super) version: u64,
    pub(super) request: Option<Request>,
    pub(super) digest: Option<Digest>,
    pub(super) status: Status,
    pub(super) blocked: Option<String>,
    /// Its tasks, and how they ended as far as it was told.
    pub(super) tasks: BTreeMap<TaskId, Option<Outcome>>,
    pub(super) comments: u32,
    /// The engine cancelled it, not a person: planned again, it comes back.
    pub(super) taken_back: bool,
    #[serde(default)]
    pub(super) broken: Option<String>,
}

impl Ticket {
    #[must_use]
    pub const fn id(&self) -> Option<TicketId> {
        self.id
    }

    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    #[must_use]
    pub const fn request(&self) -> Option<&Request> {
        self.request.as_ref()
    }

    #[must_use]
    pub const fn digest(&self) -> Option<Digest> {
        self.digest
    }

    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    #[must_use]
    pub fn spec(&self) -> Option<SpecId> {
        self.request.as_ref().and_then(|request| request.spec)
    }

    #[must_use]
    pub const fn tasks(&self) -> &BTreeMap<TaskId, Option<Outcome>> {
        &self.tasks
    }

    /// The reason of the `blocked` overlay.
    #[must_use]
    pub fn blocked(&self) -> Option<&str> {
        self.blocked.as_deref()
    }

    /// Applies one event. On an error the state is unchanged.
    pub fn evolve(&mut self, event: &Event) -> Result<(), IllegalTransition> {
        let opened = self.id.is_some();
        if opened == matches!(event, Event::TicketOpened { .. }) {
            let state = if opened { self.status.as_str() } else { "unknown" };
            return Err(IllegalTransition::new(state, event.name()));
        }
        self.version += 1;
        match event {
            Event::TicketOpened { ticket, request, digest } => {
                self.id = Some(*ticket);
                self.request = Some((**request).clone());
                self.digest = Some(*digest);
            }
            Event::TicketRevised { request, digest } => {
                self.request = Some((**request).clone());
                self.digest = Some(*digest);
            }
            Event::TicketMoved { to, .. } => {
                self.status = *to;
                self.taken_back = false;
            }
            Event::SpecLinked { spec } => {
                if let Some(request) = &mut self.request {
                    request.spec = Some(*spec);
                }
            }
            Event::TaskLinked { task } => {
                self.tasks.entry(*task).or_insert(None);
            }
            Event::TaskOutcomeNoted { task, outcome } => {
                self.tasks.insert(*task, *outcome);
            }
            Event::TicketBlocked { reason } => self.blocked = Some(reason.clone()),
            Event::TicketUnblocked {} => self.blocked = None,
            Event::TicketCommented { .. } => self.comments += 1,
            Event::TicketDone {} => self.status = Status::Done,
            Event::TicketCancelled { by, .. } => {
                self.status = Status::Cancelled;
                self.taken_back = by == ENGINE;
            }
        }
        Ok(())
    }
}
