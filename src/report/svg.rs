//! Charts as inline SVG. Colours come from the page's style sheet by class; every mark carries its numbers as a title,
//! which browsers show on hover. Texts given here must be escaped already.

use std::fmt::Write;

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 196.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = 428.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 158.0;

/// Labels that fit below a chart.
const X_LABELS: usize = 8;

/// A point of a line over equal steps, such as months.
#[derive(Debug, Clone)]
pub(super) struct Point {
    /// Its place; neighbours differ by one, and a line is broken where one is missing.
    pub(super) at: i32,
    /// Its value.
    pub(super) value: f64,
    /// An interval around it.
    pub(super) band: Option<(f64, f64)>,
    /// False where the value can still move.
    pub(super) settled: bool,
    /// False where it rests on so few cases that it must not stretch the axis.
    pub(super) firm: bool,
    /// What is shown on hover.
    pub(super) note: String,
}

/// The axis of a chart.
pub(super) struct Axis<'a> {
    /// How a value is written beside a grid line.
    pub(super) tick: &'a dyn Fn(f64) -> String,
    /// Whether it begins at zero.
    pub(super) from_zero: bool,
    /// What no value can exceed.
    pub(super) ceiling: Option<f64>,
    /// Whether only whole numbers occur.
    pub(super) whole: bool,
}

/// A label below a chart, of one or two lines.
pub(super) struct Label {
    /// Its place.
    pub(super) at: i32,
    /// First line.
    pub(super) text: String,
    /// Second line, may be empty.
    pub(super) below: String,
}

/// A bar of a bar chart.
pub(super) struct Bar {
    /// Its place.
    pub(super) at: i32,
    /// Its height.
    pub(super) value: f64,
    /// What is shown on hover.
    pub(super) note: String,
}

/// A linear scale from values to pixels, with round ends.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scale {
    low: f64,
    high: f64,
    step: f64,
}

impl Scale {
    /// Round numbers around what there is, about four steps apart.
    fn around(values: impl Iterator<Item = f64>, axis: &Axis<'_>) -> Self {
        let (mut low, mut high) =
            values.filter(|v| v.is_finite()).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if axis.from_zero {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        if high - low < 1e-9 {
            // All the same: a little room, so that the line has a place.
            let room = if high == 0.0 { 0.01 } else { high.abs() * 0.05 };
            (low, high) = if low >= 0.0 { ((low - room).max(0.0), high + room) } else { (low - room, high + room) };
        }
        let raw = (high - low) / 4.0;
        let magnitude = 10_f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|m| m * magnitude).into_iter().find(|s| *s >= raw * 0.999);
        let mut step = step.unwrap_or(raw);
        if axis.whole {
            step = step.ceil().max(1.0);
        }
        low = (low / step + 1e-6).floor() * step;
        high = (high / step - 1e-6).ceil() * step;
        if let Some(ceiling) = axis.ceiling {
            high = high.min(ceiling);
        }
        Self { low, high, step }
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        BOTTOM - share.clamp(0.0, 1.0) * (BOTTOM - TOP)
    }

    fn grid(&self, svg: &mut String, tick: &dyn Fn(f64) -> String) {
        let steps = ((self.high - self.low) / self.step + 1e-6).floor() as i32;
        for n in 0..=steps {
            let value = self.low + f64::from(n) * self.step;
            grid_line(svg, self.y(value), &tick(value));
        }
    }
}

fn grid_line(svg: &mut String, y: f64, label: &str) {
    put(svg, format_args!("<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"));
    let (x, y) = (LEFT - 6.0, y + 4.0);
    put(svg, format_args!("<text class=\"tick\" text-anchor=\"end\" x=\"{x}\" y=\"{y:.1}\">{label}</text>"));
}

fn put(svg: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = svg.write_fmt(text);
}

fn open(title: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">")
}

/// The pixel in the middle of place `at` of `first..=last`, and the width of a place.
fn place(at: i32, first: i32, last: i32) -> (f64, f64) {
    let width = (RIGHT - LEFT) / (f64::from(last - first) + 1.0);
    (LEFT + (f64::from(at - first) + 0.5) * width, width)
}

fn labels(svg: &mut String, labels: &[Label], first: i32, last: i32) {
    for label in labels {
        let x = place(label.at, first, last).0;
        let y = BOTTOM + 16.0;
        put(
            svg,
            format_args!("<text class=\"tick\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{y}\">{}</text>", label.text),
        );
        if !label.below.is_empty() {
            let y = y + 14.0;
            put(
                svg,
                format_args!(
                    "<text class=\"tick\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{y}\">{}</text>",
                    label.below
                ),
            );
        }
    }
}

/// How far apart labels stand so that they fit: the smallest of `steps` that is wide enough.
pub(super) fn label_step(places: i32, steps: &[i32]) -> i32 {
    let fits = |step: &&i32| (places / **step) as usize <= X_LABELS;
    steps.iter().find(fits).or(steps.last()).copied().unwrap_or(1)
}

