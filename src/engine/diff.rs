//! What is different between two versions of a spec: its state as people see it, and the outputs of
//! its phases, place by place.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use specline_aggregates::spec::{Spec, Status};
use specline_aggregates::{Phase, SpecId};

use super::{Engine, EngineError};
use crate::view::SpecView;

/// Most changes that are told; the rest is counted.
const MAX_CHANGES: usize = 5_000;

/// Two versions of a spec, and what lies between them.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "SpecDiff")]
pub struct Diff {
    pub id: SpecId,
    pub from: Stand,
    pub to: Stand,
    /// Phases whose output is another one.
    pub outputs: Vec<Phase>,
    pub changes: Vec<Change>,
    /// Changes that are not told, because there are too many.
    pub omitted: usize,
}

/// Where the spec stood.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "SpecAtVersion")]
pub struct Stand {
    pub version: u64,
    pub status: Status,
    pub phase: Option<Phase>,
}

/// A value that is there now, is there no more, or is another one.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[schemars(rename = "SpecChange")]
pub enum Change {
    Added { pointer: String, to: Value },
    Removed { pointer: String, from: Value },
    Replaced { pointer: String, from: Value, to: Value },
}

impl Engine {
    /// The difference between versions `from` and `to`; the current one where `to` is none.
    pub async fn diff(&self, id: SpecId, from: u64, to: Option<u64>) -> Result<Diff, EngineError> {
        let last = self.loaded(id).await?.version();
        let to = to.unwrap_or(last);
        for (field, version) in [("from", from), ("to", to)] {
            if version == 0 || version > last {
                let problem = format!("the spec has versions 1 to {last}, not {version}");
                return Err(EngineError::InvalidInput { field, problem });
            }
        }
        let (from, to) = (self.spec_at(id, from).await?.state, self.spec_at(id, to).await?.state);
        let (before, after) = (self.whole(&from).await?, self.whole(&to).await?);
        let output = |whole: &Value, phase: Phase| whole["outputs"].get(phase.as_str()).cloned();
        let other = |phase: &Phase| output(&before, *phase) != output(&after, *phase);
        let mut changes = Changes::default();
        changes.between("", &before, &after);
        Ok(Diff {
            id,
            from: stand(&from),
            to: stand(&to),
            outputs: Phase::ALL.into_iter().filter(other).collect(),
            changes: changes.told,
            omitted: changes.omitted,
        })
    }

    /// A spec as one value: what `show` says, and the outputs by phase.
    async fn whole(&self, spec: &Spec) -> Result<Value, EngineError> {
        let unreadable = |error: serde_json::Error| EngineError::Internal {
            what: "a spec cannot be written as JSON",
            cause: error.to_string(),
        };
        let mut whole = serde_json::to_value(SpecView::of(spec)).map_err(unreadable)?;
        let mut outputs = serde_json::Map::new();
        for phase in Phase::ALL {
            if let Some(output) = self.output_of(spec, phase).await? {
                outputs.insert(phase.to_string(), output.decode().map_err(unreadable)?);
            }
        }
        whole["outputs"] = Value::Object(outputs);
        Ok(whole)
    }
}

fn stand(spec: &Spec) -> Stand {
    Stand { version: spec.version(), status: spec.status(), phase: spec.phase() }
}

#[derive(Default)]
struct Changes {
    told: Vec<Change>,
    omitted: usize,
}

impl Changes {
    fn between(&mut self, pointer: &str, before: &Value, after: &Value) {
        match (before, after) {
            (Value::Object(old), Value::Object(new)) => {
                let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
                for name in names {
                    let place = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                    self.member(place, old.get(name), new.get(name));
                }
            }
            (Value::Array(old), Value::Array(new)) => {
                for n in 0..old.len().max(new.len()) {
                    self.member(format!("{pointer}/{n}"), old.get(n), new.get(n));
                }
            }
            (from, to) if from == to => {}
            (from, to) => self.tell(Change::Replaced {
                pointer: pointer.to_owned(),
                from: from.clone(),
                to: to.clone(),
            }),
        }
    }

    fn member(&mut self, pointer: String, before: Option<&Value>, after: Option<&Value>) {
        match (before, after) {
            (Some(before), Some(after)) => self.between(&pointer, before, after),
            (None, Some(to)) => self.tell(Change::Added { pointer, to: to.clone() }),
            (Some(from), None) => self.tell(Change::Removed { pointer, from: from.clone() }),
            (None, None) => {}
        }
    }

    fn tell(&mut self, change: Change) {
        if self.told.len() < MAX_CHANGES {
            self.told.push(change);
        } else {
            self.omitted += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Change, Changes, MAX_CHANGES};

    #[test]
    fn each_change_is_named_by_its_place() {
        let before = json!({ "a/b": 1, "gone": true, "list": [1, 2], "same": { "x": null } });
        let after = json!({ "a/b": 2, "list": [1, 3, 4], "new~": [], "same": { "x": null } });
        let mut changes = Changes::default();
        changes.between("", &before, &after);
        let replaced = |pointer: &str, from, to| {
            let pointer = pointer.to_owned();
            Change::Replaced { pointer, from, to }
        };
        assert_eq!(
            changes.told,
            [
                replaced("/a~1b", json!(1), json!(2)),
                Change::Removed { pointer: "/gone".into(), from: json!(true) },
                replaced("/list/1", json!(2), json!(3)),
                Change::Added { pointer: "/list/2".into(), to: json!(4) },
                Change::Added { pointer: "/new~0".into(), to: json!([]) },
            ]
        );
    }

    #[test]
    fn too_many_changes_are_counted() {
        let after: Vec<_> = (0..MAX_CHANGES + 7).collect();
        let mut changes = Changes::default();
        changes.between("", &json!([]), &json!(after));
        assert_eq!((changes.told.len(), changes.omitted), (MAX_CHANGES, 7));
    }
}
