//! How often agents are probed: a source may name thousands of them on one host, each to be probed every second.
//!
//! A probe that comes too early waits for its turn; it does not fail. A host has ten a second, unless the operator
//! sets another number (`watch.probes_per_host`), and all of them together two hundred; after a pause, five seconds' worth may come at once. On loopback each port is a host of its own: whoever
//! runs a fleet there runs it on one address. What the operator named does not wait behind what a source named.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use url::{Position, Url};

use super::credentials::parse_url;
use crate::domain::cause::Failure;
use crate::domain::input::Rules;

/// Between any two probes.
const OF_ALL: Duration = Duration::from_millis(5);
/// So much of them may come at once after a pause.
const AT_ONCE: Duration = Duration::from_secs(5);
/// If an agent has no card at its last known place, the other places are tried again only after this.
const OTHER_PLACES: Duration = Duration::from_secs(10 * 60);
/// The maximum number of hosts and agents remembered; beyond it, those without state are dropped.
const REMEMBERED: usize = 32 * 1024;

/// When the next probe may go out. A clone shares it.
#[derive(Clone, Debug)]
pub(super) struct Probes {
    paces: Arc<Mutex<Paces>>,
    /// Between two probes of one host.
    of_host: Duration,
}

impl Default for Probes {
    fn default() -> Self {
        Self::new(Rules::default().probes_per_host)
    }
}

#[derive(Debug, Default)]
struct Paces {
    hosts: BTreeMap<String, Host>,
    /// Of those that the operator named, and of all.
    named: Pace,
    all: Pace,
    /// The queues for agents named by the operator and for all others.
    queues: [Queue; 2],
    cards: BTreeMap<String, CardPlace>,
}

/// A waiter takes a turn only as the first of its queue: meanwhile others may have taken turns.
type Queue = Arc<tokio::sync::Mutex<()>>;

#[derive(Debug, Default)]
struct Host {
    pace: Pace,
    queue: Queue,
}

/// When the next one is due if each takes its share of time.
#[derive(Clone, Copy, Debug, Default)]
struct Pace(Option<Instant>);

impl Pace {
    /// Takes a turn, and gives the time to wait for it.
    fn turn(&mut self, now: Instant, share: Duration) -> Duration {
        let due = self.0.map_or(now, |due| due.max(now));
        self.0 = Some(due + share);
        due.saturating_duration_since(now + AT_ONCE.saturating_sub(share))
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.0.is_none_or(|due| due <= now)
    }
}

/// Where the card of an agent is.
#[derive(Clone, Debug, Default)]
struct CardPlace {
    /// Which of the places answered last.
    place: usize,
    /// When none of them had a card.
    nowhere: Option<Instant>,
    /// Why none of them had one.
    failure: Option<Failure>,
}

impl CardPlace {
    /// True if the other places are not tried yet.
    fn is_only(&self) -> bool {
        self.nowhere.is_some_and(|at| at.elapsed() < OTHER_PLACES)
    }
}

impl Paces {
    fn host(&mut self, url: &Url, now: Instant) -> &mut Host {
        let is_loopback = match url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        let end = if is_loopback { Position::AfterPort } else { Position::AfterHost };
        if self.hosts.len() >= REMEMBERED {
            self.hosts.retain(|_, host| !host.pace.is_idle(now) || Arc::strong_count(&host.queue) > 1);
        }
        self.hosts.entry(url[Position::BeforeHost..end].to_owned()).or_default()
    }

    fn all(&mut self, now: Instant, named: bool) -> Duration {
        let of_all = self.all.turn(now, OF_ALL);
        if named { self.named.turn(now, OF_ALL) } else { of_all }
    }
}

impl Probes {
    /// With at most so many probes a second to one host.
    pub fn new(per_host: u32) -> Self {
        Self { paces: Arc::default(), of_host: Duration::from_secs(1) / per_host.max(1) }
    }

    fn paces(&self) -> std::sync::MutexGuard<'_, Paces> {
        self.paces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until an agent may be probed. `named`: the operator named it.
    pub async fn turn(&self, url: &str, named: bool) {
        let Some(url) = parse_url(url) else { return };
        {
            let queue = self.paces().host(&url, Instant::now()).queue.clone();
            let _first = queue.lock().await;
            let now = Instant::now();
            let wait = self.paces().host(&url, now).pace.turn(now, self.of_host);
            tokio::time::sleep(wait).await;
        }
        let queue = self.paces().queues[usize::from(named)].clone();
        let _first = queue.lock().await;
        let wait = self.paces().all(Instant::now(), named);
        tokio::time::sleep(wait).await;
    }

