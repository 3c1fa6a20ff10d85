//! Sends messages, from the intent through the gate to the outcome. No message is sent twice unless an operator wants
//! it.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::card::{Ability, Dialect, Interface};
use crate::domain::call::{SendOutcome, StreamOutcome};
use crate::domain::cause::{Cause, ErrorName, Failure, Sent};
use crate::domain::decide::admission::{self, Admission, Wait, Work};
use crate::domain::decide::answer;
use crate::domain::decide::breaker;
use crate::domain::decide::cancel;
use crate::domain::decide::health;
use crate::domain::decide::listing;
use crate::domain::decide::live::{GetReason, ListReason, PendingCall, SendCall, Timer};
use crate::domain::decide::not_now;
use crate::domain::decide::observe;
use crate::domain::decide::queue;
use crate::domain::decide::reason;
use crate::domain::decide::reopen;
use crate::domain::decide::retry;
use crate::domain::decide::routing::{self, Choice};
use crate::domain::decide::streaming;
use crate::domain::decide::timeout;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::unknown;
use crate::domain::decide::watch;
use crate::domain::effect::{ListQuery, Order};
use crate::domain::fact::{AgentFact, AttemptFact, Fact, JobFact};
use crate::domain::id::{AgentKey, AttemptId, AttemptKey, CallId, JobId, JobKey, MessageId};
use crate::domain::intent::{Receipt, Refusal, Send};
use crate::domain::job::message::{Hints, Message, Role};
use crate::domain::job::plan::{Plan, WaitReason};
use crate::domain::job::task::Via;
use crate::domain::job::{Origin, Phase};
use crate::domain::route::message::MessageFields;
use crate::domain::route::{PRIORITY, Selector, Target};
use crate::domain::text::Untrusted;
use crate::domain::trace::TraceParent;

/// Titles of jobs are cut to this many characters.
pub(super) const TITLE_CHARS: usize = 80;
/// How often a message that may have arrived is looked for, and the wait between these lookups.
const LOOKUPS: u8 = 2;
const LOOKUP_WAIT: Duration = Duration::from_secs(1);

/// Accepts a new job, which is durable before a byte of it is sent.
pub(super) fn send(turn: &mut Turn, send: Send) -> Result<Receipt, Refusal> {
    if let Some(receipt) = send.job.and_then(|job| existing(turn, job)) {
        return Ok(receipt);
    }
    if send.parts.is_empty() {
        return Err(not_now("a message needs at least one part"));
    }
    let Target::Agent(agent) = send.target else { return send_by_rules(turn, send) };
    let key = turn.state().agent_key(agent).ok_or_else(|| unknown("agent"))?;
    if let Some(task) = &send.task
        && let Some(attempt) = turn.state().attempt_of_task(key, task)
        && let Some(id) = turn.state().attempt(attempt).map(|attempt| attempt.id)
    {
        return answer::send(turn, id, send.parts, send.metadata);
    }
    admission::accepts(turn, key, Work::New)?;
    let full = matches!(admission::admit(turn, key, Work::New), Admission::Wait(Wait::Full { .. }));
    let only_skill = turn.state().agent(key).and_then(|agent| agent.card.clone());
    let skill = send.skill.clone().or_else(|| Some(only_skill?.only_skill()?.id.clone()));
    let plan = (full || send.deadline.is_some() || send.priority.is_some()).then(|| Plan {
        deadline: send.deadline.map(|limit| turn.at + limit),
        priority: send.priority.unwrap_or(PRIORITY),
        ..Plan::new(Target::Agent(agent))
    });
    let message = message_of(&new_message_id(turn), &send);
    let job = open(turn, send, message, skill, plan)?;
    if full {
        queue::wait(turn, job, WaitReason::Capacity, None);
    } else {
        queue::plan_attempt(turn, job, key);
    }
    Ok(taken(turn, job))
}

