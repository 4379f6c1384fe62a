//! What the events of specs add up to: attempts, verdicts, phases, sandboxes, tokens, cost.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use specline_aggregates::spec::{Event, FailureKind, LossCause, Spec};
use specline_aggregates::{Finding, Phase, SpecId, Timestamp, Usage, gate};

use super::{Counter, Family, Histogram, Text};

/// Phases whose beginning is remembered. One that is forgotten counts from its last attempt.
const MAX_OPEN: usize = 10_000;

/// The evaluator that is the built-in gate.
const GATE: &str = "gate";

/// A name for what is not this program's own: names of evaluators and their rules have no bound.
const FOREIGN: &str = "evaluator";

#[derive(Debug)]
pub struct SpecMetrics {
    /// By phase.
    attempts: Family<Counter, 1>,
    /// By phase and kind.
    attempt_failures: Family<Counter, 2>,
    attempt_times: Family<Histogram, 1>,
    phase_times: Family<Histogram, 1>,
    /// By phase, evaluator and result.
    verdicts: Family<Counter, 3>,
    /// By rule and result.
    rules: Family<Counter, 2>,
    /// By phase and kind.
    tokens: Family<Counter, 2>,
    /// By phase, in micro-USD.
    cost: Family<Counter, 1>,
    /// By cause.
    sandboxes_lost: Family<Counter, 1>,
    sandboxes_requested: Counter,
    /// By outcome.
    ended: Family<Counter, 1>,
    /// When phases that are not done yet were begun.
    open_phases: Mutex<BTreeMap<(SpecId, Phase), Timestamp>>,
}

impl Default for SpecMetrics {
    fn default() -> Self {
        Self {
            attempts: Family::new(Counter::default),
            attempt_failures: Family::new(Counter::default),
            attempt_times: Family::new(Histogram::of_long_times),
            phase_times: Family::new(Histogram::of_long_times),
            verdicts: Family::new(Counter::default),
            rules: Family::new(Counter::default),
            tokens: Family::new(Counter::default),
            cost: Family::new(Counter::default),
            sandboxes_lost: Family::new(Counter::default),
            sandboxes_requested: Counter::default(),
            ended: Family::new(Counter::default),
            open_phases: Mutex::default(),
        }
    }
}

/// What a commit's events tell, with what has to be known of the spec from before them.
#[derive(Debug)]
pub struct Seen {
    spec: Option<SpecId>,
    /// When the attempt that runs was begun, by phase.
    begun: BTreeMap<Phase, Timestamp>,
    facts: Vec<Fact>,
}

