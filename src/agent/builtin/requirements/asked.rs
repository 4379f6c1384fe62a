//! What the request itself asks for.

use super::super::ears::Ears;
use super::super::item::{Item, Section};
use super::super::sentence::{self, Reading};
use super::super::{Request, criteria, draft, feature, markdown, modal};
use super::{Draft, MAX_REQUIREMENTS, judge};

/// Items read at most; the rest is counted.
const MAX_ITEMS: usize = 400;

/// The request, read.
#[derive(Debug, Default)]
pub(in super::super) struct Asked {
    pub(super) drafts: Vec<Draft>,
    pub(super) assumptions: Vec<String>,
    pub(super) out_of_scope: Vec<String>,
    pub(super) questions: Vec<String>,
    pub(super) vague_words: Vec<String>,
    pub(super) n_beyond: usize,
    /// So short that failure and limits have to be thought of.
    pub(super) is_short: bool,
}

impl Asked {
    /// Reads the request, and then the remarks on an earlier attempt.
    pub(super) fn read(request: &Request<'_>, remarks: &[&str]) -> Self {
        let mut asked = Self::default();
        let description = request.description.trim();
        let body = if description.is_empty() { request.title } else { description };
        let items = markdown::items(body);
        let wanted = asked.sort(items);
        for item in wanted {
            asked.take(&item);
        }
        if asked.drafts.is_empty() {
            let mut item = Item::new(feature::name(request), Section::Wanted);
            asked.take(&item);
            if asked.drafts.is_empty() {
                item.text = format!("provide an answer to this: {}", feature::name(request));
                asked.push(&item, Ears::plain("", item.text.clone()));
            }
        }
        asked.is_short = asked.drafts.len() <= 2;
        for remark in remarks {
            for item in markdown::items(remark) {
                asked.take(&item);
            }
        }
        asked
    }

    /// Puts aside what asks for nothing, and returns the rest.
    fn sort(&mut self, items: Vec<Item>) -> Vec<Item> {
        let mut wanted = Vec::new();
        for item in items {
            match item.section {
                Section::OutOfScope => self.out_of_scope.push(sentence_case(&item.text)),
                Section::Assumption => self.assumptions.push(sentence_case(&item.text)),
                Section::Question => self.questions.push(question(&item.text)),
                Section::Wanted | Section::Acceptance => wanted.push(item),
                Section::Context if item.is_listed && asks(&item) => wanted.push(item),
                Section::Context => {}
            }
        }
        wanted.retain(|item| !item.text.ends_with(':'));
        let has_list = wanted.iter().any(|item| item.is_listed || item.scenario.is_some());
        let any_asks = wanted.iter().any(asks);
        wanted.retain(|item| {
            let is_strict = has_list || any_asks;
            item.is_listed || item.scenario.is_some() || !is_strict || asks(item)
        });
        if wanted.len() > MAX_ITEMS {
            self.n_beyond += wanted.len() - MAX_ITEMS;
            wanted.truncate(MAX_ITEMS);
        }
        wanted
    }

    fn take(&mut self, item: &Item) {
        if self.drafts.len() >= MAX_REQUIREMENTS {
            self.n_beyond += 1;
            return;
        }
        if let Some(scenario) = &item.scenario {
            self.take_scenario(item, scenario);
            return;
        }
        match sentence::read(&item.text) {
            Reading::Question(question) => {
                self.questions.push(draft::shorten(&sentence_case(&question), 300));
            }
            Reading::Asked(ears) => {
                if !draft::shorten(&item.text, 600).eq(&item.text) {
                    let start = draft::shorten(&item.text, 60);
                    self.questions
                        .push(format!("A long sentence was cut: \"{start} …\". Is it one wish?"));
                }
                if ears.response.contains('«') {
                    let start = draft::shorten(&item.text, 60);
                    self.questions.push(format!(
                        "\"{start}\" was not read as English: how is it said as one EARS sentence?"
                    ));
                }
                self.push(item, ears);
            }
        }
    }

    fn take_scenario(&mut self, item: &Item, scenario: &super::super::item::Gherkin) {
        let Reading::Asked(then) = sentence::read(&scenario.then) else { return };
        let mut ears = then;
        ears.event = Some(draft::uncapital(&scenario.when));
        ears.unwanted = None;
        let given = draft::uncapital(&scenario.given);
        ears.state = Some(given).filter(|given| !given.is_empty());
        self.push(item, ears);
    }

    fn push(&mut self, item: &Item, mut ears: Ears) {
        let written = judge::priority_word(&item.text);
        for word in ears.tidy() {
            if !self.vague_words.contains(&word) {
                self.vague_words.push(word);
            }
        }
        if !ears.is_sound() {
            ears = self.plainest(&item.text);
        }
        let criteria = criteria::of(&ears, &item.criteria, item.scenario.as_ref());
        let category = judge::category(&ears.text());
        self.drafts.push(Draft {
            title: judge::title(item.label.as_deref(), &ears),
            criteria,
            priority: written.unwrap_or_else(|| judge::priority(category, &ears)),
            category,
            ears,
            is_unsaid: false,
        });
    }

    /// For a text that is no sentence: the text itself, quoted, so that no word of it is read.
    fn plainest(&self, text: &str) -> Ears {
        let quoted = draft::shorten(&text.replace(['«', '»', '"', '`', '“', '”'], ""), 120);
        let ears = Ears::plain("", format!("provide what the request states as «{quoted}»"));
        if ears.is_sound() && quoted.chars().any(char::is_alphanumeric) {
            return ears;
        }
        let number = self.drafts.len() + 1;
        Ears::plain("", format!("provide item {number} of the request"))
    }
}

fn sentence_case(text: &str) -> String {
    let text = draft::capital(text.trim());
    if text.ends_with(['.', '?', '!']) { text } else { format!("{text}.") }
}

fn question(text: &str) -> String {
    let text = draft::capital(text.trim().trim_end_matches('.'));
    if text.ends_with('?') { text } else { format!("{text}?") }
}

/// Whether a sentence of prose asks for something, rather than tells a story.
fn asks(item: &Item) -> bool {
    modal::asks(&item.text)
}
