//! The protocol of the socket: one JSON object per line.
//!
//! ```text
//! client                                   server
//! {"hello":{"version":3}}                  {"hello":{"version":3,"pid":7,"lasting":true,…}}
//! {"watch":true}                           {"rows":{…}} … {"published":{"rev":1,…}}, again at each change
//! {"watch":true,"keeps_cards":true}        the same; an agent's row has its card only if that is new, else "same_card"
//! {"id":1,"by":"sam","surface":"cli","submit":{…}}  {"id":1,"receipt":{…}} or {"id":1,"refusal":{…}}
//! {"id":2,"query":{…}}                     {"id":2,"answer":{…}} or {"id":2,"error":{…}}
//! {"id":2,"telemetry":{…}}                 {"id":2,"telemetry":{…}} or {"id":2,"error":{…}}
//! {"id":3,"follow":"JOB"}                  {"id":3,"story":[…]} … {"id":3,"began":true,"until":7}, then {"id":3,"fact":{…}} …
//! {"hand_over":true}                       {"handed_over":true}, if this engine is only passing by
//!                                          {"refused":"WHY"} and the end of the connection, for another version
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::domain::cause::Cause;
use crate::domain::fact::{JournalEntry, Owner};
use crate::domain::id::{AgentId, AgentKey, AttemptId, JobId, TaskId};
use crate::domain::intent::{Intent, Receipt, Refusal, Remedy, Send};
use crate::domain::job::message::{Json, Part};
use crate::domain::metrics::{Block, Minute, MinuteRange, Series};
use crate::domain::problem::ProblemAct;
use crate::domain::text::Untrusted;
use crate::engine::handle::{Answer, JobRows, Query, QueryError};
use crate::net::tap::{Fault, Frame, Kind, Label, Method};
use crate::protocol::json::{Object, Writer, array, elements};
use crate::store::metrics;
use crate::store::record::{Record, member, put_member, record, words};

/// The version of the protocol. Another version is refused in the hello.
pub const VERSION: u32 = 3;

/// The tasks that a client wants: a fleet may have had a hundred thousand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tasks {
    /// All known tasks.
    #[default]
    All,
    /// Tasks that are live, in doubt or waiting for a person, and every task that changes from then on.
    Open,
}

words! {
    Tasks { All = "all", Open = "open" }
    Kind { Request = "request", Response = "response", Event = "event", End = "end" }
    Method {
        Card = "card", Check = "check", Send = "send", SendStreaming = "send streaming", Get = "get", List = "list",
        Cancel = "cancel", Subscribe = "subscribe", Document = "document", Notify = "notify",
    }
}

record! {
    Send { job, target, parts, context, task, metadata, skill, caller, parent, deadline, priority }
    Frame { number, at, call, method, task, kind, label, head, text, bytes }
    Fault { code, text, expected }
}

impl Record for usize {
    fn put(&self) -> String {
        self.to_string()
    }

    fn get(raw: &str) -> Option<Self> {
        if raw == "null" { Some(0) } else { raw.parse().ok() }
    }
}

impl Record for Label {
    fn put(&self) -> String {
        let says = |word: &str| Writer::new().text("is", word);
        match self {
            Self::Plain => says("plain"),
            Self::Task(state) => says("task").raw("state", &state.put()),
            Self::Message => says("message"),
            Self::Page(tasks) => says("page").raw("tasks", &tasks.put()),
            Self::Card => says("card"),
            Self::Unchanged => says("unchanged"),
            Self::Stream => says("stream"),
            Self::Status(state) => says("status").raw("state", &state.put()),
            Self::Artifact { last } => says("artifact").raw("last", &last.put()),
            Self::Unknown => says("unknown"),
            Self::KeepAlive => says("keep-alive"),
            Self::Ignored => says("ignored"),
            Self::Failed(fault) => says("failed").raw("fault", &fault.put()),
        }
        .end()
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(match &*object.text("is")? {
            "plain" => Self::Plain,
            "task" => Self::Task(member(&object, "state")?),
            "message" => Self::Message,
            "page" => Self::Page(member(&object, "tasks")?),
            "card" => Self::Card,
            "unchanged" => Self::Unchanged,
            "stream" => Self::Stream,
            "status" => Self::Status(member(&object, "state")?),
            "artifact" => Self::Artifact { last: member(&object, "last")? },
            "unknown" => Self::Unknown,
            "keep-alive" => Self::KeepAlive,
            "ignored" => Self::Ignored,
            "failed" => Self::Failed(Box::new(member(&object, "fault")?)),
            _ => return None,
        })
    }
}