#[derive(Debug)]
enum Fact {
    Begun(Phase),
    /// An attempt is over.
    Over(Phase),
    Failed(Phase, FailureKind),
    Used(Phase, Usage),
    Verdict {
        phase: Phase,
        evaluator: &'static str,
        passed: bool,
        rules: Vec<Told>,
    },
    Done(Phase),
    Requested,
    Lost(&'static str),
    Ended(&'static str),
}

/// A rule and what came of it.
type Told = (&'static str, &'static str);

impl Seen {
    /// Looks at events before they are committed on `spec`; none when nothing of them counts.
    #[must_use]
    pub fn before(spec: &Spec, events: &[Event]) -> Option<Self> {
        let facts: Vec<Fact> = events.iter().flat_map(facts).collect();
        if facts.is_empty() {
            return None;
        }
        let begun = Phase::ALL.into_iter().filter_map(|phase| {
            let running = spec.phase_state(phase)?.running.as_ref()?;
            let limit = i64::try_from(spec.policy().limits(phase).time_ms).ok()?;
            let at = running.deadline.micros().checked_sub(limit.checked_mul(1_000)?)?;
            Some((phase, Timestamp::from_micros(at)))
        });
        Some(Self { spec: spec.id(), begun: begun.collect(), facts })
    }
}

fn facts(event: &Event) -> Vec<Fact> {
    if let Event::AttemptStarted { phase, .. } = event {
        vec![Fact::Begun(*phase)]
    } else if let Event::StepRecorded { phase, usage, .. } = event {
        vec![Fact::Used(*phase, *usage)]
    } else if let Event::OutputSubmitted { phase, usage, .. } = event {
        vec![Fact::Over(*phase), Fact::Used(*phase, *usage)]
    } else if let Event::VerdictRecorded { phase, evaluator, passed, findings, .. } = event {
        let evaluator = if evaluator == GATE { GATE } else { FOREIGN };
        vec![Fact::Verdict { phase: *phase, evaluator, passed: *passed, rules: by_rule(findings) }]
    } else if let Event::AttemptFailed { phase, kind, usage, .. } = event {
        vec![Fact::Over(*phase), Fact::Failed(*phase, *kind), Fact::Used(*phase, *usage)]
    } else if let Event::PhaseCompleted { phase, .. } = event {
        vec![Fact::Done(*phase)]
    } else {
        facts_of_runs(event)
    }
}

fn facts_of_runs(event: &Event) -> Vec<Fact> {
    if let Event::SandboxRequested { .. } = event {
        vec![Fact::Requested]
    } else if let Event::SandboxLost { phase, cause, usage, .. } = event {
        vec![Fact::Lost(name(cause)), Fact::Used(*phase, *usage)]
    } else if let Event::SandboxReleased { phase: Some(phase), usage, .. } = event {
        vec![Fact::Used(*phase, *usage)]
    } else if let Event::SpecCompleted { .. } = event {
        vec![Fact::Ended("completed")]
    } else if let Event::SpecFailed { .. } = event {
        vec![Fact::Ended("failed")]
    } else if let Event::SpecCancelled { .. } = event {
        vec![Fact::Ended("cancelled")]
    } else {
        Vec::new()
    }
}

/// What each rule said; one that left several findings passed when all did.
fn by_rule(findings: &[Finding]) -> Vec<Told> {
    let mut results: BTreeMap<&'static str, &'static str> = BTreeMap::new();
    let known = gate::rules();
    for finding in findings {
        let rule = known.iter().find(|rule| rule.name == finding.rule);
        let rule = rule.map_or(FOREIGN, |rule| rule.name);
        let result = match (finding.skipped, finding.passed) {
            (true, _) => "skipped",
            (false, true) => "passed",
            (false, false) => "failed",
        };
        let slot = results.entry(rule).or_insert(result);
        if result == "failed" {
            *slot = result;
        }
    }
    results.into_iter().collect()
}

const fn name(cause: &LossCause) -> &'static str {
    match cause {
        LossCause::Exit { .. } => "exit",
        LossCause::Signal { .. } => "signal",
        LossCause::LeaseExpired => "lease_expired",
        LossCause::Spawn { .. } => "spawn",
        LossCause::Provider { .. } => "provider",
        LossCause::Detached { .. } => "detached",
        LossCause::Shutdown => "shutdown",
    }
}

impl SpecMetrics {
    /// What was seen has been committed, at `at`.
    pub fn committed(&self, seen: Seen, at: Timestamp) {
        let Seen { spec, mut begun, facts } = seen;
        for fact in facts {
            match fact {
                Fact::Begun(phase) => {
                    self.attempts.of([phase.as_str()]).add(1);
                    if let Some(spec) = spec {
                        self.open(spec, phase, at);
                    }
                }
                Fact::Over(phase) => {
                    if let Some(began) = begun.remove(&phase) {
                        if let Some(spec) = spec {
                            self.open(spec, phase, began);
                        }
                        observe(&self.attempt_times, phase, began, at);
                    }
                }
                Fact::Done(phase) => {
                    if let Some(began) = spec.and_then(|spec| self.close(spec, phase)) {
                        observe(&self.phase_times, phase, began, at);
                    }
                }
                Fact::Ended(outcome) => {
                    self.ended.of([outcome]).add(1);
                    if let Some(spec) = spec {
                        self.forget(spec);
                    }
                }
                other @ (Fact::Failed(..)
                | Fact::Used(..)
                | Fact::Verdict { .. }
                | Fact::Requested
                | Fact::Lost(_)) => self.count(other),
            }
        }
    }

