//! Duty: sees that a sandbox is gone, and ends those that nobody wants any more. A process that
//! exits is seen at once through its provider; a lease that runs out is seen by the store's clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::PoisonError;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use specline_aggregates::spec::{LossCause, Sandbox};
use specline_aggregates::{SandboxId, Timestamp};
use tokio::sync::mpsc;

use super::lease_plan::{Plan, expiry, is_wanted, plan};
use super::membership::Keeper;
use super::quiet::{Calm, Quiet};
use super::{Engine, EngineError};
use crate::sandbox::provider::{Adopted, Life, Listed, Outbox};
use crate::sandbox::{Exit, Exited, Handle};
use crate::store::{Lease, LeaseState};

/// How often living sandboxes are looked at when nothing else happens.
const LOOK: Duration = Duration::from_secs(1);

/// When the watchdog itself did not look for this long (the machine slept, the process was
/// stopped), the silence was its own: it says nothing of the sandboxes.
const STALLED_MS: u64 = 10_000;

/// A store that takes longer than this to tell of the leases was away, if only for a moment.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sandboxes that are ended at once when an engine stops, and how long that may take: each is given
/// ten seconds at most.
const MAX_ENDING: usize = 32;
const END_ALL: Duration = Duration::from_secs(30);

/// What the watchdog keeps from look to look.
#[derive(Default)]
struct Watch {
    /// Since when a sandbox that lives is not wanted.
    unwanted: BTreeMap<SandboxId, Timestamp>,
    quiet: Quiet,
}

/// When the watchdog looked last.
struct Last {
    looked: Option<Timestamp>,
    /// The store was away then, and no sandbox could be heard.
    failed: bool,
}

/// Looks at all living leases: at every change of the log, and every second while there are any.
pub(super) async fn run(engine: Engine) {
    let stop = engine.inner.stop.clone();
    let mut watch = Watch::default();
    let mut last = Last { looked: None, failed: false };
    loop {
        let busy = engine.busy("watchdog");
        let looked = match engine.forgive_silence(&mut last).await {
            Ok(()) => engine.look_at_leases(&mut watch).await,
            Err(error) => Err(error),
        };
        drop(busy);
        let living = match looked {
            Ok(living) => living,
            Err(error) => {
                tracing::warn!(cause = %error, "leases cannot be looked at");
                last.failed = true;
                true
            }
        };
        // Without a living sandbox there is nothing to watch: sleep until one is started.
        let pause = async {
            if living {
                tokio::time::sleep(LOOK).await;
            } else {
                engine.inner.leases_changed.notified().await;
            }
        };
        tokio::select! {
            () = pause => {}
            () = stop.cancelled() => return,
        }
    }
}

/// An exit that could not be recorded is tried again after this: the store is away.
const RECORD_AGAIN: Duration = Duration::from_millis(250);

/// Acts on every exit that the provider reports. None is forgotten while the store is away: a spec
/// would wait for its lease to run out.
pub(super) async fn watch_exits(engine: Engine, mut exits: mpsc::Receiver<Exited>) {
    let stop = engine.inner.stop.clone();
    let mut waiting: VecDeque<Exited> = VecDeque::new();
    loop {
        let again = async {
            if waiting.is_empty() {
                std::future::pending::<()>().await;
            } else {
                tokio::time::sleep(RECORD_AGAIN).await;
            }
        };
        tokio::select! {
            exited = exits.recv() => match exited {
                Some(exited) => waiting.push_back(exited),
                None => return,
            },
            () = again => {}
            () = stop.cancelled() => return,
        }
        let busy = engine.busy("exits");
        while let Some(exited) = waiting.pop_front() {
            if !engine.after_exit(&exited).await {
                waiting.push_back(exited);
                break;
            }
        }
        drop(busy);
    }
}

impl Engine {
    /// Renews leases when no sandbox could be heard: because the store was away, or because this
    /// engine did not look. In the latter case the other nodes did, each to its own. Nothing may be
    /// said of a lease before this is done.
    async fn forgive_silence(&self, last: &mut Last) -> Result<(), EngineError> {
        let now = self.now().await?;
        let side = &self.inner.side;
        let stalled = last.looked.is_some_and(|before| now.ms_since(before) > STALLED_MS);
        if last.failed || (stalled && !self.is_shared()) {
            side.renew_all().await?;
        } else if stalled {
            side.renew_of(self.inner.id).await?;
        }
        *last = Last { looked: Some(now), failed: false };
        Ok(())
    }

