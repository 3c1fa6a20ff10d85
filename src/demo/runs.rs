//! What an agent has worked on, and when: by it a caller finds out that none of its jobs runs twice.

use std::collections::BTreeMap;

use crate::domain::id::TaskId;
use crate::domain::job::message::Message;
use crate::domain::text::Untrusted;
use crate::domain::time::PeerTime;

/// The number of runs that are kept; half as many stay when there are more.
const KEPT: usize = 10_000;

/// One piece of work, from the message that began it to its end.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Run {
    /// The sender's id of the job.
    pub job: Untrusted,
    /// The sender's id of this sending of it.
    pub attempt: Option<Untrusted>,
    /// `None` for work that makes no task.
    pub task: Option<TaskId>,
    pub begun: PeerTime,
    pub ended: Option<PeerTime>,
}

impl Run {
    /// The work on a message; `None` if the message names no job.
    pub fn new(message: &Message, task: Option<TaskId>, begun: PeerTime) -> Option<Self> {
        let job = message.hints.job.clone()?;
        Some(Self { job, attempt: message.hints.attempt.clone(), task, begun, ended: None })
    }
}

/// The runs of one agent, by their numbers in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Runs {
    runs: BTreeMap<u64, Run>,
    next: u64,
}

impl Runs {
    /// Adds a run that begins. Returns its number.
    pub fn begin(&mut self, run: Run) -> u64 {
        let number = self.next;
        self.put(number, run);
        number
    }

    /// Adds a run under its number, or replaces it.
    pub fn put(&mut self, number: u64, run: Run) {
        self.runs.insert(number, run);
        self.next = self.next.max(number + 1);
        if self.runs.len() > KEPT {
            self.runs = self.runs.split_off(&(self.next - (KEPT / 2) as u64));
        }
    }

    /// Ends a run, unless it has ended before. Returns how it is now.
    pub fn end(&mut self, number: u64, now: PeerTime) -> Option<&Run> {
        let run = self.runs.get_mut(&number)?;
        run.ended.get_or_insert(now);
        Some(run)
    }

    /// The number of the run of a task.
    pub fn of_task(&self, task: &TaskId) -> Option<u64> {
        let mut runs = self.runs.iter();
        runs.rfind(|(_, run)| run.task.as_ref() == Some(task)).map(|(number, _)| *number)
    }

    /// All runs with their numbers, in the order in which they began.
    pub fn all(&self) -> impl Iterator<Item = (u64, &Run)> {
        self.runs.iter().map(|(number, run)| (*number, run))
    }

    /// The runs of each job, in the order in which the jobs and their runs began.
    pub fn by_job(&self) -> Vec<(Untrusted, Vec<Run>)> {
        let mut places = BTreeMap::new();
        let mut jobs: Vec<(Untrusted, Vec<Run>)> = Vec::new();
        for run in self.runs.values() {
            let place = *places.entry(&run.job).or_insert(jobs.len());
            if place == jobs.len() {
                jobs.push((run.job.clone(), Vec::new()));
            }
            jobs[place].1.push(run.clone());
        }
        jobs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_listed_by_job_and_the_latest_stay() {
        let mut runs = Runs::default();
        let run = |job: &str, at: i64| Run {
            job: job.into(),
            attempt: None,
            task: Some(TaskId::from(format!("t-{at}").as_str())),
            begun: PeerTime::from_micros(at),
            ended: None,
        };
        for (at, job) in (0..).zip(["b", "a", "b"]) {
            runs.begin(run(job, at));
        }
        let first = runs.of_task(&TaskId::from("t-0")).unwrap();
        for at in [7, 8] {
            assert_eq!(
                runs.end(first, PeerTime::from_micros(at)).unwrap().ended,
                Some(PeerTime::from_micros(7)),
                "an end stays"
            );
        }
        let times = |runs: Vec<Run>| -> Vec<_> {
            runs.into_iter().map(|run| (run.begun.micros(), run.ended.map(|ended| ended.micros()))).collect()
        };
        let list = runs.by_job().into_iter().map(|(job, runs)| format!("{} {:?}", job.raw(), times(runs)));
        assert_eq!(list.collect::<Vec<_>>(), ["b [(0, Some(7)), (2, None)]", "a [(1, None)]"]);
        for at in 3..=10_000 {
            runs.begin(run("c", at));
        }
        assert_eq!(runs.all().count(), KEPT / 2);
        assert_eq!(
            runs.all().last().map(|(number, run)| (number, run.begun.micros())),
            Some((10_000, 10_000))
        );
    }
}
