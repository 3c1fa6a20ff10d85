//! The bodies of audit rows: acts, and what keeps the chains together.

use std::sync::Arc;
use std::time::Duration;

use super::{Record, member, put_member};
use crate::domain::audit::page::{AuditEntry, AuditFilter, AuditPage, Break, Head, Verification};
use crate::domain::audit::{
    ActOutcome, AuditRecord, AuditTarget, Hash, Surface, owner_of_words, owner_words,
};
use crate::domain::fact::Owner;
use crate::domain::time::At;
use crate::protocol::json::{Object, Writer, array, elements, text_of};
use crate::store::record::record;

/// What an audit row says. Only the fleet's chain has others than acts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AuditBody {
    /// An act.
    Act(Box<AuditRecord>),
    /// The last rows of chains that grew since the seal before.
    Seal {
        /// One for each chain.
        heads: Vec<Sealed>,
    },
    /// Rows that were removed by retention.
    Pruned {
        /// Everything before this time was removed.
        until: At,
        /// How many rows.
        rows: u64,
        /// The retention.
        keep: Duration,
        /// The last removed row of each chain that goes on.
        anchors: Vec<Anchor>,
    },
    /// Acts that were refused while the journal could not be written, and that were too many to be kept until it could.
    Lost {
        /// How many.
        acts: u64,
    },
}

/// The last row of a chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// The chain.
    pub owner: Owner,
    /// The number of the row.
    pub seq: u64,
    /// Its time.
    pub at: At,
    /// Its hash.
    pub hash: Hash,
}

/// The last removed row of a chain that goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Anchor {
    /// The chain.
    pub owner: Owner,
    /// The number of the row.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl AuditBody {
    /// The body as stored.
    pub fn put(&self) -> String {
        match self {
            Self::Act(record) => put_act(record),
            Self::Seal { heads } => {
                let heads = heads.iter().map(|Sealed { owner, seq, at, hash }| {
                    format!("[\"{}\",{seq},{},\"{hash}\"]", owner_words(*owner), at.micros())
                });
                Writer::new().text("what", "seal").raw("heads", &array(heads)).end()
            }
            Self::Pruned { until, rows, keep, anchors } => {
                let anchors = anchors.iter().map(|Anchor { owner, seq, hash }| {
                    format!("[\"{}\",{seq},\"{hash}\"]", owner_words(*owner))
                });
                let writer = Writer::new().text("what", "pruned").raw("until", &until.put());
                let writer = writer.raw("rows", &rows.put()).raw("keep", &keep.put());
                writer.raw("anchors", &array(anchors)).end()
            }
            Self::Lost { acts } => Writer::new().text("what", "lost").raw("acts", &acts.put()).end(),
        }
    }

    /// Reads the body of a row; `None` if this program does not know it.
    pub fn get(owner: Owner, at: At, raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(match &*object.text("what")? {
            "act" => Self::Act(Box::new(get_act(owner, at, &object)?)),
            "seal" => {
                let heads = elements(object.raw("heads")?)?.into_iter();
                Self::Seal { heads: heads.map(get_sealed).collect::<Option<_>>()? }
            }
            "pruned" => {
                let anchors = elements(object.raw("anchors")?)?.into_iter();
                Self::Pruned {
                    until: member(&object, "until")?,
                    rows: member(&object, "rows")?,
                    keep: member(&object, "keep")?,
                    anchors: anchors.map(get_anchor).collect::<Option<_>>()?,
                }
            }
            "lost" => Self::Lost { acts: member(&object, "acts")? },
            _ => return None,
        })
    }
}

fn get_sealed(raw: &str) -> Option<Sealed> {
    match elements(raw)?.as_slice() {
        [owner, seq, at, hash] => Some(Sealed {
            owner: owner_in(owner)?,
            seq: u64::get(seq)?,
            at: At::get(at)?,
            hash: Hash::get(hash)?,
        }),
        _ => None,
    }
}

fn get_anchor(raw: &str) -> Option<Anchor> {
    match elements(raw)?.as_slice() {
        [owner, seq, hash] => {
            Some(Anchor { owner: owner_in(owner)?, seq: u64::get(seq)?, hash: Hash::get(hash)? })
        }
        _ => None,
    }
}

fn owner_in(raw: &str) -> Option<Owner> {
    owner_of_words(&text_of(raw)?)
}

fn put_act(record: &AuditRecord) -> String {
    let AuditRecord { at: _, owner: _, who, surface, peer, intent, target, why, bulk, outcome } = record;
    let writer = Writer::new().text("what", "act").raw("who", &who.put()).text("surface", surface.as_str());
    let writer = put_member(writer, "peer", peer).text("intent", intent);
    let AuditTarget { job, attempt, task, agent, problem, words } = target;
    let writer = put_member(put_member(writer, "job", job), "attempt", attempt);
    let writer = put_member(put_member(writer, "task", task), "agent", agent);
    let writer = put_member(writer, "problem", problem).raw("target", &words.put());
    let writer = put_member(writer, "why", why);
    let writer = if *bulk > 1 { writer.raw("bulk", &bulk.put()) } else { writer };
    let writer = writer.text("outcome", outcome.word());
    match outcome {
        ActOutcome::Refused(because) => writer.raw("because", &because.put()),
        ActOutcome::Accepted | ActOutcome::Withdrawn => writer,
    }
    .end()
}

