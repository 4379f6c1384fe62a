//! Drafts the output of EXPLORE from a survey.

use std::collections::{BTreeMap, BTreeSet};

use specline_aggregates::output::{
    Conventions, ExistingModel, Explore, KeyFile, Question, Related, Tests,
};

use super::feature;
use super::language::{self, Family, Role};
use super::rank::{self, Hit};
use super::stack::Class;
use super::survey::Survey;
use super::{NOTICE, Request, conventions, draft, purpose};

const MAX_RELATED: usize = 12;
const MAX_KEY: usize = 20;
const MAX_MODELS: usize = 20;
const MAX_EXPLORED: usize = 400;

/// The draft.
pub(super) fn of(survey: &Survey, request: &Request<'_>) -> Explore {
    let terms = feature::terms(request);
    let hits = rank::rank(survey, &terms);
    let related = related(survey, &terms, &hits);
    let key_files = key_files(survey, &related);
    let existing_models = existing_models(survey, &hits);
    Explore {
        project_type: project_type(survey),
        summary: summary(survey),
        tech_stack: tech_stack(survey, request),
        structure: structure(survey),
        existing_models,
        entry_points: survey.entry_points(),
        conventions: Conventions {
            naming: conventions::naming_text(survey),
            testing: conventions::tests_text(survey),
            patterns: patterns(survey),
        },
        tests: Tests {
            framework: survey.test_framework(),
            paths: survey.tests().take(40).map(|file| file.path.clone()).collect(),
        },
        explored_files: explored(survey, &key_files, &related),
        questions: questions(survey, request, &related),
        key_files,
        related_to_feature: related,
    }
}

/// Such as "Rust web service (axum)".
pub(super) fn project_type(survey: &Survey) -> String {
    let language = survey.main_language();
    if survey.files.is_empty() {
        return "Empty repository (greenfield)".into();
    }
    if language.is_empty() {
        return "Documents, without source code".into();
    }
    let n_packages = survey.manifests.iter().filter(|m| m.name.is_some()).count();
    let kind = if !survey.labels(Class::Web).is_empty() || is_served(survey) {
        "web service"
    } else if !survey.labels(Class::Ui).is_empty() {
        "web front end"
    } else if !survey.labels(Class::Cli).is_empty() {
        "command-line program"
    } else if survey.entry_points().iter().any(|path| path.contains("main")) {
        "program"
    } else {
        "library"
    };
    let frameworks: Vec<&str> = [Class::Web, Class::Ui]
        .iter()
        .flat_map(|class| survey.labels(*class).iter().copied())
        .collect();
    let with =
        if frameworks.is_empty() { String::new() } else { format!(" ({})", frameworks.join(", ")) };
    let many = if n_packages > 1 { format!(", {n_packages} packages") } else { String::new() };
    format!("{language} {kind}{with}{many}")
}

/// Routes in a program, and not only in the examples of a library.
fn is_served(survey: &Survey) -> bool {
    let entries = survey.entry_points();
    survey.n_routes() > 0 && entries.iter().any(|path| language::stem(path) != "lib")
}

fn summary(survey: &Survey) -> String {
    let mut parts = vec![NOTICE.to_owned()];
    if survey.files.is_empty() {
        parts.push("The repository holds no files yet: everything is to be made.".into());
        return parts.join(" ");
    }
    let readme = survey
        .files
        .iter()
        .find(|f| f.path.to_ascii_lowercase().starts_with("readme") && f.text.is_some());
    if let Some(about) = readme.and_then(|file| readme_sentence(file.text())) {
        parts.push(format!("Its README says: {about}"));
    }
    let languages: Vec<String> = survey
        .languages()
        .iter()
        .take(4)
        .map(|(name, bytes, n)| format!("{name} ({n} files, {} KiB)", bytes.div_ceil(1024)))
        .collect();
    let n_files = survey.files.len();
    if languages.is_empty() {
        parts.push(format!("{n_files} files, none of them source code."));
    } else {
        parts.push(format!("{n_files} files: {}.", languages.join(", ")));
    }
    let n_models: usize = survey.models.iter().map(Vec::len).sum();
    let n_symbols: usize = survey.symbols.iter().map(Vec::len).sum();
    parts.push(format!(
        "Found {n_symbols} types and functions, {n_models} types with fields, {} HTTP routes and \
         {} test files.",
        survey.n_routes(),
        survey.tests().count(),
    ));
    if let Some((path, n)) = hottest(survey) {
        parts.push(format!("Changed most often lately: {path} ({n} commits)."));
    }
    for bound in &survey.bounds_hit {
        parts.push(format!("Bound hit: {bound}."));
    }
    parts.join(" ")
}

