//! Drawing into the screen's cells: text by role, frames with titles, and the time at which the drawing becomes
//! outdated.

use std::cell::Cell;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use unicode_width::UnicodeWidthStr;

use crate::domain::text::{fit, is_control_or_hidden};
use crate::domain::time::At;
use crate::tui::format;
use crate::tui::format::Clocks;
use crate::tui::theme::{Depth, Role, Theme};

/// The screen's cells, with what drawing needs.
#[derive(Debug)]
pub struct Canvas<'a> {
    buffer: &'a mut Buffer,
    /// The looks.
    pub theme: &'a Theme,
    /// The clocks.
    pub clocks: &'a Clocks,
    /// The time that is drawn.
    pub now: At,
    next: Cell<Option<Duration>>,
    typing: Cell<Option<(u16, u16)>>,
    /// Every text drawn, if recording is on.
    recorded: Option<Vec<DrawnText>>,
}

/// A drawn text, for tests of the layout.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DrawnText {
    /// The column of its first cell.
    pub x: u16,
    /// The row.
    pub y: u16,
    /// Cells that it was given.
    pub width: u16,
    /// The whole text.
    pub text: String,
    /// The text was longer than its cells.
    pub is_cut: bool,
    /// The previous text of those cells.
    pub before: String,
}

/// A piece of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// Printable text.
    pub text: String,
    /// Its meaning.
    pub role: Role,
}

/// A piece of a line.
pub fn span(text: impl Into<String>, role: Role) -> Span {
    Span { text: text.into(), role }
}

/// Cells that pieces take.
pub fn width(spans: &[Span]) -> u16 {
    cells(spans.iter().map(|span| span.text.width()).sum::<usize>())
}

fn cells(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// How the top line of a pane joins what is above it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edge {
    /// The top of a frame.
    Top,
    /// A line across a frame.
    Middle,
    /// The bottom of a frame.
    Bottom,
}

impl<'a> Canvas<'a> {
    /// A canvas over a buffer.
    pub fn new(buffer: &'a mut Buffer, theme: &'a Theme, clocks: &'a Clocks, now: At) -> Self {
        Self { buffer, theme, clocks, now, next: Cell::new(None), typing: Cell::new(None), recorded: None }
    }

    /// Records every text drawn from now on.
    pub fn record(&mut self) {
        self.recorded = Some(Vec::new());
    }

    /// The texts that were put, in order; empty unless they are recorded.
    pub fn into_recorded(self) -> Vec<DrawnText> {
        self.recorded.unwrap_or_default()
    }

    /// The whole screen.
    pub fn area(&self) -> Rect {
        self.buffer.area
    }

    /// After how long something that was drawn is no longer true.
    pub fn next_change(&self) -> Option<Duration> {
        self.next.get()
    }

    fn true_for(&self, left: Duration) {
        self.next.set(Some(self.next.get().map_or(left, |next| next.min(left))));
    }

    /// An age that is updated every second.
    pub fn age(&self, since: At) -> String {
        let (text, left) = format::age(self.now, since);
        self.true_for(left);
        text
    }

    /// An age by its largest unit, for ages that rarely change.
    pub fn coarse_age(&self, since: At) -> String {
        let (text, left) = format::coarse_age(self.now, since);
        self.true_for(left);
        text
    }

    /// A time of day with its age.
    pub fn since(&self, at: At) -> String {
        format!("{}  {}", self.clocks.second(at, self.now), self.coarse_age(at))
    }

    /// The position of the terminal's cursor while the operator types.
    pub fn typing(&self) -> Option<(u16, u16)> {
        self.typing.get()
    }

    /// Puts the terminal's cursor somewhere.
    pub fn type_at(&self, x: u16, y: u16) {
        self.typing.set(Some((x, y)));
    }

    /// The cells themselves, for widgets of libraries.
    pub fn buffer(&mut self) -> &mut Buffer {
        self.buffer
    }

    /// The clock of the first line.
    pub fn minute(&self) -> String {
        let (text, left) = self.clocks.minute(self.now);
        self.true_for(left);
        text
    }

    fn style(&self, role: Role) -> Style {
        self.theme.style(role)
    }

