//! The reads: pages of the list of specs, from everywhere in it, and pages of the audit log.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::{Ask, read};
use super::fleet::Member;
use super::site::Site;
use crate::bench::failed;
use crate::cli::Failure;

/// Pages of the list that are asked for in turn.
const PAGES: usize = 20;

/// Specs whose events are asked for in turn.
const SPECS: usize = 100;

/// Longest that the read models may take to come to the log's end.
const SETTLE: Duration = Duration::from_mins(3);

/// Paths to ask for, in turn.
#[derive(Default)]
pub(super) struct Reads {
    lists: Vec<String>,
    audits: Vec<String>,
}

impl Reads {
    pub(super) fn list(&self, turn: usize) -> String {
        self.lists[turn % self.lists.len()].clone()
    }

    pub(super) fn audit(&self, turn: usize) -> String {
        self.audits[turn % self.audits.len()].clone()
    }

    /// Every page of the list, up to a bound; and as many by their status.
    pub(super) async fn lists(&mut self, site: &Site) -> Result<(), Failure> {
        let client = site.client()?;
        for first in ["/api/v1/specs?limit=100", "/api/v1/specs?limit=100&status=executing"] {
            let mut path = first.to_owned();
            for _ in 0..PAGES {
                let (text, _) = client.send(Ask::get(path.clone(), &site.token)).await?;
                self.lists.push(path);
                let page: Value = read(&text)?;
                let Some(next) = page["next_cursor"].as_str() else { break };
                path = format!("{first}&cursor={next}");
            }
        }
        Ok(())
    }

    /// By aggregate, type, project, actor and correlation in turn, oldest and newest first. Each
    /// finds something.
    pub(super) async fn audits(&mut self, site: &Site, fleet: &[Member]) -> Result<(), Failure> {
        let client = site.client()?;
        for (n, member) in fleet.iter().take(SPECS).enumerate() {
            let order = if n % 2 == 0 { "asc" } else { "desc" };
            let base = format!("/api/v1/audit/events?limit=100&order={order}");
            let path = format!("{base}&aggregate={}", member.spec);
            let (text, _) = client.send(Ask::get(path.clone(), &site.token)).await?;
            let page: Value = read(&text)?;
            let last = page["events"].as_array().and_then(|events| events.last());
            let event = last.ok_or_else(|| failed("no event", &path))?;
            let conditions = [
                ("type", &event["event_type"]),
                ("project", &event["metadata"]["project_id"]),
                ("actor", &event["metadata"]["actor"]),
                ("correlation", &event["metadata"]["correlation_id"]),
            ];
            self.audits.push(path);
            for (name, value) in conditions {
                let value = value.as_str().ok_or_else(|| failed("an event without", name))?;
                self.audits.push(format!("{base}&{name}={value}"));
            }
        }
        Ok(())
    }
}

/// Waits until the read models show what was written; the log's last position.
pub(super) async fn settle(site: &Site) -> Result<u64, Failure> {
    let client = site.client()?;
    let newest = Ask::get("/api/v1/audit/events?limit=1&order=desc", &site.token);
    let newest: Value = read(&client.send(newest).await?.0)?;
    let head = newest["events"][0]["position"].as_u64().unwrap_or_default();
    let end = Instant::now() + SETTLE;
    loop {
        let path = format!("/api/v1/specs?limit=1&at_least={head}");
        match client.send(Ask::get(path, &site.token)).await {
            Ok(_) => return Ok(head),
            Err(error) if Instant::now() >= end => return Err(error),
            Err(_) => {}
        }
    }
}
