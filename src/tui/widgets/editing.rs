//! The keys that edit text, as a shell has them: one table for every field, whether it has one line or many.

use crossterm::event::KeyCode;
use ratatui_textarea::{CursorMove, DataCursor, Scrolling, TextArea};

use crate::tui::keymap::Chord;

/// A change of a text or of the cursor in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edit {
    /// A character is typed.
    Type(char),
    /// The cursor moves.
    Go(Place),
    /// The text up to there is removed.
    Delete(Place),
    /// The same, and `Yank` puts it back.
    Cut(Place),
    /// What was cut last is inserted.
    Yank,
    /// The last change is undone.
    Undo,
}

/// A place seen from the cursor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// One character to the left.
    CharLeft,
    /// One character to the right.
    CharRight,
    /// The start of the word of letters and digits before the cursor.
    WordLeft,
    /// The end of the next one.
    WordRight,
    /// Back to the last space.
    SpaceLeft,
    /// The start of the line.
    Start,
    /// The end of the line.
    End,
}

impl Edit {
    /// The edit of a key; `None` if it is none.
    pub fn of(chord: Chord) -> Option<Self> {
        use Place::{CharLeft, CharRight, End, SpaceLeft, Start, WordLeft, WordRight};
        let Chord { code, ctrl, alt, .. } = chord;
        let by_word = ctrl || alt;
        Some(match (code, ctrl, alt) {
            (KeyCode::Left, ..) => Self::Go(if by_word { WordLeft } else { CharLeft }),
            (KeyCode::Right, ..) => Self::Go(if by_word { WordRight } else { CharRight }),
            (KeyCode::Home, ..) => Self::Go(Start),
            (KeyCode::End, ..) => Self::Go(End),
            (KeyCode::Backspace, false, false) => Self::Delete(CharLeft),
            (KeyCode::Backspace, ..) => Self::Cut(WordLeft),
            (KeyCode::Delete, false, false) => Self::Delete(CharRight),
            (KeyCode::Delete, ..) => Self::Cut(WordRight),
            (KeyCode::Char(c), true, false) => match c {
                'a' => Self::Go(Start),
                'e' => Self::Go(End),
                'b' => Self::Go(CharLeft),
                'f' => Self::Go(CharRight),
                'd' => Self::Delete(CharRight),
                'h' => Self::Delete(CharLeft),
                'u' => Self::Cut(Start),
                'k' => Self::Cut(End),
                'w' => Self::Cut(SpaceLeft),
                'y' => Self::Yank,
                // Terminals send `ctrl-_` as `ctrl-7`.
                'z' | '_' | '7' => Self::Undo,
                _ => return None,
            },
            (KeyCode::Char('b'), false, true) => Self::Go(WordLeft),
            (KeyCode::Char('f'), false, true) => Self::Go(WordRight),
            (KeyCode::Char('d'), false, true) => Self::Cut(WordRight),
            _ => Self::Type(chord.typed()?),
        })
    }
}

/// A place in a line, in bytes, seen from `at`.
pub fn place(line: &str, at: usize, to: Place) -> usize {
    let (before, after) = line.split_at(at);
    let right = |rest: &str| line.len() - rest.len();
    match to {
        Place::CharLeft => before.char_indices().next_back().map_or(0, |(at, _)| at),
        Place::CharRight => after.chars().next().map_or(at, |c| at + c.len_utf8()),
        Place::WordLeft => {
            let word = before.trim_end_matches(|c: char| !c.is_alphanumeric());
            word.trim_end_matches(char::is_alphanumeric).len()
        }
        Place::WordRight => {
            let word = after.trim_start_matches(|c: char| !c.is_alphanumeric());
            right(word.trim_start_matches(char::is_alphanumeric))
        }
        Place::SpaceLeft => before.trim_end().trim_end_matches(|c: char| !c.is_whitespace()).len(),
        Place::Start => 0,
        Place::End => line.len(),
    }
}

/// Applies an edit to a text of several lines.
pub fn edit_area(area: &mut TextArea<'_>, edit: Edit) {
    match edit {
        Edit::Type(c) => area.insert_char(c),
        Edit::Go(to) => {
            let over = !matches!(to, Place::Start | Place::End);
            area.move_cursor(movement(area, to, over));
        }
        Edit::Delete(Place::CharLeft) => {
            area.delete_char();
        }
        Edit::Delete(Place::CharRight) => {
            area.delete_next_char();
        }
        Edit::Delete(to) | Edit::Cut(to) => {
            area.start_selection();
            area.move_cursor(movement(area, to, true));
            area.cut();
            area.cancel_selection();
        }
        Edit::Yank => {
            area.paste();
        }
        Edit::Undo => {
            area.undo();
        }
    }
}

/// Takes a key into a text of several lines.
pub fn key_in_area(area: &mut TextArea<'_>, chord: Chord) {
    match (chord.code, chord.ctrl) {
        (KeyCode::Enter, _) => area.insert_newline(),
        (KeyCode::Up, _) | (KeyCode::Char('p'), true) => area.move_cursor(CursorMove::Up),
        (KeyCode::Down, _) | (KeyCode::Char('n'), true) => area.move_cursor(CursorMove::Down),
        (KeyCode::PageUp, _) => area.scroll(Scrolling::PageUp),
        (KeyCode::PageDown, _) => area.scroll(Scrolling::PageDown),
        _ => {
            if let Some(edit) = Edit::of(chord) {
                edit_area(area, edit);
            }
        }
    }
}

