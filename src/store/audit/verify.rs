//! Verifying the chains of the audit, in the journal or in an export.
//!
//! What is found: a row that was changed, removed or inserted, a chain whose end or the whole of which was removed, an
//! anchor that was changed. The end of the fleet's own chain can be missing unnoticed, unless its head was kept elsewhere.

use std::collections::BTreeMap;

use super::AuditRow;
use crate::domain::audit::page::{Break, Head, Verification};
use crate::domain::audit::{Hash, owner_words};
use crate::domain::fact::Owner;
use crate::domain::time::At;
use crate::store::record::audit::AuditBody;

/// The rows of an audit.
pub trait AuditRows {
    /// Why they cannot be read.
    type Error;

    /// Gives each row of one owner, or of all, by owner and number, to `take` until that returns false.
    ///
    /// # Errors
    /// They cannot be read.
    fn each(&self, of: Option<Owner>, take: &mut dyn FnMut(AuditRow) -> bool) -> Result<(), Self::Error>;

    /// The hash of a row.
    ///
    /// # Errors
    /// It cannot be read.
    fn hash_of(&self, owner: Owner, seq: u64) -> Result<Option<Hash>, Self::Error>;
}

/// What the fleet's chain says of the others, before it is known whether it holds.
#[derive(Debug, Default)]
struct Said {
    /// The last removed row of each chain that goes on.
    anchors: BTreeMap<Owner, (u64, Hash)>,
    /// Everything before this time was removed.
    until: At,
    /// The highest number of each chain that a seal has.
    sealed: BTreeMap<Owner, u64>,
    /// The time of the last seal.
    last_seal: At,
}

/// Verifies all chains, and if a head is given, that it belongs to the fleet's chain.
///
/// # Errors
/// The rows cannot be read.
pub fn verify<R: AuditRows>(rows: &R, head: Option<Head>) -> Result<Verification, R::Error> {
    let said = said(rows)?;
    let mut found = Verification {
        pruned_until: Some(said.until).filter(|until| *until > At::ZERO),
        ..Verification::default()
    };
    chains(rows, &said, &mut found)?;
    if found.broken.is_none() {
        seals(rows, &said, &mut found)?;
    }
    if found.broken.is_none()
        && let Some(head) = head
    {
        found.broken = kept_head(rows, &said, head, found.head)?;
    }
    Ok(found)
}

fn said<R: AuditRows>(rows: &R) -> Result<Said, R::Error> {
    let mut said = Said::default();
    rows.each(Some(Owner::Fleet), &mut |row| {
        let at = At::from_micros(row.at);
        match AuditBody::get(row.owner, at, &row.body) {
            Some(AuditBody::Seal { heads }) => {
                said.last_seal = said.last_seal.max(at);
                for head in heads {
                    let seq = said.sealed.entry(head.owner).or_default();
                    *seq = head.seq.max(*seq);
                }
            }
            Some(AuditBody::Pruned { until, anchors, .. }) => {
                said.until = said.until.max(until);
                said.anchors
                    .extend(anchors.into_iter().map(|anchor| (anchor.owner, (anchor.seq, anchor.hash))));
            }
            Some(AuditBody::Act(_) | AuditBody::Lost { .. }) | None => {}
        }
        true
    })?;
    Ok(said)
}

fn broken(owner: Owner, seq: u64, what: impl Into<String>) -> Break {
    let (owner, what): (String, String) = (owner_words(owner), what.into());
    Break { owner: owner.into(), seq, what: what.into() }
}

/// Follows each chain from its beginning, or from its anchor.
fn chains<R: AuditRows>(rows: &R, said: &Said, found: &mut Verification) -> Result<(), R::Error> {
    // The row before, in the same chain.
    let mut last: Option<(Owner, u64, Hash)> = None;
    rows.each(None, &mut |row| {
        found.rows += 1;
        let (before_seq, before) = match &last {
            Some((owner, seq, hash)) if *owner == row.owner => (*seq, *hash),
            _ => {
                found.owners += 1;
                // A chain of which nothing was left began anew.
                let anchor = said.anchors.get(&row.owner).filter(|_| row.seq != 1);
                anchor.copied().unwrap_or((0, Hash::default()))
            }
        };
        found.broken = fault(&row, before_seq, &before, said);
        if found.broken.is_some() {
            return false;
        }
        if row.owner == Owner::Fleet {
            found.head = Some(Head { seq: row.seq, hash: row.hash });
        }
        last = Some((row.owner, row.seq, row.hash));
        true
    })?;
    if found.broken.as_ref().is_some_and(|broken| *broken.owner.raw() == *owner_words(Owner::Fleet)) {
        found.head = None;
    }
    Ok(())
}

