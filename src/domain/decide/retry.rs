//! What follows an attempt that has ended: the end of the job, or another attempt by rule.
//!
//! An attempt is followed by another one only if it was seen to end, or was never sent. If it is unknown whether it
//! arrived, or whether its work was done, a rule must say that doing it twice does no harm (`idempotent`); otherwise an
//! operator decides.

use std::sync::Arc;

use crate::domain::cause::Cause;
use crate::domain::decide::cancel;
use crate::domain::decide::cascade;
use crate::domain::decide::doubt;
use crate::domain::decide::live::Timer;
use crate::domain::decide::queue;
use crate::domain::decide::race;
use crate::domain::decide::timeout;
use crate::domain::decide::turn::Turn;
use crate::domain::fact::{AttemptFact, JobFact};
use crate::domain::id::{AgentKey, AttemptKey, JobKey};
use crate::domain::job::plan::{JobPhase, Plan, SpentBudget, WaitReason};
use crate::domain::job::task::{TaskState, Verdict};
use crate::domain::job::{Attempt, Job, Origin, Phase, Task};
use crate::domain::route::explanation::RetryBudget;
use crate::domain::route::{Backoff, Rule, Target, UNREACHABLE_AFTER};
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// The time of which the retry budget counts jobs and retries.
const BUDGET_WINDOW: std::time::Duration = std::time::Duration::from_secs(600);
/// The longest pause that an agent's `Retry-After` is granted.
const LONGEST_ASKED: std::time::Duration = std::time::Duration::from_secs(600);
/// Why a task is canceled that came back too late.
const SUPERSEDED: &str = "another attempt has followed this one";
/// Retries in that time that are always allowed.
const BUDGET_FLOOR: u32 = 10;
/// A job whose attempts were never sent moves to the next agent without counting as a retry, up to this many attempts.
const UNSENT_MOVES: usize = 16;

/// How an attempt ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// With a result, or because somebody wanted it.
    Wanted,
    /// Without one; trying again cannot do the work twice.
    Failed,
    /// It never left.
    Unsent,
    /// It may have run, or still run.
    Unknown,
}

impl End {
    fn of(attempt: &Attempt) -> Option<Self> {
        let overdue = matches!(attempt.cause.as_deref(), Some(Cause::Overdue(_) | Cause::Deadline(_)));
        if let Some(task) = &attempt.task {
            return match &task.state {
                TaskState::Completed => Some(Self::Wanted),
                TaskState::Failed | TaskState::Rejected => Some(Self::Failed),
                TaskState::Canceled if overdue => Some(Self::Failed),
                TaskState::Canceled => Some(Self::Wanted),
                _ if task.verdict == Some(Verdict::Lost) => Some(Self::Unknown),
                _ if attempt.phase == Phase::PresumedLost => Some(Self::Unknown),
                _ => None,
            };
        }
        match attempt.phase {
            Phase::Planned | Phase::Sending | Phase::Accepted => None,
            Phase::Answered => Some(Self::Wanted),
            Phase::Refused => Some(Self::Failed),
            Phase::Unsent => Some(Self::Unsent),
            Phase::Uncertain | Phase::PresumedLost => Some(Self::Unknown),
        }
    }
}

/// Looks at the job of an attempt that has changed.
pub(super) fn look(turn: &mut Turn, attempt: AttemptKey) {
    let Some(key) = turn.state().attempt(attempt).map(|attempt| attempt.job) else { return };
    let Some(job) = turn.state().jobs().get(key).filter(|job| job.origin == Origin::Sent) else { return };
    if job.winner().is_some() {
        return race::stop(turn, key, attempt);
    }
    came_back(turn, key, attempt);
    let Some(job) = turn.state().jobs().get(key) else { return };
    match job.phase {
        JobPhase::Queued => {
            // It may have waited for a task that was given up, and that its agent turns out not to have.
            let pauses = job.plan.as_ref().and_then(|plan| plan.waiting?.until).is_some();
            let row = turn.state().attempt(attempt);
            let gone =
                row.and_then(|row| row.task.as_ref()).is_some_and(|task| task.verdict == Some(Verdict::Lost));
            if gone && !pauses {
                queue::assign(turn, key);
            }
        }
        JobPhase::Running if job.round().len() > 1 => match race::completed(turn, job) {
            Some(winner) => won(turn, key, winner),
            None => follow(turn, key),
        },
        JobPhase::Running => follow(turn, key),
        JobPhase::Over => {}
    }
}

