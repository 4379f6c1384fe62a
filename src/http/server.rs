//! Connections: accepted, encrypted where there is a certificate, served, and ended in an orderly
//! way. Slow ones and too many of them are held off here.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Tls;
use super::auth::Peer;
use super::limits::Limits;
use super::paced::Paced;

/// Largest head of a request, and what is read of a connection at a time: what each one can hold
/// without anybody having been asked who it is.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Pause when the machine has no room for a connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// Longest wait at the end for requests that are being answered.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Serves `router` on `listener` until `stop`; then what is being answered is finished.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    (router, limits): (Router, Limits),
    stop: CancellationToken,
) -> io::Result<()> {
    let most = crate::descriptors::connections(limits.connections);
    let room = Arc::new(Semaphore::new(most.get() as usize));
    let tracker = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            () = stop.cancelled() => break,
        };
        let Some((stream, peer, permit)) = accepted else { break };
        let (router, patience) = (router.clone(), limits.patience);
        let connection = Connection { router, peer, patience, stop: stop.clone() };
        let tls = tls.clone();
        tracker.spawn(async move {
            connection.run(stream, tls).await;
            drop(permit);
        });
    }
    // Nobody is to wait for an answer that will not come.
    drop(listener);
    tracker.close();
    drop(tokio::time::timeout(LAST_WAIT, tracker.wait()).await);
    Ok(())
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

/// The next connection, when there is room for one.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> Option<Accepted> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return Some((stream, peer, permit)),
            // The caller has gone again, or there are no file descriptors: neither ends a server.
            Err(error) => {
                tracing::debug!(cause = %error, "a connection was not accepted");
                tokio::time::sleep(NO_ROOM).await;
            }
        }
    }
}

struct Connection {
    router: Router,
    peer: SocketAddr,
    patience: Duration,
    stop: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<Tls>) {
        drop(stream.set_nodelay(true));
        let Some(tls) = tls else { return self.talk(stream).await };
        match tokio::time::timeout(self.patience, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.talk(stream).await,
            Ok(Err(error)) => tracing::debug!(cause = %error, "a caller did not speak TLS"),
            Err(_) => tracing::debug!("a caller took too long to speak TLS"),
        }
    }

    async fn talk(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = WithPeer { inner: TowerToHyperService::new(self.router), peer: self.peer };
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(self.patience);
        http.max_buf_size(MAX_HEAD_BYTES).max_header_size(MAX_HEAD_BYTES);
        let stream = TokioIo::new(Paced::new(stream, self.patience));
        let connection = http.serve_connection(stream, service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(cause = %error, "a connection broke");
        }
    }
}

/// Tells the handlers where a request comes from.
struct WithPeer {
    inner: TowerToHyperService<Router>,
    peer: SocketAddr,
}

impl hyper::service::Service<hyper::Request<Incoming>> for WithPeer {
    type Response = axum::response::Response;
    type Error = std::convert::Infallible;
    type Future =
        <TowerToHyperService<Router> as hyper::service::Service<hyper::Request<Incoming>>>::Future;

    fn call(&self, mut request: hyper::Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(Peer(self.peer));
        self.inner.call(request)
    }
}
