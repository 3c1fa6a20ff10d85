//! Everything that can happen to the core: a closed list.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::AgentSpec;
use crate::domain::agent::breaker::BreakerRules;
use crate::domain::agent::version::Minimum;
use crate::domain::audit::Submitter;
use crate::domain::call::Outcome;
use crate::domain::fleet::source::{SourceReport, SourceSpec};
use crate::domain::id::{CallId, JobId};
use crate::domain::intent::Intent;
use crate::domain::job::carry::Carried;
use crate::domain::job::message::Message;
use crate::domain::limits;
use crate::domain::metrics::objective::Objective;
use crate::domain::problem::thresholds::ProblemThresholds;
use crate::domain::problem::{NotificationEvent, Severity};
use crate::domain::route;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// The fleet as configured, at the start and after each reload.
    Configured(Vec<AgentSpec>),
    /// The sources of agents as configured, at the start.
    Sources(Vec<SourceSpec>),
    /// A source of agents reported.
    Discovered {
        /// The source.
        source: Arc<str>,
        /// The report.
        news: SourceReport,
    },
    /// An intent, with the ticket for its reply.
    Intent {
        /// Echoed in the reply.
        ticket: u64,
        /// The intent.
        intent: Intent,
        /// Who submits it; `None` for the engine's own process.
        by: Option<Submitter>,
    },
    /// The outcome of a call.
    Outcome {
        /// The call.
        call: CallId,
        /// The outcome.
        outcome: Outcome,
    },
    /// A notification was not posted, because the facts that it waited for were not written.
    Withheld(CallId),
    /// The journal cannot be written, and why.
    JournalFailed(Untrusted),
    /// The facts of an act were not written: its caller is refused, and its changes are reverted.
    ActUnsaved {
        /// The ticket of the intent.
        ticket: u64,
        /// Why the journal cannot be written.
        why: Untrusted,
    },
    /// After failures, the rows were written; whether there is room for facts is not known before some are.
    JournalRetried {
        /// Since when it could not.
        from: At,
        /// How many facts were not kept; the state they led to is.
        facts: u64,
    },
    /// After [`Input::JournalRetried`], its fact is durable: the journal can be written again.
    JournalRecovered,
    /// Nobody watched until now: the machine slept, or the engine was stopped.
    Paused {
        /// The last moment at which somebody did.
        from: At,
    },
    /// Whether this machine delays the engine: slow answers may then be our own fault.
    Busy(bool),
    /// A problem was posted to the webhook, or could not be.
    Posted(PostResult),
    /// How much the store holds, in bytes, for retention.
    StoreSize(u64),
    /// The configuration was read again: the rules of routing, or why it cannot be read.
    Routes(Result<Arc<route::Rules>, Untrusted>),
    /// The message of a job was read from the journal; `None` if it is not there.
    MessageLoaded {
        /// The job.
        job: JobId,
        /// What it carries, as ordered.
        carry: Option<Arc<Carried>>,
        /// The message.
        message: Option<Arc<Message>>,
    },
    /// The deadline has come.
    Deadline,
}

/// The result of a post to the webhook.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PostResult {
    /// The problem's number, the N of `p-N`.
    pub number: u32,
    /// The event that it reports.
    pub event: NotificationEvent,
    /// Why it could not be posted.
    pub failed: Option<Untrusted>,
}

/// Information about a server from response headers, as far as decisions need it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ServerTraits {
    /// `X-Powered-By: Express`: the JavaScript SDK, where resubscribing on 0.3 is harmless.
    pub express: bool,
    /// When the certificate that it showed ends; none without TLS.
    pub certificate_until: Option<At>,
    /// The software that it reports: `X-Powered-By`, else `Server`.
    pub software: Option<Untrusted>,
}

/// A reply to a waiting caller, sent once the facts of the step are durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The ticket of the intent.
    pub ticket: u64,
    /// The result.
    pub result: Result<crate::domain::intent::Receipt, crate::domain::intent::Refusal>,
}

/// The rules that the operator set, as the core needs them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Between two probes of one agent, before jitter of a fifth.
    pub probe_interval: Duration,
    /// Probes a second that one host gets at most; the shell holds to it.
    pub probes_per_host: u32,
    /// No event for this long on an open stream makes a task silent.
    pub silent_after: Duration,
    /// No change for this long after a cut stream makes a task stalled.
    pub stalled_after: Duration,
    /// Ended jobs are kept this long.
    pub keep: Duration,
    /// The maximum number of bytes kept.
    pub keep_bytes: u64,
    /// Records of the audit are kept this long.
    pub keep_audit: Duration,
    /// True for a protected fleet: acts that take work away from an agent, and acts on several tasks at once, need a reason.
    pub protect: bool,
    /// Agents that only sources named are kept this long after they left, unless something else of them is kept.
    pub keep_departed: Duration,
    /// When breakers open.
    pub breaker: BreakerRules,
    /// From when on something is a problem.
    pub problems: ProblemThresholds,
    /// Problems of at least this severity are posted to the webhook; `None` if there is no webhook.
    pub notify_from: Option<Severity>,
    /// The journal must have been written for so long before its problem is over: a disk that is nearly full fails now
    /// and then, and is one problem, posted once.
    pub journal_settles: Duration,
    /// How well work should go.
    pub objectives: Vec<Objective>,
    /// The oldest versions that are wanted.
    pub minimum_versions: Vec<Minimum>,
    /// The rules of routing.
    pub routes: Arc<route::Rules>,
    /// Jobs that may wait in the queue; a further one is refused.
    pub queued_jobs: usize,
    /// The operator's name, used as caller of our own jobs.
    pub operator: Arc<str>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            probe_interval: Duration::from_secs(30),
            probes_per_host: 10,
            silent_after: Duration::from_secs(30),
            stalled_after: Duration::from_secs(15),
            keep: Duration::from_secs(30 * 24 * 3600),
            keep_bytes: 2 << 30,
            keep_audit: Duration::from_secs(365 * 24 * 3600),
            protect: false,
            keep_departed: Duration::from_secs(3600),
            breaker: BreakerRules::default(),
            problems: ProblemThresholds::default(),
            notify_from: None,
            journal_settles: Duration::from_secs(60),
            objectives: Vec::new(),
            minimum_versions: Vec::new(),
            routes: Arc::default(),
            queued_jobs: limits::QUEUED_JOBS,
            operator: Arc::from("operator"),
        }
    }
}
