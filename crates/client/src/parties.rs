//! Who takes part in an activity: lists of parties, each of whom is a row of a table of its own.
//!
//! In: the column of a role (`to`, `requiredattendees`, …) with a list of records, names or party rows. Out: the nested
//! list that an activity is sent with; of a change the whole list, because the service replaces it as a whole.
//! Not here: names of single values (`convert`), finding records by name (`lookup`).
//! Source: `client.md` 2.2, `webapi.md` 12.6. Invariant: a role that a row does not give stays as it is.

use crate::ask::{Question, filters};
use crate::convert::Open;
use crate::encode::Draft;
use crate::lookup::{Lookups, Rules};
use crate::mapping::{self, Mapped, Mapper, Meaning};
use crate::pairs::id_of;
use crate::problem::{Class, Problem, shortened};
use crate::service::{self, Described, Service};
use model::{Cell, ColumnIndex, Table, Target, Uuid, Value, fold};
use serde_json::value::RawValue;
use std::collections::HashMap;

/// The table whose rows parties are.
const TABLE: &str = "activityparty";
/// Parties that a service keeps by itself: whom an activity is about, and its owner.
const OWN_ROLES: [i32; 2] = [8, 9];

/// In which role somebody takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role {
    column: &'static str,
    mask: i32,
}

const fn role(column: &'static str, mask: i32) -> Role {
    Role { column, mask }
}

/// The columns of activities that hold parties, and the `participationtypemask` of each.
const ROLES: [Role; 9] = [
    role("from", 1),
    role("to", 2),
    role("cc", 3),
    role("bcc", 4),
    role("requiredattendees", 5),
    role("optionalattendees", 6),
    role("organizer", 7),
    role("resources", 10),
    role("customers", 11),
];

impl Role {
    /// The role that a name means in a table.
    pub fn of(table: &Table, name: &str) -> Option<Self> {
        if !table.is_activity {
            return None;
        }
        let of_table: &[&str] = match &*table.logical_name {
            "task" => &[],
            "email" | "letter" => &["from", "to", "cc", "bcc"],
            "phonecall" | "fax" => &["from", "to"],
            "appointment" | "recurringappointmentmaster" => {
                &["requiredattendees", "optionalattendees", "organizer"]
            }
            "serviceappointment" => &["customers", "resources"],
            _ => return ROLES.into_iter().find(|role| role.is_called(name)),
        };
        ROLES.into_iter().find(|role| role.is_called(name) && of_table.contains(&role.column))
    }

    /// The name of its column.
    pub fn column(self) -> &'static str {
        self.column
    }

    fn is_called(self, name: &str) -> bool {
        self.column.eq_ignore_ascii_case(name.trim())
    }
}

/// The parties of one role.
#[derive(Clone, Debug, PartialEq)]
pub struct PartyList {
    /// Their role.
    pub role: Role,
    /// Them; none clears the role.
    pub rows: Vec<Party>,
}

/// One party.
#[derive(Clone, Debug, PartialEq)]
pub struct Party {
    cells: Vec<Cell>,
    open: Vec<(ColumnIndex, Open)>,
}

/// The definition of parties, where rows of a table may have such.
pub async fn described(
    service: &Service,
    table: &Table,
    headers: Option<&[String]>,
) -> Result<Option<Described>, service::Error> {
    let may_have = match headers {
        Some(headers) => headers
            .iter()
            .any(|name| Role::of(table, name).is_some() && mapping::find(table, name).is_none()),
        None => table.is_activity && &*table.logical_name != "task",
    };
    if !may_have {
        return Ok(None);
    }
    let is_party = |table: &Table, index| &*table.column(index).logical_name == "partyid";
    service.describe(TABLE, is_party).await.map(Some)
}

/// The columns of a party.
#[derive(Clone, Copy)]
struct Columns {
    activity: ColumnIndex,
    party: ColumnIndex,
    mask: ColumnIndex,
    address: ColumnIndex,
}

impl Columns {
    fn of(table: &Table) -> Result<Self, Problem> {
        let find = |name: &str| {
            table.index_of(name).ok_or_else(|| {
                Problem::new(Class::Usage, format!("table `{TABLE}` has no column `{name}`"))
            })
        };
        Ok(Self {
            activity: find("activityid")?,
            party: find("partyid")?,
            mask: find("participationtypemask")?,
            address: find("addressused")?,
        })
    }
}

/// Reads lists of parties.
pub(crate) struct Reader {
    mapper: Mapper,
    columns: Result<Columns, Problem>,
}

impl Reader {
    pub(crate) fn new(described: &Described) -> Self {
        let Described { table, catalog } = described.clone();
        let columns = Columns::of(&table);
        Self { mapper: Mapper::new(table, catalog, mapping::Rules::default()), columns }
    }

