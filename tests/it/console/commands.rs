//! The command line, searches, text fields, and what is done at once and taken back.

use quarterdeck::domain::intent::Intent;
use quarterdeck::domain::problem::ProblemAct;
use quarterdeck::tui::cmd::Cmd;
use quarterdeck::tui::context::Info;
use quarterdeck::tui::theme::{Depth, Theme};

use super::{Console, info};

fn view(console: &Console) -> &'static str {
    console.model.view.screen().word()
}

#[test]
fn the_command_line_runs_what_is_meant() {
    for (typed, goes_to) in [
        // Views come before acts, and what begins as typed before what is only similar.
        ("pr", "problems"),
        ("p", "problems"),
        ("t", "tasks"),
        ("f", "fleet"),
        ("me", "metrics"),
        ("prblms", "problems"),
        // Words of the field and of other consoles.
        ("agents", "fleet"),
        ("agent", "fleet"),
        ("ag", "fleet"),
        ("po", "fleet"),
        ("task", "tasks"),
        ("jobs", "tasks"),
        ("problem", "problems"),
        ("alerts", "problems"),
        ("ev", "changes"),
        ("pulses", "pulse"),
        ("traffic", "wire"),
        ("top", "metrics"),
        ("home", "now"),
        // Names and ids.
        ("cashier-1", "agent"),
        ("cashier", "agent"),
        ("p-1", "problems"),
        ("d47f", "task"),
    ] {
        let mut console = Console::new(120, 40);
        console.press("6");
        console.press(&format!(": \"{typed}\" enter"));
        assert_eq!(view(&console), goes_to, "{typed}\n{}", console.screen());
    }
    // Acts open their card, their menu or their field.
    for (typed, shown) in [
        ("cancel", "asked to cancel it"),
        ("kill", "asked to cancel it"),
        ("breaker", "in or out of service"),
        ("note", "note on"),
        ("send", "new task"),
        ("ctx", "staging"),
        ("ns", "staging"),
        ("time", "compare with the hour before"),
        ("group", "group the fleet by"),
    ] {
        let mut console = Console::new(120, 40);
        console.press("2 / \"88213\" enter");
        console.press(&format!(": \"{typed}\" enter"));
        assert!(console.screen().contains(shown), "{typed}\n{}", console.screen());
    }
    let mut console = Console::new(120, 40);
    console.press(": \"ctx_staging\" enter : \"fleet_st\" enter");
    let switched = |cmd: &&Cmd| matches!(cmd, Cmd::Switch(fleet) if fleet == "staging");
    assert_eq!(console.asked.iter().filter(switched).count(), 2);
    // The arrows choose another row than the first.
    console.press(": \"me\" down enter");
    assert_eq!(view(&console), "messages");
    console.press(": \"theme\" enter \"li\" enter");
    assert!(console.model.overlays.is_empty());
}

#[test]
fn the_command_line_says_what_there_is() {
    for (typed, said) in [
        ("probelms", "no command, agent, task, job or problem \"probelms\"; nearest: problems"),
        ("cashier-3x", "nearest: cashier-"),
        ("zzzzzzzz", "no command, agent, task, job or problem \"zzzzzzzz\""),
        ("topology", "there is no topology; 1 the fleet"),
        ("fleet_nowhere", "no fleet nowhere; there are prod-eu, staging"),
    ] {
        let mut console = Console::new(120, 40);
        console.press(&format!(": \"{typed}\" enter"));
        assert!(console.last_line().contains(said), "{typed}: {}", console.last_line());
    }
    // Keys that only move are no commands.
    for typed in ["previous", "next", "back", "half", "left", "mark", "leave"] {
        let mut console = Console::new(120, 40);
        console.press(&format!(": \"{typed}\""));
        let screen = console.screen();
        for word in ["previous-match", "next-pane", "history-back", "half-page", "mark-all"] {
            assert!(!screen.contains(word), "{typed}\n{screen}");
        }
    }
    // An id is told before it is gone to.
    let mut console = Console::new(120, 40);
    console.press(": \"d47f\"");
    assert!(console.screen().contains("task: charge order 88213"), "{}", console.screen());
    console.press("esc : \"theme_\"");
    assert!(console.screen().contains("theme light"), "{}", console.screen());
}

