//! The tables of requirements: one row a requirement, and one a task that meets it.

use super::RequirementLine;
use crate::framework::{Column, Entries, List, Value};

const LINES: usize = 0;
const TASKS: usize = 1;

pub(super) const LISTS: &[List] = &[
    List {
        name: "requirement_lines",
        columns: &[
            Column::text("spec"),
            Column::int("n"),
            Column::text("local_id"),
            Column::text("id"),
            Column::text("title"),
            Column::text("text"),
            Column::text("pattern"),
            Column::text("priority"),
            Column::text("category"),
            Column::text("coverage"),
            Column::int("n_criteria"),
            Column::int("n_components"),
            Column::int("n_tasks"),
            Column::text("blob"),
        ],
        indices: &[&["spec"]],
    },
    List {
        name: "requirement_tasks",
        columns: &[
            Column::text("spec"),
            Column::text("requirement"),
            Column::text("task_local_id"),
            Column::text("task"),
        ],
        indices: &[&["spec"], &["task"]],
    },
];

pub(super) fn entries(lines: &[RequirementLine]) -> Entries {
    let mut entries = Entries::default();
    for (n, line) in (1..).zip(lines) {
        entries.put(LINES, format!("{}/{n:06}", line.spec), columns(n, line));
        for (m, task) in (1..).zip(&line.tasks) {
            let columns = vec![
                Value::text(line.spec),
                Value::text(&line.local_id),
                Value::text(&task.local_id),
                Value::text_or_null(task.id),
            ];
            entries.put(TASKS, format!("{}/{n:06}/{m:06}", line.spec), columns);
        }
    }
    entries
}

fn columns(n: i64, line: &RequirementLine) -> Vec<Value> {
    vec![
        Value::text(line.spec),
        Value::Int(n),
        Value::text(&line.local_id),
        Value::text_or_null(line.id),
        Value::text(&line.title),
        Value::text(&line.text),
        Value::word(line.pattern),
        Value::word(line.priority),
        Value::word(line.category),
        Value::word(line.coverage),
        Value::int(line.criteria.len()),
        Value::int(line.components.len()),
        Value::int(line.tasks.len()),
        Value::text_or_null(line.blob),
    ]
}
