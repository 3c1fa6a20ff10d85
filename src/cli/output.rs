//! Printing: text that is safe to read and to pipe, JSON without control characters, errors with a next step.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::Output;
use crate::config::Faults;
use crate::domain::agent::Agent;
use crate::domain::cause::{Cause, RpcError};
use crate::domain::intent::{Refusal, Remedy};
use crate::domain::shell_words::flag;
use crate::domain::text::Untrusted;
use crate::protocol::json as wire;
use crate::shutdown::{self, Reason};
use crate::tui::widgets::text::wrap;

/// The error of a write to a closed terminal.
const EIO: i32 = rustix::io::Errno::IO.raw_os_error();

/// Why a command did not do its job.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: u8,
    /// A2A's own name for it, or `A2ACLI_ERR_…`, or `QUARTERDECK_ERR_…`.
    pub code: String,
    /// The message for people.
    pub message: Untrusted,
    /// The next step.
    pub hint: Option<Untrusted>,
    /// The transport's code; `None` if there is none.
    pub a2a_code: Option<i64>,
    /// The errors of a configuration file, if these are why.
    pub faults: Option<Box<Faults>>,
}

impl Failure {
    /// A failure of the command line itself.
    pub fn usage(message: impl Into<Untrusted>) -> Self {
        Self::new(2, "A2ACLI_ERR_USAGE", message)
    }

    /// Something in this program or on this machine.
    pub fn internal(message: impl Into<Untrusted>) -> Self {
        Self::new(1, "A2ACLI_ERR_INTERNAL", message)
    }

    /// The errors of a configuration file: a single one is the message, several are listed below it.
    pub fn from_faults(faults: Faults) -> Self {
        let failure = match &*faults.faults {
            [fault] => Self::usage(fault.at(&faults.file)),
            several => Self::usage(format!("{} has {} errors", faults.file.display(), several.len())),
        };
        Self { faults: Some(Box::new(faults)), ..failure }
    }

    /// A timeout.
    pub fn timeout(message: impl Into<Untrusted>) -> Self {
        Self::new(5, "A2ACLI_ERR_TIMEOUT", message)
    }

    /// Any other failure.
    pub fn new(exit: u8, code: &str, message: impl Into<Untrusted>) -> Self {
        Self {
            exit,
            code: code.to_owned(),
            message: message.into(),
            hint: None,
            a2a_code: None,
            faults: None,
        }
    }

    /// With the next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Untrusted>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// From why a call failed.
    pub fn from_cause(cause: &Cause) -> Self {
        let message = cause.to_string();
        let (exit, code) = match cause {
            Cause::Rpc(error) => return Self::from_rpc(error),
            Cause::Login { had_credentials: true, .. } => (4, "A2ACLI_ERR_AUTH_FAILED"),
            Cause::Login { .. } | Cause::Credential(_) => (4, "A2ACLI_ERR_CREDENTIALS_MISSING"),
            Cause::Refused
            | Cause::Reset
            | Cause::TimedOut(_)
            | Cause::Dns(_)
            | Cause::Unreachable(_)
            | Cause::Tls(_)
            | Cause::Blocked(_)
            | Cause::RedirectRefused(_) => (3, "A2ACLI_ERR_UNREACHABLE"),
            Cause::Status { .. } | Cause::NoA2a(_) => (3, "A2ACLI_ERR_UNREACHABLE"),
            Cause::Malformed(_) | Cause::Limit(_) | Cause::NotSpoken(_) | Cause::Source(_) => {
                (1, "A2ACLI_ERR_CARD_INVALID")
            }
            Cause::StaleCard(inner) => return Self::from_cause(inner),
            Cause::Unsaved(_) => (1, "QUARTERDECK_ERR_UNSAVED"),
            Cause::NotServed(_) => (1, "QUARTERDECK_ERR_LISTEN"),
            Cause::Interface(cause) => return Self::from_cause(cause),
            Cause::Deadline(_) | Cause::Overdue(_) => (5, "A2ACLI_ERR_TIMEOUT"),
            Cause::Stopping
            | Cause::TaskEnded(_)
            | Cause::Unsupported(_)
            | Cause::Failing(_)
            | Cause::TasksFailing { .. }
            | Cause::Outlier { .. }
            | Cause::Breaker(_)
            | Cause::Slow { .. } => (1, "A2ACLI_ERR_INTERNAL"),
        };
        Self::new(exit, code, message).hint(cause.next_step())
    }

