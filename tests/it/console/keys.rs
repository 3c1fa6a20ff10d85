//! What keys may do and may not: the promises of safety.

use quarterdeck::domain::fact::{AttemptFact, Fact, FleetFact};
use quarterdeck::domain::intent::Intent;
use quarterdeck::domain::job::task::TaskState;
use quarterdeck::tui::cmd::Cmd;
use quarterdeck::tui::keymap::Chord;
use quarterdeck::tui::msg::Msg;
use quarterdeck::tui::theme::{Depth, Theme};

use super::{Console, info};

/// What was wished for, in words.
fn wishes(console: &Console) -> Vec<String> {
    let wish = |cmd: &Cmd| match cmd {
        // Several at once are each one of so many.
        Cmd::SubmitOneOf(of, intents, words) => match intents.as_slice() {
            [Intent::Cancel { why, .. } | Intent::CancelWithDelegated { why, .. }] => {
                let why = why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
                Some(format!("1 of {of}: {words}{why}"))
            }
            other => Some(format!("{other:?}: {words}")),
        },
        Cmd::Submit(Intent::Cancel { why, .. } | Intent::CancelWithDelegated { why, .. }, words) => Some(
            format!("cancel: {words}{}", why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default()),
        ),
        Cmd::Submit(Intent::Resend { .. }, words) => Some(format!("resend: {words}")),
        Cmd::Submit(Intent::PresumeLost { .. }, words) => Some(format!("lost: {words}")),
        Cmd::Submit(Intent::Answer { parts, .. }, words) => {
            Some(format!("answer {} parts: {words}", parts.len()))
        }
        Cmd::Submit(Intent::Send(send), words) => Some(format!("send {} parts: {words}", send.parts.len())),
        Cmd::Submit(other, words) => Some(format!("{other:?}: {words}")),
        Cmd::Quit => Some("quit".into()),
        Cmd::Copy(text) => Some(format!("copy {}", text.lines().next().unwrap_or_default())),
        Cmd::Edit(text) => Some(format!("edit {text}")),
        _ => None,
    };
    console.asked.iter().filter_map(wish).collect()
}

/// Presses keys on a console of 120x40, a quarter of a second after each card is seen, and compares
/// what is wished for.
#[track_caller]
fn check(keys: &str, expected: &[&str]) {
    let mut console = Console::new(120, 40);
    for key in keys.split(' ') {
        console.press(key);
        console.wait(0.3);
    }
    assert_eq!(wishes(&console), expected, "{keys}\n{}", console.screen());
}

#[test]
fn letters_open_cards_and_cards_act() {
    // No letter acts by itself.
    for letter in ["n", "e", "a", "r", "x"] {
        check(&format!("2 / \"88213\" enter {letter}"), &[]);
        check(&format!("3 {letter} esc"), &[]);
    }
    check("2 / \"88213\" enter x y", &["cancel: cancel of d47f requested"]);
    check(
        "2 / \"88213\" enter x esc y y",
        &[
            "copy quarterdeck --fleet prod-eu task get -a http://10.0.0.1:9000/ d47f7a61-d2e3-1c24-0000-000000000000",
        ],
    );
    // What waits in the inbox can be answered by a command.
    check(
        "3 y a",
        &[
            "copy quarterdeck --fleet prod-eu send -a http://10.0.0.5:9000/ --task-id=ed09ed5f-eac1-bd33-0000-000000000000 --text='your answer'",
        ],
    );
    // "Leave it" is lit; the lit button is pressed by enter.
    check("2 / \"88213\" enter x enter", &[]);
    check("2 / \"88213\" enter x tab enter", &["cancel: cancel of d47f requested"]);
    check(
        "2 / \"88213\" enter x c",
        &[
            "copy quarterdeck --fleet prod-eu task cancel -a http://10.0.0.1:9000/ d47f7a61-d2e3-1c24-0000-000000000000",
        ],
    );
    // What does not fit opens nothing.
    check("2 / \"88201\" enter x y", &[]);
    check("2 / \"88190\" enter r y", &[]);
    check("2 / \"88190\" enter r 1 y", &["resend: the message is sent again"]);
    check("2 / \"88190\" enter r 2 y", &["lost: the message is presumed lost"]);
    check("3 a 1 y", &["answer 2 parts: ed09 answered"]);
    check("3 a y", &[]);
    check("3 a w \"no,_ask_mia\" ctrl-s", &["answer 1 parts: answered refund-desk"]);
    check("q y", &["quit"]);
    check("q q", &[]);
    check("q esc", &[]);
    check(": \"q\" enter", &["quit"]);
    check("ctrl-c ctrl-c", &["quit"]);
    check("ctrl-z x esc", &[]);
}

