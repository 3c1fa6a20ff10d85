//! A table of rows that come from the snapshot: kept in order from what changes, drawn where it is seen.

use std::fmt::Debug;
use std::hash::Hash;

use ratatui::layout::Rect;

use crate::domain::snapshot::Snapshot;
use crate::domain::state::Changed;
use crate::tui::actions::Action;
use crate::tui::model::Shared;
use crate::tui::widgets::canvas::Canvas;
use crate::tui::widgets::filter::Filter;
use crate::tui::widgets::list::ListState;
use crate::tui::widgets::sorted::{SortKey, Sorted};
use crate::tui::widgets::table::{self, Column, Cursor, Row, Sort};

/// Above so many rows an order is built beside the screen's work, so that no key waits for it.
pub const LARGE: usize = 20_000;

/// Numbers lists in the order in which they are opened.
static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// In which order rows are shown, and which of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The letter of the column.
    pub by: char,
    /// Turned round.
    pub reversed: bool,
    /// What is shown.
    pub filter: Filter,
    /// Only what is wrong or in doubt.
    pub faults: bool,
    /// Of which list: rows that a worker built for one list are not another's.
    pub list: u64,
}

/// Where rows come from and what they look like.
pub trait Rows: Clone + Debug {
    /// What names a row.
    type Key: Copy + Ord + Hash + Debug;

    /// There may be so many that they are sorted beside the screen.
    const MANY: bool = false;

    /// The columns.
    const COLUMNS: &'static [Column];

    /// Every row that could be shown.
    fn keys<'s>(&'s self, snapshot: &'s Snapshot) -> Box<dyn Iterator<Item = Self::Key> + 's>;

    /// The rows that a change is about.
    fn changed(&self, snapshot: &Snapshot, changed: Changed, rows: &mut Vec<Self::Key>);

    /// The same for all changes of a publication.
    fn all_changed(&self, snapshot: &Snapshot, changes: &[Changed], rows: &mut Vec<Self::Key>) {
        for change in changes {
            self.changed(snapshot, *change, rows);
        }
    }

    /// True if a row is there and is to be shown.
    fn shows(&self, snapshot: &Snapshot, key: Self::Key, order: &Order) -> bool;

    /// What a row is ordered by; `by` is the letter of a column.
    fn sort_key(&self, snapshot: &Snapshot, key: Self::Key, by: char) -> SortKey;

    /// True for columns whose highest value comes first.
    fn highest_first(by: char) -> bool;

    /// A row as it is drawn.
    fn row(&self, canvas: &Canvas<'_>, shared: &Shared, key: Self::Key) -> Row;
}

/// Builds an order from nothing.
pub fn build<R: Rows>(source: &R, snapshot: &Snapshot, order: &Order) -> Sorted<R::Key> {
    let rows = source.keys(snapshot).filter(|key| source.shows(snapshot, *key, order));
    let rows = rows.map(|key| (source.sort_key(snapshot, key, order.by), key));
    Sorted::build(rows, R::highest_first(order.by) != order.reversed)
}

/// A table.
#[derive(Debug)]
pub struct Listing<R: Rows> {
    /// Where its rows come from.
    pub source: R,
    /// Its rows in order.
    pub rows: Sorted<R::Key>,
    /// The cursor and how it is shown.
    pub state: ListState<R::Key>,
    /// What `rows` was built for; none: not yet.
    built: Option<Order>,
    /// The publication that `rows` knows.
    rev: u64,
    /// What a worker builds, and whether it was told.
    asked: Option<(Order, bool)>,
    /// Tells lists apart.
    number: u64,
}

impl<R: Rows> Listing<R> {
    /// A table sorted by a column.
    pub fn new(source: R, sort: char) -> Self {
        Self {
            source,
            rows: Sorted::default(),
            state: ListState::new(sort),
            built: None,
            rev: 0,
            asked: None,
            number: NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
        }
    }

