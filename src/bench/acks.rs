//! The file in which the killed process says what it does, a line each: one write that the kernel
//! keeps even when the process is killed right after. The parent compares it with the log.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use specline_aggregates::SpecId;

/// One step of one spec.
pub(super) type StepOf = (SpecId, u32);

/// The writing side.
#[derive(Debug)]
pub(super) struct Acks(File);

impl Acks {
    pub(super) fn append_to(path: &Path) -> io::Result<Self> {
        File::options().append(true).create(true).open(path).map(Self)
    }

    fn line(&self, text: &str) -> io::Result<()> {
        (&self.0).write_all(format!("{text}\n").as_bytes())
    }

    /// The log is open, and ends at `head`.
    pub(super) fn up(&self, head: u64) -> io::Result<()> {
        self.line(&format!("up {head}"))
    }

    /// Every spec has its attempt.
    pub(super) fn in_flight(&self) -> io::Result<()> {
        self.line("flight")
    }

    /// The work of a step begins.
    pub(super) fn run(&self, (spec, step): StepOf) -> io::Result<()> {
        self.line(&format!("run {spec} {step}"))
    }

    /// The log acknowledged a step.
    pub(super) fn acknowledged(&self, (spec, step): StepOf, position: u64) -> io::Result<()> {
        self.line(&format!("ack {spec} {step} {position}"))
    }
}

/// What one process did.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// End of the log when the process opened it.
    pub head: u64,
    pub in_flight: bool,
    pub run: BTreeSet<StepOf>,
    pub acknowledged: BTreeMap<StepOf, u64>,
}

/// The lives that the file tells of, in their order. A last line that was cut off is left out.
pub(super) fn read(path: &Path) -> io::Result<Vec<Life>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        other => other?,
    };
    let mut lives: Vec<Life> = Vec::new();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines() {
        let unreadable = || io::Error::other(format!("an unreadable line: {line}"));
        let words: Vec<&str> = line.split(' ').collect();
        if let ["up", head] = words[..] {
            let head = head.parse().map_err(|_| unreadable())?;
            lives.push(Life { head, ..Life::default() });
            continue;
        }
        let life = lives.last_mut().ok_or_else(unreadable)?;
        note(life, &words).ok_or_else(unreadable)?;
    }
    Ok(lives)
}

fn note(life: &mut Life, words: &[&str]) -> Option<()> {
    match words {
        ["flight"] => life.in_flight = true,
        ["run", spec, step] => {
            life.run.insert((spec.parse().ok()?, step.parse().ok()?));
        }
        ["ack", spec, step, position] => {
            let step = (spec.parse().ok()?, step.parse().ok()?);
            life.acknowledged.insert(step, position.parse().ok()?);
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_life_by_life() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acks");
        assert!(read(&path).unwrap().is_empty());
        let spec = SpecId::new(uuid::Uuid::from_u128(7));
        let acks = Acks::append_to(&path).unwrap();
        acks.up(0).unwrap();
        acks.in_flight().unwrap();
        acks.run((spec, 1)).unwrap();
        acks.acknowledged((spec, 1), 6).unwrap();
        let acks = Acks::append_to(&path).unwrap();
        acks.up(6).unwrap();
        acks.line("ack cut").unwrap_or_default();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.trim_end()).unwrap();
        let lives = read(&path).unwrap();
        assert_eq!(lives.len(), 2);
        assert!(lives[0].in_flight && lives[0].run.contains(&(spec, 1)));
        assert_eq!(lives[0].acknowledged[&(spec, 1)], 6);
        assert_eq!((lives[1].head, lives[1].acknowledged.len()), (6, 0));
    }
}
