//! What is typed, read by a thread of its own that stands aside while an editor has the terminal.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossterm::event::Event;
use tokio::sync::mpsc;

/// Events that wait for the loop; more stay in the terminal.
const WAITING: usize = 256;
/// The thread looks so often whether it shall stop.
const LOOK: Duration = Duration::from_millis(100);

/// Reads the terminal until it is dropped. At most one reads at a time.
#[derive(Debug)]
pub struct Input {
    events: mpsc::Receiver<io::Result<Event>>,
    stop: Arc<AtomicBool>,
}

/// Held by whoever reads the terminal.
static READING: Mutex<()> = Mutex::new(());

impl Input {
    /// Begins to read, once whoever read before has stopped.
    pub fn start() -> Self {
        let (sender, events) = mpsc::channel(WAITING);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        std::thread::spawn(move || {
            let _the_only_one = READING.lock().unwrap_or_else(PoisonError::into_inner);
            while !stopped.load(Ordering::SeqCst) {
                let event = match crossterm::event::poll(LOOK) {
                    // What came since it was told to stop is left for whoever reads next.
                    Ok(true) if stopped.load(Ordering::SeqCst) => return,
                    Ok(true) => crossterm::event::read(),
                    Ok(false) => continue,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let ends = event.is_err();
                if sender.blocking_send(event).is_err() || ends {
                    return;
                }
            }
        });
        Self { events, stop }
    }

    /// The next event; none if the terminal has gone.
    pub async fn next(&mut self) -> Option<io::Result<Event>> {
        self.events.recv().await
    }

    /// Stops reading, and waits until it has: what is typed from now on is for somebody else.
    pub async fn stop(self) {
        drop(self);
        let waited = tokio::task::spawn_blocking(|| {
            drop(READING.lock().unwrap_or_else(PoisonError::into_inner));
        });
        let _it_has_stopped = waited.await;
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // A thread that waits for room is let go.
        self.events.close();
    }
}
