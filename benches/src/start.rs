//! P5: from the start to the first frame in a terminal, against the empty program, and to the content; memory before the first TLS
//! connection; and the start on a journal of a million facts.

use std::path::Path;
use std::time::Duration;

use quarterdeck::domain::state::{Changed, State};
use quarterdeck::store::record::AttemptRow;
use quarterdeck::store::{Batch, Writer, make_dir};

use crate::built;
use crate::fixture::{AGENTS, FACTS_OF_A_JOB, FleetFixture};
use crate::measure::{Fault, median, memory, paired, print_figure, print_ratio};
use crate::pty::Pty;

const ROUNDS: usize = 15;
/// Starts on the large journal.
const LARGE_ROUNDS: usize = 5;
const FACTS: usize = 1_000_000;
/// Jobs in one commit of the large journal.
const BATCH: u64 = 1_000;
/// Starts beside a2a-handler, and the words that its first frame ends with.
const HANDLER_ROUNDS: usize = 5;
const HANDLER_DRAWN: &str = "New Server";
/// The end of a drawing of ours.
const DRAWN: &str = "\u{1b}[?2026l";
/// The first words of the content: the title of the first pane.
const CONTENT: &str = "results by";
/// The memory is read so long after the first frame, when everything that a start does is done.
const REST: Duration = Duration::from_millis(700);
/// One agent that nobody reaches, without TLS.
const CONFIG: &str = "[[fleet.default.agents]]\nurl = \"http://127.0.0.1:9\"\n";

/// Runs the row; `other` is another build of ours to be compared, in the same rounds.
pub fn run(other: Option<&str>) -> Result<(), Fault> {
    let (ours, empty) = (built::quarterdeck()?, built::empty()?);
    println!("P5 start to the first frame in a terminal of 200x60: {ROUNDS} rounds, medians");
    let mut of_empty: [Vec<f64>; 3] = Default::default();
    let (mut of_ours, mut of_other) = (Starts::default(), Starts::default());
    for _ in 0..ROUNDS {
        let dir = tempfile::tempdir()?;
        let journal = dir.path().join("empty.db").display().to_string();
        let pty = Pty::start(&empty, &[&journal])?;
        let (first, ready) = (pty.until("FIRST")?, pty.until("READY")?);
        let round = [ms(first), ms(ready), resting(&pty).all];
        drop(pty);
        for (all, figure) in of_empty.iter_mut().zip(round) {
            all.push(figure);
        }
        of_ours.start(&ours, dir.path())?;
        if let Some(other) = other {
            of_other.start(Path::new(other), tempfile::tempdir()?.path())?;
        }
    }
    let [first, ready, memory] = of_empty;
    print_figure("empty: first frame", &format!("{:.1} ms", median(first.clone())), "");
    print_figure("empty: client built, fresh journal open", &format!("{:.1} ms", median(ready.clone())), "");
    print_figure("empty: memory", &format!("{:.0} kB", median(memory)), "");
    of_ours.print("ours");
    print_ratio("ours / empty, first frame", paired(&of_ours.frame, &first), "must 1.5");
    print_ratio("ours / empty, both with a fresh journal", paired(&of_ours.frame, &ready), "");
    if other.is_some() {
        of_other.print("other build");
        print_ratio("ours / other build, first frame", paired(&of_ours.frame, &of_other.frame), "");
        let more = median(of_ours.own) - median(of_other.own);
        print_figure("ours more than other build: own memory", &format!("{more:.0} kB"), "must 1024");
    }
    let dir = tempfile::tempdir()?;
    journal(&dir.path().join("data"))?;
    let mut large: [Vec<f64>; 2] = Default::default();
    for _ in 0..LARGE_ROUNDS {
        let (frame, _, memory) = start(&ours, dir.path())?;
        large[0].push(frame);
        large[1].push(memory.all);
    }
    let [frame, memory] = large.map(median);
    print_figure(
        &format!("ours, {FACTS} journaled facts: first frame"),
        &format!("{frame:.0} ms"),
        "must 300",
    );
    print_figure(&format!("ours, {FACTS} journaled facts: memory"), &format!("{memory:.0} kB"), "");
    Ok(())
}

