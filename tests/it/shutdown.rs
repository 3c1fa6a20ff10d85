//! The end of the process: its terminal is closed or a signal comes, at any moment; and output that cannot be written.
//! Moments are measured from the start of the process.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use quarterdeck::demo::{Behaviour, Fleet};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::runtime::Runtime;

use crate::console::pty::assert_restored;
use crate::kill::{binary, configure};
use crate::support::{LONG, fleet, part};

/// The documented limit: the process is gone within this time.
const PROMISED: Duration = Duration::from_secs(2);
/// The processor time that ending may take, in ticks of 10 ms: far less than a loop that spins for 2 s.
const TICKS: u64 = 60;
const MOMENTS: [u64; 7] = [0, 10, 30, 50, 100, 300, 900];

/// The program in a terminal that a test can close.
struct Terminal {
    child: Child,
    master: OwnedFd,
    written: Vec<u8>,
}

impl Terminal {
    fn run(args: &[String], ignores_hangup: bool) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let flags = i32::try_from(rustix::fs::OFlags::NOCTTY.bits()).unwrap();
        let slave = File::options().read(true).write(true).custom_flags(flags).open(name).unwrap();
        let size = rustix::termios::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&slave, size).unwrap();
        let script = if ignores_hangup { "trap '' HUP; exec \"$@\"" } else { "exec \"$@\"" };
        // It becomes the controlling terminal of the program, so that closing it sends SIGHUP.
        let mut command = Command::new("setsid");
        command.args(["--ctty", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_quarterdeck")]).args(args);
        command.current_dir(std::env::temp_dir()).env("TERM", "xterm-256color");
        for variable in ["QUARTERDECK_DATA_DIR", "QUARTERDECK_CONFIG", "QUARTERDECK_FLEET", "NO_COLOR"] {
            command.env_remove(variable);
        }
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        Self { child: command.spawn().unwrap(), master, written: Vec::new() }
    }

    /// Reads output until a moment, until the output ends, or until something is seen.
    fn read_until(&mut self, end: Instant, seen: impl Fn(&[u8]) -> bool) {
        let mut buffer = [0; 4096];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || seen(&self.written) {
                return;
            }
            let mut waiting = [PollFd::new(&self.master, PollFlags::IN)];
            let left = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().min(20_000_000).into() };
            if poll(&mut waiting, Some(&left)).unwrap() == 0 {
                continue;
            }
            match rustix::io::read(&self.master, &mut buffer) {
                Ok(read @ 1..) => self.written.extend_from_slice(&buffer[..read]),
                Ok(_) | Err(_) => return,
            }
        }
    }

    fn read_for(&mut self, time: Duration) {
        self.read_until(Instant::now() + time, |_| false);
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _it_has_ended = self.child.kill();
        let _it_is_taken_away = self.child.wait();
    }
}

/// The state of a process and its processor time in ticks; `None` without /proc.
fn state(pid: Pid) -> Option<(char, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields[0].chars().next()?, fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?))
}

/// The exit code as a shell reports it.
fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Sends a signal to the program, or closes the terminal if it is `None`. The program must end within the documented
/// time and with little processor time.
#[track_caller]
fn ends(mut terminal: Terminal, signal: Option<Signal>, what: &str) -> (i32, String) {
    let pid = terminal.pid();
    let before = state(pid).map_or(0, |(_, ticks)| ticks);
    let end = Instant::now() + PROMISED;
    match signal {
        Some(signal) => rustix::process::kill_process(pid, signal).unwrap(),
        // The master is replaced by another descriptor, which closes it.
        None => terminal.master = File::open("/dev/null").unwrap().into(),
    }
    let is_dead = || state(pid).is_none_or(|(state, _)| state == 'Z');
    while !is_dead() {
        assert!(Instant::now() < end, "{what}: still there after {PROMISED:?}");
        if signal.is_some() {
            terminal.read_until((Instant::now() + Duration::from_millis(20)).min(end), |_| is_dead());
        }
        let _a_moment = poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 2_000_000 }));
    }
    let ticks = state(pid).map_or(before, |(_, ticks)| ticks);
    if signal.is_some() {
        terminal.read_for(Duration::from_millis(1));
    }
    let code = code(terminal.child.wait().unwrap());
    assert!(ticks - before <= TICKS, "{what}: {} ticks of processor time", ticks - before);
    (code, String::from_utf8_lossy(&terminal.written).into_owned())
}

