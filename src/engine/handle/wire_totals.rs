//! Totals on the wire.

use crate::domain::id::AgentId;
use crate::domain::metrics::{FleetTotals, TaskTotals, Timing, Totals};
use crate::domain::text::Untrusted;
use crate::protocol::json::{Object, Writer, array, elements};
use crate::store::record::{Record, member, put_member, record};

record! {
    TaskTotals { completed, failed, refused, lost, canceled, retries, duration, processing }
    FleetTotals { totals, queued, queued_bytes, oldest }
}

impl Record for Timing {
    fn put(&self) -> String {
        Writer::new().raw("buckets", &self.buckets.to_vec().put()).raw("sum", &self.sum.put()).end()
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        let buckets: Vec<u64> = member(&object, "buckets")?;
        Some(Self { buckets: buckets.try_into().ok()?, sum: member(&object, "sum")? })
    }
}

impl Record for Totals {
    fn put(&self) -> String {
        array(self.iter().map(|(agent, skill, totals)| {
            let writer = put_member(Writer::new().raw("agent", &agent.put()), "skill", &skill.cloned());
            writer.raw("totals", &totals.put()).end()
        }))
    }

    fn get(raw: &str) -> Option<Self> {
        let parts = elements(raw)?.into_iter().map(|raw| {
            let object = Object::parse(raw).ok()?;
            let agent: AgentId = member(&object, "agent")?;
            let skill: Option<Untrusted> = member(&object, "skill")?;
            Some(((agent, skill), member(&object, "totals")?))
        });
        parts.collect::<Option<Vec<_>>>().map(Self::from_parts)
    }
}
