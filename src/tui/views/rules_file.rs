//! A file of rules beside those in force: what it would change, and what it would have done to the jobs of the past.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::id::AgentId;
use crate::domain::route::difference::RulesFile;
use crate::domain::route::replay::{Goes, Replay};
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::engine::{Answer, Query};
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::format;
use crate::tui::queries::{Ask, Refresh, Subscription};
use crate::tui::theme::Role;
use crate::tui::views::about::Lines;
use crate::tui::widgets::canvas::{Span, span};
use crate::tui::widgets::text::wrap;

/// How often the file is read again.
const EVERY: Duration = Duration::from_secs(5);
/// The past that is looked at.
const PAST: Duration = Duration::from_secs(24 * 3600);
/// Ways and jobs that are shown.
const WAYS: usize = 8;
const LISTED: usize = 20;

/// A run over the past.
#[derive(Debug)]
struct Run {
    since: At,
    /// Where the page begins that is being read.
    after: Option<u64>,
    percent: u8,
    is_over: bool,
    replay: Replay,
    /// The revision of the rules that it is about.
    revision: u64,
}

/// The pane.
#[derive(Debug, Default)]
pub struct RulesFilePane {
    /// The file that somebody named; `None` for the configuration file.
    named: Option<Arc<str>>,
    read: Option<RulesFile>,
    run: Option<Run>,
}

impl RulesFilePane {
    /// Compares with this file from now on.
    pub fn compare(&mut self, file: &str) {
        *self = Self { named: Some(file.into()), ..Self::default() };
    }

    /// Compares with the configuration file again; false if it does already.
    pub fn leave(&mut self) -> bool {
        let was_named = self.named.is_some();
        if was_named {
            *self = Self::default();
        }
        was_named
    }

    /// True if there is something to show: a file was named, or the configuration file says something else than the
    /// rules in force.
    pub fn is_shown(&self) -> bool {
        let differs = |read: &RulesFile| !read.differences.is_empty();
        self.named.is_some() || self.run.is_some() || self.read.as_ref().is_some_and(differs)
    }

    /// Looks at the past; false if there is nothing to compare.
    pub fn replay(&mut self, now: At) -> bool {
        let Some(read) = self.read.as_ref().filter(|read| read.fault.is_none()) else { return false };
        if !self.is_shown() {
            return false;
        }
        let (since, revision) = (now - PAST, read.revision);
        self.run =
            Some(Run { since, after: None, percent: 0, is_over: false, replay: Replay::default(), revision });
        true
    }

    /// The name in the title of the pane.
    pub fn title(&self) -> String {
        let file = self.read.as_ref().map(|read| read.file.line().into_string());
        let file = file.filter(|file| !file.is_empty());
        let named = self.named.as_deref().map(|file| Untrusted::from(file).line().into_string());
        let name = file.or(named).unwrap_or_else(|| "the file".to_owned());
        let short = name.rsplit('/').next().unwrap_or(&name).to_owned();
        format!("if {short} were loaded")
    }

    /// What stands at the right of the title.
    pub fn facts(&self) -> String {
        match &self.read {
            None => "reading".to_owned(),
            Some(RulesFile { fault: Some(_), .. }) => "it cannot be read".to_owned(),
            Some(read) => match read.differences.len() {
                0 => "nothing differs".to_owned(),
                1 => "1 difference · not loaded yet".to_owned(),
                many => format!("{many} differences · not loaded yet"),
            },
        }
    }

    /// What it would change, and what it would have done.
    pub fn lines(&self, ctx: &Context, width: usize) -> Lines {
        let mut lines = Lines::new();
        let mut say = |text: &str, role: Role| {
            lines.extend(wrap(text, width).into_iter().map(|line| vec![span(line, role)]));
        };
        match &self.read {
            None => {}
            Some(RulesFile { fault: Some(why), .. }) => say(&why.line(), Role::Bad),
            Some(read) if read.differences.is_empty() => {
                say("It says the same as the rules in force.", Role::Quiet);
            }
            Some(read) => read.differences.iter().for_each(|line| say(&line.line(), Role::Plain)),
        }
        match &self.run {
            Some(run) => {
                lines.extend(self.of_run(ctx, run, width));
            }
            None if self.is_shown() => {
                let key = ctx.key(Action::Again);
                say(
                    &format!("{key} replays the jobs of the last 24 h: which of them would go elsewhere"),
                    Role::Quiet,
                );
            }
            None => {}
        }
        lines
    }

