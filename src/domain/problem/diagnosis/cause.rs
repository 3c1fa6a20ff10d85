//! What probably causes a problem. The rules are read from the first to the last; the first that fits is told, with how
//! certain it is. docs/problems.md has them in words.

use std::time::Duration;

use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::{Agent, Health};
use crate::domain::cause::Cause as Why;
use crate::domain::problem::diagnosis::{Impact, agents_of};
use crate::domain::problem::{Kind, Problem, Subject};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::time::At;

/// A change so shortly before is probably the cause; so long before, perhaps.
const SHORTLY: Duration = Duration::from_secs(600);
const EARLIER: Duration = Duration::from_secs(3600);
/// What is noticed within this of each other happened at once.
const AT_ONCE: Duration = Duration::from_secs(60);
/// So many failed tasks must agree before they say something together.
const AGREE: u32 = 5;

/// How certain a cause is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Certainty {
    /// Nothing points at a cause.
    Unknown,
    /// It fits, and so would others.
    Perhaps,
    /// It fits better than anything else that is known.
    Probably,
    /// It cannot be otherwise by what was seen.
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

/// What causes a problem.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cause {
    /// How certain it is.
    pub certainty: Certainty,
    /// In words.
    pub words: String,
    /// The problem that this one comes from.
    pub problem: Option<u32>,
}

impl Cause {
    fn new(certainty: Certainty, words: impl Into<String>) -> Self {
        Self { certainty, words: words.into(), problem: None }
    }

    /// `probably its new version: …`; what is unknown says so.
    pub fn sentence(&self) -> String {
        match self.certainty {
            Certainty::Unknown => format!("unknown: {}", self.words),
            certainty => format!("{} {}", certainty.as_str(), self.words),
        }
    }
}

/// What causes a problem.
pub fn cause(snapshot: &Snapshot, problem: &Problem, hits: &Impact) -> Cause {
    let agent = problem.subject.one().and_then(|key| snapshot.agents.get(key));
    by_its_agent(snapshot, problem)
        .or_else(|| by_kind(snapshot, problem, agent))
        .or_else(|| by_change(problem, agent?))
        .or_else(|| by_health(problem, agent?))
        .or_else(|| by_load(problem, agent?))
        .or_else(|| by_what_failed(problem, hits))
        .unwrap_or_else(|| Cause::new(Certainty::Unknown, "nothing that is known points at one"))
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
        Kind::SourceDown => "what its source runs on",
        _ => "the agent",
    };
    let words = format!("{what}, p-{}: {}", other.number, other.text.shortened(160).line());
    Some(Cause { problem: Some(other.number), ..Cause::new(certainty, words) })
}

/// Kinds that say their cause.
fn by_kind(snapshot: &Snapshot, problem: &Problem, agent: Option<&Agent>) -> Option<Cause> {
    use Certainty::{Perhaps, Probably, Surely};
    Some(match problem.kind {
        Kind::HostDown | Kind::SourceDown => {
            let what = if problem.kind == Kind::HostDown { "the host" } else { "what the source runs on" };
            let agents = agents_of(snapshot, problem);
            let since = agents.iter().filter_map(|key| snapshot.agents.get(*key)).map(|agent| agent.since);
            let (first, last) = since.fold((None, At::ZERO), |(first, last): (Option<At>, At), at| {
                (Some(first.map_or(at, |first| first.min(at))), last.max(at))
            });
            let took = last.since(first.unwrap_or(last));
            if took <= AT_ONCE {
                Cause::new(Probably, format!("{what}, or the way to it: all went within {}", told(took)))
            } else {
                Cause::new(Perhaps, format!("{what}: they went one after the other, over {}", told(took)))
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
            let enough =
                if more == 0 { String::new() } else { format!(": {more} more places would do, {like}") };
            Cause::new(Surely, format!("more work than it takes, {live} of {takes}{enough}"))
        }
        Kind::LoginNeeded | Kind::CertificateBroken | Kind::NotSpoken => {
            Cause::new(Surely, agent?.cause.as_ref()?.to_string())
        }
        Kind::CertificateEnds => Cause::new(Surely, "its certificate, that nobody has renewed"),
        Kind::CardChanged => Cause::new(Surely, "its owner, who gave it another card"),
        Kind::ClockSkew => Cause::new(Probably, "its clock, that nobody sets: others agree with ours"),
        Kind::SourceFailing => {
            let Subject::Source(key) = problem.subject else { return None };
            Cause::new(Surely, snapshot.sources.get(key)?.cause.as_ref()?.to_string())
        }
        Kind::JournalUnsaved => Cause::new(Surely, "the disk or the file: what it said is in the text"),
        Kind::WebhookFailing => Cause::new(Surely, "the webhook: what it said is in the text"),
        Kind::TaskLost => Cause::new(Probably, "a restart of the agent: it came back and knows no such task"),
        Kind::CancelIgnored => Cause::new(Surely, "the agent: it said yes and went on"),
        Kind::TaskConflict => Cause::new(Surely, "the agent: its stream and its store say different things"),
        Kind::ProtocolBroken | Kind::HostileText => Cause::new(Surely, "the agent, or what it passes on"),
        Kind::StreamSilent => Cause::new(Perhaps, "a proxy that holds events back, or the agent"),
        _ => return None,
    })
}

/// What was changed shortly before is the first suspect.
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
        format!("{version}: {} before, its card changed: {}", told(before), words.line()),
    ))
}