/// Runs the row against the closest peer: `program` is a2a-handler's `handler`.
pub fn run_handler(program: &str) -> Result<(), Fault> {
    let ours = built::quarterdeck()?;
    println!("P5 start to the first frame, beside a2a-handler: {HANDLER_ROUNDS} rounds, medians");
    let mut figures: [Vec<f64>; 4] = Default::default();
    for _ in 0..HANDLER_ROUNDS {
        let dir = tempfile::tempdir()?;
        let (frame, _, memory_of_ours) = start(&ours, dir.path())?;
        let pty = Pty::start(Path::new(program), &["tui"])?;
        let first = ms(pty.until(HANDLER_DRAWN)?);
        let round = [frame, memory_of_ours.all, first, resting(&pty).all];
        for (all, figure) in figures.iter_mut().zip(round) {
            all.push(figure);
        }
    }
    let [frame, memory, first, memory_of_handler] = figures;
    print_figure("ours: first frame", &format!("{:.1} ms", median(frame.clone())), "");
    print_figure("ours: memory", &format!("{:.0} kB", median(memory)), "");
    print_figure("a2a-handler: first frame", &format!("{:.0} ms", median(first.clone())), "");
    print_figure("a2a-handler: memory", &format!("{:.0} kB", median(memory_of_handler)), "");
    print_ratio("first frame, a2a-handler / ours", paired(&first, &frame), "must 50");
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Starts of one program: times to the first frame, and memory then.
#[derive(Default)]
struct Starts {
    frame: Vec<f64>,
    content: Vec<f64>,
    /// Heap and stacks.
    own: Vec<f64>,
    /// Pages of the program and its libraries that were read in, which the system may take back.
    code: Vec<f64>,
}

impl Starts {
    fn start(&mut self, program: &Path, dir: &Path) -> Result<(), Fault> {
        let (frame, content, memory) = start(program, dir)?;
        self.frame.push(frame);
        self.content.push(content);
        self.own.push(memory.own);
        self.code.push(memory.all - memory.own);
        Ok(())
    }

    fn print(&self, name: &str) {
        let (frame, own, code) =
            (median(self.frame.clone()), median(self.own.clone()), median(self.code.clone()));
        print_figure(&format!("{name}, fresh journal: first frame"), &format!("{frame:.1} ms"), "");
        let content = median(self.content.clone());
        print_figure(&format!("{name}, fresh journal: content"), &format!("{content:.1} ms"), "must 40");
        print_figure(&format!("{name}: own memory before TLS"), &format!("{own:.0} kB"), "");
        print_figure(&format!("{name}: pages of code"), &format!("{code:.0} kB"), "");
    }
}

/// Memory of a process in kB.
struct Memory {
    all: f64,
    /// Without pages of files.
    own: f64,
}

fn resting(pty: &Pty) -> Memory {
    std::thread::sleep(REST);
    let line = |name| memory(pty.pid(), name).unwrap_or(f64::NAN);
    Memory { all: line("VmRSS"), own: line("RssAnon") }
}

/// Starts ours on the data in a folder: the times to its first frame and to its content, and its memory then.
fn start(program: &Path, dir: &Path) -> Result<(f64, f64, Memory), Fault> {
    let config = dir.join("config.toml");
    std::fs::write(&config, CONFIG)?;
    let (config, data) = (config.display().to_string(), dir.join("data").display().to_string());
    let pty = Pty::start(program, &["--config", &config, "--data-dir", &data])?;
    let (frame, content) = (ms(pty.until(DRAWN)?), ms(pty.until(CONTENT)?));
    Ok((frame, content, resting(&pty)))
}

/// Writes a journal of many facts, as the engine would have.
fn journal(dir: &Path) -> Result<(), Fault> {
    make_dir(dir)?;
    let writer = Writer::open(dir, false, |_| {})?;
    let jobs = (FACTS / FACTS_OF_A_JOB) as u64;
    let mut facts = Vec::new();
    let mut fixture = FleetFixture::agents(jobs, &mut |fact| facts.push(fact));
    for number in 0..jobs {
        fixture.job(number, true, &mut |fact| facts.push(fact));
        if (number + 1).is_multiple_of(BATCH) {
            let changed = fixture.state.take_changes();
            let mut batch = rows(&fixture.state, changed);
            batch.number = number / BATCH + 1;
            batch.facts = std::mem::take(&mut facts).into();
            batch.alive = fixture.now;
            if writer.hand_over(batch).is_err() {
                return Err("the journal was not written".into());
            }
        }
    }
    assert_eq!(fixture.state.agents().len() as u64, AGENTS);
    Ok(())
}

fn rows(state: &State, mut changed: Vec<Changed>) -> Batch {
    let mut batch = Batch::default();
    changed.sort_unstable();
    changed.dedup();
    for row in changed {
        match row {
            Changed::Agent(key) => batch.agents.extend(state.agent(key).cloned()),
            Changed::Job(key) => batch.jobs.extend(state.jobs().get(key).cloned()),
            Changed::Attempt(key) => {
                if let Some(attempt) = state.attempt(key)
                    && let (Some(job), Some(agent)) = (state.job_of(attempt), state.agent(attempt.agent))
                {
                    batch.attempts.push(AttemptRow {
                        attempt: attempt.clone(),
                        job: job.id,
                        job_seq: job.seq,
                        agent: agent.id,
                    });
                }
            }
            Changed::Problem(_) | Changed::Source(_) | Changed::Timeline(_) => {}
        }
    }
    batch
}