impl Record for AgentKey {
    fn put(&self) -> String {
        self.0.to_string()
    }

    fn get(raw: &str) -> Option<Self> {
        raw.parse().ok().map(Self)
    }
}

impl Record for Intent {
    fn put(&self) -> String {
        let says = |word: &str| Writer::new().text("what", word);
        let of_attempt = |word: &str, attempt: &AttemptId, why: &Option<Untrusted>| {
            put_member(says(word).raw("attempt", &attempt.put()), "why", why).end()
        };
        match self {
            Self::Send(send) => says("send").raw("send", &send.put()).end(),
            Self::Answer { attempt, parts, metadata } => {
                let writer = says("answer").raw("attempt", &attempt.put()).raw("parts", &parts.put());
                put_member(writer, "metadata", metadata).end()
            }
            Self::Cancel { attempt, why } => of_attempt("cancel", attempt, why),
            Self::CancelWithDelegated { attempt, why } => of_attempt("cancel with delegated", attempt, why),
            Self::Resend { attempt, why } => of_attempt("resend", attempt, why),
            Self::PresumeLost { attempt, why } => of_attempt("presume lost", attempt, why),
            Self::Retry { attempt, to, carry, why } | Self::Reroute { attempt, to, carry, why } => {
                let word = if matches!(self, Self::Retry { .. }) { "retry" } else { "reroute" };
                let writer = put_member(says(word).raw("attempt", &attempt.put()), "to", to);
                put_member(put_member(writer, "carry", carry), "why", why).end()
            }
            Self::Race { attempt, to, why } => {
                let writer = put_member(says("race").raw("attempt", &attempt.put()), "to", to);
                put_member(writer, "why", why).end()
            }
            Self::Requeue { job, to, why } => {
                let writer = put_member(says("requeue").raw("job", &job.put()), "to", to);
                put_member(writer, "why", why).end()
            }
            Self::CheckAgent { agent } => says("check agent").raw("agent", &agent.put()).end(),
            Self::CheckTask { attempt } => says("check task").raw("attempt", &attempt.put()).end(),
            Self::AddAgents { specs } => says("add agents").raw("specs", &specs.put()).end(),
            Self::AddAgent { url, by } => says("keep").raw("url", &url.put()).raw("by", &by.put()).end(),
            Self::RemoveAgent { agent, why, by } => {
                let writer = says("drop").raw("agent", &agent.put()).raw("by", &by.put());
                put_member(writer, "why", why).end()
            }
            Self::Breaker { agent, to, why, by } => {
                let writer = says("breaker").raw("agent", &agent.put()).raw("by", &by.put());
                put_member(put_member(writer, "to", to), "why", why).end()
            }
            Self::OnProblem { number, act, by } => {
                let writer = says("on problem").raw("number", &number.put()).raw("by", &by.put());
                match act {
                    ProblemAct::Take => writer.text("act", "take"),
                    ProblemAct::GiveBack => writer.text("act", "give back"),
                    ProblemAct::Unmute => writer.text("act", "unmute"),
                    ProblemAct::Mute { time, why } => {
                        writer.text("act", "mute").raw("time", &time.put()).raw("why", &why.put())
                    }
                }
                .end()
            }
            Self::Service { agent, to, why, by } => {
                let writer = says("service").raw("agent", &agent.put()).raw("to", &to.put());
                put_member(writer.raw("by", &by.put()), "why", why).end()
            }
            Self::Shift { agent, change, why, by } => {
                let writer = says("shift").raw("agent", &agent.put()).raw("change", &change.put());
                put_member(writer.raw("by", &by.put()), "why", why).end()
            }
            Self::Note { problem, agent, attempt, by, text }
            | Self::TakeBackNote { problem, agent, attempt, by, text } => {
                let back = matches!(self, Self::TakeBackNote { .. });
                let writer = says(if back { "take back note" } else { "note" });
                let writer = writer.raw("by", &by.put()).raw("text", &text.put());
                let writer = put_member(put_member(writer, "problem", problem), "agent", agent);
                put_member(writer, "attempt", attempt).end()
            }
            Self::Adopt { agent, task } => {
                says("adopt").raw("agent", &agent.put()).raw("task", &task.put()).end()
            }
        }
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        let attempt = || member::<AttemptId>(&object, "attempt");
        let agent = || member::<AgentId>(&object, "agent");
        let why = || member::<Option<Untrusted>>(&object, "why");
        Some(match &*object.text("what")? {
            "send" => Self::Send(member(&object, "send")?),
            "answer" => Self::Answer {
                attempt: attempt()?,
                parts: member::<Vec<Part>>(&object, "parts")?,
                metadata: member::<Option<Json>>(&object, "metadata")?,
            },
            "cancel" => Self::Cancel { attempt: attempt()?, why: why()? },
            "cancel with delegated" => Self::CancelWithDelegated { attempt: attempt()?, why: why()? },
            "resend" => Self::Resend { attempt: attempt()?, why: why()? },
            "presume lost" => Self::PresumeLost { attempt: attempt()?, why: why()? },
            "retry" => Self::Retry {
                attempt: attempt()?,
                to: member(&object, "to")?,
                carry: member(&object, "carry")?,
                why: why()?,
            },
            "reroute" => Self::Reroute {
                attempt: attempt()?,
                to: member(&object, "to")?,
                carry: member(&object, "carry")?,
                why: why()?,
            },
            "race" => Self::Race { attempt: attempt()?, to: member(&object, "to")?, why: why()? },
            "requeue" => {
                Self::Requeue { job: member(&object, "job")?, to: member(&object, "to")?, why: why()? }
            }
            "check agent" => Self::CheckAgent { agent: agent()? },
            "check task" => Self::CheckTask { attempt: attempt()? },
            "add agents" => Self::AddAgents { specs: member(&object, "specs")? },
            "keep" => Self::AddAgent { url: member(&object, "url")?, by: member(&object, "by")? },
            "drop" => Self::RemoveAgent { agent: agent()?, why: why()?, by: member(&object, "by")? },
            "breaker" => Self::Breaker {
                agent: agent()?,
                to: member(&object, "to")?,
                why: why()?,
                by: member(&object, "by")?,
            },
            "service" => Self::Service {
                agent: agent()?,
                to: member(&object, "to")?,
                why: why()?,
                by: member(&object, "by")?,
            },
            "shift" => Self::Shift {
                agent: agent()?,
                change: member(&object, "change")?,
                why: why()?,
                by: member(&object, "by")?,
            },
            "on problem" => Self::OnProblem {
                number: member(&object, "number")?,
                by: member(&object, "by")?,
                act: match &*object.text("act")? {
                    "take" => ProblemAct::Take,
                    "give back" => ProblemAct::GiveBack,
                    "unmute" => ProblemAct::Unmute,
                    "mute" => {
                        ProblemAct::Mute { time: member(&object, "time")?, why: member(&object, "why")? }
                    }
                    _ => return None,
                },
            },
            "note" => Self::Note {
                problem: member(&object, "problem")?,
                agent: member(&object, "agent")?,
                attempt: member(&object, "attempt")?,
                by: member(&object, "by")?,
                text: member(&object, "text")?,
            },
            "take back note" => Self::TakeBackNote {
                problem: member(&object, "problem")?,
                agent: member(&object, "agent")?,
                attempt: member(&object, "attempt")?,
                by: member(&object, "by")?,
                text: member(&object, "text")?,
            },
            "adopt" => Self::Adopt { agent: agent()?, task: member::<TaskId>(&object, "task")? },
            _ => return None,
        })
    }
}

