//! The components of a design: new modules for what is asked, and the existing files that it
//! touches.

use std::collections::BTreeSet;

use specline_aggregates::output::{Component, Requirement};

use super::design::Source;
use super::draft::{overlap, pascal};
use super::groups::{self, Group};
use super::language::{self, Family, Role};
use super::placement::{self, Place};
use super::{feature, grammar, rank, sentence, tokens};

const MAX_EXISTING: usize = 3;

/// Where new code goes for this source.
pub(super) fn place(source: &Source<'_>) -> Place {
    let related: Vec<&str> =
        source.explore.related_to_feature.iter().map(|related| related.path.as_str()).collect();
    let homes = feature::topic(source.request).map_or(&[] as &[&str], |topic| topic.homes);
    placement::of(source.survey, &related, homes, &source.explore.tech_stack)
}

/// The components: new ones first.
pub(super) fn of(source: &Source<'_>, place: &Place) -> Vec<Component> {
    let requirements = &source.requirements.requirements;
    let mut names = BTreeSet::new();
    let mut components = Vec::new();
    match faulty_file(source, place) {
        Some(path) => components.push(mended(source, &path, &mut names)),
        None => components.extend(
            groups::of(requirements).iter().map(|group| core(source, place, group, &mut names)),
        ),
    }
    let cores: Vec<String> = components.iter().map(|c: &Component| c.name.clone()).collect();
    let taken: BTreeSet<String> = components.iter().filter_map(|c| c.path.clone()).collect();
    for path in existing(source, place).into_iter().filter(|path| !taken.contains(path)) {
        components.push(touched(source, &path, &cores, &mut names));
    }
    if source.survey.files.is_empty()
        && let Some(path) = place.entry().filter(|path| !taken.contains(path))
    {
        let name = unique("Entry", &mut names);
        let responsibility = format!("Starts the program and wires {} together", cores.join(", "));
        components.push(Component {
            name,
            kind: "entry point".into(),
            path: Some(path),
            responsibility,
            depends_on: cores.clone(),
            requirements: first_ids(requirements),
        });
    }
    components
}

/// A fault is mended where it is, and not in a new file.
fn faulty_file(source: &Source<'_>, place: &Place) -> Option<String> {
    let is_fault = sentence::has_fault(&feature::text(source.request))
        && source.requirements.requirements.iter().any(|r| r.title.starts_with("Reproduce"));
    let is_prose = place.family == Family::Prose;
    existing(source, place).into_iter().next().filter(|_| is_fault && !is_prose)
}

fn mended(source: &Source<'_>, path: &str, names: &mut BTreeSet<String>) -> Component {
    let mut component = touched(source, path, &[], names);
    let why = component.responsibility.split_once("Chosen because ").map_or("", |(_, why)| why);
    component.responsibility = format!("Existing file, mended. Chosen because {why}");
    let all = source.requirements.requirements.iter();
    component.requirements = all.map(|requirement| requirement.id.clone()).collect();
    component
}

fn first_ids(requirements: &[Requirement]) -> Vec<String> {
    requirements.iter().take(1).map(|requirement| requirement.id.clone()).collect()
}

fn core(
    source: &Source<'_>,
    place: &Place,
    group: &Group,
    names: &mut BTreeSet<String>,
) -> Component {
    let mut words = feature::slug_words(source.request);
    if !group.word.is_empty() && !words.contains(&group.word) {
        words = vec![group.word.clone()];
    }
    let name = unique(&pascal(&words), names);
    let path = free_path(source, place, &words);
    let members = || group.members.iter().map(|i| &source.requirements.requirements[*i]);
    let titles: Vec<String> = members().take(6).map(|r| r.title.clone()).collect();
    let more = group.members.len().saturating_sub(titles.len());
    let rest = if more == 0 { String::new() } else { format!("; and {more} more") };
    let is_known = source.survey.has(&path);
    let verb = if is_known { "Existing file, extended. Carries" } else { "New. Carries" };
    Component {
        name,
        kind: kind_of_new(source, place).into(),
        path: Some(path),
        responsibility: format!("{verb} the rules of: {}{rest}", titles.join("; ")),
        depends_on: Vec::new(),
        requirements: members().map(|requirement| requirement.id.clone()).collect(),
    }
}

