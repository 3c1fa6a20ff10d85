//! How the tasks stand that a task delegated, once it is canceled.

use crate::domain::id::AttemptKey;
use crate::domain::job::Attempt;
use crate::domain::job::delegated::{self, ByParent, Progress};
use crate::domain::job::plan::JobPhase;
use crate::domain::job::task::CancelMark;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::theme::Role;

/// Tasks that are named where they have not ended.
const NAMED: usize = 3;

/// The tasks that one delegated, at any depth.
pub fn below(ctx: &Context, task: AttemptKey) -> Vec<AttemptKey> {
    delegated::below(&ByParent::new(&ctx.snapshot), task).tasks
}

/// How the cancel of a delegated task that has ended came out; empty if nobody asked for one, or while it runs, as its
/// state says it then.
pub fn mark(attempt: &Attempt) -> String {
    let mark = attempt.task.as_ref().and_then(|task| task.cancel).filter(|_| !attempt.is_live());
    mark.map(|mark| format!("  cancel {}", mark.as_str())).unwrap_or_default()
}

/// `2 of 3 delegated seen ended; ledger-1 5e02 unconfirmed`; `None` if nothing was delegated, or nobody cancels.
pub fn words(ctx: &Context, attempt: &Attempt, below: &[AttemptKey]) -> Option<(String, Role)> {
    let task = attempt.task.as_ref()?;
    let rows: Vec<&Attempt> = below.iter().filter_map(|key| ctx.snapshot.attempts.get(*key)).collect();
    let progress = Progress::of(rows.iter().copied());
    let asked =
        task.cascades || rows.iter().any(|row| row.task.as_ref().is_some_and(|task| task.cancel.is_some()));
    let ended = !attempt.is_live() && task.cancel.is_some();
    if progress.total() == 0 || !(asked || ended) {
        return None;
    }
    let of = format!("{} of {} delegated seen ended", progress.ended, progress.total());
    if progress.live() == 0 {
        return Some((of, Role::Quiet));
    }
    let name = |row: &&Attempt| {
        let agent = ctx.snapshot.agents.get(row.agent).map(|agent| agent.name.line().fit(24));
        let task = row.task.as_ref()?;
        let mark = task.cancel.map_or("not asked", CancelMark::as_str);
        Some(format!("{} {} {mark}", agent.unwrap_or_default(), task.id.short()))
    };
    let open: Vec<String> = rows.iter().filter(|row| row.is_live()).filter_map(name).take(NAMED).collect();
    let more = progress.live().saturating_sub(open.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let moves = ctx.snapshot.job_of(attempt).is_some_and(|job| {
        let next = job.plan.as_ref().is_some_and(|plan| plan.next.is_some());
        next && job.phase == JobPhase::Running && !attempt.is_live()
    });
    let then = if moves {
        format!(" · moves once they have ended; {} sends it now", ctx.key(Action::Again))
    } else if ended && progress.left > 0 {
        format!(" · {} cancels them", ctx.key(Action::Cancel))
    } else {
        String::new()
    };
    Some((format!("{of}; {}{more}{then}", open.join(", ")), Role::Warn))
}
