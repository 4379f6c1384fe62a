//! What anybody may write: texts, numbers and JSON that no program of ours made. Nothing here may
//! panic, and what is read is what was written.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use specline_aggregates::access_key::AccessKey;
use specline_aggregates::gate::{Earlier, judge};
use specline_aggregates::project::Project;
use specline_aggregates::spec::Spec;
use specline_aggregates::task::Task;
use specline_aggregates::ticket::Ticket;
use specline_aggregates::{
    DecodeError, Digest, EventSourced, GatePolicy, Phase, RawJson, SpecId, Timestamp, ears,
};

use crate::kit::{manifest, passing};

/// Fifty times as many under `SPECLINE_SOAK=1`.
fn config(cases: u32) -> ProptestConfig {
    let soak = std::env::var_os("SPECLINE_SOAK").is_some_and(|value| value == "1");
    let cases = if soak { cases * 50 } else { cases };
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

/// Any JSON, with the numbers and texts that programs stumble over.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::sample::select(vec![0_u64, 1, u64::MAX, 1 << 63, 1 << 32, (1 << 32) - 1, 65_535])
            .prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "\0",
            "9999-12-31T23:59:59Z",
            "0000-01-01T00:00:00+23:59",
            "../../etc/passwd",
            "ſhall",
            "\u{202e}shall",
            "explore",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(".{0,8}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Puts `new` in the place of the member that `at` picks; nothing there takes it away.
fn put(value: &mut Value, at: prop::sample::Index, new: Option<Value>) {
    let mut places = Vec::new();
    places_of(value, "", &mut places);
    let place = &places[at.index(places.len())];
    if let Some(new) = new {
        *value.pointer_mut(place).unwrap() = new;
    } else if let Some((parent, name)) = place.rsplit_once('/')
        && let Some(Value::Object(members)) = value.pointer_mut(parent)
    {
        members.remove(name);
    }
}

fn places_of(value: &Value, here: &str, places: &mut Vec<String>) {
    places.push(here.to_owned());
    match value {
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                places_of(item, &format!("{here}/{n}"), places);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                places_of(member, &format!("{here}/{name}"), places);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A stored event: whose, which, of which version, and its text.
#[derive(Debug, Clone)]
struct Stored {
    aggregate: &'static str,
    name: String,
    version: String,
    payload: String,
}

const AGGREGATES: [&str; 5] = ["spec", "task", "ticket", "project", "access_key"];

/// Every golden event, read once.
fn golden() -> &'static [Stored] {
    static GOLDEN: LazyLock<Vec<Stored>> = LazyLock::new(read_golden);
    &GOLDEN
}

fn read_golden() -> Vec<Stored> {
    let mut all = Vec::new();
    for aggregate in AGGREGATES {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(aggregate);
        let mut files: Vec<_> =
            fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        for path in files {
            let file = path.file_name().unwrap().to_str().unwrap();
            let (name, rest) = file.split_once(".v").unwrap();
            let version = rest.split('.').next().unwrap().to_owned();
            let payload = fs::read_to_string(&path).unwrap();
            all.push(Stored { aggregate, name: name.to_owned(), version, payload });
        }
    }
    all
}

/// Reads it as the log does, and folds it into an empty aggregate and into itself.
fn digested(stored: &Stored) -> Result<(), DecodeError> {
    fn by<A: EventSourced>(stored: &Stored) -> Result<(), DecodeError> {
        let event = A::decode(&stored.name, &stored.version, &stored.payload)?;
        assert_eq!(cqrs_es::DomainEvent::event_type(&event), stored.name, "{stored:?}");
        let mut state = A::default();
        // Twice: the second one meets a state.
        for _ in 0..2 {
            let _ = state.evolve(&event);
        }
        Ok(())
    }
    match stored.aggregate {
        "spec" => by::<Spec>(stored),
        "task" => by::<Task>(stored),
        "ticket" => by::<Ticket>(stored),
        "project" => by::<Project>(stored),
        _ => by::<AccessKey>(stored),
    }
}

/// Folds all golden events of its aggregate, in any order, with the mutated one among them.
fn folded(stored: &Stored, order: &[prop::sample::Index]) {
    fn by<A: EventSourced>(stored: &Stored, others: &[&Stored]) {
        let mut state = A::default();
        for one in others.iter().copied().chain([stored]) {
            if let Ok(event) = A::decode(&one.name, &one.version, &one.payload) {
                let _ = state.evolve(&event);
            }
        }
    }
    let all = golden();
    let own: Vec<_> = all.iter().filter(|one| one.aggregate == stored.aggregate).collect();
    let first = own.iter().filter(|one| {
        ["SpecDrafted", "TaskQueued", "TicketOpened", "ProjectCreated", "AccessKeyCreated"]
            .contains(&one.name.as_str())
    });
    let mut others: Vec<_> = first.copied().collect();
    others.extend(order.iter().map(|at| own[at.index(own.len())]));
    match stored.aggregate {
        "spec" => by::<Spec>(stored, &others),
        "task" => by::<Task>(stored, &others),
        "ticket" => by::<Ticket>(stored, &others),
        "project" => by::<Project>(stored, &others),
        _ => by::<AccessKey>(stored, &others),
    }
}

fn stored() -> impl Strategy<Value = Stored> {
    prop::sample::select(golden())
}

fn earlier() -> Earlier {
    Earlier {
        explore: passing(Phase::Explore).decode().ok(),
        requirements: passing(Phase::Requirements).decode().ok(),
        design: passing(Phase::Design).decode().ok(),
        tasks: passing(Phase::Tasks).decode().ok(),
    }
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn any_event_is_read_or_refused(
        name in "[A-Za-z]{0,20}",
        version in prop_oneof!["[0-9]{1,24}", any::<String>()],
        payload in prop_oneof![any::<String>(), json_value().prop_map(|value| value.to_string())],
        golden in stored(),
    ) {
        for aggregate in AGGREGATES {
            let (name, version, payload) = (name.clone(), version.clone(), payload.clone());
            let unheard = Stored { aggregate, name, version, payload: payload.clone() };
            prop_assert!(digested(&unheard).is_err());
            let version = golden.version.clone();
            let named = Stored { aggregate, name: golden.name.clone(), version, payload };
            let _ = digested(&named);
        }
        let version = Stored { version, ..golden };
        let _ = digested(&version);
    }

    #[test]
    fn a_golden_event_with_any_bytes_changed_is_read_or_refused(
        event in stored(),
        at in any::<prop::sample::Index>(),
        with in prop_oneof!["[0-9\"{},:\\[\\]]{0,3}", ".{0,4}"],
        cut in 0_usize..4,
    ) {
        let mut chars: Vec<char> = event.payload.chars().collect();
        let at = at.index(chars.len());
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, with.chars());
        let _ = digested(&Stored { payload: chars.into_iter().collect(), ..event });
    }

    #[test]
    fn a_golden_event_with_any_member_changed_is_read_or_refused_and_folded(
        event in stored(),
        places in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::option::weighted(0.8, json_value())), 1..4),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let mut payload: Value = serde_json::from_str(&event.payload).unwrap();
        for (at, new) in places {
            put(&mut payload, at, new);
        }
        let event = Stored { payload: payload.to_string(), ..event };
        let _ = digested(&event);
        folded(&event, &order);
    }

    #[test]
    fn any_sentence_is_read_or_refused(
        text in any::<String>(),
        odd in prop::collection::vec(
            prop::sample::select(vec![
                "shall", "SHALL", "ſhall", "ＳＨＡＬＬ", "when", "WHİLE", "if", "then", "where", "ß",
                "\u{202e}", "\u{200b}", "\u{301}", "\u{0}", "日本", "🦀", "\"", "“", "`", "'", ",",
                ".", "。", "(", "-", "the", "API", "must", "\n", "\t", "\u{2028}", "K", "İ",
            ]),
            0..40),
        gap in prop::sample::select(vec!["", " ", "\u{a0}"]),
    ) {
        for text in [text, odd.join(gap)] {
            match ears::parse(&text) {
                Ok(sentence) => {
                    prop_assert!(!sentence.system.trim().is_empty());
                    prop_assert!(!sentence.response.trim().is_empty());
                    prop_assert!(sentence.clauses.iter().all(|clause| !clause.text.is_empty()));
                }
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }

    #[test]
    fn any_output_is_judged(
        phase in prop::sample::select(Phase::ALL.to_vec()),
        places in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::option::weighted(0.8, json_value())), 0..4),
        whole in prop::option::weighted(0.2, json_value()),
    ) {
        let mut output = whole.unwrap_or_else(|| passing(phase).decode().unwrap());
        for (at, new) in places {
            put(&mut output, at, new);
        }
        let (manifest, policy) = (manifest(), GatePolicy::default());
        let output = RawJson::of(&output).unwrap();
        for earlier in [Earlier::default(), earlier()] {
            let judged = judge(phase, &output, &earlier, &manifest, &policy);
            prop_assert!(!judged.findings.is_empty());
        }
    }

    #[test]
    fn what_is_read_of_a_text_is_written_as_it_was_meant(text in prop_oneof![
        any::<String>(),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,12})?(Z|[+-][0-9]{2}:[0-9]{2})",
        "[0-9a-fA-F]{63,65}",
        "[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}",
    ]) {
        if let Ok(time) = text.parse::<Timestamp>() {
            prop_assert_eq!(time.to_string().parse(), Ok(time), "{}", text);
        }
        if let Ok(digest) = text.parse::<Digest>() {
            prop_assert_eq!(digest.to_string().parse(), Ok(digest));
        }
        if let Ok(id) = text.parse::<SpecId>() {
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
        let _ = (text.parse::<Phase>(), serde_json::from_value::<Phase>(json!(text)));
    }
}

