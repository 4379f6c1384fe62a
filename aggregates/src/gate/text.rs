//! Small questions about texts that several rules ask.

/// Words in lower case, one space between them: two texts that differ in case, white space or
/// punctuation only become equal. Symbols mean something: `<` and `>`, C and C++, 5 and -5.
pub(super) fn normalised(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    let words = text.split_whitespace().map(|word| word.trim_matches(is_punctuation));
    for word in words.filter(|word| !word.is_empty()) {
        if !normal.is_empty() {
            normal.push(' ');
        }
        normal.extend(word.chars().flat_map(char::to_lowercase));
    }
    normal
}

/// What stands around words and is none of them.
const fn is_punctuation(c: char) -> bool {
    matches!(
        c,
        '.' | ','
            | ';'
            | ':'
            | '!'
            | '?'
            | '"'
            | '\''
            | '`'
            | '('
            | ')'
            | '['
            | ']'
            | '–'
            | '—'
            | '…'
            | '“'
            | '”'
            | '„'
            | '‘'
            | '’'
            | '«'
            | '»'
            | '、'
            | '。'
            | '，'
            | '；'
            | '：'
            | '！'
            | '？'
            | '「'
            | '」'
            | '¿'
            | '¡'
            | '*'
            | '_'
    )
}

pub(super) fn is_blank(text: &str) -> bool {
    !text.chars().any(char::is_alphanumeric)
}

/// Characters, without the white space around.
pub(super) fn length(text: &str) -> usize {
    text.trim().chars().count()
}

/// `text`, cut to what fits into a message.
pub(super) fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Whether `id` is `prefix` and then letters, digits or dashes.
pub(super) fn is_id(prefix: &str, id: &str) -> bool {
    id.strip_prefix(prefix).is_some_and(|rest| {
        rest.contains(|c: char| c.is_ascii_alphanumeric())
            && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    })
}

/// The words outside quotation marks and backticks, in lower case.
pub(super) fn plain_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (n, part) in text.split(['"', '`', '“', '”']).enumerate() {
        if n % 2 == 0 {
            let split = part.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'));
            words.extend(split.filter(|word| !word.is_empty()).map(str::to_lowercase));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalising_drops_case_space_and_punctuation_only() {
        assert_eq!(normalised("  The API,\n shall: STOP. "), normalised("the api shall stop"));
        assert_ne!(normalised("a b"), normalised("ab"));
        assert_eq!(normalised("Größe"), "größe");
        assert_eq!(normalised("It stops — \"at once\" (always)."), "it stops at once always");
        for (one, other) in [
            ("WHEN it is < 0, it stops", "WHEN it is > 0, it stops"),
            ("it is > the last", "it is >= the last"),
            ("a C file", "a C++ file"),
            ("the user enters `&&`", "the user enters `||`"),
            ("it is -5 °C", "it is 5 °C"),
            ("version 1.5", "version 15"),
        ] {
            assert_ne!(normalised(one), normalised(other), "{one}");
        }
    }

    #[test]
    fn ids_have_a_prefix_and_something_after_it() {
        for good in ["REQ-1", "REQ-API-02", "REQ-a"] {
            assert!(is_id("REQ-", good), "{good}");
        }
        for bad in ["REQ-", "REQ--", "req-1", "REQ-1 ", "REQ-ü", "REQ_1", "TSK-1", "REQ-a/b"] {
            assert!(!is_id("REQ-", bad), "{bad}");
        }
    }

    #[test]
    fn quoted_words_are_left_out() {
        assert_eq!(
            plain_words("Be `fast` and \"easy going\", user-friendly"),
            ["be", "and", "user-friendly"]
        );
    }
}