    /// Puts text at a place, in at most `most` cells; returns the cells used.
    pub fn put(&mut self, x: u16, y: u16, text: &str, role: Role, most: u16) -> u16 {
        let area = self.buffer.area;
        if y >= area.bottom() || x >= area.right() || most == 0 {
            return 0;
        }
        let most = most.min(area.right() - x);
        if self.recorded.is_some() {
            self.note(x, y, text, most);
        }
        let style = self.style(role);
        let fitting;
        let text = if text.width() > usize::from(most) {
            fitting = self.shortened(text, usize::from(most));
            &fitting
        } else {
            text
        };
        let ascii;
        let text = if self.theme.is_ascii() && !text.is_ascii() {
            ascii = to_ascii(text);
            &ascii
        } else {
            text
        };
        let (end, _) = self.buffer.set_stringn(x, y, text, usize::from(most), style);
        end - x
    }

    fn note(&mut self, x: u16, y: u16, text: &str, most: u16) {
        let width = cells(text.width()).min(most);
        let before = (x..x + width).map(|x| self.buffer[(x, y)].symbol()).collect();
        let is_cut = text.width() > usize::from(most);
        let put = DrawnText { x, y, width, text: text.to_owned(), is_cut, before };
        self.recorded.iter_mut().for_each(|recorded| recorded.push(put.clone()));
    }

    fn shortened(&self, text: &str, most: usize) -> String {
        let cut = fit(text, most);
        if self.theme.is_ascii() { cut.replace('…', self.theme.glyphs.ellipsis) } else { cut }
    }

    /// Draws pieces in a row; returns the cells used.
    pub fn put_spans(&mut self, x: u16, y: u16, spans: &[Span], most: u16) -> u16 {
        let mut used = 0;
        for span in spans {
            if used >= most {
                break;
            }
            used += self.put(x + used, y, &span.text, span.role, most - used);
        }
        used
    }

    /// Puts text so that it ends at a place.
    pub fn put_right(&mut self, right: u16, y: u16, text: &str, role: Role, most: u16) -> u16 {
        let wide = cells(text.width()).min(most);
        self.put(right.saturating_sub(wide), y, text, role, wide)
    }

    /// Changes the style of cells, not their text.
    pub fn tint(&mut self, area: Rect, role: Role) {
        let style = self.style(role);
        self.buffer.set_style(area.intersection(self.buffer.area), style);
    }

