//! What happens changes the model, and says what is to be done outside. No clock, no terminal, no engine.

use super::actions::Action;
use super::acts;
use super::caption::Cue;
use super::commands::{self, Asked};
use super::going::{self, go_to, go_to_reference};
use super::keymap::Chord;
use super::layout;
use super::model::{Cmd, Model, Mouse, Msg, Step, Story, TOAST, Waste};
use super::overlays::card::{About, Card};
use super::overlays::prompt::{Prompt, Words};
use super::overlays::views::Views;
use super::overlays::{Overlay, Pressed, copy, go};
use super::theme::{Role, Theme};
use super::views::{View, help, problems};
use super::wants::{on_answer, want};
use super::window::Window;
use crate::domain::id::JobId;
use crate::domain::intent::{Intent, Receipt, Refusal};
use crate::domain::job::detail::Detail;
use crate::domain::state::Changed;
use crate::domain::time::At;
use crate::engine::Query;

/// A second ctrl-c within this time leaves.
const TWICE: std::time::Duration = std::time::Duration::from_secs(2);
/// Facts that wait while the screen is held; beyond it the story is read anew.
const WAITING: usize = 4096;
/// Rows that a snapshot may have for itself without a key waiting until they are let go of.
const MANY: usize = 1_000;
/// Views kept in history.
const HISTORY: usize = 50;
/// The wire is read this often while it is looked at.
const WIRE: std::time::Duration = std::time::Duration::from_millis(500);

/// Takes in what happened by a time, in order.
pub fn update(model: &mut Model, at: At, msgs: impl IntoIterator<Item = Msg>) -> Vec<Cmd> {
    let mut cmds = Vec::new();
    pass_time(model, at, &mut cmds);
    for msg in msgs {
        take(model, msg, &mut cmds);
    }
    settle(model, &mut cmds);
    cmds
}

fn take(model: &mut Model, msg: Msg, cmds: &mut Vec<Cmd>) {
    match msg {
        Msg::Key(chord) => on_key(model, chord, cmds),
        Msg::Paste(text) => on_paste(model, &text),
        Msg::Mouse(mouse, x, y) => on_mouse(model, mouse, x, y, cmds),
        Msg::Resize(width, height) => {
            model.shared.size = (width, height);
            model.dirty = true;
        }
        Msg::Snapshot(snapshot) => {
            let changed = snapshot.changes_since(model.shared.latest.rev);
            let old = std::mem::replace(&mut model.shared.latest, snapshot);
            // The rows that only it held are let go of beside the screen's work, if they are many.
            if changed.as_ref().is_none_or(|rows| rows.len() > MANY) {
                cmds.push(Cmd::Drop(Waste::Snapshot(old)));
            }
            ring(model, changed.as_deref(), cmds);
            model.shared.note_failures(&changed.unwrap_or_default());
            open_sent(model);
            if model.shared.held {
                model.dirty = true;
            } else {
                model.shared.snapshot = model.shared.latest.clone();
            }
        }
        Msg::Story(job, facts, seq) => {
            if model.shared.story.as_ref().is_some_and(|story| story.job == job) {
                let mut detail = Detail::default();
                for fact in &facts {
                    detail.apply(fact);
                }
                model.shared.story = Some(Story { job, detail, seq, ready: true });
                model.dirty = true;
            }
        }
        Msg::Fact(job, fact) => {
            if model.shared.held {
                // What was left out is read anew when the screen goes on.
                if model.shared.waiting.len() < WAITING {
                    model.shared.waiting.push((job, fact));
                }
            } else {
                add_fact(model, job, &fact);
            }
        }
        Msg::Answered(query, generation, answer) => on_answer(model, query, generation, answer),
        Msg::Submitted(words, result) => on_submitted(model, &words, result, cmds),
        Msg::Indexed(order, rev, mut rows) => {
            // The list may have been left meanwhile, and is come back to.
            let others = model.past.iter_mut().chain(&mut model.future);
            for view in others.chain([&mut model.view]) {
                view.screen_mut().indexed(&order, rev, &mut rows);
            }
            cmds.push(Cmd::Drop(Waste::Rows(rows)));
            model.dirty = true;
        }
        Msg::Edited(text) => {
            if let (Some(text), Some(Overlay::Composer(composer))) = (text, model.overlays.last_mut()) {
                composer.edited(&text, &model.shared);
            }
            model.dirty = true;
        }
        Msg::Caption(caption) => {
            model.dirty |= model.shared.caption.as_ref() != Some(&caption);
            model.shared.caption = Some(caption);
        }
        Msg::Shown => {
            if let Some(overlay) = model.overlays.last_mut() {
                overlay.shown(model.time);
            }
        }
        Msg::Due => model.dirty = true,
        Msg::Gone => {
            if !model.gone {
                model.gone = true;
                let back = model.shared.key(Action::Back);
                let text = format!("the engine has ended; what is shown is old. {back} leaves");
                say(model, Role::Bad, text);
            }
        }
        Msg::Views(change, result) => going::on_changed(model, &change, result),
        Msg::Say(role, text) => say(model, role, text),
    }
}

