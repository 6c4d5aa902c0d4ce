//! Lists of records inside other ones: `$expand` of collection-valued navigation properties.
//!
//! Each list that is expanded is one query for all parents of the page, and so is each list inside it.
//! Source: query.md A10. Invariant: the number of queries is that of the lists in `$expand`, whatever the
//! page holds.

use super::{names, read};
use crate::api::{Attempt, Stop};
use crate::fault::Problem;
use model::{LookupValue, MessageName, Table, Uuid, Value};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use query::Page;
use query::odata::{Collection, Expansion, Parsed, limits};
use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use wire::record::{Children, Inside, Single, Writer};

/// What records are called.
pub(super) type Names = HashMap<LookupValue, Box<str>>;

/// The records of one list, of all parents.
pub(super) struct Family {
    page: Page,
    /// The lists inside its records.
    inner: Vec<Family>,
}

/// The lists that a page of records shows, in the order of [`Expansion::lists`].
pub(super) async fn of_page(
    attempt: &Attempt<'_>,
    parsed: &Parsed,
    page: &Page,
) -> Result<Vec<Family>, Stop> {
    let mut families = Vec::new();
    // As many queries as lists are named, at most 15.
    for (key, collection) in parsed.expanded.lists(parsed.key_place) {
        families.push(family(attempt, collection, parents(page, parsed, key)).await?);
    }
    Ok(families)
}

/// The ids in a column of a page.
fn parents(page: &Page, parsed: &Parsed, key: usize) -> BTreeSet<Uuid> {
    let rows = page.rows(parsed.query.columns.len());
    rows.filter_map(|row| row.get(key).and_then(Value::as_id)).collect()
}

/// Boxed, because lists are inside of lists.
fn family<'a>(
    attempt: &'a Attempt<'_>,
    collection: &'a Collection,
    parents: BTreeSet<Uuid>,
) -> Pin<Box<dyn Future<Output = Result<Family, Stop>> + Send + 'a>> {
    Box::pin(async move {
        let page = if parents.is_empty() {
            Page::default()
        } else {
            let query = collection.query_for(parents.into_iter().collect());
            read::run(attempt, MessageName::RetrieveMultiple, query).await?
        };
        if page.more {
            return Err(Problem::uri(format!(
                "The records of '{}' in $expand are more than {}. Ask for smaller pages.",
                collection.navigation,
                limits::EXPANDED_RECORDS_MAX
            ))
            .into());
        }
        let inner = of_page(attempt, &collection.parsed, &page).await?;
        Ok(Family { page, inner })
    })
}

/// Adds the records whose names the page and its lists show.
pub(super) fn add_names(
    wanted: &mut names::Wanted,
    parsed: &Parsed,
    page: &Page,
    families: &[Family],
) {
    let places: Vec<usize> = (0..parsed.shown).chain(parsed.expanded.places()).collect();
    wanted.add(page, parsed.query.columns.len(), &places);
    for ((_, collection), family) in parsed.expanded.lists(parsed.key_place).iter().zip(families) {
        add_names(wanted, &collection.parsed, &family.page, &family.inner);
    }
}

/// How the records of a page are written, with everything inside.
pub(super) fn writer<'a>(
    attempt: &'a Attempt<'_>,
    parsed: &'a Parsed,
    page: &'a Page,
    names: &'a Names,
    families: &'a [Family],
) -> Writer<'a> {
    let mut around = Around { attempt, parsed, page, names, families: families.iter() };
    let writer = plain_writer(attempt, parsed);
    around.finish(writer, &parsed.expanded, &parsed.query.table, parsed.key_place)
}

/// How the records of a page are written, with nothing inside and no annotations.
pub(super) fn plain_writer<'a>(attempt: &'a Attempt<'_>, parsed: &'a Parsed) -> Writer<'a> {
    // Columns of joined tables come last and are never shown.
    let own = parsed.query.columns.iter().take_while(|column| column.source == 0);
    let columns: Vec<_> = own.map(|column| column.column).collect();
    Writer::new(&parsed.query.table, &attempt.context.catalog, &columns, parsed.shown)
}