    /// A list in JSON, or one party alone.
    pub(crate) fn json(&mut self, role: Role, raw: &str) -> Result<Vec<Party>, Problem> {
        let bad = |err: serde_json::Error| {
            let text = format!("`{}` is no list of parties: {err}", shortened(raw));
            Problem::new(Class::Conversion, text)
        };
        match raw.as_bytes().first() {
            Some(b'n') => Ok(Vec::new()),
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(raw).map_err(bad)?;
                items.into_iter().map(|item| self.party(role, item)).collect()
            }
            _ => {
                let item: &RawValue = serde_json::from_str(raw).map_err(bad)?;
                self.party(role, item).map(|party| vec![party])
            }
        }
    }

    /// The text of a field: a list in JSON, or whom one lookup names.
    pub(crate) fn text(&mut self, role: Role, text: &str) -> Result<Vec<Party>, Problem> {
        let word = text.trim();
        match word.as_bytes().first() {
            None => Ok(Vec::new()),
            Some(b'[' | b'{') => self.json(role, word),
            Some(_) => self.named(role, word).map(|party| vec![party]),
        }
    }

    fn party(&mut self, role: Role, item: &RawValue) -> Result<Party, Problem> {
        let raw = item.get();
        let no = || {
            let text = format!("`{}` is no party", shortened(raw));
            Problem::new(Class::Conversion, text)
        };
        match raw.as_bytes().first() {
            Some(b'{') => {
                let members: HashMap<String, &RawValue> =
                    serde_json::from_str(raw).map_err(|_| no())?;
                let is_given =
                    |name: &str| members.keys().any(|own| own.eq_ignore_ascii_case(name));
                let is_record = is_given("Id") && !is_given("partyid") && !is_given("addressused");
                if !is_record {
                    let mut mapped = Mapped::default();
                    self.mapper.json(raw.as_bytes(), &mut mapped)?;
                    return self.finish(role, mapped);
                }
                let text = mapping::json_text(item);
                let text = text.map_err(|why| Problem::new(Class::Conversion, why))?;
                self.named(role, &text.ok_or_else(no)?)
            }
            Some(b'"') => {
                let text: String = serde_json::from_str(raw).map_err(|_| no())?;
                self.named(role, &text)
            }
            _ => Err(no()),
        }
    }

    /// Whom the text of a lookup names.
    fn named(&mut self, role: Role, text: &str) -> Result<Party, Problem> {
        let column = self.columns.clone()?.party;
        let mut mapped = Mapped::default();
        self.mapper.field(Meaning::Column(column), text, &mut mapped)?;
        self.finish(role, mapped)
    }

    fn finish(&self, role: Role, mapped: Mapped) -> Result<Party, Problem> {
        let columns = self.columns.clone()?;
        let Mapped { mut cells, mut open, .. } = mapped;
        let wrong = |text: String| Err(Problem::new(Class::Conversion, text));
        if let Some(cell) = cells.iter().find(|cell| cell.column == columns.mask)
            && cell.value != Value::Integer(role.mask)
            && !cell.value.is_null()
        {
            return wrong(format!(
                "a party of `{}` has the `participationtypemask` {}, or gives none",
                role.column, role.mask
            ));
        }
        // The list says whose parties they are.
        cells.retain(|cell| ![columns.mask, columns.activity].contains(&cell.column));
        open.retain(|(column, _)| *column != columns.activity);
        let is_somebody = !open.is_empty()
            || cells.iter().any(|cell| {
                [columns.party, columns.address].contains(&cell.column) && !cell.value.is_null()
            });
        if !is_somebody {
            return wrong("a party has neither `partyid` nor `addressused`".to_owned());
        }
        cells.retain(|cell| !cell.value.is_null());
        cells.push(Cell { column: columns.mask, value: Value::Integer(role.mask) });
        Ok(Party { cells, open })
    }
}