#[test]
fn a_message_is_written_and_sent() {
    check("n \"cashier-1\" tab \"do_it\" ctrl-s", &["send 1 parts: sent to cashier-1"]);
    check("2 n \"cashier-1\" tab \"do_it\" ctrl-s", &["send 1 parts: sent to cashier-1"]);
    check("2 n \"cashier-1\" tab \"do_it\" tab \"{}\" ctrl-s", &["send 2 parts: sent to cashier-1"]);
    check("2 n \"cashier-1\" tab \"do_it\" tab tab \"[1]\" ctrl-s", &[]);
    check("2 n \"cashier-1\" tab \"do_it\" ctrl-x", &["edit do it"]);
    // Closing keeps the draft, and it opens again with it.
    check("2 n \"cashier-1\" tab \"do_it\" esc n ctrl-s", &["send 1 parts: sent to cashier-1"]);
    // Every printable key is text in a field, also those that mean something elsewhere.
    check("2 n \"cashier-1\" tab \"1?:/qxny\" ctrl-x", &["edit 1?:/qxny"]);
}

#[test]
fn actions_in_production_require_a_number_and_a_reason() {
    let two = "2 / \"charge\" enter * x";
    check(&format!("{two} y"), &[]);
    check(&format!("{two} enter"), &[]);
    check(&format!("{two} \"2\" enter"), &[]);
    check(&format!("{two} \"3\" tab \"why\" enter"), &[]);
    let both = ["1 of 2: cancel of d47f requested (rules)", "1 of 2: cancel of 6a88 requested (rules)"];
    check(&format!("{two} \"2\" tab \"rules\" enter"), &both);
    let mut staging =
        Console::with(120, 40, quarterdeck::tui::context::Info { protect: false, ..info() }, mono());
    for key in format!("{two} \"2\" enter").split(' ') {
        staging.press(key).wait(0.3);
    }
    assert_eq!(wishes(&staging).len(), 2);
}

/// One task needs only `y`; its card takes a reason, and what takes work away from an agent in production wants one.
#[test]
fn reasons_are_typed_into_cards_and_prompts() {
    check("2 / \"88213\" enter x y", &["cancel: cancel of d47f requested"]);
    check("2 / \"88213\" enter x w \"rules\" enter y", &["cancel: cancel of d47f requested (rules)"]);
    check("2 / \"88213\" enter x w \"y\" esc", &[]);
    let mut console = Console::new(120, 40);
    for key in "1 o c enter".split(' ') {
        console.press(key).wait(0.3);
    }
    assert_eq!(wishes(&console), [""; 0], "a reason is missing");
    console.press("\"disk\" enter");
    let asked = console.asked.iter().find_map(|cmd| match cmd {
        Cmd::Submit(Intent::Service { why, .. }, _) => why.clone(),
        _ => None,
    });
    assert_eq!(asked, Some("disk".into()));
    // Elsewhere it may be left out.
    for (keys, expected) in [("1 o c", ""), ("1 o c enter", "none"), ("1 o c \"disk\" enter", "disk")] {
        let info = quarterdeck::tui::context::Info { protect: false, ..info() };
        let mut staging = Console::with(120, 40, info, mono());
        for key in keys.split(' ') {
            staging.press(key).wait(0.3);
        }
        let whys = staging.asked.iter().filter_map(|cmd| match cmd {
            Cmd::Submit(Intent::Service { why, .. }, _) => {
                Some(why.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string))
            }
            _ => None,
        });
        assert_eq!(whys.collect::<Vec<_>>().join(" "), expected, "{keys}");
    }
}

