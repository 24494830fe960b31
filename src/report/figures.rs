//! Which figures to show: the month to look at, the change, and the segments that are worst. Pure.

use super::data::KpiRow;
use super::words::{Foreign, Meanings, Month};
use crate::types::interval::wilson95;
use serde::Deserialize;
use std::cmp::Ordering;

/// Below so many orders a rate says little: at 30 its 95 % interval is up to 36 percentage points wide.
pub(super) const FEW: i64 = 30;

/// Months that worst segments are taken over: one month leaves most segments with a handful of orders.
const WORST_MONTHS: i32 = 3;

/// Segments shown of each KPI.
const WORST_SHOWN: usize = 8;

/// KPIs that are split by segment, in order of preference, and how many of them.
const WORST_KPIS: [&str; 6] = [
    "on_time_delivery_rate",
    "order_defect_rate",
    "return_rate_orders",
    "late_shipment_rate",
    "pre_fulfilment_cancel_rate",
    "cancel_rate",
];
const WORST_KPIS_SHOWN: usize = 3;

/// The months of one KPI, in order.
pub(super) fn months<'a>(kpis: &'a [KpiRow], kpi: &str) -> Vec<&'a KpiRow> {
    kpis.iter().filter(|row| row.kpi.raw() == kpi && row.value.is_some_and(f64::is_finite)).collect()
}

/// The month to look at, and the one before it if there is one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look<'a> {
    /// The latest mature month; the latest of all while none is mature.
    pub(super) now: &'a KpiRow,
    /// The calendar month before that, if it has a row.
    pub(super) before: Option<&'a KpiRow>,
}

/// Finds the month to look at; `None` without any.
pub(super) fn look<'a>(months: &[&'a KpiRow]) -> Option<Look<'a>> {
    let now = *months.iter().rev().find(|row| row.mature).or(months.last())?;
    let before = months.iter().find(|row| row.month.0 == now.month.0 - 1).copied();
    Some(Look { now, before })
}

/// How a month differs from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It moved the good way.
    Better,
    /// It moved the bad way.
    Worse,
    /// It did not move, or not more than chance explains, or neither way is good.
    Unclear,
}

impl Look<'_> {
    /// Whether the change is good. A change inside the intervals is unclear, and so is one of a mean that has none.
    pub(super) fn verdict(&self, more_is_better: Option<bool>) -> Verdict {
        let (Some(now), Some(before), Some(more_is_better)) =
            (self.now.value, self.before.and_then(|b| b.value), more_is_better)
        else {
            return Verdict::Unclear;
        };
        let ends = |row: &KpiRow| Some((row.lower?, row.upper?));
        match (ends(self.now), self.before.and_then(ends)) {
            (Some((low, high)), Some((low_before, high_before))) if low <= high_before && low_before <= high => {
                return Verdict::Unclear;
            }
            // A mean over some cases without an interval: nobody can tell. A total is a fact.
            (None, _) | (_, None) if self.now.denominator.is_some() => return Verdict::Unclear,
            _ => {}
        }
        match now.total_cmp(&before) {
            Ordering::Equal => Verdict::Unclear,
            order if (order == Ordering::Greater) == more_is_better => Verdict::Better,
            _ => Verdict::Worse,
        }
    }
}

/// On which side of its target a KPI has to be: `≥`, `≤`, or nothing where the rows do not tell.
///
/// The table has no such column. A row that differs from its target tells by whether it misses it; else the KPI's own
/// good direction does.
pub(super) fn target_sign(months: &[&KpiRow], more_is_better: Option<bool>) -> &'static str {
    let told = months.iter().find_map(|row| {
        let (value, target, breach) = (row.value?, row.target?, row.breach?);
        (value != target).then_some((value < target) == breach)
    });
    match told.or(more_is_better) {
        Some(true) => "≥\u{a0}",
        Some(false) => "≤\u{a0}",
        None => "",
    }
}

/// The KPIs whose month to look at is mature and misses its target.
pub(super) fn missed(kpis: &[KpiRow]) -> Vec<&KpiRow> {
    let mut ids: Vec<&str> = kpis.iter().map(|row| row.kpi.raw()).collect();
    ids.dedup();
    let now = ids.into_iter().filter_map(|id| look(&months(kpis, id))).map(|look| look.now);
    now.filter(|row| row.mature && row.breach == Some(true)).collect()
}

/// Counts of a segment over some months.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Segment {
    /// Which columns split the orders.
    pub(super) segment: Foreign,
    /// Their values.
    pub(super) segment_value: Foreign,
    /// Orders above the line; `None` where the KPI has no counts.
    pub(super) hits: Option<i64>,
    /// Orders below it.
    pub(super) trials: Option<i64>,
}

impl Segment {
    /// The rate with its 95 % interval; `None` without counts that make a proportion.
    pub(super) fn rate(&self) -> Option<(f64, (f64, f64))> {
        let (hits, trials) = (self.hits?, self.trials?);
        Some((hits as f64 / trials as f64, wilson95(hits, trials)?))
    }
}

/// The months over which a KPI's segments are compared.
#[derive(Debug, Clone)]
pub(super) struct Window {
    /// The KPI.
    pub(super) kpi: Foreign,
    /// Whether more of it is better.
    pub(super) more_is_better: bool,
    /// First month.
    pub(super) first: Month,
    /// Last month.
    pub(super) last: Month,
    /// Hits and trials of the whole.
    pub(super) whole: (i64, i64),
}

