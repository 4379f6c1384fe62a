//! `specline export`: a spec in the folder shape of another tool.

use std::path::{Component, Path, PathBuf};

use super::args::{ExportArgs, PlaceArgs};
use super::host::{Duties, Host};
use super::reads::parse_id;
use super::{Exit, Failure, Location, print};
use crate::engine::Leave;
use crate::export::Format;
use crate::http::Export;

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
        print::data(text.trim_end_matches('\n'));
    }
}

fn write(folder: &Path, exported: &Export) -> Result<(), Failure> {
    for (path, text) in &exported.files {
        let target = folder.join(inside(path)?);
        let failed = |error: std::io::Error| {
            Failure::failed(format!("{} cannot be written: {error}", target.display()))
        };
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        std::fs::write(&target, text).map_err(failed)?;
        print::data(&target.display().to_string());
    }
    Ok(())
}

/// The path, if it leads nowhere but into the folder.
fn inside(path: &str) -> Result<PathBuf, Failure> {
    let path = PathBuf::from(path);
    if path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Ok(path);
    }
    Err(Failure::failed(format!("{} leads out of the folder", path.display())))
}

/// The number after the last feature that Spec Kit has in `folder`.
fn next_number(folder: &Path) -> u16 {
    let entries = std::fs::read_dir(folder.join("specs"));
    let names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name());
    let number = |name: std::ffi::OsString| {
        let (number, _) = name.to_str()?.split_once('-')?;
        (number.len() == 3).then(|| number.parse::<u16>().ok()).flatten()
    };
    names.filter_map(number).max().map_or(1, |last| last.saturating_add(1))
}
