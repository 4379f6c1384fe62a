//! The process that `bench recover` kills: it runs its specs, and when there are some in the log
//! already it goes on with them, by nothing but a replay of the log.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use cqrs_es::Aggregate;
use specline_aggregates::SpecId;
use specline_aggregates::spec::Spec;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::cli::{Exit, Failure};
use crate::commands::Commands;
use crate::store::{Clock, EventLog, Position, SqliteLog};

use super::acks::Acks;
use super::workflow::{Driver, step_name};
use super::{failed, snapshot_key};

/// Events read at a time.
const PAGE: usize = 1_000;

#[derive(Args)]
pub struct ChildArgs {
    #[arg(long)]
    log: PathBuf,
    #[arg(long)]
    acks: PathBuf,
    #[arg(long)]
    specs: u64,
    #[arg(long)]
    steps: u32,
    #[arg(long)]
    step_ms: u64,
}

/// What each spec's task has.
struct Work {
    driver: Driver,
    acks: Acks,
    steps: u32,
    step: Duration,
}

pub(super) async fn run(args: ChildArgs) -> Result<Exit, Failure> {
    let log = SqliteLog::open(&args.log, Clock::system());
    let log = Arc::new(log.map_err(|error| failed("the log cannot be opened", error))?);
    let key = snapshot_key(&*log).await?;
    let acks = Acks::append_to(&args.acks).map_err(|error| failed("the acks file", error))?;
    acks.up(log.watch_head().borrow().0).map_err(|error| failed("the acks file", error))?;
    let known = known_specs(&*log).await?;
    let driver =
        Driver::new(Arc::new(Commands::new(log as Arc<dyn EventLog>).with_snapshots(&key)));
    let step = Duration::from_millis(args.step_ms);
    let work = Arc::new(Work { driver, acks, steps: args.steps, step });
    let fresh = known.is_empty();
    let ids: Vec<SpecId> = if fresh {
        (0..args.specs).map(|_| SpecId::new(Uuid::now_v7())).collect()
    } else {
        known.into_iter().collect()
    };
    let begun = all(ids, |id| begin(Arc::clone(&work), id, fresh)).await?;
    work.acks.in_flight().map_err(|error| failed("the acks file", error))?;
    all(begun, |spec| go_on(Arc::clone(&work), spec)).await?;
    Ok(Exit::Completed)
}

/// The specs that the log knows.
async fn known_specs(log: &dyn EventLog) -> Result<BTreeSet<SpecId>, Failure> {
    let mut specs = BTreeSet::new();
    let mut after = Position(0);
    loop {
        let page = log.read_all(after, PAGE).await;
        let page = page.map_err(|error| failed("the log cannot be read", error))?;
        let Some(last) = page.last() else { return Ok(specs) };
        after = last.position;
        let of_specs = page.iter().filter(|event| event.stream.aggregate_type == Spec::TYPE);
        specs.extend(of_specs.map(|event| SpecId::new(event.stream.aggregate_id)));
    }
}

/// One task for each, all at once; the first failure ends it.
async fn all<I, T: Send + 'static, F>(
    items: Vec<I>,
    mut task: impl FnMut(I) -> F,
) -> Result<Vec<T>, Failure>
where
    F: Future<Output = Result<T, Failure>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for item in items {
        tasks.spawn(task(item));
    }
    let mut done = Vec::new();
    while let Some(result) = tasks.join_next().await {
        done.push(result.map_err(|error| failed("a spec's task", error))??);
    }
    Ok(done)
}

async fn begin(work: Arc<Work>, id: SpecId, fresh: bool) -> Result<Arc<Spec>, Failure> {
    if fresh { work.driver.begin(id).await } else { work.driver.take_up(id).await }
}

/// Every step that is not recorded, in turn: its work, which is to wait, and its record.
async fn go_on(work: Arc<Work>, spec: Arc<Spec>) -> Result<(), Failure> {
    let id = spec.id().ok_or_else(|| Failure::failed("a spec without an id"))?;
    let recorded = spec.current().map(|state| state.steps.by_name.clone()).unwrap_or_default();
    let epoch = spec.epoch();
    drop(spec);
    for number in (1..=work.steps).filter(|n| !recorded.contains_key(&step_name(*n))) {
        let told = |error| failed("the acks file", error);
        work.acks.run((id, number)).map_err(told)?;
        tokio::time::sleep(work.step).await;
        let done = work.driver.step((id, epoch), number).await?;
        work.acks.acknowledged((id, number), done.position.0).map_err(told)?;
    }
    Ok(())
}
