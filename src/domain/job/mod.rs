//! Jobs and attempts: requested work, and each message sent for it.

pub mod attention;
pub mod carry;
pub mod delegated;
pub mod detail;
pub mod message;
pub mod plan;
pub mod task;

use std::sync::Arc;

use smallvec::SmallVec;

use crate::domain::agent::Health;
use crate::domain::cause::Cause;
use crate::domain::id::{AgentKey, AttemptId, AttemptKey, ContextId, JobId, JobKey, MessageId, TaskId};
use crate::domain::job::message::{Fingerprint, Message, OfferedAnswer};
use crate::domain::job::plan::{JobPhase, Plan, Race, RaceReason, SpentBudget};
use crate::domain::job::task::{CancelMark, TaskState, UsualPause, Verdict};
use crate::domain::text::Untrusted;
use crate::domain::time::{At, PeerTime};

/// A unit of work that was requested once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Job {
    /// The id, assigned by us.
    pub id: JobId,
    /// The number of its facts.
    pub seq: u64,
    /// The first words of its message.
    pub title: Untrusted,
    /// Whether we sent it.
    pub origin: Origin,
    /// The caller; `None` if unknown.
    pub caller: Option<Untrusted>,
    /// The skill that it was sent by.
    pub skill: Option<Untrusted>,
    /// The context.
    pub context: Option<ContextId>,
    /// The task that delegated it.
    pub parent: Option<TaskId>,
    /// When we planned or found it.
    pub created: At,
    /// Its sendings, oldest first.
    pub attempts: SmallVec<[AttemptKey; 4]>,
    /// The message while it waits, is being sent, or may not have arrived. Afterwards the journal has it.
    pub message: Option<Arc<Message>>,
    /// How far it has come. What happens to a found job is decided elsewhere: it runs while a task of it does.
    pub phase: JobPhase,
    /// How it is dispatched; `None` for a found job, and for one sent to a named agent that took it at once.
    pub plan: Option<Box<Plan>>,
}

impl Job {
    /// Its race, if attempts of it ever ran beside each other.
    pub fn race(&self) -> Option<&Race> {
        self.plan.as_ref()?.race.as_deref()
    }

    /// Why the attempt of this number was sent beside a live one; `None` for any other.
    pub fn raced(&self, number: u16) -> Option<&RaceReason> {
        self.race()?.racers.iter().find(|racer| racer.number == number).map(|racer| &racer.why)
    }

    /// The retry budget that was spent when another attempt would have followed its last one; `None` if that is not why
    /// none did.
    pub fn spent_budget(&self) -> Option<&SpentBudget> {
        self.plan.as_deref().filter(|_| self.phase == JobPhase::Over)?.spent.as_deref()
    }

    /// The attempts that may run beside each other now: the last one that followed by itself, and those that were sent
    /// beside it. One alone if nothing was raced or hedged.
    pub fn round(&self) -> &[AttemptKey] {
        let followed = |index: &usize| {
            let number = u16::try_from(index + 1).unwrap_or(u16::MAX);
            self.raced(number).is_none()
        };
        let first = (0..self.attempts.len()).rev().find(followed).unwrap_or(0);
        self.attempts.get(first..).unwrap_or_default()
    }

    /// True if the attempt of this number no longer decides what becomes of the job: another one follows it, waits to, or
    /// was first.
    pub fn has_moved_on_from(&self, number: u16) -> bool {
        let before_round = self.attempts.len().saturating_sub(self.round().len());
        self.phase == JobPhase::Queued || self.winner().is_some() || usize::from(number) <= before_round
    }

    /// The attempt that completed first of those that ran beside each other.
    pub fn winner(&self) -> Option<AttemptKey> {
        let number = self.race()?.won?;
        self.attempts.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// The attempt that stands for the job: the one that won, else the last one that is alive of those that run beside
    /// each other, else the last one.
    pub fn current<'r>(&self, row: impl Fn(AttemptKey) -> Option<&'r Attempt>) -> Option<AttemptKey> {
        let is_live = |key: &&AttemptKey| row(**key).is_some_and(Attempt::is_live);
        let live = || self.round().iter().rev().find(is_live).copied();
        self.winner().or_else(|| self.race().and_then(|_| live())).or_else(|| self.attempts.last().copied())
    }

