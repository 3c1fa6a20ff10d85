//! Records of rows: the full durable state of each entity, related by durable ids.

use std::sync::Arc;

use super::{Record, add, member, record};
use crate::domain::agent::breaker::Breaker;
use crate::domain::agent::card::Card;
use crate::domain::agent::outage::Outage;
use crate::domain::agent::replicas::ReplicaKey;
use crate::domain::agent::{Agent, Counts};
use crate::domain::id::{AgentId, AgentKey, JobId, JobKey};
use crate::domain::job::plan::JobPhase;
use crate::domain::job::{Answer, Attempt, Job, Task};
use crate::domain::problem::{DueNotification, Kind, Problem, Subject};
use crate::domain::text::Untrusted;
use crate::protocol::json::{Members, Object};

record! {
    Task {
        id, context, state, state_since, peer_time, first_peer_time, says, verdict, usual, cancel, ignored, cascades, last_activity as "last_sign", unwatched_since as "gap_since",
        note, offers, artifacts, bytes, settled,
    }
    Answer { message, phase, cause }
    DueNotification { event, into }
    Outage { from, until, came_back, cause }
}

impl Record for Agent {
    fn put_into(&self, out: &mut String) {
        let mut members = Members::begin(out);
        add(&mut members, "id", &self.id);
        add(&mut members, "seq", &self.seq);
        add(&mut members, "order", &self.order);
        add(&mut members, "spec", &self.spec);
        add(&mut members, "name", &self.name);
        add(&mut members, "listed", &self.listed);
        if self.left.is_some() {
            add(&mut members, "left", &self.left);
        }
        if self.operator_at.is_some() {
            add(&mut members, "operator_at", &self.operator_at);
        }
        add(&mut members, "sources", &self.sources.to_vec());
        add(&mut members, "card", &self.card);
        if self.own_card != is_own_unless_stored(self) {
            let from = if self.own_card { OWN_CARD } else { REPORTED_CARD };
            add(&mut members, "card_from", &Arc::<str>::from(from));
        }
        add(&mut members, "server", &self.server);
        add(&mut members, "card_since", &self.card_since);
        add(&mut members, "card_change", &self.card_change);
        add(&mut members, "certificate_until", &self.certificate_until);
        add(&mut members, "interface", &self.interface);
        add(&mut members, "settled", &self.confirmed_dialect);
        if self.stream_refused.is_some() {
            add(&mut members, "stream_refused", &self.stream_refused);
        }
        add(&mut members, "health", &self.health);
        add(&mut members, "since", &self.since);
        if let Some((health, since)) = self.before_stale {
            add(&mut members, "stale_from", &health);
            add(&mut members, "stale_from_since", &since);
        }
        add(&mut members, "cause", &self.cause);
        add(&mut members, "last_seen", &self.last_seen);
        if !self.outages.is_empty() {
            add(&mut members, "outages", &self.outages.to_vec());
        }
        if self.breaker != Breaker::default() {
            add(&mut members, "breaker", &self.breaker);
        }
        if self.service.is_some() {
            add(&mut members, "service", &self.service);
        }
        if self.shift.is_some() {
            add(&mut members, "shift", &self.shift);
        }
        add(&mut members, "oddities", &self.violations);
        if !self.deviations.is_empty() {
            add(&mut members, "deviations", &self.deviations.to_vec());
        }
        add(&mut members, "disarmed", &self.sanitised);
        members.end();
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        let card: Option<Arc<Card>> = member(&object, "card")?;
        let from: Option<Arc<str>> = member(&object, "card_from")?;
        let mut agent = Self {
            id: member(&object, "id")?,
            seq: member(&object, "seq")?,
            order: member(&object, "order")?,
            spec: member(&object, "spec")?,
            name: member(&object, "name")?,
            listed: member(&object, "listed")?,
            left: member(&object, "left")?,
            operator_at: member(&object, "operator_at")?,
            sources: member::<Vec<Arc<str>>>(&object, "sources")?.into(),
            replica_key: None,
            card,
            own_card: false,
            server: member(&object, "server")?,
            card_since: member(&object, "card_since")?,
            card_change: member(&object, "card_change")?,
            certificate_until: member(&object, "certificate_until")?,
            interface: member(&object, "interface")?,
            confirmed_dialect: member(&object, "settled")?,
            stream_refused: member(&object, "stream_refused")?,
            health: member(&object, "health")?,
            since: member(&object, "since")?,
            before_stale: member::<Option<_>>(&object, "stale_from")?
                .zip(member::<Option<_>>(&object, "stale_from_since")?),
            cause: member(&object, "cause")?,
            last_seen: member(&object, "last_seen")?,
            outages: member::<Option<Vec<Outage>>>(&object, "outages")?.unwrap_or_default().into(),
            breaker: member::<Option<Breaker>>(&object, "breaker")?.unwrap_or_default(),
            service: member(&object, "service")?,
            shift: member(&object, "shift")?,
            violations: member(&object, "oddities")?,
            deviations: member::<Option<Vec<Untrusted>>>(&object, "deviations")?.unwrap_or_default().into(),
            sanitised: member(&object, "disarmed")?,
            counts: Counts::default(),
        };
        agent.replica_key = ReplicaKey::of(agent.spec.replica_of.as_deref(), agent.card.as_deref());
        agent.own_card = from.map_or_else(|| is_own_unless_stored(&agent), |from| &*from == OWN_CARD);
        Some(agent)
    }
}

/// The words for the origin of a card.
const OWN_CARD: &str = "agent";
const REPORTED_CARD: &str = "source";

/// The default origin of a card: version 0.1.0 did not store it, and it is omitted if this default is right.
fn is_own_unless_stored(agent: &Agent) -> bool {
    agent.card.is_some() && agent.is_named_by_operator()
}

