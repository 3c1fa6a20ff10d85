//! The probable cause of a problem. The rules are applied in order; the first that matches determines the cause and its
//! certainty. docs/problems.md lists them.

use std::time::Duration;

use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::{Agent, Health};
use crate::domain::cause::Cause as Why;
use crate::domain::problem::diagnosis::{Impact, agents_of};
use crate::domain::problem::{Kind, Problem, Subject};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::time::At;

/// A change at most this long before is probably the cause; up to `EARLIER`, perhaps.
const SHORTLY: Duration = Duration::from_secs(600);
const EARLIER: Duration = Duration::from_secs(3600);
/// Events within this time of each other count as simultaneous.
const AT_ONCE: Duration = Duration::from_secs(60);
/// The number of failed tasks that must agree.
const AGREE: u32 = 5;

/// How certain a cause is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Certainty {
    /// Nothing points at a cause.
    Unknown,
    /// It fits, and so do other causes.
    Perhaps,
    /// It fits better than any other known cause.
    Probably,
    /// The observations allow no other cause.
    Surely,
}

impl Certainty {
    /// The word that people read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Perhaps => "perhaps",
            Self::Probably => "probably",
            Self::Surely => "surely",
        }
    }
}

/// The cause of a problem.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cause {
    /// The certainty.
    pub certainty: Certainty,
    /// The description.
    pub words: String,
    /// The problem that this one comes from.
    pub problem: Option<u32>,
}

impl Cause {
    fn new(certainty: Certainty, words: impl Into<String>) -> Self {
        Self { certainty, words: words.into(), problem: None }
    }

    /// `probably its new version: …`, or `unknown: …`.
    pub fn sentence(&self) -> String {
        match self.certainty {
            Certainty::Unknown => format!("unknown: {}", self.words),
            certainty => format!("{} {}", certainty.as_str(), self.words),
        }
    }
}

/// Determines the cause of a problem.
pub fn cause(snapshot: &Snapshot, problem: &Problem, impact: &Impact) -> Cause {
    let agent = problem.subject.one().and_then(|key| snapshot.agents.get(key));
    by_its_agent(snapshot, problem)
        .or_else(|| by_kind(snapshot, problem, agent))
        .or_else(|| by_change(problem, agent?))
        .or_else(|| by_health(problem, agent?))
        .or_else(|| by_load(problem, agent?))
        .or_else(|| by_what_failed(problem, impact))
        .unwrap_or_else(|| Cause::new(Certainty::Unknown, "nothing known points to a cause"))
}

/// Tasks of an agent that cannot be worked with are its own problem, not theirs.
fn by_its_agent(snapshot: &Snapshot, problem: &Problem) -> Option<Cause> {
    let of_agent = [Kind::AgentDown, Kind::AgentFrozen, Kind::CertificateBroken, Kind::LoginNeeded];
    let doubts = Kind::OF_TASKS.contains(&problem.kind)
        && !matches!(problem.kind, Kind::TaskLost | Kind::TaskConflict | Kind::CancelIgnored);
    let agent = problem.subject.one().filter(|_| doubts || problem.kind == Kind::BreakerOpen)?;
    let is = |other: &Problem| match other.kind {
        Kind::HostDown | Kind::SourceDown => agents_of(snapshot, other).contains(&agent),
        kind => of_agent.contains(&kind) && other.agent == Some(agent),
    };
    let other = snapshot.open_problems().map(|(_, other)| other).find(|other| is(other))?;
    let certainty =
        if other.since <= problem.since + AT_ONCE { Certainty::Surely } else { Certainty::Probably };
    let what = match other.kind {
        Kind::HostDown => "its host",
        Kind::SourceDown => "the platform of its source",
        _ => "the agent",
    };
    let text = format!("{what}, p-{}: {}", other.number, other.text.shortened(160).line());
    Some(Cause { problem: Some(other.number), ..Cause::new(certainty, text) })
}

