//! Error codes: each has a page, each page has a code, and problem documents lead to them.

use std::collections::BTreeSet;
use std::path::Path;

use specline::http::ERRORS;

use crate::access::Caller;
use crate::support::{Lab, Start};

/// Codes of the source: what follows these words, and stands in quotes.
const MARKS: [&str; 4] = ["Refusal::new(", "code: \"", "let code = ", "fn code(&self)"];

/// How much text after a mark may hold codes, in lines.
const REACH: [usize; 4] = [4, 1, 8, 34];

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2).filter(|word| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    })
}

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

/// Every code that the engine, the API or an aggregate can answer with.
fn codes() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    for folder in ["src/engine", "src/http", "aggregates/src"] {
        sources(&root.join(folder), &mut texts);
    }
    let mut found = BTreeSet::new();
    for text in texts {
        let lines: Vec<_> = text.lines().collect();
        for (n, line) in lines.iter().enumerate() {
            for (mark, reach) in MARKS.iter().zip(REACH) {
                let Some(at) = line.find(mark) else { continue };
                let rest = lines[n + 1..].iter().take(reach - 1);
                // A function, a call or a statement ends the reach.
                let rest = rest.take_while(|line| !matches!(line.trim(), "}" | "};" | ");"));
                let piece: Vec<&str> = std::iter::once(&line[at..]).chain(rest.copied()).collect();
                let piece = piece.join("\n");
                let codes = quoted(&piece).map(str::to_owned);
                let only = if reach <= 4 { 1 } else { usize::MAX };
                found.extend(codes.take(only));
            }
        }
    }
    found
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let codes = codes();
    assert!(codes.len() > 35, "only {} codes were found", codes.len());
    let pages: BTreeSet<_> = ERRORS.iter().map(|(code, _)| (*code).to_owned()).collect();
    let missing: Vec<_> = codes.difference(&pages).collect();
    assert!(missing.is_empty(), "codes without a page in docs/errors: {missing:?}");
    let unused: Vec<_> = pages.difference(&codes).collect();
    assert!(unused.is_empty(), "pages of codes that nothing answers with: {unused:?}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeSet<_> =
        files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(files, pages, "docs/errors and src/http/docs/errors.rs");
    for (code, page) in ERRORS {
        assert!(page.starts_with(&format!("# `{code}`: ")), "{code}");
        assert!(page.contains("**What to do:**"), "{code}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_problem_names_its_page_and_the_page_is_served() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let told = caller.get("/api/v1/nothing", "").await;
    assert_eq!((told.status, told.code()), (404, "no_such_route"), "{told:?}");
    assert_eq!(told.header("content-type"), "application/problem+json");
    let page = told.body["type"].as_str().unwrap().to_owned();
    let page = caller.get(&page, "").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/markdown; charset=utf-8"));
    assert!(page.body.as_str().unwrap().starts_with("# `no_such_route`"));
    let unknown = caller.get("/api/docs/errors/unheard_of", "").await;
    assert_eq!((unknown.status, unknown.code()), (404, "not_found"));
}
