//! A wire between a node and its server that can be cut: what one side sends next is lost, and the
//! node's socket with it. The server's side can be left open, as it is when a machine vanishes. And
//! it can forget its connections, as a gateway does: none is closed, and nothing gets through.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The name under which a node's writer connects.
pub const WRITER: &str = "specline-writer";

/// What is lost when the wire is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    Request,
    Answer,
}

pub struct Proxy {
    port: u16,
    wire: Arc<Wire>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Wire {
    armed: Mutex<Option<Armed>>,
    refused: Mutex<Option<&'static str>>,
    hang_up: Notify,
    vanishing: AtomicBool,
    kept: Mutex<Vec<OwnedWriteHalf>>,
    cuts: AtomicU64,
    /// Connections that were made so far, and how many of those are forgotten.
    made: AtomicU64,
    forgotten: AtomicU64,
}

#[derive(Clone, Copy)]
struct Armed {
    /// The name of the application whose connection is cut.
    who: &'static str,
    lost: Lost,
    /// Pieces that still get through.
    skip: u64,
}

impl Proxy {
    /// In front of the server at `port` of this machine.
    pub async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let wire = Arc::new(Wire::default());
        let of_task = Arc::clone(&wire);
        let serving = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(connect(client, server, Arc::clone(&of_task)));
            }
        });
        Self { port, wire, serving }
    }

    /// The same database through this wire.
    pub fn url(&self, direct: &str) -> String {
        let (front, rest) = direct.split_once("127.0.0.1:").unwrap();
        let (_, database) = rest.split_once('/').unwrap();
        format!("{front}127.0.0.1:{}/{database}", self.port)
    }

    /// Loses what is sent next, after `skip` pieces, on a connection of `who`, and the connection.
    pub fn cut(&self, who: &'static str, lost: Lost, skip: u64) {
        *lock(&self.wire.armed) = Some(Armed { who, lost, skip });
    }

    /// Whether the last cut that was asked for is still to come.
    pub fn is_armed(&self) -> bool {
        lock(&self.wire.armed).is_some()
    }

    pub fn n_cuts(&self) -> u64 {
        self.wire.cuts.load(Ordering::Acquire)
    }

    /// Lets no more connections of `who` through.
    pub fn refuse(&self, who: Option<&'static str>) {
        *lock(&self.wire.refused) = who;
    }

    /// From now on the server does not see that a node has closed its socket.
    pub fn vanish(&self) {
        self.wire.vanishing.store(true, Ordering::Release);
    }

    /// Forgets the connections that are there: from now on nothing gets through them, either way.
    pub fn forget(&self) {
        let made = self.wire.made.load(Ordering::Acquire);
        self.wire.forgotten.store(made, Ordering::Release);
    }

    /// Cuts the sockets of the node's writer.
    pub fn hang_up(&self) {
        self.wire.hang_up.notify_waiters();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wire {
    /// Whether this piece is the one that is lost.
    fn takes(&self, name: &str, side: Lost) -> bool {
        let mut armed = lock(&self.armed);
        let Some(Armed { who, lost, skip }) = *armed else { return false };
        if who != name || lost != side {
            return false;
        }
        if skip > 0 {
            *armed = Some(Armed { who, lost, skip: skip - 1 });
            return false;
        }
        *armed = None;
        self.cuts.fetch_add(1, Ordering::AcqRel);
        true
    }
}

async fn connect(mut client: TcpStream, server: u16, wire: Arc<Wire>) {
    let mut start = vec![0; 4_096];
    let Ok(n) = client.read(&mut start).await else { return };
    let text = String::from_utf8_lossy(&start[..n]).into_owned();
    let parts: Vec<&str> = text.split('\0').collect();
    let place = parts.iter().position(|part| part.ends_with("application_name"));
    let name = place.and_then(|at| parts.get(at + 1)).map_or("", |name| *name).to_owned();
    if lock(&wire.refused).is_some_and(|who| who == name) {
        return;
    }
    let Ok(mut upstream) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    if upstream.write_all(&start[..n]).await.is_err() {
        return;
    }
    let number = wire.made.fetch_add(1, Ordering::AcqRel) + 1;
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), upstream.into_split());
    let requests = pump(from_client, to_server, (&name, Lost::Request, number), &wire);
    let answers = pump(from_server, to_client, (&name, Lost::Answer, number), &wire);
    tokio::select! {
        to_server = requests => {
            if wire.vanishing.load(Ordering::Acquire) {
                lock(&wire.kept).push(to_server);
            }
        }
        _ = answers => {}
        () = wire.hang_up.notified(), if name == WRITER => {}
    }
}

/// Hands on what comes, until an end or the cut.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    (name, side, number): (&str, Lost, u64),
    wire: &Wire,
) -> OwnedWriteHalf {
    let mut bytes = vec![0; 64 * 1_024];
    loop {
        let n = match from.read(&mut bytes).await {
            Ok(n) if n > 0 => n,
            _ => return to,
        };
        if wire.forgotten.load(Ordering::Acquire) >= number {
            std::future::pending::<()>().await;
        }
        if wire.takes(name, side) || to.write_all(&bytes[..n]).await.is_err() {
            return to;
        }
    }
}
