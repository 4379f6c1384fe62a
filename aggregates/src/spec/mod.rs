//! The Spec aggregate: a request, and its way through the phases.

mod aggregate;
pub mod command;
mod context;
mod event;
mod evolve;
mod rejection;
mod slug;
mod state;

pub use command::{Command, Decision, Wait};
pub use context::{Context, FeedbackContext, SpecContext, StepContext};
pub use event::{
    Brief, Event, FailureKind, Inherited, LossCause, MAX_INLINE_BYTES, MAX_OUTPUT_BYTES,
    ManifestRef, Payload, ReleaseReason, Repository, SandboxReason,
};
pub use rejection::Rejection;
pub use slug::slug;
pub use state::{
    Accepted, Attempt, Failure, Feedback, Pending, PhaseState, Sandbox, Spec, Status, Step, Steps,
    SyncPlan, Verdict,
};
