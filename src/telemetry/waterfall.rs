//! The bars of a waterfall, in cells.

use super::model::{Activity, Span, UnixNanos};
use super::tree::{Line, Trace, What};

/// One cell of a bar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cell {
    /// Nothing.
    Blank,
    /// It lies on the critical path.
    Critical,
    /// It runs beside it.
    Beside,
    /// Nobody says anything.
    Silent,
    /// Too short to be drawn: a point.
    Point,
    /// It ended with an error here.
    Error,
    /// It goes on.
    Ongoing,
}

/// What a span does, where the conventions say so and its name does not; empty otherwise.
pub fn activity_word(span: &Span) -> &'static str {
    let says = |word: &str| span.name.contains_ignore_case(word);
    match span.activity() {
        Activity::McpTool => "MCP",
        Activity::Tool if !says("tool") => "tool",
        Activity::Model if !says("chat") && !says("model") => "model",
        Activity::Tool | Activity::Model | Activity::Agent | Activity::Other => "",
    }
}

/// The bar of a line in this many cells, each a part of the time from `from` until `until`.
pub fn bar(trace: &Trace, line: &Line, cells: usize, from: UnixNanos, until: UnixNanos) -> Vec<Cell> {
    let mut bar = vec![Cell::Blank; cells];
    let total = until.0.saturating_sub(from.0).max(1);
    if cells == 0 || line.end < from || line.start > until {
        return bar;
    }
    let last = cells - 1;
    let exact = |at: UnixNanos| u128::from(at.0.clamp(from.0, until.0) - from.0) * cells as u128;
    let limited = |cell: u128| usize::try_from(cell).map_or(last, |cell| cell.min(last));
    let cell = |at: UnixNanos| limited(exact(at) / u128::from(total));
    // The cell in which a time ends that begins in another one.
    let end_cell = |start: usize, at: UnixNanos| {
        limited(exact(at).div_ceil(u128::from(total)).saturating_sub(1)).max(start)
    };
    let (span, gap) = match line.what {
        What::Span(place) => (trace.spans.get(place), false),
        What::Gap => (None, true),
    };
    let first = cell(line.start);
    let end = end_cell(first, line.end);
    bar[first..=end].fill(if gap { Cell::Silent } else { Cell::Beside });
    if !gap {
        for (begin, finish) in &line.critical {
            let begin_cell = cell(*begin);
            bar[begin_cell..=end_cell(begin_cell, *finish)].fill(Cell::Critical);
        }
        // A bar shorter than half of a cell would look as long as others.
        let is_short = u128::from(line.end.0 - line.start.0) * 2 * (cells as u128) < u128::from(total);
        if is_short {
            bar[first..=end].fill(Cell::Blank);
            bar[first] = Cell::Point;
        }
    }
    if let Some(span) = span {
        if span.end.is_none() {
            bar[end] = Cell::Ongoing;
        } else if span.status.is_error() {
            bar[end] = Cell::Error;
        }
    }
    bar
}

/// Round times for the axis of a waterfall: the step, so that about `ticks` fit into `total` nanoseconds.
pub fn step(total: u64, ticks: u64) -> u64 {
    let least = (total / ticks.max(1)).max(1);
    let second = 1_000_000_000;
    // 1, 2 and 5 of each power of ten, and what people count in above a second.
    let mut power = 1;
    while power < second {
        for times in [1, 2, 5] {
            if power * times >= least {
                return power * times;
            }
        }
        power *= 10;
    }
    let steps =
        [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200];
    steps
        .into_iter()
        .map(|seconds| seconds * second)
        .find(|step| *step >= least)
        .unwrap_or_else(|| least.div_ceil(86_400 * second) * 86_400 * second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::Untrusted;

    const SECOND: u64 = 1_000_000_000;

    #[track_caller]
    fn check(from: f64, until: f64, critical: &[(f64, f64)], expected: &str) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a test")]
        let at = |seconds: f64| UnixNanos((seconds * 1e9) as u64);
        let line = Line {
            what: What::Gap,
            depth: 0,
            below: 0,
            agent: Untrusted::default(),
            start: at(from),
            end: at(until),
            moved: 0,
            critical: critical.iter().map(|(from, until)| (at(*from), at(*until))).collect(),
            orphan: false,
            plumbing: false,
        };
        let line = Line { what: What::Span(0), ..line };
        let cells = bar(&Trace::default(), &line, 10, at(0.0), at(10.0));
        let drawn: String = cells
            .into_iter()
            .map(|cell| match cell {
                Cell::Blank => ' ',
                Cell::Critical => '=',
                Cell::Beside => '-',
                Cell::Silent => '.',
                Cell::Point => '\'',
                Cell::Error => 'x',
                Cell::Ongoing => '>',
            })
            .collect();
        assert_eq!(drawn, expected, "{from} {until}");
    }

    #[test]
    fn bars_fill_the_cells_of_their_time() {
        check(0.0, 10.0, &[(0.0, 10.0)], "==========");
        check(0.0, 10.0, &[(0.0, 2.0), (8.0, 10.0)], "==------==");
        check(2.0, 5.0, &[], "  ---     ");
        check(2.5, 5.5, &[(2.5, 3.0)], "  =---    ");
        check(9.0, 10.0, &[], "         -");
        check(3.1, 3.2, &[], "   '      ");
        check(10.0, 10.0, &[], "         '");
    }

    #[test]
    fn axes_have_round_steps() {
        for (total, ticks, expected) in [
            (100 * SECOND, 5, 20 * SECOND),
            (112 * SECOND, 5, 30 * SECOND),
            (SECOND, 4, SECOND / 2),
            (0, 4, 1),
            (7 * 86_400 * SECOND, 4, 2 * 86_400 * SECOND),
        ] {
            assert_eq!(step(total, ticks), expected, "{total}");
        }
    }
}
