//! A connection whose other end has to go on taking what it is sent: one that stands still for too
//! long is given up, with everything that waits for it.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

pub(super) struct Paced<S> {
    inner: S,
    patience: Duration,
    /// Runs while the other end takes nothing.
    standstill: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    pub fn new(inner: S, patience: Duration) -> Self {
        Self { inner, patience, standstill: None }
    }

    fn watched<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.standstill = None;
            return polled;
        }
        let patience = self.patience;
        let standstill = self.standstill.get_or_insert_with(|| Box::pin(sleep(patience)));
        let gone = || io::Error::new(io::ErrorKind::TimedOut, "the caller takes no answer");
        standstill.as_mut().poll(cx).map(|()| Err(gone()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.watched(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.watched(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.watched(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watched(cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::time::{Duration, Instant};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::Paced;

    const PATIENCE: Duration = Duration::from_secs(2);

    #[tokio::test]
    async fn a_reader_that_stands_still_is_given_up_and_a_slow_one_is_not() {
        let (ours, mut theirs) = duplex(10);
        let mut paced = Paced::new(ours, PATIENCE);
        let slow = tokio::spawn(async move {
            let mut pace = tokio::time::interval(PATIENCE / 20);
            let mut got = [0; 10];
            for _ in 0..30 {
                pace.tick().await;
                theirs.read_exact(&mut got).await.unwrap();
            }
            theirs
        });
        let begin = Instant::now();
        paced.write_all(&[7; 300]).await.unwrap();
        let theirs = slow.await.unwrap();
        assert!(begin.elapsed() > PATIENCE);
        paced.write_all(&[7; 10]).await.unwrap();
        let begin = Instant::now();
        let error = paced.write_all(&[7; 10]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(begin.elapsed() >= PATIENCE);
        drop(theirs);
    }
}
