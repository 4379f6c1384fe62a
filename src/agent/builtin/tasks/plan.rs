//! Numbers tasks, and orders those that touch the same file one after the other.

use std::collections::{BTreeMap, BTreeSet};

use specline_aggregates::output::{PlannedTask, Priority, Requirement, Requirements, TaskKind};

use super::super::draft::shorten;
use super::super::survey::Survey;

const MAX_HOURS: f64 = 4.0;
const MAX_CRITERIA: usize = 8;

/// A task before it has its id and its dependencies.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) kind: TaskKind,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) hours: f64,
    pub(super) priority: Option<Priority>,
    /// Files that it makes or changes; which of the two, the repository says.
    pub(super) files: Vec<String>,
    pub(super) requirements: Vec<String>,
    pub(super) components: Vec<String>,
    /// Names of components whose tasks come first.
    pub(super) needs: Vec<String>,
    /// Its own criteria; else those of its requirements.
    pub(super) criteria: Vec<String>,
    /// It comes after all tasks so far of its ticket.
    pub(super) after_ticket: bool,
    /// It comes after every task so far that nothing else follows.
    pub(super) after_all: bool,
}

impl Step {
    pub(super) fn new(kind: TaskKind, title: String) -> Self {
        Self {
            kind,
            title,
            description: String::new(),
            hours: 1.0,
            priority: None,
            files: Vec::new(),
            requirements: Vec::new(),
            components: Vec::new(),
            needs: Vec::new(),
            criteria: Vec::new(),
            after_ticket: false,
            after_all: false,
        }
    }
}

/// The tasks so far.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) tasks: Vec<PlannedTask>,
    ticket: String,
    by_id: BTreeMap<String, Requirement>,
    /// Path to the last task that made or changed it.
    last_on: BTreeMap<String, String>,
    /// Component to its last task.
    last_of: BTreeMap<String, String>,
}

impl Plan {
    pub(super) fn new(requirements: &Requirements) -> Self {
        let all = requirements.requirements.iter();
        Self {
            tasks: Vec::new(),
            ticket: String::new(),
            by_id: all.map(|r| (r.id.clone(), r.clone())).collect(),
            last_on: BTreeMap::new(),
            last_of: BTreeMap::new(),
        }
    }

    pub(super) fn start_ticket(&mut self, id: &str) {
        id.clone_into(&mut self.ticket);
    }

    /// Adds a task on files of the repository.
    pub(super) fn add(&mut self, survey: &Survey, mut step: Step) {
        let mut seen = BTreeSet::new();
        step.files.retain(|path| seen.insert(path.clone()));
        let (files_modify, files_create): (Vec<String>, Vec<String>) = step
            .files
            .iter()
            .cloned()
            .partition(|path| survey.has(path) || self.last_on.contains_key(path));
        self.push(step, files_create, files_modify);
    }

    /// Adds a task whose files a person names.
    pub(super) fn add_without_files(&mut self, step: Step) {
        self.push(step, Vec::new(), Vec::new());
    }

    fn push(&mut self, step: Step, files_create: Vec<String>, files_modify: Vec<String>) {
        let id = format!("TSK-{:03}", self.tasks.len() + 1);
        let depends_on = self.depends_on(&step);
        for path in &step.files {
            self.last_on.insert(path.clone(), id.clone());
        }
        for component in &step.components {
            self.last_of.insert(component.clone(), id.clone());
        }
        let criteria = if step.criteria.is_empty() { self.criteria(&step) } else { step.criteria };
        let priority = step.priority.unwrap_or_else(|| self.priority(&step.requirements));
        self.tasks.push(PlannedTask {
            id,
            title: shorten(&step.title, 120),
            description: shorten(&step.description, 1500),
            ticket: self.ticket.clone(),
            kind: step.kind,
            priority,
            estimated_hours: step.hours.min(MAX_HOURS),
            files_create,
            files_modify,
            criteria,
            depends_on,
            requirements: step.requirements,
            components: step.components,
        });
    }

    fn depends_on(&self, step: &Step) -> Vec<String> {
        let mut ids: BTreeSet<String> = BTreeSet::new();
        ids.extend(step.files.iter().filter_map(|path| self.last_on.get(path).cloned()));
        ids.extend(step.needs.iter().filter_map(|name| self.last_of.get(name).cloned()));
        let followed: BTreeSet<&String> =
            self.tasks.iter().flat_map(|task| &task.depends_on).collect();
        let open = self.tasks.iter().filter(|task| !followed.contains(&task.id));
        if step.after_all {
            ids.extend(open.map(|task| task.id.clone()));
        } else if step.after_ticket {
            let own = open.filter(|task| task.ticket == self.ticket);
            ids.extend(own.map(|task| task.id.clone()));
        }
        ids.into_iter().collect()
    }

    fn priority(&self, ids: &[String]) -> Priority {
        let known = ids.iter().filter_map(|id| self.by_id.get(id));
        known.map(|requirement| requirement.priority).min().unwrap_or(Priority::Medium)
    }

    /// The criteria of the task's requirements, those of each in turn.
    fn criteria(&self, step: &Step) -> Vec<String> {
        let mut criteria = Vec::new();
        let known: Vec<&Requirement> =
            step.requirements.iter().filter_map(|id| self.by_id.get(id)).collect();
        let most = known.iter().map(|r| r.criteria.len()).max().unwrap_or(0);
        for round in 0..most {
            for requirement in &known {
                if let Some(c) = requirement.criteria.get(round) {
                    let (id, given, when, then) = (&requirement.id, &c.given, &c.when, &c.then);
                    criteria.push(format!("{id}: given {given}, when {when}, then {then}"));
                }
            }
        }
        if step.kind == TaskKind::Test {
            let n = criteria.len();
            criteria.truncate(MAX_CRITERIA - 1);
            criteria.push(format!("All {n} acceptance criteria of the ticket have a passing test"));
        }
        criteria.truncate(MAX_CRITERIA);
        if criteria.is_empty() {
            criteria.push("The described change is in place, and all tests pass".into());
        }
        criteria
    }
}
