//! The interface of all views.

use ratatui::layout::Rect;

use super::actions::Action;
use super::context::Context;
use super::destination::Target;
use super::followed_job::FollowedJob;
use super::queries::{Ask, Subscription, Telemetry};
use super::step::Step;
use super::views::frame::inside;
use super::views::listing::{List, Order};
use super::views::task_rows::Work;
use super::widgets::canvas::Canvas;
use super::widgets::filter::Filter;
use super::widgets::sorted::Sorted;
use crate::domain::fact::{JournalEntry, Owner};
use crate::domain::id::{AttemptKey, JobKey};
use crate::engine::Answer;

/// The interface of all views. `area` is the body of the screen: the view's title line and its contents, without the
/// last border.
pub trait Screen {
    /// Its name, for `:views`, history and snapshots.
    fn word(&self) -> &'static str;

    /// Applies changes since the last frame; true if the display changes.
    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool;

    /// Draws it.
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context);

    /// Runs an action; `None` if it means nothing in this view.
    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>>;

    /// The actions listed in the last border, most useful first, each with a label.
    fn keys(&self, ctx: &Context) -> Vec<(Action, &'static str)>;

    /// The item under the cursor.
    fn target(&self, ctx: &Context) -> Target;

    /// Attempts that are marked.
    fn marked(&self, _ctx: &Context) -> Vec<AttemptKey> {
        Vec::new()
    }

    /// Jobs without any attempt that are marked, or the one under the cursor.
    fn jobs(&self, _ctx: &Context) -> Vec<JobKey> {
        Vec::new()
    }

    /// Removes all marks after the action on them is done.
    fn unmark(&mut self) {}

    /// True where text is read, so that `n` is the next match and `space` pages.
    fn in_text(&self) -> bool {
        false
    }

    /// The list that it shows now, if it shows one, to be clicked, sorted, filtered and copied.
    fn list(&self) -> Option<&dyn List> {
        None
    }

    /// The same, to change it.
    fn list_mut(&mut self) -> Option<&mut dyn List> {
        None
    }

    /// The area of that list, including its head.
    fn list_area(&self, area: Rect) -> Rect {
        inside(area)
    }

    /// A key was pressed: what keys mean stays what was seen, until the cursor is moved.
    fn stick(&mut self) {
        if let Some(list) = self.list_mut() {
            list.stick();
        }
    }

    /// Selects what is at a column and row; true if it was selected already.
    fn click(&mut self, _ctx: &Context, area: Rect, _x: u16, y: u16) -> bool {
        let area = self.list_area(area);
        self.list_mut().is_some_and(|list| list.click(area, y))
    }

    /// Sorts by a column; false if there is no such column.
    fn sort(&mut self, letter: char) -> bool {
        self.list_mut().is_some_and(|list| list.sort(letter))
    }

    /// The text of the filter or search.
    fn searched(&self) -> String {
        self.list().map(|list| list.settings().filter.text().to_owned()).unwrap_or_default()
    }

    /// Filters or searches; returns how many lines of a text match, `None` for a list.
    fn search(&mut self, text: &str, _ctx: &Context, _area: Rect) -> Option<usize> {
        let Some(list) = self.list_mut() else { return Some(0) };
        list.settings_mut().filter = Filter::parse(text);
        None
    }

    /// The queries that it needs while it is shown.
    fn queries(&self, _ctx: &Context) -> Vec<Subscription> {
        Vec::new()
    }

    /// Takes the engine's answer to one of its queries.
    fn on_answer(&mut self, _ask: &Ask, _answer: Answer) {}

    /// Takes the answer to one of its queries about telemetry.
    fn on_telemetry(&mut self, _ask: &Ask, _answer: Telemetry) {}

    /// The job that it follows, if it follows one.
    fn followed(&self) -> Option<&FollowedJob> {
        None
    }

    /// Mutable access, to add facts.
    fn followed_mut(&mut self) -> Option<&mut FollowedJob> {
        None
    }

    /// Facts of an owner that it has read from the journal.
    fn facts(&self, _owner: Owner) -> Option<&[JournalEntry]> {
        None
    }

    /// An order that a worker should build; returned once.
    fn index(&mut self) -> Option<Work> {
        None
    }

    /// Takes rows that a worker has built, and leaves those that it no longer needs.
    fn indexed(&mut self, _order: &Order, _rev: u64, _rows: &mut Sorted<AttemptKey>) {}

    /// The displayed table, for the clipboard.
    fn table(&self, ctx: &Context) -> Option<Vec<Vec<String>>> {
        self.list().map(|list| list.table(ctx))
    }
}
