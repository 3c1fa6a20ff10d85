//! A text that can be read like in less: scrolled, searched, followed.

use ratatui::layout::Rect;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::domain::text::contains_ignore_case;
use crate::tui::actions::Action;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, Span, cut_spans, span};

/// The position in a text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TextState {
    /// The first line shown.
    pub top: usize,
    /// The first column shown.
    pub left: usize,
    /// The end is followed.
    pub follow: bool,
    /// The search text.
    pub search: String,
}

impl TextState {
    /// A text whose end is followed.
    pub fn following() -> Self {
        Self { follow: true, ..Self::default() }
    }

    /// The first line shown, for a text of so many lines.
    pub fn first_line(&self, lines: usize, height: usize) -> usize {
        let last = lines.saturating_sub(height);
        if self.follow { last } else { self.top.min(last) }
    }

    /// Scrolls; negative is up.
    pub fn scroll(&mut self, by: isize, lines: usize, height: usize) {
        let last = lines.saturating_sub(height);
        let top = self.first_line(lines, height).saturating_add_signed(by).min(last);
        self.top = top;
        // At the end, following is resumed only on request.
        self.follow &= by > 0 && top == last;
    }

    /// Moves to the beginning.
    pub fn first(&mut self) {
        self.top = 0;
        self.follow = false;
    }

    /// To the end, and on with it.
    pub fn last(&mut self) {
        self.follow = true;
    }

    /// Moves to the next or previous line that contains the search text.
    pub fn find(&mut self, lines: &[Vec<Span>], forward: bool, height: usize) -> bool {
        let here = self.first_line(lines.len(), height);
        match next_hit(lines.len(), here, forward, |at| has(&lines[*at], &self.search)) {
            Some(at) => {
                self.top = at;
                self.follow = false;
                true
            }
            None => false,
        }
    }
}

impl TextState {
    /// Handles actions that move in a text; false for other actions.
    pub fn act(&mut self, action: Action, lines: &[Vec<Span>], height: usize) -> bool {
        let half = isize::try_from(height / 2).unwrap_or(1).max(1);
        let page = isize::try_from(height).unwrap_or(1).max(1);
        let count = lines.len();
        match action {
            Action::Down => self.scroll(1, count, height),
            Action::Up => self.scroll(-1, count, height),
            Action::HalfDown => self.scroll(half, count, height),
            Action::HalfUp => self.scroll(-half, count, height),
            Action::Mark => self.scroll(page, count, height),
            Action::First => self.first(),
            Action::Last => self.last(),
            Action::Left => self.left = self.left.saturating_sub(8),
            Action::Right => self.left += 8,
            Action::NextMatch => {
                self.find(lines, true, height);
            }
            Action::PrevMatch => {
                self.find(lines, false, height);
            }
            Action::Back if !self.search.is_empty() => self.search.clear(),
            Action::Back if self.left > 0 => self.left = 0,
            _ => return false,
        }
        true
    }

    /// Searches for something; the first match at or below the top is shown. Returns how many lines match.
    pub fn look_for(&mut self, text: &str, lines: &[Vec<Span>], height: usize) -> usize {
        text.clone_into(&mut self.search);
        let here = self.first_line(lines.len(), height);
        if !lines.get(here).is_some_and(|line| has(line, text)) {
            self.find(lines, true, height);
        }
        lines.iter().filter(|line| has(line, text)).count()
    }
}

/// True if a line contains what is searched for.
pub fn has(line: &[Span], text: &str) -> bool {
    let whole = || line.iter().map(|span| span.text.as_str()).collect::<String>();
    !text.is_empty() && !line.is_empty() && contains_ignore_case(&whole(), text)
}

/// The next or previous of so many lines from `here` for which something is true; it goes on at the other end.
pub fn next_hit(lines: usize, here: usize, forward: bool, hit: impl Fn(&usize) -> bool) -> Option<usize> {
    let here = here.min(lines.checked_sub(1)?);
    if forward {
        (here + 1..lines).chain(0..=here).find(hit)
    } else {
        (0..here).rev().chain((here..lines).rev()).find(hit)
    }
}

/// Draws the lines that fit.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, lines: &[Vec<Span>], state: &TextState) {
    let height = usize::from(area.height);
    let first = state.first_line(lines.len(), height);
    for (row, line) in lines.iter().skip(first).take(height).enumerate() {
        let y = area.y + u16::try_from(row).unwrap_or(u16::MAX);
        let mut skip = state.left;
        let mut x = area.x;
        for span in line {
            let text = if skip == 0 {
                span.text.as_str()
            } else {
                let wide = span.text.width();
                if wide <= skip {
                    skip -= wide;
                    continue;
                }
                let at = span.text.char_indices().nth(skip).map_or(span.text.len(), |(at, _)| at);
                skip = 0;
                &span.text[at..]
            };
            if x >= area.right() {
                break;
            }
            x += canvas.put(x, y, text, span.role, area.right() - x);
        }
        if has(line, &state.search) {
            canvas.tint(Rect::new(area.x, y, area.width, 1), Role::Accent);
        }
    }
}

