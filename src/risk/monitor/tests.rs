//! Alarms are raised by what drifted and by nothing else.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::risk::split::Split;
use crate::types::time::DAY;

const THRESHOLDS: Thresholds = Thresholds {
    psi_watch: 0.1,
    psi_alert: 0.25,
    missing_change: 0.05,
    calibration_watch: 1.25,
    calibration_alert: 1.5,
    min_precision: None,
    max_flag_share: None,
    chance: 0.01,
};

/// Orders of `weeks` weeks, `a_week` each: an amount, a flag that a tenth has, a number that a fifth lacks, and a rate that all
/// orders of a week share and that is never the same again.
fn orders(weeks: usize, a_week: usize, rng: &mut ChaCha8Rng) -> (Matrix, Vec<i64>) {
    let (mut matrix, rows) = (Matrix::default(), weeks * a_week);
    let placed: Vec<i64> = (0..rows).map(|row| row as i64 * 7 * DAY / a_week as i64).collect();
    matrix.push("amount", (0..rows).map(|_| (3.0 * rng.random::<f64>()).exp()).collect());
    matrix.push("flag", (0..rows).map(|_| f64::from(u8::from(rng.random_bool(0.1)))).collect());
    let number = |rng: &mut ChaCha8Rng| if rng.random_bool(0.2) { f64::NAN } else { rng.random() };
    matrix.push("number", (0..rows).map(|_| number(rng)).collect());
    let rates: Vec<f64> = (0..weeks).map(|_| rng.random()).collect();
    matrix.push("shared", (0..rows).map(|row| rates[row / a_week]).collect());
    (matrix, placed)
}

/// A shop of 20 weeks: learnt from the first 12, tested on the next four, watched on the last four.
struct Shop {
    matrix: Matrix,
    reference: Reference,
    rows: Vec<usize>,
    judged: Vec<Judged>,
    periods: Vec<Period>,
}

impl Shop {
    fn new(a_week: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (matrix, placed) = orders(20, a_week, &mut rng);
        let probabilities: Vec<f64> = (0..matrix.rows()).map(|_| 0.4 * rng.random::<f64>().powi(2)).collect();
        let slice = |weeks: std::ops::Range<usize>| (weeks.start * a_week..weeks.end * a_week).collect::<Vec<_>>();
        let parts =
            Split { train: slice(0..9), calibrate: slice(9..12), test: slice(12..16), report: Default::default() };
        let reference = Reference::of(&matrix, &placed, &parts, &probabilities[12 * a_week..16 * a_week]);
        let rows = slice(16..20);
        let judged = rows.iter().map(|&row| Judged {
            probability: probabilities[row],
            flagged: Some(probabilities[row] > 0.3),
            acted: None,
            control: false,
            label: Some(rng.random_bool(probabilities[row])),
            decided: None,
        });
        let judged = judged.collect();
        let week = |at: usize| Period { places: (at * a_week..(at + 1) * a_week).collect(), judged: true };
        Self { matrix, reference, rows, judged, periods: (0..4).map(week).collect() }
    }

    fn findings(&self, thresholds: &Thresholds) -> Vec<Finding> {
        let Self { matrix, reference, rows, judged, periods } = self;
        watch(&Watched { matrix, rows, judged, periods }, Some(reference), thresholds)
    }

    /// Alarms as week, what, gravity.
    fn alarms(&self, thresholds: &Thresholds) -> Vec<(usize, String, Level)> {
        let name = |finding: &Finding| finding.feature.map_or("score".to_owned(), |at| self.matrix.names[at].clone());
        let of = |finding: Finding| -> Vec<_> {
            finding.alerts.iter().map(|alert| (finding.period, name(&finding), alert.level)).collect()
        };
        self.findings(thresholds).into_iter().flat_map(of).collect()
    }

    /// Changes a column from the third watched week on.
    fn change(&mut self, name: &str, with: impl Fn(f64, usize) -> f64) {
        let column = self.matrix.names.iter().position(|found| found == name).unwrap();
        for &row in &self.rows[self.rows.len() / 2..] {
            let value = &mut self.matrix.columns[column][row];
            *value = with(*value, row);
        }
    }
}

#[test]
fn without_drift_there_is_no_alarm_in_weeks_of_twenty_orders_or_of_a_thousand() {
    for (a_week, seeds) in [(20, 150), (100, 150), (1_000, 30)] {
        let alarms: Vec<_> = (0..seeds).flat_map(|seed| Shop::new(a_week, seed).alarms(&THRESHOLDS)).collect();
        // One shop in a hundred may have one by the setting.
        assert!(alarms.len() <= 4, "{} of {seeds} shops with {a_week} orders a week: {alarms:?}", alarms.len());
    }
}

