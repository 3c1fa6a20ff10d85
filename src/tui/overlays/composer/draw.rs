//! Drawing of the composer.

use ratatui::layout::Rect;
use ratatui::widgets::Widget;
use ratatui_textarea::TextArea;
use unicode_width::UnicodeWidthStr;

use crate::domain::agent::Agent;
use crate::domain::id::AttemptKey;
use crate::domain::text::fit;
use crate::tui::context::Context;
use crate::tui::draft::Purpose;
use crate::tui::overlays::composer::to::{About, OFFERED, Offer};
use crate::tui::overlays::composer::{At, Composer, LABEL, WIDTH};
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::text::wrap;
use crate::tui::{command, layout, states};

/// The hint beside the first field.
const TO: &str = "agent, skill, tag or route";

/// Lines of the message that are seen at least, and the most lines of what will happen.
const MESSAGE: u16 = 3;
const HAPPENS: usize = 6;

/// The inner area of the card and the drawing position.
struct Pen {
    inner: Rect,
    /// The column and width of the values.
    x: u16,
    room: u16,
    y: u16,
}

impl Pen {
    /// A label, marked if its field has the focus.
    fn label(&self, canvas: &mut Canvas<'_>, text: &str, on: bool) {
        canvas.put(self.inner.x, self.y, text, if on { Role::Title } else { Role::Quiet }, LABEL);
        if on {
            canvas.put(self.inner.x - 1, self.y, canvas.theme.glyphs.cursor, Role::You, 1);
        }
    }

    /// A field of one line, with the terminal's cursor in it if it has the focus.
    fn field(&self, canvas: &mut Canvas<'_>, text: &str, before_cursor: &str, on: bool) {
        canvas.put(self.x, self.y, text, if on { Role::Accent } else { Role::Plain }, self.room);
        if on {
            canvas.type_at(self.x + u16::try_from(before_cursor.width()).unwrap_or(0), self.y);
        }
    }

    fn text(&mut self, canvas: &mut Canvas<'_>, text: &TextArea<'static>, height: u16) {
        draw_area(canvas, text, Rect { x: self.x, y: self.y, width: self.room, height });
        self.y += height;
    }
}

impl Composer {
    /// Draws it.
    pub fn draw(&self, canvas: &mut Canvas<'_>, ctx: &Context) {
        let (w, h) = ctx.size;
        let border = if ctx.info.protect { Role::Bad } else { Role::Title };
        let width = WIDTH.min(w);
        // Height of the message field: the written lines and a margin.
        let written = u16::try_from(self.message.lines().len()).unwrap_or(u16::MAX).clamp(6, 24);
        let offered = if self.at == At::To { u16::try_from(OFFERED).unwrap_or(5) } else { 0 };
        let height = written.saturating_add(offered) + 16;
        let area = layout::card(ctx, width, h.saturating_sub(2).min(height));
        canvas.clear(area);
        let title = if self.purpose == Purpose::New { "new task" } else { "answer" };
        let facts: Vec<Span> =
            if self.is_draft { vec![span("draft, kept", Role::Quiet)] } else { Vec::new() };
        canvas.heavy_rule(area, area.y, Edge::Top, border, &[span(title, Role::Title)], &facts);
        let bottom = area.bottom() - 1;
        canvas.heavy_sides(area, area.y + 1, bottom, border);
        let inner = Rect {
            x: area.x + 2,
            y: area.y + 1,
            width: area.width.saturating_sub(4),
            height: area.height.saturating_sub(2),
        };
        self.draw_fields(canvas, inner, ctx, area, border);
        let keys = [
            span("ctrl-s", Role::Key),
            span(" send  ", Role::Plain),
            span("tab", Role::Key),
            span(" next  ", Role::Plain),
            span("ctrl-x", Role::Key),
            span(" editor  ", Role::Plain),
            span("ctrl-r", Role::Key),
            span(" earlier  ", Role::Plain),
            span("esc", Role::Key),
            span(" close", Role::Plain),
        ];
        canvas.heavy_rule(area, bottom, Edge::Bottom, border, &keys, &[]);
    }

