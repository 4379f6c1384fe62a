//! One reading of a repository: its files, and what was found in each. Everything that is drafted
//! from the repository is drafted from this.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::BuiltinError;
use super::history;
use super::language::{self, Family, Role};
use super::manifests::{self, Manifest};
use super::models::{self, Model};
use super::routes::{self, Route};
use super::stack::{self, Class};
use super::symbols::{self, Symbol};
use super::walk::{self, File};

/// What was found. `symbols`, `routes` and `models` stand in the order of `files`.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) files: Vec<File>,
    pub(super) bounds_hit: Vec<String>,
    pub(super) symbols: Vec<Vec<Symbol>>,
    pub(super) routes: Vec<Vec<Route>>,
    pub(super) models: Vec<Vec<Model>>,
    pub(super) manifests: Vec<Manifest>,
    pub(super) stack: BTreeMap<Class, Vec<&'static str>>,
    pub(super) churn: BTreeMap<String, u32>,
}

impl Survey {
    /// Reads the repository below `root`.
    pub(super) fn of(root: &Path) -> Result<Self, BuiltinError> {
        let listing = walk::read(root)?;
        let files = listing.files;
        let read_symbols = |file: &File| symbols::read(file.family, file.code());
        let read_routes = |file: &File| match file.role {
            Role::Source => routes::read(file.family, &file.path, file.code()),
            Role::Test | Role::Docs | Role::Config | Role::Passive => Vec::new(),
        };
        let manifests: Vec<Manifest> = files.iter().filter_map(manifests::read).collect();
        Ok(Self {
            symbols: files.iter().map(read_symbols).collect(),
            routes: files.iter().map(read_routes).collect(),
            models: files.iter().map(models::read).collect(),
            stack: stack::of(&manifests),
            manifests,
            churn: history::churn(root),
            bounds_hit: listing.bounds_hit,
            files,
        })
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.index(path).is_some()
    }

    pub(super) fn index(&self, path: &str) -> Option<usize> {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok()
    }

    /// Bytes of source by language, largest first.
    pub(super) fn languages(&self) -> Vec<(&'static str, u64, usize)> {
        let mut sizes: BTreeMap<&'static str, (u64, usize)> = BTreeMap::new();
        let code = self.files.iter().filter(|f| f.family.is_code() && f.role != Role::Passive);
        for file in code {
            let size = sizes.entry(file.language).or_default();
            size.0 += file.bytes;
            size.1 += 1;
        }
        let mut sizes: Vec<_> = sizes.into_iter().map(|(name, (b, n))| (name, b, n)).collect();
        sizes.sort_by_key(|(name, bytes, _)| (std::cmp::Reverse(*bytes), *name));
        sizes
    }

    /// The language with most source, markup and queries left aside.
    pub(super) fn main_language(&self) -> &'static str {
        let beside = ["HTML", "CSS", "SQL", "Shell", "Prisma", "GraphQL"];
        let languages = self.languages();
        let main = languages.iter().find(|(name, _, _)| !beside.contains(name));
        main.or(languages.first()).map_or("", |(name, _, _)| name)
    }

    /// The family of the main language, where its symbols are read.
    pub(super) fn main_family(&self) -> Option<Family> {
        let main = self.main_language();
        let file = self.files.iter().find(|file| file.language == main)?;
        (file.family != Family::Other && file.family.is_code()).then_some(file.family)
    }

    pub(super) fn tests(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.role == Role::Test)
    }

    /// Folders that hold tests, those with most files first.
    pub(super) fn test_folders(&self) -> Vec<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for file in self.tests() {
            *counts.entry(language::folder(&file.path)).or_insert(0) += 1;
        }
        let mut ranked: Vec<(&str, usize)> = counts.into_iter().collect();
        ranked.sort_by_key(|(folder, n)| (std::cmp::Reverse(*n), *folder));
        let name = |folder: &str| if folder.is_empty() { ".".into() } else { folder.to_owned() };
        ranked.into_iter().map(|(folder, _)| name(folder)).collect()
    }

    pub(super) fn labels(&self, class: Class) -> &[&'static str] {
        self.stack.get(&class).map_or(&[], Vec::as_slice)
    }

    pub(super) fn n_routes(&self) -> usize {
        self.routes.iter().map(Vec::len).sum()
    }

    /// The test framework, from the dependencies, else from the main language's own.
    pub(super) fn test_framework(&self) -> Option<String> {
        let known = self.labels(Class::Test);
        let own = match self.main_family() {
            Some(Family::Rust) => "cargo test",
            Some(Family::Go) => "go test",
            _ if known.is_empty() => return None,
            _ => "",
        };
        let mut parts: Vec<&str> = Vec::new();
        parts.extend((!own.is_empty()).then_some(own));
        parts.extend(known);
        Some(parts.join(", "))
    }

    /// Files where execution starts.
    pub(super) fn entry_points(&self) -> Vec<String> {
        let mut found = BTreeSet::new();
        for (index, file) in self.files.iter().enumerate() {
            if file.is_source() && self.is_entry(index) {
                found.insert(file.path.clone());
            }
        }
        for manifest in &self.manifests {
            let folder = language::folder(&manifest.path);
            for entry in &manifest.entries {
                let entry = entry.trim_start_matches("./");
                let slash = if folder.is_empty() { "" } else { "/" };
                let path = format!("{folder}{slash}{entry}");
                if self.has(&path) {
                    found.insert(path);
                }
            }
        }
        let mut paths: Vec<String> = found.into_iter().collect();
        paths.sort_by_key(|path| (path.matches('/').count(), path.clone()));
        paths.truncate(20);
        paths
    }

    fn is_entry(&self, index: usize) -> bool {
        let file = &self.files[index];
        let (path, text) = (file.path.as_str(), file.text());
        let name = language::file_name(path);
        let is_example = path.contains("examples/") || path.contains("benches/");
        let depth = path.matches('/').count();
        match file.family {
            _ if is_example => false,
            Family::Rust => {
                path.ends_with("src/main.rs")
                    || path.contains("src/bin/")
                    || (path.ends_with("src/lib.rs") && depth <= 3)
            }
            Family::Python => {
                matches!(name, "manage.py" | "__main__.py" | "wsgi.py" | "asgi.py")
                    || text.contains("if __name__ == \"__main__\"")
                    || text.contains("= FastAPI(")
                    || text.contains("= Flask(")
            }
            Family::Script => {
                let stems = ["index", "main", "server", "app"];
                let is_top = depth == 0 || (depth == 1 && path.starts_with("src/"));
                (is_top && stems.contains(&language::stem(path))) || text.contains(".listen(")
            }
            Family::Go => text.contains("package main") && text.contains("func main("),
            Family::Java => {
                text.contains("public static void main(") || text.contains("@SpringBootApplication")
            }
            Family::Other | Family::Prose | Family::Plain => depth == 0 && name == "index.html",
        }
    }
}
