//! The table of everything that a key can do. Help, palette, key bar and the README's table are made from it.

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

            /// Its keys, unless the configuration names others.
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
    First "first" Move ["home"] "first" "The first row (also go-to, then g); new rows are followed again.",
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
    ViewNow "now" Move ["0"] "now" "What callers feel, what is wrong, and where to look.",
    ViewFleet "fleet" Move ["1"] "fleet" "The fleet: every agent and its health.",
    ViewTasks "tasks" Move ["2"] "tasks" "Every task of every agent.",
    ViewInbox "inbox" Move ["3"] "inbox" "What waits for a person.",
    ViewProblems "problems" Move ["4"] "problems" "What is wrong, and the next step.",
    ViewMetrics "metrics" Move ["7"] "metrics" "How many, how well and how long: by agent, skill or caller.",
    ViewPulse "pulse" Move [] "pulse" "The pulse of the fleet: agents over time, the worst first.",
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
    Group "group" Find [] "group" "Group the fleet: by replicas, provider, version, region, framework or a label.",
    Time "time" Find ["t"] "time" "The stretch of time that every view speaks of, and what it is compared with.",
    Hold "hold" Find ["p"] "hold" "Hold the screen still, and go on; watching goes on.",
    Details "details" Understand ["d"] "details" "Details of the row, on and off.",
    Raw "raw" Understand ["i"] "raw" "Raw: JSON as it came.",
    Changes "changes" Understand ["c"] "changes" "What changed around here: cards, health, breakers, operators, sources.",
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
    Save "save" Keep ["s"] "save" "Save to a file: a report of the problem, or the rows as CSV or text.",
    Note "note" Keep ["b"] "note" "Keep a note about this row, for whoever comes next.",
    Copy "copy" Keep ["y"] "copy" "Copy: command, id, curl, JSON, table; shows what went to the clipboard.",
    Help "help" Always ["?", "f1"] "help" "Help for here; a key that is no text works while typing too.",
    Redraw "redraw" Always ["ctrl-l"] "redraw" "Draw everything afresh.",
    Interrupt "leave" Always ["ctrl-c"] "leave" "Twice: leave. It says what goes on without you, and cancels nothing.",
    NextBeat "next-beat" Always ["."] "next beat" "In a demo: the next beat of the story.",
    BeatAgain "beat-again" Always [","] "once more" "In a demo: once more from the beat before.",
}

impl Action {
    /// The action of a name.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.word() == word)
    }

    /// True for those that mean something only where a text is read.
    pub fn is_of_text(self) -> bool {
        matches!(self, Self::NextMatch | Self::PrevMatch)
    }

    /// True for those that advance a presentation, and mean nothing without one.
    pub fn needs_presenter(self) -> bool {
        matches!(self, Self::NextBeat | Self::BeatAgain)
    }

    /// True for those that also mean something while something is typed.
    pub fn works_while_typing(self) -> bool {
        matches!(self, Self::Help | Self::Interrupt)
    }

    /// Why it cannot be without a key, if it cannot.
    pub fn needs_a_key(self) -> Option<&'static str> {
        match self {
            Self::Interrupt => Some("it is the one way to leave that works everywhere"),
            Self::Back => Some("nothing else leads up and out of every view"),
            Self::Command => Some("what has no key is reached by it alone"),
            _ => None,
        }
    }

    /// True for those that open a view.
    pub fn is_view(self) -> bool {
        matches!(
            self,
            Self::ViewNow
                | Self::ViewFleet
                | Self::ViewTasks
                | Self::ViewInbox
                | Self::ViewProblems
                | Self::ViewMetrics
                | Self::ViewPulse
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
    fn every_action_has_words_and_a_way_to_it() {
        for action in Action::ALL {
            assert!(action.doc().ends_with('.') && !action.short().is_empty(), "{}", action.word());
            let by_palette = !action.word().is_empty();
            assert!(by_palette || !action.keys().is_empty());
            let stable = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(action.word().chars().all(stable), "{}", action.word());
        }
    }
}