/// Why it cannot be reached, as far as that is known.
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
        Why::Refused => Cause::new(Probably, "its process: the host answers, and nothing listens there"),
        Why::Reset => {
            Cause::new(Probably, "its process, or a proxy before it: connections are closed at once")
        }
        Why::TimedOut(_) => {
            Cause::new(Perhaps, "its process hangs, or packets are lost on the way: nobody says")
        }
        Why::Dns(_) => Cause::new(Surely, "its host name, that does not resolve"),
        Why::Unreachable(_) => Cause::new(Probably, "the network: it says that there is no way"),
        Why::StaleCard(why) => Cause::new(Surely, format!("its card: {why}")),
        _ => return None,
    })
}

fn by_load(problem: &Problem, agent: &Agent) -> Option<Cause> {
    let slow =
        matches!(problem.kind, Kind::AgentSlow | Kind::TaskSilent | Kind::TaskStuck | Kind::TaskStalled);
    let (live, takes) = (agent.counts.live, agent.spec.capacity.filter(|_| slow)?);
    let words = format!("too much work: {live} tasks, and it takes {takes} at once");
    (live > takes).then(|| Cause::new(Certainty::Probably, words))
}

/// What the failed ones have in common.
fn by_what_failed(problem: &Problem, hits: &Impact) -> Option<Cause> {
    let failing = matches!(problem.kind, Kind::AgentFailing | Kind::SkillFailing);
    if !failing || hits.failed < AGREE {
        return None;
    }
    let all = |counts: &[crate::domain::problem::diagnosis::Count]| match counts {
        [(what, count)] if *count >= hits.failed => Some(what.clone()),
        _ => None,
    };
    if let Some(error) = all(&hits.errors) {
        let words = format!("one fault: all {} said \"{}\"", hits.failed, error.shortened(120).line());
        return Some(Cause::new(Certainty::Perhaps, words));
    }
    let caller = all(&hits.callers)?;
    let words = format!("what {} sends: all that failed came from there", caller.shortened(60).line());
    Some(Cause::new(Certainty::Perhaps, words))
}

/// What the machinery does about it by itself, or why it does nothing.
pub fn why(snapshot: &Snapshot, problem: &Problem) -> Vec<String> {
    let mut lines = Vec::new();
    let agent = problem.subject.one().and_then(|key| snapshot.agents.get(key));
    if let Some(agent) = agent {
        let breaker = &agent.breaker;
        let held = breaker.forced.as_ref().map(|by| format!(", held by {}", by.line())).unwrap_or_default();
        match breaker.position {
            BreakerState::Open => lines.push(format!("breaker open{held}: nothing is sent to it")),
            BreakerState::HalfOpen => lines.push(format!("breaker half-open{held}: one sending is tried")),
            BreakerState::Closed if breaker.forced.is_some() => {
                lines.push(format!("breaker closed{held}: everything is sent, whatever fails"));
            }
            BreakerState::Closed if matches!(problem.kind, Kind::AgentFailing | Kind::SkillFailing) => {
                lines.push("breaker closed: too small a share fails to open it".into());
            }
            BreakerState::Closed => {}
        }
    }
    let does = match problem.kind {
        Kind::AgentDown | Kind::AgentFrozen | Kind::HostDown | Kind::SourceDown => {
            "asked again at each probe; its tasks are read as soon as it answers; nothing is sent meanwhile"
        }
        Kind::CertificateBroken | Kind::LoginNeeded => "asked again at each probe; nothing is sent meanwhile",
        Kind::AgentSlow | Kind::AgentDegraded
            if agent.is_some_and(|agent| agent.health == Health::Degraded) =>
        {
            "it goes on being given work: degraded is not down"
        }
        Kind::SendUncertain => "not sent again by itself: the work might be done twice",
        Kind::TaskLost => "not sent again by itself: what it had done already is not known",
        Kind::TaskStalled => "its agent is asked again, more and more rarely, every 30 s at least",
        Kind::TaskSilent | Kind::TaskStuck | Kind::StreamSilent => {
            "its agent is asked as well; what runs is not cancelled by itself"
        }
        Kind::TaskLooping => "it is watched on; what runs is not cancelled by itself",
        Kind::CancelIgnored | Kind::CancelUnconfirmed => {
            "asked again, once a minute at least, until it has ended"
        }
        Kind::CancelRefused => "it is watched on; the agent is not asked to cancel it again",
        Kind::TaskConflict => "what had ended stays ended; what is claimed is shown beside it",
        Kind::SourceFailing => "read again by itself; whom it named stays meanwhile",
        Kind::WebhookFailing => "each post is tried three times, the next one anew",
        Kind::JournalUnsaved => "written again by itself as soon as it can be; acting is refused until then",
        Kind::OverCapacity => "nothing is held back: callers decide where they send",
        _ => "",
    };
    if !does.is_empty() {
        lines.push(does.into());
    }
    if problem.muted.is_some() {
        lines.push("muted: nobody is called because of it".into());
    }
    lines
}

/// `12 s`, `4 min`, `2 h`
fn told(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}
