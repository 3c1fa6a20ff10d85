//! Draws the model: the first line, the view in its frame, the story's caption, the last border, and what
//! is open over it. A function of what is known; it asks nothing and keeps nothing.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::actions::Action;
use super::header;
use super::layout::{self, LEAST};
use super::model::Model;
use super::overlays::Overlay;
use super::theme::Role;
use super::widgets::canvas::{Canvas, Joint, span};
use super::widgets::text::wrap;
use unicode_width::UnicodeWidthStr;

/// What drawing has found out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Drawn {
    /// After how long something that was drawn is no longer true.
    pub next_change: Option<Duration>,
    /// Where the terminal's cursor stands, while something is typed.
    pub typing: Option<(u16, u16)>,
}

/// Draws everything.
pub fn render(model: &Model, buffer: &mut Buffer) -> Drawn {
    let shared = &model.shared;
    let mut canvas = Canvas::new(buffer, &shared.theme, &shared.clocks, shared.now);
    let area = canvas.area();
    canvas.tint(area, Role::Plain);
    if area.width < LEAST.0 || area.height < LEAST.1 {
        for (y, line) in (area.top()..area.bottom()).zip(["too small", "to show", "anything"]) {
            canvas.put(area.x, y, line, Role::Warn, area.width);
        }
        return Drawn::default();
    }
    header::draw(&mut canvas, shared, 0);
    let body = layout::body(shared);
    canvas.sides(body, body.y + 1, area.bottom() - 1);
    model.view.screen().draw(&mut canvas, body, shared);
    caption(&mut canvas, model);
    last_border(&mut canvas, model, area);
    for overlay in &model.overlays {
        overlay.draw(&mut canvas, shared);
    }
    if let Some((message, _)) = &model.toast {
        // Above a line that is typed, unless the palette is there.
        let line = model.overlays.iter().find_map(|overlay| match overlay {
            Overlay::Prompt(prompt) => Some(prompt.lines()),
            _ => None,
        });
        let y = match line {
            None => Some(area.bottom() - 1),
            Some(lines) => (lines == 1 && area.height > 4).then(|| area.bottom() - 2),
        };
        if let Some(y) = y {
            toast(&mut canvas, area, y, &message.text, message.role);
        }
    }
    Drawn { next_change: canvas.next_change(), typing: canvas.typing() }
}

fn caption(canvas: &mut Canvas<'_>, model: &Model) {
    let shared = &model.shared;
    let area = layout::caption(shared);
    let (Some(told), true) = (&shared.caption, area.height > 0) else { return };
    canvas.clear(area);
    canvas.tint(area, Role::Caption);
    let stage = shared.on_stage() && area.height == 3;
    let line = if stage { area.y + 1 } else { area.y };
    let mut room = area.width.saturating_sub(4);
    if stage {
        let keys: Vec<&str> = model.keys.iter().map(|(key, _)| key.as_str()).collect();
        let waits =
            if told.waits { format!("{} goes on", shared.key(Action::NextBeat)) } else { String::new() };
        let corner = if keys.is_empty() { waits } else { format!("[ {} ]", keys.join(" ")) };
        let wide = u16::try_from(corner.width()).unwrap_or(0);
        canvas.put_right(area.right() - 2, line, &corner, Role::Caption, wide);
        room = room.saturating_sub(wide + 2);
    }
    if stage {
        let lines = wrap(&told.text, usize::from(room));
        let first = if lines.len() > 1 { area.y } else { line };
        for (y, line) in (first..area.bottom()).zip(&lines) {
            canvas.put(area.x + 2, y, line, Role::Caption, room);
        }
        return;
    }
    let lines = layout::told(shared, &told.text);
    for (y, line) in (line..area.bottom()).zip(&lines) {
        canvas.put(area.x + 2, y, line, Role::Caption, room);
    }
    if usize::from(area.height) > lines.len()
        && let Some(tour) = &told.tour
    {
        canvas.put(area.x + 2, area.bottom() - 1, &format!("press  {tour}"), Role::Caption, room);
    }
}

/// The keys for here, most useful first, help last.
fn last_border(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    let shared = &model.shared;
    let y = area.bottom() - 1;
    canvas.rule(area, y, Joint::Bottom, &[], &[]);
    if let Some(overlay) = model.overlays.last() {
        let words = overlay.keys(shared);
        if !words.is_empty() {
            canvas.put(area.x + 2, y, &format!(" {words} "), Role::Quiet, area.width.saturating_sub(4));
        }
        return;
    }
    let mut keys: Vec<(Action, &str)> = model.view.screen().keys(shared);
    let key = |action: Action| shared.preferences.keys.first(action);
    // What has no key is found by its name.
    keys.retain(|(action, _)| !key(*action).is_empty());
    let wide = |keys: &[(Action, &str)]| -> usize {
        keys.iter().map(|(action, word)| key(*action).width() + word.width() + 3).sum::<usize>() + 8
    };
    while keys.len() > 1 && wide(&keys) > usize::from(area.width.saturating_sub(4)) {
        keys.pop();
    }
    let read_only = shared.info.read_only;
    if !key(Action::Help).is_empty() {
        keys.push((Action::Help, "help"));
    }
    let mut x = area.x + 1;
    x += canvas.put(x, y, " ", Role::Plain, 1);
    for (at, (action, word)) in keys.iter().enumerate() {
        if at > 0 {
            x += canvas.put(x, y, "  ", Role::Plain, 2);
        }
        let from = x;
        let struck = read_only && action.acts();
        let (of_key, of_word) = if struck { (Role::Doubt, Role::Doubt) } else { (Role::Key, Role::Plain) };
        x += canvas.put(x, y, key(*action), of_key, area.right().saturating_sub(x + 1));
        x += canvas.put(x, y, " ", Role::Plain, 1);
        x += canvas.put(x, y, word, of_word, area.right().saturating_sub(x + 1));
        if struck {
            canvas.strike(Rect::new(from, y, x - from, 1));
        }
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
    let joint = if y + 1 == area.bottom() { Joint::Bottom } else { Joint::Middle };
    canvas.rule(area, y, joint, &[span(format!("{first}{more}"), role)], &[]);
}