/// Finds whom parties name, and who takes part already.
pub(crate) struct Finder {
    described: Described,
    columns: Columns,
    lookups: Lookups,
    rows_max: usize,
    headers: Vec<(&'static str, String)>,
}

impl Finder {
    pub(crate) fn new(
        described: Described,
        newest: bool,
        rows_max: usize,
        headers: Vec<(&'static str, String)>,
    ) -> Result<Self, Problem> {
        let columns = Columns::of(&described.table)?;
        let rules = Rules { newest, ..Rules::default() };
        let lookups = Lookups::new(described.clone(), rules, rows_max, headers.clone())?;
        Ok(Self { described, columns, lookups, rows_max, headers })
    }

    /// Finds the records that parties name, for many rows at once.
    pub(crate) async fn settle(
        &mut self,
        service: &Service,
        drafts: &mut [Draft],
    ) -> Result<(), service::Error> {
        let mut inner: Vec<Draft> = Vec::new();
        let mut places = Vec::new();
        for (place, draft) in drafts.iter().enumerate().filter(|(_, it)| it.problem.is_none()) {
            for (number, list) in draft.parties.iter().enumerate() {
                for (at, party) in list.rows.iter().enumerate() {
                    if !party.open.is_empty() {
                        let Party { cells, open } = party.clone();
                        inner.push(Draft { cells, open, ..Draft::default() });
                        places.push((place, number, at));
                    }
                }
            }
        }
        if inner.is_empty() {
            return Ok(());
        }
        self.lookups.settle(service, &mut inner).await?;
        for (found, (place, number, at)) in inner.into_iter().zip(places) {
            let Some(draft) = drafts.get_mut(place) else { continue };
            let Some(list) = draft.parties.get_mut(number) else { continue };
            match (found.problem, list.rows.get_mut(at)) {
                (Some(problem), _) => {
                    draft.problem.get_or_insert(problem.of_column(list.role.column));
                }
                (None, Some(party)) => *party = Party { cells: found.cells, open: Vec::new() },
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// The parties of these activities.
    pub(crate) async fn stored(
        &self,
        service: &Service,
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, Vec<Party>>, service::Error> {
        let mut stored: HashMap<Uuid, Vec<Party>> = HashMap::new();
        let Described { table, catalog } = &self.described;
        let Columns { activity, party, mask, address } = self.columns;
        let question = Question { service, table, catalog, headers: &self.headers };
        let keys: Vec<Vec<Value>> = ids.iter().map(|id| vec![Value::Guid(*id)]).collect();
        for filter in filters(table, &[activity], &keys, self.rows_max) {
            let records = question.records(&[activity, party, mask, address], &filter).await?;
            for mut record in records {
                let own = record.cells.iter().find(|cell| cell.column == activity);
                let Some(own) = own.and_then(|cell| id_of(&cell.value)) else { continue };
                record.cells.retain(|cell| cell.column != activity && !cell.value.is_null());
                let party = Party { cells: record.cells, open: Vec::new() };
                stored.entry(own).or_default().push(party);
            }
        }
        Ok(stored)
    }

    /// The whole list of an activity that is changed: what is given, and what is there in other roles. Nothing where
    /// that changes nothing, if it is compared.
    pub(crate) fn change(
        &self,
        mut given: Vec<PartyList>,
        there: &[Party],
        compares: bool,
    ) -> Vec<PartyList> {
        let of = |mask: i32| there.iter().filter(move |party| self.mask(party) == Some(mask));
        let is_same = |list: &PartyList| self.are_same(&list.rows, of(list.role.mask).collect());
        if given.is_empty() || compares && given.iter().all(is_same) {
            return Vec::new();
        }
        for party in there {
            let mask = self.mask(party).unwrap_or_default();
            if OWN_ROLES.contains(&mask) {
                continue;
            }
            match given.iter_mut().find(|list| list.role.mask == mask) {
                // Lists of stored ones have no column.
                Some(list) if list.role.column.is_empty() => list.rows.push(party.clone()),
                Some(_) => {}
                None => {
                    let role = Role { column: "", mask };
                    given.push(PartyList { role, rows: vec![party.clone()] });
                }
            }
        }
        given
    }

    fn value<'p>(&self, party: &'p Party, column: ColumnIndex) -> Option<&'p Value> {
        party.cells.iter().find(|cell| cell.column == column).map(|cell| &cell.value)
    }

    fn mask(&self, party: &Party) -> Option<i32> {
        match self.value(party, self.columns.mask) {
            Some(Value::Integer(mask)) => Some(*mask),
            _ => None,
        }
    }

    /// In whatever order. An address that is not given may be any: services fill it in.
    fn are_same(&self, given: &[Party], mut there: Vec<&Party>) -> bool {
        let Columns { party, address, .. } = self.columns;
        let text = |one: &Party| match self.value(one, address) {
            Some(Value::Text(text)) => Some(fold(text).into_owned()),
            _ => None,
        };
        let id = |one: &Party| self.value(one, party).and_then(id_of);
        given.len() == there.len()
            && given.iter().all(|one| {
                let fits = |other: &&Party| {
                    id(one) == id(other) && (text(one).is_none() || text(one) == text(other))
                };
                let place = there.iter().position(fits);
                place.map(|place| there.swap_remove(place)).is_some()
            })
    }
}

/// Puts the parties into the object of an activity, which ends `out`.
pub(crate) fn append(
    out: &mut Vec<u8>,
    table: &Table,
    parties: &Described,
    lists: &[PartyList],
) -> Result<(), wire::Error> {
    debug_assert!(out.ends_with(b"}"), "an object");
    out.pop();
    out.extend_from_slice(format!(",\"{}_activity_parties\":[", table.logical_name).as_bytes());
    let mut is_first = true;
    for party in lists.iter().flat_map(|list| &list.rows) {
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        let target = Target { cells: party.cells.clone(), ..Target::default() };
        wire::targets::encode_record(out, &parties.table, &parties.catalog, &target)?;
    }
    out.extend_from_slice(b"]}");
    Ok(())
}
