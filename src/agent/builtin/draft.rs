//! Small pieces of wording that several phases share.

use std::collections::BTreeMap;

use super::feature::Term;
use super::rank::Hit;
use super::survey::Survey;
use super::symbols::Symbol;
use super::tokens;

/// Why a file is related to the request: terms, symbols and routes, with line numbers.
pub(super) fn why(survey: &Survey, terms: &[Term], hit: &Hit) -> String {
    let mut parts = Vec::new();
    let mut order: Vec<usize> = hit.matches.keys().copied().collect();
    order.sort_by(|a, b| {
        let weight = |i: &usize| terms[*i].weight;
        weight(b).total_cmp(&weight(a)).then(a.cmp(b))
    });
    let in_path: Vec<String> = order
        .iter()
        .filter(|term| hit.matches[term].in_path)
        .map(|term| format!("\"{}\"", terms[*term].shown))
        .collect();
    if !in_path.is_empty() {
        parts.push(format!("its path names {}", in_path.join(", ")));
    }
    let symbols = matched_symbols(survey, terms, hit);
    if !symbols.is_empty() {
        let shown: Vec<String> =
            symbols.iter().take(4).map(|s| format!("`{}` (line {})", s.name, s.line)).collect();
        let more = symbols.len().saturating_sub(shown.len());
        let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
        parts.push(format!("defines {}{rest}", shown.join(", ")));
    }
    let in_text: Vec<String> = order
        .iter()
        .filter(|term| !hit.matches[term].lines.is_empty())
        .take(4)
        .map(|term| text_match(&terms[*term], &hit.matches[term]))
        .collect();
    if !in_text.is_empty() {
        parts.push(format!("mentions {}", in_text.join(", ")));
    }
    if let Some(route) = survey.routes[hit.file].first() {
        let more = survey.routes[hit.file].len() - 1;
        let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
        let (method, path, line) = (&route.method, &route.path, route.line);
        parts.push(format!("serves {method} {path} (line {line}){rest}"));
    }
    let mut text = parts.join("; ");
    if let Some(first) = text.get(..1) {
        let upper = first.to_uppercase();
        text.replace_range(..1, &upper);
    }
    text
}

fn text_match(term: &Term, found: &super::rank::Match) -> String {
    let lines: Vec<String> = found.lines.iter().map(ToString::to_string).collect();
    let label = if lines.len() == 1 { "line" } else { "lines" };
    let more = if found.n_text + found.n_quoted > found.lines.len() { ", …" } else { "" };
    format!("\"{}\" ({label} {}{more})", term.shown, lines.join(", "))
}

/// The symbols that match, those that say most of the request first.
fn matched_symbols<'a>(survey: &'a Survey, terms: &[Term], hit: &Hit) -> Vec<&'a Symbol> {
    let mut weights: BTreeMap<usize, f64> = BTreeMap::new();
    for (term, found) in &hit.matches {
        for symbol in &found.symbols {
            *weights.entry(*symbol).or_insert(0.0) += terms[*term].weight;
        }
    }
    let all = &survey.symbols[hit.file];
    let mut symbols: Vec<(f64, &Symbol)> =
        weights.into_iter().map(|(index, weight)| (weight, &all[index])).collect();
    symbols.sort_by(|(a, x), (b, y)| {
        b.total_cmp(a).then((!x.is_public, x.line).cmp(&(!y.is_public, y.line)))
    });
    symbols.into_iter().map(|(_, symbol)| symbol).collect()
}

/// `text` with its first letter in upper case.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// `text` with its first letter in lower case, unless its first word is an acronym or a name.
pub(super) fn uncapital(text: &str) -> String {
    let first = text.split_whitespace().next().unwrap_or_default();
    let is_plain = first.chars().skip(1).all(|c| !c.is_uppercase()) && first != "I";
    let mut chars = text.chars();
    match chars.next() {
        Some(c) if is_plain => c.to_lowercase().chain(chars).collect(),
        Some(_) | None => text.to_owned(),
    }
}

/// `PascalCase` of words.
pub(super) fn pascal(words: &[String]) -> String {
    words.iter().map(|word| capital(word)).collect()
}

/// At most `n` characters, cut at a word.
pub(super) fn shorten(text: &str, n: usize) -> String {
    if text.chars().count() <= n {
        return text.to_owned();
    }
    let cut: String = text.chars().take(n).collect();
    let end = cut.rfind(' ').filter(|end| *end > n / 2).unwrap_or(cut.len());
    cut[..end].trim_end_matches([',', ';', ':', '-', ' ']).to_owned()
}

/// How many stems two texts share.
pub(super) fn overlap(a: &str, b: &str) -> usize {
    let of_b = tokens::stems(b);
    let mut of_a = tokens::stems(a);
    of_a.sort();
    of_a.dedup();
    of_a.iter().filter(|stem| of_b.contains(stem)).count()
}
