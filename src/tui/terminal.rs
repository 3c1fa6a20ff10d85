//! The terminal: taken with everything that the console needs, and given back whatever happens.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::style::Print;
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, SetTitle,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::{Buffer, Cell, CellWidth};
use ratatui::layout::Rect;

use super::render::Drawn;

/// True while we have the terminal; the first to restore it clears this.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Asks a terminal that reorders right-to-left text to show every cell where it was drawn, and to resume reordering.
/// ECMA-48 calls this mode BDSM; terminals without it ignore both.
const CELLS_IN_ORDER: &[u8] = b"\x1b[8l";
const TEXT_IN_ORDER: &str = "\x1b[8h";

/// Giving the terminal back takes at most this long before a forced end.
const RESTORING: Duration = Duration::from_millis(100);

/// The assumed size of a terminal that does not report one.
const USUAL_SIZE: (u16, u16) = (80, 24);
/// The maximum size, so that a terminal that reports a wrong size costs no memory.
const LARGEST_SIZE: (u16, u16) = (1000, 500);

/// Bytes kept before they are written; a full screen fits.
const BUFFER: usize = 64 * 1024;

/// The terminal while we have it; dropping it restores it.
#[derive(Debug)]
pub struct Terminal {
    backend: CrosstermBackend<io::BufWriter<io::Stdout>>,
    area: Rect,
    /// The displayed buffer; `None` while the screen is blank.
    shown: Option<Buffer>,
    /// Memory for the next one. A large screen takes half a megabyte, so the first frame makes one buffer and not two.
    spare: Option<Buffer>,
    mouse: bool,
    cursor: Option<(u16, u16)>,
    title: String,
}

impl Terminal {
    /// Takes the terminal.
    ///
    /// # Errors
    /// There is no terminal, or it refuses the mode.
    pub fn take(mouse: bool, title: &str) -> io::Result<Self> {
        let (width, height) = size()?;
        let area = Rect::new(0, 0, width, height);
        let out = io::BufWriter::with_capacity(BUFFER, io::stdout());
        let mut terminal = Self {
            backend: CrosstermBackend::new(out),
            area,
            shown: None,
            spare: None,
            mouse,
            cursor: None,
            title: title.to_owned(),
        };
        terminal.enter()?;
        Ok(terminal)
    }

    fn enter(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        let out = &mut self.backend;
        queue!(out, EnterAlternateScreen, EnableBracketedPaste, SetTitle(&self.title), Hide)?;
        out.write_all(CELLS_IN_ORDER)?;
        if self.mouse {
            queue!(out, EnableMouseCapture)?;
        }
        Write::flush(out)?;
        self.afresh()
    }

    /// The size in cells.
    pub fn size(&self) -> (u16, u16) {
        (self.area.width, self.area.height)
    }

    /// It has another size.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn resize(&mut self, width: u16, height: u16) -> io::Result<()> {
        if self.size() == (width, height) {
            return Ok(());
        }
        self.area = Rect::new(0, 0, width, height);
        (self.shown, self.spare) = (None, None);
        self.afresh()
    }

    /// The next drawing writes every cell.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn afresh(&mut self) -> io::Result<()> {
        self.spare = self.shown.take().or(self.spare.take());
        self.cursor = None;
        self.backend.clear()?;
        Write::flush(&mut self.backend)
    }

    /// Draws, and writes the cells that differ; nothing if none does.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Buffer) -> Drawn) -> io::Result<Drawn> {
        let mut next = match self.spare.take() {
            Some(mut spare) => {
                spare.reset();
                spare
            }
            None => Buffer::empty(self.area),
        };
        let drawn = draw(&mut next);
        let changes = match &self.shown {
            Some(shown) => shown.diff(&next),
            None => diff_from_blank(&next),
        };
        if !changes.is_empty() || drawn.typing != self.cursor {
            queue!(self.backend, BeginSynchronizedUpdate)?;
            self.backend.draw(changes.into_iter())?;
            let out = &mut self.backend;
            match drawn.typing {
                Some((x, y)) => queue!(out, MoveTo(x, y), Show)?,
                None => queue!(out, Hide)?,
            }
            self.cursor = drawn.typing;
            queue!(out, EndSynchronizedUpdate)?;
            Write::flush(out)?;
        }
        self.spare = self.shown.replace(next);
        Ok(drawn)
    }

    /// Puts text into the clipboard of the terminal (OSC 52).
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(self.backend, CopyToClipboard::to_clipboard_from(text))
    }

    /// Rings the bell, and sends a desktop notification (OSC 9) where the terminal supports it. The text must be safe.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn ring(&mut self, bell: bool, words: Option<&str>) -> io::Result<()> {
        if bell {
            self.backend.write_all(b"\x07")?;
        }
        if let Some(words) = words {
            let words = crate::domain::text::Untrusted::from(words);
            write!(self.backend, "\x1b]9;quarterdeck: {}\x1b\\", words.line())?;
        }
        Write::flush(&mut self.backend)
    }

    /// Takes the mouse, or leaves it to the terminal.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn set_mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        let out = &mut self.backend;
        if on { execute!(out, EnableMouseCapture) } else { execute!(out, DisableMouseCapture) }
    }

    /// Gives the terminal away for a while.
    pub fn leave(&mut self) {
        let _it_may_be_gone = Write::flush(&mut self.backend);
        restore();
    }

    /// Takes the terminal back after a pause.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn come_back(&mut self) -> io::Result<()> {
        self.enter()?;
        let (width, height) = size()?;
        self.resize(width, height)
    }
}

