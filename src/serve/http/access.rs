//! Access rules: everyone with the token, programs of this machine without it, never a web page.

use std::net::{IpAddr, SocketAddr};

use http::header::{AUTHORIZATION, FORWARDED, HOST, ORIGIN, VIA};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use sha2::{Digest, Sha256};

use super::route::Caller;
use crate::config::secret::Secret;

/// Headers that proxies add, beside everything that begins with one of [`PROXY_PREFIXES`].
const PROXY_HEADERS: [&str; 6] = [
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-original-host",
];
const PROXY_PREFIXES: [&str; 3] = ["x-forwarded", "x-original-forwarded", "x-envoy-"];

/// The rules of a listener.
///
/// - A valid token may do everything, from everywhere.
/// - Without it, a request that shows that a web page sent it (`Origin`, a `Sec-Fetch-Site` other than `none` and
///   `same-origin`) is refused.
/// - If a token is configured, writing needs it.
/// - If none is configured, or for reading from a listener on loopback, the caller must be a program of this machine: it
///   connects from loopback, names loopback (or the address that is listened on) as the host, and no header of a proxy
///   is there. A DNS name that somebody else had resolve to loopback is thereby refused.
/// - A listener off loopback is read by whoever reaches it, under any host name.
#[derive(Clone, Debug)]
pub struct Access {
    /// The hash of the token, so that comparing takes the same time whatever is sent.
    token: Option<Fingerprint>,
    listen: IpAddr,
}

#[derive(Clone)]
struct Fingerprint([u8; 32]);

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Why a call is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// The token is missing or wrong.
    Token,
    /// It needs a program of this machine, and this is none.
    NotLocal,
    /// A web page sent it.
    WebPage,
}

impl Access {
    /// The rules of a listener on `listen`.
    pub fn new(token: Option<&Secret>, listen: SocketAddr) -> Self {
        Self {
            token: token.map(|token| Fingerprint(Sha256::digest(token.expose()).into())),
            listen: listen.ip().to_canonical(),
        }
    }

    pub(super) fn check(
        &self,
        caller: Caller,
        headers: &HeaderMap,
        host: Option<&str>,
        peer: SocketAddr,
    ) -> Result<(), Refused> {
        if self.token.as_ref().is_some_and(|token| token.is_sent(headers)) {
            return Ok(());
        }
        if caller == Caller::Writer && self.token.is_some() {
            return Err(Refused::Token);
        }
        if is_of_a_web_page(headers) {
            return Err(Refused::WebPage);
        }
        let local_only = caller == Caller::Writer || self.listen.is_loopback();
        if local_only && !self.is_local(headers, host, peer) {
            return Err(Refused::NotLocal);
        }
        Ok(())
    }

    fn is_local(&self, headers: &HeaderMap, host: Option<&str>, peer: SocketAddr) -> bool {
        peer.ip().to_canonical().is_loopback()
            && !headers.keys().any(is_of_a_proxy)
            && host.is_none_or(|host| self.is_own_host(host))
    }