    /// When it began, and when it ended; `None` while it goes on. This is the time that its caller waited: the attempts
    /// before the last one and the pauses between them count.
    pub fn span<'r>(&self, row: impl Fn(AttemptKey) -> Option<&'r Attempt> + Copy) -> (At, Option<At>) {
        let attempts = self.attempts.iter().filter_map(|key| row(*key));
        let began = attempts.map(Attempt::began).fold(self.created, At::min);
        let ended = self.current(row).and_then(row).and_then(Attempt::ended);
        (began, ended.filter(|_| self.phase != JobPhase::Queued))
    }
}

/// How a job came to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// An intent of ours.
    Sent,
    /// Found on an agent; another client sent it.
    Found,
}

/// How far one sending has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// Decided and durable; not a byte was written.
    Planned,
    /// Durable, and may be on its way.
    Sending,
    /// The agent made a task of it.
    Accepted,
    /// The agent answered with a message and made no task.
    Answered,
    /// The agent refused it.
    Refused,
    /// It was not sent.
    Unsent,
    /// It is unknown whether it arrived.
    Uncertain,
    /// A person decided to take it as lost.
    PresumedLost,
}

impl Phase {
    /// The word in JSON and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Sending => "sending",
            Self::Accepted => "accepted",
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Unsent => "unsent",
            Self::Uncertain => "uncertain",
            Self::PresumedLost => "presumed lost",
        }
    }

    /// True if it will not change on its own.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Answered | Self::Refused | Self::Unsent | Self::PresumedLost)
    }
}

/// One message of a job to one agent; if accepted, it becomes one task there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// The id, assigned by us.
    pub id: AttemptId,
    /// The job.
    pub job: JobKey,
    /// The number within the job, from 1.
    pub number: u16,
    /// The agent.
    pub agent: AgentKey,
    /// The message's id, kept by a resend. `None` for a task that another client sent.
    pub message_id: Option<MessageId>,
    /// How far it has come.
    pub phase: Phase,
    /// True if its message was sent before and may have arrived: the result of a resend does not settle that.
    pub may_have_arrived: bool,
    /// When the phase began.
    pub phase_since: At,
    /// When it was planned or found.
    pub created: At,
    /// When its message was last sent; `None` before that, and if an earlier version sent it.
    pub sent: Option<At>,
    /// Why it was refused, unsent or is uncertain.
    pub cause: Option<Arc<Cause>>,
    /// The agent's task.
    pub task: Option<Task>,
    /// An answer to its question that is being sent.
    pub answer: Option<Box<Answer>>,
    /// What has been recorded, to distinguish news from repeats; dropped once the task is settled.
    pub progress: Option<Arc<Progress>>,
}

/// The agent's task, as we know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Task {
    /// The id, assigned by the agent.
    pub id: TaskId,
    /// The context.
    pub context: Option<ContextId>,
    /// The state that counts; a terminal one sticks.
    pub state: TaskState,
    /// When we learnt of it; of a lost task, when its agent was found to have lost it.
    pub state_since: At,
    /// The agent's clock for it.
    pub peer_time: Option<PeerTime>,
    /// The agent's clock for the first state that has one.
    pub first_peer_time: Option<PeerTime>,
    /// The state that the agent reports, if it differs from `state`; boxed, as few do.
    pub says: Option<Box<TaskState>>,
    /// The verdict; `None` if there is no doubt.
    pub verdict: Option<Verdict>,
    /// The usual pause, while the task is stuck because of it; boxed, as few are.
    pub usual: Option<Box<UsualPause>>,
    /// How far a cancel has come.
    pub cancel: Option<CancelMark>,
    /// True if it continues although its agent agreed to cancel it.
    pub ignored: bool,
    /// True if its cancel was meant for what it delegated too, also for what is found to have been delegated later.
    pub cascades: bool,
    /// The time of the last update.
    pub last_activity: At,
    /// Since when nobody watches it, or, once it has ended, its last sign before an end that nobody saw; `None` if it is,
    /// or was, watched. One field for both, as a million ended tasks carry it.
    pub unwatched_since: Option<At>,
    /// The agent's last words.
    pub note: Option<Untrusted>,
    /// The answers that they offer.
    pub offers: Option<OfferedAnswer>,
    /// The number of outputs so far.
    pub artifacts: u16,
    /// Bytes of all outputs.
    pub bytes: u64,
    /// True once nothing more is expected: ended and compared, or lost.
    pub settled: bool,
}