/// New problems are heard, if the operator wants that; those of before are not.
fn ring(model: &mut Model, changed: Option<&[Changed]>, cmds: &mut Vec<Cmd>) {
    let snapshot = model.shared.latest.clone();
    let newest = snapshot.problems.iter().map(|(_, problem)| problem.number).max().unwrap_or(0);
    let before = model.rung;
    model.rung = newest.max(before);
    let info = model.info();
    if newest <= before || before == 0 && changed.is_none() || !(info.bell || info.desktop) {
        return;
    }
    let heard = snapshot.problems.iter().map(|(_, problem)| problem).find(|problem| {
        problem.number > before
            && problem.cleared.is_none()
            && problem.muted.is_none()
            && problem.kind.severity() >= info.rings_from
    });
    if let Some(problem) = heard {
        let words = format!("p-{} {}", problem.number, problems::headline(&snapshot, problem));
        cmds.push(Cmd::Ring(info.desktop.then_some(words)));
    }
}

fn add_fact(model: &mut Model, job: JobId, fact: &crate::domain::fact::JournalEntry) {
    if let Some(story) = &mut model.shared.story
        && story.job == job
        && story.ready
        && fact.seq > story.seq
    {
        story.detail.apply(fact);
        story.seq = fact.seq;
    }
}

fn pass_time(model: &mut Model, at: At, cmds: &mut Vec<Cmd>) {
    model.time = at;
    if !model.shared.held {
        model.shared.now = at;
    }
    if model.toast.as_ref().is_some_and(|(_, until)| *until <= at) {
        model.toast = None;
        model.dirty = true;
    }
    while model.keys.front().is_some_and(|(_, until)| *until <= at) {
        model.keys.pop_front();
        model.dirty = true;
    }
    let due = at.since(model.wire_read) >= WIRE;
    if let (Some(agent), true, false) = (model.wants.wire, due, model.reading_wire || model.shared.held) {
        model.wire_read = at;
        let known = if model.shared.wire.agent == agent { model.shared.wire.count } else { 0 };
        model.reading_wire = true;
        cmds.push(Cmd::Query(Query::Wire { agent, known }, model.generation));
    }
}

/// Brings the view and what is over it in line with what has changed, and asks for what they want.
fn settle(model: &mut Model, cmds: &mut Vec<Cmd>) {
    let area = layout::body(&model.shared);
    let screen = model.view.screen_mut();
    let mut visible = screen.settle(&model.shared, area);
    if let Some(work) = screen.index() {
        cmds.push(Cmd::Index(work, model.shared.snapshot.clone()));
    }
    let wants = screen.wants(&model.shared);
    for overlay in &mut model.overlays {
        visible |= overlay.settle(&model.shared);
    }
    let counts = super::header::Counts::of(&model.shared, &model.shared.snapshot);
    visible |= counts != model.counts;
    model.counts = counts;
    model.dirty |= visible;
    want(model, wants, cmds);
}

