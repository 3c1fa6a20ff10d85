//! Styles by role: the meaning of an item decides its colour, weight and symbol.

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

/// The meaning of a piece of the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Ordinary text.
    Plain,
    /// Healthy or successful.
    Ok,
    /// A warning.
    Warn,
    /// Harm now.
    Bad,
    /// Needs an operator.
    You,
    /// Stale, uncertain or unconfirmed.
    Doubt,
    /// Selected.
    Accent,
    /// Secondary text.
    Quiet,
    /// Titles.
    Title,
    /// Keys.
    Key,
    /// The presenter's caption.
    Caption,
    /// Lines of frames and between panes.
    Border,
}

/// How roles look, and which marks are drawn.
#[derive(Clone, Debug)]
pub struct Theme {
    /// Its name in the configuration.
    pub name: String,
    styles: [Style; 12],
    /// What the terminal can show.
    pub depth: Depth,
    /// The symbols.
    pub glyphs: &'static Glyphs,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RoleStyle {
    fg: Option<String>,
    bg: Option<String>,
    ansi: Option<String>,
    ansi_bg: Option<String>,
    bold: bool,
    dim: bool,
    reverse: bool,
    underline: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleStyles {
    plain: RoleStyle,
    ok: RoleStyle,
    warn: RoleStyle,
    bad: RoleStyle,
    you: RoleStyle,
    doubt: RoleStyle,
    accent: RoleStyle,
    quiet: RoleStyle,
    title: RoleStyle,
    key: RoleStyle,
    caption: RoleStyle,
    border: RoleStyle,
}

/// What the terminal can show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// Millions of colours.
    True,
    /// Sixteen.
    Sixteen,
    /// None.
    None,
}

impl Depth {
    /// Detects the colours that the environment supports.
    pub fn detect() -> Self {
        if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            return Self::None;
        }
        let says = std::env::var("COLORTERM").unwrap_or_default();
        if says.contains("truecolor") || says.contains("24bit") { Self::True } else { Self::Sixteen }
    }
}

impl Theme {
    /// Loads a theme by name; without colours it is always `mono`.
    pub fn load(name: &str, depth: Depth, ascii: bool) -> Self {
        let text = match (name, depth) {
            (_, Depth::None) | ("mono", _) => include_str!("../../assets/themes/mono.toml"),
            ("light", _) => include_str!("../../assets/themes/light.toml"),
            _ => include_str!("../../assets/themes/dark.toml"),
        };
        let looks: Result<RoleStyles, _> = toml::from_str(text);
        let styles = looks.map_or([Style::new(); 12], |looks| {
            [
                looks.plain,
                looks.ok,
                looks.warn,
                looks.bad,
                looks.you,
                looks.doubt,
                looks.accent,
                looks.quiet,
                looks.title,
                looks.key,
                looks.caption,
                looks.border,
            ]
            .map(|settings| style(&settings, depth))
        });
        let name = if depth == Depth::None { "mono" } else { name };
        Self { name: name.to_owned(), styles, depth, glyphs: if ascii { &ASCII } else { &UNICODE } }
    }

    /// How a role looks.
    pub fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }

    /// The marks of no theme, where only words are wanted.
    pub fn plain_glyphs() -> &'static Glyphs {
        &UNICODE
    }

    /// True if only ASCII may be drawn.
    pub fn is_ascii(&self) -> bool {
        self.glyphs.up == "+"
    }
}

fn style(settings: &RoleStyle, depth: Depth) -> Style {
    let mut style = Style::new();
    let (fg, bg) = match depth {
        Depth::True => (settings.fg.as_ref(), settings.bg.as_ref()),
        Depth::Sixteen => (settings.ansi.as_ref(), settings.ansi_bg.as_ref()),
        Depth::None => (None, None),
    };
    // Words stand on lines, whose colour they must not keep.
    let color = |text: &String| {
        if text == "default" { Some(Color::Reset) } else { text.parse::<Color>().ok() }
    };
    if let Some(color) = fg.and_then(color) {
        style = style.fg(color);
    }
    if let Some(color) = bg.and_then(color) {
        style = style.bg(color);
    }
    for (on, modifier) in [
        (settings.bold, Modifier::BOLD),
        (settings.dim, Modifier::DIM),
        (settings.reverse, Modifier::REVERSED),
        (settings.underline, Modifier::UNDERLINED),
    ] {
        if on {
            style = style.add_modifier(modifier);
        }
    }
    style
}

