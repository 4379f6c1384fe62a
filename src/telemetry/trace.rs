//! The trace that a request belongs to, as W3C's `traceparent` names it
//! (<https://www.w3.org/TR/trace-context/>). It travels with the task, and into the events.

use std::future::Future;

/// The header.
pub const TRACEPARENT: &str = "traceparent";

tokio::task_local! {
    static CURRENT: Option<String>;
}

/// What the header says, where it says something that is well formed.
pub fn parent<'a>(header: impl FnOnce(&str) -> Option<&'a str>) -> Option<String> {
    header(TRACEPARENT).filter(|text| is_well_formed(text)).map(str::to_owned)
}

/// Makes `span` a part of the trace of `parent`. Once it was entered, it is too late for that.
pub fn adopt(span: &tracing::Span, parent: Option<&str>) {
    #[cfg(feature = "otel")]
    if let Some(parent) = parent {
        super::otel::adopt(span, parent);
    }
    #[cfg(not(feature = "otel"))]
    let _ = (span, parent);
}

/// Runs `work` as part of the trace.
pub async fn within<F: Future>(parent: Option<String>, work: F) -> F::Output {
    CURRENT.scope(parent, work).await
}

/// The trace of this task.
#[must_use]
pub fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// `00-TRACE-PARENT-FLAGS`, in lower-case hexadecimal, and neither id all zeros.
fn is_well_formed(text: &str) -> bool {
    let hex = |part: &str, length: usize| {
        part.len() == length
            && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let nonzero = |part: &str| part.bytes().any(|b| b != b'0');
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, parent, flags] = parts[..] else { return false };
    version == "00"
        && hex(trace, 32)
        && nonzero(trace)
        && hex(parent, 16)
        && nonzero(parent)
        && hex(flags, 2)
}

#[cfg(test)]
mod tests {
    use super::is_well_formed;

    #[test]
    fn only_a_well_formed_parent_is_taken() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(is_well_formed(good));
        let zero = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        let bad = ["", "00", zero, &good.to_uppercase(), &good[1..], &format!("{good}-x")];
        for bad in bad {
            assert!(!is_well_formed(bad), "{bad:?}");
        }
    }
}
