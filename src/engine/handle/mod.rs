//! Handles for readers and clients, which work the same for an engine in this process and for one behind a socket.

pub mod remote;
pub mod wire;
mod wire_job;
mod wire_rehearsal;
mod wire_replay;
mod wire_routes;
mod wire_telemetry;
mod wire_totals;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot, watch};

use crate::domain::audit::page::{AuditFilter, AuditPage, Head, Verification};
use crate::domain::audit::{Submitter, Surface};
use crate::domain::cause::Cause;
use crate::domain::fact::{JournalEntry, Owner};
use crate::domain::id::{AgentId, AgentKey, AttemptId, AttemptKey, JobId, JobKey, TaskId};
use crate::domain::intent::{Intent, Receipt, Refusal, Send};
use crate::domain::job::detail::Detail;
use crate::domain::job::message::{Json, Part};
use crate::domain::job::{Attempt, Job};
use crate::domain::metrics::{Block, FleetTotals, Minute, MinuteRange};
use crate::domain::problem::shared_attributes::Attribute;
use crate::domain::rehearsal::drill::Drill;
use crate::domain::rehearsal::plan::Plan;
use crate::domain::route::difference::RulesFile;
use crate::domain::route::explanation::Explanation;
use crate::domain::route::replay::ReplayPage;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::net::clock::Clock;
use crate::net::tap::Frame;
use crate::telemetry::query::{TelemetryAnswer, TelemetryQuery};

/// A connection to an engine. Clones share it.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Who acts through it.
    by: Submitter,
    /// Intents that act are refused here, whatever others may do through handles of their own.
    read_only: bool,
    /// How far the surface has looked; none for an engine in this process, which keeps its rows itself.
    seen: Option<Arc<AtomicU64>>,
}

/// A request to an engine.
#[derive(Debug)]
pub enum Request {
    /// An intent; the reply is sent once it is durable.
    Submit {
        /// The intent.
        intent: Intent,
        /// Who submits it.
        by: Submitter,
        /// Where the receipt goes.
        reply: oneshot::Sender<Result<Receipt, Refusal>>,
    },
    /// A query.
    Query {
        /// The query.
        query: Query,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Answer, QueryError>>,
    },
    /// A question about what agents sent of their own accord: traces and logs.
    Telemetry {
        /// The question.
        query: TelemetryQuery,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<TelemetryAnswer, QueryError>>,
    },
    /// Requests a job's timeline from its beginning, and then each new entry.
    Follow {
        /// The job.
        job: JobId,
        /// Where the timeline goes.
        reply: oneshot::Sender<Result<Follow, QueryError>>,
    },
}

/// A question that the snapshot does not answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Query {
    /// The last facts of an owner, oldest first.
    Facts {
        /// The owner.
        owner: Owner,
        /// The maximum number of facts.
        limit: usize,
    },
    /// Every output of an attempt in full.
    Outputs {
        /// Its job.
        job: JobId,
        /// The attempt.
        attempt: AttemptId,
    },
    /// Wire frames, oldest first.
    Wire {
        /// The agent; `None` for all.
        agent: Option<AgentKey>,
        /// Answer only if there are more frames than this.
        known: u64,
    },
    /// The metrics of a range, one block for each step.
    Metrics(MinuteRange),
    /// What was done since the engine began to watch.
    Totals,
    /// The rows of a job, which a client that has only open ones may lack.
    Job(JobId),
    /// The fields of the first messages of jobs: metadata, and scalars of data parts.
    Fields {
        /// The jobs.
        jobs: Arc<[JobId]>,
    },
    /// Records of the audit, newest first.
    Audit {
        /// The wanted ones.
        filter: Box<AuditFilter>,
        /// Only those before this number.
        before: Option<u64>,
        /// The maximum number of records.
        limit: usize,
    },
    /// Whether the chains of the audit hold, and the fleet's one this head.
    VerifyAudit {
        /// A head that was kept elsewhere.
        head: Option<Head>,
    },
    /// The rules of routing, and where this message would go now; `None` asks for the rules alone.
    Explain(Option<Box<Send>>),
    /// What these acts would do to each of their tasks; nothing is done.
    Plan(Vec<Intent>),
    /// What would happen if these agents died now; nothing is done.
    Drill(Vec<AgentId>),
    /// Kill agents of a demo fleet for a while: they come back by themselves. Refused for all other agents.
    Kill {
        /// The agents; nothing is done if one of them is of no demo fleet.
        agents: Vec<AgentId>,
        /// For how long.
        time: std::time::Duration,
    },
    /// What a file of rules would change if it were loaded.
    RulesFile {
        /// The file; `None` for the configuration file of the engine.
        file: Option<Arc<str>>,
    },
    /// A page of the past against the rules of a file.
    Replay {
        /// The file; `None` for the configuration file of the engine.
        file: Option<Arc<str>>,
        /// Jobs from this time on.
        since: At,
        /// Where the page begins: what the page before named; `None` for the first one.
        after: Option<u64>,
        /// Jobs that differ which the page lists, at most.
        listed: usize,
    },
    /// The current report of a task by its agent, which is not stored.
    ReadTask {
        /// The agent.
        agent: AgentId,
        /// The agent's id of the task.
        task: TaskId,
    },
}

