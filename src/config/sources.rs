//! `[[fleet.NAME.sources]]`: sources of agents.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeTable;

use super::load::{Reader, check_url, join};
use super::{Credentials, units};
use crate::domain::agent::Source;
use crate::domain::fleet::source::{OWN_REGISTRY, SourceKind, SourceSpec};
use crate::domain::text::nearest;

/// A source of agents.
#[derive(Clone, Debug)]
pub struct AgentSource {
    /// Unique in its fleet; agents name their sources by it.
    pub name: String,
    /// The kind.
    pub kind: SourceKind,
    /// A path, a URL, a name in the DNS; for Kubernetes `in-cluster`, `kubeconfig` or the path of one.
    pub at: String,
    /// The longest time between two readings; for DNS records the shortest, as they have a TTL of their own. Kubernetes
    /// is watched, not read again.
    pub every: Duration,
    /// Credentials for each request, sent only to the origin of `at`.
    pub credentials: Credentials,
    /// A file of certificate authorities for this source.
    pub ca: Option<PathBuf>,
    /// Labels of every agent that it names.
    pub labels: BTreeMap<String, String>,
    /// Kubernetes: the labels of Services and Pods that are agents.
    pub selector: String,
    /// Kubernetes: the port by name or number; none: the one called `a2a` or `http`, else the first.
    pub port: Option<String>,
    /// Kubernetes: the namespace; none: all of them.
    pub namespace: Option<String>,
    /// The scheme for agents without a URL in the source.
    pub scheme: Scheme,
    /// DNS: the server to ask, as `ADDRESS:PORT`; `None` for the system's.
    pub resolver: Option<std::net::SocketAddr>,
}

/// The scheme for agents of which the source gives only host and port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Scheme {
    /// HTTPS on port 443 or 8443, or on a port named `https`; else HTTP.
    #[default]
    Auto,
    /// HTTP.
    Http,
    /// HTTPS.
    Https,
}

