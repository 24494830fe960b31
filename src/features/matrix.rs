//! Features as models take them: a dense table of floats with names.

/// Rows × named features, row-major, in `f64`; NaN means "no value" and nothing else.
///
/// Row `i` is `values[i * names.len()..(i + 1) * names.len()]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matrix {
    /// Feature names in column order.
    pub names: Vec<String>,
    /// All values, row after row.
    pub values: Vec<f64>,
}

impl Matrix {
    /// Number of rows; 0 when there are no features.
    pub fn rows(&self) -> usize {
        if self.names.is_empty() { 0 } else { self.values.len() / self.names.len() }
    }

    /// One row.
    pub fn row(&self, index: usize) -> &[f64] {
        let width = self.names.len();
        &self.values[index * width..(index + 1) * width]
    }

    /// The rows at `indices`, in that order.
    #[must_use]
    pub fn take(&self, indices: &[usize]) -> Self {
        let mut values = Vec::with_capacity(indices.len() * self.names.len());
        for &index in indices {
            values.extend_from_slice(self.row(index));
        }
        Self { names: self.names.clone(), values }
    }
}
