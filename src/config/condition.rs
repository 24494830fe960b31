//! Rule conditions: what they read, and what is wrong with them, shown where it stands.

use crate::contract::input::{Kind, table};
use sqlparser::ast::{BinaryOperator, Expr, Function, Ident, Query, Value, Visit, Visitor};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;
use std::ops::ControlFlow;

/// Functions of one order's own values. What looks at other rows (`SUM`, `AVG`, `RANK`) would let an order be judged by
/// later ones, what reads the clock would judge it differently every day, and what can give not-a-number (`LN`, `SQRT`)
/// would match where there is no value; none of them is here.
const FUNCTIONS: &[&str] = &[
    "abs",
    "ceil",
    "ceiling",
    "coalesce",
    "concat",
    "concat_ws",
    "date",
    "date_part",
    "div",
    "ends_with",
    "floor",
    "greatest",
    "if",
    "ifnull",
    "initcap",
    "least",
    "left",
    "length",
    "char_length",
    "lower",
    "ltrim",
    "mod",
    "nullif",
    "regexp_like",
    "replace",
    "right",
    "round",
    "rtrim",
    "sign",
    "split_part",
    "starts_with",
    "strftime",
    "strpos",
    "substr",
    "timestamp",
    "trunc",
    "truncate",
    "upper",
];

/// Functions over many rows, for a message that says so.
const OVER_ROWS: &[&str] = &[
    "avg",
    "count",
    "sum",
    "min",
    "max",
    "median",
    "stddev",
    "stdev",
    "variance",
    "var",
    "first",
    "last",
    "total",
    "corr",
    "quantile_cont",
    "quantile_disc",
    "rank",
    "dense_rank",
    "row_number",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "string_agg",
    "array_agg",
];

/// Facts of an order that are features beside the declared ones. A test holds them against those that are computed.
pub const ORDER_FACTS: &[&str] = &[
    "amount",
    "item_count",
    "units",
    "shipping_fee_share",
    "tax_duty_share",
    "discount_share",
    "hour_of_day",
    "is_night",
    "is_weekend",
    "account_age_days",
    "promised_delivery_days",
    "promised_ship_hours",
    "ship_billing_country_differs",
    "ship_ip_country_differs",
    "billing_ip_country_differs",
    "billing_payment_country_differs",
    "basket_line_count",
    "basket_article_count",
    "basket_unit_price_max",
    "basket_sized_line_count",
    "basket_spare_size_count",
];

/// A stretch of a condition: line and column of its first character, both from 1, and its length in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    line: usize,
    column: usize,
    width: usize,
}

impl Place {
    /// The first word of a condition.
    pub fn start_of(sql: &str) -> Self {
        let before = sql.chars().take_while(|c| c.is_whitespace());
        let (mut line, mut column) = (1, 1);
        for c in before {
            (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        let width = sql.trim_start().chars().take_while(|c| !c.is_whitespace()).count();
        Self { line, column, width }
    }
}

/// A column that a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionColumn {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// Whether it stands in double quotes.
    pub is_quoted: bool,
}

/// Something wrong in a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    /// What, with the condition and a mark under the place.
    pub(super) message: String,
    /// What to try.
    pub(super) hint: Option<String>,
}

/// Every mistake of a condition but unknown names, and the columns it names, in the order they stand.
pub(super) fn inspect(sql: &str) -> (Vec<ConditionColumn>, Vec<Mistake>) {
    let condition = match parse(sql) {
        Ok(condition) => condition,
        Err(mistake) => return (Vec::new(), vec![mistake]),
    };
    let mut reader = Reader { sql, columns: Vec::new(), mistakes: Vec::new() };
    let _ = condition.visit(&mut reader);
    (reader.columns, reader.mistakes)
}

/// The columns that a checked condition names, in the order they stand; none of one that cannot be read.
pub fn condition_columns(sql: &str) -> Vec<ConditionColumn> {
    inspect(sql).0
}

/// A message with the line of the condition it is about, and a mark under the place.
pub fn pointing_at(sql: &str, place: Place, message: &str) -> String {
    const SHOWN: usize = 96;
    let line: Vec<char> = sql.lines().nth(place.line.saturating_sub(1)).unwrap_or_default().chars().collect();
    let at = place.column.saturating_sub(1).min(line.len());
    // Of a long line what stands around the place.
    let from = if at + place.width > SHOWN { at.saturating_sub(SHOWN / 3) } else { 0 };
    let shown: String = line.iter().skip(from).take(SHOWN).map(|&c| if c == '\t' { ' ' } else { c }).collect();
    let (before, after) = (if from > 0 { "…" } else { "" }, if line.len() > from + SHOWN { "…" } else { "" });
    let indent = " ".repeat(at - from + before.chars().count());
    let mark = "^".repeat(place.width.clamp(1, SHOWN));
    format!("{message}\n      {before}{}{after}\n      {indent}{mark}", shown.trim_end())
}