/// Chooses the KPIs to split, each over its last mature months.
pub(super) fn worst_windows(kpis: &[KpiRow], meanings: &Meanings) -> Vec<Window> {
    let window = |kpi: &&str| {
        let mature: Vec<&KpiRow> = months(kpis, kpi).into_iter().filter(|row| row.mature).collect();
        let last = mature.last()?;
        let first = Month(last.month.0 - WORST_MONTHS + 1);
        let inside: Vec<&&KpiRow> = mature.iter().filter(|row| row.month >= first).collect();
        let whole = inside
            .iter()
            .try_fold((0, 0), |sum, row| Some((sum.0 + row.numerator?, sum.1 + row.denominator?)))
            .filter(|(hits, trials)| wilson95(*hits, *trials).is_some())?;
        let more_is_better = meanings.of(kpi).more_is_better?;
        // The first month that is there: a shop of one month must not claim three.
        let first = inside.first()?.month;
        Some(Window { kpi: last.kpi.clone(), more_is_better, first, last: last.month, whole })
    };
    WORST_KPIS.iter().filter_map(window).take(WORST_KPIS_SHOWN).collect()
}

/// The segments that are worse than the whole, worst first: by the end of the interval that lies nearer to good, so
/// that a handful of orders seldom leads the list.
pub(super) fn worst_first(segments: Vec<Segment>, whole: (i64, i64), more_is_better: bool) -> Vec<Segment> {
    let whole = whole.0 as f64 / (whole.1 as f64).max(1.0);
    let badness = |segment: &Segment| {
        let (rate, (lower, upper)) = segment.rate()?;
        let (excess, bound) = if more_is_better { (whole - rate, 1.0 - upper) } else { (rate - whole, lower) };
        (excess > 0.0).then_some((bound, excess))
    };
    let mut ranked: Vec<((f64, f64), Segment)> =
        segments.into_iter().filter_map(|segment| Some((badness(&segment)?, segment))).collect();
    ranked.sort_by(|(a, left), (b, right)| {
        let by_name = || (&left.segment, &left.segment_value).cmp(&(&right.segment, &right.segment_value));
        b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)).then_with(by_name)
    });
    ranked.into_iter().map(|(_, segment)| segment).take(WORST_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(month: i32, hits: i64, trials: i64, mature: bool) -> KpiRow {
        let interval = wilson95(hits, trials);
        KpiRow {
            kpi: "on_time_delivery_rate".into(),
            month: Month(month),
            unit: "share".into(),
            numerator: Some(hits),
            denominator: Some(trials),
            value: Some(hits as f64 / trials as f64),
            lower: interval.map(|i| i.0),
            upper: interval.map(|i| i.1),
            target: Some(0.9),
            breach: Some((hits as f64) < 0.9 * trials as f64),
            mature,
            targets_version: None,
        }
    }

    fn segment(value: &str, hits: i64, trials: i64) -> Segment {
        Segment { segment: "carrier".into(), segment_value: value.into(), hits: Some(hits), trials: Some(trials) }
    }

    #[test]
    fn the_month_to_look_at_is_the_latest_mature_one_against_its_calendar_neighbour() {
        let rows = [row(1, 90, 100, true), row(3, 80, 100, true), row(4, 500, 1000, true), row(5, 1, 2, false)];
        let seen = months(&rows, "on_time_delivery_rate");
        let found = look(&seen).unwrap();
        assert_eq!((found.now.month, found.before.map(|b| b.month)), (Month(4), Some(Month(3))));
        assert_eq!(found.verdict(Some(true)), Verdict::Worse);
        assert_eq!(found.verdict(Some(false)), Verdict::Better);
        assert_eq!(found.verdict(None), Verdict::Unclear);
        assert!(look(&seen[..1]).unwrap().before.is_none());
        assert_eq!(look(&seen[3..]).unwrap().now.month, Month(5), "an unfinished month is better than none");
        assert_eq!(missed(&rows).len(), 1);
        assert_eq!(target_sign(&seen, None), "≥\u{a0}");
    }

    #[test]
    fn a_change_of_a_total_is_a_fact_and_one_of_a_mean_is_unclear() {
        let plain =
            |month, denominator| KpiRow { lower: None, upper: None, denominator, ..row(month, month.into(), 10, true) };
        let totals = [plain(1, None), plain(2, None)];
        assert_eq!(look(&months(&totals, "on_time_delivery_rate")).unwrap().verdict(Some(true)), Verdict::Better);
        let means = [plain(1, Some(10)), plain(2, Some(10))];
        assert_eq!(look(&months(&means, "on_time_delivery_rate")).unwrap().verdict(Some(true)), Verdict::Unclear);
    }

    #[test]
    fn a_change_within_the_intervals_is_unclear() {
        let rows = [row(1, 90, 100, true), row(2, 92, 100, true)];
        assert_eq!(look(&months(&rows, "on_time_delivery_rate")).unwrap().verdict(Some(true)), Verdict::Unclear);
    }

    #[test]
    fn a_handful_of_orders_does_not_lead_the_worst_segments() {
        let segments = vec![
            segment("tiny", 0, 2),
            segment("bad", 600, 1000),
            segment("fair", 880, 1000),
            segment("good", 990, 1000),
        ];
        let order: Vec<String> =
            worst_first(segments, (900, 1000), true).iter().map(|s| s.segment_value.to_string()).collect();
        assert_eq!(order, ["bad", "tiny", "fair"]);
    }

    #[test]
    fn segments_are_compared_over_at_most_three_mature_months() {
        let rows =
            [row(1, 1, 2, true), row(2, 10, 20, true), row(3, 10, 20, true), row(4, 10, 20, true), row(5, 1, 2, false)];
        let windows = worst_windows(&rows, &Meanings::new());
        assert_eq!(windows.len(), 1);
        assert_eq!((windows[0].first, windows[0].last, windows[0].whole), (Month(2), Month(4), (30, 60)));
    }
}
