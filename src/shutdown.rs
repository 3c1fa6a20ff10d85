//! Why the process has to end: a signal, a terminal that has gone, or an output that cannot be written.
//!
//! The reason is recorded once, from the first line of `main` on, and stays: whoever asks later than it
//! came still learns of it. A thread ends the process if an orderly end takes too long.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, OnceLock, mpsc};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM};
use tokio::sync::watch;

/// An orderly end has this long; the rest of the promised two seconds is for the terminal.
const ORDERLY_END: Duration = Duration::from_millis(1700);
/// A hangup that wakes no poll is noticed within this time.
const TERMINAL_CHECK: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

/// Why the process has to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A signal of this number.
    Signal(i32),
    /// The terminal was closed.
    TerminalGone,
    /// Nobody reads the output any more, as after `| head`.
    PipeClosed,
    /// The output cannot be written, for example because a disk is full.
    OutputFailed,
}

impl Reason {
    /// The exit code: as shells have it, 128 and the number of the signal.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::OutputFailed => 1,
            other => u8::try_from(128 + other.signal()).unwrap_or(129),
        }
    }

    /// The signal that has this effect by default.
    pub fn signal(self) -> i32 {
        match self {
            Self::Signal(number) => number,
            Self::TerminalGone => SIGHUP,
            Self::PipeClosed | Self::OutputFailed => SIGPIPE,
        }
    }
}

static REASON: LazyLock<watch::Sender<Option<Reason>>> = LazyLock::new(|| watch::Sender::new(None));

/// What is done before a forced end. Without it nobody forces an end.
static LAST_ACT: OnceLock<fn()> = OnceLock::new();

/// Another program has the terminal, and an interrupt from the keyboard is meant for that program.
static INTERRUPTS_IGNORED: AtomicBool = AtomicBool::new(false);

/// Listens for SIGTERM, SIGINT and SIGHUP from now on. `last_act` runs before a forced end; it must not block
/// for long. SIGHUP stays ignored if whoever started the process ignored it, as `nohup` does.
///
/// # Errors
/// The signals cannot be listened for.
pub fn install(last_act: fn()) -> io::Result<()> {
    let mut numbers = vec![SIGTERM, SIGINT];
    if !is_hangup_ignored() {
        numbers.push(SIGHUP);
    }
    let mut signals = signal_hook::iterator::Signals::new(numbers)?;
    let listen = move || {
        for number in signals.forever() {
            if number != SIGINT || !INTERRUPTS_IGNORED.load(Ordering::SeqCst) {
                request(Reason::Signal(number));
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(listen)?;
    let _it_was_installed_before = LAST_ACT.set(last_act);
    Ok(())
}

/// True if this process was started with SIGHUP ignored. Known on Linux only; elsewhere it counts as not ignored.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (SIGHUP - 1)) != 0)
}

/// Asks the process to end. The first reason is kept.
pub fn request(reason: Reason) {
    let is_first = REASON.send_if_modified(|known| {
        let is_first = known.is_none();
        known.get_or_insert(reason);
        is_first
    });
    if let Some(last_act) = LAST_ACT.get().filter(|_| is_first) {
        let enforce = move || {
            let (_nobody_sends, never) = mpsc::channel::<()>();
            let _time_is_up = never.recv_timeout(ORDERLY_END);
            last_act();
            #[expect(clippy::disallowed_methods, reason = "the orderly end has had its time")]
            std::process::exit(i32::from(reason.exit_code()));
        };
        let _the_orderly_end_goes_on = std::thread::Builder::new().name("deadline".into()).spawn(enforce);
    }
}

/// Why the process has to end; none if it goes on.
pub fn reason() -> Option<Reason> {
    *REASON.borrow()
}

/// Waits until the process has to end.
pub async fn requested() -> Reason {
    let mut requested = REASON.subscribe();
    let reason = requested.wait_for(Option::is_some).await.ok().and_then(|reason| *reason);
    match reason {
        Some(reason) => reason,
        None => std::future::pending().await,
    }
}

/// While an editor has the terminal, its interrupts do not end this process.
pub fn ignore_interrupts(ignored: bool) {
    INTERRUPTS_IGNORED.store(ignored, Ordering::SeqCst);
}

/// Asks the process to end once the terminal is closed, even if no SIGHUP is sent. Later calls do nothing.
///
/// # Errors
/// No thread can be started.
pub fn watch_terminal() -> io::Result<()> {
    static IS_WATCHED: AtomicBool = AtomicBool::new(false);
    if IS_WATCHED.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    let watch = || {
        if wait_for_hangup() {
            request(Reason::TerminalGone);
            silence_stdin();
        }
    };
    std::thread::Builder::new().name("terminal".into()).spawn(watch)?;
    Ok(())
}

/// True once the terminal of the output or the input is closed; false if that cannot be found out.
fn wait_for_hangup() -> bool {
    let (stdout, stdin) = (io::stdout(), io::stdin());
    loop {
        // Hangups are reported whatever is asked for; input is left to whoever reads it.
        let mut watched = vec![PollFd::new(&stdout, PollFlags::empty())];
        if stdin.is_terminal() {
            watched.push(PollFd::new(&stdin, PollFlags::empty()));
        }
        let polled = poll(&mut watched, Some(&TERMINAL_CHECK));
        let events = watched.iter().fold(PollFlags::empty(), |all, fd| all | fd.revents());
        match polled {
            Ok(_) if events.intersects(PollFlags::HUP | PollFlags::ERR) => return true,
            Ok(_) if events.contains(PollFlags::NVAL) => return false,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// A closed terminal answers every read at once with nothing, and crossterm reads on without a pause.
/// A pipe that stays open and empty in the terminal's place makes it wait.
fn silence_stdin() {
    if let Ok((reader, writer)) = io::pipe()
        && rustix::stdio::dup2_stdin(&reader).is_ok()
    {
        std::mem::forget(writer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_shells() {
        for (reason, code) in [
            (Reason::Signal(SIGTERM), 143),
            (Reason::Signal(SIGINT), 130),
            (Reason::TerminalGone, 129),
            (Reason::PipeClosed, 141),
            (Reason::OutputFailed, 1),
        ] {
            assert_eq!(reason.exit_code(), code, "{reason:?}");
        }
    }
}
