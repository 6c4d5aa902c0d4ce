//! Choices that columns share, and the options of choices.
//!
//! Source: `metadata.md` 7. Invariant: a column that is bound to a global choice has exactly its options.

use model::{Catalog, ColumnKind, Fault, GlobalChoice, GlobalChoiceKey, NewColumn, code};
use std::sync::Arc;

/// The global choice of this key.
pub(super) fn find<'a>(
    catalog: &'a Catalog,
    key: &GlobalChoiceKey,
) -> Result<&'a Arc<GlobalChoice>, Fault> {
    let (found, name) = match key {
        GlobalChoiceKey::Id(id) => (catalog.choice_by_metadata_id(*id), id.to_string()),
        GlobalChoiceKey::Name(name) => (catalog.choice(name), name.to_string()),
    };
    found.ok_or_else(|| {
        Fault::new(
            code::OBJECT_DOES_NOT_EXIST,
            format!("Could not find an optionset with the specified name or id: {name}"),
        )
    })
}

/// Gives a wished column the options of the global choice that it names.
pub(super) fn bind(catalog: &Catalog, wish: &mut NewColumn) -> Result<(), Fault> {
    let Some(key) = wish.global_choice.take() else { return Ok(()) };
    let choice = find(catalog, &key)?;
    match &mut wish.kind {
        ColumnKind::Choice { options, .. } | ColumnKind::MultiChoice { options } => {
            options.clone_from(&choice.options);
        }
        _ => {
            return Err(Fault::new(
                code::INVALID_ARGUMENT,
                format!(
                    "Attribute {} is no choice: it has no global option set.",
                    wish.schema_name
                ),
            ));
        }
    }
    wish.settings.global_choice = Some(choice.metadata_id);
    Ok(())
}
