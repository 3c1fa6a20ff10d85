//! The calls that were ordered and have not ended, by number, by agent and by attempt.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::decide::live::{Pending, PendingCall};
use crate::domain::id::{AgentKey, AttemptKey, CallId};

/// The open calls.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct Calls {
    by_id: BTreeMap<CallId, Pending>,
    /// Calls without an attempt come first among those of an agent.
    by_agent: BTreeSet<(AgentKey, Option<AttemptKey>, CallId)>,
}

impl Calls {
    pub fn insert(&mut self, id: CallId, pending: Pending) {
        self.by_agent.insert((pending.agent, pending.call.attempt(), id));
        self.by_id.insert(id, pending);
    }

    pub fn remove(&mut self, id: CallId) -> Option<Pending> {
        let pending = self.by_id.remove(&id)?;
        self.by_agent.remove(&(pending.agent, pending.call.attempt(), id));
        Some(pending)
    }

    /// The message of a send has arrived: it will not be sent again, and its stream may be open for hours.
    pub fn message_arrived(&mut self, id: CallId) {
        if let Some(Pending { call: PendingCall::Send(send), .. }) = self.by_id.get_mut(&id) {
            send.message = None;
        }
    }

    pub fn get(&self, id: CallId) -> Option<&Pending> {
        self.by_id.get(&id)
    }

    pub fn contains(&self, id: CallId) -> bool {
        self.by_id.contains_key(&id)
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Every one of them: for checks, not for steps.
    pub fn values(&self) -> impl Iterator<Item = &Pending> {
        self.by_id.values()
    }

    /// The calls to an agent.
    pub fn of_agent(&self, agent: AgentKey) -> impl Iterator<Item = CallId> {
        let (first, last) = ((agent, None, CallId(0)), (agent, Some(AttemptKey(u32::MAX)), CallId(u64::MAX)));
        self.by_agent.range(first..=last).map(|(.., id)| *id)
    }

    /// The calls that are about an attempt of an agent.
    pub fn of_attempt(
        &self,
        agent: AgentKey,
        attempt: AttemptKey,
    ) -> impl Iterator<Item = (CallId, &Pending)> {
        let of = |id| (agent, Some(attempt), CallId(id));
        self.by_agent.range(of(0)..=of(u64::MAX)).filter_map(|(.., id)| Some((*id, self.by_id.get(id)?)))
    }
}
