//! P4: what a list of a million tasks costs when a thousand of them change, against sorting all of them; and how long
//! a key waits that sorts or filters it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quarterdeck::domain::state::snapshot::Snapshot;
use quarterdeck::tui::cmd::Cmd;
use quarterdeck::tui::keymap::Chord;
use quarterdeck::tui::msg::Msg;
use quarterdeck::tui::update::update;
use quarterdeck::tui::views::task_rows::Work;

use crate::fixture::FleetFixture;
use crate::measure::{Fault, median, print_figure, print_ratio};
use crate::screen::Screen;

const SIZE: (u16, u16) = (200, 60);
const TASKS: u64 = 1_000_000;
const CHANGES: u64 = 1_000;
/// Of so many jobs one is live.
const LIVE: u64 = 4;
const ROUNDS: usize = 15;

/// Runs the row.
pub fn run() -> Result<(), Fault> {
    println!("P4 lists: {TASKS} tasks, {CHANGES} changes, {ROUNDS} rounds, medians");
    let mut fixture = FleetFixture::agents(TASKS, &mut |_| {});
    for number in 0..TASKS {
        fixture.job(number, !number.is_multiple_of(LIVE), &mut |_| {});
    }
    let mut snapshot = Snapshot::starting(fixture.now);
    snapshot.publish(&fixture.state, fixture.now, fixture.state.clone().take_changes());
    fixture.state.take_changes();
    let mut screen = Screen::new(Arc::new(snapshot.clone()), SIZE);
    screen.press("2")?;
    screen.draw()?;
    // Sorted by what changes: the state with the newest first.
    let work = index(&mut screen, "S")?.ok_or("the list is not sorted by a worker")?;
    let (mut changes, mut sorts) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS as u64 {
        fixture.now = fixture.now + Duration::from_millis(33);
        for change in 0..CHANGES {
            let number = (round * 7919 + change * (TASKS / CHANGES)) % TASKS / LIVE * LIVE;
            fixture.says(number, &mut |_| {});
        }
        let changed = fixture.state.take_changes();
        snapshot.publish(&fixture.state, fixture.now, changed);
        let next = Arc::new(snapshot.clone());
        let begun = Instant::now();
        screen.take(next);
        screen.draw()?;
        changes.push(begun.elapsed().as_secs_f64() * 1e3);
        let begun = Instant::now();
        let rows = work.build(&snapshot);
        sorts.push(begun.elapsed().as_secs_f64() * 1e3);
        drop(rows);
    }
    let (change, sort) = (median(changes), median(sorts));
    print_figure("a full sort", &format!("{sort:.0} ms"), "");
    print_figure("the changes and the first page", &format!("{change:.2} ms"), "");
    print_ratio("changes / full sort", change / sort, "must 0.01");
    let mut slowest: (f64, &str) = (0.0, "");
    for key in ["A", "A", "E", "J", "F", "L", "S", "z", "z", "w", "w", "j", "G", "home", "pgdn"] {
        let begun = Instant::now();
        let work = index(&mut screen, key)?;
        screen.draw()?;
        let took = begun.elapsed().as_secs_f64() * 1e3;
        if took > slowest.0 {
            slowest = (took, key);
        }
        finish(&mut screen, work, &snapshot);
    }
    for key in ["/", "d", "o", "c", "7", "enter", "esc"] {
        let begun = Instant::now();
        let work = index(&mut screen, key)?;
        screen.draw()?;
        let took = begun.elapsed().as_secs_f64() * 1e3;
        if took > slowest.0 {
            slowest = (took, key);
        }
        finish(&mut screen, work, &snapshot);
    }
    print_figure(
        "the key that waited longest",
        &format!("{:.1} ms ({})", slowest.0, slowest.1),
        "must 16 ms",
    );
    Ok(())
}

/// Presses a key; the order that a worker should build then, which the key does not wait for.
fn index(screen: &mut Screen, key: &str) -> Result<Option<Work>, Fault> {
    let chord = Chord::parse(key).ok_or_else(|| format!("{key} is no key"))?;
    let now = screen.now();
    let cmds = update(&mut screen.model, now, [Msg::Key(chord)]);
    Ok(cmds.into_iter().find_map(|cmd| match cmd {
        Cmd::Index(work, _) => Some(work),
        _ => None,
    }))
}

/// What the worker would tell.
fn finish(screen: &mut Screen, work: Option<Work>, snapshot: &Snapshot) {
    if let Some(work) = work {
        let Some(rows) = std::thread::scope(|scope| scope.spawn(|| work.build(snapshot)).join()).ok() else {
            return;
        };
        screen.send(Msg::Indexed(work.order, snapshot.rev, rows));
    }
}