impl Scheme {
    fn from_word(word: &str) -> Result<Self, String> {
        match word {
            "auto" => Ok(Self::Auto),
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            _ => Err(format!("is {word:?}; write auto, http or https")),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Services and Pods with this label are agents, unless `selector` is set.
const SELECTOR: &str = "app.kubernetes.io/component=a2a-agent";
/// Between two looks at files, and between two readings of everything else.
const LOOK: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_secs(30);
/// Records are not believed to end sooner.
const RECORDS: Duration = Duration::from_secs(5);
/// Nothing is read more often.
const LEAST: Duration = Duration::from_secs(1);
/// The kinds that the configuration can name; the others are internal.
const KINDS: [SourceKind; 6] = [
    SourceKind::Path,
    SourceKind::Url,
    SourceKind::Ard,
    SourceKind::Registry,
    SourceKind::Kubernetes,
    SourceKind::Dns,
];
/// Keys of every kind, and keys of some kinds.
const ALWAYS: [&str; 4] = ["kind", "at", "name", "labels"];
const OF_PATH: [&str; 1] = ["every"];
const OF_HTTP: [&str; 4] = ["every", "bearer", "headers", "ca"];
const OF_KUBERNETES: [&str; 4] = ["selector", "port", "namespace", "scheme"];
const OF_DNS: [&str; 3] = ["every", "resolver", "scheme"];

impl AgentSource {
    /// A source with the defaults of its kind.
    pub fn new(kind: SourceKind, at: impl Into<String>) -> Self {
        let at = at.into();
        Self {
            name: format!("{}:{at}", kind.as_str()),
            kind,
            at,
            every: match kind {
                SourceKind::Path => LOOK,
                SourceKind::Dns => RECORDS,
                _ => POLL,
            },
            credentials: Credentials::default(),
            ca: None,
            labels: BTreeMap::new(),
            selector: SELECTOR.into(),
            port: None,
            namespace: None,
            scheme: Scheme::Auto,
            resolver: None,
        }
    }

    /// The part that the core needs.
    pub fn spec(&self) -> SourceSpec {
        SourceSpec { name: self.name.as_str().into(), kind: self.kind, at: self.at.as_str().into() }
    }
}

fn own_keys(kind: SourceKind) -> &'static [&'static str] {
    match kind {
        SourceKind::Url | SourceKind::Ard | SourceKind::Registry => &OF_HTTP,
        SourceKind::Kubernetes => &OF_KUBERNETES,
        SourceKind::Dns => &OF_DNS,
        SourceKind::Path => &OF_PATH,
        SourceKind::Own => &[],
    }
}

impl<'a> Reader<'a> {
    /// The sources of a fleet, in order.
    pub(super) fn sources(&mut self, table: &DeTable<'a>, path: &str) -> Vec<AgentSource> {
        let mut sources: Vec<AgentSource> = Vec::new();
        let path = join(path, "sources");
        for (at, row) in self.tables(table, path.trim_end_matches(".sources"), "sources") {
            let Some(mut source) = self.source(row, &path, at) else { continue };
            if sources.iter().any(|other| other.name == source.name) {
                if row.get("name").is_some() {
                    let what = format!("the name {:?} is taken by a source above", source.name);
                    self.fault(at, &path, what);
                }
                let name = std::mem::take(&mut source.name);
                let free = (2..).map(|number| format!("{name}~{number}"));
                let mut free = free.filter(|name| !sources.iter().any(|other| other.name == *name));
                source.name = free.next().unwrap_or_default();
            }
            self.set(
                &join(&path, "name"),
                source.name.clone(),
                row.get("name").map(|name| name.span().start),
            );
            sources.push(source);
        }
        sources
    }

    fn source(&mut self, table: &DeTable<'a>, path: &str, at: usize) -> Option<AgentSource> {
        let faults = self.faults.len();
        let words = KINDS.map(SourceKind::as_str);
        let kind = self.required(table, path, "kind", at).and_then(|word| {
            let kind = KINDS.into_iter().find(|kind| kind.as_str() == word);
            if kind.is_none() {
                let near =
                    nearest(&word, &words).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                let at = table.get("kind").map_or(at, |value| value.span().start);
                let what = format!("is {word:?}; write one of {}{near}", words.join(", "));
                self.fault(at, &join(path, "kind"), what);
            }
            kind
        });
        let known: Vec<&str> = match kind {
            Some(kind) => ALWAYS.iter().chain(own_keys(kind)).copied().collect(),
            None => [&ALWAYS[..], &OF_HTTP, &OF_KUBERNETES, &OF_DNS].concat(),
        };
        self.only(table, path, &known);
        let place = self.required(table, path, "at", at);
        let (Some(kind), Some(place)) = (kind, place) else { return None };
        let place_at = table.get("at").map_or(at, |value| value.span().start);
        let place = match self.place(kind, &place) {
            Ok(place) => place,
            Err(what) => {
                self.fault(place_at, &join(path, "at"), what);
                return None;
            }
        };
        let default = AgentSource::new(kind, place);
        let name = self.source_name(table, path, &default.name);
        let every = |text: &str| match units::duration(text)? {
            time if time < LEAST => Err(format!("{text:?} is too often; write 1s or more")),
            time => Ok(time),
        };
        let show = |time: &Duration| units::show_duration(*time);
        let every = match kind {
            SourceKind::Kubernetes => default.every,
            _ => self.text_setting(table, path, "every", default.every, every, show),
        };
        let is_http = own_keys(kind) == OF_HTTP;
        let credentials = if is_http { self.credentials(table, path) } else { Credentials::default() };
        let ca = if is_http { self.maybe_path(table, path, "ca") } else { None };
        let labels = self.labels(table, path);
        let mut source = AgentSource { name, every, credentials, ca, labels, ..default };
        if kind == SourceKind::Kubernetes {
            self.of_kubernetes(table, path, &mut source);
        }
        if matches!(kind, SourceKind::Kubernetes | SourceKind::Dns) {
            let show = |scheme: &Scheme| scheme.as_str().to_owned();
            source.scheme = self.text_setting(table, path, "scheme", Scheme::Auto, Scheme::from_word, show);
        }
        if kind == SourceKind::Dns && table.get("resolver").is_some() {
            let parse = |text: &str| match text.parse() {
                Ok(address) => Ok(Some(address)),
                Err(_) => Err(format!("{text:?} is no address with a port; write 127.0.0.1:53")),
            };
            let show = |address: &Option<std::net::SocketAddr>| {
                address.map(|address| address.to_string()).unwrap_or_default()
            };
            source.resolver = self.text_setting(table, path, "resolver", None, parse, show);
        }
        (self.faults.len() == faults).then_some(source)
    }

    fn of_kubernetes(&mut self, table: &DeTable<'a>, path: &str, source: &mut AgentSource) {
        let text = |text: &str| Ok(text.to_owned());
        source.selector =
            self.text_setting(table, path, "selector", source.selector.clone(), text, String::clone);
        let maybe = |text: &str| Ok((!text.is_empty()).then(|| text.to_owned()));
        let show = |text: &Option<String>| text.clone().unwrap_or_default();
        source.port = self.text_setting(table, path, "port", None, maybe, show);
        source.namespace = self.text_setting(table, path, "namespace", None, maybe, show);
    }

    fn source_name(&mut self, table: &DeTable<'a>, path: &str, default: &str) -> String {
        if table.get("name").is_none() {
            return default.to_owned();
        }
        let taken =
            [Source::Config, Source::CommandLine, Source::Demo, Source::Discovery].map(Source::as_str);
        let parse = |text: &str| match text {
            "" => Err("is empty".to_owned()),
            text if taken.contains(&text) || [SourceKind::Own.as_str(), OWN_REGISTRY].contains(&text) => {
                Err(format!("{text:?} names what is no source; write another name"))
            }
            text => Ok(text.to_owned()),
        };
        let settings = self.settings.len();
        let name = self.text_setting(table, path, "name", default.to_owned(), parse, String::clone);
        // It is reported once it is known to be unique.
        self.settings.truncate(settings);
        name
    }

    /// Where a source is, as its kind takes it.
    fn place(&self, kind: SourceKind, text: &str) -> Result<String, String> {
        match kind {
            _ if text.is_empty() => Err("is empty".into()),
            SourceKind::Path => Ok(self.path(text).display().to_string()),
            SourceKind::Url | SourceKind::Ard | SourceKind::Registry => {
                check_url(text).map(|()| text.to_owned())
            }
            SourceKind::Kubernetes if matches!(text, "in-cluster" | "kubeconfig") => Ok(text.to_owned()),
            SourceKind::Kubernetes => Ok(self.path(text).display().to_string()),
            SourceKind::Dns | SourceKind::Own => {
                let label = |label: &str| {
                    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
                    (1..=63).contains(&label.len()) && label.bytes().all(plain)
                };
                let name = text.trim_end_matches('.');
                if name.len() <= 253 && name.split('.').all(label) {
                    Ok(name.to_owned())
                } else {
                    Err(format!("{text:?} is no name in the DNS; write _a2a._tcp.example.com"))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Origin, load_text};
    use super::*;

    fn table(rows: &str) -> String {
        format!("[fleet.x]\n[[fleet.x.sources]]\n{rows}\n")
    }

    #[track_caller]
    fn faults(rows: &str, expected: &[(usize, &str)]) {
        let error = load_text(&table(rows), Path::new("/etc/q.toml")).expect_err("it has faults");
        let got: Vec<_> = error.faults.iter().map(|f| (f.line, format!("{}: {}", f.key, f.what))).collect();
        assert_eq!(got.len(), expected.len(), "{got:?}");
        for ((line, what), (expected_line, part)) in got.iter().zip(expected) {
            assert_eq!(line, expected_line, "{what}");
            assert!(what.contains(part), "{what:?} says nothing of {part:?}");
        }
    }

    #[test]
    fn faults_of_sources_name_their_lines_and_reasons() {
        faults("", &[(2, "sources.at: is missing"), (2, "sources.kind: is missing")]);
        faults("kind = \"pth\"\nat = \"x\"", &[(3, "did you mean path?")]);
        faults("kind = \"own registry\"\nat = \"x\"", &[(3, "write one of path, url")]);
        faults("kind = \"url\"\nat = \"ftp://x\"", &[(4, "ftp: is no scheme")]);
        faults("kind = \"path\"\nat = \"x\"\nevery = \"10ms\"", &[(5, "too often")]);
        faults("kind = \"path\"\nat = \"x\"\nbearer = \"env:X\"", &[(5, "bearer: is no setting")]);
        faults("kind = \"url\"\nat = \"h\"\nbearer = \"sk-1\"", &[(5, "holds the secret itself")]);
        faults("kind = \"dns\"\nat = \"a b\"", &[(4, "is no name in the DNS")]);
        faults(
            "kind = \"dns\"\nat = \"a\"\nresolver = \"x\"\nscheme = \"ftp\"",
            &[(5, "no address with a port"), (6, "write auto, http or https")],
        );
        faults("kind = \"path\"\nat = \"x\"\nname = \"demo\"", &[(5, "names what is no source")]);
        faults(
            "kind = \"path\"\nat = \"x\"\nname = \"a\"\n[[fleet.x.sources]]\nkind = \"path\"\nat = \"y\"\nname = \"a\"",
            &[(6, "is taken by a source above")],
        );
    }

    #[test]
    fn sources_take_effect_and_are_shown() {
        let text = table(
            "kind = \"path\"\nat = \"cards\"\nlabels = { region = \"eu\" }\n[[fleet.x.sources]]\nkind = \"path\"\nat = \"cards\"\n\
             [[fleet.x.sources]]\nkind = \"kubernetes\"\nat = \"in-cluster\"\nport = 8080\n\
             [[fleet.x.sources]]\nkind = \"registry\"\nname = \"ours\"\nat = \"https://r\"\nbearer = \"env:R\"\nca = \"ca.pem\"",
        );
        let config = load_text(&text, Path::new("/etc/q.toml")).unwrap();
        let sources = &config.fleets["x"].sources;
        let names: Vec<_> = sources.iter().map(|source| source.name.as_str()).collect();
        assert_eq!(names, ["path:/etc/cards", "path:/etc/cards~2", "kubernetes:in-cluster", "ours"]);
        assert_eq!((sources[0].every, sources[3].every), (LOOK, POLL));
        assert_eq!(sources[0].labels["region"], "eu");
        assert_eq!((sources[2].port.as_deref(), sources[2].selector.as_str()), (Some("8080"), SELECTOR));
        assert_eq!(sources[3].ca.as_deref(), Some(Path::new("/etc/ca.pem")));
        let shown: Vec<_> = config.settings.iter().filter(|s| s.key == "fleet.x.sources.name").collect();
        assert_eq!((shown.len(), shown[3].value.as_str(), &shown[3].origin), (4, "ours", &Origin::File(15)));
        assert!(config.settings.iter().any(|s| s.key == "fleet.x.sources.bearer" && s.value == "env:R"));
    }
}
