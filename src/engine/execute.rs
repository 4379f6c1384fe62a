//! What people ask of specs: draft, execute, resume, pause, cancel, approve, reject, retry, edit,
//! fork, revise. Each is one command, with what the command needs gathered first.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::spec::command::{
    ApprovePhase, CancelSpec, DraftSpec, EditOutput, ForkSpec, PauseExecution, RejectPhase,
    ResumeExecution, RetryFromPhase, ReviseSpec, StartExecution,
};
use specline_aggregates::spec::{Brief, Command, ManifestRef, Repository, Spec, Status};
use specline_aggregates::{
    Budget, Digest, IsolationNeed, Phase, Policy, ProjectId, RawJson, SpecId, TicketId, Usage,
};

use super::judging::blob_of;
use super::lookup::within;
use super::policy_input::{PolicyInput, strict_or_none};
use super::projects::Settled;
use super::{Engine, EngineError};
use crate::commands::{Actor, CommandError, Done, Keyed, Order, Origin};
use crate::sandbox::isolation::WEAK;
use crate::store::{Blob, StreamHead};

/// What a draft is made of.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftRequest {
    pub title: String,
    pub description: String,
    /// The repository's folder; may be left out where the project is named.
    #[serde(default)]
    pub repository: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// None is the project's own.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strict_or_none")]
    #[schemars(with = "Option<PolicyInput>")]
    pub policy: Option<Policy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ticket: Option<TicketId>,
}

/// What an execution led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Executed {
    Started,
    AlreadyRunning,
}

/// Who asks, and under which key.
#[derive(Debug, Clone)]
pub struct Asked {
    pub by: String,
    pub trust: Trust,
    pub keyed: Option<Keyed>,
    /// The version that whoever asks has in mind.
    pub expected: Option<u64>,
}

/// How far whoever asks is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The local operator: whoever runs the engine could run any program anyway.
    Host,
    /// Everybody else, whatever their scope.
    Guest,
}

impl Asked {
    /// Asked once by the local operator, whatever the version.
    #[must_use]
    pub const fn by(name: String) -> Self {
        Self { by: name, trust: Trust::Host, keyed: None, expected: None }
    }

    pub(super) fn origin(&self) -> Origin {
        let actor = match self.by.strip_prefix("key:") {
            Some(name) => Actor::Key(name.to_owned()),
            None => Actor::Person(self.by.clone()),
        };
        Origin::new(actor)
    }
}

type Result<T> = std::result::Result<T, EngineError>;

impl Engine {
    /// Writes down a new spec. Under an idempotency key the id is derived from it, so that asking
    /// twice makes one.
    pub async fn draft(
        &self,
        request: DraftRequest,
        asked: &Asked,
    ) -> Result<(SpecId, Done<Spec>)> {
        if let Some(policy) = &request.policy {
            self.may_use(policy, asked)?;
        }
        let Settled { project, location, policy } = self.settle(&request).await?;
        if request.policy.is_none() {
            self.may_inherit(&policy, (project, asked)).await?;
        }
        self.check_provider(&policy)?;
        let id = match &asked.keyed {
            Some(keyed) => specline_aggregates::derive_id(&["draft", &asked.by, &keyed.key]).into(),
            None => SpecId::new(uuid::Uuid::now_v7()),
        };
        let command = Command::Draft(Box::new(DraftSpec {
            spec: id,
            brief: Brief {
                project,
                title: request.title,
                description: request.description,
                repository: Repository { location, reference: None },
                source_ticket: request.source_ticket,
            },
            policy,
        }));
        let origin = asked.origin().within(project);
        let keyed = suffixed(asked.keyed.as_ref(), "draft");
        let order = Order::from(&origin).keyed(keyed.as_ref());
        Ok((id, self.commands().spec(id, &command, order).await?))
    }

