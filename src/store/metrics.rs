//! Minutes of metrics as bytes: small enough to keep thirty days of them.
//!
//! A block is a row of tallies, each after the number of its series; all numbers are LEB128.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, Transaction, params};
use uuid::Uuid;

use super::migrate;
use crate::domain::id::AgentId;
use crate::domain::metrics::{Block, Histogram, Minute, MinuteRange, Series, Tally};
use crate::domain::text::Untrusted;

/// The retention of minutes and hours.
const KEPT_MINUTES: u32 = 30 * 24 * 60;
const HOUR: u32 = 60;
/// The maximum numbers of tallies in a block and of buckets in a histogram: more means a damaged row.
const MOST: u64 = 10_000_000;

/// A block as bytes. `number` gives each series its number.
pub fn put(block: &Block, mut number: impl FnMut(&Series) -> u32) -> Vec<u8> {
    put_numbered(block.iter().map(|(series, tally)| (number(series), tally)))
}

fn put_numbered<'a>(tallies: impl Iterator<Item = (u32, &'a Tally)>) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, tally) in tallies {
        put_number(&mut out, u64::from(number));
        for count in counts(tally) {
            put_number(&mut out, u64::from(count));
        }
        for histogram in [&tally.took, &tally.first, &tally.between, &tally.answer] {
            put_number(&mut out, histogram.buckets().len() as u64);
            let mut last = 0;
            for (bucket, count) in histogram.buckets() {
                put_number(&mut out, u64::from(bucket - last));
                put_number(&mut out, u64::from(*count));
                last = *bucket;
            }
            if !histogram.is_empty() {
                put_number(&mut out, u64::try_from(histogram.sum().as_micros()).unwrap_or(u64::MAX));
            }
        }
    }
    out
}

fn counts(tally: &Tally) -> [u32; 9] {
    let Tally { begun, ok, failed, refused, lost, canceled, live, calls, calls_failed, .. } = *tally;
    [begun, ok, failed, refused, lost, canceled, live, calls, calls_failed]
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or(0));
}

/// The tallies of a block with the numbers of their series; `None` if the bytes are none.
pub fn get(bytes: &[u8]) -> Option<Vec<(u32, Tally)>> {
    let mut rest = bytes;
    let mut all = Vec::new();
    while !rest.is_empty() {
        let number = u32::try_from(get_number(&mut rest)?).ok()?;
        let mut tally = Tally::default();
        let Tally { begun, ok, failed, refused, lost, canceled, live, calls, calls_failed, .. } = &mut tally;
        for count in [begun, ok, failed, refused, lost, canceled, live, calls, calls_failed] {
            *count = u32::try_from(get_number(&mut rest)?).ok()?;
        }
        for histogram in [&mut tally.took, &mut tally.first, &mut tally.between, &mut tally.answer] {
            *histogram = get_histogram(&mut rest)?;
        }
        all.push((number, tally));
    }
    Some(all)
}

fn get_histogram(rest: &mut &[u8]) -> Option<Histogram> {
    let length = get_number(rest).filter(|length| *length < MOST)?;
    let (mut buckets, mut last) = (Vec::new(), 0u16);
    for _ in 0..length {
        last = last.checked_add(u16::try_from(get_number(rest)?).ok()?)?;
        buckets.push((last, u32::try_from(get_number(rest)?).ok()?));
    }
    let sum = if length > 0 { get_number(rest)? } else { 0 };
    Some(Histogram::from_parts(buckets, sum))
}

fn get_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for place in 0..10 {
        let (byte, left) = rest.split_first()?;
        *rest = left;
        number |= u64::from(byte & 0x7f).checked_shl(place * 7)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// The numbers of the series in a journal.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    known: BTreeMap<Series, u32>,
    /// The last hour that was summed; `None` before the first look.
    added: Option<u32>,
}

