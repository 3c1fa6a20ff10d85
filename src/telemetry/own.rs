//! The spans of our own jobs, computed from their facts: ended jobs and those of earlier runs have them too, and an agent
//! needs no instrumentation to be in a trace.
//!
//! Names and attributes are those of OpenTelemetry's conventions for A2A and GenAI, where they have one.

use std::sync::Arc;

use super::convention;
use super::model::{Attribute, Resource, Span, SpanEvent, SpanKind, SpanStatus, UnixNanos, Value};
use crate::domain::fact::{AttemptFact, Fact, JobFact, JournalEntry};
use crate::domain::id::{AgentId, AttemptId, JobId};
use crate::domain::job::task::{CancelMark, TaskState, Verdict};
use crate::domain::job::{Origin, Phase};
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::domain::trace::{SpanId, TraceId};

/// The service of our own spans.
pub const SERVICE: &str = "quarterdeck";
/// The scope of our own spans.
pub const SCOPE: &str = "quarterdeck.jobs";
/// The name of a span in which no stream told what an agent does.
pub const NO_STREAM: &str = "no stream";
/// The agent of a span in which a person was waited for.
pub const PERSON: &str = "you";

impl Span {
    /// True if it is of our own jobs.
    pub fn is_own(&self) -> bool {
        self.resource.service().raw() == SERVICE
    }

    /// True if it is a time of ours without a stream: nobody told anything.
    pub fn is_own_gap(&self) -> bool {
        self.name.raw() == NO_STREAM && self.is_own()
    }

    /// True if it is an attempt of ours.
    pub fn is_attempt(&self) -> bool {
        self.is_own() && self.value(convention::ATTEMPT).is_some()
    }
}

/// A job and where its spans belong.
#[derive(Debug)]
pub struct OwnJob<'a> {
    /// The job.
    pub job: JobId,
    /// The trace: its own, or that of the job whose task delegated it.
    pub trace: TraceId,
    /// The attempt whose task delegated it.
    pub parent: Option<AttemptId>,
    /// Its facts, in order.
    pub facts: &'a [JournalEntry],
    /// The names of agents.
    pub agents: &'a [(AgentId, Untrusted)],
}

/// The spans of a job, its own first. What goes on has no end.
pub fn spans(of: &OwnJob<'_>) -> Vec<Span> {
    let mut builder = Builder::new(of);
    for entry in of.facts {
        if let Fact::Job(_, fact) = &entry.fact {
            builder.take(entry.at, entry.seq, fact);
        }
    }
    builder.finish()
}

struct Builder<'a> {
    of: &'a OwnJob<'a>,
    resource: Arc<Resource>,
    job: Span,
    attempts: Vec<OpenAttempt>,
    /// Waits of the job and what lies within attempts.
    inner: Vec<Span>,
    /// The place of the wait that goes on.
    waiting: Option<usize>,
    over: Option<At>,
    /// True if somebody else sent it.
    found: bool,
}

struct OpenAttempt {
    id: AttemptId,
    span: Span,
    state: Option<TaskState>,
    /// The places of the gap, the question and the cancel that go on.
    gap: Option<usize>,
    question: Option<usize>,
    cancel: Option<usize>,
}

/// A span id that follows from the ids of a job and of a fact, and is never zero.
fn derived(job: JobId, seq: u64) -> SpanId {
    let half = SpanId::from(AttemptId(job.0)).0;
    let mixed = u64::from_be_bytes(half) ^ seq.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    SpanId(mixed.max(1).to_be_bytes())
}

impl<'a> Builder<'a> {
    fn new(of: &'a OwnJob<'a>) -> Self {
        let resource =
            Arc::new(Resource { attributes: vec![Attribute::text(convention::SERVICE_NAME, SERVICE)] });
        let mut builder = Self {
            of,
            resource: resource.clone(),
            job: blank(of.trace, derived(of.job, 0), resource),
            attempts: Vec::new(),
            inner: Vec::new(),
            waiting: None,
            over: None,
            found: false,
        };
        builder.job.parent = of.parent.map(SpanId::from);
        builder
    }