    /// The order that is wanted now.
    pub fn order(&self) -> Order {
        Order {
            by: self.state.sort,
            reversed: self.state.reversed,
            filter: self.state.filter.clone(),
            faults: self.state.faults,
            list: self.number,
        }
    }

    /// Everything is read anew.
    pub fn rebuild(&mut self) {
        self.built = None;
    }

    /// True while a worker builds what was asked for last.
    pub fn is_building(&self) -> bool {
        self.asked.is_some()
    }

    /// What a worker should build, once.
    pub fn work(&mut self) -> Option<Order> {
        match &mut self.asked {
            Some((order, told)) if !*told => {
                *told = true;
                Some(order.clone())
            }
            _ => None,
        }
    }

    /// Takes what a worker has built, if it is still wanted.
    pub fn built(&mut self, order: &Order, rev: u64, rows: &Sorted<R::Key>) {
        if self.asked.as_ref().is_some_and(|(asked, _)| asked == order) {
            self.asked = None;
            self.rows = rows.clone();
            self.built = Some(order.clone());
            self.rev = rev;
        }
    }

    /// Takes in what has changed; true if a visible row has, or how many there are. `lines` are the rows that
    /// fit.
    pub fn settle(&mut self, snapshot: &Snapshot, lines: usize) -> bool {
        let before = self.rows.len();
        self.settle_window(snapshot, lines) || self.rows.len() != before
    }

    /// The same for a list of which nobody sees how long it is.
    pub fn settle_window(&mut self, snapshot: &Snapshot, lines: usize) -> bool {
        let wanted = self.order();
        let mut seen_before = self.state.seen().to_vec();
        let mut visible = false;
        if self.built.as_ref() == Some(&wanted) {
            self.asked = None;
        }
        if self.built.as_ref() != Some(&wanted) {
            if R::MANY && snapshot.attempts.len() > LARGE && self.built.is_some() {
                if self.asked.as_ref().is_none_or(|(asked, _)| *asked != wanted) {
                    self.asked = Some((wanted, false));
                }
            } else {
                self.read_anew(snapshot, wanted);
                visible = true;
            }
        }
        match (snapshot.changes_since(self.rev), self.built.clone()) {
            (Some(changes), Some(order)) => {
                let touched = self.take(snapshot, &changes, &order);
                visible |= touched.iter().any(|key| seen_before.contains(key));
            }
            (_, order) => {
                let order = order.unwrap_or_else(|| self.order());
                self.read_anew(snapshot, order);
                visible = true;
            }
        }
        self.rev = snapshot.rev;
        let selected = self.state.selected;
        self.state.settle(&self.rows, lines);
        seen_before.truncate(lines);
        visible || self.state.seen() != seen_before.as_slice() || self.state.selected != selected
    }

    fn read_anew(&mut self, snapshot: &Snapshot, order: Order) {
        self.rows = build(&self.source, snapshot, &order);
        self.built = Some(order);
        self.asked = None;
        self.rev = snapshot.rev;
    }

    /// Puts changed rows where they belong; tells which were touched.
    fn take(&mut self, snapshot: &Snapshot, changes: &[Changed], order: &Order) -> Vec<R::Key> {
        let mut touched = Vec::new();
        self.source.all_changed(snapshot, changes, &mut touched);
        let mut new = Vec::new();
        for key in &touched {
            let shown = self.source.shows(snapshot, *key, order);
            if shown && !self.rows.contains(*key) {
                new.push(*key);
            }
            self.rows.put(*key, shown.then(|| self.source.sort_key(snapshot, *key, order.by)));
        }
        self.state.came_in(&self.rows, &new);
        touched
    }

    /// The row that is meant: the one under the cursor, else the first.
    pub fn target(&self) -> Option<R::Key> {
        self.state.target(&self.rows)
    }