/// Every act on an agent shows what will happen, and the same as a command, before it is done.
#[test]
fn every_act_on_an_agent_opens_a_card() {
    for (keys, words, command) in [
        ("1 o c", "gets no new work", "drain http"),
        ("1 o d", "is being drained", "drain http"),
        ("1 o w 2", "gets no new work for 1 hour", "drain http"),
        ("1 o b o", "nothing is sent to it", "breaker http://10.0.0.3:9000/ open"),
        ("1 o b c", "everything is sent to it", "breaker http://10.0.0.3:9000/ close"),
    ] {
        for (protect, width) in [(true, 120), (false, 120), (false, 80)] {
            let info = quarterdeck::tui::context::Info { protect, ..info() };
            let mut console = Console::with(width, 24, info, mono());
            for key in keys.split(' ') {
                console.press(key).wait(0.3);
            }
            assert_eq!(wishes(&console), [""; 0], "{keys}");
            let screen = console.screen();
            for expected in [words, command, "┏", if protect { "PRODUCTION" } else { "why " }] {
                assert!(screen.contains(expected), "{keys} {width}: {expected}\n{screen}");
            }
        }
    }
}

fn mono() -> Theme {
    Theme::load("dark", Depth::None, false)
}

#[test]
fn a_card_ignores_keys_until_it_has_been_drawn() {
    let mut console = Console::new(120, 40);
    console.press("2 / \"88213\" enter");
    let key = |c| Msg::Key(Chord::char(c));
    // Typed ahead, before anything was drawn.
    console.send([key('x'), key('y')]);
    assert_eq!(wishes(&console), [""; 0]);
    // Seen, but only just.
    console.screen();
    console.wait(0.2).send([key('y')]);
    assert_eq!(wishes(&console), [""; 0]);
    // It may be held: only a press after a pause is meant for the card.
    console.wait(0.9).send([key('y')]);
    assert_eq!(wishes(&console).len(), 1);
}

#[test]
fn a_held_key_does_not_repeat_into_a_card() {
    let mut console = Console::new(120, 40);
    console.press("2 / \"88213\" enter x");
    for _ in 0..40 {
        console.wait(0.03).send([Msg::Key(Chord::char('y'))]);
        console.screen();
    }
    assert_eq!(wishes(&console), [""; 0]);
    // It was let go, and is pressed again.
    console.wait(0.9).send([Msg::Key(Chord::char('y'))]);
    assert_eq!(wishes(&console).len(), 1);
}

#[test]
fn a_card_asks_again_when_its_task_changes() {
    let mut console = Console::new(120, 40);
    console.press("2 / \"88213\" enter x").wait(0.5);
    let working = console.cast.working;
    console.scene.state(253.0, working, TaskState::InputRequired);
    console.publish();
    console.send([Msg::Key(Chord::char('y'))]);
    assert_eq!(wishes(&console), [""; 0], "it acts on what nobody has read");
    assert!(console.screen().contains("needs an answer now. Look again."), "{}", console.screen());
    console.wait(0.9).send([Msg::Key(Chord::char('y'))]);
    assert_eq!(wishes(&console).len(), 1);
}

/// What its key does is the same as when the card was read.
#[test]
fn a_card_does_not_ask_again_where_nothing_about_its_act_changed() {
    for (card, choice) in [("x", None), ("r", Some("1"))] {
        let mut console = Console::new(120, 40);
        console.press(&format!("2 / \"88213\" enter {card}")).wait(0.5);
        if let Some(choice) = choice {
            console.press(choice);
        }
        let working = console.cast.working;
        console.scene.state(253.0, working, TaskState::Submitted);
        console.publish();
        assert!(!console.screen().contains("Look again."), "{card}: {}", console.screen());
        console.send([Msg::Key(Chord::char('y'))]);
        assert_eq!(wishes(&console).len(), 1, "{card}: {}", console.screen());
    }
}

#[test]
fn no_action_is_taken_on_a_task_that_has_ended_meanwhile() {
    let mut console = Console::new(120, 40);
    console.press("2 / \"88213\" enter x").wait(0.5);
    let working = console.cast.working;
    console.scene.state(253.0, working, TaskState::Completed);
    console.publish();
    console.screen();
    console.wait(0.3).press("y");
    assert_eq!(wishes(&console), [""; 0]);
    assert!(console.screen().contains("nothing is left that it applies to"), "{}", console.screen());
}

