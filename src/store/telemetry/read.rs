//! Reading traces and records back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::write::stored;
use super::{SERVICE, open_to_read, telemetry_path};
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::domain::trace::TraceId;
use crate::store::{StoreError, sql};
use crate::telemetry::convention;
use crate::telemetry::model::{Severity, UnixNanos};
use crate::telemetry::otlp::decode;
use crate::telemetry::otlp::split::{self, place_of};
use crate::telemetry::query::{LogFilter, LogRow, TraceFilter, TraceOrder, TraceRow, TraceSpans};

/// The most rows that one question gets.
const ROWS: usize = 10_000;

/// A reader of its own connection, which sees what is committed.
#[derive(Debug)]
pub struct TelemetryReader {
    connection: Connection,
    file: PathBuf,
}

impl TelemetryReader {
    /// Opens the store of a data folder; `None` if nothing was ever received.
    ///
    /// # Errors
    /// The file cannot be used, or a newer version wrote it.
    pub fn open(dir: &Path) -> Result<Option<Self>, StoreError> {
        let file = telemetry_path(dir);
        Ok(open_to_read(&file)?.map(|connection| Self { connection, file }))
    }

    /// Traces that fit a filter, in its order.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn traces(&self, filter: &TraceFilter) -> Result<Vec<TraceRow>, StoreError> {
        let Some(conditions) = Conditions::of_traces(filter) else { return Ok(Vec::new()) };
        let order = match filter.order {
            TraceOrder::Newest => "start DESC",
            TraceOrder::Slowest => "took DESC",
            TraceOrder::Failing => "errors DESC, start DESC",
        };
        let text = format!(
            "SELECT number, id, start, took, received, name, service, spans, errors, dropped FROM trace
             WHERE {} ORDER BY {order} LIMIT {}",
            conditions.text(),
            filter.limit.min(ROWS)
        );
        let read = || -> rusqlite::Result<Vec<TraceRow>> {
            let rows = self
                .connection
                .prepare_cached(&text)?
                .query_map(params_from_iter(&conditions.values), trace_row)?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            rows.into_iter().map(|(number, row)| self.with_values(number, row)).collect()
        };
        read().map_err(sql(&self.file))
    }

    /// Adds the services and tasks of a trace.
    fn with_values(&self, number: i64, mut row: TraceRow) -> rusqlite::Result<TraceRow> {
        let mut values = self.connection.prepare_cached(
            "SELECT key, value FROM value WHERE trace = ?1 AND key IN (?2, ?3) ORDER BY value",
        )?;
        let task = place_of(convention::A2A_TASK);
        let mut values = values.query((number, SERVICE, task))?;
        while let Some(found) = values.next()? {
            let (key, value): (u8, String) = (found.get(0)?, found.get(1)?);
            let list = if key == SERVICE { &mut row.services } else { &mut row.tasks };
            list.push(value.into());
        }
        Ok(row)
    }

    /// The spans of a trace; none if nothing of it was received.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn trace(&self, trace: TraceId) -> Result<TraceSpans, StoreError> {
        let read = || -> rusqlite::Result<TraceSpans> {
            let found: Option<(i64, u64)> = self
                .connection
                .prepare_cached("SELECT number, dropped FROM trace WHERE id = ?1")?
                .query_row([&trace.0[..]], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let mut of_trace = TraceSpans::default();
            if let Some((number, dropped)) = found {
                of_trace.dropped = dropped;
                let mut blocks = self
                    .connection
                    .prepare_cached("SELECT data FROM block WHERE trace = ?1 ORDER BY number")?;
                let mut blocks = blocks.query([number])?;
                while let Some(block) = blocks.next()? {
                    of_trace.spans.extend(decode::spans(block.get_ref(0)?.as_blob()?));
                }
            }
            of_trace.logs = self
                .connection
                .prepare_cached("SELECT COUNT(*) FROM log WHERE trace = ?1")?
                .query_row([&trace.0[..]], |row| row.get(0))?;
            Ok(of_trace)
        };
        read().map_err(sql(&self.file))
    }

    /// The traces that have a span of a task, the newest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn traces_of_task(&self, task: &Untrusted, limit: usize) -> Result<Vec<TraceId>, StoreError> {
        let filter = TraceFilter {
            attributes: vec![(convention::A2A_TASK.into(), task.clone())],
            limit,
            ..TraceFilter::default()
        };
        Ok(self.traces(&filter)?.into_iter().map(|row| row.trace).collect())
    }

    /// Records that fit a filter, the newest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn logs(&self, filter: &LogFilter) -> Result<Vec<LogRow>, StoreError> {
        let conditions = Conditions::of_logs(filter);
        let text = format!(
            "SELECT log.number, log.at, log.received, log.data, resource.data FROM log
             JOIN resource ON resource.number = log.resource
             WHERE {} ORDER BY log.number DESC LIMIT {}",
            conditions.text(),
            filter.limit.min(ROWS)
        );
        let read = || -> rusqlite::Result<Vec<LogRow>> {
            let mut rows = self.connection.prepare_cached(&text)?;
            let mut rows = rows.query(params_from_iter(&conditions.values))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let (data, resource) = (row.get_ref(3)?.as_blob()?, row.get_ref(4)?.as_blob()?);
                let decoded = decode::logs(&split::with_resource(resource, data)).into_iter().next();
                let Some(mut record) = decoded else { continue };
                record.at = nanos(row.get(1)?);
                let received = At::from_micros(row.get(2)?);
                found.push(LogRow { number: row.get(0)?, received, record });
            }
            Ok(found)
        };
        read().map_err(sql(&self.file))
    }
}

