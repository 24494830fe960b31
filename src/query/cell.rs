//! One value of an answer, as JSON and as text.

use crate::types::time::{SECOND, date_of, format_instant};
use polars::prelude::{AnyValue, TimeUnit};
use serde_json::{Map, Number, Value};

/// The value as JSON: see [`Format::Json`](super::Format::Json) for what becomes what.
pub(super) fn to_json(value: &AnyValue<'_>) -> Value {
    match value {
        AnyValue::Null => Value::Null,
        AnyValue::Boolean(v) => Value::Bool(*v),
        AnyValue::String(v) => Value::String((*v).to_owned()),
        AnyValue::StringOwned(v) => Value::String(v.to_string()),
        AnyValue::Float32(v) => float(f64::from(*v)),
        AnyValue::Float64(v) => float(*v),
        AnyValue::UInt64(v) => Value::Number((*v).into()),
        AnyValue::Date(day) => date_of(*day).map_or(Value::Null, |d| Value::String(d.to_string())),
        AnyValue::Datetime(t, unit, zone) => Value::String(instant(*t, *unit, zone.is_some())),
        AnyValue::DatetimeOwned(t, unit, zone) => Value::String(instant(*t, *unit, zone.is_some())),
        AnyValue::List(values) => Value::Array(values.iter().map(|v| to_json(&v)).collect()),
        AnyValue::Struct(..) => to_json(&value.clone().into_static()),
        AnyValue::StructOwned(pair) => {
            let (values, fields) = pair.as_ref();
            let named = fields.iter().zip(values).map(|(f, v)| (f.name().to_string(), to_json(v)));
            Value::Object(named.collect::<Map<_, _>>())
        }
        // The other whole numbers fit; what is neither (durations, say) is shown as polars writes it.
        other => match other.extract::<i64>().filter(|_| other.is_primitive_numeric()) {
            Some(number) => Value::Number(number.into()),
            None => Value::String(other.to_string()),
        },
    }
}

/// The value as one line of text; `None` for null. Lists and structs are JSON.
pub(super) fn to_text(value: &AnyValue<'_>) -> Option<String> {
    match to_json(value) {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

fn float(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// RFC 3339; a timestamp without a zone is written without one, because it need not be UTC.
fn instant(value: i64, unit: TimeUnit, zoned: bool) -> String {
    let micros = match unit {
        TimeUnit::Nanoseconds => value.div_euclid(1_000),
        TimeUnit::Microseconds => value,
        TimeUnit::Milliseconds => value.saturating_mul(SECOND / 1_000),
    };
    let text = format_instant(micros);
    if zoned { text } else { text.trim_end_matches('Z').to_owned() }
}
