//! How the boosted family learns from a task.
//!
//! 1. **Shape** ([`GRID`]): each entry is grown on the first part of the training slice and watched on the next, for
//!    two folds that roll forward inside the slice with the same gap for labels; the lowest mean log loss wins, and the
//!    earlier of equals. This is done on [`SEARCH_ROWS`] rows and with a quicker rate: shapes rank the same on fewer.
//! 2. **Number of trees**: grown on the whole training slice while the log loss on the calibration slice falls.
//! 3. Calibration and the last fit, as for any family: see [`crate::risk::refit`]. The test slice sees none of it.

use linfa::dataset::DatasetBase;
use linfa::traits::Fit;
use ndarray::Array1;

use super::fit::{BoostError, BoostedFamily, Grown, Growth, Rows, Watch};
use crate::error::Result;
use crate::risk::evaluate::{Settings, Tried};
use crate::risk::model::Learner;
use crate::risk::sample::{Sample, every_nth, thin};
use crate::risk::task::{Chosen, Learnt, STRETCHES, Stretch, Task};

/// Most rows of a fit. Growing is linear in them: 2 million by 40 features take about a gigabyte, and 20 s per hundred
/// trees on two cores.
pub const MAX_ROWS: usize = 2_000_000;

/// Most rows of one fit, and of one watch, of the search.
const SEARCH_ROWS: usize = 100_000;

/// Rate and most trees of the search, and of the model.
const SEARCH_PACE: Pace = Pace { rate: 0.1, trees: 150, patience: 15 };
const MODEL_PACE: Pace = Pace { rate: 0.05, trees: 600, patience: 30 };

/// Depth and least leaf weight tried, the plainer first.
///
/// Depth is how many facts a rule may join; the leaf weight is about how many positives it takes to believe one.
pub const GRID: [(usize, f32); 4] = [(4, 5.0), (6, 5.0), (6, 20.0), (8, 20.0)];

/// Share of the features a tree may look at: trees that do not all lean on the same feature are worth more together.
const FEATURE_SHARE: f64 = 0.5;

/// Penalty on leaves: as if forty undecided rows more said nothing (each weighs a quarter).
const L2: f32 = 10.0;

struct Pace {
    rate: f32,
    trees: usize,
    patience: usize,
}

impl Pace {
    fn growth(&self, (depth, least_leaf_weight): (usize, f32)) -> Growth {
        let Self { rate, trees, .. } = *self;
        Growth { depth, learning_rate: rate, least_leaf_weight, l2: L2, feature_share: FEATURE_SHARE, trees }
    }
}

/// Rows to grow on, and rows to watch.
struct Fold {
    fitted: Sample,
    watched: Vec<usize>,
}

/// About how many seconds learning takes at most on two cores; `cells` gives rows times features, of at most so many rows.
pub(in crate::risk) fn seconds_at_most(cells: &dyn Fn(usize) -> f64) -> f64 {
    let search = (GRID.len() * STRETCHES.len() * SEARCH_PACE.trees) as f64 * cells(SEARCH_ROWS);
    // The fit that finds their number, two for calibration, one on all.
    let model = MODEL_PACE.trees as f64 * (2.0 * cells(MAX_ROWS) + 2.0 * cells(200_000));
    2.5e-9 * (search + model)
}

