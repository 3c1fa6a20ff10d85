//! The core alone, beside an agent whose tasks others send: what looks for them cost, and that none is missed.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quarterdeck::domain::agent::card::Card;
use quarterdeck::domain::call::{CallKind, Outcome};
use quarterdeck::domain::cause::{Cause, Failure, Sent};
use quarterdeck::domain::effect::{ListQuery, Order};
use quarterdeck::domain::id::TaskId;
use quarterdeck::domain::input::Rules;
use quarterdeck::domain::job::task::{Status, TaskReport, TaskState};
use quarterdeck::domain::text::Untrusted;
use quarterdeck::domain::time::{At, PeerTime};

use crate::scripted::{Scripted, card_at, got, page, served};

const URL: &str = "http://h:1/";
const SECOND: Duration = Duration::from_secs(1);
const LIVE: [TaskState; 2] = [TaskState::Submitted, TaskState::Working];

/// How an agent lists its tasks.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Lists {
    /// As the specification says: by the time of the status, newest first.
    NewestFirst,
    /// Those submitted have no time and come last, as in the Python SDK.
    SubmittedLast,
    /// No task has a time; the last changed first.
    Timeless,
    /// By the time of creation, newest first.
    ByCreation,
    /// Oldest first.
    OldestFirst,
    /// Newest first and all of them, whatever the size of the page.
    AllAtOnce,
    /// Oldest first and all of them, which the engine hands out in slices, each once.
    OldestInSlices,
}

/// Tasks in a slice of a page that is too large to be decoded at once.
const SLICE: usize = 50;

#[derive(Clone)]
struct Toy {
    id: String,
    state: TaskState,
    created: usize,
    changed: At,
}

struct Agent {
    lists: Lists,
    tasks: Vec<Toy>,
    /// Listings asked for, the tasks that they brought, and those of them with messages.
    calls: usize,
    brought: usize,
    with_messages: usize,
    /// The only token that leads to another slice.
    slice: Option<Untrusted>,
}

impl Agent {
    fn report(&self, toy: &Toy) -> TaskReport {
        let time = match self.lists {
            Lists::Timeless => None,
            Lists::SubmittedLast if toy.state == TaskState::Submitted => None,
            _ => Some(PeerTime::from_micros(toy.changed.micros())),
        };
        TaskReport::new(&*toy.id, Status { state: toy.state.clone(), message: None, timestamp: time })
    }

    fn list(&mut self, query: &ListQuery) -> Outcome {
        let mut found: Vec<&Toy> = self.tasks.iter().collect();
        match self.lists {
            Lists::ByCreation => found.sort_by_key(|toy| std::cmp::Reverse(toy.created)),
            Lists::OldestFirst | Lists::OldestInSlices => found.sort_by_key(|toy| (toy.changed, toy.created)),
            _ => found.sort_by_key(|toy| std::cmp::Reverse((toy.changed, toy.created))),
        }
        if self.lists == Lists::SubmittedLast {
            found.sort_by_key(|toy| toy.state == TaskState::Submitted);
        }
        let fits = |toy: &&Toy| {
            let report = self.report(toy);
            query.state.as_ref().is_none_or(|state| *state == toy.state)
                && query.after.is_none_or(|after| report.status.timestamp.is_some_and(|time| time > after))
        };
        let from: usize = query.page.as_ref().map_or(0, |page| page.raw().parse().unwrap());
        let size = match self.lists {
            Lists::AllAtOnce => 1_000_000,
            Lists::OldestInSlices => SLICE,
            _ => usize::from(query.size.unwrap_or(100)),
        };
        let found: Vec<_> = found.into_iter().filter(fits).map(|toy| self.report(toy)).collect();
        let next = (from + size < found.len()).then(|| (from + size).to_string());
        let tasks: Vec<_> = found.into_iter().skip(from).take(size).collect();
        self.calls += 1;
        self.brought += tasks.len();
        self.with_messages += if query.history { tasks.len() } else { 0 };
        if self.lists == Lists::OldestInSlices {
            let is_kept = query.page == self.slice || query.page.is_none();
            self.slice = next.as_deref().map(Untrusted::from);
            if !is_kept {
                let cause = Cause::Malformed("this slice is gone".into());
                return CallKind::List.failed(Failure { sent: Sent::Maybe, cause });
            }
        }
        page(tasks, next.as_deref())
    }
}

