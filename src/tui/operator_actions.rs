//! Operator actions: the cards, menus and composers for the item under the cursor.

use crate::domain::agent::replicas::GroupBy;
use crate::domain::agent::shift::ShiftTerms;
use crate::domain::id::{AttemptKey, JobKey};
use crate::domain::intent::Intent;
use crate::domain::job::message::{Content, Part, Role as Speaker};
use crate::domain::job::plan::JobPhase;
use crate::domain::problem::{Problem, ProblemAct};
use crate::domain::route;
use crate::domain::text::{Untrusted, fit};
use crate::tui::actions::Action;
use crate::tui::again::Again;
use crate::tui::batch::{self, News};
use crate::tui::bulk::{self, Source};
use crate::tui::cmd::Cmd;
use crate::tui::commands;
use crate::tui::destination::{Destination, Target};
use crate::tui::draft::{Draft, Purpose};
use crate::tui::model::{LastAct, Model};
use crate::tui::navigation::{self, go_to};
use crate::tui::overlays::batch::BatchCard;
use crate::tui::overlays::card::{About, Card};
use crate::tui::overlays::composer::Composer;
use crate::tui::overlays::prompt::{File, Prompt, Words};
use crate::tui::overlays::{self, Overlay, go, service};
use crate::tui::theme::Role;
use crate::tui::views::fleet::FleetView;
use crate::tui::views::problem_rows::headline;
use crate::tui::views::{View, drill, inbox, report, routes};

/// Cells of a problem's headline in a message.
const NAMED: usize = 60;

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

