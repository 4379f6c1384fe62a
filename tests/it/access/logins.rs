//! Addresses from which one login after the other fails are held off, and nobody else is.

use std::net::SocketAddr;

use specline::http::{Access, Api, FailedLogins, Peer, router};

use super::{Caller, Made, Told};
use crate::support::{Lab, Start};

/// Logins that may fail in a minute.
const MOST: u32 = 5;

/// One API, called from any address.
struct Door {
    lab: Lab,
    api: Api,
}

impl Door {
    async fn new() -> Self {
        let lab = Lab::new(Start::Nothing).await;
        let access = Access { failed_logins: Some(FailedLogins(MOST)), ..Access::default() };
        let api = Api::with(lab.engine.clone(), &lab.engine.operator_token(), access);
        Self { lab, api }
    }

    async fn from(&self, address: &str) -> Caller {
        let peer = SocketAddr::new(address.parse().unwrap(), 9);
        let app = router(self.api.clone()).layer(axum::Extension(Peer(peer)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Caller { base, ..Caller::of(&self.lab) }
    }
}

async fn specs(caller: &Caller, token: &str) -> Told {
    caller.get("/api/v1/specs", token).await
}

/// A key that looks like `made`, with another secret.
fn guess(made: &Made, n: u32) -> String {
    let (head, _) = made.key.rsplit_once('_').unwrap();
    format!("{head}_{n:064x}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_guesses_is_held_off_and_who_is_known_is_not() {
    let door = Door::new().await;
    let (here, there) = (door.from("192.0.2.7").await, door.from("198.51.100.9").await);
    let made = Caller::of(&door.lab).key_with("reader").await;
    let new = Caller::of(&door.lab).key_with("reader").await;
    assert_eq!(specs(&here, &made.key).await.status, 200);
    for n in 0..MOST {
        assert_eq!(specs(&here, &guess(&made, n)).await.status, 401, "{n}");
    }
    let held_off = specs(&here, &guess(&made, MOST)).await;
    assert_eq!((held_off.status, held_off.code()), (429, "too_many_failed_logins"));
    assert_eq!(held_off.header("content-type"), "application/problem+json");
    let wait: u64 = held_off.header("retry-after").parse().unwrap();
    assert!((1..=13).contains(&wait), "one login comes every 12 s: {wait}");
    assert_eq!(specs(&here, "0123456789").await.status, 429, "also by another kind of token");
    let worker = "/api/v1/sandboxes/01890000-0000-7000-8000-000000000000/heartbeat";
    let worker = here.send("POST", worker, ("guess", &serde_json::json!({}))).await;
    assert_eq!(worker.status, 429, "also as a sandbox: {worker:?}");
    let ready = here.get("/health/ready", &guess(&made, MOST)).await;
    assert!(ready.body.get("checks").is_none(), "{ready:?}");
    for n in 0..20 {
        assert_eq!(specs(&here, &made.key).await.status, 200, "{n}: it was good from there");
    }
    assert_eq!(specs(&here, &new.key).await.status, 429, "it was never seen there");
    assert_eq!(specs(&there, &new.key).await.status, 200, "another address is not held off");
    assert_eq!(specs(&there, &guess(&made, 0)).await.status, 401);
    Caller::of(&door.lab).revoke(&made).await;
    assert_eq!(specs(&here, &made.key).await.status, 429, "what was revoked is known no more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_of_ipv6_is_held_off_as_one() {
    let door = Door::new().await;
    let one = door.from("2001:db8:0:1::1").await;
    for n in 0..MOST {
        assert_eq!(specs(&one, &format!("guess {n}")).await.status, 401);
    }
    assert_eq!(specs(&door.from("2001:db8:0:1:2:3:4:5").await, "guess").await.status, 429);
    assert_eq!(specs(&door.from("2001:db8:0:2::1").await, "guess").await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_and_sandboxes_are_let_in_from_a_machine_that_is_held_off() {
    let door = Door::new().await;
    let here = door.from("127.0.0.1").await;
    for n in 0..=MOST {
        specs(&here, &format!("guess {n}")).await;
    }
    assert_eq!(specs(&here, "guess").await.status, 429);
    assert_eq!(specs(&here, &here.operator).await.status, 200);
    door.lab.execute(specline_aggregates::Policy::default()).await;
    let sandbox = door.lab.spawned(1).await;
    let path = format!("/api/v1/sandboxes/{}/assignment", sandbox.sandbox);
    let told = here.get(&path, &sandbox.env["SPECLINE_TOKEN"]).await;
    assert_eq!(told.status, 200, "{told:?}");
    let without = super::told(here.request("GET", "/api/v1/specs", None)).await;
    assert_eq!(without.status, 401, "who says nothing has guessed nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_logins_are_counted_and_nothing_secret_is() {
    let door = Door::new().await;
    let here = door.from("192.0.2.7").await;
    for n in 0..MOST + 3 {
        specs(&here, &format!("sl_guess{n}")).await;
    }
    let told = door.from("127.0.0.1").await;
    let text = told.get("/metrics", &told.operator).await.body.as_str().unwrap().to_owned();
    let count = |outcome: &str| {
        let line = format!("specline_failed_logins_total{{kind=\"key\",outcome=\"{outcome}\"}} ");
        let line = text.lines().find_map(|found| found.strip_prefix(&line).map(str::to_owned));
        line.unwrap_or_else(|| panic!("{outcome}: {text}")).parse::<u32>().unwrap()
    };
    assert_eq!((count("refused"), count("held_off")), (MOST, 3));
    assert!(!text.contains("guess"), "{text}");
}
