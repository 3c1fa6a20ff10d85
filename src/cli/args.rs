//! The words of the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::config::units;

/// Terminal supervisor and observability console for fleets of A2A agents.
///
/// Alone it opens the console on the chosen fleet; URLs are agents that are added to it for this run.
#[derive(Parser, Debug)]
#[command(name = "quarterdeck", version, disable_version_flag = true, max_term_width = 100)]
#[command(subcommand_negates_reqs = true)]
#[command(
    after_help = "`quarterdeck demo` shows it on a fleet of its own. Exit codes: 0 the command did its job, \
whatever the agent decided; 1 general; 2 usage; 3 unreachable; 4 login; 5 time-out."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    /// What to do; without it the console opens.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Agents to add for this run, by URL.
    #[arg(value_name = "URL")]
    pub urls: Vec<String>,
    /// Print the version.
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    pub version: Option<bool>,
}

/// What goes with every verb.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// The configuration file.
    #[arg(long, global = true, value_name = "PATH", env = "QUARTERDECK_CONFIG")]
    pub config: Option<PathBuf>,
    /// The fleet.
    #[arg(long, global = true, value_name = "NAME", env = "QUARTERDECK_FLEET")]
    pub fleet: Option<String>,
    /// Where the fleet's data is kept.
    #[arg(long, global = true, value_name = "DIR", env = "QUARTERDECK_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Refuse everything that acts on an agent.
    #[arg(long, global = true)]
    pub read_only: bool,
    /// How results are printed.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Text, env = "A2ACLI_OUTPUT")]
    pub output: Output,
    /// Write what the program does to stderr; never secrets.
    #[arg(long, global = true)]
    pub debug: bool,
}

/// How results are printed.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// One `Label: value` a line, blocks for what is longer.
    Text,
    /// One JSON document; JSON lines with --stream.
    Json,
}

/// The verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// The embedded fleet: fifteen agents, a storm, one minute.
    Demo(Demo),
    /// The engine without a screen; consoles and commands join it.
    Serve(Serve),
    /// The fleet with its health, after a round of probes.
    Agents(Agents),
    /// An agent's card.
    #[command(subcommand)]
    Card(Card),
    /// Send a message: a new task, or an answer to one.
    Send(Box<Send>),
    /// Tasks, on every agent.
    #[command(subcommand)]
    Task(Task),
    /// What waits for a person, oldest first.
    Inbox(Scope),
    /// What is wrong, and the next step; who attends to it.
    Problems(Problems),
    /// How many, how well and how long: by agent, skill or caller, with what was usual before.
    Metrics(Metrics),
    /// Hold an agent's breaker open or closed, or leave it to itself again.
    Breaker(Breaker),
    /// Keep a note for whoever comes next.
    Note(Note),
    /// Open problems, acts and notes, for the next shift.
    Handover(Handover),
    /// The console at a problem, an agent, a task, a job, a conversation or a saved view: what alerts and links
    /// carry.
    Open {
        /// p-17, a name, or an id.
        #[arg(value_name = "REF")]
        reference: String,
    },
    /// The configuration in effect.
    #[command(subcommand)]
    Config(Config),
    /// A completion script for a shell.
    Completion {
        /// Which.
        shell: Shell,
    },
    /// The manual page.
    Man,
}

/// `metrics`
#[derive(Args, Debug)]
pub struct Metrics {
    /// Only this agent, skill or caller.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// By what they are told apart.
    #[arg(long, value_enum, default_value_t = MetricsBy::Agent)]
    pub by: MetricsBy,
    /// The stretch of time up to now: 5m, 30m, 6h, 7d; up to 30d, which is what is kept.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = window)]
    pub window: std::time::Duration,
    /// What it is compared with: the same stretch an hour, a day or a week before.
    #[arg(long, value_enum, default_value_t = MetricsWas::Day)]
    pub was: MetricsWas,
}

/// By what metrics are told apart.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetricsBy {
    /// The agent that does it.
    Agent,
    /// The skill that is asked for.
    Skill,
    /// Who asks.
    Caller,
}

