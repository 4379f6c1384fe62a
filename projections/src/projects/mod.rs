//! The projects that people have named. A repository that nobody named has a project id all the
//! same, and no row here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::project::{Event, Settings};
use specline_aggregates::{ProjectId, Timestamp};

use crate::Envelope;
use crate::framework::{
    Column, Error, FoldError, Listing, Model, Of, Order, Projection, Query, ReadModels, Rows,
    Table, Value,
};

/// A project at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectLine {
    pub id: ProjectId,
    #[serde(flatten)]
    pub settings: Settings,
    pub created_by: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub version: u64,
    pub position: u64,
}

impl ReadModels {
    /// Projects, oldest first; with `only`, that one. `after` is the `next` of the listing before.
    pub async fn projects(
        &self,
        only: Option<ProjectId>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Listing<ProjectLine>, Error> {
        let query = Query::of::<Projects>().equal("key", only);
        let listing: Listing<Row> = query.page(self, Order::Oldest, (after, limit)).await?;
        Ok(listing.filter_map(|row| Some(row.line)))
    }
}

pub(crate) fn model() -> Box<dyn Projection> {
    Of::<Projects>::boxed()
}

pub(crate) struct Projects;

#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    line: ProjectLine,
    ordinal: u64,
}

impl Model for Projects {
    type Row = Row;

    const READS: &'static [&'static str] = &["Project"];

    const TABLE: Table = Table {
        name: "projects",
        version: 1,
        columns: &[
            Column::text("id"),
            Column::text("name"),
            Column::text("repository"),
            Column::text("agent"),
            Column::text("created_by"),
            Column::time("created_at"),
            Column::time("updated_at"),
            Column::int("version"),
            Column::int("ordinal"),
        ],
        indices: &[&["ordinal"]],
        lists: &[],
    };

    fn keys(event: &Envelope) -> Vec<String> {
        event.project().map(|(id, _)| id.to_string()).into_iter().collect()
    }

    fn fold(rows: &mut Rows<Row>, envelope: &Envelope) -> Result<(), FoldError> {
        let Some((id, event)) = envelope.project() else { return Ok(()) };
        let key = id.to_string();
        match event {
            Event::ProjectCreated { settings, by, .. } => {
                let line = ProjectLine {
                    id,
                    settings: (**settings).clone(),
                    created_by: by.clone(),
                    created_at: envelope.recorded_at,
                    updated_at: envelope.recorded_at,
                    version: envelope.sequence,
                    position: envelope.position,
                };
                rows.put(key, Row { line, ordinal: envelope.position });
            }
            Event::ProjectRevised { settings, .. } => {
                let Some(Row { line, .. }) = rows.get_mut(&key) else {
                    let what = format!("project {id}");
                    return Err(FoldError::Unknown { event: envelope.event_type.clone(), what });
                };
                line.settings = (**settings).clone();
                line.updated_at = envelope.recorded_at;
                line.version = envelope.sequence;
                line.position = envelope.position;
            }
        }
        Ok(())
    }

    fn columns(row: &Row) -> Vec<Value> {
        let line = &row.line;
        vec![
            Value::text(line.id),
            Value::text(&line.settings.name),
            Value::text(&line.settings.repository),
            Value::text(&line.settings.policy.agent),
            Value::text(&line.created_by),
            Value::time(line.created_at),
            Value::time(line.updated_at),
            Value::position(line.version),
            Value::position(row.ordinal),
        ]
    }
}
