//! The cursor of a list whose rows come, go and move: it stays on its row, and the row stays on its line.

use std::collections::BTreeSet;
use std::hash::Hash;

use crate::tui::actions::Action;
use crate::tui::saved_view::ListSettings;
use crate::tui::widgets::sorted::Sorted;

/// The position and display settings of a list.
#[derive(Clone, Debug)]
pub struct ListState<K> {
    /// The row under the cursor; none: the top is followed, as no key was pressed yet.
    pub selected: Option<K>,
    /// The cursor was moved to that row; else it has only stayed on what was the top.
    pub moved: bool,
    /// The line of the cursor, from the top of the list.
    pub line: usize,
    /// The display settings.
    pub settings: ListSettings,
    /// The selected row is explained below.
    pub details: bool,
    /// Marked rows; marks survive filters.
    pub marks: BTreeSet<K>,
    last_mark: Option<K>,
    /// Rows that were drawn last, to find a neighbour when the selected one goes.
    seen: Vec<K>,
    /// Rows that came in above the window since the cursor last moved.
    pub new_above: usize,
}

impl<K: Copy + Ord + Hash> ListState<K> {
    /// The top of a list sorted by a column.
    pub fn new(sort: usize) -> Self {
        Self {
            selected: None,
            moved: false,
            line: 0,
            settings: ListSettings::new(sort),
            details: true,
            marks: BTreeSet::new(),
            last_mark: None,
            seen: Vec::new(),
            new_above: 0,
        }
    }

    /// The rows that fill a window, and the line of the cursor in it.
    pub fn window(&self, rows: &Sorted<K>, height: usize) -> (Vec<K>, Option<usize>) {
        let Some(selected) = self.selected.filter(|key| rows.contains(*key)) else {
            return (rows.iter().take(height).collect(), None);
        };
        if height == 0 {
            return (Vec::new(), None);
        }
        let line = self.line.min(height - 1);
        let mut window: Vec<K> = rows.above(selected).take(line).collect();
        window.reverse();
        let mut at = window.len();
        window.push(selected);
        window.extend(rows.below(selected).take(height - window.len()));
        if window.len() < height {
            // Near the end: the window is filled from above.
            let missing = height - window.len();
            let more: Vec<K> = rows.above(window[0]).take(missing).collect();
            at += more.len();
            window.splice(0..0, more.into_iter().rev());
        }
        (window, Some(at))
    }

    /// Updates the position after rows or sizes have changed. A removed row is replaced by its neighbour.
    pub fn refresh(&mut self, rows: &Sorted<K>, height: usize) {
        if let Some(selected) = self.selected
            && !rows.contains(selected)
        {
            let at = self.seen.iter().position(|key| *key == selected).unwrap_or(0);
            let after = self.seen.iter().skip(at).find(|key| rows.contains(**key));
            let before =
                || self.seen[..at.min(self.seen.len())].iter().rev().find(|key| rows.contains(**key));
            self.selected = after.or_else(before).copied().or_else(|| rows.iter().next());
        }
        let (window, at) = self.window(rows, height);
        if let Some(at) = at {
            self.line = at;
        }
        if let (Some(first), Some(_)) = (window.first(), self.selected)
            && !self.seen.is_empty()
            && !self.seen.iter().any(|known| known == first || rows.is_above(*known, *first))
        {
            self.new_above = 0;
        }
        self.seen = window;
    }

    /// Shows the first rows as long as the selected one fits below them: where rows change places all the time, the worst
    /// must not leave the screen because another one got better.
    pub fn keep_first(&mut self, rows: &Sorted<K>, height: usize) {
        if let Some(selected) = self.selected {
            let above = rows.above(selected).take(height).count();
            if above < height {
                self.line = above;
                self.seen = self.window(rows, height).0;
            }
        }
    }

    /// Rows above the window.
    pub fn above(&self, rows: &Sorted<K>) -> usize {
        self.selected.and(self.seen.first()).map_or(0, |first| rows.above(*first).count())
    }

    /// Rows that came in are counted if they are above the window.
    pub fn came_in(&mut self, rows: &Sorted<K>, new: &[K]) {
        if let (Some(_), Some(first)) = (self.selected, self.seen.first()) {
            self.new_above += new.iter().filter(|key| rows.is_above(**key, *first)).count();
        }
    }

    /// The rows that were drawn last.
    pub fn seen(&self) -> &[K] {
        &self.seen
    }

