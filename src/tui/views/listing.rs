//! A table of rows of the snapshot: sorted incrementally, drawn as far as it is visible.

use std::fmt::Debug;
use std::hash::Hash;

use ratatui::layout::Rect;

use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::saved_view::{ListKind, ListSettings, SavedView};
use crate::tui::theme::Role;
use crate::tui::views::frame::{inside, with_scratch};
use crate::tui::widgets::canvas::{Canvas, Span, span};
use crate::tui::widgets::filter::Filter;
use crate::tui::widgets::list::ListState;
use crate::tui::widgets::sorted::{SortKey, Sorted};
use crate::tui::widgets::table::{self, Column, Cursor, Row, Shown, Sort, TableColumn};

/// Above this many rows an order is built by a worker thread, so that no key waits for it.
pub const LARGE: usize = 20_000;

/// Numbers lists in the order in which they are opened.
static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// In which order rows are shown, and which of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The column that rows are sorted by, by its number.
    pub by: usize,
    /// True if the order is the reverse of the column's default.
    pub reversed: bool,
    /// Rows that do not pass are left out.
    pub filter: Filter,
    /// Show only faulty or doubtful rows.
    pub faults: bool,
    /// The number of the list: rows that a worker built for one list are not those of another.
    pub list: u64,
}

/// The source of rows and their display.
pub trait Rows: Clone + Debug {
    /// What identifies a row.
    type Key: Copy + Ord + Hash + Debug;

    /// Which list they are.
    const KIND: ListKind;

    /// True if there may be so many rows that a worker thread must sort them.
    const MANY: bool = false;

    /// Its columns.
    type Column: TableColumn;

    /// True if a column says nothing in the rows that are drawn, so that it is left out: it is seldom needed and has no
    /// value now, or would say the same in every row.
    fn says_nothing(&self, column: Self::Column, rows: &[Row]) -> bool {
        Self::Column::COLUMNS[column.number()].if_any && table::is_empty(rows, column.number())
    }

    /// The filter that leaves these rows of all rows of the kind.
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

    /// The value of a row in a column, to sort by.
    fn sort_key(&self, snapshot: &Snapshot, key: Self::Key, by: Self::Column) -> SortKey;

    /// A row as it is drawn.
    fn row(&self, canvas: &Canvas<'_>, ctx: &Context, key: Self::Key) -> Row;
}

/// The methods of a `Screen` that shows one list.
macro_rules! shows_list {
    ($list:ident) => {
        fn list(&self) -> Option<&dyn $crate::tui::views::listing::List> {
            Some(&self.$list)
        }

        fn list_mut(&mut self) -> Option<&mut dyn $crate::tui::views::listing::List> {
            Some(&mut self.$list)
        }
    };
}
pub(crate) use shows_list;

/// The operations of every list, whatever its rows.
pub trait List {
    /// The kind of list.
    fn kind(&self) -> ListKind;

    /// The display settings.
    fn settings(&self) -> &ListSettings;

    /// The same, to change it.
    fn settings_mut(&mut self) -> &mut ListSettings;

    /// Every column that it has.
    fn columns(&self) -> &'static [Column];

    /// How many rows pass.
    fn count(&self) -> usize;

    /// The filter of all rows of the kind that leaves those of this list, before its own.
    fn as_filter(&self, snapshot: &Snapshot) -> String;

    /// A key was pressed: the cursor stays on the row that was seen under it.
    fn stick(&mut self);

    /// A click on a line of its window; true if that row was selected already.
    fn click_line(&mut self, line: usize) -> bool;

    /// The visible columns as text, with their heads, for the clipboard and for files.
    fn table(&self, ctx: &Context) -> Vec<Vec<String>>;

    /// A click on a line of the screen.
    fn click(&mut self, area: Rect, y: u16) -> bool {
        match y.checked_sub(area.y + 1) {
            Some(line) if y < area.bottom() => self.click_line(usize::from(line)),
            _ => false,
        }
    }

    /// Sorts by a column, if there is one of that letter.
    fn sort(&mut self, letter: char) -> bool {
        let column = self.columns().iter().position(|column| column.sort == Some(letter));
        if let Some(column) = column {
            self.settings_mut().sort_by(column);
        }
        column.is_some()
    }

    /// Which columns are drawn, and how.
    fn shown(&self, ctx: &Context, cursor: Cursor) -> Shown {
        let (all, settings) = (self.columns(), self.settings());
        let highest_first = all.get(settings.sort).is_some_and(|column| column.highest_first);
        let turned = highest_first == settings.reversed;
        let columns = |settings: &ListSettings| ctx.preferences.columns.of(self.kind(), all, settings);
        Shown {
            columns: columns(settings),
            usual: settings.wide.then(|| columns(&ListSettings { wide: false, ..settings.clone() })),
            sort: Sort { by: settings.sort, reversed: turned },
            cursor,
        }
    }

