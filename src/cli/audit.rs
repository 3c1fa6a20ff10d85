//! `audit`: who did what; whether the records hold; an export of them.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::args::Global;
use super::output::{Failure, Printer, table};
use super::send::find_task;
use super::session::{Setup, find_agent, seen};
use super::stored::store_failure;
use super::uncertain::attempt_named;
use crate::config::units;
use crate::domain::audit::page::{AuditEntry, AuditFilter, AuditPage, Head, Verification};
use crate::domain::audit::{ActOutcome, Surface, owner_words};
use crate::domain::fact::Owner;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::engine::{Answer, Query};
use crate::net::clock::Clock;
use crate::protocol::timestamp;
use crate::store::Reader;
use crate::store::audit::AuditRow;
use crate::store::audit::verify::{Exported, verify};
use crate::store::record::Record;

/// Records that are read at once.
const PAGE: usize = 500;

/// `audit`
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  quarterdeck audit --since 7d --who mia
  quarterdeck audit --agent cashier-2 --intent cordon
  quarterdeck audit verify --head 1042:9f3c…
  quarterdeck audit export audit.jsonl")]
pub struct Audit {
    #[command(subcommand)]
    pub command: Option<AuditCommand>,
    /// How far back to look.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = units::duration)]
    pub since: Duration,
    /// Only acts of this operator.
    #[arg(long, value_name = "NAME")]
    pub who: Option<String>,
    /// Only acts from this surface.
    #[arg(long, value_name = "SURFACE", value_parser = ["console", "cli", "socket", "engine"])]
    pub surface: Option<String>,
    /// Only acts of this kind, such as cancel, cordon or send.
    #[arg(long, value_name = "INTENT")]
    pub intent: Option<String>,
    /// Only acts on this agent and on its tasks.
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// Only acts on this job: its id, or the id of one of its attempts or of a task.
    #[arg(long, value_name = "REF")]
    pub job: Option<String>,
    /// Only acts that were refused or withdrawn.
    #[arg(long)]
    pub failed: bool,
    /// Maximum number of records, newest first.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
}

/// `audit …`
#[derive(Subcommand, Debug)]
pub enum AuditCommand {
    /// Verify that no record was changed, removed or inserted; exits with 1 if one was.
    Verify {
        /// Head that was kept elsewhere: shows whether the end of the audit was cut off.
        #[arg(long, value_name = "HEAD", value_parser = head)]
        head: Option<Head>,
        /// Verify an export instead of the fleet's data.
        #[arg(long, value_name = "FILE")]
        file: Option<std::path::PathBuf>,
    },
    /// Write every record to a new file as JSON Lines, and print the head to keep elsewhere.
    Export {
        /// File, or - for standard output.
        #[arg(value_name = "FILE|-")]
        file: String,
    },
}

fn head(text: &str) -> Result<Head, String> {
    text.parse()
        .map_err(|()| "write the head as `audit verify` prints it: a number, a colon and 64 digits".into())
}

pub(super) async fn run(global: &Global, args: Audit, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?;
    match args.command {
        None => list(&if args.job.is_none() { setup.of_open_tasks() } else { setup }, &args, out).await,
        Some(AuditCommand::Verify { head, file: None }) => {
            let reader = reader(&setup)?;
            let found = reader.map(|reader| reader.verify_audit(head)).transpose();
            let found = found.map_err(|error| store_failure(&error))?.unwrap_or_default();
            Ok(print_verification(&found, out))
        }
        Some(AuditCommand::Verify { head, file: Some(file) }) => {
            let rows = exported(&file)?;
            let Ok(found) = verify(&rows, head);
            Ok(print_verification(&found, out))
        }
        Some(AuditCommand::Export { file }) => export(&setup, &file, out),
    }
}

/// The journal is read beside its engine: a verification trusts no other process.
fn reader(setup: &Setup) -> Result<Option<Reader>, Failure> {
    Reader::open(&setup.dir).map_err(|error| store_failure(&error))
}

