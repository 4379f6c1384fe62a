//! Manifests of the ecosystems: the project's names, and what it depends on.

use std::collections::BTreeSet;

use super::language;
use super::symbols::identifier;
use super::walk::File;

/// One manifest file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) path: String,
    /// What it is a manifest of, such as `Cargo package`.
    pub(super) kind: &'static str,
    pub(super) name: Option<String>,
    pub(super) dependencies: BTreeSet<String>,
    /// Files that it names as a start, as written.
    pub(super) entries: Vec<String>,
}

/// The manifest in `file`, if it is one.
pub(super) fn read(file: &File) -> Option<Manifest> {
    let name = language::file_name(&file.path);
    let text = file.text.as_deref()?;
    let blank = |kind| Manifest {
        path: file.path.clone(),
        kind,
        name: None,
        dependencies: BTreeSet::new(),
        entries: Vec::new(),
    };
    let manifest = match name {
        "Cargo.toml" => cargo(text, blank("Cargo package")),
        "package.json" => package_json(text, blank("npm package")),
        "composer.json" => package_json(text, blank("Composer package")),
        "pyproject.toml" => pyproject(text, blank("Python project")),
        "setup.py" | "setup.cfg" => quoted_requirements(text, blank("Python package")),
        "go.mod" => go_mod(text, blank("Go module")),
        "pom.xml" => pom(text, blank("Maven project")),
        "build.gradle" | "build.gradle.kts" => gradle(text, blank("Gradle project")),
        "Gemfile" => gemfile(text, blank("Ruby bundle")),
        "Dockerfile" => blank("container image"),
        "Makefile" | "justfile" => blank("build recipes"),
        "docker-compose.yml" | "docker-compose.yaml" | "compose.yaml" | "compose.yml" => {
            images(text, blank("container composition"))
        }
        _ if name.starts_with("requirements") && language::of(name).0 == "Text" => {
            requirements(text, blank("Python requirements"))
        }
        _ if is_ci(&file.path) => blank("continuous integration"),
        _ => return None,
    };
    Some(manifest)
}

fn is_ci(path: &str) -> bool {
    (path.starts_with(".github/workflows/") && (path.ends_with("ml")))
        || matches!(path, ".gitlab-ci.yml" | "Jenkinsfile" | ".travis.yml" | ".circleci/config.yml")
}

fn cargo(text: &str, mut manifest: Manifest) -> Manifest {
    let mut section = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            header.trim_end_matches(']').clone_into(&mut section);
            if section == "workspace" {
                manifest.kind = "Cargo workspace";
            }
            if let Some((head, name)) = section.rsplit_once('.')
                && head.ends_with("dependencies")
            {
                manifest.dependencies.insert(name.to_owned());
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim().trim_matches('"'), value.trim().trim_matches('"'));
        if section == "package" && key == "name" {
            manifest.name = Some(value.to_owned());
        } else if section.ends_with("dependencies") {
            let name = key.split('.').next().unwrap_or(key);
            manifest.dependencies.insert(name.to_owned());
        } else if key == "path" && (section == "lib" || section == "[bin" || section == "bin") {
            manifest.entries.push(value.to_owned());
        }
    }
    manifest
}

fn package_json(text: &str, mut manifest: Manifest) -> Manifest {
    let Ok(json) = serde_json::from_str::<serde_json::Value>(text) else { return manifest };
    manifest.name = json["name"].as_str().map(str::to_owned);
    for section in ["dependencies", "devDependencies", "peerDependencies", "require"] {
        if let Some(map) = json[section].as_object() {
            manifest.dependencies.extend(map.keys().cloned());
        }
    }
    for key in ["main", "module", "bin"] {
        match &json[key] {
            serde_json::Value::String(path) => manifest.entries.push(path.clone()),
            serde_json::Value::Object(map) => {
                let paths = map.values().filter_map(serde_json::Value::as_str);
                manifest.entries.extend(paths.map(str::to_owned));
            }
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::Array(_) => {}
        }
    }
    manifest
}

