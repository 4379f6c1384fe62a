//! `specline worker`: the process inside a sandbox.

use rustix::process::{getpid, set_child_subreaper};
use tokio_util::sync::CancellationToken;

use super::{Exit, Failure};
use crate::worker::{Config, run};

pub async fn worker() -> Result<Exit, Failure> {
    let config = Config::read(|name| std::env::var(name).ok())
        .map_err(|error| Failure::new(Exit::Configuration, error.to_string()))?;
    let workdir = std::env::current_dir()
        .map_err(|error| Failure::failed(format!("the working copy: {error}")))?;
    // What an agent leaves behind becomes this process's child, and is ended after its attempt.
    if let Err(error) = set_child_subreaper(Some(getpid())) {
        tracing::warn!(cause = %error, "what an agent leaves behind ends with the sandbox only");
    }
    let stop = CancellationToken::new();
    let stopper = stop.clone();
    tokio::spawn(async move {
        super::follow::interrupted().await;
        stopper.cancel();
    });
    Ok(Exit::Worker(run(config, workdir, stop).await))
}