fn parse(sql: &str) -> Result<Expr, Mistake> {
    let failed = |error: &dyn std::fmt::Display| syntax(sql, &error.to_string());
    let mut parser = Parser::new(&GenericDialect).try_with_sql(sql).map_err(|e| failed(&e))?;
    let condition = parser.parse_expr().map_err(|e| failed(&e))?;
    let next = parser.peek_token();
    match next.token {
        Token::EOF => Ok(condition),
        other => {
            let start = next.span.start;
            let found = other.to_string();
            let place =
                Place { line: start.line as usize, column: start.column as usize, width: found.chars().count() };
            let message = format!("unexpected `{found}` after the condition");
            Err(Mistake { message: pointing_at(sql, place, &message), hint: None })
        }
    }
}

/// The parser's words, without the place at their end: that is shown.
fn syntax(sql: &str, error: &str) -> Mistake {
    let said = error.trim_start_matches("sql parser error: ");
    let end = || {
        let line = sql.trim_end().lines().count().max(1);
        let width = sql.trim_end().lines().last().unwrap_or_default().chars().count();
        Place { line, column: width + 1, width: 1 }
    };
    let (words, place) = match said.split_once(" at Line: ") {
        Some((words, place)) => {
            let mut numbers = place.split(", Column: ").map(|n| n.trim().parse::<usize>().ok());
            let place = match (numbers.next().flatten(), numbers.next().flatten()) {
                (Some(line), Some(column)) if line > 0 && column > 0 => {
                    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').count();
                    let rest: String = sql.lines().nth(line - 1).unwrap_or_default().chars().skip(column - 1).collect();
                    Place { line, column, width: word(&rest).max(1) }
                }
                _ => end(),
            };
            (words, place)
        }
        None => (said, end()),
    };
    Mistake { message: pointing_at(sql, place, &format!("cannot be read: {words}")), hint: None }
}

struct Reader<'a> {
    sql: &'a str,
    columns: Vec<ConditionColumn>,
    mistakes: Vec<Mistake>,
}

fn place_of(ident: &Ident) -> Place {
    let (start, end) = (ident.span.start, ident.span.end);
    let width = if start.line == end.line { end.column.saturating_sub(start.column) as usize } else { 1 };
    Place { line: start.line as usize, column: start.column as usize, width: width.max(1) }
}

impl Reader<'_> {
    fn wrong(&mut self, place: Option<Place>, message: &str, hint: &str) {
        let message = match place {
            Some(place) => pointing_at(self.sql, place, message),
            None => message.to_owned(),
        };
        self.mistakes.push(Mistake { message, hint: Some(hint.to_owned()) });
    }

    fn function(&mut self, function: &Function) {
        let name = function.name.to_string().to_lowercase();
        let place = function.name.0.last().and_then(|part| part.as_ident()).map(place_of);
        if function.over.is_some() || OVER_ROWS.contains(&name.as_str()) {
            let message = format!("`{name}` looks at many orders, and later ones among them");
            self.wrong(
                place,
                &message,
                "a condition is about one order; declare what it needs of the past as a feature",
            );
        } else if !FUNCTIONS.contains(&name.as_str()) {
            let hint = super::did_you_mean(&name, FUNCTIONS.iter().copied());
            let hint = hint.unwrap_or_else(|| format!("there are {}", FUNCTIONS.join(", ")));
            self.wrong(place, &format!("conditions have no function `{name}`"), &hint);
        }
    }

    /// What is compared with a text or with null and can never be equal.
    fn compared(&mut self, column: &Expr, with: &Expr) {
        let Expr::Value(value) = with else { return };
        let ident = match column {
            Expr::Identifier(ident) => Some(ident),
            _ => None,
        };
        if value.value == Value::Null {
            let message = "a comparison with NULL never matches";
            self.wrong(ident.map(place_of), message, "ask with `IS NULL` or `IS NOT NULL`");
            return;
        }
        let Some(ident) = ident else { return };
        let kind = table("orders").and_then(|orders| orders.kind_of(&ident.value));
        if matches!(kind, Some(Kind::Personal(_))) {
            let message = format!("`{}` is a keyed hash here and never equals a text", ident.value);
            let hint = match ident.value.as_str() {
                "email" => "`email_domain` is kept in clear",
                "ip" => "`ip_network` and `ip_country` can be compared",
                _ => "features of what it did before can be compared",
            };
            self.wrong(Some(place_of(ident)), &message, hint);
        }
    }
}

