//! KPIs: the latest mature month in tiles, lines by month, and the segments that are worst.

use super::{absent, section as wrap, table};
use crate::report::data::{Data, KpiRow, Worst};
use crate::report::figures::{self, FEW, Look, Verdict};
use crate::report::svg::{self, Axis, Label, Point};
use crate::report::words::{Currency, Foreign, Month, count, counted, fixed, heading, percent, tick, value};

/// KPIs that get a tile, in the order of an order's life. The rest is in the table below the lines.
const TILES: [&str; 14] = [
    "orders",
    "gross_sales",
    "average_order_value",
    "on_time_delivery_rate",
    "late_shipment_rate",
    "click_to_door_p50",
    "pre_fulfilment_cancel_rate",
    "cancel_rate",
    "order_defect_rate",
    "return_rate_orders",
    "satisfaction_index",
    "star_mean",
    "csat",
    "nps",
];

/// KPIs that get a line.
const LINES: [&str; 7] = [
    "on_time_delivery_rate",
    "late_shipment_rate",
    "order_defect_rate",
    "return_rate_orders",
    "star_mean",
    "orders",
    "gross_sales",
];

/// Months in the table of figures by month; older ones are in the `kpi` table.
const MONTHS_SHOWN: usize = 36;

/// All about KPIs.
pub(super) fn section(data: &Data, currency: &Currency) -> String {
    if data.kpis.is_empty() {
        let sentence = "There are no KPIs by month: the tables <code>kpi</code> and <code>satisfaction</code> \
                        are absent or empty.";
        return wrap("kpis", "KPIs", "", &absent(sentence));
    }
    let tiles: String = TILES.iter().filter_map(|id| tile(data, id, currency)).collect();
    let lead = "The latest month that late events can no longer move much, against the month before. Each KPI matures \
                at its own pace, so months differ. A rate's change \
                is coloured only where chance does not explain it; means carry no interval and stay grey.";
    let tiles = match tiles.is_empty() {
        true => absent("None of the usual KPIs could be computed; the table below has the others."),
        false => format!("<div class=\"tiles\">\n{tiles}</div>\n"),
    };
    let mut html = wrap("kpis", "KPIs", lead, &(tiles + &all_kpis(data, currency)));
    html.push_str(&lines(data, currency));
    html.push_str(&worst(data));
    html
}

fn tile(data: &Data, id: &str, currency: &Currency) -> Option<String> {
    let months = figures::months(&data.kpis, id);
    let look = figures::look(&months)?;
    let (row, unit) = (look.now, look.now.unit.raw());
    let meaning = data.meanings.of(id);
    let state = if row.mature { row.month.to_string() } else { format!("{} <i>still moving</i>", row.month) };
    let mut html = format!(
        "<div class=\"tile{}\" title=\"{}\"><p class=\"name\"><span>{}</span><span class=\"month\">{state}</span></p>\n\
         <p class=\"figure\">{}</p>\n",
        if row.breach == Some(true) { " missed" } else { "" },
        Foreign::from(meaning.text),
        heading(&row.kpi),
        value(unit, row.value?, currency)
    );
    html.push_str(&format!("<p>{}</p>\n", change(&look, meaning.more_is_better, currency)));
    let basis = over(row);
    if !basis.is_empty() {
        html.push_str(&format!("<p class=\"small\">{basis}</p>\n"));
    }
    if let Some(target) = row.target {
        let sign = figures::target_sign(&months, meaning.more_is_better);
        let few = row.denominator.is_some_and(|n| n < FEW);
        let outcome = match row.breach {
            Some(true) => "<b class=\"bad\">missed</b>",
            Some(false) if few => "<b class=\"unclear\">met</b>",
            Some(false) => "<b class=\"good\">met</b>",
            None => "not held",
        };
        html.push_str(&format!("<p class=\"small\">target {sign}{} · {outcome}</p>\n", value(unit, target, currency)));
    }
    Some(html + "</div>\n")
}

