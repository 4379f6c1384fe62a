//! The rows of the log as they lie in the file, for `verify` and for a copy: nothing is checked.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row};

use super::error::log_error;
use super::log::SqliteLog;
use super::rows::{self, EVENT_COLUMNS};
use crate::store::verify::{
    self, Batch, Census, MAX_PAGE_BYTES, Scan, Scanned, Sink, Stray, Strays, Unreadable,
    Verification, verify,
};
use crate::store::{LogError, Position, Recorded, StreamHead};

impl SqliteLog {
    /// Checks the events from position `from` to `to`: see [`verify`].
    pub async fn verify(
        &self,
        from: Position,
        to: Position,
        progress: impl FnMut(Position) + Send,
    ) -> Result<Verification, LogError> {
        verify(self, from, to, progress).await
    }
}

#[async_trait]
impl Scan for SqliteLog {
    async fn scan(&self, from: Position, limit: usize) -> Result<Vec<Scanned>, LogError> {
        self.read(move |connection| page(connection, from, limit)).await
    }

    async fn pour(&self, from: Position, to: Position, sink: Sink) -> Result<(), LogError> {
        let mut next = from;
        while next <= to {
            let batch = self.read(move |connection| batch(connection, (next, to))).await?;
            let Some(last) = batch.last() else {
                sink.put(batch).await;
                return Ok(());
            };
            if !sink.put(batch).await {
                return Ok(());
            }
            next = Position(last.0.saturating_add(1));
        }
        Ok(())
    }

    async fn given_out(&self) -> Result<Position, LogError> {
        self.read(|connection| given_out(connection).map_err(log_error)).await
    }

    async fn strays(&self) -> Result<Strays, LogError> {
        self.read(|connection| strays(connection).map_err(log_error)).await
    }

    async fn own_fault(&self) -> Result<Option<String>, LogError> {
        self.read(|connection| own_fault(connection).map_err(log_error)).await
    }

    async fn by_stream(&self, to: Position, like: &Census) -> Result<Option<Census>, LogError> {
        let census = like.emptied();
        let counted =
            self.read(move |connection| by_stream(connection, to, census).map_err(log_error));
        counted.await.map(Some)
    }

    async fn head_before(&self, event: &Recorded) -> Result<Option<StreamHead>, LogError> {
        let key = Recorded { payload: String::new(), metadata: String::new(), ..event.clone() };
        self.read(move |connection| head_before(connection, &key).map_err(log_error)).await
    }
}

pub(super) fn page(
    connection: &Connection,
    from: Position,
    limit: usize,
) -> Result<Vec<Scanned>, LogError> {
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM events WHERE position >= ?1 ORDER BY position LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql).map_err(log_error)?;
    let key = (rows::stored(from.0), rows::stored(limit as u64));
    let mut found = statement.query(key).map_err(log_error)?;
    let (mut page, mut bytes) = (Vec::new(), 0);
    while bytes < MAX_PAGE_BYTES
        && let Some(row) = found.next().map_err(log_error)?
    {
        let event = rows::recorded(row);
        bytes += event.as_ref().map_or(0, |event| event.payload.len() + event.metadata.len());
        page.push(event.map_err(|error| unreadable(row, &error)));
    }
    Ok(page)
}

fn batch(connection: &Connection, (from, to): (Position, Position)) -> Result<Batch, LogError> {
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM events WHERE position >= ?1 AND position <= ?2
         ORDER BY position"
    );
    let mut statement = connection.prepare_cached(&sql).map_err(log_error)?;
    let key = (rows::stored(from.0), rows::stored(to.0));
    let mut found = statement.query(key).map_err(log_error)?;
    let mut batch = Batch::default();
    while !batch.is_full()
        && let Some(row) = found.next().map_err(log_error)?
    {
        match borrowed(row) {
            Ok(event) => batch.push(event),
            // This names it.
            Err(_) => match rows::recorded(row) {
                Ok(event) => batch.push(verify::Row::of(&event)),
                Err(error) => batch.break_off(unreadable(row, &error)),
            },
        }
    }
    Ok(batch)
}

fn borrowed<'a>(row: &'a Row<'_>) -> rusqlite::Result<verify::Row<'a>> {
    let text = |column: usize| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str()?);
    Ok(verify::Row {
        position: Position(rows::fetched(row, 0)?),
        aggregate_type: text(1)?,
        aggregate_id: rows::uuid(row, 2)?,
        sequence: rows::fetched(row, 3)?,
        event_type: text(4)?,
        event_version: text(5)?,
        payload: text(6)?,
        metadata: text(7)?,
        recorded_at: rows::time(row, 8)?,
        hash: rows::digest(row, 9)?,
    })
}

fn unreadable(row: &Row<'_>, error: &LogError) -> Unreadable {
    Unreadable {
        position: Position(rows::fetched(row, 0).unwrap_or(0)),
        sequence: rows::fetched(row, 3).unwrap_or(0),
        cause: error.to_string(),
    }
}

/// SQLite remembers the highest position that it gave out.
pub(super) fn given_out(connection: &Connection) -> rusqlite::Result<Position> {
    let sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'";
    connection.query_row(sql, [], |row| rows::fetched(row, 0)).map(Position)
}

/// Messages of SQLite's own check that are shown.
const SHOWN: &str = "PRAGMA integrity_check(3)";

/// SQLite's own check of the whole file, which also compares each index with its table.
pub(super) fn own_fault(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare(SHOWN)?;
    let said: Vec<String> =
        statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok((said != ["ok"]).then(|| said.join("; ")))
}

/// The rows as the index of the streams has them: loads go by it and by nothing else.
pub(super) fn by_stream(
    connection: &Connection,
    to: Position,
    mut census: Census,
) -> rusqlite::Result<Census> {
    let sql = "SELECT aggregate_type, aggregate_id, sequence, position
               FROM events INDEXED BY sqlite_autoindex_events_1 WHERE position <= ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query([rows::stored(to.0)])?;
    while let Some(row) = found.next()? {
        let text = |column: usize| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str()?);
        census.add((text(0)?, text(1)?), rows::fetched(row, 2)?, rows::fetched(row, 3)?);
    }
    Ok(census)
}

/// What stands below the first position.
pub(super) fn strays(connection: &Connection) -> rusqlite::Result<Strays> {
    let sql = "SELECT position, aggregate_type, aggregate_id, sequence FROM events
               WHERE position < 1 ORDER BY position LIMIT 1";
    let found = connection.query_row(sql, [], |row| {
        let (position, kind): (i64, String) = (row.get(0)?, row.get(1)?);
        Ok(Stray {
            stream: format!("{kind} {}", row.get::<_, String>(2)?),
            sequence: rows::fetched(row, 3).unwrap_or(0),
            what: format!("it stands at position {position}, below the first"),
        })
    });
    Ok(Strays { below: found.optional()?, ..Strays::default() })
}

pub(super) fn head_before(
    connection: &Connection,
    event: &Recorded,
) -> rusqlite::Result<Option<StreamHead>> {
    let mut statement = connection.prepare_cached(
        "SELECT sequence, hash FROM events
         WHERE aggregate_type = ?1 AND aggregate_id = ?2 AND sequence < ?3 AND position < ?4
         ORDER BY sequence DESC LIMIT 1",
    )?;
    let key = (
        &event.stream.aggregate_type,
        rows::text(&event.stream.aggregate_id),
        rows::stored(event.sequence),
        rows::stored(event.position.0),
    );
    let found = statement.query_row(key, |row| {
        Ok(StreamHead { version: rows::fetched(row, 0)?, hash: rows::digest(row, 1)? })
    });
    found.optional()
}
