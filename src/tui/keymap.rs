//! Keys as they are named, and as a terminal sends them.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key with its modifiers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Chord {
    /// The key.
    pub code: KeyCode,
    /// Control is held.
    pub ctrl: bool,
    /// Alt is held.
    pub alt: bool,
    /// Shift is held, for keys that are no characters.
    pub shift: bool,
}

impl Chord {
    /// A plain character.
    pub const fn char(c: char) -> Self {
        Self { code: KeyCode::Char(c), ctrl: false, alt: false, shift: false }
    }

    /// As the table of actions names it: `j`, `G`, `ctrl-d`, `shift-tab`, `f1`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::read(text).ok()
    }

    /// Parses a chord; the error describes what is wrong.
    ///
    /// # Errors
    /// It names no key, or one that no terminal sends so.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut chord = Self { code: KeyCode::Null, ctrl: false, alt: false, shift: false };
        let mut rest = text;
        // A lone `-` is a key.
        while rest.len() > 1 {
            if let Some(tail) = rest.strip_prefix("ctrl-") {
                chord.ctrl = true;
                rest = tail;
            } else if let Some(tail) = rest.strip_prefix("alt-") {
                chord.alt = true;
                rest = tail;
            } else if let Some(tail) = rest.strip_prefix("shift-") {
                chord.shift = true;
                rest = tail;
            } else {
                break;
            }
        }
        chord.code = match rest {
            "enter" => KeyCode::Enter,
            "esc" => KeyCode::Esc,
            "tab" if chord.shift => KeyCode::BackTab,
            "tab" => KeyCode::Tab,
            "space" => KeyCode::Char(' '),
            "up" => KeyCode::Up,
            "down" => KeyCode::Down,
            "left" => KeyCode::Left,
            "right" => KeyCode::Right,
            "home" => KeyCode::Home,
            "end" => KeyCode::End,
            "pgup" => KeyCode::PageUp,
            "pgdn" => KeyCode::PageDown,
            "insert" => KeyCode::Insert,
            "backspace" | "delete" => {
                return Err(format!("{rest} takes text away in fields, and nothing else"));
            }
            named => match named.strip_prefix('f').and_then(|number| number.parse::<u8>().ok()) {
                Some(number @ 1..=12) => KeyCode::F(number),
                Some(_) => return Err(format!("{text:?} is not a key: function keys are f1 to f12")),
                None => {
                    let mut chars = named.chars();
                    match (chars.next(), chars.next()) {
                        (Some(c), None) if !c.is_control() && !c.is_whitespace() => KeyCode::Char(c),
                        _ => {
                            return Err(format!(
                                "{text:?} is not a key: write j, G, ?, ctrl-d, alt-x, f5, enter, esc, tab, shift-tab, space, up, home or pgdn"
                            ));
                        }
                    }
                }
            },
        };
        match chord.code {
            KeyCode::BackTab => chord.shift = false,
            KeyCode::Char(c) if chord.shift && c.is_ascii_alphabetic() => {
                chord.code = KeyCode::Char(c.to_ascii_uppercase());
                chord.shift = false;
            }
            KeyCode::Char(_) if chord.shift => {
                return Err(format!("{text:?} is not a key: write the character that shift makes of it"));
            }
            _ => {}
        }
        if let (KeyCode::Char(c), true) = (chord.code, chord.ctrl) {
            // Terminals do not report shift with control, and some control letters are other keys.
            let same = match c.to_ascii_lowercase() {
                'i' => "tab",
                'm' => "enter",
                'h' => "backspace",
                '[' => "esc",
                _ => "",
            };
            if !same.is_empty() && !chord.alt {
                return Err(format!("terminals send ctrl-{c} as {same}; choose another key"));
            }
            chord.code = KeyCode::Char(c.to_ascii_lowercase());
        }
        Ok(chord)
    }

    /// As a terminal sends it. Shift is part of a character, not beside it.
    pub fn from_event(event: &KeyEvent) -> Self {
        let has = |modifier| event.modifiers.contains(modifier);
        let (mut code, mut ctrl) = (event.code, has(KeyModifiers::CONTROL));
        let mut shift = has(KeyModifiers::SHIFT);
        match code {
            KeyCode::Char(c) if shift && c.is_ascii_lowercase() => {
                code = KeyCode::Char(c.to_ascii_uppercase());
                shift = false;
            }
            KeyCode::Char(_) | KeyCode::BackTab => shift = false,
            KeyCode::Null => {
                // Control and space, as most terminals send it.
                code = KeyCode::Char(' ');
                ctrl = true;
            }
            _ => {}
        }
        if let KeyCode::Char(c) = code
            && ctrl
        {
            code = KeyCode::Char(c.to_ascii_lowercase());
        }
        Self { code, ctrl, alt: has(KeyModifiers::ALT), shift }
    }

    /// The character that it types into a field.
    pub fn typed(self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if !self.ctrl && !self.alt => Some(c),
            _ => None,
        }
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (held, name) in [(self.ctrl, "ctrl-"), (self.alt, "alt-"), (self.shift, "shift-")] {
            if held {
                f.write_str(name)?;
            }
        }
        match self.code {
            KeyCode::Char(' ') => f.write_str("space"),
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::Enter => f.write_str("enter"),
            KeyCode::Esc => f.write_str("esc"),
            KeyCode::Tab => f.write_str("tab"),
            KeyCode::BackTab => f.write_str("shift-tab"),
            KeyCode::Backspace => f.write_str("backspace"),
            KeyCode::Up => f.write_str("up"),
            KeyCode::Down => f.write_str("down"),
            KeyCode::Left => f.write_str("left"),
            KeyCode::Right => f.write_str("right"),
            KeyCode::Home => f.write_str("home"),
            KeyCode::End => f.write_str("end"),
            KeyCode::PageUp => f.write_str("pgup"),
            KeyCode::PageDown => f.write_str("pgdn"),
            KeyCode::Insert => f.write_str("insert"),
            KeyCode::F(n) => write!(f, "f{n}"),
            _ => f.write_str("?"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chords_are_named_as_they_are_pressed() {
        let event = |code, modifiers| Chord::from_event(&KeyEvent::new(code, modifiers));
        for (text, pressed) in [
            ("j", event(KeyCode::Char('j'), KeyModifiers::NONE)),
            ("G", event(KeyCode::Char('G'), KeyModifiers::SHIFT)),
            ("G", event(KeyCode::Char('g'), KeyModifiers::SHIFT)),
            ("ctrl-d", event(KeyCode::Char('d'), KeyModifiers::CONTROL)),
            ("ctrl-space", event(KeyCode::Null, KeyModifiers::NONE)),
            ("shift-tab", event(KeyCode::BackTab, KeyModifiers::SHIFT)),
            ("?", event(KeyCode::Char('?'), KeyModifiers::SHIFT)),
            ("-", event(KeyCode::Char('-'), KeyModifiers::NONE)),
            ("f1", event(KeyCode::F(1), KeyModifiers::NONE)),
        ] {
            assert_eq!(Chord::parse(text), Some(pressed), "{text}");
        }
        assert_eq!(Chord::parse("ctrl-x").map(|chord| chord.to_string()).as_deref(), Some("ctrl-x"));
        for (text, same) in
            [("shift-g", "G"), ("ctrl-D", "ctrl-d"), ("alt-enter", "alt-enter"), ("f12", "f12")]
        {
            assert_eq!(Chord::parse(text), Chord::parse(same), "{text}");
            assert_eq!(Chord::parse(same).map(|chord| chord.to_string()).as_deref(), Some(same));
        }
        for (text, part) in [
            ("hyper", "is not a key"),
            ("", "is not a key"),
            ("f13", "f1 to f12"),
            ("shift-1", "the character that shift makes"),
            ("ctrl-i", "as tab"),
            ("backspace", "in fields"),
        ] {
            assert!(Chord::read(text).is_err_and(|why| why.contains(part)), "{text}");
        }
    }
}
