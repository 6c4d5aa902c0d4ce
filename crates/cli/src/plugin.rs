//! `sheaf plugin push | step | list | explain | trace`.
//!
//! Not here: what is asked of the service (`client::registration`), looking into components (`server`).

use crate::args::{
    At, Mode, Plugin, PluginCommand, PluginExplain, PluginList, PluginPush, PluginStep,
    PluginStepAdd, PluginStepCommand, PluginTrace, Usage,
};
use crate::{connection, output};
use anyhow::Context;
use client::registration::{self, NewStep, Push, Traces};
use client::service::Service;
use model::Uuid;
use serde_json::{Value, json};

pub(crate) async fn plugin(args: Plugin) -> anyhow::Result<u8> {
    match args.command {
        PluginCommand::Push(args) => push(args).await?,
        PluginCommand::Step(PluginStep { command }) => match command {
            PluginStepCommand::Add(args) => add(*args).await?,
            PluginStepCommand::Enable(named) => enable(&named.step, &named.at, true).await?,
            PluginStepCommand::Disable(named) => enable(&named.step, &named.at, false).await?,
            PluginStepCommand::Remove(named) => remove(&named.step, &named.at).await?,
        },
        PluginCommand::List(args) => list(&args).await?,
        PluginCommand::Explain(args) => explain(&args).await?,
        PluginCommand::Trace(args) => trace(&args).await?,
    }
    Ok(0)
}

fn service(at: &At) -> anyhow::Result<Service> {
    connection::service(&at.connection)
}

async fn push(args: PluginPush) -> anyhow::Result<()> {
    let PluginPush { file, name, assembly_version, prune, at } = args;
    let shown = file.display();
    let name = match name {
        Some(name) => name,
        None => {
            let stem = file.file_stem().and_then(|stem| stem.to_str());
            stem.ok_or_else(|| Usage(format!("`{shown}` has no name; give `--name`")))?.to_owned()
        }
    };
    let bytes =
        std::fs::read(&file).map_err(|err| Usage(format!("cannot read `{shown}`: {err}")))?;
    let (bytes, types) = component(bytes)
        .await
        .map_err(|why| Usage(format!("`{shown}` is no plug-in that could be taken: {why}")))?;
    let push = Push {
        name: &name,
        version: assembly_version.as_deref(),
        bytes: &bytes,
        types: &types,
        prune,
    };
    let pushed = registration::push(&service(&at)?, &push).await?;
    if at.json {
        output::line(&serde_json::to_string(&pushed).context("it can be written")?);
        return Ok(());
    }
    let row = |of: &registration::PushedType| {
        let mark = if of.created { "new" } else { "" };
        vec![of.name.clone(), mark.to_owned(), of.description.clone()]
    };
    let rows: Vec<Vec<String>> = pushed.types.iter().map(row).collect();
    output::table(&["type", "", "description"], &rows);
    for name in &pushed.removed {
        output::note(&format!("removed type {name}"));
    }
    let what = if pushed.created { "created" } else { "changed" };
    let size = output::grouped(bytes.len() as u64);
    output::note(&format!("{what} assembly {name} ({}), {size} bytes", pushed.assembly));
    if let Some(of_type) = pushed.types.iter().find(|of| of.created) {
        output::note(&format!(
            "run it with: sheaf plugin step add --type {} --message CreateMultiple --table TABLE",
            of_type.name
        ));
    }
    Ok(())
}

/// A file as a component, and the names of the types that it offers with what they say of themselves.
#[cfg(feature = "plugins")]
async fn component(file: Vec<u8>) -> Result<(Vec<u8>, Vec<(String, String)>), String> {
    let component = server::component(file).await?;
    Ok((component.bytes.to_vec(), component.types))
}

#[cfg(not(feature = "plugins"))]
async fn component(_: Vec<u8>) -> Result<(Vec<u8>, Vec<(String, String)>), String> {
    Err("this build cannot look into one: it was made without the feature `plugins`".to_owned())
}

async fn add(args: PluginStepAdd) -> anyhow::Result<()> {
    let service = service(&args.at)?;
    let table = match &args.table {
        Some(name) => Some(service.resolve(name).await?),
        None => None,
    };
    let step = NewStep {
        of_type: &args.of_type,
        assembly: args.assembly.as_deref(),
        message: &args.message,
        table: table.as_deref(),
        name: args.name.as_deref(),
        stage: args.stage.number(),
        asynchronous: args.mode == Mode::Async,
        rank: args.rank,
        filter: &args.filter,
        images: &args.image,
        configuration: args.configuration.as_deref(),
    };
    let added = registration::add_step(&service, &step).await?;
    if args.at.json {
        output::line(&serde_json::to_string(&added).context("it can be written")?);
        return Ok(());
    }
    output::line(&added.step);
    output::note(&format!("{} runs from the next message on", added.name));
    Ok(())
}

