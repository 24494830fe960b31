//! What features are called in Chinese, made from the same parts as in English: entity, event, aggregate, window.
//! Values come after the words, counts too.

use crate::config::FeatureSpec;
use crate::contract::feature::{AggregateKind, Entity, EventKind};
use crate::types::time::{DAY, HOUR};

/// Facts of the order or line itself.
static FACTS: &[(&str, &str)] = &[
    ("amount", "订单金额"),
    ("item_count", "订单商品项数"),
    ("units", "订单件数"),
    ("shipping_fee_share", "运费占金额的比例"),
    ("tax_duty_share", "税费占金额的比例"),
    ("discount_share", "折扣占金额的比例"),
    ("hour_of_day", "下单钟点"),
    ("is_night", "夜间下单（0 至 6 点）"),
    ("is_weekend", "周末下单"),
    ("account_age_days", "账户年龄"),
    ("promised_delivery_days", "距承诺送达的时间"),
    ("promised_ship_hours", "距承诺发货的时间"),
    ("ship_billing_country_differs", "收货国与账单国不同"),
    ("ship_ip_country_differs", "收货国与网络所在国不同"),
    ("billing_ip_country_differs", "账单国与网络所在国不同"),
    ("billing_payment_country_differs", "账单国与卡所属国不同"),
    ("basket_line_count", "购物篮行数"),
    ("basket_article_count", "购物篮内不同商品数"),
    ("basket_unit_price_max", "最贵商品的单价"),
    ("basket_sized_line_count", "带尺码的行数"),
    ("basket_spare_size_count", "购物篮内同款商品的多余尺码数"),
    ("line_unit_price", "商品单价"),
    ("line_cost_share", "该行占购物篮金额的比例"),
    ("line_quantity", "该行数量"),
    ("line_same_article_count", "同款商品的其他行数"),
    ("line_spare_size_count", "该商品在购物篮内的多余尺码数"),
];

/// The name of a feature; `None` for one of the pipeline's own columns and what is neither declared nor built in.
pub(super) fn label(name: &str, declared: &[FeatureSpec]) -> Option<String> {
    if let Some((_, label)) = FACTS.iter().find(|fact| fact.0 == name) {
        return Some((*label).to_owned());
    }
    if let Some(spec) = declared.iter().find(|spec| spec.name == name) {
        return Some(of_window(spec));
    }
    for (over, words) in [("basket_max_", "购物篮内最高"), ("basket_mean_", "购物篮内平均")] {
        if let Some(line) = name.strip_prefix(over) {
            return label(line, declared).map(|label| format!("{label}（{words}）"));
        }
    }
    crate::config::built_in_features().iter().find(|spec| spec.name == name).map(of_window)
}

fn of_window(spec: &FeatureSpec) -> String {
    let whose = match (spec.entity.name, spec.with) {
        ("shop", _) => "全店".to_owned(),
        (_, Some(with)) => format!("该{}与该{}", entity(spec.entity), entity(with)),
        _ => format!("该{}", entity(spec.entity)),
    };
    let when = when(spec.span, spec.delay);
    let events = events(spec.events);
    let value = spec.value.map_or("", |value| of_value(value.name));
    match spec.aggregate {
        AggregateKind::Count => format!("{whose}{when}的{events}数"),
        AggregateKind::Sum => format!("{whose}{when}{events}的{value}合计"),
        AggregateKind::Mean => format!("{whose}{when}{events}的平均{value}"),
        AggregateKind::Max => format!("{whose}{when}{events}的最高{value}"),
        AggregateKind::Ratio => format!("{value}相当于{whose}{when}平均值的倍数"),
        AggregateKind::SinceLast => format!("距{whose}上一次{events}的时间"),
        AggregateKind::Distinct => format!("{whose}{when}的不同{}数", spec.other.map_or("", entity)),
        AggregateKind::Rate if spec.events == EventKind::Delivery => format!("{whose}{when}所订商品的送达率"),
        AggregateKind::Rate => format!("{whose}{when}订单的{events}率"),
        AggregateKind::Share => format!("{whose}{when}占全部{events}的比例"),
        AggregateKind::FirstUse => format!("老{}首次使用该{}", entity(spec.entity), spec.with.map_or("", entity)),
    }
}

fn when(span: Option<i64>, delay: i64) -> String {
    let length = |span: i64| match span {
        span if span > DAY && span % DAY == 0 => format!(" {} 天", span / DAY),
        span => format!(" {} 小时", span / HOUR),
    };
    match (span, delay) {
        (None, 0) => "此前".to_owned(),
        (None, delay) => format!("截至{}前", length(delay)),
        (Some(span), 0) => format!("{}内", length(span)),
        (Some(span), delay) => format!("截至{}前的{}内", length(delay), length(span)),
    }
}

