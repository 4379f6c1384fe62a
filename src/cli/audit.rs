//! `specline audit`: checks the log against its chains, its seals, and seals kept elsewhere; shows
//! seals, and proofs for third parties.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::args::PlaceArgs;
use super::location::Opened;
use super::reads::open;
use super::{Exit, Failure, cached, print};
use crate::engine::audit::SealView;
use crate::store::audit::{Audit, Seal};
use crate::store::seals::{self, Given, Report};
use crate::store::{EventLog, LogError, Position, SnapshotReport};

/// Seals read at a time.
const PAGE: usize = 10_000;

#[derive(Subcommand)]
pub enum AuditCommand {
    /// Recompute every hash and every seal, and name the first position that differs.
    Verify(VerifyArgs),
    /// List the seals, or write them to a file to be kept elsewhere.
    Seals(SealsArgs),
    /// Print the proof that an event is under a seal, or that one seal goes on from another.
    Prove(ProveArgs),
}

#[derive(Args)]
pub struct VerifyArgs {
    /// First position; it begins behind the last seal before it.
    #[arg(long, value_name = "POSITION", default_value_t = 1)]
    pub from: u64,
    #[arg(long, value_name = "POSITION")]
    pub to: Option<u64>,
    /// Seals that were kept elsewhere, as `audit seals --export` wrote them.
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct SealsArgs {
    /// The file; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct ProveArgs {
    #[arg(value_name = "POSITION", required_unless_present = "consistency")]
    pub position: Option<u64>,
    /// The seal, by its number of events; the latest without.
    #[arg(long, value_name = "N")]
    pub size: Option<u64>,
    /// Prove instead that the seal of --size goes on from this one.
    #[arg(long, value_name = "N", conflicts_with = "position")]
    pub consistency: Option<u64>,
}

/// Seals as they are kept elsewhere.
#[derive(Debug, Serialize, Deserialize)]
struct Exported {
    log_id: Uuid,
    seals: Vec<SealView>,
}

pub async fn audit(args: &PlaceArgs, command: AuditCommand) -> Result<Exit, Failure> {
    let opened = open(args).await?;
    let log = Arc::clone(&opened.log);
    match command {
        AuditCommand::Verify(args) => verify(&opened, args).await,
        AuditCommand::Seals(args) => list(&*log, args).await,
        AuditCommand::Prove(args) => prove(&*log, args).await,
    }
}

fn failed(error: &LogError) -> Failure {
    Failure::failed(error.to_string())
}

fn audited(log: &dyn EventLog) -> Result<&dyn Audit, Failure> {
    log.audit().ok_or_else(|| Failure::failed("this log has no seals"))
}

async fn verify(opened: &Opened, args: VerifyArgs) -> Result<Exit, Failure> {
    let log = &*opened.log;
    let rows = audited(log)?;
    let given = match &args.against {
        Some(path) => read(path, log.identity().log_id)?,
        None => Vec::new(),
    };
    let head = rows.given_out().await.map_err(|error| failed(&error))?;
    let bar = bar(head.0.min(args.to.unwrap_or(u64::MAX)));
    let range = (Position(args.from), Position(args.to.unwrap_or(u64::MAX)));
    let report = seals::check(rows, range, &given, |at| bar.set_position(at.0)).await;
    bar.finish_and_clear();
    let report = report.map_err(|error| failed(&error))?;
    let snapshots = match &report.fault {
        None => cached::check(opened).await?,
        Some(_) => SnapshotReport::default(),
    };
    show(&report, &snapshots, args.json);
    match report.fault {
        None => cached::refuse_wrong(&snapshots).map(|()| Exit::Completed),
        Some(fault) => Err(Failure::failed(format!("the log was changed: {fault}"))),
    }
}

fn bar(length: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let form = "{wide_bar} {human_pos}/{human_len} events, {per_sec}, {eta} left";
    let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}

fn show(report: &Report, snapshots: &SnapshotReport, as_json: bool) {
    if as_json {
        print::json(&json!({
            "ok": report.fault.is_none() && snapshots.wrong.is_none(),
            "events": report.events,
            "checked_to": report.checked_to,
            "seals": report.seals,
            "seals_kept_elsewhere": report.given,
            "first_bad_position": report.fault.as_ref().map(|fault| fault.position),
            "rows_of_other_programs": report.beside,
            "snapshots": cached::shown(snapshots),
            "fault": report.fault.as_ref().map(|fault| fault.cause.to_string()),
        }));
    } else if report.fault.is_none() {
        print::data(&format!(
            "{} events are as they were written; {} seals fit, and {} kept elsewhere",
            report.events, report.seals, report.given
        ));
        super::log::say_beside(report.beside);
        cached::say(snapshots);
    }
}

fn read(path: &Path, log_id: Uuid) -> Result<Vec<Given>, Failure> {
    let shown = path.display();
    let unreadable = |cause: String| Failure::usage(format!("--against {shown}: {cause}"));
    let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    let kept: Exported =
        serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
    if kept.log_id != log_id {
        let cause = format!("these are seals of log {}, and this is log {log_id}", kept.log_id);
        return Err(unreadable(cause));
    }
    Ok(kept.seals.iter().map(|seal| Given { n: seal.n, root: seal.root }).collect())
}

async fn list(log: &dyn EventLog, args: SealsArgs) -> Result<Exit, Failure> {
    let all = all(audited(log)?).await?;
    let seals: Vec<SealView> = all.iter().map(SealView::from).collect();
    let exported = Exported { log_id: log.identity().log_id, seals };
    match args.export {
        Some(path) if path.as_os_str() != "-" => {
            let text = serde_json::to_string_pretty(&exported)
                .map_err(|error| Failure::failed(error.to_string()))?;
            std::fs::write(&path, text + "\n")
                .map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
            print::talk(&format!("{} seals in {}", exported.seals.len(), path.display()));
        }
        Some(_) => print::json(&exported),
        None if args.json => print::json(&exported),
        None => {
            let row = |seal: &SealView| {
                vec![seal.n.to_string(), seal.at.to_string(), seal.root.to_string()]
            };
            let rows: Vec<_> = exported.seals.iter().map(row).collect();
            print::table(&["EVENTS", "SEALED", "ROOT"], &rows);
        }
    }
    Ok(Exit::Completed)
}

async fn all(log: &dyn Audit) -> Result<Vec<Seal>, Failure> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = log.seals(after, PAGE).await.map_err(|error| failed(&error))?;
        let Some(last) = page.last() else { return Ok(all) };
        after = last.n;
        all.extend(page);
    }
}

async fn prove(log: &dyn EventLog, args: ProveArgs) -> Result<Exit, Failure> {
    let rows = audited(log)?;
    let failed = |error: seals::NoProof| Failure::failed(error.to_string());
    if let Some(first) = args.consistency {
        let proof = seals::prove_consistency(rows, first, args.size).await.map_err(failed)?;
        print::json(&proof);
    } else {
        let position = args.position.unwrap_or_default();
        print::json(&seals::prove(rows, position, args.size).await.map_err(failed)?);
    }
    Ok(Exit::Completed)
}
