//! A spec in the folder shapes of other tools, and as Markdown and JSON. Pure: the same spec gives
//! the same files.

mod kiro;
pub(crate) mod markdown;
mod openspec;
mod order;
mod spec_kit;
mod text;
mod ticks;

pub use ticks::carried;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::output::{Design, Explore, PlannedTask, Requirements, Tasks};
use specline_aggregates::spec::slug;
use specline_aggregates::{Phase, RawJson, Timestamp};

use crate::view::SpecView;

/// The shapes that a spec is exported in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ExportFormat")]
pub enum Format {
    /// The spec and its accepted outputs in one object.
    Json,
    /// The documents that SYNC writes.
    Markdown,
    /// `specs/NNN-name/{spec,plan,tasks}.md`.
    SpecKit,
    /// `.kiro/specs/name/{requirements,design,tasks}.md`.
    Kiro,
    /// `openspec/changes/name/…`.
    #[serde(rename = "openspec")]
    OpenSpec,
}

impl Format {
    pub const ALL: [Self; 5] =
        [Self::Json, Self::Markdown, Self::SpecKit, Self::Kiro, Self::OpenSpec];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Markdown => "markdown",
            Self::SpecKit => "spec-kit",
            Self::Kiro => "kiro",
            Self::OpenSpec => "openspec",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// No format has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no format is called {0:?}; there are json, markdown, spec-kit, kiro, openspec")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == text);
        found.ok_or_else(|| UnknownFormat(text.chars().take(40).collect()))
    }
}

/// What is exported. Phases that are not done yet are none, and their parts are left out.
#[derive(Debug, Clone)]
pub struct Material {
    pub view: SpecView,
    pub description: String,
    /// When the spec was drafted.
    pub created: Timestamp,
    /// Number of the spec among the features of a repository.
    pub number: u32,
    pub explore: Option<Explore>,
    pub requirements: Option<Requirements>,
    pub design: Option<Design>,
    pub tasks: Option<Tasks>,
    /// The accepted outputs, verbatim.
    pub outputs: BTreeMap<Phase, RawJson>,
}

/// The files, by their paths from the root of a repository.
pub type Files = BTreeMap<String, String>;

/// One JSON object of everything.
#[derive(Serialize)]
struct Whole<'a> {
    format: &'static str,
    spec: &'a SpecView,
    description: &'a str,
    created_at: Timestamp,
    outputs: &'a BTreeMap<Phase, RawJson>,
}

/// The files of `material` in `format`.
#[must_use]
pub fn files(format: Format, material: &Material) -> Files {
    match format {
        Format::Json => json(material),
        Format::Markdown => plain(material),
        Format::SpecKit => spec_kit::files(material),
        Format::Kiro => kiro::files(material),
        Format::OpenSpec => openspec::files(material),
    }
}

fn json(material: &Material) -> Files {
    let whole = Whole {
        format: "specline/1",
        spec: &material.view,
        description: &material.description,
        created_at: material.created,
        outputs: &material.outputs,
    };
    let text = serde_json::to_string_pretty(&whole).expect("views and JSON are always valid JSON");
    Files::from([(format!("{}.json", material.slug()), format!("{text}\n"))])
}

fn plain(material: &Material) -> Files {
    let folder = format!("specs/{}", material.slug());
    let title = material.title();
    let mut files = Files::new();
    files.insert(format!("{folder}/request.md"), text::request(material));
    if let Some(requirements) = &material.requirements {
        let text = markdown::requirements(title, requirements);
        files.insert(format!("{folder}/requirements.md"), text);
    }
    if let Some(design) = &material.design {
        files.insert(format!("{folder}/design.md"), markdown::design(title, design));
    }
    if let (Some(tasks), Some(requirements)) = (&material.tasks, &material.requirements) {
        let text = markdown::tasks(title, tasks, requirements);
        files.insert(format!("{folder}/tasks.md"), text);
    }
    files
}

impl Material {
    fn title(&self) -> &str {
        &self.view.title
    }

    fn slug(&self) -> String {
        slug(&self.view.title)
    }

    /// The day on which the spec was drafted.
    fn day(&self) -> String {
        self.created.to_string().chars().take(10).collect()
    }

    /// What the requirements say about stories that a person could use by themselves: one a ticket,
    /// or one for everything before there are tickets.
    fn stories(&self) -> Vec<Story<'_>> {
        let Some(tasks) = self.tasks.as_ref().filter(|tasks| !tasks.tickets.is_empty()) else {
            let requirements = self.requirements.iter().flat_map(|all| &all.requirements);
            let requirements = requirements.map(|one| one.id.as_str()).collect();
            let (title, description) = (self.title(), self.description.as_str());
            return vec![Story { title, description, requirements, tasks: Vec::new() }];
        };
        let of_ticket = |ticket: &str| -> Vec<&PlannedTask> {
            tasks.tasks.iter().filter(|task| task.ticket == ticket).collect()
        };
        let mut stories = Vec::new();
        for ticket in &tasks.tickets {
            stories.push(Story {
                title: &ticket.title,
                description: ticket.description.as_deref().unwrap_or_default(),
                requirements: ticket.requirements.iter().map(String::as_str).collect(),
                tasks: of_ticket(&ticket.id),
            });
        }
        order::put_in_order(stories)
    }
}

/// Requirements and tasks that belong together.
struct Story<'a> {
    title: &'a str,
    description: &'a str,
    /// Local ids.
    requirements: Vec<&'a str>,
    tasks: Vec<&'a PlannedTask>,
}
