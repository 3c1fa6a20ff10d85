//! Operator actions: the cards, menus and composers for the item under the cursor.

use crate::domain::agent::replicas::GroupBy;
use crate::domain::id::AttemptKey;
use crate::domain::intent::Intent;
use crate::domain::job::message::{Content, Part, Role as Speaker};
use crate::domain::problem::{Problem, ProblemAct};
use crate::domain::text::Untrusted;
use crate::tui::actions::Action;
use crate::tui::cmd::Cmd;
use crate::tui::destination::{Destination, Target};
use crate::tui::draft::{Draft, Purpose};
use crate::tui::model::Model;
use crate::tui::navigation::{self, go_to};
use crate::tui::overlays::card::{About, Card};
use crate::tui::overlays::composer::Composer;
use crate::tui::overlays::prompt::{File, Prompt, Words};
use crate::tui::overlays::{Overlay, go, service};
use crate::tui::theme::Role;
use crate::tui::views::fleet::FleetView;
use crate::tui::views::{View, inbox, report};

pub(super) fn check(model: &mut Model, cmds: &mut Vec<Cmd>) {
    let target = model.view.screen().target(&model.context);
    let snapshot = &model.context.latest;
    let attempt =
        target.attempt.and_then(|key| snapshot.attempts.get(key)).filter(|attempt| attempt.task.is_some());
    let agent = target.agent.and_then(|key| snapshot.agents.get(key));
    match (attempt, agent) {
        (Some(attempt), _) => {
            cmds.push(Cmd::Submit(Intent::CheckTask { attempt: attempt.id }, "reading the task".into()));
        }
        (None, Some(agent)) => {
            let words = format!("checking {}", agent.name.line());
            cmds.push(Cmd::Submit(Intent::CheckAgent { agent: agent.id }, words));
        }
        (None, None) => model.say(Role::Quiet, "nothing to check here".into()),
    }
}

pub(super) fn open_raw(model: &mut Model) {
    let target = model.view.screen().target(&model.context);
    let snapshot = &model.context.snapshot;
    let destination = match (target.attempt.and_then(|key| snapshot.attempts.get(key)), target.agent) {
        (Some(attempt), _) => snapshot.job_of(attempt).map(|job| {
            let id = attempt.task.as_ref().map_or_else(|| job.id.short(), |task| task.id.short());
            Destination::RawJob { title: format!("tasks › {id} › raw"), job: job.id, target }
        }),
        (None, Some(key)) => snapshot.agents.get(key).map(|agent| Destination::AgentCard(key, agent.id)),
        (None, None) => None,
    };
    match destination {
        Some(destination) => navigation::go(model, destination),
        None => model.say(Role::Quiet, "no raw data here".into()),
    }
}

fn compose(model: &mut Model, draft: Draft, is_draft: bool) {
    let composer = Composer::open(&model.context, draft, model.sent.clone(), is_draft);
    model.overlays.push(Overlay::Composer(Box::new(composer)));
}

fn take_draft(model: &mut Model, purpose: &Purpose) -> Option<Draft> {
    let at = model.drafts.iter().position(|draft| draft.purpose == *purpose)?;
    Some(model.drafts.remove(at))
}

fn target(model: &Model) -> Target {
    model.view.screen().target(&model.context)
}

pub(super) fn new_task(model: &mut Model) {
    if let Some(draft) = take_draft(model, &Purpose::New) {
        return compose(model, draft, true);
    }
    let target = target(model);
    // In the list of tasks, no particular agent is meant.
    let in_tasks = model.view.screen().word() == "tasks";
    let agent = target.agent.filter(|_| !in_tasks).and_then(|key| model.context.snapshot.agents.get(key));
    let mut draft = Draft::new(agent.map(|agent| agent.name.line().into_string()).unwrap_or_default());
    draft.agent = agent.map(|agent| agent.id);
    let attempt = target.attempt.and_then(|key| model.context.snapshot.attempts.get(key));
    let context = attempt.and_then(|attempt| attempt.task.as_ref()).and_then(|task| task.context.clone());
    draft.context = context.filter(|_| !in_tasks).map(|context| (context, false));
    compose(model, draft, false);
}

