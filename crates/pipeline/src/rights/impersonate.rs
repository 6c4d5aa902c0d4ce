//! Acting for another user, and asking whether a caller may do something before it is done.
//!
//! Source: webapi.md 22. Invariant: whoever acts for another may do what both may, no more.

use super::load::{self, id_at};
use crate::privilege::{self, Action};
use crate::run::{Context, Error, Pipeline, not_about_rows};
use model::{Caller, Fault, Table, Uuid, Value, code};
use query::{ColumnRef, Compare, Filter};
use std::sync::Arc;

/// How a request names the user that it acts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impersonated {
    /// By `systemuserid`.
    User(Uuid),
    /// By `azureactivedirectoryobjectid`.
    ObjectId(Uuid),
}

/// Something that a caller must be allowed to do.
#[derive(Clone, Debug)]
pub enum Need {
    /// A privilege that is not about a table, by name.
    Named(&'static str),
    /// An action on at least some rows of a table.
    OnTable(Arc<Table>, Action),
}

impl Pipeline {
    /// The caller in the place of the user that it names.
    ///
    /// Errors: 403: it may not act for others, or there is no such enabled user.
    pub async fn impersonate(
        &self,
        context: &Context,
        whom: Impersonated,
    ) -> Result<Caller, Error> {
        let caller = context.caller;
        if whom == Impersonated::User(caller.user) {
            return Ok(caller);
        }
        let access = self.access(&context.catalog, caller).await?;
        if access.require(privilege::ACT_ON_BEHALF).is_err() {
            let text = format!(
                "User {} cannot act on behalf of another user: the privilege {} is missing.",
                caller.user,
                privilege::ACT_ON_BEHALF
            );
            return Err(Fault::new(code::CANNOT_ACT_ON_BEHALF, text).into());
        }
        let (column, id) = match whom {
            Impersonated::User(id) => ("systemuserid", id),
            Impersonated::ObjectId(id) => ("azureactivedirectoryobjectid", id),
        };
        let user = self.user_with(context, column, id).await?;
        let Some(user) = user else {
            let text = "The user is not a member of the organization.";
            return Err(Fault::new(code::USER_NOT_MEMBER_OF_ORG, text)
                .with_hint(format!("no user has the {column} {id}"))
                .into());
        };
        if user == caller.user {
            return Ok(caller);
        }
        let acting = Caller {
            user,
            on_behalf_of: Some(caller.on_behalf_of.unwrap_or(caller.user)),
            ..caller
        };
        // A disabled user is refused here.
        let access = self.access(&context.catalog, acting).await?;
        Ok(super::settled(acting, &access.own))
    }

    async fn user_with(
        &self,
        context: &Context,
        column: &str,
        id: Uuid,
    ) -> Result<Option<Uuid>, Error> {
        let Some(users) = context.catalog.table("systemuser") else { return Ok(None) };
        let filter = users.index_of(column).map(|column| Filter::Compare {
            column: ColumnRef::root(column),
            compare: Compare::Equal,
            value: Value::Guid(id),
        });
        let query = load::bound(&context.catalog, users, &["systemuserid"], filter);
        let rows = load::rows(self.store(), query).await.map_err(not_about_rows)?;
        Ok(rows.first().and_then(|row| id_at(row, 0)))
    }

    /// Refuses a caller who may not do all of this.
    pub async fn require(&self, context: &Context, needs: &[Need]) -> Result<(), Error> {
        if needs.is_empty() {
            return Ok(());
        }
        let access = self.access(&context.catalog, context.caller).await?;
        for need in needs {
            match need {
                Need::Named(name) => access.require(name)?,
                Need::OnTable(table, action) => access.require_on(table, *action)?,
            }
        }
        Ok(())
    }
}
