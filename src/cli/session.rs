//! How a command reaches an engine: the running one, one of its own on the fleet's data, or one that
//! keeps nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::args::{Global, Login};
use super::login::{apply_login, card_url, dialect};
use super::output::{Failure, Printer};
use super::preferences;
use super::receiver::Receiver;
use super::registry::PreparedRegistry;
use super::stored::{as_of, store_failure, stored};
use crate::config::{self, Config, Fleet};
use crate::domain::agent::{Agent, AgentSpec, Health, Source, normalise_url};
use crate::domain::audit::Surface;
use crate::domain::fleet::source::SourceHealth;
use crate::domain::id::AgentKey;
use crate::domain::input::Rules;
use crate::domain::intent::{Intent, Receipt};
use crate::domain::metrics::MadeUp;
use crate::domain::shell_words::quoted;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::engine::credentials::CredentialBook;
use crate::engine::discovery::{self, Discover};
use crate::engine::handle::remote::{self, JoinError};
use crate::engine::handle::wire::{Hello, Tasks};
use crate::engine::notify::Webhook;
use crate::engine::{Engine, Handle, Options};
use crate::serve::registry::Serving;
use crate::serve::socket::{self, Listening};
use crate::store::lock::{self, Lock};

/// The time a permanent engine waits for a temporary one to hand over.
const HAND_OVER: Duration = Duration::from_secs(15);

/// The configuration, the chosen fleet, and where its data is.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The whole configuration.
    pub config: Arc<Config>,
    /// The chosen fleet's name.
    pub name: String,
    /// The chosen fleet.
    pub fleet: Fleet,
    /// Its data folder.
    pub dir: PathBuf,
    /// The console or the command refuses everything that acts. The engine that it carries does not: others may join it.
    pub read_only: bool,
    /// What acts through it.
    pub surface: Surface,
    /// The flags a command needs to reach the same fleet, ` --fleet prod-eu`; empty for the default one.
    pub flags: String,
    /// The tasks to load from a running engine.
    pub tasks: Tasks,
}

impl Setup {
    /// The same, for the console.
    #[must_use]
    pub fn of_console(self) -> Self {
        Self { surface: Surface::Console, ..self }
    }

    /// The same, without ended tasks.
    #[must_use]
    pub fn of_open_tasks(self) -> Self {
        Self { tasks: Tasks::Open, ..self }
    }

    /// Reads the configuration and chooses the fleet.
    ///
    /// # Errors
    /// Every fault of the file, or an unknown fleet.
    pub fn load(global: &Global) -> Result<Self, Failure> {
        let usual = directories::ProjectDirs::from("", "", "quarterdeck");
        let file = usual.as_ref().map(|dirs| dirs.config_dir().join("config.toml"));
        let read = config::load(global.config.as_deref(), file.as_deref(), preferences::faults);
        let config = read.map_err(|faults| {
            Failure::from_faults(faults).hint("correct it; `quarterdeck config check` reads it again")
        })?;
        let name = global.fleet.clone().unwrap_or_else(|| config.default_fleet.clone());
        let known = config.fleets.get(&name).cloned();
        let fleet = match (known, global.fleet.is_some() && !config.fleets.is_empty()) {
            (Some(fleet), _) => fleet,
            (None, false) => Fleet::default(),
            (None, true) => {
                let names: Vec<_> = config.fleets.keys().cloned().collect();
                return Err(Failure::usage(format!("there is no fleet {name:?}"))
                    .hint(format!("there are {}", names.join(", "))));
            }
        };
        let dir = match (&global.data_dir, &fleet.data_dir, &usual) {
            (Some(dir), _, _) | (None, Some(dir), _) => dir.clone(),
            (None, None, Some(dirs)) => dirs.data_dir().join(safe_name(&name)),
            (None, None, None) => {
                return Err(Failure::usage("no home folder is known").hint("name a folder with --data-dir"));
            }
        };
        let flags = flags(global);
        let (config, read_only) = (Arc::new(config), global.read_only);
        let surface = Surface::Cli;
        Ok(Self { config, name, fleet, dir, read_only, surface, flags, tasks: Tasks::All })
    }