/// A line over time with its intervals, and a dashed line for the target.
pub(super) fn line(title: &str, points: &[Point], target: Option<f64>, axis: &Axis<'_>, below: &[Label]) -> String {
    let (Some(first), Some(last)) = (points.first().map(|p| p.at), points.last().map(|p| p.at)) else {
        return String::new();
    };
    let any_firm = points.iter().any(|p| p.firm);
    // Of points that rest on few cases the axis takes neither the value nor the interval, unless there are no others.
    let firm = points.iter().filter(|p| p.firm || !any_firm);
    let shown = firm.flat_map(|p| [Some(p.value), p.band.map(|b| b.0), p.band.map(|b| b.1)]).flatten();
    let scale = Scale::around(shown.chain(target), axis);
    let x = |at: i32| place(at, first, last).0;
    let mut svg = open(title);
    scale.grid(&mut svg, axis.tick);
    labels(&mut svg, below, first, last);
    if let Some(target) = target {
        let y = scale.y(target);
        put(
            &mut svg,
            format_args!("<line class=\"target\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"),
        );
    }
    for stretch in points.chunk_by(|a, b| b.at == a.at + 1 && (a.firm && b.firm || !any_firm)) {
        if let [alone] = stretch
            && let Some(band) = alone.band.filter(|_| alone.firm || !any_firm)
        {
            let (x, top) = (x(alone.at) - 4.0, scale.y(band.1));
            let height = scale.y(band.0) - top;
            put(
                &mut svg,
                format_args!("<rect class=\"band\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"8\" height=\"{height:.1}\"/>"),
            );
        } else if let Some(edges) = stretch.iter().map(|p| p.band).collect::<Option<Vec<_>>>() {
            let upper = stretch.iter().zip(&edges).map(|(p, band)| (x(p.at), scale.y(band.1)));
            let lower = stretch.iter().zip(&edges).rev().map(|(p, band)| (x(p.at), scale.y(band.0)));
            let outline: Vec<String> = upper.chain(lower).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            put(&mut svg, format_args!("<polygon class=\"band\" points=\"{}\"/>", outline.join(" ")));
        }
    }
    for pair in points.windows(2) {
        let [a, b] = pair else { continue };
        if b.at == a.at + 1 {
            let class = if a.settled && b.settled { "line" } else { "line open" };
            let (xa, ya, xb, yb) = (x(a.at), scale.y(a.value), x(b.at), scale.y(b.value));
            put(
                &mut svg,
                format_args!("<line class=\"{class}\" x1=\"{xa:.1}\" y1=\"{ya:.1}\" x2=\"{xb:.1}\" y2=\"{yb:.1}\"/>"),
            );
        }
    }
    let radius = if points.len() > 40 { 2.0 } else { 3.0 };
    for point in points {
        let (x, y) = (x(point.at), scale.y(point.value));
        let class = match (point.settled, point.firm) {
            (true, true) => "dot",
            (true, false) => "dot few",
            (false, _) => "dot open",
        };
        put(
            &mut svg,
            format_args!(
                "<g><title>{}</title><circle class=\"hit\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"9\"/>\
                 <circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/></g>",
                point.note
            ),
        );
    }
    svg + "</svg>"
}

/// Bars over equal steps.
pub(super) fn bars(title: &str, class: &str, bars: &[Bar], below: &[Label], axis: &Axis<'_>) -> String {
    let scale = Scale::around(bars.iter().map(|b| b.value), axis);
    let mut svg = open(title);
    scale.grid(&mut svg, axis.tick);
    columns(&mut svg, class, bars, below, |value| scale.y(value));
    svg + "</svg>"
}

/// Bars of counts on a logarithmic scale, which shows one order beside a million. The axis begins below one, so that a
/// single one is seen.
pub(super) fn log_bars(
    title: &str,
    class: &str,
    bars: &[Bar],
    below: &[Label],
    tick: &dyn Fn(f64) -> String,
) -> String {
    const LOW: f64 = 0.5;
    let highest = bars.iter().map(|b| b.value).fold(1.0, f64::max);
    let decades = highest.log10().ceil().max(1.0);
    let top = 10_f64.powf(decades);
    let y = |value: f64| {
        let share = (value.max(LOW) / LOW).log10() / (top / LOW).log10();
        BOTTOM - share.clamp(0.0, 1.0) * (BOTTOM - TOP)
    };
    let mut svg = open(title);
    for decade in 0..=decades as i32 {
        let value = 10_f64.powi(decade);
        grid_line(&mut svg, y(value), &tick(value));
    }
    columns(&mut svg, class, bars, below, y);
    svg + "</svg>"
}

