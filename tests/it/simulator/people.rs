//! Who acts in a storm: operators, strangers who send work to the same agents, and a source that lists them.

use super::*;

impl World {
    pub(super) fn operator(&mut self) {
        let state = self.core.state();
        let attempts: Vec<_> = state.attempts().iter().map(|(_, attempt)| attempt.clone()).collect();
        let agents: Vec<_> = state.agents().iter().map(|(_, agent)| agent.id).collect();
        let pick = self.seed.below(10);
        let intent = match pick {
            0 | 1 if !attempts.is_empty() => {
                let attempt = &attempts[self.seed.below(attempts.len() as u64) as usize];
                let unreached = attempts.iter().find(|attempt| {
                    let agent = state.agent(attempt.agent);
                    attempt.message_id.is_some()
                        && agent.is_some_and(|agent| attempt.is_cut_off(agent.health))
                });
                let attempt = unreached.filter(|_| pick == 1).unwrap_or(attempt);
                match (pick, attempt.phase, &attempt.task) {
                    (1, Phase::Accepted, Some(_)) if unreached.is_some() && self.seed.below(2) == 0 => {
                        self.given_up.extend(attempt.message_id.clone());
                        Intent::PresumeLost { attempt: attempt.id, why: None }
                    }
                    (1, Phase::Uncertain, _) if self.seed.below(2) == 0 => {
                        self.given_up.extend(attempt.message_id.clone());
                        Intent::PresumeLost { attempt: attempt.id, why: None }
                    }
                    (_, Phase::Uncertain, _) => {
                        if let Some(message) = &attempt.message_id {
                            *self.resent.entry(message.clone()).or_default() += 1;
                        }
                        Intent::Resend { attempt: attempt.id, why: None }
                    }
                    (0, _, Some(_)) if attempt.is_live() && self.seed.below(2) == 0 => {
                        let carry = routing::carry(&mut self.seed);
                        Intent::Reroute { attempt: attempt.id, to: None, carry, why: None }
                    }
                    (1, _, _) if !attempt.is_live() => {
                        let carry = routing::carry(&mut self.seed);
                        Intent::Retry { attempt: attempt.id, to: None, carry, why: Some("once more".into()) }
                    }
                    (1, _, Some(_)) if self.seed.below(4) > 0 => {
                        let to = agents[self.seed.below(agents.len() as u64) as usize];
                        let to = (self.seed.below(3) == 0).then_some(to);
                        Intent::Race { attempt: attempt.id, to, why: Some("slow".into()) }
                    }
                    (0, _, Some(_)) if self.seed.below(2) == 0 => {
                        Intent::CancelWithDelegated { attempt: attempt.id, why: None }
                    }
                    (0, _, Some(_)) => Intent::Cancel { attempt: attempt.id, why: Some("enough".into()) },
                    _ => Intent::CheckTask { attempt: attempt.id },
                }
            }
            3 if self.seed.below(2) == 0 => {
                let unsent = |job: &Job| job.attempts.is_empty() && job.phase == JobPhase::Over;
                let dead = state.jobs().iter().find(|(_, job)| unsent(job)).map(|(_, job)| job.id);
                match dead {
                    Some(job) => Intent::Requeue { job, to: None, why: Some("still wanted".into()) },
                    None => return,
                }
            }
            3 if self.seed.below(3) == 0 => {
                let place = self.seed.below(AGENTS as u64);
                Intent::AddAgent { url: format!("http://toy-{place}").into(), by: "sam".into() }
            }
            4 if agents.len() > 1 && self.seed.below(4) == 0 => {
                let of = |place: u64| agents[place as usize % agents.len()];
                let place = self.seed.below(AGENTS as u64);
                let change = match self.seed.below(6) {
                    0 => ShiftChange::Hold,
                    1 => ShiftChange::Resume,
                    2 => ShiftChange::Back,
                    3 => ShiftChange::End,
                    _ => ShiftChange::Begin(routing::terms(of(place + 1))),
                };
                Intent::Shift { agent: of(place), change, why: None, by: "sam".into() }
            }
            4 if !agents.is_empty() && self.seed.below(3) == 0 => {
                let agent = agents[self.seed.below(agents.len() as u64) as usize];
                Intent::RemoveAgent { agent, why: None, by: "sam".into() }
            }
            2 => {
                let waiting = attempts.iter().find(|attempt| attempt.needs_you() && attempt.task.is_some());
                match waiting {
                    Some(attempt) => Intent::Answer {
                        attempt: attempt.id,
                        parts: vec![Part::text("Lisbon")],
                        metadata: None,
                    },
                    None => return,
                }
            }
            5..8 if !agents.is_empty() => routing::send(&mut self.seed),
            _ if !agents.is_empty() => Intent::Send(Box::new(Send::new(
                agents[self.seed.below(agents.len() as u64) as usize],
                vec![Part::text("do it")],
            ))),
            _ => return,
        };
        self.submit(intent);
    }

    pub(super) fn stranger(&mut self) {
        let index = self.seed.below((AGENTS + VISITORS) as u64) as usize;
        if !self.agents[index].up {
            return;
        }
        self.order += 1;
        let message = MessageId::from(format!("stranger-{}", self.order).as_str());
        let task_message = Message { id: message.clone(), role: Role::User, ..words("of somebody else") };
        let task_message = self.delegated(task_message);
        let toy = ToyTask {
            state: TaskState::Submitted,
            message,
            messages: vec![task_message],
            text: String::new(),
            script: self.seed.next(),
            streams: Vec::new(),
            job: None,
        };
        let id = format!("s{index}-{}", self.order);
        let life = self.agents[index].life;
        self.agents[index].tasks.insert(id.clone(), toy);
        let wait = self.millis(10, 9000);
        self.at(wait, Happening::Work { agent: index, task: id, step: 0, life });
    }

    /// The source reports a random selection of agents; at the end of the storm it reports all of them.
    pub(super) fn source(&mut self) {
        let begins = self.now == At::from_micros(START);
        let news = if !begins && self.mischief(4) {
            SourceReport::Failed(Cause::Refused.into())
        } else {
            let mut named = Vec::new();
            for n in 0..AGENTS {
                if !self.mischief(3) || (begins && n == AGENTS - 1) {
                    named.push(DiscoveredAgent::at(format!("http://Toy-{n}/")));
                }
            }
            for n in AGENTS..AGENTS + VISITORS {
                if self.mischief(2) {
                    named.push(DiscoveredAgent::at(format!("http://toy-{n}")));
                }
            }
            SourceReport::Agents(named)
        };
        self.feed(Input::Discovered { source: CLUSTER.into(), news });
    }
}
