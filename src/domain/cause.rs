//! Why a call, a probe or an intent failed: a closed list, each with a message and the next step for the operator.

use std::fmt;
use std::time::Duration;

use crate::domain::text::Untrusted;

/// Whether a request can have reached the agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// No byte of it was written to a connection, or the agent said that it did not process it or only redirected us:
    /// sending it again cannot do the work twice.
    Not,
    /// It may have arrived: sending it again may do the work twice.
    Maybe,
}

/// A call that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Whether the request can have reached the agent.
    pub sent: Sent,
    /// What went wrong.
    pub cause: Cause,
}

/// Reason for a failed TLS handshake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TlsFault {
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// No trusted authority signed the certificate.
    UnknownIssuer,
    /// The certificate is for another name.
    WrongName,
    /// The certificate was revoked.
    Revoked,
    /// Any other failure, in the TLS library's words.
    Other(Untrusted),
}

/// The limit that a peer exceeded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// One line of an event stream, 8 MiB.
    SseLine,
    /// One event of a stream, 8 MiB.
    SseEvent,
    /// An agent card, 4 MiB.
    Card,
    /// Cards over 16 KiB of all agents that only sources name, 256 MiB.
    LargeCards,
    /// A JSON body, 64 MiB.
    Body,
    /// Large answers of all agents together, 64 MiB: an answer waited for room until its time was up.
    InFlight,
    /// The 5 s within which a large answer must come while others wait for room.
    TooSlow,
    /// Nesting of JSON, 128.
    Depth,
    /// Response headers, 100.
    Headers,
    /// Redirects, 5.
    Redirects,
    /// Frames without an event, 10,000 in 10 s.
    Frames,
}

/// Why a call, a probe or an intent failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cause {
    /// Nothing listens on the port.
    Refused,
    /// The connection was reset or closed while it was in use.
    Reset,
    /// No answer within the given timeout.
    TimedOut(Duration),
    /// The host name does not resolve.
    Dns(Untrusted),
    /// The network reported that there is no route to the host; the reason in the system's words.
    Unreachable(Untrusted),
    /// The TLS handshake failed.
    Tls(TlsFault),
    /// 401 or 403: the agent requires a login.
    Login {
        /// The HTTP status.
        status: u16,
        /// The `WWW-Authenticate` header.
        challenge: Option<Untrusted>,
        /// Whether we sent credentials.
        had_credentials: bool,
    },
    /// Any other HTTP status that is not a success.
    Status {
        /// The HTTP status.
        status: u16,
        /// The first line of the body.
        says: Untrusted,
        /// `Retry-After`: how long to wait before the same is asked again; `None` if it does not say.
        retry_after: Option<Duration>,
    },
    /// The deadline of its job passed, which was this long after the job was accepted.
    Deadline(Duration),
    /// An attempt took longer than its rule allows.
    Overdue(Duration),
    /// Its task ended without a result; the state, and what the agent said.
    TaskEnded(Untrusted),
    /// The answer violates the protocol; the text says where.
    Malformed(Untrusted),
    /// The answer exceeded a limit.
    Limit(Limit),
    /// A redirect to this URL is not followed, because it leaves the origin that the credentials are for.
    RedirectRefused(Untrusted),
    /// The address policy forbids this host.
    Blocked(Untrusted),
    /// The agent answered with a protocol error.
    Rpc(RpcError),
    /// The agent's card offers no interface that we speak; the text lists what it offers.
    NotSpoken(Untrusted),
    /// The journal cannot be written, so no work that must not be lost is started.
    Unsaved(Untrusted),
    /// The engine is stopping.
    Stopping,
    /// The credential could not be read; the text says which one and why, never its value.
    Credential(Untrusted),
    /// The command line requested something that this agent does not support.
    Unsupported(Untrusted),
    /// Number of failed calls among its last 20.
    Failing(u32),
    /// Too many of its last tasks failed.
    TasksFailing {
        /// Number of failed tasks.
        failed: u32,
        /// Number of ended tasks.
        of: u32,
    },
    /// It does far worse than its replicas.
    Outlier {
        /// Its own failures.
        failed: u32,
        /// Its own results.
        of: u32,
        /// Failures of its replicas.
        others_failed: u32,
        /// Results of its replicas.
        others_of: u32,
        /// Number of replicas it was compared with.
        replicas: u32,
        /// True if tasks were compared, false if calls were.
        tasks: bool,
    },
    /// Its breaker is open; the text says why.
    Breaker(Untrusted),
    /// Its card can be read, but the interface that the card names does not answer.
    Interface(Box<Cause>),
    /// Its interface answers, but not in A2A: what it answered, and the URL.
    NoA2a(Untrusted),
    /// Its answers are too slow.
    Slow {
        /// The 95th percentile latency of its last calls.
        p95: Duration,
        /// The latency above which calls count as slow: three times its usual, or two seconds by default.
        limit: Duration,
    },
    /// Its card could be read before and cannot be read now.
    StaleCard(Box<Cause>),
    /// A source of agents, or a part of it, is invalid; the text says where and what.
    Source(Untrusted),
    /// The built-in registry is not served; the text says why.
    NotServed(Untrusted),
}

