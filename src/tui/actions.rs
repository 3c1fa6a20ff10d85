//! The table of everything that a key can do. Help, palette, key bar and the README's table are made from it.

/// The groups of actions in help.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Group {
    /// Navigation between rows and views.
    Move,
    /// Searching, filtering and time windows.
    Find,
    /// Details about the selected row.
    Understand,
    /// Changing something.
    Act,
    /// Marking, saving and copying.
    Keep,
    /// Actions available everywhere.
    Always,
}

impl Group {
    /// The groups in the order of help.
    pub const ALL: [Self; 6] =
        [Self::Move, Self::Find, Self::Understand, Self::Act, Self::Keep, Self::Always];

    /// The group's title in help.
    pub fn title(self) -> &'static str {
        match self {
            Self::Move => "move",
            Self::Find => "find",
            Self::Understand => "understand",
            Self::Act => "act",
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

            /// The default keys; the configuration can replace them.
            pub fn keys(self) -> &'static [&'static str] {
                match self { $(Self::$name => &[$($key),*],)* }
            }

            /// A word or two, for the key bar.
            pub fn short(self) -> &'static str {
                match self { $(Self::$name => $short,)* }
            }

            /// A one-sentence description.
            pub fn doc(self) -> &'static str {
                match self { $(Self::$name => $doc,)* }
            }
        }
    };
}

