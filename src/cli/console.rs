//! The console: on the chosen fleet, or on the embedded one.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use clap::CommandFactory;
use tokio::sync::{mpsc, watch};

use super::args::{Cli, Demo, Global, Login};
use super::demo::Stage;
use super::login::card_url;
use super::output::{Failure, Printer};
use super::session::{Session, Setup, shown_path};
use crate::config::nearest;
use crate::demo::{Fleet, Scenario, Story};
use crate::domain::agent::Source;
use crate::domain::text::{SafeText, Untrusted};
use crate::tui::caption::{Caption, Presenter, PresenterCommand};
use crate::tui::context::Info;
use crate::tui::format::Clocks;
use crate::tui::preferences::{Preferences, PreferencesStore};
use crate::tui::run::{Commentary, ConsoleEnd, Start, run, show_opening, until_opened};
use crate::tui::terminal::Terminal;
use crate::tui::theme::{Depth, Theme};

/// Bound of a presenter's cues; more are dropped, as the story advances only one step at a time.
const CUES: usize = 8;

/// A console whose fleet is still to be opened, which is shown.
pub(super) struct Opening {
    setup: Arc<Setup>,
    /// The log is complete once this is dropped.
    log: Option<tracing_appender::non_blocking::WorkerGuard>,
    settings: Appearance,
    terminal: Terminal,
    /// The name of the fleet, safe to be shown.
    fleet: SafeText,
}

impl Opening {
    /// Takes the terminal and shows that the chosen fleet is being opened. That needs no runtime: its threads would
    /// delay the first frame.
    pub fn show(global: &Global, urls: &[String]) -> Result<Self, Failure> {
        for url in urls {
            no_verb(url)?;
            card_url(url)?;
        }
        needs_terminal()?;
        let setup = Arc::new(Setup::load(global)?.of_console());
        let log = super::log_to_file(&setup.dir, global.debug);
        let settings = Appearance::of(&setup);
        let fleet = Untrusted::from(setup.name.as_str()).line();
        let mut terminal = settings.terminal(&fleet).map_err(no_terminal)?;
        show_opening(&mut terminal, &fleet, &settings.theme, &settings.clocks).map_err(no_terminal)?;
        Ok(Self { setup, log, settings, terminal, fleet })
    }
}

/// Opens the console on the chosen fleet; `opening` is its first frame, if that is shown already.
pub(super) async fn open(
    mut opening: Option<Opening>,
    mut global: Global,
    mut urls: Vec<String>,
    mut place: Option<String>,
    out: &mut Printer,
) -> Result<ExitCode, Failure> {
    let mut greeting = None;
    loop {
        let Opening { setup, log, settings, mut terminal, fleet } = match opening.take() {
            Some(opening) => opening,
            None => Opening::show(&global, &urls)?,
        };
        crate::shutdown::watch_terminal().map_err(no_terminal)?;
        let opened = until_opened(
            opened(setup.clone(), urls.clone()),
            &mut terminal,
            &fleet,
            &settings.theme,
            &settings.clocks,
        );
        let session = match opened.await.map_err(no_terminal)? {
            Ok(session) => session?,
            Err(left) => return ended(left, out),
        };
        let hello = &session.hello;
        let info = Info {
            fleet: hello.fleet.line().into_string(),
            protect: hello.protect,
            read_only: setup.read_only,
            own_engine: session.is_own(),
            operator: setup.config.operator.clone(),
            flags: setup.flags.clone(),
            fleets: setup.config.fleets.keys().cloned().collect(),
            bell: setup.config.notify.bell,
            desktop: setup.config.notify.desktop,
            rings_from: setup.config.notify.severity,
            objectives: setup.fleet.objectives.clone(),
            presenter: None,
        };
        let joined = !session.is_own();
        if let Some(Err(failure)) = session.registry() {
            greeting = Some(failure.message.line().into_string());
        }
        let start = settings.start(&session, info);
        let start = Start { greeting: greeting.take().or(start.greeting), place: place.take(), ..start };
        let left = run(terminal, start).await.map_err(no_terminal)?;
        if left == ConsoleEnd::Gone {
            // Agents that were named to the engine that has ended stay in this console.
            let snapshot = session.handle.snapshot();
            let rows = snapshot.agents.iter().filter(|(_, agent)| agent.listed);
            let named = rows.filter(|(_, agent)| agent.spec.source == Source::CommandLine);
            urls = named.map(|(_, agent)| agent.spec.url.to_string()).collect();
        }
        session.close(false).await;
        drop(log);
        match left {
            ConsoleEnd::Switch(name) => {
                global.fleet = Some(name);
                // A folder named by hand belongs to the fleet that was left.
                global.data_dir = None;
                urls.clear();
            }
            ConsoleEnd::Gone if joined => {
                greeting =
                    Some("the engine that this console had joined has ended; it is run from here now".into());
            }
            left => return ended(left, out),
        }
    }
}