    /// The row under the cursor, else the first.
    pub fn target(&self, rows: &Sorted<K>) -> Option<K> {
        self.selected.or_else(|| rows.iter().next())
    }

    /// A key was pressed: the cursor stays on the row that was seen under it, whatever comes in above from now on.
    pub fn stick(&mut self, rows: &Sorted<K>) {
        if self.selected.is_none() {
            let seen = self.seen.first().copied().filter(|key| rows.contains(*key));
            self.selected = seen.or_else(|| rows.iter().next());
            self.line = 0;
        }
    }

    /// Moves the cursor; negative is up.
    pub fn go(&mut self, rows: &Sorted<K>, by: isize, height: usize) {
        self.new_above = 0;
        self.moved = true;
        let Some(selected) = self.selected else {
            // A followed row becomes the fixed starting point of the movement.
            self.selected = rows.iter().next();
            self.line = 0;
            if by > 0 && self.selected.is_some() {
                self.go(rows, by, height);
            }
            return;
        };
        let steps = by.unsigned_abs();
        let reached = if by < 0 {
            rows.above(selected).take(steps).last()
        } else {
            rows.below(selected).take(steps).last()
        };
        let Some(reached) = reached else { return };
        let moved = if by < 0 {
            rows.above(selected).take(steps).position(|key| key == reached).map_or(0, |at| at + 1)
        } else {
            rows.below(selected).take(steps).position(|key| key == reached).map_or(0, |at| at + 1)
        };
        self.selected = Some(reached);
        self.line = if by < 0 {
            self.line.saturating_sub(moved)
        } else {
            (self.line + moved).min(height.saturating_sub(1))
        };
    }

    /// Handles actions that move the cursor or change how the list is shown; false for other actions.
    pub fn act(&mut self, action: Action, rows: &Sorted<K>, lines: usize) -> bool {
        let half = isize::try_from(lines / 2).unwrap_or(1).max(1);
        match action {
            Action::Down => self.go(rows, 1, lines),
            Action::Up => self.go(rows, -1, lines),
            Action::HalfDown => self.go(rows, half, lines),
            Action::HalfUp => self.go(rows, -half, lines),
            Action::First => self.first(),
            Action::Last => self.last(rows, lines),
            Action::Wide => self.settings.wide = !self.settings.wide,
            Action::Details => self.details = !self.details,
            Action::Faults => self.settings.faults = !self.settings.faults,
            Action::Back => return self.clear_one(),
            _ => return false,
        }
        true
    }

    /// Clears one thing: marks, then the filter, then the filter of faults. False if there was nothing.
    fn clear_one(&mut self) -> bool {
        if self.marks.is_empty() {
            return self.settings.clear_one();
        }
        self.marks.clear();
        true
    }

    /// To the top; new rows are followed again.
    pub fn first(&mut self) {
        self.selected = None;
        self.moved = false;
        self.line = 0;
        self.new_above = 0;
    }

    /// Moves to the last row.
    pub fn last(&mut self, rows: &Sorted<K>, height: usize) {
        self.selected = rows.iter_back().next();
        self.moved = true;
        self.line = height.saturating_sub(1);
        self.new_above = 0;
    }

    /// Puts the cursor on a line of the window.
    pub fn click(&mut self, line: usize) -> bool {
        match self.seen.get(line) {
            Some(key) => {
                let same = self.selected == Some(*key);
                self.selected = Some(*key);
                self.moved = true;
                self.line = line;
                self.new_above = 0;
                same
            }
            None => false,
        }
    }

    /// Marks the row, or takes its mark away.
    pub fn mark(&mut self, rows: &Sorted<K>) {
        let Some(key) = self.target(rows) else { return };
        self.selected = Some(key);
        if !self.marks.remove(&key) {
            self.marks.insert(key);
        }
        self.last_mark = Some(key);
    }

    /// Marks all displayed rows, or clears all marks.
    pub fn mark_all(&mut self, rows: &Sorted<K>) {
        if !rows.is_empty() && rows.iter().all(|key| self.marks.contains(&key)) {
            self.marks.clear();
        } else {
            self.marks.extend(rows.iter());
        }
    }

