//! What differs between the SQL of the engines, and the parameters that both bind.
//!
//! Not here: the engines' own dialects (each in its engine), running anything.

use crate::names::Storage;
use model::{ColumnId, Date, Decimal, Timestamp, Uuid};
use query::dates::Calendar;
use query::shape::DatePart;
use query::{Match, Pattern};

/// A value beside a statement's text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Param {
    /// Text; for comparisons already folded.
    Text(String),
    /// 32-bit number.
    Integer(i32),
    /// 64-bit number; on an engine with scaled decimals those, too.
    BigInt(i64),
    /// Floating point.
    Double(f64),
    /// Exact decimal; never on an engine with scaled decimals.
    Decimal(Decimal),
    /// Yes or no.
    Boolean(bool),
    /// An instant.
    DateTime(Timestamp),
    /// A day.
    Date(Date),
    /// An id.
    Guid(Uuid),
    /// Several values of one kind; never empty, never nested.
    List(Vec<Param>),
}

/// Which part of a date, by which clock and calendar.
pub(crate) struct Dated<'c> {
    /// The part.
    pub(crate) part: DatePart,
    /// Number of the first parameter of [`Dialect::shifts`], where instants are told by that clock.
    pub(crate) shifts: Option<usize>,
    /// Number of the first parameter of [`Dialect::periods`], where the part is a fiscal one.
    pub(crate) periods: Option<usize>,
    /// The calendar that those parameters are of.
    pub(crate) calendar: &'c Calendar,
}

/// What differs between the engines.
pub(crate) trait Dialect {
    /// Writes the placeholder of parameter `number` (from 1).
    fn placeholder(&self, sql: &mut String, number: usize, param: &Param);

    /// The expression whose binary order and equality are those of `model::fold` of a stored text
    /// column without a full `c<n>f`. `prefix` stands before every name of a column: `j1.` or nothing.
    fn fold_column(&self, prefix: &str, id: ColumnId) -> String;

    /// The same for two non-null texts with a blank between: `plain` is both joined, each part is
    /// the text and its fold.
    fn fold_joined(&self, plain: &str, first: (&str, &str), last: (&str, &str)) -> String;

    /// Writes `expression in the list of parameter number`; `NOT IN` when negated.
    fn in_list(
        &self,
        sql: &mut String,
        expression: &str,
        number: usize,
        list: &Param,
        negated: bool,
    );

    /// Writes whether a folded expression contains, or ends with, the (never empty) text of
    /// parameter `number`. Never asked for [`Match::StartsWith`], which is a range.
    fn find(&self, sql: &mut String, expression: &str, number: usize, matches: Match);

    /// Writes whether a folded expression fits a pattern; answers what goes as parameter `number`.
    fn like(&self, sql: &mut String, expression: &str, number: usize, pattern: &Pattern) -> Param;

    /// Writes whether an expression lies in one of the half-open ranges between bounds, which ascend
    /// and are never empty; answers what goes as parameter `number`.
    fn ranges(
        &self,
        sql: &mut String,
        expression: &str,
        number: usize,
        bounds: Vec<Param>,
    ) -> Param;

    /// Writes whether a text of choices has one of these (never none); answers what goes as parameter
    /// `number`.
    fn choices(&self, sql: &mut String, expression: &str, number: usize, values: &[i32]) -> Param;

    /// What follows an order expression, so that nulls come first ascending and last descending.
    /// `nullable` is false for the primary key, which is never null.
    fn direction(&self, descending: bool, nullable: bool) -> &'static str;

    /// The sum of an expression of whole numbers, decimals or doubles, null over nothing.
    fn sum(&self, expression: &str, storage: Storage) -> String;

    /// The average of such an expression in its own kind: whole numbers cut off towards zero, decimals
    /// rounded to `scale` places (no fewer than they are kept with), halves away from zero.
    fn average(&self, expression: &str, storage: Storage, scale: u8) -> String;

    /// The changes of a clock, as parameters.
    fn shifts(&self, calendar: &Calendar) -> Vec<Param>;

    /// Fiscal periods, as parameters.
    fn periods(&self, calendar: &Calendar) -> Vec<Param>;

    /// A part of an instant or a day as a 32-bit number.
    fn date_part(&self, expression: &str, storage: Storage, part: &Dated<'_>) -> String;

    /// Whether decimals are kept as 64-bit whole numbers of their last place.
    fn decimals_are_scaled(&self) -> bool;
}
