//! Scenario files: the agents, their work, and the timed events.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::behaviour::Behaviour;
use super::condition::Condition;
use super::incident::{Incident, StepAct};
use super::telemetry::{Instrumentation, Uses};
use super::yesterday;
use crate::config;
use crate::domain::metrics::objective::Objective;
use crate::domain::metrics::{MadeUp, Minute};
use crate::domain::route::{Backoff, Retry, Rule, Rules};
use crate::domain::time::At;

/// Scenarios that come with the program.
pub const BUILT_IN: [(&str, &str); 4] = [
    ("storm", include_str!("../../assets/demo/storm.toml")),
    ("checkout", include_str!("../../assets/demo/checkout.toml")),
    ("hostile", include_str!("../../assets/demo/hostile.toml")),
    ("document", include_str!("../../assets/demo/document.toml")),
];

/// A scenario: one file that may be copied and changed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One sentence; the first caption.
    pub title: String,
    /// Fixes everything that looks random.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// The agents.
    pub agents: Vec<AgentPart>,
    /// The agents that are there once, by name, when `--agents N` distributes the behaviours of the others. A scenario
    /// without any cannot be distributed.
    #[serde(default)]
    pub once: Vec<String>,
    /// Messages sent by our own engine, with their times.
    #[serde(default)]
    pub jobs: Vec<JobPart>,
    /// Other events and captions.
    #[serde(default)]
    pub beats: Vec<Beat>,
    /// Work that arrives forever after the story.
    pub calm: Option<BackgroundWork>,
    /// True if a day before the story is made up, so that there is something to compare with.
    #[serde(default)]
    pub yesterday: bool,
    /// The objectives of the fleet.
    #[serde(default)]
    pub objectives: Vec<ObjectivePart>,
    /// The fault on which an operator practises, if it is played for that.
    #[serde(default)]
    pub incident: Option<Incident>,
    /// The rules of routing, with the same keys as in a configuration file, whose reader reads them.
    #[serde(default, deserialize_with = "read_elsewhere")]
    pub routes: Rules,
}

fn read_elsewhere<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Rules, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| Rules::default())
}

/// An objective for a skill.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectivePart {
    /// The skill.
    pub skill: String,
    /// Per cent of its tasks that must succeed.
    pub ok: u32,
    /// Seconds within which 95 of a hundred must end.
    #[serde(default)]
    pub p95: Option<u64>,
}

fn default_seed() -> u64 {
    7
}

/// One agent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentPart {
    /// Its name.
    pub name: String,
    /// Its part in the story; the description in its card.
    #[serde(default)]
    pub part: String,
    /// `1.0` or `0.3`.
    #[serde(default = "default_dialect")]
    pub speaks: String,
    /// Its behaviour.
    pub behaviour: Behaviour,
    /// Its skills by id.
    #[serde(default)]
    pub skills: Vec<String>,
    /// How long its work takes, in seconds.
    #[serde(default = "default_takes")]
    pub takes: [f64; 2],
    /// Its status texts while it works.
    #[serde(default)]
    pub says: Vec<String>,
    /// The name of its output.
    #[serde(default)]
    pub output: Option<String>,
    /// Its output; `{text}` is replaced with the message.
    #[serde(default)]
    pub result: Option<String>,
    /// Work it delegates; `{text}` is replaced with the message.
    #[serde(default)]
    pub delegates: Vec<Delegation>,
    /// Its own version.
    #[serde(default = "default_version")]
    pub version: String,
    /// The name in its card, if it differs: agents with the same card are replicas.
    #[serde(default)]
    pub card: Option<String>,
    /// Its settings in the configuration.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// URLs of peers named in its card.
    #[serde(default)]
    pub peers: Vec<String>,
    /// Its card is a good one, whatever its behaviour.
    #[serde(default)]
    pub good_card: bool,
    /// How many tasks it accepts at once.
    #[serde(default)]
    pub capacity: Option<u32>,
    /// Stands for so many agents with this part: `search` for `search-1`, `search-2` and so on.
    #[serde(default)]
    pub copies: Option<u16>,
    /// What it sends by OTLP about its work: `otlp` (spans and log records), `none`, `clock-ahead` (the same by a clock that
    /// is an hour ahead) or `broken` (what cannot be read).
    #[serde(default)]
    pub telemetry: Instrumentation,
    /// The model that it asks, by the name in its spans.
    #[serde(default = "default_model")]
    pub model: String,
    /// What it uses in its steps, in turn: `model`, or the name of a tool; one with a dot is called by MCP. By default a
    /// search for its first skill, and the model.
    #[serde(default)]
    pub uses: Vec<String>,
}

