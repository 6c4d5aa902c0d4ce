//! How many rows are looked at together.

use super::*;
use crate::lookup::tests::{draft, known_lookups};

#[tokio::test(start_paused = true)]
async fn rows_are_gathered_while_they_name_few_unknown_records() {
    let lookups = known_lookups().await;
    let gathered = async |blocks: Vec<Vec<Draft>>, is_closed: bool| {
        let (sender, mut drafts) = mpsc::channel(1_000);
        for block in blocks {
            sender.send(block).await.expect("room");
        }
        let kept = (!is_closed).then_some(sender);
        let mut window = drafts.recv().await.expect("a block");
        let is_open = gather(&lookups, 100, &mut window, &mut drafts).await;
        drop(kept);
        (window.len(), is_open)
    };
    let known = || vec![draft(1); 50];
    let new = |name: usize| vec![draft(name); 50];
    // Nothing to ask: nothing to wait for.
    assert_eq!(gathered(vec![known(), known()], false).await, (50, true));
    // One new name in a block: until a question is full, …
    let blocks = |count: usize| (0..count).map(|block| new(10 + block)).collect::<Vec<_>>();
    assert_eq!(gathered(blocks(300), false).await, (100 * 50, true));
    // … there are enough rows, …
    let same: Vec<Vec<Draft>> = (0..300).map(|_| new(10)).collect();
    assert_eq!(gathered(same, false).await, (GATHERED_MAX, true));
    // … nothing comes for a while, or nothing more at all.
    assert_eq!(gathered(blocks(20), false).await, (20 * 50, true));
    assert_eq!(gathered(blocks(20), true).await, (20 * 50, false));
}