/// What is known of the attempts of a job that ran beside each other, once none of them is alive.
struct Ended {
    end: End,
    /// The one that ended last.
    last: AttemptKey,
    /// Those that may have arrived, and about which nobody has decided.
    open: Vec<AttemptKey>,
}

impl Ended {
    /// `None` while one of them is alive.
    fn of(turn: &Turn, job: &Job) -> Option<Self> {
        if race::living(turn, job).any(|(_, row)| row.phase != Phase::Uncertain) {
            return None;
        }
        let rows = || job.round().iter().filter_map(|key| Some((*key, turn.state().attempt(*key)?)));
        let (last, row) = rows().max_by_key(|(_, row)| (row.learnt(), row.number))?;
        let ends: Vec<End> = rows().filter_map(|(_, row)| End::of(row)).collect();
        // What an operator ended last is not tried again; otherwise the one that allows least decides.
        let end = match End::of(row)? {
            End::Wanted => End::Wanted,
            end => [End::Unknown, End::Failed].into_iter().find(|one| ends.contains(one)).unwrap_or(end),
        };
        let open = rows().filter(|(_, row)| row.phase == Phase::Uncertain).map(|(key, _)| key).collect();
        Some(Self { end, last, open })
    }
}

/// Ends a job that runs and has no live attempt, or lets another one follow.
fn follow(turn: &mut Turn, key: JobKey) {
    let Some(job) = turn.state().jobs().get(key) else { return };
    let Some(Ended { end, last, open }) = Ended::of(turn, job) else { return };
    let Some(row) = turn.state().attempt(last) else { return };
    let idempotent = job.plan.as_ref().is_some_and(|plan| plan.idempotent);
    if !open.is_empty() && !idempotent {
        // An operator decides.
        return;
    }
    let (id, has_task) = (job.id, row.task.is_some());
    let completed =
        row.task.as_ref().map_or(row.phase == Phase::Answered, |task| task.state == TaskState::Completed);
    let cause = cause_of(row);
    let moves = job.plan.as_ref().and_then(|plan| moved(plan, row));
    if moves.is_some() && cascade::holds(turn.state(), last) {
        return;
    }
    let next = moves.or_else(|| job.plan.as_ref().and_then(|plan| next(turn, job, plan, end, row)));
    if !open.is_empty() && next.is_none() {
        return;
    }
    let kept_back = job.plan.as_ref().filter(|_| next.is_none()).and_then(|plan| {
        wanted(turn, job, plan, end, row)?;
        spent(turn, plan)
    });
    for attempt in open {
        let cause = turn.state().attempt(attempt).and_then(cause_of);
        turn.clear_timer(Timer::Lookup(attempt));
        turn.attempt_fact(attempt, AttemptFact::Moved { phase: Phase::PresumedLost, cause });
    }
    if has_task {
        turn.live.messages.remove(&key);
    }
    if completed {
        took(turn, last);
    }
    match next {
        Some(Next::After(pause)) => {
            spend(turn, key);
            let until = turn.at + turn.jittered_retry(pause);
            queue::wait(turn, key, WaitReason::Backoff, Some(until));
        }
        Some(Next::Now) => {
            queue::wait(turn, key, WaitReason::Unavailable, None);
            queue::assign(turn, key);
        }
        None => {
            let dead =
                turn.state().jobs().get(key).is_some_and(|job| job.plan.is_some()) && end != End::Wanted;
            let cause = cause.filter(|_| dead);
            turn.clear_timer(Timer::Deadline(key));
            turn.job_fact(id, JobFact::Ended { cause, spent: kept_back });
        }
    }
}

