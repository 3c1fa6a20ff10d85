//! The rows changed by facts, and the removal of expired or completed data.

use std::path::Path;

use rusqlite::{Transaction, params};

use super::Batch;
use super::facts::owner_key;
use crate::domain::fact::Owner;
use crate::domain::id::{AgentId, AttemptId, JobId};
use crate::store::blobs::Blobs;
use crate::store::record::{Record, VERSION};
use crate::store::{StoreError, sql};

pub(super) fn write_rows(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    for agent in &batch.agents {
        transaction
            .prepare_cached(
                "INSERT INTO agent VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET version = ?2, body = ?3",
            )?
            .execute(params![agent.id.0.as_bytes(), VERSION, agent.put()])?;
    }
    for job in &batch.jobs {
        transaction
            .prepare_cached(
                "INSERT INTO job VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET version = ?2, body = ?3",
            )?
            .execute(params![job.id.0.as_bytes(), VERSION, job.put()])?;
    }
    for row in &batch.attempts {
        transaction
            .prepare_cached("INSERT INTO attempt VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET version = ?3, body = ?4")?
            .execute(params![row.attempt.id.0.as_bytes(), row.job.0.as_bytes(), VERSION, row.put()])?;
    }
    for row in &batch.problems {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO problem VALUES (?1, ?2, ?3)")?
            .execute(params![row.problem.number, VERSION, row.put()])?;
    }
    if let Some(last) = batch.problems.iter().map(|row| row.problem.number).max() {
        // Numbers are never used again, also when their problems are forgotten.
        let keep =
            "INSERT INTO meta VALUES ('last_problem', ?1) ON CONFLICT DO UPDATE SET value = max(value, ?1)";
        transaction.prepare_cached(keep)?.execute([last])?;
    }
    // A row removed and added again in one batch exists.
    for name in &batch.gone_sources {
        transaction.prepare_cached("DELETE FROM source WHERE name = ?1")?.execute([&**name])?;
    }
    for (place, source) in &batch.sources {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO source VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![&*source.spec.name, place, VERSION, source.put()])?;
    }
    for number in &batch.gone_problems {
        transaction.prepare_cached("DELETE FROM problem WHERE number = ?1")?.execute([number])?;
    }
    Ok(())
}

/// Removes an agent with its card, which is part of its row, and its facts.
pub(super) fn forget_agent(transaction: &Transaction<'_>, agent: AgentId) -> rusqlite::Result<()> {
    transaction.prepare_cached("DELETE FROM agent WHERE id = ?1")?.execute([agent.0.as_bytes()])?;
    let owner = owner_key(Owner::Agent(agent));
    transaction.prepare_cached("DELETE FROM fact WHERE owner = ?1")?.execute([owner])?;
    Ok(())
}

pub(super) fn forget_job(
    transaction: &Transaction<'_>,
    file: &Path,
    blobs: &Blobs,
    job: JobId,
) -> Result<(), StoreError> {
    let fault = sql(file);
    let id = job.0.as_bytes();
    let outputs = transaction
        .prepare_cached("SELECT id, sha256 FROM output WHERE job = ?1")
        .and_then(|mut select| {
            select
                .query_map([id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()
        })
        .map_err(&fault)?;
    for statement in [
        "DELETE FROM output WHERE job = ?1",
        "DELETE FROM attempt WHERE job = ?1",
        "DELETE FROM job WHERE id = ?1",
    ] {
        transaction.prepare_cached(statement).and_then(|mut delete| delete.execute([id])).map_err(&fault)?;
    }
    transaction
        .prepare_cached("DELETE FROM fact WHERE owner = ?1")
        .and_then(|mut delete| delete.execute([owner_key(Owner::Job(job))]))
        .map_err(&fault)?;
    for (output, sha256) in outputs {
        let shared = match &sha256 {
            None => false,
            Some(sha256) => transaction
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM output WHERE sha256 = ?1)")
                .and_then(|mut select| select.query_row([sha256], |row| row.get(0)))
                .map_err(&fault)?,
        };
        if !shared {
            blobs
                .remove(output, sha256.as_deref())
                .map_err(|error| StoreError::Io { path: file.with_file_name("blobs"), error })?;
        }
    }
    Ok(())
}

/// Complete outputs get the name of their content.
pub(super) fn seal_outputs(
    transaction: &Transaction<'_>,
    file: &Path,
    blobs: &Blobs,
    attempt: AttemptId,
) -> Result<(), StoreError> {
    let growing = transaction
        .prepare_cached("SELECT id, bytes FROM output WHERE attempt = ?1 AND sha256 IS NULL")
        .and_then(|mut select| {
            select
                .query_map([attempt.0.as_bytes()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()
        })
        .map_err(sql(file))?;
    for (output, bytes) in growing {
        let sha256 = blobs
            .seal(output, u64::try_from(bytes).unwrap_or(0))
            .map_err(|error| StoreError::Io { path: file.with_file_name("blobs"), error })?;
        transaction
            .prepare_cached("UPDATE output SET sha256 = ?2 WHERE id = ?1")
            .and_then(|mut update| update.execute(params![output, sha256]))
            .map_err(sql(file))?;
    }
    Ok(())
}