impl Record for Receipt {
    fn put(&self) -> String {
        let says = |word: &str| Writer::new().text("what", word);
        match self {
            Self::Taken { job, attempt } => {
                says("taken").raw("job", &job.put()).raw("attempt", &attempt.put()).end()
            }
            Self::Done => says("done").end(),
            Self::Agents(agents) => says("agents").raw("agents", &agents.put()).end(),
        }
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(match &*object.text("what")? {
            "taken" => Self::Taken { job: member(&object, "job")?, attempt: member(&object, "attempt")? },
            "done" => Self::Done,
            "agents" => Self::Agents(member(&object, "agents")?),
            _ => return None,
        })
    }
}

impl Record for Refusal {
    fn put(&self) -> String {
        let says = |word: &str| Writer::new().text("what", word);
        match self {
            Self::ReadOnly => says("read only").end(),
            Self::Unknown(what) => says("unknown").text("text", what.raw()).end(),
            Self::NotNow(why) => says("not now").text("text", why.raw()).end(),
            // A client of an earlier version reads the reason alone.
            Self::Instead(why, remedy) => {
                let says = says("not now").text("text", why.raw()).text("remedy", remedy.as_str());
                match remedy {
                    Remedy::Explain(Some(route)) => says.text("route", route).end(),
                    _ => says.end(),
                }
            }
            Self::Cause(cause) => says("cause").raw("cause", &cause.put()).end(),
            Self::Busy => says("busy").end(),
            Self::Unanswered => says("unanswered").end(),
        }
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        let text = || member::<Untrusted>(&object, "text");
        Some(match &*object.text("what")? {
            "read only" => Self::ReadOnly,
            "unknown" => Self::Unknown(text()?),
            "not now" => {
                let route = object.text("route").map(|route| Arc::from(&*route));
                let remedy = object.text("remedy").and_then(|word| Remedy::of(&word, route));
                match remedy {
                    Some(remedy) => Self::Instead(text()?, remedy),
                    None => Self::NotNow(text()?),
                }
            }
            "cause" => Self::Cause(member::<std::sync::Arc<Cause>>(&object, "cause")?),
            "busy" => Self::Busy,
            "unanswered" => Self::Unanswered,
            _ => return None,
        })
    }
}