impl Cause {
    /// The next step for the operator if a source of agents failed.
    pub fn next_step_of_source(&self) -> &'static str {
        match self {
            Self::Source(_) | Self::NotServed(_) | Self::Tls(TlsFault::Expired) => self.next_step(),
            Self::Refused | Self::Dns(_) => "start the server of the source, or correct `at` of the source",
            Self::Tls(TlsFault::UnknownIssuer) => {
                "set `ca` of the source or the fleet to the authority's certificate"
            }
            Self::Login { had_credentials: true, .. } => "the source refused the credentials: renew them",
            Self::Login { .. } => "configure `bearer` or `headers` for this source",
            Self::Status { .. } | Self::Malformed(_) => {
                "check what this URL serves, or correct `at` or `kind` of the source"
            }
            Self::RedirectRefused(_) => "set `at` of the source to the URL that it redirects to",
            Self::Credential(_) => "correct the reference to the secret",
            _ => "check the source's server and the network to it",
        }
    }

    /// An error status with the first line of its body.
    pub fn status(status: u16, says: impl Into<Untrusted>) -> Self {
        Self::Status { status, says: says.into(), retry_after: None }
    }

    /// True if the cause says that the network or the host, not the protocol, failed.
    pub fn is_transport(&self) -> bool {
        matches!(
            self,
            Self::Refused
                | Self::Reset
                | Self::TimedOut(_)
                | Self::Dns(_)
                | Self::Unreachable(_)
                | Self::Tls(_)
        )
    }

    /// True if the agent's process sent any answer, which rules out that it is down.
    pub fn is_answer(&self) -> bool {
        matches!(
            self,
            Self::Login { .. }
                | Self::Status { .. }
                | Self::Malformed(_)
                | Self::Limit(_)
                | Self::RedirectRefused(_)
                | Self::Rpc(_)
                | Self::NotSpoken(_)
                | Self::NoA2a(_)
        )
    }

    /// True for an answer by a web server that knows nothing of A2A: an error with a page for people.
    pub fn is_web_page(&self) -> bool {
        matches!(self, Self::Status { status: 400..500, says, .. } if says.raw().trim_start().starts_with('<'))
    }

    /// The cause [`Self::NoA2a`] if this was the answer of the interface at `url`.
    #[must_use]
    pub fn without_a2a(&self, url: &str) -> Self {
        let answer = match self {
            Self::Status { status, .. } if self.is_web_page() => format!("HTTP {status} with an HTML page"),
            Self::Status { status, says, .. } if says.is_empty() => format!("HTTP {status}"),
            Self::Status { status, says, .. } => format!("HTTP {status} ({})", says.shortened(60)),
            cause => cause.to_string(),
        };
        Self::NoA2a(format!("{answer} at {url}").into())
    }

    /// The next step for the operator.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Refused => "start the agent, or correct its URL in the configuration",
            Self::Reset => "check the agent's log: it closed the connection while answering",
            Self::TimedOut(_) => "check whether the agent hangs or the network drops packets",
            Self::Dns(_) => "correct the host name in the agent's URL, or check the DNS",
            Self::Unreachable(_) => "check the network between this machine and the agent",
            Self::Tls(TlsFault::Expired) => "renew the agent's certificate",
            Self::Tls(TlsFault::NotYetValid) => "check the clocks of the agent and of this machine",
            Self::Tls(TlsFault::UnknownIssuer) => {
                "set `ca` of the agent or the fleet to the authority's certificate"
            }
            Self::Tls(TlsFault::WrongName) => "change the agent's URL to a name in its certificate",
            Self::Tls(TlsFault::Revoked) => "replace the agent's certificate: it was revoked",
            Self::Tls(TlsFault::Other(_)) => "check the TLS settings of the agent",
            Self::Login { had_credentials: true, .. } => "the credentials were refused: renew them",
            Self::Login { .. } => "configure `bearer` or `headers` for this agent",
            Self::Status { status: 404 | 405 | 410, .. } => {
                "check the URL: correct it in the configuration if the agent is elsewhere"
            }
            Self::Status { .. } => "check the agent's log",
            Self::Deadline(_) => "send it again if it is still wanted; its route's `deadline` sets the time",
            Self::Overdue(_) => "check why the agent takes so long; its route's `timeout` sets the time",
            Self::TaskEnded(_) => "see the task's messages",
            Self::Malformed(_) => "see the agent's answer in the wire view",
            Self::Limit(Limit::InFlight) => {
                "try again later; the wire view shows which agents send large answers now"
            }
            Self::Limit(Limit::LargeCards) => "make its card smaller, or name the agent in the configuration",
            Self::Limit(_) => "make the agent send less; this limit cannot be changed",
            Self::RedirectRefused(_) => "configure the agent with the URL that it redirects to",
            Self::Blocked(_) => {
                "to contact this address, configure it as the agent's URL; a card alone is not trusted for it"
            }
            Self::Rpc(_) => "read the agent's error; the wire view shows the full answer",
            Self::NotSpoken(_) => "ask its owner for a JSON-RPC interface of A2A 1.0 or 0.3",
            Self::NoA2a(_) => {
                "correct the interface's URL in the agent's card, or set the agent's url in the configuration \
                 to where its own card is"
            }
            Self::Unsaved(_) => "free disk space or unlock the journal; watching continues meanwhile",
            Self::Stopping => "start the console again",
            Self::Credential(_) => "correct the reference to the secret",
            Self::Unsupported(_) => "see the agent's card for what it offers",
            Self::TasksFailing { .. } => {
                "see its failed tasks and what changed before; send it no work until it recovers"
            }
            Self::Outlier { .. } => {
                "compare its version, host and dependencies with its replicas; it is retried automatically"
            }
            Self::Breaker(_) => {
                "it is retried automatically; closing the breaker by hand sends work there at once"
            }
            Self::Interface(cause) => cause.next_step(),
            Self::Failing(_) => "see the failed calls in the wire view",
            Self::Slow { .. } => "check the agent's load",
            Self::StaleCard(cause) => cause.next_step(),
            Self::Source(_) => "correct what the source lists; its previous agents stay meanwhile",
            Self::NotServed(_) => "free the address, or set registry.listen to another one; then start again",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("its port refuses connections"),
            Self::Reset => f.write_str("it closed the connection mid-response"),
            Self::TimedOut(limit) => write!(f, "no answer in {}", seconds(*limit)),
            Self::Dns(host) => write!(f, "its host name does not resolve: {host}"),
            Self::Unreachable(why) => write!(f, "it cannot be reached: {why}"),
            Self::Tls(TlsFault::Expired) => f.write_str("its certificate has expired"),
            Self::Tls(TlsFault::NotYetValid) => f.write_str("its certificate is not valid yet"),
            Self::Tls(TlsFault::UnknownIssuer) => f.write_str("its certificate has an unknown issuer"),
            Self::Tls(TlsFault::WrongName) => f.write_str("its certificate is for another name"),
            Self::Tls(TlsFault::Revoked) => f.write_str("its certificate was revoked"),
            Self::Tls(TlsFault::Other(why)) => write!(f, "TLS failed: {why}"),
            Self::Login { status, challenge: Some(challenge), .. } => {
                write!(f, "it requires a login ({status}, {})", challenge.shortened(80))
            }
            Self::Login { status, .. } => write!(f, "it requires a login ({status})"),
            Self::Status { status, says, .. } if says.is_empty() => write!(f, "it answered HTTP {status}"),
            Self::Status { status, says, .. } => write!(f, "it answered HTTP {status}: {}", says.shortened(120)),
            Self::Deadline(limit) => write!(f, "its deadline of {} passed", seconds(*limit)),
            Self::Overdue(limit) => write!(f, "it took longer than {}", seconds(*limit)),
            Self::TaskEnded(how) => write!(f, "{}", how.shortened(200)),
            Self::Malformed(place) => write!(f, "its answer is not A2A: {}", place.shortened(200)),
            Self::Limit(Limit::InFlight) => f.write_str(
                "there was no room for its large answer: those of all agents share 64 MiB at a time",
            ),
            Self::Limit(Limit::LargeCards) => f.write_str(
                "there is no room for its large card: those of all agents that only sources name share 256 MiB",
            ),
            Self::Limit(limit) => write!(f, "its answer exceeds the limit for {limit}"),
            Self::RedirectRefused(to) => write!(f, "it redirects to another origin, {}", to.shortened(120)),
            Self::Blocked(host) => write!(f, "its card names an address that must not be contacted: {host}"),
            Self::Rpc(error) => error.fmt(f),
            Self::NotSpoken(offers) => write!(f, "reachable, not spoken: it offers {offers}"),
            Self::Unsaved(why) => write!(f, "the journal cannot be written: {why}"),
            Self::Stopping => f.write_str("the engine is stopping"),
            Self::Credential(why) => write!(f, "its credential cannot be read: {why}"),
            Self::Unsupported(what) => write!(f, "{what}"),
            Self::TasksFailing { failed, of } if failed == of => {
                write!(f, "all of its last {of} tasks failed")
            }
            Self::TasksFailing { failed, of } => write!(f, "{failed} of its last {of} tasks failed"),
            Self::Outlier { failed, of, others_failed, others_of, replicas, tasks } => {
                let what = if *tasks { "tasks" } else { "calls" };
                let replicas = if *replicas == 1 {
                    "its replica".to_owned()
                } else {
                    format!("its {replicas} replicas")
                };
                write!(
                    f,
                    "it failed {failed} of {of} {what}; {replicas} failed {others_failed} of {others_of}"
                )
            }
            Self::Breaker(why) => write!(f, "{why}"),
            Self::NoA2a(what) => write!(f, "its interface does not answer in A2A: {}", what.shortened(300)),
            Self::Interface(cause) => write!(f, "its card can be read, but its interface fails: {cause}"),
            Self::Failing(failed) => write!(f, "{failed} of its last 20 calls failed"),
            Self::Slow { p95, limit } => {
                write!(f, "its answers take {} (p95); the limit is {}", seconds(*p95), seconds(*limit))
            }
            Self::StaleCard(cause) => write!(f, "its card can no longer be read: {cause}"),
            Self::Source(what) => write!(f, "{}", what.shortened(400)),
            Self::NotServed(why) => write!(f, "the registry is not served: {why}"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SseLine => "a line of an event stream (8 MiB)",
            Self::SseEvent => "an event of a stream (8 MiB)",
            Self::Card => "an agent card (4 MiB)",
            Self::Body => "a JSON body (64 MiB)",
            Self::InFlight => "large answers of all agents together (64 MiB)",
            Self::TooSlow => "a large answer while others wait (5 s)",
            Self::Depth => "JSON nesting depth (128)",
            Self::Headers => "response headers (100)",
            Self::Redirects => "redirects (5)",
            Self::LargeCards => "large cards of agents that only sources name (256 MiB together)",
            Self::Frames => "frames without an event (10,000 in 10 s)",
        })
    }
}

