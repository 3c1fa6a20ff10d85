//! Posts notifications about problems to a webhook.
//!
//! The core decides what is posted, and lets at most [`limits::NOTIFICATIONS`] wait. A post is tried three times,
//! unless the webhook's answer is final. After that it has failed, and the core raises `webhook-failing`.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::config::Credentials;
use crate::domain::cause::Cause;
use crate::domain::effect::Notification;
use crate::domain::input::PostResult;
use crate::domain::limits;
use crate::domain::problem::NotificationEvent;
use crate::domain::text::Untrusted;
use crate::net::tap::TapHandle;
use crate::net::{Access, Net};
use crate::protocol::json::Writer;
use crate::protocol::timestamp;

/// The time within which a post must be answered.
const POST: Duration = Duration::from_secs(10);
/// The waits between the tries of one post.
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// Where problems are posted.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The URL.
    pub url: String,
    /// Credentials, sent only to its origin.
    pub credentials: Credentials,
    /// The fleet's name.
    pub fleet: String,
    /// The flags a command needs to reach the fleet: ` --fleet prod-eu`.
    pub flags: String,
}

/// A queued post.
#[derive(Debug)]
struct Message {
    number: u32,
    event: NotificationEvent,
    body: String,
}

/// Posts notifications beside the loop, one at a time.
#[derive(Debug)]
pub(super) struct Notifier {
    webhook: Webhook,
    to: mpsc::Sender<Message>,
    results: mpsc::Sender<PostResult>,
    _posting: tokio::task::JoinSet<()>,
}

impl Notifier {
    /// Starts posting. The result of each post is sent to `results`.
    pub fn start(webhook: Webhook, net: Net, line: TapHandle, results: mpsc::Sender<PostResult>) -> Self {
        let (to, posts) = mpsc::channel(limits::NOTIFICATIONS);
        let mut posting = tokio::task::JoinSet::new();
        posting.spawn(post_all(webhook.clone(), net, line, posts, results.clone()));
        Self { webhook, to, results, _posting: posting }
    }

    /// Queues a notification that the core ordered.
    pub fn post(&self, notification: &Notification) {
        let (number, event) = (notification.problem.number, notification.event);
        let body = self.body(notification);
        if self.to.try_send(Message { number, event, body }).is_err() {
            // The core never orders more posts than the lane can hold, so this fails only if the lane has ended.
            let failed = Some(Untrusted::from("posting has stopped; restart to post again"));
            if self.results.try_send(PostResult { number, event, failed }).is_err() {
                tracing::error!(number, event = event.as_str(), "a notification could not be posted");
            }
        }
    }

    fn body(&self, notification: &Notification) -> String {
        let Notification { event, into, problem, agent } = notification;
        let id = format!("p-{}", problem.number);
        let mut writer = Writer::new()
            .text("event", event.as_str())
            .text("fleet", &self.webhook.fleet)
            .text("id", &id)
            .text("kind", problem.kind.as_str())
            .text("severity", problem.kind.severity().as_str());
        if let Some((name, url)) = agent {
            writer = writer.text("agent", &name.line()).text("url", url);
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
    mut posts: mpsc::Receiver<Message>,
    results: mpsc::Sender<PostResult>,
) {
    let access = Access::of_origin(&webhook.url, &webhook.credentials, None);
    while let Some(Message { number, event, body }) = posts.recv().await {
        let result = post(&net, &access, &line, &webhook.url, body).await;
        let failed = result.err().map(|cause| Untrusted::from(line.clean(&cause.to_string())));
        if results.send(PostResult { number, event, failed }).await.is_err() {
            return;
        }
    }
}

async fn post(net: &Net, access: &Access, line: &TapHandle, url: &str, body: String) -> Result<(), Cause> {
    let mut waits = AGAIN.iter();
    loop {
        match net.post(access, line, url, "application/json", body.clone(), POST).await {
            Ok(()) => return Ok(()),
            Err(cause) => match waits.next().filter(|_| may_pass(&cause)) {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return Err(cause),
            },
        }
    }
}

/// True if another try may succeed: there was no answer, or the fault may be temporary.
fn may_pass(cause: &Cause) -> bool {
    match cause {
        Cause::Status { status, .. } => *status >= 500 || matches!(status, 408 | 425 | 429),
        Cause::RedirectRefused(_) | Cause::Limit(_) | Cause::Login { .. } | Cause::Blocked(_) => false,
        _ => true,
    }
}
