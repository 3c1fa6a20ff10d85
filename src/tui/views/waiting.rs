//! A job that waits, or that ended without a result, in words.

use crate::domain::cause::Cause;
use crate::domain::job::Job;
use crate::domain::job::plan::{JobPhase, Plan, WaitReason};
use crate::domain::route::Target;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::tui::context::Context;
use crate::tui::format;
use crate::tui::states::Label;
use crate::tui::theme::{Glyphs, Role};

/// The plan of a job that waits.
pub fn queued(job: &Job) -> Option<&Plan> {
    job.plan.as_deref().filter(|_| job.phase == JobPhase::Queued)
}

/// Why a job ended without a result, if it did.
pub fn dead(job: &Job) -> Option<&Cause> {
    job.plan.as_deref().filter(|_| job.phase == JobPhase::Over)?.dead.as_deref()
}

/// Why nothing followed its last attempt, if that was for the budget of its rule.
pub fn spent(job: &Job) -> Option<String> {
    let spent = job.spent_budget()?;
    Some(Untrusted::from(spent.to_string()).line().into_string())
}

/// The cause of a dead letter, for a line of the screen.
pub fn cause_words(cause: &Cause) -> String {
    Untrusted::from(cause.to_string()).line().into_string()
}

/// What a job waits for, without the time until then.
pub fn reason_words(plan: &Plan) -> &'static str {
    // It waits for an agent until the router has looked at it.
    plan.waiting.map_or(WaitReason::Unavailable, |waiting| waiting.why).in_words()
}

/// What a job waits for: `a free place`, or `the next attempt, in 12s`.
pub fn wait_words(plan: &Plan, now: At) -> String {
    let words = reason_words(plan);
    match plan.waiting.and_then(|waiting| waiting.until) {
        Some(until) if until > now => format!("{words}, in {}", seconds(until, now)),
        Some(_) | None => words.to_owned(),
    }
}

/// The time that is left, in whole seconds.
pub fn seconds(until: At, now: At) -> String {
    format::duration(std::time::Duration::from_secs(until.since(now).as_secs().max(1)))
}

/// The rule that decided about a job; before that, and without one, where it was sent to.
pub fn rule_words(snapshot: &Snapshot, plan: &Plan) -> String {
    match (&plan.rule, &plan.target) {
        (Some(rule), _) => Untrusted::from(&**rule).line().into_string(),
        (None, Target::Agent(id)) => {
            let agent = snapshot.agents.iter().find(|(_, agent)| agent.id == *id);
            agent
                .map_or_else(|| "an agent that has left".into(), |(_, agent)| agent.name.line().into_string())
        }
        (None, Target::Skill(skill)) => format!("skill {}", skill.line()),
        (None, Target::Tag(tag)) => format!("tag {}", tag.line()),
        (None, Target::Route(route)) => format!("route {}", Untrusted::from(&**route).line()),
        (None, Target::Any) => "the rules".into(),
    }
}

/// The state of a job that has no attempt to show one.
pub fn state(ctx: &Context, job: &Job, glyphs: &'static Glyphs) -> Label {
    let label = |mark, word: String, role| Label { mark, word, role };
    match (queued(job), dead(job)) {
        (Some(plan), _) => {
            label(glyphs.queued, format!("waits for {}", wait_words(plan, ctx.now)), Role::Warn)
        }
        (None, Some(_)) => label(glyphs.failed, "given up".into(), Role::Bad),
        (None, None) => label(glyphs.queued, job.phase.as_str().into(), Role::Plain),
    }
}
