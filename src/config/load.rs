//! Reading the layers: defaults, the file, the environment, flags.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::fault::{Fault, Faults};
use super::preferences::Preferences;
use super::secret::{SecretRef, is_secret_header};
use super::units;
use super::{Agent, Config, Credentials, Fleet, Login};
use crate::domain::agent::card::Dialect;
use crate::domain::route::Rules;
use crate::domain::text::nearest;
use crate::domain::trace::TraceCarrier;

/// Where a setting came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Built in.
    Default,
    /// A line of the file.
    File(usize),
    /// An environment variable.
    Environment(&'static str),
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(line) => write!(f, "file, line {line}"),
            Self::Environment(name) => write!(f, "environment, {name}"),
            Self::Flag(name) => write!(f, "flag, {name}"),
        }
    }
}

/// The effective value of a setting and its origin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    /// The key, from the top.
    pub key: String,
    /// The value; secrets are shown as references.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Reads the configuration of a file. A file that was not named and is not there counts as empty.
///
/// # Errors
/// Every fault of the file, each with its line.
pub fn load(named: Option<&Path>, usual: Option<&Path>, judge: PreferencesCheck) -> Result<Config, Faults> {
    let file = named.or(usual);
    let text = match file.map(|path| (path, std::fs::read_to_string(path))) {
        None => String::new(),
        Some((_, Ok(text))) => text,
        Some((_, Err(error))) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            String::new()
        }
        Some((path, Err(error))) => {
            let fault = Fault { line: 0, key: String::new(), what: format!("cannot be read: {error}") };
            return Err(Faults { file: path.to_owned(), faults: vec![fault] });
        }
    };
    load_checked(&text, file.unwrap_or(Path::new("config.toml")), judge)
}

/// Finds errors in keys, columns and views, which only the console can check.
pub type PreferencesCheck = fn(&Preferences) -> Vec<Fault>;

/// Reads a configuration from its text; `file` names it in faults and anchors relative paths.
///
/// # Errors
/// Every fault of the text, each with its line.
pub fn load_text(text: &str, file: &Path) -> Result<Config, Faults> {
    load_checked(text, file, |_| Vec::new())
}

/// Reads the rules of routing of a text that has them at its top, as `[[routes]]`; `agents` are the names that they may use.
///
/// # Errors
/// Every fault of the rules, each with its line.
pub fn load_routes(text: &str, file: &Path, agents: &[&str]) -> Result<Rules, Faults> {
    read(text, file, |reader, top| reader.routes(top, "", Some(agents))).map(|(rules, _)| rules)
}

fn load_checked(text: &str, file: &Path, judge: PreferencesCheck) -> Result<Config, Faults> {
    let read = read(text, file, |reader, top| {
        let config = reader.config(top);
        reader.faults.append(&mut judge(&config.preferences));
        config
    });
    let (mut config, settings) = read?;
    config.settings = settings;
    config.file = (!text.is_empty()).then(|| file.to_owned());
    Ok(config)
}

/// Parses a value from a text; all its errors are reported together.
pub(super) fn read<'t, T>(
    text: &'t str,
    file: &Path,
    what: impl FnOnce(&mut Reader<'t>, &DeTable<'t>) -> T,
) -> Result<(T, Vec<Setting>), Faults> {
    let base = file.parent().map(Path::to_owned).unwrap_or_default();
    let mut reader = Reader { text, base, ..Reader::default() };
    let read = match DeTable::parse(text) {
        Ok(table) => what(&mut reader, table.get_ref()),
        Err(error) => {
            let line = error.span().map_or(1, |span| reader.line(span.start));
            let message = error.message().lines().collect::<Vec<_>>().join(" ");
            reader.faults.push(Fault { line, key: String::new(), what: message });
            what(&mut reader, &DeTable::new())
        }
    };
    if reader.faults.is_empty() {
        return Ok((read, reader.settings));
    }
    reader.faults.sort_by(|a, b| (a.line, &a.key).cmp(&(b.line, &b.key)));
    Err(Faults { file: file.to_owned(), faults: reader.faults })
}

#[derive(Default)]
pub(super) struct Reader<'a> {
    text: &'a str,
    base: PathBuf,
    pub(super) faults: Vec<Fault>,
    pub(super) settings: Vec<Setting>,
}

