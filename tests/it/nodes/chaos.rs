//! Many specs on three nodes that are killed, started again, stopped and woken at random.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{NOTE_RUN, each_completed_once, read_models_are_right};
use crate::support::{Cluster, Node, Random, Served, times};

/// Specs that are under way at once: what the machine bears.
const MAX_OPEN: u64 = 12;

/// A node that is stopped for longer than this is taken for dead.
const PAST_ITS_LEASES_MS: u64 = 9_000;

/// One of the three.
enum Slot {
    Up(Node),
    /// Killed; started again at that time, on that port.
    Down(Instant, u16),
    /// Stopped; woken at that time.
    Stopped(Node, Instant),
}

struct Chaos {
    cluster: Cluster,
    random: Random,
    slots: Vec<Slot>,
    next_harm: Instant,
    n_launched: u64,
    n_kills: u32,
    n_stops: u32,
    n_repeats: u32,
}

impl Chaos {
    fn new() -> Self {
        let random = Random::new();
        let cluster = Cluster::new();
        cluster.project.agent.on("all", &format!("{NOTE_RUN}sleep 0.1\n"));
        let slots = (0..3).map(|_| Slot::Up(cluster.node())).collect();
        let next_harm = Instant::now();
        let counts = (0, 0, 0, 0);
        let (n_launched, n_kills, n_stops, n_repeats) = counts;
        Self { cluster, random, slots, next_harm, n_launched, n_kills, n_stops, n_repeats }
    }

    fn ms(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.random.below(to - from))
    }

    /// Starts again and wakes what is due, and harms a node when it is time.
    fn go_on(&mut self) {
        let now = Instant::now();
        for slot in &mut self.slots {
            match slot {
                Slot::Down(until, port) if *until <= now => {
                    let served = Served { port: Some(*port), ..Served::default() };
                    *slot = Slot::Up(self.cluster.begin(&served));
                }
                Slot::Stopped(node, until) if *until <= now => {
                    node.wake();
                    let served = Slot::Down(now, 0);
                    let Slot::Stopped(node, _) = std::mem::replace(slot, served) else { return };
                    *slot = Slot::Up(node);
                }
                Slot::Up(node) => {
                    if node.running.has_ended() {
                        let said = node.running.stderr();
                        assert!(node.running.stdout().is_empty(), "once up, it stays up: {said}");
                        // Stopped in mid-start until the database gave up on it.
                        println!("a start failed: {}", said.lines().last().unwrap_or_default());
                        *slot = Slot::Down(now, node.port);
                    }
                }
                Slot::Down(..) | Slot::Stopped(..) => {}
            }
        }
        if self.next_harm <= now {
            self.harm();
            self.next_harm = now + self.ms(800, 5_000);
        }
    }

    /// Three kills to one stop.
    fn harm(&mut self) {
        let n = usize::try_from(self.random.below(3)).unwrap();
        let stops = self.random.below(4) == 0;
        let (down, stopped) = (self.ms(0, 4_000), self.ms(500, 2 * PAST_ITS_LEASES_MS));
        let now = Instant::now();
        let slot = &mut self.slots[n];
        if !matches!(slot, Slot::Up(_)) {
            return;
        }
        let Slot::Up(node) = std::mem::replace(slot, Slot::Down(now, 0)) else { return };
        if stops {
            node.stop();
            *slot = Slot::Stopped(node, now + stopped);
            self.n_stops += 1;
        } else {
            *slot = Slot::Down(now + down, node.port);
            node.running.kill();
            self.n_kills += 1;
        }
    }

    /// Asks random nodes until one answers, each time under the same key.
    fn launch(&mut self) {
        let title = format!("Spec {}", self.n_launched);
        let request = self.cluster.request(&title, &json!({ "lease_ms": 15_000 }));
        loop {
            self.go_on();
            let n = usize::try_from(self.random.below(3)).unwrap();
            let (Slot::Up(node) | Slot::Stopped(node, _)) = &self.slots[n] else { continue };
            match self.cluster.post(node, "/specs/launch", &request, Some(&title)) {
                Some(answer) if answer.status == 202 => break,
                Some(answer) if answer.status < 500 => panic!("{title}: {answer:?}"),
                Some(_) | None => self.n_repeats += 1,
            }
        }
        self.n_launched += 1;
    }

    /// All specs, to their ends.
    fn run(&mut self, n_specs: u64) {
        let within = Duration::from_secs(60 + 10 * n_specs);
        let end = Instant::now() + within;
        loop {
            assert!(Instant::now() < end, "not done within {within:?}");
            self.go_on();
            let n_done = self.cluster.n_events("SpecCompleted");
            assert_eq!(self.cluster.n_events("SpecFailed"), 0);
            if n_done >= n_specs {
                return;
            }
            if self.n_launched < n_specs && self.n_launched - n_done < MAX_OPEN {
                self.launch();
            } else {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// All nodes live again, and finish what is left.
    fn calm_down(&mut self) {
        for slot in std::mem::take(&mut self.slots) {
            let node = match slot {
                Slot::Up(node) => node,
                Slot::Down(_, port) => {
                    self.cluster.begin(&Served { port: Some(port), ..Served::default() })
                }
                Slot::Stopped(node, _) => {
                    node.wake();
                    node
                }
            };
            self.slots.push(Slot::Up(node.ready(&self.cluster)));
        }
        let n_tasks = 4 * self.n_launched;
        let released = || self.cluster.n_events("TaskReleased") >= n_tasks;
        self.cluster.until("the tasks to be released", Duration::from_mins(1), released);
        let live = "SELECT count(*) FROM leases WHERE state <> 'ended'";
        let over = || self.cluster.number(live) == 0;
        self.cluster.until("the last lease to be given up", Duration::from_mins(2), over);
        for slot in self.slots.drain(..) {
            let (Slot::Up(node) | Slot::Stopped(node, _)) = slot else { continue };
            let said = node.end();
            assert_eq!(said.code(), 0, "{said:?}");
        }
    }
}

#[test]
fn specs_complete_on_nodes_that_are_killed_and_stopped_at_random() {
    let began = Instant::now();
    let n_specs = times(12, 200);
    let mut chaos = Chaos::new();
    chaos.run(u64::from(n_specs));
    let took = began.elapsed();
    chaos.calm_down();
    let log = each_completed_once(&chaos.cluster);
    read_models_are_right(&chaos.cluster);
    chaos.cluster.project.nothing_is_left();
    let runs = std::fs::read_to_string(chaos.cluster.project.agent.path("runs")).unwrap();
    println!(
        "{n_specs} specs in {:.0} s: {} kills, {} stops, {} launches asked again, {} sandboxes \
         lost, {} agent runs, {} events",
        took.as_secs_f64(),
        chaos.n_kills,
        chaos.n_stops,
        chaos.n_repeats,
        log.count("SandboxLost"),
        runs.lines().count(),
        log.0.len(),
    );
}
