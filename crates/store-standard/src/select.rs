//! A bound query as SQL text and parameters, for both engines.
//!
//! In: one [`BoundQuery`] and a [`Dialect`]. Out: a [`Select`]: text, parameters, and what each
//! result column means. Values travel as parameters only; the text holds physical names, keywords and
//! placeholders. Not here: running it, decoding rows, writes.
//! Invariant: a condition may be unknown for the database where the tree says false, never where it
//! says true; there is no negation above a condition, so both mean that the row is left out.

use crate::dialect::{Dialect, Param};
use crate::names::{self, LookupTable, Storage};
use model::{
    Catalog, ColumnIndex, Computed, Decimal, LookupValue, TableDefinition, Value, fold, fold_part,
};
use query::shape::LabelOrder;
use query::{BoundQuery, ColumnRef, Compare, Filter, Match, Order, Rows, Shape};

mod condition;
mod exists;
mod group;
mod join;
mod label;
mod parents;

use exists::Frame;

/// A statement that reads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Select {
    /// The text, with numbered placeholders.
    pub(crate) sql: String,
    /// One value per placeholder, in order.
    pub(crate) params: Vec<Param>,
    /// One entry per output column of the query; a count has none.
    pub(crate) outputs: Vec<Output>,
}

/// How an output column is read from a result row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Nothing is selected: always null.
    Null,
    /// From the result column at this place.
    At {
        /// Place in the result row, from 0.
        place: usize,
        /// How it is kept. Lookups with [`LookupTable::Column`] take the table number from the
        /// next place.
        storage: Storage,
    },
    /// A sum or average of exact numbers: a decimal that may be wider than 64 bits.
    Wide {
        /// Place in the result row, from 0.
        place: usize,
        /// Places after the point.
        scale: u8,
    },
}

/// An expression over the row, with the form of its values.
struct Operand {
    /// The value as it is read.
    plain: String,
    /// The value as it is compared and ordered: text folded.
    compared: String,
    /// The table number of a lookup with several target tables.
    lookup_table: Option<String>,
    /// Its form.
    storage: Storage,
}

/// One comparison of a keyset: what is compared with which value, and in which direction.
struct SortKey<'v> {
    of: SortOf<'v>,
    descending: bool,
}