    /// From why a call to an agent failed, with the agent's name and, for an HTTP status, the URL that was called.
    pub fn from_call(agent: &Agent, cause: &Cause) -> Self {
        let failure = match (cause, &agent.interface) {
            (Cause::Status { status: 404, .. }, None) => {
                let message = format!("no card was found at {}: {cause}", agent.spec.url);
                Self::new(3, "A2ACLI_ERR_CARD_NOT_FOUND", message).hint(cause.next_step())
            }
            (Cause::Status { status: 408 | 425 | 429 | 500.., .. }, Some(interface)) => {
                let failure = Self::from_cause(cause);
                Self { message: format!("{} ({})", failure.message, interface.url).into(), ..failure }
            }
            (Cause::Status { .. }, Some(interface)) => {
                Self::from_cause(&cause.without_a2a(interface.url.raw()))
            }
            _ => Self::from_cause(cause),
        };
        if failure.a2a_code.is_some() {
            return failure;
        }
        Self { message: format!("{}: {}", agent.name, failure.message).into(), ..failure }
    }

    /// From an error that the agent answered with: its own name, unchanged.
    pub fn from_rpc(error: &RpcError) -> Self {
        let message =
            if error.message.is_empty() { Untrusted::from(error.to_string()) } else { error.message.clone() };
        Self { a2a_code: error.code, ..Self::new(1, error.name.as_str(), message) }
            .hint("--debug shows the underlying exchange")
    }

    /// From why an intent was not taken.
    pub fn from_refusal(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::ReadOnly => Self::new(1, "QUARTERDECK_ERR_READ_ONLY", refusal.to_string())
                .hint("run without --read-only to act"),
            Refusal::Cause(cause) => Self::from_cause(cause),
            Refusal::NotNow(_) | Refusal::Unknown(_) => {
                Self::new(1, "QUARTERDECK_ERR_REFUSED", refusal.to_string())
            }
            Refusal::Instead(why, remedy) => {
                Self::new(1, "QUARTERDECK_ERR_REFUSED", why.clone()).hint(command(remedy))
            }
            Refusal::Busy => Self::internal(refusal.to_string()),
            Refusal::Unanswered => Self::new(1, "QUARTERDECK_ERR_UNCERTAIN", refusal.to_string()).hint(
                "check with `quarterdeck task list` whether it was accepted; repeat it only if it was not",
            ),
        }
    }

    /// The envelope of the A2A CLI specification, appendix B.
    pub fn to_json(&self) -> Value {
        let mut error = json!({
            "code": self.code,
            "message": self.message.line().into_string(),
            "hint": self.hint.as_ref().map(|hint| hint.line().into_string()),
            "a2aCode": self.a2a_code,
        });
        if let Some(Faults { file, faults }) = self.faults.as_deref() {
            let rows = faults.iter().map(|fault| {
                let (line, key) = (
                    Some(fault.line).filter(|line| *line > 0),
                    Some(&fault.key).filter(|key| !key.is_empty()),
                );
                json!({ "file": file.display().to_string(), "line": line, "key": key, "message": fault.what })
            });
            error["faults"] = rows.collect();
        }
        json!({ "error": error })
    }
}

/// The command for what can be done instead.
fn command(remedy: &Remedy) -> String {
    match remedy {
        Remedy::Retry => "`quarterdeck task retry` tries it again".into(),
        Remedy::Reroute => "`quarterdeck task reroute` moves it".into(),
        Remedy::PresumeLost => {
            "`quarterdeck task presume-lost` gives it up, and `quarterdeck task retry` sends it elsewhere"
                .into()
        }
        Remedy::NameAgent => "name one with --agent, or wait".into(),
        Remedy::LookAtQueue => "`quarterdeck queue` shows what waits, and for what".into(),
        Remedy::Explain(Some(route)) => {
            format!("`quarterdeck route explain{}` says why", flag("--route", route))
        }
        Remedy::Explain(None) => "`quarterdeck route explain` says why".into(),
        Remedy::LookAtShifts => "`quarterdeck route shift --status` shows it".into(),
        Remedy::ReleaseBreaker => "`quarterdeck breaker NAME auto` gives it back to the engine".into(),
        Remedy::CloseBreaker => "`quarterdeck breaker NAME close` closes it now".into(),
        Remedy::Resume => "`quarterdeck drain NAME --resume` puts it back".into(),
        Remedy::GiveReason => "add --why and the reason".into(),
    }
}

/// The destination of results.
#[derive(Debug)]
pub struct Printer {
    format: Output,
    progress: bool,
    shown: bool,
    /// The output could not be written once; nothing more is written to it.
    failed: bool,
    /// The label of the text that is being printed in pieces, and whether its last line has not ended.
    piece: Option<(String, bool)>,
}

impl Printer {
    /// A printer in a format; progress is shown only to people.
    pub fn new(format: Output) -> Self {
        Self { format, progress: io::stderr().is_terminal(), shown: false, failed: false, piece: None }
    }

    /// True for JSON.
    pub fn is_json(&self) -> bool {
        self.format == Output::Json
    }

    /// Prints one JSON document.
    pub fn document(&mut self, value: &Value) {
        let pretty = serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
        self.out(&wire::escaped(&pretty));
    }

    /// Prints one JSON line.
    pub fn line(&mut self, value: &Value) {
        self.out(&wire::escaped(&value.to_string()));
    }