/// Accepts a job for whichever agent the rules choose.
fn send_by_rules(turn: &mut Turn, send: Send) -> Result<Receipt, Refusal> {
    if send.task.is_some() {
        return Err(not_now("a message to a task goes to the agent that has it: name that agent"));
    }
    let mut message = message_of(&new_message_id(turn), &send);
    let caller = send.caller.clone().unwrap_or_else(|| turn.operator());
    let fields = MessageFields::of(&message, Some(&caller));
    let choice = routing::choose(turn, &send.target, &fields, &[]);
    let decision = match &choice {
        Choice::Agent(_, decision) | Choice::Wait(_, decision) => decision,
        Choice::Nobody(why) => return Err(routing::refusal(turn, &send.target, why)),
    };
    let rule = decision.rule.as_deref().and_then(|name| turn.live.routes.rule(name).cloned());
    // The agents of a skill are told which of their skills is wanted.
    if let Some(Selector::Skill(skill)) = rule.as_deref().map(|rule| &rule.to) {
        message.hints.skill.get_or_insert_with(|| skill.clone());
    }
    let deadline =
        [send.deadline, rule.as_deref().and_then(|rule| rule.deadline)].into_iter().flatten().min();
    let plan = Plan {
        rule: decision.rule.clone(),
        revision: decision.revision,
        deadline: deadline.map(|limit| turn.at + limit),
        priority: send.priority.or(rule.as_deref().map(|rule| rule.priority)).unwrap_or(PRIORITY),
        idempotent: rule.as_deref().is_some_and(|rule| rule.idempotent),
        ..Plan::new(send.target.clone())
    };
    let skill = message.hints.skill.clone();
    let job = open(turn, send, message, skill, Some(plan))?;
    queue::settle(turn, job, choice);
    Ok(taken(turn, job))
}

/// A new message id.
pub(super) fn new_message_id(turn: &mut Turn) -> MessageId {
    let at = turn.at;
    MessageId::from(turn.seed.uuid(at).to_string().as_str())
}

/// The message that an operator wants to send.
pub(super) fn message_of(id: &MessageId, send: &Send) -> Message {
    let wanted = match &send.target {
        Target::Skill(skill) => Some(skill.clone()),
        Target::Agent(_) | Target::Tag(_) | Target::Route(_) | Target::Any => None,
    };
    Message {
        context: send.context.clone(),
        task: send.task.clone(),
        metadata: send.metadata.clone(),
        hints: Hints {
            caller: send.caller.clone(),
            skill: send.skill.clone().or(wanted),
            parent: send.parent.clone(),
            ..Hints::default()
        },
        ..Message::new(id.clone(), Role::User, send.parts.clone())
    }
}

/// Records a new job, which has no attempt yet.
fn open(
    turn: &mut Turn,
    send: Send,
    message: Message,
    skill: Option<Untrusted>,
    plan: Option<Plan>,
) -> Result<JobKey, Refusal> {
    if plan.is_some() {
        queue::has_room(turn, message.size())?;
    }
    let at = turn.at;
    let job = send.job.unwrap_or_else(|| JobId(turn.seed.uuid(at)));
    let caller = send.caller.unwrap_or_else(|| turn.operator());
    let deadline = plan.as_ref().and_then(|plan| plan.deadline);
    let opened = JobFact::Opened {
        origin: Origin::Sent,
        title: message.headline(TITLE_CHARS),
        caller: Some(caller),
        skill,
        context: send.context,
        parent: send.parent,
        message: Some(Arc::new(message)),
        plan: plan.map(Arc::new),
    };
    turn.record_new(Fact::Job(job, opened));
    let key = turn.state().job_key(job).ok_or_else(|| unknown("job"))?;
    if let Some(deadline) = deadline {
        turn.set_timer(Timer::Deadline(key), deadline);
    }
    Ok(key)
}

/// The receipt of a job that there is already, with its latest attempt.
pub(super) fn existing(turn: &Turn, job: JobId) -> Option<Receipt> {
    turn.state().job_key(job).map(|key| taken(turn, key))
}

/// The receipt for a job.
fn taken(turn: &Turn, key: JobKey) -> Receipt {
    let job = turn.state().jobs().get(key);
    let attempt = job.and_then(|job| turn.state().attempt(*job.attempts.last()?)).map(|attempt| attempt.id);
    Receipt::Taken { job: job.map_or(JobId(uuid::Uuid::nil()), |job| job.id), attempt }
}

