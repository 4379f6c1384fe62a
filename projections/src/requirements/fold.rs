//! Folds requirements outputs and SYNC's coverage. An output counts when its checkpoint is saved,
//! so the row remembers the last one submitted until then.

use serde::{Deserialize, Serialize};
use specline_aggregates::output::{self, IdMap, Requirement, Requirements};
use specline_aggregates::spec::{Event, Payload};
use specline_aggregates::{Digest, Phase, SpecId};

use super::{Coverage, RequirementLine, TaskRef, tables};
use crate::Envelope;
use crate::framework::{Entries, FoldError, Model, Rows, Table, Value};

pub(crate) struct Catalogue;

/// What an output says; nothing when it is no requirements output at all.
#[derive(Clone, Serialize, Deserialize)]
struct Submitted {
    digest: Digest,
    requirements: Vec<Requirement>,
    blob: bool,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    lines: Vec<RequirementLine>,
    /// The accepted output is a blob: lines appear when SYNC names them.
    blob: Option<Digest>,
    pending: Option<Submitted>,
}

impl Row {
    pub(crate) fn into_lines(self) -> Vec<RequirementLine> {
        self.lines
    }
}

impl Model for Catalogue {
    type Row = Row;

    const READS: &'static [&'static str] = &["Spec"];

    const TABLE: Table = Table {
        name: "requirements",
        version: 2,
        columns: &[],
        indices: &[],
        lists: tables::LISTS,
    };

    fn keys(event: &Envelope) -> Vec<String> {
        let spec = event.spec().filter(|(_, event)| matters(event));
        spec.map(|(id, _)| id.to_string()).into_iter().collect()
    }

    fn fold(rows: &mut Rows<Row>, envelope: &Envelope) -> Result<(), FoldError> {
        let Some((spec, event)) = envelope.spec().filter(|(_, event)| matters(event)) else {
            return Ok(());
        };
        let key = spec.to_string();
        if rows.get(&key).is_none() {
            rows.put(key.clone(), Row { lines: Vec::new(), blob: None, pending: None });
        }
        let Some(row) = rows.get_mut(&key) else { return Ok(()) };
        row.take(spec, event);
        for line in &mut row.lines {
            line.position = envelope.position;
        }
        Ok(())
    }

    fn columns(_: &Row) -> Vec<Value> {
        Vec::new()
    }

    fn entries(row: &Row) -> Entries {
        tables::entries(&row.lines)
    }
}

fn matters(event: &Event) -> bool {
    matches!(
        event,
        Event::OutputSubmitted { phase: Phase::Requirements, .. }
            | Event::CheckpointSaved { phase: Phase::Requirements, .. }
            | Event::PhaseReopened { .. }
            | Event::SyncPlanned { .. }
            | Event::SpecSynced { .. }
            | Event::SpecForked { .. }
    )
}

impl Submitted {
    fn of(output: &Payload, digest: Digest) -> Self {
        let (requirements, blob) = match output {
            // One that does not have the shape fails its gate, and never gets a checkpoint.
            Payload::Inline(json) => (
                json.decode().map_or_else(|_| Vec::new(), |out: Requirements| out.requirements),
                false,
            ),
            Payload::Blob { .. } => (Vec::new(), true),
        };
        Self { digest, requirements, blob }
    }
}

impl Row {
    fn take(&mut self, spec: SpecId, event: &Event) {
        if let Event::OutputSubmitted { output, digest, .. } = event {
            self.pending = Some(Submitted::of(output, *digest));
        } else if let Event::CheckpointSaved { output, .. } = event {
            if let Some(pending) = self.pending.take_if(|pending| pending.digest == *output) {
                self.accept(spec, pending);
            }
        } else if let Event::SpecForked { accepted, .. } = event {
            if let Some(inherited) = accepted.get(&Phase::Requirements) {
                self.accept(spec, Submitted::of(&inherited.output, inherited.digest));
            }
        } else if let Event::PhaseReopened { phase, .. } = event {
            for line in &mut self.lines {
                // Before anything was planned, only the requirements themselves can be stale.
                if line.coverage != Coverage::None || *phase <= Phase::Requirements {
                    line.coverage = Coverage::Stale;
                }
            }
        } else if let Event::SyncPlanned { ids, coverage, .. } = event {
            self.cover(spec, (ids, coverage), Coverage::Planned);
        } else if let Event::SpecSynced { ids, coverage, .. } = event {
            self.cover(spec, (ids, coverage), Coverage::Synced);
        }
    }

    fn accept(&mut self, spec: SpecId, submitted: Submitted) {
        self.blob = submitted.blob.then_some(submitted.digest);
        self.lines =
            submitted.requirements.into_iter().map(|requirement| line(spec, requirement)).collect();
    }

    fn cover(
        &mut self,
        spec: SpecId,
        (ids, coverage): (&IdMap, &[output::Coverage]),
        state: Coverage,
    ) {
        if let Some(blob) = self.blob
            && self.lines.is_empty()
        {
            self.lines.extend(ids.requirements.keys().map(|local| unread(spec, local, blob)));
        }
        for line in &mut self.lines {
            let met = coverage.iter().find(|met| met.requirement == line.local_id);
            let Some(met) = met else { continue };
            line.id = ids.requirements.get(&line.local_id).copied();
            line.coverage = state;
            line.components.clone_from(&met.components);
            line.tasks = met
                .tasks
                .iter()
                .map(|local| TaskRef { local_id: local.clone(), id: ids.tasks.get(local).copied() })
                .collect();
        }
    }
}

fn line(spec: SpecId, requirement: Requirement) -> RequirementLine {
    RequirementLine {
        title: requirement.title,
        text: requirement.text,
        blob: None,
        pattern: Some(requirement.pattern),
        priority: Some(requirement.priority),
        category: Some(requirement.category),
        criteria: requirement.criteria,
        depends_on: requirement.depends_on,
        ..blank(spec, &requirement.id)
    }
}

fn unread(spec: SpecId, local_id: &str, blob: Digest) -> RequirementLine {
    RequirementLine { blob: Some(blob), ..blank(spec, local_id) }
}

fn blank(spec: SpecId, local_id: &str) -> RequirementLine {
    RequirementLine {
        spec,
        local_id: local_id.to_owned(),
        id: None,
        title: String::new(),
        text: String::new(),
        blob: None,
        pattern: None,
        priority: None,
        category: None,
        criteria: Vec::new(),
        depends_on: Vec::new(),
        coverage: Coverage::None,
        components: Vec::new(),
        tasks: Vec::new(),
        position: 0,
    }
}