fn entity(entity: &Entity) -> &'static str {
    match entity.name {
        "customer" => "客户",
        "device" => "设备",
        "payment" => "卡或账户",
        "ip" => "IP 地址",
        "network" => "IP 网段",
        "email" => "邮箱地址",
        "email_domain" => "邮箱域名",
        "phone" => "电话号码",
        "ship_address" => "收货地址",
        "ship_postcode" => "收货邮编",
        "ship_region" => "收货地区",
        "ship_country" => "收货国",
        "billing_country" => "账单国",
        "payment_country" => "卡所属国",
        "ip_country" => "网络所在国",
        "payment_method" => "支付方式",
        "service_level" => "配送服务",
        "channel" => "渠道",
        "seller" => "卖家",
        "warehouse" => "仓库",
        "shop" => "店铺",
        "sku" => "商品",
        "category" => "品类",
        "brand" => "品牌",
        "size" => "尺码",
        "color" => "颜色",
        // A test goes through all of them.
        other => other,
    }
}

fn events(events: EventKind) -> &'static str {
    match events {
        EventKind::Order => "订单",
        EventKind::Line => "订单行",
        EventKind::Fraud => "已知欺诈",
        EventKind::Return => "已知退货",
        EventKind::Delivery => "已知送达",
        EventKind::ReturnRequest => "退货申请",
        EventKind::Contact => "客服联系",
        EventKind::Dispute => "纠纷",
        EventKind::Claim => "索赔",
        EventKind::Chargeback => "拒付",
        EventKind::Feedback => "评价",
    }
}

fn of_value(name: &str) -> &str {
    match name {
        "amount" => "金额",
        "shipping_fee" => "运费",
        "tax_duty" => "税费",
        "discount" => "折扣",
        "item_count" => "商品项数",
        "units" => "件数",
        "unit_price" => "单价",
        "quantity" => "数量",
        "score" => "评分",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::feature::ENTITIES;
    use crate::features::describe;

    /// Nothing but names that Chinese writes so itself is left in Latin letters.
    fn is_chinese(label: &str) -> bool {
        let rest = label.replace("IP", "");
        !rest.chars().any(|c| c.is_ascii_alphabetic()) && rest.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
    }

    #[test]
    fn every_built_in_feature_and_every_fact_has_a_name_of_its_own_in_both_languages() {
        let specs = crate::config::built_in_features();
        let windows = specs.iter().map(|spec| spec.name.clone());
        let baskets = specs.iter().filter(|spec| spec.is_of_line());
        let baskets = baskets.flat_map(|spec| ["max", "mean"].map(|over| format!("basket_{over}_{}", spec.name)));
        let facts = describe::fact_names().map(str::to_owned);
        let names: Vec<String> = facts.chain(windows).chain(baskets).collect();
        let (mut seen, mut english) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        for name in &names {
            let chinese = label(name, &[]).unwrap_or_else(|| panic!("{name} has no Chinese name"));
            assert!(is_chinese(&chinese), "{name}: {chinese}");
            assert!(seen.insert(chinese.clone()), "{name}: {chinese} is another's name too");
            let note = describe::note(name, &[]);
            assert!(!note.label.is_empty() && note.label.is_ascii(), "{name}: {}", note.label);
            english.insert(note.label);
        }
        assert!(names.len() > 120 && english.len() == names.len(), "{} {}", names.len(), english.len());
    }

    #[test]
    fn every_part_a_declaration_can_have_is_chinese() {
        assert!(ENTITIES.iter().all(|e| is_chinese(entity(e))));
        for kind in [
            EventKind::Order,
            EventKind::Line,
            EventKind::Delivery,
            EventKind::ReturnRequest,
            EventKind::Contact,
            EventKind::Feedback,
        ] {
            assert!(is_chinese(events(kind)) && kind.values().iter().all(|value| is_chinese(of_value(value.name))));
        }
    }

    #[test]
    fn windows_and_delays_are_said() {
        assert_eq!(label("device_order_count_24h", &[]).as_deref(), Some("该设备 24 小时内的订单数"));
        assert_eq!(label("customer_device_first_use_lifetime", &[]).as_deref(), Some("老客户首次使用该设备"));
        assert_eq!(when(Some(7 * DAY), 30 * DAY), "截至 30 天前的 7 天内");
        assert_eq!(when(None, DAY), "截至 24 小时前");
    }
}
