//! Features as models take them: named columns of floats.

use rayon::prelude::*;

/// Named features, column after column, in `f64`; NaN means "no value" and nothing else.
///
/// Columns, because everything that learns or scores looks at one feature of many orders: a scan runs along memory,
/// and a feature is added without moving the others. All columns are of one length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matrix {
    /// Feature names in column order.
    pub names: Vec<String>,
    /// One column a name, each with one value a row.
    pub columns: Vec<Vec<f64>>,
}

impl Matrix {
    /// Number of rows; 0 when there are no features.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    /// Number of features.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// The values of one feature, row after row.
    pub fn column(&self, index: usize) -> &[f64] {
        &self.columns[index]
    }

    /// The values of one row, feature after feature.
    ///
    /// For single rows, such as those that are explained: it touches every column once.
    pub fn row(&self, index: usize) -> Vec<f64> {
        self.columns.iter().map(|column| column[index]).collect()
    }

    /// One value.
    pub fn value(&self, row: usize, column: usize) -> f64 {
        self.columns[column][row]
    }

    /// The rows at `indices`, in that order.
    #[must_use]
    pub fn take(&self, indices: &[usize]) -> Self {
        let column = |values: &Vec<f64>| indices.iter().map(|&index| values[index]).collect();
        Self { names: self.names.clone(), columns: self.columns.par_iter().map(column).collect() }
    }

    /// Adds rows below. A feature that one of the two lacks has no value in its rows.
    pub fn append(&mut self, below: Self) {
        if self.names == below.names {
            self.columns.par_iter_mut().zip(below.columns).for_each(|(column, more)| column.extend(more));
            return;
        }
        let (above, more) = (self.rows(), below.rows());
        for (name, column) in below.names.into_iter().zip(below.columns) {
            match self.names.iter().position(|known| *known == name) {
                Some(at) => self.columns[at].extend(column),
                None => {
                    let mut whole = vec![f64::NAN; above];
                    whole.extend(column);
                    self.names.push(name);
                    self.columns.push(whole);
                }
            }
        }
        self.columns.iter_mut().for_each(|column| column.resize(above + more, f64::NAN));
    }

    /// Adds a feature after the others; `column` has one value a row.
    pub fn push(&mut self, name: impl Into<String>, column: Vec<f64>) {
        debug_assert!(
            self.columns.is_empty() || column.len() == self.rows(),
            "columns of one matrix are of one length"
        );
        self.names.push(name.into());
        self.columns.push(column);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_columns_and_single_values_are_views_of_the_same_table() {
        let mut matrix = Matrix::default();
        assert_eq!((matrix.rows(), matrix.width()), (0, 0));
        matrix.push("a", vec![1.0, 2.0, 3.0]);
        matrix.push("b", vec![4.0, 5.0, 6.0]);
        assert_eq!((matrix.rows(), matrix.width()), (3, 2));
        assert_eq!((matrix.row(1), matrix.column(1), matrix.value(2, 0)), (vec![2.0, 5.0], &[4.0, 5.0, 6.0][..], 3.0));
    }

    #[test]
    fn rows_are_added_below_and_what_one_side_lacks_has_no_value() {
        let (mut matrix, mut below) = (Matrix::default(), Matrix::default());
        matrix.push("a", vec![1.0]);
        matrix.push("b", vec![2.0]);
        below.push("b", vec![3.0]);
        below.push("c", vec![4.0]);
        matrix.append(below);
        assert_eq!(matrix.names, ["a", "b", "c"]);
        let shown: Vec<Vec<String>> =
            matrix.columns.iter().map(|column| column.iter().map(f64::to_string).collect()).collect();
        assert_eq!(shown, [["1", "NaN"], ["2", "3"], ["NaN", "4"]]);
    }

    #[test]
    fn taken_rows_come_in_the_order_asked_for_and_may_repeat() {
        let mut matrix = Matrix::default();
        matrix.push("a", vec![1.0, 2.0, 3.0]);
        let taken = matrix.take(&[2, 0, 2]);
        assert_eq!((taken.names, taken.columns), (vec!["a".to_owned()], vec![vec![3.0, 1.0, 3.0]]));
    }
}