pub(super) fn edit_copy(model: &mut Model) {
    let target = target(model);
    let Some(attempt) = target.attempt.and_then(|key| model.context.snapshot.attempts.get(key)) else {
        return model.say(Role::Quiet, "no task here to copy".into());
    };
    let agent = model.context.snapshot.agents.get(attempt.agent);
    let mut draft = Draft::new(agent.map(|agent| agent.name.line().into_string()).unwrap_or_default());
    draft.agent = agent.map(|agent| agent.id);
    let job = model.context.snapshot.job_of(attempt);
    let followed = job.and_then(|job| model.view.screen().followed()?.of(job.id));
    let messages = followed.map(|followed| followed.detail.messages.iter()).into_iter().flatten();
    let first = messages.map(|entry| &entry.message).find(|message| message.role == Speaker::User).cloned();
    match first.or_else(|| job.and_then(|job| job.message.clone())) {
        Some(message) => {
            draft.message = message.text().block().into_string();
            draft.data = data_of(&message.parts);
            draft.metadata =
                message.metadata.as_ref().map(|json| json.0.line().into_string()).unwrap_or_default();
        }
        // The snapshot has only the first words of the message, which would not be a copy.
        None => {
            return model.say(
                Role::Warn,
                format!(
                    "open the task first: {}, then {}; the list does not have its whole message",
                    model.context.key(Action::Open),
                    model.context.key(Action::EditCopy)
                ),
            );
        }
    }
    draft.context =
        attempt.task.as_ref().and_then(|task| task.context.clone()).map(|context| (context, false));
    compose(model, draft, false);
}

fn data_of(parts: &[Part]) -> String {
    let data = parts.iter().find_map(|part| match &part.content {
        Content::Data(json) => Some(json.0.block().into_string()),
        _ => None,
    });
    data.unwrap_or_default()
}

/// Prompts for a file name: for a report if a problem is under the cursor, otherwise for the displayed rows.
pub(super) fn save(model: &mut Model) {
    let (screen, ctx) = (model.view.screen(), &model.context);
    let table = screen.table(ctx).filter(|table| table.len() > 1);
    let problem = screen.target(ctx).problem.and_then(|key| Some((key, ctx.snapshot.problems.get(key)?)));
    let (name, report) = match problem {
        Some((key, row)) => (format!("p-{}.md", row.number), Some(report::of(ctx, key, screen))),
        None => (format!("{}.csv", screen.word()), None),
    };
    if report.is_none() && table.is_none() {
        return model.say(Role::Quiet, "nothing here can be saved to a file".into());
    }
    let file = File { name, report, table };
    model.overlays.push(Overlay::Prompt(Prompt::words(Words::File(file))));
}

/// The problem under the cursor, in views of problems.
fn problem(model: &Model) -> Option<Problem> {
    let key = target(model).problem?;
    model.context.latest.problems.get(key).cloned()
}

fn on_problem(model: &Model, cmds: &mut Vec<Cmd>, number: u32, act: ProblemAct, words: String) {
    let by = Untrusted::from(model.info().operator.as_str());
    cmds.push(Cmd::Submit(Intent::OnProblem { number, act, by }, words));
}

/// Takes the problem under the cursor; false if there is none. A question under the cursor can still be answered.
pub(super) fn take_problem(model: &mut Model, cmds: &mut Vec<Cmd>) -> bool {
    let Some(problem) = problem(model) else { return false };
    let number = problem.number;
    let own = problem.taken.as_ref().is_some_and(|taken| *taken.by.line() == *model.info().operator);
    if problem.cleared.is_some() {
        model.say(Role::Quiet, format!("p-{number} has cleared"));
    } else if own {
        let undo = model.context.key(Action::Undo);
        model.say(Role::Quiet, format!("p-{number} is yours already; {undo} gives it back"));
    } else {
        let words = format!("p-{number} is yours; {} gives it back", model.context.key(Action::Undo));
        on_problem(model, cmds, number, ProblemAct::Take, words);
    }
    true
}

/// Groups the fleet by the given property, or opens the menu of properties.
pub(super) fn group(model: &mut Model, by: Option<GroupBy>) {
    let Some(by) = by else { return model.overlays.push(Overlay::Menu(go::groups(&model.context))) };
    if let View::Metrics(metrics) = &mut model.view {
        return metrics.group(by);
    }
    go_to(model, FleetView::new());
    if let View::Fleet(fleet) = &mut model.view {
        fleet.group(by);
    }
}