#[test]
fn keys_of_other_consoles_say_what_to_use_instead() {
    let mut console = Console::new(120, 40);
    let before = console.model.context.messages.len();
    for (key, said) in [("6", "there is no topology; 1 the fleet"), ("8", "there are no workflows; 2 tasks")]
    {
        console.press(key);
        assert!(console.last_line().contains(said), "{key}: {}", console.last_line());
    }
    assert_eq!(console.model.context.messages.len(), before, "hints are no messages");
}

#[test]
fn every_view_is_searched_and_what_is_typed_never_runs_as_keys() {
    for keys in [
        "0",
        "1",
        "1 enter",
        "1 enter tab",
        "1 enter tab tab",
        "1 enter tab tab tab",
        "1 enter i",
        "2",
        "2 enter",
        "2 enter tab",
        "2 enter tab tab",
        "2 enter i",
        "3",
        "3 tab",
        "4",
        "4 tab",
        "4 tab tab",
        "4 tab tab tab",
        "7",
        "9",
        "v r",
        ": \"explain_charge_it\" enter",
        "v w",
        "v w enter",
        "v m",
        "v s",
        "v c",
        "c",
        "?",
        ": \"pulse\" enter",
    ] {
        let mut console = Console::new(120, 40);
        console.press(keys);
        let word = view(&console);
        console.press("/ \"xqworknzz\"");
        assert_eq!((view(&console), console.model.overlays.len()), (word, 1), "{keys}\n{}", console.screen());
        let screen = console.screen();
        assert!(
            screen.contains("nothing matches") || screen.contains("Nothing here passes") || word == "now",
            "{keys}\n{screen}"
        );
        console.press("enter esc");
        assert_eq!(view(&console), word, "{keys}: esc ends the search first");
        assert!(console.asked.iter().all(|cmd| !matches!(cmd, Cmd::Submit(..))), "{keys}");
    }
}

#[test]
fn the_story_of_a_task_is_searched() {
    let mut console = Console::new(120, 40);
    console.press("2 / \"88213\" enter enter / \"working\"");
    assert!(console.last_line().contains("match"), "{}", console.last_line());
    console.press("enter");
    let cursor = |console: &mut Console| {
        let screen = console.screen();
        let at = screen.lines().position(|line| line.starts_with("│▌"));
        (at, at.and_then(|at| screen.lines().nth(at)).unwrap_or_default().to_owned())
    };
    let (first, line) = cursor(&mut console);
    assert!(first.is_some() && line.contains("working"), "{line}");
    console.press("n");
    assert!(console.model.overlays.is_empty(), "n is the next match");
    assert!(cursor(&mut console).1.contains("working"));
    console.press("N");
    assert_eq!(cursor(&mut console).0, first);
    // The first esc ends the search; then n is a new task again.
    console.press("esc");
    assert_eq!(view(&console), "task");
    console.press("n");
    assert!(console.screen().contains("new task"), "{}", console.screen());
}

#[test]
fn a_filter_names_the_columns_that_there_are() {
    let mut console = Console::new(120, 40);
    console.press("2 / \"foo=bar\"");
    let said = "no column foo; there are agent, state, skill, from";
    assert!(console.last_line().contains(said), "{}", console.last_line());
    console.press("enter");
    assert!(console.last_line().contains(said), "{}", console.last_line());
    for (view, fine) in [("2", "!state=x"), ("1", "breaker=open"), ("4", "kind=agent"), ("0", "skill=x")] {
        let mut console = Console::new(120, 40);
        console.press(&format!("{view} / \"{fine}\" enter"));
        assert!(!console.last_line().contains("no column"), "{fine}: {}", console.last_line());
    }
}

/// The table of filter words is the one that the rows know: a column that rows have a value for is in it.
#[test]
fn every_column_of_a_filter_is_known_to_its_rows() {
    for keys in ["0", "1", "2", "3", "4", "7", "9", "v r", "v w", "c", ": \"pulse\" enter"] {
        let mut console = Console::new(200, 60);
        console.press(keys);
        let kind = console.model.view.screen().list().expect("a list").kind();
        let all = console.model.view.screen().list().map_or(0, |list| list.count());
        assert!(all > 0, "{keys}");
        let columns: Vec<String> = kind.columns().iter().map(|column| column.word()).collect();
        for column in columns.iter().filter(|column| !kind.filter_keys().contains(&column.as_str())) {
            console.press(&format!("/ ctrl-u \"{column}=\" enter"));
            let count = console.model.view.screen().list().map_or(0, |list| list.count());
            assert_eq!(count, 0, "{keys}: {column} is missing in the table");
        }
        for key in kind.filter_keys().iter().chain(&["nonsense"]) {
            // Not every row has every value, and a row of the scene may have none of a kind.
            let optional =
                ["owner", "provider", "region", "framework", "source", "note", "caller", "label", "version"];
            if optional.contains(key)
                || (*key == "skill" || *key == "agent" || *key == "from") && kind.word() != "tasks"
            {
                continue;
            }
            console.press(&format!("/ ctrl-u \"{key}=\" enter"));
            let count = console.model.view.screen().list().map_or(0, |list| list.count());
            assert_eq!(count > 0, *key != "nonsense", "{keys}: {key}");
        }
    }
}

