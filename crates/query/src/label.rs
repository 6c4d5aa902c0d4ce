//! The order of choices by what they are called.
//!
//! Labels are compared as all text is; values with one label stay in their order.

use crate::ColumnRef;
use crate::shape::LabelOrder;
use model::{ColumnKind, Label, Value, fold};

/// The order of a column by its labels; none for a column without labels.
pub(crate) fn order_of(column: ColumnRef, kind: &ColumnKind) -> Option<LabelOrder> {
    let text = |label: &Label| fold(label.shown().unwrap_or_default()).into_owned();
    let mut labels: Vec<(String, Value)> = match kind {
        ColumnKind::Choice { options, .. }
        | ColumnKind::State { options }
        | ColumnKind::Status { options } => {
            let mut options: Vec<_> = options.iter().collect();
            options.sort_by_key(|option| option.value);
            let options = options.into_iter();
            options.map(|option| (text(&option.label), Value::Integer(option.value))).collect()
        }
        ColumnKind::Boolean { true_label, false_label, .. } => vec![
            (text(false_label), Value::Boolean(false)),
            (text(true_label), Value::Boolean(true)),
        ],
        _ => return None,
    };
    labels.sort_by(|(left, _), (right, _)| left.as_bytes().cmp(right.as_bytes()));
    Some(LabelOrder { column, values: labels.into_iter().map(|(_, value)| value).collect() })
}