/// One of the attempts that run beside each other has completed: the job ends with it, and the others are stopped.
fn won(turn: &mut Turn, key: JobKey, winner: AttemptKey) {
    let Some(job) = turn.state().jobs().get(key) else { return };
    let (id, attempts) = (job.id, job.attempts.to_vec());
    turn.attempt_fact(winner, AttemptFact::Won);
    turn.live.messages.remove(&key);
    took(turn, winner);
    turn.clear_timer(Timer::Deadline(key));
    turn.job_fact(id, JobFact::Ended { cause: None, spent: None });
    for attempt in attempts {
        race::stop(turn, key, attempt);
    }
}

/// Counts the time that a completed attempt took.
fn took(turn: &mut Turn, key: AttemptKey) {
    let Some((agent, created)) = turn.state().attempt(key).map(|row| (row.agent, row.created)) else {
        return;
    };
    let at = turn.at;
    turn.agent_live(agent).task_time.record(at, at.since(created));
}

/// Why an attempt has no result.
fn cause_of(row: &Attempt) -> Option<Arc<Cause>> {
    row.cause.clone().or_else(|| row.task.as_ref().map(|task| Arc::new(Cause::TaskEnded(task_end(task)))))
}

/// The agent of a task cannot be reached: after a while, something is done about it.
pub(super) fn agent_away(turn: &mut Turn, key: AttemptKey) {
    let timer = Timer::Unreachable(key);
    let sent = turn.state().attempt(key).and_then(|row| turn.state().job_of(row));
    if sent.is_some_and(|job| job.origin == Origin::Sent) && !turn.live.due.contains_key(&timer) {
        let rule = sent.and_then(|job| turn.live.routes.rule(job.plan.as_ref()?.rule.as_deref()?));
        let wait = rule.map_or(UNREACHABLE_AFTER, |rule| rule.unreachable_after);
        let due = turn.at + wait;
        turn.set_timer(timer, due);
    }
}

/// It still cannot be reached: where a rule says that doing the work twice does no harm, another attempt follows, and
/// otherwise an operator is asked.
pub(super) fn unreachable(turn: &mut Turn, key: AttemptKey) {
    let Some(row) = turn.state().attempt(key).filter(|row| row.is_unseen()) else { return };
    let Some(job) = turn.state().job_of(row) else { return };
    let agent = row.agent;
    if !row.is_cut_off(turn.health(agent)) {
        // It is not known yet: it is looked for, or the program has just started.
        return agent_away(turn, key);
    }
    let is_current = job.round().contains(&key) && job.phase == JobPhase::Running;
    let idempotent = job.plan.as_ref().is_some_and(|plan| plan.idempotent);
    // While another attempt runs beside it, nothing has to follow.
    let others_run =
        race::living(turn, job).any(|(other, row)| other != key && row.phase != Phase::Uncertain);
    let follows = || {
        let plan = job.plan.as_ref()?;
        next(turn, job, plan, End::Unknown, row)
    };
    let given_up = job.winner().is_some() || is_current && idempotent && (others_run || follows().is_some());
    if given_up {
        let cause = Some(cut_off(turn, agent));
        turn.attempt_fact(key, AttemptFact::Moved { phase: Phase::PresumedLost, cause });
    } else {
        doubt(turn, key, Some(Verdict::Unreachable));
    }
}

/// Why an attempt is given up that is cut off.
pub(super) fn cut_off(turn: &Turn, agent: AgentKey) -> Arc<Cause> {
    let why = turn.state().agent(agent).and_then(|agent| agent.cause.clone());
    why.unwrap_or_else(|| Arc::new(Cause::Unsupported("its agent cannot be reached".into())))
}

