//! `batch`: sends a file of messages, some at a time, and prints the result of each.
//!
//! The id of each job follows from the batch and the line, so that a command that was interrupted finds what it has sent.

pub mod args;
mod input;
mod item;
mod outcome;
mod pace;
mod place;
mod progress;
mod summary;
mod tracker;
mod window;

use std::cell::Cell;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior};

use super::args::{Global, Login, RouteTarget};
use super::output::{Failure, Printer};
use super::route;
use super::send::reach;
use super::session::{Session, Setup, probed};
use crate::domain::intent::Refusal;
use crate::domain::route::Target;
use crate::engine::handle::wire::Tasks;
use crate::shutdown::{self, Reason};
use args::Batch as Args;
use input::{Line, Message, Source, counted, read};
use item::{Ended, Item, Sender};
use outcome::State;
use pace::Pace;
use progress::{Progress, Reached};
use summary::Summary;
use tracker::Tracker;
use window::Window;

/// How often the progress is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(200);
/// The time in which every agent is probed, so that the router knows their skills.
const FIND: Duration = Duration::from_secs(10);
/// When the batch is interrupted, messages on their way have this long to arrive, so that few of them are uncertain.
const ARRIVES: Duration = Duration::from_millis(700);

/// Why no more is sent.
#[derive(Debug)]
enum Stop {
    /// Every line was read.
    End,
    /// The process has to end.
    Interrupted(Reason),
}

pub(super) async fn run(global: &Global, args: Args, out: &mut Printer) -> Result<ExitCode, Failure> {
    let result = open_and_send(global, &args, out).await;
    match result {
        // Results are JSON Lines, so an error is one too.
        Err(failure) if out.is_json() => {
            out.line(&failure.to_json());
            if out.shows_progress() {
                let hint = failure.hint.iter().map(|hint| format!("; {}", hint.line()));
                out.warn(format!("{}{}", failure.message.line(), hint.collect::<String>()));
            }
            Ok(ExitCode::from(failure.exit))
        }
        result => result.map(|()| ExitCode::SUCCESS),
    }
}

async fn open_and_send(global: &Global, args: &Args, out: &mut Printer) -> Result<(), Failure> {
    let setup = Setup::load(global)?.of_open_tasks();
    if setup.read_only {
        return Err(Failure::from_refusal(&Refusal::ReadOnly));
    }
    let source = Source::open(&args.file).map_err(|error| unreadable(args, &error))?;
    let login = args.target.login.clone();
    let words = target_words(&args.route);
    let (session, to) = match &args.target.agent {
        Some(_) if args.route.tag.is_some() || args.route.route.is_some() => {
            return Err(Failure::usage(
                "-a names one agent, and --tag and --route let the router choose: write one of them",
            ));
        }
        Some(agent) => {
            let (session, id) = reach(&setup, agent, &login).await?;
            (session, Some((agent.as_str(), Target::Agent(id))))
        }
        None => {
            let session = Session::open(&setup, &[], &login, false).await?;
            let by_rules = route::has_rules(&session).await.then_some(Target::Any);
            let to = route::target(&args.route).or(by_rules).map(|target| (words.as_str(), target));
            if to.is_some() {
                // An engine that has just started does not know yet who has which skill.
                probed(&session.handle, None, FIND).await;
            }
            (session, to)
        }
    };
    if session.is_own() && session.socket().is_none() {
        out.warn("the agent is not in the fleet, so nothing is kept: an interrupted batch would send everything again");
    }
    let mut engine = Engine { setup, session, login };
    let result = send_all(args, &mut engine, to, source, out).await;
    engine.session.close(result.is_ok()).await;
    result
}

/// The engine that runs now.
struct Engine {
    setup: Setup,
    session: Session,
    login: Login,
}

impl Engine {
    /// The engine changed hands or ended, or its other rows are needed: it is joined again.
    async fn reopen(&mut self, tracker: &Tracker) -> Result<(), Failure> {
        tracing::debug!("joins the engine again");
        // What is waited for may be over meanwhile.
        self.setup.tasks = Tasks::All;
        let next = Session::open(&self.setup, &[], &self.login, false).await?;
        tracker.join(next.handle.clone());
        std::mem::replace(&mut self.session, next).close(false).await;
        Ok(())
    }
}

