//! The picture and the animation of the README: the real screen of the demo, as SVG. `assets/picture` makes them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use vt100::Color;

use super::pty::Terminal;

/// The size of the picture, and that of the animation, in cells.
const SIZE: (u16, u16) = (120, 40);
const ANIMATED: (u16, u16) = (100, 30);
/// Frames of the animation, one every few seconds of the demo's minute.
const FRAMES: u32 = 24;
const EVERY: Duration = Duration::from_millis(2600);
/// A cell, in units of the picture.
const CELL: (f32, f32) = (8.4, 18.0);
const MARGIN: f32 = 14.0;
const PAPER: &str = "#11151c";
const INK: &str = "#d8dee9";

#[test]
fn the_picture_of_the_readme() {
    let Ok(path) = std::env::var("QUARTERDECK_WRITE_PICTURE") else { return };
    let mut terminal = Terminal::run(SIZE, &["demo", "--speed", "1.5"], &[("USER", "sam")]);
    terminal.shows("deals-bot tries to take over");
    terminal.shows("what changed");
    terminal.shows("is down");
    let svg = terminal.read(picture);
    std::fs::write(Path::new(&path), svg).unwrap();
    terminal.type_in(":q\r");
    terminal.ends();
}

fn colour(color: Color, default: &str) -> String {
    match color {
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
        Color::Default | Color::Idx(_) => default.to_owned(),
    }
}

#[test]
fn the_animation_of_the_readme() {
    let Ok(path) = std::env::var("QUARTERDECK_WRITE_ANIMATION") else { return };
    let mut terminal = Terminal::run(ANIMATED, &["demo"], &[("USER", "sam")]);
    terminal.shows("results by");
    let begun = Instant::now();
    let frames = (0..FRAMES).map(|frame| {
        // The demo's minute is the clock of its animation.
        terminal.until("the next frame", |_| begun.elapsed() >= EVERY * frame);
        terminal.read(|screen| (0..ANIMATED.1).map(|row| line(screen, row, ANIMATED.0)).collect())
    });
    let svg = animation(&frames.collect::<Vec<Vec<String>>>());
    assert!(svg.len() < 2_000_000, "{} bytes", svg.len());
    std::fs::write(Path::new(&path), svg).unwrap();
    terminal.type_in(":q\r");
    terminal.ends();
}

fn head((columns, rows): (u16, u16), title: &str) -> String {
    let (width, height) =
        (f32::from(columns) * CELL.0 + 2.0 * MARGIN, f32::from(rows) * CELL.1 + 2.0 * MARGIN);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"ui-monospace, \
         SFMono-Regular, Menlo, DejaVu Sans Mono, monospace\" font-size=\"14\">\n<title>{title}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{PAPER}\"/>\n"
    )
}

fn picture(screen: &vt100::Screen) -> String {
    let title = "Quarterdeck: what callers of fifteen agents feel, what is wrong, and the next step";
    let mut svg = head(SIZE, title);
    for row in 0..SIZE.1 {
        let y = MARGIN + f32::from(row) * CELL.1;
        svg.push_str(&format!("<g transform=\"translate(0 {y})\">\n{}</g>\n", line(screen, row, SIZE.0)));
    }
    svg + "</svg>\n"
}

/// Frames that follow each other; a line that several of them have is in the file once.
fn animation(frames: &[Vec<String>]) -> String {
    let mut svg = head(ANIMATED, "Quarterdeck: the demo's minute");
    let seconds = EVERY.as_secs_f32() * f32::from(u16::try_from(frames.len()).unwrap());
    let each = 100.0 / f32::from(u16::try_from(frames.len()).unwrap());
    svg.push_str(&format!(
        "<style>.f{{visibility:hidden;animation:show {seconds}s step-end infinite}}\
         @keyframes show{{0%{{visibility:visible}}{each}%{{visibility:hidden}}}}</style>\n<defs>\n"
    ));
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for line in frames.iter().flatten() {
        let next = known.len();
        if !known.contains_key(line.as_str()) {
            known.insert(line, next);
            svg.push_str(&format!("<g id=\"l{next}\">\n{line}</g>\n"));
        }
    }
    svg.push_str("</defs>\n");
    for (frame, at) in frames.iter().zip(0u16..) {
        // All frames are under way from the start, each at another place; a viewer without animation shows the last.
        let delay = EVERY.as_secs_f32() * f32::from(at) - seconds;
        let shown = if usize::from(at) + 1 == frames.len() { ";visibility:visible" } else { "" };
        svg.push_str(&format!("<g class=\"f\" style=\"animation-delay:{delay}s{shown}\">\n"));
        for (line, row) in frame.iter().zip(0u16..) {
            let y = MARGIN + f32::from(row) * CELL.1;
            svg.push_str(&format!("<use href=\"#l{}\" y=\"{y}\"/>\n", known[line.as_str()]));
        }
        svg.push_str("</g>\n");
    }
    svg + "</svg>\n"
}

/// A line of the screen, at the top of the picture.
fn line(screen: &vt100::Screen, row: u16, columns: u16) -> String {
    let mut svg = String::new();
    let mut column = 0;
    while column < columns {
        let Some(first) = screen.cell(row, column) else { break };
        let style = (first.fgcolor(), first.bgcolor(), first.bold());
        let begin = column;
        let mut text = String::new();
        while let Some(cell) = screen.cell(row, column).filter(|_| column < columns) {
            if (cell.fgcolor(), cell.bgcolor(), cell.bold()) != style {
                break;
            }
            if !cell.is_wide_continuation() {
                text.push_str(if cell.has_contents() { cell.contents() } else { " " });
            }
            column += 1;
        }
        let (x, long) = (MARGIN + f32::from(begin) * CELL.0, f32::from(column - begin) * CELL.0);
        if style.1 != Color::Default {
            let (fill, height) = (colour(style.1, PAPER), CELL.1);
            svg.push_str(&format!(
                "<rect x=\"{x}\" width=\"{long}\" height=\"{height}\" fill=\"{fill}\"/>\n"
            ));
        }
        if text.trim().is_empty() {
            continue;
        }
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let weight = if style.2 { " font-weight=\"bold\"" } else { "" };
        svg.push_str(&format!(
            "<text x=\"{x}\" y=\"13.5\" fill=\"{}\"{weight} textLength=\"{long}\" xml:space=\"preserve\">{text}</text>\n",
            colour(style.0, INK)
        ));
    }
    svg
}
