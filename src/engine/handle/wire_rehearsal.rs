//! Rehearsals on the socket: plans of acts, and drills.

use crate::domain::job::plan::WaitReason;
use crate::domain::rehearsal::drill::{Drill, Fate, Foretold, Left};
use crate::domain::rehearsal::plan::{Becomes, Load, Plan, Row};
use crate::protocol::json::{Object, Writer};
use crate::store::record::{Record, member, record};

record! {
    Plan { rows, loads, is_cut }
    Row { attempt, becomes, delegated }
    Load { agent, gets, before, after, capacity }
    Drill { agents, within, tasks, unlisted, queue, left, problems, more_agents, is_cut }
    Foretold { attempt, job, agent, fate, after }
    Left { what, of, agents, named, free }
}

impl Record for Becomes {
    fn put(&self) -> String {
        let says = |word: &str| Writer::new().text("is", word);
        match self {
            Self::Goes(agent) => says("goes").raw("to", &agent.put()).end(),
            Self::Waits(why) => says("waits").raw("for", &why.put()).end(),
            Self::Held => says("held").end(),
            Self::Ends => says("ends").end(),
            Self::Stays(why) => says("stays").raw("why", &why.put()).end(),
        }
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(match &*object.text("is")? {
            "goes" => Self::Goes(member(&object, "to")?),
            "waits" => Self::Waits(member::<WaitReason>(&object, "for")?),
            "held" => Self::Held,
            "ends" => Self::Ends,
            "stays" => Self::Stays(member(&object, "why")?),
            _ => return None,
        })
    }
}

impl Record for Fate {
    fn put(&self) -> String {
        let writer = Writer::new().text("is", self.as_str());
        match self {
            Self::Moves(agent) => writer.raw("to", &agent.put()),
            Self::Waits(why) => writer.raw("for", &why.put()),
            Self::Ends(why) => writer.raw("why", &why.put()),
            Self::Asked | Self::Foreign | Self::Stays => writer,
        }
        .end()
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(match &*object.text("is")? {
            "moves" => Self::Moves(member(&object, "to")?),
            "waits" => Self::Waits(member(&object, "for")?),
            "ends" => Self::Ends(member(&object, "why")?),
            "asked" => Self::Asked,
            "foreign" => Self::Foreign,
            "stays" => Self::Stays,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::domain::id::{AgentId, AttemptId, JobId};
    use crate::domain::problem::Kind;

    #[test]
    fn rehearsals_are_read_as_they_were_written() {
        let (agent, attempt) = (AgentId(Uuid::from_u128(1)), AttemptId(Uuid::from_u128(2)));
        let row = |becomes| Row { attempt, becomes, delegated: vec![(agent, 2)] };
        let plan = Plan {
            rows: [
                Becomes::Goes(agent),
                Becomes::Waits(WaitReason::Capacity),
                Becomes::Held,
                Becomes::Ends,
                Becomes::Stays("no".into()),
            ]
            .map(row)
            .to_vec(),
            loads: vec![Load { agent, gets: 1, before: 19, after: 20, capacity: Some(30) }],
            is_cut: true,
        };
        assert_eq!(Plan::get(&plan.put()), Some(plan));
        let task = |fate| Foretold {
            attempt,
            job: JobId(Uuid::from_u128(3)),
            agent,
            fate,
            after: Some(Duration::from_secs(61)),
        };
        let drill = Drill {
            agents: vec![agent],
            within: Duration::from_secs(200),
            tasks: [
                Fate::Moves(agent),
                Fate::Waits(WaitReason::Backoff),
                Fate::Asked,
                Fate::Ends("late".into()),
                Fate::Foreign,
                Fate::Stays,
            ]
            .map(task)
            .to_vec(),
            unlisted: 4,
            queue: vec![(WaitReason::Capacity, (1, 9))],
            left: vec![Left {
                what: "skill a".into(),
                of: 3,
                agents: 1,
                named: vec![(agent, (3, Some(4)))],
                free: Some(1),
            }],
            problems: vec![(Kind::AgentDown, "one is down".into())],
            more_agents: Some(2),
            is_cut: false,
        };
        assert_eq!(Drill::get(&drill.put()), Some(drill));
    }
}
