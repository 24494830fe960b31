//! Whose report this is, and whether every row that was read is accounted for.

use super::{absent, section as wrap, table};
use crate::report::data::{Data, Run, Tally};
use crate::report::figures;
use crate::report::words::{Foreign, count, counted, fixed, instant, percent};

/// The head of the page: the run, and its state in a line of boxes.
pub(super) fn header(data: &Data, name: &Foreign) -> String {
    let run = data.run.as_ref();
    let mut facts = Vec::new();
    if let Some(as_of) = run.and_then(|r| r.as_of.as_ref()) {
        facts.push(format!("as of <b>{}</b>", instant(as_of)));
    }
    let id = run.and_then(|r| r.run_id.as_ref()).unwrap_or(&data.run_id);
    facts.push(format!("run <code>{id}</code>"));
    if let Some(started) = run.and_then(|r| r.started_at.as_ref()) {
        facts.push(format!("started {}", instant(started)));
    }
    if let Some(version) = run.and_then(|r| r.version.as_ref()) {
        facts.push(format!("ordersight {version}"));
    }
    let boxes: String = boxes(data).iter().map(Box::html).collect();
    format!(
        "<header>\n<p class=\"eyebrow\">ordersight report</p>\n<h1>{name}</h1>\n<p class=\"facts\">{}</p>\n\
         <div class=\"boxes\">\n{boxes}</div>\n</header>\n",
        facts.join(" · ")
    )
}

/// One fact of the head, with a link to where it is told in full.
struct Box {
    /// `good`, `bad`, or `plain`.
    state: &'static str,
    link: &'static str,
    figure: String,
    text: String,
}

impl Box {
    fn html(&self) -> String {
        // Shape as well as colour, for those who do not see the colour and for print.
        let sign = match self.state {
            "good" => "<span class=\"sign\" aria-label=\"in order\">✓</span> ",
            "bad" => "<span class=\"sign\" aria-label=\"look here\">!</span> ",
            _ => "",
        };
        let Self { state, link, figure, text } = self;
        format!("<a class=\"box {state}\" href=\"#{link}\"><b>{sign}{figure}</b><span>{text}</span></a>\n")
    }
}

fn boxes(data: &Data) -> Vec<Box> {
    let mut boxes = Vec::new();
    let mut add = |state, link, figure: String, text: String| boxes.push(Box { state, link, figure, text });
    if let Some(run) = &data.run {
        if let Some(orders) = run.orders {
            add("plain", "kpis", count(orders), "orders".to_owned());
        }
        if let Some(total) = total(run) {
            let Tally { read, accepted, quarantined, superseded, .. } = &total;
            let text = format!(
                "rows read = {} accepted + {} quarantined + {} superseded",
                count(*accepted),
                count(*quarantined),
                count(*superseded)
            );
            match total.balances() && unbalanced(run).is_empty() {
                true => add("good", "accounts", count(*read), text),
                false => add("bad", "accounts", count(*read), format!("the rows do not add up: {text}")),
            }
        }
    }
    let missed = figures::missed(&data.kpis).len() as i64;
    match data.kpis.iter().any(|row| row.target.is_some()) {
        _ if !data.scorecard.is_empty() => match data.scorecard.iter().filter(|held| held.is_missed()).count() as i64 {
            0 => add("good", "scorecard", "No target missed".to_owned(), "of the scorecard".to_owned()),
            missed => add("bad", "action", counted(missed, "target"), "missed on the scorecard".to_owned()),
        },
        false => add("plain", "kpis", "No targets".to_owned(), "set for any KPI".to_owned()),
        true if missed == 0 => add("good", "kpis", "Targets met".to_owned(), "in the latest mature month".to_owned()),
        true => add("bad", "action", counted(missed, "target"), "missed in the latest mature month".to_owned()),
    }
    // A table that is not there is not an empty one.
    let rows = |table: &str| data.tables.get(table).map(|rows| i64::try_from(*rows).unwrap_or(i64::MAX));
    if let Some(queued) = rows("review_queue") {
        let state = if queued > 0 { "bad" } else { "good" };
        add(state, "action", counted(queued, "order"), "in the review queue".to_owned());
    }
    if let Some(stuck) = rows("exceptions") {
        let state = if stuck > 0 { "bad" } else { "good" };
        add(state, "stuck", counted(stuck, "exception"), "stuck now".to_owned());
    }
    if let Some(refused) = rows("quarantine") {
        let read = data.run.as_ref().and_then(|run| run.rows_read).filter(|read| *read > 0);
        let share = read.map(|read| format!(", {} of those read", percent(refused as f64 / read as f64)));
        let state = if refused > 0 { "plain" } else { "good" };
        add(state, "refused", counted(refused, "row"), format!("in quarantine{}", share.unwrap_or_default()));
    }
    boxes
}