/// Opens the changes around the item under the cursor.
pub(super) fn changes(model: &mut Model) {
    let around = crate::tui::overlays::time::happened(&model.context, target(model));
    navigation::go(model, Destination::Changes(around));
}

/// Opens the service menu of the agent.
pub(super) fn service(model: &mut Model) {
    let target = target(model);
    let attempt = target.attempt.and_then(|key| model.context.latest.attempts.get(key));
    let agent = target.agent.or(attempt.map(|attempt| attempt.agent));
    match agent.and_then(|key| model.context.latest.agents.get(key)) {
        Some(agent) => {
            let menu = service::menu(&model.context, agent);
            model.overlays.push(Overlay::Menu(menu));
        }
        None => model.say(Role::Quiet, "no agent here".into()),
    }
}

/// Prompts for the duration and reason of a mute.
pub(super) fn mute(model: &mut Model) {
    match problem(model) {
        Some(problem) if problem.cleared.is_none() => {
            model.overlays.push(Overlay::Prompt(Prompt::words(Words::Mute(problem.number))));
        }
        Some(_) => model.say(Role::Quiet, "it is over".into()),
        None => model.say(Role::Quiet, "no problem here to mute".into()),
    }
}

/// Undoes a mute, else a take.
pub(super) fn undo(model: &mut Model, cmds: &mut Vec<Cmd>) {
    let Some(problem) = problem(model) else {
        return model.say(Role::Quiet, "nothing to undo here".into());
    };
    let number = problem.number;
    if problem.muted.is_some() {
        on_problem(model, cmds, number, ProblemAct::Unmute, format!("p-{number} is no longer muted"));
    } else if problem.taken.is_some() {
        on_problem(model, cmds, number, ProblemAct::GiveBack, format!("p-{number} is given back"));
    } else {
        model.say(Role::Quiet, format!("p-{number} is neither muted nor taken"));
    }
}

pub(super) fn answer(model: &mut Model) {
    let target = target(model);
    let Some((key, attempt)) =
        target.attempt.and_then(|key| Some((key, model.context.latest.attempts.get(key)?)))
    else {
        return model.say(Role::Quiet, "no question here".into());
    };
    if attempt.task.is_none() && attempt.needs_you() {
        return card(model, About::Again);
    }
    let about = About::Answer(Vec::new());
    if !about.fits(attempt) {
        return model.say(Role::Warn, about.why_not(attempt, &model.context.preferences.keys));
    }
    let job = model.context.latest.job_of(attempt).map(|job| job.id);
    let followed = job.and_then(|job| model.view.screen().followed()?.of(job));
    let choices = followed.and_then(inbox::asked).map(crate::protocol::question::choices).unwrap_or_default();
    if choices.is_empty() {
        return answer_in_words(model, key);
    }
    let card = Card::new(&model.context, About::Answer(choices), &[key]);
    model.overlays.push(Overlay::Card(card));
}

pub(super) fn answer_in_words(model: &mut Model, key: AttemptKey) {
    let Some(attempt) = model.context.latest.attempts.get(key) else { return };
    let purpose = Purpose::Answer { key, attempt: attempt.id };
    let agent = model.context.latest.agents.get(attempt.agent);
    let to = agent.map(|agent| agent.name.line().into_string()).unwrap_or_default();
    match take_draft(model, &purpose) {
        Some(draft) => compose(model, draft, true),
        None => compose(model, Draft { purpose, ..Draft::new(to) }, false),
    }
}

/// Opens a card for the marked rows, or for the one under the cursor.
pub(super) fn card(model: &mut Model, about: About) {
    let mut keys = model.view.screen().marked(&model.context);
    if keys.is_empty() {
        keys.extend(target(model).attempt);
    }
    if keys.is_empty() {
        return model.say(Role::Quiet, "no task here".into());
    }
    let card = Card::new(&model.context, about.clone(), &keys);
    if card.is_empty() {
        let why = keys
            .first()
            .and_then(|key| model.context.snapshot.attempts.get(*key))
            .map(|row| about.why_not(row, &model.context.preferences.keys));
        return model.say(Role::Warn, why.unwrap_or_else(|| "it is gone".into()));
    }
    model.overlays.push(Overlay::Card(card));
}
