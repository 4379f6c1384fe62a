//! Where new files go: the folder, the name's style and the test's place that the repository shows.

use super::feature;
use super::item::find_word;
use super::language::{self, Family, Role};
use super::survey::Survey;
use super::tokens;
use super::{Request, draft};

const LANGUAGES: &[(&str, &str)] = &[
    ("rust", "Rust"),
    ("python", "Python"),
    ("typescript", "TypeScript"),
    ("javascript", "JavaScript"),
    ("node", "JavaScript"),
    ("golang", "Go"),
    ("go service", "Go"),
    ("in go", "Go"),
    ("java", "Java"),
    ("kotlin", "Kotlin"),
    ("fastapi", "Python"),
    ("django", "Python"),
    ("flask", "Python"),
    ("axum", "Rust"),
    ("express", "TypeScript"),
    ("react", "TypeScript"),
    ("spring", "Java"),
];

/// The language of a new project, and whether the request names it.
pub(super) fn greenfield_language(request: &Request<'_>) -> (&'static str, bool) {
    let lower = feature::text(request).to_lowercase();
    named_language(&lower).map_or(("Python", false), |language| (language, true))
}

fn named_language(lower: &str) -> Option<&'static str> {
    let found = LANGUAGES.iter().filter_map(|(word, name)| Some((find_word(lower, word)?, *name)));
    found.min_by_key(|(at, _)| *at).map(|(_, name)| name)
}

/// How new files of a feature are named and where they lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) family: Family,
    pub(super) extension: String,
    /// Folder of new source, empty for the root.
    pub(super) folder: String,
}

/// The place for code like that in `related` (paths, best first). `homes` are folder names that
/// such code likes; `stack` names the language where nothing is there yet.
pub(super) fn of(survey: &Survey, related: &[&str], homes: &[&str], stack: &[String]) -> Place {
    let wants_prose = survey.main_language().is_empty() && !survey.files.is_empty();
    let sources: Vec<&str> =
        related.iter().copied().filter(|path| language::role(path) == Role::Source).collect();
    let anchor = sources.first().map(|path| (*path).to_owned()).or_else(|| anchor(survey));
    let Some(anchor) = anchor else {
        return if wants_prose { prose_place(survey) } else { greenfield(stack) };
    };
    let (_, family) = language::of(&anchor);
    let extension = anchor.rsplit('.').next().unwrap_or_default().to_owned();
    let folder = home(survey, &anchor, family, homes)
        .unwrap_or_else(|| own_folder(language::folder(&anchor)));
    Place { family, extension, folder }
}

/// Binaries and routes have folders of their own, new modules lie beside these.
fn own_folder(folder: &str) -> String {
    folder.strip_suffix("/bin").unwrap_or(folder).to_owned()
}

/// A file of the main language, the one that most others lie beside.
fn anchor(survey: &Survey) -> Option<String> {
    let main = survey.main_language();
    let entry = survey.entry_points().into_iter().find(|path| language::of(path).0 == main);
    entry.or_else(|| {
        let own = survey.files.iter().find(|f| f.is_source() && f.language == main);
        own.map(|file| file.path.clone())
    })
}

fn home(survey: &Survey, anchor: &str, family: Family, homes: &[&str]) -> Option<String> {
    let mut best: Option<(usize, usize, &str)> = None;
    for file in survey.files.iter().filter(|file| file.is_source() && file.family == family) {
        let folder = language::folder(&file.path);
        let last = folder.rsplit('/').next().unwrap_or_default();
        let Some(wish) = homes.iter().position(|home| *home == last) else { continue };
        let shared = shared_parts(folder, language::folder(anchor));
        // Go's commands are thin, and their code lies elsewhere.
        if shared == 0 && anchor.contains('/') && !anchor.starts_with("cmd/") {
            continue;
        }
        let better = best.is_none_or(|(s, w, _)| (shared, usize::MAX - wish) > (s, usize::MAX - w));
        if better {
            best = Some((shared, wish, folder));
        }
    }
    best.map(|(_, _, folder)| folder.to_owned())
}

fn shared_parts(a: &str, b: &str) -> usize {
    a.split('/').zip(b.split('/')).take_while(|(x, y)| x == y && !x.is_empty()).count()
}

fn prose_place(survey: &Survey) -> Place {
    let folder = if survey.files.iter().any(|f| f.path.starts_with("docs/")) { "docs" } else { "" };
    Place { family: Family::Prose, extension: "md".into(), folder: folder.into() }
}

fn greenfield(stack: &[String]) -> Place {
    let named = stack.first().map(|text| text.to_lowercase()).unwrap_or_default();
    let (family, extension, folder) = match named_language(&named).unwrap_or("Python") {
        "Rust" => (Family::Rust, "rs", "src"),
        "TypeScript" => (Family::Script, "ts", "src"),
        "JavaScript" => (Family::Script, "js", "src"),
        "Go" => (Family::Go, "go", "internal"),
        "Java" => (Family::Java, "java", "src/main/java/app"),
        "Kotlin" => (Family::Java, "kt", "src/main/kotlin/app"),
        _ => (Family::Python, "py", "src"),
    };
    Place { family, extension: extension.into(), folder: folder.into() }
}