impl Visitor for Reader<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.wrong(None, "a condition has no SELECT of its own", "declare what it needs of other rows as a feature");
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => {
                let place = place_of(ident);
                self.columns.push(ConditionColumn {
                    name: ident.value.clone(),
                    place,
                    is_quoted: ident.quote_style.is_some(),
                });
            }
            Expr::CompoundIdentifier(parts) => {
                let named: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
                let place = parts.first().map(place_of);
                let (name, last) = (named.join("."), named.last().copied().unwrap_or_default());
                self.wrong(place, &format!("`{name}` names a table"), &format!("write `{last}` alone"));
            }
            Expr::Function(function) => self.function(function),
            Expr::BinaryOp { left, op, right } => {
                use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
                if matches!(op, Eq | NotEq | Gt | GtEq | Lt | LtEq) {
                    self.compared(left, right);
                    self.compared(right, left);
                }
            }
            Expr::InList { expr, list, .. } => {
                if let Some(first) = list.first() {
                    self.compared(expr, first);
                }
            }
            Expr::Like { expr, pattern, .. } | Expr::ILike { expr, pattern, .. } => self.compared(expr, pattern),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(sql: &str) -> Vec<String> {
        let text = |m: Mistake| format!("{} ({})", m.message, m.hint.unwrap_or_default());
        inspect(sql).1.into_iter().map(text).collect()
    }

    #[test]
    fn a_mistake_is_marked_where_it_stands() {
        assert_eq!(
            mistakes("amount > 5 AND AVG(amount) < 3"),
            ["`avg` looks at many orders, and later ones among them\n      amount > 5 AND AVG(amount) < 3\n      \
              \u{20}              ^^^ (a condition is about one order; declare what it needs of the past as a feature)"]
        );
        assert_eq!(
            mistakes("amount >\n  > 5"),
            ["cannot be read: Expected: an expression, found: >\n        > 5\n        ^ ()"]
        );
        assert_eq!(
            mistakes("amount > 5 5"),
            ["unexpected `5` after the condition\n      amount > 5 5\n                 ^ ()"]
        );
        assert_eq!(
            mistakes("(amount > 5"),
            ["cannot be read: Expected: ), found: EOF\n      (amount > 5\n                 ^ ()"]
        );
    }

    #[test]
    fn what_could_never_match_or_would_look_elsewhere_is_refused() {
        for (condition, said) in [
            ("channel = NULL", "a comparison with NULL never matches"),
            ("email = 'a@b.c'", "`email` is a keyed hash here"),
            ("phone IN ('1', '2')", "`phone` is a keyed hash here"),
            ("amount > (SELECT 1)", "a condition has no SELECT of its own"),
            ("RANK() OVER (ORDER BY amount) < 3", "`rank` looks at many orders"),
            ("placed_at < NOW()", "conditions have no function `now`"),
            ("LN(amount) > 3", "conditions have no function `ln`"),
            ("orders.amount > 3", "`orders.amount` names a table"),
        ] {
            let found = mistakes(condition);
            assert!(found.first().is_some_and(|m| m.starts_with(said)), "{condition}: {found:?}");
        }
        for fine in ["NOT (a > 1 OR b IS NULL)", "LOWER(a) LIKE '%x' AND b IN (1, 2)", "a BETWEEN 1 AND 2"] {
            assert_eq!(mistakes(fine), Vec::<String>::new(), "{fine}");
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let sql = format!("{} AND nothing = 1 AND {}", vec!["amount > 1"; 30].join(" AND "), "amount > 2");
        let (columns, _) = inspect(&sql);
        let column = columns.iter().find(|c| c.name == "nothing").unwrap();
        let text = pointing_at(&sql, column.place, "here");
        let lines: Vec<Vec<char>> = text.lines().map(|l| l.chars().collect()).collect();
        let from = lines[2].iter().position(|c| *c == '^').unwrap();
        assert_eq!(lines[1][from..from + 7].iter().collect::<String>(), "nothing");
        assert!(lines[1].len() < 110);
    }
}
