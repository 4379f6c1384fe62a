//! LinkTicket and Comment: what may be added at any time.

use super::approval::MAX_FEEDBACK_BYTES;
use super::{Decision, check_text};
use crate::TicketId;
use crate::spec::event::Event;
use crate::spec::state::Spec;

#[derive(Debug, Clone)]
pub struct LinkTicket {
    pub ticket: TicketId,
}

#[derive(Debug, Clone)]
pub struct Comment {
    pub by: String,
    pub text: String,
}

impl LinkTicket {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        if spec.tickets.contains(&self.ticket) {
            return Ok(Vec::new());
        }
        Ok(vec![Event::TicketLinked { ticket: self.ticket }])
    }
}

impl Comment {
    pub(super) fn decide(&self, _: &Spec) -> Decision {
        check_text("text", &self.text, MAX_FEEDBACK_BYTES)?;
        Ok(vec![Event::CommentAdded { by: self.by.clone(), text: self.text.clone() }])
    }
}
