//! The way of a command: load the aggregate, decide, append where it was decided, and on a conflict
//! do it again. A repeat under a known idempotency key gets the first answer. Nothing here decides
//! what may follow what.

mod origin;
mod outcome;

pub use origin::{Actor, Origin};
pub use outcome::{CommandError, Done};

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use specline_aggregates::access_key::AccessKey;
use specline_aggregates::project::Project;
use specline_aggregates::spec::{self, Spec};
use specline_aggregates::task::Task;
use specline_aggregates::ticket::Ticket;
use specline_aggregates::{AccessKeyId, Decide, Digest, ProjectId, SpecId, TaskId, TicketId};
use uuid::Uuid;

use crate::metrics::{Metrics, Seen};
use crate::store::{
    AggregateStore, Appended, Blob, Commit, EventLog, Key, Loaded, SnapshotKey, StreamHead,
};

/// What is kept with a key whose command wrote something.
const WRITTEN: &str = "written";

/// Times that a command is decided again when others were first.
const MAX_CONFLICTS: u32 = 5;

/// An idempotency key as a caller gives it, with the digest of the request it stands for.
#[derive(Debug, Clone)]
pub struct Keyed {
    pub key: String,
    pub request: Digest,
}

impl Keyed {
    /// A key that the engine makes for its own follow-up commands: the request is the key.
    #[must_use]
    pub fn of_engine(key: String) -> Self {
        let request = Digest::of(key.as_bytes());
        Self { key, request }
    }
}

/// A decided command on its way: who asked, under which key, and what is stored beside the events.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    pub origin: &'a Origin,
    pub keyed: Option<&'a Keyed>,
    /// The version that it was decided on; another one is refused.
    pub expected: Option<u64>,
    pub blobs: Vec<Blob>,
}

impl<'a> Order<'a> {
    #[must_use]
    pub const fn from(origin: &'a Origin) -> Self {
        Self { origin, keyed: None, expected: None, blobs: Vec::new() }
    }

    #[must_use]
    pub const fn keyed(mut self, keyed: Option<&'a Keyed>) -> Self {
        self.keyed = keyed;
        self
    }

    #[must_use]
    pub const fn expecting(mut self, version: Option<u64>) -> Self {
        self.expected = version;
        self
    }

    #[must_use]
    pub fn with_blobs(mut self, blobs: Vec<Blob>) -> Self {
        self.blobs = blobs;
        self
    }
}

/// The aggregates of one log, and the way of commands to them.
pub struct Commands {
    log: Arc<dyn EventLog>,
    metrics: Arc<Metrics>,
    pub specs: AggregateStore<Spec>,
    pub tasks: AggregateStore<Task>,
    pub tickets: AggregateStore<Ticket>,
    pub projects: AggregateStore<Project>,
    pub access_keys: AggregateStore<AccessKey>,
}