struct Desk {
    dir: tempfile::TempDir,
    _fleet: Fleet,
    runtime: Runtime,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let fleet = {
            let _its_servers_run_there = runtime.enter();
            fleet(vec![part("slow", Behaviour::Slow)])
        };
        configure(dir.path(), &fleet);
        Self { dir, _fleet: fleet, runtime }
    }

    fn output(&self, args: &[&str], stdout: impl Into<Stdio>) -> std::process::Output {
        let mut command = binary();
        command.args(self.args(args)).stdout(stdout);
        let ended = self.runtime.block_on(async {
            // `output` would replace the standard output.
            tokio::time::timeout(LONG, command.spawn().unwrap().wait_with_output()).await
        });
        ended.unwrap_or_else(|_| panic!("{args:?} does not end")).unwrap()
    }

    /// The arguments of a command on the desk's fleet.
    fn args(&self, verb: &[&str]) -> Vec<String> {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        let mut args = vec!["--config".to_owned(), path("config.toml"), "--data-dir".into(), path("data")];
        args.extend(verb.iter().map(|word| (*word).to_owned()));
        args
    }

    fn task(&self) -> String {
        let output = self.output(&["send", "-a", "slow", "--async", "-o", "json", "drive"], Stdio::piped());
        let sent: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        sent["task"]["id"].as_str().unwrap().to_owned()
    }

    /// Checks that the data folder is free again: the next command starts an engine on it.
    #[track_caller]
    fn assert_free(&self, what: &str) {
        let data = self.dir.path().join("data");
        if data.exists() {
            let lock = quarterdeck::store::lock::Lock::take(&data).unwrap();
            assert!(lock.is_some(), "{what}: the engine is still held");
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_closed_terminal_ends_the_console_at_any_moment() {
    let desk = Desk::new();
    // The demo has its own data folder.
    for args in [desk.args(&[]), words(&["demo"])] {
        for ignores_hangup in [false, true] {
            for moment in MOMENTS {
                let what = format!("{args:?} closed after {moment} ms, SIGHUP ignored: {ignores_hangup}");
                let mut terminal = Terminal::run(&args, ignores_hangup);
                terminal.read_for(Duration::from_millis(moment));
                assert_ne!(ends(terminal, None, &what).0, 0, "{what}");
                desk.assert_free(&what);
            }
        }
    }
}

#[test]
fn signals_end_every_verb_at_any_moment() {
    let desk = Desk::new();
    let id = desk.task();
    let verbs = [
        desk.args(&[]),
        desk.args(&["serve"]),
        desk.args(&["send", "-a", "slow", "drive"]),
        desk.args(&["task", "subscribe", "-a", "slow", &id]),
        desk.args(&["agents", "http://192.0.2.1/"]),
        words(&["demo"]),
        words(&["demo", "--headless"]),
    ];
    for (at, args) in verbs.iter().enumerate() {
        for (signal, number) in [(Signal::TERM, 15), (Signal::HUP, 1)] {
            for moment in MOMENTS {
                let what = format!("{args:?} {signal:?} after {moment} ms");
                let mut terminal = Terminal::run(args, false);
                terminal.read_for(Duration::from_millis(moment));
                let (code, written) = ends(terminal, Some(signal), &what);
                // Only the console never ends on its own.
                let is_console = at == 0 || at == 5;
                assert!(code == 128 + number || code == 0 && !is_console, "{what}: {code}\n{written}");
                if written.contains("\u{1b}[?1049h") {
                    assert_restored(&written);
                }
                desk.assert_free(&what);
            }
        }
    }
}

/// A console that has joined another one, whose terminal is closed, goes on with its own engine.
#[test]
fn a_closed_terminal_hands_the_engine_to_a_joined_console() {
    let desk = Desk::new();
    let mut first = Terminal::run(&desk.args(&[]), true);
    let data = desk.dir.path().join("data");
    let listens = || quarterdeck::store::lock::holder(&data).is_some_and(|holder| holder.socket.exists());
    first.read_until(Instant::now() + LONG, |_| listens());
    let args = desk.args(&[]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut second = crate::console::pty::Terminal::run((100, 30), &args, &[]);
    second.shows("● 1 up");
    ends(first, None, "the first console");
    second.shows("it is run from here now");
    second.shows("● 1 up");
    second.type_in(":q\r");
    assert_restored(&second.ends().1);
}

#[test]
fn an_output_that_nobody_reads_ends_the_verb_as_a_closed_pipe() {
    let desk = Desk::new();
    for verb in [
        &["agents"][..],
        &["send", "-a", "slow", "--stream", "drive"],
        &["serve"],
        &["demo", "--headless"],
        &["config", "example"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = desk.output(verb, writer);
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(141), "{verb:?}: {stderr}");
        desk.assert_free(&format!("{verb:?}"));
    }
    if let Ok(full) = File::options().write(true).open("/dev/full") {
        let ended = desk.output(&["agents"], full);
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("the output cannot be written"), "{stderr}");
    }
}

#[test]
fn a_terminal_without_a_size_is_drawn_at_columns_and_lines() {
    for (variables, size) in [(&[("COLUMNS", "100"), ("LINES", "30")][..], (100, 30)), (&[], (80, 24))] {
        let mut terminal = crate::console::pty::Terminal::run_at((0, 0), size, &["demo"], variables);
        terminal.until("the whole screen", |seen| {
            seen.parser.screen().rows(0, size.0).last().unwrap_or_default().ends_with('┘')
        });
        terminal.type_in(":q\r");
        assert_restored(&terminal.ends().1);
    }
}
