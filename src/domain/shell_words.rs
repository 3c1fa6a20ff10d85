//! Words of a command that bash, zsh, fish and POSIX shells read alike, whatever is in them.

use crate::domain::text::is_shown_as_it_is;

/// A word as all four shells take it. NUL fits into no argument and is replaced.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c);
    let begins_plainly = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if word.starts_with(begins_plainly) && word.chars().all(is_plain) {
        return word.to_owned();
    }
    let word = word.replace('\0', "\u{fffd}");
    if word.chars().all(is_shown_as_it_is) { in_quotes(&word) } else { by_printf(&word) }
}

/// In single quotes all four shells take everything literally except `'` and, in fish, `\`. These two are put in double
/// quotes, where `\\` is a backslash in all four.
fn in_quotes(word: &str) -> String {
    let quote = |c: char| if matches!(c, '\'' | '\\') { '"' } else { '\'' };
    let mut out = String::new();
    let mut open = word.chars().next().map_or('\'', quote);
    out.push(open);
    for c in word.chars() {
        if quote(c) != open {
            out.push(open);
            open = quote(c);
            out.push(open);
        }
        out.push_str(if c == '\\' { "\\" } else { "" });
        out.push(c);
    }
    out.push(open);
    out
}

/// Control and invisible characters are written by `printf` in octal. The whole word is written that way, because fish
/// 3.6 does not find the end of a command substitution that is followed by `'$'`.
fn by_printf(word: &str) -> String {
    let body = word.trim_end_matches('\n');
    let mut out = String::new();
    let mut is_literal = false;
    for (at, c) in body.char_indices() {
        // A leading sign would be a flag of `printf`, and a digit after octal digits would extend them.
        let is_safe = c.is_ascii_alphabetic()
            || (c.is_ascii_digit() || " _./:,@+=-".contains(c)) && is_literal
            || !c.is_ascii() && is_shown_as_it_is(c);
        is_literal = is_safe || at == 0 && c.is_ascii_digit();
        if is_literal {
            out.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                out.push_str(&format!("\\{byte:03o}"));
            }
        }
    }
    let line_feeds = &word[body.len()..];
    let printed = if out.is_empty() { out } else { format!("\"$(printf '{out}')\"") };
    // The output of a command loses line feeds at its end.
    if line_feeds.is_empty() { printed } else { format!("{printed}\"{line_feeds}\"") }
}

/// A positional argument: behind `--` if it looks like a flag.
pub fn positional(word: &str) -> String {
    let dashes = if word.starts_with('-') { "-- " } else { "" };
    format!("{dashes}{}", quoted(word))
}

/// A flag and its value: ` -a REF`, or ` -a=-REF` if the value looks like a flag itself.
pub fn flag(name: &str, value: &str) -> String {
    let between = if value.starts_with('-') { '=' } else { ' ' };
    format!(" {name}{between}{}", quoted(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_survive_the_shell() {
        for (word, shown) in [
            ("plain-1.2/x", "plain-1.2/x"),
            ("http://127.0.0.1:9101/a", "http://127.0.0.1:9101/a"),
            ("two words", "'two words'"),
            ("=ls", "'=ls'"),
            ("a=b", "'a=b'"),
            ("~root", "'~root'"),
            ("%self", "'%self'"),
            ("it's", "'it'\"'\"'s'"),
            ("\\';touch x #", "\"\\\\'\"';touch x #'"),
            ("", "''"),
            ("a\u{1b}[2J", "\"$(printf 'a\\033\\133\\062J')\""),
            ("a\nb", "\"$(printf 'a\\012b')\""),
            ("a\n", "\"$(printf 'a')\"\"\n\""),
            ("\n", "\"\n\""),
            ("x\u{202e}y", "\"$(printf 'x\\342\\200\\256y')\""),
            ("a\u{a0}b", "\"$(printf 'a\\302\\240b')\""),
            ("a\0b", "'a\u{fffd}b'"),
        ] {
            assert_eq!(quoted(word), shown, "{word:?}");
        }
    }

    #[test]
    fn words_that_look_like_flags_are_not_flags() {
        assert_eq!(positional("-rf"), "-- -rf");
        assert_eq!(positional("id"), "id");
        assert_eq!(flag("-a", "-x"), " -a=-x");
        assert_eq!(flag("-a", "two words"), " -a 'two words'");
    }
}
