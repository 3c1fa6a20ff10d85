//! The command line: commands with arguments, every action by its name, agents, and ids.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use crate::domain::agent::Agent;
use crate::domain::agent::replicas::GroupBy;
use crate::domain::text::contains_ignore_case;
use crate::domain::trace;
use crate::tui::actions::Action;
use crate::tui::aliases;
use crate::tui::context::Context;
use crate::tui::destination::Destination;
use crate::tui::window::Baseline;

/// A command with words behind it.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// The first word.
    pub name: &'static str,
    /// The command with its arguments.
    pub usage: &'static str,
    /// The arguments, where there are only these.
    pub choices: &'static [&'static str],
    /// The description for the palette.
    pub doc: &'static str,
}

const SWITCH: &[&str] = &["on", "off"];

/// Every command that takes words, or that has no key.
pub const ALL: &[Command] = &[
    Command {
        name: "fleet",
        usage: "fleet NAME",
        choices: &[],
        doc: "Go to another fleet of the configuration; :ctx lists them.",
    },
    Command {
        name: "group",
        usage: "group WHAT",
        choices: &["declared", "replicas", "provider", "version", "region", "framework", "none"],
        doc: "Group the fleet: declared (replicas that you declared), replicas, provider, version, region, framework, label NAME or none.",
    },
    Command {
        name: "time",
        usage: "time 30m|02:50..03:10",
        choices: &[],
        doc: "The time window of all views, up to thirty days.",
    },
    Command {
        name: "was",
        usage: "was hour|day|week",
        choices: &["hour", "day", "week"],
        doc: "The window to compare with: an hour, a day or a week before.",
    },
    Command {
        name: "explain",
        usage: "explain TEXT",
        choices: &[],
        doc: "Where a message would go now, and why: TEXT, or {\"type\": …} TEXT with its metadata.",
    },
    Command {
        name: "batch",
        usage: "batch FILE",
        choices: &[],
        doc: "Send a file of messages, one a line; shows what will be done first.",
    },
    Command {
        name: "drill",
        usage: "drill AGENT",
        choices: &[],
        doc: "What would happen if an agent, or several, died now.",
    },
    Command {
        name: "routes",
        usage: "routes FILE",
        choices: &[],
        doc: "Compare the rules of a file with those in force, and replay the past against them, before it is loaded.",
    },
    Command {
        name: "shift",
        usage: "shift FROM TO [1,5,25,50,100]",
        choices: &[],
        doc: "Move traffic from an agent to its successor step by step; shows what will happen first.",
    },
    Command {
        name: "theme",
        usage: "theme NAME",
        choices: &["dark", "light", "mono"],
        doc: "dark, light or mono.",
    },
    Command { name: "ascii", usage: "ascii on|off", choices: SWITCH, doc: "Draw with ASCII only." },
    Command {
        name: "mouse",
        usage: "mouse on|off",
        choices: SWITCH,
        doc: "Leave the mouse to the terminal, or take it back.",
    },
    Command {
        name: "suspend",
        usage: "suspend",
        choices: &[],
        doc: "Suspend this console, like ctrl-z in a shell.",
    },
    Command {
        name: "q",
        usage: "q",
        choices: &[],
        doc: "Quit. Shows what continues without you; cancels nothing.",
    },
];

/// A parsed command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    /// An action by its name.
    Action(Action),
    /// Switch to another fleet.
    Fleet(String),
    /// Another stretch of time.
    Time(String),
    /// Choose another baseline.
    Baseline(Baseline),
    /// Group the fleet by something else; `None` opens the menu of groups.
    Group(Option<GroupBy>),
    /// Explain where this message would go.
    Explain(String),
    /// Send this file of messages.
    Batch(String),
    /// What would happen if these agents died.
    Drill(String),
    /// Compare the rules in force with those of this file.
    Routes(String),
    /// Move traffic from an agent to a successor: both names, and the steps if others than usual are wanted.
    Shift(String),
    /// Choose another theme.
    Theme(String),
    /// Turn drawing with ASCII only on or off.
    Ascii(bool),
    /// Capture the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Suspend the process.
    Suspend,
    /// Leave the console.
    Quit,
    /// A name or an id.
    GoTo(String),
    /// Not a command; the text lists what can be typed instead.
    Wrong(String),
}