async fn send_all(
    args: &Args,
    engine: &mut Engine,
    to: Option<(&str, Target)>,
    source: Source,
    out: &mut Printer,
) -> Result<(), Failure> {
    let name = name(args);
    let flags = engine.setup.flags.clone();
    let tracker = Tracker::new(engine.session.handle.clone());
    let (pace, wants_all, stopped) = (Pace::new(args.rate), Notify::new(), Cell::new(false));
    let sender = Sender {
        batch: &name,
        tracker: &tracker,
        pace: &pace,
        to,
        retries: args.retries,
        timeout: args.timeout,
        repeats: args.repeat > 1,
        is_json: out.is_json(),
        flags: &flags,
        stopped: &stopped,
        new_lines: Cell::new(0),
        wants_all: &wants_all,
    };
    let source = if args.strict { checked(args, source, &sender, out).await? } else { source };
    let (source, total) = counted(source, out.shows_progress()).await;
    let lines = read(source);
    let run = Run {
        args,
        lines,
        window: Window::new(args.order, args.concurrency),
        summary: Summary::default(),
        progress: Progress::default(),
        shown: None,
        total: total.map(|lines| lines.saturating_mul(u64::from(args.repeat))),
    };
    run.run(&sender, engine, out).await
}

/// What tells the targets of one file apart.
fn target_words(route: &RouteTarget) -> String {
    let RouteTarget { skill, tag, route } = route;
    let named = [("skill", skill), ("tag", tag), ("route", route)];
    let words = named.iter().filter_map(|(kind, name)| Some(format!("{kind} {}", name.as_ref()?)));
    words.collect::<Vec<_>>().join(", ")
}

/// The name of the batch.
fn name(args: &Args) -> String {
    let file = || args.file.file_name().map(|name| name.to_string_lossy().into_owned());
    args.name.clone().or_else(file).unwrap_or_else(|| "-".into())
}

fn unreadable(args: &Args, error: &io::Error) -> Failure {
    Failure::usage(format!("{} cannot be read: {error}", args.file.display()))
}

/// Checks every line before anything is sent.
async fn checked(
    args: &Args,
    source: Source,
    sender: &Sender<'_>,
    out: &mut Printer,
) -> Result<Source, Failure> {
    let file = tokio::task::spawn_blocking(|| source.into_file()).await;
    let file =
        Arc::new(file.unwrap_or_else(|error| Err(error.into())).map_err(|error| unreadable(args, &error))?);
    let again = file.try_clone().map_err(|error| unreadable(args, &error))?;
    let mut lines = read(Source::File(again));
    let (mut all, mut faulty) = (0_u64, 0_u64);
    while let Some(line) = lines.recv().await {
        let Line { number, content } = line.map_err(|error| unreadable(args, &error))?;
        all += 1;
        let fault = match content {
            Ok(message) => sender.target(&message).err(),
            Err(fault) => Some(Failure::usage(fault)),
        };
        if let Some(fault) = fault {
            faulty += 1;
            out.plain(&sender.invalid(0, number, fault).printed);
        }
    }
    if faulty > 0 {
        let words = if faulty == 1 { "1 line is" } else { &format!("{faulty} lines are") };
        return Err(Failure::usage(format!("{words} not valid of {all}, and nothing was sent"))
            .hint("correct them; without --strict the others are sent"));
    }
    input::rewind(&file).map_err(|error| unreadable(args, &error))?;
    let file = Arc::into_inner(file).ok_or_else(|| Failure::internal("the file is in use"))?;
    Ok(Source::File(file))
}

/// A line of which some repetitions have not begun.
struct Begun {
    line: u64,
    message: Arc<Message>,
    /// Those that have.
    repeats: u32,
}

/// A batch under way.
struct Run<'r> {
    args: &'r Args,
    lines: mpsc::Receiver<io::Result<Line>>,
    window: Window,
    summary: Summary,
    progress: Progress,
    /// The progress as shown last: printing a result erases it.
    shown: Option<String>,
    total: Option<u64>,
}

