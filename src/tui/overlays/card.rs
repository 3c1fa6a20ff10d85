//! Confirmation cards: each shows the effect, the affected items, and the equivalent command.
//!
//! A card belongs to fixed ids. Keys pressed before it was drawn, within a quarter of a second after, or held down do
//! not reach it. If an affected item changes while it is open, it asks again.

use std::time::Duration;

use crossterm::event::KeyCode;

use crate::domain::id::{AttemptId, AttemptKey};
use crate::domain::intent::Intent;
use crate::domain::job::{Attempt, Phase};
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::protocol::question::Choice;
use crate::tui::actions::Action;
use crate::tui::cmd::Cmd;
use crate::tui::context::Context;
use crate::tui::keymap::Chord;
use crate::tui::keys::Keys;
use crate::tui::step::{KeyOutcome, Step};
use crate::tui::theme::Role;
use crate::tui::views::inbox::{MAY_HAVE_ARRIVED, uncertain_answer};
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::field::Field;
use crate::tui::widgets::text::wrap;
use crate::tui::{command, layout, states};

/// The time after drawing during which a card ignores keys.
const QUIET: Duration = Duration::from_millis(250);
/// An ignored key counts as held down while it repeats within this time: keyboards start repeating after at most two
/// thirds of a second.
const HELD: Duration = Duration::from_millis(800);
/// The width of a card.
const WIDTH: u16 = 72;

/// The purpose of a card.
#[derive(Clone, Debug)]
pub enum About {
    /// Cancel tasks.
    Cancel,
    /// Send again a message that may not have arrived, or presume it lost.
    Again,
    /// Answer a question that offers choices.
    Answer(Vec<Choice>),
    /// Quit the console.
    Quit,
}

/// An affected item in the state it had when the card was opened.
#[derive(Clone, Debug)]
struct Subject {
    key: AttemptKey,
    id: AttemptId,
    state: String,
    /// The time and text of the question: two questions may have the same text.
    asked: (At, Option<Untrusted>),
}

/// The fields of a bulk card.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Typing {
    Number,
    Why,
}

/// A card.
#[derive(Debug)]
pub struct Card {
    about: About,
    subjects: Vec<Subject>,
    /// Marked, but it cannot be done to them.
    left_out: usize,
    choice: Option<usize>,
    lit: bool,
    seen: Option<At>,
    quiet_until: Option<At>,
    /// The last ignored key and its time.
    unheard: Option<(Chord, At)>,
    changed: Option<String>,
    number: Field,
    why: Field,
    typing: Typing,
    complaint: Option<String>,
}

impl About {
    /// True if it can be done to an attempt now.
    pub fn fits(&self, attempt: &Attempt) -> bool {
        match self {
            Self::Cancel => attempt.task.is_some() && attempt.is_live(),
            Self::Again => attempt.phase == Phase::Uncertain,
            Self::Answer(_) => attempt.task.is_some() && attempt.needs_you(),
            Self::Quit => false,
        }
    }

    /// The reason why the skipped items are skipped, in words.
    fn unfit(&self) -> &'static str {
        match self {
            Self::Cancel => "they have ended, or never became a task",
            Self::Again => "they are known to have arrived",
            Self::Answer(_) => "they have no question",
            Self::Quit => "",
        }
    }

    /// Why it cannot be done to an attempt.
    pub fn why_not(&self, attempt: &Attempt, keys: &Keys) -> String {
        let label = states::attempt(attempt, crate::tui::theme::Theme::plain_glyphs());
        match self {
            Self::Cancel if attempt.task.is_none() => {
                format!("there is no task to cancel: the message is {}", label.word)
            }
            Self::Cancel => format!("it has ended: {}", label.word),
            Self::Again => format!(
                "it is {}; only a message that may not have arrived is sent again. {} sends a copy",
                label.word,
                keys.hint(Action::EditCopy)
            ),
            Self::Answer(_) => format!("it has no question: {}", label.word),
            Self::Quit => String::new(),
        }
    }
}

impl Card {
    /// A card about attempts; those that it does not apply to are skipped and listed.
    pub fn new(ctx: &Context, about: About, keys: &[AttemptKey]) -> Self {
        let rows = keys.iter().filter_map(|key| Some((*key, ctx.snapshot.attempts.get(*key)?)));
        let subjects: Vec<Subject> = rows
            .filter(|(_, attempt)| about.fits(attempt))
            .map(|(key, attempt)| Subject {
                key,
                id: attempt.id,
                state: state_of(attempt),
                asked: asked(attempt),
            })
            .collect();
        Self {
            left_out: keys.len() - subjects.len(),
            about,
            subjects,
            choice: None,
            lit: false,
            seen: None,
            quiet_until: None,
            unheard: None,
            changed: None,
            number: Field::default(),
            why: Field::default(),
            typing: Typing::Number,
            complaint: None,
        }
    }

