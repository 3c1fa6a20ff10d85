//! Accepting connections, and ending with them.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener as Bound};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::connection;
use super::connection_slots::{ConnectionSlots, NoSlot};
use super::route::{Reply, Route, Router};
use super::stats::Stats;
use super::{Limits, route};

/// Requests in flight are answered within this when the listener stops.
const STOP: Duration = Duration::from_secs(3);
/// After a failed accept (no file descriptor is left) the next one is tried this much later.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// State shared by all connections.
#[derive(Debug)]
pub(super) struct Shared {
    pub router: Router,
    pub access: Access,
    pub limits: Limits,
    pub stats: Arc<Stats>,
    pub body_bytes: Arc<Semaphore>,
    pub reply_bytes: Arc<Semaphore>,
    pub stop: CancellationToken,
}

/// A running listener. Dropping it closes the port and every connection at once.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers requests on a bound port.
    ///
    /// # Errors
    /// The port cannot be used.
    pub fn start(
        bound: Bound,
        routes: Vec<Route>,
        access: Access,
        limits: Limits,
        stats: Arc<Stats>,
    ) -> io::Result<Self> {
        let address = bound.local_addr()?;
        let listener = TcpListener::from_std(bound)?;
        let limits = within_open_files(limits);
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            router: Router::new(routes),
            access,
            limits,
            stats,
            body_bytes: Arc::new(Semaphore::new(limits.body_bytes)),
            reply_bytes: Arc::new(Semaphore::new(limits.reply_bytes)),
            stop: stop.clone(),
        });
        let task = tokio::spawn(accept(listener, shared));
        Ok(Self { address, stop, task })
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, and waits up to 3 s for replies to those in flight.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let _too_slow = tokio::time::timeout(STOP, &mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Half of the open files that the process may have stay free for everything else that it does.
fn within_open_files(limits: Limits) -> Limits {
    let open_files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let most = open_files.map_or(usize::MAX, |files| usize::try_from(files / 2).unwrap_or(usize::MAX));
    Limits { connections: limits.connections.min(most), ..limits }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let connection_slots = ConnectionSlots::new(&shared.limits);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = shared.stop.cancelled() => break,
        };
        let Ok((socket, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let place = match connection_slots.take(peer.ip()) {
            Ok(place) => place,
            Err(full) => {
                turn_away(&socket, full);
                continue;
            }
        };
        let shared = shared.clone();
        connections.spawn(async move {
            let _place = place;
            shared.stats.opened();
            connection::serve(socket, peer, &shared).await;
            shared.stats.closed();
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

fn turn_away(socket: &TcpStream, full: NoSlot) {
    let (status, message) = match full {
        NoSlot::Total => (StatusCode::SERVICE_UNAVAILABLE, "too many connections are open"),
        NoSlot::Address => {
            (StatusCode::TOO_MANY_REQUESTS, "too many connections from this address are open; reuse them")
        }
    };
    let Reply { body, .. } = route::Reply::busy(status, message);
    let body = String::from_utf8_lossy(&body);
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nretry-after: 1\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    let _it_may_have_left = socket.try_write(answer.as_bytes());
}

/// Binds a port; nothing is answered yet.
///
/// # Errors
/// The address is taken, or is none of this machine.
pub fn bind(address: SocketAddr) -> io::Result<Bound> {
    let bound = Bound::bind(address)?;
    bound.set_nonblocking(true)?;
    Ok(bound)
}

/// Why a port could not be bound, for an operator.
pub fn bind_error(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!("{address} is in use by another program"),
        ErrorKind::AddrNotAvailable => format!("{address} is no address of this machine"),
        ErrorKind::PermissionDenied => format!("{address} may not be listened on by this user"),
        _ => format!("{address} cannot be listened on: {error}"),
    }
}
