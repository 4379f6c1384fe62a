//! What a person sees while a spec runs: a bar a phase on a terminal, plain lines elsewhere. It is
//! made of the spec's events and nothing else.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use specline_aggregates::spec::{Event, LossCause};
use specline_aggregates::{Finding, Phase, SpecId};

use super::print;
use crate::plain::one_line;
use crate::sandbox::isolation::WEAK;
use crate::view::{PhaseStatus, SpecView};

/// How often a running bar's clock moves.
const TICK: Duration = Duration::from_millis(100);

/// Follows one spec's events.
pub struct Display {
    spec: SpecId,
    after: u64,
    bars: Option<Bars>,
    began: Instant,
}

struct Bars {
    all: MultiProgress,
    phases: BTreeMap<Phase, ProgressBar>,
}

impl Display {
    #[must_use]
    pub fn new(spec: SpecId) -> Self {
        let bars = std::io::stderr().is_terminal().then(Bars::new);
        Self { spec, after: 0, bars, began: Instant::now() }
    }

    /// Begins where a spec stands: what is done is said, and not told again.
    #[must_use]
    pub fn at(view: &SpecView) -> Self {
        let display = Self { after: view.version, ..Self::new(view.id) };
        for done in view.phases.iter().filter(|phase| phase.status == PhaseStatus::Completed) {
            let score = done.score.unwrap_or_default();
            display.say(Some(done.phase), &format!("done before, score {score}/1000"));
            if let Some(bar) = display.bars.as_ref().and_then(|b| b.phases.get(&done.phase)) {
                bar.set_position(1);
                bar.abandon();
            }
        }
        display
    }

    /// Sequence of the last event that is not shown.
    #[must_use]
    pub const fn begins_after(&self) -> u64 {
        self.after
    }

    /// Time since it began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn show(&self, event: &Event) {
        let Some((phase, text)) = line(event, self.spec) else { return };
        self.say(phase, &text);
        if let (Some(bars), Some(phase)) = (&self.bars, phase) {
            bars.show(phase, event);
        }
    }

    fn say(&self, phase: Option<Phase>, text: &str) {
        let text = &one_line(text);
        match (&self.bars, phase) {
            (Some(bars), Some(phase)) => bars.say(phase, text),
            (Some(bars), None) => drop(bars.all.println(format!("  {text}"))),
            (None, phase) => {
                let phase = phase.map_or("", Phase::as_str);
                print::talk(&format!("{:>6.1}s  {phase:<12}  {text}", self.seconds()));
            }
        }
    }

    fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Leaves the bars as they are, so that what follows stands below them.
    pub fn finish(&self) {
        if let Some(bars) = &self.bars {
            for bar in bars.phases.values().filter(|bar| !bar.is_finished()) {
                bar.abandon();
            }
        }
    }
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let phases = Phase::ALL
            .into_iter()
            .map(|phase| {
                let bar = all.add(ProgressBar::new(1));
                bar.set_style(style("{prefix:<13} [{bar:20}] {msg}"));
                bar.set_prefix(phase.to_string());
                bar.set_message("waiting");
                bar.tick();
                (phase, bar)
            })
            .collect();
        Self { all, phases }
    }

    fn say(&self, phase: Phase, text: &str) {
        if let Some(bar) = self.phases.get(&phase) {
            bar.set_message(text.to_owned());
        }
    }

    fn show(&self, phase: Phase, event: &Event) {
        let Some(bar) = self.phases.get(&phase) else { return };
        if matches!(event, Event::AttemptStarted { .. }) {
            bar.reset();
            bar.set_style(style("{prefix:<13} [{spinner:^20}] {msg}  {elapsed}"));
            bar.enable_steady_tick(TICK);
        }
        if matches!(event, Event::VerdictRecorded { passed: true, .. }) {
            bar.set_style(style("{prefix:<13} [{bar:20}] {msg}  {elapsed}"));
            bar.disable_steady_tick();
            bar.set_position(1);
            bar.abandon();
        } else if matches!(event, Event::AttemptFailed { .. }) {
            bar.disable_steady_tick();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━━╌")
}

/// One line for what people want to know; none for the rest.
pub(super) fn line(event: &Event, spec: SpecId) -> Option<(Option<Phase>, String)> {
    if let Event::AttemptStarted { phase, attempt, .. } = event {
        Some((Some(*phase), format!("attempt {attempt}")))
    } else if let Event::VerdictRecorded { phase, .. } = event {
        Some((Some(*phase), verdict_line(event)))
    } else if let Event::EvaluationRequested { phase, evaluators, .. } = event {
        Some((Some(*phase), format!("asked: {}", evaluators.join(", "))))
    } else if let Event::AttemptFailed { phase, attempt, kind, message, retry_at, .. } = event {
        let next = if retry_at.is_some() { "; there will be another" } else { "" };
        let text = format!("attempt {attempt} failed ({}): {message}{next}", kind.as_str());
        Some((Some(*phase), text))
    } else if let Event::SandboxAttached { epoch, provider, isolation, .. } = event {
        let apart = match isolation.as_deref() {
            Some(WEAK) => ", WEAK ISOLATION: the agent may do whatever you may",
            Some("landlock") => ", Landlock",
            Some("bubblewrap") => ", bubblewrap",
            Some(_) | None => "",
        };
        Some((None, format!("sandbox {epoch} is up ({provider}{apart})")))
    } else if let Event::SandboxLost { epoch, cause, .. } = event {
        Some((None, format!("sandbox {epoch} was lost: {}", told(cause))))
    } else if let Event::ApprovalRequested { phase, output, .. } = event {
        let text = format!("waits for you: specline approve {spec} {phase}   ({})", output.short());
        Some((Some(*phase), text))
    } else if let Event::PhaseReopened { phase, reason, .. } = event {
        Some((Some(*phase), format!("opened again: {reason}")))
    } else if let Event::ExecutionPaused { reason, .. } = event {
        Some((None, format!("paused: {reason}")))
    } else {
        None
    }
}

fn verdict_line(event: &Event) -> String {
    let Event::VerdictRecorded { evaluator, passed, score, findings, attempt, .. } = event else {
        return String::new();
    };
    let verdict = if *passed { "passed" } else { "did not pass" };
    let by = if evaluator == "gate" { String::new() } else { format!(" by {evaluator}") };
    format!("attempt {attempt} {verdict}{by}, score {score}/1000{}", open(findings))
}

/// The first rule that did not pass, for a verdict's line.
fn open(findings: &[Finding]) -> String {
    let mut failed = findings.iter().filter(|f| !f.passed && !f.skipped);
    let Some(first) = failed.next() else { return String::new() };
    match failed.count() {
        0 => format!("; {}: {}", first.rule, first.message),
        more => format!("; {}: {} (+{more} more)", first.rule, first.message),
    }
}

fn told(cause: &LossCause) -> String {
    match cause {
        LossCause::Exit { code } => format!("exit code {code}"),
        LossCause::Signal { signal } => format!("killed by signal {signal}"),
        LossCause::LeaseExpired => "it was no longer heard of".to_owned(),
        LossCause::Spawn { message } => format!("it could not be started: {message}"),
        LossCause::Provider { message } => message.clone(),
        LossCause::Detached { reason } => format!("it left: {reason}"),
        LossCause::Shutdown => "the engine was stopped".to_owned(),
    }
}