    async fn look_at_leases(&self, watch: &mut Watch) -> Result<bool, EngineError> {
        let asked = tokio::time::Instant::now();
        let leases = self.inner.side.live_leases().await?;
        let now = self.now().await?;
        if asked.elapsed() > PATIENCE {
            return Err(EngineError::Transient("the leases came late".to_owned()));
        }
        watch.unwanted.retain(|sandbox, _| leases.iter().any(|lease| lease.sandbox == *sandbox));
        watch.quiet.learn(&*self.inner.log, &leases).await?;
        let (mut adopting, mut failure) = (false, None);
        for lease in &leases {
            let looked = match self.keeper(lease.engine) {
                Keeper::Me if watch.quiet.has(lease) && expiry(lease) > now => Ok(()),
                Keeper::Me => self.look_at(lease, watch, now).await,
                // It is watched; one whose node lives and does not look has run out for long.
                Keeper::Living if expiry(lease).plus_ms(STALLED_MS) > now => Ok(()),
                Keeper::Living | Keeper::DeadElsewhere => self.look_from_afar(lease, now).await,
                Keeper::DeadHere => self.inherit(lease).await.map(|ours| adopting |= ours),
            };
            if let Err(error) = looked {
                // One spec that cannot be read must not leave the others unwatched.
                let sandbox = lease.sandbox;
                tracing::warn!(sandbox.id = %sandbox, cause = %error, "it cannot be looked at");
                failure.get_or_insert(error);
            }
        }
        if adopting {
            if let Err(error) = self.inner.provider.announce(&self.inner.api_url) {
                tracing::warn!(cause = %error, "sandboxes were not told where the engine is");
            }
            // They could not be heard while they knew the dead node's address only.
            self.inner.side.renew_of(self.inner.id).await?;
        }
        match failure {
            // The store is away, or a newer program was met: more than one lease's trouble.
            Some(error) if error.is_transient() || error.is_newer() => Err(error),
            _ => {
                let calm = Calm::of(&watch.quiet, &leases, asked);
                *self.inner.calm.lock().unwrap_or_else(PoisonError::into_inner) = calm;
                Ok(!leases.is_empty())
            }
        }
    }

    /// Looks at a lease that this node keeps.
    async fn look_at(
        &self,
        lease: &Lease,
        watch: &mut Watch,
        now: Timestamp,
    ) -> Result<(), EngineError> {
        let spec = self.spec(lease.owner.into()).await?;
        if is_wanted(&spec, lease.sandbox) {
            watch.quiet.wanted(lease);
        } else {
            watch.unwanted.entry(lease.sandbox).or_insert(now);
        }
        match plan(&spec, lease, watch.unwanted.get(&lease.sandbox).copied(), now) {
            Plan::LeaveAlone => {}
            Plan::ReportLost => {
                self.report_lost(lease, LossCause::LeaseExpired).await?;
                self.end_sandbox(lease);
            }
            Plan::End => self.end_sandbox(lease),
        }
        Ok(())
    }

    /// A sandbox that this node cannot reach: all it can do is to say that its lease has run out.
    /// Its own supervisor ends it when no engine answers it, and its epoch is over.
    async fn look_from_afar(&self, lease: &Lease, now: Timestamp) -> Result<(), EngineError> {
        if expiry(lease) > now {
            return Ok(());
        }
        let spec = self.spec(lease.owner.into()).await?;
        if is_wanted(&spec, lease.sandbox) {
            self.report_lost(lease, LossCause::LeaseExpired).await?;
        }
        self.give_up(lease).await
    }

    /// Takes over the sandbox of a dead node of this place. Says whether it is ours now.
    async fn inherit(&self, lease: &Lease) -> Result<bool, EngineError> {
        let mut found = None;
        if lease.handle.is_empty() {
            // A claim whose sandbox has not attached is the spawner's to take over. One that has
            // was started all the same, by a node that died before it said so.
            let spec = self.spec(lease.owner.into()).await?;
            if matches!(spec.sandbox(), Sandbox::Requested { id } if id == lease.sandbox) {
                return Ok(false);
            }
            found = self.find(lease.sandbox).await?;
        }
        let side = &self.inner.side;
        if !side.take_lease(lease.sandbox, lease.engine, self.inner.id).await? {
            return Ok(false);
        }
        tracing::info!(sandbox.id = %lease.sandbox, "a dead node's sandbox is taken over");
        let lease = Lease { engine: self.inner.id, ..lease.clone() };
        self.adopt_one(&lease, found).await?;
        Ok(true)
    }

