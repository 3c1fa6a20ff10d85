//! `logs`: what agents logged.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::args::Global;
use super::output::{Failure, Printer};
use super::session::{Session, Setup, seen};
use crate::config::units;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::domain::trace::TraceId;
use crate::engine::telemetry::answer_stored;
use crate::net::clock::Clock;
use crate::protocol::timestamp;
use crate::shutdown;
use crate::telemetry::model::Severity;
use crate::telemetry::otlp::to_json;
use crate::telemetry::query::{LogFilter, LogRow, TelemetryAnswer, TelemetryQuery};

/// How often a follower asks for new records.
const EVERY: Duration = Duration::from_millis(500);

/// `logs`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  quarterdeck logs --agent ledger-1 --severity warn
  quarterdeck logs --text 'no answer' --since 1d
  quarterdeck logs --follow -o json")]
pub struct Logs {
    /// How far back to look.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = units::duration)]
    pub since: Duration,
    /// Only records of this service.
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// Only records at least this severe.
    #[arg(long, value_enum)]
    pub severity: Option<AtLeast>,
    /// Only records of this trace: its id, or a traceparent.
    #[arg(long, value_name = "TRACE", value_parser = trace)]
    pub trace: Option<TraceId>,
    /// Only records whose text contains this, in any case.
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    /// Maximum number of records, counted from the newest.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub limit: usize,
    /// Wait for new records, until interrupted.
    #[arg(long, short = 'f')]
    pub follow: bool,
    /// Print the records as OTLP in JSON, which other tools read.
    #[arg(long)]
    pub otlp: bool,
}

/// The least severity.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum AtLeast {
    /// Everything.
    Trace,
    /// What those who write the program want to know, and more severe.
    Debug,
    /// What those who run it want to know, and more severe.
    Info,
    /// Warnings and more severe.
    Warn,
    /// Errors and more severe.
    Error,
    /// What ends the program.
    Fatal,
}

impl From<AtLeast> for Severity {
    fn from(least: AtLeast) -> Self {
        match least {
            AtLeast::Trace => Self::Trace,
            AtLeast::Debug => Self::Debug,
            AtLeast::Info => Self::Info,
            AtLeast::Warn => Self::Warn,
            AtLeast::Error => Self::Error,
            AtLeast::Fatal => Self::Fatal,
        }
    }
}

fn trace(text: &str) -> Result<TraceId, String> {
    let named = crate::domain::trace::named(text);
    named.map(|(trace, _)| trace).ok_or_else(|| "write the 32 digits of a trace, or a traceparent".to_owned())
}

pub(super) async fn run(global: &Global, args: Logs, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?.of_open_tasks();
    let (session, snapshot) = seen(&setup, out).await?;
    if args.follow && session.is_none() {
        return Err(Failure::usage("nothing is received: no engine runs")
            .hint("start a console or quarterdeck serve, or leave --follow out"));
    }
    let now = if snapshot.at == At::ZERO { Clock::start().now() } else { snapshot.at };
    let mut filter = LogFilter {
        since: Some(now - args.since),
        service: args.agent.as_deref().map(Untrusted::from),
        severity: args.severity.map(Severity::from).unwrap_or_default(),
        trace: args.trace,
        text: args.text.as_deref().map(Untrusted::from),
        limit: args.limit,
        ..LogFilter::default()
    };
    let mut rows = read(&setup, session.as_ref(), &snapshot, &filter).await?;
    if rows.is_empty() && !args.follow && !out.is_json() {
        out.warn("no log records; a longer --since may have some, and agents send them to OTEL_EXPORTER_OTLP_ENDPOINT");
    }
    loop {
        // The newest were asked for, and the oldest are printed first.
        rows.reverse();
        filter.after = rows.last().map(|row| row.number).or(filter.after);
        print(&rows, args.otlp, out);
        if !args.follow || shutdown::reason().is_some() {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = shutdown::requested() => break,
        }
        rows = read(&setup, session.as_ref(), &snapshot, &filter).await?;
    }
    if let Some(session) = session {
        session.close(false).await;
    }
    Ok(ExitCode::SUCCESS)
}

async fn read(
    setup: &Setup,
    session: Option<&Session>,
    snapshot: &Snapshot,
    filter: &LogFilter,
) -> Result<Vec<LogRow>, Failure> {
    let query = TelemetryQuery::Logs(filter.clone());
    let answer = match session {
        Some(session) => session.handle.telemetry(query).await,
        None => answer_stored(&setup.dir, snapshot, &query),
    };
    match answer {
        Ok(TelemetryAnswer::Logs(rows)) => Ok(rows),
        Ok(_) => Err(Failure::internal("the engine answered something else")),
        Err(error) => Err(Failure::new(1, "QUARTERDECK_ERR_STORE", error.to_string())),
    }
}

fn print(rows: &[LogRow], as_otlp: bool, out: &mut Printer) {
    if as_otlp {
        if !rows.is_empty() {
            let records: Vec<_> = rows.iter().map(|row| row.record.clone()).collect();
            out.line(&to_json::logs(&records));
        }
        return;
    }
    for LogRow { record, .. } in rows {
        let (service, body) = (record.resource.service(), record.body.text());
        if out.is_json() {
            let attributes =
                record.attributes.iter().map(|of| (of.key.line().into_string(), of.value.json()));
            out.line(&json!({
                "at": timestamp::format_at(record.at.at()),
                "severity": record.severity.as_str(),
                "agent": service.line().into_string(),
                "body": record.body.json(),
                "traceId": record.trace.map(|trace| trace.to_string()),
                "spanId": record.span.map(|span| span.to_string()),
                "attributes": Value::Object(attributes.collect()),
            }));
        } else {
            let severity = record.severity.as_str();
            let severity = if record.severity >= Severity::Error {
                severity.to_uppercase()
            } else {
                severity.to_owned()
            };
            let line =
                format!("{} {severity:<11} {service}  {}", timestamp::format_at(record.at.at()), body.line());
            out.row(&Untrusted::from(line).line());
        }
    }
}
