//! Questions about the log, each answered by one index in its own order.
//!
//! The planner would guess how many events fit, and where it guesses badly it gathers and sorts
//! all of them before it gives the first. So that there is nothing to guess, a statement asks for
//! the order of the index that it means, which no other has, and a plan is made once, without
//! looking at values.

use std::time::Duration;

use futures_util::FutureExt;
use specline_aggregates::Timestamp;
use specline_pg::Pool;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query as Statement;
use sqlx::{Connection, Executor, Postgres, Row};

use super::error::log_error;
use super::rows::{self, EVENT_COLUMNS};
use crate::store::audit::{Bounds, Column, MAX_SCANNED, Order, Page, Query};
use crate::store::{LogError, Recorded};

/// Longest that one question may take: far more than any page needs.
const LONGEST: Duration = Duration::from_secs(30);

/// Holds until the transaction ends.
pub(super) const IN_INDEX_ORDER: &str = "SET LOCAL enable_sort = off;
     SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off;
     SET LOCAL max_parallel_workers_per_gather = 0;
     SET LOCAL plan_cache_mode = force_generic_plan";

type Conditions = [(Column, String)];

pub(super) async fn find(pool: &Pool, query: &Query) -> Result<Page, LogError> {
    let query = query.clone();
    pool.within(LONGEST).run_with(log_error, |connection| on(connection, query).boxed()).await
}

async fn on(connection: &mut PgConnection, query: Query) -> Result<Page, LogError> {
    let query = &query;
    let mut transaction = connection.begin().await.map_err(log_error)?;
    transaction.execute(IN_INDEX_ORDER).await.map_err(log_error)?;
    let bounds = bounds(&mut transaction, query).await?;
    let conditions = query.filter.conditions();
    let way = Way::of(query.order, &conditions);
    let page = if way.looks_at(&conditions).is_empty() {
        let found = straight(&mut transaction, query, (bounds, &conditions)).await?;
        query.page(events(&found)?, None)
    } else {
        looked_through(&mut transaction, query, (bounds, &conditions)).await?
    };
    super::events::check(&mut *transaction, &page.events).await?;
    transaction.commit().await.map_err(log_error)?;
    Ok(page)
}

fn events(rows: &[PgRow]) -> Result<Vec<Recorded>, LogError> {
    rows.iter().map(rows::recorded).collect()
}

/// Everything that the index holds fits.
async fn straight(
    connection: &mut PgConnection,
    query: &Query,
    (bounds, conditions): (Bounds, &Conditions),
) -> Result<Vec<PgRow>, LogError> {
    let way = Way::of(query.order, conditions);
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM events WHERE {} ORDER BY {} LIMIT ${}",
        way.within(),
        way.order(),
        conditions.len() + 3
    );
    let statement = bound(&sql, bounds, conditions).bind(rows::stored(query.limit as u64));
    statement.fetch_all(connection).await.map_err(log_error)
}

/// Looks whether the other conditions hold, in at most [`MAX_SCANNED`] events. The last of those
/// comes too, whether it fits or not: it says where to go on.
async fn looked_through(
    connection: &mut PgConnection,
    query: &Query,
    (bounds, conditions): (Bounds, &Conditions),
) -> Result<Page, LogError> {
    let way = Way::of(query.order, conditions);
    let (word, order, counted) = (way.word(), way.order(), way.counted());
    let sql = format!(
        "SELECT position, fits, n FROM (
             SELECT position, fits, word, row_number() OVER (ORDER BY {counted}) AS n
             FROM (SELECT position, {word} AS word, ({fits}) AS fits FROM events WHERE {within}
                   ORDER BY {order} LIMIT {MAX_SCANNED}) looked_at
         ) counted WHERE fits OR n = {MAX_SCANNED} ORDER BY {counted} LIMIT ${limit}",
        fits = way.looks_at(conditions).join(" AND "),
        within = way.within(),
        limit = conditions.len() + 3
    );
    let statement = bound(&sql, bounds, conditions).bind(rows::stored(query.limit as u64));
    let found = statement.fetch_all(&mut *connection).await.map_err(log_error)?;
    let (mut fitting, mut end) = (Vec::new(), None);
    for row in &found {
        let position: i64 = row.try_get(0).map_err(log_error)?;
        let fits: Option<bool> = row.try_get(1).map_err(log_error)?;
        if fits == Some(true) {
            fitting.push(position);
        }
        if rows::fetched(row, 2).map_err(log_error)? == MAX_SCANNED as u64 {
            end = u64::try_from(position).ok();
        }
    }
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM events WHERE position = ANY ($1) ORDER BY position {}",
        way.direction
    );
    let found = sqlx::query(&sql).bind(fitting).fetch_all(connection).await.map_err(log_error)?;
    Ok(query.page(events(&found)?, end))
}

