//! The rows of one job on the wire.

use super::JobRows;
use crate::domain::id::{AgentId, AgentKey, AttemptKey, JobKey};
use crate::domain::job::{Attempt, Job};
use crate::protocol::json::{Object, Writer, array};
use crate::store::record::{AttemptRow, Record, member};

impl Record for JobRows {
    fn put(&self) -> String {
        let attempt = |(key, agent, attempt): &(AttemptKey, AgentId, Attempt)| {
            let (agent_key, attempt) = (attempt.agent, attempt.clone());
            let row = AttemptRow { attempt, job: self.job.id, job_seq: self.job.seq, agent: *agent };
            let keys = Writer::new().raw("key", &key.0.put()).raw("agent_key", &agent_key.0.put());
            keys.raw("row", &row.put()).end()
        };
        let attempts = array(self.attempts.iter().map(attempt));
        let rows = Writer::new().raw("key", &self.key.0.put()).raw("job", &self.job.put());
        rows.raw("attempts", &attempts).end()
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        let key = JobKey(member(&object, "key")?);
        let mut job: Job = member(&object, "job")?;
        let attempts: Option<Vec<_>> = object
            .objects("attempts")
            .into_iter()
            .map(|attempt| {
                let row: AttemptRow = member(&attempt, "row")?;
                let agent = AgentKey(member(&attempt, "agent_key")?);
                let at = AttemptKey(member(&attempt, "key")?);
                Some((at, row.agent, Attempt { job: key, agent, ..row.attempt }))
            })
            .collect();
        let attempts = attempts?;
        job.attempts = attempts.iter().map(|(key, ..)| *key).collect();
        Some(Self { key, job, attempts })
    }
}