    fn is_own_host(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let unbracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let name = name.to_ascii_lowercase();
        match unbracketed.unwrap_or(&name).parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().is_loopback() || ip.to_canonical() == self.listen,
            Err(_) => name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

impl Fingerprint {
    fn is_sent(&self, headers: &HeaderMap) -> bool {
        let sent = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let (scheme, value) = sent.split_at_checked(7).unwrap_or_default();
        let value: [u8; 32] = Sha256::digest(value.trim_ascii()).into();
        // Every byte is looked at, wherever the first difference is.
        let differs = self.0.iter().zip(value).fold(0, |differs, (a, b)| differs | (a ^ b));
        scheme.eq_ignore_ascii_case(b"bearer ") && differs == 0
    }
}

/// A page of another origin sends `Origin` with every request except a plain `GET`; for that, browsers send
/// `Sec-Fetch-Site`. `same-site` is refused too: every port of this machine is the same site.
fn is_of_a_web_page(headers: &HeaderMap) -> bool {
    let harmless = |site: &HeaderValue| matches!(site.as_bytes(), b"none" | b"same-origin");
    headers.contains_key(ORIGIN) || !headers.get_all("sec-fetch-site").iter().all(harmless)
}

fn is_of_a_proxy(name: &HeaderName) -> bool {
    let word = name.as_str();
    *name == FORWARDED
        || *name == VIA
        || PROXY_HEADERS.contains(&word)
        || PROXY_PREFIXES.iter().any(|prefix| word.starts_with(prefix))
}

/// The one host that a request names: that of its URL, else its `Host`. HTTP/1.1 needs exactly one `Host`, HTTP/2 one of both.
pub(super) fn host(head: &Parts) -> Result<Option<&str>, &'static str> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err("the request has more than one Host header");
    }
    // HTTP/2 has the host in its `:authority`.
    let needs_header = head.version == Version::HTTP_11 || head.uri.authority().is_none();
    if first.is_none() && head.version >= Version::HTTP_11 && needs_header {
        return Err("the request has no Host header");
    }
    let first = first.map(|host| host.to_str().map_err(|_| "the Host header is not ASCII")).transpose()?;
    match head.uri.authority() {
        Some(authority) if first.is_some_and(|host| !host.eq_ignore_ascii_case(authority.as_str())) => {
            Err("the URL of the request and its Host header name different hosts")
        }
        Some(authority) => Ok(Some(authority.as_str())),
        None => Ok(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "127.0.0.1:5";
    const AWAY: &str = "10.0.0.9:5";

    #[derive(Clone, Copy)]
    struct At {
        listen: &'static str,
        token: Option<&'static str>,
    }

    const LOOPBACK: At = At { listen: "127.0.0.1:8080", token: None };
    const WITH_TOKEN: At = At { token: Some("s3"), ..LOOPBACK };
    const LAN: At = At { listen: "10.0.0.1:8080", token: Some("s3") };
    const EVERYWHERE: At = At { listen: "0.0.0.0:8080", ..LAN };

    /// The replies to a reader and a writer.
    #[track_caller]
    fn check(at: At, peer: &str, headers: &[(&str, &str)], expected: [Result<(), Refused>; 2]) {
        let access = Access::new(at.token.map(Secret::new).as_ref(), at.listen.parse().unwrap());
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).unwrap(), (*value).parse().unwrap());
        }
        let host = map.get(HOST).map(|host| host.to_str().unwrap());
        let is = [Caller::Reader, Caller::Writer]
            .map(|caller| access.check(caller, &map, host, peer.parse().unwrap()));
        assert_eq!(is, expected, "{} {:?} {peer} {headers:?}", at.listen, at.token);
        assert!(!format!("{access:?}").contains("s3"));
    }

    #[test]
    fn programs_of_this_machine_read_and_write_without_a_token() {
        for host in
            ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "a.localhost", "[::1]:8080", "127.0.0.9"]
        {
            check(LOOPBACK, HOME, &[("host", host)], [Ok(()); 2]);
        }
        check(LOOPBACK, "[::1]:5", &[("host", "[::1]:8080")], [Ok(()); 2]);
        check(LOOPBACK, "[::ffff:127.0.0.1]:5", &[], [Ok(()); 2]);
        check(LOOPBACK, HOME, &[("host", "localhost"), ("sec-fetch-site", "none")], [Ok(()); 2]);
        check(LOOPBACK, HOME, &[("host", "localhost"), ("sec-fetch-site", "same-origin")], [Ok(()); 2]);
    }

    #[test]
    fn no_foreign_host_and_no_proxy_reads_or_writes_by_accident() {
        let refused = [Err(Refused::NotLocal); 2];
        check(LOOPBACK, AWAY, &[], refused);
        for host in
            ["evil.example:8080", "localhost.", "127.1", "0.0.0.0", "2130706433", "a@localhost", "10.0.0.9"]
        {
            check(LOOPBACK, HOME, &[("host", host)], refused);
            check(WITH_TOKEN, HOME, &[("host", host)], [Err(Refused::NotLocal), Err(Refused::Token)]);
        }
        for name in [
            "via",
            "forwarded",
            "x-real-ip",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-forwarded-server",
            "x-forwarded",
            "x-client-ip",
            "true-client-ip",
            "cf-connecting-ip",
            "x-envoy-external-address",
        ] {
            check(LOOPBACK, HOME, &[("host", "localhost"), (name, "1.1 x")], refused);
        }
    }

    #[test]
    fn no_web_page_reads_or_writes() {
        let refused = [Err(Refused::WebPage); 2];
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "http://localhost:3000"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            check(LOOPBACK, HOME, &[("host", "localhost"), (name, value)], refused);
            check(LAN, AWAY, &[(name, value)], [Err(Refused::WebPage), Err(Refused::Token)]);
        }
        let twice = [("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")];
        check(LOOPBACK, HOME, &twice, refused);
    }

    #[test]
    fn a_listener_off_loopback_is_readable_by_everyone_and_writable_with_a_token() {
        for at in [LAN, EVERYWHERE] {
            for host in ["10.0.0.1:8080", "registry.internal:8080", "registry"] {
                check(at, AWAY, &[("host", host)], [Ok(()), Err(Refused::Token)]);
            }
            let proxied = [("host", "registry.example"), ("x-forwarded-for", "10.0.0.2"), ("via", "1.1 x")];
            check(at, AWAY, &proxied, [Ok(()), Err(Refused::Token)]);
        }
        // Without a token, which the configuration does not allow there, only this machine writes.
        let open = At { token: None, ..LAN };
        check(open, AWAY, &[("host", "10.0.0.1:8080")], [Ok(()), Err(Refused::NotLocal)]);
        check(open, HOME, &[("host", "10.0.0.1:8080")], [Ok(()); 2]);
    }

    #[test]
    fn a_token_must_match_completely() {
        let sent = |value: &'static str| [("authorization", value), ("origin", "https://a"), ("via", "x")];
        for at in [WITH_TOKEN, LAN] {
            check(at, AWAY, &sent("bearer s3"), [Ok(()); 2]);
            check(at, AWAY, &sent("Bearer  s3 "), [Ok(()); 2]);
            for wrong in ["Bearer s4", "Bearer s", "Bearer s3s3", "Basic s3", "é", "s3", ""] {
                check(at, AWAY, &sent(wrong), [Err(Refused::WebPage), Err(Refused::Token)]);
            }
        }
    }

    #[test]
    fn a_request_must_name_exactly_one_host() {
        for (version, uri, hosts, expected) in [
            (Version::HTTP_11, "/", &["a"][..], Ok(Some("a"))),
            (Version::HTTP_11, "/", &[], Err("the request has no Host header")),
            (Version::HTTP_10, "/", &[], Ok(None)),
            (Version::HTTP_10, "/", &["a", "a"], Err("the request has more than one Host header")),
            (Version::HTTP_11, "/", &["a", "b"], Err("the request has more than one Host header")),
            (Version::HTTP_11, "http://b/", &["B"], Ok(Some("b"))),
            (Version::HTTP_11, "http://b/", &[], Err("the request has no Host header")),
            (Version::HTTP_2, "http://b/", &[], Ok(Some("b"))),
            (Version::HTTP_2, "/", &[], Err("the request has no Host header")),
            (
                Version::HTTP_11,
                "http://evil.example/",
                &["localhost"],
                Err("the URL of the request and its Host header name different hosts"),
            ),
        ] {
            let mut request = http::Request::builder().version(version).uri(uri);
            for host in hosts {
                request = request.header(HOST, *host);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(host(&head), expected, "{version:?} {uri} {hosts:?}");
        }
    }
}
