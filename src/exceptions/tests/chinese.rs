//! Details and suggested actions in Chinese say of the same exceptions what the English ones say.

use super::*;

/// What stands in quotes, ids and figures left aside, no English word is left.
fn is_chinese(text: &str) -> bool {
    let unquoted: String = text.split('`').step_by(2).collect();
    let english = [" the ", " not ", " is ", " by ", " of ", " and ", " after ", "shipped", "refund", "ago", "days"];
    unquoted.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
        && !english.iter().any(|word| unquoted.contains(word))
}

#[test]
fn every_kind_says_the_same_in_chinese_of_the_same_orders() {
    let column = |found: &Found, name: &str| found.exceptions.column(name).unwrap().str().unwrap().clone();
    let mut compared = 0;
    for kind in ExceptionKind::ALL {
        let Example { tables: texts, at } = example(kind);
        let tables = tables(texts);
        for (as_of, _) in at {
            let [english, chinese] =
                [Language::En, Language::Zh].map(|language| search_in(language, &tables, &settings(), as_of));
            let told = |found: &Found| found.exceptions.drop_many(["detail", "suggested_action"]);
            assert!(told(&english).equals_missing(&told(&chinese)), "{} at {as_of}", kind.name());
            for name in ["detail", "suggested_action"] {
                for text in column(&chinese, name).iter().flatten() {
                    assert!(is_chinese(text), "{}: {name}: {text}", kind.name());
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 50, "{compared}");
}

#[test]
fn a_detail_in_chinese_has_every_figure_of_the_english_one() {
    let said = |kind: ExceptionKind| {
        let Example { tables: texts, at } = example(kind);
        let (as_of, _) = at.iter().find(|(_, expected)| !expected.is_empty()).unwrap();
        rows(&search_in(Language::Zh, &tables(texts), &settings(), as_of), kind).remove(0)
    };
    assert_eq!(
        said(ExceptionKind::PaymentOverdue),
        "A 11T08:00 low 1000: 2026-01-10 08:00 UTC 下单，24 小时后仍未付款（付款方式 konbini）；时限 24 小时"
    );
    let stuck = rows(&search_in(Language::Zh, &lane_shop(), &settings(), "12T09+1"), ExceptionKind::StuckInTransit);
    assert_eq!(
        stuck,
        [
            "abroad 12T09:00 medium 1000: 自 2026-01-10 00:00 UTC 的 `first_scan` 起 57 小时没有消息；到下一条消息，\
             全部 60 件包裹（更细的线路不足 50 件）中有 95 % 不超过 57 小时",
            "open 12T09:00 medium 1000: 自 2026-01-10 00:00 UTC 的 `first_scan` 起 57 小时没有消息；到下一条消息，\
             从 W1 到 DE，承运商 dhl 的 60 件包裹中有 95 % 不超过 57 小时"
        ]
    );
}
