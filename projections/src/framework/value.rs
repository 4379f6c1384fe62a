//! The kinds of column, as SQLite and PostgreSQL keep them.

use serde::Serialize;
use specline_aggregates::{Timestamp, Usage};

use super::database::Dialect;

/// Kind of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Int,
    /// A moment: `timestamptz`, or microseconds since 1970 on SQLite.
    Time,
}

impl Kind {
    /// Texts are ordered by their bytes on both.
    pub(crate) const fn sql(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::Text, Dialect::Sqlite) => "TEXT",
            (Self::Text, Dialect::Postgres) => "TEXT COLLATE \"C\"",
            (Self::Int, _) | (Self::Time, Dialect::Sqlite) => "BIGINT",
            (Self::Time, Dialect::Postgres) => "TIMESTAMPTZ",
        }
    }
}

/// One value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Int(i64),
    /// Microseconds since 1970.
    Time(i64),
    Null(Kind),
}

impl Value {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "ids and names are small copies, and a reference at each call reads worse"
    )]
    pub(crate) fn text(value: impl ToString) -> Self {
        Self::Text(value.to_string())
    }

    pub(crate) fn text_or_null(value: Option<impl ToString>) -> Self {
        value.map_or(Self::Null(Kind::Text), |value| Self::Text(value.to_string()))
    }

    pub(crate) const fn time(value: Timestamp) -> Self {
        Self::Time(value.micros())
    }

    pub(crate) fn time_or_null(value: Option<Timestamp>) -> Self {
        value.map_or(Self::Null(Kind::Time), Self::time)
    }

    /// A number; one that does not fit is the largest.
    pub(crate) fn int(value: impl TryInto<i64>) -> Self {
        Self::Int(value.try_into().unwrap_or(i64::MAX))
    }

    pub(crate) fn int_or_null(value: Option<impl TryInto<i64>>) -> Self {
        value.map_or(Self::Null(Kind::Int), Self::int)
    }

    /// The name of an enum's variant, as its JSON has it; one that carries something is JSON.
    pub(crate) fn word(value: impl Serialize) -> Self {
        let json = serde_json::to_value(value)
            .expect("enums of names, numbers and texts are always valid JSON");
        if json.is_null() {
            return Self::Null(Kind::Text);
        }
        Self::Text(json.as_str().map_or_else(|| json.to_string(), str::to_owned))
    }

    /// The four columns of a usage.
    pub(crate) fn usage(usage: Usage) -> [Self; 4] {
        let (tokens, cost) = ((usage.input_tokens, usage.output_tokens), usage.cost_micro_usd);
        [tokens.0, tokens.1, cost, usage.duration_ms].map(Self::int)
    }

    /// As it is stored: without the character NUL, which PostgreSQL does not take in a text.
    pub(crate) fn stored(self) -> Self {
        if let Self::Text(text) = &self
            && text.contains('\0')
        {
            return Self::Text(text.replace('\0', ""));
        }
        self
    }

    /// A position, as both databases keep it.
    pub(crate) fn position(position: u64) -> Self {
        Self::Int(i64::try_from(position).unwrap_or(i64::MAX))
    }

    pub(crate) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Int(_) | Self::Time(_) | Self::Null(_) => None,
        }
    }

    pub(crate) const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Text(_) | Self::Time(_) | Self::Null(_) => None,
        }
    }

    pub(crate) const fn as_time(&self) -> Option<Timestamp> {
        match self {
            Self::Time(micros) => Some(Timestamp::from_micros(*micros)),
            Self::Text(_) | Self::Int(_) | Self::Null(_) => None,
        }
    }

    pub(crate) fn as_position(&self) -> Option<u64> {
        self.as_int().and_then(|number| u64::try_from(number).ok())
    }
}
