//! Toy agents, and the network to them, which delays, loses and duplicates.

use super::*;

/// The call of an open stream, and how its outcomes are wrapped.
pub(super) type Stream = (CallId, fn(StreamOutcome) -> Outcome);

#[derive(Clone, Debug)]
pub(super) struct ToyTask {
    pub(super) state: TaskState,
    pub(super) message: MessageId,
    pub(super) messages: Vec<Message>,
    pub(super) text: String,
    pub(super) script: u64,
    pub(super) streams: Vec<Stream>,
    /// The sender's id of the job.
    pub(super) job: Option<Untrusted>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ToyAgent {
    pub(super) up: bool,
    /// The number of its deaths, so that work from an earlier life stops.
    pub(super) life: u32,
    pub(super) forgets: bool,
    pub(super) is_0_3: bool,
    pub(super) streams: bool,
    /// Its streams report the end of tasks, but its store never does.
    pub(super) lies: bool,
    pub(super) tasks: BTreeMap<String, ToyTask>,
    pub(super) received: BTreeMap<MessageId, u32>,
}

impl World {
    pub(super) fn answer(&mut self, call: CallId, outcome: Outcome) {
        let wait = self.millis(0, 150);
        if self.mischief(20) {
            let late = self.millis(0, 4000);
            self.at(late, Happening::Input(Input::Outcome { call, outcome: outcome.clone() }));
        }
        self.at(wait, Happening::Input(Input::Outcome { call, outcome }));
    }

    pub(super) fn fail(&mut self, (call, kind): (CallId, CallKind), sent: Sent, cause: Cause) {
        self.answer(call, kind.failed(Failure { sent, cause }));
    }

    /// A request reaches an agent or is lost.
    pub(super) fn arrive(&mut self, index: usize, effect: Effect) {
        let Some(kind) = effect.order.kind() else { return };
        let call = (effect.call, kind);
        if !self.agents[index].up {
            return self.fail(call, Sent::Not, Cause::Refused);
        }
        if self.mischief(25) {
            // The request is lost.
            return self.fail(call, Sent::Maybe, Cause::TimedOut(Duration::from_secs(5)));
        }
        let lost_back = if self.mischief(25) {
            Some(Cause::Reset)
        } else if self.mischief(20) {
            self.wrong_shape(index, &effect.order)
        } else {
            None
        };
        let took = Duration::from_millis(3);
        if let Order::Get { task, .. } | Order::Cancel { task, .. } = &effect.order
            && self.mischief(20)
            && let Some(other) = self.foreign(index, &task.raw())
        {
            let answer = Ok(Answered { value: Box::new(other), took });
            let is_get = matches!(effect.order, Order::Get { .. });
            let outcome = if is_get { Outcome::Get(answer) } else { Outcome::Cancel(answer) };
            return self.answer(call.0, outcome);
        }
        match effect.order {
            Order::Probe { url, .. } => {
                let card = self.card(index);
                let card = Some(FetchedCard { card, url, etag: None });
                let value = Probed { card, server: ServerTraits::default() };
                self.answer(call.0, Outcome::Probe(Ok(Answered { value, took })));
            }
            Order::Send { message, stream, .. } => self.sent(index, call.0, &message, stream, lost_back),
            Order::Check { .. } => {
                self.fail(call, Sent::Maybe, lost_back.unwrap_or_else(|| rpc(ErrorName::TaskNotFound)));
            }
            Order::Get { task, .. } => match self.agents[index].tasks.get(&*task.raw()).cloned() {
                _ if lost_back.is_some() => self.fail(call, Sent::Maybe, lost_back.unwrap()),
                Some(mut toy) => {
                    if self.agents[index].lies && toy.state == TaskState::Completed {
                        toy.state = TaskState::Working;
                    }
                    let value = Box::new(report(&task.raw(), &toy));
                    self.answer(call.0, Outcome::Get(Ok(Answered { value, took })));
                }
                None => self.fail(call, Sent::Maybe, rpc(ErrorName::TaskNotFound)),
            },
            Order::List { query, .. } => self.list(index, call, &query, lost_back),
            Order::Subscribe { task, .. } => {
                let Some(toy) = self.agents[index].tasks.get_mut(&*task.raw()) else {
                    return self.fail(call, Sent::Maybe, rpc(ErrorName::TaskNotFound));
                };
                if toy.state.is_terminal() {
                    return self.fail(call, Sent::Maybe, rpc(ErrorName::UnsupportedOperation));
                }
                if let Some(cause) = lost_back {
                    return self.fail(call, Sent::Maybe, cause);
                }
                let stream: Stream = (call.0, subscribed);
                toy.streams.push(stream);
                let snapshot = StreamEvent::Task(Box::new(report(&task.raw(), toy)));
                self.stream_event(stream, snapshot);
                if self.mischief(20)
                    && let Some(other) = self.foreign(index, &task.raw())
                {
                    self.stream_event(stream, StreamEvent::Task(Box::new(other)));
                }
            }
            Order::Cancel { task, .. } => self.cancel(index, call, &task, lost_back),
            Order::Close { .. } | Order::Notify(_) | Order::LoadMessage { .. } => {}
        }
    }

