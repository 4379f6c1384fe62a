//! Data models: types that look like stored or exchanged records, with their fields.

use super::language::{Family, Role};
use super::symbols::identifier;
use super::walk::File;

/// A type with fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) name: String,
    /// `name: type` where the type is known, else the name.
    pub(super) fields: Vec<String>,
    /// From 1.
    pub(super) line: usize,
    /// Marked as a record: derived, annotated, or in a folder of models.
    pub(super) is_marked: bool,
}

const MAX_FIELDS: usize = 24;

/// The models of one file, in order.
pub(super) fn read(file: &File) -> Vec<Model> {
    if file.role != Role::Source {
        return Vec::new();
    }
    let in_folder = ["model", "entit", "schema", "domain", "dto"]
        .iter()
        .any(|part| file.path.to_ascii_lowercase().contains(part));
    let lines: Vec<&str> = file.code().lines().collect();
    let mut models = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(start) = start_of(file, line) else { continue };
        let fields = match file.family {
            Family::Python => python_fields(&lines[index + 1..]),
            Family::Java if line.contains("record ") => record_fields(&lines[index..]),
            _ if !line.contains(['{', '(']) => Vec::new(),
            Family::Rust
            | Family::Script
            | Family::Go
            | Family::Java
            | Family::Other
            | Family::Prose
            | Family::Plain => braced_fields(file, &lines[index + 1..]),
        };
        if !fields.is_empty() {
            let is_marked = in_folder || is_marked(file.family, &lines, index);
            models.push(Model { name: start, fields, line: index + 1, is_marked });
        }
    }
    models
}

fn start_of(file: &File, line: &str) -> Option<String> {
    let trimmed = line.trim_start();
    let rest = trimmed.strip_prefix("export ").unwrap_or(trimmed);
    let rest = rest.strip_prefix("pub ").or_else(|| rest.strip_prefix("public ")).unwrap_or(rest);
    let rest = rest.strip_prefix("final ").unwrap_or(rest);
    let keywords: &[&str] = match file.family {
        Family::Rust => &["struct "],
        Family::Python => &["class "],
        Family::Script => &["interface ", "type ", "class "],
        Family::Go => &["type "],
        Family::Java => &["class ", "record ", "data class "],
        Family::Other => &["model ", "message ", "CREATE TABLE IF NOT EXISTS ", "CREATE TABLE "],
        Family::Prose | Family::Plain => return None,
    };
    let after = keywords.iter().find_map(|keyword| rest.strip_prefix(keyword))?;
    let is_struct = file.family != Family::Go || after.contains(" struct");
    let name = identifier(after.trim_start_matches(['"', '`']));
    let is_plain = !line.trim_end().ends_with(';') && !name.is_empty() && is_struct;
    is_plain.then(|| name.to_owned())
}

fn is_marked(family: Family, lines: &[&str], index: usize) -> bool {
    let marks: &[&str] = match family {
        Family::Rust => &["Serialize", "FromRow", "Queryable", "Insertable", "DeriveEntity"],
        Family::Python => &["BaseModel", "models.Model", "(Base)", "db.Model", "@dataclass"],
        Family::Script => &["@Entity", "@Schema", "extends Model", "interface "],
        Family::Go => &["json:", "gorm", "db:"],
        Family::Java => &["@Entity", "@Table", "@Document", "record ", "data class"],
        Family::Other => &["model ", "message ", "CREATE TABLE"],
        Family::Prose | Family::Plain => &[],
    };
    let from = index.saturating_sub(4);
    let to = (index + 3).min(lines.len());
    let mut around: Vec<&str> = lines[from..to].to_vec();
    if let Some(blank) = lines[from..index].iter().rposition(|line| line.trim().is_empty()) {
        around.drain(..blank);
    }
    around.iter().any(|line| marks.iter().any(|mark| line.contains(mark)))
}

