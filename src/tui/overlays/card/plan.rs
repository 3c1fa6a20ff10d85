//! What a card knows beyond its rows: what the tasks delegated, and what the engine says would become of each.

use crate::domain::id::{AgentId, AttemptId};
use crate::domain::intent::Intent;
use crate::domain::job::Attempt;
use crate::domain::rehearsal::plan::{Becomes, MOST, Plan, Row};
use crate::engine::{Answer, Query};
use crate::tui::again::{Act, Again};
use crate::tui::bulk::Source;
use crate::tui::command;
use crate::tui::context::Context;
use crate::tui::overlays::card::delegated::at_agents;
use crate::tui::overlays::card::{About, Card};
use crate::tui::queries::{Ask, Refresh, Subscription, ViewQuery};
use crate::tui::theme::Role;

/// The name of the query.
const PLAN: &str = "plan";

impl Card {
    /// The plan of what is chosen now; `None` until the engine has answered.
    pub(super) fn plan(&self, ctx: &Context) -> Option<&Plan> {
        let (asked, plan) = self.planned.as_ref()?;
        (*asked == self.acts(ctx)).then_some(plan)
    }

    /// The intents that are rehearsed: the same as those of the card, without a reason.
    fn acts(&self, ctx: &Context) -> Vec<Intent> {
        let plans = match &self.about {
            About::Again(_) => {
                let is_known = self.act_again(ctx).is_some_and(|act| act != Act::Resend);
                // Of what was never sent nothing is foretold.
                is_known && !self.pick.is_open && self.unsent.is_empty()
            }
            About::Cancel | About::Orphans => self.is_bulk(),
            About::Requeue | About::Answer(_) | About::Quit => false,
        };
        // Also those that have ended since: the plan of the others stands until the engine has been asked again.
        let rows =
            self.subjects.iter().filter(|_| plans).filter_map(|subject| {
                ctx.latest.attempts.get(subject.key).filter(|row| row.id == subject.id)
            });
        rows.take(MOST).flat_map(|row| self.intents_because(ctx, row, None)).collect()
    }

    pub(in crate::tui) fn queries(&self, ctx: &Context) -> Vec<Subscription> {
        let acts = self.acts(ctx);
        let ask = Ask {
            name: PLAN,
            query: Query::Plan(acts.clone()).into(),
            refresh: Refresh::Version(self.version),
        };
        (!acts.is_empty()).then_some(Subscription::Ask(ask)).into_iter().collect()
    }

    pub(in crate::tui) fn asks(ask: &Ask) -> bool {
        ask.name == PLAN
    }

    pub(in crate::tui) fn on_answer(&mut self, ask: &Ask, answer: Answer, ctx: &Context) -> bool {
        let (ViewQuery::Engine(Query::Plan(acts)), Answer::Planned(plan)) = (&ask.query, answer) else {
            return false;
        };
        let is_first = self.planned.as_ref().is_none_or(|(known, _)| known != acts);
        self.take_plan(ctx, &plan, is_first);
        self.planned = Some((acts.clone(), *plan));
        true
    }

    /// The attempts of many that stay as they are, as the engine says. One is tried all the same: the engine says why not.
    fn stays(&self, ctx: &Context) -> Vec<AttemptId> {
        if !self.is_bulk() {
            return Vec::new();
        }
        let rows = self.plan(ctx).map(|plan| plan.rows.as_slice()).unwrap_or_default();
        let stays = rows.iter().filter(|row| matches!(row.becomes, Becomes::Stays(_)));
        stays.map(|row| row.attempt).collect()
    }

    /// Those to which something would happen.
    pub(super) fn doable<'s>(&'s self, ctx: &'s Context) -> Vec<&'s Attempt> {
        let stays = self.stays(ctx);
        self.ready(ctx).into_iter().map(|(_, row)| row).filter(|row| !stays.contains(&row.id)).collect()
    }

    /// The plan of those that are still meant.
    fn without_those_that_left(&self, plan: &Plan) -> Plan {
        let left = |row: &&Row| self.subjects.iter().any(|one| one.left && one.id == row.attempt);
        let rows = plan.rows.iter().filter(|row| !left(row)).cloned().collect();
        Plan { rows, loads: plan.loads.clone(), is_cut: plan.is_cut }
    }

