//! Every parser on random inputs. `SHEAF_CASES` is the number for each, `SHEAF_SEED` where the drawing begins.

use fuzzing::seeds::Seeds;
use fuzzing::{READERS, run};

/// Inputs of each parser unless somebody says another number.
const CASES: usize = 3_000;

pub(crate) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// `SHEAF_CASES`, or this many.
pub(crate) fn cases(default: usize) -> usize {
    number("SHEAF_CASES").map_or(default, |cases| usize::try_from(cases).expect("a number"))
}

#[test]
fn no_parser_panics_and_texts_of_the_grammar_are_often_taken() {
    let seeds = Seeds::read();
    let seed = number("SHEAF_SEED").unwrap_or(1);
    for reader in &READERS {
        let own = seeds.of(reader.name);
        let report = run::reader(reader, &own, seed, cases(CASES));
        // Else nothing but the first lines of a parser would be tried.
        assert!(report.taken * 20 > report.cases, "{}: {report:?}", reader.name);
        if !["reference", "answer"].contains(&reader.name) {
            assert!(!own.is_empty(), "{}: no scenario has such a text", reader.name);
        }
    }
}

#[test]
fn every_parser_has_a_target_for_cargo_fuzz() {
    let home = testkit::scenario::folder::home().join("../fuzz");
    let manifest = std::fs::read_to_string(home.join("Cargo.toml")).expect("it is there");
    for name in READERS.iter().map(|reader| reader.name).chain(["request"]) {
        let path = home.join(format!("fuzz_targets/{name}.rs"));
        let target = std::fs::read_to_string(path).unwrap_or_else(|_| panic!("no target {name}"));
        assert!(name == "request" || target.contains(&format!("readers::{name}(")), "{name}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}
