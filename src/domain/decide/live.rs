//! State that is not stored: open calls, timers, watches of tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::card::Card;
use crate::domain::call::CallKind;
use crate::domain::cause::Cause;
use crate::domain::decide::baseline::Baselines;
use crate::domain::decide::calls::Calls;
use crate::domain::decide::evidence::Evidence;
use crate::domain::decide::groups::{Group, GroupKey, GroupMembership};
use crate::domain::decide::listing_gaps::ListingGaps;
use crate::domain::decide::names::IndexedName;
use crate::domain::decide::pace::Pace;
use crate::domain::decide::retry::Budget;
use crate::domain::decide::task_time::TaskTime;
use crate::domain::decide::undo::Undo;
use crate::domain::effect::ListQuery;
use crate::domain::id::{AgentKey, AttemptKey, CallId, JobKey, Rng};
use crate::domain::job::message::Message;
use crate::domain::job::task::TaskState;
use crate::domain::metrics::{Histogram, Minute};
use crate::domain::problem::{Kind, NotificationEvent};
use crate::domain::route::{self, balance::Turns};
use crate::domain::text::Untrusted;
use crate::domain::time::{At, PeerTime};

/// Jitter is drawn from a sequence of its own for each agent, and from one for retries: what one agent
/// waits follows from the seed and from itself, whatever others do in between.
#[derive(Clone, Debug)]
pub(in crate::domain) struct Jitter {
    pub seed: u64,
    pub retries: Rng,
}

impl Jitter {
    pub fn new(seed: u64) -> Self {
        Self { seed, retries: Rng::new(!seed) }
    }
}

impl Default for Jitter {
    fn default() -> Self {
        Self::new(0)
    }
}

/// The state that is not stored: open calls, timers, rates.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct Live {
    pub jitter: Jitter,
    pub next_call: u64,
    pub calls: Calls,
    pub timers: BTreeSet<(At, Timer)>,
    pub due: BTreeMap<Timer, At>,
    pub agents: BTreeMap<AgentKey, AgentLive>,
    pub watches: BTreeMap<AttemptKey, Watch>,
    /// Agents, listed or not, by their name before numbering, in order.
    pub names: BTreeMap<Untrusted, BTreeSet<(u32, AgentKey)>>,
    /// The names whose agents must be numbered again.
    pub to_rename: BTreeSet<Untrusted>,
    /// Listed agents by the skeletons of their names, oldest first.
    pub skeletons: BTreeMap<String, BTreeSet<AgentKey>>,
    /// Agents, listed or not, by their normalised URL and by the name that the operator gave them.
    pub by_url: BTreeMap<String, BTreeSet<AgentKey>>,
    pub by_name: BTreeMap<Arc<str>, BTreeSet<AgentKey>>,
    /// Attempts that belong to a problem, by agent and kind.
    pub members: BTreeMap<(AgentKey, Kind), BTreeSet<AttemptKey>>,
    /// Groups of agents by shared host or source.
    pub groups: BTreeMap<GroupKey, Group>,
    /// Acts whose facts are not durable yet, by ticket, with how to take each back.
    pub acts: BTreeMap<u64, Undo>,
    /// Why the journal cannot be written.
    pub unsaved: Option<Untrusted>,
    /// Ended jobs that are still to be forgotten because the store is too large.
    pub to_forget: usize,
    /// When the journal could be written again; `None` if it never failed in this process.
    pub saved_since: Option<At>,
    /// Notifications that are due, by problem and event, each with its call once it is ordered.
    pub notifications: BTreeMap<(u32, NotificationEvent), Option<CallId>>,
    /// Why problems cannot be posted.
    pub unposted: Option<Untrusted>,
    /// True while this machine delays the engine.
    pub busy: bool,
    /// The rules of routing, as last loaded.
    pub routes: Arc<route::Rules>,
    /// Why the changed configuration cannot be read; the rules stay.
    pub routes_fault: Option<Untrusted>,
    /// The agents of each selector that was asked for since agents or cards last changed.
    pub selected: BTreeMap<route::Selector, Arc<[AgentKey]>>,
    /// Whose turn it is, by rule.
    pub turns: BTreeMap<Arc<str>, Turns>,
    /// Messages of jobs that were read from the journal, until their attempt was accepted.
    pub messages: BTreeMap<JobKey, Arc<Message>>,
    /// Jobs whose message is being read from the journal.
    pub loading: BTreeSet<JobKey>,
    /// Jobs and retries, by rule.
    pub budgets: BTreeMap<Arc<str>, Budget>,
}

