//! `[[fleet.NAME.routes]]`: the rules of routing.

use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::load::{Reader, Value, join};
use super::units;
use crate::domain::route::balance::Balance;
use crate::domain::route::condition::{Condition, DataPath, DataTest, Field, TextPattern};
use crate::domain::route::{PRIORITY, Rule, Rules, Selector, UNREACHABLE_AFTER};
use crate::domain::text::{Untrusted, nearest};

/// The keys of a rule.
const RULE: &[&str] = &[
    "name",
    "match",
    "to",
    "balance",
    "weights",
    "timeout",
    "unreachable_after",
    "deadline",
    "retry",
    "hedge",
    "fallback",
    "priority",
    "concurrency",
    "idempotent",
];
/// The keys of `match`.
const MATCH: &[&str] = &["type", "skill", "tag", "text", "data", "context", "caller", "route"];
/// The keys of `to` and of each fallback.
const SELECTOR: &[&str] = &["skill", "tag", "label", "agent", "set"];
/// A fallback as written: agents, or the agents of another rule.
enum Fallback {
    Agents(Selector),
    Rule { at: usize, name: String },
}

impl<'a> Reader<'a> {
    /// The rules of a fleet, in order. `agents` are the names that rules may use; `None` if sources may name others.
    pub(super) fn routes(&mut self, table: &DeTable<'a>, path: &str, agents: Option<&[&str]>) -> Rules {
        let full = join(path, "routes");
        let mut rules: Vec<(usize, Rule, Vec<Fallback>)> = Vec::new();
        for (at, row) in self.tables(table, path, "routes") {
            self.only(row, &full, RULE);
            let Some((rule, fallback)) = self.rule(row, &full, at, agents) else { continue };
            if rules.iter().any(|(_, other, _)| other.name == rule.name) {
                self.fault(
                    at,
                    &join(&full, "name"),
                    format!("{:?} is the name of a rule above", &*rule.name),
                );
            }
            rules.push((at, rule, fallback));
        }
        let fallbacks: Vec<_> = (0..rules.len()).map(|index| self.expand(&rules, index, &full)).collect();
        let rules: Vec<Arc<Rule>> = rules
            .into_iter()
            .zip(fallbacks)
            .map(|((_, rule, _), fallback)| Arc::new(Rule { fallback, ..rule }))
            .collect();
        Rules { revision: revision(&rules), rules }
    }

    /// The fallbacks of a rule, with those of the rules that it falls back to.
    fn expand(&mut self, rules: &[(usize, Rule, Vec<Fallback>)], index: usize, full: &str) -> Vec<Selector> {
        let (mut found, mut path) = (Vec::new(), vec![index]);
        let mut faults = Vec::new();
        expand_into(rules, index, &mut path, &mut found, &mut faults);
        for (at, what) in faults {
            self.fault(at, &join(full, "fallback"), what);
        }
        found
    }

    fn rule(
        &mut self,
        row: &DeTable<'a>,
        full: &str,
        at: usize,
        agents: Option<&[&str]>,
    ) -> Option<(Rule, Vec<Fallback>)> {
        let name = self.required(row, full, "name", at);
        let (conditions, route) = self.conditions(row, full);
        let to = match row.get("to") {
            Some(value) => self.selector(value, &join(full, "to"), agents),
            None => {
                self.fault(at, &join(full, "to"), "is missing; write to = { skill = \"charge\" }");
                None
            }
        };
        let balance = |text: &str| {
            let words = Balance::ALL.map(Balance::as_str);
            let found = Balance::ALL.into_iter().find(|one| one.as_str() == text);
            found.ok_or_else(|| format!("{text:?} is no balance; write one of {}", words.join(", ")))
        };
        let show = |balance: &Balance| balance.as_str().to_owned();
        let weighted = row.get("weights").is_some();
        let usual = if weighted { Balance::Weighted } else { Balance::RoundRobin };
        let balance = self.text_setting(row, full, "balance", usual, balance, show);
        let weights = self.weights(row, full, agents);
        if weighted && balance != Balance::Weighted {
            self.fault(at, &join(full, "weights"), "are only used by balance = \"weighted\"");
        }
        let time = |reader: &mut Self, key: &str| {
            row.get(key)?;
            let show = |time: &Option<Duration>| time.map(units::show_duration).unwrap_or_default();
            reader.text_setting(row, full, key, None, |text| units::duration(text).map(Some), show)
        };
        let (timeout, deadline) = (time(self, "timeout"), time(self, "deadline"));
        let unreachable_after =
            self.text_setting(row, full, "unreachable_after", UNREACHABLE_AFTER, units::duration, |time| {
                units::show_duration(*time)
            });
        let retry = self.retry(row, full);
        let fallback = self.fallback(row, full, agents);
        let priority = |text: &str| match text.parse::<u8>() {
            Ok(number) if number <= 9 => Ok(number),
            _ => Err(format!("{text:?} is no priority; write 0 to 9, the higher the sooner")),
        };
        let priority = self.text_setting(row, full, "priority", PRIORITY, priority, u8::to_string);
        let concurrency = row.get("concurrency").and_then(|_| {
            let parse = |text: &str| match text.parse::<u32>() {
                Ok(number) if number > 0 => Ok(Some(number)),
                _ => Err(format!("{text:?} is no number of jobs; write 10")),
            };
            let show = |n: &Option<u32>| n.map(|n| n.to_string()).unwrap_or_default();
            self.text_setting(row, full, "concurrency", None, parse, show)
        });
        let idempotent = self.flag_setting(row, full, "idempotent", false);
        let hedge = self.hedge(row, full, idempotent);
        let (name, to) = (name?, to?);
        let rule = Rule {
            conditions,
            weights,
            balance,
            timeout,
            unreachable_after,
            deadline,
            retry,
            hedge,
            priority,
            concurrency,
            idempotent,
            ..Rule::new(name.as_str(), to)
        };
        let route = route.map_or_else(|| rule.route.clone(), Arc::from);
        Some((Rule { route, ..rule }, fallback))
    }

