//! Text from outside, and the one way to make it fit for a screen, a log, a title or a plain terminal.
//!
//! Every byte from an agent is hostile: it may clear screens, forge prompts, reverse text or write to the clipboard.
//! [`Untrusted`] holds such text and cannot be printed directly; its `Display` and `Debug` go through [`sanitise`],
//! which returns [`SafeText`].

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Text that did not originate in this program. Compare it, keep it, send it back; never print it raw.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Untrusted(Arc<str>);

impl Untrusted {
    /// Wraps text as received.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The bytes as they came, for codecs, stores and comparisons only; `tests/it/architecture.rs`
    /// forbids this call in every module that shows something to a person.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// True if there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The first `chars` characters, for a title or a bounded copy.
    #[must_use]
    pub fn shortened(&self, chars: usize) -> Self {
        match self.0.char_indices().nth(chars) {
            Some((end, _)) => Self(Arc::from(&self.0[..end])),
            None => self.clone(),
        }
    }

    /// The first line with content, without surrounding white space.
    #[must_use]
    pub fn headline(&self, chars: usize) -> Self {
        let line = self.0.lines().map(str::trim).find(|line| !line.is_empty());
        Self(Arc::from(line.unwrap_or_default())).shortened(chars)
    }

    /// The text after the first empty line: the body below headers.
    #[must_use]
    pub fn after_blank_line(&self) -> Self {
        self.0.split_once("\n\n").map_or_else(|| Self::from(""), |(_, body)| Self::from(body))
    }

    /// One printable line: line breaks and tabs become spaces.
    pub fn line(&self) -> SafeText {
        sanitise(&self.0, Shape::Line).text
    }

    /// Printable text that keeps its line breaks; tabs become four spaces.
    pub fn block(&self) -> SafeText {
        sanitise(&self.0, Shape::Block).text
    }

    /// How many control sequences, direction marks and hidden characters the text holds.
    pub fn sanitised(&self) -> u32 {
        // Nearly all text is plain and has nothing to count.
        if is_plain(self.0.as_bytes()) {
            return 0;
        }
        sanitise(&self.0, Shape::Block).sanitised
    }

    /// True if the raw text contains `needle`, ignoring ASCII case.
    pub fn contains_ignore_case(&self, needle: &str) -> bool {
        contains_ignore_case(&self.0, needle)
    }
}

/// True if there is only printable ASCII and line feeds. Sixteen bytes at a time, which the compiler vectorizes.
fn is_plain(bytes: &[u8]) -> bool {
    let odd = |byte: u8| !matches!(byte, b' '..=b'~' | b'\n');
    let (blocks, rest) = bytes.as_chunks::<16>();
    !blocks.iter().any(|block| block.iter().fold(false, |any, byte| any | odd(*byte)))
        && !rest.iter().any(|byte| odd(*byte))
}

impl From<&str> for Untrusted {
    fn from(text: &str) -> Self {
        Self(Arc::from(text))
    }
}

impl From<String> for Untrusted {
    fn from(text: String) -> Self {
        Self(Arc::from(text))
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.line())
    }
}

impl fmt::Debug for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.shortened(200).line())
    }
}

/// Text that holds nothing a terminal would obey.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SafeText(String);

impl SafeText {
    /// Cuts the text so that it takes at most `cells` terminal cells, with `…` where it was cut.
    #[must_use]
    pub fn fit(&self, cells: usize) -> String {
        fit(&self.0, cells)
    }

    /// The text as an owned string.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl Deref for SafeText {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Cuts printable text to at most `cells` terminal cells, with `…` where it was cut.
pub fn fit(text: &str, cells: usize) -> String {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        let width = c.width().unwrap_or(0);
        if used + width > cells {
            // Room for the ellipsis is found by dropping characters from the end.
            let mut kept = String::from(&text[..at]);
            while used + 1 > cells {
                match kept.pop() {
                    Some(last) => used -= last.width().unwrap_or(0),
                    None => return kept,
                }
            }
            kept.push('…');
            return kept;
        }
        used += width;
    }
    text.to_owned()
}

