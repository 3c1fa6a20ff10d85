//! The rules of routing, and why: what each says about a message now, or what was decided about a job.

use std::sync::Arc;
use std::time::Duration;

use ratatui::layout::Rect;

use crate::domain::fact::Owner;
use crate::domain::id::{JobId, JobKey};
use crate::domain::intent::Send;
use crate::domain::job::message::{Content, Json, Part};
use crate::domain::route;
use crate::domain::route::explanation::{Explanation, RuleRow};
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::engine::{Answer, Query};
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::fact_cache::FactCache;
use crate::tui::format;
use crate::tui::queries::{Ask, Refresh, Subscription};
use crate::tui::saved_view::ListKind;
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::about::Lines;
use crate::tui::views::explained;
use crate::tui::views::frame::{empty, inside};
use crate::tui::views::listing::{List, Listing, Order, Rows};
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::filter::{Filter, Filtered};
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{NOTHING, Row, TableColumn, columns, fixed, flexible};
use crate::tui::widgets::text;
use crate::tui::widgets::text::TextState;

/// The interval between two reads of the rules while the view is shown.
const EVERY: Duration = Duration::from_secs(2);
/// Below this height one pane is shown at a time.
const LOW: u16 = 18;

/// The rules in order.
#[derive(Clone, Debug, Default)]
pub struct RouteRows(Arc<Vec<RuleRow>>);

struct FilterRow<'s>(&'s RuleRow);

impl Filtered for FilterRow<'_> {
    fn words(&self) -> Vec<String> {
        ["rule", "matches", "sends-to", "balance"].iter().filter_map(|key| self.value(key)).collect()
    }

    fn value(&self, key: &str) -> Option<String> {
        match key {
            "rule" => Some(explained::printed(&self.0.name)),
            "matches" => Some(explained::matches_words(self.0)),
            "sends-to" => Some(explained::sends_to(self.0)),
            "balance" => Some(self.0.balance.in_words().into()),
            _ => None,
        }
    }
}

columns! {
    /// The columns of rules.
    pub enum RouteColumn {
        Rule = flexible("RULE", 'R', 8, 10).prefers(14),
        Matches = flexible("MATCHES", 'M', 14, 9).prefers(24),
        SendsTo = flexible("SENDS TO", 'S', 12, 8),
        Balance = fixed("BALANCE", 'B', 16, 3),
        Running = fixed("RUNNING", 'U', 7, 5).right().highest_first(),
    }
}

impl RouteRows {
    fn rule(&self, key: u32) -> Option<&RuleRow> {
        self.0.get(key as usize)
    }
}

impl Rows for RouteRows {
    type Key = u32;

    const KIND: ListKind = ListKind::Routes;

    type Column = RouteColumn;

    fn keys<'s>(&'s self, _snapshot: &'s Snapshot) -> Box<dyn Iterator<Item = u32> + 's> {
        Box::new((0u32..).take(self.0.len()))
    }

    // The rules are read as a whole.
    fn changed(&self, _snapshot: &Snapshot, _changed: Changed, _rows: &mut Vec<u32>) {}

    fn shows(&self, _snapshot: &Snapshot, key: u32, order: &Order) -> bool {
        let Some(rule) = self.rule(key) else { return false };
        (!order.faults || rule.shadowed_by.is_some()) && order.filter.passes(&FilterRow(rule))
    }

    fn sort_key(&self, _snapshot: &Snapshot, key: u32, by: RouteColumn) -> SortKey {
        let Some(rule) = self.rule(key) else { return SortKey::Number(0) };
        let text = |text: String| SortKey::Text(text.to_lowercase().into());
        match by {
            // The first rule that fits decides: their order is that of the configuration.
            RouteColumn::Rule => SortKey::Number(i64::from(key)),
            RouteColumn::Matches => text(explained::matches_words(rule)),
            RouteColumn::SendsTo => text(explained::sends_to(rule)),
            RouteColumn::Balance => SortKey::Number(rule.balance as i64),
            RouteColumn::Running => SortKey::Number(i64::from(rule.running)),
        }
    }

