//! The console without a terminal: the model, the drawing, and a sink that counts bytes.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;

use quarterdeck::domain::fact::JournalEntry;
use quarterdeck::domain::id::JobId;
use quarterdeck::domain::state::snapshot::Snapshot;
use quarterdeck::domain::time::At;
use quarterdeck::tui::cmd::Cmd;
use quarterdeck::tui::context::{Context, Info};
use quarterdeck::tui::format::Clocks;
use quarterdeck::tui::keymap::Chord;
use quarterdeck::tui::model::Model;
use quarterdeck::tui::msg::Msg;
use quarterdeck::tui::render::render;
use quarterdeck::tui::theme::{Depth, Theme};
use quarterdeck::tui::update::update;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::measure::Fault;

/// Where a terminal would be.
#[derive(Clone, Default)]
pub struct Sink(pub Rc<Cell<usize>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set(self.0.get() + bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A console; it draws as `tui::terminal` does.
pub struct Screen {
    /// The model.
    pub model: Model,
    /// Drawings so far.
    pub frames: u32,
    /// The story that is told when one is asked for.
    pub story: Vec<Arc<JournalEntry>>,
    sink: Sink,
    backend: CrosstermBackend<Sink>,
    buffers: [Buffer; 2],
    now: At,
}

impl Screen {
    /// A console at its first view.
    pub fn new(snapshot: Arc<Snapshot>, size: (u16, u16)) -> Self {
        let info = Info {
            fleet: "bench".into(),
            protect: false,
            read_only: false,
            own_engine: true,
            operator: "bench".into(),
            flags: String::new(),
            fleets: Vec::new(),
            bell: false,
            desktop: false,
            rings_from: quarterdeck::domain::problem::Severity::Bad,
            objectives: Vec::new(),
            presenter: None,
        };
        let theme = Theme::load("dark", Depth::True, false);
        let now = snapshot.at;
        let context = Context::new(snapshot.clone(), info, theme, Clocks::new("UTC"), size, now);
        let area = Rect::new(0, 0, size.0, size.1);
        let sink = Sink::default();
        let mut screen = Self {
            model: Model::new(context, true),
            frames: 0,
            story: Vec::new(),
            backend: CrosstermBackend::new(sink.clone()),
            sink,
            buffers: [Buffer::empty(area), Buffer::empty(area)],
            now,
        };
        screen.take(snapshot);
        screen
    }

    /// The time of the last snapshot.
    pub fn now(&self) -> At {
        self.now
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> usize {
        self.sink.0.get()
    }

    /// The engine has published.
    pub fn take(&mut self, snapshot: Arc<Snapshot>) {
        self.now = self.now.max(snapshot.at);
        self.send(Msg::Snapshot(snapshot));
    }

    /// A key.
    pub fn press(&mut self, key: &str) -> Result<(), Fault> {
        let chord = Chord::parse(key).ok_or_else(|| format!("{key} is no key"))?;
        self.send(Msg::Key(chord));
        Ok(())
    }

    /// Something happens; what it leads to outside is done at once.
    pub fn send(&mut self, msg: Msg) {
        let mut cmds = update(&mut self.model, self.now, [msg]);
        while !cmds.is_empty() {
            let answers: Vec<Msg> = cmds.into_iter().filter_map(|cmd| self.answer(cmd)).collect();
            cmds = update(&mut self.model, self.now, answers);
        }
    }

    fn answer(&self, cmd: Cmd) -> Option<Msg> {
        match cmd {
            Cmd::Index(work, snapshot) => {
                let rows = work.build(&snapshot);
                Some(Msg::Indexed(work.order, snapshot.rev, rows))
            }
            // Beside the screen's own thread, as the program does it.
            Cmd::Drop(waste) => {
                std::thread::spawn(|| drop(waste));
                None
            }
            Cmd::Follow(Some(job)) => Some(self.story(job)),
            _ => None,
        }
    }

    fn story(&self, job: JobId) -> Msg {
        let last = self.story.last().map_or(0, |fact| fact.seq);
        Msg::Job(job, self.story.clone(), last)
    }

    /// Draws if something that is seen has changed.
    pub fn draw_if_dirty(&mut self) -> Result<(), Fault> {
        if self.model.dirty { self.draw() } else { Ok(()) }
    }

    /// Draws, and writes the cells that differ.
    pub fn draw(&mut self) -> Result<(), Fault> {
        let [shown, next] = &mut self.buffers;
        next.reset();
        render(&self.model, next);
        self.model.dirty = false;
        self.frames += 1;
        // As the program's own terminal does: no cell changed, nothing is written.
        let changes = shown.diff(next);
        if !changes.is_empty() {
            self.backend.draw(changes.into_iter())?;
        }
        self.buffers.swap(0, 1);
        Ok(())
    }
}
