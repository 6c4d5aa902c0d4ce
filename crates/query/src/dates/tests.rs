//! Every date operator as its range: `[from, to)`, or `]` where the end is inside.

use super::*;
use crate::operator::{Operator, Surface, find};
use crate::{Context, Settings};
use model::{ColumnId, ColumnIndex, Label, RequiredLevel, Uuid};

/// A Wednesday afternoon; in New York it is 13:45:30, daylight saving time.
const NOW: &str = "2024-05-15T17:45:30Z";

fn column(behavior: DateTimeBehavior) -> Column {
    Column {
        id: ColumnId(1),
        metadata_id: Uuid::nil(),
        logical_name: "at".into(),
        schema_name: "at".into(),
        display_name: Label::default(),
        description: Label::default(),
        kind: ColumnKind::DateTime { behavior, with_time: true },
        required: RequiredLevel::None,
        computed: None,
        is_custom: true,
        is_indexed: false,
        valid_for_create: true,
        valid_for_update: true,
        valid_for_read: true,
        settings: model::ColumnSettings::default(),
    }
}

fn context(now: &str, zone: &str, fiscal: Fiscal) -> Context {
    let now = Timestamp::parse(now).expect("an instant");
    let zone = TimeZone::get(zone).expect("a zone");
    let settings = Settings { zone, fiscal, language: 1033 };
    Context::with(now, Uuid::nil(), Uuid::nil(), settings)
}

fn asked(behavior: DateTimeBehavior, text: &str, context: &Context) -> Result<Filter, Error> {
    let mut words = text.split(' ');
    let name = words.next().expect("an operator");
    let Some(Operator::Date(when)) = find(Surface::Fetch, name) else { panic!("no {name}") };
    let values: Vec<String> = words.map(str::to_owned).collect();
    settle(when, name, (ColumnRef::root(ColumnIndex(0)), &column(behavior)), &values, context)
}

fn print(filter: &Filter) -> String {
    let value = |value: &Value| match value {
        Value::DateTime(at) => at.to_string().trim_end_matches('Z').replace("T00:00:00", ""),
        Value::Date(day) => day.to_string(),
        other => panic!("no date: {other:?}"),
    };
    match filter {
        Filter::And(parts) => parts.iter().map(print).collect::<Vec<_>>().join(" "),
        Filter::Or(parts) => parts.iter().map(print).collect::<Vec<_>>().join(" or "),
        Filter::IsNull { negated: true, .. } => "any".into(),
        Filter::IsNull { .. } => "none".into(),
        Filter::Compare { compare, value: found, .. } => {
            let sign = match compare {
                Compare::Equal => "=",
                Compare::NotEqual => "<>",
                Compare::Greater => ">",
                Compare::GreaterOrEqual => ">=",
                Compare::Less => "<",
                Compare::LessOrEqual => "<=",
            };
            format!("{sign}{}", value(found))
        }
        other => panic!("no range: {other:?}"),
    }
}

fn check_in(context: &Context, behavior: DateTimeBehavior, text: &str, want: &str) {
    let filter = asked(behavior, text, context).unwrap_or_else(|err| panic!("{text}: {err}"));
    assert_eq!(print(&filter), want, "{text}");
}

/// On a column of instants, for a caller in UTC.
fn check(text: &str, want: &str) {
    let context = context(NOW, "UTC", Fiscal::default());
    check_in(&context, DateTimeBehavior::UserLocal, text, want);
}

#[test]
fn days() {
    check("on 2024-02-28", ">=2024-02-28 <2024-02-29");
    check("on 2024-02-28T23:59:00Z", ">=2024-02-28 <2024-02-29");
    check("not-on 2024-02-28", "<2024-02-28 or none or >=2024-02-29 or none");
    check("on-or-after 2024-02-28", ">=2024-02-28");
    check("on-or-before 2024-02-29", "<2024-03-01");
    check("on-or-before 9999-12-31", "any");
    check("on 9999-12-31", ">=9999-12-31");
    check("on-or-after 1753-01-01", ">=1753-01-01");
    check("today", ">=2024-05-15 <2024-05-16");
    check("yesterday", ">=2024-05-14 <2024-05-15");
    check("tomorrow", ">=2024-05-16 <2024-05-17");
    check("last-seven-days", ">=2024-05-08 <=2024-05-15T17:45:30");
    check("next-seven-days", ">=2024-05-15T17:45:30 <2024-05-23");
}

