//! The command line: commands with arguments, every action by its name, agents, and ids.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use crate::domain::agent::replicas::GroupBy;
use crate::domain::text::contains_ignore_case;
use crate::tui::actions::Action;
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
    /// The description for the palette.
    pub doc: &'static str,
}

/// Every command that takes words, or that has no key.
pub const ALL: &[Command] = &[
    Command { name: "fleet", usage: "fleet NAME", doc: "Go to another fleet of the configuration." },
    Command {
        name: "group",
        usage: "group WHAT",
        doc: "Group the fleet: declared (replicas that you declared), replicas, provider, version, region, framework, label NAME or none.",
    },
    Command {
        name: "time",
        usage: "time 30m|02:50..03:10",
        doc: "The time window of all views, up to thirty days.",
    },
    Command {
        name: "was",
        usage: "was hour|day|week",
        doc: "The window to compare with: an hour, a day or a week before.",
    },
    Command { name: "theme", usage: "theme NAME", doc: "dark, light or mono." },
    Command { name: "ascii", usage: "ascii on|off", doc: "Draw with ASCII only." },
    Command {
        name: "mouse",
        usage: "mouse on|off",
        doc: "Leave the mouse to the terminal, or take it back.",
    },
    Command { name: "suspend", usage: "suspend", doc: "Suspend this console, like ctrl-z in a shell." },
    Command { name: "q", usage: "q", doc: "Leave. Shows what continues without you; cancels nothing." },
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
}

/// True if it is the first word of a command.
pub fn is_command(name: &str) -> bool {
    ALL.iter().any(|command| command.name == name) || matches!(name, "quit" | "exit")
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

/// The entries that match what was typed, best match first.
pub fn complete(ctx: &Context, typed: &str, most: usize) -> Vec<Entry> {
    let typed = typed.trim();
    let offered = || Action::ALL.iter().filter(|action| ctx.offers(**action));
    let actions = offered().map(|action| Entry {
        text: action.word().to_owned(),
        doc: action.doc().to_owned(),
        key: ctx.preferences.keys.first(*action).to_owned(),
    });
    let commands = ALL.iter().map(|command| Entry {
        text: command.usage.to_owned(),
        doc: command.doc.to_owned(),
        key: String::new(),
    });
    let agents = ctx.snapshot.agents.iter().filter(|(_, agent)| agent.listed).map(|(_, agent)| Entry {
        text: agent.name.line().into_string(),
        doc: "agent".to_owned(),
        key: String::new(),
    });
    let saved = || {
        ctx.preferences.views.iter().map(|saved| Entry {
            text: saved.name.clone(),
            doc: format!("saved view: {}", saved.summary()),
            key: String::new(),
        })
    };
    let all = actions.chain(commands);
    if typed.is_empty() {
        // Views first. Actions that have a key are not listed, because the key is faster.
        let views = Action::ALL.iter().filter(|action| action.is_view()).map(|action| Entry {
            text: action.word().to_owned(),
            doc: action.doc().to_owned(),
            key: ctx.preferences.keys.first(*action).to_owned(),
        });
        return views.chain(saved()).chain(all.skip(offered().count())).take(most).collect();
    }
    let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut buffer = Vec::new();
    let mut scored: Vec<(u32, Entry)> = all
        .chain(saved())
        .chain(agents)
        .filter_map(|entry| {
            let named = pattern.score(Utf32Str::new(&entry.text, &mut buffer), &mut matcher);
            // A match in the description counts less than one in the name.
            let score = match named {
                Some(score) if entry.text.starts_with(typed) => score + 1000,
                Some(score) => score + 100,
                None if contains_ignore_case(&entry.doc, typed) => 1,
                None => return None,
            };
            Some((score, entry))
        })
        .collect();
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().map(|(_, entry)| entry).take(most).collect()
}

/// The agent, problem, task, job, attempt or context of this name or id.
pub fn find(ctx: &Context, wanted: &str) -> Option<Destination> {
    let wanted = wanted.trim().trim_matches(['"', '\'']);
    if wanted.is_empty() {
        return None;
    }
    let snapshot = &ctx.snapshot;
    if let Some(number) = wanted.strip_prefix("p-").and_then(|number| number.parse::<u32>().ok()) {
        let (key, _) = snapshot.problems.iter().find(|(_, problem)| problem.number == number)?;
        return Some(Destination::Problem(key));
    }
    let named = |name: &str| name.eq_ignore_ascii_case(wanted);
    if let Some((key, _)) =
        snapshot.agents.iter().find(|(_, agent)| agent.listed && named(&agent.name.line()))
    {
        return Destination::agent(ctx, key);
    }
    let begins =
        |id: &str| id == wanted || (wanted.len() >= 4 && id.len() > wanted.len() && id.starts_with(wanted));
    let found = snapshot.attempts.iter().rev().find(|(_, attempt)| {
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
    let context = snapshot.attempts.iter().rev().find_map(|(_, attempt)| {
        let context = attempt.task.as_ref()?.context.as_ref()?;
        begins(&context.to_string()).then(|| context.clone())
    });
    context.map(Destination::TasksOfContext)
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
}