    fn row(&self, _canvas: &Canvas<'_>, ctx: &Context, key: u32) -> Row {
        let Some(rule) = self.rule(key) else { return Row::blank() };
        let never = rule.shadowed_by.is_some();
        let role = if never { Role::Doubt } else { Role::Plain };
        Row {
            mark: if never { span(ctx.glyphs().degraded, Role::Warn) } else { span(" ", Role::Plain) },
            cells: RouteColumn::cells(|column| match column {
                RouteColumn::Rule => span(explained::printed(&rule.name), role),
                RouteColumn::Matches => span(explained::matches_words(rule), role),
                RouteColumn::SendsTo => span(explained::sends_to(rule), role),
                RouteColumn::Balance => span(rule.balance.in_words(), Role::Quiet),
                RouteColumn::Running if rule.running == 0 => span(NOTHING, Role::Quiet),
                RouteColumn::Running => span(format::count(rule.running as usize), Role::Plain),
            }),
            marked: false,
        }
    }
}

/// What is explained.
#[derive(Debug)]
enum Subject {
    /// A message that was typed, with the router's answer once it has come.
    Message { words: String, send: Box<Send>, explained: Option<Box<Explanation>> },
    /// The decisions about a job.
    Job { key: JobKey, id: JobId, facts: FactCache },
}

/// A pane of the view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pane {
    Rules,
    Explain,
}

/// The view.
#[derive(Debug)]
pub struct RoutesView {
    list: Listing<RouteRows>,
    /// The revision of the rules; `None` until they have been read.
    revision: Option<u64>,
    /// How often they were read: each time, the message is explained again.
    reads: u64,
    subject: Option<Subject>,
    focus: Pane,
    text: TextState,
    full: bool,
    /// An answer has come that was not drawn yet.
    news: bool,
}

/// The panes as they are drawn.
struct Parts {
    rules: Option<Rect>,
    details: Option<Rect>,
    explain: Option<Rect>,
}

/// The message of a typed text: a JSON object in front is its metadata and a data part, the rest is its text.
///
/// # Errors
/// The text begins like JSON and is none; the error says where.
pub fn message(text: &str) -> Result<Send, String> {
    let text = text.trim();
    let mut json = None;
    let mut rest = text;
    if text.starts_with('{') {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
        match values.next() {
            Some(Ok(_)) => {
                let (object, after) = text.split_at(values.byte_offset());
                json = Some(object);
                rest = after.trim();
            }
            Some(Err(error)) => return Err(format!("not JSON: {error}")),
            None => {}
        }
    }
    let data = json.map(|json| Part { content: Content::Data(Json::new(json)), ..Part::text("") });
    let words = (!rest.is_empty()).then(|| Part::text(rest));
    let parts = words.into_iter().chain(data).collect();
    Ok(Send { metadata: json.map(Json::new), ..Send::to(route::Target::Any, parts) })
}

impl RoutesView {
    /// The rules.
    pub fn new() -> Self {
        Self {
            list: Listing::new(RouteRows::default(), RouteColumn::Rule),
            revision: None,
            reads: 0,
            subject: None,
            focus: Pane::Rules,
            text: TextState::default(),
            full: false,
            news: false,
        }
    }

    /// The rules, and what was decided about a job.
    #[must_use]
    pub fn of_job(mut self, key: JobKey, id: JobId) -> Self {
        self.show(Subject::Job { key, id, facts: FactCache::default() });
        self
    }

    /// Explains a message.
    pub fn explain(&mut self, words: &str, send: Send) {
        self.show(Subject::Message { words: words.trim().to_owned(), send: Box::new(send), explained: None });
    }

    fn show(&mut self, subject: Subject) {
        self.subject = Some(subject);
        self.focus = Pane::Explain;
        self.text = TextState::default();
        // Another message is asked about at once.
        self.reads += 1;
    }

    fn selected(&self) -> Option<&RuleRow> {
        self.list.source.rule(self.list.target()?)
    }

