//! Tables and what they come to, as text.

use super::super::calendar::{Calendar, Holidays, WorkingWeek};
use super::super::{Clock, Counted, Facts, Terms, catalogue, count, in_working_time};
use crate::contract::input::{Kind, table};
use crate::satisfaction;
use crate::types::time::{DAY, parse_instant};
use chrono::{NaiveDate, NaiveTime};
use polars::prelude::*;
use std::collections::BTreeMap;

/// Rows of tables with what each KPI of them is, by hand.
pub(super) struct Example {
    /// What it shows, as a sentence.
    pub(super) shows: &'static str,
    /// The clock.
    pub(super) at: &'static str,
    /// The zone of days.
    pub(super) zone: &'static str,
    /// Segments, by blanks.
    pub(super) by: &'static str,
    /// `table: column column …` and below it a line a row, values by blanks, `-` for null; what follows `#` says why a
    /// row is there. An order without `customer_id`, `placed_at` or `amount` has a customer of its own, comes on
    /// 2025-05-01 and costs 10.00.
    pub(super) tables: &'static str,
    /// `kpi place = value` with the counts before the equals sign: `late_shipment_rate all 2/4 = 0.5`, a total
    /// `orders all 3 = 3`, a quantile of three `…_p50 all _/3 = 24`. A place is `all`, `segment=value` or a period
    /// `month@2025-05-01`, or both: `channel=a,day@2025-05-01`. `none` for the counts: there is no such row. What
    /// follows `!` is `mature` or `young`.
    pub(super) expect: &'static str,
}

/// A line of [`Example::expect`].
struct Expected {
    kpi: String,
    grain: String,
    start: Option<String>,
    segment: (String, String),
    counts: Option<(Option<i64>, Option<i64>, f64)>,
    mature: Option<bool>,
}

