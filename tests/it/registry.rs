//! Models that watch one another: challengers without effect, promotions that say what they change, and the way back.

use crate::harness::{Done, finish, ordersight};
use crate::shop::Shop;
use crate::tiny::query;
use std::path::{Path, PathBuf};

/// A shop with a registry of its own, in which fraud has two versions; the first is in service.
struct Desk {
    shop: Shop,
    models: PathBuf,
    versions: [String; 2],
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap().path();
        let to = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy(&entry, &to);
        } else {
            std::fs::copy(&entry, &to).unwrap();
        }
    }
}

impl Desk {
    fn new() -> Self {
        let shop = Shop::new(1_500, 2, 60, 0.0);
        let command = shop.command(&shop.input(), &shop.path("out"), "2026-01-01T00:00:00Z");
        let args: Vec<_> = command.get_args().collect();
        let at = args.iter().position(|arg| *arg == "--models").unwrap();
        let models = shop.path("models");
        copy(Path::new(args[at + 1]), &models);
        let first = std::fs::read_to_string(models.join("fraud/champion")).unwrap().trim().to_owned();
        let second = first.replace("v0001-", "v0002-");
        copy(&models.join("fraud").join(&first), &models.join("fraud").join(&second));
        Self { shop, models, versions: [first, second] }
    }

    fn run(&self, out: &str) -> Done {
        let mut command = self.shop.command(&self.shop.input(), &self.shop.path(out), "2026-01-01T00:00:00Z");
        // The later one counts.
        let args: Vec<String> = command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect();
        let at = args.iter().position(|arg| arg == "--models").unwrap();
        let mut args = args;
        args[at + 1] = self.models.display().to_string();
        command = ordersight(&args.iter().map(String::as_str).collect::<Vec<_>>());
        finish(command.env("ORDERSIGHT_DEMO_DATA", self.shop.input()))
    }

    fn models(&self, code: i32, args: &[&str]) -> String {
        let models = self.models.display().to_string();
        let done = finish(&mut ordersight(&[&["models"], args, &["--models", &models]].concat()));
        assert_eq!(done.code, code, "{args:?}\n{}\n{}", done.stdout, done.stderr);
        done.stdout + &done.stderr
    }

    fn champion(&self) -> String {
        std::fs::read_to_string(self.models.join("fraud/champion")).unwrap().trim().to_owned()
    }
}

#[test]
fn models_are_watched_compared_put_back_and_refused_when_they_do_not_fit() {
    let desk = Desk::new();
    let [first, second] = &desk.versions;

    // A challenger scores beside the champion and changes nothing that is done.
    let alone = desk.run("alone");
    assert_eq!(alone.code, 0, "{}", alone.stderr);
    desk.models(0, &["challenge", "fraud", second]);
    assert!(desk.models(0, &["list"]).contains("challenger"));
    let watched = desk.run("watched");
    assert_eq!(watched.code, 0, "{}", watched.stderr);
    let acted = "SELECT order_id, action, priority, fraud_probability FROM order_scores ORDER BY order_id";
    let (alone, watched) = (desk.shop.path("alone"), desk.shop.path("watched"));
    assert_eq!(query(&alone, acted), query(&watched, acted));
    let logged = |out: &Path, what: &str| {
        query(out, &format!("SELECT COUNT(*) AS n FROM order_scores WHERE {what}"))[0]["n"].as_u64().unwrap()
    };
    assert_eq!(logged(&alone, "fraud_challenger_probability IS NOT NULL"), 0);
    assert_eq!(logged(&watched, "fraud_challenger_probability IS NULL OR fraud_probability IS NULL"), 0);
    // Here it is the same model under another name.
    assert_eq!(logged(&watched, "fraud_challenger_probability <> fraud_probability"), 0);

    // A promotion says what changes, and ends the shadow.
    let said = desk.models(0, &["promote", "fraud", second]);
    assert!(said.contains(&format!("fraud model {second} is in service instead of {first}")), "{said}");
    assert!(said.contains("on the same ") && said.contains("average precision"), "{said}");
    assert_eq!(desk.champion(), *second);
    assert!(!desk.models.join("fraud/challenger").exists());
    desk.models(4, &["challenge", "fraud", second]);

    // The champion has a successor before it goes.
    let refused = desk.models(4, &["retire", "fraud", second]);
    assert!(refused.contains("has no successor") && refused.contains("--force"), "{refused}");
    assert!(desk.models(0, &["rollback", "fraud"]).contains(&format!("{first} is in service again")));
    assert_eq!(desk.champion(), *first);
    let refused = desk.models(4, &["rollback", "fraud"]);
    assert!(refused.contains("no `fraud` champion was in service before"), "{refused}");
    desk.models(0, &["retire", "fraud", second]);
    let refused = desk.models(4, &["challenge", "fraud", second]);
    assert!(refused.contains("it is retired"), "{refused}");
    let history = std::fs::read_to_string(desk.models.join("fraud/champions")).unwrap();
    let tail = format!("promoted {second}\nback-to {first}\nretired {second}\n");
    assert!(history.ends_with(&tail), "{history}");

    // What does not fit is refused with the first difference, the challenger with the way out.
    desk.models(0, &["promote", "fraud", second]);
    desk.models(0, &["promote", "fraud", first]);
    desk.models(0, &["challenge", "fraud", second]);
    rename_a_feature(&desk.models.join("fraud").join(second));
    let refused = desk.run("refused");
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert!(refused.stderr.contains("the challenger: ") && refused.stderr.contains("`amuont`"), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: `ordersight models challenge fraud none`"), "{}", refused.stderr);
    desk.models(0, &["challenge", "fraud", "none"]);
    assert_eq!(desk.run("refused").code, 0);
    rename_a_feature(&desk.models.join("fraud").join(first));
    let refused = desk.run("refused");
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert!(refused.stderr.contains("feature 1 is `amount`, the model has `amuont` there"), "{}", refused.stderr);
}

/// Renames the first feature of a version, consistently: as if it had been trained on other features.
fn rename_a_feature(version: &Path) {
    let read = |name: &str| std::fs::read_to_string(version.join(name)).unwrap();
    let model = read("model.json").replacen("\"amount\"", "\"amuont\"", 1);
    let mut manifest: serde_json::Value = serde_json::from_str(&read("manifest.json")).unwrap();
    manifest["features"][0] = "amuont".into();
    let mut features = blake3::Hasher::new();
    for feature in manifest["features"].as_array().unwrap() {
        features.update(feature.as_str().unwrap().as_bytes()).update(b"\n");
    }
    manifest["features_blake3"] = features.finalize().to_hex().to_string().into();
    manifest["model_blake3"] = blake3::hash(model.as_bytes()).to_hex().to_string().into();
    std::fs::write(version.join("model.json"), model).unwrap();
    std::fs::write(version.join("manifest.json"), manifest.to_string()).unwrap();
}