impl Numbers {
    /// Numbers assigned in a failed transaction are assigned again.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn load(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<u32> {
        if let Some(added) = self.added {
            return Ok(added);
        }
        self.known = known(transaction)?;
        let added: u32 =
            transaction.query_row("SELECT ifnull(max(minute), 0) FROM hour", [], |row| row.get(0))?;
        self.added = Some(added / HOUR);
        Ok(added / HOUR)
    }

    fn of(&mut self, transaction: &Transaction<'_>, series: &Series) -> rusqlite::Result<u32> {
        if let Some(number) = self.known.get(series) {
            return Ok(*number);
        }
        let Series { agent, skill, caller, rule } = series;
        let text = |name: &Option<Untrusted>| name.as_ref().map(|name| name.raw().to_owned());
        transaction
            .prepare_cached("INSERT INTO series (agent, skill, caller, rule) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![agent.0.as_bytes(), text(skill), text(caller), text(rule)])?;
        let number = u32::try_from(transaction.last_insert_rowid()).unwrap_or(u32::MAX);
        self.known.insert(series.clone(), number);
        Ok(number)
    }
}

/// Writes minutes, sums completed hours, and removes old ones.
pub(super) fn write(
    transaction: &Transaction<'_>,
    numbers: &mut Numbers,
    minutes: &[(Minute, Arc<Block>)],
) -> rusqlite::Result<()> {
    let Some(last) = minutes.iter().map(|(minute, _)| minute.0).max() else { return Ok(()) };
    let added = numbers.load(transaction)?;
    for (minute, block) in minutes {
        let mut tallies = Vec::new();
        for (series, tally) in block.iter() {
            tallies.push((numbers.of(transaction, series)?, tally));
        }
        transaction
            .prepare_cached("INSERT OR REPLACE INTO minute (minute, body, made_up) VALUES (?1, ?2, ?3)")?
            .execute(params![minute.0, put_numbered(tallies.into_iter()), block.is_made_up()])?;
    }
    let hour = last / HOUR;
    if hour > added + 1 || (added == 0 && hour > 0) {
        let mut hours: BTreeMap<u32, (bool, BTreeMap<u32, Tally>)> = BTreeMap::new();
        let from = if added == 0 { 0 } else { (added + 1) * HOUR };
        for Row { minute, made_up, tallies } in rows(transaction, "minute", from, hour * HOUR)? {
            let (any, sums) = hours.entry(minute / HOUR * HOUR).or_default();
            *any |= made_up;
            for (number, tally) in tallies {
                sums.entry(number).or_default().merge(&tally);
            }
        }
        for (minute, (made_up, sums)) in &hours {
            let body = put_numbered(sums.iter().map(|(number, tally)| (*number, tally)));
            transaction.execute(
                "INSERT OR REPLACE INTO hour (minute, body, made_up) VALUES (?1, ?2, ?3)",
                params![minute, body, made_up],
            )?;
        }
        let oldest = last.saturating_sub(KEPT_MINUTES);
        transaction.execute("DELETE FROM minute WHERE minute < ?1", [oldest])?;
        transaction.execute("DELETE FROM hour WHERE minute < ?1", [oldest])?;
        // Series of forgotten agents. The highest number stays, so that none is given twice.
        let gone = "DELETE FROM series WHERE agent NOT IN (SELECT id FROM agent) \
                    AND id < (SELECT max(id) FROM series)";
        if transaction.execute(gone, [])? > 0 {
            numbers.known = known(transaction)?;
        }
        numbers.added = Some(hour - 1);
    }
    Ok(())
}

fn known(connection: &Connection) -> rusqlite::Result<BTreeMap<Series, u32>> {
    Ok(series(connection)?.into_iter().map(|(number, series)| (series, number)).collect())
}

