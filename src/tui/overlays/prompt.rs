//! The command line with its palette, and the line that filters or searches.

use std::sync::Arc;

use crossterm::event::KeyCode;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::domain::intent::Intent;
use crate::domain::problem::ProblemAct;
use crate::domain::text::Untrusted;
use crate::domain::time::duration;
use crate::tui::actions::Action;
use crate::tui::cmd::Cmd;
use crate::tui::commands::Entry;
use crate::tui::context::Context;
use crate::tui::destination::Target;
use crate::tui::keymap::Chord;
use crate::tui::overlays::copy;
use crate::tui::preferences::Change;
use crate::tui::preferences_file::unfit_name;
use crate::tui::saved_view::SavedView;
use crate::tui::step::{KeyOutcome, Step, WantsReason};
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, Edge, span};
use crate::tui::widgets::field::Field;
use crate::tui::widgets::text::wrap;
use crate::tui::{command, commands, layout};

/// Lines of the palette.
const LINES: usize = 12;

/// The purpose of the line.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Kind {
    Command,
    /// A filter or search; the text is the previous one.
    Search(String),
    /// Words that an intent is made of.
    Words(Words),
}

/// The purpose of the entered text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Words {
    /// For how long a problem of this number and name is muted, and why.
    Mute(u32, String),
    /// A note about a row, and the name of that.
    Note(Target, String),
    /// The reason of an act, which only a protected fleet wants.
    Why(Box<WantsReason>),
    /// The name of a saved view.
    Save(Box<SavedView>),
    /// The name of a file.
    File(File),
    /// This text, before agents die for a drill.
    Kill(String),
}

impl Words {
    /// A note about a row.
    pub fn note(ctx: &Context, target: Target) -> Self {
        let snapshot = &ctx.latest;
        let problem = target.problem.and_then(|key| snapshot.problems.get(key));
        let attempt = target.attempt.and_then(|key| snapshot.attempts.get(key));
        let agent = target.agent.and_then(|key| snapshot.agents.get(key));
        let name = match (problem, attempt, agent) {
            (Some(problem), ..) => format!("p-{}", problem.number),
            (None, Some(attempt), _) => {
                attempt.task.as_ref().map_or_else(|| "this message".into(), |task| task.id.short())
            }
            (None, None, Some(agent)) => agent.name.line().fit(30),
            (None, None, None) => "the fleet".into(),
        };
        Self::Note(target, name)
    }
}

/// Contents that can be saved to a file, by file extension.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// The suggested name.
    pub name: String,
    /// A report, for `.md`.
    pub report: Option<String>,
    /// Rows, for `.csv` and for `.txt`.
    pub table: Option<Vec<Vec<String>>>,
}

impl File {
    /// The content for a file of this name; the error lists the possible extensions.
    fn content(&self, name: &str) -> Result<String, String> {
        let ending = std::path::Path::new(name).extension().and_then(|ending| ending.to_str());
        match (ending, &self.report, &self.table) {
            (Some("md"), Some(report), _) => Ok(report.clone()),
            (Some("csv"), _, Some(table)) => Ok(copy::as_csv(table)),
            (Some("txt"), _, Some(table)) => Ok(copy::as_text(table)),
            _ => Err(format!("end the name with {}", self.endings())),
        }
    }

    fn endings(&self) -> &'static str {
        match (&self.report, &self.table) {
            (Some(_), Some(_)) => ".md for the report, .csv or .txt for the rows",
            (Some(_), None) => ".md",
            (None, _) => ".csv or .txt",
        }
    }
}

/// An input line in the last border.
#[derive(Debug)]
pub struct Prompt {
    kind: Kind,
    field: Field,
    entries: Vec<Entry>,
    chosen: Option<usize>,
    /// What the search found, or what is wrong with the filter.
    found: Option<Found>,
    /// The text is that of the last search, and the first letter replaces it.
    is_old: bool,
}

/// The result of a search, told beside the line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// Lines of a text that match.
    Lines(usize),
    /// The filter names no column of the list; the text lists those that it has.
    NoColumn(String),
}

