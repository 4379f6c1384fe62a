//! The specs of the load: one is started as a person starts it, with a snapshot of the repository;
//! the others by the same commands on that same snapshot, which saves thousands of calls of git.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use specline_aggregates::spec::command::{DraftSpec, StartExecution};
use specline_aggregates::spec::{Brief, Command, ManifestRef, Repository};
use specline_aggregates::{Limits, Phase, Policy, ProjectId, SpecId};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::bench::failed;
use crate::cli::Failure;
use crate::commands::{Actor, Order, Origin};
use crate::engine::{Asked, DraftRequest, Engine};

/// Commands at a time.
const CALLERS: u32 = 32;

/// No lease and no attempt runs out while other calls are measured.
const LONG_MS: u64 = 3_600_000;

const TITLE: &str = "Rate limits for the public API";

const DESCRIPTION: &str = "The API must answer a client that calls too often with 429. Each client \
                           has a bucket of its own. An operator can set the rate.";

/// Starts `sandboxes` specs and drafts `drafts` more; the ids of these.
pub(super) async fn seed(
    engine: &Engine,
    repo: &Path,
    (sandboxes, drafts): (u32, u32),
) -> Result<Vec<Uuid>, Failure> {
    let seeds = Arc::new(Seeds::of(engine, repo).await?);
    seeds.many(sandboxes.saturating_sub(1), Then::Start).await?;
    seeds.many(drafts, Then::Rest).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Start,
    Rest,
}

struct Seeds {
    engine: Engine,
    location: String,
    manifest: ManifestRef,
}

impl Seeds {
    /// With the first spec, which has the snapshot taken.
    async fn of(engine: &Engine, repo: &Path) -> Result<Self, Failure> {
        let location = repo.display().to_string();
        let asked = Asked::by("bench".to_owned());
        let request = DraftRequest {
            title: TITLE.to_owned(),
            description: DESCRIPTION.to_owned(),
            repository: location.clone(),
            project: None,
            policy: Some(policy()),
            source_ticket: None,
        };
        let not_drafted = |error| failed("the first spec was not drafted", error);
        let (id, _) = engine.draft(request, &asked).await.map_err(not_drafted)?;
        let (_, done) = engine
            .execute(id, &asked)
            .await
            .map_err(|error| failed("the first spec was not started", error))?;
        let manifest = done.state.manifest().cloned();
        let manifest = manifest.ok_or_else(|| Failure::failed("there is no snapshot"))?;
        Ok(Self { engine: engine.clone(), location, manifest })
    }

    async fn many(self: &Arc<Self>, count: u32, then: Then) -> Result<Vec<Uuid>, Failure> {
        let taken = Arc::new(AtomicU32::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..CALLERS.min(count) {
            let (seeds, taken) = (Arc::clone(self), Arc::clone(&taken));
            tasks.spawn(async move {
                let mut made = Vec::new();
                while taken.fetch_add(1, Ordering::Relaxed) < count {
                    made.push(seeds.one(then).await?);
                }
                Ok::<_, Failure>(made)
            });
        }
        let mut made = Vec::new();
        while let Some(done) = tasks.join_next().await {
            made.extend(done.map_err(|error| failed("a caller", error))??);
        }
        Ok(made)
    }

    async fn one(&self, then: Then) -> Result<Uuid, Failure> {
        let id = SpecId::new(Uuid::now_v7());
        let project = ProjectId::of_repository(&self.location);
        let repository = Repository { location: self.location.clone(), reference: None };
        let brief = Brief {
            project,
            title: TITLE.to_owned(),
            description: DESCRIPTION.to_owned(),
            repository,
            source_ticket: None,
        };
        let origin = Origin::of(Actor::Person("bench".to_owned()), id.uuid()).within(project);
        let draft = Command::Draft(Box::new(DraftSpec { spec: id, brief, policy: policy() }));
        let start = Command::Start(StartExecution { manifest: self.manifest.clone() });
        let commands = if then == Then::Start { vec![draft, start] } else { vec![draft] };
        for command in commands {
            let done = self.engine.commands().spec(id, &command, Order::from(&origin)).await;
            done.map_err(|error| failed("a command was not carried out", error))?;
        }
        Ok(id.uuid())
    }
}

fn policy() -> Policy {
    let long = Limits { time_ms: LONG_MS, turns: 25, attempts: 3 };
    let limits = Phase::ALL.into_iter().map(|phase| (phase, long)).collect();
    Policy { lease_ms: LONG_MS, limits, ..Policy::default() }
}
