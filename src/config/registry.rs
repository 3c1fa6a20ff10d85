//! `[registry]`: the address of the built-in registry, its token, and the lease.

use std::net::SocketAddr;
use std::time::Duration;

use toml::de::DeTable;

use super::load::Reader;
use super::secret::SecretRef;
use super::units;

/// The shortest lease; agents receive it in whole seconds.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// `[registry]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registry {
    /// The address that it listens on. If absent, no registry is served.
    pub listen: Option<SocketAddr>,
    /// The token writers send as `Authorization: Bearer`. If absent, programs on this machine can read and write, and
    /// the listener must be on loopback.
    pub token: Option<SecretRef>,
    /// An agent that has sent nothing for this long leaves. From 1 s to 1 day.
    pub lease: Duration,
}

impl Default for Registry {
    fn default() -> Self {
        Self { listen: None, token: None, lease: Duration::from_secs(60) }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn registry(&mut self, table: &DeTable<'a>) -> Registry {
        self.only(table, "registry", &["listen", "token", "lease"]);
        let listen = table.get("listen").and_then(|_| {
            let parse = |text: &str| listen(text).map(Some);
            let show = |address: &Option<SocketAddr>| address.map(|a| a.to_string()).unwrap_or_default();
            self.text_setting(table, "registry", "listen", None, parse, show)
        });
        let token = table.get("token").and_then(|value| self.secret(value, "registry.token", true));
        let show = |time: &Duration| units::show_duration(*time);
        let lease = self.text_setting(table, "registry", "lease", Registry::default().lease, lease, show);
        if let (Some(address), Some(value)) = (listen, table.get("listen"))
            && !address.ip().is_loopback()
            && !table.contains_key("token")
        {
            let what = "others reach this address; set registry.token too, or listen on 127.0.0.1";
            self.fault(value.span().start, "registry.listen", what);
        }
        Registry { listen, token, lease }
    }
}

/// Parses an address.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    let local = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let address = local.as_deref().unwrap_or(text).parse();
    address.map_err(|_| format!("{text:?} is no address with a port; write 127.0.0.1:8080 or [::1]:8080"))
}

/// Parses a lease.
fn lease(text: &str) -> Result<Duration, String> {
    let time = units::duration(text)?;
    if (SHORTEST..=LONGEST).contains(&time) {
        Ok(time)
    } else {
        Err(format!("{text:?} is not from 1s to 1d"))
    }
}
