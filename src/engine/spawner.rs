//! Duty: starts the sandboxes that specs ask for. An epoch is claimed in the store before its
//! process starts, so that it starts once, whatever crashes.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use specline_aggregates::spec::{LossCause, Sandbox, Spec, Status};
use specline_aggregates::{Digest, Epoch, Phase, SandboxId, SpecId, Timestamp, Usage};
use specline_projections::due_work::DueWork;

use super::shortage::Started;
use super::{Engine, EngineError, Token};
use crate::crash_point;
use crate::protocol::env;
use crate::sandbox::SpawnRequest;
use crate::store::{Blob, Lease, LeaseState};

/// Largest PHASE_CONTEXT_B64, in bytes: one variable over 128 KiB cannot be given to a process.
const MAX_CONTEXT_BYTES: usize = 96 * 1024;

/// What a request for a sandbox leads to.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Nothing,
    Spawn { sandbox: SandboxId, epoch: Epoch, phase: Phase },
}

/// Pure: whether the sandbox that `row` speaks of is still wanted now.
fn plan(spec: &Spec, row: &DueWork, now: Timestamp) -> Plan {
    let Sandbox::Requested { id } = spec.sandbox() else { return Plan::Nothing };
    let wanted = spec.status() == Status::Executing && Some(id) == row.sandbox && row.due <= now;
    match spec.phase() {
        Some(phase) if wanted && phase.needs_agent() => {
            Plan::Spawn { sandbox: id, epoch: spec.epoch(), phase }
        }
        _ => Plan::Nothing,
    }
}

pub(super) async fn run(engine: &Engine, row: &DueWork) -> Result<(), EngineError> {
    let now = engine.now().await?;
    let spec = engine.spec(row.spec).await?;
    let Plan::Spawn { sandbox, epoch, phase } = plan(&spec, row, now) else { return Ok(()) };
    let lease = new_lease(engine, &spec, (sandbox, epoch));
    if !engine.has_snapshot(&spec).await? {
        return Err(EngineError::NotHere("the snapshot that its sandboxes start from"));
    }
    if !engine.inner.side.claim_lease(lease.clone()).await? {
        return Ok(());
    }
    crash_point::reach("spawn_claimed");
    let result = engine.spawn_for_phase(&spec, phase, &lease).await;
    engine.inner.leases_changed.notify_one();
    if let Err(message) = result {
        tracing::warn!(spec.id = %row.spec, %epoch, cause = message, "no sandbox started");
        // This node may have stood still meanwhile: then the sandbox is another's, and may live.
        let held = engine.inner.side.lease(sandbox).await?;
        if held.is_some_and(|held| held.engine == engine.inner.id) {
            engine.report_lost(&lease, LossCause::Spawn { message }).await?;
            engine.give_up(&lease).await?;
        }
    }
    Ok(())
}

fn new_lease(engine: &Engine, spec: &Spec, (sandbox, epoch): (SandboxId, Epoch)) -> Lease {
    let nothing = Timestamp::default();
    Lease {
        sandbox,
        owner: spec.id().map(SpecId::uuid).unwrap_or_default(),
        epoch,
        state: LeaseState::Spawning,
        instance: None,
        engine: engine.inner.id,
        handle: String::new(),
        lease_ms: spec.policy().lease_ms,
        expires_at: nothing,
        last_heard: nothing,
        last_progress: nothing,
        usage: Usage::default(),
    }
}

impl Engine {
    /// Whether this node's provider can start sandboxes of `spec`: on a log that is shared, another
    /// machine may have taken its snapshot.
    pub(super) async fn has_snapshot(&self, spec: &Spec) -> Result<bool, EngineError> {
        let Some(manifest) = spec.manifest().filter(|_| self.is_shared()) else { return Ok(true) };
        let (snapshots, commit) = (Arc::clone(&self.inner.snapshots), manifest.commit.clone());
        let found = tokio::task::spawn_blocking(move || snapshots.exists(&commit)).await;
        Ok(found.is_ok_and(|found| found.unwrap_or(false)))
    }

