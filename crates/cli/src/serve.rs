//! `sheaf serve`.

use crate::args::{LetIn, Serve, TlsChoice, Usage};
use crate::output;
use crate::signal;
use server::{AuthMode, Config, Limits, Listen, Options, Server, StoreChoice, Tls};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where rows live when nothing is said.
const DIRECTORY: &str = "./sheaf-data";
/// Where it listens when nothing is said.
const ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

pub(crate) async fn serve(args: Serve) -> anyhow::Result<u8> {
    let store = store(args.data, args.store)?;
    let mut options = Options::new(ADDRESS, store);
    options.listen = listen(&args.listen, &args.listen_tls, &args.tls)?;
    options.tls = certificates(args.tls, args.tls_dir, args.tls_name, &options.store)?;
    options.auth = match args.auth {
        None => AuthMode::ByAddress,
        Some(LetIn::Off) => AuthMode::Off,
        Some(LetIn::On) => AuthMode::On,
    };
    options.elastic = args.elastic_store.map(elastic_store).transpose()?;
    options.limits = Limits::named(&args.limits).map_err(as_usage)?;
    options.node = args.node;
    if let Some(file) = &args.config {
        options.config = Config::read(file)?;
    }
    let server = Server::start(options).await?;
    if let Some(file) = server.authority_file() {
        output::line(&format!("certificate authority {}", file.display()));
    }
    let addresses = server.addresses();
    for address in &addresses {
        output::line(&format!("listening on {address}"));
    }
    let Some(first) = addresses.first() else { return Ok(0) };
    if server.checks_tokens() {
        output::note("every request needs a token; `sheaf user add` makes who may ask for one");
        for plain in addresses.iter().filter(|at| !at.tls && !at.address.ip().is_loopback()) {
            output::note(&format!(
                "tokens that come to {plain} are not encrypted: put TLS in front"
            ));
        }
    } else {
        output::note(&format!("try: curl {first}/api/data/v9.2/WhoAmI"));
    }
    server.run(signal::stopped()).await;
    Ok(0)
}

/// The store that the arguments name.
pub(crate) fn store(data: Option<PathBuf>, store: Option<String>) -> Result<StoreChoice, Usage> {
    match (data, store) {
        (Some(directory), _) => Ok(StoreChoice::Directory(directory)),
        (None, Some(url)) if is_postgres(&url) => Ok(StoreChoice::Postgres(url)),
        (None, Some(url)) => {
            let scheme = url.split_once("://").map_or("a path", |(scheme, _)| scheme);
            let text =
                format!("`--store` takes postgres:// only, not {scheme}; a directory is `--data`");
            Err(Usage(text))
        }
        (None, None) => Ok(StoreChoice::Directory(DIRECTORY.into())),
    }
}

/// Where it listens. With `--tls` and without `--listen-tls` every address speaks TLS.
fn listen(
    plain: &[SocketAddr],
    secure: &[SocketAddr],
    tls: &TlsChoice,
) -> Result<Vec<Listen>, Usage> {
    let all = |tls: bool| move |address: &SocketAddr| Listen { address: *address, tls };
    let is_on = *tls != TlsChoice::Off;
    match (plain, secure) {
        (_, [_, ..]) if !is_on => {
            let text = "`--listen-tls` needs certificates: `--tls dev` or `--tls CERT,KEY`";
            Err(Usage(text.to_owned()))
        }
        ([], []) => Ok(vec![Listen { address: ADDRESS, tls: is_on }]),
        (plain, []) => Ok(plain.iter().map(all(is_on)).collect()),
        (plain, secure) => {
            Ok(plain.iter().map(all(false)).chain(secure.iter().map(all(true))).collect())
        }
    }
}

fn certificates(
    choice: TlsChoice,
    directory: Option<PathBuf>,
    names: Vec<String>,
    store: &StoreChoice,
) -> Result<Option<Tls>, Usage> {
    if choice != TlsChoice::Development {
        let flag = if directory.is_some() { Some("--tls-dir") } else { None };
        if let Some(flag) = flag.or((!names.is_empty()).then_some("--tls-name")) {
            return Err(Usage(format!("`{flag}` goes with `--tls dev` only")));
        }
    }
    match choice {
        TlsChoice::Off => Ok(None),
        TlsChoice::Files { certificates, key } => Ok(Some(Tls::Files { certificates, key })),
        TlsChoice::Development => {
            let directory = match (directory, store) {
                (Some(directory), _) => directory,
                (None, StoreChoice::Directory(data)) => data.join("tls"),
                (None, StoreChoice::Postgres(_)) => {
                    let text = "`--tls dev` beside `--store` needs `--tls-dir DIR` to keep its authority in";
                    return Err(Usage(text.to_owned()));
                }
            };
            Ok(Some(Tls::Development { directory, names }))
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(plain: &[&str], secure: &[&str], tls: TlsChoice, want: Result<&[&str], &str>) {
        let read = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().expect("an address")).collect()
        };
        let got = listen(&read(plain), &read(secure), &tls).map(|all| {
            let shown =
                |one: Listen| format!("{}{}", if one.tls { "tls " } else { "" }, one.address);
            all.into_iter().map(shown).collect::<Vec<_>>()
        });
        match (got, want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want),
            (Err(Usage(got)), Err(want)) => assert!(got.contains(want), "{got}"),
            (got, want) => panic!("{got:?} and not {want:?}"),
        }
    }

    #[test]
    fn addresses_speak_tls_where_that_is_said_once() {
        let files = TlsChoice::Files { certificates: "c".into(), key: "k".into() };
        let (one, two) = ("127.0.0.1:1", "[::1]:2");
        check(&[], &[], TlsChoice::Off, Ok(&["127.0.0.1:8080"]));
        check(&[], &[], TlsChoice::Development, Ok(&["tls 127.0.0.1:8080"]));
        check(&[one, two], &[], TlsChoice::Off, Ok(&[one, two]));
        check(&[one], &[], files.clone(), Ok(&["tls 127.0.0.1:1"]));
        check(&[one], &[two], files.clone(), Ok(&[one, "tls [::1]:2"]));
        check(&[], &[two], files, Ok(&["tls [::1]:2"]));
        check(&[one], &[two], TlsChoice::Off, Err("--listen-tls"));
    }

    #[test]
    fn what_goes_with_a_development_authority_goes_with_nothing_else() {
        let data = StoreChoice::Directory("d".into());
        let database = StoreChoice::Postgres("postgres://x".into());
        let of = |choice, directory: Option<&str>, names: &[&str], store| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            certificates(choice, directory.map(PathBuf::from), names, store)
                .map_err(|Usage(text)| text)
        };
        assert_eq!(of(TlsChoice::Off, None, &[], &data), Ok(None));
        let made = Tls::Development { directory: "d/tls".into(), names: vec!["a".to_owned()] };
        assert_eq!(of(TlsChoice::Development, None, &["a"], &data), Ok(Some(made)));
        let refused = of(TlsChoice::Development, None, &[], &database);
        assert!(refused.is_err_and(|text| text.contains("--tls-dir")));
        let refused = of(TlsChoice::Off, None, &["a"], &data);
        assert!(refused.is_err_and(|text| text.contains("--tls-name")));
        let refused = of(TlsChoice::Off, Some("t"), &[], &data);
        assert!(refused.is_err_and(|text| text.contains("--tls-dir")));
    }
}