    /// Does what moves, marks and shows rows; false if it is something else.
    pub fn act(&mut self, action: Action, lines: usize) -> bool {
        let half = isize::try_from(lines / 2).unwrap_or(1).max(1);
        match action {
            Action::Down => self.state.go(&self.rows, 1, lines),
            Action::Up => self.state.go(&self.rows, -1, lines),
            Action::HalfDown => self.state.go(&self.rows, half, lines),
            Action::HalfUp => self.state.go(&self.rows, -half, lines),
            Action::First => self.state.first(),
            Action::Last => self.state.last(&self.rows, lines),
            Action::Wide => self.state.wide = !self.state.wide,
            Action::Details => self.state.details = !self.state.details,
            Action::Faults => self.state.faults = !self.state.faults,
            // What is being sorted or filtered is not what is shown yet.
            Action::Mark | Action::MarkAll | Action::MarkTo if self.is_building() => {}
            Action::Mark => {
                self.state.mark(&self.rows);
                self.state.go(&self.rows, 1, lines);
            }
            Action::MarkAll => self.state.mark_all(&self.rows),
            Action::MarkTo => self.state.mark_to(&self.rows),
            _ => return false,
        }
        true
    }

    /// Clears one thing: marks, then the filter, then the filter of faults. False if there was nothing.
    pub fn clear_one(&mut self) -> bool {
        if !self.state.marks.is_empty() {
            self.state.marks.clear();
        } else if !self.state.filter.is_empty() {
            self.state.filter = Filter::default();
        } else if self.state.faults {
            self.state.faults = false;
        } else {
            return false;
        }
        true
    }

    /// Sorts by a column, if there is one of that letter.
    pub fn sort(&mut self, letter: char) -> bool {
        let known = R::COLUMNS.iter().any(|column| column.sort == Some(letter));
        if known {
            self.state.sort_by(letter);
        }
        known
    }

    /// Draws head and rows.
    pub fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, shared: &Shared) {
        let lines = usize::from(area.height.saturating_sub(1));
        let (window, cursor) = self.state.window(&self.rows, lines);
        let rows: Vec<Row> = window
            .iter()
            .map(|key| {
                let mut row = self.source.row(canvas, shared, *key);
                row.marked = self.state.marks.contains(key);
                row
            })
            .collect();
        let cursor = cursor.map_or(Cursor::Follows, Cursor::On);
        let turned = R::highest_first(self.state.sort) == self.state.reversed;
        let sort = Sort { by: self.state.sort, reversed: turned };
        table::draw(canvas, area, R::COLUMNS, self.state.wide, sort, &rows, cursor);
    }

    /// The same as a part of another view: without a cursor.
    pub fn draw_plain(&self, canvas: &mut Canvas<'_>, area: Rect, shared: &Shared) {
        let lines = usize::from(area.height.saturating_sub(1));
        let rows: Vec<Row> =
            self.rows.iter().take(lines).map(|key| self.source.row(canvas, shared, key)).collect();
        let turned = R::highest_first(self.state.sort) == self.state.reversed;
        let sort = Sort { by: self.state.sort, reversed: turned };
        table::draw(canvas, area, R::COLUMNS, false, sort, &rows, Cursor::None);
    }

    /// A click on a line of the table; true if that row was selected already.
    pub fn click(&mut self, area: Rect, y: u16) -> bool {
        match y.checked_sub(area.y + 1) {
            Some(line) if y < area.bottom() => self.state.click(usize::from(line)),
            _ => false,
        }
    }

    /// What is seen, as words.
    pub fn table(&self, canvas: &Canvas<'_>, shared: &Shared) -> Vec<Vec<String>> {
        let shown: Vec<usize> =
            (0..R::COLUMNS.len()).filter(|at| self.state.wide || !R::COLUMNS[*at].wide).collect();
        let head = shown.iter().map(|at| R::COLUMNS[*at].name.to_owned()).collect();
        let rows = self.rows.iter().take(TABLE).map(|key| {
            let row = self.source.row(canvas, shared, key);
            shown.iter().map(|at| row.cells[*at].text.clone()).collect()
        });
        std::iter::once(head).chain(rows).collect()
    }
}

/// A table in the clipboard has at most so many rows.
const TABLE: usize = 1000;
