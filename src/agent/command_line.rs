//! The command line of an agent: `PROGRAM ARG…`, quoted as in a shell, run without one.

use std::path::Path;

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    pub program: String,
    pub args: Vec<String>,
}

/// Not a command line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCommandLine {
    #[error("{0:?} has an open quote")]
    OpenQuote(String),
    #[error("it names no program")]
    Empty,
}

impl CommandLine {
    pub fn parse(line: &str) -> Result<Self, InvalidCommandLine> {
        let words = shlex::split(line);
        Self::of(words.ok_or_else(|| InvalidCommandLine::OpenQuote(line.to_owned()))?)
    }

    /// The program and its arguments, each a word.
    pub fn of(words: Vec<String>) -> Result<Self, InvalidCommandLine> {
        let mut words = words.into_iter();
        let program = words.next().ok_or(InvalidCommandLine::Empty)?;
        Ok(Self { program, args: words.collect() })
    }

    /// The same with a relative path of the program made absolute under `folder`: an agent runs in
    /// a working copy, and is named from where the person stood.
    #[must_use]
    pub fn anchored(mut self, folder: &Path) -> Self {
        if self.program.contains('/') && Path::new(&self.program).is_relative() {
            let path = folder.join(self.program.trim_start_matches("./"));
            let path = path.canonicalize().unwrap_or(path);
            self.program = path.display().to_string();
        }
        self
    }

    /// Back to text that `parse` reads.
    #[must_use]
    pub fn to_text(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.args).map(String::as_str);
        // Only a NUL cannot be quoted, and no argument of a process holds one.
        shlex::try_join(words).unwrap_or_else(|_| self.program.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_in_a_shell() {
        let line = CommandLine::parse("./agent --say 'two words' \"x y\"").unwrap();
        assert_eq!(line.args, ["--say", "two words", "x y"]);
        assert_eq!(CommandLine::parse(&line.to_text()).unwrap(), line);
    }

    #[test]
    fn refuses_what_is_none() {
        assert_eq!(CommandLine::parse("  "), Err(InvalidCommandLine::Empty));
        let open = CommandLine::parse("agent 'open");
        assert!(matches!(open, Err(InvalidCommandLine::OpenQuote(_))));
    }

    #[test]
    fn anchors_a_relative_program_only() {
        let folder = Path::new("/somewhere");
        let anchored = |line: &str| CommandLine::parse(line).unwrap().anchored(folder).program;
        assert_eq!(anchored("./agent"), "/somewhere/agent");
        assert_eq!(anchored("agent"), "agent");
        assert_eq!(anchored("/bin/agent"), "/bin/agent");
    }
}