/// An agent has left the fleet: the attempts planned for it end.
pub(super) fn agent_left(turn: &mut Turn, agent: AgentKey) {
    give_up(turn, agent, &Arc::new(Cause::Unsupported(admission::LEFT.into())));
}

/// Sends a planned attempt if its agent takes work; otherwise a new probe decides.
pub(super) fn begin(turn: &mut Turn, key: AttemptKey) {
    let Some(agent) = turn.state().attempt(key).map(|attempt| attempt.agent) else { return };
    match admission::admit(turn, agent, Work::Planned) {
        Admission::Granted => transmit(turn, key),
        Admission::Wait(_) | Admission::Refused(_) => health::probe(turn, agent),
    }
}

/// Orders the send. From here on the message may have arrived, even if this process crashes.
fn transmit(turn: &mut Turn, key: AttemptKey) {
    let Some(attempt) = turn.state().attempt(key) else { return };
    let agent = attempt.agent;
    let (id, message_id) = (attempt.id, attempt.message_id.clone());
    let Some(job) = turn.state().job_of(attempt).map(|job| job.id) else { return };
    let interface = turn.state().agent(agent).and_then(|agent| agent.interface.clone());
    let Some(interface) = interface else {
        let cause = Cause::NotSpoken("no interface that can be called".into());
        return not_taken(turn, key, Phase::Unsent, Arc::new(cause));
    };
    let Some(message) = turn.state().job_key(job).and_then(|job| reopen::message(turn, job)) else {
        // It is read from the journal first.
        return;
    };
    let traceparent = turn.trace_parent(key, false);
    let message = sent_as(&message, job, id, message_id, traceparent);
    turn.attempt_fact(key, AttemptFact::Moved { phase: Phase::Sending, cause: None });
    timeout::watch(turn, key);
    let stream = turn.state().agent(agent).is_some_and(crate::domain::agent::Agent::streams);
    breaker::begins(turn, agent, key);
    let send = SendCall::new(key, message, false, stream);
    order(turn, agent, interface, send);
    listing::quicken(turn, agent);
}

/// The message as one attempt sends it: with the attempt's message id, and with the ids by which whoever sees both sides
/// can tell attempts of one job from different jobs.
fn sent_as(
    message: &Message,
    job: JobId,
    attempt: AttemptId,
    id: Option<MessageId>,
    traceparent: Option<TraceParent>,
) -> Arc<Message> {
    let hints = Hints {
        job: Some(Untrusted::from(job.to_string())),
        attempt: Some(Untrusted::from(attempt.to_string())),
        traceparent: traceparent.map(|parent| parent.to_string().into()),
        ..message.hints.clone()
    };
    Arc::new(Message { id: id.unwrap_or_else(|| message.id.clone()), hints, ..message.clone() })
}

/// Stops an attempt that takes too long: what was not sent stays unsent, and the agent is asked to cancel its task. The
/// job goes on once that has been seen to end.
pub(super) fn overdue(turn: &mut Turn, key: AttemptKey, cause: Cause) {
    let Some(attempt) = turn.state().attempt(key).filter(|attempt| attempt.is_live()) else { return };
    let (id, agent, has_task) = (attempt.id, attempt.agent, attempt.task.is_some());
    let cause = Arc::new(cause);
    match attempt.phase {
        Phase::Planned => not_taken(turn, key, Phase::Unsent, cause),
        _ if has_task => {
            turn.attempt_fact(key, AttemptFact::Overdue { cause });
            // A refusal is that of an agent that cannot be reached: the task is looked at once it is back.
            let _not_asked = cancel::ask(turn, id, None);
        }
        Phase::Sending => {
            let calls: Vec<_> = turn.live.calls.of_attempt(agent, key).map(|(call, _)| call).collect();
            for call in calls {
                turn.close(call);
            }
            turn.watch(key).stream = None;
            may_have_arrived(turn, agent, key, (*cause).clone());
        }
        Phase::Accepted
        | Phase::Answered
        | Phase::Refused
        | Phase::Unsent
        | Phase::Uncertain
        | Phase::PresumedLost => {}
    }
}

