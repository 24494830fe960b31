//! The chain of stages from accepted tables to published ones: the same for a nightly run and for an epoch of a stream.

use super::challengers::Challengers;
use super::inputs::{Clock, Inputs};
use super::monitoring::{self, Monitored, Service};
use super::outlet::Outlet;
use super::satisfied::Satisfied;
use super::scores::{self, Scores};
use super::scoring::{self, Champion, Examples, Scored};
use super::summary::{Stage, Summary, TargetState, peak_memory_mib};
use super::{exceptional, satisfied, training};
use crate::config::{FailOn, Pipeline};
use crate::contract::SCHEMA_VERSION;
use crate::error::{Error, Result};
use crate::exceptions::Found;
use crate::features::Features;
use crate::kpi;
use crate::quarantine::Rejected;
use crate::registry::Registry;
use crate::risk::Target;
use crate::satisfaction;
use polars::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The models in service, found before anything is computed: a missing one is told now, not after an hour of work.
pub(super) struct Models<'a> {
    registry: &'a Registry,
    fraud: Champion,
    returned: Champion,
    challengers: Challengers,
}

impl<'a> Models<'a> {
    /// # Errors
    /// As [`scoring::champion`].
    pub(super) fn new(pipeline: &Pipeline, inputs: &Inputs, registry: &'a Registry, as_of: i64) -> Result<Self> {
        Ok(Self {
            registry,
            fraud: scoring::champion(pipeline, Target::Fraud, &inputs.ingested, registry, as_of)?,
            returned: scoring::champion(pipeline, Target::Return, &inputs.ingested, registry, as_of)?,
            challengers: Challengers::new(pipeline, &inputs.ingested, registry)?,
        })
    }

    /// Equal inputs, pipeline, models and clock give equal ids; so does equal everything but the time of day.
    pub(super) fn run_id(&self, pipeline: &Pipeline, hashes: &BTreeMap<String, String>, as_of: i64) -> String {
        let mut hasher = blake3::Hasher::new();
        for (file, hash) in hashes {
            hasher.update(file.as_bytes()).update(b"\0").update(hash.as_bytes()).update(b"\n");
        }
        hasher.update(pipeline.fingerprint.as_bytes());
        for champion in [&self.fraud, &self.returned] {
            hasher.update(champion.as_ref().map_or("-", |model| &model.version).as_bytes()).update(b"\n");
        }
        for (target, version) in self.challengers.versions() {
            hasher.update(target.name().as_bytes()).update(version.as_bytes()).update(b"\n");
        }
        hasher.update(&as_of.to_le_bytes());
        hasher.finalize().to_hex()[..16].to_owned()
    }

    /// What every published file says of the run: nothing that differs between equal runs.
    pub(super) fn metadata(&self, pipeline: &Pipeline, run_id: &str, as_of: i64) -> BTreeMap<String, String> {
        let mut metadata = BTreeMap::from([
            ("run_id".to_owned(), run_id.to_owned()),
            ("pipeline".to_owned(), pipeline.raw.name.clone()),
            ("schema_version".to_owned(), SCHEMA_VERSION.to_owned()),
            ("as_of".to_owned(), crate::types::time::format_instant(as_of)),
            ("currency".to_owned(), pipeline.raw.money.base.clone()),
        ]);
        for (key, champion) in [("fraud_model", &self.fraud), ("return_model", &self.returned)] {
            metadata.extend(champion.as_ref().ok().map(|model| (key.to_owned(), model.version.clone())));
        }
        metadata.extend(self.challengers.versions().map(|(target, v)| (format!("{target}_challenger"), v.to_owned())));
        metadata
    }
}

/// Of the tables that a stream scores by itself: newer ones are published.
pub(super) const SCORES: &[&str] = &["order_scores", "order_features"];

/// What a run computed, but for the tables, which went where they belong.
pub(super) struct Computed {
    kpis: kpi::Counted,
    satisfactions: kpi::Counted,
    scorecard: kpi::scorecard::Scorecard,
    waiting: kpi::Waiting,
    stuck: Found,
    features: Features,
    fraud: Scored,
    returned: Scored,
    scores: Scores,
    monitored: Monitored,
    satisfied: Satisfied,
}

