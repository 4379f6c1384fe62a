//! HTTP routes, found by the line patterns of common frameworks.

use std::collections::BTreeMap;

use super::language::{self, Family};
use super::symbols::identifier;

/// One route that a file declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// In upper case; `ANY` where the pattern does not say.
    pub(super) method: String,
    pub(super) path: String,
    /// From 1.
    pub(super) line: usize,
}

const METHODS: &[&str] = &["get", "post", "put", "patch", "delete"];

/// The routes of the file at `path`, in order.
pub(super) fn read(family: Family, path: &str, text: &str) -> Vec<Route> {
    let mut routes = match family {
        Family::Rust => rust(text),
        Family::Python => python(path, text),
        Family::Script => script(path, text),
        Family::Go => go(text),
        Family::Java => java(text),
        Family::Other | Family::Prose | Family::Plain => Vec::new(),
    };
    routes.retain(|route| route.path.len() < 200 && !route.path.contains([' ', '\\']));
    routes
}

fn route(method: &str, path: &str, line: usize) -> Route {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let path = format!("{slash}{path}");
    Route { method: method.to_ascii_uppercase(), path, line }
}

/// Lines that are code, with their numbers.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, line)| (i + 1, line.trim())).filter(|(_, line)| {
        !line.starts_with("//") && !line.starts_with(['*', '#']) || { line.starts_with("#[") }
    })
}

/// The first string literal of `text`.
fn literal(text: &str) -> Option<&str> {
    let start = text.find(['"', '\'', '`'])?;
    let quote = text[start..].chars().next()?;
    let rest = &text[start + 1..];
    rest.find(quote).map(|end| &rest[..end])
}

fn rust(text: &str) -> Vec<Route> {
    let mut routes = Vec::new();
    let lines: Vec<(usize, &str)> = code_lines(text).collect();
    let prefixes = nested(&lines);
    let mut prefix = "";
    for (index, (number, line)) in lines.iter().enumerate() {
        if let Some(name) = function_name(line) {
            prefix = prefixes.get(name).map_or("", String::as_str);
        }
        if let Some((_, after)) = line.split_once(".route(") {
            let mut window = after.to_owned();
            for (_, next) in lines.iter().skip(index + 1).take(4) {
                if next.starts_with(".route(") || window.ends_with("))") {
                    break;
                }
                window.push_str(next);
            }
            let Some(path) = literal(&window).filter(|path| path.starts_with('/')) else {
                continue;
            };
            let path = match (prefix, path) {
                ("", path) => path.to_owned(),
                (prefix, "/") => prefix.to_owned(),
                (prefix, path) => format!("{prefix}{path}"),
            };
            let methods: Vec<&str> =
                METHODS.iter().copied().filter(|m| calls(&window, m)).collect();
            routes.extend(methods.iter().map(|method| route(method, &path, *number)));
            if methods.is_empty() {
                routes.push(route("any", &path, *number));
            }
        } else if let Some(rest) = line.strip_prefix("#[")
            && let Some(method) = METHODS.iter().find(|m| starts_call(rest, m))
            && let Some(path) = literal(rest)
        {
            routes.push(route(method, path, *number));
        }
    }
    routes
}

fn function_name(line: &str) -> Option<&str> {
    let (_, after) = line.split_once("fn ")?;
    let is_item = line.starts_with("fn ") || line.starts_with("pub") || line.starts_with("async");
    is_item.then(|| identifier(after))
}

/// Functions whose routers are nested below a prefix in the same file, over two levels.
fn nested(lines: &[(usize, &str)]) -> BTreeMap<String, String> {
    let mut prefixes: BTreeMap<String, String> = BTreeMap::new();
    for _ in 0..2 {
        let mut outer = String::new();
        for (_, line) in lines {
            if let Some(name) = function_name(line) {
                outer = prefixes.get(name).cloned().unwrap_or_default();
            }
            for chunk in line.split(".nest(").skip(1) {
                let Some(path) = literal(chunk) else { continue };
                let Some((_, after)) = chunk.split_once(", ") else { continue };
                let name = after.split('(').next().unwrap_or_default();
                let name = name.rsplit("::").next().unwrap_or_default();
                prefixes.insert(name.to_owned(), format!("{outer}{path}"));
            }
        }
    }
    prefixes
}

fn starts_call(text: &str, name: &str) -> bool {
    text.strip_prefix(name).is_some_and(|rest| rest.starts_with('('))
}

