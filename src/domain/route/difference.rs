//! How two versions of the rules differ, in words.

use crate::domain::route::explanation::{RuleRow, retries};
use crate::domain::route::{Rule, Rules};
use crate::domain::text::Untrusted;
use crate::domain::time::format_duration;

/// A file of rules beside those in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RulesFile {
    /// Its name.
    pub file: Untrusted,
    /// Why it cannot be read.
    pub fault: Option<Untrusted>,
    /// The revision of its rules.
    pub revision: u64,
    /// What would be different if it were loaded; empty if nothing would.
    pub differences: Vec<Untrusted>,
}

/// Differences that are named at most.
const MOST: usize = 200;

/// What would be different if `changed` were loaded instead of `now`: one line for each rule and what differs in it.
pub fn differences(now: &Rules, changed: &Rules) -> Vec<Untrusted> {
    let mut all = Vec::new();
    for (place, rule) in (1..).zip(&changed.rules) {
        match now.rule(&rule.name) {
            None => {
                all.push(format!("rule {} is new, in place {place}: {}", rule.name, whole(rule, changed)));
            }
            Some(before) if before == rule => {}
            Some(before) => all.extend(of_rule(before, rule)),
        }
    }
    for rule in now.rules.iter().filter(|rule| changed.rule(&rule.name).is_none()) {
        all.push(format!("rule {} is gone", rule.name));
    }
    let kept = |one: &Rules, other: &Rules| {
        let kept = one.rules.iter().filter(|rule| other.rule(&rule.name).is_some());
        kept.map(|rule| rule.name.clone()).collect::<Vec<_>>()
    };
    let (before, after) = (kept(now, changed), kept(changed, now));
    if before != after {
        all.push(format!("the rules are in another order: {}", after.join(", ")));
    }
    all.truncate(MOST);
    all.into_iter().map(Untrusted::from).collect()
}

/// A rule in one line.
fn whole(rule: &Rule, rules: &Rules) -> String {
    let row = RuleRow::of(rule, rules, 0);
    let matches =
        if row.conditions.is_empty() { "every message".to_owned() } else { row.conditions.join(", ") };
    format!("{matches} goes to {}, {}", row.to.join(", then "), row.balance.in_words())
}

fn of_rule(before: &Rule, after: &Rule) -> Vec<String> {
    let name = &after.name;
    let words = |rule: &Rule| {
        let all: Vec<String> = rule.conditions.iter().map(ToString::to_string).collect();
        if all.is_empty() { "every message".to_owned() } else { all.join(", ") }
    };
    let to = |rule: &Rule| rule.stages().map(ToString::to_string).collect::<Vec<_>>().join(", then ");
    let weights = |rule: &Rule| {
        let all: Vec<String> = rule.weights.iter().map(|(name, weight)| format!("{name} {weight}")).collect();
        if all.is_empty() { "1 each".to_owned() } else { all.join(", ") }
    };
    let time = |time: Option<std::time::Duration>| time.map_or_else(|| "none".to_owned(), format_duration);
    let retry = |rule: &Rule| retries(rule).unwrap_or_else(|| "none".to_owned());
    let number = |number: Option<u32>| number.map_or_else(|| "no limit".to_owned(), |most| most.to_string());
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let of = [
        ("matches", words(before), words(after)),
        ("belongs to route", before.route.to_string(), after.route.to_string()),
        ("sends to", to(before), to(after)),
        ("balances by", quoted(before.balance.in_words()), quoted(after.balance.in_words())),
        ("weights", weights(before), weights(after)),
        ("timeout", time(before.timeout), time(after.timeout)),
        ("unreachable after", time(Some(before.unreachable_after)), time(Some(after.unreachable_after))),
        ("deadline", time(before.deadline), time(after.deadline)),
        ("retries", retry(before), retry(after)),
        ("retry budget", format!("{} %", before.retry.budget), format!("{} %", after.retry.budget)),
        ("priority", before.priority.to_string(), after.priority.to_string()),
        ("at once", number(before.concurrency), number(after.concurrency)),
        ("idempotent", yes(before.idempotent), yes(after.idempotent)),
    ];
    let differs = of.into_iter().filter(|(_, before, after)| before != after);
    differs.map(|(what, before, after)| format!("rule {name} {what} {after}, not {before}")).collect()
}

fn quoted(words: &str) -> String {
    format!("\"{words}\"")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::domain::route::balance::Balance;
    use crate::domain::route::{Backoff, Retry, Selector};

    fn rules(rules: Vec<Rule>) -> Rules {
        Rules { revision: 1, rules: rules.into_iter().map(Arc::new).collect() }
    }

    fn rule(name: &str) -> Rule {
        Rule::new(name, Selector::Skill("charge".into()))
    }

    #[test]
    fn differences_are_said() {
        let second = Duration::from_secs(1);
        let once = || rules(vec![rule("a"), rule("b")]);
        let other = |change: fn(Rule) -> Rule| rules(vec![change(rule("a")), rule("b")]);
        for (changed, expected) in [
            (once(), &[][..]),
            (
                other(|rule| Rule { balance: Balance::LeastConnections, ..rule }),
                &["rule a balances by \"fewest in flight\", not \"by turns\""],
            ),
            (
                other(|rule| Rule {
                    timeout: Some(Duration::from_secs(30)),
                    to: Selector::Agent("x".into()),
                    idempotent: true,
                    ..rule
                }),
                &[
                    "rule a sends to x, not skill charge",
                    "rule a timeout 30s, not none",
                    "rule a idempotent yes, not no",
                ],
            ),
            (rules(vec![rule("b"), rule("a")]), &["the rules are in another order: b, a"]),
            (rules(vec![rule("b")]), &["rule a is gone"]),
            (
                rules(vec![rule("a"), rule("c"), rule("b")]),
                &["rule c is new, in place 2: every message goes to skill charge, by turns"],
            ),
            (
                rules(vec![
                    Rule {
                        retry: Retry { backoff: Backoff::Fixed(second), max: 2, budget: 20 },
                        ..rule("a")
                    },
                    rule("b"),
                ]),
                &["rule a retries 2 retries, 1s apart, not none"],
            ),
        ] {
            let found = differences(&once(), &changed);
            assert_eq!(found.iter().map(Untrusted::raw).collect::<Vec<_>>(), expected);
        }
    }
}
