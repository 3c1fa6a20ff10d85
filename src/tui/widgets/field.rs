//! One line of typed text.

use crate::tui::keymap::Chord;
use crate::tui::widgets::editing::{Edit, place};

/// Changes that can be undone.
const CHANGES: usize = 100;

/// An editable line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Field {
    text: String,
    /// The place of the cursor, in bytes.
    cursor: usize,
    /// What was cut last.
    cut: String,
    /// The text and cursor before each change, newest last.
    before: Vec<(String, usize)>,
    /// True if the last change typed a character: a word is undone at once.
    typing: bool,
}

impl Field {
    /// A field with text in it, the cursor behind it.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { cursor: text.len(), text, ..Self::default() }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text before the cursor.
    pub fn before_cursor(&self) -> &str {
        &self.text[..self.cursor]
    }

    /// Puts text in; line breaks become spaces, control characters go.
    pub fn insert(&mut self, text: &str) {
        let clean: String = text
            .chars()
            .map(|c| if c == '\n' || c == '\t' { ' ' } else { c })
            .filter(|c| !crate::domain::text::is_control_or_hidden(*c))
            .collect();
        self.remember(false);
        self.put(&clean);
    }

    /// Replaces the text.
    pub fn set(&mut self, text: impl Into<String>) {
        *self = Self::new(text);
    }

    fn put(&mut self, text: &str) {
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
    }

    /// Keeps the text as it is before a change.
    fn remember(&mut self, typing: bool) {
        if !(typing && self.typing) {
            if self.before.len() == CHANGES {
                self.before.remove(0);
            }
            self.before.push((self.text.clone(), self.cursor));
        }
        self.typing = typing;
    }

    /// Takes a key; false if it means nothing to a field.
    pub fn key(&mut self, chord: Chord) -> bool {
        let edit = Edit::of(chord);
        if let Some(edit) = edit {
            self.edit(edit);
        }
        edit.is_some()
    }

    /// Applies an edit.
    pub fn edit(&mut self, edit: Edit) {
        match edit {
            Edit::Type(c) => {
                self.remember(!c.is_whitespace());
                self.put(c.encode_utf8(&mut [0; 4]));
            }
            Edit::Go(to) => {
                self.cursor = place(&self.text, self.cursor, to);
                self.typing = false;
            }
            Edit::Delete(to) | Edit::Cut(to) => {
                let other = place(&self.text, self.cursor, to);
                let range = other.min(self.cursor)..other.max(self.cursor);
                if range.is_empty() {
                    return;
                }
                self.remember(false);
                self.cursor = range.start;
                let gone: String = self.text.drain(range).collect();
                if matches!(edit, Edit::Cut(_)) {
                    self.cut = gone;
                }
            }
            Edit::Yank => {
                self.remember(false);
                let cut = self.cut.clone();
                self.put(&cut);
            }
            Edit::Undo => {
                if let Some((text, cursor)) = self.before.pop() {
                    (self.text, self.cursor) = (text, cursor);
                }
                self.typing = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(field: &mut Field, keys: &str) {
        for key in keys.split(' ') {
            field.key(Chord::parse(key).unwrap());
        }
    }

    #[test]
    fn a_field_is_typed_into() {
        let mut field = Field::default();
        press(&mut field, "a é b left left x end");
        assert_eq!(field.text(), "axéb");
        field.insert(" two\nlines\u{1b}");
        assert_eq!(field.text(), "axéb two lines");
        assert!(!field.key(Chord::parse("f1").unwrap()));
    }

    #[test]
    fn changes_are_undone_one_after_the_other() {
        let mut field = Field::default();
        press(&mut field, "o n e space t w o ctrl-w");
        let mut texts = vec![field.text().to_owned()];
        for _ in 0..4 {
            press(&mut field, "ctrl-z");
            texts.push(field.text().to_owned());
        }
        assert_eq!(texts, ["one ", "one two", "one ", "one", ""]);
    }
}