#[test]
fn weeks_begin_on_sunday_and_months_and_years_on_their_first() {
    check("this-week", ">=2024-05-12 <2024-05-19");
    check("last-week", ">=2024-05-05 <2024-05-12");
    check("next-week", ">=2024-05-19 <2024-05-26");
    check("this-month", ">=2024-05-01 <2024-06-01");
    check("last-month", ">=2024-04-01 <2024-05-01");
    check("next-month", ">=2024-06-01 <2024-07-01");
    check("this-year", ">=2024-01-01 <2025-01-01");
    check("last-year", ">=2023-01-01 <2024-01-01");
    check("next-year", ">=2025-01-01 <2026-01-01");
    let sunday = context("2024-05-12T00:00:00Z", "UTC", Fiscal::default());
    check_in(&sunday, DateTimeBehavior::UserLocal, "this-week", ">=2024-05-12 <2024-05-19");
    let january = context("2024-01-31T00:00:00Z", "UTC", Fiscal::default());
    check_in(&january, DateTimeBehavior::UserLocal, "last-month", ">=2023-12-01 <2024-01-01");
    check_in(&january, DateTimeBehavior::UserLocal, "next-month", ">=2024-02-01 <2024-03-01");
}

#[test]
fn numbers_of_units() {
    check("last-x-hours 1", ">=2024-05-15T16:00:00 <=2024-05-15T17:45:30");
    check("next-x-hours 2", ">=2024-05-15T17:45:30 <2024-05-15T20:00:00");
    check("last-x-days 3", ">=2024-05-12 <=2024-05-15T17:45:30");
    check("next-x-days 1", ">=2024-05-15T17:45:30 <2024-05-17");
    check("last-x-weeks 1", ">=2024-05-08 <=2024-05-15T17:45:30");
    check("next-x-weeks 1", ">=2024-05-15T17:45:30 <2024-05-23");
    check("last-x-months 3", ">=2024-02-15 <=2024-05-15T17:45:30");
    check("next-x-months 1", ">=2024-05-15T17:45:30 <2024-06-16");
    check("last-x-years 1", ">=2023-05-15 <=2024-05-15T17:45:30");
    check("next-x-years 1", ">=2024-05-15T17:45:30 <2025-05-16");
    check("olderthan-x-minutes 1", "<2024-05-15T17:44:00");
    check("olderthan-x-hours 18", "<2024-05-14T23:00:00");
    check("olderthan-x-days 15", "<2024-04-30");
    check("olderthan-x-weeks 1", "<2024-05-08");
    check("olderthan-x-months 3", "<2024-02-15");
    check("olderthan-x-years 100", "<1924-05-15");
    let march = context("2024-03-31T10:00:00Z", "UTC", Fiscal::default());
    check_in(&march, DateTimeBehavior::UserLocal, "olderthan-x-months 1", "<2024-02-29");
}

#[test]
fn a_number_beyond_the_calendar_bounds_nothing() {
    check("last-x-years 4000000000", "<=2024-05-15T17:45:30");
    check("next-x-years 4000000000", ">=2024-05-15T17:45:30");
    check("last-x-days 4000000000", "<=2024-05-15T17:45:30");
    check("olderthan-x-years 9000", "<1753-01-01");
    check("olderthan-x-hours 4000000000", "<1753-01-01");
    check("in-fiscal-year 4000000000", ">9999-12-31T23:59:59");
    check("in-fiscal-year 9999", ">=9999-01-01");
    check("in-fiscal-year 1", "<1753-01-01");
    check("last-x-fiscal-years 4000000000", "<2024-01-01");
}

