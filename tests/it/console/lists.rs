//! Rows of lists and panes: where the cursor is seen, what is told as one row, and what stands behind a row.

use quarterdeck::domain::agent::Health;
use quarterdeck::domain::fact::{Act, AgentFact, AttemptFact, Fact, FleetFact, JobFact};
use quarterdeck::domain::id::{AttemptId, JobId};
use quarterdeck::domain::job::Origin;
use quarterdeck::domain::job::task::{TaskState, Via};
use quarterdeck::domain::problem::Kind;
use quarterdeck::domain::time::PeerTime;
use quarterdeck::tui::keymap::Chord;
use quarterdeck::tui::msg::Msg;
use quarterdeck::tui::render::render;
use quarterdeck::tui::theme::{Depth, Role, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Console;
use super::scene::{Scene, at, three_in_the_morning};

/// The lines that are lit, without those of a card.
fn lit(console: &mut Console) -> Vec<u16> {
    console.screen();
    let (width, height) = console.model.context.size;
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    render(&console.model, &mut buffer);
    let accent = console.model.context.theme.style(Role::Accent).bg.unwrap();
    (1..height - 1).filter(|y| (0..width).any(|x| buffer[(x, *y)].bg == accent)).collect()
}

/// The row that keys mean is seen from the start, and nothing else looks like it.
#[test]
fn one_row_is_lit_in_every_list_before_and_after_a_key() {
    for (view, keys) in [
        ("now", "0"),
        ("fleet", "1"),
        ("tasks", "2"),
        ("inbox", "3"),
        ("problems", "4"),
        ("metrics", "7"),
        ("pulse", "v u"),
        ("wire", "v w"),
        ("sources", "v s"),
        ("changes", "c"),
    ] {
        let theme = Theme::load("dark", Depth::True, false);
        let mut console = Console::with(120, 40, super::info(), theme);
        console.press(keys);
        let first = lit(&mut console);
        assert_eq!(first.len(), 1, "{view} has one lit row\n{}", console.screen());
        console.press("j");
        let next = lit(&mut console);
        assert!(next.len() == 1 && next[0] > first[0], "{view} {first:?} {next:?}\n{}", console.screen());
    }
}

/// What one cause changed in many agents is one row, and `enter` shows each.
#[test]
fn cards_that_change_alike_are_one_row() {
    let mut console = Console::new(200, 60);
    let agents: Vec<_> = console.scene.state.agents().iter().map(|(_, agent)| agent.id).take(4).collect();
    for (seconds, agent) in (253..).zip(agents) {
        let words = format!("interfaces + JSONRPC 1.0 at http://10.0.1.{seconds}:9000/");
        console
            .scene
            .add_fact(f64::from(seconds), Fact::Agent(agent, AgentFact::CardChanged { words: words.into() }));
    }
    console.wait(10.0);
    console.publish();
    let told = "4 agents changed their cards: interfaces";
    console.press("c");
    let screen = console.screen();
    assert!(screen.contains(told) && !screen.contains("10.0.1."), "{screen}");
    console.press("/ \"bank-link\" enter");
    assert!(console.screen().contains(told), "found by the name of one\n{}", console.screen());
    console.press("enter");
    let screen = console.screen();
    assert!(screen.contains(told) && screen.matches("10.0.1.").count() == 4, "{screen}");
    console.press("0 tab tab");
    assert!(console.screen().contains(told), "{}", console.screen());
    console.press("g");
    console.press("esc");
    assert!(!console.screen().contains("10.0.1."), "{}", console.screen());
}

/// The tasks that wait for the task that asks, and those of its context, are named below the question.
#[test]
fn who_waits_behind_a_question_is_shown_if_it_is_known() {
    let behind = |console: &mut Console| {
        let screen = console.press("3").screen();
        let lines = screen.lines().skip_while(|line| !line.contains("who waits behind it"));
        lines
            .skip(1)
            .take_while(|line| !line.starts_with('├') && !line.starts_with('└'))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(behind(&mut Console::new(120, 40)), Vec::<String>::new(), "nothing is invented");
    let (mut scene, cast) = three_in_the_morning();
    let parent = task_of(&scene, cast.working);
    // The job that asks was delegated by the task that works.
    let (title, caller) = ("refund order 88107".into(), Some("cashier-1".into()));
    scene.add_fact(
        252.5,
        Fact::Job(cast.asking.job, JobFact::Explained { title, caller, skill: None, parent }),
    );
    let mut console = Console::new(120, 40);
    console.scene = scene;
    console.wait(1.0);
    console.publish();
    let lines = behind(&mut console);
    assert_eq!(lines.len(), 1, "{lines:?}\n{}", console.screen());
    for words in ["working", "cashier-1", "delegated it", "charge order 88213"] {
        assert!(lines[0].contains(words), "{words} in {lines:?}");
    }
}

fn task_of(scene: &Scene, sent: super::scene::Sent) -> Option<quarterdeck::domain::id::TaskId> {
    let mut attempts = scene.state.attempts().iter();
    let (_, attempt) = attempts.find(|(_, attempt)| attempt.id == sent.attempt)?;
    attempt.task.as_ref().map(|task| task.id.clone())
}

/// What was answered is seen whether or not something else waits.
#[test]
fn an_empty_inbox_shows_the_last_answers() {
    let mut console = Console::empty(100, 30);
    let (mut scene, cast) = three_in_the_morning();
    let act = Act::Answer;
    let (attempt, agent) = ((cast.ended.job, cast.ended.attempt), cast.cashier);
    scene.add_fact_by(251.0, Some("mia"), Fact::Fleet(FleetFact::Acted { act, attempt, agent }));
    // Only the journal knows the answer; the fleet itself is one in which nothing waits.
    console.scene.facts = scene.facts;
    console.send([Msg::Key(Chord::char('3'))]);
    let screen = console.screen();
    assert!(screen.contains("Nothing needs you") && screen.contains("answered by mia"), "{screen}");
}

/// A frame leads to its task, if it is about one that is known.
#[test]
fn a_frame_leads_to_its_task() {
    let mut console = Console::new(120, 40);
    let sent = console.scene.job(240.0, console.cast.cashier, "seen on the wire", "shop-web");
    let seen = AttemptFact::TaskSeen {
        task: "2fbf-7".into(),
        context: None,
        state: TaskState::Working,
        peer_time: None,
        via: Via::Send,
        raw: None,
    };
    console.scene.add_fact(240.5, Fact::attempt(sent.job, sent.attempt, seen));
    console.publish();
    // The newest frames are of agents that do not know the task.
    console.press("v w g t esc");
    assert!(console.screen().contains("the last 5 frames"), "{}", console.screen());
    console.press("j j g t");
    let screen = console.screen();
    assert!(screen.contains("seen on the wire") && !screen.contains("the last 5 frames"), "{screen}");
}

/// A problem that comes in while somebody looks at another is not the one that the next key means.
#[test]
fn a_key_means_the_row_that_was_seen() {
    for (view, keys, stays) in [
        // Nobody has pressed a key: the worst is on top.
        ("4", "", false),
        ("4", "d d", true),
        ("4", "tab tab", true),
        ("0", "tab", false),
        ("0", "tab y esc", true),
        ("0", "j", false),
        ("0", "j y esc", true),
        // Back at the top, what comes in is followed again.
        ("4", "d d g g", false),
    ] {
        let mut console = Console::new(120, 40);
        console.press(view);
        if !keys.is_empty() {
            console.press(keys);
        }
        let target = |console: &Console| {
            let problem = console.model.view.screen().target(&console.model.context).problem;
            problem.map(|key| console.model.context.snapshot.problems.get(key).unwrap().number)
        };
        let before = target(&console);
        let agent = console.cast.cashier;
        console.scene.problem(1.0, 7, Kind::AgentDown, Some(agent), None, "is down: it is worse");
        console.wait(1.0);
        console.publish();
        let after = target(&console);
        assert_eq!(after == before, stays, "{view} {keys}: {before:?} {after:?}\n{}", console.screen());
    }
    // A change that came in above does not move the row that is meant.
    let mut console = Console::new(120, 40);
    console.press("c d");
    let agent = |console: &Console| console.model.view.screen().target(&console.model.context).agent;
    let before = agent(&console);
    let changed = AgentFact::CardChanged { words: "version 1 → 2".into() };
    console.scene.add_fact(252.5, Fact::Agent(console.cast.cashier, changed));
    console.wait(1.0);
    console.publish();
    assert!(console.screen().contains("version 1 → 2"), "{}", console.screen());
    assert!(before.is_some() && agent(&console) == before, "{}", console.screen());
}

/// An agent that answers every call and fails its tasks has trouble, and so has one with an open problem.
#[test]
fn the_fleet_with_trouble_has_agents_that_fail_their_tasks() {
    let mut console = Console::new(120, 40);
    let failing =
        console.model.context.snapshot.agents.iter().find(|(_, agent)| agent.name.raw() == "cashier-2");
    let failing = failing.map(|(_, agent)| agent.id).unwrap();
    let shown = |console: &mut Console| -> String {
        console.screen().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    console.press("1 z");
    assert!(shown(&mut console).contains("cashier-2 degraded"), "{}", console.screen());
    let up = AgentFact::HealthChanged { health: Health::Up, cause: None, last_seen: at(253.0) };
    console.scene.add_fact(253.0, Fact::Agent(failing, up));
    console.wait(10.0);
    console.publish();
    let words = shown(&mut console);
    assert!(words.contains("cashier-2 up"), "8 of its tasks failed in the window\n{}", console.screen());
    assert!(!words.contains("cashier-1 up"), "{}", console.screen());
}

/// A task that was found an hour after its states began is told by its agent's times, and the finding as one line of it.
#[test]
fn the_timeline_of_a_found_task_has_the_times_of_its_agent() {
    let mut console = Console::new(120, 40);
    let agent = console.cast.cashier;
    let (job, attempt) = (JobId(console.scene.uuid()), AttemptId(console.scene.uuid()));
    let by_agent = |seconds: f64| Some(PeerTime::from_micros(at(seconds).micros()));
    let opened = JobFact::Opened {
        origin: Origin::Found,
        title: "found late".into(),
        caller: None,
        skill: None,
        context: None,
        parent: None,
        message: None,
        plan: None,
    };
    let seen = AttemptFact::TaskSeen {
        task: "f-1".into(),
        context: None,
        state: TaskState::Working,
        peer_time: by_agent(100.0),
        via: Via::List,
        raw: None,
    };
    let ended = AttemptFact::StateSeen {
        state: TaskState::Completed,
        context: None,
        peer_time: by_agent(242.0),
        via: Via::List,
        raw: None,
    };
    console.scene.add_fact(240.0, Fact::Job(job, opened));
    let planned = AttemptFact::Planned { agent, message_id: None };
    for (seconds, fact) in [(240.0, planned), (240.0, seen), (245.0, ended)] {
        console.scene.add_fact(seconds, Fact::attempt(job, attempt, fact));
    }
    console.publish();
    let screen = console.press("2 / \"found_late\" enter enter").screen();
    let lines: Vec<&str> = screen.lines().collect();
    let line = |words: &str| {
        let place = lines.iter().position(|line| line.contains(words));
        place.unwrap_or_else(|| panic!("{words} in\n{screen}"))
    };
    let (began, working, found, end) = (
        line("attempt 1 "),
        line("accepted as a task, seen in"),
        line("found; its sender"),
        line("by ListTasks"),
    );
    assert!(began < working && working < found && found < end, "{screen}");
    for (place, time) in
        [(working, "03:01:40.000"), (found, "03:04:00.000"), (end, "02.000   +2.0s  ✓ completed")]
    {
        assert!(lines[place].contains(time), "{time} in {}\n{screen}", lines[place]);
    }
    assert!(screen.contains("✓ completed in 2m22s"), "{screen}");
}