    /// What keeps this node's sandboxes apart from its machine, in one word.
    #[must_use]
    pub fn isolation(&self) -> Option<&'static str> {
        self.inner.provider.isolation()
    }

    /// Why this node starts no sandbox under `policy`; none where it does.
    pub(super) fn too_weak_for(&self, policy: &Policy) -> Option<String> {
        let weak = self.inner.provider.isolation() == Some(WEAK);
        (policy.isolation == IsolationNeed::Required && weak).then(|| {
            "isolation is required, and neither bubblewrap nor Landlock is used on this machine: \
             install the package `bubblewrap`, and look at `specline doctor`"
                .to_owned()
        })
    }

    /// A provider that is not here is told at once, and never replaced by another.
    fn check_provider(&self, policy: &Policy) -> Result<()> {
        let ours = self.inner.provider.name();
        if let Some(problem) = self.too_weak_for(policy) {
            return Err(EngineError::InvalidInput { field: "policy.isolation", problem });
        }
        if policy.sandbox == ours {
            return Ok(());
        }
        let problem = format!("there is no provider {:?} here; name {ours:?}", policy.sandbox);
        Err(EngineError::InvalidInput { field: "policy.sandbox", problem })
    }

    /// Starts a spec's first run, on a snapshot of the repository as it is now. A second call finds
    /// it running.
    pub async fn execute(&self, id: SpecId, asked: &Asked) -> Result<(Executed, Done<Spec>)> {
        let spec = self.spec(id).await?;
        let (manifest, blobs) = if spec.status() == Status::Draft {
            self.snapshot(&spec, spec.run() + 1).await?
        } else {
            (spec.manifest().cloned().unwrap_or_else(nothing), Vec::new())
        };
        let command = Command::Start(StartExecution { manifest });
        let origin = within(asked.origin(), &spec);
        let keyed = suffixed(asked.keyed.as_ref(), "execute");
        let order = Order::from(&origin).keyed(keyed.as_ref()).with_blobs(blobs);
        let order = order.expecting(asked.expected);
        let done = self.commands().spec(id, &command, order).await?;
        let executed = if done.written { Executed::Started } else { Executed::AlreadyRunning };
        Ok((executed, done))
    }

    /// Takes a snapshot of the spec's repository for `run`.
    async fn snapshot(&self, spec: &Spec, run: u32) -> Result<(ManifestRef, Vec<Blob>)> {
        let location = spec.brief().map(|brief| brief.repository.location.clone());
        let location = location.unwrap_or_default();
        let id = spec.id().map(|id| id.to_string()).unwrap_or_default();
        let key = format!("{id}-{run}");
        let taken = self.inner.snapshots.take_in_turn(PathBuf::from(location), key).await;
        let snapshot = taken?;
        for skipped in &snapshot.skipped {
            tracing::warn!(path = %skipped.path, reason = ?skipped.reason, "left out of the snapshot");
        }
        let json = snapshot.manifest.to_json();
        let digest = Digest::of(json.as_bytes());
        let reference = ManifestRef {
            digest,
            commit: snapshot.commit,
            files: snapshot.manifest.files().len() as u64,
        };
        Ok((reference, vec![Blob { digest, bytes: json.into_bytes() }]))
    }

    pub async fn resume(&self, id: SpecId, asked: &Asked) -> Result<Done<Spec>> {
        let command =
            Command::Resume(ResumeExecution { by: asked.by.clone(), wait: self.wait().await? });
        self.ask(id, &command, asked).await
    }

    pub async fn pause(&self, id: SpecId, reason: &str, asked: &Asked) -> Result<Done<Spec>> {
        let (by, reason) = (asked.by.clone(), reason.to_owned());
        self.ask(id, &Command::Pause(PauseExecution { by, reason }), asked).await
    }

    pub async fn cancel(&self, id: SpecId, reason: &str, asked: &Asked) -> Result<Done<Spec>> {
        let (by, reason) = (asked.by.clone(), reason.to_owned());
        self.steer(id, Command::Cancel(CancelSpec { by, reason }), asked).await
    }

    pub async fn revise(
        &self,
        id: SpecId,
        title: Option<String>,
        description: Option<String>,
        asked: &Asked,
    ) -> Result<Done<Spec>> {
        let by = asked.by.clone();
        self.steer(id, Command::Revise(ReviseSpec { title, description, by }), asked).await
    }

    pub async fn approve(
        &self,
        id: SpecId,
        (phase, digest): (Phase, Digest),
        comment: Option<String>,
        asked: &Asked,
    ) -> Result<Done<Spec>> {
        let by = asked.by.clone();
        self.ask(id, &Command::Approve(ApprovePhase { phase, digest, by, comment }), asked).await
    }

    pub async fn reject(
        &self,
        id: SpecId,
        (phase, digest): (Phase, Digest),
        feedback: &str,
        asked: &Asked,
    ) -> Result<Done<Spec>> {
        let command = Command::Reject(RejectPhase {
            phase,
            digest,
            by: asked.by.clone(),
            feedback: feedback.to_owned(),
            wait: self.wait().await?,
        });
        self.ask(id, &command, asked).await
    }

    /// Goes on from `phase` again; from explore, on a new snapshot.
    pub async fn retry(
        &self,
        id: SpecId,
        phase: Phase,
        budget: Option<Budget>,
        asked: &Asked,
    ) -> Result<Done<Spec>> {
        let spec = self.spec(id).await?;
        let (manifest, blobs) = if phase == Phase::Explore {
            let (manifest, blobs) = self.snapshot(&spec, spec.run() + 1).await?;
            (Some(manifest), blobs)
        } else {
            (None, Vec::new())
        };
        let command = Command::Retry(RetryFromPhase {
            phase,
            by: asked.by.clone(),
            reason: format!("{} asked for it", asked.by),
            budget,
            manifest,
        });
        let command = Command::Steer(Box::new(command), self.reported(&spec).await?);
        let origin = within(asked.origin(), &spec);
        let order = Order::from(&origin).keyed(asked.keyed.as_ref()).with_blobs(blobs);
        let order = order.expecting(asked.expected);
        Ok(self.commands().spec(id, &command, order).await?)
    }

    /// A person's own output of a phase, through the same gate.
    pub async fn edit(
        &self,
        id: SpecId,
        phase: Phase,
        output: RawJson,
        asked: &Asked,
    ) -> Result<Done<Spec>> {
        let loaded = self.loaded(id).await?;
        let blobs = blob_of(&output);
        let command = Command::Edit(Box::new(EditOutput {
            phase,
            output,
            by: asked.by.clone(),
            judging: self.judging(&loaded.state).await?,
            wait: self.wait().await?,
        }));
        let command = Command::Steer(Box::new(command), self.reported(&loaded.state).await?);
        let origin = within(asked.origin(), &loaded.state);
        let order = Order::from(&origin).keyed(asked.keyed.as_ref()).with_blobs(blobs);
        let order = order.expecting(asked.expected);
        Ok(self.commands().spec(id, &command, order).await?)
    }

    /// A new spec from a past state of another.
    pub async fn fork(
        &self,
        source: SpecId,
        sequence: u64,
        asked: &Asked,
    ) -> Result<(SpecId, Done<Spec>)> {
        let loaded = self.spec_at(source, sequence).await?;
        let head = loaded.head.filter(|head: &StreamHead| head.version == sequence);
        let head = head.ok_or_else(|| EngineError::InvalidInput {
            field: "sequence",
            problem: format!("the spec has {} events; name one of them", loaded.version()),
        })?;
        let id = match &asked.keyed {
            Some(keyed) => specline_aggregates::derive_id(&["fork", &asked.by, &keyed.key]).into(),
            None => SpecId::new(uuid::Uuid::now_v7()),
        };
        let command = Command::Fork(Box::new(ForkSpec {
            spec: id,
            source: (*loaded.state).clone(),
            source_hash: head.hash,
        }));
        // It is of its source's project. The version that was asked for is the source's, too, and a
        // fork has none yet.
        self.stands_at(source, (id, asked)).await?;
        let origin = within(asked.origin(), &loaded.state);
        let order = Order::from(&origin).keyed(asked.keyed.as_ref());
        Ok((id, self.commands().spec(id, &command, order).await?))
    }

    /// Refuses a fork that goes by an old version of its source, unless it was made before.
    async fn stands_at(&self, source: SpecId, (fork, asked): (SpecId, &Asked)) -> Result<()> {
        let Some(expected) = asked.expected else { return Ok(()) };
        let found = self.loaded(source).await?.version();
        let commands = self.commands();
        let known = commands.repeated(&commands.specs, fork.uuid(), asked.keyed.as_ref());
        if found == expected || known.await?.is_some() {
            return Ok(());
        }
        Err(CommandError::<Spec>::VersionConflict { expected, found }.into())
    }

    /// What the spec's sandbox last reported as used.
    pub(super) async fn reported(&self, spec: &Spec) -> Result<Usage> {
        let Some(sandbox) = spec.sandbox().id() else { return Ok(Usage::default()) };
        let lease = self.inner.side.lease(sandbox).await?;
        Ok(lease.map(|lease| lease.usage).unwrap_or_default())
    }

    async fn steer(&self, id: SpecId, command: Command, asked: &Asked) -> Result<Done<Spec>> {
        // As it is now on every node, or the usage would be that of an earlier sandbox.
        let loaded = self.commands().specs.load_fresh(id.uuid()).await?;
        let reported = self.reported(&loaded.state).await?;
        self.ask(id, &Command::Steer(Box::new(command), reported), asked).await
    }

    pub(super) async fn ask(
        &self,
        id: SpecId,
        command: &Command,
        asked: &Asked,
    ) -> Result<Done<Spec>> {
        let loaded = self.commands().specs.load(id.uuid()).await;
        let loaded = loaded.map_err(|error| self.heed(error.into()))?;
        let origin = within(asked.origin(), &loaded.state);
        let order = Order::from(&origin).keyed(asked.keyed.as_ref()).expecting(asked.expected);
        Ok(self.commands().spec(id, command, order).await?)
    }
}

/// One request that leads to several appends has a key for each.
fn suffixed(keyed: Option<&Keyed>, suffix: &str) -> Option<Keyed> {
    keyed.map(|keyed| Keyed { key: format!("{}/{suffix}", keyed.key), request: keyed.request })
}

/// Stands in for a manifest where the command changes nothing and so records none.
fn nothing() -> ManifestRef {
    ManifestRef { digest: Digest::of(b""), commit: String::new(), files: 0 }
}
