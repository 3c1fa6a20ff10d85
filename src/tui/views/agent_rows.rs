//! Agents as rows of the fleet.

use std::collections::BTreeSet;

use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::replicas::GroupBy;
use crate::domain::agent::{Agent, Health};
use crate::domain::cause::Cause;
use crate::domain::id::{AgentId, AgentKey};
use crate::domain::problem::{Problem, Severity};
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::tui::context::Context;
use crate::tui::saved_view::ListKind;
use crate::tui::theme::{Role, Theme};
use crate::tui::views::agent_metrics::{AgentMetrics, TREND};
use crate::tui::views::groups::{Groups, Key};
use crate::tui::views::listing::{Order, Rows};
use crate::tui::widgets::canvas::{Canvas, Span, span};
use crate::tui::widgets::filter::Filtered;
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{NOTHING, Row, TableColumn, columns, fixed, flexible};
use crate::tui::{format, states};

/// Agents that are listed, and those that left while work of theirs still runs, in their groups.
#[derive(Clone, Debug, Default)]
pub struct AgentRows {
    /// The groups.
    pub groups: Groups,
    /// How they did in the window.
    pub metrics: AgentMetrics,
    /// Agents whose tasks failed in the window, or about which a problem is open; notices do not count.
    pub troubled: BTreeSet<AgentId>,
}

struct FilterRow<'s>(&'s Agent);

impl Filtered for FilterRow<'_> {
    fn words(&self) -> Vec<String> {
        ["agent", "state", "speaks", "url", "skill", "label", "says"]
            .iter()
            .filter_map(|key| self.value(key))
            .collect()
    }

    fn value(&self, key: &str) -> Option<String> {
        let Self(agent) = self;
        let card = agent.card.as_ref();
        match key {
            "agent" | "name" => Some(agent.name.line().into_string()),
            "state" => Some(states::agent(agent, Theme::plain_glyphs()).word),
            "speaks" => Some(speaks(agent)),
            "breaker" => Some(format!("{} {}", agent.breaker.in_words(), breaker(agent).text)),
            "url" => Some(Untrusted::from(&*agent.spec.url).line().into_string()),
            "skill" => card.map(|card| {
                let names =
                    card.skills.iter().map(|skill| format!("{} {}", skill.id.line(), skill.name.line()));
                names.collect::<Vec<_>>().join(" ")
            }),
            "source" => {
                let named = agent.sources.iter().map(|name| Untrusted::from(&**name).line().into_string());
                Some(named.collect::<Vec<_>>().join(" "))
            }
            "says" => card.map(|card| card.description.line().into_string()),
            "version" => card.map(|card| card.version.line().into_string()),
            "provider" => GroupBy::Provider.value(agent).map(|text| text.line().into_string()),
            "region" => GroupBy::Region.value(agent).map(|text| text.line().into_string()),
            "framework" => GroupBy::Framework.value(agent).map(|text| text.line().into_string()),
            "label" => {
                let labels = agent.spec.labels.iter().map(|(key, value)| format!("{key}={value}"));
                Some(Untrusted::from(labels.collect::<Vec<_>>().join(" ")).line().into_string())
            }
            key => {
                let label = agent.spec.labels.iter().find(|(name, _)| &**name == key);
                label.map(|(_, value)| Untrusted::from(&**value).line().into_string())
            }
        }
    }
}

/// `1.0 JSONRPC`, or the offered protocols if none is supported.
pub(super) fn speaks(agent: &Agent) -> String {
    match (&agent.interface, &agent.card) {
        (Some(interface), _) => format!("{} {}", interface.dialect, interface.binding.line()),
        (None, Some(card)) => card.offers_in_words().line().into_string(),
        (None, None) => "–".into(),
    }
}

/// True if an agent is listed and passes the filter.
pub(super) fn passes(agent: &Agent, order: &Order, troubled: &BTreeSet<AgentId>) -> bool {
    let here = agent.listed || agent.counts.live > 0;
    let faulty = !matches!(agent.health, Health::Up)
        || agent.counts.doubtful > 0
        || agent.breaker.position != BreakerState::Closed
        || troubled.contains(&agent.id);
    here && (!order.faults || faulty) && order.filter.passes(&FilterRow(agent))
}

impl AgentRows {
    /// Looks which agents have trouble that their rows do not tell; true if they are others than before.
    pub fn look_for_trouble(&mut self, snapshot: &Snapshot) -> bool {
        let has_failed = |key: AgentKey| {
            let results = self.metrics.results(std::iter::once(key));
            results.failed + results.refused + results.lost > 0
        };
        let failed = snapshot.agents.iter().filter(|(key, _)| has_failed(*key)).map(|(_, agent)| agent.id);
        let hurts = |problem: &Problem| problem.muted.is_none() && problem.severity() > Severity::Info;
        let open = snapshot.open_problems().filter(|(_, problem)| hurts(problem));
        let open = open.filter_map(|(_, problem)| Some(snapshot.agents.get(problem.agent?)?.id));
        let now: BTreeSet<AgentId> = failed.chain(open).collect();
        let changed = now != self.troubled;
        self.troubled = now;
        changed
    }

