//! Every view of the table fits every size: nothing is cut beside empty cells, nothing is drawn over something else,
//! and the frame around it is whole.

use quarterdeck::tui::render::render_recorded;
use quarterdeck::tui::views::View;
use quarterdeck::tui::widgets::canvas::DrawnText;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Console;

const SIZES: [(u16, u16); 4] = [(40, 12), (80, 24), (120, 40), (200, 60)];

/// How each view of the table is opened.
const OPENED: [(&str, &str); 23] = [
    ("now", "0"),
    ("fleet", "1"),
    ("agent", "1 enter"),
    ("tasks", "2"),
    ("task", "2 / \"88213\" enter enter"),
    ("inbox", "3"),
    ("problems", "4"),
    ("traces", "5"),
    ("trace", "2 / \"88213\" enter enter g x"),
    ("logs", "v l"),
    ("queue", "9"),
    ("routes", "v r"),
    ("metrics", "7"),
    ("pulse", ": \"pulse\" enter"),
    ("wire", "v w"),
    ("sources", "v s"),
    ("candidates", "v c"),
    ("changes", "c"),
    ("audit", "v a"),
    ("messages", ": \"theme_pink\" enter v m"),
    ("drill", ": \"drill_cashier-2\" enter"),
    ("raw", "2 / \"88213\" enter enter i"),
    ("help", "?"),
];

/// Faults that are known: the view, the width, a part of the text, and why it is left as it is.
const KNOWN: &[(&str, u16, &str, &str)] = &[];

/// What is wrong with a screen as it is drawn.
fn faults(buffer: &Buffer, puts: &[DrawnText]) -> Vec<String> {
    let mut faults = Vec::new();
    let area = buffer.area;
    let symbol = |x: u16, y: u16| buffer[(x, y)].symbol();
    let row = |y: u16| (0..area.width).map(|x| symbol(x, y)).collect::<String>();
    for y in 1..area.height {
        let (left, right) = (symbol(0, y), symbol(area.width - 1, y));
        let (lefts, rights) = match y {
            1 => ("┌", "┐"),
            _ if y + 1 == area.height => ("└", "┘"),
            _ => ("│├", "│┤"),
        };
        if !lefts.contains(left) || !rights.contains(right) {
            faults.push(format!("the frame is broken: {}", row(y)));
        }
    }
    for put in puts {
        // A line is drawn first, and titles and joints are put on it.
        let is_line = |c: char| c == ' ' || ('\u{2500}'..='\u{257f}').contains(&c);
        if !put.text.trim().is_empty() && !put.before.chars().all(is_line) && put.before != put.text {
            faults.push(format!("{:?} is drawn over {:?}", put.text, put.before));
        }
        // An ellipsis that is a word of its own stands for something to fill in.
        let text = put.text.trim_end();
        let ends_cut = put.is_cut || (text.ends_with('…') && !text.ends_with(" …"));
        let rest: String = (put.x + put.width..area.width).map(|x| symbol(x, put.y)).collect();
        let blank = rest.chars().take_while(|c| *c == ' ').count();
        // One empty cell is the margin before the frame.
        let is_pane_blank = rest.chars().nth(blank).is_some_and(|c| "│┤┐┘".contains(c));
        if ends_cut && blank > 1 && is_pane_blank {
            faults.push(format!(
                "{:?} is cut to {} cells, and {blank} beside it are empty",
                put.text, put.width
            ));
        }
    }
    faults
}

#[test]
fn the_check_of_sizes_finds_what_does_not_fit() {
    use quarterdeck::domain::time::At;
    use quarterdeck::tui::format::Clocks;
    use quarterdeck::tui::theme::{Depth, Role, Theme};
    use quarterdeck::tui::widgets::canvas::{Canvas, Edge};
    let (theme, clocks) = (Theme::load("dark", Depth::None, false), Clocks::new("UTC"));
    // Texts with their column and their cells, on one line inside a frame of 20 cells.
    for (texts, expected) in [
        (vec![(2, "all of it", 9)], None),
        (vec![(2, "up to the frame, cut", 16)], None),
        (vec![(2, "cut too early", 8)], Some("is cut to 8 cells, and 9 beside it are empty")),
        (vec![(2, "cut too early", 8), (12, "another", 7)], None),
        (vec![(2, "shortened…", 10)], Some("\"shortened…\" is cut")),
        (vec![(2, "one", 3), (4, "other", 5)], Some("\"other\" is drawn over \"e    \"")),
        (vec![(0, "x", 1)], Some("the frame is broken")),
    ] {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 20, 4));
        let area = buffer.area;
        let mut canvas = Canvas::new(&mut buffer, &theme, &clocks, At::ZERO);
        canvas.record();
        canvas.rule(area, 1, Edge::Top, &[], &[]);
        canvas.sides(area, 2, 3);
        canvas.rule(area, 3, Edge::Bottom, &[], &[]);
        for (x, text, most) in &texts {
            canvas.put(*x, 2, text, Role::Plain, *most);
        }
        let puts = canvas.into_recorded();
        let found = faults(&buffer, &puts);
        match expected {
            None => assert_eq!(found, Vec::<String>::new(), "{texts:?}"),
            Some(words) => assert!(found.iter().any(|fault| fault.contains(words)), "{texts:?}: {found:?}"),
        }
    }
}

