//! `ordersight models`.

use super::args::{Cli, ModelsAction, ModelsArgs};
use super::{DONE, to_stderr, to_stdout};
use crate::error::Result;
use crate::registry::Registry;
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
        ModelsAction::Promote(which) => registry.promote(which.target.into(), &which.version)?,
        ModelsAction::Retire(which) => registry.retire(which.target.into(), &which.version)?,
    }
    Ok(DONE)
}