#[test]
fn what_drifted_is_named_from_the_week_on_in_which_it_did_and_nothing_else() {
    let after = |what: &str, level| vec![(2, what.to_owned(), level), (3, what.to_owned(), level)];
    let mut shop = Shop::new(400, 1);
    shop.change("amount", |amount, _| 3.0 * amount);
    assert_eq!(shop.alarms(&THRESHOLDS), after("amount", Level::Alert));

    let mut shop = Shop::new(400, 2);
    shop.change("flag", |flag, row| if row % 7 == 0 { 1.0 } else { flag });
    assert_eq!(shop.alarms(&THRESHOLDS), after("flag", Level::Watch));

    // A value that was never there before.
    let mut shop = Shop::new(400, 3);
    shop.change("flag", |flag, row| if row % 3 == 0 { 2.0 } else { flag });
    assert_eq!(shop.alarms(&THRESHOLDS), after("flag", Level::Alert));

    // A fifth is missing anyway; now half of them are.
    let mut shop = Shop::new(400, 4);
    shop.change("number", |number, row| if row % 2 == 0 { f64::NAN } else { number });
    let told = shop.alarms(&THRESHOLDS);
    assert!(told.contains(&(2, "number".to_owned(), Level::Alert)) && told.iter().all(|t| t.1 == "number"), "{told:?}");
    let texts: Vec<String> = shop.findings(&THRESHOLDS).iter().flat_map(|f| f.alerts.clone()).map(|a| a.text).collect();
    assert!(texts.iter().any(|text| text.starts_with("missing in 6")), "{texts:?}");
}

#[test]
fn scores_and_outcomes_that_part_from_training_are_named() {
    let mut shop = Shop::new(600, 5);
    for judged in &mut shop.judged[1_200..] {
        judged.probability = (2.0 * judged.probability).min(1.0);
    }
    let found = shop.findings(&THRESHOLDS);
    let score = |week: usize| found.iter().find(|f| f.period == week && f.feature.is_none()).unwrap();
    assert_eq!((score(0).alerts.len(), score(1).alerts.len()), (0, 0));
    let texts: Vec<&str> = score(3).alerts.iter().map(|alert| alert.text.as_str()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(
        texts.iter().any(|t| t.starts_with("PSI")) && texts.iter().any(|t| t.contains(" came about (")),
        "{texts:?}"
    );
    assert!(score(3).alerts.iter().all(|alert| alert.of_outcomes == alert.text.contains("came about")));

    // Thresholds of one's own: a third of flagged orders is right, a sixth of all is flagged.
    let shop = Shop::new(600, 6);
    assert_eq!(shop.alarms(&THRESHOLDS), []);
    let strict = Thresholds { min_precision: Some(0.7), max_flag_share: Some(0.05), ..THRESHOLDS };
    let alarms = shop.alarms(&strict);
    assert_eq!(alarms.len(), 8, "{alarms:?}");
    let lax = Thresholds { min_precision: Some(0.3), max_flag_share: Some(0.2), ..THRESHOLDS };
    assert_eq!(shop.alarms(&lax), []);
}

#[test]
fn a_part_of_a_week_and_a_model_without_reference_raise_no_alarm_and_still_have_what_can_be_said() {
    let mut shop = Shop::new(400, 7);
    shop.change("amount", |amount, _| 3.0 * amount);
    for period in &mut shop.periods {
        period.judged = false;
    }
    let found = shop.findings(&THRESHOLDS);
    assert!(found.iter().all(|finding| finding.alerts.is_empty()));
    let amount = found.iter().find(|f| f.period == 3 && f.feature == Some(0)).unwrap();
    assert!(amount.learnt.unwrap().psi > 0.5 && amount.tested.unwrap().psi > 0.5, "{amount:?}");

    let Shop { matrix, rows, judged, periods, .. } = &shop;
    let without = watch(&Watched { matrix, rows, judged, periods }, None, &THRESHOLDS);
    assert_eq!(without.len(), found.len());
    for (a, b) in found.iter().zip(&without) {
        assert_eq!((a.rows, a.missing, a.performance), (b.rows, b.missing, b.performance));
        assert_eq!((b.learnt, b.tested, b.missing_learnt), (None, None, None));
    }
}

#[test]
fn what_the_model_did_not_learn_from_is_not_held_against_it() {
    let mut shop = Shop::new(400, 8);
    let kept_from_it = shop.reference.features.iter_mut().find(|binned| binned.name == "amount").unwrap();
    *kept_from_it =
        Binned { name: "amount".to_owned(), learnt: vec![0, 4_800], tested: vec![0, 1_600], ..Binned::default() };
    assert_eq!(shop.alarms(&THRESHOLDS), []);
}

#[test]
fn a_reference_comes_back_to_the_bit_and_a_damaged_or_newer_one_is_refused_in_words() {
    let reference = Shop::new(50, 9).reference;
    let bytes = serde_json::to_vec(&reference).unwrap();
    assert_eq!(Reference::read(&bytes).unwrap(), reference);
    let text = String::from_utf8(bytes).unwrap();
    let refused = |from: &str, to: &str| Reference::read(text.replacen(from, to, 1).as_bytes()).unwrap_err();
    assert!(refused("\"format\":1", "\"format\":2").contains("format 2"));
    assert!(refused("\"learnt\":[", "\"learnt\":[0,").contains("damaged"));
    assert!(refused("{", "[").contains("cannot be read"));
}
