//! Connections over HTTP/1.1 that wait a moment for the next request to the same origin.
//!
//! A batch sends hundreds of messages a second to one agent: connecting for each, with TLS, would cost more than the
//! message. A connection is used again only within [`KEPT`], which is shorter than the time after which any server we
//! know closes an idle one, and only if nothing has arrived on it since. Otherwise a message could be written to a
//! connection that is being closed, and it would be uncertain whether it was read.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::time::Instant;
use url::{Position, Url};

use super::connect::Socket;
use super::trust::Trust;

/// The time for which a connection waits. Servers close idle ones after two seconds or more (gunicorn 2 s; Node and
/// uvicorn 5 s).
const KEPT: Duration = Duration::from_secs(1);
/// The connections of an origin that wait at most; the oldest is closed.
const MOST: usize = 64;
/// The origins that are remembered at most, beside those that are in use.
const ORIGINS: usize = 1024;

/// The connections of all origins. A clone shares them.
#[derive(Clone, Debug, Default)]
pub(super) struct IdleConnections(Arc<Mutex<BTreeMap<Key, Arc<IdleOrigin>>>>);

/// Requests with the same trust, scheme, host and port share connections.
type Key = (Trust, String);

/// The connections of one origin, oldest first, with the time since which they wait.
#[derive(Debug, Default)]
pub(super) struct IdleOrigin(Mutex<Vec<(Instant, Socket)>>);

impl IdleConnections {
    /// The connections to the origin of a URL.
    pub fn of(&self, trust: &Trust, url: &Url) -> Arc<IdleOrigin> {
        let key = (trust.clone(), url[..Position::AfterPort].to_owned());
        let mut origins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if origins.len() >= ORIGINS && !origins.contains_key(&key) {
            origins.retain(|_, origin| Arc::strong_count(origin) > 1);
        }
        origins.entry(key).or_default().clone()
    }
}

impl IdleOrigin {
    /// The connection that was used last, if one can be used again.
    pub fn take(&self) -> Option<Socket> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((since, socket)) = waiting.pop() {
            if since.elapsed() < KEPT && is_quiet(&socket) {
                return Some(socket);
            }
        }
        None
    }

    /// Keeps a connection whose answer was read to its end.
    pub fn keep(self: Arc<Self>, socket: Socket) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = waiting.is_empty();
        if waiting.len() >= MOST {
            waiting.remove(0);
        }
        waiting.push((Instant::now(), socket));
        drop(waiting);
        if first {
            tokio::spawn(self.close_in_time());
        }
    }

    /// Closes connections that have waited too long, until there are none.
    async fn close_in_time(self: Arc<Self>) {
        loop {
            tokio::time::sleep(KEPT).await;
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.retain(|(since, _)| since.elapsed() < KEPT);
            if waiting.is_empty() {
                return;
            }
        }
    }
}

/// True if nothing has arrived that was not read, and the peer has not closed.
fn is_quiet(socket: &Socket) -> bool {
    let signs = PollFlags::IN | PollFlags::RDHUP;
    let mut polled = [PollFd::from_borrowed_fd(socket.tcp().as_fd(), signs)];
    matches!(poll(&mut polled, Some(&Timespec::default())), Ok(0))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use http::{HeaderMap, Method};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::super::dedicated::{DedicatedClient, HttpRequest};
    use super::*;

    /// Whether the second of two requests is made on the connection of the first, whose server answers so and then
    /// closes the connection or not.
    async fn is_used_again(answer: &'static str, closes: bool, wait: Duration) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = accepted.clone();
        let server = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut asked = [0; 1024];
                    while socket.read(&mut asked).await.is_ok_and(|length| length > 0) {
                        socket.write_all(answer.as_bytes()).await.unwrap();
                        if closes {
                            break;
                        }
                    }
                });
            }
        });
        let client = DedicatedClient::new();
        for _ in 0..2 {
            let ask = HttpRequest {
                method: &Method::POST,
                url: &url,
                headers: &HeaderMap::new,
                body: &"{}".into(),
                limit: Duration::from_secs(5),
                written: AtomicBool::new(false),
            };
            let uri = client.reaches(&url).expect("straight");
            let mut body = client.send(Trust::Plain, None, uri, &ask).await.unwrap().body;
            while body.read(|_| Ok(())).await.unwrap() {}
            let origin = client.idle().of(&Trust::Plain, &url);
            let waiting = || origin.0.lock().unwrap().first().map(|(_, socket)| is_quiet(socket));
            // The end of the connection is on its way.
            while closes && waiting() == Some(true) {
                tokio::task::yield_now().await;
            }
            tokio::time::advance(wait).await;
        }
        server.abort();
        accepted.load(Ordering::SeqCst) == 1
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_used_again_only_where_that_is_safe() {
        let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        let closing = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: Close\r\n\r\n{}";
        let old = "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        let more = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}{}";
        let soon = KEPT / 2;
        for (what, answer, closes, wait, expected) in [
            ("an answer with a length", ok, false, soon, true),
            ("a stream", chunked, false, soon, true),
            ("an answer that says close", closing, false, soon, false),
            ("HTTP/1.0", old, false, soon, false),
            ("more than was asked for", more, false, soon, false),
            ("a server that closes", ok, true, soon, false),
            ("a pause", ok, false, KEPT, false),
        ] {
            assert_eq!(is_used_again(answer, closes, wait).await, expected, "{what}");
        }
    }
}