/// What a stretch of time is compared with.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetricsWas {
    /// An hour before.
    Hour,
    /// A day before.
    Day,
    /// A week before.
    Week,
}

fn window(text: &str) -> Result<std::time::Duration, String> {
    let time = crate::domain::time::duration(text)?;
    let days = std::time::Duration::from_secs(30 * 24 * 3600);
    if time > days {
        return Err("metrics are kept for thirty days".into());
    }
    Ok(time)
}

/// `demo`
#[derive(Args, Debug)]
pub struct Demo {
    /// storm (the default), hostile, document, or a file.
    #[arg(long, value_name = "NAME")]
    pub scenario: Option<String>,
    /// Fixes everything that looks random.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// A fleet of so many agents instead of a story: steady ones, or with `--scenario hostile` hostile ones beside a
    /// good one.
    #[arg(long, value_name = "N")]
    pub agents: Option<usize>,
    /// So many per cent of them have a fault from the start.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub faults: u32,
    /// No screen: one JSON line per agent once all listen, then run until stopped.
    #[arg(long)]
    pub headless: bool,
    /// Send nothing.
    #[arg(long)]
    pub no_work: bool,
    /// For a talk: larger captions, the keys pressed, beats that wait for `.`.
    #[arg(long)]
    pub stage: bool,
    /// Say what to press.
    #[arg(long)]
    pub tour: bool,
    /// dark, light (for projectors) or mono, instead of the configured one.
    #[arg(long, value_name = "NAME", value_parser = ["dark", "light", "mono"])]
    pub theme: Option<String>,
    /// How many times faster than life.
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
}

impl Demo {
    /// The scenario that is played unless another one is named.
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
    /// Agents to add for this run, by URL.
    #[arg(value_name = "URL")]
    pub urls: Vec<String>,
}

/// `agents`
#[derive(Args, Debug)]
pub struct Agents {
    /// Show these; they are added to the fleet for this run.
    #[arg(value_name = "URL")]
    pub urls: Vec<String>,
    /// Show those that the cards of agents name and that are not in the fleet.
    #[arg(long)]
    pub candidates: bool,
    /// Add an agent to the fleet for good; may be repeated.
    #[arg(long, value_name = "URL")]
    pub add: Vec<String>,
    /// Remove one that was added for good, by its name or URL; may be repeated.
    #[arg(long, value_name = "NAME|URL")]
    pub remove: Vec<String>,
    #[command(flatten)]
    pub login: Login,
    /// How long the round of probes may take.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::duration, env = "A2ACLI_TIMEOUT")]
    pub timeout: std::time::Duration,
}

/// `card …`
#[derive(Subcommand, Debug)]
pub enum Card {
    /// Fetch and show it.
    Get {
        #[command(flatten)]
        target: Target,
        /// Say what the specification requires and the card lacks.
        #[arg(long)]
        validate: bool,
    },
}

/// The agent that is talked to.
#[derive(Args, Clone, Debug)]
pub struct Target {
    /// A name of the fleet, an origin, the URL of a card, or a card's file.
    #[arg(short = 'a', long = "agent-card", value_name = "REF", env = "A2ACLI_AGENT_CARD")]
    pub agent: String,
    #[command(flatten)]
    pub login: Login,
}

/// The same where an agent need not be named.
#[derive(Args, Clone, Debug)]
pub struct OptionalTarget {
    /// A name of the fleet, an origin, the URL of a card, or a card's file.
    #[arg(short = 'a', long = "agent-card", value_name = "REF", env = "A2ACLI_AGENT_CARD")]
    pub agent: Option<String>,
    #[command(flatten)]
    pub login: Login,
}