    /// Marks from the last mark to here.
    pub fn mark_to(&mut self, rows: &Sorted<K>) {
        let (Some(here), Some(from)) = (self.target(rows), self.last_mark.filter(|key| rows.contains(*key)))
        else {
            return self.mark(rows);
        };
        let up = rows.is_above(from, here);
        let (top, bottom) = if up { (from, here) } else { (here, from) };
        self.marks.insert(top);
        for key in rows.below(top) {
            self.marks.insert(key);
            if key == bottom {
                break;
            }
        }
        self.last_mark = Some(here);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sorted::SortKey;
    use super::*;

    fn rows(keys: &[u32]) -> Sorted<u32> {
        Sorted::build(keys.iter().map(|key| (SortKey::Number(i64::from(*key)), *key)), true)
    }

    #[test]
    fn the_cursor_stays_with_its_row_and_its_row_on_its_line() {
        let mut list: ListState<u32> = ListState::new(0);
        let mut sorted = rows(&[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(list.window(&sorted, 3), (vec![8, 7, 6], None));
        list.go(&sorted, 1, 3);
        list.refresh(&sorted, 3);
        assert_eq!((list.selected, list.line), (Some(7), 1));
        // Newer rows come in above: the window does not move.
        for key in [9, 10] {
            sorted.put(key, Some(SortKey::Number(i64::from(key))));
        }
        list.came_in(&sorted, &[9, 10]);
        list.refresh(&sorted, 3);
        assert_eq!(list.window(&sorted, 3), (vec![8, 7, 6], Some(1)));
        assert_eq!(list.new_above, 2);
        // The selected row goes: the next one takes its place.
        sorted.put(7, None);
        list.refresh(&sorted, 3);
        assert_eq!(list.selected, Some(6));
        list.last(&sorted, 3);
        assert_eq!(list.window(&sorted, 3), (vec![3, 2, 1], Some(2)));
        list.go(&sorted, -100, 3);
        assert_eq!((list.selected, list.line), (Some(10), 0));
        list.first();
        assert_eq!(list.window(&sorted, 3), (vec![10, 9, 8], None));
    }

    #[test]
    fn the_first_rows_stay_where_the_selected_one_fits_below_them() {
        for (height, value, expected) in [
            // It fell to the third place of five: the worst are still there.
            (3, 3, (vec![5, 2, 4], 2, 0)),
            // It fell further than there are lines: it stays on its line, and the worst are counted.
            (3, 0, (vec![3, 1, 4], 2, 2)),
            (1, 3, (vec![4], 0, 2)),
        ] {
            let mut list: ListState<u32> = ListState::new(0);
            let mut sorted = rows(&[1, 2, 3, 4, 5]);
            list.go(&sorted, 1, height);
            list.refresh(&sorted, height);
            assert_eq!(list.selected, Some(4));
            for (key, value) in [(4, value), (2, 4), (3, 2)] {
                sorted.put(key, Some(SortKey::Number(value)));
            }
            list.refresh(&sorted, height);
            list.keep_first(&sorted, height);
            let (window, at) = list.window(&sorted, height);
            assert_eq!((window, at.unwrap_or(9), list.above(&sorted)), expected, "{height} {value}");
        }
    }

    #[test]
    fn the_top_is_followed_until_a_key_is_pressed() {
        let mut list: ListState<u32> = ListState::new(0);
        let mut sorted = rows(&[1, 2, 3]);
        list.refresh(&sorted, 2);
        let mut comes = |list: &mut ListState<u32>, key: u32| {
            sorted.put(key, Some(SortKey::Number(i64::from(key))));
            // A key that arrives before the row was drawn means what was there before.
            let before = list.target(&sorted);
            list.stick(&sorted);
            let stuck = list.target(&sorted);
            list.refresh(&sorted, 2);
            (before, stuck, list.target(&sorted))
        };
        assert_eq!(comes(&mut list, 4), (Some(4), Some(3), Some(3)));
        assert_eq!(comes(&mut list, 5), (Some(3), Some(3), Some(3)));
        list.first();
        list.refresh(&sorted, 2);
        assert_eq!(list.target(&sorted), Some(5));
    }

    #[test]
    fn marking_a_range_marks_every_row_in_it() {
        let mut list: ListState<u32> = ListState::new(0);
        let sorted = rows(&[1, 2, 3, 4, 5]);
        list.go(&sorted, 1, 5);
        list.mark(&sorted);
        list.go(&sorted, 2, 5);
        list.mark_to(&sorted);
        assert_eq!(list.marks, BTreeSet::from([4, 3, 2]));
        list.mark_all(&sorted);
        assert_eq!(list.marks.len(), 5);
        list.mark_all(&sorted);
        assert!(list.marks.is_empty());
    }
}
