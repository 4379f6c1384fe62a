//! Access keys: making, revoking and checking them. The log holds the digest of a key's secret and
//! never the secret, so a key that is lost is replaced, not looked up.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use specline_aggregates::access_key::{self, AccessKey, Command, Grant, Rejection, Scope};
use specline_aggregates::{
    AccessKeyId, Digest, ProjectId, SandboxId, SpecId, TaskId, TicketId, derive_id,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::audit::{Filter, Position, Query};
use super::{Asked, Engine, EngineError};
use crate::commands::{Actor, CommandError, Done, Order, Origin};

/// Begins every key, so that people and scanners for leaked secrets know one when they see it.
pub const PREFIX: &str = "sl_";

/// How long a node goes by what it last read of a key on a log that other nodes write too. So a
/// revoked key is refused everywhere at most this much, and one read of the log, later.
const CHECK_AGAIN: Duration = Duration::from_millis(500);

/// Keys that a node remembers.
const MAX_KNOWN: usize = 4_096;

/// Keys looked at to find out whether there is a good one.
const PAGE: u32 = 1_000;

/// What a node has read of the keys, and when.
#[derive(Default)]
pub(super) struct Known(Mutex<BTreeMap<AccessKeyId, (Instant, Arc<AccessKey>)>>);

/// A key that was just made.
pub struct Minted {
    pub id: AccessKeyId,
    /// The whole key, which nothing can show again. None: the same request made it before.
    pub key: Option<String>,
    pub done: Done<AccessKey>,
}

/// Which keys there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stock {
    /// None was ever made.
    Never,
    /// None that opens anything now.
    Spent,
    Good,
}

type Result<T> = std::result::Result<T, EngineError>;

impl Engine {
    /// Makes a key.
    pub async fn create_access_key(&self, grant: Grant, asked: &Asked) -> Result<Minted> {
        let id = match &asked.keyed {
            Some(keyed) => derive_id(&["access key", &asked.by, &keyed.key]).into(),
            None => AccessKeyId::new(Uuid::now_v7()),
        };
        let order_by = asked.origin();
        let order = Order::from(&order_by).keyed(asked.keyed.as_ref());
        self.mint(id, grant, &asked.by, order).await
    }