fn seconds(time: Duration) -> String {
    if time.subsec_millis() == 0 {
        format!("{} s", time.as_secs())
    } else {
        format!("{} ms", time.as_millis())
    }
}

/// An error that the agent itself answered with.
///
/// Classified by `ErrorInfo.reason` first and by the JSON-RPC code second, never by the HTTP status, because servers
/// with two different status mappings exist.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RpcError {
    /// The error's name in A2A.
    pub name: ErrorName,
    /// The JSON-RPC code as received; `None` if the answer had none.
    pub code: Option<i64>,
    /// The agent's message.
    pub message: Untrusted,
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name.as_str())?;
        if let Some(code) = self.code {
            write!(f, " ({code})")?;
        }
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message.shortened(300)) }
    }
}

macro_rules! error_names {
    ($($name:ident $text:literal $code:literal $reason:literal),* $(,)?) => {
        /// The errors that A2A 1.0 (section 3.3.2) and JSON-RPC 2.0 name.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum ErrorName {
            $(#[doc = $text] $name,)*
            /// A code and a reason that neither specification names.
            Other,
        }

        impl ErrorName {
            /// The name as the specification spells it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other => "AgentError",
                }
            }

            /// By its name.
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($text => Some(Self::$name),)*
                    "AgentError" => Some(Self::Other),
                    _ => None,
                }
            }

            /// By `google.rpc.ErrorInfo.reason`.
            pub fn from_reason(reason: &str) -> Option<Self> {
                match reason {
                    $($reason => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// By JSON-RPC code.
            pub fn from_code(code: i64) -> Self {
                match code {
                    $($code => Self::$name,)*
                    _ => Self::Other,
                }
            }
        }
    };
}

