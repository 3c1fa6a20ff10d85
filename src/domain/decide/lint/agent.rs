//! Findings about a single agent.

use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::shift::ShiftStage;
use crate::domain::agent::{Agent, Health};
use crate::domain::cause::Cause;
use crate::domain::decide::lint::{Finding, groups};
use crate::domain::decide::live::AgentLive;
use crate::domain::decide::turn::Turn;
use crate::domain::id::AgentKey;
use crate::domain::metrics::share as share_of;
use crate::domain::problem::{Kind, Subject, failing_share, with_risk};
use crate::domain::time::At;

pub(super) const KINDS: &[Kind] = &[
    Kind::AgentDown,
    Kind::AgentFrozen,
    Kind::CertificateBroken,
    Kind::CertificateEnds,
    Kind::LoginNeeded,
    Kind::AgentFailing,
    Kind::SkillFailing,
    Kind::AgentSlow,
    Kind::AgentDegraded,
    Kind::AgentFlapping,
    Kind::BreakerOpen,
    Kind::ShiftBack,
    Kind::OverCapacity,
    Kind::NotSpoken,
    Kind::CardChanged,
    Kind::ClockSkew,
    Kind::ListIncomplete,
    Kind::ProtocolBroken,
    Kind::HostileText,
];

/// Findings about an agent; `None` while its state is stale, so that nothing is raised or cleared.
pub(super) fn findings(turn: &Turn, key: AgentKey) -> Option<Vec<Finding>> {
    let mut found = Vec::new();
    let Some(agent) = turn.state().agent(key).filter(|agent| agent.listed) else { return Some(found) };
    if agent.health == Health::Stale {
        return None;
    }
    let live = turn.live.agents.get(&key);
    // An agent that is unreachable along with most of its host or source is reported in that problem.
    found.extend(health(agent).filter(|finding| {
        !matches!(finding.kind, Kind::AgentDown | Kind::AgentFrozen)
            || groups::covering_problem(turn, key).is_none()
    }));
    found.extend(shift(turn, agent));
    if let Some(live) = live {
        found.extend(evidence_of(turn, key, agent, live));
    }
    if let Some(until) = agent.certificate_until
        && until.since(turn.at) < turn.rules.problems.certificate
        && until > turn.at
    {
        let left = until.since(turn.at);
        let left = match (left.as_secs() / 86400, left.as_secs() / 3600) {
            (0, 0) => "within the hour".to_owned(),
            (0, hours) => format!("in {hours} h"),
            (1, _) => "in a day".to_owned(),
            (days, _) => format!("in {days} days"),
        };
        found.push(Finding {
            kind: Kind::CertificateEnds,
            text: format!("has a certificate that ends {left}"),
            next: "renew the agent's certificate; every call fails once it has ended".into(),
            eased: false,
        });
    }
    if let Some((at, words)) = &agent.card_change
        && turn.at.since(*at) < turn.rules.problems.card_news
    {
        found.push(Finding {
            kind: Kind::CardChanged,
            text: format!("changed its card: {}", words.shortened(200)),
            next: "compare it with what its owner announced; the agent page shows both cards".into(),
            eased: false,
        });
    }
    if let Some(live) = live {
        let known = turn.state().raised(Kind::ListIncomplete, Subject::Agent(key));
        let before =
            || known.filter(|_| !live.listing_gaps.scanned).map(|problem| problem.text.line().into_string());
        if let Some(text) = live.listing_gaps.words().or_else(before) {
            found.push(Finding {
                kind: Kind::ListIncomplete,
                text,
                next: "what is left out is not watched; a task that is asked for by its id is followed"
                    .into(),
                eased: false,
            });
        }
    }
    if agent.violations > 0 {
        let times = if agent.violations == 1 { "once" } else { "more than once" };
        found.push(Finding {
            kind: Kind::ProtocolBroken,
            text: format!("violated the protocol, {times}"),
            next: "see its tasks' timelines and the wire view; report it to its owner".into(),
            eased: false,
        });
    }
    if agent.sanitised > 0 {
        found.push(Finding {
            kind: Kind::HostileText,
            text: "sent control sequences; they are shown as plain text".into(),
            next: "see the wire view; report it to its owner, or stop using it".into(),
            eased: false,
        });
    }
    Some(found)
}

