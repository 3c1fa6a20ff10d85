//! The command line's arguments: subcommands, options and their help texts.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::task_args::{Again, Cancel, Race};
use crate::config::units;

/// Terminal supervisor and observability console for fleets of A2A agents.
///
/// Without a command it opens the console on the selected fleet. URLs add agents to the fleet for this run.
#[derive(Parser, Debug)]
#[command(name = "quarterdeck", version, disable_version_flag = true, max_term_width = 100)]
#[command(subcommand_negates_reqs = true)]
// URLs before a command are none of its own.
#[command(override_usage = "quarterdeck [OPTIONS] [URL]...\n       quarterdeck [OPTIONS] <COMMAND>")]
#[command(
    after_help = "`quarterdeck demo` runs the console on an embedded fleet. Exit codes: 0 success, whatever the agent \
decided; 1 general error; 2 usage error; 3 agent unreachable; 4 login needed; 5 timeout."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    /// Command to run; without one the console opens.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// URLs of agents to add for this run.
    #[arg(value_name = "URL")]
    pub urls: Vec<String>,
    /// Print the version.
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    pub version: Option<bool>,
}

/// A command line without a command, which opens the console. Describing every command to the parser would delay its
/// first frame.
#[derive(Parser)]
#[command(disable_help_flag = true)]
struct ConsoleOnly {
    #[command(flatten)]
    global: Global,
    urls: Vec<String>,
}

impl Cli {
    /// Parses a command line, the program's name first.
    ///
    /// # Errors
    /// It cannot be understood, or asks for help.
    pub fn of(words: &[OsString]) -> Result<Self, clap::Error> {
        let is_command = |word: &OsString| {
            word.to_str().is_some_and(|word| word == "help" || Command::has_subcommand(word))
        };
        if !words.iter().skip(1).any(is_command)
            && let Ok(ConsoleOnly { global, urls }) = ConsoleOnly::try_parse_from(words)
        {
            return Ok(Self { global, command: None, urls, version: None });
        }
        Self::try_parse_from(words)
    }
}

/// Options of every command.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// Configuration file [default: the file named by `quarterdeck config show`].
    #[arg(long, global = true, value_name = "PATH", env = "QUARTERDECK_CONFIG")]
    pub config: Option<PathBuf>,
    /// Fleet to use [default: the configured default_fleet].
    #[arg(long, global = true, value_name = "NAME", env = "QUARTERDECK_FLEET")]
    pub fleet: Option<String>,
    /// Folder of the fleet's data [default: the configured data_dir].
    #[arg(long, global = true, value_name = "DIR", env = "QUARTERDECK_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Only watch and read: refuse every action of this console or command, such as send or cancel. Others are not affected.
    #[arg(long, global = true)]
    pub read_only: bool,
    /// Output format.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Text, env = "A2ACLI_OUTPUT")]
    pub output: Output,
    /// Write a debug log to stderr; secrets are redacted.
    #[arg(long, global = true)]
    pub debug: bool,
}

/// Output format.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// One `Label: value` per line, with blocks for longer values.
    Text,
    /// One JSON document; JSON Lines with --stream.
    Json,
}

