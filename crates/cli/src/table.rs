//! `sheaf table create | list | show`.

use crate::args::{Table, TableCommand, TableCreate, TableList, TableShow, Usage};
use crate::connection;
use crate::output;
use client::form::Form;
use client::infer::{Inference, Proposal, Wish};
use client::source::{self, Csv};
use model::{Column, ColumnKind, DateTimeBehavior, Label, LookupTarget, NewColumn, TableKind};

pub(crate) async fn table(args: Table) -> anyhow::Result<u8> {
    match args.command {
        TableCommand::Create(args) => create(args).await,
        TableCommand::List(args) => list(args).await,
        TableCommand::Show(args) => show(args).await,
    }
}

async fn create(args: TableCreate) -> anyhow::Result<u8> {
    if args.from.as_os_str() == "-" {
        return Err(Usage(
            "`--from` needs a file: it is read before the rows are loaded".to_owned(),
        )
        .into());
    }
    let service = connection::service(&args.connection)?;
    let mut prefix = args.prefix;
    if !prefix.ends_with('_') {
        prefix.push('_');
    }
    let wish = Wish { name: args.name, prefix, elastic: args.elastic, key: args.key };
    let path = args.from.clone();
    let proposal = tokio::task::spawn_blocking(move || infer(&path, &wish)).await??;
    let rows: Vec<Vec<String>> =
        proposal.table.columns.iter().map(|column| row(column, &proposal)).collect();
    let logical_name = proposal.table.schema_name.to_lowercase();
    output::line(&format!(
        "{} table {logical_name}, from {} rows of {}",
        match proposal.table.kind {
            TableKind::Standard => "standard",
            TableKind::Elastic => "elastic",
        },
        output::grouped(proposal.rows),
        args.from.display()
    ));
    output::table(&["column", "kind", "header", ""], &rows);
    for remark in &proposal.remarks {
        output::note(&format!("note: {remark}"));
    }
    service.create_table(&proposal).await?;
    output::note(&format!(
        "created; load it with: sheaf set {logical_name} {}{}",
        args.from.display(),
        proposal.key.as_ref().map(|key| format!(" --match-on {key}")).unwrap_or_default()
    ));
    Ok(0)
}

fn infer(path: &std::path::Path, wish: &Wish) -> anyhow::Result<Proposal> {
    let mut csv = Csv::new(source::open(path)?)?;
    let mut inference = Inference::new(csv.headers());
    while let Some((_, fields)) = csv.next()? {
        inference.look(fields);
    }
    Ok(inference.propose(wish)?)
}

fn row(column: &NewColumn, proposal: &Proposal) -> Vec<String> {
    let logical_name = column.schema_name.to_lowercase();
    let mut marks = Vec::new();
    if column.is_primary_name {
        marks.push("names the record");
    }
    if proposal.key.as_ref() == Some(&logical_name) {
        marks.push("key");
    }
    let header = column.display_name.shown().unwrap_or_default().to_owned();
    vec![logical_name, kind(&column.kind), header, marks.join(", ")]
}

async fn list(args: TableList) -> anyhow::Result<u8> {
    let service = connection::service(&args.connection)?;
    let mut tables = service.tables().await?;
    tables.retain(|table| args.all || table.is_custom_entity);
    tables.sort_by(|one, other| one.logical_name.cmp(&other.logical_name));
    let rows: Vec<Vec<String>> = tables
        .into_iter()
        .map(|table| {
            let shown = table.shown().unwrap_or_default().to_owned();
            vec![table.logical_name, table.entity_set_name.unwrap_or_default(), shown]
        })
        .collect();
    output::table(&["table", "entity set", "display name"], &rows);
    Ok(0)
}

async fn show(args: TableShow) -> anyhow::Result<u8> {
    let service = connection::service(&args.connection)?;
    let described = service.describe(&args.name, |_, _| false).await?;
    let table = &described.table;
    output::line(&format!(
        "{} table {} (entity set {})",
        match table.kind {
            TableKind::Standard => "standard",
            TableKind::Elastic => "elastic",
        },
        table.logical_name,
        table.entity_set_name
    ));
    let rows: Vec<Vec<String>> = table
        .indexed_columns()
        .map(|(index, column)| {
            let mut marks = Vec::new();
            if index == table.primary_key {
                marks.push("primary key".to_owned());
            }
            if Some(index) == table.primary_name {
                marks.push("names the record".to_owned());
            }
            if !column.valid_for_create && !column.valid_for_update {
                marks.push("read-only".to_owned());
            }
            if Form::of(column) != Form::Plain {
                marks.extend(column.description.shown().map(str::to_owned));
            }
            vec![
                column.logical_name.to_string(),
                kind(&column.kind),
                header(column),
                marks.join(", "),
            ]
        })
        .collect();
    output::table(&["column", "kind", "display name", ""], &rows);
    for key in &table.keys {
        let names = key.columns.iter().map(|column| &*table.column(*column).logical_name);
        let names: Vec<&str> = names.collect();
        output::line(&format!("alternate key {} over {}", key.logical_name, names.join(", ")));
    }
    Ok(0)
}

fn header(column: &Column) -> String {
    column.display_name.shown().unwrap_or_default().to_owned()
}

fn kind(kind: &ColumnKind) -> String {
    let shown = |label: &Label| label.shown().unwrap_or("?").to_owned();
    match kind {
        ColumnKind::Guid => "unique identifier".to_owned(),
        ColumnKind::Text { max_length, .. } => format!("text({max_length})"),
        ColumnKind::Memo { max_length, .. } => format!("memo({max_length})"),
        ColumnKind::Integer { .. } => "whole number".to_owned(),
        ColumnKind::BigInt => "big whole number".to_owned(),
        ColumnKind::Decimal { precision, .. } => format!("decimal({precision})"),
        ColumnKind::Double { precision, .. } => format!("double({precision})"),
        ColumnKind::Money { precision, .. } => format!("money({precision})"),
        ColumnKind::Boolean { true_label, false_label, .. } => {
            format!("{}/{}", shown(true_label).to_lowercase(), shown(false_label).to_lowercase())
        }
        ColumnKind::DateTime { behavior: DateTimeBehavior::DateOnly, .. } => "date".to_owned(),
        ColumnKind::DateTime { behavior: DateTimeBehavior::UserLocal, .. } => {
            "date and time".to_owned()
        }
        ColumnKind::DateTime { behavior: DateTimeBehavior::TimeZoneIndependent, .. } => {
            "date and time without zone".to_owned()
        }
        ColumnKind::Choice { options, .. } => format!("choice of {}", options.len()),
        ColumnKind::MultiChoice { options } => format!("several of {}", options.len()),
        ColumnKind::State { .. } => "state".to_owned(),
        ColumnKind::Status { .. } => "status".to_owned(),
        ColumnKind::Lookup { targets, .. } => {
            let names: Vec<&str> = targets.iter().map(table_of).collect();
            format!("lookup({})", names.join(", "))
        }
        ColumnKind::TableName => "table name".to_owned(),
        ColumnKind::File { .. } => "file".to_owned(),
        ColumnKind::Image { .. } => "image".to_owned(),
    }
}

fn table_of(target: &LookupTarget) -> &str {
    &target.table
}
