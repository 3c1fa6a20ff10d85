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