fn on_submitted(model: &mut Model, words: &str, result: Result<Receipt, Refusal>, cmds: &mut Vec<Cmd>) {
    if model.shared.held && result.is_ok() {
        // What was just done would not be seen.
        hold(model, cmds);
    }
    match result {
        Ok(Receipt::Taken { job, .. }) if model.opens => {
            model.opens = false;
            model.opening = Some(job);
            open_sent(model);
            say(model, Role::Ok, words.to_owned());
        }
        Ok(_) => say(model, Role::Ok, words.to_owned()),
        Err(refusal) => {
            model.opens = false;
            say(model, Role::Bad, format!("not done: {refusal}"));
        }
    }
}

/// Opens the job that was sent from here, once its row has come: a receipt may be faster.
fn open_sent(model: &mut Model) {
    let Some(job) = model.opening else { return };
    let found = model.shared.latest.jobs.iter().rev().find(|(_, row)| row.id == job).map(|(key, _)| key);
    if let Some(view) = found.and_then(|key| View::job(&model.shared, key)) {
        model.opening = None;
        open(model, view);
    }
}

/// Tells something over the last border, and keeps it.
pub fn say(model: &mut Model, role: Role, text: String) {
    let message = model.shared.note(role, text);
    model.toast = Some((message, model.time + TOAST));
    model.dirty = true;
}

/// Goes to a view; the one before is kept in history.
pub(super) fn open(model: &mut Model, view: View) {
    let old = std::mem::replace(&mut model.view, view);
    if old.screen().word() == "help" {
        leave_parked(model);
    }
    model.past.push(old);
    if model.past.len() > HISTORY {
        model.past.remove(0);
    }
    model.future.clear();
    model.dirty = true;
}

/// Help was left for somewhere else: what waited for it is over; what was written is kept.
fn leave_parked(model: &mut Model) {
    for overlay in std::mem::take(&mut model.parked) {
        if let Overlay::Composer(composer) = overlay {
            keep_draft(model, composer.draft());
        }
    }
}

/// Keeps what was written, one draft for each purpose; false if nothing was.
fn keep_draft(model: &mut Model, draft: super::overlays::composer::Draft) -> bool {
    model.drafts.retain(|kept| kept.purpose != draft.purpose);
    if draft.is_empty() {
        return false;
    }
    if model.drafts.len() == HISTORY {
        model.drafts.remove(0);
    }
    model.drafts.push(draft);
    true
}

fn back(model: &mut Model) -> bool {
    let Some(view) = model.past.pop() else { return false };
    let old = std::mem::replace(&mut model.view, view);
    if old.screen().word() == "help" {
        model.overlays = std::mem::take(&mut model.parked);
        for overlay in &mut model.overlays {
            overlay.hidden();
        }
    } else {
        model.future.push(old);
    }
    model.dirty = true;
    true
}

fn on_paste(model: &mut Model, text: &str) {
    model.dirty = true;
    let taken = match model.overlays.last_mut() {
        Some(overlay) => {
            let taken = overlay.paste(text, &model.shared);
            if let Overlay::Prompt(prompt) = overlay
                && let Some(text) = prompt.text().map(str::to_owned)
            {
                let area = layout::body(&model.shared);
                model.view.screen_mut().search(&text, &model.shared, area);
            }
            taken
        }
        None => false,
    };
    if !taken {
        let [command, filter, new] =
            [Action::Command, Action::Filter, Action::New].map(|action| model.shared.key(action));
        let text = format!("pasted text does nothing here; {command} or {filter} or {new} take it");
        say(model, Role::Warn, text);
    }
}