#[test]
fn local_days_of_a_zone_are_turned_to_instants() {
    let there = context(NOW, "America/New_York", Fiscal::default());
    let check = |text, want| check_in(&there, DateTimeBehavior::UserLocal, text, want);
    check("today", ">=2024-05-15T04:00:00 <2024-05-16T04:00:00");
    check("this-month", ">=2024-05-01T04:00:00 <2024-06-01T04:00:00");
    // From winter to winter.
    check("this-year", ">=2024-01-01T05:00:00 <2025-01-01T05:00:00");
    check("on 2024-03-10", ">=2024-03-10T05:00:00 <2024-03-11T04:00:00");
    check("on 2024-03-11T03:00:00Z", ">=2024-03-10T05:00:00 <2024-03-11T04:00:00");
    check("last-x-hours 1", ">=2024-05-15T16:00:00 <=2024-05-15T17:45:30");
    // Half an hour off: the hour begins where the caller is.
    let there = context(NOW, "Asia/Kolkata", Fiscal::default());
    let check = |text, want| check_in(&there, DateTimeBehavior::UserLocal, text, want);
    check("last-x-hours 1", ">=2024-05-15T16:30:00 <=2024-05-15T17:45:30");
    check("today", ">=2024-05-14T18:30:00 <2024-05-15T18:30:00");
    // It is tomorrow already.
    let there = context(NOW, "Pacific/Auckland", Fiscal::default());
    check_in(
        &there,
        DateTimeBehavior::UserLocal,
        "today",
        ">=2024-05-15T12:00:00 <2024-05-16T12:00:00",
    );
    // Midnight that is skipped: the day begins at one.
    let there = context("2018-11-04T12:00:00Z", "America/Sao_Paulo", Fiscal::default());
    let want = ">=2018-11-04T03:00:00 <2018-11-05T02:00:00";
    check_in(&there, DateTimeBehavior::UserLocal, "today", want);
}

#[test]
fn wall_clock_times_are_not_converted() {
    let there = context(NOW, "America/New_York", Fiscal::default());
    let check = |text, want| check_in(&there, DateTimeBehavior::TimeZoneIndependent, text, want);
    check("today", ">=2024-05-15 <2024-05-16");
    check("last-x-hours 1", ">=2024-05-15T12:00:00 <=2024-05-15T13:45:30");
    check("last-x-days 1", ">=2024-05-14 <=2024-05-15T13:45:30");
    check("on 2024-05-15T23:30:00+02:00", ">=2024-05-15 <2024-05-16");
    check("olderthan-x-minutes 5", "<2024-05-15T13:40:00");
}

#[test]
fn days_without_time_compare_by_their_midnight() {
    let there = context("2024-05-16T02:00:00Z", "America/New_York", Fiscal::default());
    let check = |text, want| check_in(&there, DateTimeBehavior::DateOnly, text, want);
    check("today", "=2024-05-15");
    check("on 2024-05-01", "=2024-05-01");
    check("on 2024-05-01T23:59:00-08:00", "=2024-05-01");
    check("this-week", ">=2024-05-12 <2024-05-19");
    check("last-x-days 2", ">=2024-05-13 <=2024-05-15");
    check("next-x-days 2", ">2024-05-15 <2024-05-18");
    check("olderthan-x-days 1", "<2024-05-14");
    check("on-or-before 2024-05-01", "<2024-05-02");
    for hours in ["last-x-hours 1", "next-x-hours 1", "olderthan-x-minutes 1"] {
        let err = asked(DateTimeBehavior::DateOnly, hours, &there).expect_err(hours);
        assert!(matches!(err, Error::NotForColumn { .. }), "{err}");
    }
}

