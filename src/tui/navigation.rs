//! Navigation between views: lists, saved views, the destination of a name, and the history.

use std::sync::Arc;

use super::commands;
use super::destination::Destination;
use super::model::Model;
use super::overlays::Overlay;
use super::preferences::Change;
use super::saved_view::SavedView;
use super::theme::Role;
use super::views::View;
use crate::domain::text::Untrusted;

/// Views kept in history.
const HISTORY: usize = 50;

/// Shows a view in place of the present one, which is returned.
fn show(model: &mut Model, view: View) -> View {
    model.queries.begin_view();
    model.waiting.clear();
    model.dirty = true;
    std::mem::replace(&mut model.view, view)
}

/// Goes to a view; the one before is kept in history.
pub(super) fn open(model: &mut Model, view: View) {
    let old = show(model, view);
    if matches!(old, View::Help(_)) {
        leave_parked(model);
    }
    model.past.push(old);
    if model.past.len() > HISTORY {
        model.past.remove(0);
    }
    model.future.clear();
}

/// Goes to the view of a destination.
pub(super) fn go(model: &mut Model, destination: Destination) {
    let view = View::at(&model.context, destination);
    open(model, view);
}

/// Closes the overlay behind help when help leads to another view; written text is kept.
fn leave_parked(model: &mut Model) {
    for overlay in std::mem::take(&mut model.parked) {
        if let Overlay::Composer(composer) = overlay {
            model.keep_draft(composer.draft());
        }
    }
}

/// Goes back in the history; false at its start.
pub(super) fn back(model: &mut Model) -> bool {
    let Some(view) = model.past.pop() else { return false };
    let old = show(model, view);
    if matches!(old, View::Help(_)) {
        model.overlays = std::mem::take(&mut model.parked);
        for overlay in &mut model.overlays {
            overlay.hidden();
        }
    } else {
        model.future.push(old);
    }
    true
}

/// Goes forward in the history; false at its end.
pub(super) fn forward(model: &mut Model) -> bool {
    let Some(view) = model.future.pop() else { return false };
    let old = show(model, view);
    model.past.push(old);
    true
}

/// Goes to the view before, which becomes the one to go to next time.
pub(super) fn last_view(model: &mut Model) {
    if let Some(view) = model.past.pop() {
        let old = show(model, view);
        model.past.push(old);
    }
}

/// The saved view that a view began as, if it did.
pub(super) fn of(view: &View) -> Option<&Arc<SavedView>> {
    view.screen().list()?.settings().saved.as_ref()
}

/// Opens a saved view, in its last state if it is in the history.
pub(super) fn open_saved(model: &mut Model, saved: &Arc<SavedView>) {
    if of(&model.view) == Some(saved) {
        return;
    }
    let before = model.past.iter().rposition(|past| of(past) == Some(saved));
    let view = before.map_or_else(|| View::saved(saved), |at| model.past.remove(at));
    open(model, view);
}

/// Goes to an unfiltered list, unless it is the current view.
pub(super) fn go_to(model: &mut Model, view: impl Into<View>) {
    let view = view.into();
    if view.screen().word() == model.view.screen().word()
        && of(&model.view).is_none()
        && matches!(view, View::Fleet(_) | View::Inbox(_) | View::Problems(_) | View::Routes(_))
    {
        return;
    }
    // A list in the history is shown in its last state.
    let word = view.screen().word();
    let fits = |past: &View| match past {
        View::Tasks(tasks) => word == "tasks" && tasks.is_all(),
        View::Logs(logs) => word == "logs" && logs.is_all(),
        past => past.screen().word() == word && of(past).is_none(),
    };
    let kept = model.past.iter().rposition(fits);
    let view = match kept {
        Some(at) if !matches!(view, View::Wire(_)) => {
            let kept = model.past.remove(at);
            // Whoever goes back to the end still comes to the first screen.
            if at == 0 && matches!(view, View::Now(_)) {
                model.past.insert(0, view);
            }
            kept
        }
        _ => view,
    };
    open(model, view);
}

/// Goes to the task, job, problem or context of this id.
pub(super) fn go_to_reference(model: &mut Model, wanted: &str) {
    match commands::find(&model.context, wanted, usize::MAX) {
        Some(destination) => go(model, destination),
        None => {
            let nearest = commands::nearest(&model.context, wanted);
            let nearest = nearest.map(|word| format!("; nearest: {word}")).unwrap_or_default();
            let wanted = Untrusted::from(wanted).shortened(60);
            model.say(Role::Warn, format!("no command, agent, task, job or problem \"{wanted}\"{nearest}"));
        }
    }
}

/// A view was saved or deleted, or could not be.
pub(super) fn on_changed(model: &mut Model, change: &Change, result: Result<Vec<Arc<SavedView>>, String>) {
    let views = match result {
        Ok(views) => views,
        Err(why) => return model.say(Role::Bad, format!("not done: {why}")),
    };
    model.context.preferences.views = views;
    match change {
        Change::Keep(view) => {
            if let Some(list) = model.view.screen_mut().list_mut()
                && list.kind() == view.of
                && list.settings().filter == view.settings.filter
            {
                list.settings_mut().saved = Some(view.clone());
            }
            model.say(Role::Ok, format!("saved; :{} opens it", view.name));
        }
        Change::Forget(name) => {
            for view in model.past.iter_mut().chain(&mut model.future).chain([&mut model.view]) {
                if of(view).is_some_and(|saved| saved.name == *name)
                    && let Some(list) = view.screen_mut().list_mut()
                {
                    list.settings_mut().saved = None;
                }
            }
            model.say(Role::Ok, format!("{name} is deleted"));
        }
    }
}