    /// Starts a sandbox that takes up `spec` at `phase`. First start, crash recovery and resume all
    /// come this way; only the phase and the context differ.
    async fn spawn_for_phase(
        &self,
        spec: &Spec,
        phase: Phase,
        lease: &Lease,
    ) -> Result<(), String> {
        if let Some(problem) = self.too_weak_for(spec.policy()) {
            return Err(problem);
        }
        let commit = spec.manifest().map(|manifest| manifest.commit.clone()).unwrap_or_default();
        let env = self.environment(spec, phase, lease).await.map_err(|e| e.to_string())?;
        let pass_env = self.agent_of(spec).await.map_err(|e| e.to_string())?.env;
        self.hand_over_outbox(lease).await;
        let request = SpawnRequest {
            sandbox: lease.sandbox,
            owner: lease.owner,
            epoch: lease.epoch,
            commit,
            env,
            pass_env,
            lease_ms: lease.lease_ms,
            hide: self.inner.hidden.clone(),
            protect: spec
                .brief()
                .map(|b| b.repository.location.clone().into())
                .into_iter()
                .collect(),
        };
        let started = self.start_sandbox(&request, lease).await.map_err(|e| e.to_string())?;
        let handle = match started {
            Started::Runs(handle) => handle,
            Started::CalledOff => return Ok(()),
            Started::Failed(why) => return Err(why),
        };
        crash_point::reach("spawn_started");
        let handle = Some(handle.as_json().to_owned());
        let side = &self.inner.side;
        side.set_lease(lease.sandbox, LeaseState::Running, handle, self.inner.id)
            .await
            .map_err(|error| error.to_string())
    }

    /// The variables of the sandbox contract.
    async fn environment(
        &self,
        spec: &Spec,
        phase: Phase,
        lease: &Lease,
    ) -> Result<BTreeMap<String, String>, EngineError> {
        let project = spec.brief().map(|brief| brief.project.to_string()).unwrap_or_default();
        let token = Token::of(&self.inner.secret, lease.sandbox, lease.epoch);
        let context = self.context_variable(spec, phase).await?;
        let pairs = [
            (env::EXECUTION_MODE, phase.mode().as_str().to_owned()),
            (env::REQUIRE_SPEC_SKILL, "true".to_owned()),
            (env::SPEC_ID, lease.owner.to_string()),
            (env::SPEC_PHASE, phase.as_str().to_owned()),
            (env::PHASE_CONTEXT_B64, context),
            (env::PROJECT_ID, project.clone()),
            (env::OMOIOS_PROJECT_ID, project),
            (env::OMOIOS_API_URL, self.api_urls().join(",")),
            (env::SANDBOX_ID, lease.sandbox.to_string()),
            (env::EPOCH, lease.epoch.to_string()),
            (env::TOKEN, token.text().to_owned()),
            (env::LEASE_MS, lease.lease_ms.to_string()),
        ];
        Ok(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The context as base64 of JSON; over the bound, a reference that the worker fetches.
    async fn context_variable(&self, spec: &Spec, phase: Phase) -> Result<String, EngineError> {
        let blobs = self.blobs(spec).await?;
        let context = spec.context(phase, &blobs).map_err(|e| EngineError::refused(&e))?;
        let json = serde_json::to_vec(&context).map_err(|error| EngineError::Internal {
            what: "the context could not be written",
            cause: error.to_string(),
        })?;
        let encoded = STANDARD.encode(&json);
        if encoded.len() <= MAX_CONTEXT_BYTES {
            return Ok(encoded);
        }
        let digest = Digest::of(&json);
        self.inner.log.put_blob(Blob { digest, bytes: json }).await?;
        Ok(STANDARD.encode(json!({ "ref": digest }).to_string()))
    }

    /// Outputs that earlier sandboxes of this spec finished and could not hand in go to the next
    /// one, which submits those that still fit.
    async fn hand_over_outbox(&self, lease: &Lease) {
        let spec = SpecId::new(lease.owner);
        for epoch in 1..lease.epoch.0 {
            let from = spec.sandbox(Epoch(epoch));
            if let Err(error) = self.inner.provider.hand_over(from, lease.sandbox).await {
                tracing::warn!(sandbox.id = %from, cause = %error, "an outbox was not handed over");
            }
        }
    }
}

/// An error with everything that led to it, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
