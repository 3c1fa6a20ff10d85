//! Classifies a failed request: refused, reset, silent, untrusted; and whether it can have arrived.

use std::error::Error;
use std::io;
use std::time::Duration;

use super::CONNECT;
use super::address::{BlockedHost, UnknownHost};
use crate::domain::cause::{Cause, Failure, Limit, Sent, TlsFault};
use crate::domain::text::Untrusted;

/// Classifies an error of a request; `limit` is the time it was given.
pub(super) fn classify(error: &reqwest::Error, limit: Duration) -> Failure {
    let sent =
        if error.is_connect() || error.is_builder() || is_canceled(error) { Sent::Not } else { Sent::Maybe };
    Failure { sent, cause: of_request(error, limit) }
}

/// The cause of a failed request, without the question of whether it arrived.
pub(super) fn of_request(error: &reqwest::Error, limit: Duration) -> Cause {
    if let Some(cause) = ours(error) {
        return cause;
    }
    if error.is_timeout() {
        return Cause::TimedOut(if error.is_connect() { limit.min(CONNECT) } else { limit });
    }
    if error.is_builder() {
        return Cause::Malformed(Untrusted::from(format!(
            "the URL or a header cannot be used, {}",
            innermost(error)
        )));
    }
    if error.is_decode()
        && let Some(fault) = Chain(Some(error)).find_map(|link| link.downcast_ref::<io::Error>())
        && fault.kind() == io::ErrorKind::InvalidData
    {
        return Cause::Malformed(Untrusted::from(format!("its compression is broken, {fault}")));
    }
    if let Some(cause) = of_io(error, limit) {
        return cause;
    }
    if error.is_connect() {
        return Cause::Unreachable(Untrusted::from(innermost(error)));
    }
    // What remains is a connection that ended within a message.
    Cause::Reset
}

/// The cause of a failed connection of our own.
pub(super) fn of(error: &(dyn Error + 'static), limit: Duration) -> Cause {
    let known = ours(error).or_else(|| of_io(error, limit));
    known.unwrap_or_else(|| Cause::Unreachable(Untrusted::from(innermost(error))))
}

/// The cause of a connection that failed during an answer: only the operating system sets a time limit there.
pub(super) fn of_reading(cause: Cause) -> Cause {
    match cause {
        Cause::TimedOut(_) => Cause::Unreachable("it vanished without a word".into()),
        cause => cause,
    }
}

/// The causes from hosts, TLS and HTTP, which are more specific than the socket's.
fn ours(error: &(dyn Error + 'static)) -> Option<Cause> {
    Chain(Some(error)).find_map(|link| {
        if let Some(inner) = link.downcast_ref::<io::Error>() {
            return inside(inner).map(|tls| Cause::Tls(tls_fault(tls))).or_else(|| {
                inside::<BlockedHost>(inner).map(|host| Cause::Blocked(Untrusted::from(host.0.as_str())))
            });
        }
        if let Some(http) = link.downcast_ref::<hyper::Error>() {
            return match http {
                _ if http.is_parse_too_large() => Some(Cause::Limit(Limit::Headers)),
                _ if http.is_parse() => Some(Cause::Malformed(Untrusted::from(format!("not HTTP, {http}")))),
                _ => None,
            };
        }
        let tls = || link.downcast_ref::<rustls::Error>().map(|tls| Cause::Tls(tls_fault(tls)));
        let unknown =
            || link.downcast_ref::<UnknownHost>().map(|host| Cause::Dns(Untrusted::from(host.0.as_str())));
        let blocked = || {
            link.downcast_ref::<BlockedHost>().map(|host| Cause::Blocked(Untrusted::from(host.0.as_str())))
        };
        tls().or_else(unknown).or_else(blocked)
    })
}

/// The cause from the socket.
fn of_io(error: &(dyn Error + 'static), limit: Duration) -> Option<Cause> {
    Chain(Some(error)).find_map(|link| {
        let inner = link.downcast_ref::<io::Error>()?;
        Some(match inner.kind() {
            io::ErrorKind::ConnectionRefused => Cause::Refused,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::NotConnected => Cause::Reset,
            io::ErrorKind::TimedOut => Cause::TimedOut(limit),
            // Only our own limit (`frames`): a socket has no quota.
            io::ErrorKind::QuotaExceeded => Cause::Limit(Limit::Frames),
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::NetworkDown => Cause::Unreachable(Untrusted::from(inner.to_string())),
            _ => return None,
        })
    })
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
            // A known name with another key is an unknown authority too.
            C::UnknownIssuer | C::BadSignature => TlsFault::UnknownIssuer,
            C::NotValidForName | C::NotValidForNameContext { .. } => TlsFault::WrongName,
            C::Revoked => TlsFault::Revoked,
            other => TlsFault::Other(Untrusted::from(other.to_string())),
        },
        other => TlsFault::Other(Untrusted::from(other.to_string())),
    }
}

/// The error inside an I/O error, however often it was wrapped: `source` skips the directly held one.
fn inside<E: Error + 'static>(error: &io::Error) -> Option<&E> {
    let held = error.get_ref()?;
    held.downcast_ref::<E>().or_else(|| inside(held.downcast_ref::<io::Error>()?))
}

/// The innermost words of an error; the outer ones repeat the URL.
fn innermost(error: &(dyn Error + 'static)) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_errors_are_mapped_to_causes() {
        let limit = Duration::from_secs(30);
        let kind = |kind| of(&io::Error::from(kind), limit);
        assert_eq!(kind(io::ErrorKind::ConnectionRefused), Cause::Refused);
        assert_eq!(kind(io::ErrorKind::BrokenPipe), Cause::Reset);
        assert_eq!(kind(io::ErrorKind::TimedOut), Cause::TimedOut(limit));
        assert_eq!(kind(io::ErrorKind::HostUnreachable), Cause::Unreachable("host unreachable".into()));
        assert_eq!(kind(io::ErrorKind::StorageFull), Cause::Unreachable("no storage space".into()));
        let cause = of_reading(kind(io::ErrorKind::TimedOut));
        assert_eq!(cause, Cause::Unreachable("it vanished without a word".into()));
        let host = || "nowhere".to_owned();
        assert_eq!(of(&UnknownHost(host()), limit), Cause::Dns("nowhere".into()));
        assert_eq!(of(&io::Error::other(BlockedHost(host())), limit), Cause::Blocked("nowhere".into()));
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let wrapped = io::Error::other(io::Error::other(tls));
        assert_eq!(of(&wrapped, limit), Cause::Tls(TlsFault::Expired));
    }
}
