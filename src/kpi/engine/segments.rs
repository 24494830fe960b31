//! Values of segments as they are published, from the combinations by which rows were counted.

use super::plan::{Plan, Split};
use super::states::{States, SubjectStates};
use crate::kpi::measure::Subject;
use crate::kpi::segment::BETWEEN;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The values of a segment, and which of them each combination of its key belongs to.
#[derive(Debug)]
pub(super) struct Segment {
    /// In order, each once.
    pub(super) names: Vec<Arc<str>>,
    /// By combination: place in `names`.
    pub(super) name_of: Vec<u32>,
}

/// The segments of all subjects. Values with few orders are `other`; see [`super::Settings::min_segment_orders`].
pub(super) fn segments(states: &States, plan: &Plan<'_>) -> Vec<Vec<Segment>> {
    let least = plan.settings.min_segment_orders;
    let rows_of = |(states, of): (&SubjectStates, &super::plan::SubjectPlan<'_>)| {
        let rows = of.splits.iter().map(|split| (split.segment, rows_by_name(split, states)));
        rows.collect::<BTreeMap<usize, BTreeMap<Arc<str>, u64>>>()
    };
    let rows: Vec<_> = states.subjects.iter().zip(&plan.subjects).map(rows_of).collect();
    let orders = plan.subjects.iter().position(|of| of.subject == Subject::Orders);
    let of_subject = |at: usize| {
        let of_split = |split: &Split| {
            // Orders decide where they are split so, else the rows of what is.
            let of_orders = orders.and_then(|orders| rows[orders].get(&split.segment));
            let decides = of_orders.or_else(|| rows[at].get(&split.segment));
            let few = |name: &str| decides.and_then(|rows| rows.get(name)).copied().unwrap_or(0) < least;
            let folds = least >= 2 && !split.parts.is_empty();
            segment(split, &states.subjects[at], &|name| folds && few(name))
        };
        plan.subjects[at].splits.iter().map(of_split).collect()
    };
    (0..plan.subjects.len()).map(of_subject).collect()
}

fn segment(split: &Split, states: &SubjectStates, few: &dyn Fn(&str) -> bool) -> Segment {
    let shown = |combination: u32| {
        let name = name(split, states, combination);
        if few(&name) { "other".to_owned() } else { name }
    };
    let all: Vec<String> = (0..states.rows[split.key].len() as u32).map(shown).collect();
    let mut names: Vec<&String> = all.iter().collect();
    names.sort_unstable();
    names.dedup();
    let name_of = all.iter().map(|name| names.partition_point(|other| *other < name) as u32).collect();
    Segment { names: names.into_iter().map(|name| Arc::from(name.as_str())).collect(), name_of }
}

fn rows_by_name(split: &Split, states: &SubjectStates) -> BTreeMap<Arc<str>, u64> {
    let mut rows = BTreeMap::new();
    for (combination, count) in (0..).zip(&states.rows[split.key]) {
        *rows.entry(Arc::from(name(split, states, combination))).or_default() += count;
    }
    rows
}

/// What a segment calls a combination.
fn name(split: &Split, states: &SubjectStates, combination: u32) -> String {
    if split.parts.is_empty() {
        return "all".to_owned();
    }
    let parts = states.values[split.key].texts(combination, &states.columns);
    let parts: Vec<&str> = split.parts.iter().filter_map(|part| parts.get(*part).copied()).collect();
    parts.join(BETWEEN)
}