struct World {
    core: Scripted,
    agent: Rc<RefCell<Agent>>,
}

impl World {
    /// An agent with tasks that ended within the last day, met for the first time.
    fn begin(lists: Lists, ended: usize) -> Self {
        let agent = Rc::new(RefCell::new(Agent {
            lists,
            tasks: Vec::new(),
            calls: 0,
            brought: 0,
            with_messages: 0,
            slice: None,
        }));
        let answers = Rc::clone(&agent);
        let core = Scripted::new(Rules::default(), move |order| match order {
            Order::Probe { url, .. } => {
                Some(served(Arc::new(Card { streaming: false, ..(*card_at(url)).clone() }), url))
            }
            Order::List { query, .. } => Some(answers.borrow_mut().list(query)),
            Order::Get { task, .. } => {
                let agent = answers.borrow();
                let toy = agent.tasks.iter().find(|toy| *task.raw() == *toy.id);
                toy.map(|toy| got(agent.report(toy)))
            }
            _ => None,
        });
        let mut world = Self { core, agent };
        for number in 0..ended {
            let ago = Duration::from_secs((ended - number) as u64) * 10;
            let toy = Toy {
                id: format!("ended-{number}"),
                state: TaskState::Completed,
                created: number,
                changed: world.core.now - ago,
            };
            world.agent.borrow_mut().tasks.push(toy);
        }
        world.core.configure(&[URL]);
        world.core.pass(60 * SECOND);
        world
    }

    fn add(&mut self, id: &str, state: TaskState) {
        let mut agent = self.agent.borrow_mut();
        let created = agent.tasks.len();
        agent.tasks.push(Toy { id: id.to_owned(), state, created, changed: self.core.now });
    }

    fn change(&mut self, id: &str, state: TaskState) {
        let mut agent = self.agent.borrow_mut();
        let toy = agent.tasks.iter_mut().find(|toy| toy.id == id).unwrap();
        (toy.state, toy.changed) = (state, self.core.now);
    }

    /// What the console knows of a task.
    fn known(&self, id: &str) -> Option<TaskState> {
        let state = self.core.core.state();
        let (agent, _) = state.agents().iter().next().unwrap();
        let attempt = state.attempt(state.attempt_of_task(agent, &TaskId::from(id))?)?;
        attempt.task.as_ref().map(|task| task.state.clone())
    }

    /// Listings, and the tasks that they bring, in a minute.
    fn minute(&mut self) -> (usize, usize) {
        let before = (self.agent.borrow().calls, self.agent.borrow().brought);
        self.core.pass(60 * SECOND);
        let agent = self.agent.borrow();
        (agent.calls - before.0, agent.brought - before.1)
    }

    /// Seconds until the console knows that this is the state of a task.
    fn seconds_until(&mut self, id: &str, state: &TaskState, at_most: u32) -> u32 {
        for seconds in 0..=at_most {
            if self.known(id).as_ref() == Some(state) {
                return seconds;
            }
            self.core.pass(SECOND);
        }
        panic!("{:?}: {id} is {:?} after {at_most} s", self.agent.borrow().lists, self.known(id));
    }
}

#[test]
fn a_listing_costs_the_same_however_many_tasks_the_agent_keeps() {
    for lists in [Lists::NewestFirst, Lists::SubmittedLast, Lists::Timeless, Lists::ByCreation] {
        let costs: Vec<_> = [50, 1_000]
            .into_iter()
            .map(|ended| {
                let mut world = World::begin(lists, ended);
                world.add("live", TaskState::Working);
                world.minute();
                world.minute()
            })
            .collect();
        // A look every five seconds: a page of twenty, and one of those submitted.
        assert!(costs[0].0 <= 26 && costs[0].1 <= 13 * 21, "{lists:?}: {costs:?}");
        assert_eq!(costs[0], costs[1], "{lists:?}");
    }
}

#[test]
fn messages_are_asked_for_of_new_tasks_alone() {
    for lists in [Lists::NewestFirst, Lists::SubmittedLast, Lists::Timeless, Lists::ByCreation] {
        let mut world = World::begin(lists, 300);
        let before = world.agent.borrow().with_messages;
        for number in 0..6 {
            world.add(&format!("new-{number}"), TaskState::Completed);
            world.core.pass(20 * SECOND);
        }
        assert_eq!(world.agent.borrow().with_messages - before, 6, "{lists:?}");
    }
}

