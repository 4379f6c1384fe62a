//! The tests' agent: a shell script that notes each of its calls, and answers with the prompts' own
//! examples. What else it is to do in a phase is a snippet of shell.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;

/// `$1` is its folder. `once NAME COMMAND…` runs a command once in the life of the folder; `hold
/// NAME` waits until the file NAME is there.
const SCRIPT: &str = r#"#!/bin/sh
here=$1
mine=$(mktemp "$here/stdin.XXXXXXXX")
cat > "$mine"
first() { grep -o "$1" "$mine" | head -n 1; }
phase=$(first '"phase":"[a-z]*"' | cut -d '"' -f 4)
attempt=$(first '"attempt":[0-9]*' | cut -d : -f 2)
mv "$mine" "$here/request.$phase.$attempt"
env > "$here/env.$phase.$attempt"
echo "$phase $attempt" >> "$here/calls"
once() {
    name=$1
    shift
    if mkdir "$here/once.$name" 2>/dev/null; then "$@"; fi
}
hold() {
    while [ ! -e "$here/$1" ]; do sleep 0.02; done
}
answer() { cat "$here/answer.$phase.json"; }
if [ -f "$here/do.all" ]; then . "$here/do.all"; fi
if [ -f "$here/do.$phase" ]; then . "$here/do.$phase"; fi
answer
"#;

const ANSWERS: [(&str, &str); 4] = [
    ("explore", include_str!("../../../src/prompts/example/explore.json")),
    ("requirements", include_str!("../../../src/prompts/example/requirements.json")),
    ("design", include_str!("../../../src/prompts/example/design.json")),
    ("tasks", include_str!("../../../src/prompts/example/tasks.json")),
];

/// The scripted agent of one project.
pub struct Agent {
    folder: PathBuf,
}

impl Agent {
    pub(super) fn new(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).unwrap();
        let script = folder.join("agent.sh");
        fs::write(&script, SCRIPT).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        for (phase, answer) in ANSWERS {
            fs::write(folder.join(format!("answer.{phase}.json")), answer).unwrap();
        }
        Self { folder }
    }

    /// The value for `--agent`. Through `sh`, for a script that was only just written cannot be
    /// executed while another thread's child still holds it open.
    pub fn line(&self) -> String {
        let folder = self.folder.display();
        format!("command:/bin/sh {folder}/agent.sh {folder}")
    }

    /// The accepted answer of `phase`.
    pub fn answer(phase: &str) -> Value {
        let (_, text) = ANSWERS.iter().find(|(name, _)| *name == phase).unwrap();
        serde_json::from_str(text).unwrap()
    }

    /// Has the agent run `snippet` in `phase` (or `all`) before it answers.
    pub fn on(&self, phase: &str, snippet: &str) {
        fs::write(self.folder.join(format!("do.{phase}")), snippet).unwrap();
    }

    /// Lets go of `hold NAME`.
    pub fn let_go(&self, name: &str) {
        fs::write(self.folder.join(name), "").unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Every call so far, as `phase attempt`.
    pub fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join("calls")).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    /// The phases of all calls, in order.
    pub fn phases(&self) -> Vec<String> {
        let first = |call: &String| call.split(' ').next().unwrap_or_default().to_owned();
        self.calls().iter().map(first).collect()
    }

    /// What the agent got on stdin.
    pub fn request(&self, phase: &str, attempt: u32) -> Value {
        let path = self.folder.join(format!("request.{phase}.{attempt}"));
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    /// What the agent's environment was, as `NAME=value` lines.
    pub fn env(&self, phase: &str, attempt: u32) -> Vec<String> {
        let path = self.folder.join(format!("env.{phase}.{attempt}"));
        fs::read_to_string(path).unwrap().lines().map(ToOwned::to_owned).collect()
    }
}
