//! The `builtin` agent: deterministic, offline, without a model. It reads the repository and drafts
//! each phase's output from what it finds there and from the request's own words. It owns no state,
//! reads no clock, draws no random number and writes nothing: the same files and the same request
//! give the same output, byte for byte.

mod components;
mod conventions;
mod criteria;
mod design;
mod diagram;
mod draft;
mod ears;
mod explore;
mod feature;
mod feedback;
mod grammar;
mod groups;
mod history;
mod ignored;
mod instruction;
mod item;
mod language;
mod manifests;
mod markdown;
mod modal;
mod models;
mod placement;
mod prose;
mod purpose;
mod rank;
mod requirements;
mod routes;
mod sentence;
mod stack;
mod survey;
mod symbols;
mod tasks;
mod tokens;
mod topics;
mod vague;
mod walk;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use specline_aggregates::Finding;
use specline_aggregates::output::{Design, Explore, Requirements, Tasks};

/// The agent's name, as a policy names it.
pub const NAME: &str = "builtin";

/// How the agent says what it is. Every output carries it.
pub const NOTICE: &str = "Drafted by Specline's builtin agent: no model was used.";

/// What a person asks for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub title: &'a str,
    /// Prose or Markdown; may be empty, or repeat the title.
    pub description: &'a str,
}

/// Why nothing could be drafted.
#[derive(Debug, thiserror::Error)]
pub enum BuiltinError {
    /// A file that cannot be read is passed over; this is the folder itself.
    #[error("cannot read the folder {}", path.display())]
    Workdir {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Reads the repository in `workdir`, and ranks its files by the request.
pub fn explore(workdir: &Path, request: &Request<'_>) -> Result<Explore, BuiltinError> {
    let survey = survey::Survey::of(workdir)?;
    Ok(explore::of(&survey, request))
}

/// Turns the request's sentences and lists into EARS requirements. Failed findings of an earlier
/// attempt, and a person's remarks, are taken up.
#[must_use]
pub fn requirements(
    request: &Request<'_>,
    explore: &Explore,
    feedback: &[Finding],
) -> Requirements {
    requirements::draft(request, explore, feedback)
}

/// Names the components, the files that they live in, and what each is responsible for.
pub fn design(
    workdir: &Path,
    request: &Request<'_>,
    explore: &Explore,
    requirements: &Requirements,
    feedback: &[Finding],
) -> Result<Design, BuiltinError> {
    let survey = survey::Survey::of(workdir)?;
    let source = design::Source { survey: &survey, request, explore, requirements };
    Ok(design::draft(&source, feedback))
}

/// Breaks the design into tickets and tasks with real paths and dependencies.
pub fn tasks(
    workdir: &Path,
    explore: &Explore,
    requirements: &Requirements,
    design: &Design,
    feedback: &[Finding],
) -> Result<Tasks, BuiltinError> {
    let survey = survey::Survey::of(workdir)?;
    let source = tasks::Source { survey: &survey, explore, requirements, design };
    Ok(tasks::draft(&source, feedback))
}
