//! The engine between steps: saved, loaded, merged with another shard's, and rid of what no query can reach.

use super::keys::Keys;
use super::plan::{Plan, StatePlan, Who};
use super::{Engine, Units};
use crate::config::FeatureSpec;
use crate::error::Result;
use crate::features::kernel::{Interner, NO_KEY, State};
use crate::saved::{Reader, Section, damaged};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// What renames a set of keys that has no names of its own: the whole shop is 0 for ever.
const SHOP: &[u32] = &[0];

/// The set of an entity's keys, or of a pair's; empty for the whole shop.
pub(super) fn key_set(who: Who) -> String {
    match who {
        (entity, _) if entity.column.is_empty() => String::new(),
        (entity, None) => entity.name.to_owned(),
        (first, Some(second)) => format!("{}+{}", first.name, second.name),
    }
}

impl Plan {
    /// A hash of everything that the state depends on.
    fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for state in &self.states {
            hasher.update(format!("{:?} {:?}", state.level, state.stream).as_bytes());
            hasher.update(&state.declarations.hash());
        }
        *hasher.finalize().as_bytes()
    }
}

impl Engine {
    /// Everything seen so far: the sets of keys, then a section each, then one for each state.
    pub fn save(&mut self) -> Vec<Section> {
        let mut first = Section::default();
        first.bytes(&self.plan.hash());
        first.texts(self.keys.of.keys().map(String::as_str));
        let keys: Vec<&mut Interner> = self.keys.of.values_mut().collect();
        let keys = keys.into_par_iter().map(|keys| {
            let mut section = Section::default();
            keys.save_into(&mut section);
            section
        });
        let states = self.states.par_iter().map(|state| {
            let mut section = Section::default();
            state.save_into(&mut section);
            section
        });
        std::iter::once(first).chain(keys.chain(states).collect::<Vec<_>>()).collect()
    }

    /// What [`Self::save`] gave for the same features.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] for sections that are no engine, or one of other features.
    pub fn load(specs: &[FeatureSpec], units: Units, sections: &[Reader<'_>]) -> Result<Self> {
        let plan = Plan::new(specs, units)?;
        let (first, rest) = sections.split_first().ok_or_else(damaged)?;
        let mut first = first.clone();
        if first.bytes()? != plan.hash() {
            return Err(crate::error::Error::InputRefused {
                message: "the saved state was made for other feature declarations than the pipeline's".to_owned(),
                hint: Some("run over the whole history: it is rebuilt from the accepted tables".to_owned()),
            });
        }
        let sets = first.texts()?;
        let (of_keys, of_states) = rest.split_at_checked(sets.len()).ok_or_else(damaged)?;
        if of_states.len() != plan.states.len() {
            return Err(damaged());
        }
        let read = |(name, section): (String, &Reader<'_>)| {
            let mut section = section.clone();
            let keys = Interner::read(&mut section)?;
            section.finish().map(|()| (name, keys))
        };
        let keys = sets.into_par_iter().zip(of_keys).map(read).collect::<Result<BTreeMap<_, _>>>()?;
        let size = |set: &str| if set.is_empty() { SHOP.len() } else { keys.get(set).map_or(0, Interner::len) };
        let read = |(state, section): (&StatePlan, &Reader<'_>)| {
            let entities = size(&key_set(state.who));
            let others = state.other.map_or(0, |other| size(&key_set((other, None))));
            let mut section = section.clone();
            let state = State::read(state.declarations.clone(), entities, others, &mut section)?;
            section.finish().map(|()| state)
        };
        let states = plan.states.par_iter().zip(of_states).map(read).collect::<Result<Vec<_>>>()?;
        Ok(Self { plan, states, keys: Keys { of: keys } })
    }

    /// Says that nothing placed before `before` will ask: what no window can reach any more becomes totals or is forgotten,
    /// and so are keys of which nothing is left. Numbers of keys taken before are void: the new ones by the old ones
    /// ([`NO_KEY`] where a key was forgotten), for each entity of which any is another now.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] beyond 2³² − 1 keys.
    pub fn expire(&mut self, before: i64) -> Result<Renamed> {
        self.expire_but(before, |_| ())
    }

    /// As [`Self::expire`], without forgetting keys that `wanted` marks: for each set of them (an entity's name) it is given
    /// by number which are to stay.
    ///
    /// # Errors
    /// As [`Self::expire`].
    pub fn expire_but(&mut self, before: i64, wanted: impl FnOnce(&mut Live)) -> Result<Renamed> {
        let mut live: Live = self.keys.of.iter().map(|(name, keys)| (name.clone(), vec![false; keys.len()])).collect();
        wanted(&mut live);
        self.states.par_iter_mut().for_each(|state| state.expire(before));
        // Set by set, each of which several states use.
        live.par_iter_mut().for_each(|(set, live)| {
            for (plan, state) in self.plan.states.iter().zip(&self.states) {
                if key_set(plan.who) == *set {
                    state.mark_entities(live);
                }
                if plan.other.is_some_and(|other| key_set((other, None)) == *set) {
                    state.mark_others(live);
                }
            }
        });
        // A pair keeps its parts.
        let (pairs, mut live): (Live, Live) = live.into_iter().partition(|(set, _)| set.contains('+'));
        live.par_iter_mut().for_each(|(set, live)| {
            for (pair, of_pair) in &pairs {
                let (Some((first, second)), Some(keys)) = (pair.split_once('+'), self.keys.of.get(pair)) else {
                    continue;
                };
                for (place, _) in [first, second].into_iter().enumerate().filter(|(_, part)| part == set) {
                    for (id, _) in of_pair.iter().enumerate().filter(|(_, live)| **live) {
                        let part = keys.key(id as u32).and_then(Keys::parts).map(|parts| parts[place] as usize);
                        if let Some(live) = part.and_then(|part| live.get_mut(part)) {
                            *live = true;
                        }
                    }
                }
            }
        });
        live.extend(pairs);
        let mut names = self.keys.forget(&live)?;
        self.plan.states.par_iter().zip(&mut self.states).for_each(|(plan, state)| {
            let of = |who: Who| names.get(&key_set(who)).map_or(SHOP, Vec::as_slice);
            let (entities, others) = (of(plan.who), plan.other.map_or(SHOP, |other| of((other, None))));
            if !are_kept(entities) || !are_kept(others) {
                state.rename(entities, others);
            }
        });
        names.retain(|_, names| !are_kept(names));
        Ok(names)
    }

    /// Takes over what another engine of the same features has seen: that of another shard, or another part of the events.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] beyond 2³² − 1 keys, [`crate::error::Error::Invariant`] for other features.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        if self.plan.hash() != other.plan.hash() {
            return Err(crate::error::Error::Invariant("engines of different features were merged".to_owned()));
        }
        let names = self.keys.take_in(&other.keys)?;
        for ((plan, state), theirs) in self.plan.states.iter().zip(&mut self.states).zip(other.states) {
            let of = |who: Who| names.get(&key_set(who)).map_or(SHOP, Vec::as_slice);
            state.merge(theirs, of(plan.who), plan.other.map_or(SHOP, |other| of((other, None))))?;
        }
        Ok(())
    }

    /// Keys by set, and events kept because a window can still reach them: what the size of the state comes from.
    pub fn size(&self) -> (BTreeMap<&str, usize>, usize) {
        let keys = self.keys.of.iter().map(|(name, keys)| (name.as_str(), keys.len())).collect();
        (keys, self.states.iter().map(State::retained).sum())
    }
}

