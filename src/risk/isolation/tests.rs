//! Tests of the isolation score as a whole.

use super::days::{Orders, unusual};
use super::*;
use crate::config::built_in_features;

/// A shop of `rows` orders, a hundred a day: most have one device each; orders 7 of every 500 come from a busy one.
fn shop(rows: usize) -> (Matrix, Vec<i32>, Vec<usize>) {
    let mut matrix = Matrix::default();
    let odd = |row: usize| row % 500 == 7;
    matrix.push(
        "amount",
        (0..rows).map(|row| ((row * 37) % 101) as f64 * 100.0 + if odd(row) { 9_000.0 } else { 0.0 }).collect(),
    );
    matrix.push("hour_of_day", (0..rows).map(|row| (row % 24) as f64).collect());
    matrix.push(
        "account_age_days",
        (0..rows).map(|row| if row % 5 == 0 { f64::NAN } else { ((row * 17) % 400) as f64 }).collect(),
    );
    let differs = |row: usize, share: usize| f64::from(u8::from(odd(row) || row.is_multiple_of(share)));
    matrix.push("ship_billing_country_differs", (0..rows).map(|row| differs(row, 30)).collect());
    matrix.push("ship_ip_country_differs", (0..rows).map(|row| differs(row, 23)).collect());
    matrix.push(
        "device_order_count_24h",
        (0..rows).map(|row| if odd(row) { 6.0 } else { (row % 40 / 39) as f64 }).collect(),
    );
    (matrix, (0..rows).map(|row| (row / 100) as i32).collect(), (0..rows).collect())
}

fn scores(matrix: &Matrix, days: &[i32], sequence: &[usize], threads: usize) -> Vec<Option<f64>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let orders = Orders { matrix, days, sequence };
    pool.install(|| unusual(&orders, &built_in_features(), 0, &Settings::new(7)).scores)
}

#[test]
fn what_is_odd_in_several_respects_stands_out_and_days_without_a_past_have_no_score() {
    let (matrix, days, sequence) = shop(4_000);
    let scores = scores(&matrix, &days, &sequence, 2);
    assert!(scores[..300].iter().all(Option::is_none) && scores[300..].iter().all(Option::is_some));
    let mut ranked: Vec<usize> = (300..4_000).collect();
    ranked.sort_by(|&a, &b| scores[b].unwrap().total_cmp(&scores[a].unwrap()).then(a.cmp(&b)));
    let odd: Vec<usize> = (300..4_000).filter(|row| row % 500 == 7).collect();
    let mut top = ranked[..odd.len()].to_vec();
    top.sort_unstable();
    assert_eq!(top, odd);
    assert!(scores.iter().flatten().all(|score| (0.0..1.0).contains(score)));
    assert!(odd.iter().all(|&row| scores[row].unwrap() > 0.6));
}

#[test]
fn scores_are_the_same_bits_from_any_number_of_threads_and_whatever_comes_later() {
    let (matrix, days, sequence) = shop(1_500);
    let all = scores(&matrix, &days, &sequence, 1);
    assert_eq!(scores(&matrix, &days, &sequence, 3), all);
    let first: Vec<usize> = (0..900).collect();
    let mut later = matrix.take(&sequence);
    later.columns.iter_mut().for_each(|column| column[900..].fill(1e6));
    assert_eq!(scores(&later, &days, &sequence, 2)[..900], all[..900]);
    assert_eq!(scores(&matrix.take(&first), &days[..900], &first, 2), all[..900]);
}

#[test]
fn the_order_of_rows_does_not_show() {
    let (matrix, days, sequence) = shop(1_000);
    let turned: Vec<usize> = (0..1_000).rev().collect();
    let days_turned: Vec<i32> = turned.iter().map(|&row| days[row]).collect();
    // Row `at` of the turned shop is order `999 - at`.
    let back = scores(&matrix.take(&turned), &days_turned, &turned, 2);
    let all = scores(&matrix, &days, &sequence, 2);
    assert_eq!(back.into_iter().rev().collect::<Vec<_>>(), all);
}

#[test]
fn contributions_add_up_to_the_score_and_respects_name_the_leading_feature() {
    let (matrix, ..) = shop(3_000);
    let history: Vec<usize> = (0..3_000).collect();
    let facets = facets(&matrix, &built_in_features());
    let isolation = Isolation::fit(&matrix, &history, &facets, &Settings::new(7), 0).unwrap();
    for row in (0..3_000).step_by(41) {
        let (score, sum) = (isolation.score(&matrix, row), isolation.contributions(&matrix, row).iter().sum::<f64>());
        assert!((sum - (2.0 * score).log2()).abs() < 1e-9, "{row}: {sum} {score}");
    }
    let respects = isolation.respects(&matrix, 507);
    let named: Vec<(&str, f64, f64)> =
        respects.iter().map(|r| (matrix.names[r.feature].as_str(), r.value, r.usual)).collect();
    assert!(named.contains(&("device_order_count_24h", 6.0, 0.0)), "{named:?}");
    assert!(named.iter().any(|(name, value, usual)| name.ends_with("_differs") && *value == 1.0 && *usual < 0.1));
    // An hour of the day is no respect, and nor is a missing age.
    assert!(facets.iter().all(|facet| matrix.names[facet.feature] != "hour_of_day"));
    assert!(named.iter().all(|(_, value, _)| !value.is_nan()));
}

#[test]
fn too_little_history_or_nothing_to_look_at_gives_no_forest() {
    let (matrix, ..) = shop(300);
    let (all, facets) = ((0..300).collect::<Vec<_>>(), facets(&matrix, &built_in_features()));
    assert!(Isolation::fit(&matrix, &all[..255], &facets, &Settings::new(7), 0).is_none());
    assert!(Isolation::fit(&matrix, &all, &[], &Settings::new(7), 0).is_none());
    assert!(Isolation::fit(&matrix, &all, &facets, &Settings::new(7), 0).is_some());
}

#[test]
fn orders_that_are_all_the_same_are_all_as_usual_as_can_be() {
    let mut matrix = Matrix::default();
    matrix.push("amount", vec![100.0; 600]);
    let history: Vec<usize> = (0..600).collect();
    let isolation = Isolation::fit(&matrix, &history, &facets(&matrix, &[]), &Settings::new(7), 0).unwrap();
    // To the rounding of a mean over trees.
    assert!((isolation.score(&matrix, 3) - 0.5).abs() < 1e-12);
    assert_eq!(isolation.respects(&matrix, 3), vec![]);
}