enum SortOf<'v> {
    Column(ColumnRef, &'v Value),
    /// The table number of a lookup; not null where its id is not.
    Table(String, i32),
    /// Where the label of a value stands among all labels.
    Label(&'v LabelOrder, Option<i32>),
}

/// The page that a query asks for: one row more than its size when it looks ahead.
pub(crate) fn page(query: &BoundQuery, dialect: &dyn Dialect) -> Select {
    match &query.shape.rows {
        Rows::Each => each(query, dialect),
        Rows::Groups(groups) => group::page(query, groups, dialect),
        Rows::PerParent(of) => parents::page(query, *of, dialect),
    }
}

/// Each row that is found.
fn each(query: &BoundQuery, dialect: &dyn Dialect) -> Select {
    let mut writer = Writer::new(query, dialect);
    let mut outputs = Vec::with_capacity(query.columns.len());
    let mut place = 0;
    writer.sql.push_str("SELECT ");
    for column in &query.columns {
        let Some(operand) = writer.operand(*column) else {
            outputs.push(Output::Null);
            continue;
        };
        if place > 0 {
            writer.sql.push_str(", ");
        }
        outputs.push(Output::At { place, storage: operand.storage });
        writer.sql.push_str(&operand.plain);
        place += 1;
        if let Some(table) = operand.lookup_table {
            writer.sql.push_str(", ");
            writer.sql.push_str(&table);
            place += 1;
        }
    }
    if place == 0 {
        writer.sql.push('1');
    }
    writer.from();
    writer.conditions(query.filter.as_ref(), query.paging.after.as_deref());
    writer.order();
    writer.limit(query);
    writer.finish(outputs)
}

/// The count that a query asks for, up to its limit plus one.
pub(crate) fn count(query: &BoundQuery, dialect: &dyn Dialect) -> Option<Select> {
    let limit = i64::try_from(query.count_max?.saturating_add(1)).unwrap_or(i64::MAX);
    let mut writer = Writer::new(query, dialect);
    let groups = query.shape.groups().filter(|groups| !groups.counts_rows);
    // Without keys all rows are one group, which is there even over no row.
    let one = if groups.is_some() { "count(*)" } else { "1" };
    writer.sql.push_str(&format!("SELECT count(*) FROM (SELECT {one} AS one"));
    writer.from();
    writer.conditions(query.filter.as_ref(), None);
    if let Some(groups) = groups {
        writer.group_by(groups);
    }
    writer.sql.push_str(" LIMIT ");
    writer.param(Param::BigInt(limit));
    writer.sql.push_str(") AS counted");
    Some(writer.finish(Vec::new()))
}

/// A value in the form in which it is compared; `None` for null.
///
/// Text is folded. Of a lookup only the id counts.
pub(crate) fn param(value: &Value) -> Option<Param> {
    Some(match value {
        Value::Null => return None,
        Value::Text(text) => Param::Text(fold(text).into_owned()),
        Value::Integer(number) => Param::Integer(*number),
        Value::BigInt(number) => Param::BigInt(*number),
        Value::Decimal(number) => Param::Decimal(*number),
        Value::Double(number) => Param::Double(*number),
        Value::Boolean(flag) => Param::Boolean(*flag),
        Value::DateTime(at) => Param::DateTime(*at),
        Value::Date(day) => Param::Date(*day),
        Value::Guid(id) | Value::Lookup(LookupValue { id, .. }) => Param::Guid(*id),
        Value::Choices(choices) => Param::Text(choices_text(choices)),
    })
}

/// Multi-select choices as they are kept.
pub(crate) fn choices_text(choices: &[i32]) -> String {
    let mut text = String::new();
    for choice in choices {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&choice.to_string());
    }
    text
}

/// Reads what [`choices_text`] wrote.
pub(crate) fn choices_of(text: &str) -> Option<Box<[i32]>> {
    text.split(',').map(|choice| choice.parse().ok()).collect()
}

struct Writer<'q> {
    catalog: &'q Catalog,
    /// The tables around the condition that is being written: the query's own first, then those of
    /// each condition about other rows that is open. Never empty.
    frames: Vec<Frame<'q>>,
    order: &'q [Order],
    shape: &'q Shape,
    dialect: &'q dyn Dialect,
    sql: String,
    params: Vec<Param>,
    /// The numbers of the first parameters of the groups' clock and of their fiscal periods, once written.
    calendar: (Option<usize>, Option<usize>),
}

impl<'q> Writer<'q> {
    fn new(query: &'q BoundQuery, dialect: &'q dyn Dialect) -> Self {
        Self {
            catalog: &query.catalog,
            frames: vec![Frame { table: query.table.definition(), joins: &query.joins }],
            order: &query.order,
            shape: &query.shape,
            dialect,
            sql: String::with_capacity(256),
            params: Vec::new(),
            calendar: (None, None),
        }
    }

    fn finish(self, outputs: Vec<Output>) -> Select {
        Select { sql: self.sql, params: self.params, outputs }
    }

    fn param(&mut self, param: Param) {
        let number = self.params.len() + 1;
        self.dialect.placeholder(&mut self.sql, number, &param);
        self.params.push(param);
    }

    fn conditions(&mut self, filter: Option<&'q Filter>, after: Option<&[Value]>) {
        let mut glue = " WHERE ";
        if let Some(filter) = filter {
            self.sql.push_str(glue);
            self.filter(filter);
            glue = " AND ";
        }
        if let Some(after) = after {
            self.sql.push_str(glue);
            self.after(after);
        }
    }

