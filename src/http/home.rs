//! Where nobody says who they are, only this machine's own programs and pages are let in: a page of
//! somebody else's must not speak for the person who looks at it, nor a name that leads here.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, StatusCode, header};

use super::Origin;
use super::error::Refusal;

/// Refuses what a browser sends for a page of another origin, but for those in `origins`.
pub(super) fn check(headers: &HeaderMap, origins: &[Origin]) -> Result<(), Refusal> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text(header::HOST).unwrap_or_default();
    let fits = |origin: &str| {
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        rest == Some(host) || origins.iter().any(|allowed| allowed.is(origin))
    };
    if is_address(host) && text(header::ORIGIN).is_none_or(fits) {
        return Ok(());
    }
    let detail = "without authentication, pages of other origins and other names of this machine \
                  are refused; name the origin with --cors-origin, or use a key";
    Err(Refusal::new(StatusCode::FORBIDDEN, "foreign_origin", detail))
}

/// Anybody may make a name that leads to this machine; an address is what it is.
fn is_address(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, _)) => name,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn names_are_no_addresses() {
        for host in ["127.0.0.1:80", "127.0.0.1", "[::1]:8080", "[::1]", "localhost:1", "LOCALHOST"]
        {
            assert!(is_address(host), "{host}");
        }
        for host in
            ["", "evil.example.com:80", "localhost.evil.example.com", "127.0.0.1.evil", "[x]"]
        {
            assert!(!is_address(host), "{host}");
        }
    }
}