/// Work of the agent was moving to a successor, and came back because of the numbers.
fn shift(turn: &Turn, agent: &Agent) -> Option<Finding> {
    let shift = agent.shift.as_ref().filter(|shift| shift.stage == ShiftStage::Back)?;
    let why = shift.why.as_ref()?;
    let to = turn.state().agent_key(shift.terms.to).and_then(|key| turn.state().agent(key));
    let to = to.map_or_else(|| "its successor".to_owned(), |to| to.name.line().into_string());
    let first = shift.terms.steps.first().copied().unwrap_or(100);
    Some(Finding {
        kind: Kind::ShiftBack,
        text: format!("took its work back from {to}: {}", why.line()),
        next: format!(
            "look at the failed tasks of {to}; then resume the shift, which begins again at {first} %, or end it, \
             which lets the rules decide alone"
        )
        .into(), eased: false })
}

/// The finding about whether the agent can be reached.
fn health(agent: &Agent) -> Option<Finding> {
    let cause = agent.cause.as_deref();
    let kind = match (agent.health, cause) {
        (Health::Down, Some(cause)) => unreachable(cause),
        (Health::Down, None) => Kind::AgentDown,
        (Health::LoginNeeded, _) => Kind::LoginNeeded,
        (Health::Degraded, Some(Cause::Failing(_) | Cause::StaleCard(_))) => Kind::AgentDegraded,
        (Health::NotSpoken, _) => Kind::NotSpoken,
        (Health::Degraded | Health::Unknown | Health::Up | Health::Stale, _) => return None,
    };
    let why = cause.map_or_else(String::new, ToString::to_string);
    let mut text = match kind {
        Kind::AgentDown => format!("is down: {why}"),
        Kind::AgentFrozen => format!("is frozen: {why}"),
        Kind::LoginNeeded => format!("re{}", why.trim_start_matches("it re")),
        Kind::NotSpoken | Kind::CertificateBroken => why,
        _ => format!("is degraded: {why}"),
    };
    let at_risk = matches!(agent.health, Health::Down | Health::Degraded);
    if at_risk && agent.counts.live > 0 {
        text = with_risk(&text, agent.counts.live);
    }
    Some(Finding {
        kind,
        text,
        next: cause.map_or("look at the agent", |cause| cause.next_step()).into(),
        eased: false,
    })
}

/// Silence, a refusal and a broken certificate are mended by different people, so each is a kind of its own.
pub(super) fn unreachable(cause: &Cause) -> Kind {
    match cause {
        Cause::TimedOut(_) => Kind::AgentFrozen,
        Cause::Tls(_) => Kind::CertificateBroken,
        Cause::Interface(cause) => unreachable(cause),
        _ => Kind::AgentDown,
    }
}

