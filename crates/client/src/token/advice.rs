//! What a refusal of an issuer means, and what to do next. Pure.
//!
//! The platform numbers its refusals (`AADSTS7000222: …`); other issuers give OAuth's words alone.
//! Not here: sending (`grant`).

use super::grant::Denial;

/// As what the caller asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum As {
    Secret,
    Certificate,
    Person,
}

/// The issuer's words, and what follows from them.
pub(super) fn told(denial: &Denial, who: As) -> String {
    let Denial { error, description, skew } = denial;
    // Behind the first line there are ids and times of the request.
    let first = description.lines().next().unwrap_or_default().trim();
    let said = match first {
        "" => format!("no token: {error}"),
        why => format!("no token: {error}: {why}"),
    };
    let clock = skew.map(clock).unwrap_or_default();
    match next(error, number(description), who) {
        Some(next) => format!("{said} → {next}{clock}"),
        None => format!("{said}{clock}"),
    }
}

/// What is said about a clock that is off.
pub(crate) fn clock(ahead: i64) -> String {
    let minutes = ahead.unsigned_abs().div_ceil(60);
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    format!(" (this machine's clock is {minutes} minutes {way} the other side's: set it right)")
}

/// The number of one of the platform's refusals.
fn number(description: &str) -> Option<u32> {
    let (_, rest) = description.split_once("AADSTS")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

fn next(error: &str, number: Option<u32>, who: As) -> Option<&'static str> {
    let by_number = match number {
        Some(7_000_222) => {
            "the client secret has expired: make a new one, and `sheaf auth login` again"
        }
        Some(7_000_215) => {
            "the client secret is not the right one: give its value, not its id; it may have been replaced"
        }
        Some(700_016) => {
            "the application is not known in this tenant: look at --client-id and at --tenant"
        }
        Some(90_002 | 900_023 | 50_059) => {
            "there is no such tenant: look at --tenant or --token-url"
        }
        Some(7_000_112) => "the application is disabled: have it enabled",
        Some(7_000_218) if who == As::Person => {
            "the application does not let people sign in without a secret: allow public client flows for it"
        }
        Some(7_000_218) => "the application must prove itself: give its secret or its certificate",
        Some(700_024) => {
            "the signed proof is not valid at this time: set this machine's clock right"
        }
        Some(700_027 | 700_030 | 7_000_214 | 5_000_811) => {
            "the issuer does not take the certificate: add it to the application, or use a secret"
        }
        Some(500_011 | 500_014 | 650_057 | 90_009) => {
            "the issuer does not know the service: look at --url, and whether this is the service's tenant"
        }
        Some(65_001) => "nobody has consented to the application: have an administrator consent",
        Some(50_076 | 50_079 | 50_078 | 50_158) => {
            "a second factor is asked for: sign in again with `sheaf auth login`"
        }
        Some(53_000..=53_004) => {
            "a rule of the tenant keeps this sign-in out: ask its administrator"
        }
        Some(700_082 | 70_008 | 70_043 | 50_173 | 9_002_313) => {
            "the sign-in has ended: sign in again with `sheaf auth login`"
        }
        Some(1_002_016) => "the issuer wants a newer TLS",
        _ => "",
    };
    if !by_number.is_empty() {
        return Some(by_number);
    }
    match (error, who) {
        ("invalid_client", As::Secret) => {
            Some("look at the client id and at its secret, which may have expired")
        }
        ("invalid_client", As::Certificate) => {
            Some("look at the client id, and whether the certificate is the application's")
        }
        ("invalid_grant", As::Person) => Some("sign in again with `sheaf auth login`"),
        ("unauthorized_client", _) => Some("the application may not do this: look at its settings"),
        ("unsupported_grant_type", As::Person) => {
            Some("the issuer knows no sign-in by device code: use a client secret")
        }
        ("invalid_scope" | "invalid_resource" | "invalid_target", _) => {
            Some("the issuer does not know the service under this address: look at --url")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(who: As, error: &str, description: &str, want: &str) {
        let denial = Denial { error: error.into(), description: description.into(), skew: None };
        let said = told(&denial, who);
        assert!(said.contains(want), "{said}");
        assert!(said.starts_with(&format!("no token: {error}")), "{said}");
        assert!(!said.contains('\n'), "{said}");
    }

    #[test]
    fn each_refusal_says_what_to_do_next() {
        let of_secret = |number: &str, want| {
            let text =
                format!("AADSTS{number}: Something is wrong. Trace ID: x\r\nCorrelation ID: y");
            check(As::Secret, "invalid_client", &text, want);
        };
        of_secret("7000222", "has expired");
        of_secret("7000215", "not its id");
        of_secret("700016", "--tenant");
        of_secret("90002", "--tenant");
        of_secret("500011", "--url");
        of_secret("1", "which may have expired");
        check(As::Certificate, "invalid_client", "AADSTS700027: no such key", "certificate");
        check(As::Certificate, "invalid_client", "AADSTS700024: not in its time", "clock");
        check(As::Person, "invalid_client", "AADSTS7000218: needs a secret", "public client flows");
        check(As::Person, "invalid_grant", "AADSTS700082: too old", "sign in again");
        check(As::Person, "invalid_grant", "", "sign in again");
        check(As::Secret, "something_new", "", "no token: something_new");
    }

    #[test]
    fn a_clock_that_is_off_is_named() {
        let denial =
            Denial { error: "invalid_client".into(), skew: Some(-601), ..Denial::default() };
        let said = told(&denial, As::Certificate);
        assert!(said.contains("clock is 11 minutes behind"), "{said}");
    }
}
