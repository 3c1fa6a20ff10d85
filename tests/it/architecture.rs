//! What may use what, and how large a file may become: read from the sources.

use std::path::{Path, PathBuf};

/// A folder of `src`, and what it must not name.
struct Rule {
    folder: &'static str,
    except: &'static [&'static str],
    forbidden: &'static [&'static str],
}

const PURE: &[&str] = &[
    "tokio::",
    "reqwest::",
    "rusqlite::",
    "crossterm::",
    "ratatui::",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "Instant::now",
    "SystemTime",
    "HashMap",
    "HashSet",
    "rand::",
    "println!",
    "eprintln!",
];

/// An arrow is "may use": domain <- protocol, config <- net, store <- engine <- tui, cli, serve, demo.
const RULES: &[Rule] = &[
    Rule { folder: "domain", except: &[], forbidden: PURE },
    Rule {
        folder: "domain",
        except: &[],
        forbidden: &[
            "crate::protocol",
            "crate::config",
            "crate::net",
            "crate::store",
            "crate::engine",
            "crate::tui",
            "crate::cli",
            "crate::serve",
            "crate::demo",
        ],
    },
    Rule {
        folder: "protocol",
        except: &[],
        forbidden: &[
            "tokio::",
            "reqwest::",
            "rusqlite::",
            "std::fs",
            "std::net",
            "std::env",
            "Instant::now",
            "SystemTime",
            "crate::config",
            "crate::net",
            "crate::store",
            "crate::engine",
            "crate::tui",
            "crate::cli",
            "crate::serve",
            "crate::demo",
        ],
    },
    Rule {
        folder: "config",
        except: &[],
        forbidden: &[
            "tokio::net",
            "reqwest::",
            "rusqlite::",
            "crate::protocol",
            "crate::net",
            "crate::store",
            "crate::engine",
            "crate::tui",
            "crate::cli",
            "crate::serve",
            "crate::demo",
        ],
    },
    Rule {
        folder: "net",
        except: &[],
        forbidden: &[
            "rusqlite::",
            "crate::store",
            "crate::engine",
            "crate::tui",
            "crate::cli",
            "crate::serve",
            "crate::demo",
        ],
    },
    Rule {
        folder: "store",
        except: &[],
        forbidden: &[
            "reqwest::",
            "crate::net",
            "crate::engine",
            "crate::tui",
            "crate::cli",
            "crate::serve",
            "crate::demo",
        ],
    },
    Rule {
        folder: "engine",
        except: &[],
        forbidden: &[
            "rusqlite::",
            "ratatui::",
            "crossterm::",
            "crate::tui",
            "crate::cli",
            "crate::serve",
            "crate::demo",
        ],
    },
    Rule {
        folder: "serve",
        except: &[],
        forbidden: &["reqwest::", "rusqlite::", "crate::net", "crate::tui", "crate::cli", "crate::demo"],
    },
    Rule {
        folder: "demo",
        except: &[],
        forbidden: &["rusqlite::", "reqwest::", "crate::store", "crate::tui", "crate::cli", "crate::serve"],
    },
    // The screens see the engine through its handle; of the wire they know its frames.
    Rule {
        folder: "tui",
        except: &[],
        forbidden: &[
            "reqwest::",
            "rusqlite::",
            "crate::store",
            "crate::config",
            "crate::serve",
            "crate::cli",
            "crate::demo",
            "crate::net::request",
            "crate::net::credentials",
            "crate::engine::Engine",
            "crate::engine::effects",
        ],
    },
    // What is drawn and decided has no clock, no randomness, no files and no terminal.
    Rule {
        folder: "tui",
        except: &["run.rs", "input.rs", "terminal.rs", "theme.rs"],
        forbidden: &[
            "tokio::",
            "Instant::now",
            "SystemTime",
            "std::fs",
            "std::env",
            "std::thread",
            "std::process",
            "rand::",
            "crossterm::terminal",
            "std::io",
            "println!",
        ],
    },
];

/// Bytes of an agent leave [`Untrusted`] only here: to be compared, sent back, stored, or made safe.
const RAW: &[&str] =
    &["domain", "protocol", "store", "net", "engine", "demo", "cli", "tui/command.rs", "tui/acts.rs"];

/// No file is longer, so that each can be read whole.
const LINES: usize = 700;

fn sources(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The code of a file before its tests, without comments, each line with its number.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    text[..end].lines().enumerate().map(|(at, line)| (at + 1, line.split("//").next().unwrap_or_default()))
}

#[test]
fn nothing_uses_what_it_must_not() {
    let mut faults = Vec::new();
    for rule in RULES {
        let mut files = Vec::new();
        sources(&src().join(rule.folder), &mut files);
        assert!(!files.is_empty(), "{} has no sources", rule.folder);
        for file in files {
            if rule.except.iter().any(|name| file.ends_with(Path::new(rule.folder).join(name))) {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            for (number, line) in code(&text) {
                for word in rule.forbidden.iter().filter(|word| line.contains(**word)) {
                    faults.push(format!("{}:{number}: {} must not name {word}", file.display(), rule.folder));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn raw_bytes_of_agents_stay_where_they_may() {
    let mut files = Vec::new();
    sources(&src(), &mut files);
    let mut faults = Vec::new();
    for file in files {
        let place = file.strip_prefix(src()).unwrap().display().to_string();
        if RAW.iter().any(|allowed| place == *allowed || place.starts_with(&format!("{allowed}/"))) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in code(&text) {
            // `Object::raw` of the JSON reader takes a name; the bytes of an agent come without one.
            if line.contains(".raw()") && !line.contains("AgentView") && !line.contains(".into()") {
                faults.push(format!("{}:{number}: {}", file.display(), line.trim()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn files_can_be_read_whole_and_say_what_they_are() {
    let mut files = Vec::new();
    sources(&src(), &mut files);
    let mut faults = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        if lines > LINES {
            faults.push(format!("{} has {lines} lines", file.display()));
        }
        if !text.starts_with("//!") {
            faults.push(format!("{} does not say what it is", file.display()));
        }
        for (number, _) in
            text.lines().enumerate().filter(|(_, line)| line.contains("TODO") || line.contains("FIXME"))
        {
            faults.push(format!("{}:{}: left to do", file.display(), number + 1));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_view_has_a_picture() {
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/console/snapshots");
    let mut named = String::new();
    for entry in std::fs::read_dir(pictures).unwrap().flatten() {
        named.push_str(&entry.file_name().into_string().unwrap());
    }
    for view in
        ["fleet", "agent", "tasks", "task", "inbox", "problems", "wire", "messages", "sources", "raw", "help"]
    {
        assert!(
            named.contains(&format!("screen-{view}")) || named.contains(&format!("-{view}.snap")),
            "{view}"
        );
    }
}

#[test]
fn what_the_readme_says_of_keys_is_what_they_do() {
    use quarterdeck::tui::actions::Action;
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let mut table = String::from("| key | does |\n|---|---|\n");
    for action in Action::ALL {
        let keys: Vec<String> = action.keys().iter().map(|key| format!("`{key}`")).collect();
        let keys = if keys.is_empty() { format!("`:{}`", action.word()) } else { keys.join(" ") };
        table.push_str(&format!("| {keys} | {} |\n", action.doc().replace('|', "\\|")));
    }
    assert!(readme.contains(&table), "the table of keys in README.md must be:\n{table}");
}