    /// Shows a row as selected. Colours with a meaning stay.
    pub fn select(&mut self, area: Rect) {
        let accent = self.style(Role::Accent);
        // Of 16 colours, few can be read on that of the selection: there the row is turned round.
        let is_turned = self.theme.depth == Depth::Sixteen;
        let keeps = is_turned || accent.bg.is_some();
        let lit = if is_turned {
            Style::new().fg(Color::Reset).add_modifier(Modifier::REVERSED | Modifier::BOLD)
        } else {
            accent
        };
        let meant = [Role::Ok, Role::Warn, Role::Bad, Role::You].map(|role| self.style(role).fg);
        let area = area.intersection(self.buffer.area);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                let cell = &mut self.buffer[(x, y)];
                let fg = Some(cell.fg).filter(|fg| keeps && meant.contains(&Some(*fg)));
                cell.set_style(lit);
                if let Some(fg) = fg {
                    cell.set_fg(fg);
                }
            }
        }
    }

    /// Dims everything, behind something that is open over it.
    pub fn dim(&mut self, area: Rect) {
        let quiet = self.style(Role::Quiet);
        let area = area.intersection(self.buffer.area);
        let paper = self.style(Role::Plain);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                let cell = &mut self.buffer[(x, y)];
                // Where secondary text has the colour of text, it is only less bright.
                let is_bright = quiet.fg == Some(Color::Reset);
                cell.modifier = if is_bright { Modifier::DIM } else { Modifier::empty() };
                cell.set_fg(Color::Reset).set_style(paper).set_style(quiet);
                if paper.bg.is_none() {
                    cell.set_bg(Color::Reset);
                }
            }
        }
    }

    /// Makes cells empty.
    pub fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        let paper = self.style(Role::Plain);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                let cell = &mut self.buffer[(x, y)];
                cell.reset();
                cell.set_style(paper);
            }
        }
    }

    /// Replaces control and hidden characters in cells that a library drew.
    pub fn disarm(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                let cell = &mut self.buffer[(x, y)];
                if cell.symbol().chars().any(is_control_or_hidden) {
                    cell.set_symbol("\u{fffd}");
                }
            }
        }
    }

    /// Replaces characters that a library drew with ASCII.
    pub fn ascii_only(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                let cell = &mut self.buffer[(x, y)];
                if !cell.symbol().is_ascii() {
                    let plain = match cell.symbol() {
                        "│" => "|",
                        "─" => "-",
                        "└" => "+",
                        "•" => "*",
                        _ => "?",
                    };
                    cell.set_symbol(plain);
                }
            }
        }
    }

    /// Underlines one cell: the letter that sorts.
    pub fn underline(&mut self, x: u16, y: u16) {
        let style = Style::new().add_modifier(Modifier::UNDERLINED);
        let area = Rect::new(x, y, 1, 1).intersection(self.buffer.area);
        self.buffer.set_style(area, style);
    }

    /// A line of a frame with a title at the left and facts at the right.
    pub fn rule(&mut self, area: Rect, y: u16, joint: Edge, title: &[Span], facts: &[Span]) {
        let glyphs = self.theme.glyphs;
        let (left, right) = match joint {
            Edge::Top => (glyphs.top_left, glyphs.top_right),
            Edge::Middle => (glyphs.tee_left, glyphs.tee_right),
            Edge::Bottom => (glyphs.bottom_left, glyphs.bottom_right),
        };
        self.line(area, y, (left, glyphs.horizontal, right, false), Role::Border, title, facts);
    }

    /// A line across a frame that meets the line between two panes above it.
    pub fn rule_across(&mut self, area: Rect, y: u16, title: &[Span], facts: &[Span], right: Option<Rect>) {
        self.rule(area, y, Edge::Middle, title, facts);
        if let Some(right) = right.filter(|right| right.x > area.x + 1) {
            let x = right.x - 1;
            let glyphs = self.theme.glyphs;
            let cell = &self.buffer[(x, y)];
            if cell.symbol() == glyphs.horizontal {
                self.put(x, y, glyphs.tee_up, Role::Border, 1);
            }
        }
    }

    /// A line of a card.
    pub fn heavy_rule(
        &mut self,
        area: Rect,
        y: u16,
        joint: Edge,
        role: Role,
        title: &[Span],
        facts: &[Span],
    ) {
        let glyphs = self.theme.glyphs;
        let (left, middle, right) = match joint {
            Edge::Top => (glyphs.heavy_top_left, glyphs.heavy_horizontal, glyphs.heavy_top_right),
            Edge::Middle => (glyphs.heavy_tee_left, glyphs.horizontal, glyphs.heavy_tee_right),
            Edge::Bottom => (glyphs.heavy_bottom_left, glyphs.heavy_horizontal, glyphs.heavy_bottom_right),
        };
        self.line(area, y, (left, middle, right, joint == Edge::Bottom), role, title, facts);
    }

    fn line(
        &mut self,
        area: Rect,
        y: u16,
        (left, middle, right, is_bottom): (&str, &str, &str, bool),
        role: Role,
        title: &[Span],
        facts: &[Span],
    ) {
        if area.width < 2 || y >= self.buffer.area.bottom() {
            return;
        }
        let (from, to) = (area.x, area.right() - 1);
        self.put(from, y, left, role, 1);
        for x in from + 1..to {
            self.put(x, y, middle, role, 1);
        }
        self.put(to, y, right, role, 1);
        let room = area.width.saturating_sub(4);
        // What keys do is left out from the end, never cut in mid-word.
        let whole;
        let title = if is_bottom {
            whole = whole_hints(title, room.saturating_sub(1));
            &whole
        } else {
            title
        };
        let padded = |spans: &[Span]| if width(spans) == 0 { 0 } else { width(spans).saturating_add(2) };
        let title_width = padded(title);
        // The title is cut before the facts, but something of it stays.
        let facts = shortened(facts, room.saturating_sub(title_width.min(LEAST_TITLE) + 2));
        let facts_width = padded(&facts);
        if title_width > 0 {
            self.put(from + 1, y, " ", Role::Plain, 1);
            let used = self.put_spans(from + 2, y, title, (room - facts_width).saturating_sub(1));
            self.put(from + 2 + used, y, " ", Role::Plain, 1);
        }
        if facts_width > 0 {
            let at = to - facts_width;
            self.put(at, y, " ", Role::Plain, 1);
            let used = self.put_spans(at + 1, y, &facts, facts_width);
            self.put(at + 1 + used, y, " ", Role::Plain, 1);
        }
    }

    /// The sides of a frame.
    pub fn sides(&mut self, area: Rect, from: u16, to: u16) {
        let vertical = self.theme.glyphs.vertical;
        for y in from..to {
            self.put(area.x, y, vertical, Role::Border, 1);
            self.put(area.right().saturating_sub(1), y, vertical, Role::Border, 1);
        }
    }

    /// The sides of a card.
    pub fn heavy_sides(&mut self, area: Rect, from: u16, to: u16, role: Role) {
        let vertical = self.theme.glyphs.heavy_vertical;
        for y in from..to {
            self.put(area.x, y, vertical, role, 1);
            self.put(area.right().saturating_sub(1), y, vertical, role, 1);
        }
    }

    /// A line down between two panes, with its joints.
    pub fn divider(&mut self, x: u16, from: u16, to: u16) {
        let glyphs = self.theme.glyphs;
        self.put(x, from, glyphs.tee_down, Role::Border, 1);
        for y in from + 1..to {
            self.put(x, y, glyphs.vertical, Role::Border, 1);
        }
        if to < self.buffer.area.bottom() {
            self.put(x, to, glyphs.tee_up, Role::Border, 1);
        }
    }
}

