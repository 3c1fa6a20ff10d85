//! What a view wants to know beside the snapshot is asked for, and what is answered is taken in.

use super::model::{Cmd, Model, Story, WireCache};
use super::theme::Role;
use super::update::say;
use super::views::Wants;
use crate::domain::fact::Owner;
use crate::domain::job::detail::Detail;
use crate::engine::{Answer, Query, QueryError};

/// Facts of an agent that its page reads.
const FACTS: usize = 500;

/// Asks for what a view wants, as far as it was not asked for yet.
pub(super) fn want(model: &mut Model, wants: Wants, cmds: &mut Vec<Cmd>) {
    if let Some(every) = wants.metrics.filter(|_| !model.shared.held) {
        let queries = model.shared.ask_metrics(every);
        cmds.extend(queries.into_iter().map(|query| Cmd::Query(query, model.generation)));
    }
    cmds.extend(model.ask_watch(wants.watch));
    if wants == model.wants {
        return;
    }
    if wants.fields != model.wants.fields {
        model.shared.forget_fields(&wants.fields);
        let jobs: std::sync::Arc<[_]> = model.shared.unread_fields(&wants.fields);
        if !jobs.is_empty() {
            cmds.push(Cmd::Query(Query::Fields { jobs }, model.generation));
        }
    }
    if wants.story != model.wants.story {
        model.shared.waiting.clear();
        model.shared.story =
            wants.story.map(|job| Story { job, detail: Detail::default(), seq: 0, ready: false });
        cmds.push(Cmd::Follow(wants.story));
    }
    if wants.history != model.wants.history
        && let Some((agent, _)) = wants.history
        && let Some(row) = model.shared.snapshot.agents.get(agent)
    {
        let owner = Owner::Agent(row.id);
        cmds.push(Cmd::Query(Query::Facts { owner, limit: FACTS }, model.generation));
    }
    if wants.wire != model.wants.wire {
        model.generation += 1;
        model.reading_wire = false;
        if let Some(agent) = wants.wire {
            model.shared.wire = WireCache { agent, ..WireCache::default() };
            model.reading_wire = true;
            cmds.push(Cmd::Query(Query::Wire { agent, known: 0 }, model.generation));
        }
    }
    model.wants = wants;
}

/// A question was answered.
pub(super) fn on_answer(
    model: &mut Model,
    query: Query,
    generation: u64,
    answer: Result<Answer, QueryError>,
) {
    match answer {
        Ok(Answer::Metrics(blocks)) => {
            if let Query::Metrics(stretch) = query {
                model.shared.metrics.take(stretch, blocks);
            }
        }
        Ok(Answer::Fields(fields)) => {
            model.shared.fields.extend(fields);
            // What was read without finding anything is not asked for again.
            if let Query::Fields { jobs } = query {
                for job in jobs.iter() {
                    model.shared.fields.entry(*job).or_default();
                }
            }
        }
        Ok(Answer::Wire(count, frames)) => {
            if generation != model.generation {
                return;
            }
            model.reading_wire = false;
            if let (Some(frames), false) = (frames, model.shared.held) {
                model.shared.wire.count = count;
                model.shared.wire.frames = frames;
            }
        }
        Ok(Answer::Facts(facts)) if matches!(query, Query::Facts { owner: Owner::Fleet, .. }) => {
            model.take_watch(facts);
        }
        Ok(Answer::Facts(facts)) => {
            // An answer about another agent comes too late.
            let wanted = model.wants.history.filter(|(agent, _)| {
                let agent = model.shared.snapshot.agents.get(*agent);
                facts
                    .first()
                    .is_none_or(|fact| agent.is_some_and(|agent| fact.owner() == Owner::Agent(agent.id)))
            });
            if let Some((agent, _)) = wanted {
                model.shared.history = Some((agent, facts));
                model.dirty = true;
            }
        }
        Ok(Answer::Outputs(_) | Answer::Task(_)) => {}
        Err(error) => {
            if let Query::Metrics(stretch) = query {
                model.shared.metrics.failed(stretch);
            } else {
                model.reading_wire = false;
                model.asked_watch.1 = false;
            }
            say(model, Role::Warn, error.to_string());
        }
    }
}