/// The counts behind a value and its interval, in words.
fn over(row: &KpiRow) -> String {
    match (row.numerator, row.denominator, row.lower, row.upper) {
        (_, Some(orders), Some(lower), Some(upper)) if row.unit.raw() == "score" => {
            let few = if orders < FEW { " <b class=\"few\">few</b>" } else { "" };
            format!("over {}{few} · 95\u{a0}%: {} to {}", count(orders), fixed(lower, 1), fixed(upper, 1))
        }
        (Some(hits), Some(trials), Some(lower), Some(upper)) => {
            let few = if trials < FEW { " <b class=\"few\">few</b>" } else { "" };
            format!("{} of {}{few} · 95\u{a0}%: {} to {}", count(hits), count(trials), percent(lower), percent(upper))
        }
        (_, Some(trials), ..) if row.unit.raw() != "share" => format!("over {}", count(trials)),
        _ => String::new(),
    }
}

fn change(look: &Look<'_>, more_is_better: Option<bool>, currency: &Currency) -> String {
    let Some((now, before, month)) = look.before.and_then(|b| Some((look.now.value?, b.value?, b.month))) else {
        return "<span class=\"small\">no month before to compare</span>".to_owned();
    };
    let unit = look.now.unit.raw();
    let size = match unit {
        "share" => format!("{} points", fixed(100.0 * (now - before).abs(), 1)),
        "stars" | "points" | "score" => fixed((now - before).abs(), 2),
        _ if before == 0.0 => value(unit, (now - before).abs(), currency),
        _ => percent(((now - before) / before).abs()),
    };
    let arrow = match now.total_cmp(&before) {
        std::cmp::Ordering::Greater => "▲ ",
        std::cmp::Ordering::Less => "▼ ",
        std::cmp::Ordering::Equal => "= ",
    };
    let class = match look.verdict(more_is_better) {
        Verdict::Better => "good",
        Verdict::Worse => "bad",
        Verdict::Unclear => "unclear",
    };
    let before = value(unit, before, currency);
    format!("<b class=\"{class}\">{arrow}{size}</b><br><span class=\"small\">from {before} in {month}</span>")
}

/// Every KPI in its month to look at.
fn all_kpis(data: &Data, currency: &Currency) -> String {
    let mut ids: Vec<&Foreign> = data.kpis.iter().map(|row| &row.kpi).collect();
    ids.dedup();
    let rows: Vec<Vec<String>> = ids
        .into_iter()
        .filter_map(|id| {
            let months = figures::months(&data.kpis, id.raw());
            let look = figures::look(&months)?;
            let (row, unit) = (look.now, look.now.unit.raw());
            let meaning = data.meanings.of(id.raw());
            let shown = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), |v| value(unit, v, currency));
            let sign = figures::target_sign(&months, meaning.more_is_better);
            Some(vec![
                format!("{}<br><span class=\"small\">{}</span>", heading(id), Foreign::from(meaning.text)),
                format!("{}{}", row.month, if row.mature { "" } else { " <i>still moving</i>" }),
                shown(row.value),
                shown(look.before.and_then(|b| b.value)),
                over(row),
                row.target.map_or_else(|| "–".to_owned(), |t| format!("{sign}{}", value(unit, t, currency))),
            ])
        })
        .collect();
    let headings = ["KPI", "Month", "#Value", "#Month before", "#Counts", "#Target"];
    let mut versions: Vec<&Foreign> = data.kpis.iter().filter_map(|row| row.targets_version.as_ref()).collect();
    versions.sort();
    versions.dedup();
    let versions: Vec<String> = versions.into_iter().map(|v| v.to_string()).collect();
    let versions = match versions.is_empty() {
        true => String::new(),
        false => format!("<p class=\"note\">Targets of version {}.</p>\n", versions.join(", ")),
    };
    format!(
        "<details><summary>All {} KPIs with their definitions</summary>\n{}{versions}</details>\n",
        rows.len(),
        table("", &headings, &rows)
    )
}

