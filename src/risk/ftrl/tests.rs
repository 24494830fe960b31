//! Tests of follow-the-regularised-leader on batches of its own and through the trainer.

use linfa::ParamGuard;
use linfa_ftrl::Ftrl as LinfaFtrl;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::copy::{LearningCopy, Lessons, Standing, Tested};
use super::*;
use crate::features::matrix::Matrix;
use crate::risk::model::Learner;
use crate::risk::sigmoid;
use crate::risk::train::{TrainSettings, Trained, train};
use crate::risk::{Family, Label, Target};
use crate::types::time::DAY;

type Batch = DatasetBase<Array2<f64>, Array1<bool>>;

fn batch(rows: &[[f64; 3]], labels: &[bool]) -> Batch {
    let values = rows.iter().flatten().copied().collect();
    DatasetBase::new(Array2::from_shape_vec((rows.len(), 3), values).unwrap(), Array1::from(labels.to_vec()))
}

const ROWS: [[f64; 3]; 8] = [
    [1.0, -0.5, 0.1],
    [0.5, 2.0, 0.0],
    [-1.5, 0.25, -0.2],
    [0.0, -1.0, 0.3],
    [2.0, 1.0, -0.1],
    [-0.75, 0.5, 0.2],
    [1.25, -2.0, 0.0],
    [0.3, 0.3, -0.3],
];
const LABELS: [bool; 8] = [true, false, false, true, true, false, true, false];

#[test]
fn weights_are_those_of_the_published_algorithm() {
    // tests/reference/metrics.py, function `ftrl`, which is the paper's algorithm 1 in numpy.
    let cases = [
        (
            Rates { alpha: 0.5, beta: 1.0, l1: 0.0, l2: 0.0 },
            [0.553_890_037_853_596_3, -0.522_817_709_845_731_7, 0.127_667_300_788_347_68, -0.043_850_351_879_879_27],
        ),
        (
            Rates { alpha: 0.5, beta: 2.0, l1: 0.25, l2: 1.5 },
            [0.293_574_096_666_000_4, -0.277_913_614_691_789_8, 0.009_360_249_905_207_023, -0.018_972_870_503_527_833],
        ),
    ];
    for (rates, expected) in cases {
        let learnt = rates.fit_with(None, &batch(&ROWS, &LABELS)).unwrap();
        let Linear { intercept, coefficients } = learnt.linear();
        for (found, expected) in coefficients.into_iter().chain([intercept]).zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        }
    }
}

#[test]
fn weights_are_those_of_linfa_ftrl_fed_row_by_row() {
    let rates = Rates { alpha: 0.3, beta: 0.5, l1: 0.0, l2: 0.0 };
    let params = LinfaFtrl::<f64>::params().alpha(0.3).beta(0.5).l1_ratio(0.0).l2_ratio(0.0).check().unwrap();
    // Its columns: ours and one of ones. It begins at random sums; so do we here.
    let mut theirs = LinfaFtrl::new(params.clone(), 4);
    let mut ours = Ftrl { rates, rows: 0, z: theirs.z().to_vec(), n: vec![0.0; 4] };
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for _ in 0..500 {
        let row: [f64; 3] = std::array::from_fn(|_| rng.random::<f64>() * 4.0 - 2.0);
        let label = rng.random::<f64>() < sigmoid(row[0] - 0.5 * row[2] - 0.5);
        let with_one = Array2::from_shape_vec((1, 4), vec![row[0], row[1], row[2], 1.0]).unwrap();
        theirs = params.fit_with(Some(theirs), &DatasetBase::new(with_one, Array1::from(vec![label]))).unwrap();
        ours = rates.fit_with(Some(ours), &batch(&[row], &[label])).unwrap();
    }
    let Linear { intercept, coefficients } = ours.linear();
    // It rounds probabilities to single precision.
    for (found, theirs) in coefficients.into_iter().chain([intercept]).zip(theirs.get_weights()) {
        assert!((found - theirs).abs() < 1e-5, "{found} is not {theirs}");
    }
    assert_eq!(ours.rows(), 500);
}

