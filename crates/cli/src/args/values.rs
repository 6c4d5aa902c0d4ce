//! Options for texts that can mean several things.
//!
//! Not here: what they do (`client::convert`, `client::zone`). Invariant: the defaults do not depend on the machine.

use clap::{Args, ValueEnum};
use client::convert::{self, Parting, Reading};
use client::zone::Zone;

/// What a whole number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Epoch {
    /// Seconds since 1970, in UTC
    S,
    /// Thousandths of a second since 1970, in UTC
    Ms,
}

/// What texts mean.
#[derive(Clone, Debug, Args)]
pub(crate) struct ValueArgs {
    /// Zone of times that have none, in columns that hold instants: UTC, local, or a name such as
    /// Europe/Berlin [default: UTC]. A time that a change of clocks leaves out or brings twice fails its row
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    pub(crate) timezone: Option<Zone>,
    /// Whole numbers in date and time columns count since 1970
    #[arg(long, value_enum)]
    pub(crate) epoch: Option<Epoch>,
    /// What parts several choices in a text: one character such as `;` or `,`, or none where a text is one
    /// choice [default: `;` where there is one, else `,`]
    #[arg(long, value_name = "CHAR|none", value_parser = parting)]
    pub(crate) multi_sep: Option<Parting>,
}

impl ValueArgs {
    /// For the library.
    pub(crate) fn reading(&self) -> Reading {
        Reading {
            zone: self.timezone.clone(),
            epoch: self.epoch.map(|epoch| match epoch {
                Epoch::S => convert::Epoch::Seconds,
                Epoch::Ms => convert::Epoch::Milliseconds,
            }),
            choices: self.multi_sep.unwrap_or_default(),
        }
    }
}

pub(super) fn zone(text: &str) -> Result<Zone, String> {
    text.parse()
}

fn parting(text: &str) -> Result<Parting, String> {
    let mut all = text.chars();
    match (text, all.next(), all.next()) {
        ("none", ..) => Ok(Parting::Nothing),
        (_, Some(one), None) if !one.is_alphanumeric() && !one.is_whitespace() => {
            Ok(Parting::By(one))
        }
        _ => Err("give one character that is no letter, digit or blank, or `none`".to_owned()),
    }
}
