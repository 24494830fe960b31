//! What the monitor says on the terminal.

use super::{Model, Role};
use crate::risk::monitor::{Finding, Level};
use crate::types::time::date_of;

/// Which findings are current: of the latest whole period, and of outcomes in the latest whole period that has any.
pub(super) struct Current {
    orders: Option<usize>,
    outcomes: Option<usize>,
}

impl Current {
    pub(super) fn of(model: &Model) -> Self {
        let whole = || model.findings.iter().filter(|finding| model.periods[finding.period].is_whole);
        let ripe = |finding: &&Finding| finding.performance.is_some_and(|found| found.observed.of > 0);
        Self {
            orders: whole().map(|finding| finding.period).max(),
            outcomes: whole().filter(ripe).map(|finding| finding.period).max(),
        }
    }

    /// The gravest current alarm of a finding.
    pub(super) fn level(&self, finding: &Finding) -> Option<Level> {
        let at = |of_outcomes| if of_outcomes { self.outcomes } else { self.orders };
        let current = finding.alerts.iter().filter(|alert| at(alert.of_outcomes) == Some(finding.period));
        current.map(|alert| alert.level).max()
    }
}

/// Lines for the terminal, gravest first, champions before challengers; and how many of them are alarms of champions.
pub(super) fn words(models: &[Model]) -> (Vec<String>, usize) {
    let (mut found, mut notes) = (Vec::new(), Vec::new());
    for model in models {
        let name = format!("{} {} {}", model.target, model.role.name(), model.version);
        let current = Current::of(model);
        for finding in &model.findings {
            let Some(level) = current.level(finding) else { continue };
            let period = &model.periods[finding.period];
            let feature = finding.feature.map_or("score", |feature| model.names[feature].as_str());
            let since = period.start.and_then(date_of).map(|day| format!(", {} of {day}", period.grain));
            let texts: Vec<&str> = finding.alerts.iter().map(|alert| alert.text.as_str()).collect();
            let since = since.unwrap_or_default();
            let line = format!("{}: {name}, `{feature}`{since}: {}", level.name(), texts.join("; "));
            // Of equal gravity the score comes before features, and what lies farther apart first.
            let psi = finding.tested.map_or(0.0, |shift| shift.psi);
            found.push(((level, std::cmp::Reverse(model.role)), finding.feature.is_some(), psi, line));
        }
        notes.extend(model.note.as_ref().map(|note| format!("{name} {note}")));
    }
    found.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)).then(b.2.total_cmp(&a.2)).then_with(|| a.3.cmp(&b.3)));
    let alarms = found.iter().filter(|f| f.0 == (Level::Alert, std::cmp::Reverse(Role::Champion))).count();
    (found.into_iter().map(|f| f.3).chain(notes).collect(), alarms)
}