/// One thing that becomes due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::domain) enum Timer {
    /// Probe the agent.
    Probe(AgentKey),
    /// List the agent's tasks.
    List(AgentKey),
    /// Resubscribe, poll or compare.
    Watch(AttemptKey),
    /// Check whether a task has become silent or stalled.
    Quiet(AttemptKey),
    /// Check the progress of a cancel.
    Cancel(AttemptKey),
    /// Search once more for a message that may have arrived.
    Lookup(AttemptKey),
    /// Ask the agent's interface again whether it answers.
    Check(AgentKey),
    /// Check whether an agent's problems are over although nothing happened.
    Lint(AgentKey),
    /// Let a trial through an open breaker, or give up waiting for one.
    Breaker(AgentKey),
    /// End a mute.
    Mute(u32),
    /// Check the objectives.
    Objectives,
    /// Check what exceeds the retention.
    Retention,
    /// Forget more of it, or the next agent that has left.
    Forget,
    /// Check whether the journal's problem is over.
    Journal,
    /// Put an agent back in service, or move what still runs there.
    Service(AgentKey),
    /// See whether the shift of an agent has reached its next step.
    Shift(AgentKey),
    /// Let more jobs leave the queue.
    Queue,
    /// End the pause before a job's next attempt.
    Dispatch(JobKey),
    /// End a job that has not ended by itself.
    Deadline(JobKey),
    /// End an attempt that takes longer than its rule allows.
    Overdue(AttemptKey),
    /// Send another attempt beside one that takes long.
    Hedge(AttemptKey),
    /// Give up an attempt whose agent is unreachable, or ask what becomes of it.
    Unreachable(AttemptKey),
}

/// A call that was ordered and has not ended.
#[derive(Clone, Debug)]
pub(in crate::domain) struct Pending {
    pub agent: AgentKey,
    pub issued: At,
    pub call: PendingCall,
}

#[derive(Clone, Debug)]
pub(in crate::domain) enum PendingCall {
    Probe,
    /// A cheap real call of the interface.
    Check,
    /// The message of an attempt, or an answer to its task.
    Send(SendCall),
    /// A subscription.
    Stream(AttemptKey),
    Get(AttemptKey, GetReason),
    /// Boxed, because most open calls are streams, and there are many.
    List(ListReason, Box<ListQuery>),
    Cancel(AttemptKey),
}

impl PendingCall {
    /// The attempt that the call is about; `None` for calls about the agent.
    pub fn attempt(&self) -> Option<AttemptKey> {
        match self {
            Self::Send(send) => Some(send.attempt),
            Self::Stream(key)
            | Self::Get(key, _)
            | Self::Cancel(key)
            | Self::List(ListReason::Lookup(key) | ListReason::Confirm(key), _) => Some(*key),
            Self::Probe | Self::Check | Self::List(..) => None,
        }
    }

    /// The kind of call.
    pub fn kind(&self) -> CallKind {
        match self {
            Self::Probe => CallKind::Probe,
            Self::Check => CallKind::Check,
            Self::Send(_) => CallKind::Send,
            Self::Stream(_) => CallKind::Subscribe,
            Self::Get(..) => CallKind::Get,
            Self::List(..) => CallKind::List,
            Self::Cancel(_) => CallKind::Cancel,
        }
    }
}

