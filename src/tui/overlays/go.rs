//! The menu of destinations related to the item under the cursor.

use std::collections::BTreeSet;

use crate::domain::id::AgentKey;
use crate::domain::problem::Kind;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::step::{Line, Menu, Step};
use crate::tui::views::problem_rows::headline;
use crate::tui::views::traces::short;
use crate::tui::views::waiting::rule_words;

fn open(destination: Destination) -> Step {
    Step::Open(Box::new(destination))
}

/// The menu.
pub fn menu(ctx: &Context, target: Target) -> Menu {
    let snapshot = &ctx.snapshot;
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
        && let Some(page) = Destination::agent(ctx, key)
    {
        let name = agent.name.line().fit(30);
        lines.push(Line { key: 'a', label: "agent", detail: name.clone(), step: open(page) });
        let count = snapshot.attempts.iter().rev().take(20_000).filter(|(_, row)| row.agent == key).count();
        lines.push(Line {
            key: 'n',
            label: "tasks of this agent",
            detail: count.to_string(),
            step: open(Destination::TasksOfAgent(key)),
        });
        lines.push(Line {
            key: 'w',
            label: "wire",
            detail: format!("with {name}"),
            step: open(Destination::Wire(Some(key))),
        });
    }
    if let Some((key, attempt)) = attempt {
        let id = attempt.task.as_ref().map(|task| task.id.short());
        if let Some(page) = Destination::attempt(ctx, key) {
            lines.push(Line {
                key: 't',
                label: "task",
                detail: id.clone().unwrap_or_default(),
                step: open(page),
            });
        }
        if let Some(job) = snapshot.job_of(attempt) {
            let title = format!("tasks › {} › raw", id.unwrap_or_else(|| job.id.short()));
            let page = Destination::RawJob { title, job: job.id, target };
            lines.push(Line { key: 'i', label: "raw JSON", detail: String::new(), step: open(page) });
            if let Some(plan) = &job.plan {
                lines.push(Line {
                    key: 'r',
                    label: "route, why",
                    detail: rule_words(snapshot, plan),
                    step: open(Destination::RoutesOfJob(attempt.job, job.id)),
                });
            }
            if let Some(parent) = &job.parent {
                let found = snapshot
                    .attempts
                    .iter()
                    .rev()
                    .find(|(_, row)| row.task.as_ref().is_some_and(|task| task.id == *parent));
                if let Some(page) = found.and_then(|(key, _)| Destination::attempt(ctx, key)) {
                    lines.push(Line {
                        key: 'h',
                        label: "delegated by",
                        detail: parent.short(),
                        step: open(page),
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
                step: open(Destination::TasksOfContext(context)),
            });
        }
        if let Some(caller) = snapshot.job_of(attempt).and_then(|job| job.caller.as_ref()) {
            let caller = caller.line().into_string();
            let word = caller.split_whitespace().next().unwrap_or_default().to_owned();
            lines.push(Line {
                key: 'u',
                label: "same caller",
                detail: caller,
                step: open(Destination::Tasks(format!("from={word}"))),
            });
        }
    }
    lines.extend(traced(ctx, target));
    lines.extend(problem(ctx, target, agent_key));
    Menu::new("go to", String::new(), lines)
}

/// The trace and the logs of what is selected.
fn traced(ctx: &Context, target: Target) -> Vec<Line> {
    let trace = target.trace(ctx).map(|(trace, span)| {
        let page = open(Destination::Trace(trace, span));
        Line { key: 'x', label: "trace", detail: short(trace), step: page }
    });
    let logs = target.logs(ctx).map(|of| {
        let detail = match (&of.agent, of.span) {
            (Some(agent), _) => format!("of {}", agent.line().fit(30)),
            (None, Some(_)) => "of this span".to_owned(),
            (None, None) => "of the trace".to_owned(),
        };
        Line { key: 'l', label: "logs", detail, step: open(Destination::Logs(of)) }
    });
    trace.into_iter().chain(logs).collect()
}

/// The open problem of the agent, or of the task.
fn problem(ctx: &Context, target: Target, agent: Option<AgentKey>) -> Option<Line> {
    let snapshot = &ctx.snapshot;
    let (key, problem) = snapshot.open_problems().find(|(key, problem)| {
        let attempt = target.attempt.and_then(|at| snapshot.attempts.get(at));
        // The problem of the task's own kind comes before the agent's other problems.
        let of_attempt = attempt.is_none_or(|attempt| {
            let job = snapshot.job_of(attempt);
            !Kind::OF_TASKS.iter().any(|kind| kind.is_about(attempt, job))
                || problem.kind.is_about(attempt, job)
        });
        target.problem != Some(*key) && of_attempt && agent.is_some() && problem.agent == agent
    })?;
    Some(Line {
        key: 'p',
        label: "problem",
        detail: format!("p-{} {}", problem.number, headline(snapshot, problem)),
        step: open(Destination::Problem(key)),
    })
}

/// The fleets of the configuration; at most nine.
pub fn fleets(ctx: &Context) -> Menu {
    let line = |(key, name): (char, &String)| {
        let here = if *name == ctx.info.fleet { "  this one" } else { "" };
        let detail = format!("{}{here}", crate::domain::text::Untrusted::from(name.as_str()).line().fit(40));
        Line { key, label: "fleet", detail, step: Step::Command(format!("fleet {name}")) }
    };
    Menu::new("fleets", String::new(), ('1'..='9').zip(&ctx.info.fleets).map(line).collect())
}

/// Grouping choices for the fleet; at most nine labels.
pub fn groups(ctx: &Context) -> Menu {
    let line = |key, label, detail: &str, words: String| Line {
        key,
        label,
        detail: detail.to_owned(),
        step: Step::Command(format!("group {words}")),
    };
    let mut lines = vec![
        line('d', "declared", "replicas that the configuration declares", "declared".into()),
        line('r', "replicas", "instances of one card too", "replicas".into()),
        line('p', "provider", "", "provider".into()),
        line('v', "version", "", "version".into()),
        line('e', "region", "a label, else the card", "region".into()),
        line('f', "framework", "a label, the card, else the server", "framework".into()),
        line('n', "none", "each alone", "none".into()),
    ];
    let agents = ctx.snapshot.agents.iter().filter(|(_, agent)| agent.listed);
    let names: BTreeSet<_> =
        agents.flat_map(|(_, agent)| agent.spec.labels.iter().map(|(name, _)| name.clone())).collect();
    for (key, name) in ('1'..='9').zip(names) {
        let shown = crate::domain::text::Untrusted::new(name.clone()).line().fit(40);
        lines.push(line(key, "label", &shown, format!("label {name}")));
    }
    Menu::new("group the fleet by", String::new(), lines)
}
