//! `metrics`: throughput, success rate and latency, by agent, skill, caller or rule.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::{Global, Metrics, MetricsBy, MetricsWas};
use super::output::{Failure, Printer, table};
use super::session::{Session, Setup, seen};
use super::stored::stored_metrics;
use crate::domain::metrics::{
    Block, Dimension, DimensionValue, Histogram, Minute, MinuteRange, Series, Tally,
};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::time::format_measured;
use crate::engine::{Answer, Query};
use crate::protocol::timestamp;

/// Windows of up to this many minutes are read minute by minute, if a demo made up some of them.
const BY_MINUTE: u32 = 12 * 60;

pub(super) async fn run(global: &Global, args: Metrics, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?.of_open_tasks();
    let (session, snapshot) = seen(&setup, out).await?;
    let minutes = Minute::in_window(args.window).max(1);
    let until = Minute::of(snapshot.at).after(1);
    let from = until.before(minutes);
    let before = match args.was {
        MetricsWas::Hour => 60,
        MetricsWas::Day => 24 * 60,
        MetricsWas::Week => 7 * 24 * 60,
    };
    let mut now = read(&setup, session.as_ref(), MinuteRange::whole(from, until)).await?;
    let mut made_up = now.is_made_up();
    // Minute by minute, what was made up can be left out, as the console does.
    if made_up && minutes <= BY_MINUTE {
        now = read(&setup, session.as_ref(), MinuteRange { from, until, step: 1 }).await?;
        made_up = false;
    }
    let was = read(&setup, session.as_ref(), MinuteRange::whole(from.before(before), until.before(before)));
    let was = was.await?;
    if let Some(session) = session {
        session.close(false).await;
    }
    let by = match args.by {
        MetricsBy::Agent => Dimension::Agent,
        MetricsBy::Skill => Dimension::Skill,
        MetricsBy::Caller => Dimension::Caller,
        MetricsBy::Rule => Dimension::Rule,
    };
    let measured = Measured { from, before, now, was, made_up };
    let name = args.name.as_deref();
    let rows = measured.rows(&snapshot, by, name);
    if out.is_json() {
        out.document(&measured.document(&snapshot, by, name));
    } else if rows.is_empty() {
        out.warn("nothing was measured in this window");
    } else {
        print(by, &rows, out);
        if made_up {
            out.warn("part of this window is made up: it is the past of a demo");
        }
        if measured.was.is_made_up() {
            out.warn("WAS is made up: it is the past of a demo");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Metrics of a window beside those of its baseline.
#[derive(Debug)]
pub struct Measured {
    /// The first minute of the window.
    pub from: Minute,
    /// How many minutes earlier the baseline begins.
    pub before: u32,
    /// Everything of the window.
    pub now: Block,
    /// Everything of the baseline.
    pub was: Block,
    /// True if a demo made up a part of `now`.
    pub made_up: bool,
}

/// An agent, rule, skill or caller: what it is, its name, its live tasks, its results in the window and in the baseline.
type MeasuredRow = (Dimension, String, u32, Tally, Tally);

impl Measured {
    fn rows(&self, snapshot: &Snapshot, by: Dimension, only: Option<&str>) -> Vec<MeasuredRow> {
        let mut rows: BTreeMap<DimensionValue, (Tally, Tally)> = BTreeMap::new();
        for (series, tally) in self.now.iter() {
            rows.entry(by.value_of(series)).or_default().0.merge(tally);
        }
        for (series, tally) in self.was.iter() {
            rows.entry(by.value_of(series)).or_default().1.merge(tally);
        }
        // Calls that do no work belong to agents alone.
        rows.retain(|_, (now, was)| by == Dimension::Agent || now.begun + now.ended() + was.ended() > 0);
        let live = live(snapshot, by);
        let mut rows: Vec<MeasuredRow> = rows
            .into_iter()
            .map(|(who, (now, was))| {
                let live = live.get(&who).copied().unwrap_or(0);
                (what(by, &who), name(snapshot, &who), live, now, was)
            })
            .filter(|(_, name, ..)| only.is_none_or(|only| only == name))
            .collect();
        rows.sort_by(|a, b| (b.3.ended(), &a.1).cmp(&(a.3.ended(), &b.1)));
        rows
    }

    /// The document of `-o json`, of everything or only of what has this name.
    pub fn document(&self, snapshot: &Snapshot, by: Dimension, only: Option<&str>) -> Value {
        let row = |(what, name, live, now, was): &MeasuredRow| {
            let mut row = json!({ "live": live, "now": entry(now), "was": entry(was) });
            // What no rule dispatched is told by skill.
            row[by.word()] = Value::Null;
            row[what.word()] = json!(name);
            row
        };
        json!({
            "by": by.word(),
            "from": timestamp::format_at(self.from.begins()),
            "until": timestamp::format_at(snapshot.at),
            "wasFrom": timestamp::format_at(self.from.before(self.before).begins()),
            "madeUp": self.made_up,
            "wasMadeUp": self.was.is_made_up(),
            "metrics": self.rows(snapshot, by, only).iter().map(row).collect::<Vec<Value>>(),
        })
    }
}

/// The rows as a table.
fn print(by: Dimension, rows: &[MeasuredRow], out: &mut Printer) {
    let lines: Vec<Vec<String>> = rows
        .iter()
        .map(|(what, name, live, now, was)| {
            vec![
                if *what == by { name.clone() } else { format!("{} {name}", what.word()) },
                now.ended().to_string(),
                now.failed.to_string(),
                now.refused.to_string(),
                now.lost.to_string(),
                percent(now),
                percent(was),
                quantile(&now.took, 50),
                quantile(&now.took, 95),
                quantile(&was.took, 95),
                quantile(&now.took, 99),
                quantile(&now.first, 95),
                quantile(&now.between, 95),
                live.to_string(),
                // How many there were at once is counted by agent alone.
                if by == Dimension::Agent { now.live.to_string() } else { "-".to_owned() },
                quantile(&now.answer, 95),
            ]
        })
        .collect();
    let by = by.word().to_uppercase();
    let head = [
        by.as_str(),
        "ENDED",
        "FAILED",
        "REFUSED",
        "LOST",
        "OK%",
        "WAS",
        "P50",
        "P95",
        "WAS",
        "P99",
        "FIRST",
        "BETWEEN",
        "LIVE",
        "MOST",
        "ANSWERS",
    ];
    for line in table(&head, &lines) {
        out.row(&line);
    }
}

async fn read(setup: &Setup, session: Option<&Session>, range: MinuteRange) -> Result<Block, Failure> {
    let blocks = match session {
        Some(session) => match session.handle.query(Query::Metrics(range)).await {
            Ok(Answer::Metrics(blocks)) => blocks,
            Ok(_) => Vec::new(),
            Err(error) => return Err(Failure::new(1, "QUARTERDECK_ERR_STORE", error.to_string())),
        },
        None => stored_metrics(&setup.dir, range)?,
    };
    let mut all = Block::default();
    for (_, block) in blocks.iter().filter(|(_, block)| range.step > 1 || !block.is_made_up()) {
        all.merge(block);
    }
    Ok(all)
}

/// The number of tasks that are live now.
fn live(snapshot: &Snapshot, by: Dimension) -> BTreeMap<DimensionValue, u32> {
    let mut live = BTreeMap::new();
    for (_, attempt) in snapshot.attempts.iter().filter(|(_, attempt)| attempt.is_live()) {
        let (Some(agent), Some(job)) = (snapshot.agents.get(attempt.agent), snapshot.job_of(attempt)) else {
            continue;
        };
        *live.entry(by.value_of(&Series::of_job(agent.id, job))).or_default() += 1;
    }
    live
}

/// What a row is: by rule, what no rule dispatched is told by skill.
fn what(by: Dimension, who: &DimensionValue) -> Dimension {
    match (by, who) {
        (Dimension::Rule, DimensionValue::Named(_)) => Dimension::Skill,
        (by, _) => by,
    }
}

fn name(snapshot: &Snapshot, who: &DimensionValue) -> String {
    match who {
        DimensionValue::Agent(id) => {
            let agent = snapshot.agents.iter().find(|(_, agent)| agent.id == *id);
            agent.map_or_else(|| id.to_string(), |(_, agent)| agent.name.line().into_string())
        }
        DimensionValue::Rule(name) | DimensionValue::Named(Some(name)) => name.line().into_string(),
        DimensionValue::Named(None) => "-".into(),
    }
}

fn percent(tally: &Tally) -> String {
    tally.ok_per_mille().map_or_else(|| "-".into(), |share| format!("{}.{}", share / 10, share % 10))
}

fn quantile(histogram: &Histogram, percent: u8) -> String {
    histogram.percentile(percent).map_or_else(|| "-".into(), format_measured)
}

/// Counts, shares from 0 to 1, and seconds.
fn entry(tally: &Tally) -> Value {
    let quantiles = |histogram: &Histogram| {
        let of = |percent| histogram.percentile(percent).map(|time| time.as_secs_f64());
        json!({ "count": histogram.count(), "p50": of(50), "p95": of(95), "p99": of(99) })
    };
    json!({
        "begun": tally.begun,
        "ended": tally.ended(),
        "ok": tally.ok,
        "failed": tally.failed,
        "refused": tally.refused,
        "lost": tally.lost,
        "canceled": tally.canceled,
        "okShare": tally.ok_per_mille().map(|share| f64::from(share) / 1000.0),
        "mostLive": tally.live,
        "calls": tally.calls,
        "callsFailed": tally.calls_failed,
        "took": quantiles(&tally.took),
        "first": quantiles(&tally.first),
        "between": quantiles(&tally.between),
        "answer": quantiles(&tally.answer),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{AgentId, Rng};
    use crate::domain::time::At;

    /// By rule, a row of what no rule dispatched says that it is a skill.
    #[test]
    fn a_row_is_labelled_as_what_it_is() {
        let agent = AgentId(Rng::new(1).uuid(At::ZERO));
        let series = |skill: &str, rule: Option<&str>| Series {
            agent,
            skill: Some(skill.into()),
            caller: None,
            rule: rule.map(Into::into),
        };
        let mut now = Block::default();
        for series in [series("room", Some("rooms")), series("plan", None)] {
            now.tally(series).ok += 1;
        }
        let measured = Measured { from: Minute(0), before: 60, now, was: Block::default(), made_up: false };
        for (by, expected) in [
            (Dimension::Rule, [json!(["rooms", null]), json!([null, "plan"])]),
            (Dimension::Skill, [json!([null, "plan"]), json!([null, "room"])]),
        ] {
            let document = measured.document(&Snapshot::starting(At::ZERO), by, None);
            let mut rows: Vec<Value> = document["metrics"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|row| json!([row["rule"], row["skill"]]))
                .collect();
            rows.sort_by_key(|row| row[1].as_str().map(str::to_owned));
            let mut expected = expected.to_vec();
            expected.sort_by_key(|row| row[1].as_str().map(str::to_owned));
            assert_eq!(rows, expected, "{by:?}");
        }
    }
}
