//! Satisfaction: the index and its factors, what goes with answers, how good predictions are, whom to see to first.

use super::{absent, or_dash, section as wrap, table};
use crate::report::data::{Data, ModelError, Waiting};
use crate::report::figures;
use crate::report::words::{Foreign, count, counted, fixed, heading};

/// The index first, then what it is made of.
const INDEX: [&str; 7] = [
    "satisfaction_index",
    "satisfaction_speed",
    "satisfaction_transparency",
    "satisfaction_ease",
    "satisfaction_service",
    "satisfaction_product",
    "satisfaction_feedback",
];

/// All about satisfaction.
pub(super) fn section(data: &Data) -> String {
    let mut body = index(data);
    body.push_str(&drivers(data));
    body.push_str(&errors(data));
    body.push_str(&waiting(data));
    if body.is_empty() {
        let sentence = "Nothing tells how customers felt: there is no satisfaction index, and there are no answers.";
        return wrap("satisfaction", "Satisfaction", "", &absent(sentence));
    }
    wrap("satisfaction", "Satisfaction", "", &body)
}

fn index(data: &Data) -> String {
    let rows: Vec<Vec<String>> = INDEX
        .iter()
        .filter_map(|id| {
            let months = figures::months(&data.kpis, id);
            let look = figures::look(&months)?;
            let (row, before) = (look.now, look.before.and_then(|b| b.value));
            let range = row.lower.zip(row.upper).map(|(a, b)| format!("{} to {}", fixed(a, 1), fixed(b, 1)));
            Some(vec![
                heading(&row.kpi).to_string(),
                format!("{}{}", row.month, if row.mature { "" } else { " <i>still moving</i>" }),
                fixed(row.value?, 1),
                range.unwrap_or_else(|| "–".to_owned()),
                before.map_or_else(|| "–".to_owned(), |v| fixed(v, 1)),
                row.denominator.map_or_else(|| "–".to_owned(), count),
            ])
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let headings = ["0 to 100", "Month", "#Value", "#95 % interval", "#Month before", "#Orders"];
    let note = "The index is the mean of the factors by the weights of the pipeline; a factor that the data cannot feed \
                is left out and its weight goes to the others. <code>satisfaction</code> has it by segment, small ones \
                drawn toward the whole.";
    format!("{}<p class=\"note\">{note}</p>\n", table("", &headings, &rows))
}

fn drivers(data: &Data) -> String {
    let Some(first) = data.drivers.first() else { return String::new() };
    let items: String = data.drivers.iter().map(|d| format!("<li>{}</li>\n", d.words.prose())).collect();
    format!(
        "<h3>What goes with low and high answers</h3>\n<p class=\"small\">From {}; all these facts together go with {} % \
         of what differs between answers. Associations, not causes.</p>\n<ul>\n{items}</ul>\n",
        counted(first.answers, "answer"),
        fixed(100.0 * first.r_squared, 0)
    )
}

fn errors(data: &Data) -> String {
    let find = |predictor: &str, measure: &str| {
        data.satisfaction_model.iter().find(|e| e.predictor.raw() == predictor && e.measure.raw() == measure)
    };
    let Some(first) = data.satisfaction_model.first() else { return String::new() };
    let cell = |found: Option<&ModelError>, decimals: usize| {
        let shown = found.and_then(|e| {
            let (value, lower, upper) = (e.value?, e.lower?, e.upper?);
            Some(format!(
                "{}<br><span class=\"small\">{} to {}</span>",
                fixed(value, decimals),
                fixed(lower, decimals),
                fixed(upper, decimals)
            ))
        });
        shown.unwrap_or_else(|| "–".to_owned())
    };
    let names = [
        ("model", "The model"),
        ("mean", "The mean for everyone"),
        ("late_only", "Late or not, nothing else"),
        ("median", "The median for everyone"),
    ];
    let rows: Vec<Vec<String>> = names
        .iter()
        .map(|(id, name)| {
            vec![
                (*name).to_owned(),
                cell(find(id, "rmse"), 1),
                cell(find(id, "mae"), 1),
                cell(find(id, "rank_correlation"), 2),
                cell(find(id, "auc_low"), 2),
                cell(find(id, "bias"), 1),
            ]
        })
        .collect();
    let headings = [
        "Predicted by",
        "#Root mean squared error",
        "#Mean absolute error",
        "#Rank correlation",
        "#AUC of low answers",
        "#Bias",
    ];
    format!(
        "<h3>How good predicted satisfaction is</h3>\n<p class=\"small\">Learnt from {}, tested on {} delivered later; \
         points of 0 to 100, with 95 % intervals. The model gives the expected score, which makes squared errors \
         small; where most answers are the best possible, the median errs less in absolute terms and tells nobody \
         apart.</p>\n{}",
        counted(first.trained_on, "order"),
        counted(first.tested_on, "order"),
        table("", &headings, &rows)
    )
}

fn waiting(data: &Data) -> String {
    if data.waiting.is_empty() {
        return String::new();
    }
    let row = |w: &Waiting| {
        let reasons: Vec<String> = w.service_reasons.iter().flatten().flatten().map(Foreign::to_string).collect();
        vec![
            count(w.service_rank),
            format!("<code>{}</code>", w.customer_id),
            or_dash(w.tier.as_ref()),
            reasons.join("; "),
            w.satisfaction_last.map_or_else(|| "–".to_owned(), |v| fixed(v, 0)),
            count(w.service_priority),
        ]
    };
    let rows: Vec<Vec<String>> = data.waiting.iter().map(row).collect();
    let headings = ["#", "Customer", "Tier", "Waits for", "#Last answer", "#Priority"];
    format!(
        "<h3>Customers to see to first</h3>\n<p class=\"small\">By what they wait for, then by what they are worth; the rest \
         is in <code>customer_profile</code>.</p>\n{}",
        table("", &headings, &rows)
    )
}