/// A text cut to so many cells in its middle, so that its begin and its end stay.
pub fn fit_middle(text: &str, cells: usize) -> String {
    if text.width() <= cells {
        return text.to_owned();
    }
    let end_cells = cells.saturating_sub(1) / 3;
    let (mut end, mut used) = (text.len(), 0);
    for (at, c) in text.char_indices().rev() {
        used += c.width().unwrap_or(0);
        if used > end_cells {
            break;
        }
        end = at;
    }
    let tail = &text[end..];
    // There is a cut, so that the begin ends with the ellipsis.
    let mut cut = fit(text, cells.saturating_sub(tail.width()));
    cut.push_str(tail);
    cut
}

/// How line breaks are treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// A single line.
    Line,
    /// Several lines.
    Block,
}

/// Printable text, and how much in it was sanitised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sanitised {
    /// The printable text.
    pub text: SafeText,
    /// Characters that would have controlled a terminal or hidden text; an escape counts once.
    pub sanitised: u32,
}

/// The most combining marks that one character may carry; more are dropped, as they draw over other rows.
const MARKS_PER_CHARACTER: u32 = 6;

/// Turns any text into text without effect on a terminal that shows what it contains.
///
/// | class | becomes |
/// |---|---|
/// | C0 controls | their pictures, `␛`; the rest of an escape sequence is shown as it is |
/// | C1 controls, direction controls, zero-width, tag and filler characters, noncharacters | `�` |
/// | marks that enclose the digits behind them (U+0600 … U+06DD, U+070F, U+0890, U+08E2, U+110BD) | `�` |
/// | private use (U+E000 … U+F8FF, planes 15 and 16): a font may draw a part of our own screen | `�` |
/// | spaces of any width, and the blank Braille pattern | a space; `�` in a line that shows nothing else |
/// | variation selectors | nothing |
/// | combining marks | kept, six to a character |
/// | letters that run from right to left | kept; the console asks the terminal not to move cells |
/// | fullwidth letters, digits and signs | kept: they are seen to be wider, and [`skeleton`] knows them |
pub fn sanitise(raw: &str, shape: Shape) -> Sanitised {
    // Nearly all text is printable ASCII and is copied unchanged.
    if raw.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Sanitised { text: SafeText(raw.to_owned()), sanitised: 0 };
    }
    let mut out = String::with_capacity(raw.len() + 16);
    let mut sanitised = 0;
    let mut marks = 0;
    let mut blanks = 0;
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' '..='~' => out.push(c),
            '\r' if chars.peek() == Some(&'\n') => continue,
            '\n' | '\r' | '\u{2028}' | '\u{2029}' | '\u{85}' => {
                out.push(if shape == Shape::Block { '\n' } else { ' ' });
            }
            '\t' => out.push_str(if shape == Shape::Block { "    " } else { " " }),
            '\0'..='\u{1f}' => {
                sanitised += 1;
                out.push(char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'));
            }
            '\u{7f}' => {
                sanitised += 1;
                out.push('␡');
            }
            _ if is_blank(c) => {
                blanks += 1;
                out.push(' ');
            }
            _ if is_dropped(c) => continue,
            _ if is_hidden(c) => {
                // An emoji family is joined by U+200D: between two pictures it hides nothing.
                let joins_pictures = c == '\u{200d}'
                    && out.chars().next_back().is_some_and(is_picture)
                    && chars.peek().copied().is_some_and(is_picture);
                if !joins_pictures {
                    sanitised += 1;
                    out.push('\u{fffd}');
                }
            }
            _ if c.width() == Some(0) => {
                marks += 1;
                if marks <= MARKS_PER_CHARACTER && !out.is_empty() {
                    out.push(c);
                } else if marks == MARKS_PER_CHARACTER + 1 {
                    sanitised += 1;
                }
                continue;
            }
            _ => out.push(c),
        }
        marks = 0;
    }
    // A name of blanks alone would be invisible.
    if shape == Shape::Line && blanks > 0 && out.trim().is_empty() {
        sanitised += blanks;
        out = raw.chars().map(|c| if is_blank(c) { '\u{fffd}' } else { ' ' }).collect();
    }
    Sanitised { text: SafeText(out), sanitised }
}

/// Spaces other than U+0020, and the Braille pattern without dots.
fn is_blank(c: char) -> bool {
    matches!(
        c,
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{2800}' | '\u{3000}'
    )
}

