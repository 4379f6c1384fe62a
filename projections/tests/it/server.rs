//! The throw-away PostgreSQL server goes away however the test process ends, and can be ended and
//! started again with what it had.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::postgres::{self, Server};

const CHILD: &str = "SPECLINE_TEST_SERVER_CHILD";

fn wait_until(what: &str, mut look: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_mins(1);
    while !look() {
        assert!(Instant::now() < end, "waited too long for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn runs(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn child_with_a_server() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let server = postgres::server();
    println!("server {} {}", server.pid(), server.folder().display());
    // The parent kills this process, and this read never ends by itself.
    let _ = std::io::stdin().read_line(&mut String::new());
}

#[test]
fn it_goes_away_with_a_killed_process() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "server::child_with_a_server", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = lines.map_while(Result::ok).find_map(|line| {
        let at = line.find("server ").filter(|_| line.contains("specline-pg-"))?;
        let mut words = line[at..].split(' ').skip(1).map(str::to_owned);
        Some((words.next()?.parse::<u32>().ok()?, words.next()?))
    });
    let (pid, folder) = told.expect("the child tells where its server is");
    assert!(runs(pid) && std::path::Path::new(&folder).exists());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the server's end", || !runs(pid) && !std::path::Path::new(&folder).exists());
}

#[test]
fn it_comes_back_with_what_it_had() {
    let server = Server::start();
    let database = server.database();
    server.psql_at(database.url(), "CREATE TABLE kept (n BIGINT); INSERT INTO kept VALUES (7)");
    let before = server.pid();
    server.stop_immediate();
    assert!(!runs(before));
    server.restart();
    assert_eq!(server.psql_at(database.url(), "SELECT n FROM kept"), "7");
    assert!(server.backend_pids().is_empty());
    let folder = server.folder().to_owned();
    drop(server);
    assert!(!folder.exists());
}
