//! The one place that prints: data on stdout, talk on stderr.
#![expect(clippy::print_stderr, reason = "this is the command line's voice")]

use std::io::Write;

use serde::Serialize;

/// A line of data.
pub fn data(text: &str) {
    // A reader that closed the pipe has what it wanted.
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}

/// Data as JSON, indented.
pub fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => data(&text),
        Err(error) => talk(&format!("error: this cannot be written as JSON: {error}")),
    }
}

/// Data as JSON, on one line. What is kept verbatim may hold line breaks; in valid JSON they stand
/// between values only, never inside a string.
pub fn json_line(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => data(&text.replace(['\n', '\r'], " ")),
        Err(error) => talk(&format!("error: this cannot be written as JSON: {error}")),
    }
}

/// A line for people.
pub fn talk(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// Asks a question whose answer is yes or no; anything but yes is no.
#[must_use]
pub fn ask(question: &str) -> bool {
    eprint!("{question} [y/N] ");
    drop(std::io::stderr().flush());
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer).is_ok();
    read && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Rows under their heads, in columns.
pub fn table(heads: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heads[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            let gap = width.saturating_sub(cell.chars().count()) + 2;
            text.push_str(cell);
            text.push_str(&" ".repeat(gap));
        }
        data(text.trim_end());
    };
    line(heads.to_vec());
    for row in rows {
        line(row.iter().map(String::as_str).collect());
    }
}
