//! The story of a demo: its messages, events and captions over time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::ABILITIES;
use super::errand::send;
use super::fleet::Fleet;
use super::folder::Progress;
use super::incident::{Evidence, Incident, Report, StepDone};
use super::operator;
use super::scenario::{Act, BackgroundWork, Beat, JobPart, Scenario};
use crate::domain::agent::service::ServiceChange;
use crate::domain::audit::Surface;
use crate::domain::fact::{Act as OperatorAct, Fact, FleetFact, JournalEntry, Owner};
use crate::domain::id::{AttemptId, Rng};
use crate::domain::intent::Intent;
use crate::domain::job::{Attempt, Origin, Phase};
use crate::domain::time::At;
use crate::engine::{Answer, Handle, Query};

/// Facts of an owner that are looked at for the steps of an incident.
const FACTS: usize = 8_192;
/// The rules may be late with moving the tasks of an agent that was killed, in real time: that it is down has to be found
/// out first.
const LATE: Duration = Duration::from_secs(20);
/// Seconds of the story that it may be behind its clock.
const BEHIND: f64 = 1.0;
/// The name under which the story acts: on screens, in the audit and in JSON.
const NAME: &str = "demo";

/// The current caption.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Caption {
    /// The text, one line.
    pub text: String,
    /// The suggested key, for self-guided viewers.
    pub tour: Option<String>,
    /// Seconds since the story began; `None` once it has ended.
    pub second: Option<u32>,
    /// The story waits for the presenter.
    pub waits: bool,
}

/// Options for playing a story.
#[derive(Clone, Copy, Debug)]
pub struct StoryOptions {
    /// How many times faster than life.
    pub speed: f64,
    /// Beats wait for the presenter.
    pub stage: bool,
    /// True if nothing is sent.
    pub no_work: bool,
    /// The built-in operator works, as nobody sits at the keys.
    pub unattended: bool,
}

/// A story under way.
#[derive(Debug)]
pub struct Story {
    /// The current caption.
    pub captions: watch::Receiver<Caption>,
    /// How far the incident is, if the scenario has one.
    pub report: watch::Receiver<Report>,
    /// `true`: the next beat; `false`: once more from the beat before.
    pub presenter: mpsc::Sender<bool>,
    tasks: Vec<tokio::task::AbortHandle>,
}

impl Drop for Story {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

impl Story {
    /// Starts a scenario on an engine that watches the fleet.
    pub fn begin(scenario: Scenario, fleet: Arc<Fleet>, handle: Handle, options: StoryOptions) -> Self {
        let (captions, state) =
            watch::channel(Caption { text: scenario.title.clone(), ..Caption::default() });
        let (presenter, keys) = mpsc::channel(8);
        let (reports, report) = watch::channel(Report::default());
        // Whoever started the demo does not do what its story does.
        let handle = handle.acting_as(NAME).through(Surface::Engine);
        let mut tasks = Vec::new();
        if options.unattended {
            let incident = scenario.incident.clone().and_then(|incident| {
                let part = scenario.agents.iter().find(|part| part.name == incident.agent)?;
                Some((incident, part.version.clone()))
            });
            let work = operator::work(handle.clone(), incident, report.clone(), options.speed);
            tasks.push(tokio::spawn(work).abort_handle());
        }
        let progress = fleet.folder().map(|folder| folder.progress()).unwrap_or_default();
        let named = progress.named.iter();
        let named = named.filter_map(|(name, attempt)| Some((name.clone(), attempt.parse().ok()?)));
        let teller = Narrator {
            named: named.collect(),
            fleet,
            handle,
            captions,
            reports,
            keys,
            options,
            seed: scenario.seed,
            incident: scenario.incident.clone(),
            began: progress.incident,
            steps: progress.steps,
            story: 0.0,
            resumed: Instant::now(),
        };
        tasks.push(tokio::spawn(teller.run(scenario)).abort_handle());
        Self { captions: state, report, presenter, tasks }
    }
}

/// The events of one second.
enum StoryEvent {
    Job(JobPart),
    Beat(Beat),
    Rule(Beat),
}

struct Narrator {
    fleet: Arc<Fleet>,
    handle: Handle,
    captions: watch::Sender<Caption>,
    reports: watch::Sender<Report>,
    keys: mpsc::Receiver<bool>,
    options: StoryOptions,
    /// Jobs that beats refer to.
    named: Vec<(String, AttemptId)>,
    seed: u64,
    incident: Option<Incident>,
    /// When the incident began, in microseconds since the Unix epoch; `None` before that.
    began: Option<i64>,
    /// The steps of the incident that are done.
    steps: Vec<StepDone>,
    /// Seconds of the story that have passed when the clock was last stopped.
    story: f64,
    resumed: Instant,
}

impl Narrator {
    fn second(&self) -> f64 {
        self.story + self.resumed.elapsed().as_secs_f64() * self.options.speed
    }