/// The keys of a fleet.
const FLEET: &[&str] =
    &["protect", "data_dir", "probe_interval", "ca", "agents", "logins", "sources", "objectives", "routes"];

/// The tables and keys of the file.
const TOP: &[&str] = &[
    "default_fleet",
    "operator",
    "power_loss_safe",
    "console",
    "watch",
    "keep",
    "breaker",
    "problems",
    "minimum_version",
    "notify",
    "registry",
    "telemetry",
    "fleet",
    "keys",
    "columns",
    "view",
];

pub(super) type Value<'v, 'a> = &'v Spanned<DeValue<'a>>;

impl<'a> Reader<'a> {
    pub(super) fn line(&self, at: usize) -> usize {
        self.text.get(..at).map_or(1, |before| before.bytes().filter(|byte| *byte == b'\n').count() + 1)
    }

    pub(super) fn fault(&mut self, at: usize, key: &str, what: impl Into<String>) {
        let fault = Fault { line: self.line(at), key: key.to_owned(), what: what.into() };
        self.faults.push(fault);
    }

    pub(super) fn set(&mut self, key: &str, value: impl Into<String>, at: Option<usize>) {
        let origin = at.map_or(Origin::Default, |at| Origin::File(self.line(at)));
        self.settings.push(Setting { key: key.to_owned(), value: value.into(), origin });
    }

