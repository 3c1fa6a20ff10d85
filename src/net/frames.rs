//! Counts frames without content: a peer that sends many of them keeps a core busy for nothing.
//!
//! Frames with an event, the head of an answer or a piece of a document are useful. All others are counted: control
//! frames of HTTP/2, interim answers and chunks of HTTP/1.1, comments and empty lines of an event stream. Keep-alives
//! come every few seconds; ten thousand frames within ten seconds end the stream, or its connection.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::domain::cause::{Cause, Limit};

/// The maximum number of useless frames within [`WITHIN`].
const MOST: u32 = 10_000;
const WITHIN: Duration = Duration::from_secs(10);

/// The clock is read only from this number on, which ordinary streams seldom reach between two events.
const UNTIMED: u32 = 16;

/// The head of a frame of HTTP/2 (RFC 9113, section 4.1).
const HEAD: usize = 9;

/// Frames since the last one that was of use.
#[derive(Debug, Default)]
pub(super) struct Frames {
    count: AtomicU32,
    since: Mutex<Option<Instant>>,
}

impl Frames {
    /// Something of use has come.
    pub fn progress(&self) {
        self.count.store(0, Ordering::Relaxed);
    }

    /// More frames have come.
    ///
    /// # Errors
    /// [`Limit::Frames`].
    pub fn count(&self, more: u32) -> Result<(), Cause> {
        let before = self.count.fetch_add(more, Ordering::Relaxed);
        let all = before.saturating_add(more);
        if all < UNTIMED {
            return Ok(());
        }
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if before < UNTIMED || since.is_none() {
            *since = Some(Instant::now());
        }
        if all < MOST {
            return Ok(());
        }
        if since.is_none_or(|since| since.elapsed() <= WITHIN) {
            return Err(Cause::Limit(Limit::Frames));
        }
        *since = Some(Instant::now());
        self.count.store(UNTIMED, Ordering::Relaxed);
        Ok(())
    }
}

/// An HTTP/2 connection whose frames are counted as they are read: most useless ones are invisible to the code behind
/// it.
#[derive(Debug)]
pub(super) struct Counted<S> {
    socket: S,
    frames: Arc<Frames>,
    heads: Heads,
}

impl<S> Counted<S> {
    pub fn new(socket: S, frames: Arc<Frames>) -> Self {
        Self { socket, frames, heads: Heads::default() }
    }
}

/// Finds the heads of frames.
#[derive(Debug, Default)]
struct Heads {
    /// The length of the next frame, as far as its head has come.
    length: usize,
    /// Bytes of that head so far.
    seen: usize,
    /// Bytes of a frame that are still to come.
    left: usize,
}

impl Heads {
    /// How many heads end in these bytes.
    fn pass(&mut self, mut bytes: &[u8]) -> u32 {
        let mut frames = 0;
        while !bytes.is_empty() {
            if self.left > 0 {
                let (_, rest) = bytes.split_at(self.left.min(bytes.len()));
                self.left -= bytes.len() - rest.len();
                bytes = rest;
                continue;
            }
            if self.seen < 3 {
                self.length = self.length << 8 | usize::from(bytes[0]);
            }
            bytes = &bytes[1..];
            self.seen += 1;
            if self.seen == HEAD {
                frames += 1;
                *self = Self { left: self.length, ..Self::default() };
            }
        }
        frames
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.socket).poll_read(cx, buf))?;
        let frames = this.heads.pass(&buf.filled()[before..]);
        if frames > 0 {
            // HTTP/2 hands on no more than the kind of an error and its words.
            let flood = |cause: Cause| io::Error::new(io::ErrorKind::QuotaExceeded, cause.to_string());
            this.frames.count(frames).map_err(flood)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_frames_in_ten_seconds_are_too_many_unless_they_bring_events() {
        let flood = Err(Cause::Limit(Limit::Frames));
        // Frames at a time, repetitions, milliseconds between, and an event after every n-th.
        for (more, times, pause, event, expected) in [
            (1, 9_999, 0, 0, Ok(())),
            (1, 10_000, 0, 0, flood.clone()),
            (20_000, 1, 0, 0, flood.clone()),
            (1, 50_000, 0, 9_000, Ok(())),
            // Nine hundred a second are borne, twelve hundred are not.
            (9, 10_000, 10, 0, Ok(())),
            (12, 10_000, 10, 0, flood.clone()),
            (1, 100, 1_000, 0, Ok(())),
        ] {
            let frames = Frames::default();
            let mut counted = Ok(());
            for time in 1..=times {
                counted = counted.and_then(|()| frames.count(more));
                if event > 0 && time % event == 0 {
                    frames.progress();
                }
                if pause > 0 {
                    tokio::time::advance(Duration::from_millis(pause)).await;
                }
            }
            assert_eq!(counted, expected, "{more} {times} {pause} {event}");
        }
    }

    #[test]
    fn frames_are_counted_for_any_split_of_the_bytes() {
        let mut bytes = Vec::new();
        for length in [0u8, 1, 9, 200, 0, 0, 4] {
            bytes.extend([0, 0, length, 8, 0, 0, 0, 0, 0]);
            bytes.extend(vec![7; usize::from(length)]);
        }
        for size in [1, 2, 3, 8, 9, 10, 64, bytes.len()] {
            let mut heads = Heads::default();
            assert_eq!(bytes.chunks(size).map(|piece| heads.pass(piece)).sum::<u32>(), 7, "{size}");
        }
    }

    /// Frames that HTTP/2 answers or ignores internally, in any number.
    #[tokio::test]
    async fn a_flood_of_frames_ends_its_connection_and_says_why() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
            let length = u8::try_from(payload.len()).unwrap();
            [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
        };
        let settings = frame(4, 0, 0, &[]);
        for (what, flood) in [
            ("WINDOW_UPDATE", frame(8, 0, 0, &[0, 0, 0, 1])),
            ("PRIORITY", frame(2, 0, 3, &[0, 0, 0, 0, 1])),
            ("unknown", frame(0xbe, 0, 0, b"x")),
            ("RST_STREAM", frame(3, 0, 1, &[0, 0, 0, 8])),
        ] {
            let (client, server) = tokio::io::duplex(64 * 1024);
            let (mut from_client, mut to_client) = tokio::io::split(server);
            let writing = tokio::spawn({
                let settings = settings.clone();
                async move {
                    let _hung_up = to_client.write_all(&settings).await;
                    while to_client.write_all(&flood).await.is_ok() {}
                }
            });
            let reading = tokio::spawn(async move {
                let mut bytes = [0; 4096];
                while from_client.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
            });
            let counted = Counted::new(client, Arc::default());
            let (mut send, connection) = h2::client::handshake(counted).await.unwrap();
            let connection = tokio::spawn(connection);
            let request = http::Request::post("http://h/").body(()).unwrap();
            let (answer, _) = send.send_request(request, true).unwrap();
            drop(send);
            // A reset stream has its own end; the connection has the flood's.
            if what != "RST_STREAM" {
                let error = answer.await.unwrap_err();
                let cause = super::super::cause::of(error.get_io().unwrap(), WITHIN);
                assert_eq!(cause, Cause::Limit(Limit::Frames), "{what}");
            }
            let ended = tokio::time::timeout(WITHIN, connection).await.expect(what).unwrap();
            assert!(what == "RST_STREAM" || ended.is_err(), "{what}");
            writing.await.unwrap();
            reading.await.unwrap();
        }
    }
}