/// Subcommands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run the embedded demo fleet: fifteen agents and a one-minute storm.
    Demo(Demo),
    /// Run the engine without a console; consoles and commands attach to it.
    Serve(Serve),
    /// List the fleet with its health after a round of probes.
    Agents(Agents),
    /// Show or validate an agent's card.
    #[command(subcommand)]
    Card(Card),
    /// Send a message that starts a task or answers one.
    Send(Box<Send>),
    /// Send a file of messages, one a line, and print the result of each.
    Batch(Box<super::batch::args::Batch>),
    /// Read and control tasks of all agents.
    #[command(subcommand)]
    Task(Task),
    /// Show the rules of routing, explain a decision, or check the rules.
    #[command(subcommand)]
    Route(Route),
    /// List tasks that need an operator, oldest first.
    Inbox(Scope),
    /// List open problems with the next step of each; take or mute them.
    Problems(Problems),
    /// Print throughput, success rate and latency by agent, skill or caller, compared with an earlier window.
    Metrics(Metrics),
    /// List traces, or show what one task did across agents and where its time went.
    Traces(Box<super::traces::Traces>),
    /// Print what agents logged.
    Logs(super::logs::Logs),
    /// Take an agent out of service and wait until nothing runs there, or put it back.
    Drain(Box<super::drain::Drain>),
    /// Show what would happen if agents died now; on a demo fleet, let them die for real.
    Drill(Box<super::drill::Drill>),
    /// List the jobs that wait for an agent, and those that were given up; try one of these again.
    Queue(super::queue::Queue),
    /// Hold an agent's breaker open or closed, or return it to automatic.
    Breaker(super::breaker::Breaker),
    /// Show who did what, verify that no record of it was changed, or export it.
    Audit(super::audit::Audit),
    /// Record a note for the next operator.
    Note(Note),
    /// Summarize open problems, actions and notes for the next shift.
    Handover(Handover),
    /// Open the console at a problem, agent, task, job, trace, conversation or saved view; used by alerts and links.
    Open {
        /// Problem number such as p-17, a name, or an id.
        #[arg(value_name = "REF")]
        reference: String,
    },
    /// Show, check or explain the configuration.
    #[command(subcommand)]
    Config(Config),
    /// Print a shell completion script.
    Completion {
        /// Shell to print the script for.
        shell: Shell,
    },
    /// Print the manual page.
    Man,
}

/// `metrics`
#[derive(Args, Debug)]
pub struct Metrics {
    /// Show only this agent, skill or caller.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Grouping of the rows.
    #[arg(long, value_enum, default_value_t = MetricsBy::Agent)]
    pub by: MetricsBy,
    /// Time window up to now, such as 5m, 6h or 7d; at most 30d, the time that metrics are kept.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = window)]
    pub window: std::time::Duration,
    /// Comparison: a window of the same length an hour, a day or a week earlier.
    #[arg(long, value_enum, default_value_t = MetricsWas::Day)]
    pub was: MetricsWas,
}

/// Grouping of metrics.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetricsBy {
    /// One row per agent.
    Agent,
    /// One row per requested skill.
    Skill,
    /// One row per caller.
    Caller,
    /// One row per rule of routing, and one per skill of what no rule dispatched.
    Rule,
}

/// Offset of the window that metrics are compared with.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetricsWas {
    /// An hour earlier.
    Hour,
    /// A day earlier.
    Day,
    /// A week earlier.
    Week,
}

fn window(text: &str) -> Result<std::time::Duration, String> {
    let time = crate::domain::time::duration(text)?;
    let days = std::time::Duration::from_secs(30 * 24 * 3600);
    if time > days {
        return Err("metrics are kept for thirty days; write 30d or less".into());
    }
    Ok(time)
}

/// `demo`
#[derive(Args, Debug)]
pub struct Demo {
    /// Scenario: storm (the default), checkout (an incident to practise on), hostile, document, or the path of a file.
    #[arg(long, value_name = "NAME")]
    pub scenario: Option<String>,
    /// Seed of everything that looks random: the same seed tells the same story [default: the scenario's seed].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Run N agents instead of a scenario: steady ones, or with `--scenario hostile` hostile ones and a good one.
    #[arg(long, value_name = "N")]
    pub agents: Option<usize>,
    /// Percentage of the agents that are faulty from the start.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub faults: u32,
    /// Run without a console: print one JSON line per agent once all are listening, then run until stopped. A scenario
    /// with an incident also runs the engine, and prints a line per step of the operator once it is done; with
    /// `--unattended` it ends after the last step.
    #[arg(long)]
    pub headless: bool,
    /// A built-in "demo operator" answers questions and takes the steps of an incident, as nobody sits at the keys.
    #[arg(long)]
    pub unattended: bool,
    /// Do not send any tasks to the agents.
    #[arg(long)]
    pub no_work: bool,
    /// Presentation mode: large captions, display of pressed keys, and beats that wait for `.`.
    #[arg(long)]
    pub stage: bool,
    /// Guided tour: say which key to press next.
    #[arg(long)]
    pub tour: bool,
    /// Color theme: dark, light (for projectors) or mono [default: the configured theme].
    #[arg(long, value_name = "NAME", value_parser = ["dark", "light", "mono"])]
    pub theme: Option<String>,
    /// Speed factor, from 0.1 to 100; 2 runs twice as fast.
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
}

