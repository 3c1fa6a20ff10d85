//! A shift: work that is moved step by step from a legacy agent to its successor.
//!
//! It is kept in the row of the legacy agent. What is counted here are facts of jobs: a decision of the router, and the
//! end of an attempt at one of the two. Whether the next step is reached is decided elsewhere, from [`Shift::outlook`].

use std::sync::Arc;
use std::time::Duration;

use crate::domain::cause::Cause;
use crate::domain::id::AgentId;
use crate::domain::job::task::{TaskState, Verdict};
use crate::domain::job::{Attempt, Phase};
use crate::domain::metrics::share;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// The shares of a shift whose operator names none, in per cent.
pub const STEPS: [u8; 5] = [1, 5, 25, 50, 100];
/// The time that each step takes at least.
pub const STEP_TIME: Duration = Duration::from_secs(600);
/// The jobs that have to end at the successor in each step.
pub const STEP_JOBS: u32 = 50;
/// The OK % under which the successor loses its share.
pub const OK_LIMIT: u8 = 95;
/// The successor loses its share too if its OK % is so many points below the legacy agent's.
pub const BEHIND: u8 = 5;
/// Steps of a shift, at most.
pub const MOST_STEPS: usize = 20;

/// What an operator wants of a shift.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ShiftChange {
    /// Begin one.
    Begin(ShiftTerms),
    /// Stay at this share until it is resumed.
    Hold,
    /// Go on: from a hold with the same step, after it went back with the first one.
    Resume,
    /// Back to nothing for the successor.
    Back,
    /// No shift any more: the rules decide alone.
    End,
}

/// How a shift is to go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShiftTerms {
    /// The successor.
    pub to: AgentId,
    /// Only jobs for this skill; `None` for all.
    pub skill: Option<Untrusted>,
    /// The shares in order, in per cent.
    pub steps: Vec<u8>,
    /// The time that each step takes at least.
    pub time: Duration,
    /// The jobs that have to end at the successor in each step.
    pub jobs: u32,
    /// The OK % under which the successor loses its share.
    pub ok_limit: u8,
}

impl ShiftTerms {
    /// The usual terms.
    pub fn to(successor: AgentId) -> Self {
        Self {
            to: successor,
            skill: None,
            steps: STEPS.to_vec(),
            time: STEP_TIME,
            jobs: STEP_JOBS,
            ok_limit: OK_LIMIT,
        }
    }

    /// Why it cannot go like this; `None` if it can.
    pub fn fault(&self) -> Option<&'static str> {
        let rising = self.steps.windows(2).all(|pair| pair[0] < pair[1]);
        let last = self.steps.last().copied();
        if self.steps.len() > MOST_STEPS {
            Some("a shift has at most 20 steps")
        } else if !rising || last != Some(100) || self.steps[0] == 0 {
            Some("the steps must rise and end at 100, such as 1,5,25,50,100")
        } else if self.jobs == 0 {
            Some("a step needs at least one job")
        } else if self.ok_limit > 100 {
            Some("the limit is a percentage, from 0 to 100")
        } else {
            None
        }
    }
}

/// What a shift is doing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ShiftStage {
    /// It goes on by itself.
    Running,
    /// An operator holds it at its share.
    Held,
    /// The successor gets nothing.
    Back,
    /// The last step is over; its share stays.
    Complete,
}

impl ShiftStage {
    /// The word in JSON and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Held => "held",
            Self::Back => "back at 0",
            Self::Complete => "complete",
        }
    }
}

/// What happened to a shift.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ShiftEvent {
    /// It began.
    Began,
    /// The next step was reached.
    Advanced,
    /// An operator holds it.
    Held,
    /// An operator resumed it.
    Resumed,
    /// The successor lost its share: the numbers said so, or an operator did.
    WentBack,
    /// The last step is over.
    Completed,
    /// An operator ended it.
    Ended,
    /// An operator's act was not kept: it is as it was before.
    Restored,
}

/// Results of one agent: the same as those of its metrics, for jobs that were sent here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Results {
    /// Completed, or answered with a message.
    pub ok: u32,
    /// Failed by the agent.
    pub failed: u32,
    /// Not taken by the agent, or never delivered to it.
    pub refused: u32,
    /// Forgotten by the agent, or taken as lost.
    pub lost: u32,
}