    /// The current settings as a saved view, under its name if it has one.
    fn as_saved(&self, ctx: &Context) -> SavedView {
        let settings = self.settings();
        let before = settings.saved.as_ref().filter(|saved| saved.kept);
        let filter = format!("{} {}", self.as_filter(&ctx.snapshot), settings.filter.text());
        let chosen = settings.columns.is_some() || settings.wide;
        let columns = chosen.then(|| ctx.preferences.columns.of(self.kind(), self.columns(), settings));
        let now = ListSettings {
            filter: Filter::parse(&filter),
            opened: Filter::default(),
            wide: false,
            columns,
            saved: None,
            ..settings.clone()
        };
        let name = before.map(|saved| saved.name.clone()).unwrap_or_default();
        SavedView { name, of: self.kind(), settings: now, kept: true }
    }

    /// The title, with the name of the saved view.
    fn title(&self) -> Vec<Span> {
        let mut title = vec![span(self.kind().word(), Role::Title)];
        if let Some(saved) = &self.settings().saved {
            title.push(span(format!(" › {}", saved.name), Role::Title));
        }
        title
    }
}

impl<R: Rows> List for Listing<R> {
    fn kind(&self) -> ListKind {
        R::KIND
    }

    fn settings(&self) -> &ListSettings {
        &self.state.settings
    }

    fn settings_mut(&mut self) -> &mut ListSettings {
        &mut self.state.settings
    }

    fn columns(&self) -> &'static [Column] {
        R::Column::COLUMNS
    }

    fn count(&self) -> usize {
        self.rows.len()
    }

    fn as_filter(&self, snapshot: &Snapshot) -> String {
        self.source.as_filter(snapshot)
    }

    fn stick(&mut self) {
        self.state.stick(&self.rows);
    }

    fn click_line(&mut self, line: usize) -> bool {
        self.state.click(line)
    }

    fn table(&self, ctx: &Context) -> Vec<Vec<String>> {
        let shown = self.shown(ctx, Cursor::None).columns;
        let head = shown.iter().map(|at| R::Column::COLUMNS[*at].name.to_owned()).collect();
        let rows = with_scratch(ctx, |canvas| {
            let rows = self.rows.iter().take(TABLE).map(|key| {
                let row = self.source.row(canvas, ctx, key);
                shown.iter().map(|at| row.cells[*at].text.clone()).collect()
            });
            rows.collect::<Vec<_>>()
        });
        std::iter::once(head).chain(rows).collect()
    }
}

/// Sorts all rows.
pub fn build<R: Rows>(source: &R, snapshot: &Snapshot, order: &Order) -> Sorted<R::Key> {
    let by = R::Column::at(order.by);
    let rows = source.keys(snapshot).filter(|key| source.shows(snapshot, *key, order));
    let rows = rows.map(|key| (source.sort_key(snapshot, key, by), key));
    Sorted::build(rows, R::Column::COLUMNS[by.number()].highest_first != order.reversed)
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
    /// The order that `rows` was built for; `None` before the first build.
    built: Option<Order>,
    /// The snapshot revision of `rows`.
    rev: u64,
    /// The order that a worker builds, and whether it was handed over.
    asked: Option<(Order, bool)>,
    /// The number of this list.
    number: u64,
}

impl<R: Rows> Listing<R> {
    /// A table sorted by a column.
    pub fn new(source: R, sort: R::Column) -> Self {
        Self {
            source,
            rows: Sorted::default(),
            state: ListState::new(sort.number()),
            built: None,
            rev: 0,
            asked: None,
            number: NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
        }
    }

    /// The current order.
    pub fn order(&self) -> Order {
        Order {
            by: self.state.settings.sort,
            reversed: self.state.settings.reversed,
            filter: self.state.settings.filter.clone(),
            faults: self.state.settings.faults,
            list: self.number,
        }
    }

    /// Reads all rows again.
    pub fn rebuild(&mut self) {
        self.built = None;
    }

    /// True while a worker builds the requested order.
    pub fn is_building(&self) -> bool {
        self.asked.is_some()
    }

    /// The order that a worker should build; returned once.
    pub fn work(&mut self) -> Option<Order> {
        match &mut self.asked {
            Some((order, handed_over)) if !*handed_over => {
                *handed_over = true;
                Some(order.clone())
            }
            _ => None,
        }
    }

    /// Takes rows that a worker has built, if they are still needed; returns the previous ones for disposal.
    pub fn built(&mut self, order: &Order, rev: u64, rows: &mut Sorted<R::Key>) {
        if self.asked.as_ref().is_some_and(|(asked, _)| asked == order) {
            self.asked = None;
            std::mem::swap(&mut self.rows, rows);
            self.built = Some(order.clone());
            self.rev = rev;
        }
    }

    /// Applies changes of the snapshot; true if a visible row or the number of rows changed. `lines` is the height.
    pub fn refresh(&mut self, snapshot: &Snapshot, lines: usize) -> bool {
        let before = self.rows.len();
        self.refresh_window(snapshot, lines) || self.rows.len() != before
    }