    /// What would become of the tasks, in lines: where how many go, what waits, what stays and why.
    pub(super) fn plan_lines(&self, ctx: &Context) -> Vec<(String, Role)> {
        let Some(plan) = self.plan(ctx).map(|plan| self.without_those_that_left(plan)) else {
            let is_asked = !self.acts(ctx).is_empty();
            return is_asked
                .then(|| ("the engine is asked where they would go…".to_owned(), Role::Quiet))
                .into_iter()
                .collect();
        };
        let name = |id: AgentId| {
            let agent = ctx.latest.agents.iter().find(|(_, agent)| agent.id == id);
            agent.map(|(_, agent)| agent.name.line().fit(24)).unwrap_or_default()
        };
        let loads = plan.loads.iter().map(|load| {
            let places = match load.capacity {
                Some(most) => format!("{}/{most} becomes {}/{most}", load.before, load.after),
                None => format!("{} in flight becomes {}", load.before, load.after),
            };
            (format!("{:>4} {} {:<14} {places}", load.gets, ctx.glyphs().to, name(load.agent)), Role::Plain)
        });
        let mut lines: Vec<(String, Role)> = loads.collect();
        for (why, count) in plan.waits() {
            let wait = if count == 1 { "waits" } else { "wait" };
            lines.push((format!("{count:>4} {wait} for {}", why.in_words()), Role::Warn));
        }
        let held = plan.count(&Becomes::Held);
        if held > 0 {
            let wait = if held == 1 { "waits" } else { "wait" };
            let words =
                format!("{held:>4} {wait} until what it delegated to an agent out of reach has ended");
            lines.push((words, Role::Warn));
        }
        for (why, count) in plan.stays() {
            let stay = if count == 1 { "stays" } else { "stay" };
            lines.push((format!("{count:>4} {stay}: {}", why.line()), Role::Warn));
        }
        let capacity = self
            .subjects
            .first()
            .and_then(|subject| ctx.latest.attempts.get(subject.key))
            .and_then(|row| ctx.latest.agents.get(row.agent)?.spec.capacity);
        if let Some(more) = plan.more_agents(capacity) {
            let agents = if more == 1 { "1 more agent".to_owned() } else { format!("{more} more agents") };
            lines.push((format!("     {agents} of this kind would take those that wait"), Role::Quiet));
        }
        lines
    }

    /// What is canceled with the tasks, as a sentence; `None` if they delegated nothing that is alive.
    pub(super) fn with_words(&self, ctx: &Context) -> Option<String> {
        let all = self.live_delegated(&ctx.latest);
        if all.is_empty() {
            return None;
        }
        let one = all.len() == 1;
        let tasks = if one { "1 task".to_owned() } else { format!("{} tasks", all.len()) };
        let (they, them) = if self.is_bulk() { ("they", "them") } else { ("it", "it") };
        let at = at_agents(&ctx.latest, &all);
        Some(match (&self.about, self.cascade) {
            (About::Cancel, false) => {
                format!("{tasks} that {they} delegated {} on ({at}).", if one { "goes" } else { "go" })
            }
            (About::Orphans, _) => {
                let run = if one { "runs" } else { "run" };
                format!("{tasks} that {they} delegated still {run} ({at}): each is canceled and verified.")
            }
            _ if one => {
                format!("And with {them} the task that {they} delegated ({at}), which is verified by itself.")
            }
            _ => format!(
                "And with {them} the {tasks} that {they} delegated ({at}); each is verified by itself."
            ),
        })
    }

    /// One command for all of them, where there is one.
    pub(super) fn bulk_command(&self, ctx: &Context) -> Option<String> {
        if !self.is_bulk() || !self.unsent.is_empty() {
            return None;
        }
        let verb = match (&self.about, self.act_again(ctx)) {
            (About::Cancel | About::Orphans, _) => command::Bulk::Cancel { alone: !self.cascade },
            (About::Again(Again::Live), Some(Act::Elsewhere | Act::Chosen)) => command::Bulk::Reroute,
            (About::Again(Again::Ended), Some(Act::Elsewhere | Act::Chosen)) => command::Bulk::Retry,
            _ => return None,
        };
        let ids: Vec<AttemptId> = self.doable(ctx).iter().map(|row| row.id).collect();
        let why = self.why.text().trim();
        let to = self.pick.chosen.filter(|_| self.act_again(ctx) == Some(Act::Chosen));
        let snapshot = &ctx.latest;
        Some(command::of_bulk(snapshot, &ctx.info.flags, verb, &self.source_flag(ctx, &ids), to, why))
    }

    fn source_flag(&self, ctx: &Context, ids: &[AttemptId]) -> String {
        let listed = || {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            format!(" {}", ids.join(" "))
        };
        match &self.source {
            Source::Rows => listed(),
            Source::Agent(key) => ctx.latest.agents.get(*key).map_or_else(listed, command::agent_flag),
            Source::Problem(number) => format!(" --problem=p-{number}"),
        }
    }
}
