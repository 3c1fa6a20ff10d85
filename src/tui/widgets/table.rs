//! Tables: which columns fit, and drawing of heads and rows. The columns worth least are left out first.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, Span, span};

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its head; the letter that sorts is underlined in it.
    pub name: &'static str,
    /// The letter that sorts by it.
    pub sort: Option<char>,
    /// The minimum width in cells.
    pub least: u16,
    /// Cells that it should have before columns that are worth less than this get any.
    pub preferred: u16,
    /// The share of the remaining width; 0 for exactly `least`.
    pub share: u16,
    /// The priority when space is short; the highest is kept longest.
    pub keep: u8,
    /// True for numbers, which are aligned right.
    pub right: bool,
    /// True if the column is shown only in wide mode.
    pub wide: bool,
    /// The highest value comes first when the list is sorted by it.
    pub highest_first: bool,
}

/// The columns of a list as an enum, with variants in table order. `columns!` declares one.
pub trait TableColumn: Copy + Eq + std::fmt::Debug + 'static {
    /// All columns, in the order of the table.
    const ALL: &'static [Self];
    /// The columns' properties, in the same order.
    const COLUMNS: &'static [Column];

    /// Its place in the table, from 0.
    fn number(self) -> usize;

    /// The column at a position; the first if there is none.
    fn at(number: usize) -> Self {
        Self::ALL.get(number).copied().unwrap_or(Self::ALL[0])
    }

    /// The cells of a row, one for each column.
    fn cells(cell: impl FnMut(Self) -> Span) -> Vec<Span> {
        Self::ALL.iter().copied().map(cell).collect()
    }
}

/// Declares the columns of a list: each variant with its properties.
macro_rules! columns {
    ($(#[$about:meta])* $vis:vis enum $name:ident { $($variant:ident = $column:expr,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        $vis enum $name {
            $(#[doc = stringify!($variant)] $variant,)*
        }

        impl $crate::tui::widgets::table::TableColumn for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),*];
            const COLUMNS: &'static [$crate::tui::widgets::table::Column] = &[$($column),*];

            fn number(self) -> usize {
                self as usize
            }
        }
    };
}
pub(crate) use columns;

/// A column of a fixed width.
pub const fn fixed(name: &'static str, sort: char, least: u16, keep: u8) -> Column {
    share(name, sort, least, 0, keep)
}

/// A column with a share of the remaining width.
pub const fn share(name: &'static str, sort: char, least: u16, share: u16, keep: u8) -> Column {
    Column {
        name,
        sort: Some(sort),
        least,
        preferred: least,
        share,
        keep,
        right: false,
        wide: false,
        highest_first: false,
    }
}

impl Column {
    /// Its name in the configuration: `last-sign`.
    pub fn word(&self) -> String {
        self.name.to_ascii_lowercase().replace(' ', "-")
    }

    /// The same for numbers.
    #[must_use]
    pub const fn right(self) -> Self {
        Self { right: true, ..self }
    }

    /// Sets the width needed before optional columns are shown.
    #[must_use]
    pub const fn prefers(self, cells: u16) -> Self {
        Self { preferred: cells, ..self }
    }

    /// The same, sorted with the highest value first.
    #[must_use]
    pub const fn highest_first(self) -> Self {
        Self { highest_first: true, ..self }
    }

    /// The same for a column that a list cannot be sorted by.
    #[must_use]
    pub const fn unsorted(self) -> Self {
        Self { sort: None, ..self }
    }

    /// Restricts the column to wide mode.
    #[must_use]
    pub const fn wide(self) -> Self {
        Self { wide: true, ..self }
    }
}

/// A row.
#[derive(Clone, Debug)]
pub struct Row {
    /// The mark before it.
    pub mark: Span,
    /// A cell for each column.
    pub cells: Vec<Span>,
    /// It is marked.
    pub marked: bool,
}

impl Row {
    /// The row of something that has just gone.
    pub fn blank() -> Self {
        Self { mark: span(" ", Role::Plain), cells: Vec::new(), marked: false }
    }
}

/// How columns are sorted now.
#[derive(Clone, Copy, Debug)]
pub struct Sort {
    /// The column, by its number.
    pub by: usize,
    /// Reversed.
    pub reversed: bool,
}

/// Where the cursor is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cursor {
    /// On a line.
    On(usize),
    /// At the top, following new rows; the first row is the target.
    Follows,
    /// No cursor.
    None,
}

/// Cells before the first column: the cursor, the mark, and a space after each.
const MARGIN: u16 = 4;

/// Columns of this priority or lower are added only after the others have their width.
const LUXURY: u8 = 3;

/// The display settings of a table.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The columns by their number, in order.
    pub columns: Vec<usize>,
    /// True in wide mode.
    pub wide: bool,
    /// How rows are sorted.
    pub sort: Sort,
    /// Where the cursor is.
    pub cursor: Cursor,
}

