//! `route check`: what is wrong with rules, what they would change, and what they would have done to the jobs of the past.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::args::Global;
use super::output::{Failure, Printer, table};
use super::reload;
use super::route::{ask, name_of, open, revision};
use super::session::{Session, Setup};
use crate::config::units;
use crate::domain::id::AgentId;
use crate::domain::route::Rules;
use crate::domain::route::difference::differences;
use crate::domain::route::replay::{Differing, Goes, LISTED, Replay};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::engine::{Answer, Query};
use crate::net::clock::Clock;
use crate::protocol::timestamp;

/// `route check`
#[derive(Args, Debug)]
#[command(after_help = "\
The configuration file is loaded as soon as it is saved. To look first, write the changed rules to another file, check
that one, and then rename it over the configuration. FILE is a configuration, or its [[fleet.NAME.routes]] alone.

--replay asks both the rules in force and those of FILE about each job of the past, with the candidates as they were
recorded. Where a balance chooses by turns or by drawing, a job that might go elsewhere is counted as by chance.

Examples:
  quarterdeck route check
  quarterdeck route check next.toml
  quarterdeck route check next.toml --replay --since 7d --list 20")]
pub struct Check {
    /// The file with the changed rules [default: the configuration file].
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Show which jobs of the past would have gone elsewhere.
    #[arg(long)]
    pub replay: bool,
    /// How far back to look.
    #[arg(long, value_name = "DURATION", value_parser = units::duration, default_value = "24h", requires = "replay")]
    pub since: Duration,
    /// List so many of the jobs that would go another way, oldest first, at most 1000.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "replay")]
    pub list: usize,
}

pub(super) async fn run(global: &Global, args: Check, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?.of_open_tasks();
    let file = args.file.as_ref().map(|file| std::path::absolute(file).unwrap_or_else(|_| file.clone()));
    let rules = match &file {
        None => setup.fleet.routes.clone().into(),
        Some(file) => reload::rules_of(file, &setup.name).map_err(Failure::from_faults)?,
    };
    let session = open(&setup).await?;
    let result = check(&session, &setup, &args, (file, rules), out).await;
    session.close(false).await;
    result
}

/// What was found about one rule.
type Finding = (String, String);

async fn check(
    session: &Session,
    setup: &Setup,
    args: &Check,
    (file, rules): (Option<PathBuf>, Arc<Rules>),
    out: &mut Printer,
) -> Result<ExitCode, Failure> {
    let findings = findings(&session.handle.snapshot(), &rules);
    let loaded = ask(session, None).await?.revision;
    let named: Option<Arc<str>> = file.as_ref().map(|file| file.display().to_string().into());
    let differs = match session.handle.query(Query::RulesFile { file: named.clone() }).await {
        Ok(Answer::RulesFile(read)) if read.fault.is_none() => read.differences,
        // An engine without a configuration file has the rules of this command.
        _ => differences(&setup.fleet.routes, &rules),
    };
    let replayed = if args.replay { Some(replay(session, named, args, out).await?) } else { None };
    let snapshot = session.handle.snapshot();
    if out.is_json() {
        let rows: Vec<_> =
            findings.iter().map(|(rule, what)| json!({"rule": rule, "finding": what})).collect();
        let differs: Vec<_> = differs.iter().map(|line| line.line().to_string()).collect();
        out.document(&json!({
            "revision": revision(rules.revision),
            "loaded": revision(loaded),
            "rules": rules.rules.len(),
            "findings": rows,
            "differences": differs,
            "replay": replayed.as_ref().map(|replay| replay_json(replay, &snapshot, args.since)),
        }));
    } else {
        for (rule, what) in &findings {
            out.field(&format!("Rule {rule}"), what.as_str());
        }
        for line in &differs {
            out.field("Differs", line.line().into_string());
        }
        if file.is_none() && loaded != rules.revision {
            out.warn("the running engine has other rules than the file: it has not read it yet");
        }
        out.warn(match (rules.rules.len(), findings.len()) {
            (0, _) => "this fleet has no routes".to_owned(),
            (count, 0) => format!("{count} rules, nothing found"),
            (count, 1) => format!("{count} rules, 1 finding"),
            (count, many) => format!("{count} rules, {many} findings"),
        });
        if let Some(replay) = &replayed {
            print(replay, &snapshot, args.since, out);
        }
    }
    // A replay is an answer, whatever it shows.
    let fine = findings.is_empty() || args.replay;
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Rules that can never decide, and rules whose agents do not exist. Faults of the file itself were found when it was
/// read.
fn findings(snapshot: &Snapshot, rules: &Rules) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in &rules.rules {
        if let Some(earlier) = rules.shadow(rule) {
            let what = format!("can never decide: rule {} takes all of its messages", earlier.name);
            findings.push((rule.name.to_string(), what));
        }
        for selector in rule.stages() {
            if !snapshot.agents.iter().any(|(_, agent)| agent.listed && selector.names(agent)) {
                let what = format!("no agent of the fleet {}", selector.wanted());
                findings.push((rule.name.to_string(), what));
            }
        }
    }
    findings
}

