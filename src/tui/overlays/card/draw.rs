//! Drawing of cards.

use crate::domain::job::Attempt;
use crate::domain::job::carry::{CarryContext, CarryHistory};
use crate::tui::context::Context;
use crate::tui::overlays::card::{About, Card, Typing, WIDTH, state_of};
use crate::tui::theme::Role;
use crate::tui::views::inbox::{MAY_HAVE_ARRIVED, uncertain_answer};
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::field::Field;
use crate::tui::widgets::text::wrap;
use crate::tui::{layout, states};

/// Items of each kind that are listed.
const SHOWN: usize = 6;

enum Line {
    Rule(&'static str),
    Text(Vec<Span>),
    Field(String, Field, bool),
}

impl Card {
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
            let count = self.count(ctx);
            let word = match (!self.unsent.is_empty(), count) {
                (true, 1) => "job",
                (true, _) => "jobs",
                (false, 1) => "task",
                (false, _) => "tasks",
            };
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
        if self.pick.is_open {
            return vec![
                span("enter", Role::Key),
                span(" choose the lit agent   ", Role::Plain),
                span("esc", Role::Key),
                span(" leave it", Role::Plain),
            ];
        }
        if self.is_bulk() {
            let count = self.number_to_type(ctx);
            return vec![
                span("enter", Role::Key),
                span(format!(", once {count} is typed   "), Role::Plain),
                span("tab", Role::Key),
                span(" next field   ", Role::Plain),
                span("esc", Role::Key),
                span(" leave it", Role::Plain),
            ];
        }
        if self.explains {
            return vec![
                span("enter", Role::Key),
                span(" back to the card   ", Role::Plain),
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
            line.push(span(if self.may_cascade(ctx) { " copy" } else { " copy as command" }, Role::Plain));
        }
        if self.may_cascade(ctx) {
            line.push(span("   d", Role::Key));
            line.push(span(if self.cascade { " leave delegated" } else { " with delegated" }, Role::Plain));
        }
        if self.takes_reason() {
            line.push(span("   w", Role::Key));
            line.push(span(" why", Role::Plain));
        }
        if matches!(self.about, About::Answer(_)) {
            line.push(span("   w", Role::Key));
            line.push(span(" in words", Role::Plain));
        }
        line
    }