/// The counts of the whole run; `None` when the run did not say.
fn total(run: &Run) -> Option<Tally> {
    Some(Tally {
        name: Foreign::from("All"),
        read: run.rows_read?,
        accepted: run.rows_accepted?,
        quarantined: run.quarantined_rows?,
        superseded: run.rows_superseded?,
    })
}

fn unbalanced(run: &Run) -> Vec<&Tally> {
    run.sources.iter().flatten().chain(run.tables.iter().flatten()).filter(|tally| !tally.balances()).collect()
}

/// Rows by source and table, and where the time went.
pub(super) fn section(data: &Data) -> String {
    let Some(run) = &data.run else {
        let sentence = "There is no <code>runs</code> table, so the rows read cannot be held against those published.";
        return wrap("accounts", "Every row accounted for", "", &absent(sentence));
    };
    let mut body = String::new();
    for tally in unbalanced(run) {
        body.push_str(&format!(
            "<p class=\"alarm\">The rows of <code>{}</code> do not add up: {} read, {} accounted for. \
             Please report this.</p>\n",
            tally.name,
            count(tally.read),
            count(tally.accepted + tally.quarantined + tally.superseded)
        ));
    }
    for (heading, tallies) in [("Source", &run.sources), ("Table", &run.tables)] {
        let rows: Vec<Vec<String>> = tallies.iter().flatten().map(tally_row).collect();
        if !rows.is_empty() {
            let headings = [heading, "#Read", "#Accepted", "#Quarantined", "#Superseded", "#Refused", "Adds up"];
            body.push_str(&table("narrow", &headings, &rows));
        }
    }
    let stages: Vec<String> = run
        .stages
        .iter()
        .flatten()
        .filter_map(|s| Some(format!("{} {}\u{a0}s", s.stage, fixed(s.seconds?, 1))))
        .collect();
    let mut spent = Vec::new();
    if let Some(seconds) = run.seconds {
        spent.push(format!("The run took {}\u{a0}s", fixed(seconds, 1)));
    }
    if let Some(memory) = run.peak_memory_mib {
        spent.push(format!("at most {}\u{a0}MiB of memory", fixed(memory, 0)));
    }
    if !spent.is_empty() {
        let by_stage = if stages.is_empty() { String::new() } else { format!(": {}", stages.join(" · ")) };
        body.push_str(&format!("<p class=\"note\">{}{by_stage}.</p>\n", spent.join(" and ")));
    }
    if body.is_empty() {
        body = absent("This run did not say how many rows it read.");
    }
    let lead =
        "Each row that was read is accepted, refused into quarantine, or replaced by a later row with the same key.";
    wrap("accounts", "Every row accounted for", lead, &body)
}

fn tally_row(tally: &Tally) -> Vec<String> {
    let share = if tally.read > 0 { percent(tally.quarantined as f64 / tally.read as f64) } else { "–".to_owned() };
    let sign = if tally.balances() { "✓" } else { "<b class=\"bad\">no</b>" };
    let counts = [tally.read, tally.accepted, tally.quarantined, tally.superseded].map(count);
    let mut row = vec![format!("<code>{}</code>", tally.name)];
    row.extend(counts);
    row.extend([share, sign.to_owned()]);
    row
}
