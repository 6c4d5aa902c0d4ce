//! `$expand`: which further records an answer shows inside its own.
//!
//! Single records come by the joins of the query. Collections have a query of their own each, for all
//! parents of a page at once. Read in two steps: `terms` (the text), then names are bound here.
//! Source: query.md A10. Invariant: what is expanded is counted before it is read deeper.

mod list;
mod terms;

use super::{Options, Parsed, filter, limits, order, select};
use crate::scope::Scope;
use crate::shape::{PerParent, Rows};
use crate::{ColumnRef, Error, Paging};
use model::{Catalog, ColumnIndex, ColumnKind, Table};
use std::sync::Arc;
use terms::Term;

pub use list::{List, list_of};
pub(super) use terms::cut;

/// The text for options that a collection does not take where collections are nested, and that a single
/// record never takes.
const ONLY_SELECT_AND_FILTER: &str = "Only $select and $filter clause can be provided while doing \
    $expand on many-to-one relationship or nested one-to-many relationship.";
/// The text for links of collections.
const ONLY_LOOKUP_LINKS: &str =
    "Expand with $ref is only supported on lookup type navigation property.";

/// Records that are shown inside another one.
#[derive(Clone, Debug, Default)]
pub struct Expansion {
    /// Single records.
    pub singles: Vec<Expanded>,
    /// Lists of records.
    pub collections: Vec<Collection>,
}

impl Expansion {
    /// Nothing is shown inside.
    pub fn is_empty(&self) -> bool {
        self.singles.is_empty() && self.collections.is_empty()
    }

    /// The lists, those inside of single records, too, each with the place of its parent's key.
    pub fn lists(&self, key_place: usize) -> Vec<(usize, &Collection)> {
        let own = self.collections.iter().map(|one| (key_place, one));
        let choices = self.singles.iter().flat_map(|one| &one.choices);
        own.chain(choices.flat_map(|choice| choice.inner.lists(choice.key_place))).collect()
    }

    /// Every place of a column that is shown of single records.
    pub fn places(&self) -> Vec<usize> {
        let choices = self.singles.iter().flat_map(|one| &one.choices);
        choices
            .flat_map(|choice| {
                let own = choice.columns.iter().map(|(_, place)| *place);
                own.chain(choice.inner.places()).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Moves every place from this one on by one.
    pub(super) fn move_places(&mut self, from: usize) {
        let moved = |place: &mut usize| *place += usize::from(*place >= from);
        for choice in self.singles.iter_mut().flat_map(|one| &mut one.choices) {
            choice.columns.iter_mut().for_each(|(_, place)| moved(place));
            moved(&mut choice.key_place);
            moved(&mut choice.version_place);
            choice.inner.move_places(from);
        }
    }

    /// Finds the place of everything that is shown, adding what is not there yet.
    pub(super) fn place(&mut self, scope: &Scope, place_of: &mut dyn FnMut(ColumnRef) -> usize) {
        for choice in self.singles.iter_mut().flat_map(|one| &mut one.choices) {
            choice.place(scope, place_of);
        }
    }
}

/// A record that is shown inside another one.
#[derive(Clone, Debug)]
pub struct Expanded {
    /// Its property.
    pub navigation: Box<str>,
    /// What may stand there: one for each table that the lookup points to.
    pub choices: Vec<Choice>,
    /// Only the record's address is shown.
    pub only_link: bool,
}

/// A record of one table that is shown inside another one.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The source of the query that it is a row of.
    pub source: u16,
    /// The columns that its `$select` named; none when it had none.
    pub select: Option<Vec<ColumnIndex>>,
    /// What is shown of it: columns with their places among the output columns of the query.
    pub columns: Vec<(ColumnIndex, usize)>,
    /// Place of its primary key: null says that there is no such record.
    pub key_place: usize,
    /// Place of its row version.
    pub version_place: usize,
    /// Records shown inside it.
    pub inner: Expansion,
}

impl Choice {
    fn place(&mut self, scope: &Scope, place_of: &mut dyn FnMut(ColumnRef) -> usize) {
        let source = self.source;
        let table = scope.source(source);
        let (key, version) = (table.primary_key, table.version_column());
        for (column, place) in &mut self.columns {
            *place = place_of(ColumnRef { source, column: *column });
        }
        self.key_place = place_of(ColumnRef { source, column: key });
        self.version_place = place_of(ColumnRef { source, column: version });
        self.inner.place(scope, place_of);
    }
}

/// A list of records that is shown inside another one.
#[derive(Clone, Debug)]
pub struct Collection {
    /// Its property.
    pub navigation: Box<str>,
    /// What is read, but for whose: see [`Collection::query_for`].
    pub parsed: Box<Parsed>,
    /// Place of the parent's id among the output columns of the query.
    pub parent_place: usize,
    /// Records that each parent shows at most.
    pub size: u32,
    /// Whether a parent's further records are told apart from none: lists inside of lists come in
    /// pages, others are cut.
    pub paged: bool,
    /// The options as they were written, for the address of the list.
    pub options: Vec<(Box<str>, Box<str>)>,
    parent: ColumnRef,
}

impl Collection {
    /// The query for the lists of these parents.
    pub fn query_for(&self, parents: Vec<model::Uuid>) -> crate::BoundQuery {
        let values = parents.into_iter().map(model::Value::Guid).collect();
        let of_them = crate::Filter::In { column: self.parent, values, negated: false };
        let mut query = self.parsed.query.clone();
        query.filter = Some(match query.filter {
            Some(filter) => crate::Filter::And(vec![of_them, filter]),
            None => of_them,
        });
        // One more tells that there are more.
        let size = self.size.saturating_add(u32::from(self.paged));
        query.shape.rows = Rows::PerParent(PerParent { parent: self.parent, size });
        query.paging =
            Paging { size: limits::EXPANDED_RECORDS_MAX, after: None, skip: 0, look_ahead: true };
        query
    }
}

/// What is the same for all of one `$expand`.
struct Binder<'a> {
    options: &'a Options,
    /// A list stands inside of something that is expanded.
    is_nested: bool,
}

/// Reads `$expand`: places are given later, by [`Expansion::place`].
pub(super) fn parse(
    scope: &mut Scope,
    options: &Options,
    text: Option<&str>,
) -> Result<Expansion, Error> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(Expansion::default());
    };
    let terms = terms::parse(text)?;
    let is_nested = has_inner_list(&scope.catalog, &scope.table, &terms, 0);
    Binder { options, is_nested }.expansion(scope, 0, &terms)
}