#[derive(Clone, Debug)]
pub(in crate::domain) struct SendCall {
    pub attempt: AttemptKey,
    /// The message, to try the other dialect or the plain call; `None` once an event shows that it arrived.
    pub message: Option<Arc<Message>>,
    /// True if it answers a question of the attempt's task.
    pub answer: bool,
    pub stream: bool,
    /// The cause of the first refusal, if this is the try with the other dialect.
    pub fallback: Option<Arc<Cause>>,
    /// Why the agent refused to stream, if this is the plain call that follows.
    pub stream_refused: Option<Arc<Cause>>,
}

impl SendCall {
    /// The first call for a message.
    pub fn new(attempt: AttemptKey, message: Arc<Message>, answer: bool, stream: bool) -> Self {
        Self { attempt, message: Some(message), answer, stream, fallback: None, stream_refused: None }
    }
}

/// Why a task is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::domain) enum GetReason {
    /// To read its current state.
    Reconcile,
    /// To compare with the end that its stream reported.
    Confirm,
    /// To see whether an uncertain answer arrived.
    Answer,
}

/// Why tasks are listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::domain) enum ListReason {
    /// First contact: state by state.
    Adopt,
    /// The newest, page by page while the end of a page is new.
    Newest,
    /// Tasks in one state, page by page while the last task of a page is new.
    InState,
    /// Every page.
    Whole,
    /// To find a message of ours that may have arrived.
    Lookup(AttemptKey),
    /// To compare with the end that a stream reported, without fetching large outputs.
    Confirm(AttemptKey),
}

impl ListReason {
    /// True if it concerns no particular task. An agent has at most one such call open.
    pub fn is_scan(&self) -> bool {
        matches!(self, Self::Adopt | Self::Newest | Self::InState | Self::Whole)
    }
}

/// The state of an agent that is not stored.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct AgentLive {
    /// The jitter of the calls to it; `None` until there was some.
    pub jitter: Option<Rng>,
    /// Its name before numbering, and its place among agents of the same name.
    pub base: Option<(Untrusted, u32)>,
    /// The name under which `Live::skeletons` has it; `None` while it is not listed.
    pub indexed_name: Option<IndexedName>,
    /// Its URL before an operator gave it another one; `None` once it has shown a card there.
    pub moved_from: Option<Arc<str>>,
    /// The URL and configured name under which it is indexed.
    pub found_by: Option<(String, Option<Arc<str>>)>,
    pub etag: Option<Untrusted>,
    /// The card that a source reports; it counts only while the agent has never served one itself.
    pub reported_card: Option<Arc<Card>>,
    pub probe: Option<CallId>,
    /// Refused or reset probes in a row.
    pub failed_probes: u8,
    /// True once a probe of this process has answered.
    pub reached: bool,
    /// True if its tasks are watched: they were read when it answered, and it has not gone down since.
    pub watched: bool,
    pub last_activity: At,
    pub evidence: Evidence,
    /// The time that its tasks take.
    pub task_time: TaskTime,
    /// The usual pauses between updates of its tasks.
    pub baselines: Baselines,
    /// Its groups by host and source.
    pub membership: GroupMembership,
    /// The attempt that a half-open breaker let through.
    pub trial: Option<AttemptKey>,
    /// A check of the interface that is under way.
    pub check: Option<CallId>,
    /// The agent is up once this check has been answered.
    pub up_after_check: bool,
    /// Checks of the interface that failed in a row.
    pub failed_checks: u8,
    /// Its card answers, its interface does not.
    pub interface_fault: Option<Arc<Cause>>,
    /// The last call of its interface that was answered.
    pub answered: At,
    /// True if its server is Express, whose SDK allows a second subscription.
    pub is_express: bool,
    /// The cause if a call, not the card, requires a login.
    pub login: Option<Arc<Cause>>,
    /// The card answered, but cannot be read.
    pub card_fault: Option<Arc<Cause>>,
    pub listing: Listing,
    /// What its lists leave out.
    pub listing_gaps: ListingGaps,
    /// Streams of tasks that are not ours.
    pub foreign_streams: u16,
    /// True once a call of the chosen interface succeeded.
    pub proven: bool,
    /// The most live tasks of a minute, as counted.
    pub measured: (Minute, u32),
    /// Ends of its tasks that were compared with reads.
    pub compared: Pace,
}