fn lines(data: &Data, currency: &Currency) -> String {
    let (mut charts, mut missing) = (String::new(), Vec::new());
    for id in LINES {
        match chart(data, id, currency) {
            Some(chart) => charts.push_str(&chart),
            None => missing.push(heading(&Foreign::from(id)).to_string()),
        }
    }
    let mut body = format!(
        "<p class=\"legend\"><span class=\"key line\"></span>mature <span class=\"key open\"></span>still moving \
         <span class=\"key band\"></span>95\u{a0}% interval <span class=\"key target\"></span>target \
         <span class=\"key few\"></span>fewer than {FEW} cases</p>\n<div class=\"charts\">\n{charts}</div>\n"
    );
    if charts.is_empty() {
        body.clear();
    }
    if !missing.is_empty() {
        body.push_str(&absent(&format!("Not computed from this data: {}.", missing.join("; ").to_lowercase())));
    }
    body.push_str(&by_month(data, currency));
    wrap("months", "By month", "", &body)
}

fn chart(data: &Data, id: &str, currency: &Currency) -> Option<String> {
    let months = figures::months(&data.kpis, id);
    let (first, last) = (months.first()?, months.last()?);
    let unit = first.unit.raw();
    let name = heading(&first.kpi);
    let points: Vec<Point> = months
        .iter()
        .filter_map(|row| {
            let v = row.value?;
            let counts = over(row).replace("<b class=\"few\">few</b>", "(few)");
            let counts = if counts.is_empty() { counts } else { format!(", {counts}") };
            let moving = if row.mature { "" } else { ", still moving" };
            Some(Point {
                at: row.month.0,
                value: v,
                band: row.lower.zip(row.upper),
                settled: row.mature,
                firm: row.denominator.is_none_or(|n| n >= FEW),
                note: format!("{}: {}{counts}{moving}", row.month, value(unit, v, currency)),
            })
        })
        .collect();
    let target = last.target;
    let sign = figures::target_sign(&months, data.meanings.of(id).more_is_better);
    let held = target
        .map(|t| format!("<span class=\"small\">target {sign}{}</span>", value(unit, t, currency)))
        .unwrap_or_default();
    let axis = Axis {
        tick: &|v| tick(unit, v),
        from_zero: matches!(unit, "count" | "money"),
        ceiling: match unit {
            "share" => Some(1.0),
            "stars" => Some(5.0),
            "score" => Some(100.0),
            _ => None,
        },
        whole: unit == "count",
    };
    let svg = svg::line(&format!("{name} by month"), &points, target, &axis, &month_labels(first.month, last.month));
    let in_money =
        if unit == "money" { format!(" <span class=\"small\">{}</span>", or_nothing(data)) } else { String::new() };
    Some(format!("<figure><figcaption><b>{name}{in_money}</b>{held}</figcaption>{svg}</figure>\n"))
}

fn or_nothing(data: &Data) -> String {
    data.run.as_ref().and_then(|run| run.currency.as_ref()).map(Foreign::to_string).unwrap_or_default()
}

/// Months below a chart: as many as fit, the year where it begins.
fn month_labels(first: Month, last: Month) -> Vec<Label> {
    let step = svg::label_step(last.0 - first.0 + 1, &[1, 2, 3, 6, 12, 24, 60]);
    let mut at: Vec<i32> = (first.0..=last.0).filter(|month| month.rem_euclid(step) == 0).collect();
    if at.is_empty() {
        at.push(first.0);
    }
    let mut year = None;
    at.into_iter()
        .map(|at| {
            let month = Month(at);
            let below =
                if year.replace(month.year()) == Some(month.year()) { String::new() } else { month.year().to_string() };
            Label { at, text: month.short().to_owned(), below }
        })
        .collect()
}

