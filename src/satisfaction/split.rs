//! Ways to split orders for the index, by the names that KPIs are split by.

use super::articles::{Article, articles};
use super::journey::Journeys;
use crate::contract::segment;
use crate::error::Result;
use crate::features::tables::Tables;
use polars::prelude::StringChunked;
use std::collections::HashMap;

/// A way to split orders, such as by `channel`.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Its name in the output.
    pub name: String,
    /// What is counted by it.
    pub rows: Rows,
    /// The values, in order.
    pub values: Vec<String>,
}

/// What a segment counts, each with the number of its value.
#[derive(Debug, Clone)]
pub enum Rows {
    /// The value of every order.
    Orders(Vec<u32>),
    /// Every order once for each article or category in it, so that there is no whole.
    Articles(Vec<Article>),
}

/// Columns of what is in an order.
const PARTS: [&str; 2] = ["sku", "category"];

/// Those of the segments that the input has. Values with fewer orders than `least` are `other`, as KPIs have it; an article
/// has an order for each order that it is in. Of `sku` and `category` a segment can name one.
///
/// # Errors
/// [`crate::error::Error::Frames`] only for defects.
pub(crate) fn segments(tables: &Tables, journeys: &Journeys, names: &[String], least: u64) -> Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for name in names {
        let of_lines: Vec<&str> = segment::parts(name).filter(|part| PARTS.contains(part)).collect();
        let found = match of_lines[..] {
            [] => of_orders(tables, name, least)?,
            [part] => of_articles(tables, journeys, name, part, least)?,
            _ => None,
        };
        segments.extend(found);
    }
    Ok(segments)
}

fn of_orders(tables: &Tables, name: &str, least: u64) -> Result<Option<Segment>> {
    let mut crossed: Option<Values> = None;
    for part in segment::parts(name) {
        let Some(values) = of_column(tables, part)? else { return Ok(None) };
        crossed = Some(match crossed {
            Some(before) => before.crossed(&values, "+"),
            None => values,
        });
    }
    let Some(values) = crossed.map(|values| values.folded(least)) else { return Ok(None) };
    Ok(Some(Segment { name: name.to_owned(), rows: Rows::Orders(values.of_row), values: values.names }))
}

fn of_articles(tables: &Tables, journeys: &Journeys, name: &str, own: &str, least: u64) -> Result<Option<Segment>> {
    let Some(column) = tables.text_column("order_items", own)? else { return Ok(None) };
    let of_lines = Values::of(&column);
    let mut rows = articles(tables, journeys, &of_lines.of_row)?;
    let of_rows = Values { of_row: rows.iter().map(|row| row.value).collect(), names: of_lines.names };
    let mut crossed: Option<Values> = None;
    for part in segment::parts(name) {
        let values = match part == own {
            true => of_rows.clone(),
            false => match of_column(tables, part)? {
                Some(values) => Values {
                    of_row: rows.iter().map(|row| values.of_row[row.order as usize]).collect(),
                    names: values.names,
                },
                None => return Ok(None),
            },
        };
        crossed = Some(match crossed {
            Some(before) => before.crossed(&values, "+"),
            None => values,
        });
    }
    let Some(values) = crossed.map(|values| values.folded(least)) else { return Ok(None) };
    rows.iter_mut().zip(&values.of_row).for_each(|(row, value)| row.value = *value);
    Ok(Some(Segment { name: name.to_owned(), rows: Rows::Articles(rows), values: values.names }))
}

/// The value of each order in a column, or its lane; `None` if the input lacks it.
fn of_column(tables: &Tables, part: &str) -> Result<Option<Values>> {
    if part != segment::LANE {
        return Ok(tables.text_column("orders", part)?.map(|column| Values::of(&column)));
    }
    let from = match tables.text_column("orders", "ship_from")? {
        Some(from) => Some(from),
        None => tables.text_column("orders", "warehouse_id")?,
    };
    let to = tables.text_column("orders", "ship_country")?;
    Ok(from.zip(to).map(|(from, to)| Values::of(&from).crossed(&Values::of(&to), " → ")))
}

/// Values of rows by number.
#[derive(Debug, Clone, PartialEq)]
struct Values {
    of_row: Vec<u32>,
    names: Vec<String>,
}

impl Values {
    fn of(column: &StringChunked) -> Self {
        let (mut numbers, mut names) = (HashMap::new(), Vec::new());
        let mut number = |text: Option<&'_ str>| {
            let text = text.unwrap_or("(none)");
            if let Some(known) = numbers.get(text) {
                return *known;
            }
            let next = names.len() as u32;
            numbers.insert(text.to_owned(), next);
            names.push(text.to_owned());
            next
        };
        let of_row = column.iter().map(&mut number).collect();
        Self { of_row, names }
    }

    /// The pairs of both, over the same rows.
    fn crossed(&self, other: &Self, between: &str) -> Self {
        let (mut numbers, mut names) = (HashMap::new(), Vec::new());
        let pairs = self.of_row.iter().zip(&other.of_row);
        let of_row = pairs
            .map(|(&a, &b)| {
                *numbers.entry((a, b)).or_insert_with(|| {
                    names.push(format!("{}{between}{}", self.names[a as usize], other.names[b as usize]));
                    names.len() as u32 - 1
                })
            })
            .collect();
        Self { of_row, names }
    }

    /// Numbered by name, equal names as one: sums over segments must not depend on the order of the input.
    fn in_order(self) -> Self {
        let mut names = self.names.clone();
        names.sort_unstable();
        names.dedup();
        let number = |name: &String| names.partition_point(|other| other < name) as u32;
        let moved: Vec<u32> = self.names.iter().map(number).collect();
        Self { of_row: self.of_row.into_iter().map(|value| moved[value as usize]).collect(), names }
    }

    /// In order, with those of fewer rows than `least` as `other`.
    fn folded(self, least: u64) -> Self {
        let mut values = self.in_order();
        if least < 2 {
            return values;
        }
        let mut rows = vec![0_u64; values.names.len()];
        values.of_row.iter().for_each(|value| rows[*value as usize] += 1);
        for (name, _) in values.names.iter_mut().zip(rows).filter(|(_, rows)| *rows < least) {
            "other".clone_into(name);
        }
        values.in_order()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(texts: &[Option<&str>]) -> Values {
        Values::of(&StringChunked::from_iter(texts.iter().copied()))
    }

    #[test]
    fn values_are_numbered_by_name_and_pairs_are_of_what_stands_in_one_row() {
        let (a, b) =
            (values(&[Some("y"), None, Some("x"), Some("y")]), values(&[Some("1"), Some("1"), None, Some("2")]));
        assert_eq!(
            a.clone().in_order(),
            Values { of_row: vec![2, 0, 1, 2], names: ["(none)", "x", "y"].map(str::to_owned).to_vec() }
        );
        let pairs = a.crossed(&b, "+").in_order();
        assert_eq!(pairs.names, ["(none)+1", "x+(none)", "y+1", "y+2"]);
        assert_eq!(pairs.of_row, [2, 0, 1, 3]);
    }

    #[test]
    fn values_with_few_rows_are_other_and_one_called_so_stays_with_them() {
        let few = values(&[Some("a"), Some("b"), Some("a"), Some("other"), Some("other"), Some("c")]);
        assert_eq!(
            few.clone().folded(2),
            Values { of_row: vec![0, 1, 0, 1, 1, 1], names: ["a", "other"].map(str::to_owned).to_vec() }
        );
        assert_eq!(few.folded(0).names, ["a", "b", "c", "other"]);
    }
}
