//! A drill in lines, the same on every surface.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::id::{AgentId, AttemptId};
use crate::domain::rehearsal::drill::{Drill, Fate, Foretold, Left};
use crate::domain::text::Untrusted;
use crate::domain::time::format_duration;

/// Tasks that are named where a person has to know which.
const NAMED: usize = 5;

/// How bad a line is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Tone {
    /// The head of a group.
    Head,
    /// A fact.
    Plain,
    /// Work goes on elsewhere.
    Good,
    /// A person has to act, or work waits.
    Warn,
    /// Nobody is left, or work is lost.
    Bad,
}

/// Names for the ids of a drill.
pub trait Names {
    /// An agent by its name.
    fn agent(&self, id: AgentId) -> String;
    /// A task as people type it.
    fn task(&self, id: AttemptId) -> String;
}

/// `1 task`, `2 tasks`
fn tasks(count: usize) -> String {
    if count == 1 { "1 task".to_owned() } else { format!("{count} tasks") }
}

/// `jobs` or `job`
fn jobs(count: u32) -> String {
    if count == 1 { "1 job".to_owned() } else { format!("{count} jobs") }
}

impl Fate {
    /// What becomes of a task, behind its name.
    pub fn words(&self, names: &impl Names) -> String {
        match self {
            Self::Moves(to) => format!("is sent to {}", names.agent(*to)),
            Self::Waits(why) => format!("waits for {}", why.in_words()),
            Self::Asked => "is asked about in the inbox".to_owned(),
            Self::Ends(why) => format!("ends: {}", why.line()),
            Self::Foreign => "is up to its caller".to_owned(),
            Self::Stays => "waits for its agent".to_owned(),
        }
    }

    fn tone(&self) -> Tone {
        match self {
            Self::Moves(_) => Tone::Good,
            Self::Waits(_) | Self::Asked | Self::Foreign | Self::Stays => Tone::Warn,
            Self::Ends(_) => Tone::Bad,
        }
    }

    /// What becomes of so many, as a line.
    fn of(&self, count: usize, names: &impl Names) -> String {
        let one = count == 1;
        let number = tasks(count);
        match self {
            Self::Moves(to) => {
                format!("{number} {} sent to {}", if one { "is" } else { "are" }, names.agent(*to))
            }
            Self::Waits(why) => {
                format!("{number} {} for {}", if one { "waits" } else { "wait" }, why.in_words())
            }
            Self::Asked => format!(
                "{number} {} asked about in the inbox, as doing the work twice may do harm",
                if one { "is" } else { "are" }
            ),
            Self::Ends(why) => {
                format!("{number} {} without a result: {}", if one { "ends" } else { "end" }, why.line())
            }
            Self::Foreign => format!(
                "{number} somebody else sent: {} up to the caller",
                if one { "it is" } else { "they are" }
            ),
            Self::Stays => {
                format!("{number} {} for the agent to come back", if one { "waits" } else { "wait" })
            }
        }
    }
}

impl Drill {
    /// The title: `if cashier-2 died now, within 3m20s`
    pub fn title(&self, names: &impl Names) -> String {
        let agents: Vec<String> = self.agents.iter().map(|agent| names.agent(*agent)).collect();
        format!("if {} died now, within {}", agents.join(", "), format_duration(whole(self.within)))
    }

    /// Everything that would happen, in lines.
    pub fn lines(&self, names: &impl Names) -> Vec<(Tone, String)> {
        let mut lines = Vec::new();
        self.push_tasks(names, &mut lines);
        self.push_queue(&mut lines);
        if !self.left.is_empty() {
            lines.push((Tone::Head, "who is left".to_owned()));
            lines.extend(self.left.iter().map(|left| of_left(left, names)));
        }
        lines.push((Tone::Head, "problems".to_owned()));
        if self.problems.is_empty() {
            lines.push((Tone::Plain, "none would be raised".to_owned()));
        }
        for (kind, text) in &self.problems {
            lines.push((Tone::Warn, format!("{}: {}", kind.as_str(), text.line())));
        }
        if self.is_cut {
            lines.push((Tone::Warn, "too much would follow to be foretold in full".to_owned()));
        }
        lines
    }

