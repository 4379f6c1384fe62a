//! Tests of the parser.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Sentence {
    parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn wrong(text: &str) -> EarsError {
    parse(text).expect_err(text)
}

fn kinds(sentence: &Sentence) -> Vec<(ClauseKind, &str)> {
    sentence.clauses.iter().map(|clause| (clause.kind, clause.text.as_str())).collect()
}

#[test]
fn ubiquitous() {
    let sentence = read("The gateway shall log every request.");
    assert_eq!(sentence.pattern, Pattern::Ubiquitous);
    assert_eq!(sentence.system, "The gateway");
    assert_eq!(sentence.response, "log every request");
    assert!(sentence.clauses.is_empty());
}

#[test]
fn each_single_clause_has_its_pattern() {
    for (text, pattern) in [
        ("WHEN a key is used, the gateway SHALL count it", Pattern::Event),
        ("While the limiter is on, the gateway shall count keys", Pattern::State),
        ("where Redis is configured, the gateway shall share counts", Pattern::Optional),
        ("If the store fails, then the gateway shall let requests pass", Pattern::Unwanted),
        ("If the store fails then the gateway shall let requests pass", Pattern::Unwanted),
        ("When a, when b, the gateway shall c", Pattern::Event),
    ] {
        assert_eq!(read(text).pattern, pattern, "{text}");
    }
}

#[test]
fn complex_is_more_than_one_kind() {
    let text = "Where Redis is set up, while the limiter is on, when a key, a token, or a cookie \
                comes in, the gateway shall count it.";
    let sentence = read(text);
    assert_eq!(sentence.pattern, Pattern::Complex);
    assert_eq!(
        kinds(&sentence),
        [
            (ClauseKind::Where, "Redis is set up"),
            (ClauseKind::While, "the limiter is on"),
            (ClauseKind::When, "a key, a token, or a cookie comes in"),
        ]
    );
    assert_eq!(sentence.system, "the gateway");
    let sentence = read("While on, and if the store fails, then the gateway shall wait");
    assert_eq!(sentence.pattern, Pattern::Complex);
}

#[test]
fn words_of_the_grammar_inside_a_condition_are_only_words() {
    let sentence =
        read("When a user asks if they must log in then and will wait, the API shall say so");
    assert_eq!(sentence.pattern, Pattern::Event);
    assert_eq!(sentence.clauses[0].text, "a user asks if they must log in then and will wait");
    let sentence = read("If a user logs in and then out, then the API shall end the session");
    assert_eq!(sentence.clauses[0].text, "a user logs in and then out");
}

#[test]
fn another_modal_in_the_response_is_no_error() {
    let sentence = read("The API shall list the fields that must be set, when they can be set");
    assert_eq!(sentence.pattern, Pattern::Ubiquitous);
    assert_eq!(sentence.response, "list the fields that must be set, when they can be set");
}

#[test]
fn shall_not_is_shall() {
    assert_eq!(read("The API SHALL NOT log keys").response, "NOT log keys");
    assert_eq!(read("The API shall-not log keys").response, "not log keys");
}

#[test]
fn what_is_quoted_is_not_read() {
    let sentence = read("When the text \"it shall, if\" comes, the `shall` parser shall pass it");
    assert_eq!(sentence.system, "the `shall` parser");
    assert_eq!(sentence.pattern, Pattern::Event);
    read("The API shall answer with “you shall not pass”");
    read("The 19\" rack shall fit");
}

#[test]
fn commas_in_numbers_and_brackets_separate_nothing() {
    let sentence = read("When 1,000 keys (a, b, or c) come, the API shall stop");
    assert_eq!(sentence.clauses[0].text, "1,000 keys (a, b, or c) come");
    read("When keys (a, b come, the API shall stop");
}

#[test]
fn a_forgotten_comma_is_forgiven_where_an_article_shows_the_system() {
    let sentence = read("When the user logs in the portal shall greet them");
    assert_eq!(sentence.clauses[0].text, "the user logs in");
    assert_eq!(sentence.system, "the portal");
    assert_eq!(wrong("When users log in portal shall greet"), EarsError::NoSystem);
}

#[test]
fn a_missing_or_repeated_shall() {
    assert_eq!(wrong("The API counts requests"), EarsError::NoShall);
    assert_eq!(wrong("When a user will log in, the API logs it"), EarsError::NoShall);
    assert_eq!(wrong("The API shall a and shall b"), EarsError::SeveralShalls { count: 2 });
    assert_eq!(wrong("  . "), EarsError::Empty);
}