fn hottest(survey: &Survey) -> Option<(&str, u32)> {
    let sources = survey.files.iter().filter(|file| file.is_source());
    let counted = sources.filter_map(|file| Some((file, *survey.churn.get(&file.path)?)));
    let most = counted.max_by(|(a, n), (b, m)| n.cmp(m).then(b.path.cmp(&a.path)))?;
    (most.1 > 1).then_some((most.0.path.as_str(), most.1))
}

/// The first sentence of prose in a README.
fn readme_sentence(text: &str) -> Option<String> {
    let prose = super::markdown::prose(text);
    let found = prose.lines().map(str::trim).find(|line| {
        line.split_whitespace().count() >= 5 && line.starts_with(char::is_alphabetic)
    })?;
    let sentence = found.find(". ").map_or(found, |end| &found[..=end]);
    let short: String = sentence.chars().take(200).collect();
    Some(if short.ends_with('.') { short } else { format!("{short}.") })
}

fn tech_stack(survey: &Survey, request: &Request<'_>) -> Vec<String> {
    let mut stack: Vec<String> = survey
        .languages()
        .iter()
        .filter(|(_, bytes, _)| *bytes > 0)
        .take(5)
        .map(|(name, _, _)| (*name).to_owned())
        .collect();
    for labels in survey.stack.values() {
        stack.extend(labels.iter().map(|label| (*label).to_owned()));
    }
    for (kind, label) in [("container image", "Docker"), ("continuous integration", "CI")] {
        if survey.manifests.iter().any(|m| m.kind == kind) {
            stack.push(label.into());
        }
    }
    if stack.is_empty() && !survey.files.is_empty() {
        stack.push("Markdown".into());
    }
    if stack.is_empty() {
        let (language, is_named) = super::placement::greenfield_language(request);
        let how = if is_named { "named in the request" } else { "proposed: nothing is chosen yet" };
        stack.push(format!("{language} ({how})"));
    }
    let mut seen = BTreeSet::new();
    stack.retain(|item| seen.insert(item.clone()));
    stack
}

/// Folders of the first two levels, and what they hold.
fn structure(survey: &Survey) -> BTreeMap<String, String> {
    let mut folders: BTreeMap<String, BTreeMap<(Role, &str), usize>> = BTreeMap::new();
    for file in &survey.files {
        let parts: Vec<&str> = language::folder(&file.path).split('/').collect();
        for depth in 1..=parts.len().min(2) {
            let folder = parts[..depth].join("/");
            if !folder.is_empty() {
                let kinds = folders.entry(folder).or_default();
                *kinds.entry((file.role, file.language)).or_insert(0) += 1;
            }
        }
    }
    let mut ranked: Vec<_> = folders.into_iter().collect();
    ranked.sort_by_key(|(folder, kinds)| {
        (folder.matches('/').count(), std::cmp::Reverse(kinds.values().sum::<usize>()))
    });
    ranked.truncate(30);
    ranked.into_iter().map(|(folder, kinds)| (folder, contents(&kinds))).collect()
}

fn contents(kinds: &BTreeMap<(Role, &str), usize>) -> String {
    let mut ranked: Vec<(&(Role, &str), &usize)> = kinds.iter().collect();
    ranked.sort_by_key(|(key, n)| (std::cmp::Reverse(**n), **key));
    let parts: Vec<String> = ranked
        .iter()
        .take(3)
        .map(|((role, language), n)| {
            let files = if **n == 1 { "file" } else { "files" };
            match role {
                Role::Test => format!("{n} {language} test {files}"),
                Role::Source => format!("{n} {language} source {files}"),
                Role::Docs => format!("{n} {language} {files}"),
                Role::Config => format!("{n} configuration or data {files}"),
                Role::Passive => format!("{n} generated, locked or vendored {files}"),
            }
        })
        .collect();
    parts.join(", ")
}

fn related(survey: &Survey, terms: &[feature::Term], hits: &[Hit]) -> Vec<Related> {
    let top = hits.first().map_or(0.0, |hit| hit.score);
    let strong = hits.iter().take_while(|hit| hit.score >= top * 0.2);
    let mut related: Vec<Related> = Vec::new();
    let mut n_beside = 0;
    for hit in strong {
        let file = &survey.files[hit.file];
        n_beside += usize::from(!file.is_source());
        let is_enough = !file.is_source() && n_beside > MAX_RELATED / 3;
        if !is_enough {
            related.push(Related { path: file.path.clone(), why: draft::why(survey, terms, hit) });
        }
        if related.len() == MAX_RELATED {
            break;
        }
    }
    if related.is_empty() { starting_points(survey) } else { related }
}

/// Where a person would start to look when no file matches.
fn starting_points(survey: &Survey) -> Vec<Related> {
    let mut paths = survey.entry_points();
    paths.extend(central(survey));
    paths.extend(survey.files.iter().filter(|f| f.role == Role::Docs).map(|f| f.path.clone()));
    let mut seen = BTreeSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    let why = "No file matches the words of the request; this is where reading would start";
    paths.into_iter().take(3).map(|path| Related { path, why: why.into() }).collect()
}

