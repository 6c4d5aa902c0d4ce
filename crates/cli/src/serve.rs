//! `sheaf serve`.

use crate::args::{Serve, Usage};
use crate::output;
use crate::signal;
use server::{Config, Limits, Options, Server, StoreChoice};

/// Where rows live when nothing is said.
const DIRECTORY: &str = "./sheaf-data";

pub(crate) async fn serve(args: Serve) -> anyhow::Result<u8> {
    refuse_unhonoured("--tls", &args.tls)?;
    let store = match (args.data, args.store) {
        (Some(directory), _) => StoreChoice::Directory(directory),
        (None, Some(url)) if is_postgres(&url) => StoreChoice::Postgres(url),
        (None, Some(url)) => {
            let scheme = url.split_once("://").map_or("a path", |(scheme, _)| scheme);
            let text =
                format!("`--store` takes postgres:// only, not {scheme}; a directory is `--data`");
            return Err(Usage(text).into());
        }
        (None, None) => StoreChoice::Directory(DIRECTORY.into()),
    };
    let mut options = Options::new(args.listen, store);
    options.elastic = args.elastic_store.map(elastic_store).transpose()?;
    options.limits = Limits::named(&args.limits).map_err(as_usage)?;
    options.node = args.node;
    if let Some(file) = &args.config {
        options.config = Config::read(file)?;
    }
    let server = Server::start(options).await?;
    let address = server.address();
    output::line(&format!("listening on http://{address}"));
    output::note(&format!("try: curl http://{address}/api/data/v9.2/WhoAmI"));
    server.run(signal::stopped()).await;
    Ok(0)
}

fn elastic_store(text: String) -> Result<StoreChoice, Usage> {
    if is_postgres(&text) {
        return Ok(StoreChoice::Postgres(text));
    }
    match text.split_once("://") {
        Some((scheme, _)) => {
            Err(Usage(format!("`--elastic-store` takes a directory or postgres://, not {scheme}")))
        }
        None => Ok(StoreChoice::Directory(text.into())),
    }
}

fn is_postgres(url: &str) -> bool {
    ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme))
}

/// A limits file that cannot be used is a wrong call; its whole story is one text.
fn as_usage(error: server::Error) -> Usage {
    Usage(format!("{:#}", anyhow::Error::from(error)))
}

fn refuse_unhonoured(flag: &str, value: &str) -> Result<(), Usage> {
    match value {
        "off" => Ok(()),
        _ => Err(Usage(format!("`{flag} {value}` is not supported yet: only `{flag} off`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_honoured_is_refused_by_name() {
        assert!(refuse_unhonoured("--tls", "off").is_ok());
        let text = refuse_unhonoured("--tls", "dev").map_err(|err| err.to_string());
        assert_eq!(text, Err("`--tls dev` is not supported yet: only `--tls off`".to_owned()));
    }
}