/// How an attempt ended, as metrics count it. A canceled one counts neither for nor against its agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// With a result.
    Ok,
    /// The agent failed.
    Failed,
    /// The agent did not take it.
    Refused,
    /// Nobody knows any more.
    Lost,
}

impl Ended {
    /// How an attempt of ours ended; `None` while it goes on, or if it was canceled.
    pub fn of(attempt: &Attempt) -> Option<Self> {
        attempt.message_id.as_ref()?;
        if let Some(task) = &attempt.task
            && attempt.phase != Phase::PresumedLost
        {
            return match &task.state {
                TaskState::Completed => Some(Self::Ok),
                TaskState::Failed => Some(Self::Failed),
                TaskState::Rejected => Some(Self::Refused),
                _ => (task.verdict == Some(Verdict::Lost)).then_some(Self::Lost),
            };
        }
        match attempt.phase {
            Phase::Answered => Some(Self::Ok),
            // Our own disk is no failure of an agent.
            Phase::Unsent if matches!(attempt.cause.as_deref(), Some(Cause::Unsaved(_))) => None,
            Phase::Refused | Phase::Unsent => Some(Self::Refused),
            Phase::PresumedLost => Some(Self::Lost),
            Phase::Planned | Phase::Sending | Phase::Accepted | Phase::Uncertain => None,
        }
    }
}

impl Results {
    /// Counts an end.
    pub fn count(&mut self, ended: Ended) {
        let count = match ended {
            Ended::Ok => &mut self.ok,
            Ended::Failed => &mut self.failed,
            Ended::Refused => &mut self.refused,
            Ended::Lost => &mut self.lost,
        };
        *count = count.saturating_add(1);
    }

    /// Jobs that ended otherwise than their callers wanted.
    pub fn bad(&self) -> u32 {
        self.failed.saturating_add(self.refused).saturating_add(self.lost)
    }

    /// Jobs that ended.
    pub fn ended(&self) -> u32 {
        self.ok.saturating_add(self.bad())
    }

    /// Completed jobs per thousand; `None` if none ended.
    pub fn ok_per_mille(&self) -> Option<u32> {
        let ended = self.ended();
        (ended > 0).then(|| share(u64::from(self.ok), u64::from(ended), 1000))
    }

    /// `98.0 % of 50`, or `none ended`.
    pub fn in_words(&self) -> String {
        match self.ok_per_mille() {
            Some(ok) => format!("{} % ok of {}", tenths(ok), self.ended()),
            None => "none ended".to_owned(),
        }
    }
}

/// Whole minutes, or seconds below one, that are not less than a time.
pub fn rounded_up(time: Duration) -> String {
    let seconds = time.as_millis().div_ceil(1000);
    if seconds < 60 { format!("{seconds} s") } else { format!("{} min", seconds.div_ceil(60)) }
}

/// A number of thousandths as a percentage.
pub fn tenths(per_mille: u32) -> String {
    format!("{}.{}", per_mille / 10, per_mille % 10)
}

/// What was counted since the share last changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ShiftCounts {
    /// Jobs that both could take, and one of them got.
    pub decided: u64,
    /// Those among them that the successor got.
    pub given: u64,
    /// Jobs that ended at the legacy agent.
    pub legacy: Results,
    /// Jobs that ended at the successor.
    pub successor: Results,
}

/// A shift as the row of its legacy agent has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shift {
    /// How it goes.
    pub terms: Arc<ShiftTerms>,
    /// When it began.
    pub began: At,
    /// The operator who began it.
    pub by: Untrusted,
    /// What it is doing.
    pub stage: ShiftStage,
    /// The step, from 0.
    pub step: u8,
    /// Since when it has this share.
    pub since: At,
    /// Why the successor lost its share, with the numbers; `None` unless they were the reason.
    pub why: Option<Untrusted>,
    /// What was counted since then.
    pub counts: ShiftCounts,
}

/// What follows from what was counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outlook {
    /// The step goes on.
    Waits,
    /// The step is over, and the successor did well.
    Advances,
    /// The successor does worse than it may; the text has the numbers.
    GoesBack(String),
}