pub(super) fn order(turn: &mut Turn, agent: AgentKey, interface: Arc<Interface>, send: SendCall) {
    let (attempt, stream) = (send.attempt, send.stream);
    let Some(message) = send.message.clone() else { return };
    let trace = turn.trace_parent(attempt, true);
    let order = Order::Send { attempt, interface, message, stream, trace };
    let call = turn.call(agent, PendingCall::Send(send), order);
    if stream {
        turn.watch(attempt).stream = Some(call);
    }
}

/// The agent answers: planned attempts are sent.
pub(super) fn send_planned(turn: &mut Turn, agent: AgentKey) {
    for key in planned(turn, agent) {
        match admission::admit(turn, agent, Work::Planned) {
            Admission::Granted => transmit(turn, key),
            // The breaker opened while this attempt waited for its agent.
            Admission::Wait(Wait::Breaker(why)) => {
                not_taken(turn, key, Phase::Unsent, Arc::new(Cause::Breaker(why)));
            }
            Admission::Wait(Wait::Health(_) | Wait::Full { .. } | Wait::Cordoned(_)) => {}
            Admission::Refused(refusal) => {
                let cause = Cause::Unsupported(Untrusted::from(refusal.to_string()));
                not_taken(turn, key, Phase::Unsent, Arc::new(cause));
            }
        }
    }
}

/// The agent cannot take work: planned attempts end as unsent, with the cause of its health.
pub(super) fn give_up_planned(turn: &mut Turn, agent: AgentKey) {
    let cause = turn.state().agent(agent).and_then(|agent| agent.cause.clone());
    if let Some(cause) = &cause {
        give_up(turn, agent, cause);
    }
    // What was being sent when an earlier process stopped, or when the agent vanished, cannot be looked up now.
    for key in sending_without_call(turn, agent) {
        uncertain(turn, key, cause.clone());
    }
}

/// Planned attempts of an agent end as unsent.
pub(super) fn give_up(turn: &mut Turn, agent: AgentKey, cause: &Arc<Cause>) {
    for key in planned(turn, agent) {
        not_taken(turn, key, Phase::Unsent, cause.clone());
    }
}

/// A planned attempt ends as unsent.
pub(super) fn give_up_one(turn: &mut Turn, key: AttemptKey, cause: &Arc<Cause>) {
    if turn.state().attempt(key).is_some_and(|attempt| attempt.phase == Phase::Planned) {
        not_taken(turn, key, Phase::Unsent, cause.clone());
    }
}

/// The agent did not take the message: the attempt is unsent or refused. If the same message was sent before, it may
/// have arrived then; the attempt becomes uncertain again.
fn not_taken(turn: &mut Turn, key: AttemptKey, phase: Phase, cause: Arc<Cause>) {
    let sent_before = turn.state().attempt(key).is_some_and(|attempt| attempt.may_have_arrived);
    let phase = if sent_before { Phase::Uncertain } else { phase };
    turn.attempt_fact(key, AttemptFact::Moved { phase, cause: Some(cause) });
}

fn planned(turn: &Turn, agent: AgentKey) -> Vec<AttemptKey> {
    let open = turn.state().open_attempts(agent);
    open.into_iter()
        .filter(|key| turn.state().attempt(*key).is_some_and(|attempt| attempt.phase == Phase::Planned))
        .collect()
}

/// Attempts that may have been sent, and whose outcome no call of this process will report.
pub(super) fn sending_without_call(turn: &Turn, agent: AgentKey) -> Vec<AttemptKey> {
    let is_sending =
        |key: &AttemptKey| turn.state().attempt(*key).is_some_and(|row| row.phase == Phase::Sending);
    let has_call = |key: &AttemptKey| {
        turn.live.calls.of_attempt(agent, *key).any(|(_, pending)| match &pending.call {
            PendingCall::Send(send) => !send.answer,
            PendingCall::List(ListReason::Lookup(_), _) => true,
            _ => false,
        })
    };
    let open = turn.state().open_attempts(agent).into_iter();
    open.filter(|key| is_sending(key) && !has_call(key)).collect()
}

