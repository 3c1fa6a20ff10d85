//! What the router said of the fleet's rules and of the message.

use crate::domain::intent::Send;
use crate::domain::route::Target;
use crate::domain::route::explanation::{Explanation, RuleRow};

/// The router's last answers.
#[derive(Debug, Default)]
pub(super) struct Router {
    rules: Option<Vec<RuleRow>>,
    reads: u64,
    explained: Option<(Box<Send>, Box<Explanation>)>,
}

impl Router {
    /// The rules; `None` until they have been read.
    pub fn rules_read(&self) -> Option<&[RuleRow]> {
        self.rules.as_deref()
    }

    /// The rules as far as they are known.
    pub fn rules(&self) -> &[RuleRow] {
        self.rules_read().unwrap_or_default()
    }

    /// How often the rules were read.
    pub fn reads(&self) -> u64 {
        self.reads
    }

    /// The rules were read; true if there are others than before.
    pub fn read(&mut self, rules: Vec<RuleRow>) -> bool {
        self.reads += 1;
        let news = self.rules.as_ref() != Some(&rules);
        self.rules = Some(rules);
        news
    }

    /// A message was explained; true if that differs from before.
    pub fn explains(&mut self, send: &Send, answer: Box<Explanation>) -> bool {
        let news = self.explained.as_ref().is_none_or(|(of, known)| **of != *send || *known != answer);
        self.explained = Some((Box::new(send.clone()), answer));
        news
    }

    /// What it says of a destination. While a text is typed, the last answer stays until the next one comes.
    pub fn explained(&self, target: &Target) -> Option<&Explanation> {
        self.explained.as_ref().filter(|(send, _)| send.target == *target).map(|(_, explained)| &**explained)
    }

    /// What it says of exactly this message.
    pub fn explained_exactly(&self, send: &Send) -> Option<&Explanation> {
        self.explained.as_ref().filter(|(of, _)| **of == *send).map(|(_, explained)| &**explained)
    }
}