impl Commands {
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self {
            specs: AggregateStore::new(Arc::clone(&log)),
            tasks: AggregateStore::new(Arc::clone(&log)),
            tickets: AggregateStore::new(Arc::clone(&log)),
            projects: AggregateStore::new(Arc::clone(&log)),
            access_keys: AggregateStore::new(Arc::clone(&log)),
            metrics: Arc::default(),
            log,
        }
    }

    /// The same, with snapshots of states under this key. None of access keys: what they open is
    /// always read from the log itself.
    #[must_use]
    pub fn with_snapshots(mut self, key: &SnapshotKey) -> Self {
        self.specs = self.specs.with_snapshots(key.clone());
        self.tasks = self.tasks.with_snapshots(key.clone());
        self.tickets = self.tickets.with_snapshots(key.clone());
        self.projects = self.projects.with_snapshots(key.clone());
        self
    }

    #[must_use]
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// What this node counts of itself.
    #[must_use]
    pub const fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Carries out a command on a spec.
    pub async fn spec(
        &self,
        id: SpecId,
        command: &<Spec as cqrs_es::Aggregate>::Command,
        order: Order<'_>,
    ) -> Result<Done<Spec>, CommandError<Spec>> {
        self.carry_out(&self.specs, id.uuid(), command, order).await
    }

    /// Carries out a command on a task.
    pub async fn task(
        &self,
        id: TaskId,
        command: &<Task as cqrs_es::Aggregate>::Command,
        order: Order<'_>,
    ) -> Result<Done<Task>, CommandError<Task>> {
        self.carry_out(&self.tasks, id.uuid(), command, order).await
    }

    /// Carries out a command on a ticket.
    pub async fn ticket(
        &self,
        id: TicketId,
        command: &<Ticket as cqrs_es::Aggregate>::Command,
        order: Order<'_>,
    ) -> Result<Done<Ticket>, CommandError<Ticket>> {
        self.carry_out(&self.tickets, id.uuid(), command, order).await
    }

    /// Carries out a command on a project.
    pub async fn project(
        &self,
        id: ProjectId,
        command: &<Project as cqrs_es::Aggregate>::Command,
        order: Order<'_>,
    ) -> Result<Done<Project>, CommandError<Project>> {
        self.carry_out(&self.projects, id.uuid(), command, order).await
    }

    /// Carries out a command on an access key.
    pub async fn access_key(
        &self,
        id: AccessKeyId,
        command: &<AccessKey as cqrs_es::Aggregate>::Command,
        order: Order<'_>,
    ) -> Result<Done<AccessKey>, CommandError<AccessKey>> {
        self.carry_out(&self.access_keys, id.uuid(), command, order).await
    }

    async fn carry_out<A: Decide>(
        &self,
        store: &AggregateStore<A>,
        id: Uuid,
        command: &A::Command,
        order: Order<'_>,
    ) -> Result<Done<A>, CommandError<A>> {
        let mut tries = 0;
        loop {
            let loaded = store.load(id).await.map_err(CommandError::Store)?;
            let decided_on = loaded.head;
            match self.try_once(store, loaded, command, order.clone()).await {
                Err(error) if error.is_conflict() && tries < MAX_CONFLICTS => tries += 1,
                // The append finds a known key by itself; only a refusal has to ask, since the
                // state may have moved on since the first time.
                Err(
                    refused @ (CommandError::Rejected(_) | CommandError::VersionConflict { .. }),
                ) => {
                    if let Some(done) = self.repeated(store, id, order.keyed).await? {
                        return Ok(done);
                    }
                    if tries >= MAX_CONFLICTS || !has_moved(store, id, decided_on).await? {
                        return Err(refused);
                    }
                    tries += 1;
                }
                // Nothing was appended that could have met a conflict.
                Ok(done) if !done.written && order.keyed.is_none() => {
                    if tries >= MAX_CONFLICTS || !has_moved(store, id, decided_on).await? {
                        return Ok(done);
                    }
                    tries += 1;
                }
                result => return result,
            }
        }
    }

    /// What an earlier command under this key did, if there was one.
    pub async fn repeated<A: Decide>(
        &self,
        store: &AggregateStore<A>,
        id: Uuid,
        keyed: Option<&Keyed>,
    ) -> Result<Option<Done<A>>, CommandError<A>> {
        let Some(keyed) = keyed else { return Ok(None) };
        let found = self.log.find_key(id, &keyed.key).await;
        let Some(record) = found.map_err(CommandError::log)? else { return Ok(None) };
        if record.request != keyed.request {
            return Err(CommandError::KeyReused { key: keyed.key.clone() });
        }
        let then = store.load_at(id, record.version).await.map_err(CommandError::Store)?;
        Ok(Some(Done {
            state: then.state,
            position: record.position,
            version: record.version,
            written: record.answer == WRITTEN,
            repeated: true,
        }))
    }

    /// Decides `command` on `loaded` and appends once. A conflict is an error here.
    pub async fn try_once<A: Decide>(
        &self,
        store: &AggregateStore<A>,
        loaded: Loaded<A>,
        command: &A::Command,
        order: Order<'_>,
    ) -> Result<Done<A>, CommandError<A>> {
        let started = Instant::now();
        let done = self.decide_and_append(store, loaded, command, order).await;
        self.metrics.command(A::TYPE, outcome(&done), started.elapsed());
        done
    }

    async fn decide_and_append<A: Decide>(
        &self,
        store: &AggregateStore<A>,
        loaded: Loaded<A>,
        command: &A::Command,
        order: Order<'_>,
    ) -> Result<Done<A>, CommandError<A>> {
        let found = loaded.version();
        if let Some(expected) = order.expected.filter(|expected| *expected != found) {
            return Err(CommandError::VersionConflict { expected, found });
        }
        let events = loaded.state.decide(command).map_err(CommandError::Rejected)?;
        let unknown = loaded.head.is_none();
        if events.is_empty() && (order.keyed.is_none() || unknown) {
            return Ok(Done {
                version: loaded.version(),
                position: *self.log.watch_head().borrow(),
                state: loaded.state,
                written: false,
                repeated: false,
            });
        }
        let written = !events.is_empty();
        let key = order.keyed.map(|keyed| Key {
            key: keyed.key.clone(),
            request: keyed.request,
            answer: if written { WRITTEN.to_owned() } else { String::new() },
        });
        let id = loaded.id;
        let metadata = order.origin.metadata();
        let seen = seen(&*loaded.state, &events);
        let n_events = events.len();
        let commit = Commit { events, metadata, key, blobs: order.blobs };
        let started = Instant::now();
        let committed = store.commit(loaded, commit).await.map_err(CommandError::of_commit)?;
        if !committed.appended.repeated {
            self.metrics.appended(A::TYPE, n_events, started.elapsed());
            if let Some(seen) = seen {
                self.metrics.specs.committed(seen, committed.appended.recorded_at);
            }
        }
        let Appended { position, head, repeated, answer, .. } = committed.appended;
        let state = if repeated {
            store.load_at(id, head.version).await.map_err(CommandError::Store)?.state
        } else {
            committed.state
        };
        let written = if repeated { answer == WRITTEN } else { written };
        Ok(Done { state, position, version: head.version, written, repeated })
    }
}

/// What counts of a spec's events; nothing of other aggregates'.
#[expect(clippy::ptr_arg, reason = "the vector itself is what is looked at as any type")]
fn seen<A: Decide>(state: &A, events: &Vec<A::Event>) -> Option<Seen> {
    let state = (state as &dyn Any).downcast_ref::<Spec>()?;
    let events = (events as &dyn Any).downcast_ref::<Vec<spec::Event>>()?;
    Seen::before(state, events)
}

/// How a command ended, in one word.
fn outcome<A: Decide>(done: &Result<Done<A>, CommandError<A>>) -> &'static str {
    match done {
        Ok(Done { written: true, repeated: false, .. }) => "written",
        Ok(_) => "unchanged",
        Err(
            CommandError::Rejected(_)
            | CommandError::KeyReused { .. }
            | CommandError::VersionConflict { .. },
        ) => "refused",
        Err(error) if error.is_conflict() => "conflict",
        Err(CommandError::Store(_)) => "failed",
    }
}

/// Whether another process has appended since this process read the stream: what was decided on
/// the old state without an append says nothing then.
async fn has_moved<A: Decide>(
    store: &AggregateStore<A>,
    id: Uuid,
    decided_on: Option<StreamHead>,
) -> Result<bool, CommandError<A>> {
    let fresh = store.load_fresh(id).await.map_err(CommandError::Store)?;
    Ok(fresh.head != decided_on)
}
