//! The real program in a real terminal: it takes the screen, gives it back whatever happens, and lets no
//! byte of an agent control it.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use quarterdeck::demo::Behaviour;

use crate::kill::configure;
use crate::support::{LONG, fleet, old_part, part};

/// What a terminal has been sent, and what it shows.
pub(crate) struct Seen {
    pub(crate) parser: vt100::Parser,
    bytes: Vec<u8>,
    ended: bool,
}

pub(crate) struct Terminal {
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

impl Terminal {
    /// Runs the program in a terminal of a size.
    pub(crate) fn run(size: (u16, u16), args: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::run_at(size, size, args, variables)
    }

    /// Runs it in a terminal that reports one size and has another.
    pub(crate) fn run_at(
        reported: (u16, u16),
        (width, height): (u16, u16),
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let size = PtySize { rows: reported.1, cols: reported.0, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_quarterdeck"));
        command.args(args);
        command.cwd(std::env::temp_dir());
        for variable in [
            "QUARTERDECK_DATA_DIR",
            "QUARTERDECK_CONFIG",
            "QUARTERDECK_FLEET",
            "NO_COLOR",
            "VISUAL",
            "COLUMNS",
            "LINES",
        ] {
            command.env_remove(variable);
        }
        for (name, value) in [("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("LANG", "C.UTF-8")] {
            command.env(name, value);
        }
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let writer = pair.master.take_writer().unwrap();
        let parser = vt100::Parser::new(height.try_into().unwrap(), width.try_into().unwrap(), 0);
        let seen = Arc::new((Mutex::new(Seen { parser, bytes: Vec::new(), ended: false }), Condvar::new()));
        let context = seen.clone();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            loop {
                let read = reader.read(&mut buffer).unwrap_or(0);
                let mut seen = context.0.lock().unwrap();
                seen.parser.process(&buffer[..read]);
                seen.bytes.extend_from_slice(&buffer[..read]);
                seen.ended = read == 0;
                context.1.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        Self { master: pair.master, writer, child, seen }
    }

    /// Waits until something is seen.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, fits: impl Fn(&Seen) -> bool) {
        let begun = Instant::now();
        let mut seen = self.seen.0.lock().unwrap();
        while !fits(&seen) {
            let left = LONG.saturating_sub(begun.elapsed());
            assert!(!left.is_zero() && !seen.ended, "never saw {what}:\n{}", seen.parser.screen().contents());
            seen = self.seen.1.wait_timeout(seen, left).unwrap().0;
        }
    }

    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        self.until(text, |seen| seen.parser.screen().contents().contains(text));
    }

    /// Reads something off the screen.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&vt100::Screen) -> T) -> T {
        read(self.seen.0.lock().unwrap().parser.screen())
    }

    pub(crate) fn type_in(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Kills the program: it has no chance to do anything.
    pub(crate) fn kill(&self) {
        self.signal(rustix::process::Signal::KILL);
    }

    /// Waits for the end: the exit code, and everything that was written.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> (u32, String) {
        let code = self.child.wait().unwrap().exit_code();
        let begun = Instant::now();
        let mut seen = self.seen.0.lock().unwrap();
        while !seen.ended {
            assert!(begun.elapsed() < LONG, "the terminal stays open");
            seen = self.seen.1.wait_timeout(seen, LONG).unwrap().0;
        }
        (code, String::from_utf8_lossy(&seen.bytes).into_owned())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _it_may_have_ended = self.child.kill();
    }
}

/// A data folder with a configuration of some agents.
pub(super) struct Desk {
    dir: tempfile::TempDir,
    _fleet: quarterdeck::demo::Fleet,
    runtime: tokio::runtime::Runtime,
}

impl Desk {
    pub(super) fn new(parts: Vec<quarterdeck::demo::AgentPart>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let fleet = {
            let _its_servers_run_there = runtime.enter();
            fleet(parts)
        };
        configure(dir.path(), &fleet);
        Self { dir, _fleet: fleet, runtime }
    }

