//! SRV records: `_a2a._tcp.example.com` has the hosts and ports of agents, and how long they are valid.

use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver};

use super::poll::{ChangeReporter, ReadResult};
use super::{Discover, Running, SourceSender, url_of};
use crate::config::AgentSource;
use crate::domain::cause::Cause;
use crate::domain::fleet::source::{DiscoveredAgent, SourceSpec};
use crate::domain::text::Untrusted;
use crate::net::Net;

/// The longest TTL of a record that is respected.
const LONGEST: Duration = Duration::from_secs(300);
/// The time limit of one query, including its retry.
const QUESTION: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(20);

/// The source.
#[derive(Debug)]
pub(super) struct Records {
    config: AgentSource,
}

impl Records {
    pub(super) fn new(config: AgentSource) -> Self {
        Self { config }
    }
}

impl Discover for Records {
    fn spec(&self) -> SourceSpec {
        self.config.spec()
    }

    fn run(self: Box<Self>, report: SourceSender, _net: Net) -> Running {
        Box::pin(async move {
            let mut reporter = ChangeReporter::new(report, &self.config);
            loop {
                let asked = tokio::time::timeout(ANSWER, ask(&self.config)).await;
                let (goes_on, lives) = match asked {
                    Err(_) => (reporter.failed(Cause::TimedOut(ANSWER)).await, Duration::ZERO),
                    Ok(Err(cause)) => (reporter.failed(cause).await, Duration::ZERO),
                    Ok(Ok((reading, lives))) => (reporter.found(reading).await, lives),
                };
                if !goes_on {
                    return;
                }
                tokio::time::sleep(lives.clamp(self.config.every, LONGEST.max(self.config.every))).await;
            }
        })
    }
}

/// The agents in the current records, and how long these are valid. The system's settings are read each time, because
/// they change when a laptop moves.
async fn ask(config: &AgentSource) -> Result<(ReadResult, Duration), Cause> {
    let fault =
        |error: &dyn std::fmt::Display| Cause::Source(Untrusted::from(format!("{}: {error}", config.at)));
    let resolver = resolver(config).map_err(|error| fault(&error))?;
    let answer = match resolver.lookup(format!("{}.", config.at), RecordType::SRV).await {
        Ok(answer) => answer,
        Err(error) if error.is_nx_domain() => return Err(fault(&"there is no such name")),
        // The name exists but has no such record: there are no agents.
        Err(error) if error.is_no_records_found() => return Ok((ReadResult::default(), Duration::ZERO)),
        Err(error) => return Err(fault(&error)),
    };
    let mut reading = ReadResult::default();
    let mut lives = LONGEST;
    for record in answer.answers() {
        let RData::SRV(srv) = &record.data else { continue };
        lives = lives.min(Duration::from_secs(u64::from(record.ttl)));
        let host = srv.target.to_ascii();
        let host = host.trim_end_matches('.');
        // A single dot means that there is no agent (RFC 2782).
        if host.is_empty() {
            continue;
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !host.bytes().all(plain) || srv.port == 0 {
            let shown = Untrusted::from(host).shortened(80).line().into_string();
            reading.broken.add(&config.at, format!("{shown:?} port {} is no place of an agent", srv.port));
            continue;
        }
        reading.agents.push(DiscoveredAgent::at(url_of(host, srv.port, None, config.scheme)));
    }
    reading.agents.sort_by(|a, b| a.url.cmp(&b.url));
    Ok((reading, lives))
}

fn resolver(config: &AgentSource) -> Result<TokioResolver, hickory_resolver::net::NetError> {
    let mut builder = match config.resolver {
        None => TokioResolver::builder_tokio()?,
        Some(address) => {
            let with_port = |mut connection: ConnectionConfig| {
                connection.port = address.port();
                connection
            };
            let connections = vec![with_port(ConnectionConfig::udp()), with_port(ConnectionConfig::tcp())];
            let server = NameServerConfig::new(address.ip(), true, connections);
            let servers = ResolverConfig::from_name_servers(vec![server]);
            Resolver::builder_with_config(servers, TokioRuntimeProvider::default())
        }
    };
    let options = builder.options_mut();
    // The source itself keeps track of how long an answer is valid.
    options.cache_size = 0;
    options.timeout = QUESTION;
    options.attempts = 2;
    options.use_hosts_file = ResolveHosts::Never;
    builder.build()
}