proptest! {
    /// The state is all there is: it does not matter where a stream is cut, nor that it was saved in between.
    #[test]
    fn going_on_from_a_saved_state_is_to_the_bit_as_learning_in_one_go(
        rows in prop::collection::vec((prop::array::uniform3(-5.0..5.0_f64), any::<bool>(), 0.1..20.0_f32), 1..60),
        cuts in prop::collection::vec(0_usize..60, 0..5),
        (alpha, beta) in (0.01..2.0_f64, 0.1..10.0_f64),
        (l1, l2) in (0.0..2.0_f64, 0.0..20.0_f64),
    ) {
        let rates = Rates { alpha, beta, l1, l2 };
        let part = |part: &[([f64; 3], bool, f32)]| {
            let (values, labels): (Vec<_>, Vec<_>) = part.iter().map(|(row, label, _)| (*row, *label)).unzip();
            batch(&values, &labels).with_weights(part.iter().map(|row| row.2).collect())
        };
        let start = || Some(Ftrl::new(rates, 3, -2.0));
        let at_once = rates.fit_with(start(), &part(&rows)).unwrap();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(rows.len())).chain([0, rows.len()]).collect();
        cuts.sort_unstable();
        let mut piecewise = start();
        for pair in cuts.windows(2) {
            let learnt = rates.fit_with(piecewise, &part(&rows[pair[0]..pair[1]])).unwrap();
            piecewise = serde_json::from_str(&serde_json::to_string(&learnt).unwrap()).unwrap();
        }
        prop_assert_eq!(serde_json::to_string(&piecewise).unwrap(), serde_json::to_string(&at_once).unwrap());
        prop_assert_eq!(piecewise, Some(at_once));
    }
}

#[test]
fn what_is_no_number_or_no_such_table_is_refused_and_changes_nothing() {
    let rates = Rates { alpha: 0.1, beta: 1.0, l1: 0.0, l2: 0.0 };
    let learn = |batch: &Batch| rates.fit_with(Some(Ftrl::new(rates, 3, 0.0)), batch).unwrap_err().to_string();
    let mut rows = ROWS;
    rows[5][1] = f64::NAN;
    assert_eq!(learn(&batch(&rows, &LABELS)), "row 5 of the batch holds a value that is not finite");
    let narrow = DatasetBase::new(Array2::zeros((2, 2)), Array1::from(vec![true, false]));
    assert_eq!(learn(&narrow), "the batch has 2 columns, the model has 3");
    let still = Rates { alpha: 0.0, ..rates };
    assert!(matches!(still.fit_with(None, &batch(&ROWS, &LABELS)), Err(FtrlError::Rates(_))));
    assert!(Ftrl::new(rates, 3, -2.0).is_coherent());
    assert!(!Ftrl { n: vec![0.0, -1.0, 0.0, 0.0], ..Ftrl::new(rates, 3, 0.0) }.is_coherent());
    assert!(!Ftrl { z: vec![], n: vec![], rates, rows: 0 }.is_coherent());
}

#[test]
fn a_model_that_has_seen_nothing_gives_the_log_odds_it_was_begun_with() {
    let start = Ftrl::new(Rates { alpha: 0.3, beta: 10.0, l1: 10.0, l2: 100.0 }, 3, -4.6);
    let Linear { intercept, coefficients } = start.linear();
    assert!((intercept + 4.6).abs() < 1e-12 && coefficients == [0.0; 3]);
}

/// Orders over 200 days whose log-odds are −3 + 1.5 a + 0.8 when b is missing; noise says nothing.
fn history(rows: usize) -> (Matrix, Vec<i64>, Vec<Label>, Vec<i64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    let mut columns = vec![Vec::new(); 3];
    let (mut placed, mut labels) = (Vec::new(), Vec::new());
    for row in 0..rows {
        let a: f64 = rng.random::<f64>() * 4.0 - 2.0;
        let b = if rng.random::<f64>() < 0.2 { f64::NAN } else { rng.random::<f64>() };
        for (column, value) in columns.iter_mut().zip([a, b, rng.random::<f64>()]) {
            column.push(value);
        }
        let odds = -3.0 + 1.5 * a + if b.is_nan() { 0.8 } else { 0.0 };
        placed.push(row as i64 * (200 * DAY / rows as i64));
        labels.push((row % 13 != 0).then(|| rng.random::<f64>() < sigmoid(odds)));
    }
    let known = placed.iter().map(|time| time + 5 * DAY).collect();
    (Matrix { names: ["a", "b", "noise"].map(str::to_owned).to_vec(), columns }, placed, labels, known)
}