#[test]
fn fiscal_periods_and_years() {
    check("this-fiscal-period", ">=2024-04-01 <2024-07-01");
    check("last-fiscal-period", ">=2024-01-01 <2024-04-01");
    check("next-fiscal-year", ">=2025-01-01 <2026-01-01");
    let april = Fiscal { month: 4, day: 1, kind: PeriodKind::Monthly };
    let april = context(NOW, "UTC", april);
    let check = |text, want| check_in(&april, DateTimeBehavior::UserLocal, text, want);
    check("this-fiscal-period", ">=2024-05-01 <2024-06-01");
    check("this-fiscal-year", ">=2024-04-01 <2025-04-01");
    check("last-fiscal-year", ">=2023-04-01 <2024-04-01");
    check("last-x-fiscal-periods 2", ">=2024-03-01 <2024-05-01");
    check("next-x-fiscal-periods 2", ">=2024-06-01 <2024-08-01");
    check("last-x-fiscal-years 2", ">=2022-04-01 <2024-04-01");
    check("next-x-fiscal-years 1", ">=2025-04-01 <2026-04-01");
    check("in-fiscal-year 2023", ">=2023-04-01 <2024-04-01");
    check("in-fiscal-period-and-year 12 2023", ">=2024-03-01 <2024-04-01");
    check("in-or-before-fiscal-period-and-year 1 2024", "<2024-05-01");
    check("in-or-after-fiscal-period-and-year 1 2024", ">=2024-04-01");
    check("in-fiscal-period-and-year 13 2023", ">9999-12-31T23:59:59");
    let weeks = Fiscal { month: 1, day: 1, kind: PeriodKind::FourWeek };
    let weeks = context("2024-12-31T00:00:00Z", "UTC", weeks);
    let want = ">=2024-12-02 <2025-01-01";
    check_in(&weeks, DateTimeBehavior::UserLocal, "this-fiscal-period", want);
}

#[test]
fn a_period_of_any_year_is_a_range_in_each() {
    let there = context(NOW, "UTC", Fiscal::default());
    let filter =
        asked(DateTimeBehavior::UserLocal, "in-fiscal-period 2", &there).expect("a filter");
    let Filter::Ranges { bounds, negated: false, .. } = filter else { panic!("no ranges") };
    assert!(bounds.is_sorted_by(|one, other| crate::evaluate::compare(one, other).is_lt()));
    let within = |text: &str| {
        let at = Value::DateTime(Timestamp::parse(text).expect("an instant"));
        bounds.partition_point(|bound| crate::evaluate::compare(bound, &at).is_le()) % 2 == 1
    };
    for inside in ["1753-04-01", "2024-04-01", "2023-06-30T23:59:59Z", "9999-05-01"] {
        assert!(within(inside), "{inside}");
    }
    for outside in ["1753-01-01", "2024-03-31T23:59:59Z", "2024-07-01", "9999-12-31"] {
        assert!(!within(outside), "{outside}");
    }
    let last = asked(DateTimeBehavior::DateOnly, "in-fiscal-period 4", &there).expect("a filter");
    let Filter::Ranges { bounds, .. } = last else { panic!("no ranges") };
    assert_eq!(bounds.last(), Some(&Value::Date(Date(Timestamp::MAX.date().0 + 1))));
    let fifth = asked(DateTimeBehavior::UserLocal, "in-fiscal-period 5", &there);
    assert_eq!(fifth, Ok(Filter::Or(Vec::new())));
    let annual = Fiscal { kind: PeriodKind::Annual, ..Fiscal::default() };
    check_in(
        &context(NOW, "UTC", annual),
        DateTimeBehavior::UserLocal,
        "in-fiscal-period 1",
        "any",
    );
}

#[test]
fn values_that_are_none_are_named() {
    let there = context(NOW, "UTC", Fiscal::default());
    let refused = |text: &str, want: &str| {
        let err = asked(DateTimeBehavior::UserLocal, text, &there).expect_err(text).to_string();
        assert!(err.contains(want), "{text}: {err}");
    };
    refused("last-x-days 0", "`0`");
    refused("last-x-days -1", "`-1`");
    refused("last-x-days two", "`two`");
    refused("on soon", "`soon`");
    refused("on", "0 values");
    refused("today 1", "1 values");
    refused("in-fiscal-period-and-year 1", "1 values");
    let unread = Context::default();
    let err = asked(DateTimeBehavior::UserLocal, "today", &unread);
    assert_eq!(err, Err(Error::SettingsNeeded));
}
