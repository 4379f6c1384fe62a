//! As many connections as there may be, idle and slow: others are served, each costs little, and
//! when they have gone all is as it was. In full, with 10,000, under `SPECLINE_SOAK=1`.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use super::{Reply, Target};
use crate::support::{DEADLINE, times, wait_until};

/// What a connection may cost the engine, as docs/reliability.md says it.
const MOST_KIB_EACH: u64 = 40;

/// What the program's own work may add meanwhile.
const OWN_KIB: u64 = 32 * 1024;

/// Longest that one in a thousand calls may take beside the crowd.
const P99: Duration = Duration::from_secs(1);

/// As many as the machine lets this process have, beside what other tests need.
fn n_connections() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let n = times(2_000, 10_000) as usize;
    let may = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(500);
    assert!(may >= 2_000, "raise the limit of open files (ulimit -n 4096): it is {limit}");
    if may < n {
        println!("{limit} open files allow {may} connections, not {n}");
    }
    n.min(may)
}

/// Half of them say nothing; the others begin to.
fn crowd(target: &Target, n: usize) -> Vec<TcpStream> {
    let begun = format!("GET /health/live HTTP/1.1\r\nhost: {}\r\nx-slow: ", target.address);
    (0..n)
        .map(|k| {
            let mut stream = target.connect();
            if k % 2 == 1 {
                stream.write_all(begun.as_bytes()).unwrap();
            }
            stream
        })
        .collect()
}

fn took(target: &Target, n: usize) -> Vec<Duration> {
    let mut took: Vec<_> = (0..n)
        .map(|_| {
            let begin = Instant::now();
            assert_eq!(target.get("/api/v1/specs").status, 200);
            begin.elapsed()
        })
        .collect();
    took.sort_unstable();
    took
}

#[test]
fn a_crowd_costs_little_and_leaves_nothing() {
    let mut target = Target::sqlite(&[("SPECLINE_PATIENCE_SECONDS", "600")]);
    let n = n_connections();
    took(&target, 20);
    let before = target.memory_kib();
    let mut seen = Vec::new();
    for wave in 1..=4 {
        let mut streams = crowd(&target, n);
        wait_until("all of them to be accepted", || target.n_connections() >= n);
        for stream in streams.iter_mut().skip(1).step_by(2) {
            stream.write_all(b"a").unwrap();
        }
        let took = took(&target, times(200, 1_000) as usize);
        let p99 = took[took.len() * 99 / 100];
        let with = target.memory_kib();
        let each = with.saturating_sub(before).saturating_sub(OWN_KIB) / n as u64;
        println!(
            "wave {wave}: {n} connections: {before} KiB before, {with} KiB with them, \
             {} bytes each; beside them p50 {:?}, p99 {p99:?}",
            with.saturating_sub(before) * 1024 / n as u64,
            took[took.len() / 2],
        );
        assert!(each <= MOST_KIB_EACH, "{each} KiB each");
        assert!(p99 <= P99, "{p99:?}");
        // One of them ends its request after all.
        let slow = &mut streams[1];
        slow.write_all(b"\r\nconnection: close\r\n\r\n").unwrap();
        assert_eq!(Reply::read(slow).unwrap().status, 200);
        drop(streams);
        target.until_left(0);
        seen.push(with);
    }
    let after = target.memory_kib();
    println!("{after} KiB after them");
    // The first ones also fill what the allocator keeps for the next.
    assert!(seen[3] <= seen[1] + seen[1] / 4 + OWN_KIB, "each crowd costs more: {seen:?}");
    target.still_serves();
}

#[test]
fn those_beyond_the_limit_wait_for_room() {
    let most = 50;
    let env = [("SPECLINE_MAX_CONNECTIONS", "50"), ("SPECLINE_PATIENCE_SECONDS", "600")];
    let mut target = Target::sqlite(&env);
    target.until_left(0);
    let mut streams = crowd(&target, most);
    wait_until("all of them to be accepted", || target.n_connections() == most);
    let mut late = target.connect();
    let request = target.head("GET", "/api/v1/specs") + "connection: close\r\n\r\n";
    late.write_all(request.as_bytes()).unwrap();
    late.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(late.peek(&mut [0]).is_err(), "there is no room for it");
    assert_eq!(target.n_connections(), most, "nothing is held for it");
    drop(streams.pop());
    late.set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(Reply::read(&mut late).expect("there is room now").status, 200);
    drop(streams);
    target.still_serves();
}
