//! DraftSpec: writes down what is asked for, and by which policy.

use std::collections::BTreeSet;

use super::{Decision, check_text};
use crate::spec::event::{Brief, Event};
use crate::spec::rejection::Rejection;
use crate::spec::state::{Spec, Status};
use crate::{COMMAND_PREFIX, Policy, SpecId, is_program_name};

/// Longest title, in bytes.
pub const MAX_TITLE_BYTES: usize = 500;

/// Longest description, in bytes.
pub const MAX_DESCRIPTION_BYTES: usize = 256 * 1024;

#[derive(Debug, Clone)]
pub struct DraftSpec {
    pub spec: SpecId,
    pub brief: Brief,
    pub policy: Policy,
}

impl DraftSpec {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        if spec.status != Status::Unknown {
            return Err(Rejection::AlreadyExists);
        }
        check_text("title", &self.brief.title, MAX_TITLE_BYTES)?;
        check_text("description", &self.brief.description, MAX_DESCRIPTION_BYTES)?;
        check_policy(&self.policy)?;
        Ok(vec![Event::SpecDrafted {
            spec: self.spec,
            brief: self.brief.clone(),
            policy: Box::new(self.policy.clone()),
        }])
    }
}

/// A policy that could never work is refused before it is recorded.
pub(crate) fn check_policy(policy: &Policy) -> Result<(), Rejection> {
    let invalid = |field: &'static str, problem: &str| {
        Err(Rejection::InvalidInput { field, problem: problem.to_owned() })
    };
    if policy.gate.threshold > 1000 {
        return invalid("policy.gate.threshold", "is in parts per thousand: 0 to 1000");
    }
    if !(1_000..=3_600_000).contains(&policy.lease_ms) {
        return invalid("policy.lease_ms", "must be between 1,000 and 3,600,000");
    }
    for limits in policy.limits.values() {
        if limits.attempts == 0 || limits.time_ms == 0 {
            return invalid("policy.limits", "needs at least one attempt and some time");
        }
    }
    let mut names = BTreeSet::from(["gate"]);
    for evaluator in &policy.evaluators {
        let known = !names.insert(&evaluator.name);
        if evaluator.name.trim().is_empty() || known {
            return invalid("policy.evaluators", "each needs a name of its own (not `gate`)");
        }
        let blank = !evaluator.is_named() && evaluator.command.trim().is_empty();
        if blank || evaluator.is_named() && !is_program_name(&evaluator.name) {
            return invalid("policy.evaluators", "each is a name of the host's, or has a command");
        }
    }
    if policy.named_agent().is_some_and(|name| !is_program_name(name)) {
        return invalid("policy.agent", "must be `builtin`, a name, or `command:PROGRAM ARG…`");
    }
    let program = policy.agent.strip_prefix(COMMAND_PREFIX);
    if program.is_some_and(|program| program.trim().is_empty()) {
        return invalid("policy.agent", "names no program after `command:`");
    }
    if policy.sandbox != "process" {
        return invalid("policy.sandbox", "must be `process`, the only provider so far");
    }
    if policy.approvals.contains(&crate::Phase::Sync) {
        return invalid("policy.approvals", "sync is computed; approve `tasks` instead");
    }
    Ok(())
}