impl Place {
    /// The path of a new source file named by `words`.
    pub(super) fn source(&self, survey: &Survey, words: &[String]) -> String {
        let name = match self.family {
            Family::Java => draft::pascal(words),
            Family::Script => Self::script_name(survey, words),
            Family::Prose | Family::Plain => words.join("-"),
            Family::Rust | Family::Python | Family::Go | Family::Other => words.join("_"),
        };
        join(&self.folder, &format!("{name}.{}", self.extension))
    }

    /// The style of the names around it.
    fn script_name(survey: &Survey, words: &[String]) -> String {
        let stems: Vec<&str> = survey
            .files
            .iter()
            .filter(|file| file.family == Family::Script && file.role != Role::Passive)
            .map(|file| language::stem(&file.path))
            .collect();
        let n_camel = stems.iter().filter(|s| s.chars().skip(1).any(char::is_uppercase)).count();
        let n_kebab = stems.iter().filter(|s| s.contains('-')).count();
        if n_camel > n_kebab { camel(words) } else { words.join("-") }
    }

    /// The path of the file where execution starts in a new project.
    pub(super) fn entry(&self) -> Option<String> {
        let name = match self.family {
            Family::Rust => "src/main.rs",
            Family::Python => "src/main.py",
            Family::Script if self.extension == "ts" => "src/index.ts",
            Family::Script => "src/index.js",
            Family::Go => "main.go",
            Family::Java if self.extension == "kt" => "src/main/kotlin/app/Application.kt",
            Family::Java => "src/main/java/app/Application.java",
            Family::Other | Family::Prose | Family::Plain => return None,
        };
        Some(name.to_owned())
    }
}

fn camel(words: &[String]) -> String {
    let (first, rest) = words.split_first().map_or(("", words), |(f, rest)| (f.as_str(), rest));
    format!("{first}{}", draft::pascal(rest))
}

/// The manifest of a new project.
pub(super) fn new_manifest(family: Family) -> Option<&'static str> {
    match family {
        Family::Rust => Some("Cargo.toml"),
        Family::Python => Some("pyproject.toml"),
        Family::Script => Some("package.json"),
        Family::Go => Some("go.mod"),
        Family::Java => Some("pom.xml"),
        Family::Other | Family::Prose | Family::Plain => None,
    }
}

/// The file that has to declare a new Rust module.
pub(super) fn parent_module(survey: &Survey, path: &str) -> Option<String> {
    let folder = language::folder(path);
    let candidates = [
        format!("{folder}/mod.rs"),
        format!("{folder}.rs"),
        format!("{folder}/lib.rs"),
        format!("{folder}/main.rs"),
    ];
    let is_rust = language::of(path).1 == Family::Rust;
    candidates.into_iter().find(|candidate| is_rust && candidate != path && survey.has(candidate))
}

/// Where the tests of the source file at `path` go; nothing for documents.
pub(super) fn test_of(survey: &Survey, path: &str) -> Option<String> {
    let (_, family) = language::of(path);
    let (folder, stem) = (language::folder(path), language::stem(path));
    let extension = path.rsplit('.').next().unwrap_or_default();
    let snake = tokens::words(stem).join("_");
    let test = match family {
        Family::Rust => rust_test(survey, path, &snake),
        Family::Python => {
            let tests = test_folder(survey, family, path).unwrap_or_else(|| "tests".into());
            join(&tests, &format!("test_{snake}.py"))
        }
        Family::Script => {
            let mark =
                if survey.tests().any(|f| f.path.contains(".spec.")) { "spec" } else { "test" };
            let tests = test_folder(survey, family, path).unwrap_or_else(|| folder.to_owned());
            join(&tests, &format!("{stem}.{mark}.{extension}"))
        }
        Family::Go => join(folder, &format!("{stem}_test.go")),
        Family::Java => {
            let tests = folder.replacen("src/main/", "src/test/", 1);
            join(&tests, &format!("{stem}Test.{extension}"))
        }
        Family::Other => join("tests", &format!("test_{snake}.{extension}")),
        Family::Prose | Family::Plain => return None,
    };
    Some(test)
}

fn rust_test(survey: &Survey, path: &str, snake: &str) -> String {
    let root = match path.find("src/") {
        Some(at) => &path[..at],
        None => "",
    };
    let it = format!("{root}tests/it");
    if survey.has(&format!("{it}/main.rs")) {
        return format!("{it}/{snake}.rs");
    }
    format!("{root}tests/{snake}.rs")
}

/// The folder with most tests of a family, nearest to `path`; none where tests lie beside source.
fn test_folder(survey: &Survey, family: Family, path: &str) -> Option<String> {
    let near = language::folder(path);
    let folders = survey.test_folders();
    let holds_source = |folder: &String| {
        let mut sources = survey.files.iter().filter(|f| f.is_source() && f.family == family);
        sources.any(|file| language::folder(&file.path) == folder)
    };
    let apart = folders.into_iter().filter(|folder| !holds_source(folder));
    let known = apart.filter(|folder| {
        survey.tests().any(|file| file.family == family && language::folder(&file.path) == folder)
    });
    let mut known: Vec<(usize, String)> =
        known.map(|folder| (shared_parts(&folder, near), folder)).collect();
    known.sort_by_key(|(shared, _)| std::cmp::Reverse(*shared));
    known.into_iter().next().map(|(_, folder)| folder)
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
