//! Acts on all tasks of an agent, drills and batches in the console, also with wrong keys.

use quarterdeck::domain::intent::Intent;
use quarterdeck::tui::batch::News;
use quarterdeck::tui::cmd::Cmd;
use quarterdeck::tui::msg::Msg;

use super::Console;

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
