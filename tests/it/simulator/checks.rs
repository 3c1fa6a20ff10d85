//! What holds after each step, and once the storm is over.

use super::*;

impl World {
    /// Checks that phases only change in allowed ways.
    pub(super) fn check_fact(&mut self, entry: &JournalEntry) {
        if let Some((attempt, AttemptFact::Moved { phase, .. })) = entry.fact.of_attempt() {
            let before = self.journal.iter().rev().find_map(|entry| {
                match entry.fact.of_attempt().filter(|(of, _)| *of == attempt)?.1 {
                    AttemptFact::Moved { phase, .. } => Some(*phase),
                    AttemptFact::TaskSeen { .. } => Some(Phase::Accepted),
                    AttemptFact::Planned { .. } => Some(Phase::Planned),
                    _ => None,
                }
            });
            let allowed = match before {
                // One that was sent before and not taken this time may have arrived the first time.
                Some(Phase::Planned) | None => {
                    matches!(phase, Phase::Sending | Phase::Unsent | Phase::Uncertain)
                }
                Some(Phase::Sending) => {
                    !matches!(phase, Phase::Sending | Phase::Planned | Phase::PresumedLost)
                }
                Some(Phase::Uncertain) => {
                    matches!(phase, Phase::Planned | Phase::PresumedLost | Phase::Answered)
                }
                // Its agent is down.
                Some(Phase::Accepted) => phase == &Phase::PresumedLost,
                // It came back; or an operator's decision was not written, and is undone.
                Some(Phase::PresumedLost) => {
                    phase == &Phase::Accepted || (phase == &Phase::Uncertain && self.disk.fails())
                }
                Some(Phase::Unsent) => phase == &Phase::Uncertain && self.disk.fails(),
                Some(_) => false,
            };
            // Facts that a full disk did not keep are missing in front of it.
            assert!(allowed || before.is_none(), "{attempt:?} went from {before:?} to {phase:?}");
            if *phase == Phase::PresumedLost {
                self.check_given_up(attempt);
            }
        }
    }

    /// Checks that the counts in an agent's row match its attempts.
    pub(super) fn check_counts(&self) {
        let state = self.core.state();
        for (key, agent) in state.agents().iter() {
            let of_agent = || state.attempts().iter().filter(move |(_, attempt)| attempt.agent == key);
            let live = of_agent().filter(|(_, attempt)| attempt.is_live()).count();
            let need_you = of_agent().filter(|(_, attempt)| attempt.needs_you()).count();
            assert_eq!(
                (agent.counts.live as usize, agent.counts.need_you as usize),
                (live, need_you),
                "counts of {}",
                agent.name
            );
            let wanted = of_agent().filter(|(_, attempt)| attempt.wants_attention()).map(|(key, _)| key);
            assert!(state.attention().of(key).eq(wanted), "attempts of {} that want attention", agent.name);
        }
    }

    /// Checks that the groups of replicas match the agents' rows, and that never more than half of a group is ejected
    /// as outliers.
    pub(super) fn check_replicas(&self) {
        let state = self.core.state();
        let mut members: BTreeMap<&ReplicaKey, BTreeSet<AgentKey>> = BTreeMap::new();
        for (key, agent) in state.agents().iter().filter(|(_, agent)| agent.listed) {
            if let Some(replica_key) = &agent.replica_key {
                members.entry(replica_key).or_default().insert(key);
            }
        }
        let known: BTreeMap<_, _> = state
            .replicas()
            .groups()
            .map(|(replica_key, group)| (replica_key, group.members().clone()))
            .collect();
        assert_eq!(known, members);
        for (_, group) in state.replicas().groups() {
            let rows = || group.members().iter().filter_map(|key| Some((*key, state.agent(*key)?)));
            let able = rows().filter(|(_, agent)| {
                agent.health.takes_work() && agent.breaker.position == BreakerState::Closed
            });
            assert!(able.map(|(key, _)| key).eq(group.able().iter().copied()));
            let versions: BTreeSet<_> =
                rows().filter_map(|(_, agent)| Some(agent.card.as_ref()?.version.clone())).collect();
            assert!(versions.iter().eq(group.versions().keys()));
            for (place, (key, _)) in rows().enumerate() {
                let raised = state.raised(Kind::AgentVersionMixed, Subject::Agent(key)).is_some();
                assert_eq!(raised, place == 0 && versions.len() > 1, "versions of {key:?}: {versions:?}");
            }
            let ejected = |agent: &Agent| {
                agent.breaker.position == BreakerState::Open
                    && matches!(agent.breaker.cause.as_deref(), Some(Cause::Outlier { .. }))
            };
            let ejected = rows().filter(|(_, agent)| ejected(agent)).count();
            let together = rows().count();
            assert!(ejected * 2 <= together, "{ejected} of {together} were ejected");
        }
    }

    /// Checks that the facts of an owner are numbered without a gap, and that they contain no message twice.
    pub(super) fn check_journal(&self) {
        let mut seqs: BTreeMap<Owner, u64> = BTreeMap::new();
        for fact in &self.journal {
            // After a recovery, the numbers continue those of the rows.
            let first = if self.disk.recovered.is_some() { fact.seq } else { 1 };
            let next = seqs.insert(fact.owner(), fact.seq).map_or(first, |seq| seq + 1);
            assert_eq!(fact.seq, next, "facts of {:?} have a gap", fact.owner());
        }
        let mut seen = BTreeSet::new();
        for fact in &self.journal {
            if let Some((attempt, AttemptFact::MessageSeen { message, .. })) = fact.fact.of_attempt() {
                assert!(
                    seen.insert((attempt, message.id.clone())),
                    "{:?} is recorded twice: {fact:?}",
                    message.id
                );
            }
        }
    }

