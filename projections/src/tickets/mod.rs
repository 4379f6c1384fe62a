//! Tickets, as a board shows them. The fold is the aggregate's own transition.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::output::Priority;
use specline_aggregates::task::Outcome;
use specline_aggregates::ticket::{self, Event, Ticket, WorkflowMode};
use specline_aggregates::{ProjectId, SpecId, TicketId, Timestamp};

use crate::Envelope;
use crate::framework::{
    Column, Error, FoldError, Listing, Model, Of, Order, Projection, Query, ReadModels, Rows,
    Table, Value,
};

/// A ticket at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TicketLine {
    pub id: TicketId,
    pub project: ProjectId,
    pub spec: Option<SpecId>,
    pub local_id: Option<String>,
    pub title: String,
    pub description: String,
    pub status: ticket::Status,
    /// Why it is blocked; none when it is not.
    pub blocked: Option<String>,
    pub priority: Priority,
    pub workflow_mode: WorkflowMode,
    pub n_tasks: u32,
    /// Tasks that were completed.
    pub n_done: u32,
    /// Local ids of the spec's requirements that it serves.
    pub requirements: Vec<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub version: u64,
    pub position: u64,
}

/// Which tickets to list; what is none is not asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub project: Option<ProjectId>,
    pub spec: Option<SpecId>,
    pub status: Option<ticket::Status>,
}

impl ReadModels {
    /// Tickets, oldest first. `after` is the `next` of the listing before.
    pub async fn tickets(
        &self,
        filter: &Filter,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Listing<TicketLine>, Error> {
        let query = Query::of::<Tickets>()
            .equal("project", filter.project)
            .equal("spec", filter.spec)
            .equal("status", filter.status.map(ticket::Status::as_str));
        let listing: Listing<Row> = query.page(self, Order::Oldest, (after, limit)).await?;
        Ok(listing.filter_map(|row| row.line()))
    }

    pub async fn ticket(&self, id: TicketId) -> Result<Option<TicketLine>, Error> {
        Ok(self.row::<Tickets>(id).await?.and_then(|row| row.line()))
    }
}

pub(crate) fn model() -> Box<dyn Projection> {
    Of::<Tickets>::boxed()
}

pub(crate) struct Tickets;

#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    ticket: Ticket,
    ordinal: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
    position: u64,
}

impl Model for Tickets {
    type Row = Row;

    const READS: &'static [&'static str] = &["Ticket"];

    const TABLE: Table = Table {
        name: "tickets",
        version: 2,
        columns: &[
            Column::text("project"),
            Column::text("spec"),
            Column::text("status"),
            Column::int("ordinal"),
            Column::text("id"),
            Column::text("local_id"),
            Column::text("title"),
            Column::text("blocked"),
            Column::text("priority"),
            Column::text("workflow_mode"),
            Column::int("n_tasks"),
            Column::int("n_done"),
            Column::time("created_at"),
            Column::time("updated_at"),
            Column::int("version"),
        ],
        indices: &[&["ordinal"], &["spec", "ordinal"], &["status", "ordinal"]],
        lists: &[],
    };

    fn keys(event: &Envelope) -> Vec<String> {
        event.ticket().map(|(id, _)| id.to_string()).into_iter().collect()
    }

    fn fold(rows: &mut Rows<Row>, envelope: &Envelope) -> Result<(), FoldError> {
        let Some((id, event)) = envelope.ticket() else { return Ok(()) };
        let key = id.to_string();
        if rows.get(&key).is_none() {
            if !matches!(event, Event::TicketOpened { .. }) {
                let what = format!("ticket {id}");
                return Err(FoldError::Unknown { event: envelope.event_type.clone(), what });
            }
            rows.put(key.clone(), Row::new(envelope));
        }
        let Some(row) = rows.get_mut(&key) else { return Ok(()) };
        row.ticket.evolve(event)?;
        row.updated_at = envelope.recorded_at;
        row.position = envelope.position;
        Ok(())
    }

    fn columns(row: &Row) -> Vec<Value> {
        let Some(line) = row.line() else { return Self::TABLE.blank() };
        vec![
            Value::text(line.project),
            Value::text_or_null(row.ticket.spec()),
            Value::text(line.status.as_str()),
            Value::position(row.ordinal),
            Value::text(line.id),
            Value::text_or_null(line.local_id),
            Value::text(line.title),
            Value::text_or_null(line.blocked),
            Value::word(line.priority),
            Value::word(line.workflow_mode),
            Value::int(line.n_tasks),
            Value::int(line.n_done),
            Value::time(line.created_at),
            Value::time(line.updated_at),
            Value::position(line.version),
        ]
    }
}

impl Row {
    fn new(envelope: &Envelope) -> Self {
        Self {
            ticket: Ticket::default(),
            ordinal: envelope.position,
            created_at: envelope.recorded_at,
            updated_at: envelope.recorded_at,
            position: envelope.position,
        }
    }

    fn line(&self) -> Option<TicketLine> {
        let request = self.ticket.request()?;
        let tasks = self.ticket.tasks();
        let done = tasks.values().filter(|outcome| **outcome == Some(Outcome::Completed)).count();
        Some(TicketLine {
            id: self.ticket.id()?,
            project: request.project,
            spec: request.spec,
            local_id: request.local_id.clone(),
            title: request.title.clone(),
            description: request.description.clone(),
            status: self.ticket.status(),
            blocked: self.ticket.blocked().map(str::to_owned),
            priority: request.priority,
            workflow_mode: request.workflow_mode,
            n_tasks: u32::try_from(tasks.len()).unwrap_or(u32::MAX),
            n_done: u32::try_from(done).unwrap_or(u32::MAX),
            requirements: request.requirements.clone(),
            created_at: self.created_at,
            updated_at: self.updated_at,
            version: self.ticket.version(),
            position: self.position,
        })
    }
}
