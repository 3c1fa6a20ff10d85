//! Documents that answer calls, decoded for the call that they answer.

use super::pages::Pages;
use crate::domain::agent::card::Dialect;
use crate::domain::call;
use crate::domain::cause::Cause;
use crate::domain::id::TaskId;
use crate::domain::job::task::TaskReport;
use crate::domain::limits;
use crate::net::tap::{Kind, TapHandle};
use crate::net::{Label, Redacted, Room, Text};
use crate::protocol::page::Page;
use crate::protocol::reply::{self, SendReply};
use crate::protocol::{self, Codec, Deviations};

/// A document that was decoded.
#[derive(Debug)]
pub(super) struct Decoded<T> {
    /// The content, or why the document does not answer its call.
    pub value: Result<T, Cause>,
    /// The room of a large one, until the loop has taken it.
    pub room: Option<Room>,
    /// Deviations from the agent's protocol version.
    pub deviations: Deviations,
    /// What was dropped because it exceeded a limit; `None` if nothing was.
    left_out: Option<String>,
    /// What the document says, and the task that it is about.
    label: (Label, Option<TaskId>),
}

/// Decodes a document with `read`, which receives the codec, the method, the text and its room. A large document is
/// decoded on a separate thread, where it delays nothing else.
pub(super) async fn decode<T: Send + 'static>(
    dialect: Dialect,
    line: &TapHandle,
    method: &'static str,
    text: Text,
    read: impl FnOnce(&dyn Codec, &str, Redacted<'static>, Option<Room>) -> Decoded<T> + Send + 'static,
) -> Decoded<T> {
    let (text, room) = text.into_parts();
    let is_small = text.len() <= limits::SMALL;
    let decode = move || read(protocol::codec(dialect), method, text, room);
    let decoded = if is_small { Ok(decode()) } else { tokio::task::spawn_blocking(decode).await };
    match decoded {
        Ok(mut decoded) => {
            match &decoded.value {
                Ok(_) => {
                    let (label, task) = std::mem::take(&mut decoded.label);
                    line.answered(label);
                    if let Some(task) = task {
                        line.name_task(&task);
                    }
                }
                Err(cause) => line.answered_with(cause),
            }
            if let Some(left_out) = decoded.left_out.take() {
                line.keep(Kind::End, &left_out, "");
                tracing::warn!(%left_out, "an answer is over a limit");
            }
            decoded
        }
        // A panic of the decoder fails this call.
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Decoded {
                value: Err(Cause::Stopping),
                room: None,
                deviations: Deviations::default(),
                left_out: None,
                label: (Label::Plain, None),
            },
        },
    }
}

/// Reads the answer to a message.
pub(super) fn send(
    codec: &dyn Codec,
    method: &str,
    text: Redacted<'static>,
    room: Option<Room>,
) -> Decoded<SendReply> {
    let mut deviations = Deviations::default();
    let mut value = reply::send(codec, method, &text, &mut deviations);
    let left_out = match &mut value {
        Ok(SendReply::Task(task)) => left_out(cut(task)),
        Ok(SendReply::Message(_)) | Err(_) => None,
    };
    let label = match &value {
        Ok(SendReply::Task(task)) => label(task),
        Ok(SendReply::Message(_)) => (Label::Message, None),
        Err(_) => (Label::Plain, None),
    };
    Decoded { value, room, deviations, left_out, label }
}

/// Reads the answer to a request for one task.
pub(super) fn task(
    codec: &dyn Codec,
    method: &str,
    text: Redacted<'static>,
    room: Option<Room>,
) -> Decoded<Box<TaskReport>> {
    let mut deviations = Deviations::default();
    let mut value = reply::task(codec, method, &text, &mut deviations);
    let left_out = value.as_mut().ok().and_then(|task| left_out(cut(task)));
    let label = value.as_ref().map(|task| label(task)).unwrap_or_default();
    Decoded { value, room, deviations, left_out, label }
}

/// Reads the answer to a request for a page of tasks; `pages` hands out a large one in slices.
pub(super) fn page(
    codec: &dyn Codec,
    method: &str,
    text: Redacted<'static>,
    room: Option<Room>,
    pages: &Pages,
) -> Decoded<call::Page> {
    let mut deviations = Deviations::default();
    match Page::new(text.into_string()) {
        Ok(page) => {
            let (taken, beyond) = (limits::TASKS_IN_PAGE, page.left_out);
            let left_out = (beyond > 0)
                .then(|| format!("its page has {} tasks; the first {taken} are read", taken + beyond));
            let label = (Label::Page(u32::try_from(page.count()).unwrap_or(u32::MAX)), None);
            let value = Ok(pages.begin(page, room, codec));
            Decoded { value, room: None, deviations, left_out, label }
        }
        Err(text) => {
            let value =
                pages.with_recent(|recent| reply::page(codec, method, &text, recent, &mut deviations));
            let tasks = |page: &call::Page| u32::try_from(page.tasks.len()).unwrap_or(u32::MAX);
            let label = value.as_ref().map(|page| (Label::Page(tasks(page)), None)).unwrap_or_default();
            Decoded { value, room, deviations, left_out: None, label }
        }
    }
}

/// Cuts a report to the limits of one task, because the core compares every artifact with those that it knows. Returns
/// how many artifacts and messages were dropped. One more than the limit is kept of each, so that the core notices that
/// the task is over its limits.
pub(super) fn cut(report: &mut TaskReport) -> usize {
    let mut dropped = report.history.len().saturating_sub(limits::MESSAGES + 1);
    // The newest messages describe the current state of the task.
    report.history.drain(..dropped);
    if let Some(artifacts) = &mut report.artifacts {
        dropped += artifacts.len().saturating_sub(limits::ARTIFACTS + 1);
        artifacts.truncate(limits::ARTIFACTS + 1);
    }
    dropped
}

fn label(task: &TaskReport) -> (Label, Option<TaskId>) {
    (Label::Task(task.status.state.clone()), Some(task.id.clone()))
}

fn left_out(dropped: usize) -> Option<String> {
    (dropped > 0)
        .then(|| format!("its task is over the limit; {dropped} artifacts and messages are not read"))
}
