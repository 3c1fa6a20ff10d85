//! Which addresses are contacted at all.
//!
//! A card is written by its agent: it must not make this machine call the metadata service of a cloud or another host
//! of the local link, however their addresses are written. Loopback and private networks are where agents live.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;

/// An address and how many bits of it count.
type Block<A> = (A, u32);

/// Addresses that are contacted only if the operator names them, each with its source: the local link, where most clouds
/// have their metadata service, those services that are elsewhere, and groups.
const BLOCKED_V4: [Block<Ipv4Addr>; 6] = [
    // RFC 3927. Metadata of AWS, GCP, Azure, Oracle, OpenStack and others (169.254.169.254), credentials of AWS ECS
    // (169.254.170.2) and EKS (169.254.170.23), metadata of Tencent (169.254.0.23) and Scaleway (169.254.42.42).
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    // Alibaba Cloud, "View instance metadata".
    (Ipv4Addr::new(100, 100, 100, 200), 32),
    // Microsoft Azure, "What is IP address 168.63.129.16?": wire server, DNS and health probes.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    // RFC 6890, IETF protocol assignments. Metadata of Oracle Cloud Infrastructure Classic (192.0.0.192).
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    // RFC 5771, multicast.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    // RFC 919, broadcast.
    (Ipv4Addr::BROADCAST, 32),
];

/// The same for IPv6.
const BLOCKED_V6: [Block<Ipv6Addr>; 6] = [
    // RFC 4291, the local link. Metadata of OpenStack (fe80::a9fe:a9fe).
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    // RFC 4291, multicast.
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
    // AWS: metadata (fd00:ec2::254), credentials of EKS (fd00:ec2::23), DNS (fd00:ec2::253).
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32),
    // Google Cloud, metadata for IPv6-only instances (fd20:ce::254).
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0), 32),
    // Oracle Cloud Infrastructure, metadata (fd00:c1::a9fe:a9fe).
    (Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0, 0), 32),
    // Scaleway, metadata (fd00:42::42).
    (Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0), 32),
];

/// True for addresses that are contacted only if the operator names them, in whatever form.
pub(super) fn is_blocked(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_blocked_v4(v4),
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            let of_v6 = |(block, length): &Block<Ipv6Addr>| (bits ^ block.to_bits()) >> (128 - length) == 0;
            BLOCKED_V6.iter().any(of_v6) || embedded(v6).into_iter().flatten().any(is_blocked_v4)
        }
    }
}

fn is_blocked_v4(v4: Ipv4Addr) -> bool {
    let bits = v4.to_bits();
    BLOCKED_V4.iter().any(|(block, length)| (bits ^ block.to_bits()) >> (32 - length) == 0)
}

/// The IPv4 addresses that a gateway or the system may take an IPv6 address for.
fn embedded(v6: Ipv6Addr) -> [Option<Ipv4Addr>; 4] {
    let b = v6.octets();
    let at = |places: [usize; 4]| Some(Ipv4Addr::from(places.map(|place| b[place])));
    let last = [12, 13, 14, 15];
    match v6.segments() {
        // RFC 4291, IPv4-compatible and IPv4-mapped; RFC 2765, IPv4-translated. The first hold `::` and `::1` too.
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => [at(last), None, None, None],
        // RFC 6052, NAT64 by the well-known prefix.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => [at(last), None, None, None],
        // RFC 8215, NAT64 by prefixes for local use, which may be of each length that RFC 6052 has from 48 on: the
        // address leaves out bits 64 to 71.
        [0x64, 0xff9b, 1, ..] => [at([6, 7, 9, 10]), at([7, 9, 10, 11]), at([9, 10, 11, 12]), at(last)],
        // RFC 3056, 6to4.
        [0x2002, ..] => [at([2, 3, 4, 5]), None, None, None],
        // RFC 4380, Teredo: the server, and the client with its bits turned over.
        [0x2001, 0, ..] => {
            let client = at(last).map(|client| Ipv4Addr::from_bits(!client.to_bits()));
            [at([4, 5, 6, 7]), client, None, None]
        }
        // RFC 5214, ISATAP, below any prefix.
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => [at(last), None, None, None],
        _ => [None; 4],
    }
}

