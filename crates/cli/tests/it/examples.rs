//! The examples of the client as a library, against a real service.

use crate::home::Home;
use std::fs;

#[path = "../../../client/examples/load.rs"]
#[expect(dead_code, reason = "its `main` is what runs it elsewhere")]
mod load;
#[path = "../../../client/examples/parallel.rs"]
#[expect(dead_code, reason = "its `main` is what runs it elsewhere")]
mod parallel;

#[tokio::test]
async fn the_example_of_a_load_loads() {
    let home = Home::start();
    fs::write(home.path("in.csv"), "Code,Weight\nC-1,1\nC-2,2\n").expect("written");
    home.call(0, "table create new_crate --from in.csv --key Code");
    let file = home.path("in.csv").display().to_string();
    let words = [home.url().to_owned(), "new_crate".to_owned(), file];
    let said = load::run(&words).await.expect("it loads");
    assert!(said.starts_with("2 rows: 2 created"), "{said}");
    let said = load::run(&words).await.expect("it loads");
    assert!(said.starts_with("2 rows: 2 unchanged"), "{said}");
    fs::write(home.path("in.csv"), "Code,Weight\nC-1,heavy\nC-3,3\n").expect("written");
    let said = load::run(&words).await.expect_err("a row is bad").to_string();
    assert!(said.contains("1 created, 1 failed: line 2"), "{said}");
}

#[tokio::test]
async fn the_example_of_parallel_work_works() {
    let home = Home::start();
    let said = parallel::run(&[home.url().to_owned()]).await.expect("it works");
    assert_eq!(said, "1000 items in 20 chunks; the sum is 499500");
}