impl Demo {
    /// The scenario to play, `storm` by default.
    pub fn scenario_name(&self) -> &str {
        self.scenario.as_deref().unwrap_or("storm")
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.1..=100.0).contains(&speed) => Ok(speed),
        _ => Err("write a number between 0.1 and 100".into()),
    }
}

/// `serve`
#[derive(Args, Debug)]
pub struct Serve {
    /// URLs of agents to add for this run.
    #[arg(value_name = "URL")]
    pub urls: Vec<String>,
}

/// `agents`
#[derive(Args, Debug)]
pub struct Agents {
    /// URLs of agents to list; they are added to the fleet for this run.
    #[arg(value_name = "URL")]
    pub urls: Vec<String>,
    /// List agents that other agents' cards name and that are not in the fleet.
    #[arg(long)]
    pub candidates: bool,
    /// Add an agent to the fleet permanently; may be repeated.
    #[arg(long, value_name = "URL")]
    pub add: Vec<String>,
    /// Remove an agent that was added permanently; may be repeated.
    #[arg(long, value_name = "NAME|URL")]
    pub remove: Vec<String>,
    /// Reason for --remove, recorded in the audit.
    #[arg(long, value_name = "TEXT", requires = "remove")]
    pub why: Option<String>,
    #[command(flatten)]
    pub login: Login,
    /// Maximum time for the round of probes.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::duration, env = "A2ACLI_TIMEOUT")]
    pub timeout: std::time::Duration,
}

/// `card …`
#[derive(Subcommand, Debug)]
pub enum Card {
    /// Fetch and show an agent's card.
    Get {
        #[command(flatten)]
        target: Target,
        /// Report what the specification requires but the card lacks.
        #[arg(long)]
        validate: bool,
    },
}

/// The agent that the command contacts.
#[derive(Args, Clone, Debug)]
pub struct Target {
    /// Agent: its name in the fleet, its origin, the URL of its card, or a card file.
    #[arg(short = 'a', long = "agent-card", value_name = "REF", env = "A2ACLI_AGENT_CARD")]
    pub agent: String,
    #[command(flatten)]
    pub login: Login,
}

/// The agent that the command contacts, for commands that can do without.
#[derive(Args, Clone, Debug)]
pub struct OptionalTarget {
    /// Agent: its name in the fleet, its origin, the URL of its card, or a card file.
    #[arg(short = 'a', long = "agent-card", value_name = "REF", env = "A2ACLI_AGENT_CARD")]
    pub agent: Option<String>,
    #[command(flatten)]
    pub login: Login,
}

/// Credentials and connection settings for an agent named on the command line.
#[derive(Args, Clone, Debug, Default)]
pub struct Login {
    /// Bearer token as env:NAME, file:PATH or cmd:COMMAND; a literal token works but prints a warning.
    #[arg(long, value_name = "TOKEN", env = "A2ACLI_BEARER", hide_env_values = true)]
    pub bearer: Option<String>,
    /// API key, sent in the header that the card names, otherwise in X-API-Key; same forms as --bearer.
    #[arg(long, value_name = "KEY", env = "A2ACLI_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// Header to send with every request; may be repeated.
    #[arg(long, value_name = "KEY:VALUE")]
    pub svc_param: Vec<String>,
    /// PEM file of certificate authorities.
    #[arg(long, value_name = "PATH")]
    pub ca: Option<PathBuf>,
    /// Do not verify TLS certificates; for development only.
    #[arg(long)]
    pub insecure: bool,
    /// A2A version to use, 1.0 or 0.3 [default: chosen from the card].
    #[arg(long, value_name = "VERSION", env = "A2ACLI_A2A_VERSION")]
    pub a2a_version: Option<String>,
}