impl Shift {
    /// A shift that begins.
    pub fn new(terms: ShiftTerms, at: At, by: Untrusted) -> Self {
        Self {
            terms: Arc::new(terms),
            began: at,
            by,
            stage: ShiftStage::Running,
            step: 0,
            since: at,
            why: None,
            counts: ShiftCounts::default(),
        }
    }

    /// The share of the successor, in per cent.
    pub fn percent(&self) -> u8 {
        match self.stage {
            ShiftStage::Back => 0,
            ShiftStage::Running | ShiftStage::Held | ShiftStage::Complete => {
                self.terms.steps.get(usize::from(self.step)).copied().unwrap_or(100)
            }
        }
    }

    /// The number of steps.
    pub fn steps(&self) -> usize {
        self.terms.steps.len()
    }

    /// `step 2 of 5`, or what it is doing otherwise.
    pub fn place(&self) -> String {
        match self.stage {
            ShiftStage::Running => format!("step {} of {}", self.step + 1, self.steps()),
            ShiftStage::Held => format!("held at step {} of {}", self.step + 1, self.steps()),
            ShiftStage::Back | ShiftStage::Complete => self.stage.as_str().to_owned(),
        }
    }

    /// The same shift at another step or stage, with nothing counted yet.
    #[must_use]
    pub fn at(&self, stage: ShiftStage, step: u8, since: At, why: Option<Untrusted>) -> Self {
        Self { stage, step, since, why, counts: ShiftCounts::default(), ..self.clone() }
    }

    /// True if both are the same but for what was counted.
    pub fn stands_as(&self, other: &Self) -> bool {
        Self { counts: ShiftCounts::default(), ..self.clone() }
            == Self { counts: ShiftCounts::default(), ..other.clone() }
    }

    /// When the step has taken its time.
    pub fn due(&self) -> At {
        self.since + self.terms.time
    }

    /// The time and the jobs that the step still needs.
    pub fn missing(&self, at: At) -> (Duration, u32) {
        let time = self.terms.time.saturating_sub(at.since(self.since));
        (time, self.terms.jobs.saturating_sub(self.counts.successor.ended()))
    }

    /// What is missing for the next step, in words; empty if it does not go on by itself.
    pub fn missing_in_words(&self, at: At) -> String {
        if self.stage != ShiftStage::Running {
            return String::new();
        }
        let (time, jobs) = self.missing(at);
        let next = match self.terms.steps.get(usize::from(self.step) + 1) {
            Some(next) => format!("{next} %"),
            None => "the end".to_owned(),
        };
        let mut needs = Vec::new();
        if time > Duration::ZERO {
            needs.push(rounded_up(time));
        }
        match jobs {
            0 => {}
            1 => needs.push("1 ended job".to_owned()),
            jobs => needs.push(format!("{jobs} ended jobs")),
        }
        if needs.is_empty() {
            return format!("{next} is next");
        }
        format!("{next} after {} more", needs.join(" and "))
    }

