//! One table of everything that a key can do: help, palette, key bar and the README's table come from it.

use super::keymap::Chord;

/// What groups actions in help.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Group {
    /// Going about.
    Move,
    /// Looking for something.
    Find,
    /// Looking closer.
    Understand,
    /// Changing something; each opens a card.
    Act,
    /// Keeping something.
    Keep,
    /// Everywhere.
    Always,
}

impl Group {
    /// The groups in the order of help.
    pub const ALL: [Self; 6] =
        [Self::Move, Self::Find, Self::Understand, Self::Act, Self::Keep, Self::Always];

    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Move => "move",
            Self::Find => "find",
            Self::Understand => "understand",
            Self::Act => "act (each opens a card)",
            Self::Keep => "mark and keep",
            Self::Always => "always",
        }
    }
}

macro_rules! actions {
    ($($name:ident $word:literal $group:ident [$($key:literal),*] $short:literal $doc:literal),* $(,)?) => {
        /// Something a key can do.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Action {
            $(#[doc = $doc] $name,)*
        }

        impl Action {
            /// All of them, in the order of help.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name in the palette and the configuration.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// Where help shows it.
            pub fn group(self) -> Group {
                match self { $(Self::$name => Group::$group,)* }
            }

            /// Its keys.
            pub fn keys(self) -> &'static [&'static str] {
                match self { $(Self::$name => &[$($key),*],)* }
            }

            /// A word or two, for the key bar.
            pub fn short(self) -> &'static str {
                match self { $(Self::$name => $short,)* }
            }

            /// What it does, in a sentence.
            pub fn doc(self) -> &'static str {
                match self { $(Self::$name => $doc,)* }
            }
        }
    };
}

actions! {
    Down "down" Move ["j", "down"] "down" "One row down.",
    Up "up" Move ["k", "up"] "up" "One row up.",
    First "first" Move ["home"] "first" "The first row (also g g); new rows are followed again.",
    Last "last" Move ["G", "end"] "last" "The last row; in a text it is followed again.",
    HalfDown "half-page-down" Move ["ctrl-d", "pgdn"] "page" "Half a page down.",
    HalfUp "half-page-up" Move ["ctrl-u", "pgup"] "page" "Half a page up.",
    Left "left" Move ["left"] "fold" "Fold; in a text, scroll left.",
    Right "right" Move ["right"] "unfold" "Unfold; in a text, scroll right.",
    Open "open" Move ["enter"] "open" "Open the row; it never acts on the fleet.",
    Back "back" Move ["esc", "q"] "back" "Back, one thing a press: closes, ends a search, clears marks, clears the filter, goes up.",
    HistoryBack "history-back" Move ["["] "earlier" "The view before, in history.",
    HistoryForward "history-forward" Move ["]"] "later" "The view after, in history.",
    LastView "last-view" Move ["-"] "last view" "The last view again.",
    NextPane "next-pane" Move ["tab"] "pane" "The next pane or tab.",
    PrevPane "previous-pane" Move ["shift-tab"] "pane" "The pane or tab before.",
    FullScreen "full-screen" Move ["f"] "full" "This pane over the whole screen, and back.",
    ViewFleet "fleet" Move ["1"] "fleet" "The fleet: every agent and its health.",
    ViewTasks "tasks" Move ["2"] "tasks" "Every task of every agent.",
    ViewInbox "inbox" Move ["3"] "inbox" "What waits for a person.",
    ViewProblems "problems" Move ["4"] "problems" "What is wrong, and the next step.",
    ViewWire "wire" Move [] "wire" "What was sent and received, as it was.",
    ViewSources "sources" Move [] "sources" "Where agents are found, and what cannot be read.",
    ViewCandidates "candidates" Move [] "candidates" "Agents that the cards of others name; o adds one to the fleet.",
    ViewMessages "messages" Move [] "messages" "What this console has told you.",
    Views "views" Move ["v"] "views" "All views, with counts.",
    Command "command" Find [":"] "command" "A command; an id or a link pasted here goes there.",
    Filter "filter" Find ["/"] "filter" "Filter a list (! not, ~ fuzzy, key=value), search a text.",
    NextMatch "next-match" Find ["n"] "next" "In a text: the next match.",
    PrevMatch "previous-match" Find ["N"] "before" "In a text: the match before.",
    Faults "faults-only" Find ["z", "ctrl-z"] "faults" "Only what is wrong or in doubt.",
    Wide "wide" Find ["w"] "wide" "All columns.",
    Hold "hold" Find ["p"] "hold" "Hold the screen still, and go on; watching goes on.",
    Details "details" Understand ["d"] "details" "Details of the row, on and off.",
    Raw "raw" Understand ["i"] "raw" "Raw: JSON as it came.",
    GoTo "go-to" Understand ["g"] "go to" "Go to something near; shows its list at once.",
    Check "check-now" Understand ["ctrl-r"] "check" "Check now: probe the agent, read the task.",
    New "new-task" Act ["n"] "new" "A new task.",
    EditCopy "edit-copy" Act ["e"] "edit a copy" "Edit a copy of this task and send it.",
    Answer "answer" Act ["a"] "answer" "Attend to it: answer the question, take the problem.",
    Again "again" Act ["r"] "again" "Again: what may not have arrived is sent once more, or taken as lost.",
    Service "service" Act ["o"] "in or out of service" "In or out of service: the breaker, a check.",
    Mute "mute" Act ["m"] "mute" "Hear nothing of a problem for a while, with a reason.",
    Undo "undo" Act ["u"] "undo" "Undo what can be undone: a mute, a take.",
    Cancel "cancel" Act ["x"] "cancel" "End the task, and see that it ended.",
    Mark "mark" Keep ["space"] "mark" "Mark the row; in a text, a page down.",
    MarkAll "mark-all" Keep ["*"] "mark all" "Mark all that the filter shows.",
    MarkTo "mark-to-here" Keep ["ctrl-space"] "mark to here" "Mark from the last mark to here.",
    Note "note" Keep ["b"] "note" "Keep a note about this row, for whoever comes next.",
    Copy "copy" Keep ["y"] "copy" "Copy: command, id, curl, JSON, table; shows what went to the clipboard.",
    Help "help" Always ["?", "f1"] "help" "Help for here; f1 works while typing too.",
    Redraw "redraw" Always ["ctrl-l"] "redraw" "Draw everything afresh.",
    Interrupt "leave" Always ["ctrl-c"] "leave" "Twice: leave. It says what goes on without you, and cancels nothing.",
    NextBeat "next-beat" Always ["."] "next beat" "On stage: the next beat of the story.",
    BeatAgain "beat-again" Always [","] "once more" "On stage: once more from the beat before.",
}

