//! What is kept and for how long: everything until the store is 80 % full, then what somebody will look for.

use rusqlite::{Connection, params};

use crate::domain::time::At;
use crate::telemetry::limits::{self, Retention};
use crate::telemetry::otlp::split::place_of;

/// Traces, and records, that are removed in one transaction, so that a look at the store never waits long.
const AT_ONCE: u64 = 500;
const LOGS_AT_ONCE: u64 = 5000;
/// After a cleaning so much of the limit is used at most, in percent.
const DOWN_TO: u64 = 75;
/// Of traces without an error and not among the slowest, one in so many is kept.
const ONE_IN: u8 = 10;

/// What a cleaning did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Removed {
    /// Traces that were removed to make room.
    pub sampled: u64,
    /// Bytes that are in use after it.
    pub used: u64,
}

/// Bytes of the file that are in use.
pub(super) fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let number = |name: &str| -> rusqlite::Result<u64> {
        connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
    };
    Ok((number("page_count")? - number("freelist_count")?) * number("page_size")?)
}

/// Removes what is too old; if more than 80 % of the room is used, also, until 75 % are: traces that are neither failed nor
/// among the slowest 5 % of their skill nor the one in ten that shows what is usual; then the oldest traces and records.
pub(super) fn clean(connection: &mut Connection, keep: Retention, now: At) -> rusqlite::Result<Removed> {
    let before = (now - keep.time).micros();
    while remove_where(connection, "received < ?1", before, AT_ONCE)? > 0 {}
    let mut logs = 0;
    loop {
        match remove_logs(connection, Some(before), LOGS_AT_ONCE)? {
            0 => break,
            removed => logs += removed,
        }
    }
    if logs > 0 {
        remove_resources(connection)?;
    }
    let mut sampled = 0;
    let mut in_use = used(connection)?;
    if in_use > keep.bytes / 100 * limits::RESERVE_FROM {
        let wanted = keep.bytes / 100 * DOWN_TO;
        let usual = usually(connection)?;
        loop {
            let (looked_at, removed) = sample(connection, &usual)?;
            sampled += removed;
            in_use = used(connection)?;
            if looked_at == 0 || in_use <= wanted {
                break;
            }
        }
        while in_use > wanted {
            let removed = remove_where(connection, "?1 = ?1", 0, AT_ONCE / 10)?;
            sampled += removed;
            let logs = remove_logs(connection, None, AT_ONCE)?;
            if logs > 0 {
                remove_resources(connection)?;
            }
            if removed + logs == 0 {
                break;
            }
            in_use = used(connection)?;
        }
    }
    Ok(Removed { sampled, used: in_use })
}

/// What 95 % of the traces of each skill took at most that were not looked at yet; those without a skill are one more
/// group.
fn usually(connection: &Connection) -> rusqlite::Result<Vec<(Option<String>, i64)>> {
    let skill = place_of(crate::telemetry::convention::SKILL);
    connection
        .prepare_cached(
            "SELECT skill, MAX(took) FROM (
                 SELECT value.value AS skill, took,
                     PERCENT_RANK() OVER (PARTITION BY value.value ORDER BY took) AS rank
                 FROM trace LEFT JOIN value ON value.trace = trace.number AND value.key = ?1
                 WHERE kept = 0
             ) WHERE rank <= 0.95 GROUP BY skill",
        )?
        .query_map([skill], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Number, id, duration, errors and skill of a trace.
type Sampled = (i64, Vec<u8>, i64, u64, Option<String>);

/// Looks at the oldest traces that were not looked at yet, and removes those that nobody will look for. The numbers of
/// both.
fn sample(connection: &mut Connection, usual: &[(Option<String>, i64)]) -> rusqlite::Result<(u64, u64)> {
    let skill = place_of(crate::telemetry::convention::SKILL);
    let rows: Vec<Sampled> = connection
        .prepare_cached(
            "SELECT number, id, took, errors, (SELECT MIN(value) FROM value WHERE trace = number AND key = ?1)
             FROM trace WHERE kept = 0 ORDER BY received LIMIT ?2",
        )?
        .query_map(params![skill, AT_ONCE], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let is_kept = |(_, id, took, errors, skill): &&Sampled| {
        let slow = usual.iter().find(|(other, _)| other == skill).is_some_and(|(_, usual)| took > usual);
        // The last byte of an id is random.
        *errors > 0 || slow || id.last().is_some_and(|byte| byte % ONE_IN == 0)
    };
    let (kept, removed): (Vec<&Sampled>, Vec<&Sampled>) = rows.iter().partition(is_kept);
    let transaction = connection.transaction()?;
    for (number, ..) in kept {
        transaction.prepare_cached("UPDATE trace SET kept = 1 WHERE number = ?1")?.execute([number])?;
    }
    transaction.commit()?;
    let numbers: Vec<i64> = removed.iter().map(|(number, ..)| *number).collect();
    Ok((rows.len() as u64, remove(connection, &numbers)?))
}

/// Removes the oldest traces that fit a condition.
fn remove_where(
    connection: &mut Connection,
    condition: &str,
    argument: i64,
    most: u64,
) -> rusqlite::Result<u64> {
    let numbers: Vec<i64> = connection
        .prepare_cached(&format!("SELECT number FROM trace WHERE {condition} ORDER BY received LIMIT ?2"))?
        .query_map(params![argument, most], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    remove(connection, &numbers)
}

fn remove(connection: &mut Connection, numbers: &[i64]) -> rusqlite::Result<u64> {
    let transaction = connection.transaction()?;
    for number in numbers {
        transaction.prepare_cached("DELETE FROM block WHERE trace = ?1")?.execute([number])?;
        transaction.prepare_cached("DELETE FROM value WHERE trace = ?1")?.execute([number])?;
        transaction.prepare_cached("DELETE FROM trace WHERE number = ?1")?.execute([number])?;
    }
    transaction.commit()?;
    Ok(numbers.len() as u64)
}

/// Removes the oldest records, of those received before a time or of all.
fn remove_logs(connection: &Connection, before: Option<i64>, most: u64) -> rusqlite::Result<u64> {
    let removed = connection
        .prepare_cached(
            "DELETE FROM log WHERE number IN
             (SELECT number FROM log WHERE ?1 IS NULL OR received < ?1 ORDER BY number LIMIT ?2)",
        )?
        .execute(params![before, most])?;
    Ok(removed as u64)
}

/// Removes resources of which no record is left: a sender may name another one with each request.
fn remove_resources(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM resource WHERE NOT EXISTS (SELECT 1 FROM log WHERE log.resource = resource.number)",
        )?
        .execute([])?;
    Ok(())
}
