//! Key bindings: the default keys of the actions, with the changes of the configuration.

use crate::domain::text::{Untrusted, nearest};
use crate::tui::actions::Action;
use crate::tui::keymap::Chord;
use crate::tui::written::{FileError, NamedWords};

/// Keys handled by cards: an action that opens a card must not use them, or pressing its key twice would confirm the
/// card.
pub(super) const IN_CARDS: [&str; 2] = ["y", "enter"];

/// Keys handled by input fields and the composer.
pub(super) const IN_FIELDS: [&str; 36] = [
    "enter",
    "esc",
    "tab",
    "shift-tab",
    "up",
    "down",
    "left",
    "right",
    "home",
    "end",
    "ctrl-left",
    "ctrl-right",
    "alt-left",
    "alt-right",
    "alt-enter",
    "alt-b",
    "alt-d",
    "alt-f",
    "ctrl-a",
    "ctrl-b",
    "ctrl-d",
    "ctrl-e",
    "ctrl-f",
    "ctrl-k",
    "ctrl-n",
    "ctrl-p",
    "ctrl-r",
    "ctrl-s",
    "ctrl-u",
    "ctrl-w",
    "ctrl-x",
    "ctrl-y",
    "ctrl-z",
    "pgup",
    "pgdn",
    "insert",
];

/// A key as pressed and as displayed.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Key {
    chord: Chord,
    shown: String,
}

/// The keys of every action.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keys {
    /// By the number of the action.
    of: Vec<Vec<Key>>,
}

impl Default for Keys {
    fn default() -> Self {
        let of = |action: &Action| {
            let named = action.keys().iter().filter_map(|key| Chord::parse(key));
            named.map(Key::from).collect()
        };
        Self { of: Action::ALL.iter().map(of).collect() }
    }
}

impl From<Chord> for Key {
    fn from(chord: Chord) -> Self {
        Self { chord, shown: chord.to_string() }
    }
}