    fn push_tasks(&self, names: &impl Names, lines: &mut Vec<(Tone, String)>) {
        lines.push((Tone::Head, "its tasks".to_owned()));
        if self.tasks.is_empty() {
            lines.push((Tone::Plain, "no live task runs there".to_owned()));
        }
        for (fate, all) in by_fate(&self.tasks) {
            let latest = all.iter().filter_map(|task| task.after).max();
            let after = latest.filter(|after| !after.is_zero()).map(whole);
            let after = after.map(|after| format!(", after {}", format_duration(after))).unwrap_or_default();
            lines.push((fate.tone(), format!("{}{after}", fate.of(all.len(), names))));
            if matches!(fate, Fate::Asked | Fate::Ends(_)) {
                let named: Vec<String> =
                    all.iter().take(NAMED).map(|task| names.task(task.attempt)).collect();
                let more = all.len().saturating_sub(NAMED);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                lines.push((Tone::Plain, format!("  {}{more}", named.join(", "))));
            }
        }
        if self.unlisted > 0 {
            lines.push((Tone::Warn, format!("{} more tasks are not listed", self.unlisted)));
        }
    }

    fn push_queue(&self, lines: &mut Vec<(Tone, String)>) {
        lines.push((Tone::Head, "the queue".to_owned()));
        let changed: Vec<_> = self.queue.iter().filter(|(_, (was, is))| was.max(is) > &0).collect();
        if changed.is_empty() {
            lines.push((Tone::Plain, "nothing waits, and nothing would".to_owned()));
        }
        for (why, (was, is)) in changed {
            let tone = if is > was { Tone::Warn } else { Tone::Plain };
            let wait = if *is == 1 { "waits" } else { "wait" };
            lines.push((tone, format!("{} {wait} for {}, {was} now", jobs(*is), why.in_words())));
        }
        if let Some(more) = self.more_agents {
            let agents = if more == 1 { "1 more agent".to_owned() } else { format!("{more} more agents") };
            lines.push((Tone::Warn, format!("{agents} of this kind would take those that wait for a place")));
        }
    }
}

fn of_left(left: &Left, names: &impl Names) -> (Tone, String) {
    let what = left.what.line();
    if left.agents == 0 {
        return (Tone::Bad, format!("{what}: nobody"));
    }
    let each: Vec<String> = left
        .named
        .iter()
        .map(|(agent, (live, capacity))| match capacity {
            Some(most) => format!("{} {live}/{most}", names.agent(*agent)),
            None => format!("{} {live} in flight", names.agent(*agent)),
        })
        .collect();
    let more = (left.agents as usize).saturating_sub(each.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let free = left.free.map(|free| format!("; {free} places free")).unwrap_or_default();
    let tone = if left.free == Some(0) { Tone::Bad } else { Tone::Plain };
    (tone, format!("{what}: {} of {} agents, {}{more}{free}", left.agents, left.of, each.join(", ")))
}

/// Tasks with the same fate, the most first.
fn by_fate(tasks: &[Foretold]) -> Vec<(&Fate, Vec<&Foretold>)> {
    let mut groups: BTreeMap<(u8, String), Vec<&Foretold>> = BTreeMap::new();
    for task in tasks {
        let (order, text) = match &task.fate {
            Fate::Moves(to) => (0, to.to_string()),
            Fate::Waits(why) => (1, why.as_str().to_owned()),
            Fate::Asked => (2, String::new()),
            Fate::Ends(why) => (3, Untrusted::raw(why).to_owned()),
            Fate::Foreign => (4, String::new()),
            Fate::Stays => (5, String::new()),
        };
        groups.entry((order, text)).or_default().push(task);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|((order, _), all)| (*order, std::cmp::Reverse(all.len())));
    groups.into_iter().filter_map(|(_, all)| Some((&all.first()?.fate, all))).collect()
}

fn whole(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}