/// The agent reports a task again that was given up: it is its job's attempt again, even if the task has ended meanwhile.
pub(super) fn reported(turn: &mut Turn, attempt: AttemptKey) {
    let Some(row) = turn.state().attempt(attempt) else { return };
    if row.phase != Phase::PresumedLost || row.task.is_none() {
        return;
    }
    turn.attempt_fact(attempt, AttemptFact::Moved { phase: Phase::Accepted, cause: None });
    goes_on(turn, attempt);
    timeout::watch(turn, attempt);
}

/// An attempt of a job was given up, and is not any more: the job goes on with it, unless another one has followed or won.
pub(super) fn goes_on(turn: &mut Turn, attempt: AttemptKey) {
    let Some(key) = turn.state().attempt(attempt).map(|row| row.job) else { return };
    let Some(job) = turn.state().jobs().get(key) else { return };
    let is_current = job.round().contains(&attempt) && job.winner().is_none();
    if is_current && job.phase != JobPhase::Running {
        let id = job.id;
        turn.clear_timer(Timer::Dispatch(key));
        turn.job_fact(id, JobFact::CameBack);
        timeout::watch(turn, attempt);
    }
}

/// How a task ended, in words.
fn task_end(task: &Task) -> Untrusted {
    let says = task.note.as_ref().map(|note| format!(": {}", note.shortened(120))).unwrap_or_default();
    let lost = task.verdict == Some(Verdict::Lost);
    let how = if lost { "lost by its agent".to_owned() } else { task.state.word() };
    format!("its task is {how}{says}").into()
}

/// The task of an attempt that was given up is alive: the job goes on with it, or, if another attempt has followed it, its
/// agent is asked to cancel it. Both stay in the job's story.
fn came_back(turn: &mut Turn, key: JobKey, attempt: AttemptKey) {
    let Some(job) = turn.state().jobs().get(key).filter(|job| job.origin == Origin::Sent) else { return };
    let Some(row) = turn.state().attempt(attempt).filter(|row| row.is_live()) else { return };
    let Some(task) = &row.task else { return };
    let id = row.id;
    if job.round().contains(&attempt) {
        return goes_on(turn, attempt);
    }
    // Refused if its agent cannot be reached: asked again with its next report.
    if task.cancel.is_none() && cancel::ask(turn, id, None).is_ok() {
        turn.attempt_fact(attempt, AttemptFact::ReasonGiven { why: SUPERSEDED.into() });
    }
}

enum Next {
    /// Without a pause: the message never left.
    Now,
    /// After a pause.
    After(std::time::Duration),
}

/// An operator moves the job: the next attempt follows at once, unless this one has ended with a result.
fn moved(plan: &Plan, attempt: &Attempt) -> Option<Next> {
    let completed = attempt.task.as_ref().is_some_and(|task| task.state == TaskState::Completed);
    (plan.next.is_some() && !completed && attempt.phase != Phase::Answered).then_some(Next::Now)
}

/// When the next attempt is made after `last`, whatever the budget says; `None` if there is none.
fn wanted(turn: &Turn, job: &Job, plan: &Plan, end: End, last: &Attempt) -> Option<Next> {
    let allowed = match end {
        End::Wanted => false,
        End::Failed | End::Unsent => true,
        End::Unknown => plan.idempotent,
    };
    if !allowed || plan.deadline.is_some_and(|deadline| deadline <= turn.at) {
        return None;
    }
    let is_ours = |cause: &Cause| matches!(cause, Cause::Unsaved(_) | Cause::Stopping);
    if last.cause.as_deref().is_some_and(is_ours) {
        return None;
    }
    let named = matches!(plan.target, Target::Agent(_));
    if end == End::Unsent && !named && job.attempts.len() < UNSENT_MOVES {
        return Some(Next::Now);
    }
    let routes = &turn.live.routes;
    let rule = routes.rule(plan.rule.as_deref()?)?;
    if plan.retries >= rule.retry.max || rule.retry.backoff == Backoff::None {
        return None;
    }
    let asked = match last.cause.as_deref() {
        Some(Cause::Status { retry_after: Some(after), .. }) => (*after).min(LONGEST_ASKED),
        _ => std::time::Duration::ZERO,
    };
    Some(Next::After(rule.retry.backoff.wait(plan.retries + 1).max(asked)))
}

