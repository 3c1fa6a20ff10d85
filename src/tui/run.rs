//! The loop of the console: it feeds keys, news of the engine and the clock to `update`, draws, and runs commands.

use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::domain::id::JobId;
use crate::domain::intent::Intent;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::time::At;
use crate::engine::{Handle, Query, QueryError};
use crate::shutdown;
use crate::tui::batch_process;
use crate::tui::caption::{Caption, PresenterCommand};
use crate::tui::cmd::Cmd;
use crate::tui::context::{Context, Info};
use crate::tui::format::Clocks;
use crate::tui::input::Input;
use crate::tui::keymap::Chord;
use crate::tui::model::Model;
use crate::tui::msg::{Mouse, Msg};
use crate::tui::opening;
use crate::tui::overlays::card::words;
use crate::tui::preferences::{Preferences, PreferencesStore};
use crate::tui::queries::{Telemetry, ViewAnswer, ViewQuery};
use crate::tui::render::{Drawn, render};
use crate::tui::terminal::Terminal;
use crate::tui::theme::{Role, Theme};
use crate::tui::update::update;

/// Between two drawings, and while keys come in.
const FRAME: Duration = Duration::from_millis(33);
const FRAME_WITH_KEYS: Duration = Duration::from_millis(16);
/// The time after the last key during which more keys are expected.
const KEYS: Duration = Duration::from_millis(300);
/// Bound of answers and facts waiting for the screen; a full queue makes the sender wait, and a timeline that falls
/// behind is read again.
const NEWS: usize = 1024;
/// Updates processed before anything else is checked.
const BATCH: usize = 256;

/// What a console starts with.
#[derive(Debug)]
pub struct Start {
    /// The way to the engine.
    pub handle: Handle,
    /// About the fleet and this surface.
    pub info: Info,
    /// The looks.
    pub theme: Theme,
    /// The clocks.
    pub clocks: Clocks,
    /// The mouse is ours.
    pub mouse: bool,
    /// Captions of a presenter and the channel that advances it; `None` without a presentation.
    pub commentary: Option<Commentary>,
    /// A message to show first.
    pub greeting: Option<String>,
    /// Where to go first: a problem, a name, an id, a saved view.
    pub place: Option<String>,
    /// Keys, columns and saved views.
    pub preferences: Preferences,
    /// Where views are saved.
    pub store: Arc<dyn PreferencesStore>,
}

/// The captions of a presentation, and the way to advance it.
#[derive(Debug)]
pub struct Commentary {
    /// The current caption.
    pub captions: watch::Receiver<Caption>,
    /// Takes cues; a cue is dropped while the channel is full.
    pub cues: mpsc::Sender<PresenterCommand>,
}

/// How a console ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConsoleEnd {
    /// The operator left; the text says what continues.
    Quit(String),
    /// The operator switched to another fleet.
    Switch(String),
    /// The engine that was joined has ended.
    Gone,
    /// A signal of this number, or the terminal has gone.
    Signal(i32),
}

/// Shows that a fleet is being opened. Nothing else is needed for that, not even the runtime.
///
/// # Errors
/// The terminal cannot be written to.
pub fn show_opening(
    terminal: &mut Terminal,
    fleet: &str,
    theme: &Theme,
    clocks: &Clocks,
) -> io::Result<Drawn> {
    terminal.draw(|buffer| {
        opening::frame(buffer, fleet, theme, clocks);
        Drawn::default()
    })
}