fn default_dialect() -> String {
    "1.0".into()
}

fn default_takes() -> [f64; 2] {
    [2.0, 5.0]
}

fn default_version() -> String {
    "1.2.0".into()
}

fn default_model() -> String {
    "model-s".into()
}

impl AgentPart {
    /// The agents that this part stands for.
    fn copied(self) -> Vec<Self> {
        let Some(copies) = self.copies else { return vec![self] };
        let copy = |number| Self { name: format!("{}-{number}", self.name), copies: None, ..self.clone() };
        (1..=copies).map(copy).collect()
    }

    /// What it uses in a step.
    pub(super) fn uses(&self, step: u64) -> Uses<'_> {
        let number = usize::try_from(step).unwrap_or(0);
        let used = match (self.uses.as_slice(), self.skills.first()) {
            ([], Some(skill)) if number % 2 == 0 => return Uses::Search(skill),
            ([], _) => "model",
            (uses, _) => &uses[number % uses.len()],
        };
        if used == "model" { Uses::Model(&self.model) } else { Uses::Tool(used) }
    }
}

/// Delegated work.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// The recipient.
    pub to: String,
    /// The message.
    pub text: String,
    /// The delay in seconds of its own work.
    #[serde(default)]
    pub after: f64,
    /// Delegates only one in this many messages.
    #[serde(default = "one")]
    pub one_in: u64,
}

fn one() -> u64 {
    1
}

/// One job of our own engine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobPart {
    /// The time in seconds; work that keeps arriving has none.
    #[serde(default)]
    pub at: f64,
    /// The recipient; without one, the rules of routing choose it.
    #[serde(default)]
    pub to: Option<String>,
    /// The message.
    pub text: String,
    /// The caller.
    #[serde(default)]
    pub caller: Option<String>,
    /// The skill.
    #[serde(default)]
    pub skill: Option<String>,
    /// The message's metadata.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// The fields of a data part.
    #[serde(default)]
    pub data: BTreeMap<String, String>,
    /// A name by which beats refer to it.
    #[serde(default)]
    pub name: Option<String>,
}

impl JobPart {
    /// True if an agent may get it: by name, or as one with the skill.
    pub fn may_go_to(&self, agent: &AgentPart) -> bool {
        match (&self.to, &self.skill) {
            (Some(to), _) => *to == agent.name,
            (None, skill) => skill.as_ref().is_some_and(|skill| agent.skills.contains(skill)),
        }
    }
}

/// One moment of the story.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beat {
    /// The time in seconds: of the story, or since the operator's step that it follows.
    pub at: f64,
    /// It follows this step of the incident, whenever that is done.
    #[serde(default)]
    pub after: Option<StepAct>,
    /// Abilities that a build needs for this step.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The event.
    #[serde(default, rename = "do")]
    pub act: Option<Act>,
    /// To which agent, or with which named job.
    #[serde(default)]
    pub who: Option<String>,
    /// What is different about the agent from here on; empty: nothing any more.
    #[serde(default)]
    pub change: Option<Condition>,
    /// The caption from here on.
    #[serde(default)]
    pub caption: Option<String>,
    /// The suggested key, for self-guided viewers.
    #[serde(default)]
    pub tour: Option<String>,
    /// The same, while the demo is kept in a folder.
    #[serde(default)]
    pub tour_if_kept: Option<String>,
    /// Performed automatically this many seconds later, unless the operator did it.
    #[serde(default)]
    pub by_rule_after: Option<f64>,
    /// The caption from then on; it also says if the rule did it.
    #[serde(default)]
    pub done: Option<String>,
}

/// The event of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// The agent is killed: its port refuses.
    Kill,
    /// The agent comes back.
    Revive,
    /// The agent is killed and comes back a second later, without its tasks if it forgets.
    Restart,
    /// The named job is cancelled, as an operator would.
    Cancel,
    /// The agent becomes another one: other version, faults, speed.
    Change,
    /// The tasks of the agent that was killed have moved; it is said who did it, the operator or the rule.
    Move,
    /// The agent is taken out of service, as an operator would.
    Drain,
}

/// Work that keeps arriving after the story.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackgroundWork {
    /// From when on, in seconds.
    pub from: f64,
    /// Seconds between two jobs.
    pub every: f64,
    /// The jobs, in turn; `{name}` is replaced with a traveller, `{number}` with the number of the job.
    pub jobs: Vec<JobPart>,
    /// The travellers.
    #[serde(default)]
    pub names: Vec<String>,
}