async fn enable(step: &str, at: &At, enabled: bool) -> anyhow::Result<()> {
    let id = registration::enable_step(&service(at)?, step, enabled).await?;
    if at.json {
        output::line(&json!({"step": id, "enabled": enabled}).to_string());
        return Ok(());
    }
    output::note(&format!("{step} is {}", if enabled { "enabled" } else { "disabled" }));
    Ok(())
}

async fn remove(step: &str, at: &At) -> anyhow::Result<()> {
    let id = registration::remove_step(&service(at)?, step).await?;
    if at.json {
        output::line(&json!({"step": id, "removed": true}).to_string());
        return Ok(());
    }
    output::note(&format!("{step} is removed"));
    Ok(())
}

async fn list(args: &PluginList) -> anyhow::Result<()> {
    let registered = registration::registered(&service(&args.at)?).await?;
    if args.at.json {
        output::line(&serde_json::to_string(&registered).context("it can be written")?);
        return Ok(());
    }
    let of_assembly = |assembly: &registration::Assembly| {
        let own =
            |name: &String| vec![assembly.name.clone(), assembly.version.clone(), name.clone()];
        match assembly.types.is_empty() {
            true => vec![own(&String::new())],
            false => assembly.types.iter().map(own).collect(),
        }
    };
    let rows: Vec<Vec<String>> = registered.assemblies.iter().flat_map(of_assembly).collect();
    output::table(&["assembly", "version", "type"], &rows);
    let of_step = |step: &registration::Step| {
        let stage = match step.stage {
            10 => "pre-validation",
            20 => "pre-operation",
            _ => "post-operation",
        };
        let mut marks = Vec::new();
        if step.asynchronous {
            marks.push("async".to_owned());
        }
        if !step.enabled {
            marks.push("disabled".to_owned());
        }
        marks.extend(step.filter.as_ref().map(|columns| format!("if {columns}")));
        vec![
            step.message.clone(),
            step.table.clone().unwrap_or_else(|| "(every table)".to_owned()),
            stage.to_owned(),
            step.rank.to_string(),
            step.name.clone(),
            step.id.clone(),
            marks.join(", "),
        ]
    };
    let rows: Vec<Vec<String>> = registered.steps.iter().map(of_step).collect();
    output::line("");
    output::table(&["message", "table", "stage", "rank", "step", "id", ""], &rows);
    Ok(())
}

async fn explain(args: &PluginExplain) -> anyhow::Result<()> {
    let service = service(&args.at)?;
    let table = service.resolve(&args.table).await?;
    let columns = args.columns.as_deref();
    let plans =
        registration::explain(&service, &args.message, &table, args.targets, columns).await?;
    if args.at.json {
        output::line(&Value::Array(plans).to_string());
        return Ok(());
    }
    for plan in &plans {
        let text = plan.get("Text").and_then(Value::as_str).unwrap_or_default();
        output::line(text.trim_end());
    }
    Ok(())
}

async fn trace(args: &PluginTrace) -> anyhow::Result<()> {
    let correlation = args.correlation.as_deref().map(|text| {
        let id = Uuid::try_parse(text.trim());
        id.map_err(|_| Usage(format!("`--correlation` is a GUID, not `{text}`")))
    });
    let correlation = correlation.transpose()?.map(|id| id.to_string());
    let traces = Traces {
        top: args.top,
        of_type: args.of_type.as_deref(),
        correlation: correlation.as_deref(),
        failed: args.failed,
    };
    let rows = registration::traces(&service(&args.at)?, &traces).await?;
    for row in &rows {
        output::line(&if args.at.json { row.to_string() } else { traced(row) });
    }
    if rows.is_empty() {
        output::note("nothing was traced; the organization's `plugintracelogsetting` says what is");
    }
    Ok(())
}

/// A run and what it said, over several lines.
fn traced(row: &Value) -> String {
    let of = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| row.get(name).and_then(Value::as_i64).unwrap_or_default();
    let mut text = format!(
        "{} {} {} of {}, depth {}, {} ms{}, correlation {}",
        of("createdon"),
        of("typename"),
        of("messagename"),
        of("primaryentity"),
        number("depth"),
        number("performanceexecutionduration"),
        if number("mode") == 1 { ", async" } else { "" },
        of("correlationid"),
    );
    for (mark, block) in [("  ", of("messageblock")), ("! ", of("exceptiondetails"))] {
        for line in block.lines().filter(|line| !line.trim().is_empty()) {
            text.push_str(&format!("\n  {mark}{line}"));
        }
    }
    text
}
