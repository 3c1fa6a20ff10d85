//! Records of the parts of messages, cards and causes.

use super::{Record, add, member, put_member, record, words};
use crate::domain::agent::breaker::{Breaker, BreakerState};
use crate::domain::agent::card::{Card, Dialect, Interface, Offer, Peer, SecurityScheme, Skill};
use crate::domain::agent::service::{Drain, OutOfService};
use crate::domain::agent::shift::{Results, Shift, ShiftCounts, ShiftEvent, ShiftStage, ShiftTerms};
use crate::domain::agent::{AgentSpec, Health, Source};
use crate::domain::cause::{Cause, ErrorName, Limit, RpcError, TlsFault};
use crate::domain::fact::Act;
use crate::domain::fleet::source::{SourceHealth, SourceKind, SourceRow, SourceSpec};
use crate::domain::job::carry::{Carried, Carry, CarryContext, CarryHistory};
use crate::domain::job::message::{Content, Fingerprint, Hints, Json, Message, OfferedAnswer, Part, Role};
use crate::domain::job::plan::{
    JobPhase, NextAgent, NextRacer, Plan, Race, RaceReason, Racer, SpentBudget, WaitReason, Waiting,
};
use crate::domain::job::task::{CancelMark, LateEnd, ProtocolViolation, TaskState, UsualPause, Verdict, Via};
use crate::domain::job::{ArtifactMeta, Origin, Phase, Progress};
use crate::domain::problem::{Kind, Muted, NotificationEvent, Taken};
use crate::domain::route::decision::{Considered, Decision, Obstacle, Verdict as RouteVerdict};
use crate::domain::route::shift::{Shifted, Went};
use crate::domain::route::{HedgeAfter, Target};
use crate::domain::text::Untrusted;
use crate::domain::trace::TraceCarrier;
use crate::protocol::json::{Members, Object, Writer, push_string, string, text_of};

words! {
    Source { Config = "config", CommandLine = "command line", Demo = "demo", Discovery = "discovery", Kept = "kept" }
    SourceKind {
        Path = "path", Url = "url", Ard = "ard", Registry = "registry", Kubernetes = "kubernetes", Dns = "dns",
        Own = "own registry",
    }
    SourceHealth { Unknown = "unknown", Working = "working", Failing = "failing" }
    Dialect { V0_3 = "0.3", V1_0 = "1.0" }
    Health {
        Unknown = "unknown", Up = "up", Degraded = "degraded", Down = "down", Stale = "stale",
        LoginNeeded = "login-needed", NotSpoken = "not-spoken",
    }
    NotificationEvent { Raised = "raised", Cleared = "cleared" }
    Act { Cancel = "cancel", Answer = "answer", Resend = "resend", PresumeLost = "presume lost", Retry = "retry", Reroute = "reroute", Race = "race" }
    BreakerState { Closed = "closed", Open = "open", HalfOpen = "half-open" }
    Origin { Sent = "sent", Found = "found" }
    Phase {
        Planned = "planned", Sending = "sending", Accepted = "accepted", Answered = "answered",
        Refused = "refused", Unsent = "unsent", Uncertain = "uncertain", PresumedLost = "presumed lost",
    }
    Verdict {
        Silent = "silent", Unheard = "unheard", Stuck = "stuck", Looping = "looping", Stalled = "stalled", Stale = "stale", Unreachable = "unreachable", Conflict = "conflict", Lost = "lost",
    }
    CancelMark {
        Asked = "asked", Agreed = "agreed", Verified = "verified", Unconfirmed = "unconfirmed", Refused = "refused",
        TooLate = "too late",
    }
    JobPhase { Queued = "queued", Running = "running", Over = "over" }
    WaitReason { Capacity = "capacity", Concurrency = "concurrency", Unavailable = "unavailable", Backoff = "backoff" }
    CarryContext { Given = "given", Same = "same", New = "new" }
    CarryHistory { None = "none", References = "references", Content = "content" }
    Went {
        Successor = "successor", Legacy = "legacy", OnlySuccessor = "only successor", OnlyLegacy = "only legacy",
    }
    ShiftStage { Running = "running", Held = "held", Back = "back", Complete = "complete" }
    ShiftEvent {
        Began = "began", Advanced = "advanced", Held = "held", Resumed = "resumed", WentBack = "went back",
        Completed = "completed", Ended = "ended", Restored = "restored",
    }
    OfferedAnswer { Approval = "approval", Choice = "choice" }
    TraceCarrier { Headers = "headers", Metadata = "metadata", Both = "both", Off = "off" }
    Via { Send = "send", Subscribe = "subscribe", Get = "get", List = "list", Cancel = "cancel" }
    Limit {
        SseLine = "sse line", SseEvent = "sse event", Card = "card", Body = "body", InFlight = "in flight",
        TooSlow = "too slow", Depth = "depth", Headers = "headers", Redirects = "redirects", Frames = "frames", LargeCards = "large cards",
    }
}