/// Whether `text` calls `name`, and not something whose name ends in it.
fn calls(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        starts_call(&text[at..], name) && !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn python(path: &str, text: &str) -> Vec<Route> {
    let mut routes = Vec::new();
    let is_django = language::file_name(path) == "urls.py";
    for (number, line) in code_lines(text) {
        if let Some(rest) = line.strip_prefix('@')
            && let Some((_, call)) = rest.split_once('.')
        {
            if let Some(method) = METHODS.iter().find(|m| starts_call(call, m)) {
                routes.extend(literal(call).map(|path| route(method, path, number)));
            } else if starts_call(call, "route") {
                let upper = call.to_ascii_uppercase();
                let method = METHODS
                    .iter()
                    .find(|m| upper.contains("METHODS") && upper.contains(&m.to_ascii_uppercase()));
                let method = method.copied().unwrap_or("get");
                routes.extend(literal(call).map(|path| route(method, path, number)));
            }
        } else if is_django && (line.starts_with("path(") || line.starts_with("re_path(")) {
            routes.extend(literal(line).map(|path| route("any", path, number)));
        }
    }
    routes
}

fn script(path: &str, text: &str) -> Vec<Route> {
    let mut routes = next_routes(path, text);
    let mut prefix = String::new();
    for (number, line) in code_lines(text) {
        if let Some(rest) = line.strip_prefix('@') {
            if starts_call(rest, "Controller") {
                let base = literal(rest).unwrap_or_default();
                prefix = if base.is_empty() { String::new() } else { format!("/{base}") };
            } else if let Some(method) = METHODS.iter().find(|m| starts_call(rest, &title(m))) {
                let own = literal(rest).unwrap_or_default();
                let slash = if own.is_empty() || own.starts_with('/') { "" } else { "/" };
                routes.push(route(method, &format!("{prefix}{slash}{own}"), number));
            }
            continue;
        }
        for method in METHODS {
            let pattern = format!(".{method}(");
            let Some((receiver, rest)) = line.split_once(pattern.as_str()) else { continue };
            let is_path = ["'/", "\"/", "`/"].iter().any(|q| rest.starts_with(q));
            if is_path && is_router(receiver) {
                routes.extend(literal(rest).map(|path| route(method, path, number)));
            }
        }
    }
    routes
}

fn title(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// Whether the receiver of a call looks like a router, and not like a client or a map.
fn is_router(receiver: &str) -> bool {
    let start = receiver
        .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
        .map_or(0, |i| i + receiver[i..].chars().next().map_or(1, char::len_utf8));
    let name = receiver[start..].to_ascii_lowercase();
    let exact = ["r", "e", "g", "mux", "api", "v1", "v2", "server", "fastify", "group", "engine"];
    exact.contains(&name.as_str())
        || ["app", "router", "routes", "route", "group", "mux"].iter().any(|s| name.ends_with(s))
}

fn next_routes(path: &str, text: &str) -> Vec<Route> {
    let Some(at) = path.find("app/").filter(|_| language::stem(path) == "route") else {
        return Vec::new();
    };
    let folder = language::folder(&path[at + "app".len()..]);
    code_lines(text)
        .filter_map(|(number, line)| {
            let rest = line.strip_prefix("export ")?;
            let method = METHODS.iter().find(|m| {
                let upper = m.to_ascii_uppercase();
                rest.contains(&format!("function {upper}(")) || {
                    rest.starts_with(&format!("const {upper} "))
                }
            })?;
            Some(route(method, folder, number))
        })
        .collect()
}

fn go(text: &str) -> Vec<Route> {
    let mut routes = Vec::new();
    for (number, line) in code_lines(text) {
        for pattern in [".HandleFunc(", ".Handle("] {
            let Some((_, rest)) = line.split_once(pattern) else { continue };
            let Some(found) = literal(rest) else { continue };
            match found.split_once(' ') {
                Some((method, path)) => routes.push(route(method, path.trim(), number)),
                None if found.starts_with('/') => {
                    let method = METHODS
                        .iter()
                        .find(|m| line.contains(&format!("\"{}\"", m.to_ascii_uppercase())));
                    routes.push(route(method.copied().unwrap_or("any"), found, number));
                }
                None => {}
            }
        }
        for method in METHODS {
            for name in [method.to_ascii_uppercase(), title(method)] {
                let pattern = format!(".{name}(\"/");
                if let Some((receiver, rest)) = line.split_once(pattern.as_str())
                    && is_router(receiver)
                    && let Some((tail, _)) = rest.split_once('"')
                {
                    routes.push(route(method, tail, number));
                }
            }
        }
    }
    routes
}

fn java(text: &str) -> Vec<Route> {
    let mut routes = Vec::new();
    let mut prefix = String::new();
    for (number, line) in code_lines(text) {
        let Some(rest) = line.strip_prefix('@') else { continue };
        let own = literal(rest).unwrap_or_default();
        let own =
            if own.is_empty() || own.starts_with('/') { own.to_owned() } else { format!("/{own}") };
        if rest.starts_with("RequestMapping") && routes.is_empty() && prefix.is_empty() {
            own.trim_end_matches('/').clone_into(&mut prefix);
        } else if let Some(method) =
            METHODS.iter().find(|m| rest.starts_with(&format!("{}Mapping", title(m))))
        {
            routes.push(route(method, &format!("{prefix}{own}"), number));
        }
    }
    routes
}
