//! The operator's preferences as written in files, with the errors found in them.
//!
//! Other modules read the files. They are validated here, because only the console knows its actions and columns.

use std::sync::Arc;

use super::actions::Action;
use super::commands;
use super::keys::Keys;
use super::preferences::Columns;
use super::saved_view::{ListKind, ListSettings, SavedView};
use super::widgets::filter::Filter;
use super::written::{FileError, NamedWords, Word};
use crate::domain::text::Untrusted;

/// A saved view as a file has it.
#[derive(Clone, Debug)]
pub struct WrittenView<'w> {
    /// Its name.
    pub name: Word<'w>,
    /// The name of the list that it shows.
    pub of: Word<'w>,
    /// Rows that do not pass are left out.
    pub filter: Option<&'w str>,
    /// The name of the sort column.
    pub sort: Option<Word<'w>>,
    /// The highest comes first; `None` is the column's usual order.
    pub descending: Option<bool>,
    /// The names of its columns, in order.
    pub columns: Option<Vec<Word<'w>>>,
    /// Show only faulty or doubtful rows.
    pub faults: bool,
}

/// The bindings in `[keys]`, and the errors.
pub fn keys(named: &[NamedWords<'_>]) -> (Keys, Vec<FileError>) {
    Keys::with(named, |letter| {
        ListKind::ALL.into_iter().find_map(|list| {
            let column = list.columns().iter().find(|column| column.sort == Some(letter))?;
            Some(format!("{} by {}", list.word(), column.word()))
        })
    })
}

/// The columns in `[columns]`, and the errors.
pub fn columns(named: &[NamedWords<'_>]) -> (Columns, Vec<FileError>) {
    let (mut columns, mut wrong) = (Columns::default(), Vec::new());
    for (name, words) in named {
        let key = format!("columns.{}", name.text);
        match list_named(*name, &key) {
            Err(what) => wrong.push(what),
            Ok(list) => match chosen(list, words, name.line, &key) {
                Ok(chosen) => columns.choose(list, chosen),
                Err(mut what) => wrong.append(&mut what),
            },
        }
    }
    (columns, wrong)
}

fn list_named(word: Word<'_>, key: &str) -> Result<ListKind, FileError> {
    let known = ListKind::ALL.map(ListKind::word);
    ListKind::ALL.into_iter().find(|list| list.word() == word.text).ok_or_else(|| {
        let name = Untrusted::from(word.text).line();
        FileError::new(word.line, key, format!("there is no list {name}; there are {}", known.join(", ")))
    })
}

fn column(list: ListKind, word: Word<'_>, key: &str) -> Result<usize, FileError> {
    let known: Vec<String> = list.columns().iter().map(|column| column.word()).collect();
    known.iter().position(|name| name == word.text).ok_or_else(|| {
        let name = Untrusted::from(word.text).line();
        let what = format!("{} has no column {name}; there are {}", list.word(), known.join(", "));
        FileError::new(word.line, key, what)
    })
}

fn chosen(list: ListKind, words: &[Word<'_>], line: usize, key: &str) -> Result<Vec<usize>, Vec<FileError>> {
    let (mut chosen, mut wrong) = (Vec::new(), Vec::new());
    for word in words {
        match column(list, *word, key) {
            Ok(at) if chosen.contains(&at) => {
                wrong.push(FileError::new(word.line, key, format!("names {} twice", word.text)));
            }
            Ok(at) => chosen.push(at),
            Err(what) => wrong.push(what),
        }
    }
    if words.is_empty() {
        wrong.push(FileError::new(line, key, "names no column; leave it out to see the usual ones"));
    }
    if wrong.is_empty() { Ok(chosen) } else { Err(wrong) }
}

/// Why a view cannot be called so, if it cannot.
pub fn unfit_name(name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(plain) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        let shown = Untrusted::from(name).shortened(40).line();
        return Some(format!(
            "{shown:?} is not a valid view name; write small letters, digits and -, such as stuck"
        ));
    }
    if Action::named(name).is_some() || commands::is_command(name) {
        return Some(format!("{name} is a command already; choose another name"));
    }
    None
}

/// The saved views in files, and the errors. Names in `before` are already taken.
pub fn views(
    written: &[WrittenView<'_>],
    before: &[Arc<SavedView>],
    kept: bool,
) -> (Vec<Arc<SavedView>>, Vec<FileError>) {
    let (mut views, mut wrong): (Vec<Arc<SavedView>>, Vec<FileError>) = (Vec::new(), Vec::new());
    for view in written {
        let line = view.name.line;
        if let Some(what) = unfit_name(view.name.text) {
            wrong.push(FileError::new(line, "view.name", what));
            continue;
        }
        if before.iter().chain(&views).any(|other| other.name == view.name.text) {
            let what = format!("there is a view {} before it; choose another name", view.name.text);
            wrong.push(FileError::new(line, "view.name", what));
            continue;
        }
        match settings(view) {
            Ok((of, settings)) => {
                views.push(Arc::new(SavedView { name: view.name.text.to_owned(), of, settings, kept }));
            }
            Err(mut what) => wrong.append(&mut what),
        }
    }
    (views, wrong)
}

fn settings(view: &WrittenView<'_>) -> Result<(ListKind, ListSettings), Vec<FileError>> {
    let of = list_named(view.of, "view.of").map_err(|what| vec![what])?;
    let mut wrong = Vec::new();
    let mut sort = of.usual_sort();
    if let Some(word) = view.sort {
        match column(of, word, "view.sort") {
            Ok(at) if of.columns()[at].sort.is_some() => sort = at,
            Ok(_) => {}
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
    let highest = of.columns()[sort].highest_first;
    let reversed = view.descending.is_some_and(|descending| descending != highest);
    let filter = Filter::parse(view.filter.unwrap_or_default());
    Ok((of, ListSettings { filter, faults: view.faults, reversed, columns, ..ListSettings::new(sort) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::keymap::Chord;
    use crate::tui::keys::{IN_CARDS, IN_FIELDS};

    fn chord(text: &str) -> Chord {
        Chord::parse(text).unwrap()
    }

    /// Wishes as a file would have them, one a line.
    fn with(text: &str) -> (Keys, Vec<String>) {
        let named: Vec<NamedWords<'_>> = text
            .lines()
            .enumerate()
            .map(|(at, line)| {
                let mut words = line.split(' ').map(|text| Word { text, line: at + 1 });
                (words.next().unwrap(), words.collect())
            })
            .collect();
        let (keys, wrong) = super::keys(&named);
        (keys, wrong.iter().map(|wrong| format!("{}: {}: {}", wrong.line, wrong.key, wrong.what)).collect())
    }

    #[test]
    fn the_table_itself_has_no_fault() {
        let all: Vec<String> = Action::ALL
            .iter()
            .map(|action| std::iter::once(action.word()).chain(action.keys().iter().copied()))
            .map(|words| words.collect::<Vec<_>>().join(" "))
            .collect();
        let (keys, wrong) = with(&all.join("\n"));
        assert_eq!(wrong, Vec::<String>::new());
        assert_eq!(keys, Keys::default());
        assert_eq!(keys.action(chord("n"), true), Some(Action::NextMatch));
        assert_eq!(keys.action(chord("n"), false), Some(Action::New));
        assert_eq!(keys.action(chord("N"), false), None);
        for fixed in IN_FIELDS.iter().chain(&IN_CARDS) {
            chord(fixed);
        }
    }

    #[test]
    fn rebound_keys_apply_everywhere() {
        let (keys, wrong) = with("down alt-j down\nup alt-k up\ncancel k\nhelp f2\nwire f9 W");
        assert_eq!(wrong, ["5: keys.wire: W sorts inbox by waits; write another one"]);
        let (keys, wrong) = (keys, wrong.len());
        assert_eq!(wrong, 1);
        assert_eq!(keys.action(chord("k"), false), Some(Action::Cancel));
        assert_eq!(keys.action(chord("x"), false), None);
        assert_eq!(keys.action(chord("?"), false), None);
        assert_eq!(keys.action_while_typing(chord("f2")), Some(Action::Help));
        assert_eq!((keys.first(Action::Cancel), keys.first(Action::Down)), ("k", "alt-j"));
        assert!(keys.is_set(Action::Cancel) && !keys.is_set(Action::New));
        let (keys, wrong) = with("copy\nnext-match ctrl-n");
        assert_eq!(wrong, Vec::<String>::new());
        assert_eq!((keys.first(Action::Copy), keys.hint(Action::Copy)), ("", ":copy".into()));
    }

    #[test]
    fn harmful_preferences_are_refused_with_the_next_step() {
        for (text, expected) in [
            (
                "cancle k",
                "1: keys.cancle: is not an action; did you mean cancel? quarterdeck config keys lists them",
            ),
            ("cancel hyper-x", "1: keys.cancel: \"hyper-x\" is not a key: write"),
            ("cancel backspace", "1: keys.cancel: backspace takes text away in fields"),
            ("cancel y\ncopy Y", "1: keys.cancel: y presses a button of the card"),
            (
                "cancel k",
                "1: keys.cancel: k is a key of up too; write another one, or up = [\"up\"] beside it",
            ),
            ("hold f5\nwide f5", "2: keys.wide: f5 is a key of hold too"),
            ("hold f5 f5", "1: keys.hold: names f5 twice"),
            ("leave", "1: keys.leave: has no key, and it is the one way to leave"),
            ("leave X", "1: keys.leave: its keys are text while something is typed"),
            ("leave ctrl-s", "1: keys.leave: ctrl-s means something else while something is typed"),
            ("back", "1: keys.back: has no key, and nothing else leads up"),
            ("next-match esc q", "1: keys.back: has no key of its own in texts"),
            ("command", "1: keys.command: has no key"),
            ("down S", "1: keys.down: S sorts fleet by state"),
        ] {
            let (_, wrong) = with(text);
            assert!(wrong.first().is_some_and(|first| first.starts_with(expected)), "{text}: {wrong:?}");
        }
    }
}
