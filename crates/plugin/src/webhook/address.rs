//! Where a delivery may go: names are looked up once, and only what they are found to be is connected to.
//!
//! Invariant: no delivery reaches an address of this machine, of a private network or of a cloud's own services, unless
//! the operator names it; a name that leads there is refused like the address itself.

use super::Settings;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Looks names up, and leaves out what may not be connected to.
pub(crate) struct Resolver {
    settings: Settings,
}

impl Resolver {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone() }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let settings = self.settings.clone();
        Box::pin(async move {
            let host = name.as_str();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            let listed = is_listed(host, &settings);
            let allowed: Vec<SocketAddr> = found
                .iter()
                .filter(|address| listed || may_reach(address.ip(), &settings))
                .copied()
                .collect();
            if allowed.is_empty() {
                return Err(format!("`{host}` is at no address that may be posted to").into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Checks what can be told from the address alone: its scheme, and an address of numbers.
pub(crate) fn check(url: &Url, settings: &Settings) -> Result<(), String> {
    let host = url.host_str().ok_or("the url has no host")?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<IpAddr> = bare.parse().ok();
    let listed = is_listed(bare, settings);
    if let Some(address) = address
        && !listed
        && !may_reach(address, settings)
    {
        return Err(format!("`{host}` is an address that may not be posted to"));
    }
    let is_local = address.map_or(bare.eq_ignore_ascii_case("localhost"), is_loopback);
    match url.scheme() {
        "https" => Ok(()),
        "http" if listed || (is_local && settings.allow_loopback) => Ok(()),
        scheme => Err(format!("`{scheme}` is not allowed for `{host}`; use https")),
    }
}

fn is_listed(host: &str, settings: &Settings) -> bool {
    settings.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
}

fn may_reach(address: IpAddr, settings: &Settings) -> bool {
    if settings.allow_loopback && is_loopback(address) {
        return true;
    }
    !is_special(address)
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether an address is not one of the public network.
fn is_special(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_special_v4(address),
        IpAddr::V6(address) => is_special_v6(address),
    }
}

fn is_special_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        // Shared by carriers; protocol assignments; benchmarks; the metadata service of one cloud.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
        || address == Ipv4Addr::new(168, 63, 129, 16)
}

fn is_special_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // Addresses that hold one of version 4 lead where that leads.
    let inner = match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some((high, low)),
        [0, 0, 0, 0, 0, 0, high, low] => Some((high, low)),
        _ => None,
    };
    if let Some((high, low)) = inner {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        return is_special_v4(Ipv4Addr::new(a, b, c, d));
    }
    address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || segments[0] == 0x64
        || (segments[0] == 0x2001 && (segments[1] == 0xdb8 || segments[1] < 0x200))
        || (segments[0] & 0xffc0) == 0xfec0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(url: &str, settings: &Settings) -> bool {
        check(&Url::parse(url).unwrap(), settings).is_ok()
    }

    #[test]
    fn private_addresses_are_refused_in_every_spelling() {
        let settings = Settings::default();
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "10.0.0.1",
            "172.16.3.4",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "168.63.129.16",
            "[::1]",
            "[::]",
            "[::ffff:10.0.0.1]",
            "[fe80::1]",
            "[fd00::1]",
            "[64:ff9b::a00:1]",
            "[2002:a00:1::]",
            "[ff02::1]",
            "[2001:db8::1]",
            "[::10.0.0.1]",
        ] {
            assert!(!told(&format!("https://{host}/x"), &settings), "{host}");
        }
        for host in ["hooks.example", "93.184.215.14", "[2606:2800:21f::1]"] {
            assert!(told(&format!("https://{host}/x"), &settings), "{host}");
        }
    }

    #[test]
    fn without_tls_only_what_the_operator_allows_is_reached() {
        let closed = Settings::default();
        assert!(!told("http://hooks.example/x", &closed));
        assert!(!told("http://localhost/x", &closed));
        assert!(!told("ftp://hooks.example/x", &closed));
        let open = Settings { allow_loopback: true, ..Settings::default() };
        assert!(told("http://localhost/x", &open));
        assert!(told("http://127.0.0.1:80/x", &open));
        assert!(told("http://[::1]/x", &open));
        assert!(!told("http://10.0.0.1/x", &open));
        let listed = Settings {
            allowed_hosts: vec!["10.0.0.1".to_owned(), "hooks.internal".to_owned()],
            ..Settings::default()
        };
        assert!(told("http://10.0.0.1/x", &listed));
        assert!(told("http://HOOKS.internal/x", &listed));
        assert!(!told("http://10.0.0.2/x", &listed));
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_refused_where_it_is_looked_up() {
        let looked = |settings: Settings| {
            Resolver::new(&settings).resolve("localhost".parse::<Name>().unwrap())
        };
        assert!(looked(Settings::default()).await.is_err());
        let open = Settings { allow_loopback: true, ..Settings::default() };
        assert!(looked(open).await.unwrap().count() > 0);
    }
}