/// Lines of pieces cut into lines of at most `width` cells, at spaces where there are some; what follows is indented.
pub fn wrap_spans(lines: &[Vec<Span>], width: usize, indent: usize) -> Vec<Vec<Span>> {
    let indent = if indent * 2 > width { 0 } else { indent };
    let mut wrapped = Vec::new();
    for line in lines {
        let whole: String = line.iter().map(|span| span.text.as_str()).collect();
        if whole.width() <= width {
            wrapped.push(line.clone());
            continue;
        }
        // Everything but the first line is narrower by its indent.
        let first = wrap(&whole, width).swap_remove(0);
        let rest = whole[first.len()..].trim_start();
        let mut at = whole.len() - rest.len();
        wrapped.push(cut_spans(line, 0, first.len()));
        for part in wrap(rest, width - indent) {
            let from = at + whole[at..].find(part.as_str()).unwrap_or(0);
            let mut spans = vec![span(" ".repeat(indent), Role::Plain)];
            spans.extend(cut_spans(line, from, from + part.len()));
            at = from + part.len();
            wrapped.push(spans);
        }
    }
    wrapped
}

/// Text cut into lines of at most `width` cells, at spaces where there are some.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.split('\n') {
        wrap_line(line, width.max(1), &mut lines);
    }
    lines
}

/// One pass over the line, however long it is: agents send lines of megabytes.
fn wrap_line(line: &str, width: usize, lines: &mut Vec<String>) {
    let (mut start, mut used, mut space) = (0, 0, None);
    for (at, c) in line.char_indices() {
        let wide = c.width().unwrap_or(0);
        if used + wide > width && at > start {
            let cut = space.filter(|space: &usize| *space - start > width / 3).unwrap_or(at);
            lines.push(line[start..cut].trim_end().to_owned());
            start = cut;
            used = line[start..at].width();
            space = None;
        }
        used += wide;
        if c == ' ' {
            space = Some(at + 1);
        }
    }
    lines.push(line[start..].to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_wraps_at_spaces() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("unbreakable", 4), ["unbr", "eaka", "ble"]);
        assert_eq!(wrap("a\n\nb", 4), ["a", "", "b"]);
        assert_eq!(wrap("東京都庁", 4), ["東京", "都庁"]);
        assert_eq!(wrap("x", 0), ["x"]);
    }

    #[test]
    fn pieces_wrap_with_their_roles_and_are_indented() {
        let line = [vec![
            span("12:00  ", Role::Quiet),
            span("raised: ", Role::Bad),
            span("is down now", Role::Plain),
        ]];
        for (width, expected) in [
            (40, vec!["12:00  raised: is down now"]),
            (20, vec!["12:00  raised: is", "       down now"]),
            (10, vec!["12:00", "raised:", "is down", "now"]),
        ] {
            let wrapped = wrap_spans(&line, width, 7);
            let text = |line: &Vec<Span>| line.iter().map(|span| span.text.as_str()).collect::<String>();
            let texts: Vec<String> = wrapped.iter().map(text).collect();
            assert_eq!(texts.iter().map(|line| line.trim_end()).collect::<Vec<_>>(), expected, "{width}");
            let all = wrapped.iter().flatten();
            assert!(all.filter(|span| span.role == Role::Bad).all(|span| span.text.starts_with("raised:")));
        }
    }

    #[test]
    fn a_text_is_scrolled_followed_and_searched() {
        let lines: Vec<Vec<Span>> = (0..20).map(|n| vec![span(format!("line {n}"), Role::Plain)]).collect();
        let mut state = TextState::following();
        assert_eq!(state.first_line(20, 5), 15);
        state.scroll(-3, 20, 5);
        assert_eq!((state.first_line(20, 5), state.follow), (12, false));
        state.scroll(100, 20, 5);
        assert_eq!((state.first_line(20, 5), state.follow), (15, false));
        state.search = "LINE 7".into();
        assert!(state.find(&lines, true, 5));
        assert_eq!(state.first_line(20, 5), 7);
        state.search = "nowhere".into();
        assert!(!state.find(&lines, true, 5));
        state.last();
        assert!(state.follow);
    }
}
