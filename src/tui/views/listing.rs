//! A table of rows that come from the snapshot: kept in order from what changes, drawn where it is seen.

use std::fmt::Debug;
use std::hash::Hash;

use ratatui::layout::Rect;

use super::ListKind;
use super::tasks::with_scratch;
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::tui::actions::Action;
use crate::tui::model::Shared;
use crate::tui::preferences::SavedView;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, Span, span};
use crate::tui::widgets::filter::Filter;
use crate::tui::widgets::list::{ListState, Look};
use crate::tui::widgets::sorted::{SortKey, Sorted};
use crate::tui::widgets::table::{self, Column, Cursor, Row, Shown, Sort};

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

    /// Which list they are.
    const KIND: ListKind;

    /// There may be so many that they are sorted beside the screen.
    const MANY: bool = false;

    /// The columns.
    const COLUMNS: &'static [Column];

    /// The filter of all rows of the kind that leaves these.
    fn as_filter(&self, _snapshot: &Snapshot) -> String {
        String::new()
    }

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

/// What every list can do, whatever its rows are. A view that has one need not pass these on one by one, and
/// saved views and columns are the same for all.
pub trait List {
    /// Which list it is.
    fn kind(&self) -> ListKind;

    /// What it shows, and in which order.
    fn look(&self) -> &Look;

    /// The same, to change it.
    fn look_mut(&mut self) -> &mut Look;

    /// How many rows pass.
    fn count(&self) -> usize;

    /// The filter of all rows of the kind that leaves those of this list, before its own.
    fn as_filter(&self, snapshot: &Snapshot) -> String;

    /// A click on a line of its window; true if that row was selected already.
    fn click_line(&mut self, line: usize) -> bool;

    /// What is seen, as words.
    fn table(&self, shared: &Shared) -> Vec<Vec<String>>;

    /// A click on a line of the screen.
    fn click(&mut self, area: Rect, y: u16) -> bool {
        match y.checked_sub(area.y + 1) {
            Some(line) if y < area.bottom() => self.click_line(usize::from(line)),
            _ => false,
        }
    }

    /// Sorts by a column, if there is one of that letter.
    fn sort(&mut self, letter: char) -> bool {
        let known = self.kind().columns().iter().any(|column| column.sort == Some(letter));
        if known {
            self.look_mut().sort_by(letter);
        }
        known
    }

    /// What is drawn of its columns, and how.
    fn shown(&self, shared: &Shared, cursor: Cursor) -> Shown {
        let (kind, look) = (self.kind(), self.look());
        let turned = kind.highest_first(look.sort) == look.reversed;
        Shown {
            columns: shared.preferences.columns.of(kind, look),
            wide: look.wide,
            sort: Sort { by: look.sort, reversed: turned },
            cursor,
        }
    }

    /// Its title: what it is, and what it was saved as.
    fn title(&self) -> Vec<Span> {
        let mut title = vec![span(self.kind().word(), Role::Title)];
        if let Some(saved) = &self.look().saved {
            title.push(span(format!(" › {}", saved.name), Role::Title));
        }
        title
    }
}

impl<R: Rows> List for Listing<R> {
    fn kind(&self) -> ListKind {
        R::KIND
    }

    fn look(&self) -> &Look {
        &self.state.look
    }

    fn look_mut(&mut self) -> &mut Look {
        &mut self.state.look
    }

    fn count(&self) -> usize {
        self.rows.len()
    }

    fn as_filter(&self, snapshot: &Snapshot) -> String {
        self.source.as_filter(snapshot)
    }

    fn click_line(&mut self, line: usize) -> bool {
        self.state.click(line)
    }

    fn table(&self, shared: &Shared) -> Vec<Vec<String>> {
        let shown = self.shown(shared, Cursor::None).columns;
        let head = shown.iter().map(|at| R::COLUMNS[*at].name.to_owned()).collect();
        let rows = with_scratch(shared, |canvas| {
            let rows = self.rows.iter().take(TABLE).map(|key| {
                let row = self.source.row(canvas, shared, key);
                shown.iter().map(|at| row.cells[*at].text.clone()).collect()
            });
            rows.collect::<Vec<_>>()
        });
        std::iter::once(head).chain(rows).collect()
    }
}

/// How many rows a saved view shows, of the newest if there are very many; none: it cannot be told from here.
pub fn counted(snapshot: &Snapshot, saved: &SavedView) -> Option<usize> {
    fn count<R: Rows>(source: &R, snapshot: &Snapshot, order: &Order) -> usize {
        source.keys(snapshot).filter(|key| source.shows(snapshot, *key, order)).count()
    }
    let look = &saved.look;
    let order = Order {
        by: look.sort,
        reversed: look.reversed,
        filter: look.filter.clone(),
        faults: look.faults,
        list: 0,
    };
    Some(match saved.of {
        ListKind::Fleet => count(&super::fleet::AgentRows::default(), snapshot, &order),
        ListKind::Tasks => {
            let newest = u32::try_from(LARGE).ok();
            let rows = super::tasks::TaskRows { newest, ..super::tasks::TaskRows::default() };
            count(&rows, snapshot, &order)
        }
        ListKind::Inbox => count(&super::inbox::WaitingRows, snapshot, &order),
        ListKind::Problems => count(&super::problems::ProblemRows::default(), snapshot, &order),
        ListKind::Sources => count(&super::sources::SourceRows, snapshot, &order),
        // What was on the wire is asked for only by whoever looks at it.
        ListKind::Wire
        | ListKind::Now
        | ListKind::Metrics
        | ListKind::Pulse
        | ListKind::Candidates
        | ListKind::Changes => {
            return None;
        }
    })
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
            by: self.state.look.sort,
            reversed: self.state.look.reversed,
            filter: self.state.look.filter.clone(),
            faults: self.state.look.faults,
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

    /// Takes what a worker has built, if it is still wanted; leaves what was there before.
    pub fn built(&mut self, order: &Order, rev: u64, rows: &mut Sorted<R::Key>) {
        if self.asked.as_ref().is_some_and(|(asked, _)| asked == order) {
            self.asked = None;
            std::mem::swap(&mut self.rows, rows);
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
            Action::Wide => self.state.look.wide = !self.state.look.wide,
            Action::Details => self.state.details = !self.state.details,
            Action::Faults => self.state.look.faults = !self.state.look.faults,
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
        if self.state.marks.is_empty() {
            return self.state.look.clear_one();
        }
        self.state.marks.clear();
        true
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
        table::draw(canvas, area, R::COLUMNS, &self.shown(shared, cursor), &rows);
    }

    /// The same as a part of another view: without a cursor.
    pub fn draw_plain(&self, canvas: &mut Canvas<'_>, area: Rect, shared: &Shared) {
        let lines = usize::from(area.height.saturating_sub(1));
        let rows: Vec<Row> =
            self.rows.iter().take(lines).map(|key| self.source.row(canvas, shared, key)).collect();
        table::draw(canvas, area, R::COLUMNS, &self.shown(shared, Cursor::None), &rows);
    }
}

/// A table in the clipboard has at most so many rows.
const TABLE: usize = 1000;