impl Record for Kind {
    fn put(&self) -> String {
        string(self.as_str())
    }

    fn get(raw: &str) -> Option<Self> {
        Self::from_word(&text_of(raw)?)
    }
}

record! {
    AgentSpec { name, url, source, dialect, resubscribe, labels, replica_of, capacity, probe_interval, trace_context }
    SourceSpec { name, kind, at }
    Breaker { position, since, cause, forced, opened }
    Taken { by, at }
    Muted { by, why, until }
    SourceRow { spec, health, since, cause, agents }
    Offer { url, binding, version, tenant }
    Interface { dialect, binding, url, tenant }
    Skill { id, name, description, tags, examples, input_modes, output_modes }
    SecurityScheme { name, kind }
    Peer { name, url }
    Card {
        name, description, version, provider, documentation, offers, streaming, push_notifications,
        extended_card, extensions, region, framework, peers, skills, input_modes, output_modes, security, required_security,
        signatures, faults, raw, digest,
    }
    Hints { caller, skill, parent, job, attempt, traceparent }
    Message { id, role, parts, context, task, metadata, references, hints, offers }
    Fingerprint { bytes, hash, tail }
    ArtifactMeta { id, name, print, closed }
    Progress { artifacts, messages, messages_total, content }
    LateEnd { state, after }
    UsualPause { time, made_up }
    Waiting { why, since, until }
    OutOfService { by, since, why, until, drain }
    Drain { move_at, empty_since }
    Plan { target, rule, revision, deadline, priority, idempotent, retries, next, waiting, dead, spent, ended, race, carry, composed }
    SpentBudget { rule, percent }
    Race { racers, next, won }
    Racer { number, why }
    NextRacer { to, why }
    Carried { from, context, history }
    Decision { rule, route, revision, matched, stage, candidates, shift }
    Shifted { from, to, percent, step, steps, went }
    Shift { terms, began, by, stage, step, since, why, counts }
    ShiftTerms { to, skill, steps, time, jobs, ok_limit }
    ShiftCounts { decided, given, legacy, successor }
    Results { ok, failed, refused, lost }
}

impl Record for Considered {
    fn put_into(&self, out: &mut String) {
        let mut members = Members::begin(out);
        add(&mut members, "agent", &self.agent);
        add(&mut members, "score", &self.score);
        add(&mut members, "health", &self.health);
        add(&mut members, "in_flight", &self.in_flight);
        add(&mut members, "capacity", &self.capacity);
        add(&mut members, "latency", &self.latency);
        // There are many of these, and few agents fail.
        if self.failing > 0 {
            add(&mut members, "failing", &self.failing);
        }
        add(&mut members, "verdict", &self.verdict);
        members.end();
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(Self {
            agent: member(&object, "agent")?,
            score: member(&object, "score")?,
            health: member(&object, "health")?,
            in_flight: member(&object, "in_flight")?,
            capacity: member(&object, "capacity")?,
            latency: member(&object, "latency")?,
            failing: member::<Option<u32>>(&object, "failing")?.unwrap_or_default(),
            verdict: member(&object, "verdict")?,
        })
    }
}

/// One of a few words, or any other text as received.
impl Record for TaskState {
    fn put_into(&self, out: &mut String) {
        push_string(
            out,
            match self {
                Self::Submitted => "submitted",
                Self::Working => "working",
                Self::InputRequired => "input-required",
                Self::AuthRequired => "auth-required",
                Self::Completed => "completed",
                Self::Failed => "failed",
                Self::Canceled => "canceled",
                Self::Rejected => "rejected",
                Self::Unspecified => "unspecified",
                Self::Other(raw) => return push_string(out, &format!("other:{}", raw.raw())),
            },
        );
    }

    fn get(raw: &str) -> Option<Self> {
        let text = text_of(raw)?;
        Some(match &*text {
            "submitted" => Self::Submitted,
            "working" => Self::Working,
            "input-required" => Self::InputRequired,
            "auth-required" => Self::AuthRequired,
            "completed" => Self::Completed,
            "failed" => Self::Failed,
            "canceled" => Self::Canceled,
            "rejected" => Self::Rejected,
            "unspecified" => Self::Unspecified,
            other => Self::Other(other.strip_prefix("other:").unwrap_or(other).into()),
        })
    }
}