    pub(super) fn list(
        &mut self,
        index: usize,
        call: (CallId, CallKind),
        query: &ListQuery,
        lost_back: Option<Cause>,
    ) {
        let took = Duration::from_millis(3);
        if self.agents[index].is_0_3 {
            return self.fail(call, Sent::Maybe, rpc(ErrorName::MethodNotFound));
        }
        if let Some(cause) = lost_back {
            return self.fail(call, Sent::Maybe, cause);
        }
        let tasks = self.agents[index]
            .tasks
            .iter()
            .filter(|(_, toy)| query.state.as_ref().is_none_or(|state| *state == toy.state))
            .map(|(id, toy)| {
                let mut report = report(id, toy);
                report.artifacts = None;
                if !query.history {
                    report.history.clear();
                }
                report
            })
            .collect();
        let value = Page { tasks, ..Page::default() };
        self.answer(call.0, Outcome::List(Ok(Answered { value, took })));
    }

    pub(super) fn cancel(
        &mut self,
        index: usize,
        call: (CallId, CallKind),
        task: &TaskId,
        lost_back: Option<Cause>,
    ) {
        let took = Duration::from_millis(3);
        let Some(toy) = self.agents[index].tasks.get_mut(&*task.raw()) else {
            return self.fail(call, Sent::Maybe, rpc(ErrorName::TaskNotFound));
        };
        if toy.state.is_terminal() {
            return self.fail(call, Sent::Maybe, rpc(ErrorName::TaskNotCancelable));
        }
        // One in four agents agrees but continues the task.
        if toy.script % 4 != 0 {
            toy.state = TaskState::Canceled;
        }
        let reported = report(&task.raw(), toy);
        if toy.state.is_terminal() {
            self.send_event(index, &task.raw(), status_of(&reported));
            self.end_streams(index, &task.raw());
        }
        if let Some(cause) = lost_back {
            self.fail(call, Sent::Maybe, cause);
        } else {
            self.answer(call.0, Outcome::Cancel(Ok(Answered { value: Box::new(reported), took })));
        }
    }

    /// The report of an ended task with an id other than the requested one.
    pub(super) fn foreign(&self, index: usize, asked: &str) -> Option<TaskReport> {
        let toy = self.agents[index].tasks.get(asked)?;
        let mut other = report("another", toy);
        other.status.state = TaskState::Completed;
        Some(other)
    }