/// Waits until a fleet is opened, while that is shown. The inner `Err` means that the operator left before.
///
/// # Errors
/// The terminal cannot be written to.
pub async fn until_opened<T>(
    opened: impl Future<Output = T>,
    terminal: &mut Terminal,
    fleet: &str,
    theme: &Theme,
    clocks: &Clocks,
) -> io::Result<Result<T, ConsoleEnd>> {
    let mut shutdown = std::pin::pin!(shutdown::requested());
    let mut input = Input::start();
    let mut opened = std::pin::pin!(opened);
    let ended = loop {
        tokio::select! {
            biased;
            reason = &mut shutdown => break Err(ConsoleEnd::Signal(reason.signal())),
            opened = &mut opened => break Ok(opened),
            event = input.next() => match event {
                Some(Ok(Event::Resize(width, height))) => {
                    terminal.resize(width, height)?;
                    show_opening(terminal, fleet, theme, clocks)?;
                }
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                    let control = key.modifiers.contains(KeyModifiers::CONTROL);
                    if matches!((key.code, control), (KeyCode::Char('q'), false) | (KeyCode::Char('c'), true)) {
                        break Err(ConsoleEnd::Quit(String::new()));
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break Err(ConsoleEnd::Signal(1)),
            },
        }
    };
    Ok(ended)
}

/// Runs the console until the operator leaves.
///
/// # Errors
/// The terminal cannot be written to.
pub async fn run(mut terminal: Terminal, start: Start) -> io::Result<ConsoleEnd> {
    let (news, messages) = mpsc::channel(NEWS);
    let snapshot = start.handle.snapshot();
    let base = (Instant::now(), snapshot.at);
    let mut context = Context::new(snapshot, start.info, start.theme, start.clocks, terminal.size(), base.1);
    context.preferences = start.preferences;
    let mut model = Model::new(context, start.mouse);
    if let Some(text) = start.greeting {
        model.say(Role::Plain, text);
    }
    if let Some(place) = start.place {
        crate::tui::navigation::go_to_reference(&mut model, &place);
    }
    let (captions, cues) = start.commentary.map(|commentary| (commentary.captions, commentary.cues)).unzip();
    let mut console =
        Console { handle: start.handle, news, cues, store: start.store, follows: None, batch: None, base };
    let left = console.run(&mut terminal, &mut model, messages, captions).await;
    for task in console.follows.into_iter().chain(console.batch) {
        task.abort();
    }
    drop(terminal);
    // A closed terminal is not an error, and there is nothing to print to.
    Ok(left.unwrap_or(ConsoleEnd::Signal(1)))
}

struct Console {
    handle: Handle,
    news: mpsc::Sender<Msg>,
    cues: Option<mpsc::Sender<PresenterCommand>>,
    store: Arc<dyn PreferencesStore>,
    follows: Option<AbortHandle>,
    /// The batch that was run last.
    batch: Option<AbortHandle>,
    /// The engine's clock: a local instant and the engine's time at it.
    base: (Instant, At),
}

/// When and how the screen was drawn last.
struct Drawing {
    last: Option<Instant>,
    key: Option<Instant>,
    /// When something that was drawn is no longer true.
    stale: Option<Instant>,
}

impl Drawing {
    /// The earliest time of the next drawing.
    fn due(&self, now: Instant) -> Instant {
        let Some(last) = self.last else { return now };
        let keys = self.key.is_some_and(|key| now.duration_since(key) < KEYS);
        last + if keys { FRAME_WITH_KEYS } else { FRAME }
    }
}

/// The reason why the loop woke up.
enum WakeReason {
    Input(Option<io::Result<Event>>),
    Snapshot(bool),
    News(Msg),
    Caption,
    Clock,
}

impl Console {
    fn now(&self) -> At {
        self.base.1 + self.base.0.elapsed()
    }

    /// Follows the engine's clock, and never goes back.
    fn set_clock(&mut self, snapshot: &Snapshot) {
        self.base = (Instant::now(), self.now().max(snapshot.at));
    }

    #[expect(clippy::too_many_lines, reason = "one loop is read in one piece")]
    async fn run(
        &mut self,
        terminal: &mut Terminal,
        model: &mut Model,
        mut messages: mpsc::Receiver<Msg>,
        mut captions: Option<watch::Receiver<Caption>>,
    ) -> io::Result<ConsoleEnd> {
        let mut input = Input::start();
        let mut shutdown = std::pin::pin!(shutdown::requested());
        let mut snapshots = self.handle.watch();
        let mut drawing = Drawing { last: None, key: None, stale: None };
        let mut first: Vec<Msg> = Vec::new();
        if let Some(captions) = &mut captions {
            first.push(Msg::Caption(captions.borrow_and_update().clone()));
        }
        let mut cmds = update(model, self.now(), first);
        loop {
            for cmd in std::mem::take(&mut cmds) {
                match cmd {
                    Cmd::Quit => return Ok(ConsoleEnd::Quit(words::leaving(&model.context).join(" "))),
                    Cmd::Switch(name) => return Ok(ConsoleEnd::Switch(name)),
                    Cmd::Edit(text) => {
                        input.stop().await;
                        terminal.leave();
                        // An interrupt in the editor is meant for the editor.
                        shutdown::ignore_interrupts(true);
                        let edited = edit(&text).await;
                        shutdown::ignore_interrupts(false);
                        if let Some(reason) = shutdown::reason() {
                            return Ok(ConsoleEnd::Signal(reason.signal()));
                        }
                        terminal.come_back()?;
                        input = Input::start();
                        let (width, height) = terminal.size();
                        let (text, problem) = match edited {
                            Ok(text) => (Some(text), None),
                            Err(why) => (None, Some(Msg::Say(Role::Warn, why))),
                        };
                        let msgs = [Msg::Resize(width, height), Msg::Edited(text)];
                        cmds.extend(update(model, self.now(), msgs.into_iter().chain(problem)));
                    }
                    Cmd::Suspend => {
                        terminal.leave();
                        let _we_are_still_here = rustix::process::kill_process(
                            rustix::process::getpid(),
                            rustix::process::Signal::STOP,
                        );
                        terminal.come_back()?;
                        let (width, height) = terminal.size();
                        cmds.extend(update(model, self.now(), [Msg::Resize(width, height)]));
                    }
                    Cmd::Redraw => {
                        terminal.afresh()?;
                        model.dirty = true;
                    }
                    Cmd::Copy(text) => terminal.copy(&text)?,
                    Cmd::Ring(words) => terminal.ring(model.info().bell, words.as_deref())?,
                    Cmd::Mouse(on) => terminal.set_mouse(on)?,
                    cmd => self.begin(cmd),
                }
            }
            if !cmds.is_empty() {
                continue;
            }
            let now = Instant::now();
            if model.dirty && now >= drawing.due(now) {
                self.draw(terminal, model, &mut drawing, &mut cmds)?;
                if !cmds.is_empty() {
                    continue;
                }
            }
            let wakes = self.wakes(model, &drawing);
            let woken = tokio::select! {
                biased;
                reason = &mut shutdown => return Ok(ConsoleEnd::Signal(reason.signal())),
                event = input.next() => WakeReason::Input(event),
                Some(msg) = messages.recv() => WakeReason::News(msg),
                changed = snapshots.changed() => WakeReason::Snapshot(changed.is_ok()),
                Ok(()) = changed(&mut captions) => WakeReason::Caption,
                () = tokio::time::sleep_until(wakes) => WakeReason::Clock,
            };
            let mut msgs = Vec::new();
            match woken {
                WakeReason::Input(Some(Ok(event))) => {
                    if matches!(event, Event::Key(_) | Event::Mouse(_)) {
                        drawing.key = Some(Instant::now());
                    }
                    if let Event::Resize(width, height) = event {
                        terminal.resize(width, height)?;
                    }
                    msgs.extend(input_msg(event));
                }
                WakeReason::Input(_) => return Ok(ConsoleEnd::Signal(1)),
                WakeReason::News(msg) => {
                    msgs.push(msg);
                    while msgs.len() < BATCH
                        && let Ok(msg) = messages.try_recv()
                    {
                        msgs.push(msg);
                    }
                }
                WakeReason::Snapshot(true) => {
                    let snapshot = snapshots.borrow_and_update().clone();
                    self.set_clock(&snapshot);
                    msgs.push(Msg::Snapshot(snapshot));
                }
                WakeReason::Snapshot(false) => return Ok(ConsoleEnd::Gone),
                WakeReason::Caption => {
                    if let Some(captions) = &mut captions {
                        msgs.push(Msg::Caption(captions.borrow_and_update().clone()));
                    }
                }
                WakeReason::Clock => {
                    if drawing.stale.is_some_and(|stale| stale <= Instant::now()) {
                        msgs.push(Msg::Due);
                    }
                }
            }
            cmds = update(model, self.now(), msgs);
        }
    }

    fn draw(
        &mut self,
        terminal: &mut Terminal,
        model: &mut Model,
        drawing: &mut Drawing,
        cmds: &mut Vec<Cmd>,
    ) -> io::Result<()> {
        // Draw with the current time, not with the time of the last update.
        cmds.extend(update(model, self.now(), []));
        crate::failpoint::panics("draw");
        let drawn = terminal.draw(|buffer| render(model, buffer))?;
        let now = Instant::now();
        model.dirty = false;
        drawing.last = Some(now);
        let stale = drawn.next_change.filter(|_| !model.context.held);
        drawing.stale = stale.map(|left| now + left);
        if !model.overlays.is_empty() {
            cmds.extend(update(model, self.now(), [Msg::Shown]));
        }
        Ok(())
    }

    /// The next time at which the loop wakes without an event.
    fn wakes(&self, model: &Model, drawing: &Drawing) -> Instant {
        let now = Instant::now();
        if model.dirty {
            return drawing.due(now);
        }
        let by_model = model.wakes_at().map(|at| now + at.since(self.now()));
        let by_screen = drawing.stale.map(|stale| stale.max(drawing.due(now)));
        let wakes = [by_model, by_screen].into_iter().flatten().min();
        wakes.unwrap_or(now + Duration::from_secs(3600))
    }

    /// Starts work outside the loop; its result arrives later as a message.
    fn begin(&mut self, cmd: Cmd) {
        let (handle, news) = (self.handle.clone(), self.news.clone());
        match cmd {
            Cmd::Submit(intent, words) => {
                tokio::spawn(async move {
                    let result = handle.submit(intent).await;
                    let _the_screen_has_gone = news.send(Msg::Submitted(words, result)).await;
                });
            }
            Cmd::SubmitInOrder(intents, words) => {
                tokio::spawn(in_order(handle, intents, words, news));
            }
            Cmd::SubmitOneOf(bulk, intents, words) => {
                tokio::spawn(in_order(handle.one_of(bulk), intents, words, news));
            }
            Cmd::Follow(job) => {
                if let Some(before) = self.follows.take() {
                    before.abort();
                }
                self.follows = job.map(|job| tokio::spawn(follow(handle, job, news)).abort_handle());
            }
            Cmd::Query(query, generation) => {
                let now = self.now();
                tokio::spawn(async move {
                    let answer = answer(&handle, &query, now).await;
                    let _the_screen_has_gone = news.send(Msg::Answered(query, generation, answer)).await;
                });
            }
            Cmd::LookAtBatch(file) => {
                drop(tokio::task::spawn_blocking(move || batch_process::look(file, &news)));
            }
            Cmd::RunBatch(run) => {
                self.batch = Some(tokio::spawn(batch_process::run(*run, news)).abort_handle());
            }
            Cmd::Index(work, snapshot) => {
                tokio::task::spawn_blocking(move || {
                    let rows = work.build(&snapshot);
                    let _the_screen_has_gone =
                        news.blocking_send(Msg::Indexed(work.order, snapshot.rev, rows));
                });
            }
            Cmd::Save(name, text) => {
                tokio::task::spawn_blocking(move || {
                    let message = match save(&name, &text) {
                        Ok(path) => Msg::Say(Role::Ok, format!("saved to {}", path.display())),
                        Err(why) => Msg::Say(Role::Warn, format!("{name} is not saved: {why}")),
                    };
                    let _the_screen_has_gone = news.blocking_send(message);
                });
            }
            Cmd::Drop(waste) => drop(tokio::task::spawn_blocking(move || drop(waste))),
            Cmd::Views(change) => {
                let store = self.store.clone();
                tokio::task::spawn_blocking(move || {
                    let views = store.change(change.clone());
                    let _the_screen_has_gone = news.blocking_send(Msg::Views(change, views));
                });
            }
            Cmd::Present(cue) => {
                if let Some(cues) = &self.cues {
                    let _dropped_while_full = cues.try_send(cue);
                }
            }
            // These commands need the terminal and run where it is.
            Cmd::Copy(_)
            | Cmd::Ring(_)
            | Cmd::Edit(_)
            | Cmd::Redraw
            | Cmd::Mouse(_)
            | Cmd::Suspend
            | Cmd::Quit
            | Cmd::Switch(_) => {}
        }
    }
}

/// Writes a new file, readable only by its owner because it describes a fleet. An existing file is not changed.
fn save(name: &str, text: &str) -> std::io::Result<PathBuf> {
    use std::io::Write;
    let home = name.strip_prefix("~/").zip(directories::BaseDirs::new());
    let path = home.map_or_else(|| PathBuf::from(name), |(rest, dirs)| dirs.home_dir().join(rest));
    let path = std::path::absolute(path)?;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file?.write_all(text.as_bytes())?;
    Ok(path)
}

/// Completes when the caption changes; never without a presentation or after its end.
async fn changed(captions: &mut Option<watch::Receiver<Caption>>) -> Result<(), ()> {
    match captions {
        Some(captions) => {
            if captions.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            Ok(())
        }
        None => std::future::pending().await,
    }
}

fn input_msg(event: Event) -> Option<Msg> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => Some(Msg::Key(Chord::from_event(&key))),
        Event::Paste(text) => Some(Msg::Paste(text)),
        Event::Resize(width, height) => Some(Msg::Resize(width, height)),
        Event::Mouse(mouse) => {
            let what = match mouse.kind {
                MouseEventKind::Down(MouseButton::Left) => Mouse::Click,
                MouseEventKind::Down(MouseButton::Right) => Mouse::Menu,
                MouseEventKind::ScrollUp => Mouse::Up,
                MouseEventKind::ScrollDown => Mouse::Down,
                _ => return None,
            };
            Some(Msg::Mouse(what, mouse.column, mouse.row))
        }
        Event::Key(_) | Event::FocusGained | Event::FocusLost => None,
    }
}