impl Record for Owner {
    fn put(&self) -> String {
        match self {
            Self::Fleet => "\"watch\"".into(),
            Self::Agent(id) => Writer::new().raw("agent", &id.put()).end(),
            Self::Job(id) => Writer::new().raw("job", &id.put()).end(),
        }
    }

    fn get(raw: &str) -> Option<Self> {
        if raw == "\"watch\"" {
            return Some(Self::Fleet);
        }
        let object = Object::parse(raw).ok()?;
        match object.raw("agent") {
            Some(agent) => Some(Self::Agent(AgentId::get(agent)?)),
            None => Some(Self::Job(JobId::get(object.raw("job")?)?)),
        }
    }
}

impl Record for JournalEntry {
    fn put(&self) -> String {
        Writer::new()
            .raw("at", &self.at.put())
            .raw("owner", &self.owner().put())
            .raw("seq", &self.seq.put())
            .raw("body", &self.body())
            .end()
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        let (owner, at, seq) = (member(&object, "owner")?, member(&object, "at")?, member(&object, "seq")?);
        Self::from_body(owner, at, seq, object.raw("body")?)
    }
}

impl Record for Query {
    fn put(&self) -> String {
        let says = |word: &str| Writer::new().text("what", word);
        match self {
            Self::Facts { owner, limit } => {
                says("facts").raw("owner", &owner.put()).raw("limit", &limit.put()).end()
            }
            Self::Outputs { job, attempt } => {
                says("outputs").raw("job", &job.put()).raw("attempt", &attempt.put()).end()
            }
            Self::Wire { agent, known } => {
                put_member(says("wire"), "agent", agent).raw("known", &known.put()).end()
            }
            Self::Metrics(MinuteRange { from, until, step }) => says("metrics")
                .raw("from", &from.0.put())
                .raw("until", &until.0.put())
                .raw("step", &step.put())
                .end(),
            Self::Totals => says("totals").end(),
            Self::Job(job) => says("job").raw("job", &job.put()).end(),
            Self::Fields { jobs } => says("fields").raw("jobs", &jobs.to_vec().put()).end(),
            Self::Audit { filter, before, limit } => {
                let writer = put_member(says("audit").raw("filter", &filter.put()), "before", before);
                writer.raw("limit", &limit.put()).end()
            }
            Self::VerifyAudit { head } => put_member(says("verify audit"), "head", head).end(),
            Self::Explain(send) => put_member(says("explain"), "send", send).end(),
            Self::Plan(acts) => says("plan").raw("acts", &acts.put()).end(),
            Self::Drill(agents) => says("drill").raw("agents", &agents.put()).end(),
            Self::Kill { agents, time } => {
                says("kill").raw("agents", &agents.put()).raw("time", &time.put()).end()
            }
            Self::RulesFile { file } => put_member(says("rules file"), "file", file).end(),
            Self::Replay { file, since, after, listed } => {
                let writer = says("replay").raw("since", &since.put()).raw("listed", &listed.put());
                put_member(put_member(writer, "file", file), "after", after).end()
            }
            Self::ReadTask { agent, task } => {
                says("read task").raw("agent", &agent.put()).raw("task", &task.put()).end()
            }
        }
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(match &*object.text("what")? {
            "facts" => Self::Facts { owner: member(&object, "owner")?, limit: member(&object, "limit")? },
            "outputs" => Self::Outputs { job: member(&object, "job")?, attempt: member(&object, "attempt")? },
            "wire" => Self::Wire { agent: member(&object, "agent")?, known: member(&object, "known")? },
            "metrics" => Self::Metrics(MinuteRange {
                from: Minute(member(&object, "from")?),
                until: Minute(member(&object, "until")?),
                step: member::<u32>(&object, "step")?.max(1),
            }),
            "totals" => Self::Totals,
            "job" => Self::Job(member(&object, "job")?),
            "fields" => Self::Fields { jobs: member::<Vec<JobId>>(&object, "jobs")?.into() },
            "audit" => Self::Audit {
                filter: member(&object, "filter")?,
                before: member(&object, "before")?,
                limit: member(&object, "limit")?,
            },
            "verify audit" => Self::VerifyAudit { head: member(&object, "head")? },
            "explain" => Self::Explain(member(&object, "send")?),
            "plan" => Self::Plan(member(&object, "acts")?),
            "drill" => Self::Drill(member(&object, "agents")?),
            "kill" => Self::Kill { agents: member(&object, "agents")?, time: member(&object, "time")? },
            "rules file" => Self::RulesFile { file: member(&object, "file")? },
            "replay" => Self::Replay {
                file: member(&object, "file")?,
                since: member(&object, "since")?,
                after: member(&object, "after")?,
                listed: member(&object, "listed")?,
            },
            "read task" => {
                Self::ReadTask { agent: member(&object, "agent")?, task: member(&object, "task")? }
            }
            _ => return None,
        })
    }
}

