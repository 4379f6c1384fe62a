//! Every draft passes its gate, whatever the repository and the request.

use std::path::Path;

use proptest::prelude::*;
use specline_aggregates::gate::{Earlier, judge};
use specline_aggregates::output::Explore;
use specline_aggregates::{GatePolicy, Judgement, Manifest, Phase, RawJson, Severity};

use super::super::{Request, design, explore, requirements, tasks};
use super::repos;

pub(super) const STORIES: &str = "\
# Orders export

Our shop managers copy orders by hand. See [the wiki](https://example.org/wiki).

## User stories

- As a shop manager, I want to export my orders as CSV so that I can open them in a spreadsheet.
  - Acceptance criteria:
    - Given 3 orders, when I export them, then the file holds 3 rows
    - The first line names the columns
- As an accountant, I want to receive a monthly report by email so that I need not ask.

## Requirements

1. The export must contain the order id, the customer and the total.
2. If the export fails, an error message is shown.
3. WHEN an export is older than 30 days, the system SHALL delete it.
4. Managers can filter the export by date.
5. Exports should be fast and easy to use.

```sql
select * from orders; -- must not appear
```

## Out of scope

- PDF files

## Open questions

- Who may export
";

const REQUESTS: &[(&str, &str)] = &[
    ("", "Add rate limiting to the public API"),
    ("Add rate limiting to the public API", "Add rate limiting to the public API"),
    ("Add dark mode", ""),
    ("Orders export", STORIES),
    ("CSV export crashes when a row has an empty name", ""),
    ("", "Users can't log in when their email contains a plus sign"),
    ("", "Can we have a health check?"),
    ("", "Why is the start page slow?"),
    ("Refactor the storage layer into its own module", "It should keep its behaviour."),
    (
        "",
        "We run a shop. Customers often forget their password. They should be able to reset it by \
          email. The link must expire after one hour. If the address is unknown, nothing is sent.",
    ),
    ("Ajouter la pagination", "Ajouter une pagination à la liste des commandes, avec 20 lignes."),
    ("検索", "商品を検索できるようにする。結果は価格順に並べる。"),
    ("", "Write a page about travel expenses"),
    ("", "The API returns 500 if the order does not exist"),
    ("", "Add webhooks for order events"),
    ("", "Migrate from SQLite to PostgreSQL"),
    ("", "x"),
    (
        "",
        "Given a cart with 2 items\nWhen the customer checks out\nThen an order with 2 items \
         exists",
    ),
];

struct Run<'a> {
    root: &'a Path,
    manifest: Manifest,
    request: Request<'a>,
}

impl Run<'_> {
    fn judge<T: serde::Serialize>(&self, phase: Phase, output: &T, earlier: &Earlier) -> Judgement {
        let json = RawJson::of(output).unwrap();
        judge(phase, &json, earlier, &self.manifest, &GatePolicy::default())
    }

    /// Drives the four phases. Returns the judgements with the texts of the outputs.
    fn all(&self) -> Vec<(Phase, Judgement, String)> {
        let text = |value: &dyn erased::Json| value.pretty();
        let mut earlier = Earlier::default();
        let mut done = Vec::new();
        let explored = explore(self.root, &self.request).unwrap();
        done.push((
            Phase::Explore,
            self.judge(Phase::Explore, &explored, &earlier),
            text(&explored),
        ));
        earlier.explore = Some(explored.clone());
        let asked = requirements(&self.request, &explored, &[]);
        let verdict = self.judge(Phase::Requirements, &asked, &earlier);
        done.push((Phase::Requirements, verdict, text(&asked)));
        earlier.requirements = Some(asked.clone());
        let designed = design(self.root, &self.request, &explored, &asked, &[]).unwrap();
        done.push((Phase::Design, self.judge(Phase::Design, &designed, &earlier), text(&designed)));
        earlier.design = Some(designed.clone());
        let planned = tasks(self.root, &explored, &asked, &designed, &[]).unwrap();
        done.push((Phase::Tasks, self.judge(Phase::Tasks, &planned, &earlier), text(&planned)));
        done
    }
}

/// Any output as readable JSON.
mod erased {
    pub(super) trait Json {
        fn pretty(&self) -> String;
    }

    impl<T: serde::Serialize> Json for T {
        fn pretty(&self) -> String {
            serde_json::to_string_pretty(self).unwrap()
        }
    }
}

#[test]
fn every_draft_passes_its_gate() {
    let mut faults = Vec::new();
    for (repo_name, files) in repos::ALL {
        let folder = repos::lay(files);
        for (title, description) in REQUESTS {
            let request = Request { title, description };
            let manifest = repos::manifest(folder.path());
            let run = Run { root: folder.path(), manifest, request };
            for (phase, verdict, text) in run.all() {
                if verdict.passed && verdict.score >= 900 {
                    continue;
                }
                let failed: Vec<String> = verdict
                    .failed()
                    .map(|f| format!("{} {} {}", f.rule, f.place, f.message))
                    .collect();
                faults.push(format!(
                    "{repo_name} | {title} {description:.40} | {phase:?} {} {failed:#?}\n\
                     {text:.1500}",
                    verdict.score
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n\n"));
}

#[test]
fn the_same_request_gives_the_same_bytes() {
    let folder = repos::lay(repos::AXUM);
    let manifest = repos::manifest(folder.path());
    let request = Request { title: "Orders export", description: STORIES };
    let run = Run { root: folder.path(), manifest, request };
    let texts = |run: &Run<'_>| run.all().into_iter().map(|(_, _, text)| text).collect::<Vec<_>>();
    assert_eq!(texts(&run), texts(&run));
}

/// Text that looks like requests gone wrong: words of the grammar in any order, with Markdown.
fn odd_text() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "WHEN",
        "if",
        "the system",
        "SHALL",
        "must",
        "should not",
        ",",
        ".",
        "\n- ",
        "\n## ",
        "then",
        "users",
        "can",
        "export",
        "é",
        "検索",
        "`code`",
        "[a](b)",
        "As a user, I want",
        "so that",
        "fast",
        "\n\n",
        "Given",
        "while",
        "where",
        "\n```\n",
        ":",
        "?",
        "add",
        "rate limiting",
        "…",
        "\"",
        "«",
        "İ",
        "ß",
        "1.",
        "|",
        "Acceptance criteria:",
        "will",
        "every",
        "order",
        "\u{0}",
    ]);
    prop::collection::vec(words, 0..40).prop_map(|words| words.join(" "))
}

fn check(title: &str, description: &str) -> Result<(), TestCaseError> {
    let request = Request { title, description };
    let explored = Explore { project_type: "Rust library".into(), ..Explore::default() };
    let asked = requirements(&request, &explored, &[]);
    let json = RawJson::of(&asked).unwrap();
    let earlier = Earlier { explore: Some(explored), ..Earlier::default() };
    let policy = GatePolicy::default();
    let verdict = judge(Phase::Requirements, &json, &earlier, &Manifest::default(), &policy);
    let hard: Vec<String> = verdict
        .failed()
        .filter(|f| f.severity == Severity::Hard)
        .map(|f| format!("{} {} {}", f.rule, f.place, f.message))
        .collect();
    prop_assert!(hard.is_empty() && !verdict.malformed, "{hard:#?}\n{asked:#?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_text_gives_requirements_that_pass(title in ".{0,60}", description in "(?s).{0,400}") {
        check(&title, &description)?;
    }

    #[test]
    fn odd_requests_give_requirements_that_pass(title in odd_text(), description in odd_text()) {
        check(&title, &description)?;
    }
}
