//! The tree of a trace with its cursor: which lines are folded away, which are on the screen, and what is found.

use std::collections::BTreeSet;

use crate::domain::trace::SpanId;
use crate::telemetry::model::{Span as TraceSpan, UnixNanos};
use crate::telemetry::tree::{Line, Trace, What};
use crate::tui::actions::Action;
use crate::tui::views::waterfall::Fold;
use crate::tui::widgets::text::next_hit;

/// A line, whatever else the trace gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LineKey {
    Span(SpanId),
    Gap(UnixNanos),
}

/// A trace, and the position in it.
#[derive(Debug, Default)]
pub struct TraceTree {
    /// The trace.
    pub trace: Trace,
    /// The lines that are not folded away, by their places.
    pub rows: Vec<usize>,
    /// The first row shown.
    pub top: usize,
    /// The row of the cursor.
    pub row: usize,
    /// The search text.
    pub search: String,
    folded: BTreeSet<SpanId>,
    /// The line under the cursor; none: the first.
    here: Option<LineKey>,
    is_read: bool,
}

impl TraceTree {
    /// A tree that will be read, with the cursor on a span.
    pub fn at(span: Option<SpanId>) -> Self {
        Self { here: span.map(LineKey::Span), ..Self::default() }
    }

    /// Takes a reading of the trace. The line under the cursor stays where it is on the screen.
    pub fn take(&mut self, trace: Trace) {
        self.trace = trace;
        self.arrange();
        if !std::mem::replace(&mut self.is_read, true) {
            self.top = 0;
        }
    }

    fn key_of(&self, line: &Line) -> LineKey {
        match self.span_of(line) {
            Some(span) => LineKey::Span(span.id),
            None => LineKey::Gap(line.start),
        }
    }

    /// The span that a line shows; none for a silence.
    pub fn span_of(&self, line: &Line) -> Option<&TraceSpan> {
        match line.what {
            What::Span(place) => self.trace.spans.get(place),
            What::Gap => None,
        }
    }

    /// The place of the line under the cursor.
    pub fn place(&self) -> Option<usize> {
        self.rows.get(self.row).copied()
    }

    /// The line under the cursor.
    pub fn selected(&self) -> Option<&Line> {
        self.trace.lines.get(self.place()?)
    }

    /// The span under the cursor.
    pub fn selected_span(&self) -> Option<&TraceSpan> {
        self.span_of(self.selected()?)
    }

    /// How a line is folded.
    pub fn fold_of(&self, line: &Line) -> Fold {
        match self.span_of(line) {
            Some(span) if line.below > 0 && self.folded.contains(&span.id) => Fold::Folded,
            Some(_) if line.below > 0 => Fold::Open,
            _ => Fold::None,
        }
    }

    /// Finds the rows that are shown, and that of the cursor.
    fn arrange(&mut self) {
        let on_screen = self.row.saturating_sub(self.top);
        self.rows.clear();
        let mut at = 0;
        while let Some(line) = self.trace.lines.get(at) {
            self.rows.push(at);
            at += 1 + if self.fold_of(line) == Fold::Folded { line.below } else { 0 };
        }
        let found = self
            .here
            .and_then(|here| self.rows.iter().position(|at| self.key_of(&self.trace.lines[*at]) == here));
        self.row = found.unwrap_or_else(|| self.row.min(self.rows.len().saturating_sub(1)));
        self.top = self.row.saturating_sub(on_screen);
    }

    /// Puts the cursor on a row.
    pub fn go(&mut self, row: usize) {
        self.row = row.min(self.rows.len().saturating_sub(1));
        self.here = self.selected().map(|line| self.key_of(line));
    }

    /// Keeps the cursor inside a window of so many rows.
    pub fn scroll(&mut self, height: usize) {
        let last = self.rows.len().saturating_sub(height);
        self.top = self.top.min(last).min(self.row);
        if height > 0 && self.row >= self.top + height {
            self.top = self.row + 1 - height;
        }
    }

    /// Folds the line under the cursor or unfolds it, or turns it round; false if nothing changes.
    fn fold(&mut self, folds: Option<bool>) -> bool {
        let Some(fold) = self.selected().map(|line| self.fold_of(line)) else { return false };
        let Some(id) = self.selected_span().map(|span| span.id) else { return false };
        match (fold, folds) {
            (Fold::Open, None | Some(true)) => self.folded.insert(id),
            (Fold::Folded, None | Some(false)) => self.folded.remove(&id),
            (Fold::None, _) | (Fold::Open, Some(false)) | (Fold::Folded, Some(true)) => return false,
        };
        self.arrange();
        true
    }

    /// The place of the line above one in the tree.
    pub fn above(&self, place: usize) -> Option<usize> {
        let depth = self.trace.lines.get(place)?.depth;
        (0..place).rev().find(|above| self.trace.lines[*above].depth < depth)
    }

    /// True if a line has what is searched for.
    pub fn hit(&self, line: &Line) -> bool {
        let text = &self.search;
        let name = self.span_of(line).is_some_and(|span| span.name.contains_ignore_case(text));
        !text.is_empty() && (name || line.agent.contains_ignore_case(text))
    }