/// Kinds that imply their cause.
fn by_kind(snapshot: &Snapshot, problem: &Problem, agent: Option<&Agent>) -> Option<Cause> {
    use Certainty::{Perhaps, Probably, Surely};
    Some(match problem.kind {
        Kind::HostDown | Kind::SourceDown => {
            let what = if problem.kind == Kind::HostDown { "the host" } else { "the platform of the source" };
            let agents = agents_of(snapshot, problem);
            let since = agents.iter().filter_map(|key| snapshot.agents.get(*key)).map(|agent| agent.since);
            let (first, last) = since.fold((None, At::ZERO), |(first, last): (Option<At>, At), at| {
                (Some(first.map_or(at, |first| first.min(at))), last.max(at))
            });
            let took = last.since(first.unwrap_or(last));
            if took <= AT_ONCE {
                Cause::new(
                    Probably,
                    format!("{what}, or the network path to it: all went down within {}", rounded(took)),
                )
            } else {
                Cause::new(
                    Perhaps,
                    format!("{what}: they went down one after another, over {}", rounded(took)),
                )
            }
        }
        Kind::BreakerOpen => {
            let breaker = &agent?.breaker;
            match (&breaker.forced, &breaker.cause) {
                (Some(by), _) => Cause::new(Surely, format!("{}, who holds it open", by.line())),
                (None, Some(why)) => Cause::new(Surely, format!("its failures: {why}")),
                (None, None) => return None,
            }
        }
        Kind::OverCapacity => {
            let (live, takes) = (agent?.counts.live, agent?.spec.capacity?);
            let more = live.saturating_sub(takes);
            let agents = more.div_ceil(takes.max(1));
            let like = if agents == 1 { "1 more agent like it" } else { "more agents like it" };
            let like = if agents > 1 { format!("{agents} {like}") } else { like.to_owned() };
            let enough = if more == 0 {
                String::new()
            } else {
                let slots = if more == 1 { "slot" } else { "slots" };
                format!(": {more} more {slots} would be enough, {like}")
            };
            Cause::new(Surely, format!("more work than it accepts, {live} of {takes}{enough}"))
        }
        Kind::LoginNeeded | Kind::CertificateBroken | Kind::NotSpoken => match &**agent?.cause.as_ref()? {
            Why::NotSpoken(offers) => Cause::new(Surely, format!("what its card offers: {offers}")),
            why => Cause::new(Surely, why.to_string()),
        },
        Kind::CertificateEnds => Cause::new(Surely, "its certificate, which nobody has renewed"),
        Kind::CardChanged => Cause::new(Surely, "its owner, who changed the card"),
        Kind::ClockSkew => Cause::new(
            Probably,
            "its clock, which is not synchronized: those of other agents agree with ours",
        ),
        Kind::AgentNameConfusable if agent?.spec.name.is_some() => {
            Cause::new(Surely, "its name in the configuration")
        }
        Kind::AgentNameConfusable => Cause::new(Surely, "the name in its card, which its publisher chose"),
        Kind::SourceFailing => {
            let Subject::Source(key) = problem.subject else { return None };
            Cause::new(Surely, snapshot.sources.get(key)?.cause.as_ref()?.to_string())
        }
        Kind::JournalUnsaved => Cause::new(Surely, "the disk or the file; its error is in the text"),
        Kind::WebhookFailing => Cause::new(Surely, "the webhook; its error is in the text"),
        Kind::RoutesUnread => Cause::new(Surely, "the configuration file; its faults are in the text"),
        Kind::TaskLost => {
            Cause::new(Probably, "a restart of the agent: it came back and no longer knows the task")
        }
        Kind::CancelIgnored => Cause::new(Surely, "the agent: it agreed and kept working"),
        Kind::TaskConflict => Cause::new(Surely, "the agent: its stream and its store disagree"),
        Kind::ProtocolBroken | Kind::HostileText => {
            Cause::new(Surely, "the agent, or content that it passes on")
        }
        Kind::ShiftBack => Cause::new(Surely, "the results of its successor; the numbers are in the text"),
        Kind::StreamSilent => Cause::new(Perhaps, "a proxy that buffers events, or the agent"),
        _ => return None,
    })
}

/// A recent change of the card is the first suspect.
fn by_change(problem: &Problem, agent: &Agent) -> Option<Cause> {
    let (at, words) = agent.card_change.as_ref()?;
    let before = problem.since.since(*at);
    if *at > problem.since || before > EARLIER {
        return None;
    }
    let certainty = if before <= SHORTLY { Certainty::Probably } else { Certainty::Perhaps };
    let words = words.shortened(160);
    let version =
        if words.contains_ignore_case("version") { "its new version" } else { "what its owner changed" };
    Some(Cause::new(
        certainty,
        format!("{version}: {} before, its card changed: {}", rounded(before), words.line()),
    ))
}

/// The reason why the agent cannot be reached.
fn by_health(problem: &Problem, agent: &Agent) -> Option<Cause> {
    use Certainty::{Perhaps, Probably, Surely};
    if !matches!(
        problem.kind,
        Kind::AgentDown | Kind::AgentFrozen | Kind::AgentFlapping | Kind::AgentDegraded
    ) {
        return None;
    }
    let why = match agent.cause.as_deref()? {
        Why::Interface(why) => why,
        why => why,
    };
    Some(match why {
        Why::Refused => {
            Cause::new(Probably, "its process: the host answers, but nothing listens on the port")
        }
        Why::Reset => {
            Cause::new(Probably, "its process, or a proxy in front of it: connections are closed at once")
        }
        Why::TimedOut(_) => Cause::new(Perhaps, "its process hangs, or packets are lost on the way"),
        Why::Dns(_) => Cause::new(Surely, "its host name, which does not resolve"),
        Why::Unreachable(_) => Cause::new(Probably, "the network: it reports no route"),
        Why::StaleCard(why) => Cause::new(Surely, format!("its card: {why}")),
        _ => return None,
    })
}

