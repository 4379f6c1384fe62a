//! Reads a request as Markdown: headings, lists with their sub-lists, paragraphs and scenarios.
//! Code blocks, tables, images, comments and the targets of links are left out.

use super::item::{self, Item, Section};
use super::prose;

/// The items of a request, in order.
pub(super) fn items(text: &str) -> Vec<Item> {
    let mut reader = Reader::default();
    for line in prose_lines(text) {
        reader.line(&line);
    }
    reader.end_paragraph();
    reader.items
}

/// The text without code and markup, a line each.
pub(super) fn prose(text: &str) -> String {
    let lines = prose_lines(text);
    let plain = lines.iter().map(|line| inline(line.trim_start_matches(['#', '>', ' '])));
    plain.collect::<Vec<_>>().join("\n")
}

fn prose_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut fence: Option<&str> = None;
    let mut is_comment = false;
    for line in text.lines() {
        let trimmed = line.trim_start();
        if let Some(mark) = fence {
            fence = (!trimmed.starts_with(mark)).then_some(mark);
            continue;
        }
        fence = ["```", "~~~"].into_iter().find(|mark| trimmed.starts_with(mark));
        is_comment |= trimmed.starts_with("<!--");
        let is_left_out = fence.is_some() || is_comment || trimmed.starts_with('|');
        is_comment &= !trimmed.contains("-->");
        if !is_left_out {
            lines.push(line.replace('\t', "    "));
        }
    }
    lines
}

/// Plain text of inline Markdown: links become their text, marks and images go.
pub(super) fn inline(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        let is_image = rest[..at].ends_with('!');
        let link = rest[at + 1..].split_once("](").and_then(|(label, after)| {
            let (_, tail) = after.split_once(')')?;
            (!label.contains(['[', ']'])).then_some((label, tail))
        });
        let Some((label, tail)) = link else {
            out.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
            continue;
        };
        out.push_str(rest[..at].trim_end_matches('!'));
        if !is_image {
            out.push_str(label);
        }
        rest = tail;
    }
    out.push_str(rest);
    let no_marks: String = out.replace("**", "").replace("__", "").replace(['`', '*'], "");
    let words = no_marks.split_whitespace().filter(|w| !w.contains("://"));
    words.filter(|w| *w != "<br>").collect::<Vec<_>>().join(" ")
}

#[derive(Default)]
struct Reader {
    items: Vec<Item>,
    section: Option<Section>,
    /// Indentation and index of the last entry of each open list level.
    open: Vec<(usize, usize)>,
    /// Index of the item whose criteria the following entries are.
    criteria_of: Option<usize>,
    paragraph: String,
    heading: Option<String>,
}

impl Reader {
    fn section(&self) -> Section {
        self.section.unwrap_or(Section::Wanted)
    }

    fn line(&mut self, line: &str) {
        let trimmed = line.trim();
        let indent = line.len() - line.trim_start().len();
        if trimmed.is_empty() || trimmed.chars().all(|c| matches!(c, '-' | '=' | '*' | '_')) {
            self.end_paragraph();
        } else if trimmed.starts_with('#') {
            self.end_paragraph();
            self.heading(&inline(trimmed.trim_start_matches('#')));
        } else if let Some(entry) = list_entry(trimmed) {
            self.end_paragraph();
            self.entry(indent, entry);
        } else if let Some(&(_, index)) = self.open.last().filter(|(at, _)| indent > *at) {
            self.continuation(index, trimmed);
        } else if let Some(section) = label_section(trimmed) {
            self.end_paragraph();
            let is_criteria = section == Section::Acceptance && !self.items.is_empty();
            self.criteria_of = is_criteria.then(|| self.items.len() - 1);
            self.section = (!is_criteria).then_some(section).or(self.section);
            self.open.clear();
        } else {
            self.open.clear();
            let is_step = ["scenario", "given ", "when ", "then ", "and "]
                .iter()
                .any(|word| trimmed.to_ascii_lowercase().starts_with(word));
            let separator = if is_step && !self.paragraph.is_empty() { " \n" } else { " " };
            self.paragraph.push_str(separator);
            self.paragraph.push_str(trimmed.trim_start_matches(['>', ' ']));
        }
    }

    fn heading(&mut self, text: &str) {
        self.open.clear();
        let section = section_of(text);
        let is_criteria = section == Some(Section::Acceptance);
        let before = self.items.len().checked_sub(1);
        let is_own = before.is_some_and(|at| self.items[at].section == Section::Wanted);
        self.criteria_of = before.filter(|_| is_criteria && is_own && self.heading.is_some());
        self.heading = match section {
            None => Some(text.to_owned()),
            Some(_) => self.heading.take().filter(|_| is_criteria),
        };
        self.section = section.or(Some(Section::Wanted));
    }

