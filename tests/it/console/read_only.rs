//! `--read-only` binds the console or the command that was started with it, and nobody else.

use quarterdeck::demo::Behaviour;

use super::pty::{Desk, Terminal};
use crate::support::part;

const SIZE: (u16, u16) = (100, 30);
const REFUSED: &str = "this console was started with --read-only";

#[test]
fn a_read_only_console_binds_nobody_who_shares_its_engine() {
    let desk = Desk::new(vec![part("slow", Behaviour::Slow)]);
    let args = desk.args();
    let args: Vec<&str> = args.iter().map(String::as_str).chain(["--read-only"]).collect();
    // It starts the engine, so that the others join it.
    let mut watching = Terminal::run(SIZE, &args, &[]);
    watching.shows("● 1 up");
    let mut acting = desk.open(SIZE, &[]);
    acting.shows("● 1 up");
    for (what, words, code) in [
        ("a command", &["note", "one"][..], 0),
        ("a command that only watches", &["--read-only", "note", "two"], 1),
        ("a message", &["send", "-a", "slow", "--async", "drive"], 0),
        ("a message of a command that only watches", &["--read-only", "send", "-a", "slow", "drive"], 1),
        ("reading", &["--read-only", "agents"], 0),
    ] {
        let output = desk.without_terminal(words);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{what}: {errors}");
        assert_eq!(errors.contains("--read-only was given"), code == 1, "{what}: {errors}");
    }
    watching.type_in("n");
    watching.shows(REFUSED);
    acting.type_in("n");
    acting.shows("new task");
}

#[test]
fn serve_has_nothing_to_refuse() {
    let desk = Desk::new(vec![part("slow", Behaviour::Slow)]);
    let output = desk.without_terminal(&["serve", "--read-only"]);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("leave it out"), "{errors}");
}
