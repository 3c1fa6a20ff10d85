//! Confirmation cards: each shows the effect, the affected items, and the equivalent command.
//!
//! A card belongs to fixed ids. Keys pressed before it was drawn, within a quarter of a second after, or held down do
//! not reach it. If what it would do changes while it is open, it asks again (`changes.rs`).

mod becomes;
mod changes;
mod delegated;
mod draw;
mod pick;
mod plan;
mod requeue;
pub mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crossterm::event::KeyCode;

use crate::domain::agent::Agent;
use crate::domain::id::{AttemptId, AttemptKey, JobId, JobKey};
use crate::domain::intent::Intent;
use crate::domain::job::Attempt;
use crate::domain::job::carry::{Carry, CarryContext, CarryHistory};
use crate::domain::job::task::CancelMark;
use crate::domain::rehearsal::plan::Plan;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::protocol::question::Choice;
use crate::tui::actions::Action;
use crate::tui::again::{self, Again};
use crate::tui::bulk::Source;
use crate::tui::cmd::Cmd;
use crate::tui::context::Context;
use crate::tui::keymap::Chord;
use crate::tui::overlays::card::pick::Pick;
use crate::tui::states;
use crate::tui::step::{KeyOutcome, Step};
use crate::tui::widgets::field::Field;

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
    /// Cancel tasks, and unless the operator chooses otherwise what they delegated.
    Cancel,
    /// Cancel what an ended task delegated.
    Orphans,
    /// Send something again, or move it.
    Again(Again),
    /// Try dead letters again of which no attempt was made.
    Requeue,
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
    /// The card applies to it.
    is_meant: bool,
    /// How far a cancel of it is.
    cancel: Option<CancelMark>,
    /// One of many that has ended since, or to which it no longer applies: it is skipped from then on.
    left: bool,
}

/// The fields of a bulk card.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Typing {
    Number,
    Why,
}

/// What a card about many said when it was read: changes of the snapshot do not change it.
#[derive(Debug, Default)]
struct Said {
    /// The number of tasks when it was opened.
    opened: usize,
    /// The number once the engine had said which of them stay, and those.
    planned: Option<(usize, BTreeSet<AttemptId>)>,
}

/// A card.
#[derive(Debug)]
pub struct Card {
    about: About,
    subjects: Vec<Subject>,
    /// Dead letters of which no attempt was made, which are tried again like the subjects.
    unsent: Vec<(JobKey, JobId)>,
    /// Marked, but it cannot be done to them.
    left_out: usize,
    choice: Option<usize>,
    /// What was chosen, where something is sent again: its place may change.
    act: Option<again::Act>,
    /// What it said when it was read.
    said: Said,
    /// True if something changed since `looked`.
    is_stale: bool,
    /// When it last looked for what was delegated meanwhile, and how many attempts there were.
    looked: At,
    attempts: usize,
    lit: bool,
    seen: Option<At>,
    quiet_until: Option<At>,
    /// The last ignored key and its time.
    unheard: Option<(Chord, At)>,
    changed: Option<String>,
    number: Field,
    why: Field,
    typing: Typing,
    /// True while the reason of a card about one thing is typed.
    explains: bool,
    /// The agent that a new attempt goes to.
    pick: Pick,
    /// What it takes along from the earlier one.
    carry: Carry,
    /// Where its tasks come from.
    source: Source,
    /// The live tasks that its tasks delegated.
    with: BTreeMap<AttemptKey, Vec<AttemptKey>>,
    /// A cancel is meant for those too.
    cascade: bool,
    /// What the engine said would become of these acts.
    planned: Option<(Vec<Intent>, Plan)>,
    /// Counts the changes after which the engine is asked again.
    version: u64,
    complaint: Option<String>,
}

impl About {
    /// True if it can be done to an attempt now.
    pub fn fits(&self, snapshot: &Snapshot, attempt: &Attempt) -> bool {
        match self {
            Self::Cancel => attempt.task.is_some() && attempt.is_live(),
            Self::Orphans => attempt.task.is_some() && !attempt.is_live(),
            Self::Again(again) => Again::of(snapshot, attempt) == Ok(*again),
            Self::Answer(_) => attempt.awaits_answer(),
            Self::Requeue | Self::Quit => false,
        }
    }

