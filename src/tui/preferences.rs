//! What somebody likes: which key does what, which columns a list shows, and views that were saved.
//!
//! The configuration is read elsewhere; here it is judged, as only the console knows its actions and columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::actions::Action;
use super::commands;
use super::keys::{Keys, Wish};
use super::model::Shared;
use super::views::ListKind;
use super::views::listing::List;
use super::widgets::filter::Filter;
use super::widgets::list::Look;
use crate::domain::text::Untrusted;

/// A word of a file, and the line on which it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word<'w> {
    /// The word.
    pub text: &'w str,
    /// The line, from 1.
    pub line: usize,
}

/// Something wrong with what was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wrong {
    /// The line, from 1.
    pub line: usize,
    /// The key, from the top.
    pub key: String,
    /// What is wrong, and what to write.
    pub what: String,
}

impl Wrong {
    /// At a line, about a key.
    pub fn new(line: usize, key: impl AsRef<str>, what: impl Into<String>) -> Self {
        // Both hold what somebody else may have written.
        Self { line, key: Untrusted::from(key.as_ref()).line().into_string(), what: what.into() }
    }
}

/// A list as it was saved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SavedView {
    /// What opens it, after `:`.
    pub name: String,
    /// Of which list.
    pub of: ListKind,
    /// How that is shown.
    pub look: Look,
    /// The console saved it, and may change or delete it; else it stands in the configuration.
    pub kept: bool,
}

/// A saved view as a file has it.
#[derive(Clone, Debug)]
pub struct WrittenView<'w> {
    /// Its name.
    pub name: Word<'w>,
    /// Of which list.
    pub of: Word<'w>,
    /// What it shows.
    pub filter: Option<&'w str>,
    /// By which column.
    pub sort: Option<Word<'w>>,
    /// The highest first; the column's own order if it is not said.
    pub descending: Option<bool>,
    /// Which columns.
    pub columns: Option<Vec<Word<'w>>>,
    /// Only what is wrong or in doubt.
    pub faults: bool,
}

/// Which columns each list shows, in which order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Columns(BTreeMap<ListKind, Vec<usize>>);

impl Columns {
    /// The columns of a list as it looks now, by their number.
    pub fn of(&self, list: ListKind, look: &Look) -> Vec<usize> {
        let all = list.columns();
        let chosen = look.columns.as_ref().or_else(|| self.0.get(&list));
        match (chosen, look.wide) {
            (Some(chosen), false) => chosen.clone(),
            // What was chosen stays where it is, and the others follow.
            (Some(chosen), true) => {
                let rest = (0..all.len()).filter(|at| !chosen.contains(at));
                chosen.iter().copied().chain(rest).collect()
            }
            (None, wide) => (0..all.len()).filter(|at| wide || !all[*at].wide).collect(),
        }
    }

    /// The names of the columns that a list shows unless something else is said of it.
    pub fn names(&self, list: ListKind) -> Vec<String> {
        let shown = self.of(list, &Look::new(list.usual_sort()));
        shown.into_iter().map(|at| list.columns()[at].word()).collect()
    }

    /// What `[columns]` says, and what is wrong with it.
    pub fn with(wishes: &[Wish<'_>]) -> (Self, Vec<Wrong>) {
        let (mut columns, mut wrong) = (Self::default(), Vec::new());
        for (name, words) in wishes {
            let key = format!("columns.{}", name.text);
            match list_named(*name, &key) {
                Err(what) => wrong.push(what),
                Ok(list) => match chosen(list, words, name.line, &key) {
                    Ok(chosen) => {
                        columns.0.insert(list, chosen);
                    }
                    Err(mut what) => wrong.append(&mut what),
                },
            }
        }
        (columns, wrong)
    }
}

/// Something done to the saved views.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Save it, in place of one of its name.
    Keep(Arc<SavedView>),
    /// Delete the one of this name.
    Forget(String),
}

/// Where saved views are kept. It reads and writes, and may take its time.
pub trait Shelf: std::fmt::Debug + Send + Sync {
    /// All saved views, the configuration's first.
    ///
    /// # Errors
    /// What is kept cannot be read; with the place and what is wrong there.
    fn read(&self) -> Result<Vec<Arc<SavedView>>, String>;

    /// Does something, and tells all saved views after it.
    ///
    /// # Errors
    /// It cannot be read or written, and nothing has changed.
    fn change(&self, change: Change) -> Result<Vec<Arc<SavedView>>, String>;
}

/// All of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Preferences {
    /// Which key does what.
    pub keys: Keys,
    /// Which columns lists show.
    pub columns: Columns,
    /// What was saved, the configuration's first.
    pub views: Vec<Arc<SavedView>>,
}

impl Preferences {
    /// A saved view by its name.
    pub fn view(&self, name: &str) -> Option<&Arc<SavedView>> {
        self.views.iter().find(|view| view.name == name)
    }
}

fn list_named(word: Word<'_>, key: &str) -> Result<ListKind, Wrong> {
    let known = ListKind::ALL.map(ListKind::word);
    ListKind::ALL.into_iter().find(|list| list.word() == word.text).ok_or_else(|| {
        let word_told = Untrusted::from(word.text).line();
        Wrong::new(word.line, key, format!("there is no list {word_told}; there are {}", known.join(", ")))
    })
}

