//! Blobs: bytes under their digest, checked when they are read.

use rusqlite::{Connection, OptionalExtension};
use specline_aggregates::Digest;

use super::error::log_error;
use crate::store::{Blob, LogError};

pub(super) fn put(connection: &Connection, blob: &Blob) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO blobs (digest, bytes) VALUES (?1, ?2) ON CONFLICT (digest) DO NOTHING",
    )?;
    statement.execute((blob.digest.as_bytes(), &blob.bytes))?;
    Ok(())
}

pub(super) fn get(connection: &Connection, digest: &Digest) -> Result<Option<Vec<u8>>, LogError> {
    let mut statement = connection
        .prepare_cached("SELECT bytes FROM blobs WHERE digest = ?1")
        .map_err(log_error)?;
    let found: Option<Vec<u8>> =
        statement.query_row([digest.as_bytes()], |row| row.get(0)).optional().map_err(log_error)?;
    let Some(bytes) = found else { return Ok(None) };
    let actual = Digest::of(&bytes);
    if actual != *digest {
        return Err(LogError::Corrupt {
            place: format!("blob {digest}"),
            cause: format!("its bytes have the digest {actual}"),
        });
    }
    Ok(Some(bytes))
}