/// A line of the palette.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The text that is inserted.
    pub text: String,
    /// The description.
    pub doc: String,
    /// Its key, if it has one.
    pub key: String,
    /// True if it is what was meant when it comes first, so that `enter` runs it.
    pub meant: bool,
}

/// True if it is the first word of a command.
pub fn is_command(name: &str) -> bool {
    ALL.iter().any(|command| command.name == name) || matches!(name, "quit" | "exit")
}

/// True for the usage of a command whose arguments are still to be written.
pub fn needs_arguments(words: &str) -> bool {
    ALL.iter().any(|command| command.usage == words && command.usage != command.name)
}

/// Parses a command line.
pub fn parse(text: &str) -> Asked {
    let text = text.trim().trim_start_matches(':').trim();
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let switch = |rest: &str| match rest {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    };
    match (name, rest) {
        ("q" | "quit" | "exit", "") => Asked::Quit,
        ("suspend", "") => Asked::Suspend,
        ("fleet", name) if !name.is_empty() => Asked::Fleet(name.to_owned()),
        ("time", text) if !text.is_empty() => Asked::Time(text.to_owned()),
        ("explain", text) if !text.is_empty() => Asked::Explain(text.to_owned()),
        ("batch", file) if !file.is_empty() => Asked::Batch(file.to_owned()),
        ("drill", names) if !names.is_empty() => Asked::Drill(names.to_owned()),
        ("routes", file) if !file.is_empty() => Asked::Routes(file.to_owned()),
        ("shift", names) if !names.is_empty() => Asked::Shift(names.to_owned()),
        ("was", "hour") => Asked::Baseline(Baseline::Hour),
        ("was", "day") => Asked::Baseline(Baseline::Day),
        ("was", "week") => Asked::Baseline(Baseline::Week),
        ("was", _) => Asked::Wrong("was hour, was day or was week".into()),
        ("group", "") => Asked::Group(None),
        ("group", rest) => GroupBy::parse(rest).map_or_else(
            || {
                Asked::Wrong(
                    "group declared, replicas, provider, version, region, framework, label NAME or none"
                        .into(),
                )
            },
            |by| Asked::Group(Some(by)),
        ),
        ("theme", name) if ["dark", "light", "mono"].contains(&name) => Asked::Theme(name.to_owned()),
        ("theme", _) => Asked::Wrong("theme dark, theme light or theme mono".into()),
        ("mouse", rest) => {
            switch(rest).map_or_else(|| Asked::Wrong("mouse on or mouse off".into()), Asked::Mouse)
        }
        ("ascii", rest) => {
            switch(rest).map_or_else(|| Asked::Wrong("ascii on or ascii off".into()), Asked::Ascii)
        }
        (name, "") => match Action::named(name) {
            Some(action) => Asked::Action(action),
            None => Asked::GoTo(name.to_owned()),
        },
        _ => Asked::GoTo(text.to_owned()),
    }
}

/// Attempts that are looked through for an id while it is typed.
const NEWEST: usize = 20_000;

/// How well an entry fits what was typed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Fit {
    Exact,
    Begins,
    /// A later word of its name begins with it.
    WordBegins,
    Similar,
    /// Only its description mentions it.
    Mentions,
}

/// The kinds of entries, in the order in which they are listed where they fit equally well.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Sort {
    View,
    Saved,
    Act,
    Other,
    Command,
    Agent,
}

impl Sort {
    fn of(action: Action) -> Self {
        if action.is_view() || matches!(action, Action::Changes | Action::Views) {
            Self::View
        } else if action.acts() {
            Self::Act
        } else {
            Self::Other
        }
    }
}