impl Action {
    /// The action of a chord in a list or on a page.
    pub fn of(chord: Chord, in_text: bool) -> Option<Self> {
        let found = |action: &Self| action.keys().iter().any(|key| Chord::parse(key) == Some(chord));
        let mut fitting = Self::ALL.iter().copied().filter(found);
        match (fitting.next(), fitting.next()) {
            // Two worlds: `n` is the next match in a text and a new task in a list.
            (Some(one), Some(other)) => {
                let of_text = |action: Self| matches!(action, Self::NextMatch | Self::PrevMatch);
                Some(if of_text(one) == in_text { one } else { other })
            }
            (Some(one), None) if matches!(one, Self::NextMatch | Self::PrevMatch) && !in_text => None,
            (one, _) => one,
        }
    }

    /// The first key, for bars and menus.
    pub fn key(self) -> &'static str {
        match self.keys().first() {
            Some(&"pgdn") | None => "",
            Some(&"left") => "←",
            Some(&"right") => "→",
            Some(key) => key,
        }
    }

    /// True for those that open a view.
    pub fn is_view(self) -> bool {
        matches!(
            self,
            Self::ViewFleet
                | Self::ViewTasks
                | Self::ViewInbox
                | Self::ViewProblems
                | Self::ViewWire
                | Self::ViewSources
                | Self::ViewCandidates
                | Self::ViewMessages
        )
    }

    /// True for the letters that act.
    pub fn acts(self) -> bool {
        matches!(
            self,
            Self::New
                | Self::EditCopy
                | Self::Answer
                | Self::Again
                | Self::Cancel
                | Self::Service
                | Self::Mute
                | Self::Undo
                | Self::Note
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_has_two_meanings_in_one_world() {
        for in_text in [false, true] {
            let mut seen: Vec<(Chord, Action)> = Vec::new();
            for action in Action::ALL {
                for key in action.keys() {
                    let chord = Chord::parse(key).unwrap_or_else(|| panic!("{key} is no chord"));
                    if Action::of(chord, in_text) == Some(*action) {
                        assert!(!seen.iter().any(|(other, _)| *other == chord), "{key} twice");
                        seen.push((chord, *action));
                    }
                }
            }
        }
        let chord = |text| Chord::parse(text).unwrap();
        assert_eq!(Action::of(chord("n"), true), Some(Action::NextMatch));
        assert_eq!(Action::of(chord("n"), false), Some(Action::New));
        assert_eq!(Action::of(chord("N"), false), None);
    }

    #[test]
    fn every_action_has_words_and_a_way_to_it() {
        for action in Action::ALL {
            assert!(action.doc().ends_with('.') && !action.short().is_empty(), "{}", action.word());
            let by_palette = !action.word().is_empty();
            assert!(by_palette || !action.keys().is_empty());
        }
    }
}