fn on_mouse(model: &mut Model, mouse: Mouse, x: u16, y: u16, cmds: &mut Vec<Cmd>) {
    if !model.overlays.is_empty() {
        return;
    }
    model.dirty = true;
    let area = layout::body(&model.shared);
    match mouse {
        Mouse::Up | Mouse::Down => {
            let action = if mouse == Mouse::Up { Action::Up } else { Action::Down };
            for _ in 0..3 {
                act(model, action, cmds);
            }
        }
        Mouse::Click | Mouse::Menu if !area.contains((x, y).into()) => {}
        Mouse::Click => {
            if model.view.screen_mut().click(&model.shared, area, x, y) {
                act(model, Action::Open, cmds);
            }
        }
        Mouse::Menu => {
            model.view.screen_mut().click(&model.shared, area, x, y);
            act(model, Action::GoTo, cmds);
        }
    }
}

fn on_key(model: &mut Model, chord: Chord, cmds: &mut Vec<Cmd>) {
    model.dirty = true;
    let at = model.time;
    if model.on_stage() {
        let until = at + std::time::Duration::from_secs(3);
        model.keys.push_back((chord.to_string(), until));
        while model.keys.len() > 6 {
            model.keys.pop_front();
        }
    }
    let keys = &model.shared.preferences.keys;
    let typing = !model.overlays.is_empty();
    let in_text = model.view.screen().in_text();
    let action = if typing { keys.action_while_typing(chord) } else { keys.action(chord, in_text) };
    if action == Some(Action::Interrupt) {
        let twice = model.interrupted.is_some_and(|first| at.since(first) < TWICE);
        model.interrupted = Some(at);
        if twice {
            cmds.push(Cmd::Quit);
        } else {
            say(model, Role::Warn, format!("{chord} again leaves; nothing is cancelled by that"));
        }
        return;
    }
    model.interrupted = None;
    // Whoever goes on by hand is not taken elsewhere by a receipt.
    model.opens = false;
    model.opening = None;
    if action == Some(Action::Help) && typing {
        let parked = std::mem::take(&mut model.overlays);
        act(model, Action::Help, cmds);
        model.parked = parked;
        return;
    }
    if let Some(mut overlay) = model.overlays.pop() {
        let is_card = matches!(overlay, Overlay::Card(_));
        match overlay.key(chord, at, &model.shared) {
            Pressed::Stays(steps) => {
                model.overlays.push(overlay);
                for step in steps {
                    do_step(model, step, cmds);
                }
            }
            Pressed::Closes(steps) => {
                if is_card && steps.iter().any(|step| matches!(step, Step::Cmd(Cmd::Submit(..)))) {
                    model.view.screen_mut().unmark();
                }
                for step in steps {
                    do_step(model, step, cmds);
                }
            }
            Pressed::Searches(text) => {
                model.overlays.push(overlay);
                do_step(model, Step::Search(text), cmds);
            }
            Pressed::Keeps => {
                if let Overlay::Composer(composer) = overlay
                    && keep_draft(model, composer.draft())
                {
                    let (new, answer) = (model.shared.key(Action::New), model.shared.key(Action::Answer));
                    say(model, Role::Plain, format!("kept as a draft; {new} or {answer} opens it again"));
                }
            }
        }
        return;
    }
    match action {
        Some(action) => act(model, action, cmds),
        None => {
            let sorted = chord
                .typed()
                .filter(char::is_ascii_uppercase)
                .is_some_and(|letter| model.view.screen_mut().sort(letter));
            if !sorted {
                let help = model.shared.key(Action::Help);
                let text = format!("{chord} means nothing here; {help} shows every key");
                say(model, Role::Quiet, text);
            }
        }
    }
}

