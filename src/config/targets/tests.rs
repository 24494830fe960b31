//! Packs: what is read, what is refused, and whom they are held against.

use super::read::{SHIPPED, read_pack};
use super::*;

fn read(text: &str) -> Result<TargetPack, Vec<String>> {
    let mut problems = Vec::new();
    let pack = read_pack("kpi.targets", "mine", text.to_owned(), &mut problems);
    pack.ok_or_else(|| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn every_shipped_pack_can_be_read_and_says_of_each_figure_where_it_is_from() {
    for (name, text) in SHIPPED {
        let pack = read(text).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        for target in &pack.targets {
            let source = target.source.as_deref().unwrap_or_default();
            assert!(source.len() > 20, "{name}: {} has no source", target.kpi);
            assert!(!source.contains("memory"), "{name}: {}: {source}", target.kpi);
            // What was read has a day. A promise of one's own needs none.
            let own = *name == "service";
            assert!(own || target.checked.is_some(), "{name}: {}: {source}", target.kpi);
        }
    }
}

#[test]
fn every_mistake_of_a_pack_is_reported_with_what_is_allowed() {
    let problems = read(
        "version = \"1\"\nsource = \"us\"\n\
         [[target]]\nkpi = \"a\"\nop = \"<\"\nvalue = 0.1\nwindow = \"trailing_0d\"\n\
         [[target]]\nkpi = \"b\"\nop = \"<\"\nvalue = nan\nchecked = \"soon\"\ntolerated = -1\n\
         [[target]]\nkpi = \"c\"\nop = \"<\"\nvalue = 1\nwindow = { month = 3 }\n\
         [[target]]\nkpi = \"d\"\nop = \"<\"\nvalue = 1\nwindow = \"month\"\nwindow_days = 30\n",
    )
    .unwrap_err();
    let allowed = "`window` must be `day`, `week`, `month`, `all`, `trailing_30d` (1 to 999 days) or an evaluation \
                   period such as `{ months = 3, enough = 400, otherwise = 12 }`";
    assert_eq!(
        problems,
        [
            format!("`kpi.targets`: in pack `mine`: target 1 (`a`): {allowed}, found `trailing_0d`"),
            "`kpi.targets`: in pack `mine`: target 2 (`b`): `value` must be a number, found NaN".to_owned(),
            "`kpi.targets`: in pack `mine`: target 2 (`b`): `tolerated` must be at least 0, found -1".to_owned(),
            "`kpi.targets`: in pack `mine`: target 2 (`b`): `checked` must be a day such as 2026-03-01, found `soon`"
                .to_owned(),
            format!("`kpi.targets`: in pack `mine`: target 3 (`c`): {allowed}, found the key `month`"),
            "`kpi.targets`: in pack `mine`: target 4 (`d`): has both `window` and `window_days`; only one can say \
             the time"
                .to_owned(),
        ]
    );
    let problems = read("version = \"1\"\nsource = \"us\"\n\n[[target]]\nkpi = \"a\"\nop = \"=<\"\nvalue = 1\n");
    assert_eq!(
        problems.unwrap_err(),
        ["`kpi.targets`: in pack `mine`: line 6: unknown variant `=<`, expected one of `<`, `<=`, `>`, `>=`"]
    );
}

#[test]
fn windows_are_read_by_name_and_old_packs_still_are() {
    let window = |text: &str| {
        let text = format!("version = \"1\"\nsource = \"us\"\n[[target]]\nkpi = \"a\"\nop = \"<\"\nvalue = 1\n{text}");
        read(&text).unwrap().targets[0].window
    };
    assert_eq!(window(""), Window::Month);
    assert_eq!(window("window_days = 60"), Window::Trailing(60));
    assert_eq!(window("window = \"trailing_14d\"").name(), "trailing_14d");
    assert_eq!(
        window("window = { months = 3, enough = 400, otherwise = 12 }"),
        Window::Months { months: 3, enough: 400, otherwise: 12 }
    );
}

#[test]
fn packs_are_held_for_the_shop_for_channels_and_for_the_channel_a_pack_names() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.toml"), "version = \"7\"\nsource = \"us\"\nchannel = \"web\"\n").unwrap();
    let held = |targets: &str| {
        let targets: Targets = serde_json::from_str(targets).unwrap();
        let mut problems = Vec::new();
        let held = find_all(&targets, folder.path(), &mut problems);
        assert_eq!(problems, []);
        let shop = of_the_shop(&held).map(|pack| pack.version);
        let name = |h: &HeldPack| format!("{} {}", h.channel.as_deref().unwrap_or("-"), h.name);
        (held.iter().map(name).collect::<Vec<_>>(), shop)
    };
    let version = |name: &str| {
        let text = SHIPPED.iter().find(|(n, _)| *n == name).unwrap().1;
        read(text).unwrap().version
    };
    assert_eq!(held("\"amazon\""), (vec!["- amazon".to_owned()], Some(version("amazon"))));
    assert_eq!(held("[\"service\", \"mine.toml\"]").0, ["- service", "web mine.toml"]);
    let (names, shop) = held(r#"{ "ebay": "ebay", "all": ["service", "mine.toml"], "amazon": ["amazon", "service"] }"#);
    assert_eq!(names, ["- mine.toml", "- service", "amazon amazon", "amazon service", "ebay ebay"]);
    assert_eq!(shop, Some(format!("mine.toml 7 + service {}", version("service"))));
}