    async fn until(&self, second: f64) {
        let left = (second - self.second()) / self.options.speed;
        if left > 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(left)).await;
        }
    }

    async fn run(mut self, scenario: Scenario) {
        let Scenario { jobs, beats, calm, .. } = scenario;
        let able = |beat: &Beat| beat.needs.iter().all(|need| ABILITIES.contains(&need.as_str()));
        let (after, beats): (Vec<Beat>, Vec<Beat>) =
            beats.into_iter().filter(able).partition(|beat| beat.after.is_some());
        let mut moments: Vec<(f64, StoryEvent)> = Vec::new();
        if !self.options.no_work {
            moments.extend(jobs.into_iter().map(|job| (job.at, StoryEvent::Job(job))));
        }
        for beat in beats {
            match beat.by_rule_after {
                Some(after) => {
                    moments.push((beat.at + after, StoryEvent::Rule(beat.clone())));
                    moments.push((beat.at, StoryEvent::Beat(Beat { act: None, ..beat })));
                }
                None => moments.push((beat.at, StoryEvent::Beat(beat))),
            }
        }
        moments.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let mut index = self.resume(&moments);
        let mut aside = tokio::task::JoinSet::new();
        let mut calm = calm.filter(|_| !self.options.no_work);
        // On stage the clock stops between steps and waits for the end of each; an incident needs its traffic all the same.
        if let Some(calm) = calm.take_if(|_| !self.options.stage || self.incident.is_some()) {
            aside.spawn(self.aside().calm(calm));
        }
        while index < moments.len() {
            let (second, moment) = &moments[index];
            let ticks = self.captions.clone();
            let begun = self.second();
            let speed = self.options.speed;
            let clock = async {
                let mut shown = begun;
                loop {
                    tokio::time::sleep(Duration::from_secs_f64(1.0 / speed)).await;
                    shown += 1.0;
                    ticks.send_modify(|caption| caption.second = Some(whole(shown)));
                }
            };
            tokio::select! {
                () = self.until(*second) => {}
                () = clock => {}
            }
            self.captions.send_modify(|caption| caption.second = Some(whole(*second)));
            // Before it happens: what is not known to have happened must not happen twice.
            let begins = move |progress: &mut Progress| progress.moments = index + 1;
            match moment {
                StoryEvent::Job(job) => {
                    self.keep(begins);
                    self.send(job.clone()).await;
                }
                StoryEvent::Beat(beat) => {
                    if self.options.stage && beat.caption.is_some() && !self.wait_for_presenter().await {
                        // Once more from the beat before.
                        let earlier = moments[..index].iter().rposition(
                            |(_, moment)| matches!(moment, StoryEvent::Beat(beat) if beat.caption.is_some()),
                        );
                        index = earlier.unwrap_or(0);
                        self.story = moments[index].0;
                        self.resumed = Instant::now();
                        continue;
                    }
                    self.keep(begins);
                    self.show(beat);
                    self.act(beat).await;
                }
                StoryEvent::Rule(beat) => {
                    self.keep(begins);
                    let acted = self.act(beat).await;
                    self.captions.send_modify(|caption| {
                        if let Some(done) = &beat.done {
                            caption.text.clone_from(done);
                        }
                        if acted {
                            caption.text.push_str(match beat.act {
                                Some(Act::Move) => " (By rule: nobody did it.)",
                                _ => " (By the demo: nobody did it.)",
                            });
                        }
                    });
                }
            }
            index += 1;
            // Whatever took longer stops the clock, so that the captions after it do not fly past.
            if self.second() > *second + BEHIND {
                self.story = *second;
                self.resumed = Instant::now();
            }
        }
        if let Some(incident) = self.incident.clone().filter(|_| !self.options.no_work) {
            self.practise(&incident, after).await;
        }
        self.captions.send_modify(|caption| caption.second = None);
        match calm {
            Some(calm) => self.calm(calm).await,
            // It continues beside the story, and ends with it.
            None => while aside.join_next().await.is_some() {},
        }
    }

    /// The same clock, for work beside the story.
    fn aside(&self) -> Self {
        Self {
            fleet: self.fleet.clone(),
            handle: self.handle.clone(),
            captions: self.captions.clone(),
            reports: self.reports.clone(),
            keys: mpsc::channel(1).1,
            options: self.options,
            named: Vec::new(),
            seed: self.seed,
            incident: None,
            began: None,
            steps: Vec::new(),
            story: self.story,
            resumed: self.resumed,
        }
    }

    /// The moment to go on with, after a story that ended in the middle: its caption stands again.
    fn resume(&mut self, moments: &[(f64, StoryEvent)]) -> usize {
        let progress = self.fleet.folder().map(|folder| folder.progress()).unwrap_or_default();
        let index = progress.moments.min(moments.len());
        let Some((last, _)) = index.checked_sub(1).and_then(|last| moments.get(last)) else { return 0 };
        self.story = *last;
        self.resumed = Instant::now();
        let captioned = moments[..index].iter().rev().find_map(|(_, moment)| match moment {
            StoryEvent::Beat(beat) => beat.caption.is_some().then(|| beat.clone()),
            StoryEvent::Rule(beat) => {
                beat.done.is_some().then(|| Beat { caption: beat.done.clone(), ..beat.clone() })
            }
            StoryEvent::Job(_) => None,
        });
        if let Some(beat) = captioned {
            self.show(&beat);
        }
        index
    }

    /// Keeps how far the story is.
    fn keep(&self, change: impl FnOnce(&mut Progress)) {
        if let Some(folder) = self.fleet.folder() {
            folder.update(change);
        }
    }

    fn show(&self, beat: &Beat) {
        let (sent, doubled) = self.fleet.received();
        let fill = |text: &String| {
            text.replace("{sent}", &sent.to_string()).replace("{doubled}", &doubled.to_string())
        };
        self.captions.send_modify(|caption| {
            if let Some(text) = &beat.caption {
                caption.text = fill(text);
            }
            let kept = beat.tour_if_kept.as_ref().filter(|_| self.fleet.folder().is_some());
            if let Some(tour) = kept.or(beat.tour.as_ref()) {
                caption.tour = Some(fill(tour));
            }
            caption.second = Some(whole(beat.at));
        });
    }

    /// Waits for the presenter; the story's clock stops. False to repeat the previous step.
    async fn wait_for_presenter(&mut self) -> bool {
        self.story = self.second();
        self.captions.send_modify(|caption| caption.waits = true);
        let next = self.keys.recv().await.unwrap_or(true);
        self.captions.send_modify(|caption| caption.waits = false);
        self.resumed = Instant::now();
        next
    }

    async fn send(&mut self, job: JobPart) {
        let Some(attempt) = send(&self.handle, &job, "", 0).await else { return };
        if let Some(name) = job.name {
            self.keep(|progress| {
                progress.named.insert(name.clone(), attempt.to_string());
            });
            self.named.push((name, attempt));
        }
    }

    /// Performs a step. False if there was nothing left to do.
    async fn act(&mut self, beat: &Beat) -> bool {
        let Some(act) = beat.act else { return false };
        let who = beat.who.as_deref().unwrap_or_default();
        match act {
            Act::Kill => {
                self.keep(|progress| {
                    progress.down.insert(who.to_owned());
                });
                self.fleet.kill(who);
            }
            Act::Revive => {
                self.keep(|progress| {
                    progress.down.remove(who);
                });
                self.fleet.revive(who).await;
            }
            Act::Restart => {
                self.fleet.kill(who);
                let (fleet, who) = (self.fleet.clone(), who.to_owned());
                let wait = Duration::from_secs_f64(1.0 / self.options.speed);
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    fleet.revive(&who).await;
                });
            }
            Act::Cancel => {
                let named = self.named.iter().rev().find(|(name, _)| name == who);
                let Some((_, attempt)) = named else { return false };
                // The operator may have done it already.
                return self.handle.submit(Intent::Cancel { attempt: *attempt, why: None }).await.is_ok();
            }
            Act::Change => {
                let change = beat.change.clone().unwrap_or_default();
                let at_fault = self.incident.as_ref().is_some_and(|incident| incident.agent == who);
                if at_fault && change.fails.is_some() {
                    let now = self.fleet.now().micros();
                    self.began.get_or_insert(now);
                }
                let began = self.began;
                self.keep(|progress| {
                    progress.conditions.insert(who.to_owned(), change.clone());
                    progress.incident = began;
                });
                self.fleet.change(who, change);
            }
            Act::Move => return self.was_moved_by_rule(who).await,
            Act::Drain => return self.drain(who).await,
        }
        true
    }

    /// Waits until all that we sent to an agent that was killed is given up. True if no operator had a part in it.
    async fn was_moved_by_rule(&self, who: &str) -> bool {
        let mut snapshots = self.handle.watch();
        let given_up = snapshots.wait_for(|snapshot| {
            let dead = snapshot.agents.iter().find(|(_, agent)| agent.name.raw() == who).map(|(key, _)| key);
            let ours = |attempt: &&Attempt| {
                Some(attempt.agent) == dead
                    && snapshot.job_of(attempt).is_some_and(|job| job.origin == Origin::Sent)
            };
            let (given_up, live): (Vec<_>, Vec<_>) = snapshot
                .attempts
                .iter()
                .map(|(_, attempt)| attempt)
                .filter(ours)
                .filter(|attempt| attempt.is_live() || attempt.phase == Phase::PresumedLost)
                .partition(|attempt| attempt.phase == Phase::PresumedLost);
            !given_up.is_empty() && live.is_empty()
        });
        let Ok(Ok(_)) = tokio::time::timeout(LATE, given_up).await else { return false };
        let agent = self.agent(who);
        let facts = self.facts(Owner::Fleet).await;
        let by_operator = facts.iter().any(|entry| match &entry.fact {
            Fact::Fleet(FleetFact::Acted { act, agent: of, .. }) => {
                Some(*of) == agent && matches!(act, OperatorAct::PresumeLost | OperatorAct::Retry)
            }
            _ => false,
        });
        !by_operator
    }

    /// Drains an agent, unless the operator has taken it out of service already.
    async fn drain(&self, who: &str) -> bool {
        let Some(agent) = self.agent(who) else { return false };
        let snapshot = self.handle.snapshot();
        if snapshot.agents.iter().any(|(_, row)| row.id == agent && row.service.is_some()) {
            return false;
        }
        let to = ServiceChange::Drain { window: None, move_after: None };
        let why = Some("its stream and its store disagree".into());
        self.handle.submit(Intent::Service { agent, to, why, by: NAME.into() }).await.is_ok()
    }

    fn agent(&self, name: &str) -> Option<crate::domain::id::AgentId> {
        let snapshot = self.handle.snapshot();
        snapshot.agents.iter().find(|(_, agent)| agent.name.raw() == name).map(|(_, agent)| agent.id)
    }

    async fn facts(&self, owner: Owner) -> Vec<JournalEntry> {
        match self.handle.query(Query::Facts { owner, limit: FACTS }).await {
            Ok(Answer::Facts(facts)) => facts,
            Ok(_) | Err(_) => Vec::new(),
        }
    }

    /// Watches the operator until every step of the incident is done, and says how long each one takes. `after` are the
    /// beats that follow a step.
    async fn practise(&mut self, incident: &Incident, mut after: Vec<Beat>) {
        let Some(began) = self.began else { return };
        loop {
            let report = self.look(incident, began).await;
            let mut due = Vec::new();
            after.retain(|beat| {
                let done = self.steps.iter().find(|step| Some(step.act) == beat.after);
                let is_due = done.is_some_and(|done| {
                    let left = beat.at / self.options.speed;
                    self.fleet.now().since(At::from_micros(done.at)).as_secs_f64() >= left
                });
                if is_due {
                    due.push(beat.clone());
                }
                !is_due
            });
            for beat in due {
                self.show(&beat);
                self.act(&beat).await;
            }
            let second = whole(self.second());
            let is_over = report.seconds.is_some();
            let next = report.next().and_then(|next| incident.steps.iter().find(|step| step.act == next.act));
            let tour = next.and_then(|step| step.tour.clone());
            self.captions.send_modify(|caption| {
                if report.raised.is_some() {
                    caption.text = report.in_words();
                    caption.tour = tour;
                }
                caption.second = Some(second);
            });
            self.reports.send_if_modified(|known| {
                let changed = *known != report;
                *known = report;
                changed
            });
            if is_over {
                return;
            }
            tokio::time::sleep(Duration::from_secs_f64(1.0 / self.options.speed)).await;
        }
    }

    /// Looks which steps of the incident are done. A step that was done stays so, whatever happens later.
    async fn look(&mut self, incident: &Incident, began: i64) -> Report {
        let snapshot = self.handle.snapshot();
        let found = snapshot.agents.iter().find(|(_, agent)| agent.name.raw() == incident.agent);
        let Some((key, agent)) = found else { return Report::default() };
        let of_fleet = self.facts(Owner::Fleet).await;
        let of_agent = self.facts(Owner::Agent(agent.id)).await;
        let evidence = Evidence {
            agent: (key, agent.id),
            began: At::from_micros(began),
            of_fleet: &of_fleet,
            of_agent: &of_agent,
            snapshot: &snapshot,
        };
        let raised = evidence.problems().first().map(|(_, at)| at.micros());
        let left = incident.steps.iter().filter(|step| self.steps.iter().all(|done| done.act != step.act));
        let done: Vec<StepDone> = left.filter_map(|step| evidence.done(step.act)).collect();
        if !done.is_empty() {
            self.steps.extend(done);
            let steps = self.steps.clone();
            self.keep(|progress| progress.steps = steps);
        }
        Report::of(incident, began, raised, &self.steps, self.options.speed)
    }

    /// A calm fleet, a new traveller every few seconds.
    async fn calm(self, calm: BackgroundWork) {
        self.until(calm.from).await;
        let sent = self.fleet.folder().map_or(0, |folder| folder.progress().calm);
        let mut number = usize::try_from(sent).unwrap_or(0);
        loop {
            self.keep(|progress| progress.calm = number as u64 + 1);
            let Some(job) = calm.jobs.get(number % calm.jobs.len().max(1)) else { return };
            let mut chance = Rng::new(self.seed ^ number as u64);
            let pick = usize::try_from(chance.below(calm.names.len().max(1) as u64)).unwrap_or(0);
            let name = calm.names.get(pick).map_or("somebody", String::as_str);
            send(&self.handle, job, name, number).await;
            number += 1;
            tokio::time::sleep(Duration::from_secs_f64(calm.every / self.options.speed)).await;
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a minute")]
fn whole(second: f64) -> u32 {
    second.max(0.0) as u32
}