impl Record for Role {
    fn put_into(&self, out: &mut String) {
        push_string(
            out,
            match self {
                Self::User => "user",
                Self::Agent => "agent",
                Self::Other(raw) => return push_string(out, &format!("other:{}", raw.raw())),
            },
        );
    }

    fn get(raw: &str) -> Option<Self> {
        let text = text_of(raw)?;
        Some(match &*text {
            "user" => Self::User,
            "agent" => Self::Agent,
            other => Self::Other(other.strip_prefix("other:").unwrap_or(other).into()),
        })
    }
}

impl Record for Part {
    fn put_into(&self, out: &mut String) {
        let (kind, text) = match &self.content {
            Content::Text(text) => ("text", text),
            Content::Raw(bytes) => ("raw", bytes),
            Content::Url(url) => ("url", url),
            Content::Data(json) => ("data", &json.0),
            Content::Unknown(json) => ("unknown", &json.0),
        };
        let mut members = Members::begin(out);
        members.member(kind, |out| push_string(out, text.raw()));
        add(&mut members, "filename", &self.filename);
        add(&mut members, "media_type", &self.media_type);
        add(&mut members, "metadata", &self.metadata);
        members.end();
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        let content = if let Some(text) = object.untrusted("text") {
            Content::Text(text)
        } else if let Some(bytes) = object.untrusted("raw") {
            Content::Raw(bytes)
        } else if let Some(url) = object.untrusted("url") {
            Content::Url(url)
        } else if let Some(json) = object.untrusted("data") {
            Content::Data(Json(json))
        } else {
            Content::Unknown(Json(object.untrusted("unknown")?))
        };
        Some(Self {
            content,
            filename: member(&object, "filename")?,
            media_type: member(&object, "media_type")?,
            metadata: member(&object, "metadata")?,
        })
    }
}

impl Record for RpcError {
    fn put(&self) -> String {
        let writer = Writer::new().text("name", self.name.as_str());
        let writer = writer.maybe_raw("code", self.code.map(|code| code.put()).as_deref());
        writer.text("message", self.message.raw()).end()
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        let code: Option<i64> = member(&object, "code")?;
        let by_name = object.text("name").and_then(|name| ErrorName::from_word(&name));
        let name = by_name.unwrap_or_else(|| code.map_or(ErrorName::Other, ErrorName::from_code));
        Some(Self { name, code, message: member(&object, "message")? })
    }
}

impl Record for TlsFault {
    fn put_into(&self, out: &mut String) {
        push_string(
            out,
            match self {
                Self::Expired => "expired",
                Self::NotYetValid => "not yet valid",
                Self::UnknownIssuer => "unknown issuer",
                Self::WrongName => "wrong name",
                Self::Revoked => "revoked",
                Self::Other(why) => return push_string(out, &format!("other:{}", why.raw())),
            },
        );
    }

    fn get(raw: &str) -> Option<Self> {
        let text = text_of(raw)?;
        Some(match &*text {
            "expired" => Self::Expired,
            "not yet valid" => Self::NotYetValid,
            "unknown issuer" => Self::UnknownIssuer,
            "wrong name" => Self::WrongName,
            "revoked" => Self::Revoked,
            other => Self::Other(other.strip_prefix("other:").unwrap_or(other).into()),
        })
    }
}