/// Who we are, for an agent that is talked to directly.
#[derive(Args, Clone, Debug, Default)]
pub struct Login {
    /// A bearer token: env:NAME, file:PATH, cmd:COMMAND; the token itself is taken with a warning.
    #[arg(long, value_name = "TOKEN", env = "A2ACLI_BEARER", hide_env_values = true)]
    pub bearer: Option<String>,
    /// An API key, in the header that the card names, else X-API-Key; references as for --bearer.
    #[arg(long, value_name = "KEY", env = "A2ACLI_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// A header for every request, as KEY:VALUE; may be repeated.
    #[arg(long, value_name = "KEY:VALUE")]
    pub svc_param: Vec<String>,
    /// A file of certificate authorities.
    #[arg(long, value_name = "PATH")]
    pub ca: Option<PathBuf>,
    /// Do not verify certificates. For development only.
    #[arg(long)]
    pub insecure: bool,
    /// Speak only this version of the protocol: 1.0 or 0.3.
    #[arg(long, value_name = "VERSION", env = "A2ACLI_A2A_VERSION")]
    pub a2a_version: Option<String>,
}

/// `send`
#[derive(Args, Debug)]
pub struct Send {
    #[command(flatten)]
    pub target: Target,
    /// The message, as one text part.
    #[arg(value_name = "TEXT")]
    pub message: Option<String>,
    /// A text part.
    #[arg(long, value_name = "TEXT")]
    pub text: Vec<String>,
    /// A file part: its bytes, or a URL that the agent fetches.
    #[arg(long, value_name = "PATH|URL")]
    pub file: Vec<String>,
    /// A data part from a JSON file; - for standard input.
    #[arg(long, value_name = "PATH|-")]
    pub data: Vec<String>,
    /// The media type of the part before it.
    #[arg(long, value_name = "TYPE")]
    pub media_type: Vec<String>,
    /// Metadata, as a JSON object.
    #[arg(long, value_name = "JSON", env = "A2ACLI_METADATA")]
    pub metadata: Option<String>,
    /// Join this conversation.
    #[arg(long, value_name = "ID", env = "A2ACLI_CONTEXT_ID")]
    pub context_id: Option<String>,
    /// Go on with this task; answers one that asks.
    #[arg(long, value_name = "ID", env = "A2ACLI_TASK_ID")]
    pub task_id: Option<String>,
    /// Print events as they come; with -o json as JSON lines.
    #[arg(long)]
    pub stream: bool,
    /// Print the ids and do not wait.
    #[arg(long = "async", visible_aliases = ["return-immediately", "no-wait"], conflicts_with = "stream")]
    pub detach: bool,
    /// Wait for the end; the default.
    #[arg(long, conflicts_with = "detach")]
    pub wait: bool,
    /// Wait at most so long.
    #[arg(long, value_name = "DURATION", value_parser = units::duration, env = "A2ACLI_TIMEOUT")]
    pub timeout: Option<std::time::Duration>,
}

