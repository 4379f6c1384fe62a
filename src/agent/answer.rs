//! An agent's answer, as models give it: one JSON object, bare, in a code fence, or with a word
//! before and after. What could mean two things is refused, and said so.

use serde_json::value::RawValue;
use specline_aggregates::RawJson;
use specline_aggregates::spec::MAX_OUTPUT_BYTES;

use super::AgentError;

/// How much of a bad answer is shown, in characters.
const SHOWN_CHARS: usize = 300;

const FENCE: &str = "```";

/// The one JSON object of an answer.
pub(super) fn parse(bytes: &[u8]) -> Result<RawJson, AgentError> {
    let invalid = |message: String| Err(AgentError::InvalidOutput(message));
    if bytes.len() > MAX_OUTPUT_BYTES {
        return Err(too_long());
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return invalid("the answer is not UTF-8 text; it must be one JSON object".to_owned());
    };
    let text = without_colour(text.strip_prefix('\u{feff}').unwrap_or(text).trim());
    if text.is_empty() {
        return invalid("the agent answered nothing; it must answer one JSON object".to_owned());
    }
    let error = match RawJson::parse(text.to_owned()) {
        Ok(output) => return Ok(output),
        Err(error) => error,
    };
    let fenced = in_fences(text);
    let found = if fenced.is_empty() { in_lines(text) } else { fenced };
    match <[&str; 1]>::try_from(found) {
        Ok([one]) => RawJson::parse(one.to_owned())
            .map_err(|error| AgentError::InvalidOutput(format!("the answer: {error}"))),
        Err(none) if none.is_empty() => {
            let shown: String = text.chars().take(SHOWN_CHARS).collect();
            invalid(format!(
                "the answer is not valid JSON ({error}); it must be one JSON object and nothing \
                 else. It began with: {shown}"
            ))
        }
        Err(many) => invalid(format!(
            "the answer has {} JSON objects, and it is not said which is meant; it must be one and \
             nothing else",
            many.len()
        )),
    }
}

/// The text between a terminal's colours, where all of it is coloured.
fn without_colour(text: &str) -> &str {
    let colour = |text: &str| {
        let codes = text.strip_prefix("\u{1b}[")?;
        let end = codes.find(|c: char| !c.is_ascii_digit() && c != ';')?;
        codes[end..].starts_with('m').then_some(end + 3)
    };
    let mut text = text;
    while let Some(length) = colour(text) {
        text = text[length..].trim_start();
    }
    while let Some(at) = text.rfind("\u{1b}[")
        && colour(&text[at..]) == Some(text.len() - at)
    {
        text = text[..at].trim_end();
    }
    text
}

pub(super) fn too_long() -> AgentError {
    AgentError::InvalidOutput(format!("the answer is longer than {MAX_OUTPUT_BYTES} bytes"))
}

/// The objects that each fill a code fence.
fn in_fences(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(block) = next_fence(&mut rest) {
        if object_at(block).is_some_and(|object| object.len() == block.len()) {
            found.push(block);
        }
    }
    found
}

/// What stands in the next fence, without its first line, which names a language.
fn next_fence<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let from = fence(rest)?;
    let after = rest.get(from + FENCE.len()..)?;
    let begin = after.find('\n')? + 1;
    let inside = after.get(begin..)?;
    let end = fence(inside)?;
    *rest = inside.get(end + FENCE.len()..)?;
    Some(inside.get(..end)?.trim())
}

/// A fence begins a line: one inside a text of JSON does not.
fn fence(text: &str) -> Option<usize> {
    text.match_indices(FENCE).map(|(at, _)| at).find(|at| {
        let line = text[..*at].rsplit('\n').next().unwrap_or_default();
        line.trim().is_empty()
    })
}

/// The objects that begin a line of a text without fences, each from its beginning to its end.
/// Where one is broken, what lies inside it is not what was meant.
fn in_lines(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(line) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        let taken = match object_at(&line[indent..]) {
            Some(object) => {
                found.push(object);
                indent + object.len()
            }
            None if line[indent..].starts_with('{') => return Vec::new(),
            None => 0,
        };
        let next = line[taken..].find('\n').map_or(line.len(), |end| taken + end + 1);
        at += next;
    }
    found
}

/// The object that `text` begins with.
fn object_at(text: &str) -> Option<&str> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let object = text.starts_with('{').then(|| values.next())?.and_then(Result::ok)?;
    Some(object.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str = "{\n \"summary\": \"a ``` and a { in a text\",\n \"n\": 1.50\n}";

    #[test]
    fn one_object_is_found_however_it_is_given() {
        for answer in [
            OBJECT.to_owned(),
            format!("\u{feff}{OBJECT}\n"),
            format!("\u{1b}[0;32m{OBJECT}\u{1b}[0m\n"),
            format!("```json\n{OBJECT}\n```"),
            format!("```\n{OBJECT}\n```\n"),
            format!("Here is the output:\n\n{OBJECT}"),
            format!("{OBJECT}\n\nLet me know if you want changes."),
            format!("<thinking>\nfirst {{a: 1}}\n</thinking>\n```json\n{OBJECT}\n```\nDone."),
            format!("I ran this:\n```sh\nls\n```\nand found\n```json\n{OBJECT}\n```"),
        ] {
            let parsed = parse(answer.as_bytes()).unwrap_or_else(|e| panic!("{answer}: {e}"));
            assert_eq!(parsed.text(), OBJECT, "{answer}");
        }
    }

    #[test]
    fn what_may_mean_two_things_is_refused_and_said() {
        for (answer, word) in [
            (format!("```json\n{OBJECT}\n```\nor\n```json\n{OBJECT}\n```"), "2 JSON objects"),
            (format!("{{\"type\":\"system\"}}\n{OBJECT}"), "2 JSON objects"),
            ("{ // mine\n\"a\": 1}".to_owned(), "not valid JSON"),
            ("{\"a\": 1,}".to_owned(), "not valid JSON"),
            (format!("{{\"a\":\n{OBJECT},\n}}"), "not valid JSON"),
            ("```json\n{\"a\": 1\n```".to_owned(), "not valid JSON"),
            ("I could not do it.".to_owned(), "I could not do it."),
            ("   ".to_owned(), "answered nothing"),
        ] {
            let said = parse(answer.as_bytes()).unwrap_err().to_string();
            assert!(said.contains(word), "{answer}: {said}");
        }
    }

    /// Each line begins what might be an object, and goes on to the end.
    #[test]
    fn a_long_answer_that_is_none_is_not_looked_at_for_ever() {
        let open = "{\"a\":\n".repeat(100_000);
        assert!(parse(open.as_bytes()).is_err());
    }
}
