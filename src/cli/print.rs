//! The one place that prints: data on stdout, talk on stderr. What is for people is made plain
//! here, whoever said it; what is for programs goes out as it is.
#![expect(clippy::print_stderr, reason = "this is the command line's voice")]

use std::io::{IsTerminal, Write};

use serde::Serialize;

use crate::plain::{one_line, plain};

/// A line of data for people.
pub fn data(text: &str) {
    exactly(&plain(text));
}

/// A document that may go into a file: to a terminal it goes as a text does.
pub fn document(text: &str) {
    if std::io::stdout().is_terminal() { data(text) } else { exactly(text) }
}

fn exactly(text: &str) {
    // A reader that closed the pipe has what it wanted.
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}

/// Data as JSON, indented.
pub fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => exactly(&text),
        Err(error) => talk(&format!("error: this cannot be written as JSON: {error}")),
    }
}

/// Data as JSON, on one line. What is kept verbatim may hold line breaks; in valid JSON they stand
/// between values only, never inside a string.
pub fn json_line(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => exactly(&text.replace(['\n', '\r'], " ")),
        Err(error) => talk(&format!("error: this cannot be written as JSON: {error}")),
    }
}

/// A line for people.
pub fn talk(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{}", plain(text)));
}

/// Asks a question whose answer is yes or no; anything but yes is no.
#[must_use]
pub fn ask(question: &str) -> bool {
    eprint!("{} [y/N] ", plain(question));
    drop(std::io::stderr().flush());
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer).is_ok();
    read && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Rows under their heads, in columns.
pub fn table(heads: &[&str], rows: &[Vec<String>]) {
    let cells = |row: &Vec<String>| row.iter().map(|cell| one_line(cell).into_owned()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
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
    for row in &rows {
        line(row.iter().map(String::as_str).collect());
    }
}
