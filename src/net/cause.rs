//! What a failed request means: refused, reset, silent, untrusted; and whether it can have arrived.

use std::error::Error;
use std::io;
use std::time::Duration;

use super::address::BlockedHost;
use crate::domain::cause::{Cause, Failure, Limit, Sent, TlsFault};
use crate::domain::text::Untrusted;

/// Classifies an error of a request; `limit` is the time it was given.
pub(super) fn classify(error: &reqwest::Error, limit: Duration) -> Failure {
    let sent =
        if error.is_connect() || error.is_builder() || is_canceled(error) { Sent::Not } else { Sent::Maybe };
    Failure { sent, cause: cause(error, limit) }
}

/// What went wrong, without the question of whether it arrived.
pub(super) fn cause(error: &reqwest::Error, limit: Duration) -> Cause {
    let chain = Chain(Some(error));
    for link in chain {
        if let Some(blocked) = link.downcast_ref::<BlockedHost>() {
            return Cause::Blocked(Untrusted::from(blocked.0.as_str()));
        }
        if let Some(tls) = link.downcast_ref::<rustls::Error>() {
            return Cause::Tls(tls_fault(tls));
        }
        if let Some(inner) = link.downcast_ref::<io::Error>() {
            if let Some(tls) = inside::<rustls::Error>(inner) {
                return Cause::Tls(tls_fault(tls));
            }
            if let Some(blocked) = inside::<BlockedHost>(inner) {
                return Cause::Blocked(Untrusted::from(blocked.0.as_str()));
            }
        }
        if let Some(http) = link.downcast_ref::<hyper::Error>() {
            if http.is_parse_too_large() {
                return Cause::Limit(Limit::Headers);
            }
            if http.is_parse() {
                return Cause::Malformed(Untrusted::from(format!("not HTTP, {http}")));
            }
        }
    }
    if error.is_timeout() {
        return Cause::TimedOut(limit);
    }
    if error.is_dns() {
        let host = error.url().and_then(|url| url.host_str()).unwrap_or("?");
        return Cause::Dns(Untrusted::from(host));
    }
    if error.is_builder() {
        return Cause::Malformed(Untrusted::from(format!(
            "the URL or a header cannot be used, {}",
            innermost(error)
        )));
    }
    for link in Chain(Some(error)) {
        if let Some(inner) = link.downcast_ref::<io::Error>() {
            match inner.kind() {
                io::ErrorKind::ConnectionRefused => return Cause::Refused,
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
                | io::ErrorKind::NotConnected => return Cause::Reset,
                io::ErrorKind::TimedOut => return Cause::TimedOut(limit),
                io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::AddrNotAvailable
                | io::ErrorKind::NetworkDown => {
                    return Cause::Unreachable(Untrusted::from(inner.to_string()));
                }
                io::ErrorKind::InvalidData if error.is_decode() => {
                    return Cause::Malformed(Untrusted::from(format!("its compression is broken, {inner}")));
                }
                _ => {}
            }
        }
    }
    if error.is_connect() {
        return Cause::Unreachable(Untrusted::from(innermost(error)));
    }
    // What is left is a connection that ended in the middle of a message.
    Cause::Reset
}

fn is_canceled(error: &reqwest::Error) -> bool {
    Chain(Some(error)).any(|link| link.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled))
}

fn tls_fault(error: &rustls::Error) -> TlsFault {
    use rustls::CertificateError as C;
    match error {
        rustls::Error::InvalidCertificate(fault) => match fault {
            C::Expired | C::ExpiredContext { .. } => TlsFault::Expired,
            C::NotValidYet | C::NotValidYetContext { .. } => TlsFault::NotYetValid,
            // A known name above another key is an unknown authority too.
            C::UnknownIssuer | C::BadSignature => TlsFault::UnknownIssuer,
            C::NotValidForName | C::NotValidForNameContext { .. } => TlsFault::WrongName,
            C::Revoked => TlsFault::Revoked,
            other => TlsFault::Other(Untrusted::from(other.to_string())),
        },
        other => TlsFault::Other(Untrusted::from(other.to_string())),
    }
}

/// What an I/O error carries, however often it was wrapped: its `source` skips what it holds itself.
fn inside<E: Error + 'static>(error: &io::Error) -> Option<&E> {
    let held = error.get_ref()?;
    held.downcast_ref::<E>().or_else(|| inside(held.downcast_ref::<io::Error>()?))
}

/// The innermost words of an error; the outer ones repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    Chain(Some(error)).last().map_or_else(String::new, ToString::to_string)
}

struct Chain<'e>(Option<&'e (dyn Error + 'static)>);

impl<'e> Iterator for Chain<'e> {
    type Item = &'e (dyn Error + 'static);

    fn next(&mut self) -> Option<Self::Item> {
        let link = self.0?;
        self.0 = link.source();
        Some(link)
    }
}
