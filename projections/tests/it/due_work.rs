//! Due work, board, detail and sandboxes against the state of the aggregate, after every step of
//! random walks.

#![expect(clippy::print_stdout, reason = "a seed is told")]

use specline_aggregates::spec::{Sandbox, Spec, Status};
use specline_aggregates::{Phase, SpecId};
use specline_projections::ReadModels;
use specline_projections::due_work::Kind;
use specline_projections::sandboxes::{self, State};

use crate::files::{Files, On, on_both};
use crate::walk::{Draw, policy, step};
use crate::world::World;

on_both!(read_models_say_what_the_aggregate_says);

/// What must be due for a spec in this state.
fn expected(spec: &Spec) -> Vec<Kind> {
    let mut kinds = Vec::new();
    if spec.status().is_ended() {
        return kinds;
    }
    if matches!(spec.sandbox(), Sandbox::Requested { .. }) {
        kinds.push(Kind::Spawn);
    }
    let agent = spec.phase().is_some_and(Phase::needs_agent);
    if agent && spec.current().is_some_and(|state| state.running.is_some()) {
        kinds.push(Kind::Attempt);
    }
    if spec.status() == Status::Executing && spec.phase() == Some(Phase::Sync) {
        kinds.push(Kind::Sync);
    }
    if spec.status() == Status::AwaitingApproval && spec.approval_deadline().is_some() {
        kinds.push(Kind::Approval);
    }
    if spec.current().is_some_and(|state| !state.evaluating.is_empty()) {
        kinds.push(Kind::Evaluate);
    }
    kinds
}

async fn check_due(models: &ReadModels, id: SpecId, spec: &Spec) {
    let due = models.due_for(id).await.unwrap();
    let mut kinds: Vec<_> = due.iter().map(|entry| entry.kind).collect();
    kinds.sort();
    assert_eq!(kinds, expected(spec), "{id}: {due:?}");
    for entry in due {
        match entry.kind {
            Kind::Spawn => assert_eq!(entry.sandbox, spec.sandbox().id()),
            Kind::Attempt => {
                let running = spec.current().unwrap().running.unwrap();
                assert_eq!((entry.due, entry.attempt), (running.deadline, running.number));
                assert_eq!(entry.sandbox, spec.sandbox().id());
            }
            Kind::Sync => {
                let retry_at = spec.current().and_then(|state| state.retry_at);
                assert!(retry_at.is_none_or(|at| entry.due >= at), "sync is not due too early");
            }
            Kind::Evaluate => assert_eq!(Some(entry.phase), spec.phase()),
            Kind::Approval => assert_eq!(Some(entry.due), spec.approval_deadline()),
        }
    }
}

async fn check_pages(models: &ReadModels, id: SpecId, spec: &Spec) {
    let line = models.spec(id).await.unwrap().expect("it is on the board");
    assert_eq!((line.status, line.phase), (spec.status(), spec.phase()));
    assert_eq!((line.run, line.epoch, line.usage), (spec.run(), spec.epoch(), spec.usage()));
    assert_eq!((line.version, &line.title), (spec.version(), &spec.brief().unwrap().title));
    let done: Vec<_> = Phase::ALL.into_iter().filter_map(|phase| spec.accepted(phase)).collect();
    assert_eq!(usize::from(line.progress), done.len(), "{id}");
    assert_eq!(line.score, done.iter().map(|accepted| accepted.score).min());
    assert_eq!(line.error.as_ref(), spec.failure().map(|failure| &failure.reason));

    let detail = models.spec_detail(id).await.unwrap().expect("it has a document");
    assert_eq!((detail.status, detail.phase), (spec.status(), spec.phase()));
    assert_eq!(detail.failure.as_ref(), spec.failure());
    assert_eq!(detail.exported, spec.exported());
    assert_eq!(detail.approval_deadline, spec.approval_deadline());
    for phase in &detail.phases {
        let Some(state) = spec.phase_state(phase.phase) else { continue };
        assert_eq!((phase.attempts, phase.usage), (state.last_attempt, state.usage));
        let completed = phase.status == specline_projections::spec_detail::PhaseStatus::Completed;
        assert_eq!(completed, state.accepted.is_some(), "{id} {}", phase.phase);
    }

    let filter = sandboxes::Filter { owner: Some(sandboxes::Owner::Spec(id)), state: None };
    let newest = models.sandboxes(filter, None, 1).await.unwrap().rows.pop();
    let state = newest.map(|line| line.state);
    match spec.sandbox() {
        Sandbox::Requested { .. } => assert_eq!(state, Some(State::Requested)),
        Sandbox::Attached { .. } => assert_eq!(state, Some(State::Attached)),
        Sandbox::None => {
            assert!(!matches!(state, Some(State::Requested | State::Attached)), "{id}: {state:?}");
        }
    }
}

async fn read_models_say_what_the_aggregate_says(on: On) {
    let seed = std::env::var("SPECLINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(11);
    println!("SPECLINE_SEED={seed}");
    let (files, mut world, mut draw) = (Files::new(on), World::new(), Draw::new(seed));
    let models = files.open(0).await;
    for n in 0..16 {
        world.draft(n, policy(n));
    }
    let (mut applied, mut met) = (0, std::collections::BTreeSet::new());
    for _ in 0..90 {
        let ids: Vec<SpecId> = world.specs.keys().copied().collect();
        for id in &ids {
            step(&mut world, *id, &mut draw);
        }
        models.apply(applied, world.after(applied)).await.unwrap();
        applied = world.head();
        for id in ids {
            check_due(&models, id, &world.specs[&id]).await;
            met.extend(expected(&world.specs[&id]));
        }
        check_clock(&models, &world).await;
    }
    for (id, spec) in &world.specs {
        check_pages(&models, *id, spec).await;
    }
    assert_eq!(met.len(), 5, "the walk met every kind of due work: {met:?}");
    let types: std::collections::BTreeSet<_> =
        world.log.iter().map(|event| event.event_type.as_str()).collect();
    let all = specline_aggregates::spec::Event::NAMES;
    let missed: Vec<_> = all.into_iter().filter(|name| !types.contains(name)).collect();
    assert!(missed.is_empty(), "the walk did not meet {missed:?}");
}

/// `due` and `next_due` against everything that waits.
async fn check_clock(models: &ReadModels, world: &World) {
    let all = models.all_due().await.unwrap();
    let expected = all.iter().filter(|entry| entry.due <= world.now).cloned();
    let (spawns, others): (Vec<_>, Vec<_>) = expected.partition(|entry| entry.kind == Kind::Spawn);
    assert_eq!(models.due(world.now, 1_000).await.unwrap(), others);
    assert_eq!(models.due(world.now, 3).await.unwrap(), others[..others.len().min(3)]);
    assert_eq!(models.due_spawns(world.now, 1_000).await.unwrap(), spawns);
    assert_eq!(models.due_spawns(world.now, 1).await.unwrap(), spawns[..spawns.len().min(1)]);
    let next = all.iter().map(|entry| entry.due).filter(|due| *due > world.now).min();
    assert_eq!(models.next_due(world.now).await.unwrap(), next);
}
