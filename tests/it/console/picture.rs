//! The picture of the README: the real screen of the demo, as SVG. `assets/picture` makes it.

use std::path::Path;

use vt100::Color;

use super::pty::Terminal;

const SIZE: (u16, u16) = (120, 40);
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
    terminal.shows("what changed before");
    terminal.shows("of its last");
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

fn picture(screen: &vt100::Screen) -> String {
    let (width, height) =
        (f32::from(SIZE.0) * CELL.0 + 2.0 * MARGIN, f32::from(SIZE.1) * CELL.1 + 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"ui-monospace, \
         SFMono-Regular, Menlo, DejaVu Sans Mono, monospace\" font-size=\"14\">\n<title>Quarterdeck: what callers of \
         fifteen agents feel, what is wrong, and the next step</title>\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{PAPER}\"/>\n"
    );
    for row in 0..SIZE.1 {
        let y = MARGIN + f32::from(row) * CELL.1;
        let mut column = 0;
        while column < SIZE.0 {
            let Some(first) = screen.cell(row, column) else { break };
            let style = (first.fgcolor(), first.bgcolor(), first.bold());
            let begin = column;
            let mut text = String::new();
            while let Some(cell) = screen.cell(row, column).filter(|_| column < SIZE.0) {
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
                let fill = colour(style.1, PAPER);
                svg.push_str(&format!(
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{long}\" height=\"{}\" fill=\"{fill}\"/>\n",
                    CELL.1
                ));
            }
            if text.trim().is_empty() {
                continue;
            }
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let weight = if style.2 { " font-weight=\"bold\"" } else { "" };
            svg.push_str(&format!(
                "<text x=\"{x}\" y=\"{}\" fill=\"{}\"{weight} textLength=\"{long}\" xml:space=\"preserve\">{text}</text>\n",
                y + 13.5,
                colour(style.0, INK)
            ));
        }
    }
    svg + "</svg>\n"
}
