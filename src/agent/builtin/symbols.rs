//! Types and functions, found by line patterns: good enough to say what a file defines and where.

use super::language::Family;

/// What a symbol is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Type,
    Function,
}

/// A named thing that a file defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// From 1.
    pub(super) line: usize,
    pub(super) is_public: bool,
}

const MODIFIERS: &[&str] = &[
    "pub",
    "pub(crate)",
    "pub(super)",
    "export",
    "default",
    "async",
    "abstract",
    "public",
    "private",
    "protected",
    "static",
    "final",
    "const",
    "unsafe",
    "declare",
    "sealed",
    "open",
    "data",
    "override",
    "suspend",
    "internal",
    "synchronized",
];

/// The symbols of `text`, in order.
pub(super) fn read(family: Family, text: &str) -> Vec<Symbol> {
    if !family.is_code() {
        return Vec::new();
    }
    let mut symbols = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.len() > 400 {
            continue;
        }
        let found = match family {
            Family::Rust => rust(line),
            Family::Python => python(line),
            Family::Script => script(line),
            Family::Go => go(line),
            Family::Java => java(line),
            Family::Other => other(line),
            Family::Prose | Family::Plain => None,
        };
        symbols.extend(found.map(|(kind, name, is_public)| Symbol {
            name: name.to_owned(),
            kind,
            line: index + 1,
            is_public,
        }));
    }
    symbols
}

type Found<'a> = Option<(Kind, &'a str, bool)>;

fn rust(line: &str) -> Found<'_> {
    let line = line.trim_start();
    let is_public = line.starts_with("pub");
    let rest = skip_modifiers(line);
    keyword(rest, &["struct", "enum", "trait", "union"], Kind::Type)
        .or_else(|| keyword(rest, &["type"], Kind::Type).filter(|_| rest.contains('=')))
        .or_else(|| keyword(rest, &["fn"], Kind::Function))
        .map(|(kind, name)| (kind, name, is_public))
}

fn python(line: &str) -> Found<'_> {
    let rest = line.trim_start();
    let rest = rest.strip_prefix("async ").unwrap_or(rest);
    keyword(rest, &["class"], Kind::Type)
        .or_else(|| keyword(rest, &["def"], Kind::Function))
        .map(|(kind, name)| (kind, name, !name.starts_with('_')))
}

fn script(line: &str) -> Found<'_> {
    let line = line.trim_start();
    let is_public = line.starts_with("export");
    let rest = skip_modifiers(line);
    let named = keyword(rest, &["class", "interface", "enum"], Kind::Type)
        .or_else(|| keyword(rest, &["type"], Kind::Type).filter(|_| rest.contains('=')))
        .or_else(|| keyword(rest, &["function", "function*"], Kind::Function));
    if let Some((kind, name)) = named {
        return Some((kind, name, is_public));
    }
    let is_binding = line.contains("const ") && (rest.contains("=>") || rest.contains("function"));
    let name = identifier(rest);
    (is_binding && !name.is_empty() && rest[name.len()..].trim_start().starts_with(['=', ':']))
        .then_some((Kind::Function, name, is_public))
}

fn go(line: &str) -> Found<'_> {
    let public = |name: &str| name.starts_with(char::is_uppercase);
    if let Some((kind, name)) = keyword(line, &["type"], Kind::Type) {
        return Some((kind, name, public(name)));
    }
    let rest = line.strip_prefix("func ")?;
    let rest = match rest.strip_prefix('(') {
        Some(receiver) => receiver.split_once(')').map_or("", |(_, after)| after.trim_start()),
        None => rest,
    };
    let name = identifier(rest);
    (!name.is_empty()).then(|| (Kind::Function, name, public(name)))
}

fn java(line: &str) -> Found<'_> {
    let trimmed = line.trim_start();
    if trimmed.starts_with(['*', '/', '@', '}', '.']) {
        return None;
    }
    let is_public = trimmed.starts_with("public");
    let rest = skip_modifiers(trimmed);
    let types = ["class", "interface", "enum", "record", "object", "@interface"];
    if let Some((kind, name)) = keyword(rest, &types, Kind::Type) {
        return Some((kind, name, is_public));
    }
    if let Some((kind, name)) = keyword(rest, &["fun"], Kind::Function) {
        return Some((kind, name, true));
    }
    let has_modifier = rest.len() < trimmed.len();
    let (head, _) = rest.split_once('(')?;
    let name = head.rsplit([' ', '>']).next().unwrap_or_default();
    let is_method = has_modifier && !head.contains('=') && !name.is_empty();
    (is_method && identifier(name) == name).then_some((Kind::Function, name, is_public))
}

fn other(line: &str) -> Found<'_> {
    let rest = skip_modifiers(line.trim_start());
    let types = ["class", "struct", "module", "interface", "trait", "message", "service", "model"];
    keyword(rest, &types, Kind::Type)
        .or_else(|| keyword(rest, &["def", "function", "func", "fn", "fun"], Kind::Function))
        .map(|(kind, name)| (kind, name, true))
}

fn keyword<'a>(rest: &'a str, keywords: &[&str], kind: Kind) -> Option<(Kind, &'a str)> {
    keywords.iter().find_map(|keyword| {
        let after = rest.strip_prefix(keyword)?;
        let name = identifier(after.strip_prefix([' ', '\t'])?.trim_start());
        (!name.is_empty()).then_some((kind, name))
    })
}

fn skip_modifiers(line: &str) -> &str {
    let mut rest = line;
    while let Some((word, after)) = rest.split_once(' ') {
        if !MODIFIERS.contains(&word) {
            break;
        }
        rest = after.trim_start();
    }
    rest
}

/// The identifier that `text` starts with, or nothing.
pub(super) fn identifier(text: &str) -> &str {
    let end = text
        .char_indices()
        .find(|(i, c)| !(c.is_alphabetic() || *c == '_' || (*i > 0 && c.is_numeric())))
        .map_or(text.len(), |(i, _)| i);
    &text[..end]
}