fn nanos(number: i64) -> UnixNanos {
    UnixNanos(u64::try_from(number).unwrap_or(0))
}

fn trace_row(row: &Row<'_>) -> rusqlite::Result<(i64, TraceRow)> {
    let id: Vec<u8> = row.get(1)?;
    let text = |place: usize| -> rusqlite::Result<Untrusted> {
        Ok(row.get::<_, Option<String>>(place)?.unwrap_or_default().into())
    };
    let took: i64 = row.get(3)?;
    let found = TraceRow {
        trace: TraceId(id.try_into().unwrap_or_default()),
        start: nanos(row.get(2)?),
        took: Duration::from_nanos(u64::try_from(took).unwrap_or(0)),
        received: At::from_micros(row.get(4)?),
        name: text(5)?,
        service: text(6)?,
        services: Vec::new(),
        spans: row.get(7)?,
        errors: row.get(8)?,
        dropped: row.get(9)?,
        tasks: Vec::new(),
    };
    Ok((row.get(0)?, found))
}

/// Conditions of a question, and the values that they name.
#[derive(Default)]
struct Conditions {
    parts: Vec<String>,
    values: Vec<Sql>,
}

impl Conditions {
    /// `None` if an attribute is wanted by which traces cannot be found.
    fn of_traces(filter: &TraceFilter) -> Option<Self> {
        let mut all = Self::default();
        if let Some(since) = filter.since {
            all.add("received >= ?", since.micros());
        }
        if let Some(service) = &filter.service {
            all.of_value(SERVICE, service);
        }
        if let Some(least) = filter.at_least {
            all.add("took >= ?", i64::try_from(least.as_nanos()).unwrap_or(i64::MAX));
        }
        if filter.failed {
            all.parts.push("errors > 0".to_owned());
        }
        for (key, value) in &filter.attributes {
            all.of_value(place_of(key.raw())?, value);
        }
        if let Some(name) = &filter.name {
            all.add("name LIKE ? ESCAPE '\\'", like(name));
        }
        Some(all)
    }

    fn of_logs(filter: &LogFilter) -> Self {
        let mut all = Self::default();
        if let Some(since) = filter.since {
            all.add("log.received >= ?", since.micros());
        }
        if let Some(service) = &filter.service {
            all.add("log.service = ?", service.raw().to_owned());
        }
        if filter.severity > Severity::Unspecified {
            all.add("log.severity >= ?", stored(UnixNanos(filter.severity.number())));
        }
        if let Some(trace) = filter.trace {
            all.add("log.trace = ?", trace.0.to_vec());
        }
        if let Some(span) = filter.span {
            all.add("log.span = ?", span.0.to_vec());
        }
        if let Some(text) = &filter.text {
            all.add("log.body LIKE ? ESCAPE '\\'", like(text));
        }
        if let Some(before) = filter.before {
            all.add("log.number < ?", i64::try_from(before).unwrap_or(i64::MAX));
        }
        if let Some(after) = filter.after {
            all.add("log.number > ?", i64::try_from(after).unwrap_or(i64::MAX));
        }
        all
    }

    fn add(&mut self, condition: &str, value: impl Into<Sql>) {
        self.parts.push(condition.to_owned());
        self.values.push(value.into());
    }

    fn of_value(&mut self, key: u8, value: &Untrusted) {
        self.parts.push(format!("number IN (SELECT trace FROM value WHERE key = {key} AND value = ?)"));
        self.values.push(value.raw().to_owned().into());
    }

    fn text(&self) -> String {
        if self.parts.is_empty() { "1".to_owned() } else { self.parts.join(" AND ") }
    }
}

/// A pattern for texts that contain another one, whatever it contains.
fn like(text: &Untrusted) -> String {
    let mut pattern = String::from("%");
    for c in text.raw().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "%"
}
