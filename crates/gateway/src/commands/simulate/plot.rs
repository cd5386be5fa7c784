//! Delays drawn: how many are taken within a time, as bars for a terminal and as an SVG for a page, bright or dark.

use desk::Order;

use crate::commands::calls::span;

/// One part of the picture: the orders side by side.
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) traces: Vec<Trace>,
}

/// One order's delays.
pub(super) struct Trace {
    order: Order,
    /// In milliseconds, the shortest first.
    delays: Vec<u64>,
}

impl Trace {
    pub(super) fn new(order: Order, mut delays: Vec<u64>) -> Self {
        delays.sort_unstable();
        Self { order, delays }
    }

    /// Which share was taken within a time.
    fn within(&self, ms: u64) -> f64 {
        if self.delays.is_empty() {
            return 0.0;
        }
        self.delays.partition_point(|delay| *delay <= ms) as f64 / self.delays.len() as f64
    }

    fn p99(&self) -> u64 {
        let at = (self.delays.len() * 99).div_ceil(100).saturating_sub(1);
        self.delays.get(at).copied().unwrap_or(0)
    }
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
/// Steps a person counts time in.
const STEPS: [u64; 17] = [
    SECOND,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    4 * HOUR,
    8 * HOUR,
    24 * HOUR,
    72 * HOUR,
    168 * HOUR,
];

/// The time axis: from 0 in steps until all but the longest hundredth of every trace is on it.
struct Axis {
    step: u64,
    steps: u64,
}

impl Axis {
    /// More labels than this stand on one another.
    const STEPS_MAX: u64 = 8;

    fn of<'t>(traces: impl IntoIterator<Item = &'t Trace>) -> Self {
        let longest = traces.into_iter().map(Trace::p99).max().unwrap_or(0).max(1);
        let fits = |step: &&u64| longest.div_ceil(**step) <= Self::STEPS_MAX;
        let step = STEPS.iter().find(fits).copied().unwrap_or_else(|| longest.div_ceil(Self::STEPS_MAX));
        Self { step, steps: longest.div_ceil(step).max(1) }
    }

    const fn end(&self) -> u64 {
        self.step * self.steps
    }

    /// The unit its labels are in.
    const fn unit(&self) -> (&'static str, u64) {
        if self.step < MINUTE {
            ("seconds", SECOND)
        } else if self.step < HOUR {
            ("minutes", MINUTE)
        } else {
            ("hours", HOUR)
        }
    }

    fn marks(&self) -> impl Iterator<Item = u64> + use<> {
        let step = self.step;
        (0..=self.steps).map(move |mark| mark * step)
    }
}

/// How many are taken within each step of time, a bar for each order.
pub(super) fn bars(panel: &Panel) -> String {
    /// Characters of a whole bar.
    const WIDTH: f64 = 40.0;
    let axis = Axis::of(&panel.traces);
    let mut text = "TAKEN WITHIN\n".to_owned();
    for mark in axis.marks() {
        for (number, trace) in panel.traces.iter().enumerate() {
            let share = trace.within(mark);
            let label =
                if number == 0 { if mark == 0 { "at once".to_owned() } else { span(mark) } } else { String::new() };
            // At most 40, at least 0.
            let bar = "█".repeat((share * WIDTH).round() as usize);
            text.push_str(&format!("{label:>8}  {:12}  {bar} {:.0} %\n", trace.order.code(), share * 100.0));
        }
    }
    text
}

/// Sizes in the picture's own units.
const WIDTH: f64 = 900.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 92.0;
const PLOT_HEIGHT: f64 = 250.0;
const PANEL_HEIGHT: f64 = 350.0;
const TITLE_CHARACTERS: usize = 110;

