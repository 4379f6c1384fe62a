//! The rows of the log as a stream of bytes: `COPY` in binary form, which costs the server and this
//! side least. The server waits while nobody takes them, so that memory stays small whatever the
//! size of the events.

use std::time::Duration;

use futures_util::TryStreamExt;
use specline_aggregates::{Digest, Timestamp};
use specline_pg::Pool;
use sqlx::{Connection, Executor};
use uuid::Uuid;

use super::error::log_error;
use super::find::IN_INDEX_ORDER;
use crate::store::verify::{Batch, Row, Sink, Unreadable};
use crate::store::{LogError, Position};

/// Rows of one statement: while it runs the server keeps all old versions of rows, also of tables
/// that change often.
const ROWS: u64 = 100_000;

/// A server that sends no row for so long is not there any more.
const SILENCE: Duration = Duration::from_mins(1);
const SILENT: &str = "the database does not answer";

/// Names the columns in the order in which [`row`] reads them. JSON comes as the text that was
/// written.
const COLUMNS: &str = "position, aggregate_type, aggregate_id, sequence, event_type, \
     event_version, payload, metadata, recorded_at, hash";

/// The form's name, its flags, and the length of what else stands in front.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Why a stream ended.
enum End {
    /// Behind this position there may be more.
    At(Position),
    /// No more are there, or wanted.
    Of,
}

pub(super) async fn pour(
    pool: &Pool,
    (from, to): (Position, Position),
    sink: &Sink,
) -> Result<(), LogError> {
    let mut next = from;
    while next <= to {
        match some(pool, (next, to), sink).await? {
            End::At(last) => next = Position(last.0.saturating_add(1)),
            End::Of => break,
        }
    }
    Ok(())
}

async fn some(pool: &Pool, (from, to): (Position, Position), sink: &Sink) -> Result<End, LogError> {
    let mut connection = pool.hold().await.map_err(log_error)?;
    let mut transaction = connection.begin().await.map_err(log_error)?;
    transaction.execute(IN_INDEX_ORDER).await.map_err(log_error)?;
    // COPY takes no parameters.
    let most = i64::MAX as u64;
    let (low, high) = (from.0.min(most), to.0.min(most));
    let sql = format!(
        "COPY (SELECT {COLUMNS} FROM events WHERE position >= {low} AND position <= {high}
               ORDER BY position LIMIT {ROWS}) TO STDOUT (FORMAT binary)"
    );
    let mut stream = transaction.copy_out_raw(&sql).await.map_err(log_error)?;
    let (mut batch, mut end) = (Batch::default(), End::Of);
    loop {
        let next = tokio::time::timeout(SILENCE, stream.try_next()).await;
        let next = next.map_err(|_| LogError::Transient { cause: SILENT.to_owned() })?;
        let Some(bytes) = next.map_err(log_error)? else { break };
        let bytes = bytes.strip_prefix(HEADER).unwrap_or(&bytes);
        match row(bytes) {
            // The mark at the end.
            Ok(None) => {}
            Ok(Some(row)) => batch.push(row),
            Err(unreadable) => batch.break_off(unreadable),
        }
        if batch.is_full() {
            let last = batch.last();
            let wanted = sink.put(std::mem::take(&mut batch)).await;
            let (true, Some(last)) = (wanted, last) else {
                // The server is still sending: this connection is of no more use.
                drop(stream);
                return Ok(End::Of);
            };
            end = End::At(last);
        }
    }
    drop(stream);
    transaction.commit().await.map_err(log_error)?;
    connection.give_back();
    if let Some(last) = batch.last() {
        end = End::At(last);
    }
    Ok(if sink.put(batch).await { end } else { End::Of })
}

/// What is left of a row; each column is its length, and then its bytes.
struct Columns<'a>(&'a [u8]);

impl<'a> Columns<'a> {
    fn bytes(&mut self) -> Result<&'a [u8], String> {
        let cut = || "the server sent half a row".to_owned();
        let (length, rest) = self.0.split_first_chunk::<4>().ok_or_else(cut)?;
        // The length of a NULL is -1.
        let length = usize::try_from(i32::from_be_bytes(*length));
        let length = length.map_err(|_| "a column is NULL".to_owned())?;
        let (column, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        self.0 = rest;
        Ok(column)
    }

    fn text(&mut self) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes()?).map_err(|error| error.to_string())
    }

    fn number(&mut self) -> Result<i64, String> {
        let bytes: [u8; 8] = self.bytes()?.try_into().map_err(|_| "no number".to_owned())?;
        Ok(i64::from_be_bytes(bytes))
    }

    fn count(&mut self) -> Result<u64, String> {
        u64::try_from(self.number()?).map_err(|error| error.to_string())
    }

    fn id(&mut self) -> Result<Uuid, String> {
        Uuid::try_parse(self.text()?).map_err(|error| error.to_string())
    }

    fn digest(&mut self) -> Result<Digest, String> {
        let bytes: [u8; 32] = self.bytes()?.try_into().map_err(|_| "no hash".to_owned())?;
        Ok(Digest::from_bytes(bytes))
    }
}

/// None: the rows end here.
fn row(bytes: &[u8]) -> Result<Option<Row<'_>>, Unreadable> {
    let (count, columns) = bytes.split_first_chunk::<2>().unwrap_or((&[0; 2], &[]));
    if i16::from_be_bytes(*count) < 0 {
        return Ok(None);
    }
    let mut named = Columns(columns);
    let position = Position(named.count().unwrap_or(0));
    read(Columns(columns)).map(Some).map_err(|cause| {
        let sequence = named.text().and_then(|_| named.text()).and_then(|_| named.count());
        let cause = format!("the row cannot be read: {cause}");
        Unreadable { position, sequence: sequence.unwrap_or(0), cause }
    })
}

fn read(mut columns: Columns<'_>) -> Result<Row<'_>, String> {
    Ok(Row {
        position: Position(columns.count()?),
        aggregate_type: columns.text()?,
        aggregate_id: columns.id()?,
        sequence: columns.count()?,
        event_type: columns.text()?,
        event_version: columns.text()?,
        payload: columns.text()?,
        metadata: columns.text()?,
        recorded_at: Timestamp::from_micros(columns.number()?),
        hash: columns.digest()?,
    })
}