async fn list(setup: &Setup, args: &Audit, out: &mut Printer) -> Result<ExitCode, Failure> {
    let (session, snapshot) = seen(setup, out).await?;
    let reader = if session.is_none() { reader(setup)? } else { None };
    let now = if snapshot.at == At::ZERO { Clock::start().now() } else { snapshot.at };
    let filter = filter(&snapshot, args, now)?;
    let (mut entries, mut before) = (Vec::new(), None);
    let more = loop {
        let limit = PAGE.min(args.limit - entries.len());
        let page = match (&session, &reader) {
            (Some(session), _) => {
                let query = Query::Audit { filter: Box::new(filter.clone()), before, limit };
                match session.handle.query(query).await {
                    Ok(Answer::Audit(page)) => page,
                    Ok(_) => return Err(Failure::internal("the engine answered something else")),
                    Err(error) => return Err(Failure::internal(error.to_string())),
                }
            }
            (None, Some(reader)) => {
                reader.audit(&filter, before, limit).map_err(|error| store_failure(&error))?
            }
            (None, None) => AuditPage::default(),
        };
        entries.extend(page.entries);
        before = page.next;
        if before.is_none() || entries.len() >= args.limit {
            break before.is_some();
        }
    };
    print(&snapshot, &entries, out);
    if more {
        out.warn(format!("the newest {} are shown; --limit and --since show others", entries.len()));
    }
    if let Some(session) = session {
        session.close(false).await;
    }
    Ok(ExitCode::SUCCESS)
}

fn filter(snapshot: &Snapshot, args: &Audit, now: At) -> Result<AuditFilter, Failure> {
    let agent = args.agent.as_deref().map(|name| (name, find_agent(snapshot, name)));
    let (agent, about) = match agent {
        Some((_, Some((_, agent)))) => (Some(agent.id), None),
        // One that has left is known by its name in the records alone.
        Some((name, None)) => match name.parse() {
            Ok(id) => (Some(id), None),
            Err(_) => (None, Some(Untrusted::from(name))),
        },
        None => (None, None),
    };
    let job = args.job.as_deref().map(|wanted| {
        let named = attempt_named(snapshot, wanted);
        let named = named.or_else(|| find_task(snapshot, None, wanted).map(|(_, attempt)| attempt.id));
        let attempt = named.and_then(|id| snapshot.attempts.iter().find(|(_, attempt)| attempt.id == id));
        let job = attempt.and_then(|(_, attempt)| snapshot.job_of(attempt)).map(|job| job.id);
        // A job that is no longer kept is named by its id.
        job.or_else(|| wanted.parse().ok()).ok_or_else(|| {
            Failure::usage(format!("there is no job {wanted}"))
                .hint("name a job that is no longer kept by its whole id, as `audit -o json` prints it")
        })
    });
    Ok(AuditFilter {
        who: args.who.as_deref().map(Untrusted::from),
        surface: args.surface.as_deref().and_then(|surface| surface.parse::<Surface>().ok()),
        intent: args.intent.as_deref().map(Untrusted::from),
        about,
        agent,
        job: job.transpose()?,
        task: None,
        since: Some(now - args.since),
        failed: args.failed,
    })
}

/// A record as JSON.
pub fn entry_json(entry: &AuditEntry) -> Value {
    let AuditEntry { number: _, seq, hash, record } = entry;
    let line = |text: &Untrusted| text.line().to_string();
    let because = match &record.outcome {
        ActOutcome::Refused(because) => Some(line(because)),
        ActOutcome::Accepted | ActOutcome::Withdrawn => None,
    };
    json!({
        "owner": owner_words(record.owner),
        "seq": seq,
        "at": timestamp::format_at(record.at),
        "who": line(&record.who),
        "claimed": record.is_claimed(),
        "uid": record.peer,
        "surface": record.surface.as_str(),
        "intent": Untrusted::from(&*record.intent).line().to_string(),
        "target": line(&record.target.words),
        "job": record.target.job.map(|id| id.to_string()),
        "attempt": record.target.attempt.map(|id| id.to_string()),
        "taskId": record.target.task.as_ref().map(|id| Untrusted::from(&*id.raw()).line().to_string()),
        "agent": record.target.agent.map(|id| id.to_string()),
        "problem": record.target.problem.map(|number| format!("p-{number}")),
        "why": record.why.as_ref().map(line),
        "bulk": (record.bulk > 1).then_some(record.bulk),
        "outcome": record.outcome.word(),
        "because": because,
        "hash": hash.to_string(),
    })
}

fn print(snapshot: &Snapshot, entries: &[AuditEntry], out: &mut Printer) {
    if out.is_json() {
        let audit: Vec<Value> = entries.iter().map(entry_json).collect();
        return out.document(&json!({ "audit": audit }));
    }
    if entries.is_empty() {
        let none =
            if snapshot.at == At::ZERO { "nothing was done yet" } else { "nothing was done that fits" };
        return out.warn(format!("{none}; --since looks further back"));
    }
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    for line in table(&["AT", "WHO", "SURFACE", "DID", "TARGET", "WHY", "OUTCOME"], &rows) {
        out.row(&line);
    }
    if entries.iter().any(|entry| entry.record.is_claimed()) {
        out.warn("names marked with ? were claimed over the control socket and are not proven");
    }
}