/// The answer to a question.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The answer to [`Query::Facts`].
    Facts(Vec<JournalEntry>),
    /// The answer to [`Query::Outputs`]: id, name, parts.
    Outputs(Vec<(Untrusted, Option<Untrusted>, Vec<Part>)>),
    /// The answer to [`Query::Wire`]: the number of frames so far, and the stored ones if there are new ones.
    Wire(u64, Option<Vec<(AgentKey, Frame)>>),
    /// The answer to [`Query::Metrics`]: the blocks that are not empty, in order, each with its first minute.
    Metrics(Vec<(Minute, Arc<Block>)>),
    /// The answer to [`Query::Totals`].
    Totals(Box<FleetTotals>),
    /// The answer to [`Query::Job`]; `None` if there is none.
    Job(Option<Box<JobRows>>),
    /// The answer to [`Query::Fields`]: names and values, for each job that has any.
    Fields(Vec<(JobId, Vec<Attribute>)>),
    /// The answer to [`Query::Audit`].
    Audit(AuditPage),
    /// The answer to [`Query::VerifyAudit`].
    AuditVerified(Box<Verification>),
    /// The answer to [`Query::Explain`].
    Explained(Box<Explanation>),
    /// The answer to [`Query::Plan`].
    Planned(Box<Plan>),
    /// The answer to [`Query::Drill`].
    Drilled(Box<Drill>),
    /// The answer to [`Query::Kill`]: they are dead.
    Killed,
    /// The answer to [`Query::RulesFile`].
    RulesFile(Box<RulesFile>),
    /// The answer to [`Query::Replay`].
    Replayed(Box<ReplayPage>),
    /// The answer to [`Query::ReadTask`]: the task in the JSON of A2A 1.0.
    Task(Json),
}

/// The rows of a job, under the keys of its engine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobRows {
    /// Its key.
    pub key: JobKey,
    /// Its row.
    pub job: Job,
    /// Those of its attempts, with the ids of their agents.
    pub attempts: Vec<(AttemptKey, AgentId, Attempt)>,
}

/// Why a question has no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QueryError {
    /// It does not exist.
    Unknown,
    /// Why the journal cannot be read.
    Unreadable(Untrusted),
    /// Why the file of rules cannot be read.
    Rules(Untrusted),
    /// Why the agent gave no answer.
    Failed(Arc<Cause>),
    /// The engine has ended.
    Gone,
}

impl std::fmt::Display for QueryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such thing"),
            Self::Unreadable(why) => write!(f, "the journal cannot be read: {why}"),
            Self::Rules(why) => write!(f, "the rules cannot be read: {why}"),
            Self::Failed(cause) => cause.fmt(f),
            Self::Gone => f.write_str("the engine has ended"),
        }
    }
}

/// A job's timeline so far, and its continuation. When `more` ends, the follower was too slow or the engine has ended:
/// follow again.
#[derive(Debug)]
pub struct Follow {
    /// The facts so far, in order.
    pub facts: Vec<Arc<JournalEntry>>,
    /// The number of the job's last fact when this began. Earlier facts may be missing if the disk was full.
    pub until: u64,
    /// The continuation; it may repeat facts that are already known by their numbers.
    pub more: mpsc::Receiver<Arc<JournalEntry>>,
}

impl Follow {
    /// The details of the timeline.
    pub fn detail(&self) -> Detail {
        let mut detail = Detail::default();
        for fact in &self.facts {
            detail.apply(fact);
        }
        detail
    }
}

impl Handle {
    /// A handle from its two channels.
    pub fn new(requests: mpsc::Sender<Request>, snapshots: watch::Receiver<Arc<Snapshot>>) -> Self {
        Self { requests, snapshots, by: Submitter::default(), read_only: false, seen: None }
    }

    /// The same for a mirror of an engine's rows, which reads there how far the surface has looked.
    pub(super) fn of_mirror(mut self, seen: Arc<AtomicU64>) -> Self {
        self.seen = Some(seen);
        self
    }

    /// The time of the engine in this process: a calm fleet publishes nothing for minutes.
    pub fn now(&self) -> At {
        self.snapshots.borrow().at.max(Clock::start().now())
    }

