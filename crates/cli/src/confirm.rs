//! `--confirm`: somebody at the terminal is asked before a batch leaves.
//!
//! Not here: when (`client::sender`). Invariant: without a terminal nothing is sent.

use crate::args::{Progress, Usage};
use crate::output;
use client::confirm::{Asker, Question, Reply};
use std::io::IsTerminal;

/// Who is asked, where that is wished for.
pub(crate) fn asker(is_wished: bool) -> Result<Option<Asker>, Usage> {
    if !is_wished {
        return Ok(None);
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        let text = "`--confirm` needs a terminal to ask at, as standard input and standard error";
        return Err(Usage(text.to_owned()));
    }
    Ok(Some(Asker::new(|question| {
        Box::pin(async move {
            // A terminal that is gone, or says nothing more, means the end.
            let asked = tokio::task::spawn_blocking(move || ask(&question)).await;
            asked.ok().and_then(Result::ok).unwrap_or(Reply::Quit)
        })
    })))
}

/// A bar and a question do not go on one line.
pub(crate) fn beside(asks: bool, progress: Progress) -> Progress {
    match progress {
        Progress::Auto if asks => Progress::None,
        other => other,
    }
}

fn ask(question: &Question) -> std::io::Result<Reply> {
    loop {
        match output::answer(&format!("{question} [y]es, [n]o, [a]ll, [q]uit: "))? {
            None => return Ok(Reply::Quit),
            Some(answer) => {
                if let Some(reply) = reply(&answer) {
                    return Ok(reply);
                }
            }
        }
    }
}

fn reply(answer: &str) -> Option<Reply> {
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Some(Reply::Yes),
        "n" | "no" => Some(Reply::No),
        "a" | "all" => Some(Reply::All),
        "q" | "quit" => Some(Reply::Quit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_words_or_their_first_letters() {
        for (answer, want) in [
            ("y\n", Some(Reply::Yes)),
            ("NO\r\n", Some(Reply::No)),
            ("all", Some(Reply::All)),
            (" q ", Some(Reply::Quit)),
            ("", None),
            ("yess", None),
        ] {
            assert_eq!(reply(answer), want, "{answer:?}");
        }
    }
}
