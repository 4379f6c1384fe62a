//! Points in time: UTC, microseconds, RFC 3339 in JSON. This crate never reads a clock; times
//! arrive inside commands.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

/// 0000-01-01T00:00:00Z.
const FIRST: i64 = -62_167_219_200_000_000;

/// 10000-01-01T00:00:00Z.
const END: i64 = 253_402_300_800_000_000;

/// Not an RFC 3339 time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an RFC 3339 time such as 2026-01-31T12:00:00Z")]
pub struct InvalidTimestamp(String);

impl Timestamp {
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// This time, `ms` milliseconds later; at most the last second that RFC 3339 can write.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        /// 9999-12-31T23:59:59Z.
        const LAST: i64 = 253_402_300_799_000_000;
        let micros = match ms.checked_mul(1_000) {
            #[expect(clippy::cast_possible_wrap, reason = "it is at most LAST")]
            Some(micros) if micros <= LAST as u64 => self.0.saturating_add(micros as i64),
            _ => LAST,
        };
        Self(if micros < LAST { micros } else { LAST })
    }

    /// This time, `ms` milliseconds earlier.
    #[must_use]
    pub const fn minus_ms(self, ms: u64) -> Self {
        let micros = ms.saturating_mul(1_000);
        Self(self.0.saturating_sub_unsigned(micros))
    }

    /// Milliseconds from `earlier` to this time; 0 when it is not later.
    #[must_use]
    pub const fn ms_since(self, earlier: Self) -> u64 {
        let micros = self.0.saturating_sub(earlier.0);
        if micros > 0 { micros.unsigned_abs() / 1_000 } else { 0 }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000)
            .map_err(|_| fmt::Error)?;
        let (year, month, day) = time.to_calendar_date();
        let (hour, minute, second, micros) = time.to_hms_micro();
        let month = u8::from(month);
        // By hand: a format description costs several times as much, and every event has times.
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

impl JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidTimestamp(text.chars().take(40).collect());
        let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| invalid())?;
        // An offset can lead out of the years that can be written.
        let micros = i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000));
        let micros = micros.ok().filter(|micros| (FIRST..END).contains(micros));
        micros.map(Self).ok_or_else(invalid)
    }
}

impl TryFrom<String> for Timestamp {
    type Error = InvalidTimestamp;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn is_written_to_the_microsecond_and_read_back() {
        let time = Timestamp::from_micros(1_767_225_599_000_042);
        assert_eq!(time.to_string(), "2025-12-31T23:59:59.000042Z");
        assert_eq!("2025-12-31T23:59:59.000042Z".parse(), Ok(time));
        assert_eq!("2026-01-01T00:59:59.000042+01:00".parse(), Ok(time));
        assert_eq!(Timestamp::from_micros(-1).to_string(), "1969-12-31T23:59:59.999999Z");
        assert!("yesterday".parse::<Timestamp>().is_err());
    }
}
