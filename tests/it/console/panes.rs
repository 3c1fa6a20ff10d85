//! Lists of a few rows among many.

use quarterdeck::domain::agent::Health;
use quarterdeck::domain::agent::card::Dialect;
use quarterdeck::domain::fact::{Fact, FleetFact};
use quarterdeck::domain::job::message::Part;
use quarterdeck::domain::job::task::{TaskState, Verdict};
use quarterdeck::domain::problem::NotificationEvent;
use quarterdeck::tui::cmd::Cmd;
use quarterdeck::tui::views::listing::Listing;
use quarterdeck::tui::views::task_rows::{TaskColumn, TaskRows};

use super::scene::Scene;

/// The evidence of a problem can be opened from it, and its log shows what people did about it.
#[test]
fn the_evidence_of_a_problem_is_opened_and_its_log_goes_on() {
    let mut console = super::Console::new(120, 40);
    console.press("4 tab tab enter");
    assert!(console.screen().contains("post order 88100"), "{}", console.screen());
    console.press("esc j k tab");
    assert!(console.last_line().contains("enter what it is about"), "{}", console.last_line());
    for (keys, expected) in [
        // The wire of its agent is the last piece.
        ("4 tab tab G enter", "wire"),
        // From the list it opens what it is about, as before.
        ("4 enter", "post order 88100"),
        // `esc` goes back to the list before it goes back from it.
        ("4 tab tab esc j enter", "fleet › ledger-1"),
    ] {
        let mut console = super::Console::new(120, 40);
        console.press(keys);
        assert!(console.screen().contains(expected), "{keys}\n{}", console.screen());
    }
    // Wide enough for the longest line of the log; others are wrapped.
    let mut console = super::Console::new(160, 40);
    console.press("4");
    let taken = FleetFact::ProblemTaken { number: 2 };
    let (problem, agent, attempt) = (Some(2), None, None);
    let text = "its owner is on it".into();
    let noted = FleetFact::NoteMade { problem, agent, attempt, text };
    let (event, failed) = (NotificationEvent::Raised, Some("no answer in 10 s".into()));
    let posted = FleetFact::ProblemPosted { number: 2, event, failed };
    for (seconds, by, fact) in
        [(253.0, None, posted), (254.0, Some("mia\u{1b}[2J"), taken), (255.0, Some("mia"), noted)]
    {
        console.scene.add_fact_by(seconds, by, Fact::Fleet(fact));
    }
    console.wait(5.0);
    console.publish();
    let screen = console.screen();
    for words in
        ["not posted to the webhook: no answer in 10 s", "taken by mia␛[2J", "mia: \"its owner is on it\""]
    {
        assert!(screen.contains(words), "{words}\n{screen}");
    }
}

/// What happened while another page was open is shown when the first one is gone back to.
#[test]
fn the_page_of_a_task_is_read_again_when_it_is_shown_again() {
    let mut console = super::Console::new(120, 40);
    console.press("2 / \"88213\" enter enter");
    assert!(console.screen().contains("the basket is read"), "{}", console.screen());
    console.press("i");
    let working = console.cast.working;
    console.scene.says(253.0, working, vec![Part::text("said meanwhile")]);
    console.wait(2.0);
    console.publish();
    console.press("esc");
    assert!(console.screen().contains("said meanwhile"), "{}", console.screen());
}