/// The cells that a blank screen does not show.
fn diff_from_blank(next: &Buffer) -> Vec<(u16, u16, &Cell)> {
    let mut changes = Vec::new();
    for (y, row) in (next.area.y..).zip(next.content.chunks(usize::from(next.area.width.max(1)))) {
        let mut x = 0;
        while let Some(cell) = row.get(x) {
            if *cell == Cell::EMPTY {
                x += 1;
                continue;
            }
            changes.push((next.area.x + u16::try_from(x).unwrap_or(u16::MAX), y, cell));
            // The cells behind a wide character are covered by it.
            x += usize::from(cell.cell_width().max(1));
        }
    }
    changes
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The terminal's size in cells; if it reports none, COLUMNS and LINES, else 80 x 24.
///
/// # Errors
/// The terminal is gone.
pub fn size() -> io::Result<(u16, u16)> {
    let window = rustix::termios::tcgetwinsize(io::stdout())?;
    let set = |name: &str| std::env::var(name).ok();
    Ok(size_of((window.ws_col, window.ws_row), set("COLUMNS").as_deref(), set("LINES").as_deref()))
}

fn size_of(reported: (u16, u16), columns: Option<&str>, lines: Option<&str>) -> (u16, u16) {
    let side = |reported: u16, set: Option<&str>, usual: u16, largest: u16| {
        let set = set.and_then(|set| set.trim().parse().ok());
        let known = Some(reported).filter(|reported| *reported > 0).or(set).filter(|known| *known > 0);
        known.unwrap_or(usual).min(largest)
    };
    (
        side(reported.0, columns, USUAL_SIZE.0, LARGEST_SIZE.0),
        side(reported.1, lines, USUAL_SIZE.1, LARGEST_SIZE.1),
    )
}

/// Gives the terminal back before a forced end, also when it takes no more output.
pub fn restore_in_time() {
    let (done, restored) = std::sync::mpsc::channel();
    let restoring = std::thread::Builder::new().name("restoring".into()).spawn(move || {
        restore();
        let _it_was_too_late = done.send(());
    });
    if restoring.is_ok() && restored.recv_timeout(RESTORING).is_err() {
        let _it_may_be_gone = disable_raw_mode();
    }
}

/// True while the terminal is ours.
pub fn is_taken() -> bool {
    TAKEN.load(Ordering::SeqCst)
}

/// Restores the terminal if we have it; also called on a panic.
pub fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        let _it_may_be_gone = execute!(
            out,
            EndSynchronizedUpdate,
            DisableMouseCapture,
            DisableBracketedPaste,
            SetTitle(""),
            Print(TEXT_IN_ORDER),
            LeaveAlternateScreen,
            Show
        );
        let _it_may_be_gone = disable_raw_mode();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ratatui::style::{Color, Style};

    use super::*;

    proptest! {
        #[test]
        fn a_blank_screen_differs_from_a_frame_as_an_empty_buffer_does(
            rows in prop::collection::vec((0u16..14, "[ ab漢é👍\u{fe0f}]{0,6}", 0usize..3), 4),
        ) {
            let area = Rect::new(0, 0, 14, 4);
            let mut next = Buffer::empty(area);
            for (y, (x, text, color)) in (0..).zip(&rows) {
                let color = [Color::Reset, Color::Red, Color::Blue][*color];
                next.set_string(*x, y, text, Style::new().bg(color));
            }
            prop_assert_eq!(diff_from_blank(&next), Buffer::empty(area).diff(&next));
        }
    }

    #[test]
    fn a_terminal_that_does_not_report_its_size_gets_one() {
        for (reported, columns, lines, size) in [
            ((120, 40), Some("80"), Some("24"), (120, 40)),
            ((0, 0), None, None, (80, 24)),
            ((0, 0), Some("132"), Some("50"), (132, 50)),
            ((0, 0), Some("0"), Some("many"), (80, 24)),
            ((0, 40), Some("100"), None, (100, 40)),
            ((u16::MAX, u16::MAX), None, None, (1000, 500)),
            ((0, 0), Some("99999"), Some("60000"), (80, 500)),
        ] {
            assert_eq!(size_of(reported, columns, lines), size, "{reported:?} {columns:?} {lines:?}");
        }
    }
}