    /// What follows from what was counted. Jobs that a step still needs count as successes: one failure among two jobs
    /// says little, three among fifty say that the step cannot end well.
    pub fn outlook(&self, at: At) -> Outlook {
        if !matches!(self.stage, ShiftStage::Running | ShiftStage::Held) {
            return Outlook::Waits;
        }
        let ShiftCounts { legacy, successor, .. } = &self.counts;
        let (of, bad) = (u64::from(successor.ended().max(self.terms.jobs)), u64::from(successor.bad()));
        let good = of - bad;
        if good * 100 < u64::from(self.terms.ok_limit) * of {
            return Outlook::GoesBack(format!(
                "{}, the limit is {} %",
                successor.in_words(),
                self.terms.ok_limit
            ));
        }
        // Fewer results of the legacy agent than a step needs say too little about it.
        let (legacy_of, legacy_ok) = (u64::from(legacy.ended()), u64::from(legacy.ok));
        let compared = legacy_of >= u64::from(self.terms.jobs);
        if compared && (good * 100 + u64::from(BEHIND) * of) * legacy_of <= legacy_ok * 100 * of {
            return Outlook::GoesBack(format!(
                "{}, the legacy agent's {} % of {legacy_of} is {BEHIND} points better or more",
                successor.in_words(),
                tenths(legacy.ok_per_mille().unwrap_or(0)),
            ));
        }
        let (time, jobs) = self.missing(at);
        if self.stage == ShiftStage::Running && time.is_zero() && jobs == 0 {
            return Outlook::Advances;
        }
        Outlook::Waits
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn shift(ok_limit: u8, legacy: (u32, u32), successor: (u32, u32), minutes: u64) -> (Shift, At) {
        let terms = ShiftTerms { ok_limit, ..ShiftTerms::to(AgentId(Uuid::from_u128(2))) };
        let results = |(ok, failed)| Results { ok, failed, ..Results::default() };
        let mut shift = Shift::new(terms, At::ZERO, "mia".into());
        shift.counts.legacy = results(legacy);
        shift.counts.successor = results(successor);
        (shift, At::ZERO + Duration::from_secs(minutes * 60))
    }

    /// Each row: the limit, the results of both as good and bad ones, the minutes of the step, and what follows.
    #[test]
    fn a_step_ends_with_time_and_jobs_and_goes_back_at_either_limit() {
        for (limit, legacy, successor, minutes, expected) in [
            (95, (5000, 10), (49, 0), 60, "waits"),
            (95, (5000, 10), (50, 0), 9, "waits"),
            (95, (5000, 10), (50, 0), 10, "advances"),
            (95, (0, 0), (50, 0), 10, "advances"),
            (95, (5000, 10), (0, 2), 1, "waits"),
            (95, (5000, 10), (48, 2), 10, "advances"),
            (95, (5000, 10), (0, 3), 1, "0.0 % ok of 3, the limit is 95 %"),
            (95, (5000, 10), (190, 11), 60, "94.5 % ok of 201, the limit is 95 %"),
            (
                95,
                (5000, 0),
                (950, 50),
                60,
                "95.0 % ok of 1000, the legacy agent's 100.0 % of 5000 is 5 points better or more",
            ),
            (95, (5000, 0), (951, 49), 60, "advances"),
            (
                50,
                (60, 40),
                (54, 46),
                60,
                "54.0 % ok of 100, the legacy agent's 60.0 % of 100 is 5 points better or more",
            ),
            (
                50,
                (60, 40),
                (55, 45),
                60,
                "55.0 % ok of 100, the legacy agent's 60.0 % of 100 is 5 points better or more",
            ),
            (50, (60, 40), (56, 44), 60, "advances"),
            (50, (49, 0), (30, 20), 60, "advances"),
        ] {
            let (shift, at) = shift(limit, legacy, successor, minutes);
            let found = match shift.outlook(at) {
                Outlook::Waits => "waits".to_owned(),
                Outlook::Advances => "advances".to_owned(),
                Outlook::GoesBack(why) => why,
            };
            assert_eq!(found, expected, "{limit} {legacy:?} {successor:?} {minutes}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        for (successor, minutes, expected) in [
            ((0, 0), 0, "5 % after 10 min and 50 ended jobs more"),
            ((49, 0), 4, "5 % after 6 min and 1 ended job more"),
            ((50, 0), 9, "5 % after 1 min more"),
            ((2, 1), 20, "5 % after 47 ended jobs more"),
            ((50, 0), 10, "5 % is next"),
        ] {
            let (shift, at) = shift(95, (0, 0), successor, minutes);
            assert_eq!(shift.missing_in_words(at), expected);
        }
    }

    #[test]
    fn terms_that_make_no_sense_are_refused() {
        let terms =
            |steps: &[u8]| ShiftTerms { steps: steps.to_vec(), ..ShiftTerms::to(AgentId(Uuid::nil())) };
        for (steps, fine) in [
            (&[1, 5, 25, 50, 100][..], true),
            (&[100], true),
            (&[], false),
            (&[0, 100], false),
            (&[5, 5, 100], false),
            (&[50, 10, 100], false),
            (&[1, 50], false),
            (&[1, 200], false),
        ] {
            assert_eq!(terms(steps).fault().is_none(), fine, "{steps:?}");
        }
        assert!(ShiftTerms { jobs: 0, ..terms(&STEPS) }.fault().is_some());
        assert!(ShiftTerms { ok_limit: 101, ..terms(&STEPS) }.fault().is_some());
    }
}