    /// The conditions of `match`, and the route.
    fn conditions(&mut self, row: &DeTable<'a>, full: &str) -> (Vec<Condition>, Option<String>) {
        let Some(table) = self.table(row, full, "match") else { return (Vec::new(), None) };
        let full = join(full, "match");
        self.only(table, &full, MATCH);
        let mut conditions = Vec::new();
        for field in [Field::Type, Field::Skill, Field::Tag, Field::Caller, Field::Context] {
            if let Some(value) = table.get(field.as_str()) {
                let values = self.texts(value, &join(&full, field.as_str()));
                if !values.is_empty() {
                    let values = values.into_iter().map(Untrusted::from).collect();
                    conditions.push(Condition::OneOf { field, values });
                }
            }
        }
        if table.get("text").is_some() {
            let parse = |text: &str| TextPattern::new(text).map(Some);
            let show = |pattern: &Option<TextPattern>| {
                pattern.as_ref().map(|pattern| pattern.as_str().to_owned()).unwrap_or_default()
            };
            conditions
                .extend(self.text_setting(table, &full, "text", None, parse, show).map(Condition::Text));
        }
        if let Some(value) = table.get("data") {
            self.data(value, &join(&full, "data"), &mut conditions);
        }
        let text = |text: &str| Ok(Some(text.to_owned()));
        let show = |route: &Option<String>| route.clone().unwrap_or_default();
        let route =
            table.get("route").and_then(|_| self.text_setting(table, &full, "route", None, text, show));
        (conditions, route)
    }

    /// A path that must exist, or paths with the values that they must have.
    fn data(&mut self, value: Value<'_, 'a>, full: &str, conditions: &mut Vec<Condition>) {
        match value.get_ref() {
            DeValue::String(path) => {
                let at = value.span().start;
                if let Some(path) = self.data_path(path, at, full) {
                    self.set(full, path.as_str(), Some(at));
                    conditions.push(Condition::Data { path, test: DataTest::Exists });
                }
            }
            DeValue::Table(table) => {
                for (key, value) in table {
                    let key_path = join(full, key.get_ref());
                    let path = self.data_path(key.get_ref(), key.span().start, &key_path);
                    let test = self.data_test(value, &key_path);
                    if let (Some(path), Some(test)) = (path, test) {
                        conditions.push(Condition::Data { path, test });
                    }
                }
            }
            other => {
                let what = format!(
                    "is {}; write data = \"$.country\", or data = {{ \"$.country\" = \"DE\" }}",
                    other.type_str()
                );
                self.fault(value.span().start, full, what);
            }
        }
    }

    fn data_path(&mut self, text: &str, at: usize, full: &str) -> Option<DataPath> {
        match DataPath::new(text) {
            Ok(path) => Some(path),
            Err(why) => {
                self.fault(at, full, format!("{text:?} is no JSONPath: {why}"));
                None
            }
        }
    }