fn do_step(model: &mut Model, step: Step, cmds: &mut Vec<Cmd>) {
    model.dirty = true;
    match step {
        Step::Cmd(Cmd::Submit(intent, words)) => {
            model.opens = matches!(intent, Intent::Send(_));
            cmds.push(Cmd::Submit(intent, words));
        }
        Step::Cmd(Cmd::Copy(text)) => {
            let shown = crate::domain::text::fit(
                &text.replace('\n', " "),
                usize::from(model.shared.size.0).saturating_sub(12),
            );
            say(model, Role::Ok, format!("copied: {shown}"));
            cmds.push(Cmd::Copy(text));
        }
        Step::Cmd(cmd) => cmds.push(cmd),
        Step::Open(view) => open(model, *view),
        Step::Over(overlay) => model.overlays.push(*overlay),
        Step::Act(action) => act(model, action, cmds),
        Step::Command(words) => command(model, &words, cmds),
        Step::Window(window) => model.shared.window = window,
        Step::Before(before) => model.shared.before = before,
        Step::Type(words) => {
            model.overlays.push(Overlay::Prompt(Prompt::command_with(&model.shared, words)));
        }
        Step::Search(text) => {
            let area = layout::body(&model.shared);
            model.view.screen_mut().search(&text, &model.shared, area);
        }
        Step::AnswerInWords(key) => acts::answer_in_words(model, key),
        Step::Sent(draft) => {
            model.drafts.retain(|kept| kept.purpose != draft.purpose);
            model.sent.push(*draft);
            if model.sent.len() > HISTORY {
                model.sent.remove(0);
            }
        }
        Step::Say(role, text) => say(model, role, text),
        Step::Back => {
            back(model);
        }
    }
}

fn command(model: &mut Model, words: &str, cmds: &mut Vec<Cmd>) {
    match commands::parse(words) {
        Asked::Action(action) => act(model, action, cmds),
        Asked::Fleet(name) => {
            if model.info().fleets.contains(&name) {
                cmds.push(Cmd::Switch(name));
            } else {
                let known = model.info().fleets.join(", ");
                let known = if known.is_empty() { "the configuration names none".into() } else { format!("there are {known}") };
                say(model, Role::Warn, format!("there is no fleet {name}; {known}"));
            }
        }
        Asked::Time(text) => match Window::parse(&text, &model.shared.clocks, model.shared.now) {
            Ok(window) => model.shared.window = window,
            Err(why) => say(model, Role::Warn, why),
        },
        Asked::Was(before) => model.shared.before = before,
        Asked::Group(by) => acts::group(model, by),
        Asked::Theme(name) => {
            let theme = &model.shared.theme;
            model.shared.theme = Theme::load(&name, theme.depth, theme.is_ascii());
            cmds.push(Cmd::Redraw);
        }
        Asked::Ascii(on) => {
            let theme = &model.shared.theme;
            model.shared.theme = Theme::load(&theme.name, theme.depth, on);
            cmds.push(Cmd::Redraw);
        }
        Asked::Mouse(on) => {
            model.mouse = on;
            cmds.push(Cmd::Mouse(on));
        }
        Asked::Suspend if model.info().own_engine => say(
            model,
            Role::Warn,
            "not suspended: the engine runs in this console, so streams would stand still and agents be blamed. Run `quarterdeck serve` apart to suspend".into(),
        ),
        Asked::Suspend => cmds.push(Cmd::Suspend),
        Asked::Quit => cmds.push(Cmd::Quit),
        Asked::GoTo(wanted) => go_to_reference(model, &wanted),
        Asked::Wrong(why) => say(model, Role::Warn, why),
    }
}

