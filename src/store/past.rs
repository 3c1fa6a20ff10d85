//! Jobs of a stretch of the past, page by page, with the decisions about them: never more than a row at a time.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::read::{Reader, owner_of};
use super::record::{self, BodyKind};
use super::write::{bodies, owner_key};
use super::{StoreError, sql};
use crate::domain::fact::{Fact, JobFact, JournalEntry, Owner};
use crate::domain::job::Origin;
use crate::domain::route::decision::Decision;
use crate::domain::route::message::MessageFields;
use crate::domain::route::replay::PastJob;
use crate::domain::time::At;

/// Rows that a page reads at most.
const ROWS: i64 = 1000;
/// Rows of a job that are searched for its first decision: one that waited has few before it.
const DECIDED_WITHIN: i64 = 16;
/// Rows of one commit are in no order of time: reading begins so much earlier, which is far more than a commit takes.
const MARGIN: Duration = Duration::from_secs(60);
/// How the fact begins that opens a job: in JSON text it cannot occur elsewhere, as strings contain no bare quotes.
const OPENED: &[u8] = br#"{"what":"job_opened","#;

/// Where a page begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PastPage {
    /// Jobs from this time on.
    pub since: At,
    /// The last row of the page before; `None` for the first page.
    pub after: Option<u64>,
}

/// How far a page came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PastEnd {
    /// Where the next page begins; `None` if this was the last one.
    pub next: Option<u64>,
    /// The part of the stretch that has been read, in per cent.
    pub percent: u8,
}

impl Reader {
    /// The jobs of a page that were sent from here, in the order in which they were written.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn past_jobs(&self, page: PastPage, mut take: impl FnMut(PastJob)) -> Result<PastEnd, StoreError> {
        let first = self.first_row(page.since - MARGIN)?;
        let last: i64 = self.number("SELECT ifnull(max(id), 0) FROM fact")?;
        let after = page.after.and_then(|after| i64::try_from(after).ok()).unwrap_or(first - 1);
        let mut select = self
            .connection()
            .prepare_cached(
                "SELECT id, owner, seq, at, kind, version, body FROM fact WHERE id > ?1 ORDER BY id LIMIT ?2",
            )
            .map_err(sql(self.file()))?;
        let mut rows = select.query(params![after, ROWS]).map_err(sql(self.file()))?;
        let (mut seen, mut at_row) = (0, after);
        while let Some(row) = rows.next().map_err(sql(self.file()))? {
            let of = |error| sql(self.file())(error);
            at_row = row.get(0).map_err(of)?;
            seen += 1;
            let kind = row.get_ref(4).map_err(of)?.as_str().unwrap_or_default();
            let owner = owner_of(row.get_ref(1).map_err(of)?.as_blob().unwrap_or_default());
            let Some(Owner::Job(job)) = owner.filter(|_| matches!(kind, "job_opened" | "bundle")) else {
                continue;
            };
            let body = row.get_ref(6).map_err(of)?.as_str().unwrap_or_default();
            if memchr::memmem::find(body.as_bytes(), OPENED).is_none() {
                continue;
            }
            let (seq, at): (i64, i64) = (row.get(2).map_err(of)?, row.get(3).map_err(of)?);
            let version: i64 = row.get(5).map_err(of)?;
            let facts = facts_of(Owner::Job(job), (seq, at), version, body);
            let opened = facts.iter().find_map(|entry| match &entry.fact {
                Fact::Job(_, JobFact::Opened { origin: Origin::Sent, title, caller, message, plan, .. }) => {
                    Some((entry.at, title.clone(), caller.clone(), message.clone()?, plan.clone()))
                }
                _ => None,
            });
            let Some((opened_at, title, caller, message, plan)) = opened else { continue };
            if opened_at < page.since {
                continue;
            }
            let target = plan.as_ref().map(|plan| plan.target.clone());
            let decision = match decided(&facts) {
                Some(decision) => Some(decision),
                None if target.is_some() => self.first_decision(Owner::Job(job), seq)?,
                None => None,
            };
            take(PastJob {
                id: job,
                at: opened_at,
                title,
                target,
                fields: MessageFields::of(&message, caller.as_ref()),
                decision,
            });
        }
        let span = (last - first + 1).max(1);
        let percent = u8::try_from(((at_row - first + 1).max(0) * 100 / span).min(100)).unwrap_or(100);
        let next = (seen == ROWS).then(|| u64::try_from(at_row).unwrap_or(0));
        Ok(PastEnd { next, percent: if next.is_none() { 100 } else { percent } })
    }

    /// The first row that was written at this time or later. Commits are written in the order of time, so it is found by
    /// halves: there is no index of times.
    fn first_row(&self, since: At) -> Result<i64, StoreError> {
        let mut low: i64 = self.number("SELECT ifnull(min(id), 1) FROM fact")?;
        let mut high: i64 = self.number("SELECT ifnull(max(id), 0) + 1 FROM fact")?;
        let mut select = self
            .connection()
            .prepare_cached("SELECT id, at FROM fact WHERE id >= ?1 ORDER BY id LIMIT 1")
            .map_err(sql(self.file()))?;
        while low < high {
            let middle = low + (high - low) / 2;
            let found: Option<(i64, i64)> = select
                .query_row([middle], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
                .map_err(sql(self.file()))?;
            match found {
                Some((id, at)) if At::from_micros(at) < since => low = id + 1,
                Some(_) | None => high = middle,
            }
        }
        Ok(low)
    }

    /// The first decision about a job that was not made when it was opened.
    fn first_decision(&self, owner: Owner, after: i64) -> Result<Option<Arc<Decision>>, StoreError> {
        let mut select = self
            .connection()
            .prepare_cached(
                "SELECT seq, at, version, body FROM fact WHERE owner = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
            )
            .map_err(sql(self.file()))?;
        let mut rows =
            select.query(params![owner_key(owner), after, DECIDED_WITHIN]).map_err(sql(self.file()))?;
        while let Some(row) = rows.next().map_err(sql(self.file()))? {
            let row = |row: &rusqlite::Row<'_>| -> rusqlite::Result<(i64, i64, i64, String)> {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            }(row);
            let (seq, at, version, body) = row.map_err(sql(self.file()))?;
            if let Some(decision) = decided(&facts_of(owner, (seq, at), version, &body)) {
                return Ok(Some(decision));
            }
        }
        Ok(None)
    }

    fn number(&self, query: &str) -> Result<i64, StoreError> {
        self.connection().query_row(query, [], |row| row.get(0)).map_err(sql(self.file()))
    }
}

/// The facts of a row.
fn facts_of(owner: Owner, (seq, at): (i64, i64), version: i64, body: &str) -> Vec<JournalEntry> {
    let own = (u64::try_from(seq).unwrap_or(0), at);
    let entry = |(place, body): (Option<(u64, i64)>, &str)| {
        let (seq, at) = place.unwrap_or(own);
        let body = record::upcast(BodyKind::Fact, version, body.into());
        JournalEntry::from_body(owner, At::from_micros(at), seq, &body)
    };
    bodies(body).into_iter().filter_map(entry).collect()
}

/// The decision about the first attempt.
fn decided(facts: &[JournalEntry]) -> Option<Arc<Decision>> {
    facts.iter().find_map(|entry| match &entry.fact {
        Fact::Job(_, JobFact::Routed { decision, retry: false }) => Some(decision.clone()),
        _ => None,
    })
}
