//! Arbitrary cursors and queries: read or refused, never a panic.

use axum::extract::Query;
use axum::http::Uri;
use proptest::prelude::*;
use uuid::Uuid;

use super::body::tests::config;
use super::{audit, conditions, export, history, lists, paging, reads, sandboxes, tasks};
use crate::engine::audit::LogIdentity;

fn log(n: u128) -> LogIdentity {
    LogIdentity { log_id: Uuid::from_u128(n), incarnation: 1 }
}

/// Reads a query string as each type of query.
fn read_all(query: &str) -> usize {
    let Ok(uri) = format!("/x?{query}").parse::<Uri>() else { return 0 };
    macro_rules! all {
        ($($kind:ty),+ $(,)?) => {
            [$(Query::<$kind>::try_from_uri(&uri).is_ok()),+]
                .into_iter().filter(|taken| *taken).count()
        };
    }
    all![
        conditions::EventsQuery,
        conditions::StreamQuery,
        audit::VerifyQuery,
        audit::SealsQuery,
        audit::ProofQuery,
        audit::ConsistencyQuery,
        export::ExportQuery,
        history::DiffQuery,
        lists::TaskQuery,
        lists::TicketQuery,
        paging::Paging,
        reads::ListQuery,
        reads::Past,
        reads::EventsQuery,
        reads::ContextQuery,
        sandboxes::Poll,
        tasks::Freshness,
    ]
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn any_cursor_is_read_or_refused(text in any::<String>()) {
        if let Ok(position) = audit::position_of(&text, log(1)) {
            prop_assert_eq!(text.parse(), Ok(position));
        }
    }

    #[test]
    fn a_cursor_with_anything_changed_is_refused(
        position in any::<u64>(),
        at in any::<prop::sample::Index>(),
        with in "[A-Za-z0-9_=+/-]{0,3}",
        cut in 0_usize..3,
    ) {
        let cursor = audit::cursor(log(1), position);
        prop_assert_eq!(audit::position_of(&cursor, log(1)).ok(), Some(position));
        prop_assert!(audit::position_of(&cursor, log(2)).is_err());
        let at = at.index(cursor.len());
        let mut changed = cursor.clone();
        changed.replace_range(at..(at + cut).min(cursor.len()), &with);
        if changed != cursor {
            prop_assert!(audit::position_of(&changed, log(1)).is_err(), "{}", changed);
        }
    }

    #[test]
    fn any_query_is_read_or_refused(
        pairs in prop::collection::vec(
            (
                prop::sample::select(vec![
                    "aggregate", "type", "actor", "project", "from", "to", "after", "limit",
                    "order", "at_least", "heartbeat", "status", "phase", "q", "cursor", "spec",
                    "ticket", "as_of", "as_of_version", "wait", "size", "first", "second",
                    "format", "number", "unheard_of",
                ]),
                prop_oneof![
                    "[ -~]{0,30}",
                    "-?[0-9]{1,30}(\\.[0-9]+)?(e[0-9]{1,3})?",
                    "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z",
                    "(%[0-9a-fA-F]{0,2}){0,20}",
                ],
            ),
            0..5),
    ) {
        let query: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        read_all(&query.join("&"));
    }
}

#[test]
fn good_queries_are_read() {
    for query in ["limit=5", "from=2026-01-01T00:00:00Z&order=desc", "q=a%25", "wait=3", "size=7"] {
        assert!(read_all(query) > 0, "{query}");
    }
}
