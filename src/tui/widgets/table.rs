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
    /// In wide mode, the columns that are wanted otherwise.
    pub usual: Option<Vec<usize>>,
    /// How rows are sorted.
    pub sort: Sort,
    /// Where the cursor is.
    pub cursor: Cursor,
}

/// The cell of a count of zero.
pub const NOTHING: &str = "·";

/// Widths of text columns are rounded up to a multiple of this, so that few changes of the rows move the columns.
const ROUNDED: u16 = 4;

/// Cells that texts get, as far as they need them, before columns of `LUXURY` are shown.
const TELLING: u16 = 24;

/// The width up to which columns grow before the one that is worth most is given all that it needs.
const MODEST: u16 = 20;

/// The columns that fit, and how wide they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fit {
    /// The columns by their number, with their widths.
    pub columns: Vec<(usize, u16)>,
    /// The cells between two columns.
    pub gap: u16,
}

/// From this width on, wide mode only adds columns.
const ROOMY: u16 = 100;

/// The width of a table with these columns.
fn total(shown: &[usize], width: impl Fn(usize) -> u16) -> u16 {
    let cells = shown.iter().map(|at| width(*at).saturating_add(1));
    cells.fold(MARGIN, u16::saturating_add).saturating_sub(1)
}

/// The width that each column needs, and the least that it can do with.
struct Needs<'c> {
    columns: &'c [Column],
    need: Vec<u16>,
    least: Vec<u16>,
}

impl<'c> Needs<'c> {
    fn new(columns: &'c [Column], sort: Sort, content: impl Fn(usize) -> u16) -> Self {
        let mut needs = Self { columns, need: Vec::new(), least: Vec::new() };
        for (at, column) in columns.iter().enumerate() {
            // The arrow belongs to the title: it needs a cell of its own, so that titles are never glued together.
            let head = u16::try_from(column.name.width()).unwrap_or(0) + u16::from(at == sort.by);
            let fixed = if column.flexible { 0 } else { column.least };
            let need = content(at).max(head).max(fixed);
            let least = if at == sort.by && !column.flexible { column.least.max(head) } else { column.least };
            needs.need.push(need);
            needs.least.push(least.min(need));
        }
        needs
    }

    /// What a column should have before others that are worth less get any.
    fn preferred(&self, at: usize) -> u16 {
        let column = &self.columns[at];
        let telling = if column.flexible && column.keep > LUXURY { TELLING } else { 0 };
        column.preferred.max(telling).min(self.need[at])
    }

    /// What it needs, rounded where there is room for that.
    fn rounded(&self, at: usize) -> u16 {
        let (column, need) = (&self.columns[at], self.need[at]);
        if need > column.least && !column.right { need.next_multiple_of(ROUNDED) } else { need }
    }

    fn least_fits(&self, shown: &[usize], width: u16) -> bool {
        total(shown, |at| self.least[at]) <= width
    }

    /// The columns that are shown.
    fn chosen(&self, shown: &Shown, width: u16) -> Vec<usize> {
        let usual = self.usual(shown.usual.as_ref().unwrap_or(&shown.columns), width);
        if shown.usual.is_some() { self.wide(&shown.columns, &usual, width) } else { usual }
    }

    /// The columns of those that are wanted, without the ones that are worth least if there is no room.
    fn usual(&self, wanted: &[usize], width: u16) -> Vec<usize> {
        let keep = |at: usize| self.columns[at].keep;
        let mut shown = wanted.to_vec();
        let fits = |shown: &[usize]| {
            let has_luxury = shown.iter().any(|at| keep(*at) <= LUXURY);
            self.least_fits(shown, width) && !(has_luxury && total(shown, |at| self.preferred(at)) > width)
        };
        while shown.len() > 1 && !fits(&shown) {
            let weakest = (0..shown.len()).min_by_key(|place| (keep(shown[*place]), usize::MAX - place));
            shown.remove(weakest.unwrap_or(0));
        }
        shown
    }

