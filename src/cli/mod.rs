//! The command line: one file a command; results on stdout, everything else on stderr.

pub mod agents;
pub mod args;
pub mod audit;
pub mod batch;
pub mod breaker;
pub mod bulk;
mod cancel;
mod card;
pub mod check;
mod config;
mod console;
mod demo;
pub mod drain;
pub mod drill;
mod handover;
pub mod inbox;
mod login;
pub mod logs;
pub mod metrics;
mod output;
mod preferences;
pub mod problems;
pub mod protocol_json;
pub mod queue;
mod race;
mod receiver;
mod registry;
mod reload;
pub mod reroute;
mod route;
mod send;
mod serve;
mod session;
pub mod shift;
mod stored;
mod task;
pub mod task_args;
pub mod traces;
mod uncertain;
mod watched_task;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory;

use args::{Cli, Command, Output};
use console::Opening;
use output::{Failure, Printer};

use crate::shutdown::{self, Reason};

/// The time that a command has to report the state once the process must end.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// The time to close an engine that other clients use.
const CLOSING: Duration = Duration::from_millis(1200);

/// Runs the command line.
pub fn run() -> ExitCode {
    // Nothing runs before this, so that signals are handled in every phase.
    let listening = shutdown::install(crate::tui::terminal::restore_in_time);
    let words: Vec<OsString> = std::env::args_os().collect();
    let cli = match refuse_empty(&words).and_then(|()| Cli::of(&words)) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    report_panics_safely();
    if let Err(error) = listening {
        Printer::new(Output::Text).warn(format!("signals are not listened for: {error}"));
    }
    let opens_console = matches!(&cli.command, None | Some(Command::Open { .. }));
    let has_screen = opens_console || matches!(&cli.command, Some(Command::Demo(args)) if !args.headless);
    if !has_screen {
        log_to_stderr(cli.global.debug);
    }
    raise_open_files();
    let mut out = Printer::new(cli.global.output);
    let opening = match opens_console.then(|| Opening::show(&cli.global, &cli.urls)).transpose() {
        Ok(opening) => opening,
        Err(failure) => return out.fail(&failure),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            drop(opening);
            return out.fail(&Failure::internal(format!("no runtime: {error}")));
        }
    };
    let result = runtime.block_on(async {
        let closes_an_engine = opens_console
            || matches!(cli.command, Some(Command::Serve(_) | Command::Demo(_) | Command::Batch(_)));
        let grace = if closes_an_engine { CLOSING } else { LAST_WORDS };
        let result = tokio::select! {
            result = dispatch(cli, opening, &mut out) => Some(result),
            () = async { shutdown::requested().await; tokio::time::sleep(grace).await } => None,
        };
        // Commit decisions before exiting, also after an interrupt.
        crate::engine::all_ended(Duration::from_secs(5)).await;
        result
    });
    let code = match (result, shutdown::reason()) {
        // Output that was not written makes the command fail, whatever its result.
        (_, Some(reason @ (Reason::PipeClosed | Reason::OutputFailed))) => ExitCode::from(reason.exit_code()),
        (Some(Ok(code)), _) => code,
        (Some(Err(failure)), _) => out.fail(&failure),
        (None, reason) => ExitCode::from(reason.map_or(1, Reason::exit_code)),
    };
    runtime.shutdown_timeout(Duration::from_millis(200));
    for fault in faults().drain(..) {
        Printer::new(Output::Text).warn(fault);
    }
    code
}

