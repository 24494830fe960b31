//! Tests of the registry on folders of their own.

use std::fs;

use super::*;
use crate::features::matrix::Matrix;
use crate::risk::Family;
use crate::risk::calibrate::{Calibration, Platt};
use crate::risk::isotonic::Isotonic;
use crate::risk::train::{TrainSettings, train};
use crate::types::time::DAY;

fn trained(target: Target, seed: u64) -> (Trained, Provenance) {
    trained_by(Family::Logistic, target, seed)
}

fn trained_by(family: Family, target: Target, seed: u64) -> (Trained, Provenance) {
    let rows = 1_200_i64;
    let mut matrix = Matrix::default();
    matrix.push("amount", (0..rows).map(|row| ((row * 37) % 101) as f64).collect());
    matrix.push("customer_order_count_30d", (0..rows).map(|row| ((row * 17) % 13) as f64).collect());
    let placed: Vec<i64> = (0..rows).map(|row| row * DAY / 12).collect();
    let labels: Vec<Option<bool>> =
        (0..rows).map(|row| Some((row * 37) % 101 > 80 && row % 3 != 0 || row % 17 == 0)).collect();
    let as_of = 120 * DAY;
    let trained = train(target, &matrix, &placed, &labels, &placed, &TrainSettings::new(family, seed, as_of)).unwrap();
    let provenance = Provenance {
        pipeline: "demo".to_owned(),
        unit: "order".to_owned(),
        label_rule: "a chargeback within 90 days".to_owned(),
        seed,
        as_of,
        data_hashes: [("orders".to_owned(), "00ff".to_owned())].into(),
    };
    (trained, provenance)
}

fn refused<T: std::fmt::Debug>(result: Result<T>, part: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
    assert!(error.to_string().contains(part), "{error}");
    assert!(error.hint().unwrap().contains("ordersight train"), "{:?}", error.hint());
}

#[test]
fn a_registered_model_comes_back_to_the_bit_with_its_record_and_card() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::open(dir.path().join("models"));
    assert_eq!((registry.champion(Target::Fraud).unwrap(), registry.list().unwrap()), (None, vec![]));
    let (trained, provenance) = trained(Target::Fraud, 7);
    let version = registry.register(&trained, &provenance, true).unwrap();
    let champion = registry.champion(Target::Fraud).unwrap().unwrap();
    assert_eq!((champion.version.as_str(), &champion.model), (version.as_str(), &trained.model));
    assert_eq!((champion.manifest.created_as_of.as_str(), champion.manifest.seed), ("1970-05-01T00:00:00Z", 7));
    assert_eq!(registry.champion(Target::Return).unwrap(), None);
    let metrics = fs::read(dir.path().join("models/fraud").join(&version).join("metrics.json")).unwrap();
    let back: crate::risk::evaluate::Evaluation = serde_json::from_slice(&metrics).unwrap();
    assert_eq!(back, trained.evaluation);
    let card = registry.card(Target::Fraud, &version).unwrap();
    for part in ["average precision", "a chargeback within 90 days", "## Where it fails", "`customer_order_count_30d`"]
    {
        assert!(card.contains(part), "{part} is not in\n{card}");
    }
}

#[test]
fn the_same_training_gives_the_same_bytes_and_the_same_version() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (registry, other) = (Registry::open(one.path()), Registry::open(two.path()));
    let (trained_once, provenance) = trained(Target::Fraud, 7);
    let version = registry.register(&trained_once, &provenance, false).unwrap();
    assert!(version.starts_with("v0001-"), "{version}");
    let again = trained(Target::Fraud, 7).0;
    assert_eq!(registry.register(&again, &provenance, false).unwrap(), version);
    assert_eq!(other.register(&again, &provenance, false).unwrap(), version);
    for file in [MODEL, MANIFEST, METRICS, CARD] {
        let read = |dir: &Path| fs::read(dir.join("fraud").join(&version).join(file)).unwrap();
        assert_eq!(read(one.path()), read(two.path()), "{file}");
    }
    assert_eq!(registry.list().unwrap().len(), 1);
}

