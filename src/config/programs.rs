//! `[agents.NAME]` and `[evaluators.NAME]`: the programs that policies may choose by name.

use std::collections::{BTreeMap, BTreeSet};

use specline_aggregates::is_program_name;

use super::{Error, Reader};
use crate::agent::CommandLine;
use crate::engine::{Program, Programs};

/// Names that are the engine's own.
const TAKEN: [&str; 4] = ["builtin", "noop", "gate", "command"];

const AGENT: [&str; 5] = ["driver", "command", "env", "time_s", "time_ms"];

const EVALUATOR: [&str; 3] = ["command", "time_s", "time_ms"];

pub(super) fn read(reader: &mut Reader<'_>) -> Result<Programs, Error> {
    Ok(Programs {
        agents: section(reader, "agents", &AGENT)?,
        evaluators: section(reader, "evaluators", &EVALUATOR)?,
    })
}

/// All programs of `[SECTION.NAME]`, with these fields.
fn section(
    reader: &mut Reader<'_>,
    section: &str,
    fields: &[&str],
) -> Result<BTreeMap<String, Program>, Error> {
    let mut names = BTreeSet::new();
    for key in reader.written_under(section) {
        if let Some((name, field)) = key.rsplit_once('.')
            && fields.contains(&field)
        {
            names.insert(name.to_owned());
        }
    }
    let program = |name: String| {
        let program = program(reader, (&format!("{section}.{name}"), fields), &name)?;
        Ok((name, program))
    };
    names.into_iter().map(program).collect()
}

fn program(
    reader: &mut Reader<'_>,
    (table, fields): (&str, &[&str]),
    name: &str,
) -> Result<Program, Error> {
    let mut field = |field: &str| {
        let known = fields.contains(&field);
        known.then(|| reader.written(&format!("{table}.{field}"))).flatten()
    };
    let (driver, command, env) = (field("driver"), field("command"), field("env"));
    let (seconds, milliseconds) = (field("time_s"), field("time_ms"));
    let invalid = |place: &str, problem: String| Error::Invalid { place: place.into(), problem };
    if !is_program_name(name) || TAKEN.contains(&name) {
        let problem = "a name has 1 to 64 letters, digits, `-`, `_` and `.`, and is none of the \
                       engine's own";
        return Err(invalid(table, problem.to_owned()));
    }
    if let Some(driver) = driver.filter(|driver| driver.text != "command") {
        let problem = format!("{:?} is no driver; `command` is", driver.text);
        return Err(invalid(&format!("{table}.driver"), problem));
    }
    let missing = || invalid(table, "it needs `command`".to_owned());
    let place = format!("{table}.command");
    let command = command.ok_or_else(missing)?;
    let line = match command.items {
        Some(words) => CommandLine::of(words),
        None => CommandLine::parse(&command.text),
    };
    let line = line.map_err(|error| invalid(&place, error.to_string()))?;
    if line.program.contains('/') && !line.program.starts_with('/') {
        let problem = format!(
            "{:?} is a relative path, and programs run in many folders; write the whole path, or \
             a name on the PATH",
            line.program
        );
        return Err(invalid(&place, problem));
    }
    let names = env.map(|env| env.items.unwrap_or_else(|| vec![env.text])).unwrap_or_default();
    let time_ms = match (seconds, milliseconds) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            return Err(invalid(table, "it has `time_s` and `time_ms`; give one".to_owned()));
        }
        (Some(time), None) => Some(number(&format!("{table}.time_s"), &time.text)? * 1_000),
        (None, Some(time)) => Some(number(&format!("{table}.time_ms"), &time.text)?),
    };
    Ok(Program { command: line.to_text(), env: names, time_ms })
}

/// A time: more than nothing, and no more than a year.
fn number(place: &str, text: &str) -> Result<u64, Error> {
    let number = text.parse().ok().filter(|n| (1..=31_536_000_000).contains(n));
    number.ok_or_else(|| Error::Invalid {
        place: place.to_owned(),
        problem: format!("{text:?} is no time"),
    })
}
