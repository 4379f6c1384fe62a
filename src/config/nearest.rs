//! The known name that a mistyped one is nearest to.

/// Letters that may differ, at most, in a name that is offered.
const MAX_DIFFERENCE: usize = 3;

/// The nearest of `known` to `name`, if one is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    // The right word under the wrong heading is nearer than any misspelling.
    let scored = known.map(|key| {
        let apart = distance(name, key);
        (if last(name) == last(key) { apart.min(1) } else { apart }, key)
    });
    let best = scored.min_by_key(|(apart, _)| *apart)?;
    (best.0 <= MAX_DIFFERENCE).then_some(best.1)
}

/// Letters to add, drop or change, to come from `a` to `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let changed = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn what_was_meant_is_found() {
        let known = ["server.listen", "server.tls_key", "log.level", "store.url"];
        let of = |name| nearest(name, known.into_iter());
        assert_eq!(of("server.lisen"), Some("server.listen"));
        assert_eq!(of("listen"), Some("server.listen"));
        assert_eq!(of("log.lvel"), Some("log.level"));
        assert_eq!(of("colour.of.buttons"), None);
    }
}
