//! `--read-only` binds the console or the command that was started with it, and nobody else.

use std::collections::BTreeSet;

use quarterdeck::demo::Behaviour;
use quarterdeck::tui::actions::Action;
use quarterdeck::tui::context::Info;
use quarterdeck::tui::keys::Keys;
use quarterdeck::tui::theme::{Depth, Theme};
use quarterdeck::tui::written::{NamedWords, Word};

use super::Console;
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

/// Every view, with what can be seen in its panes.
const VIEWS: [&str; 36] = [
    "0",
    "0 j",
    "0 tab",
    "0 tab j",
    "0 tab j j",
    "0 tab j j j",
    "1",
    "1 j j",
    "1 enter",
    "1 enter tab",
    "1 enter tab tab",
    "1 enter tab tab tab",
    "2",
    "2 j j",
    "2 enter",
    "2 / \"88213\" enter enter",
    "2 / \"88190\" enter enter",
    "2 / \"88219\" enter enter",
    "2 / \"88100\" enter enter",
    "3",
    "3 j",
    "3 j j",
    "4",
    "4 j",
    "4 j j",
    "4 j j j",
    "7",
    "9",
    "9 enter",
    "v r",
    ": \"explain_charge_it\" enter",
    "v u",
    "v w",
    "v s",
    "v c",
    "c",
];

/// The acts whose keys are seen in these views.
fn offered(read_only: bool, is_empty: bool) -> BTreeSet<&'static str> {
    // Keys that occur nowhere else on a screen.
    let acts: Vec<&Action> = Action::ALL.iter().filter(|action| action.acts()).collect();
    let named: Vec<String> = (2..2 + acts.len()).map(|number| format!("f{number}")).collect();
    let word = |text| Word { text, line: 1 };
    let words: Vec<NamedWords<'_>> =
        acts.iter().zip(&named).map(|(action, key)| (word(action.word()), vec![word(key)])).collect();
    let (keys, wrong) = Keys::with(&words, |_| None);
    assert_eq!(wrong, []);
    let mut found = BTreeSet::new();
    let sizes = [(80, 24), (120, 40), (200, 60)];
    let views = VIEWS.iter().chain(["?", "? G", ": \"cancel\""].iter());
    for (keys_of_view, (width, height)) in views.flat_map(|view| sizes.map(|size| (*view, size))) {
        let mut console = if is_empty {
            Console::empty(width, height)
        } else {
            let info = Info { read_only, ..super::info() };
            Console::with(width, height, info, Theme::load("dark", Depth::None, false))
        };
        console.model.context.info.read_only = read_only;
        console.model.context.preferences.keys = keys.clone();
        console.press(keys_of_view).wait(5.0);
        let screen = console.screen();
        let tokens: BTreeSet<&str> = screen.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let seen = acts.iter().zip(&named).filter(|(_, key)| tokens.contains(key.as_str()));
        for (action, key) in seen {
            assert!(!read_only, "{keys_of_view} offers {} ({key})\n{screen}", action.word());
            found.insert(action.word());
        }
    }
    found
}

/// A hint at a key that does nothing but refuse costs time when there is none.
#[test]
fn a_read_only_console_offers_no_act() {
    assert_eq!(offered(true, false), BTreeSet::new());
    assert_eq!(offered(true, true), BTreeSet::new());
    // The same views offer every act where it can be done, so that this test would see it.
    let acts: BTreeSet<&str> =
        Action::ALL.iter().filter(|action| action.acts()).map(|action| action.word()).collect();
    assert_eq!(offered(false, false), acts);
    assert!(offered(false, true).contains("new-task"));
    let info = Info { read_only: true, ..super::info() };
    let mut console = Console::with(160, 100, info, Theme::load("dark", Depth::None, false));
    let help = console.press("?").screen();
    assert!(help.contains("changed here: this console was started"), "it says why\n{help}");
}