#[test]
fn boosted_trees_come_back_to_the_bit_and_are_the_same_bytes_from_any_number_of_threads() {
    let train = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| trained_by(Family::Boosted, Target::Return, 7))
    };
    let versions = [1, 3].map(|threads| {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::open(dir.path());
        let (trained, provenance) = train(threads);
        let version = registry.register(&trained, &provenance, true).unwrap();
        let champion = registry.champion(Target::Return).unwrap().unwrap();
        assert_eq!((champion.manifest.family.as_str(), &champion.model), ("boosted", &trained.model));
        assert_eq!(champion.manifest.libraries["forust-ml"], manifest::FORUST_VERSION);
        let card = registry.card(Target::Return, &version).unwrap();
        assert!(card.contains("learning rate 0.05") && !card.contains("It is linear"), "{card}");
        let files = [MODEL, MANIFEST, METRICS, CARD];
        (version.clone(), files.map(|file| fs::read(dir.path().join("return").join(&version).join(file)).unwrap()))
    });
    assert!(versions[0] == versions[1]);
    let model = String::from_utf8(versions[0].1[0].clone()).unwrap();
    let broken: std::result::Result<Model, _> = serde_json::from_str(&model.replacen("\"left\":[", "\"left\":[0,", 1));
    assert!(broken.unwrap_err().to_string().contains("a tree is not whole"));
}

#[test]
fn a_model_that_goes_on_learning_comes_back_with_all_it_needs_for_that_and_the_same_bytes_from_any_number_of_threads() {
    let versions = [1, 3].map(|threads| {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::open(dir.path());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (trained, provenance) = pool.install(|| trained_by(Family::Ftrl, Target::Fraud, 7));
        let version = registry.register(&trained, &provenance, true).unwrap();
        let champion = registry.champion(Target::Fraud).unwrap().unwrap();
        assert_eq!((champion.manifest.family.as_str(), &champion.model), ("ftrl", &trained.model));
        // Programs that know no such family read up to format 1.
        assert_eq!(champion.manifest.format, 2);
        let card = registry.card(Target::Fraud, &version).unwrap();
        assert!(card.contains("alpha") && card.contains("It is linear"), "{card}");
        let files = [MODEL, MANIFEST, METRICS, CARD];
        files.map(|file| fs::read(dir.path().join("fraud").join(&version).join(file)).unwrap())
    });
    assert!(versions[0] == versions[1]);
    // A state that nothing could have learnt is refused, though it was registered so.
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::open(dir.path());
    let (mut trained, provenance) = trained_by(Family::Ftrl, Target::Fraud, 7);
    let text = serde_json::to_string(&trained.model).unwrap();
    trained.model = serde_json::from_str(&text.replacen("\"n\":[", "\"n\":[-", 1)).unwrap();
    let version = registry.register(&trained, &provenance, false).unwrap();
    refused(registry.load(Target::Fraud, &version), "its own parts do not agree");
}

#[test]
fn what_older_programs_can_read_is_written_as_they_know_it_and_what_they_cannot_as_a_newer_format() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::open(dir.path());
    let format = |trained: &Trained, provenance: &Provenance| {
        let version = registry.register(trained, provenance, false).unwrap();
        let loaded = registry.load(Target::Fraud, &version).unwrap();
        assert_eq!(loaded.model, trained.model);
        loaded.manifest.format
    };
    let (mut trained, provenance) = trained(Target::Fraud, 7);
    let line = Platt { slope: 0.8, offset: -0.1 };
    trained.model.calibration = Calibration::Platt(line);
    assert_eq!(format(&trained, &provenance), 1);
    let curve = Isotonic::fit(&[-1.0, 0.0, 1.0], &[false, true, true], line).unwrap();
    trained.model.calibration = Calibration::Isotonic(curve);
    assert_eq!(format(&trained, &provenance), 2);
    assert_eq!(manifest::FORMAT, 2);
}