fn braced_fields(file: &File, lines: &[&str]) -> Vec<String> {
    let mut fields = Vec::new();
    let mut depth = 0_i32;
    for line in lines.iter().take(200) {
        let line = line.trim();
        if depth == 0 && line.starts_with(['}', ')']) {
            break;
        }
        if depth == 0 && !line.starts_with(['/', '*', '#', '@', '-']) {
            fields.extend(field(file.family, line));
        }
        depth += count(line, '{') - count(line, '}');
        if depth < 0 || fields.len() == MAX_FIELDS {
            break;
        }
    }
    fields
}

fn count(line: &str, wanted: char) -> i32 {
    i32::try_from(line.matches(wanted).count()).unwrap_or(0)
}

fn field(family: Family, line: &str) -> Option<String> {
    let rest = ["pub(crate) ", "pub ", "private ", "readonly ", "protected ", "final ", "public "]
        .iter()
        .fold(line, |rest, modifier| rest.strip_prefix(modifier).unwrap_or(rest));
    let name = identifier(rest);
    let after = rest[name.len()..].trim_start_matches('?');
    let found = match family {
        Family::Rust | Family::Script => {
            let kind = after.strip_prefix(": ")?.split(" //").next()?;
            let kind = kind.trim_end_matches([',', ';']);
            (!kind.contains(['(', '=', '{'])).then(|| (name, kind.trim()))
        }
        Family::Go => {
            let mut parts = after.split_whitespace();
            Some((name, parts.next()?)).filter(|(_, kind)| !kind.starts_with(['(', ':', '=']))
        }
        Family::Java => {
            let declared = rest.strip_suffix(';')?.split('=').next()?.trim();
            let (kind, name) = declared.rsplit_once(' ')?;
            (!declared.contains('(') && kind != "return").then_some((name, kind))
        }
        Family::Other => {
            let kind = after.split_whitespace().next()?.trim_end_matches(',');
            let is_key = name.chars().all(char::is_uppercase);
            (!is_key && !kind.starts_with(['=', '('])).then_some((name, kind))
        }
        Family::Python | Family::Prose | Family::Plain => None,
    };
    found.filter(|(name, _)| !name.is_empty()).map(|(name, kind)| format!("{name}: {kind}"))
}

fn python_fields(lines: &[&str]) -> Vec<String> {
    let mut fields = Vec::new();
    let Some(first) = lines.iter().find(|line| !line.trim().is_empty()) else {
        return fields;
    };
    let indent = first.len() - first.trim_start().len();
    for line in lines.iter().take(200) {
        let own = line.len() - line.trim_start().len();
        if line.trim().is_empty() || own > indent {
            continue;
        }
        if own < indent || indent == 0 || fields.len() == MAX_FIELDS {
            break;
        }
        let line = line.trim();
        let name = identifier(line);
        if name.is_empty() || name.starts_with("__") || matches!(name, "def" | "class" | "async") {
            continue;
        }
        let after = &line[name.len()..];
        if let Some(kind) = after.strip_prefix(": ") {
            let kind = kind.split('=').next().unwrap_or_default().trim();
            fields.push(format!("{name}: {kind}"));
        } else if let Some(value) = after.strip_prefix(" = ")
            && ["Column(", "Field(", "mapped_column(", "relationship("]
                .iter()
                .any(|mark| value.contains(mark))
        {
            fields.push(name.to_owned());
        }
    }
    fields
}

fn record_fields(lines: &[&str]) -> Vec<String> {
    let joined = lines.iter().take(20).map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    let Some((_, after)) = joined.split_once('(') else { return Vec::new() };
    let inside = after.split(')').next().unwrap_or_default();
    inside
        .split(',')
        .filter_map(|part| part.trim().rsplit_once(' '))
        .map(|(kind, name)| format!("{name}: {}", kind.rsplit(' ').next().unwrap_or(kind)))
        .take(MAX_FIELDS)
        .collect()
}
