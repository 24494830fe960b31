//! The model card: what a version is for, how good it is and where it fails, for people who decide on its use.

use super::manifest::{LearnedFrom, Manifest};
use crate::risk::bootstrap::Estimate;
use crate::risk::evaluate::{Evaluation, Settings, Slice};
use crate::risk::{Family, Target};
use crate::types::time::{DAY, format_instant};

/// The card in Markdown. It holds nothing that the manifest and the metrics do not.
pub fn card(manifest: &Manifest, evaluation: &Evaluation) -> String {
    written(manifest, evaluation, None)
}

/// The card of a version that a stream made of another by going on learning; `frozen` is what that one was worth on the same
/// examples.
pub fn card_of_learned(manifest: &Manifest, evaluation: &Evaluation, frozen: Option<&Evaluation>) -> String {
    written(manifest, evaluation, frozen)
}

/// What was learnt after the training, and what the version before it was worth on that.
fn learned(manifest: &Manifest, evaluation: &Evaluation, frozen: Option<&Evaluation>) -> String {
    let Some(learned) = &manifest.learned else { return String::new() };
    let LearnedFrom { from, examples, positives, until, ripe_after, .. } = learned;
    let after = ripe_after.as_ref().map_or_else(String::new, |after| format!(", those ripe after {after}"));
    let mut text = format!(
        "## What it learnt since\nIt is {from} after {examples} more labels, {positives} of them positive, that ripened in a \
         stream until {until}{after}: each once, in the order in which they ripened, with the features the order was scored \
         with. All else said of the training here is that of the version it came from; preparation and calibration are as \
         they were then.\n\n"
    );
    let Some(Evaluation { metrics: frozen, .. }) = frozen else { return text };
    text += &format!(
        "On the latest {} of them, each as both would have scored it when its order was placed:\n\n\
         | measure | {from} as it was | learning |\n|---|---:|---:|\n",
        evaluation.test.rows
    );
    let metrics = &evaluation.metrics;
    for (name, before, now) in [
        ("average precision", frozen.average_precision, metrics.average_precision),
        ("ROC AUC", frozen.roc_auc, metrics.roc_auc),
        ("Brier score", frozen.brier, metrics.brier),
        ("log loss", frozen.log_loss, metrics.log_loss),
    ] {
        text += &format!("| {name} | {} | {} |\n", number(before.value), number(now.value));
    }
    text + "\n"
}

fn written(manifest: &Manifest, evaluation: &Evaluation, frozen: Option<&Evaluation>) -> String {
    let metrics = &evaluation.metrics;
    let test = &evaluation.test;
    let unit = format!("{}s", manifest.unit);
    let mut text = format!(
        "# Model card: `{}`, {}\n\n## What it is for\n{}\n\n",
        manifest.target,
        manifest.family,
        purpose(manifest.target)
    );
    text += &format!(
        "## What it learnt from\nPipeline `{}`, as of {}. Label: {}.\n\n",
        manifest.pipeline, manifest.created_as_of, manifest.label_rule
    );
    text += &format!("| slice | placed from | to | {unit} | positive | rate |\n|---|---|---|---:|---:|---:|\n");
    for (name, slice) in [("train", &evaluation.train), ("calibrate", &evaluation.calibrate), ("test", test)] {
        text += &slice_row(name, slice);
    }
    let split = &evaluation.split;
    text += &format!(
        "\n{:.1} days before each cut and labels that came too late for their slice were left out ({} {unit}). The fit \
         used {} rows and {} features. Chosen {}: {}. Scores became probabilities by {}, learnt from scores of {unit} later \
         than those a model was fitted on: of the calibration slice and of stretches of the training slice. Then the model \
         was fitted once more on both.\n\n",
        split.gap_micros as f64 / DAY as f64,
        split.set_aside,
        evaluation.fitted_rows,
        manifest.features.len(),
        chosen_how(manifest),
        words(&evaluation.settings),
        if evaluation.calibration.method == "isotonic" { "an isotonic curve" } else { "Platt scaling" }
    );
    text += &learned(manifest, evaluation, frozen);
    let tested_on = match frozen {
        None => "the test slice, which is later than all it learnt from",
        Some(_) => "the test slice: what it learnt in the stream, each as it would have been scored when it was placed",
    };
    text += &format!("## How good it is\nOn {tested_on}; intervals are 95 % (bootstrap over {unit}).\n\n");
    text += "| measure | value | interval | without knowledge |\n|---|---:|---|---:|\n";
    let base = format!("{:.4}", test.base_rate);
    let rows = [
        ("average precision".to_owned(), Some(metrics.average_precision), base.clone()),
        ("ROC AUC".to_owned(), Some(metrics.roc_auc), "0.5".to_owned()),
        ("recall at 1 % false positives".to_owned(), Some(metrics.recall_at_1pct_fpr), "0.01".to_owned()),
        (format!("precision among the top {}", metrics.k), Some(metrics.precision_at_k), base),
        (
            format!("share of value found in the top {}", metrics.k),
            metrics.value_recall_at_k,
            share(metrics.k, test.rows),
        ),
        ("Brier score".to_owned(), Some(metrics.brier), format!("{:.4}", test.base_rate * (1.0 - test.base_rate))),
        ("log loss".to_owned(), Some(metrics.log_loss), format!("{:.4}", metrics.log_loss_of_base_rate)),
    ];
    for (name, estimate, without) in rows {
        if let Some(estimate) = estimate {
            text += &format!("| {name} | {} | {} | {without} |\n", number(estimate.value), interval(estimate));
        }
    }
    text += &format!(
        "\nCalibration error {:.4} (10 bins of equal mass). Predicted against observed:\n\n\
         | {unit} | predicted | observed |\n|---:|---:|---:|\n",
        metrics.ece_mass_10
    );
    for bin in &metrics.reliability {
        text += &format!("| {} | {:.4} | {:.4} |\n", bin.rows, bin.predicted, bin.observed);
    }
    text += &segments(evaluation);
    text += "\n## Where it fails\n";
    for warning in &evaluation.warnings {
        text += &format!("- Of this training: {warning}.\n");
    }
    for limit in limits(manifest.target).iter().chain([&limit_of_family(manifest)]) {
        text += &format!("- {limit}\n");
    }
    text += "\n## Features\n";
    for feature in &manifest.features {
        text += &format!("- `{feature}`\n");
    }
    text
}