    /// The places to look at for a card this time. Each but the first takes a turn of its own, which those that come
    /// after it wait for.
    pub fn places(&self, url: &str, mut places: Vec<Url>) -> CardPlaces {
        let known = self.paces().cards.get(url).cloned().unwrap_or_default();
        let first = known.place.min(places.len().saturating_sub(1));
        if known.is_only() {
            places = places.into_iter().skip(first).take(1).collect();
        }
        let mut left: Vec<(usize, Url)> = places.into_iter().enumerate().collect();
        if left.len() > 1 {
            left[..=first].rotate_right(1);
        }
        left.reverse();
        CardPlaces {
            probes: self.clone(),
            url: url.to_owned(),
            left,
            asked: None,
            first,
            known,
            is_failing: false,
        }
    }
}

/// The places of a card in turn, with the result of the last one.
#[derive(Debug)]
pub(super) struct CardPlaces {
    probes: Probes,
    url: String,
    /// The next is the last.
    left: Vec<(usize, Url)>,
    asked: Option<usize>,
    first: usize,
    known: CardPlace,
    /// A server failed, so this search does not show where the card is.
    is_failing: bool,
}

impl CardPlaces {
    /// The last failure of all places, while only one of them is tried.
    pub fn known_failure(&self) -> Option<Failure> {
        self.known.failure.clone().filter(|_| self.known.is_only())
    }

    /// The server failed at the last place. Of the others only these are tried, and if none of them has the card, all
    /// are tried again next time.
    pub fn only(&mut self, wanted: impl Fn(&Url) -> bool) {
        self.left.retain(|(_, place)| wanted(place));
        self.is_failing = true;
    }

    /// None of the places had a card, for this reason.
    pub fn failed(&mut self, failure: &Failure) {
        self.known.failure = Some(failure.clone());
    }
}

impl Iterator for CardPlaces {
    type Item = Url;

    fn next(&mut self) -> Option<Url> {
        let Some((number, place)) = self.left.pop() else {
            // None of them had it.
            if !self.is_failing && !self.known.is_only() {
                self.known.nowhere = Some(Instant::now());
            }
            self.asked = None;
            return None;
        };
        if self.asked.is_some() {
            let (mut paces, now) = (self.probes.paces(), Instant::now());
            paces.host(&place, now).pace.turn(now, self.probes.of_host);
            paces.all(now, false);
        }
        self.asked = Some(number);
        Some(place)
    }
}

