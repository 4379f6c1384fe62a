//! The API over real HTTP: its routes, its documentation, its errors, and what it exports.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails is a test that fails")]

mod cases;
mod docs;
mod document;
mod errors;
mod exports;
mod history;
mod idempotency;
mod live;
mod routes;
mod scenario;
mod writes;

use specline_aggregates::{Policy, SpecId};

use crate::support::{Lab, Start};

/// An engine with a spec that is completed.
async fn completed() -> (Lab, SpecId) {
    let lab = Lab::new(Start::Worker).await;
    let spec = lab.execute(Policy::default()).await;
    lab.until_n(spec, "SpecCompleted", 1).await;
    (lab, spec)
}

/// Compares with a file of the tree, or writes it under `SPECLINE_GOLDEN=write`.
fn golden(path: &str, found: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var("SPECLINE_GOLDEN").is_ok_and(|mode| mode == "write") {
        std::fs::write(&file, found).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    let line = kept.lines().zip(found.lines()).position(|(kept, found)| kept != found);
    assert!(
        kept == found,
        "{path} is not what the program makes (first other line: {line:?}); look at the change, \
         then run this test with SPECLINE_GOLDEN=write"
    );
}