impl Record for Cause {
    fn put(&self) -> String {
        let says = |word: &str| Writer::new().text("what", word);
        let with = |word: &str, text: &Untrusted| says(word).text("text", text.raw()).end();
        match self {
            Self::Refused => says("refused").end(),
            Self::Reset => says("reset").end(),
            Self::TimedOut(limit) => says("timed out").raw("after", &limit.put()).end(),
            Self::Dns(host) => with("dns", host),
            Self::Unreachable(why) => with("unreachable", why),
            Self::Tls(fault) => says("tls").raw("fault", &fault.put()).end(),
            Self::Login { status, challenge, had_credentials } => {
                let writer = says("login").raw("status", &status.put());
                let writer = writer.maybe_raw("challenge", challenge.as_ref().map(Record::put).as_deref());
                writer.maybe_raw("had_credentials", had_credentials.then_some("true")).end()
            }
            Self::Status { status, says: words, retry_after } => {
                let writer = says("status").raw("status", &status.put()).text("text", words.raw());
                put_member(writer, "retry_after", retry_after).end()
            }
            Self::Deadline(limit) => says("deadline").raw("after", &limit.put()).end(),
            Self::Overdue(limit) => says("overdue").raw("after", &limit.put()).end(),
            Self::TaskEnded(how) => with("task ended", how),
            Self::Malformed(place) => with("malformed", place),
            Self::Limit(limit) => says("limit").raw("limit", &limit.put()).end(),
            Self::RedirectRefused(to) => with("redirect refused", to),
            Self::Blocked(host) => with("blocked", host),
            Self::Rpc(error) => says("rpc").raw("error", &error.put()).end(),
            Self::NotSpoken(offers) => with("not spoken", offers),
            Self::Unsaved(why) => with("unsaved", why),
            Self::Stopping => says("stopping").end(),
            Self::Credential(why) => with("credential", why),
            Self::Unsupported(what) => with("unsupported", what),
            Self::TasksFailing { failed, of } => {
                says("tasks failing").raw("failed", &failed.put()).raw("of", &of.put()).end()
            }
            Self::Outlier { failed, of, others_failed, others_of, replicas, tasks } => says("outlier")
                .raw("failed", &failed.put())
                .raw("of", &of.put())
                .raw("others_failed", &others_failed.put())
                .raw("others_of", &others_of.put())
                .raw("replicas", &replicas.put())
                .raw("tasks", &tasks.put())
                .end(),
            Self::Breaker(why) => with("breaker", why),
            Self::Interface(cause) => says("interface").raw("cause", &cause.put()).end(),
            Self::NoA2a(what) => with("no a2a", what),
            Self::Failing(failed) => says("failing").raw("failed", &failed.put()).end(),
            Self::Slow { p95, limit } => says("slow").raw("p95", &p95.put()).raw("limit", &limit.put()).end(),
            Self::StaleCard(cause) => says("stale card").raw("cause", &cause.put()).end(),
            Self::Source(what) => with("source", what),
            Self::NotServed(why) => with("not served", why),
        }
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        let text = || member(&object, "text");
        Some(match &*object.text("what")? {
            "refused" => Self::Refused,
            "reset" => Self::Reset,
            "timed out" => Self::TimedOut(member(&object, "after")?),
            "dns" => Self::Dns(text()?),
            "unreachable" => Self::Unreachable(text()?),
            "tls" => Self::Tls(member(&object, "fault")?),
            "login" => Self::Login {
                status: member(&object, "status")?,
                challenge: member(&object, "challenge")?,
                had_credentials: member(&object, "had_credentials")?,
            },
            "status" => Self::Status {
                status: member(&object, "status")?,
                says: text()?,
                retry_after: member(&object, "retry_after")?,
            },
            "deadline" => Self::Deadline(member(&object, "after")?),
            "overdue" => Self::Overdue(member(&object, "after")?),
            "task ended" => Self::TaskEnded(text()?),
            "malformed" => Self::Malformed(text()?),
            "limit" => Self::Limit(member(&object, "limit")?),
            "redirect refused" => Self::RedirectRefused(text()?),
            "blocked" => Self::Blocked(text()?),
            "rpc" => Self::Rpc(member(&object, "error")?),
            "not spoken" => Self::NotSpoken(text()?),
            "no a2a" => Self::NoA2a(text()?),
            "unsaved" => Self::Unsaved(text()?),
            "stopping" => Self::Stopping,
            "credential" => Self::Credential(text()?),
            "unsupported" => Self::Unsupported(text()?),
            "tasks failing" => {
                Self::TasksFailing { failed: member(&object, "failed")?, of: member(&object, "of")? }
            }
            "outlier" => Self::Outlier {
                failed: member(&object, "failed")?,
                of: member(&object, "of")?,
                others_failed: member(&object, "others_failed")?,
                others_of: member(&object, "others_of")?,
                replicas: member(&object, "replicas")?,
                tasks: member(&object, "tasks")?,
            },
            "breaker" => Self::Breaker(text()?),
            "interface" => Self::Interface(member(&object, "cause")?),
            "failing" => Self::Failing(member(&object, "failed")?),
            "slow" => Self::Slow { p95: member(&object, "p95")?, limit: member(&object, "limit")? },
            "stale card" => Self::StaleCard(member(&object, "cause")?),
            "source" => Self::Source(text()?),
            "not served" => Self::NotServed(text()?),
            _ => return None,
        })
    }
}

