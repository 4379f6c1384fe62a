//! The prompts: what an agent is told in each phase, and the skill for agents that plan by
//! themselves. A prompt always carries the request, the accepted outputs before it, the rules that
//! judge it, the schema and an example that passes them; on a retry also the last answer and what
//! was wrong with it.

mod view;

#[cfg(test)]
mod tests;

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde_json::Value;
use specline_aggregates::Phase;

use view::View;

/// The name of the skill that path 1 (one agent, no phases) adds to the system prompt.
pub const SKILL_NAME: &str = "spec-driven-dev";

/// The text of that skill.
pub const SKILL: &str = include_str!("spec-driven-dev.md");

const TEMPLATES: [(&str, &str); 6] = [
    ("system.md", include_str!("system.md")),
    ("frame.md", include_str!("frame.md")),
    ("explore.md", include_str!("explore.md")),
    ("requirements.md", include_str!("requirements.md")),
    ("design.md", include_str!("design.md")),
    ("tasks.md", include_str!("tasks.md")),
];

/// What an agent is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    pub system: String,
    pub user: String,
}

/// Why there is no prompt.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    #[error("{0} is the engine's own work; no agent is asked to do it")]
    NoAgent(Phase),
    /// A prompt without the task is worse than none.
    #[error("the context has no {0}")]
    Missing(&'static str),
    #[error("a prompt template does not render")]
    Template(#[source] minijinja::Error),
}

/// The prompt of `phase` for `context`: `{ spec: { title, description, … }, outputs: { explore: …,
/// … }, attempt, feedback: { previous_output, findings, message } | null, steps: [ … ] }`. A
/// previous output that was no JSON stands there as a string.
///
/// # Errors
/// The context lacks the request itself, or `phase` needs no agent.
pub fn render(phase: Phase, context: &Value) -> Result<Prompt, PromptError> {
    let name = match phase {
        Phase::Explore => "explore.md",
        Phase::Requirements => "requirements.md",
        Phase::Design => "design.md",
        Phase::Tasks => "tasks.md",
        Phase::Sync => return Err(PromptError::NoAgent(phase)),
    };
    let mut view = View::of(phase, context)?;
    let environment = environment().map_err(PromptError::Template)?;
    let render = |name, view: &View| {
        let template = environment.get_template(name)?;
        template.render(Serde(view))
    };
    let system = render("system.md", &view).map_err(PromptError::Template)?;
    view.work = render(name, &view).map_err(PromptError::Template)?;
    let user = render("frame.md", &view).map_err(PromptError::Template)?;
    Ok(Prompt { system, user })
}

/// An output of `phase` that passes its gate with a full score; none for sync.
#[must_use]
pub const fn example(phase: Phase) -> Option<&'static str> {
    match phase {
        Phase::Explore => Some(include_str!("example/explore.json")),
        Phase::Requirements => Some(include_str!("example/requirements.json")),
        Phase::Design => Some(include_str!("example/design.json")),
        Phase::Tasks => Some(include_str!("example/tasks.json")),
        Phase::Sync => None,
    }
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    Ok(environment)
}