/// The entries that match what was typed, best match first.
pub fn complete(ctx: &Context, typed: &str, most: usize) -> Vec<Entry> {
    let typed = typed.trim_start();
    if let Some((name, rest)) = typed.split_once(char::is_whitespace) {
        let known = if aliases::fleet(name).is_some() { "fleet" } else { name };
        if let Some(command) = ALL.iter().find(|command| command.name == known && command.usage != known) {
            return arguments(ctx, name, command, rest.trim(), most);
        }
    }
    let typed = typed.trim_end();
    let mut entries = if typed.is_empty() { first(ctx) } else { matching(ctx, typed) };
    entries.truncate(most);
    entries
}

/// A command, by the name that was typed, with each of its arguments that begins as typed.
fn arguments(ctx: &Context, name: &str, command: &Command, typed: &str, most: usize) -> Vec<Entry> {
    let fleets = ctx.info.fleets.iter().map(String::as_str).filter(|_| command.name == "fleet");
    let agents = ctx.snapshot.agents.iter().filter(|(_, agent)| agent.listed && command.name == "drill");
    let agents: Vec<String> = agents.map(|(_, agent)| agent.name.line().into_string()).collect();
    let choices = command.choices.iter().copied().chain(fleets).chain(agents.iter().map(String::as_str));
    let choices = choices.filter(|choice| choice.starts_with(typed));
    let entry = |text: String, meant| Entry { text, doc: command.doc.to_owned(), key: String::new(), meant };
    let found = choices.map(|choice| entry(format!("{name} {choice}"), !typed.is_empty()));
    let mut found: Vec<Entry> = found.take(most).collect();
    if found.is_empty() {
        found.push(entry(command.usage.to_owned(), false));
    }
    found
}

fn of_action(ctx: &Context, action: Action) -> Entry {
    let key = ctx.preferences.keys.first(action).to_owned();
    Entry { text: action.word().to_owned(), doc: action.doc().to_owned(), key, meant: true }
}

fn of_command(command: &Command) -> Entry {
    Entry { text: command.usage.to_owned(), doc: command.doc.to_owned(), key: String::new(), meant: true }
}

fn saved(ctx: &Context) -> impl Iterator<Item = Entry> {
    ctx.preferences.views.iter().map(|saved| Entry {
        text: saved.name.clone(),
        doc: format!("saved view: {}", saved.summary()),
        key: String::new(),
        meant: true,
    })
}

/// Listed before anything is typed: views, then what has no key.
fn first(ctx: &Context) -> Vec<Entry> {
    let views = Action::ALL.iter().filter(|action| Sort::of(**action) == Sort::View);
    let views = views.map(|action| of_action(ctx, *action));
    let all = views.chain(saved(ctx)).chain(ALL.iter().map(of_command));
    all.map(|entry| Entry { meant: false, ..entry }).collect()
}

