//! Layout of the screen, for drawing and for everything that must know what fits.

use ratatui::layout::Rect;

use crate::tui::context::Context;

/// The smallest screen, in columns and rows, on which anything can be read.
pub const LEAST: (u16, u16) = (24, 6);

/// The whole screen.
pub fn screen(ctx: &Context) -> Rect {
    Rect::new(0, 0, ctx.size.0, ctx.size.1)
}

/// The text of the caption, in one line or two.
pub fn caption_text(ctx: &Context, text: &str) -> Vec<String> {
    let mut lines = crate::tui::widgets::text::wrap(text, usize::from(ctx.size.0.saturating_sub(4)));
    lines.truncate(2);
    lines
}

/// Below this height the caption has one line, beside the one that says what to press.
const LOW: u16 = 16;

/// Lines of the caption: one or two and what to press, three on stage, none without a presentation.
pub fn caption_lines(ctx: &Context) -> u16 {
    let Some(caption) = ctx.caption.as_ref().filter(|caption| !caption.text.is_empty()) else { return 0 };
    let is_low = ctx.size.1 < LOW;
    if ctx.on_stage() {
        return if is_low { 1 } else { 3 };
    }
    let is_tour = ctx.info.presenter.is_some_and(|presenter| presenter.tour);
    let tour = u16::from(is_tour && caption.tour.is_some());
    let lines = if is_low { 1 } else { caption_text(ctx, &caption.text).len() };
    u16::try_from(lines).unwrap_or(1) + tour
}

/// The area of the view: between the first line and the last border, above the caption.
pub fn body(ctx: &Context) -> Rect {
    let (width, height) = ctx.size;
    Rect::new(0, 1, width, height.saturating_sub(2 + caption_lines(ctx)))
}

/// The area of the caption.
pub fn caption(ctx: &Context) -> Rect {
    let lines = caption_lines(ctx);
    let (width, height) = ctx.size;
    Rect::new(0, height.saturating_sub(1 + lines), width, lines)
}

/// The area of a card, centred; the whole screen if the card does not fit.
pub fn card(ctx: &Context, width: u16, height: u16) -> Rect {
    let (w, h) = ctx.size;
    let width = width.min(w);
    let height = height.min(h.saturating_sub(2));
    // A card that would leave only slivers at its sides takes the whole width.
    let width = if w.saturating_sub(width) < 4 { w } else { width };
    Rect::new((w - width) / 2, 1 + (h.saturating_sub(2) - height) / 2, width, height)
}
