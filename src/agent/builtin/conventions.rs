//! Conventions, measured: how functions are named, how errors travel, where tests live.

use std::collections::BTreeMap;

use super::language::{Family, Role};
use super::survey::Survey;
use super::symbols::Kind;

/// How functions are named in a family of languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Naming {
    pub(super) n_snake: usize,
    pub(super) n_camel: usize,
}

/// Counts of functions whose names have more than one word.
pub(super) fn naming(survey: &Survey, family: Family) -> Naming {
    let mut naming = Naming { n_snake: 0, n_camel: 0 };
    for (index, file) in survey.files.iter().enumerate() {
        if file.family != family || file.role != Role::Source {
            continue;
        }
        for symbol in survey.symbols[index].iter().filter(|s| s.kind == Kind::Function) {
            let name = symbol.name.trim_matches('_');
            if name.contains('_') {
                naming.n_snake += 1;
            } else if name.chars().skip(1).any(char::is_uppercase) {
                naming.n_camel += 1;
            }
        }
    }
    naming
}

/// The naming in one sentence, for the main language.
pub(super) fn naming_text(survey: &Survey) -> Option<String> {
    let family = survey.main_family()?;
    let naming = naming(survey, family);
    let (style, n_style) = if naming.n_snake >= naming.n_camel {
        ("snake_case", naming.n_snake)
    } else {
        ("camelCase", naming.n_camel)
    };
    let n_all = naming.n_snake + naming.n_camel;
    (n_all > 0).then(|| {
        let of = survey.main_language();
        format!("{style} for functions ({n_style} of {n_all} with several words, {of})")
    })
}

const PATTERNS: &[(Family, &str, &str)] = &[
    (Family::Rust, "thiserror", "errors are enums derived with thiserror"),
    (Family::Rust, "anyhow", "errors travel as anyhow::Result"),
    (Family::Rust, "impl IntoResponse for", "errors are turned into HTTP responses in one place"),
    (Family::Rust, "async fn ", "asynchronous functions"),
    (Family::Rust, "tracing::", "logs through tracing"),
    (Family::Rust, "forbid(unsafe_code)", "unsafe code is forbidden"),
    (Family::Python, "HTTPException", "HTTP errors are raised as HTTPException"),
    (Family::Python, "raise ", "errors are raised as exceptions"),
    (Family::Python, " -> ", "functions carry type hints"),
    (Family::Python, "async def ", "asynchronous functions"),
    (Family::Python, "logging.", "logs through the logging module"),
    (Family::Python, "Depends(", "collaborators are injected with Depends"),
    (Family::Script, "next(err", "errors are passed on with next(err)"),
    (Family::Script, "try {", "errors are caught with try/catch"),
    (Family::Script, "async ", "asynchronous functions"),
    (Family::Script, "export default", "modules have a default export"),
    (Family::Script, "require(", "CommonJS modules"),
    (Family::Go, "if err != nil", "errors are returned and checked with if err != nil"),
    (Family::Go, "fmt.Errorf(\"", "errors are wrapped with fmt.Errorf"),
    (Family::Go, "context.Context", "functions take a context.Context"),
    (Family::Java, "@ControllerAdvice", "errors are turned into responses by a controller advice"),
    (Family::Java, "@RestControllerAdvice", "errors become responses in a REST advice"),
    (Family::Java, "@Autowired", "collaborators are injected with @Autowired"),
    (Family::Java, "throw new ", "errors are thrown as exceptions"),
];

/// Patterns of the code, each with the number of files that show it, most frequent first.
pub(super) fn patterns(survey: &Survey) -> Vec<String> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for file in survey.files.iter().filter(|file| file.is_source()) {
        for (index, (family, mark, _)) in PATTERNS.iter().enumerate() {
            if *family == file.family && file.text().contains(mark) {
                *counts.entry(index).or_insert(0) += 1;
            }
        }
    }
    let mut ranked: Vec<(usize, usize)> = counts.into_iter().collect();
    ranked.sort_by_key(|(index, n)| (std::cmp::Reverse(*n), *index));
    let said = ranked.iter().take(8).map(|(index, n)| {
        let files = if *n == 1 { "file" } else { "files" };
        format!("{} ({n} {files})", PATTERNS[*index].2)
    });
    said.collect()
}

/// Where tests live, in one sentence.
pub(super) fn tests_text(survey: &Survey) -> Option<String> {
    let n_files = survey.tests().count();
    let inline = survey
        .files
        .iter()
        .filter(|file| file.family == Family::Rust && file.text().contains("#[cfg(test)]"))
        .count();
    let folders = survey.test_folders();
    let place = folders.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    match (n_files, inline) {
        (0, 0) => None,
        (0, n) => Some(format!("unit tests beside the code, in {n} files")),
        (n, 0) => Some(format!("{n} test files, in {place}")),
        (n, inline) => {
            Some(format!("{n} test files, in {place}; unit tests beside the code in {inline}"))
        }
    }
}
