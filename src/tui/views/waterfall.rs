//! A trace as a waterfall: its tree at the left, and a bar for each line. Only the lines on the screen are made.

use std::ops::Range;
use std::time::Duration;

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::domain::metrics::percentages;
use crate::domain::text::fit_middle;
use crate::telemetry::model::UnixNanos;
use crate::telemetry::tree::{Line, Trace, What};
use crate::telemetry::waterfall::{Cell, activity_word, bar, step};
use crate::tui::format;
use crate::tui::theme::{Glyphs, Role};
use crate::tui::widgets::canvas::{Canvas, Span, span};

/// The fewest cells of a bar, and of a name.
const BAR: u16 = 20;
const NAME: u16 = 16;
/// The fewest and the most cells of an agent.
const AGENT: Range<u16> = 8..16;
const TOOK: u16 = 7;
/// Levels that are indented; what is deeper stands below the last one.
const LEVELS: usize = 12;

/// The cells that names and agents need, found once for each reading of a trace so that no column moves while one scrolls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Needed {
    name: u16,
    agent: u16,
}

impl Needed {
    /// What the lines of a trace need.
    pub fn of(trace: &Trace, glyphs: &'static Glyphs) -> Self {
        let mut needed = Self::default();
        for line in &trace.lines {
            let label = Label::of(trace, line, glyphs, Fold::None);
            needed.name = needed.name.max(cells(label.width()));
            needed.agent = needed.agent.max(cells(line.agent.line().width()));
        }
        needed
    }
}

fn cells(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// The columns of a waterfall; a column of no cells is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Columns {
    /// The cells of a name.
    pub name: u16,
    agent: u16,
    took: u16,
    bars: u16,
}

/// The columns in a width: the time goes first, then the agent; bars keep their cells, and names are cut.
pub fn columns(width: u16, needed: Needed) -> Columns {
    let least = NAME.min(width.saturating_sub(BAR + 1)) + 1 + BAR;
    let spare = width.saturating_sub(least);
    let agent_least = needed.agent.clamp(1, AGENT.start);
    let has_agent = needed.agent > 0 && spare > agent_least;
    let spare = if has_agent { spare - agent_least - 1 } else { spare };
    let took = if spare > TOOK && (has_agent || needed.agent == 0) { TOOK } else { 0 };
    let spare = if took > 0 { spare - TOOK - 1 } else { spare };
    let mut name = NAME.min(width.saturating_sub(BAR + 1));
    let mut agent = if has_agent { agent_least } else { 0 };
    let mut left = spare;
    let mut grow = |column: &mut u16, most: u16, share: u16| {
        let more = most.saturating_sub(*column).min(left).min(share);
        *column += more;
        left -= more;
    };
    if has_agent {
        grow(&mut agent, needed.agent.min(AGENT.end), spare / 4);
    }
    grow(&mut name, needed.name, spare * 2 / 5);
    Columns { name, agent, took, bars: BAR.min(width) + left }
}

/// Whether a line can be folded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fold {
    /// Nothing is below it.
    None,
    /// What is below it is shown.
    Open,
    /// What is below it is hidden.
    Folded,
}

/// What stands at the left of a line.
struct Label {
    indent: usize,
    fold: &'static str,
    mark: Option<Span>,
    name: String,
    role: Role,
    /// What a span does, and that its clock or parent is in doubt.
    suffix: String,
}

impl Label {
    fn of(trace: &Trace, line: &Line, glyphs: &'static Glyphs, fold: Fold) -> Self {
        let fold = match fold {
            Fold::None => " ",
            Fold::Open => glyphs.open,
            Fold::Folded => glyphs.folded,
        };
        let gap = Some(span(glyphs.gap, Role::Doubt));
        let blank = Self {
            indent: line.depth.min(LEVELS) * 2,
            fold,
            mark: None,
            name: String::new(),
            role: Role::Plain,
            suffix: String::new(),
        };
        let What::Span(place) = line.what else {
            return Self { mark: gap, name: "nothing told".into(), role: Role::Doubt, ..blank };
        };
        let Some(of) = trace.spans.get(place) else { return blank };
        let name = of.name.line().into_string();
        if of.is_own_gap() {
            return Self { mark: gap, name, role: Role::Doubt, ..blank };
        }
        let mut suffix = String::new();
        for word in
            [activity_word(of), if line.moved == 0 { "" } else { "~" }, if line.orphan { "?" } else { "" }]
        {
            if !word.is_empty() {
                suffix.push(' ');
                suffix.push_str(word);
            }
        }
        let failed = of.status.is_error();
        Self {
            mark: failed.then(|| span(glyphs.failed, Role::Bad)),
            role: if failed { Role::Bad } else { Role::Plain },
            name,
            suffix,
            ..blank
        }
    }

