//! Replays one spec after the other, and judges at each verdict what was judged there.

use std::collections::BTreeMap;
use std::sync::Arc;

use cqrs_es::Aggregate;
use specline_aggregates::gate::{self, SyncEvidence};
use specline_aggregates::output::ExportedFile;
use specline_aggregates::spec::{Event, Payload, Spec};
use specline_aggregates::{
    Digest, EventSourced, Finding, GatePolicy, Judgement, Manifest, Phase, RawJson, SpecId,
};

use super::report::{Place, Report};
use super::{Change, EngineError};
use crate::store::recent::Recent;
use crate::store::{EventLog, Recorded, StreamId};

/// Events of a spec read at a time.
const PAGE: usize = 500;

/// Manifests kept at hand: specs of one repository share few.
const MAX_MANIFESTS: usize = 16;
const MAX_MANIFEST_BYTES: usize = 64 * 1024 * 1024;

pub(super) struct Replay<'a> {
    log: &'a dyn EventLog,
    change: &'a Change,
    manifests: Recent<Digest, Arc<Manifest>>,
    report: Report,
}

/// A recorded verdict of the gate.
struct Verdict {
    phase: Phase,
    output: Digest,
    rules_version: u32,
    threshold: u16,
    manifest: Digest,
    passed: bool,
    score: u16,
    findings: Vec<Finding>,
}

/// Why something cannot be judged again.
enum Hindrance {
    /// It says nothing of the others.
    Here(String),
    /// The log cannot be read at all.
    Log(EngineError),
}

impl<E: Into<EngineError>> From<E> for Hindrance {
    fn from(error: E) -> Self {
        Self::Log(error.into())
    }
}

impl<'a> Replay<'a> {
    pub(super) fn new(log: &'a dyn EventLog, change: &'a Change) -> Self {
        let report = Report { change: change.clone(), ..Report::default() };
        Self { log, change, manifests: Recent::new(MAX_MANIFESTS, MAX_MANIFEST_BYTES), report }
    }

    pub(super) fn finish(self) -> Report {
        self.report
    }

