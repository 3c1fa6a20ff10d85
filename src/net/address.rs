//! Which addresses are contacted at all.
//!
//! A card is written by its agent: it must not make this machine call the metadata service of a
//! cloud or another host of the local link. Loopback and private networks are where agents live.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;

/// True for addresses that are contacted only if the operator names them.
pub(super) fn is_blocked(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => blocked_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => blocked_v4(v4),
            None => {
                v6.is_unicast_link_local()
                    || v6.is_multicast()
                    || v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
            }
        },
    }
}

fn blocked_v4(v4: Ipv4Addr) -> bool {
    v4.is_link_local() || v4.is_multicast() || v4.is_broadcast() || v4 == Ipv4Addr::new(100, 100, 100, 200)
}

/// Says that a host resolves to blocked addresses alone.
#[derive(Debug)]
pub(super) struct BlockedHost(pub String);

impl std::fmt::Display for BlockedHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} resolves to an address that is not contacted", self.0)
    }
}

impl std::error::Error for BlockedHost {}

/// Says that a host has no address.
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

    #[test]
    fn the_metadata_service_is_never_called() {
        for (address, blocked) in [
            ("169.254.169.254", true),
            ("::ffff:169.254.169.254", true),
            ("fe80::1", true),
            ("fd00:ec2::254", true),
            ("100.100.100.200", true),
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("::1", false),
            ("192.168.1.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_blocked(address.parse().unwrap()), blocked, "{address}");
        }
    }
}
