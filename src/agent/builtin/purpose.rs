//! What a file is for: its own leading comment, else what it defines.

use super::language::{self, Family, Role};
use super::survey::Survey;
use super::symbols::Kind;

const MAX_CHARS: usize = 160;

/// One sentence on the file with this index.
pub(super) fn of(survey: &Survey, index: usize) -> String {
    let file = &survey.files[index];
    let name = language::file_name(&file.path);
    if let Some(manifest) = survey.manifests.iter().find(|m| m.path == file.path) {
        let named = manifest.name.as_ref().map_or(String::new(), |name| format!(" `{name}`"));
        let n = manifest.dependencies.len();
        let dependencies = if n == 0 { String::new() } else { format!(", {n} dependencies") };
        return format!("Manifest: {}{named}{dependencies}", manifest.kind);
    }
    if let Some(comment) = leading_comment(file.family, file.text()) {
        return comment;
    }
    let symbols = &survey.symbols[index];
    let wanted = |kind: Kind| {
        let all: Vec<&str> = symbols
            .iter()
            .filter(|s| s.kind == kind && (s.is_public || symbols.len() < 4))
            .map(|s| s.name.as_str())
            .collect();
        all
    };
    let mut names = wanted(Kind::Type);
    names.extend(wanted(Kind::Function));
    names.dedup();
    let n_routes = survey.routes[index].len();
    let routes = match n_routes {
        0 => String::new(),
        1 => " with 1 HTTP route".into(),
        n => format!(" with {n} HTTP routes"),
    };
    let kind = match file.role {
        Role::Test => format!("{} tests", file.language),
        Role::Source => format!("{} source{routes}", file.language),
        Role::Docs => format!("Document `{name}`"),
        Role::Config | Role::Passive => format!("Configuration or data `{name}`"),
    };
    if names.is_empty() {
        let n_lines = file.text().lines().count();
        let lines = if n_lines == 1 { "line" } else { "lines" };
        return format!("{kind}, {n_lines} {lines}");
    }
    let shown: Vec<String> = names.iter().take(5).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(shown.len());
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{kind}: defines {}{rest}", shown.join(", "))
}

/// The first sentence of the comment that the file opens with.
pub(super) fn leading_comment(family: Family, text: &str) -> Option<String> {
    let mut said = String::new();
    let mut is_inside = false;
    for line in text.lines().take(30) {
        let line = line.trim();
        let part = match family {
            Family::Rust => line.strip_prefix("//!"),
            Family::Python if is_inside || line.starts_with("\"\"\"") => {
                is_inside = true;
                Some(line.trim_start_matches("\"\"\""))
            }
            Family::Go => line.strip_prefix("// Package").map(|_| &line[3..]),
            Family::Script | Family::Java if is_inside || line.starts_with("/**") => {
                is_inside = true;
                Some(line.trim_start_matches(['/', '*', ' ']))
            }
            Family::Prose => Some(line.trim_start_matches('#')),
            Family::Python | Family::Script | Family::Java | Family::Other | Family::Plain => None,
        };
        let Some(part) = part else {
            if said.is_empty() && !is_code_start(line) {
                continue;
            }
            break;
        };
        let ends = part.ends_with("\"\"\"") || part.ends_with("*/");
        let part = part.trim_end_matches("\"\"\"").trim_end_matches("*/").trim();
        if part.is_empty() && !said.is_empty() {
            break;
        }
        let is_noise = part.starts_with(['<', '!', '[', '@', '=']) || part.contains("Copyright");
        if !is_noise && !part.is_empty() {
            said.push(' ');
            said.push_str(part);
        }
        if family == Family::Prose && !said.is_empty() || ends && !said.is_empty() {
            break;
        }
    }
    let said = said.trim();
    let sentence = said.find(". ").map_or(said, |end| &said[..=end]);
    let is_worth = sentence.split_whitespace().count() >= 2 || family == Family::Prose;
    (is_worth && sentence.len() > 4).then(|| shorten(sentence))
}

/// A comment further down speaks of an item, not of the file.
fn is_code_start(line: &str) -> bool {
    !(line.is_empty() || line.starts_with("//") || line.starts_with('#') || line.starts_with("/*"))
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= MAX_CHARS {
        return text.to_owned();
    }
    let cut: String = text.chars().take(MAX_CHARS).collect();
    let end = cut.rfind(' ').unwrap_or(cut.len());
    format!("{}…", &cut[..end])
}
