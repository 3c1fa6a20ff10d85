//! The fleet: every agent and its health, the one under the cursor explained below.

use std::time::Duration;

use ratatui::layout::Rect;

use super::did::{Did, TREND};
use super::groups::{Group, Groups, Key, draw_group};
use super::listing::{LARGE, List, Listing, Order, Rows};
use super::tasks::{TaskRows, empty, list_facts};
use super::{ListKind, Screen, Target, View, Wants, about, inside};
use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::replicas::GroupBy;
use crate::domain::agent::{Agent, Health};
use crate::domain::cause::Cause;
use crate::domain::id::AttemptKey;
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::tui::actions::Action;
use crate::tui::format;
use crate::tui::metrics;
use crate::tui::model::{Shared, Step};
use crate::tui::states;
use crate::tui::theme::{Role, Theme};
use crate::tui::widgets::canvas::{Canvas, Joint, Span, span};
use crate::tui::widgets::filter::{Filter, Filtered};
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{Column, Row, fixed, share};
use crate::tui::widgets::text;

/// Agents that are listed, and those that left while work of theirs still runs, in their groups.
#[derive(Clone, Debug, Default)]
pub struct AgentRows {
    /// The groups.
    pub groups: Groups,
    /// How they did in the window.
    pub did: Did,
}

struct Seen<'s>(&'s Agent);

impl Filtered for Seen<'_> {
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
            "breaker" => Some(agent.breaker.position.as_str().to_owned()),
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

/// `1.0 JSONRPC`, or what it offers that we do not speak.
fn speaks(agent: &Agent) -> String {
    match (&agent.interface, &agent.card) {
        (Some(interface), _) => format!("{} {}", interface.dialect, interface.binding.line()),
        (None, Some(card)) => card.offers_in_words().line().into_string(),
        (None, None) => "–".into(),
    }
}

/// True if an agent is here and passes what is asked for.
fn passes(agent: &Agent, order: &Order) -> bool {
    let here = agent.listed || agent.counts.live > 0;
    let faulty = !matches!(agent.health, Health::Up) || agent.counts.doubtful > 0;
    here && (!order.faults || faulty) && order.filter.passes(&Seen(agent))
}

impl AgentRows {
    fn sort_of_agent(agent: &Agent, by: char) -> SortKey {
        let counts = agent.counts;
        let number = |count: u32| SortKey::Pair(i64::from(count), -i64::from(agent.order));
        match by {
            'S' => SortKey::Pair(states::health_rank(agent.health), i64::from(agent.order)),
            'P' => lower(speaks(agent)),
            'L' => number(counts.live),
            'N' => number(counts.need_you),
            'D' => number(counts.completed),
            'F' => number(counts.failed),
            'B' => number(counts.doubtful),
            'R' => SortKey::Pair(agent.breaker.position as i64, -i64::from(agent.order)),
            // What is shown is an age: the youngest has the least.
            'T' => SortKey::Number(-agent.last_seen.micros()),
            'K' => lower(skills(agent)),
            'V' => lower(version(agent)),
            'U' => lower(Untrusted::from(&*agent.spec.url).line().into_string()),
            _ => lower(agent.name.line().into_string()),
        }
    }
}

pub(super) fn lower(text: String) -> SortKey {
    SortKey::Text(text.to_lowercase().into())
}

pub(super) fn number(count: u32, role: Role) -> Span {
    if count == 0 { span("·", Role::Quiet) } else { span(format::count(count as usize), role) }
}

fn version(agent: &Agent) -> String {
    agent.card.as_ref().map(|card| card.version.line().into_string()).unwrap_or_default()
}

/// True for who answers now, whatever it says.
pub(super) fn shows_signs(health: Health) -> bool {
    matches!(health, Health::Up | Health::Degraded | Health::LoginNeeded | Health::NotSpoken)
}

impl Rows for AgentRows {
    type Key = Key;

    const KIND: ListKind = ListKind::Fleet;

