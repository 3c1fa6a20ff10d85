//! Keys, columns and saved views of a person's own, on the screen.

use std::sync::Arc;

use quarterdeck::tui::cmd::Cmd;
use quarterdeck::tui::keys::Keys;
use quarterdeck::tui::msg::Msg;
use quarterdeck::tui::preferences::{Change, Columns, Preferences};
use quarterdeck::tui::preferences_file::{self, WrittenView, views};
use quarterdeck::tui::saved_view::SavedView;
use quarterdeck::tui::written::{FileError, NamedWords, Word};

use super::Console;

fn word(text: &str) -> Word<'_> {
    Word { text, line: 1 }
}

/// `cancel k, up up`, as a file has it.
fn wishes(text: &str) -> Vec<NamedWords<'_>> {
    text.split(", ")
        .map(|line| {
            let mut words = line.split(' ').map(word);
            (words.next().unwrap(), words.collect())
        })
        .collect()
}

fn right<T>((got, wrong): (T, Vec<FileError>)) -> T {
    assert_eq!(wrong, []);
    got
}

fn stuck() -> WrittenView<'static> {
    WrittenView {
        name: word("stuck"),
        of: word("tasks"),
        filter: Some("is=live"),
        sort: Some(word("age")),
        descending: Some(true),
        columns: Some(["state", "age", "job"].map(word).to_vec()),
        faults: false,
    }
}

fn console(width: u16, height: u16, keys: &str, columns: &str) -> Console {
    let mut console = Console::new(width, height);
    let keys = if keys.is_empty() { Keys::default() } else { right(preferences_file::keys(&wishes(keys))) };
    let columns = if columns.is_empty() {
        Columns::default()
    } else {
        right(preferences_file::columns(&wishes(columns)))
    };
    console.press("1");
    console.model.context.preferences =
        Preferences { keys, columns, views: right(views(&[stuck()], &[], false)) };
    console
}