/// Searches the shape and learns the trees.
///
/// # Errors
/// [`crate::error::Error::Model`] when no tree could be grown or the trees do not rank the calibration slice.
pub(in crate::risk) fn learn(task: &Task<'_>) -> Result<Learnt> {
    let folds: Vec<Fold> = STRETCHES.iter().filter_map(|&cuts| fold(task, cuts)).collect();
    let fits = GRID.len() * folds.len() + 1;
    let tried = search(task, &folds, fits);
    let mut shape = 0;
    for (at, loss) in tried.iter().enumerate().filter_map(|(at, tried)| Some((at, tried.log_loss?))) {
        if tried[shape].log_loss.is_none_or(|best| loss < best) {
            shape = at;
        }
    }
    let (train, settings) = (&task.parts.train, task.settings);
    let fitted = thin(train, &task.truth(train), settings.max_rows, settings.seed);
    let fold = Fold { watched: every_nth(&task.parts.calibrate, settings.max_rows), fitted };
    let growth = MODEL_PACE.growth(GRID[shape]);
    let refuse = |error: &dyn std::error::Error| task.refusal(&error.to_string());
    (task.tick)(&format!("trees on {} rows, fit {fits} of {fits}", fold.fitted.rows.len()));
    let grown = grow(task, &fold, growth, MODEL_PACE.patience).map_err(|error| refuse(&error))?;
    let trees = grown.forest.trees().len();
    if grown.forest.trees().iter().all(|tree| tree.feature.is_empty()) {
        return Err(task.refusal("no feature tells the outcomes of the training slice apart"));
    }
    let forest = grown.forest.shifted(fold.fitted.log_odds_shift).map_err(|error| refuse(&error))?;
    let averages = averages(task, train);
    let (model, _) = task.calibrated(Learner::Boosted { averages, forest })?.map_err(|error| refuse(&error))?;
    let growth = Growth { trees, ..growth };
    let settings = chosen(&growth);
    Ok(Learnt { model, settings, chosen: Chosen::Growth(growth), tried, fitted_rows: fold.fitted.rows.len() })
}

/// Tries every shape; no loss is given where no fold has enough outcomes or a fit failed.
fn search(task: &Task<'_>, folds: &[Fold], fits: usize) -> Vec<Tried> {
    let log_loss = |shape: usize, growth: Growth| -> Option<f64> {
        let losses = folds.iter().enumerate().map(|(at, fold)| {
            (task.tick)(&format!("search of the shape of trees, fit {} of {fits}", shape * folds.len() + at + 1));
            grow(task, fold, growth, SEARCH_PACE.patience).ok()?.log_loss
        });
        let losses = losses.collect::<Option<Vec<f64>>>()?;
        (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64)
    };
    let tried = GRID.iter().enumerate().map(|(at, &shape)| {
        let growth = SEARCH_PACE.growth(shape);
        Tried { settings: chosen(&growth), log_loss: log_loss(at, growth) }
    });
    tried.collect()
}

/// One fold of the training slice, thinned; `None` when it has too few outcomes to tell shapes apart.
fn fold(task: &Task<'_>, cuts: (f64, f64)) -> Option<Fold> {
    let Stretch { fitted, watched } = task.stretch(cuts)?;
    let fitted = thin(&fitted, &task.truth(&fitted), SEARCH_ROWS.min(task.settings.max_rows), task.settings.seed);
    Some(Fold { fitted, watched: every_nth(&watched, SEARCH_ROWS) })
}

/// Grows as chosen on other rows, at most `max_rows` of them.
///
/// # Errors
/// What growing refuses.
pub(in crate::risk) fn refit(
    task: &Task<'_>,
    rows: &[usize],
    growth: Growth,
    max_rows: usize,
) -> std::result::Result<Learner, BoostError> {
    let sample = thin(rows, &task.truth(rows), max_rows, task.settings.seed);
    let family = BoostedFamily { growth, watch: None, seed: task.settings.seed };
    let records = Rows { matrix: task.matrix, rows: &sample.rows };
    let grown = family.fit(&DatasetBase::new(records, Array1::from(task.truth(&sample.rows))))?;
    let averages = averages(task, rows);
    Ok(Learner::Boosted { averages, forest: grown.forest.shifted(sample.log_odds_shift)? })
}

fn averages(task: &Task<'_>, rows: &[usize]) -> Vec<f64> {
    task.matrix.columns.iter().map(|column| average(rows.iter().map(|&row| column[row]))).collect()
}

fn grow(
    task: &Task<'_>,
    Fold { fitted, watched }: &Fold,
    growth: Growth,
    patience: usize,
) -> std::result::Result<Grown, BoostError> {
    let outcomes = task.truth(watched);
    let watch = Watch {
        rows: Rows { matrix: task.matrix, rows: watched },
        labels: &outcomes,
        // What thinning did to the odds is done to the watched rows too, by weight.
        negative_weight: fitted.log_odds_shift.exp(),
        patience,
    };
    let family = BoostedFamily { growth, watch: Some(watch), seed: task.settings.seed };
    let rows = Rows { matrix: task.matrix, rows: &fitted.rows };
    family.fit(&DatasetBase::new(rows, Array1::from(task.truth(&fitted.rows))))
}