    fn order(&mut self) {
        let mut glue = " ORDER BY ";
        for order in self.order {
            let Some(operand) = self.operand(order.column) else { continue };
            self.sql.push_str(glue);
            glue = ", ";
            if let Some(label) = self.shape.label(order.column) {
                self.rank(&operand.plain, label);
                self.sql.push_str(self.dialect.direction(order.descending, true));
                continue;
            }
            self.sql.push_str(&operand.compared);
            let key = self.frame(self.level()).table.primary_key;
            let nullable = order.column != ColumnRef::root(key);
            let direction = self.dialect.direction(order.descending, nullable);
            self.sql.push_str(direction);
            if let Some(table) = operand.lookup_table {
                self.sql.push_str(", ");
                self.sql.push_str(&table);
                self.sql.push_str(direction);
            }
        }
    }

    /// How many answers, and which: one more than the page holds when it looks ahead.
    fn limit(&mut self, query: &BoundQuery) {
        self.sql.push_str(" LIMIT ");
        let limit = i64::from(query.paging.size) + i64::from(query.paging.look_ahead);
        self.param(Param::BigInt(limit));
        if query.paging.skip > 0 {
            self.sql.push_str(" OFFSET ");
            self.param(Param::BigInt(i64::from(query.paging.skip)));
        }
    }

    /// The rows strictly after the one with these order values, in the order of the query.
    ///
    /// `(a after x) or (a = x and ((b after y) or (b = y and …)))`, each direction and null on its
    /// own. In front stands what an index can start from, when there is something.
    fn after(&mut self, values: &[Value]) {
        let keys: Vec<SortKey<'_>> = self
            .order
            .iter()
            .zip(values)
            .flat_map(|(order, value)| self.sort_keys(order, value))
            .collect();
        self.sql.push('(');
        if let [SortKey { of: SortOf::Column(column, value), descending: false }, _, ..] =
            keys.as_slice()
            && !value.is_null()
        {
            self.compare(*column, Compare::GreaterOrEqual, value);
            self.sql.push_str(" AND ");
        }
        self.sql.push('(');
        for (place, key) in keys.iter().enumerate() {
            if place > 0 {
                self.sql.push_str(" OR (");
                self.same(&keys[place - 1]);
                self.sql.push_str(" AND (");
            }
            self.beyond(key);
        }
        for _ in 1..keys.len() {
            self.sql.push_str("))");
        }
        if keys.is_empty() {
            self.sql.push_str("TRUE");
        }
        self.sql.push_str("))");
    }

