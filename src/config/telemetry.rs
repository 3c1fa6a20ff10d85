//! `[telemetry]`: where traces and logs are received, and how long they are kept.

use std::net::{Ipv4Addr, SocketAddr};

use toml::de::DeTable;

use super::load::Reader;
use super::registry::listen;
use super::secret::SecretRef;
use super::units;
use crate::telemetry::limits::{self, Retention};

/// The ports on which exporters look for a receiver, for HTTP and for gRPC.
const HTTP_PORT: u16 = 4318;
const GRPC_PORT: u16 = 4317;
/// The smallest store that holds something useful.
const SMALLEST: u64 = 8 * 1024 * 1024;

/// Where something is received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// At the usual port on loopback. If it is in use, that is told and nothing else happens.
    Usual(SocketAddr),
    /// At an address of the configuration.
    At(SocketAddr),
}

impl Listen {
    /// The address; `None` if it is off.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::Usual(address) | Self::At(address) => Some(address),
        }
    }

    fn usual(port: u16) -> Self {
        Self::Usual(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }
}

/// `[telemetry]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Telemetry {
    /// OTLP over HTTP.
    pub http: Listen,
    /// OTLP over gRPC.
    pub grpc: Listen,
    /// The token that exporters send as `Authorization: Bearer`. If absent, programs on this machine may send, and the
    /// listeners must be on loopback.
    pub token: Option<SecretRef>,
    /// How long traces and logs are kept.
    pub keep: Retention,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            http: Listen::usual(HTTP_PORT),
            grpc: Listen::usual(GRPC_PORT),
            token: None,
            keep: Retention::default(),
        }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn telemetry(&mut self, table: &DeTable<'a>) -> Telemetry {
        self.only(table, "telemetry", &["http", "grpc", "token", "keep", "keep_bytes"]);
        let usual = Telemetry::default();
        let show = |at: &Listen| at.address().map_or("off".to_owned(), |address| address.to_string());
        let parse = |text: &str| match text {
            "off" => Ok(Listen::Off),
            _ => listen(text).map(Listen::At),
        };
        let http = self.text_setting(table, "telemetry", "http", usual.http, parse, show);
        let grpc = self.text_setting(table, "telemetry", "grpc", usual.grpc, parse, show);
        let token = table.get("token").and_then(|value| self.secret(value, "telemetry.token", true));
        let show = |time: &std::time::Duration| units::show_duration(*time);
        let time = self.text_setting(table, "telemetry", "keep", usual.keep.time, units::duration, show);
        let bytes = self.text_setting(
            table,
            "telemetry",
            "keep_bytes",
            usual.keep.bytes,
            |text| {
                let bytes = units::bytes(text)?;
                if (SMALLEST..=limits::ON_DISK).contains(&bytes) {
                    Ok(bytes)
                } else {
                    Err(format!("{text:?} is not from 8 MiB to 1 GiB"))
                }
            },
            |bytes| units::show_bytes(*bytes),
        );
        for (key, at) in [("http", http), ("grpc", grpc)] {
            if let (Listen::At(address), Some(value)) = (at, table.get(key))
                && !address.ip().is_loopback()
                && !table.contains_key("token")
            {
                let what = "others reach this address; set telemetry.token too, or listen on 127.0.0.1";
                self.fault(value.span().start, &format!("telemetry.{key}"), what);
            }
        }
        Telemetry { http, grpc, token, keep: Retention { time, bytes } }
    }
}
