//! What a node costs that has nothing to do.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::support::postgres::Server;
use crate::support::{Cluster, times};

/// How long it is looked at.
const LOOKED_AT: Duration = Duration::from_secs(20);

/// The clock of `/proc/PID/stat`, as Linux fixes it for programs.
const TICKS_PER_SECOND: f64 = 100.0;

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

/// Seconds of processor time.
fn used(pid: i32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    let ticks = rest.split(' ').skip(11).take(2).map(|n| n.parse::<f64>().unwrap());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

/// Statements that the server has logged for our database.
fn n_statements(server: &Server) -> usize {
    let log = server.log();
    let said = |line: &&str| line.contains("LOG:  statement:") || line.contains("LOG:  execute");
    log.lines().filter(said).count()
}

#[test]
fn an_idle_node_costs_next_to_nothing() {
    if times(0, 1) == 0 {
        println!("only under SPECLINE_SOAK=1");
        return;
    }
    let server = server();
    let cluster = Cluster::on(server);
    let name = cluster.sql("SELECT current_database()");
    cluster.sql(&format!("ALTER DATABASE {name} SET log_statement = 'all'"));
    let node = cluster.node();
    // What a start leaves to do is done.
    let settled = Instant::now() + Duration::from_secs(5);
    cluster.until("it to be idle", Duration::from_secs(10), || Instant::now() > settled);
    let (before, cpu) = (n_statements(server), used(node.running.pid()));
    let end = Instant::now() + LOOKED_AT;
    cluster.until("the time to pass", 2 * LOOKED_AT, || Instant::now() > end);
    let seconds = LOOKED_AT.as_secs_f64();
    let statements = u32::try_from(n_statements(server) - before).unwrap();
    let a_second = f64::from(statements) / seconds;
    let core = (used(node.running.pid()) - cpu) / seconds;
    println!("an idle node: {a_second:.2} statements a second, {:.2} % of a core", core * 100.0);
    assert!(a_second <= 2.5, "{a_second} statements a second");
    assert!(core <= 0.03, "{core} of a core");
    assert_eq!(node.end().code(), 0);
}
