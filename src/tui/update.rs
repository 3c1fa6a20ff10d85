//! Applies messages to the model and returns the commands to run outside. It has no clock, terminal or engine.

use crossterm::event::KeyCode;

use crate::domain::intent::{Intent, Receipt, Refusal, Remedy};
use crate::domain::state::Changed;
use crate::domain::time::At;
use crate::engine::{Answer, Query, QueryError};
use crate::tui::actions::Action;
use crate::tui::caption::PresenterCommand;
use crate::tui::cmd::{Cmd, Discarded};
use crate::tui::commands::Asked;
use crate::tui::destination::Destination;
use crate::tui::keymap::Chord;
use crate::tui::model::Model;
use crate::tui::msg::{Mouse, Msg};
use crate::tui::navigation::{go_to, go_to_reference};
use crate::tui::overlays::card::Card;
use crate::tui::overlays::prompt::{Found, Prompt, Words};
use crate::tui::overlays::views::Views;
use crate::tui::overlays::{Overlay, copy, go};
use crate::tui::queries::{Subscription, ViewAnswer, ViewQuery};
use crate::tui::step::{KeyOutcome, Step};
use crate::tui::theme::{Role, Theme};
use crate::tui::views::lists::no_column;
use crate::tui::views::problem_rows::headline;
use crate::tui::views::{View, help};
use crate::tui::window::Window;
use crate::tui::{aliases, commands, layout, navigation, operator_actions};

/// A second ctrl-c within this time leaves the console.
const TWICE: std::time::Duration = std::time::Duration::from_secs(2);
/// Facts of the followed job that are kept while the screen is held; if more come, the job is read again.
const WAITING: usize = 4096;
/// A snapshot that differs in more rows than this is dropped on a worker thread.
const MANY: usize = 1_000;

/// Applies messages in order, at a time.
pub fn update(model: &mut Model, at: At, msgs: impl IntoIterator<Item = Msg>) -> Vec<Cmd> {
    let mut cmds = Vec::new();
    pass_time(model, at);
    for msg in msgs {
        take(model, msg, &mut cmds);
    }
    refresh(model, &mut cmds);
    cmds
}

fn take(model: &mut Model, msg: Msg, cmds: &mut Vec<Cmd>) {
    match msg {
        Msg::Key(chord) => on_key(model, chord, cmds),
        Msg::Paste(text) => on_paste(model, &text),
        Msg::Mouse(mouse, x, y) => on_mouse(model, mouse, x, y, cmds),
        Msg::Resize(width, height) => {
            model.context.size = (width, height);
            model.dirty = true;
        }
        Msg::Snapshot(snapshot) => {
            let changed = snapshot.changes_since(model.context.latest.rev);
            let old = std::mem::replace(&mut model.context.latest, snapshot);
            // Freeing the rows that only the old snapshot held takes too long here if they are many.
            if changed.as_ref().is_none_or(|rows| rows.len() > MANY) {
                cmds.push(Cmd::Drop(Discarded::Snapshot(old)));
            }
            ring(model, changed.as_deref(), cmds);
            model.context.note_failures(&changed.unwrap_or_default());
            open_sent(model);
            if model.context.held {
                model.dirty = true;
            } else {
                model.context.snapshot = model.context.latest.clone();
            }
        }
        Msg::Job(job, facts, seq) => {
            let followed = model.view.screen_mut().followed_mut();
            model.dirty |= followed.is_some_and(|followed| followed.read(job, &facts, seq));
        }
        Msg::Fact(job, fact) => {
            if model.context.held {
                // What was dropped is read again once the screen resumes.
                if model.waiting.len() < WAITING {
                    model.waiting.push((job, fact));
                }
            } else if let Some(followed) = model.view.screen_mut().followed_mut() {
                followed.add(job, &fact);
            }
        }
        Msg::Answered(query, generation, answer) => on_answer(model, &query, generation, answer),
        Msg::Submitted(words, result) => on_submitted(model, &words, result, cmds),
        Msg::Indexed(order, rev, mut rows) => {
            // The list may have been left meanwhile and is then in the history.
            let others = model.past.iter_mut().chain(&mut model.future);
            for view in others.chain([&mut model.view]) {
                view.screen_mut().indexed(&order, rev, &mut rows);
            }
            cmds.push(Cmd::Drop(Discarded::Rows(rows)));
            model.dirty = true;
        }
        Msg::Edited(text) => {
            if let (Some(text), Some(Overlay::Composer(composer))) = (text, model.overlays.last_mut()) {
                composer.edited(&text, &model.context);
            }
            model.dirty = true;
        }
        Msg::Caption(caption) => {
            model.dirty |= model.context.caption.as_ref() != Some(&caption);
            model.context.caption = Some(caption);
        }
        Msg::Shown => {
            if let Some(overlay) = model.overlays.last_mut() {
                overlay.shown(model.time);
            }
        }
        Msg::Batch(news) => operator_actions::on_batch(model, news),
        Msg::Due => model.dirty = true,
        Msg::Gone => {
            if !model.gone {
                model.gone = true;
                model.say(Role::Bad, "the engine has ended; the data shown is old. :q quits".into());
            }
        }
        Msg::Views(change, result) => navigation::on_changed(model, &change, result),
        Msg::Say(role, text) => model.say(role, text),
    }
}