impl Drop for CardPlaces {
    fn drop(&mut self) {
        if let Some(asked) = self.asked {
            let place = if self.known.is_only() { self.first } else { asked };
            self.known = CardPlace { place, nowhere: None, failure: None };
        }
        let mut paces = self.probes.paces();
        if self.known.place == 0 && self.known.nowhere.is_none() {
            paces.cards.remove(&self.url);
            return;
        }
        if paces.cards.len() >= REMEMBERED {
            paces.cards.clear();
        }
        paces.cards.insert(std::mem::take(&mut self.url), std::mem::take(&mut self.known));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The send time of each of several simultaneous probes, in milliseconds.
    async fn times(probes: &Probes, urls: impl Iterator<Item = String>, named: bool) -> Vec<u128> {
        let begun = Instant::now();
        let waits = urls.map(|url| {
            let probes = probes.clone();
            tokio::spawn(async move {
                probes.turn(&url, named).await;
                begun.elapsed().as_millis()
            })
        });
        let waits: Vec<_> = waits.collect();
        let mut times = Vec::new();
        for wait in waits {
            times.push(wait.await.unwrap());
        }
        times.sort_unstable();
        times
    }

    /// The most of them within any second, from a time on.
    fn most_in_a_second(times: &[u128], from: u128) -> usize {
        let times: Vec<_> = times.iter().filter(|time| **time >= from).collect();
        times
            .iter()
            .map(|time| times.iter().filter(|other| (**time..**time + 1000).contains(*other)).count())
            .max()
            .unwrap_or(0)
    }

    #[tokio::test(start_paused = true)]
    async fn probes_are_spread_per_host_and_overall() {
        let probes = Probes::default();
        let one_host =
            times(&probes, (0..300).map(|port| format!("http://h.example:{}/", port + 1)), false).await;
        assert_eq!(most_in_a_second(&one_host, 1), 10, "{one_host:?}");
        assert_eq!(one_host.iter().filter(|time| **time == 0).count(), 50);
        let probes = Probes::default();
        let hosts = times(&probes, (0..3000).map(|host| format!("http://h{host}.example/")), false).await;
        assert_eq!(most_in_a_second(&hosts, 1), 200);
        // Agents named by the operator do not wait behind them.
        let named = times(&probes, std::iter::once("http://mine.example".to_owned()), true).await;
        assert_eq!(named, [0]);
    }

    /// A gateway in front of a thousand agents: how long one round of probes takes.
    #[tokio::test(start_paused = true)]
    async fn a_gateway_with_many_agents_is_probed_as_fast_as_the_operator_lets_it() {
        for (per_host, expected) in [(10, 95_000), (40, 20_000), (200, 0)] {
            let probes = Probes::new(per_host);
            let urls = |n: u32| format!("http://gateway.example/{n}");
            let times = times(&probes, (0..1000).map(urls), true).await;
            let last = *times.last().unwrap();
            assert!(last.abs_diff(expected) <= 250, "{per_host} a second: {last} ms");
        }
    }

    /// Each of them asks for its card at four places, as it has none.
    #[tokio::test(start_paused = true)]
    async fn a_search_for_a_card_counts_each_of_its_requests() {
        let probes = Probes::default();
        let begun = Instant::now();
        let searches: Vec<_> = (0..300)
            .map(|agent| {
                let probes = probes.clone();
                tokio::spawn(async move {
                    let url = format!("http://h.example/{agent}");
                    probes.turn(&url, false).await;
                    let places = (0..4).map(|place| Url::parse(&format!("{url}/{place}")).unwrap()).collect();
                    probes.places(&url, places).map(|_| begun.elapsed().as_millis()).collect::<Vec<_>>()
                })
            })
            .collect();
        let mut times = Vec::new();
        for search in searches {
            times.extend(search.await.unwrap());
        }
        // The last places of one search are tried without waiting.
        let most = most_in_a_second(&times, 1);
        assert!(times.len() == 1200 && most <= 12, "{most}");
    }

    #[tokio::test(start_paused = true)]
    async fn probes_of_a_fleet_of_usual_size_never_wait() {
        let probes = Probes::default();
        for _round in 0..3 {
            for url in [|n| format!("http://127.0.0.1:{}/", n + 1), |n| format!("http://h{n}.example/agent")]
            {
                assert!(times(&probes, (0..400).map(url), true).await.iter().all(|time| *time == 0));
            }
            assert!(
                times(&probes, (0..50).map(|n| format!("http://gateway/{n}")), true)
                    .await
                    .iter()
                    .all(|time| *time == 0)
            );
            tokio::time::advance(Duration::from_secs(24)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn other_places_of_a_card_are_searched_every_ten_minutes() {
        let probes = Probes::default();
        let all: Vec<Url> = (0..4).map(|n| Url::parse(&format!("http://h/{n}")).unwrap()).collect();
        // The places tried if none of these has the card.
        let asked = |found: Option<usize>| {
            let mut asked = Vec::new();
            for place in probes.places("http://h", all.clone()) {
                let number = all.iter().position(|one| *one == place).unwrap();
                asked.push(number);
                if Some(number) == found {
                    break;
                }
            }
            asked
        };
        assert_eq!(asked(None), [0, 1, 2, 3]);
        assert_eq!(asked(None), [0]);
        assert_eq!(asked(Some(0)), [0]);
        // Once it was there, everything is looked at again.
        assert_eq!(asked(Some(2)), [0, 1, 2]);
        assert_eq!(asked(Some(2)), [2]);
        assert_eq!(asked(None), [2, 0, 1, 3]);
        for _ in 0..9 {
            tokio::time::advance(Duration::from_secs(60)).await;
            assert_eq!(asked(None), [2]);
        }
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(asked(Some(1)), [2, 0, 1]);
        assert_eq!(asked(Some(1)), [1]);
    }
}
