//! `sheaf run`, and what `set` and `remove` do to keep a run.
//!
//! A run remembers the arguments it began with, without secrets; going on with it is the same call once
//! more, with the journal. Invariant: secrets are never written down.

use crate::args::{
    Command, Keep, RUNS_VARIABLE, RunAgain, RunCommand, RunList, RunNamed, Sheaf, Usage,
};
use crate::output;
use anyhow::Context;
use clap::Parser;
use client::ids::Seed;
use client::journal::log::Log;
use client::journal::{Counts, Outcome};
use client::run::{Fingerprint, Manifest, Run, Runs, Selection, Standing, VERSION, Wish};
use std::path::{Path, PathBuf};

/// Arguments whose values are secret.
const SECRETS: [&str; 3] = ["--token", "--client-secret", "--token-command"];

pub(crate) async fn run(args: crate::args::Run) -> anyhow::Result<u8> {
    match args.command {
        RunCommand::Resume(again) => go_on(again, Wish::Rest).await,
        RunCommand::Retry(again) => go_on(again, Wish::Failed).await,
        RunCommand::Report(named) => report(&named),
        RunCommand::List(list) => show_list(&list),
    }
}

/// A run that this call works on.
pub(crate) struct Going {
    run: Run,
    /// None for a run that begins.
    wish: Option<Wish>,
}

impl Going {
    /// What ids grow from.
    pub(crate) fn seed(&self) -> Seed {
        self.run.manifest.seed()
    }

    /// Which rows are left, where it goes on.
    pub(crate) fn selection(&self) -> Option<Selection> {
        self.wish.map(|wish| self.run.selection(wish))
    }

    /// The journal.
    pub(crate) fn log(&self) -> Result<Log, client::run::Error> {
        self.run.log()
    }

    /// Says how to go on, where there is something left.
    pub(crate) fn say_how_to_go_on(&self, code: u8, counts: &Counts) {
        let name = &self.run.name;
        match code {
            0 => {}
            1 if counts.of(Outcome::NotAttempted) == 0 => {
                output::note(&format!("`sheaf run retry {name}` sends the failed rows once more"))
            }
            _ => output::note(&format!("`sheaf run resume {name}` goes on")),
        }
    }
}

/// Begins a run where the arguments wish for one.
pub(crate) fn begin(
    keep: &Keep,
    table: &str,
    file: &Path,
    seed: Seed,
    callers: &[String],
) -> anyhow::Result<Option<Going>> {
    let name = match (&keep.run, &keep.journal) {
        (Some(name), _) => name.clone(),
        (None, Some(_)) => {
            let legal = |c: char| if c.is_alphanumeric() { c } else { '-' };
            format!("{}-{}", table.chars().map(legal).collect::<String>(), seed.started_ms)
        }
        (None, None) => return Ok(None),
    };
    if file.as_os_str() == "-" {
        let Some(flag) = asked_for(keep) else { return Ok(None) };
        return Err(Usage(format!(
            "`{flag}` needs an input that can be read again: a file, not standard input"
        ))
        .into());
    }
    let manifest = Manifest {
        version: VERSION,
        arguments: as_callers(without_secrets(std::env::args().skip(1)), callers),
        directory: std::env::current_dir().context("the working directory is not there")?,
        input: Fingerprint::of(file)?,
        started_ms: seed.started_ms,
        random: seed.random,
    };
    let run = runs(keep.journal.as_deref())?.begin(&name, manifest)?;
    if keep.run.is_none() {
        output::note(&format!("run `{name}`"));
    }
    Ok(Some(Going { run, wish: None }))
}

/// The flag that asks for a journal in the call itself. Where the environment says where runs are kept, calls whose input
/// cannot be read again go without one.
pub(crate) fn asked_for(keep: &Keep) -> Option<&'static str> {
    let is_own = |directory: &PathBuf| {
        std::env::var_os(RUNS_VARIABLE).is_none_or(|usual| usual != directory.as_os_str())
    };
    match (&keep.run, &keep.journal) {
        (Some(_), _) => Some("--run"),
        (None, Some(directory)) if is_own(directory) => Some("--journal"),
        _ => None,
    }
}

/// Takes a run up that a load has begun; nothing where it has not, or does not go on.
pub(crate) fn take_up(keep: &Keep, wish: Option<Wish>) -> anyhow::Result<Option<Going>> {
    let (Some(name), Some(wish)) = (&keep.run, wish) else { return Ok(None) };
    let runs = runs(keep.journal.as_deref())?;
    if !runs.names()?.contains(name) {
        return Ok(None);
    }
    let run = runs.open(name)?;
    run.check_input()?;
    Ok(Some(Going { run, wish: Some(wish) }))
}

