//! A chunk of text becomes typed columns; a row with a value that is not of its type becomes a rejected row.

use super::WITHHELD;
use super::personal::{self, PersonalKey, mask_if_personal};
use super::plan::{Becomes, ColumnPlan, CurrencyOf, SourcePlan};
use super::read::{Cells, Chunk, texts};
use super::value;
use crate::error::{Error, Result};
use crate::quarantine::{Reason, Rejected};
use crate::types::money::Currencies;
use crate::types::time::Resolution;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, Float64Builder, Int64Array, Int64Builder, RecordBatch,
    StringViewArray, StringViewBuilder, TimestampMicrosecondBuilder,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, TimeUnit, TimestampMicrosecondType};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The column of a typed file that holds the record number.
pub(super) const ROW: &str = "_row";

/// What happened to values while they were read; printed with the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueCounts {
    /// Civil times that occur twice; the first was taken.
    pub folded_times: u64,
    /// Civil times that do not exist; moved forward by the gap.
    pub skipped_times: u64,
    /// Amounts whose digits beyond the minor unit were rounded away.
    pub rounded_amounts: u64,
}

impl ValueCounts {
    /// Adds another file's counts.
    pub fn add(&mut self, other: Self) {
        self.folded_times += other.folded_times;
        self.skipped_times += other.skipped_times;
        self.rounded_amounts += other.rounded_amounts;
    }
}

/// Types chunks of one file.
pub(super) struct Typer<'a> {
    pub(super) plan: &'a SourcePlan,
    pub(super) key: &'a PersonalKey,
    pub(super) file: &'a str,
    pub(super) counts: ValueCounts,
}

/// A value that could not be typed: row in the chunk, reason, detail.
type Fault = (usize, Reason, String);

