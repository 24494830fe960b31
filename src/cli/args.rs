//! What can be asked on the command line.

use crate::pipeline::SheetFormat;
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
    /// Micro-batches: take files and lines as they arrive, score new orders, keep KPIs current, publish exactly once.
    Stream(StreamArgs),
    /// Train models on a pipeline's history and put them in service.
    Train(TrainArgs),
    /// Measure on history what a pipeline's model would have been worth, fold by fold.
    Evaluate(EvaluateArgs),
    /// Look at and change which models are in service.
    Models(ModelsArgs),
    /// One order: its scores, reasons, rules, action and features. Or `explain kpi KPI`: a figure and the orders behind it.
    Explain(ExplainArgs),
    /// SQL over the output tables, each by its name.
    Query(QueryArgs),
    /// The review queue out to the desk, and its decisions back in.
    Review(ReviewArgs),
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
    /// Memory for large blocks, like 8GiB; what is beyond lies in files below the output folder [default: ORDERSIGHT_MEMORY,
    /// else three quarters of the machine's or container's].
    #[arg(long, value_name = "SIZE")]
    pub(super) memory: Option<String>,
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
    /// List the KPIs and satisfaction measures with their meaning, unit, clock, maturity and needs.
    #[arg(long)]
    pub(super) kpis: bool,
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

#[derive(Debug, Args)]
pub(super) struct StreamArgs {
    #[command(flatten)]
    pub(super) common: PipelineArgs,
    /// Folder of models.
    #[arg(long, default_value = "models")]
    pub(super) models: PathBuf,
    /// Take what is there, publish, and end.
    #[arg(long)]
    pub(super) once: bool,
    /// Read NDJSON from standard input too, each line an object with the member `source`.
    #[arg(long)]
    pub(super) stdin: bool,
    /// Standard input begins again with its first line after a stop: what was taken of it is skipped.
    #[arg(long, requires = "stdin")]
    pub(super) replayed: bool,
    /// Print how the stream that writes to the output folder is, and end.
    #[arg(long, conflicts_with_all = ["once", "stdin"])]
    pub(super) status: bool,
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
    /// Follow the regularised leader: logistic, and can go on learning.
    Ftrl,
    /// Gradient boosted trees of forust.
    Boosted,
    /// The mean of logistic and boosted.
    Blend,
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
pub(super) struct EvaluateArgs {
    #[command(flatten)]
    pub(super) common: PipelineArgs,
    /// What to predict.
    #[arg(long)]
    pub(super) target: TargetArg,
    /// Model family [default: that of the pipeline].
    #[arg(long)]
    pub(super) family: Option<FamilyArg>,
    /// Folds that roll forward over the later half of history [default: 4].
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=50), conflicts_with = "train_until")]
    pub(super) folds: Option<u8>,
    /// Learn from orders placed from this instant on, RFC 3339; with --train-until.
    #[arg(long, value_name = "T", requires = "train_until")]
    pub(super) train_from: Option<String>,
    /// One fold with given cuts: learn from orders placed before this instant.
    #[arg(long, value_name = "T")]
    pub(super) train_until: Option<String>,
    /// Calibrate on orders placed from --train-until to before this instant.
    #[arg(long, value_name = "T", requires = "train_until")]
    pub(super) calibrate_until: Option<String>,
    /// Test on orders placed from a gap after --calibrate-until to before this instant.
    #[arg(long, value_name = "T", requires = "train_until")]
    pub(super) test_until: Option<String>,
    /// Time before the test left out, such as 7d [default: the time labels take to mature].
    #[arg(long, value_name = "SPAN")]
    pub(super) gap: Option<String>,
    /// Orders that can be looked at in a day [default: decision.review_capacity_per_day, else one in a hundred].
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) per_day: Option<u32>,
    /// Leave out of the test customers with a positive order placed longer than this before the day.
    #[arg(long, value_name = "SPAN")]
    pub(super) leave_out_known: Option<String>,
    /// With --leave-out-known: only positive orders placed from this instant on count.
    #[arg(long, value_name = "T", requires = "leave_out_known")]
    pub(super) known_since: Option<String>,
    /// Replay [[decision.rules]], acting and in shadow, over all of history; goes on without a model where there can be none.
    #[arg(long)]
    pub(super) rules: bool,
    /// For money saved: share of the frauds looked at that the desk stops, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    pub(super) reviewer_finds: f64,
    /// For money saved: share of the good orders looked at that the desk stops, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub(super) reviewer_refuses: f64,
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
    /// Have a version score in the champion's shadow, without effect; `none` ends that.
    Challenge(ChallengeArgs),
    /// Register what a stream has learnt since (family `ftrl`) as a version of its own, and have it challenge.
    Learned(LearnedArgs),
    /// Put the champion before the present one back.
    Rollback(RollbackArgs),
    /// Take a version out of service.
    Retire(RetireArgs),
}