    const COLUMNS: &'static [Column] = &[
        share("AGENT", 'A', 14, 3, 9).wants(18),
        fixed("STATE", 'S', 12, 8),
        fixed("SPEAKS", 'P', 12, 5),
        fixed("VERSION", 'V', 9, 2),
        fixed("LIVE", 'L', 5, 7).right(),
        fixed("NEED YOU", 'N', 8, 6).right(),
        fixed("DONE", 'D', 6, 3).right(),
        fixed("FAILED", 'F', 6, 4).right(),
        fixed("DOUBT", 'B', 5, 4).right(),
        fixed("BREAKER", 'R', 9, 1),
        fixed("LAST SIGN", 'T', 9, 2).right(),
        Column { sort: None, ..fixed("OK %", ' ', 5, 1).right() },
        Column { sort: None, ..fixed("P95", ' ', 6, 1).right() },
        Column { sort: None, ..fixed("TASKS OVER TIME", ' ', TREND, 1) },
        share("SKILLS", 'K', 8, 3, 1),
        share("URL", 'U', 16, 3, 1).wide(),
    ];

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
                there && snapshot.agents.get(key).is_some_and(|agent| passes(agent, order))
            }
        }
    }

    fn sort_key(&self, snapshot: &Snapshot, key: Key, by: char) -> SortKey {
        // The head of a group comes before its members, whichever way the list is sorted.
        let head = self.groups.descending;
        let nothing = SortKey::Number(0);
        let key = match key {
            Key::Group(number) => {
                let sort = self.groups.get(number).map(|group| Self::sort_of_group(snapshot, group, by));
                (sort.unwrap_or_else(|| nothing.clone()), i64::from(number), head, nothing)
            }
            Key::Agent(key) => {
                let own = snapshot.agents.get(key).map(|agent| Self::sort_of_agent(agent, by));
                let own = own.unwrap_or_else(|| nothing.clone());
                match self.groups.of(key) {
                    Some((number, group)) => {
                        (Self::sort_of_group(snapshot, group, by), i64::from(number), !head, own)
                    }
                    None => (own, 0, head, nothing),
                }
            }
        };
        SortKey::Under(Box::new(key))
    }

    fn highest_first(by: char) -> bool {
        matches!(by, 'L' | 'N' | 'D' | 'F' | 'B' | 'R')
    }

    fn row(&self, canvas: &Canvas<'_>, shared: &Shared, key: Key) -> Row {
        let key = match key {
            Key::Group(number) => return self.row_of_group(canvas, shared, number),
            Key::Agent(key) => key,
        };
        let Some(agent) = shared.snapshot.agents.get(key) else {
            return Row { mark: span(" ", Role::Plain), cells: Vec::new(), marked: false };
        };
        let told = states::agent(agent, shared.glyphs());
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
        let [ok, p95, trend] = self.did.cells(std::iter::once(key), canvas.theme.is_ascii());
        Row {
            mark: span(told.mark, told.role),
            cells: vec![
                span(if agent.listed { name } else { format!("{name} (left)") }, plain),
                span(told.word, told.role),
                span(speaks(agent), if agent.interface.is_some() { plain } else { Role::Doubt }),
                span(version(agent), plain),
                number(counts.live, plain),
                number(counts.need_you, Role::You),
                number(counts.completed, plain),
                number(counts.failed, Role::Bad),
                number(counts.doubtful, Role::Warn),
                breaker(agent),
                span(sign, plain),
                ok,
                p95,
                trend,
                span(skills(agent), Role::Quiet),
                span(Untrusted::from(&*agent.spec.url).line().into_string(), Role::Quiet),
            ],
            marked: false,
        }
    }
}

/// A closed breaker is nothing to see.
fn breaker(agent: &Agent) -> Span {
    match agent.breaker.position {
        BreakerState::Closed if agent.breaker.forced.is_some() => span("held", Role::Plain),
        BreakerState::Closed => span("·", Role::Quiet),
        BreakerState::Open if matches!(agent.breaker.cause.as_deref(), Some(Cause::Outlier { .. })) => {
            span("ejected", Role::Warn)
        }
        position => span(position.as_str(), Role::Warn),
    }
}

pub(super) fn skills(agent: &Agent) -> String {
    let Some(card) = &agent.card else { return String::new() };
    let names: Vec<String> = card.skills.iter().map(|skill| skill.name.line().into_string()).collect();
    names.join(", ")
}

/// The view.
#[derive(Debug)]
pub struct FleetView {
    list: Listing<AgentRows>,
    /// The tasks of the agent under the cursor.
    work: Listing<TaskRows>,
    measured: metrics::Groups,
}

impl FleetView {
    /// The worst first.
    pub fn new() -> Self {
        let newest = u32::try_from(LARGE).ok();
        let work = TaskRows { newest, ..TaskRows::default() };
        Self {
            list: Listing::new(AgentRows::default(), 'S'),
            work: Listing::new(work, 'S'),
            measured: metrics::Groups::new(metrics::Split::Told(crate::domain::metrics::Dimension::Agent)),
        }
    }

    /// The same, only those that pass a filter.
    #[must_use]
    pub fn filtered(mut self, filter: &str) -> Self {
        self.list.state.look.filter = Filter::parse(filter);
        self
    }

    /// Groups by something else.
    pub fn group(&mut self, by: GroupBy) {
        self.list.source.groups.set(by);
        self.list.rebuild();
    }

