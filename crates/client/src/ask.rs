//! Questions about many records at once: filters that name them, and the pages of the answer.
//!
//! In: columns and the values that rows give. Out: filters of bounded size, records, all pages of them.
//! Invariant: a filter has no limit on its rows that would hide a hit of one key behind those of another.

use crate::service::{self, Service, escaped};
use crate::transport::{Request, Response};
use model::{Catalog, ColumnIndex, ColumnKind, Table, Value, fold};
use std::fmt::Write as _;
use std::sync::Arc;
use wire::batch::{self, Part};
use wire::record::{ReadPage, ReadRecord};

/// Conditions in one filter: services take 500 and count those of joins, too.
const CONDITIONS_MAX: usize = 480;
/// Values in one list.
const LISTED_MAX: usize = 2_000;
/// Bytes of one filter: an address in a `$batch` may have 65,536 characters.
const FILTER_BYTES_MAX: usize = 20_000;
/// Longer addresses travel in a `$batch`.
pub(crate) const ADDRESS_BYTES_MAX: usize = 8_000;
/// Longer texts are compared one by one.
const LISTED_TEXT_MAX: usize = 400;

/// The values of a key as text: equal for keys that the service takes as equal.
pub fn key_text<'a>(values: impl IntoIterator<Item = &'a Value>) -> String {
    let mut text = String::new();
    for value in values {
        let written = match value {
            Value::Text(value) => write!(text, "t{}", fold(value)),
            Value::Decimal(number) => write!(text, "d{}", number.normalize()),
            Value::Lookup(lookup) => write!(text, "g{}", lookup.id),
            Value::Guid(id) => write!(text, "g{id}"),
            other => write!(text, "{other:?}"),
        };
        written.expect("writing to a string does not fail");
        text.push('\u{1f}');
    }
    text
}

/// Filters that together name every record with one of these keys, `rows_max` keys in each at most.
pub fn filters(
    table: &Table,
    columns: &[ColumnIndex],
    keys: &[Vec<Value>],
    rows_max: usize,
) -> Vec<String> {
    let mut filters = Vec::new();
    let (mut terms, mut bytes): (Vec<String>, usize) = (Vec::new(), 0);
    let listed = |value: &Value| match value {
        Value::Text(text) => text.len() <= LISTED_TEXT_MAX,
        Value::Integer(_) | Value::BigInt(_) | Value::Guid(_) => true,
        _ => false,
    };
    let is_list = columns.len() == 1
        && keys.iter().all(|key| key.first().is_some_and(listed))
        && !matches!(columns.first(), Some(column) if is_lookup(table, *column));
    let most = if is_list { LISTED_MAX } else { (CONDITIONS_MAX / columns.len().max(1)).max(1) };
    let rows_max = rows_max.clamp(1, most);
    for key in keys {
        let term = match is_list {
            true => listed_value(key.first().unwrap_or(&Value::Null)),
            false => all_of(table, columns, key),
        };
        if !terms.is_empty() && (terms.len() >= rows_max || bytes + term.len() > FILTER_BYTES_MAX) {
            filters.push(join(table, columns, is_list, &terms));
            terms.clear();
            bytes = 0;
        }
        bytes += term.len();
        terms.push(term);
    }
    if !terms.is_empty() {
        filters.push(join(table, columns, is_list, &terms));
    }
    filters
}

fn is_lookup(table: &Table, column: ColumnIndex) -> bool {
    matches!(table.column(column).kind, ColumnKind::Lookup { .. })
}

fn join(table: &Table, columns: &[ColumnIndex], is_list: bool, terms: &[String]) -> String {
    match (is_list, columns) {
        (true, [column]) => format!(
            "Microsoft.Dynamics.CRM.In(PropertyName='{}',PropertyValues=[{}])",
            table.column(*column).logical_name,
            terms.join(",")
        ),
        _ => terms.join(" or "),
    }
}

fn all_of(table: &Table, columns: &[ColumnIndex], key: &[Value]) -> String {
    let parts: Vec<String> = columns
        .iter()
        .zip(key)
        .map(|(column, value)| format!("{} eq {}", table.value_name(*column), literal(value)))
        .collect();
    if parts.len() > 1 { format!("({})", parts.join(" and ")) } else { parts.join("") }
}

fn listed_value(value: &Value) -> String {
    let text = match value {
        Value::Text(text) => text.to_string(),
        other => literal(other),
    };
    serde_json::Value::from(text).to_string()
}

/// A value as OData writes it.
pub fn literal(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Integer(number) => number.to_string(),
        Value::BigInt(number) => number.to_string(),
        Value::Decimal(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::DateTime(at) => at.to_string(),
        Value::Date(day) => day.to_string(),
        Value::Guid(id) => id.to_string(),
        Value::Lookup(lookup) => lookup.id.to_string(),
        Value::Choices(values) => {
            let texts: Vec<String> = values.iter().map(i32::to_string).collect();
            format!("'{}'", texts.join(","))
        }
    }
}

/// A question about records of one table.
pub struct Question<'a> {
    /// The service.
    pub service: &'a Service,
    /// The table.
    pub table: &'a Arc<Table>,
    /// It and the tables that its lookups point to.
    pub catalog: &'a Catalog,
    /// Headers of every request, such as whose call it is.
    pub headers: &'a [(&'static str, String)],
}