/// The heads of the first table on the screen.
fn heads(console: &mut Console) -> String {
    let screen = console.screen();
    let line = screen.lines().nth(2).unwrap_or_default();
    line.trim_matches(['│', ' ']).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn rebound_keys_are_shown_and_work() {
    let mut console = console(120, 40, "cancel k, up up, help f2, new-task alt-n, leave ctrl-q", "");
    console.press("2 / \"88213\" enter k");
    assert!(console.screen().contains("cancel"), "{}", console.screen());
    console.wait(0.3).press("y");
    assert!(matches!(console.asked.as_slice(), [Cmd::Submit(..)]), "{:?}", console.asked);
    // What it was bound to before means nothing now.
    console.wait(5.0).press("esc x");
    assert!(
        console.last_line().contains("x means nothing here; f2 shows every key"),
        "{}",
        console.last_line()
    );
    console.wait(5.0);
    let bar = console.last_line();
    assert!(bar.contains("alt-n new") && bar.contains("k cancel") && bar.contains("f2 help"), "{bar}");
    console.press("alt-n");
    assert!(console.last_line().contains("f2 help"), "{}", console.last_line());
    // While something is typed, the new key of help helps, and the old ones are text or nothing.
    console.press("f2");
    let help = console.screen();
    assert!(help.contains("alt-n e a r k o act"), "{help}");
    console.press("esc esc : \"canc\"");
    let palette = console.screen();
    assert!(palette.lines().any(|line| line.contains("cancel") && line.contains(" k ")), "{palette}");
    console.press("ctrl-c");
    assert!(!console.asked.iter().any(|cmd| matches!(cmd, Cmd::Quit)));
    console.press("ctrl-q ctrl-q");
    assert!(console.asked.iter().any(|cmd| matches!(cmd, Cmd::Quit)));
}

#[test]
fn no_hint_names_a_key_that_was_rebound() {
    let console =
        || console(120, 40, "again f6, answer f7, check-now f8, cancel f9, edit-copy f10, undo f11", "");
    for keys in ["2 / \"88190\"", "3", "4", "2 enter", "1", "?"] {
        let mut console = console();
        let screen = console.press(keys).screen();
        for hint in ["r: send", "a: answer", "ctrl-r: ask", "a opens the answer", "ctrl-r asks", "e: send"] {
            assert!(!screen.contains(hint), "{keys}: {hint}\n{screen}");
        }
    }
    let mut console = console();
    console.press("2 / \"88190\" enter");
    assert!(console.screen().contains("f6: send it again"), "{}", console.screen());
}

#[test]
fn columns_are_shown_as_chosen_and_in_that_order() {
    let mut console = console(120, 40, "", "fleet state agent url, tasks state job");
    assert!(heads(&mut console).starts_with("STATE↑ AGENT URL"), "{}", heads(&mut console));
    console.press("2");
    assert!(heads(&mut console).starts_with("STATE JOB"), "{}", heads(&mut console));
    // Wide shows the others behind them.
    console.press("w");
    assert_eq!(heads(&mut console).split(' ').take(4).collect::<Vec<_>>(), ["STATE", "JOB", "TASK", "AGENT"]);
    // Where there is no room, the order stays and the least goes.
    let mut narrow = self::console(40, 12, "", "tasks from state job");
    narrow.press("2");
    assert_eq!(heads(&mut narrow), "STATE JOB");
    // What is copied is what is seen.
    console.press("w y t");
    let copied = console.asked.iter().find_map(|cmd| match cmd {
        Cmd::Copy(text) => {
            text.lines().next().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        }
        _ => None,
    });
    assert_eq!(copied.as_deref(), Some("STATE JOB"));
}

#[test]
fn a_saved_view_is_opened_as_it_was_saved() {
    let mut console = console(120, 40, "", "");
    console.press(": \"stuck\" enter");
    let screen = console.screen();
    assert!(screen.contains("┌ tasks › stuck") && screen.contains("filter is=live"), "{screen}");
    assert_eq!(heads(&mut console), "STATE AGE↓ JOB");
    // The oldest first, as the arrow says.
    let rows: Vec<&str> = screen.lines().skip(3).take_while(|line| !line.contains('├')).collect();
    assert!(rows.first().is_some_and(|row| row.contains("3m") || row.contains("4m")), "{screen}");
    // `esc` takes away what was added, not what was saved, then goes back.
    console.press("/ backspace backspace \"ed\" enter esc");
    assert!(console.screen().contains("filter is=live"), "{}", console.screen());
    console.press("esc");
    assert!(console.screen().contains("┌ fleet"), "{}", console.screen());
    // The list of all tasks is another one.
    console.press(": \"stuck\" enter 2");
    assert!(console.screen().contains("┌ tasks ─"), "{}", console.screen());
    console.press("v end enter");
    assert!(console.screen().contains("┌ tasks › stuck"), "{}", console.screen());
}

#[test]
fn the_menu_of_views_saves_and_deletes() {
    let mut console = console(120, 40, "", "");
    console.press("2 / \"agent=cashier-1\" enter z A v");
    let menu = console.screen();
    assert!(menu.contains("stuck") && menu.contains("tasks · is=live · configuration"), "{menu}");
    // What stands in the configuration is deleted there.
    console.press("end x");
    assert!(console.screen().contains("it is defined in the configuration"), "{}", console.screen());
    console.press("ctrl-s \"stuck\" enter");
    assert!(console.last_line().contains("save this view as: stuck"), "{}", console.last_line());
    assert!(console.asked.is_empty(), "{:?}", console.asked);
    console.press("ctrl-u \"2x\" enter ctrl-u \"mine\" enter");
    let Some(Cmd::Views(Change::Keep(kept))) = console.asked.pop() else { panic!("{:?}", console.asked) };
    assert_eq!(
        (kept.name.as_str(), kept.summary().as_str()),
        ("mine", "tasks · agent=cashier-1 · faults only")
    );
    assert_eq!((kept.sort().as_str(), kept.descending(), kept.columns()), ("agent", false, None));
    let saved = |console: &Console, kept: &[Arc<SavedView>]| -> Vec<Arc<SavedView>> {
        let of_file = console.model.context.preferences.views.iter().filter(|view| !view.kept).cloned();
        of_file.chain(kept.iter().cloned()).collect()
    };
    let all = saved(&console, std::slice::from_ref(&kept));
    console.send([Msg::Views(Change::Keep(kept.clone()), Ok(all))]);
    assert!(console.screen().contains("┌ tasks › mine"), "{}", console.screen());
    console.press("1 : \"mine\" enter");
    assert!(console.screen().contains("┌ tasks › mine"), "{}", console.screen());
    // Once is not enough, and what it cannot do it says.
    console.press("v end x");
    assert!(console.screen().contains("x again deletes mine") && console.asked.is_empty());
    console.press("x");
    assert!(matches!(console.asked.pop(), Some(Cmd::Views(Change::Forget(name))) if name == "mine"));
    console.send([Msg::Views(Change::Forget("mine".into()), Err("views.toml: no room".into()))]);
    assert!(console.last_line().contains("not done: views.toml: no room"), "{}", console.last_line());
    let all = saved(&console, &[]);
    console.send([Msg::Views(Change::Forget("mine".into()), Ok(all))]);
    assert!(console.screen().contains("┌ tasks ─"), "{}", console.screen());
}

#[test]
fn the_rows_of_a_saved_queue_are_counted() {
    let mut console = console(120, 40, "", "");
    console.press("9 / \"is=waiting\" enter v ctrl-s \"waits\" enter");
    let Some(Cmd::Views(Change::Keep(kept))) = console.asked.pop() else { panic!("{:?}", console.asked) };
    console.send([Msg::Views(Change::Keep(kept.clone()), Ok(vec![kept]))]);
    let menu = console.press("v").screen();
    let row =
        menu.lines().find(|line| line.contains("queue · is=waiting")).unwrap_or_else(|| panic!("{menu}"));
    assert!(row.split_whitespace().collect::<Vec<_>>().join(" ").contains("waits 4 queue"), "{row}");
}

#[test]
fn the_tasks_of_an_agent_are_saved_as_a_filter() {
    let mut console = console(120, 40, "", "");
    console.press("/ \"cashier-1\" enter g n v ctrl-s \"its\" enter");
    let Some(Cmd::Views(Change::Keep(kept))) = console.asked.pop() else { panic!("{:?}", console.asked) };
    assert_eq!(kept.summary(), "tasks · agent=cashier-1");
    // A page is no list.
    console.press("2 enter v ctrl-s");
    assert!(console.screen().contains("only lists can be saved"), "{}", console.screen());
}

#[test]
fn the_menu_of_views_at_every_size() {
    let mut all = String::new();
    for (width, height) in [(40, 12), (80, 24), (120, 40), (200, 60)] {
        let mut console = console(width, height, "", "");
        console.press("2 v");
        all.push_str(&format!("── {width}x{height}\n{}\n", console.screen()));
    }
    insta::assert_snapshot!("screen-saved-views", all);
}
