//! Outputs that pass the gates (the examples that the prompts show), and some that do not.

use serde_json::{Value, json};
use specline_aggregates::manifest::File;
use specline_aggregates::{Manifest, Phase, RawJson};

const FILES: [&str; 8] = [
    "README.md",
    "package.json",
    "src/app.ts",
    "src/auth.ts",
    "src/config.ts",
    "src/routes/links.ts",
    "src/store.ts",
    "test/links.test.ts",
];

/// The repository that the examples speak of.
pub fn manifest() -> Manifest {
    let file = |path: &&str| File { path: (*path).into(), bytes: 1, oid: "0".into() };
    Manifest::new("c0ffee".into(), FILES.iter().map(file).collect())
}

pub fn passing(phase: Phase) -> RawJson {
    RawJson::parse(text(phase).trim().to_owned()).unwrap()
}

/// Has the shape, and not the substance.
pub fn failing(phase: Phase) -> RawJson {
    let mut value: Value = serde_json::from_str(text(phase)).unwrap();
    match phase {
        Phase::Explore => value["explored_files"] = json!(["not/there.rs"]),
        Phase::Requirements => value["requirements"][0]["text"] = json!("It should be fast."),
        Phase::Design => value["components"][0]["depends_on"] = json!(["Nobody"]),
        Phase::Tasks | Phase::Sync => value["tasks"][0]["depends_on"] = json!(["TSK-999"]),
    }
    RawJson::of(&value).unwrap()
}

/// JSON, and not the phase's shape.
pub fn malformed() -> RawJson {
    RawJson::parse(r#"{"done":true}"#.to_owned()).unwrap()
}

fn text(phase: Phase) -> &'static str {
    match phase {
        Phase::Explore => include_str!("../../../../src/prompts/example/explore.json"),
        Phase::Requirements => include_str!("../../../../src/prompts/example/requirements.json"),
        Phase::Design => include_str!("../../../../src/prompts/example/design.json"),
        Phase::Tasks | Phase::Sync => {
            include_str!("../../../../src/prompts/example/tasks.json")
        }
    }
}