impl Typer<'_> {
    /// The typed rows of a chunk, and the rejected ones.
    ///
    /// # Errors
    /// When a needed column is missing from the file.
    pub(super) fn batch(&mut self, chunk: Chunk) -> Result<(RecordBatch, Vec<Rejected>)> {
        let missing: Vec<&String> =
            self.plan.needed.iter().filter(|&name| !chunk.columns.iter().any(|(n, _)| n == name)).collect();
        if !missing.is_empty() {
            return Err(self.missing(&missing, &chunk));
        }
        // First fault of each row, by position in the chunk.
        let mut faults: BTreeMap<usize, (String, Reason, String)> = BTreeMap::new();
        let rows = Int64Array::from_iter_values(chunk.rows.iter().map(|&r| i64::try_from(r).unwrap_or(i64::MAX)));
        let mut fields = vec![Field::new(ROW, DataType::Int64, false)];
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(rows)];
        let nothing = ColumnPlan { becomes: Becomes::Text, nulls: Vec::new() };
        for (name, cells) in &chunk.columns {
            let column = self.plan.columns.get(name).unwrap_or(&nothing);
            let mut found = Vec::new();
            for (suffix, array) in self.column(column, cells, &chunk, &mut found)? {
                let name = suffix.map_or_else(|| name.clone(), |s| format!("{name}__{s}"));
                fields.push(Field::new(name, array.data_type().clone(), true));
                arrays.push(array);
            }
            for (at, reason, detail) in found {
                faults.entry(at).or_insert((name.clone(), reason, detail));
            }
        }
        let frames = |e: arrow::error::ArrowError| Error::Invariant(format!("typing `{}`: {e}", self.file));
        let mut batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(frames)?;
        let mut rejected: Vec<Rejected> = chunk.broken.iter().map(|b| self.reject_broken(b)).collect();
        if !faults.is_empty() {
            let keep: BooleanArray = (0..batch.num_rows()).map(|at| Some(!faults.contains_key(&at))).collect();
            batch = filter_record_batch(&batch, &keep).map_err(frames)?;
            for (at, (column, reason, detail)) in faults {
                rejected.push(self.reject_row(&chunk, at, Some(column), reason, detail));
            }
        }
        rejected.sort_by_key(|r| r.row);
        Ok((batch, rejected))
    }

    fn missing(&self, missing: &[&String], chunk: &Chunk) -> Error {
        let ticked = |names: &[&str]| names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
        let names: Vec<&str> = chunk.columns.iter().map(|(n, _)| n.as_str()).collect();
        let missing: Vec<&str> = missing.iter().map(|n| n.as_str()).collect();
        let (plan, file) = (&self.plan.name, self.file);
        // Without a header the first row is data, and nobody's data belongs into a message.
        if missing.len() == self.plan.needed.len() {
            return Error::InputRefused {
                message: format!(
                    "source `{plan}`: {file} has none of the columns the pipeline names: {}",
                    ticked(&missing)
                ),
                hint: Some(
                    "the first row must hold the names of the columns; check `delimiter` and `format` too".to_owned(),
                ),
            };
        }
        let hint = missing.iter().find_map(|name| crate::config::did_you_mean(name, names.iter().copied()));
        Error::InputRefused {
            message: format!("source `{plan}`: {file} has no column {}; it has {}", ticked(&missing), ticked(&names)),
            hint,
        }
    }

    fn reject_broken(&self, broken: &super::read::Broken) -> Rejected {
        // Where fields are not in their places, a personal value may be in any of them.
        let raw_record = if self.plan.has_personal() { WITHHELD.to_owned() } else { shorten(&broken.raw) };
        Rejected {
            source: self.plan.name.clone(),
            file: self.file.to_owned(),
            row: broken.row,
            table: None,
            column: None,
            reason: broken.reason,
            detail: broken.detail.clone(),
            order_id: None,
            raw_record,
        }
    }

    fn reject_row(&self, chunk: &Chunk, at: usize, column: Option<String>, reason: Reason, detail: String) -> Rejected {
        let order_id = self.plan.order_id.as_ref().and_then(|name| chunk.columns.iter().find(|(n, _)| n == name));
        let order_id = order_id.and_then(|(_, cells)| cells.text(at)).filter(|t| !t.trim().is_empty());
        Rejected {
            source: self.plan.name.clone(),
            file: self.file.to_owned(),
            row: chunk.rows.get(at).copied().unwrap_or_default(),
            table: None,
            column,
            reason,
            detail,
            order_id: order_id.map(|t| mask_if_personal(&t).to_owned()),
            raw_record: raw_record(self.plan, chunk, at),
        }
    }

    /// The typed arrays of a column: itself, and for some personal kinds the part that features use.
    fn column(
        &mut self,
        plan: &ColumnPlan,
        cells: &Cells,
        chunk: &Chunk,
        faults: &mut Vec<Fault>,
    ) -> Result<Vec<(Option<&'static str>, ArrayRef)>> {
        if let Some(array) = native(plan, cells) {
            return Ok(vec![(None, array)]);
        }
        if let (Becomes::Instant(format), Cells::Native(array)) = (&plan.becomes, cells)
            && let Ok(local) = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None))
        {
            return Ok(vec![(None, self.place_local(format, &local, faults))]);
        }
        let text = cells.as_text().map_err(|e| Error::Invariant(format!("reading `{}` as text: {e}", self.file)))?;
        let nulls: Vec<&str> = self.plan.nulls.iter().chain(&plan.nulls).map(String::as_str).collect();
        // Most values begin with what no such word begins with, or are empty.
        let mut begins = [false; 256];
        nulls.iter().for_each(|null| begins[first_byte(null)] = true);
        let is_empty_null = nulls.contains(&"");
        let is_null = |text: &str| match text.is_empty() {
            true => is_empty_null,
            false => begins[first_byte(text)] && nulls.contains(&text),
        };
        let values = text.iter().map(|v| v.filter(|t| !is_null(t)));
        let decimal = self.plan.decimal;
        Ok(match &plan.becomes {
            Becomes::Text => vec![(None, Arc::new(nulled(&text, is_null)) as ArrayRef)],
            Becomes::Integer => vec![(None, ints(values, faults, value::integer))],
            Becomes::Rate => vec![(None, ints(values, faults, value::rate))],
            Becomes::Number => {
                let mut out = Float64Builder::new();
                each(values, faults, |v| value::number(v, decimal), |v| out.append_option(v));
                vec![(None, Arc::new(out.finish()))]
            }
            Becomes::Flag => {
                let mut out = BooleanBuilder::new();
                each(values, faults, value::flag, |v| out.append_option(v));
                vec![(None, Arc::new(out.finish()))]
            }
            Becomes::Instant(format) => {
                let mut out = TimestampMicrosecondBuilder::new().with_timezone("UTC");
                let counts = &mut self.counts;
                each(
                    values,
                    faults,
                    |v| format.parse(v),
                    |v| out.append_option(v.map(|(micros, how)| counted(counts, micros, how))),
                );
                vec![(None, Arc::new(out.finish()))]
            }
            Becomes::Money { currency, excess } => {
                let codes = match currency {
                    CurrencyOf::Fixed(_) => None,
                    CurrencyOf::Column(name) => {
                        chunk.columns.iter().find(|(n, _)| n == name).and_then(|(_, c)| c.as_text().ok())
                    }
                };
                let fixed = match currency {
                    CurrencyOf::Fixed(code) => code.as_str(),
                    CurrencyOf::Column(_) => "",
                };
                let (mut out, mut known) = (Int64Builder::new(), Currencies::default());
                for (at, v) in values.enumerate() {
                    let code = codes.as_ref().map_or(fixed, |c| if c.is_null(at) { "" } else { c.value(at) });
                    match v.map(|v| value::minor_units(v, decimal, code, *excess, &mut known)).transpose() {
                        Ok(parsed) => {
                            self.counts.rounded_amounts += u64::from(parsed.is_some_and(|(_, rounded)| rounded));
                            out.append_option(parsed.map(|(minor, _)| minor));
                        }
                        Err(reason) => {
                            let detail = match code.trim() {
                                "" => format!("`{}` without a currency", quote(v)),
                                code => format!("`{}` in currency `{}`", quote(v), quote(Some(code))),
                            };
                            faults.push((at, reason, detail));
                            out.append_null();
                        }
                    }
                }
                vec![(None, Arc::new(out.finish()))]
            }
            Becomes::Personal(kind) => {
                let (mut hashes, mut parts) = (StringViewBuilder::new(), StringViewBuilder::new());
                for (at, v) in values.enumerate() {
                    let kept = match v.map(|v| personal::keep(*kind, v, self.key)).transpose() {
                        Ok(kept) => kept,
                        Err(reason) => {
                            faults.push((at, reason, "the value is personal and not shown".to_owned()));
                            None
                        }
                    };
                    hashes.append_option(kept.as_ref().map(|k| k.hash.as_str()));
                    parts.append_option(kept.as_ref().and_then(|k| k.part.as_deref()));
                }
                let mut arrays: Vec<(Option<&'static str>, ArrayRef)> = vec![(None, Arc::new(hashes.finish()))];
                if let Some(suffix) = personal::part_suffix(*kind) {
                    arrays.push((Some(suffix), Arc::new(parts.finish())));
                }
                arrays
            }
        })
    }

    /// Instants of typed civil times without a zone.
    fn place_local(&mut self, format: &value::TimeFormat, local: &ArrayRef, faults: &mut Vec<Fault>) -> ArrayRef {
        let mut out = TimestampMicrosecondBuilder::new().with_timezone("UTC");
        for (at, micros) in local.as_primitive::<TimestampMicrosecondType>().iter().enumerate() {
            let placed = micros.map(|m| {
                let civil = chrono::DateTime::from_timestamp_micros(m).ok_or(Reason::DateOutOfRange)?.naive_utc();
                format.place(civil)
            });
            match placed.transpose() {
                Ok(placed) => out.append_option(placed.map(|(m, how)| counted(&mut self.counts, m, how))),
                Err(reason) => {
                    faults.push((at, reason, "a time outside 1970 to 2200".to_owned()));
                    out.append_null();
                }
            }
        }
        Arc::new(out.finish())
    }
}

