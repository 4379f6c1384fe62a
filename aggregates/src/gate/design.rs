//! Rules for the design. A feature without data models or without an HTTP API is a legal one.

use crate::Phase;
use crate::output::{Component, Design};

use super::graph::Dependencies;
use super::path::{Placed, unsafe_paths};
use super::reference::{Names, dangling, repeated};
use super::rule::{self, Fault, OutputRule, hard, soft};
use super::text::{excerpt, is_blank, length};

type Case<'a> = rule::Case<'a, Design>;

const PHASE: Phase = Phase::Design;
const MIN_OVERVIEW_CHARS: usize = 100;
const MIN_SECTION_CHARS: usize = 20;
const MAX_COUPLING: usize = 5;
const METHODS: [&str; 9] =
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"];

pub(super) const RULES: &[OutputRule<Design>] = &[
    hard(PHASE, "design.context", "The requirements were accepted before the design", context),
    hard(
        PHASE,
        "design.names_unique",
        "Every component has a name, and no two share one",
        names_unique,
    ),
    hard(
        PHASE,
        "design.references",
        "components.depends_on names only components, components.requirements only requirements",
        references,
    ),
    hard(PHASE, "design.acyclic", "Components do not depend on each other in a circle", acyclic),
    hard(PHASE, "design.covers", "At least one component meets each requirement", covers),
    hard(
        PHASE,
        "design.endpoints",
        "API endpoints, where there are any, have an HTTP method and a path that begins with \"/\"",
        endpoints,
    ),
    hard(
        PHASE,
        "design.data_models",
        "Data models, where there are any, have a name and fields with names and types",
        data_models,
    ),
    hard(
        PHASE,
        "design.paths_safe",
        "Every path is relative to the repository root, with \"/\", and has no \"..\"",
        paths_safe,
    ),
    soft(PHASE, ("design.overview", 2), "The overview has at least 100 characters", overview),
    soft(
        PHASE,
        ("design.testing", 2),
        "testing_strategy says how the change is tested (20 characters at least)",
        testing,
    ),
    soft(
        PHASE,
        ("design.error_handling", 1),
        "error_handling says what happens when something fails (20 characters at least)",
        error_handling,
    ),
    soft(
        PHASE,
        ("design.security", 1),
        "security says what was considered (20 characters at least)",
        security,
    ),
    soft(PHASE, ("design.coupling", 1), "No component depends on more than 5 others", coupling),
    soft(
        PHASE,
        ("design.decisions", 2),
        "There is a decision, and every decision names its alternatives and why",
        decisions,
    ),
];

fn context(case: &Case<'_>) -> Vec<Fault> {
    if case.earlier.requirements.is_some() {
        return Vec::new();
    }
    let mend = "Run the requirements phase first.";
    vec![Fault::new("", "there are no accepted requirements to design for", mend)]
}

fn each(case: &Case<'_>, check: impl Fn(&str, &Component) -> Vec<Fault>) -> Vec<Fault> {
    let all = case.output.components.iter().enumerate();
    all.flat_map(|(n, component)| check(&format!("/components/{n}"), component)).collect()
}

fn names<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    case.output.components.iter().map(|component| component.name.as_str())
}

fn names_unique(case: &Case<'_>) -> Vec<Fault> {
    let mut faults = repeated(names(case), |n| format!("/components/{n}/name"));
    let blank = names(case).enumerate().filter(|(_, name)| is_blank(name));
    faults.extend(blank.map(|(n, _)| {
        Fault::new(format!("/components/{n}/name"), "the component has no name", "Name it.")
    }));
    faults
}

fn references(case: &Case<'_>) -> Vec<Fault> {
    let components: Names<'_> = names(case).collect();
    let accepted = case.earlier.requirements.iter().flat_map(|earlier| &earlier.requirements);
    let requirements: Names<'_> = accepted.map(|requirement| requirement.id.as_str()).collect();
    each(case, |place, component| {
        let on = format!("{place}/depends_on");
        let mut faults = dangling(&on, &component.depends_on, "component", &components);
        let of = format!("{place}/requirements");
        faults.extend(dangling(&of, &component.requirements, "requirement", &requirements));
        faults
    })
}

