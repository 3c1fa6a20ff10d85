//! `[keys]`, `[columns]` and `[[view]]`: parsed here with their lines, validated where actions and columns are known.
//!
//! Views saved by the console are in a file of the same form, which the console owns; the configuration is never
//! written.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Faults};
use super::load::{Reader, Value, join, read};

/// A word with its line number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
    /// The word.
    pub text: String,
    /// The line, from 1.
    pub line: usize,
}

/// A name with its words: `down = ["j", "down"]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamedList {
    /// The name.
    pub name: Word,
    /// The words.
    pub words: Vec<Word>,
}

/// `[[view]]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    /// The name that opens it.
    pub name: Word,
    /// The list.
    pub of: Word,
    /// The filter.
    pub filter: Option<String>,
    /// The sort column.
    pub sort: Option<Word>,
    /// True for the highest first; `None` for the column's default.
    pub descending: Option<bool>,
    /// Which columns, in which order.
    pub columns: Option<Vec<Word>>,
    /// Show only faulty or doubtful rows.
    pub faults: bool,
}

/// The operator's preferences.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Preferences {
    /// Actions with their keys.
    pub keys: Vec<NamedList>,
    /// Lists with their columns.
    pub columns: Vec<NamedList>,
    /// Saved views.
    pub views: Vec<View>,
}

impl<'a> Reader<'a> {
    pub(super) fn preferences(&mut self, top: &DeTable<'a>) -> Preferences {
        Preferences {
            keys: self.listed(top, "keys"),
            columns: self.listed(top, "columns"),
            views: self.views(top),
        }
    }

    /// A table of names with one word or a list of them each.
    fn listed(&mut self, top: &DeTable<'a>, path: &str) -> Vec<NamedList> {
        let Some(table) = self.table(top, "", path) else { return Vec::new() };
        let mut listed = Vec::new();
        for (name, value) in table {
            let full = join(path, name.get_ref());
            if let Some(words) = self.words(value, &full) {
                let name = Word { text: name.get_ref().to_string(), line: self.line(name.span().start) };
                listed.push(NamedList { name, words });
            }
        }
        // The table is ordered by name; errors are reported in order of lines.
        listed.sort_by_key(|listed: &NamedList| listed.name.line);
        listed
    }

    fn word(&mut self, value: Value<'_, 'a>, full: &str) -> Option<Word> {
        let at = value.span().start;
        match value.get_ref() {
            DeValue::String(text) => Some(Word { text: text.to_string(), line: self.line(at) }),
            other => {
                self.fault(at, full, format!("is {}, not a string", other.type_str()));
                None
            }
        }
    }

    fn words(&mut self, value: Value<'_, 'a>, full: &str) -> Option<Vec<Word>> {
        let at = value.span().start;
        let words: Option<Vec<Word>> = match value.get_ref() {
            DeValue::Array(items) => {
                let words: Vec<_> = items.iter().map(|item| self.word(item, full)).collect();
                words.into_iter().collect()
            }
            DeValue::String(_) => self.word(value, full).map(|word| vec![word]),
            other => {
                self.fault(
                    at,
                    full,
                    format!("is {}; write \"one\" or [\"one\", \"more\"]", other.type_str()),
                );
                None
            }
        };
        if let Some(words) = &words {
            let shown: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
            self.set(full, shown.join(", "), Some(at));
        }
        words
    }