    /// The same for a list that does not show its number of rows.
    pub fn refresh_window(&mut self, snapshot: &Snapshot, lines: usize) -> bool {
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
        self.state.refresh(&self.rows, lines);
        seen_before.truncate(lines);
        visible || self.state.seen() != seen_before.as_slice() || self.state.selected != selected
    }

    fn read_anew(&mut self, snapshot: &Snapshot, order: Order) {
        self.rows = build(&self.source, snapshot, &order);
        self.built = Some(order);
        self.asked = None;
        self.rev = snapshot.rev;
    }

    /// Moves changed rows to their place; returns all rows that a change may concern.
    fn take(&mut self, snapshot: &Snapshot, changes: &[Changed], order: &Order) -> Vec<R::Key> {
        let mut touched = Vec::new();
        self.source.all_changed(snapshot, changes, &mut touched);
        let by = R::Column::at(order.by);
        let mut new = Vec::new();
        for key in &touched {
            let shown = self.source.shows(snapshot, *key, order);
            if shown && !self.rows.contains(*key) {
                new.push(*key);
            }
            self.rows.put(*key, shown.then(|| self.source.sort_key(snapshot, *key, by)));
        }
        self.state.came_in(&self.rows, &new);
        touched
    }

    /// The text at the right of the title of a view: a count, then marks, filter, new rows and what wide mode shows.
    pub fn facts(&self, ctx: &Context, area: Rect, count: String) -> Vec<Span> {
        let (state, settings) = (&self.state, &self.state.settings);
        let mut facts = vec![span(count, Role::Plain)];
        if settings.wide {
            let rows: Vec<Row> = with_scratch(ctx, |canvas| {
                state.seen().iter().map(|key| self.source.row(canvas, ctx, *key)).collect()
            });
            let shown = self.telling(ctx, Cursor::None, &rows);
            let words = table::wide_words(R::Column::COLUMNS, &shown, &rows, inside(area).width);
            facts.push(span(format!(" · {words}"), Role::You));
        }
        if self.is_building() {
            facts.push(span(" · sorting", Role::Doubt));
        }
        if !state.marks.is_empty() {
            facts.push(span(format!(" · {} marked", state.marks.len()), Role::You));
        }
        if settings.faults {
            facts.push(span(" · faults only", Role::You));
        }
        if !settings.filter.is_empty() {
            facts.push(span(format!(" · filter {}", settings.filter.text()), Role::You));
        }
        if state.new_above > 0 {
            facts.push(span(format!(" · {} {} new", ctx.glyphs().more, state.new_above), Role::You));
        }
        facts
    }

    /// The row under the cursor, else the first.
    pub fn target(&self) -> Option<R::Key> {
        self.state.target(&self.rows)
    }

    /// Handles actions that move, mark or show rows, and `esc` while it has something to clear; false for other actions.
    pub fn act(&mut self, action: Action, lines: usize) -> bool {
        match action {
            // While a worker sorts, the displayed rows are still in the previous order.
            Action::Mark | Action::MarkAll | Action::MarkTo if self.is_building() => {}
            Action::Mark => {
                self.state.mark(&self.rows);
                self.state.go(&self.rows, 1, lines);
            }
            Action::MarkAll => self.state.mark_all(&self.rows),
            Action::MarkTo => self.state.mark_to(&self.rows),
            _ => return self.state.act(action, &self.rows, lines),
        }
        true
    }

    /// Which columns are drawn, without those that say nothing in these rows.
    fn telling(&self, ctx: &Context, cursor: Cursor, rows: &[Row]) -> Shown {
        let mut shown = self.shown(ctx, cursor);
        for columns in std::iter::once(&mut shown.columns).chain(&mut shown.usual) {
            columns.retain(|at| !self.source.says_nothing(R::Column::at(*at), rows));
        }
        shown
    }

    fn draw_rows(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context, cursor: Cursor, rows: &[Row]) {
        table::draw(canvas, area, R::Column::COLUMNS, &self.telling(ctx, cursor, rows), rows);
    }

    /// Draws head and rows.
    pub fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let lines = usize::from(area.height.saturating_sub(1));
        let (window, cursor) = self.state.window(&self.rows, lines);
        let rows: Vec<Row> = window
            .iter()
            .map(|key| {
                let mut row = self.source.row(canvas, ctx, *key);
                row.marked = self.state.marks.contains(key);
                row
            })
            .collect();
        let cursor = cursor.map_or(Cursor::Follows, Cursor::On);
        self.draw_rows(canvas, area, ctx, cursor, &rows);
    }

    /// The same as a part of another view: without a cursor.
    pub fn draw_plain(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let lines = usize::from(area.height.saturating_sub(1));
        let rows: Vec<Row> =
            self.rows.iter().take(lines).map(|key| self.source.row(canvas, ctx, key)).collect();
        self.draw_rows(canvas, area, ctx, Cursor::None, &rows);
    }
}

/// The maximum number of rows of a table in the clipboard.
const TABLE: usize = 1000;
