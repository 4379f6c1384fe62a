//! The log's identity and secret: drawn once, when the file is made.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension};

use super::{OpenError, rows};
use crate::store::LogIdentity;
use crate::store::house::Deed;

/// Whether the file holds a whole log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Whole,
    /// A copy into it is not finished.
    Copying,
}

pub(super) fn load(path: &Path, connection: &Connection) -> Result<Deed, OpenError> {
    let damaged = || OpenError::Damaged {
        path: path.to_owned(),
        cause: "its identity cannot be read".to_owned(),
    };
    read(path, connection)?.map(|(deed, _)| deed).ok_or_else(damaged)
}

/// For a writer. A log that is not whole is refused.
pub(super) fn load_or_create(path: &Path, connection: &Connection) -> Result<Deed, OpenError> {
    match read(path, connection)? {
        Some((deed, State::Whole)) => return Ok(deed),
        Some((_, State::Copying)) => {
            return Err(OpenError::Unfinished { path: path.to_owned() });
        }
        None => {}
    }
    let draw = || Ok((random()?, random()?));
    let (id, secret) = draw().map_err(|error: std::io::Error| OpenError::Other {
        path: path.to_owned(),
        cause: format!("no random numbers: {error}"),
    })?;
    let log_id = uuid::Builder::from_random_bytes(id).into_uuid();
    let deed = Deed { identity: LogIdentity { log_id, incarnation: 1 }, secret };
    insert(connection, &deed, State::Whole).map_err(|error| OpenError::sqlite(path, &error))?;
    Ok(deed)
}

pub(super) fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn insert(connection: &Connection, deed: &Deed, state: State) -> rusqlite::Result<()> {
    let state = match state {
        State::Whole => "whole",
        State::Copying => "copying",
    };
    connection.execute(
        "INSERT INTO log_identity (only_row, log_id, incarnation, secret, state)
         VALUES (1, ?1, ?2, ?3, ?4)",
        (rows::text(&deed.identity.log_id), deed.identity.incarnation, deed.secret, state),
    )?;
    Ok(())
}

/// What the file holds; nothing before its first engine or copy.
pub(super) fn held(connection: &Connection) -> rusqlite::Result<Option<(Deed, State)>> {
    let sql = "SELECT log_id, incarnation, secret, state FROM log_identity";
    let found = connection.query_row(sql, [], |row| {
        let identity = LogIdentity { log_id: rows::uuid(row, 0)?, incarnation: row.get(1)? };
        let state = match row.get_ref(3)?.as_str()? {
            "whole" => State::Whole,
            "copying" => State::Copying,
            other => {
                let unknown = UnknownState(other.to_owned());
                return Err(rows::unreadable(3, Type::Text, unknown));
            }
        };
        Ok((Deed { identity, secret: row.get(2)? }, state))
    });
    found.optional()
}

#[derive(Debug, thiserror::Error)]
#[error("the log has the unknown state {0:?}")]
struct UnknownState(String);

fn read(path: &Path, connection: &Connection) -> Result<Option<(Deed, State)>, OpenError> {
    held(connection).map_err(|error| OpenError::sqlite(path, &error))
}
