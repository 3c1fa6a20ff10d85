//! The receiver of OTLP: traces and logs over HTTP and gRPC, so that an agent needs `OTEL_EXPORTER_OTLP_ENDPOINT` alone.
//!
//! Both kinds of requests are answered on each of its addresses. <https://opentelemetry.io/docs/specs/otlp/>

mod body;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::json;
use tokio::sync::Semaphore;

use self::body::{Format, decoded, framed};
use super::http::{Access, Body, Call, Caller, GrpcStatus, Limits, Reply, Route, Server, Stats};
use super::metrics;
use crate::config::secret::Secret;
use crate::engine::Handle;
use crate::engine::telemetry::{NotTaken, Telemetry};
use crate::store::telemetry::Taken;
use crate::telemetry::limits;
use crate::telemetry::otlp::Signal;
use crate::telemetry::protobuf::Message;

/// Requests up to this long are decoded where they are read; longer ones would keep other connections waiting.
const SMALL: usize = 64 * 1024;
/// Larger or compressed requests that are decoded at once; others wait, and are answered with 503 if that takes too long. A
/// few bytes of gzip become 4 MiB, and JSON takes many times its length while it is read.
const DECODED_AT_ONCE: usize = 2;
/// An exporter keeps its connection, and sends every few seconds.
const EXCHANGE: Duration = Duration::from_secs(120);
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// Answers exporters, and scrapes of the fleet's metrics, on a bound port until it is dropped.
///
/// # Errors
/// The port cannot be used.
pub fn serve(
    bound: TcpListener,
    telemetry: &Telemetry,
    handle: &Handle,
    token: Option<&Secret>,
) -> io::Result<Server> {
    let address: SocketAddr = bound.local_addr()?;
    let limits =
        Limits { body_bytes: limits::IN_MEMORY / 2, exchange: EXCHANGE, life: LIFE, ..Limits::default() };
    let mut routes = routes(telemetry);
    routes.push(metrics::route(handle));
    Server::start(bound, routes, Access::new(token, address), limits, Arc::new(Stats::default()))
}

fn routes(telemetry: &Telemetry) -> Vec<Route> {
    let turns = Arc::new(Semaphore::new(DECODED_AT_ONCE));
    let route = |path: &'static str, signal: Signal| {
        let (telemetry, turns) = (telemetry.clone(), turns.clone());
        Route::new(Method::POST, path, Body::Otlp(limits::REQUEST), Caller::Writer, move |call| {
            receive(telemetry.clone(), turns.clone(), signal, call)
        })
    };
    vec![
        route("/v1/traces", Signal::Traces),
        route("/v1/logs", Signal::Logs),
        route("/opentelemetry.proto.collector.trace.v1.TraceService/Export", Signal::Traces),
        route("/opentelemetry.proto.collector.logs.v1.LogsService/Export", Signal::Logs),
    ]
}

async fn receive(telemetry: Telemetry, turns: Arc<Semaphore>, signal: Signal, call: Call) -> Reply {
    let format = Format::of(&call);
    if call.body.len() <= SMALL && call.encoding.is_empty() {
        return answer(&telemetry, signal, format, &call);
    }
    let busy = || failure(format, StatusCode::SERVICE_UNAVAILABLE, "the receiver is ending");
    let Ok(turn) = turns.acquire_owned().await else { return busy() };
    // The turn and the body's share of the listener's budget are kept until the work is done, even if its client has left.
    let taken = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        answer(&telemetry, signal, format, &call)
    })
    .await;
    taken.unwrap_or_else(|_| {
        failure(format, StatusCode::INTERNAL_SERVER_ERROR, "the request could not be read")
    })
}

fn answer(telemetry: &Telemetry, signal: Signal, format: Format, call: &Call) -> Reply {
    let message = match decoded(format, call) {
        Ok(message) => message,
        Err(refused) => return failure(format, refused.status, refused.why),
    };
    let taken = match format {
        Format::Json => match std::str::from_utf8(&message) {
            Ok(text) => telemetry.receive_json(signal, text),
            Err(_) => return failure(format, StatusCode::BAD_REQUEST, "the body is not UTF-8"),
        },
        Format::Protobuf | Format::Grpc => telemetry.receive(signal, &message),
    };
    match taken {
        Ok(taken) => success(signal, format, taken),
        Err(NotTaken::NoStore) => {
            failure(format, StatusCode::SERVICE_UNAVAILABLE, "this engine keeps no telemetry")
        }
        Err(NotTaken::Unreadable(why)) => {
            tracing::debug!("a request with telemetry was not taken: {why}");
            let why = match why {
                crate::telemetry::otlp::Unreadable::TooMany(_) => "the request has too many items",
                _ => "the body cannot be read as OTLP",
            };
            failure(format, StatusCode::BAD_REQUEST, why)
        }
    }
}

/// What an exporter reads about items that were not taken; it must not send them again.
const REFUSED: &str = "the limits of memory or disk are reached, or ids are missing";

fn success(signal: Signal, format: Format, taken: Taken) -> Reply {
    let name = match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Logs => "rejectedLogRecords",
    };
    if format == Format::Json {
        let mut reply = json!({});
        if taken.refused > 0 {
            let mut partial = json!({ "errorMessage": REFUSED });
            partial[name] = taken.refused.to_string().into();
            reply["partialSuccess"] = partial;
        }
        return Reply::json(StatusCode::OK, reply.to_string());
    }
    // `ExportTraceServiceResponse` and its sibling have the same fields.
    let mut response = Message::default();
    if taken.refused > 0 {
        response.nested(1, |partial| {
            partial.varint(1, taken.refused);
            partial.bytes(2, REFUSED.as_bytes());
        });
    }
    if format == Format::Grpc {
        let status = GrpcStatus { code: 0, message: "" };
        return Reply {
            grpc: Some(status),
            ..Reply::of(StatusCode::OK, "application/grpc", framed(&response.0))
        };
    }
    Reply::of(StatusCode::OK, "application/x-protobuf", response.0)
}

/// A refusal as a client of the format expects it: a `Status` message, or a status of gRPC.
fn failure(format: Format, status: StatusCode, why: &'static str) -> Reply {
    // Codes of gRPC: an exporter tries UNAVAILABLE again, and nothing else.
    let code = match status {
        StatusCode::SERVICE_UNAVAILABLE => 14,
        StatusCode::BAD_REQUEST => 3,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => 12,
        StatusCode::PAYLOAD_TOO_LARGE => 8,
        _ => 13,
    };
    match format {
        Format::Grpc => {
            let status = GrpcStatus { code, message: why };
            Reply { grpc: Some(status), ..Reply::of(StatusCode::OK, "application/grpc", Vec::new()) }
        }
        Format::Json => Reply::json(status, json!({ "code": code, "message": why }).to_string()),
        Format::Protobuf => {
            let mut message = Message::default();
            message.varint(1, code.into());
            message.bytes(2, why.as_bytes());
            Reply::of(status, "application/x-protobuf", message.0)
        }
    }
}