    fn width(&self) -> usize {
        self.indent + 2 + self.mark.as_ref().map_or(0, |_| 2) + self.name.width() + self.suffix.width()
    }

    fn draw(&self, canvas: &mut Canvas<'_>, x: u16, y: u16, width: u16) {
        // Where names have little room, the tree has less.
        let indent = cells(self.indent).min(width / 3);
        let right = x + width;
        let mut x = x + indent;
        x += canvas.put(x, y, self.fold, Role::Quiet, right.saturating_sub(x)) + 1;
        if let Some(mark) = &self.mark {
            x += canvas.put(x, y, &mark.text, mark.role, right.saturating_sub(x)) + 1;
        }
        let suffix = cells(self.suffix.width());
        let room = right.saturating_sub(x);
        let suffix = if suffix + 4 <= room { suffix } else { 0 };
        let name = fit_middle(&self.name, usize::from(room - suffix));
        x += canvas.put(x, y, &name, self.role, room - suffix);
        canvas.put(x, y, &self.suffix, Role::Quiet, suffix);
    }
}

/// Draws the head: names of columns, and round times over the bars.
pub fn head(canvas: &mut Canvas<'_>, area: Rect, columns: Columns, trace: &Trace) {
    let mut x = area.x;
    canvas.put(x, area.y, "SPAN", Role::Quiet, columns.name);
    x += columns.name + 1;
    if columns.agent > 0 {
        canvas.put(x, area.y, "AGENT", Role::Quiet, columns.agent);
        x += columns.agent + 1;
    }
    if columns.took > 0 {
        canvas.put_right(x + columns.took, area.y, "TOOK", Role::Quiet, columns.took);
        x += columns.took + 1;
    }
    let total = trace.end.0.saturating_sub(trace.start.0).max(1);
    let step = step(total, u64::from(columns.bars / 9).max(1));
    let mut free = 0;
    for tick in 0..u64::from(columns.bars) {
        let time = tick.saturating_mul(step);
        if time > total {
            break;
        }
        let at = u128::from(time) * u128::from(columns.bars) / u128::from(total);
        let at = u16::try_from(at).unwrap_or(u16::MAX);
        let label = axis(time);
        let wide = cells(label.width());
        if at >= free && at + wide <= columns.bars {
            canvas.put(x + at, area.y, &label, Role::Quiet, wide);
            free = at + wide + 1;
        }
    }
}

/// A time of the axis: `0s`, `20s`, `1m20s`, `500ms`, `50µs`.
fn axis(nanos: u64) -> String {
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}us", nanos / 1_000),
        _ => format::duration(Duration::from_nanos(nanos)),
    }
}

/// How a cell of a bar looks.
fn look(cell: Cell, glyphs: &'static Glyphs) -> (&'static str, Role) {
    match cell {
        Cell::Blank => (" ", Role::Plain),
        Cell::Critical => (glyphs.bar, Role::Plain),
        Cell::Beside => (glyphs.beside, Role::Quiet),
        Cell::Silent => (glyphs.gap, Role::Doubt),
        Cell::Point => (glyphs.point, Role::Plain),
        Cell::Error => (glyphs.failed, Role::Bad),
        Cell::Ongoing => (glyphs.working, Role::Key),
    }
}

