//! What must be known about a pipeline's SQL before polars runs it.

use sqlparser::ast::{
    CastKind, Expr, Function, GroupByExpr, Ident, Query, Select, SelectItem, SetExpr, Statement, TableFactor, Visit,
    Visitor,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Functions that turn what they cannot read into null without a word.
const SILENT: &[&str] = &["try_cast", "safe_cast", "strptime", "to_date", "to_timestamp", "date", "timestamp"];

/// What a mapping query uses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Tables it reads that are not its own `WITH` parts.
    pub(super) tables: BTreeSet<String>,
    /// Casts and functions that would null silently.
    pub(super) silent: BTreeSet<String>,
}

/// Reads a mapping query.
///
/// # Errors
/// The parser's message, if it is not one SELECT.
pub(super) fn inspect(sql: &str) -> Result<Facts, String> {
    let query = parse(sql)?;
    let mut finder = Finder::default();
    let _ = query.visit(&mut finder);
    let own: BTreeSet<String> =
        query.with.iter().flat_map(|w| &w.cte_tables).map(|c| c.alias.name.value.clone()).collect();
    finder.facts.tables.retain(|t| !own.contains(t));
    Ok(finder.facts)
}

/// The sources a checked mapping query reads.
pub fn tables_of(sql: &str) -> BTreeSet<String> {
    inspect(sql).map(|facts| facts.tables).unwrap_or_default()
}

/// The source whose rows a mapping query's rows come from, where [`with_origin`] can tell.
pub fn origin_source(sql: &str, sources: &BTreeSet<&str>) -> Option<String> {
    let query = parse(sql).ok()?;
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    origin_column(select, sources)?;
    let TableFactor::Table { name, .. } = &select.from.first()?.relation else { return None };
    Some(name.to_string().replace('"', ""))
}

/// Whether each row of a table comes from one row of one source, whatever the other rows are: of a column map always, of SQL
/// where it is a plain SELECT from one source without groups, sums, windows, order or limit.
pub fn is_row_by_row(mapping: &super::TableMap) -> bool {
    let Some(sql) = &mapping.sql else { return true };
    let Ok(query) = parse(sql) else { return false };
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let is_grouped = !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    let one_source = matches!(select.from.as_slice(), [from] if from.joins.is_empty()
        && matches!(&from.relation, TableFactor::Table { .. }));
    let mut finder = RowFinder(false);
    let _ = query.visit(&mut finder);
    one_source
        && !is_grouped
        && select.distinct.is_none()
        && select.having.is_none()
        && query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && !finder.0
}

/// Functions of one row. Any other may look at several.
const OF_ONE_ROW: &[&str] = &[
    "abs",
    "coalesce",
    "concat",
    "concat_ws",
    "date_part",
    "extract",
    "floor",
    "ceil",
    "round",
    "greatest",
    "least",
    "if",
    "ifnull",
    "nullif",
    "left",
    "right",
    "length",
    "lower",
    "upper",
    "ltrim",
    "rtrim",
    "trim",
    "replace",
    "substr",
    "substring",
    "split_part",
    "starts_with",
    "ends_with",
    "initcap",
    "reverse",
    "strpos",
    "regexp_like",
    "mod",
    "sign",
    "div",
    "octet_length",
    "char_length",
    "date",
    "strftime",
];

/// Finds what looks at several rows: functions that are not of one row, queries within the query.
struct RowFinder(bool);

impl Visitor for RowFinder {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(Function { name, over, .. }) => {
                self.0 |= over.is_some() || !OF_ONE_ROW.contains(&name.to_string().to_lowercase().as_str());
            }
            Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => self.0 = true,
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn parse(sql: &str) -> Result<Query, String> {
    let mut statements = Parser::parse_sql(&GenericDialect, sql).map_err(|e| e.to_string())?;
    match (statements.pop(), statements.is_empty()) {
        (Some(Statement::Query(query)), true) => Ok(*query),
        _ => Err("must be one SELECT".to_owned()),
    }
}

/// The query with one more result column, `_origin`: where each row came from, for quarantine.
///
/// A row of a plain SELECT comes from the row of the first table in FROM; a group comes from the first of its rows. A query
/// of another shape (a union, a subquery in FROM) is left as it is, and its rows have no origin.
pub fn with_origin(sql: &str, sources: &BTreeSet<&str>) -> String {
    let Ok(mut query) = parse(sql) else { return sql.to_owned() };
    let SetExpr::Select(select) = query.body.as_mut() else { return sql.to_owned() };
    match origin_column(select, sources) {
        Some(item) => {
            select.projection.push(item);
            query.to_string()
        }
        None => sql.to_owned(),
    }
}

fn origin_column(select: &Select, sources: &BTreeSet<&str>) -> Option<SelectItem> {
    if select.distinct.is_some() || select.projection.iter().any(is_wildcard) {
        return None;
    }
    let TableFactor::Table { name, alias, .. } = &select.from.first()?.relation else { return None };
    let table = name.to_string().replace('"', "");
    if !sources.contains(table.as_str()) {
        return None;
    }
    let qualifier = alias.as_ref().map_or(table, |a| a.name.value.clone());
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(keys, _) => !keys.is_empty(),
    };
    let column = format!("\"{qualifier}\".\"{ORIGIN}\"");
    let text = if grouped { format!("MIN({column})") } else { column };
    let expr = Parser::new(&GenericDialect).try_with_sql(&text).ok()?.parse_expr().ok()?;
    Some(SelectItem::ExprWithAlias { expr, alias: Ident::new(ORIGIN) })
}

