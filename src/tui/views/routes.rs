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
use crate::domain::time::At;
use crate::engine::{Answer, Query};
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::fact_cache::FactCache;
use crate::tui::format;
use crate::tui::queries::{Ask, Refresh, Subscription};
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::about::Lines;
use crate::tui::views::explained;
use crate::tui::views::frame::{empty, inside};
use crate::tui::views::listing::{List, Listing, shows_list};
use crate::tui::views::route_rows::{RouteColumn, RouteRows};
use crate::tui::views::rule_stats::RuleStats;
use crate::tui::views::rules_file::RulesFilePane;
use crate::tui::views::shift_lines;
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::filter::Filter;
use crate::tui::widgets::text;
use crate::tui::widgets::text::TextState;

/// The interval between two reads of the rules while the view is shown.
const EVERY: Duration = Duration::from_secs(2);
/// Below this height one pane is shown at a time.
const LOW: u16 = 18;

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
    File,
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
    /// A file of rules beside those in force.
    file: RulesFilePane,
    file_text: TextState,
    /// Lines of the panes below the rules, as far as they are wanted.
    wanted: Wanted,
    /// When what the rules did was last counted.
    counted: At,
    full: bool,
    /// An answer has come that was not drawn yet.
    news: bool,
}

/// The panes as they are drawn.
struct Parts {
    rules: Option<Rect>,
    details: Option<Rect>,
    explain: Option<Rect>,
    shifts: Option<Rect>,
    file: Option<Rect>,
}