#[test]
fn fields_edit_like_a_shell() {
    let edited = |keys: &str| {
        let mut console = Console::new(120, 40);
        console.press(&format!("2 n \"cashier-1\" tab {keys} ctrl-x"));
        match console.asked.last() {
            Some(Cmd::Edit(text)) => text.clone(),
            other => panic!("{keys}: {other:?}"),
        }
    };
    for (keys, text) in [
        ("\"hello_world\" ctrl-u", ""),
        ("\"hello_world\" ctrl-w \"x\"", "hello x"),
        ("\"hello_world\" ctrl-u ctrl-z", "hello world"),
        ("\"one\" enter \"two_three\" ctrl-u \"x\"", "one\nx"),
        ("\"hello_world\" alt-b ctrl-k \"all\" ctrl-a \"o_\"", "o hello all"),
    ] {
        assert_eq!(edited(keys), text, "{keys}");
    }
    let mut console = Console::new(120, 40);
    console.press("2 / \"charge_nothing\" alt-b alt-d \"88213\" enter");
    assert!(console.screen().contains("filter charge 88213"), "{}", console.screen());
    console.press(": \"nonsense\" ctrl-u \"inbox\" enter");
    assert_eq!(view(&console), "inbox");
}

/// Acts on problems and notes, with their messages.
fn acts(console: &Console) -> Vec<String> {
    let act = |cmd: &Cmd| match cmd {
        Cmd::Submit(Intent::OnProblem { number, act, .. }, words) => {
            let act = match act {
                ProblemAct::Take => "take",
                ProblemAct::GiveBack => "give back",
                ProblemAct::Mute { .. } => "mute",
                ProblemAct::Unmute => "unmute",
            };
            Some(format!("{act} p-{number}: {words}"))
        }
        Cmd::Submit(Intent::Note { text, .. }, words) => Some(format!("note {}: {words}", text.raw())),
        Cmd::Submit(Intent::TakeBackNote { text, .. }, words) => {
            Some(format!("no note {}: {words}", text.raw()))
        }
        _ => None,
    };
    console.asked.iter().filter_map(act).collect()
}

#[test]
fn take_note_mute_and_undo_act_at_once_and_are_taken_back() {
    let mut console = Console::new(120, 40);
    console.press("4");
    let number = console.model.view.screen().target(&console.model.context).problem;
    let problem = number.and_then(|key| console.model.context.latest.problems.get(key)).expect("a problem");
    let p = format!("p-{}", problem.number);
    console.press("a u u m \"known\" enter u b \"seen\" enter u u");
    let done = acts(&console);
    let kinds: Vec<&str> = done.iter().map(|act| act.split(&*p).next().unwrap_or_default().trim()).collect();
    assert_eq!(kinds[..5], ["take", "give back", "take", "mute", "unmute"], "{done:#?}");
    assert!(done[5].starts_with("note seen:") && done[6].starts_with("no note seen:"), "{done:#?}");
    for (act, words) in done.iter().zip([
        "is yours; u gives it back",
        "is given back; u takes it again",
        "is yours; u gives it back",
        "is muted for 2h; u unmutes it",
        "is no longer muted; u mutes it again",
        "for the handover; u takes it back",
        "your note \"seen\" is taken back; u notes it again",
        "noted \"seen\"; u takes it back",
    ]) {
        assert!(act.ends_with(words), "{act}");
    }
    // The object is named.
    assert!(done[0].starts_with(&format!("take {p}: {p} ")), "{}", done[0]);
}