/// A record as it came, as JSON, personal values masked.
pub(super) fn raw_record(plan: &SourcePlan, chunk: &Chunk, at: usize) -> String {
    // Where a personal column holds something else, its value may stand beside it: then no text is shown but the order's id.
    let shifted = chunk.columns.iter().any(|(name, cells)| misfit(plan, name, cells.text(at)));
    let free = |name: &str| !matches!(plan.columns.get(name), Some(c) if !matches!(c.becomes, Becomes::Text));
    let mut record = serde_json::Map::new();
    for (name, cells) in &chunk.columns {
        let shown = cells.text(at).map(|t| {
            let unsure = shifted && free(name) && plan.order_id.as_ref() != Some(name);
            let masked = (plan.is_personal(name) || unsure) && !t.is_empty();
            if plan.show.contains(name) {
                t
            } else if masked {
                personal::MASK.to_owned()
            } else {
                mask_if_personal(&t).to_owned()
            }
        });
        record.insert(name.clone(), shown.into());
    }
    shorten(&serde_json::Value::Object(record).to_string())
}

/// Whether a personal column holds what is not of its kind.
fn misfit(plan: &SourcePlan, name: &str, text: Option<String>) -> bool {
    let (Some(column), Some(text)) = (plan.columns.get(name), text) else { return false };
    let Becomes::Personal(kind) = column.becomes else { return false };
    // Only the kind is asked for, so that any key will do.
    let empty = plan.nulls.iter().chain(&column.nulls).any(|null| *null == text);
    !empty && personal::keep(kind, &text, &PersonalKey::from_secret("")).is_err()
}

