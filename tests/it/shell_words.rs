//! Words of a command as the shells themselves read them.

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use quarterdeck::domain::shell_words::{positional, quoted};

/// The shells that commands are pasted into, each without its owner's configuration.
const SHELLS: [(&str, &[&str]); 6] = [
    ("bash", &["--norc", "--noprofile", "-s"]),
    ("dash", &["-s"]),
    ("zsh", &["-f", "-s"]),
    // What an interactive zsh does beside: `=ls`, braces, extended patterns.
    ("zsh", &["-f", "-o", "extendedglob", "-o", "magicequalsubst", "-s"]),
    ("fish", &["--no-config"]),
    ("sh", &["-s"]),
];
const WORDS: usize = 1500;

fn is_installed(shell: &str) -> bool {
    Command::new(shell).args(["-c", ":"]).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Feeds commands to a shell as they are pasted, and returns what it printed.
fn run(shell: &str, args: &[&str], script: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(shell);
    command.args(args).current_dir(dir.path()).env("HOME", dir.path()).env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let script = script.to_owned();
    let writing = std::thread::spawn(move || stdin.write_all(script.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _it_may_have_ended_before = writing.join().unwrap();
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    // fish keeps a folder of its own.
    let made: Vec<_> = left.iter().filter(|name| name.to_string_lossy().contains("PWN")).collect();
    assert!(made.is_empty(), "{shell} ran a word: {made:?}\n{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Words that are hard for a shell, and words of nasty characters in any order from a fixed seed.
fn words() -> Vec<String> {
    let hard = [
        "",
        "'",
        "\\",
        "\\'",
        "''",
        "\\\\",
        "it's",
        "\\';touch PWN2 #",
        "a\n';touch PWN1 #",
        "\n",
        "\n\n",
        "a\n",
        "\na",
        "a\n\nb\n",
        "\r\n",
        "=ls",
        "==",
        "~",
        "~root",
        "-rf",
        "--all",
        "--",
        "-",
        "!",
        "!!",
        "!$",
        "a!b",
        "$HOME",
        "${HOME}",
        "$(touch PWN3)",
        "`touch PWN4`",
        "\"",
        "\"$(touch PWN5)\"",
        "a;touch PWN6",
        "a&touch PWN7",
        "a|touch PWN8",
        ">PWN9",
        "<x",
        "*",
        "?",
        "[a]",
        "{a,b}",
        "{1..3}",
        "a b",
        "\t",
        "#",
        "a#b",
        "%self",
        "%1",
        "^a",
        "a^b",
        "(a)",
        "a\u{1b}[201~touch PWN10\n",
        "\u{7}",
        "\u{7f}",
        "\u{9b}31m",
        "\u{202e}x",
        "\u{a0}",
        "\u{2800}",
        "e\u{301}",
        "❤\u{fe0f}",
        "東京",
        "🚀",
        "\u{e0b0}",
        "%s%n%d",
        "\\033",
        "\\u001b",
        "a=b",
        "x=~",
        "a:~",
        "@a",
        "+a",
        ",a",
        "$'a'",
        "a\\",
        "\\n",
        "'\n'",
        "é'\\\n=",
        "1>PWN11",
        "&&",
        "||",
        "a\u{2028}b",
    ];
    let nasty = prop::sample::select(vec![
        '\'', '\\', '"', '$', '`', '\n', '\r', '\t', '\u{1b}', '\u{1}', '\u{7f}', '\u{85}', '\u{a0}',
        '\u{200b}', '\u{202e}', '\u{301}', '\u{fe0f}', '\u{2800}', '\u{e000}', '=', '~', '-', '!', '#', '%',
        '^', '*', '?', '[', ']', '{', '}', '(', ')', '<', '>', '&', '|', ';', ',', ' ', 'a', 'n', '0', '7',
        'é', '東', '🚀',
    ]);
    let any = any::<char>().prop_filter("fits into an argument", |c| *c != '\0');
    let word = prop::collection::vec(prop_oneof![4 => nasty, 1 => any], 0..12);
    let word = word.prop_map(|chars| chars.into_iter().collect::<String>());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[17; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut words: Vec<String> = hard.iter().map(|word| (*word).to_owned()).collect();
    words.extend((0..WORDS).map(|_| word.new_tree(&mut runner).unwrap().current()));
    words
}

#[test]
fn every_shell_reads_a_quoted_word_as_it_is() {
    let words = words();
    let mut ran = 0;
    for (shell, args) in SHELLS {
        if !is_installed(shell) {
            println!("skipped: {shell} is not installed");
            continue;
        }
        ran += 1;
        // `printf` of each shell prints the word and a NUL behind it.
        let script: String = words.iter().map(|word| format!("printf '%s\\0' {}\n", quoted(word))).collect();
        let printed = run(shell, args, &script);
        let printed: Vec<&[u8]> = printed.split(|byte| *byte == 0).collect();
        for (word, printed) in words.iter().zip(&printed) {
            // fish has no `--` in its printf, and takes a word behind a format as it is.
            assert_eq!(
                String::from_utf8_lossy(printed),
                *word,
                "{shell} {args:?} reads {} otherwise",
                quoted(word)
            );
        }
        assert_eq!(printed.len(), words.len() + 1, "{shell} {args:?}");
    }
    assert!(ran > 0, "no shell is installed");
}

#[test]
fn copied_text_controls_no_terminal() {
    for word in words() {
        let copied = quoted(&word);
        let odd = copied.chars().find(|c| c.is_control() && *c != '\n');
        assert!(odd.is_none(), "{word:?} becomes {copied:?}");
        assert!(!copied.contains('\n') || word.ends_with('\n'), "{word:?} becomes {copied:?}");
        assert_eq!(positional(&word).starts_with("-- "), word.starts_with('-'), "{word:?}");
    }
}