/// Opens the console on the demo fleet and plays its scenario.
pub(super) async fn demo(
    global: &Global,
    args: &Demo,
    scenario: Scenario,
    fleet: Arc<Fleet>,
    out: &mut Printer,
) -> Result<ExitCode, Failure> {
    needs_terminal()?;
    crate::shutdown::watch_terminal().map_err(no_terminal)?;
    let Stage { setup, dir } = Stage::of(global, args, &scenario)?;
    let setup = setup.of_console();
    let objectives = setup.fleet.objectives.clone();
    let log = super::log_to_file(&setup.dir, global.debug);
    let result = async {
        let made_up = scenario.yesterday(fleet.now());
        let session = Session::on_fleet(&setup, &fleet, scenario.seed, made_up)?;
        let info = Info {
            fleet: setup.name.clone(),
            protect: false,
            read_only: setup.read_only,
            own_engine: true,
            operator: setup.config.operator.clone(),
            flags: format!(" --data-dir {}", shown_path(&setup.dir)),
            fleets: Vec::new(),
            bell: false,
            desktop: false,
            rings_from: crate::domain::problem::Severity::Bad,
            objectives,
            presenter: Some(Presenter { stage: args.stage, tour: args.tour }),
        };
        let options = args.story();
        let engine = session.engine().unwrap_or_else(|| session.handle.clone());
        let story = Story::begin(scenario, fleet.clone(), engine, options);
        // A large fleet has no story; its tasks are sent by other clients, so that they have to be found.
        let calls = (args.agents.is_some() && !args.no_work).then(|| {
            let fleet = fleet.clone();
            tokio::spawn(async move { fleet.call(super::demo::ROUND).await }).abort_handle()
        });
        let commentary = Some(commentary(&story));
        let settings = Appearance::of(&setup);
        let terminal = settings.terminal(&setup.name).map_err(no_terminal)?;
        let start = settings.start(&session, info);
        let greeting = fleet.moved().or(start.greeting.clone());
        let left = run(terminal, Start { commentary, greeting, ..start }).await;
        let left = left.map_err(no_terminal);
        drop(story);
        if let Some(calls) = calls {
            calls.abort();
        }
        session.close(false).await;
        left
    }
    .await;
    drop(log);
    drop(dir);
    ended(result?, out)
}

/// The story of the embedded fleet as a commentary of the console.
fn commentary(story: &Story) -> Commentary {
    let caption = |demo: &crate::demo::Caption| Caption {
        text: demo.text.clone(),
        tour: demo.tour.clone(),
        second: demo.second,
        waits: demo.waits,
    };
    let mut updates = story.captions.clone();
    let (captions, shown) = watch::channel(caption(&updates.borrow_and_update()));
    tokio::spawn(async move {
        // Ends with the story, or once the console is closed.
        loop {
            tokio::select! {
                changed = updates.changed() => if changed.is_err() { break },
                () = captions.closed() => break,
            }
            captions.send_replace(caption(&updates.borrow_and_update()));
        }
    });
    let (cues, mut pressed) = mpsc::channel(CUES);
    let presenter = story.presenter.clone();
    tokio::spawn(async move {
        while let Some(cue) = pressed.recv().await {
            let _dropped_while_full = presenter.try_send(cue == PresenterCommand::Next);
        }
    });
    Commentary { captions: shown, cues }
}

