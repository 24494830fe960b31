//! Scores and reasons against forust's own, and against the definition.

use forust_ml::gradientbooster::{ContributionsMethod, GradientBooster};
use linfa::dataset::DatasetBase;
use linfa::traits::{Fit, PredictInplace};
use ndarray::Array1;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::fit::{BoostError, BoostedFamily, Grown, Growth, Rows, Watch};
use super::forest::Forest;
use super::tree::Tree;
use crate::features::matrix::Matrix;

const GROWTH: Growth =
    Growth { depth: 4, learning_rate: 0.3, least_leaf_weight: 1.0, l2: 1.0, feature_share: 1.0, trees: 12 };

/// Columns of different kinds with missing values, and labels that depend on them.
fn table(rows: usize, features: usize, seed: u64) -> (Matrix, Vec<bool>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut matrix = Matrix::default();
    for feature in 0..features {
        let missing = [0.0, 0.2, 0.0, 0.6][feature % 4];
        let mut value = || {
            let x: f64 = rng.random();
            let present = if feature % 2 == 0 { (x * 6.0).floor() - 2.0 } else { (x * 9.0).exp() };
            if rng.random::<f64>() < missing { f64::NAN } else { present }
        };
        matrix.push(format!("f{feature}"), (0..rows).map(|_| value()).collect());
    }
    let labels = (0..rows)
        .map(|row| {
            let x = |feature: usize| matrix.value(row, feature % features);
            let odds = 0.7 * x(0) + if x(1) > 50.0 { 1.0 } else { 0.0 } - if x(3).is_nan() { 0.8 } else { 0.0 };
            rng.random::<f64>() < 1.0 / (1.0 + (-odds).exp())
        })
        .collect();
    (matrix, labels)
}

fn family(growth: Growth) -> BoostedFamily<'static> {
    BoostedFamily { growth, watch: None, seed: 3 }
}

fn fit(family: &BoostedFamily<'_>, matrix: &Matrix, rows: &[usize], labels: &[bool]) -> Result<Forest, BoostError> {
    let labels = Array1::from(rows.iter().map(|&row| labels[row]).collect::<Vec<_>>());
    family.fit(&DatasetBase::new(Rows { matrix, rows }, labels)).map(|grown| grown.forest)
}

/// forust's own model of raw values, and the same as a forest.
fn forust(matrix: &Matrix, labels: &[bool], depth: usize, nbins: u16) -> (GradientBooster, Forest) {
    let mut booster = GradientBooster::default();
    (booster.max_depth, booster.nbins, booster.iterations) = (depth, nbins, 9);
    let values = matrix.columns.concat();
    let truth: Vec<f64> = labels.iter().map(|&label| f64::from(u8::from(label))).collect();
    let data = forust_ml::Matrix::new(&values, matrix.rows(), matrix.width());
    booster.fit_unweighted(&data, &truth, None).unwrap();
    let trees = booster.trees.iter().map(|tree| Tree::from_forust(tree, |_, value| Some(value)).unwrap()).collect();
    let forest = Forest::new(matrix.width(), booster.base_score, trees).unwrap();
    (booster, forest)
}

/// Rows of thresholds, their neighbours, the ends of what a number can be, and missing values.
fn boundary(forest: &Forest, rows: usize, seed: u64) -> Matrix {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut matrix = Matrix::default();
    for feature in 0..forest.features() {
        let mut values = vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, f64::MIN, f64::MAX];
        for tree in forest.trees() {
            let own = tree.feature.iter().zip(&tree.below).filter(|(found, _)| **found as usize == feature);
            values.extend(own.flat_map(|(_, &below)| [below, below.next_down(), below.next_up()]));
        }
        matrix.push(format!("f{feature}"), (0..rows).map(|_| values[rng.random_range(0..values.len())]).collect());
    }
    matrix
}

fn bits(scores: &[f64]) -> Vec<u64> {
    scores.iter().map(|score| score.to_bits()).collect()
}

#[test]
fn scores_are_those_of_forust_to_the_bit_for_any_depth_and_any_value() {
    for (depth, features, nbins) in [(1, 1, 5), (2, 3, 200), (4, 70, 30), (6, 5, 254), (7, 9, 254), (10, 4, 100)] {
        let (matrix, labels) = table(3_000, features, depth as u64);
        let (booster, forest) = forust(&matrix, &labels, depth, nbins);
        for rows in [&matrix, &boundary(&forest, 1_001, 5)] {
            let data = rows.columns.concat();
            let theirs = booster.predict(&forust_ml::Matrix::new(&data, rows.rows(), rows.width()), false);
            assert_eq!(bits(&forest.raw_scores(&rows.columns)), bits(&theirs), "depth {depth}");
        }
    }
}