fn columns(svg: &mut String, class: &str, bars: &[Bar], below: &[Label], y: impl Fn(f64) -> f64) {
    let (Some(first), Some(last)) = (bars.first().map(|b| b.at), bars.last().map(|b| b.at)) else { return };
    labels(svg, below, first, last);
    for bar in bars {
        let (x, width) = place(bar.at, first, last);
        let (full, thin) = (x - width / 2.0, (width * 0.8).min(36.0));
        let (left, top) = (x - thin / 2.0, y(bar.value));
        let (height, whole) = (if bar.value > 0.0 { (BOTTOM - top).max(1.0) } else { 0.0 }, BOTTOM - TOP);
        put(
            svg,
            format_args!(
                "<g><title>{}</title><rect class=\"hit\" x=\"{full:.1}\" y=\"{TOP}\" \
                 width=\"{width:.1}\" height=\"{whole}\"/>\
                 <rect class=\"bar {class}\" x=\"{left:.1}\" y=\"{:.1}\" \
                 width=\"{thin:.1}\" height=\"{height:.1}\"/></g>",
                bar.note,
                BOTTOM - height,
            ),
        );
    }
    put(svg, format_args!("<line class=\"base\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{BOTTOM}\" y2=\"{BOTTOM}\"/>"));
}

/// A value with its interval on a small scale from `low` to `high`, and a mark where the whole stands.
pub(super) fn whisker(value: f64, interval: (f64, f64), whole: f64, (low, high): (f64, f64), note: &str) -> String {
    const WIDE: f64 = 150.0;
    let x = |v: f64| 3.0 + ((v - low) / (high - low).max(1e-9)).clamp(0.0, 1.0) * (WIDE - 6.0);
    let (at, from, to, mark) = (x(value), x(interval.0), x(interval.1), x(whole));
    format!(
        "<svg class=\"whisker\" viewBox=\"0 0 {WIDE} 16\" role=\"img\" aria-label=\"{note}\"><title>{note}</title>\
         <line class=\"grid\" x1=\"0\" x2=\"{WIDE}\" y1=\"8\" y2=\"8\"/>\
         <line class=\"whole\" x1=\"{mark:.1}\" x2=\"{mark:.1}\" y1=\"1\" y2=\"15\"/>\
         <line class=\"reach\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"8\" y2=\"8\"/>\
         <circle class=\"dot\" cx=\"{at:.1}\" cy=\"8\" r=\"3.5\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(from_zero: bool, ceiling: Option<f64>) -> Axis<'static> {
        Axis { tick: &|v| format!("{v:.2}"), from_zero, ceiling, whole: false }
    }

    fn point(at: i32, value: f64, settled: bool) -> Point {
        Point { at, value, band: Some((value - 0.01, value + 0.01)), settled, firm: true, note: String::new() }
    }

    #[test]
    fn axes_end_on_round_numbers_around_the_values() {
        let scale = Scale::around([0.873, 0.94].into_iter(), &axis(false, Some(1.0)));
        assert!((scale.low - 0.86).abs() < 1e-9 && (scale.high - 0.94).abs() < 1e-9, "{scale:?}");
        let scale = Scale::around([0.0, 0.0].into_iter(), &axis(false, Some(1.0)));
        assert!(scale.low == 0.0 && scale.high > 0.0, "{scale:?}");
        let scale = Scale::around([7_300.0, 812.0].into_iter(), &axis(true, None));
        assert_eq!((scale.low, scale.high), (0.0, 8_000.0));
        let scale = Scale::around([1.0, 1.0].into_iter(), &axis(false, Some(1.0)));
        assert!(scale.low < 1.0 && scale.high == 1.0, "{scale:?}");
        assert!(Scale::around(std::iter::empty(), &axis(false, None)).y(0.5).is_finite());
    }

    #[test]
    fn a_missing_month_breaks_the_line_and_an_unsettled_one_is_drawn_lighter() {
        let points = [point(1, 0.9, true), point(2, 0.8, true), point(4, 0.7, true), point(5, 0.6, false)];
        let svg = line("x", &points, Some(0.9), &axis(false, Some(1.0)), &[]);
        assert_eq!(svg.matches("class=\"line\"").count(), 1);
        assert_eq!(svg.matches("class=\"line open\"").count(), 1);
        assert_eq!(svg.matches("class=\"band\"").count(), 2);
        assert_eq!(svg.matches("class=\"dot open\"").count(), 1);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn one_point_or_none_is_no_trouble() {
        let svg = line("x", &[point(7, 5.0, true)], None, &axis(true, None), &[]);
        assert!(svg.contains("class=\"dot\"") && !svg.contains("NaN"));
        assert_eq!(line("x", &[], None, &axis(true, None), &[]), "");
        let svg = log_bars("x", "fraud", &[Bar { at: 0, value: 0.0, note: String::new() }], &[], &|v| v.to_string());
        assert!(svg.contains("height=\"0.0\"") && !svg.contains("NaN"));
    }

    #[test]
    fn labels_are_thinned_until_they_fit() {
        assert_eq!(label_step(8, &[1, 2, 3, 6, 12]), 1);
        assert_eq!(label_step(24, &[1, 2, 3, 6, 12]), 3);
        assert_eq!(label_step(500, &[1, 2, 3, 6, 12]), 12);
    }
}
