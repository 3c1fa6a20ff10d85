//! One number means the same wherever it is shown: in the first line, in panes, in lists and in menus.

use super::Console;

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

#[test]
fn a_number_is_the_same_wherever_it_is_shown() {
    let mut console = Console::new(200, 60);
    let snapshot = console.scene.publish(super::scene::NOW);
    let counts = snapshot.problem_counts();
    let agents = || snapshot.agents.iter().map(|(_, agent)| agent);
    let live: u32 = agents().map(|agent| agent.counts.live).sum();
    let need_you: u32 = agents().map(|agent| agent.counts.need_you).sum();
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
        ],
    );
    let failed = sum(&metrics, 2, "FAILED");
    assert!(failed > 0);
    same(
        "failed tasks",
        failed,
        &[("Now", Some(sum(&now, 2, "FAILED"))), ("the fleet", Some(sum(&fleet, 2, "FAILED")))],
    );
}