#[test]
fn a_row_has_the_same_bits_alone_and_anywhere_among_others() {
    let (matrix, labels) = table(2_000, 6, 9);
    let forest = fit(&family(GROWTH), &matrix, &(0..2_000).collect::<Vec<_>>(), &labels).unwrap();
    let all = forest.raw_scores(&matrix.columns);
    for row in (0..2_000).step_by(97) {
        let mut one = [0.0];
        forest.raw(&matrix.columns, row, &mut one);
        assert_eq!(one[0].to_bits(), all[row].to_bits());
    }
    let rows = [7, 5, 1_999];
    let some = Rows { matrix: &matrix, rows: &rows };
    let mut scores = forest.default_target(&some);
    forest.predict_inplace(&some, &mut scores);
    assert_eq!(scores.to_vec(), rows.map(|row| all[row]));
}

#[test]
fn contributions_are_shapley_values_by_their_definition() {
    let (matrix, labels) = table(500, 4, 4);
    let growth = Growth { depth: 5, trees: 3, ..GROWTH };
    let forest = fit(&family(growth), &matrix, &(0..500).collect::<Vec<_>>(), &labels).unwrap();
    for row in (0..500).step_by(41) {
        let row = matrix.row(row);
        let values: Vec<f64> = (0..16).map(|told| value(&forest, &row, told)).collect();
        let contributions = forest.contributions(std::slice::from_ref(&row)).remove(0);
        for (feature, contribution) in contributions.iter().enumerate() {
            let others = (0..16_usize).filter(|told| told & 1 << feature == 0);
            let weight = |told: usize| [6.0, 2.0, 2.0, 6.0][told.count_ones() as usize] / 24.0;
            let defined: f64 = others.map(|told| weight(told) * (values[told | 1 << feature] - values[told])).sum();
            assert!((contribution - defined).abs() < 1e-12, "{contribution} {defined}");
        }
        assert!((forest.average() - values[0]).abs() < 1e-12);
        assert!((forest.average() + contributions.iter().sum::<f64>() - values[15]).abs() < 1e-12);
    }
}

/// The score when only the features in `told` are: at a split on another one, both sides by their covers.
fn value(forest: &Forest, row: &[f64], told: usize) -> f64 {
    fn cover(tree: &Tree, child: i32) -> f64 {
        match usize::try_from(child) {
            Ok(split) => cover(tree, tree.left[split]) + cover(tree, tree.right[split]),
            Err(_) => tree.cover[(-1 - child) as usize],
        }
    }
    fn go(tree: &Tree, child: i32, row: &[f64], told: usize) -> f64 {
        let Ok(split) = usize::try_from(child) else { return tree.leaf[(-1 - child) as usize] };
        let (left, right, feature) = (tree.left[split], tree.right[split], tree.feature[split] as usize);
        if told & 1 << feature == 0 {
            let (a, b) = (cover(tree, left), cover(tree, right));
            return (a * go(tree, left, row, told) + b * go(tree, right, row, told)) / (a + b);
        }
        let x = row[feature];
        let goes_left = if x.is_nan() { tree.missing_left[split] } else { x < tree.below[split] };
        go(tree, if goes_left { left } else { right }, row, told)
    }
    let root = |tree: &Tree| if tree.feature.is_empty() { -1 } else { 0 };
    forest.base() + forest.trees().iter().map(|tree| go(tree, root(tree), row, told)).sum::<f64>()
}

#[test]
fn contributions_agree_with_those_of_forust_and_come_to_the_score_on_wide_deep_models() {
    let (matrix, labels) = table(3_000, 12, 8);
    let (booster, forest) = forust(&matrix, &labels, 9, 100);
    let rows = matrix.take(&(0..60).collect::<Vec<_>>());
    let data = rows.columns.concat();
    let data = forust_ml::Matrix::new(&data, rows.rows(), rows.width());
    let theirs = booster.predict_contributions(&data, ContributionsMethod::Shapley, false);
    let scores = forest.raw_scores(&rows.columns);
    let all = forest.contributions(&(0..60).map(|row| rows.row(row)).collect::<Vec<_>>());
    for (row, theirs) in theirs.chunks(13).enumerate() {
        // Among others and alone.
        let ours = forest.contributions(&[rows.row(row)]).remove(0);
        assert_eq!(ours, all[row]);
        // forust computes in f32.
        assert!(ours.iter().zip(theirs).all(|(ours, theirs)| (ours - theirs).abs() < 2e-4), "{ours:?} {theirs:?}");
        assert!((forest.average() - theirs[12]).abs() < 1e-5);
        assert!((forest.average() + ours.iter().sum::<f64>() - scores[row]).abs() < 1e-11);
    }
}

