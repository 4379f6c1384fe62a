//! The files that this process may have open: as many as the system grants, and so many connections
//! that some are always left for its own work.

use std::num::NonZeroU32;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept for the log, the read models, and what runs beside: git and the sandboxes' supervisors.
const RESERVE: u64 = 44;

/// Of a larger number, one part in so many is kept.
const RESERVED_PART: u64 = 4;

/// Listeners that one process may have: one for this machine, one for others.
const LISTENERS: u64 = 2;

/// Fewest connections at a time: below that nobody could work with it.
const FEWEST: u64 = 4;

/// Lets this process, and what it starts, open as many files as its hard limit says.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(cause = %error, "the limit of open files stays as it is");
        }
    }
}

/// The files that may be open; none = any number.
#[must_use]
pub fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// The connections that one listener may have, of those that were `asked` for.
#[must_use]
pub fn connections(asked: NonZeroU32) -> NonZeroU32 {
    limit().map_or(asked, |limit| within(asked, limit))
}

fn within(asked: NonZeroU32, limit: u64) -> NonZeroU32 {
    let left = limit.saturating_sub(RESERVE.max(limit / RESERVED_PART)) / LISTENERS;
    let most = u32::try_from(left.max(FEWEST)).unwrap_or(u32::MAX);
    asked.min(NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::within;

    #[test]
    fn some_files_are_always_left() {
        let asked = NonZeroU32::new(12_000).unwrap();
        for (limit, most) in
            [(20, 4), (64, 10), (1_024, 384), (100_000, 12_000), (u64::MAX, 12_000)]
        {
            assert_eq!(within(asked, limit).get(), most, "{limit}");
        }
        let few = NonZeroU32::new(3).unwrap();
        assert_eq!(within(few, 64), few, "who asks for less gets less");
    }
}