fn is_wildcard(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

/// The hidden column of every source frame that says where a row came from.
pub const ORIGIN: &str = "_origin";

#[derive(Default)]
struct Finder {
    facts: Facts,
}

impl Visitor for Finder {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &sqlparser::ast::ObjectName) -> ControlFlow<()> {
        self.facts.tables.insert(relation.to_string().replace('"', ""));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast { kind: CastKind::TryCast | CastKind::SafeCast, .. } => {
                self.facts.silent.insert("try_cast".to_owned());
            }
            Expr::Function(Function { name, .. }) => {
                let name = name.to_string().to_lowercase();
                if SILENT.contains(&name.as_str()) {
                    self.facts.silent.insert(name);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_asked_which_tables_it_reads_and_what_it_would_null() {
        let facts = inspect("WITH i AS (SELECT a FROM items) SELECT TRY_CAST(o.x AS INT), STRPTIME(y, '%d') FROM orders o JOIN i USING (a)").unwrap();
        assert_eq!(facts.tables, BTreeSet::from(["items".to_owned(), "orders".to_owned()]));
        assert_eq!(facts.silent, BTreeSet::from(["strptime".to_owned(), "try_cast".to_owned()]));
        assert!(inspect("DELETE FROM x").is_err() && inspect("SELECT a FROM (x").is_err());
    }

    #[test]
    fn a_mapping_row_by_row_is_told_from_one_that_looks_at_several_rows() {
        let of =
            |sql: &str| is_row_by_row(&crate::config::TableMap { sql: Some(sql.to_owned()), ..Default::default() });
        assert!(of(
            "SELECT a AS order_id, UPPER(b) AS sku, CASE WHEN c > 0 THEN c END AS amount FROM raw WHERE d <> 'x'"
        ));
        assert!(of("SELECT t + INTERVAL '7 days' AS fraud_known_at, CAST(x AS VARCHAR) AS y FROM raw r"));
        for several in [
            "SELECT a, SUM(b) AS b FROM raw GROUP BY a",
            "SELECT MAX(a) AS a FROM raw",
            "SELECT a, ROW_NUMBER() OVER (PARTITION BY b) AS n FROM raw",
            "SELECT a FROM raw r JOIN other o ON r.a = o.a",
            "SELECT DISTINCT a FROM raw",
            "SELECT a FROM raw ORDER BY a LIMIT 3",
            "SELECT a FROM raw WHERE a IN (SELECT a FROM other)",
            "WITH x AS (SELECT a FROM raw) SELECT a FROM x",
            "SELECT a FROM raw UNION ALL SELECT a FROM other",
        ] {
            assert!(!of(several), "{several}");
        }
    }

    #[test]
    fn rows_carry_the_origin_of_the_first_table() {
        let sources = BTreeSet::from(["raw"]);
        let with = |sql: &str| with_origin(sql, &sources);
        assert!(with("SELECT r.a FROM raw r JOIN b ON r.a = b.a").contains("\"r\".\"_origin\" AS _origin FROM"));
        assert!(with("SELECT a, SUM(x) AS x FROM raw GROUP BY a").contains("MIN(\"raw\".\"_origin\") AS _origin FROM"));
        for untouched in
            ["SELECT DISTINCT a FROM raw", "SELECT * FROM raw", "SELECT a FROM raw UNION SELECT a FROM raw"]
        {
            assert_eq!(with(untouched), untouched);
        }
    }
}
