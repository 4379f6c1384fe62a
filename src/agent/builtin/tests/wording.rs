//! What sentences become, and what each phase makes of a request.

use specline_aggregates::output::{Explore, Pattern, Requirements, TaskKind};
use specline_aggregates::{Finding, Severity};

use super::super::sentence::{self, Reading};
use super::super::{NOTICE, Request, design, explore, grammar, requirements, tasks, tokens};
use super::gates::STORIES;
use super::repos;

fn said(text: &str) -> String {
    match sentence::read(text) {
        Reading::Asked(ears) => ears.text(),
        Reading::Question(question) => question,
    }
}

fn asked(title: &str, description: &str) -> Requirements {
    requirements(&Request { title, description }, &Explore::default(), &[])
}

#[test]
fn sentences_become_ears() {
    for (text, ears) in [
        (
            "Add rate limiting to the public API",
            "The system SHALL apply rate limiting to the public API.",
        ),
        ("Users should be able to export orders", "The system SHALL let users export orders."),
        (
            "Users cannot delete paid orders",
            "The system SHALL prevent users from deleting paid orders.",
        ),
        (
            "The API must return 429 when the limit is exceeded",
            "WHEN the limit is exceeded, the API SHALL return 429.",
        ),
        (
            "If the export fails, an error message is shown",
            "IF the export fails, THEN an error message SHALL be shown.",
        ),
        (
            "As a buyer, I want to reset my password so that I can sign in",
            "The system SHALL let the buyer reset their password.",
        ),
        (
            "The import crashes when a row is empty",
            "IF a row is empty, THEN the import SHALL NOT crash in this case.",
        ),
        (
            "while offline, the app shall queue the changes",
            "WHILE offline, the app SHALL queue the changes.",
        ),
        ("Can you add dark mode?", "The system SHALL provide dark mode."),
        ("Replace SQLite with PostgreSQL", "The system SHALL use PostgreSQL in place of SQLite."),
        (
            "getCart returns 500 if the cart is unknown",
            "IF the cart is unknown, THEN getCart SHALL NOT return 500.",
        ),
        ("Dark mode", "The system SHALL provide dark mode."),
        ("Why is it blue?", "Why is it blue?"),
    ] {
        assert_eq!(said(text), ears, "{text}");
    }
}

#[test]
fn they_are_the_people_of_the_sentence_before() {
    let made = asked("", "Customers often forget their password. They should be able to reset it.");
    assert_eq!(made.requirements[0].text, "The system SHALL let customers reset their password.");
    assert_eq!(made.feature_name, "Customers should be able to reset their password");
}

#[test]
fn a_document_gives_one_requirement_an_item() {
    let made = asked("Orders export", STORIES);
    let texts: Vec<&str> = made.requirements.iter().map(|r| r.text.as_str()).collect();
    assert_eq!(made.requirements.len(), 7, "{texts:#?}");
    assert_eq!(texts[0], "The system SHALL let the shop manager export their orders as CSV.");
    assert_eq!(made.requirements[0].criteria[0].then, "the file holds 3 rows");
    assert_eq!(made.requirements[0].criteria[0].given, "3 orders");
    assert_eq!(texts[4], "WHEN an export is older than 30 days, the system SHALL delete it.");
    assert_eq!(made.requirements[4].pattern, Pattern::Event);
    assert!(!texts.iter().any(|text| text.contains("select") || text.contains("https")));
    assert_eq!(made.out_of_scope, ["PDF files."]);
    assert!(made.open_questions.contains(&"Who may export?".to_owned()));
    assert!(made.open_questions.iter().any(|q| q.contains("\"fast\"")), "{made:?}");
    assert!(made.assumptions[0].contains(NOTICE));
}

#[test]
fn a_line_gives_behaviour_failure_and_limits() {
    for line in ["Add rate limiting to the public API", "Let members share a shopping list"] {
        let made = asked("", line);
        assert!((3..=6).contains(&made.requirements.len()), "{line}");
        let patterns: Vec<Pattern> = made.requirements.iter().map(|r| r.pattern).collect();
        assert!(patterns.contains(&Pattern::Unwanted) && patterns.contains(&Pattern::State));
        let later = &made.requirements[1..];
        assert!(later.iter().all(|r| r.depends_on == ["REQ-001"]), "{line}");
    }
    let share = asked("", "Let members share a shopping list");
    assert!(
        share.requirements[1].text.contains("an attempt of members to share a shopping list fails")
    );
}

