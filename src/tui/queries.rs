//! Data that views need beyond the snapshot: the queries to the engine and to telemetry, and their refresh.
//!
//! A view names its queries and takes the answers. The console sends them while the view is shown: at most one query of
//! each name at a time. Answers for a view that was left are dropped.

use std::time::Duration;

use crate::domain::id::JobId;
use crate::domain::time::At;
use crate::engine::{Answer, Query};
use crate::telemetry::model::UnixNanos;
use crate::telemetry::query::{LogRow, TelemetryAnswer, TelemetryQuery, TelemetryStatus, TraceRow};
use crate::telemetry::tree::{Trace, build};

/// What a view asks.
#[derive(Clone, PartialEq, Debug)]
pub enum ViewQuery {
    /// The engine.
    Engine(Query),
    /// What agents sent, and our own spans.
    Telemetry(TelemetryQuery),
}

impl From<Query> for ViewQuery {
    fn from(query: Query) -> Self {
        Self::Engine(query)
    }
}

impl From<TelemetryQuery> for ViewQuery {
    fn from(query: TelemetryQuery) -> Self {
        Self::Telemetry(query)
    }
}

impl PartialEq<Query> for ViewQuery {
    fn eq(&self, query: &Query) -> bool {
        matches!(self, Self::Engine(of) if of == query)
    }
}

/// The answer to a [`ViewQuery`].
#[derive(Clone, Debug)]
pub enum ViewAnswer {
    /// Of the engine.
    Engine(Answer),
    /// Of telemetry.
    Telemetry(Telemetry),
}

/// An answer about telemetry, ready to be shown.
#[derive(Clone, PartialEq, Debug)]
pub enum Telemetry {
    /// Traces that were received.
    Traces(Vec<TraceRow>),
    /// A trace as a tree.
    Trace(Box<Trace>),
    /// Log records, newest first.
    Logs(Vec<LogRow>),
    /// What was received, refused and kept.
    Status(Box<TelemetryStatus>),
}

impl Telemetry {
    /// The answer as views take it. The tree of a trace is built here, beside the loop: it may have thousands of spans.
    pub fn of(answer: TelemetryAnswer, now: At) -> Self {
        match answer {
            TelemetryAnswer::Traces(rows) => Self::Traces(rows),
            TelemetryAnswer::Trace(spans) => {
                Self::Trace(Box::new(build(*spans, UnixNanos::from(now)).without_plumbing()))
            }
            TelemetryAnswer::Logs(rows) => Self::Logs(rows),
            TelemetryAnswer::Status(status) => Self::Status(status),
        }
    }
}

/// A subscription of a view.
#[derive(Clone, Debug)]
pub enum Subscription {
    /// A query of the view's own.
    Ask(Ask),
    /// The metrics of the window, read again after this time; they are in `Context::metrics`.
    Metrics(Duration),
    /// The facts of a job, as they come; the view's `FollowedJob` takes them.
    Job(JobId),
}

/// A query of a view.
#[derive(Clone, PartialEq, Debug)]
pub struct Ask {
    /// Identifies the query within its view.
    pub name: &'static str,
    /// The query.
    pub query: ViewQuery,
    /// The refresh policy.
    pub refresh: Refresh,
}

/// The refresh policy of a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refresh {
    /// Whenever the query changes, or this version of the data behind it.
    Version(u64),
    /// At this interval, unless the screen is held.
    Every(Duration),
    /// The same, and at once when the query changes.
    EveryOrChanged(Duration),
}

impl Refresh {
    /// The interval, if it is repeated.
    pub fn interval(self) -> Option<Duration> {
        match self {
            Self::Version(_) => None,
            Self::Every(time) | Self::EveryOrChanged(time) => Some(time),
        }
    }
}

/// A query that was sent.
#[derive(Debug)]
struct Asked {
    ask: Ask,
    at: At,
    is_under_way: bool,
}

/// The queries of the current view.
#[derive(Debug, Default)]
pub struct Queries {
    /// Counts the views that were shown; answers of an earlier one are dropped.
    generation: u64,
    asked: Vec<Asked>,
    /// The followed job, possibly of an earlier view.
    follows: Option<JobId>,
    follows_for_earlier: bool,
    /// How often the metrics are wanted.
    metrics: Option<Duration>,
}

/// What is due for the subscriptions of a view.
#[derive(Debug, Default)]
pub struct Due {
    /// Queries to send.
    pub queries: Vec<ViewQuery>,
    /// How often the metrics are wanted.
    pub metrics: Option<Duration>,
    /// Another job is to be followed, or none.
    pub follow: Option<Option<JobId>>,
}

impl Queries {
    /// The generation of queries sent now.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The followed job.
    pub fn follows(&self) -> Option<JobId> {
        self.follows
    }

    /// Starts a new generation for another view.
    pub fn begin_view(&mut self) {
        self.generation += 1;
        self.asked.clear();
        self.follows_for_earlier = true;
    }