macro_rules! glyphs {
    ($($name:ident $unicode:literal $ascii:literal $doc:literal),* $(,)?) => {
        /// The symbols of all states: meaning never depends on colour alone.
        #[derive(Debug)]
        pub struct Glyphs {
            $(#[doc = $doc] pub $name: &'static str,)*
        }

        static UNICODE: Glyphs = Glyphs { $($name: $unicode,)* };
        static ASCII: Glyphs = Glyphs { $($name: $ascii,)* };
    };
}

glyphs! {
    up "●" "+" "Agent up.",
    degraded "◐" "~" "Agent degraded, or severity warn.",
    down "✖" "X" "Agent down, or severity bad.",
    unknown "○" "?" "Agent never seen.",
    stale "◌" "." "Agent stale.",
    login "◆" "!" "Agent requires a login.",
    not_spoken "⊘" "/" "Agent not spoken.",
    cordoned "⊖" "_" "Agent out of service: it gets no new work.",
    info "·" "i" "Severity info.",
    problems "⚑" "P" "Open problems, where the first line has no room for words.",
    queued "…" "." "Task queued or submitted.",
    working "▸" ">" "Task working.",
    you "◆" "!" "Task needs a person.",
    completed "✓" "v" "Task completed.",
    failed "✗" "x" "Task failed.",
    canceled "■" "#" "Task canceled.",
    rejected "⊘" "/" "Task rejected or not accepted.",
    doubtful "◌" "o" "Task silent, stalled or stale.",
    uncertain "?" "?" "Sending uncertain.",
    lost "∅" "0" "Task lost by its agent.",
    cursor "▌" ">" "The selected row.",
    marked "▪" "*" "A marked row.",
    to "→" "->" "Where work goes.",
    gap "╌" ":" "No updates arrived.",
    bar "━" "=" "A time span.",
    beside "─" "-" "A parallel time span.",
    point "╵" "'" "A time too short to be drawn.",
    top_left "┌" "+" "Corner.",
    top_right "┐" "+" "Corner.",
    bottom_left "└" "+" "Corner.",
    bottom_right "┘" "+" "Corner.",
    tee_left "├" "+" "Joint.",
    tee_right "┤" "+" "Joint.",
    tee_down "┬" "+" "Joint.",
    tee_up "┴" "+" "Joint.",
    cross "┼" "+" "Joint.",
    horizontal "─" "-" "Line.",
    vertical "│" "|" "Line.",
    heavy_top_left "┏" "+" "Corner of a card.",
    heavy_top_right "┓" "+" "Corner of a card.",
    heavy_bottom_left "┗" "+" "Corner of a card.",
    heavy_bottom_right "┛" "+" "Corner of a card.",
    heavy_tee_left "┠" "+" "Joint of a card.",
    heavy_tee_right "┨" "+" "Joint of a card.",
    heavy_horizontal "━" "=" "Line of a card.",
    heavy_vertical "┃" "|" "Line of a card.",
    begin "╭─" ".-" "An attempt begins.",
    inside "│" "|" "Inside an attempt.",
    end "╰─" "'-" "An attempt ends.",
    child "╰▸" "'>" "Work that was handed on.",
    protect "▲" "*" "A production fleet.",
    more "▲" "^" "More rows above.",
    ascending "↑" "^" "Sorted upwards.",
    descending "↓" "v" "Sorted downwards.",
    open "▾" "v" "Unfolded.",
    folded "▸" ">" "Folded.",
    ellipsis "…" "~" "Cut.",
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What xterm shows for the 16 colours, of which terminals differ little.
    fn rgb(color: Option<Color>, default: [u8; 3]) -> [u8; 3] {
        match color {
            Some(Color::Rgb(r, g, b)) => [r, g, b],
            Some(Color::Black) => [0, 0, 0],
            Some(Color::Red) => [205, 0, 0],
            Some(Color::Green) => [0, 205, 0],
            Some(Color::Yellow) => [205, 205, 0],
            Some(Color::Blue) => [0, 0, 238],
            Some(Color::Magenta) => [205, 0, 205],
            Some(Color::Cyan) => [0, 205, 205],
            Some(Color::Gray) => [229, 229, 229],
            Some(Color::DarkGray) => [127, 127, 127],
            Some(Color::White) => [255, 255, 255],
            None | Some(Color::Reset) => default,
            Some(other) => panic!("the contrast of {other} is not known"),
        }
    }

    /// The contrast of two colours by WCAG, from 1 to 21.
    fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.03928 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        let luminance =
            |[r, g, b]: [u8; 3]| 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b) + 0.05;
        let (one, other) = (luminance(one), luminance(other));
        one.max(other) / one.min(other)
    }

    #[test]
    fn the_light_theme_can_be_read_on_white() {
        use Role::{Accent, Bad, Border, Caption, Doubt, Key, Ok, Plain, Quiet, Title, Warn, You};
        let (black, white) = ([0; 3], [255; 3]);
        for depth in [Depth::True, Depth::Sixteen] {
            let theme = Theme::load("light", depth, false);
            let paper = rgb(theme.style(Plain).bg, white);
            for role in [Plain, Ok, Warn, Bad, You, Doubt, Accent, Quiet, Title, Key, Caption, Border] {
                let style = theme.style(role);
                let text = rgb(style.fg, black);
                // Lines are no text.
                let least = if role == Border { 3.0 } else { 4.5 };
                for ground in [rgb(style.bg, paper), if style.bg.is_some() { paper } else { white }] {
                    let found = contrast(text, ground);
                    assert!(found >= least, "{role:?} {depth:?}: {found:.2}");
                }
            }
        }
    }

    #[test]
    fn what_means_something_can_be_read_on_the_selection() {
        use Role::{Accent, Bad, Ok, Warn, You};
        for (name, text, paper) in [("light", [0; 3], [255; 3]), ("dark", [229; 3], [0; 3])] {
            let theme = Theme::load(name, Depth::True, false);
            let selected = rgb(theme.style(Accent).bg, paper);
            for role in [Ok, Warn, Bad, You] {
                let found = contrast(rgb(theme.style(role).fg, text), selected);
                assert!(found >= 4.5, "{name} {role:?}: {found:.2}");
            }
        }
    }

    #[test]
    fn themes_are_sound_and_marks_are_one_cell() {
        use unicode_width::UnicodeWidthStr;
        for name in ["dark", "light", "mono"] {
            for depth in [Depth::True, Depth::Sixteen, Depth::None] {
                let theme = Theme::load(name, depth, false);
                assert_ne!(theme.style(Role::Accent), theme.style(Role::Plain), "{name} {depth:?}");
            }
        }
        for glyphs in [&UNICODE, &ASCII] {
            for one in [glyphs.up, glyphs.you, glyphs.lost, glyphs.cursor, glyphs.gap, glyphs.heavy_vertical]
            {
                assert_eq!(one.width(), 1, "{one}");
            }
        }
        assert!(ASCII.begin.is_ascii() && ASCII.more.is_ascii());
    }
}