/// When the next attempt is made after `last`; `None` if there is none, also if its rule has no retry left.
fn next(turn: &Turn, job: &Job, plan: &Plan, end: End, last: &Attempt) -> Option<Next> {
    let next = wanted(turn, job, plan, end, last)?;
    match next {
        Next::After(_) => spent(turn, plan).is_none().then_some(next),
        Next::Now => Some(next),
    }
}

/// The budget of the rule of a job, if it is spent.
fn spent(turn: &Turn, plan: &Plan) -> Option<SpentBudget> {
    let rule = turn.live.routes.rule(plan.rule.as_deref()?)?;
    (!within_budget(turn, rule)).then(|| SpentBudget { rule: rule.name.clone(), percent: rule.retry.budget })
}

/// The budget of a rule now; `None` if it neither tries again nor hedges.
pub(super) fn budget(turn: &Turn, rule: &Rule) -> Option<RetryBudget> {
    let retries = rule.retry.max > 0 && rule.retry.backoff != Backoff::None;
    let of = |budget: &Budget| budget.at(turn.at, rule.retry.budget);
    let now = turn.live.budgets.get(&rule.name).map_or_else(|| of(&Budget::default()), of);
    (retries || rule.hedge.is_some()).then_some(now)
}

/// True if a rule may try or hedge once more now.
pub(super) fn within_budget(turn: &Turn, rule: &Rule) -> bool {
    turn.live.budgets.get(&rule.name).is_none_or(|budget| budget.allows(turn.at, rule.retry.budget))
}

/// Counts a retry or a hedge against the budget of its rule.
pub(super) fn spend(turn: &mut Turn, key: JobKey) {
    let at = turn.at;
    let rule = turn.state().jobs().get(key).and_then(|job| job.plan.as_ref()?.rule.clone());
    if let Some(rule) = rule {
        turn.live.budgets.entry(rule).or_default().retried(at);
    }
}

/// Jobs and retries of one rule in the last minutes.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct Budget {
    /// By minute, oldest first: jobs, retries.
    minutes: std::collections::VecDeque<(At, u32, u32)>,
}

impl Budget {
    fn minute(&mut self, at: At) -> &mut (At, u32, u32) {
        self.minutes.retain(|(begun, ..)| at.since(*begun) < BUDGET_WINDOW);
        let minute = At::from_micros(at.micros() - at.micros().rem_euclid(60_000_000));
        if self.minutes.back().is_none_or(|(begun, ..)| *begun != minute) {
            self.minutes.push_back((minute, 0, 0));
        }
        let last = self.minutes.len() - 1;
        &mut self.minutes[last]
    }

    /// Counts a job.
    pub fn began(&mut self, at: At) {
        self.minute(at).1 += 1;
    }

    fn retried(&mut self, at: At) {
        self.minute(at).2 += 1;
    }

    /// True if one more retry is within this share of the jobs, in per cent.
    pub fn allows(&self, at: At, percent: u8) -> bool {
        let RetryBudget { spent, allowed } = self.at(at, percent);
        spent < allowed
    }

    /// What is spent of it, if this share of the jobs may be retries, in per cent.
    pub fn at(&self, at: At, percent: u8) -> RetryBudget {
        let recent = self.minutes.iter().filter(|(begun, ..)| at.since(*begun) < BUDGET_WINDOW);
        let (jobs, retries) =
            recent.fold((0, 0), |(jobs, retries), minute| (jobs + minute.1, retries + minute.2));
        let share = u64::from(jobs) * u64::from(percent) / 100;
        RetryBudget { spent: retries, allowed: u32::try_from(share).unwrap_or(u32::MAX).max(BUDGET_FLOOR) }
    }
}