async fn go_on(again: RunAgain, wish: Wish) -> anyhow::Result<u8> {
    let runs = runs(again.journal.as_deref())?;
    let run = runs.open(&again.name)?;
    if !again.force {
        run.check_input()?;
    }
    // Paths among the arguments are as they were.
    let directory = &run.manifest.directory;
    std::env::set_current_dir(directory)
        .with_context(|| format!("cannot go to `{}`, where the run began", directory.display()))?;
    let words = std::iter::once("sheaf".to_owned()).chain(run.manifest.arguments.iter().cloned());
    let sheaf = Sheaf::try_parse_from(words).map_err(|err| Usage(err.to_string()))?;
    let going = Some(Going { run, wish: Some(wish) });
    match sheaf.command {
        Command::Set(mut args) => {
            args.connection.url = again.url.or(args.connection.url);
            crate::set::set_with(*args, going).await
        }
        Command::Remove(mut args) => {
            args.connection.url = again.url.or(args.connection.url);
            args.yes = true;
            crate::remove::remove_with(*args, going).await
        }
        // One pass of a load: the load as a whole goes on.
        Command::Load(_) if again.force => {
            let text =
                format!("run `{}` is one of a load, which does not go on by force", again.name);
            Err(Usage(text).into())
        }
        Command::Load(mut args) => {
            args.connection.url = again.url.or(args.connection.url);
            drop(going);
            Box::pin(crate::load::load_with(*args, Some(wish))).await
        }
        _ => {
            Err(Usage(format!("run `{}` is none of `set`, `remove` or `load`", again.name)).into())
        }
    }
}

fn report(named: &RunNamed) -> anyhow::Result<u8> {
    let standing = runs(named.journal.as_deref())?.standing(&named.name)?;
    output::line(&shown(&standing, named.json));
    Ok(0)
}

fn show_list(list: &RunList) -> anyhow::Result<u8> {
    let runs = runs(list.journal.as_deref())?;
    for name in runs.names()? {
        match runs.standing(&name) {
            Ok(standing) => output::line(&shown(&standing, list.json)),
            Err(err) => output::note(&format!("{name}: {:#}", anyhow::Error::from(err))),
        }
    }
    Ok(0)
}

fn shown(standing: &Standing, as_json: bool) -> String {
    let Standing { name, manifest, counts, open } = standing;
    if as_json {
        let ended = Outcome::ALL.iter().filter(|outcome| counts.of(**outcome) > 0);
        let ended: serde_json::Map<String, serde_json::Value> = ended
            .map(|outcome| (outcome.as_str().to_owned(), counts.of(*outcome).into()))
            .collect();
        return serde_json::json!({
            "run": name,
            "rows": counts.read(),
            "outcomes": ended,
            "open": open,
            "input": manifest.input.path,
            "arguments": manifest.arguments,
        })
        .to_string();
    }
    let open = match open {
        0 => String::new(),
        open => format!("; {open} sent and without an outcome"),
    };
    format!("{name}: {counts}{open}")
}

fn runs(directory: Option<&Path>) -> anyhow::Result<Runs> {
    let directory = match directory {
        Some(directory) => directory.to_owned(),
        None => default_directory().ok_or_else(|| {
            Usage("nobody says where runs are kept: give `--journal DIR`, or set SHEAF_RUNS".into())
        })?,
    };
    Ok(Runs::new(directory))
}

/// Where the user's programs keep what they remember.
fn default_directory() -> Option<PathBuf> {
    let of = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let states = of("XDG_STATE_HOME")
        .or_else(|| of("LOCALAPPDATA"))
        .or_else(|| of("HOME").map(|home| home.join(".local/state")))?;
    Some(states.join("sheaf").join("runs"))
}

/// Names the profiles that count though no argument names them: they are the same when the run is gone on with.
fn as_callers(mut words: Vec<String>, callers: &[String]) -> Vec<String> {
    if !callers.is_empty() {
        let place = words.len().min(1);
        words.splice(place..place, ["--profile".to_owned(), callers.join(",")]);
    }
    words
}

fn without_secrets(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut is_value = false;
    for word in words {
        let is_secret = SECRETS.contains(&word.as_str());
        let is_joined = SECRETS
            .iter()
            .any(|secret| word.strip_prefix(secret).is_some_and(|rest| rest.starts_with('=')));
        if !is_value && !is_secret && !is_joined {
            kept.push(word);
        }
        is_value = is_secret && !is_value;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_remembers_the_profile_that_was_in_use() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let callers = ["a".to_owned(), "b".to_owned()];
        assert_eq!(as_callers(words("set t f"), &callers), words("set --profile a,b t f"));
        assert_eq!(as_callers(words("set t f"), &[]), words("set t f"));
    }

    #[test]
    fn secrets_are_not_written_down() {
        let check = |line: &str, want: &str| {
            let words = line.split(' ').map(str::to_owned);
            assert_eq!(without_secrets(words).join(" "), want);
        };
        check("set a b --token t -j 4", "set a b -j 4");
        check("set a b --token=t --client-secret s --client-id i", "set a b --client-id i");
        check("set a b --client-secret=s", "set a b");
        check("set a b --client-secret --token", "set a b");
        check("set a b --token-command x --token-file f", "set a b --token-file f");
    }
}
