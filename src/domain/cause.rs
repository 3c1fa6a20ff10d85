//! Why something did not work: a closed list, each with its words and the next step for a person.

use std::fmt;
use std::time::Duration;

use crate::domain::text::Untrusted;

/// Whether a request can have reached the agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// Not a byte of it was written to a connection, or the agent has said that it did not look at it, or only sent us
    /// elsewhere: sending it again cannot double it.
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

/// Where a TLS handshake failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TlsFault {
    /// The certificate's validity has ended.
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

/// The limit that a peer ran over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// One line of an event stream, 8 MiB.
    SseLine,
    /// One event of a stream, 8 MiB.
    SseEvent,
    /// An agent card, 4 MiB.
    Card,
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
}

/// Why a call, a probe or an intent did not work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cause {
    /// Nothing listens on the port.
    Refused,
    /// The connection was reset or closed while it was in use.
    Reset,
    /// Nothing came within the time that this wait may take.
    TimedOut(Duration),
    /// The host name does not resolve.
    Dns(Untrusted),
    /// The network says that there is no way there.
    Unreachable(Untrusted),
    /// The TLS handshake failed.
    Tls(TlsFault),
    /// 401 or 403: the agent wants a login, and what it says about it.
    Login {
        /// The HTTP status.
        status: u16,
        /// The `WWW-Authenticate` header.
        challenge: Option<Untrusted>,
        /// Whether we sent credentials.
        had_credentials: bool,
    },
    /// Any other HTTP status that is not a success, with the start of the body.
    Status {
        /// The HTTP status.
        status: u16,
        /// The first line of the body.
        says: Untrusted,
    },
    /// The answer is not what the protocol says, and where.
    Malformed(Untrusted),
    /// The answer ran over a limit.
    Limit(Limit),
    /// A redirect that must not be followed, as it leaves the origin that the credentials are for.
    RedirectRefused(Untrusted),
    /// The address policy forbids this host.
    Blocked(Untrusted),
    /// The agent answered with a protocol error.
    Rpc(RpcError),
    /// The agent's card offers no interface that we speak.
    NotSpoken(Untrusted),
    /// The journal cannot be written, so nothing that must not be lost is begun.
    Unsaved(Untrusted),
    /// The engine was told to stop.
    Stopping,
    /// The credential could not be read: which, and why; never its value.
    Credential(Untrusted),
    /// The command line asked for something that this agent cannot do.
    Unsupported(Untrusted),
    /// So many of its last 20 calls failed.
    Failing(u32),
    /// So many of its last tasks failed.
    TasksFailing {
        /// Failed.
        failed: u32,
        /// Of so many that ended.
        of: u32,
    },
    /// It does far worse than its replicas.
    Outlier {
        /// Failed ones of its own,
        failed: u32,
        /// of so many.
        of: u32,
        /// Failed ones of its replicas,
        others_failed: u32,
        /// of so many.
        others_of: u32,
        /// How many replicas it was compared with.
        replicas: u32,
        /// Tasks were compared; else calls.
        tasks: bool,
    },
    /// Its breaker lets nothing through, and why.
    Breaker(Untrusted),
    /// Its card answers, and the interface that the card names does not.
    Interface(Box<Cause>),
    /// Its answers take longer than they should: the 95th percentile, and what it is measured by.
    Slow {
        /// The 95th percentile of its last calls.
        p95: Duration,
        /// Three times its usual, or two seconds.
        limit: Duration,
    },
    /// Its card could be read before and cannot be read now.
    StaleCard(Box<Cause>),
    /// A source of agents, or a part of it, says something that cannot be used: where, and what.
    Source(Untrusted),
    /// Our own registry is not served, and why.
    NotServed(Untrusted),
}

impl Cause {
    /// What a person can do about it where a source of agents is what failed.
    pub fn next_step_of_source(&self) -> &'static str {
        match self {
            Self::Source(_) | Self::NotServed(_) | Self::Tls(TlsFault::Expired) => self.next_step(),
            Self::Refused | Self::Dns(_) => "start what answers there, or correct `at` of the source",
            Self::Tls(TlsFault::UnknownIssuer) => {
                "name the authority's certificate as ca of the source or the fleet"
            }
            Self::Login { had_credentials: true, .. } => "the source refused the credentials: renew them",
            Self::Login { .. } => "configure bearer or headers for this source",
            Self::Status { .. } | Self::Malformed(_) => {
                "look at what is served there, or correct `at` or `kind` of the source"
            }
            Self::RedirectRefused(_) => "write the URL that it redirects to as `at` of the source",
            Self::Credential(_) => "correct the reference to the secret",
            _ => "look at the server of the source, and at the way to it",
        }
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

