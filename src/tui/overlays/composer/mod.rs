//! The composer: a message with data and metadata to an agent or by the rules, and what sending it will do.

mod draw;
mod happen;
mod router;
mod to;

use std::time::Duration;

use crossterm::event::KeyCode;
use ratatui::style::Style;
use ratatui_textarea::{TextArea, WrapMode};

use crate::domain::agent::Agent;
use crate::domain::id::{AgentKey, ContextId};
use crate::domain::intent::Intent;
use crate::domain::job::message::{Content, Json, Part};
use crate::domain::route::Target;
use crate::domain::route::decision::Obstacle;
use crate::domain::time::duration;
use crate::tui::cmd::Cmd;
use crate::tui::context::Context;
use crate::tui::draft::{Draft, Purpose};
use crate::tui::keymap::Chord;
use crate::tui::states;
use crate::tui::step::{KeyOutcome, Step};
use crate::tui::theme::Role;
use crate::tui::views::inbox;
use crate::tui::widgets::editing::key_in_area;
use crate::tui::widgets::field::Field;

/// The width of the card, and of its labels.
const WIDTH: u16 = 92;
const LABEL: u16 = 10;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    To,
    Message,
    Data,
    Metadata,
    Deadline,
    Priority,
    Context,
}

/// The composer.
#[derive(Debug)]
pub struct Composer {
    purpose: Purpose,
    to: Field,
    /// The destination that was chosen, under the text that named it then.
    picked: Option<(Target, String)>,
    router: router::Router,
    /// The time of the question that is answered; `None` for other messages.
    asked: Option<crate::domain::time::At>,
    offered: Vec<to::Offer>,
    chosen: usize,
    message: TextArea<'static>,
    data: TextArea<'static>,
    metadata: Field,
    deadline: Field,
    priority: Field,
    context: Option<(ContextId, bool)>,
    at: At,
    /// Earlier messages, newest last, and which of them is shown.
    earlier: Vec<Draft>,
    earlier_at: Option<usize>,
    complaint: Option<String>,
    /// True once a warning was shown; the same key then sends anyway.
    warned: bool,
    is_draft: bool,
    seen_state: String,
}

fn area_of(text: &str) -> TextArea<'static> {
    let mut area = TextArea::new(text.split('\n').map(str::to_owned).collect());
    area.set_cursor_line_style(Style::new());
    area.set_wrap_mode(WrapMode::WordOrGlyph);
    area.move_cursor(ratatui_textarea::CursorMove::Bottom);
    area.move_cursor(ratatui_textarea::CursorMove::End);
    area
}

fn written(area: &TextArea<'_>) -> String {
    area.lines().join("\n")
}

impl Composer {
    /// Opens a draft; `earlier` can be gone through.
    pub fn open(ctx: &Context, draft: Draft, earlier: Vec<Draft>, is_draft: bool) -> Self {
        let at = if draft.to.is_empty() { At::To } else { At::Message };
        let mut composer = Self {
            offered: Vec::new(),
            chosen: 0,
            picked: draft.target.map(|target| (target, draft.to.clone())),
            router: router::Router::default(),
            asked: None,
            to: Field::new(draft.to),
            message: area_of(&draft.message),
            data: area_of(&draft.data),
            metadata: Field::new(draft.metadata),
            deadline: Field::new(draft.deadline),
            priority: Field::new(draft.priority),
            context: draft.context,
            purpose: draft.purpose,
            at,
            earlier,
            earlier_at: None,
            complaint: None,
            warned: false,
            is_draft,
            seen_state: String::new(),
        };
        composer.offer(ctx);
        composer.asked = composer.asked_now(ctx);
        if composer.picked.is_none() {
            composer.pick(ctx);
        }
        composer.refresh(ctx);
        composer.light(ctx);
        composer
    }

    /// Shows the cursor only in the focused field.
    fn light(&mut self, ctx: &Context) {
        let plain = ctx.theme.style(Role::Plain);
        let lit = plain.add_modifier(ratatui::style::Modifier::REVERSED);
        for (area, at) in [(&mut self.message, At::Message), (&mut self.data, At::Data)] {
            area.set_style(plain);
            area.set_cursor_style(if self.at == at { lit } else { plain });
        }
    }

    /// The message as written so far.
    pub fn draft(&self) -> Draft {
        Draft {
            purpose: self.purpose.clone(),
            to: self.to.text().to_owned(),
            target: self.picked().cloned(),
            message: written(&self.message),
            data: written(&self.data),
            metadata: self.metadata.text().to_owned(),
            deadline: self.deadline.text().to_owned(),
            priority: self.priority.text().to_owned(),
            context: self.context.clone(),
        }
    }

