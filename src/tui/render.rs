//! Draws the model: the first line, the view in its frame, the caption, the last border, and what is open over
//! it. It is a pure function of the model.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::tui::actions::Action;
use crate::tui::layout::LEAST;
use crate::tui::model::Model;
use crate::tui::overlays::Overlay;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, DrawnText, Edge, span, whole_hints};
use crate::tui::widgets::text::wrap;
use crate::tui::{header, layout};

/// Results of drawing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Drawn {
    /// After how long something that was drawn is no longer true.
    pub next_change: Option<Duration>,
    /// The position of the terminal's cursor while the operator types.
    pub typing: Option<(u16, u16)>,
}

/// Draws everything.
pub fn render(model: &Model, buffer: &mut Buffer) -> Drawn {
    let ctx = &model.context;
    let mut canvas = Canvas::new(buffer, &ctx.theme, &ctx.clocks, ctx.now);
    paint(model, &mut canvas)
}

/// Draws everything, and returns every text in the order in which it was put, so that a layout can be checked.
pub fn render_recorded(model: &Model, buffer: &mut Buffer) -> Vec<DrawnText> {
    let ctx = &model.context;
    let mut canvas = Canvas::new(buffer, &ctx.theme, &ctx.clocks, ctx.now);
    canvas.record();
    paint(model, &mut canvas);
    canvas.into_recorded()
}

fn paint(model: &Model, canvas: &mut Canvas<'_>) -> Drawn {
    let ctx = &model.context;
    let area = canvas.area();
    canvas.tint(area, Role::Plain);
    if area.width < LEAST.0 || area.height < LEAST.1 {
        for (y, line) in (area.top()..area.bottom()).zip(["too small", "to show", "anything"]) {
            canvas.put(area.x, y, line, Role::Warn, area.width);
        }
        return Drawn::default();
    }
    header::draw(canvas, ctx, 0);
    let body = layout::body(ctx);
    canvas.sides(body, body.y + 1, area.bottom() - 1);
    model.view.screen().draw(canvas, body, ctx);
    caption(canvas, model);
    last_border(canvas, model, area);
    for overlay in &model.overlays {
        if overlay.dims() {
            canvas.dim(body);
        }
        overlay.draw(canvas, ctx);
    }
    if let Some((message, _)) = &model.toast {
        // Above the input line, unless the palette is there.
        let line = model.overlays.iter().find_map(|overlay| match overlay {
            Overlay::Prompt(prompt) => Some(prompt.lines()),
            _ => None,
        });
        let y = match line {
            None => Some(area.bottom() - 1),
            Some(lines) => (lines == 1 && area.height > 4).then(|| area.bottom() - 2),
        };
        if let Some(y) = y {
            toast(canvas, area, y, &message.text, message.role);
        }
    }
    Drawn { next_change: canvas.next_change(), typing: canvas.typing() }
}

