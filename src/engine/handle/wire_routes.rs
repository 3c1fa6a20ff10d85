//! Routing and service on the socket: the answer of `route explain`, and what operators want of agents.

use std::sync::Arc;

use crate::domain::agent::service::ServiceChange;
use crate::domain::agent::shift::ShiftChange;
use crate::domain::route::Fit;
use crate::domain::route::balance::Balance;
use crate::domain::route::condition::Unmet;
use crate::domain::route::explanation::{Explanation, Outcome, RetryBudget, RuleRow};
use crate::protocol::json::{Object, Writer, text_of};
use crate::store::record::{Record, member, put_member, record};

record! {
    Explanation { revision, rules, outcome, decision, names }
    RuleRow { name, route, conditions, to, balance, settings, running, budget, shadowed_by, fit }
    RetryBudget { spent, allowed }
}

impl Record for ServiceChange {
    fn put(&self) -> String {
        let says = |word: &str| Writer::new().text("to", word);
        match self {
            Self::Resume => says("resume").end(),
            Self::Cordon { window } => put_member(says("cordon"), "window", window).end(),
            Self::Drain { window, move_after } => {
                put_member(put_member(says("drain"), "window", window), "move_after", move_after).end()
            }
        }
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        let window = || member(&object, "window");
        Some(match &*object.text("to")? {
            "resume" => Self::Resume,
            "cordon" => Self::Cordon { window: window()? },
            "drain" => Self::Drain { window: window()?, move_after: member(&object, "move_after")? },
            _ => return None,
        })
    }
}

impl Record for ShiftChange {
    fn put(&self) -> String {
        let says = |word: &str| Writer::new().text("what", word);
        match self {
            Self::Begin(terms) => says("begin").raw("terms", &terms.put()).end(),
            Self::Hold => says("hold").end(),
            Self::Resume => says("resume").end(),
            Self::Back => says("back").end(),
            Self::End => says("end").end(),
        }
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(match &*object.text("what")? {
            "begin" => Self::Begin(member(&object, "terms")?),
            "hold" => Self::Hold,
            "resume" => Self::Resume,
            "back" => Self::Back,
            "end" => Self::End,
            _ => return None,
        })
    }
}

impl Record for Balance {
    fn put(&self) -> String {
        format!("\"{}\"", self.as_str())
    }

    fn get(raw: &str) -> Option<Self> {
        let word = text_of(raw)?;
        Self::ALL.into_iter().find(|balance| balance.as_str() == &*word)
    }
}

impl Record for Fit {
    fn put(&self) -> String {
        let says = |word: &str| Writer::new().text("is", word);
        match self {
            Self::Decides => says("decides").end(),
            Self::OtherRoute => says("other").end(),
            Self::Later => says("later").end(),
            Self::Unmet(Unmet { wanted, found }) => {
                put_member(says("unmet").text("wanted", wanted), "found", found).end()
            }
        }
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(match &*object.text("is")? {
            "decides" => Self::Decides,
            "other" => Self::OtherRoute,
            "later" => Self::Later,
            "unmet" => Self::Unmet(Unmet {
                wanted: member::<Arc<str>>(&object, "wanted")?,
                found: member(&object, "found")?,
            }),
            _ => return None,
        })
    }
}

impl Record for Outcome {
    fn put(&self) -> String {
        match self {
            Self::Goes(agent) => Writer::new().raw("goes", &agent.put()),
            Self::Waits(why) => Writer::new().raw("waits", &why.put()),
            Self::Nowhere(why) => Writer::new().raw("nowhere", &why.put()),
        }
        .end()
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        if let Some(agent) = object.raw("goes") {
            return Some(Self::Goes(Record::get(agent)?));
        }
        if let Some(why) = object.raw("waits") {
            return Some(Self::Waits(Record::get(why)?));
        }
        Some(Self::Nowhere(Record::get(object.raw("nowhere")?)?))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::agent::Health;
    use crate::domain::id::AgentId;
    use crate::domain::job::plan::WaitReason;
    use crate::domain::route::decision::{Considered, Decision, Obstacle, Verdict};
    use crate::domain::route::shift::{Shifted, Went};

    #[test]
    fn an_explanation_is_read_as_it_was_written() {
        let agent = AgentId(Uuid::from_u128(7));
        let rule = |fit| RuleRow {
            name: "eu".into(),
            route: "checkout".into(),
            conditions: vec!["type charge".into()],
            to: vec!["skill charge".into()],
            balance: Balance::TwoChoices,
            settings: vec!["timeout 30s".into()],
            running: 3,
            budget: Some(RetryBudget { spent: 2, allowed: 10 }),
            shadowed_by: Some("all".into()),
            fit,
        };
        let unmet = Fit::Unmet(Unmet { wanted: "type x".into(), found: Some("charge".into()) });
        let considered = |verdict| Considered {
            agent,
            score: Some(12),
            health: Health::Degraded,
            in_flight: 3,
            capacity: Some(30),
            latency: None,
            failing: 120,
            verdict,
        };
        let decision = Decision {
            rule: Some("eu".into()),
            route: Some("checkout".into()),
            revision: 9,
            matched: vec!["type charge".into()],
            stage: 1,
            candidates: [
                Verdict::Taken,
                Verdict::Behind,
                Verdict::Out(Obstacle::Full),
                Verdict::Out(Obstacle::Breaker),
                Verdict::Out(Obstacle::Cordoned),
                Verdict::Out(Obstacle::Health(Health::Down)),
            ]
            .map(considered)
            .to_vec(),
            shift: Some(Shifted {
                from: agent,
                to: AgentId(Uuid::from_u128(8)),
                percent: 5,
                step: 2,
                steps: 5,
                went: Went::Successor,
            }),
        };
        for outcome in
            [Outcome::Goes(agent), Outcome::Waits(WaitReason::Capacity), Outcome::Nowhere("no".into())]
        {
            let whole = Explanation {
                revision: 9,
                rules: [
                    None,
                    Some(Fit::Decides),
                    Some(Fit::Later),
                    Some(Fit::OtherRoute),
                    Some(unmet.clone()),
                ]
                .map(rule)
                .to_vec(),
                outcome: Some(outcome),
                decision: Some(decision.clone()),
                names: vec![(agent, "cashier-1".into())],
            };
            assert_eq!(Explanation::get(&whole.put()), Some(whole));
        }
    }
}
