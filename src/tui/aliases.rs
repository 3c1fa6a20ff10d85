//! Other words for our views and acts: those of the field and of other consoles, and what people look for here that
//! does not exist, with what to use instead.

use super::actions::Action;
use super::context::Context;
use super::keymap::Chord;

/// Words for an action, beside its own name.
const ALIASES: &[(Action, &[&str])] = &[
    (Action::ViewNow, &["home", "overview", "dashboard", "status"]),
    (Action::ViewFleet, &["agents", "agent", "ag", "po", "pod", "pods", "nodes", "health"]),
    (Action::ViewTasks, &["task", "jobs", "job"]),
    (Action::ViewInbox, &["questions", "waiting", "todo"]),
    (Action::ViewProblems, &["problem", "pb", "alerts", "alert", "incidents", "issues"]),
    (Action::ViewTraces, &["trace", "tr", "span", "spans", "tracing", "waterfall"]),
    (Action::ViewLogs, &["log", "l"]),
    (Action::ViewMetrics, &["stats", "top", "charts"]),
    (Action::ViewQueue, &["queues", "queued", "backlog", "dead-letters", "dlq"]),
    (Action::ViewRoutes, &["route", "routing", "rules", "router"]),
    (Action::Explain, &["why"]),
    (Action::ViewPulse, &["pulses", "heat", "heatmap"]),
    (Action::ViewWire, &["frames", "requests", "traffic", "http"]),
    (Action::ViewSources, &["source", "discovery"]),
    (Action::ViewCandidates, &["candidate", "discovered"]),
    (Action::ViewAudit, &["audits", "acts", "who", "trail"]),
    (Action::ViewMessages, &["message", "toasts"]),
    (Action::Changes, &["events", "event", "ev", "history", "diff"]),
    (Action::New, &["send", "new", "run"]),
    (Action::EditCopy, &["edit", "clone"]),
    (Action::Answer, &["take", "ack", "approve", "decline", "reply"]),
    (Action::Again, &["retry", "resend", "lost"]),
    (Action::Service, &["breaker", "cordon", "drain", "maintenance"]),
    (Action::Mute, &["silence", "snooze"]),
    (Action::Undo, &["give-back", "unmute"]),
    (Action::Cancel, &["kill", "stop", "delete", "abort"]),
    (Action::Raw, &["json", "yaml", "card"]),
    (Action::Details, &["describe", "desc"]),
    (Action::Check, &["refresh", "probe", "ping"]),
    (Action::Hold, &["pause", "freeze"]),
    (Action::Time, &["window", "since"]),
    (Action::Filter, &["search", "find"]),
    (Action::Faults, &["errors", "failed"]),
    (Action::Save, &["report", "export"]),
    (Action::Copy, &["yank"]),
    (Action::Help, &["h", "keys"]),
];

/// Words for the fleets of the configuration.
const FLEETS: [&str; 7] = ["ctx", "context", "contexts", "fleets", "cluster", "ns", "namespace"];

/// The other words for an action.
pub fn of(action: Action) -> &'static [&'static str] {
    ALIASES.iter().find(|(of, _)| *of == action).map_or(&[], |(_, words)| words)
}

/// The action of such a word.
pub fn action(word: &str) -> Option<Action> {
    ALIASES.iter().find(|(_, words)| words.contains(&word)).map(|(action, _)| *action)
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static str> {
    ALIASES.iter().flat_map(|(_, words)| words.iter().copied()).chain(FLEETS)
}

/// What follows a word for the fleets: `staging` of `ctx staging`.
pub fn fleet(line: &str) -> Option<&str> {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    FLEETS.contains(&word).then(|| rest.trim())
}

/// What to use instead of something that does not exist here, by the word that was typed.
pub fn absent(ctx: &Context, word: &str) -> Option<String> {
    let key = match word {
        "topology" | "topo" | "graph" | "map" => '6',
        "workflow" | "workflows" | "wf" | "runs" => '8',
        _ => return None,
    };
    absent_key(ctx, Chord::char(key))
}

/// The same by a key that other consoles have.
pub fn absent_key(ctx: &Context, chord: Chord) -> Option<String> {
    let key = |action| ctx.key(action);
    Some(match chord.typed()? {
        '6' => format!("there is no topology; {} the fleet, :group groups it", key(Action::ViewFleet)),
        '8' => {
            format!(
                "there are no workflows; {} tasks, {} what belongs to one",
                key(Action::ViewTasks),
                key(Action::GoTo)
            )
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_means_one_thing() {
        let mut words: Vec<&str> = all().collect();
        words.sort_unstable();
        for pair in words.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
        for word in words {
            assert_eq!(Action::named(word), None, "{word} is an action itself");
        }
    }
}