/// Draws a line of the tree with its bar.
pub fn line(canvas: &mut Canvas<'_>, area: Rect, columns: Columns, trace: &Trace, line: &Line, fold: Fold) {
    let glyphs = canvas.theme.glyphs;
    let y = area.y;
    let mut x = area.x;
    let is_gap = match line.what {
        What::Gap => true,
        What::Span(place) => trace.spans.get(place).is_some_and(|of| of.is_own_gap()),
    };
    Label::of(trace, line, glyphs, fold).draw(canvas, x, y, columns.name);
    x += columns.name + 1;
    if columns.agent > 0 {
        let agent = line.agent.line();
        let (agent, role) =
            if is_gap || agent.is_empty() { ("–", Role::Quiet) } else { (&*agent, Role::Plain) };
        canvas.put(x, y, &fit_middle(agent, usize::from(columns.agent)), role, columns.agent);
        x += columns.agent + 1;
    }
    if columns.took > 0 {
        canvas.put_right(x + columns.took, y, &took(line.took()), Role::Quiet, columns.took);
        x += columns.took + 1;
    }
    let bar = bar(trace, line, usize::from(columns.bars), trace.start, trace.end);
    let mut from = 0;
    while from < bar.len() {
        let same = bar[from..].iter().take_while(|cell| **cell == bar[from]).count();
        if bar[from] != Cell::Blank {
            let silent = is_gap && matches!(bar[from], Cell::Critical | Cell::Beside);
            let (glyph, role) = look(if silent { Cell::Silent } else { bar[from] }, glyphs);
            let wide = cells(same);
            canvas.put(x + cells(from), y, &glyph.repeat(same), role, wide);
        }
        from += same;
    }
}

/// A time that a span took, in at most seven cells.
pub fn took(time: Duration) -> String {
    match time.as_micros() {
        1..1_000 => format!("{}us", time.as_micros()),
        _ => format::measured(time),
    }
}

/// What the signs of bars mean, as many as fit.
pub fn legend(canvas: &Canvas<'_>, width: u16) -> Vec<Span> {
    let glyphs = canvas.theme.glyphs;
    let signs = [
        (Cell::Critical, "on the critical path"),
        (Cell::Beside, "beside it"),
        (Cell::Silent, "nobody told us"),
        (Cell::Error, "error"),
        (Cell::Ongoing, "goes on"),
        (Cell::Point, "too short to draw"),
    ];
    let mut spans = Vec::new();
    let mut used = 0;
    for (cell, words) in signs {
        let (glyph, role) = look(cell, glyphs);
        let gap = if spans.is_empty() { "" } else { "  " };
        let wide = gap.len() + 2 + words.width();
        if used + wide > usize::from(width) {
            break;
        }
        used += wide;
        spans.push(span(format!("{gap}{glyph}"), role));
        spans.push(span(format!(" {words}"), Role::Quiet));
    }
    spans
}

/// Where the time of the critical path went in percent, and how long each part is; the longest first.
pub fn shares(trace: &Trace, with_times: bool) -> Vec<Span> {
    let parts: Vec<u128> = trace.shares.iter().map(|share| share.time.as_nanos()).collect();
    let mut spans = Vec::new();
    for (share, percent) in trace.shares.iter().zip(percentages(&parts)).take(SHARES) {
        if !spans.is_empty() {
            spans.push(span(" · ", Role::Quiet));
        }
        let (who, role) = match &share.who {
            Some(who) => (who.line().fit(24), Role::Plain),
            None => ("nobody says".to_owned(), Role::Doubt),
        };
        let percent = if percent == 0 { "<1".to_owned() } else { percent.to_string() };
        let time = if with_times { format!(", {}", took(share.time)) } else { String::new() };
        spans.push(span(format!("{who} {percent} %{time}"), role));
    }
    spans
}

/// Shares in the line below a waterfall, at most.
const SHARES: usize = 8;

/// A time from the begin of a trace.
pub fn offset(trace: &Trace, at: UnixNanos) -> String {
    let time = at.since(trace.start);
    if time.is_zero() { "at 0s".to_owned() } else { format!("at {}", took(time)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_keep_their_cells_and_names_theirs() {
        let needed = Needed { name: 40, agent: 12 };
        for width in 0..200 {
            let columns = columns(width, needed);
            let optional = |cells: u16| if cells > 0 { cells + 1 } else { 0 };
            let total = columns.name + 1 + optional(columns.agent) + optional(columns.took) + columns.bars;
            assert!(width < BAR + 1 || total == width, "{width}: {columns:?}");
            assert!(width < BAR || columns.bars >= BAR, "{width}: {columns:?}");
            // The time goes before the agent.
            assert!(columns.took == 0 || columns.agent > 0, "{width}: {columns:?}");
        }
        let of = |width| columns(width, needed);
        assert_eq!((of(38).agent, of(38).took), (0, 0));
        assert_eq!((of(46).agent, of(46).took), (8, 0));
        assert_eq!((of(98).agent, of(98).took), (12, TOOK));
    }
}
