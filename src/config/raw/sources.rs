//! Sources, and how they become the tables of the contract.

use crate::contract::input::Personal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// File formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Format {
    /// Delimited text with a header row.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
}

/// A file, a glob or a folder of files of one shape.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// File, glob or folder, relative to the pipeline file. `.gz` and `.zst` are unpacked while reading.
    pub path: String,
    /// Format; left out, it follows the file name.
    #[serde(default)]
    pub format: Option<Format>,
    /// Field separator of delimited text: one character, `tab` for a tab. Default `,`.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// Text encoding: `utf-8` (default), `latin1`, or any label of the WHATWG encoding standard.
    #[serde(default)]
    pub encoding: Option<String>,
    /// Decimal mark of numbers and money: `.` (default) or `,`.
    #[serde(default)]
    pub decimal: Option<String>,
    /// Texts that mean "no value" in every column. Default: the empty text only.
    #[serde(default)]
    pub null: Option<Vec<String>>,
    /// Types of columns. A column that is not named here is text, or takes the type of the contract column mapped to it.
    #[serde(default)]
    pub columns: BTreeMap<String, SourceColumn>,
}

/// Types of source columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ColumnType {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// A number, as a 64-bit float.
    Number,
    /// An amount, as an integer of minor units of its currency.
    Money,
    /// An exchange rate, as an exact decimal.
    Rate,
    /// A date and time.
    Datetime,
    /// Yes or no.
    Flag,
    /// Personal: an e-mail address.
    Email,
    /// Personal: a phone number.
    Phone,
    /// Personal: an IP address.
    Ip,
    /// Personal: a street address.
    Address,
    /// Personal: a card or account reference.
    Payment,
}

impl ColumnType {
    /// The kind of personal data, if it is one.
    pub fn personal(self) -> Option<Personal> {
        match self {
            Self::Email => Some(Personal::Email),
            Self::Phone => Some(Personal::Phone),
            Self::Ip => Some(Personal::Ip),
            Self::Address => Some(Personal::Address),
            Self::Payment => Some(Personal::Payment),
            _ => None,
        }
    }
}

/// How the values of one source column are read.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceColumn {
    /// The type that every value must have; a row with a value that has not is quarantined.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Date formats tried in order (`%Y-%m-%d %H:%M:%S`, …; also `unix`, `unix_ms`, `unix_us`). Default: RFC 3339 and ISO 8601 forms.
    #[serde(default)]
    pub formats: Vec<String>,
    /// Zone of times without an offset in this column; default `time.zone`.
    #[serde(default)]
    pub zone: Option<String>,
    /// The one currency of a money column.
    #[serde(default)]
    pub currency: Option<String>,
    /// The column that holds the currency of each row of a money column.
    #[serde(default)]
    pub currency_column: Option<String>,
    /// Round digits beyond the currency's minor unit (half to even, counted) instead of refusing the row.
    #[serde(default)]
    pub round: bool,
    /// Further texts that mean "no value" in this column.
    #[serde(default)]
    pub null: Vec<String>,
}

/// How one input table is made: a column map over one source, or SQL over the sources.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableMap {
    /// The source whose columns are mapped.
    #[serde(default)]
    pub source: Option<String>,
    /// Contract column = source column.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// A polars SQL query over the sources by their names; its result columns carry the contract's names.
    #[serde(default)]
    pub sql: Option<String>,
}

impl TableMap {
    /// The sources it reads.
    pub fn sources(&self) -> std::collections::BTreeSet<String> {
        let of_sql = self.sql.as_deref().map(crate::config::tables_of).unwrap_or_default();
        of_sql.into_iter().chain(self.source.clone()).collect()
    }
}