    /// The rules for the core.
    pub fn rules(&self) -> Rules {
        Rules {
            probe_interval: self.fleet.probe_interval,
            silent_after: self.config.watch.silent_after,
            stalled_after: self.config.watch.stalled_after,
            probes_per_host: self.config.watch.probes_per_host,
            keep: self.config.keep.time,
            keep_bytes: self.config.keep.bytes,
            keep_audit: self.config.keep.audit,
            protect: self.fleet.protect,
            breaker: self.config.breaker.clone(),
            problems: self.config.problems.clone(),
            // Only an engine with a webhook notifies.
            notify_from: None,
            objectives: self.fleet.objectives.clone(),
            routes: self.fleet.routes.clone().into(),
            minimum_versions: self.config.minimum_versions.clone(),
            operator: self.config.operator.as_str().into(),
            ..Rules::default()
        }
    }

    /// The configured agents, then those of the command line.
    pub fn specs(&self, urls: &[String]) -> Vec<AgentSpec> {
        let configured = self.fleet.agents.iter().map(|agent| agent.spec(Source::Config));
        let mut specs: Vec<AgentSpec> = configured.collect();
        for url in urls {
            let same = |spec: &AgentSpec| normalise_url(&spec.url) == normalise_url(url);
            if !specs.iter().any(same) {
                specs.push(config::Agent::at(url.as_str()).spec(Source::CommandLine));
            }
        }
        specs
    }

    /// Where the fleet finds more agents.
    fn sources(&self) -> Vec<Box<dyn Discover>> {
        discovery::of_fleet(&self.fleet)
    }

    /// Where problems are posted.
    fn webhook(&self) -> Option<Webhook> {
        let notify = &self.config.notify;
        Some(Webhook {
            url: notify.webhook.clone()?,
            credentials: notify.credentials.clone(),
            fleet: self.name.clone(),
            flags: self.flags.clone(),
        })
    }

    /// A handle as this console or command uses it.
    fn in_use(&self, handle: Handle) -> Handle {
        let handle = handle.through(self.surface);
        if self.read_only { handle.watching_only() } else { handle }
    }

    fn hello(&self, lasting: bool) -> Hello {
        Hello {
            lasting,
            fleet: Untrusted::from(self.name.as_str()),
            protect: self.fleet.protect,
            ..Hello::default()
        }
    }
}

/// The flags a command needs to reach the same fleet from any folder.
fn flags(global: &Global) -> String {
    let mut flags = String::new();
    if let Some(path) = &global.config {
        flags.push_str(&format!(" --config {}", shown_path(path)));
    }
    if let Some(name) = &global.fleet {
        flags.push_str(&format!(" --fleet {}", quoted(name)));
    }
    if let Some(path) = &global.data_dir {
        flags.push_str(&format!(" --data-dir {}", shown_path(path)));
    }
    flags
}

/// A path as a word of a command.
pub(super) fn shown_path(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    quoted(&path.display().to_string())
}

/// A name as a folder: nothing that leads elsewhere.
fn safe_name(name: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let name: String = name.chars().map(safe).collect();
    name.trim_start_matches('.').to_owned()
}

/// A connection to an engine, and the engine itself if it is ours.
#[derive(Debug)]
pub struct Session {
    /// The handle.
    pub handle: Handle,
    /// The engine's description of itself.
    pub hello: Hello,
    own: Option<OwnEngine>,
}

#[derive(Debug)]
struct OwnEngine {
    engine: Engine,
    listening: Option<Listening>,
    /// The built-in registry, or why it is not served; `None` if none is configured.
    registry: Option<Result<Serving, Failure>>,
    /// Where telemetry is received, if the engine stays.
    receiver: Receiver,
}