impl Scenario {
    /// A scenario by the name of a built-in one, or by the path of a file.
    ///
    /// # Errors
    /// What is wrong, with the place.
    pub fn load(name: &str) -> Result<Self, String> {
        if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return Self::parse(text, Path::new(name))
                .map_err(|error| format!("the scenario {name} is broken: {error}"));
        }
        let path = Path::new(name);
        if !path.exists() {
            let known: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            return Err(format!("there is no scenario {name:?}; there are {}, and files", known.join(", ")));
        }
        let text =
            std::fs::read_to_string(path).map_err(|error| format!("{name} cannot be read: {error}"))?;
        Self::parse(&text, path).map_err(|error| format!("{name}: {error}"))
    }

    fn parse(text: &str, file: &Path) -> Result<Self, String> {
        let mut scenario: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        scenario.agents = scenario.agents.into_iter().flat_map(AgentPart::copied).collect();
        let names: Vec<_> = scenario.agents.iter().map(|agent| agent.name.as_str()).collect();
        scenario.routes = config::load_routes(text, file, &names).map_err(|faults| {
            let faults: Vec<_> = faults.faults.iter().map(|fault| fault.at(&faults.file)).collect();
            faults.join("; ")
        })?;
        let delegated =
            scenario.agents.iter().flat_map(|agent| agent.delegates.iter().map(|d| d.to.as_str()));
        let once = scenario.once.iter().map(String::as_str);
        let sent = scenario.jobs.iter().filter_map(|job| job.to.as_deref());
        let calm = scenario.calm.iter().flat_map(|calm| calm.jobs.iter().filter_map(|job| job.to.as_deref()));
        let at_fault = scenario.incident.iter().map(|incident| incident.agent.as_str());
        let mut named = delegated.chain(once).chain(sent).chain(calm).chain(at_fault);
        if let Some(unknown) = named.find(|to| !names.contains(to)) {
            return Err(format!("no agent is called {unknown:?}"));
        }
        if scenario.calm.as_ref().is_some_and(|calm| calm.jobs.is_empty() || calm.every <= 0.0) {
            return Err("[calm] needs jobs, and a positive `every`".into());
        }
        for agent in &scenario.agents {
            let old =
                |to: &str| scenario.agents.iter().any(|other| other.name == to && other.speaks == "0.3");
            if let Some(delegation) = agent.delegates.iter().find(|delegation| old(&delegation.to)) {
                // 0.3 cannot list tasks: those sent by others stay unknown.
                return Err(format!("{} delegates to {}, which speaks 0.3", agent.name, delegation.to));
            }
        }
        Ok(scenario)
    }

    /// The agents that are there once, and `agents` more to which the behaviours of the others are assigned in turn.
    /// They have no story: their tasks come from the built-in caller.
    ///
    /// # Errors
    /// The scenario's agents belong to its story.
    pub fn dealt_out(self, agents: usize) -> Result<Self, String> {
        let (once, others): (Vec<_>, Vec<_>) =
            self.agents.into_iter().partition(|agent| self.once.contains(&agent.name));
        if once.is_empty() || others.is_empty() {
            return Err("this scenario is played by its own agents only; leave out --agents, or choose \
                        --scenario hostile"
                .into());
        }
        let dealt = others.iter().cycle().take(agents).enumerate().map(|(index, part)| {
            let round = index / others.len() + 1;
            AgentPart { name: format!("{}-{round}", part.name), ..part.clone() }
        });
        let agents = once.into_iter().chain(dealt).collect();
        let (jobs, beats) = (Vec::new(), Vec::new());
        Ok(Self { agents, jobs, beats, calm: None, yesterday: false, incident: None, ..self })
    }

    /// A fleet of steady agents, for size and for faults.
    pub fn steady(agents: usize) -> Self {
        let part = |n: usize| AgentPart {
            name: format!("agent-{n:04}"),
            part: "does what it is told".into(),
            speaks: default_dialect(),
            behaviour: Behaviour::Steady,
            skills: vec!["work".into()],
            takes: default_takes(),
            says: Vec::new(),
            output: None,
            result: None,
            delegates: Vec::new(),
            version: default_version(),
            card: None,
            labels: BTreeMap::new(),
            peers: Vec::new(),
            good_card: false,
            capacity: None,
            copies: None,
            telemetry: Instrumentation::default(),
            model: default_model(),
            uses: Vec::new(),
        };
        Self {
            title: format!("{agents} agents at work."),
            seed: default_seed(),
            agents: (1..=agents).map(part).collect(),
            once: Vec::new(),
            jobs: Vec::new(),
            beats: Vec::new(),
            calm: None,
            yesterday: false,
            objectives: Vec::new(),
            incident: None,
            routes: Rules::default(),
        }
    }

    /// The rules of routing for a story that is `speed` times faster than life: their times are that much shorter.
    pub fn rules(&self, speed: f64) -> Rules {
        let faster = |time: Duration| Duration::from_secs_f64(time.as_secs_f64() / speed);
        let backoff = |backoff: Backoff| match backoff {
            Backoff::None => Backoff::None,
            Backoff::Fixed(wait) => Backoff::Fixed(faster(wait)),
            Backoff::Exponential { base, cap } => {
                Backoff::Exponential { base: faster(base), cap: faster(cap) }
            }
        };
        let rule = |rule: &Rule| Rule {
            timeout: rule.timeout.map(faster),
            unreachable_after: faster(rule.unreachable_after),
            deadline: rule.deadline.map(faster),
            retry: Retry { backoff: backoff(rule.retry.backoff), ..rule.retry },
            ..rule.clone()
        };
        let rules = self.routes.rules.iter().map(|one| rule(one).into());
        Rules { revision: self.routes.revision, rules: rules.collect() }
    }

    /// The day before `now`, or nothing if the scenario makes none up.
    pub fn yesterday(&self, now: At) -> MadeUp {
        if self.yesterday { yesterday::before(self, Minute::of(now)) } else { MadeUp::default() }
    }

    /// The objectives of the fleet.
    pub fn objectives(&self) -> Vec<Objective> {
        let objectives = self.objectives.iter().map(|part| Objective {
            skill: Some(part.skill.as_str().into()),
            caller: None,
            agent: None,
            ok: Some(part.ok * 10),
            p95: part.p95.map(Duration::from_secs),
        });
        objectives.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::route::Selector;

    #[test]
    fn built_in_scenarios_are_valid() {
        for (name, _) in BUILT_IN {
            let scenario = Scenario::load(name).unwrap();
            assert!(!scenario.agents.is_empty(), "{name}");
            for selector in scenario.routes.rules.iter().flat_map(|rule| rule.stages()) {
                let is_there = |agent: &AgentPart| match selector {
                    Selector::Skill(skill) => agent.skills.iter().any(|one| skill.raw() == one),
                    Selector::Agent(name) => agent.name == **name,
                    Selector::Label { name, value } => agent.labels.get(&**name) == Some(&value.to_string()),
                    Selector::Tag(_) | Selector::Set(_) => false,
                };
                assert!(scenario.agents.iter().any(is_there), "{name}: nobody is what {selector:?} names");
            }
        }
        // The two rules of docs/routing.md, in a story that is twice as fast.
        let rules = Scenario::load("storm").unwrap().rules(2.0);
        let serving = rules.rule("serving").unwrap();
        assert!(rules.rule("data").is_some());
        assert_eq!((serving.timeout, serving.retry.max), (Some(Duration::from_secs(15)), 2));
        let storm = Scenario::load("storm").unwrap();
        assert_eq!(storm.agents.len(), 15);
        assert!(storm.dealt_out(3).is_err());
        assert!(Scenario::load("tempest").unwrap_err().contains("storm, checkout, hostile, document"));
        assert_eq!(Scenario::load("checkout").unwrap().agents.len(), 60);
    }

    /// However many agents there are, one is good, and all names differ.
    #[test]
    fn any_number_of_agents_is_given_all_hostile_behaviours() {
        for count in [0, 1, 5, 80, 1000] {
            let agents = Scenario::load("hostile").unwrap().dealt_out(count).unwrap().agents;
            assert_eq!(agents.len(), count + 1);
            let names: std::collections::BTreeSet<_> = agents.iter().map(|agent| &agent.name).collect();
            assert_eq!(names.len(), agents.len(), "{count}");
            let good = agents.iter().filter(|agent| agent.behaviour == Behaviour::Steady);
            assert_eq!(good.count(), 1, "{count}");
        }
        let agents = Scenario::load("hostile").unwrap().dealt_out(80).unwrap().agents;
        let dealt: std::collections::BTreeSet<_> = agents.iter().map(|agent| agent.behaviour).collect();
        for behaviour in Behaviour::ALL.iter().skip_while(|known| **known != Behaviour::Hostile) {
            assert!(dealt.contains(behaviour), "{}", behaviour.as_str());
        }
    }
}
