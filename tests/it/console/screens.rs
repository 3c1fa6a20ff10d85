//! Every screen at four sizes, as it is drawn.

use quarterdeck::domain::audit::page::{AuditFilter, AuditPage, Verification};
use quarterdeck::domain::id::AgentKey;
use quarterdeck::domain::job::task::TaskState;
use quarterdeck::net::tap::{Fault, Frame, Kind, Label, Method};
use quarterdeck::tui::cmd::Cmd;
use quarterdeck::tui::msg::Msg;
use quarterdeck::tui::queries::ViewAnswer;
use quarterdeck::tui::theme::{Depth, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Console;
use super::scene::{Scene, at};

const SIZES: [(u16, u16); 4] = [(40, 12), (80, 24), (120, 40), (200, 60)];

/// A few frames of the wire, one of them hostile.
pub(super) fn frames(scene: &Scene, agent: Option<AgentKey>) -> Vec<(AgentKey, Frame)> {
    let keys: Vec<AgentKey> = scene.state.agents().iter().map(|(key, _)| key).collect();
    let frame = |number, kind, label, head: &str, text: &str| Frame {
        number,
        at: at(200.0 + number as f64 / 7.0),
        call: number / 4,
        method: if number < 4 { Method::SendStreaming } else { Method::Get },
        task: Some("2fbf-7".into()),
        kind,
        label,
        head: head.into(),
        text: text.into(),
        bytes: text.len(),
    };
    let fault = Fault { code: None, text: "it refuses the connection".into(), expected: false };
    let refused = Label::Failed(Box::new(fault));
    let all = [
        (
            0,
            frame(
                1,
                Kind::Request,
                Label::Plain,
                "POST http://10.0.0.1:9000/",
                "content-type: application/json\nauthorization: [removed]\n\n{\"jsonrpc\":\"2.0\",\"method\":\"SendStreamingMessage\"}",
            ),
        ),
        (
            0,
            frame(
                2,
                Kind::Response,
                Label::Stream,
                "200 in 12 ms, streaming",
                "content-type: text/event-stream\n\n",
            ),
        ),
        (
            0,
            frame(
                3,
                Kind::Event,
                Label::Status(TaskState::Working),
                "",
                "{\"result\":{\"statusUpdate\":{\"status\":{\"state\":\"TASK_STATE_WORKING\"}}}}",
            ),
        ),
        (7, frame(4, Kind::Event, Label::Plain, "", "{\"text\":\"\u{1b}[2J\u{9b}31m\u{202e}\"}")),
        (2, frame(5, Kind::End, refused, "it refuses the connection", "")),
    ];
    let of = all.into_iter().map(|(at, frame)| (keys[at], frame));
    of.filter(|(key, _)| agent.is_none_or(|agent| agent == *key)).collect()
}

/// Presses keys, and keeps what is seen then at every size.
fn check(name: &str, keys: &str) {
    let mut all = String::new();
    for (width, height) in SIZES {
        let mut console = Console::new(width, height);
        if !keys.is_empty() {
            console.press(keys);
        }
        // Messages go by themselves.
        console.wait(5.0);
        let screen = console.screen();
        assert_harmless(name, &screen);
        all.push_str(&format!("── {width}x{height}\n{screen}\n"));
    }
    insta::assert_snapshot!(format!("screen-{name}"), all);
}

fn assert_harmless(name: &str, screen: &str) {
    let bad =
        screen.chars().find(|c| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{202e}').contains(c));
    assert_eq!(bad, None, "{name}");
}

#[test]
fn every_screen_at_every_size() {
    for (name, keys) in [
        ("now", ""),
        ("now-problem", "tab tab"),
        ("metrics", "7"),
        ("metrics-skill", "7 tab w"),
        ("pulse", ": \"pulse\" enter"),
        ("time", "7 t"),
        ("fleet", "1"),
        ("fleet-wide-and-faults", "1 w z"),
        ("agent-card", "1 j j j enter"),
        ("agent-skills", "1 enter tab"),
        ("agent-tasks", "1 enter tab tab"),
        ("agent-happened", "1 enter tab tab tab"),
        ("agent-raw", "1 enter i"),
        ("tasks", "2"),
        ("tasks-marked", "2 j space j space"),
        ("task-working", "2 / \"88213\" enter enter"),
        ("task-output", "2 / \"88213\" enter enter tab"),
        ("task-canceled", "2 / \"88210\" enter enter"),
        ("task-raw", "2 / \"88213\" enter enter i"),
        ("inbox", "3"),
        ("problems", "4"),
        ("problems-evidence", "4 j tab tab j"),
        ("problems-log", "4 j tab tab tab"),
        ("traces", "5"),
        ("trace", "2 / \"88213\" enter enter g x"),
        ("trace-span", "2 / \"88213\" enter enter g x / \"post\" enter"),
        ("trace-logs", "2 / \"88213\" enter enter g x f"),
        ("logs", ": \"logs\" enter"),
        ("logs-around", ": \"logs\" enter / \"severity=error\" enter"),
        ("queue", "9"),
        ("task-queued", "9 enter"),
        ("routes", "v r"),
        ("routes-rule", "v r j enter"),
        ("routes-explain", ": \"explain_{\"type\":\"charge\",\"country\":\"DE\"}_charge_order_88222\" enter"),
        ("routes-why", "2 / \"88214\" enter enter g r"),
        ("wire", "v w"),
        ("wire-frame", "v w j enter"),
        ("messages", ": \"theme_pink\" enter v m"),
        ("audit", "v a"),
        ("audit-refused", "v a j j z"),
        ("sources", "v s"),
        ("candidates", "v c"),
        ("changes", "c"),
        ("drill", ": \"drill_cashier-2\" enter"),
        ("batch", ": \"batch_orders.jsonl\" enter"),
        ("card-agent", ": \"cashier-2\" enter r o"),
        ("raw", "v w enter"),
        ("help", "?"),
        ("palette", ": \"ta\""),
        ("go-to", "2 g"),
        ("copy", "2 y"),
        ("views", "v"),
        ("composer", "1 n"),
        (
            "composer-written",
            "2 n \"cashier-1\" tab \"Charge_this_basket_again.\" tab \"{\\\"order\\\":88213}\"",
        ),
        ("composer-wrong", "1 n tab \"x\" tab \"{no\" ctrl-s"),
        ("card-cancel", "2 / \"88213\" enter x"),
        ("card-bulk", "2 / \"charge\" enter * x"),
        ("card-retry", "2 / \"88210\" enter r"),
        ("card-move", "2 / \"88213\" enter r"),
        ("card-again", "2 / \"88190\" enter r"),
        ("card-answer", "3 a"),
        ("card-quit", "q"),
        ("nothing-passes", "2 / \"nowhere\" enter"),
    ] {
        check(name, keys);
    }
}

#[test]
fn a_fleet_that_is_being_opened_says_so() {
    use quarterdeck::tui::format::Clocks;
    let mut all = String::new();
    for (width, height) in SIZES.into_iter().chain([(10, 3)]) {
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        let theme = Theme::load("dark", Depth::None, false);
        quarterdeck::tui::opening::frame(&mut buffer, "prod-eu", &theme, &Clocks::new("UTC"));
        let rows = (0..height).map(|y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>());
        let rows: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
        all.push_str(&format!("── {width}x{height}\n{}\n", rows.join("\n")));
    }
    insta::assert_snapshot!("screen-opening", all);
}

#[test]
fn screens_are_drawn_in_ascii_too() {
    let mut console = Console::with(80, 24, super::info(), Theme::load("dark", Depth::None, true));
    for keys in [
        "0",
        "7",
        "t",
        "esc",
        ": \"pulse\" enter",
        "1",
        "2",
        "3",
        "4",
        "v a",
        "?",
        "esc",
        "n",
        "esc",
        "5",
        "enter",
        ": \"logs\" enter",
        "2",
        "enter",
    ] {
        console.press(keys);
        let screen = console.screen();
        assert!(screen.is_ascii(), "{keys}:\n{screen}");
    }
    insta::assert_snapshot!("screen-task-ascii", console.screen());
}

#[test]
fn any_size_is_drawn() {
    for width in [1, 7, 23, 24, 39, 40, 41, 63, 100, 300] {
        for height in [1, 2, 5, 6, 7, 11, 12, 13, 17, 30, 90] {
            for keys in [
                "1",
                "enter",
                "2",
                "2 enter",
                "3",
                "4",
                "4 tab tab j",
                "4 tab tab tab k",
                "?",
                "2 n",
                "2 x",
                "2 * x",
                ":",
                "/",
                "v",
                "v w d",
                "5",
                "5 enter",
                "5 enter tab",
                "v l",
                "v l / \"ledger\" enter",
                "v s",
            ] {
                let mut console = Console::new(width, height);
                console.press(keys);
                console.screen();
            }
        }
    }
}

/// The audit of the scene: what operators did in the half hour before.
pub(crate) fn audit(scene: &Scene, filter: &AuditFilter) -> AuditPage {
    use quarterdeck::domain::audit::page::AuditEntry;
    use quarterdeck::domain::audit::{ActOutcome, AuditRecord, AuditTarget, Hash, Surface};
    use quarterdeck::domain::fact::Owner;
    let agent = |name: &str| {
        let mut rows = scene.state.agents().iter().map(|(_, row)| row);
        rows.find(|row| row.name.raw() == name).map(|row| row.id)
    };
    let refused = |why: &str| ActOutcome::Refused(why.into());
    let acts = [
        (-1700.0, "sam", None, Surface::Console, "resume", "cashier-2", None, ActOutcome::Accepted),
        (
            -900.0,
            "mia",
            Some(1000),
            Surface::Cli,
            "cordon",
            "cashier-2",
            Some("2.4.1 fails on discounts"),
            ActOutcome::Accepted,
        ),
        (
            -400.0,
            "mia",
            None,
            Surface::Console,
            "cancel",
            "\"charge order 88210\" at cashier-1",
            None,
            refused("it has ended: completed"),
        ),
        (
            -60.0,
            "deploy-bot\u{1b}[2J",
            Some(1000),
            Surface::Socket,
            "drain",
            "cashier-2",
            None,
            refused("this fleet is protected, so give a reason"),
        ),
        (
            -30.0,
            "quarterdeck",
            None,
            Surface::Engine,
            "send",
            "\"charge order 88241\" to cashier-1",
            None,
            ActOutcome::Accepted,
        ),
        (
            -5.0,
            "mia",
            None,
            Surface::Console,
            "note",
            "p-1 cashier-2: rolled back, watch it",
            None,
            ActOutcome::Withdrawn,
        ),
    ];
    let entries =
        (1_u64..).zip(acts).map(|(number, (second, who, peer, surface, intent, words, why, outcome))| {
            AuditEntry {
                number,
                seq: number,
                hash: Hash([u8::try_from(number).unwrap(); 32]),
                record: AuditRecord {
                    at: at(super::scene::NOW + second),
                    owner: Owner::Fleet,
                    who: who.into(),
                    surface,
                    peer,
                    intent: intent.into(),
                    target: AuditTarget {
                        agent: agent(words),
                        words: words.into(),
                        ..AuditTarget::default()
                    },
                    why: why.map(Into::into),
                    bulk: if intent == "cancel" { 14 } else { 0 },
                    outcome,
                },
            }
        });
    let wanted = |entry: &AuditEntry| filter.since.is_none_or(|since| entry.record.at >= since);
    let mut entries: Vec<AuditEntry> = entries.filter(wanted).collect();
    entries.reverse();
    AuditPage { entries, next: None }
}

/// The chains hold.
pub(crate) fn verified() -> Verification {
    Verification { rows: 1204, owners: 317, seals: 60, ..Verification::default() }
}

/// An audit that does not hold says so, and where; `enter` opens what a record is about.
#[test]
fn a_broken_audit_is_shown_with_its_place() {
    use quarterdeck::domain::audit::page::Break;
    use quarterdeck::engine::{Answer, Query};
    let mut console = Console::new(120, 40);
    console.press("v a");
    assert!(console.screen().contains("holds, checked 03:04"), "{}", console.screen());
    let broken = Some(Break { owner: "job:0191".into(), seq: 3, what: "this row is missing".into() });
    let found = Box::new(Verification { broken, ..verified() });
    let query = Query::VerifyAudit { head: None };
    // ctrl-r verifies anew; here the answer is another one.
    let asked = quarterdeck::tui::update::update(
        &mut console.model,
        console.now,
        [Msg::Key(super::named("ctrl-r").unwrap())],
    );
    let generation = asked.iter().find_map(|cmd| match cmd {
        Cmd::Query(asked, generation) if *asked == query => Some(*generation),
        _ => None,
    });
    console.send([Msg::Answered(
        query.into(),
        generation.unwrap(),
        Ok(ViewAnswer::Engine(Answer::AuditVerified(found))),
    )]);
    let screen = console.screen();
    assert!(screen.contains("DOES NOT HOLD, checked 03:04"), "{screen}");
    assert!(screen.contains("BROKEN    job:0191 row 3: this row is missing"), "{screen}");
    console.press("/ \"cordon\" enter enter");
    assert!(
        console.screen().contains("fleet › cashier-2") || console.screen().contains("agent"),
        "{}",
        console.screen()
    );
}