    /// A text setting, read by `parse`, or its default.
    pub(super) fn text_setting<T>(
        &mut self,
        table: &DeTable<'a>,
        path: &str,
        key: &str,
        default: T,
        parse: impl Fn(&str) -> Result<T, String>,
        show: impl Fn(&T) -> String,
    ) -> T {
        let full = join(path, key);
        let Some(value) = table.get(key) else {
            self.set(&full, show(&default), None);
            return default;
        };
        let at = value.span().start;
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.as_str().to_owned(),
            other => {
                self.fault(at, &full, format!("is {}, not a string", other.type_str()));
                return default;
            }
        };
        match parse(&text) {
            Ok(value) => {
                self.set(&full, show(&value), Some(at));
                value
            }
            Err(what) => {
                self.fault(at, &full, what);
                default
            }
        }
    }

    pub(super) fn flag_setting(&mut self, table: &DeTable<'a>, path: &str, key: &str, default: bool) -> bool {
        let full = join(path, key);
        match table.get(key) {
            None => {
                self.set(&full, default.to_string(), None);
                default
            }
            Some(value) => match value.get_ref() {
                DeValue::Boolean(flag) => {
                    self.set(&full, flag.to_string(), Some(value.span().start));
                    *flag
                }
                other => {
                    let what = format!("is {}, not true or false", other.type_str());
                    self.fault(value.span().start, &full, what);
                    default
                }
            },
        }
    }

    /// Every unknown key is an error, with the closest known one suggested.
    pub(super) fn only(&mut self, table: &DeTable<'a>, path: &str, known: &[&str]) {
        for key in table.keys() {
            let name = key.get_ref();
            if !known.contains(&name.as_ref()) {
                let what = if path.is_empty() && FLEET.contains(&name.as_ref()) {
                    format!("belongs to a fleet; write fleet.default.{name}")
                } else {
                    let near = nearest(name, known).map(|near| format!("; did you mean {near}?"));
                    format!("is no setting{}", near.unwrap_or_default())
                };
                self.fault(key.span().start, &join(path, name), what);
            }
        }
    }

    pub(super) fn table<'v>(
        &mut self,
        table: &'v DeTable<'a>,
        path: &str,
        key: &str,
    ) -> Option<&'v DeTable<'a>> {
        let value = table.get(key)?;
        match value.get_ref() {
            DeValue::Table(inner) => Some(inner),
            other => {
                let what = format!("is {}, not a table", other.type_str());
                self.fault(value.span().start, &join(path, key), what);
                None
            }
        }
    }

    pub(super) fn tables<'v>(
        &mut self,
        table: &'v DeTable<'a>,
        path: &str,
        key: &str,
    ) -> Vec<(usize, &'v DeTable<'a>)> {
        let Some(value) = table.get(key) else { return Vec::new() };
        let full = join(path, key);
        let DeValue::Array(items) = value.get_ref() else {
            let what = format!("is {}; write [[{full}]]", value.get_ref().type_str());
            self.fault(value.span().start, &full, what);
            return Vec::new();
        };
        self.rows(items, &full)
    }

    fn rows<'v>(&mut self, items: &'v DeArray<'a>, full: &str) -> Vec<(usize, &'v DeTable<'a>)> {
        let mut tables = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::Table(inner) => tables.push((item.span().start, inner)),
                other => {
                    self.fault(item.span().start, full, format!("holds {}, not a table", other.type_str()));
                }
            }
        }
        tables
    }

    fn config(&mut self, top: &DeTable<'a>) -> Config {
        self.only(top, "", TOP);
        let text = |text: &str| Ok(text.to_owned());
        let user = std::env::var("USER").unwrap_or_else(|_| "operator".into());
        let default_fleet =
            self.text_setting(top, "", "default_fleet", "default".into(), text, String::clone);
        let operator = self.text_setting(top, "", "operator", user, text, String::clone);
        let power_loss_safe = self.flag_setting(top, "", "power_loss_safe", false);
        let none = DeTable::new();
        let console = self.table(top, "", "console").unwrap_or(&none);
        let console = self.console(console);
        let watch = self.table(top, "", "watch").unwrap_or(&none);
        let watch = self.watch(watch);
        let keep = self.table(top, "", "keep").unwrap_or(&none);
        let keep = self.keep(keep);
        let breaker = self.table(top, "", "breaker").unwrap_or(&none);
        let breaker = self.breaker(breaker);
        let problems = self.table(top, "", "problems").unwrap_or(&none);
        let problems = self.problems(problems);
        let minimum_versions = self.minimum_versions(top);
        let notify = self.table(top, "", "notify").unwrap_or(&none);
        let notify = self.notify(notify);
        let registry = self.table(top, "", "registry").unwrap_or(&none);
        let registry = self.registry(registry);
        let telemetry = self.table(top, "", "telemetry").unwrap_or(&none);
        let telemetry = self.telemetry(telemetry);
        let preferences = self.preferences(top);
        let mut fleets = BTreeMap::new();
        if let Some(tables) = self.table(top, "", "fleet") {
            for (name, value) in tables {
                let path = join("fleet", name.get_ref());
                match value.get_ref() {
                    DeValue::Table(table) => {
                        let fleet = self.fleet(table, &path);
                        fleets.insert(name.get_ref().to_string(), fleet);
                    }
                    other => {
                        let what = format!("is {}; write [{path}]", other.type_str());
                        self.fault(value.span().start, &path, what);
                    }
                }
            }
        }
        if let Some(value) = top.get("default_fleet")
            && !fleets.contains_key(&default_fleet)
        {
            let what = format!("there is no [fleet.{default_fleet}]");
            self.fault(value.span().start, "default_fleet", what);
        }
        Config {
            default_fleet,
            operator,
            console,
            watch,
            keep,
            breaker,
            problems,
            minimum_versions,
            notify,
            power_loss_safe,
            registry,
            telemetry,
            fleets,
            preferences,
            settings: Vec::new(),
            file: None,
        }
    }

    pub(super) fn path(&self, text: &str) -> PathBuf {
        match text.strip_prefix("~/") {
            Some(rest) => std::env::home_dir().unwrap_or_default().join(rest),
            None => self.base.join(text),
        }
    }

    pub(super) fn maybe_path(&mut self, table: &DeTable<'a>, path: &str, key: &str) -> Option<PathBuf> {
        let base = self.base.clone();
        let anchored = Reader { base, ..Reader::default() };
        table.get(key)?;
        let parse = |text: &str| Ok(Some(anchored.path(text)));
        let show =
            |path: &Option<PathBuf>| path.as_ref().map(|p| p.display().to_string()).unwrap_or_default();
        self.text_setting(table, path, key, None, parse, show)
    }

    fn fleet(&mut self, table: &DeTable<'a>, path: &str) -> Fleet {
        self.only(table, path, FLEET);
        let interval = Fleet::default().probe_interval;
        let show = |time: &Duration| units::show_duration(*time);
        let fleet = Fleet {
            protect: self.flag_setting(table, path, "protect", false),
            data_dir: self.maybe_path(table, path, "data_dir"),
            probe_interval: self.text_setting(table, path, "probe_interval", interval, units::duration, show),
            ca: self.maybe_path(table, path, "ca"),
            agents: Vec::new(),
            logins: Vec::new(),
            sources: Vec::new(),
            objectives: self.objectives(table, path),
            routes: Rules::default(),
        };
        let mut agents: Vec<Agent> = Vec::new();
        let mut declared = Vec::new();
        for (at, row) in self.tables(table, path, "agents") {
            if let Some(agent) = self.agent(row, &join(path, "agents"), at) {
                if agent.name.is_some() && agents.iter().any(|other| other.name == agent.name) {
                    let name = agent.name.clone().unwrap_or_default();
                    self.fault(
                        at,
                        &join(path, "agents"),
                        format!("the name {name:?} is taken by an agent above"),
                    );
                }
                declared.extend(agent.replica_of.clone().map(|of| (at, of)));
                agents.push(agent);
            }
        }
        for (at, of) in declared {
            match agents.iter_mut().find(|agent| agent.name.as_ref() == Some(&of)) {
                // The agent that others are replicas of belongs to them.
                Some(first) => first.replica_of = Some(of),
                None => {
                    let key = join(&join(path, "agents"), "replica_of");
                    self.fault(at, &key, format!("no agent of this fleet has the name {of:?}"));
                }
            }
        }
        let mut logins = Vec::new();
        for (at, row) in self.tables(table, path, "logins") {
            let path = join(path, "logins");
            self.only(row, &path, &["url", "bearer", "headers"]);
            let credentials = self.credentials(row, &path);
            match self.required(row, &path, "url", at) {
                Some(url) if !url.contains("://") => {
                    self.fault(at, &join(&path, "url"), "needs a scheme: https://*.example.com");
                }
                Some(url) => logins.push(Login { url, credentials }),
                None => {}
            }
        }
        let sources = self.sources(table, path);
        let names: Vec<&str> = agents.iter().filter_map(|agent| agent.name.as_deref()).collect();
        // Agents of sources have names that nobody knows before they are found, and a file of rules alone names none.
        let known = sources.is_empty() && !agents.is_empty();
        let routes = self.routes(table, path, known.then_some(&names));
        Fleet { agents, logins, sources, routes, ..fleet }
    }

    pub(super) fn required(
        &mut self,
        table: &DeTable<'a>,
        path: &str,
        key: &str,
        at: usize,
    ) -> Option<String> {
        if table.get(key).is_none() {
            self.fault(at, &join(path, key), "is missing");
            return None;
        }
        let faults = self.faults.len();
        let text =
            self.text_setting(table, path, key, String::new(), |text| Ok(text.to_owned()), String::clone);
        (self.faults.len() == faults).then_some(text)
    }

    fn agent(&mut self, table: &DeTable<'a>, path: &str, at: usize) -> Option<Agent> {
        let known = [
            "name",
            "url",
            "bearer",
            "headers",
            "ca",
            "dialect",
            "resubscribe",
            "labels",
            "replica_of",
            "max_concurrent_tasks",
            "probe_interval",
            "trace_context",
        ];
        self.only(table, path, &known);
        let maybe = |text: &str| Ok(Some(text.to_owned()));
        let show = |text: &Option<String>| text.clone().unwrap_or_default();
        let name = match table.get("name") {
            Some(_) => self.text_setting(table, path, "name", None, maybe, show),
            None => None,
        };
        let dialect = match table.get("dialect") {
            Some(_) => {
                let parse = |text: &str| match Dialect::from_version(text) {
                    Some(dialect) => Ok(Some(dialect)),
                    None => Err(format!("{text:?} is not spoken; write \"1.0\" or \"0.3\"")),
                };
                let show = |d: &Option<Dialect>| d.map(|d| d.to_string()).unwrap_or_default();
                self.text_setting(table, path, "dialect", None, parse, show)
            }
            None => None,
        };
        let resubscribe =
            table.get("resubscribe").map(|_| self.flag_setting(table, path, "resubscribe", false));
        let labels = self.labels(table, path);
        let replica_of = match table.get("replica_of") {
            Some(_) => self.text_setting(table, path, "replica_of", None, maybe, show),
            None => None,
        };
        let capacity = |text: &str| match text.parse::<u32>() {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(format!("{text:?} is no number of tasks; write 10")),
        };
        let max_concurrent_tasks = table.get("max_concurrent_tasks").and_then(|_| {
            let show = |n: &Option<u32>| n.map(|n| n.to_string()).unwrap_or_default();
            self.text_setting(table, path, "max_concurrent_tasks", None, capacity, show)
        });
        let probe_interval = table.get("probe_interval").and_then(|_| {
            let parse = |text: &str| units::duration(text).map(Some);
            let show = |time: &Option<Duration>| time.map(units::show_duration).unwrap_or_default();
            self.text_setting(table, path, "probe_interval", None, parse, show)
        });
        let trace_context = table.get("trace_context").and_then(|_| {
            let parse = |text: &str| match TraceCarrier::from_word(text) {
                Some(carrier) => Ok(Some(carrier)),
                None => {
                    Err(format!("{text:?} carries no trace context; write headers, metadata, both or off"))
                }
            };
            let show =
                |carrier: &Option<TraceCarrier>| carrier.map(TraceCarrier::as_str).unwrap_or_default().into();
            self.text_setting(table, path, "trace_context", None, parse, show)
        });
        let credentials = self.credentials(table, path);
        let ca = self.maybe_path(table, path, "ca");
        let url = self.required(table, path, "url", at)?;
        let is_word = !url.contains([':', '.', '/']) && url != "localhost";
        let checked = if is_word {
            Err(format!("{url:?} is no URL; if it is the name of a host, write http://{url}"))
        } else {
            check_url(&url)
        };
        if let Err(what) = checked {
            self.fault(at, &join(path, "url"), what);
            return None;
        }
        Some(Agent {
            name,
            url,
            credentials,
            ca,
            dialect,
            resubscribe,
            labels,
            replica_of,
            max_concurrent_tasks,
            probe_interval,
            trace_context,
        })
    }

    pub(super) fn labels(&mut self, table: &DeTable<'a>, path: &str) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        let Some(inner) = self.table(table, path, "labels") else { return labels };
        let path = join(path, "labels");
        for key in inner.keys() {
            let name = key.get_ref();
            let value = self.text_setting(inner, &path, name, String::new(), |t| Ok(t.into()), String::clone);
            labels.insert(name.to_string(), value);
        }
        labels
    }

    pub(super) fn credentials(&mut self, table: &DeTable<'a>, path: &str) -> Credentials {
        let mut credentials = Credentials::default();
        if let Some(value) = table.get("bearer") {
            credentials.bearer = self.secret(value, &join(path, "bearer"), true);
        }
        if let Some(headers) = self.table(table, path, "headers") {
            for (name, value) in headers {
                let full = join(&join(path, "headers"), name.get_ref());
                if http::HeaderName::try_from(name.get_ref().as_ref()).is_err() {
                    self.fault(name.span().start, &full, "is no header name");
                    continue;
                }
                if let Some(secret) = self.secret(value, &full, is_secret_header(name.get_ref())) {
                    credentials.headers.insert(name.get_ref().to_string(), secret);
                }
            }
        }
        credentials
    }

    pub(super) fn secret(&mut self, value: Value<'_, 'a>, key: &str, is_secret: bool) -> Option<SecretRef> {
        let at = value.span().start;
        let DeValue::String(text) = value.get_ref() else {
            self.fault(at, key, format!("is {}, not a string", value.get_ref().type_str()));
            return None;
        };
        let Ok(secret) = text.parse::<SecretRef>();
        if secret.is_literal() && is_secret {
            self.fault(at, key, "holds the secret itself; write env:NAME, file:PATH or cmd:COMMAND");
            return None;
        }
        let secret = match secret {
            SecretRef::File(path) => SecretRef::File(self.path(&path.to_string_lossy())),
            other => other,
        };
        if is_secret && let Some(fault) = secret.length_fault() {
            self.fault(at, key, format!("{} {fault}", secret.shown()));
            return None;
        }
        self.set(key, secret.shown(), Some(at));
        Some(secret)
    }
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// True if this is a URL that an agent can have; a scheme may be left out.
pub(super) fn check_url(url: &str) -> Result<(), String> {
    let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    match url::Url::parse(&full) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.host().is_some() => Ok(()),
        Ok(parsed) => Err(format!("{}: is no scheme of an agent; write http or https", parsed.scheme())),
        Err(error) => Err(format!("{url:?} is no URL: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn faults(text: &str, expected: &[(usize, &str)]) {
        let error = load_text(text, Path::new("/etc/q.toml")).expect_err("it has faults");
        let got: Vec<_> = error.faults.iter().map(|f| (f.line, format!("{}: {}", f.key, f.what))).collect();
        assert_eq!(got.len(), expected.len(), "{got:?}");
        for ((line, what), (expected_line, part)) in got.iter().zip(expected) {
            assert_eq!(line, expected_line, "{what}");
            assert!(what.contains(part), "{what:?} says nothing of {part:?}");
        }
    }

    #[test]
    fn all_faults_are_reported_at_once_with_their_lines() {
        faults(
            "operator = 3.5\nthem = 1\n[console]\ntheme = \"pink\"\nmouse = \"yes\"\n[watch]\nsilent_after = \"soon\"\nprobes_per_host = 0\n",
            &[
                (1, "operator: is float"),
                (2, "them: is no setting"),
                (4, "console.theme: is \"pink\"; write one of dark"),
                (5, "console.mouse: is string, not true or false"),
                (7, "watch.silent_after: not a duration"),
                (8, "watch.probes_per_host: \"0\" is no number from 1 to 200"),
            ],
        );
        faults(
            "[[agents]]\nurl = \"http://x\"\n",
            &[(1, "agents: belongs to a fleet; write fleet.default.agents")],
        );
        faults(
            "[fleet.prod]\nprotekt = true\n[[fleet.prod.agents]]\nname = \"a\"\n[[fleet.prod.agents]]\nurl = \"ftp://x\"\nbearer = \"sk-1\"\n[[fleet.prod.agents]]\nurl = \"http://x\"\ndialect = \"0.2\"\nheaders = { \"x-api-key\" = \"v\", \"bad name\" = \"env:X\" }\n",
            &[
                (2, "did you mean protect?"),
                (3, "fleet.prod.agents.url: is missing"),
                (5, "ftp: is no scheme"),
                (7, "holds the secret itself"),
                (10, "is not spoken"),
                (11, "headers.bad name: is no header name"),
                (11, "headers.x-api-key: holds the secret itself"),
            ],
        );
        faults(
            "[[fleet.default.agents]]\nurl = \"notaurl\"\n",
            &[(1, "\"notaurl\" is no URL; if it is the name of a host, write http://notaurl")],
        );
        faults(
            "[registry]\nlisten = \"0.0.0.0:8080\"\nlease = \"10ms\"\ntokn = 1\n",
            &[(2, "others reach this address"), (3, "is not from 1s to 1d"), (4, "did you mean token?")],
        );
        faults(
            "[registry]\nlisten = \"here\"\ntoken = \"s3cret\"\n",
            &[(2, "\"here\" is no address with a port"), (3, "holds the secret itself")],
        );
        faults("[console\ntheme=1", &[(1, "")]);
        faults("default_fleet = \"prod\"\n", &[(1, "there is no [fleet.prod]")]);
    }

    #[test]
    fn settings_take_effect_and_name_their_origin() {
        let text = "default_fleet = \"prod\"\n[fleet.prod]\nprotect = true\nca = \"ca.pem\"\n[[fleet.prod.agents]]\nname = \"a\"\nurl = \"localhost:9101\"\nbearer = \"env:TOKEN\"\nresubscribe = true\nlabels = { region = \"eu\" }\n";
        let config = load_text(text, Path::new("/etc/q.toml")).unwrap();
        let fleet = &config.fleets["prod"];
        assert!(fleet.protect);
        assert_eq!(fleet.ca.as_deref(), Some(Path::new("/etc/ca.pem")));
        let agent = &fleet.agents[0];
        assert_eq!((agent.name.as_deref(), agent.resubscribe), (Some("a"), Some(true)));
        assert_eq!(agent.credentials.bearer, Some(SecretRef::Env("TOKEN".into())));
        let origin = |key: &str| config.settings.iter().find(|s| s.key == key).map(|s| s.origin.clone());
        assert_eq!(origin("fleet.prod.protect"), Some(Origin::File(3)));
        assert_eq!(origin("console.theme"), Some(Origin::Default));
    }
}
