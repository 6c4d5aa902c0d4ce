//! What an operator makes of a column and values.
//!
//! Negative operators hold for rows without a value. Conditions about the caller ask the tables of
//! users and teams where they need to; a catalog without such a table has nobody in it.

use super::{Kin, Operator, Place, User};
use crate::odata::{Literal, Side, leaf, negate};
use crate::scope::Scope;
use crate::{ColumnRef, Compare, Error, Exists, Filter, Hierarchy, Line, Pattern, Simple, dates};
use model::{Column, ColumnIndex, ColumnKind, Table, Uuid, Value};
use std::sync::Arc;

/// A condition with its column and values, as they were written.
pub(crate) struct Asked<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) column: ColumnRef,
    /// The operator's name, for errors.
    pub(crate) name: &'a str,
    pub(crate) values: Vec<Literal>,
}

impl Asked<'_> {
    /// Binds the condition.
    pub(crate) fn bind(self, operator: Operator) -> Result<Filter, Error> {
        match operator {
            Operator::Compare(compare) => self.against(compare, self.one()?),
            Operator::Null { negated } => {
                self.none()?;
                Ok(Filter::IsNull { column: self.column, negated })
            }
            Operator::In { negated } => self.among().map(|filter| signed(filter, negated)),
            Operator::Between { negated } => self.between().map(|filter| signed(filter, negated)),
            Operator::Like { place, negated } => {
                self.like(place).map(|filter| signed(filter, negated))
            }
            Operator::Choices { negated } => self.choices(negated),
            Operator::User(user) => {
                self.none()?;
                self.user(user)
            }
            Operator::Hierarchy(kin) => self.hierarchy(kin),
            Operator::Date(when) => {
                let values: Vec<String> = self.values.iter().map(Literal::as_written).collect();
                let column = (self.column, self.definition());
                dates::settle(when, self.name, column, &values, &self.scope.context)
            }
        }
    }

    fn definition(&self) -> &Column {
        self.scope.column(self.column)
    }

    fn wrong_count(&self) -> Error {
        Error::ValueCount { operator: self.name.into(), count: self.values.len() }
    }

    fn not_for(&self, why: &'static str) -> Error {
        let column = self.definition().logical_name.clone();
        Error::NotForColumn { operator: self.name.into(), column, why }
    }

    fn bad_value(&self, value: &Literal) -> Error {
        Error::BadValue { operator: self.name.into(), value: value.as_written().into() }
    }

    fn none(&self) -> Result<(), Error> {
        if self.values.is_empty() { Ok(()) } else { Err(self.wrong_count()) }
    }

    fn one(&self) -> Result<&Literal, Error> {
        match self.values.as_slice() {
            [value] => Ok(value),
            _ => Err(self.wrong_count()),
        }
    }

    /// The value as a literal of the column.
    fn typed(&self, value: &Literal) -> Literal {
        let definition = self.definition();
        value.clone().loosened(definition).table_named(definition, &self.scope.catalog)
    }

    fn against(&self, compare: Compare, value: &Literal) -> Result<Filter, Error> {
        let literal = self.typed(value);
        leaf::compare(self.definition(), self.column, compare, &literal, Side::Left)
    }

    fn among(&self) -> Result<Filter, Error> {
        if self.values.is_empty() {
            return Err(self.wrong_count());
        }
        let values = self.values.iter().map(|value| self.typed(value)).collect();
        leaf::among(self.definition(), self.column, values, self.name)
    }

    fn between(&self) -> Result<Filter, Error> {
        let [first, last] = self.values.as_slice() else { return Err(self.wrong_count()) };
        Ok(Filter::And(vec![
            self.against(Compare::GreaterOrEqual, first)?,
            self.against(Compare::LessOrEqual, last)?,
        ]))
    }

    fn like(&self, place: Place) -> Result<Filter, Error> {
        let value = self.one()?;
        if !leaf::is_text(&self.definition().kind) {
            return Err(self.not_for("it holds no text"));
        }
        let Literal::Text(text) = value else { return Err(self.bad_value(value)) };
        Ok(like(self.column, place, text))
    }

    fn choices(&self, negated: bool) -> Result<Filter, Error> {
        if !matches!(self.definition().kind, ColumnKind::MultiChoice { .. }) {
            return Err(self.not_for("it is no multi-select choice"));
        }
        if self.values.is_empty() {
            return Err(self.wrong_count());
        }
        let mut values = Vec::with_capacity(self.values.len());
        for value in &self.values {
            let number = value.as_written().trim().parse::<i32>();
            values.push(number.map_err(|_| self.bad_value(value))?);
        }
        values.sort_unstable();
        values.dedup();
        Ok(Filter::Choices { column: self.column, values: values.into(), negated })
    }

    fn user(&self, user: User) -> Result<Filter, Error> {
        let context = &self.scope.context;
        let kind = &self.definition().kind;
        let language = user == User::Language;
        match (language, kind) {
            (false, ColumnKind::Guid | ColumnKind::Lookup { .. })
            | (true, ColumnKind::Integer { .. } | ColumnKind::Choice { .. }) => {}
            (false, _) => return Err(self.not_for("it holds no ids")),
            (true, _) => return Err(self.not_for("it holds no whole numbers")),
        }
        let (column, me) = (self.column, context.user);
        let id = |compare, id| Filter::Compare { column, compare, value: Value::Guid(id) };
        let is_me = || id(Compare::Equal, me);
        Ok(match user {
            User::Is => is_me(),
            User::IsNot => id(Compare::NotEqual, me),
            User::Unit => id(Compare::Equal, context.business_unit),
            User::NotUnit => id(Compare::NotEqual, context.business_unit),
            User::Teams => self.teams(false),
            User::OrTeams => Filter::Or(vec![is_me(), self.teams(false)]),
            User::OrBelow => Filter::Or(vec![is_me(), self.below(column)]),
            User::OrBelowOrTeams => Filter::Or(vec![is_me(), self.below(column), self.teams(true)]),
            User::Language => {
                let language = context.settings()?.language;
                let values = vec![Value::Integer(-1), Value::Integer(language)];
                Filter::In { column, values, negated: false }
            }
        })
    }

    /// The column is a team that the caller is a member of, or somebody below the caller.
    fn teams(&self, below: bool) -> Filter {
        let parts = self.scope.catalog.table("teammembership").and_then(|table| {
            Some((table, table.index_of("teamid")?, table.index_of("systemuserid")?))
        });
        let Some((table, team, member)) = parts else { return Filter::Or(Vec::new()) };
        let member = ColumnRef::root(member);
        let value = Value::Guid(self.scope.context.user);
        let is_me = Filter::Compare { column: member, compare: Compare::Equal, value };
        let members = match below {
            true => Filter::Or(vec![is_me, self.below(member)]),
            false => is_me,
        };
        // Who is in which team is known to the service, whatever the caller may read.
        let mut teams = Exists::new(table, team, self.column).with(members);
        teams.of_service = true;
        teams.into()
    }

    /// The column is a user who reports to the caller, at any distance.
    fn below(&self, column: ColumnRef) -> Filter {
        let users = self.scope.catalog.table("systemuser");
        let parts = users.and_then(|table| Some((table, table.index_of("parentsystemuserid")?)));
        let Some((table, parent)) = parts else { return Filter::Or(Vec::new()) };
        let tree = whole_tree(column, (table, parent), self.scope.context.user, Line::Under);
        // Who is below whom is known to the service, whatever the caller may read.
        Hierarchy { of_service: true, ..tree }.into()
    }

    fn hierarchy(&self, kin: Kin) -> Result<Filter, Error> {
        let of = self.typed(self.one()?);
        let of = match &of {
            Literal::Guid(id) => *id,
            Literal::Text(text) => {
                let bare = text.trim().trim_start_matches('{').trim_end_matches('}');
                Uuid::try_parse(bare).map_err(|_| self.bad_value(&of))?
            }
            other => return Err(self.bad_value(other)),
        };
        let (table, parent) = self.tree_of_column()?;
        let column = self.column;
        let itself = |compare| Filter::Compare { column, compare, value: Value::Guid(of) };
        let of_line = |line| tree(column, (&table, parent), of, line);
        Ok(match kin {
            Kin::Under => of_line(Line::Under),
            Kin::Above => of_line(Line::Above),
            Kin::UnderOrEqual => Filter::Or(vec![itself(Compare::Equal), of_line(Line::Under)]),
            Kin::AboveOrEqual => Filter::Or(vec![itself(Compare::Equal), of_line(Line::Above)]),
            Kin::NotUnder => {
                Filter::And(vec![itself(Compare::NotEqual), negate(of_line(Line::Under))])
            }
        })
    }

    /// The hierarchical relationship that the column belongs to: that of its table to itself, the
    /// column being the primary key or the lookup; or that of the one table that a lookup points to.
    fn tree_of_column(&self) -> Result<(Arc<Table>, ColumnIndex), Error> {
        let own = self.scope.source(self.column.source);
        let of_table =
            |table: &Arc<Table>| Some((Arc::clone(table), self.scope.hierarchy_of(table)?));
        let table = match &self.definition().kind {
            _ if self.column.column == own.primary_key => Some(own),
            ColumnKind::Lookup { targets, .. } => match targets.as_slice() {
                [target] => self.scope.catalog.table(&target.table),
                _ => None,
            },
            _ => None,
        };
        let found = table.and_then(of_table);
        found.ok_or_else(|| self.not_for("it belongs to no hierarchical relationship"))
    }
}