    fn of_run(&self, ctx: &Context, run: &Run, width: usize) -> Lines {
        let changes = &run.replay.changes;
        let mut lines = Lines::new();
        let mut say = |text: String, role: Role| {
            lines.extend(wrap(&text, width).into_iter().map(|line| vec![span(line, role)]));
        };
        let count = |count: u64| format::count(usize::try_from(count).unwrap_or(usize::MAX));
        if !run.is_over {
            say(
                format!("{} jobs so far, {} % of the last 24 h", count(changes.all()), run.percent),
                Role::Doubt,
            );
        }
        if self.read.as_ref().is_some_and(|read| read.revision != run.revision) {
            say(format!("the file has changed since; {} again", ctx.key(Action::Again)), Role::Doubt);
        }
        let mut ways: Vec<String> = run
            .replay
            .ways
            .iter()
            .take(WAYS)
            .map(|way| {
                format!(
                    "{} from {} to {}",
                    count(way.jobs),
                    goes(ctx, run, &way.from),
                    goes(ctx, run, &way.to)
                )
            })
            .collect();
        if run.replay.ways.len() > WAYS {
            ways.push(format!("{} more ways", run.replay.ways.len() - WAYS));
        }
        let which = if ways.is_empty() { String::new() } else { format!(": {}", ways.join(", ")) };
        let harm = changes.nowhere > 0 || changes.waits > 0;
        let words = [
            (changes.elsewhere, "would go elsewhere"),
            (changes.nowhere, "to nobody"),
            (changes.waits, "would have to wait"),
        ];
        let words: Vec<String> = words
            .into_iter()
            .filter(|(jobs, _)| *jobs > 0)
            .map(|(jobs, words)| format!("{} {words}", count(jobs)))
            .collect();
        let words = if words.is_empty() { "none would go elsewhere".to_owned() } else { words.join(", ") };
        let mark = if harm { " !" } else { "" };
        say(
            format!("{} jobs of the last 24 h again: {words}{mark}{which}", count(changes.all())),
            if harm { Role::Warn } else { Role::Plain },
        );
        let mut more = vec![format!("{} by chance elsewhere, by turns or drawing", count(changes.by_chance))];
        if run.replay.by_name > 0 {
            more.push(format!("{} sent by name are not asked about", count(run.replay.by_name)));
        }
        if run.replay.unrecorded > 0 {
            more.push(format!(
                "for {} an agent was taken as it is now, as the record lacks it",
                count(run.replay.unrecorded)
            ));
        }
        say(more.join(" · "), Role::Quiet);
        for job in &run.replay.differing {
            let line: Vec<Span> = vec![
                span(format!("{}  ", ctx.clocks.second(job.at, ctx.now)), Role::Quiet),
                span(format!("{} {}  ", job.job.short(), job.title.line().fit(30)), Role::Plain),
                span(format!("{} → {}", goes(ctx, run, &job.from), goes(ctx, run, &job.to)), Role::Plain),
            ];
            lines.push(line);
        }
        lines
    }

    /// What it asks.
    pub fn queries(&self) -> Vec<Subscription> {
        let mut all = vec![Subscription::Ask(Ask {
            name: "rules file",
            query: Query::RulesFile { file: self.named.clone() }.into(),
            refresh: Refresh::Every(EVERY),
        })];
        if let Some(run) = self.run.as_ref().filter(|run| !run.is_over) {
            let query = self.asked(run).into();
            all.push(Subscription::Ask(Ask { name: "replay", query, refresh: Refresh::Version(0) }));
        }
        all
    }

    fn asked(&self, run: &Run) -> Query {
        let listed = LISTED.saturating_sub(run.replay.differing.len());
        Query::Replay { file: self.named.clone(), since: run.since, after: run.after, listed }
    }

    /// Takes an answer; true if the display changes.
    pub fn on_answer(&mut self, ask: &Ask, answer: Answer) -> bool {
        match answer {
            Answer::RulesFile(read) if ask.query == (Query::RulesFile { file: self.named.clone() }) => {
                let news = self.read.as_ref() != Some(&*read);
                self.read = Some(*read);
                news
            }
            Answer::Replayed(page) => {
                let Some(mut run) = self.run.take() else { return false };
                let fits = !run.is_over && ask.query == self.asked(&run);
                if fits {
                    run.replay.merge(page.replay, LISTED);
                    run.after = page.next;
                    run.percent = page.percent;
                    run.is_over = page.next.is_none();
                }
                self.run = Some(run);
                fits
            }
            _ => false,
        }
    }
}

/// Where jobs go, in words.
fn goes(ctx: &Context, run: &Run, goes: &Goes) -> String {
    let name = |id: &AgentId| {
        let known = run.replay.names.iter().find(|(known, _)| known == id).map(|(_, name)| name.clone());
        let listed = || {
            let agent = ctx.snapshot.agents.iter().find(|(_, agent)| agent.id == *id);
            agent.map(|(_, agent)| agent.name.clone())
        };
        known.or_else(listed).map_or_else(|| "an agent that has left".to_owned(), |name| name.line().fit(24))
    };
    match goes {
        Goes::To(agent) => name(agent),
        Goes::OneOf(agents) => {
            format!("one of {}", agents.iter().map(name).collect::<Vec<_>>().join(", "))
        }
        Goes::Waits => "the queue".to_owned(),
        Goes::Nowhere => "nobody".to_owned(),
    }
}
