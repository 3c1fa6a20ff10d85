//! Where things are on the screen, for drawing and for whoever must know what fits.

use ratatui::layout::Rect;

use super::model::Shared;

/// Below this nothing can be read.
pub const LEAST: (u16, u16) = (24, 6);

/// The whole screen.
pub fn screen(shared: &Shared) -> Rect {
    Rect::new(0, 0, shared.size.0, shared.size.1)
}

/// What the caption says, in one line or two.
pub fn told(shared: &Shared, text: &str) -> Vec<String> {
    let mut lines = super::widgets::text::wrap(text, usize::from(shared.size.0.saturating_sub(4)));
    lines.truncate(2);
    lines
}

/// Lines of the story's caption: one or two, three on a stage, none without a story.
pub fn caption_lines(shared: &Shared) -> u16 {
    match &shared.caption {
        None => 0,
        Some(caption) if caption.text.is_empty() => 0,
        Some(_) if shared.size.1 < 16 => 1,
        Some(caption) => {
            if shared.on_stage() {
                return 3;
            }
            let tour = u16::from(
                shared.info.presenter.is_some_and(|presenter| presenter.tour) && caption.tour.is_some(),
            );
            let lines = told(shared, &caption.text).len();
            u16::try_from(lines).unwrap_or(1) + tour
        }
    }
}

/// The view's part: between the first line and the last border, above the caption.
pub fn body(shared: &Shared) -> Rect {
    let (width, height) = shared.size;
    Rect::new(0, 1, width, height.saturating_sub(2 + caption_lines(shared)))
}

/// The caption's part.
pub fn caption(shared: &Shared) -> Rect {
    let lines = caption_lines(shared);
    let (width, height) = shared.size;
    Rect::new(0, height.saturating_sub(1 + lines), width, lines)
}

/// A card of a size, in the middle of the screen; the whole screen if there is no room beside it.
pub fn card(shared: &Shared, width: u16, height: u16) -> Rect {
    let (w, h) = shared.size;
    let width = width.min(w);
    let height = height.min(h.saturating_sub(2));
    // What leaves only slivers at the sides takes them too.
    let width = if w.saturating_sub(width) < 4 { w } else { width };
    Rect::new((w - width) / 2, 1 + (h.saturating_sub(2) - height) / 2, width, height)
}
