//! Records of facts.
//!
//! A body has the fact under `what`, its attempt if any, and the actor under `by`. The owner, the number and the time
//! of a fact are columns of its row.

use super::{add, member, stored_name};
use crate::domain::fact::{AgentFact, AttemptFact, Fact, FleetFact, JobFact, JournalEntry, Owner};
use crate::domain::id::AttemptId;
use crate::domain::time::At;
use crate::protocol::json::{Members, Object};

/// The facts of one kind of owner, each under its stored word.
trait Body: Sized {
    /// The word.
    fn word(&self) -> &'static str;

    /// Writes the other members of the body.
    fn put_members(&self, members: &mut Members<'_>);

    /// Reads it back; `None` if the word names no fact of this kind or a member cannot be read.
    fn get_members(word: &str, object: &Object<'_>) -> Option<Self>;
}

macro_rules! bodies {
    ($type:ty { $($variant:ident = $word:literal { $($field:ident $(as $stored:literal)?),* $(,)? }),* $(,)? } $(or $many:ident($inner:ty))?) => {
        impl Body for $type {
            fn word(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $word,)*
                    $(Self::$many(_, fact) => <$inner as Body>::word(fact),)?
                }
            }

            fn put_members(&self, members: &mut Members<'_>) {
                match self {
                    $(Self::$variant { $($field),* } => { $(add(members, stored_name!($field $($stored)?), $field);)* })*
                    $(Self::$many(attempt, fact) => {
                        add(members, "attempt", attempt);
                        <$inner as Body>::put_members(fact, members);
                    })?
                }
            }

            fn get_members(word: &str, object: &Object<'_>) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant { $($field: member(object, stored_name!($field $($stored)?))?),* }),)*
                    _ => bodies!(@other word, object, $($many, $inner)?),
                }
            }
        }
    };
    (@other $word:ident, $object:ident, ) => { None };
    (@other $word:ident, $object:ident, $many:ident, $inner:ty) => {{
        let fact = <$inner as Body>::get_members($word, $object)?;
        Some(Self::$many(member::<AttemptId>($object, "attempt")?, fact))
    }};
}

bodies!(FleetFact {
    WatchStarted = "watch_started" {},
    WatchPaused = "watch_paused" { from },
    JournalGap = "journal_gap" { from, facts },
    RoutesLoaded = "routes_loaded" { revision, rules },
    ProblemRaised = "problem_raised" { number, kind, agent, attempt, source, text, next },
    ProblemReworded = "problem_reworded" { number, text, next, eased },
    ProblemCleared = "problem_cleared" { number, into },
    NotificationDue = "notification_due" { number, event, into },
    ProblemPosted = "problem_posted" { number, event, failed },
    ProblemTaken = "problem_taken" { number },
    ProblemGivenBack = "problem_given_back" { number },
    ProblemMuted = "problem_muted" { number, why, until },
    ProblemUnmuted = "problem_unmuted" { number },
    NoteMade = "note_made" { problem, agent, attempt, text },
    NoteTakenBack = "note_taken_back" { problem, agent, attempt, text },
    BreakerSet = "breaker_set" { agent, to, why },
    Acted = "acted" { act, attempt, agent },
    ProblemForgotten = "problem_forgotten" { number },
    SourceListed = "source_listed" { spec },
    SourceUnlisted = "source_unlisted" { name },
    SourceReported = "source_told" { name, health, cause, agents },
});

bodies!(AgentFact {
    Listed = "agent_listed" { spec, order, name },
    Relisted = "agent_relisted" { spec, order },
    Sourced = "agent_sourced" { sources },
    Added = "agent_added" {},
    Removed = "agent_removed" {},
    Unlisted = "agent_unlisted" {},
    Forgotten = "agent_forgotten" {},
    Named = "agent_named" { name },
    CardSeen = "card_seen" { card, reported },
    CertificateSeen = "certificate_seen" { until },
    ServerSeen = "server_seen" { server },
    CardChanged = "card_changed" { words },
    InterfaceChosen = "interface_chosen" { interface },
    DialectConfirmed = "dialect_settled" { dialect },
    HealthChanged = "health_changed" { health, cause, last_seen },
    BreakerMoved = "breaker_moved" { position, cause, forced },
    StreamingRefused = "streaming_refused" { cause },
    ServiceChanged = "service_changed" { service },
    Drained = "drained" {},
    ShiftMoved = "shift_moved" { event, evidence, shift },
    TextSanitised = "text_disarmed" { count },
    ViolationCounted = "violation_counted" { violation },
});

