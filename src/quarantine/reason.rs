//! Reason codes: stable words that scripts may hold on to.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $variant:ident = $code:literal, $hint:literal;)*) => {
        /// Why a row was refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Reason { $($(#[doc = $doc])* #[serde(rename = $code)] $variant,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code as it stands in the `quarantine` table.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            /// What to do about it.
            pub fn hint(self) -> &'static str {
                match self { $(Self::$variant => $hint),* }
            }
        }
    };
}

reasons! {
    /// More or fewer fields than the header has.
    RaggedRow = "ragged_row", "look for an unquoted delimiter or a missing field; set `delimiter` if the whole file is affected";
    /// Bytes that are not text in the declared encoding.
    BadEncoding = "bad_encoding", "set `encoding` of the source, for example latin1";
    /// A line that is not JSON.
    NotJson = "not_json", "the line must hold one JSON value; look for a cut line or a stray comma";
    /// A JSON value that is not an object.
    NotAnObject = "not_an_object", "each line must be one JSON object with column names as keys";
    /// A line of standard input that names no source of the pipeline.
    UnknownSource = "unknown_source", "each line needs one member `source` with the name of a source of the pipeline";
    /// A list or object where one value is needed.
    NestedValue = "nested_value", "flatten the field before export, or do not map it";
    /// A text that is no date in any of the formats.
    NotADate = "not_a_date", "add the format to `formats` of the column, or correct the export";
    /// A date before 1970 or after 2200: a placeholder more than a date.
    DateOutOfRange = "date_out_of_range", "if it stands for no date, list it in `null` of the column";
    /// A text that is no number.
    NotANumber = "not_a_number", "correct the value, set `decimal`, or list the text in `null` of the column";
    /// A text that is no whole number.
    NotAnInteger = "not_an_integer", "correct the value, or declare the column as `number`";
    /// A text that is no amount.
    NotMoney = "not_money", "write plain decimals without a currency sign; set `decimal` if the mark is a comma";
    /// More decimals than the currency has.
    TooPrecise = "too_precise", "check the currency, or set `round = true` for the column";
    /// Outside what 64 bits hold.
    TooLarge = "too_large", "check the unit of the value";
    /// Not an ISO 4217 code.
    UnknownCurrency = "unknown_currency", "use the three-letter ISO 4217 code";
    /// No exchange rate is in force at the row's time.
    NoFxRate = "no_fx_rate", "add the currency to `fx_rates` from that day on";
    /// A text that is neither yes nor no.
    NotAFlag = "not_a_flag", "use true/false, yes/no or 1/0";
    /// Not one of the words the contract knows.
    UnknownWord = "unknown_word", "use one of the words listed in the detail, for example with CASE in an SQL mapping";
    /// A required value is missing.
    MissingRequired = "missing_required", "supply the value; the contract cannot place the row without it";
    /// Negative where nothing negative can be.
    Negative = "negative", "send a return or refund in its own table instead of a negative row";
    /// Two instants in an order that cannot have happened.
    TimeOrder = "time_order", "check zones and columns of both times";
    /// Names an order that is not there.
    Orphan = "orphan", "load the order too, or remove the row";
    /// Not an e-mail address.
    NotAnEmail = "not_an_email", "correct the value or leave it empty";
    /// Not a phone number.
    NotAPhone = "not_a_phone", "correct the value or leave it empty";
    /// Not an IP address.
    NotAnIp = "not_an_ip", "correct the value or leave it empty";
    /// A file, or the rest of one, that could not be read.
    UnreadableFile = "unreadable_file", "the file is damaged or cut short; export it again";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
