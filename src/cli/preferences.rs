//! Preferences from the configuration for the console, with errors reported by file and line.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::preferences::{self as file, NamedList, View};
use crate::config::{Fault, Faults};
use crate::tui::preferences::{Change, Preferences, PreferencesStore};
use crate::tui::preferences_file::{WrittenView, columns, keys, views};
use crate::tui::saved_view::SavedView;
use crate::tui::written::{FileError, NamedWords, Word};

fn word(word: &file::Word) -> Word<'_> {
    Word { text: &word.text, line: word.line }
}

fn named(listed: &[NamedList]) -> Vec<NamedWords<'_>> {
    listed.iter().map(|listed| (word(&listed.name), listed.words.iter().map(word).collect())).collect()
}

fn written(view: &View) -> WrittenView<'_> {
    WrittenView {
        name: word(&view.name),
        of: word(&view.of),
        filter: view.filter.as_deref(),
        sort: view.sort.as_ref().map(word),
        descending: view.descending,
        columns: view.columns.as_ref().map(|columns| columns.iter().map(word).collect()),
        faults: view.faults,
    }
}

fn fault(wrong: FileError) -> Fault {
    Fault { line: wrong.line, key: wrong.key, what: wrong.what }
}

fn judged(preferences: &file::Preferences) -> (Preferences, Vec<FileError>) {
    let (keys, mut wrong) = keys(&named(&preferences.keys));
    let (columns, mut of_columns) = columns(&named(&preferences.columns));
    let all: Vec<WrittenView<'_>> = preferences.views.iter().map(written).collect();
    let (views, mut of_views) = views(&all, &[], false);
    wrong.append(&mut of_columns);
    wrong.append(&mut of_views);
    (Preferences { keys, columns, views }, wrong)
}

/// The errors in the preferences.
pub(super) fn faults(preferences: &file::Preferences) -> Vec<Fault> {
    judged(preferences).1.into_iter().map(fault).collect()
}

/// The configured preferences; their errors were reported when they were read.
pub(super) fn of(preferences: &file::Preferences) -> Preferences {
    judged(preferences).0
}

/// The file of the views that were saved in the console, beside the fleet's data.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    /// Serializes reading and writing.
    one: Mutex<()>,
    /// Those of the configuration.
    before: Vec<Arc<SavedView>>,
}

impl File {
    pub(super) fn new(path: PathBuf, before: Vec<Arc<SavedView>>) -> Self {
        Self { path, one: Mutex::new(()), before }
    }
}

impl PreferencesStore for File {
    fn read(&self) -> Result<Vec<Arc<SavedView>>, String> {
        let kept = file::kept_views(&self.path).map_err(|faults| faults.to_string())?;
        let kept: Vec<WrittenView<'_>> = kept.iter().map(written).collect();
        let (kept, wrong) = views(&kept, &self.before, true);
        if wrong.is_empty() {
            return Ok(self.before.iter().cloned().chain(kept).collect());
        }
        let faults = wrong.into_iter().map(fault).collect();
        Err(Faults { file: self.path.clone(), faults }.to_string())
    }

    fn change(&self, change: Change) -> Result<Vec<Arc<SavedView>>, String> {
        let _the_only_one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        // Another console may have saved a view meanwhile; an unreadable file is never overwritten.
        let mut kept: Vec<Arc<SavedView>> = self.read()?.into_iter().filter(|view| view.kept).collect();
        match change {
            Change::Keep(view) => match kept.iter_mut().find(|old| old.name == view.name) {
                Some(old) => *old = view,
                None => kept.push(view),
            },
            Change::Forget(name) => kept.retain(|view| view.name != name),
        }
        let views: Vec<View> = kept.iter().map(|view| as_written(view)).collect();
        file::keep_views(&self.path, &views).map_err(|error| format!("{}: {error}", self.path.display()))?;
        Ok(self.before.iter().cloned().chain(kept).collect())
    }
}

fn as_written(view: &SavedView) -> View {
    let word = |text: String| file::Word { text, line: 0 };
    let filter = view.settings.filter.text();
    View {
        name: word(view.name.clone()),
        of: word(view.of.word().to_owned()),
        filter: (!filter.is_empty()).then(|| filter.to_owned()),
        sort: Some(word(view.sort())),
        descending: Some(view.descending()),
        columns: view.columns().map(|columns| columns.into_iter().map(word).collect()),
        faults: view.settings.faults,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Arc<SavedView> {
        let word = |text: &str| file::Word { text: text.into(), line: 1 };
        let view = View {
            name: word(name),
            of: word("tasks"),
            filter: Some("state=working".into()),
            sort: Some(word("age")),
            descending: Some(true),
            columns: Some(vec![word("age"), word("job")]),
            faults: true,
        };
        let (mut views, wrong) = views(&[written(&view)], &[], true);
        assert_eq!(wrong, []);
        views.remove(0)
    }

    #[test]
    fn saved_views_are_read_back_and_nothing_else_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("views.toml");
        let ours = SavedView { kept: false, ..SavedView::clone(&named("ours")) };
        let store = File::new(path.clone(), vec![Arc::new(ours)]);
        let names = |views: Vec<Arc<SavedView>>| -> Vec<String> {
            views.iter().map(|view| view.name.clone()).collect()
        };
        assert_eq!(store.read().map(names), Ok(vec!["ours".to_owned()]));
        store.change(Change::Keep(named("stuck"))).unwrap();
        // Another console on the same data.
        let other = File::new(path.clone(), Vec::new());
        assert_eq!(other.read(), Ok(vec![named("stuck")]));
        other.change(Change::Keep(named("more"))).unwrap();
        let left = store.change(Change::Forget("stuck".into()));
        assert_eq!(left.map(names), Ok(vec!["ours".into(), "more".into()]));
        // Invalid views written by hand are kept unchanged.
        let text = "[[view]]\nname = \"mine\"\nof = \"tusks\"\n";
        std::fs::write(&path, text).unwrap();
        let why = store.change(Change::Keep(named("stuck"))).unwrap_err();
        assert!(why.contains("views.toml:3: view.of: there is no list tusks"), "{why}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}
