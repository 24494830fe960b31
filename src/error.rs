//! Every way a command can end other than well, sorted by who can mend it.
//!
//! The sorting is the exit code that schedulers see: see [`Error::exit_code`].

use std::fmt;
use std::path::{Path, PathBuf};

/// A result of ordersight.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One thing wrong in a pipeline file: where, what was found and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Dotted key in the pipeline file, such as `tables.orders.columns.placed_at`.
    pub key: String,
    /// What was found and what is allowed.
    pub message: String,
    /// What to try, when there is something to try.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem at `key`.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into(), hint: None }
    }

    /// The same problem with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.key, self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

/// Why a command could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pipeline file has problems; all of them are here.
    #[error("{} problem{} in {file}{}", problems.len(), if problems.len() == 1 { "" } else { "s" }, list(problems))]
    Config {
        /// The pipeline file as it was named.
        file: String,
        /// All problems, in the order of their keys.
        problems: Vec<Problem>,
    },
    /// An argument or a query asks for what does not exist.
    #[error("{message}")]
    Usage {
        /// What was asked and what there is.
        message: String,
        /// What to try.
        hint: Option<String>,
    },
    /// Input that cannot be used at all; nothing was published.
    #[error("{message}; nothing was published")]
    InputRefused {
        /// Which input and why.
        message: String,
        /// What to try.
        hint: Option<String>,
    },
    /// A model is missing, does not fit its features, or cannot be learnt from so few labels.
    #[error("{message}")]
    Model {
        /// Which model and why.
        message: String,
        /// What to run.
        hint: Option<String>,
    },
    /// The machine said no: disk, permission, another writer.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Environment {
        /// What was tried, as a verb phrase: `write`, `read`, `lock`.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A frame computation failed where no bad row can be the cause.
    #[error("{stage}: {source}")]
    Frames {
        /// The stage of the run.
        stage: String,
        /// What polars said.
        source: polars::error::PolarsError,
    },
    /// Parquet or Arrow could not be written or read.
    #[error("{stage}: {source}")]
    Parquet {
        /// The stage of the run.
        stage: String,
        /// What the library said.
        source: parquet::errors::ParquetError,
    },
    /// A promise of the program itself is broken: a defect of ours, never of the input.
    #[error("broken invariant: {0}")]
    Invariant(String),
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("\n  {p}")).collect()
}

impl Error {
    /// The exit code of the contract: 2 usage or configuration, 3 input refused, 4 model, 5 environment.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config { .. } | Self::Usage { .. } => 2,
            Self::InputRefused { .. } => 3,
            Self::Model { .. } => 4,
            Self::Frames { source: polars::error::PolarsError::IO { .. }, .. } => 5,
            Self::Frames { .. } => 3,
            Self::Environment { .. } | Self::Parquet { .. } | Self::Invariant(_) => 5,
        }
    }

    /// What to try next, if the error knows.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Usage { hint, .. } | Self::InputRefused { hint, .. } | Self::Model { hint, .. } => hint.as_deref(),
            Self::Environment { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("free some space and run again: what was published before is untouched")
            }
            Self::Environment { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                Some("the folder must be writable by the user who runs the job")
            }
            Self::Environment { action: "use", source, .. } if source.kind() == std::io::ErrorKind::InvalidData => {
                Some("the file is out of use now and what it held is counted anew from the inputs: start again")
            }
            Self::Environment { action: "lock", source, .. } if source.kind() == std::io::ErrorKind::WouldBlock => {
                Some("wait until it is done, or write to another folder with --out")
            }
            _ => None,
        }
    }

    /// An operating-system error on `path`, for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Environment { action, path: path.to_owned(), source }
    }

    /// A polars error in `stage`, for `map_err`.
    pub fn frames(stage: impl Into<String>) -> impl FnOnce(polars::error::PolarsError) -> Self {
        move |source| Self::Frames { stage: stage.into(), source }
    }

    /// A Parquet error in `stage`, for `map_err`. An operating-system error inside it (a full disk) comes out as such.
    pub fn parquet(stage: impl Into<String>) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        move |source| Self::Parquet { stage: stage.into(), source }
    }

    /// A usage error without advice.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: None }
    }
}