    pub(super) fn args(&self) -> Vec<String> {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        vec!["--config".into(), path("config.toml"), "--data-dir".into(), path("data")]
    }

    pub(super) fn without_terminal(&self, words: &[&str]) -> std::process::Output {
        self.runtime
            .block_on(async { crate::kill::binary().args(self.args()).args(words).output().await.unwrap() })
    }

    pub(super) fn open(&self, size: (u16, u16), variables: &[(&str, &str)]) -> Terminal {
        let args = self.args();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Terminal::run(size, &args, variables)
    }
}

/// The terminal is as it was: no alternate screen, no mouse, no bracketed paste, a cursor.
#[track_caller]
pub(crate) fn assert_restored(written: &str) {
    for sequence in ["\u{1b}[?1049l", "\u{1b}[?2004l", "\u{1b}[?1000l", "\u{1b}[?25h"] {
        let restored = written.rfind(sequence);
        let taken = written.rfind(&sequence.replace('l', "h").replace("?25h", "?25l"));
        assert!(restored > taken, "{sequence:?} is missing at the end");
    }
}

#[test]
fn the_console_takes_the_screen_and_restores_it() {
    let desk = Desk::new(vec![part("steady", Behaviour::Steady), old_part("old", Behaviour::Steady)]);
    let mut terminal = desk.open((100, 30), &[]);
    terminal.shows("● 2 up");
    terminal.type_in("q");
    terminal.shows("y quit");
    // The card has been seen; a key that is pressed too early goes nowhere, so it is pressed until heard.
    terminal.type_in("\u{1b}");
    terminal.until("the card closed", |seen| !seen.parser.screen().contents().contains("y quit"));
    terminal.type_in(":q\r");
    let (code, written) = terminal.ends();
    assert_eq!(code, 0, "{written}");
    assert_restored(&written);
    assert!(written.contains("No task runs."), "{written}");
}

#[test]
fn a_second_console_joins_the_first_and_goes_on_without_it() {
    let desk = Desk::new(vec![part("steady", Behaviour::Steady)]);
    let mut first = desk.open((100, 30), &[]);
    first.shows("● 1 up");
    let mut second = desk.open((100, 30), &[]);
    second.shows("● 1 up");
    // What is sent in one is seen in the other.
    second.type_in("2nsteady\tfrom the second\u{13}");
    second.shows("taken from");
    first.type_in("2");
    first.shows("from the second");
    first.type_in(":q\r");
    assert_eq!(first.ends().0, 0);
    second.shows("it is run from here now");
    second.shows("● 1 up");
    second.type_in("2nsteady\tall by itself\u{13}");
    second.shows("taken from");
    second.shows("completed");
    second.type_in(":q\r");
    assert_restored(&second.ends().1);
}

#[test]
fn a_console_that_waits_for_the_journal_says_so_and_can_be_quit() {
    use rustix::process::Signal;
    let desk = Desk::new(vec![part("steady", Behaviour::Steady)]);
    let data = desk.dir.path().join("data");
    quarterdeck::store::make_dir(&data).unwrap();
    // Somebody holds the data and says nothing: opening takes as long as it takes.
    let lock = quarterdeck::store::lock::Lock::take(&data).unwrap().unwrap();
    for (keys, signal, code) in [("q", None, 0), ("\u{3}", None, 0), ("2nx", Some(Signal::TERM), 143)] {
        let mut terminal = desk.open((80, 24), &[]);
        terminal.shows("recovering");
        terminal.type_in(keys);
        if let Some(signal) = signal {
            terminal.signal(signal);
        }
        let (ended, written) = terminal.ends();
        assert_eq!(ended, code, "{written}");
        assert_restored(&written);
    }
    let mut terminal = desk.open((80, 24), &[]);
    terminal.shows("recovering");
    drop(lock);
    terminal.shows("● 1 up");
    terminal.type_in(":q\r");
    assert_restored(&terminal.ends().1);
}

#[test]
fn signals_restore_the_terminal() {
    use rustix::process::Signal;
    let desk = Desk::new(vec![part("steady", Behaviour::Steady)]);
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut terminal = desk.open((80, 24), &[]);
        terminal.shows("● 1 up");
        terminal.signal(signal);
        let (ended, written) = terminal.ends();
        assert_eq!(ended, code, "{signal:?}");
        assert_restored(&written);
    }
}

