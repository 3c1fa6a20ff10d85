//! Acts on all tasks of an agent, drills and batches in the console, also with wrong keys.

use quarterdeck::domain::fact::{AttemptFact, Fact, JobFact};
use quarterdeck::domain::intent::Intent;
use quarterdeck::domain::job::task::CancelMark;
use quarterdeck::domain::job::task::TaskState::{self, Completed, InputRequired};
use quarterdeck::tui::batch::News;
use quarterdeck::tui::cmd::Cmd;
use quarterdeck::tui::msg::Msg;

use super::Console;
use super::scene::Sent;

/// Every line that contains a text.
fn lines(console: &mut Console, text: &str) -> usize {
    console.screen().lines().filter(|line| line.contains(text)).count()
}

#[track_caller]
fn shows(console: &mut Console, texts: &[&str]) {
    let screen = console.screen();
    for text in texts {
        assert!(screen.contains(text), "{text} is missing:\n{screen}");
    }
}

#[test]
fn a_drill_is_read_and_for_real_only_after_its_name_was_typed() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let mut console = Console::new(width, height);
        console.press(": \"drill_cashier-2\" enter");
        shows(
            &mut console,
            &["drill › cashier-2", "if cashier-2 died now", "who is left", "nothing is done"],
        );
        console.press("j k G z");
        console.press("r \"cashier-1\" enter");
        shows(&mut console, &["type cashier-2"]);
        assert!(console.asked.iter().all(|cmd| !matches!(cmd, Cmd::Submit(..))), "{:?}", console.asked);
        console.press("esc");
        shows(&mut console, &["nothing is done"]);
        console.press("r \"cashier-2\" enter");
        let noted = |cmd: &Cmd| matches!(cmd, Cmd::Submit(Intent::Note { .. }, _));
        assert_eq!(console.asked.iter().filter(|cmd| noted(cmd)).count(), 1, "{:?}", console.asked);
        shows(&mut console, &["FOR REAL", "for real: dead for"]);
    }
    let mut console = Console::new(120, 40);
    console.press(": \"drill_cashir-2\" enter");
    shows(&mut console, &["no agent cashir-2; did you mean cashier-2?"]);
    console.press("1 o f");
    shows(&mut console, &["drill › "]);
}

#[test]
fn a_batch_is_looked_at_before_it_is_sent() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let mut console = Console::new(width, height);
        console.press(": \"batch_orders.jsonl\" enter");
        shows(
            &mut console,
            &[
                "batch orders.jsonl",
                "the same as a command",
                "quarterdeck --fleet prod-eu batch orders.jsonl",
            ],
        );
        console.press("enter");
        shows(&mut console, &["the file is still being read"]);
        let seen = |lines| Msg::Batch(News::Seen("orders.jsonl".into(), lines));
        console.send([seen(Err("no such file".into()))]);
        console.press("enter");
        shows(&mut console, &["orders.jsonl cannot be read: no such file"]);
        console.send([seen(Ok(500))]);
        console.press("\"skill:charge\" tab \"many\" enter");
        shows(&mut console, &["500 lines", "at once: write a number up to 1000"]);
        console.press("ctrl-u \"16\" enter");
        let run = console.asked.iter().find_map(|cmd| match cmd {
            Cmd::RunBatch(run) => Some(run.args.join(" ")),
            _ => None,
        });
        assert_eq!(run.as_deref(), Some("orders.jsonl --skill=charge --concurrency=16 --retries=0"));
        shows(&mut console, &["batch 0/500"]);
        console.send([Msg::Batch(News::Ended("batch orders.jsonl: 500 lines in 9s".into(), true))]);
        shows(&mut console, &["500 lines in 9s"]);
        assert_eq!(lines(&mut console, "batch 0/500"), 0);
    }
}

#[test]
fn all_tasks_of_an_agent_are_moved_by_its_number() {
    let mut console = Console::new(120, 40);
    console.press(": \"cashier-2\" enter r");
    console.wait(1.0);
    let screen = console.screen();
    assert!(
        screen.contains("tasks ┓") || screen.contains("task here") || screen.contains("1 task"),
        "{screen}"
    );
}

/// What happens while a card is open.
enum Happens {
    /// A task takes another state.
    Turns(usize, TaskState),
    /// A task delegates another one.
    Delegates(usize),
}

use Happens::{Delegates, Turns};