#[test]
fn pasted_text_is_text() {
    let mut console = Console::new(120, 40);
    console.press("2");
    console.send([Msg::Paste("x\ny\n:q\n".into())]);
    assert_eq!(wishes(&console), [""; 0]);
    assert!(console.last_line().contains("pasted text is not used here"));
    console.press(":");
    console.send([Msg::Paste("q\n".into())]);
    assert_eq!(wishes(&console), [""; 0], "a pasted end of line runs nothing");
    console.press("esc 2 n \"cashier-1\" tab");
    console.send([Msg::Paste("one\ntwo \u{1b}[2J".into())]);
    console.press("ctrl-x");
    assert_eq!(
        wishes(&console),
        ["edit one\ntwo \u{fffd}[2J"].map(|text| text.replace('\u{fffd}', "")).to_vec()
    );
}

#[test]
fn read_only_mode_refuses_every_action() {
    let mut console =
        Console::with(120, 40, quarterdeck::tui::context::Info { read_only: true, ..info() }, mono());
    console.press("2 / \"88213\" enter");
    for letter in ["n", "e", "a", "r", "x"] {
        console.press(letter);
        assert!(console.model.overlays.is_empty(), "{letter}");
        assert!(console.last_line().contains("read-only"), "{}", console.last_line());
    }
    assert_eq!(wishes(&console), [""; 0]);
}

#[test]
fn each_press_of_esc_undoes_one_step() {
    let mut console = Console::new(120, 40);
    console.press("2 / \"88\" enter j space z");
    let title = |console: &mut Console| console.screen().lines().nth(1).unwrap_or_default().to_owned();
    let first = title(&mut console);
    assert!(
        first.contains("faults only") && first.contains("marked") && first.contains("filter 88"),
        "{first}"
    );
    let mut steps = Vec::new();
    for _ in 0..4 {
        console.press("esc");
        steps.push(title(&mut console));
    }
    assert!(!steps[0].contains("marked") && steps[0].contains("filter"), "{steps:#?}");
    assert!(!steps[1].contains("filter 88"), "{steps:#?}");
    assert!(steps[3].contains("now") || console.model.overlays.len() == 1, "{steps:#?}");
}

#[test]
fn a_held_screen_does_not_change_and_counts_updates() {
    let mut console = Console::new(120, 40);
    console.press("2 p");
    let before = console.screen();
    let body = |screen: &str| screen.lines().skip(1).take(30).collect::<Vec<_>>().join("\n");
    let ended = console.cast.ended;
    console.scene.add_fact(253.0, Fact::attempt(ended.job, ended.attempt, AttemptFact::Settled));
    console.wait(10.0).publish();
    let after = console.screen();
    assert_eq!(body(&before), body(&after));
    assert!(after.lines().next().unwrap().contains("HELD, 1 change behind"), "{after}");
    console.press("p");
    assert!(!console.screen().contains("HELD"));
}

#[test]
fn ids_names_and_links_can_be_followed() {
    let uncertain = Console::new(120, 40).cast.uncertain;
    for (typed, seen) in [
        ("p-2".to_owned(), "p-2 task-lost"),
        ("d47f".into(), "tasks › d47f charge order 88213"),
        ("cashier-2".into(), "fleet › cashier-2"),
        (uncertain.job.to_string(), "send order 88190"),
        (uncertain.attempt.to_string(), "send order 88190"),
    ] {
        let mut console = Console::new(120, 40);
        console.press(":");
        console.send([Msg::Paste(typed.clone())]);
        console.press("enter");
        assert!(console.screen().contains(seen), "{typed}\n{}", console.screen());
    }
    let mut console = Console::new(120, 40);
    console.press(": \"nowhere\" enter");
    assert!(console.last_line().contains("no command, agent, task, job or problem \"nowhere\""));
}

#[test]
fn every_fleet_has_its_agents_and_every_agent_its_page() {
    let mut console = Console::new(120, 40);
    let cashier = console.cast.cashier;
    let key = console.scene.state.agent_key(cashier).unwrap();
    assert_eq!(console.scene.state.agent(key).unwrap().name.raw(), "cashier-1");
    let asking = console.cast.asking;
    console.press("3 enter");
    assert!(console.screen().contains("refund order 88107"), "{asking:?}", asking = asking.job);
}