    /// The one that is worth most, then those that are usual, then the others, as far as there is room. A narrow table has
    /// no room for more than the usual ones: there those that are usually left out come first.
    fn wide(&self, all: &[usize], usual: &[usize], width: u16) -> Vec<usize> {
        let keep = |at: usize| self.columns[at].keep;
        let most = usual.iter().copied().max_by_key(|at| keep(*at));
        let mut by_worth = all.to_vec();
        by_worth.sort_by_key(|at| {
            std::cmp::Reverse((Some(*at) == most, usual.contains(at) == (width >= ROOMY), keep(*at)))
        });
        let mut shown: Vec<usize> = Vec::new();
        for at in by_worth {
            let more: Vec<usize> =
                all.iter().copied().filter(|one| *one == at || shown.contains(one)).collect();
            if shown.is_empty() || self.least_fits(&more, width) {
                shown = more;
            }
        }
        shown
    }
}

/// Which columns of those that are wanted fit, and how wide they are. `content` is the width of a column's cells.
///
/// Every column first gets its least width, or what it needs if that is less. The rest of the room goes to the column
/// that is worth most up to its preferred width, to the others up to `MODEST`, to the first again, and to the others
/// again, each at most what it needs. What is left stands between the columns and behind the last one.
///
/// In wide mode all columns are shown if they fit. Otherwise, from `ROOMY` cells on, those that are usually left out are
/// added as far as there is room, and none is taken away; below that they stay longest, beside the column that is worth
/// most.
pub fn fit(columns: &[Column], shown: &Shown, width: u16, content: impl Fn(usize) -> u16) -> Fit {
    let needs = Needs::new(columns, shown.sort, content);
    let chosen = needs.chosen(shown, width);
    let roomy = total(&chosen, |at| needs.rounded(at)) <= width;
    let need = |at: usize| if roomy { needs.rounded(at) } else { needs.need[at] };
    let mut left = width.saturating_sub(total(&chosen, |at| needs.least[at]));
    let mut widths: Vec<(usize, u16)> = chosen.iter().map(|at| (*at, needs.least[*at])).collect();
    let mut grow = |place: usize, most: u16| {
        let (at, width) = &mut widths[place];
        let more = need(*at).min(most).saturating_sub(*width).min(left);
        *width += more;
        left -= more;
    };
    let mut order: Vec<usize> = (0..chosen.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(columns[chosen[*place]].keep));
    if let Some((first, others)) = order.split_first() {
        grow(*first, columns[chosen[*first]].preferred);
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
    cells.all(|cell| matches!(cell.text.as_str(), "" | "–" | NOTHING))
}

/// The width of a column's cells.
fn content(rows: &[Row], at: usize) -> u16 {
    let cells = rows.iter().filter_map(|row| row.cells.get(at));
    cells.map(|cell| u16::try_from(cell.text.width()).unwrap_or(u16::MAX)).max().unwrap_or(0)
}

/// What wide mode shows, in words: `all 17 columns`, or `wide · without 4 of 17 columns · all need 188`.
pub fn wide_words(columns: &[Column], shown: &Shown, rows: &[Row], width: u16) -> String {
    let needs = Needs::new(columns, shown.sort, |at| content(rows, at));
    let all = shown.columns.len();
    let missing = all - needs.chosen(shown, width).len();
    if missing == 0 {
        return format!("all {all} columns");
    }
    // Two cells are the sides of the frame.
    let cells = total(&shown.columns, |at| needs.least[at]) + 2;
    format!("wide · without {missing} of {all} columns · all need {cells}")
}

/// Draws a table: its head, then its rows.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, columns: &[Column], shown: &Shown, rows: &[Row]) {
    if area.height == 0 || area.width < MARGIN {
        return;
    }
    let Shown { sort, cursor, .. } = shown;
    let visible = &rows[..rows.len().min(usize::from(area.height - 1))];
    let Fit { columns: fitting, gap } = fit(columns, shown, area.width, |at| content(visible, at));
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
    // A column of text that is narrower than its title shows no arrow.
    let inside = sorted && name_width < width;
    let total = name_width + u16::from(inside);
    let start = if column.right { x + width.saturating_sub(total) } else { x };
    let role = if sorted { Role::Title } else { Role::Quiet };
    canvas.put(start, y, column.name, role, width);
    if inside {
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
    use crate::domain::time::At;
    use crate::tui::format::Clocks;
    use crate::tui::theme::{Depth, Theme};

    #[test]
    fn a_selected_row_keeps_the_colours_that_mean_something() {
        let columns = [fixed("JOB", 'J', 4, 9), fixed("BAD", 'B', 3, 8).right()];
        let depths = [Depth::True, Depth::Sixteen];
        for (name, depth) in depths.into_iter().flat_map(|depth| [("dark", depth), ("light", depth)]) {
            let (theme, clocks) = (Theme::load(name, depth, false), Clocks::new("UTC"));
            let area = Rect::new(0, 0, 20, 2);
            let mut buffer = ratatui::buffer::Buffer::empty(area);
            let mut canvas = Canvas::new(&mut buffer, &theme, &clocks, At::ZERO);
            let row = Row {
                mark: span("x", Role::Warn),
                cells: vec![span("pay", Role::Plain), span("12", Role::Bad)],
                marked: false,
            };
            let sort = Sort { by: 1, reversed: false };
            let shown = Shown { columns: vec![0, 1], usual: None, sort, cursor: Cursor::Follows };
            draw(&mut canvas, area, &columns, &shown, &[row]);
            let style = |role| theme.style(role);
            let cell = |x: u16| &buffer[(x, 1)];
            let fg = |x: u16| Some(cell(x).fg);
            let turned = |x: u16| cell(x).modifier.contains(ratatui::style::Modifier::REVERSED);
            let (plain, lit) = match depth {
                Depth::Sixteen => (style(Role::Plain).fg, (1..19).all(turned)),
                _ => (style(Role::Accent).fg, (1..19).all(|x| Some(cell(x).bg) == style(Role::Accent).bg)),
            };
            assert_eq!((fg(1), fg(3), fg(11)), (style(Role::Warn).fg, plain, style(Role::Bad).fg), "{name}");
            assert!(lit, "{name} {depth:?}");
            // The title fills its column, which is a cell wider for its arrow.
            let head: String = (0..20).map(|x| buffer[(x, 0)].symbol()).collect();
            assert_eq!(head.trim_end(), "   JOB   BAD↓", "{name}");
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

    fn shown(columns: &[usize]) -> Shown {
        let sort = Sort { by: usize::MAX, reversed: false };
        Shown { columns: columns.to_vec(), usual: None, sort, cursor: Cursor::None }
    }

    #[test]
    fn the_least_important_columns_are_left_out_first() {
        let columns = columns();
        let names = |width, wide| -> Vec<_> {
            let usual: Vec<usize> = (0..columns.len()).filter(|at| !columns[*at].wide).collect();
            let shown =
                if wide { Shown { usual: Some(usual), ..shown(&[0, 1, 2, 3, 4]) } } else { shown(&usual) };
            let fitting = fit(&columns, &shown, width, |_| 99);
            fitting.columns.into_iter().map(|(at, width)| (columns[at].name, width)).collect()
        };
        assert_eq!(names(43, false), [("TASK", 5), ("JOB", 13), ("AGENT", 8), ("STATE", 10)]);
        assert_eq!(names(31, false), [("TASK", 5), ("JOB", 10), ("STATE", 10)]);
        assert_eq!(names(30, false), [("TASK", 5), ("JOB", 20)]);
        assert_eq!(names(10, false), [("TASK", 6)]);
        assert_eq!(names(60, true).len(), 5);
        // Where not all columns fit a narrow table, wide mode shows those that are usually left out.
        assert_eq!(names(43, true), [("TASK", 5), ("JOB", 13), ("STATE", 10), ("FROM", 8)]);
        assert_eq!(names(31, true), [("TASK", 5), ("AGENT", 12), ("FROM", 8)]);
        assert_eq!(names(20, true), [("TASK", 5), ("STATE", 10)]);
        // A changed column order does not change which columns are dropped first.
        let fitting = |width| fit(&columns, &shown(&[3, 4, 0]), width, |_| 99).columns;
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
                fit(&columns, &shown(&[0, 1, 2, 3]), width, |at| content.get(at).copied().unwrap_or(0));
            let widths: Vec<u16> = columns.into_iter().map(|(_, width)| width).collect();
            assert_eq!((widths.as_slice(), gap), (&expected.0[..], expected.1), "{why}");
        }
    }
}