    /// The cause of the failure that an answer of a random shape leads to, decoded like an answer from the wire; `None`
    /// if the shape happens to fit the request.
    pub(super) fn wrong_shape(&mut self, index: usize, order: &Order) -> Option<Cause> {
        let dialect = if self.agents[index].is_0_3 { Dialect::V0_3 } else { Dialect::V1_0 };
        let codec = codec(dialect);
        let shapes = [
            r#"{"tasks":[]}"#,
            r#"{"id":"x","kind":"task","status":{"state":"TASK_STATE_WORKING"}}"#,
            r#"{"message":{"messageId":"x","role":"ROLE_AGENT","parts":[]}}"#,
            r#"{"messageId":"x","kind":"message","role":"agent","parts":[]}"#,
            "{}",
            "null",
            "[]",
        ];
        let result = shapes[self.seed.below(shapes.len() as u64) as usize];
        let result = jsonrpc::result("1", result);
        let deviations = &mut Deviations::default();
        let method = order.kind()?.method();
        match order {
            Order::Send { .. } => reply::send(codec, method, &result, deviations).err(),
            Order::Check { .. } | Order::Get { .. } | Order::Cancel { .. } | Order::Subscribe { .. } => {
                reply::task(codec, method, &result, deviations).err()
            }
            Order::List { .. } => {
                reply::page(codec, method, &result, &mut RecentTasks::default(), deviations).err()
            }
            Order::Probe { .. } | Order::Close { .. } | Order::Notify(_) | Order::LoadMessage { .. } => None,
        }
    }

    pub(super) fn sent(
        &mut self,
        index: usize,
        call: CallId,
        message: &Message,
        stream: bool,
        lost_back: Option<Cause>,
    ) {
        let asked = (call, CallKind::Send);
        let count = self.agents[index].received.entry(message.id.clone()).or_default();
        *count += 1;
        let allowed = 1 + self.resent.get(&message.id).copied().unwrap_or(0);
        assert!(*count <= allowed, "message {} arrived {count} times, {allowed} allowed", message.id);
        let took = Duration::from_millis(3);
        self.check_begun(message);
        if let Some(task) = &message.task {
            // A message that is refused was not taken, so it may be sent again, for example without streaming.
            let refused = match self.agents[index].tasks.get(&*task.raw()) {
                None => Some(ErrorName::TaskNotFound),
                Some(toy) => toy.state.is_terminal().then_some(ErrorName::UnsupportedOperation),
            };
            if let Some(name) = refused {
                *self.agents[index].received.entry(message.id.clone()).or_default() -= 1;
                return self.fail(asked, Sent::Maybe, rpc(name));
            }
            let Some(toy) = self.agents[index].tasks.get_mut(&*task.raw()) else { return };
            toy.messages.push(message.clone());
            toy.state = TaskState::Working;
            let reported = report(&task.raw(), toy);
            let life = self.agents[index].life;
            let wait = self.millis(10, 2000);
            self.at(wait, Happening::Work { agent: index, task: task.raw().to_owned(), step: 4, life });
            return self.reply_to_send(index, call, &task.raw(), reported, stream, lost_back, took);
        }
        let script = self.seed.next();
        if script.is_multiple_of(11) {
            let words = Message { id: MessageId::from("direct"), role: Role::Agent, ..words("no task") };
            return if let Some(cause) = lost_back {
                self.fail(asked, Sent::Maybe, cause);
            } else if stream {
                self.stream_event((call, sending), StreamEvent::Message(Box::new(words)));
                self.answer(call, sending(StreamOutcome::Ended(Ok(()))));
            } else {
                let answered = Answered { value: Box::new(words), took };
                self.answer(call, Outcome::Send(SendOutcome::Message(answered)));
            };
        }
        let id = format!("t{index}-{}", self.order);
        let toy = ToyTask {
            state: TaskState::Submitted,
            message: message.id.clone(),
            messages: vec![message.clone()],
            text: String::new(),
            script,
            streams: Vec::new(),
            job: message.hints.job.clone(),
        };
        let reported = report(&id, &toy);
        let life = self.agents[index].life;
        self.agents[index].tasks.insert(id.clone(), toy);
        let wait = self.millis(10, 3000);
        self.at(wait, Happening::Work { agent: index, task: id.clone(), step: 0, life });
        self.reply_to_send(index, call, &id, reported, stream, lost_back, took);
    }