bodies!(JobFact {
    Opened = "job_opened" { origin, title, caller, skill, context, parent, message, plan },
    Routed = "job_routed" { decision, retry },
    Queued = "job_queued" { why, until },
    Ended = "job_ended" { cause, spent },
    Reopened = "job_reopened" { to, target, carry, why },
    Composed = "job_composed" { message },
    Racing = "job_racing" { to, why, target },
    RaceDropped = "job_race_dropped" { cause },
    CameBack = "job_came_back" {},
    Moving = "job_moving" { to, target, carry },
    Explained = "job_explained" { title, caller, skill, parent },
    Forgotten = "job_forgotten" {},
} or Attempt(AttemptFact));

bodies!(AttemptFact {
    Planned = "attempt_planned" { agent, message_id },
    Moved = "attempt_moved" { phase, cause },
    TaskSeen = "task_seen" { task, context, state, peer_time, via, raw },
    StateSeen = "state_seen" { state, context, peer_time, via, raw },
    ClaimSeen = "claim_seen" { says, via },
    MessageSeen = "message_seen" { message, status },
    ArtifactSeen = "artifact_seen" { artifact, name, append, parts, last },
    GapOpened = "gap_opened" { since, cause },
    GapClosed = "gap_closed" { via, changed },
    VerdictChanged = "verdict_changed" { verdict, usual },
    CancelMoved = "cancel_moved" { mark, cause, late },
    CancelWithdrawn = "cancel_withdrawn" { mark },
    CascadeAsked = "cascade_asked" { asked },
    CancelIgnored = "cancel_ignored" { events },
    AnswerMoved = "answer_moved" { message, phase, cause },
    Overdue = "attempt_overdue" { cause },
    Won = "attempt_won" {},
    ReasonGiven = "reason_given" { why },
    ViolationObserved = "oddity_observed" { violation as "oddity" },
    Settled = "settled" {},
});

impl JournalEntry {
    /// The word by which its fact is stored.
    pub fn stored_as(&self) -> &'static str {
        match &self.fact {
            Fact::Fleet(fact) => fact.word(),
            Fact::Agent(_, fact) => fact.word(),
            Fact::Job(_, fact) => fact.word(),
        }
    }

    /// Its body: the fact and the actor, without the owner, the number and the time.
    pub fn body(&self) -> String {
        let mut out = String::new();
        self.put_body(&mut out);
        out
    }

    /// Appends its body to `out`.
    pub fn put_body(&self, out: &mut String) {
        let mut members = Members::begin(out);
        members.member("what", |out| {
            out.push('"');
            out.push_str(self.stored_as());
            out.push('"');
        });
        match &self.fact {
            Fact::Fleet(fact) => fact.put_members(&mut members),
            Fact::Agent(_, fact) => fact.put_members(&mut members),
            Fact::Job(_, fact) => fact.put_members(&mut members),
        }
        add(&mut members, "by", &self.actor);
        members.end();
    }

    /// Reads a body at its place in the journal; `None` if this program does not know the fact.
    pub fn from_body(owner: Owner, at: At, seq: u64, body: &str) -> Option<Self> {
        let object = Object::parse(body).ok()?;
        let word = object.text("what")?;
        let fact = match owner {
            Owner::Fleet => Fact::Fleet(FleetFact::get_members(&word, &object)?),
            Owner::Agent(id) => Fact::Agent(id, AgentFact::get_members(&word, &object)?),
            Owner::Job(id) => Fact::Job(id, JobFact::get_members(&word, &object)?),
        };
        Some(Self { at, seq, actor: member(&object, "by")?, fact })
    }
}