    /// The lines that fit; those needed for the decision are dropped last.
    fn body(&self, canvas: &Canvas<'_>, ctx: &Context, width: usize, room: usize) -> Vec<Line> {
        let mut lines = self.all_lines(canvas, ctx, width, room);
        while lines.len() > room {
            let Some(weakest) = (0..lines.len()).rev().min_by_key(|at| lines[*at].0) else { break };
            lines.remove(weakest);
        }
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// All lines with their priorities.
    fn all_lines(&self, canvas: &Canvas<'_>, ctx: &Context, width: usize, room: usize) -> Vec<(u8, Line)> {
        let mut lines = Vec::new();
        let mut text = |keep: u8, text: String, role| {
            lines.extend(
                wrap(&text, width).into_iter().map(|line| (keep, Line::Text(vec![span(line, role)]))),
            );
        };
        if let Some(changed) = &self.changed {
            text(9, format!("{changed}. Look again."), Role::Warn);
        }
        if let Some(since) = self.since_words(ctx) {
            text(9, format!("{since}."), Role::Warn);
        }
        let left = self.subjects.iter().filter(|subject| subject.left).count();
        for (at, subject) in self.subjects.iter().filter(|subject| !subject.left).take(SHOWN).enumerate() {
            let Some(attempt) = ctx.latest.attempts.get(subject.key) else { continue };
            text(if at == 0 { 7 } else { 3 }, subject_line(canvas, ctx, attempt), Role::Plain);
            if let (About::Answer(_), Some(note)) =
                (&self.about, attempt.task.as_ref().and_then(|task| task.note.as_ref()))
            {
                text(6, format!("\"{}\"", note.line()), Role::You);
            }
        }
        if let Some(kinds) = self.kinds(ctx) {
            text(7, kinds, Role::Plain);
        }
        let unsent = self.unsent.iter();
        let unsent = unsent.filter_map(|(key, id)| ctx.latest.jobs.get(*key).filter(|job| job.id == *id));
        for (at, job) in unsent.take(SHOWN).enumerate() {
            let cause = job.plan.as_ref().and_then(|plan| plan.dead.as_ref());
            let cause =
                cause.map_or_else(|| "it is no dead letter any more".to_owned(), |cause| cause.to_string());
            let line = format!("{}: {cause}", job.title.line().fit(44));
            text(if at == 0 { 7 } else { 3 }, line, Role::Plain);
        }
        let rows = self.ready(ctx);
        if matches!(self.about, About::Answer(_)) && rows.iter().any(|(_, row)| uncertain_answer(row)) {
            text(8, format!("{MAY_HAVE_ARRIVED}."), Role::Warn);
        }
        let more =
            (self.subjects.len() - left).saturating_sub(SHOWN) + self.unsent.len().saturating_sub(SHOWN);
        if more > 0 {
            text(5, format!("and {more} more"), Role::Quiet);
        }
        if self.left_out > 0 {
            text(6, format!("{} marked stay as they are: {}", self.left_out, self.about.unfit()), Role::Warn);
        }
        for (keep, line, role) in self.delegated_lines(ctx, width, room) {
            lines.push((keep, Line::Text(vec![span(line, role)])));
        }
        self.push_choices(ctx, &mut lines);
        for (line, role) in self.plan_lines(ctx) {
            lines.extend(wrap(&line, width).into_iter().map(|line| (8, Line::Text(vec![span(line, role)]))));
        }
        if self.is_bulk() {
            let count = self.number_to_type(ctx);
            lines.push((1, Line::Text(Vec::new())));
            let number = self.typing == Typing::Number;
            lines.push((9, Line::Field(format!("type {count} to do it"), self.number.clone(), number)));
            let why = if ctx.info.protect { "reason (required)" } else { "why" };
            lines.push((9, Line::Field(why.into(), self.why.clone(), !number)));
            if self.may_cascade(ctx) {
                let label =
                    if self.cascade { "leave what they delegated" } else { "with what they delegated" };
                lines.push((7, Line::Text(vec![span("d ", Role::Key), span(label, Role::Plain)])));
            }
        }
        if !self.is_bulk() && (self.explains || !self.why.text().is_empty()) {
            lines.push((1, Line::Text(Vec::new())));
            lines.push((9, Line::Field("why".into(), self.why.clone(), self.explains)));
        }
        let plain = |line, role| Line::Text(vec![span(line, role)]);
        lines.push((4, Line::Rule("what will happen")));
        for sentence in self.what_will_happen(ctx) {
            lines.extend(wrap(&sentence, width).into_iter().map(|line| (5, plain(line, Role::Plain))));
        }
        let commands = self.commands(ctx, 2);
        let is_whole = self.bulk_command(ctx).is_some();
        let all = self.subjects.len() + self.unsent.len();
        let more = if is_whole { 0 } else { all.saturating_sub(commands.len()) };
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
        let choices = self.choices(ctx);
        if choices.is_empty() {
            return;
        }
        lines.push((1, Line::Text(Vec::new())));
        let letters: Vec<char> = self.again(ctx).iter().map(|choice| choice.letter).collect();
        for (at, (label, meaning)) in choices.iter().enumerate() {
            let chosen = self.choice == Some(at);
            let letter = letters.get(at).filter(|_| self.is_bulk());
            let letter = letter.map_or_else(|| (at + 1).to_string(), char::to_string);
            let line = vec![
                span(if chosen { ctx.glyphs().cursor } else { " " }, Role::You),
                span(format!("{letter} "), Role::Key),
                span(label.clone(), if chosen { Role::Accent } else { Role::Plain }),
                span(format!("   {meaning}"), Role::Quiet),
            ];
            lines.push((9, Line::Text(line)));
        }
        if self.pick.is_open {
            self.push_agents(ctx, lines);
        } else if self.can_carry(ctx) {
            self.push_carry(lines);
        }
    }

    /// The fields for what the next attempt takes along.
    fn push_carry(&self, lines: &mut Vec<(u8, Line)>) {
        let context = [CarryContext::Given, CarryContext::Same, CarryContext::New].map(|one| {
            let word = if one == CarryContext::Given { "as given" } else { one.as_str() };
            (word, one == self.carry.context)
        });
        let history = [CarryHistory::None, CarryHistory::References, CarryHistory::Content].map(|one| {
            let word = if one == CarryHistory::None { "nothing" } else { one.as_str() };
            (word, one == self.carry.history)
        });
        for (key, label, values) in [("x", "context", context), ("h", "take along", history)] {
            let mut line = vec![span(" ", Role::Plain), span(format!("{key} "), Role::Key)];
            line.push(span(format!("{label:<11}"), Role::Plain));
            for (at, (word, chosen)) in values.into_iter().enumerate() {
                let gap = if at == 0 { "" } else { " · " };
                line.push(span(gap, Role::Quiet));
                line.push(span(word, if chosen { Role::Accent } else { Role::Quiet }));
            }
            lines.push((4, Line::Text(line)));
        }
    }

    /// The field for the name of an agent, and the agents that fit.
    fn push_agents(&self, ctx: &Context, lines: &mut Vec<(u8, Line)>) {
        lines.push((9, Line::Field("  agent".into(), self.pick.field.clone(), true)));
        let offered = self.offered(ctx);
        if offered.is_empty() {
            lines.push((8, Line::Text(vec![span("  no agent of this name", Role::Warn)])));
        }
        for (at, agent) in offered.into_iter().enumerate() {
            let label = states::agent(agent, ctx.glyphs());
            let in_flight = match agent.spec.capacity {
                Some(capacity) => format!("{} of {capacity} in flight", agent.counts.live),
                None => format!("{} in flight", agent.counts.live),
            };
            let lit = self.pick.lit == at;
            let line = vec![
                span(if lit { ctx.glyphs().cursor } else { " " }, Role::You),
                span(format!(" {} ", label.mark), label.role),
                span(agent.name.line().fit(36), if lit { Role::Accent } else { Role::Plain }),
                span(format!("   {}, {in_flight}", label.word), Role::Quiet),
            ];
            lines.push((if lit { 9 } else { 8 }, Line::Text(line)));
        }
    }
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
