//! What each rule did: jobs, results and retries of the last hour, and the share of each agent in the last half hour.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use crate::domain::agent::shift::{Ended, Results, tenths};
use crate::domain::id::AgentKey;
use crate::domain::job::Origin;
use crate::domain::metrics::percentages;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::fit;
use crate::domain::time::At;
use crate::tui::context::Context;
use crate::tui::format;
use crate::tui::theme::Role;
use crate::tui::views::about::Lines;
use crate::tui::widgets::canvas::{Span, span};

/// The stretch of the columns.
const HOUR: Duration = Duration::from_secs(3600);
/// The stretch of the pane.
const RECENT: Duration = Duration::from_secs(1800);
/// The newest jobs that are looked at: a fleet may have a million.
const JOBS: usize = 20_000;
/// Cells of a whole bar.
const BAR: usize = 24;
/// Cells of an agent's name at most.
const NAME: usize = 24;

/// What one rule did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RuleStat {
    /// Jobs of the last hour.
    pub jobs: u32,
    /// How their attempts ended.
    pub results: Results,
    /// Jobs of the last half hour.
    recent: u32,
    /// Those among them that were tried again.
    retried: u32,
    /// The attempts of that time by agent, and how they ended.
    agents: BTreeMap<AgentKey, (u32, Results)>,
}

/// What all rules did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RuleStats {
    rules: BTreeMap<Arc<str>, RuleStat>,
    /// True if there were more jobs than are looked at: the numbers are too low.
    is_partial: bool,
}

impl RuleStats {
    /// From the newest jobs.
    pub fn of(snapshot: &Snapshot, now: At) -> Self {
        let mut stats = Self::default();
        for (looked_at, (_, job)) in snapshot.jobs.iter().rev().enumerate() {
            if looked_at == JOBS {
                stats.is_partial = true;
                break;
            }
            let age = now.since(job.created);
            let Some(rule) = job.plan.as_ref().and_then(|plan| plan.rule.clone()) else { continue };
            if age > HOUR || job.origin != Origin::Sent {
                continue;
            }
            let is_recent = age <= RECENT;
            let stat = stats.rules.entry(rule).or_default();
            stat.jobs += 1;
            if is_recent {
                stat.recent += 1;
                stat.retried += u32::from(job.plan.as_ref().is_some_and(|plan| plan.retries > 0));
            }
            for attempt in job.attempts.iter().filter_map(|key| snapshot.attempts.get(*key)) {
                let ended = Ended::of(attempt);
                if let Some(ended) = ended {
                    stat.results.count(ended);
                }
                if is_recent {
                    let (attempts, results) = stat.agents.entry(attempt.agent).or_default();
                    *attempts += 1;
                    if let Some(ended) = ended {
                        results.count(ended);
                    }
                }
            }
        }
        stats
    }

    /// What a rule did; nothing if it is not known.
    pub fn rule(&self, name: &str) -> Option<&RuleStat> {
        self.rules.get(name)
    }

    /// A number of jobs; a plus stands behind one that is too low.
    pub fn count(&self, jobs: u32) -> String {
        let more = if self.is_partial { "+" } else { "" };
        format!("{}{more}", format::count(jobs as usize))
    }

    /// The lines about a rule: how many jobs, and the share of each agent.
    pub fn lines(&self, ctx: &Context, name: &str, width: usize) -> Lines {
        let nothing = RuleStat::default();
        let stat = self.rule(name).unwrap_or(&nothing);
        let mut head = match stat.recent {
            0 => "last 30 min: no jobs".to_owned(),
            1 => "last 30 min: 1 job".to_owned(),
            jobs => format!("last 30 min: {} jobs", self.count(jobs)),
        };
        if stat.retried > 0 {
            head.push_str(&format!(" · {} retried", format::count(stat.retried as usize)));
        }
        let mut lines = vec![vec![span(head, Role::Title)]];
        let mut agents: Vec<_> = stat.agents.iter().collect();
        agents.sort_by_key(|(key, (attempts, _))| (std::cmp::Reverse(*attempts), **key));
        let parts: Vec<u128> = agents.iter().map(|(_, (attempts, _))| u128::from(*attempts)).collect();
        let name_of = |key: AgentKey| {
            let agent = ctx.snapshot.agents.get(key);
            agent.map_or_else(|| "an agent that has left".to_owned(), |agent| agent.name.line().fit(NAME))
        };
        let named: Vec<String> = agents.iter().map(|(key, _)| name_of(**key)).collect();
        let longest = named.iter().map(|name| name.width()).max().unwrap_or(0);
        for (((_, (attempts, results)), share), name) in agents.iter().zip(percentages(&parts)).zip(named) {
            lines.push(agent_line(ctx, (&name, longest), *attempts, share, results, width));
        }
        lines
    }
}

/// `cashier-1  34 %  ████  99.6 % ok of 420`
fn agent_line(
    ctx: &Context,
    (name, longest): (&str, usize),
    attempts: u32,
    share: u32,
    results: &Results,
    width: usize,
) -> Vec<Span> {
    let full = if ctx.theme.is_ascii() { "#" } else { "█" };
    let room = BAR.min(width.saturating_sub(longest + 34));
    let cells = (share as usize * room).div_ceil(100);
    let role = match results.ok_per_mille() {
        Some(ok) if ok < 950 => Role::Warn,
        _ => Role::Plain,
    };
    let pad = " ".repeat(longest.saturating_sub(name.width()));
    vec![
        span(format!("{name}{pad}  "), Role::Plain),
        span(format!("{share:>3} %  "), Role::Plain),
        span(format!("{}{}  ", full.repeat(cells), " ".repeat(room - cells)), Role::Accent),
        span(fit(&results.in_words(), 24), role),
        span(format!("  {} sent", format::count(attempts as usize)), Role::Quiet),
    ]
}

/// OK % of a rule for its column; `None` if nothing ended.
pub fn ok(stat: Option<&RuleStat>) -> Option<(String, Role)> {
    let ok = stat?.results.ok_per_mille()?;
    let role = if ok < 950 { Role::Warn } else { Role::Plain };
    Some((tenths(ok), role))
}