    fn count(&self, fact: Fact) {
        match fact {
            Fact::Failed(phase, kind) => {
                self.attempt_failures.of([phase.as_str(), kind.as_str()]).add(1);
            }
            Fact::Used(phase, usage) => self.used(phase.as_str(), usage),
            Fact::Verdict { phase, evaluator, passed, rules } => {
                let result = if passed { "passed" } else { "failed" };
                self.verdicts.of([phase.as_str(), evaluator, result]).add(1);
                for (rule, result) in rules {
                    self.rules.of([rule, result]).add(1);
                }
            }
            Fact::Requested => self.sandboxes_requested.add(1),
            Fact::Lost(cause) => self.sandboxes_lost.of([cause]).add(1),
            Fact::Begun(_) | Fact::Over(_) | Fact::Done(_) | Fact::Ended(_) => {}
        }
    }

    fn used(&self, phase: &str, usage: Usage) {
        if usage.is_zero() {
            return;
        }
        self.tokens.of([phase, "input"]).add(usage.input_tokens);
        self.tokens.of([phase, "output"]).add(usage.output_tokens);
        self.cost.of([phase]).add(usage.cost_micro_usd);
    }

    /// Remembers when a phase was begun; its first beginning counts.
    fn open(&self, spec: SpecId, phase: Phase, at: Timestamp) {
        let mut open = self.open_phases.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MAX_OPEN {
            open.pop_first();
        }
        open.entry((spec, phase)).or_insert(at);
    }

    fn close(&self, spec: SpecId, phase: Phase) -> Option<Timestamp> {
        self.open_phases.lock().unwrap_or_else(PoisonError::into_inner).remove(&(spec, phase))
    }

    fn forget(&self, spec: SpecId) {
        let mut open = self.open_phases.lock().unwrap_or_else(PoisonError::into_inner);
        for phase in Phase::ALL {
            open.remove(&(spec, phase));
        }
    }

    pub(super) fn write(&self, text: &mut Text) {
        text.counters(
            ("specline_attempts_total", "Attempts that were begun."),
            ["phase"],
            &self.attempts,
        );
        text.counters(
            ("specline_attempt_failures_total", "Attempts that failed."),
            ["phase", "kind"],
            &self.attempt_failures,
        );
        text.histograms(
            ("specline_attempt_duration_seconds", "Attempts, from their start to their output."),
            ["phase"],
            &self.attempt_times,
        );
        text.histograms(
            ("specline_phase_duration_seconds", "Phases, with all attempts and waits in them."),
            ["phase"],
            &self.phase_times,
        );
        text.counters(
            ("specline_gate_verdicts_total", "Verdicts, of the gate and of evaluators."),
            ["phase", "evaluator", "result"],
            &self.verdicts,
        );
        text.counters(
            ("specline_gate_rule_results_total", "What each rule said, once a verdict."),
            ["rule", "result"],
            &self.rules,
        );
        self.write_runs(text);
    }

    fn write_runs(&self, text: &mut Text) {
        text.counters(
            ("specline_agent_tokens_total", "Tokens that agents used."),
            ["phase", "kind"],
            &self.tokens,
        );
        text.counters_of_millionths(
            ("specline_agent_cost_usd_total", "What agents cost, in US dollars."),
            ["phase"],
            &self.cost,
        );
        text.counter(
            ("specline_sandboxes_requested_total", "Sandboxes that were asked for."),
            &self.sandboxes_requested,
        );
        text.counters(
            ("specline_sandboxes_lost_total", "Sandboxes that were lost."),
            ["cause"],
            &self.sandboxes_lost,
        );
        text.counters(
            ("specline_specs_ended_total", "Specs that came to an end."),
            ["outcome"],
            &self.ended,
        );
    }
}

fn observe(times: &Family<Histogram, 1>, phase: Phase, from: Timestamp, to: Timestamp) {
    let took = to.micros().saturating_sub(from.micros());
    times.of([phase.as_str()]).observe(u64::try_from(took).unwrap_or(0));
}
