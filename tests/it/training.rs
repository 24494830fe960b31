//! What a training gives depends on what was known at its clock and on nothing else.

use crate::harness::{finish, ordersight};
use crate::tiny::{PIPELINE, Tiny, every_file};
use std::collections::BTreeMap;

const AS_OF: &str = "2024-09-01T00:00:00Z";

/// Orders of March to October, each known to be fraud or not five days later; `late` says what became known of an order
/// only after the clock.
fn orders(late: impl Fn(usize) -> bool) -> String {
    let mut text = "order_id,placed_at,customer_id,amount,fraud,fraud_known_at\n".to_owned();
    let begin = chrono::DateTime::parse_from_rfc3339("2024-03-01T00:00:00Z").unwrap();
    let clock = chrono::DateTime::parse_from_rfc3339(AS_OF).unwrap();
    for at in 0..2_400_usize {
        let placed = begin + chrono::Duration::hours(2 * at as i64 + (at % 2) as i64);
        let known = placed + chrono::Duration::days(5);
        let amount = 10 * (1 + at * 37 % 101);
        let fraud = (amount > 800 && at % 3 != 0) || at % 17 == 0;
        let fraud = if known > clock { late(at) } else { fraud };
        let customer = at * 31 % 400;
        text += &format!("O{at},{},C{customer},{amount}.00,{fraud},{}\n", placed.to_rfc3339(), known.to_rfc3339());
    }
    text
}

/// The files of a model trained on so many threads, without the record of what the input files held.
fn trained(family: &str, late: impl Fn(usize) -> bool, threads: &str) -> BTreeMap<String, Vec<u8>> {
    let columns = "amount = \"amount\", fraud = \"fraud\", fraud_known_at = \"fraud_known_at\" }";
    let pipeline = PIPELINE.replace("amount = \"amount\" }", columns);
    let tiny = Tiny::new(&pipeline, &[("orders.csv", &orders(late))]);
    let args = ["train", "pipeline.toml", "--target", "fraud", "--family", family, "--as-of", AS_OF, "--quiet"];
    let mut command = ordersight(&args);
    command.args(["--out", "out", "--models", "models"]).env("RAYON_NUM_THREADS", threads);
    let done = finish(command.current_dir(tiny.path("")));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let mut files = every_file(&tiny.path("models"));
    assert_eq!(files.keys().filter(|name| name.ends_with("model.json")).count(), 1, "{:?}", files.keys());
    files.retain(|name, _| name.ends_with(".json") || name.ends_with(".md"));
    files
}

#[test]
fn two_trainings_give_the_same_bytes_and_what_is_known_after_the_clock_changes_none_of_the_model() {
    for family in ["logistic", "ftrl", "boosted", "blend"] {
        let first = trained(family, |_| false, "1");
        assert!(first == trained(family, |_| false, "3"), "{family}: two trainings differ");
        // The name of a version comes from all its files, and the manifest has the hashes of the inputs.
        let learnt = |files: BTreeMap<String, Vec<u8>>| -> Vec<(String, Vec<u8>)> {
            let files = files.into_iter().filter(|(name, _)| !name.ends_with("manifest.json"));
            files.map(|(name, bytes)| (name.rsplit('/').next().unwrap().to_owned(), bytes)).collect()
        };
        let later = learnt(trained(family, |at| at % 2 == 0, "2"));
        assert_eq!(later.len(), 4, "card, metrics, model and what the monitor goes by");
        assert!(learnt(first) == later, "{family}: labels of the future changed the model");
    }
}