/// Rings for new problems if the operator enabled it; earlier problems do not ring.
fn ring(model: &mut Model, changed: Option<&[Changed]>, cmds: &mut Vec<Cmd>) {
    let snapshot = model.context.latest.clone();
    let newest = snapshot.problems.iter().map(|(_, problem)| problem.number).max().unwrap_or(0);
    let rung = model.rung;
    model.rung = newest.max(rung);
    let info = model.info();
    if newest <= rung || rung == 0 && changed.is_none() || !(info.bell || info.desktop) {
        return;
    }
    let heard = snapshot.problems.iter().map(|(_, problem)| problem).find(|problem| {
        problem.number > rung
            && problem.cleared.is_none()
            && problem.muted.is_none()
            && problem.kind.severity() >= info.rings_from
    });
    if let Some(problem) = heard {
        let words = format!("p-{} {}", problem.number, headline(&snapshot, problem));
        cmds.push(Cmd::Ring(info.desktop.then_some(words)));
    }
}

fn pass_time(model: &mut Model, at: At) {
    model.time = at;
    if !model.context.held {
        model.context.now = at;
    }
    if model.toast.as_ref().is_some_and(|(_, until)| *until <= at) {
        model.toast = None;
        model.dirty = true;
    }
    while model.keys.front().is_some_and(|(_, until)| *until <= at) {
        model.keys.pop_front();
        model.dirty = true;
    }
}

/// Updates the view and its overlays, and sends the view's queries.
fn refresh(model: &mut Model, cmds: &mut Vec<Cmd>) {
    let area = layout::body(&model.context);
    let screen = model.view.screen_mut();
    let mut visible = screen.refresh(&model.context, area);
    if let Some(work) = screen.index() {
        cmds.push(Cmd::Index(work, model.context.snapshot.clone()));
    }
    let mut subscriptions = screen.queries(&model.context);
    for overlay in &mut model.overlays {
        visible |= overlay.refresh(&model.context);
        subscriptions.extend(overlay.queries(&model.context));
    }
    let counts = crate::tui::header::Counts::of(&model.context, &model.context.snapshot);
    visible |= counts != model.counts;
    model.counts = counts;
    model.dirty |= visible;
    ask(model, subscriptions, cmds);
}