#[derive(Debug, Args)]
pub(super) struct ChallengeArgs {
    /// What the model predicts.
    pub(super) target: TargetArg,
    /// Its version, as listed, or `none`.
    pub(super) version: String,
}

#[derive(Debug, Args)]
pub(super) struct LearnedArgs {
    /// What the model predicts.
    pub(super) target: TargetArg,
    /// Output folder of the stream.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// What the model predicts.
    pub(super) target: TargetArg,
}

#[derive(Debug, Args)]
pub(super) struct RetireArgs {
    #[command(flatten)]
    pub(super) which: VersionArgs,
    /// Retire the champion too, and leave its target without a model.
    #[arg(long)]
    pub(super) force: bool,
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
    /// The order's id, or `kpi` before the id of a KPI.
    #[arg(value_name = "ORDER_ID|kpi")]
    pub(super) order_id: String,
    /// After `kpi`: the KPI by its published id, such as late_shipment_rate or click_to_door_p90.
    #[arg(value_name = "KPI")]
    pub(super) kpi: Option<String>,
    /// Output folder of the run.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Of a KPI: 2018-05, 2018-05-03, 2018-W18, trailing_30d or all [default: the latest mature month].
    #[arg(long, requires = "kpi")]
    pub(super) period: Option<String>,
    /// Of a KPI: carrier=DHL, or channel+carrier=web+DHL for a pair [default: the whole].
    #[arg(long, requires = "kpi", value_name = "SEGMENT=VALUE")]
    pub(super) segment: Option<String>,
    /// Of a KPI: how many rows to show of the numerator, and of the rest of the denominator [default: 20 each in a table,
    /// all of them in other formats].
    #[arg(long, requires = "kpi", value_name = "N")]
    pub(super) limit: Option<usize>,
    /// Of a KPI: how the rows are written; in other formats than the table the words go to standard error.
    #[arg(long, requires = "kpi", default_value = "table")]
    pub(super) format: FormatArg,
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

#[derive(Debug, Args)]
pub(super) struct ReviewArgs {
    #[command(subcommand)]
    pub(super) action: ReviewAction,
}

#[derive(Debug, Subcommand)]
pub(super) enum ReviewAction {
    /// Write the review queue as a file to be filled in.
    Export(ReviewExportArgs),
    /// Take decisions in as labels for the next run and training.
    Import(ReviewImportArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SheetArg {
    /// CSV with a header.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// A Parquet file.
    Parquet,
}

impl From<SheetArg> for SheetFormat {
    fn from(format: SheetArg) -> Self {
        match format {
            SheetArg::Csv => Self::Csv,
            SheetArg::Ndjson => Self::Ndjson,
            SheetArg::Parquet => Self::Parquet,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct ReviewExportArgs {
    /// Output folder of the run.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// How it is written [default: as the file's name says, else csv].
    #[arg(long)]
    pub(super) format: Option<SheetArg>,
    /// A new file to write to [default: standard output].
    #[arg(long, value_name = "FILE")]
    pub(super) to: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ReviewImportArgs {
    /// The filled-in file: .csv, .ndjson or .parquet.
    pub(super) file: PathBuf,
    /// Output folder of the run it came from.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// When rows without a `decided_at` were decided, RFC 3339.
    #[arg(long, value_name = "T")]
    pub(super) decided_at: Option<String>,
    /// Zone of `decided_at` values without an offset, such as Europe/Berlin.
    #[arg(long, value_name = "ZONE")]
    pub(super) zone: Option<String>,
    /// Share of bad rows above which nothing is taken in.
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    pub(super) max_share: f64,
}