/// Handles an outcome of a send.
pub(super) fn sent(turn: &mut Turn, agent: AgentKey, call: CallId, send: SendCall, outcome: SendOutcome) {
    let key = send.attempt;
    match outcome {
        SendOutcome::Stream(StreamOutcome::Opened { .. }) => {}
        SendOutcome::Stream(StreamOutcome::Events(events)) => {
            turn.live.calls.message_arrived(call);
            took_hold(turn, agent, &send);
            answer::accepted(turn, &send);
            for event in events {
                observe::event(turn, key, event, Via::Send);
            }
        }
        SendOutcome::Task(answered) => {
            took_hold(turn, agent, &send);
            answer::accepted(turn, &send);
            observe::report(turn, key, *answered.value, Via::Send, turn.at);
            watch::go_on(turn, key);
        }
        SendOutcome::Message(answered) => {
            took_hold(turn, agent, &send);
            answer::accepted(turn, &send);
            observe::answer(turn, key, *answered.value);
            // The task goes on, but its stream was closed when the answer was sent.
            watch::read(turn, key, GetReason::Reconcile);
        }
        SendOutcome::Stream(StreamOutcome::Ended(how)) => {
            let watch = turn.watch(key);
            if watch.stream == Some(call) {
                watch.stream = None;
            }
            let known = turn.state().attempt(key).is_some_and(|attempt| attempt.phase != Phase::Sending);
            if known || send.answer {
                if send.answer && answer::is_open(turn, key) {
                    // The stream ended without an event: a read of the task shows whether the answer arrived.
                    return watch::read(turn, key, GetReason::Answer);
                }
                watch::stream_ended(turn, key, how.err().map(Arc::new));
            } else {
                let cause =
                    how.err().unwrap_or_else(|| Cause::Malformed("the stream ended without an event".into()));
                may_have_arrived(turn, agent, key, cause);
            }
        }
        SendOutcome::Failed(failure) => failed(turn, agent, send, failure),
    }
}

/// A send has succeeded: the dialect and the kind of call that worked are remembered.
fn took_hold(turn: &mut Turn, agent: AgentKey, send: &SendCall) {
    streaming::remember_refusal(turn, agent, send);
    if send.fallback.is_none() {
        return;
    }
    let Some(row) = turn.state().agent(agent) else { return };
    let Some(interface) = &row.interface else { return };
    let other = other_dialect(interface.dialect);
    if row.confirmed_dialect != Some(other) && row.confirmed_dialect.is_none() {
        let settled = Arc::new(Interface { dialect: other, ..(**interface).clone() });
        turn.agent_fact(agent, AgentFact::DialectConfirmed { dialect: other });
        turn.agent_fact(agent, AgentFact::InterfaceChosen { interface: Some(settled) });
    }
}

fn other_dialect(dialect: Dialect) -> Dialect {
    match dialect {
        Dialect::V1_0 => Dialect::V0_3,
        Dialect::V0_3 => Dialect::V1_0,
    }
}

/// The interface for the single try with the other dialect, if that try is still allowed.
pub(super) fn fallback_interface(turn: &mut Turn, agent: AgentKey, cause: &Cause) -> Option<Arc<Interface>> {
    if !is_about_dialect(cause) {
        return None;
    }
    if turn.agent_live(agent).proven {
        return None;
    }
    let row = turn.state().agent(agent)?;
    if row.confirmed_dialect.is_some() || row.spec.dialect.is_some() {
        return None;
    }
    let interface = row.interface.as_ref()?;
    Some(Arc::new(Interface { dialect: other_dialect(interface.dialect), ..(**interface).clone() }))
}

/// True if the agent may speak the other dialect.
fn is_about_dialect(cause: &Cause) -> bool {
    matches!(cause, Cause::Rpc(error)
        if matches!(error.name, ErrorName::VersionNotSupported | ErrorName::MethodNotFound))
}