#[test]
fn one_thread_and_four_grow_the_same_bytes() {
    // Enough rows for the tiled histograms and their parallel steps.
    let (matrix, labels) = table(40_000, 6, 2);
    let rows: Vec<usize> = (0..40_000).collect();
    let growth = Growth { feature_share: 0.7, trees: 4, ..GROWTH };
    let bytes = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let forest = pool.install(|| fit(&family(growth), &matrix, &rows, &labels)).unwrap();
        serde_json::to_string(&forest).unwrap()
    };
    assert_eq!(bytes(1), bytes(4));
}

#[test]
fn watched_rows_stop_the_growing_and_the_trees_past_the_best_are_dropped() {
    let (matrix, labels) = table(4_000, 5, 6);
    let rows: Vec<usize> = (0..4_000).collect();
    let (fitted, watched) = rows.split_at(1_500);
    let growth = Growth { depth: 6, least_leaf_weight: 0.01, trees: 200, ..GROWTH };
    let outcomes: Vec<bool> = watched.iter().map(|&row| labels[row]).collect();
    let watch = |weight| Watch {
        rows: Rows { matrix: &matrix, rows: watched },
        labels: &outcomes,
        negative_weight: weight,
        patience: 10,
    };
    let grown = |watch| {
        let labels = Array1::from(fitted.iter().map(|&row| labels[row]).collect::<Vec<_>>());
        let rows = Rows { matrix: &matrix, rows: fitted };
        BoostedFamily { growth, watch: Some(watch), seed: 1 }.fit(&DatasetBase::new(rows, labels)).unwrap()
    };
    let stopped = grown(watch(1.0));
    let trees = stopped.forest.trees().len();
    assert!((2..100).contains(&trees), "{trees}");
    let whole = fit(&family(Growth { trees, ..growth }), &matrix, fitted, &labels).unwrap();
    assert_eq!(whole.trees(), stopped.forest.trees());
    // The loss is that of these trees, with negatives counted by their weight.
    for weight in [1.0, 0.2] {
        let Grown { forest, log_loss } = grown(watch(weight));
        let scores = forest.raw_scores(&matrix.take(watched).columns);
        let (mut sum, mut weights) = (0.0, 0.0);
        for (score, outcome) in scores.iter().zip(&outcomes) {
            let weight = if *outcome { 1.0 } else { weight };
            sum += weight * (1.0 + (if *outcome { -score } else { *score }).exp()).ln();
            weights += weight;
        }
        assert!((log_loss.unwrap() - sum / weights).abs() < 1e-9);
    }
}

#[test]
fn json_holds_a_forest_to_the_bit_and_a_changed_one_is_refused() {
    let (matrix, labels) = table(1_500, 5, 7);
    let forest = fit(&family(GROWTH), &matrix, &(0..1_500).collect::<Vec<_>>(), &labels).unwrap();
    let json = serde_json::to_string(&forest).unwrap();
    let back: Forest = serde_json::from_str(&json).unwrap();
    assert_eq!(back, forest);
    assert_eq!(bits(&back.raw_scores(&matrix.columns)), bits(&forest.raw_scores(&matrix.columns)));
    let changed = json.replace("\"features\":5", "\"features\":1");
    let error = serde_json::from_str::<Forest>(&changed).unwrap_err().to_string();
    assert!(error.starts_with("a tree is not whole: it looks at a feature that is not there"), "{error}");
}

#[test]
fn features_without_values_or_variety_are_passed_over() {
    let (mut matrix, labels) = table(1_000, 2, 3);
    matrix.push("none", vec![f64::NAN; 1_000]);
    matrix.push("same", vec![7.0; 1_000]);
    matrix.push("wild", (0..1_000).map(|row| if row % 2 == 0 { f64::INFINITY } else { f64::NEG_INFINITY }).collect());
    let forest = fit(&family(GROWTH), &matrix, &(0..1_000).collect::<Vec<_>>(), &labels).unwrap();
    assert!(forest.trees().iter().all(|tree| tree.feature.iter().all(|&feature| feature < 2 || feature == 4)));
    assert!(forest.raw_scores(&matrix.columns).iter().all(|score| score.is_finite()));
    let same = fit(&family(GROWTH), &matrix, &[1, 2, 3], &[true; 1_000]);
    assert!(matches!(same, Err(BoostError::OneOutcome)));
}
