//! What can go wrong with the database, and how its errors are told to the log's callers.

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

use crate::store::LogError;

/// Why a log could not be opened. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("this is not the URL of a PostgreSQL database: {cause}; use postgres://USER@HOST/DB")]
    Url { cause: String },
    #[error(
        "the database {database} cannot be reached: {cause}; check that it runs and lets you in"
    )]
    Unreachable { database: String, cause: String },
    /// It answers, and says no: waiting changes nothing.
    #[error(
        "the database {database} does not take this connection: {cause}; check its name, the user \
         and the password"
    )]
    Refused { database: String, cause: String },
    #[error("PostgreSQL {found} is too old; this program needs version 14 or later")]
    Server { found: String },
    /// A newer program made the tables.
    #[error("the log has schema {found}, and this program knows {known}; use a newer specline")]
    Newer { found: u32, known: u32 },
    #[error("there is no log in {database}; start an engine there first")]
    Missing { database: String },
    /// For a copy or a restore, which want it for themselves.
    #[error("an engine or another copy works on {database}; stop it first, and wait some seconds")]
    Busy { database: String },
    /// `log copy` has not finished.
    #[error("the copy into {database} is not finished; run the same `specline log copy` again")]
    Copying { database: String },
    #[error("the log's tables cannot be made: {cause}; the user needs CREATE on the schema")]
    Schema { cause: String },
    #[error("the log cannot be read: {cause}")]
    Damaged { cause: String },
}

/// Why a connection could not be made.
pub(super) fn unconnected(database: String, error: &sqlx::Error) -> OpenError {
    let code = error.as_database_error().and_then(DatabaseError::code);
    let cause = error.to_string();
    // Invalid authorization, and no such database or schema.
    match code.as_deref().and_then(|code| code.get(..2)) {
        Some("28" | "3D" | "3F") => OpenError::Refused { database, cause },
        Some(_) | None => OpenError::Unreachable { database, cause },
    }
}

/// What became of a call to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The connection is gone, or the server is: the call may have been done, or not.
    Lost,
    /// Refused, and nothing was done: perhaps because of one part of it alone.
    Refused,
    /// Nothing was done; the same call may work later.
    Busy,
    /// The answer is not of the form that the log has.
    Unreadable,
}

#[expect(clippy::wildcard_enum_match_arm, reason = "sqlx may add kinds of lost connections")]
pub(super) fn kind(error: &sqlx::Error) -> Kind {
    match error {
        sqlx::Error::Database(database) if waited_for_head(&**database) => Kind::Busy,
        sqlx::Error::Database(database) => kind_of_code(&database.code().unwrap_or_default()),
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::RowNotFound => Kind::Unreadable,
        sqlx::Error::Encode(_) => Kind::Refused,
        // The rest are about the connection, or the pool.
        _ => Kind::Lost,
    }
}

/// Whether a lock was waited for in vain.
fn waited(database: &dyn DatabaseError) -> bool {
    database.code().as_deref() == Some("55P03")
}

/// Whether that lock was the one that every append takes: then it is not about one of them.
fn waited_for_head(database: &dyn DatabaseError) -> bool {
    let error = database.try_downcast_ref::<PgDatabaseError>();
    let place = error.and_then(PgDatabaseError::r#where).unwrap_or_default();
    waited(database) && place.contains("FROM log_head h FOR UPDATE")
}

/// SQLSTATE, see appendix A of PostgreSQL's manual.
fn kind_of_code(code: &str) -> Kind {
    match code.get(..2).unwrap_or_default() {
        // Connection exceptions; the server stops, crashed or starts; it became a standby.
        "08" | "57" if code != "57014" => Kind::Lost,
        "25" => Kind::Lost,
        // Out of disk, memory or connections; system errors; a transaction that must be repeated.
        "53" | "58" | "40" => Kind::Busy,
        "XX" => Kind::Unreadable,
        _ => Kind::Refused,
    }
}

/// What an error means to a caller of the log. Taken by value for `map_err`.
#[expect(clippy::needless_pass_by_value, reason = "used as map_err(log_error)")]
pub(super) fn log_error(error: sqlx::Error) -> LogError {
    if kind(&error) == Kind::Unreadable {
        return LogError::Corrupt {
            place: "the log's tables".to_owned(),
            cause: error.to_string(),
        };
    }
    LogError::Transient { cause: told(&error) }
}

pub(super) fn told(error: &sqlx::Error) -> String {
    let known = error.as_database_error().and_then(|database| {
        if database.code().as_deref() == Some("53100") {
            Some("no space is left for the log; free some")
        } else if waited_for_head(database) {
            Some("the lock on the log's end was not free in time")
        } else if waited(database) {
            Some("another program is writing to this stream, and has not committed")
        } else {
            None
        }
    });
    known.map_or_else(|| error.to_string(), ToOwned::to_owned)
}