/// A new name, or an existing source file of that very name.
fn free_path(source: &Source<'_>, place: &Place, words: &[String]) -> String {
    let path = place.source(source.survey, words);
    let is_wrong = source.survey.index(&path).is_some_and(|index| {
        source.survey.files[index].role != Role::Source && place.family != Family::Prose
    });
    if !is_wrong {
        return path;
    }
    let mut longer = words.to_vec();
    longer.push("feature".into());
    place.source(source.survey, &longer)
}

fn kind_of_new(source: &Source<'_>, place: &Place) -> &'static str {
    let slug = feature::topic(source.request).map_or("", |topic| topic.slug);
    let is_web = source.survey.n_routes() > 0;
    match (place.family, slug) {
        (Family::Prose, _) => "document",
        (_, "rate-limit" | "auth" | "metrics") if is_web => "middleware",
        (_, "theme") => "user interface",
        (_, "health") if is_web => "HTTP handler",
        _ if is_web => "service",
        _ => "module",
    }
}

/// Existing files that the feature most likely changes: source first; documents where there is
/// nothing else.
fn existing(source: &Source<'_>, place: &Place) -> Vec<String> {
    let wanted = if place.family == Family::Prose { Role::Docs } else { Role::Source };
    let paths = source.explore.related_to_feature.iter().map(|related| related.path.clone());
    let mut paths: Vec<String> =
        paths.filter(|path| source.survey.has(path) && language::role(path) == wanted).collect();
    let named = named_files(source);
    if paths.iter().any(|path| named.contains(path)) {
        paths.retain(|path| named.contains(path));
        paths.truncate(MAX_EXISTING);
    } else {
        paths.truncate(1);
    }
    if paths.is_empty() {
        let entries = source.explore.entry_points.iter().cloned();
        paths.extend(entries.filter(|path| source.survey.has(path)).take(1));
    }
    let needs_settings = source
        .requirements
        .requirements
        .iter()
        .any(|requirement| requirement.text.to_lowercase().contains("configur"));
    let settings = source.survey.files.iter().find(|file| {
        let stem = language::stem(&file.path).to_ascii_lowercase();
        file.is_source() && ["config", "settings", "configuration"].contains(&stem.as_str())
    });
    if let Some(file) = settings.filter(|file| needs_settings && !paths.contains(&file.path)) {
        paths.push(file.path.clone());
    }
    paths
}

/// Files that carry a word of the request in their path, a symbol or their routes, and do not only
/// mention it.
fn named_files(source: &Source<'_>) -> BTreeSet<String> {
    let terms = feature::terms(source.request);
    let hits = rank::rank(source.survey, &terms);
    let own = |term: &feature::Term| !term.is_added && term.weight >= 1.0;
    let owned: Vec<&str> = terms.iter().filter(|t| own(t)).map(|t| t.stem.as_str()).collect();
    let speaks_of_http = rank::speaks_of_http(&terms);
    let is_named = |hit: &rank::Hit| {
        let by_path = hit.matches.iter().any(|(term, found)| own(&terms[*term]) && found.in_path);
        let mut symbols = source.survey.symbols[hit.file].iter();
        let is_served = speaks_of_http && !source.survey.routes[hit.file].is_empty();
        by_path || is_served || symbols.any(|symbol| is_about(&symbol.name, &owned))
    };
    let named = hits.iter().filter(|hit| is_named(hit));
    named.map(|hit| source.survey.files[hit.file].path.clone()).collect()
}

/// Whether all that a symbol names, its verb aside, stands in the request.
fn is_about(symbol: &str, owned: &[&str]) -> bool {
    let words = tokens::words(symbol);
    let nouns: Vec<&String> = words.iter().filter(|word| !grammar::is_base_verb(word)).collect();
    let nouns = if nouns.is_empty() { words.iter().collect() } else { nouns };
    !nouns.is_empty() && nouns.iter().all(|word| owned.contains(&tokens::stem(word).as_str()))
}

fn touched(
    source: &Source<'_>,
    path: &str,
    cores: &[String],
    names: &mut BTreeSet<String>,
) -> Component {
    let index = source.survey.index(path);
    let why = source.explore.related_to_feature.iter().find(|related| related.path == path);
    let kind = index.map_or("module", |index| kind_of_existing(source, index));
    let because = match why {
        Some(related) => super::draft::uncapital(&related.why),
        None if kind == "configuration" => "it holds the settings".to_owned(),
        None => "it starts the program, and the new code is wired in there".to_owned(),
    };
    let uses = cores.join(", ");
    Component {
        name: unique(&name_of(path), names),
        kind: kind.into(),
        path: Some(path.to_owned()),
        responsibility: format!("Existing file, changed to use {uses}. Chosen because {because}"),
        depends_on: cores.to_vec(),
        requirements: met_by(source, path, why.map_or("", |related| related.why.as_str())),
    }
}

/// The requirements that speak of the same things as the file, at least the first.
fn met_by(source: &Source<'_>, path: &str, why: &str) -> Vec<String> {
    let about = format!("{} {why}", path.replace('/', " "));
    let requirements = &source.requirements.requirements;
    let mut scored: Vec<(usize, &Requirement)> =
        requirements.iter().map(|r| (overlap(&r.text, &about), r)).collect();
    scored.sort_by_key(|(score, requirement)| (std::cmp::Reverse(*score), requirement.id.clone()));
    let mut ids: Vec<String> = scored
        .iter()
        .filter(|(score, _)| *score > 0)
        .take(4)
        .map(|(_, requirement)| requirement.id.clone())
        .collect();
    if ids.is_empty() {
        ids = first_ids(requirements);
    }
    ids.sort();
    ids
}

fn kind_of_existing(source: &Source<'_>, index: usize) -> &'static str {
    let file = &source.survey.files[index];
    let lower = file.path.to_ascii_lowercase();
    if file.role == Role::Docs {
        "document"
    } else if lower.contains("config") || lower.contains("settings") {
        "configuration"
    } else if lower.contains("middleware") {
        "middleware"
    } else if !source.survey.routes[index].is_empty() {
        "HTTP routes"
    } else if source.explore.entry_points.contains(&file.path) {
        "entry point"
    } else if source.survey.models[index].iter().any(|model| model.is_marked) {
        "data model"
    } else {
        "module"
    }
}

/// From the file's name, with its folder where the name alone says nothing.
fn name_of(path: &str) -> String {
    let stem = language::stem(path);
    let stands_for_folder = ["mod", "index", "__init__", "page", "route"];
    let says_little = ["lib", "main", "app", "routes", "urls", "views", "models", "service"];
    let folder = language::folder(path).rsplit('/').next().unwrap_or_default();
    let folder = if folder == "src" { "" } else { folder };
    let text = if stands_for_folder.contains(&stem) && !folder.is_empty() {
        folder.to_owned()
    } else if says_little.contains(&stem) {
        format!("{folder} {stem}")
    } else {
        stem.to_owned()
    };
    let name = pascal(&tokens::words(&text));
    if name.is_empty() { "Existing".into() } else { name }
}

fn unique(name: &str, names: &mut BTreeSet<String>) -> String {
    let mut candidate = if name.is_empty() { "Feature".to_owned() } else { name.to_owned() };
    let base = candidate.clone();
    let mut number = 2;
    while !names.insert(candidate.to_lowercase()) {
        candidate = format!("{base}{number}");
        number += 1;
    }
    candidate
}