impl Found {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::Lines(0) => "nothing matches".into(),
            Self::Lines(1) => "1 line matches".into(),
            Self::Lines(lines) => format!("{lines} lines match"),
            Self::NoColumn(why) => why.clone(),
        }
    }

    /// True if it finds nothing.
    pub fn is_nothing(&self) -> bool {
        !matches!(self, Self::Lines(1..))
    }
}

/// The width of the card of an act.
const CARD: u16 = 90;

impl Prompt {
    fn new(kind: Kind, field: Field) -> Self {
        Self { kind, field, entries: Vec::new(), chosen: None, found: None, is_old: false }
    }

    /// A command.
    pub fn command(ctx: &Context) -> Self {
        Self::command_with(ctx, "")
    }

    /// The same with words that are typed already.
    pub fn command_with(ctx: &Context, words: &str) -> Self {
        let words = words.trim_start_matches(':');
        let mut prompt = Self::new(Kind::Command, Field::new(words));
        prompt.complete(ctx);
        prompt
    }

    /// A filter or search line.
    pub fn search(before: String) -> Self {
        let field = Field::new(before.clone());
        let is_old = !before.is_empty();
        Self { is_old, ..Self::new(Kind::Search(before), field) }
    }

    /// Lists what fits, and lights the first row if it is what is meant.
    fn complete(&mut self, ctx: &Context) {
        self.entries = commands::complete(ctx, self.field.text(), LINES);
        self.chosen = self.entries.first().filter(|entry| entry.meant).map(|_| 0);
    }

    /// What the search found.
    pub fn tell(&mut self, found: Option<Found>) {
        self.found = found;
    }

    /// Words that an intent is made of.
    pub fn words(words: Words) -> Self {
        let begin = match &words {
            Words::Mute(..) => "2h ".to_owned(),
            Words::Note(..) | Words::Kill(_) | Words::Why(_) => String::new(),
            Words::Save(view) => view.name.clone(),
            Words::File(file) => file.name.clone(),
        };
        Self::new(Kind::Words(words), Field::new(begin))
    }

    /// The steps for the entered text, or what is missing in it.
    fn done(&self, words: &Words, ctx: &Context) -> Result<Step, String> {
        match words {
            Words::Kill(expected) if self.field.text().trim() != expected => {
                Err(format!("type {expected}, and they die for real"))
            }
            Words::Kill(_) => Ok(Step::Kill),
            words => self.command_of(words, ctx).map(Step::Cmd),
        }
    }

    fn command_of(&self, words: &Words, ctx: &Context) -> Result<Cmd, String> {
        let by = Untrusted::from(ctx.info.operator.as_str());
        let text = self.field.text().trim();
        match words {
            Words::Mute(number, name) => {
                let (time, why) = text.split_once(' ').unwrap_or((text, ""));
                let (for_, time) = (time, duration(time)?);
                if why.trim().is_empty() {
                    return Err("add a reason after the time: 2h known, its owner is on it".into());
                }
                let act = ProblemAct::Mute { time, why: why.trim().into() };
                let intent = Intent::OnProblem { number: *number, act, by };
                let done = format!("{name} is muted for {for_}; {} unmutes it", ctx.key(Action::Undo));
                Ok(Cmd::Submit(intent, done))
            }
            Words::Note(..) if text.is_empty() => Err("write a note for the next shift".into()),
            Words::Note(target, name) => {
                let snapshot = &ctx.latest;
                let problem = target.problem.and_then(|key| snapshot.problems.get(key)).map(|row| row.number);
                let attempt = target.attempt.filter(|_| problem.is_none());
                let attempt = attempt.and_then(|key| snapshot.attempts.get(key)).map(|row| row.id);
                let agent = target.agent.filter(|_| problem.is_none() && attempt.is_none());
                let agent = agent.and_then(|key| snapshot.agents.get(key)).map(|row| row.id);
                let intent = Intent::Note { problem, agent, attempt, by, text: text.into() };
                let undo = ctx.key(Action::Undo);
                let done = format!("noted on {name}, for the handover; {undo} takes it back");
                Ok(Cmd::Submit(intent, done))
            }
            Words::Kill(expected) => Err(format!("type {expected}")),
            Words::Why(_) if text.is_empty() && ctx.info.protect => Err("production: enter a reason".into()),
            Words::Why(asked) if text.is_empty() => Ok(Cmd::Submit(asked.intent.clone(), asked.done.clone())),
            Words::Why(asked) => {
                Ok(Cmd::Submit(asked.intent.clone().because(text.into()), asked.done.clone()))
            }
            Words::File(_) if text.is_empty() => Err("write the name of a file".into()),
            Words::File(file) => Ok(Cmd::Save(text.to_owned(), file.content(text)?)),
            Words::Save(view) => {
                if let Some(what) = unfit_name(text) {
                    return Err(what);
                }
                if ctx.preferences.view(text).is_some_and(|view| !view.kept) {
                    return Err(format!("{text} is defined in the configuration; choose another name"));
                }
                let view = SavedView { name: text.to_owned(), ..SavedView::clone(view) };
                Ok(Cmd::Views(Change::Keep(Arc::new(view))))
            }
        }
    }