#[test]
fn the_mouse_selects_scrolls_and_opens_and_never_acts() {
    use quarterdeck::tui::msg::Mouse;
    let mut console = Console::new(120, 40);
    console.press("2");
    let row = |console: &mut Console, text: &str| {
        let screen = console.screen();
        let at = screen.lines().position(|line| line.contains(text)).expect("the row is on the screen");
        u16::try_from(at).unwrap()
    };
    let y = row(&mut console, "charge order 88201");
    console.send([Msg::Mouse(Mouse::Click, 30, y)]);
    assert!(console.screen().lines().nth(usize::from(y)).unwrap().contains('▌'));
    console.send([Msg::Mouse(Mouse::Click, 30, y)]);
    assert!(console.screen().contains("tasks › 64f3 charge order 88201"), "{}", console.screen());
    console.press("esc");
    console.send([Msg::Mouse(Mouse::Menu, 30, y)]);
    assert!(console.screen().contains("go to"));
    // Over a card the mouse does nothing.
    console.press("esc / \"88213\" enter x");
    let before = console.screen();
    for mouse in [Mouse::Click, Mouse::Menu, Mouse::Up, Mouse::Down] {
        console.send([Msg::Mouse(mouse, 60, 20)]);
    }
    assert_eq!(before, console.screen());
    console.press("esc esc 2");
    console.send([Msg::Mouse(Mouse::Down, 30, 10), Msg::Mouse(Mouse::Up, 30, 10)]);
    assert_eq!(wishes(&console), [""; 0]);
    // Outside of the list, and outside of the screen.
    for (x, y) in [(0, 0), (119, 39), (400, 400)] {
        console.send([Msg::Mouse(Mouse::Click, x, y)]);
    }
}

#[test]
fn a_key_that_repeats_after_the_delay_of_a_keyboard_is_still_held() {
    let mut console = Console::new(120, 40);
    console.press("2 / \"88213\" enter x");
    // Pressed at once and held: keyboards wait before they repeat.
    console.wait(0.1).send([Msg::Key(Chord::char('y'))]);
    console.wait(0.6).send([Msg::Key(Chord::char('y'))]);
    for _ in 0..20 {
        console.wait(0.03).send([Msg::Key(Chord::char('y'))]);
    }
    assert_eq!(wishes(&console), [""; 0]);
}

#[test]
fn an_answer_never_goes_to_another_question() {
    let mut console = Console::new(120, 40);
    console.press("3 a").wait(0.5);
    let asked = console.cast.asking;
    for (at, state) in [(253.0, TaskState::Working), (254.0, TaskState::InputRequired)] {
        console.scene.state(at, asked, state);
    }
    console.scene.says(254.0, asked, vec![quarterdeck::domain::job::message::Part::text("And 4,000 EUR?")]);
    console.wait(3.0).publish();
    console.screen();
    console.wait(0.9).press("1");
    console.wait(0.9).press("y");
    assert_eq!(wishes(&console), [""; 0], "{}", console.screen());
    assert!(console.screen().contains("its question has changed"), "{}", console.screen());
}

#[test]
fn a_dialog_left_for_help_does_not_come_back_elsewhere() {
    let mut console = Console::new(120, 40);
    console.press("2 / \"88213\" enter x").wait(0.5);
    console.press("f1 2 ? esc").wait(0.9);
    console.press("y y");
    assert!(wishes(&console).iter().all(|wish| wish.starts_with("copy")), "{:?}", wishes(&console));
    // A message that waited is kept as a draft.
    console.press("n \"cashier-1\" tab \"kept\" f1 2 n ctrl-x");
    assert!(wishes(&console).contains(&"edit kept".to_owned()), "{:?}", wishes(&console));
}

#[test]
fn every_key_is_safe_on_every_empty_view() {
    use quarterdeck::tui::actions::Action;
    for view in
        ["1", "2", "3", "4", "v w", "v m", "?", "1 enter", "1 enter i", "2 enter", "2 enter i", "2 enter tab"]
    {
        let empty = Console::empty(80, 24);
        let populated = Console::new(80, 24);
        for mut console in [empty, populated] {
            console.press(view);
            console.press("/ \"x\" enter");
            for key in Action::ALL.iter().flat_map(|action| action.keys()) {
                console.press(key);
                console.wait(0.9);
                while !console.model.overlays.is_empty() {
                    console.press("esc");
                }
            }
        }
    }
}

#[test]
fn a_name_that_was_typed_in_full_wins() {
    let mut console = Console::new(120, 40);
    // ledger-1 is down, and others are near to it.
    console.press("2 n \"ledger-1\" enter \"post_it\" ctrl-s").wait(0.9);
    console.press("ctrl-s");
    assert_eq!(wishes(&console), ["send 1 parts: sent to ledger-1"]);
}