    /// What an order compares: the column, and of a lookup with several target tables the table, too.
    fn sort_keys<'v>(&self, order: &Order, value: &'v Value) -> Vec<SortKey<'v>>
    where
        'q: 'v,
    {
        let descending = order.descending;
        if let Some(label) = self.shape.label(order.column) {
            let of = SortOf::Label(label, label.rank(value));
            return vec![SortKey { of, descending }];
        }
        let mut keys = vec![SortKey { of: SortOf::Column(order.column, value), descending }];
        if let Value::Lookup(lookup) = value
            && let Some(table) = self.operand(order.column).and_then(|found| found.lookup_table)
            && let Ok(number) = i32::try_from(lookup.table.0)
        {
            keys.push(SortKey { of: SortOf::Table(table, number), descending });
        }
        keys
    }

    /// The key comes after the value, in the direction of the order.
    fn beyond(&mut self, key: &SortKey<'_>) {
        match (&key.of, key.descending) {
            (SortOf::Column(column, Value::Null), false) => self.is_null(*column, true),
            (SortOf::Column(_, Value::Null), true) => self.constant(false),
            (SortOf::Column(column, value), false) => {
                self.compare(*column, Compare::Greater, value);
            }
            (SortOf::Column(column, value), true) => {
                self.sql.push('(');
                self.compare(*column, Compare::Less, value);
                self.sql.push_str(" OR ");
                self.is_null(*column, false);
                self.sql.push(')');
            }
            (SortOf::Table(table, number), descending) => {
                let compare = if descending { Compare::Less } else { Compare::Greater };
                self.table_number(table, compare, *number);
            }
            (SortOf::Label(label, rank), descending) => self.beyond_label(label, *rank, descending),
        }
    }

    fn same(&mut self, key: &SortKey<'_>) {
        match &key.of {
            SortOf::Column(column, Value::Null) => self.is_null(*column, false),
            SortOf::Column(column, value) => self.compare(*column, Compare::Equal, value),
            SortOf::Table(table, number) => self.table_number(table, Compare::Equal, *number),
            SortOf::Label(label, rank) => self.same_label(label, *rank),
        }
    }

    fn table_number(&mut self, table: &str, compare: Compare, number: i32) {
        self.sql.push_str(table);
        self.sql.push_str(symbol(compare));
        self.param(Param::Integer(number));
    }

    fn filter(&mut self, filter: &'q Filter) {
        match filter {
            Filter::And(parts) => self.parts(parts, " AND ", "TRUE"),
            Filter::Or(parts) => self.parts(parts, " OR ", "FALSE"),
            Filter::Compare { column, compare, value } => self.compare(*column, *compare, value),
            Filter::CompareColumns { left, compare, right } => {
                let level = self.level();
                self.compare_columns((level, *left), *compare, (level, *right));
            }
            Filter::CompareOuter { column, compare, levels, outer, negated } => {
                self.compare_outer(*column, *compare, (*levels, *outer), *negated);
            }
            Filter::IsNull { column, negated } => self.is_null(*column, *negated),
            Filter::In { column, values, negated } => self.in_list(*column, values, *negated),
            Filter::Text { column, matches, text, negated } => {
                self.text(*column, *matches, text, *negated);
            }
            Filter::Like { column, pattern, negated } => self.like(*column, pattern, *negated),
            Filter::Ranges { column, bounds, negated } => self.ranges(*column, bounds, *negated),
            Filter::Choices { column, values, negated } => self.choices(*column, values, *negated),
            Filter::Hierarchy(hierarchy) => self.hierarchy(hierarchy),
            Filter::Exists(exists) => self.exists(exists),
        }
    }

    fn parts(&mut self, parts: &'q [Filter], glue: &str, empty: &str) {
        if parts.is_empty() {
            self.sql.push_str(empty);
            return;
        }
        self.sql.push('(');
        for (place, part) in parts.iter().enumerate() {
            if place > 0 {
                self.sql.push_str(glue);
            }
            self.filter(part);
        }
        self.sql.push(')');
    }

    fn compare(&mut self, column: ColumnRef, compare: Compare, value: &Value) {
        let (Some(operand), Some(param)) = (self.operand(column), param(value)) else {
            self.constant(compare == Compare::NotEqual);
            return;
        };
        let (compare, param) = match (operand.storage, param) {
            (Storage::Decimal { scale }, Param::Decimal(number))
                if self.dialect.decimals_are_scaled() =>
            {
                match scaled_compare(compare, number, scale) {
                    ScaledCompare::Against(compare, number) => (compare, Param::BigInt(number)),
                    ScaledCompare::Always => {
                        self.is_null(column, true);
                        return;
                    }
                    ScaledCompare::Constant(holds) => {
                        self.constant(holds);
                        return;
                    }
                }
            }
            (storage, param) => (compare, fit(storage, param)),
        };
        self.sql.push_str(&operand.compared);
        self.sql.push_str(symbol(compare));
        self.param(param);
    }

    /// Two columns, each of a source of one of the open conditions.
    fn compare_columns(
        &mut self,
        left: (usize, ColumnRef),
        compare: Compare,
        right: (usize, ColumnRef),
    ) {
        let operand = |(level, column)| self.operand_at(level, column);
        let (left_operand, right_operand) = match (operand(left), operand(right)) {
            (Some(left), Some(right)) => (left, right),
            // One side is always null: only "differs" can hold, where the other is not null.
            (Some(only), None) | (None, Some(only)) if compare == Compare::NotEqual => {
                self.sql.push_str(&only.plain);
                return self.sql.push_str(" IS NOT NULL");
            }
            _ => return self.constant(false),
        };
        let tables = (table_of(&left_operand), table_of(&right_operand));
        let (mut left_sql, mut right_sql) = (left_operand.compared, right_operand.compared);
        if let (Storage::Decimal { scale: left }, Storage::Decimal { scale: right }) =
            (left_operand.storage, right_operand.storage)
            && self.dialect.decimals_are_scaled()
        {
            // Both sides to the larger scale.
            match left.cmp(&right) {
                std::cmp::Ordering::Less => {
                    left_sql = format!("({left_sql} * {})", 10_i64.pow(u32::from(right - left)));
                }
                std::cmp::Ordering::Greater => {
                    right_sql = format!("({right_sql} * {})", 10_i64.pow(u32::from(left - right)));
                }
                std::cmp::Ordering::Equal => {}
            }
        }
        match tables {
            (Some(left_table), Some(right_table)) => {
                self.compare_lookups((&left_sql, &right_sql), compare, (&left_table, &right_table));
            }
            _ => {
                self.sql.push_str(&left_sql);
                self.sql.push_str(symbol(compare));
                self.sql.push_str(&right_sql);
            }
        }
    }

    /// Two lookups: by id, then by table.
    fn compare_lookups(&mut self, ids: (&str, &str), compare: Compare, tables: (&str, &str)) {
        let ((left, right), (left_table, right_table)) = (ids, tables);
        let by_table = symbol(compare);
        let text = match compare {
            Compare::Equal => format!("({left} = {right} AND {left_table} = {right_table})"),
            Compare::NotEqual => format!(
                "({left} IS DISTINCT FROM {right} \
                 OR ({left} IS NOT NULL AND {left_table} <> {right_table}))"
            ),
            Compare::Greater | Compare::GreaterOrEqual => format!(
                "({left} > {right} OR ({left} = {right} AND {left_table}{by_table}{right_table}))"
            ),
            Compare::Less | Compare::LessOrEqual => format!(
                "({left} < {right} OR ({left} = {right} AND {left_table}{by_table}{right_table}))"
            ),
        };
        self.sql.push_str(&text);
    }

    fn is_null(&mut self, column: ColumnRef, negated: bool) {
        let Some(operand) = self.operand(column) else {
            self.constant(!negated);
            return;
        };
        self.sql.push_str(&operand.plain);
        self.sql.push_str(if negated { " IS NOT NULL" } else { " IS NULL" });
    }

    fn in_list(&mut self, column: ColumnRef, values: &[Value], negated: bool) {
        let Some(operand) = self.operand(column) else {
            self.constant(negated);
            return;
        };
        let mut list = Vec::with_capacity(values.len());
        for value in values {
            match (operand.storage, param(value)) {
                (_, None) => {}
                (Storage::Decimal { scale }, Some(Param::Decimal(number)))
                    if self.dialect.decimals_are_scaled() =>
                {
                    // A number with more places than the column equals none of its values.
                    list.extend(scaled(number, scale).map(Param::BigInt));
                }
                (storage, Some(param)) => list.push(fit(storage, param)),
            }
        }
        if list.is_empty() {
            self.constant(negated);
            return;
        }
        let number = self.params.len() + 1;
        let list = Param::List(list);
        if negated {
            self.sql.push('(');
            self.sql.push_str(&operand.plain);
            self.sql.push_str(" IS NULL OR ");
        }
        self.dialect.in_list(&mut self.sql, &operand.compared, number, &list, negated);
        if negated {
            self.sql.push(')');
        }
        self.params.push(list);
    }

    fn text(&mut self, column: ColumnRef, matches: Match, text: &str, negated: bool) {
        let Some(operand) = self.operand(column) else {
            self.constant(negated);
            return;
        };
        let text = fold_part(text).into_owned();
        if text.is_empty() {
            // Every text contains nothing; only null does not.
            return self.is_null(column, !negated);
        }
        let expression = operand.compared;
        self.sql.push('(');
        if negated {
            self.sql.push_str(&format!("{} IS NULL OR ", operand.plain));
        }
        match matches {
            Match::StartsWith => self.starts_with(&expression, text, negated),
            Match::Contains | Match::EndsWith => {
                let number = self.params.len() + 1;
                if negated {
                    self.sql.push_str("NOT ");
                }
                self.dialect.find(&mut self.sql, &expression, number, matches);
                self.params.push(Param::Text(text));
            }
        }
        self.sql.push(')');
    }

    /// A range of the folded text, so that an index can serve it.
    fn starts_with(&mut self, expression: &str, text: String, negated: bool) {
        let end = successor(&text);
        self.sql.push_str(expression);
        self.sql.push_str(if negated { " < " } else { " >= " });
        self.param(Param::Text(text));
        if let Some(end) = end {
            self.sql.push_str(if negated { " OR " } else { " AND " });
            self.sql.push_str(expression);
            self.sql.push_str(if negated { " >= " } else { " < " });
            self.param(Param::Text(end));
        }
    }

    fn constant(&mut self, holds: bool) {
        self.sql.push_str(if holds { "TRUE" } else { "FALSE" });
    }

    fn operand(&self, column: ColumnRef) -> Option<Operand> {
        self.operand_at(self.level(), column)
    }

    /// A column of a source of one of the open conditions.
    fn operand_at(&self, level: usize, column: ColumnRef) -> Option<Operand> {
        let (table, prefix) =
            (self.source(level, column.source), self.prefix(level, column.source));
        operand(self.catalog, table, &prefix, column.column, self.dialect)
    }
}