    /// The first key of a log that never had one: everything, everywhere. None: another node was
    /// first.
    pub async fn create_first_key(&self) -> Result<Option<String>> {
        let id = derive_id(&["access key", "first"]).into();
        let scopes = [Scope::Admin].into();
        let grant = Grant { name: "first".to_owned(), scopes, project: None, expires_at: None };
        let origin = Origin::new(Actor::Duty("serve"));
        match self.mint(id, grant, "engine", Order::from(&origin)).await {
            Ok(minted) => Ok(minted.key),
            Err(EngineError::Refused { code: "already_exists", .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn mint(
        &self,
        id: AccessKeyId,
        grant: Grant,
        by: &str,
        order: Order<'_>,
    ) -> Result<Minted> {
        let secret = random().map_err(|error| EngineError::Internal {
            what: "there are no random numbers",
            cause: error.to_string(),
        })?;
        let secret = blake3::Hash::from_bytes(secret).to_hex().to_string();
        let command = Command::Create {
            key: id,
            grant: Box::new(grant),
            secret_digest: digest(id, &secret),
            by: by.to_owned(),
            now: self.wall_clock(),
        };
        let done = self.commands().access_key(id, &command, order).await?;
        let key = (done.written && !done.repeated)
            .then(|| format!("{PREFIX}{}_{secret}", id.uuid().simple()));
        Ok(Minted { id, key, done })
    }

    /// Takes a key back. Twice is fine.
    pub async fn revoke_access_key(
        &self,
        id: AccessKeyId,
        reason: &str,
        asked: &Asked,
    ) -> Result<Done<AccessKey>> {
        let command = Command::Revoke { by: asked.by.clone(), reason: reason.to_owned() };
        let origin = asked.origin();
        let order = Order::from(&origin).keyed(asked.keyed.as_ref()).expecting(asked.expected);
        let done = self.commands().access_key(id, &command, order).await;
        let missing = || EngineError::NotFound { what: "access key", id: id.to_string() };
        let done = done.map_err(|error| {
            let unknown = matches!(error, CommandError::Rejected(Rejection::NotFound));
            if unknown { missing() } else { error.into() }
        })?;
        self.known_keys().remove(&id);
        Ok(done)
    }

    /// The key that `text` is, if it opens anything now. Whether it is unknown, wrong, revoked or
    /// expired does not show.
    pub async fn access_key(&self, text: &str) -> Result<Option<Arc<AccessKey>>> {
        let parts = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_'));
        let Some((id, secret)) = parts else { return Ok(None) };
        let Ok(id) = id.parse::<AccessKeyId>() else { return Ok(None) };
        let key = self.key_as_it_is(id).await?;
        let Some(stored) = key.secret_digest() else { return Ok(None) };
        let [stored, given] =
            [stored, digest(id, secret)].map(|d| blake3::Hash::from_bytes(*d.as_bytes()));
        // blake3::Hash compares in constant time.
        if stored != given || key.is_revoked() {
            return Ok(None);
        }
        let expires = key.grant().is_some_and(|grant| grant.expires_at.is_some());
        let good = !expires || key.is_good(self.wall_clock());
        Ok(good.then_some(key))
    }

    /// The key as the log has it, or had it a moment ago where other nodes write it too.
    pub async fn key_as_it_is(&self, id: AccessKeyId) -> Result<Arc<AccessKey>> {
        let keys = &self.commands().access_keys;
        if !self.is_shared() {
            return Ok(keys.load(id.uuid()).await?.state);
        }
        let known = self.known_keys().get(&id).cloned();
        if let Some((at, key)) = known
            && at.elapsed() < CHECK_AGAIN
        {
            return Ok(key);
        }
        // From before the read: what is appended after it may be missed.
        let at = Instant::now();
        let loaded = keys.load_fresh(id.uuid()).await?;
        if loaded.head.is_some() {
            let mut known = self.known_keys();
            if known.len() >= MAX_KNOWN {
                known.clear();
            }
            known.insert(id, (at, Arc::clone(&loaded.state)));
        }
        Ok(loaded.state)
    }

    fn known_keys(
        &self,
    ) -> std::sync::MutexGuard<'_, BTreeMap<AccessKeyId, (Instant, Arc<AccessKey>)>> {
        self.inner.keys.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a key that opens anything. The read models are brought up to date only
    /// where the answer hangs on it: a start must not wait for them.
    pub async fn key_stock(&self) -> Result<Stock> {
        let known = self.models().position("access_keys").unwrap_or(0);
        for name in access_key::Event::NAMES {
            if self.happened_after(known, name).await? {
                self.catch_up().await?;
                break;
            }
        }
        self.stock_in_read_model().await
    }

    /// Whether the log has an event of this type behind `position`.
    async fn happened_after(&self, position: u64, event_type: &str) -> Result<bool> {
        let filter = Filter { event_type: Some(event_type.to_owned()), ..Filter::default() };
        let after = Some(Position(position));
        let mut query = Query { filter, after, limit: 1, ..Query::default() };
        while query.after.is_some() {
            let page = self.find_events(&query).await?;
            if !page.events.is_empty() {
                return Ok(true);
            }
            query.after = page.next;
        }
        Ok(false)
    }

    async fn stock_in_read_model(&self) -> Result<Stock> {
        let now = self.wall_clock();
        let mut stock = Stock::Never;
        let mut after = None;
        loop {
            let page = self.models().access_keys(after.as_deref(), PAGE).await?;
            if page.rows.iter().any(|line| line.is_good(now)) {
                return Ok(Stock::Good);
            }
            if !page.rows.is_empty() {
                stock = Stock::Spent;
            }
            after = page.next;
            if after.is_none() {
                return Ok(stock);
            }
        }
    }
}

/// Something that belongs to a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owned {
    Spec(SpecId),
    Task(TaskId),
    Ticket(TicketId),
    Sandbox(SandboxId),
    Project(ProjectId),
}

impl Owned {
    /// What is answered to whoever may not see it: the same as if it were not there.
    #[must_use]
    pub fn not_found(self) -> EngineError {
        let (what, id) = match self {
            Self::Spec(id) => ("spec", id.uuid()),
            Self::Task(id) => ("task", id.uuid()),
            Self::Ticket(id) => ("ticket", id.uuid()),
            Self::Sandbox(id) => ("sandbox", id.uuid()),
            Self::Project(id) => ("project", id.uuid()),
        };
        EngineError::NotFound { what, id: id.to_string() }
    }
}

impl Engine {
    /// The project of something; none when it is not known.
    pub async fn project_of(&self, owned: Owned) -> Result<Option<ProjectId>> {
        let commands = self.commands();
        let spec = async |id: Uuid| -> Result<Option<ProjectId>> {
            let spec = commands.specs.load_fresh(id).await?.state;
            Ok(spec.brief().map(|brief| brief.project))
        };
        match owned {
            Owned::Spec(id) => spec(id.uuid()).await,
            Owned::Task(id) => {
                let task = commands.tasks.load_fresh(id.uuid()).await?.state;
                Ok(task.work().map(|work| work.project))
            }
            Owned::Ticket(id) => {
                let ticket = commands.tickets.load_fresh(id.uuid()).await?.state;
                Ok(ticket.request().map(|request| request.project))
            }
            Owned::Sandbox(id) => match self.inner.side.lease(id).await? {
                Some(lease) => spec(lease.owner).await,
                None => Ok(None),
            },
            Owned::Project(id) => Ok(Some(id)),
        }
    }
}

/// What the log holds of a secret. A slow hash would protect what people can think of; 256 random
/// bits cannot be guessed at any speed, and every request pays for the hash.
fn digest(id: AccessKeyId, secret: &str) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("specline access key v1");
    hasher.update(id.uuid().as_bytes());
    hasher.update(secret.as_bytes());
    Digest::from_bytes(*hasher.finalize().as_bytes())
}

fn random() -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