#[cfg(feature = "failpoints")]
#[test]
fn a_panic_restores_the_terminal_and_is_reported() {
    let desk = Desk::new(vec![part("steady", Behaviour::Steady)]);
    let mut terminal = desk.open((80, 24), &[("QUARTERDECK_PANIC_AT", "draw:3")]);
    let (code, written) = terminal.ends();
    assert_ne!(code, 0);
    assert_restored(&written);
    let after = written.rsplit("\u{1b}[?1049l").next().unwrap_or_default();
    assert!(after.contains("a fault in quarterdeck itself") && !after.contains("\u{1b}[2J"), "{after}");
}

#[test]
fn the_console_follows_the_size_of_the_terminal() {
    let desk = Desk::new(vec![part("steady", Behaviour::Steady)]);
    let mut terminal = desk.open((120, 40), &[]);
    terminal.shows("● 1 up");
    // The first key after a change counts at once, not with the next one.
    for (width, height, key, title) in [
        (40u16, 12u16, "4", "problems ─"),
        (200, 60, "1", "fleet ─"),
        (10, 3, "", "too small"),
        (80, 24, "2", "tasks ─"),
    ] {
        terminal
            .seen
            .0
            .lock()
            .unwrap()
            .parser
            .screen_mut()
            .set_size(height.try_into().unwrap(), width.try_into().unwrap());
        let size = PtySize { rows: height, cols: width, pixel_width: 0, pixel_height: 0 };
        terminal.master.resize(size).unwrap();
        terminal.until("the new size", |seen| {
            let last = seen.parser.screen().rows(0, width).last().unwrap_or_default();
            if width < 20 {
                seen.parser.screen().contents().contains("too small")
            } else {
                last.ends_with('┘')
            }
        });
        terminal.type_in(key);
        terminal.shows(title);
    }
}

#[test]
fn an_editor_gets_every_key_and_its_text_comes_back() {
    let desk = Desk::new(vec![part("steady", Behaviour::Steady)]);
    let editor = desk.dir.path().join("editor.sh");
    std::fs::write(&editor, "echo EDITING\nread -r line\nprintf '%s and more' \"$line\" > \"$1\"\n").unwrap();
    let variable = format!("sh {}", editor.display());
    let mut terminal = desk.open((100, 30), &[("EDITOR", &variable)]);
    terminal.shows("● 1 up");
    terminal.type_in("n");
    terminal.shows("what will happen");
    terminal.type_in("\u{18}");
    terminal.shows("EDITING");
    // All of these mean something in the console.
    terminal.type_in("qx:2?y\r");
    terminal.shows("qx:2?y and more");
    terminal.shows("what will happen");
    terminal.type_in("\u{13}");
    terminal.shows("completed");
    terminal.type_in(":q\r");
    assert_restored(&terminal.ends().1);
}

#[test]
fn no_colour_is_written_when_colours_are_off() {
    let desk = Desk::new(vec![part("steady", Behaviour::Steady)]);
    let mut terminal = desk.open((80, 24), &[("NO_COLOR", "1")]);
    terminal.shows("● 1 up");
    terminal.type_in(":q\r");
    let (_, written) = terminal.ends();
    for sequence in written.split('\u{1b}').filter_map(|rest| rest.strip_prefix('[')) {
        let Some(end) = sequence.find(|c: char| c.is_ascii_alphabetic()) else { continue };
        if sequence[end..].starts_with('m') {
            let colour =
                sequence[..end].split(';').any(|n| matches!(n.parse(), Ok(30..=38 | 40..=48 | 90..=107)));
            assert!(!colour, "{sequence:?}");
        }
    }
}