/// The movement to a place. At an end of its line the cursor goes over to the next line, if it may.
fn movement(area: &TextArea<'_>, to: Place, over: bool) -> CursorMove {
    let DataCursor(row, column) = area.cursor();
    let line = area.lines().get(row).map_or("", String::as_str);
    let at = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    let found = place(line, at, to);
    if found == at && over {
        return match to {
            Place::CharLeft | Place::WordLeft | Place::SpaceLeft | Place::Start => CursorMove::Back,
            Place::CharRight | Place::WordRight | Place::End => CursorMove::Forward,
        };
    }
    let clamped = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    CursorMove::Jump(clamped(row), clamped(line[..found].chars().count()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::widgets::field::Field;

    fn chord(key: &str) -> Chord {
        let code = match key {
            "backspace" => KeyCode::Backspace,
            "alt-backspace" => return Chord { code: KeyCode::Backspace, alt: true, ..Chord::char(' ') },
            // A configuration cannot bind it, as terminals send it for backspace.
            "ctrl-h" => return Chord { ctrl: true, ..Chord::char('h') },
            "delete" => KeyCode::Delete,
            key => return Chord::parse(key).unwrap_or_else(|| panic!("{key} is no key")),
        };
        Chord { code, ..Chord::char(' ') }
    }

    /// Presses keys behind a text, in a field of one line and in one of many, and compares the text around the cursor.
    #[track_caller]
    fn check(text: &str, keys: &str, expected: &str) {
        let mut field = Field::new(text);
        let mut area = TextArea::new(vec![text.to_owned()]);
        area.move_cursor(CursorMove::End);
        for key in keys.split(' ') {
            let edit = Edit::of(chord(key)).unwrap_or_else(|| panic!("{key} edits nothing"));
            field.edit(edit);
            edit_area(&mut area, edit);
        }
        let in_field = format!("{}|{}", field.before_cursor(), &field.text()[field.before_cursor().len()..]);
        assert_eq!(in_field, expected, "a field: {keys}");
        let (line, DataCursor(_, column)) = (&area.lines()[0], area.cursor());
        let before: String = line.chars().take(column).collect();
        let after: String = line.chars().skip(column).collect();
        assert_eq!(format!("{before}|{after}"), expected, "several lines: {keys}");
    }

    #[test]
    fn every_field_edits_like_a_shell() {
        for (keys, expected) in [
            ("ctrl-u", "|"),
            ("left left ctrl-u", "|-1"),
            ("ctrl-w", "send order |"),
            ("ctrl-w ctrl-w", "send |"),
            ("ctrl-w ctrl-w ctrl-w ctrl-w", "|"),
            ("alt-backspace", "send order cashier-|"),
            ("alt-backspace alt-backspace", "send order |"),
            ("ctrl-a", "|send order cashier-1"),
            ("ctrl-a ctrl-e", "send order cashier-1|"),
            ("home ctrl-k", "|"),
            ("home right right ctrl-k", "se|"),
            ("home alt-f", "send| order cashier-1"),
            ("home ctrl-right ctrl-right", "send order| cashier-1"),
            ("alt-b", "send order cashier-|1"),
            ("ctrl-left ctrl-left", "send order |cashier-1"),
            ("alt-left ctrl-b", "send order cashier|-1"),
            ("home ctrl-f x", "sx|end order cashier-1"),
            ("home alt-d", "| order cashier-1"),
            ("home alt-d ctrl-e ctrl-y", " order cashier-1send|"),
            ("home ctrl-d delete", "|nd order cashier-1"),
            ("backspace ctrl-h", "send order cashier|"),
            ("ctrl-u ctrl-z", "send order cashier-1|"),
            ("ctrl-w ctrl-z ctrl-z", "send order cashier-1|"),
            ("end", "send order cashier-1|"),
        ] {
            check("send order cashier-1", keys, expected);
        }
        check("é東京 ü", "alt-b alt-b backspace", "|é東京 ü");
        check("é東京 ü", "ctrl-w ctrl-w x", "x|");
        check("", "ctrl-w ctrl-u ctrl-k alt-d backspace delete left ctrl-z", "|");
        assert_eq!(Edit::of(chord("f1")), None);
        assert_eq!(Edit::of(chord("ctrl-s")), None);
    }

    #[test]
    fn lines_join_where_a_line_ends() {
        for (keys, expected) in [
            ("ctrl-u ctrl-u", &["one"][..]),
            ("home alt-b ctrl-k", &["onetwo"][..]),
            ("ctrl-w ctrl-w", &["one"][..]),
            ("home ctrl-left x", &["onex", "two"][..]),
            ("home up end ctrl-right x", &["one", "xtwo"][..]),
        ] {
            let mut area = TextArea::new(vec!["one".into(), "two".into()]);
            area.move_cursor(CursorMove::Bottom);
            area.move_cursor(CursorMove::End);
            for key in keys.split(' ') {
                key_in_area(&mut area, chord(key));
            }
            assert_eq!(area.lines(), expected, "{keys}");
        }
    }
}