impl Record for Answer {
    fn put(&self) -> String {
        let says = |word: &str| Writer::new().text("what", word);
        match self {
            Self::Facts(facts) => says("facts").raw("facts", &facts.put()).end(),
            Self::Outputs(outputs) => {
                let outputs = outputs.iter().map(|(id, name, parts)| {
                    let writer = Writer::new().raw("id", &id.put());
                    put_member(writer, "name", name).raw("parts", &parts.put()).end()
                });
                says("outputs").raw("outputs", &array(outputs)).end()
            }
            Self::Wire(count, frames) => {
                put_member(says("wire").raw("count", &count.put()), "frames", frames).end()
            }
            Self::Metrics(blocks) => put_metrics(blocks),
            Self::Totals(totals) => says("totals").raw("totals", &totals.put()).end(),
            Self::Job(rows) => put_member(says("job"), "rows", &rows.as_deref().cloned()).end(),
            Self::Fields(fields) => says("fields").raw("fields", &fields.put()).end(),
            Self::Audit(page) => says("audit").raw("page", &page.put()).end(),
            Self::AuditVerified(found) => says("audit verified").raw("found", &found.put()).end(),
            Self::Explained(explained) => says("explained").raw("explained", &explained.put()).end(),
            Self::Planned(plan) => says("planned").raw("plan", &plan.put()).end(),
            Self::Drilled(drill) => says("drilled").raw("drill", &drill.put()).end(),
            Self::Killed => says("killed").end(),
            Self::RulesFile(file) => says("rules file").raw("rules", &file.put()).end(),
            Self::Replayed(page) => says("replayed").raw("page", &page.put()).end(),
            Self::Task(json) => says("task").raw("task", &json.put()).end(),
        }
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(match &*object.text("what")? {
            "facts" => Self::Facts(member(&object, "facts")?),
            "outputs" => {
                let mut outputs = Vec::new();
                for raw in elements(object.raw("outputs").unwrap_or("[]"))? {
                    let output = Object::parse(raw).ok()?;
                    outputs.push((
                        member(&output, "id")?,
                        member(&output, "name")?,
                        member(&output, "parts")?,
                    ));
                }
                Self::Outputs(outputs)
            }
            "wire" => Self::Wire(member(&object, "count")?, member(&object, "frames")?),
            "metrics" => Self::Metrics(get_metrics(&object)?),
            "totals" => Self::Totals(Box::new(member(&object, "totals")?)),
            "job" => Self::Job(member::<Option<JobRows>>(&object, "rows")?.map(Box::new)),
            "fields" => Self::Fields(member(&object, "fields")?),
            "planned" => Self::Planned(member(&object, "plan")?),
            "drilled" => Self::Drilled(member(&object, "drill")?),
            "killed" => Self::Killed,
            "audit" => Self::Audit(member(&object, "page")?),
            "audit verified" => Self::AuditVerified(member(&object, "found")?),
            "explained" => Self::Explained(member(&object, "explained")?),
            "rules file" => Self::RulesFile(member(&object, "rules")?),
            "replayed" => Self::Replayed(member(&object, "page")?),
            "task" => Self::Task(member(&object, "task")?),
            _ => return None,
        })
    }
}

