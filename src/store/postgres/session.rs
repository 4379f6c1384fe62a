//! How every connection of the log is set up. PostgreSQL 14 to 17.

use std::time::Duration;

use specline_pg::{Bounds, Pool};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use super::OpenError;

/// Connections that read, and write what stands beside the log: a few, as a statement takes
/// microseconds, and as many nodes share the server's hundred.
const N_CONNECTIONS: u32 = 8;

/// Longest wait for a free connection, or a new one: below a caller's patience.
pub(super) const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Longest that a statement may take: more than it waits for a lock, and less than a node lasts
/// without a beat.
const CALL_PATIENCE: Duration = Duration::from_secs(5);

/// What the sessions of a log share.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, OpenError> {
    // Anything else would be taken for a path on this machine's own server.
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(OpenError::Url { cause: "it does not begin with postgres://".to_owned() });
    }
    let options: PgConnectOptions =
        url.parse().map_err(|error: sqlx::Error| OpenError::Url { cause: error.to_string() })?;
    Ok(options
        .application_name("specline")
        .options([
            ("synchronous_commit", "on"),
            // The append function looks again once it has the lock; a database may say otherwise.
            ("default_transaction_isolation", "read\\ committed"),
            // Far above a batch's time; below a caller's patience.
            ("lock_timeout", "4s"),
            // A node that is stopped in the middle of a transaction holds nobody up for longer.
            ("idle_in_transaction_session_timeout", "5s"),
            // A machine that vanished is noticed, and its locks with it.
            ("tcp_keepalives_idle", "5"),
            ("tcp_keepalives_interval", "2"),
            ("tcp_keepalives_count", "3"),
        ])
        .statement_cache_capacity(64))
}

/// The writer's: its one statement looks everything up by key, also while the tables are too young
/// to have statistics.
pub(super) fn for_writer(options: &PgConnectOptions) -> PgConnectOptions {
    options.clone().application_name("specline-writer").options([
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("jit", "off"),
        // Planning the function's statements anew in each call costs more than carrying them out.
        ("plan_cache_mode", "force_generic_plan"),
    ])
}

pub(super) fn pool(options: PgConnectOptions) -> Pool {
    let bounds = Bounds {
        max_connections: N_CONNECTIONS,
        connect: CONNECT_PATIENCE,
        call: CALL_PATIENCE,
        ..Bounds::default()
    };
    Pool::new(options, bounds)
}

/// Longest that a beat may take, on a connection of its own: whatever else a node does, the others
/// hear that it lives, and one whose connection is dead has time for another within its life.
const BEAT_PATIENCE: Duration = Duration::from_millis(1_200);

pub(super) fn beats(options: PgConnectOptions) -> Pool {
    let bounds = Bounds {
        max_connections: 1,
        connect: BEAT_PATIENCE,
        call: BEAT_PATIENCE,
        ..Bounds::default()
    };
    Pool::new(options, bounds)
}

/// One connection that only listens.
pub(super) fn listener(options: &PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .min_connections(0)
        .max_connections(1)
        .acquire_timeout(CONNECT_PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options.clone().application_name("specline-listener"))
}
