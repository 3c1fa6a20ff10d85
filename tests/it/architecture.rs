//! What may use what, and how large a file may become: read from the sources.

use std::collections::{BTreeMap, BTreeSet};
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

/// An arrow is "may use": domain <- protocol <- telemetry, config <- net, store <- engine <- tui, cli, serve, demo.
const RULES: &[Rule] = &[
    Rule { folder: "domain", except: &[], forbidden: PURE },
    Rule {
        folder: "domain",
        except: &[],
        forbidden: &[
            "crate::protocol",
            "crate::telemetry",
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
        folder: "telemetry",
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
            "HashMap",
            "HashSet",
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
        except: &["run.rs", "input.rs", "terminal.rs", "theme.rs", "batch_process.rs"],
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
const RAW: &[&str] = &[
    "domain",
    "protocol",
    "telemetry",
    "store",
    "net",
    "engine",
    "demo",
    "cli",
    "tui/command.rs",
    "tui/operator_actions.rs",
];

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
fn modules_use_only_what_they_may() {
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

/// What the core says is read on every surface, and each has its own way to act: a command here, a key there.
#[test]
fn the_core_names_no_command_of_a_surface() {
    let (mut files, mut faults) = (Vec::new(), Vec::new());
    sources(&src().join("domain"), &mut files);
    for file in files.iter().filter(|file| !file.ends_with("tests.rs")) {
        let text = std::fs::read_to_string(file).unwrap();
        for (number, line) in code(&text) {
            if ["`quarterdeck ", "--why", "--end"].iter().any(|word| line.contains(word)) {
                faults.push(format!("{}:{number}: {}", file.display(), line.trim()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn raw_text_of_agents_is_used_only_where_allowed() {
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
fn files_are_short_and_begin_with_a_module_doc() {
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

/// Every view of the table has snapshots of its own: `screen-fleet`, or `screen-agent-card`.
/// What SECURITY.md promises is held by the tests that it names.
#[test]
fn every_test_that_a_promise_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    sources(&root.join("tests/it"), &mut files);
    let text = std::fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let named: BTreeSet<&str> = text.split('`').filter(|word| word.contains("::")).collect();
    assert!(named.len() > 40, "{named:?}");
    let exists = |name: &str| {
        let path: Vec<&str> = name.split("::").filter(|part| *part != "tests").collect();
        let Some((test, module)) = path.split_last() else { return false };
        let module = module.join("/");
        let is_there = |file: &PathBuf| {
            let place = file.with_extension("").to_string_lossy().into_owned();
            let place = place.strip_suffix("/mod").or(place.strip_suffix("/tests")).unwrap_or(&place);
            place.ends_with(&format!("/{module}"))
                && std::fs::read_to_string(file).unwrap().contains(&format!("fn {test}("))
        };
        files.iter().any(is_there)
    };
    let missing: Vec<_> = named.into_iter().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}

#[test]
fn every_view_has_a_picture() {
    use quarterdeck::tui::views::View;
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/console/snapshots");
    let files = std::fs::read_dir(pictures).unwrap().flatten();
    let names: Vec<String> = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
    for view in View::WORDS {
        let (alone, of_part) = (format!("__screen-{view}.snap"), format!("__screen-{view}-"));
        let has = |name: &String| name.ends_with(&alone) || name.contains(&of_part);
        assert!(names.iter().any(has), "{view} has no snapshot: add it to console/screens.rs");
    }
}

/// The paths of a `use` tree, each as its segments.
fn leaves(tree: &str, prefix: &[String], paths: &mut Vec<Vec<String>>) {
    let segments = |text: &str| {
        let segments = text.split("::").map(str::trim).filter(|segment| !segment.is_empty());
        prefix.iter().cloned().chain(segments.map(str::to_owned)).collect::<Vec<_>>()
    };
    let Some((head, rest)) = tree.split_once('{') else {
        return paths.push(segments(tree.split(" as ").next().unwrap_or_default()));
    };
    let base = segments(head);
    let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
    let (mut depth, mut from) = (0, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                leaves(&inner[from..at], &base, paths);
                from = at + 1;
            }
            _ => {}
        }
    }
    if !inner[from..].trim().is_empty() {
        leaves(&inner[from..], &base, paths);
    }
}

/// What a file names: the paths that it imports, and those that it writes out.
fn named(text: &str, children: &[String]) -> Vec<Vec<String>> {
    let (mut paths, mut rest) = (Vec::new(), String::new());
    let mut statements = text;
    while let Some(at) = statements.find("use ") {
        let begins = statements[..at].chars().next_back().is_none_or(|c| c.is_whitespace() || c == ')');
        let end = statements[at..].find(';').map_or(statements.len(), |end| at + end);
        rest.push_str(&statements[..at]);
        if begins {
            leaves(&statements[at + 4..end], &[], &mut paths);
        }
        statements = &statements[end..];
    }
    rest.push_str(statements);
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    for word in rest.split(|c: char| !is_part(c)).filter(|word| word.contains("::")) {
        let segments: Vec<String> =
            word.split("::").filter(|segment| !segment.is_empty()).map(str::to_owned).collect();
        let first = segments.first().map_or("", String::as_str);
        if matches!(first, "crate" | "super" | "self") || children.iter().any(|child| child == first) {
            paths.push(segments);
        }
    }
    paths
}

/// Which files of `src/tui` each of them imports, by their modules. That a folder's `mod.rs` declares its children is
/// no import.
fn imports(files: &BTreeMap<Vec<String>, String>) -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let mut imports = BTreeMap::new();
    for (module, text) in files {
        let declares = |line: &str| line.trim().split("mod ").nth(1)?.strip_suffix(';').map(str::to_owned);
        let children: Vec<String> = text.lines().filter_map(declares).collect();
        let mut of = BTreeSet::new();
        for path in named(text, &children) {
            let mut place = module.clone();
            let mut segments = path.iter();
            let mut rest: Vec<String> = Vec::new();
            match path.first().map(String::as_str) {
                Some("crate") if path.get(1).is_some_and(|second| second == "tui") => {
                    place.clear();
                    rest.extend(segments.skip(2).cloned());
                }
                Some("super" | "self") => {
                    for segment in segments.by_ref() {
                        match segment.as_str() {
                            "super" => drop(place.pop()),
                            "self" => {}
                            other => {
                                rest.push(other.to_owned());
                                break;
                            }
                        }
                    }
                    rest.extend(segments.cloned());
                }
                Some(first) if children.iter().any(|child| child == first) => {
                    rest.extend(path.iter().cloned());
                }
                _ => continue,
            }
            place.extend(rest);
            let file = (0..=place.len()).rev().map(|end| &place[..end]).find(|at| files.contains_key(*at));
            of.extend(file.filter(|file| *file != module.as_slice()).map(<[String]>::to_vec));
        }
        imports.insert(module.clone(), of);
    }
    imports
}

/// A way from a file back to itself, if there is one.
fn circle(imports: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>) -> Option<Vec<Vec<String>>> {
    fn walk(
        at: &Vec<String>,
        imports: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>,
        way: &mut Vec<Vec<String>>,
        done: &mut BTreeSet<Vec<String>>,
    ) -> bool {
        if let Some(from) = way.iter().position(|one| one == at) {
            way.drain(..from);
            way.push(at.clone());
            return true;
        }
        if done.contains(at) {
            return false;
        }
        way.push(at.clone());
        if imports[at].iter().any(|next| walk(next, imports, way, done)) {
            return true;
        }
        way.pop();
        done.insert(at.clone());
        false
    }
    let (mut way, mut done) = (Vec::new(), BTreeSet::new());
    imports.keys().any(|at| walk(at, imports, &mut way, &mut done)).then_some(way)
}

fn modules(sources: &[(&str, &str)]) -> BTreeMap<Vec<String>, String> {
    let module = |path: &str| {
        let path = path.trim_end_matches(".rs").trim_end_matches("mod").trim_end_matches('/');
        path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let code = |text: &str| code(text).map(|(_, line)| line).collect::<Vec<_>>().join("\n");
    sources.iter().map(|(path, text)| (module(path), code(text))).collect()
}

#[test]
fn a_circle_of_imports_is_found() {
    let circle_of = |sources: &[(&str, &str)]| {
        let way = circle(&imports(&modules(sources)))?;
        Some(way.iter().map(|module| module.join("/")).collect::<Vec<_>>().join(" -> "))
    };
    for (sources, expected) in [
        (vec![("a.rs", "use super::b::B;"), ("b.rs", "use crate::tui::a::{self, A};")], Some("a -> b -> a")),
        (
            vec![("a.rs", "fn f() { super::b::g() }"), ("b.rs", "use super::{c::C, a};"), ("c.rs", "")],
            Some("a -> b -> a"),
        ),
        (
            vec![("v/mod.rs", "pub mod x;\nenum V { X(x::X) }"), ("v/x.rs", "use super::V;")],
            Some("v -> v/x -> v"),
        ),
        (
            vec![
                ("v/mod.rs", "pub mod x;"),
                ("v/x.rs", "use super::super::a::A;"),
                ("a.rs", "use super::v::x;"),
            ],
            Some("a -> v/x -> a"),
        ),
        (
            vec![
                ("v/mod.rs", "pub mod x;"),
                ("v/x.rs", "use crate::domain::a::A;"),
                ("a.rs", "use super::v::x;"),
            ],
            None,
        ),
        (
            vec![
                ("a.rs", "use super::b;"),
                ("b.rs", "// use super::a;\n#[cfg(test)]\nmod tests {\n use super::a;\n}"),
            ],
            None,
        ),
    ] {
        assert_eq!(circle_of(&sources).as_deref(), expected, "{sources:?}");
    }
}

/// Views know what every view may read, and nothing of each other; the model holds them, and nothing below knows it.
#[test]
fn no_files_of_the_console_import_each_other() {
    let mut paths = Vec::new();
    sources(&src().join("tui"), &mut paths);
    let texts: Vec<(String, String)> = paths
        .iter()
        .map(|path| {
            let place = path.strip_prefix(src().join("tui")).unwrap().display().to_string();
            (place, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    let texts: Vec<(&str, &str)> =
        texts.iter().map(|(place, text)| (place.as_str(), text.as_str())).collect();
    let imports = imports(&modules(&texts));
    let count: usize = imports.values().map(BTreeSet::len).sum();
    assert!(count > 300, "only {count} imports were found");
    let way = circle(&imports).unwrap_or_default();
    let way: Vec<String> = way.iter().map(|module| module.join("/")).collect();
    assert!(way.is_empty(), "these import each other: {}", way.join(" -> "));
}

#[test]
fn keys_in_the_readme_do_what_it_says() {
    use quarterdeck::tui::actions::Action;
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let mut table = String::from("| key | does |\n|---|---|\n");
    for action in Action::ALL {
        let keys: Vec<String> = action.keys().iter().map(|key| format!("`{key}`")).collect();
        let keys = if keys.is_empty() { format!("`:{}`", action.word()) } else { keys.join(" ") };
        table.push_str(&format!("| {keys} | {} |\n", action.doc().replace('|', "\\|")));
    }
    assert!(readme.contains(&table), "the table of keys in README.md must be:\n{table}");
    let rule = quarterdeck::tui::views::help::rule("`u`");
    let lines = readme.replace('\n', " ");
    assert!(lines.contains(&rule), "README.md must say the rule of help: {rule}");
}