    fn parts(&self, area: Rect) -> Parts {
        let inner = inside(area);
        let split = |height: u16| {
            let top = Rect { height: inner.height - height, ..inner };
            (top, Rect { y: top.bottom(), height, ..inner })
        };
        let details = self.list.state.details && !self.list.rows.is_empty();
        if self.subject.is_none() {
            let below = if details && inner.height >= 10 { (inner.height / 3).clamp(5, 8) } else { 0 };
            let (rules, below) = split(below);
            return Parts { rules: Some(rules), details: (below.height > 0).then_some(below), explain: None };
        }
        if self.full || inner.height < LOW {
            let (rules, explain) = match self.focus {
                Pane::Rules => (Some(inner), None),
                Pane::Explain => (None, Some(inner)),
            };
            return Parts { rules, details: None, explain };
        }
        let rows = u16::try_from(self.list.source.0.len()).unwrap_or(u16::MAX);
        let rules = (rows.saturating_add(1)).clamp(4, inner.height / 3);
        let about = if details && inner.height >= 34 { 6 } else { 0 };
        let (top, explain) = split(inner.height - rules - about);
        let (rules, below) = (Rect { height: rules, ..top }, Rect { y: top.y + rules, height: about, ..top });
        Parts { rules: Some(rules), details: (about > 0).then_some(below), explain: Some(explain) }
    }

    /// The text of the explain pane, inside its frame.
    fn text_area(parts: &Parts, area: Rect) -> Option<Rect> {
        let pane = parts.explain?;
        // Alone, its title is that of the view.
        let own_rule = u16::from(pane.y > area.y + 1);
        Some(Rect {
            x: pane.x + 1,
            y: pane.y + own_rule,
            width: pane.width.saturating_sub(2),
            height: pane.height.saturating_sub(own_rule),
        })
    }

    fn lines(&self, area: Rect) -> usize {
        usize::from(self.parts(area).rules.map_or(0, |rules| rules.height.saturating_sub(1)))
    }

    fn explain_lines(&self, ctx: &Context, width: usize) -> Lines {
        let reading = || vec![vec![span("reading", Role::Doubt)]];
        match &self.subject {
            Some(Subject::Message { explained: Some(explained), .. }) => {
                explained::of_message(ctx, explained, width)
            }
            Some(Subject::Job { id, facts, .. }) => match facts.of(Owner::Job(*id)) {
                Some(facts) => explained::of_job(ctx, facts, width),
                None => reading(),
            },
            Some(Subject::Message { explained: None, .. }) => reading(),
            None => Lines::new(),
        }
    }

    /// The title of the explain pane, and what it is about.
    fn explain_title(&self, ctx: &Context, width: u16) -> (&'static str, Vec<Span>) {
        let room = usize::from(width).saturating_sub(22);
        match &self.subject {
            Some(Subject::Job { key, id, .. }) => {
                let job = ctx.snapshot.jobs.get(*key).filter(|job| job.id == *id);
                let title = job.map(|job| job.title.line().fit(room.saturating_sub(9))).unwrap_or_default();
                ("why", vec![span(format!("job {} {title}", id.short()), Role::Plain)])
            }
            Some(Subject::Message { words, .. }) => (
                "explain",
                vec![span(crate::domain::text::fit(&explained::printed(words), room), Role::Plain)],
            ),
            None => ("explain", Vec::new()),
        }
    }

    fn asks(&self) -> Step {
        let words = match &self.subject {
            Some(Subject::Message { words, .. }) => words.as_str(),
            Some(Subject::Job { .. }) | None => "",
        };
        Step::Type(format!("explain {words}"))
    }

    fn act_on_text(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        let pane = Self::text_area(&self.parts(area), area).unwrap_or_default();
        let lines = self.explain_lines(ctx, usize::from(pane.width));
        if self.text.act(action, &lines, usize::from(pane.height)) {
            return Some(Vec::new());
        }
        match action {
            Action::Back if self.full => self.full = false,
            // The page of a job's decisions is left as it was opened.
            Action::Back if matches!(self.subject, Some(Subject::Message { .. })) => {
                self.subject = None;
                self.focus = Pane::Rules;
            }
            _ => return None,
        }
        Some(Vec::new())
    }
}

impl Default for RoutesView {
    fn default() -> Self {
        Self::new()
    }
}