    /// Brings the groups in line with what has changed, before the rows are.
    fn sync(&mut self, snapshot: &Snapshot) {
        let order = self.list.order();
        let groups = &mut self.list.source.groups;
        groups.descending = AgentRows::highest_first(order.by) != order.reversed;
        groups.sync(snapshot, &order, |agent| passes(agent, &order), speaks);
    }

    /// The group under the cursor.
    fn group_here(&self) -> Option<(u32, &Group)> {
        match self.list.target()? {
            Key::Group(number) => Some((number, self.list.source.groups.get(number)?)),
            Key::Agent(_) => None,
        }
    }

    /// Unfolds the group under the cursor, or folds the one in which it is. False if there is none.
    fn fold(&mut self, open: bool) -> bool {
        let groups = &self.list.source.groups;
        let number = match self.list.target() {
            Some(Key::Group(number)) => Some(number),
            Some(Key::Agent(key)) if !open => groups.of(key).map(|(number, _)| number),
            _ => None,
        };
        let Some(number) = number else { return false };
        if groups.get(number).is_none_or(|group| groups.is_open(group) == open) {
            return false;
        }
        self.list.state.selected = Some(Key::Group(number));
        self.list.source.groups.open(number, open);
        self.list.rebuild();
        true
    }

    fn parts(&self, area: Rect) -> (Rect, Option<Rect>, Option<Rect>) {
        let inner = inside(area);
        if !self.list.state.details || inner.height < 14 {
            return (inner, None, None);
        }
        let rows = u16::try_from(self.list.rows.len()).unwrap_or(u16::MAX).saturating_add(1);
        let about = if inner.height >= 30 { 9 } else { 7 };
        let work = if inner.height >= 24 { (inner.height / 4).clamp(5, 12) } else { 0 };
        // What a short list does not need is given to the tasks below.
        let list = rows.max(6).min(inner.height - about - work);
        let rest = inner.height - list - about;
        let about = Rect { y: inner.y + list, height: if work > 0 { about } else { about + rest }, ..inner };
        let below = (work > 0).then_some(Rect {
            y: about.bottom(),
            height: inner.bottom() - about.bottom(),
            ..inner
        });
        (Rect { height: list, ..inner }, Some(about), below)
    }

    fn lines(&self, area: Rect) -> usize {
        usize::from(self.parts(area).0.height.saturating_sub(1))
    }
}

impl Default for FleetView {
    fn default() -> Self {
        Self::new()
    }
}

/// From this width on there is room for how agents did; below it nobody asks.
const MEASURED: u16 = 140;
/// It is read so often.
const EVERY: Duration = Duration::from_secs(5);