fn trained(max_rows: usize) -> (Trained, Matrix) {
    let (matrix, placed, labels, known) = history(20_000);
    let mut settings = TrainSettings::new(Family::Ftrl, 3, 206 * DAY);
    settings.max_rows = max_rows;
    (train(Target::Fraud, &matrix, &placed, &labels, &known, &settings).unwrap(), matrix)
}

#[test]
fn a_known_relation_is_found_calibrated_and_explained() {
    let (trained, matrix) = trained(1_000_000);
    let metrics = &trained.evaluation.metrics;
    assert!(metrics.roc_auc.value.unwrap() > 0.80 && metrics.ece_mass_10 < 0.02, "{metrics:?}");
    assert_eq!(trained.evaluation.warnings, Vec::<String>::new());
    assert!(trained.evaluation.tried.len() == search::grid().len());
    assert!(trained.evaluation.tried.iter().all(|tried| tried.log_loss.is_some()));
    let at = |a: f64, b: f64| trained.model.contributions(&[a, b, 0.5]);
    let slope = at(1.0, 0.5)[0].contribution - at(0.0, 0.5)[0].contribution;
    let missing = at(0.0, f64::NAN)[1].contribution - at(0.0, 0.5)[1].contribution;
    assert!((slope - 1.5).abs() < 0.25 && (missing - 0.8).abs() < 0.3, "{slope} {missing}");
    let some = matrix.take(&(0..300).collect::<Vec<_>>());
    for (row, probability) in trained.model.probabilities(&some).unwrap().into_iter().enumerate() {
        let added: f64 = trained.model.contributions(&some.row(row)).iter().map(|c| c.contribution).sum();
        assert!((trained.model.base_log_odds() + added - (probability / (1.0 - probability)).ln()).abs() < 1e-9);
    }
}

#[test]
fn thinning_negatives_leaves_probabilities_where_they_were() {
    let ((whole, matrix), (thinned, _)) = (trained(1_000_000), trained(4_000));
    assert!(thinned.evaluation.fitted_rows <= 4_000 && whole.evaluation.fitted_rows > 10_000);
    // Before calibration, so that calibration cannot have mended it.
    let mean = |trained: &Trained| {
        let raw = trained.model.raw_scores(&matrix).unwrap();
        raw.iter().map(|&raw| sigmoid(raw)).sum::<f64>() / raw.len() as f64
    };
    assert!((mean(&whole) / mean(&thinned) - 1.0).abs() < 0.1, "{} {}", mean(&whole), mean(&thinned));
}

#[test]
fn labels_after_the_clock_teach_nothing_and_threads_do_not_show() {
    let (matrix, placed, labels, known) = history(6_000);
    let settings = TrainSettings::new(Family::Ftrl, 3, 120 * DAY);
    let late = known.iter().map(|known| *known > 120 * DAY);
    let changed: Vec<Label> =
        labels.iter().zip(late).map(|(label, late)| if late { Some(true) } else { *label }).collect();
    let train = |labels: &[Label], threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| train(Target::Fraud, &matrix, &placed, labels, &known, &settings)).unwrap()
    };
    let (first, second) = (train(&labels, 1), train(&changed, 3));
    assert_eq!(first, second);
    assert_eq!(serde_json::to_string(&first.model).unwrap(), serde_json::to_string(&second.model).unwrap());
}