    fn views(&mut self, top: &DeTable<'a>) -> Vec<View> {
        let mut views = Vec::new();
        for (at, table) in self.tables(top, "", "view") {
            self.only(table, "view", &["name", "of", "filter", "sort", "descending", "columns", "faults"]);
            let line = |reader: &Self, key: &str| table.get(key).map(|value| reader.line(value.span().start));
            let word = |reader: &Self, key: &str, text: Option<String>| {
                Some(Word { text: text?, line: line(reader, key)? })
            };
            let name = self.required(table, "view", "name", at);
            let of = self.required(table, "view", "of", at);
            let filter = table.get("filter").and_then(|_| self.required(table, "view", "filter", at));
            let sort = table.get("sort").and_then(|_| self.required(table, "view", "sort", at));
            let descending =
                table.get("descending").map(|_| self.flag_setting(table, "view", "descending", false));
            let columns = table.get("columns").and_then(|value| self.words(value, "view.columns"));
            let faults =
                table.get("faults").is_some_and(|_| self.flag_setting(table, "view", "faults", false));
            if let (Some(name), Some(of)) = (word(self, "name", name), word(self, "of", of)) {
                let sort = word(self, "sort", sort);
                views.push(View { name, of, filter, sort, descending, columns, faults });
            }
        }
        views
    }
}

/// Reads the views saved by the console; none if the file does not exist.
///
/// # Errors
/// Every fault of the file, each with its line.
pub fn kept_views(file: &Path) -> Result<Vec<View>, Faults> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let fault = Fault { line: 0, key: String::new(), what: format!("cannot be read: {error}") };
            return Err(Faults { file: file.to_owned(), faults: vec![fault] });
        }
    };
    read(&text, file, |reader, top| {
        reader.only(top, "", &["view"]);
        reader.views(top)
    })
    .map(|(views, _)| views)
}

/// Writes the console's saved views atomically: readers see either the old ones or the new.
///
/// # Errors
/// The folder or the file cannot be written.
pub fn keep_views(file: &Path, views: &[View]) -> std::io::Result<()> {
    let mut text = String::from(
        "# Views that were saved in the console; it writes this file anew whenever one is saved.\n",
    );
    for view in views {
        text.push_str(&format!(
            "\n[[view]]\nname = {}\nof = {}\n",
            quoted(&view.name.text),
            quoted(&view.of.text)
        ));
        if let Some(filter) = &view.filter {
            text.push_str(&format!("filter = {}\n", quoted(filter)));
        }
        if let Some(sort) = &view.sort {
            text.push_str(&format!("sort = {}\n", quoted(&sort.text)));
        }
        if let Some(descending) = view.descending {
            text.push_str(&format!("descending = {descending}\n"));
        }
        if let Some(columns) = &view.columns {
            let columns: Vec<String> = columns.iter().map(|word| quoted(&word.text)).collect();
            text.push_str(&format!("columns = [{}]\n", columns.join(", ")));
        }
        if view.faults {
            text.push_str("faults = true\n");
        }
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut beside: PathBuf = file.to_owned();
    beside.set_extension(format!("toml.{}", std::process::id()));
    let written = std::fs::File::create(&beside).and_then(|mut new| {
        new.write_all(text.as_bytes())?;
        new.sync_all()
    });
    let moved = written.and_then(|()| std::fs::rename(&beside, file));
    if moved.is_err() {
        let _it_may_not_be_there = std::fs::remove_file(&beside);
    }
    moved
}

/// A string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if crate::domain::text::is_control_or_hidden(c) => {
                out.push_str(&format!("\\U{:08X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_preferences_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/views.toml");
        assert_eq!(kept_views(&file), Ok(Vec::new()));
        let word = |text: &str, line| Word { text: text.into(), line };
        let views = vec![
            View {
                name: word("stuck", 4),
                of: word("tasks", 5),
                filter: Some("state=working !\"a\\b\" \u{1b}\u{202e}".into()),
                sort: Some(word("age", 7)),
                descending: Some(true),
                columns: Some(vec![word("task", 9), word("age", 9)]),
                faults: true,
            },
            View {
                name: word("all", 13),
                of: word("fleet", 14),
                filter: None,
                sort: None,
                descending: None,
                columns: None,
                faults: false,
            },
        ];
        keep_views(&file, &views).unwrap();
        assert_eq!(kept_views(&file), Ok(views));
        assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
        std::fs::write(&file, "[[view]]\nname = 1\n").unwrap();
        let faults = kept_views(&file).unwrap_err().to_string();
        assert!(faults.contains("views.toml:1: view.of: is missing"), "{faults}");
    }
}
