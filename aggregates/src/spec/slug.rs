//! A title as the name of a folder.

/// Longest slug, in characters.
const MAX_SLUG_CHARS: usize = 60;

/// Lower-case words of `title` joined by dashes; `spec` when it has none. Letters of any script
/// stay, everything else is a break.
#[must_use]
pub fn slug(title: &str) -> String {
    let mut slug = String::new();
    for word in title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let word = word.to_lowercase();
        let room = MAX_SLUG_CHARS.saturating_sub(slug.chars().count() + 1);
        if slug.is_empty() {
            slug.extend(word.chars().take(MAX_SLUG_CHARS));
        } else if word.chars().count() <= room {
            slug.push('-');
            slug.push_str(&word);
        } else {
            break;
        }
    }
    if slug.is_empty() { "spec".to_owned() } else { slug }
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn keeps_words_and_drops_the_rest() {
        assert_eq!(
            slug("Add rate limiting, to the PUBLIC API!"),
            "add-rate-limiting-to-the-public-api"
        );
        assert_eq!(slug("../../etc/passwd"), "etc-passwd");
        assert_eq!(slug("¿¡ !"), "spec");
        assert_eq!(slug("Größe ändern"), "größe-ändern");
    }

    #[test]
    fn is_bounded() {
        let long = slug(&"word ".repeat(100));
        assert!(long.chars().count() <= 60 && !long.ends_with('-'), "{long}");
        assert_eq!(slug(&"x".repeat(300)).len(), 60);
    }
}