/// What is wrong with a row behind another one.
fn fault(row: &AuditRow, before_seq: u64, before: &Hash, said: &Said) -> Option<Break> {
    let AuditRow { owner, seq, .. } = *row;
    if seq > before_seq + 1 {
        return Some(broken(owner, before_seq + 1, "this row is missing"));
    }
    if seq <= before_seq || At::from_micros(row.at) < said.until {
        return Some(broken(owner, seq, "this row was inserted: retention had removed rows of its time"));
    }
    if row.hash_after(before) != row.hash {
        let what = "this row was changed, or the one before it: its hash does not follow from them";
        return Some(broken(owner, seq, what));
    }
    let is_sealed = || said.sealed.get(&owner).is_some_and(|sealed| *sealed >= seq);
    if owner != Owner::Fleet && At::from_micros(row.at) < said.last_seal && !is_sealed() {
        return Some(broken(
            owner,
            seq,
            "this row was inserted: it is older than the last seal, and in none",
        ));
    }
    None
}

/// Compares the heads in the seals with the rows, and retention with its own rule.
fn seals<R: AuditRows>(rows: &R, said: &Said, found: &mut Verification) -> Result<(), R::Error> {
    let mut failed = None;
    rows.each(Some(Owner::Fleet), &mut |row| {
        match AuditBody::get(row.owner, At::from_micros(row.at), &row.body) {
            Some(AuditBody::Seal { heads }) => {
                found.seals += 1;
                for head in heads.iter().filter(|head| head.at >= said.until) {
                    let what = match rows.hash_of(head.owner, head.seq) {
                        Ok(Some(hash)) if hash == head.hash => continue,
                        Ok(Some(_)) => format!(
                            "this row was changed: the seal in row {} of the fleet has another hash",
                            row.seq
                        ),
                        Ok(None) => {
                            format!("this row is missing: the seal in row {} of the fleet has it", row.seq)
                        }
                        Err(error) => {
                            failed = Some(error);
                            return false;
                        }
                    };
                    found.broken = Some(broken(head.owner, head.seq, what));
                    return false;
                }
            }
            Some(AuditBody::Pruned { until, keep, .. }) if until + keep > At::from_micros(row.at) => {
                let what = "this row says that retention removed rows which were younger than its limit";
                found.broken = Some(broken(row.owner, row.seq, what));
                return false;
            }
            Some(AuditBody::Act(_) | AuditBody::Pruned { .. } | AuditBody::Lost { .. }) | None => {}
        }
        true
    })?;
    failed.map_or(Ok(()), Err)
}

/// What is wrong with the fleet's chain in the light of a head that was kept elsewhere.
fn kept_head<R: AuditRows>(
    rows: &R,
    said: &Said,
    kept: Head,
    now: Option<Head>,
) -> Result<Option<Break>, R::Error> {
    let anchor = said.anchors.get(&Owner::Fleet).copied();
    if anchor.is_some_and(|(_, hash)| hash == kept.hash) {
        return Ok(None);
    }
    if kept.seq == 0 {
        let mut is_there = false;
        rows.each(Some(Owner::Fleet), &mut |row| {
            is_there |= row.hash == kept.hash;
            !is_there
        })?;
        let seq = now.map_or(0, |now| now.seq);
        let what = "the head that was kept is no row of the fleet's chain: its end was cut off, or it was written anew";
        return Ok((!is_there).then(|| broken(Owner::Fleet, seq, what)));
    }
    let what = match rows.hash_of(Owner::Fleet, kept.seq)? {
        Some(hash) if hash == kept.hash => return Ok(None),
        Some(_) => {
            "this row has another hash than the head that was kept: the chain was written anew".to_owned()
        }
        None if anchor.is_some_and(|(seq, _)| kept.seq <= seq) => {
            "retention has removed this row; keep a newer head".to_owned()
        }
        None => {
            let end = now.map_or(0, |now| now.seq);
            format!(
                "this row is missing, which was the head once: the fleet's chain was cut off behind row {end}"
            )
        }
    };
    Ok(Some(broken(Owner::Fleet, kept.seq, what)))
}

/// The rows of an export, in memory.
#[derive(Debug, Default)]
pub struct Exported(BTreeMap<(Owner, u64), AuditRow>);

impl Exported {
    /// Adds a row; false if there is one of this number already.
    pub fn add(&mut self, row: AuditRow) -> bool {
        self.0.insert((row.owner, row.seq), row).is_none()
    }
}

impl AuditRows for Exported {
    type Error = std::convert::Infallible;

    fn each(&self, of: Option<Owner>, take: &mut dyn FnMut(AuditRow) -> bool) -> Result<(), Self::Error> {
        let rows = self.0.values().filter(|row| of.is_none_or(|of| of == row.owner));
        rows.cloned().all(take);
        Ok(())
    }

    fn hash_of(&self, owner: Owner, seq: u64) -> Result<Option<Hash>, Self::Error> {
        Ok(self.0.get(&(owner, seq)).map(|row| row.hash))
    }
}