/// Submits intents one after the other; the first refusal ends it.
async fn in_order(handle: Handle, intents: Vec<Intent>, words: String, news: mpsc::Sender<Msg>) {
    let mut message = Msg::Say(Role::Ok, words);
    for (at, intent) in intents.into_iter().enumerate() {
        if let Err(refusal) = handle.submit(intent).await {
            let done = if at == 0 { "not done" } else { "only partly done" };
            message = Msg::Say(Role::Bad, format!("{done}: {refusal}"));
            break;
        }
    }
    let _the_screen_has_gone = news.send(message).await;
}

/// Asks what a view wants to know.
async fn answer(handle: &Handle, query: &ViewQuery, now: At) -> Result<ViewAnswer, QueryError> {
    match query {
        ViewQuery::Engine(query) => {
            handle.query(with_whole_path(query.clone())).await.map(ViewAnswer::Engine)
        }
        ViewQuery::Telemetry(query) => {
            let answer = handle.telemetry(query.clone()).await?;
            let ready = tokio::task::spawn_blocking(move || Telemetry::of(answer, now)).await;
            ready.map(ViewAnswer::Telemetry).map_err(|_| QueryError::Gone)
        }
    }
}

/// A file is named from the folder of this process, which may not be the engine's.
fn with_whole_path(query: Query) -> Query {
    let whole = |file: Option<Arc<str>>| {
        file.map(|file| std::path::absolute(&*file).map_or(file, |path| path.display().to_string().into()))
    };
    match query {
        Query::RulesFile { file } => Query::RulesFile { file: whole(file) },
        Query::Replay { file, since, after, listed } => {
            Query::Replay { file: whole(file), since, after, listed }
        }
        query => query,
    }
}

