//! Which module may use which: the table of ARCHITECTURE.md. Edges between crates are held by
//! Cargo; these are the ones inside the root crate, and what the pure crate must not name.

use super::sources::{Source, no_faults, rust_files};

/// Faults of every line under `folders` (but not under `except`) that holds one of `words`.
fn mentions(folders: &[&str], except: &[&str], words: &[&str]) -> Vec<String> {
    let sources = rust_files();
    let inside = |source: &&Source| source.is_under(folders) && !source.is_under(except);
    let mut faults = Vec::new();
    for source in sources.iter().filter(inside) {
        for (n, line) in source.code() {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                faults.push(format!("{}:{n}: {word}", source.path));
            }
        }
    }
    faults
}

#[test]
fn the_domain_is_pure() {
    let words = [
        "async fn",
        ".await;",
        ".await?",
        "tokio::",
        "sqlx",
        "std::env",
        "std::fs",
        "SystemTime",
        "Instant::",
        "HashMap",
        "HashSet",
        "tracing::",
        "rand::",
        "now_v7",
        "new_v4",
        "println!",
    ];
    // `impl cqrs_es::Aggregate` has to be async; nothing in it waits for anything but its sink.
    let except = ["aggregates/src/event_sourced.rs"];
    no_faults("aggregates", &mentions(&["aggregates/src"], &except, &words));
}

#[test]
fn sql_lives_in_the_store_and_the_projections() {
    let words = ["rusqlite", "sqlx::", "SELECT ", "INSERT INTO", "UPDATE ", "DELETE FROM"];
    // The benchmark's reference is a raw database.
    let except = ["src/store", "src/bench", "src/agent/builtin"];
    no_faults("SQL", &mentions(&["src"], &except, &words));
}

#[test]
fn axum_lives_in_http() {
    // The builtin agent knows the names of frameworks that it looks for.
    let except = ["src/http", "src/dashboard", "src/agent/builtin"];
    no_faults("axum", &mentions(&["src"], &except, &["axum::"]));
}

#[test]
fn the_engine_knows_the_log_as_a_trait() {
    let words = ["SqliteLog", "store::sqlite", "axum"];
    no_faults("engine", &mentions(&["src/engine"], &[], &words));
}

#[test]
fn http_knows_the_engine_and_no_store() {
    let words = ["crate::store", "crate::commands", "crate::sandbox"];
    no_faults("http", &mentions(&["src/http", "src/dashboard"], &[], &words));
}

#[test]
fn the_store_knows_no_engine() {
    let words =
        ["crate::engine", "crate::http", "crate::worker", "crate::cli", "specline_projections"];
    no_faults("store", &mentions(&["src/store"], &[], &words));
}

#[test]
fn only_one_module_prints() {
    let words = ["println!", "eprintln!", "print!(", "eprint!("];
    no_faults("printing", &mentions(&["src"], &["src/cli/print.rs"], &words));
}

#[test]
fn projections_know_no_runtime() {
    let words = ["tokio::", "axum"];
    no_faults("projections", &mentions(&["projections/src"], &[], &words));
}

#[test]
fn git_is_called_in_one_place() {
    // The tests of snapshots do what the owner of a repository does.
    let except = ["src/git", "src/sandbox/snapshot/tests.rs"];
    no_faults("git", &mentions(&["src"], &except, &["Command::new(\"git\")"]));
}
