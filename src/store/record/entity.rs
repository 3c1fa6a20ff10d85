//! Records of rows: the full durable state of each entity, related by durable ids.

use super::{Record, member, put_member, record};
use crate::domain::agent::{Agent, Counts};
use crate::domain::id::{AgentId, AgentKey, AttemptId, JobId, JobKey};
use crate::domain::job::{Answer, Attempt, Job, Task};
use crate::domain::problem::{Problem, Subject};
use crate::protocol::json::{Object, Writer};

record! {
    Task {
        id, context, state, state_since, peer_time, says, verdict, cancel, last_sign, gap_since, note,
        artifacts, bytes, settled,
    }
    Answer { message, phase, cause }
}

impl Record for Agent {
    fn put(&self) -> String {
        let writer = put_member(Writer::new(), "id", &self.id);
        let writer = put_member(writer, "seq", &self.seq);
        let writer = put_member(writer, "order", &self.order);
        let writer = put_member(writer, "spec", &self.spec);
        let writer = put_member(writer, "name", &self.name);
        let writer = put_member(writer, "listed", &self.listed);
        let writer = put_member(writer, "card", &self.card);
        let writer = put_member(writer, "card_since", &self.card_since);
        let writer = put_member(writer, "interface", &self.interface);
        let writer = put_member(writer, "settled", &self.settled);
        let writer = put_member(writer, "health", &self.health);
        let writer = put_member(writer, "since", &self.since);
        let writer = put_member(writer, "cause", &self.cause);
        let writer = put_member(writer, "last_seen", &self.last_seen);
        let writer = put_member(writer, "oddities", &self.oddities);
        put_member(writer, "disarmed", &self.disarmed).end()
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(Self {
            id: member(&object, "id")?,
            seq: member(&object, "seq")?,
            order: member(&object, "order")?,
            spec: member(&object, "spec")?,
            name: member(&object, "name")?,
            listed: member(&object, "listed")?,
            card: member(&object, "card")?,
            card_since: member(&object, "card_since")?,
            interface: member(&object, "interface")?,
            settled: member(&object, "settled")?,
            health: member(&object, "health")?,
            since: member(&object, "since")?,
            cause: member(&object, "cause")?,
            last_seen: member(&object, "last_seen")?,
            oddities: member(&object, "oddities")?,
            disarmed: member(&object, "disarmed")?,
            counts: Counts::default(),
        })
    }
}

impl Record for Job {
    fn put(&self) -> String {
        let writer = put_member(Writer::new(), "id", &self.id);
        let writer = put_member(writer, "seq", &self.seq);
        let writer = put_member(writer, "title", &self.title);
        let writer = put_member(writer, "origin", &self.origin);
        let writer = put_member(writer, "caller", &self.caller);
        let writer = put_member(writer, "skill", &self.skill);
        let writer = put_member(writer, "context", &self.context);
        let writer = put_member(writer, "parent", &self.parent);
        let writer = put_member(writer, "created", &self.created);
        put_member(writer, "message", &self.message).end()
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
            attempts: Vec::new(),
            message: member(&object, "message")?,
        })
    }
}

/// An attempt with the durable ids of its job and its agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttemptRow {
    /// The attempt; its keys mean nothing outside the process that wrote it.
    pub attempt: Attempt,
    /// Whose.
    pub job: JobId,
    /// To whom.
    pub agent: AgentId,
}

impl Record for AttemptRow {
    fn put(&self) -> String {
        let Attempt {
            id,
            number,
            message_id,
            phase,
            phase_since,
            created,
            cause,
            task,
            answer,
            progress,
            ..
        } = &self.attempt;
        let writer = put_member(Writer::new(), "id", id);
        let writer = put_member(writer, "job", &self.job);
        let writer = put_member(writer, "agent", &self.agent);
        let writer = put_member(writer, "number", number);
        let writer = put_member(writer, "message_id", message_id);
        let writer = put_member(writer, "phase", phase);
        let writer = put_member(writer, "phase_since", phase_since);
        let writer = put_member(writer, "created", created);
        let writer = put_member(writer, "cause", cause);
        let writer = put_member(writer, "task", task);
        let writer = put_member(writer, "answer", answer);
        put_member(writer, "progress", progress).end()
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
            phase_since: member(&object, "phase_since")?,
            created: member(&object, "created")?,
            cause: member(&object, "cause")?,
            task: member(&object, "task")?,
            answer: member(&object, "answer")?,
            progress: member(&object, "progress")?,
        };
        Some(Self { attempt, job: member(&object, "job")?, agent: member(&object, "agent")? })
    }
}

/// A problem with the durable ids of its subject.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProblemRow {
    /// The problem; its keys mean nothing outside the process that wrote it.
    pub problem: Problem,
    /// Its agent.
    pub agent: Option<AgentId>,
    /// Its attempt.
    pub attempt: Option<AttemptId>,
}

impl Record for ProblemRow {
    fn put(&self) -> String {
        let Problem { number, kind, text, next, since, cleared, .. } = &self.problem;
        let writer = put_member(Writer::new(), "number", number);
        let writer = put_member(writer, "kind", kind);
        let writer = put_member(writer, "agent", &self.agent);
        let writer = put_member(writer, "attempt", &self.attempt);
        let writer = put_member(writer, "text", text);
        let writer = put_member(writer, "next", next);
        let writer = put_member(writer, "since", since);
        put_member(writer, "cleared", cleared).end()
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        let agent: Option<AgentId> = member(&object, "agent")?;
        let attempt: Option<AttemptId> = member(&object, "attempt")?;
        let problem = Problem {
            number: member(&object, "number")?,
            kind: member(&object, "kind")?,
            // Filled in by whoever knows the keys of this process.
            subject: Subject::Console,
            agent: None,
            text: member(&object, "text")?,
            next: member(&object, "next")?,
            since: member(&object, "since")?,
            cleared: member(&object, "cleared")?,
        };
        Some(Self { problem, agent, attempt })
    }
}