impl Keys {
    /// The default bindings with the configured changes, and all errors in those. `sorts` returns the column that a
    /// letter sorts by, if any.
    pub fn with(named: &[NamedWords<'_>], sorts: impl Fn(char) -> Option<String>) -> (Self, Vec<FileError>) {
        let mut keys = Self::default();
        let mut wrong = Vec::new();
        let mut lines: Vec<Option<usize>> = vec![None; Action::ALL.len()];
        for (name, words) in named {
            let fault = |what: String| FileError::new(name.line, format!("keys.{}", name.text), what);
            let Some(action) = Action::named(name.text) else {
                let known: Vec<&str> = Action::ALL.iter().map(|action| action.word()).collect();
                let near = nearest(name.text, &known).map(|near| format!("did you mean {near}? "));
                let near = near.unwrap_or_default();
                wrong.push(fault(format!("is not an action; {near}quarterdeck config keys lists them")));
                continue;
            };
            lines[action as usize] = Some(name.line);
            let mut bound: Vec<Key> = Vec::new();
            for word in words {
                let at = |what: String| FileError::new(word.line, format!("keys.{}", name.text), what);
                match Chord::read(word.text) {
                    Err(what) => wrong.push(at(Untrusted::from(what).line().into_string())),
                    Ok(chord) if bound.iter().any(|key| key.chord == chord) => {
                        wrong.push(at(format!("names {chord} twice")));
                    }
                    Ok(chord) => {
                        if let Some(what) = unfit(action, chord, &sorts) {
                            wrong.push(at(what));
                        }
                        bound.push(chord.into());
                    }
                }
            }
            keys.of[action as usize] = bound;
        }
        // A binding that cannot be parsed must not also be reported as missing.
        if wrong.is_empty() {
            keys.clashes(&lines, &mut wrong);
        }
        if wrong.is_empty() {
            keys.missing(&lines, &mut wrong);
        }
        (keys, wrong)
    }

    /// One key for two actions in the same place.
    fn clashes(&self, lines: &[Option<usize>], wrong: &mut Vec<FileError>) {
        for (at, one) in Action::ALL.iter().enumerate() {
            for other in &Action::ALL[at + 1..] {
                // Both may share the key: one works in texts, the other elsewhere.
                if one.is_of_text() != other.is_of_text() {
                    continue;
                }
                let both = self.of[*other as usize].iter().map(|key| key.chord);
                for chord in both.filter(|chord| self.of[*one as usize].iter().any(|key| key.chord == *chord))
                {
                    // The error is reported at the later of the two bindings.
                    let (of, with) = if lines[*one as usize] > lines[*other as usize] {
                        (one, other)
                    } else {
                        (other, one)
                    };
                    let Some(line) = lines[*of as usize] else { continue };
                    let rest: Vec<String> = self.of[*with as usize]
                        .iter()
                        .filter(|key| key.chord != chord)
                        .map(|key| format!("{:?}", key.shown))
                        .collect();
                    let what = format!(
                        "{chord} is a key of {} too; write another one, or {} = [{}] beside it",
                        with.word(),
                        with.word(),
                        rest.join(", ")
                    );
                    wrong.push(FileError::new(line, format!("keys.{}", of.word()), what));
                }
            }
        }
    }

    /// Actions that cannot be without a key where they are needed.
    fn missing(&self, lines: &[Option<usize>], wrong: &mut Vec<FileError>) {
        for action in Action::ALL {
            let Some(why) = action.needs_a_key() else { continue };
            let usual: Vec<String> = action.keys().iter().map(|key| format!("{key:?}")).collect();
            let usual = usual.join(", ");
            let name = format!("keys.{}", action.word());
            let has = |in_text| {
                let mut of = self.of[*action as usize].iter();
                of.any(|key| self.action(key.chord, in_text) == Some(*action))
            };
            let line = lines[*action as usize].or_else(|| lines.iter().flatten().max().copied()).unwrap_or(1);
            if self.of[*action as usize].is_empty() {
                wrong.push(FileError::new(line, name, format!("has no key, and {why}; write [{usual}]")));
            } else if !has(false) || !has(true) {
                let what = format!("has no key of its own in texts, and {why}; write [{usual}]");
                wrong.push(FileError::new(line, name, what));
            } else if *action == Action::Interrupt && self.while_typing(*action).is_none() {
                let what = format!("its keys are text while something is typed, and {why}; add {usual}");
                wrong.push(FileError::new(line, name, what));
            }
        }
    }

    /// The action of a chord, in a list or page or where a text is read.
    pub fn action(&self, chord: Chord, in_text: bool) -> Option<Action> {
        let bound = |action: &&Action| self.of[**action as usize].iter().any(|key| key.chord == chord);
        // Two worlds: `n` is the next match in a text and a new task in a list.
        let fits = |of_text: bool| {
            Action::ALL.iter().filter(|action| action.is_of_text() == of_text).find(bound).copied()
        };
        if in_text { fits(true).or_else(|| fits(false)) } else { fits(false) }
    }

    /// The action of a chord while the operator is typing, when printable characters are text.
    pub fn action_while_typing(&self, chord: Chord) -> Option<Action> {
        self.action(chord, false).filter(|action| action.works_while_typing() && chord.typed().is_none())
    }

    /// The keys of an action, as they are written.
    pub fn names(&self, action: Action) -> impl Iterator<Item = &str> {
        self.of[action as usize].iter().map(|key| key.shown.as_str())
    }

    /// True if the keys differ from the defaults.
    pub fn is_set(&self, action: Action) -> bool {
        !self.names(action).eq(action.keys().iter().copied())
    }

    /// The first key, for bars and menus; empty if it has none.
    pub fn first(&self, action: Action) -> &str {
        match self.names(action).next() {
            None => "",
            Some("left") => "←",
            Some("right") => "→",
            Some(key) => key,
        }
    }

    /// The key as shown in a sentence: the first one, or the command to type.
    pub fn hint(&self, action: Action) -> String {
        match self.first(action) {
            "" => format!(":{}", action.word()),
            key => key.to_owned(),
        }
    }

    /// The first key that is not a printable character.
    pub fn while_typing(&self, action: Action) -> Option<&str> {
        let mut keys = self.of[action as usize].iter();
        keys.find(|key| key.chord.typed().is_none()).map(|key| key.shown.as_str())
    }
}

/// The reason why an action cannot have a key, regardless of other bindings.
fn unfit(action: Action, chord: Chord, sorts: impl Fn(char) -> Option<String>) -> Option<String> {
    let among = |keys: &[&str]| keys.iter().any(|key| Chord::parse(key) == Some(chord));
    if action.acts() && among(&IN_CARDS) {
        return Some(format!("{chord} presses a button of the card that it opens; write another one"));
    }
    if action.works_while_typing() && among(&IN_FIELDS) {
        return Some(format!("{chord} means something else while something is typed; write another one"));
    }
    let sorted = chord.typed().filter(char::is_ascii_uppercase).filter(|_| !action.is_of_text())?;
    Some(format!("{chord} sorts {}; write another one", sorts(sorted)?))
}
