//! The menu of all views and saved views with counts; it also saves the present view and deletes saved ones.

use std::sync::Arc;

use crossterm::event::KeyCode;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::domain::fleet::source::SourceHealth;
use crate::domain::time::At;
use crate::tui::actions::Action;
use crate::tui::cmd::Cmd;
use crate::tui::context::Context;
use crate::tui::keymap::Chord;
use crate::tui::preferences::Change;
use crate::tui::saved_view::SavedView;
use crate::tui::screen::Screen;
use crate::tui::step::{KeyOutcome, Step};
use crate::tui::theme::Role;
use crate::tui::views::lists::counted;
use crate::tui::views::queue::QueueRows;
use crate::tui::widgets::canvas::{Canvas, Edge, span};
use crate::tui::{format, layout};

/// The shortest time between two counts: a filter may examine many rows.
const ANEW: std::time::Duration = std::time::Duration::from_secs(1);
/// Cells of a count.
const COUNT: u16 = 22;

/// The views with keys of their own here.
const VIEWS: [(char, Action); 18] = [
    ('0', Action::ViewNow),
    ('1', Action::ViewFleet),
    ('2', Action::ViewTasks),
    ('3', Action::ViewInbox),
    ('4', Action::ViewProblems),
    ('5', Action::ViewTraces),
    ('7', Action::ViewMetrics),
    ('9', Action::ViewQueue),
    ('r', Action::ViewRoutes),
    ('u', Action::ViewPulse),
    ('w', Action::ViewWire),
    ('l', Action::ViewLogs),
    ('s', Action::ViewSources),
    ('c', Action::ViewCandidates),
    ('g', Action::Group),
    ('a', Action::ViewAudit),
    ('m', Action::ViewMessages),
    ('?', Action::Help),
];

#[derive(Debug)]
enum What {
    View(char, Action),
    Saved(Arc<SavedView>),
}

#[derive(Debug)]
struct Row {
    what: What,
    count: String,
}

/// The menu.
#[derive(Debug)]
pub struct Views {
    rows: Vec<Row>,
    chosen: usize,
    /// The current view in the form in which it would be saved; `None` if it is not a list.
    present: Option<SavedView>,
    /// The saved view that goes if `x` is pressed again.
    goes: Option<String>,
    /// The reason for the last refusal.
    complaint: Option<&'static str>,
    /// The publication that was counted, and when.
    counted: (u64, At),
    /// What waits and what is dead, kept up from changes: among a million jobs it is looked for once.
    queue: QueueRows,
}

impl Views {
    /// The menu of all views, with the current one selected.
    pub fn new(ctx: &Context, present: &dyn Screen) -> Self {
        let views = VIEWS.iter().map(|(key, action)| What::View(*key, *action));
        let saved = ctx.preferences.views.iter().map(|saved| What::Saved(saved.clone()));
        let rows = views.chain(saved).map(|what| Row { what, count: String::new() }).collect();
        let list = present.list();
        let mut menu = Self {
            rows,
            chosen: 0,
            present: list.map(|list| list.as_saved(ctx)),
            goes: None,
            complaint: None,
            counted: (0, At::ZERO),
            queue: QueueRows::default(),
        };
        let here = list.and_then(|list| list.settings().saved.clone());
        let word = present.word();
        let is_here = |row: &Row| match (&row.what, &here) {
            (What::Saved(saved), Some(here)) => saved.name == here.name,
            (What::View(_, action), None) => action.word() == word,
            _ => false,
        };
        menu.chosen = menu.rows.iter().position(is_here).unwrap_or(0);
        menu.count(ctx);
        menu
    }

    fn count(&mut self, ctx: &Context) {
        self.counted = (ctx.snapshot.rev, ctx.now);
        self.queue.sync(&ctx.snapshot);
        for row in &mut self.rows {
            row.count = match &row.what {
                What::View(_, Action::ViewQueue) => self.queue.words(),
                What::View(_, action) => of_view(ctx, *action),
                What::Saved(saved) => {
                    counted(&ctx.snapshot, saved, &self.queue).map(format::count).unwrap_or_default()
                }
            };
        }
    }