    fn draw_fields(&self, canvas: &mut Canvas<'_>, inner: Rect, ctx: &Context, area: Rect, border: Role) {
        let x = inner.x + LABEL;
        let mut pen = Pen { inner, x, room: inner.width.saturating_sub(LABEL), y: inner.y };
        pen.label(canvas, "To", self.at == At::To);
        match self.purpose {
            Purpose::Answer { key, .. } => self.draw_question(canvas, &mut pen, ctx, key),
            Purpose::New => self.draw_to(canvas, &mut pen, ctx),
        }
        // Lines needed below the message.
        let commands = self.command_lines(ctx, usize::from(inner.width));
        let small = inner.height < 18;
        let data_lines: u16 = if small { 1 } else { 3 };
        let rest = data_lines
            + 1
            + u16::from(self.shows_options(small))
            + u16::from(self.context.is_some())
            + u16::from(self.complaint.is_some()) * 2;
        let least = pen.y + rest + if small { 2 } else { 3 + MESSAGE };
        let room = usize::from(inner.bottom().saturating_sub(least)).clamp(1, HAPPENS);
        let happen = wrapped(self.what_will_happen(ctx), usize::from(inner.width), room);
        let foot = if small { 1 + happen.len() } else { 2 + happen.len() + commands.len() };
        let foot = u16::try_from(foot).unwrap_or(4);
        let message = inner.bottom().saturating_sub(pen.y + rest + foot).max(1);
        pen.label(canvas, "Message", self.at == At::Message);
        pen.text(canvas, &self.message, message);
        self.draw_beside(canvas, &mut pen, ctx, data_lines, small);
        let commands = if small { Vec::new() } else { commands };
        Self::draw_foot(canvas, &mut pen, area, border, happen, commands);
    }

    /// The agent of a new task, with completions while it is typed.
    fn draw_to(&self, canvas: &mut Canvas<'_>, pen: &mut Pen, ctx: &Context) {
        let here = self.at == At::To;
        pen.field(canvas, self.to.text(), self.to.before_cursor(), here);
        if here && self.to.text().width() + TO.width() + 2 <= usize::from(pen.room) {
            canvas.put_right(pen.inner.right(), pen.y, TO, Role::Quiet, pen.room);
        }
        pen.y += 1;
        if !here || self.is_complete(ctx) {
            return;
        }
        // Without room for all of them, those up to the highlighted one are shown.
        let room = usize::from((pen.inner.bottom() + 1).saturating_sub(pen.y + 12)).max(1);
        let first = (self.chosen + 1).saturating_sub(room);
        for (at, offer) in self.offered.iter().enumerate().skip(first).take(room) {
            let area = Rect { x: pen.x, y: pen.y, width: pen.room, height: 1 };
            draw_offer(canvas, area, ctx, offer, at == self.chosen);
            pen.y += 1;
        }
    }

    /// The recipient and question of an answer.
    fn draw_question(&self, canvas: &mut Canvas<'_>, pen: &mut Pen, ctx: &Context, key: AttemptKey) {
        let row = ctx.latest.attempts.get(key);
        let (name, task) = row.map_or_else(Default::default, |row| {
            let agent = ctx.latest.agents.get(row.agent);
            let name = agent.map(|agent| agent.name.line().into_string()).unwrap_or_default();
            (name, row.task.as_ref().map(|task| task.id.short()).unwrap_or_default())
        });
        canvas.put(pen.x, pen.y, &format!("{name}, task {task}, {}", self.seen_state), Role::Plain, pen.room);
        pen.y += 1;
        let note = row.and_then(|row| row.task.as_ref()).and_then(|task| task.note.as_ref());
        if let Some(note) = note {
            pen.label(canvas, "It asks", false);
            for line in wrap(&note.block(), usize::from(pen.room)).into_iter().take(4) {
                canvas.put(pen.x, pen.y, &line, Role::You, pen.room);
                pen.y += 1;
            }
        }
    }