/// A host resolves only to blocked addresses.
#[derive(Debug)]
pub(super) struct BlockedHost(pub String);

impl std::fmt::Display for BlockedHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} resolves to an address that is not contacted", self.0)
    }
}

impl std::error::Error for BlockedHost {}

/// A host has no address.
#[derive(Debug)]
pub(super) struct UnknownHost(pub String);

impl std::fmt::Display for UnknownHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} has no address", self.0)
    }
}

impl std::error::Error for UnknownHost {}

type Fault = Box<dyn std::error::Error + Send + Sync>;
type Found = std::vec::IntoIter<SocketAddr>;

/// Resolves by the system, and drops blocked addresses at the last moment before connecting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolver;

impl Resolver {
    async fn find(host: String) -> Result<Found, Fault> {
        let found = tokio::net::lookup_host((host.as_str(), 0)).await;
        let found: Vec<SocketAddr> = found.map_or_else(|_| Vec::new(), Iterator::collect);
        if found.is_empty() {
            return Err(UnknownHost(host).into());
        }
        let allowed: Vec<_> = found.into_iter().filter(|address| !is_blocked(address.ip())).collect();
        if allowed.is_empty() {
            return Err(BlockedHost(host).into());
        }
        Ok(allowed.into_iter())
    }
}

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let found = Self::find(name.as_str().to_owned());
        Box::pin(async { Ok(Box::new(found.await?) as reqwest::dns::Addrs) })
    }
}

impl tower_service::Service<Name> for Resolver {
    type Response = Found;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Found, Fault>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(Self::find(name.as_str().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, blocked: bool) {
        assert_eq!(is_blocked(address.parse().unwrap()), blocked, "{address}");
    }

    #[test]
    fn metadata_services_and_the_local_link_are_not_contacted() {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.170.23",
            "169.254.0.23",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "224.0.0.1",
            "239.255.255.250",
            "255.255.255.255",
            "fe80::1",
            "fe80::a9fe:a9fe",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
        ] {
            check(address, true);
        }
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.100.100.201",
            "168.63.129.17",
            "192.0.1.1",
            "223.255.255.255",
            "8.8.8.8",
            "::1",
            "::",
            "2001:db8::1",
            "fd00::1",
            "fec0::1",
            "2606:4700::1111",
        ] {
            check(address, false);
        }
    }

    #[test]
    fn an_address_embedded_in_another_is_checked_too() {
        for v4 in BLOCKED_V4
            .iter()
            .map(|(block, _)| *block)
            .chain(["10.1.2.3", "127.0.0.1", "8.8.8.8"].map(|good| good.parse().unwrap()))
        {
            let blocked = is_blocked(v4.into());
            let [a, b, c, d] = v4.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            for form in [
                format!("::ffff:{v4}"),
                format!("::{v4}"),
                format!("::ffff:0:{v4}"),
                format!("64:ff9b::{v4}"),
                format!("64:ff9b:1::{v4}"),
                format!("64:ff9b:1:{high:x}:{c:x}:{d:02x}00::"),
                format!("64:ff9b:1:{a:02x}:{b:x}:{low:x}::"),
                format!("64:ff9b:1:0:{a:x}:{b:02x}{c:02x}:{d:02x}00::"),
                format!("2002:{high:x}:{low:x}::1"),
                format!("2001:0:{high:x}:{low:x}:0:0:f5ff:fefc"),
                format!("2001:0:c0a8:101:0:0:{:x}:{:x}", !high, !low),
                format!("2001:db8::5efe:{v4}"),
                format!("2001:db8::200:5efe:{v4}"),
            ] {
                let address: Ipv6Addr = form.parse().unwrap_or_else(|error| panic!("{form}: {error}"));
                let embeds = is_blocked(address.into());
                assert_eq!(embeds, blocked, "{form}");
            }
        }
    }
}
