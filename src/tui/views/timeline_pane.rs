//! The pane of a task's timeline: its cursor, its folds and its search.

use std::collections::BTreeSet;

use ratatui::layout::Rect;

use crate::domain::id::AttemptId;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::theme::Role;
use crate::tui::views::timeline;
use crate::tui::views::timeline::TimelineLine;
use crate::tui::widgets::canvas::{Canvas, width};
use crate::tui::widgets::text::{has, next_hit};

/// Cells of a line's frame, its time, and the time since the line above, with the space after each.
const FRAME: u16 = 3;
const CLOCK: u16 = 13;
const STEP: u16 = 9;

/// The position in a timeline.
#[derive(Debug, Default)]
pub struct TimelinePane {
    /// The line under the cursor; none: the end is followed.
    line: Option<usize>,
    top: usize,
    /// Attempts of which only the first line is shown.
    pub folded: BTreeSet<AttemptId>,
    /// The search text.
    pub search: String,
}

impl TimelinePane {
    /// The line that keys mean, of so many.
    pub fn here(&self, lines: usize) -> usize {
        let last = lines.saturating_sub(1);
        self.line.map_or(last, |line| line.min(last))
    }

    /// True while the cursor is on a line of its own.
    pub fn has_cursor(&self) -> bool {
        self.line.is_some()
    }

    /// A timeline that became short keeps its cursor on its last line.
    pub fn shrink(&mut self, lines: usize) {
        self.line = self.line.map(|line| line.min(lines.saturating_sub(1)));
    }

    fn go(&mut self, line: usize, height: usize) {
        self.line = Some(line);
        if line < self.top {
            self.top = line;
        } else if height > 0 && line >= self.top + height {
            self.top = line + 1 - height;
        }
    }

    /// Handles actions that move, fold or search; false for other actions.
    pub fn act(&mut self, action: Action, lines: &[TimelineLine], height: usize) -> bool {
        let last = lines.len().saturating_sub(1);
        let here = self.here(lines.len());
        let half = (height / 2).max(1);
        match action {
            Action::Down => self.go((here + 1).min(last), height),
            Action::Up => self.go(if self.line.is_none() { last } else { here.saturating_sub(1) }, height),
            Action::HalfDown => self.go((here + half).min(last), height),
            Action::HalfUp => self.go(here.saturating_sub(half), height),
            Action::First => self.go(0, height),
            Action::Last => self.line = None,
            Action::Left | Action::Right => {
                let begins =
                    lines.get(..=here).unwrap_or_default().iter().rposition(|line| line.begins.is_some());
                if let Some(at) = begins
                    && let Some(attempt) = lines[at].begins
                {
                    if action == Action::Left {
                        self.folded.insert(attempt);
                        self.go(at, height);
                    } else {
                        self.folded.remove(&attempt);
                    }
                }
            }
            Action::NextMatch | Action::PrevMatch => self.find(lines, height, action == Action::NextMatch),
            Action::Back if !self.search.is_empty() => self.search.clear(),
            _ => return false,
        }
        true
    }

    fn find(&mut self, lines: &[TimelineLine], height: usize, forward: bool) {
        let here = self.here(lines.len());
        if let Some(at) = next_hit(lines.len(), here, forward, |at| has(&lines[*at].words, &self.search)) {
            self.go(at, height);
        }
    }

    /// Searches for something from the cursor on, or from the first line; returns how many lines match.
    pub fn look_for(&mut self, text: &str, lines: &[TimelineLine], height: usize) -> usize {
        text.clone_into(&mut self.search);
        let hit = |at: &usize| lines.get(*at).is_some_and(|line| has(&line.words, text));
        let from = self.line.unwrap_or(0);
        if let Some(at) = (from..lines.len()).chain(0..from).find(hit) {
            self.go(at, height);
        }
        (0..lines.len()).filter(hit).count()
    }

    /// Puts the cursor on a line of the screen; true if it was there.
    pub fn click(&mut self, row: usize, lines: usize, height: usize) -> bool {
        let first = self.first_line(lines, height);
        let line = first + row;
        if line >= lines {
            return false;
        }
        self.top = first;
        self.line.replace(line) == Some(line)
    }

    fn first_line(&self, lines: usize, height: usize) -> usize {
        let last = lines.saturating_sub(height);
        if self.line.is_none() { last } else { self.top.min(last) }
    }

    /// The width of a pane that shows a line whole.
    pub fn width(line: &TimelineLine) -> u16 {
        let before = if line.begins.is_none() { FRAME + CLOCK + STEP } else { FRAME };
        width(&line.words).saturating_add(before + 2)
    }

    /// Draws the lines that fit.
    pub fn draw(
        &self,
        canvas: &mut Canvas<'_>,
        area: Rect,
        ctx: &Context,
        lines: &[TimelineLine],
        focus: bool,
    ) {
        if lines.is_empty() {
            let room = area.width.saturating_sub(3);
            canvas.put(area.x + 2, area.y + 1, "reading its timeline", Role::Doubt, room);
            return;
        }
        let rows = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let height = usize::from(rows.height);
        let first = self.first_line(lines.len(), height);
        let steps = area.width >= 56;
        for (row, line) in lines.iter().enumerate().skip(first).take(height) {
            let y = rows.y + u16::try_from(row - first).unwrap_or(0);
            let glyphs = ctx.glyphs();
            let here = self.line == Some(row) && focus;
            if here {
                canvas.put(rows.x, y, glyphs.cursor, Role::You, 1);
            }
            let mut x = rows.x + 1;
            canvas.put(x, y, line.frame, Role::Quiet, 2);
            x += FRAME;
            if line.begins.is_none() {
                let before = lines[..row].iter().rev().find_map(|line| line.at);
                // The line with which an attempt begins shows no time.
                let mut shown = lines[first..row].iter().rev().filter(|line| line.begins.is_none());
                let clock = shown.find_map(|line| line.at);
                canvas.put(x, y, &timeline::clock(ctx, line, clock), Role::Quiet, CLOCK - 1);
                x += CLOCK;
                if steps {
                    canvas.put_right(x + STEP - 2, y, &timeline::step(line, before), Role::Quiet, STEP - 2);
                    x += STEP;
                }
            }
            let right = rows.right();
            canvas.put_spans(x, y, &line.words, right.saturating_sub(x + 1));
            if has(&line.words, &self.search) {
                canvas.select(Rect::new(x, y, right.saturating_sub(x + 1), 1));
            }
            if here {
                canvas.select(Rect::new(rows.x + 1, y, rows.width - 1, 1));
            }
        }
    }
}