fn pyproject(text: &str, mut manifest: Manifest) -> Manifest {
    let mut section = String::new();
    let mut in_list = false;
    for line in text.lines().map(str::trim) {
        if in_list || line.starts_with("dependencies = [") || line.starts_with("dev = [") {
            let after = if in_list { line } else { line.split_once('[').map_or("", |(_, a)| a) };
            manifest.dependencies.extend(quoted(after).iter().filter_map(|q| python_name(q)));
            in_list = !line.ends_with(']');
        } else if line.starts_with('[') {
            line.trim_matches(['[', ']']).clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once('=') {
            let (key, value) = (key.trim(), value.trim().trim_matches('"'));
            if matches!(section.as_str(), "project" | "tool.poetry") && key == "name" {
                manifest.name = Some(value.to_owned());
            } else if section.starts_with("tool.poetry") && section.ends_with("dependencies") {
                manifest.dependencies.insert(key.to_ascii_lowercase());
            }
        }
    }
    manifest
}

fn python_name(requirement: &str) -> Option<String> {
    let end = requirement
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
        .unwrap_or(requirement.len());
    (end > 0).then(|| requirement[..end].to_ascii_lowercase())
}

fn requirements(text: &str, mut manifest: Manifest) -> Manifest {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '-']));
    manifest.dependencies.extend(lines.filter_map(python_name));
    manifest
}

fn quoted_requirements(text: &str, mut manifest: Manifest) -> Manifest {
    if let Some((_, after)) = text.split_once("install_requires") {
        let inside = after.split(']').next().unwrap_or_default();
        manifest.dependencies.extend(quoted(inside).iter().filter_map(|q| python_name(q)));
    }
    manifest
}

/// The contents of the quoted strings of one line.
fn quoted(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(['"', '\'']) {
        let quote = &rest[start..=start];
        let after = &rest[start + 1..];
        let Some(end) = after.find(quote) else { break };
        found.push(&after[..end]);
        rest = &after[end + 1..];
    }
    found
}

fn go_mod(text: &str, mut manifest: Manifest) -> Manifest {
    let mut in_require = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("module ") {
            manifest.name = Some(name.to_owned());
        } else if line.starts_with("require (") {
            in_require = true;
        } else if line == ")" {
            in_require = false;
        } else if in_require || line.starts_with("require ") {
            let path = line.trim_start_matches("require ").split_whitespace().next();
            manifest.dependencies.extend(path.map(str::to_owned));
        }
    }
    manifest
}

fn pom(text: &str, mut manifest: Manifest) -> Manifest {
    for chunk in text.split("<artifactId>").skip(1) {
        let name = chunk.split('<').next().unwrap_or_default().trim();
        manifest.dependencies.insert(name.to_owned());
    }
    let body = text.split("</parent>").last().unwrap_or(text);
    let own = body.split("<artifactId>").nth(1).and_then(|chunk| chunk.split('<').next());
    manifest.name = own.map(|name| name.trim().to_owned());
    if let Some(name) = &manifest.name {
        manifest.dependencies.remove(name);
    }
    manifest
}

fn gradle(text: &str, mut manifest: Manifest) -> Manifest {
    for line in text.lines() {
        for found in quoted(line) {
            let mut parts = found.split(':');
            if let (Some(_), Some(artifact)) = (parts.next(), parts.next()) {
                manifest.dependencies.insert(artifact.to_owned());
            }
        }
    }
    manifest
}

fn gemfile(text: &str, mut manifest: Manifest) -> Manifest {
    for line in text.lines().map(str::trim).filter(|line| line.starts_with("gem ")) {
        manifest.dependencies.extend(quoted(line).first().map(|&name| name.to_owned()));
    }
    manifest
}

fn images(text: &str, mut manifest: Manifest) -> Manifest {
    for line in text.lines().map(str::trim) {
        if let Some(image) = line.strip_prefix("image:") {
            let image = image.trim().trim_matches(['"', '\'']);
            let name = image.rsplit('/').next().unwrap_or(image);
            manifest.dependencies.insert(identifier(name).to_owned());
        }
    }
    manifest
}