    fn sort_of_agent(&self, key: AgentKey, agent: &Agent, by: AgentColumn) -> SortKey {
        let counts = agent.counts;
        let results = || self.metrics.results(std::iter::once(key));
        let number = |count: u32| SortKey::Pair(i64::from(count), -i64::from(agent.order));
        match by {
            AgentColumn::State => SortKey::Pair(states::health_rank(agent.health), i64::from(agent.order)),
            AgentColumn::Speaks => lower(speaks(agent)),
            AgentColumn::Live => number(counts.live),
            AgentColumn::NeedYou => number(counts.need_you),
            AgentColumn::Done => number(results().done),
            AgentColumn::Failed => number(results().failed),
            AgentColumn::Refused => number(results().refused),
            AgentColumn::Lost => number(results().lost),
            AgentColumn::Doubt => number(counts.doubtful),
            AgentColumn::Breaker => SortKey::Pair(agent.breaker.position as i64, -i64::from(agent.order)),
            // The column shows an age: the youngest has the smallest value.
            AgentColumn::LastSign => SortKey::Number(-agent.last_seen.micros()),
            AgentColumn::Skills => lower(skills(agent)),
            AgentColumn::Version => lower(version(agent)),
            AgentColumn::Url => lower(Untrusted::from(&*agent.spec.url).line().into_string()),
            AgentColumn::Agent | AgentColumn::Ok | AgentColumn::P95 | AgentColumn::Trend => {
                lower(agent.name.line().into_string())
            }
        }
    }
}

pub(super) fn lower(text: String) -> SortKey {
    SortKey::Text(text.to_lowercase().into())
}

pub(super) fn number(count: u32, role: Role) -> Span {
    if count == 0 { span(NOTHING, Role::Quiet) } else { span(format::count(count as usize), role) }
}

fn version(agent: &Agent) -> String {
    agent.card.as_ref().map(|card| card.version.line().into_string()).unwrap_or_default()
}

/// True if the agent currently answers.
pub(super) fn shows_signs(health: Health) -> bool {
    matches!(health, Health::Up | Health::Degraded | Health::LoginNeeded | Health::NotSpoken)
}

columns! {
    /// The columns of the fleet.
    pub enum AgentColumn {
        Agent = flexible("AGENT", 'A', 14, 9).prefers(18),
        State = fixed("STATE", 'S', 12, 8),
        Speaks = flexible("SPEAKS", 'P', 12, 5),
        Version = fixed("VERSION", 'V', 9, 2),
        Live = fixed("LIVE", 'L', 5, 7).right().highest_first(),
        NeedYou = fixed("NEED YOU", 'N', 8, 6).right().highest_first(),
        Done = fixed("DONE", 'D', 6, 3).right().highest_first(),
        Failed = fixed("FAILED", 'F', 6, 4).right().highest_first(),
        Refused = fixed("REFUSED", 'E', 7, 4).right().highest_first().if_any(),
        Lost = fixed("LOST", 'O', 4, 4).right().highest_first().if_any(),
        Doubt = fixed("DOUBT", 'B', 5, 4).right().highest_first(),
        Breaker = fixed("BREAKER", 'R', 9, 1).highest_first().if_any(),
        LastSign = fixed("LAST SIGN", 'T', 9, 2).right(),
        Ok = fixed("OK %", ' ', 5, 1).right().unsorted(),
        P95 = fixed("P95", ' ', 6, 1).right().unsorted(),
        Trend = fixed("TASKS OVER TIME", ' ', TREND, 1).right().unsorted(),
        Skills = flexible("SKILLS", 'K', 8, 1),
        Url = flexible("URL", 'U', 16, 1).wide(),
    }
}

impl Rows for AgentRows {
    type Key = Key;

    const KIND: ListKind = ListKind::Fleet;

    type Column = AgentColumn;

    fn keys<'s>(&'s self, snapshot: &'s Snapshot) -> Box<dyn Iterator<Item = Key> + 's> {
        let agents = snapshot.agents.iter().map(|(key, _)| Key::Agent(key));
        Box::new(self.groups.folded().map(Key::Group).chain(agents))
    }

    fn changed(&self, _snapshot: &Snapshot, changed: Changed, rows: &mut Vec<Key>) {
        if let Changed::Agent(key) = changed {
            rows.push(Key::Agent(key));
        }
    }

    fn all_changed(&self, _snapshot: &Snapshot, _changes: &[Changed], rows: &mut Vec<Key>) {
        rows.extend(self.groups.touched());
    }

