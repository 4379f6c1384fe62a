//! The log's identity and secret: drawn once, when the file is made.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use super::{OpenError, rows};
use crate::store::LogIdentity;

pub(super) struct Identity {
    pub(super) log: LogIdentity,
    pub(super) secret: [u8; 32],
}

pub(super) fn load(path: &Path, connection: &Connection) -> Result<Identity, OpenError> {
    let damaged = || OpenError::Damaged {
        path: path.to_owned(),
        cause: "its identity cannot be read".to_owned(),
    };
    read(path, connection)?.ok_or_else(damaged)
}

pub(super) fn load_or_create(path: &Path, connection: &Connection) -> Result<Identity, OpenError> {
    if let Some(identity) = read(path, connection)? {
        return Ok(identity);
    }
    let (mut id, mut secret) = ([0; 16], [0; 32]);
    File::open("/dev/urandom")
        .and_then(|mut random| {
            random.read_exact(&mut id)?;
            random.read_exact(&mut secret)
        })
        .map_err(|error| OpenError::Other {
            path: path.to_owned(),
            cause: format!("no random numbers: {error}"),
        })?;
    let log =
        LogIdentity { log_id: uuid::Builder::from_random_bytes(id).into_uuid(), incarnation: 1 };
    connection
        .execute(
            "INSERT INTO log_identity (only_row, log_id, incarnation, secret)
             VALUES (1, ?1, ?2, ?3)",
            (rows::text(&log.log_id), log.incarnation, secret),
        )
        .map_err(|error| OpenError::sqlite(path, &error))?;
    Ok(Identity { log, secret })
}

fn read(path: &Path, connection: &Connection) -> Result<Option<Identity>, OpenError> {
    connection
        .query_row("SELECT log_id, incarnation, secret FROM log_identity", [], |row| {
            let log_id: Uuid = rows::uuid(row, 0)?;
            let log = LogIdentity { log_id, incarnation: row.get(1)? };
            Ok(Identity { log, secret: row.get(2)? })
        })
        .optional()
        .map_err(|error| OpenError::sqlite(path, &error))
}
