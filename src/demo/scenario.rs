//! Scenario files: the agents, their work, and the timed events.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::behaviour::Behaviour;
use super::yesterday;
use crate::domain::metrics::objective::Objective;
use crate::domain::metrics::{MadeUp, Minute};
use crate::domain::time::At;

/// Scenarios that come with the program.
pub const BUILT_IN: [(&str, &str); 3] = [
    ("storm", include_str!("../../assets/demo/storm.toml")),
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
    /// The time in seconds.
    pub at: f64,
    /// The recipient.
    pub to: String,
    /// The message.
    pub text: String,
    /// The caller.
    #[serde(default)]
    pub caller: Option<String>,
    /// The skill.
    #[serde(default)]
    pub skill: Option<String>,
    /// A name by which beats refer to it.
    #[serde(default)]
    pub name: Option<String>,
}

/// One moment of the story.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beat {
    /// The time in seconds.
    pub at: f64,
    /// Abilities that a build needs for this step.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The event.
    #[serde(default, rename = "do")]
    pub act: Option<Act>,
    /// To which agent, or with which named job.
    #[serde(default)]
    pub who: Option<String>,
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
}

/// Work that keeps arriving after the story.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackgroundWork {
    /// From when on, in seconds.
    pub from: f64,
    /// Seconds between two jobs.
    pub every: f64,
    /// The jobs, in turn; `{name}` is replaced with a traveller.
    pub jobs: Vec<BackgroundJob>,
    /// The travellers.
    pub names: Vec<String>,
}

/// A recurring job.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackgroundJob {
    /// The recipient.
    pub to: String,
    /// The message.
    pub text: String,
    /// The caller.
    #[serde(default)]
    pub caller: Option<String>,
    /// The skill.
    #[serde(default)]
    pub skill: Option<String>,
}

impl Scenario {
    /// A scenario by the name of a built-in one, or by the path of a file.
    ///
    /// # Errors
    /// What is wrong, with the place.
    pub fn load(name: &str) -> Result<Self, String> {
        if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return Self::parse(text).map_err(|error| format!("the scenario {name} is broken: {error}"));
        }
        let path = Path::new(name);
        if !path.exists() {
            let known: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            return Err(format!("there is no scenario {name:?}; there are {}, and files", known.join(", ")));
        }
        let text =
            std::fs::read_to_string(path).map_err(|error| format!("{name} cannot be read: {error}"))?;
        Self::parse(&text).map_err(|error| format!("{name}: {error}"))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let scenario: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let names: Vec<_> = scenario.agents.iter().map(|agent| agent.name.as_str()).collect();
        let delegated =
            scenario.agents.iter().flat_map(|agent| agent.delegates.iter().map(|d| d.to.as_str()));
        let once = scenario.once.iter().map(String::as_str);
        let sent = scenario.jobs.iter().map(|job| job.to.as_str());
        let calm = scenario.calm.iter().flat_map(|calm| calm.jobs.iter().map(|job| job.to.as_str()));
        if let Some(unknown) = delegated.chain(once).chain(sent).chain(calm).find(|to| !names.contains(to)) {
            return Err(format!("no agent is called {unknown:?}"));
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
        Ok(Self { agents, jobs: Vec::new(), beats: Vec::new(), calm: None, yesterday: false, ..self })
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
        }
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

    #[test]
    fn built_in_scenarios_are_valid() {
        for (name, _) in BUILT_IN {
            let scenario = Scenario::load(name).unwrap();
            assert!(!scenario.agents.is_empty(), "{name}");
        }
        let storm = Scenario::load("storm").unwrap();
        assert_eq!(storm.agents.len(), 15);
        assert!(storm.dealt_out(3).is_err());
        assert!(Scenario::load("tempest").unwrap_err().contains("storm, hostile, document"));
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