/// Mean of the values that are there, 0 for none.
fn average(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.filter(|x| x.is_finite()).fold((0.0, 0_u32), |(sum, count), x| (sum + x, count + 1));
    if count == 0 { 0.0 } else { sum / f64::from(count) }
}

fn chosen(growth: &Growth) -> Settings {
    let Growth { depth, learning_rate, least_leaf_weight, l2, feature_share, trees } = *growth;
    // Through text, so that 0.1 stays 0.1.
    let short = |x: f32| x.to_string().parse().unwrap_or_else(|_| f64::from(x));
    let named = [
        ("depth", depth as f64),
        ("learning_rate", short(learning_rate)),
        ("least_leaf_weight", short(least_leaf_weight)),
        ("l2", short(l2)),
        ("feature_share", feature_share),
        ("trees", trees as f64),
    ];
    named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::features::matrix::Matrix;
    use crate::risk::split::{SplitSettings, split};
    use crate::risk::train::{TrainSettings, Trained, train};
    use crate::risk::{Family, Label, Target, sigmoid};
    use crate::types::time::DAY;

    /// Orders over 200 days: positive where a and b are of one sign, more so where c is missing; noise says nothing.
    fn history(rows: usize) -> (Matrix, Vec<i64>, Vec<Label>, Vec<i64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(17);
        let mut matrix = Matrix::default();
        let mut draw = |missing: f64| -> Vec<f64> {
            let mut one = || if rng.random::<f64>() < missing { f64::NAN } else { rng.random::<f64>() * 2.0 - 1.0 };
            (0..rows).map(|_| one()).collect()
        };
        let (a, b, c, noise) = (draw(0.0), draw(0.0), draw(0.3), draw(0.0));
        let odds = |row: usize| {
            let together: f64 = if a[row] * b[row] > 0.0 { 2.5 } else { 0.0 };
            together - 3.5 + if c[row].is_nan() { 1.0 } else { 0.0 }
        };
        let labels = (0..rows).map(|row| (row % 13 != 0).then(|| rng.random::<f64>() < sigmoid(odds(row)))).collect();
        let placed: Vec<i64> = (0..rows).map(|row| row as i64 * (200 * DAY / rows as i64)).collect();
        let known = placed.iter().map(|time| time + 5 * DAY).collect();
        for (name, column) in [("a", a), ("b", b), ("c", c), ("noise", noise)] {
            matrix.push(name, column);
        }
        (matrix, placed, labels, known)
    }

    fn trained(family: Family, rows: usize, max_rows: usize) -> Trained {
        let (matrix, placed, labels, known) = history(rows);
        let mut settings = TrainSettings::new(family, 3, 206 * DAY);
        settings.max_rows = max_rows;
        train(Target::Fraud, &matrix, &placed, &labels, &known, &settings).unwrap()
    }

    #[test]
    fn what_matters_only_together_is_found_calibrated_and_explained() {
        let boosted = trained(Family::Boosted, 12_000, 1_000_000);
        let metrics = &boosted.evaluation.metrics;
        let linear = trained(Family::Logistic, 12_000, 1_000_000).evaluation.metrics.roc_auc.value.unwrap();
        let auc = metrics.roc_auc.value.unwrap();
        assert!(auc > 0.74 && linear < 0.65, "{auc} {linear}");
        assert!(metrics.ece_mass_10 < 0.03, "{metrics:?}");
        assert_eq!(boosted.evaluation.warnings, Vec::<String>::new());
        let tried = &boosted.evaluation.tried;
        assert!(tried.len() == GRID.len() && tried.iter().all(|tried| tried.log_loss.is_some()), "{tried:?}");
        let at = |row: [f64; 4]| boosted.model.contributions(&row);
        let (same, other) = (at([0.8, 0.8, 0.0, 0.0]), at([0.8, -0.8, 0.0, 0.0]));
        assert!(same[0].contribution > 0.3 && same[1].contribution > 0.3 && other[1].contribution < -0.1);
        // What is missing adds 1.0 to the odds that the labels were drawn by. Before calibration and over all rows with a
        // value: a curve is level in places and steep in others, so that there one row's difference may be anything. With
        // 800 positives the difference has a standard error of 0.09; penalties make it smaller.
        let (mut matrix, ..) = history(2_000);
        let there: Vec<usize> = (0..2_000).filter(|&row| !matrix.value(row, 2).is_nan()).collect();
        let raw = |matrix: &Matrix| boosted.model.raw_scores(&matrix.take(&there)).unwrap().iter().sum::<f64>();
        let with = raw(&matrix);
        matrix.columns[2].fill(f64::NAN);
        let missing = (raw(&matrix) - with) / there.len() as f64;
        assert!((0.7..1.3).contains(&missing), "{missing}");
        let (matrix, ..) = history(300);
        for (row, probability) in boosted.model.probabilities(&matrix).unwrap().into_iter().enumerate() {
            let contributions: f64 = boosted.model.contributions(&matrix.row(row)).iter().map(|c| c.contribution).sum();
            let log_odds = (probability / (1.0 - probability)).ln();
            assert!((boosted.model.base_log_odds() + contributions - log_odds).abs() < 1e-9);
        }
    }

    #[test]
    fn thinning_negatives_leaves_probabilities_where_they_were_and_the_number_of_trees_sane() {
        let (matrix, ..) = history(12_000);
        // Before calibration, so that calibration cannot have mended it.
        let mean = |trained: &Trained| {
            let raw = trained.model.raw_scores(&matrix).unwrap();
            raw.iter().map(|&raw| sigmoid(raw)).sum::<f64>() / raw.len() as f64
        };
        let (whole, thinned) = (trained(Family::Boosted, 12_000, 1_000_000), trained(Family::Boosted, 12_000, 3_000));
        assert!(thinned.evaluation.fitted_rows <= 3_000 && whole.evaluation.fitted_rows > 6_000);
        assert!((mean(&whole) / mean(&thinned) - 1.0).abs() < 0.1, "{} {}", mean(&whole), mean(&thinned));
        assert!(thinned.evaluation.settings["trees"] > 20.0, "{:?}", thinned.evaluation.settings);
    }

    #[test]
    fn labels_after_the_clock_teach_nothing_and_threads_do_not_show() {
        let (matrix, placed, labels, known) = history(6_000);
        let settings = TrainSettings::new(Family::Boosted, 3, 120 * DAY);
        let late = known.iter().map(|known| *known > 120 * DAY);
        let changed: Vec<Label> =
            labels.iter().zip(late).map(|(label, late)| if late { Some(true) } else { *label }).collect();
        let train = |labels: &[Label], threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| train(Target::Fraud, &matrix, &placed, labels, &known, &settings)).unwrap()
        };
        assert_eq!(train(&labels, 1), train(&changed, 3));
    }

    #[test]
    fn folds_roll_forward_and_no_label_of_the_fitted_part_was_known_later_than_the_watched_part_begins() {
        let (matrix, placed, labels, known) = history(6_000);
        let settings = TrainSettings::new(Family::Boosted, 3, 206 * DAY);
        let split_settings =
            SplitSettings { as_of: settings.as_of, shares: settings.shares, gap: 0, refuse_short_gap: false };
        let parts = split(Target::Fraud, &placed, &labels, &known, &split_settings).unwrap();
        let task = Task::new(Target::Fraud, &matrix, (&placed, &labels, &known), &parts, &settings, &|_| ());
        let folds = STRETCHES.map(|cuts| fold(&task, cuts).unwrap());
        for Fold { fitted, watched } in &folds {
            let begins = placed[watched[0]];
            assert!(fitted.rows.iter().all(|&row| known[row] <= begins && placed[row] < begins));
        }
        assert!(folds[1].fitted.rows.len() > folds[0].fitted.rows.len());
        assert_eq!(folds[1].watched.last(), parts.train.last());
        assert!(folds[0].watched.last() < folds[1].watched.first());
    }
}
