//! One number means the same wherever it is shown: in the first line, in panes, in lists, in menus, and in the JSON of
//! the command line.

use quarterdeck::cli;
use quarterdeck::domain::job::Attempt;
use quarterdeck::domain::metrics::{Block, Dimension, Minute, MinuteRange};
use quarterdeck::domain::state::snapshot::Snapshot;
use serde_json::Value;

use super::Console;
use super::scene::Scene;

/// The number before the last such word in a line: `4` of `4 problems`.
fn before(screen: &str, line: usize, word: &str) -> Option<u32> {
    let line = screen.lines().nth(line)?;
    let until = line.rfind(&format!(" {word}"))?;
    line[..until].rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The sum of a column of a table whose head is on this line; a dot is nothing.
fn sum(screen: &str, head: usize, column: &str) -> u32 {
    let titles: Vec<char> = screen.lines().nth(head).unwrap_or_default().chars().collect();
    let title: Vec<char> = column.chars().collect();
    let at = titles.windows(title.len()).position(|part| part == title.as_slice());
    let end = at.unwrap_or_else(|| panic!("no column {column} in\n{screen}")) + title.len();
    let rows = screen.lines().skip(head + 1).take_while(|line| !line.starts_with('├'));
    let cell = |line: &str| {
        let cells: Vec<char> = line.chars().take(end).collect();
        let text: String = cells.into_iter().rev().take_while(|c| !c.is_whitespace()).collect();
        text.chars().rev().collect::<String>().parse::<u32>().ok()
    };
    rows.filter_map(cell).sum()
}

fn screen(keys: &str) -> String {
    let mut console = Console::new(200, 60);
    console.press(keys).screen()
}

/// The rows of a list in a document.
fn rows(document: &Value, of: &str) -> Vec<Value> {
    document[of].as_array().unwrap_or_else(|| panic!("no {of} in {document}")).clone()
}

fn number(value: &Value) -> u32 {
    value
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or_else(|| panic!("{value} is no number"))
}

/// Live tasks among those of `task list -o json`, from what it says of each.
fn live_of(document: &Value) -> u32 {
    let ended = ["COMPLETED", "FAILED", "CANCELED", "REJECTED"].map(|state| format!("TASK_STATE_{state}"));
    let ours = |task: &Value| task["metadata"]["quarterdeck"].clone();
    let tasks = rows(document, "tasks").into_iter().filter(|task| {
        let state = task["status"]["state"].as_str().unwrap_or_default();
        !ended.iter().any(|ended| ended == state) && ours(task)["verdict"] != "lost"
    });
    let going = ["planned", "sending", "accepted", "uncertain"];
    let without = rows(document, "attempts").into_iter();
    let without =
        without.filter(|attempt| going.contains(&attempt["attemptState"].as_str().unwrap_or_default()));
    u32::try_from(tasks.count() + without.count()).unwrap()
}

/// What the commands print as JSON about a fleet.
struct Documents {
    problems: Value,
    inbox: Value,
    agents: Value,
    tasks: Value,
    metrics: Value,
}

impl Documents {
    /// Metrics are of the window that ends now.
    fn of(scene: &Scene, snapshot: &Snapshot, minutes: u32) -> Self {
        let until = Minute::of(snapshot.at).after(1);
        let from = until.before(minutes);
        let all = |from: Minute, until: Minute| {
            let mut all = Block::default();
            let blocks = scene.metrics(MinuteRange { from, until, step: 1 });
            for (_, block) in &blocks {
                all.merge(block);
            }
            all
        };
        let before = 24 * 60;
        let (now, was) = (all(from, until), all(from.before(before), until.before(before)));
        let measured = cli::metrics::Measured { from, before, now, was, made_up: false };
        let attempts: Vec<&Attempt> = snapshot.attempts.iter().map(|(_, attempt)| attempt).collect();
        Self {
            problems: cli::problems::document(snapshot, None),
            inbox: cli::inbox::document(snapshot, None),
            agents: cli::agents::document(snapshot, &[]),
            tasks: cli::protocol_json::task_list(snapshot, &attempts, attempts.len()),
            metrics: measured.document(snapshot, Dimension::Agent, None),
        }
    }
}

#[test]
fn a_number_is_the_same_wherever_it_is_shown() {
    let mut console = Console::new(200, 60);
    let snapshot = console.scene.publish(super::scene::NOW);
    let counts = snapshot.problem_counts();
    let (live, need_you) = (snapshot.task_counts().live, snapshot.task_counts().need_you);
    let window = console.model.context.window.parts(console.now);
    let minutes = window.step * u32::try_from(window.count()).unwrap();
    let json = Documents::of(&console.scene, &snapshot, minutes);
    assert!(
        counts.problems > 0 && counts.notices > 0 && live > 0 && need_you > 0,
        "the fleet has some of each"
    );

    let (now, fleet, tasks, inbox) = (screen("0"), screen("1"), screen("2"), screen("3"));
    let (problems, metrics, views) = (screen("4"), screen("7"), screen("v"));
    let pane = |title: &str| now.lines().position(|line| line.starts_with(&format!("├ {title} "))).unwrap();
    let menu = |word: &str| {
        views.lines().position(|line| line.contains('┃') && line.contains(&format!(" {word} "))).unwrap()
    };
    let measured = |what: &str| {
        let of = |row: &Value| number(if what == "live" { &row["live"] } else { &row["now"][what] });
        rows(&json.metrics, "metrics").iter().map(of).sum::<u32>()
    };
    let same = |what: &str, expected: u32, shown: &[(&str, Option<u32>)]| {
        for (place, number) in shown {
            assert_eq!(*number, Some(expected), "{what} in {place}\n{now}\n{views}");
        }
    };
    same(
        "problems",
        counts.problems,
        &[
            ("the first line", before(&now, 0, "problems")),
            ("the pane of Now", before(&now, pane("problems"), "problems")),
            ("the list", before(&problems, 1, "problems")),
            ("the menu of views", before(&views, menu("problems"), "problems")),
            ("problems -o json", Some(number(&json.problems["counts"]["problems"]))),
        ],
    );
    same(
        "notices",
        counts.notices,
        &[
            ("the first line", before(&now, 0, "notice")),
            ("the pane of Now", before(&now, pane("problems"), "notice")),
            ("the list", before(&problems, 1, "notice")),
            ("the menu of views", before(&views, menu("problems"), "notice")),
            ("problems -o json", Some(number(&json.problems["counts"]["notices"]))),
        ],
    );
    same(
        "live tasks",
        live,
        &[
            ("the first line", before(&now, 0, "live")),
            ("the pane of Now", before(&now, pane("tasks"), "live")),
            ("the list", before(&tasks, 1, "live")),
            ("the fleet", Some(sum(&fleet, 2, "LIVE"))),
            ("metrics", Some(sum(&metrics, 2, "LIVE"))),
            ("the menu of views", before(&views, menu("tasks"), "live")),
            ("task list -o json", Some(live_of(&json.tasks))),
            ("metrics -o json", Some(measured("live"))),
        ],
    );
    same(
        "tasks that need a person",
        need_you,
        &[
            ("the first line", before(&now, 0, "need you")),
            ("the list", before(&inbox, 1, "need you")),
            ("the fleet", Some(sum(&fleet, 2, "NEED YOU"))),
            ("the menu of views", before(&views, menu("inbox"), "need you")),
            ("inbox -o json", u32::try_from(rows(&json.inbox, "inbox").len()).ok()),
        ],
    );
    let failed = sum(&metrics, 2, "FAILED");
    assert!(failed > 0);
    same(
        "failed tasks",
        failed,
        &[
            ("Now", Some(sum(&now, 2, "FAILED"))),
            ("the fleet", Some(sum(&fleet, 2, "FAILED"))),
            ("metrics -o json", Some(measured("failed"))),
        ],
    );
    let agents = rows(&json.agents, "agents");
    for (state, word) in [("up", "up"), ("degraded", "degraded"), ("down", "down"), ("login-needed", "login")]
    {
        let count = agents.iter().filter(|agent| agent["state"] == state).count();
        assert!(count > 0, "{state}");
        let shown = [("the first line", before(&now, 0, word))];
        same(&format!("agents that are {word}"), u32::try_from(count).unwrap(), &shown);
    }
    same(
        "agents",
        u32::try_from(agents.len()).unwrap(),
        &[("the menu of views", before(&views, menu("fleet"), "agents"))],
    );
}