    /// True if it applies to no item.
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty() && !matches!(self.about, About::Quit)
    }

    /// The card shown before the console ends.
    pub fn quit(ctx: &Context) -> Self {
        Self::new(ctx, About::Quit, &[])
    }

    /// The key hint in the last border.
    pub fn hint(&self) -> &'static str {
        if matches!(self.about, About::Quit) { "esc stay" } else { "esc leave it" }
    }

    fn is_bulk(&self) -> bool {
        self.subjects.len() > 1
    }

    /// It has been on the screen since then.
    pub fn shown(&mut self, at: At) {
        if self.seen.is_none() {
            self.seen = Some(at);
            self.quiet_until = Some(at + QUIET);
        }
    }

    /// The card is no longer visible.
    pub fn hidden(&mut self) {
        self.seen = None;
        self.quiet_until = None;
    }

    /// Applies changes of the snapshot; asks again if an affected item changed.
    pub fn refresh(&mut self, ctx: &Context) -> bool {
        let mut news = None;
        for subject in &mut self.subjects {
            // A card shows the latest state, even while the screen is held.
            let row = ctx.latest.attempts.get(subject.key).filter(|row| row.id == subject.id);
            let state = row.map_or_else(|| "gone".to_owned(), state_of);
            let question = row.map_or((At::ZERO, None), asked);
            if state != subject.state || question != subject.asked {
                subject.asked = question;
                let id = row.and_then(|row| row.task.as_ref()).map(|task| task.id.short());
                news = Some(format!("{} is {state} now", id.unwrap_or_else(|| "it".into())));
                subject.state = state;
            }
        }
        let Some(news) = news else { return false };
        self.changed = Some(news);
        self.seen = None;
        self.quiet_until = None;
        self.lit = false;
        self.choice = None;
        self.number = Field::default();
        true
    }

    /// Those that it can still be done to.
    fn ready<'s>(&'s self, ctx: &'s Context) -> Vec<(&'s Subject, &'s Attempt)> {
        let rows = self.subjects.iter().filter_map(|subject| {
            let row = ctx.latest.attempts.get(subject.key).filter(|row| row.id == subject.id)?;
            Some((subject, row))
        });
        rows.filter(|(_, attempt)| self.about.fits(attempt)).collect()
    }

    /// Takes pasted text; only the reason is text.
    pub fn paste(&mut self, text: &str) -> bool {
        if self.is_bulk() && self.typing == Typing::Why {
            self.why.insert(text);
            return true;
        }
        false
    }

    /// Takes a key.
    pub fn key(&mut self, chord: Chord, at: At, ctx: &Context) -> KeyOutcome {
        // Leaving is always safe and never ignored.
        if chord.code == KeyCode::Esc {
            return KeyOutcome::Closes(Vec::new());
        }
        let held = self.unheard.is_some_and(|(key, last)| key == chord && at.since(last) < HELD);
        if held || self.quiet_until.is_none_or(|until| at < until) {
            self.unheard = Some((chord, at));
            return KeyOutcome::Stays(Vec::new());
        }
        self.unheard = None;
        self.complaint = None;
        if self.is_bulk() {
            return self.bulk_key(chord, ctx);
        }
        match chord.code {
            KeyCode::Char('y') if !chord.ctrl => self.act(ctx),
            KeyCode::Char('q') if matches!(self.about, About::Quit) => KeyOutcome::Closes(Vec::new()),
            KeyCode::Char('c') if !chord.ctrl => {
                let command = self.commands(ctx, 100).join("\n");
                if command.is_empty() {
                    KeyOutcome::Stays(Vec::new())
                } else {
                    KeyOutcome::Stays(vec![Step::Cmd(Cmd::Copy(command))])
                }
            }
            KeyCode::Char('w') if matches!(self.about, About::Answer(_)) => match self.subjects.first() {
                Some(subject) => KeyOutcome::Closes(vec![Step::AnswerInWords(subject.key)]),
                None => KeyOutcome::Closes(Vec::new()),
            },
            KeyCode::Char(digit @ '1'..='9') if !chord.ctrl => {
                let at = usize::try_from(u32::from(digit) - u32::from('1')).unwrap_or(0);
                if at < self.choices().len() {
                    self.choice = Some(at);
                }
                KeyOutcome::Stays(Vec::new())
            }
            KeyCode::Char('j') | KeyCode::Down if !self.choices().is_empty() => {
                let next = self.choice.map_or(0, |at| at + 1);
                self.choice = Some(next.min(self.choices().len() - 1));
                KeyOutcome::Stays(Vec::new())
            }
            KeyCode::Char('k') | KeyCode::Up if !self.choices().is_empty() => {
                self.choice = Some(self.choice.map_or(0, |at| at.saturating_sub(1)));
                KeyOutcome::Stays(Vec::new())
            }
            KeyCode::Tab | KeyCode::BackTab | KeyCode::Left | KeyCode::Right => {
                self.lit = !self.lit;
                KeyOutcome::Stays(Vec::new())
            }
            KeyCode::Enter if self.lit => self.act(ctx),
            KeyCode::Enter => KeyOutcome::Closes(Vec::new()),
            _ => KeyOutcome::Stays(Vec::new()),
        }
    }

    fn bulk_key(&mut self, chord: Chord, ctx: &Context) -> KeyOutcome {
        match chord.code {
            KeyCode::Tab | KeyCode::BackTab | KeyCode::Down | KeyCode::Up => {
                self.typing = if self.typing == Typing::Number { Typing::Why } else { Typing::Number };
                KeyOutcome::Stays(Vec::new())
            }
            KeyCode::Enter => {
                let ready = self.ready(ctx).len();
                if self.number.text().trim() != ready.to_string() {
                    self.complaint = Some(format!("type {ready}, the number of tasks, to do it"));
                } else if ctx.info.protect && self.why.text().trim().is_empty() {
                    self.typing = Typing::Why;
                    self.complaint = Some("production: enter a reason".into());
                } else {
                    return self.act(ctx);
                }
                KeyOutcome::Stays(Vec::new())
            }
            _ => {
                if self.typing == Typing::Why {
                    self.why.key(chord);
                } else if chord.typed().is_none_or(|c| c.is_ascii_digit()) {
                    self.number.key(chord);
                } else if matches!(self.about, About::Again) {
                    // Letters choose here, as digits are the number.
                    match chord.typed() {
                        Some('s') => self.choice = Some(0),
                        Some('l') => self.choice = Some(1),
                        _ => {}
                    }
                }
                KeyOutcome::Stays(Vec::new())
            }
        }
    }

    /// The choices with their meanings.
    fn choices(&self) -> Vec<(String, String)> {
        match &self.about {
            About::Again => vec![
                ("send it again".into(), "same id: agents that check ids drop duplicates".into()),
                ("presume it lost".into(), "nothing is sent, and the job ends".into()),
            ],
            About::Answer(choices) => {
                choices.iter().map(|choice| (choice.label.line().into_string(), String::new())).collect()
            }
            About::Cancel | About::Quit => Vec::new(),
        }
    }

    fn intent(&self, attempt: AttemptId) -> Option<Intent> {
        let why = Some(self.why.text().trim()).filter(|why| !why.is_empty()).map(Untrusted::from);
        Some(match &self.about {
            About::Cancel => Intent::Cancel { attempt, why },
            About::Again => match self.choice? {
                0 => Intent::Resend { attempt, why },
                _ => Intent::PresumeLost { attempt, why },
            },
            About::Answer(choices) => {
                let parts = choices.get(self.choice?)?.parts.clone();
                Intent::Answer { attempt, parts, metadata: None }
            }
            About::Quit => return None,
        })
    }

    fn act(&mut self, ctx: &Context) -> KeyOutcome {
        if matches!(self.about, About::Quit) {
            return KeyOutcome::Closes(vec![Step::Cmd(Cmd::Quit)]);
        }
        if matches!(self.about, About::Answer(_)) && self.changed.is_some() {
            // The choices belong to an earlier question.
            let answer = ctx.key(Action::Answer);
            self.complaint = Some(format!("its question has changed: esc, then {answer}"));
            return KeyOutcome::Stays(Vec::new());
        }
        if !self.choices().is_empty() && self.choice.is_none() {
            self.complaint = Some("choose first".into());
            return KeyOutcome::Stays(Vec::new());
        }
        let ready = self.ready(ctx);
        let steps: Vec<Step> = ready
            .iter()
            .filter_map(|(subject, attempt)| {
                let id =
                    attempt.task.as_ref().map_or_else(|| "the message".to_owned(), |task| task.id.short());
                Some(Step::Cmd(Cmd::Submit(self.intent(subject.id)?, self.words(&id))))
            })
            .collect();
        if steps.is_empty() {
            self.complaint = Some("nothing is left that it applies to".into());
            return KeyOutcome::Stays(Vec::new());
        }
        KeyOutcome::Closes(steps)
    }

    fn words(&self, id: &str) -> String {
        match (&self.about, self.choice) {
            (About::Cancel, _) => format!("cancel of {id} requested"),
            (About::Again, Some(0)) => format!("{id} is sent again"),
            (About::Again, _) => format!("{id} is presumed lost"),
            (About::Answer(_), _) => format!("{id} answered"),
            (About::Quit, _) => String::new(),
        }
    }

    /// The same as commands.
    fn commands(&self, ctx: &Context, most: usize) -> Vec<String> {
        // Two commands are shown, and only as many are copied as an operator would read.
        let ready: Vec<_> = self.ready(ctx).into_iter().take(most).collect();
        let of = |(subject, _): &(&Subject, &Attempt)| {
            let intent = self.intent(subject.id)?;
            Some(command::of_intent(&ctx.latest, &ctx.info.flags, &intent))
        };
        ready.iter().filter_map(of).collect()
    }

    fn title(&self) -> &'static str {
        match &self.about {
            About::Cancel if self.is_bulk() => "cancel tasks",
            About::Cancel => "cancel",
            About::Again => "again",
            About::Answer(_) => "answer",
            About::Quit => "quit",
        }
    }

    /// The effect, in sentences.
    fn what_will_happen(&self, ctx: &Context) -> Vec<String> {
        let ready = self.ready(ctx);
        let name = |attempt: &Attempt| {
            let agent = ctx.latest.agents.get(attempt.agent);
            agent.map(|agent| agent.name.line().into_string()).unwrap_or_default()
        };
        match &self.about {
            About::Cancel => {
                let agents: std::collections::BTreeSet<String> = ready.iter().map(|(_, row)| name(row)).collect();
                let is = if agents.len() == 1 { "is" } else { "are" };
                let who = agents.into_iter().collect::<Vec<_>>().join(", ");
                vec![format!(
                    "{who} {is} asked to cancel {}. Quarterdeck watches until the cancel is confirmed, and raises a problem if the work continues.",
                    if ready.len() == 1 { "it" } else { "them" }
                )]
            }
            About::Again => match self.choice {
                None => vec!["It is unknown whether it arrived. If it did, the work may be done twice, unless the agent checks message ids.".into()],
                Some(0) => vec!["The same message is sent again, with the same id.".into()],
                Some(_) => vec!["Nothing is sent. If it did arrive, it continues at the agent and is found there again.".into()],
            },
            About::Answer(choices) => {
                let chosen = self.choice.and_then(|at| choices.get(at));
                let chosen = chosen.map(|choice| format!("\"{}\" is sent as {}. ", choice.label.line(), ctx.info.operator));
                vec![format!("{}It continues the same task, in the same context.", chosen.unwrap_or_default())]
            }
            About::Quit => leaving(ctx),
        }
    }

    /// Draws it.
    pub fn draw(&self, canvas: &mut Canvas<'_>, ctx: &Context) {
        let width = WIDTH.min(ctx.size.0);
        let inner = usize::from(width.saturating_sub(4));
        let room = usize::from(ctx.size.1.saturating_sub(4));
        let body = self.body(canvas, ctx, inner, room);
        let height = u16::try_from(body.len()).unwrap_or(20) + 2;
        let area = layout::card(ctx, width, height);
        canvas.clear(area);
        let border = if ctx.info.protect { Role::Bad } else { Role::Title };
        let mut facts = Vec::new();
        if !matches!(self.about, About::Quit) {
            let count = self.ready(ctx).len();
            let word = if count == 1 { "task" } else { "tasks" };
            facts.push(span(format!("{count} {word}"), Role::Plain));
        }
        if ctx.info.protect {
            let gap = if facts.is_empty() { "" } else { " · " };
            facts.push(span(format!("{gap}PRODUCTION"), Role::Bad));
        }
        canvas.heavy_rule(area, area.y, Edge::Top, border, &[span(self.title(), Role::Title)], &facts);
        let bottom = area.bottom() - 1;
        canvas.heavy_sides(area, area.y + 1, bottom, border);
        for (at, line) in body.iter().enumerate() {
            let y = area.y + 1 + u16::try_from(at).unwrap_or(0);
            if y >= bottom {
                break;
            }
            match line {
                Line::Rule(title) => {
                    canvas.heavy_rule(area, y, Edge::Middle, border, &[span(*title, Role::Quiet)], &[]);
                }
                Line::Text(spans) => {
                    canvas.put_spans(area.x + 2, y, spans, area.width.saturating_sub(4));
                }
                Line::Field(label, field, focused) => {
                    canvas.put(area.x + 2, y, label, Role::Quiet, 18);
                    let x = area.x + 2 + u16::try_from(label.len()).unwrap_or(0) + 1;
                    canvas.put(
                        x,
                        y,
                        field.text(),
                        if *focused { Role::Accent } else { Role::Plain },
                        area.right().saturating_sub(x + 2),
                    );
                    if *focused {
                        let typed = unicode_width::UnicodeWidthStr::width(field.before_cursor());
                        canvas.type_at(x + u16::try_from(typed).unwrap_or(0), y);
                    }
                }
            }
        }
        canvas.heavy_rule(area, bottom, Edge::Bottom, border, &self.buttons(ctx), &[]);
    }

    fn buttons(&self, ctx: &Context) -> Vec<Span> {
        if self.is_bulk() {
            let count = self.ready(ctx).len();
            return vec![
                span("enter", Role::Key),
                span(format!(", once {count} is typed   "), Role::Plain),
                span("tab", Role::Key),
                span(" next field   ", Role::Plain),
                span("esc", Role::Key),
                span(" leave it", Role::Plain),
            ];
        }
        let lit = |on: bool| if on { Role::Accent } else { Role::Plain };
        let does = if matches!(self.about, About::Quit) { " quit" } else { " do it" };
        let stays = if matches!(self.about, About::Quit) { " stay" } else { " leave it" };
        let mut line = vec![
            span("y", Role::Key),
            span(does, lit(self.lit)),
            span("   esc", Role::Key),
            span(stays, lit(!self.lit)),
        ];
        if !matches!(self.about, About::Quit) {
            line.push(span("   c", Role::Key));
            line.push(span(" copy as command", Role::Plain));
        }
        if matches!(self.about, About::Answer(_)) {
            line.push(span("   w", Role::Key));
            line.push(span(" in words", Role::Plain));
        }
        line
    }

    /// The lines that fit; those needed for the decision are dropped last.
    fn body(&self, canvas: &Canvas<'_>, ctx: &Context, width: usize, room: usize) -> Vec<Line> {
        let mut lines = self.all_lines(canvas, ctx, width);
        while lines.len() > room {
            let Some(weakest) = (0..lines.len()).rev().min_by_key(|at| lines[*at].0) else { break };
            lines.remove(weakest);
        }
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// All lines with their priorities.
    fn all_lines(&self, canvas: &Canvas<'_>, ctx: &Context, width: usize) -> Vec<(u8, Line)> {
        let mut lines = Vec::new();
        let mut text = |keep: u8, text: String, role| {
            lines.extend(
                wrap(&text, width).into_iter().map(|line| (keep, Line::Text(vec![span(line, role)]))),
            );
        };
        if let Some(changed) = &self.changed {
            text(9, format!("{changed}. Look again."), Role::Warn);
        }
        for (at, subject) in self.subjects.iter().take(6).enumerate() {
            let Some(attempt) = ctx.latest.attempts.get(subject.key) else { continue };
            text(if at == 0 { 7 } else { 3 }, subject_line(canvas, ctx, attempt), Role::Plain);
            if let (About::Answer(_), Some(note)) =
                (&self.about, attempt.task.as_ref().and_then(|task| task.note.as_ref()))
            {
                text(6, format!("\"{}\"", note.line()), Role::You);
            }
        }
        let rows = self.ready(ctx);
        if matches!(self.about, About::Answer(_)) && rows.iter().any(|(_, row)| uncertain_answer(row)) {
            text(8, format!("{MAY_HAVE_ARRIVED}."), Role::Warn);
        }
        if self.subjects.len() > 6 {
            text(5, format!("and {} more", self.subjects.len() - 6), Role::Quiet);
        }
        if self.left_out > 0 {
            text(6, format!("{} marked stay as they are: {}", self.left_out, self.about.unfit()), Role::Warn);
        }
        self.push_choices(ctx, &mut lines);
        if self.is_bulk() {
            let count = self.ready(ctx).len();
            lines.push((1, Line::Text(Vec::new())));
            let number = self.typing == Typing::Number;
            lines.push((9, Line::Field(format!("type {count} to do it"), self.number.clone(), number)));
            let why = if ctx.info.protect { "reason (required)" } else { "why" };
            lines.push((9, Line::Field(why.into(), self.why.clone(), !number)));
        }
        let plain = |line, role| Line::Text(vec![span(line, role)]);
        lines.push((4, Line::Rule("what will happen")));
        for sentence in self.what_will_happen(ctx) {
            lines.extend(wrap(&sentence, width).into_iter().map(|line| (5, plain(line, Role::Plain))));
        }
        let commands = self.commands(ctx, 2);
        let more = self.subjects.len().saturating_sub(commands.len());
        if !commands.is_empty() {
            lines.push((2, Line::Rule("the same as a command")));
            for command in commands.iter().take(2) {
                let wrapped = wrap(command, width);
                lines.extend(wrapped.into_iter().take(3).map(|line| (2, plain(line, Role::Quiet))));
            }
            if more > 0 {
                lines.push((2, plain(format!("and {more} more"), Role::Quiet)));
            }
        }
        if let Some(complaint) = &self.complaint {
            lines.push((9, plain(complaint.clone(), Role::Warn)));
        }
        lines
    }

    fn push_choices(&self, ctx: &Context, lines: &mut Vec<(u8, Line)>) {
        let choices = self.choices();
        if choices.is_empty() {
            return;
        }
        lines.push((1, Line::Text(Vec::new())));
        for (at, (label, meaning)) in choices.iter().enumerate() {
            let chosen = self.choice == Some(at);
            let letter = match (self.is_bulk(), at) {
                (true, 0) => "s".to_owned(),
                (true, _) => "l".to_owned(),
                (false, at) => (at + 1).to_string(),
            };
            let line = vec![
                span(if chosen { ctx.glyphs().cursor } else { " " }, Role::You),
                span(format!("{letter} "), Role::Key),
                span(label.clone(), if chosen { Role::Accent } else { Role::Plain }),
                span(format!("   {meaning}"), Role::Quiet),
            ];
            lines.push((9, Line::Text(line)));
        }
    }
}