fn series(connection: &Connection) -> rusqlite::Result<BTreeMap<u32, Series>> {
    // An older journal opened read-only knows no rules.
    let rule = if version(connection)? < migrate::RULES { "NULL" } else { "rule" };
    let mut select = connection.prepare(&format!("SELECT id, agent, skill, caller, {rule} FROM series"))?;
    let rows = select.query_map([], |row| {
        let agent = Uuid::from_slice(row.get_ref(1)?.as_blob()?).unwrap_or_default();
        let text = |name: Option<String>| name.map(Untrusted::from);
        Ok((
            row.get(0)?,
            Series {
                agent: AgentId(agent),
                skill: text(row.get(2)?),
                caller: text(row.get(3)?),
                rule: text(row.get(4)?),
            },
        ))
    })?;
    rows.collect()
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// A minute or an hour, by the numbers of its series.
struct Row {
    minute: u32,
    made_up: bool,
    tallies: Vec<(u32, Tally)>,
}

/// The rows of a table from one minute until before another. A row that cannot be read is left out.
fn rows(connection: &Connection, table: &str, from: u32, until: u32) -> rusqlite::Result<Vec<Row>> {
    // An older journal opened read-only has nothing that is made up.
    let made_up = if version(connection)? < migrate::MADE_UP { "0" } else { "made_up" };
    let query = format!(
        "SELECT minute, {made_up}, body FROM {table} WHERE minute >= ?1 AND minute < ?2 ORDER BY minute"
    );
    let mut select = connection.prepare_cached(&query)?;
    let rows = select.query_map([from, until], |row| {
        let tallies = get(row.get_ref(2)?.as_blob()?);
        Ok(tallies.map(|tallies| (row.get(0), row.get(1), tallies)))
    })?;
    let mut all = Vec::new();
    for row in rows {
        if let Some((minute, made_up, tallies)) = row? {
            all.push(Row { minute: minute?, made_up: made_up?, tallies });
        }
    }
    Ok(all)
}

/// The metrics of a range, one block for each of its parts.
pub(super) fn read(connection: &Connection, range: MinuteRange) -> rusqlite::Result<Vec<(Minute, Block)>> {
    let MinuteRange { from, until, step } = range;
    let series = series(connection)?;
    let mut blocks: BTreeMap<Minute, Block> = BTreeMap::new();
    let mut add = |rows: Vec<Row>| {
        for Row { minute, made_up, tallies } in rows {
            let block = blocks.entry(range.begins(Minute(minute))).or_default();
            *block = std::mem::take(block).made_up(made_up);
            for (number, tally) in tallies {
                if let Some(series) = series.get(&number) {
                    block.tally(series.clone()).merge(&tally);
                }
            }
        }
    };
    // Long stretches are read by the hour, as far as hours are added up.
    let mut minutes_from = from.0;
    if step.is_multiple_of(HOUR) && from.0.is_multiple_of(HOUR) {
        let hours = rows(connection, "hour", from.0, until.0 / HOUR * HOUR)?;
        minutes_from = hours.last().map_or(from.0, |row| row.minute + HOUR);
        add(hours);
    }
    add(rows(connection, "minute", minutes_from, until.0)?);
    Ok(blocks.into_iter().collect())
}

/// The last minutes that were written.
pub(super) fn last(connection: &Connection, minutes: u32) -> rusqlite::Result<Vec<(Minute, Block)>> {
    let last: u32 =
        connection.query_row("SELECT ifnull(max(minute), 0) FROM minute", [], |row| row.get(0))?;
    let until = Minute(last + 1);
    read(connection, MinuteRange { from: until.before(minutes), until, step: 1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Rng;
    use crate::domain::time::At;
    use proptest::prelude::*;
    use std::time::Duration;

    fn tally(n: u32) -> Tally {
        let mut tally = Tally { ok: n, failed: n / 3, live: n % 7, calls: 2, ..Tally::default() };
        for micros in 0..u64::from(n % 50) {
            tally.took.add(Duration::from_micros(micros * micros * 977));
        }
        tally.answer.add(Duration::from_micros(u64::MAX / 2));
        tally
    }

    proptest! {
        #[test]
        fn blocks_are_read_back_as_they_were_written(numbers in prop::collection::btree_map(any::<u32>(), 0u32..100_000, 0..20)) {
            let tallies: Vec<(u32, Tally)> = numbers.iter().map(|(number, n)| (*number, tally(*n))).collect();
            let bytes = put_numbered(tallies.iter().map(|(number, tally)| (*number, tally)));
            prop_assert_eq!(get(&bytes), Some(tallies));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _either = get(&bytes);
        }
    }

    #[test]
    fn minutes_are_read_back_in_any_steps_also_once_hours_are_added_up() {
        let mut connection = Connection::open_in_memory().unwrap();
        super::super::migrate::migrate(&mut connection, std::path::Path::new("memory")).unwrap();
        let mut seed = Rng::new(1);
        let agents = [AgentId(seed.uuid(At::ZERO)), AgentId(seed.uuid(At::ZERO))];
        let skill = |n: u32| (n.is_multiple_of(3)).then(|| Untrusted::from("charge"));
        for agent in agents {
            let row = "INSERT INTO agent VALUES (?1, 1, '{}')";
            connection.execute(row, [agent.0.as_bytes()]).unwrap();
        }
        let mut numbers = Numbers::default();
        let begin = 29_000_000 / HOUR * HOUR;
        for minute in begin..begin + 5 * HOUR + 7 {
            let mut block = Block::default();
            for agent in agents {
                *block.tally(Series {
                    agent,
                    skill: skill(minute),
                    caller: None,
                    rule: Some("work".into()),
                }) = tally(minute % 100);
            }
            let transaction = connection.transaction().unwrap();
            write(&transaction, &mut numbers, &[(Minute(minute), Arc::new(block))]).unwrap();
            transaction.commit().unwrap();
        }
        let hours: u32 = connection.query_row("SELECT count(*) FROM hour", [], |row| row.get(0)).unwrap();
        assert_eq!(hours, 5);
        let total = |step: u32, until: u32| {
            let blocks =
                read(&connection, MinuteRange { from: Minute(begin), until: Minute(until), step }).unwrap();
            let mut sum = Block::default();
            for (_, block) in &blocks {
                sum.merge(block);
            }
            (blocks.len(), sum)
        };
        let end = begin + 5 * HOUR + 7;
        let (count, by_minute) = total(1, end);
        assert_eq!(count, 5 * 60 + 7);
        for step in [7, 30, 60, 120] {
            assert_eq!(total(step, end).1, by_minute, "step {step}");
        }
        assert_eq!(
            total(60, begin + 3 * HOUR + 11).1,
            total(1, begin + 3 * HOUR + 11).1,
            "an end within an hour"
        );
        assert_eq!(by_minute.total(|series| series.agent == agents[0]).calls, 2 * (5 * 60 + 7));
        assert_eq!(last(&connection, 61).unwrap().len(), 61);
    }

    /// Minutes that a demo made up are marked, and so is every hour and every stretch that has one of them.
    #[test]
    fn made_up_minutes_stay_marked() {
        let mut connection = Connection::open_in_memory().unwrap();
        super::super::migrate::migrate(&mut connection, std::path::Path::new("memory")).unwrap();
        let agent = AgentId(Rng::new(1).uuid(At::ZERO));
        connection.execute("INSERT INTO agent VALUES (?1, 1, '{}')", [agent.0.as_bytes()]).unwrap();
        let mut numbers = Numbers::default();
        let begin = 29_000_000 / HOUR * HOUR;
        let end = begin + 4 * HOUR + 3;
        // Made up for an hour and a half, measured from then on.
        let measured = begin + HOUR + HOUR / 2;
        for minute in begin..end {
            let mut block = Block::default();
            *block.tally(Series::of_agent(agent)) = tally(7);
            let block = Arc::new(block.made_up(minute < measured));
            let transaction = connection.transaction().unwrap();
            write(&transaction, &mut numbers, &[(Minute(minute), block)]).unwrap();
            transaction.commit().unwrap();
        }
        for (step, marked) in
            [(1, HOUR + HOUR / 2), (30, 3), (60, 2), (MinuteRange::whole(Minute(0), Minute(1)).step, 1)]
        {
            let range = MinuteRange { from: Minute(begin), until: Minute(end), step };
            let blocks = read(&connection, range).unwrap();
            let found = blocks.iter().take_while(|(_, block)| block.is_made_up()).count();
            assert_eq!(
                (found, blocks.iter().filter(|(_, block)| block.is_made_up()).count()),
                (marked as usize, marked as usize),
                "{step}"
            );
        }
        let recent = last(&connection, 61).unwrap();
        assert!(recent.iter().all(|(_, block)| !block.is_made_up()));
    }

    #[test]
    fn metrics_older_than_thirty_days_are_removed() {
        let mut connection = Connection::open_in_memory().unwrap();
        super::super::migrate::migrate(&mut connection, std::path::Path::new("memory")).unwrap();
        let mut numbers = Numbers::default();
        let begin = 29_000_000;
        for minute in [begin, begin + 5, begin + KEPT_MINUTES / 2, begin + KEPT_MINUTES + 200] {
            let transaction = connection.transaction().unwrap();
            write(&transaction, &mut numbers, &[(Minute(minute), Arc::default())]).unwrap();
            transaction.commit().unwrap();
        }
        let left: u32 = connection.query_row("SELECT count(*) FROM minute", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 2);
    }
}