/// The lines as figures, for reading, copying and screen readers.
fn by_month(data: &Data, currency: &Currency) -> String {
    let series: Vec<(&str, Vec<&KpiRow>)> = LINES
        .iter()
        .map(|id| (*id, figures::months(&data.kpis, id)))
        .filter(|(_, months)| !months.is_empty())
        .collect();
    let mut months: Vec<Month> = series.iter().flat_map(|(_, rows)| rows.iter().map(|row| row.month)).collect();
    months.sort_unstable();
    months.dedup();
    let rows: Vec<Vec<String>> = months
        .iter()
        .rev()
        .take(MONTHS_SHOWN)
        .map(|month| {
            let cells = series.iter().map(|(_, rows)| {
                let row = rows.iter().find(|row| row.month == *month);
                let shown = row.and_then(|row| Some((row, value(row.unit.raw(), row.value?, currency))));
                match shown {
                    Some((row, text)) if row.mature => text,
                    Some((_, text)) => format!("<i>{text}</i>"),
                    None => "–".to_owned(),
                }
            });
            std::iter::once(month.to_string()).chain(cells).collect()
        })
        .collect();
    let names: Vec<String> = series.iter().map(|(id, _)| format!("#{}", heading(&Foreign::from(*id)))).collect();
    let headings: Vec<&str> = std::iter::once("Month").chain(names.iter().map(String::as_str)).collect();
    format!(
        "<details><summary>The same in figures</summary>\n{}<p class=\"note\">Slanted: still moving.</p></details>\n",
        table("", &headings, &rows)
    )
}

fn worst(data: &Data) -> String {
    if data.worst.is_empty() {
        let sentence = "No segment is worse than the whole: the pipeline names none, \
                        or no KPI has a mature month, or all are alike.";
        return wrap("segments", "Worst segments", "", &absent(sentence));
    }
    let cards: String = data.worst.iter().map(worst_of).collect();
    let lead = format!(
        "Segments that did worse than the whole shop (the tall mark), ranked by the end of their 95\u{a0}% interval \
         that is nearer to good, so that a handful of orders seldom leads. Those of fewer than {FEW} cases are marked."
    );
    wrap("segments", "Worst segments", &lead, &format!("<div class=\"worst\">\n{cards}</div>\n"))
}

fn worst_of(worst: &Worst) -> String {
    let whole = worst.whole.0 as f64 / (worst.whole.1 as f64).max(1.0);
    let rated: Vec<_> = worst.segments.iter().filter_map(|s| Some((s, s.rate()?, s.trials?, s.hits?))).collect();
    // Small segments have intervals that reach across everything; they must not set the scale.
    let ends = rated.iter().map(|(_, (rate, ends), trials, _)| if *trials >= FEW { *ends } else { (*rate, *rate) });
    let (low, high) = ends.fold((whole, whole), |(low, high), (lower, upper)| (low.min(lower), high.max(upper)));
    let range = if worst.more_is_better { (low, 1.0) } else { (0.0, high.max(1e-3)) };
    let rows: Vec<Vec<String>> = rated
        .iter()
        .map(|(segment, (rate, interval), trials, hits)| {
            let note = format!("{}, 95 %: {} to {}", percent(*rate), percent(interval.0), percent(interval.1));
            let few = if *trials < FEW { " <b class=\"few\">few</b>" } else { "" };
            vec![
                format!("<b>{}</b>{few}<br><span class=\"small\">{}</span>", segment.segment_value, segment.segment),
                format!(
                    "<b>{}</b><br><span class=\"small\">{} of {}</span>",
                    percent(*rate),
                    count(*hits),
                    count(*trials)
                ),
                svg::whisker(*rate, *interval, whole, range, &note),
            ]
        })
        .collect();
    let span =
        if worst.first == worst.last { worst.last.to_string() } else { format!("{} to {}", worst.first, worst.last) };
    format!(
        "<figure><figcaption><b>{}</b><span class=\"small\">{span} · whole {} · {} of {}</span>\
         </figcaption>{}</figure>\n",
        heading(&worst.kpi),
        percent(whole),
        rows.len(),
        counted(i64::try_from(worst.of).unwrap_or(i64::MAX), "segment"),
        table("segments", &["Segment", "#Rate", "95 % interval"], &rows)
    )
}