/// Follows a job, from its beginning again whenever the screen could not keep up.
async fn follow(handle: Handle, job: JobId, news: mpsc::Sender<Msg>) {
    loop {
        let mut followed = match handle.follow(job).await {
            Ok(followed) => followed,
            Err(error) => {
                let _the_screen_has_gone = news.send(Msg::Say(Role::Warn, error.to_string())).await;
                return;
            }
        };
        if news.send(Msg::Job(job, followed.facts, followed.until)).await.is_err() {
            return;
        }
        while let Some(fact) = followed.more.recv().await {
            if news.send(Msg::Fact(job, fact)).await.is_err() {
                return;
            }
        }
        if handle.is_gone() {
            return;
        }
        // A console that was too slow once should not have to read everything again at once.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Opens an editor for a text.
async fn edit(text: &str) -> Result<String, String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".into());
    let path =
        std::env::temp_dir().join(format!("quarterdeck-{}-{}.md", std::process::id(), uuid::Uuid::now_v7()));
    let with_path = |error: io::Error| format!("{}: {error}", path.display());
    let write = || -> io::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
        io::Write::write_all(&mut file, text.as_bytes())
    };
    write().map_err(with_path)?;
    // As with git, the variable may contain arguments.
    let child = tokio::process::Command::new("sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("sh")
        .arg(&path)
        .spawn();
    let status = match child {
        Ok(mut child) => tokio::select! {
            status = child.wait() => status,
            _ = shutdown::requested() => {
                end(&child);
                child.wait().await
            }
        },
        Err(error) => Err(error),
    };
    let read = std::fs::read_to_string(&path);
    let _it_may_be_gone = std::fs::remove_file(&path);
    match status {
        Ok(status) if status.success() => {
            let text = read.map_err(with_path)?;
            Ok(text.strip_suffix('\n').map_or_else(|| text.clone(), str::to_owned))
        }
        Ok(status) => Err(format!("{editor} ended with {status}; nothing was taken")),
        Err(error) => Err(format!("{editor} cannot be started: {error}; set EDITOR")),
    }
}

/// Sends the signal to end to a program that has the terminal.
fn end(child: &tokio::process::Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _it_has_ended = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}