/// Sends what is due for the subscriptions of the view and its overlays.
fn ask(model: &mut Model, subscriptions: Vec<Subscription>, cmds: &mut Vec<Cmd>) {
    let held = model.context.held;
    let due = model.queries.due(subscriptions, model.time, held);
    let mut queries = due.queries;
    if let Some(every) = due.metrics.filter(|_| !held) {
        let ctx = &mut model.context;
        let wanted = ctx.metrics.ask(ctx.window, ctx.baseline, every, ctx.now);
        queries.extend(wanted.into_iter().map(|stretch| Query::Metrics(stretch).into()));
    }
    if let Some(job) = due.follow {
        model.waiting.clear();
        if let Some(followed) = model.view.screen_mut().followed_mut() {
            followed.follow(job);
        }
        cmds.push(Cmd::Follow(job));
    }
    let generation = model.queries.generation();
    cmds.extend(queries.into_iter().map(|query| Cmd::Query(query, generation)));
}

/// Handles an answer: metrics go to all views, other answers to the view or the overlay that sent the query.
fn on_answer(model: &mut Model, query: &ViewQuery, generation: u64, answer: Result<ViewAnswer, QueryError>) {
    let ask = model.queries.answered(query, generation);
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return on_query_error(model, query, &error),
    };
    let answer = match (query, answer) {
        (ViewQuery::Engine(Query::Metrics(stretch)), ViewAnswer::Engine(Answer::Metrics(blocks))) => {
            return model.context.metrics.take(*stretch, blocks);
        }
        (_, answer) => answer,
    };
    let Some(ask) = ask else { return };
    let is_repeated = ask.refresh.interval().is_some();
    let is_held = is_repeated && model.context.held;
    match answer {
        ViewAnswer::Engine(answer) => {
            if let Some(overlay) = model.overlays.iter_mut().find(|overlay| overlay.asks(&ask)) {
                model.dirty |= overlay.on_answer(&ask, answer, &model.context);
                return;
            }
            if !is_held {
                model.view.screen_mut().on_answer(&ask, answer);
            }
        }
        ViewAnswer::Telemetry(telemetry) if !is_held => {
            model.view.screen_mut().on_telemetry(&ask, telemetry);
        }
        ViewAnswer::Telemetry(_) => {}
    }
    model.dirty |= !is_repeated;
}

fn on_query_error(model: &mut Model, query: &ViewQuery, error: &QueryError) {
    if let ViewQuery::Engine(Query::Metrics(stretch)) = query {
        model.context.metrics.failed(*stretch);
    }
    if let (ViewQuery::Engine(Query::Kill { .. }), View::Drill(view)) = (query, &mut model.view) {
        view.spare();
    }
    model.say(Role::Warn, error.to_string());
}

fn on_submitted(model: &mut Model, words: &str, result: Result<Receipt, Refusal>, cmds: &mut Vec<Cmd>) {
    if model.context.held && result.is_ok() {
        // Otherwise the operator would not see the effect of the action.
        hold(model, cmds);
    }
    match result {
        Ok(Receipt::Taken { job, .. }) if model.opens => {
            model.opens = false;
            model.opening = Some(job);
            open_sent(model);
            model.say(Role::Ok, words.to_owned());
        }
        Ok(_) => model.say(Role::Ok, words.to_owned()),
        Err(refusal) => {
            model.opens = false;
            model.last_act = None;
            let instead = match &refusal {
                Refusal::Instead(_, remedy) => format!("; {}", keys_for(model, remedy)),
                _ => String::new(),
            };
            model.say(Role::Bad, format!("not done: {refusal}{instead}"));
        }
    }
}

/// The keys for what can be done instead of an act that was refused.
fn keys_for(model: &Model, remedy: &Remedy) -> String {
    let key = |action| model.context.key(action);
    match remedy {
        Remedy::Retry => format!("{} sends it again", key(Action::Again)),
        Remedy::Reroute => format!("{} moves it", key(Action::Again)),
        Remedy::PresumeLost => format!("{} gives it up and sends it elsewhere", key(Action::Again)),
        Remedy::NameAgent => format!("choose an agent with {}, or wait", key(Action::Again)),
        Remedy::LookAtQueue => format!("{} shows what waits, and for what", key(Action::ViewQueue)),
        Remedy::Explain(_) => ":routes says why".into(),
        Remedy::LookAtShifts => format!(":routes, then {} shows it", key(Action::Service)),
        Remedy::ReleaseBreaker => {
            format!("{} on the agent gives it back to the engine", key(Action::Service))
        }
        Remedy::CloseBreaker => format!("{} on the agent closes it", key(Action::Service)),
        Remedy::Resume => format!("{} on the agent puts it back", key(Action::Service)),
        Remedy::GiveReason => "write the reason into its card".into(),
    }
}

