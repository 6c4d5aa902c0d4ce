//! `sheaf load`: files of several tables, one `set` after the other.
//!
//! Not here: the order (`client::load`), what a `set` does (`set`).
//! Invariant: everything that can be known to be wrong is said before the first row is sent.

mod entries;

use crate::args::{Load, Set, Usage};
use crate::connection;
use crate::output;
use crate::run::{self, Going};
use crate::set;
use client::journal::Counts;
use client::load::{Node, Plan, Step, plan};
use client::lookup::Aim;
use client::mapping::find;
use client::run::Wish;
use client::service::Service;
use client::source::Format;
use entries::Entry;
use model::{ColumnKind, Table};
use std::path::PathBuf;
use std::sync::Arc;

/// A file, and what is known of it before it is loaded.
struct Input {
    args: Set,
    table: Arc<Table>,
    /// The names of what its rows give.
    names: Vec<String>,
    node: Node,
}

/// Loads, perhaps going on with a run.
pub(crate) async fn load_with(args: Load, wish: Option<Wish>) -> anyhow::Result<u8> {
    let wish = wish.or(args.resume.then_some(Wish::Rest));
    if args.keep.journal.is_some() && args.keep.run.is_none() {
        return Err(Usage("give the load a name: `--run NAME`".to_owned()).into());
    }
    if args.what_if && wish.is_some() {
        return Err(Usage("`--what-if` does not go with `--resume`".to_owned()).into());
    }
    let service = Service::new(connection::pool(&args.connection, args.pace.width)?);
    let from = args.from.clone();
    let entries = tokio::task::spawn_blocking(move || entries::read(&from)).await??;
    let mut inputs = Vec::with_capacity(entries.len());
    for entry in entries {
        inputs.push(look(&service, &args, entry).await?);
    }
    aim(&mut inputs);
    let nodes: Vec<Node> = inputs.iter().map(|input| input.node.clone()).collect();
    let plan = plan(&nodes);
    check(&inputs, &plan)?;
    check_files(&args, &inputs)?;
    let figures = args.stats.as_ref().filter(|directory| directory.as_os_str() != "-");
    for directory in [args.rejects.as_ref(), args.errors.as_ref(), figures].into_iter().flatten() {
        std::fs::create_dir_all(directory)
            .map_err(|err| Usage(format!("cannot write into `{}`: {err}", directory.display())))?;
    }
    run_all(&args, wish, &inputs, &plan).await
}

async fn run_all(
    args: &Load,
    wish: Option<Wish>,
    inputs: &[Input],
    plan: &Plan,
) -> anyhow::Result<u8> {
    let second = if args.what_if { &[][..] } else { &plan.second[..] };
    let steps = plan.first.iter().map(|step| (step, false));
    let steps: Vec<(&Step, bool)> = steps.chain(second.iter().map(|step| (step, true))).collect();
    let (mut worst, mut all, mut done) = (0, Counts::default(), 0);
    for (number, (step, is_second)) in steps.iter().enumerate() {
        let input = &inputs[step.place];
        let set = match is_second {
            false => first_pass(args, input, step),
            true => second_pass(args, input, step),
        };
        let mark = if *is_second { ", lookups that were put off" } else { "" };
        let (table, file) = (&input.table.logical_name, set.file.display());
        output::note(&format!("load {}/{}: {table}{mark} ({file})", number + 1, steps.len()));
        // Rows that had failed before were not there for the second pass.
        let wish = match (wish, is_second) {
            (Some(Wish::Failed), true) => Some(Wish::Undone),
            (wish, _) => wish,
        };
        let going = match &set.keep.run {
            Some(_) => match run::take_up(&set.keep, wish)? {
                Some(going) => Some(going),
                // A retry has nothing to send again where nothing was sent.
                None if matches!(wish, Some(Wish::Failed | Wish::Undone)) => continue,
                None => None,
            },
            None => None::<Going>,
        };
        let (code, counts) = Box::pin(set::set_counted(set, going)).await?;
        all.include(&counts);
        done += 1;
        worst = worst.max(code);
        // Rows that failed do not keep others from being loaded; what stopped a run stops all.
        if code > 1 {
            output::note("load: stopped; later files are not attempted");
            break;
        }
    }
    let verb = if args.what_if { "load would be" } else { "load" };
    output::note(&format!("{verb}: {done} of {} passes over files, {all}", steps.len()));
    if let (Some(name), true) = (&args.keep.run, worst > 0) {
        let text = format!("`sheaf load {} --run {name} --resume` goes on", args.from.display());
        output::note(&text);
    }
    Ok(worst)
}

