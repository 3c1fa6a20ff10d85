//! Who may write: whoever has the token; without one, programs of this machine, but no web page in its browser.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{AUTHORIZATION, FORWARDED, HOST, ORIGIN};
use sha2::{Digest, Sha256};

use crate::config::secret::Secret;

/// How writers prove who they are.
#[derive(Clone, Debug)]
pub(super) struct Writers {
    /// The hash of the token, so that comparing takes the same time whatever is sent.
    token: Option<Fingerprint>,
}

#[derive(Clone)]
struct Fingerprint([u8; 32]);

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Why somebody may not write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// A token is wanted, and there is none or a wrong one.
    Token,
    /// There is no token, and this did not come from a program of this machine.
    Place,
}

impl Writers {
    pub(super) fn new(token: Option<&Secret>) -> Self {
        Self { token: token.map(|token| Fingerprint(Sha256::digest(token.expose()).into())) }
    }

    pub(super) fn check(&self, headers: &HeaderMap, peer: SocketAddr) -> Result<(), Refused> {
        let Some(token) = &self.token else {
            return if is_local(headers, peer) { Ok(()) } else { Err(Refused::Place) };
        };
        let sent = headers.get(AUTHORIZATION).map(http::HeaderValue::as_bytes).unwrap_or_default();
        let (scheme, value) = sent.split_at_checked(7).unwrap_or_default();
        let value: [u8; 32] = Sha256::digest(value.trim_ascii()).into();
        // Every byte is looked at, wherever the first difference is.
        let differs = token.0.iter().zip(value).fold(0, |differs, (a, b)| differs | (a ^ b));
        if scheme.eq_ignore_ascii_case(b"bearer ") && differs == 0 { Ok(()) } else { Err(Refused::Token) }
    }
}

/// True for a program of this machine. A page in a browser of this machine sends its origin, or by a name that it
/// had resolve to loopback; a proxy says for whom it asks.
fn is_local(headers: &HeaderMap, peer: SocketAddr) -> bool {
    let through = [ORIGIN.as_str(), FORWARDED.as_str(), "x-forwarded-for", "x-forwarded-host"];
    let host = headers.get(HOST).map(|host| host.to_str().unwrap_or("?"));
    peer.ip().to_canonical().is_loopback()
        && !through.iter().any(|name| headers.contains_key(*name))
        && host.is_none_or(is_loopback_host)
}

fn is_loopback_host(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let name = name.to_ascii_lowercase();
    address.map_or_else(
        |_| name == "localhost" || name.ends_with(".localhost"),
        |ip| ip.to_canonical().is_loopback(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(token: Option<&str>, peer: &str, headers: &[(&str, &str)], expected: Result<(), Refused>) {
        let writers = Writers::new(token.map(Secret::new).as_ref());
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(http::HeaderName::try_from(*name).unwrap(), (*value).parse().unwrap());
        }
        assert_eq!(writers.check(&map, peer.parse().unwrap()), expected, "{token:?} {peer} {headers:?}");
        assert!(!format!("{writers:?}").contains("s3"));
    }

    #[test]
    fn who_may_write() {
        let (home, away) = ("127.0.0.1:5", "10.0.0.9:5");
        check(None, home, &[("host", "127.0.0.1:8080")], Ok(()));
        check(None, home, &[("host", "localhost:8080")], Ok(()));
        check(None, "[::1]:5", &[("host", "[::1]:8080")], Ok(()));
        check(None, "[::ffff:127.0.0.1]:5", &[], Ok(()));
        check(None, away, &[], Err(Refused::Place));
        check(None, home, &[("origin", "https://evil.example")], Err(Refused::Place));
        check(None, home, &[("host", "evil.example:8080")], Err(Refused::Place));
        check(None, home, &[("x-forwarded-for", "10.0.0.9")], Err(Refused::Place));
        check(Some("s3"), home, &[], Err(Refused::Token));
        check(Some("s3"), home, &[("authorization", "Bearer s4")], Err(Refused::Token));
        check(Some("s3"), home, &[("authorization", "Basic s3")], Err(Refused::Token));
        check(Some("s3"), home, &[("authorization", "é")], Err(Refused::Token));
        check(Some("s3"), away, &[("authorization", "bearer s3"), ("origin", "https://a")], Ok(()));
    }
}
