//! Relevance: BM25 over the words of identifiers, paths, symbols and text. A match in a path or in
//! a symbol's name counts for more than one in the text.

use std::collections::{BTreeMap, HashMap};

use super::feature::Term;
use super::language::{Family, Role};
use super::survey::Survey;
use super::tokens;
use super::walk::File;

const K1: f64 = 1.2;
const B: f64 = 0.75;
const PATH_WEIGHT: f64 = 6.0;
const SYMBOL_WEIGHT: f64 = 3.0;
const QUOTED_WEIGHT: f64 = 0.3;
/// What the request says of an API is done where routes are declared.
const ROUTES_FACTOR: f64 = 1.6;

/// How one file answers the request.
#[derive(Debug, Clone)]
pub(super) struct Hit {
    /// Index into the survey's files.
    pub(super) file: usize,
    pub(super) score: f64,
    /// By term: how often it stands in the file, and the first lines where.
    pub(super) matches: BTreeMap<usize, Match>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Match {
    pub(super) n_text: usize,
    /// Within string literals, which name things less often than they talk of them.
    pub(super) n_quoted: usize,
    pub(super) lines: Vec<usize>,
    pub(super) in_path: bool,
    pub(super) symbols: Vec<usize>,
}

impl Match {
    fn weight(&self) -> f64 {
        let text = u32::try_from(self.n_text.min(1000)).map_or(0.0, f64::from);
        let quoted = u32::try_from(self.n_quoted.min(1000)).map_or(0.0, f64::from);
        let symbols = u32::try_from(self.symbols.len().min(20)).map_or(0.0, f64::from);
        let path = if self.in_path { PATH_WEIGHT } else { 0.0 };
        text + QUOTED_WEIGHT * quoted + path + SYMBOL_WEIGHT * symbols
    }
}

/// The files that match, best first.
pub(super) fn rank(survey: &Survey, terms: &[Term]) -> Vec<Hit> {
    let index: HashMap<&str, usize> =
        terms.iter().enumerate().map(|(i, term)| (term.stem.as_str(), i)).collect();
    let mut hits = Vec::new();
    let mut lengths = Vec::new();
    let mut n_with: Vec<u32> = vec![0; terms.len()];
    let mut n_files = 0_u32;
    for (number, file) in survey.files.iter().enumerate() {
        if file.role == Role::Passive || file.family == Family::Plain {
            continue;
        }
        n_files += 1;
        let (matches, length) = scan(survey, number, file, &index);
        for term in matches.keys() {
            n_with[*term] += 1;
        }
        if !matches.is_empty() {
            hits.push(Hit { file: number, score: 0.0, matches });
        }
        lengths.push((number, length));
    }
    score(survey, terms, &mut hits, &Corpus::of(n_files, n_with, &lengths));
    hits.retain(|hit| hit.score > 0.0);
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.file.cmp(&b.file)));
    hits
}

/// Whether the request, or its topic, is about what is served over HTTP.
pub(super) fn speaks_of_http(terms: &[Term]) -> bool {
    let web = ["api", "rout", "router", "endpoint", "http", "request"];
    terms.iter().any(|term| web.contains(&term.stem.as_str()))
}

struct Corpus {
    n_files: f64,
    n_with: Vec<u32>,
    mean_length: f64,
    lengths: HashMap<usize, f64>,
}

impl Corpus {
    fn of(n_files: u32, n_with: Vec<u32>, lengths: &[(usize, u32)]) -> Self {
        let total: f64 = lengths.iter().map(|(_, length)| f64::from(*length)).sum();
        let n_files = f64::from(n_files.max(1));
        let mean_length = (total / n_files).max(1.0);
        let lengths = lengths.iter().map(|(file, length)| (*file, f64::from(*length))).collect();
        Self { n_files, n_with, mean_length, lengths }
    }

    fn idf(&self, term: usize) -> f64 {
        let with = f64::from(self.n_with[term]);
        (1.0 + (self.n_files - with + 0.5) / (with + 0.5)).ln()
    }
}

