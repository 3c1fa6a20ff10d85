//! The operator's preferences: key bindings, columns of lists, and saved views.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::keys::Keys;
use super::saved_view::{ListKind, ListSettings, SavedView};
use super::widgets::table::Column;

/// Which columns each list shows, in which order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Columns(BTreeMap<ListKind, Vec<usize>>);

impl Columns {
    /// Chooses the columns of a list, by their number.
    pub fn choose(&mut self, list: ListKind, columns: Vec<usize>) {
        self.0.insert(list, columns);
    }

    /// The columns of a list in display order, by number; `all` are the available ones.
    pub fn of(&self, list: ListKind, all: &[Column], settings: &ListSettings) -> Vec<usize> {
        let chosen = settings.columns.as_ref().or_else(|| self.0.get(&list));
        match (chosen, settings.wide) {
            (Some(chosen), false) => chosen.clone(),
            // Configured columns keep their position, and the others follow.
            (Some(chosen), true) => {
                let rest = (0..all.len()).filter(|at| !chosen.contains(at));
                chosen.iter().copied().chain(rest).collect()
            }
            (None, wide) => (0..all.len()).filter(|at| wide || !all[*at].wide).collect(),
        }
    }
}

/// A change to the saved views.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Save this view, in place of one of the same name.
    Keep(Arc<SavedView>),
    /// Delete the view of this name.
    Forget(String),
}

/// Where saved views are kept. Reading and writing may block.
pub trait PreferencesStore: std::fmt::Debug + Send + Sync {
    /// All saved views, those of the configuration first.
    ///
    /// # Errors
    /// The stored views cannot be read; the text names the place and the fault.
    fn read(&self) -> Result<Vec<Arc<SavedView>>, String>;

    /// Makes a change, and returns all saved views after it.
    ///
    /// # Errors
    /// The stored views cannot be read or written; nothing was changed.
    fn change(&self, change: Change) -> Result<Vec<Arc<SavedView>>, String>;
}

/// Everything that the operator prefers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Preferences {
    /// The key bindings.
    pub keys: Keys,
    /// Which columns lists show.
    pub columns: Columns,
    /// The saved views, those of the configuration first.
    pub views: Vec<Arc<SavedView>>,
}

impl Preferences {
    /// A saved view by its name.
    pub fn view(&self, name: &str) -> Option<&Arc<SavedView>> {
        self.views.iter().find(|view| view.name == name)
    }
}