#[test]
fn an_answer_that_may_have_arrived_is_not_sent_again_without_confirmation() {
    use quarterdeck::domain::job::Phase;
    use quarterdeck::tui::views::inbox::MAY_HAVE_ARRIVED;
    let mut console = Console::new(120, 40);
    let asking = console.cast.asking;
    let (message, _) = console.scene.story(asking.job);
    let answer = message.iter().find_map(|entry| match entry.fact.of_attempt() {
        Some((_, AttemptFact::MessageSeen { message, .. })) => Some(message.clone()),
        _ => None,
    });
    for phase in [Phase::Planned, Phase::Sending, Phase::Uncertain] {
        let fact = AttemptFact::AnswerMoved { message: answer.clone().unwrap(), phase, cause: None };
        console.scene.add_fact(253.0, Fact::attempt(asking.job, asking.attempt, fact));
    }
    console.wait(2.0).publish();
    console.press("3");
    assert!(console.screen().contains(MAY_HAVE_ARRIVED), "{}", console.screen());
    console.press("a");
    assert!(console.screen().contains("this is another"), "{}", console.screen());
    console.wait(0.9).press("w \"yes\" ctrl-s");
    assert_eq!(wishes(&console), [""; 0], "it is said first: {}", console.screen());
}

#[test]
fn a_long_question_can_be_read_in_the_inbox() {
    let mut console = Console::new(100, 24);
    let words: Vec<String> = (0..200).map(|n| format!("line {n} of a long question")).collect();
    let asking = console.cast.asking;
    console.scene.says(253.0, asking, vec![quarterdeck::domain::job::message::Part::text(words.join("\n"))]);
    console.wait(2.0).publish();
    console.press("2 3");
    assert!(console.screen().contains("line 199 of"), "{}", console.screen());
    console.press("tab home");
    assert!(!console.screen().contains("line 199 of"), "{}", console.screen());
    console.press("j j j j");
    assert!(console.screen().contains("line 3 of"), "{}", console.screen());
    console.press("esc j");
    assert_eq!(wishes(&console), [""; 0]);
}

/// From a problem to the source that it is about, and from there to the agents that it names.
#[test]
fn a_failing_source_is_found_from_its_problem() {
    let mut console = Console::new(120, 40);
    console.scene.add_fact(
        251.0,
        Fact::Fleet(FleetFact::ProblemRaised {
            number: 9,
            kind: quarterdeck::domain::problem::Kind::SourceFailing,
            agent: None,
            attempt: None,
            source: Some("platform".into()),
            text: "source platform cannot be read".into(),
            next: "look at it".into(),
        }),
    );
    console.publish();
    console.press("4 / \"platform\" enter enter");
    let screen = console.screen();
    assert!(screen.contains("┌ sources ─") && screen.contains("├ platform ─"), "{screen}");
    assert!(screen.contains("5, as last reported; they stay"), "{screen}");
    console.press("enter");
    let screen = console.screen();
    assert!(screen.contains("┌ fleet ─") && screen.contains("filter source=platform"), "{screen}");
    let mut empty = Console::empty(120, 40);
    empty.press("v s");
    assert!(empty.screen().contains("No source of agents is configured."), "{}", empty.screen());
}

/// The keys of a presentation are shown and do something only where somebody presents.
#[test]
fn a_presentation_is_advanced_only_where_there_is_one() {
    use quarterdeck::tui::caption::{Presenter, PresenterCommand};
    use quarterdeck::tui::context::Info;
    for presenter in [None, Some(Presenter::default())] {
        let mut console = super::Console::with(120, 120, Info { presenter, ..info() }, mono());
        console.press("?");
        let (help, presented) = (console.screen(), presenter.is_some());
        assert_eq!(help.contains("the next step of the story"), presented, "{help}");
        console.press("esc : \"beat\"");
        let palette = console.screen();
        assert_eq!(palette.contains("next-beat"), presented, "{palette}");
        console.press("esc . ,");
        let mut cues = Vec::new();
        for cmd in &console.asked {
            if let Cmd::Present(cue) = cmd {
                cues.push(*cue);
            }
        }
        assert_eq!(
            cues,
            if presented { vec![PresenterCommand::Next, PresenterCommand::Again] } else { Vec::new() }
        );
    }
}