/// What can be known of a file.
async fn look(service: &Service, load: &Load, entry: Entry) -> anyhow::Result<Input> {
    let Entry { mut args, names } = entry;
    let table = service.describe(&args.table, |_, _| false).await?.table;
    args.connection = load.connection.clone();
    args.look = load.look;
    args.batch_size = load.batch_size;
    args.pace = load.pace.clone();
    args.care = load.care.clone();
    args.call = load.call.clone();
    args.what_if = load.what_if;
    let ignored = |name: &String| args.ignore.iter().any(|other| other.eq_ignore_ascii_case(name));
    let names: Vec<String> = names.into_iter().filter(|name| !ignored(name)).collect();
    let columns = || names.iter().filter_map(|name| find(&table, name));
    let is_named = |index| columns().any(|other| other == index);
    let has_key =
        is_named(table.primary_key) || names.iter().any(|name| name.eq_ignore_ascii_case("id"));
    if !has_key && args.match_on.is_empty() && !args.create_only {
        let mut keys = table.keys.iter();
        let key = keys.find(|key| key.columns.iter().all(|column| is_named(*column)));
        let key = key.ok_or_else(|| {
            Usage(format!(
                "`{}`: its rows have neither a primary key nor all columns of an alternate key of table `{}`, so that a \
                 second load would make them again: give `--match-on` or `--create-only` in a manifest",
                args.file.display(),
                table.logical_name
            ))
        })?;
        let key = key.columns.iter().map(|column| &*table.column(*column).logical_name);
        args.match_on = vec![key.collect::<Vec<_>>().join(",")];
    }
    let lookups = names.iter().filter_map(|name| {
        let ColumnKind::Lookup { targets, .. } = &table.column(find(&table, name)?).kind else {
            return None;
        };
        Some((name.clone(), targets.iter().map(|target| target.table.to_string()).collect()))
    });
    let node = Node { table: table.logical_name.to_string(), lookups: lookups.collect() };
    Ok(Input { args, table, names, node })
}

/// Lookups into tables of the load are looked up by what the rows there are matched by, where that is one column and
/// nobody says otherwise.
fn aim(inputs: &mut [Input]) {
    let by: Vec<(String, Option<String>)> = inputs
        .iter()
        .map(|input| {
            let single = match input.args.match_on.as_slice() {
                [only] if !only.contains(',') => find(&input.table, only.trim()),
                _ => None,
            };
            let column = single.map(|index| input.table.column(index).logical_name.to_string());
            (input.node.table.clone(), column)
        })
        .collect();
    for input in inputs {
        for (name, targets) in &input.node.lookups {
            let column = find(&input.table, name);
            let is_said =
                input.args.lookup.iter().any(|(said, _)| find(&input.table, said) == column);
            let here = by.iter().filter(|(table, _)| targets.contains(table));
            let mut aims: Vec<&String> = here.filter_map(|(_, column)| column.as_ref()).collect();
            aims.dedup();
            if let ([only], false) = (aims.as_slice(), is_said) {
                let aim = Aim { table: None, column: (*only).clone() };
                input.args.lookup.push((name.clone(), aim));
            }
        }
    }
}

/// Lookups that are put off must not be what rows are known by.
fn check(inputs: &[Input], plan: &Plan) -> Result<(), Usage> {
    for step in &plan.second {
        let input = &inputs[step.place];
        let (file, table) = (input.args.file.display(), &input.table.logical_name);
        let mut kept = input.args.no_update_columns.iter().map(|name| find(&input.table, name));
        let is_kept = kept.any(|column| {
            column.is_some() && step.deferred.iter().any(|name| find(&input.table, name) == column)
        });
        let against = [
            ("--create-only", input.args.create_only),
            ("--no-update", input.args.no_update),
            ("--no-update-columns", is_kept),
        ];
        if let Some((option, _)) = against.iter().find(|(_, is_given)| *is_given) {
            let text = format!(
                "`{file}`: lookups of `{table}` that point in a circle ({}) need a second pass, which `{option}` does \
                 not allow",
                step.deferred.join(", ")
            );
            return Err(Usage(text));
        }
        let matched = input.args.match_on.iter().flat_map(|list| set::names(list));
        let matched: Vec<_> = matched.map(|name| find(&input.table, &name)).collect();
        if let Some(name) =
            step.deferred.iter().find(|name| matched.contains(&find(&input.table, name)))
        {
            let text = format!(
                "`{file}`: rows of `{table}` are matched by `{name}`, which points in a circle to rows that are not there yet"
            );
            return Err(Usage(text));
        }
    }
    Ok(())
}

