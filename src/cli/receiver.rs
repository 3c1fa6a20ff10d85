//! The receiver of telemetry beside an engine of ours.

use std::net::SocketAddr;

use crate::config::{self, Listen};
use crate::engine::Engine;
use crate::net::credentials::read_secret;
use crate::serve::http::{Server, bind, bind_error};
use crate::serve::otlp;

/// The listeners; none if nothing is received.
#[derive(Debug, Default)]
pub struct Receiver(Vec<Server>);

impl Receiver {
    /// Listens where the configuration says. What cannot be listened on is told in the status of telemetry, and nothing
    /// else stops because of it.
    pub async fn start(config: &config::Telemetry, engine: &Engine) -> Self {
        let (telemetry, handle) = (engine.telemetry(), engine.handle());
        let token = match &config.token {
            None => None,
            Some(token) => match read_secret(token).await {
                Ok(token) => {
                    engine.net().redactor().learn(&token);
                    Some(token)
                }
                Err(cause) => {
                    let why = format!("telemetry is not received: telemetry.token cannot be read: {cause}");
                    tracing::warn!("{why}");
                    telemetry.is_not_received(why);
                    return Self::default();
                }
            },
        };
        let mut servers = Vec::new();
        for (signal, at) in [("HTTP", config.http), ("gRPC", config.grpc)] {
            let Some(address) = at.address() else { continue };
            let served = bind(address).map_err(|error| bind_error(address, &error)).and_then(|bound| {
                otlp::serve(bound, telemetry, &handle, token.as_ref()).map_err(|error| error.to_string())
            });
            match served {
                Ok(server) => {
                    telemetry.is_received(server.address());
                    servers.push(server);
                }
                Err(why) => {
                    let why = format!("OTLP over {signal} is not received: {why}");
                    match at {
                        Listen::At(_) => tracing::warn!("{why}"),
                        Listen::Usual(_) | Listen::Off => tracing::info!("{why}"),
                    }
                    telemetry.is_not_received(why);
                }
            }
        }
        Self(servers)
    }

    /// Listens on loopback at a port that the system chooses, for a demo.
    pub fn start_anywhere(engine: &Engine) -> Self {
        let (telemetry, handle) = (engine.telemetry(), engine.handle());
        let served = bind(SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0)))
            .and_then(|bound| otlp::serve(bound, telemetry, &handle, None));
        match served {
            Ok(server) => {
                telemetry.is_received(server.address());
                Self(vec![server])
            }
            Err(error) => {
                telemetry.is_not_received(format!("OTLP is not received: {error}"));
                Self::default()
            }
        }
    }

    /// Where it listens; `None` if nothing is received.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.first().map(Server::address)
    }

    /// Takes no more requests.
    pub async fn stop(self) {
        for server in self.0 {
            server.stop().await;
        }
    }
}