    /// The fields beside the message.
    fn draw_beside(
        &self,
        canvas: &mut Canvas<'_>,
        pen: &mut Pen,
        ctx: &Context,
        data_lines: u16,
        small: bool,
    ) {
        pen.label(canvas, "Data", self.at == At::Data);
        if self.at == At::Data || !self.data.is_empty() {
            pen.text(canvas, &self.data, data_lines);
        } else {
            canvas.put(pen.x, pen.y, "JSON, if the agent accepts any", Role::Quiet, pen.room);
            pen.y += data_lines;
        }
        let here = self.at == At::Metadata;
        pen.label(canvas, "Metadata", here);
        if self.metadata.text().is_empty() && !here {
            canvas.put(pen.x, pen.y, "a JSON object", Role::Quiet, pen.room);
        } else {
            pen.field(canvas, self.metadata.text(), self.metadata.before_cursor(), here);
        }
        pen.y += 1;
        if self.shows_options(small) {
            self.draw_options(canvas, pen);
        }
        if let Some((context, joins)) = &self.context {
            pen.label(canvas, "Context", self.at == At::Context);
            let (new, join) = if *joins { (Role::Quiet, Role::Accent) } else { (Role::Accent, Role::Quiet) };
            let mark = |on: bool| if on { ctx.glyphs().marked } else { " " };
            let used = canvas.put(pen.x, pen.y, &format!("{} new ", mark(!*joins)), new, pen.room);
            let text = format!("{} continues in {} ", mark(*joins), context.text().line().fit(24));
            canvas.put(pen.x + used + 2, pen.y, &text, join, pen.room.saturating_sub(used + 2));
            pen.y += 1;
        }
        if let Some(complaint) = &self.complaint {
            for line in wrap(complaint, usize::from(pen.inner.width)).into_iter().take(2) {
                canvas.put(pen.inner.x, pen.y, &line, Role::Warn, pen.inner.width);
                pen.y += 1;
            }
        }
    }

    /// The options of a new message; on a small screen only while they are typed, or if there are any.
    fn shows_options(&self, small: bool) -> bool {
        let is_set = !self.deadline.text().is_empty() || !self.priority.text().is_empty();
        let is_new = self.purpose == Purpose::New;
        is_new && (!small || is_set || matches!(self.at, At::Deadline | At::Priority))
    }

    fn draw_options(&self, canvas: &mut Canvas<'_>, pen: &mut Pen) {
        pen.label(canvas, "Options", matches!(self.at, At::Deadline | At::Priority));
        let (x, room) = (pen.x, pen.room);
        let half = room / 2;
        for (at, name, field, empty) in [
            (At::Deadline, "deadline ", &self.deadline, "none, or the rule's"),
            (At::Priority, "priority ", &self.priority, "5, or the rule's"),
        ] {
            let here = self.at == at;
            let used = canvas.put(pen.x, pen.y, name, Role::Quiet, half);
            pen.x += used;
            pen.room = half.saturating_sub(used + 1);
            if field.text().is_empty() && !here {
                canvas.put(pen.x, pen.y, empty, Role::Quiet, pen.room);
            } else {
                pen.field(canvas, field.text(), field.before_cursor(), here);
            }
            pen.x = x + half;
        }
        (pen.x, pen.room) = (x, room);
        pen.y += 1;
    }

