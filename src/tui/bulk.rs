//! What an operator does to all tasks of an agent or of a problem, and what is said about it before.

use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::{Agent, Health};
use crate::domain::id::{AgentKey, AttemptKey};
use crate::domain::problem::{Kind, Problem, diagnosis};
use crate::domain::state::snapshot::Snapshot;
use crate::tui::actions::Action;
use crate::tui::again::Again;
use crate::tui::context::Context;

/// Agents that are named in a hint.
const NAMED: usize = 3;

/// Where the tasks of a card come from: the command that does the same says it likewise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// Rows that were marked, or the one under the cursor.
    Rows,
    /// All that run at an agent.
    Agent(AgentKey),
    /// All that a problem of this number affects.
    Problem(u32),
}

/// The live tasks of an agent.
pub fn of_agent(snapshot: &Snapshot, agent: AgentKey) -> Vec<AttemptKey> {
    let attempts = snapshot.attention.of(agent);
    let live =
        |key: &AttemptKey| snapshot.attempts.get(*key).is_some_and(|row| row.is_live() && row.task.is_some());
    attempts.filter(live).collect()
}

/// The tasks that `r` on a problem is about: what can be moved, otherwise what can be tried again.
pub fn of_problem(snapshot: &Snapshot, problem: &Problem) -> Vec<AttemptKey> {
    let live = diagnosis::live_of(snapshot, problem);
    let moves =
        |key: &AttemptKey| fits(snapshot, *key, Again::Live) || fits(snapshot, *key, Again::Unreachable);
    if live.iter().any(moves) {
        return live;
    }
    diagnosis::failed_of(snapshot, problem)
}

fn fits(snapshot: &Snapshot, key: AttemptKey, again: Again) -> bool {
    snapshot.attempts.get(key).is_some_and(|row| Again::of(snapshot, row) == Ok(again))
}

/// True if work that an agent has is better done by others while such a problem lasts.
fn moves_away(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::AgentFailing
            | Kind::SkillFailing
            | Kind::AgentDegraded
            | Kind::AgentSlow
            | Kind::AgentFlapping
            | Kind::BreakerOpen
            | Kind::OverCapacity
    )
}

fn takes_work(agent: &Agent) -> bool {
    let is_well = matches!(agent.health, Health::Up | Health::Degraded);
    is_well && agent.service.is_none() && agent.breaker.position != BreakerState::Open
}

/// `move its 14 running tasks: cashier-1 and cashier-3 have 22 places free; 1 stays, as somebody else sent it`
pub fn next_step(ctx: &Context, problem: &Problem) -> Option<String> {
    if !moves_away(problem.kind) || problem.cleared.is_some() || !ctx.offers(Action::Again) {
        return None;
    }
    let snapshot = &ctx.snapshot;
    let live = diagnosis::live_of(snapshot, problem);
    let moves = live.iter().filter(|key| fits(snapshot, **key, Again::Live)).count();
    let failed = diagnosis::failed_of(snapshot, problem).len();
    let key = ctx.key(Action::Again);
    let again = match failed {
        0 => None,
        1 => Some("1 that failed".to_owned()),
        failed => Some(format!("{failed} that failed")),
    };
    if moves == 0 {
        return again.map(|again| ctx.step(Action::Again, &format!("send the {again} again")));
    }
    let tasks = if moves == 1 { "its running task".to_owned() } else { format!("its {moves} running tasks") };
    let mut words = format!("move {tasks}{}", places(snapshot, problem, moves));
    let stays = live.len() - moves;
    if stays > 0 {
        let stay = if stays == 1 { "stays, as it is" } else { "stay, as they are" };
        words.push_str(&format!("; {stays} {stay} not ours or on the way already"));
    }
    if let Some(again) = again {
        words.push_str(&format!("; then {key} on the {again}"));
    }
    Some(ctx.step(Action::Again, &words))
}

/// `: cashier-1 and cashier-3 have 22 places free`
fn places(snapshot: &Snapshot, problem: &Problem, moves: usize) -> String {
    let others = diagnosis::not_hit(snapshot, problem);
    let others: Vec<&Agent> = others
        .into_iter()
        .filter_map(|key| snapshot.agents.get(key))
        .filter(|agent| takes_work(agent))
        .collect();
    if others.is_empty() {
        return ": no other agent has the same skills and takes work, so they would wait".to_owned();
    }
    let mut names: Vec<String> =
        others.iter().take(NAMED).map(|agent| agent.name.line().into_string()).collect();
    if others.len() > NAMED {
        names.push(format!("{} more", others.len() - NAMED));
    }
    let (last, first) =
        names.split_last().map_or((String::new(), &[][..]), |(last, first)| (last.clone(), first));
    let who = if first.is_empty() { last } else { format!("{} and {last}", first.join(", ")) };
    let have = if others.len() == 1 { "has" } else { "have" };
    let free: Option<u32> =
        others.iter().map(|agent| Some(agent.spec.capacity?.saturating_sub(agent.counts.live))).sum();
    let Some(free) = free else {
        return format!(": {who} {} work", if others.len() == 1 { "takes" } else { "take" });
    };
    let place = if free == 1 { "place" } else { "places" };
    let mut words = format!(": {who} {have} {free} {place} free");
    let missing = moves.saturating_sub(free as usize);
    if missing > 0 {
        let most = others.iter().filter_map(|agent| agent.spec.capacity).max().unwrap_or(1).max(1);
        let more = missing.div_ceil(most as usize);
        let agents = if more == 1 { "1 more agent".to_owned() } else { format!("{more} more agents") };
        words.push_str(&format!(", {missing} would wait; {agents} would do"));
    }
    words
}