fn get_act(owner: Owner, at: At, object: &Object<'_>) -> Option<AuditRecord> {
    Some(AuditRecord {
        at,
        owner,
        who: member(object, "who")?,
        surface: member(object, "surface")?,
        peer: member(object, "peer")?,
        intent: member::<Arc<str>>(object, "intent")?,
        target: AuditTarget {
            job: member(object, "job")?,
            attempt: member(object, "attempt")?,
            task: member(object, "task")?,
            agent: member(object, "agent")?,
            problem: member(object, "problem")?,
            words: member(object, "target")?,
        },
        why: member(object, "why")?,
        bulk: member(object, "bulk")?,
        outcome: match &*object.text("outcome")? {
            "accepted" => ActOutcome::Accepted,
            "refused" => ActOutcome::Refused(member(object, "because")?),
            "withdrawn" => ActOutcome::Withdrawn,
            _ => return None,
        },
    })
}

impl Record for Surface {
    fn put(&self) -> String {
        format!("\"{}\"", self.as_str())
    }

    fn get(raw: &str) -> Option<Self> {
        text_of(raw)?.parse().ok()
    }
}

impl Record for Hash {
    fn put(&self) -> String {
        format!("\"{self}\"")
    }

    fn get(raw: &str) -> Option<Self> {
        text_of(raw)?.parse().ok()
    }
}

record! {
    AuditFilter { who, surface, intent, about, agent, job, task, since, failed }
    AuditPage { entries, next }
    Head { seq, hash }
    Verification { rows, owners, seals, head, pruned_until, broken }
    Break { owner, seq, what }
}

impl Record for AuditEntry {
    fn put(&self) -> String {
        let writer = Writer::new().raw("number", &self.number.put()).raw("seq", &self.seq.put());
        let writer = writer.raw("hash", &self.hash.put()).raw("at", &self.record.at.put());
        writer.text("owner", &owner_words(self.record.owner)).raw("body", &put_act(&self.record)).end()
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        let (owner, at) = (owner_of_words(&object.text("owner")?)?, member(&object, "at")?);
        let record = get_act(owner, at, &Object::parse(object.raw("body")?).ok()?)?;
        let (number, seq) = (member(&object, "number")?, member(&object, "seq")?);
        Some(Self { number, seq, hash: member(&object, "hash")?, record })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{AgentId, AttemptId, JobId};
    use uuid::Uuid;

    #[test]
    fn bodies_are_read_as_they_were_written() {
        let (id, at) = (Uuid::from_u128(7), At::from_micros(9));
        let owner = Owner::Job(JobId(id));
        let record = AuditRecord {
            at,
            owner,
            who: "mia\u{1b}".into(),
            surface: Surface::Cli,
            peer: Some(1000),
            intent: "cancel".into(),
            target: AuditTarget {
                job: Some(JobId(id)),
                attempt: Some(AttemptId(id)),
                task: Some("t".into()),
                agent: Some(AgentId(id)),
                problem: Some(3),
                words: "\"charge\" at cashier-1".into(),
            },
            why: Some("too dear".into()),
            bulk: 14,
            outcome: ActOutcome::Refused("it has ended".into()),
        };
        let plain = AuditRecord {
            peer: None,
            target: AuditTarget::default(),
            why: None,
            bulk: 0,
            outcome: ActOutcome::Accepted,
            ..record.clone()
        };
        let withdrawn = AuditRecord { outcome: ActOutcome::Withdrawn, ..plain.clone() };
        let hash = Hash([7; 32]);
        let acts = [record.clone(), plain, withdrawn].map(|record| AuditBody::Act(Box::new(record)));
        for body in acts.into_iter().chain([
            AuditBody::Seal { heads: vec![Sealed { owner, seq: 3, at, hash }] },
            AuditBody::Pruned {
                until: at,
                rows: 3,
                keep: Duration::from_secs(7),
                anchors: vec![Anchor { owner: Owner::Fleet, seq: 2, hash }],
            },
            AuditBody::Lost { acts: 3 },
        ]) {
            assert_eq!(AuditBody::get(owner, at, &body.put()), Some(body.clone()), "{}", body.put());
        }
        let entry = AuditEntry { number: 8, seq: 2, hash, record };
        let page = AuditPage { entries: vec![entry], next: Some(8) };
        assert_eq!(AuditPage::get(&page.put()), Some(page));
        let filter = AuditFilter { who: Some("mia".into()), since: Some(at), ..AuditFilter::default() };
        assert_eq!(AuditFilter::get(&filter.put()), Some(filter));
        let found = Verification {
            head: Some(Head { seq: 3, hash }),
            broken: Some(Break { owner: "fleet".into(), seq: 1, what: "x".into() }),
            ..Verification::default()
        };
        assert_eq!(Verification::get(&found.put()), Some(found));
    }
}