/// Findings from its calls, its tasks and its clock.
fn evidence_of(turn: &Turn, key: AgentKey, agent: &Agent, live: &AgentLive) -> Vec<Finding> {
    let mut found = Vec::new();
    let rules = &turn.rules.problems;
    let open = |kind| turn.state().raised(kind, Subject::Agent(key)).is_some();
    if agent.health.takes_work() || agent.health == Health::LoginNeeded {
        if let Some(cause @ Cause::TasksFailing { .. }) = &live.evidence.failing {
            found.push(Finding {
                kind: Kind::AgentFailing,
                text: failing_words(turn, key, cause, live),
                next: cause.next_step().into(),
                eased: false,
            });
        }
        if let Some((skill, share)) = &live.evidence.failing_skill {
            let share = share_words(turn, key, Kind::SkillFailing, share.0, share.1);
            found.push(Finding {
                kind: Kind::SkillFailing,
                text: format!(
                    "fails {share} of its last tasks of skill {}; its other skills work",
                    skill.line()
                ),
                next: "see its failed tasks; send that skill's work elsewhere".into(),
                eased: false,
            });
        }
        if let Some(cause) = &live.evidence.slow {
            let text = format!("is slow: {cause}");
            found.push(Finding { kind: Kind::AgentSlow, text, next: cause.next_step().into(), eased: false });
        }
    }
    if let (true, Some(finding)) = (agent.breaker.position != BreakerState::Closed, found.first_mut()) {
        // The breaker is our reaction to that problem, so it is told there and gets no problem of its own.
        let words = if agent.breaker.position == BreakerState::Open {
            "nothing is sent"
        } else {
            "one task is tried"
        };
        finding.text.push_str(&format!("; breaker {}: {words}", agent.breaker.position.as_str()));
    } else if agent.breaker.position != BreakerState::Closed {
        let why = match (&agent.breaker.forced, &agent.breaker.cause) {
            (Some(by), _) => format!("{} opened it", by.line()),
            (None, Some(cause)) => cause.to_string(),
            (None, None) => "it failed too often".into(),
        };
        // The problem stays open during a trial: it would be raised again each time that a trial fails.
        let given =
            if agent.breaker.position == BreakerState::Open { "nothing" } else { "one task as a trial" };
        found.push(Finding {
            kind: Kind::BreakerOpen,
            text: format!("receives {given}: its breaker is {}, {why}", agent.breaker.position.as_str()),
            next: if agent.breaker.forced.is_some() {
                "set the breaker back to automatic; until then nothing changes by itself".into()
            } else {
                "look at its failed calls; it closes by itself after a trial that succeeds, or by hand".into()
            },
            eased: false,
        });
    }
    let flips = live.evidence.flips(turn.at, rules);
    if flips >= rules.flaps || (flips > 0 && open(Kind::AgentFlapping)) {
        found.push(Finding {
            kind: Kind::AgentFlapping,
            text: "keeps going down and coming back".into(),
            next: "look at its restarts and its memory; its timeline is on its page".into(),
            eased: false,
        });
    }
    if let Some(capacity) = agent.spec.capacity {
        let (live, limit) = (agent.counts.live, capacity);
        let calm = limit.saturating_sub(limit.div_ceil(5));
        if live > limit || (live > calm && open(Kind::OverCapacity)) {
            let more = live.saturating_sub(limit);
            // In whole agents, so that not each task is news; the view counts the places.
            let more = match more.div_ceil(limit.max(1)) {
                0 => String::new(),
                1 => "; one more agent like it would be enough".to_owned(),
                agents => format!("; {agents} more agents like it would be enough"),
            };
            found.push(Finding {
                kind: Kind::OverCapacity,
                text: format!("has more than the {limit} tasks that it accepts at once{more}"),
                next: "send it less work, or start another replica".into(),
                eased: false,
            });
        }
    }
    if let Some(skew) = live.evidence.skew(open(Kind::ClockSkew), rules) {
        let (by, how) = (skew.unsigned_abs() / 1000, if skew > 0 { "ahead of" } else { "behind" });
        // Rounded, so that the text of a drifting clock rarely changes.
        let by = if by < 120 { format!("{} s", by / 10 * 10) } else { format!("{} min", by / 60) };
        found.push(Finding {
            kind: Kind::ClockSkew,
            text: format!("has a clock {by} {how} ours"),
            next: "set its clock by NTP; its timestamps are shown and never compared with ours".into(),
            eased: false,
        });
    }
    found
}

/// A share that differs less than this from the one that is told is not worth a fact with each task.
const TOLD_WITHIN: u32 = 3;

/// The share of tasks that fail, or the one that the problem tells, while it is nearly true.
fn share_words(turn: &Turn, key: AgentKey, kind: Kind, failed: u32, of: u32) -> String {
    if failed == of {
        return "all".to_owned();
    }
    let share = share_of(u64::from(failed), u64::from(of), 100);
    let told = turn.state().raised(kind, Subject::Agent(key)).and_then(|problem| {
        let line = problem.text.line();
        let (told, _) = failing_share(&line)?;
        (told < 100 && told.abs_diff(share) < TOLD_WITHIN).then_some(told)
    });
    format!("{} %", told.unwrap_or(share))
}

fn failing_words(turn: &Turn, key: AgentKey, cause: &Cause, live: &AgentLive) -> String {
    let Cause::TasksFailing { failed, of } = cause else { return String::new() };
    let share = share_words(turn, key, Kind::AgentFailing, *failed, *of);
    let text = live.evidence.last_failure.as_ref().filter(|text| !text.is_empty());
    let last = text.map(|text| format!(", last with \"{}\"", text.shortened(80).line())).unwrap_or_default();
    format!("fails {share} of its tasks{last}")
}

/// The time at which an agent's problems may change without an event.
pub(super) fn due(turn: &Turn, key: AgentKey) -> Option<At> {
    let (changed, _) = turn.state().agent(key)?.card_change.as_ref()?;
    let over = *changed + turn.rules.problems.card_news;
    (over > turn.at).then_some(over)
}
