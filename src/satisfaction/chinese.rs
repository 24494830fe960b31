//! What facts are called in Chinese where they go with a difference in satisfaction.

/// Facts by name, in words that `：` can follow.
static FACTS: &[(&str, &str)] = &[
    ("days_late", "比承诺日每晚一天"),
    ("is_late", "未按承诺日送达"),
    ("days_early", "比承诺日每早一天"),
    ("promised_days", "从下单到承诺日每多一天"),
    ("ship_days_late", "发货每迟一天"),
    ("days_to_pay", "付款前每多一天"),
    ("review_days", "订单审核每多一天"),
    ("processing_days", "从审核到发货每多一天"),
    ("transit_days", "运输每多一天"),
    ("order_days", "从下单到送达每多一天"),
    ("not_delivered", "订单尚未送达"),
    ("cancelled", "订单已取消"),
    ("customs_days", "清关每多一天"),
    ("carrier_delay", "承运商报告延误"),
    ("damage", "运输中报告破损"),
    ("loss", "承运商报告丢失"),
    ("address_problem", "地址有问题"),
    ("stockout", "商品缺货"),
    ("wrong_item", "店铺已知发错商品"),
    ("contacts", "每多一次客服联系"),
    ("complaints", "每多一起纠纷、索赔或拒付"),
    ("reply_wait_hours", "等待首次回复每多一小时"),
    ("other_language", "答复所用语言与客户不同"),
    ("returns", "每多一次退货申请"),
    ("amount", "金额高出一个标准差"),
    ("units", "每多订购一件"),
    ("item_count", "每多一个商品项"),
    ("shipping_fee_share", "运费占金额的比例每高一成"),
    ("tax_duty_share", "税费占金额的比例每高一成"),
    ("discount_share", "折扣占金额的比例每高一成"),
    ("customer_earlier_points", "同一客户以往评分每高于全店一分"),
    ("seller_earlier_points", "同一卖家以往评分每高于全店一分"),
    ("carrier_earlier_points", "同一承运商以往评分每高于全店一分"),
    ("ship_country_earlier_points", "同一收货国以往评分每高于全店一分"),
    ("channel_earlier_points", "同一渠道以往评分每高于全店一分"),
];

/// The words of a fact; `None` if it has none.
pub(super) fn words(fact: &str) -> Option<&'static str> {
    FACTS.iter().find(|(name, _)| *name == fact).map(|(_, words)| *words)
}