    fn draw_foot(
        canvas: &mut Canvas<'_>,
        pen: &mut Pen,
        area: Rect,
        border: Role,
        happen: Vec<(String, Role)>,
        commands: Vec<String>,
    ) {
        let (inner, bottom) = (pen.inner, pen.inner.bottom());
        if pen.y < bottom {
            let title = [span("what will happen", Role::Quiet)];
            canvas.heavy_rule(area, pen.y, Edge::Middle, border, &title, &[]);
            pen.y += 1;
        }
        for (text, role) in happen {
            canvas.put(inner.x, pen.y.min(bottom - 1), &text, role, inner.width);
            pen.y += 1;
        }
        if !commands.is_empty() && pen.y + 1 < bottom {
            let title = [span("the same as a command", Role::Quiet)];
            canvas.heavy_rule(area, pen.y, Edge::Middle, border, &title, &[]);
            for (y, line) in (pen.y + 1..bottom).zip(commands) {
                canvas.put(inner.x, y, &line, Role::Quiet, inner.width);
            }
        }
    }

    fn command_lines(&self, ctx: &Context, width: usize) -> Vec<String> {
        match self.intent(ctx) {
            Ok(intent) => {
                let command = command::of_intent(&ctx.latest, &ctx.info.flags, &intent);
                let lines = wrap(&command, width);
                let cut = lines.len() > 2;
                let mut lines: Vec<String> = lines.into_iter().take(2).collect();
                if cut && let Some(last) = lines.last_mut() {
                    last.push('…');
                }
                lines
            }
            Err(_) => vec!["–".into()],
        }
    }
}

/// Lines cut at the width of the card, as many as there is room for; the last one tells that more follow.
fn wrapped(lines: Vec<(String, Role)>, width: usize, room: usize) -> Vec<(String, Role)> {
    let wrapped = |(text, role): (String, Role)| wrap(&text, width).into_iter().map(move |line| (line, role));
    let mut lines: Vec<_> = lines.into_iter().flat_map(wrapped).collect();
    if lines.len() > room {
        lines.truncate(room);
        if let Some((last, _)) = lines.last_mut() {
            *last = format!("{}…", fit(last, width.saturating_sub(1)).trim_end_matches(['…', ' ']));
        }
    }
    lines
}

fn draw_offer(canvas: &mut Canvas<'_>, area: Rect, ctx: &Context, offer: &Offer, lit: bool) {
    match &offer.about {
        About::Agent(key) => {
            if let Some(agent) = ctx.latest.agents.get(*key) {
                draw_agent(canvas, area, ctx, agent);
            }
        }
        About::Others(count, what) => {
            let name = fit(&offer.text, 18);
            canvas.put_spans(
                area.x,
                area.y,
                &[
                    span(format!("  {name:<18}"), Role::Plain),
                    span(format!("{count:<14}"), Role::Plain),
                    span(what.clone(), Role::Quiet),
                ],
                area.width,
            );
        }
    }
    if lit {
        canvas.tint(area, Role::Accent);
    }
}

fn draw_agent(canvas: &mut Canvas<'_>, area: Rect, ctx: &Context, agent: &Agent) {
    let label = states::agent(agent, ctx.glyphs());
    let speaks = agent
        .interface
        .as_ref()
        .map(|interface| format!("{} {}", interface.dialect, interface.binding.line()));
    let skills: Vec<String> = agent
        .card
        .as_ref()
        .map(|card| card.skills.iter().map(|skill| skill.name.line().into_string()).collect())
        .unwrap_or_default();
    canvas.put_spans(
        area.x,
        area.y,
        &[
            span(format!("{} ", label.mark), label.role),
            span(format!("{:<18}", agent.name.line().fit(18)), Role::Plain),
            span(format!("{:<14}", label.word), label.role),
            span(format!("{:<14}", speaks.unwrap_or_default()), Role::Quiet),
            span(skills.join(", "), Role::Quiet),
        ],
        area.width,
    );
}

fn draw_area(canvas: &mut Canvas<'_>, text: &TextArea<'static>, area: Rect) {
    let area = area.intersection(canvas.area());
    if !area.is_empty() {
        text.render(area, canvas.buffer());
        canvas.disarm(area);
    }
}