/// Does what an action means: first to the view, then everywhere.
fn act(model: &mut Model, action: Action, cmds: &mut Vec<Cmd>) {
    model.dirty = true;
    if action.acts() && model.info().read_only {
        return say(model, Role::Warn, "read-only: this console was started with --read-only".into());
    }
    let area = layout::body(&model.shared);
    if let Some(steps) = model.view.screen_mut().act(action, &model.shared, area) {
        for step in steps {
            do_step(model, step, cmds);
        }
        return;
    }
    if let Some(view) = View::of(action) {
        return go_to(model, view);
    }
    match action {
        Action::Back => {
            if !back(model) {
                model.overlays.push(Overlay::Card(Card::quit(&model.shared)));
            }
        }
        Action::HistoryBack => {
            if !back(model) {
                say(model, Role::Quiet, "this is the first view".into());
            }
        }
        Action::HistoryForward => match model.future.pop() {
            Some(view) => {
                let old = std::mem::replace(&mut model.view, view);
                model.past.push(old);
            }
            None => say(model, Role::Quiet, "this is the last view".into()),
        },
        Action::LastView => {
            // The last two views change places, so that pressed twice it is where it was.
            if let Some(last) = model.past.pop() {
                let old = std::mem::replace(&mut model.view, last);
                model.past.push(old);
            }
        }
        Action::Changes => acts::changes(model),
        Action::Group => acts::group(model, None),
        Action::Time => {
            let target = model.view.screen().target(&model.shared);
            model.overlays.push(Overlay::Menu(super::overlays::time::menu(&model.shared, target)));
        }
        Action::Views => model.overlays.push(Overlay::Views(Views::new(&model.shared, &model.view))),
        Action::Command => model.overlays.push(Overlay::Prompt(Prompt::command(&model.shared))),
        Action::Filter => match model.view.screen().searched() {
            Some(before) => model.overlays.push(Overlay::Prompt(Prompt::search(before))),
            None => {
                let next = model.shared.key(Action::NextPane);
                say(model, Role::Quiet, format!("nothing to search here; {next} goes to the output"));
            }
        },
        Action::Hold => hold(model, cmds),
        Action::GoTo => {
            let target = model.view.screen().target(&model.shared);
            model.overlays.push(Overlay::Menu(go::menu(&model.shared, target)));
        }
        Action::Copy => {
            let menu = copy::menu(&model.shared, model.view.screen());
            model.overlays.push(Overlay::Menu(menu));
        }
        Action::Save => acts::save(model),
        Action::Raw => acts::open_raw(model),
        Action::Check => acts::check(model, cmds),
        Action::New => acts::new_task(model),
        Action::EditCopy => acts::edit_copy(model),
        Action::Answer => {
            // What is asked now is answered, not what stood still.
            if model.shared.held {
                hold(model, cmds);
            }
            if !acts::take_problem(model, cmds) {
                acts::answer(model);
            }
        }
        Action::Service => acts::service(model),
        Action::Mute => acts::mute(model),
        Action::Undo => acts::undo(model, cmds),
        Action::Note => {
            let target = model.view.screen().target(&model.shared);
            model.overlays.push(Overlay::Prompt(Prompt::words(Words::Note(target))));
        }
        Action::Again => acts::card(model, About::Again),
        Action::Cancel => acts::card(model, About::Cancel),
        Action::Help => {
            let of = model.view.screen().word();
            let keys = model.view.screen().keys(&model.shared);
            open(model, help::HelpView::new(&model.shared, of, keys).into());
        }
        Action::Redraw => cmds.push(Cmd::Redraw),
        Action::NextBeat if model.shared.offers(action) => cmds.push(Cmd::Present(Cue::Next)),
        Action::BeatAgain if model.shared.offers(action) => cmds.push(Cmd::Present(Cue::Again)),
        _ => {
            let (key, help) = (model.shared.key(action), model.shared.key(Action::Help));
            let text = format!("{key} means nothing here; {help} shows every key");
            say(model, Role::Quiet, text);
        }
    }
}

pub(super) fn hold(model: &mut Model, cmds: &mut Vec<Cmd>) {
    model.shared.held = !model.shared.held;
    if !model.shared.held {
        model.shared.snapshot = model.shared.latest.clone();
        let waiting = std::mem::take(&mut model.shared.waiting);
        let overflown = waiting.len() >= WAITING;
        for (job, fact) in waiting {
            add_fact(model, job, &fact);
        }
        if overflown {
            cmds.push(Cmd::Follow(model.shared.story.as_ref().map(|story| story.job)));
        }
    }
}
