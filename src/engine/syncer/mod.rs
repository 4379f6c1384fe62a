//! Duty: carries out SYNC. Plan it in the log, make tickets and tasks under derived ids, write the
//! spec's files, read them back, and let the spec complete. Each part can be done again: a crash
//! anywhere leads to the same tickets, tasks and files.

mod document;
mod folder;
mod work;
mod write;

use std::io;
use std::path::PathBuf;

use specline_aggregates::output::ExportedFile;
use specline_aggregates::spec::command::{CompleteSync, PlanSync, ReportSyncFailed};
use specline_aggregates::spec::{Command, Rejection, Spec, Status};
use specline_aggregates::{Digest, Phase, SpecId, Timestamp};
use specline_projections::due_work::DueWork;

use self::document::Documents;
use super::lookup::by_duty;
use super::{Engine, EngineError};
use crate::commands::{CommandError, Order};
use crate::crash_point;

/// What a spec in SYNC leads to.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Nothing,
    /// Record a plan, then carry it out.
    Begin,
    /// A plan is recorded: carry it out (again).
    GoOn,
}

/// Pure: what is to be done for this spec now.
fn plan(spec: &Spec, now: Timestamp) -> Plan {
    if spec.phase() != Some(Phase::Sync) || spec.status().is_ended() {
        return Plan::Nothing;
    }
    let state = spec.current();
    let running = state.and_then(|state| state.running);
    let planned = spec.plan().is_some_and(|plan| plan.run == spec.run());
    if running.is_some() && planned {
        return Plan::GoOn;
    }
    let too_early = state.and_then(|state| state.retry_at).is_some_and(|at| at > now);
    if spec.status() != Status::Executing || too_early { Plan::Nothing } else { Plan::Begin }
}

pub(super) async fn run(engine: &Engine, row: &DueWork) -> Result<(), EngineError> {
    let spec = engine.spec(row.spec).await?;
    match plan(&spec, engine.now().await?) {
        Plan::Nothing => Ok(()),
        Plan::Begin | Plan::GoOn => match engine.sync(row.spec).await {
            Err(EngineError::NotHere(what)) if engine.is_shared() => {
                Err(EngineError::NotHere(what))
            }
            Err(error) if !error.is_transient() => {
                tracing::warn!(spec.id = %row.spec, cause = %error, "sync failed");
                engine.report_sync_failed(row.spec, &error).await
            }
            result => result,
        },
    }
}

impl Engine {
    async fn sync(&self, id: SpecId) -> Result<(), EngineError> {
        let spec = self.spec(id).await?;
        let documents = self.documents(&spec).await?;
        let spec = self.plan_sync(id, &spec, &documents).await?;
        crash_point::reach("sync_planned");
        self.make_work(&spec, &documents).await?;
        crash_point::reach("sync_work_made");
        let written = self.write_files(&spec, &documents).await?;
        crash_point::reach("sync_files_written");
        self.complete_sync(id, written).await
    }

    /// Records what is about to be made, unless it is recorded.
    async fn plan_sync(
        &self,
        id: SpecId,
        spec: &Spec,
        documents: &Documents,
    ) -> Result<std::sync::Arc<Spec>, EngineError> {
        let folder = folder::choose(self, spec, documents).await?;
        let files = documents.files(&folder);
        let command = Command::PlanSync(Box::new(PlanSync {
            plan: plan_digest(&folder, documents),
            folder,
            files: files.iter().map(|(file, _)| file.clone()).collect(),
            judging: self.judging(spec).await?,
            wait: self.wait().await?,
        }));
        let origin = by_duty("syncer", spec);
        let done = self.commands().spec(id, &command, Order::from(&origin)).await?;
        Ok(done.state)
    }

    async fn write_files(
        &self,
        spec: &Spec,
        documents: &Documents,
    ) -> Result<Vec<(ExportedFile, Option<Digest>)>, EngineError> {
        let folder = spec.plan().map(|plan| plan.folder.clone()).unwrap_or_default();
        let root = repository(spec)?;
        let files = documents.files(&folder);
        let ours: Vec<_> = spec.exported().to_vec();
        let written =
            tokio::task::spawn_blocking(move || write::write_all(&root, &files, &ours)).await;
        written.map_err(io::Error::other).and_then(|done| done).map_err(|e| unwritten(&e))
    }

    async fn complete_sync(
        &self,
        id: SpecId,
        written: Vec<(ExportedFile, Option<Digest>)>,
    ) -> Result<(), EngineError> {
        let spec = self.spec(id).await?;
        let command = Command::CompleteSync(Box::new(CompleteSync {
            written,
            judging: self.judging(&spec).await?,
            wait: self.wait().await?,
        }));
        let origin = by_duty("syncer", &spec);
        self.commands().spec(id, &command, Order::from(&origin)).await?;
        Ok(())
    }

    async fn report_sync_failed(&self, id: SpecId, error: &EngineError) -> Result<(), EngineError> {
        let spec = self.spec(id).await?;
        let command = Command::ReportSyncFailed(ReportSyncFailed {
            message: error.to_string(),
            wait: self.wait().await?,
        });
        let origin = by_duty("syncer", &spec);
        match self.commands().spec(id, &command, Order::from(&origin)).await {
            Err(CommandError::Rejected(
                Rejection::Ended { .. } | Rejection::PhaseNotOpen { .. },
            )) => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }
}

/// The repository's folder.
fn repository(spec: &Spec) -> Result<PathBuf, EngineError> {
    let location = spec.brief().map(|brief| PathBuf::from(&brief.repository.location));
    location.filter(|path| path.is_dir()).ok_or(EngineError::NotHere("the repository's folder"))
}

/// What people read when a file or a folder is in the way.
fn unwritten(error: &io::Error) -> EngineError {
    let what = "the spec's files could not be written";
    EngineError::Internal { what, cause: error.to_string() }
}

fn plan_digest(folder: &str, documents: &Documents) -> Digest {
    let mut text = String::new();
    for (file, _) in documents.files(folder) {
        text.push_str(&format!("{} {}\n", file.digest, file.path));
    }
    Digest::of(text.as_bytes())
}