impl Computed {
    /// Computes everything and hands each table over when it is there; `features` are those of the orders in `inputs`.
    ///
    /// # Errors
    /// Every kind of [`Error`].
    pub(super) fn new(
        pipeline: &Pipeline,
        inputs: &Inputs,
        models: Models<'_>,
        (run_id, as_of): (&str, i64),
        features: impl FnOnce() -> Result<Features>,
        outlet: &mut dyn Outlet,
        (stages, tick): (&mut Stopwatch, &(dyn Fn(&str) + Sync)),
    ) -> Result<Self> {
        let tables = &inputs.ingested.tables;
        let Models { registry, fraud: fraud_model, returned: return_model, challengers } = models;
        stages.time("write", || outlet.put("quarantine", &quarantine(&inputs.ingested.rejected, run_id)?))?;
        tick("KPIs");
        let ((mut kpis, mut satisfactions, scorecard), waiting) =
            stages.time("kpi", || Ok((measures(pipeline, inputs, as_of)?, waiting(pipeline, inputs, as_of)?)))?;
        stages.time("write", || {
            outlet.put("kpi", &std::mem::take(&mut kpis.frame))?;
            outlet.put("scorecard", &scorecard.frame)?;
            waiting.frame.as_ref().map_or(Ok(()), |frame| outlet.put("open_cases", frame))
        })?;
        tick("exceptions");
        let stuck = stages.time("exceptions", || exceptional::exceptional(pipeline, inputs, as_of))?;
        stages.time("write", || {
            outlet.put("exceptions", &stuck.exceptions)?;
            stuck.inventory.as_ref().map_or(Ok(()), |frame| outlet.put("inventory_position", frame))
        })?;
        tick("features");
        let mut features = stages.time("features", features)?;
        tick("scores");
        let (fraud, returned, shadows, mut scores) = stages.time("risk", || {
            let fraud = scoring::score(fraud_model, &Examples::of(Target::Fraud, &features))?;
            let returned = scoring::score(return_model, &Examples::of(Target::Return, &features))?;
            let mut scores = scores::decide_orders(pipeline, &inputs.ingested, &features, &fraud, &returned, as_of)?;
            let shadows = challengers.score(&features)?;
            for column in shadows.columns(&features) {
                scores.order_scores.with_column(column).map_err(Error::frames("challengers"))?;
            }
            Ok((fraud, returned, shadows, scores))
        })?;
        stages.time("write", || {
            outlet.put("order_scores", &std::mem::take(&mut scores.order_scores))?;
            outlet.put("review_queue", &scores.review_queue)
        })?;
        tick("monitor");
        let monitored = stages.time("monitor", || {
            let service = Service { fraud: &fraud, returned: &returned, challengers: &challengers, shadows: &shadows };
            monitoring::monitor(pipeline, &inputs.ingested, &features, registry, &service, &scores, as_of)
        })?;
        let days = scores::placed_days(pipeline, &features);
        stages.time("write", || {
            outlet.put("model_monitor", &monitored.frame)?;
            // Nobody reads the values after this.
            let values = features.take_values();
            match outlet.wants("order_features") {
                true => outlet.put("order_features", &scores::logged(pipeline, &inputs.ingested, &features, values)?),
                false => Ok(()),
            }
        })?;
        tick("satisfaction");
        let satisfied =
            stages.time("satisfaction", || satisfied::satisfied(pipeline, tables, &days, &fraud, &stuck, as_of))?;
        tick("publishing");
        stages.time("write", || {
            if let Some(error) = satisfied.error_in_short() {
                outlet.say("order_satisfaction_error", error);
            }
            let measured = std::mem::take(&mut satisfactions.frame);
            outlet.put("satisfaction", &satisfied::with_index(&measured, &satisfied.index)?)?;
            outlet.put("order_satisfaction", &satisfied.orders)?;
            outlet.put("customer_profile", &satisfied.customers)?;
            outlet.put("satisfaction_model", &satisfied.model)?;
            outlet.put("satisfaction_drivers", &satisfied.drivers)
        })?;
        Ok(Self {
            kpis,
            satisfactions,
            scorecard,
            waiting,
            stuck,
            features,
            fraud,
            returned,
            scores,
            monitored,
            satisfied,
        })
    }

