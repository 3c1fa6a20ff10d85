//! Terminal input, read by its own thread, which pauses while an editor has the terminal.

use std::io::{self, IsTerminal, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossterm::event::Event;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::terminal;

/// Events that wait for the loop; more stay in the terminal.
const WAITING: usize = 256;
/// The thread waits this long for the rest of a key sequence, and looks this often whether it has to stop if nothing
/// can wake it.
const LOOK: Duration = Duration::from_millis(100);
const LOOK_TIMESPEC: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// The longest time to wait for the thread to stop.
const STOPPING: Duration = Duration::from_secs(1);

/// Reads the terminal until it is dropped. At most one reads at a time.
#[derive(Debug)]
pub struct Input {
    events: mpsc::Receiver<io::Result<Event>>,
    stop: Arc<AtomicBool>,
    /// Wakes the thread when it is written to or dropped; `None` if there was no pipe to be had.
    wake: Option<PipeWriter>,
    resized: Option<Signal>,
}

/// Held by the thread that reads the terminal.
static READING: Mutex<()> = Mutex::new(());

impl Input {
    /// Begins to read, once the previous reader has stopped.
    pub fn start() -> Self {
        let (sender, events) = mpsc::channel(WAITING);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let (woken, wake) = io::pipe().ok().unzip();
        std::thread::spawn(move || {
            let _the_only_one = READING.lock().unwrap_or_else(PoisonError::into_inner);
            // Ends without a word when the terminal has gone; then `next` gives none.
            let _why = read(&stopped, woken.as_ref(), &sender);
        });
        // Without it a change of size is noticed by the reading thread, a little later.
        let resized = signal(SignalKind::window_change()).ok();
        Self { events, stop, wake, resized }
    }

    /// The next event; none if the terminal has gone.
    pub async fn next(&mut self) -> Option<io::Result<Event>> {
        let wake = self.wake.as_mut();
        let resized = async {
            match &mut self.resized {
                Some(resized) => {
                    resized.recv().await;
                    // crossterm has a change of size that it has not reported. If that were still so when a key came,
                    // it would report the change alone, and the key only with the next one.
                    if let Some(wake) = wake {
                        let _it_has_stopped = wake.write(&[0]);
                    }
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = self.events.recv() => match event {
                // A terminal that does not report its size still has one.
                Some(Ok(Event::Resize(..))) => Some(terminal::size().map(|(x, y)| Event::Resize(x, y))),
                event => event,
            },
            () = resized => Some(terminal::size().map(|(x, y)| Event::Resize(x, y))),
        }
    }

    /// Stops reading and waits until the thread has stopped, so that later input goes to the next reader. A partial key
    /// sequence may block the thread; the wait is short in any case.
    pub async fn stop(self) {
        drop(self);
        let waited = tokio::task::spawn_blocking(|| {
            drop(READING.lock().unwrap_or_else(PoisonError::into_inner));
        });
        let _it_has_stopped = tokio::time::timeout(STOPPING, waited).await;
    }
}

/// Reads events until it is told to stop or the terminal is closed. crossterm does not check whether the terminal is
/// still open and spins if it is not, so that is checked before every read.
fn read(
    stopped: &AtomicBool,
    woken: Option<&PipeReader>,
    sender: &mpsc::Sender<io::Result<Event>>,
) -> io::Result<()> {
    let stdin = io::stdin();
    let opened;
    let tty = if stdin.is_terminal() {
        stdin.as_fd()
    } else {
        opened = std::fs::File::open("/dev/tty")?;
        opened.as_fd()
    };
    while !stopped.load(Ordering::SeqCst) {
        // An idle console does not wake up to look whether it is still idle.
        let mut waiting = vec![PollFd::new(&tty, PollFlags::IN)];
        waiting.extend(woken.map(|woken| PollFd::new(woken, PollFlags::IN)));
        let polled = poll(&mut waiting, woken.is_none().then_some(&LOOK_TIMESPEC));
        if stopped.load(Ordering::SeqCst) {
            return Ok(());
        }
        let events = waiting[0].revents();
        if let Some(mut woken) =
            woken.filter(|_| waiting.get(1).is_some_and(|at| at.revents().contains(PollFlags::IN)))
        {
            let _what = woken.read(&mut [0; 64])?;
        }
        match polled {
            Ok(_) if events.intersects(PollFlags::HUP | PollFlags::ERR) => return Ok(()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // Events that crossterm has read ahead, and changes of size, are there without input.
        let mut wait = if events.is_empty() { Duration::ZERO } else { LOOK };
        loop {
            let event = match crossterm::event::poll(wait) {
                Ok(false) => break,
                // Events that arrive after the stop are left for the next reader.
                Ok(true) if stopped.load(Ordering::SeqCst) => return Ok(()),
                Ok(true) => crossterm::event::read(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let ends = event.is_err();
            if sender.blocking_send(event).is_err() || ends {
                return Ok(());
            }
            wait = Duration::ZERO;
        }
    }
    Ok(())
}

impl Drop for Input {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // A thread that waits for room is let go.
        self.events.close();
    }
}