/// Hints of keys that fit into `room` cells: whole ones are left out from the end. Two spaces stand between them.
pub fn whole_hints(hints: &[Span], room: u16) -> Vec<Span> {
    let mut text: String = hints.iter().map(|hint| hint.text.as_str()).collect();
    while text.width() > usize::from(room) {
        let Some(cut) = text.trim_end().rfind("  ") else { break };
        text.truncate(cut);
    }
    cut_spans(hints, 0, text.trim_end().len())
}

/// The bytes of a line of pieces from one place to another.
pub fn cut_spans(line: &[Span], from: usize, to: usize) -> Vec<Span> {
    let mut at = 0;
    let mut cut = Vec::new();
    for one in line {
        let (start, end) = (from.max(at), to.min(at + one.text.len()));
        if start < end {
            cut.push(span(&one.text[start - at..end - at], one.role));
        }
        at += one.text.len();
    }
    cut
}

/// The cells that a title keeps beside facts, if it is longer.
const LEAST_TITLE: u16 = 26;
/// What separates facts.
const SEPARATOR: &str = " · ";

/// Facts that fit into `room` cells: whole ones are left out from the end, those that are emphasized last.
fn shortened(facts: &[Span], room: u16) -> Vec<Span> {
    let mut facts = facts.to_vec();
    while width(&facts) > room {
        let is_quiet = |span: &Span| matches!(span.role, Role::Plain | Role::Quiet | Role::Doubt);
        let Some(at) = facts.iter().rposition(is_quiet).or(facts.len().checked_sub(1)) else { break };
        match facts[at].text.rfind(SEPARATOR).filter(|cut| *cut > 0) {
            Some(cut) => facts[at].text.truncate(cut),
            None => drop(facts.remove(at)),
        }
    }
    if let Some(first) = facts.first_mut()
        && let Some(rest) = first.text.strip_prefix(SEPARATOR)
    {
        first.text = rest.to_owned();
    }
    facts
}

/// Our symbols in ASCII; letters of other scripts become `?`.
fn to_ascii(text: &str) -> String {
    let separates = text.contains(SEPARATOR);
    text.chars()
        .map(|c| match c {
            ' '..='~' => c,
            // A cut, a separator and a count of zero must not look alike.
            '…' => '~',
            '·' if separates => '-',
            '·' => '.',
            '–' | '—' | '╌' | '─' | '━' => '-',
            '→' | '▸' => '>',
            '←' | '⇐' | '◂' => '<',
            '│' | '┃' | '┤' => '|',
            '×' => 'x',
            '“' | '”' | '„' => '"',
            '‘' | '’' => '\'',
            _ => '?',
        })
        .collect()
}
