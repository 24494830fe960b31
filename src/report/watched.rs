//! What the monitor said of the models in service, as the page shows it.

use super::data::Source;
use super::words::Foreign;
use crate::error::Result;
use serde::Deserialize;

/// Current alarms on the page; the table has all.
const ALARMS_SHOWN: usize = 12;

/// The monitor's part of the page.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Each model over the whole time since it learnt.
    pub(super) models: Vec<WatchedModel>,
    /// Alarms of the latest whole period, champions first, gravest first.
    pub(super) alarms: Vec<Alarm>,
}

/// A model over the whole time since it learnt.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct WatchedModel {
    pub(super) target: Foreign,
    pub(super) role: Foreign,
    pub(super) model: Foreign,
    pub(super) scored: i64,
    pub(super) psi_tested: Option<f64>,
    pub(super) flagged: i64,
    pub(super) flagged_positive: i64,
    pub(super) flagged_mature: i64,
    pub(super) flagged_not_mature: i64,
    pub(super) precision: Option<f64>,
    pub(super) precision_lower: Option<f64>,
    pub(super) precision_upper: Option<f64>,
    pub(super) observed_share: Option<f64>,
    pub(super) observed_lower: Option<f64>,
    pub(super) observed_upper: Option<f64>,
    pub(super) predicted_share: Option<f64>,
    pub(super) mature: i64,
    pub(super) note: Option<Foreign>,
}

/// An alarm.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Alarm {
    pub(super) alert: Foreign,
    pub(super) target: Foreign,
    pub(super) role: Foreign,
    pub(super) grain: Foreign,
    pub(super) period_start: Foreign,
    pub(super) feature: Foreign,
    pub(super) alert_text: Foreign,
}

impl Watched {
    /// Reads it from `model_monitor`; nothing where that is absent.
    pub(super) fn load(source: &Source<'_>) -> Result<Self> {
        let models = "SELECT * FROM model_monitor WHERE grain = 'all' AND feature = 'score' ORDER BY target, role";
        let alarms = format!(
            "SELECT * FROM model_monitor WHERE \"current\" AND alert IS NOT NULL \
             ORDER BY role, alert, psi_tested DESC, target, feature LIMIT {ALARMS_SHOWN}"
        );
        Ok(Self { models: source.rows("model_monitor", models)?, alarms: source.rows("model_monitor", &alarms)? })
    }
}
