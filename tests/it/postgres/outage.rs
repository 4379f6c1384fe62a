//! The server dies in mid-load: a backend by `kill -9`, which makes the postmaster end all of them,
//! or all of it at once, and comes back. Nothing acknowledged is lost, nothing is doubled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::world::{Scribe, account, node};
use crate::support::postgres::{Server, signal};
use crate::support::{Random, times, wait_for, wait_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_when_the_server_dies() {
    let server = Arc::new(Server::start());
    let database = server.database();
    let mut random = Random::new();
    let nodes = [node(database.url()).await, node(database.url()).await];
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    let seed = random.below(1 << 60);
    for number in 0..8 {
        let mut scribe = Scribe::new(Arc::clone(&nodes[number % 2]), number as u64, seed);
        let stop = Arc::clone(&stop);
        tasks.spawn(async move {
            while !stop.load(Ordering::Acquire) {
                scribe.write().await;
            }
            scribe
        });
    }
    let began = Instant::now();
    for round in 0..times(6, 50) {
        // Random pauses are what this test is about: they spread the deaths over the load.
        tokio::time::sleep(Duration::from_micros(200_000 + random.below(400_000))).await;
        let (server, pick) = (Arc::clone(&server), random.below(1 << 60));
        let died = move || match round % 3 {
            0 => server.restart(),
            _ => kill_one(&server, pick),
        };
        tokio::task::spawn_blocking(died).await.unwrap();
    }
    stop.store(true, Ordering::Release);
    let scribes = tasks.join_all().await;
    let told: usize = scribes.iter().map(Scribe::n_told).sum();
    let unknown: usize = scribes.iter().map(Scribe::n_unknown).sum();
    let took = began.elapsed();
    println!("{told} appends answered, {unknown} events in doubt, {took:.1?}");
    assert!(told > 100, "{told}");
    account(database.url(), &scribes).await;
}

/// Ends one client's backend with SIGKILL, and waits until the postmaster has made the server whole
/// again.
fn kill_one(server: &Server, pick: u64) {
    let pids = wait_for("a client is there", || {
        Some(server.backend_pids()).filter(|pids| !pids.is_empty())
    });
    let which = usize::try_from(pick % pids.len() as u64).unwrap();
    let before = (crashes(server), starts(server));
    signal(pids[which], "KILL");
    wait_until("the server ends all", || crashes(server) > before.0);
    wait_until("it takes connections again", || starts(server) > before.1);
}

fn crashes(server: &Server) -> usize {
    server.log().matches("all server processes terminated").count()
}

fn starts(server: &Server) -> usize {
    server.log().matches("ready to accept connections").count()
}
