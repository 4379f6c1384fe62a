//! Drafts the output of TASKS: a ticket for each new component, with the tasks that make it, wire
//! it in, test it and write it up.

mod plan;

use std::collections::BTreeSet;

use specline_aggregates::Finding;
use specline_aggregates::output::{
    Component, Design, Explore, PlannedTicket, Priority, Requirement, Requirements, TaskKind, Tasks,
};

use super::language::{self, Family};
use super::survey::Survey;
use super::{NOTICE, feedback, placement};
use plan::{Plan, Step};

/// What tasks are drafted from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) survey: &'a Survey,
    pub(super) explore: &'a Explore,
    pub(super) requirements: &'a Requirements,
    pub(super) design: &'a Design,
}

/// Requirements that one task carries at most.
const MAX_PER_TASK: usize = 3;

/// One ticket's share of the design.
struct Share<'a> {
    core: Vec<&'a Component>,
    touched: Vec<&'a Component>,
    requirements: Vec<&'a Requirement>,
}

/// The draft.
pub(super) fn draft(source: &Source<'_>, findings: &[Finding]) -> Tasks {
    let mut plan = Plan::new(source.requirements);
    let mut tickets = Vec::new();
    for (index, share) in shares(source).iter().enumerate() {
        let id = format!("TKT-{:03}", index + 1);
        tickets.push(ticket(source, &id, share));
        plan.start_ticket(&id);
        implement(source, share, &mut plan);
        wire_in(source, share, &mut plan);
        test(source, share, &mut plan);
    }
    document(source, &mut plan);
    take_up(&feedback::remarks(findings, "tasks"), &mut plan);
    Tasks { tickets, tasks: plan.tasks }
}

fn has_file(source: &Source<'_>, component: &Component) -> bool {
    component.path.as_ref().is_some_and(|path| source.survey.has(path))
}

/// A ticket for each component that others build on; the changed files go with the first of them
/// whose requirements they share.
fn shares<'a>(source: &Source<'a>) -> Vec<Share<'a>> {
    let all = &source.design.components;
    let is_core = |c: &&Component| !has_file(source, c) || c.depends_on.is_empty();
    let mut shares: Vec<Share<'a>> = Vec::new();
    for component in all.iter().filter(is_core) {
        let is_entry = !component.depends_on.is_empty() && !shares.is_empty();
        match shares.last_mut().filter(|_| is_entry) {
            Some(share) => share.touched.push(component),
            None => shares.push(Share {
                core: vec![component],
                touched: Vec::new(),
                requirements: Vec::new(),
            }),
        }
    }
    if shares.is_empty() {
        shares.push(Share {
            core: all.iter().take(1).collect(),
            touched: vec![],
            requirements: vec![],
        });
    }
    let placed: BTreeSet<&str> = shares
        .iter()
        .flat_map(|s| s.core.iter().chain(&s.touched))
        .map(|component| component.name.as_str())
        .collect();
    for component in all.iter().filter(|c| !placed.contains(c.name.as_str())) {
        let shares_one = |share: &Share<'_>| {
            share
                .core
                .iter()
                .any(|core| core.requirements.iter().any(|id| component.requirements.contains(id)))
        };
        let at = shares.iter().position(shares_one).unwrap_or(0);
        shares[at].touched.push(component);
    }
    let mut taken = BTreeSet::new();
    for share in &mut shares {
        let own = source
            .requirements
            .requirements
            .iter()
            .filter(|r| share.core.iter().any(|core| core.requirements.contains(&r.id)));
        share.requirements = own.filter(|r| taken.insert(r.id.clone())).collect();
    }
    let rest = source.requirements.requirements.iter().filter(|r| !taken.contains(&r.id));
    shares[0].requirements.extend(rest.collect::<Vec<_>>());
    shares.retain(|share| !share.requirements.is_empty());
    shares
}

fn ticket(source: &Source<'_>, id: &str, share: &Share<'_>) -> PlannedTicket {
    let name = &source.requirements.feature_name;
    let core = share.core.first().map_or("the change", |component| component.name.as_str());
    let titles: Vec<&str> = share.requirements.iter().map(|r| r.title.as_str()).collect();
    PlannedTicket {
        id: id.to_owned(),
        title: super::draft::shorten(&format!("{name}: {core}"), 100),
        description: Some(format!("{NOTICE} Delivers: {}.", titles.join("; "))),
        requirements: share.requirements.iter().map(|r| r.id.clone()).collect(),
    }
}

fn implement(source: &Source<'_>, share: &Share<'_>, plan: &mut Plan) {
    let Some(core) = share.core.first() else { return };
    let path = core.path.as_deref().filter(|path| is_inside(path));
    for (index, chunk) in share.requirements.chunks(MAX_PER_TASK).enumerate() {
        let titles: Vec<&str> = chunk.iter().map(|r| r.title.as_str()).collect();
        let mut step = Step::new(TaskKind::Implement, format!("{}: {}", core.name, titles[0]));
        step.hours = 1.0 + 0.75 * n_as_f64(chunk.len());
        step.requirements = chunk.iter().map(|r| r.id.clone()).collect();
        step.components = vec![core.name.clone()];
        step.files.extend(path.map(str::to_owned));
        if index == 0 {
            set_up(source, path, &mut step);
        }
        let place = path.map_or_else(String::new, |path| format!(" in {path}"));
        let texts: Vec<&str> = chunk.iter().map(|r| r.text.as_str()).collect();
        step.description =
            format!("Write the {} {}{place}. {}", core.kind, core.name, texts.join(" "));
        plan.add(source.survey, step);
    }
}

