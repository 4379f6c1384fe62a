//! What becomes of a sandbox's lease: pure, from the lease, its spec and the time.

use specline_aggregates::spec::Spec;
use specline_aggregates::{SandboxId, Timestamp};

use crate::store::Lease;

/// A sandbox that is not wanted any more has this long to end by itself.
const GRACE_MS: u64 = 3_000;

/// Least lease of a sandbox that has not called yet: starting may take longer than a heartbeat.
const MIN_START_LEASE_MS: u64 = 60_000;

/// What to do about one living lease.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    LeaveAlone,
    /// Its lease has run out.
    ReportLost,
    /// The spec has let go of it: end it, if it has not ended itself.
    End,
}

/// Pure: what becomes of `lease` when its spec stands like this. `unwanted_since` says when it was
/// first seen to be let go.
pub(super) fn plan(
    spec: &Spec,
    lease: &Lease,
    unwanted_since: Option<Timestamp>,
    now: Timestamp,
) -> Plan {
    if is_wanted(spec, lease.sandbox) {
        if expiry(lease) <= now { Plan::ReportLost } else { Plan::LeaveAlone }
    } else if unwanted_since.is_some_and(|since| now >= since.plus_ms(GRACE_MS)) {
        Plan::End
    } else {
        Plan::LeaveAlone
    }
}

/// When a lease runs out. One whose sandbox has not called yet has longer.
pub(super) fn expiry(lease: &Lease) -> Timestamp {
    match lease.instance {
        Some(_) => lease.expires_at,
        None => lease.expires_at.max(lease.last_heard.plus_ms(MIN_START_LEASE_MS)),
    }
}

/// Whether a spec still has a sandbox at work.
pub(super) fn is_wanted(spec: &Spec, sandbox: SandboxId) -> bool {
    spec.sandbox().id() == Some(sandbox) && !spec.status().is_ended()
}