    /// Applies changes; true if the display changes.
    pub fn refresh(&mut self, ctx: &Context) -> bool {
        let (rev, at) = self.counted;
        if rev == ctx.snapshot.rev || ctx.now.since(at) < ANEW {
            return false;
        }
        self.count(ctx);
        true
    }

    /// Takes a key.
    pub fn key(&mut self, chord: Chord) -> KeyOutcome {
        let goes = self.goes.take();
        self.complaint = None;
        match (chord.code, chord.ctrl) {
            (KeyCode::Esc, _) if goes.is_some() => {}
            (KeyCode::Esc, _) => return KeyOutcome::Closes(Vec::new()),
            (KeyCode::Down | KeyCode::Char('j'), false) => {
                self.chosen = (self.chosen + 1).min(self.rows.len().saturating_sub(1));
            }
            (KeyCode::Up | KeyCode::Char('k'), false) => self.chosen = self.chosen.saturating_sub(1),
            (KeyCode::Home, _) => self.chosen = 0,
            (KeyCode::End, _) => self.chosen = self.rows.len().saturating_sub(1),
            (KeyCode::Enter, _) => return self.open(self.chosen),
            (KeyCode::Char('s'), true) => match self.present.take() {
                Some(present) => {
                    return KeyOutcome::Closes(vec![Step::SaveView(Box::new(present))]);
                }
                None => self.complaint = Some("this is not a list: only lists can be saved as views"),
            },
            (KeyCode::Char('x') | KeyCode::Delete, false) => {
                match self.rows.get(self.chosen).map(|row| &row.what) {
                    Some(What::Saved(saved)) if !saved.kept => {
                        self.complaint = Some("it is defined in the configuration; delete it there");
                    }
                    Some(What::Saved(saved)) if goes.as_ref() == Some(&saved.name) => {
                        let change = Change::Forget(saved.name.clone());
                        return KeyOutcome::Closes(vec![Step::Cmd(Cmd::Views(change))]);
                    }
                    Some(What::Saved(saved)) => self.goes = Some(saved.name.clone()),
                    _ => self.complaint = Some("only saved views can be deleted"),
                }
            }
            _ => {
                let typed = chord.typed();
                let of = |row: &Row| matches!(row.what, What::View(key, _) if Some(key) == typed);
                if let Some(at) = self.rows.iter().position(of) {
                    return self.open(at);
                }
            }
        }
        KeyOutcome::Stays(Vec::new())
    }

    fn open(&self, at: usize) -> KeyOutcome {
        KeyOutcome::Closes(match self.rows.get(at).map(|row| &row.what) {
            Some(What::View(_, action)) => vec![Step::Act(*action)],
            Some(What::Saved(saved)) => vec![Step::Command(saved.name.clone())],
            None => Vec::new(),
        })
    }

    /// Draws it.
    pub fn draw(&self, canvas: &mut Canvas<'_>, ctx: &Context) {
        let screen = layout::screen(ctx);
        let rows = u16::try_from(self.rows.len()).unwrap_or(u16::MAX);
        let saved = self.rows.iter().any(|row| matches!(row.what, What::Saved(_)));
        // Saved views are separated by an empty line.
        let height = rows.saturating_add(2 + u16::from(saved)).min(screen.height.saturating_sub(1));
        let area = layout::card(ctx, if saved { 76 } else { 56 }, height);
        canvas.clear(area);
        canvas.heavy_rule(area, area.y, Edge::Top, Role::Title, &[span("views", Role::Title)], &[]);
        let bottom = area.bottom().saturating_sub(1);
        canvas.heavy_sides(area, area.y + 1, bottom, Role::Title);
        let lines: Vec<Option<usize>> = (0..self.rows.len())
            .flat_map(|at| [(saved && at == VIEWS.len()).then_some(None), Some(Some(at))])
            .flatten()
            .collect();
        let room = usize::from(bottom.saturating_sub(area.y + 1));
        let lit = lines.iter().position(|line| *line == Some(self.chosen)).unwrap_or(0);
        let from = (lit + 1).saturating_sub(room);
        for (y, line) in (area.y + 1..bottom).zip(lines.iter().skip(from)) {
            let Some(at) = *line else { continue };
            self.row(canvas, area, y, &self.rows[at]);
            if at == self.chosen {
                canvas.select(Rect::new(area.x + 1, y, area.width.saturating_sub(2), 1));
            }
        }
        let foot = match (&self.goes, self.complaint) {
            (Some(name), _) => vec![span(format!("x again deletes {name}   esc keeps it"), Role::You)],
            (None, Some(complaint)) => vec![span(complaint, Role::Warn)],
            (None, None) => {
                let this = if area.width < 50 { " save  " } else { " save this one  " };
                [("enter", " open  "), ("ctrl-s", this), ("x", " delete  "), ("esc", "")]
                    .into_iter()
                    .filter(|(key, _)| *key != "x" || saved)
                    .filter(|(key, _)| *key != "ctrl-s" || self.present.is_some())
                    .flat_map(|(key, word)| [span(key, Role::Key), span(word, Role::Plain)])
                    .collect()
            }
        };
        canvas.heavy_rule(area, bottom, Edge::Bottom, Role::Title, &foot, &[]);
    }