#[test]
fn an_idle_agent_whose_list_fits_on_a_page_is_asked_once_a_look() {
    let [none, page, more] = [0, 20, 21].map(|ended| {
        let mut world = World::begin(Lists::NewestFirst, ended);
        world.minute();
        (0..5).map(|_| world.minute().0).sum::<usize>()
    });
    // A probe every thirty seconds, and a look with each.
    let looks = 9..=11;
    assert!(
        looks.contains(&none) && looks.contains(&page) && looks.contains(&(more / 2)),
        "{none} {page} {more}"
    );
}

#[test]
fn tasks_of_other_clients_are_found_in_any_order_of_the_list() {
    // Seconds at most until a task that goes on is found, and one that begins and ends between two looks. An idle
    // agent is looked at with each probe, a busy one every five seconds.
    for (lists, going_on, ended) in [
        (Lists::NewestFirst, 40, 6),
        (Lists::SubmittedLast, 40, 6),
        (Lists::Timeless, 40, 6),
        (Lists::ByCreation, 40, 6),
        (Lists::AllAtOnce, 40, 6),
        (Lists::OldestFirst, 40, 600),
        (Lists::OldestInSlices, 40, 600),
    ] {
        for before in [0, 300] {
            let mut world = World::begin(lists, before);
            for (number, state) in LIVE.into_iter().enumerate() {
                let id = format!("live-{number}");
                world.add(&id, state.clone());
                let took = world.seconds_until(&id, &state, going_on);
                assert!(took <= going_on, "{lists:?}");
            }
            world.add("short", TaskState::Completed);
            world.seconds_until("short", &TaskState::Completed, ended);
            // How they end is seen, at the latest by a poll.
            for number in 0..LIVE.len() {
                world.change(&format!("live-{number}"), TaskState::Failed);
            }
            world.seconds_until("live-0", &TaskState::Failed, 60);
            world.seconds_until("live-1", &TaskState::Failed, 60);
        }
    }
}

#[test]
fn many_new_tasks_between_two_listings_are_all_found() {
    for lists in [Lists::NewestFirst, Lists::SubmittedLast, Lists::Timeless, Lists::ByCreation] {
        for many in [19, 20, 21, 150, 900] {
            let mut world = World::begin(lists, 100);
            for number in 0..many {
                let state =
                    [TaskState::Working, TaskState::Submitted, TaskState::Completed][number % 3].clone();
                world.add(&format!("new-{number}"), state);
            }
            world.core.pass(60 * SECOND);
            let missing: Vec<_> =
                (0..many).filter(|number| world.known(&format!("new-{number}")).is_none()).collect();
            assert_eq!(missing, Vec::<usize>::new(), "{lists:?}, {many}");
        }
    }
}

#[test]
fn a_list_in_another_order_is_detected_and_read_completely() {
    // An agent lists by creation: a task that ends below twenty newer ones shows up in no look for the newest.
    let mut world = World::begin(Lists::ByCreation, 0);
    world.add("long", TaskState::Working);
    world.core.pass(20 * SECOND);
    for number in 0..40 {
        world.add(&format!("later-{number}"), TaskState::Completed);
    }
    world.core.pass(20 * SECOND);
    world.change("long", TaskState::InputRequired);
    world.seconds_until("long", &TaskState::InputRequired, 60);
    world.add("short", TaskState::Completed);
    world.seconds_until("short", &TaskState::Completed, 600);
}

#[test]
fn forgotten_tasks_do_not_come_back_from_a_listing() {
    let rules = Rules::default();
    let mut world = World::begin(Lists::NewestFirst, 30);
    assert_eq!(world.core.core.state().jobs().iter().count(), 30);
    // All ended; the rules of retention forget them, and looks and whole lists go on showing them.
    for _ in 0..rules.keep.as_secs() / 3600 + 3 {
        world.core.pass(Duration::from_secs(3600));
    }
    assert_eq!(world.core.core.state().jobs().iter().count(), 0);
    world.add("new", TaskState::Completed);
    world.seconds_until("new", &TaskState::Completed, 30);
}