/// An answer to a task that needed one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The message.
    pub message: Arc<Message>,
    /// Sending, accepted, refused, unsent or uncertain.
    pub phase: Phase,
    /// The reason for a failure; `None` if there is none.
    pub cause: Option<Arc<Cause>>,
}

/// What has been recorded of a task.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// The outputs.
    pub artifacts: Vec<ArtifactMeta>,
    /// [`Message::fingerprint`] of the last messages that were seen, oldest first.
    pub messages: Vec<u64>,
    /// Messages recorded so far, by number.
    pub messages_total: u32,
    /// Bytes of artifacts recorded so far, with those that were replaced later.
    pub content: u64,
}

impl Progress {
    /// True if a message was recorded. `place` numbers identical messages without an id.
    pub fn has(&self, message: &Message, place: u32) -> bool {
        self.messages.contains(&message.fingerprint(place))
    }

    /// The place of a message after identical ones; 0 if it has an id.
    pub fn next_place(&self, message: &Message) -> u32 {
        if !message.has_no_id() {
            return 0;
        }
        let most = u32::try_from(self.messages.len()).unwrap_or(u32::MAX);
        (0..most).find(|place| !self.has(message, *place)).unwrap_or(most)
    }

    /// The number of messages remembered: a history is ordered, so one known message shows that all before it are old.
    pub const MESSAGES: usize = 32;
}

/// An output without its content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArtifactMeta {
    /// Unique in its task.
    pub id: Untrusted,
    /// The display name.
    pub name: Option<Untrusted>,
    /// The fingerprint of its content so far.
    pub print: Fingerprint,
    /// True after the last chunk.
    pub closed: bool,
}

/// Since when something holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Since {
    /// The point in time.
    pub at: At,
    /// True if it held before: it was found then, and nobody says since when.
    pub found: bool,
}

/// When something happened that nobody saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unseen {
    /// When it had not happened yet.
    pub after: At,
    /// When it was found to have happened.
    pub before: At,
}

/// Agents that claim a time before A2A existed have a wrong clock.
const FIRST_A2A: At = At::from_micros(1_735_689_600_000_000);

/// A time by an agent's clock, if it can be one.
pub fn by_agent(time: Option<PeerTime>) -> Option<At> {
    time.map(|time| At::from_micros(time.micros())).filter(|at| *at >= FIRST_A2A)
}

/// A time by an agent's clock of something that happened between two points in time, if it can be one.
pub fn by_agent_within(time: Option<PeerTime>, after: At, before: At) -> Option<At> {
    by_agent(time).filter(|at| *at >= after && *at <= before)
}

impl Attempt {
    /// Since when its state holds, for display. A task that somebody else sent may have been in its state before it was
    /// found: then the agent's own time counts, where there is one.
    pub fn since(&self) -> Since {
        let by_phase = Since { at: self.phase_since, found: false };
        let Some(task) = &self.task else { return by_phase };
        if self.phase == Phase::PresumedLost && !task.is_over() {
            return by_phase;
        }
        let known = Since { at: task.state_since, found: false };
        // The agent's time is that of the state before it lost the task.
        if task.verdict == Some(Verdict::Lost) {
            return known;
        }
        if let Some(after) = task.ended_after() {
            let by_agent = by_agent_within(task.peer_time, after, known.at);
            return Since { at: by_agent.unwrap_or(known.at), found: by_agent.is_none() };
        }
        if self.message_id.is_some() {
            return known;
        }
        match by_agent(task.peer_time) {
            Some(at) => Since { at: at.min(known.at), found: false },
            None => Since { found: task.state_since == self.created, ..known },
        }
    }

    /// When we learnt of its state, by our own clock: for decisions.
    pub fn learnt(&self) -> At {
        self.task.as_ref().map_or(self.phase_since, |task| task.state_since)
    }

    /// When the work began, as far as is known, for display: a task that somebody else sent was there at the first time
    /// that its agent gave, whatever state it is in now.
    pub fn began(&self) -> At {
        let task = self.task.as_ref().filter(|_| self.message_id.is_none());
        let first = task.and_then(|task| by_agent(task.first_peer_time));
        self.created.min(self.since().at).min(first.unwrap_or(self.created))
    }