    /// The reason why the skipped items are skipped, in words.
    fn unfit(&self) -> &'static str {
        match self {
            Self::Cancel | Self::Orphans => "they have ended, or never became a task",
            Self::Again(again) => again.unfit(),
            Self::Answer(_) => "they have no question",
            Self::Requeue => "they wait, or ended with a result",
            Self::Quit => "",
        }
    }

    /// Why it cannot be done to an attempt.
    pub fn why_not(&self, attempt: &Attempt) -> String {
        let label = states::attempt(attempt, crate::tui::theme::Theme::plain_glyphs());
        match self {
            Self::Cancel if attempt.task.is_none() => {
                format!("there is no task to cancel: the message is {}", label.word)
            }
            Self::Cancel | Self::Orphans => format!("it has ended: {}", label.word),
            Self::Again(_) => format!("it is {} now", label.word),
            Self::Answer(_) => format!("it has no question: {}", label.word),
            Self::Requeue | Self::Quit => String::new(),
        }
    }
}

impl Card {
    /// A card about attempts; those that it does not apply to are skipped and listed.
    pub fn new(ctx: &Context, about: About, keys: &[AttemptKey]) -> Self {
        let rows = keys.iter().filter_map(|key| Some((*key, ctx.snapshot.attempts.get(*key)?)));
        let subjects: Vec<Subject> = rows
            .filter(|(_, attempt)| about.fits(&ctx.snapshot, attempt))
            .map(|(key, attempt)| Subject {
                key,
                id: attempt.id,
                state: state_of(attempt),
                asked: asked(attempt),
                is_meant: true,
                cancel: attempt.task.as_ref().and_then(|task| task.cancel),
                left: false,
            })
            .collect();
        let with = match about {
            About::Cancel | About::Orphans | About::Again(Again::Live) => delegated::of(&ctx.latest, keys),
            About::Again(_) | About::Requeue | About::Answer(_) | About::Quit => BTreeMap::new(),
        };
        Self {
            source: Source::Rows,
            with,
            cascade: true,
            planned: None,
            version: 0,
            left_out: keys.len() - subjects.len(),
            said: Said { opened: subjects.len(), planned: None },
            is_stale: false,
            looked: ctx.latest.at,
            attempts: ctx.latest.attempts.len(),
            act: None,
            about,
            subjects,
            unsent: Vec::new(),
            choice: None,
            lit: false,
            seen: None,
            quiet_until: None,
            unheard: None,
            changed: None,
            number: Field::default(),
            why: Field::default(),
            typing: Typing::Number,
            explains: false,
            pick: Pick::default(),
            carry: Carry::default(),
            complaint: None,
        }
    }

    /// The same, where its tasks are all of an agent or of a problem.
    #[must_use]
    pub fn from(self, source: Source) -> Self {
        Self { source, ..self }
    }

    /// True if anything is alive that its tasks delegated.
    pub fn has_delegated(&self, snapshot: &Snapshot) -> bool {
        !self.live_delegated(snapshot).is_empty()
    }