    fn data_test(&mut self, value: Value<'_, 'a>, full: &str) -> Option<DataTest> {
        let at = value.span().start;
        match value.get_ref() {
            DeValue::Array(items) => {
                let values: Vec<_> = items.iter().filter_map(|item| self.scalar(item, full)).collect();
                if items.is_empty() {
                    self.fault(at, full, "is an empty list, which no value is one of");
                }
                self.set(full, show_values(&values), Some(at));
                Some(DataTest::OneOf(values))
            }
            DeValue::Table(bounds) => {
                self.only(bounds, full, &["above", "below"]);
                let mut bound = |key: &str| {
                    let value = bounds.get(key)?;
                    let number = self.scalar(value, &join(full, key))?;
                    match number {
                        serde_json::Value::Number(number) => Some(number),
                        _ => {
                            self.fault(value.span().start, &join(full, key), "is no number");
                            None
                        }
                    }
                };
                let (above, below) = (bound("above"), bound("below"));
                if above.is_none() && below.is_none() {
                    self.fault(at, full, "names no bound; write { above = 900 }");
                    return None;
                }
                let shown = [("above", &above), ("below", &below)];
                let shown =
                    shown.iter().filter_map(|(word, bound)| Some(format!("{word} {}", bound.as_ref()?)));
                self.set(full, shown.collect::<Vec<_>>().join(", "), Some(at));
                Some(DataTest::Between { above, below })
            }
            _ => {
                let value = self.scalar(value, full)?;
                self.set(full, show_values(std::slice::from_ref(&value)), Some(at));
                Some(DataTest::OneOf(vec![value]))
            }
        }
    }

    fn scalar(&mut self, value: &Spanned<DeValue<'a>>, full: &str) -> Option<serde_json::Value> {
        let number = |text: &str| text.replace('_', "").parse::<serde_json::Number>().ok();
        let scalar = match value.get_ref() {
            DeValue::String(text) => Some(serde_json::Value::String(text.to_string())),
            DeValue::Boolean(flag) => Some(serde_json::Value::Bool(*flag)),
            DeValue::Integer(text) => number(text.as_str()).map(serde_json::Value::Number),
            DeValue::Float(text) => number(text.as_str()).map(serde_json::Value::Number),
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
        };
        if scalar.is_none() {
            let what = format!("is {}; write a text, a number, true or false", value.get_ref().type_str());
            self.fault(value.span().start, full, what);
        }
        scalar
    }

