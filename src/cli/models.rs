//! `ordersight models`.

use super::args::{Cli, ModelsAction, ModelsArgs};
use super::{DONE, to_stderr, to_stdout};
use crate::error::Result;
use crate::pipeline::RegisteredLearning;
use crate::registry::Registry;
use crate::risk::Target;
use crate::risk::ftrl::copy::Tests;
use crate::types::time::format_instant;
use comfy_table::{Table, presets};

pub(super) fn run(cli: &Cli, args: &ModelsArgs) -> Result<u8> {
    let registry = Registry::open(&args.models);
    match &args.action {
        ModelsAction::List => {
            let listed = registry.list()?;
            if listed.is_empty() && !cli.quiet {
                to_stderr(&format!("no models in `{}`; `ordersight train` makes one\n", args.models.display()));
            }
            let mut table = Table::new();
            table
                .load_preset(presets::NOTHING)
                .set_header(["target", "version", "state", "pipeline", "as of", "features"]);
            for model in &listed {
                let state = if model.champion {
                    "champion"
                } else if model.challenger {
                    "challenger"
                } else if model.retired {
                    "retired"
                } else {
                    ""
                };
                let (pipeline, as_of, features) = model.manifest.as_ref().map_or_else(
                    || ("unreadable".to_owned(), String::new(), String::new()),
                    |m| (m.pipeline.clone(), m.created_as_of.clone(), m.features.len().to_string()),
                );
                table.add_row([model.target.name(), &model.version, state, &pipeline, &as_of, &features]);
            }
            to_stdout(&format!("{table}\n"))?;
        }
        ModelsAction::Show(which) => to_stdout(&registry.card(which.target.into(), &which.version)?)?,
        ModelsAction::Promote(which) => {
            let target = which.target.into();
            let before = registry.champion_version(target).ok().flatten();
            registry.promote(target, &which.version)?;
            if let Some(before) = before.filter(|before| *before != which.version && !cli.quiet) {
                to_stderr(&compared(&registry, target, &before, &which.version));
            }
        }
        ModelsAction::Challenge(which) => {
            let version = (which.version != "none").then_some(which.version.as_str());
            registry.challenge(which.target.into(), version)?;
        }
        ModelsAction::Learned(which) => {
            let target = which.target.into();
            let done = crate::pipeline::register_learned(&which.out, &args.models, target)?;
            if !cli.quiet {
                to_stderr(&learned(target, &done));
            }
            to_stdout(&format!("{}\n", done.version))?;
        }
        ModelsAction::Rollback(which) => {
            let version = registry.rollback(which.target.into())?;
            if !cli.quiet {
                to_stderr(&format!("{} model {version} is in service again\n", Target::from(which.target)));
            }
        }
        ModelsAction::Retire(args) => {
            registry.retire(args.which.target.into(), &args.which.version, args.force)?;
        }
    }
    Ok(DONE)
}

/// What was registered, and how it did against the version it came from. It is said and decides nothing.
fn learned(target: Target, done: &RegisteredLearning) -> String {
    let RegisteredLearning { version, from, examples, positives, until, tests } = done;
    let mut text = format!(
        "{target} model {version} challenges: {from} after {examples} more labels, {positives} of them yes, until {}\n",
        format_instant(*until)
    );
    let Some(Tests { slice, learning, frozen, .. }) = tests else {
        return text + "  what it is worth is not known yet: no order placed since has a ripe label\n";
    };
    text += &format!("  on the latest {} of them, each as it would have been scored when it was placed:\n", slice.rows);
    for (name, before, now) in [
        ("average precision", frozen.average_precision, learning.average_precision),
        ("ROC AUC", frozen.roc_auc, learning.roc_auc),
        ("log loss", frozen.log_loss, learning.log_loss),
    ] {
        let show = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), |v| format!("{v:.4}"));
        text += &format!("  {name:<21} {:>7} as it was, {:>7} learning\n", show(before.value), show(now.value));
    }
    text
}

/// How the new champion's stored test compares with the former one's. It is said and decides nothing.
fn compared(registry: &Registry, target: Target, before: &str, after: &str) -> String {
    let mut text = format!("{target} model {after} is in service instead of {before}\n");
    let Ok(Some(found)) = registry.compare(target, before, after) else {
        return text + "  they cannot be compared: one has no stored measures that can be read\n";
    };
    let [a, b] = &found.tests;
    text += &if found.same_rows {
        format!("  on the same {} orders, {} of them positive:\n", a.rows, a.positives)
    } else {
        format!(
            "  tested on different orders ({} with a rate of {:.4}, {} with {:.4}): part of a difference is theirs\n",
            a.rows, a.base_rate, b.rows, b.base_rate
        )
    };
    for (name, before, after) in &found.measures {
        let show = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), |v| format!("{v:.4}"));
        let within = format!("({} to {})", show(after.lower), show(after.upper));
        text += &format!("  {name:<21} {:>7} before, {:>7} now {within}\n", show(before.value), show(after.value));
    }
    text
}