/// How far an agent's tasks have been listed.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct Listing {
    pub call: Option<CallId>,
    /// It has no `ListTasks`.
    pub unsupported: bool,
    pub adopted: bool,
    /// The states that are still to be requested, the last one first.
    pub states: Vec<TaskState>,
    /// The number of tasks that may still be adopted.
    pub budget: u32,
    /// When a listing last showed a change.
    pub changed: At,
    /// The agent does not list the newest tasks first.
    pub unordered: bool,
    /// When the whole list was last read; zero if it is due.
    pub whole: At,
    /// When the whole list was last read, all tasks up to this time of the agent's clock had been listed.
    pub whole_until: Option<PeerTime>,
    /// All tasks up to this time of the agent's clock have been listed.
    pub listed_until: Option<PeerTime>,
    /// When `listed_until` last changed.
    pub listed_at: At,
    /// The number of pages that the current scan has read.
    pub pages: u32,
    /// The newest time on the first page of the current scan.
    pub newest: Option<PeerTime>,
    /// The last time on the page that was read last.
    pub last: Option<PeerTime>,
    /// If a part of the first page was requested again: whether the last task of the original page was new.
    pub page_end: Option<bool>,
}

/// The watch of a task.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct Watch {
    pub stream: Option<CallId>,
    /// The stream that reported the end of the task, and when.
    pub reported_end: Option<(CallId, At)>,
    /// The stream is one of the 32 for tasks that are not ours.
    pub foreign_slot: bool,
    pub get: Option<CallId>,
    pub get_again: bool,
    pub tries: u32,
    /// Subscriptions since the last event that was not a snapshot.
    pub resubscribed: u32,
    /// True once the wait before the next subscription has ended.
    pub ready: bool,
    /// The agent does not let us subscribe.
    pub poll_only: bool,
    /// The stream was cut here, and nothing has moved since.
    pub cut: Option<At>,
    /// The last event or change.
    pub last_activity: At,
    /// True once an event arrived on its stream.
    pub has_event: bool,
    /// True if it waited for an operator at its last update.
    pub waited: bool,
    /// How long it has waited for answers.
    pub questions: Duration,
    /// The longest time between two updates so far.
    pub longest: Duration,
    /// The hash of its last status text, and the number of repeats since.
    pub status_repeats: (Option<u64>, u32),
    /// Messages and chunks of outputs that were dropped because the task is over its limits.
    pub dropped: u64,
    pub missing: u8,
    pub confirms: u8,
    pub lookups: u8,
    /// `None` until a cancel is requested: few tasks are canceled, and every one has a watch.
    pub cancel: Option<Box<CancelWatch>>,
    /// The agent's clock when its task was first seen.
    pub peer_began: Option<PeerTime>,
    /// Times between words of its stream that are not counted yet, and the minute of the last one.
    pub between: Histogram,
    pub minute: Minute,
}

/// The progress of a requested cancel.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct CancelWatch {
    pub call: Option<CallId>,
    pub reads: u32,
    /// When the next `GetTask` is due.
    pub next_read: At,
    /// When and why the agent refused to cancel the task; `None` once a cancel is asked for again.
    pub refused: Option<(At, Arc<Cause>)>,
    pub agreed: Option<At>,
    pub events_since_agreed: u32,
    /// How many times the operator was told that the task goes on although its agent agreed.
    pub alarms: u32,
}

impl Watch {
    /// The progress of its cancel; begun if there is none.
    pub fn cancel_mut(&mut self) -> &mut CancelWatch {
        self.cancel.get_or_insert_default()
    }

    /// True while `CancelTask` has no answer.
    pub fn is_canceling(&self) -> bool {
        self.cancel.as_ref().is_some_and(|cancel| cancel.call.is_some())
    }

    /// When and why the agent refused to cancel the task.
    pub fn cancel_refused(&self) -> Option<&(At, Arc<Cause>)> {
        self.cancel.as_ref()?.refused.as_ref()
    }
}