impl Screen for RoutesView {
    fn word(&self) -> &'static str {
        "routes"
    }

    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool {
        let news = std::mem::take(&mut self.news);
        if news {
            self.list.rebuild();
        }
        let lines = self.lines(area);
        self.list.refresh(&ctx.snapshot, lines) || news
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let parts = self.parts(area);
        let (explain_title, explain_facts) = self.explain_title(ctx, area.width);
        let role =
            |pane| if self.focus == pane && self.subject.is_some() { Role::Title } else { Role::Quiet };
        if let Some(rules) = parts.rules {
            let count = match self.list.source.0.len() {
                1 => "1 rule".to_owned(),
                count => format!("{} rules", format::count(count)),
            };
            let first = match self.revision {
                None => "reading".to_owned(),
                Some(0) => "no rules".to_owned(),
                Some(revision) => format!("{count}, revision {revision:08x}"),
            };
            canvas.rule(area, area.y, Edge::Top, &self.list.title(), &self.list.facts(ctx, first));
            if self.list.rows.is_empty() && self.revision.is_some() {
                let filtered = self.list.state.settings.leaves_out();
                empty(
                    canvas,
                    ctx,
                    rules,
                    filtered,
                    &[
                        "This fleet has no rules of routing.",
                        "[[fleet.NAME.routes]] of the configuration says which agents get which messages; quarterdeck config example shows some.",
                    ],
                );
            } else {
                self.list.draw(canvas, rules, ctx);
            }
        } else {
            let title = [span(format!("routes › {explain_title}"), Role::Title)];
            canvas.rule(area, area.y, Edge::Top, &title, &explain_facts);
        }
        if let (Some(pane), Some(rule)) = (parts.details, self.selected()) {
            let whole = Rect { x: area.x, width: area.width, ..pane };
            let title = span(explained::printed(&rule.name), Role::Title);
            canvas.rule(whole, pane.y, Edge::Middle, &[title], &[]);
            let inner = Rect {
                x: pane.x + 1,
                y: pane.y + 1,
                width: pane.width.saturating_sub(2),
                height: pane.height - 1,
            };
            let lines = explained::of_rule(rule, usize::from(inner.width));
            text::draw(canvas, inner, &lines, &TextState::default());
        }
        if let Some(inner) = Self::text_area(&parts, area) {
            if parts.rules.is_some() {
                let y = inner.y.saturating_sub(1);
                let title = [span(explain_title, role(Pane::Explain))];
                canvas.rule(area, y, Edge::Middle, &title, &explain_facts);
            }
            let lines = self.explain_lines(ctx, usize::from(inner.width));
            text::draw(canvas, inner, &lines, &self.text);
        }
    }

    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        if matches!(action, Action::Explain | Action::EditCopy) {
            return Some(vec![self.asks()]);
        }
        match action {
            Action::NextPane | Action::PrevPane if self.subject.is_some() => {
                self.focus = if self.focus == Pane::Rules { Pane::Explain } else { Pane::Rules };
                return Some(Vec::new());
            }
            Action::FullScreen if self.subject.is_some() => {
                self.full = !self.full;
                return Some(Vec::new());
            }
            _ => {}
        }
        if self.focus == Pane::Explain {
            return self.act_on_text(action, ctx, area);
        }
        if matches!(action, Action::Mark | Action::MarkAll | Action::MarkTo) {
            return None;
        }
        if self.list.act(action, self.lines(area)) {
            return Some(Vec::new());
        }
        match action {
            Action::Open => {
                let rule = self.selected()?;
                let title = format!("routes › {}", explained::printed(&rule.name));
                let lines = explained::of_rule(rule, usize::from(area.width.saturating_sub(4)));
                let page = Destination::RawText { title, lines, target: Target::default() };
                Some(vec![Step::Open(Box::new(page))])
            }
            Action::Back if self.full => {
                self.full = false;
                Some(Vec::new())
            }
            Action::Back => self.list.clear_one().then(Vec::new),
            _ => None,
        }
    }

    fn keys(&self, ctx: &Context) -> Vec<(Action, &'static str)> {
        let asks = if ctx.offers(Action::EditCopy) { Action::EditCopy } else { Action::Explain };
        let mut keys = vec![(asks, "explain a message")];
        if self.subject.is_some() {
            let other = if self.focus == Pane::Rules { "explanation" } else { "rules" };
            keys.extend([(Action::NextPane, other), (Action::FullScreen, "full")]);
        }
        if self.focus == Pane::Rules {
            keys.extend([
                (Action::Open, "the rule"),
                (Action::Filter, "filter"),
                (Action::Faults, "never deciding"),
                (Action::Details, "details"),
            ]);
        } else {
            keys.push((Action::Filter, "search"));
        }
        keys.extend([(Action::Copy, "copy"), (Action::Back, "back")]);
        keys
    }

    fn target(&self, _ctx: &Context) -> Target {
        Target::default()
    }

    fn in_text(&self) -> bool {
        self.focus == Pane::Explain
    }

    fn list(&self) -> Option<&dyn List> {
        Some(&self.list)
    }

    fn list_mut(&mut self) -> Option<&mut dyn List> {
        Some(&mut self.list)
    }

    fn list_area(&self, area: Rect) -> Rect {
        self.parts(area).rules.unwrap_or_default()
    }

    fn click(&mut self, _ctx: &Context, area: Rect, x: u16, y: u16) -> bool {
        let parts = self.parts(area);
        if parts.explain.is_some_and(|pane| pane.contains((x, y).into())) {
            self.focus = Pane::Explain;
            return false;
        }
        let Some(rules) = parts.rules.filter(|rules| rules.contains((x, y).into())) else { return false };
        self.focus = Pane::Rules;
        List::click(&mut self.list, rules, y)
    }

    fn searched(&self) -> String {
        match self.focus {
            Pane::Rules => self.list.state.settings.filter.text().to_owned(),
            Pane::Explain => self.text.search.clone(),
        }
    }

    fn search(&mut self, text: &str, ctx: &Context, area: Rect) -> Option<usize> {
        if self.focus == Pane::Rules {
            self.list.state.settings.filter = Filter::parse(text);
            return None;
        }
        let pane = Self::text_area(&self.parts(area), area).unwrap_or_default();
        let lines = self.explain_lines(ctx, usize::from(pane.width));
        Some(self.text.look_for(text, &lines, usize::from(pane.height)))
    }

    fn queries(&self, ctx: &Context) -> Vec<Subscription> {
        let mut all = vec![Subscription::Ask(Ask {
            name: "rules",
            query: Query::Explain(None),
            refresh: Refresh::Every(EVERY),
        })];
        match &self.subject {
            Some(Subject::Message { send, .. }) => all.push(Subscription::Ask(Ask {
                name: "message",
                query: Query::Explain(Some(send.clone())),
                refresh: Refresh::Version(self.reads),
            })),
            Some(Subject::Job { key, id, .. }) => {
                let seq = ctx.snapshot.jobs.get(*key).map_or(0, |job| job.seq);
                all.push(FactCache::query("decisions", Owner::Job(*id), seq, usize::MAX));
            }
            None => {}
        }
        all
    }

    fn on_answer(&mut self, ask: &Ask, answer: Answer) {
        match (answer, &mut self.subject) {
            (Answer::Explained(rules), _) if ask.query == Query::Explain(None) => {
                self.news |= self.revision.is_none() || *self.list.source.0 != rules.rules;
                self.revision = Some(rules.revision);
                self.reads += 1;
                self.list.source = RouteRows(Arc::new(rules.rules));
            }
            (Answer::Explained(answer), Some(Subject::Message { send, explained, .. }))
                if ask.query == Query::Explain(Some(send.clone())) =>
            {
                self.news |= explained.as_ref() != Some(&answer);
                *explained = Some(answer);
            }
            (answer @ Answer::Facts(_), Some(Subject::Job { facts, .. })) => {
                self.news = true;
                facts.take(ask, answer);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_message_is_json_and_text() {
        for (typed, metadata, parts) in [
            ("charge order 88213", None, 1),
            (r#"{"type":"charge"}"#, Some(r#"{"type":"charge"}"#), 1),
            (
                r#"  {"type":"charge","country":"DE"}   charge it "#,
                Some(r#"{"type":"charge","country":"DE"}"#),
                2,
            ),
        ] {
            let send = message(typed).unwrap();
            let read = send.metadata.as_ref().map(|json| json.0.line().into_string());
            assert_eq!(read.as_deref(), metadata, "{typed}");
            assert_eq!(send.parts.len(), parts, "{typed}");
        }
        assert!(message("{no").unwrap_err().starts_with("not JSON: "));
    }
}
