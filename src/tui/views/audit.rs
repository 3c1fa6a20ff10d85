//! The audit: who did what, through which surface, on what and why, and whether the records hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ratatui::layout::Rect;

use crate::domain::audit::page::{AuditEntry, AuditFilter, Verification};
use crate::domain::audit::{ActOutcome, AuditRecord, Surface, owner_words};
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::engine::{Answer, Query};
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::format;
use crate::tui::queries::{Ask, Refresh, Subscription};
use crate::tui::saved_view::ListKind;
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::about;
use crate::tui::views::frame::{empty, inside, labelled};
use crate::tui::views::listing::{List, Listing, Order, Rows, shows_list};
use crate::tui::widgets::canvas::{Canvas, Edge, span};
use crate::tui::widgets::filter::Filtered;
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{NOTHING, Row, TableColumn, columns, fixed, flexible};
use crate::tui::widgets::text;
use crate::tui::widgets::text::TextState;

/// Records that are read at most, the newest of the window.
const MOST: usize = 1000;
/// How often they are read while the view is shown.
const EVERY: Duration = Duration::from_secs(2);

/// The records of the window, each under its number.
#[derive(Clone, Debug, Default)]
pub struct AuditRowSource(Arc<BTreeMap<u64, AuditEntry>>);

struct FilterRow<'r>(&'r AuditRecord);

impl Filtered for FilterRow<'_> {
    fn words(&self) -> Vec<String> {
        ["who", "surface", "did", "target", "why", "outcome"]
            .iter()
            .filter_map(|key| self.value(key))
            .collect()
    }

    fn value(&self, key: &str) -> Option<String> {
        let Self(record) = self;
        match key {
            "who" => Some(record.who.line().into_string()),
            "surface" => Some(record.surface.as_str().into()),
            "did" | "intent" => Some(did(record)),
            "target" | "agent" => Some(target_words(record)),
            "why" => record.why.as_ref().map(|why| why.line().into_string()),
            "outcome" => Some(record.outcome.in_words()),
            _ => None,
        }
    }
}

fn did(record: &AuditRecord) -> String {
    Untrusted::from(&*record.intent).line().into_string()
}

fn target_words(record: &AuditRecord) -> String {
    record.target.words.line().into_string()
}

/// The operator's name; one that was only claimed has a mark.
fn who(record: &AuditRecord) -> String {
    format!("{}{}", record.who.line(), if record.is_claimed() { " ?" } else { "" })
}

columns! {
    /// The columns of the audit.
    pub enum AuditColumn {
        When = fixed("WHEN", 'W', 10, 9).highest_first(),
        Who = flexible("WHO", 'O', 8, 8).prefers(12),
        Surface = fixed("SURFACE", 'S', 7, 4),
        Did = flexible("DID", 'D', 8, 9).prefers(14),
        Target = flexible("TARGET", 'T', 14, 9).prefers(34),
        Why = flexible("WHY", 'Y', 8, 6).prefers(24),
        Outcome = flexible("OUTCOME", 'U', 9, 7).prefers(20),
    }
}

impl Rows for AuditRowSource {
    type Key = u64;

    const KIND: ListKind = ListKind::Audit;

    type Column = AuditColumn;

    fn keys<'s>(&'s self, _snapshot: &'s Snapshot) -> Box<dyn Iterator<Item = u64> + 's> {
        Box::new(self.0.keys().copied())
    }

    // The rows are read by a query, and all of them are new then.
    fn changed(&self, _snapshot: &Snapshot, _changed: Changed, _rows: &mut Vec<u64>) {}

    fn shows(&self, _snapshot: &Snapshot, key: u64, order: &Order) -> bool {
        let Some(entry) = self.0.get(&key) else { return false };
        (!order.faults || entry.record.outcome != ActOutcome::Accepted)
            && order.filter.passes(&FilterRow(&entry.record))
    }

