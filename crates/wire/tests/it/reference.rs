//! References to records, read and written.

use super::fixture::{A, catalog, table_of};
use wire::reference::{parse, parse_key, write};

/// `want`: the reference as it is written again, or the error.
fn check(text: &str, want: &str) {
    let catalog = catalog();
    let text = text.replace("<A>", A);
    let got = match parse(&text, &catalog) {
        Ok((table, key)) => {
            let mut out = String::new();
            write(&mut out, &table, &key);
            let (again, same) = parse(&out, &catalog).unwrap();
            assert_eq!((again.id, &same), (table.id, &key), "{out}");
            out
        }
        Err(error) => format!("! {error}"),
    };
    assert_eq!(got, want.replace("<A>", A), "{text}");
}

#[test]
fn a_reference_may_be_relative_or_absolute() {
    check("accounts(<A>)", "accounts(<A>)");
    check("/accounts(<A>)", "accounts(<A>)");
    check(" /api/data/v9.2/accounts(<A>) ", "accounts(<A>)");
    check("api/data/v9.0/accounts(<A>)", "accounts(<A>)");
    check("https://org.example:8080/api/data/v9.2/accounts(<A>)", "accounts(<A>)");
    check("https://host/base/api/data/v9.2/accounts(<A>)", "accounts(<A>)");
    check("accounts({0A7DE3F2-8C11-4F1C-9E35-5F4D1B1F7A10})", "accounts(<A>)");
    check("accounts('0a7de3f28c114f1c9e355f4d1b1f7a10')", "accounts(<A>)");
    check("accounts(accountid=<A>)", "accounts(<A>)");
    check("accounts%28<A>%29", "accounts(<A>)");
}

#[test]
fn alternate_keys_are_read_in_any_order_and_quotes_are_doubled() {
    check("accounts(accountnumber='a''b')", "accounts(accountnumber='a''b')");
    check(
        "accounts(accountnumber='a%2Fb(%25),=c')",
        "accounts(accountnumber='a%2Fb%28%25%29%2C%3Dc')",
    );
    check("accounts(accountnumber='a/b(c)')", "accounts(accountnumber='a%2Fb%28c%29')");
    check("accounts(accountnumber='%27%27ä')", "accounts(accountnumber='''%C3%A4')");
    check("legs(leg_number=4,leg_crateno='T-1')", "legs(leg_crateno='T-1',leg_number=4)");
    check("legs( leg_crateno = 'T,1' , leg_number = 4 )", "legs(leg_crateno='T%2C1',leg_number=4)");
    check("legs(_leg_crate_value=<A>)", "legs(_leg_crate_value=<A>)");
    check("legs(leg_cost=1.50)", "legs(leg_cost=1.50)");
    check("ship_crates(ship_day=2024-01-31)", "ship_crates(ship_day=2024-01-31)");
    check(
        "ship_pings(ship_pingid=<A>,partitionId='d')",
        "ship_pings(ship_pingid=<A>,partitionid='d')",
    );
    check("ship_pings(ship_pingid=<A>)", "ship_pings(<A>)");
}

#[test]
fn what_names_no_key_is_refused() {
    let undefined = "! the key given for table `account` is none of its keys";
    check("accounts()", undefined);
    check("accounts(5)", undefined);
    check("accounts(name='x')", undefined);
    check("accounts(accountnumber='x',name='y')", undefined);
    check("accounts(accountnumber='x',accountnumber='x')", undefined);
    check("accounts(accountNumber='x')", undefined);
    check("accounts(,)", undefined);
    check("accounts(accountnumber=5)", "! `5` is no `Edm.String` (property `accountnumber`)");
    check("accounts(accountnumber='')", "! `` is no `Edm.String` (property `accountnumber`)");
    check("accounts(accountnumber='a'b')", "! `a'b` is no `Edm.String` (property `accountnumber`)");
    check("accounts(accountnumber=null)", "! `null` is no `Edm.String` (property `accountnumber`)");
    check("accounts(accountid=5)", "! `5` is no `Edm.Guid` (property `accountid`)");
    check(
        "legs(leg_crateno='x',leg_number='4')",
        "! `4` is no `Edm.Int32` (property `leg_number`)",
    );
    check("legs(leg_cost=1_000)", "! `1_000` is no `Edm.Decimal` (property `leg_cost`)");
    check("legs(leg_cost=)", "! `` is no `Edm.Decimal` (property `leg_cost`)");
}

#[test]
fn what_is_no_reference_is_refused() {
    for text in [
        "",
        "(",
        ")",
        "()",
        "accounts",
        "accounts(",
        "(<A>)",
        "x/accounts(<A>)",
        "/api/data/accounts(<A>)",
        "ftp://h/api/data/v9.2/accounts(<A>)",
        "https:///accounts(<A>)",
        "$1",
        "accounts(<A>)/name",
        "%ff(<A>)",
        "/api/data/v/accounts(<A>)",
    ] {
        let shown = text.trim();
        check(text, &format!("! `{shown}` is no reference to a record"));
    }
    check("nothing(<A>)", "! there is no entity set `nothing`");
    check("Accounts(<A>)", "! there is no entity set `Accounts`");
}

#[test]
fn a_key_inside_a_url_is_expected_without_escapes() {
    let catalog = catalog();
    let table = table_of(&catalog, "account");
    let key = parse_key("accountnumber='100%25'", &table, &catalog).unwrap();
    let mut out = String::new();
    wire::reference::write_key(&mut out, &table, &key);
    assert_eq!(out, "accountnumber='100%2525'");
}
