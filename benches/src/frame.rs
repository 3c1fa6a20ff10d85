//! P3: what a frame of 200x60 costs, against an empty ratatui draw, with a hundred and with a million tasks;
//! and that nothing is drawn or written when nothing that is seen has changed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quarterdeck::domain::fact::JournalEntry;
use quarterdeck::domain::state::snapshot::Snapshot;
use quarterdeck::tui::msg::Msg;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

use crate::fixture::{FleetFixture, job_id};
use crate::measure::{Fault, median, print_figure, print_ratio};
use crate::screen::{Screen, Sink};

const SIZE: (u16, u16) = (200, 60);
/// Frames measured of each view, alternating with empty draws.
const FRAMES: usize = 400;
const FEW: u64 = 100;
const MANY: u64 = 1_000_000;
/// Of so many jobs one is live.
const LIVE: u64 = 4;
const VIEWS: [&str; 3] = ["fleet", "tasks", "task page"];

/// Runs the row.
pub fn run() -> Result<(), Fault> {
    println!("P3 frame: {}x{}, {FRAMES} frames a view, medians", SIZE.0, SIZE.1);
    let mut few = Fleet::of(FEW)?;
    let mut many = Fleet::of(MANY)?;
    let mut empty = Empty::new()?;
    for (at, view) in VIEWS.iter().enumerate() {
        few.open(at)?;
        let opened = Instant::now();
        many.open(at)?;
        let opened = opened.elapsed();
        // The first frames fill caches.
        for _ in 0..20 {
            few.frame()?;
            many.frame()?;
            empty.frame()?;
        }
        let mut times: [Vec<f64>; 5] = Default::default();
        for _ in 0..FRAMES {
            let ((few_update, few_draw), (many_update, many_draw)) = (few.frame()?, many.frame()?);
            let round = [few_draw, many_draw, empty.frame()?, few_update, many_update];
            for (all, time) in times.iter_mut().zip(round) {
                all.push(time.as_secs_f64() * 1e6);
            }
        }
        let [few_draw, many_draw, empty, few_update, many_update] = times.map(median);
        let (few_frame, many_frame) = (few_draw + few_update, many_draw + many_update);
        println!("{view}");
        print_figure("empty ratatui draw", &format!("{empty:.0} us"), "");
        for (count, update, draw) in [(FEW, few_update, few_draw), (MANY, many_update, many_draw)] {
            print_figure(
                &format!("{count} tasks: update + draw"),
                &format!("{update:.0} + {draw:.0} us"),
                "",
            );
        }
        print_figure(
            &format!("{MANY} tasks: opening the view"),
            &format!("{:.1} ms", opened.as_secs_f64() * 1e3),
            "",
        );
        print_ratio("frame / empty draw", many_frame.max(few_frame) / empty, "must 5, aim 3");
        print_ratio("a million tasks / a hundred", many_frame / few_frame, "must 1.2");
        print_ratio("a million tasks / a hundred, the draw alone", many_draw / few_draw, "");
        let (drawings, bytes) = many.unseen()?;
        print_figure("100 unseen changes: drawings, bytes", &format!("{drawings}, {bytes}"), "must 0, 0");
    }
    Ok(())
}

/// What ratatui does when there is nothing to do.
struct Empty(Terminal<CrosstermBackend<Sink>>);

impl Empty {
    fn new() -> Result<Self, Fault> {
        let viewport = Viewport::Fixed(Rect::new(0, 0, SIZE.0, SIZE.1));
        let backend = CrosstermBackend::new(Sink::default());
        Ok(Self(Terminal::with_options(backend, TerminalOptions { viewport })?))
    }

    fn frame(&mut self) -> Result<Duration, Fault> {
        let begun = Instant::now();
        self.0.draw(|_| {})?;
        Ok(begun.elapsed())
    }
}

/// A console on a told fleet.
struct Fleet {
    fixture: FleetFixture,
    snapshot: Snapshot,
    screen: Screen,
    jobs: u64,
    /// The job whose page is shown, the newest live one.
    job: u64,
}

impl Fleet {
    fn of(jobs: u64) -> Result<Self, Fault> {
        let job = (jobs - 1) / LIVE * LIVE;
        let mut story: Vec<Arc<JournalEntry>> = Vec::new();
        let mut fixture = FleetFixture::agents(jobs, &mut |_| {});
        for number in 0..jobs {
            fixture.job(number, !number.is_multiple_of(LIVE), &mut |fact| {
                if number == job {
                    story.push(Arc::new(fact));
                }
            });
        }
        let mut snapshot = Snapshot::starting(fixture.now);
        snapshot.publish(&fixture.state, fixture.now, fixture.state.clone().take_changes());
        fixture.state.take_changes();
        let mut screen = Screen::new(Arc::new(snapshot.clone()), SIZE);
        screen.story = story;
        screen.draw()?;
        Ok(Self { fixture, snapshot, screen, jobs, job })
    }

    /// Opens one of the views and draws it.
    fn open(&mut self, view: usize) -> Result<(), Fault> {
        match view {
            0 => self.screen.press("1")?,
            1 => self.screen.press("2")?,
            _ => {
                // The cursor goes to the newest live job, wherever it is from the top.
                for _ in self.job..self.jobs - 1 {
                    self.screen.press("j")?;
                }
                self.screen.press("enter")?;
            }
        }
        self.screen.draw()
    }

    /// Publishes what a job's agent says after a while.
    fn says(&mut self, job: u64, after: Duration) -> (Arc<Snapshot>, Option<Arc<JournalEntry>>) {
        self.fixture.now = self.fixture.now + after;
        let mut said = None;
        self.fixture.says(job, &mut |fact| said = Some(Arc::new(fact)));
        let changed = self.fixture.state.take_changes();
        self.snapshot.publish(&self.fixture.state, self.fixture.now, changed);
        (Arc::new(self.snapshot.clone()), said)
    }

    /// One visible row changes: how long taking it in and drawing it take.
    fn frame(&mut self) -> Result<(Duration, Duration), Fault> {
        let (snapshot, fact) = self.says(self.job, Duration::from_millis(33));
        let begun = Instant::now();
        self.screen.take(snapshot);
        if let Some(fact) = fact {
            self.screen.send(Msg::Fact(job_id(self.job), fact));
        }
        let taken = begun.elapsed();
        self.screen.draw()?;
        Ok((taken, begun.elapsed().saturating_sub(taken)))
    }

    /// A task that is not on the screen changes, a hundred times while no clock moves: the drawings and
    /// bytes that this leads to.
    fn unseen(&mut self) -> Result<(u32, usize), Fault> {
        self.screen.draw()?;
        let (drawings, bytes) = (self.screen.frames, self.screen.bytes());
        for change in 0..100 {
            let (snapshot, _) = self.says(self.jobs / 2 / LIVE * LIVE + change * LIVE, Duration::ZERO);
            self.screen.take(snapshot);
            self.screen.draw_if_dirty()?;
        }
        Ok((self.screen.frames - drawings, self.screen.bytes() - bytes))
    }
}