impl Session {
    /// Joins the engine of the fleet's data folder, or starts one: a lasting one for a console or
    /// `serve`, a passing one for a command.
    ///
    /// # Errors
    /// The data folder cannot be used, or the running engine cannot be joined.
    pub async fn open(setup: &Setup, urls: &[String], login: &Login, lasting: bool) -> Result<Self, Failure> {
        crate::store::make_dir(&setup.dir).map_err(|error| store_failure(&error))?;
        let until = tokio::time::Instant::now() + HAND_OVER;
        loop {
            if let Some(lock) = Lock::take(&setup.dir).map_err(|error| store_failure(&error))? {
                tracing::debug!(lasting, "nobody runs; starts an engine");
                return Self::start(setup, urls, login, lasting, lock).await;
            }
            match Self::join(setup, lasting).await? {
                Some(session) => {
                    session.add(urls, login).await?;
                    return Ok(session);
                }
                None if tokio::time::Instant::now() > until => {
                    return Err(Failure::internal(
                        "another quarterdeck holds the data folder and does not answer",
                    )
                    .hint(format!(
                        "look for its process, or use another --data-dir than {}",
                        setup.dir.display()
                    )));
                }
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Attaches to the running engine, if there is one.
    ///
    /// # Errors
    /// It cannot be understood.
    pub async fn running(setup: &Setup) -> Result<Option<Self>, Failure> {
        let Some(holder) = lock::holder(&setup.dir) else { return Ok(None) };
        match remote::join(&holder.socket, setup.tasks).await {
            Ok((handle, hello)) => {
                tracing::debug!(pid = holder.pid, lasting = holder.lasting, "joined an engine");
                let handle = setup.in_use(handle.acting_as(&setup.config.operator));
                Ok(Some(Self { handle, hello, own: None }))
            }
            Err(JoinError::Absent) => Ok(None),
            Err(error) => Err(Failure::internal(error.to_string())),
        }
    }

    async fn join(setup: &Setup, lasting: bool) -> Result<Option<Self>, Failure> {
        let Some(holder) = lock::holder(&setup.dir) else { return Ok(None) };
        if lasting && !holder.lasting && remote::ask_to_hand_over(&holder.socket).await {
            return Ok(None);
        }
        Self::running(setup).await
    }

    async fn start(
        setup: &Setup,
        urls: &[String],
        login: &Login,
        lasting: bool,
        lock: Lock,
    ) -> Result<Self, Failure> {
        let mut access = CredentialBook::of_fleet(&setup.fleet);
        apply_login(&mut access, login, urls)?;
        let mut specs = setup.specs(urls);
        if let Some(dialect) = dialect(login)? {
            let named =
                |spec: &&mut AgentSpec| urls.iter().any(|url| normalise_url(url) == normalise_url(&spec.url));
            specs.iter_mut().filter(named).for_each(|spec| spec.dialect = Some(dialect));
        }
        let registry = PreparedRegistry::of(setup, lasting).await;
        let own = registry.iter().map(PreparedRegistry::source);
        let sources = setup.sources().into_iter().chain(own).collect();
        let power_loss_safe = setup.config.power_loss_safe;
        let mut session = Self::run(setup, specs, sources, access, lasting, power_loss_safe, None, lock)?;
        session.serve(registry.filter(|_| lasting));
        if let Some(own) = session.own.as_mut().filter(|_| lasting) {
            own.receiver = Receiver::start(&setup.config.telemetry, &own.engine).await;
        }
        Ok(session)
    }

    /// Runs an engine on the data folder, with a socket for other processes of the same user.
    #[expect(clippy::too_many_arguments, reason = "what an engine is started with")]
    fn run(
        setup: &Setup,
        specs: Vec<AgentSpec>,
        sources: Vec<Box<dyn Discover>>,
        access: CredentialBook,
        lasting: bool,
        power_loss_safe: bool,
        demo: Option<(u64, MadeUp)>,
        mut lock: Lock,
    ) -> Result<Self, Failure> {
        // If the lock is held but the socket does not exist yet, try again.
        let holder = lock::LockHolder { socket: socket::place(&setup.dir), pid: std::process::id(), lasting };
        lock.announce(&holder).map_err(|error| store_failure(&error))?;
        let webhook = setup.webhook().filter(|_| lasting);
        let notify_from = webhook.as_ref().map(|_| setup.config.notify.severity);
        let (seed, made_up) = demo.unzip();
        let options = Options {
            dir: Some(setup.dir.clone()),
            power_loss_safe,
            rules: Rules { notify_from, ..setup.rules() },
            specs,
            sources,
            webhook,
            access,
            telemetry: setup.config.telemetry.keep,
            seed,
            lock: Some(lock),
        };
        let engine = Engine::start_with(options, made_up.unwrap_or_default())
            .map_err(|error| store_failure(&error))?;
        if let Some(file) = setup.config.file.clone().filter(|_| lasting) {
            tokio::spawn(super::reload::watch(file, setup.name.clone(), engine.routes()));
        }
        engine.compare_rules_with(super::reload::reader(setup.config.file.clone(), setup.name.clone()));
        let handle = engine.handle();
        let hello = setup.hello(lasting);
        let listening = socket::listen(&setup.dir, handle.clone(), hello.clone())
            .map_err(|error| Failure::internal(format!("the control socket cannot be made: {error}")))?;
        Ok(Self {
            handle: setup.in_use(handle),
            hello,
            own: Some(OwnEngine {
                engine,
                listening: Some(listening),
                registry: None,
                receiver: Receiver::default(),
            }),
        })
    }

    /// Serves our own registry beside our engine.
    fn serve(&mut self, registry: Option<PreparedRegistry>) {
        let (Some(own), Some(registry)) = (&mut self.own, registry) else { return };
        if let Some(secret) = registry.secret() {
            own.engine.net().redactor().learn(secret);
        }
        own.registry = Some(registry.serve(&own.engine.handle()));
    }

    /// An engine on one agent that keeps nothing.
    ///
    /// # Errors
    /// The command line contradicts itself.
    pub fn direct(setup: &Setup, reference: &str, login: &Login) -> Result<Self, Failure> {
        let mut access = CredentialBook::of_fleet(&setup.fleet);
        let url = card_url(reference)?;
        apply_login(&mut access, login, std::slice::from_ref(&url))?;
        let spec = AgentSpec { dialect: dialect(login)?, ..config::Agent::at(url).spec(Source::CommandLine) };
        let engine = Engine::start(Options {
            dir: None,
            power_loss_safe: false,
            rules: setup.rules(),
            specs: vec![spec],
            sources: Vec::new(),
            webhook: None,
            access,
            telemetry: setup.config.telemetry.keep,
            seed: None,
            lock: None,
        })
        .map_err(|error| store_failure(&error))?;
        Ok(Self {
            handle: setup.in_use(engine.handle()),
            hello: setup.hello(false),
            own: Some(OwnEngine { engine, listening: None, registry: None, receiver: Receiver::default() }),
        })
    }

    /// An engine on the agents of a demo, with its data in a folder.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn on_fleet(
        setup: &Setup,
        fleet: &crate::demo::Fleet,
        seed: u64,
        made_up: MadeUp,
    ) -> Result<Self, Failure> {
        crate::store::make_dir(&setup.dir).map_err(|error| store_failure(&error))?;
        let Some(lock) = Lock::take(&setup.dir).map_err(|error| store_failure(&error))? else {
            return Err(Failure::internal("another quarterdeck uses this data folder")
                .hint("name another one with --data-dir"));
        };
        let (specs, access) = (fleet.specs(), CredentialBook::default());
        let mut session =
            Self::run(setup, specs, Vec::new(), access, true, false, Some((seed, made_up)), lock)?;
        if let Some(own) = &mut session.own {
            own.engine.owns_demo(fleet.drill_token().clone());
            own.receiver = Receiver::start_anywhere(&own.engine);
            if let Some(address) = own.receiver.address() {
                fleet.export_to(address);
            }
        }
        Ok(session)
    }

    /// A handle of the engine itself, if it runs in this process: what the demo does is not done by the operator.
    pub fn engine(&self) -> Option<Handle> {
        self.own.as_ref().map(|own| own.engine.handle())
    }

    /// True if the engine runs in this process.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// The socket, if the engine is ours.
    pub fn socket(&self) -> Option<&Path> {
        self.own.as_ref()?.listening.as_ref().map(Listening::path)
    }

    /// The address of the built-in registry, or why it is not served; `None` if the engine is not ours or no registry
    /// is configured.
    pub fn registry(&self) -> Option<Result<String, Failure>> {
        let registry = self.own.as_ref()?.registry.as_ref()?;
        Some(registry.as_ref().map(|serving| format!("http://{}", serving.address())).map_err(Clone::clone))
    }

    /// Adds the command line's agents to a running engine, until it ends.
    async fn add(&self, urls: &[String], login: &Login) -> Result<(), Failure> {
        if urls.is_empty() {
            return Ok(());
        }
        if login.bearer.is_some() || login.api_key.is_some() {
            return Err(Failure::usage("the running engine keeps its own credentials")
                .hint("configure bearer or headers for the agent, or stop the engine first"));
        }
        let specs =
            urls.iter().map(|url| config::Agent::at(url.as_str()).spec(Source::CommandLine)).collect();
        self.handle
            .submit(Intent::AddAgents { specs })
            .await
            .map(|_: Receipt| ())
            .map_err(|refusal| Failure::from_refusal(&refusal))
    }

    /// Completes when a permanent engine wants to take over.
    pub async fn handed_over(&self) {
        match self.own.as_ref().and_then(|own| own.listening.as_ref()) {
            Some(listening) => listening.handed_over().await,
            None => std::future::pending().await,
        }
    }

    /// Leaves. An engine of our own waits for its last client, commits, and frees the lock.
    pub async fn close(self, wait_for_clients: bool) {
        drop(self.handle);
        let Some(own) = self.own else { return };
        let OwnEngine { engine, listening, registry, receiver } = own;
        if wait_for_clients && let Some(listening) = &listening {
            tracing::debug!("waits for its clients");
            tokio::select! {
                () = listening.alone() => {}
                () = listening.handed_over() => {}
                // Attached clients continue with an engine of their own.
                _ = crate::shutdown::requested() => {}
            }
        }
        // An engine that ends accepts no registrations.
        if let Some(Ok(serving)) = registry {
            serving.stop().await;
        }
        receiver.stop().await;
        drop(listening);
        tracing::debug!("ends its engine");
        let stopped = engine.stop().await;
        tracing::debug!(?stopped, "its engine has ended");
    }
}

/// A resolved reference.
#[derive(Debug)]
pub enum AgentReference {
    /// An agent of the fleet, by its name.
    Fleet(String),
    /// An agent of the running engine, by its URL.
    Running(Session, AgentKey),
    /// Anything else: talked to directly.
    Direct(String),
}

/// Resolves `-a`: a name in the fleet first, then an agent of the running engine, then a direct URL or file.
///
/// # Errors
/// It is none of them; the error lists similar names.
pub async fn resolve_reference(setup: &Setup, reference: &str) -> Result<AgentReference, Failure> {
    let configured: Vec<&str> = setup.fleet.agents.iter().filter_map(|agent| agent.name.as_deref()).collect();
    if configured.contains(&reference) {
        return Ok(AgentReference::Fleet(reference.to_owned()));
    }
    let running = Session::running(setup).await?;
    let mut known: Vec<String> = configured.iter().map(|name| (*name).to_owned()).collect();
    if let Some(session) = running {
        let snapshot = session.handle.snapshot();
        let listed = || snapshot.agents.iter().filter(|(_, agent)| agent.listed);
        if let Some((key, _)) = find_agent(&snapshot, reference) {
            return Ok(AgentReference::Running(session, key));
        }
        known.extend(listed().map(|(_, agent)| agent.name.line().into_string()));
    } else if let Some(stored) = stored(&setup.dir)? {
        let named = |(_, agent): &(AgentKey, &Agent)| agent.listed && agent.name.raw() == reference;
        if stored.agents.iter().any(|entry| named(&entry)) {
            return Ok(AgentReference::Fleet(reference.to_owned()));
        }
        known.extend(stored.agents.iter().map(|(_, agent)| agent.name.line().into_string()));
    }
    if reference.contains(['/', ':', '.']) || Path::new(reference).is_file() {
        return Ok(AgentReference::Direct(reference.to_owned()));
    }
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    let near = config::nearest(reference, &names).map(|near| format!("did you mean {near}?"));
    let hint = near.unwrap_or_else(|| "name an agent of the fleet, a URL, or a card's file".into());
    Err(Failure::usage(format!("no agent is called {reference:?}")).hint(hint))
}

/// An agent by its name or its normalised URL.
pub fn find_agent<'s>(snapshot: &'s Snapshot, reference: &str) -> Option<(AgentKey, &'s Agent)> {
    let listed = || snapshot.agents.iter().filter(|(_, agent)| agent.listed);
    let by_name = listed().find(|(_, agent)| agent.name.raw() == reference);
    let url = normalise_url(reference);
    by_name.or_else(|| listed().find(|(_, agent)| normalise_url(&agent.spec.url) == url))
}

/// The fleet as the running engine sees it, or else as the journal has it, which is said with its age.
///
/// # Errors
/// The engine cannot be joined, or the journal cannot be read.
pub async fn seen(setup: &Setup, out: &mut Printer) -> Result<(Option<Session>, Arc<Snapshot>), Failure> {
    if let Some(session) = Session::running(setup).await? {
        let snapshot = session.handle.snapshot();
        return Ok((Some(session), snapshot));
    }
    let snapshot = stored(&setup.dir)?.unwrap_or_default();
    as_of(snapshot.at, out);
    Ok((None, snapshot.into()))
}

/// Waits until the health of every requested agent is known or the time has passed; for all agents, also until each
/// source has reported.
pub async fn probed(handle: &Handle, keys: Option<&[AgentKey]>, limit: Duration) -> bool {
    let mut snapshots = handle.watch();
    let settled = snapshots.wait_for(|snapshot| {
        // The full set of agents is known once every source has reported.
        let each_read =
            keys.is_some() || snapshot.sources.iter().all(|(_, row)| row.health != SourceHealth::Unknown);
        each_read
            && snapshot
                .agents
                .iter()
                .filter(|(key, agent)| agent.listed && keys.is_none_or(|keys| keys.contains(key)))
                .all(|(_, agent)| !matches!(agent.health, Health::Unknown | Health::Stale))
    });
    matches!(tokio::time::timeout(limit, settled).await, Ok(Ok(_)))
}
