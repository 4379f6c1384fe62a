//! Splits prose into sentences.

use super::grammar;

/// Ends that are no end of a sentence.
const ABBREVIATIONS: &[&str] =
    &["e.g", "i.e", "etc", "vs", "cf", "approx", "no", "mr", "mrs", "dr"];

/// The sentences of a paragraph, trimmed, without their final full stop.
pub(super) fn sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut start = 0;
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    for (at, (offset, c)) in chars.iter().enumerate() {
        let next = chars.get(at + 1).map(|(_, c)| *c);
        let is_wide = matches!(c, '。' | '！' | '？');
        let ends = matches!(c, '.' | '!' | '?') && next.is_none_or(char::is_whitespace);
        let is_short = *c == '.' && is_abbreviation(&text[start..*offset]);
        if (ends && !is_short) || is_wide || *c == '\n' {
            let end = offset + c.len_utf8();
            push(&mut sentences, &text[start..end]);
            start = end;
        }
    }
    push(&mut sentences, &text[start..]);
    for index in 1..sentences.len() {
        if let Some(resolved) = resolve(&sentences[index - 1], &sentences[index]) {
            sentences[index] = resolved;
        }
    }
    sentences
}

/// A sentence that begins with "They", said of the people that the one before begins with; an "it"
/// in it is then what that one ends with.
fn resolve(before: &str, sentence: &str) -> Option<String> {
    let rest = sentence.strip_prefix("They ")?;
    let people = before.split(' ').next().filter(|word| grammar::is_people(word))?;
    let words: Vec<&str> = before.split(' ').collect();
    let object = match words[..] {
        [.., article @ ("their" | "the" | "a" | "an"), noun] => format!("{article} {noun}"),
        _ => "it".to_owned(),
    };
    let words = rest.split(' ').map(|word| if word == "it" { object.as_str() } else { word });
    Some(format!("{people} {}", words.collect::<Vec<_>>().join(" ")))
}

fn push(sentences: &mut Vec<String>, sentence: &str) {
    let sentence = sentence.trim().trim_end_matches(['.', '。', '!', '！', ';', ' ']);
    if sentence.chars().any(char::is_alphanumeric) {
        sentences.push(sentence.to_owned());
    }
}

fn is_abbreviation(before: &str) -> bool {
    let last = before.rsplit([' ', '(']).next().unwrap_or_default();
    ABBREVIATIONS.contains(&last.to_ascii_lowercase().as_str())
}
