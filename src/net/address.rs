//! Which addresses are contacted at all.
//!
//! A card is written by its agent: it must not make this machine call the metadata service of a
//! cloud or another host of the local link. Loopback and private networks are where agents live.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

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

/// Resolves by the system, and drops blocked addresses at the last moment before connecting.
#[derive(Debug)]
pub(super) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            if found.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "no address").into());
            }
            let allowed: Vec<_> = found.into_iter().filter(|address| !is_blocked(address.ip())).collect();
            if allowed.is_empty() {
                return Err(BlockedHost(host).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
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
