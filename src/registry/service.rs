//! Which versions are in service: the champion, what it followed, and a challenger in its shadow.

use super::{CHAMPION, RETIRED, Registered, Registry, files, sequence};
use crate::error::{Error, Result};
use crate::risk::Target;

/// What was ever done with the champion, one line each, oldest first; lines are only added.
const HISTORY: &str = "champions";
const CHALLENGER: &str = "challenger";

/// A line of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// A version was put in service.
    Promoted(String),
    /// The one before was put back.
    BackTo(String),
    /// A version was taken out of service for good.
    Retired(String),
}

impl Change {
    fn line(&self) -> String {
        match self {
            Self::Promoted(version) => format!("promoted {version}\n"),
            Self::BackTo(version) => format!("back-to {version}\n"),
            Self::Retired(version) => format!("retired {version}\n"),
        }
    }

    fn read(line: &str) -> Option<Self> {
        let (word, version) = line.split_once(' ')?;
        sequence(version)?;
        let version = version.to_owned();
        match word {
            "promoted" => Some(Self::Promoted(version)),
            "back-to" => Some(Self::BackTo(version)),
            "retired" => Some(Self::Retired(version)),
            _ => None,
        }
    }
}

/// Champions that could be put back, the present one last: promotions add one, going back takes the last away, and
/// what was retired is not put back.
fn succession(history: &[Change], champion: Option<&str>) -> Vec<String> {
    let mut line: Vec<String> = Vec::new();
    for change in history {
        match change {
            Change::Promoted(version) if line.last() != Some(version) => line.push(version.clone()),
            Change::Promoted(_) => {}
            Change::BackTo(version) => {
                while line.last().is_some_and(|last| last != version) {
                    line.pop();
                }
                if line.is_empty() {
                    line.push(version.clone());
                }
            }
            Change::Retired(version) => line.retain(|kept| kept != version),
        }
    }
    // Taking one out may leave its neighbours side by side.
    line.dedup();
    // The pointer is what counts: a registry older than its history, or a change that was cut short.
    match champion {
        Some(champion) if line.last().is_none_or(|last| last != champion) => line.push(champion.to_owned()),
        _ => {}
    }
    line
}

impl Registry {
    /// The model in service; `None` when none was ever put in service (or the last one was retired).
    ///
    /// # Errors
    /// [`Error::Model`] when there is a pointer but no whole model behind it.
    pub fn champion(&self, target: Target) -> Result<Option<Registered>> {
        self.champion_version(target)?.map(|version| self.load(target, &version)).transpose()
    }

    /// The version in service, without reading the model.
    pub fn champion_version(&self, target: Target) -> Result<Option<String>> {
        self.pointer(target, CHAMPION)
    }

    /// The model that scores in the champion's shadow, without effect; `None` without one.
    ///
    /// # Errors
    /// As [`Self::champion`].
    pub fn challenger(&self, target: Target) -> Result<Option<Registered>> {
        self.challenger_version(target)?.map(|version| self.load(target, &version)).transpose()
    }

    /// The challenger's version, without reading the model.
    pub fn challenger_version(&self, target: Target) -> Result<Option<String>> {
        self.pointer(target, CHALLENGER)
    }

    fn pointer(&self, target: Target, name: &str) -> Result<Option<String>> {
        let Some(bytes) = files::read(&self.target_dir(target).join(name))? else { return Ok(None) };
        let version = String::from_utf8_lossy(&bytes).trim().to_owned();
        if sequence(&version).is_none() {
            return Err(self.refusal(target, format!("the {name} of `{target}` is not a version name: `{version}`")));
        }
        Ok(Some(version))
    }

    /// Puts a version in service; a retired one is taken back, and a challenger ends its shadow.
    ///
    /// # Errors
    /// As [`Self::load`]: what cannot be read is not put in service.
    pub fn promote(&self, target: Target, version: &str) -> Result<()> {
        self.load(target, version)?;
        self.put_in_service(target, version, &Change::Promoted(version.to_owned()))
    }

    /// Puts the champion before the present one back and gives its version.
    ///
    /// # Errors
    /// [`Error::Model`] when there was none before, or it cannot be read.
    pub fn rollback(&self, target: Target) -> Result<String> {
        let champion = self.champion_version(target)?;
        let line = succession(&self.history(target)?, champion.as_deref());
        let before = line.iter().rev().find(|version| Some(version.as_str()) != champion.as_deref());
        let Some(version) = before else {
            return Err(self.refusal(target, format!("no `{target}` champion was in service before the present one")));
        };
        self.load(target, version)?;
        self.put_in_service(target, version, &Change::BackTo(version.clone()))?;
        Ok(version.clone())
    }