/// A column as an expression; `None` when it is always null.
fn operand(
    catalog: &Catalog,
    table: &TableDefinition,
    prefix: &str,
    index: ColumnIndex,
    dialect: &dyn Dialect,
) -> Option<Operand> {
    let column = &table.columns[usize::from(index.0)];
    let storage = names::storage(catalog, table, index);
    match &column.computed {
        None => {
            let plain = format!("{prefix}{}", names::column(column.id));
            let compared = match storage {
                Storage::Text { folded: true } => format!("{prefix}{}", names::folded(column.id)),
                Storage::Text { folded: false } => dialect.fold_column(prefix, column.id),
                _ => plain.clone(),
            };
            let lookup_table = (storage == Storage::Lookup(LookupTable::Column))
                .then(|| format!("{prefix}{}", names::lookup_table(column.id)));
            Some(Operand { plain, compared, lookup_table, storage })
        }
        Some(Computed::Nothing) => None,
        // The definition that is copied is never itself a copy of this one: see `Computed`.
        Some(Computed::CopyOf { column }) if *column != index => {
            operand(catalog, table, prefix, *column, dialect)
        }
        Some(Computed::CopyOf { .. }) => None,
        Some(Computed::FullName { first, last }) => full_name(
            operand(catalog, table, prefix, *first, dialect),
            operand(catalog, table, prefix, *last, dialect),
            dialect,
        ),
        Some(Computed::OwnerIn { owner, table: owner_table }) => {
            let wanted = catalog.table(owner_table)?.id;
            let owner = operand(catalog, table, prefix, *owner, dialect)?;
            match owner.storage {
                Storage::Lookup(LookupTable::Fixed(Some(fixed))) if fixed == wanted => Some(owner),
                Storage::Lookup(LookupTable::Column) => {
                    let number = owner.lookup_table?;
                    let plain =
                        format!("CASE WHEN {number} = {} THEN {} END", wanted.0, owner.plain);
                    Some(Operand {
                        compared: plain.clone(),
                        plain,
                        lookup_table: None,
                        storage: Storage::Lookup(LookupTable::Fixed(Some(wanted))),
                    })
                }
                _ => None,
            }
        }
    }
}