#[test]
fn a_registered_model_goes_on_learning_where_the_trainer_stopped() {
    let (trained, matrix) = trained(1_000_000);
    let text = serde_json::to_string(&trained.model).unwrap();
    let loaded: crate::risk::model::Model = serde_json::from_str(&text).unwrap();
    let (Learner::Ftrl { prepare, state }, Learner::Ftrl { state: kept, .. }) = (loaded.learner, trained.model.learner)
    else {
        panic!("another family")
    };
    let rows: Vec<usize> = (19_000..19_400).collect();
    let learn = |state: Ftrl, rows: &[usize]| {
        let labels = Array1::from_iter(rows.iter().map(|row| row % 7 == 0));
        let records = prepare.design(&matrix, rows);
        state.rates().fit_with(Some(state.clone()), &DatasetBase::new(records, labels)).unwrap()
    };
    let at_once = learn(kept, &rows);
    let in_parts = rows.chunks(130).fold(state.clone(), learn);
    assert_eq!(at_once, in_parts);
    assert_eq!(at_once.rows(), state.rows() + 400);
    assert_ne!(at_once.linear(), state.linear());
}

/// What a copy that was told of everything in parts has learnt, and its tests.
fn told_in_parts(model: &crate::risk::model::Model, matrix: &Matrix, cuts: &[usize]) -> (LearningCopy, Vec<Tested>) {
    let rows: Vec<usize> = (0..matrix.rows()).collect();
    let (placed_at, ripe_at) = (|row: &usize| *row as i64 * DAY / 40, |row: &usize| *row as i64 * DAY / 40 + 5 * DAY);
    let mut copy = LearningCopy::of(model).unwrap();
    let mut tested = Vec::new();
    for pair in cuts.windows(2) {
        let part = &rows[pair[0]..pair[1]];
        let placed_at: Vec<i64> = part.iter().map(placed_at).collect();
        let ripe_at: Vec<i64> = part.iter().map(ripe_at).collect();
        let labels: Vec<bool> = part.iter().map(|row| (row * 37) % 11 == 0).collect();
        let matrix = &matrix.take(part);
        let lessons = Lessons { matrix, placed_at: &placed_at, ripe_at: &ripe_at, labels: &labels };
        tested.extend(copy.learn(model, lessons, 3 * DAY).unwrap());
        // As it is saved between epochs.
        let days: Vec<Standing> = serde_json::from_str(&serde_json::to_string(copy.days()).unwrap()).unwrap();
        let saved: LearningCopy = serde_json::from_str(&serde_json::to_string(&copy).unwrap()).unwrap();
        copy = saved.with_days(days);
    }
    (copy, tested)
}

#[test]
fn a_copy_learns_the_same_in_any_parts_and_is_tested_as_it_stood_when_orders_were_placed() {
    let (trained, matrix) = trained(1_000_000);
    let some = matrix.take(&(0..1_200).collect::<Vec<_>>());
    let (at_once, tested) = told_in_parts(&trained.model, &some, &[0, 1_200]);
    assert!(at_once.fits(&trained.model) && at_once.examples == 1_200 && at_once.positives > 100);
    assert_eq!(at_once.tested, tested.len() as u64);
    assert!(tested.iter().all(|tested| tested.placed_at > 3 * DAY));
    assert_eq!(tested.len(), 1_200 - 3 * 40 - 1);
    proptest!(ProptestConfig::with_cases(12), |(cuts in prop::collection::vec(0_usize..1_200, 0..30))| {
        let mut cuts: Vec<usize> = cuts.into_iter().chain([0, 1_200]).collect();
        cuts.sort_unstable();
        let (in_parts, tested_in_parts) = told_in_parts(&trained.model, &some, &cuts);
        prop_assert_eq!(&in_parts, &at_once);
        prop_assert_eq!(&tested_in_parts, &tested);
    });
    // Of an order placed on day 9, the labels that were ripe before that day: those of orders placed before day 4.
    let (then, _) = told_in_parts(&trained.model, &some, &[0, 4 * 40]);
    let row = 9 * 40 + 17;
    let expected = then.model(&trained.model).probabilities(&some.take(&[row])).unwrap()[0];
    let found = tested.iter().find(|tested| tested.placed_at == row as i64 * DAY / 40).unwrap();
    assert_eq!(found.learning.to_bits(), expected.to_bits());
    assert_eq!(found.frozen.to_bits(), trained.model.probabilities(&some.take(&[row])).unwrap()[0].to_bits());
    assert_ne!(found.learning, found.frozen);
    // Before any label is ripe it is the model it was copied from.
    assert!(tested.iter().filter(|tested| tested.placed_at < 5 * DAY).all(|tested| tested.learning == tested.frozen));
}