    /// True if it applies to no item.
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty() && self.unsent.is_empty() && !matches!(self.about, About::Quit)
    }

    /// The card shown before the console ends.
    pub fn quit(ctx: &Context) -> Self {
        Self::new(ctx, About::Quit, &[])
    }

    /// The key hint in the last border.
    pub fn hint(&self) -> &'static str {
        if matches!(self.about, About::Quit) { "esc stay" } else { "esc leave it" }
    }

    /// True if its acts take a reason.
    fn takes_reason(&self) -> bool {
        matches!(self.about, About::Cancel | About::Again(_))
    }

    fn is_bulk(&self) -> bool {
        self.subjects.len() + self.unsent.len() > 1
    }

    /// How many items it can still be done to.
    fn count(&self, ctx: &Context) -> usize {
        self.doable(ctx).len() + self.dead_letters(ctx).len()
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

    /// Those that it can still be done to.
    fn ready<'s>(&'s self, ctx: &'s Context) -> Vec<(&'s Subject, &'s Attempt)> {
        let rows = self.subjects.iter().filter_map(|subject| {
            let row = ctx.latest.attempts.get(subject.key).filter(|row| row.id == subject.id)?;
            Some((subject, row))
        });
        rows.filter(|(subject, attempt)| !subject.left && self.about.fits(&ctx.latest, attempt)).collect()
    }

    /// Takes pasted text; only the reason and the name of an agent are text.
    pub fn paste(&mut self, text: &str) -> bool {
        if self.pick.is_open {
            self.pick.field.insert(text.trim());
            return true;
        }
        if self.explains || self.is_bulk() && self.typing == Typing::Why {
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
        if self.pick.is_open {
            let offered = self.offered(ctx);
            let mut pick = std::mem::take(&mut self.pick);
            pick.key(chord, &offered);
            self.pick = pick;
            return KeyOutcome::Stays(Vec::new());
        }
        if self.is_bulk() {
            return self.bulk_key(chord, ctx);
        }
        if self.explains {
            self.explains = !matches!(chord.code, KeyCode::Enter | KeyCode::Tab);
            if self.explains {
                self.why.key(chord);
            }
            return KeyOutcome::Stays(Vec::new());
        }
        match chord.code {
            KeyCode::Char('y') if !chord.ctrl => self.act(ctx),
            KeyCode::Char('d') if !chord.ctrl && self.may_cascade(ctx) => {
                self.cascade = !self.cascade;
                KeyOutcome::Stays(Vec::new())
            }
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
            KeyCode::Char(letter @ ('x' | 'h')) if !chord.ctrl && self.can_carry(ctx) => {
                self.change_carry(letter);
                KeyOutcome::Stays(Vec::new())
            }
            KeyCode::Char('w') if self.takes_reason() && !chord.ctrl => {
                self.explains = true;
                KeyOutcome::Stays(Vec::new())
            }
            KeyCode::Char(digit @ '1'..='9') if !chord.ctrl => {
                let at = usize::try_from(u32::from(digit) - u32::from('1')).unwrap_or(0);
                if at < self.choices(ctx).len() {
                    self.choose(at, ctx);
                }
                KeyOutcome::Stays(Vec::new())
            }
            KeyCode::Char('j') | KeyCode::Down if !self.choices(ctx).is_empty() => {
                let next = self.choice.map_or(0, |at| at + 1);
                self.light(next.min(self.choices(ctx).len() - 1), ctx);
                KeyOutcome::Stays(Vec::new())
            }
            KeyCode::Char('k') | KeyCode::Up if !self.choices(ctx).is_empty() => {
                self.light(self.choice.map_or(0, |at| at.saturating_sub(1)), ctx);
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
                let number = self.number_to_type(ctx);
                if self.number.text().trim() != number.to_string() {
                    let of = if self.unsent.is_empty() { "tasks" } else { "jobs" };
                    self.complaint = Some(format!("type {number}, the number of {of}, to do it"));
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
                } else if chord.typed() == Some('d') && self.may_cascade(ctx) {
                    self.cascade = !self.cascade;
                } else if let Some(letter) = chord.typed() {
                    // Letters choose here, as digits are the number.
                    if matches!(letter, 'x' | 'h') && self.can_carry(ctx) {
                        self.change_carry(letter);
                    } else if let Some(at) = self.again(ctx).iter().position(|choice| choice.letter == letter)
                    {
                        self.choose(at, ctx);
                    }
                }
                KeyOutcome::Stays(Vec::new())
            }
        }
    }

    /// True if the operator chooses whether a cancel is meant for what was delegated too.
    fn may_cascade(&self, ctx: &Context) -> bool {
        matches!(self.about, About::Cancel) && self.has_delegated(&ctx.latest)
    }

    /// The choices with their meanings.
    fn choices(&self, ctx: &Context) -> Vec<(String, String)> {
        match &self.about {
            About::Again(_) | About::Requeue => {
                self.again(ctx).into_iter().map(|choice| (choice.label.to_owned(), choice.meaning)).collect()
            }
            About::Answer(choices) => {
                choices.iter().map(|choice| (choice.label.line().into_string(), String::new())).collect()
            }
            About::Cancel | About::Orphans | About::Quit => Vec::new(),
        }
    }

    /// The choices of a card that sends something again.
    fn again(&self, ctx: &Context) -> Vec<again::Choice> {
        let name = self.pick.name(ctx);
        let again = match &self.about {
            // Those that were never sent have no agent to which they could go again.
            About::Again(_) | About::Requeue if !self.unsent.is_empty() => {
                return again::anywhere(name.as_deref());
            }
            About::Again(again) => *again,
            About::Requeue | About::Cancel | About::Orphans | About::Answer(_) | About::Quit => {
                return Vec::new();
            }
        };
        let ready: Vec<&Attempt> = self.ready(ctx).into_iter().map(|(_, attempt)| attempt).collect();
        let mut choices = again.choices(&ctx.latest, &ready, name.as_deref());
        // Many are not raced, and the last that is left of them is not offered it: its letter would be a new one.
        choices.retain(|choice| {
            !self.is_bulk() || !matches!(choice.act, again::Act::Race | again::Act::RaceChosen)
        });
        choices
    }

    /// True if what is sent may take something along from an earlier attempt.
    fn can_carry(&self, ctx: &Context) -> bool {
        let choices = self.again(ctx);
        let act = self.choice.and_then(|at| choices.get(at)).map(|choice| choice.act);
        let any = choices.iter().any(|choice| choice.act.carries());
        matches!(self.about, About::Again(_)) && any && act.is_none_or(again::Act::carries)
    }

    /// The next value of a field: `x` for the context, `h` for the history.
    fn change_carry(&mut self, letter: char) {
        if letter == 'x' {
            self.carry.context = match self.carry.context {
                CarryContext::Given => CarryContext::Same,
                CarryContext::Same => CarryContext::New,
                CarryContext::New => CarryContext::Given,
            };
        } else {
            self.carry.history = match self.carry.history {
                CarryHistory::None => CarryHistory::References,
                CarryHistory::References => CarryHistory::Content,
                CarryHistory::Content => CarryHistory::None,
            };
        }
    }

    /// What was chosen of them.
    fn act_again(&self, ctx: &Context) -> Option<again::Act> {
        let act = self.act?;
        self.again(ctx).iter().any(|choice| choice.act == act).then_some(act)
    }

    fn light(&mut self, at: usize, ctx: &Context) {
        self.choice = Some(at);
        self.act = self.again(ctx).get(at).map(|choice| choice.act);
    }

    fn choose(&mut self, at: usize, ctx: &Context) {
        self.light(at, ctx);
        if self.act_again(ctx).is_some_and(again::Act::is_chosen) {
            self.pick.open();
        }
    }

    /// The agents that can be chosen now.
    fn offered<'c>(&self, ctx: &'c Context) -> Vec<&'c Agent> {
        let rows = self.ready(ctx);
        let skill = rows.first().and_then(|(_, row)| ctx.latest.job_of(row)?.skill.as_ref());
        // A task that is alive is moved away from its agent.
        let is_live = matches!(self.about, About::Again(Again::Live));
        let not: Vec<_> = rows.iter().filter(|_| is_live).map(|(_, row)| row.agent).collect();
        self.pick.offered(ctx, skill, &not)
    }

    fn intents(&self, ctx: &Context, row: &Attempt) -> Vec<Intent> {
        let why = Some(self.why.text().trim()).filter(|why| !why.is_empty()).map(Untrusted::from);
        self.intents_because(ctx, row, why)
    }

    fn intents_because(&self, ctx: &Context, row: &Attempt, why: Option<Untrusted>) -> Vec<Intent> {
        let attempt = row.id;
        match &self.about {
            About::Cancel if !self.cascade => vec![Intent::Cancel { attempt, why }],
            About::Cancel | About::Orphans => vec![Intent::CancelWithDelegated { attempt, why }],
            About::Again(again) => match self.act_again(ctx) {
                Some(act) => {
                    let carry = if act.carries() { self.carry } else { Carry::default() };
                    again.intents(act, &ctx.latest, row, self.pick.chosen, carry, why)
                }
                None => Vec::new(),
            },
            About::Answer(choices) => {
                let chosen = self.choice.and_then(|at| choices.get(at));
                let answer = |choice: &Choice| {
                    let parts = choice.parts.clone();
                    Intent::Answer { attempt, parts, metadata: None }
                };
                chosen.map(answer).into_iter().collect()
            }
            About::Requeue | About::Quit => Vec::new(),
        }
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
        if !self.choices(ctx).is_empty() && self.choice.is_none() {
            self.complaint = Some("choose first".into());
            return KeyOutcome::Stays(Vec::new());
        }
        if self.act_again(ctx).is_some_and(again::Act::is_chosen) && self.pick.chosen.is_none() {
            self.pick.open();
            return KeyOutcome::Stays(Vec::new());
        }
        let count = self.count(ctx);
        let requeues = self.requeues(ctx).into_iter().map(|intent| {
            let words = self.words(ctx, "the job");
            Step::Cmd(if count > 1 {
                Cmd::SubmitOneOf(count, vec![intent], words)
            } else {
                Cmd::Submit(intent, words)
            })
        });
        let steps: Vec<Step> = self
            .doable(ctx)
            .into_iter()
            .filter_map(|attempt| {
                let id =
                    attempt.task.as_ref().map_or_else(|| "the message".to_owned(), |task| task.id.short());
                let mut intents = self.intents(ctx, attempt);
                let words = self.words(ctx, &id);
                if count > 1 {
                    return (!intents.is_empty()).then(|| Step::Cmd(Cmd::SubmitOneOf(count, intents, words)));
                }
                let last = intents.pop()?;
                Some(Step::Cmd(if intents.is_empty() {
                    Cmd::Submit(last, words)
                } else {
                    intents.push(last);
                    Cmd::SubmitInOrder(intents, words)
                }))
            })
            .chain(requeues)
            .collect();
        if steps.is_empty() {
            self.complaint = Some("nothing is left that it applies to".into());
            return KeyOutcome::Stays(Vec::new());
        }
        KeyOutcome::Closes(steps)
    }
}

fn asked(attempt: &Attempt) -> (At, Option<Untrusted>) {
    let task = attempt.task.as_ref();
    let asking = task.filter(|_| attempt.awaits_answer());
    asking.map_or((At::ZERO, None), |task| (task.state_since, task.note.clone()))
}

fn state_of(attempt: &Attempt) -> String {
    states::attempt(attempt, crate::tui::theme::Theme::plain_glyphs()).word
}