fn column(list: ListKind, word: Word<'_>, key: &str) -> Result<usize, Wrong> {
    let known: Vec<String> = list.columns().iter().map(|column| column.word()).collect();
    known.iter().position(|name| name == word.text).ok_or_else(|| {
        let told = Untrusted::from(word.text).line();
        let what = format!("{} has no column {told}; there are {}", list.word(), known.join(", "));
        Wrong::new(word.line, key, what)
    })
}

fn chosen(list: ListKind, words: &[Word<'_>], line: usize, key: &str) -> Result<Vec<usize>, Vec<Wrong>> {
    let (mut chosen, mut wrong) = (Vec::new(), Vec::new());
    for word in words {
        match column(list, *word, key) {
            Ok(at) if chosen.contains(&at) => {
                wrong.push(Wrong::new(word.line, key, format!("names {} twice", word.text)));
            }
            Ok(at) => chosen.push(at),
            Err(what) => wrong.push(what),
        }
    }
    if words.is_empty() {
        wrong.push(Wrong::new(line, key, "names no column; leave it out to see the usual ones"));
    }
    if wrong.is_empty() { Ok(chosen) } else { Err(wrong) }
}

/// Why a view cannot be called so, if it cannot.
pub fn unfit_name(name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(plain) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        let told = Untrusted::from(name).shortened(40).line();
        return Some(format!(
            "{told:?} is no name of a view; write small letters, digits and -, such as stuck"
        ));
    }
    if Action::named(name).is_some() || commands::is_command(name) {
        return Some(format!("{name} is a command already; choose another name"));
    }
    None
}

/// What files say of saved views, and what is wrong with it. `before` are names that are taken.
pub fn views(
    written: &[WrittenView<'_>],
    before: &[Arc<SavedView>],
    kept: bool,
) -> (Vec<Arc<SavedView>>, Vec<Wrong>) {
    let (mut views, mut wrong): (Vec<Arc<SavedView>>, Vec<Wrong>) = (Vec::new(), Vec::new());
    for view in written {
        let line = view.name.line;
        if let Some(what) = unfit_name(view.name.text) {
            wrong.push(Wrong::new(line, "view.name", what));
            continue;
        }
        if before.iter().chain(&views).any(|other| other.name == view.name.text) {
            let what = format!("there is a view {} before it; choose another name", view.name.text);
            wrong.push(Wrong::new(line, "view.name", what));
            continue;
        }
        match look(view) {
            Ok((of, look)) => {
                views.push(Arc::new(SavedView { name: view.name.text.to_owned(), of, look, kept }));
            }
            Err(mut what) => wrong.append(&mut what),
        }
    }
    (views, wrong)
}

fn look(view: &WrittenView<'_>) -> Result<(ListKind, Look), Vec<Wrong>> {
    let of = list_named(view.of, "view.of").map_err(|what| vec![what])?;
    let mut wrong = Vec::new();
    let mut sort = of.usual_sort();
    if let Some(word) = view.sort {
        match column(of, word, "view.sort") {
            Ok(at) => sort = of.columns()[at].sort.unwrap_or(sort),
            Err(what) => wrong.push(what),
        }
    }
    let mut columns = None;
    if let Some(words) = &view.columns {
        match chosen(of, words, view.name.line, "view.columns") {
            Ok(chosen) => columns = Some(chosen),
            Err(mut what) => wrong.append(&mut what),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let highest = of.highest_first(sort);
    let reversed = view.descending.is_some_and(|descending| descending != highest);
    let filter = Filter::parse(view.filter.unwrap_or_default());
    Ok((of, Look { filter, faults: view.faults, reversed, columns, ..Look::new(sort) }))
}

impl SavedView {
    /// A list as it is shown now; the name is the one that it was saved under, if it was.
    pub fn of(list: &dyn List, shared: &Shared) -> Self {
        let (of, look) = (list.kind(), list.look());
        let before = look.saved.as_ref().filter(|saved| saved.kept);
        let filter = format!("{} {}", list.as_filter(&shared.snapshot), look.filter.text());
        let chosen = look.columns.is_some() || look.wide;
        let columns = chosen.then(|| shared.preferences.columns.of(of, look));
        let now = Look { filter: Filter::parse(&filter), wide: false, columns, saved: None, ..look.clone() };
        Self { name: before.map(|saved| saved.name.clone()).unwrap_or_default(), of, look: now, kept: true }
    }

    /// The name of the column that it is sorted by.
    pub fn sort(&self) -> String {
        let by = self.of.columns().iter().find(|column| column.sort == Some(self.look.sort));
        by.map(|column| column.word()).unwrap_or_default()
    }

    /// True if the highest comes first.
    pub fn descending(&self) -> bool {
        self.of.highest_first(self.look.sort) != self.look.reversed
    }

    /// The names of its columns; none: those of the list.
    pub fn columns(&self) -> Option<Vec<String>> {
        let chosen = self.look.columns.as_ref()?;
        Some(chosen.iter().map(|at| self.of.columns()[*at].word()).collect())
    }

    /// What it shows, in a few words.
    pub fn told(&self) -> String {
        let mut words = vec![self.of.word().to_owned()];
        if !self.look.filter.is_empty() {
            words.push(self.look.filter.text().to_owned());
        }
        if self.look.faults {
            words.push("faults only".into());
        }
        words.join(" · ")
    }
}