    /// What the run did, for people and for the `runs` table.
    pub(super) fn summary(self, pipeline: &Pipeline, inputs: &Inputs, about: About<'_>) -> Summary {
        let Self { kpis, satisfactions, waiting, satisfied, .. } = &self;
        let mut summary =
            summarise(pipeline, about, inputs, &self.features, [&self.fraud, &self.returned], &self.scores);
        summary.computed =
            kpis.computed.iter().chain(&satisfactions.computed).chain(&satisfied.computed).cloned().collect();
        let lists =
            [&kpis.not_computable, &satisfactions.not_computable, &satisfied.not_computable, &waiting.not_computable];
        summary.not_computable = lists.into_iter().flatten().cloned().collect();
        summary.satisfaction = Some(self.satisfied.state);
        summary.not_computable.extend(self.stuck.not_computable);
        summary.exceptions =
            self.stuck.counts.into_iter().map(|(kind, (n, value))| (kind.to_owned(), (n, value))).collect();
        summary.exceptions_left_out = self.stuck.left_out.into_iter().map(|(kind, n)| (kind.to_owned(), n)).collect();
        summary.missed_targets = self.scorecard.missed;
        summary.beyond_so_far = self.scorecard.beyond_so_far;
        summary.monitor = self.monitored.words;
        for condition in &pipeline.raw.kpi.fail_on {
            match condition {
                FailOn::Quarantine if summary.quarantined > 0 => {
                    summary.failed_on.push(format!("{} rows were quarantined", summary.quarantined));
                }
                FailOn::Target if !summary.missed_targets.is_empty() => {
                    summary.failed_on.push(format!("{} targets were missed", summary.missed_targets.len()));
                }
                FailOn::Monitor if self.monitored.alarms > 0 => {
                    summary.failed_on.push(format!("{} alarms of models in service", self.monitored.alarms));
                }
                FailOn::Quarantine | FailOn::Target | FailOn::Monitor => {}
            }
        }
        summary
    }
}

/// What a summary says beside what was computed.
pub(super) struct About<'a> {
    pub(super) run_id: String,
    pub(super) clock: Clock,
    pub(super) out: &'a Path,
}

fn measures(
    pipeline: &Pipeline,
    inputs: &Inputs,
    as_of: i64,
) -> Result<(kpi::Counted, kpi::Counted, kpi::scorecard::Scorecard)> {
    let window = crate::types::time::parse_span(&pipeline.raw.kpi.return_window).unwrap_or_default();
    let clock = kpi::Clock { as_of, zone: pipeline.zone, base_exponent: pipeline.base_exponent };
    let terms = kpi::Terms { as_of, zone: pipeline.zone, return_window: window };
    let segments = &pipeline.raw.kpi.segments;
    let mut measures = kpi::catalogue::catalogue(&terms);
    measures.extend(kpi::catalogue::by_part(&terms, segments));
    let targets = pipeline.targets.as_ref();
    let of_satisfaction = satisfaction::catalogue();
    let lists = [&measures[..], &of_satisfaction];
    let settings = kpi::Settings {
        grains: pipeline.raw.kpi.grains.iter().filter_map(|name| kpi::Grain::parse(name)).collect(),
        min_segment_orders: pipeline.raw.kpi.min_segment_orders,
        exact_durations: pipeline.raw.kpi.exact_durations,
    };
    let tables = super::working_time::added(pipeline, &inputs.ingested.tables, as_of)?;
    let mut counted = kpi::count_in_parts(&tables, &lists, segments, targets, (&terms, clock), &settings)?;
    let satisfactions = counted.pop();
    let (Some(kpis), Some(satisfactions)) = (counted.pop(), satisfactions) else {
        return Err(Error::Invariant("two lists of measures were counted, and there are not two counts".to_owned()));
    };
    let measured = [(&kpis, lists[0]), (&satisfactions, lists[1])];
    let measured = measured.map(|(counted, measures)| kpi::scorecard::Measured { counted, measures });
    let scorecard = kpi::scorecard::score(&pipeline.packs, &measured, clock)?;
    Ok((kpis, satisfactions, scorecard))
}

fn waiting(pipeline: &Pipeline, inputs: &Inputs, as_of: i64) -> Result<kpi::Waiting> {
    let return_window = crate::types::time::parse_span(&pipeline.raw.kpi.return_window).unwrap_or_default();
    let terms = kpi::Terms { as_of, zone: pipeline.zone, return_window };
    kpi::waiting(&inputs.ingested.tables, &terms, &pipeline.raw.kpi.segments)
}

fn quarantine(rejected: &[Rejected], run_id: &str) -> Result<DataFrame> {
    let text = |name: &str, pick: &dyn Fn(&Rejected) -> Option<String>| {
        Column::new(name.into(), rejected.iter().map(pick).collect::<Vec<Option<String>>>())
    };
    let columns = vec![
        text("source", &|r| Some(r.source.clone())),
        text("file", &|r| Some(r.file.clone())),
        Column::new("row".into(), rejected.iter().map(|r| (r.row > 0).then_some(r.row as i64)).collect::<Vec<_>>()),
        text("table", &|r| r.table.clone()),
        text("column", &|r| r.column.clone()),
        text("reason", &|r| Some(r.reason.code().to_owned())),
        text("detail", &|r| Some(r.detail.clone())),
        text("hint", &|r| Some(r.reason.hint().to_owned())),
        text("order_id", &|r| r.order_id.clone()),
        text("raw_record", &|r| Some(r.raw_record.clone())),
        text("run_id", &|_| Some(run_id.to_owned())),
    ];
    DataFrame::new_infer_height(columns).map_err(Error::frames("quarantine"))
}