impl Run<'_> {
    async fn run(
        mut self,
        sender: &Sender<'_>,
        engine: &mut Engine,
        out: &mut Printer,
    ) -> Result<(), Failure> {
        let begun_at = Instant::now();
        let mut in_progress = FuturesUnordered::new();
        let mut begun: Option<Begun> = None;
        let (mut is_read, mut fault) = (false, None);
        let interrupt = shutdown::requested();
        tokio::pin!(interrupt);
        let mut snapshots = engine.session.handle.watch();
        let mut tick = tokio::time::interval(SHOWN_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let stop = loop {
            let may_begin = in_progress.len() < usize::from(self.args.concurrency) && self.window.is_open();
            if may_begin && let Some(current) = &mut begun {
                current.repeats += 1;
                in_progress.push(sender.run(Item {
                    place: self.window.begin(),
                    line: current.line,
                    repeat: current.repeats,
                    message: current.message.clone(),
                }));
                begun = begun.filter(|current| current.repeats < self.args.repeat);
                continue;
            }
            if is_read && begun.is_none() && in_progress.is_empty() {
                break Stop::End;
            }
            tokio::select! {
                biased;
                reason = &mut interrupt => break Stop::Interrupted(reason),
                Some(ended) = in_progress.next() => self.print(ended, out),
                changed = snapshots.changed() => match changed {
                    Ok(()) => sender.tracker.look(),
                    Err(_) => {
                        engine.reopen(sender.tracker).await?;
                        snapshots = engine.session.handle.watch();
                    }
                },
                () = engine.session.handed_over() => {
                    engine.reopen(sender.tracker).await?;
                    snapshots = engine.session.handle.watch();
                }
                () = sender.wants_all.notified() => if engine.setup.tasks == Tasks::Open {
                    engine.reopen(sender.tracker).await?;
                    snapshots = engine.session.handle.watch();
                },
                line = self.lines.recv(), if may_begin && begun.is_none() && !is_read => match line {
                    Some(Ok(Line { number, content: Ok(message) })) => {
                        begun = Some(Begun { line: number, message: Arc::new(message), repeats: 0 });
                    }
                    Some(Ok(Line { number, content: Err(fault) })) => {
                        let place = self.window.begin();
                        self.print(sender.invalid(place, number, Failure::usage(fault)), out);
                    }
                    Some(Err(error)) => (is_read, fault) = (true, Some(unreadable(self.args, &error))),
                    None => is_read = true,
                },
                _ = tick.tick() => {
                    let (ended, bad) = (self.summary.ended(), self.summary.bad());
                    let in_progress = in_progress.len();
                    let reached = Reached { ended, total: self.total, bad, in_progress };
                    let line = self.progress.line(Instant::now(), reached);
                    out.progress(line.as_str());
                    self.shown = Some(line);
                }
            }
        };
        sender.stopped.set(true);
        let is_whole = matches!(stop, Stop::End) && fault.is_none();
        if matches!(stop, Stop::Interrupted(_)) && engine.session.is_own() {
            let arrived = async {
                while sender.tracker.is_sending() {
                    tokio::select! {
                        Some(ended) = in_progress.next() => self.print(ended, out),
                        changed = snapshots.changed() => match changed {
                            Ok(()) => sender.tracker.look(),
                            Err(_) => return,
                        },
                    }
                }
            };
            let _the_rest_is_looked_for_at_the_next_start = tokio::time::timeout(ARRIVES, arrived).await;
        }
        self.finish(sender, begun_at.elapsed(), is_whole, out);
        match (stop, fault) {
            (Stop::Interrupted(reason), _) => Err(self.interrupted(reason)),
            (Stop::End, Some(fault)) => Err(fault),
            (Stop::End, None) => Ok(()),
        }
    }

    fn print(&mut self, ended: Ended, out: &mut Printer) {
        self.summary.count(ended.counted);
        for line in self.window.end(ended.place, ended.printed) {
            out.plain(&line);
        }
        if let Some(shown) = &self.shown {
            out.progress(shown.as_str());
        }
    }

    fn finish(&self, sender: &Sender<'_>, elapsed: Duration, is_whole: bool, out: &mut Printer) {
        if out.is_json() {
            out.line(&self.summary.json(sender.batch, elapsed, is_whole));
            // Whoever watched the progress may not see the results.
            if out.shows_progress() {
                out.warn(self.summary.sentence(elapsed));
            }
        } else {
            self.summary.print(elapsed, out);
        }
        if !is_whole {
            return;
        }
        let (earlier, ended) = (self.summary.earlier(), self.summary.ended());
        if earlier > 0 {
            out.warn(format!(
                "{earlier} of {ended} had been sent by an earlier run of this batch; another --name sends them again"
            ));
        }
        let again = self.summary.of(&[State::Unsent, State::Refused, State::Failed]);
        if again > 0 {
            let retries = self.args.retries.saturating_add(1);
            out.warn(format!(
                "{again} of {ended} were unsent or refused, or failed; the same command with --retries {retries} sends \
                 them again"
            ));
        }
        let uncertain = self.summary.of(&[State::Uncertain]);
        if uncertain > 0 {
            out.warn(format!(
                "{uncertain} of {ended} may have arrived or not, and are not sent again; `quarterdeck inbox` lists them"
            ));
        }
    }

    fn interrupted(&self, reason: Reason) -> Failure {
        let ended = self.summary.ended();
        let of = self.total.map_or_else(String::new, |total| format!(" of {total}"));
        let words = format!("stopped after {ended}{of} items");
        let hint = if self.args.file.as_os_str() == "-" {
            "the same command with the same input goes on where it was"
        } else {
            "the same command goes on where it was"
        };
        Failure::new(reason.exit_code(), "QUARTERDECK_ERR_INTERRUPTED", words).hint(hint)
    }
}
