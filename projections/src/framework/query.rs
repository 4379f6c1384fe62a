//! Reading rows: conditions, and pages that continue after a row rather than at a number.

use serde::{Deserialize, Serialize};

use specline_aggregates::{Digest, Timestamp};

use super::error::Error;
use super::model::{Model, Table};
use super::read_models::ReadModels;
use super::value::{Kind, Value};

/// Most rows that one call gives.
const MAX_ROWS: u32 = 1_000;

/// Some rows of a list, and where it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing<T> {
    pub rows: Vec<T>,
    /// Give it as `after` for the rows that follow; none at the end.
    pub next: Option<String>,
}

impl<T> Listing<T> {
    /// The same listing of what `of` makes of each row, where it makes something.
    pub(crate) fn filter_map<U>(self, of: impl Fn(T) -> Option<U>) -> Listing<U> {
        Listing { rows: self.rows.into_iter().filter_map(of).collect(), next: self.next }
    }
}

/// Which rows come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Newest,
    Oldest,
}

/// The conditions of a read.
pub(crate) struct Query {
    table: Table,
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Query {
    pub(crate) const fn of<M: Model>() -> Self {
        Self { table: M::TABLE, conditions: Vec::new(), values: Vec::new() }
    }

    /// `condition` names its value as `$`.
    pub(crate) fn when(mut self, condition: &str, value: Value) -> Self {
        self.values.push(value);
        self.conditions.push(condition.replace('$', &format!("${}", self.values.len())));
        self
    }

    /// Rows that have a value in `column`.
    pub(crate) fn filled(mut self, column: &str) -> Self {
        self.conditions.push(format!("{column} IS NOT NULL"));
        self
    }

    pub(crate) fn equal(self, column: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.when(&format!("{column} = $"), Value::text(value)),
            None => self,
        }
    }

    pub(crate) fn sql(&self, columns: &str, tail: &str) -> String {
        let conditions = match self.conditions.as_slice() {
            [] => String::new(),
            some => format!(" WHERE {}", some.join(" AND ")),
        };
        format!("SELECT {columns} FROM {}{conditions} {tail}", self.table.name)
    }

    /// The rows, in the order that `tail` says.
    pub(crate) async fn fetch<R: serde::de::DeserializeOwned>(
        self,
        models: &ReadModels,
        tail: &str,
    ) -> Result<Vec<R>, Error> {
        let sql = self.sql("key, body", tail);
        let rows = models.db.fetch(&sql, self.values, &[Kind::Text, Kind::Text]).await?;
        rows.into_iter().map(decode).collect()
    }

    /// The earliest moment in `column` under the conditions.
    pub(crate) async fn least(
        self,
        models: &ReadModels,
        column: &str,
    ) -> Result<Option<Timestamp>, Error> {
        let sql = self.sql(&format!("MIN({column})"), "");
        let rows = models.db.fetch(&sql, self.values, &[Kind::Time]).await?;
        Ok(rows.first().and_then(|row| row.first()).and_then(Value::as_time))
    }

    /// A page of the rows after `after`. The table must have a column `ordinal`, the position of a
    /// row's first event, which hidden rows lack.
    pub(crate) async fn page<R: serde::de::DeserializeOwned>(
        mut self,
        models: &ReadModels,
        order: Order,
        (after, limit): (Option<&str>, u32),
    ) -> Result<Listing<R>, Error> {
        let (beyond, direction, start) = match order {
            Order::Newest => ("ordinal < $", "DESC", i64::MAX),
            Order::Oldest => ("ordinal > $", "ASC", -1),
        };
        let of_list = self.list(direction);
        let start = after.map_or(Ok(start), |after| position_of(after, &of_list))?;
        self = self.when(beyond, Value::Int(start));
        let limit = limit.clamp(1, MAX_ROWS);
        let tail = format!("ORDER BY ordinal {direction} LIMIT {}", limit + 1);
        let sql = self.sql("key, body, ordinal", &tail);
        let kinds = [Kind::Text, Kind::Text, Kind::Int];
        let mut found = models.db.fetch(&sql, self.values, &kinds).await?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let last = found.last().filter(|_| more).and_then(|row| row.get(2)?.as_int());
        let rows = found.into_iter().map(decode).collect::<Result<_, _>>()?;
        Ok(Listing { rows, next: last.map(|ordinal| cursor_of(ordinal, &of_list)) })
    }
}

impl Query {
    /// Tells this list from every other: its table, its conditions and its order.
    fn list(&self, direction: &str) -> String {
        format!("{} {direction} {:?} {:?}", self.table.name, self.conditions, self.values)
    }
}

/// Letters of a cursor that say of which list it is.
const LIST_LETTERS: usize = 12;

/// The cursor of `list` behind `position`.
pub(crate) fn cursor_of(position: i64, list: &str) -> String {
    let tag = Digest::of(list.as_bytes()).to_string();
    format!("{position}-{}", &tag[..LIST_LETTERS])
}

/// The position that a cursor of this very `list` names.
pub(crate) fn position_of(given: &str, list: &str) -> Result<i64, Error> {
    let position = given.split_once('-').and_then(|(position, _)| position.parse().ok());
    let known = position.filter(|position| cursor_of(*position, list) == given);
    known.ok_or_else(|| Error::InvalidCursor(given.chars().take(80).collect()))
}

impl ReadModels {
    /// The row of model `M` with this key.
    pub(crate) async fn row<M: Model>(&self, key: impl ToString) -> Result<Option<M::Row>, Error> {
        let query = Query::of::<M>().when("key = $", Value::text(key));
        Ok(query.fetch(self, "").await?.pop())
    }
}

fn decode<R: serde::de::DeserializeOwned>(row: Vec<Value>) -> Result<R, Error> {
    let mut texts = row.into_iter().filter_map(Value::into_text);
    let key = texts.next().unwrap_or_default();
    let body = texts.next().unwrap_or_default();
    serde_json::from_str(&body).map_err(|source| Error::Row { key, source })
}

/// A LIKE pattern (with `ESCAPE '!'`) for texts that hold `part`.
pub(crate) fn like(part: &str) -> String {
    let mut pattern = String::from("%");
    for c in part.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
