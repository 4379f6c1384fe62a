//! `specline export`: a spec in the folder shape of another tool.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::args::{ExportArgs, PlaceArgs};
use super::host::{Duties, Host};
use super::reads::parse_id;
use super::{Exit, Failure, Location, print};
use crate::engine::Leave;
use crate::export::{Format, carried};
use crate::http::Export;
use crate::untrusted::Folder;

/// Entries of `specs` that are looked through for the last number.
const MAX_FEATURES: usize = 100_000;

/// More than an exported file has.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Texts that are kept beside one file.
const MAX_KEPT: u32 = 1_000;

pub async fn export(args: &PlaceArgs, asked: ExportArgs) -> Result<Exit, Failure> {
    let id = parse_id(&asked.spec)?;
    let number = asked.to.as_deref().map_or(1, next_number);
    let mut path = format!("/api/v1/specs/{id}/export?format={}&number={number}", asked.format);
    if let Some(version) = asked.at {
        path.push_str(&format!("&as_of_version={version}"));
    }
    let host = Host::connect(&Location::find(args)?, Duties::Rest).await?;
    let exported = host.api.get::<Export>(&path).await;
    host.stop(Leave::Sandboxes).await;
    let exported = exported?;
    match &asked.to {
        Some(folder) => write(folder, &exported)?,
        None => show(&exported),
    }
    Ok(Exit::Completed)
}

/// One file is printed as it is; several, each under its path.
fn show(exported: &Export) {
    let single = exported.files.len() == 1 && exported.format == Format::Json;
    for (path, text) in &exported.files {
        if !single {
            print::data(&format!("==> {path} <=="));
        }
        print::document(text.trim_end_matches('\n'));
    }
}

/// Writes beneath `folder`, and through no link in it.
fn write(folder: &Path, exported: &Export) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::failed(format!("the export cannot be written: {error}"));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let root = Folder::root(folder).map_err(failed)?;
    for (path, text) in &exported.files {
        let path = Path::new(path);
        let parent = root.made(path.parent().unwrap_or(Path::new(""))).map_err(failed)?;
        let name = path.file_name().unwrap_or_default();
        if let Some(kept) = put(&parent, name, text).map_err(failed)? {
            let kept = folder.join(path.with_file_name(kept)).display().to_string();
            print::talk(&format!("what stood there was another text; it is kept in {kept}"));
        }
        print::data(&folder.join(path).display().to_string());
    }
    Ok(())
}

/// Writes a file, and loses nothing that stood in its place: what was ticked off stays so, and a
/// text that differs in more than that is kept beside; its name.
fn put(folder: &Folder, name: &OsStr, text: &str) -> std::io::Result<Option<OsString>> {
    let write = |name: &OsStr, text: &str| folder.write_whole(name, text.as_bytes(), ".tmp");
    let old = match folder.read(Path::new(name), MAX_FILE_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return write(name, text).map(|()| None);
        }
        Err(error) => return Err(error),
    };
    let text = carried(&String::from_utf8_lossy(&old), text);
    if old == text.as_bytes() {
        return Ok(None);
    }
    let mut kept = None;
    for n in 1..=MAX_KEPT {
        let mut beside = name.to_owned();
        beside.push(format!(".kept-{n}"));
        match folder.create(&beside, &old) {
            Ok(()) => {
                kept = Some(beside);
                break;
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && n < MAX_KEPT => {}
            Err(error) => return Err(error),
        }
    }
    write(name, &text)?;
    Ok(kept)
}

/// The number after the last feature that Spec Kit has in `folder`.
fn next_number(folder: &Path) -> u16 {
    let specs = Folder::root(folder).and_then(|root| root.folder(Path::new("specs")));
    let names = specs.and_then(|specs| specs.names(MAX_FEATURES)).unwrap_or_default();
    let number = |name: std::ffi::OsString| {
        let (number, _) = name.to_str()?.split_once('-')?;
        (number.len() == 3).then(|| number.parse::<u16>().ok()).flatten()
    };
    names.into_iter().filter_map(number).max().map_or(1, |last| last.saturating_add(1))
}