    /// What is due for the subscriptions of the view.
    pub fn due(&mut self, subscriptions: Vec<Subscription>, now: At, held: bool) -> Due {
        let mut due = Due::default();
        let mut job = None;
        let mut names = Vec::new();
        for subscription in subscriptions {
            match subscription {
                Subscription::Ask(ask) => {
                    names.push(ask.name);
                    due.queries.extend(self.ask(ask, now, held));
                }
                Subscription::Metrics(every) => due.metrics = Some(every),
                Subscription::Job(id) => job = Some(id),
            }
        }
        self.asked.retain(|asked| names.contains(&asked.ask.name));
        self.metrics = due.metrics;
        let again = self.follows_for_earlier && job.is_some();
        if job != self.follows || again {
            due.follow = Some(job);
        }
        self.follows = job;
        self.follows_for_earlier = false;
        due
    }

    fn ask(&mut self, ask: Ask, now: At, held: bool) -> Option<ViewQuery> {
        let Some(asked) = self.asked.iter_mut().find(|asked| asked.ask.name == ask.name) else {
            let query = ask.query.clone();
            self.asked.push(Asked { ask, at: now, is_under_way: true });
            return Some(query);
        };
        let is_due = match ask.refresh {
            Refresh::Version(_) => asked.ask != ask,
            Refresh::Every(time) => !held && now.since(asked.at) >= time,
            Refresh::EveryOrChanged(time) => {
                asked.ask.query != ask.query || (!held && now.since(asked.at) >= time)
            }
        };
        if asked.is_under_way || !is_due {
            return None;
        }
        let query = ask.query.clone();
        *asked = Asked { ask, at: now, is_under_way: true };
        Some(query)
    }

    /// Registers an answer or a failure; returns the query if it belongs to the current view.
    pub fn answered(&mut self, query: &ViewQuery, generation: u64) -> Option<Ask> {
        let asked = self.asked.iter_mut().filter(|_| generation == self.generation);
        let asked = asked.into_iter().find(|asked| asked.is_under_way && asked.ask.query == *query)?;
        asked.is_under_way = false;
        Some(asked.ask.clone())
    }

    /// The next time at which a query is due without other changes.
    pub fn wakes_at(&self) -> Option<At> {
        let due = |asked: &Asked| {
            let time = asked.ask.refresh.interval().filter(|_| !asked.is_under_way)?;
            Some(asked.at + time)
        };
        self.asked.iter().filter_map(due).min()
    }

    /// How often the metrics are wanted.
    pub fn metrics(&self) -> Option<Duration> {
        self.metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fact::Owner;

    fn ask(limit: usize, refresh: Refresh) -> Vec<Subscription> {
        vec![Subscription::Ask(Ask { name: "facts", query: query(limit), refresh })]
    }

    fn query(limit: usize) -> ViewQuery {
        Query::Facts { owner: Owner::Fleet, limit }.into()
    }

    #[test]
    fn a_query_is_asked_once_for_each_version_and_one_at_a_time() {
        let mut queries = Queries::default();
        let (now, first) = (At::from_micros(1), queries.generation());
        for (version, answered, asked) in
            [(1, false, 1), (1, false, 0), (2, false, 0), (2, true, 1), (2, true, 0), (3, false, 1)]
        {
            if answered {
                queries.answered(&query(1), first);
            }
            let due = queries.due(ask(1, Refresh::Version(version)), now, false);
            assert_eq!(due.queries.len(), asked, "version {version}, answered: {answered}");
        }
        queries.begin_view();
        assert!(queries.answered(&query(1), first).is_none(), "an answer for a view that was left");
        assert_eq!(queries.due(ask(1, Refresh::Version(3)), now, false).queries.len(), 1);
    }

    #[test]
    fn a_query_is_asked_again_by_the_clock_unless_the_screen_is_held() {
        let mut queries = Queries::default();
        let every = Duration::from_secs(1);
        for (second, held, answered, asked) in [
            (0, false, true, 1),
            (0, false, true, 0),
            (1, true, true, 0),
            (1, false, false, 1),
            (3, false, true, 0),
            (4, false, true, 1),
        ] {
            let now = At::from_micros(second * 1_000_000);
            let due = queries.due(ask(1, Refresh::Every(every)), now, held);
            assert_eq!(due.queries.len(), asked, "second {second}, held: {held}");
            if answered {
                queries.answered(&query(1), queries.generation());
            }
        }
    }

    #[test]
    fn a_job_is_followed_again_for_another_view() {
        let mut queries = Queries::default();
        let job = JobId(uuid::Uuid::from_u128(1));
        let mut follow = |job: Option<JobId>, other_view| {
            if other_view {
                queries.begin_view();
            }
            queries.due(job.map(Subscription::Job).into_iter().collect(), At::ZERO, false).follow
        };
        assert_eq!(follow(None, false), None);
        assert_eq!(follow(Some(job), false), Some(Some(job)));
        assert_eq!(follow(Some(job), false), None);
        assert_eq!(follow(Some(job), true), Some(Some(job)));
        assert_eq!(follow(None, true), Some(None));
        assert_eq!(follow(None, true), None);
    }
}
