//! Pages of an agent's tasks on their way to the loop: large ones are handed over one slice at a time, and tasks that are
//! repeated are not decoded again.
//!
//! The core reads a large page as if it were several pages: it receives the first tasks and a token for the next page,
//! and requests that. Requests with a token that was created here are answered from the rest of the page, without the
//! agent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::call;
use crate::domain::limits;
use crate::domain::text::Untrusted;
use crate::net::Room;
use crate::protocol::Codec;
use crate::protocol::page::Page;
use crate::protocol::recent_tasks::RecentTasks;

/// How long the rest of a page is kept for the core's next request.
const KEPT: Duration = Duration::from_secs(10);
/// The prefix of tokens that were created here.
const TOKEN: &str = "quarterdeck-slice-";

/// The rest of the last large page of one agent, and its latest tasks. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    rest: Option<Rest>,
    /// Counts tokens.
    made: u64,
    recent: RecentTasks,
}

#[derive(Debug)]
struct Rest {
    token: Untrusted,
    page: Page,
    /// The room of the rest while it is large.
    room: Option<Room>,
}

impl Pages {
    /// Returns the first slice of a page.
    pub fn begin(&self, page: Page, room: Option<Room>, codec: &dyn Codec) -> call::Page {
        // A small rest needs no room.
        let room = room.filter(|_| page.len() > limits::SMALL);
        self.slice(page, room, codec)
    }

    /// Calls `decode` with the tasks of the agent's latest pages.
    pub fn with_recent<R>(&self, decode: impl FnOnce(&mut RecentTasks) -> R) -> R {
        decode(&mut self.kept().recent)
    }

    /// True if a token was created here.
    pub fn made(token: Option<&Untrusted>) -> bool {
        token.is_some_and(|token| token.raw().starts_with(TOKEN))
    }

    /// Returns the next slice. `None` if nothing is kept under the token. A page kept under another token is dropped,
    /// as the core did not request it.
    pub fn go_on(&self, token: Option<&Untrusted>, codec: &dyn Codec) -> Option<call::Page> {
        let Rest { page, room, .. } = self.kept().rest.take().filter(|rest| Some(&rest.token) == token)?;
        Some(self.slice(page, room, codec))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slice(&self, mut page: Page, room: Option<Room>, codec: &dyn Codec) -> call::Page {
        let tasks = page.slice(codec);
        if page.is_empty() {
            return call::Page { tasks, next: page.next(), total: page.total, unread: page.unread() };
        }
        let mut kept = self.kept();
        kept.made += 1;
        let token = Untrusted::from(format!("{TOKEN}{}", kept.made));
        kept.rest = Some(Rest { token: token.clone(), page, room });
        drop(kept);
        tokio::spawn(expire(self.clone(), token.clone()));
        call::Page { tasks, next: Some(token), total: None, unread: 0 }
    }
}

/// Drops a page that was not requested in time.
async fn expire(pages: Pages, token: Untrusted) {
    tokio::time::sleep(KEPT).await;
    let mut kept = pages.kept();
    if kept.rest.as_ref().is_some_and(|rest| rest.token == token) {
        kept.rest = None;
    }
}