/// A report is a file of plain Markdown: whatever an agent or a person wrote stays one line of text in it.
#[test]
fn a_problem_is_written_down_as_a_report_and_rows_as_a_table() {
    let saved = |console: &super::Console| {
        let mut files = console.asked.iter().filter_map(|cmd| match cmd {
            Cmd::Save(name, text) => Some((name.clone(), text.clone())),
            _ => None,
        });
        files.next_back()
    };
    let mut console = super::Console::new(120, 40);
    let text = "<img src=x onerror=y>\n# over\u{202e}".into();
    let (problem, agent, attempt) = (Some(2), None, None);
    let noted = FleetFact::NoteMade { problem, agent, attempt, text };
    console.scene.add_fact_by(254.0, Some("mia"), Fact::Fleet(noted));
    console.wait(5.0);
    console.publish();
    console.press("4 tab tab enter esc s");
    assert!(console.last_line().contains("save to: p-"), "{}", console.last_line());
    console.press("esc j s").press(r#""x"#);
    console.press("enter");
    let screen = console.screen();
    assert!(screen.contains("end the name with .md for the report, .csv or .txt for the rows"), "{screen}");
    console.press("backspace enter");
    let (name, text) = saved(&console).expect("a report is saved");
    assert!(name.starts_with("p-") && name.ends_with(".md"), "{name}");
    for heading in
        ["Description", "Evidence", "What changed before it began", "What happened and who did what"]
    {
        assert!(text.contains(&format!("\n## {heading}\n")), "{heading}\n{text}");
    }
    // A file has no width: nothing in it is cut.
    assert!(text.contains("post order 88100 to the ledger") && !text.contains('…'), "{text}");
    let own = ["# p-", "## ", "began ", "nothing", "See it: `quarterdeck --fleet prod-eu open p-"];
    let free = |line: &&str| {
        !line.is_empty() && !line.starts_with("    ") && !own.iter().any(|own| line.starts_with(own))
    };
    assert_eq!(text.lines().find(free), None, "{text}");
    // The same in the clipboard, and of the problem that Now speaks of.
    console.press("y m");
    assert!(console.asked.iter().any(|cmd| matches!(cmd, Cmd::Copy(copied) if copied.starts_with("# p-"))));
    console.press("0 tab s enter");
    assert!(saved(&console).is_some_and(|(name, _)| name.ends_with(".md")));
    // Rows, as they are shown.
    console.press("1 s enter");
    let (name, text) = saved(&console).unwrap();
    assert_eq!(name, "fleet.csv");
    assert!(text.lines().count() > 5 && text.contains("ledger-1"), "{text}");
}

/// A pane looks at the newest rows, and at what somebody may have to look at, however old that is.
#[test]
fn a_pane_shows_what_wants_attention_among_older_rows() {
    let mut scene = Scene::new();
    let agents = ["ledger", "scribe"].map(|name| scene.agent(name, Dialect::V1_0, Health::Up, None));
    let sent: Vec<_> = (0..12)
        .map(|number| {
            let agent = agents[usize::from(number >= 10)];
            let sent = scene.job(f64::from(number), agent, &format!("job {number}"), "sam");
            scene.accepted(f64::from(number), sent);
            scene.state(f64::from(number), sent, TaskState::Working);
            sent
        })
        .collect();
    for (number, sent) in sent.iter().enumerate() {
        // One goes on, one asks, one ended in doubt; of the others the newest is among the last four.
        match number {
            0 => {}
            1 => scene.state(20.0, *sent, TaskState::InputRequired),
            _ => scene.state(20.0, *sent, TaskState::Completed),
        }
        if number == 2 {
            scene.verdict(21.0, *sent, Some(Verdict::Conflict));
        }
    }
    let titles = |listing: &mut Listing<TaskRows>, seconds: f64, scene: &mut Scene| {
        let snapshot = scene.publish(seconds);
        let drawn = listing.refresh_window(&snapshot, 6);
        let title = |key| {
            let attempt = snapshot.attempts.get(key).unwrap();
            snapshot.job_of(attempt).unwrap().title.line().into_string()
        };
        (drawn, listing.rows.iter().map(title).collect::<Vec<_>>())
    };
    let key = scene.publish(30.0).agents.iter().next().unwrap().0;
    let rows = TaskRows { agent: Some(key), newest: Some(4), ..TaskRows::default() };
    let mut listing = Listing::new(rows, TaskColumn::State);
    let expected = ["job 1", "job 2", "job 0", "job 9", "job 8"].map(String::from).to_vec();
    assert_eq!(titles(&mut listing, 31.0, &mut scene), (true, expected.clone()));
    // What is said about a row that the pane does not hold changes nothing on it.
    scene.says(32.0, sent[4], vec![Part::text("late words")]);
    assert_eq!(titles(&mut listing, 33.0, &mut scene), (false, expected));
    // Nobody needs to look at it any more.
    scene.state(34.0, sent[1], TaskState::Completed);
    let expected = ["job 2", "job 0", "job 9", "job 8"].map(String::from).to_vec();
    assert_eq!(titles(&mut listing, 35.0, &mut scene), (true, expected));
}