    /// When it ended; `None` while it goes on.
    pub fn ended(&self) -> Option<At> {
        (!self.is_live()).then(|| self.since().at)
    }

    /// Between when it ended, if nobody saw it and its agent does not say when.
    pub fn ended_unseen(&self) -> Option<Unseen> {
        let task = self.task.as_ref()?;
        let (after, before) = (task.ended_after()?, task.state_since);
        self.since().found.then_some(Unseen { after, before })
    }

    /// True if it has neither ended nor been lost or abandoned.
    pub fn is_live(&self) -> bool {
        match &self.task {
            Some(task) => !task.is_over() && self.phase != Phase::PresumedLost,
            None => !self.phase.is_over(),
        }
    }

    /// True until it is settled: more is expected of it, if only the comparison with what its agent keeps.
    pub fn goes_on(&self) -> bool {
        !self.task.as_ref().map_or(self.phase.is_over(), |task| task.settled)
    }

    /// True if a person must act.
    pub fn needs_you(&self) -> bool {
        self.awaits_answer() || self.decision().is_some()
    }

    /// True if its task waits for an answer or a login.
    pub fn awaits_answer(&self) -> bool {
        let is_answered = self
            .answer
            .as_ref()
            .is_some_and(|answer| matches!(answer.phase, Phase::Planned | Phase::Sending | Phase::Accepted));
        self.is_live() && !is_answered && self.task.as_ref().is_some_and(|task| task.state.is_interrupted())
    }

    /// What a person must decide, as a question; `None` if nothing.
    pub fn decision(&self) -> Option<&'static str> {
        match &self.task {
            None if self.phase == Phase::Uncertain => {
                Some("did it arrive? Send it again with the same id, or presume it lost")
            }
            Some(_) if self.is_live() && self.waits_for_decision() => Some(
                "its agent cannot be reached: wait for it, or presume it lost and do the work elsewhere?",
            ),
            _ => None,
        }
    }

    /// True if its agent has been away for so long that a person decides what becomes of its task.
    pub fn waits_for_decision(&self) -> bool {
        self.task.as_ref().is_some_and(|task| task.verdict == Some(Verdict::Unreachable))
    }

    /// True if its task is alive as far as is known, and its agent, which has this health, cannot be asked: nobody can see
    /// it end now.
    pub fn is_cut_off(&self, agent: Health) -> bool {
        self.is_unseen() && agent == Health::Down
    }

    /// True if its task is alive as far as is known, and nobody has seen it since its agent was away, which may be back.
    pub fn is_unseen(&self) -> bool {
        let verdict = self.task.as_ref().and_then(|task| task.verdict);
        self.is_live() && verdict.is_some_and(Verdict::is_of_absence)
    }

    /// What a person is needed for while [`Self::needs_you`]: a word for columns and JSON.
    pub fn wants(&self) -> &'static str {
        match &self.task {
            None => "decision",
            Some(_) if self.decision().is_some() => "decision",
            Some(task) if task.state == TaskState::AuthRequired => "login",
            Some(task) => match task.offers {
                Some(OfferedAnswer::Approval) => "approval",
                Some(OfferedAnswer::Choice) => "choice",
                None => "answer",
            },
        }
    }

    /// True if its state is in doubt.
    pub fn is_doubtful(&self) -> bool {
        self.phase == Phase::Uncertain || self.task.as_ref().is_some_and(|task| task.verdict.is_some())
    }

    /// True if a person may have to look at it: see [`crate::domain::job::attention`].
    pub fn wants_attention(&self) -> bool {
        self.is_live() || self.needs_you() || self.is_doubtful()
    }
}

impl Task {
    /// Ended, or its agent forgot it.
    pub fn is_over(&self) -> bool {
        self.state.is_terminal() || self.verdict == Some(Verdict::Lost)
    }

    /// The start of a gap without updates; `None` outside a gap.
    pub fn gap_since(&self) -> Option<At> {
        self.unwatched_since.filter(|_| !self.state.is_terminal())
    }

    /// If nobody saw it end: its last sign before that.
    pub fn ended_after(&self) -> Option<At> {
        self.unwatched_since.filter(|_| self.state.is_terminal())
    }
}