    /// What the provider has of `sandbox`.
    async fn find(&self, sandbox: SandboxId) -> Result<Option<Handle>, EngineError> {
        let listed = self.inner.provider.list().await.map_err(|error| EngineError::Internal {
            what: "sandboxes cannot be listed",
            cause: error.to_string(),
        })?;
        let found = listed.into_iter().find(|listed| listed.sandbox == sandbox);
        Ok(found.and_then(|listed| listed.handle))
    }

    /// Ends a sandbox in the background; twice is fine.
    pub(super) fn end_sandbox(&self, lease: &Lease) {
        let Some(under_way) = self.begin(&format!("end/{}", lease.sandbox)) else { return };
        let (engine, lease) = (self.clone(), lease.clone());
        self.inner.tracker.spawn(async move {
            if let Err(error) = engine.terminate(&lease).await {
                tracing::warn!(sandbox.id = %lease.sandbox, cause = %error, "it does not end");
            }
            drop(under_way);
        });
    }

    /// Ends the processes of a sandbox, and then its lease.
    pub(super) async fn terminate(&self, lease: &Lease) -> Result<(), EngineError> {
        let handle = Handle::from_json(lease.handle.clone());
        if !lease.handle.is_empty() {
            let ended = self.inner.provider.terminate(lease.sandbox, &handle).await;
            ended.map_err(|error| EngineError::Internal {
                what: "a sandbox could not be ended",
                cause: super::spawner::chain(&error),
            })?;
        }
        self.give_up(lease).await?;
        self.clean_up(lease).await;
        Ok(())
    }

    /// Marks a lease as over: its token is good for nothing now.
    pub(super) async fn give_up(&self, lease: &Lease) -> Result<(), EngineError> {
        let side = &self.inner.side;
        side.set_lease(lease.sandbox, LeaseState::Ended, None, self.inner.id).await?;
        self.inner.leases_changed.notify_one();
        self.inner.room.free();
        Ok(())
    }

    async fn clean_up(&self, lease: &Lease) {
        let (sandbox, outbox) = (lease.sandbox, self.outbox_of(lease).await);
        if let Err(error) = self.inner.provider.remove(sandbox, outbox).await {
            tracing::warn!(sandbox.id = %sandbox, cause = %error, "it was not cleaned up");
        }
    }

    /// Outputs that wait are of use for as long as their spec may go on.
    async fn outbox_of(&self, lease: &Lease) -> Outbox {
        match self.spec(lease.owner.into()).await {
            Ok(spec) if spec.status().is_ended() => Outbox::Dropped,
            Ok(_) | Err(_) => Outbox::Kept,
        }
    }

    /// A sandbox's process has ended: the spec is told, unless it had let go of it. False: the
    /// store is away, and it has to be told again.
    async fn after_exit(&self, exited: &Exited) -> bool {
        let sandbox = exited.sandbox;
        match self.record_exit(exited).await {
            Ok(()) => true,
            Err(error) if error.is_transient() => {
                tracing::debug!(sandbox.id = %sandbox, cause = %error, "its exit is recorded later");
                false
            }
            Err(error) => {
                tracing::warn!(sandbox.id = %sandbox, cause = %error, "its exit was not recorded");
                true
            }
        }
    }

    async fn record_exit(&self, exited: &Exited) -> Result<(), EngineError> {
        let Some(lease) = self.inner.side.lease(exited.sandbox).await? else { return Ok(()) };
        if !exited.last_lines.trim().is_empty() {
            let body = serde_json::json!({ "text": exited.last_lines }).to_string();
            let entries = vec![("stderr".to_owned(), body)];
            self.inner.side.add_telemetry(exited.sandbox, entries).await?;
        }
        if lease.state != LeaseState::Ended {
            self.report_lost(&lease, cause_of(exited)).await?;
            self.give_up(&lease).await?;
        }
        self.clean_up(&lease).await;
        Ok(())
    }

