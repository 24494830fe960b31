//! Models of the family `ftrl` go on learning from the labels that ripen in a stream, in the shadow.
//!
//! The challenger of a target, or else its champion, is copied where it is of that family. Each order that was scored, was
//! placed after all that the model learnt from, and whose label is ripe by the watermark is one example, given once, by the
//! time its label was ripe and then by its id, with the features that were logged when it was scored and with what was known
//! of it when it was ripe. So what a copy has learnt at a watermark is a function of the model and of what was known by
//! then: whatever the cut into epochs, and whenever learning began, the bits are the same. Nothing is scored by a copy until
//! somebody registers it (`ordersight models learned`).
//!
//! Only orders that wait for their label are held. What was learnt is part of the commit of the epoch it was learnt in. Which
//! orders wait is not written down: it follows from what the tables say at the watermark, but for the few that were learnt
//! from and of which a later correction says that they ripen only after it ([`Copied::early`]).

use super::scoring::{Lesson, Scoring, Stepped};
use super::taught::{Files, Saved};
use crate::config::{Pipeline, ReturnUnit};
use crate::error::Result;
use crate::health::Learned;
use crate::ingest::Group;
use crate::pipeline::challengers::hinted;
use crate::pipeline::training::feature_terms;
use crate::publish::Publisher;
use crate::registry::{LearntUntil, Registered, Registry};
use crate::risk::ftrl::copy::{LearningCopy, Lessons, Tested};
use crate::risk::{Family, Target};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// Orders that are learnt from together: it bounds memory and changes nothing else.
const TOGETHER: usize = 50_000;

/// The copies of both targets.
#[derive(Default)]
pub(super) struct Learning {
    copies: BTreeMap<Target, Copied>,
    /// What the last commit holds of copies that have not been taken up: of versions that are not in service any more.
    left: BTreeMap<Target, Saved>,
    /// Challenger and champion by target as they were last looked at, and which of them is copied.
    chosen: BTreeMap<Target, ([Option<String>; 2], Option<String>)>,
    files: Files,
}

/// A model that goes on learning.
struct Copied {
    base: Registered,
    copy: LearningCopy,
    /// What the version has learnt from.
    learnt: LearntUntil,
    /// The watermark up to which it has learnt, UTC microseconds.
    until: i64,
    /// Orders that wait for their label, with when they were placed.
    waiting: HashMap<Group, i64>,
    /// Orders that count as learnt from although they would wait by what is known of them now.
    early: BTreeSet<String>,
}

impl Learning {
    /// Takes up what the last commit left, at its watermark and before anything else is taken.
    ///
    /// # Errors
    /// [`crate::error::Error::Environment`] for a state that cannot be read, [`crate::error::Error::Model`] for a model.
    pub(super) fn resume(
        publisher: &Publisher,
        scoring: Option<&Scoring<'_>>,
        (pipeline, registry): (&Pipeline, &Registry),
        (out, watermark): (&Path, Option<i64>),
    ) -> Result<Self> {
        let (files, mut left) = Files::read(publisher)?;
        let mut learning = Self { files, ..Self::default() };
        if let (Some(scoring), Some(watermark)) = (scoring, watermark) {
            for target in asked(pipeline) {
                let version = learning.version(target, registry)?;
                let found = left.remove(&target);
                match (found, version) {
                    (Some(saved), Some(version)) if saved.version == version && saved.until == watermark => {
                        let base = registry.load(target, &version)?;
                        if !saved.copy.fits(&base.model) {
                            tracing::warn!(%target, %version, "the state of learning is not of this model; begun anew");
                            continue;
                        }
                        let mut copied = Copied::of(base, saved);
                        copied.wait(scoring.lessons(target, out, &scoring.all_scored(), watermark)?);
                        learning.copies.insert(target, copied);
                    }
                    (Some(saved), _) => drop(learning.left.insert(target, saved)),
                    (None, _) => {}
                }
            }
        }
        Ok(learning)
    }