/// Which keys are to stay, by entity (or pair of them) and number.
pub type Live = BTreeMap<String, Vec<bool>>;

/// New numbers of keys by the old ones, by entity (or pair of them).
pub type Renamed = BTreeMap<String, Vec<u32>>;

/// Whether new numbers (ascending, with gaps for what was forgotten) are the old ones.
fn are_kept(names: &[u32]) -> bool {
    names.last().is_none_or(|&last| last as usize + 1 == names.len())
}

impl Keys {
    /// The two numbers of a pair's key.
    fn parts(key: &[u8]) -> Option<[u32; 2]> {
        let number = |from: usize| Some(u32::from_le_bytes(key.get(from..from + 4)?.try_into().ok()?));
        Some([number(0)?, number(4)?])
    }

    /// Forgets what is not live; the new numbers of each set by the old ones.
    fn forget(&mut self, live: &Live) -> Result<BTreeMap<String, Vec<u32>>> {
        let alive = |name: &str| live.get(name).map(Vec::as_slice).unwrap_or_default();
        let keep = |(name, keys): (&String, &mut Interner)| (name.clone(), keys.keep(alive(name)));
        let (mut pairs, mut plain): (Vec<_>, Vec<_>) = self.of.iter_mut().partition(|(name, _)| name.contains('+'));
        // Plain ones first: pairs are made of their numbers.
        let mut names: BTreeMap<String, Vec<u32>> =
            plain.par_iter_mut().map(|(name, keys)| keep((*name, *keys))).collect();
        let of_pairs: Vec<(String, Vec<u32>)> = pairs
            .par_iter_mut()
            .map(|(name, keys)| {
                let renamed = keep((*name, *keys));
                if let Some((first, second)) = name.split_once('+') {
                    let (first, second) = (names.get(first), names.get(second));
                    if ![first, second].into_iter().flatten().all(|names| are_kept(names)) {
                        **keys = Self::renamed_pairs(keys, first, second)?;
                    }
                }
                Ok(renamed)
            })
            .collect::<Result<_>>()?;
        names.extend(of_pairs);
        Ok(names)
    }

    fn renamed_pairs(keys: &Interner, first: Option<&Vec<u32>>, second: Option<&Vec<u32>>) -> Result<Interner> {
        let name =
            |names: Option<&Vec<u32>>, id: u32| names.and_then(|n| n.get(id as usize)).copied().unwrap_or(NO_KEY);
        let mut pairs = Interner::default();
        pairs.reserve(keys.len());
        pairs.intern_all((0..keys.len() as u32).map(|id| {
            let [a, b] = keys.key(id).and_then(Self::parts).unwrap_or([NO_KEY; 2]);
            Some(Self::pair_key(name(first, a), name(second, b)))
        }))?;
        Ok(pairs)
    }

    /// Takes over another's keys; our numbers of each set by theirs.
    fn take_in(&mut self, other: &Self) -> Result<BTreeMap<String, Vec<u32>>> {
        let mut names: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let (pairs, plain): (Vec<_>, Vec<_>) = other.of.iter().partition(|(name, _)| name.contains('+'));
        for (name, keys) in plain.into_iter().chain(pairs) {
            let moved;
            let keys = match name.split_once('+') {
                Some((first, second)) => {
                    moved = Self::renamed_pairs(keys, names.get(first), names.get(second))?;
                    &moved
                }
                None => keys,
            };
            let ours = self.of.entry(name.clone()).or_default();
            let numbers = (0..keys.len() as u32).map(|id| ours.intern(keys.key(id).unwrap_or_default()));
            names.insert(name.clone(), numbers.collect::<Result<_>>()?);
        }
        Ok(names)
    }
}