/// Agents that the router chooses from.
#[derive(Args, Clone, Debug, Default)]
pub struct RouteTarget {
    /// Let the router choose an agent with this skill; with -a, the skill that is wanted there.
    #[arg(long, value_name = "ID", conflicts_with_all = ["tag", "route"])]
    pub skill: Option<String>,
    /// Let the router choose an agent with a skill that has this tag.
    #[arg(long, value_name = "TAG", conflicts_with = "route")]
    pub tag: Option<String>,
    /// Use the rules of this route.
    #[arg(long, value_name = "NAME")]
    pub route: Option<String>,
}

/// `route …`
#[derive(Subcommand, Debug)]
pub enum Route {
    /// List the rules in order.
    List,
    /// Show where a message would go now and why, or why a job went where it did.
    Explain(Explain),
    /// Find rules that can never decide or name no agent, and replay the past against changed rules.
    Check(Box<super::check::Check>),
    /// Move an agent's work to a successor step by step, or show, hold, take back or end that.
    Shift(Box<super::shift::ShiftArgs>),
}

/// `route explain`
#[derive(Args, Debug)]
pub struct Explain {
    /// Message text.
    #[arg(value_name = "TEXT", conflicts_with = "job")]
    pub text: Option<String>,
    /// Explain the decisions about this job: its id, or the id of its task.
    #[arg(long, value_name = "REF")]
    pub job: Option<String>,
    #[command(flatten)]
    pub target: RouteTarget,
    /// Data part from a JSON file, or - for standard input; may be repeated.
    #[arg(long, value_name = "PATH|-")]
    pub data: Vec<String>,
    /// Message metadata as a JSON object.
    #[arg(long, value_name = "JSON")]
    pub metadata: Option<String>,
    /// Conversation (A2A contextId) of the message.
    #[arg(long, value_name = "ID")]
    pub context_id: Option<String>,
    /// Caller of the message.
    #[arg(long, value_name = "NAME")]
    pub caller: Option<String>,
}

/// `send`
#[derive(Args, Debug)]
pub struct Send {
    #[command(flatten)]
    pub target: OptionalTarget,
    #[command(flatten)]
    pub route: RouteTarget,
    /// Message text, sent as one text part.
    #[arg(value_name = "TEXT")]
    pub message: Option<String>,
    /// Text part; may be repeated.
    #[arg(long, value_name = "TEXT")]
    pub text: Vec<String>,
    /// File part: a local file of at most 22 MiB, or a URL for the agent to fetch; may be repeated.
    #[arg(long, value_name = "PATH|URL")]
    pub file: Vec<String>,
    /// Data part from a JSON file, or - for standard input; may be repeated.
    #[arg(long, value_name = "PATH|-")]
    pub data: Vec<String>,
    /// Media type of the preceding part; may be repeated.
    #[arg(long, value_name = "TYPE")]
    pub media_type: Vec<String>,
    /// Message metadata as a JSON object.
    #[arg(long, value_name = "JSON", env = "A2ACLI_METADATA")]
    pub metadata: Option<String>,
    /// Conversation (A2A contextId) to continue.
    #[arg(long, value_name = "ID", env = "A2ACLI_CONTEXT_ID")]
    pub context_id: Option<String>,
    /// Task to continue, for example to answer its question.
    #[arg(long, value_name = "ID", env = "A2ACLI_TASK_ID")]
    pub task_id: Option<String>,
    /// Time after which nothing more is tried, counted from now [default: that of the route].
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    pub deadline: Option<std::time::Duration>,
    /// Priority in the queue, 0 to 9; higher ones leave first [default: that of the route, otherwise 5].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=9))]
    pub priority: Option<u8>,
    /// Print events as they arrive; JSON Lines with -o json. While several attempts of it run, text output waits for the
    /// one that completes first.
    #[arg(long)]
    pub stream: bool,
    /// Print the ids and return without waiting.
    #[arg(long = "async", visible_aliases = ["return-immediately", "no-wait"], conflicts_with = "stream")]
    pub detach: bool,
    /// Wait until the task ends or needs an operator (this is the default).
    #[arg(long, conflicts_with = "detach")]
    pub wait: bool,
    /// Maximum time to wait [default: no limit].
    #[arg(long, value_name = "DURATION", value_parser = units::duration, env = "A2ACLI_TIMEOUT")]
    pub timeout: Option<std::time::Duration>,
}