/// Variation selectors: they only choose a look, and terminals disagree about its width.
fn is_dropped(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{34f}')
}

/// C1 controls, direction controls, zero-width and tag characters, fillers, noncharacters, prepended marks,
/// private use.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}'
        | '\u{115f}' | '\u{1160}'
        | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{e000}'..='\u{f8ff}'
        | '\u{fdd0}'..='\u{fdef}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{fffe}' | '\u{ffff}'
        | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e00ff}'
        | '\u{e01f0}'..='\u{e0fff}'
        | '\u{f0000}'..='\u{10ffff}')
}

/// True for every character that a terminal may obey or that hides or reorders text.
pub fn is_control_or_hidden(c: char) -> bool {
    matches!(c, '\0'..='\u{1f}' | '\u{7f}' | '\u{2028}' | '\u{2029}') || is_hidden(c)
}

/// True for every character that [`sanitise`] never changes, in any position.
pub fn is_shown_as_it_is(c: char) -> bool {
    !is_control_or_hidden(c) && !is_blank(c) && !is_dropped(c) && c.width() != Some(0)
}

/// The skeleton of a text after UTS 39: texts that look alike have the same one. Case, width and invisible characters
/// are ignored. For comparison only, never displayed.
pub fn skeleton(text: &str) -> String {
    let seen: String = text.chars().filter(|c| !is_hidden(*c) && !is_dropped(*c)).collect();
    let shape = |text: &str| unicode_security::skeleton(text).collect::<String>();
    // A capital is mapped by its own shape first: `I` looks like `l`, not like `i`.
    shape(&shape(&seen).to_lowercase())
}

/// Pairs of different names that look alike, by their places.
pub fn confusable<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<(usize, usize)> {
    let mut first: std::collections::BTreeMap<String, (usize, &str)> = std::collections::BTreeMap::new();
    let mut pairs = Vec::new();
    for (at, name) in names.into_iter().enumerate() {
        let (before, known) = *first.entry(skeleton(name)).or_insert((at, name));
        if known != name {
            pairs.push((before, at));
        }
    }
    pairs
}

/// The ranges that emoji sequences are built of.
fn is_picture(c: char) -> bool {
    matches!(c, '\u{1f000}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}')
}

/// True if `text` contains `needle`, ignoring ASCII case.
pub fn contains_ignore_case(text: &str, needle: &str) -> bool {
    if needle.is_empty() {
        return true;
    }
    let (text, needle) = (text.as_bytes(), needle.as_bytes());
    text.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
}