actions! {
    Down "down" Move ["j", "down"] "down" "One row down.",
    Up "up" Move ["k", "up"] "up" "One row up.",
    First "first" Move ["home"] "first" "The first row (also go-to, then g); the list follows new rows again.",
    Last "last" Move ["G", "end"] "last" "The last row; a text follows its end again.",
    HalfDown "half-page-down" Move ["ctrl-d", "pgdn"] "page" "Half a page down.",
    HalfUp "half-page-up" Move ["ctrl-u", "pgup"] "page" "Half a page up.",
    Left "left" Move ["left"] "fold" "Fold; in a text, scroll left.",
    Right "right" Move ["right"] "unfold" "Unfold; in a text, scroll right.",
    Open "open" Move ["enter"] "open" "Open the row; never acts on the fleet.",
    Back "back" Move ["esc", "q"] "back" "Back, one step per press: close, end a search, clear marks, clear the filter, go up. On the first screen q quits.",
    HistoryBack "history-back" Move ["["] "earlier" "The previous view in the history.",
    HistoryForward "history-forward" Move ["]"] "later" "The next view in the history.",
    LastView "last-view" Move ["-"] "last view" "Return to the last view.",
    NextPane "next-pane" Move ["tab"] "pane" "The next pane or tab.",
    PrevPane "previous-pane" Move ["shift-tab"] "pane" "The previous pane or tab.",
    FullScreen "full-screen" Move ["f"] "full" "Show this pane in full screen, or restore it.",
    ViewNow "now" Move ["0"] "now" "Results as callers see them, open problems, and where to look.",
    ViewFleet "fleet" Move ["1"] "fleet" "The fleet: every agent and its health.",
    ViewTasks "tasks" Move ["2"] "tasks" "Every task of every agent.",
    ViewInbox "inbox" Move ["3"] "inbox" "Tasks and messages that need an operator.",
    ViewProblems "problems" Move ["4"] "problems" "Open problems, each with its next step.",
    ViewTraces "traces" Move ["5"] "traces" "What tasks did across agents, and where the time went.",
    ViewMetrics "metrics" Move ["7"] "metrics" "Throughput, success rate and latency, by agent, skill or caller.",
    ViewQueue "queue" Move ["9"] "queue" "Jobs that wait for an agent, in the order in which they leave, and dead letters.",
    ViewRoutes "routes" Move [] "routes" "Rules of routing; e says where a message would go, and why.",
    ViewPulse "pulse" Move [] "pulse" "Health of the agents over time, worst first.",
    ViewWire "wire" Move [] "wire" "Requests, responses and events as sent and received.",
    ViewLogs "logs" Move [] "logs" "What agents logged.",
    ViewSources "sources" Move [] "sources" "Sources of agents, and what cannot be read.",
    ViewCandidates "candidates" Move [] "candidates" "Agents named by other agents' cards; o adds one to the fleet.",
    ViewAudit "audit" Move [] "audit" "Who did what, when, from where and why, and whether the records hold.",
    ViewMessages "messages" Move [] "messages" "Messages that this console has shown.",
    Views "views" Move ["v"] "views" "All views, with counts.",
    Command "command" Find [":"] "command" "Run a command: views, acts, agents, ids; enter runs the lit row.",
    Filter "filter" Find ["/"] "filter" "Filter a list (! not, ~ fuzzy, key=value), search a text.",
    NextMatch "next-match" Find ["n"] "next" "In a text, or after a search: the next match.",
    PrevMatch "previous-match" Find ["N"] "before" "In a text, or after a search: the previous match.",
    Faults "faults-only" Find ["z", "ctrl-z"] "faults" "Show only faulty or doubtful rows.",
    Wide "wide" Find ["w"] "wide" "All columns; where they do not fit, those that are left out.",
    Group "group" Find [] "group" "Group the fleet: by replicas, provider, version, region, framework or a label.",
    Time "time" Find ["t"] "time" "The time window of all views, and the window it is compared with.",
    Hold "hold" Find ["p"] "hold" "Freeze the screen, or resume; watching continues.",
    Details "details" Understand ["d"] "details" "Show or hide details of the row.",
    Raw "raw" Understand ["i"] "raw" "Raw JSON as received.",
    RowLogs "row-logs" Understand ["l"] "logs" "Logs of the row: of its span, trace or agent.",
    Changes "changes" Understand ["c"] "changes" "What changed here: cards, health, breakers, sources, operators' acts.",
    GoTo "go-to" Understand ["g"] "go to" "Go to something related; lists the destinations.",
    Explain "explain" Understand [] "explain" "Where a message would go now, and why: what each rule says, and each candidate.",
    Check "check-now" Understand ["ctrl-r"] "check" "Check now: probe the agent, read the task.",
    New "new-task" Act ["n"] "new" "A new task.",
    EditCopy "edit-copy" Act ["e"] "edit a copy" "Edit a copy of this task and send it.",
    Answer "answer" Act ["a"] "answer" "Answer the question; take the problem, at once.",
    Again "again" Act ["r"] "again" "Send it again: to another agent, the same or a chosen one; move or race a live task; settle what may have arrived.",
    Service "service" Act ["o"] "in or out of service" "Take the agent in or out of service: its breaker, a check.",
    Mute "mute" Act ["m"] "mute" "Mute a problem for a given time, with a reason, at once.",
    Undo "undo" Act ["u"] "undo" "Take back, at once: a mute or a take of this row, else your last note, mute, take or undo.",
    Cancel "cancel" Act ["x"] "cancel" "Cancel the task, and verify that it ended.",
    Mark "mark" Keep ["space"] "mark" "Mark the row; in a text, a page down.",
    MarkAll "mark-all" Keep ["*"] "mark all" "Mark all that the filter shows.",
    MarkTo "mark-to-here" Keep ["ctrl-space"] "mark to here" "Mark from the last mark to here.",
    Save "save" Keep ["s"] "save" "Save to a file: a report of the problem, or the rows as CSV or text.",
    Note "note" Keep ["b"] "note" "Add a note to this row, for the next shift, at once.",
    Copy "copy" Keep ["y"] "copy" "Copy: command, id, curl, JSON, table; shows what went to the clipboard.",
    Help "help" Always ["?", "f1"] "help" "Help for this view; keys that type no text also work while typing.",
    Redraw "redraw" Always ["ctrl-l"] "redraw" "Redraw the screen.",
    Interrupt "leave" Always ["ctrl-c"] "quit" "Twice: quit. Cancels nothing.",
    NextBeat "next-beat" Always ["."] "next beat" "In a demo: the next step of the story.",
    BeatAgain "beat-again" Always [","] "once more" "In a demo: back to the previous step.",
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

    /// True for keys that move or mark: the palette does not list them among its commands.
    pub fn only_moves(self) -> bool {
        let moves = self.group() == Group::Move && !self.is_view() && self != Self::Views;
        moves
            || self.is_of_text()
            || matches!(self, Self::Command | Self::Mark | Self::MarkAll | Self::MarkTo | Self::Interrupt)
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
            Self::Command => Some("actions without a key are reached only through it"),
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
                | Self::ViewTraces
                | Self::ViewMetrics
                | Self::ViewQueue
                | Self::ViewRoutes
                | Self::ViewPulse
                | Self::ViewWire
                | Self::ViewLogs
                | Self::ViewSources
                | Self::ViewCandidates
                | Self::ViewAudit
                | Self::ViewMessages
        )
    }

    /// True for those that only lead to another view.
    pub fn leaves(self) -> bool {
        self.is_view()
            || matches!(self, Self::Back | Self::HistoryBack | Self::HistoryForward | Self::LastView)
    }

    /// True for those that change something.
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
    fn every_action_has_a_description_and_can_be_reached() {
        for action in Action::ALL {
            assert!(action.doc().ends_with('.') && !action.short().is_empty(), "{}", action.word());
            let by_palette = !action.word().is_empty();
            assert!(by_palette || !action.keys().is_empty());
            let stable = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(action.word().chars().all(stable), "{}", action.word());
        }
    }
}