fn counted(counts: &mut ValueCounts, micros: i64, how: Resolution) -> i64 {
    match how {
        Resolution::Unique => {}
        Resolution::Folded => counts.folded_times += 1,
        Resolution::Skipped => counts.skipped_times += 1,
    }
    micros
}

/// A Parquet column that already has its type.
fn native(plan: &ColumnPlan, cells: &Cells) -> Option<ArrayRef> {
    let Cells::Native(array) = cells else { return None };
    match (&plan.becomes, array.data_type()) {
        (Becomes::Integer, DataType::Int64) | (Becomes::Flag, DataType::Boolean) => Some(array.clone()),
        (Becomes::Number, DataType::Int64 | DataType::Float32) => cast(array, &DataType::Float64).ok(),
        // Not-a-number and infinities take the way of texts, where they are refused.
        (Becomes::Number, DataType::Float64) => {
            array.as_primitive::<Float64Type>().iter().flatten().all(f64::is_finite).then(|| array.clone())
        }
        (Becomes::Instant(_), DataType::Timestamp(_, Some(_))) => {
            cast(array, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))).ok()
        }
        _ => None,
    }
}

impl Cells {
    /// All values as text.
    fn as_text(&self) -> Result<StringViewArray, arrow::error::ArrowError> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::Native(array) => texts(array),
        }
    }

    /// One value as text.
    fn text(&self, at: usize) -> Option<String> {
        match self {
            Self::Text(text) => text.is_valid(at).then(|| text.value(at).to_owned()),
            Self::Native(array) if array.data_type() == &DataType::Int64 => {
                array.is_valid(at).then(|| array.as_primitive::<Int64Type>().value(at).to_string())
            }
            Self::Native(array) => {
                let one = texts(&array.slice(at, 1)).ok()?;
                one.is_valid(0).then(|| one.value(0).to_owned())
            }
        }
    }
}

fn ints<'a>(
    values: impl Iterator<Item = Option<&'a str>>,
    faults: &mut Vec<Fault>,
    parse: impl Fn(&str) -> Result<i64, Reason>,
) -> ArrayRef {
    let mut out = Int64Builder::new();
    each(values, faults, parse, |v| out.append_option(v));
    Arc::new(out.finish())
}

fn each<'a, T>(
    values: impl Iterator<Item = Option<&'a str>>,
    faults: &mut Vec<Fault>,
    parse: impl Fn(&str) -> Result<T, Reason>,
    mut append: impl FnMut(Option<T>),
) {
    for (at, value) in values.enumerate() {
        append(value.map(&parse).transpose().unwrap_or_else(|reason| {
            faults.push((at, reason, format!("`{}`", quote(value))));
            None
        }));
    }
}

/// What a text begins with; a nought for one that is empty.
fn first_byte(text: &str) -> usize {
    text.as_bytes().first().map_or(0, |byte| usize::from(*byte))
}

/// The same texts, null where one says that there is none; they are not copied.
fn nulled(texts: &StringViewArray, is_null: impl Fn(&str) -> bool) -> StringViewArray {
    if !texts.iter().flatten().any(&is_null) {
        return texts.clone();
    }
    let is_there: NullBuffer = texts.iter().map(|text| text.is_some_and(|text| !is_null(text))).collect();
    StringViewArray::new(texts.views().clone(), texts.data_buffers(), Some(is_there))
}

/// A value for a message: short, and masked if it looks personal.
fn quote(value: Option<&str>) -> String {
    let text = mask_if_personal(value.unwrap_or_default());
    if text.chars().count() > 60 { text.chars().take(57).chain("...".chars()).collect() } else { text.to_owned() }
}

/// The most of a raw record that quarantine keeps: a record that swallowed half a file must not fill it.
const RAW_CHARS: usize = 8_192;

pub(super) fn shorten(raw: &str) -> String {
    if raw.len() <= RAW_CHARS {
        return raw.to_owned();
    }
    let kept: String = raw.chars().take(RAW_CHARS).collect();
    format!("{kept}… [{} bytes in all]", raw.len())
}