    fn changed(&mut self, ctx: &Context) -> KeyOutcome {
        match self.kind {
            Kind::Command => {
                self.complete(ctx);
                KeyOutcome::Stays(Vec::new())
            }
            Kind::Search(_) => KeyOutcome::Searches(self.field.text().to_owned()),
            Kind::Words(_) => KeyOutcome::Stays(Vec::new()),
        }
    }

    /// Takes a key; every printable one is text.
    pub fn key(&mut self, chord: Chord, ctx: &Context) -> KeyOutcome {
        match (chord.code, chord.ctrl) {
            (KeyCode::Esc, _) => match &self.kind {
                Kind::Command | Kind::Words(_) => KeyOutcome::Closes(Vec::new()),
                Kind::Search(before) => KeyOutcome::Closes(vec![Step::Search(before.clone())]),
            },
            (KeyCode::Backspace, false) if self.field.text().is_empty() => KeyOutcome::Closes(Vec::new()),
            (KeyCode::Enter, _) => match &self.kind {
                Kind::Command => {
                    let entry = self.chosen.and_then(|at| self.entries.get(at));
                    let words =
                        entry.map_or_else(|| self.field.text().to_owned(), |entry| entry.text.clone());
                    // A command that needs arguments waits for them.
                    if commands::needs_arguments(&words) {
                        self.field.set(format!("{} ", words.split(' ').next().unwrap_or_default()));
                        return self.changed(ctx);
                    }
                    if words.trim().is_empty() {
                        return KeyOutcome::Closes(Vec::new());
                    }
                    KeyOutcome::Closes(vec![Step::Command(words)])
                }
                Kind::Search(_) => {
                    let nothing = self.found.as_ref().filter(|found| found.is_nothing());
                    let nothing = nothing.filter(|_| !self.field.text().trim().is_empty());
                    let say = nothing.map(|found| Step::Say(Role::Warn, found.words()));
                    KeyOutcome::Closes(say.into_iter().collect())
                }
                Kind::Words(words) => match self.done(words, ctx) {
                    Ok(step) => KeyOutcome::Closes(vec![step]),
                    Err(missing) => KeyOutcome::Stays(vec![Step::Say(Role::Warn, missing)]),
                },
            },
            (KeyCode::Down, _) | (KeyCode::Char('n'), true) if !self.entries.is_empty() => {
                let next = self.chosen.map_or(0, |at| at + 1);
                self.chosen = Some(next.min(self.entries.len() - 1));
                KeyOutcome::Stays(Vec::new())
            }
            (KeyCode::Up, _) | (KeyCode::Char('p'), true) if !self.entries.is_empty() => {
                self.chosen = self.chosen.and_then(|at| at.checked_sub(1));
                KeyOutcome::Stays(Vec::new())
            }
            (KeyCode::Tab, _) if !self.entries.is_empty() => {
                let text = self.entries[self.chosen.unwrap_or(0)].text.clone();
                if commands::needs_arguments(&text) {
                    self.field.set(format!("{} ", text.split(' ').next().unwrap_or_default()));
                } else {
                    self.field.set(text);
                }
                self.changed(ctx)
            }
            _ => {
                let is_old = std::mem::take(&mut self.is_old);
                if is_old && matches!(chord.code, KeyCode::Char(_)) && !chord.ctrl && !chord.alt {
                    self.field.set(String::new());
                }
                if self.field.key(chord) { self.changed(ctx) } else { KeyOutcome::Stays(Vec::new()) }
            }
        }
    }

