//! The access keys, as their lists show them. Nothing is let in by this: the engine asks the
//! aggregate. Digests of secrets are left out.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::access_key::{Event, Scope};
use specline_aggregates::{AccessKeyId, ProjectId, Timestamp};

use crate::Envelope;
use crate::framework::{
    Column, Error, FoldError, Listing, Model, Of, Order, Projection, Query, ReadModels, Rows,
    Table, Value,
};

/// A key at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccessKeyLine {
    pub id: AccessKeyId,
    pub name: String,
    pub scopes: BTreeSet<Scope>,
    /// The only project that it sees; none = all.
    pub project: Option<ProjectId>,
    pub expires_at: Option<Timestamp>,
    pub created_by: String,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    pub revoked_by: Option<String>,
    /// Why it was revoked.
    pub reason: Option<String>,
    pub version: u64,
    pub position: u64,
}

impl AccessKeyLine {
    /// Whether it opens anything at `now`.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| at > now)
    }
}

impl ReadModels {
    /// Every key ever made, oldest first. `after` is the `next` of the listing before.
    pub async fn access_keys(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Listing<AccessKeyLine>, Error> {
        let query = Query::of::<AccessKeys>();
        let listing: Listing<Row> = query.page(self, Order::Oldest, (after, limit)).await?;
        Ok(listing.filter_map(|row| Some(row.line)))
    }

    pub async fn access_key(&self, id: AccessKeyId) -> Result<Option<AccessKeyLine>, Error> {
        Ok(self.row::<AccessKeys>(id).await?.map(|row| row.line))
    }
}

pub(crate) fn model() -> Box<dyn Projection> {
    Of::<AccessKeys>::boxed()
}

pub(crate) struct AccessKeys;

#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    line: AccessKeyLine,
    ordinal: u64,
}

impl Model for AccessKeys {
    type Row = Row;

    const READS: &'static [&'static str] = &["AccessKey"];

    const TABLE: Table = Table {
        name: "access_keys",
        version: 1,
        columns: &[
            Column::text("id"),
            Column::text("name"),
            Column::text("scopes"),
            Column::text("project"),
            Column::time("expires_at"),
            Column::text("created_by"),
            Column::time("created_at"),
            Column::time("revoked_at"),
            Column::text("revoked_by"),
            Column::text("reason"),
            Column::int("version"),
            Column::int("ordinal"),
        ],
        indices: &[&["ordinal"]],
        lists: &[],
    };

    fn keys(event: &Envelope) -> Vec<String> {
        event.access_key().map(|(id, _)| id.to_string()).into_iter().collect()
    }

    fn fold(rows: &mut Rows<Row>, envelope: &Envelope) -> Result<(), FoldError> {
        let Some((id, event)) = envelope.access_key() else { return Ok(()) };
        let key = id.to_string();
        match event {
            Event::AccessKeyCreated { grant, by, .. } => {
                let grant = (**grant).clone();
                let line = AccessKeyLine {
                    id,
                    name: grant.name,
                    scopes: grant.scopes,
                    project: grant.project,
                    expires_at: grant.expires_at,
                    created_by: by.clone(),
                    created_at: envelope.recorded_at,
                    revoked_at: None,
                    revoked_by: None,
                    reason: None,
                    version: envelope.sequence,
                    position: envelope.position,
                };
                rows.put(key, Row { line, ordinal: envelope.position });
            }
            Event::AccessKeyRevoked { by, reason } => {
                let Some(Row { line, .. }) = rows.get_mut(&key) else {
                    let what = format!("access key {id}");
                    return Err(FoldError::Unknown { event: envelope.event_type.clone(), what });
                };
                line.revoked_at = Some(envelope.recorded_at);
                line.revoked_by = Some(by.clone());
                line.reason = Some(reason.clone());
                line.version = envelope.sequence;
                line.position = envelope.position;
            }
        }
        Ok(())
    }

    fn columns(row: &Row) -> Vec<Value> {
        let line = &row.line;
        let scopes: Vec<_> = line.scopes.iter().map(|scope| scope.as_str()).collect();
        vec![
            Value::text(line.id),
            Value::text(&line.name),
            Value::text(scopes.join(" ")),
            Value::text_or_null(line.project),
            Value::time_or_null(line.expires_at),
            Value::text(&line.created_by),
            Value::time(line.created_at),
            Value::time_or_null(line.revoked_at),
            Value::text_or_null(line.revoked_by.as_ref()),
            Value::text_or_null(line.reason.as_ref()),
            Value::position(line.version),
            Value::position(row.ordinal),
        ]
    }
}