    fn put_in_service(&self, target: Target, version: &str, change: &Change) -> Result<()> {
        let dir = self.target_dir(target);
        // The history first: killed in between, the pointer still counts and the line says what was meant.
        if self.champion_version(target).ok().flatten().as_deref() != Some(version) {
            files::append(&dir, HISTORY, change.line().as_bytes())?;
        }
        files::remove(&dir.join(version).join(RETIRED))?;
        files::replace(&dir, CHAMPION, format!("{version}\n").as_bytes())?;
        self.end_challenge(target, version)
    }

    /// Has a version score in the champion's shadow from the next run on; `None` ends that.
    ///
    /// # Errors
    /// As [`Self::load`]; the champion cannot challenge itself, nor can a retired version.
    pub fn challenge(&self, target: Target, version: Option<&str>) -> Result<()> {
        let dir = self.target_dir(target);
        let Some(version) = version else { return files::remove(&dir.join(CHALLENGER)) };
        self.load(target, version)?;
        let refuse = |why: &str| Err(self.refusal(target, format!("`{target}` {version} cannot challenge: {why}")));
        if self.champion_version(target)?.as_deref() == Some(version) {
            return refuse("it is the champion");
        }
        if dir.join(version).join(RETIRED).exists() {
            return refuse("it is retired");
        }
        files::replace(&dir, CHALLENGER, format!("{version}\n").as_bytes())
    }

    /// Takes a version out of service for good; its files stay. The champion is retired only with `force`, as that
    /// leaves its target without a model.
    ///
    /// # Errors
    /// [`Error::Model`] when there is no such version, or it is the champion.
    pub fn retire(&self, target: Target, version: &str, force: bool) -> Result<()> {
        let dir = self.target_dir(target);
        // A damaged version can be retired: only its folder has to be there.
        if !self.versions(target)?.iter().any(|found| found == version) {
            return Err(self.unknown(target, version));
        }
        let is_champion = self.champion_version(target)?.as_deref() == Some(version);
        if is_champion && !force {
            return Err(Error::Model {
                message: format!("`{target}` {version} is in service and has no successor"),
                hint: Some(format!(
                    "put another in service first (`ordersight models promote {target} VERSION` or `ordersight models \
                     rollback {target}`), or leave the target without a model with --force"
                )),
            });
        }
        // The pointers go first: killed in between, the version is out of service and not yet marked.
        files::append(&dir, HISTORY, Change::Retired(version.to_owned()).line().as_bytes())?;
        if is_champion {
            files::remove(&dir.join(CHAMPION))?;
        }
        self.end_challenge(target, version)?;
        files::replace(&dir.join(version), RETIRED, b"")
    }

    fn end_challenge(&self, target: Target, version: &str) -> Result<()> {
        match self.challenger_version(target) {
            Ok(Some(challenger)) if challenger == version => files::remove(&self.target_dir(target).join(CHALLENGER)),
            _ => Ok(()),
        }
    }

    fn history(&self, target: Target) -> Result<Vec<Change>> {
        let bytes = files::read(&self.target_dir(target).join(HISTORY))?.unwrap_or_default();
        // A line that was cut short by a crash is no change: the pointer had not moved yet.
        Ok(String::from_utf8_lossy(&bytes).lines().filter_map(Change::read).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: u32) -> String {
        format!("v{number:04}-0123abcd")
    }

    fn line(changes: &[(&str, u32)], champion: u32) -> Vec<u32> {
        let read = |(word, number): &(&str, u32)| Change::read(&format!("{word} {}", version(*number))).unwrap();
        let history: Vec<Change> = changes.iter().map(read).collect();
        succession(&history, Some(&version(champion))).iter().filter_map(|version| sequence(version)).collect()
    }

    #[test]
    fn going_back_walks_down_the_line_and_does_not_come_back_up() {
        let (up, back, out) = ("promoted", "back-to", "retired");
        assert_eq!(line(&[(up, 1), (up, 2), (up, 3)], 3), [1, 2, 3]);
        assert_eq!(line(&[(up, 1), (up, 2), (up, 3), (back, 2)], 2), [1, 2]);
        assert_eq!(line(&[(up, 1), (up, 2), (up, 3), (back, 2), (back, 1), (up, 4)], 4), [1, 4]);
        assert_eq!(line(&[(up, 1), (up, 2), (up, 1), (out, 2)], 1), [1]);
        // A registry that is older than its history.
        assert_eq!(line(&[], 5), [5]);
        assert_eq!(line(&[(up, 6)], 5), [6, 5]);
        assert_eq!(Change::read("promoted v00"), None);
    }
}