/// The non-empty ones of two texts with a blank between.
fn full_name(
    first: Option<Operand>,
    last: Option<Operand>,
    dialect: &dyn Dialect,
) -> Option<Operand> {
    let (first, last) = match (first, last) {
        (Some(first), Some(last)) => (first, last),
        (one, other) => return one.or(other),
    };
    let either = |first_value: &str, last_value: &str, both: &str| {
        format!(
            "CASE WHEN {} IS NULL THEN {last_value} WHEN {} IS NULL THEN {first_value} \
             ELSE {both} END",
            first.plain, last.plain
        )
    };
    let joined = format!("{} || ' ' || {}", first.plain, last.plain);
    let folded = dialect.fold_joined(
        &joined,
        (&first.plain, &first.compared),
        (&last.plain, &last.compared),
    );
    let compared = either(&first.compared, &last.compared, &folded);
    let plain = either(&first.plain, &last.plain, &joined);
    Some(Operand { plain, compared, lookup_table: None, storage: Storage::Text { folded: false } })
}

/// The table number of a lookup as an expression.
fn table_of(operand: &Operand) -> Option<String> {
    match operand.storage {
        Storage::Lookup(LookupTable::Column) => operand.lookup_table.clone(),
        Storage::Lookup(LookupTable::Fixed(table)) => table.map(|table| table.0.to_string()),
        _ => None,
    }
}