/// Everything that fits, what is meant first.
fn matching(ctx: &Context, typed: &str) -> Vec<Entry> {
    let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
    let (mut matcher, mut buffer) = (Matcher::new(Config::DEFAULT), Vec::new());
    let lower = typed.to_lowercase();
    let mut found = Vec::new();
    let mut offer = |sort: Sort, aliases: &[&str], entry: Entry| {
        let name = entry.text.split(' ').next().unwrap_or_default().to_lowercase();
        let name = if sort == Sort::Command { name } else { entry.text.to_lowercase() };
        // One letter is too little to mean another word by.
        let other = |fits: &dyn Fn(&str) -> bool| lower.len() > 1 && aliases.iter().any(|alias| fits(alias));
        let mut similar = || pattern.score(Utf32Str::new(&entry.text, &mut buffer), &mut matcher);
        let (fit, by_alias, score) = if name == lower {
            (Fit::Exact, false, 0)
        } else if aliases.contains(&lower.as_str()) {
            (Fit::Exact, true, 0)
        } else if name.starts_with(&lower) {
            (Fit::Begins, false, 0)
        } else if other(&|alias| alias.starts_with(&lower)) {
            (Fit::Begins, true, 0)
        } else if name.split(['-', ' ']).any(|word| word.starts_with(&lower)) {
            (Fit::WordBegins, false, 0)
        } else if let Some(score) = similar() {
            (Fit::Similar, false, score)
        } else if contains_ignore_case(&entry.doc, typed) {
            (Fit::Mentions, false, 0)
        } else {
            return;
        };
        // What is typed in full is meant, whatever it is; else views come before acts.
        let order = if fit == Fit::Exact {
            (u8::from(by_alias), sort as u8)
        } else {
            (sort as u8, u8::from(by_alias))
        };
        let meant = fit != Fit::Mentions;
        found.push(((fit, order, std::cmp::Reverse(score)), Entry { meant, ..entry }));
    };
    for action in Action::ALL.iter().filter(|action| ctx.offers(**action)) {
        // Keys that only move are no commands, unless somebody took the key away.
        if !action.only_moves() || ctx.preferences.keys.first(*action).is_empty() {
            offer(Sort::of(*action), aliases::of(*action), of_action(ctx, *action));
        }
    }
    for entry in saved(ctx) {
        offer(Sort::Saved, &[], entry);
    }
    for command in ALL {
        offer(Sort::Command, &[], of_command(command));
    }
    for (_, agent) in ctx.snapshot.agents.iter().filter(|(_, agent)| agent.listed) {
        let name = agent.name.line().into_string();
        offer(Sort::Agent, &[], Entry { text: name, doc: "agent".into(), key: String::new(), meant: true });
    }
    if aliases::fleet(typed).is_some() {
        let doc = "Go to another fleet of the configuration; lists them.".to_owned();
        offer(Sort::Command, &[], Entry { text: typed.to_owned(), doc, key: String::new(), meant: true });
    }
    found.sort_by_key(|(rank, _)| *rank);
    if aliases::absent(ctx, typed).is_some() {
        // What is meant does not exist here; enter says what to use instead.
        return found.into_iter().map(|(_, entry)| Entry { meant: false, ..entry }).collect();
    }
    let is_named = found.first().is_some_and(|((fit, ..), _)| *fit == Fit::Exact);
    let referred = reference(ctx, typed).filter(|_| !is_named);
    referred.into_iter().chain(found.into_iter().map(|(_, entry)| entry)).collect()
}

/// What an id leads to, among the newest.
fn reference(ctx: &Context, typed: &str) -> Option<Entry> {
    // Ids have digits; other words are no reason to go through all tasks at each key.
    if !typed.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let snapshot = &ctx.snapshot;
    let doc = match find(ctx, typed, NEWEST)? {
        Destination::Problem(key) => format!("problem: {}", snapshot.problems.get(key)?.text.line()),
        Destination::Job(key, _) => format!("task: {}", snapshot.jobs.get(key)?.title.line()),
        Destination::TasksOfContext(_) => "the tasks of this context".into(),
        Destination::Trace(..) => "the trace of this id".into(),
        // Agents are listed by their names.
        _ => return None,
    };
    Some(Entry { text: typed.to_owned(), doc, key: String::new(), meant: true })
}

/// The agent of exactly this name.
pub fn agent(ctx: &Context, name: &str) -> Option<Destination> {
    let named = |agent: &Agent| agent.listed && agent.name.line().eq_ignore_ascii_case(name);
    let found = ctx.snapshot.agents.iter().find(|(_, agent)| named(agent));
    found.and_then(|(key, _)| Destination::agent(ctx, key))
}

/// The word nearest to one that means nothing.
pub fn nearest(ctx: &Context, word: &str) -> Option<String> {
    let agents = ctx.snapshot.agents.iter().filter(|(_, agent)| agent.listed);
    let agents: Vec<String> = agents.map(|(_, agent)| agent.name.line().into_string()).collect();
    let actions = Action::ALL.iter().filter(|action| !action.only_moves());
    let mut known: Vec<&str> = actions.map(|action| action.word()).collect();
    known.extend(ALL.iter().map(|command| command.name));
    aliases::all().for_each(|word| known.push(word));
    known.extend(ctx.preferences.views.iter().map(|saved| saved.name.as_str()));
    known.extend(agents.iter().map(String::as_str));
    crate::domain::text::nearest(word, &known).map(str::to_owned)
}