/// Bright, or dark where the reader's system is. The three colours are told apart by those who do not see red and green
/// (Okabe, Ito), and the dashes by those who see none.
const STYLE: &str = "
  svg { --paper: #ffffff; --ink: #1f2328; --faint: #59636e; --line: #d1d9e0;
        --fifo: #0072b2; --priority: #c04f00; --satisfaction: #00805c; }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #0d1117; --ink: #e6edf3; --faint: #9198a1; --line: #30363d;
          --fifo: #56b4e9; --priority: #f0a35e; --satisfaction: #2fc79a; }
  }
  .paper { fill: var(--paper); }
  text { fill: var(--ink); font: 14px system-ui, -apple-system, \"Segoe UI\", Roboto, sans-serif; }
  .title { font-size: 18px; font-weight: 600; }
  .panel { font-weight: 600; }
  .faint { fill: var(--faint); font-size: 13px; }
  .grid { stroke: var(--line); stroke-width: 1; }
  .axis { stroke: var(--faint); stroke-width: 1; }
  .fifo, .priority, .satisfaction { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
  .fifo { stroke: var(--fifo); }
  .priority { stroke: var(--priority); stroke-dasharray: 9 4; }
  .satisfaction { stroke: var(--satisfaction); stroke-dasharray: 2 4; stroke-linecap: round; }
";

/// The whole picture: a panel below the other, one time axis for all.
pub(super) fn svg(heading: &str, panels: &[Panel]) -> String {
    let axis = Axis::of(panels.iter().flat_map(|panel| &panel.traces));
    let height = TOP + PANEL_HEIGHT * panels.len() as f64;
    let heading = escaped(&crate::commands::listing::cut(heading, TITLE_CHARACTERS));
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-labelledby=\"title desc\">\n<title id=\"title\">Delays of call-backs by order of service</title>\n\
         <desc id=\"desc\">{heading}</desc>\n<style>{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text class=\"title\" x=\"{LEFT}\" y=\"32\">How long until an agent takes a call-back</text>\n\
         <text class=\"faint\" x=\"{LEFT}\" y=\"54\">{heading}</text>\n"
    );
    legend(panels, &mut text);
    for (number, panel) in panels.iter().enumerate() {
        draw(panel, &axis, TOP + PANEL_HEIGHT * number as f64, &mut text);
    }
    text.push_str("</svg>\n");
    text
}

fn legend(panels: &[Panel], text: &mut String) {
    let mut x = LEFT;
    for trace in panels.first().map(|panel| panel.traces.as_slice()).unwrap_or_default() {
        let order = trace.order.code();
        text.push_str(&format!(
            "<path class=\"{order}\" d=\"M{x} 76h40\"/><text x=\"{}\" y=\"81\">{}</text>\n",
            x + 48.0,
            named(trace.order)
        ));
        x += 200.0;
    }
}

const fn named(order: Order) -> &'static str {
    match order {
        Order::Fifo => "by the time asked",
        Order::Priority { .. } => "priority first",
        Order::Satisfaction(_) => "by satisfaction lost",
    }
}

fn draw(panel: &Panel, axis: &Axis, top: f64, text: &mut String) {
    let (plot_top, plot_width) = (top + 36.0, WIDTH - LEFT - RIGHT);
    let bottom = plot_top + PLOT_HEIGHT;
    // Times on an axis are far below what a float holds exactly.
    let x = |ms: u64| LEFT + plot_width * ms as f64 / axis.end() as f64;
    let y = |share: f64| bottom - PLOT_HEIGHT * share;
    let (count, title) = (panel.traces.first().map_or(0, |trace| trace.delays.len()), escaped(&panel.title));
    text.push_str(&format!(
        "<text class=\"panel\" x=\"{LEFT}\" y=\"{}\">{title}: {count} call-backs</text>\n",
        top + 22.0
    ));
    for percent in [0.0, 25.0, 50.0, 75.0, 100.0] {
        let at = y(percent / 100.0);
        text.push_str(&format!(
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}h{plot_width}\"/><text class=\"faint\" text-anchor=\"end\" x=\"{}\" \
             y=\"{:.1}\">{percent} %</text>\n",
            LEFT - 8.0,
            at + 4.5
        ));
    }
    let (unit, unit_ms) = axis.unit();
    for mark in axis.marks() {
        text.push_str(&format!(
            "<path class=\"axis\" d=\"M{at:.1} {bottom}v5\"/><text class=\"faint\" text-anchor=\"middle\" x=\"{at:.1}\" \
             y=\"{:.1}\">{}</text>\n",
            bottom + 21.0,
            mark as f64 / unit_ms as f64,
            at = x(mark)
        ));
    }
    let (middle, half) = (LEFT + plot_width / 2.0, plot_top + PLOT_HEIGHT / 2.0);
    text.push_str(&format!(
        "<path class=\"axis\" d=\"M{LEFT} {plot_top}V{bottom}H{}\" fill=\"none\"/>\n\
         <text text-anchor=\"middle\" x=\"{middle}\" y=\"{:.1}\">delay from the promised moment, {unit}</text>\n\
         <text text-anchor=\"middle\" transform=\"translate(20 {half}) rotate(-90)\">share taken</text>\n",
        WIDTH - RIGHT,
        bottom + 42.0
    ));
    for trace in &panel.traces {
        text.push_str(&format!("<path class=\"{}\" d=\"{}\"/>\n", trace.order.code(), path(trace, axis, x, y)));
    }
}