    fn take(&mut self, at: At, seq: u64, fact: &JobFact) {
        match fact {
            JobFact::Opened { origin, title, caller, skill, context, .. } => {
                self.found = *origin == Origin::Found;
                let what = if self.found { "task" } else { "job" };
                self.job.name = Untrusted::from(format!("{what} {}", title.raw()));
                self.job.start = at.into();
                self.about(caller.as_ref(), skill.as_ref());
                if let Some(context) = context {
                    self.job.attributes.push(Attribute::text(convention::CONVERSATION, context.text()));
                }
            }
            JobFact::Explained { title, caller, skill, .. } => {
                self.job.name = Untrusted::from(format!("task {}", title.raw()));
                self.about(caller.as_ref(), skill.as_ref());
            }
            JobFact::Queued { why, .. } => {
                self.end_wait(at);
                self.over = None;
                let name = format!("wait for {}", why.in_words());
                let parent = self.job.id;
                self.waiting = Some(self.begin(at, seq, name, parent));
            }
            JobFact::Routed { .. } => self.end_wait(at),
            JobFact::Ended { cause, .. } => {
                self.end_wait(at);
                self.over = Some(at);
                if let Some(cause) = cause {
                    self.job.status = SpanStatus::Error(cause.to_string().into());
                }
            }
            JobFact::Reopened { .. } | JobFact::CameBack => {
                self.over = None;
                self.job.status = SpanStatus::Unset;
            }
            JobFact::Attempt(id, fact) => self.of_attempt(at, seq, *id, fact),
            JobFact::Racing { .. }
            | JobFact::RaceDropped { .. }
            | JobFact::Composed { .. }
            | JobFact::Moving { .. }
            | JobFact::Forgotten => {}
        }
    }

    fn about(&mut self, caller: Option<&Untrusted>, skill: Option<&Untrusted>) {
        if let Some(skill) = skill {
            self.job.attributes.push(Attribute::text(convention::SKILL, skill.clone()));
        }
        if let Some(caller) = caller {
            self.job.attributes.push(Attribute::text("quarterdeck.caller", caller.clone()));
        }
    }

    /// Begins a span within the job or an attempt; its place.
    fn begin(&mut self, at: At, seq: u64, name: String, parent: SpanId) -> usize {
        let mut span = blank(self.of.trace, derived(self.of.job, seq), self.resource.clone());
        span.parent = Some(parent);
        span.name = name.into();
        span.start = at.into();
        self.inner.push(span);
        self.inner.len() - 1
    }

    fn end_wait(&mut self, at: At) {
        if let Some(place) = self.waiting.take() {
            self.inner[place].end = Some(at.into());
        }
    }