    fn sort_key(&self, _snapshot: &Snapshot, key: u64, by: AuditColumn) -> SortKey {
        let Some(AuditEntry { record, .. }) = self.0.get(&key) else { return SortKey::Number(0) };
        let text = |text: String| SortKey::Text(text.to_lowercase().into());
        match by {
            AuditColumn::When => SortKey::Number(i64::try_from(key).unwrap_or(i64::MAX)),
            AuditColumn::Who => text(who(record)),
            AuditColumn::Surface => text(record.surface.as_str().into()),
            AuditColumn::Did => text(did(record)),
            AuditColumn::Target => text(target_words(record)),
            AuditColumn::Why => {
                text(record.why.as_ref().map(|why| why.line().into_string()).unwrap_or_default())
            }
            AuditColumn::Outcome => text(record.outcome.in_words()),
        }
    }

    fn row(&self, _canvas: &Canvas<'_>, ctx: &Context, key: u64) -> Row {
        let Some(AuditEntry { record, .. }) = self.0.get(&key) else { return Row::blank() };
        let glyphs = ctx.glyphs();
        let (mark, role) = match record.outcome {
            ActOutcome::Accepted => (glyphs.completed, Role::Plain),
            ActOutcome::Refused(_) => (glyphs.rejected, Role::Warn),
            ActOutcome::Withdrawn => (glyphs.failed, Role::Bad),
        };
        Row {
            mark: span(mark, role),
            cells: AuditColumn::cells(|column| match column {
                AuditColumn::When => span(ctx.clocks.second(record.at, ctx.now), Role::Plain),
                AuditColumn::Who => {
                    span(who(record), if record.is_claimed() { Role::Doubt } else { Role::Plain })
                }
                AuditColumn::Surface => span(record.surface.as_str(), Role::Quiet),
                AuditColumn::Did => span(did(record), Role::Plain),
                AuditColumn::Target => span(target_words(record), Role::Plain),
                AuditColumn::Why => match &record.why {
                    Some(why) => span(why.line().into_string(), Role::Plain),
                    None => span(NOTHING, Role::Quiet),
                },
                AuditColumn::Outcome => span(record.outcome.in_words(), role),
            }),
            marked: false,
        }
    }
}

/// The view.
#[derive(Debug)]
pub struct AuditView {
    list: Listing<AuditRowSource>,
    /// The newest read, until it is shown.
    read: Option<Vec<AuditEntry>>,
    /// True if the window has more than was read.
    has_more: bool,
    /// How often a verification was asked for.
    checks: u64,
    verified: Option<Verification>,
    /// When it was answered; `None` until that is known.
    checked: Option<At>,
}

impl AuditView {
    /// The records of the window, newest first.
    pub fn new() -> Self {
        Self {
            list: Listing::new(AuditRowSource::default(), AuditColumn::When),
            read: None,
            has_more: false,
            checks: 0,
            verified: None,
            checked: None,
        }
    }

    fn selected(&self) -> Option<&AuditEntry> {
        self.list.source.0.get(&self.list.target()?)
    }

    fn parts(&self, area: Rect) -> (Rect, Option<Rect>) {
        let inner = inside(area);
        if !self.list.state.details || inner.height < 12 || self.list.rows.is_empty() {
            return (inner, None);
        }
        let below = (inner.height / 2).clamp(6, 12);
        let list = Rect { height: inner.height - below, ..inner };
        (list, Some(Rect { y: list.bottom(), height: below, ..inner }))
    }

    fn lines(&self, area: Rect) -> usize {
        usize::from(self.parts(area).0.height.saturating_sub(1))
    }

    /// Whether the chains hold, in a few words.
    fn state(&self, ctx: &Context) -> (String, Role) {
        let at = self.checked.map(|at| format!(", checked {}", ctx.clocks.time_of_day(at)));
        let at = at.unwrap_or_default();
        match &self.verified {
            None => ("being verified".into(), Role::Quiet),
            Some(Verification { broken: Some(_), .. }) => (format!("DOES NOT HOLD{at}"), Role::Bad),
            Some(Verification { rows: 0, .. }) => ("nothing recorded yet".into(), Role::Quiet),
            Some(_) => (format!("holds{at}"), Role::Ok),
        }
    }
}

