//! Where one can go from what is under the cursor.

use std::collections::BTreeSet;

use super::menu::{Line, Menu};
use crate::domain::problem::Kind;
use crate::tui::actions::Action;
use crate::tui::model::{Shared, Step};
use crate::tui::views::problems::{ProblemsView, headline};
use crate::tui::views::tasks::TasksView;
use crate::tui::views::{Target, View, raw};

fn open(view: impl Into<View>) -> Step {
    Step::Open(Box::new(view.into()))
}

/// The menu.
pub fn menu(shared: &Shared, target: Target) -> Menu {
    let snapshot = &shared.snapshot;
    let mut lines = vec![Line {
        key: 'g',
        label: "top of the list",
        detail: String::new(),
        step: Step::Act(Action::First),
    }];
    let attempt = target.attempt.and_then(|key| Some((key, snapshot.attempts.get(key)?)));
    let agent_key = attempt.map(|(_, attempt)| attempt.agent).or(target.agent);
    if let Some(key) = agent_key
        && let Some(agent) = snapshot.agents.get(key)
        && let Some(view) = View::agent(shared, key)
    {
        let name = agent.name.line().fit(30);
        lines.push(Line { key: 'a', label: "agent", detail: name.clone(), step: open(view) });
        let count = snapshot.attempts.iter().rev().take(20_000).filter(|(_, row)| row.agent == key).count();
        lines.push(Line {
            key: 'n',
            label: "tasks of this agent",
            detail: count.to_string(),
            step: open(TasksView::of_agent(shared, key)),
        });
        lines.push(Line {
            key: 'w',
            label: "wire",
            detail: format!("with {name}"),
            step: open(View::wire(Some(key))),
        });
    }
    if let Some((key, attempt)) = attempt {
        let id = attempt.task.as_ref().map(|task| task.id.short());
        if let Some(view) = View::attempt(shared, key) {
            lines.push(Line {
                key: 't',
                label: "task",
                detail: id.clone().unwrap_or_default(),
                step: open(view),
            });
        }
        if let Some(job) = snapshot.job_of(attempt) {
            let title = format!("tasks › {} › raw", id.unwrap_or_else(|| job.id.short()));
            let view = raw::RawView::job(title, job.id, target);
            lines.push(Line { key: 'i', label: "raw JSON", detail: String::new(), step: open(view) });
            if let Some(parent) = &job.parent {
                let found = snapshot
                    .attempts
                    .iter()
                    .rev()
                    .find(|(_, row)| row.task.as_ref().is_some_and(|task| task.id == *parent));
                if let Some(view) = found.and_then(|(key, _)| View::attempt(shared, key)) {
                    lines.push(Line {
                        key: 'h',
                        label: "who handed it on",
                        detail: parent.short(),
                        step: open(view),
                    });
                }
            }
        }
        if let Some(context) = attempt.task.as_ref().and_then(|task| task.context.clone()) {
            let of = |row: &crate::domain::job::Attempt| {
                row.task.as_ref().is_some_and(|task| task.context.as_ref() == Some(&context))
            };
            let count = snapshot.attempts.iter().rev().take(20_000).filter(|(_, row)| of(row)).count();
            let word = if count == 1 { "task" } else { "tasks" };
            lines.push(Line {
                key: 'c',
                label: "same context",
                detail: format!("{count} {word}"),
                step: open(TasksView::of_context(context)),
            });
        }
        if let Some(caller) = snapshot.job_of(attempt).and_then(|job| job.caller.as_ref()) {
            let caller = caller.line().into_string();
            let word = caller.split_whitespace().next().unwrap_or_default().to_owned();
            lines.push(Line {
                key: 'u',
                label: "same caller",
                detail: caller,
                step: open(TasksView::new().filtered(&format!("from={word}"))),
            });
        }
    }
    let problem = snapshot.open_problems().find(|(key, problem)| {
        let attempt = target.attempt.and_then(|at| snapshot.attempts.get(at));
        // The problem of a task's own kind before others of its agent.
        let of_attempt = attempt.is_none_or(|attempt| {
            !Kind::OF_TASKS.iter().any(|kind| kind.is_about(attempt)) || problem.kind.is_about(attempt)
        });
        target.problem != Some(*key) && of_attempt && agent_key.is_some() && problem.agent == agent_key
    });
    if let Some((key, problem)) = problem {
        lines.push(Line {
            key: 'p',
            label: "problem",
            detail: format!("p-{} {}", problem.number, headline(snapshot, problem)),
            step: open(ProblemsView::new().at(key)),
        });
    }
    Menu::new("go to", String::new(), lines)
}

/// What the fleet can be grouped by; labels that somebody has, the first nine.
pub fn groups(shared: &Shared) -> Menu {
    let line = |key, label, detail: &str, words: String| Line {
        key,
        label,
        detail: detail.to_owned(),
        step: Step::Command(format!("group {words}")),
    };
    let mut lines = vec![
        line('r', "replicas", "instances of one card", "replicas".into()),
        line('p', "provider", "", "provider".into()),
        line('v', "version", "", "version".into()),
        line('e', "region", "a label, else the card", "region".into()),
        line('f', "framework", "a label, the card, else the server", "framework".into()),
        line('n', "none", "each alone", "none".into()),
    ];
    let agents = shared.snapshot.agents.iter().filter(|(_, agent)| agent.listed);
    let names: BTreeSet<_> =
        agents.flat_map(|(_, agent)| agent.spec.labels.iter().map(|(name, _)| name.clone())).collect();
    for (key, name) in ('1'..='9').zip(names) {
        let shown = crate::domain::text::Untrusted::new(name.clone()).line().fit(40);
        lines.push(line(key, "label", &shown, format!("label {name}")));
    }
    Menu::new("group the fleet by", String::new(), lines)
}