    fn shows(&self, snapshot: &Snapshot, key: Key, order: &Order) -> bool {
        match key {
            Key::Group(number) => self.groups.get(number).is_some_and(|group| self.groups.folds(group)),
            Key::Agent(key) => {
                let there = self.groups.of(key).is_none_or(|(_, group)| self.groups.is_open(group));
                there && snapshot.agents.get(key).is_some_and(|agent| passes(agent, order, &self.troubled))
            }
        }
    }

    fn sort_key(&self, snapshot: &Snapshot, key: Key, by: AgentColumn) -> SortKey {
        // The head of a group comes before its members, whichever way the list is sorted.
        let head = self.groups.descending;
        let nothing = SortKey::Number(0);
        let key = match key {
            Key::Group(number) => {
                let sort = self.groups.get(number).map(|group| self.sort_of_group(snapshot, group, by));
                (sort.unwrap_or_else(|| nothing.clone()), i64::from(number), head, nothing)
            }
            Key::Agent(key) => {
                let own = snapshot.agents.get(key).map(|agent| self.sort_of_agent(key, agent, by));
                let own = own.unwrap_or_else(|| nothing.clone());
                match self.groups.of(key) {
                    Some((number, group)) => {
                        (self.sort_of_group(snapshot, group, by), i64::from(number), !head, own)
                    }
                    None => (own, 0, head, nothing),
                }
            }
        };
        SortKey::Under(Box::new(key))
    }

    fn row(&self, canvas: &Canvas<'_>, ctx: &Context, key: Key) -> Row {
        let key = match key {
            Key::Group(number) => return self.row_of_group(canvas, ctx, number),
            Key::Agent(key) => key,
        };
        let Some(agent) = ctx.snapshot.agents.get(key) else { return Row::blank() };
        let label = states::agent(agent, ctx.glyphs());
        let counts = agent.counts;
        let known = !matches!(agent.health, Health::Unknown | Health::Stale | Health::Down);
        let plain = if known { Role::Plain } else { Role::Doubt };
        let sign = match agent.health {
            health if shows_signs(health) => "now".to_owned(),
            _ if agent.last_seen > At::ZERO => canvas.coarse_age(agent.last_seen),
            _ => "never".to_owned(),
        };
        let under = if self.groups.of(key).is_some() { "  " } else { "" };
        let name = format!("{under}{}", agent.name.line());
        let results = self.metrics.results(std::iter::once(key));
        let [ok, p95, trend] = self.metrics.cells(std::iter::once(key), canvas.theme.is_ascii());
        Row {
            mark: span(label.mark, label.role),
            cells: AgentColumn::cells(|column| match column {
                AgentColumn::Agent => {
                    span(if agent.listed { name.clone() } else { format!("{name} (left)") }, plain)
                }
                AgentColumn::State => span(label.word.clone(), label.role),
                AgentColumn::Speaks => {
                    span(speaks(agent), if agent.interface.is_some() { plain } else { Role::Doubt })
                }
                AgentColumn::Version => span(version(agent), plain),
                AgentColumn::Live => number(counts.live, plain),
                AgentColumn::NeedYou => number(counts.need_you, Role::You),
                AgentColumn::Done => number(results.done, plain),
                AgentColumn::Failed => number(results.failed, Role::Bad),
                AgentColumn::Refused => number(results.refused, Role::Warn),
                AgentColumn::Lost => number(results.lost, Role::Warn),
                AgentColumn::Doubt => number(counts.doubtful, Role::Warn),
                AgentColumn::Breaker => breaker(agent),
                AgentColumn::LastSign => span(sign.clone(), plain),
                AgentColumn::Ok => ok.clone(),
                AgentColumn::P95 => p95.clone(),
                AgentColumn::Trend => trend.clone(),
                AgentColumn::Skills => span(skills(agent), Role::Quiet),
                AgentColumn::Url => span(Untrusted::from(&*agent.spec.url).line().into_string(), Role::Quiet),
            }),
            marked: false,
        }
    }
}

/// What a breaker does; a closed one is nothing to see.
fn breaker(agent: &Agent) -> Span {
    let held = agent.breaker.forced.is_some();
    match agent.breaker.position {
        BreakerState::Closed if held => span("always", Role::Plain),
        BreakerState::Open if held => span("stopped", Role::Warn),
        BreakerState::Closed => span("·", Role::Quiet),
        BreakerState::Open if matches!(agent.breaker.cause.as_deref(), Some(Cause::Outlier { .. })) => {
            span("ejected", Role::Warn)
        }
        BreakerState::Open => span("paused", Role::Warn),
        BreakerState::HalfOpen => span("trial", Role::Warn),
    }
}

pub(super) fn skills(agent: &Agent) -> String {
    let Some(card) = &agent.card else { return String::new() };
    let names: Vec<String> = card.skills.iter().map(|skill| skill.name.line().into_string()).collect();
    names.join(", ")
}