/// Opens the job that was sent from here, once its row has come: the receipt may come before it.
fn open_sent(model: &mut Model) {
    let Some(job) = model.opening else { return };
    let found = model.context.latest.jobs.iter().rev().find(|(_, row)| row.id == job).map(|(key, _)| key);
    if let Some(destination) = found.and_then(|key| Destination::job(&model.context, key)) {
        model.opening = None;
        navigation::go(model, destination);
    }
}

fn on_paste(model: &mut Model, text: &str) {
    model.dirty = true;
    let taken = match model.overlays.last_mut() {
        Some(overlay) => {
            let taken = overlay.paste(text, &model.context);
            if let Overlay::Prompt(prompt) = overlay
                && let Some(text) = prompt.text().map(str::to_owned)
            {
                search(model, &text);
            }
            taken
        }
        None => false,
    };
    if !taken {
        let [command, filter, new] =
            [Action::Command, Action::Filter, Action::New].map(|action| model.context.key(action));
        let fields = if model.info().read_only {
            format!("{command} or {filter}")
        } else {
            format!("{command}, {filter} or {new}")
        };
        model.say(Role::Warn, format!("pasted text is not used here; paste it after {fields}"));
    }
}

fn on_mouse(model: &mut Model, mouse: Mouse, x: u16, y: u16, cmds: &mut Vec<Cmd>) {
    if !model.overlays.is_empty() {
        return;
    }
    model.dirty = true;
    let area = layout::body(&model.context);
    match mouse {
        Mouse::Up | Mouse::Down => {
            let action = if mouse == Mouse::Up { Action::Up } else { Action::Down };
            for _ in 0..3 {
                act(model, action, cmds);
            }
        }
        Mouse::Click | Mouse::Menu if !area.contains((x, y).into()) => {}
        Mouse::Click => {
            if model.view.screen_mut().click(&model.context, area, x, y) {
                act(model, Action::Open, cmds);
            }
        }
        Mouse::Menu => {
            model.view.screen_mut().click(&model.context, area, x, y);
            act(model, Action::GoTo, cmds);
        }
    }
}

fn on_key(model: &mut Model, chord: Chord, cmds: &mut Vec<Cmd>) {
    model.dirty = true;
    let at = model.time;
    if model.context.on_stage() {
        let until = at + std::time::Duration::from_secs(3);
        model.keys.push_back((chord.to_string(), until));
        while model.keys.len() > 6 {
            model.keys.pop_front();
        }
    }
    let keys = &model.context.preferences.keys;
    let typing = !model.overlays.is_empty();
    let in_text = model.view.screen().in_text();
    let action = if typing { keys.action_while_typing(chord) } else { keys.action(chord, in_text) };
    if action == Some(Action::Interrupt) {
        let twice = model.interrupted.is_some_and(|first| at.since(first) < TWICE);
        model.interrupted = Some(at);
        if twice {
            cmds.push(Cmd::Quit);
        } else {
            model.say(Role::Warn, format!("{chord} again quits; nothing is cancelled"));
        }
        return;
    }
    model.interrupted = None;
    // If another key is pressed meanwhile, the sent job is not opened.
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
        match overlay.key(chord, at, &model.context) {
            KeyOutcome::Stays(steps) => {
                model.overlays.push(overlay);
                for step in steps {
                    do_step(model, step, cmds);
                }
            }
            KeyOutcome::Closes(steps) => {
                if is_card && steps.iter().any(|step| step.submits()) {
                    model.view.screen_mut().unmark();
                }
                for step in steps {
                    do_step(model, step, cmds);
                }
            }
            KeyOutcome::Searches(text) => {
                model.overlays.push(overlay);
                do_step(model, Step::Search(text), cmds);
            }
            KeyOutcome::Keeps => {
                if let Overlay::Composer(composer) = overlay
                    && model.keep_draft(composer.draft())
                {
                    let (new, answer) = (model.context.key(Action::New), model.context.key(Action::Answer));
                    model.say(Role::Plain, format!("kept as a draft; {new} or {answer} opens it again"));
                }
            }
        }
        return;
    }
    match action {
        Some(action) => {
            if !action.leaves() {
                model.view.screen_mut().stick();
            }
            act_by(model, action, Some(chord), cmds);
        }
        None => {
            let sorted = chord
                .typed()
                .filter(char::is_ascii_uppercase)
                .is_some_and(|letter| model.view.screen_mut().sort(letter));
            if !sorted {
                let text = aliases::absent_key(&model.context, chord).unwrap_or_else(|| {
                    format!("{chord} means nothing here; {} shows every key", model.context.key(Action::Help))
                });
                model.say(Role::Quiet, text);
            }
        }
    }
}