    /// Applies changes; true if the display changes.
    pub fn refresh(&mut self, ctx: &Context) -> bool {
        let state = match (&self.purpose, self.agent(ctx)) {
            (Purpose::Answer { key, attempt }, _) => {
                let row = ctx.latest.attempts.get(*key).filter(|row| row.id == *attempt);
                row.map_or_else(|| "gone".into(), |row| states::attempt(row, ctx.glyphs()).word)
            }
            (Purpose::New, Some((_, agent))) => states::agent(agent, ctx.glyphs()).word,
            (Purpose::New, None) => String::new(),
        };
        let news = state != self.seen_state;
        self.seen_state = state;
        news
    }

    fn agent<'s>(&self, ctx: &'s Context) -> Option<(AgentKey, &'s Agent)> {
        if let Purpose::Answer { key, .. } = self.purpose {
            let agent = ctx.latest.attempts.get(key)?.agent;
            return Some((agent, ctx.latest.agents.get(agent)?));
        }
        let Some(Target::Agent(id)) = self.target(ctx) else { return None };
        ctx.latest.agents.iter().find(|(_, agent)| agent.id == id && agent.listed)
    }

    /// Where a new message goes; `None` if the first field names nothing.
    fn target(&self, ctx: &Context) -> Option<Target> {
        self.picked().cloned().or_else(|| to::named(ctx, self.to.text()))
    }

    /// The destination that was chosen, unless something else was typed since.
    fn picked(&self) -> Option<&Target> {
        self.picked.as_ref().filter(|(_, text)| text == self.to.text()).map(|(target, _)| target)
    }

    /// Selects the destination that the field names.
    fn pick(&mut self, ctx: &Context) {
        self.picked = self.target(ctx).map(|target| (target, self.to.text().to_owned()));
    }

    /// The time of the current question of the task.
    fn asked_now(&self, ctx: &Context) -> Option<crate::domain::time::At> {
        let Purpose::Answer { key, attempt } = self.purpose else { return None };
        let row = ctx.latest.attempts.get(key).filter(|row| row.id == attempt)?;
        row.task.as_ref().filter(|_| row.awaits_answer()).map(|task| task.state_since)
    }

    /// Lists the destinations that are similar to what was typed.
    fn offer(&mut self, ctx: &Context) {
        self.offered = to::offered(ctx, self.router.rules(), self.to.text());
        self.chosen = 0;
    }

    /// True if the first field names something that the fleet has, so that nothing has to be completed.
    fn is_complete(&self, ctx: &Context) -> bool {
        self.target(ctx).is_some_and(|target| to::exists(ctx, self.router.rules(), &target))
    }

    fn fields(&self) -> Vec<At> {
        let mut fields = vec![At::Message, At::Data, At::Metadata];
        if self.purpose == Purpose::New {
            fields.insert(0, At::To);
            fields.extend([At::Deadline, At::Priority]);
            if self.context.is_some() {
                fields.push(At::Context);
            }
        }
        fields
    }

    fn step(&mut self, by: usize, ctx: &Context) {
        if self.at == At::To {
            self.take_offer(ctx);
        }
        let fields = self.fields();
        let here = fields.iter().position(|field| *field == self.at).unwrap_or(0);
        self.at = fields[(here + by) % fields.len()];
    }

    /// Completes the first field when the focus leaves it.
    fn take_offer(&mut self, ctx: &Context) {
        if !self.is_complete(ctx)
            && let Some(offer) = self.offered.get(self.chosen)
        {
            self.picked = Some((offer.target.clone(), offer.text.clone()));
            self.to.set(offer.text.clone());
            return;
        }
        self.pick(ctx);
    }

    /// Takes a key; every printable one is text.
    pub fn key(&mut self, chord: Chord, ctx: &Context) -> KeyOutcome {
        let pressed = self.pressed(chord, ctx);
        self.light(ctx);
        pressed
    }

    fn pressed(&mut self, chord: Chord, ctx: &Context) -> KeyOutcome {
        let sends =
            (chord.ctrl && chord.code == KeyCode::Char('s')) || (chord.alt && chord.code == KeyCode::Enter);
        if !sends {
            self.warned = false;
        }
        self.complaint = self.complaint.take().filter(|_| sends);
        match (chord.code, chord.ctrl) {
            _ if sends => return self.send(ctx),
            (KeyCode::Esc, _) => return KeyOutcome::Keeps,
            (KeyCode::Char('x'), true) => {
                let text = match self.at {
                    At::Data => written(&self.data),
                    At::Metadata => self.metadata.text().to_owned(),
                    At::To | At::Message | At::Deadline | At::Priority | At::Context => {
                        written(&self.message)
                    }
                };
                return KeyOutcome::Stays(vec![Step::Cmd(Cmd::Edit(text))]);
            }
            (KeyCode::Char('r'), true) => {
                self.show_earlier(ctx);
                return KeyOutcome::Stays(Vec::new());
            }
            (KeyCode::Tab, _) => {
                self.step(1, ctx);
                return KeyOutcome::Stays(Vec::new());
            }
            (KeyCode::BackTab, _) => {
                self.step(self.fields().len() - 1, ctx);
                return KeyOutcome::Stays(Vec::new());
            }
            _ => {}
        }
        match self.at {
            At::To => match chord.code {
                KeyCode::Down => self.chosen = (self.chosen + 1).min(self.offered.len().saturating_sub(1)),
                KeyCode::Up => self.chosen = self.chosen.saturating_sub(1),
                // An exact name takes precedence over similar ones.
                KeyCode::Enter => self.step(1, ctx),
                _ => {
                    if self.to.key(chord) {
                        self.offer(ctx);
                    }
                }
            },
            At::Message => key_in_area(&mut self.message, chord),
            At::Data => key_in_area(&mut self.data, chord),
            At::Metadata => {
                self.metadata.key(chord);
            }
            At::Deadline => {
                self.deadline.key(chord);
            }
            At::Priority => {
                self.priority.key(chord);
            }
            At::Context => {
                if let (
                    Some((_, joins)),
                    KeyCode::Char(' ') | KeyCode::Left | KeyCode::Right | KeyCode::Enter,
                ) = (&mut self.context, chord.code)
                {
                    *joins = !*joins;
                }
            }
        }
        KeyOutcome::Stays(Vec::new())
    }

    fn show_earlier(&mut self, ctx: &Context) {
        if self.earlier.is_empty() {
            self.complaint = Some("there is no earlier message".into());
            return;
        }
        let at = self.earlier_at.unwrap_or(self.earlier.len());
        let at = if at == 0 { self.earlier.len() - 1 } else { at - 1 };
        self.earlier_at = Some(at);
        let draft = self.earlier[at].clone();
        self.message = area_of(&draft.message);
        self.data = area_of(&draft.data);
        self.metadata = Field::new(draft.metadata);
        self.deadline = Field::new(draft.deadline);
        self.priority = Field::new(draft.priority);
        if self.purpose == Purpose::New && draft.purpose == Purpose::New {
            self.picked = draft.target.map(|target| (target, draft.to.clone()));
            self.to = Field::new(draft.to);
            self.offer(ctx);
        }
    }

    /// Takes pasted text into the field that has the focus.
    pub fn paste(&mut self, text: &str) {
        // Line breaks are kept where there are lines; everything else that controls goes.
        let text: String = text
            .replace("\r\n", "\n")
            .replace('\r', "\n")
            .chars()
            .filter(|c| *c == '\n' || *c == '\t' || !c.is_control())
            .collect();
        match self.at {
            At::To => self.to.insert(text.trim()),
            At::Message => {
                self.message.insert_str(text);
            }
            At::Data => {
                self.data.insert_str(text);
            }
            At::Metadata => self.metadata.insert(text.trim()),
            At::Deadline => self.deadline.insert(text.trim()),
            At::Priority => self.priority.insert(text.trim()),
            At::Context => {}
        }
    }

    /// Takes the text from an editor.
    pub fn edited(&mut self, text: &str, ctx: &Context) {
        let text = text.trim_end_matches('\n');
        match self.at {
            At::Data => self.data = area_of(text),
            At::Metadata => self.metadata.set(text.replace('\n', " ")),
            At::To | At::Message | At::Deadline | At::Priority | At::Context => {
                self.message = area_of(text);
                self.at = At::Message;
            }
        }
        self.light(ctx);
    }

    fn parts(&self) -> Result<Vec<Part>, String> {
        let mut parts = Vec::new();
        let message = written(&self.message);
        if !message.trim().is_empty() {
            parts.push(Part::text(message));
        }
        let data = written(&self.data);
        if !data.trim().is_empty() {
            serde_json::from_str::<serde::de::IgnoredAny>(&data)
                .map_err(|error| format!("Data is not JSON: {error}"))?;
            parts.push(Part { content: Content::Data(Json::new(data)), ..Part::text("") });
        }
        Ok(parts)
    }

    fn metadata(&self) -> Result<Option<Json>, String> {
        let text = self.metadata.text().trim();
        if text.is_empty() {
            return Ok(None);
        }
        match serde_json::from_str::<serde_json::Value>(text) {
            Ok(serde_json::Value::Object(_)) => Ok(Some(Json::new(text))),
            Ok(_) => Err("Metadata is not a JSON object; for example {\"type\":\"charge\"}".into()),
            Err(error) => Err(format!("Metadata is not JSON: {error}")),
        }
    }

    /// The deadline and the priority; `None` leaves them to the rule.
    fn options(&self) -> Result<(Option<Duration>, Option<u8>), String> {
        let deadline = match self.deadline.text().trim() {
            "" => None,
            text => Some(duration(text).map_err(|why| format!("Deadline: {why}"))?),
        };
        let priority = match self.priority.text().trim() {
            "" => None,
            text => Some(text.parse().ok().filter(|priority| *priority <= 9).ok_or_else(|| {
                "Priority is a number from 0 to 9; higher ones leave the queue first".to_owned()
            })?),
        };
        Ok((deadline, priority))
    }

    fn intent(&self, ctx: &Context) -> Result<Intent, String> {
        let (parts, metadata) = (self.parts()?, self.metadata()?);
        if parts.is_empty() {
            return Err("there is nothing to send yet: write a message, or data".into());
        }
        if let Purpose::Answer { key, attempt } = self.purpose {
            let row = ctx.latest.attempts.get(key).filter(|row| row.id == attempt);
            if !row.is_some_and(crate::domain::job::Attempt::needs_you) {
                return Err(format!("it no longer has a question: {}", self.seen_state));
            }
            return Ok(Intent::Answer { attempt, parts, metadata });
        }
        if let Some(wrong) = self.wrong(ctx) {
            return Err(format!("{}; {}", wrong.what, wrong.next));
        }
        match self.target(ctx) {
            Some(Target::Agent(_)) if self.agent(ctx).is_none() => {
                Err("its agent has left the fleet; name another one".into())
            }
            Some(target) => {
                Ok(Intent::Send(Box::new(self.message_to(target, parts, metadata, self.options()?))))
            }
            None => Err("choose where it goes first".into()),
        }
    }

    fn send(&mut self, ctx: &Context) -> KeyOutcome {
        let intent = match self.intent(ctx) {
            Ok(intent) => intent,
            Err(complaint) => {
                self.complaint = Some(complaint);
                return KeyOutcome::Stays(Vec::new());
            }
        };
        if let Some(doubt) = self.doubt(ctx)
            && !self.warned
        {
            self.warned = true;
            self.complaint = Some(format!("{doubt}; ctrl-s again sends it anyway"));
            return KeyOutcome::Stays(Vec::new());
        }
        let name = || self.agent(ctx).map(|(_, agent)| agent.name.line().into_string()).unwrap_or_default();
        let words = match &intent {
            Intent::Send(send) => format!("sent {}", to::in_words(ctx, &send.target)),
            _ => format!("answered {}", name()),
        };
        KeyOutcome::Closes(vec![Step::Sent(Box::new(self.draft())), Step::Cmd(Cmd::Submit(intent, words))])
    }

    /// The reason not to send the message as it is; `None` if there is none.
    fn doubt(&self, ctx: &Context) -> Option<String> {
        if self.asked.is_some() && self.asked_now(ctx) != self.asked {
            return Some("its question has changed since you began".into());
        }
        if let Purpose::Answer { key, .. } = self.purpose
            && ctx.latest.attempts.get(key).is_some_and(inbox::uncertain_answer)
        {
            return Some(inbox::MAY_HAVE_ARRIVED.into());
        }
        if let Some(why) = self.not_accepted(ctx) {
            return Some(why);
        }
        let (_, agent) = self.agent(ctx)?;
        let name = agent.name.line();
        match self.obstacle(ctx) {
            Some(Obstacle::Breaker) => return Some(format!("{name} gets nothing: its breaker is open")),
            Some(Obstacle::Cordoned) => return Some(format!("{name} is out of service")),
            Some(Obstacle::Full | Obstacle::Health(_)) | None => {}
        }
        if !agent.health.takes_work() {
            let label = states::agent(agent, ctx.glyphs());
            return Some(format!("{name} is {}", label.word));
        }
        let modes = agent.card.as_ref().map(|card| card.input_modes.as_slice()).unwrap_or_default();
        let takes = |words: &[&str]| {
            modes.is_empty()
                || modes.iter().any(|mode| words.iter().any(|word| mode.contains_ignore_case(word)))
        };
        let has_data = !written(&self.data).trim().is_empty();
        if has_data && !takes(&["json", "data", "*/*"]) {
            let modes: Vec<String> = modes.iter().map(|mode| mode.line().into_string()).collect();
            return Some(format!("{name} takes {} only, no JSON", modes.join(", ")));
        }
        None
    }
}
