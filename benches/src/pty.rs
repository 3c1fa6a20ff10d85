//! A program in a terminal of its own: what it writes, and when.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::measure::Fault;

/// Longer than anything here may take.
const LONG: Duration = Duration::from_secs(60);

const COLUMNS: NonZeroU16 = NonZeroU16::new(200).unwrap();
const ROWS: NonZeroU16 = NonZeroU16::new(60).unwrap();

/// A running program.
pub struct Pty {
    _master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    begun: Instant,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    written: Mutex<Written>,
    more: Condvar,
}

#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    /// When each read came, and how many bytes there were after it.
    times: Vec<(Instant, usize)>,
    ended: bool,
}

impl Pty {
    /// Starts a program in a terminal of 200x60.
    pub fn start(program: &Path, args: &[&str]) -> Result<Self, Fault> {
        let size = PtySize { rows: ROWS.get(), cols: COLUMNS.get(), pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size)?;
        let mut command = CommandBuilder::new(program);
        command.args(args);
        for variable in ["QUARTERDECK_CONFIG", "QUARTERDECK_DATA_DIR", "QUARTERDECK_FLEET", "NO_COLOR"] {
            command.env_remove(variable);
        }
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        command.env("LANG", "C.UTF-8");
        let mut reader = pair.master.try_clone_reader()?;
        let keys = pair.master.take_writer()?;
        let seen = Arc::<Seen>::default();
        let shared = seen.clone();
        let begun = Instant::now();
        let child = pair.slave.spawn_command(command)?;
        drop(pair.slave);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let read = reader.read(&mut buffer).unwrap_or(0);
                let mut written = shared.written.lock().unwrap_or_else(PoisonError::into_inner);
                written.bytes.extend_from_slice(&buffer[..read]);
                let end = written.bytes.len();
                written.times.push((Instant::now(), end));
                written.ended = read == 0;
                shared.more.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        Ok(Self { _master: pair.master, keys, child, begun, seen })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.process_id().unwrap_or(0)
    }

    /// Waits until it has written something; the time from its start until then.
    pub fn until(&self, mark: &str) -> Result<Duration, Fault> {
        let finder = memchr::memmem::Finder::new(mark);
        let mut written = self.seen.written.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(at) = finder.find(&written.bytes) {
                let end = at + mark.len();
                let read = written.times.iter().find(|(_, after)| *after >= end);
                return read.map(|(when, _)| *when - self.begun).ok_or_else(|| "no time".into());
            }
            let left = LONG.saturating_sub(self.begun.elapsed());
            if written.ended || left.is_zero() {
                let shown = String::from_utf8_lossy(&written.bytes);
                return Err(format!("never wrote {mark:?} but {shown:?}").into());
            }
            let waited = self.seen.more.wait_timeout(written, left);
            written = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Presses a key, and waits until the title line of the view has these words; how long that took.
    pub fn answer(&mut self, key: &str, title: &str) -> Result<Duration, Fault> {
        let mut parser = vt100::Parser::new(ROWS, COLUMNS, 0);
        // What was written before is taken in first, so that only the answer is waited for.
        let before = self.seen.written.lock().unwrap_or_else(PoisonError::into_inner).bytes.clone();
        parser.process(&before);
        let mut known = before.len();
        let pressed = Instant::now();
        self.keys.write_all(key.as_bytes())?;
        self.keys.flush()?;
        let mut written = self.seen.written.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            parser.process(&written.bytes[known..]);
            known = written.bytes.len();
            let last = written.times.last().map_or(pressed, |(when, _)| *when);
            let line = parser.screen().rows(0, COLUMNS.get()).nth(1).unwrap_or_default();
            if line.contains(title) {
                return Ok(last.saturating_duration_since(pressed));
            }
            if pressed.elapsed() > LONG {
                return Err(format!("{key} never led to {title:?}: {line}").into());
            }
            let waited = self.seen.more.wait_timeout(written, Duration::from_secs(1));
            written = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Bytes written so far, and how often the words were among them.
    pub fn written(&self, words: &str) -> (usize, usize) {
        let written = self.seen.written.lock().unwrap_or_else(PoisonError::into_inner);
        (written.bytes.len(), memchr::memmem::find_iter(&written.bytes, words).count())
    }

    /// What is on the screen.
    pub fn screen(&self) -> String {
        let mut parser = vt100::Parser::new(ROWS, COLUMNS, 0);
        let written = self.seen.written.lock().unwrap_or_else(PoisonError::into_inner);
        parser.process(&written.bytes);
        parser.screen().contents()
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _it_may_have_ended = self.child.kill();
        let _it_is_gone = self.child.wait();
    }
}