fn score(survey: &Survey, terms: &[Term], hits: &mut [Hit], corpus: &Corpus) {
    let speaks_of_http = speaks_of_http(terms);
    for hit in hits {
        let file = &survey.files[hit.file];
        let length = corpus.lengths.get(&hit.file).copied().unwrap_or(corpus.mean_length);
        let norm = K1 * (1.0 - B + B * length / corpus.mean_length);
        let sum: f64 = hit
            .matches
            .iter()
            .map(|(term, found)| {
                let tf = found.weight();
                terms[*term].weight * corpus.idf(*term) * tf * (K1 + 1.0) / (tf + norm)
            })
            .sum();
        // A file that matches only words we added ourselves is a guess.
        let is_guess = hit.matches.keys().all(|term| terms[*term].is_added);
        let guess = if is_guess { 0.7 } else { 1.0 };
        let is_served = speaks_of_http && !survey.routes[hit.file].is_empty();
        let served = if is_served { ROUTES_FACTOR } else { 1.0 };
        hit.score = sum * guess * served * role_factor(file) * churn_factor(survey, file);
    }
}

fn role_factor(file: &File) -> f64 {
    let is_aside = ["examples/", "benches/", "bench/", "scripts/", "migrations/"]
        .iter()
        .any(|folder| file.path.starts_with(folder) || file.path.contains(&format!("/{folder}")));
    let factor = match file.role {
        Role::Source => 1.0,
        Role::Test => 0.5,
        Role::Docs => 0.4,
        Role::Config => 0.6,
        Role::Passive => 0.0,
    };
    if is_aside { factor * 0.5 } else { factor }
}

/// A file that changes often is a little more likely to change again.
fn churn_factor(survey: &Survey, file: &File) -> f64 {
    let n = survey.churn.get(&file.path).copied().unwrap_or(0);
    1.0 + 0.05 * f64::from(n.min(20)).ln_1p()
}

fn scan(
    survey: &Survey,
    number: usize,
    file: &File,
    index: &HashMap<&str, usize>,
) -> (BTreeMap<usize, Match>, u32) {
    let mut matches: BTreeMap<usize, Match> = BTreeMap::new();
    let mut length = 0_u32;
    let firsts: Vec<[u8; 2]> = index
        .keys()
        .filter(|stem| stem.len() >= 2)
        .map(|stem| [stem.as_bytes()[0], stem.as_bytes()[1]])
        .collect();
    for (line_index, line) in file.code().lines().enumerate() {
        for_each_word(line, |word, is_quoted| {
            length = length.saturating_add(1);
            let bytes = word.as_bytes();
            let low = [bytes[0].to_ascii_lowercase(), bytes[1].to_ascii_lowercase()];
            if !firsts.contains(&low) {
                return;
            }
            let stem = tokens::stem(&word.to_lowercase());
            if let Some(term) = index.get(stem.as_str()) {
                let found = matches.entry(*term).or_default();
                let is_quoted = is_quoted && file.family.is_code();
                found.n_quoted += usize::from(is_quoted);
                found.n_text += usize::from(!is_quoted);
                if found.lines.len() < 3 && found.lines.last() != Some(&(line_index + 1)) {
                    found.lines.push(line_index + 1);
                }
            }
        });
    }
    for stem in tokens::stems(&file.path) {
        if let Some(term) = index.get(stem.as_str()) {
            matches.entry(*term).or_default().in_path = true;
        }
    }
    for (at, symbol) in survey.symbols[number].iter().enumerate() {
        for stem in tokens::stems(&symbol.name) {
            if let Some(term) = index.get(stem.as_str()) {
                matches.entry(*term).or_default().symbols.push(at);
            }
        }
    }
    (matches, length)
}

/// Words of at least two bytes, split at case changes, without allocating, and whether each stands
/// within double quotes.
fn for_each_word(line: &str, mut act: impl FnMut(&str, bool)) {
    for (number, part) in line.split('"').enumerate() {
        let is_quoted = number % 2 == 1;
        for run in part.split(|c: char| !c.is_alphanumeric()) {
            for_each_hump(run, |word| act(word, is_quoted));
        }
    }
}

fn for_each_hump(run: &str, mut act: impl FnMut(&str)) {
    let bytes = run.as_bytes();
    let mut start = 0;
    for at in 1..bytes.len() {
        let breaks = bytes[at].is_ascii_uppercase()
            && (!bytes[at - 1].is_ascii_uppercase()
                || bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase));
        if breaks {
            if at - start >= 2 {
                act(&run[start..at]);
            }
            start = at;
        }
    }
    if bytes.len() - start >= 2 {
        act(&run[start..]);
    }
}