/// `task …`
#[derive(Subcommand, Debug)]
pub enum Task {
    /// Show one task.
    Get {
        /// Task id assigned by the agent.
        #[arg(value_name = "TASK")]
        task: String,
        #[command(flatten)]
        target: OptionalTarget,
        /// Maximum number of history messages, counted from the newest [default: all].
        #[arg(long, value_name = "N")]
        history: Option<usize>,
        /// Wait until the task ends or needs an operator.
        #[arg(long, visible_alias = "watch")]
        wait: bool,
        /// Maximum time to wait [default: no limit].
        #[arg(long, value_name = "DURATION", value_parser = units::duration, env = "A2ACLI_TIMEOUT")]
        timeout: Option<std::time::Duration>,
    },
    /// List the tasks of all agents.
    List {
        #[command(flatten)]
        target: OptionalTarget,
        /// Show only tasks in this state: working, completed, TASK_STATE_FAILED, …
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        /// Show only tasks of this conversation (A2A contextId).
        #[arg(long, value_name = "ID")]
        context_id: Option<String>,
        /// Maximum number of tasks to list, newest first [default: all].
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Follow a task until it ends or needs an operator.
    Subscribe {
        /// Task id assigned by the agent.
        #[arg(value_name = "TASK")]
        task: String,
        #[command(flatten)]
        target: OptionalTarget,
        /// Print events as they arrive; JSON Lines with -o json.
        #[arg(long)]
        stream: bool,
        /// Maximum time to wait [default: no limit].
        #[arg(long, value_name = "DURATION", value_parser = units::duration, env = "A2ACLI_TIMEOUT")]
        timeout: Option<std::time::Duration>,
    },
    /// Cancel a task and what it delegated, and verify that each ended; or many tasks at once.
    Cancel(Box<Cancel>),
    /// Try a job again after its last attempt ended without a result: at another agent, or at the one that --to names; or
    /// many jobs at once.
    Retry(Box<Again>),
    /// Move a job to another agent: cancel its task and what it delegated, and send it there once they were seen to end; or
    /// many jobs at once.
    Reroute(Box<Again>),
    /// Race a live task: send another attempt and leave this one running. The first that completes wins, and the
    /// others are canceled. The work is done twice.
    Race(Race),
    /// Resend an uncertain attempt with the same message id.
    Resend {
        /// Id of the attempt or its job, as shown by `inbox` and `task list`.
        #[arg(value_name = "ATTEMPT")]
        attempt: String,
        /// Reason, recorded in the job's history.
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
        /// Maximum time to wait [default: no limit].
        #[arg(long, value_name = "DURATION", value_parser = units::duration, env = "A2ACLI_TIMEOUT")]
        timeout: Option<std::time::Duration>,
    },
    /// Presume that an uncertain attempt was lost.
    PresumeLost {
        /// Id of the attempt or its job, as shown by `inbox` and `task list`.
        #[arg(value_name = "ATTEMPT")]
        attempt: String,
        /// Reason, recorded in the job's history.
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
}

/// A list of one agent or of all.
#[derive(Args, Debug)]
pub struct Scope {
    /// Show only this agent of the fleet.
    #[arg(short = 'a', long = "agent-card", value_name = "NAME", env = "A2ACLI_AGENT_CARD")]
    pub agent: Option<String>,
}

/// `problems`
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Problems {
    #[command(flatten)]
    pub here: Scope,
    /// Exit with 1 if any problem is open and not muted; notices (severity info) do not count.
    #[arg(long)]
    pub exit_code: bool,
    #[command(subcommand)]
    pub act: Option<ProblemsCommand>,
}

/// `problems …`
#[derive(Subcommand, Debug)]
pub enum ProblemsCommand {
    /// Take a problem; other operators see who took it.
    Take {
        /// Number of the problem, such as p-17.
        #[arg(value_name = "PROBLEM", value_parser = problem_number)]
        problem: u32,
    },
    /// Give back a problem that was taken.
    GiveBack {
        /// Number of the problem, such as p-17.
        #[arg(value_name = "PROBLEM", value_parser = problem_number)]
        problem: u32,
    },
    /// Mute a problem for a given time.
    Mute {
        /// Number of the problem, such as p-17.
        #[arg(value_name = "PROBLEM", value_parser = problem_number)]
        problem: u32,
        /// Duration of the mute, such as 30m, 2h or 1d.
        #[arg(long = "for", value_name = "DURATION", value_parser = units::duration)]
        time: std::time::Duration,
        /// Reason, shown to other operators.
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Unmute a problem.
    Unmute {
        /// Number of the problem, such as p-17.
        #[arg(value_name = "PROBLEM", value_parser = problem_number)]
        problem: u32,
    },
}

pub(super) fn problem_number(text: &str) -> Result<u32, String> {
    let number = text.strip_prefix("p-").unwrap_or(text);
    number.parse().map_err(|_| "write the number as shown by `quarterdeck problems`, such as p-17".into())
}

/// `note`
#[derive(Args, Debug)]
pub struct Note {
    /// Text of the note.
    #[arg(value_name = "TEXT")]
    pub text: String,
    /// Subject of the note: a problem such as p-17, an agent's name, or the id of an attempt or its job.
    #[arg(long, value_name = "REF")]
    pub on: Option<String>,
    /// Take back your note of this text and subject.
    #[arg(long)]
    pub take_back: bool,
}

/// `handover`
#[derive(Args, Debug)]
pub struct Handover {
    /// How far back to look.
    #[arg(long, value_name = "DURATION", default_value = "8h", value_parser = units::duration)]
    pub since: std::time::Duration,
}

/// `config …`
#[derive(Subcommand, Debug)]
pub enum Config {
    /// Print every setting with its origin.
    Show,
    /// Report every error in the configuration with its line number.
    Check,
    /// Print an example file with every key at its default.
    Example,
    /// List every action of the console with its name, keys and description.
    Keys,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_is_parsed_as_by_the_whole_command_line() {
        for line in [
            "",
            "http://a:1 http://b:2",
            "--fleet prod http://a:1 --read-only",
            "--config c.toml --data-dir=d -o json --debug",
            "--fleet agents",
            "http://a:1 agents",
            "agents --add http://a:1",
            "-- help",
            "help",
            "help send",
            "--help",
            "-h",
            "-v",
            "--version",
            "--bearer x http://a:1",
            "--fleet",
            "--output yaml",
            "agnts",
            "send -a x --help",
        ] {
            let words: Vec<OsString> =
                ["quarterdeck"].into_iter().chain(line.split_whitespace()).map(Into::into).collect();
            let shown = |parsed: Result<Cli, clap::Error>| match parsed {
                Ok(cli) => format!("{cli:?}"),
                Err(error) => error.to_string(),
            };
            assert_eq!(shown(Cli::of(&words)), shown(Cli::try_parse_from(&words)), "{line:?}");
        }
    }
}