    /// Inserts pasted text; nothing in it is executed.
    pub fn paste(&mut self, text: &str, ctx: &Context) {
        if std::mem::take(&mut self.is_old) {
            self.field.set(String::new());
        }
        self.field.insert(text.trim());
        let _searched_with_the_next_key = self.changed(ctx);
    }

    /// The current text.
    pub fn text(&self) -> Option<&str> {
        matches!(self.kind, Kind::Search(_)).then(|| self.field.text())
    }

    /// How many lines it takes, with the palette above it.
    pub fn lines(&self) -> usize {
        match &self.kind {
            Kind::Words(Words::Why(_)) => 2,
            _ if self.entries.is_empty() => 1,
            _ => self.entries.len() + 2,
        }
    }

    /// Draws the line over the last border, and the palette above it.
    pub fn draw(&self, canvas: &mut Canvas<'_>, ctx: &Context) {
        let screen = layout::screen(ctx);
        let y = screen.bottom().saturating_sub(1);
        let line = Rect::new(0, y, screen.width, 1);
        canvas.clear(line);
        let sign = match &self.kind {
            Kind::Command => ":".to_owned(),
            Kind::Search(_) => "/".to_owned(),
            Kind::Words(Words::Mute(number, _)) => format!("mute p-{number}: "),
            Kind::Words(Words::Note(_, name)) => format!("note on {name}: "),
            Kind::Words(Words::Why(asked)) if ctx.info.protect => format!("PRODUCTION, why {}: ", asked.name),
            Kind::Words(Words::Why(asked)) => format!("why {}: ", asked.name),
            Kind::Words(Words::Save(_)) => "save this view as: ".to_owned(),
            Kind::Words(Words::File(_)) => "save to: ".to_owned(),
            Kind::Words(Words::Kill(expected)) => format!("type {expected} to let it die: "),
        };
        let wide = u16::try_from(sign.width()).unwrap_or(1);
        canvas.put(1, y, &sign, Role::Key, wide);
        let room = screen.width.saturating_sub(wide + 3);
        let before = self.field.before_cursor().width();
        // Text that does not fit is cut on the left.
        let skip = before.saturating_sub(usize::from(room.saturating_sub(1)));
        let shown: String = self.field.text().chars().skip(skip).collect();
        canvas.put(1 + wide, y, &shown, if self.is_old { Role::Quiet } else { Role::Plain }, room);
        let cursor = u16::try_from(before - skip).unwrap_or(0);
        canvas.type_at(1 + wide + cursor, y);
        let hint = match &self.kind {
            Kind::Command if self.chosen.is_some() => "enter run the lit row   tab complete   esc close",
            Kind::Command => "enter run   tab complete   esc close",
            Kind::Words(Words::Mute(..)) => "enter mute   esc leave it   for how long, then why",
            Kind::Words(Words::Note(..)) => "enter keep   esc leave it",
            Kind::Words(Words::Why(_)) if !ctx.info.protect => "enter do it, with or without   esc leave it",
            Kind::Words(Words::Why(_)) => "enter do it   esc leave it",
            Kind::Words(Words::Save(_)) => "enter save   esc leave it",
            Kind::Words(Words::Kill(_)) => "enter do it   esc leave it   only on a demo fleet",
            Kind::Words(Words::File(file)) if file.report.is_none() => {
                "enter save   esc leave it   .csv or .txt"
            }
            Kind::Words(Words::File(_)) => "enter save   esc leave it   .md, .csv or .txt",
            Kind::Search(_) => "enter keep   esc as before   ! not   ~ near   key=value",
        };
        let found = self.found.as_ref().filter(|_| !self.field.text().is_empty());
        let (hint, role) = match found {
            Some(found) => (found.words(), if found.is_nothing() { Role::Warn } else { Role::Quiet }),
            None => (hint.to_owned(), Role::Quiet),
        };
        let used = 3 + wide + u16::try_from(shown.width()).unwrap_or(0);
        let room = screen.width.saturating_sub(used + 3);
        // A result is told as far as it fits; hints only in full.
        if let Kind::Words(Words::Why(asked)) = &self.kind {
            draw_act(canvas, ctx, asked, &hint);
        } else if found.is_some() && room > 0 || usize::from(room) > hint.width() {
            canvas.put_right(screen.width - 1, y, &hint, role, room);
        }
        if self.entries.is_empty() {
            return;
        }
        let rows = u16::try_from(self.entries.len()).unwrap_or(0).min(screen.height.saturating_sub(5));
        let area = Rect::new(0, y.saturating_sub(rows + 1), screen.width.min(120), rows + 1);
        canvas.clear(area);
        canvas.rule(area, area.y, Edge::Top, &[span("commands", Role::Title)], &[]);
        canvas.sides(area, area.y + 1, area.bottom());
        for (at, entry) in self.entries.iter().take(usize::from(rows)).enumerate() {
            let y = area.y + 1 + u16::try_from(at).unwrap_or(0);
            // A narrow palette leaves out the keys.
            let (key, doc) = if area.width < 64 { (21, 21) } else { (25, 36) };
            canvas.put(area.x + 2, y, &entry.text, Role::Key, key - 3);
            canvas.put(area.x + key, y, &entry.key, Role::Quiet, doc - key);
            canvas.put(area.x + doc, y, &entry.doc, Role::Plain, area.width.saturating_sub(doc + 2));
            if self.chosen == Some(at) {
                canvas.select(Rect::new(area.x + 1, y, area.width.saturating_sub(2), 1));
            }
        }
    }
}