/// The problem, agent, task, job, attempt or context of this name or id, among the newest attempts.
pub fn find(ctx: &Context, wanted: &str, newest: usize) -> Option<Destination> {
    let wanted = wanted.trim().trim_matches(['"', '\'']);
    if wanted.is_empty() {
        return None;
    }
    let snapshot = &ctx.snapshot;
    if let Some(number) = wanted.strip_prefix("p-").and_then(|number| number.parse::<u32>().ok()) {
        let (key, _) = snapshot.problems.iter().find(|(_, problem)| problem.number == number)?;
        return Some(Destination::Problem(key));
    }
    if let Some(agent) = agent(ctx, wanted) {
        return Some(agent);
    }
    let attempts = || snapshot.attempts.iter().rev().take(newest);
    let begins =
        |id: &str| id == wanted || (wanted.len() >= 4 && id.len() > wanted.len() && id.starts_with(wanted));
    let found = attempts().find(|(_, attempt)| {
        let of_task = attempt.task.as_ref().is_some_and(|task| begins(&task.id.to_string()));
        let of_job = || {
            snapshot.job_of(attempt).is_some_and(|job| {
                job.id.short() == wanted.to_ascii_uppercase() || begins(&job.id.to_string())
            })
        };
        of_task || begins(&attempt.id.to_string()) || of_job()
    });
    if let Some((_, attempt)) = found {
        return Destination::job(ctx, attempt.job);
    }
    // Jobs that wait may have no attempt.
    let job = snapshot.jobs.iter().rev().take(newest).find(|(_, job)| {
        job.attempts.is_empty()
            && (job.id.short() == wanted.to_ascii_uppercase() || begins(&job.id.to_string()))
    });
    if let Some((key, job)) = job {
        return Some(Destination::Job(key, job.id));
    }
    let context = attempts().find_map(|(_, attempt)| {
        let context = attempt.task.as_ref()?.context.as_ref()?;
        begins(&context.to_string()).then(|| context.clone())
    });
    let trace = || trace::named(wanted).map(|(trace, span)| Destination::Trace(trace, span));
    context.map(Destination::TasksOfContext).or_else(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_parsed() {
        for (text, asked) in [
            (":q", Asked::Quit),
            ("fleet prod-eu", Asked::Fleet("prod-eu".into())),
            ("fleet", Asked::Action(Action::ViewFleet)),
            ("group version", Asked::Group(Some(GroupBy::Version))),
            ("group label team", Asked::Group(Some(GroupBy::Label("team".into())))),
            ("group", Asked::Group(None)),
            ("explain {\"type\":\"a\"} do it", Asked::Explain("{\"type\":\"a\"} do it".into())),
            ("explain", Asked::Action(Action::Explain)),
            ("drill a, b", Asked::Drill("a, b".into())),
            ("routes next.toml", Asked::Routes("next.toml".into())),
            ("routes", Asked::Action(Action::ViewRoutes)),
            ("shift old new 10,100", Asked::Shift("old new 10,100".into())),
            ("theme light", Asked::Theme("light".into())),
            ("theme pink", Asked::Wrong("theme dark, theme light or theme mono".into())),
            ("mouse off", Asked::Mouse(false)),
            ("tasks", Asked::Action(Action::ViewTasks)),
            ("77d0", Asked::GoTo("77d0".into())),
            ("  two words ", Asked::GoTo("two words".into())),
        ] {
            assert_eq!(parse(text), asked, "{text}");
        }
    }

    #[test]
    fn no_alias_hides_a_command() {
        for word in aliases::all() {
            assert!(!is_command(word), "{word}");
        }
    }
}
