//! Where an edited output comes from: the person's editor, or the spec's files in the repository.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use specline_aggregates::output::{Requirement, Requirements};
use specline_aggregates::{Phase, SpecId};

use super::Failure;
use super::host::Host;
use crate::untrusted::Folder;
use crate::view::SpecView;

/// A larger file was not written by a person.
const MAX_MARKDOWN_BYTES: u64 = 16 * 1024 * 1024;

/// Opens the output in `$EDITOR`, and takes what was saved.
pub(super) fn by_hand(output: &Value) -> Result<String, Failure> {
    let editor = std::env::var("VISUAL").or_else(|_| std::env::var("EDITOR"));
    let editor = editor.map_err(|_| {
        Failure::usage("set $EDITOR to edit the output here, or name a file with --file")
    })?;
    let line = crate::agent::CommandLine::parse(&editor)
        .map_err(|error| Failure::usage(format!("$EDITOR: {error}")))?;
    let name = format!("specline-edit-{}.json", uuid::Uuid::now_v7());
    let file = std::env::temp_dir().join(&name);
    let failed = |error: std::io::Error| Failure::failed(format!("{}: {error}", file.display()));
    let folder = Folder::root(&std::env::temp_dir()).map_err(failed)?;
    let made = folder.create(name.as_ref(), format!("{output:#}\n").as_bytes());
    made.map_err(failed)?;
    let status = Command::new(&line.program).args(&line.args).arg(&file).status();
    let text = std::fs::read_to_string(&file).map_err(failed);
    // Best effort: it lies in the folder for temporary files.
    drop(std::fs::remove_file(&file));
    match status {
        Ok(status) if status.success() => text,
        Ok(status) => Err(Failure::failed(format!("{editor} ended with {status}"))),
        Err(error) => Err(Failure::failed(format!("{editor}: {error}"))),
    }
}

/// Reads what a person changed in the spec's Markdown files. Requirements can be read back: their
/// titles and sentences; the rest of the output stays as it was.
pub(super) async fn from_repository(
    host: &Host,
    id: SpecId,
    phase: Phase,
) -> Result<String, Failure> {
    if phase != Phase::Requirements {
        return Err(Failure::usage(
            "--from-repo reads requirements.md; edit another phase with --file or $EDITOR",
        ));
    }
    let view = host.api.spec(id).await?;
    let text = exported(&view, "requirements")?;
    let found: Value = host.api.get(&format!("/api/v1/specs/{id}/phases/{phase}")).await?;
    let mut output: Requirements = serde_json::from_value(found["output"].clone())
        .map_err(|error| Failure::failed(format!("the recorded output: {error}")))?;
    let changed = apply(&mut output, &text)?;
    if changed == 0 {
        return Err(Failure::usage("requirements.md says what the log says; nothing to take"));
    }
    serde_json::to_string(&output).map_err(|error| Failure::failed(error.to_string()))
}

fn exported(view: &SpecView, name: &str) -> Result<String, Failure> {
    let file = view.files.iter().find(|file| {
        Path::new(&file.path).file_name().is_some_and(|f| f.to_string_lossy().starts_with(name))
    });
    let file = file.ok_or_else(|| {
        Failure::usage("the spec has written no files yet; let it complete first")
    })?;
    let root = Folder::root(Path::new(&view.repository));
    let read = root.and_then(|root| root.read(Path::new(&file.path), MAX_MARKDOWN_BYTES));
    let text = read.map_err(|error| Failure::usage(error.to_string()))?;
    String::from_utf8(text).map_err(|_| Failure::usage(format!("{} is no UTF-8", file.path)))
}

/// Takes titles and sentences from the Markdown; returns how many were changed.
fn apply(output: &mut Requirements, text: &str) -> Result<usize, Failure> {
    let mut changed = 0;
    let mut open: Option<usize> = None;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            open = None;
            if let Some((id, title)) = heading.split_once(": ")
                && id.starts_with("REQ-")
            {
                let index = output.requirements.iter().position(|r| r.id == id.trim());
                let index = index.ok_or_else(|| {
                    Failure::usage(format!(
                        "{id} is not among the recorded requirements; add it with `edit --file`"
                    ))
                })?;
                changed += usize::from(set(&mut output.requirements[index].title, title));
                open = Some(index);
            }
        } else if let (Some(index), Some(sentence)) = (open, line.strip_prefix("> ")) {
            let requirement: &mut Requirement = &mut output.requirements[index];
            changed += usize::from(set(&mut requirement.text, sentence));
        }
    }
    Ok(changed)
}

fn set(slot: &mut String, new: &str) -> bool {
    let new = new.trim();
    let differs = slot != new;
    if differs {
        new.clone_into(slot);
    }
    differs
}
