//! Lists from the read models: `list`, `tasks`, `requirements`.

use serde_json::{Value, json};

use super::args::{ListArgs, PlaceArgs, TaskArgs};
use super::host::{Duties, Host};
use super::reads::parse_id;
use super::{Api, Exit, Failure, Location, print};
use crate::engine::Leave;

/// Every spec that fits `filter` (a part of a query string), newest first.
pub async fn all_specs(api: &Api, filter: &str) -> Result<Vec<Value>, Failure> {
    all(api, "/api/v1/specs", "specs", filter).await
}

/// Every item of a list, page by page.
async fn all(api: &Api, path: &str, name: &str, filter: &str) -> Result<Vec<Value>, Failure> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page: Value = api.get(&format!("{path}?limit=1000{filter}{cursor}")).await?;
        items.extend(page[name].as_array().cloned().unwrap_or_default());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={}", encoded(next)),
            None => return Ok(items),
        }
    }
}

/// Percent-encodes everything that is not plain in a query.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn filter(pairs: &[(&str, Option<&str>)]) -> String {
    let given = pairs.iter().filter_map(|(name, value)| Some((name, (*value)?)));
    given.map(|(name, value)| format!("&{name}={}", encoded(value))).collect::<Vec<_>>().concat()
}

fn text(item: &Value, name: &str) -> String {
    let value = &item[name];
    match value.as_str() {
        Some(text) => text.to_owned(),
        None if value.is_null() => "–".to_owned(),
        None => value.to_string(),
    }
}

pub async fn list(args: &PlaceArgs, list: ListArgs) -> Result<Exit, Failure> {
    let place = Location::find(args)?;
    let host = Host::connect(&place, Duties::Rest).await?;
    let filter = filter(&[
        ("status", list.status.as_deref()),
        ("phase", list.phase.map(specline_aggregates::Phase::as_str)),
        ("q", list.query.as_deref()),
    ]);
    let specs = all_specs(&host.api, &filter).await;
    host.stop(Leave::Sandboxes).await;
    let specs = specs?;
    if list.json {
        print::json(&specs);
        return Ok(Exit::Completed);
    }
    let rows: Vec<_> = specs
        .iter()
        .map(|spec| {
            let progress = format!("{}/5", spec["progress"]);
            let names = ["id", "status", "phase", "work", "title"];
            let [id, status, phase, work, title] = names.map(|name| text(spec, name));
            vec![id, status, phase, progress, work, title]
        })
        .collect();
    print::table(&["SPEC", "STATUS", "PHASE", "DONE", "WORK", "TITLE"], &rows);
    Ok(Exit::Completed)
}

pub async fn tasks(args: &PlaceArgs, tasks: TaskArgs) -> Result<Exit, Failure> {
    let place = Location::find(args)?;
    let spec = tasks.spec.as_deref().map(parse_id).transpose()?.map(|id| id.to_string());
    let host = Host::connect(&place, Duties::Rest).await?;
    let filter = filter(&[("spec", spec.as_deref()), ("status", tasks.status.as_deref())]);
    let items = all(&host.api, "/api/v1/tasks", "tasks", &filter).await;
    host.stop(Leave::Sandboxes).await;
    let items = items?;
    if tasks.json {
        print::json(&items);
        return Ok(Exit::Completed);
    }
    // People know the tasks by the ids of their plan.
    let named: Vec<_> =
        items.iter().map(|task| (text(task, "id"), text(task, "local_id"))).collect();
    let rows: Vec<_> = items
        .iter()
        .map(|task| {
            let heads = ["local_id", "status", "priority", "kind", "title", "reason"];
            let mut row = heads.map(|name| text(task, name)).to_vec();
            if let Some(reason) = row.last_mut() {
                for (id, local) in named.iter().filter(|(_, local)| local != "–") {
                    *reason = reason.replace(id, local);
                }
            }
            row
        })
        .collect();
    print::table(&["TASK", "STATUS", "PRIORITY", "KIND", "TITLE", "WHY"], &rows);
    Ok(Exit::Completed)
}

pub async fn requirements(args: &PlaceArgs, spec: &str, json: bool) -> Result<Exit, Failure> {
    let place = Location::find(args)?;
    let id = parse_id(spec)?;
    let host = Host::connect(&place, Duties::Rest).await?;
    let found = host.api.get::<Value>(&format!("/api/v1/specs/{id}/requirements")).await;
    host.stop(Leave::Sandboxes).await;
    let found = found?;
    if json {
        print::json(&found["requirements"]);
        return Ok(Exit::Completed);
    }
    let none = Vec::new();
    for requirement in found["requirements"].as_array().unwrap_or(&none) {
        let names = ["local_id", "priority", "title", "text"];
        let [id, priority, title, ears] = names.map(|name| text(requirement, name));
        print::data(&format!("{id}  {title}  [{priority}]"));
        print::data(&format!("    {ears}"));
        let names = |list: &Value, name: &str| -> String {
            let items = list.as_array().map_or(&[][..], Vec::as_slice);
            let names = items.iter().map(|item| {
                item.as_str().or_else(|| item[name].as_str()).unwrap_or_default().to_owned()
            });
            names.collect::<Vec<_>>().join(", ")
        };
        let components = names(&requirement["components"], "name");
        let tasks = names(&requirement["tasks"], "local_id");
        print::data(&format!("    covered by {components}; tasks {tasks}"));
    }
    if found["requirements"] == json!([]) {
        print::talk("no requirements yet");
    }
    Ok(Exit::Completed)
}