/// What continues after the console ends.
pub fn leaving(ctx: &Context) -> Vec<String> {
    let live = ctx.latest.task_counts().live;
    if ctx.info.presenter.is_some() {
        let with = match live {
            0 => String::new(),
            1 => ", and its running task with it".to_owned(),
            live => format!(", and its {live} running tasks with it"),
        };
        return vec![format!("The demo fleet ends with this console{with}.")];
    }
    let goes_on = match live {
        0 => "No task runs.".to_owned(),
        1 => "1 task continues at its agent; quitting cancels nothing.".to_owned(),
        live => format!("{live} tasks continue at their agents; quitting cancels nothing."),
    };
    let watching = if ctx.info.own_engine {
        "The fleet is not watched until a console or `quarterdeck serve` runs again; missed changes are read then."
    } else {
        "The engine that this console is attached to continues watching."
    };
    vec![format!("{goes_on} {watching}")]
}

enum Line {
    Rule(&'static str),
    Text(Vec<Span>),
    Field(String, Field, bool),
}

fn asked(attempt: &Attempt) -> (At, Option<Untrusted>) {
    let task = attempt.task.as_ref();
    let asking = task.filter(|_| attempt.needs_you());
    asking.map_or((At::ZERO, None), |task| (task.state_since, task.note.clone()))
}

fn state_of(attempt: &Attempt) -> String {
    states::attempt(attempt, crate::tui::theme::Theme::plain_glyphs()).word
}

/// `77d0 charge order 88213, working on cashier-1 1m46s`
fn subject_line(canvas: &Canvas<'_>, ctx: &Context, attempt: &Attempt) -> String {
    let id = attempt.task.as_ref().map(|task| format!("{} ", task.id.short())).unwrap_or_default();
    let title = ctx.latest.job_of(attempt).map(|job| job.title.line().fit(44)).unwrap_or_default();
    let agent = ctx.latest.agents.get(attempt.agent).map(|agent| agent.name.line().into_string());
    format!(
        "{id}{title}, {} on {} {}",
        state_of(attempt),
        agent.unwrap_or_default(),
        canvas.age(attempt.since().at)
    )
}
