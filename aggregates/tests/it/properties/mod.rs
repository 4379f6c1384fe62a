//! What holds for any sequence of commands that `decide` accepts, however odd.

mod hostile;
mod invariants;
mod moves;
mod small;

use proptest::prelude::*;
use proptest::test_runner::Config;
use specline_aggregates::spec::{Event, Spec};

use self::invariants::{check_append, check_state, check_whole};
use self::moves::{Move, policy, sequence};
use crate::kit::Run;

/// A failure prints its case, shrunk; PROPTEST_CASES raises the number.
fn config() -> Config {
    Config { failure_persistence: None, ..Config::with_cases(cases()) }
}

fn cases() -> u32 {
    let asked = std::env::var_os("PROPTEST_CASES");
    asked.and_then(|n| n.to_str()?.parse().ok()).unwrap_or(48)
}

/// Makes every move, and checks after each. `repeat` asks everything twice.
fn play(moves: &[Move], run: &mut Run) {
    for one in moves {
        let Some(command) = one.command(run) else { continue };
        let before = run.spec.clone();
        let first = run.events.len();
        // `ask` panics when evolve does not take what decide gave.
        if run.ask(&command).is_err() {
            assert_eq!(run.spec, before);
            continue;
        }
        check_append(&before, &run.events[first..]);
        check_state(&run.spec, &run.events);
        if run.events.len() > first {
            check_repeat(*one, &command, &run.spec);
        }
    }
}

fn check_repeat(one: Move, command: &specline_aggregates::spec::Command, spec: &Spec) {
    let again = spec.decide(command);
    if one.is_idempotent() {
        assert_eq!(again, Ok(Vec::new()), "{command:?}");
    } else if one.changes_nothing_twice() {
        assert!(again.as_ref().map_or(true, Vec::is_empty), "{command:?}: {again:?}");
    }
}

pub(crate) fn fold(mut spec: Spec, events: &[Event]) -> Spec {
    for event in events {
        spec.evolve(event).unwrap();
    }
    spec
}

/// Folding in two parts, or from a snapshot on, is folding the whole.
fn check_split(run: &Run, at: usize) {
    let (head, tail) = run.events.split_at(at);
    let half = fold(Spec::default(), head);
    let snapshot: Spec = serde_json::from_str(&serde_json::to_string(&half).unwrap()).unwrap();
    assert_eq!(snapshot, half);
    assert_eq!(fold(half, tail), run.spec);
    assert_eq!(fold(snapshot, tail), run.spec);
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_accepted_sequence_keeps_the_invariants(
        policy in policy(),
        moves in sequence(),
        at in any::<prop::sample::Index>(),
    ) {
        let mut run = Run::drafted(policy);
        play(&moves, &mut run);
        check_whole(&run);
        check_split(&run, at.index(run.events.len() + 1));
    }
}

#[test]
fn the_moves_reach_the_end_and_every_event() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..150 {
        let policy = policy().new_tree(&mut runner).unwrap().current();
        let moves = sequence().new_tree(&mut runner).unwrap().current();
        let mut run = Run::drafted(policy);
        play(&moves, &mut run);
        seen.extend(run.events.iter().map(Event::name));
        if seen.len() == Event::NAMES.len() - 1 {
            return;
        }
    }
    let unseen: Vec<_> = Event::NAMES.iter().filter(|name| !seen.contains(*name)).collect();
    assert_eq!(unseen, [&"SpecForked"], "the generator is too tame");
}