#[test]
fn a_time_before_the_first_year_is_none() {
    for text in ["0000-01-01T00:00:00+23:59", "0000-01-01T00:00:00+00:01"] {
        assert!(text.parse::<Timestamp>().is_err(), "{text}");
    }
    let first: Timestamp = "0000-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(first.to_string(), "0000-01-01T00:00:00.000000Z");
    let last: Timestamp = "9999-12-31T23:59:59.999999999Z".parse().unwrap();
    assert_eq!(last.to_string().parse(), Ok(last));
    assert!("9999-12-31T23:59:59-00:01".parse::<Timestamp>().is_err());
}

/// An event under another event's name would be folded as what it is not.
#[test]
fn an_event_under_another_name_is_refused() {
    let all = golden();
    let of = |name: &str| all.iter().find(|one| one.name == name).unwrap().clone();
    let wrong = Stored { payload: of("SpecCompleted").payload, ..of("SpecCancelled") };
    let error = digested(&wrong).unwrap_err();
    assert!(matches!(error, DecodeError::Malformed { .. }), "{error}");
}

/// The time to read a sentence grows with its length, and no faster.
#[test]
#[expect(clippy::disallowed_types, reason = "it is the time that is tested")]
fn a_sentence_of_a_megabyte_is_read_in_moments() {
    for piece in ["when x, ", "the API ", "\"", "shall ", ", ", "(", "if a then "] {
        let begin = std::time::Instant::now();
        let _ = ears::parse(&piece.repeat(1_000_000 / piece.len()));
        assert!(begin.elapsed().as_secs() < 20, "{piece:?} took {:?}", begin.elapsed());
    }
}