fn acyclic(case: &Case<'_>) -> Vec<Fault> {
    let items = case.output.components.iter().map(|c| (c.name.as_str(), c.depends_on.as_slice()));
    let cycles = Dependencies::of(items).cycles();
    cycles
        .iter()
        .map(|cycle| {
            let message = format!("components depend on each other: {}", cycle.join(" → "));
            let mend = "Drop one dependency of the circle, or move what they share to a third.";
            Fault::new("/components", message, mend)
        })
        .collect()
}

fn covers(case: &Case<'_>) -> Vec<Fault> {
    let met = case.output.components.iter().flat_map(|component| &component.requirements);
    let met: Names<'_> = met.map(String::as_str).collect();
    let accepted = case.earlier.requirements.iter().flat_map(|earlier| &earlier.requirements);
    let uncovered = accepted.filter(|requirement| !met.contains(requirement.id.as_str()));
    uncovered
        .map(|requirement| {
            let id = &requirement.id;
            let message = format!("no component meets {id} ({})", excerpt(&requirement.title));
            let mend = format!("Add {id} to the requirements of the component that meets it.");
            Fault::new("/components", message, mend)
        })
        .collect()
}

fn endpoints(case: &Case<'_>) -> Vec<Fault> {
    let all = case.output.api_endpoints.iter().enumerate();
    all.flat_map(|(n, endpoint)| {
        let (method, path) = (endpoint.method.trim(), endpoint.path.as_str());
        let method = (!METHODS.iter().any(|known| known.eq_ignore_ascii_case(method))).then(|| {
            let message = format!("{:?} is no HTTP method", excerpt(method));
            let place = format!("/api_endpoints/{n}/method");
            Fault::new(place, message, format!("Use one of {}.", METHODS.join(", ")))
        });
        let fits = path.starts_with('/') && !path.contains(|c: char| c.is_whitespace());
        let path = (!fits).then(|| {
            let message = format!("{:?} is no endpoint path", excerpt(path));
            let mend = "Begin it with \"/\" and leave out host and spaces, such as /users/{id}.";
            Fault::new(format!("/api_endpoints/{n}/path"), message, mend)
        });
        method.into_iter().chain(path)
    })
    .collect()
}

fn data_models(case: &Case<'_>) -> Vec<Fault> {
    let all = case.output.data_models.iter().enumerate();
    let empty = all.filter(|(_, model)| {
        let nameless = model.fields.iter().any(|f| is_blank(&f.name) || is_blank(&f.kind));
        is_blank(&model.name) || model.fields.is_empty() || nameless
    });
    empty
        .map(|(n, model)| {
            let name = excerpt(&model.name);
            let message = format!("the data model {name:?} lacks a name, fields or their types");
            let mend = "Name it and list its fields, each with name and type, or drop the model.";
            Fault::new(format!("/data_models/{n}"), message, mend)
        })
        .collect()
}

fn paths_safe(case: &Case<'_>) -> Vec<Fault> {
    let components = case.output.components.iter().enumerate();
    let models = case.output.data_models.iter().enumerate();
    let components = components.filter_map(|(n, component)| -> Option<Placed<'_>> {
        Some((format!("/components/{n}/path"), component.path.as_deref()?))
    });
    let models = models.filter_map(|(n, model)| -> Option<Placed<'_>> {
        Some((format!("/data_models/{n}/path"), model.path.as_deref()?))
    });
    unsafe_paths(components.chain(models), case.manifest)
}

fn long_enough(field: &str, text: &str, min: usize) -> Vec<Fault> {
    let length = length(text);
    if length >= min {
        return Vec::new();
    }
    let message = format!("{field} has {length} characters; {min} are wanted");
    vec![Fault::new(format!("/{field}"), message, "Say more, and say it of this design.")]
}

fn overview(case: &Case<'_>) -> Vec<Fault> {
    long_enough("overview", &case.output.overview, MIN_OVERVIEW_CHARS)
}

fn testing(case: &Case<'_>) -> Vec<Fault> {
    long_enough("testing_strategy", &case.output.testing_strategy, MIN_SECTION_CHARS)
}