/// On the first screen the problem that keys mean is marked, and named once it is taken.
#[test]
fn the_problem_that_is_taken_on_the_first_screen_is_the_marked_one() {
    let mut console = Console::new(120, 40);
    // The worst row has failed tasks of its own, which no problem explains; the problems are the next pane.
    console.press("tab");
    let screen = console.screen();
    let from = screen.lines().position(|line| line.contains("problems ─")).expect("the problems");
    let marked: Vec<&str> =
        screen.lines().skip(from + 2).take(4).filter(|line| line.starts_with("│▌")).collect();
    assert_eq!(marked.len(), 1, "{screen}");
    let name: String = marked[0].chars().skip(4).take(16).collect();
    console.press("a");
    let done = acts(&console);
    assert!(done[0].contains(name.trim()), "{} is not {name}", done[0]);
}

#[test]
fn leaving_is_asked_for_and_never_by_esc() {
    let mut console = Console::new(120, 40);
    console.press("esc esc");
    assert!(console.model.overlays.is_empty());
    assert!(console.last_line().contains("this is the first screen; :q quits"), "{}", console.last_line());
    console.wait(5.0).press("q");
    let card = console.screen();
    assert!(card.contains("y quit   esc stay") && !card.contains("leave"), "{card}");
    assert!(card.lines().last().is_some_and(|line| line.contains("esc stay")), "{card}");
    let presenter = Some(quarterdeck::tui::caption::Presenter::default());
    let theme = Theme::load("dark", Depth::None, false);
    let mut demo = Console::with(120, 40, Info { presenter, ..info() }, theme);
    demo.press("q");
    let card = demo.screen();
    assert!(
        card.contains("The demo fleet ends with this console") && !card.contains("continue at"),
        "{card}"
    );
}

#[test]
fn esc_leads_back_from_the_tasks_of_a_row() {
    let mut console = Console::new(120, 40);
    console.press("enter");
    assert_eq!(view(&console), "tasks");
    assert!(console.screen().contains("filter skill="), "{}", console.screen());
    // A filter on top of it is cleared first.
    console.press("/ \"_zzz\" enter esc");
    assert_eq!(view(&console), "tasks");
    console.press("esc");
    assert_eq!(view(&console), "now");
    // The list of all tasks is another one.
    console.press("enter 2");
    assert!(!console.screen().contains("filter skill="), "{}", console.screen());
}

#[test]
fn help_has_room_between_keys_and_words() {
    for width in [60, 80, 120, 200] {
        let mut console = Console::new(width, 250);
        let help = console.press("?").screen();
        for command in quarterdeck::tui::commands::ALL {
            let fits = |line: &str| {
                line.split_once(command.usage).is_some_and(|(_, rest)| {
                    rest.starts_with("  ") || rest.trim_matches(['│', ' ']).is_empty()
                })
            };
            assert!(help.lines().any(fits), "{width}: {}\n{help}", command.usage);
        }
        let beside = help.lines().nth(2).is_some_and(|line| line.trim_matches(['│', ' ']).contains("   "));
        assert_eq!(beside, width == 200, "{help}");
    }
}

#[test]
fn the_sorted_column_is_marked_however_narrow() {
    for keys in ["0 F", "0 F F", "1 w F", "7 D"] {
        let mut console = Console::new(200, 60);
        console.press(keys);
        let screen = console.screen();
        let marked = ["↓FAILED", "↑FAILED", "FAILED↓", "FAILED↑"];
        assert!(marked.iter().any(|head| screen.contains(head)), "{keys}\n{screen}");
    }
}

/// Whatever way one took, the end of the way back is the first screen.
#[test]
fn the_way_back_ends_at_the_first_screen() {
    for keys in ["4 : \"pulse\" enter 0 esc esc esc", "2 0 esc esc", "0 4 esc"] {
        let mut console = Console::new(120, 40);
        let screen = console.press(keys).screen();
        assert!(screen.lines().nth(1).is_some_and(|line| line.contains(" now ")), "{keys}: {screen}");
    }
}

/// A filter that is there is replaced by what is typed, and edited by everything else.
#[test]
fn what_is_typed_replaces_the_filter_before() {
    for (keys, shown) in [
        ("2 / \"charge\" enter / \"post\" enter", "filter post"),
        ("2 / \"charge\" enter / left right \"d\" enter", "filter charged"),
        ("2 / \"charge\" enter / backspace enter", "filter charg"),
        ("2 / \"charge\" enter / enter", "filter charge"),
    ] {
        let mut console = Console::new(120, 40);
        let screen = console.press(keys).screen();
        let line = screen.lines().nth(1).unwrap_or_default().to_owned();
        assert!(line.contains(&format!("{shown} ")), "{keys}: {line}");
    }
}
