//! Faults seen in earlier systems, each as a test named after its lesson.

use serde_json::{Value, json};

use super::rule::MAX_FAULTS;
use super::sample::{self, earlier, judge_changed, judge_with, manifest, output, raw};
use super::{Earlier, judge, rules};
use crate::{GatePolicy, Judgement, Phase, RawJson, Severity};

fn failed_rules(judged: &Judgement) -> Vec<&str> {
    judged.failed().map(|finding| finding.rule.as_str()).collect()
}

fn text(judged: &Judgement) -> String {
    let lines = judged.failed().map(|f| format!("{} {} | {}\n", f.place, f.message, f.mend));
    lines.collect()
}

#[test]
fn lesson_27_a_cycle_and_a_dangling_reference_fail_in_list_form() {
    let judged = judge_changed(Phase::Tasks, |v| {
        v["tasks"][0]["depends_on"] = json!(["TSK-004"]);
        v["tasks"][2]["depends_on"] = json!(["TSK-404"]);
    });
    assert!(!judged.passed && !judged.malformed);
    assert_eq!(failed_rules(&judged), ["tasks.references", "tasks.acyclic"]);
    let text = text(&judged);
    assert!(text.contains("TSK-001 → TSK-004 → TSK-002 → TSK-001"), "{text}");
    assert!(text.contains("/tasks/2/depends_on/0 there is no task \"TSK-404\""), "{text}");
}

#[test]
fn lesson_27_dependencies_in_object_form_are_malformed_and_say_so() {
    for (shape, place) in [
        (json!({ "TSK-002": true, "TSK-404": true }), "/tasks/0/depends_on"),
        (json!("TSK-002"), "/tasks/0/depends_on"),
        (json!(null), "/tasks/0/depends_on"),
        (json!([{ "task": "TSK-002" }]), "/tasks/0/depends_on/0"),
    ] {
        let judged = judge_changed(Phase::Tasks, |v| v["tasks"][0]["depends_on"] = shape);
        assert!(judged.malformed && !judged.passed);
        assert_eq!(failed_rules(&judged), ["tasks.schema"]);
        assert_eq!(judged.findings[0].place, place);
        let text = text(&judged);
        assert!(text.contains("`depends_on` must be a list of ids or names"), "{text}");
    }
    for (phase, list) in [(Phase::Requirements, "requirements"), (Phase::Design, "components")] {
        let judged = judge_changed(phase, |v| v[list][0]["depends_on"] = json!({}));
        assert!(judged.malformed && text(&judged).contains("`depends_on` must be a list"));
    }
}

#[test]
fn lesson_29_requirements_without_criteria_fail() {
    let judged = judge_changed(Phase::Requirements, |v| {
        for requirement in v["requirements"].as_array_mut().expect("a list") {
            requirement["criteria"] = json!([]);
        }
    });
    assert!(!judged.passed);
    assert!(failed_rules(&judged).contains(&"requirements.criteria"));
}

#[test]
fn lesson_29_five_copies_of_one_requirement_fail() {
    let judged = judge_changed(Phase::Requirements, |v| {
        let first = v["requirements"][0].clone();
        let copies = (1..=5).map(|n| {
            let mut copy = first.clone();
            copy["id"] = json!(format!("REQ-{n}"));
            let text = copy["text"].as_str().expect("a text").to_lowercase().replace(", ", " , ");
            copy["text"] = json!(if n % 2 == 0 { text } else { format!(" {text} ") });
            copy
        });
        v["requirements"] = Value::Array(copies.collect());
    });
    assert!(!judged.passed);
    let copies = failed_rules(&judged);
    assert_eq!(copies.iter().filter(|rule| **rule == "requirements.texts_differ").count(), 4);
}

#[test]
fn lesson_30_a_perfect_score_is_exactly_1000() {
    let policy = GatePolicy { threshold: 1000, ..GatePolicy::default() };
    for phase in [Phase::Explore, Phase::Requirements, Phase::Design, Phase::Tasks] {
        let judged = judge(phase, &raw(&output(phase)), &earlier(), &manifest(), &policy);
        assert_eq!(judged.score, 1000, "{phase}");
        assert!(judged.passed, "{phase}: {:?}", failed_rules(&judged));
    }
}

#[test]
fn lesson_30_less_than_perfect_is_less_than_1000() {
    for rule in rules().iter().filter(|rule| rule.severity == Severity::Soft) {
        assert!(rule.weight > 0, "{} would count for nothing", rule.name);
    }
    let judged = judge_changed(Phase::Tasks, |v| v["tasks"][0]["estimated_hours"] = json!(5));
    assert_eq!(judged.score, 777, "7 of 9 parts, rounded down");
    assert!(judged.passed);
}

#[test]
fn lesson_32_no_models_and_no_http_api_can_pass() {
    let explore = judge_changed(Phase::Explore, |v| v["existing_models"] = json!([]));
    let design = judge_changed(Phase::Design, |v| {
        v["data_models"] = json!([]);
        v["api_endpoints"] = json!([]);
    });
    for judged in [explore, design] {
        assert!(judged.passed, "{:?}", failed_rules(&judged));
        assert_eq!(judged.score, 1000);
    }
}