fn key_files(survey: &Survey, related: &[Related]) -> Vec<KeyFile> {
    let mut paths: Vec<String> = Vec::new();
    let root = |file: &&super::walk::File| !file.path.contains('/');
    let readme = survey
        .files
        .iter()
        .filter(root)
        .find(|f| f.path.to_ascii_lowercase().starts_with("readme"));
    paths.extend(readme.map(|file| file.path.clone()));
    let named = survey.manifests.iter().filter(|m| m.name.is_some() || !m.dependencies.is_empty());
    paths.extend(named.take(5).map(|manifest| manifest.path.clone()));
    paths.extend(survey.entry_points().into_iter().take(5));
    paths.extend(related.iter().take(6).map(|related| related.path.clone()));
    paths.extend(central(survey).into_iter().take(6));
    let others = survey.files.iter().filter(|file| file.role != Role::Passive);
    paths.extend(others.take(5).map(|file| file.path.clone()));
    let mut seen = BTreeSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    paths.truncate(MAX_KEY);
    paths
        .into_iter()
        .filter_map(|path| {
            let purpose = purpose::of(survey, survey.index(&path)?);
            Some(KeyFile { path, purpose })
        })
        .collect()
}

/// Source files that change most, or define most.
fn central(survey: &Survey) -> Vec<String> {
    let mut ranked: Vec<(usize, &str)> = survey
        .files
        .iter()
        .enumerate()
        .filter(|(_, file)| file.is_source())
        .map(|(index, file)| {
            let churn = survey.churn.get(&file.path).copied().unwrap_or(0) as usize;
            let n_public = survey.symbols[index].iter().filter(|s| s.is_public).count();
            (churn * 3 + n_public.min(30) + 2 * survey.routes[index].len(), file.path.as_str())
        })
        .collect();
    ranked.sort_by_key(|(score, path)| (std::cmp::Reverse(*score), *path));
    ranked.into_iter().map(|(_, path)| path.to_owned()).collect()
}

fn existing_models(survey: &Survey, hits: &[Hit]) -> Vec<ExistingModel> {
    let places: BTreeMap<usize, usize> =
        hits.iter().enumerate().map(|(place, hit)| (hit.file, place)).collect();
    let mut ranked = Vec::new();
    for (index, models) in survey.models.iter().enumerate() {
        let place = places.get(&index).copied().unwrap_or(usize::MAX).min(50);
        for model in models {
            let family = survey.files[index].family;
            let is_known = model.is_marked || family != Family::Other;
            if is_known {
                ranked.push((!model.is_marked, place, index, model));
            }
        }
    }
    ranked.sort_by_key(|(is_unmarked, place, index, model)| {
        (*is_unmarked, *place, *index, model.line)
    });
    ranked
        .into_iter()
        .take(MAX_MODELS)
        .map(|(_, _, index, model)| ExistingModel {
            name: model.name.clone(),
            path: survey.files[index].path.clone(),
            fields: model.fields.clone(),
        })
        .collect()
}

fn patterns(survey: &Survey) -> Vec<String> {
    let mut patterns = conventions::patterns(survey);
    if patterns.is_empty() && !survey.files.is_empty() {
        patterns.push("No error handling or naming pattern stands out in the files read".into());
    }
    if survey.files.is_empty() {
        patterns.push("None yet: the repository is empty".into());
    }
    patterns
}

fn explored(survey: &Survey, key_files: &[KeyFile], related: &[Related]) -> Vec<String> {
    let mut paths: Vec<String> = key_files.iter().map(|file| file.path.clone()).collect();
    paths.extend(related.iter().map(|file| file.path.clone()));
    let read = survey.files.iter().filter(|file| file.text.is_some());
    paths.extend(read.map(|file| file.path.clone()));
    let mut seen = BTreeSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    paths.truncate(MAX_EXPLORED);
    paths
}

fn questions(survey: &Survey, request: &Request<'_>, related: &[Related]) -> Vec<Question> {
    let ask = |category: &str, question: String| Question { category: category.into(), question };
    let mut questions = Vec::new();
    let name = feature::name(request);
    if survey.files.is_empty() {
        let (language, is_named) = super::placement::greenfield_language(request);
        if !is_named {
            let question =
                format!("Which language is this to be written in? {language} is assumed.");
            questions.push(ask("stack", question));
        }
    } else if related.iter().all(|r| r.why.starts_with("No file matches")) {
        let question =
            format!("Which part of the code does \"{name}\" belong to? No file matches.");
        questions.push(ask("scope", question));
    }
    if let Some(topic) = feature::topic(request) {
        questions.extend(topic.questions.iter().map(|q| ask("behaviour", (*q).into())));
    }
    if survey.tests().next().is_none() && !survey.main_language().is_empty() {
        let question = "No tests were found: which test tool is to be used?".into();
        questions.push(ask("testing", question));
    }
    questions
}
