//! Masks known secrets in whatever leaves a sandbox: in texts, and in the texts inside JSON, whose
//! names and numbers stay as they are.

use std::sync::{Arc, PoisonError, RwLock};

/// What stands in a secret's place.
const STARS: &str = "***";

/// A shorter value is not masked: it would stand in innocent text.
const MIN_SECRET_BYTES: usize = 6;

/// From this length on a value that looks drawn by chance is taken for a secret, whatever its name.
const MIN_DRAWN_BYTES: usize = 20;

/// Parts of a variable's name that say its value is a secret.
const SECRET_WORDS: [&str; 14] = [
    "KEY",
    "APIKEY",
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASS",
    "PASSPHRASE",
    "PAT",
    "PIN",
    "CREDENTIAL",
    "CREDENTIALS",
    "AUTH",
    "COOKIE",
];

/// The secrets of one sandbox. Clones share what they learn. It has no `Debug`.
#[derive(Clone, Default)]
pub struct Mask {
    secrets: Arc<RwLock<Vec<String>>>,
}

impl Mask {
    /// Masks `secrets`, as they are and as they look inside JSON.
    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mask = Self::default();
        mask.learn(secrets);
        mask
    }

    /// Masks these too from now on.
    pub fn learn(&self, secrets: impl IntoIterator<Item = String>) {
        let mut all = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        for secret in secrets.into_iter().filter(|secret| secret.len() >= MIN_SECRET_BYTES) {
            let quoted = serde_json::Value::String(secret.clone()).to_string();
            all.extend([quoted.trim_matches('"').to_owned(), secret]);
        }
        // Longer ones first: one secret may hold another.
        all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        all.dedup();
    }

    /// Masks the values of those variables of this process that are secrets.
    pub fn learn_variables<'a>(&self, names: impl IntoIterator<Item = &'a String>) {
        let values = names.into_iter().filter_map(|name| Some((name, std::env::var(name).ok()?)));
        self.learn(values.filter(|(name, value)| is_secret(name, value)).map(|(_, value)| value));
    }

    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        for secret in self.secrets.read().unwrap_or_else(PoisonError::into_inner).iter() {
            if masked.contains(secret.as_str()) {
                masked = masked.replace(secret.as_str(), STARS);
            }
        }
        masked
    }

    /// Valid JSON with its string values masked; everything else stays byte for byte.
    #[must_use]
    pub fn apply_json(&self, json: &str) -> String {
        if !self.stands_in(json) {
            return json.to_owned();
        }
        let mut masked = String::with_capacity(json.len());
        let mut rest = json;
        while let Some(at) = rest.find('"') {
            let (before, from) = rest.split_at(at);
            let Some(end) = end_of_string(from) else { break };
            let (string, after) = from.split_at(end);
            let is_name = after.trim_start().starts_with(':');
            masked.push_str(before);
            masked.push_str(&if is_name { string.to_owned() } else { self.string(string) });
            rest = after;
        }
        masked.push_str(rest);
        masked
    }

    fn string(&self, quoted: &str) -> String {
        let Ok(text) = serde_json::from_str::<String>(quoted) else { return quoted.to_owned() };
        let masked = self.apply(&text);
        if masked == text {
            return quoted.to_owned();
        }
        serde_json::Value::String(masked).to_string()
    }

    /// Whether a look inside is worth it: a string may also hide a secret behind escapes.
    fn stands_in(&self, json: &str) -> bool {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        !secrets.is_empty()
            && (json.contains('\\') || secrets.iter().any(|secret| json.contains(secret.as_str())))
    }
}

/// Where the string that `text` begins with ends, behind its closing quote.
fn end_of_string(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Whether the variable's value is to be kept from people: its name says so, or it looks like a
/// key. A folder, a profile or a region is none, and stars in its place would spoil innocent text.
#[must_use]
pub fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let words = || name.split(|c: char| !c.is_ascii_alphanumeric());
    let named = words().any(|word| {
        let plain = word.trim_end_matches(|c: char| c.is_ascii_digit());
        SECRET_WORDS.contains(&plain)
            || plain.ends_with("TOKEN")
            || plain.ends_with("SECRET")
            || plain.ends_with("PASSWORD")
    });
    // A path or a list of such: AWS_SHARED_CREDENTIALS_FILE, SSH_AUTH_SOCK.
    let is_place = value.starts_with('/') || value.starts_with('~') || value.starts_with("./");
    (named && !is_place) || has_password(value) || looks_drawn(value)
}

/// `scheme://user:password@host`.
fn has_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

/// Letters and digits mixed, in one long word.
fn looks_drawn(value: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_+=.".contains(&b);
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
    value.len() >= MIN_DRAWN_BYTES && value.bytes().all(plain) && digits >= 4 && letters >= 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_plain_and_escaped() {
        let mask = Mask::new(["se\"cret-key".to_owned(), "abc".to_owned()]);
        assert_eq!(mask.apply("a se\"cret-key b"), "a *** b");
        assert_eq!(mask.apply("abc"), "abc", "too short to be told from innocent text");
        assert_eq!(mask.apply_json(r#"{"k":"se\"cret-key"}"#), r#"{"k":"***"}"#);
        assert_eq!(mask.apply_json(r#"{"k":"\u0073e\"cret\u002dkey"}"#), r#"{"k":"***"}"#);
    }

    #[test]
    fn names_and_numbers_of_json_stay() {
        let mask = Mask::new(["summary".to_owned(), "123456".to_owned()]);
        let json = r#"{ "summary" : "a summary", "n": 123456, "list":["123456", 1.50] }"#;
        let masked = r#"{ "summary" : "a ***", "n": 123456, "list":["***", 1.50] }"#;
        assert_eq!(mask.apply_json(json), masked);
    }

    #[test]
    fn a_secret_is_told_from_a_setting() {
        for (name, value) in [
            ("ANTHROPIC_API_KEY", "sk-ant-1"),
            ("GITHUB_TOKEN", "abcdefgh"),
            ("DB_PASSWORD", "hunter2x"),
            ("DATABASE_URL", "postgres://me:hunter2@db/x"),
            ("ODD", "3f786850e387550fdab836ed7e6dc881de23001b"),
        ] {
            assert!(is_secret(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("HOME", "/home/somebody"),
            ("AWS_PROFILE", "default"),
            ("AWS_REGION", "eu-central-1"),
            ("SSH_AUTH_SOCK", "/tmp/ssh-1/agent.1"),
            ("MONKEY", "banana"),
            ("DATABASE_URL", "postgres://db/specs"),
            ("NODE_OPTIONS", "--max-old-space-size"),
        ] {
            assert!(!is_secret(name, value), "{name}={value}");
        }
    }
}
