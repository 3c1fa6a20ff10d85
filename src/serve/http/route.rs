//! Routes, the calls that their handlers get, and the replies that they give.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, StatusCode};

use crate::protocol::registry as wire;

/// A handler: takes a call, returns a reply.
pub type Handler = Arc<dyn Fn(Call) -> BoxFuture<'static, Reply> + Send + Sync>;

/// Whether a route reads a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Body {
    /// A body that is sent anyway is ignored.
    None,
    /// UTF-8 that the request declares to be JSON, of at most this many bytes.
    Json(usize),
    /// Telemetry in JSON or protocol buffers, by HTTP or by gRPC, compressed or not, of at most this many bytes.
    Otlp(usize),
}

/// The access to a route; [`super::Access`] has the rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caller {
    /// Readers.
    Reader,
    /// Writers.
    Writer,
}

/// One method of one path.
#[derive(Clone)]
pub struct Route {
    /// The method. `GET` answers `HEAD` too.
    pub method: Method,
    /// The path; a segment in braces is a parameter: `/agents/{id}`.
    pub path: &'static str,
    /// The limit of its body.
    pub body: Body,
    /// Its access.
    pub caller: Caller,
    /// What answers.
    pub handler: Handler,
}

impl Route {
    /// A route from its parts.
    pub fn new<F: Future<Output = Reply> + Send + 'static>(
        method: Method,
        path: &'static str,
        body: Body,
        caller: Caller,
        handler: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { method, path, body, caller, handler: Arc::new(move |call| Box::pin(handler(call))) }
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// A request that has passed every check of the listener.
#[derive(Debug)]
pub struct Call {
    /// The parameter of the path, as received.
    pub parameter: Option<String>,
    /// The query of the URL.
    pub query: Option<String>,
    /// The host that the client named.
    pub host: Option<String>,
    /// The media type of the body, in lower case and without parameters; empty if none is declared.
    pub media_type: String,
    /// How the body is encoded, `gzip`; empty if it is not.
    pub encoding: String,
    /// The body. Its bytes count against the budget of all connections until it is dropped.
    pub body: Bytes,
    /// Set once the client no longer waits for the reply.
    pub cancelled: Cancelled,
}

impl Call {
    /// The body as text; the listener has checked that it is UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }
}

/// Signals to work on another thread that its client has left or its deadline has passed.
#[derive(Clone, Debug, Default)]
pub struct Cancelled(Arc<AtomicBool>);

impl Cancelled {
    /// True once the work should stop.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How a call of gRPC ended. <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GrpcStatus {
    /// The code; 0 if it went well.
    pub code: u16,
    /// Why, in ASCII without a percent sign.
    pub message: &'static str,
}

/// A reply.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The media type of the body.
    pub media_type: &'static str,
    /// The body.
    pub body: Bytes,
    /// The status of gRPC, sent behind the body.
    pub grpc: Option<GrpcStatus>,
    /// The methods that the path has, for 405.
    pub allow: Option<String>,
    /// When to try again, in seconds, for 429 and 503.
    pub retry_after: Option<u32>,
}

impl Reply {
    /// A reply of any type.
    pub fn of(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, media_type, body: body.into(), grpc: None, allow: None, retry_after: None }
    }

    /// JSON.
    pub fn json(status: StatusCode, body: String) -> Self {
        Self::of(status, "application/json", body)
    }

    /// An error in the shape of docs/error.schema.json.
    pub fn error(status: StatusCode, code: &str, message: &str, hint: Option<&str>) -> Self {
        Self::json(status, wire::error(code, message, hint))
    }

    /// The listener or a service has no capacity for this request now.
    pub fn busy(status: StatusCode, message: &str) -> Self {
        let reply = Self::error(status, "QUARTERDECK_ERR_BUSY", message, Some("try again in a second"));
        Self { retry_after: Some(1), ..reply }
    }
}

/// The routes of a listener.
#[derive(Debug)]
pub(super) struct Router {
    routes: Vec<Route>,
    paths: String,
}

/// The request of a test.
#[derive(Debug)]
pub(super) enum Found<'r, 'p> {
    /// A route, and the parameter of its path.
    Route(&'r Route, Option<&'p str>),
    /// The path exists, and these are its methods.
    Method(&'static str, String),
    /// No route has this path.
    Nothing,
}

impl Router {
    pub(super) fn new(routes: Vec<Route>) -> Self {
        let mut paths: Vec<&str> = Vec::new();
        for route in &routes {
            if !paths.contains(&route.path) {
                paths.push(route.path);
            }
        }
        Self { paths: paths.join(", "), routes }
    }

    /// Every path, for a hint.
    pub(super) fn paths(&self) -> &str {
        &self.paths
    }

    pub(super) fn find<'p>(&self, method: &Method, path: &'p str) -> Found<'_, 'p> {
        let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
        let mut allowed: Option<(&'static str, Vec<&str>)> = None;
        for route in &self.routes {
            let Some(parameter) = parameter(route.path, path) else { continue };
            if route.method == *method || (route.method == Method::GET && *method == Method::HEAD) {
                return Found::Route(route, Some(parameter).filter(|parameter| !parameter.is_empty()));
            }
            let (_, methods) = allowed.get_or_insert_with(|| (route.path, Vec::new()));
            methods.push(route.method.as_str());
            if route.method == Method::GET {
                methods.push("HEAD");
            }
        }
        allowed.map_or(Found::Nothing, |(path, methods)| Found::Method(path, methods.join(", ")))
    }
}

/// The parameter of a path that fits a pattern, empty if the pattern has none; nothing if the path does not fit.
fn parameter<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    let mut parameter = "";
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return Some(parameter),
            (Some(name), Some(segment)) if name.starts_with('{') && !segment.is_empty() => {
                parameter = segment;
            }
            (Some(name), Some(segment)) if name == segment => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_a_method_find_their_route() {
        let route = |method: Method, path: &'static str| {
            Route::new(method, path, Body::None, Caller::Reader, async |_call| {
                Reply::json(StatusCode::OK, String::new())
            })
        };
        let router = Router::new(vec![
            route(Method::GET, "/agents"),
            route(Method::POST, "/agents"),
            route(Method::DELETE, "/agents/{id}"),
            route(Method::PUT, "/agents/{id}/heartbeat"),
        ]);
        for (method, path, expected) in [
            ("GET", "/agents", "GET /agents None"),
            ("HEAD", "/agents/", "GET /agents None"),
            ("POST", "/agents", "POST /agents None"),
            ("DELETE", "/agents/x", "DELETE /agents/{id} Some(\"x\")"),
            ("PUT", "/agents/x/heartbeat", "PUT /agents/{id}/heartbeat Some(\"x\")"),
            ("PUT", "/agents", "405 GET, HEAD, POST"),
            ("GET", "/agents/x", "405 DELETE"),
            ("GET", "/agents/x/y", "404"),
            ("GET", "/agents//heartbeat", "404"),
            ("GET", "/", "404"),
            ("GET", "//", "404"),
            ("GET", "", "404"),
        ] {
            let found = match router.find(&method.parse().unwrap(), path) {
                Found::Route(route, parameter) => format!("{route:?} {parameter:?}"),
                Found::Method(_, allowed) => format!("405 {allowed}"),
                Found::Nothing => "404".into(),
            };
            assert_eq!(found, expected, "{method} {path}");
        }
        assert_eq!(router.paths(), "/agents, /agents/{id}, /agents/{id}/heartbeat");
    }
}