    /// A text, or a list of texts.
    fn texts(&mut self, value: Value<'_, 'a>, full: &str) -> Vec<String> {
        let at = value.span().start;
        let words: Option<Vec<String>> = match value.get_ref() {
            DeValue::String(text) => Some(vec![text.to_string()]),
            DeValue::Array(items) => items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::String(text) => Some(text.to_string()),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        match words {
            Some(words) if !words.is_empty() => {
                self.set(full, words.join(", "), Some(at));
                words
            }
            _ => {
                self.fault(at, full, "is neither a text nor a list of texts");
                Vec::new()
            }
        }
    }

    fn selector(&mut self, value: Value<'_, 'a>, full: &str, agents: Option<&[&str]>) -> Option<Selector> {
        let at = value.span().start;
        let DeValue::Table(table) = value.get_ref() else {
            self.fault(
                at,
                full,
                format!("is {}; write {{ skill = \"charge\" }}", value.get_ref().type_str()),
            );
            return None;
        };
        self.only(table, full, SELECTOR);
        let mut given = SELECTOR.iter().filter_map(|key| Some((*key, table.get(*key)?)));
        let (key, value) = match (given.next(), given.next()) {
            (Some(one), None) => one,
            (None, _) => {
                self.fault(at, full, format!("names no agents; write one of {}", SELECTOR.join(", ")));
                return None;
            }
            (Some((one, _)), Some((other, _))) => {
                self.fault(at, full, format!("has both {one} and {other}; write one of them"));
                return None;
            }
        };
        let full = join(full, key);
        let words = self.texts(value, &full);
        let first = words.first()?.clone();
        let at = value.span().start;
        if key != "set" && words.len() > 1 {
            self.fault(at, &full, "is a list; several agents are a set");
            return None;
        }
        if matches!(key, "agent" | "set") {
            for name in &words {
                self.known_agent(name, at, &full, agents);
            }
        }
        Some(match key {
            "skill" => Selector::Skill(first.into()),
            "tag" => Selector::Tag(first.into()),
            "agent" => Selector::Agent(first.as_str().into()),
            "set" => Selector::Set(words.iter().map(|name| Arc::from(name.as_str())).collect()),
            _ => match first.split_once('=') {
                Some((name, value)) => {
                    Selector::Label { name: name.trim().into(), value: value.trim().into() }
                }
                None => {
                    self.fault(at, &full, format!("{first:?} is no label; write label = \"region=eu\""));
                    return None;
                }
            },
        })
    }

    fn known_agent(&mut self, name: &str, at: usize, full: &str, agents: Option<&[&str]>) {
        if let Some(agents) = agents.filter(|agents| !agents.contains(&name)) {
            let near = nearest(name, agents).map(|near| format!("; did you mean {near:?}?"));
            let what = format!("no agent of this fleet has the name {name:?}{}", near.unwrap_or_default());
            self.fault(at, full, what);
        }
    }

    fn weights(&mut self, row: &DeTable<'a>, full: &str, agents: Option<&[&str]>) -> Vec<(Arc<str>, u32)> {
        let Some(table) = self.table(row, full, "weights") else { return Vec::new() };
        let path = join(full, "weights");
        let parse = |text: &str| {
            text.parse::<u32>()
                .ok()
                .filter(|weight| *weight <= 1000)
                .ok_or_else(|| format!("{text:?} is no weight; write 0 to 1000"))
        };
        let mut weights = Vec::new();
        for key in table.keys() {
            let name = key.get_ref();
            self.known_agent(name, key.span().start, &path, agents);
            weights
                .push((Arc::from(&**name), self.text_setting(table, &path, name, 1, parse, u32::to_string)));
        }
        if !weights.is_empty() && weights.iter().all(|(_, weight)| *weight == 0) {
            let at = table.keys().next().map_or(0, |key| key.span().start);
            self.fault(at, &path, "are all 0, so no agent gets any work; give one at least 1");
        }
        weights
    }

    fn fallback(&mut self, row: &DeTable<'a>, full: &str, agents: Option<&[&str]>) -> Vec<Fallback> {
        let Some(value) = row.get("fallback") else { return Vec::new() };
        let full = join(full, "fallback");
        let DeValue::Array(items) = value.get_ref() else {
            let what =
                format!("is {}; write fallback = [{{ skill = \"charge\" }}]", value.get_ref().type_str());
            self.fault(value.span().start, &full, what);
            return Vec::new();
        };
        let one = |item: &Spanned<DeValue<'a>>| {
            let at = item.span().start;
            if let DeValue::Table(table) = item.get_ref()
                && table.len() == 1
                && table.get("rule").is_some()
            {
                let text = |text: &str| Ok(text.to_owned());
                let name = self.text_setting(table, &full, "rule", String::new(), text, String::clone);
                return Some(Fallback::Rule { at, name });
            }
            self.selector(item, &full, agents).map(Fallback::Agents)
        };
        items.iter().filter_map(one).collect()
    }
}

fn expand_into(
    rules: &[(usize, Rule, Vec<Fallback>)],
    index: usize,
    path: &mut Vec<usize>,
    found: &mut Vec<Selector>,
    faults: &mut Vec<(usize, String)>,
) {
    for fallback in &rules[index].2 {
        match fallback {
            Fallback::Agents(selector) => {
                if !found.contains(selector) {
                    found.push(selector.clone());
                }
            }
            Fallback::Rule { at, name } => {
                let Some(next) = rules.iter().position(|(_, rule, _)| *rule.name == **name) else {
                    // It is told once, for the rule that names it.
                    if path.len() == 1 {
                        faults.push((*at, format!("there is no rule {name:?}")));
                    }
                    continue;
                };
                if path.contains(&next) {
                    // Each circle is told once, for the first of its rules.
                    if path[0] == next && path.iter().all(|other| *other >= next) {
                        let names: Vec<_> = path.iter().map(|index| &*rules[*index].1.name).collect();
                        faults.push((
                            rules[next].0,
                            format!("falls back in a circle: {} → {name}", names.join(" → ")),
                        ));
                    }
                    continue;
                }
                let to = &rules[next].1.to;
                if !found.contains(to) {
                    found.push(to.clone());
                }
                path.push(next);
                expand_into(rules, next, path, found, faults);
                path.pop();
            }
        }
    }
}