fn caption(canvas: &mut Canvas<'_>, model: &Model) {
    let ctx = &model.context;
    let area = layout::caption(ctx);
    let (Some(caption), true) = (&ctx.caption, area.height > 0) else { return };
    canvas.clear(area);
    canvas.tint(area, Role::Caption);
    let stage = ctx.on_stage() && area.height == 3;
    let line = if stage { area.y + 1 } else { area.y };
    let mut room = area.width.saturating_sub(4);
    if stage {
        let keys: Vec<&str> = model.keys.iter().map(|(key, _)| key.as_str()).collect();
        let waits =
            if caption.waits { format!("{} continues", ctx.key(Action::NextBeat)) } else { String::new() };
        let corner = if keys.is_empty() { waits } else { format!("[ {} ]", keys.join(" ")) };
        let wide = u16::try_from(corner.width()).unwrap_or(0);
        canvas.put_right(area.right() - 2, line, &corner, Role::Caption, wide);
        room = room.saturating_sub(wide + 2);
    }
    if stage {
        let lines = wrap(&caption.text, usize::from(room));
        let first = if lines.len() > 1 { area.y } else { line };
        for (y, line) in (first..area.bottom()).zip(&lines) {
            canvas.put(area.x + 2, y, line, Role::Caption, room);
        }
        return;
    }
    let is_tour = ctx.info.presenter.is_some_and(|presenter| presenter.tour);
    let tour = caption.tour.as_ref().filter(|_| is_tour && area.height > 1);
    let mut end = area.bottom();
    if let Some(tour) = tour {
        // What to press is told in full, if need be instead of the text.
        let lines = wrap(&format!("press  {tour}"), usize::from(room));
        end = area.bottom().saturating_sub(u16::try_from(lines.len()).unwrap_or(1)).max(area.y);
        for (y, line) in (end..area.bottom()).zip(&lines) {
            canvas.put(area.x + 2, y, line, Role::Caption, room);
        }
    }
    // A single line shows the beginning of the text, with its cut.
    let lines = layout::caption_text(ctx, &caption.text);
    let lines = if end.saturating_sub(line) == 1 { vec![caption.text.clone()] } else { lines };
    for (y, line) in (line..end).zip(&lines) {
        canvas.put(area.x + 2, y, line, Role::Caption, room);
    }
}

/// The keys for here, most useful first, help last.
fn last_border(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    let ctx = &model.context;
    let y = area.bottom() - 1;
    canvas.rule(area, y, Edge::Bottom, &[], &[]);
    if let Some(overlay) = model.overlays.last() {
        let words = overlay.keys(ctx);
        if !words.is_empty() {
            let words = whole_hints(&[span(words, Role::Quiet)], area.width.saturating_sub(6));
            let words = words.first().map_or("", |words| words.text.as_str());
            canvas.put(area.x + 2, y, &format!(" {words} "), Role::Quiet, area.width.saturating_sub(4));
        }
        return;
    }
    let mut keys: Vec<(Action, &str)> = model.view.screen().keys(ctx);
    let key = |action: Action| ctx.preferences.keys.first(action);
    // Actions without a key are found by name.
    keys.retain(|(action, _)| !key(*action).is_empty() && ctx.offers(*action));
    let wide = |keys: &[(Action, &str)]| -> usize {
        keys.iter().map(|(action, word)| key(*action).width() + word.width() + 3).sum::<usize>() + 8
    };
    while keys.len() > 1 && wide(&keys) > usize::from(area.width.saturating_sub(4)) {
        keys.pop();
    }
    if !key(Action::Help).is_empty() {
        keys.push((Action::Help, "help"));
    }
    let mut x = area.x + 1;
    x += canvas.put(x, y, " ", Role::Plain, 1);
    for (at, (action, word)) in keys.iter().enumerate() {
        if at > 0 {
            x += canvas.put(x, y, "  ", Role::Plain, 2);
        }
        x += canvas.put(x, y, key(*action), Role::Key, area.right().saturating_sub(x + 1));
        x += canvas.put(x, y, " ", Role::Plain, 1);
        x += canvas.put(x, y, word, Role::Plain, area.right().saturating_sub(x + 1));
    }
    if x + 2 < area.right() {
        canvas.put(x, y, " ", Role::Plain, 1);
    }
}

/// A message over a line, usually the last border.
fn toast(canvas: &mut Canvas<'_>, area: Rect, y: u16, text: &str, role: Role) {
    let room = usize::from(area.width.saturating_sub(6));
    let lines = wrap(text, room);
    let first = lines.first().map_or("", String::as_str);
    let more = if lines.len() > 1 { format!(" {}", canvas.theme.glyphs.ellipsis) } else { String::new() };
    let joint = if y + 1 == area.bottom() { Edge::Bottom } else { Edge::Middle };
    canvas.rule(area, y, joint, &[span(format!("{first}{more}"), role)], &[]);
}