/// A text column against a pattern that stands at a place.
pub(crate) fn like(column: ColumnRef, place: Place, text: &str) -> Filter {
    let text = match place {
        Place::Whole => text.to_owned(),
        Place::Start => format!("{text}%"),
        Place::End => format!("%{text}"),
        Place::Anywhere => format!("%{text}%"),
    };
    match Pattern::simple(&text) {
        Some(Simple::Everything) => Filter::IsNull { column, negated: true },
        // The empty text is no value.
        Some(Simple::Equal(text)) if text.is_empty() => Filter::IsNull { column, negated: false },
        Some(Simple::Equal(text)) => {
            Filter::Compare { column, compare: Compare::Equal, value: Value::text(text) }
        }
        Some(Simple::Part(matches, text)) => {
            Filter::Text { column, matches, text: text.into(), negated: false }
        }
        None => Filter::Like { column, pattern: Pattern::parse(&text), negated: false },
    }
}

fn whole_tree(
    column: ColumnRef,
    (table, parent): (&Arc<Table>, ColumnIndex),
    of: Uuid,
    line: Line,
) -> Hierarchy {
    let table = Arc::clone(table);
    let (negated, among, of_service) = (false, None, false);
    Hierarchy { column, table, parent, of, line, negated, among, of_service }
}

fn tree(
    column: ColumnRef,
    (table, parent): (&Arc<Table>, ColumnIndex),
    of: Uuid,
    line: Line,
) -> Filter {
    whole_tree(column, (table, parent), of, line).into()
}

fn signed(filter: Filter, negated: bool) -> Filter {
    if negated { negate(filter) } else { filter }
}