fn bound<'q>(
    sql: &'q str,
    bounds: Bounds,
    conditions: &Conditions,
) -> Statement<'q, Postgres, PgArguments> {
    let statement = sqlx::query(sql).bind(rows::stored(bounds.low)).bind(rows::stored(bounds.high));
    conditions
        .iter()
        .fold(statement, |statement, (_, value)| statement.bind(rows::storable(value).into_owned()))
}

/// The index that a statement goes by, and in which direction.
struct Way {
    /// None goes by the positions alone.
    column: Option<Column>,
    direction: &'static str,
}

impl Way {
    fn of(order: Order, conditions: &Conditions) -> Self {
        let column = conditions.first().map(|(column, _)| *column);
        let direction = match order {
            Order::OldestFirst => "ASC",
            Order::NewestFirst => "DESC",
        };
        Self { column: column.filter(|column| *column != Column::AggregateType), direction }
    }

    fn word(&self) -> String {
        self.column.map_or_else(|| "position".to_owned(), expression)
    }

    fn order(&self) -> String {
        let direction = self.direction;
        match self.column {
            Some(column) => format!("{} {direction}, position {direction}", expression(column)),
            None => format!("position {direction}"),
        }
    }

    /// The same, where the word has a name.
    fn counted(&self) -> String {
        let direction = self.direction;
        let word = self.column.map_or_else(String::new, |_| format!("word {direction}, "));
        format!("{word}position {direction}")
    }

    /// What the index is asked for: a pair, as it has the order of pairs.
    fn within(&self) -> String {
        let Some(column) = self.column else {
            return "position > $1 AND position <= $2".to_owned();
        };
        let (word, value) = (expression(column), value(column, 3));
        // The index leaves out what has no cause.
        let caused = match column {
            Column::Cause => format!(" AND {word} IS NOT NULL"),
            Column::Aggregate
            | Column::EventType
            | Column::AggregateType
            | Column::Actor
            | Column::Project
            | Column::Correlation => String::new(),
        };
        format!(
            "position IS NOT NULL{caused} AND ({word}, position) > ({value}, $1)
             AND ({word}, position) <= ({value}, $2)"
        )
    }

    /// The conditions that the index does not answer.
    fn looks_at(&self, conditions: &Conditions) -> Vec<String> {
        let answered = usize::from(self.column.is_some());
        let rest = conditions.iter().enumerate().skip(answered);
        rest.map(|(n, (column, _))| format!("{} = {}", expression(*column), value(*column, n + 3)))
            .collect()
    }
}

/// As it stands in the index.
fn expression(column: Column) -> String {
    let word = |name: &str| format!("specline_word(metadata, '{name}')");
    match column {
        Column::Aggregate => "aggregate_id".to_owned(),
        Column::EventType => "event_type".to_owned(),
        Column::AggregateType => "aggregate_type".to_owned(),
        Column::Actor => word("actor"),
        Column::Project => word("project_id"),
        Column::Correlation => word("correlation_id"),
        Column::Cause => word("causation_id"),
    }
}

/// What a column is compared with. Of words the index has the beginning.
fn value(column: Column, parameter: usize) -> String {
    match column {
        Column::Aggregate | Column::AggregateType | Column::EventType => {
            format!("${parameter}::text")
        }
        Column::Actor | Column::Project | Column::Correlation | Column::Cause => {
            format!("left(${parameter}, 200)")
        }
    }
}

async fn bounds(connection: &mut PgConnection, query: &Query) -> Result<Bounds, LogError> {
    let micros = Timestamp::micros;
    let (from, to) = (query.filter.from.map(micros), query.filter.to.map(micros));
    if from.is_none() && to.is_none() {
        return Ok(query.bounds(None, None));
    }
    let sql = "SELECT CASE WHEN $1::bigint IS NOT NULL THEN specline_position_before($1) END,
                      CASE WHEN $2::bigint IS NOT NULL THEN specline_position_before($2) END";
    let row = sqlx::query(sql).bind(from).bind(to).fetch_one(connection).await;
    let row = row.map_err(log_error)?;
    let read = |column: usize| -> sqlx::Result<Option<u64>> {
        let position: Option<i64> = row.try_get(column)?;
        Ok(position.and_then(|position| u64::try_from(position).ok()))
    };
    Ok(query.bounds(read(0).map_err(log_error)?, read(1).map_err(log_error)?))
}