fn error_handling(case: &Case<'_>) -> Vec<Fault> {
    long_enough("error_handling", &case.output.error_handling, MIN_SECTION_CHARS)
}

fn security(case: &Case<'_>) -> Vec<Fault> {
    long_enough("security", &case.output.security, MIN_SECTION_CHARS)
}

fn coupling(case: &Case<'_>) -> Vec<Fault> {
    each(case, |place, component| {
        let n = component.depends_on.iter().collect::<std::collections::BTreeSet<_>>().len();
        if n <= MAX_COUPLING {
            return Vec::new();
        }
        let message = format!("{:?} depends on {n} components", excerpt(&component.name));
        let mend = "Split it, or put what it needs behind one interface.";
        vec![Fault::new(format!("{place}/depends_on"), message, mend)]
    })
}

fn decisions(case: &Case<'_>) -> Vec<Fault> {
    let decisions = &case.output.decisions;
    if decisions.is_empty() {
        let mend = "Record the main choice, what else was possible, and why.";
        return vec![Fault::new("/decisions", "no decision is recorded", mend)];
    }
    let lone = decisions.iter().enumerate().filter(|(_, decision)| {
        decision.alternatives.iter().all(|text| is_blank(text)) || is_blank(&decision.why)
    });
    lone.map(|(n, decision)| {
        let choice = excerpt(&decision.choice);
        let message = format!("the decision {choice:?} names no alternative or no reason");
        let mend = "Say what else was possible and why it was not chosen.";
        Fault::new(format!("/decisions/{n}"), message, mend)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sample;
    use super::*;

    #[test]
    fn each_rule_passes_on_the_sample_and_fails_on_its_own_fault() {
        sample::each_rule_fails_alone(
            PHASE,
            &[
                ("design.names_unique", |v| {
                    let again = v["components"][0].clone();
                    v["components"].as_array_mut().expect("a list").push(again);
                }),
                ("design.references", |v| v["components"][0]["requirements"][0] = json!("REQ-404")),
                ("design.acyclic", |v| {
                    let name = v["components"][0]["name"].clone();
                    v["components"][0]["depends_on"] = json!([name]);
                }),
                ("design.covers", |v| {
                    for component in v["components"].as_array_mut().expect("a list") {
                        component["requirements"] = json!([]);
                    }
                }),
                ("design.endpoints", |v| v["api_endpoints"][0]["method"] = json!("FETCH")),
                ("design.data_models", |v| v["data_models"][0]["fields"] = json!([])),
                ("design.paths_safe", |v| v["components"][0]["path"] = json!("/etc/passwd")),
                ("design.overview", |v| v["overview"] = json!("A limiter.")),
                ("design.testing", |v| v["testing_strategy"] = json!("Tests.")),
                ("design.error_handling", |v| v["error_handling"] = json!("")),
                ("design.security", |v| v["security"] = json!("  none  ")),
                ("design.coupling", |v| {
                    let some = v["components"][0].clone();
                    let components = v["components"].as_array_mut().expect("a list");
                    let mut hub = some.clone();
                    hub["name"] = json!("hub");
                    hub["depends_on"] = json!(["c0", "c1", "c2", "c3", "c4", "c5"]);
                    for n in 0..6 {
                        let mut leaf = some.clone();
                        leaf["name"] = json!(format!("c{n}"));
                        leaf["depends_on"] = json!([]);
                        components.push(leaf);
                    }
                    components.push(hub);
                }),
                ("design.decisions", |v| v["decisions"][0]["alternatives"] = json!([])),
            ],
        );
    }

    #[test]
    fn a_design_without_requirements_before_it_does_not_pass() {
        let judged = sample::judge_alone(PHASE);
        assert!(!judged.passed);
        assert!(judged.failed().any(|finding| finding.rule == "design.context"), "{judged:?}");
    }

    #[test]
    fn the_path_of_an_endpoint_begins_with_a_slash() {
        let judged = sample::judge_changed(PHASE, |v| {
            v["api_endpoints"][0]["path"] = json!("https://x/limits");
        });
        let failed: Vec<_> = judged.failed().map(|finding| finding.place.as_str()).collect();
        assert_eq!(failed, ["/api_endpoints/0/path"]);
    }
}