    /// Learns from the labels that have ripened by the watermark `as_of`.
    ///
    /// # Errors
    /// [`crate::error::Error::Model`] when a model cannot be read or does not fit the features that were logged.
    pub(super) fn step(
        &mut self,
        scoring: &Scoring<'_>,
        stepped: &Stepped,
        (pipeline, registry): (&Pipeline, &Registry),
        (out, as_of): (&Path, i64),
    ) -> Result<()> {
        for target in asked(pipeline) {
            let Some(version) = self.version(target, registry)? else {
                self.copies.remove(&target);
                self.left.remove(&target);
                self.files.drop_of(target);
                continue;
            };
            let challenges = self.chosen.get(&target).is_some_and(|([first, _], _)| first.as_ref() == Some(&version));
            let is_same = self.copies.get(&target).is_some_and(|copied| copied.base.version == version);
            if !is_same {
                let before = self.copies.remove(&target).map(|copied| copied.saved()).or(self.left.remove(&target));
                let copied = Copied::begin(registry, target, &version, before)?;
                self.files.drop_of(target);
                self.copies.insert(target, copied);
            }
            let Some(copied) = self.copies.get_mut(&target) else { continue };
            let (groups, fresh) = match is_same {
                true => copied.looks_at(scoring, stepped, as_of.saturating_sub(ripens_after(pipeline, target))),
                false => (scoring.all_scored(), scoring.all_scored().into_iter().collect()),
            };
            let due = copied.take_in(scoring.lessons(target, out, &groups, as_of)?, &fresh);
            for due in due.chunks(TOGETHER) {
                let tested = copied.learn(scoring, out, due).map_err(|error| match challenges {
                    true => hinted(target, error),
                    false => error,
                })?;
                self.files.tested(target, &version, tested)?;
            }
            copied.until = as_of;
            self.files.save(target, &copied.saved())?;
        }
        Ok(())
    }

    /// State files that go with the next commit, by name: `None` for those that stay as they are.
    pub(super) fn files(&mut self) -> BTreeMap<String, Option<Vec<u8>>> {
        self.files.take()
    }

    /// What the copies have learnt, for the status.
    pub(super) fn told(&self) -> Vec<Learned> {
        let one = |(target, copied): (&Target, &Copied)| Learned {
            target: target.name().to_owned(),
            version: copied.base.version.clone(),
            examples: copied.copy.examples,
            positives: copied.copy.positives,
            waiting: copied.waiting.len() as u64,
            until: Some(copied.until),
        };
        self.copies.iter().map(one).collect()
    }

    /// The version that is copied: the challenger if it is of the family, else the champion if that is.
    fn version(&mut self, target: Target, registry: &Registry) -> Result<Option<String>> {
        let now = [registry.challenger_version(target)?, registry.champion_version(target)?];
        if let Some((_, version)) = self.chosen.get(&target).filter(|(of, _)| *of == now) {
            return Ok(version.clone());
        }
        let mut found = None;
        for version in now.iter().flatten() {
            if registry.family(target, version)? == Family::Ftrl.name() {
                found = Some(version.clone());
                break;
            }
        }
        self.chosen.insert(target, (now, found.clone()));
        Ok(found)
    }
}

/// Targets that are scored order by order. Lines are scored with the whole shop and their features are not logged.
fn asked(pipeline: &Pipeline) -> Vec<Target> {
    let risk = &pipeline.raw.risk;
    let is_asked = |target: &Target| match target {
        Target::Fraud => risk.fraud.is_some(),
        Target::Return => risk.returns.as_ref().is_some_and(|returns| returns.unit == ReturnUnit::Order),
    };
    Target::ALL.into_iter().filter(is_asked).collect()
}

/// The least time from placement to a ripe label, microseconds. Nothing is delivered before it is placed.
fn ripens_after(pipeline: &Pipeline, target: Target) -> i64 {
    let terms = feature_terms(pipeline, 0);
    match target {
        Target::Fraud => terms.fraud_matures_after,
        Target::Return => {
            terms.return_matures_after.unwrap_or(i64::MAX).min(terms.return_window).min(terms.undelivered_after)
        }
    }
}

impl Copied {
    fn of(base: Registered, saved: Saved) -> Self {
        let Saved { copy, placed_after, ripe_after, tested_after, until, early, .. } = saved;
        let learnt = LearntUntil { placed_at: placed_after, ripe_at: ripe_after, made_at: tested_after };
        Self { base, copy, learnt, until, waiting: HashMap::new(), early }
    }

    /// A copy of a version that has learnt nothing. What `before` counts as learnt from stays so where the version was made
    /// of it.
    fn begin(registry: &Registry, target: Target, version: &str, before: Option<Saved>) -> Result<Self> {
        let base = registry.load(target, version)?;
        let learnt = registry.learnt_until(&base)?;
        let learned_from = base.manifest.learned.as_ref().map(|learned| learned.from.as_str());
        let is_successor = before.as_ref().is_some_and(|before| learned_from == Some(before.version.as_str()));
        match &before {
            Some(before) => tracing::info!(
                %target, %version, before = %before.version, examples = before.copy.examples,
                "another model goes on learning; what the copy before it learnt is dropped{}",
                if is_successor { ", and is in the new one as far as it was registered" } else { "" }
            ),
            None => tracing::info!(%target, %version, "a copy of the model goes on learning in the shadow"),
        }
        let copy = LearningCopy::of(&base.model).ok_or_else(|| registry.not_learning(target, version))?;
        let early = before.filter(|_| is_successor).map(|before| before.early).unwrap_or_default();
        let saved = Saved::new(version.to_owned(), copy, learnt);
        Ok(Self::of(base, Saved { early, ..saved }))
    }