async fn dispatch(cli: Cli, opening: Option<Opening>, out: &mut Printer) -> Result<ExitCode, Failure> {
    let global = &cli.global;
    match cli.command {
        None => console::open(opening, cli.global.clone(), cli.urls, None, out).await,
        Some(Command::Demo(args)) => demo::run(global, args, out).await,
        Some(Command::Serve(args)) => serve::run(global, args, out).await,
        Some(Command::Agents(args)) => agents::run(global, args, out).await,
        Some(Command::Card(args)) => card::run(global, args, out).await,
        Some(Command::Send(args)) => send::run(global, *args, out).await,
        Some(Command::Batch(args)) => batch::run(global, *args, out).await,
        Some(Command::Task(args)) => task::run(global, args, out).await,
        Some(Command::Route(args)) => route::run(global, args, out).await,
        Some(Command::Inbox(args)) => inbox::run(global, args, out).await,
        Some(Command::Metrics(args)) => metrics::run(global, args, out).await,
        Some(Command::Problems(args)) => problems::run(global, args, out).await,
        Some(Command::Traces(args)) => traces::run(global, *args, out).await,
        Some(Command::Logs(args)) => logs::run(global, args, out).await,
        Some(Command::Drain(args)) => drain::run(global, *args, out).await,
        Some(Command::Drill(args)) => drill::run(global, *args, out).await,
        Some(Command::Queue(args)) => queue::run(global, args, out).await,
        Some(Command::Breaker(args)) => breaker::run(global, args, out).await,
        Some(Command::Audit(args)) => audit::run(global, args, out).await,
        Some(Command::Note(args)) => handover::note(global, args, out).await,
        Some(Command::Handover(args)) => handover::run(global, args, out).await,
        Some(Command::Open { reference }) => {
            console::open(opening, cli.global.clone(), Vec::new(), Some(reference), out).await
        }
        Some(Command::Config(args)) => config::run(global, args, out),
        Some(Command::Completion { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "quarterdeck", &mut script);
            out.plain(&String::from_utf8_lossy(&script));
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Man) => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command())
                .render(&mut page)
                .map_err(|error| Failure::internal(error.to_string()))?;
            out.plain(&String::from_utf8_lossy(&page));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Refuses an empty value: in a script it is a variable that is not set, and without it a command would start other work,
/// or do it to more. An empty message has words of its own.
fn refuse_empty(words: &[OsString]) -> Result<(), clap::Error> {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let sends = words.iter().any(|word| word == "send");
    for (at, word) in words.iter().enumerate().skip(1) {
        if word == "--" {
            break;
        }
        let before = &words[at - 1];
        let option = match word.strip_suffix('=').filter(|option| option.starts_with("--")) {
            Some(option) => option,
            None if !word.is_empty() => continue,
            None if before.len() > 1 && before.starts_with('-') && !before.contains('=') => before,
            None if sends => continue,
            None => "",
        };
        if option == "--text" {
            continue;
        }
        let what =
            if option.is_empty() { "an argument".to_owned() } else { format!("the value of {option}") };
        let text = format!("{what} is empty; if it comes from a variable, look whether that is set\n");
        return Err(clap::Error::raw(clap::error::ErrorKind::InvalidValue, text));
    }
    Ok(())
}

/// Reports usage errors in the chosen format; help and version are not errors.
fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _nobody_reads_it = error.print();
        return ExitCode::SUCCESS;
    }
    let words: Vec<String> = std::env::args().collect();
    let json =
        words.windows(2).any(|pair| matches!(pair[0].as_str(), "-o" | "--output") && pair[1] == "json")
            || words.iter().any(|word| word == "--output=json" || word == "-ojson");
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand && !json {
        let _nobody_reads_it = error.print();
        return ExitCode::from(2);
    }
    // One form for every failure, whoever found it.
    let text = error.to_string();
    let form = text.lines().find_map(|line| line.strip_prefix("Usage: "));
    let hint = match form {
        Some(form) => format!("the form is {form}; --help says more"),
        None => "quarterdeck help names every verb and flag".to_owned(),
    };
    let failure = Failure::usage(error_in_one_line(&text)).hint(hint);
    Printer::new(if json { Output::Json } else { Output::Text }).fail(&failure)
}