#[test]
fn without_a_terminal_the_console_names_commands_that_work() {
    let desk = Desk::new(vec![part("steady", Behaviour::Steady)]);
    for words in [&[][..], &["demo"]] {
        let output = desk.without_terminal(words);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("needs a terminal") && stderr.contains("quarterdeck agents"), "{stderr}");
    }
    let output = desk.without_terminal(&["agnets"]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("did you mean `quarterdeck agents`"), "{stderr}");
}

/// Everything that the program writes is one of its own sequences, or harmless.
#[track_caller]
fn assert_only_our_sequences(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).expect("what is written is UTF-8");
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let here: String = rest.chars().take(60).collect();
        rest = &rest[c.len_utf8()..];
        if c != '\u{1b}' {
            // The terminal itself turns an end of line into two.
            assert!(!c.is_control() || matches!(c, '\r' | '\n'), "{here:?}");
            assert!(
                !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'),
                "{here:?}"
            );
            continue;
        }
        if let Some(title) = rest.strip_prefix("]0;") {
            let (title, after) = title.split_once('\u{7}').expect("a title that ends");
            assert!(title.is_empty() || title == "quarterdeck default", "{title:?}");
            rest = after;
            continue;
        }
        let sequence = rest.strip_prefix('[').unwrap_or_else(|| panic!("{here:?}"));
        let end = sequence.find(|c: char| !matches!(c, '0'..='9' | ';' | '?')).expect("a sequence that ends");
        let (parameters, last) = (&sequence[..end], &sequence[end..=end]);
        let ours = match last {
            "m" | "H" => !parameters.contains('?'),
            "J" => parameters == "2",
            // 8 keeps right-to-left text in the cells where it was drawn.
            "h" | "l" => ["8", "?1049", "?2004", "?25", "?2026", "?1000", "?1002", "?1003", "?1006", "?1015"]
                .contains(&parameters),
            _ => false,
        };
        assert!(ours, "{here:?}");
        rest = &sequence[end + 1..];
    }
}

#[test]
fn no_byte_of_an_agent_controls_the_terminal() {
    let desk =
        Desk::new(vec![part("poster", Behaviour::Hostile), old_part("old-poster", Behaviour::Hostile)]);
    let mut terminal = desk.open((120, 40), &[]);
    terminal.shows("● 2 up");
    for agent in ["poster", "old-poster"] {
        terminal.type_in("2n");
        terminal.shows("new task");
        terminal.type_in(&format!("{agent}\tanything cheap?\u{13}"));
        terminal.shows("taken from");
        terminal.until("the task", |seen| {
            seen.parser.screen().contents().contains("sanitised")
                || seen.parser.screen().contents().contains("␛")
        });
        // Every screen that shows something of it.
        for keys in [
            "\t", "\t", "i", "q", "f", "q", "2", "w", "d", "3", "4", "\r", "1", "\r", "\t", "\t", "\t", "\t",
            "vw", "\r", "q", "gg", "yt", "?", "q",
        ] {
            terminal.type_in(keys);
            let before = terminal.seen.0.lock().unwrap().bytes.len();
            terminal.until("another picture", |seen| seen.bytes.len() > before || seen.ended);
            if keys == "vw" {
                // What was on the wire is asked for when it is looked at.
                terminal.until("frames", |seen| {
                    let screen = seen.parser.screen().contents();
                    screen.contains("secrets removed") && !screen.contains("the last 0 frames")
                });
            }
        }
    }
    terminal.type_in(":q\r");
    let (code, _) = terminal.ends();
    assert_eq!(code, 0);
    let seen = terminal.seen.0.lock().unwrap();
    let bytes = seen.bytes.clone();
    // What we copied was asked for by the one who typed.
    let (copied, others) = take_copies(&bytes);
    assert!(copied.iter().all(|text| !text.contains('\u{1b}')), "{copied:?}");
    assert_only_our_sequences(&others);
}