/// The interface that was used for a send.
fn current_interface(turn: &Turn, agent: AgentKey, send: &SendCall) -> Option<Arc<Interface>> {
    let interface = turn.state().agent(agent)?.interface.as_ref()?;
    if send.fallback.is_none() {
        return Some(interface.clone());
    }
    Some(Arc::new(Interface { dialect: other_dialect(interface.dialect), ..(**interface).clone() }))
}

fn failed(turn: &mut Turn, agent: AgentKey, send: SendCall, failure: Failure) {
    let key = send.attempt;
    {
        let watch = turn.watch(key);
        watch.stream = None;
    }
    if streaming::is_refused(&send, &failure) {
        let interface = current_interface(turn, agent, &send);
        if let Some(interface) = interface {
            let stream_refused = Some(Arc::new(failure.cause));
            return order(turn, agent, interface, SendCall { stream: false, stream_refused, ..send });
        }
    }
    if send.fallback.is_none()
        && let Some(interface) = fallback_interface(turn, agent, &failure.cause)
    {
        let first = send.stream_refused.clone().filter(|first| is_about_dialect(first));
        let stream = turn.state().agent(agent).is_some_and(crate::domain::agent::Agent::streams);
        let fallback = Some(first.unwrap_or_else(|| Arc::new(failure.cause)));
        return order(turn, agent, interface, SendCall { stream, fallback, stream_refused: None, ..send });
    }
    // If both dialects were refused, the first refusal is about the dialect in the card.
    let cause = match (&send.fallback, &failure.cause) {
        (Some(first), last) if is_about_dialect(last) => first.clone(),
        _ => Arc::new(failure.cause),
    };
    if send.answer {
        return answer::failed(turn, &send, failure.sent, cause);
    }
    // A listing has shown its task in the meantime: it is watched like any other.
    if turn.state().attempt(key).is_some_and(|attempt| attempt.task.is_some()) {
        return watch::go_on(turn, key);
    }
    if failure.sent == Sent::Not {
        return not_taken(turn, key, Phase::Unsent, cause);
    }
    if is_refusal(&cause) {
        return not_taken(turn, key, Phase::Refused, cause);
    }
    may_have_arrived(turn, agent, key, (*cause).clone());
}

/// True if the answer means that the agent did not take the message.
pub(super) fn is_refusal(cause: &Cause) -> bool {
    match cause {
        Cause::Rpc(_) | Cause::Login { .. } | Cause::RedirectRefused(_) => true,
        Cause::Limit(crate::domain::cause::Limit::Redirects) => true,
        // A gateway may answer 500, 502 or 504 while the work goes on behind it.
        Cause::Status { status, .. } => *status < 500 || matches!(status, 501 | 503),
        _ => false,
    }
}

/// It is not known yet whether the message arrived: looks for it if the agent can list its tasks.
fn may_have_arrived(turn: &mut Turn, agent: AgentKey, key: AttemptKey, cause: Cause) {
    if cause.is_transport() || !can_look_up(turn, agent) {
        uncertain(turn, key, Some(Arc::new(cause)));
        if can_look_up(turn, agent) {
            turn.set_timer(Timer::Lookup(key), turn.at + LOOKUP_WAIT);
        }
    } else {
        lookup(turn, key);
    }
}

fn uncertain(turn: &mut Turn, key: AttemptKey, cause: Option<Arc<Cause>>) {
    if turn.state().attempt(key).is_some_and(|attempt| attempt.phase == Phase::Sending) {
        turn.attempt_fact(key, AttemptFact::Moved { phase: Phase::Uncertain, cause });
    }
}

fn can_look_up(turn: &mut Turn, agent: AgentKey) -> bool {
    let lists = turn.state().agent(agent).is_some_and(|agent| agent.can(Ability::ListTasks));
    lists && !turn.agent_live(agent).listing.unsupported
}

