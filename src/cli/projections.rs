//! `specline projections`: where the read models stand, and rebuilding one.

use serde_json::Value;

use super::args::{PlaceArgs, ProjectionsCommand};
use super::host::{Duties, Host};
use super::{Exit, Failure, Location, print};
use crate::engine::Leave;

pub async fn projections(
    args: &PlaceArgs,
    command: Option<ProjectionsCommand>,
    json: bool,
) -> Result<Exit, Failure> {
    let place = Location::find(args)?;
    let host = Host::connect(&place, Duties::Rest).await?;
    let result = match command {
        None | Some(ProjectionsCommand::List) => host.api.get::<Value>("/api/v1/projections").await,
        Some(ProjectionsCommand::Rebuild { name }) => {
            let path = format!("/api/v1/projections/{name}/rebuild");
            host.api.order(&path).await
        }
    };
    host.stop(Leave::Sandboxes).await;
    let result = result?;
    if json {
        print::json(&result);
        return Ok(Exit::Completed);
    }
    let Some(models) = result["projections"].as_array() else {
        let (name, position) = (&result["name"], &result["position"]);
        print::talk(&format!("rebuilt {name} up to position {position}"));
        return Ok(Exit::Completed);
    };
    let rows: Vec<_> = models
        .iter()
        .map(|model| {
            let error = &model["error"];
            let state =
                if error.is_null() { "running".to_owned() } else { format!("stopped: {error}") };
            vec![
                model["name"].as_str().unwrap_or_default().to_owned(),
                model["position"].to_string(),
                model["lag"].to_string(),
                state,
            ]
        })
        .collect();
    print::table(&["READ MODEL", "POSITION", "LAG", "STATE"], &rows);
    Ok(Exit::Completed)
}