    /// Checks the state after the storm: nothing is lost, nothing is in a transitional state, and what is recorded is
    /// true.
    pub(super) fn check_rest(&mut self) {
        self.check_replicas();
        self.check_posted();
        self.check_jobs();
        self.check_queue();
        self.check_cascades();
        let state = self.core.state();
        for (key, agent) in state.agents().iter() {
            let old = agent.card.as_ref().is_some_and(|card| {
                card.name.raw() == "toy" && card.version.raw() == "1.0" && agent.health.takes_work()
            });
            let raised = state.raised(Kind::AgentVersionOld, Subject::Agent(key)).is_some();
            assert!(raised == old || !agent.health.takes_work(), "the version of {}", agent.name);
        }
        let replayed = self.replayed();
        if self.committed == self.journal.len() {
            let rows = |state: &State| {
                let agents: Vec<_> = state.agents().iter().map(|(k, row)| (k, row.clone())).collect();
                let jobs: Vec<_> = state.jobs().iter().map(|(k, row)| (k, row.clone())).collect();
                let attempts: Vec<_> = state.attempts().iter().map(|(k, row)| (k, row.clone())).collect();
                let problems: Vec<_> = state.problems().iter().map(|(k, row)| (k, row.clone())).collect();
                let sources: Vec<_> = state.sources().iter().map(|(k, row)| (k, row.clone())).collect();
                (agents, jobs, attempts, problems, sources)
            };
            assert_eq!(rows(state), rows(&replayed), "replaying the journal gives another state");
        }
        self.check_journal();
        for (key, agent) in state.agents().iter() {
            assert_eq!(agent.listed, index_of(agent) < AGENTS, "whether {} is listed", agent.name);
            let is_kept = agent.operator_at.is_some()
                || state.attempts().iter().any(|(_, attempt)| attempt.agent == key)
                || state.problems().iter().any(|(_, problem)| problem.subject.agent() == Some(key));
            assert!(agent.listed || is_kept, "{} has left, and no reason keeps it", agent.name);
        }
        assert!(state.sources().iter().all(|(_, row)| row.health == SourceHealth::Working));
        assert!(self.replies.is_empty() && self.disk.is_answered(), "a caller was told nothing");
        for job in &self.promised {
            let known = state.job_key(*job).is_some();
            assert!(known, "job {job} was promised and is lost");
        }
        for (index, toy) in self.agents.iter().enumerate().take(AGENTS).filter(|(_, toy)| !toy.is_0_3) {
            let is_it = |(_, agent): &(AgentKey, &Agent)| index_of(agent) == index;
            let (key, _) = state.agents().iter().find(is_it).expect("the source lists all of them");
            for id in toy.tasks.keys() {
                let found = state.attempt_of_task(key, &TaskId::from(id.as_str())).is_some();
                assert!(found, "task {id} of an agent that lists its tasks is unknown");
            }
        }
        for (key, attempt) in state.attempts().iter() {
            let agent = state.agent(attempt.agent).expect("an agent with attempts is never forgotten");
            // Agents that have left are not watched.
            if !agent.listed {
                continue;
            }
            let toy = &self.agents[index_of(agent)];
            assert!(
                !matches!(attempt.phase, Phase::Planned | Phase::Sending),
                "{key:?} stays {:?}: {attempt:?}",
                attempt.phase
            );
            let unfinished = attempt.answer.as_ref().is_some_and(|answer| answer.phase == Phase::Sending);
            assert!(!unfinished, "an answer of {key:?} stays unfinished: {attempt:?}");
            let Some(task) = &attempt.task else {
                if attempt.phase == Phase::Unsent
                    && let Some(message) = &attempt.message_id
                {
                    assert!(
                        !toy.received.contains_key(message),
                        "{key:?} is unsent but arrived: {attempt:?}"
                    );
                }
                continue;
            };
            match toy.tasks.get(&*task.id.raw()) {
                Some(truth) => {
                    // An end that was only reported on a stream that was lost cannot be known.
                    let unknowable =
                        toy.lies && truth.state == TaskState::Completed && task.state == TaskState::Working;
                    assert!(
                        task.state == truth.state || task.verdict.is_some() || unknowable,
                        "{key:?}: {:?} is recorded, but the agent has {:?}: {attempt:?}",
                        task.state,
                        truth.state
                    );
                    // A message that the network duplicated may have started two tasks, whose stream and store disagree
                    // forever: both states are shown.
                    if !truth.state.is_terminal() && task.verdict != Some(Verdict::Conflict) {
                        assert!(!task.settled, "{key:?} is settled but runs: {attempt:?}, {truth:?}");
                    }
                    if attempt.message_id.is_some() {
                        assert_eq!(attempt.message_id.as_ref(), Some(&truth.message));
                    }
                }
                None => assert!(task.is_over(), "{key:?} was forgotten by its agent: {attempt:?}"),
            }
        }
    }
}
