//! How many problems there are: one count for every surface.

use crate::domain::problem::{Problem, Severity};

/// The number of problems that are not over. Each is counted once, in one of the three.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ProblemCounts {
    /// Those that do or may do harm, and are not muted.
    pub problems: u32,
    /// Those that only inform, and are not muted.
    pub notices: u32,
    /// Those that an operator muted.
    pub muted: u32,
    /// The highest severity of those that are not muted; `None` if there are none.
    pub worst: Option<Severity>,
}

impl ProblemCounts {
    /// Counts problems; those that are over count nowhere.
    pub fn of<'p>(problems: impl Iterator<Item = &'p Problem>) -> Self {
        let mut counts = Self::default();
        for problem in problems.filter(|problem| problem.cleared.is_none()) {
            let severity = problem.severity();
            match (&problem.muted, severity) {
                (Some(_), _) => counts.muted += 1,
                (None, Severity::Info) => counts.notices += 1,
                (None, Severity::Warn | Severity::Bad) => counts.problems += 1,
            }
            if problem.muted.is_none() {
                counts.worst = counts.worst.max(Some(severity));
            }
        }
        counts
    }

    /// `2 problems · 16 notices · 1 muted`; the first is always there.
    pub fn words(&self) -> String {
        let Self { problems, notices, muted, .. } = *self;
        let mut words = format!("{problems} {}", if problems == 1 { "problem" } else { "problems" });
        if notices > 0 {
            words += &format!(" · {}", self.notice_words());
        }
        if muted > 0 {
            words += &format!(" · {muted} muted");
        }
        words
    }
    /// `16 notices`
    pub fn notice_words(&self) -> String {
        format!("{} {}", self.notices, if self.notices == 1 { "notice" } else { "notices" })
    }
}