    fn entry(&mut self, indent: usize, text: &str) {
        while self.open.last().is_some_and(|(at, _)| *at >= indent) {
            self.open.pop();
        }
        let plain = inline(text);
        let parent = self.open.last().map(|(_, index)| *index);
        if label_section(&plain) == Some(Section::Acceptance) {
            self.criteria_of = parent.or_else(|| self.items.len().checked_sub(1));
            return;
        }
        let is_group = parent.is_some_and(|at| self.items[at].text.ends_with(':'));
        let target = match (parent, self.criteria_of) {
            (Some(parent), _) if !is_group => Some(parent),
            (_, Some(of)) if parent.is_none() || is_group => {
                Some(of).filter(|_| indent > 0 || self.section() == Section::Acceptance)
            }
            _ => None,
        };
        if let Some(target) = target.filter(|at| *at < self.items.len()) {
            self.items[target].criteria.push(plain);
            return;
        }
        self.criteria_of = None;
        if plain.chars().any(char::is_alphanumeric) {
            let mut item = Item::new(plain, self.section());
            item.is_listed = true;
            item.label = bold_label(text);
            item.scenario = item::gherkin(&item.text);
            self.items.push(item);
            self.open.push((indent, self.items.len() - 1));
        }
    }

    /// A further line of a list entry.
    fn continuation(&mut self, index: usize, line: &str) {
        let plain = inline(line);
        if label_section(&plain) == Some(Section::Acceptance) {
            self.criteria_of = Some(index);
        } else if item::gherkin(&plain).is_some() || !self.items[index].criteria.is_empty() {
            self.items[index].criteria.push(plain);
        } else {
            let item = &mut self.items[index];
            item.text = format!("{} {plain}", item.text);
            item.scenario = item::gherkin(&item.text);
        }
    }

    fn end_paragraph(&mut self) {
        let text = std::mem::take(&mut self.paragraph);
        let plain = inline(&text);
        if !plain.chars().any(char::is_alphanumeric) {
            return;
        }
        let is_scenarios = text.to_ascii_lowercase().contains("\nthen ")
            || item::gherkin(&plain).is_some_and(|g| !g.given.is_empty());
        if is_scenarios && let Some(scenario) = item::gherkin(&plain) {
            if let Some(of) = self.criteria_of {
                self.items[of].criteria.push(plain);
                return;
            }
            let mut item = Item::new(plain, self.section());
            item.scenario = Some(scenario);
            item.label.clone_from(&self.heading);
            self.items.push(item);
            return;
        }
        if let (Some(of), Section::Acceptance) = (self.criteria_of, self.section()) {
            self.items[of].criteria.push(plain);
            return;
        }
        let is_story = plain.to_ascii_lowercase().starts_with("as a");
        let sentences = if is_story { vec![plain] } else { prose::sentences(&plain) };
        for sentence in sentences {
            let mut item = Item::new(sentence, self.section());
            item.label = self.heading.clone().filter(|_| is_story);
            self.items.push(item);
        }
        self.criteria_of = None;
    }
}

/// The text of a list entry, without its mark and check box.
fn list_entry(line: &str) -> Option<&str> {
    let bullets = ["- ", "* ", "+ ", "• ", "– "];
    let rest = bullets.iter().find_map(|mark| line.strip_prefix(mark)).or_else(|| {
        let n_digits = line.bytes().take_while(u8::is_ascii_digit).count();
        let rest = line.get(n_digits..).filter(|_| n_digits > 0 && n_digits < 4)?;
        rest.strip_prefix(". ").or_else(|| rest.strip_prefix(") "))
    })?;
    let rest = rest.trim_start();
    let boxes = ["[ ] ", "[x] ", "[X] "];
    Some(boxes.iter().find_map(|mark| rest.strip_prefix(mark)).unwrap_or(rest))
}

/// A short bold start, such as `**Export**: …`.
fn bold_label(text: &str) -> Option<String> {
    let (label, _) = text.trim().strip_prefix("**")?.split_once("**")?;
    let label = label.trim_end_matches([':', '.']).trim();
    let n_words = label.split_whitespace().count();
    (n_words > 0 && n_words <= 8).then(|| label.to_owned())
}

/// `Acceptance criteria:` and its like, standing as a line of their own.
fn label_section(line: &str) -> Option<Section> {
    let plain = inline(line);
    let label = plain.strip_suffix(':').or_else(|| {
        plain.to_ascii_lowercase().starts_with("acceptance criteria").then_some(plain.as_str())
    })?;
    (label.split_whitespace().count() <= 4).then(|| section_of(label)).flatten()
}

fn section_of(heading: &str) -> Option<Section> {
    let heading = heading.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| heading.contains(word));
    if has(&["acceptance", "definition of done", "success criteria"]) {
        Some(Section::Acceptance)
    } else if has(&["out of scope", "non-goal", "non goal", "not in scope", "won't"]) {
        Some(Section::OutOfScope)
    } else if has(&["assumption"]) {
        Some(Section::Assumption)
    } else if has(&["question", "unclear", "to be decided"]) {
        Some(Section::Question)
    } else if has(&[
        "background",
        "context",
        "motivation",
        "overview",
        "introduction",
        "notes",
        "reference",
        "links",
        "summary",
        "why",
        "problem",
    ]) {
        Some(Section::Context)
    } else if has(&["requirement", "stories", "features", "goals", "scope", "must have", "behavio"])
    {
        Some(Section::Wanted)
    } else {
        None
    }
}
