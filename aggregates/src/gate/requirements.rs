//! Rules for the requirements: the hard ones, and the list of all.

use std::collections::BTreeMap;

use crate::Phase;
use crate::ears;
use crate::output::{Requirement, Requirements};

use super::reference::{Names, dangling, repeated};
use super::rule::{self, Fault, OutputRule, hard, soft};
use super::text::{excerpt, is_blank, is_id, normalised};
use super::wording;

pub(super) type Case<'a> = rule::Case<'a, Requirements>;

const PHASE: Phase = Phase::Requirements;
const MIN_CRITERIA: usize = 2;

pub(super) const RULES: &[OutputRule<Requirements>] = &[
    hard(PHASE, "requirements.some", "There is at least one requirement", some),
    hard(PHASE, "requirements.id_form", "Every id is REQ- and letters, digits or dashes", id_form),
    hard(PHASE, "requirements.ids_unique", "No two requirements share an id", ids_unique),
    hard(
        PHASE,
        "requirements.ears",
        "Every text is one EARS sentence with exactly one SHALL: [WHERE …,] [WHILE …,] [WHEN …,] \
         the <system> SHALL <response>, or IF …, THEN the <system> SHALL <response>",
        ears,
    ),
    hard(
        PHASE,
        "requirements.criteria",
        "Every requirement has at least 2 different criteria, each with given, when and then",
        criteria,
    ),
    hard(
        PHASE,
        "requirements.texts_differ",
        "No two texts say the same, case, spaces and punctuation aside",
        texts_differ,
    ),
    hard(PHASE, "requirements.references", "depends_on names only ids of this output", references),
    soft(
        PHASE,
        ("requirements.pattern_label", 1),
        "pattern names the EARS pattern that the text really has",
        wording::pattern_label,
    ),
    soft(
        PHASE,
        ("requirements.vague_words", 2),
        "The texts have no vague words, such as fast, easy, appropriate, robust, etc",
        wording::vague_words,
    ),
    soft(
        PHASE,
        ("requirements.measurable", 2),
        "Every requirement has a criterion whose `then` can be observed: a number, a quoted value, \
         or what is returned, rejected, stored, shown or logged",
        wording::measurable,
    ),
    soft(
        PHASE,
        ("requirements.priority_spread", 1),
        "Of 3 requirements and more, not all have the same priority",
        wording::priority_spread,
    ),
    soft(PHASE, ("requirements.titles", 1), "Every title has 3 to 8 words", wording::titles),
    soft(
        PHASE,
        ("requirements.bounds_said", 1),
        "assumptions and out_of_scope each say at least one thing",
        wording::bounds_said,
    ),
];

fn some(case: &Case<'_>) -> Vec<Fault> {
    if !case.output.requirements.is_empty() {
        return Vec::new();
    }
    let mend = "Derive the requirements from the request.";
    vec![Fault::new("/requirements", "there are no requirements", mend)]
}

/// Calls `check` for each requirement with its place in the output.
pub(super) fn each<I: IntoIterator<Item = Fault>>(
    case: &Case<'_>,
    check: impl Fn(&str, &Requirement) -> I,
) -> Vec<Fault> {
    let all = case.output.requirements.iter().enumerate();
    all.flat_map(|(n, requirement)| check(&format!("/requirements/{n}"), requirement)).collect()
}

fn id_form(case: &Case<'_>) -> Vec<Fault> {
    each(case, |place, requirement| {
        (!is_id("REQ-", &requirement.id)).then(|| {
            let message = format!("{:?} is no requirement id", excerpt(&requirement.id));
            let mend = "Use REQ- and letters, digits or dashes, such as REQ-001.";
            Fault::new(format!("{place}/id"), message, mend)
        })
    })
}

fn ids_unique(case: &Case<'_>) -> Vec<Fault> {
    let ids = case.output.requirements.iter().map(|requirement| requirement.id.as_str());
    repeated(ids, |n| format!("/requirements/{n}/id"))
}

fn ears(case: &Case<'_>) -> Vec<Fault> {
    each(case, |place, requirement| {
        let error = ears::parse(&requirement.text).err()?;
        let message = format!("{}: {error}, in {:?}", requirement.id, excerpt(&requirement.text));
        Some(Fault::new(format!("{place}/text"), message, error.mend()))
    })
}

