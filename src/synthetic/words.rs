//! What customers write, in the languages of the shop.

use super::dice::Dice;

/// What a text is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Middling,
    Late,
    Missing,
    Damaged,
    Wrong,
    Oversold,
    Cancelled,
}

/// One language's sentences, by tone in the order of [`Tone`].
struct Phrases {
    language: &'static str,
    good: [&'static str; 4],
    middling: [&'static str; 2],
    late: [&'static str; 2],
    missing: &'static str,
    damaged: &'static str,
    wrong: &'static str,
    oversold: &'static str,
    cancelled: &'static str,
}

static PHRASES: [Phrases; 6] = [
    Phrases {
        language: "en",
        good: [
            "Great quality, fast delivery.",
            "Exactly as described, thank you!",
            "Very happy, will buy again.",
            "Arrived early and well packed.",
        ],
        middling: ["It is okay for the price.", "Works, but I expected a bit more."],
        late: ["Arrived far too late.", "Delivery took much longer than promised, tracking did not move for days."],
        missing: "My parcel never arrived.",
        damaged: "The box was crushed and the item is broken.",
        wrong: "You sent the wrong item.",
        oversold: "Does not look like the pictures, \"premium\" it is not.",
        cancelled: "Order was cancelled after I had paid.",
    },
    Phrases {
        language: "de",
        good: [
            "Alles bestens, gerne wieder.",
            "Schnelle Lieferung, gute Qualität.",
            "Genau wie beschrieben, danke!",
            "Super verpackt und pünktlich.",
        ],
        middling: ["Für den Preis in Ordnung.", "Ganz gut, aber etwas dünn verarbeitet."],
        late: ["Kam viel zu spät.", "Die Lieferung dauerte ewig, die Sendungsverfolgung stand tagelang still."],
        missing: "Das Paket ist nie angekommen.",
        damaged: "Karton zerdrückt, Ware kaputt.",
        wrong: "Falscher Artikel geliefert.",
        oversold: "Sieht anders aus als auf den Bildern; \"Leder\" ist das nicht.",
        cancelled: "Bestellung wurde nach der Zahlung storniert.",
    },
    Phrases {
        language: "fr",
        good: [
            "Très bonne qualité, livraison rapide.",
            "Conforme à la description, merci !",
            "Parfait, je recommande.",
            "Colis soigné, arrivé en avance.",
        ],
        middling: ["Correct pour le prix.", "Pas mal, mais un peu fragile."],
        late: ["Arrivé beaucoup trop tard.", "La livraison a pris des semaines, sans aucune nouvelle."],
        missing: "Je n'ai jamais reçu le colis.",
        damaged: "Carton écrasé, article cassé.",
        wrong: "Ce n'est pas l'article commandé.",
        oversold: "Rien à voir avec les photos, qualité médiocre.",
        cancelled: "Commande annulée après le paiement.",
    },
    Phrases {
        language: "es",
        good: [
            "Muy buena calidad y envío rápido.",
            "Tal como se describe, ¡gracias!",
            "Encantada, repetiré.",
            "Llegó antes de lo previsto.",
        ],
        middling: ["Está bien por el precio.", "Cumple, pero esperaba algo mejor."],
        late: ["Llegó demasiado tarde.", "El envío tardó semanas, nadie respondía."],
        missing: "El paquete nunca llegó.",
        damaged: "Caja aplastada y producto roto.",
        wrong: "Me enviaron otro artículo.",
        oversold: "No se parece a las fotos, mala calidad.",
        cancelled: "Cancelaron el pedido después de pagar.",
    },
    Phrases {
        language: "ja",
        good: [
            "とても良い品質です。発送も早かったです。",
            "説明どおりでした。ありがとうございます。",
            "大満足です。また買います。",
            "梱包が丁寧でした。",
        ],
        middling: ["値段相応です。", "悪くはないですが、少し期待外れ。"],
        late: ["届くのが遅すぎます。", "配送が何日も止まっていました。"],
        missing: "商品が届きませんでした。",
        damaged: "箱がつぶれていて、商品が壊れていました。",
        wrong: "違う商品が届きました。",
        oversold: "写真と全然違います。",
        cancelled: "支払い後にキャンセルされました。",
    },
    Phrases {
        language: "zh",
        good: ["质量很好，发货很快！", "和描述一致，非常满意。", "包装仔细，会再来。", "物流快，客服好。"],
        middling: ["一般般，对得起这个价格。", "还可以，比想象的差一点。"],
        late: ["太慢了，等了很久。", "物流好多天没更新，迟到了。"],
        missing: "一直没收到包裹。",
        damaged: "箱子压坏了，东西碎了。",
        wrong: "发错货了。",
        oversold: "与图片不符，质量差。",
        cancelled: "付款后订单被取消了。",
    },
];

/// Writes a comment into `out` and returns the language it is in: the customer's, or English where we have no other.
pub(super) fn write_comment(out: &mut String, tone: Tone, language: &'static str, dice: &mut Dice) -> &'static str {
    let phrases = PHRASES.iter().find(|p| p.language == language).unwrap_or(&PHRASES[0]);
    out.push_str(match tone {
        Tone::Good => dice.pick(&phrases.good),
        Tone::Middling => dice.pick(&phrases.middling),
        Tone::Late => dice.pick(&phrases.late),
        Tone::Missing => phrases.missing,
        Tone::Damaged => phrases.damaged,
        Tone::Wrong => phrases.wrong,
        Tone::Oversold => phrases.oversold,
        Tone::Cancelled => phrases.cancelled,
    });
    if dice.chance(0.12) {
        // Forms keep the line breaks of either kind of keyboard.
        out.push_str(if dice.chance(0.3) { "\r\n" } else { "\n" });
        let more = if tone == Tone::Good { &phrases.good[..] } else { &phrases.middling[..] };
        out.push_str(dice.pick(more));
    }
    phrases.language
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_without_phrases_is_answered_in_english() {
        let mut text = String::new();
        let mut dice = Dice::new(1);
        assert_eq!(write_comment(&mut text, Tone::Wrong, "pl", &mut dice), "en");
        assert_eq!(write_comment(&mut text, Tone::Wrong, "ja", &mut dice), "ja");
        assert!(text.contains("違う商品"), "{text}");
    }
}