/// The share taken within each of some hundred moments.
fn path(trace: &Trace, axis: &Axis, x: impl Fn(u64) -> f64, y: impl Fn(f64) -> f64) -> String {
    const POINTS: u64 = 300;
    let mut path = String::new();
    for point in 0..=POINTS {
        let at = axis.end() * point / POINTS;
        let step = if point == 0 { 'M' } else { 'L' };
        path.push_str(&format!("{step}{:.1} {:.1}", x(at), y(trace.within(at))));
    }
    path
}

/// For a text of XML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML 1.0 §2.2 has no place for them.
            control if control.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(delays: &[u64]) -> Panel {
        let trace = |order| Trace::new(order, delays.to_vec());
        let priority = Order::Priority { head_start: Order::HEAD_START };
        Panel { title: "A < B & \"C\"".to_owned(), traces: vec![trace(Order::Fifo), trace(priority)] }
    }

    #[test]
    fn the_axis_counts_as_people_do_and_reaches_far_enough() {
        for (longest, step, steps) in [
            (0, SECOND, 1),
            (8_000, SECOND, 8),
            (8_001, 5 * SECOND, 2),
            (7 * MINUTE, MINUTE, 7),
            (50 * MINUTE, 10 * MINUTE, 5),
            (9 * HOUR, 2 * HOUR, 5),
        ] {
            let axis = Axis::of(&panel(&[0, longest]).traces);
            assert_eq!((axis.step, axis.steps), (step, steps), "{longest}");
            assert!(axis.end() >= longest);
        }
        let year = Axis::of(&panel(&[365 * 24 * HOUR]).traces);
        assert!(year.steps <= Axis::STEPS_MAX && year.end() >= 365 * 24 * HOUR);
    }

    #[test]
    fn bars_grow_to_the_whole() {
        let text = bars(&panel(&[0, 0, 2 * MINUTE, 4 * MINUTE]));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], format!(" at once  fifo          {} 50 %", "█".repeat(20)));
        assert_eq!(lines[2], format!("          priority      {} 50 %", "█".repeat(20)));
        assert!(lines.iter().any(|line| line.starts_with("    2:00  fifo") && line.ends_with(" 75 %")), "{text}");
        assert!(lines.last().is_some_and(|line| line.ends_with(&format!("{} 100 %", "█".repeat(40)))), "{text}");
    }

    #[test]
    fn the_picture_has_its_axes_its_units_and_only_harmless_text() {
        let text = svg("<script>", &[panel(&[0, 5 * MINUTE]), panel(&[])]);
        for part in [
            "delay from the promised moment, minutes",
            ">100 %<",
            "share taken",
            "by the time asked",
            "A &lt; B &amp; ",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(
            !text.contains("<script>") && text.matches("class=\"fifo\"").count() == 3,
            "a line a panel, and the legend"
        );
        assert!(
            text.contains("prefers-color-scheme: dark") && !text.contains("NaN") && !text.contains("inf"),
            "{text}"
        );
    }
}
