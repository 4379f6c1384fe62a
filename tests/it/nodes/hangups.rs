//! Many clients that hang up in the middle of what they asked for: no transaction stays open behind
//! them, no sandbox is lost, and a launch beside them goes on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{QUIET, each_completed_once, until_settled};
use crate::support::{Cluster, Node, Random, Served, times};

/// Clients at a time.
const AT_ONCE: usize = 16;

/// What they ask for: audit queries, lists and a stream.
const PATHS: [&str; 5] = [
    "/api/v1/audit/events?limit=200",
    "/api/v1/audit/events?event_type=PhaseCompleted&order=newest",
    "/api/v1/specs?limit=50",
    "/api/v1/audit/verify",
    "/api/v1/events/stream?after=0",
];

/// For how long a transaction has been open with nobody at work in it.
const OPEN: &str = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - state_change)), 0)
    FROM pg_stat_activity
    WHERE datname = current_database() AND state LIKE 'idle in transaction%'";

/// Asks, and hangs up before the answer, or in the middle of it.
fn hang_up(port: u16, token: &str, path: &str, after: Duration) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    if stream.write_all(request.as_bytes()).is_err() {
        return;
    }
    // Random pauses spread the hang-ups over a call's life.
    std::thread::sleep(after);
    drop(stream.set_nonblocking(true));
    drop(stream.read(&mut [0; 512]));
}

/// How long a spec takes from its launch to its end.
fn takes(cluster: &Cluster, node: &Node, title: &str, n: u64) -> Duration {
    let begun = Instant::now();
    cluster.launch(node, title, &json!({}));
    cluster.until_completed(n, QUIET);
    begun.elapsed()
}

#[test]
fn clients_that_hang_up_leave_nothing_open_and_hold_up_nobody() {
    let cluster = Cluster::new();
    let program = std::env::var_os("SPECLINE_OTHER").map(Into::into);
    let node = cluster.serve(&Served { program, ..Served::default() });
    let alone = takes(&cluster, &node, "Alone", 1);
    let (n, done) = (times(1_500, 10_000), AtomicBool::new(false));
    let (port, token) = (node.port, cluster.token());
    let (mut longest, mut beside) = (0.0_f64, Duration::ZERO);
    std::thread::scope(|scope| {
        let clients = (0..AT_ONCE).map(|_| {
            scope.spawn(|| {
                let mut random = Random::new();
                for _ in 0..n as usize / AT_ONCE {
                    let path = PATHS[usize::try_from(random.below(5)).unwrap()];
                    hang_up(port, token, path, Duration::from_micros(random.below(8_000)));
                }
            })
        });
        let clients: Vec<_> = clients.collect();
        let looking = scope.spawn(|| {
            let mut longest = 0.0_f64;
            while !done.load(Ordering::Acquire) {
                longest = longest.max(cluster.sql(OPEN).parse().unwrap());
            }
            longest
        });
        beside = takes(&cluster, &node, "Beside", 2);
        for client in clients {
            client.join().unwrap();
        }
        done.store(true, Ordering::Release);
        longest = looking.join().unwrap();
    });
    println!("{n} hung up; a transaction was left open for {longest:.2} s at most; a spec");
    println!("took {:.1} s alone and {:.1} s beside", alone.as_secs_f64(), beside.as_secs_f64());
    assert!(longest < 1.0, "a transaction was open for {longest} s");
    until_settled(&cluster, 2);
    assert_eq!(node.end().code(), 0);
    assert_eq!(each_completed_once(&cluster).count("SandboxLost"), 0);
}
