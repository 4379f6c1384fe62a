//! Drafts the output of DESIGN.

mod interface;

use specline_aggregates::Finding;
use specline_aggregates::output::{Category, Component, Decision, Design, Explore, Requirements};

use super::language::Family;
use super::placement::{self, Place};
use super::stack::Class;
use super::survey::Survey;
use super::{NOTICE, Request, components, diagram, feature, feedback};

/// What a design is drafted from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) survey: &'a Survey,
    pub(super) request: &'a Request<'a>,
    pub(super) explore: &'a Explore,
    pub(super) requirements: &'a Requirements,
}

/// The draft.
pub(super) fn draft(source: &Source<'_>, findings: &[Finding]) -> Design {
    let place = components::place(source);
    let components = components::of(source, &place);
    Design {
        overview: overview(source, &components),
        data_models: interface::models(source, &components),
        api_endpoints: interface::endpoints(source),
        error_handling: error_handling(source, &place),
        security: security(source),
        testing_strategy: testing(source, &components),
        decisions: decisions(source, &place, &components, findings),
        diagram: Some(diagram::of(&components)),
        components,
    }
}

fn overview(source: &Source<'_>, components: &[Component]) -> String {
    let name = &source.requirements.feature_name;
    let is_known = |c: &&Component| c.path.as_ref().is_some_and(|path| source.survey.has(path));
    let say = |c: &Component| {
        let path = c.path.as_deref().unwrap_or("no file yet");
        format!("{} ({path})", c.name)
    };
    let new: Vec<String> = components.iter().filter(|c| !is_known(c)).map(say).collect();
    let changed: Vec<String> = components.iter().filter(is_known).map(say).collect();
    let mut parts = vec![NOTICE.to_owned()];
    let n = source.requirements.requirements.len();
    parts.push(format!(
        "\"{name}\" is {n} requirements on this code base: {}.",
        source.explore.project_type
    ));
    if !new.is_empty() {
        parts.push(format!("New: {}.", new.join(", ")));
    }
    if !changed.is_empty() {
        parts.push(format!("Changed: {}.", changed.join(", ")));
    }
    parts.push(
        "The new code holds the rules and knows nothing of its callers; the changed files call \
         it. So each rule is tested by itself, and the present behaviour stays where it is."
            .into(),
    );
    parts.join(" ")
}

fn error_handling(source: &Source<'_>, place: &Place) -> String {
    let by_language = match place.family {
        Family::Rust => {
            "Functions return Result with an error type whose cases name the causes; \
                         nothing panics on input."
        }
        Family::Python => {
            "Causes are raised as exceptions of their own and caught once, at the \
                           outermost layer."
        }
        Family::Script => {
            "Rejected promises and thrown errors reach one error handler; none is \
                           swallowed."
        }
        Family::Go => "Functions return an error as their last value, wrapped with what was tried.",
        Family::Java => "Causes are exceptions of their own, turned into answers in one place.",
        Family::Other => "Each cause has one error of its own, reported once, where it is handled.",
        Family::Prose | Family::Plain => {
            "A wrong statement or a dead link is found by review and \
                                          by a link check before it is published."
        }
    };
    let mut parts = vec![by_language.to_owned()];
    let known: Vec<&String> = source
        .explore
        .conventions
        .patterns
        .iter()
        .filter(|pattern| pattern.contains("error"))
        .take(2)
        .collect();
    if !known.is_empty() {
        let known: Vec<&str> = known.iter().map(|pattern| pattern.as_str()).collect();
        parts.push(format!("As the code base does: {}.", known.join("; ")));
    }
    for requirement in &source.requirements.requirements {
        let is_failure = requirement.text.starts_with("IF ");
        if is_failure && parts.len() < 6 {
            parts.push(format!("{}: {}", requirement.id, requirement.text));
        }
    }
    parts.join(" ")
}

fn security(source: &Source<'_>) -> String {
    let mut parts = Vec::new();
    for requirement in &source.requirements.requirements {
        if requirement.category == Category::Security && parts.len() < 5 {
            parts.push(format!("{}: {}", requirement.id, requirement.text));
        }
    }
    if source.survey.n_routes() > 0 {
        parts.push(
            "Every value that arrives over HTTP is checked for type, length and range before it \
             is used; the checks on who may call stay as they are on the routes touched."
                .into(),
        );
    }
    let stores = source.survey.labels(Class::Store);
    if !stores.is_empty() {
        parts.push(format!(
            "Values reach {} only as bound parameters, never as parts of a query's text.",
            stores.join(", ")
        ));
    }
    parts.push("No secret and no personal value is written to logs or messages.".into());
    parts.join(" ")
}

fn testing(source: &Source<'_>, components: &[Component]) -> String {
    let framework = source.explore.tests.framework.as_deref();
    let mut parts = vec![match framework {
        Some(framework) => format!("Tests run with {framework}."),
        None => "No test framework was found: the first task chooses one.".into(),
    }];
    if let Some(habit) = &source.explore.conventions.testing {
        parts.push(format!("The repository keeps {habit}."));
    }
    let places: Vec<String> = components
        .iter()
        .filter(|c| c.depends_on.is_empty())
        .filter_map(|c| {
            let test = placement::test_of(source.survey, c.path.as_ref()?)?;
            Some(format!("{test} for {}", c.name))
        })
        .collect();
    if !places.is_empty() {
        parts.push(format!("New tests: {}.", places.join(", ")));
    }
    let n: usize = source.requirements.requirements.iter().map(|r| r.criteria.len()).sum();
    parts.push(format!(
        "Each of the {n} acceptance criteria becomes at least one test that carries its \
         requirement's id; the limits are tested at, below and above their figures."
    ));
    parts.join(" ")
}

fn decisions(
    source: &Source<'_>,
    place: &Place,
    components: &[Component],
    findings: &[Finding],
) -> Vec<Decision> {
    let mut decisions = Vec::new();
    if let Some(core) = components.first() {
        let path = core.path.clone().unwrap_or_default();
        let beside = components.iter().find(|c| !c.depends_on.is_empty());
        let other = beside.and_then(|c| c.path.clone());
        let other = other.unwrap_or_else(|| "one file with everything in it".into());
        let (choice, why) = if source.survey.has(&path) {
            (format!("Extend {path}"), "the file carries this name and this duty already")
        } else {
            (
                format!("Put the new rules in {path}"),
                "the rules can be tested by themselves, and the files that call them change least",
            )
        };
        decisions.push(Decision {
            choice,
            alternatives: vec![
                format!("Write the rules into {other}"),
                "Take a library for it, if one fits the stack".into(),
            ],
            why: why.into(),
        });
    }
    if source.survey.files.is_empty() {
        let language = source.explore.tech_stack.first().cloned().unwrap_or_default();
        let manifest = placement::new_manifest(place.family).unwrap_or("a manifest");
        decisions.push(Decision {
            choice: format!("Start in {language} with {manifest}"),
            alternatives: vec!["Rust".into(), "TypeScript".into(), "Go".into()],
            why: "the repository is empty; a person may choose otherwise before the work starts"
                .into(),
        });
    }
    let slug = feature::topic(source.request).map_or("", |topic| topic.slug);
    decisions.extend(interface::topic_decision(slug));
    for remark in feedback::remarks(findings, "design") {
        decisions.push(Decision {
            choice: format!("Take up the remark: {}", super::draft::shorten(remark, 300)),
            alternatives: vec!["Leave the design as it was".into()],
            why: "it was said in review of the earlier draft".into(),
        });
    }
    decisions
}