impl Default for AuditView {
    fn default() -> Self {
        Self::new()
    }
}

/// Everything about a record, in lines.
fn explain(ctx: &Context, entry: &AuditEntry, width: usize) -> about::Lines {
    let AuditEntry { seq, hash, record, .. } = entry;
    let target = &record.target;
    let at = labelled("WHEN", vec![span(ctx.clocks.precise(record.at), Role::Plain)]);
    let from = match record.peer {
        Some(uid) => format!(
            "{} over the socket; a process of user {uid} gave this name, which proves nothing",
            record.surface.as_str()
        ),
        None if record.surface == Surface::Engine => "the program itself, without an operator".to_owned(),
        None => format!("{} in the engine's own process", record.surface.as_str()),
    };
    let mut lines = about::wrapped("WHO", &format!("{}, {from}", record.who.line()), Role::Plain, width);
    lines.insert(0, at);
    let bulk = if record.bulk > 1 { format!(" (one of {} at once)", record.bulk) } else { String::new() };
    let what = format!("{} {}{bulk}", did(record), target_words(record));
    lines.extend(about::wrapped("DID", &what, Role::Plain, width));
    if let Some(why) = &record.why {
        lines.extend(about::wrapped("WHY", &why.line(), Role::Plain, width));
    }
    lines.extend(about::wrapped("OUTCOME", &record.outcome.in_words(), Role::Plain, width));
    let task = target.task.as_ref().map(|task| format!("task {}", task.text().line()));
    let job = target.job.map(|job| format!("job {job}"));
    let ids: Vec<String> = task.into_iter().chain(job).collect();
    if !ids.is_empty() {
        lines.extend(about::wrapped("IDS", &ids.join(", "), Role::Quiet, width));
    }
    let chain = format!("{}, row {seq}, {hash}", owner_words(record.owner));
    lines.extend(about::wrapped("CHAIN", &chain, Role::Quiet, width));
    lines
}

/// The page of what a record is about, as far as it is still known.
fn destination(ctx: &Context, record: &AuditRecord) -> Option<Destination> {
    let Target { agent, attempt, problem, .. } = target(ctx, record);
    problem
        .map(Destination::Problem)
        .or_else(|| Destination::attempt(ctx, attempt?))
        .or_else(|| Destination::agent(ctx, agent?))
}

fn target(ctx: &Context, record: &AuditRecord) -> Target {
    let (snapshot, target) = (&ctx.snapshot, &record.target);
    let agent = target.agent.and_then(|id| snapshot.agents.iter().find(|(_, row)| row.id == id));
    let attempt = target.attempt.and_then(|id| snapshot.attempts.iter().rev().find(|(_, row)| row.id == id));
    let problem =
        target.problem.and_then(|number| snapshot.problems.iter().find(|(_, row)| row.number == number));
    Target {
        agent: agent.map(|(key, _)| key),
        attempt: attempt.map(|(key, _)| key),
        problem: problem.map(|(key, _)| key),
        trace: None,
    }
}

