//! Connections for streams: straight to the agent, plain or with TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::proxy::matcher::Matcher;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;
use url::{Host, Url};

use super::address::Resolver;
use super::trust::{Tls, certificate_until};
use super::{CONNECT, KEEPALIVE, cause};
use crate::domain::cause::{Cause, Failure, Sent};
use crate::domain::time::At;

/// Opens connections.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    tcp: HttpConnector<Resolver>,
    proxies: Arc<Matcher>,
}

/// A connection.
#[derive(Debug)]
pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connector {
    /// With the same limits as the pooled client.
    pub fn new() -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(3));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(2 * KEEPALIVE));
        Self { tcp, proxies: Arc::new(Matcher::from_system()) }
    }

    /// The URI to connect to; `None` if the URL needs a login in it or a proxy.
    pub fn reaches(&self, url: &Url) -> Option<Uri> {
        let named = !url.username().is_empty() || url.password().is_some();
        let uri: Uri = url.as_str().parse().ok()?;
        (!named && self.proxies.intercept(&uri).is_none()).then_some(uri)
    }

    /// Connects; see [`within`].
    ///
    /// # Errors
    /// Why it cannot.
    pub async fn connect(&self, uri: Uri, url: &Url, tls: Option<Tls>) -> Result<Socket, Cause> {
        let mut tcp = self.tcp.clone();
        let socket = tcp.call(uri).await.map_err(|error| cause::of(&error, CONNECT))?.into_inner();
        let Some(tls) = tls else { return Ok(Socket::Plain(socket)) };
        let name = server_name(url)?;
        let stream = TlsConnector::from(tls).connect(name, socket).await;
        Ok(Socket::Tls(Box::new(stream.map_err(|error| cause::of(&error, CONNECT))?)))
    }

    #[cfg(test)]
    pub fn with_proxies(proxies: Matcher) -> Self {
        Self { proxies: Arc::new(proxies), ..Self::new() }
    }
}

/// Runs the work that precedes a request, within the connection timeout.
///
/// # Errors
/// What went wrong, or that it took too long; nothing was sent.
pub(super) async fn within<T>(work: impl Future<Output = Result<T, Cause>>) -> Result<T, Failure> {
    let done = tokio::time::timeout(CONNECT, work).await.unwrap_or(Err(Cause::TimedOut(CONNECT)));
    done.map_err(|cause| Failure { sent: Sent::Not, cause })
}

fn server_name(url: &Url) -> Result<ServerName<'static>, Cause> {
    match url.host() {
        Some(Host::Ipv4(address)) => Ok(ServerName::from(std::net::IpAddr::from(address))),
        Some(Host::Ipv6(address)) => Ok(ServerName::from(std::net::IpAddr::from(address))),
        Some(Host::Domain(name)) => ServerName::try_from(name.to_owned())
            .map_err(|error| Cause::Malformed(format!("{name:?} is no name of a host, {error}").into())),
        None => Err(Cause::Malformed("its URL names no host".into())),
    }
}

impl Socket {
    /// The connection below TLS.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    /// True if the peer chose HTTP/2.
    pub fn speaks_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// When the peer's certificate ends.
    pub fn certificate_until(&self) -> Option<At> {
        let Self::Tls(stream) = self else { return None };
        certificate_until(stream.get_ref().1.peer_certificates()?.first()?)
    }

    /// Waits until a read is worth a buffer, as far as that is known without one.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => tcp.poll_read_ready(cx),
            // Data that TLS has already decrypted is not in the socket.
            Self::Tls(_) => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn urls_that_need_a_login_or_a_proxy_are_not_connected_to_directly() {
        let proxies = Matcher::builder().http("http://proxy:1/").https("http://proxy:1/").no("near").build();
        let connector = Connector::with_proxies(proxies);
        for (url, reaches) in [
            ("http://near:1/", true),
            ("http://far:1/", false),
            ("https://near:1/", true),
            ("https://far:1/", false),
            ("http://me:word@near/", false),
        ] {
            assert_eq!(connector.reaches(&Url::parse(url).unwrap()).is_some(), reaches, "{url}");
        }
    }

    #[tokio::test]
    async fn a_failed_connection_means_nothing_was_sent() {
        let connector = Connector::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        for (url, cause) in [
            (closed.as_str(), Cause::Refused),
            ("http://no.such.host.invalid/", Cause::Dns("no.such.host.invalid".into())),
        ] {
            let url = Url::parse(url).unwrap();
            let uri = connector.reaches(&url).expect("straight");
            let failure = within(connector.connect(uri, &url, None)).await.unwrap_err();
            assert_eq!(failure, Failure { sent: Sent::Not, cause });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_tls_handshake_ends_at_the_connection_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("https://{}/", listener.local_addr().unwrap())).unwrap();
        let connector = Connector::new();
        let tls = super::super::trust::Trust::Anybody.tls().unwrap();
        let uri = connector.reaches(&url).expect("straight");
        let failure = within(connector.connect(uri, &url, tls)).await.unwrap_err();
        assert_eq!(failure, Failure { sent: Sent::Not, cause: Cause::TimedOut(CONNECT) });
    }
}