impl Screen for FleetView {
    fn word(&self) -> &'static str {
        "fleet"
    }

    fn settle(&mut self, shared: &Shared, area: Rect) -> bool {
        let lines = self.lines(area);
        self.sync(&shared.snapshot);
        let mut visible = self.list.settle(&shared.snapshot, lines);
        if self.measured.settle(shared) {
            self.list.source.did = Did::new(self.measured.all());
            visible |= area.width >= MEASURED;
        }
        let agent = self.list.target().and_then(Key::agent);
        if self.work.source.agent != agent {
            self.work.source.agent = agent;
            self.work.rebuild();
        }
        if let (_, _, Some(below)) = self.parts(area) {
            visible |= self.work.settle_window(&shared.snapshot, usize::from(below.height.saturating_sub(2)));
        }
        visible
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, shared: &Shared) {
        let listed = shared.snapshot.agents.iter().filter(|(_, agent)| agent.listed).count();
        let groups = &self.list.source.groups;
        let shown = groups.agents();
        let word = if listed == 1 { "agent" } else { "agents" };
        let first =
            if shown == listed { format!("{listed} {word}") } else { format!("{shown} of {listed} {word}") };
        let mut facts = list_facts(&self.list, shared, first);
        if shared.snapshot.watching_since > At::ZERO {
            let text = format!(
                " · watching since {}",
                shared.clocks.second(shared.snapshot.watching_since, shared.now)
            );
            facts.push(span(text, Role::Quiet));
        }
        let by = match groups.by() {
            GroupBy::Replicas => String::new(),
            GroupBy::None => " · each alone".to_owned(),
            by => format!(" · by {}", Untrusted::from(by.words()).line()),
        };
        let mut title = self.list.title();
        title.push(span(by, Role::Quiet));
        canvas.rule(area, area.y, Joint::Top, &title, &facts);
        let (list, about_area, below) = self.parts(area);
        if self.list.rows.is_empty() {
            let filtered = !self.list.state.look.filter.is_empty() || self.list.state.look.faults;
            empty(
                canvas,
                shared,
                list,
                filtered,
                &[
                    "No agents yet.",
                    "Name some on the command line: quarterdeck http://127.0.0.1:9101",
                    "or in the configuration, as [[fleet.NAME.agents]]; quarterdeck config example shows how.",
                    "quarterdeck demo brings a fleet of its own.",
                ],
            );
            return;
        }
        self.list.draw(canvas, list, shared);
        if let (Some((_, group)), Some(pane)) = (self.group_here(), about_area) {
            let below = below.map_or(0, |below| below.height);
            return draw_group(canvas, area, Rect { height: pane.height + below, ..pane }, shared, group);
        }
        let agent = self.list.target().and_then(Key::agent).and_then(|key| shared.snapshot.agents.get(key));
        if let (Some(pane), Some(agent)) = (about_area, agent) {
            let whole = Rect { x: area.x, width: area.width, ..pane };
            let title = [span(agent.name.line().into_string(), Role::Title)];
            let version =
                agent.card.as_ref().map(|card| span(card.version.line().into_string(), Role::Quiet));
            let facts: Vec<Span> = version.into_iter().collect();
            canvas.rule(whole, pane.y, Joint::Middle, &title, &facts);
            let pane = Rect {
                x: pane.x + 1,
                y: pane.y + 1,
                width: pane.width.saturating_sub(2),
                height: pane.height - 1,
            };
            let lines = about::short(canvas, shared, agent, usize::from(pane.width));
            text::draw(canvas, pane, &lines, &text::TextState::default());
        }
        if let (Some(below), Some(_)) = (below, agent) {
            let whole = Rect { x: area.x, width: area.width, ..below };
            let facts = [span("needs you first, then doubtful, then running", Role::Quiet)];
            canvas.rule(whole, below.y, Joint::Middle, &[span("its tasks", Role::Title)], &facts);
            let pane = Rect { y: below.y + 1, height: below.height - 1, ..below };
            if self.work.rows.is_empty() {
                let none = format!("None lately. {} sends one.", shared.key(Action::New));
                canvas.put(pane.x + 2, pane.y, &none, Role::Doubt, pane.width - 2);
            } else {
                self.work.draw_plain(canvas, pane, shared);
            }
        }
    }

    fn act(&mut self, action: Action, shared: &Shared, area: Rect) -> Option<Vec<Step>> {
        let lines = self.lines(area);
        // An agent is not marked: nothing acts on several of them.
        if matches!(action, Action::Mark | Action::MarkAll | Action::MarkTo) {
            return None;
        }
        if self.list.act(action, lines) {
            return Some(Vec::new());
        }
        match action {
            Action::Right => self.fold(true).then(Vec::new),
            Action::Left => self.fold(false).then(Vec::new),
            Action::Open if self.group_here().is_some() => {
                let _one_of_both = self.fold(true) || self.fold(false);
                Some(Vec::new())
            }
            Action::Open => {
                let view = self.list.target().and_then(Key::agent).and_then(|key| View::agent(shared, key));
                Some(view.map(|view| Step::Open(Box::new(view))).into_iter().collect())
            }
            Action::Back => self.list.clear_one().then(Vec::new),
            _ => None,
        }
    }

    fn keys(&self, _shared: &Shared) -> Vec<(Action, &'static str)> {
        let unfold = self.group_here().map(|(_, group)| {
            if self.list.source.groups.is_open(group) {
                (Action::Left, "fold")
            } else {
                (Action::Right, "unfold")
            }
        });
        let mut keys: Vec<_> = unfold.into_iter().collect();
        keys.extend([
            (Action::Open, "open"),
            (Action::New, "new task"),
            (Action::ViewTasks, "tasks"),
            (Action::ViewInbox, "inbox"),
            (Action::ViewProblems, "problems"),
            (Action::Service, "in/out of service"),
            (Action::Check, "check now"),
            (Action::Filter, "filter"),
            (Action::Faults, "faults"),
            (Action::GoTo, "go to"),
            (Action::Raw, "raw"),
            (Action::Copy, "copy"),
        ]);
        keys
    }

    fn list(&self) -> Option<&dyn List> {
        Some(&self.list)
    }

    fn list_mut(&mut self) -> Option<&mut dyn List> {
        Some(&mut self.list)
    }

    fn list_area(&self, area: Rect) -> Rect {
        self.parts(area).0
    }

    fn target(&self, _shared: &Shared) -> Target {
        Target { agent: self.list.target().and_then(Key::agent), attempt: None, problem: None }
    }

    fn wants(&self, shared: &Shared) -> Wants {
        let measured = shared.size.0 >= MEASURED || self.list.state.look.wide;
        Wants { metrics: measured.then_some(EVERY), ..Wants::default() }
    }

    fn marked(&self, _shared: &Shared) -> Vec<AttemptKey> {
        Vec::new()
    }
}