impl Record for Job {
    fn put_into(&self, out: &mut String) {
        let mut members = Members::begin(out);
        add(&mut members, "id", &self.id);
        add(&mut members, "seq", &self.seq);
        add(&mut members, "title", &self.title);
        add(&mut members, "origin", &self.origin);
        add(&mut members, "caller", &self.caller);
        add(&mut members, "skill", &self.skill);
        add(&mut members, "context", &self.context);
        add(&mut members, "parent", &self.parent);
        add(&mut members, "created", &self.created);
        add(&mut members, "message", &self.message);
        if self.phase != JobPhase::Running {
            add(&mut members, "phase", &self.phase);
        }
        if self.plan.is_some() {
            add(&mut members, "plan", &self.plan);
        }
        members.end();
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(Self {
            id: member(&object, "id")?,
            seq: member(&object, "seq")?,
            title: member(&object, "title")?,
            origin: member(&object, "origin")?,
            caller: member(&object, "caller")?,
            skill: member(&object, "skill")?,
            context: member(&object, "context")?,
            parent: member(&object, "parent")?,
            created: member(&object, "created")?,
            attempts: smallvec::SmallVec::new(),
            message: member(&object, "message")?,
            // Version 0.1.0 stored none; [`crate::domain::state::State::restore`] finds out whether the job is over.
            phase: member::<Option<JobPhase>>(&object, "phase")?.unwrap_or(JobPhase::Running),
            plan: member(&object, "plan")?,
        })
    }
}

/// An attempt with the durable ids of its job and its agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttemptRow {
    /// The attempt; its keys mean nothing outside the process that wrote it.
    pub attempt: Attempt,
    /// The job.
    pub job: JobId,
    /// Facts of that job so far: most are about an attempt, and then the job's own row is not written.
    pub job_seq: u64,
    /// The agent.
    pub agent: AgentId,
}

impl Record for AttemptRow {
    fn put_into(&self, out: &mut String) {
        let Attempt {
            id,
            number,
            message_id,
            phase,
            may_have_arrived,
            phase_since,
            created,
            sent,
            cause,
            task,
            answer,
            progress,
            ..
        } = &self.attempt;
        let mut members = Members::begin(out);
        add(&mut members, "id", id);
        add(&mut members, "job", &self.job);
        add(&mut members, "job_seq", &self.job_seq);
        add(&mut members, "agent", &self.agent);
        add(&mut members, "number", number);
        add(&mut members, "message_id", message_id);
        add(&mut members, "phase", phase);
        add(&mut members, "may_have_arrived", may_have_arrived);
        add(&mut members, "phase_since", phase_since);
        add(&mut members, "created", created);
        if sent.is_some() {
            add(&mut members, "sent", sent);
        }
        add(&mut members, "cause", cause);
        add(&mut members, "task", task);
        add(&mut members, "answer", answer);
        add(&mut members, "progress", progress);
        members.end();
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        let attempt = Attempt {
            id: member(&object, "id")?,
            job: JobKey(0),
            number: member(&object, "number")?,
            agent: AgentKey(0),
            message_id: member(&object, "message_id")?,
            phase: member(&object, "phase")?,
            may_have_arrived: member(&object, "may_have_arrived")?,
            phase_since: member(&object, "phase_since")?,
            created: member(&object, "created")?,
            sent: member(&object, "sent")?,
            cause: member(&object, "cause")?,
            task: member(&object, "task")?,
            answer: member(&object, "answer")?,
            progress: member(&object, "progress")?,
        };
        Some(Self {
            attempt,
            job: member(&object, "job")?,
            job_seq: member(&object, "job_seq")?,
            agent: member(&object, "agent")?,
        })
    }
}

/// A problem with the durable ids of its subject.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProblemRow {
    /// The problem; its keys mean nothing outside the process that wrote it.
    pub problem: Problem,
    /// Its agent.
    pub agent: Option<AgentId>,
    /// Its source of agents, or its objective, by name.
    pub source: Option<Arc<str>>,
}

impl Record for ProblemRow {
    fn put_into(&self, out: &mut String) {
        let Problem { number, kind, text, next, since, eased, cleared, taken, muted, due, .. } =
            &self.problem;
        let mut members = Members::begin(out);
        add(&mut members, "number", number);
        add(&mut members, "kind", kind);
        add(&mut members, "agent", &self.agent);
        add(&mut members, "source", &self.source);
        add(&mut members, "text", text);
        add(&mut members, "next", next);
        add(&mut members, "since", since);
        if *eased {
            add(&mut members, "eased", eased);
        }
        add(&mut members, "cleared", cleared);
        add(&mut members, "taken", taken);
        add(&mut members, "muted", muted);
        if !due.is_empty() {
            add(&mut members, "due", due);
        }
        members.end();
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        let agent: Option<AgentId> = member(&object, "agent")?;
        let kind = member(&object, "kind")?;
        let source: Option<Arc<str>> = member(&object, "source")?;
        let problem = Problem {
            number: member(&object, "number")?,
            kind,
            objective: source.clone().filter(|_| kind == Kind::ObjectiveMissed),
            // Filled in by the caller, which knows the keys of this process.
            subject: Subject::Console,
            agent: None,
            text: member(&object, "text")?,
            next: member(&object, "next")?,
            since: member(&object, "since")?,
            eased: member(&object, "eased")?,
            cleared: member(&object, "cleared")?,
            taken: member(&object, "taken")?,
            muted: member(&object, "muted")?,
            due: member(&object, "due")?,
        };
        Some(Self { problem, agent, source })
    }
}
