//! Credentials and trust of each agent, from the configuration and the command line.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use url::Url;

use crate::config::secret::SecretRef;
use crate::config::{self, Credentials};
use crate::domain::agent::card::Card;
use crate::domain::agent::{AgentSpec, Source, normalise_url};
use crate::net::Access;
use crate::net::credentials::{Scope, ScopedCredentials, parse_url};

/// The credentials and trust of all agents.
#[derive(Clone, Debug, Default)]
pub struct CredentialBook {
    by_name: BTreeMap<String, Entry>,
    by_url: BTreeMap<String, Entry>,
    patterns: Vec<Arc<ScopedCredentials>>,
    ca: Option<PathBuf>,
    insecure: bool,
    parameters: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Clone, Debug)]
struct Entry {
    ca: Option<PathBuf>,
    grant: Option<Arc<ScopedCredentials>>,
    /// An API key, which is sent in the header that the agent's card specifies.
    api_key: Option<SecretRef>,
    /// The origin to which credentials are sent, if it is not that of the URL: a card may be a file.
    origin: Option<Url>,
}

impl CredentialBook {
    /// The credentials in a fleet's configuration.
    pub fn of_fleet(fleet: &config::Fleet) -> Self {
        let mut book = Self { ca: fleet.ca.clone(), ..Self::default() };
        for agent in &fleet.agents {
            book.add(agent);
        }
        for login in &fleet.logins {
            let scope = Scope::Pattern(login.url.clone());
            book.patterns.push(Arc::new(ScopedCredentials::new(scope, login.credentials.clone())));
        }
        book
    }

    /// Adds an agent with its credentials.
    pub fn add(&mut self, agent: &config::Agent) {
        let grant = ScopedCredentials::of_origin(parse_url(&agent.url), &agent.credentials);
        let entry = Entry { ca: agent.ca.clone(), grant, api_key: None, origin: None };
        if let Some(name) = &agent.name {
            self.by_name.insert(name.clone(), entry.clone());
        }
        self.by_url.entry(normalise_url(&agent.url)).or_insert(entry);
    }

    /// Adds credentials from the command line for the agent at `url`; they are sent only to the origin of `origin`.
    pub fn add_credentials(
        &mut self,
        url: &str,
        origin: &str,
        credentials: &Credentials,
        api_key: Option<SecretRef>,
    ) {
        let ca = self.by_url.get(&normalise_url(url)).and_then(|entry| entry.ca.clone());
        let origin = parse_url(origin);
        let grant = ScopedCredentials::of_origin(origin.clone(), credentials);
        self.by_url.insert(normalise_url(url), Entry { ca, grant, api_key, origin });
    }

    /// Turns off the verification of certificates. The caller has issued a warning.
    pub fn set_insecure(&mut self) {
        self.insecure = true;
    }

    /// Sets a file of authorities for agents that have none of their own.
    pub fn set_ca(&mut self, ca: PathBuf) {
        self.ca = Some(ca);
    }

    /// Adds a header to every request to an agent's own origin.
    pub fn add_parameter(&mut self, name: HeaderName, value: HeaderValue) {
        self.parameters.push((name, value));
    }

    /// The access to an agent. Its card specifies the header for an API key.
    pub fn access(&self, spec: &AgentSpec, card: Option<&Card>) -> Access {
        let by_name = spec.name.as_deref().and_then(|name| self.by_name.get(name));
        let entry = by_name.or_else(|| self.by_url.get(&normalise_url(&spec.url)));
        let own = entry.and_then(|entry| entry.grant.clone());
        // An agent that only a source reports was not listed by the operator, so the address policy applies to it.
        let named = spec.source != Source::Discovery;
        let origin =
            parse_url(&spec.url).filter(|_| named).or_else(|| entry.and_then(|entry| entry.origin.clone()));
        let key = entry.and_then(|entry| entry.api_key.clone()).zip(origin.clone()).map(|(key, url)| {
            let header = card.and_then(key_header).unwrap_or_else(|| "x-api-key".to_owned());
            let credentials = Credentials { bearer: None, headers: BTreeMap::from([(header, key)]) };
            Arc::new(ScopedCredentials::new(Scope::Origin(url), credentials))
        });
        Access {
            origin,
            ca: entry.and_then(|entry| entry.ca.clone()).or_else(|| self.ca.clone()),
            insecure: self.insecure,
            grants: own.into_iter().chain(key).chain(self.patterns.iter().cloned()).collect(),
            parameters: self.parameters.clone(),
        }
    }
}

/// The header of the API key in a card.
fn key_header(card: &Card) -> Option<String> {
    card.security.iter().find_map(|scheme| {
        let header = scheme.kind.raw().strip_prefix("apiKey in header ")?.trim();
        HeaderName::try_from(header).ok().map(|name| name.as_str().to_owned())
    })
}
