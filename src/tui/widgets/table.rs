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
    /// True for text, which may have less or more than `least` cells; numbers stand still.
    pub flexible: bool,
    /// The priority when space is short; the highest is kept longest.
    pub keep: u8,
    /// True for numbers, which are aligned right.
    pub right: bool,
    /// True if the column is shown only in wide mode.
    pub wide: bool,
    /// The highest value comes first when the list is sorted by it.
    pub highest_first: bool,
    /// True if the column is shown only while some visible row has a value in it.
    pub if_any: bool,
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
    Column {
        name,
        sort: Some(sort),
        least,
        preferred: least,
        flexible: false,
        keep,
        right: false,
        wide: false,
        highest_first: false,
        if_any: false,
    }
}

/// A column of text, as wide as its cells where there is room.
pub const fn flexible(name: &'static str, sort: char, least: u16, keep: u8) -> Column {
    Column { flexible: true, ..fixed(name, sort, least, keep) }
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

    /// The same for a column that is seldom needed: it is shown only while some visible row has a value in it.
    #[must_use]
    pub const fn if_any(self) -> Self {
        Self { if_any: true, ..self }
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
    /// At the top, following new rows; the first row is the target and is shown so.
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

/// The cell of a count of zero.
pub const NOTHING: &str = "·";

/// Widths of text columns are rounded up to a multiple of this, so that few changes of the rows move the columns.
const ROUNDED: u16 = 4;

/// The width up to which columns grow before the one that is worth most is given all that it needs.
const MODEST: u16 = 20;

/// The width that a column needs for its head and its cells. One of fixed width has at least that, so that numbers
/// stand still.
fn needed(column: &Column, content: u16) -> u16 {
    let head = u16::try_from(column.name.width()).unwrap_or(0);
    if content > column.least && !column.right {
        return content.next_multiple_of(ROUNDED);
    }
    let usual = if column.flexible { 0 } else { column.least };
    content.max(head).max(usual)
}

/// The columns that fit, and how wide they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fit {
    /// The columns by their number, with their widths.
    pub columns: Vec<(usize, u16)>,
    /// The cells between two columns.
    pub gap: u16,
}

/// Which columns of those that are wanted fit, and how wide they are. `content` is the width of a column's cells.
///
/// Every column first gets its least width, or what it needs if that is less. The rest of the room goes to the column
/// that is worth most up to its preferred width, to the others up to `MODEST`, to the first again, and to the others
/// again, each at most what it needs. What is left stands between the columns and behind the last one.
pub fn fit(
    columns: &[Column],
    wanted: &[usize],
    width: u16,
    wide: bool,
    content: impl Fn(usize) -> u16,
) -> Fit {
    let need: Vec<u16> = columns.iter().enumerate().map(|(at, one)| needed(one, content(at))).collect();
    let least = |at: usize| columns[at].least.min(need[at]);
    let preferred = |at: usize| columns[at].preferred.min(need[at]);
    let mut shown: Vec<usize> = wanted.to_vec();
    let room = width.saturating_sub(MARGIN);
    let total = |shown: &[usize], width: &dyn Fn(usize) -> u16| -> u16 {
        shown.iter().map(|at| width(*at) + 1).sum::<u16>().saturating_sub(1)
    };
    let luxury = |shown: &[usize]| !wide && shown.iter().any(|at| columns[*at].keep <= LUXURY);
    while shown.len() > 1
        && (total(&shown, &least) > room || (luxury(&shown) && total(&shown, &preferred) > room))
    {
        let weakest =
            (0..shown.len()).min_by_key(|at| (columns[shown[*at]].keep, usize::MAX - at)).unwrap_or(0);
        shown.remove(weakest);
    }
    let mut left = room.saturating_sub(total(&shown, &least));
    let mut widths: Vec<(usize, u16)> = shown.iter().map(|at| (*at, least(*at))).collect();
    let mut grow = |place: usize, most: u16| {
        let (at, width) = &mut widths[place];
        let more = need[*at].min(most).saturating_sub(*width).min(left);
        *width += more;
        left -= more;
    };
    let mut order: Vec<usize> = (0..shown.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(columns[shown[*place]].keep));
    if let Some((first, others)) = order.split_first() {
        grow(*first, columns[shown[*first]].preferred);
        for place in others {
            grow(*place, MODEST);
        }
        grow(*first, u16::MAX);
        for place in others {
            grow(*place, u16::MAX);
        }
    }
    let gaps = u16::try_from(widths.len().saturating_sub(1)).unwrap_or(u16::MAX);
    Fit { columns: widths, gap: if left >= gaps { 2 } else { 1 } }
}

/// True if no row has a value in a column.
pub fn is_empty(rows: &[Row], at: usize) -> bool {
    let mut cells = rows.iter().filter_map(|row| row.cells.get(at));
    cells.all(|cell| matches!(cell.text.as_str(), "" | NOTHING))
}

/// Draws a table: its head, then its rows.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, columns: &[Column], shown: &Shown, rows: &[Row]) {
    if area.height == 0 || area.width < MARGIN {
        return;
    }
    let Shown { columns: wanted, wide, sort, cursor } = shown;
    let visible = &rows[..rows.len().min(usize::from(area.height - 1))];
    let content = |at: usize| {
        let cells = visible.iter().filter_map(|row| row.cells.get(at));
        cells.map(|cell| u16::try_from(cell.text.width()).unwrap_or(u16::MAX)).max().unwrap_or(0)
    };
    let Fit { columns: fitting, gap } = fit(columns, wanted, area.width, *wide, content);
    let mut x = area.x + MARGIN - 1;
    for (at, width) in &fitting {
        head(canvas, x, area.y, (*at, &columns[*at]), *width, *sort);
        x += width + gap;
    }
    for (line, row) in visible.iter().enumerate() {
        let y = area.y + 1 + u16::try_from(line).unwrap_or(u16::MAX);
        let here = match cursor {
            Cursor::On(at) => *at == line,
            // Keys mean the first row from the start.
            Cursor::Follows => line == 0,
            Cursor::None => false,
        };
        if here {
            canvas.put(area.x, y, canvas.theme.glyphs.cursor, Role::You, 1);
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
            x += width + gap;
        }
        if here {
            canvas.select(Rect::new(area.x + 1, y, area.width - 1, 1));
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
    let inside = sorted && name_width < width;
    let total = name_width + u16::from(inside);
    let start = if column.right { x + width.saturating_sub(total) } else { x };
    let role = if sorted { Role::Title } else { Role::Quiet };
    canvas.put(start, y, column.name, role, width);
    if inside {
        canvas.put(start + name_width, y, arrow, role, 1);
    } else if sorted {
        // The title fills its column: the arrow takes the space before it.
        canvas.put(x.saturating_sub(1), y, arrow, role, 1);
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
    use crate::domain::time::At;
    use crate::tui::format::Clocks;
    use crate::tui::theme::{Depth, Theme};

    #[test]
    fn a_selected_row_keeps_the_colours_that_mean_something() {
        let columns = [fixed("JOB", 'J', 4, 9), fixed("BAD", 'B', 3, 8).right()];
        for name in ["dark", "light"] {
            let (theme, clocks) = (Theme::load(name, Depth::True, false), Clocks::new("UTC"));
            let area = Rect::new(0, 0, 20, 2);
            let mut buffer = ratatui::buffer::Buffer::empty(area);
            let mut canvas = Canvas::new(&mut buffer, &theme, &clocks, At::ZERO);
            let row = Row {
                mark: span("x", Role::Warn),
                cells: vec![span("pay", Role::Plain), span("12", Role::Bad)],
                marked: false,
            };
            let sort = Sort { by: 1, reversed: false };
            let shown = Shown { columns: vec![0, 1], wide: false, sort, cursor: Cursor::Follows };
            draw(&mut canvas, area, &columns, &shown, &[row]);
            let style = |role| theme.style(role);
            let cell = |x: u16| &buffer[(x, 1)];
            let fg = |x: u16| Some(cell(x).fg);
            assert_eq!(
                (fg(1), fg(3), fg(10)),
                (style(Role::Warn).fg, style(Role::Accent).fg, style(Role::Bad).fg)
            );
            assert!((1..19).all(|x| Some(cell(x).bg) == style(Role::Accent).bg), "{name}");
            // The title fills its column, so that its arrow stands before it.
            let head: String = (0..20).map(|x| buffer[(x, 0)].symbol()).collect();
            assert_eq!(head.trim_end(), "   JOB  ↓BAD", "{name}");
        }
    }

    fn columns() -> [Column; 5] {
        [
            fixed("TASK", 'T', 5, 9),
            flexible("JOB", 'J', 10, 8),
            flexible("AGENT", 'A', 8, 5),
            fixed("STATE", 'S', 10, 7),
            fixed("FROM", 'F', 8, 1).wide(),
        ]
    }

    #[test]
    fn the_least_important_columns_are_left_out_first() {
        let columns = columns();
        let names = |width, wide| -> Vec<_> {
            let wanted: Vec<usize> = (0..columns.len()).filter(|at| wide || !columns[*at].wide).collect();
            let fitting = fit(&columns, &wanted, width, wide, |_| 99);
            fitting.columns.into_iter().map(|(at, width)| (columns[at].name, width)).collect()
        };
        assert_eq!(names(43, false), [("TASK", 5), ("JOB", 13), ("AGENT", 8), ("STATE", 10)]);
        assert_eq!(names(31, false), [("TASK", 5), ("JOB", 10), ("STATE", 10)]);
        assert_eq!(names(30, false), [("TASK", 5), ("JOB", 20)]);
        assert_eq!(names(10, false), [("TASK", 6)]);
        assert_eq!(names(60, true).len(), 5);
        // A changed column order does not change which columns are dropped first.
        let fitting = |width| fit(&columns, &[3, 4, 0], width, false, |_| 99).columns;
        let turned: Vec<_> = fitting(43).into_iter().map(|(at, _)| at).collect();
        assert_eq!(turned, [3, 4, 0]);
        let narrow: Vec<_> = fitting(22).into_iter().map(|(at, _)| at).collect();
        assert_eq!(narrow, [3, 0]);
    }

    #[test]
    fn columns_are_as_wide_as_their_cells_while_there_is_room() {
        let columns = columns();
        for (width, content, expected, why) in [
            (80, [4, 30, 8, 7], ([5, 32, 8, 10], 2), "each has what it needs, and the rest is between them"),
            (80, [4, 3, 7, 22], ([5, 3, 7, 24], 2), "a column with little in it gives room away"),
            (47, [4, 30, 8, 22], ([5, 17, 8, 10], 1), "others may grow modestly, by their worth"),
            (64, [4, 30, 8, 22], ([5, 24, 8, 20], 1), "then the one that matters most grows"),
            (80, [0, 0, 0, 0], ([5, 3, 5, 10], 2), "without rows there are the heads"),
        ] {
            let Fit { columns, gap } =
                fit(&columns, &[0, 1, 2, 3], width, false, |at| content.get(at).copied().unwrap_or(0));
            let widths: Vec<u16> = columns.into_iter().map(|(_, width)| width).collect();
            assert_eq!((widths.as_slice(), gap), (&expected.0[..], expected.1), "{why}");
        }
    }
}
