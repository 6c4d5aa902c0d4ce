//! Pieces of files.

use crate::Piece;
use crate::conformance::Harness;
use crate::conformance::fixture::id;
use crate::conformance::world::{NOW, World};
use model::{Timestamp, Value};

fn piece(file: u128, name: &str, bytes: &[u8]) -> Piece {
    Piece { file: id(file), name: name.into(), bytes: bytes.to_vec(), at: NOW }
}

pub async fn pieces_of_files_read_back<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let store = &world.store;
    let large: Vec<u8> = (0..4_194_304_u32).map(|number| number.to_le_bytes()[1]).collect();
    store.put_pieces(Vec::new()).await.expect("nothing can be kept");
    let pieces = vec![piece(1, "b", b"two"), piece(1, "a", &large), piece(2, "a", b"other")];
    store.put_pieces(pieces).await.expect("pieces can be kept");
    assert_eq!(store.piece(id(1), "a").await.expect("reads"), Some(large.clone()));
    assert_eq!(store.piece(id(1), "b").await.expect("reads"), Some(b"two".to_vec()));
    assert_eq!(store.piece(id(1), "B").await.expect("reads"), None, "names have their case");
    assert_eq!(store.piece(id(3), "a").await.expect("reads"), None);
    let sizes = store.piece_sizes(id(1)).await.expect("reads");
    assert_eq!(sizes, [("a".into(), 4_194_304), ("b".into(), 3)]);
    assert_eq!(store.piece_sizes(id(3)).await.expect("reads"), []);
    store.put_pieces(vec![piece(1, "b", b"")]).await.expect("a piece can be replaced");
    assert_eq!(store.piece(id(1), "b").await.expect("reads"), Some(Vec::new()));
}

pub async fn pieces_survive_a_reopen<H: Harness>() {
    let (mut harness, world) = World::open::<H>().await;
    world.store.put_pieces(vec![piece(1, "a", b"kept")]).await.expect("a piece can be kept");
    drop(world);
    harness.reopen().await;
    assert_eq!(harness.store().piece(id(1), "a").await.expect("reads"), Some(b"kept".to_vec()));
}

pub async fn pieces_that_no_row_names_are_forgotten<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let store = &world.store;
    for file in 1..=3 {
        store.put_pieces(vec![piece(file, "a", b"x")]).await.expect("a piece can be kept");
    }
    let later = Piece { at: Timestamp(NOW.0 + 1), ..piece(4, "a", b"x") };
    store.put_pieces(vec![later]).await.expect("a piece can be kept");
    // A column of ids stands for one of files.
    let names = |file: u128| [("ship_serial", Value::Guid(id(file)))];
    world.insert("ship_crate", &[(id(11), &names(2))]).await;
    let named_by = [(world.table("ship_crate").id, world.column("ship_crate", "ship_serial"))];
    store.forget_pieces(&world.catalog, &named_by, NOW).await.expect("forgets");
    assert!(store.piece(id(1), "a").await.expect("reads").is_some(), "it is not older than that");
    let before = Timestamp(NOW.0 + 1);
    store.forget_pieces(&world.catalog, &named_by, before).await.expect("forgets");
    for (file, is_kept) in [(1, false), (2, true), (3, false), (4, true)] {
        assert_eq!(store.piece(id(file), "a").await.expect("reads").is_some(), is_kept, "{file}");
    }
}