    #[expect(clippy::too_many_arguments, reason = "one call of a toy")]
    pub(super) fn reply_to_send(
        &mut self,
        index: usize,
        call: CallId,
        id: &str,
        reported: TaskReport,
        stream: bool,
        lost_back: Option<Cause>,
        took: Duration,
    ) {
        if let Some(cause) = lost_back {
            return self.fail((call, CallKind::Send), Sent::Maybe, cause);
        }
        if stream {
            if let Some(toy) = self.agents[index].tasks.get_mut(id) {
                toy.streams.push((call, sending));
            }
            self.stream_event((call, sending), StreamEvent::Task(Box::new(reported)));
        } else {
            let answered = Answered { value: Box::new(reported), took };
            self.answer(call, Outcome::Send(SendOutcome::Task(answered)));
        }
    }

    /// Delivers an event of a stream. Events of one stream keep their order, as with TCP.
    pub(super) fn stream_event(&mut self, (call, wrap): Stream, event: StreamEvent) {
        // Sometimes a reader delivers several events at once.
        let events = if self.mischief(40) { vec![event.clone(), event] } else { vec![event] };
        let outcome = wrap(StreamOutcome::Events(events));
        self.at(
            Duration::from_millis(20),
            Happening::Input(Input::Outcome { call, outcome: outcome.clone() }),
        );
        if self.mischief(40) {
            self.at(Duration::from_millis(20), Happening::Input(Input::Outcome { call, outcome }));
        }
    }

    pub(super) fn send_event(&mut self, index: usize, id: &str, event: StreamEvent) {
        let streams = self.agents[index].tasks.get(id).map(|toy| toy.streams.clone()).unwrap_or_default();
        for (call, wrap) in streams {
            if self.mischief(30) {
                self.drop_stream(index, id, call);
                let cut = wrap(StreamOutcome::Ended(Err(Cause::Reset)));
                self.at(Duration::from_millis(20), Happening::Input(Input::Outcome { call, outcome: cut }));
            } else {
                self.stream_event((call, wrap), event.clone());
            }
        }
    }

    pub(super) fn drop_stream(&mut self, index: usize, id: &str, call: CallId) {
        if let Some(toy) = self.agents[index].tasks.get_mut(id) {
            toy.streams.retain(|(open, _)| *open != call);
        }
    }

    pub(super) fn end_streams(&mut self, index: usize, id: &str) {
        let streams = self.agents[index]
            .tasks
            .get_mut(id)
            .map(|toy| std::mem::take(&mut toy.streams))
            .unwrap_or_default();
        for (call, wrap) in streams {
            let ended = Input::Outcome { call, outcome: wrap(StreamOutcome::Ended(Ok(()))) };
            self.at(Duration::from_millis(25), Happening::Input(ended));
        }
    }

    /// A task makes progress: a few chunks, then the end as its script says.
    pub(super) fn work(&mut self, index: usize, id: &str, step: u32, life: u32) {
        if !self.agents[index].up || self.agents[index].life != life {
            return;
        }
        let Some(toy) = self.agents[index].tasks.get_mut(id) else { return };
        if toy.state.is_terminal() {
            return;
        }
        let script = toy.script;
        let (event, more) = match step {
            0 => {
                toy.state = TaskState::Working;
                (status_of(&report(id, toy)), true)
            }
            1..=3 => {
                let text = format!("chunk {step} ");
                toy.text.push_str(&text);
                let artifact = Artifact::new("a", vec![Part::text(text.as_str())]);
                let event = StreamEvent::Artifact {
                    task: None,
                    context: None,
                    artifact,
                    append: step > 1,
                    last: step == 3,
                };
                (event, true)
            }
            4 if script % 5 == 0 && toy.messages.len() == 1 => {
                toy.state = TaskState::InputRequired;
                (status_of(&report(id, toy)), false)
            }
            // One in thirteen tasks never ends.
            _ if script % 13 == 0 => return,
            _ => {
                toy.state = if script % 3 == 0 { TaskState::Failed } else { TaskState::Completed };
                (status_of(&report(id, toy)), false)
            }
        };
        let ends = toy.state.is_terminal() || toy.state.is_interrupted();
        self.send_event(index, id, event);
        if ends {
            self.end_streams(index, id);
        }
        if more {
            let wait = self.millis(10, 3000);
            self.at(wait, Happening::Work { agent: index, task: id.to_owned(), step: step + 1, life });
        }
    }