/// Reads the past page by page.
async fn replay(
    session: &Session,
    file: Option<Arc<str>>,
    args: &Check,
    out: &mut Printer,
) -> Result<Replay, Failure> {
    let since: At = Clock::start().now() - args.since;
    let listed = args.list.min(LISTED);
    let (mut all, mut after) = (Replay::default(), None);
    loop {
        let query = Query::Replay { file: file.clone(), since, after, listed };
        let page = match session.handle.query(query).await {
            Ok(Answer::Replayed(page)) => *page,
            Ok(_) => return Err(Failure::internal("the engine answered something else")),
            Err(error) => return Err(Failure::internal(error.to_string())),
        };
        all.merge(page.replay, listed);
        out.progress(format!("{} jobs, {} % of the past", all.changes.all() + all.by_name, page.percent));
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

fn named(replay: &Replay, snapshot: &Snapshot, id: AgentId) -> String {
    let known = replay.names.iter().find(|(known, _)| *known == id).map(|(_, name)| name.clone());
    known.unwrap_or_else(|| name_of(snapshot, id)).line().into_string()
}

fn goes(replay: &Replay, snapshot: &Snapshot, goes: &Goes) -> String {
    match goes {
        Goes::To(agent) => named(replay, snapshot, *agent),
        Goes::OneOf(agents) => {
            let names: Vec<String> = agents.iter().map(|id| named(replay, snapshot, *id)).collect();
            format!("one of {}", names.join(", "))
        }
        Goes::Waits => "the queue".to_owned(),
        Goes::Nowhere => "nobody".to_owned(),
    }
}

fn print(replay: &Replay, snapshot: &Snapshot, since: Duration, out: &mut Printer) {
    let changes = &replay.changes;
    let ways: Vec<Vec<String>> = replay
        .ways
        .iter()
        .map(|way| {
            vec![way.jobs.to_string(), goes(replay, snapshot, &way.from), goes(replay, snapshot, &way.to)]
        })
        .collect();
    if !ways.is_empty() {
        for line in table(&["JOBS", "FROM", "TO"], &ways) {
            out.row(&line);
        }
    }
    let rules: Vec<Vec<String>> = replay
        .rules
        .iter()
        .map(|of| {
            let changes = &of.changes;
            let counts = [
                changes.all(),
                changes.same,
                changes.by_chance,
                changes.elsewhere,
                changes.waits,
                changes.nowhere,
            ];
            let name = of.rule.as_deref().unwrap_or("none");
            std::iter::once(Untrusted::from(name).line().into_string())
                .chain(counts.map(|count| count.to_string()))
                .collect()
        })
        .collect();
    if !rules.is_empty() {
        for line in
            table(&["RULE NOW", "JOBS", "SAME", "BY CHANCE", "ELSEWHERE", "WAITS", "TO NOBODY"], &rules)
        {
            out.row(&line);
        }
    }
    if !replay.differing.is_empty() {
        let rows: Vec<Vec<String>> =
            replay.differing.iter().map(|job| cells(replay, snapshot, job)).collect();
        for line in table(&["AT", "JOB", "RULE NOW", "RULE THEN", "FROM", "TO", "TITLE"], &rows) {
            out.row(&line);
        }
    }
    if replay.unrecorded > 0 {
        out.warn(format!(
            "for {} jobs some candidates are not in the record: they were taken as they are now",
            replay.unrecorded
        ));
    }
    let hours = since.as_secs() / 3600;
    let window = if hours > 0 && since.as_secs().is_multiple_of(3600) {
        format!("{hours} h")
    } else {
        crate::domain::time::format_duration(since)
    };
    out.warn(format!(
        "{} jobs of the last {window} again: {} would go elsewhere, {} to nobody, {} would wait; {} the same, {} by \
         chance; {} were sent by name",
        changes.all(),
        changes.elsewhere,
        changes.nowhere,
        changes.waits,
        changes.same,
        changes.by_chance,
        replay.by_name,
    ));
}

fn cells(replay: &Replay, snapshot: &Snapshot, job: &Differing) -> Vec<String> {
    let rule =
        |name: &Option<Arc<str>>| Untrusted::from(name.as_deref().unwrap_or("none")).line().into_string();
    vec![
        timestamp::format_at(job.at),
        job.job.short(),
        rule(&job.rule),
        rule(&job.by),
        goes(replay, snapshot, &job.from),
        goes(replay, snapshot, &job.to),
        job.title.line().fit(40),
    ]
}

fn replay_json(replay: &Replay, snapshot: &Snapshot, since: Duration) -> Value {
    let to = |way: &Goes| {
        let names = |ids: &[AgentId]| ids.iter().map(|id| named(replay, snapshot, *id)).collect::<Vec<_>>();
        match way {
            Goes::To(agent) => json!({"agent": named(replay, snapshot, *agent)}),
            Goes::OneOf(agents) => json!({"oneOf": names(agents)}),
            Goes::Waits => json!({"waits": true}),
            Goes::Nowhere => json!({"nobody": true}),
        }
    };
    let counts = |changes: &crate::domain::route::replay::Changes| {
        json!({
            "jobs": changes.all(),
            "same": changes.same,
            "byChance": changes.by_chance,
            "elsewhere": changes.elsewhere,
            "waits": changes.waits,
            "toNobody": changes.nowhere,
        })
    };
    let ways: Vec<_> = replay
        .ways
        .iter()
        .map(|way| json!({"from": to(&way.from), "to": to(&way.to), "jobs": way.jobs}))
        .collect();
    let rules: Vec<_> = replay
        .rules
        .iter()
        .map(|of| {
            let mut value = counts(&of.changes);
            value["rule"] = json!(of.rule);
            value
        })
        .collect();
    let differing: Vec<_> = replay
        .differing
        .iter()
        .map(|job| {
            json!({
                "job": job.job.to_string(),
                "at": timestamp::format_at(job.at),
                "title": job.title.line().to_string(),
                "rule": job.rule,
                "ruleThen": job.by,
                "from": to(&job.from),
                "to": to(&job.to),
                "change": job.change.as_str(),
            })
        })
        .collect();
    let mut value = counts(&replay.changes);
    value["sinceSeconds"] = json!(since.as_secs());
    value["byName"] = json!(replay.by_name);
    value["unrecorded"] = json!(replay.unrecorded);
    value["ways"] = Value::Array(ways);
    value["otherWays"] = json!(replay.other_ways);
    value["byRule"] = Value::Array(rules);
    value["differing"] = Value::Array(differing);
    value
}