/// The card of an act above the line in which its reason is typed: what will happen, and the same as a command.
fn draw_act(canvas: &mut Canvas<'_>, ctx: &Context, asked: &WantsReason, hint: &str) {
    let (width, height) = ctx.size;
    let width = width.min(CARD);
    let room = usize::from(width.saturating_sub(4));
    let command = command::of_intent(&ctx.snapshot, &ctx.info.flags, &asked.intent);
    let happens = wrap(&asked.done, room).into_iter().map(|line| (line, Role::Plain));
    let command = wrap(&command, room).into_iter().map(|line| (line, Role::Quiet));
    let lines: Vec<(String, Role)> =
        happens.chain(command).take(usize::from(height.saturating_sub(4))).collect();
    let rows = u16::try_from(lines.len()).unwrap_or(0);
    let area = Rect::new(0, height.saturating_sub(rows + 3), width, rows + 2);
    canvas.clear(area);
    let role = if ctx.info.protect { Role::Bad } else { Role::Title };
    let fleet = if ctx.info.protect { "PRODUCTION" } else { "" };
    let facts = [span(fleet, Role::Bad)];
    canvas.heavy_rule(area, area.y, Edge::Top, role, &[span(asked.name.clone(), Role::Title)], &facts);
    canvas.heavy_sides(area, area.y + 1, area.bottom() - 1, role);
    for (y, (line, role)) in (area.y + 1..).zip(lines) {
        canvas.put(area.x + 2, y, &line, role, width.saturating_sub(4));
    }
    canvas.heavy_rule(area, area.bottom() - 1, Edge::Bottom, role, &[span(hint, Role::Quiet)], &[]);
}