    /// The same connection for an operator, under whose name its intents are recorded.
    #[must_use]
    pub fn acting_as(mut self, person: &str) -> Self {
        self.by.name = Some(Untrusted::from(person));
        self
    }

    /// The same connection as a surface uses it.
    #[must_use]
    pub fn through(mut self, surface: Surface) -> Self {
        self.by.surface = surface;
        self
    }

    /// The same connection for a client of the control socket, whose process belongs to this user: whatever it says of
    /// itself is recorded as a claim.
    #[must_use]
    pub fn for_client(mut self, by: Submitter) -> Self {
        self.by = by;
        self
    }

    /// The same connection for one of several things that an operator acts on at once.
    #[must_use]
    pub fn one_of(mut self, bulk: usize) -> Self {
        self.by.bulk = u32::try_from(bulk).unwrap_or(u32::MAX);
        self
    }

    /// The same connection for a surface that only watches.
    #[must_use]
    pub fn watching_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// The current snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// What has ended up to this revision of the snapshot is not looked at again: a mirror of the engine's rows may drop
    /// it. Only for a surface whose connection nobody else uses.
    pub fn has_seen(&self, rev: u64) {
        if let Some(seen) = &self.seen {
            seen.fetch_max(rev, Ordering::Relaxed);
        }
    }

    /// A channel with the newest snapshot; a slow reader skips older ones.
    pub fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// True once the engine has ended.
    pub fn is_gone(&self) -> bool {
        self.requests.is_closed()
    }

    /// Ends when the engine has ended.
    pub async fn gone(&self) {
        self.requests.closed().await;
    }

    /// Waits for a reply. An engine that ends may leave the request unanswered in its queue; the end of its snapshots
    /// shows that.
    async fn reply<T>(&self, mut reply: oneshot::Receiver<T>) -> Option<T> {
        let mut snapshots = self.snapshots.clone();
        tokio::select! {
            biased;
            reply = &mut reply => reply.ok(),
            _ended = snapshots.wait_for(|_| false) => reply.try_recv().ok(),
        }
    }

    /// Submits an intent. The reply is sent once it is durable.
    ///
    /// # Errors
    /// Why it was not accepted. Nothing was started then, unless it is [`Refusal::Unanswered`].
    pub async fn submit(&self, intent: Intent) -> Result<Receipt, Refusal> {
        if self.read_only && intent.acts() {
            return Err(Refusal::ReadOnly);
        }
        let (reply, receipt) = oneshot::channel();
        let sent = self.requests.send(Request::Submit { intent, by: self.by.clone(), reply }).await;
        if sent.is_err() {
            return Err(Refusal::Busy);
        }
        self.reply(receipt).await.unwrap_or(Err(Refusal::Unanswered))
    }

    /// Sends a query.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn query(&self, query: Query) -> Result<Answer, QueryError> {
        if self.read_only && matches!(query, Query::Kill { .. }) {
            let cause = Cause::Unsupported(Refusal::ReadOnly.to_string().into());
            return Err(QueryError::Failed(Arc::new(cause)));
        }
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Query { query, reply }).await.map_err(|_| QueryError::Gone)?;
        self.reply(answer).await.unwrap_or(Err(QueryError::Gone))
    }

    /// Asks about telemetry.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn telemetry(&self, query: TelemetryQuery) -> Result<TelemetryAnswer, QueryError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Telemetry { query, reply }).await.map_err(|_| QueryError::Gone)?;
        self.reply(answer).await.unwrap_or(Err(QueryError::Gone))
    }

    /// Follows a job.
    ///
    /// # Errors
    /// Why it cannot be followed.
    pub async fn follow(&self, job: JobId) -> Result<Follow, QueryError> {
        let (reply, follow) = oneshot::channel();
        self.requests.send(Request::Follow { job, reply }).await.map_err(|_| QueryError::Gone)?;
        self.reply(follow).await.unwrap_or(Err(QueryError::Gone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// A request that arrived as the engine ended stays in its queue: the caller still gets an error.
    #[tokio::test]
    async fn requests_to_an_ended_engine_do_not_wait() {
        let (requests, _left_in_the_queue) = mpsc::channel(4);
        let (publish, snapshots) = watch::channel(Arc::default());
        let handle = Handle::new(requests, snapshots);
        let intent = Intent::AddAgents { specs: Vec::new() };
        let query = Query::Wire { agent: None, known: 0 };
        let asked = async {
            tokio::join!(handle.submit(intent), handle.query(query), handle.follow(JobId(Uuid::nil())))
        };
        let (asked, ()) = tokio::join!(asked, async { drop(publish) });
        assert_eq!(asked.0.unwrap_err(), Refusal::Unanswered);
        assert!(matches!(asked.1, Err(QueryError::Gone)) && matches!(asked.2, Err(QueryError::Gone)));
    }
}
