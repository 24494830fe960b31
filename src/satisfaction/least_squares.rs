//! Least squares with intervals that hold where the spread of errors differs between rows.

/// A column is left out when the columns before it leave less than this share of its variance unexplained (a variance
/// inflation above 20): its coefficient would say more of chance than of the fact.
pub(super) const MIN_OWN_SHARE: f64 = 0.05;

/// A fitted regression on standardised columns.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fitted {
    /// Per column: coefficient for one standard deviation, and its standard error; `None` for a column that was left out.
    pub(super) coefficients: Vec<Option<(f64, f64)>>,
    /// Share of the variance that is explained.
    pub(super) r_squared: f64,
}

/// Mean and standard deviation (with `n − 1`) of values.
pub(super) fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>();
    (mean, (square / (n - 1.0).max(1.0)).sqrt())
}

/// Fits `y` on `columns`, each of which varies, with an intercept. Standard errors are heteroskedasticity-robust with the
/// small-sample factor `n/(n−p)` (MacKinnon and White 1985, HC1).
///
/// `None` with no more rows than columns, or when nothing is left to fit on.
pub(super) fn fit(columns: &[Vec<f64>], y: &[f64]) -> Option<Fitted> {
    let n = y.len();
    let scaled: Vec<Vec<f64>> = columns
        .iter()
        .map(|column| {
            let (mean, deviation) = moments(column);
            column.iter().map(|v| (v - mean) / deviation).collect()
        })
        .collect();
    let kept = independent(&scaled);
    let x: Vec<&Vec<f64>> = kept.iter().map(|&at| &scaled[at]).collect();
    let p = x.len();
    if p == 0 || n <= p + 1 {
        return None;
    }
    let (mean, _) = moments(y);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let centred: Vec<f64> = y.iter().map(|v| v - mean).collect();
    let gram: Vec<Vec<f64>> = x.iter().map(|a| x.iter().map(|b| dot(a, b)).collect()).collect();
    let lower = cholesky(&gram, 0.0)?;
    let inverse: Vec<Vec<f64>> =
        (0..p).map(|at| solve(&lower, (0..p).map(|row| f64::from(u8::from(row == at))).collect())).collect();
    let beta = solve(&lower, x.iter().map(|column| dot(column, &centred)).collect());
    let mut rest = centred.clone();
    for (column, b) in x.iter().zip(&beta) {
        rest.iter_mut().zip(column.iter()).for_each(|(rest, v)| *rest -= b * v);
    }
    let squares: Vec<f64> = rest.iter().map(|r| r * r).collect();
    let weighted = |a: &[f64], b: &[f64]| a.iter().zip(b).zip(&squares).map(|((a, b), s)| a * b * s).sum::<f64>();
    let meat: Vec<Vec<f64>> = x.iter().map(|a| x.iter().map(|b| weighted(a, b)).collect()).collect();
    let small = n as f64 / (n - p - 1) as f64;
    let variance = |at: usize| {
        let row = &inverse[at];
        small * (0..p).map(|a| (0..p).map(|b| row[a] * meat[a][b] * row[b]).sum::<f64>()).sum::<f64>()
    };
    let mut coefficients = vec![None; columns.len()];
    for (place, &at) in kept.iter().enumerate() {
        coefficients[at] = Some((beta[place], variance(place).max(0.0).sqrt()));
    }
    let total = dot(&centred, &centred);
    let r_squared = if total > 0.0 { 1.0 - squares.iter().sum::<f64>() / total } else { 0.0 };
    Some(Fitted { coefficients, r_squared })
}

/// The columns that those before them do not already tell, by their correlations.
fn independent(scaled: &[Vec<f64>]) -> Vec<usize> {
    let n = scaled.first().map_or(1, Vec::len).max(2) as f64 - 1.0;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / n;
    let mut kept: Vec<usize> = Vec::new();
    // Rows of the factor so far: the pivot of a new column is what the others leave of its variance.
    let mut lower: Vec<Vec<f64>> = Vec::new();
    for at in 0..scaled.len() {
        let mut row: Vec<f64> = Vec::with_capacity(kept.len() + 1);
        for (place, &before) in kept.iter().enumerate() {
            let known: f64 = (0..place).map(|k| row[k] * lower[place][k]).sum();
            row.push((dot(&scaled[at], &scaled[before]) - known) / lower[place][place]);
        }
        let left = dot(&scaled[at], &scaled[at]) - row.iter().map(|v| v * v).sum::<f64>();
        if left >= MIN_OWN_SHARE {
            row.push(left.sqrt());
            lower.push(row);
            kept.push(at);
        }
    }
    kept
}

/// The lower factor of a symmetric matrix; `None` when it is not positive definite.
fn cholesky(matrix: &[Vec<f64>], floor: f64) -> Option<Vec<Vec<f64>>> {
    let mut lower: Vec<Vec<f64>> = Vec::with_capacity(matrix.len());
    for (at, of) in matrix.iter().enumerate() {
        let mut row: Vec<f64> = Vec::with_capacity(at + 1);
        for before in 0..=at {
            let known: f64 = (0..before).map(|k| row[k] * if before == at { row[k] } else { lower[before][k] }).sum();
            let left = of[before] - known;
            if before == at {
                if left <= floor {
                    return None;
                }
                row.push(left.sqrt());
            } else {
                row.push(left / lower[before][before]);
            }
        }
        lower.push(row);
    }
    Some(lower)
}

/// Solves `L Lᵀ x = b`.
fn solve(lower: &[Vec<f64>], mut b: Vec<f64>) -> Vec<f64> {
    for at in 0..b.len() {
        let known: f64 = (0..at).map(|k| lower[at][k] * b[k]).sum();
        b[at] = (b[at] - known) / lower[at][at];
    }
    for at in (0..b.len()).rev() {
        let known: f64 = (at + 1..b.len()).map(|k| lower[k][at] * b[k]).sum();
        b[at] = (b[at] - known) / lower[at][at];
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_and_robust_errors_agree_with_numpy() {
        let a: Vec<f64> = (0..40).map(|i| f64::from(i % 7)).collect();
        let b: Vec<f64> = (0..40).map(|i| f64::from(i * i % 11)).collect();
        let y: Vec<f64> =
            (0..40).map(|i| 50.0 - 3.0 * a[i] + 1.5 * b[i] + f64::from(i as i32 * 13 % 17) * a[i] / 6.0).collect();
        let found = fit(&[a.clone(), b, a.iter().map(|v| 2.0 * v + 1.0).collect()], &y).unwrap();
        // numpy, X = [1, a, b] with a and b standardised by std(ddof=1), e the residuals: I = inv(X.T @ X), I @ X.T @ y and
        // sqrt(diag(I @ (X.T * e**2) @ X @ I * 40 / 37))
        let expected = [(-3.179_549_81, 0.581_236_86), (4.497_689_77, 0.393_608_42)];
        for (found, (coefficient, error)) in found.coefficients.iter().zip(expected) {
            let (c, e) = found.unwrap();
            assert!((c - coefficient).abs() < 1e-6 && (e - error).abs() < 1e-6, "{c} {e}");
        }
        assert_eq!(found.coefficients[2], None, "twice a column says nothing new");
    }

    #[test]
    fn fewer_rows_than_columns_give_no_fit() {
        assert_eq!(fit(&[vec![1.0, 2.0], vec![2.0, 1.0]], &[1.0, 2.0]), None);
        assert_eq!(fit(&[], &[1.0, 2.0, 4.0]), None);
    }
}