/// Which columns of those that are wanted fit, and how wide they are.
pub fn fit(columns: &[Column], wanted: &[usize], width: u16, wide: bool) -> Vec<(usize, u16)> {
    let mut shown: Vec<usize> = wanted.to_vec();
    let room = width.saturating_sub(MARGIN);
    let needs = |shown: &[usize]| -> u16 {
        shown.iter().map(|at| columns[*at].least + 1).sum::<u16>().saturating_sub(1)
    };
    let preferred = |shown: &[usize]| -> u16 {
        shown.iter().map(|at| columns[*at].preferred + 1).sum::<u16>().saturating_sub(1)
    };
    let luxury = |shown: &[usize]| !wide && shown.iter().any(|at| columns[*at].keep <= LUXURY);
    while shown.len() > 1 && (needs(&shown) > room || (luxury(&shown) && preferred(&shown) > room)) {
        let weakest =
            (0..shown.len()).min_by_key(|at| (columns[shown[*at]].keep, usize::MAX - at)).unwrap_or(0);
        shown.remove(weakest);
    }
    let spare = room.saturating_sub(needs(&shown));
    let shares: u16 = shown.iter().map(|at| columns[*at].share).sum();
    let mut left = spare;
    let last = shown.iter().rposition(|at| columns[*at].share > 0);
    shown
        .iter()
        .enumerate()
        .map(|(place, at)| {
            let column = &columns[*at];
            let more = if column.share == 0 || shares == 0 {
                0
            } else if Some(place) == last {
                left
            } else {
                spare * column.share / shares
            };
            left -= more;
            (*at, column.least + more)
        })
        .collect()
}

/// Draws a table: its head, then its rows.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, columns: &[Column], shown: &Shown, rows: &[Row]) {
    if area.height == 0 || area.width < MARGIN {
        return;
    }
    let Shown { columns: wanted, wide, sort, cursor } = shown;
    let fitting = fit(columns, wanted, area.width, *wide);
    let mut x = area.x + MARGIN - 1;
    for (at, width) in &fitting {
        head(canvas, x, area.y, (*at, &columns[*at]), *width, *sort);
        x += width + 1;
    }
    for (line, row) in rows.iter().take(usize::from(area.height - 1)).enumerate() {
        let y = area.y + 1 + u16::try_from(line).unwrap_or(u16::MAX);
        let here = matches!(cursor, Cursor::On(at) if *at == line);
        if here {
            canvas.put(area.x, y, canvas.theme.glyphs.cursor, Role::You, 1);
        } else if *cursor == Cursor::Follows && line == 0 {
            canvas.put(area.x, y, canvas.theme.glyphs.cursor, Role::Quiet, 1);
        }
        if row.marked {
            canvas.put(area.x + 2, y, canvas.theme.glyphs.marked, Role::You, 1);
        }
        canvas.put(area.x + 1, y, &row.mark.text, row.mark.role, 1);
        let mut x = area.x + MARGIN - 1;
        for (at, width) in &fitting {
            let Some(cell) = row.cells.get(*at) else { continue };
            if columns[*at].right {
                canvas.put_right(x + width, y, &cell.text, cell.role, *width);
            } else {
                canvas.put(x, y, &cell.text, cell.role, *width);
            }
            x += width + 1;
        }
        if here {
            canvas.tint(Rect::new(area.x + 1, y, area.width - 1, 1), Role::Accent);
        }
    }
}

fn head(canvas: &mut Canvas<'_>, x: u16, y: u16, (at, column): (usize, &Column), width: u16, sort: Sort) {
    let sorted = at == sort.by;
    let arrow = match (sorted, sort.reversed) {
        (false, _) => "",
        (true, false) => canvas.theme.glyphs.descending,
        (true, true) => canvas.theme.glyphs.ascending,
    };
    let name_width = u16::try_from(column.name.width()).unwrap_or(0);
    let show_arrow = sorted && name_width < width;
    let total = name_width + u16::from(show_arrow);
    let start = if column.right { x + width.saturating_sub(total) } else { x };
    let role = if sorted { Role::Title } else { Role::Quiet };
    canvas.put(start, y, column.name, role, width);
    if show_arrow {
        canvas.put(start + name_width, y, arrow, role, 1);
    }
    if let Some(letter) = column.sort
        && let Some(at) = column.name.find(letter.to_ascii_uppercase())
        && u16::try_from(at).is_ok_and(|at| at < width)
    {
        canvas.underline(start + u16::try_from(at).unwrap_or(0), y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_important_columns_are_left_out_first() {
        let columns = [
            fixed("TASK", 'T', 5, 9),
            share("JOB", 'J', 10, 2, 8),
            share("AGENT", 'A', 8, 1, 5),
            fixed("STATE", 'S', 10, 7),
            fixed("FROM", 'F', 8, 1).wide(),
        ];
        let names = |width, wide| -> Vec<_> {
            let wanted: Vec<usize> = (0..columns.len()).filter(|at| wide || !columns[*at].wide).collect();
            fit(&columns, &wanted, width, wide)
                .into_iter()
                .map(|(at, width)| (columns[at].name, width))
                .collect()
        };
        assert_eq!(names(43, false), [("TASK", 5), ("JOB", 12), ("AGENT", 9), ("STATE", 10)]);
        assert_eq!(names(31, false), [("TASK", 5), ("JOB", 10), ("STATE", 10)]);
        assert_eq!(names(30, false), [("TASK", 5), ("JOB", 20)]);
        assert_eq!(names(10, false), [("TASK", 5)]);
        assert_eq!(names(60, true).len(), 5);
        // A changed column order does not change which columns are dropped first.
        let turned: Vec<_> = fit(&columns, &[3, 4, 0], 43, false).into_iter().map(|(at, _)| at).collect();
        assert_eq!(turned, [3, 4, 0]);
        let narrow: Vec<_> = fit(&columns, &[3, 4, 0], 22, false).into_iter().map(|(at, _)| at).collect();
        assert_eq!(narrow, [3, 0]);
    }
}