/// The series once, then each minute as the store writes it, in base64.
fn put_metrics(blocks: &[(Minute, Arc<Block>)]) -> String {
    let mut numbers = BTreeMap::new();
    let mut series = Vec::new();
    let minutes: Vec<String> = blocks
        .iter()
        .map(|(minute, block)| {
            let bytes = metrics::put(block, |of| {
                let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                *numbers.entry(of.clone()).or_insert_with(|| {
                    let writer = Writer::new().raw("agent", &of.agent.put());
                    let writer = put_member(writer, "skill", &of.skill);
                    let writer = put_member(writer, "caller", &of.caller);
                    series.push(put_member(writer, "rule", &of.rule).end());
                    next
                })
            });
            format!("[{},\"{}\"]", minute.0, BASE64.encode(bytes))
        })
        .collect();
    let writer = Writer::new().text("what", "metrics").raw("series", &array(series));
    let made_up = blocks.iter().filter(|(_, block)| block.is_made_up());
    let made_up = made_up.map(|(minute, _)| minute.0.to_string());
    writer.raw("minutes", &array(minutes)).raw("madeUp", &array(made_up)).end()
}

fn get_metrics(object: &Object<'_>) -> Option<Vec<(Minute, Arc<Block>)>> {
    let mut series = Vec::new();
    for raw in elements(object.raw("series")?)? {
        let of = Object::parse(raw).ok()?;
        series.push(Series {
            agent: member(&of, "agent")?,
            skill: member(&of, "skill")?,
            caller: member(&of, "caller")?,
            rule: member(&of, "rule")?,
        });
    }
    let made_up = elements(object.raw("madeUp")?)?;
    let made_up: Option<Vec<u32>> = made_up.into_iter().map(u32::get).collect();
    let made_up = made_up?;
    let mut blocks = Vec::new();
    for raw in elements(object.raw("minutes")?)? {
        let (minute, bytes) = <(u32, Untrusted)>::get(raw)?;
        let mut block = Block::default();
        for (number, tally) in metrics::get(&BASE64.decode(bytes.raw()).ok()?)? {
            *block.tally(series.get(usize::try_from(number).ok()?)?.clone()) = tally;
        }
        blocks.push((Minute(minute), Arc::new(block.made_up(made_up.contains(&minute)))));
    }
    Some(blocks)
}

impl Record for QueryError {
    fn put(&self) -> String {
        let says = |word: &str| Writer::new().text("what", word);
        match self {
            Self::Unknown => says("unknown").end(),
            Self::Unreadable(why) => says("unreadable").text("text", why.raw()).end(),
            Self::Rules(why) => says("rules").text("text", why.raw()).end(),
            Self::Failed(cause) => says("failed").raw("cause", &cause.put()).end(),
            Self::Gone => says("gone").end(),
        }
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(match &*object.text("what")? {
            "unknown" => Self::Unknown,
            "unreadable" => Self::Unreadable(member(&object, "text")?),
            "rules" => Self::Rules(member(&object, "text")?),
            "failed" => Self::Failed(member(&object, "cause")?),
            "gone" => Self::Gone,
            _ => return None,
        })
    }
}

/// A server's description of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hello {
    /// The version of the protocol.
    pub version: u32,
    /// Its process id.
    pub pid: u32,
    /// True if it runs until it is stopped.
    pub lasting: bool,
    /// The fleet that it watches.
    pub fleet: Untrusted,
    /// True if the fleet is protected.
    pub protect: bool,
}

record! {
    Hello { version, pid, lasting, fleet, protect }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