/// The texts that were put into the clipboard, and everything else.
fn take_copies(bytes: &[u8]) -> (Vec<String>, Vec<u8>) {
    use base64::Engine as _;
    let text = String::from_utf8_lossy(bytes);
    let mut copies = Vec::new();
    let mut others = String::new();
    let mut parts = text.split("\u{1b}]52;c;");
    others.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(['\u{1b}', '\u{7}']).expect("a copy that ends");
        let copied = base64::engine::general_purpose::STANDARD.decode(&part[..end]).expect("base64");
        copies.push(String::from_utf8(copied).expect("UTF-8"));
        others.push_str(part[end..].trim_start_matches(['\u{7}']).trim_start_matches("\u{1b}\\"));
    }
    (copies, others.into_bytes())
}

/// What is said beside the screen breaks between words, however narrow the terminal.
#[test]
fn errors_break_between_words() {
    let mut terminal = Terminal::run((40, 12), &["--config", "/nowhere/at.toml", "agents"], &[]);
    let (code, written) = terminal.ends();
    assert_ne!(code, 0);
    let lines: Vec<&str> = written.lines().map(str::trim_end).collect();
    assert!(lines.len() > 2 && lines.iter().all(|line| line.chars().count() <= 40), "{written}");
    assert!(lines.join(" ").contains("quarterdeck: /nowhere/at.toml"), "{written}");
}

#[test]
fn the_demo_leaves_nothing_behind() {
    let folders = || {
        let named = |entry: std::fs::DirEntry| entry.file_name().into_string().unwrap_or_default();
        let all = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten().map(named);
        all.filter(|name| name.starts_with("quarterdeck-demo-")).count()
    };
    let before = folders();
    let mut terminal = Terminal::run((100, 30), &["demo", "--speed", "4", "--tour"], &[]);
    terminal.shows("● 15 up");
    terminal.shows("A storm has closed");
    terminal.type_in("2");
    terminal.shows("completed");
    terminal.type_in(":q\r");
    let (code, written) = terminal.ends();
    assert_eq!(code, 0, "{written}");
    assert_eq!(folders(), before);
    assert!(Path::new(env!("CARGO_BIN_EXE_quarterdeck")).exists());
}

/// Opens the console on a data folder whose agent `strict` echoes a secret, and looks at every screen.
pub(crate) fn shows_no_secret(dir: &Path, secret: &str) {
    let path = |name: &str| dir.join(name).display().to_string();
    let (config, data) = (path("config.toml"), path("data"));
    let args = ["--config", &config, "--data-dir", &data, "--debug"];
    let mut terminal = Terminal::run((160, 50), &args, &[("CANARY", secret)]);
    terminal.shows("● 1 up");
    for word in ["well", "error", "status", "login"] {
        terminal.type_in("2n");
        terminal.shows("new task");
        terminal.type_in(&format!("strict\t{word}\u{13}"));
        terminal.shows("sent to strict");
        for keys in [
            "\t", "\t", "i", "q", "q", "1", "\r", "\t", "\t", "\t", "\t", "4", "vw", "\r", "q", "yt", "yc",
            "2", "yy", "vm",
        ] {
            terminal.type_in(keys);
            let before = terminal.seen.0.lock().unwrap().bytes.len();
            terminal.until("another picture", |seen| seen.bytes.len() > before || seen.ended);
            if keys == "vw" {
                // What was on the wire is asked for when it is looked at.
                terminal.until("frames", |seen| {
                    let screen = seen.parser.screen().contents();
                    screen.contains("secrets removed") && !screen.contains("the last 0 frames")
                });
            }
        }
    }
    terminal.type_in(":q\r");
    let (_, written) = terminal.ends();
    let (copies, _) = take_copies(written.as_bytes());
    assert!(!written.contains(secret), "on the screen");
    assert!(copies.iter().all(|text| !text.contains(secret)), "in the clipboard: {copies:?}");
}