/// What was wrong, as far as the usage behind it; what is missing or possible stands on lines of its own there.
fn error_in_one_line(text: &str) -> String {
    let lines = text.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let mut message = String::new();
    for line in lines.map(str::trim).filter(|line| !line.is_empty()) {
        let between = if message.is_empty() {
            ""
        } else if message.ends_with(':') {
            " "
        } else if line.starts_with('[') || line.starts_with("tip:") {
            "; "
        } else {
            ", "
        };
        message.push_str(between);
        message.push_str(line);
    }
    message.trim_start_matches("error: ").to_owned()
}

/// The log filter: `QUARTERDECK_LOG`, or all of our own modules with `--debug`.
fn log_filter(debug: bool) -> Option<tracing_subscriber::EnvFilter> {
    use tracing_subscriber::EnvFilter;
    match std::env::var("QUARTERDECK_LOG") {
        Ok(filter) => EnvFilter::try_new(filter).ok(),
        Err(_) => debug.then(|| EnvFilter::new("quarterdeck=debug")),
    }
}

fn log_to_stderr(debug: bool) {
    let Some(filter) = log_filter(debug) else { return };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .finish();
    let _another_one_is_there = tracing::subscriber::set_global_default(subscriber);
}

/// While the console is open, logs go to a file; it is complete when this is dropped.
fn log_to_file(dir: &std::path::Path, debug: bool) -> Option<tracing_appender::non_blocking::WorkerGuard> {
    let filter = log_filter(debug)?;
    crate::store::make_dir(dir).ok()?;
    let (writer, guard) =
        tracing_appender::non_blocking(tracing_appender::rolling::never(dir, "quarterdeck.log"));
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false).finish();
    let _another_one_is_there = tracing::subscriber::set_global_default(subscriber);
    Some(guard)
}

/// Panics in background tasks, printed once the console is closed.
static FAULTS: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());

fn faults() -> std::sync::MutexGuard<'static, Vec<String>> {
    FAULTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A fault of our own gives the terminal back first, and its words are made safe: they may quote an agent.
/// A fault beside the screen's own thread leaves the screen standing.
fn report_panics_safely() {
    std::panic::set_hook(Box::new(|panic| {
        let words = panic.payload_as_str().unwrap_or("without words");
        let place =
            panic.location().map(|place| format!("{}:{}", place.file(), place.line())).unwrap_or_default();
        let text = format!("a fault in quarterdeck itself, at {place}: {words}; please report it");
        tracing::error!("{}", crate::domain::text::Untrusted::from(text.as_str()).line());
        if crate::tui::terminal::is_taken() && std::thread::current().name() != Some("main") {
            return faults().push(text);
        }
        crate::tui::terminal::restore();
        Printer::new(Output::Text).warn(text);
    }));
}

/// A fleet needs more open files than the usual soft limit.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _the_soft_limit_stays = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// A warning to stderr, once for each text.
fn warn_once(text: &str) {
    use std::collections::BTreeSet;
    use std::sync::{Mutex, PoisonError};
    static WARNED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
    if warned.insert(text.to_owned()) {
        Printer::new(Output::Text).warn(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_values_are_refused_with_their_option() {
        for (line, fault) in [
            ("send|-a|js10|hello", None),
            ("send|-a|js10|", None),
            ("send|-a|js10|--text|", None),
            ("send|-a|js10|--|", None),
            ("send|-a|js10|--task-id||hello", Some("the value of --task-id is empty")),
            ("send|-a|js10|--context-id=|hello", Some("the value of --context-id is empty")),
            ("send|-a||hello", Some("the value of -a is empty")),
            ("task|list|--context-id|", Some("the value of --context-id is empty")),
            ("task|cancel|", Some("an argument is empty")),
        ] {
            let words: Vec<OsString> =
                ["quarterdeck"].into_iter().chain(line.split('|')).map(Into::into).collect();
            let error = refuse_empty(&words).err().map(|error| error.to_string());
            let fits = match fault {
                Some(fault) => error.as_ref().is_some_and(|error| error.contains(fault)),
                None => error.is_none(),
            };
            assert!(fits, "{line}: {error:?}");
        }
    }
}