    pub(super) async fn spec(&mut self, id: SpecId) -> Result<(), EngineError> {
        let stream = StreamId { aggregate_type: Spec::TYPE.to_owned(), aggregate_id: id.uuid() };
        let mut spec = Spec::default();
        let mut submitted = None;
        loop {
            let rows = self.log.read_stream(&stream, spec.version(), PAGE).await?;
            for row in &rows {
                let place = || format!("{stream} sequence {}", row.sequence);
                let event = Spec::decode(&row.event_type, &row.event_version, &row.payload)
                    .map_err(|error| EngineError::Corrupt(format!("{}: {error}", place())))?;
                self.look(&spec, (&event, row), submitted.as_ref()).await?;
                if let Event::OutputSubmitted { output, .. } = &event {
                    submitted = Some(output.clone());
                }
                spec.evolve(&event)
                    .map_err(|error| EngineError::Corrupt(format!("{}: {error}", place())))?;
            }
            if rows.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// Judges again, if `event` is a verdict that is asked for.
    async fn look(
        &mut self,
        spec: &Spec,
        (event, row): (&Event, &Recorded),
        submitted: Option<&Payload>,
    ) -> Result<(), EngineError> {
        let Event::VerdictRecorded { phase, attempt, evaluator, .. } = event else { return Ok(()) };
        let asked = self.change.phase.is_none_or(|asked| asked == *phase)
            && self.change.since.is_none_or(|since| row.recorded_at >= since);
        let Some(id) = spec.id().filter(|_| asked) else { return Ok(()) };
        if evaluator != "gate" {
            self.report.by_evaluators += 1;
            return Ok(());
        }
        self.report.verdicts += 1;
        let (phase, attempt) = (*phase, *attempt);
        let (position, recorded_at) = (row.position.0, row.recorded_at);
        let place = Place { position, recorded_at, spec: id, phase, attempt };
        let Some(verdict) = Verdict::of(event) else { return Ok(()) };
        let (was, now) = match self.judge(spec, &verdict, submitted).await {
            Ok(both) => both,
            Err(Hindrance::Here(why)) => {
                self.report.no(place, why);
                return Ok(());
            }
            Err(Hindrance::Log(error)) => return Err(error),
        };
        if let Some(why) = verdict.differs(&was) {
            self.report.no(place, why);
            return Ok(());
        }
        self.report.derived += 1;
        let title = spec.brief().map(|brief| brief.title.as_str()).unwrap_or_default();
        self.report.compare((place, title), &was, &now);
        Ok(())
    }

    /// What the unchanged gate says, and what the changed one does.
    async fn judge(
        &mut self,
        spec: &Spec,
        verdict: &Verdict,
        submitted: Option<&Payload>,
    ) -> Result<(Judgement, Judgement), Hindrance> {
        let output = submitted.filter(|output| output.digest() == verdict.output);
        let output = match output {
            Some(Payload::Inline(json)) => Arc::clone(json),
            Some(Payload::Blob { digest, .. }) => Arc::new(self.json(*digest).await?),
            None => return Err(here("the output that it judged does not stand before it")),
        };
        let mut blobs = BTreeMap::new();
        for digest in spec.needed_blobs() {
            blobs.insert(digest, Arc::new(self.json(digest).await?));
        }
        if verdict.phase == Phase::Sync {
            let judgement = judge_sync(spec, verdict, &output, &blobs)?;
            return Ok((judgement.clone(), judgement));
        }
        let earlier =
            spec.earlier(verdict.phase, &blobs).map_err(|error| here(error.to_string()))?;
        let manifest = self.manifest(verdict.manifest).await?;
        let off = spec.policy().gate.rules_off.clone();
        let policy = GatePolicy { threshold: verdict.threshold, rules_off: off };
        let was = gate::judge(verdict.phase, &output, &earlier, &manifest, &policy);
        if self.change.is_none() {
            return Ok((was.clone(), was));
        }
        let changed = self.change.on(&policy);
        let now = gate::judge(verdict.phase, &output, &earlier, &manifest, &changed);
        Ok((was, self.change.weigh(now, changed.threshold)))
    }

    async fn manifest(&mut self, digest: Digest) -> Result<Arc<Manifest>, Hindrance> {
        if let Some(manifest) = self.manifests.get(&digest) {
            return Ok(Arc::clone(manifest));
        }
        let bytes = self.blob(digest).await?;
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|error| here(format!("the manifest {digest} cannot be read: {error}")))?;
        let manifest = Arc::new(manifest);
        self.manifests.insert(digest, Arc::clone(&manifest), manifest.weight());
        Ok(manifest)
    }

    async fn json(&self, digest: Digest) -> Result<RawJson, Hindrance> {
        let text = String::from_utf8(self.blob(digest).await?);
        let text = text.map_err(|error| here(format!("blob {digest} is no text: {error}")))?;
        RawJson::parse(text).map_err(|error| here(format!("blob {digest} is no JSON: {error}")))
    }

    async fn blob(&self, digest: Digest) -> Result<Vec<u8>, Hindrance> {
        let bytes = self.log.blob(&digest).await?;
        bytes.ok_or_else(|| here(format!("blob {digest} is not there")))
    }
}

fn here(why: impl Into<String>) -> Hindrance {
    Hindrance::Here(why.into())
}

/// SYNC is judged by what was read back. Of a pass that is what was written; of a failure nobody
/// wrote it down.
fn judge_sync(
    spec: &Spec,
    verdict: &Verdict,
    output: &RawJson,
    blobs: &BTreeMap<Digest, Arc<RawJson>>,
) -> Result<Judgement, Hindrance> {
    #[derive(serde::Deserialize)]
    struct Written {
        files: Vec<ExportedFile>,
    }
    if !verdict.passed {
        return Err(here("what sync read back stands in no event"));
    }
    let earlier = spec.earlier(Phase::Sync, blobs).map_err(|error| here(error.to_string()))?;
    let (Some(plan), Some(requirements), Some(tasks)) =
        (spec.plan(), earlier.requirements, earlier.tasks)
    else {
        return Err(here("the plan of sync does not stand before it"));
    };
    let written: Written = output.decode().map_err(|error| here(error.to_string()))?;
    let files: Vec<_> =
        written.files.into_iter().map(|file| (file.clone(), Some(file.digest))).collect();
    Ok(gate::judge_sync(&SyncEvidence {
        requirements: &requirements,
        tasks: &tasks,
        ids: &plan.ids,
        coverage: &plan.coverage,
        files: &files,
    }))
}

impl Verdict {
    fn of(event: &Event) -> Option<Self> {
        let Event::VerdictRecorded {
            phase,
            output,
            rules_version,
            threshold,
            manifest,
            passed,
            score,
            findings,
            ..
        } = event
        else {
            return None;
        };
        Some(Self {
            phase: *phase,
            output: *output,
            rules_version: *rules_version,
            threshold: *threshold,
            manifest: *manifest,
            passed: *passed,
            score: *score,
            findings: findings.clone(),
        })
    }

    /// In what `judgement` is another, in words.
    fn differs(&self, judgement: &Judgement) -> Option<String> {
        let word = |passed: bool| if passed { "passed" } else { "failed" };
        let what = if self.passed != judgement.passed || self.score != judgement.score {
            format!(
                "it {} with {}, and the gate of this program says {} with {}",
                word(self.passed),
                self.score,
                word(judgement.passed),
                judgement.score
            )
        } else if self.findings != judgement.findings {
            "the gate of this program finds something else".to_owned()
        } else {
            return None;
        };
        if self.rules_version == gate::RULES_VERSION {
            return Some(what);
        }
        let (then, now) = (self.rules_version, gate::RULES_VERSION);
        Some(format!("{what} (rules version {then} then, {now} now)"))
    }
}
