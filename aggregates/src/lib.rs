//! The pure domain of Specline: Spec, Task, Ticket, Project and AccessKey, the phases of a spec,
//! and the gates that judge the phases' outputs. Nothing here is async, reads a clock, the
//! environment or a file, draws random numbers or logs: `decide` and `evolve` are functions from
//! facts to facts.

pub mod access_key;
mod digest;
pub mod ears;
mod event_sourced;
pub mod gate;
mod ids;
mod json;
pub mod manifest;
pub mod output;
mod phase;
mod policy;
pub mod project;
pub mod spec;
pub mod task;
pub mod ticket;
mod timestamp;
mod usage;
mod verdict;

pub use digest::{Digest, InvalidDigest};
pub use event_sourced::{Decide, DecodeError, EventSourced, Fields, IllegalTransition, Upcast};
pub use ids::{
    AccessKeyId, Epoch, InstanceId, ProjectId, RequirementId, SandboxId, SpecId, TaskId, TicketId,
    derive_id,
};
pub use json::RawJson;
pub use manifest::Manifest;
pub use phase::{Mode, Phase, UnknownPhase};
pub use policy::{
    Backoff, Budget, COMMAND_PREFIX, Evaluator, GatePolicy, IsolationNeed, Limits, Policy,
    is_program_name,
};
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use usage::Usage;
pub use verdict::{Finding, Judgement, Severity};
