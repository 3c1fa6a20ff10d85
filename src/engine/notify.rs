//! Problems that are posted to a webhook, so that somebody hears of them without looking.
//!
//! What is posted waits in a lane of `WAITING`; when it is full, the oldest news is the one that matters, so the new
//! one is left out and the failure is a problem of its own. A post is tried three times, unless the webhook's answer
//! is one that trying again does not change.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::config::Credentials;
use crate::domain::cause::Cause;
use crate::domain::fact::{Fact, FleetFact, JournalEntry};
use crate::domain::input::Post;
use crate::domain::problem::{Problem, Severity};
use crate::domain::state::State;
use crate::domain::text::Untrusted;
use crate::net::credentials::{Scope, ScopedCredentials, parse_url};
use crate::net::tap::TapHandle;
use crate::net::{Access, Net};
use crate::protocol::json::Writer;
use crate::protocol::timestamp;

/// News that wait to be posted.
const WAITING: usize = 64;
/// One post must be answered within this.
const POST: Duration = Duration::from_secs(10);
/// The waits between the tries of one post.
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// Where problems are posted.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The URL.
    pub url: String,
    /// What is sent with it, to its origin alone.
    pub credentials: Credentials,
    /// From how bad on.
    pub severity: Severity,
    /// The fleet's name.
    pub fleet: String,
    /// What a command needs to reach the fleet: ` --fleet prod-eu`.
    pub flags: String,
}

/// What is to be posted.
#[derive(Debug)]
struct News {
    number: u32,
    event: &'static str,
    body: String,
}

/// Posts problems beside the loop.
#[derive(Debug)]
pub(super) struct Notifier {
    webhook: Webhook,
    to: mpsc::Sender<News>,
    news: mpsc::Sender<Post>,
    _posting: tokio::task::JoinSet<()>,
}

impl Notifier {
    /// Begins. What came of each post is told by `news`.
    pub fn start(webhook: Webhook, net: Net, line: TapHandle, news: mpsc::Sender<Post>) -> Self {
        let (to, posts) = mpsc::channel(WAITING);
        let mut posting = tokio::task::JoinSet::new();
        posting.spawn(post_all(webhook.clone(), net, line, posts, news.clone()));
        Self { webhook, to, news, _posting: posting }
    }

    /// Takes what a step decided.
    pub fn tell(&self, state: &State, facts: &[JournalEntry]) {
        for entry in facts {
            let (number, event, into) = match &entry.fact {
                Fact::Fleet(FleetFact::ProblemRaised { number, .. }) => (*number, "raised", None),
                Fact::Fleet(FleetFact::ProblemCleared { number, into }) => (*number, "cleared", *into),
                _ => continue,
            };
            let Some(problem) = state.problem(number) else { continue };
            if problem.kind.severity() < self.webhook.severity || problem.muted.is_some() {
                continue;
            }
            let body = self.body(state, problem, event, into);
            if self.to.try_send(News { number, event, body }).is_err() {
                let why = "more problems came than could be posted; some were not";
                let _it_is_told_by_the_next_one =
                    self.news.try_send(Post { number, event, failed: Some(Untrusted::from(why)) });
            }
        }
    }

    fn body(&self, state: &State, problem: &Problem, event: &str, into: Option<u32>) -> String {
        let agent = problem.agent.and_then(|key| state.agent(key));
        let id = format!("p-{}", problem.number);
        let mut writer = Writer::new()
            .text("event", event)
            .text("fleet", &self.webhook.fleet)
            .text("id", &id)
            .text("kind", problem.kind.as_str())
            .text("severity", problem.kind.severity().as_str());
        if let Some(agent) = agent {
            writer = writer.text("agent", &agent.name.line()).text("url", &agent.spec.url);
        }
        writer = writer.text("since", &timestamp::format_at(problem.since));
        if let Some(cleared) = problem.cleared {
            writer = writer.text("cleared", &timestamp::format_at(cleared));
        }
        if let Some(into) = into {
            writer = writer.text("into", &format!("p-{into}"));
        }
        writer
            .text("text", &problem.text.line())
            .text("next", &problem.next.line())
            .text("open", &format!("quarterdeck{} open {id}", self.webhook.flags))
            .end()
    }
}

async fn post_all(
    webhook: Webhook,
    net: Net,
    line: TapHandle,
    mut posts: mpsc::Receiver<News>,
    news: mpsc::Sender<Post>,
) {
    let origin = parse_url(&webhook.url);
    let grant = origin
        .clone()
        .filter(|_| !webhook.credentials.is_empty())
        .map(|url| Arc::new(ScopedCredentials::new(Scope::Origin(url), webhook.credentials.clone())));
    let access = Access {
        origin,
        ca: None,
        insecure: false,
        grants: grant.into_iter().collect(),
        parameters: Vec::new(),
    };
    while let Some(News { number, event, body }) = posts.recv().await {
        let result = post(&net, &access, &line, &webhook.url, body).await;
        let failed = result.err().map(|cause| Untrusted::from(line.clean(&cause.to_string())));
        if news.send(Post { number, event, failed }).await.is_err() {
            return;
        }
    }
}

async fn post(net: &Net, access: &Access, line: &TapHandle, url: &str, body: String) -> Result<(), Cause> {
    let mut waits = AGAIN.iter();
    loop {
        match net.post(access, line, url, body.clone(), POST).await {
            Ok(()) => return Ok(()),
            Err(cause) => match waits.next().filter(|_| may_pass(&cause)) {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return Err(cause),
            },
        }
    }
}

/// True if another try may go better: nothing was answered, or a fault of the moment.
fn may_pass(cause: &Cause) -> bool {
    match cause {
        Cause::Status { status, .. } => *status >= 500 || matches!(status, 408 | 425 | 429),
        Cause::RedirectRefused(_) | Cause::Limit(_) | Cause::Login { .. } | Cause::Blocked(_) => false,
        _ => true,
    }
}
