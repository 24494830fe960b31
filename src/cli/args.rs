//! What can be asked on the command line.

use crate::query::Format;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Fulfilment KPIs, satisfaction and fraud and return risk for cross-border e-commerce.
#[derive(Debug, Parser)]
#[command(name = "ordersight", version, max_term_width = 110)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
    /// Print errors only.
    #[arg(long, short, global = true)]
    pub(super) quiet: bool,
    /// Say more; twice for everything.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Print the summary as JSON on standard output.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// Commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a synthetic shop, train on it, run the whole batch job and say where everything is.
    Demo(DemoArgs),
    /// Make the synthetic shop alone: every input table, with the truth in truth.parquet.
    Generate(GenerateArgs),
    /// Read a pipeline's inputs and say what they are worth; nothing is written.
    Check(CheckArgs),
    /// One batch run: ingest, KPIs, satisfaction, features, scores, Parquet.
    Run(RunArgs),
    /// Train models on a pipeline's history and put them in service.
    Train(TrainArgs),
    /// Look at and change which models are in service.
    Models(ModelsArgs),
    /// One order: its scores, reasons, rules, action and features.
    Explain(ExplainArgs),
    /// SQL over the output tables, each by its name.
    Query(QueryArgs),
    /// Write report.html, one offline page, into the output folder.
    Report(OutArgs),
    /// Empty cache and staging of an output folder; published data stays.
    Clean(OutArgs),
}

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Number of orders.
    #[arg(long, default_value_t = 50_000)]
    pub(super) orders: u64,
    /// Seed: equal seeds make equal shops.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Output folder.
    #[arg(long, default_value = "out/demo")]
    pub(super) out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// Number of orders.
    #[arg(long)]
    pub(super) orders: u64,
    /// Seed: equal seeds make equal shops.
    #[arg(long)]
    pub(super) seed: u64,
    /// Folder for the tables.
    #[arg(long)]
    pub(super) out: PathBuf,
    /// Days of trade.
    #[arg(long, default_value_t = 365)]
    pub(super) days: u32,
    /// Share of order rows that are spoilt.
    #[arg(long, default_value_t = 0.004)]
    pub(super) dirty_share: f64,
}

/// What every command on a pipeline takes.
#[derive(Debug, Args)]
pub(super) struct PipelineArgs {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
    /// Override a setting: --set decision.review_cost=5
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
    /// The run's clock, RFC 3339.
    #[arg(long, value_name = "T")]
    pub(super) as_of: Option<String>,
    /// Output folder [default: output.dir of the pipeline, else out/NAME].
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// File with the key of personal hashes [default: ORDERSIGHT_PII_KEY, else a key kept in the output folder].
    #[arg(long, value_name = "FILE")]
    pub(super) pii_key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The pipeline file.
    #[arg(required_unless_present = "schema")]
    pub(super) pipeline: Option<PathBuf>,
    /// Print the JSON schema of pipeline files, for editors.
    #[arg(long)]
    pub(super) schema: bool,
    /// List the features with their meaning.
    #[arg(long)]
    pub(super) features: bool,
    /// Override a setting.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
    /// The clock, RFC 3339.
    #[arg(long, value_name = "T")]
    pub(super) as_of: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) common: PipelineArgs,
    /// Folder of models.
    #[arg(long, default_value = "models")]
    pub(super) models: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TargetArg {
    /// Fraudulent orders.
    Fraud,
    /// Returned orders.
    Return,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FamilyArg {
    /// Logistic regression of linfa.
    Logistic,
    /// Gradient boosted trees of forust.
    Boosted,
}

#[derive(Debug, Args)]
pub(super) struct TrainArgs {
    #[command(flatten)]
    pub(super) common: PipelineArgs,
    /// What to predict.
    #[arg(long)]
    pub(super) target: TargetArg,
    /// Model family [default: that of the pipeline].
    #[arg(long)]
    pub(super) family: Option<FamilyArg>,
    /// Folder of models.
    #[arg(long, default_value = "models")]
    pub(super) models: PathBuf,
    /// Seed of every draw.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
}

#[derive(Debug, Args)]
pub(super) struct ModelsArgs {
    #[command(subcommand)]
    pub(super) action: ModelsAction,
    /// Folder of models.
    #[arg(long, global = true, default_value = "models")]
    pub(super) models: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum ModelsAction {
    /// List versions.
    List,
    /// Show a version's card.
    Show(VersionArgs),
    /// Put a version in service.
    Promote(VersionArgs),
    /// Take a version out of service.
    Retire(VersionArgs),
}

#[derive(Debug, Args)]
pub(super) struct VersionArgs {
    /// What the model predicts.
    pub(super) target: TargetArg,
    /// Its version, as listed.
    pub(super) version: String,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The order's id.
    pub(super) order_id: String,
    /// Output folder of the run.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FormatArg {
    /// For people.
    Table,
    /// CSV with a header.
    Csv,
    /// One JSON object a line.
    Json,
    /// A Parquet file.
    Parquet,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Table => Self::Table,
            FormatArg::Csv => Self::Csv,
            FormatArg::Json => Self::Json,
            FormatArg::Parquet => Self::Parquet,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct QueryArgs {
    /// The query, in polars SQL.
    pub(super) sql: String,
    /// Output folder of the run.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// How the answer is written.
    #[arg(long, default_value = "table")]
    pub(super) format: FormatArg,
}

#[derive(Debug, Args)]
pub(super) struct OutArgs {
    /// Output folder.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
}