fn show_values(values: &[serde_json::Value]) -> String {
    let shown = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    values.iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// A hash of what the rules say. 0 without rules; the same on every machine.
fn revision(rules: &[Arc<Rule>]) -> u64 {
    if rules.is_empty() {
        return 0;
    }
    let text = format!("{rules:?}");
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // It is shown and typed in hexadecimal digits: four bytes tell two versions apart.
    (hash ^ (hash >> 32)) & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::load::load_text;
    use crate::domain::route::{Hedge, HedgeAfter, Selector, UNREACHABLE_AFTER};

    fn faults(text: &str) -> Vec<String> {
        match load_text(text, Path::new("routes.toml")) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.faults.iter().map(|fault| fault.at(Path::new("routes.toml"))).collect(),
        }
    }

    #[test]
    fn the_example_rules_are_read() {
        let config = load_text(
            r#"
            [[fleet.default.routes]]
            name = "data"
            match = { type = "data_processing" }
            to = { skill = "data-analysis" }
            balance = "least_connections"

            [[fleet.default.routes]]
            name = "serving"
            match = { type = ["ml_inference", "ml_training"], data = { "$.amount" = { above = 900 }, country = ["DE", "FR"] } }
            to = { skill = "model-serving" }
            timeout = "30s"
            unreachable_after = "20s"
            retry = { policy = "exponential_backoff", max = 2 }
            hedge = { after = "p95" }
            fallback = [{ rule = "data" }, { tag = "slow" }]
            idempotent = true
            "#,
            Path::new("x"),
        )
        .unwrap();
        let rules = &config.fleets["default"].routes.rules;
        let words: Vec<_> = rules
            .iter()
            .map(|rule| {
                let conditions: Vec<_> = rule.conditions.iter().map(ToString::to_string).collect();
                let stages: Vec<_> = rule.stages().map(ToString::to_string).collect();
                format!(
                    "{}: {} -> {} {:?}",
                    rule.name,
                    conditions.join(", "),
                    stages.join(" | "),
                    rule.balance
                )
            })
            .collect();
        assert_eq!(
            words,
            [
                "data: type data_processing -> skill data-analysis LeastConnections",
                "serving: type in ml_inference, ml_training, data.amount is over 900, data.country is in DE, FR -> \
                 skill model-serving | skill data-analysis | tag slow RoundRobin",
            ]
        );
        assert!(matches!(&rules[1].fallback[0], Selector::Skill(_)));
        assert_eq!(rules[1].hedge, Some(Hedge { after: HedgeAfter::Percentile(95), max: 1 }));
        assert_eq!(rules[0].unreachable_after, UNREACHABLE_AFTER);
        assert_eq!(rules[1].unreachable_after, std::time::Duration::from_secs(20));
    }

    /// Every fault of the rules is told with its line, before anything is loaded.
    #[test]
    fn every_fault_is_told_with_its_line() {
        let text = r#"
[[fleet.default.agents]]
name = "one"
url = "http://h:1"

[[fleet.default.routes]]
name = "a"
match = { data = { "$.[" = 1 } }
to = { skill = "x" }
fallback = [{ rule = "b" }]

[[fleet.default.routes]]
name = "b"
to = { agent = "oen" }
fallback = [{ rule = "a" }]

[[fleet.default.routes]]
name = "b"
to = { set = ["one"] }
weights = { one = 0 }
balance = "fastest"

[[fleet.default.routes]]
name = "c"
match = { typ = "x" }
to = { skill = "x", tag = "y" }
fallback = [{ rule = "nowhere" }]

[[fleet.default.routes]]
name = "d"
to = { skill = "x" }
hedge = { after = "p95" }

[[fleet.default.routes]]
name = "e"
to = { skill = "x" }
idempotent = true
hedge = { after = "p50", max = 0 }

[[fleet.default.routes]]
name = "f"
to = { skill = "x" }
idempotent = true
hedge = { most = 1 }
"#;
        let told = faults(text);
        let expected = [
            (8, "is no JSONPath"),
            (6, "falls back in a circle: a → b → a"),
            (14, "no agent of this fleet has the name \"oen\"; did you mean \"one\"?"),
            (17, "\"b\" is the name of a rule above"),
            (20, "are all 0"),
            (21, "\"fastest\" is no balance"),
            (25, "is no setting; did you mean type?"),
            (26, "has both skill and tag"),
            (32, "does work twice; write idempotent = true"),
            (38, "\"p50\" is neither p95, p99 nor a time"),
            (38, "\"0\" is no number of attempts; write 1 to 4"),
            (44, "is no setting"),
            (44, "is missing; write after = \"p95\""),
        ];
        for (line, words) in expected {
            let found =
                told.iter().any(|fault| fault.contains(&format!(":{line}:")) && fault.contains(words));
            assert!(found, "line {line}: {words}\nin {told:#?}");
        }
        assert_eq!(told.len(), expected.len(), "{told:#?}");
    }
}
