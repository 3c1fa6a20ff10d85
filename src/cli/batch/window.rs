//! Results in the order asked for. For the order of the input, results wait for those before them, in bounded memory.

use std::collections::BTreeMap;

use super::args::Order;

/// How far sending may be ahead of printing, as a multiple of the messages in progress.
const AHEAD: u64 = 4;
/// Bytes of results that may wait while more is sent.
const WAITING_BYTES: usize = 64 * 1024 * 1024;

/// The items between the oldest one that is not printed and the newest one that has begun.
#[derive(Debug)]
pub(super) struct Window {
    order: Order,
    ahead: u64,
    printed: u64,
    begun: u64,
    waiting: BTreeMap<u64, String>,
    bytes: usize,
}

impl Window {
    pub fn new(order: Order, concurrency: u16) -> Self {
        let ahead = AHEAD * u64::from(concurrency);
        Self { order, ahead, printed: 0, begun: 0, waiting: BTreeMap::new(), bytes: 0 }
    }

    /// True if another item may begin.
    pub fn is_open(&self) -> bool {
        match self.order {
            Order::Completion => true,
            Order::Input => self.begun - self.printed < self.ahead && self.bytes < WAITING_BYTES,
        }
    }

    /// An item begins; its place.
    pub fn begin(&mut self) -> u64 {
        self.begun += 1;
        self.begun - 1
    }

    /// An item has ended; the results that can be printed now, in order.
    pub fn end(&mut self, place: u64, result: String) -> Vec<String> {
        if self.order == Order::Completion {
            return vec![result];
        }
        self.bytes += result.len();
        self.waiting.insert(place, result);
        let mut ready = Vec::new();
        while let Some(result) = self.waiting.remove(&self.printed) {
            self.bytes -= result.len();
            self.printed += 1;
            ready.push(result);
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `b` begins an item if the window is open, a digit ends the item of that place.
    fn play(order: Order, moves: &str) -> String {
        let mut window = Window::new(order, 1);
        let mut printed = String::new();
        for step in moves.chars() {
            match step.to_digit(10) {
                Some(place) => {
                    for result in window.end(u64::from(place), place.to_string()) {
                        printed.push_str(&result);
                    }
                }
                None if window.is_open() => drop(window.begin()),
                None => printed.push('!'),
            }
        }
        printed
    }

    #[test]
    fn results_come_in_the_order_asked_for() {
        use Order::{Completion, Input};
        for (order, moves, printed) in [
            (Completion, "bbb210", "210"),
            (Completion, "bbbbbb", ""),
            (Input, "bbb012", "012"),
            (Input, "bbb210", "012"),
            (Input, "bbb20b13", "0123"),
            // One in progress lets four begin before the first one is printed.
            (Input, "bbbbb", "!"),
            (Input, "bbbb321b0b", "!0123"),
        ] {
            assert_eq!(play(order, moves), printed, "{order:?} {moves}");
        }
    }

    #[test]
    fn large_results_close_the_window_until_they_are_printed() {
        let mut window = Window::new(Order::Input, 8);
        let places = [window.begin(), window.begin()];
        assert!(window.end(places[1], "x".repeat(WAITING_BYTES)).is_empty());
        assert!(!window.is_open());
        assert_eq!(window.end(places[0], "y".into()).len(), 2);
        assert!(window.is_open());
    }
}