/// The known word with the fewest differences, if it is close.
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let distance = |a: &str, b: &str| -> usize {
        let b: Vec<char> = b.chars().collect();
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.chars().enumerate() {
            let mut before = row[0];
            row[0] = i + 1;
            for (j, y) in b.iter().enumerate() {
                let kept = row[j + 1];
                row[j + 1] = (before + usize::from(x != *y)).min(row[j] + 1).min(kept + 1);
                before = kept;
            }
        }
        row[b.len()]
    };
    let best = known.iter().map(|key| (distance(word, key), *key)).min()?;
    let letters = word.chars().count();
    // A word of which no letter is left is none that was meant.
    (best.0 < letters && (best.0 <= 2 || best.0 * 3 <= letters)).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, shape: Shape, expected: &str, sanitised: u32) {
        let got = sanitise(raw, shape);
        assert_eq!((&*got.text, got.sanitised), (expected, sanitised), "raw {raw:?}");
    }

    #[test]
    fn hostile_text_is_shown_and_controls_nothing() {
        check("plain", Shape::Line, "plain", 0);
        check("\u{1b}[2J\u{1b}[H", Shape::Line, "␛[2J␛[H", 2);
        check("\u{1b}]52;c;aGk=\u{7}", Shape::Line, "␛]52;c;aGk=␇", 2);
        check("\u{1b}]0;never ended", Shape::Line, "␛]0;never ended", 1);
        check("\u{9b}31m", Shape::Line, "\u{fffd}31m", 1);
        check("a\u{202e}gpj.exe", Shape::Line, "a\u{fffd}gpj.exe", 1);
        check("pass\u{200b}word", Shape::Line, "pass\u{fffd}word", 1);
        check("tag\u{e0041}", Shape::Line, "tag\u{fffd}", 1);
        check("one\r\ntwo\tthree", Shape::Line, "one two three", 0);
        check("one\r\ntwo\tthree", Shape::Block, "one\ntwo    three", 0);
        check("\u{7f}\u{0}", Shape::Line, "␡␀", 2);
        check("a\u{8}b", Shape::Block, "a␈b", 1);
    }

    #[test]
    fn honest_text_stays_readable() {
        check("Grüße, 東京 – €", Shape::Line, "Grüße, 東京 – €", 0);
        check("e\u{301}", Shape::Line, "e\u{301}", 0);
        check("👩\u{200d}🚀 \u{2764}\u{fe0f}", Shape::Line, "👩🚀 \u{2764}", 0);
        let tower = format!("Z{}", "\u{335}".repeat(40));
        check(&tower, Shape::Line, &format!("Z{}", "\u{335}".repeat(6)), 1);
    }

    #[test]
    fn every_class_of_odd_characters_is_treated_by_its_rule() {
        for (raw, shown, sanitised) in [
            // Blanks.
            ("a\u{a0}b", "a b", 0),
            ("a\u{3000}b", "a b", 0),
            ("⠋\u{2800}", "⠋ ", 0),
            ("\u{2800}", "\u{fffd}", 1),
            ("\u{a0}", "\u{fffd}", 1),
            ("\u{2003}\u{2003}", "\u{fffd}\u{fffd}", 2),
            (" \u{2003} ", " \u{fffd} ", 1),
            ("", "", 0),
            ("  ", "  ", 0),
            // Marks that enclose digits.
            ("\u{600}12", "\u{fffd}12", 1),
            ("\u{6dd}12", "\u{fffd}12", 1),
            // Private use.
            ("\u{e0b0}", "\u{fffd}", 1),
            ("\u{f8ff}", "\u{fffd}", 1),
            ("\u{f0000}\u{10fffd}", "\u{fffd}\u{fffd}", 2),
            // Right to left, and wide forms.
            ("שלום 12", "שלום 12", 0),
            ("سلام", "سلام", 0),
            ("４１２", "４１２", 0),
        ] {
            check(raw, Shape::Line, shown, sanitised);
        }
    }

    #[test]
    fn text_is_cut_in_its_middle() {
        for (text, cells, cut) in [
            ("charge order 88213", 18, "charge order 88213"),
            ("charge order 88213", 12, "charge o…213"),
            ("東京都庁東京都庁", 9, "東京都…庁"),
            ("abc", 1, "…"),
            ("abc", 0, ""),
        ] {
            let shown = fit_middle(text, cells);
            assert!(shown.width() <= cells, "{shown}");
            assert_eq!(shown, cut, "{text} {cells}");
        }
    }

    #[test]
    fn names_that_look_alike_have_one_skeleton() {
        for (one, other, alike) in [
            ("bank", "bаnk", true),
            ("bank", "Bank", true),
            ("bank", "ｂank", true),
            ("bank", "ba\u{200b}nk", true),
            ("pay-1", "pay-l", true),
            ("pay-1", "pay-I", true),
            ("rnail", "mail", true),
            ("bank", "tank", false),
            ("worker-1", "worker-2", false),
            ("東京", "京都", false),
            ("Grüße", "Grusse", false),
        ] {
            assert_eq!(skeleton(one) == skeleton(other), alike, "{one:?} {other:?}");
        }
        assert_eq!(confusable(["bank", "steady", "bаnk", "bank"]), [(0, 2)]);
        assert_eq!(confusable(["a", "b"]), []);
    }

    #[test]
    fn text_is_cut_to_cells() {
        for (text, cells, expected) in [
            ("abcdef", 6, "abcdef"),
            ("abcdef", 4, "abc…"),
            ("東京都", 5, "東京…"),
            ("東京都", 4, "東…"),
            ("ab", 0, ""),
        ] {
            assert_eq!(fit(text, cells), expected);
        }
    }

    #[test]
    fn display_and_debug_are_sanitised() {
        let text = Untrusted::from("\u{1b}[31mred");
        assert_eq!(format!("{text}"), "␛[31mred");
        assert!(!format!("{text:?}").contains('\u{1b}'));
    }
}