/// Lines of panes below the rules, with their titles.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Wanted {
    details: u16,
    shifts: u16,
    file: u16,
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
            file: RulesFilePane::default(),
            file_text: TextState::default(),
            wanted: Wanted::default(),
            counted: At::ZERO,
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

    /// Compares the rules in force with those of this file.
    pub fn compare(&mut self, file: &str) {
        self.file.compare(file);
        self.file_text = TextState::default();
        self.focus = Pane::File;
        self.news = true;
    }

    fn parts(&self, area: Rect) -> Parts {
        let whole = inside(area);
        let alone = |pane: Pane, at: Pane| (pane == at).then_some(whole);
        if self.full || (self.subject.is_some() && whole.height < LOW) {
            let at = self.focus;
            return Parts {
                rules: alone(Pane::Rules, at),
                details: None,
                explain: alone(Pane::Explain, at),
                shifts: None,
                file: alone(Pane::File, at),
            };
        }
        // From below: the file, the shifts, then what is explained.
        let most = if self.focus == Pane::File { whole.height / 2 } else { whole.height / 3 };
        let split = |from: Rect, height: u16| {
            let height = if height + 4 > from.height { 0 } else { height };
            let top = Rect { height: from.height - height, ..from };
            let below = Rect { y: top.bottom(), height, ..from };
            (top, (height > 1).then_some(below))
        };
        let (inner, file) = split(whole, self.wanted.file.min(most.max(4)));
        let (inner, shifts) = split(inner, self.wanted.shifts.min(whole.height / 3));
        let details = self.list.state.details && !self.list.rows.is_empty();
        if self.subject.is_none() {
            let least = if inner.height >= 10 { 5 } else { 0 };
            let height = self.wanted.details.clamp(least, (inner.height / 2).max(least));
            let (rules, details) = if details && least > 0 { split(inner, height) } else { (inner, None) };
            return Parts { rules: Some(rules), details, explain: None, shifts, file };
        }
        let rows = u16::try_from(self.list.source.rules.len()).unwrap_or(u16::MAX);
        let rules = (rows.saturating_add(1)).clamp(4, (inner.height / 3).max(4));
        let about =
            if details && inner.height >= 34 { self.wanted.details.clamp(6, inner.height / 4) } else { 0 };
        let top = Rect { height: inner.height.saturating_sub(inner.height - rules - about), ..inner };
        let explain = Rect { y: top.bottom(), height: inner.height - top.height, ..inner };
        let (rules, below) = (Rect { height: rules, ..top }, Rect { y: top.y + rules, height: about, ..top });
        let details = (about > 0).then_some(below);
        Parts { rules: Some(rules), details, explain: Some(explain), shifts, file }
    }

    /// The text of a pane below the rules, inside its frame.
    fn text_area(pane: Option<Rect>, area: Rect) -> Option<Rect> {
        let pane = pane?;
        // Alone, its title is that of the view.
        let own_rule = u16::from(pane.y > area.y + 1);
        Some(Rect {
            x: pane.x + 1,
            y: pane.y + own_rule,
            width: pane.width.saturating_sub(2),
            height: pane.height.saturating_sub(own_rule),
        })
    }

    /// The pane with the focus, if it is a text: where it is, and its lines.
    fn focused_text(&self, ctx: &Context, area: Rect) -> (Rect, Lines) {
        let parts = self.parts(area);
        let pane = if self.focus == Pane::File { parts.file } else { parts.explain };
        let pane = Self::text_area(pane, area).unwrap_or_default();
        let width = usize::from(pane.width);
        let lines = match self.focus {
            Pane::File => self.file.lines(ctx, width),
            Pane::Rules | Pane::Explain => self.explain_lines(ctx, width),
        };
        (pane, lines)
    }

    fn focused_state(&mut self) -> &mut TextState {
        if self.focus == Pane::File { &mut self.file_text } else { &mut self.text }
    }

    /// The pane that follows, among those that are shown.
    fn next_pane(&self, back: bool) -> Pane {
        let shown = [
            (Pane::Rules, true),
            (Pane::Explain, self.subject.is_some()),
            (Pane::File, self.file.is_shown()),
        ];
        let shown: Vec<Pane> = shown.into_iter().filter(|(_, shown)| *shown).map(|(pane, _)| pane).collect();
        let at = shown.iter().position(|pane| *pane == self.focus).unwrap_or(0);
        let step = if back { shown.len() - 1 } else { 1 };
        shown[(at + step) % shown.len()]
    }

    /// What stands below the selected rule: all about it, and what it did.
    fn detail_lines(&self, ctx: &Context, rule: &RuleRow, width: usize) -> Lines {
        let mut lines = explained::of_rule(rule, width);
        lines.extend(self.list.source.stats.lines(ctx, &rule.name, width));
        lines
    }

    /// Counts what the rules did, now and then; true if that shows something else.
    fn count(&mut self, ctx: &Context) -> bool {
        if self.counted != At::ZERO && ctx.now.since(self.counted) < EVERY {
            return false;
        }
        self.counted = ctx.now;
        let stats = RuleStats::of(&ctx.snapshot, ctx.snapshot.at);
        if *self.list.source.stats == stats {
            return false;
        }
        self.list.source.stats = Arc::new(stats);
        true
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
        let (pane, lines) = self.focused_text(ctx, area);
        if self.focused_state().act(action, &lines, usize::from(pane.height)) {
            return Some(Vec::new());
        }
        match action {
            Action::Back if self.full => self.full = false,
            Action::Back if self.focus == Pane::File => {
                self.file.leave();
                self.focus = Pane::Rules;
            }
            // The page of a job's decisions is left as it was opened.
            Action::Back if matches!(self.subject, Some(Subject::Message { .. })) => {
                self.subject = None;
                self.focus = Pane::Rules;
            }
            _ => return None,
        }
        Some(Vec::new())
    }

    fn draw_panes(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context, parts: &Parts) {
        let whole = |pane: Rect| Rect { x: area.x, width: area.width, ..pane };
        if let (Some(pane), Some(rule)) = (parts.details, self.selected()) {
            let title = span(explained::printed(&rule.name), Role::Title);
            canvas.rule(whole(pane), pane.y, Edge::Middle, &[title], &[]);
            let inner = Self::text_area(Some(pane), area).unwrap_or_default();
            let lines = self.detail_lines(ctx, rule, usize::from(inner.width));
            text::draw(canvas, inner, &lines, &TextState::default());
        }
        if let (Some(pane), Some(inner)) = (parts.shifts, Self::text_area(parts.shifts, area)) {
            let title = span("work that moves to a successor", Role::Title);
            let key = span(format!("{} changes", ctx.key(Action::Service)), Role::Quiet);
            canvas.rule(whole(pane), pane.y, Edge::Middle, &[title], &[key]);
            let lines = shift_lines::of_fleet(ctx, usize::from(inner.width));
            text::draw(canvas, inner, &lines, &TextState::default());
        }
        if let (Some(pane), Some(inner)) = (parts.file, Self::text_area(parts.file, area)) {
            if parts.rules.is_some() {
                let role = if self.focus == Pane::File { Role::Title } else { Role::Quiet };
                let facts = [span(self.file.facts(), Role::Quiet)];
                canvas.rule(whole(pane), pane.y, Edge::Middle, &[span(self.file.title(), role)], &facts);
            }
            let lines = self.file.lines(ctx, usize::from(inner.width));
            text::draw(canvas, inner, &lines, &self.file_text);
        }
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
        let news = std::mem::take(&mut self.news) | self.count(ctx);
        if news {
            self.list.rebuild();
        }
        let width = usize::from(inside(area).width.saturating_sub(2));
        let rows = |lines: Lines| u16::try_from(lines.len() + 1).unwrap_or(u16::MAX);
        let shifts = shift_lines::of_fleet(ctx, width);
        self.wanted = Wanted {
            details: self.selected().map_or(0, |rule| rows(self.detail_lines(ctx, rule, width))),
            shifts: if shifts.is_empty() { 0 } else { rows(shifts) },
            file: if self.file.is_shown() { rows(self.file.lines(ctx, width)) } else { 0 },
        };
        if self.focus == Pane::File && !self.file.is_shown() {
            self.focus = Pane::Rules;
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
            let count = match self.list.source.rules.len() {
                1 => "1 rule".to_owned(),
                count => format!("{} rules", format::count(count)),
            };
            let first = match self.revision {
                None => "reading".to_owned(),
                Some(0) => "no rules".to_owned(),
                Some(revision) => format!("{count}, revision {revision:08x}"),
            };
            canvas.rule(area, area.y, Edge::Top, &self.list.title(), &self.list.facts(ctx, area, first));
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
        } else if parts.file.is_some() {
            let title = [span(format!("routes › {}", self.file.title()), Role::Title)];
            canvas.rule(area, area.y, Edge::Top, &title, &[span(self.file.facts(), Role::Quiet)]);
        } else {
            let title = [span(format!("routes › {explain_title}"), Role::Title)];
            canvas.rule(area, area.y, Edge::Top, &title, &explain_facts);
        }
        self.draw_panes(canvas, area, ctx, &parts);
        if let Some(inner) = Self::text_area(parts.explain, area) {
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
            Action::NextPane | Action::PrevPane if self.subject.is_some() || self.file.is_shown() => {
                self.focus = self.next_pane(action == Action::PrevPane);
                return Some(Vec::new());
            }
            // Both look only: the journal is read, and nothing is sent.
            Action::Again | Action::Check if self.file.replay(ctx.now) => {
                self.focus = Pane::File;
                self.file_text = TextState::default();
                self.news = true;
                return Some(Vec::new());
            }
            Action::Again => {
                let words =
                    "nothing to replay: the file says what is in force. :routes FILE compares another one";
                return Some(vec![Step::Say(Role::Quiet, words.into())]);
            }
            Action::FullScreen if self.subject.is_some() || self.file.is_shown() => {
                self.full = !self.full;
                return Some(Vec::new());
            }
            _ => {}
        }
        if self.focus != Pane::Rules {
            return self.act_on_text(action, ctx, area);
        }
        if matches!(action, Action::Mark | Action::MarkAll | Action::MarkTo) {
            return None;
        }
        if action == Action::Back && self.full {
            self.full = false;
            return Some(Vec::new());
        }
        if self.list.act(action, self.lines(area)) {
            return Some(Vec::new());
        }
        match action {
            Action::Open => {
                let rule = self.selected()?;
                let title = format!("routes › {}", explained::printed(&rule.name));
                let lines = self.detail_lines(ctx, rule, usize::from(area.width.saturating_sub(4)));
                let page = Destination::RawText { title, lines, target: Target::default() };
                Some(vec![Step::Open(Box::new(page))])
            }
            _ => None,
        }
    }

    fn keys(&self, ctx: &Context) -> Vec<(Action, &'static str)> {
        let asks = if ctx.offers(Action::EditCopy) { Action::EditCopy } else { Action::Explain };
        let mut keys = vec![(asks, "explain a message")];
        if self.subject.is_some() || self.file.is_shown() {
            keys.extend([(Action::NextPane, "next pane"), (Action::FullScreen, "full")]);
        }
        if self.file.is_shown() {
            let again = if ctx.offers(Action::Again) { Action::Again } else { Action::Check };
            keys.push((again, "replay the past"));
        }
        if ctx.offers(Action::Service) {
            keys.push((Action::Service, "move traffic"));
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
        self.focus != Pane::Rules
    }

    shows_list!(list);

    fn list_area(&self, area: Rect) -> Rect {
        self.parts(area).rules.unwrap_or_default()
    }

    fn click(&mut self, _ctx: &Context, area: Rect, x: u16, y: u16) -> bool {
        let parts = self.parts(area);
        if parts.explain.is_some_and(|pane| pane.contains((x, y).into())) {
            self.focus = Pane::Explain;
            return false;
        }
        if parts.file.is_some_and(|pane| pane.contains((x, y).into())) {
            self.focus = Pane::File;
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
            Pane::File => self.file_text.search.clone(),
        }
    }

    fn search(&mut self, text: &str, ctx: &Context, area: Rect) -> Option<usize> {
        if self.focus == Pane::Rules {
            self.list.state.settings.filter = Filter::parse(text);
            return None;
        }
        let (pane, lines) = self.focused_text(ctx, area);
        Some(self.focused_state().look_for(text, &lines, usize::from(pane.height)))
    }

    fn queries(&self, ctx: &Context) -> Vec<Subscription> {
        let mut all = vec![Subscription::Ask(Ask {
            name: "rules",
            query: Query::Explain(None).into(),
            refresh: Refresh::Every(EVERY),
        })];
        match &self.subject {
            Some(Subject::Message { send, .. }) => all.push(Subscription::Ask(Ask {
                name: "message",
                query: Query::Explain(Some(send.clone())).into(),
                refresh: Refresh::Version(self.reads),
            })),
            Some(Subject::Job { key, id, .. }) => {
                let seq = ctx.snapshot.jobs.get(*key).map_or(0, |job| job.seq);
                all.push(FactCache::query("decisions", Owner::Job(*id), seq, usize::MAX));
            }
            None => {}
        }
        all.extend(self.file.queries());
        all
    }

    fn on_answer(&mut self, ask: &Ask, answer: Answer) {
        match (answer, &mut self.subject) {
            (Answer::Explained(rules), _) if ask.query == Query::Explain(None) => {
                self.news |= self.revision.is_none() || *self.list.source.rules != rules.rules;
                self.revision = Some(rules.revision);
                self.reads += 1;
                self.list.source.rules = Arc::new(rules.rules);
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
            (answer @ (Answer::RulesFile(_) | Answer::Replayed(_)), _) => {
                self.news |= self.file.on_answer(ask, answer);
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
