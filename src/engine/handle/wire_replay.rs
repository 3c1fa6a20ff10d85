//! The past against changed rules, on the socket.

use crate::domain::route::difference::RulesFile;
use crate::domain::route::replay::{Change, Changes, Differing, Goes, Replay, ReplayPage, RuleChanges, Way};
use crate::protocol::json::{Object, Writer};
use crate::store::record::{Record, member, record, words};

words! {
    Change {
        Same = "same", ByChance = "by chance", Elsewhere = "elsewhere", Waits = "waits", Nowhere = "nowhere",
    }
}

record! {
    RulesFile { file, fault, revision, differences }
    ReplayPage { replay, next, percent }
    Replay { changes, by_name, unrecorded, ways, other_ways, rules, differing, names }
    Changes { same, by_chance, elsewhere, waits, nowhere }
    Way { from, to, jobs }
    RuleChanges { rule, changes }
    Differing { job, at, title, rule, by, from, to, change }
}

impl Record for Goes {
    fn put(&self) -> String {
        match self {
            Self::To(agent) => Writer::new().raw("to", &agent.put()),
            Self::OneOf(agents) => Writer::new().raw("one_of", &agents.put()),
            Self::Waits => Writer::new().flag("waits", true),
            Self::Nowhere => Writer::new(),
        }
        .end()
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(if object.raw("to").is_some() {
            Self::To(member(&object, "to")?)
        } else if object.raw("one_of").is_some() {
            Self::OneOf(member(&object, "one_of")?)
        } else if object.raw("waits").is_some() {
            Self::Waits
        } else {
            Self::Nowhere
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::id::{AgentId, JobId};
    use crate::domain::time::At;

    #[test]
    fn a_page_is_read_as_it_was_written() {
        let agent = |n| AgentId(Uuid::from_u128(n));
        let job = |to: Goes, change| Differing {
            job: JobId(Uuid::from_u128(7)),
            at: At::from_micros(9),
            title: "charge\u{1b} it".into(),
            rule: Some("eu".into()),
            by: None,
            from: Goes::To(agent(1)),
            to,
            change,
        };
        let changes = Changes { same: 1, by_chance: 2, elsewhere: 3, waits: 4, nowhere: 5 };
        let replay = Replay {
            changes,
            by_name: 6,
            unrecorded: 7,
            ways: vec![Way { from: Goes::To(agent(1)), to: Goes::OneOf(vec![agent(2), agent(3)]), jobs: 3 }],
            other_ways: 8,
            rules: vec![RuleChanges { rule: None, changes }],
            differing: vec![
                job(Goes::To(agent(2)), Change::Elsewhere),
                job(Goes::Waits, Change::Waits),
                job(Goes::Nowhere, Change::Nowhere),
            ],
            names: vec![(agent(1), "cashier-1".into())],
        };
        let page = ReplayPage { replay, next: Some(77), percent: 40 };
        assert_eq!(ReplayPage::get(&page.put()), Some(page));
        let file = RulesFile {
            file: "next.toml".into(),
            fault: Some("line 3".into()),
            revision: 9,
            differences: vec!["rule a is gone".into()],
        };
        assert_eq!(RulesFile::get(&file.put()), Some(file));
    }
}