impl Screen for AuditView {
    fn word(&self) -> &'static str {
        "audit"
    }

    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool {
        let mut visible = false;
        if let Some(entries) = self.read.take() {
            let until = ctx.window.parts(ctx.now).until.begins();
            let rows = entries.into_iter().filter(|entry| entry.record.at < until);
            let rows: BTreeMap<u64, AuditEntry> = rows.map(|entry| (entry.number, entry)).collect();
            if rows != *self.list.source.0 {
                self.list.source = AuditRowSource(Arc::new(rows));
                self.list.rebuild();
                visible = true;
            }
        }
        if self.verified.is_some() && self.checked.is_none() {
            self.checked = Some(ctx.now);
            visible = true;
        }
        let lines = self.lines(area);
        self.list.refresh(&ctx.snapshot, lines) | visible
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let (state, role) = self.state(ctx);
        let count = self.list.source.0.len();
        let more = if self.has_more { "newest " } else { "" };
        let first = format!("{more}{} in {} · ", format::count(count), ctx.window.word(&ctx.clocks));
        let mut facts = self.list.facts(ctx, area, first);
        facts.insert(1.min(facts.len()), span(state, role));
        canvas.rule(area, area.y, Edge::Top, &self.list.title(), &facts);
        let (list, below) = self.parts(area);
        if self.list.rows.is_empty() {
            let why =
                ["Nobody did anything in this window.", &ctx.step(Action::Time, "chooses another one.")];
            return empty(canvas, ctx, list, self.list.state.settings.leaves_out(), &why);
        }
        self.list.draw(canvas, list, ctx);
        let Some(pane) = below else { return };
        let whole = Rect { x: area.x, width: area.width, ..pane };
        let broken = self.verified.as_ref().and_then(|found| found.broken.as_ref());
        let title = if broken.is_some() { "where it breaks, and the record" } else { "the record" };
        canvas.rule(whole, pane.y, Edge::Middle, &[span(title, Role::Title)], &[]);
        let inner = Rect {
            x: pane.x + 1,
            y: pane.y + 1,
            width: pane.width.saturating_sub(2),
            height: pane.height - 1,
        };
        let width = usize::from(inner.width);
        let mut lines = about::Lines::new();
        if let Some(broken) = broken {
            let place = format!("{} row {}: {}", broken.owner.line(), broken.seq, broken.what.line());
            lines.extend(about::wrapped("BROKEN", &place, Role::Bad, width));
        }
        if let Some(entry) = self.selected() {
            lines.extend(explain(ctx, entry, width));
        }
        text::draw(canvas, inner, &lines, &TextState::default());
    }

    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        let lines = self.lines(area);
        if matches!(action, Action::Mark | Action::MarkAll | Action::MarkTo) {
            return None;
        }
        if self.list.act(action, lines) {
            return Some(Vec::new());
        }
        match action {
            Action::Open => match self.selected().and_then(|entry| destination(ctx, &entry.record)) {
                Some(page) => Some(vec![Step::Open(Box::new(page))]),
                None => Some(vec![Step::Say(Role::Quiet, "what it was about is no longer known".into())]),
            },
            Action::Check => {
                self.checks += 1;
                (self.verified, self.checked) = (None, None);
                Some(Vec::new())
            }
            _ => None,
        }
    }

    fn keys(&self, _ctx: &Context) -> Vec<(Action, &'static str)> {
        vec![
            (Action::Open, "its target"),
            (Action::Filter, "filter"),
            (Action::Faults, "refused only"),
            (Action::Time, "time"),
            (Action::Check, "verify"),
            (Action::Details, "details"),
            (Action::Copy, "copy"),
            (Action::Back, "back"),
        ]
    }

    shows_list!(list);

    fn list_area(&self, area: Rect) -> Rect {
        self.parts(area).0
    }

    fn target(&self, ctx: &Context) -> Target {
        self.selected().map(|entry| target(ctx, &entry.record)).unwrap_or_default()
    }

    fn queries(&self, ctx: &Context) -> Vec<Subscription> {
        let since = Some(ctx.window.parts(ctx.now).from.begins());
        let filter = Box::new(AuditFilter { since, ..AuditFilter::default() });
        let records = Query::Audit { filter, before: None, limit: MOST };
        let ask = |name, query: Query, refresh| Subscription::Ask(Ask { name, query: query.into(), refresh });
        vec![
            ask("audit", records, Refresh::Every(EVERY)),
            ask("verify", Query::VerifyAudit { head: None }, Refresh::Version(self.checks)),
        ]
    }

    fn on_answer(&mut self, _ask: &Ask, answer: Answer) {
        match answer {
            Answer::Audit(page) => {
                self.has_more = page.next.is_some();
                self.read = Some(page.entries);
            }
            Answer::AuditVerified(found) => {
                self.verified = Some(*found);
                self.checked = None;
            }
            _ => {}
        }
    }
}