#[test]
fn another_modal_in_place_of_shall() {
    for (text, found) in [
        ("The API MUST count", "MUST"),
        ("When a user will log in, the API should log it", "should"),
        ("The API must reject requests that shall not pass", "must"),
        ("If x, then the API will stop", "will"),
    ] {
        assert_eq!(wrong(text), EarsError::WrongModal { found: found.into() }, "{text}");
    }
}

#[test]
fn if_needs_then() {
    assert_eq!(wrong("If the store fails, the API shall wait"), EarsError::MissingThen);
    assert_eq!(wrong("If the store fails, the API then shall wait"), EarsError::MissingThen);
    assert_eq!(read("When x comes, then the API shall wait").pattern, Pattern::Event);
}

#[test]
fn a_system_must_be_named() {
    for text in ["Shall wait", "When x, shall wait", "When x, it shall wait", "The shall wait"] {
        assert_eq!(wrong(text), EarsError::NoSystem, "{text}");
    }
    read("`gateway` shall wait");
}

#[test]
fn a_response_must_follow() {
    assert_eq!(wrong("The API shall"), EarsError::NoResponse);
    assert_eq!(wrong("The API shall not."), EarsError::NoResponse);
}

#[test]
fn clauses_have_an_order() {
    let out_of_order = |clause, after: &str| EarsError::OutOfOrder { clause, after: after.into() };
    assert_eq!(
        wrong("When x, while y, the API shall wait"),
        out_of_order(ClauseKind::While, "the WHEN clause")
    );
    for text in ["The API, when x, shall wait", "The API when ready shall wait"] {
        assert_eq!(wrong(text), out_of_order(ClauseKind::When, "the system"), "{text}");
    }
}

#[test]
fn clauses_have_content() {
    let empty = |clause| EarsError::EmptyClause { clause };
    assert_eq!(wrong("When, the API shall wait"), empty(ClauseKind::When));
    assert_eq!(wrong("While x, when , the API shall wait"), empty(ClauseKind::When));
    assert_eq!(wrong("If then the API shall wait"), empty(ClauseKind::If));
}

#[test]
fn other_openings_and_other_sentences_are_named() {
    let unknown = EarsError::UnknownOpening { found: "Whenever".into() };
    assert_eq!(wrong("Whenever x, the API shall wait"), unknown);
    let text = "Limits matter. When x, the API shall wait";
    assert_eq!(wrong(text), EarsError::SeveralSentences);
    assert_eq!(wrong("Limits matter. The API shall wait"), EarsError::SeveralSentences);
}

#[test]
fn unicode_is_text_like_any_other() {
    let sentence = read("Wenn-Dienst “Ü” shall größer, 日本語。");
    assert_eq!(sentence.system, "Wenn-Dienst “Ü”");
    assert_eq!(read("When 時刻 is up, the Größe-service shall stop").system, "the Größe-service");
}

#[test]
fn every_error_says_how_to_mend_it() {
    for text in ["", "a", "a shall b shall c", "a must", "If x, y shall z", "shall x", "a shall"] {
        assert!(wrong(text).mend().len() > 10, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn any_mix_of_the_grammars_words_is_read_without_a_panic(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "when", "WHILE", "if", "then", "where", "shall", "shall-not", "the", "and", ",",
                ", ", "\"", "“", "”", "(", ")", "é", "-", "x", ".", " ", "must", "`", "it",
            ]),
            0..24,
        ),
        gap in proptest::sample::select(vec!["", " "]),
    ) {
        let text = words.join(gap);
        if let Ok(sentence) = parse(&text) {
            prop_assert!(!sentence.system.is_empty() && !sentence.response.is_empty());
            prop_assert!(sentence.clauses.iter().all(|clause| !clause.text.is_empty()));
        }
    }

    #[test]
    fn what_is_put_together_comes_apart(
        condition in "[a-z]{1,8}( [a-z]{1,8}(, [b-d]{1,4})?){0,3}",
        system in "[A-Z][a-z]{3,8}",
        response in "[a-z]{1,8}( [a-z]{1,8}){0,3}",
    ) {
        prop_assume!(!condition.split([' ', ',']).any(is_grammar));
        prop_assume!(!response.split(' ').any(is_grammar));
        let sentence = parse(&format!("WHEN {condition}, the {system} SHALL {response}."));
        let sentence = sentence.map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(sentence.pattern, Pattern::Event);
        prop_assert_eq!(&sentence.clauses[0].text, &condition);
        prop_assert_eq!(sentence.system, format!("the {system}"));
        prop_assert_eq!(sentence.response, response);
    }
}

fn is_grammar(word: &str) -> bool {
    ["shall", "then", "where", "while", "when", "if"].contains(&word)
}
