//! How many connections there may be: from one address, and in total.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Limits;

/// The connections that are open.
#[derive(Debug)]
pub(super) struct ConnectionSlots {
    total: usize,
    per_address: usize,
    per_loopback: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// The right to one connection, given back when it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    slots: Arc<ConnectionSlots>,
    address: IpAddr,
}

/// Why a connection is not served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoSlot {
    /// The listener has reached its limit.
    Total,
    /// This address has as many as one address may have.
    Address,
}

impl ConnectionSlots {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            total: limits.connections,
            per_address: limits.per_address,
            per_loopback: limits.per_loopback,
            open: Mutex::default(),
        })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(self: &Arc<Self>, peer: IpAddr) -> Result<ConnectionSlot, NoSlot> {
        let address = group(peer);
        let most = if address.is_loopback() { self.per_loopback } else { self.per_address };
        let mut open = self.open();
        if open.total >= self.total {
            return Err(NoSlot::Total);
        }
        let count = open.by_address.entry(address).or_default();
        if *count >= most {
            return Err(NoSlot::Address);
        }
        *count += 1;
        open.total += 1;
        Ok(ConnectionSlot { slots: self.clone(), address })
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut open = self.slots.open();
        open.total = open.total.saturating_sub(1);
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

/// The unit of counting addresses: all of loopback, an IPv4 address, or the /64 that one IPv6 host usually has.
fn group(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(ip) if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_connections() {
        let limits = Limits { connections: 6, per_address: 2, per_loopback: 3, ..Limits::default() };
        let slots = ConnectionSlots::new(&limits);
        let take = |ip: &str| slots.take(ip.parse().unwrap());
        let mut held = Vec::new();
        for (ip, expected) in [
            ("10.0.0.1", None),
            ("::ffff:10.0.0.1", None),
            ("10.0.0.1", Some(NoSlot::Address)),
            ("127.0.0.1", None),
            ("::1", None),
            ("127.0.0.2", None),
            ("127.0.0.3", Some(NoSlot::Address)),
            ("2001:db8::1", None),
            ("10.0.0.2", Some(NoSlot::Total)),
        ] {
            let taken = take(ip);
            assert_eq!(taken.as_ref().err().copied(), expected, "{ip}");
            held.extend(taken);
        }
        held.remove(0);
        let again = take("10.0.0.1").unwrap();
        drop((held, again));
        {
            let open = slots.open();
            assert_eq!((open.total, open.by_address.len()), (0, 0));
        }
        let first = take("2001:db8::1").unwrap();
        let second = take("2001:db8::2").unwrap();
        assert_eq!(take("2001:db8::3").unwrap_err(), NoSlot::Address);
        drop((first, second));
    }

    #[test]
    fn the_usual_bounds() {
        let limits = Limits::default();
        assert_eq!((limits.connections, limits.per_address, limits.per_loopback), (1000, 64, 512));
    }
}