/// What a pass leaves must neither lie over an input nor over what another one leaves.
fn check_files(load: &Load, inputs: &[Input]) -> Result<(), Usage> {
    if load.rejects.is_none() && load.errors.is_none() && load.stats.is_none() {
        return Ok(());
    }
    for (place, input) in inputs.iter().enumerate() {
        let name = input.args.file.file_name();
        if inputs[..place].iter().any(|other| other.args.file.file_name() == name) {
            let text = format!(
                "two inputs are named `{}`: what `--rejects`, `--errors` and `--stats` leave would lie over each other",
                name.unwrap_or_default().to_string_lossy()
            );
            return Err(Usage(text));
        }
        let is_beside = |directory: &PathBuf| {
            let file = input.args.file.canonicalize().ok();
            let beside = file.as_ref().and_then(|file| file.parent());
            beside.is_some() && directory.canonicalize().ok().as_deref() == beside
        };
        let named = [("--rejects", &load.rejects), ("--errors", &load.errors)];
        for (option, directory) in named.into_iter().chain([("--stats", &load.stats)]) {
            if directory.as_ref().is_some_and(is_beside) {
                let text =
                    format!("`{option}` must not be where the inputs are: another directory");
                return Err(Usage(text));
            }
        }
    }
    Ok(())
}

fn first_pass(load: &Load, input: &Input, step: &Step) -> Set {
    let mut args = input.args.clone();
    args.ignore.extend(step.deferred.iter().cloned());
    // What the load itself would bring is not there when nothing is written.
    args.lookup_missing = match load.what_if && !input.node.lookups.is_empty() {
        true => crate::args::LookupMissing::Null,
        false => args.lookup_missing,
    };
    name_files(load, input, step, "", &mut args);
    args
}

fn second_pass(load: &Load, input: &Input, step: &Step) -> Set {
    let mut args = input.args.clone();
    let mut kept: Vec<_> = args.match_on.iter().flat_map(|list| set::names(list)).collect();
    kept.extend(step.deferred.iter().cloned());
    let kept: Vec<_> = kept.iter().filter_map(|name| find(&input.table, name)).collect();
    let is_kept = |name: &&String| match find(&input.table, name) {
        Some(index) => kept.contains(&index) || index == input.table.primary_key,
        None => name.eq_ignore_ascii_case("id"),
    };
    let left_out = input.names.iter().filter(|name| !is_kept(name)).cloned();
    args.ignore.extend(left_out);
    (args.no_create, args.upsert, args.update_all_columns) = (true, false, false);
    args.lookup.retain(|(name, _)| step.deferred.contains(name));
    name_files(load, input, step, "second-", &mut args);
    args
}

/// Where the pass leaves what.
fn name_files(load: &Load, input: &Input, step: &Step, mark: &str, args: &mut Set) {
    let name = input.args.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let at = |directory: &PathBuf, end: &str| directory.join(format!("{mark}{name}{end}"));
    // Rejected rows of a Parquet input are NDJSON.
    let end = match Format::of_path(&input.args.file) {
        Some(Format::Parquet) => ".ndjson",
        _ => "",
    };
    args.rejects = load.rejects.as_ref().map(|directory| at(directory, end));
    args.errors = load.errors.as_ref().map(|directory| at(directory, ".ndjson"));
    args.stats = load.stats.as_ref().map(|directory| match directory.as_os_str() == "-" {
        true => directory.clone(),
        false => at(directory, ".json"),
    });
    args.keep = load.keep.clone();
    let number = step.place + 1;
    let table = &input.table.logical_name;
    args.keep.run = load.keep.run.as_ref().map(|run| format!("{run}.{mark}{number}-{table}"));
}