#[test]
fn another_training_is_the_next_version_and_the_pointer_moves_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::open(dir.path());
    let (first_model, provenance) = trained(Target::Fraud, 7);
    let first = registry.register(&first_model, &provenance, true).unwrap();
    let (second_model, provenance) = trained(Target::Fraud, 8);
    let second = registry.register(&second_model, &provenance, false).unwrap();
    assert!(second.starts_with("v0002-"), "{second}");
    assert_eq!(registry.champion_version(Target::Fraud).unwrap(), Some(first.clone()));
    registry.promote(Target::Fraud, &second).unwrap();
    assert_eq!(registry.champion(Target::Fraud).unwrap().unwrap().version, second);
    let listed = |registry: &Registry| -> Vec<(String, bool, bool)> {
        registry.list().unwrap().into_iter().map(|l| (l.version, l.champion, l.retired)).collect()
    };
    assert_eq!(listed(&registry), [(first.clone(), false, false), (second.clone(), true, false)]);
    registry.retire(Target::Fraud, &second, true).unwrap();
    assert_eq!(registry.champion(Target::Fraud).unwrap(), None);
    assert_eq!(listed(&registry), [(first.clone(), false, false), (second.clone(), false, true)]);
    registry.promote(Target::Fraud, &second).unwrap();
    assert_eq!(listed(&registry), [(first, false, false), (second, true, false)]);
}

#[test]
fn what_is_missing_damaged_or_newer_is_refused_with_what_to_run() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::open(dir.path());
    let (trained, provenance) = trained(Target::Fraud, 7);
    let version = registry.register(&trained, &provenance, true).unwrap();
    let folder = dir.path().join("fraud").join(&version);
    refused(registry.load(Target::Fraud, "v0009-00000000"), "there is no model");
    refused(registry.load(Target::Fraud, "../../etc"), "there is no model");
    refused(registry.retire(Target::Return, &version, false), "there is no model");

    let model = fs::read_to_string(folder.join(MODEL)).unwrap();
    fs::write(folder.join(MODEL), model.replacen("0.", "1.", 1)).unwrap();
    refused(registry.champion(Target::Fraud), "not the file that was registered");
    refused(registry.promote(Target::Fraud, &version), "damaged");
    fs::remove_file(folder.join(MODEL)).unwrap();
    refused(registry.champion(Target::Fraud), "damaged");
    fs::write(folder.join(MODEL), &model).unwrap();
    assert!(registry.champion(Target::Fraud).is_ok());

    let manifest = fs::read_to_string(folder.join(MANIFEST)).unwrap();
    fs::write(folder.join(MANIFEST), manifest.replace("\"amount\"", "\"amuont\"")).unwrap();
    refused(registry.champion(Target::Fraud), "features");
    fs::write(folder.join(MANIFEST), r#"{"format": 3, "target": "fraud"}"#).unwrap();
    refused(registry.champion(Target::Fraud), "format 3, this program reads up to 2");
    assert_eq!(registry.list().unwrap()[0].manifest, None);
    fs::write(folder.join(MANIFEST), &manifest[..100]).unwrap();
    refused(registry.champion(Target::Fraud), "manifest.json");

    fs::write(dir.path().join("fraud/champion"), "../escape\n").unwrap();
    refused(registry.champion(Target::Fraud), "not a version name");
    fs::write(dir.path().join("fraud/champion"), "v0007-0123abcd\n").unwrap();
    refused(registry.champion(Target::Fraud), "there is no model");
}

#[test]
fn what_a_killed_registration_left_is_neither_listed_nor_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::open(dir.path());
    let (trained, provenance) = trained(Target::Return, 7);
    let version = registry.register(&trained, &provenance, false).unwrap();
    let folder = dir.path().join("return");
    // As if the process had died just before the rename.
    fs::rename(folder.join(&version), folder.join(format!(".{version}"))).unwrap();
    fs::remove_file(folder.join(format!(".{version}")).join(METRICS)).unwrap();
    assert_eq!(registry.list().unwrap(), vec![]);
    assert_eq!(registry.register(&trained, &provenance, true).unwrap(), version);
    assert!(registry.champion(Target::Return).unwrap().is_some());
    assert!(!folder.join(format!(".{version}")).exists());
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_made_is_a_matter_of_the_machine() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("models"), "a file").unwrap();
    let (trained, provenance) = trained(Target::Fraud, 7);
    let error = Registry::open(dir.path().join("models")).register(&trained, &provenance, true).unwrap_err();
    assert_eq!(error.exit_code(), 5, "{error}");
}