/// Probabilities within segments; empty where the pipeline has none, or none is large enough.
fn segments(evaluation: &Evaluation) -> String {
    if evaluation.by_segment.is_empty() {
        return String::new();
    }
    let mut text = "\nWithin segments; the intervals of all of them hold together in 95 %, and a segment too small to tell is \
                    not here:\n\n| segment | orders | predicted | observed | interval | |\n|---|---:|---:|---:|---|---|\n"
        .to_owned();
    for one in &evaluation.by_segment {
        text += &format!(
            "| {} {} | {} | {:.4} | {:.4} | {:.4} – {:.4} | {} |\n",
            one.segment,
            one.segment_value,
            one.rows,
            one.predicted,
            one.observed,
            one.lower,
            one.upper,
            if one.is_off { "off" } else { "" }
        );
    }
    text
}

fn purpose(target: Target) -> &'static str {
    match target {
        Target::Fraud => {
            "The probability that an order turns out fraudulent, from what was known before it was placed. It ranks \
             orders for review and feeds expected losses; it is not evidence against a customer and should not refuse \
             an order alone."
        }
        Target::Return => {
            "The probability that an order (or line) is returned within its window, from what was known before it was \
             placed. It is meant for planning and for mending causes (size advice, packing), not for punishing."
        }
    }
}

fn limits(target: Target) -> &'static [&'static str] {
    match target {
        Target::Fraud => &[
            "New patterns: it knows what was labelled up to its last training day, and rings change faster than \
             chargebacks come in.",
            "Orders that were blocked have no outcome: where rules block much, it sees little of what they block.",
            "Fraud that nobody reports counts as good.",
            "Reviewed orders are not a sample: rules and the model chose what the desk saw. Labels by decision are dense \
             where the score was high and absent where it was low, and a reviewer who saw the score tends to agree with \
             it. An order that was stopped and never decided on is no label. Only the control share \
             (`order_scores.control`), which passes untouched, shows the precision without this choice.",
            "Customers, cards and devices without history get scores near the base rate unless the order is odd.",
        ],
        Target::Return => &[
            "New articles and new customers get scores near the base rate.",
            "A change of the return terms or of the sizes makes its probabilities wrong until it is trained again.",
        ],
    }
}

fn limit_of_family(manifest: &Manifest) -> &'static str {
    if [Family::Boosted, Family::Blend].map(Family::name).contains(&manifest.family.as_str()) {
        "It tells values apart as far as the training had them: beyond the outermost, all count the same."
    } else {
        "It is linear: facts that matter only together are found only where a feature joins them."
    }
}

fn chosen_how(manifest: &Manifest) -> &'static str {
    if manifest.family == Family::Blend.name() {
        "for the trees by folds in time inside the training slice, the penalty of the linear part and the number of trees on \
         the calibration slice"
    } else if manifest.family == Family::Boosted.name() {
        "by folds in time inside the training slice, and the number of trees on the calibration slice"
    } else if manifest.family == Family::Ftrl.name() {
        "by folds in time inside the training slice"
    } else {
        "on the calibration slice"
    }
}

/// `penalty 10`, `depth 6, trees 120`.
fn words(settings: &Settings) -> String {
    let words: Vec<String> =
        settings.iter().map(|(name, value)| format!("{} {value}", name.replace('_', " "))).collect();
    words.join(", ")
}

fn slice_row(name: &str, slice: &Slice) -> String {
    format!(
        "| {name} | {} | {} | {} | {} | {:.4} |\n",
        format_instant(slice.from),
        format_instant(slice.to),
        slice.rows,
        slice.positives,
        slice.base_rate
    )
}

fn share(part: usize, whole: usize) -> String {
    if whole == 0 { "–".to_owned() } else { format!("{:.4}", part as f64 / whole as f64) }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"))
}

fn interval(estimate: Estimate) -> String {
    format!("{} – {}", number(estimate.lower), number(estimate.upper))
}
