//! The few respects in which an order can be unusual, each the most surprising of its features.

use super::surprise::Surprise;
use crate::config::FeatureSpec;
use crate::contract::feature::{AggregateKind, EventKind};
use crate::features::matrix::Matrix;
use crate::types::time::DAY;

/// A respect. Each is made of features that would say the same thing several times over if they stood alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    /// How dear it is, also against what its customer usually spends.
    Price,
    /// How young the account is, or how many things a known customer uses for the first time.
    Newness,
    /// How many countries do not go together.
    Mismatch,
    /// How many others use the same device, card, phone, e-mail address or connection.
    Company,
    /// How much goes to the same delivery address at once.
    Place,
    /// How rare its e-mail domain or its pair of countries is.
    Rare,
}

/// Which values of a feature are unusual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// High ones.
    High,
    /// Low ones.
    Low,
    /// Yes, and the more of its view are yes the more so.
    Yes,
}

/// A feature and the respect it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facet {
    /// Its number in the matrix.
    pub feature: usize,
    /// Its respect.
    pub view: View,
    /// Which of its values are unusual.
    pub side: Side,
}

/// The longest window in which strangers on one connection are company: addresses of connections are handed on.
const CONNECTION: i64 = 30 * DAY;

/// The longest window in which orders are a burst and not a habit.
const BURST: i64 = DAY;

/// Finds the features that say something of unusualness, by what they are made of. All others are left out: an hour
/// of the day or a basket of five lines is seldom and harmless, rates of labels are not there, and what a customer
/// does often (orders a day, money a month) makes a good customer as unusual as a bad one.
pub(super) fn facets(names: &[String], declared: &[FeatureSpec]) -> Vec<Facet> {
    let mut found: Vec<Facet> = names
        .iter()
        .enumerate()
        .filter_map(|(feature, name)| {
            let (view, side) = match declared.iter().find(|spec| spec.name == *name) {
                Some(spec) => of_window(spec)?,
                None => of_fact(name)?,
            };
            Some(Facet { feature, view, side })
        })
        .collect();
    // By respect, and within one as the features come.
    found.sort_by_key(|facet| (facet.view, facet.feature));
    found
}

fn of_fact(name: &str) -> Option<(View, Side)> {
    match name {
        "amount" | "basket_unit_price_max" => Some((View::Price, Side::High)),
        "account_age_days" => Some((View::Newness, Side::Low)),
        _ if name.ends_with("_differs") => Some((View::Mismatch, Side::Yes)),
        _ => None,
    }
}

fn of_window(spec: &FeatureSpec) -> Option<(View, Side)> {
    let placement = spec.events == EventKind::Order && !spec.is_of_line();
    if !placement {
        return None;
    }
    let within = |longest: i64| spec.span.is_some_and(|span| span <= longest);
    let counted = spec.other.map_or("", |other| other.name);
    match (spec.aggregate, spec.entity.name) {
        (AggregateKind::FirstUse, _) => Some((View::Newness, Side::Yes)),
        (AggregateKind::Ratio, "customer") => Some((View::Price, Side::High)),
        (AggregateKind::Share, "email_domain") => Some((View::Rare, Side::Low)),
        (AggregateKind::Share, _) if spec.with.is_some() => Some((View::Rare, Side::Low)),
        _ if spec.with.is_some() => None,
        (AggregateKind::Distinct, "device" | "payment" | "phone" | "email")
            if ["customer", "payment"].contains(&counted) =>
        {
            Some((View::Company, Side::High))
        }
        (AggregateKind::Distinct, "ip") if ["customer", "payment"].contains(&counted) && within(CONNECTION) => {
            Some((View::Company, Side::High))
        }
        (AggregateKind::Count, "device") if within(BURST) => Some((View::Company, Side::High)),
        (AggregateKind::Count, "ship_address") if within(BURST) => Some((View::Place, Side::High)),
        _ => None,
    }
}

/// What is usual in each respect.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Views {
    views: Vec<Group>,
}

/// The features of one respect.
#[derive(Debug, Clone, PartialEq)]
struct Group {
    /// How surprising each alone is.
    alone: Vec<(Facet, Surprise)>,
    /// How surprising so many at once are, of those that are a yes or no.
    together: Option<Surprise>,
}

impl Group {
    fn yes(&self, matrix: &Matrix, row: usize) -> f64 {
        let yes = self.alone.iter().filter(|(facet, _)| facet.side == Side::Yes);
        yes.filter(|(facet, _)| matrix.value(row, facet.feature) == 1.0).count() as f64
    }
}

/// The value of a facet, turned so that high is unusual.
fn turned(facet: &Facet, matrix: &Matrix, row: usize) -> f64 {
    let value = matrix.value(row, facet.feature);
    if facet.side == Side::Low { -value } else { value }
}

impl Views {
    pub(super) fn fit(matrix: &Matrix, rows: &[usize], facets: &[Facet]) -> Self {
        let learn = |facet: &Facet| (*facet, Surprise::fit(rows.iter().map(|&row| turned(facet, matrix, row))));
        let mut views = Vec::new();
        for facets in facets.chunk_by(|a, b| a.view == b.view) {
            let mut group = Group { alone: facets.iter().map(learn).collect(), together: None };
            if facets.iter().any(|facet| facet.side == Side::Yes) {
                group.together = Some(Surprise::fit(rows.iter().map(|&row| group.yes(matrix, row))));
            }
            views.push(group);
        }
        Self { views }
    }

    pub(super) fn width(&self) -> usize {
        self.views.len()
    }

    /// The bits of a row in each respect: of its most surprising feature, or of so many yeses at once.
    pub(super) fn of(&self, matrix: &Matrix, row: usize) -> Vec<f64> {
        let bits = |group: &Group| {
            let alone = group.alone.iter().filter(|(facet, _)| facet.side != Side::Yes);
            let most = alone.map(|(facet, table)| table.bits(turned(facet, matrix, row))).fold(0.0, f64::max);
            group.together.as_ref().map_or(most, |together| most.max(together.bits(group.yes(matrix, row))))
        };
        self.views.iter().map(bits).collect()
    }

    /// The feature that surprises most in a respect, its value and what is usual: the median, or the share of yes.
    pub(super) fn leading(&self, matrix: &Matrix, row: usize, view: usize) -> Option<(usize, f64, f64)> {
        let mut best: Option<(f64, &(Facet, Surprise))> = None;
        for each in &self.views.get(view)?.alone {
            let bits = each.1.bits(turned(&each.0, matrix, row));
            if bits > best.map_or(0.0, |(most, _)| most) {
                best = Some((bits, each));
            }
        }
        let (bits, (facet, table)) = best?;
        let usual = match facet.side {
            Side::High => table.median,
            Side::Low => -table.median,
            // One bit was taken off.
            Side::Yes => (-bits - 1.0).exp2(),
        };
        Some((facet.feature, matrix.value(row, facet.feature), usual))
    }
}
