//! Going to lists, to saved views, and to what a name leads to; lists are found again as they were left.

use std::sync::Arc;

use super::commands;
use super::model::Model;
use super::preferences::{Change, SavedView};
use super::theme::Role;
use super::update::{self, say};
use super::views::View;

/// What a view was saved as, if it was.
pub(super) fn of(view: &View) -> Option<&Arc<SavedView>> {
    view.screen().list()?.look().saved.as_ref()
}

/// Opens a saved view; one that was looked at lately is found as it was left.
pub(super) fn open_saved(model: &mut Model, saved: &Arc<SavedView>) {
    if of(&model.view) == Some(saved) {
        return;
    }
    let before = model.past.iter().rposition(|past| of(past) == Some(saved));
    let view = before.map_or_else(|| View::saved(saved), |at| model.past.remove(at));
    update::open(model, view);
}

/// Goes to a list of everything, unless it is there.
pub(super) fn go_to(model: &mut Model, view: impl Into<View>) {
    let view = view.into();
    if view.screen().word() == model.view.screen().word()
        && of(&model.view).is_none()
        && matches!(view, View::Fleet(_) | View::Inbox(_) | View::Problems(_))
    {
        return;
    }
    // A list that was looked at lately is found as it was left.
    let word = view.screen().word();
    let fits = |past: &View| match past {
        View::Tasks(tasks) => word == "tasks" && tasks.is_all(),
        past => past.screen().word() == word && of(past).is_none(),
    };
    let kept = model.past.iter().rposition(fits);
    let view = match kept {
        Some(at) if !matches!(view, View::Wire(_)) => model.past.remove(at),
        _ => view,
    };
    update::open(model, view);
}

/// Goes to what a name or an id leads to.
pub(super) fn go_to_reference(model: &mut Model, wanted: &str) {
    if let Some(view) = model.shared.preferences.view(wanted).cloned() {
        return open_saved(model, &view);
    }
    match commands::find(&model.shared, wanted) {
        Some(view) => update::open(model, view),
        None => {
            let wanted = crate::domain::text::Untrusted::from(wanted).shortened(60);
            say(model, Role::Warn, format!("there is no command, agent, task, job or problem {wanted}"));
        }
    }
}

/// One was saved or deleted, or could not be.
pub(super) fn on_changed(model: &mut Model, change: &Change, result: Result<Vec<Arc<SavedView>>, String>) {
    let views = match result {
        Ok(views) => views,
        Err(why) => return say(model, Role::Bad, format!("not done: {why}")),
    };
    model.shared.preferences.views = views;
    match change {
        Change::Keep(view) => {
            if let Some(list) = model.view.screen_mut().list_mut()
                && list.kind() == view.of
                && list.look().filter == view.look.filter
            {
                list.look_mut().saved = Some(view.clone());
            }
            say(model, Role::Ok, format!("saved; :{} opens it", view.name));
        }
        Change::Forget(name) => {
            for view in model.past.iter_mut().chain(&mut model.future).chain([&mut model.view]) {
                if of(view).is_some_and(|saved| saved.name == *name)
                    && let Some(list) = view.screen_mut().list_mut()
                {
                    list.look_mut().saved = None;
                }
            }
            say(model, Role::Ok, format!("{name} is deleted"));
        }
    }
}
