//! The story of a demo: its messages, events and captions over time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::ABILITIES;
use super::fleet::Fleet;
use super::folder::Progress;
use super::scenario::{Act, BackgroundWork, Beat, JobPart, Scenario};
use crate::domain::id::{AttemptId, Rng};
use crate::domain::intent::{Intent, Receipt, Send};
use crate::domain::job::message::Part;
use crate::engine::Handle;

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
}

/// A story under way.
#[derive(Debug)]
pub struct Story {
    /// The current caption.
    pub captions: watch::Receiver<Caption>,
    /// `true`: the next beat; `false`: once more from the beat before.
    pub presenter: mpsc::Sender<bool>,
    task: tokio::task::AbortHandle,
}

impl Drop for Story {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Story {
    /// Starts a scenario on an engine that watches the fleet.
    pub fn begin(scenario: Scenario, fleet: Arc<Fleet>, handle: Handle, options: StoryOptions) -> Self {
        let (captions, state) =
            watch::channel(Caption { text: scenario.title.clone(), ..Caption::default() });
        let (presenter, keys) = mpsc::channel(8);
        let progress = fleet.folder().map(|folder| folder.progress()).unwrap_or_default();
        let named = progress.named.iter();
        let named = named.filter_map(|(name, attempt)| Some((name.clone(), attempt.parse().ok()?)));
        let teller = Narrator {
            named: named.collect(),
            fleet,
            handle,
            captions,
            keys,
            options,
            seed: scenario.seed,
            story: 0.0,
            resumed: Instant::now(),
        };
        let task = tokio::spawn(teller.run(scenario)).abort_handle();
        Self { captions: state, presenter, task }
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
    keys: mpsc::Receiver<bool>,
    options: StoryOptions,
    /// Jobs that beats refer to.
    named: Vec<(String, AttemptId)>,
    seed: u64,
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
        let mut moments: Vec<(f64, StoryEvent)> = Vec::new();
        if !self.options.no_work {
            moments.extend(jobs.into_iter().map(|job| (job.at, StoryEvent::Job(job))));
        }
        for beat in beats.into_iter().filter(able) {
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
        // On stage the clock stops between steps and waits for the end of each.
        if let Some(calm) = calm.take_if(|_| !self.options.stage) {
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
                    let by_rule = self.act(beat).await;
                    self.captions.send_modify(|caption| {
                        if let Some(done) = &beat.done {
                            caption.text.clone_from(done);
                        }
                        if by_rule {
                            caption.text.push_str(" (By rule: nobody did it.)");
                        }
                    });
                }
            }
            index += 1;
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
            keys: mpsc::channel(1).1,
            options: self.options,
            named: Vec::new(),
            seed: self.seed,
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
        let Some(attempt) =
            send(&self.handle, &job.to, &job.text, job.caller.as_deref(), job.skill.as_deref()).await
        else {
            return;
        };
        if let Some(name) = job.name {
            self.keep(|progress| {
                progress.named.insert(name.clone(), attempt.to_string());
            });
            self.named.push((name, attempt));
        }
    }

    /// Performs a step. False if there was nothing left to do.
    async fn act(&self, beat: &Beat) -> bool {
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
        }
        true
    }

    /// A calm fleet, a new traveller every few seconds.
    async fn calm(self, calm: BackgroundWork) {
        self.until(calm.from).await;
        let sent = self.fleet.folder().map_or(0, |folder| folder.progress().calm);
        let mut number = usize::try_from(sent).unwrap_or(0);
        loop {
            self.keep(|progress| progress.calm = number as u64 + 1);
            let job = &calm.jobs[number % calm.jobs.len().max(1)];
            let mut chance = Rng::new(self.seed ^ number as u64);
            let pick = usize::try_from(chance.below(calm.names.len() as u64)).unwrap_or(0);
            let name = calm.names.get(pick).map_or("somebody", String::as_str);
            let text = job.text.replace("{name}", name);
            send(&self.handle, &job.to, &text, job.caller.as_deref(), job.skill.as_deref()).await;
            number += 1;
            tokio::time::sleep(Duration::from_secs_f64(calm.every / self.options.speed)).await;
        }
    }
}

/// Sends a message as an operator would, once the agent is known.
async fn send(
    handle: &Handle,
    to: &str,
    text: &str,
    caller: Option<&str>,
    skill: Option<&str>,
) -> Option<AttemptId> {
    let agent = handle
        .snapshot()
        .agents
        .iter()
        .find(|(_, agent)| agent.name.raw() == to)
        .map(|(_, agent)| agent.id)?;
    let intent = Intent::Send(Box::new(Send {
        skill: skill.map(Into::into),
        caller: caller.map(Into::into),
        ..Send::new(agent, vec![Part::text(text)])
    }));
    match handle.submit(intent).await {
        Ok(Receipt::Taken { attempt, .. }) => Some(attempt),
        Ok(_) => None,
        Err(refusal) => {
            tracing::debug!(%refusal, to, "the story's job was not taken");
            None
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a minute")]
fn whole(second: f64) -> u32 {
    second.max(0.0) as u32
}