    /// `Label: value`
    pub fn field(&mut self, label: &str, value: impl Into<Untrusted>) {
        self.out(&format!("{label}: {}", value.into().line()));
    }

    /// A block: its label, its content, an empty line.
    pub fn block(&mut self, label: &str, content: &Untrusted) {
        self.out(&format!("{label}:\n{}\n", content.block().trim_end_matches('\n')));
    }

    /// A piece of a text that grows: its label stands above the first one.
    pub fn piece(&mut self, label: &str, content: &Untrusted) {
        if self.piece.as_ref().is_none_or(|(open, _)| open != label) {
            self.out(&format!("{label}:"));
            self.piece = Some((label.to_owned(), false));
        }
        let text = content.block();
        if !text.is_empty() {
            self.write(&text);
            self.piece = Some((label.to_owned(), !text.ends_with('\n')));
        }
    }

    /// A line of a table; the caller has made it safe.
    pub fn row(&mut self, row: &crate::domain::text::SafeText) {
        self.out(row);
    }

    /// Text of our own, such as a script.
    pub fn plain(&mut self, text: &str) {
        self.out(text);
    }

    fn end_piece(&mut self) {
        if self.piece.take().is_some_and(|(_, unended)| unended) {
            self.write("\n");
        }
    }

    fn out(&mut self, text: &str) {
        self.end_piece();
        self.write(&format!("{text}\n"));
    }

    fn write(&mut self, text: &str) {
        if self.failed {
            return;
        }
        self.end_progress();
        let mut out = io::stdout().lock();
        let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) else { return };
        drop(out);
        // The process must shut down in order, because it may hold an engine: whoever waits for the end is notified.
        self.failed = true;
        shutdown::request(match error.kind() {
            io::ErrorKind::BrokenPipe => Reason::PipeClosed,
            _ if io::stdout().is_terminal() || error.raw_os_error() == Some(EIO) => Reason::TerminalGone,
            _ => {
                self.warn(format!("the output cannot be written: {error}"));
                Reason::OutputFailed
            }
        });
    }

    /// Prints information that is not the result to stderr.
    pub fn warn(&mut self, text: impl Into<Untrusted>) {
        self.end_piece();
        self.end_progress();
        remark(&format!("quarterdeck: {}", text.into().line()));
    }

    /// The same beside a text that is being printed, which goes on unbroken unless both are seen in one place.
    pub fn aside(&mut self, text: impl Into<Untrusted>) {
        if io::stdout().is_terminal() {
            self.end_piece();
        }
        self.end_progress();
        remark(&format!("quarterdeck: {}", text.into().line()));
    }

    /// True if progress is shown.
    pub fn shows_progress(&self) -> bool {
        self.progress
    }

    /// Shows progress on one line that is overwritten.
    pub fn progress(&mut self, text: impl Into<Untrusted>) {
        if self.progress {
            self.shown = true;
            let text = text.into().line().fit(100);
            let _nobody_reads_it = write!(io::stderr(), "\r{text}\u{1b}[K");
            let _nobody_reads_it = io::stderr().flush();
        }
    }

    fn end_progress(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _nobody_reads_it = write!(io::stderr(), "\r\u{1b}[K");
        }
    }

    /// Prints the failure; the exit code matches it.
    pub fn fail(&mut self, failure: &Failure) -> ExitCode {
        if self.is_json() {
            self.document(&failure.to_json());
        } else {
            self.warn(format!("{} ({})", failure.message.line(), failure.code));
            for fault in failure.faults.iter().flat_map(|faults| faults.several()) {
                remark(&Untrusted::from(fault).line());
            }
            if let Some(hint) = &failure.hint {
                self.warn(format!("→ {}", hint.line()));
            }
        }
        ExitCode::from(failure.exit)
    }
}

/// Prints a line to stderr; a terminal that is narrower gets several, which break between words.
fn remark(line: &str) {
    let width = crossterm::terminal::size().ok().filter(|_| io::stderr().is_terminal());
    let width = width.map_or(usize::MAX, |(columns, _)| usize::from(columns.max(20)));
    let _nobody_reads_it = writeln!(io::stderr(), "{}", wrap(line, width).join("\n"));
}

/// A table with aligned columns, for text output.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> Vec<crate::domain::text::SafeText> {
    use unicode_width::UnicodeWidthStr;
    let clean = |text: &str| Untrusted::from(text).line().into_string();
    let rows: Vec<Vec<String>> = std::iter::once(head.iter().map(|cell| (*cell).to_owned()).collect())
        .chain(rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()))
        .collect();
    let columns = head.len();
    let widths: Vec<usize> =
        (0..columns).map(|column| rows.iter().map(|row| row[column].width()).max().unwrap_or(0)).collect();
    rows.iter()
        .map(|row| {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                line.push_str(cell);
                if column + 1 < columns {
                    line.push_str(&" ".repeat(widths[column] - cell.width() + 2));
                }
            }
            Untrusted::from(line.trim_end()).line()
        })
        .collect()
}