impl Question<'_> {
    /// All records that a filter names.
    pub async fn records(
        &self,
        select: &[ColumnIndex],
        filter: &str,
    ) -> Result<Vec<ReadRecord>, service::Error> {
        let mut path = format!(
            "{}?$select={}&$filter={}",
            self.table.entity_set_name,
            self.names(select),
            escaped(filter)
        );
        let mut records = Vec::new();
        loop {
            let page = self.page(path).await?;
            records.extend(page.records);
            match page.next_link {
                Some(link) => path = link,
                None => return Ok(records),
            }
        }
    }

    /// All records, unless there are more than so many pages of them.
    pub async fn all_if_few(
        &self,
        select: &[ColumnIndex],
        pages_max: usize,
    ) -> Result<Option<Vec<ReadRecord>>, service::Error> {
        let mut path = format!("{}?$select={}", self.table.entity_set_name, self.names(select));
        let mut records = Vec::new();
        for _ in 0..pages_max {
            let page = self.page(path).await?;
            records.extend(page.records);
            match page.next_link {
                Some(link) => path = link,
                None => return Ok(Some(records)),
            }
        }
        Ok(None)
    }

    fn names(&self, select: &[ColumnIndex]) -> String {
        let mut names = vec![self.table.primary_key_name()];
        for column in select.iter().filter(|column| **column != self.table.primary_key) {
            let name = self.table.value_name(*column);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.join(",")
    }

    async fn page(&self, path: String) -> Result<ReadPage, service::Error> {
        let doing = format!("records of table `{}`", self.table.logical_name);
        let preference = format!(
            "odata.maxpagesize={},odata.include-annotations=\"{}\"",
            crate::get::PAGE_ROWS_MAX,
            wire::record::LOOKUP_TABLE
        );
        let mut request = Request::get(path).with_header("Prefer", preference);
        request.headers.extend(self.headers.iter().cloned());
        let body = match request.path.len() <= ADDRESS_BYTES_MAX || request.path.contains("://") {
            true => self.service.ask(request, &doing).await?.body,
            false => {
                let response = self.service.ask(in_batch(&request), &doing).await?;
                out_of_batch(&response)
                    .map_err(|why| service::Error::Unreadable { doing: doing.clone(), why })?
            }
        };
        wire::record::read_page(&body, self.table, self.catalog)
            .map_err(|err| service::Error::Unreadable { doing, why: err.to_string() })
    }
}

const BOUNDARY: &str = "batch_question";

pub(crate) fn in_batch(request: &Request) -> Request {
    let target = format!("/api/data/v9.2/{}", request.path);
    let mut headers: Vec<(&str, &str)> = vec![("Accept", "application/json")];
    headers.extend(request.headers.iter().map(|(name, value)| (*name, value.as_str())));
    let part = Part::One(batch::Operation {
        content_id: None,
        method: "GET",
        target: &target,
        headers,
        body: &[],
    });
    let body = batch::encode(&[part], BOUNDARY).expect("a question without body can be written");
    Request::post("$batch", body).with_header("Content-Type", batch::content_type(BOUNDARY))
}

pub(crate) fn out_of_batch(response: &Response) -> Result<bytes::Bytes, String> {
    let kind = response.header("content-type").ok_or("it has no content type")?;
    let parts = batch::read_response(kind, &response.body).map_err(|err| err.to_string())?;
    let answer = parts.iter().flat_map(Part::items).next().ok_or("it holds nothing")?;
    if answer.status != 200 {
        return Err(wire::error_body::read(answer.body).message);
    }
    Ok(response.body.slice_ref(answer.body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn check(columns: &[&str], keys: &[&[Value]], rows_max: usize, want: &[&str]) {
        let (table, _) = testing::table();
        let columns: Vec<ColumnIndex> =
            columns.iter().map(|name| table.index_of(name).expect(name)).collect();
        let keys: Vec<Vec<Value>> = keys.iter().map(|key| key.to_vec()).collect();
        assert_eq!(filters(&table, &columns, &keys, rows_max), want);
    }

    #[test]
    fn many_keys_make_few_filters() {
        let text = |text: &str| Value::text(text);
        check(
            &["new_code"],
            &[&[text("a\"b")], &[text("c'd")], &[text("e")]],
            2,
            &[
                "Microsoft.Dynamics.CRM.In(PropertyName='new_code',PropertyValues=[\"a\\\"b\",\"c'd\"])",
                "Microsoft.Dynamics.CRM.In(PropertyName='new_code',PropertyValues=[\"e\"])",
            ],
        );
        check(
            &["new_code", "new_whole"],
            &[&[text("c'd"), Value::Integer(1)], &[Value::Null, Value::Integer(2)]],
            500,
            &["(new_code eq 'c''d' and new_whole eq 1) or (new_code eq null and new_whole eq 2)"],
        );
        let id = model::Uuid::from_u128(1);
        let lookup = Value::Lookup(model::LookupValue { table: model::TableId(2), id });
        check(&["new_one"], &[&[lookup]], 500, &[&format!("_new_one_value eq {id}")]);
        check(&["new_flag"], &[&[Value::Boolean(true)]], 500, &["new_flag eq true"]);
        let (table, _) = testing::table();
        let column = table.index_of("new_code").expect("a column");
        let keys: Vec<Vec<Value>> = (0..2_000).map(|n| vec![text(&format!("code {n}"))]).collect();
        assert_eq!(filters(&table, &[column], &keys, 500).len(), 4);
        let wide = vec![vec![text(&"x".repeat(300))]; 200];
        assert!(filters(&table, &[column], &wide, 500).iter().all(|one| one.len() < 21_000));
    }

    #[test]
    fn keys_are_the_same_for_texts_that_the_service_takes_as_the_same() {
        let of = |text: &str| key_text(&[Value::text(text)]);
        assert_eq!(of("Key "), of("kEY"));
        assert_ne!(of("a"), of("b"));
    }
}