fn row(entry: &AuditEntry) -> Vec<String> {
    let record = &entry.record;
    let claimed = if record.is_claimed() { "?" } else { "" };
    let bulk = if record.bulk > 1 { format!(" (1 of {})", record.bulk) } else { String::new() };
    vec![
        timestamp::format_at(record.at),
        format!("{}{claimed}", record.who.line()),
        record.surface.as_str().to_owned(),
        Untrusted::from(&*record.intent).line().into_string(),
        format!("{}{bulk}", record.target.words.line()),
        record.why.as_ref().map(|why| why.line().into_string()).unwrap_or_default(),
        record.outcome.in_words(),
    ]
}

fn print_verification(found: &Verification, out: &mut Printer) -> ExitCode {
    let code = if found.broken.is_some() { ExitCode::from(1) } else { ExitCode::SUCCESS };
    if out.is_json() {
        let broken = found.broken.as_ref().map(|broken| {
            let (owner, what) = (broken.owner.line().to_string(), broken.what.line().to_string());
            json!({ "owner": owner, "seq": broken.seq, "what": what })
        });
        out.document(&json!({
            "ok": found.broken.is_none(),
            "rows": found.rows,
            "chains": found.owners,
            "seals": found.seals,
            "prunedUntil": found.pruned_until.map(timestamp::format_at),
            "head": found.head.map(|head| head.to_string()),
            "broken": broken,
        }));
        return code;
    }
    match &found.broken {
        Some(broken) => {
            out.field("Broken", format!("{} row {}", broken.owner.line(), broken.seq));
            out.field("What", broken.what.clone());
            out.warn("the audit does not hold; keep a copy of the data folder, and compare it with an export or a backup");
        }
        None if found.rows == 0 => out.warn("nothing was recorded yet"),
        None => {
            out.field(
                "Holds",
                format!("rows {}, chains {}, seals {}", found.rows, found.owners, found.seals),
            );
            if let Some(until) = found.pruned_until {
                out.field(
                    "Since",
                    format!("{}; retention removed what was older", timestamp::format_at(until)),
                );
            }
            if let Some(head) = found.head {
                out.field("Head", head.to_string());
                out.warn("keep the head elsewhere: `quarterdeck audit verify --head HEAD` then shows whether the end was cut off");
            }
        }
    }
    code
}

/// Writes every row as it is stored.
fn export(setup: &Setup, file: &str, out: &mut Printer) -> Result<ExitCode, Failure> {
    let fault = |error: std::io::Error| {
        Failure::internal(format!("{} cannot be written: {error}", Untrusted::from(file)))
    };
    let reader = reader(setup)?;
    let mut target = match file {
        "-" => None,
        path => {
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            Some(BufWriter::new(
                made.map_err(|error| fault(error).hint("name a file that does not exist yet"))?,
            ))
        }
    };
    let (mut head, mut rows, mut failed) = (None, 0_u64, None);
    let read = reader.map(|reader| {
        reader.export_audit(&mut |row| {
            if row.owner == Owner::Fleet {
                head = Some(Head { seq: row.seq, hash: row.hash });
            }
            rows += 1;
            let line = row.put();
            match &mut target {
                Some(target) => failed = writeln!(target, "{line}").err(),
                None => out.plain(&format!("{line}\n")),
            }
            failed.is_none()
        })
    });
    read.transpose().map_err(|error| store_failure(&error))?;
    if let Some(error) = failed.or_else(|| target.and_then(|mut target| target.flush().err())) {
        return Err(fault(error));
    }
    let head = head.map(|head| head.to_string());
    if file == "-" {
        out.warn(format!("{rows} rows; head: {}", head.as_deref().unwrap_or("none yet")));
    } else if out.is_json() {
        out.document(&json!({ "file": file, "rows": rows, "head": head }));
    } else {
        out.field("Rows", rows.to_string());
        out.field("Head", head.unwrap_or_else(|| "none yet".into()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The rows of an export.
fn exported(file: &Path) -> Result<Exported, Failure> {
    let name = Untrusted::from(file.display().to_string());
    let open = File::open(file).map_err(|error| Failure::usage(format!("{name} cannot be read: {error}")))?;
    let mut rows = Exported::default();
    for (at, line) in BufReader::new(open).lines().enumerate() {
        let line = line.map_err(|error| Failure::usage(format!("{name} cannot be read: {error}")))?;
        let fault = |what: &str| Failure::usage(format!("{name} line {}: {what}", at + 1));
        let row = AuditRow::get(&line).ok_or_else(|| fault("this is no row of an export"))?;
        if !rows.add(row) {
            return Err(fault("this row is there twice"));
        }
    }
    Ok(rows)
}