    fn of_attempt(&mut self, at: At, seq: u64, id: AttemptId, fact: &AttemptFact) {
        if let AttemptFact::Planned { agent, message_id } = fact {
            self.end_wait(at);
            self.over = None;
            let name = self.of.agents.iter().find(|(known, _)| known == agent).map(|(_, name)| name.clone());
            let mut span = blank(self.of.trace, id.into(), self.resource.clone());
            span.parent = Some(self.job.id);
            span.name = format!("attempt {}", self.attempts.len() + 1).into();
            span.kind = SpanKind::Client;
            span.start = at.into();
            span.attributes.push(Attribute::int(
                convention::ATTEMPT,
                i64::try_from(self.attempts.len() + 1).unwrap_or(i64::MAX),
            ));
            span.attributes.push(Attribute::text(convention::AGENT_NAME, name.unwrap_or_default()));
            if let Some(message) = message_id {
                span.attributes.push(Attribute::text(convention::A2A_METHOD, "SendMessage"));
                span.attributes.push(Attribute::text(convention::A2A_MESSAGE, message.text()));
            }
            let open = OpenAttempt { id, span, state: None, gap: None, question: None, cancel: None };
            self.attempts.push(open);
            return;
        }
        let Some(place) = self.attempts.iter().position(|attempt| attempt.id == id) else { return };
        match fact {
            AttemptFact::Moved { phase, cause } => {
                let attempt = &mut self.attempts[place];
                attempt.event(at, phase.as_str().to_owned());
                if matches!(phase, Phase::Refused | Phase::Unsent | Phase::PresumedLost | Phase::Uncertain) {
                    let why =
                        cause.as_ref().map_or_else(|| phase.as_str().to_owned(), |cause| cause.to_string());
                    attempt.span.status = SpanStatus::Error(why.into());
                }
                if phase.is_over() {
                    self.end_attempt(place, at);
                }
            }
            AttemptFact::TaskSeen { task, state, peer_time, .. } => {
                let attempt = &mut self.attempts[place];
                attempt.span.attributes.push(Attribute::text(convention::A2A_TASK, task.text()));
                // A found task ran before it was found; its agent says since when.
                if let Some(began) = peer_time.map(|time| At::from_micros(time.micros()))
                    && self.found
                    && began < at
                {
                    attempt.span.start = attempt.span.start.min(began.into());
                    self.job.start = self.job.start.min(began.into());
                }
                self.state(place, at, seq, state);
            }
            AttemptFact::StateSeen { state, .. } => self.state(place, at, seq, state),
            AttemptFact::ArtifactSeen { artifact, name, last, .. } => {
                let name = name.as_ref().unwrap_or(artifact);
                self.attempts[place].artifact(at, name, *last);
            }
            AttemptFact::MessageSeen { .. } => self.attempts[place].event(at, "message".to_owned()),
            AttemptFact::GapOpened { since, .. } => {
                if self.attempts[place].gap.is_none() {
                    let parent = self.attempts[place].span.id;
                    let gap = self.begin(*since, seq, NO_STREAM.to_owned(), parent);
                    self.attempts[place].gap = Some(gap);
                }
            }
            AttemptFact::GapClosed { .. } => {
                if let Some(gap) = self.attempts[place].gap.take() {
                    self.inner[gap].end = Some(at.into());
                }
                self.attempts[place].event(at, "resumed".to_owned());
            }
            AttemptFact::VerdictChanged { verdict, .. } => {
                if let Some(verdict) = verdict {
                    self.attempts[place].note(at, verdict.as_str().to_owned());
                    if *verdict == Verdict::Lost {
                        self.attempts[place].span.status =
                            SpanStatus::Error("the agent lost the task".into());
                        self.end_attempt(place, at);
                    }
                }
            }
            AttemptFact::CancelMoved { mark, .. } => self.cancel(place, at, seq, *mark),
            AttemptFact::AnswerMoved { phase, .. } => {
                self.attempts[place].note(at, format!("answer {}", phase.as_str()));
            }
            AttemptFact::Settled => self.end_attempt(place, at),
            AttemptFact::Overdue { cause } => self.attempts[place].note(at, cause.to_string()),
            AttemptFact::Planned { .. }
            | AttemptFact::ClaimSeen { .. }
            | AttemptFact::CancelWithdrawn { .. }
            | AttemptFact::CascadeAsked { .. }
            | AttemptFact::CancelIgnored { .. }
            | AttemptFact::ReasonGiven { .. }
            | AttemptFact::ViolationObserved { .. }
            | AttemptFact::Won => {}
        }
    }

    fn state(&mut self, place: usize, at: At, seq: u64, state: &TaskState) {
        if self.attempts[place].state.as_ref() == Some(state) {
            return;
        }
        self.attempts[place].event(at, state.word());
        self.attempts[place].state = Some(state.clone());
        if let Some(question) = self.attempts[place].question.take() {
            self.inner[question].end = Some(at.into());
        }
        if state.is_interrupted() {
            let name =
                if *state == TaskState::AuthRequired { "wait for a login" } else { "wait for an answer" };
            let parent = self.attempts[place].span.id;
            let question = self.begin(at, seq, name.to_owned(), parent);
            self.inner[question].attributes.push(Attribute::text(convention::AGENT_NAME, PERSON));
            self.attempts[place].question = Some(question);
        }
        if state.is_terminal() {
            if matches!(state, TaskState::Failed | TaskState::Rejected) {
                self.attempts[place].span.status = SpanStatus::Error(state.word().into());
            }
            self.end_attempt(place, at);
        }
    }

    fn cancel(&mut self, place: usize, at: At, seq: u64, mark: CancelMark) {
        self.attempts[place].note(at, format!("cancel {}", mark.as_str()));
        match mark {
            CancelMark::Asked => {
                if self.attempts[place].cancel.is_none() {
                    let parent = self.attempts[place].span.id;
                    let cancel = self.begin(at, seq, "CancelTask".to_owned(), parent);
                    self.inner[cancel].kind = SpanKind::Client;
                    self.inner[cancel].attributes.push(Attribute::text(convention::A2A_METHOD, "CancelTask"));
                    self.attempts[place].cancel = Some(cancel);
                }
            }
            CancelMark::Agreed => {}
            CancelMark::Verified | CancelMark::Unconfirmed | CancelMark::Refused | CancelMark::TooLate => {
                if let Some(cancel) = self.attempts[place].cancel.take() {
                    self.inner[cancel].end = Some(at.into());
                    if mark != CancelMark::Verified {
                        self.inner[cancel].status = SpanStatus::Error(mark.as_str().into());
                    }
                }
            }
        }
    }