    fn row(&self, canvas: &mut Canvas<'_>, area: Rect, y: u16, row: &Row) {
        let right = area.right().saturating_sub(2);
        let names = self.rows.iter().map(|row| match &row.what {
            What::View(_, action) => action.word().width(),
            What::Saved(saved) => saved.name.width().min(20),
        });
        let at = area.x + 7 + u16::try_from(names.max().unwrap_or(0)).unwrap_or(20);
        let x = area.x + 5;
        match &row.what {
            What::View(key, action) => {
                canvas.put(area.x + 2, y, &key.to_string(), Role::Key, 1);
                canvas.put(x, y, action.word(), Role::Plain, at.saturating_sub(x + 1));
                canvas.put(at, y, &row.count, Role::Quiet, right.saturating_sub(at));
            }
            What::Saved(saved) => {
                canvas.put(x, y, &saved.name, Role::Plain, at.saturating_sub(x + 1));
                let used = canvas.put(at, y, &row.count, Role::Quiet, COUNT.min(right.saturating_sub(at)));
                let summary = at + used.max(8) + 1;
                let place = if saved.kept { "" } else { " · configuration" };
                canvas.put(
                    summary,
                    y,
                    &format!("{}{place}", saved.summary()),
                    Role::Doubt,
                    right.saturating_sub(summary),
                );
            }
        }
    }
}

/// The number of items in a view, in words.
fn of_view(ctx: &Context, action: Action) -> String {
    let snapshot = &ctx.snapshot;
    match action {
        Action::ViewFleet => {
            format!("{} agents", snapshot.agents.iter().filter(|(_, agent)| agent.listed).count())
        }
        Action::ViewTasks => {
            format!("{} live of {}", snapshot.task_counts().live, snapshot.attempts.len())
        }
        Action::ViewInbox => format!("{} need you", snapshot.task_counts().need_you),
        Action::ViewProblems => snapshot.problem_counts().words(),
        Action::ViewNow => "results as callers see them".into(),
        Action::ViewMetrics => format!("last {}", ctx.window.word(&ctx.clocks)),
        Action::ViewRoutes => "which agents get which messages".into(),
        Action::ViewPulse => "agents over time".into(),
        Action::ViewWire => "what was sent and received".into(),
        Action::ViewSources => {
            let failing = |health: SourceHealth| health == SourceHealth::Failing;
            match snapshot.sources.iter().filter(|(_, row)| failing(row.health)).count() {
                0 => format!("{} configured", snapshot.sources.len()),
                failing => format!("{failing} of {} failing", snapshot.sources.len()),
            }
        }
        Action::ViewTraces => "what tasks did across agents".into(),
        Action::ViewLogs => "what agents logged".into(),
        Action::ViewCandidates => "named by other agents' cards".into(),
        Action::Group => "the fleet, by version, region, label".into(),
        Action::ViewAudit => "who did what, and why".into(),
        Action::ViewMessages => format!("{} shown", ctx.messages.len()),
        _ => "every key".into(),
    }
}