    pub(super) fn toggle(&mut self, index: usize) {
        let agent = &mut self.agents[index];
        agent.up = !agent.up;
        if agent.up {
            let life = agent.life;
            if agent.forgets {
                agent.tasks.clear();
            }
            let running: Vec<_> = agent.tasks.iter().filter(|(_, toy)| !toy.state.is_terminal()).collect();
            let running: Vec<_> = running.into_iter().map(|(id, _)| id.clone()).collect();
            for task in running {
                let wait = self.millis(10, 3000);
                self.at(wait, Happening::Work { agent: index, task, step: 4, life });
            }
        } else {
            agent.life += 1;
            let streams: Vec<_> =
                agent.tasks.values_mut().flat_map(|toy| std::mem::take(&mut toy.streams)).collect();
            for (call, wrap) in streams {
                let cut = Input::Outcome { call, outcome: wrap(StreamOutcome::Ended(Err(Cause::Reset))) };
                self.at(Duration::from_millis(25), Happening::Input(cut));
            }
        }
    }

    pub(super) fn card(&self, index: usize) -> Arc<Card> {
        let version = if self.agents[index].is_0_3 { "0.3" } else { "1.0" };
        // Each life runs a newer version, and the last agent is no replica of another.
        let life = self.agents[index].life;
        let name = if index >= AGENTS - 1 { format!("loner {index}") } else { "toy".into() };
        let peer = |n: usize| Peer { name: None, url: format!("http://toy-{n}").into() };
        Arc::new(Card {
            name: name.as_str().into(),
            version: format!("1.{life}").into(),
            peers: vec![peer((index + 1) % AGENTS), peer(AGENTS + life as usize)],
            streaming: self.agents[index].streams,
            skills: vec![routing::skill()],
            offers: vec![Offer {
                url: format!("http://toy-{index}/").into(),
                binding: "JSONRPC".into(),
                version: Some(version.into()),
                tenant: None,
            }],
            digest: 1 + u64::from(life),
            ..Card::empty()
        })
    }
}

/// The index of an agent among the toys.
pub(super) fn index_of(agent: &Agent) -> usize {
    let url = agent.spec.url.trim_end_matches('/');
    url.rsplit_once('-').and_then(|(_, place)| place.parse().ok()).expect("the URL of a toy")
}

pub(super) fn sending(outcome: StreamOutcome) -> Outcome {
    Outcome::Send(SendOutcome::Stream(outcome))
}

pub(super) fn subscribed(outcome: StreamOutcome) -> Outcome {
    Outcome::Subscribe(SubscribeOutcome::Stream(outcome))
}

pub(super) fn rpc(name: ErrorName) -> Cause {
    Cause::Rpc(RpcError { name, code: None, message: "toy".into() })
}

pub(super) fn words(text: &str) -> Message {
    Message::new(text, Role::Agent, vec![Part::text(text)])
}

pub(super) fn report(id: &str, toy: &ToyTask) -> TaskReport {
    let artifact = Artifact::new("a", vec![Part::text(toy.text.as_str())]);
    TaskReport {
        artifacts: Some(if toy.text.is_empty() { vec![] } else { vec![artifact] }),
        history: toy.messages.clone(),
        ..TaskReport::new(id, Status::new(toy.state.clone()))
    }
}

pub(super) fn status_of(report: &TaskReport) -> StreamEvent {
    StreamEvent::status(Some(report.id.clone()), None, report.status.clone())
}