    /// The first end counts: what is compared afterwards is no work of the agent.
    fn end_attempt(&mut self, place: usize, at: At) {
        let attempt = &mut self.attempts[place];
        attempt.span.end.get_or_insert_with(|| at.into());
        for open in [&mut attempt.gap, &mut attempt.question] {
            if let Some(place) = open.take() {
                self.inner[place].end = Some(at.into());
            }
        }
    }

    fn finish(mut self) -> Vec<Span> {
        for attempt in &mut self.attempts {
            if let Some(state) = &attempt.state {
                attempt.span.attributes.push(Attribute::text(convention::A2A_STATE, state.word()));
            }
        }
        let all_ended = self.attempts.iter().all(|attempt| attempt.span.end.is_some());
        let last = self.attempts.iter().filter_map(|attempt| attempt.span.end).max();
        if self.waiting.is_none() && all_ended {
            // A job that was sent is over when it says so; until then another attempt may follow.
            let over = self.over.map(UnixNanos::from);
            let completed = self.attempts.iter().any(|of| of.state == Some(TaskState::Completed));
            self.job.end = if self.found || completed || over.is_some() { over.max(last) } else { None };
        }
        let ended = self.attempts.last();
        if self.job.end.is_some()
            && !self.job.status.is_error()
            && let Some(error) = ended.map(|attempt| &attempt.span.status).filter(|status| status.is_error())
        {
            self.job.status = error.clone();
        }
        let mut spans = match &mut *self.attempts {
            // A task that somebody else sent is one thing: nothing waited for it, and no other attempt follows.
            [found] if self.found => {
                found.span.parent = self.job.parent;
                found.span.name = self.job.name;
                found.span.attributes.append(&mut self.job.attributes);
                Vec::new()
            }
            _ => vec![self.job],
        };
        spans.extend(self.attempts.into_iter().map(|attempt| attempt.span));
        spans.append(&mut self.inner);
        spans
    }
}

impl OpenAttempt {
    fn event(&mut self, at: At, name: String) {
        // A chatty agent has thousands of messages; the first and the last hundred tell when it spoke.
        if self.span.events.len() >= EVENTS {
            self.span.events.remove(EVENTS / 2);
            self.span.dropped += 1;
        }
        self.span.events.push(SpanEvent { at: at.into(), name: name.into(), attributes: Vec::new() });
    }

    /// Something that we did or decided: the agent may be silent all the same.
    fn note(&mut self, at: At, name: String) {
        self.event(at, name);
        if let Some(event) = self.span.events.last_mut() {
            event.attributes.push(Attribute { key: convention::UNTOLD.into(), value: Value::Bool(true) });
        }
    }

    /// Chunks of one artifact are one event at its begin, and one at its end.
    fn artifact(&mut self, at: At, name: &Untrusted, last: bool) {
        let begins = format!("{} begins", name.raw());
        let grows = format!("{} grows", name.raw());
        let known = self.span.events.iter().any(|event| event.name.raw() == begins);
        if !known {
            self.event(at, begins);
        } else if let Some(event) = self.span.events.last_mut().filter(|event| event.name.raw() == grows) {
            event.at = at.into();
        } else {
            self.event(at, grows);
        }
        if last {
            self.event(at, format!("{} done", name.raw()));
        }
    }
}

/// Events that a span of ours has at most.
const EVENTS: usize = 200;

fn blank(trace: TraceId, id: SpanId, resource: Arc<Resource>) -> Span {
    Span {
        trace,
        id,
        parent: None,
        name: Untrusted::default(),
        kind: SpanKind::Internal,
        start: UnixNanos::default(),
        end: None,
        status: SpanStatus::Unset,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        dropped: 0,
        resource,
        scope: SCOPE.into(),
    }
}

#[cfg(test)]
#[path = "own_tests.rs"]
mod tests;