/// `task …`
#[derive(Subcommand, Debug)]
pub enum Task {
    /// Read one.
    Get {
        /// The agent's id of it.
        #[arg(value_name = "TASK")]
        task: String,
        #[command(flatten)]
        target: OptionalTarget,
        /// At most so many messages.
        #[arg(long, value_name = "N")]
        history: Option<usize>,
        /// Wait until it ends or asks.
        #[arg(long, visible_alias = "watch")]
        wait: bool,
        /// Wait at most so long.
        #[arg(long, value_name = "DURATION", value_parser = units::duration, env = "A2ACLI_TIMEOUT")]
        timeout: Option<std::time::Duration>,
    },
    /// Every task of every agent known.
    List {
        #[command(flatten)]
        target: OptionalTarget,
        /// Only those in this state: working, completed, TASK_STATE_FAILED …
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        /// Only those of this conversation.
        #[arg(long, value_name = "ID")]
        context_id: Option<String>,
        /// At most so many, newest first.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Follow one until it ends or asks.
    Subscribe {
        /// The agent's id of it.
        #[arg(value_name = "TASK")]
        task: String,
        #[command(flatten)]
        target: OptionalTarget,
        /// Print events as they come; with -o json as JSON lines.
        #[arg(long)]
        stream: bool,
        /// Wait at most so long.
        #[arg(long, value_name = "DURATION", value_parser = units::duration, env = "A2ACLI_TIMEOUT")]
        timeout: Option<std::time::Duration>,
    },
    /// End one, and see that it ended.
    Cancel {
        /// The agent's id of it.
        #[arg(value_name = "TASK")]
        task: String,
        #[command(flatten)]
        target: OptionalTarget,
        /// Why; it is kept in the task's story.
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
        /// Wait at most so long for its end.
        #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = units::duration, env = "A2ACLI_TIMEOUT")]
        timeout: std::time::Duration,
    },
    /// Send one that may not have arrived once more, with the same message id.
    Resend {
        /// The id of the attempt or of its job, as `inbox` and `task list` show it.
        #[arg(value_name = "ATTEMPT")]
        attempt: String,
        /// Why; it is kept in the job's story.
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
        /// Wait at most so long.
        #[arg(long, value_name = "DURATION", value_parser = units::duration, env = "A2ACLI_TIMEOUT")]
        timeout: Option<std::time::Duration>,
    },
    /// Take one that may not have arrived as lost.
    PresumeLost {
        /// The id of the attempt or of its job, as `inbox` and `task list` show it.
        #[arg(value_name = "ATTEMPT")]
        attempt: String,
        /// Why; it is kept in the job's story.
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
}

/// What can be asked of one agent or of all.
#[derive(Args, Debug)]
pub struct Scope {
    /// Only of this agent of the fleet.
    #[arg(short = 'a', long = "agent-card", value_name = "NAME", env = "A2ACLI_AGENT_CARD")]
    pub agent: Option<String>,
}

/// `problems`
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Problems {
    #[command(flatten)]
    pub here: Scope,
    /// Exit 1 if there is any that is not muted.
    #[arg(long)]
    pub exit_code: bool,
    #[command(subcommand)]
    pub act: Option<ProblemsCommand>,
}

/// `problems …`
#[derive(Subcommand, Debug)]
pub enum ProblemsCommand {
    /// Attend to one; everybody who looks sees it.
    Take {
        /// p-17
        #[arg(value_name = "PROBLEM", value_parser = problem_number)]
        problem: u32,
    },
    /// Attend to it no longer.
    GiveBack {
        /// p-17
        #[arg(value_name = "PROBLEM", value_parser = problem_number)]
        problem: u32,
    },
    /// Hear nothing of one for a while.
    Mute {
        /// p-17
        #[arg(value_name = "PROBLEM", value_parser = problem_number)]
        problem: u32,
        /// For how long: 30m, 2h, 1d.
        #[arg(long = "for", value_name = "DURATION", value_parser = units::duration)]
        time: std::time::Duration,
        /// Why; whoever comes next reads it.
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Hear of it again.
    Unmute {
        /// p-17
        #[arg(value_name = "PROBLEM", value_parser = problem_number)]
        problem: u32,
    },
}

fn problem_number(text: &str) -> Result<u32, String> {
    let number = text.strip_prefix("p-").unwrap_or(text);
    number.parse().map_err(|_| "write p-17, as `quarterdeck problems` shows it".into())
}

/// `breaker`
#[derive(Args, Debug)]
pub struct Breaker {
    /// The agent's name in the fleet.
    #[arg(value_name = "NAME")]
    pub agent: String,
    /// open: nothing is sent there; close: everything is; auto: it moves by itself.
    #[arg(value_name = "open|close|auto", value_parser = ["open", "close", "auto"])]
    pub to: String,
}

/// `note`
#[derive(Args, Debug)]
pub struct Note {
    /// What is noted.
    #[arg(value_name = "TEXT")]
    pub text: String,
    /// What it is about: p-17, an agent's name, or the id of an attempt or its job.
    #[arg(long, value_name = "REF")]
    pub on: Option<String>,
}

/// `handover`
#[derive(Args, Debug)]
pub struct Handover {
    /// How far it looks back.
    #[arg(long, value_name = "DURATION", default_value = "8h", value_parser = units::duration)]
    pub since: std::time::Duration,
}

/// `config …`
#[derive(Subcommand, Debug)]
pub enum Config {
    /// Every setting with where it came from.
    Show,
    /// Say everything that is wrong with it, with line numbers.
    Check,
    /// Every key, commented, at its default.
    Example,
    /// Every action of the console: its name, its keys, what it does.
    Keys,
}