fn do_step(model: &mut Model, step: Step, cmds: &mut Vec<Cmd>) {
    model.dirty = true;
    match step {
        Step::Cmd(Cmd::Submit(intent, words)) => {
            model.opens = matches!(intent, Intent::Send(_));
            operator_actions::submit(model, intent, words, cmds);
        }
        Step::Cmd(Cmd::Copy(text)) => {
            let shown = crate::domain::text::fit(
                &text.replace('\n', " "),
                usize::from(model.context.size.0).saturating_sub(12),
            );
            model.say(Role::Ok, format!("copied: {shown}"));
            cmds.push(Cmd::Copy(text));
        }
        Step::Cmd(Cmd::RunBatch(run)) => operator_actions::run_batch(model, run, cmds),
        Step::Cmd(cmd) => cmds.push(cmd),
        Step::Open(destination) => navigation::go(model, *destination),
        Step::AskWhy(asked) => {
            model.overlays.push(Overlay::Prompt(Prompt::words(Words::Why(asked))));
        }
        Step::Menu(menu) => model.overlays.push(Overlay::Menu(*menu)),
        Step::SaveView(view) => model.overlays.push(Overlay::Prompt(Prompt::words(Words::Save(view)))),
        Step::Act(action) => act(model, action, cmds),
        Step::Command(words) => command(model, &words, cmds),
        Step::Window(window) => model.context.window = window,
        Step::Baseline(baseline) => model.context.baseline = baseline,
        Step::Type(words) => {
            model.overlays.push(Overlay::Prompt(Prompt::command_with(&model.context, &words)));
        }
        Step::Search(text) => search(model, &text),
        Step::AnswerInWords(key) => operator_actions::answer_in_words(model, key),
        Step::Sent(draft) => model.keep_sent(*draft),
        Step::Say(role, text) => model.say(role, text),
        Step::ForReal(expected) => {
            model.overlays.push(Overlay::Prompt(Prompt::words(Words::Kill(expected))));
        }
        Step::Kill => operator_actions::kill(model, cmds),
        Step::Back => {
            navigation::back(model);
        }
    }
}

/// Filters or searches the view, and tells beside the line what is found.
fn search(model: &mut Model, text: &str) {
    let area = layout::body(&model.context);
    let screen = model.view.screen_mut();
    let found = match screen.search(text, &model.context, area) {
        Some(lines) => Some(Found::Lines(lines)),
        None => screen.list().and_then(|list| no_column(&model.context, list)).map(Found::NoColumn),
    };
    if let Some(Overlay::Prompt(prompt)) = model.overlays.last_mut() {
        prompt.tell(found);
    }
}