    /// True if the agent's process answered at all, so that it cannot be called down.
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
        )
    }

    /// What a person can do about it.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Refused => "start the agent, or correct its URL in the configuration",
            Self::Reset => "look at the agent's own log: it closed the connection while answering",
            Self::TimedOut(_) => "look whether the agent hangs or the network drops packets",
            Self::Dns(_) => "correct the host name in the agent's URL, or look at the DNS",
            Self::Unreachable(_) => "look at the network between here and the agent",
            Self::Tls(TlsFault::Expired) => "renew the agent's certificate",
            Self::Tls(TlsFault::NotYetValid) => "look at the clocks of the agent and of this machine",
            Self::Tls(TlsFault::UnknownIssuer) => {
                "name the authority's certificate as ca of the agent or the fleet"
            }
            Self::Tls(TlsFault::WrongName) => "use the name in the certificate in the agent's URL",
            Self::Tls(TlsFault::Revoked) => "replace the agent's certificate: it was revoked",
            Self::Tls(TlsFault::Other(_)) => "look at the TLS settings of the agent",
            Self::Login { had_credentials: true, .. } => "the credentials were refused: renew them",
            Self::Login { .. } => "configure bearer or headers for this agent",
            Self::Status { .. } => "look at the agent's own log",
            Self::Malformed(_) => "see what it sent in the wire view",
            Self::Limit(Limit::InFlight) => {
                "try again later; `wire` shows which agents send large answers now"
            }
            Self::Limit(_) => "the agent sends more than an operator's console accepts",
            Self::RedirectRefused(_) => "configure the URL that it redirects to",
            Self::Blocked(_) => {
                "this address is never contacted because of a card; configure it as the agent's own URL"
            }
            Self::Rpc(_) => "read the agent's error; the wire view has the whole answer",
            Self::NotSpoken(_) => "ask its owner for a JSON-RPC interface of A2A 1.0 or 0.3",
            Self::Unsaved(_) => "free the disk or unlock the journal; watching goes on meanwhile",
            Self::Stopping => "start the console again",
            Self::Credential(_) => "correct the reference to the secret",
            Self::Unsupported(_) => "see the agent's card for what it offers",
            Self::TasksFailing { .. } => {
                "see its failed tasks and what changed before; send no work there until it is well"
            }
            Self::Outlier { .. } => {
                "compare it with its replicas: version, host, what it depends on; it is tried again by itself"
            }
            Self::Breaker(_) => "it is tried again by itself; `quarterdeck breaker NAME close` closes it now",
            Self::Interface(cause) => cause.next_step(),
            Self::Failing(_) => "see the failed calls in the wire view",
            Self::Slow { .. } => "look at the agent's load",
            Self::StaleCard(cause) => cause.next_step(),
            Self::Source(_) => "mend what it names; what it told before stays meanwhile",
            Self::NotServed(_) => {
                "free the address, or choose another one as registry.listen; then start again"
            }
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("its port refuses connections"),
            Self::Reset => f.write_str("it closed the connection in the middle"),
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
                write!(f, "it wants a login ({status}, {})", challenge.shortened(80))
            }
            Self::Login { status, .. } => write!(f, "it wants a login ({status})"),
            Self::Status { status, says } if says.is_empty() => write!(f, "it answered HTTP {status}"),
            Self::Status { status, says } => write!(f, "it answered HTTP {status}: {}", says.shortened(120)),
            Self::Malformed(place) => write!(f, "its answer is not A2A: {}", place.shortened(200)),
            Self::Limit(Limit::InFlight) => {
                f.write_str("its large answer found no room: those of all agents share 64 MiB at a time")
            }
            Self::Limit(limit) => write!(f, "its answer is over the limit: {limit}"),
            Self::RedirectRefused(to) => write!(f, "it redirects to another origin, {}", to.shortened(120)),
            Self::Blocked(host) => write!(f, "its card names an address that is not contacted: {host}"),
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
                write!(f, "it fails {failed} of {of} {what}; {replicas} {others_failed} of {others_of}")
            }
            Self::Breaker(why) => write!(f, "{why}"),
            Self::Interface(cause) => write!(f, "its card answers, its interface does not: {cause}"),
            Self::Failing(failed) => write!(f, "{failed} of its last 20 calls failed"),
            Self::Slow { p95, limit } => {
                write!(f, "its answers take {} (p95), more than {}", seconds(*p95), seconds(*limit))
            }
            Self::StaleCard(cause) => write!(f, "its card cannot be read any more: {cause}"),
            Self::Source(what) => write!(f, "{}", what.shortened(400)),
            Self::NotServed(why) => write!(f, "it is not served: {why}"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SseLine => "a line of an event stream, 8 MiB",
            Self::SseEvent => "an event of a stream, 8 MiB",
            Self::Card => "an agent card, 4 MiB",
            Self::Body => "a JSON body, 64 MiB",
            Self::InFlight => "large answers of all agents together, 64 MiB",
            Self::TooSlow => "5 s for a large answer while others wait",
            Self::Depth => "nesting of JSON, 128",
            Self::Headers => "response headers, 100",
            Self::Redirects => "redirects, 5",
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
/// Classified by `ErrorInfo.reason` first and by the JSON-RPC code second, never by the HTTP status:
/// servers of two different status mappings exist.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RpcError {
    /// What A2A calls it.
    pub name: ErrorName,
    /// The JSON-RPC code as it came.
    pub code: Option<i64>,
    /// The agent's words.
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
            /// A code and a reason that neither names.
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