/// Looks for a message of ours that may have arrived in the agent's listing.
pub(super) fn lookup(turn: &mut Turn, key: AttemptKey) {
    let Some(attempt) = turn.state().attempt(key) else { return };
    if attempt.task.is_some() || !matches!(attempt.phase, Phase::Sending | Phase::Uncertain) {
        return;
    }
    let agent = attempt.agent;
    let context = turn.state().job_of(attempt).and_then(|job| job.context.clone());
    if !can_look_up(turn, agent) || !turn.agent_live(agent).reached {
        return uncertain(turn, key, None);
    }
    let query = ListQuery { context, history: true, ..ListQuery::default() };
    listing::order_list(turn, agent, ListReason::Lookup(key), query);
}

/// A lookup has read the last page and found nothing.
pub(super) fn not_found(turn: &mut Turn, key: AttemptKey) {
    let watch = turn.watch(key);
    watch.lookups += 1;
    if watch.lookups < LOOKUPS {
        let at = turn.at + LOOKUP_WAIT;
        turn.set_timer(Timer::Lookup(key), at);
    } else {
        uncertain(turn, key, None);
    }
}

/// After a start, or when the agent is back: looks for every message that may have arrived.
pub(super) fn look_up_all(turn: &mut Turn, agent: AgentKey) {
    let doubtful: Vec<_> = turn
        .state()
        .open_attempts(agent)
        .into_iter()
        .filter(|key| turn.state().attempt(*key).is_some_and(|attempt| attempt.phase == Phase::Uncertain))
        .chain(sending_without_call(turn, agent))
        .collect();
    for key in doubtful {
        turn.watch(key).lookups = 0;
        lookup(turn, key);
    }
}

/// Sends an uncertain attempt again: the same message with the same id.
pub(super) fn resend(
    turn: &mut Turn,
    attempt: AttemptId,
    why: Option<Untrusted>,
) -> Result<Receipt, Refusal> {
    let key = turn.state().attempt_key(attempt).ok_or_else(|| unknown("attempt"))?;
    let row = turn.state().attempt(key).ok_or_else(|| unknown("attempt"))?;
    let job = turn.state().job_of(row).map(|job| job.id).ok_or_else(|| unknown("job"))?;
    if row.phase != Phase::Uncertain {
        return Err(not_now(format!(
            "the attempt is {}; only an uncertain one can be sent again",
            row.phase.as_str()
        )));
    }
    admission::accepts(turn, row.agent, Work::Planned)?;
    turn.clear_timer(Timer::Lookup(key));
    reason(turn, key, why);
    begin_again(turn, key);
    Ok(Receipt::Taken { job, attempt: Some(attempt) })
}

fn begin_again(turn: &mut Turn, key: AttemptKey) {
    turn.attempt_fact(key, AttemptFact::Moved { phase: Phase::Planned, cause: None });
    begin(turn, key);
}

/// Takes an attempt as lost that may have arrived, or whose agent cannot be reached: an operator decided so.
pub(super) fn presume_lost(
    turn: &mut Turn,
    attempt: AttemptId,
    why: Option<Untrusted>,
) -> Result<Receipt, Refusal> {
    let key = turn.state().attempt_key(attempt).ok_or_else(|| unknown("attempt"))?;
    let row = turn.state().attempt(key).ok_or_else(|| unknown("attempt"))?;
    let found = turn.state().job_of(row).is_some_and(|job| job.origin == Origin::Found);
    let cause = match &row.task {
        Some(_) if found => return Err(not_now("somebody else sent it: it is read once its agent answers")),
        Some(_) if row.is_cut_off(turn.health(row.agent)) => Some(retry::cut_off(turn, row.agent)),
        Some(task) if !task.is_over() && row.phase != Phase::PresumedLost => {
            return Err(not_now(format!(
                "its agent answers: task {} is {}",
                task.id.short(),
                task.state.word()
            )));
        }
        _ if row.phase != Phase::Uncertain => {
            return Err(not_now(format!("the attempt is {}, not uncertain", row.phase.as_str())));
        }
        _ => row.cause.clone(),
    };
    turn.clear_timer(Timer::Lookup(key));
    reason(turn, key, why);
    turn.attempt_fact(key, AttemptFact::Moved { phase: Phase::PresumedLost, cause });
    Ok(Receipt::Done)
}