/// What a new file needs beside itself: a declared module, or a manifest in a new project.
fn set_up(source: &Source<'_>, path: Option<&str>, step: &mut Step) {
    let Some(path) = path.filter(|path| !source.survey.has(path)) else { return };
    step.files.extend(placement::parent_module(source.survey, path));
    let (_, family) = language::of(path);
    if source.survey.files.is_empty()
        && let Some(manifest) = placement::new_manifest(family)
    {
        step.files.push(manifest.to_owned());
    }
}

fn wire_in(source: &Source<'_>, share: &Share<'_>, plan: &mut Plan) {
    for component in &share.touched {
        let path = component.path.as_deref().filter(|path| is_inside(path));
        let is_settings = component.kind == "configuration";
        let kind = if is_settings { TaskKind::Configure } else { TaskKind::Implement };
        let core = share.core.first().map_or("the new code", |core| core.name.as_str());
        let mut step = Step::new(kind, format!("Wire {core} into {}", component.name));
        step.hours = 1.5;
        step.requirements.clone_from(&component.requirements);
        step.components = vec![component.name.clone()];
        step.files.extend(path.map(str::to_owned));
        step.needs.clone_from(&component.depends_on);
        let verb = if has_file(source, component) { "Change" } else { "Create" };
        let place = path.unwrap_or(component.name.as_str());
        step.description =
            format!("{verb} {place}. {}.", component.responsibility.trim_end_matches('.'));
        plan.add(source.survey, step);
    }
}

fn test(source: &Source<'_>, share: &Share<'_>, plan: &mut Plan) {
    let core = share.core.first();
    let name = core.map_or("the change", |core| core.name.as_str());
    let path = core.and_then(|core| core.path.as_deref()).filter(|path| is_inside(path));
    let test = path.and_then(|path| placement::test_of(source.survey, path));
    let is_prose = path.is_some_and(|path| language::of(path).1 == Family::Prose);
    let what = if is_prose { "Review" } else { "Test" };
    let mut step = Step::new(TaskKind::Test, format!("{what} {name} against its criteria"));
    let n: usize = share.requirements.iter().map(|r| r.criteria.len()).sum();
    step.hours = 1.0 + 0.25 * n_as_f64(n);
    step.requirements = share.requirements.iter().map(|r| r.id.clone()).collect();
    step.components = core.iter().map(|core| core.name.clone()).collect();
    step.after_ticket = true;
    let root = test.as_deref().and_then(|test| {
        let main = format!("{}/main.rs", language::folder(test));
        source.survey.has(&main).then_some(main)
    });
    let place = match (&test, path) {
        (Some(test), _) => format!(" in {test}"),
        (None, Some(path)) if is_prose => format!(" of {path}"),
        (None, _) => String::new(),
    };
    step.files.extend(test.or_else(|| path.map(str::to_owned)));
    step.files.extend(root);
    let framework = source.explore.tests.framework.as_deref().unwrap_or("the project's test tool");
    step.description = if is_prose {
        format!("Check {n} acceptance criteria by reading{place}, and check every link in it.")
    } else {
        format!(
            "Write one test for each of {n} acceptance criteria{place}, run with {framework}. Each \
             test names its requirement, and fails without the change."
        )
    };
    plan.add(source.survey, step);
}

fn document(source: &Source<'_>, plan: &mut Plan) {
    let docs = source.survey.files.iter().filter(|f| f.role == language::Role::Docs);
    let mut docs: Vec<&str> = docs.map(|file| file.path.as_str()).collect();
    docs.sort_by_key(|path| {
        let lower = path.to_ascii_lowercase();
        (!lower.starts_with("readme"), !lower.starts_with("docs/"), path.matches('/').count())
    });
    let Some(path) = docs.first().filter(|path| {
        let lower = path.to_ascii_lowercase();
        lower.starts_with("readme") || lower.starts_with("docs/")
    }) else {
        return;
    };
    let name = &source.requirements.feature_name;
    let mut step = Step::new(TaskKind::Document, format!("Describe \"{name}\" in {path}"));
    step.hours = 1.0;
    step.priority = Some(Priority::Low);
    let first = source.requirements.requirements.iter().take(1);
    step.requirements = first.map(|requirement| requirement.id.clone()).collect();
    step.files.push((*path).to_owned());
    step.after_all = true;
    step.description = format!(
        "Say in {path} what \"{name}\" does, how it is switched on or set, its limits, and show \
         one example with its real output."
    );
    step.criteria = vec![
        format!("{path} names the feature, its settings with their defaults, and its limits"),
        "The example in the text was run, and its output is the real one".into(),
    ];
    plan.add(source.survey, step);
}

/// Remarks from a review become tasks of their own.
fn take_up(remarks: &[&str], plan: &mut Plan) {
    for remark in remarks.iter().take(10) {
        let short = super::draft::shorten(remark, 60);
        let mut step = Step::new(TaskKind::Implement, format!("Take up the remark: {short}"));
        step.hours = 2.0;
        step.after_all = true;
        step.description =
            format!("A review of the earlier plan said this, and it is to be met: {remark}");
        step.criteria = vec![format!("The reviewer confirms that this is met: {short}")];
        plan.add_without_files(step);
    }
}

/// A path that stays inside the repository.
fn is_inside(path: &str) -> bool {
    !path.starts_with('/') && !path.split('/').any(|part| part == "..") && !path.is_empty()
}

fn n_as_f64(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::from(u32::MAX), f64::from)
}