fn summarise(
    pipeline: &Pipeline,
    about: About<'_>,
    inputs: &Inputs,
    features: &Features,
    scored: [&Scored; 2],
    scores: &Scores,
) -> Summary {
    let ingested = &inputs.ingested;
    let mut reasons = BTreeMap::new();
    for row in &ingested.rejected {
        *reasons.entry(row.reason.code().to_owned()).or_default() += 1;
    }
    let risk = Target::ALL.into_iter().zip(scored).zip(scores.flagged);
    let risk = risk.map(|((target, scored), flagged)| {
        let (labelled, positives) = scoring::label_counts(Examples::of(target, features).outcomes);
        TargetState {
            target: target.to_string(),
            unit: training::unit_of(pipeline, target),
            model: scored.version().map(str::to_owned),
            absent_because: scored.absence().map(str::to_owned),
            flagged,
            labelled,
            positives,
        }
    });
    Summary {
        run_id: about.run_id,
        pipeline: pipeline.raw.name.clone(),
        currency: pipeline.raw.money.base.clone(),
        as_of: about.clock.as_of,
        started_at: about.clock.started_at,
        finished_at: about.clock.started_at,
        peak_memory_mib: None,
        files: ingested.files.values().map(|f| f.len() as u64).sum(),
        files_cached: ingested.files.values().flatten().filter(|f| f.cached).count() as u64,
        sources: ingested.sources.clone(),
        tables: ingested.table_rows.clone(),
        not_yet: inputs.later.iter().map(|(t, n)| ((*t).to_owned(), *n)).collect(),
        quarantined: ingested.rejected.len() as u64,
        reasons,
        folded_times: ingested.counts.folded_times,
        skipped_times: ingested.counts.skipped_times,
        rounded_amounts: ingested.counts.rounded_amounts,
        computed: Vec::new(),
        not_computable: BTreeMap::new(),
        exceptions: BTreeMap::new(),
        exceptions_left_out: BTreeMap::new(),
        missed_targets: Vec::new(),
        beyond_so_far: Vec::new(),
        satisfaction: None,
        monitor: Vec::new(),
        risk: risk.collect(),
        actions: scores.actions,
        review_queue: scores.review_queue.height() as u64,
        published: BTreeMap::new(),
        published_files: [0; 3],
        stages: Vec::new(),
        out: absolute(about.out),
        failed_on: Vec::new(),
    }
}

fn absolute(path: &Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// From how long on a stage leaves so much freed memory that it is worth giving back.
const LONG_IN_SECONDS: f64 = 1.0;

/// Times stages.
pub(super) struct Stopwatch {
    pub(super) begun: Instant,
    pub(super) stages: Vec<Stage>,
    /// Set when nobody waits for the work any more.
    give_up: Arc<AtomicBool>,
    /// Whether memory is given back after long stages.
    gives_back: bool,
}

impl Default for Stopwatch {
    fn default() -> Self {
        Self::giving_up(Arc::default())
    }
}

impl Stopwatch {
    /// Of work that ends before its next stage once `give_up` is set.
    pub(super) fn giving_up(give_up: Arc<AtomicBool>) -> Self {
        Self { begun: Instant::now(), stages: Vec::new(), give_up, gives_back: true }
    }

    /// Of work after which the same is done again, which wants the memory that this leaves.
    pub(super) fn again_and_again() -> Self {
        Self { gives_back: false, ..Self::default() }
    }

    /// The same for what comes seldom.
    pub(super) fn giving_back(self) -> Self {
        Self { gives_back: true, ..self }
    }

    pub(super) fn time<T>(&mut self, stage: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.give_up.load(Ordering::Relaxed) {
            return Err(Error::Invariant(format!("given up before the stage `{stage}`")));
        }
        let begun = Instant::now();
        let done = work()?;
        let seconds = begun.elapsed().as_secs_f64();
        if self.gives_back && seconds >= LONG_IN_SECONDS {
            crate::memory::give_back();
        }
        tracing::debug!(stage, seconds, peak_memory_mib = peak_memory_mib(), "stage done");
        match self.stages.iter_mut().find(|known| known.stage == stage) {
            Some(known) => known.seconds += seconds,
            None => self.stages.push(Stage { stage, seconds }),
        }
        Ok(done)
    }
}