/// Goes to what a word means: a saved view, an agent, another word for an action, a fleet, or an id.
fn refer(model: &mut Model, wanted: &str, cmds: &mut Vec<Cmd>) {
    let ctx = &model.context;
    if let Some(view) = ctx.preferences.view(wanted).cloned() {
        navigation::open_saved(model, &view);
    } else if let Some(agent) = commands::agent(ctx, wanted) {
        navigation::go(model, agent);
    } else if let Some(action) = aliases::action(wanted) {
        act(model, action, cmds);
    } else if let Some(fleet) = aliases::fleet(wanted) {
        operator_actions::fleets(model, fleet, cmds);
    } else if let Some(instead) = aliases::absent(ctx, wanted) {
        model.say(Role::Quiet, instead);
    } else {
        go_to_reference(model, wanted);
    }
}

fn command(model: &mut Model, words: &str, cmds: &mut Vec<Cmd>) {
    match commands::parse(words) {
        Asked::Action(action) => act(model, action, cmds),
        Asked::Fleet(name) => operator_actions::switch(model, &name, cmds),
        Asked::Time(text) => match Window::parse(&text, &model.context.clocks, model.context.now) {
            Ok(window) => model.context.window = window,
            Err(why) => model.say(Role::Warn, why),
        },
        Asked::Baseline(baseline) => model.context.baseline = baseline,
        Asked::Group(by) => operator_actions::group(model, by),
        Asked::Explain(text) => operator_actions::explain(model, &text),
        Asked::Batch(file) => operator_actions::open_batch(model, file, cmds),
        Asked::Drill(names) => operator_actions::open_drill(model, &names),
        Asked::Routes(file) => operator_actions::compare_rules(model, &file),
        Asked::Shift(names) => operator_actions::shift(model, &names),
        Asked::Theme(name) => {
            let theme = &model.context.theme;
            model.context.theme = Theme::load(&name, theme.depth, theme.is_ascii());
            cmds.push(Cmd::Redraw);
        }
        Asked::Ascii(on) => {
            let theme = &model.context.theme;
            model.context.theme = Theme::load(&theme.name, theme.depth, on);
            cmds.push(Cmd::Redraw);
        }
        Asked::Mouse(on) => {
            model.mouse = on;
            cmds.push(Cmd::Mouse(on));
        }
        Asked::Suspend if model.info().own_engine => model.say(Role::Warn,
            "not suspended: the engine runs in this console, whose streams would stall and whose agents would seem silent. Run `quarterdeck serve` separately to suspend".into(),
        ),
        Asked::Suspend => cmds.push(Cmd::Suspend),
        Asked::Quit => cmds.push(Cmd::Quit),
        Asked::GoTo(wanted) => refer(model, &wanted, cmds),
        Asked::Wrong(why) => model.say(Role::Warn, why),
    }
}

fn act(model: &mut Model, action: Action, cmds: &mut Vec<Cmd>) {
    act_by(model, action, None, cmds);
}

