//! Languages and roles of files, by their paths.

/// A family of languages that share line patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Rust,
    Python,
    /// TypeScript and JavaScript.
    Script,
    Go,
    /// Java and Kotlin.
    Java,
    /// Source in another language: counted and ranked, its symbols are not read.
    Other,
    /// Markdown and its like.
    Prose,
    /// Settings and data.
    Plain,
}

impl Family {
    pub(super) const fn is_code(self) -> bool {
        !matches!(self, Self::Prose | Self::Plain)
    }
}

/// What part a file plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Source,
    Test,
    Docs,
    Config,
    /// Locks, generated and vendored files: listed, never ranked.
    Passive,
}

const LANGUAGES: &[(&str, &str, Family)] = &[
    ("rs", "Rust", Family::Rust),
    ("py", "Python", Family::Python),
    ("pyi", "Python", Family::Python),
    ("ts", "TypeScript", Family::Script),
    ("tsx", "TypeScript", Family::Script),
    ("mts", "TypeScript", Family::Script),
    ("cts", "TypeScript", Family::Script),
    ("js", "JavaScript", Family::Script),
    ("jsx", "JavaScript", Family::Script),
    ("mjs", "JavaScript", Family::Script),
    ("cjs", "JavaScript", Family::Script),
    ("go", "Go", Family::Go),
    ("java", "Java", Family::Java),
    ("kt", "Kotlin", Family::Java),
    ("kts", "Kotlin", Family::Java),
    ("c", "C", Family::Other),
    ("h", "C", Family::Other),
    ("cc", "C++", Family::Other),
    ("cpp", "C++", Family::Other),
    ("hpp", "C++", Family::Other),
    ("cs", "C#", Family::Other),
    ("rb", "Ruby", Family::Other),
    ("php", "PHP", Family::Other),
    ("swift", "Swift", Family::Other),
    ("scala", "Scala", Family::Other),
    ("ex", "Elixir", Family::Other),
    ("exs", "Elixir", Family::Other),
    ("erl", "Erlang", Family::Other),
    ("hs", "Haskell", Family::Other),
    ("ml", "OCaml", Family::Other),
    ("clj", "Clojure", Family::Other),
    ("dart", "Dart", Family::Other),
    ("lua", "Lua", Family::Other),
    ("sh", "Shell", Family::Other),
    ("bash", "Shell", Family::Other),
    ("sql", "SQL", Family::Other),
    ("proto", "Protocol Buffers", Family::Other),
    ("graphql", "GraphQL", Family::Other),
    ("prisma", "Prisma", Family::Other),
    ("vue", "Vue", Family::Other),
    ("svelte", "Svelte", Family::Other),
    ("html", "HTML", Family::Other),
    ("css", "CSS", Family::Other),
    ("scss", "CSS", Family::Other),
    ("tf", "Terraform", Family::Other),
    ("md", "Markdown", Family::Prose),
    ("mdx", "Markdown", Family::Prose),
    ("rst", "reStructuredText", Family::Prose),
    ("adoc", "AsciiDoc", Family::Prose),
    ("txt", "Text", Family::Prose),
];

/// Name and family of the language of `path`.
pub(super) fn of(path: &str) -> (&'static str, Family) {
    let name = file_name(path);
    let Some((_, extension)) = name.rsplit_once('.') else {
        return ("Other", Family::Plain);
    };
    let extension = extension.to_ascii_lowercase();
    LANGUAGES
        .iter()
        .find(|(e, _, _)| *e == extension)
        .map_or(("Other", Family::Plain), |(_, name, family)| (*name, *family))
}

/// What part `path` plays, by its name and folders.
pub(super) fn role(path: &str) -> Role {
    let (_, family) = of(path);
    if is_passive(path) {
        Role::Passive
    } else if family.is_code() && is_test(path) {
        Role::Test
    } else if family.is_code() {
        Role::Source
    } else if family == Family::Prose && !file_name(path).starts_with("requirements") {
        Role::Docs
    } else {
        Role::Config
    }
}

pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The folder of `path`, empty for the root.
pub(super) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The file's name without its extension.
pub(super) fn stem(path: &str) -> &str {
    let name = file_name(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

fn is_passive(path: &str) -> bool {
    let name = file_name(path);
    let locks = ["package-lock.json", "pnpm-lock.yaml", "go.sum", "composer.lock"];
    let folders = ["vendor", "third_party", "dist", "node_modules", "fixtures", "snapshots"];
    locks.contains(&name)
        || ends(path, ".lock")
        || name.contains(".min.")
        || ends(path, ".snap")
        || ends(path, ".svg")
        || ends(path, ".pb.go")
        || folder(path).split('/').any(|part| folders.contains(&part))
}

fn is_test(path: &str) -> bool {
    let name = file_name(path);
    let stem = stem(path);
    let folders = ["tests", "test", "__tests__", "spec", "e2e", "testdata"];
    folder(path).split('/').any(|part| folders.contains(&part))
        || stem.starts_with("test_")
        || stem.ends_with("_test")
        || stem.ends_with("_tests")
        || matches!(stem, "tests" | "conftest")
        || name.contains(".test.")
        || name.contains(".spec.")
        || ((ends(path, ".java") || ends(path, ".kt"))
            && (stem.ends_with("Test") || stem.ends_with("Tests") || stem.ends_with("IT")))
}

fn ends(path: &str, suffix: &str) -> bool {
    path.len() >= suffix.len()
        && path.is_char_boundary(path.len() - suffix.len())
        && path[path.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
}
