//! Bodies and idempotency keys of requests.

use axum::extract::{FromRequest, Request};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use serde::de::DeserializeOwned;
use specline_aggregates::Digest;
use tokio::sync::OwnedSemaphorePermit;

use super::Api;
use super::error::Refusal;
use crate::engine::Keyed;

/// The header of an idempotency key.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Longest idempotency key, in bytes.
const MAX_KEY_BYTES: usize = 200;

/// Lists and objects within each other. Readers of JSON commonly take 128, and what is kept
/// verbatim is shown within some more.
const MAX_DEPTH: usize = 100;

/// A JSON body with the request's idempotency key. An empty body is `{}`.
pub(super) struct Body<T> {
    pub value: T,
    pub keyed: Option<Keyed>,
    /// The version that `If-Match` names.
    pub expected: Option<u64>,
    /// Held for as long as the body is.
    _room: Option<OwnedSemaphorePermit>,
}

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let expected = expected(&parts.headers)?;
        let key = key(&parts.headers)?;
        let received = api.intake.receive(body).await?;
        if !received.bytes.is_empty() {
            is_json(&parts.headers)?;
        }
        let value = read(&received.bytes)?;
        let keyed = key.map(|key| keyed(key, (&parts.method, &parts.uri), &received.bytes));
        Ok(Self { value, keyed, expected, _room: received.room })
    }
}

/// Reads a body. What no store and no reader of the log could take is refused here for all types,
/// also where a type would keep it unread.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { bytes };
    let invalid = |detail: String| Refusal::new(StatusCode::BAD_REQUEST, "invalid_json", detail);
    let text =
        str::from_utf8(text).map_err(|error| invalid(format!("the body is not UTF-8: {error}")))?;
    match doubtful(text.as_bytes()) {
        Some(Doubt::Nul) => {
            return Err(Refusal::invalid("no string may hold the character U+0000"));
        }
        Some(Doubt::LoneSurrogate) => {
            return Err(invalid("a string has half of a surrogate pair".to_owned()));
        }
        Some(Doubt::Deep) => {
            return Err(invalid(format!("the body is nested more than {MAX_DEPTH} deep")));
        }
        Some(Doubt::Large) => {
            return Err(invalid("a number is larger than 64 bits of floating point".to_owned()));
        }
        None => {}
    }
    serde_json::from_str(text).map_err(|error| {
        let detail = format!("the body cannot be read: {error}");
        if error.is_data() { Refusal::invalid(detail) } else { invalid(detail) }
    })
}

/// What some reader of JSON cannot take.
#[derive(Debug, PartialEq, Eq)]
enum Doubt {
    Nul,
    LoneSurrogate,
    Deep,
    Large,
}

/// The first doubtful place. What is no JSON at all is found by whoever reads it after this.
fn doubtful(text: &[u8]) -> Option<Doubt> {
    let (mut at, mut depth, mut in_string) = (0, 0_usize, false);
    while let Some(byte) = text.get(at) {
        at += match byte {
            b'\\' => match escaped(text, at) {
                Ok(length) => length,
                Err(doubt) => return Some(doubt),
            },
            b'"' => {
                in_string = !in_string;
                1
            }
            b'[' | b'{' if !in_string => {
                depth += 1;
                1
            }
            b']' | b'}' if !in_string => {
                depth = depth.saturating_sub(1);
                1
            }
            b'-' | b'0'..=b'9' if !in_string => match number(text, at) {
                Ok(length) => length,
                Err(doubt) => return Some(doubt),
            },
            _ => 1,
        };
        if depth > MAX_DEPTH {
            return Some(Doubt::Deep);
        }
    }
    None
}

/// The length of the number at `at`.
fn number(text: &[u8], at: usize) -> Result<usize, Doubt> {
    let part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let length = text[at..].iter().take_while(|byte| part(byte)).count();
    let digits = str::from_utf8(&text[at..at + length]).unwrap_or_default();
    match digits.parse::<f64>() {
        Ok(number) if number.is_infinite() => Err(Doubt::Large),
        Ok(_) | Err(_) => Ok(length),
    }
}

/// The length of the escape at `at`.
fn escaped(text: &[u8], at: usize) -> Result<usize, Doubt> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
    };
    match unit(at) {
        None => Ok(2),
        Some(0) => Err(Doubt::Nul),
        Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => Ok(12),
        Some(0xD800..=0xDFFF) => Err(Doubt::LoneSurrogate),
        Some(_) => Ok(6),
    }
}

/// A form of a foreign page can send anything but this without asking the browser's leave.
fn is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let unsupported = |detail: &str| {
        Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    };
    let kind = single(headers, &header::CONTENT_TYPE)?.and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().to_ascii_lowercase();
    let mut parts = kind.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let plain = parts.all(|part| {
        part.strip_prefix("charset=").is_none_or(|set| set.trim_matches('"') == "utf-8")
    });
    if kind != "application/json" || !plain {
        return Err(unsupported("a body is `Content-Type: application/json`, in UTF-8"));
    }
    match single(headers, &header::CONTENT_ENCODING)?.map(HeaderValue::as_bytes) {
        None => Ok(()),
        Some(coding) if coding.eq_ignore_ascii_case(b"identity") => Ok(()),
        Some(_) => Err(unsupported("a body is sent as it is, not compressed")),
    }
}

/// A header that there is once at most: of two, callers and what stands between may take
/// different ones.
pub(super) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_none() {
        return Ok(first);
    }
    let detail = format!("{name} is given more than once");
    Err(Refusal::new(StatusCode::BAD_REQUEST, "invalid_header", detail))
}

/// `If-Match: 12`, or `"12"` as an ETag has it. `*` says nothing: what a route names must be there.
fn expected(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = single(headers, &header::IF_MATCH)? else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let digits = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let version = digits.parse().ok().filter(|_| number);
    version.map(Some).ok_or_else(|| {
        let detail = "If-Match is the version of the answer that you go by, such as \"12\"";
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_header", detail)
    })
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let name = HeaderName::from_static(IDEMPOTENCY_KEY);
    let Some(key) = single(headers, &name)? else { return Ok(None) };
    let visible = |key: &&str| key.bytes().all(|byte| byte.is_ascii_graphic());
    let fits = |key: &&str| !key.is_empty() && key.len() <= MAX_KEY_BYTES;
    let key = key.to_str().ok().filter(fits).filter(visible);
    let key = key.ok_or_else(|| {
        Refusal::invalid(format!("Idempotency-Key is 1 to {MAX_KEY_BYTES} visible characters"))
    })?;
    Ok(Some(key.to_owned()))
}

fn keyed(key: String, (method, uri): (&Method, &Uri), body: &[u8]) -> Keyed {
    let mut request = format!("{method} {}\n", uri.path()).into_bytes();
    request.extend_from_slice(body);
    Keyed { key, request: Digest::of(&request) }
}

#[cfg(test)]
pub(super) mod tests;