impl Record for Target {
    fn put(&self) -> String {
        let to = |word: &str| Writer::new().text("to", word);
        match self {
            Self::Agent(agent) => to("agent").raw("agent", &agent.put()),
            Self::Skill(skill) => to("skill").text("name", skill.raw()),
            Self::Tag(tag) => to("tag").text("name", tag.raw()),
            Self::Route(route) => to("route").text("name", route),
            Self::Any => to("any"),
        }
        .end()
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(match &*object.text("to")? {
            "agent" => Self::Agent(member(&object, "agent")?),
            "skill" => Self::Skill(member(&object, "name")?),
            "tag" => Self::Tag(member(&object, "name")?),
            "route" => Self::Route(member(&object, "name")?),
            "any" => Self::Any,
            _ => return None,
        })
    }
}

/// The agent, or `any`.
impl Record for NextAgent {
    fn put(&self) -> String {
        match self {
            Self::Any => string("any"),
            Self::Named(agent) => agent.put(),
        }
    }

    fn get(raw: &str) -> Option<Self> {
        match &*text_of(raw)? {
            "any" => Some(Self::Any),
            _ => Record::get(raw).map(Self::Named),
        }
    }
}

/// Absent if nothing is carried.
impl Record for Carry {
    fn put(&self) -> String {
        if *self == Self::default() {
            return "null".to_owned();
        }
        Writer::new().raw("context", &self.context.put()).raw("history", &self.history.put()).end()
    }

    fn get(raw: &str) -> Option<Self> {
        if raw == "null" {
            return Some(Self::default());
        }
        let object = Object::parse(raw).ok()?;
        Some(Self { context: member(&object, "context")?, history: member(&object, "history")? })
    }
}

/// An operator's name, or the limit of a hedge.
impl Record for RaceReason {
    fn put(&self) -> String {
        match self {
            Self::Raced { by } => Writer::new().raw("by", &by.put()),
            Self::Hedged { after: HedgeAfter::Percentile(percent), limit } => {
                Writer::new().raw("percentile", &percent.put()).raw("limit", &limit.put())
            }
            Self::Hedged { after: HedgeAfter::Time(_), limit } => Writer::new().raw("limit", &limit.put()),
        }
        .end()
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        if let Some(by) = member(&object, "by")? {
            return Some(Self::Raced { by });
        }
        let limit = member(&object, "limit")?;
        let after = match member(&object, "percentile")? {
            Some(percent) => HedgeAfter::Percentile(percent),
            None => HedgeAfter::Time(limit),
        };
        Some(Self::Hedged { after, limit })
    }
}

impl Record for RouteVerdict {
    fn put(&self) -> String {
        string(match self {
            Self::Taken => "taken",
            Self::Behind => "behind",
            Self::Out(Obstacle::Breaker) => "breaker",
            Self::Out(Obstacle::Full) => "full",
            Self::Out(Obstacle::Cordoned) => "cordoned",
            Self::Out(Obstacle::Health(health)) => health.as_str(),
        })
    }

    fn get(raw: &str) -> Option<Self> {
        Some(match &*text_of(raw)? {
            "taken" => Self::Taken,
            "behind" => Self::Behind,
            "breaker" => Self::Out(Obstacle::Breaker),
            "full" => Self::Out(Obstacle::Full),
            "cordoned" => Self::Out(Obstacle::Cordoned),
            _ => Self::Out(Obstacle::Health(Health::get(raw)?)),
        })
    }
}

impl Record for ProtocolViolation {
    fn put(&self) -> String {
        let says = |word: &str| Writer::new().text("what", word);
        match self {
            Self::IllegalMove { from, to } => {
                says("illegal move").raw("from", &from.put()).raw("to", &to.put()).end()
            }
            Self::AfterLastChunk => says("after last chunk").end(),
            Self::AppendToNothing => says("append to nothing").end(),
            Self::ForeignTaskId(task) => says("foreign task id").raw("task", &task.put()).end(),
            Self::Unreadable(why) => says("unreadable").text("text", why.raw()).end(),
            Self::Deviation(what) => says("deviation").text("text", what.raw()).end(),
        }
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(match &*object.text("what")? {
            "illegal move" => {
                Self::IllegalMove { from: member(&object, "from")?, to: member(&object, "to")? }
            }
            "after last chunk" => Self::AfterLastChunk,
            "append to nothing" => Self::AppendToNothing,
            "foreign task id" => Self::ForeignTaskId(member(&object, "task")?),
            "unreadable" => Self::Unreadable(member(&object, "text")?),
            "deviation" => Self::Deviation(member(&object, "text")?),
            _ => return None,
        })
    }
}