fn by_load(problem: &Problem, agent: &Agent) -> Option<Cause> {
    let slow =
        matches!(problem.kind, Kind::AgentSlow | Kind::TaskSilent | Kind::TaskStuck | Kind::TaskStalled);
    let (live, takes) = (agent.counts.live, agent.spec.capacity.filter(|_| slow)?);
    let text = format!("too much work: {live} tasks, but it accepts {takes} at once");
    (live > takes).then(|| Cause::new(Certainty::Probably, text))
}

/// Attributes shared by the failed tasks.
fn by_what_failed(problem: &Problem, impact: &Impact) -> Option<Cause> {
    let failing = matches!(problem.kind, Kind::AgentFailing | Kind::SkillFailing);
    if !failing || impact.failed < AGREE {
        return None;
    }
    let all = |counts: &[crate::domain::problem::diagnosis::Count]| match counts {
        [(what, count)] if *count >= impact.failed => Some(what.clone()),
        _ => None,
    };
    if let Some(error) = all(&impact.errors) {
        let text = format!("one fault: all {} reported \"{}\"", impact.failed, error.shortened(120).line());
        return Some(Cause::new(Certainty::Perhaps, text));
    }
    let caller = all(&impact.callers)?;
    let text = format!("what {} sends: all failed tasks came from it", caller.shortened(60).line());
    Some(Cause::new(Certainty::Perhaps, text))
}

/// The automatic reaction to the problem, or the reason for none.
pub fn why(snapshot: &Snapshot, problem: &Problem) -> Vec<String> {
    let mut lines = Vec::new();
    let agent = problem.subject.one().and_then(|key| snapshot.agents.get(key));
    if let Some(agent) = agent {
        let breaker = &agent.breaker;
        let held = breaker.forced.as_ref().map(|by| format!(", held by {}", by.line())).unwrap_or_default();
        match breaker.position {
            BreakerState::Open => lines.push(format!("breaker open{held}: nothing is sent to it")),
            BreakerState::HalfOpen => lines.push(format!("breaker half-open{held}: one task is tried")),
            BreakerState::Closed if breaker.forced.is_some() => {
                lines.push(format!("breaker closed{held}: everything is sent, even if it fails"));
            }
            BreakerState::Closed if matches!(problem.kind, Kind::AgentFailing | Kind::SkillFailing) => {
                lines.push("breaker closed: too few tasks fail to open it".into());
            }
            BreakerState::Closed => {}
        }
    }
    let does = match problem.kind {
        Kind::AgentDown | Kind::AgentFrozen | Kind::HostDown | Kind::SourceDown => {
            "probed again at every interval; its tasks are read as soon as it answers; nothing is sent meanwhile"
        }
        Kind::CertificateBroken | Kind::LoginNeeded => {
            "probed again at every interval; nothing is sent meanwhile"
        }
        Kind::AgentSlow | Kind::AgentDegraded
            if agent.is_some_and(|agent| agent.health == Health::Degraded) =>
        {
            "it still receives work: degraded is not down"
        }
        Kind::SendUncertain => "not sent again automatically: the work might be done twice",
        Kind::TaskLost => "not sent again automatically: it is unknown what was already done",
        Kind::TaskStalled => "its agent is asked again with growing pauses, at least every 30 s",
        Kind::TaskSilent | Kind::TaskStuck | Kind::StreamSilent => {
            "its agent is asked as well; a running task is never cancelled automatically"
        }
        Kind::TaskLooping => "it is still watched; a running task is never cancelled automatically",
        Kind::CancelIgnored | Kind::CancelUnconfirmed => {
            "asked again at least once a minute until it has ended"
        }
        Kind::TaskConflict => "the first end counts; the other claim is shown beside it",
        Kind::SourceFailing => "read again automatically; the agents that it named stay meanwhile",
        Kind::RoutesUnread => {
            "jobs go by the rules that were in force; the file is read again when it changes"
        }
        Kind::WebhookFailing => "each post is tried three times; the next post starts afresh",
        Kind::JournalUnsaved => "retried automatically; actions are refused as long as it cannot be written",
        Kind::CancelRefused => "the task is still watched; the agent is not asked to cancel it again",
        Kind::OverCapacity => "jobs from here wait in the queue; other callers decide where they send",
        _ => "",
    };
    if !does.is_empty() {
        lines.push(does.into());
    }
    if problem.muted.is_some() {
        lines.push("muted: nobody is notified of it".into());
    }
    lines
}

/// `12 s`, `4 min`, `2 h`
fn rounded(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}