    /// At start: takes over the sandboxes that outlived the last engine, tells of those that did
    /// not, ends those that no lease knows, and cleans up behind an engine that died before it did.
    /// What is wrong with one stands in the way of no other.
    pub(super) async fn adopt_survivors(&self) -> Result<(), EngineError> {
        // Others may have heard them meanwhile; without others, nobody has.
        if self.is_alone() {
            self.inner.side.renew_all().await?;
        }
        let listed = self.inner.provider.list().await.map_err(|error| EngineError::Internal {
            what: "sandboxes cannot be listed",
            cause: error.to_string(),
        })?;
        let leases = self.inner.side.live_leases().await?;
        for lease in &leases {
            let found = listed.iter().find(|listed| listed.sandbox == lease.sandbox);
            let taken = self.adopt_listed(lease, found.and_then(|it| it.handle.clone())).await;
            match taken {
                Err(error) if error.is_transient() || error.is_newer() => return Err(error),
                Err(error) => {
                    let sandbox = lease.sandbox;
                    tracing::warn!(sandbox.id = %sandbox, cause = %error, "it is not taken over");
                }
                Ok(()) => {}
            }
        }
        let known = |listed: &&Listed| leases.iter().any(|lease| lease.sandbox == listed.sandbox);
        for left in listed.iter().filter(|listed| !known(listed)) {
            match (left.life, &left.handle) {
                (Life::Alive, Some(handle)) => self.end_unknown(left.sandbox, handle).await,
                (Life::Alive, None) => {}
                (Life::Ended, _) => self.sweep(left.sandbox).await?,
            }
        }
        Ok(())
    }

    async fn adopt_listed(&self, lease: &Lease, found: Option<Handle>) -> Result<(), EngineError> {
        let ours = matches!(self.keeper(lease.engine), Keeper::Me | Keeper::DeadHere);
        let started = found.is_some() || !lease.handle.is_empty();
        let (side, id) = (&self.inner.side, self.inner.id);
        // A claim whose process never started is taken over by the spawner.
        if ours && started && side.take_lease(lease.sandbox, lease.engine, id).await? {
            self.adopt_one(lease, found).await?;
        }
        Ok(())
    }

    async fn end_unknown(&self, sandbox: SandboxId, handle: &Handle) {
        tracing::warn!(sandbox.id = %sandbox, "ending a sandbox that nobody knows");
        if let Err(error) = self.inner.provider.terminate(sandbox, handle).await {
            tracing::warn!(sandbox.id = %sandbox, cause = %error, "it does not end");
        }
    }

    /// Cleans up what an engine left that died after a lease had ended.
    async fn sweep(&self, sandbox: SandboxId) -> Result<(), EngineError> {
        // One that no lease of this log ever named may be another log's.
        if let Some(lease) = self.inner.side.lease(sandbox).await? {
            self.clean_up(&lease).await;
        }
        Ok(())
    }

    async fn adopt_one(&self, lease: &Lease, found: Option<Handle>) -> Result<(), EngineError> {
        let handle = if lease.handle.is_empty() {
            found
        } else {
            Some(Handle::from_json(lease.handle.clone()))
        };
        let Some(handle) = handle else { return Ok(()) };
        match self.inner.provider.adopt(lease.sandbox, &handle).await {
            Ok(Adopted::Alive) => {
                let json = Some(handle.as_json().to_owned());
                let (side, id) = (&self.inner.side, self.inner.id);
                side.set_lease(lease.sandbox, LeaseState::Running, json, id).await?;
            }
            Ok(Adopted::Gone(exited)) => self.record_exit(&exited).await?,
            Err(error) => {
                let message = super::spawner::chain(&error);
                self.report_lost(lease, LossCause::Provider { message }).await?;
                self.give_up(lease).await?;
            }
        }
        Ok(())
    }

    /// Ends every sandbox because the engine stops on purpose; their specs ask for new ones, which
    /// the next engine starts. All end at once, and one that does not end holds up no other.
    pub(super) async fn end_all(&self) -> Result<(), EngineError> {
        let leases = self.inner.side.live_leases().await?;
        let ours = leases.into_iter().filter(|lease| self.keeper(lease.engine) == Keeper::Me);
        let ending = ours.map(|lease| async move {
            let told = self.report_lost(&lease, LossCause::Shutdown).await;
            let ended = self.terminate(&lease).await;
            if let Err(error) = told.and(ended) {
                let sandbox = lease.sandbox;
                tracing::warn!(sandbox.id = %sandbox, cause = %error, "it is left to the next engine");
            }
        });
        let all = stream::iter(ending).buffer_unordered(MAX_ENDING).collect::<Vec<()>>();
        if tokio::time::timeout(END_ALL, all).await.is_err() {
            tracing::warn!("some sandboxes are left to the next engine");
        }
        Ok(())
    }
}

fn cause_of(exited: &Exited) -> LossCause {
    match exited.exit {
        Exit::Code(code) => LossCause::Exit { code },
        Exit::Signal(signal) => LossCause::Signal { signal },
        Exit::Unknown => LossCause::Provider { message: format!("it ended: {:?}", exited.cause) },
    }
}