#[test]
fn lesson_32_a_text_that_begins_with_while_passes() {
    let judged = judge_changed(Phase::Requirements, |v| {
        let text = "WHILE the limiter is on, the link service SHALL count each created link.";
        v["requirements"][0]["text"] = json!(text);
        v["requirements"][0]["pattern"] = json!("state");
    });
    assert!(judged.passed, "{:?}", failed_rules(&judged));
    assert_eq!(judged.score, 1000);
}

#[test]
fn every_rule_leaves_a_finding_also_when_it_passes() {
    for phase in [Phase::Explore, Phase::Requirements, Phase::Design, Phase::Tasks] {
        let judged = judge_changed(phase, |_| {});
        let found: Vec<_> = judged.findings.iter().map(|f| f.rule.as_str()).collect();
        let rules: Vec<_> = rules().into_iter().filter(|r| r.phase == phase).collect();
        assert_eq!(found, rules.iter().map(|r| r.name).collect::<Vec<_>>());
    }
}

#[test]
fn a_rule_that_is_switched_off_is_skipped_and_counts_neither_way() {
    let mut output = output(Phase::Tasks);
    output["tasks"][0]["depends_on"] = json!(["TSK-001"]);
    output["tasks"][0]["estimated_hours"] = json!(9);
    let rules_off = ["tasks.acyclic".to_owned(), "tasks.hours".to_owned()].into();
    let policy = GatePolicy { rules_off, ..GatePolicy::default() };
    let judged = judge(Phase::Tasks, &raw(&output), &earlier(), &manifest(), &policy);
    assert!(judged.passed && judged.failed().next().is_none());
    assert_eq!(judged.score, 1000);
    assert_eq!(judged.findings.iter().filter(|finding| finding.skipped).count(), 2);
}

#[test]
fn faults_of_one_rule_are_capped_and_counted() {
    let judged = judge_changed(Phase::Explore, |v| {
        v["explored_files"] = (0..30).map(|n| format!("ghost/{n}")).collect();
    });
    assert_eq!(judged.failed().count(), MAX_FAULTS + 1);
    assert_eq!(judged.failed().last().expect("some").message, "and 10 more of the same kind");
}

#[test]
fn what_has_no_shape_is_malformed_with_the_place_and_what_was_expected() {
    for (change, expected) in [
        (json!({ "overview": 7 }), "/overview expected a string, found a number"),
        (json!({ "components": [{}] }), "/components/0 the field `name` is missing"),
        (json!({ "decisions": {} }), "/decisions expected a list, found an object"),
        (json!({ "diagram": [] }), "/diagram expected null or a string, found a list"),
    ] {
        let judged = judge_changed(Phase::Design, |v| {
            for (field, value) in change.as_object().expect("an object") {
                v[field] = value.clone();
            }
        });
        assert!(judged.malformed && !judged.passed);
        let text = text(&judged);
        assert!(text.contains(expected), "{text}");
    }
    let judged = judge_changed(Phase::Tasks, |v| v["tasks"][1]["kind"] = json!("dream"));
    assert!(text(&judged).contains("/tasks/1/kind \"dream\" is none of"), "{}", text(&judged));
}

#[test]
fn what_is_no_object_or_repeats_a_field_is_malformed() {
    for text in ["\"a text\"", "[]", "null", r#"{"tickets":[],"tickets":[],"tasks":[]}"#] {
        let output = RawJson::parse(text.to_owned()).expect("it is JSON");
        let policy = GatePolicy::default();
        let judged = judge(Phase::Tasks, &output, &earlier(), &manifest(), &policy);
        assert!(judged.malformed && !judged.passed, "{text}");
        assert_eq!(judged.findings[0].rule, "tasks.schema");
    }
    let deep = RawJson::parse(format!("{}{}", "[".repeat(9000), "]".repeat(9000)));
    if let Ok(deep) = deep {
        let policy = GatePolicy::default();
        assert!(judge(Phase::Design, &deep, &earlier(), &manifest(), &policy).malformed);
    }
}

#[test]
fn the_schema_accepts_what_serde_accepts_and_unknown_fields_are_ignored() {
    for phase in [Phase::Explore, Phase::Requirements, Phase::Design, Phase::Tasks] {
        let judged = judge_changed(phase, |v| v["an_agents_own_field"] = json!({ "x": 1 }));
        assert!(judged.passed && !judged.malformed, "{phase}");
    }
    let judged = judge_changed(Phase::Design, |v| {
        v.as_object_mut().expect("an object").remove("diagram");
        v["components"][0]["path"] = json!(null);
        v["api_endpoints"][0]["request"] = json!(null);
    });
    assert!(judged.passed && !judged.malformed, "{}", text(&judged));
}

#[test]
fn sync_reads_no_output_of_an_agent() {
    let judged = judge_with(Phase::Sync, &json!({}), &manifest());
    assert!(judged.malformed && !judged.passed);
}

#[test]
fn a_judgement_is_the_same_each_time() {
    let output = sample::output(Phase::Design);
    let judge = || {
        judge(
            Phase::Design,
            &raw(&output),
            &Earlier::default(),
            &manifest(),
            &GatePolicy::default(),
        )
    };
    assert_eq!(judge(), judge());
}

#[test]
fn rules_have_names_of_their_phase_and_say_what_they_ask_for() {
    let rules = rules();
    for rule in &rules {
        assert!(rule.name.starts_with(rule.phase.as_str()) && rule.about.len() > 20, "{rule:?}");
    }
    let mut names: Vec<_> = rules.iter().map(|rule| rule.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rules.len());
}
