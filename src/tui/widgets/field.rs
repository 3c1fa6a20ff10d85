//! One line of typed text.

use crossterm::event::KeyCode;

use crate::tui::keymap::Chord;

/// An editable line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Field {
    text: String,
    /// The place of the cursor, in bytes.
    cursor: usize,
}

impl Field {
    /// A field with text in it, the cursor behind it.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { cursor: text.len(), text }
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
        self.text.insert_str(self.cursor, &clean);
        self.cursor += clean.len();
    }

    /// Replaces the text.
    pub fn set(&mut self, text: impl Into<String>) {
        *self = Self::new(text);
    }

    fn previous(&self) -> Option<usize> {
        self.text[..self.cursor].char_indices().next_back().map(|(at, _)| at)
    }

    fn next(&self) -> Option<usize> {
        self.text[self.cursor..].chars().next().map(|c| self.cursor + c.len_utf8())
    }

    fn word_start(&self) -> usize {
        let before = self.text[..self.cursor].trim_end();
        before.rfind(char::is_whitespace).map_or(0, |at| at + 1)
    }

    /// Takes a key; false if it means nothing to a field.
    pub fn key(&mut self, chord: Chord) -> bool {
        match (chord.code, chord.ctrl) {
            (KeyCode::Backspace, false) => {
                if let Some(at) = self.previous() {
                    self.text.remove(at);
                    self.cursor = at;
                }
            }
            (KeyCode::Char('w') | KeyCode::Backspace, true) => {
                let start = self.word_start();
                self.text.replace_range(start..self.cursor, "");
                self.cursor = start;
            }
            (KeyCode::Char('u'), true) => {
                self.text.replace_range(..self.cursor, "");
                self.cursor = 0;
            }
            (KeyCode::Char('k'), true) => self.text.truncate(self.cursor),
            (KeyCode::Delete, _) => {
                if self.next().is_some() {
                    self.text.remove(self.cursor);
                }
            }
            (KeyCode::Left, _) => self.cursor = self.previous().unwrap_or(0),
            (KeyCode::Right, _) => self.cursor = self.next().unwrap_or(self.cursor),
            (KeyCode::Home, _) | (KeyCode::Char('a'), true) => self.cursor = 0,
            (KeyCode::End, _) | (KeyCode::Char('e'), true) => self.cursor = self.text.len(),
            _ => match chord.typed() {
                Some(c) => {
                    self.text.insert(self.cursor, c);
                    self.cursor += c.len_utf8();
                }
                None => return false,
            },
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_typed_into() {
        let mut field = Field::default();
        for key in ["a", "é", "b", "left", "left", "x", "end", "backspace-none"] {
            if let Some(chord) = Chord::parse(key) {
                field.key(chord);
            }
        }
        assert_eq!(field.text(), "axéb");
        field.insert(" two\nlines\u{1b}");
        assert_eq!(field.text(), "axéb two lines");
        field.key(Chord::parse("ctrl-w").unwrap());
        assert_eq!(field.text(), "axéb two ");
        field.key(Chord::parse("ctrl-u").unwrap());
        assert_eq!(field.text(), "");
        assert!(!field.key(Chord::parse("f1").unwrap()));
    }
}