    fn saved(&self) -> Saved {
        let saved = Saved::new(self.base.version.clone(), self.copy.clone(), self.learnt);
        Saved { until: self.until, early: self.early.clone(), ..saved }
    }

    /// Orders of which a step may have told that their label is ripe, or will be at another time than was thought, and those
    /// of them that it was never told of; nothing placed after `ripe_before` can be ripe.
    fn looks_at(
        &mut self,
        scoring: &Scoring<'_>,
        stepped: &Stepped,
        ripe_before: i64,
    ) -> (Vec<Group>, BTreeSet<Group>) {
        let mut fresh = BTreeSet::new();
        for &(group, placed_at) in &stepped.asked {
            if placed_at <= ripe_before {
                fresh.insert(group);
            } else if placed_at > self.learnt.placed_at {
                self.waiting.insert(group, placed_at);
            }
        }
        let asked: BTreeSet<Group> = stepped.asked.iter().map(|(group, _)| *group).collect();
        let may_tell = |group: &Group| match self.waiting.get(group) {
            Some(placed_at) => *placed_at <= ripe_before || scoring.is_changed(*group),
            None => scoring.is_scored(*group),
        };
        let touched = stepped.touched.iter().filter(|group| !asked.contains(group)).filter(|group| may_tell(group));
        let all: BTreeSet<Group> = fresh.iter().chain(touched).copied().collect();
        (all.into_iter().collect(), fresh)
    }

    /// Has orders wait that are not ripe at the watermark up to which it has learnt.
    fn wait(&mut self, lessons: Vec<Lesson>) {
        let waits = |lesson: &Lesson| {
            lesson.placed_at > self.learnt.placed_at && lesson.ripe.is_none() && !self.early.contains(&lesson.order_id)
        };
        let waiting = lessons.into_iter().filter(waits).map(|lesson| (lesson.group, lesson.placed_at));
        self.waiting = waiting.collect();
    }

    /// What is to be learnt now, in the order in which it is; the rest waits. `fresh` are orders that it was never told of.
    fn take_in(&mut self, lessons: Vec<Lesson>, fresh: &BTreeSet<Group>) -> Vec<Lesson> {
        let mut due = Vec::new();
        for lesson in lessons {
            let was_waiting = self.waiting.remove(&lesson.group).is_some()
                || (fresh.contains(&lesson.group) && !self.early.contains(&lesson.order_id));
            if lesson.placed_at <= self.learnt.placed_at {
                self.early.remove(&lesson.order_id);
                continue;
            }
            match lesson.ripe {
                Some((ripe_at, _)) => {
                    self.early.remove(&lesson.order_id);
                    if was_waiting && self.learnt.ripe_at.is_none_or(|after| ripe_at > after) {
                        due.push(lesson);
                    }
                }
                None if was_waiting => drop(self.waiting.insert(lesson.group, lesson.placed_at)),
                None => drop(self.early.insert(lesson.order_id)),
            }
        }
        let ripe_at = |lesson: &Lesson| lesson.ripe.map(|(at, _)| at);
        due.sort_by(|a, b| (ripe_at(a), &a.order_id).cmp(&(ripe_at(b), &b.order_id)));
        due
    }

    /// Learns from orders in their order; how each would have been scored when it was placed.
    fn learn(&mut self, scoring: &Scoring<'_>, out: &Path, due: &[Lesson]) -> Result<Vec<Tested>> {
        let groups: Vec<Group> = due.iter().map(|lesson| lesson.group).collect();
        let placed_at: Vec<i64> = due.iter().map(|lesson| lesson.placed_at).collect();
        let (ripe_at, labels): (Vec<i64>, Vec<bool>) = due.iter().filter_map(|lesson| lesson.ripe).unzip();
        let matrix = &scoring.logged_features(out, &groups, &self.base.model)?;
        let lessons = Lessons { matrix, placed_at: &placed_at, ripe_at: &ripe_at, labels: &labels };
        self.copy.learn(&self.base.model, lessons, self.learnt.made_at)
    }
}