error_names! {
    TaskNotFound "TaskNotFoundError" -32001 "TASK_NOT_FOUND",
    TaskNotCancelable "TaskNotCancelableError" -32002 "TASK_NOT_CANCELABLE",
    PushNotificationNotSupported "PushNotificationNotSupportedError" -32003 "PUSH_NOTIFICATION_NOT_SUPPORTED",
    UnsupportedOperation "UnsupportedOperationError" -32004 "UNSUPPORTED_OPERATION",
    ContentTypeNotSupported "ContentTypeNotSupportedError" -32005 "CONTENT_TYPE_NOT_SUPPORTED",
    InvalidAgentResponse "InvalidAgentResponseError" -32006 "INVALID_AGENT_RESPONSE",
    ExtendedAgentCardNotConfigured "ExtendedAgentCardNotConfiguredError" -32007 "EXTENDED_AGENT_CARD_NOT_CONFIGURED",
    ExtensionSupportRequired "ExtensionSupportRequiredError" -32008 "EXTENSION_SUPPORT_REQUIRED",
    VersionNotSupported "VersionNotSupportedError" -32009 "VERSION_NOT_SUPPORTED",
    Parse "JSONParseError" -32700 "PARSE_ERROR",
    InvalidRequest "InvalidRequestError" -32600 "INVALID_REQUEST",
    MethodNotFound "MethodNotFoundError" -32601 "METHOD_NOT_FOUND",
    InvalidParams "InvalidParamsError" -32602 "INVALID_PARAMS",
    Internal "InternalError" -32603 "INTERNAL_ERROR",
}