/// Runs an action: the view may handle it, otherwise it means the same everywhere. `by` is the key that was pressed.
fn act_by(model: &mut Model, action: Action, by: Option<Chord>, cmds: &mut Vec<Cmd>) {
    model.dirty = true;
    if action.acts() && model.info().read_only {
        return model.say(Role::Warn, "read-only: this console was started with --read-only".into());
    }
    if action.is_of_text() && model.view.screen().searched().is_empty() {
        let filter = model.context.key(Action::Filter);
        return model.say(Role::Quiet, format!("nothing is searched for yet; {filter} searches"));
    }
    let area = layout::body(&model.context);
    if let Some(steps) = model.view.screen_mut().act(action, &model.context, area) {
        for step in steps {
            do_step(model, step, cmds);
        }
        return;
    }
    if let Some(view) = View::of(action) {
        return go_to(model, view);
    }
    match action {
        Action::Back if navigation::back(model) => {}
        // Whoever presses esc once too often wants to be at the top, not out.
        Action::Back if by.is_some_and(|by| by.code == KeyCode::Esc) => {
            model.say(Role::Quiet, "this is the first screen; :q quits".into());
        }
        Action::Back => model.overlays.push(Overlay::Card(Card::quit(&model.context))),
        Action::HistoryBack => {
            if !navigation::back(model) {
                model.say(Role::Quiet, "this is the first view".into());
            }
        }
        Action::HistoryForward => {
            if !navigation::forward(model) {
                model.say(Role::Quiet, "this is the last view".into());
            }
        }
        Action::LastView => navigation::last_view(model),
        Action::Changes => operator_actions::changes(model),
        Action::RowLogs => operator_actions::logs(model),
        Action::Group => operator_actions::group(model, None),
        Action::Time => {
            let target = model.view.screen().target(&model.context);
            model.overlays.push(Overlay::Menu(crate::tui::overlays::time::menu(&model.context, target)));
        }
        Action::Views => model.overlays.push(Overlay::Views(Views::new(&model.context, model.view.screen()))),
        Action::Command => model.overlays.push(Overlay::Prompt(Prompt::command(&model.context))),
        Action::Filter => {
            let before = model.view.screen().searched();
            model.overlays.push(Overlay::Prompt(Prompt::search(before)));
        }
        Action::Hold => hold(model, cmds),
        Action::GoTo => {
            let target = model.view.screen().target(&model.context);
            model.overlays.push(Overlay::Menu(go::menu(&model.context, target)));
        }
        Action::Copy => {
            let menu = copy::menu(&model.context, model.view.screen());
            model.overlays.push(Overlay::Menu(menu));
        }
        Action::Save => operator_actions::save(model),
        Action::Raw => operator_actions::open_raw(model),
        Action::Check => operator_actions::check(model, cmds),
        Action::New => operator_actions::new_task(model),
        Action::EditCopy => operator_actions::edit_copy(model),
        Action::Answer => {
            // The answer goes to the current question, not to the one on a held screen.
            if model.context.held {
                hold(model, cmds);
            }
            if !operator_actions::take_problem(model, cmds) {
                operator_actions::answer(model);
            }
        }
        Action::Explain => {
            model.overlays.push(Overlay::Prompt(Prompt::command_with(&model.context, "explain ")));
        }
        Action::Service => operator_actions::service(model),
        Action::Mute => operator_actions::mute(model),
        Action::Undo => operator_actions::undo(model, cmds),
        Action::Note => {
            let target = model.view.screen().target(&model.context);
            model.overlays.push(Overlay::Prompt(Prompt::words(Words::note(&model.context, target))));
        }
        Action::Again => operator_actions::again(model),
        Action::Cancel => operator_actions::cancel(model),
        Action::Help => {
            let of = model.view.screen().word();
            let keys = model.view.screen().keys(&model.context);
            navigation::open(model, help::HelpView::new(&model.context, of, keys).into());
        }
        Action::Redraw => cmds.push(Cmd::Redraw),
        Action::NextBeat if model.context.offers(action) => cmds.push(Cmd::Present(PresenterCommand::Next)),
        Action::BeatAgain if model.context.offers(action) => cmds.push(Cmd::Present(PresenterCommand::Again)),
        _ => {
            let (key, help) = (model.context.key(action), model.context.key(Action::Help));
            let text = format!("{key} means nothing here; {help} shows every key");
            model.say(Role::Quiet, text);
        }
    }
}

pub(super) fn hold(model: &mut Model, cmds: &mut Vec<Cmd>) {
    model.context.held = !model.context.held;
    if !model.context.held {
        model.context.snapshot = model.context.latest.clone();
        let waiting = std::mem::take(&mut model.waiting);
        let overflown = waiting.len() >= WAITING;
        if let Some(followed) = model.view.screen_mut().followed_mut() {
            for (job, fact) in waiting {
                followed.add(job, &fact);
            }
        }
        if overflown {
            cmds.push(Cmd::Follow(model.queries.follows()));
        }
    }
}
