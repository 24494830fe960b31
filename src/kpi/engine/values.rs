//! The values by which rows are counted: combinations of values of columns, by number.

use super::cells::{Names, Pairs};

/// Combinations of values of some columns, numbered as they come. One column's are the values themselves; those of more are
/// pairs of a combination of all but the last and a value of the last. They are told apart by numbers and not by how they
/// read: `a+b` and `c` is not `a` and `b+c`.
#[derive(Debug, Clone)]
pub(super) struct Values {
    columns: Vec<usize>,
    /// One for each column after the first.
    pairs: Vec<Pairs<u32>>,
}

impl Values {
    pub(super) fn new(columns: &[usize]) -> Self {
        Self { columns: columns.to_vec(), pairs: vec![Pairs::default(); columns.len().saturating_sub(1)] }
    }

    /// How many there are; `names` has the values of all columns.
    pub(super) fn len(&self, names: &[Names]) -> usize {
        match (self.pairs.last(), self.columns.first()) {
            (Some(pairs), _) => pairs.keys.len(),
            (None, Some(column)) => names[*column].list.len(),
            (None, None) => 1,
        }
    }

    /// The combination of each row, from the values of all columns.
    pub(super) fn of_rows(&mut self, columns: &[Vec<u32>], rows: usize) -> Vec<u32> {
        let Some((first, rest)) = self.columns.split_first() else { return vec![0; rows] };
        let mut numbers = columns[*first].clone();
        for (pairs, column) in self.pairs.iter_mut().zip(rest) {
            let mut last = None;
            for (number, value) in numbers.iter_mut().zip(&columns[*column]) {
                let pair = (*number, *value);
                *number = match last {
                    Some((same, number)) if same == pair => number,
                    _ => pairs.number(pair.0, pair.1),
                };
                last = Some((pair, *number));
            }
        }
        numbers
    }

    /// The values of a combination, by column.
    fn parts(&self, mut number: u32) -> Vec<u32> {
        let mut parts = Vec::with_capacity(self.columns.len());
        for pairs in self.pairs.iter().rev() {
            let (before, value) = pairs.keys[number as usize];
            parts.push(value);
            number = before;
        }
        parts.extend((!self.columns.is_empty()).then_some(number));
        parts.reverse();
        parts
    }

    /// The same as texts; `names` has the values of all columns.
    pub(super) fn texts<'n>(&self, number: u32, names: &'n [Names]) -> Vec<&'n str> {
        let parts = self.parts(number).into_iter().zip(&self.columns);
        parts.map(|(value, column)| &*names[*column].list[value as usize]).collect()
    }

    /// The numbers here of another's combinations, of which there are `others`; `moved` says by column where its values went.
    pub(super) fn merge(&mut self, other: &Self, others: usize, moved: &[Vec<u32>]) -> Vec<u32> {
        let number = |other_number: u32| {
            let parts = other.parts(other_number);
            let mut parts = parts.iter().zip(&self.columns).map(|(value, column)| moved[*column][*value as usize]);
            let first = parts.next().unwrap_or(0);
            self.pairs.iter_mut().zip(parts).fold(first, |number, (pairs, value)| pairs.number(number, value))
        };
        (0..others as u32).map(number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_that_read_alike_are_told_apart_and_keep_their_values_when_merged() {
        let columns = |texts: [&[&str]; 2]| {
            let mut names = [Names::default(), Names::default()];
            let rows: Vec<Vec<u32>> = names
                .iter_mut()
                .zip(texts)
                .map(|(names, texts)| texts.iter().map(|t| names.number(t)).collect())
                .collect();
            (names, rows)
        };
        let (mut names, rows) = columns([&["a+b", "a", "a+b"], &["c", "b+c", "c"]]);
        let mut values = Values::new(&[0, 1]);
        assert_eq!(values.of_rows(&rows, 3), [0, 1, 0]);
        assert_eq!(values.texts(1, &names), ["a", "b+c"]);

        let (other_names, rows) = columns([&["x", "a"], &["c", "b+c"]]);
        let mut other = Values::new(&[0, 1]);
        other.of_rows(&rows, 2);
        let moved: Vec<Vec<u32>> = (names.iter_mut().zip(&other_names))
            .map(|(names, others)| others.list.iter().map(|name| names.number(name)).collect())
            .collect();
        assert_eq!(values.merge(&other, 2, &moved), [2, 1]);
        assert_eq!((values.len(&names), values.texts(2, &names)), (3, vec!["x", "c"]));
    }
}
