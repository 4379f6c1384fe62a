//! The reference in PostgreSQL: the same rows into a table like the log's, one a commit, then many
//! in one UNNEST.

use std::time::{Duration, Instant};

use sqlx::{Connection, Executor, PgConnection, Row};
use uuid::Uuid;

use super::measure::rate;
use super::raw::{Width, Written};

/// Longest that one measurement takes.
const TIME: Duration = Duration::from_millis(1_500);

/// Rows that one stream gets, as many as a spec has events.
const ROWS_A_STREAM: i64 = 11;

const TABLE: &str = "CREATE TABLE specline_bench_raw (
    aggregate_type TEXT COLLATE \"C\" NOT NULL, aggregate_id TEXT COLLATE \"C\" NOT NULL,
    sequence BIGINT NOT NULL, event_type TEXT NOT NULL, event_version TEXT NOT NULL,
    payload JSON NOT NULL, metadata JSON NOT NULL,
    position BIGSERIAL NOT NULL, recorded_at BIGINT, hash BYTEA,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence))";

const INSERT: &str = "INSERT INTO specline_bench_raw (aggregate_type, aggregate_id, sequence,
        event_type, event_version, payload, metadata, recorded_at, hash)
    SELECT 'Spec', id, sequence, 'StepRecorded', '1', $3::json, $4::json, 0, $5
    FROM unnest($1::text[], $2::bigint[]) AS r (id, sequence)";

pub(super) async fn measure(
    url: &str,
    (batch, streams): (u64, u64),
) -> sqlx::Result<(Width, Written, Written)> {
    let mut connection = PgConnection::connect(url).await?;
    let width = width_of(&mut connection).await?;
    let one = write(&mut connection, width, (1, 1)).await?;
    let batches = write(&mut connection, width, (batch, streams)).await?;
    connection.execute("DROP TABLE specline_bench_raw").await?;
    Ok((width, one, batches))
}

/// The mean width of the log's events.
async fn width_of(connection: &mut PgConnection) -> sqlx::Result<Width> {
    let sql = "SELECT avg(length(payload::text))::bigint, avg(length(metadata::text))::bigint
               FROM (SELECT payload, metadata FROM events ORDER BY position DESC LIMIT 50000) e";
    let row = connection.fetch_one(sql).await?;
    let size = |column: usize| -> sqlx::Result<usize> {
        let size: Option<i64> = row.try_get(column)?;
        Ok(usize::try_from(size.unwrap_or(0)).unwrap_or(0))
    };
    Ok(Width { payload: size(0)?, metadata: size(1)? })
}

async fn write(
    connection: &mut PgConnection,
    width: Width,
    (batch, streams): (u64, u64),
) -> sqlx::Result<Written> {
    connection.execute("DROP TABLE IF EXISTS specline_bench_raw").await?;
    connection.execute(TABLE).await?;
    connection.execute("CREATE UNIQUE INDEX ON specline_bench_raw (position)").await?;
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes.saturating_sub(2)));
    let (payload, metadata) = (text(width.payload), text(width.metadata));
    let mut ids: Vec<String> = (0..streams).map(|_| Uuid::now_v7().to_string()).collect();
    let mut commits = Vec::new();
    let (mut rows, begun) = (0_u64, Instant::now());
    while begun.elapsed() < TIME {
        let (mut of, mut sequences) = (Vec::new(), Vec::new());
        for _ in 0..batch {
            let stream = usize::try_from(rows % streams).unwrap_or(0);
            let row = i64::try_from(rows / streams).unwrap_or(0);
            if row % ROWS_A_STREAM == 0 {
                ids[stream] = Uuid::now_v7().to_string();
            }
            of.push(ids[stream].clone());
            sequences.push(row % ROWS_A_STREAM + 1);
            rows += 1;
        }
        let commit_begun = Instant::now();
        sqlx::query(INSERT)
            .bind(of)
            .bind(sequences)
            .bind(&payload)
            .bind(&metadata)
            .bind([0_u8; 32].as_slice())
            .execute(&mut *connection)
            .await?;
        commits.push(commit_begun.elapsed());
    }
    Ok(Written { rows_per_s: rate(rows, begun.elapsed()), commits })
}