impl Example {
    fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
        text.lines().map(|l| l.split('#').next().unwrap_or("").trim()).filter(|l| !l.is_empty())
    }

    pub(super) fn tables(&self) -> BTreeMap<&'static str, DataFrame> {
        let mut rows: BTreeMap<&str, (Vec<&str>, Vec<Vec<&str>>)> = BTreeMap::new();
        let mut current = "";
        for line in Self::lines(self.tables) {
            if let Some((name, header)) = line.split_once(": ") {
                current = name;
                rows.entry(name).or_default().0 = header.split_whitespace().collect();
            } else {
                let values: Vec<&str> = line.split_whitespace().collect();
                let (header, rows) = rows.get_mut(current).unwrap();
                assert_eq!(values.len(), header.len(), "{}: {line}", self.shows);
                rows.push(values);
            }
        }
        let mut frames = BTreeMap::new();
        for (name, (mut header, mut rows)) in rows {
            let contract = table(name).unwrap();
            if name == "orders" {
                for (column, value) in
                    [("customer_id", None), ("placed_at", Some("2025-05-01T00:00:00Z")), ("amount", Some("1000"))]
                {
                    if !header.contains(&column) {
                        header.push(column);
                        rows.iter_mut().for_each(|row| row.push(value.unwrap_or(row[0])));
                    }
                }
            }
            let columns = header.iter().enumerate().map(|(at, column)| {
                let kind = contract.kind_of(column).unwrap_or_else(|| panic!("{name} has no column {column}"));
                let values = rows.iter().map(|row| Some(row[at]).filter(|v| *v != "-"));
                Self::column(column, kind, &values.collect::<Vec<_>>())
            });
            frames.insert(contract.name, DataFrame::new_infer_height(columns.collect()).unwrap());
        }
        in_working_time(&mut frames, &self.calendar()).unwrap();
        frames
    }

    /// Nine to five from Monday to Friday, but for the first of May.
    fn calendar(&self) -> Calendar {
        let time = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
        let week = WorkingWeek { hours: Some((time(9), time(17))), ..WorkingWeek::default() };
        let mut holidays = Holidays::default();
        holidays.insert("DE", NaiveDate::from_ymd_opt(2025, 5, 1).unwrap());
        let [first, last] = ["2025-01-01T00:00:00Z", self.at].map(|t| parse_instant(t).unwrap());
        Calendar::new(&week, &holidays, "DE", self.zone.parse().unwrap(), first, last)
    }

    fn column(name: &str, kind: Kind, values: &[Option<&str>]) -> Column {
        let ints = |parse: &dyn Fn(&str) -> i64| {
            Column::new(name.into(), values.iter().map(|v| v.map(parse)).collect::<Vec<_>>())
        };
        match kind {
            Kind::Instant => {
                let utc = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
                ints(&|v| parse_instant(v).unwrap_or_else(|| panic!("{v} is no instant"))).cast(&utc).unwrap()
            }
            Kind::Money | Kind::Count | Kind::Rate => ints(&|v| v.parse().unwrap()),
            Kind::Flag => Column::new(name.into(), values.iter().map(|v| v.map(|v| v == "true")).collect::<Vec<_>>()),
            Kind::Number => Column::new(
                name.into(),
                values.iter().map(|v| v.map(|v| v.parse::<f64>().unwrap())).collect::<Vec<_>>(),
            ),
            _ => Column::new(name.into(), values.to_vec()),
        }
    }

    /// Clock, zone and return window.
    pub(super) fn terms(&self) -> Terms {
        Terms { as_of: parse_instant(self.at).unwrap(), zone: self.zone.parse().unwrap(), return_window: 30 * DAY }
    }

    /// What it is split by.
    pub(super) fn segments(&self) -> Vec<String> {
        self.by.split_whitespace().map(str::to_owned).collect()
    }

    /// Counts every KPI and satisfaction measure of the tables.
    pub(super) fn count(&self) -> Counted {
        let (terms, segments) = (self.terms(), self.segments());
        let facts = Facts::new(&self.tables(), &terms, &segments).unwrap();
        let mut measures = catalogue::catalogue(&terms);
        measures.extend(catalogue::by_part(&terms, &segments));
        measures.extend(satisfaction::catalogue());
        let clock = Clock { as_of: terms.as_of, zone: terms.zone, base_exponent: 2 };
        count(&facts, &measures, &segments, None, clock).unwrap()
    }

    fn expected(&self) -> Vec<Expected> {
        Self::lines(self.expect)
            .map(|line| {
                let (line, maturity) =
                    line.split_once('!').map_or((line, None), |(l, m)| (l, Some(m.trim() == "mature")));
                let mut words = line.split_whitespace();
                let (kpi, place, counts) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
                let mut expected = Expected {
                    kpi: kpi.to_owned(),
                    grain: "all".to_owned(),
                    start: None,
                    segment: ("all".to_owned(), "all".to_owned()),
                    counts: None,
                    mature: maturity,
                };
                for part in place.split(',').filter(|p| *p != "all") {
                    if let Some((grain, start)) = part.split_once('@') {
                        (expected.grain, expected.start) = (grain.to_owned(), Some(start.to_owned()));
                    } else {
                        let (segment, value) = part.split_once('=').unwrap();
                        expected.segment = (segment.to_owned(), value.replace("->", " → "));
                    }
                }
                if counts != "none" {
                    assert_eq!(words.next(), Some("="), "{line}");
                    let value = words.next().unwrap().parse().unwrap();
                    let (above, below) =
                        counts.split_once('/').map_or((counts, None), |(a, b)| (a, Some(b.parse().unwrap())));
                    expected.counts = Some((above.parse().ok(), below, value));
                }
                expected
            })
            .collect()
    }

    /// The names of the KPIs it counts: `id`, or `id by part`.
    pub(super) fn shown(&self) -> Vec<String> {
        let name = |e: Expected| match e.segment.0.split('+').find(|p| ["sku", "category"].contains(p)) {
            Some(part) => format!("{} by {part}", e.kpi),
            None => e.kpi,
        };
        self.expected().into_iter().map(name).collect()
    }

    /// What is not as expected, in words.
    pub(super) fn differences(&self) -> Vec<String> {
        let frame = self.count().frame;
        let text = |name: &str| {
            frame
                .column(name)
                .unwrap()
                .cast(&DataType::String)
                .unwrap()
                .str()
                .unwrap()
                .iter()
                .map(|v| v.map(str::to_owned))
                .collect::<Vec<_>>()
        };
        let [grain, start, segment, segment_value, kpi, basis] =
            ["grain", "period_start", "segment", "segment_value", "kpi", "basis"].map(text);
        let ints = |name: &str| frame.column(name).unwrap().i64().unwrap().iter().collect::<Vec<_>>();
        let (above, below) = (ints("numerator"), ints("denominator"));
        let value: Vec<_> = frame.column("value").unwrap().f64().unwrap().iter().collect();
        let mature: Vec<_> = frame.column("mature").unwrap().bool().unwrap().iter().collect();
        let mut wrong = Vec::new();
        for e in self.expected() {
            let rows: Vec<usize> = (0..frame.height())
                .filter(|&i| {
                    kpi[i].as_deref() == Some(&e.kpi)
                        && grain[i].as_deref() == Some(&e.grain)
                        && (e.start.is_none() || start[i] == e.start)
                        && segment[i].as_deref() == Some(&e.segment.0)
                        && segment_value[i].as_deref() == Some(&e.segment.1)
                })
                .collect();
            let found: Vec<_> = rows.iter().map(|&i| (above[i], below[i], value[i].unwrap_or(f64::NAN))).collect();
            let right = match (e.counts, found.as_slice()) {
                (None, []) => true,
                (Some((a, b, v)), [(fa, fb, fv)]) => a == *fa && b == *fb && (v - fv).abs() < 1e-9,
                _ => false,
            };
            let ripe = e.mature.is_none() || rows.iter().all(|&i| mature[i] == e.mature);
            if !right || !ripe {
                let of = rows.first().and_then(|&i| basis[i].clone()).unwrap_or_default();
                wrong.push(format!(
                    "{}: {} {:?} {:?}: expected {:?} {:?}, found {found:?} by {of}",
                    self.shows, e.kpi, e.segment, e.start, e.counts, e.mature
                ));
            }
        }
        wrong
    }
}

/// Every `of`-th order from the `part`-th on, with the rows that belong to them; rows without an order belong to the first.
pub(super) fn part_of(
    tables: &BTreeMap<&'static str, DataFrame>,
    part: usize,
    of: usize,
) -> BTreeMap<&'static str, DataFrame> {
    let ids: Vec<Option<String>> = strings(&tables["orders"]);
    let own = |id: &Option<String>| match id {
        Some(_) => ids.iter().position(|i| i == id).map_or(0, |at| at % of) == part,
        None => part == 0,
    };
    let filtered = tables.iter().map(|(name, frame)| {
        let keep: BooleanChunked = strings(frame).iter().map(|id| Some(own(id))).collect();
        (*name, frame.filter(&keep).unwrap())
    });
    filtered.collect()
}

fn strings(frame: &DataFrame) -> Vec<Option<String>> {
    frame.column("order_id").unwrap().str().unwrap().iter().map(|v| v.map(str::to_owned)).collect()
}