/// What is the same for all that stands inside the rows of one page.
struct Around<'a, 'r> {
    attempt: &'a Attempt<'r>,
    parsed: &'a Parsed,
    page: &'a Page,
    names: &'a Names,
    /// Those that are not written yet, in the order of [`Expansion::lists`].
    families: std::slice::Iter<'a, Family>,
}

impl<'a> Around<'a, '_> {
    /// Adds annotations, and what stands inside records of this table.
    fn finish(
        &mut self,
        mut writer: Writer<'a>,
        expansion: &'a Expansion,
        table: &'a Table,
        key: usize,
    ) -> Writer<'a> {
        for collection in &expansion.collections {
            if let Some(family) = self.families.next() {
                writer = writer.with_inner(self.list(collection, family, table, key));
            }
        }
        for one in &expansion.singles {
            writer = writer.with_inner(if one.only_link {
                let source = |source| &**self.parsed.query.source(source);
                let choices = one.choices.iter();
                let choices = choices.map(|choice| (choice.key_place, source(choice.source)));
                Inside::link(&one.navigation, &self.attempt.request.root, choices.collect())
            } else {
                let mut choices = Vec::with_capacity(one.choices.len());
                for choice in &one.choices {
                    let table = self.parsed.query.source(choice.source);
                    let catalog = &self.attempt.context.catalog;
                    let (columns, version) = (&choice.columns, choice.version_place);
                    let writer = Writer::of_places(table, catalog, columns, version);
                    let key = choice.key_place;
                    let writer = self.finish(writer, &choice.inner, table, key);
                    choices.push(Single { key, writer });
                }
                Inside::single(&one.navigation, choices)
            });
        }
        if let Some(filter) = &self.attempt.request.prefer.include_annotations {
            writer = writer.with_annotations(filter).with_names(self.names);
        }
        writer
    }

    fn list(
        &self,
        collection: &'a Collection,
        family: &'a Family,
        table: &'a Table,
        key: usize,
    ) -> Inside<'a> {
        let inside = &*collection.parsed;
        let writer = writer(self.attempt, inside, &family.page, self.names, &family.inner);
        let mut rows: HashMap<Uuid, Vec<&'a [Value]>> = HashMap::new();
        for row in family.page.rows(inside.query.columns.len()) {
            // A lookup to several tables may hold the id of another table's record.
            match row.get(collection.parent_place) {
                Some(Value::Lookup(parent)) if parent.table == table.id => {
                    rows.entry(parent.id).or_default().push(row);
                }
                Some(Value::Guid(parent)) => rows.entry(*parent).or_default().push(row),
                _ => {}
            }
        }
        let most = usize::try_from(collection.size).unwrap_or(usize::MAX);
        let mut links = HashMap::new();
        for parent in parents(self.page, self.parsed, key) {
            let own = rows.get_mut(&parent);
            let token = match own {
                Some(own) if collection.paged && own.len() > most => {
                    own.truncate(most);
                    own.first()
                        .zip(own.last())
                        .and_then(|(first, last)| inside.token_after(first, last))
                }
                _ => None,
            };
            // A list that is not paged always says where all of it is.
            if token.is_some() || !collection.paged {
                links.insert(parent, self.link(collection, table, parent, token));
            }
        }
        Inside::list(&collection.navigation, Children { key, writer, rows, links })
    }

    /// The address of a parent's list, with the options as they were written.
    fn link(
        &self,
        collection: &Collection,
        table: &Table,
        parent: Uuid,
        token: Option<String>,
    ) -> String {
        let root = &self.attempt.request.root;
        let mut link =
            format!("{root}{}({parent})/{}", table.entity_set_name, collection.navigation);
        let encoded = collection.options.iter().map(|(name, value)| {
            format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
        });
        let all: Vec<String> =
            encoded.chain(token.map(|token| format!("$skiptoken={token}"))).collect();
        if !all.is_empty() {
            link.push('?');
            link.push_str(&all.join("&"));
        }
        link
    }
}