/// A task of cashier-1 that another one delegated.
fn delegates(console: &mut Console, by: Sent, title: &str) -> Sent {
    let key = console.scene.state.attempt_key(by.attempt).unwrap();
    let task = console.scene.state.attempt(key).unwrap().task.as_ref().unwrap().id.clone();
    let below = console.scene.job(254.0, console.cast.cashier, title, "cashier-1");
    console.scene.accepted(254.0, below);
    let title = title.into();
    let fact = JobFact::Explained { title, caller: None, skill: None, parent: Some(task) };
    console.scene.add_fact(254.0, Fact::Job(below.job, fact));
    below
}

/// A card about the five tasks of an agent, and what happens a second before keys are pressed: how many of the tasks are
/// acted on, and what the card says.
#[track_caller]
fn many(what: &str, card: &str, happens: &[Happens], keys: &str, acts: usize, says: &str) {
    let info = quarterdeck::tui::context::Info { protect: false, ..super::info() };
    let theme = quarterdeck::tui::theme::Theme::load("dark", quarterdeck::tui::theme::Depth::None, false);
    let mut console = Console::with(120, 40, info, theme);
    let agent = console.cast.cashier;
    // Two of its tasks run already.
    let sent: Vec<Sent> = (3..6)
        .map(|number| {
            let sent = console.scene.job(240.0, agent, &format!("charge order {number}"), "shop-web");
            console.scene.accepted(241.0, sent);
            sent
        })
        .collect();
    console.publish();
    console.press(": \"cashier-1\" enter");
    for key in card.split(' ') {
        console.press(key).wait(1.5);
    }
    for happens in happens {
        match happens {
            Turns(of, state) => console.scene.state(254.0, sent[*of], state.clone()),
            Delegates(of) => {
                delegates(&mut console, sent[*of], "post it");
            }
        }
        console.publish();
    }
    let before = console.screen();
    console.press(keys);
    let done = console.asked.iter().filter(|cmd| matches!(cmd, Cmd::SubmitOneOf(..))).count();
    let after = console.screen();
    assert_eq!(done, acts, "{what}:\n{before}\n{after}");
    assert!(before.contains(says) || after.contains(says), "{what}: {says}\n{before}\n{after}");
}

#[test]
fn a_card_about_many_does_what_was_read() {
    let ends = |of: std::ops::Range<usize>| of.map(|of| Turns(of, Completed)).collect::<Vec<_>>();
    many("nothing happens", "x", &[], "\"5\" enter", 5, "type 5 to do it");
    many("a task that still runs", "x", &[Turns(0, InputRequired)], "\"5\" enter", 5, "type 5 to do it");
    many("two end", "x", &ends(0..2), "\"5\" enter", 3, "2 have ended since, and are skipped.");
    many("the number of those that are left", "x", &ends(0..2), "\"3\" enter", 0, "type 5, the number of");
    let back = [Turns(0, Completed), Turns(0, TaskState::Working)];
    many("one that came back", "x", &back, "\"5\" enter", 4, "1 has changed since, and is skipped.");
    many(
        "one more is delegated",
        "x",
        &[Delegates(0)],
        "\"5\" enter",
        0,
        "1 more task was delegated. Look again",
    );
    many("a letter at once", "r", &ends(0..1), "o \"5\" enter", 4, "1 has ended since, and is skipped.");
    many("a choice stands", "r o", &ends(0..1), "\"5\" enter", 4, "1 has ended since, and is skipped.");
}

#[test]
fn a_cancel_card_says_what_becomes_of_each_delegated_task() {
    for ((width, height), listed) in [((40, 12), 0), ((80, 24), 3), ((120, 40), 3), ((200, 60), 3)] {
        let mut console = Console::new(width, height);
        let working = console.cast.working;
        let below = ["post it", "pay it", "print it"].map(|title| delegates(&mut console, working, title));
        console.scene.state(255.0, below[1], Completed);
        let mark = CancelMark::Refused;
        let refused = AttemptFact::CancelMoved { mark, cause: None, late: None };
        console.scene.add_fact(255.0, Fact::attempt(below[2].job, below[2].attempt, refused));
        console.publish();
        console.press("2 / \"88213\" enter x");
        let words = ["will be canceled", "already ended", "refused to cancel, is asked again"];
        let screen = console.screen();
        let lines = screen
            .lines()
            .filter(|line| line.contains("cashier-1") && words.iter().any(|one| line.contains(one)));
        assert_eq!(lines.count(), listed, "{screen}");
        if height > 12 {
            shows(&mut console, &["delegated: 1 refused before, 1 to be canceled, 1 ended"]);
            console.wait(0.3).press("d");
            shows(&mut console, &["delegated: 2 left alone, 1 ended"]);
        }
    }
}