#[test]
fn every_view_fits_every_size() {
    assert_eq!(OPENED.map(|(view, _)| view).as_slice(), View::WORDS, "one line for each view of the table");
    let (mut all, mut met) = (Vec::new(), vec![false; KNOWN.len()]);
    for (view, keys) in OPENED {
        for (width, height) in SIZES {
            let mut console = Console::new(width, height);
            console.press(keys);
            // Messages go by themselves.
            console.wait(5.0);
            assert_eq!(console.model.view.screen().word(), view, "{keys} opens it");
            let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
            let puts = render_recorded(&console.model, &mut buffer);
            for fault in faults(&buffer, &puts) {
                let known = KNOWN.iter().position(|(of, at, text, why)| {
                    assert!(!why.is_empty());
                    (*of, *at) == (view, width) && fault.contains(text)
                });
                match known {
                    Some(at) => met[at] = true,
                    None => all.push(format!("{view} at {width}x{height}: {fault}")),
                }
            }
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
    let gone = KNOWN.iter().zip(met).filter(|(_, met)| !met).map(|(known, _)| known);
    assert_eq!(
        gone.collect::<Vec<_>>(),
        Vec::<&(&str, u16, &str, &str)>::new(),
        "these are no faults any more"
    );
}

/// The heads of a table: the words of its line of titles.
fn heads(screen: &str) -> Vec<String> {
    let line = screen.lines().nth(2).unwrap_or_default();
    let words = line.trim_matches('│').split("  ").flat_map(|part| part.split_whitespace());
    words.map(|word| word.trim_matches(['↑', '↓']).to_owned()).collect()
}

/// Wide mode shows columns that were not there, where there is room takes none away, and says what it still leaves out.
#[test]
fn wide_mode_shows_what_is_usually_left_out() {
    for (keys, width) in [("1", 80), ("1", 120), ("7", 80), ("7", 120), ("2", 80), ("2", 120), ("4", 120)] {
        let mut console = Console::new(width, 40);
        console.press(keys);
        let before = heads(&console.screen());
        let screen = console.press("w").screen();
        let after = heads(&screen);
        if width < 100 {
            assert!(after.iter().any(|head| !before.contains(head)), "{keys} {width}: {before:?} {after:?}");
        } else {
            let stays = before.iter().all(|head| after.contains(head));
            assert!(stays, "{keys} {width}: {before:?} {after:?}");
        }
        let title = screen.lines().nth(1).unwrap_or_default();
        assert!(title.contains("wide · without ") || title.contains(" columns"), "{title}");
        console.press("w");
        assert_eq!(heads(&console.screen()), before, "{keys} {width}");
    }
    let mut console = Console::new(200, 60);
    let screen = console.press("1 w").screen();
    assert!(screen.contains("· all 15 columns"), "{screen}");
}

/// The arrow of the sorted column never stands against the title beside it.
#[test]
fn titles_of_columns_are_never_glued_together() {
    for (view, width) in ["0", "1", "2", "4", "7"].into_iter().flat_map(|view| [(view, 80), (view, 120)]) {
        let mut console = Console::new(width, 24);
        console.press(view);
        for letter in 'A'..='Z' {
            console.press(&letter.to_string());
            let screen = console.screen();
            let line: Vec<char> = screen.lines().nth(2).unwrap_or_default().chars().collect();
            let glued = line.windows(3).any(|three| "↑↓".contains(three[1]) && three[2].is_uppercase());
            assert!(!glued, "{view} {letter} {width}\n{screen}");
        }
    }
}

/// What can be chosen can be read on the smallest screen, and nothing in a border is cut in mid-word.
#[test]
fn menus_and_cards_fit_the_smallest_screen() {
    for keys in
        ["1 o", "1 o b", "1 o c", "t", "y", "g", "v", "2 x", "2 r", "3 a", "2 n", ":", "/", "q", "4 m"]
    {
        for (width, height) in SIZES {
            let mut console = Console::new(width, height);
            console.press(keys);
            let screen = console.screen();
            for line in screen.lines() {
                let bottom = line.split(['└', '┗']).nth(1).and_then(|rest| rest.split(['┘', '┛']).next());
                assert!(!bottom.unwrap_or_default().contains('…'), "{keys} {width}x{height}\n{screen}");
            }
        }
    }
    for (keys, labels) in [
        ("1 o", ["cordon", "failover drill", "check now"]),
        ("t", ["15m", "from, until", "compare with the week before"]),
    ] {
        let mut console = Console::new(40, 12);
        console.press(keys);
        let mut seen = console.screen();
        for _ in 0..20 {
            console.press("down");
            seen += &console.screen();
        }
        for label in labels {
            assert!(seen.contains(label), "{keys}: {label}\n{seen}");
        }
    }
}

/// In ASCII a cut, a separator and a count of zero have a sign each.
#[test]
fn ascii_has_a_sign_for_each_meaning() {
    use quarterdeck::tui::theme::{Depth, Theme};
    for (view, keys) in OPENED {
        let theme = Theme::load("dark", Depth::None, true);
        let mut console = Console::with(80, 24, super::info(), theme);
        console.press(keys);
        let mut buffer = Buffer::empty(Rect::new(0, 0, 80, 24));
        let puts = render_recorded(&console.model, &mut buffer);
        let drawn = |put: &DrawnText| {
            (put.x..put.x + put.width).map(|x| buffer[(x, put.y)].symbol()).collect::<String>()
        };
        for put in puts.iter().filter(|put| put.is_cut && put.width > 1) {
            let text = drawn(put);
            assert!(text.trim_end().ends_with('~'), "{view}: {:?} is cut to {text:?}", put.text);
        }
        let screen = console.screen();
        assert!(screen.is_ascii(), "{view}\n{screen}");
    }
}

/// A notice is no harm: it is told on the first line, but not in the colour of a problem.
#[test]
fn notices_are_told_on_the_first_line() {
    use quarterdeck::tui::render::render;
    use quarterdeck::tui::theme::{Depth, Role, Theme};
    for (width, words) in [(40, "·1"), (80, "·1"), (120, "1 notice"), (200, "1 notice")] {
        let theme = Theme::load("dark", Depth::True, false);
        let quiet = theme.style(Role::Quiet).fg;
        let mut console = Console::with(width, 24, super::info(), theme);
        let screen = console.screen();
        let line = screen.lines().next().unwrap_or_default();
        let at = line.find(words).map(|at| line[..at].chars().count());
        let at = at.unwrap_or_else(|| panic!("{width}: {line}"));
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, 24));
        render(&console.model, &mut buffer);
        assert_eq!(Some(buffer[(u16::try_from(at).unwrap(), 0)].fg), quiet, "{line}");
    }
}

/// Who follows the tour on a small screen reads what to press.
#[test]
fn the_tour_says_what_to_press_on_the_smallest_screen() {
    use quarterdeck::tui::caption::{Caption, Presenter};
    use quarterdeck::tui::context::Info;
    use quarterdeck::tui::theme::{Depth, Theme};
    let presenter = Some(Presenter { stage: false, tour: true });
    for (tour, expected) in [
        ("4 shows the problem", &["A storm has closed", "press  4 shows the problem"][..]),
        ("2, then enter on a task of refunds", &["press  2, then enter on a task of", "refunds"]),
    ] {
        let info = Info { presenter, ..super::info() };
        let mut console = Console::with(40, 12, info, Theme::load("dark", Depth::None, false));
        let text = "A storm has closed Zurich airport. Forty people want to be home tonight.".to_owned();
        let tour = Some(tour.to_owned());
        console.model.context.caption = Some(Caption { text, tour, second: Some(1), waits: false });
        let screen = console.screen();
        for words in expected {
            assert!(screen.contains(words), "{words}\n{screen}");
        }
    }
}
