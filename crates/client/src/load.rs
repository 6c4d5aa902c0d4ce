//! In which order files of several tables are loaded, so that lookups find their records.
//!
//! In: each file's table and the lookups that its rows give. Out: a [`Plan`], plain data.
//! Not here: reading and sending (`set`).
//! Invariant: every file is loaded once, after all files that its lookups point to, but for those lookups that are set
//! in a second pass; a lookup is put off only where tables point to each other, or a table to itself.

use std::cmp::Reverse;

/// A file of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Logical name of its table.
    pub table: String,
    /// The lookups that its rows give, each with the tables that it may point to.
    pub lookups: Vec<(String, Vec<String>)>,
}

/// One pass over a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The place of the file.
    pub place: usize,
    /// The lookups that this pass leaves out, or, in the second pass, the only ones that it sets.
    pub deferred: Vec<String>,
}

/// What is done in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// All files.
    pub first: Vec<Step>,
    /// Files again whose rows have lookups that could not be set before.
    pub second: Vec<Step>,
}

/// Orders files; as they were given where nothing else is needed.
pub fn plan(nodes: &[Node]) -> Plan {
    let mut left: Vec<usize> = (0..nodes.len()).collect();
    let mut plan = Plan::default();
    while let Some(next) = next(nodes, &left) {
        // Rows of its own table may come later in the file.
        let deferred: Vec<String> =
            pending(nodes, &left, next).map(|place| nodes[next].lookups[place].0.clone()).collect();
        left.retain(|place| *place != next);
        if !deferred.is_empty() {
            plan.second.push(Step { place: next, deferred: deferred.clone() });
        }
        plan.first.push(Step { place: next, deferred });
    }
    plan
}

/// The lookups of a file that point to tables which are not whole yet, by their places.
fn pending<'a>(
    nodes: &'a [Node],
    left: &'a [usize],
    place: usize,
) -> impl Iterator<Item = usize> + 'a {
    let is_left = |target: &String| left.iter().any(|other| nodes[*other].table == *target);
    let lookups = nodes[place].lookups.iter().enumerate();
    lookups.filter(move |(_, (_, targets))| targets.iter().any(is_left)).map(|(at, _)| at)
}

/// The file that waits for the fewest others: for none, or for those of its own circle. There the one goes first that has
/// the fewest lookups to put off, and of those the one that most others wait for.
fn next(nodes: &[Node], left: &[usize]) -> Option<usize> {
    left.iter().copied().min_by_key(|place| {
        let waits = reached(nodes, left, *place).iter().filter(|other| **other != *place).count();
        let lookups = left.iter().flat_map(|other| &nodes[*other].lookups);
        let wanted = lookups.filter(|(_, targets)| targets.contains(&nodes[*place].table)).count();
        (waits, pending(nodes, left, *place).count(), Reverse(wanted), *place)
    })
}

/// All files that a file waits for, directly or not.
fn reached(nodes: &[Node], left: &[usize], from: usize) -> Vec<usize> {
    let (mut found, mut open) = (Vec::new(), vec![from]);
    while let Some(place) = open.pop() {
        for target in nodes[place].lookups.iter().flat_map(|(_, targets)| targets) {
            for other in left.iter().filter(|other| nodes[**other].table == *target) {
                if !found.contains(other) {
                    found.push(*other);
                    open.push(*other);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `table: lookup>target|target lookup>target; …`
    fn nodes(text: &str) -> Vec<Node> {
        let node = |part: &str| {
            let (table, lookups) = part.split_once(':').expect("a table");
            let lookups = lookups.split_whitespace().map(|lookup| {
                let (name, targets) = lookup.split_once('>').expect("a target");
                (name.to_owned(), targets.split('|').map(str::to_owned).collect())
            });
            Node { table: table.trim().to_owned(), lookups: lookups.collect() }
        };
        text.split(';').map(node).collect()
    }

    fn check(text: &str, want: &str) {
        let nodes = nodes(text);
        let plan = plan(&nodes);
        let shown = |steps: &[Step], mark: &str| {
            let step = |step: &Step| {
                let deferred: String =
                    step.deferred.iter().map(|name| format!("{mark}{name}")).collect();
                format!("{}{deferred}", nodes[step.place].table)
            };
            steps.iter().map(step).collect::<Vec<_>>().join(" ")
        };
        let got = format!("{} / {}", shown(&plan.first, "-"), shown(&plan.second, "+"));
        assert_eq!(got.trim_end(), want, "{text}");
    }

    #[test]
    fn files_come_after_those_that_they_point_to_and_circles_are_cut_where_it_costs_least() {
        check("a:; b:", "a b /");
        check(
            "flights: f>airports t>airports c>carriers; airports:; carriers:",
            "airports carriers flights /",
        );
        check("a: x>elsewhere; b:", "a b /");
        check("c: b>b; b: a>a; a:", "a b c /");
        // Itself.
        check("a: parent>a", "a-parent / a+parent");
        // Two that point to each other, and one that waits for one of them, or for both.
        check("x: a>a; a: b>b; b: a>a", "a-b x b / a+b");
        check("x: a>a b>b; a: b>b; b: a>a", "a-b b x / a+b");
        // A circle of three: one lookup that is put off is enough.
        check("a: b>b c>c; b: c>c; c: a>a", "c-a b a / c+a");
        // One of several targets is enough to wait.
        check("a: o>b|c; b:; c: a>a", "b a-o c / a+o");
        // Two files of one table: both are loaded before what points to it.
        check("x: a>a; a:; a:", "a a x /");
        check("a: p>a; a:", "a a-p / a+p");
    }

    #[test]
    fn every_file_is_loaded_once_and_no_lookup_is_lost_in_any_graph() {
        // A linear congruence is chance enough, and the same every time.
        let mut state = 7_u64;
        let mut chance = |of: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % of
        };
        for _ in 0..500 {
            let count = 1 + chance(7);
            let nodes: Vec<Node> = (0..count)
                .map(|at| Node {
                    table: format!("t{at}"),
                    lookups: (0..chance(4))
                        .map(|lookup| (format!("l{lookup}"), vec![format!("t{}", chance(count))]))
                        .collect(),
                })
                .collect();
            let plan = plan(&nodes);
            let mut loaded: Vec<&str> = Vec::new();
            for step in &plan.first {
                let node = &nodes[step.place];
                for (name, targets) in &node.lookups {
                    let is_there = targets.iter().all(|target| loaded.contains(&target.as_str()));
                    assert_eq!(is_there, !step.deferred.contains(name), "{nodes:?}: {plan:?}");
                }
                assert!(!loaded.contains(&node.table.as_str()), "twice: {plan:?}");
                loaded.push(&node.table);
            }
            assert_eq!(loaded.len(), nodes.len());
            let put_off: Vec<&Step> =
                plan.first.iter().filter(|step| !step.deferred.is_empty()).collect();
            assert_eq!(put_off, plan.second.iter().collect::<Vec<_>>());
        }
    }
}