fn criteria(case: &Case<'_>) -> Vec<Fault> {
    each(case, |place, requirement| {
        let place = format!("{place}/criteria");
        let mut different: Vec<String> = requirement
            .criteria
            .iter()
            .filter(|c| ![&c.given, &c.when, &c.then].into_iter().any(|part| is_blank(part)))
            .map(|c| normalised(&format!("{} | {} | {}", c.given, c.when, c.then)))
            .collect();
        different.sort_unstable();
        different.dedup();
        (different.len() < MIN_CRITERIA).then(|| {
            let message = format!(
                "{} has {} complete and different criteria; {MIN_CRITERIA} are needed",
                requirement.id,
                different.len()
            );
            let mend = "Add criteria {given, when, then}: one for success, one for failure or a \
                        limit.";
            Fault::new(place, message, mend)
        })
    })
}

fn texts_differ(case: &Case<'_>) -> Vec<Fault> {
    let mut first: BTreeMap<String, &str> = BTreeMap::new();
    let mut faults = Vec::new();
    for (n, requirement) in case.output.requirements.iter().enumerate() {
        let text = normalised(&requirement.text);
        if let Some(before) = first.get(&text) {
            let message = format!("{} says the same as {before}", requirement.id);
            let mend = "Drop it, or say what is different.";
            faults.push(Fault::new(format!("/requirements/{n}/text"), message, mend));
        } else {
            first.insert(text, &requirement.id);
        }
    }
    faults
}

fn references(case: &Case<'_>) -> Vec<Fault> {
    let ids: Names<'_> = case.output.requirements.iter().map(|r| r.id.as_str()).collect();
    each(case, |place, requirement| {
        dangling(&format!("{place}/depends_on"), &requirement.depends_on, "requirement", &ids)
    })
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
                ("requirements.some", |v| v["requirements"] = json!([])),
                ("requirements.id_form", |v| v["requirements"][3]["id"] = json!("R4")),
                ("requirements.ids_unique", |v| {
                    let first = v["requirements"][0]["id"].clone();
                    v["requirements"][3]["id"] = first;
                }),
                ("requirements.ears", |v| v["requirements"][0]["text"] = json!("The API limits.")),
                ("requirements.criteria", |v| {
                    let first = v["requirements"][0]["criteria"][0].clone();
                    v["requirements"][0]["criteria"] = json!([first, first]);
                }),
                ("requirements.texts_differ", |v| {
                    let first =
                        v["requirements"][0]["text"].as_str().expect("a text").to_uppercase();
                    v["requirements"][3]["text"] = json!(first);
                    v["requirements"][3]["pattern"] = v["requirements"][0]["pattern"].clone();
                }),
                ("requirements.references", |v| {
                    v["requirements"][1]["depends_on"] = json!(["REQ-404"]);
                }),
                ("requirements.pattern_label", |v| {
                    v["requirements"][0]["pattern"] = json!("optional");
                }),
                ("requirements.vague_words", |v| {
                    v["requirements"][0]["text"] =
                        json!("When a call comes, the API shall be fast.");
                }),
                ("requirements.measurable", |v| {
                    for criterion in
                        v["requirements"][0]["criteria"].as_array_mut().expect("a list")
                    {
                        criterion["then"] = json!("all is as the user hopes");
                    }
                }),
                ("requirements.priority_spread", |v| {
                    for requirement in v["requirements"].as_array_mut().expect("a list") {
                        requirement["priority"] = json!("high");
                    }
                }),
                ("requirements.titles", |v| v["requirements"][0]["title"] = json!("Limit")),
                ("requirements.bounds_said", |v| v["out_of_scope"] = json!([])),
            ],
        );
    }

    #[test]
    fn a_finding_says_where_and_how_to_mend() {
        let judged = sample::judge_changed(PHASE, |v| {
            v["requirements"][1]["text"] = json!("When a call comes, the API must answer it.");
        });
        let failed: Vec<_> = judged.failed().collect();
        assert_eq!(failed[0].place, "/requirements/1/text");
        assert!(failed[0].message.contains("only SHALL is accepted"), "{failed:?}");
        assert!(failed[0].mend.contains("Use SHALL in place of"), "{failed:?}");
    }
}