/// Opens a fleet on a thread of its own: reading a large journal takes its time, and the screen has none.
async fn opened(setup: Arc<Setup>, urls: Vec<String>) -> Result<Session, Failure> {
    let (sender, opened) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    let thread = std::thread::Builder::new().name("opening".into()).spawn(move || {
        let session = runtime.block_on(Session::open(&setup, &urls, &Login::default(), true));
        // If the operator left before it was opened, it commits and ends on its own.
        let _somebody_left = sender.send(session);
    });
    if let Err(error) = thread {
        return Err(Failure::internal(format!("no thread can be started: {error}")));
    }
    opened.await.unwrap_or_else(|_| Err(Failure::internal("opening the fleet ended by a fault of its own")))
}

/// How this console looks.
struct Appearance {
    theme: Theme,
    clocks: Clocks,
    mouse: bool,
    preferences: Preferences,
    store: Arc<dyn PreferencesStore>,
    /// Why views that were saved are not there.
    complaint: Option<String>,
}

impl Appearance {
    fn of(setup: &Setup) -> Self {
        let settings = &setup.config.console;
        let mut preferences = super::preferences::of(&setup.config.preferences);
        let store = super::preferences::File::new(setup.dir.join("views.toml"), preferences.views.clone());
        let mut complaint = None;
        match store.read() {
            Ok(views) => preferences.views = views,
            Err(why) => complaint = Some(format!("saved views are not shown: {why}")),
        }
        Self {
            preferences,
            store: Arc::new(store),
            complaint,
            theme: Theme::load(&settings.theme, Depth::detect(), settings.ascii || !speaks_unicode()),
            clocks: Clocks::new(&settings.zone),
            mouse: settings.mouse,
        }
    }

    fn terminal(&self, fleet: &str) -> std::io::Result<Terminal> {
        Terminal::take(self.mouse, &format!("quarterdeck {fleet}"))
    }

    fn start(self, session: &Session, info: Info) -> Start {
        Start {
            handle: session.handle.clone(),
            info,
            theme: self.theme,
            clocks: self.clocks,
            mouse: self.mouse,
            commentary: None,
            greeting: self.complaint,
            place: None,
            preferences: self.preferences,
            store: self.store,
        }
    }
}

fn ended(left: ConsoleEnd, out: &mut Printer) -> Result<ExitCode, Failure> {
    match left {
        ConsoleEnd::Quit(words) => {
            if !words.is_empty() {
                out.warn(words);
            }
            Ok(ExitCode::SUCCESS)
        }
        ConsoleEnd::Signal(number) => Ok(ExitCode::from(u8::try_from(128 + number).unwrap_or(129))),
        ConsoleEnd::Gone => Err(Failure::internal("the engine has ended by a fault of its own")
            .hint("start again: nothing that was decided is lost; --debug writes down what happens")),
        ConsoleEnd::Switch(_) => Ok(ExitCode::SUCCESS),
    }
}

fn needs_terminal() -> Result<(), Failure> {
    if std::io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Failure::usage("the console needs a terminal, and this is none").hint(
        "verbs work without one: quarterdeck agents, task list, inbox, problems; quarterdeck demo --headless",
    ))
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn no_terminal(error: std::io::Error) -> Failure {
    Failure::internal(format!("the terminal cannot be used: {error}"))
}

/// A word that looks like no URL is a mistyped verb.
fn no_verb(word: &str) -> Result<(), Failure> {
    if word.contains(['.', ':', '/']) || word == "localhost" || std::path::Path::new(word).is_file() {
        return Ok(());
    }
    let cli = Cli::command();
    let verbs: Vec<&str> = cli.get_subcommands().map(clap::Command::get_name).collect();
    if verbs.contains(&word) {
        return Err(Failure::usage(format!("the command {word} comes after a URL"))
            .hint(format!("write the command first: `quarterdeck {word} --help` shows what it accepts")));
    }
    let failure = Failure::usage(format!("there is no verb {word:?}, and it is no URL"));
    Err(match nearest(word, &verbs) {
        Some(verb) => failure.hint(format!("did you mean `quarterdeck {verb}`?")),
        None => failure.hint("quarterdeck help names every verb"),
    })
}

/// True if the locale uses UTF-8; without a locale ASCII is safe.
fn speaks_unicode() -> bool {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
    match locale {
        Some(locale) => {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        }
        // Terminals of today speak it even where no locale is set, as in containers.
        None => true,
    }
}
