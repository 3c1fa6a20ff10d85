//! What all rows share: processor time, medians, parts in processes of their own, and how figures are printed.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Whatever goes wrong ends the benchmark.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Processor time of this process so far, user and system, ended threads included.
pub fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

/// Leaves one core to this process, so that what runs beside it on another disturbs it as little as may be.
/// Threads that are started from here on inherit it.
pub fn stay_on(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    let _there_are_fewer_cores = sched_setaffinity(None, &cores);
}

/// Resident memory of a process in kB, now or at its highest, by the name of its line in `status`.
pub fn memory(pid: u32, line: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':'))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Processor time of a process so far, user and system, in hundredths of a second.
pub fn ticks(pid: u32) -> Result<f64, Fault> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold spaces; the times are the 14th and 15th field of all.
    let (_, fields) = stat.rsplit_once(')').ok_or("no name")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    Ok(field(11).zip(field(12)).map(|(user, system)| user + system).ok_or("no times")?)
}

/// The middle one.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The median of the ratios of pairs, so that a disturbance that lasts longer than a round falls out.
pub fn paired(ours: &[f64], other: &[f64]) -> f64 {
    median(ours.iter().zip(other).map(|(ours, other)| ours / other))
}

/// A process beside this one, ended when it is dropped.
pub struct Part(pub Child);

impl Part {
    /// Starts this program once more, as one of its parts.
    pub fn start(words: &[&str]) -> Result<Self, Fault> {
        let program = std::env::current_exe()?;
        Ok(Self(Command::new(program).args(words).stdout(Stdio::piped()).spawn()?))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _it_may_have_ended = self.0.kill();
        let _it_is_gone = self.0.wait();
    }
}

/// The figures that a part prints at its end.
pub fn figures(words: &[&str]) -> Result<Vec<f64>, Fault> {
    let output = Command::new(std::env::current_exe()?).args(words).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the part {words:?} failed: {}", output.status).into());
    }
    let text = String::from_utf8(output.stdout)?;
    text.split_whitespace().map(|word| word.parse().map_err(Fault::from)).collect()
}

/// One line: what, its figure, and beside a goal the goal.
pub fn print_figure(what: &str, figure: &str, goal: &str) {
    println!("  {what:<46} {figure:>16}  {goal}");
}

/// The line of a ratio.
pub fn print_ratio(what: &str, ratio: f64, goal: &str) {
    // Two digits that count.
    let digits = if ratio < 0.1 { 4 } else { 2 };
    print_figure(what, &format!("{ratio:.digits$}"), goal);
}