/// Whether a list is expanded below the first level.
fn has_inner_list(catalog: &Catalog, table: &Table, terms: &[Term<'_>], level: usize) -> bool {
    terms.iter().any(|term| {
        if let Some(list) = list_of(catalog, table, term.name) {
            return level > 0 || has_inner_list(catalog, &list.table, &term.inner, 1);
        }
        targets(catalog, table, term.name)
            .iter()
            .any(|inner| has_inner_list(catalog, inner, &term.inner, level + 1))
    })
}

/// The tables behind a single-valued navigation property.
fn targets<'c>(catalog: &'c Catalog, table: &Table, name: &str) -> Vec<&'c Arc<Table>> {
    let Some((column, _)) = table.navigation(name) else { return Vec::new() };
    let ColumnKind::Lookup { targets, .. } = &table.column(column).kind else { return Vec::new() };
    let named = targets.iter().filter(|target| *target.navigation == *name);
    named.filter_map(|target| catalog.table(&target.table)).collect()
}

impl Binder<'_> {
    fn expansion(
        &self,
        scope: &mut Scope,
        source: u16,
        terms: &[Term<'_>],
    ) -> Result<Expansion, Error> {
        let mut all = Expansion::default();
        for (place, term) in terms.iter().enumerate() {
            if terms.iter().take(place).any(|known| known.name == term.name) {
                return Err(Error::refused(format!("`{}` twice in $expand", term.name)));
            }
            let catalog = Arc::clone(&scope.catalog);
            let table = Arc::clone(scope.source(source));
            match list_of(&catalog, &table, term.name) {
                Some(list) if table.navigation(term.name).is_none() => {
                    all.collections.push(self.collection(scope, &list, term)?);
                }
                _ => all.singles.push(self.single(scope, source, term)?),
            }
        }
        Ok(all)
    }

    /// The record that a lookup points to; of a lookup to several tables, one of each.
    fn single(&self, scope: &mut Scope, source: u16, term: &Term<'_>) -> Result<Expanded, Error> {
        let name = term.name;
        let catalog = Arc::clone(&scope.catalog);
        let table = Arc::clone(scope.source(source));
        let tables = targets(&catalog, &table, name);
        let Some((column, _)) = table.navigation(name).filter(|_| !tables.is_empty()) else {
            let table = table.logical_name.clone();
            return Err(Error::UnknownColumn { table, name: name.into() });
        };
        if let Some((option, _)) = term.options.iter().find(|(option, _)| *option != "$select") {
            return Err(match *option {
                "$filter" | "$orderby" | "$top" => {
                    Error::Refusal { text: ONLY_SELECT_AND_FILTER.into() }
                }
                _ => Error::refused(format!("option `{option}` of `{name}` in $expand")),
            });
        }
        if term.only_link && !(term.options.is_empty() && term.inner.is_empty()) {
            return Err(Error::refused(format!("an option of `{name}/$ref` in $expand")));
        }
        let written = term.option("$select");
        let mut unknown: Option<Error> = None;
        let mut choices = Vec::with_capacity(tables.len());
        for target in &tables {
            let select = match select::parse(target, written) {
                Ok(select) => select,
                // A name that only one of several tables has is null for the others.
                Err(error @ Error::UnknownColumn { .. }) if tables.len() > 1 => {
                    unknown = Some(error);
                    Some(select::known(target, written.unwrap_or_default()))
                }
                Err(error) => return Err(error),
            };
            let inner_source = scope.through(ColumnRef { source, column }, &target.logical_name)?;
            let inner = self.expansion(scope, inner_source, &term.inner)?;
            let shown = match term.only_link {
                true => vec![target.primary_key],
                false => select::shown(target, select.as_deref()),
            };
            choices.push(Choice {
                source: inner_source,
                select,
                columns: shown.into_iter().map(|column| (column, 0)).collect(),
                key_place: 0,
                version_place: 0,
                inner,
            });
        }
        if let Some(error) = unknown {
            let named = written.unwrap_or_default().split(',').map(str::trim);
            let nowhere = |name: &str| {
                tables.iter().all(|table| {
                    table.index_of_value(name).or_else(|| table.index_of(name)).is_none()
                })
            };
            if named.into_iter().any(nowhere) {
                return Err(error);
            }
        }
        Ok(Expanded { navigation: name.into(), choices, only_link: term.only_link })
    }

    /// The records of a list.
    fn collection(&self, scope: &Scope, list: &List, term: &Term<'_>) -> Result<Collection, Error> {
        let (name, table) = (term.name, &list.table);
        if term.only_link {
            return Err(Error::Refusal { text: ONLY_LOOKUP_LINKS.into() });
        }
        if self.is_nested && list.is_many_to_many() {
            return Err(Error::refused(format!(
                "$expand of the many-to-many relationship `{name}` beside nested lists"
            )));
        }
        let mut own = Options::default();
        own.page_size_max = self.options.page_size_max;
        for (option, value) in &term.options {
            match *option {
                "$select" | "$filter" => {}
                "$orderby" | "$top" if self.is_nested => {
                    return Err(Error::Refusal { text: ONLY_SELECT_AND_FILTER.into() });
                }
                "$orderby" | "$top" => {}
                _ => {
                    return Err(Error::refused(format!(
                        "option `{option}` of `{name}` in $expand"
                    )));
                }
            }
            if has_alias(value) {
                return Err(Error::refused(format!("an alias inside $expand of `{name}`")));
            }
            own.put(option, value);
        }
        let mut inside = Scope::new(&scope.catalog, table, &scope.context);
        let parent = list.parent(&mut inside)?;
        let select = select::parse(table, own.get("$select"))?;
        let filter = filter::parse(&mut inside, &own)?;
        let order = order::parse(&mut inside, &own)?;
        let expansion = self.expansion(&mut inside, 0, &term.inner)?;
        let most = own.page_size_max.max(1);
        let size = match self.is_nested {
            true => self.options.page_size.unwrap_or(most).clamp(1, most),
            false => own.top()?.unwrap_or(most).min(most),
        };
        let paging = Paging { size, after: None, skip: 0, look_ahead: true };
        let mut parsed =
            super::assemble(inside, select, expansion, filter, order, paging, false, 1);
        // The children of a 1:N carry their foreign key.
        let parent_place = parsed.place_of_parent(parent);
        let options = term.options.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Ok(Collection {
            navigation: name.into(),
            parent_place,
            parsed: Box::new(parsed),
            size,
            paged: self.is_nested,
            options: options.chain(term.inner_as_written()).collect(),
            parent,
        })
    }
}

/// Whether an alias stands outside of quotes.
fn has_alias(text: &str) -> bool {
    text.split('\'').step_by(2).any(|outside| outside.contains('@'))
}