fn symbol(compare: Compare) -> &'static str {
    match compare {
        Compare::Equal => " = ",
        Compare::NotEqual => " IS DISTINCT FROM ",
        Compare::Greater => " > ",
        Compare::GreaterOrEqual => " >= ",
        Compare::Less => " < ",
        Compare::LessOrEqual => " <= ",
    }
}

/// A parameter in the width of the column that it is compared with.
fn fit(storage: Storage, param: Param) -> Param {
    match (storage, param) {
        (Storage::BigInt, Param::Integer(number)) => Param::BigInt(i64::from(number)),
        (_, param) => param,
    }
}

/// The first text, in binary order, that is larger than every text with this start.
fn successor(text: &str) -> Option<String> {
    let mut text = text.to_owned();
    while let Some(last) = text.pop() {
        let mut next = u32::from(last) + 1;
        if next == 0xd800 {
            next = 0xe000;
        }
        if let Some(next) = char::from_u32(next) {
            text.push(next);
            return Some(text);
        }
    }
    None
}

/// A decimal as a whole number of units of the last place; `None` when it does not fit exactly.
pub(crate) fn scaled(number: Decimal, scale: u8) -> Option<i64> {
    let (whole, exact) = scaled_floor(number, scale)?;
    if exact { i64::try_from(whole).ok() } else { None }
}

/// The decimal of a scaled number.
pub(crate) fn unscaled(number: i64, scale: u8) -> Decimal {
    Decimal::new(number, u32::from(scale))
}

/// The largest whole number of units not above the decimal, and whether they are equal.
/// `None` when it is far outside the range of 64 bits.
fn scaled_floor(number: Decimal, scale: u8) -> Option<(i128, bool)> {
    let (scale, own) = (u32::from(scale), number.scale());
    if own <= scale {
        let whole = number.mantissa().checked_mul(10_i128.checked_pow(scale - own)?)?;
        return Some((whole, true));
    }
    let unit = 10_i128.checked_pow(own - scale)?;
    let whole = number.mantissa().div_euclid(unit);
    Some((whole, whole * unit == number.mantissa()))
}

/// A comparison with a decimal, turned to scaled numbers.
enum ScaledCompare {
    Against(Compare, i64),
    /// Holds for every value that is not null.
    Always,
    Constant(bool),
}

fn scaled_compare(compare: Compare, number: Decimal, scale: u8) -> ScaledCompare {
    let floor = scaled_floor(number, scale);
    let fitting = floor.and_then(|(whole, exact)| Some((i64::try_from(whole).ok()?, exact)));
    match (compare, fitting) {
        (_, Some((whole, true))) => ScaledCompare::Against(compare, whole),
        (Compare::Equal, _) => ScaledCompare::Constant(false),
        (Compare::NotEqual, _) => ScaledCompare::Constant(true),
        // Between two units: above it is above the lower one.
        (Compare::Greater | Compare::GreaterOrEqual, Some((whole, false))) => {
            ScaledCompare::Against(Compare::Greater, whole)
        }
        (Compare::Less | Compare::LessOrEqual, Some((whole, false))) => {
            ScaledCompare::Against(Compare::LessOrEqual, whole)
        }
        (Compare::Greater | Compare::GreaterOrEqual, None) => {
            if number.is_sign_negative() {
                ScaledCompare::Always
            } else {
                ScaledCompare::Constant(false)
            }
        }
        (Compare::Less | Compare::LessOrEqual, None) => {
            if number.is_sign_negative() {
                ScaledCompare::Constant(false)
            } else {
                ScaledCompare::Always
            }
        }
    }
}

#[cfg(test)]
mod tests;