/// Opens the logs of the row.
pub(super) fn logs(model: &mut Model) {
    match target(model).logs(&model.context) {
        Some(of) => navigation::go(model, Destination::Logs(of)),
        None => {
            let text = format!("no logs of this row; :{} shows all", Action::ViewLogs.word());
            model.say(Role::Quiet, text);
        }
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
    draft.target = agent.map(|agent| route::Target::Agent(agent.id));
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
    draft.target = agent.map(|agent| route::Target::Agent(agent.id));
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

/// `p-1 cashier-2 fails 47 % of its tasks`
fn named(model: &Model, problem: &Problem) -> String {
    format!("p-{} {}", problem.number, fit(&headline(&model.context.latest, problem), NAMED))
}

fn on_problem(model: &Model, number: u32, act: ProblemAct) -> Intent {
    Intent::OnProblem { number, act, by: Untrusted::from(model.info().operator.as_str()) }
}

/// Submits an act that is done at once, and remembers what takes it back.
pub(super) fn submit(model: &mut Model, intent: Intent, words: String, cmds: &mut Vec<Cmd>) {
    if let Some(reverse) = reverse(model, &intent) {
        model.last_act = Some(LastAct { about: target(model), reverse });
    }
    cmds.push(Cmd::Submit(intent, words));
}

/// What takes an act back, with its message; `None` for acts that open a card.
fn reverse(model: &Model, intent: &Intent) -> Option<(Intent, String)> {
    let ctx = &model.context;
    match intent {
        Intent::OnProblem { number, act, .. } => {
            let (_, problem) = ctx.latest.problems.iter().find(|(_, problem)| problem.number == *number)?;
            let name = named(model, problem);
            let undo = ctx.key(Action::Undo);
            let (act, words) = match act {
                ProblemAct::Take => {
                    (ProblemAct::GiveBack, format!("{name} is given back; {undo} takes it again"))
                }
                ProblemAct::GiveBack => (ProblemAct::Take, format!("{name} is yours; {undo} gives it back")),
                ProblemAct::Mute { .. } => {
                    (ProblemAct::Unmute, format!("{name} is no longer muted; {undo} mutes it again"))
                }
                ProblemAct::Unmute => {
                    let muted = problem.muted.as_ref()?;
                    let time = muted.until.since(model.time).max(std::time::Duration::from_secs(60));
                    let act = ProblemAct::Mute { time, why: muted.why.clone() };
                    (act, format!("{name} is muted again; {undo} unmutes it"))
                }
            };
            Some((on_problem(model, *number, act), words))
        }
        Intent::Note { problem, agent, attempt, by, text } => {
            let (problem, agent, attempt) = (*problem, *agent, *attempt);
            let back = Intent::TakeBackNote { problem, agent, attempt, by: by.clone(), text: text.clone() };
            let undo = ctx.key(Action::Undo);
            let words =
                format!("your note \"{}\" is taken back; {undo} notes it again", text.shortened(40).line());
            Some((back, words))
        }
        Intent::TakeBackNote { problem, agent, attempt, by, text } => {
            let (problem, agent, attempt) = (*problem, *agent, *attempt);
            let note = Intent::Note { problem, agent, attempt, by: by.clone(), text: text.clone() };
            let undo = ctx.key(Action::Undo);
            Some((note, format!("noted \"{}\"; {undo} takes it back", text.shortened(40).line())))
        }
        _ => None,
    }
}

/// Takes the problem under the cursor; false if there is none. A question under the cursor can still be answered.
pub(super) fn take_problem(model: &mut Model, cmds: &mut Vec<Cmd>) -> bool {
    let Some(problem) = problem(model) else { return false };
    let name = named(model, &problem);
    let undo = model.context.key(Action::Undo);
    let own = problem.taken.as_ref().is_some_and(|taken| *taken.by.line() == *model.info().operator);
    if problem.cleared.is_some() {
        model.say(Role::Quiet, format!("{name}: it has cleared"));
    } else if own {
        model.say(Role::Quiet, format!("{name} is yours already; {undo} gives it back"));
    } else {
        let take = on_problem(model, problem.number, ProblemAct::Take);
        submit(model, take, format!("{name} is yours; {undo} gives it back"), cmds);
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

/// Switches to a fleet of the configuration.
pub(super) fn switch(model: &mut Model, name: &str, cmds: &mut Vec<Cmd>) {
    if model.info().fleets.iter().any(|fleet| fleet == name) {
        return cmds.push(Cmd::Switch(name.to_owned()));
    }
    let known = model.info().fleets.join(", ");
    let known =
        if known.is_empty() { "the configuration names none".into() } else { format!("there are {known}") };
    model.say(Role::Warn, format!("no fleet {}; {known}", Untrusted::from(name).shortened(60)));
}

/// Switches to a fleet, goes to a conversation of that id, or without a name lists the fleets.
pub(super) fn fleets(model: &mut Model, name: &str, cmds: &mut Vec<Cmd>) {
    if name.is_empty() && model.info().fleets.len() > 1 {
        return model.overlays.push(Overlay::Menu(go::fleets(&model.context)));
    }
    if name.is_empty() {
        let only = format!("{} is the only fleet; the configuration adds others", model.info().fleet);
        return model.say(Role::Quiet, only);
    }
    let is_fleet = model.info().fleets.iter().any(|fleet| fleet == name);
    match commands::find(&model.context, name, usize::MAX).filter(|_| !is_fleet) {
        Some(destination) => navigation::go(model, destination),
        None => switch(model, name, cmds),
    }
}

/// Shows where a message would go, and why.
pub(super) fn explain(model: &mut Model, text: &str) {
    match routes::message(text) {
        Ok(send) => {
            go_to(model, routes::RoutesView::new());
            if let View::Routes(view) = &mut model.view {
                view.explain(text, send);
            }
        }
        Err(why) => model.say(Role::Warn, why),
    }
}

/// Opens the card of a batch.
pub(super) fn open_batch(model: &mut Model, file: String, cmds: &mut Vec<Cmd>) {
    if model.info().read_only {
        return model.say(Role::Warn, "read-only: this console was started with --read-only".into());
    }
    cmds.push(Cmd::LookAtBatch(file.clone()));
    model.overlays.push(Overlay::Batch(Box::new(BatchCard::new(file))));
}

/// Runs a batch; its progress is in the first line.
pub(super) fn run_batch(model: &mut Model, run: Box<batch::Run>, cmds: &mut Vec<Cmd>) {
    let (name, lines) = (run.name.clone(), run.lines);
    model.context.batch = Some(batch::Progress { name, lines, ..batch::Progress::default() });
    cmds.push(Cmd::RunBatch(run));
}

/// Takes news of a batch.
pub(super) fn on_batch(model: &mut Model, news: News) {
    model.dirty = true;
    match news {
        News::Seen(file, lines) => {
            if let Some(Overlay::Batch(card)) = model.overlays.last_mut() {
                card.seen(&file, &lines);
            }
        }
        News::Reached(progress) => model.context.batch = Some(progress),
        News::Ended(words, is_good) => {
            model.context.batch = None;
            let words = Untrusted::from(words).line().into_string();
            model.say(if is_good { Role::Ok } else { Role::Warn }, words);
        }
    }
}

/// Opens the drill of the agents of these names.
pub(super) fn open_drill(model: &mut Model, names: &str) {
    let agents = model.context.latest.agents.iter().filter(|(_, agent)| agent.listed);
    let agents: Vec<_> = agents.map(|(_, agent)| (agent.name.line().into_string(), agent.id)).collect();
    let mut found = Vec::new();
    for name in names.split([' ', ',']).filter(|name| !name.is_empty()) {
        let Some((_, id)) = agents.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else {
            let known: Vec<&str> = agents.iter().map(|(name, _)| name.as_str()).collect();
            let near = crate::domain::text::nearest(name, &known);
            let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            let name = Untrusted::from(name).shortened(60);
            return model.say(Role::Warn, format!("no agent {}{near}", name.line()));
        };
        if !found.contains(id) {
            found.push(*id);
        }
    }
    if found.is_empty() {
        return model.say(Role::Warn, "drill AGENT: name an agent".into());
    }
    navigation::go(model, Destination::Drill(found));
}

/// The agents of the drill die for real.
pub(super) fn kill(model: &mut Model, cmds: &mut Vec<Cmd>) {
    let at = model.context.latest.at;
    let by = Untrusted::from(model.info().operator.as_str());
    let View::Drill(view) = &mut model.view else { return };
    view.kill(at);
    let text = Untrusted::from(format!("drill: it is dead for {}s, on purpose", drill::DEAD.as_secs()));
    for agent in view.agents() {
        let (agent, by, text) = (Some(*agent), by.clone(), text.clone());
        let note = Intent::Note { problem: None, agent, attempt: None, by, text };
        cmds.push(Cmd::Submit(note, "noted for the handover".into()));
    }
}

/// Goes to the rules, beside those of a file.
pub(super) fn compare_rules(model: &mut Model, file: &str) {
    if !matches!(model.view, View::Routes(_)) {
        go_to(model, routes::RoutesView::new());
    }
    if let View::Routes(view) = &mut model.view {
        view.compare(file);
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
        None if matches!(model.view, View::Routes(_)) => {
            let menu = overlays::shift::all(&model.context);
            model.overlays.push(Overlay::Menu(menu));
        }
        None => model.say(Role::Quiet, "no agent here".into()),
    }
}

/// Shows what a shift will do: `FROM TO`, and the steps if others than usual are wanted. Names may have spaces.
pub(super) fn shift(model: &mut Model, names: &str) {
    if model.info().read_only {
        return model.say(Role::Warn, "read-only: this console was started with --read-only".into());
    }
    let words: Vec<&str> = names.split_whitespace().collect();
    let agent = |words: &[&str]| {
        let name = words.join(" ");
        let mut agents = model.context.latest.agents.iter().map(|(_, agent)| agent);
        agents.find(|agent| agent.listed && agent.name.line().eq_ignore_ascii_case(&name))
    };
    let cuts =
        (1..words.len()).flat_map(|first| (first + 1..=words.len()).map(move |second| (first, second)));
    let mut found = cuts.filter_map(|(first, second)| {
        let pair = (agent(&words[..first])?, agent(&words[first..second])?);
        Some((pair, words[second..].join(",")))
    });
    let Some(((from, to), steps)) = found.next() else {
        return model.say(Role::Warn, "shift FROM TO: the names of two agents of the fleet".into());
    };
    let usual = ShiftTerms::to(to.id);
    let read: Result<Vec<u8>, _> =
        steps.split(',').map(str::trim).filter(|step| !step.is_empty()).map(str::parse).collect();
    let terms = match read {
        Ok(steps) if steps.is_empty() => usual,
        Ok(steps) => ShiftTerms { steps, ..usual },
        Err(_) => {
            return model.say(Role::Warn, format!("{steps}: steps are percentages, such as 1,5,25,50,100"));
        }
    };
    if let Some(fault) = terms.fault() {
        return model.say(Role::Warn, fault.into());
    }
    let menu = overlays::shift::begin(&model.context, from, to, terms);
    model.overlays.push(Overlay::Menu(menu));
}

/// Prompts for the duration and reason of a mute.
pub(super) fn mute(model: &mut Model) {
    match problem(model) {
        Some(problem) if problem.cleared.is_none() => {
            let name = named(model, &problem);
            model.overlays.push(Overlay::Prompt(Prompt::words(Words::Mute(problem.number, name))));
        }
        Some(_) => model.say(Role::Quiet, "it is over".into()),
        None => model.say(Role::Quiet, "no problem here to mute".into()),
    }
}

/// Takes back the last act on this row, else a mute or a take of it, else the last act elsewhere.
pub(super) fn undo(model: &mut Model, cmds: &mut Vec<Cmd>) {
    let here = target(model);
    let last = model.last_act.clone();
    let is_here = |about: Target| match about.problem {
        Some(_) => about.problem == here.problem,
        None => about == here,
    };
    if let Some(last) = last.clone().filter(|last| is_here(last.about)) {
        return take_back(model, last, cmds);
    }
    let problem = problem(model).filter(|problem| problem.cleared.is_none());
    let act = match &problem {
        Some(problem) if problem.muted.is_some() => Some(ProblemAct::Unmute),
        Some(problem) if problem.taken.is_some() => Some(ProblemAct::GiveBack),
        _ => None,
    };
    match (problem, act, last) {
        (Some(problem), Some(act), _) => {
            let undo = model.context.key(Action::Undo);
            let name = named(model, &problem);
            let words = match act {
                ProblemAct::Unmute => format!("{name} is no longer muted; {undo} mutes it again"),
                _ => format!("{name} is given back; {undo} takes it again"),
            };
            let intent = on_problem(model, problem.number, act);
            submit(model, intent, words, cmds);
        }
        (_, None, Some(last)) => take_back(model, last, cmds),
        (Some(problem), None, None) => {
            let name = named(model, &problem);
            model.say(Role::Quiet, format!("{name} is neither muted nor taken"));
        }
        (None, ..) => model.say(Role::Quiet, "nothing to undo here".into()),
    }
}

fn take_back(model: &mut Model, last: LastAct, cmds: &mut Vec<Cmd>) {
    let (intent, words) = last.reverse;
    let again = reverse(model, &intent);
    model.last_act = again.map(|reverse| LastAct { about: last.about, reverse });
    cmds.push(Cmd::Submit(intent, words));
}

pub(super) fn answer(model: &mut Model) {
    let target = target(model);
    let Some((key, attempt)) =
        target.attempt.and_then(|key| Some((key, model.context.latest.attempts.get(key)?)))
    else {
        return model.say(Role::Quiet, "no question and no problem on this row".into());
    };
    if attempt.decision().is_some() {
        return again(model);
    }
    let about = About::Answer(Vec::new());
    if !about.fits(&model.context.latest, attempt) {
        return model.say(Role::Warn, about.why_not(attempt));
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

/// The marked rows, or the one under the cursor.
fn subjects(model: &Model) -> Vec<AttemptKey> {
    let mut keys = model.view.screen().marked(&model.context);
    if keys.is_empty() {
        keys.extend(target(model).attempt);
    }
    keys
}

/// Opens the card that sends something again, or moves it. If several rows are marked, it is about those in the state
/// of the first one of which anything can be done.
pub(super) fn again(model: &mut Model) {
    let screen = model.view.screen();
    let (unsent, marked) = (screen.jobs(&model.context), screen.marked(&model.context).len());
    let is_over =
        |key: &JobKey| model.context.snapshot.jobs.get(*key).is_some_and(|job| job.phase == JobPhase::Over);
    if unsent.iter().any(is_over) || !unsent.is_empty() && marked == 0 {
        return requeue(model, &unsent);
    }
    let (snapshot, keys) = (&model.context.snapshot, &model.context.preferences.keys);
    let (all, source) = many(model);
    let rows: Vec<_> = all.iter().filter_map(|key| snapshot.attempts.get(*key)).collect();
    if let Some(again) = rows.iter().find_map(|row| Again::of(snapshot, row).ok()) {
        let card = Card::new(&model.context, About::Again(again), &all).from(source);
        return model.overlays.push(Overlay::Card(card));
    }
    match rows.first().and_then(|row| Some((row, Again::of(snapshot, row).err()?))) {
        Some((row, why)) => {
            let words = why.words(row, keys);
            model.say(Role::Warn, words);
        }
        None => model.say(Role::Quiet, "no task here".into()),
    }
}

/// Opens the card that tries dead letters again: these, of which no attempt was made, and others that are marked.
fn requeue(model: &mut Model, jobs: &[JobKey]) {
    let sent = subjects(model);
    let rows = jobs.iter().filter_map(|key| Some((*key, model.context.snapshot.jobs.get(*key)?)));
    let dead: Vec<_> =
        rows.filter(|(_, job)| job.phase == JobPhase::Over).map(|(key, job)| (key, job.id)).collect();
    let left_out = jobs.len() - dead.len();
    let card = Card::requeue(&model.context, dead, &sent, left_out);
    if card.is_empty() {
        return model.say(Role::Warn, "it waits in the queue, and leaves once an agent takes it".into());
    }
    model.overlays.push(Overlay::Card(card));
}

/// The attempts that an act is about: the marked rows, or the one under the cursor, otherwise all of the problem or the
/// agent under the cursor.
fn many(model: &Model) -> (Vec<AttemptKey>, Source) {
    let rows = subjects(model);
    if !rows.is_empty() {
        return (rows, Source::Rows);
    }
    let (target, snapshot) = (target(model), &model.context.latest);
    if let Some(problem) = target.problem.and_then(|key| snapshot.problems.get(key)) {
        return (bulk::of_problem(snapshot, problem), Source::Problem(problem.number));
    }
    match target.agent {
        Some(agent) => (bulk::of_agent(snapshot, agent), Source::Agent(agent)),
        None => (Vec::new(), Source::Rows),
    }
}

/// Opens the card that cancels the marked rows, the one under the cursor, or all that run at the agent under it. Of an
/// ended task, what it delegated can still be canceled.
pub(super) fn cancel(model: &mut Model) {
    let (keys, source) = many(model);
    if let [one] = keys.as_slice()
        && model.context.latest.attempts.get(*one).is_some_and(|row| !row.is_live())
    {
        let card = Card::new(&model.context, About::Orphans, &keys);
        if !card.is_empty() && card.has_delegated(&model.context.latest) {
            return model.overlays.push(Overlay::Card(card));
        }
    }
    open_card(model, About::Cancel, &keys, source);
}

/// Opens a card about attempts.
fn open_card(model: &mut Model, about: About, keys: &[AttemptKey], source: Source) {
    if keys.is_empty() {
        return model.say(Role::Quiet, "no task here".into());
    }
    let card = Card::new(&model.context, about.clone(), keys).from(source);
    if card.is_empty() {
        let why = keys
            .first()
            .and_then(|key| model.context.snapshot.attempts.get(*key))
            .map(|row| about.why_not(row));
        return model.say(Role::Warn, why.unwrap_or_else(|| "it is gone".into()));
    }
    model.overlays.push(Overlay::Card(card));
}
