//! The two kinds of column that SQLite and PostgreSQL share without a difference.

use specline_aggregates::Timestamp;

/// Kind of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Int,
}

impl Kind {
    pub(crate) const fn sql(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Int => "BIGINT",
        }
    }
}

/// One value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Int(i64),
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

    pub(crate) fn time_or_null(value: Option<Timestamp>) -> Self {
        value.map_or(Self::Null(Kind::Int), |value| Self::Int(value.micros()))
    }

    /// A position, as both databases keep it.
    pub(crate) fn position(position: u64) -> Self {
        Self::Int(i64::try_from(position).unwrap_or(i64::MAX))
    }

    pub(crate) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Int(_) | Self::Null(_) => None,
        }
    }

    pub(crate) const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Text(_) | Self::Null(_) => None,
        }
    }

    pub(crate) fn as_position(&self) -> Option<u64> {
        self.as_int().and_then(|number| u64::try_from(number).ok())
    }
}