#[test]
fn a_long_request_is_bounded_and_says_so() {
    let list: Vec<String> = (0..90).map(|n| format!("- The page must show item {n}")).collect();
    let made = asked("Items", &list.join("\n"));
    assert_eq!(made.requirements.len(), 40);
    assert!(made.open_questions.iter().any(|q| q.starts_with("50 further items")), "{made:?}");
}

#[test]
fn a_remark_becomes_a_requirement_and_a_refused_text_is_said_again() {
    let finding = |rule: &str, message: &str, place: &str| Finding {
        rule: rule.into(),
        severity: Severity::Hard,
        passed: false,
        skipped: false,
        message: message.into(),
        place: place.into(),
        mend: String::new(),
    };
    let request = Request { title: "", description: "Add dark mode" };
    let remark = finding("person.rejected", "The theme must follow the system setting", "");
    let refused = finding("requirements.ears", "no", "/requirements/0/text");
    let before = requirements(&request, &Explore::default(), &[]);
    let after = requirements(&request, &Explore::default(), &[remark, refused]);
    let has = |made: &Requirements, text: &str| made.requirements.iter().any(|r| r.text == text);
    let wanted = "The theme SHALL follow the system setting.";
    assert!(has(&after, wanted) && !has(&before, wanted), "{after:#?}");
    assert_ne!(before.requirements[0].text, after.requirements[0].text);
}

#[test]
fn the_plan_names_real_files_and_conventional_new_ones() {
    for (files, core, test, wired) in [
        (repos::AXUM, "src/rate_limit.rs", "tests/rate_limit.rs", "src/routes.rs"),
        (
            repos::EXPRESS,
            "src/middleware/rateLimit.ts",
            "src/middleware/rateLimit.test.ts",
            "src/routes/cartRoutes.ts",
        ),
        (
            repos::GO,
            "internal/server/rate_limit.go",
            "internal/server/rate_limit_test.go",
            "cmd/links/main.go",
        ),
        (
            repos::SPRING,
            "src/main/java/org/acme/RateLimit.java",
            "src/test/java/org/acme/RateLimitTest.java",
            "src/main/java/org/acme/InvoiceController.java",
        ),
    ] {
        let folder = repos::lay(files);
        let request = Request { title: "", description: "Add rate limiting to the public API" };
        let found = explore(folder.path(), &request).unwrap();
        let wanted = requirements(&request, &found, &[]);
        let drawn = design(folder.path(), &request, &found, &wanted, &[]).unwrap();
        let planned = tasks(folder.path(), &found, &wanted, &drawn, &[]).unwrap();
        assert_eq!(drawn.components[0].path.as_deref(), Some(core));
        let made =
            |path: &str| planned.tasks.iter().any(|t| t.files_create.iter().any(|f| f == path));
        let changed = planned.tasks.iter().any(|t| t.files_modify.iter().any(|f| f == wired));
        assert!(made(core) && made(test) && changed, "{core}: {planned:#?}");
        let documents = planned.tasks.iter().filter(|task| task.kind == TaskKind::Document);
        assert_eq!(documents.count(), 1);
        assert!(drawn.overview.contains(NOTICE));
        assert!(planned.tickets[0].description.as_ref().unwrap().contains(NOTICE));
    }
}

#[test]
fn a_fault_is_mended_where_it_is() {
    let folder = repos::lay(repos::FASTAPI);
    let request = Request { title: "", description: "list_posts crashes when there are no posts" };
    let found = explore(folder.path(), &request).unwrap();
    let wanted = requirements(&request, &found, &[]);
    let drawn = design(folder.path(), &request, &found, &wanted, &[]).unwrap();
    assert_eq!(drawn.components[0].path.as_deref(), Some("app/routers/posts.py"));
}

#[test]
fn word_lists_that_are_searched_are_sorted() {
    assert!(tokens::list_is_sorted());
    assert!(tokens::is_stop("your") && grammar::is_base_verb("write"));
}

#[test]
fn stems_meet() {
    for words in [["limiter", "limiting"], ["caches", "caching"], ["logged", "logs"]] {
        assert_eq!(tokens::stem(words[0]), tokens::stem(words[1]), "{words:?}");
    }
    assert_eq!(tokens::words("getHTTPStatus_code"), ["get", "http", "status", "code"]);
}