    fn find(&mut self, forward: bool) {
        let lines = &self.trace.lines;
        let here = self.place().unwrap_or(0);
        if let Some(at) = next_hit(lines.len(), here, forward, |at| self.hit(&lines[*at])) {
            self.show(at);
        }
    }

    /// Searches from the cursor on; returns how many lines match, folded ones among them.
    pub fn look_for(&mut self, text: &str) -> usize {
        text.clone_into(&mut self.search);
        if self.selected().is_none_or(|line| !self.hit(line)) {
            self.find(true);
        }
        self.trace.lines.iter().filter(|line| self.hit(line)).count()
    }

    /// Puts the cursor on a line, unfolded if need be.
    fn show(&mut self, place: usize) {
        let mut above = self.above(place);
        while let Some(at) = above {
            if let Some(id) = self.span_of(&self.trace.lines[at]).map(|span| span.id) {
                self.folded.remove(&id);
            }
            above = self.above(at);
        }
        self.here = self.trace.lines.get(place).map(|line| self.key_of(line));
        self.arrange();
    }

    /// Handles actions that move, fold or search; false for other actions. `height` is the number of rows on the screen.
    pub fn act(&mut self, action: Action, height: usize) -> bool {
        let half = (height / 2).max(1);
        match action {
            Action::Down => self.go(self.row + 1),
            Action::Up => self.go(self.row.saturating_sub(1)),
            Action::HalfDown => self.go(self.row + half),
            Action::HalfUp => self.go(self.row.saturating_sub(half)),
            Action::Mark => self.go(self.row + height.max(1)),
            Action::First => self.go(0),
            Action::Last => self.go(usize::MAX),
            Action::Right => {
                self.fold(Some(false));
            }
            Action::Left => {
                if !self.fold(Some(true))
                    && let Some(above) = self.place().and_then(|at| self.above(at))
                {
                    self.show(above);
                }
            }
            Action::Open => return self.fold(None),
            Action::NextMatch | Action::PrevMatch => self.find(action == Action::NextMatch),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::trace::TraceId;
    use crate::telemetry::model::{Resource, SpanKind, SpanStatus};
    use crate::telemetry::query::TraceSpans;
    use crate::telemetry::tree::build;
    use std::sync::Arc;

    fn span(id: u64, parent: Option<u64>, start: u64) -> TraceSpan {
        TraceSpan {
            trace: TraceId([1; 16]),
            id: SpanId(id.to_be_bytes()),
            parent: parent.map(|id| SpanId(id.to_be_bytes())),
            name: format!("step {id}").as_str().into(),
            kind: SpanKind::Internal,
            start: UnixNanos(start),
            end: Some(UnixNanos(start + 10)),
            status: SpanStatus::Unset,
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            dropped: 0,
            resource: Arc::new(Resource::default()),
            scope: "".into(),
        }
    }

    fn tree(spans: Vec<TraceSpan>) -> Trace {
        build(TraceSpans { spans, ..TraceSpans::default() }, UnixNanos(1000))
    }

    /// A root with three children, the second of which has one.
    fn small() -> Vec<TraceSpan> {
        vec![
            span(1, None, 0),
            span(2, Some(1), 1),
            span(3, Some(1), 2),
            span(4, Some(3), 3),
            span(5, Some(1), 5),
        ]
    }

    #[test]
    fn the_cursor_stays_on_its_line_while_spans_come() {
        let mut view = TraceTree::at(Some(SpanId(5_u64.to_be_bytes())));
        view.take(tree(small()));
        view.scroll(3);
        assert_eq!((view.row, view.top), (4, 2));
        let mut more = small();
        more.push(span(6, Some(2), 1));
        more.push(span(7, Some(2), 1));
        view.take(tree(more));
        view.scroll(3);
        assert_eq!((view.row, view.top), (6, 4));
        assert_eq!(view.selected_span().map(|span| span.id), Some(SpanId(5_u64.to_be_bytes())));
    }

    #[test]
    fn what_is_folded_is_found_and_shown() {
        let mut view = TraceTree::at(None);
        view.take(tree(small()));
        assert!(view.act(Action::Left, 10) && view.rows == [0]);
        assert_eq!(view.look_for("step 4"), 1);
        assert_eq!((view.rows.len(), view.place()), (5, Some(3)));
        // From a line without children, fold goes to the line above.
        assert!(view.act(Action::Left, 10) && view.place() == Some(2));
        assert!(view.act(Action::Open, 10) && view.rows == [0, 1, 2, 4]);
        assert!(view.act(Action::Open, 10) && view.rows.len() == 5);
        view.act(Action::Last, 10);
        assert!(!view.act(Action::Open, 10), "nothing is below it");
    }

    #[test]
    fn no_trace_and_any_key_is_no_fault() {
        let mut view = TraceTree::at(None);
        for action in Action::ALL {
            view.act(*action, 0);
            view.scroll(0);
        }
        assert_eq!(view.look_for("x"), 0);
        assert_eq!(view.selected(), None);
    }
}
