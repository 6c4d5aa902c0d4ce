//! `sheaf completions` and `sheaf man`: what the command line's own definition says, for shells and for readers.

use crate::args::{Completions, Man, Sheaf, Shell};
use anyhow::Context;
use clap::CommandFactory;
use clap_complete::shells;
use std::io::{ErrorKind, Write};

/// Writes completions.
pub(crate) fn completions(args: &Completions) -> anyhow::Result<u8> {
    let mut command = Sheaf::command();
    let mut text = Vec::new();
    let name = "sheaf";
    match args.shell {
        Shell::Bash => clap_complete::generate(shells::Bash, &mut command, name, &mut text),
        Shell::Zsh => clap_complete::generate(shells::Zsh, &mut command, name, &mut text),
        Shell::Fish => clap_complete::generate(shells::Fish, &mut command, name, &mut text),
        Shell::Powershell => {
            clap_complete::generate(shells::PowerShell, &mut command, name, &mut text);
        }
    }
    print(&text)
}

/// Writes pages of the manual.
pub(crate) fn man(args: &Man) -> anyhow::Result<u8> {
    let command = Sheaf::command();
    match &args.dir {
        Some(dir) => {
            std::fs::create_dir_all(dir)
                .and_then(|()| clap_mangen::generate_to(command, dir))
                .with_context(|| format!("cannot write into `{}`", dir.display()))?;
        }
        None => {
            let mut text = Vec::new();
            clap_mangen::Man::new(command).render(&mut text).context("cannot write the page")?;
            return print(&text);
        }
    }
    Ok(0)
}

fn print(text: &[u8]) -> anyhow::Result<u8> {
    match std::io::stdout().write_all(text) {
        // Whoever read the output has seen enough.
        Err(err) if err.kind() != ErrorKind::BrokenPipe => Err(err).context("cannot write"),
        _ => Ok(0),
    }
}
